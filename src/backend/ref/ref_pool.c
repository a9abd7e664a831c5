/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling, plane by plane: a plane is one channel of one image. */
#include <math.h>
#include <string.h>

#include "backend/ref/ref.h"
#include "backend/ref/ref_window.h"
#include "base/status.h"
#include "base/threads.h"

typedef struct pool_work {
    vecq_ref_axis axis[VECQ_REF_AXES];
    int64_t pad_end[VECQ_REF_AXES];
    size_t large, small; /* elements of a plane of x, of y */
    int include_pad;
    const void *from;
    void *to;
    int32_t *winners; /* may be NULL going forward */
} pool_work;

/* Taps of a window that lie in the image along each axis, and the place of the first of them. */
typedef struct pool_taps {
    int64_t n[VECQ_REF_AXES], first[VECQ_REF_AXES];
    int64_t divisor; /* of an average */
} pool_taps;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return a <= 0 ? 0 : (a + b - 1) / b;
}

static pool_taps taps_of(const pool_work *q, size_t window)
{
    pool_taps t = {.divisor = 1};
    unsigned i;

    for (i = VECQ_REF_AXES; i-- > 0;) {
        const vecq_ref_axis *a = &q->axis[i];
        int64_t start = (int64_t)(window % (size_t)a->count) * a->stride - a->pad;
        int64_t begin = ceil_div(-start, a->dilation);
        int64_t end = ceil_div(a->size - start, a->dilation);
        int64_t padded = ceil_div(a->size + q->pad_end[i] - start, a->dilation);

        end = end < a->kernel ? end : a->kernel;
        t.n[i] = end > begin ? end - begin : 0;
        t.first[i] = start + begin * a->dilation;
        t.divisor *= q->include_pad ? (padded < a->kernel ? padded : a->kernel) : t.n[i];
        window /= (size_t)a->count;
    }
    return t;
}

#define FOR_TAPS(q, t, d, h, w, at)                                                                          \
    for (d = 0; d < (t).n[0]; d++)                                                                           \
        for (h = 0; h < (t).n[1]; h++)                                                                       \
            for (w = 0, at = (((t).first[0] + d * (q)->axis[0].dilation) * (q)->axis[1].size +               \
                              (t).first[1] + h * (q)->axis[1].dilation) *                                    \
                                 (q)->axis[2].size +                                                         \
                             (t).first[2];                                                                   \
                 w < (t).n[2]; w++, at += (q)->axis[2].dilation)

#define real     float
#define POOL(id) id##_float
#include "backend/ref/ref_pool_body.h"
#undef real
#undef POOL
#define real     double
#define POOL(id) id##_double
#include "backend/ref/ref_pool_body.h"
#undef real
#undef POOL

static vecq_status run(const vecq_ref_call *call, const vecq_var *x, const vecq_var *y,
                       const vecq_range_fn range[2], int32_t *winners)
{
    const vecq_pool_params *params = call->op->params;
    unsigned lead = VECQ_REF_AXES - params->spatial, i;
    pool_work q = {.large = vecq_ref_product(x->dims + 2, params->spatial),
                   .small = vecq_ref_product(y->dims + 2, params->spatial),
                   .include_pad = params->include_pad,
                   .from = call->in[0],
                   .to = call->out[0],
                   .winners = winners};
    size_t work = q.large;

    if (call->out[0] == NULL && (winners == NULL || call->op->kind == VECQ_OP_MAX_POOL_GRAD))
        return VECQ_OK;
    for (i = 0; i < VECQ_REF_AXES; i++) {
        q.axis[i] = vecq_ref_axis_none;
        if (i < lead)
            continue;
        q.axis[i].size = x->dims[2 + i - lead];
        q.axis[i].count = y->dims[2 + i - lead];
        q.axis[i].kernel = params->kernel[i - lead];
        q.axis[i].stride = params->stride[i - lead];
        q.axis[i].dilation = params->dilation[i - lead];
        q.axis[i].pad = params->pad_begin[i - lead];
        q.pad_end[i] = params->pad_end[i - lead];
    }
    return vecq_parallel_for((size_t)(x->dims[0] * x->dims[1]), vecq_ref_grain(work), call->run->threads,
                             x->dtype == VECQ_DT_DOUBLE ? range[1] : range[0], &q, call->err);
}

vecq_status vecq_ref_max_pool(const vecq_ref_call *call)
{
    static const vecq_range_fn range[2] = {max_range_float, max_range_double};

    return run(call, call->op->inputs[0], call->op->outputs[0], range, call->out[1]);
}

vecq_status vecq_ref_average_pool(const vecq_ref_call *call)
{
    static const vecq_range_fn range[2] = {average_range_float, average_range_double};

    return run(call, call->op->inputs[0], call->op->outputs[0], range, NULL);
}

vecq_status vecq_ref_max_pool_grad(const vecq_ref_call *call)
{
    static const vecq_range_fn range[2] = {spread_range_float, spread_range_double};

    return run(call, call->op->outputs[0], call->op->inputs[0], range,
               (int32_t *)(uintptr_t)call->in[1]); /* only read */
}

vecq_status vecq_ref_average_pool_grad(const vecq_ref_call *call)
{
    static const vecq_range_fn range[2] = {spread_range_float, spread_range_double};

    return run(call, call->op->outputs[0], call->op->inputs[0], range, NULL);
}
