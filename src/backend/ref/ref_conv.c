/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution and its relatives: three ways through one relation between a small image and a large one (see
 * graph/ops/op_conv.c). Rows are what the inner loops work on; every sum is one of doubles in a fixed order,
 * made by one thread.
 */
#include <string.h>

#include "backend/ref/ref.h"
#include "backend/ref/ref_window.h"
#include "base/status.h"
#include "base/threads.h"

typedef struct conv_geometry {
    size_t batch;
    size_t small_channels, large_channels;
    size_t small_group, large_group; /* channels of a group */
    size_t small_plane, large_plane, taps;
    vecq_ref_axis axis[VECQ_REF_AXES];
} conv_geometry;

typedef enum conv_mode {
    CONV_GATHER,  /* small from large */
    CONV_SCATTER, /* large from small */
    CONV_WEIGHT   /* gradient of the weight from both */
} conv_mode;

typedef struct conv_rows {
    size_t n;       /* elements of the small image */
    ptrdiff_t step; /* in the large one */
} conv_rows;

typedef struct conv_bias {
    const void *dy;
    void *db;
    size_t batch, channels, plane;
} conv_bias;

typedef struct conv_work_float {
    const conv_geometry *g;
    conv_mode mode;
    const float *small_base, *large_base, *w, *bias;
    float *out;
    const float *small, *large; /* planes at work */
    double *sum;
} conv_work_float;

typedef struct conv_work_double {
    const conv_geometry *g;
    conv_mode mode;
    const double *small_base, *large_base, *w, *bias;
    double *out;
    const double *small, *large;
    double *sum;
} conv_work_double;

#define real     float
#define CONV(id) id##_float
#include "backend/ref/ref_conv_body.h"
#undef real
#undef CONV
#define real     double
#define CONV(id) id##_double
#include "backend/ref/ref_conv_body.h"
#undef real
#undef CONV

static int axis_is_plain(const vecq_ref_axis *a)
{
    return a->kernel == 1 && a->stride == 1 && a->pad == 0 && a->count == a->size;
}

/* Axes at the end where nothing slides become one long row (1x1 convolutions). */
static void merge_plain_axes(vecq_ref_axis *axis)
{
    unsigned last = VECQ_REF_AXES - 1, i;

    for (i = last; i > 0 && axis_is_plain(&axis[last]) && axis_is_plain(&axis[i - 1]); i--) {
        axis[last].size *= axis[i - 1].size;
        axis[last].count = axis[last].size;
        axis[i - 1] = vecq_ref_axis_none;
    }
}

static conv_geometry geometry_of(const vecq_conv_params *params, const vecq_var *small, const vecq_var *large,
                                 const vecq_var *w)
{
    conv_geometry g = {.batch = (size_t)small->dims[0],
                       .small_channels = (size_t)small->dims[1],
                       .large_channels = (size_t)large->dims[1],
                       .small_plane = vecq_ref_product(small->dims + 2, params->spatial),
                       .large_plane = vecq_ref_product(large->dims + 2, params->spatial),
                       .taps = vecq_ref_product(w->dims + 2, params->spatial)};
    unsigned i, lead = VECQ_REF_AXES - params->spatial;

    g.small_group = g.small_channels / (size_t)params->group;
    g.large_group = g.large_channels / (size_t)params->group;
    for (i = 0; i < VECQ_REF_AXES; i++) {
        if (i < lead) {
            g.axis[i] = vecq_ref_axis_none;
            continue;
        }
        g.axis[i].size = large->dims[2 + i - lead];
        g.axis[i].count = small->dims[2 + i - lead];
        g.axis[i].kernel = w->dims[2 + i - lead];
        g.axis[i].stride = params->stride[i - lead];
        g.axis[i].dilation = params->dilation[i - lead];
        g.axis[i].pad = params->pad_begin[i - lead];
    }
    merge_plain_axes(g.axis);
    return g;
}

static vecq_status conv_run(const vecq_ref_call *call, const conv_geometry *g, conv_mode mode,
                            const void *small, const void *large, const void *w, const void *bias, void *out)
{
    if (out == NULL)
        return VECQ_OK;
    if (call->op->inputs[0]->dtype == VECQ_DT_DOUBLE)
        return conv_run_double(call, g, mode, small, large, w, bias, out);
    return conv_run_float(call, g, mode, small, large, w, bias, out);
}

static vecq_status bias_gradient(const vecq_ref_call *call)
{
    const vecq_var *dy = call->op->inputs[1];
    conv_bias q = {.dy = call->in[1],
                   .db = call->out[1],
                   .batch = (size_t)dy->dims[0],
                   .channels = (size_t)dy->dims[1],
                   .plane = vecq_ref_product(dy->dims + 2, dy->rank - 2)};

    if (q.db == NULL)
        return VECQ_OK;
    return vecq_parallel_for(q.channels, vecq_ref_grain(q.batch * q.plane), call->run->threads,
                             dy->dtype == VECQ_DT_DOUBLE ? bias_range_double : bias_range_float, &q,
                             call->err);
}

vecq_status vecq_ref_conv(const vecq_ref_call *call)
{
    const vecq_op *op = call->op;
    conv_geometry g = geometry_of(op->params, op->outputs[0], op->inputs[0], op->inputs[1]);

    return conv_run(call, &g, CONV_GATHER, NULL, call->in[0], call->in[1],
                    op->n_inputs > 2 ? call->in[2] : NULL, call->out[0]);
}

vecq_status vecq_ref_conv_grad_input(const vecq_ref_call *call)
{
    const vecq_op *op = call->op;
    conv_geometry g = geometry_of(op->params, op->inputs[0], op->outputs[0], op->inputs[1]);

    return conv_run(call, &g, CONV_SCATTER, call->in[0], NULL, call->in[1], NULL, call->out[0]);
}

vecq_status vecq_ref_conv_grad_weight(const vecq_ref_call *call)
{
    const vecq_op *op = call->op;
    conv_geometry g = geometry_of(op->params, op->inputs[1], op->inputs[0], op->outputs[0]);

    VECQ_TRY(conv_run(call, &g, CONV_WEIGHT, call->in[1], call->in[0], NULL, NULL, call->out[0]));
    return bias_gradient(call);
}

vecq_status vecq_ref_conv_transpose(const vecq_ref_call *call)
{
    const vecq_op *op = call->op;
    conv_geometry g = geometry_of(op->params, op->inputs[0], op->outputs[0], op->inputs[1]);

    return conv_run(call, &g, CONV_SCATTER, call->in[0], NULL, call->in[1],
                    op->n_inputs > 2 ? call->in[2] : NULL, call->out[0]);
}

vecq_status vecq_ref_conv_transpose_grad_input(const vecq_ref_call *call)
{
    const vecq_op *op = call->op;
    conv_geometry g = geometry_of(op->params, op->outputs[0], op->inputs[0], op->inputs[1]);

    return conv_run(call, &g, CONV_GATHER, NULL, call->in[0], call->in[1], NULL, call->out[0]);
}

vecq_status vecq_ref_conv_transpose_grad_weight(const vecq_ref_call *call)
{
    const vecq_op *op = call->op;
    conv_geometry g = geometry_of(op->params, op->inputs[0], op->inputs[1], op->outputs[0]);

    VECQ_TRY(conv_run(call, &g, CONV_WEIGHT, call->in[0], call->in[1], NULL, NULL, call->out[0]));
    return bias_gradient(call);
}
