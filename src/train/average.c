/* SPDX-License-Identifier: Apache-2.0 */
#include "train/average.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

vecq_status vecq_average_create(vecq_average *a, vecq_slotted *const *params, size_t n, double decay,
                                vecq_error *err)
{
    size_t i;

    memset(a, 0, sizeof *a);
    a->params = vecq_alloc(n, sizeof *a->params);
    a->shadow = vecq_calloc(n, sizeof *a->shadow);
    if (a->params == NULL || a->shadow == NULL)
        goto memory;
    a->n = n;
    a->decay = decay;
    for (i = 0; i < n; i++) {
        a->params[i] = params[i];
        a->shadow[i] = vecq_alloc(params[i]->tensor.count, sizeof **a->shadow);
        if (a->shadow[i] == NULL)
            goto memory;
    }
    return VECQ_OK;
memory:
    vecq_average_clear(a);
    return vecq_error_memory(err, n * sizeof *a->shadow);
}

void vecq_average_clear(vecq_average *a)
{
    size_t i;

    for (i = 0; i < a->n; i++)
        vecq_free(a->shadow[i]);
    vecq_free((void *)a->params);
    vecq_free((void *)a->shadow);
    memset(a, 0, sizeof *a);
}

void vecq_average_update(vecq_average *a)
{
    double rate = a->decay > 0 ? 1 - a->decay : 1 / ((double)a->count + 1);
    size_t i, k;

    if (a->count == 0)
        rate = 1;
    for (i = 0; i < a->n; i++) {
        const float *w = a->params[i]->tensor.data;
        float *s = a->shadow[i], r = (float)rate;

        if (a->count == 0)
            memcpy(s, w, a->params[i]->tensor.count * sizeof *s);
        else
            for (k = 0; k < a->params[i]->tensor.count; k++)
                s[k] += r * (w[k] - s[k]);
    }
    a->count++;
}

void vecq_average_swap(vecq_average *a)
{
    size_t i;

    if (a->count == 0)
        return;
    for (i = 0; i < a->n; i++) {
        float *w = a->params[i]->tensor.data;

        a->params[i]->tensor.data = a->shadow[i];
        a->shadow[i] = w;
    }
    a->is_swapped = !a->is_swapped;
}

static void entry_name(const vecq_slotted *param, char name[VECQ_CHECKPOINT_NAME_MAX])
{
    snprintf(name, VECQ_CHECKPOINT_NAME_MAX, "average/%s", param->name);
}

vecq_status vecq_average_save(const vecq_average *a, vecq_checkpoint_writer *writer, vecq_error *err)
{
    char name[VECQ_CHECKPOINT_NAME_MAX];
    size_t i;

    VECQ_TRY(vecq_checkpoint_add(writer, "average/count", VECQ_CHECKPOINT_U64, &a->count, 1, err));
    for (i = 0; i < a->n && a->count > 0; i++) {
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

    VECQ_TRY(vecq_checkpoint_read(checkpoint, "average/count", VECQ_CHECKPOINT_U64, &a->count, 1, err));
    for (i = 0; i < a->n && a->count > 0; i++) {
        entry_name(a->params[i], name);
        VECQ_TRY(vecq_checkpoint_read(checkpoint, name, VECQ_CHECKPOINT_F32, a->shadow[i],
                                      a->params[i]->tensor.count, err));
    }
    return VECQ_OK;
}
