/* SPDX-License-Identifier: Apache-2.0 */
/* Activations rounded to 8 bits, each group by its own range. */
#include "backend/ref/ref.h"
#include "base/status.h"
#include "base/threads.h"
#include "graph/rounding.h"
#include "kernels/activation/activation.h"
#include "kernels/nhwc/nhwc.h"

#define GRAIN ((size_t)1 << 15) /* elements that a thread takes at once */

typedef struct dynamic_work {
    const float *x;
    float *y;
    size_t length; /* of a group */
} dynamic_work;

static vecq_status dynamic_groups(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const vecq_nhwc_kernels *kernels = vecq_nhwc_kernels_active();
    const dynamic_work *w = context;

    (void)thread;
    for (; begin < end; begin++) {
        const float *x = w->x + begin * w->length;
        vecq_nhwc_range range;
        vecq_nhwc_grid grid;

        kernels->range(x, w->length, &range);
        if (!vecq_nhwc_grid_of(&range, &grid))
            return vecq_error_set(err, VECQ_ERR_VALUE, VECQ_NOT_ROUNDED);
        vecq_activation_kernels_active()->round(x, w->length, grid.scale, (float)(grid.low - grid.zero),
                                                (float)(grid.high - grid.zero), w->y + begin * w->length);
    }
    return VECQ_OK;
}

vecq_status vecq_ref_quantize_dynamic(const vecq_ref_call *call)
{
    const vecq_dynamic_params *params = call->op->params;
    const vecq_var *x = call->op->inputs[0];
    dynamic_work w = {.x = call->in[0], .y = call->out[0], .length = 1};
    unsigned a;

    if (w.y == NULL || x->count == 0)
        return VECQ_OK;
    for (a = params->lead; a < x->rank; a++)
        w.length *= (size_t)x->dims[a];
    return vecq_parallel_for(x->count / w.length, GRAIN / w.length + 1, call->run->threads, dynamic_groups,
                             &w, call->err);
}
