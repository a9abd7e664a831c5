/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX QuantizeLinear and DequantizeLinear on activations. A pair with the same scale and zero point is one
 * op on floats, through which the gradient goes straight; integers appear only where something else reads
 * them.
 */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "graph/gradient.h"
#include "graph/lower.h"
#include "graph/ops/op_util.h"

/* ---- shapes and gradients ---- */

static vecq_status linear_check(const vecq_op *op, vecq_error *err)
{
    const vecq_linear_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    size_t i, n = 1;

    if (params == NULL || params->axis >= (int)x->rank)
        return vecq_op_fail(err, "axis %d of %u", params != NULL ? params->axis : -1, x->rank);
    if (params->axis >= 0)
        n = (size_t)x->dims[params->axis];
    for (i = 1; i < op->n_inputs; i++)
        if (op->inputs[i] != NULL && (op->inputs[i]->dtype != VECQ_DT_FLOAT || op->inputs[i]->count != n))
            return vecq_op_fail(err, "%zu scales or zero points, it takes %zu", op->inputs[i]->count, n);
    return VECQ_OK;
}

vecq_status vecq_op_quantize_linear_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_var *x = op->inputs[0];

    (void)program;
    VECQ_TRY(linear_check(op, err));
    if (!vecq_var_is_float(x))
        return vecq_op_fail(err, "it takes floats, not %s", vecq_dtype_name(x->dtype));
    return vecq_op_set_output(op, 0, ((const vecq_linear_params *)op->params)->dtype, x->rank, x->dims, err);
}

vecq_status vecq_op_dequantize_linear_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_var *x = op->inputs[0];

    (void)program;
    VECQ_TRY(linear_check(op, err));
    if (x->dtype != ((const vecq_linear_params *)op->params)->dtype)
        return vecq_op_fail(err, "it takes %s, not %s",
                            vecq_dtype_name(((const vecq_linear_params *)op->params)->dtype),
                            vecq_dtype_name(x->dtype));
    return vecq_op_set_output(op, 0, VECQ_DT_FLOAT, x->rank, x->dims, err);
}

vecq_status vecq_op_quantize_pair_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(linear_check(op, err));
    if (!vecq_var_is_float(op->inputs[0]))
        return vecq_op_fail(err, "it takes floats, not %s", vecq_dtype_name(op->inputs[0]->dtype));
    op->outputs[0]->is_relu = op->inputs[0]->is_relu;
    return vecq_op_output_like(op, 0, op->inputs[0], err);
}

vecq_status vecq_op_quantize_pair_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]);

    return dy != NULL ? vecq_gradient_add(g, op->inputs[0], dy, err) : VECQ_OK;
}

/* ---- from ONNX ---- */

typedef struct integer_type {
    vecq_dtype dtype; /* of the model; below 8 bits a byte holds it */
    double low, high;
} integer_type;

static const integer_type integer_types[] = {
    {VECQ_DT_UINT8, 0, 255},
    {VECQ_DT_INT8, -128, 127},
    {VECQ_DT_UINT16, 0, 65535},
    {VECQ_DT_INT16, -32768, 32767},
    {VECQ_DT_INT32, INT32_MIN, INT32_MAX},
    {VECQ_DT_UINT4, 0, 15},
    {VECQ_DT_INT4, -8, 7},
    {VECQ_DT_UINT2, 0, 3},
    {VECQ_DT_INT2, -2, 1},
};

static vecq_status integer_of(vecq_dtype dtype, vecq_linear_params *params, vecq_error *err)
{
    size_t i;

    for (i = 0; i < sizeof integer_types / sizeof *integer_types; i++)
        if (integer_types[i].dtype == dtype) {
            params->dtype = vecq_program_type(dtype);
            params->low = integer_types[i].low;
            params->high = integer_types[i].high;
            return VECQ_OK;
        }
    return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "activations of type %s are not supported",
                          vecq_dtype_name(dtype));
}

/* Scales [1] or [C] as float; NULL stays NULL. */
static vecq_status as_floats(vecq_lower *l, const vecq_node *node, vecq_var *var, vecq_var **out,
                             vecq_error *err)
{
    const int64_t n = var != NULL ? (int64_t)var->count : 0;
    vecq_tensor tensor;
    size_t i;

    *out = NULL;
    if (var == NULL)
        return VECQ_OK;
    if (var->kind != VECQ_VAR_CONSTANT) {
        VECQ_TRY(vecq_lower_to_shape(l, vecq_node_label(node), var, 1, &n, &var, err));
        return vecq_lower_to_type(l, vecq_node_label(node), var, VECQ_DT_FLOAT, out, err);
    }
    VECQ_TRY(vecq_tensor_create(VECQ_DT_FLOAT, 1, &n, &tensor, err));
    for (i = 0; i < var->count; i++)
        ((float *)tensor.data)[i] = (float)vecq_lower_number(var, i);
    return vecq_program_constant(l->program, vecq_node_label(node), &tensor, out, err);
}

/* Scale and zero point as floats, and the axis they go along. */
static vecq_status linear_inputs(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                 vecq_var *inputs[3], vecq_linear_params *params, vecq_error *err)
{
    unsigned axis = 0;
    size_t i;

    if (node->n_inputs < 2 || in[0] == NULL || in[1] == NULL)
        return vecq_op_fail(err, "the scale is missing");
    inputs[0] = in[0];
    VECQ_TRY(as_floats(l, node, in[1], &inputs[1], err));
    VECQ_TRY(as_floats(l, node, node->n_inputs > 2 ? in[2] : NULL, &inputs[2], err));
    for (i = 0; i < inputs[1]->count && inputs[1]->kind == VECQ_VAR_CONSTANT; i++) {
        float scale = ((const float *)inputs[1]->constant.data)[i];

        if (!(scale > 0) || !isfinite(scale))
            return vecq_op_fail(err, "scale %zu is %g", i, (double)scale);
    }
    if (inputs[2] != NULL && inputs[2]->count != inputs[1]->count)
        return vecq_op_fail(err, "%zu scales and %zu zero points", inputs[1]->count, inputs[2]->count);
    params->axis = -1;
    if (in[1]->rank == 1 && inputs[1]->count != 1) {
        if (node->version < 13)
            return vecq_op_fail(err, "several scales before opset 13");
        VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", 1), in[0]->rank, &axis, err));
        params->axis = (int)axis;
    }
    return VECQ_OK;
}

static int same_constants(const vecq_var *a, const vecq_var *b)
{
    size_t i;

    if ((a != NULL && a->kind != VECQ_VAR_CONSTANT) || (b != NULL && b->kind != VECQ_VAR_CONSTANT))
        return a == b;

    for (i = 0; i < (a != NULL ? a->count : b != NULL ? b->count : 0); i++) {
        float x = a != NULL ? ((const float *)a->constant.data)[i] : 0.0f;
        float y = b != NULL ? ((const float *)b->constant.data)[i] : 0.0f;

        if ((a != NULL && b != NULL && a->count != b->count) || x != y)
            return 0;
    }
    return 1;
}

/* Blocks: scale and zero point have a value for block_size elements of an axis. */
static int is_blocked(const vecq_node *node, vecq_var *const *in)
{
    return node->version >= 21 && vecq_node_attr_int(node, "block_size", 0) > 0 && in[1] != NULL &&
           in[1]->rank > 1;
}

/* Each value repeated for its block, as many elements as x has: looked up along the axis. */
static vecq_status spread(vecq_lower *l, const vecq_node *node, const vecq_var *x, vecq_var *blocks,
                          vecq_var **out, vecq_error *err)
{
    const int64_t size = vecq_node_attr_int(node, "block_size", 0);
    vecq_axis_params params = {.axis = 0};
    vecq_tensor tensor;
    vecq_var *index;
    char text[96], other[96];
    int64_t i;
    unsigned a;

    VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", 1), x->rank, &params.axis, err));
    for (a = 0; a < x->rank && blocks->rank == x->rank; a++)
        if (blocks->dims[a] != (a == params.axis ? x->dims[a] / size + (x->dims[a] % size != 0) : x->dims[a]))
            break;
    if (blocks->rank != x->rank || a < x->rank)
        return vecq_op_fail(err, "scales or zero points %s for blocks of %lld of %s",
                            vecq_var_shape_text(blocks, text), (long long)size,
                            vecq_var_shape_text(x, other));
    VECQ_TRY(vecq_tensor_create(VECQ_DT_INT64, 1, &x->dims[params.axis], &tensor, err));
    for (i = 0; i < x->dims[params.axis]; i++)
        ((int64_t *)tensor.data)[i] = i / size;
    VECQ_TRY(vecq_program_constant(l->program, vecq_node_label(node), &tensor, &index, err));
    VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_GATHER, vecq_node_label(node), blocks, index, &params,
                              sizeof params, out, err));
    return vecq_lower_to_type(l, vecq_node_label(node), *out, VECQ_DT_FLOAT, out, err);
}

static vecq_status quantize_blocks(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                   const vecq_linear_params *params, vecq_var **out, vecq_error *err)
{
    const vecq_unary_params range = {params->low, params->high};
    const char *name = vecq_node_label(node);
    vecq_var *x, *scale, *zero;

    VECQ_TRY(vecq_lower_to_type(l, name, in[0], VECQ_DT_FLOAT, &x, err));
    VECQ_TRY(spread(l, node, x, in[1], &scale, err));
    VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_DIV, name, x, scale, NULL, 0, &x, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_ROUND, name, x, NULL, 0, &x, err));
    if (node->n_inputs > 2 && in[2] != NULL) {
        VECQ_TRY(spread(l, node, x, in[2], &zero, err));
        VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_ADD, name, x, zero, NULL, 0, &x, err));
    }
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_CLIP, name, x, &range, sizeof range, &x, err));
    return vecq_lower_to_type(l, name, x, params->dtype, out, err);
}

static vecq_status dequantize_blocks(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                     vecq_var **out, vecq_error *err)
{
    const char *name = vecq_node_label(node);
    vecq_var *x, *scale, *zero;

    VECQ_TRY(vecq_lower_to_type(l, name, in[0], VECQ_DT_FLOAT, &x, err));
    VECQ_TRY(spread(l, node, x, in[1], &scale, err));
    if (node->n_inputs > 2 && in[2] != NULL) {
        VECQ_TRY(spread(l, node, x, in[2], &zero, err));
        VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_SUB, name, x, zero, NULL, 0, &x, err));
    }
    return vecq_program_op2(l->program, VECQ_OP_MUL, name, x, scale, NULL, 0, out, err);
}

vecq_status vecq_lower_quantize_linear(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                       vecq_var **out, vecq_error *err)
{
    vecq_linear_params params = {.axis = -1};
    vecq_dtype dtype = (vecq_dtype)vecq_node_attr_int(node, "output_dtype", VECQ_DT_UNDEFINED);
    vecq_var *inputs[3] = {NULL, NULL, NULL};
    vecq_op *op;

    if (node->n_inputs > 2 && in[2] != NULL)
        dtype = vecq_lower_type(node->inputs[2], in[2]);
    VECQ_TRY(integer_of(dtype == VECQ_DT_UNDEFINED ? VECQ_DT_UINT8 : dtype, &params, err));
    if (params.dtype == VECQ_DT_INT32)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "activations of type int32 are not supported");
    if (is_blocked(node, in))
        return quantize_blocks(l, node, in, &params, &out[0], err);
    VECQ_TRY(linear_inputs(l, node, in, inputs, &params, err));
    if (!vecq_var_is_float(inputs[0]))
        VECQ_TRY(vecq_lower_to_type(l, vecq_node_label(node), in[0], VECQ_DT_FLOAT, &inputs[0], err));
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_QUANTIZE_LINEAR, vecq_node_label(node), inputs,
                             inputs[2] != NULL ? 3 : 2, &params, sizeof params, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

vecq_status vecq_lower_dequantize_linear(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                         vecq_var **out, vecq_error *err)
{
    vecq_linear_params params = {.axis = -1};
    vecq_var *inputs[3] = {NULL, NULL, NULL};
    vecq_op_kind kind = VECQ_OP_DEQUANTIZE_LINEAR;
    const vecq_op *from;
    vecq_op *op;

    if (in[0] == NULL)
        return vecq_op_fail(err, "the input is missing");
    VECQ_TRY(integer_of(in[0]->dtype, &params, err));
    if (node->n_inputs > 1 && is_blocked(node, in))
        return dequantize_blocks(l, node, in, &out[0], err);
    VECQ_TRY(linear_inputs(l, node, in, inputs, &params, err));
    from = in[0]->producer;
    if (from != NULL && from->kind == VECQ_OP_QUANTIZE_LINEAR &&
        ((const vecq_linear_params *)from->params)->axis == params.axis &&
        same_constants(from->inputs[1], inputs[1]) &&
        same_constants(from->n_inputs > 2 ? from->inputs[2] : NULL, inputs[2])) {
        kind = VECQ_OP_QUANTIZE_PAIR;
        params.low = ((const vecq_linear_params *)from->params)->low;
        params.high = ((const vecq_linear_params *)from->params)->high;
        inputs[0] = from->inputs[0];
    }
    VECQ_TRY(vecq_program_op(l->program, kind, vecq_node_label(node), inputs, inputs[2] != NULL ? 3 : 2,
                             &params, sizeof params, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}
