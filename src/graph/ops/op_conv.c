/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv, ConvTranspose and their gradients. Both are one relation between a large image and a small one,
 *
 *     large index = small index * stride - pad_begin + kernel index * dilation,
 *
 * with weights [channels of the small one, channels of the large one / group, kernel...]: Conv gathers the
 * large one into the small one, ConvTranspose scatters the small one over the large one, and each is the
 * gradient of the other with respect to its input.
 */
#include <string.h>

#include "base/status.h"
#include "graph/gradient.h"
#include "graph/ops/window.h"

static vecq_status conv_fail_shapes(const vecq_op *op, vecq_error *err)
{
    char x[96], w[96];
    const vecq_conv_params *params = op->params;

    return vecq_op_fail(err, "input %s and weight %s do not fit together (group %lld)",
                        vecq_var_shape_text(op->inputs[0], x), vecq_var_shape_text(op->inputs[1], w),
                        (long long)params->group);
}

/* Types, ranks, the weight and the bias; fills the window. */
static vecq_status conv_check(const vecq_op *op, int is_transposed, vecq_window *window, vecq_error *err)
{
    const vecq_conv_params *params = op->params;
    const vecq_var *x = op->inputs[0], *w = op->inputs[1], *b = op->n_inputs > 2 ? op->inputs[2] : NULL;
    int64_t group = params->group, m;
    unsigned i;

    if (!vecq_var_is_float(x) || w->dtype != x->dtype || (b != NULL && b->dtype != x->dtype))
        return vecq_op_fail(err, "input of type %s, weight of type %s", vecq_dtype_name(x->dtype),
                            vecq_dtype_name(w->dtype));
    if (params->spatial < 1 || params->spatial > VECQ_SPATIAL_MAX || x->rank != params->spatial + 2 ||
        w->rank != x->rank || group < 1 || w->dims[0] < 1 || w->dims[1] < 1 || w->dims[0] % group != 0 ||
        w->dims[1] > INT32_MAX || group > INT32_MAX ||
        x->dims[1] != (is_transposed ? w->dims[0] : w->dims[1] * group))
        return conv_fail_shapes(op, err);
    m = is_transposed ? w->dims[1] * group : w->dims[0];
    if (b != NULL && (b->rank != 1 || b->dims[0] != m))
        return vecq_op_fail(err, "a bias of %zu elements for %lld channels", b->count, (long long)m);
    memset(window, 0, sizeof *window);
    window->spatial = params->spatial;
    for (i = 0; i < params->spatial; i++) {
        window->kernel[i] = w->dims[2 + i];
        window->stride[i] = params->stride[i];
        window->dilation[i] = params->dilation[i];
        window->pad_begin[i] = params->pad_begin[i];
        window->pad_end[i] = params->pad_end[i];
        if (params->output_pad[i] < 0 || params->output_pad[i] > INT32_MAX ||
            (params->output_pad[i] > 0 && !is_transposed))
            return vecq_op_fail(err, "output padding %lld", (long long)params->output_pad[i]);
    }
    return vecq_window_check(window, err);
}

vecq_status vecq_op_conv_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_var *x = op->inputs[0], *w = op->inputs[1];
    int64_t dims[2 + VECQ_SPATIAL_MAX];
    vecq_window window;
    unsigned i;

    (void)program;
    VECQ_TRY(conv_check(op, 0, &window, err));
    dims[0] = x->dims[0];
    dims[1] = w->dims[0];
    for (i = 0; i < window.spatial; i++)
        VECQ_TRY(vecq_window_count(&window, i, x->dims[2 + i], 0, &dims[2 + i], err));
    return vecq_op_set_output(op, 0, x->dtype, x->rank, dims, err);
}

/* (size - 1) * stride + extent, without the paddings; 0 when it is beyond everything. */
static int64_t full_size(const vecq_window *window, unsigned axis, int64_t size)
{
    int64_t full;

    if (__builtin_mul_overflow(size - 1, window->stride[axis], &full) ||
        __builtin_add_overflow(full, vecq_window_extent(window, axis), &full) || full > (int64_t)1 << 60)
        return 0;
    return full;
}

vecq_status vecq_op_conv_transpose_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_conv_params *params = op->params;
    const vecq_var *x = op->inputs[0], *w = op->inputs[1];
    int64_t dims[2 + VECQ_SPATIAL_MAX];
    vecq_window window;
    unsigned i;

    (void)program;
    VECQ_TRY(conv_check(op, 1, &window, err));
    dims[0] = x->dims[0];
    dims[1] = w->dims[1] * params->group;
    for (i = 0; i < window.spatial; i++) {
        int64_t full = x->dims[2 + i] > 0 ? full_size(&window, i, x->dims[2 + i]) : 0;

        dims[2 + i] = full + params->output_pad[i] - window.pad_begin[i] - window.pad_end[i];
        if (full == 0 || dims[2 + i] < 1)
            return vecq_op_fail(err, "spatial axis %u of the result would have no or too many elements", i);
    }
    return vecq_op_set_output(op, 0, x->dtype, x->rank, dims, err);
}

/* ---- gradients ---- */

static vecq_status conv_backward(vecq_gradient *g, const vecq_op *op, vecq_op_kind of_input,
                                 vecq_op_kind of_weight, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]), *inputs[2];
    const vecq_var *b = op->n_inputs > 2 ? op->inputs[2] : NULL;
    vecq_op *back;

    if (vecq_gradient_wanted(g, op->inputs[0])) {
        inputs[0] = dy;
        inputs[1] = op->inputs[1];
        VECQ_TRY(vecq_gradient_op(g, op, of_input, inputs, 2, op->params, sizeof(vecq_conv_params), 0, &back,
                                  err));
        VECQ_TRY(vecq_gradient_add(g, op->inputs[0], back->outputs[0], err));
    }
    if (!vecq_gradient_wanted(g, op->inputs[1]) && !vecq_gradient_wanted(g, b))
        return VECQ_OK;
    inputs[0] = op->inputs[0];
    inputs[1] = dy;
    VECQ_TRY(
        vecq_gradient_op(g, op, of_weight, inputs, 2, op->params, sizeof(vecq_conv_params), 0, &back, err));
    VECQ_TRY(vecq_gradient_add(g, op->inputs[1], back->outputs[0], err));
    return b != NULL ? vecq_gradient_add(g, b, back->outputs[1], err) : VECQ_OK;
}

vecq_status vecq_op_conv_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return conv_backward(g, op, VECQ_OP_CONV_GRAD_INPUT, VECQ_OP_CONV_GRAD_WEIGHT, err);
}

vecq_status vecq_op_conv_transpose_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return conv_backward(g, op, VECQ_OP_CONV_TRANSPOSE_GRAD_INPUT, VECQ_OP_CONV_TRANSPOSE_GRAD_WEIGHT, err);
}

/* dy, w -> dx */
static vecq_status grad_input_shape(vecq_op *op, vecq_error *err)
{
    const vecq_op *forward = op->forward;

    if (forward == NULL || !vecq_var_same_shape(op->inputs[0], forward->outputs[0]) ||
        !vecq_var_same_shape(op->inputs[1], forward->inputs[1]))
        return vecq_op_fail(err, "not the shapes of its forward op");
    return vecq_op_output_like(op, 0, forward->inputs[0], err);
}

/* x, dy -> dw, db */
static vecq_status grad_weight_shape(vecq_op *op, vecq_error *err)
{
    const vecq_op *forward = op->forward;

    if (forward == NULL || !vecq_var_same_shape(op->inputs[0], forward->inputs[0]) ||
        !vecq_var_same_shape(op->inputs[1], forward->outputs[0]))
        return vecq_op_fail(err, "not the shapes of its forward op");
    VECQ_TRY(vecq_op_output_like(op, 0, forward->inputs[1], err));
    return vecq_op_set_output(op, 1, op->inputs[1]->dtype, 1, &op->inputs[1]->dims[1], err);
}

vecq_status vecq_op_conv_grad_input_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return grad_input_shape(op, err);
}

vecq_status vecq_op_conv_grad_weight_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return grad_weight_shape(op, err);
}

vecq_status vecq_op_conv_transpose_grad_input_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return grad_input_shape(op, err);
}

vecq_status vecq_op_conv_transpose_grad_weight_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return grad_weight_shape(op, err);
}

/* ---- from ONNX ---- */

/* The window as the attributes say, with the kernel of the weight. */
static vecq_status conv_read(const vecq_node *node, vecq_var *const *in, vecq_window *window,
                             vecq_conv_params *params, vecq_error *err)
{
    const vecq_var *x = node->n_inputs > 0 ? in[0] : NULL, *w = node->n_inputs > 1 ? in[1] : NULL;
    int64_t kernel[VECQ_SPATIAL_MAX];
    unsigned i;

    if (x == NULL || w == NULL)
        return vecq_op_fail(err, "input or weight is missing");
    memset(window, 0, sizeof *window);
    memset(params, 0, sizeof *params);
    VECQ_TRY(vecq_window_spatial(x, &window->spatial, err));
    if (w->rank != x->rank)
        return vecq_op_fail(err, "an input with %u dimensions, a weight with %u", x->rank, w->rank);
    VECQ_TRY(vecq_lower_attr_ints(node, "kernel_shape", 0, window->spatial, kernel, err));
    for (i = 0; i < window->spatial; i++) {
        window->kernel[i] = w->dims[2 + i];
        if (kernel[i] != 0 && kernel[i] != w->dims[2 + i])
            return vecq_op_fail(err, "kernel_shape does not fit the weight");
    }
    params->spatial = window->spatial;
    params->group = vecq_node_attr_int(node, "group", 1);
    return vecq_window_read(node, window, err);
}

static vecq_status conv_add(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, vecq_var *const *in,
                            const vecq_window *window, vecq_conv_params *params, vecq_var **out,
                            vecq_error *err)
{
    size_t n = node->n_inputs > 2 && in[2] != NULL ? 3 : 2;
    vecq_op *op;

    memcpy(params->stride, window->stride, sizeof params->stride);
    memcpy(params->dilation, window->dilation, sizeof params->dilation);
    memcpy(params->pad_begin, window->pad_begin, sizeof params->pad_begin);
    memcpy(params->pad_end, window->pad_end, sizeof params->pad_end);
    VECQ_TRY(
        vecq_program_op(l->program, kind, vecq_node_label(node), in, n, params, sizeof *params, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

vecq_status vecq_lower_conv(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    vecq_conv_params params;
    vecq_window window;

    VECQ_TRY(conv_read(node, in, &window, &params, err));
    VECQ_TRY(vecq_window_pad_same(in[0], &window, err));
    return conv_add(l, node, VECQ_OP_CONV, in, &window, &params, out, err);
}

/*
 * Paddings from the size the result shall have: what it is too large is cut off. With a size out of reach of
 * the windows the rest is output padding. Split as ONNX Runtime does: NOTSET like SAME_LOWER.
 */
static vecq_status pad_to_size(vecq_window *window, unsigned axis, int64_t size, int64_t want,
                               int64_t *output_pad, vecq_error *err)
{
    int64_t full = size > 0 ? full_size(window, axis, size) : 0, total;

    if (full == 0 || want < 1 || want > (int64_t)1 << 47)
        return vecq_op_fail(err, "a result of %lld elements along spatial axis %u", (long long)want, axis);
    total = full + *output_pad - want;
    if (total < 0) {
        *output_pad -= total;
        total = 0;
    }
    vecq_window_split_pad(window->auto_pad, total, &window->pad_begin[axis], &window->pad_end[axis]);
    return VECQ_OK;
}

/* Attribute output_shape: the spatial axes, or all of them; *given 0 when it is absent. */
static vecq_status read_output_shape(const vecq_node *node, unsigned spatial, int64_t *sizes, int *given,
                                     vecq_error *err)
{
    const vecq_attr *attr = vecq_node_attr(node, "output_shape");

    *given = attr != NULL && attr->n > 0;
    if (!*given)
        return VECQ_OK;
    if (attr->type != VECQ_ATTR_INTS || (attr->n != spatial && attr->n != spatial + 2))
        return vecq_op_fail(err, "attribute 'output_shape' has %zu entries for %u spatial axes", attr->n,
                            spatial);
    memcpy(sizes, attr->ints + (attr->n - spatial), spatial * sizeof *sizes);
    return VECQ_OK;
}

vecq_status vecq_lower_conv_transpose(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                      vecq_var **out, vecq_error *err)
{
    int64_t sizes[VECQ_SPATIAL_MAX];
    vecq_conv_params params;
    vecq_window window;
    int given, same;
    unsigned i;

    VECQ_TRY(conv_read(node, in, &window, &params, err));
    VECQ_TRY(vecq_lower_attr_ints(node, "output_padding", 0, window.spatial, params.output_pad, err));
    VECQ_TRY(read_output_shape(node, window.spatial, sizes, &given, err));
    VECQ_TRY(vecq_window_check(&window, err));
    same = window.auto_pad == VECQ_AUTO_PAD_SAME_UPPER || window.auto_pad == VECQ_AUTO_PAD_SAME_LOWER;
    for (i = 0; i < window.spatial && (given || same); i++) {
        int64_t size = in[0]->dims[2 + i], want = given ? sizes[i] : 0;

        if (params.output_pad[i] < 0 || params.output_pad[i] > INT32_MAX)
            return vecq_op_fail(err, "output padding %lld", (long long)params.output_pad[i]);
        if (!given && __builtin_mul_overflow(size, window.stride[i], &want))
            want = 0;
        VECQ_TRY(pad_to_size(&window, i, size, want, &params.output_pad[i], err));
    }
    return conv_add(l, node, VECQ_OP_CONV_TRANSPOSE, in, &window, &params, out, err);
}
