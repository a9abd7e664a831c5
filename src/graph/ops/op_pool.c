/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxPool, AveragePool and their gradients; global pooling has one window of the whole image.
 *
 * The average of a window counts the elements of the image, or with include_pad also those of the padding,
 * but not what lies beyond the padding (the last window in ceil_mode). A window of MaxPool that meets no
 * element (only with dilation, between taps) is minus infinity and has no gradient.
 */
#include <string.h>

#include "base/status.h"
#include "graph/gradient.h"
#include "graph/ops/op_util.h"
#include "graph/ops/window.h"

static vecq_status pool_window(const vecq_op *op, vecq_window *window, vecq_error *err)
{
    const vecq_pool_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    char shape[96];
    unsigned i;

    if (!vecq_var_is_float(x) || params->spatial < 1 || params->spatial > VECQ_SPATIAL_MAX ||
        x->rank != params->spatial + 2)
        return vecq_op_fail(err, "an input of type %s and shape %s", vecq_dtype_name(x->dtype),
                            vecq_var_shape_text(x, shape));
    memset(window, 0, sizeof *window);
    window->spatial = params->spatial;
    memcpy(window->kernel, params->kernel, sizeof window->kernel);
    memcpy(window->stride, params->stride, sizeof window->stride);
    memcpy(window->dilation, params->dilation, sizeof window->dilation);
    memcpy(window->pad_begin, params->pad_begin, sizeof window->pad_begin);
    memcpy(window->pad_end, params->pad_end, sizeof window->pad_end);
    VECQ_TRY(vecq_window_check(window, err));
    for (i = 0; i < window->spatial; i++) {
        int64_t extent = vecq_window_extent(window, i);

        if (window->pad_begin[i] >= extent || window->pad_end[i] >= extent)
            return vecq_op_fail(err, "padding %lld, %lld for a window of %lld",
                                (long long)window->pad_begin[i], (long long)window->pad_end[i],
                                (long long)extent);
    }
    return VECQ_OK;
}

static vecq_status pool_shape(vecq_op *op, vecq_error *err)
{
    const vecq_pool_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    int64_t dims[2 + VECQ_SPATIAL_MAX];
    vecq_window window;
    unsigned i;

    VECQ_TRY(pool_window(op, &window, err));
    dims[0] = x->dims[0];
    dims[1] = x->dims[1];
    for (i = 0; i < window.spatial; i++)
        VECQ_TRY(vecq_window_count(&window, i, x->dims[2 + i], params->ceil_mode != 0, &dims[2 + i], err));
    VECQ_TRY(vecq_op_set_output(op, 0, x->dtype, x->rank, dims, err));
    op->outputs[0]->is_relu = x->is_relu;
    return VECQ_OK;
}

vecq_status vecq_op_average_pool_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return pool_shape(op, err);
}

vecq_status vecq_op_max_pool_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_pool_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    size_t plane = 1;
    unsigned i;

    (void)program;
    VECQ_TRY(pool_shape(op, err));
    for (i = 0; i < params->spatial; i++) {
        if (!vecq_mul_size(plane, (size_t)x->dims[2 + i], &plane) || plane > INT32_MAX)
            return vecq_op_fail(err, "an image of more than %d elements", INT32_MAX);
        if (params->dilation[i] > 1)
            op->outputs[0]->is_relu = 0; /* a window without elements */
    }
    return vecq_op_set_output(op, 1, VECQ_DT_INT32, op->outputs[0]->rank, op->outputs[0]->dims, err);
}

/* dy[, workspace] -> dx */
static vecq_status pool_grad_shape(vecq_op *op, vecq_error *err)
{
    const vecq_op *forward = op->forward;
    size_t i;

    for (i = 0; i < op->n_inputs; i++)
        if (forward == NULL || forward->n_outputs <= i ||
            !vecq_var_same_shape(op->inputs[i], forward->outputs[i]) ||
            op->inputs[i]->dtype != forward->outputs[i]->dtype)
            return vecq_op_fail(err, "not the shapes of its forward op");
    return vecq_op_output_like(op, 0, forward->inputs[0], err);
}

vecq_status vecq_op_max_pool_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return pool_grad_shape(op, err);
}

vecq_status vecq_op_average_pool_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return pool_grad_shape(op, err);
}

static vecq_status pool_backward(vecq_gradient *g, const vecq_op *op, vecq_op_kind kind, size_t n,
                                 vecq_error *err)
{
    vecq_var *inputs[2] = {vecq_gradient_of(g, op->outputs[0]), n > 1 ? op->outputs[1] : NULL};
    vecq_op *back;

    if (inputs[0] == NULL || !vecq_gradient_wanted(g, op->inputs[0]))
        return VECQ_OK;
    VECQ_TRY(vecq_gradient_op(g, op, kind, inputs, n, op->params, sizeof(vecq_pool_params), 0, &back, err));
    return vecq_gradient_add(g, op->inputs[0], back->outputs[0], err);
}

vecq_status vecq_op_max_pool_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return pool_backward(g, op, VECQ_OP_MAX_POOL_GRAD, 2, err);
}

vecq_status vecq_op_average_pool_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return pool_backward(g, op, VECQ_OP_AVERAGE_POOL_GRAD, 1, err);
}

/* ---- from ONNX ---- */

/* Places in the whole tensor from places in a plane; with storage_order=1 columns of a plane come first. */
static vecq_status pool_indices(vecq_lower *l, const vecq_node *node, const vecq_var *x, vecq_var *workspace,
                                vecq_var **out, vecq_error *err)
{
    const char *name = vecq_node_label(node);
    const vecq_cast_params cast = {.to = VECQ_DT_INT64};
    int64_t dims[2 + VECQ_SPATIAL_MAX] = {x->dims[0], x->dims[1], 1, 1, 1};
    int64_t plane = 1;
    vecq_var *at, *row, *first;
    vecq_tensor tensor;
    unsigned i;
    size_t k;

    for (i = 2; i < x->rank; i++)
        plane *= x->dims[i];
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_CAST, name, workspace, &cast, sizeof cast, &at, err));
    if (vecq_node_attr_int(node, "storage_order", 0) != 0) {
        if (x->rank != 4)
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "storage_order=1 with %u spatial dimensions",
                                  x->rank - 2);
        VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_DIV, name, at, (double)x->dims[3], &row, err));
        VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_MOD, name, at, (double)x->dims[3], &at, err));
        VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_MUL, name, at, (double)x->dims[2], &at, err));
        VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_ADD, name, at, row, NULL, 0, &at, err));
    }
    VECQ_TRY(vecq_tensor_create(VECQ_DT_INT64, x->rank, dims, &tensor, err));
    for (k = 0; k < tensor.count; k++)
        ((int64_t *)tensor.data)[k] = (int64_t)k * plane;
    VECQ_TRY(vecq_program_constant(l->program, name, &tensor, &first, err));
    return vecq_program_op2(l->program, VECQ_OP_ADD, name, at, first, NULL, 0, out, err);
}

static vecq_status pool_add(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, vecq_var *const *in,
                            const vecq_window *window, vecq_pool_params *params, vecq_var **out,
                            vecq_error *err)
{
    vecq_op *op;

    params->with_places = node->n_outputs > 1 && node->outputs[1] != NULL;
    params->spatial = window->spatial;
    memcpy(params->kernel, window->kernel, sizeof params->kernel);
    memcpy(params->stride, window->stride, sizeof params->stride);
    memcpy(params->dilation, window->dilation, sizeof params->dilation);
    memcpy(params->pad_begin, window->pad_begin, sizeof params->pad_begin);
    memcpy(params->pad_end, window->pad_end, sizeof params->pad_end);
    VECQ_TRY(
        vecq_program_op(l->program, kind, vecq_node_label(node), in, 1, params, sizeof *params, 0, &op, err));
    out[0] = op->outputs[0];
    if (params->with_places)
        return pool_indices(l, node, in[0], op->outputs[1], &out[1], err);
    return VECQ_OK;
}

static vecq_status pool_lower(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, vecq_var *const *in,
                              vecq_var **out, vecq_error *err)
{
    vecq_pool_params params;
    vecq_window window;

    memset(&params, 0, sizeof params);
    memset(&window, 0, sizeof window);
    if (node->n_inputs < 1 || in[0] == NULL)
        return vecq_op_fail(err, "the input is missing");
    VECQ_TRY(vecq_window_spatial(in[0], &window.spatial, err));
    VECQ_TRY(vecq_lower_attr_ints(node, "kernel_shape", 0, window.spatial, window.kernel, err));
    VECQ_TRY(vecq_window_read(node, &window, err));
    VECQ_TRY(vecq_window_pad_same(in[0], &window, err));
    params.ceil_mode = vecq_node_attr_int(node, "ceil_mode", 0) != 0;
    params.include_pad =
        kind == VECQ_OP_AVERAGE_POOL && vecq_node_attr_int(node, "count_include_pad", 0) != 0;
    return pool_add(l, node, kind, in, &window, &params, out, err);
}

vecq_status vecq_lower_max_pool(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                vecq_error *err)
{
    vecq_var *x;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    VECQ_TRY(vecq_lower_widen(l, vecq_node_label(node), in[0], &x, err));
    VECQ_TRY(pool_lower(l, node, VECQ_OP_MAX_POOL, &x, out, err));
    return vecq_lower_narrow(l, vecq_node_label(node), out[0], in[0], &out[0], err);
}

vecq_status vecq_lower_average_pool(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                    vecq_error *err)
{
    return pool_lower(l, node, VECQ_OP_AVERAGE_POOL, in, out, err);
}

static vecq_status pool_global(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, vecq_var *const *in,
                               vecq_var **out, vecq_error *err)
{
    vecq_pool_params params;
    vecq_window window;
    unsigned i;

    memset(&params, 0, sizeof params);
    memset(&window, 0, sizeof window);
    if (node->n_inputs < 1 || in[0] == NULL)
        return vecq_op_fail(err, "the input is missing");
    VECQ_TRY(vecq_window_spatial(in[0], &window.spatial, err));
    for (i = 0; i < window.spatial; i++) {
        window.kernel[i] = in[0]->dims[2 + i];
        window.stride[i] = window.dilation[i] = 1;
    }
    return pool_add(l, node, kind, in, &window, &params, out, err);
}

vecq_status vecq_lower_global_max_pool(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                       vecq_var **out, vecq_error *err)
{
    return pool_global(l, node, VECQ_OP_MAX_POOL, in, out, err);
}

vecq_status vecq_lower_global_average_pool(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                           vecq_var **out, vecq_error *err)
{
    return pool_global(l, node, VECQ_OP_AVERAGE_POOL, in, out, err);
}
