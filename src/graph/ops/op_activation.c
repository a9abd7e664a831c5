/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX forms of functions of one number: attributes with their defaults, and activations made of several ops.
 */
#include <math.h>

#include "graph/ops/op_util.h"

/* ---- one op, no attributes ---- */

#define LOWER_UNARY(stem, symbol)                                                                            \
    vecq_status vecq_lower_##stem(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out, \
                                  vecq_error *err)                                                           \
    {                                                                                                        \
        return vecq_program_op1(l->program, VECQ_OP_##symbol, vecq_node_label(node), in[0], NULL, 0,         \
                                &out[0], err);                                                               \
    }
LOWER_UNARY(sigmoid, SIGMOID)
LOWER_UNARY(tanh, TANH)
LOWER_UNARY(hard_swish, HARD_SWISH)
LOWER_UNARY(erf, ERF)
LOWER_UNARY(softplus, SOFTPLUS)
LOWER_UNARY(exp, EXP)
LOWER_UNARY(log, LOG)
LOWER_UNARY(sqrt, SQRT)
LOWER_UNARY(reciprocal, RECIPROCAL)
LOWER_UNARY(floor, FLOOR)
LOWER_UNARY(ceil, CEIL)
LOWER_UNARY(round, ROUND)
LOWER_UNARY(sin, SIN)
LOWER_UNARY(cos, COS)
LOWER_UNARY(tan, TAN)
LOWER_UNARY(asin, ASIN)
LOWER_UNARY(acos, ACOS)
LOWER_UNARY(atan, ATAN)
LOWER_UNARY(sinh, SINH)
LOWER_UNARY(cosh, COSH)
LOWER_UNARY(asinh, ASINH)
LOWER_UNARY(acosh, ACOSH)
LOWER_UNARY(atanh, ATANH)

/* ---- of integers too ---- */

static vecq_status op1(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, vecq_var *x, vecq_var **out,
                       vecq_error *err)
{
    return vecq_program_op1(l->program, kind, vecq_node_label(node), x, NULL, 0, out, err);
}

static vecq_status op2(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, vecq_var *a, vecq_var *b,
                       vecq_var **out, vecq_error *err)
{
    return vecq_program_op2(l->program, kind, vecq_node_label(node), a, b, NULL, 0, out, err);
}

static vecq_status number(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, vecq_var *x, double value,
                          vecq_var **out, vecq_error *err)
{
    return vecq_lower_with_number(l, kind, vecq_node_label(node), x, value, out, err);
}

static int is_unsigned(const vecq_var *x)
{
    return x->dtype == VECQ_DT_UINT8 || x->dtype == VECQ_DT_UINT16 || x->dtype == VECQ_DT_UINT32 ||
           x->dtype == VECQ_DT_UINT64;
}

vecq_status vecq_lower_relu(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    if (vecq_var_is_float(in[0]))
        return op1(l, node, VECQ_OP_RELU, in[0], &out[0], err);
    return number(l, node, VECQ_OP_MAX, in[0], 0, &out[0], err);
}

/* x * -1: wraps as 0 - x does. */
vecq_status vecq_lower_neg(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    if (vecq_var_is_float(in[0]))
        return op1(l, node, VECQ_OP_NEG, in[0], &out[0], err);
    return number(l, node, VECQ_OP_MUL, in[0], -1, &out[0], err);
}

vecq_status vecq_lower_abs(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    vecq_var *negative;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    if (vecq_var_is_float(in[0]))
        return op1(l, node, VECQ_OP_ABS, in[0], &out[0], err);
    out[0] = in[0];
    if (is_unsigned(in[0]))
        return VECQ_OK;
    VECQ_TRY(number(l, node, VECQ_OP_MUL, in[0], -1, &negative, err));
    return op2(l, node, VECQ_OP_MAX, in[0], negative, &out[0], err);
}

vecq_status vecq_lower_sign(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    if (vecq_var_is_float(in[0]))
        return op1(l, node, VECQ_OP_SIGN, in[0], &out[0], err);
    VECQ_TRY(number(l, node, VECQ_OP_MIN, in[0], 1, &out[0], err));
    return is_unsigned(in[0]) ? VECQ_OK : number(l, node, VECQ_OP_MAX, out[0], -1, &out[0], err);
}

/* ---- one op with attributes a, b ---- */

static vecq_status lower_with(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, double a, double b,
                              vecq_var *x, vecq_var **out, vecq_error *err)
{
    vecq_unary_params params = {a, b};

    return vecq_program_op1(l->program, kind, vecq_node_label(node), x, &params, sizeof params, &out[0], err);
}

vecq_status vecq_lower_leaky_relu(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                  vecq_error *err)
{
    double alpha = (double)vecq_node_attr_float(node, "alpha", 0.01f);

    return lower_with(l, node, VECQ_OP_LEAKY_RELU, alpha, 0, in[0], out, err);
}

vecq_status vecq_lower_elu(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    double alpha = (double)vecq_node_attr_float(node, "alpha", 1.0f);

    return lower_with(l, node, VECQ_OP_ELU, alpha, 1, in[0], out, err);
}

/* x > 0 ? x : alpha * (exp(x / alpha) - 1) = alpha * Elu(x / alpha) with a slope of 1 */
vecq_status vecq_lower_celu(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    double alpha = (double)vecq_node_attr_float(node, "alpha", 1.0f);
    vecq_var *x;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    if (!(alpha != 0))
        return vecq_op_fail(err, "alpha is %g", alpha);
    VECQ_TRY(number(l, node, VECQ_OP_MUL, in[0], 1 / alpha, &x, err));
    VECQ_TRY(lower_with(l, node, VECQ_OP_ELU, 1, 1, x, &x, err));
    return number(l, node, VECQ_OP_MUL, x, alpha, &out[0], err);
}

/* gamma * (x > 0 ? x : alpha * (exp(x) - 1)): an Elu with a factor. */
vecq_status vecq_lower_selu(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    double alpha = (double)vecq_node_attr_float(node, "alpha", node->version < 6 ? 1.6732f : 1.67326319f);
    double gamma = (double)vecq_node_attr_float(node, "gamma", node->version < 6 ? 1.0507f : 1.05070102f);

    return lower_with(l, node, VECQ_OP_ELU, alpha, gamma, in[0], out, err);
}

vecq_status vecq_lower_hard_sigmoid(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                    vecq_error *err)
{
    double alpha = (double)vecq_node_attr_float(node, "alpha", 0.2f);
    double beta = (double)vecq_node_attr_float(node, "beta", 0.5f);

    return lower_with(l, node, VECQ_OP_HARD_SIGMOID, alpha, beta, in[0], out, err);
}

/* Bounds that are not known before run time, and those of integers. */
static vecq_status clip_by_ops(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    size_t i;

    out[0] = in[0];
    for (i = 1; i < node->n_inputs; i++)
        if (in[i] != NULL)
            VECQ_TRY(op2(l, node, i == 1 ? VECQ_OP_MAX : VECQ_OP_MIN, out[0], in[i], &out[0], err));
    if (!vecq_var_same_shape(out[0], in[0]))
        return vecq_op_fail(err, "a bound has more elements than the input");
    return VECQ_OK;
}

/* Bounds: attributes before version 11, then inputs; whatever is missing does not bound. */
vecq_status vecq_lower_clip(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    double bounds[2] = {-INFINITY, INFINITY};
    const vecq_attr *attr;
    int is_known = vecq_var_is_float(in[0]);
    size_t n, i;

    VECQ_TRY(vecq_lower_need(node, in, 1, 3, err));
    for (i = 1; i < node->n_inputs; i++)
        is_known &= in[i] == NULL || in[i]->kind == VECQ_VAR_CONSTANT;
    if (!is_known)
        return clip_by_ops(l, node, in, out, err);
    if ((attr = vecq_node_attr(node, "min")) != NULL && attr->type == VECQ_ATTR_FLOAT)
        bounds[0] = (double)attr->f;
    if ((attr = vecq_node_attr(node, "max")) != NULL && attr->type == VECQ_ATTR_FLOAT)
        bounds[1] = (double)attr->f;
    for (i = 1; i < node->n_inputs; i++)
        VECQ_TRY(vecq_lower_floats(in[i], i == 1 ? "the lower bound" : "the upper bound", &bounds[i - 1], 1,
                                   &n, err));
    if (bounds[0] > bounds[1]) /* the upper one counts */
        bounds[0] = bounds[1];
    if (bounds[0] == 0 && isinf(bounds[1]))
        return op1(l, node, VECQ_OP_RELU, in[0], &out[0], err);
    return lower_with(l, node, VECQ_OP_CLIP, bounds[0], bounds[1], in[0], out, err);
}

/* ---- several ops ---- */

/*
 * max(x, 0) - slope * max(-x, 0). The slope is repeated as numpy does; before version 7 one for each channel
 * was a vector of the channels.
 */
vecq_status vecq_lower_prelu(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                             vecq_error *err)
{
    vecq_var *x = in[0], *slope, *up, *down;
    int64_t dims[VECQ_MAX_RANK];
    unsigned i;

    VECQ_TRY(vecq_lower_need(node, in, 2, 2, err));
    slope = in[1];
    if (node->version < 7 && slope->rank == 1 && slope->count > 1 && x->rank > 2) {
        for (dims[0] = slope->dims[0], i = 1; i + 1 < x->rank; i++)
            dims[i] = 1;
        VECQ_TRY(vecq_lower_to_shape(l, vecq_node_label(node), slope, x->rank - 1, dims, &slope, err));
    }
    VECQ_TRY(op1(l, node, VECQ_OP_RELU, x, &up, err));
    VECQ_TRY(op1(l, node, VECQ_OP_NEG, x, &down, err));
    VECQ_TRY(op1(l, node, VECQ_OP_RELU, down, &down, err));
    VECQ_TRY(op2(l, node, VECQ_OP_MUL, down, slope, &down, err));
    VECQ_TRY(op2(l, node, VECQ_OP_SUB, up, down, &out[0], err));
    if (!vecq_var_same_shape(out[0], x))
        return vecq_op_fail(err, "the slope has more elements than the input");
    return VECQ_OK;
}

/* x * sigmoid(alpha * x) */
vecq_status vecq_lower_swish(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                             vecq_error *err)
{
    double alpha = (double)vecq_node_attr_float(node, "alpha", 1.0f);
    vecq_var *gate = in[0];

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    if (alpha != 1)
        VECQ_TRY(number(l, node, VECQ_OP_MUL, gate, alpha, &gate, err));
    VECQ_TRY(op1(l, node, VECQ_OP_SIGMOID, gate, &gate, err));
    return op2(l, node, VECQ_OP_MUL, in[0], gate, &out[0], err);
}

/* x * tanh(softplus(x)) */
vecq_status vecq_lower_mish(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    vecq_var *gate;

    VECQ_TRY(op1(l, node, VECQ_OP_SOFTPLUS, in[0], &gate, err));
    VECQ_TRY(op1(l, node, VECQ_OP_TANH, gate, &gate, err));
    return op2(l, node, VECQ_OP_MUL, in[0], gate, &out[0], err);
}

/* x / (1 + |x|) */
vecq_status vecq_lower_softsign(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                vecq_error *err)
{
    vecq_var *below;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    VECQ_TRY(op1(l, node, VECQ_OP_ABS, in[0], &below, err));
    VECQ_TRY(number(l, node, VECQ_OP_ADD, below, 1, &below, err));
    return op2(l, node, VECQ_OP_DIV, in[0], below, &out[0], err);
}

/* x/2 * (1 + erf(x / sqrt 2)), or with tanh(sqrt(2/pi) * (x + 0.044715 x^3)) for the error function. */
vecq_status vecq_lower_gelu(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    static const char *const names[] = {"none", "tanh", NULL};
    vecq_var *gate, *half;
    int is_tanh;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    VECQ_TRY(vecq_lower_attr_string(node, "approximate", names, &is_tanh, err));
    if (is_tanh) {
        VECQ_TRY(op2(l, node, VECQ_OP_MUL, in[0], in[0], &gate, err));
        VECQ_TRY(number(l, node, VECQ_OP_MUL, gate, 0.044715, &gate, err));
        VECQ_TRY(number(l, node, VECQ_OP_ADD, gate, 1, &gate, err));
        VECQ_TRY(op2(l, node, VECQ_OP_MUL, gate, in[0], &gate, err));
        VECQ_TRY(number(l, node, VECQ_OP_MUL, gate, 0.79788456080286535588, &gate, err));
        VECQ_TRY(op1(l, node, VECQ_OP_TANH, gate, &gate, err));
    } else {
        VECQ_TRY(number(l, node, VECQ_OP_MUL, in[0], 0.70710678118654752440, &gate, err));
        VECQ_TRY(op1(l, node, VECQ_OP_ERF, gate, &gate, err));
    }
    VECQ_TRY(number(l, node, VECQ_OP_ADD, gate, 1, &gate, err));
    VECQ_TRY(number(l, node, VECQ_OP_MUL, in[0], 0.5, &half, err));
    return op2(l, node, VECQ_OP_MUL, half, gate, &out[0], err);
}

/* x > alpha ? x : 0, a Where on a comparison; so that what is not a number is 0 too. */
vecq_status vecq_lower_thresholded_relu(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                        vecq_var **out, vecq_error *err)
{
    double alpha = (double)vecq_node_attr_float(node, "alpha", 1.0f);
    vecq_compare_params params = {VECQ_COMPARE_LESS};
    vecq_var *inputs[3], *bound;
    vecq_op *op;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    VECQ_TRY(
        vecq_program_fill(l->program, "alpha", in[0]->dtype, in[0]->rank, in[0]->dims, alpha, &bound, err));
    VECQ_TRY(
        vecq_program_fill(l->program, "zero", in[0]->dtype, in[0]->rank, in[0]->dims, 0, &inputs[2], err));
    VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_COMPARE, vecq_node_label(node), bound, in[0], &params,
                              sizeof params, &inputs[0], err));
    inputs[1] = in[0];
    VECQ_TRY(
        vecq_program_op(l->program, VECQ_OP_WHERE, vecq_node_label(node), inputs, 3, NULL, 0, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

/* x - bias above lambd, x + bias below -lambd, else 0: x - clip(x) is 0 within, and off by lambd beyond. */
vecq_status vecq_lower_shrink(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                              vecq_error *err)
{
    double lambda = (double)vecq_node_attr_float(node, "lambd", 0.5f);
    double bias = (double)vecq_node_attr_float(node, "bias", 0);
    vecq_var *x, *clipped, *sign;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    VECQ_TRY(vecq_lower_widen(l, vecq_node_label(node), in[0], &x, err));
    VECQ_TRY(lower_with(l, node, VECQ_OP_CLIP, -lambda, lambda, x, &clipped, err));
    VECQ_TRY(op2(l, node, VECQ_OP_SUB, x, clipped, &x, err));
    VECQ_TRY(op1(l, node, VECQ_OP_SIGN, x, &sign, err));
    VECQ_TRY(number(l, node, VECQ_OP_MUL, sign, lambda - bias, &sign, err));
    VECQ_TRY(op2(l, node, VECQ_OP_ADD, x, sign, &x, err));
    return vecq_lower_narrow(l, vecq_node_label(node), x, in[0], &out[0], err);
}

/* ---- nothing ---- */

vecq_status vecq_lower_identity(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                vecq_error *err)
{
    (void)l;
    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    out[0] = in[0];
    return VECQ_OK;
}
