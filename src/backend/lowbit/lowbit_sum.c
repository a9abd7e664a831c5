/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of a layout whose floats are sums of elements (Winograd's), made of decoded ones in every run. */
#include <string.h>

#include "backend/lowbit/lowbit_private.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"

#define CHUNK VECQ_LAYOUT_CHUNK
#define GRAIN 256u /* chunks a thread takes at a time */

typedef struct sum_step {
    const vecq_layout_sum *sum; /* the engine's */
    unsigned threads;
} sum_step;

typedef struct sum_call {
    const vecq_layout_sum *sum;
    const float *x; /* [taps][n_groups] */
    float *y;
} sum_call;

static vecq_status sum_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const sum_call *c = context;
    const vecq_layout_sum *s = c->sum;
    size_t t, i;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        const float *x = c->x + (size_t)s->base[begin] * CHUNK;
        const float *coefficients = s->coefficients + (size_t)s->row[begin] * s->taps;
        float y[CHUNK] = {0};

        for (t = 0; t < s->taps; t++, x += s->n_groups)
            if (coefficients[t] != 0)
                for (i = 0; i < CHUNK; i++)
                    y[i] += coefficients[t] * x[i];
        memcpy(c->y + begin * CHUNK, y, sizeof y);
    }
    return VECQ_OK;
}

static vecq_status sum_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                           vecq_error *err)
{
    const sum_step *s = state;
    sum_call c = {.sum = s->sum, .x = reads[0], .y = writes[0]};

    (void)run;
    return vecq_parallel_for(s->sum->n_chunks, GRAIN, s->threads, sum_range, &c, err);
}

vecq_status vecq_lowbit_sum_step(const vecq_lowbit *e, vecq_planner *planner, const vecq_op *decode,
                                 const vecq_layout_sum *sum, vecq_slot from, vecq_slot to, vecq_error *err)
{
    sum_step *s = vecq_alloc(1, sizeof *s);

    if (s == NULL)
        return vecq_error_memory(err, sizeof *s);
    s->sum = sum;
    s->threads = e->threads;
    return vecq_planner_step(planner, decode, &vecq_backend_lowbit, "Winograd transform", sum_run, s,
                             vecq_free, &from, 1, &to, 1, err);
}

void vecq_lowbit_sum_map(const vecq_layout_sum *sum, uint32_t *map)
{
    size_t t, p;

    for (t = 0; t < sum->taps; t++)
        for (p = 0; p < sum->n_groups; p++)
            map[t * sum->n_groups + p] = (uint32_t)(sum->group[p] * sum->taps + t) + 1;
}
