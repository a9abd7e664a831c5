/* SPDX-License-Identifier: Apache-2.0 */
/* GroupNorm: for each image and group y = (x - m) / sqrt(v + epsilon) * scale[c] + bias[c], in double. */
#include <math.h>

#include "backend/ref/ref.h"
#include "backend/ref/ref_types.h"
#include "backend/ref/ref_window.h"
#include "base/status.h"
#include "base/threads.h"

typedef struct groups {
    size_t plane, per_group, groups; /* elements of a channel, channels of a group, groups of an image */
    double epsilon;
    const void *x, *scale, *bias;
    void *y;
} groups;

#define GROUP_NORM(tag, real)                                                                                \
    static vecq_status range_##real(void *context, size_t begin, size_t end, unsigned thread,                \
                                    vecq_error *err)                                                         \
    {                                                                                                        \
        const groups *g = context;                                                                           \
        const size_t n = g->plane * g->per_group;                                                            \
        (void)thread;                                                                                        \
        (void)err;                                                                                           \
        for (; begin < end; begin++) {                                                                       \
            const real *x = (const real *)g->x + begin * n;                                                  \
            real *y = (real *)g->y + begin * n;                                                              \
            double mean = 0, variance = 0, factor;                                                           \
            size_t i;                                                                                        \
            for (i = 0; i < n; i++)                                                                          \
                mean += (double)x[i];                                                                        \
            mean /= (double)n;                                                                               \
            for (i = 0; i < n; i++)                                                                          \
                variance += ((double)x[i] - mean) * ((double)x[i] - mean);                                   \
            factor = 1 / sqrt(variance / (double)n + g->epsilon);                                            \
            for (i = 0; i < n; i++) {                                                                        \
                const size_t c = begin % g->groups * g->per_group + i / g->plane;                            \
                y[i] = (real)(((double)x[i] - mean) * factor * (double)((const real *)g->scale)[c] +         \
                              (double)((const real *)g->bias)[c]);                                           \
            }                                                                                                \
        }                                                                                                    \
        return VECQ_OK;                                                                                      \
    }
VECQ_REF_REALS(GROUP_NORM)

vecq_status vecq_ref_group_norm(const vecq_ref_call *call)
{
    const vecq_group_norm_params *params = call->op->params;
    const vecq_var *x = call->op->inputs[0];
    groups g = {.plane = vecq_ref_product(x->dims + 2, x->rank - 2),
                .groups = (size_t)params->groups,
                .per_group = (size_t)(x->dims[1] / params->groups),
                .epsilon = params->epsilon,
                .x = call->in[0],
                .scale = call->in[1],
                .bias = call->in[2],
                .y = call->out[0]};

    if (g.y == NULL || x->count == 0)
        return VECQ_OK;
    return vecq_parallel_for((size_t)x->dims[0] * g.groups, vecq_ref_grain(g.plane * g.per_group),
                             call->run->threads, x->dtype == VECQ_DT_DOUBLE ? range_double : range_float, &g,
                             call->err);
}
