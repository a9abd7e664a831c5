/* SPDX-License-Identifier: Apache-2.0 */
#include "train/average.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

void vecq_average_begin(vecq_average *a, double decay)
{
    memset(a, 0, sizeof *a);
    a->decay = decay;
}

static int is_followed(const vecq_average *a, const vecq_stored *param)
{
    size_t i;

    for (i = 0; i < a->n; i++)
        if (a->params[i] == param)
            return 1;
    return 0;
}

static void release(vecq_stored **params, float **shadow, uint64_t *counts, size_t from, size_t n)
{
    size_t i;

    for (i = from; shadow != NULL && i < n; i++)
        vecq_free(shadow[i]);
    vecq_free((void *)params);
    vecq_free((void *)shadow);
    vecq_free(counts);
}

vecq_status vecq_average_follow(vecq_average *a, vecq_stored *const *params, size_t n, vecq_error *err)
{
    size_t i, total = a->n + n, at = a->n, bytes = total * (sizeof *a->params + sizeof *a->shadow);
    vecq_stored **more = vecq_calloc(total, sizeof *more);
    float **shadow = vecq_calloc(total, sizeof *shadow);
    uint64_t *counts = vecq_calloc(total, sizeof *counts);
    int failed = more == NULL || shadow == NULL || counts == NULL;

    for (i = 0; i < n && !failed; i++) {
        if (is_followed(a, params[i]))
            continue;
        more[at] = params[i];
        bytes = params[i]->tensor.count * sizeof **shadow;
        shadow[at] = vecq_alloc(params[i]->tensor.count, sizeof **shadow);
        failed = shadow[at++] == NULL;
    }
    if (failed) {
        release(more, shadow, counts, a->n, total);
        return vecq_error_memory(err, bytes);
    }
    if (a->n > 0) {
        memcpy((void *)more, (const void *)a->params, a->n * sizeof *more);
        memcpy((void *)shadow, (const void *)a->shadow, a->n * sizeof *shadow);
        memcpy(counts, a->counts, a->n * sizeof *counts);
    }
    release(a->params, a->shadow, a->counts, a->n, a->n); /* the shadows moved */
    a->params = more;
    a->shadow = shadow;
    a->counts = counts;
    a->n = at;
    return VECQ_OK;
}

void vecq_average_clear(vecq_average *a)
{
    release(a->params, a->shadow, a->counts, 0, a->n);
    memset(a, 0, sizeof *a);
}

void vecq_average_update(vecq_average *a)
{
    size_t i, k;

    for (i = 0; i < a->n; i++) {
        double rate = a->decay > 0 ? 1 - a->decay : 1 / ((double)a->counts[i] + 1);
        const float *w = a->params[i]->tensor.data;
        float *s = a->shadow[i], r = (float)rate;

        if (a->counts[i]++ == 0)
            memcpy(s, w, a->params[i]->tensor.count * sizeof *s);
        else
            for (k = 0; k < a->params[i]->tensor.count; k++)
                s[k] += r * (w[k] - s[k]);
    }
}

void vecq_average_swap(vecq_average *a)
{
    size_t i;

    for (i = 0; i < a->n; i++) {
        float *w = a->params[i]->tensor.data;

        if (a->counts[i] == 0)
            continue;
        a->params[i]->tensor.data = a->shadow[i];
        a->shadow[i] = w;
    }
    a->is_swapped = !a->is_swapped;
}

static void entry_name(const vecq_stored *param, char name[VECQ_CHECKPOINT_NAME_MAX])
{
    snprintf(name, VECQ_CHECKPOINT_NAME_MAX, "average/of/%s", param->name);
}

vecq_status vecq_average_save(const vecq_average *a, vecq_checkpoint_writer *writer, vecq_error *err)
{
    char name[VECQ_CHECKPOINT_NAME_MAX];
    size_t i;

    VECQ_TRY(vecq_checkpoint_add(writer, "average/counts", VECQ_CHECKPOINT_U64, a->counts, a->n, err));
    for (i = 0; i < a->n; i++) {
        if (a->counts[i] == 0)
            continue;
        entry_name(a->params[i], name);
        VECQ_TRY(vecq_checkpoint_add(writer, name, VECQ_CHECKPOINT_F32, a->shadow[i],
                                     a->params[i]->tensor.count, err));
    }
    return VECQ_OK;
}

vecq_status vecq_average_load(vecq_average *a, const vecq_checkpoint *checkpoint, vecq_error *err)
{
    char name[VECQ_CHECKPOINT_NAME_MAX];
    size_t i;

    VECQ_TRY(vecq_checkpoint_read(checkpoint, "average/counts", VECQ_CHECKPOINT_U64, a->counts, a->n, err));
    for (i = 0; i < a->n; i++) {
        if (a->counts[i] == 0)
            continue;
        entry_name(a->params[i], name);
        VECQ_TRY(vecq_checkpoint_read(checkpoint, name, VECQ_CHECKPOINT_F32, a->shadow[i],
                                      a->params[i]->tensor.count, err));
    }
    return VECQ_OK;
}
