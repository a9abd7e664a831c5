/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX operators on integers: MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv, DynamicQuantizeLinear.
 * Put together from products in double, in which sums of 8-bit products are exact.
 */
#include "graph/ops/op_util.h"

static vecq_status op2(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, vecq_var *a, vecq_var *b,
                       vecq_var **out, vecq_error *err)
{
    return vecq_program_op2(l->program, kind, vecq_node_label(node), a, b, NULL, 0, out, err);
}

/* As double; a vector along `axis` of something of `rank`. */
static vecq_status along(vecq_lower *l, const vecq_node *node, vecq_var *vector, unsigned axis, unsigned rank,
                         vecq_var **out, vecq_error *err)
{
    int64_t dims[VECQ_MAX_RANK];
    unsigned a;

    VECQ_TRY(vecq_lower_to_type(l, vecq_node_label(node), vector, VECQ_DT_DOUBLE, out, err));
    if (vector->rank != 1 || vector->count == 1)
        return vector->count != 1 ? VECQ_OK
                                  : vecq_lower_to_shape(l, vecq_node_label(node), *out, 0, NULL, out, err);
    for (a = 0; a < rank; a++)
        dims[a] = a == axis ? vector->dims[0] : 1;
    return vecq_lower_to_shape(l, vecq_node_label(node), *out, rank, dims, out, err);
}

/* x - zero in double; zero may be NULL. */
static vecq_status centred(vecq_lower *l, const vecq_node *node, vecq_var *x, vecq_var *zero, unsigned axis,
                           vecq_var **out, vecq_error *err)
{
    VECQ_TRY(vecq_lower_to_type(l, vecq_node_label(node), x, VECQ_DT_DOUBLE, out, err));
    if (zero == NULL)
        return VECQ_OK;
    VECQ_TRY(along(l, node, zero, axis, x->rank, &zero, err));
    return op2(l, node, VECQ_OP_SUB, *out, zero, out, err);
}

static vecq_status product(vecq_lower *l, const vecq_node *node, vecq_var *a, vecq_var *b, vecq_var **out,
                           vecq_error *err)
{
    vecq_matmul_params params = {0, 0};

    if (a->rank < 2 || b->rank < 2)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "operands with %u and %u dimensions", a->rank,
                              b->rank);
    return vecq_program_op2(l->program, VECQ_OP_MATMUL, vecq_node_label(node), a, b, &params, sizeof params,
                            out, err);
}

static vecq_var *optional(const vecq_node *node, vecq_var *const *in, size_t i)
{
    return node->n_inputs > i ? in[i] : NULL;
}

static unsigned row_axis(const vecq_var *x)
{
    return x->rank >= 2 ? x->rank - 2 : 0;
}

static unsigned column_axis(const vecq_var *x)
{
    return x->rank >= 1 ? x->rank - 1 : 0;
}

vecq_status vecq_lower_matmul_integer(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                      vecq_var **out, vecq_error *err)
{
    vecq_var *a, *b, *y;

    VECQ_TRY(vecq_lower_need(node, in, 2, 4, err));
    VECQ_TRY(centred(l, node, in[0], optional(node, in, 2), row_axis(in[0]), &a, err));
    VECQ_TRY(centred(l, node, in[1], optional(node, in, 3), column_axis(in[1]), &b, err));
    VECQ_TRY(product(l, node, a, b, &y, err));
    return vecq_lower_to_type(l, vecq_node_label(node), y, VECQ_DT_INT32, &out[0], err);
}

vecq_status vecq_lower_conv_integer(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                    vecq_error *err)
{
    vecq_var *inputs[3] = {NULL, NULL, NULL}, *y;

    VECQ_TRY(vecq_lower_need(node, in, 2, 4, err));
    VECQ_TRY(centred(l, node, in[0], optional(node, in, 2), 0, &inputs[0], err));
    VECQ_TRY(centred(l, node, in[1], optional(node, in, 3), 0, &inputs[1], err));
    VECQ_TRY(vecq_lower_conv(l, node, inputs, &y, err));
    return vecq_lower_to_type(l, vecq_node_label(node), y, VECQ_DT_INT32, &out[0], err);
}

static int integer_range(vecq_dtype dtype, vecq_unary_params *range)
{
    range->a = dtype == VECQ_DT_INT8 ? -128 : 0;
    range->b = dtype == VECQ_DT_INT8 ? 127 : 255;
    return dtype == VECQ_DT_INT8 || dtype == VECQ_DT_UINT8;
}

/* clip(round(x * a_scale * b_scale / y_scale) + y_zero) in the type of the zero point. */
static vecq_status requantize(vecq_lower *l, const vecq_node *node, vecq_var *x, vecq_var *a_scale,
                              vecq_var *b_scale, vecq_var *const *y, vecq_var **out, vecq_error *err)
{
    const char *name = vecq_node_label(node);
    vecq_unary_params range;
    vecq_var *scale, *zero;

    if (!integer_range(y[1]->dtype, &range))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "a result of type %s", vecq_dtype_name(y[1]->dtype));
    VECQ_TRY(along(l, node, y[0], row_axis(x), x->rank, &scale, err));
    VECQ_TRY(op2(l, node, VECQ_OP_DIV, a_scale, scale, &scale, err));
    VECQ_TRY(op2(l, node, VECQ_OP_MUL, x, scale, &x, err));
    VECQ_TRY(op2(l, node, VECQ_OP_MUL, x, b_scale, &x, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_ROUND, name, x, NULL, 0, &x, err));
    VECQ_TRY(along(l, node, y[1], row_axis(x), x->rank, &zero, err));
    VECQ_TRY(op2(l, node, VECQ_OP_ADD, x, zero, &x, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_CLIP, name, x, &range, sizeof range, &x, err));
    return vecq_lower_to_type(l, name, x, y[1]->dtype, out, err);
}

/* a, its scale and zero point, b, its..., scale and zero point of the result */
vecq_status vecq_lower_qlinear_matmul(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                      vecq_var **out, vecq_error *err)
{
    vecq_var *a, *b, *y, *a_scale, *b_scale;

    VECQ_TRY(vecq_lower_need(node, in, 8, 8, err));
    VECQ_TRY(centred(l, node, in[0], in[2], row_axis(in[0]), &a, err));
    VECQ_TRY(centred(l, node, in[3], in[5], column_axis(in[3]), &b, err));
    VECQ_TRY(product(l, node, a, b, &y, err));
    VECQ_TRY(along(l, node, in[1], row_axis(y), y->rank, &a_scale, err));
    VECQ_TRY(along(l, node, in[4], column_axis(y), y->rank, &b_scale, err));
    return requantize(l, node, y, a_scale, b_scale, in + 6, &out[0], err);
}

/* x, w (scale and zero point: one, or one for each output channel), y, bias (int32) */
vecq_status vecq_lower_qlinear_conv(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                    vecq_error *err)
{
    vecq_var *inputs[3] = {NULL, NULL, optional(node, in, 8)}, *y, *x_scale, *w_scale;

    VECQ_TRY(vecq_lower_need(node, in, 8, 9, err));
    VECQ_TRY(centred(l, node, in[0], in[2], 0, &inputs[0], err));
    VECQ_TRY(centred(l, node, in[3], in[5], 0, &inputs[1], err));
    if (inputs[2] != NULL)
        VECQ_TRY(vecq_lower_to_type(l, vecq_node_label(node), inputs[2], VECQ_DT_DOUBLE, &inputs[2], err));
    VECQ_TRY(vecq_lower_conv(l, node, inputs, &y, err));
    VECQ_TRY(along(l, node, in[1], 1, y->rank, &x_scale, err));
    VECQ_TRY(along(l, node, in[4], 1, y->rank, &w_scale, err));
    return requantize(l, node, y, x_scale, w_scale, in + 6, &out[0], err);
}

/* The range of x with 0 in 255 steps: scale = (max - min) / 255, zero = clip(round(-min / scale)). */
vecq_status vecq_lower_dynamic_quantize_linear(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                               vecq_var **out, vecq_error *err)
{
    const vecq_unary_params range = {0, 255};
    const char *name = vecq_node_label(node);
    vecq_reduce_params params = {.keep_dims = 0};
    vecq_var *high, *low, *scale, *divisor, *zero, *y;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    memset(params.axes, 1, in[0]->rank);
    VECQ_TRY(
        vecq_program_op1(l->program, VECQ_OP_REDUCE_MAX, name, in[0], &params, sizeof params, &high, err));
    VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_MAX, name, high, 0, &high, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_NEG, name, in[0], NULL, 0, &low, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_REDUCE_MAX, name, low, &params, sizeof params, &low, err));
    VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_MAX, name, low, 0, &low, err)); /* -min */
    VECQ_TRY(op2(l, node, VECQ_OP_ADD, high, low, &scale, err));
    VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_DIV, name, scale, 255, &scale, err));
    VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_MAX, name, scale, 1e-37, &divisor, err));
    VECQ_TRY(op2(l, node, VECQ_OP_DIV, low, divisor, &zero, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_ROUND, name, zero, NULL, 0, &zero, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_CLIP, name, zero, &range, sizeof range, &zero, err));
    VECQ_TRY(op2(l, node, VECQ_OP_DIV, in[0], divisor, &y, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_ROUND, name, y, NULL, 0, &y, err));
    VECQ_TRY(op2(l, node, VECQ_OP_ADD, y, zero, &y, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_CLIP, name, y, &range, sizeof range, &y, err));
    VECQ_TRY(vecq_lower_to_type(l, name, y, VECQ_DT_UINT8, &out[0], err));
    if (node->n_outputs > 1)
        out[1] = scale;
    return node->n_outputs > 2 ? vecq_lower_to_type(l, name, zero, VECQ_DT_UINT8, &out[2], err) : VECQ_OK;
}
