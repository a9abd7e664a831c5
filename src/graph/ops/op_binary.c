/* SPDX-License-Identifier: Apache-2.0 */
/* Add, Sub, Mul, Div, Max, Min, Pow, remainders and operations on bits of two tensors, with numpy's
 * broadcasting. Integers wrap. */
#include "graph/ops/op_util.h"

enum { TAKES_REALS = 1, TAKES_SIGNED = 2, TAKES_UNSIGNED = 4 };

static int operand_class(vecq_dtype dtype)
{
    switch (dtype) {
    case VECQ_DT_FLOAT:
    case VECQ_DT_DOUBLE:
        return TAKES_REALS;
    case VECQ_DT_INT8:
    case VECQ_DT_INT16:
    case VECQ_DT_INT32:
    case VECQ_DT_INT64:
        return TAKES_SIGNED;
    case VECQ_DT_UINT8:
    case VECQ_DT_UINT16:
    case VECQ_DT_UINT32:
    case VECQ_DT_UINT64:
        return TAKES_UNSIGNED;
    default:
        return 0;
    }
}

/* Shape of the result: axes are matched from the last one, a length of 1 is repeated. */
static vecq_status typed_shape(vecq_op *op, int takes, vecq_error *err)
{
    const vecq_var *a = op->inputs[0], *b = op->inputs[1];
    unsigned rank = a->rank > b->rank ? a->rank : b->rank, i;
    int64_t dims[VECQ_MAX_RANK];
    char text_a[96], text_b[96];

    if ((operand_class(a->dtype) & takes) == 0 || a->dtype != b->dtype)
        return vecq_op_fail(err, "operands of types %s and %s", vecq_dtype_name(a->dtype),
                            vecq_dtype_name(b->dtype));
    for (i = 0; i < rank; i++) { /* from the last axis */
        int64_t da = i < a->rank ? a->dims[a->rank - 1 - i] : 1;
        int64_t db = i < b->rank ? b->dims[b->rank - 1 - i] : 1;

        if (da != db && da != 1 && db != 1)
            return vecq_op_fail(err, "%s and %s do not fit together", vecq_var_shape_text(a, text_a),
                                vecq_var_shape_text(b, text_b));
        dims[rank - 1 - i] = da == 1 ? db : da;
    }
    return vecq_op_set_output(op, 0, a->dtype, rank, dims, err);
}

static vecq_status binary_shape(vecq_op *op, vecq_error *err)
{
    return typed_shape(op, TAKES_REALS | TAKES_SIGNED | TAKES_UNSIGNED, err);
}

vecq_status vecq_op_add_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(binary_shape(op, err));
    op->outputs[0]->is_relu = op->inputs[0]->is_relu && op->inputs[1]->is_relu;
    return VECQ_OK;
}

vecq_status vecq_op_sub_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return binary_shape(op, err);
}

vecq_status vecq_op_mul_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    return vecq_op_add_shape(program, op, err);
}

vecq_status vecq_op_div_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    return vecq_op_add_shape(program, op, err);
}

vecq_status vecq_op_max_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(binary_shape(op, err));
    op->outputs[0]->is_relu = op->inputs[0]->is_relu || op->inputs[1]->is_relu;
    return VECQ_OK;
}

vecq_status vecq_op_min_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    return vecq_op_add_shape(program, op, err);
}

vecq_status vecq_op_pow_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(typed_shape(op, TAKES_REALS, err));
    op->outputs[0]->is_relu = op->inputs[0]->is_relu;
    return VECQ_OK;
}

#define BINARY_SHAPE(stem, takes)                                                                            \
    vecq_status vecq_op_##stem##_shape(vecq_program *program, vecq_op *op, vecq_error *err)                  \
    {                                                                                                        \
        (void)program;                                                                                       \
        return typed_shape(op, takes, err);                                                                  \
    }
BINARY_SHAPE(fmod, TAKES_REALS | TAKES_SIGNED | TAKES_UNSIGNED)
BINARY_SHAPE(mod, TAKES_REALS | TAKES_SIGNED | TAKES_UNSIGNED)
BINARY_SHAPE(bit_and, TAKES_SIGNED | TAKES_UNSIGNED)
BINARY_SHAPE(bit_or, TAKES_SIGNED | TAKES_UNSIGNED)
BINARY_SHAPE(bit_xor, TAKES_SIGNED | TAKES_UNSIGNED)
BINARY_SHAPE(shift_left, TAKES_SIGNED | TAKES_UNSIGNED)
BINARY_SHAPE(shift_right, TAKES_SIGNED | TAKES_UNSIGNED)

/* ---- gradients: of the full shape first, then summed back over what was repeated ---- */

vecq_status vecq_op_add_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]);

    VECQ_TRY(vecq_gradient_add_broadcast(g, op->inputs[0], dy, err));
    return vecq_gradient_add_broadcast(g, op->inputs[1], dy, err);
}

vecq_status vecq_op_sub_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]), *db;

    VECQ_TRY(vecq_gradient_add_broadcast(g, op->inputs[0], dy, err));
    if (!vecq_gradient_wanted(g, op->inputs[1]))
        return VECQ_OK;
    VECQ_TRY(vecq_grad_op1(g, op, VECQ_OP_NEG, dy, NULL, 0, &db, err));
    return vecq_gradient_add_broadcast(g, op->inputs[1], db, err);
}

vecq_status vecq_op_mul_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]), *d;
    size_t i;

    for (i = 0; i < 2; i++) {
        if (!vecq_gradient_wanted(g, op->inputs[i]))
            continue;
        VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_MUL, dy, op->inputs[1 - i], NULL, 0, &d, err));
        VECQ_TRY(vecq_gradient_add_broadcast(g, op->inputs[i], d, err));
    }
    return VECQ_OK;
}

/* y = a / b: da = dy / b, db = -da * y. */
vecq_status vecq_op_div_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]), *da, *db;

    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_DIV, dy, op->inputs[1], NULL, 0, &da, err));
    VECQ_TRY(vecq_gradient_add_broadcast(g, op->inputs[0], da, err));
    if (!vecq_gradient_wanted(g, op->inputs[1]))
        return VECQ_OK;
    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_MUL, da, op->outputs[0], NULL, 0, &db, err));
    VECQ_TRY(vecq_grad_op1(g, op, VECQ_OP_NEG, db, NULL, 0, &db, err));
    return vecq_gradient_add_broadcast(g, op->inputs[1], db, err);
}

/*
 * max(a, b) = b + relu(a - b): where a is the larger one it takes the whole gradient, elsewhere (equal ones
 * included) b does. Min is the same with the sign of the difference turned.
 */
static vecq_status extreme_gradient(vecq_gradient *g, const vecq_op *op, int is_min, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]), *difference, *da, *db;

    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_SUB, op->inputs[is_min ? 1 : 0], op->inputs[is_min ? 0 : 1], NULL,
                           0, &difference, err));
    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_RELU_GRAD, dy, difference, NULL, 0, &da, err));
    VECQ_TRY(vecq_gradient_add_broadcast(g, op->inputs[0], da, err));
    if (!vecq_gradient_wanted(g, op->inputs[1]))
        return VECQ_OK;
    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_SUB, dy, da, NULL, 0, &db, err));
    return vecq_gradient_add_broadcast(g, op->inputs[1], db, err);
}

vecq_status vecq_op_max_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return extreme_gradient(g, op, 0, err);
}

vecq_status vecq_op_min_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return extreme_gradient(g, op, 1, err);
}

/* The value of a constant whose elements are all the same. */
static int constant_value(const vecq_var *var, double *out)
{
    size_t i;

    if (var->kind != VECQ_VAR_CONSTANT || var->count == 0)
        return 0;
    for (i = 0; i < var->count; i++) {
        double v = var->dtype == VECQ_DT_DOUBLE ? ((const double *)var->constant.data)[i]
                                                : (double)((const float *)var->constant.data)[i];
        if (i > 0 && v != *out)
            return 0;
        *out = v;
    }
    return 1;
}

/* da = dy * b * a^(b - 1); for a constant b of 0 or 1 without the power, which is 0 * inf or 0^0 at a = 0. */
static vecq_status pow_base_gradient(vecq_gradient *g, const vecq_op *op, vecq_var *dy, vecq_error *err)
{
    vecq_var *a = op->inputs[0], *b = op->inputs[1], *one, *less, *d;
    double value = 0;
    int is_constant = constant_value(b, &value);

    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_MUL, dy, b, NULL, 0, &d, err));
    if (!is_constant || (value != 0 && value != 1)) {
        if (is_constant && value == 2) {
            less = a;
        } else {
            VECQ_TRY(vecq_program_fill(g->program, "one", b->dtype, 0, NULL, 1.0, &one, err));
            VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_SUB, b, one, NULL, 0, &less, err));
            VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_POW, a, less, NULL, 0, &less, err));
        }
        VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_MUL, d, less, NULL, 0, &d, err));
    }
    return vecq_gradient_add_broadcast(g, a, d, err);
}

/* db = dy * y * log(a); at a = 0 the product is 0, as its limit (for b > 0), and not 0 * -inf. */
static vecq_status pow_exponent_gradient(vecq_gradient *g, const vecq_op *op, vecq_var *dy, vecq_error *err)
{
    vecq_var *tiny, *d, *log;

    VECQ_TRY(vecq_program_fill(g->program, "tiny", dy->dtype, 0, NULL, 1e-37, &tiny, err));
    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_MAX, op->inputs[0], tiny, NULL, 0, &log, err));
    VECQ_TRY(vecq_grad_op1(g, op, VECQ_OP_LOG, log, NULL, 0, &log, err));
    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_MUL, dy, op->outputs[0], NULL, 0, &d, err));
    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_MUL, d, log, NULL, 0, &d, err));
    return vecq_gradient_add_broadcast(g, op->inputs[1], d, err);
}

vecq_status vecq_op_pow_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]);

    if (vecq_gradient_wanted(g, op->inputs[0]))
        VECQ_TRY(pow_base_gradient(g, op, dy, err));
    if (vecq_gradient_wanted(g, op->inputs[1]))
        VECQ_TRY(pow_exponent_gradient(g, op, dy, err));
    return VECQ_OK;
}

/* ---- from ONNX ---- */

/*
 * Before version 7 the second operand was repeated only with broadcast=1, from axis `axis` on (absent: the
 * last axes, as later): trailing axes of length 1 make that numpy's rule.
 */
static vecq_status lower_old_operand(vecq_lower *l, const vecq_node *node, const vecq_var *a, vecq_var *b,
                                     vecq_var **out, vecq_error *err)
{
    int64_t axis = vecq_node_attr_int(node, "axis", (int64_t)a->rank - (int64_t)b->rank);
    int64_t dims[VECQ_MAX_RANK];
    unsigned i;

    *out = b;
    if (node->version >= 7 || vecq_node_attr_int(node, "broadcast", 0) == 0 || b->count == 1)
        return VECQ_OK;
    if (axis < 0)
        axis += a->rank;
    if (axis < 0 || axis > (int64_t)a->rank - (int64_t)b->rank)
        return vecq_op_fail(err, "attribute 'axis' does not fit operands of rank %u and %u", a->rank,
                            b->rank);
    for (i = 0; i < a->rank - (unsigned)axis; i++)
        dims[i] = i < b->rank ? b->dims[i] : 1;
    return vecq_lower_to_shape(l, vecq_node_label(node), b, a->rank - (unsigned)axis, dims, out, err);
}

static vecq_status lower_binary(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, vecq_var *const *in,
                                vecq_var **out, vecq_error *err)
{
    vecq_var *b;

    VECQ_TRY(vecq_lower_need(node, in, 2, 2, err));
    VECQ_TRY(lower_old_operand(l, node, in[0], in[1], &b, err));
    return vecq_program_op2(l->program, kind, vecq_node_label(node), in[0], b, NULL, 0, &out[0], err);
}

#define LOWER_BINARY(stem, symbol)                                                                           \
    vecq_status vecq_lower_##stem(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out, \
                                  vecq_error *err)                                                           \
    {                                                                                                        \
        return lower_binary(l, node, VECQ_OP_##symbol, in, out, err);                                        \
    }
LOWER_BINARY(add, ADD)
LOWER_BINARY(sub, SUB)
LOWER_BINARY(mul, MUL)
LOWER_BINARY(div, DIV)
LOWER_BINARY(bitwise_and, BIT_AND)
LOWER_BINARY(bitwise_or, BIT_OR)
LOWER_BINARY(bitwise_xor, BIT_XOR)

vecq_status vecq_lower_bit_shift(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                 vecq_error *err)
{
    static const char *const names[] = {"LEFT", "RIGHT", NULL};
    int is_right;

    if (vecq_node_attr(node, "direction") == NULL)
        return vecq_op_fail(err, "attribute 'direction' is missing");
    VECQ_TRY(vecq_lower_attr_string(node, "direction", names, &is_right, err));
    return lower_binary(l, node, is_right ? VECQ_OP_SHIFT_RIGHT : VECQ_OP_SHIFT_LEFT, in, out, err);
}

vecq_status vecq_lower_mod(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    const int is_c = vecq_node_attr_int(node, "fmod", 0) != 0;

    return lower_binary(l, node, is_c ? VECQ_OP_FMOD : VECQ_OP_MOD, in, out, err);
}

/* x with every bit turned. */
vecq_status vecq_lower_bitwise_not(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                   vecq_error *err)
{
    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    return vecq_lower_with_number(l, VECQ_OP_BIT_XOR, vecq_node_label(node), in[0], -1, &out[0], err);
}

/* The exponent may be of another type (version 12 on): a constant, nearly always. Integers go through double.
 */
vecq_status vecq_lower_pow(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    const char *name = vecq_node_label(node);
    vecq_var *base, *power;
    double exponent;
    size_t n;

    VECQ_TRY(vecq_lower_need(node, in, 2, 2, err));
    VECQ_TRY(lower_old_operand(l, node, in[0], in[1], &power, err));
    VECQ_TRY(vecq_lower_widen(l, name, in[0], &base, err));
    if (power->count == 1 && power->rank <= 1 && power->kind == VECQ_VAR_CONSTANT &&
        power->dtype != base->dtype) {
        VECQ_TRY(vecq_lower_floats(power, "the exponent", &exponent, 1, &n, err));
        VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_POW, name, base, exponent, &base, err));
    } else {
        VECQ_TRY(vecq_lower_to_type(l, name, power, base->dtype, &power, err));
        VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_POW, name, base, power, NULL, 0, &base, err));
    }
    return vecq_lower_narrow(l, name, base, in[0], &out[0], err);
}

/* Max, Min, Sum, Mean of any number of inputs: one after the other. */
static vecq_status lower_chain(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, vecq_var *const *in,
                               vecq_var **out, vecq_error *err)
{
    size_t i;

    VECQ_TRY(vecq_lower_need(node, in, node->n_inputs > 0 ? node->n_inputs : 1, SIZE_MAX, err));
    out[0] = in[0];
    for (i = 1; i < node->n_inputs; i++)
        VECQ_TRY(
            vecq_program_op2(l->program, kind, vecq_node_label(node), out[0], in[i], NULL, 0, &out[0], err));
    return VECQ_OK;
}

vecq_status vecq_lower_max(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    return lower_chain(l, node, VECQ_OP_MAX, in, out, err);
}

vecq_status vecq_lower_min(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    return lower_chain(l, node, VECQ_OP_MIN, in, out, err);
}

vecq_status vecq_lower_sum(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    return lower_chain(l, node, VECQ_OP_ADD, in, out, err);
}

vecq_status vecq_lower_mean(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    VECQ_TRY(lower_chain(l, node, VECQ_OP_ADD, in, out, err));
    if (node->n_inputs == 1)
        return VECQ_OK;
    return vecq_lower_with_number(l, VECQ_OP_MUL, vecq_node_label(node), out[0], 1.0 / (double)node->n_inputs,
                                  &out[0], err);
}
