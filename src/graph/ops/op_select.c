/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing: ArgMax, comparisons, Where; what is made of them: IsNaN, IsInf, OneHot, Hardmax, Trilu. */
#include <math.h>

#include "graph/ops/op_util.h"

/* ---- ArgMax ---- */

vecq_status vecq_op_arg_max_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_arg_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    int64_t dims[VECQ_MAX_RANK];
    unsigned a, rank = 0;
    char text[96];

    (void)program;
    if (params->axis >= x->rank || x->dims[params->axis] < 1)
        return vecq_op_fail(err, "axis %u of %s", params->axis, vecq_var_shape_text(x, text));
    for (a = 0; a < x->rank; a++)
        if (a != params->axis)
            dims[rank++] = x->dims[a];
        else if (params->keep_dims)
            dims[rank++] = 1;
    op->outputs[0]->is_relu = 1;
    return vecq_op_set_output(op, 0, VECQ_DT_INT64, rank, dims, err);
}

static vecq_status lower_arg(vecq_lower *l, const vecq_node *node, vecq_var *const *in, int is_min,
                             vecq_var **out, vecq_error *err)
{
    vecq_arg_params params;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    memset(&params, 0, sizeof params);
    VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", 0), in[0]->rank, &params.axis, err));
    params.keep_dims = vecq_node_attr_int(node, "keepdims", 1) != 0;
    params.is_last = vecq_node_attr_int(node, "select_last_index", 0) != 0;
    params.is_min = is_min;
    return vecq_program_op1(l->program, VECQ_OP_ARG_MAX, vecq_node_label(node), in[0], &params, sizeof params,
                            &out[0], err);
}

vecq_status vecq_lower_arg_max(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    return lower_arg(l, node, in, 0, out, err);
}

vecq_status vecq_lower_arg_min(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    return lower_arg(l, node, in, 1, out, err);
}

/* ---- comparisons ---- */

vecq_status vecq_op_compare_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_var *a = op->inputs[0], *b = op->inputs[1];
    char text[96], other[96];

    (void)program;
    if (!vecq_var_same_shape(a, b) || a->dtype != b->dtype)
        return vecq_op_fail(err, "%s %s against %s %s", vecq_dtype_name(a->dtype),
                            vecq_var_shape_text(a, text), vecq_dtype_name(b->dtype),
                            vecq_var_shape_text(b, other));
    op->outputs[0]->is_relu = 1;
    return vecq_op_set_output(op, 0, VECQ_DT_BOOL, a->rank, a->dims, err);
}

/* Two or three variables under the shape they broadcast to. */
static vecq_status expand_all(vecq_lower *l, const char *name, vecq_var **vars, size_t n, vecq_error *err)
{
    vecq_shape_params shape = {0};
    char text[96], other[96];
    unsigned a;
    size_t i;

    for (i = 0; i < n; i++)
        shape.rank = vars[i]->rank > shape.rank ? vars[i]->rank : shape.rank;
    for (a = 0; a < shape.rank; a++)
        shape.dims[a] = 1;
    for (i = 0; i < n; i++)
        for (a = 0; a < vars[i]->rank; a++) {
            int64_t *dim = &shape.dims[shape.rank - vars[i]->rank + a];

            if (*dim != 1 && vars[i]->dims[a] != 1 && vars[i]->dims[a] != *dim)
                return vecq_op_fail(err, "%s does not broadcast with %s", vecq_var_shape_text(vars[i], text),
                                    vecq_var_shape_text(vars[0], other));
            *dim = *dim == 1 ? vars[i]->dims[a] : *dim;
        }
    for (i = 0; i < n; i++)
        if (vars[i]->rank != shape.rank ||
            memcmp(vars[i]->dims, shape.dims, shape.rank * sizeof *shape.dims) != 0)
            VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_EXPAND, name, vars[i], &shape, sizeof shape,
                                      &vars[i], err));
    return VECQ_OK;
}

/* a kind b, with b kind a where ONNX has an operator for the opposite. */
static vecq_status lower_compare(vecq_lower *l, const vecq_node *node, vecq_var *const *in, int is_swapped,
                                 vecq_compare_kind kind, vecq_var **out, vecq_error *err)
{
    vecq_compare_params params = {kind};
    vecq_var *vars[2];

    VECQ_TRY(vecq_lower_need(node, in, 2, 2, err));
    if (node->version < 7 && vecq_node_attr(node, "axis") != NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "attribute 'axis' of version 1 is not covered");
    vars[0] = in[is_swapped];
    vars[1] = in[!is_swapped];
    VECQ_TRY(expand_all(l, vecq_node_label(node), vars, 2, err));
    return vecq_program_op2(l->program, VECQ_OP_COMPARE, vecq_node_label(node), vars[0], vars[1], &params,
                            sizeof params, &out[0], err);
}

#define LOWER_COMPARE(stem, is_swapped, kind)                                                                \
    vecq_status vecq_lower_##stem(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out, \
                                  vecq_error *err)                                                           \
    {                                                                                                        \
        return lower_compare(l, node, in, is_swapped, kind, out, err);                                       \
    }

LOWER_COMPARE(equal, 0, VECQ_COMPARE_EQUAL)
LOWER_COMPARE(less, 0, VECQ_COMPARE_LESS)
LOWER_COMPARE(less_equal, 0, VECQ_COMPARE_LESS_EQUAL)
LOWER_COMPARE(greater, 1, VECQ_COMPARE_LESS)
LOWER_COMPARE(greater_equal, 1, VECQ_COMPARE_LESS_EQUAL)
LOWER_COMPARE(and, 0, VECQ_COMPARE_AND)
LOWER_COMPARE(or, 0, VECQ_COMPARE_OR)
LOWER_COMPARE(xor, 0, VECQ_COMPARE_XOR)

/* x == false */
vecq_status vecq_lower_not(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    vecq_compare_params params = {VECQ_COMPARE_EQUAL};
    vecq_var *vars[2];
    vecq_tensor tensor;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    VECQ_TRY(vecq_tensor_create(VECQ_DT_BOOL, 0, NULL, &tensor, err));
    *(uint8_t *)tensor.data = 0;
    VECQ_TRY(vecq_program_constant(l->program, "false", &tensor, &vars[1], err));
    vars[0] = in[0];
    VECQ_TRY(expand_all(l, vecq_node_label(node), vars, 2, err));
    return vecq_program_op2(l->program, VECQ_OP_COMPARE, vecq_node_label(node), vars[0], vars[1], &params,
                            sizeof params, &out[0], err);
}

/* ---- Where ---- */

vecq_status vecq_op_where_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_var *which = op->inputs[0], *x = op->inputs[1], *y = op->inputs[2];
    char text[96], other[96];

    (void)program;
    if (which->dtype != VECQ_DT_BOOL || !vecq_var_same_shape(which, x) || !vecq_var_same_shape(x, y) ||
        x->dtype != y->dtype)
        return vecq_op_fail(err, "%s where %s, else %s %s", vecq_var_shape_text(x, text),
                            vecq_dtype_name(which->dtype), vecq_dtype_name(y->dtype),
                            vecq_var_shape_text(y, other));
    op->outputs[0]->is_relu = x->is_relu && y->is_relu;
    return vecq_op_output_like(op, 0, x, err);
}

vecq_status vecq_op_where_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]);
    size_t i;

    if (dy == NULL)
        return VECQ_OK;
    for (i = 1; i < 3; i++) {
        vecq_var *inputs[3] = {op->inputs[0], NULL, NULL};
        vecq_op *back;

        if (!vecq_gradient_wanted(g, op->inputs[i]))
            continue;
        inputs[i] = dy;
        VECQ_TRY(
            vecq_program_fill(g->program, "zero", dy->dtype, dy->rank, dy->dims, 0.0, &inputs[3 - i], err));
        VECQ_TRY(vecq_gradient_op(g, op, VECQ_OP_WHERE, inputs, 3, NULL, 0, 0, &back, err));
        VECQ_TRY(vecq_gradient_add(g, op->inputs[i], back->outputs[0], err));
    }
    return VECQ_OK;
}

vecq_status vecq_lower_where(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                             vecq_error *err)
{
    vecq_var *vars[3];
    vecq_op *op;

    VECQ_TRY(vecq_lower_need(node, in, 3, 3, err));
    memcpy(vars, in, sizeof vars);
    VECQ_TRY(expand_all(l, vecq_node_label(node), vars, 3, err));
    VECQ_TRY(
        vecq_program_op(l->program, VECQ_OP_WHERE, vecq_node_label(node), vars, 3, NULL, 0, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

/* out = a kind b ? x : y, everything expanded. */
static vecq_status choose(vecq_lower *l, const char *name, vecq_var *a, vecq_compare_kind kind, vecq_var *b,
                          vecq_var *x, vecq_var *y, vecq_var **out, vecq_error *err)
{
    vecq_compare_params params = {kind};
    vecq_var *pair[2] = {a, b}, *vars[3] = {NULL, x, y};
    vecq_op *op;

    VECQ_TRY(expand_all(l, name, pair, 2, err));
    VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_COMPARE, name, pair[0], pair[1], &params, sizeof params,
                              &vars[0], err));
    VECQ_TRY(expand_all(l, name, vars, 3, err));
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_WHERE, name, vars, 3, NULL, 0, 0, &op, err));
    *out = op->outputs[0];
    return VECQ_OK;
}

static vecq_status scalar(vecq_lower *l, const char *name, vecq_dtype dtype, double value, vecq_var **out,
                          vecq_error *err)
{
    return vecq_program_fill(l->program, name, dtype, 0, NULL, value, out, err);
}

/* ---- IsNaN: not equal to itself; IsInf: equal to infinity ---- */

vecq_status vecq_lower_is_nan(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                              vecq_error *err)
{
    const char *name = vecq_node_label(node);
    vecq_var *yes, *no;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    VECQ_TRY(scalar(l, name, VECQ_DT_BOOL, 1, &yes, err));
    VECQ_TRY(scalar(l, name, VECQ_DT_BOOL, 0, &no, err));
    return choose(l, name, in[0], VECQ_COMPARE_EQUAL, in[0], no, yes, &out[0], err);
}

vecq_status vecq_lower_is_inf(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                              vecq_error *err)
{
    const char *name = vecq_node_label(node);
    const int negative = vecq_node_attr_int(node, "detect_negative", 1) != 0;
    const int positive = vecq_node_attr_int(node, "detect_positive", 1) != 0;
    vecq_var *yes, *no, *bound, *found;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    VECQ_TRY(scalar(l, name, VECQ_DT_BOOL, positive, &yes, err));
    VECQ_TRY(scalar(l, name, VECQ_DT_BOOL, 0, &no, err));
    VECQ_TRY(scalar(l, name, in[0]->dtype, (double)INFINITY, &bound, err));
    VECQ_TRY(choose(l, name, in[0], VECQ_COMPARE_EQUAL, bound, yes, no, &found, err));
    VECQ_TRY(scalar(l, name, VECQ_DT_BOOL, negative, &yes, err));
    VECQ_TRY(scalar(l, name, in[0]->dtype, -(double)INFINITY, &bound, err));
    return choose(l, name, in[0], VECQ_COMPARE_EQUAL, bound, yes, found, &out[0], err);
}

/* ---- OneHot, Hardmax: an index against 0, 1, 2... along the axis ---- */

/* int64 0..n-1 along `axis` of `rank`. */
static vecq_status count_along(vecq_lower *l, const char *name, unsigned rank, unsigned axis, int64_t n,
                               vecq_var **out, vecq_error *err)
{
    int64_t dims[VECQ_MAX_RANK], i;
    vecq_tensor tensor;
    unsigned a;

    for (a = 0; a < rank; a++)
        dims[a] = a == axis ? n : 1;
    VECQ_TRY(vecq_tensor_create(VECQ_DT_INT64, rank, dims, &tensor, err));
    for (i = 0; i < n; i++)
        ((int64_t *)tensor.data)[i] = i;
    return vecq_program_constant(l->program, name, &tensor, out, err);
}

/* Indices from the end count as they do everywhere; those out of range make a row of `off`. */
static vecq_status one_hot_indices(vecq_lower *l, const char *name, vecq_var *indices, unsigned axis,
                                   double depth, vecq_var **out, vecq_error *err)
{
    int64_t dims[VECQ_MAX_RANK];
    vecq_var *zero, *turned;
    unsigned a;

    for (a = 0; a <= indices->rank; a++)
        dims[a] = a == axis ? 1 : indices->dims[a < axis ? a : a - 1];
    VECQ_TRY(vecq_lower_to_type(l, name, indices, VECQ_DT_INT64, &indices, err));
    VECQ_TRY(vecq_lower_to_shape(l, name, indices, indices->rank + 1, dims, &indices, err));
    VECQ_TRY(scalar(l, name, VECQ_DT_INT64, 0, &zero, err));
    VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_ADD, name, indices, depth, &turned, err));
    return choose(l, name, indices, VECQ_COMPARE_LESS, zero, turned, indices, out, err);
}

vecq_status vecq_lower_one_hot(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    const char *name = vecq_node_label(node);
    vecq_var *indices, *places, *on, *off;
    double depth, values[2];
    unsigned axis;
    size_t n;

    VECQ_TRY(vecq_lower_need(node, in, 3, 3, err));
    VECQ_TRY(vecq_lower_floats(in[1], "depth", &depth, 1, &n, err));
    if (n != 1 || !(depth >= 1) || depth > 1e9)
        return vecq_op_fail(err, "depth must be one number, at least 1");
    VECQ_TRY(vecq_lower_floats(in[2], "values", values, 2, &n, err));
    if (n != 2)
        return vecq_op_fail(err, "values must be two numbers");
    if (in[0]->rank + 1 > VECQ_MAX_RANK)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "indices with %u dimensions", in[0]->rank);
    VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", -1), in[0]->rank + 1, &axis, err));
    VECQ_TRY(one_hot_indices(l, name, in[0], axis, floor(depth), &indices, err));
    VECQ_TRY(count_along(l, name, indices->rank, axis, (int64_t)depth, &places, err));
    VECQ_TRY(scalar(l, name, in[2]->dtype, values[0], &off, err));
    VECQ_TRY(scalar(l, name, in[2]->dtype, values[1], &on, err));
    return choose(l, name, indices, VECQ_COMPARE_EQUAL, places, on, off, &out[0], err);
}

/* 1 for the first of the largest along the axis; before version 13 of everything from the axis on. */
vecq_status vecq_lower_hardmax(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    const char *name = vecq_node_label(node);
    vecq_arg_params params;
    int64_t flat[2] = {1, 1};
    vecq_var *x, *place, *places, *one, *zero;
    unsigned axis, a;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    x = in[0];
    VECQ_TRY(
        vecq_lower_axis(vecq_node_attr_int(node, "axis", node->version < 13 ? 1 : -1), x->rank, &axis, err));
    if (node->version < 13) {
        for (a = 0; a < x->rank; a++)
            flat[a < axis ? 0 : 1] *= x->dims[a];
        VECQ_TRY(vecq_lower_to_shape(l, name, x, 2, flat, &x, err));
        axis = 1;
    }
    memset(&params, 0, sizeof params);
    params.axis = axis;
    params.keep_dims = 1;
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_ARG_MAX, name, x, &params, sizeof params, &place, err));
    VECQ_TRY(count_along(l, name, x->rank, axis, x->dims[axis], &places, err));
    VECQ_TRY(scalar(l, name, x->dtype, 1, &one, err));
    VECQ_TRY(scalar(l, name, x->dtype, 0, &zero, err));
    VECQ_TRY(choose(l, name, place, VECQ_COMPARE_EQUAL, places, one, zero, &x, err));
    return vecq_lower_to_shape(l, name, x, in[0]->rank, in[0]->dims, &out[0], err);
}

/* ---- Trilu: a mask that is known before run time ---- */

vecq_status vecq_lower_trilu(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                             vecq_error *err)
{
    const char *name = vecq_node_label(node);
    const int is_upper = vecq_node_attr_int(node, "upper", 1) != 0;
    vecq_var *vars[3];
    vecq_tensor mask;
    vecq_op *op;
    int64_t shift = 0, row, column;
    size_t n;

    VECQ_TRY(vecq_lower_need(node, in, 1, 2, err));
    if (in[0]->rank < 2)
        return vecq_op_fail(err, "the input has %u dimensions", in[0]->rank);
    VECQ_TRY(vecq_lower_ints(node->n_inputs > 1 ? in[1] : NULL, "k", &shift, 1, &n, err));
    VECQ_TRY(vecq_tensor_create(VECQ_DT_BOOL, 2, in[0]->dims + in[0]->rank - 2, &mask, err));
    for (row = 0; row < mask.dims[0]; row++)
        for (column = 0; column < mask.dims[1]; column++)
            ((uint8_t *)mask.data)[row * mask.dims[1] + column] =
                is_upper ? column - row >= shift : column - row <= shift;
    VECQ_TRY(vecq_program_constant(l->program, name, &mask, &vars[0], err));
    vars[1] = in[0];
    VECQ_TRY(scalar(l, name, in[0]->dtype, 0, &vars[2], err));
    VECQ_TRY(expand_all(l, name, vars, 3, err));
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_WHERE, name, vars, 3, NULL, 0, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}
