/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing: ArgMax, comparisons, Where; OneHot. */
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

/* ---- OneHot: rows of a table with `on` on its diagonal ---- */

#define ONE_HOT_MAX 4096 /* classes: the table has their square */

static vecq_status one_hot_table(vecq_lower *l, const char *name, vecq_dtype dtype, int64_t depth, double off,
                                 double on, vecq_var **out, vecq_error *err)
{
    const int64_t dims[2] = {depth, depth};
    vecq_tensor tensor;
    int64_t i;

    VECQ_TRY(vecq_tensor_create(dtype, 2, dims, &tensor, err));
    for (i = 0; i < depth * depth; i++) {
        double value = i / depth == i % depth ? on : off;

        if (dtype == VECQ_DT_FLOAT)
            ((float *)tensor.data)[i] = (float)value;
        else if (dtype == VECQ_DT_INT64)
            ((int64_t *)tensor.data)[i] = (int64_t)value;
        else
            ((int32_t *)tensor.data)[i] = (int32_t)value;
    }
    return vecq_program_constant(l->program, name, &tensor, out, err);
}

vecq_status vecq_lower_one_hot(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    const char *name = vecq_node_label(node);
    vecq_transpose_params perm = {{0}};
    vecq_cast_params cast = {VECQ_DT_INT64};
    vecq_axis_params first = {.axis = 0};
    vecq_var *indices, *table, *rows;
    double depth, values[2];
    unsigned axis, a, from;
    size_t n;

    VECQ_TRY(vecq_lower_need(node, in, 3, 3, err));
    indices = in[0];
    VECQ_TRY(vecq_lower_floats(in[1], "depth", &depth, 1, &n, err));
    if (n != 1 || !(depth >= 1) || depth > ONE_HOT_MAX)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "depth must be one number from 1 to %d",
                              ONE_HOT_MAX);
    VECQ_TRY(vecq_lower_floats(in[2], "values", values, 2, &n, err));
    if (n != 2 ||
        (in[2]->dtype != VECQ_DT_FLOAT && in[2]->dtype != VECQ_DT_INT64 && in[2]->dtype != VECQ_DT_INT32))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "values must be two numbers of type float32, int32 or int64");
    VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", -1), indices->rank + 1, &axis, err));
    VECQ_TRY(one_hot_table(l, name, in[2]->dtype, (int64_t)depth, values[0], values[1], &table, err));
    if (indices->dtype != VECQ_DT_INT32 && indices->dtype != VECQ_DT_INT64)
        VECQ_TRY(
            vecq_program_op1(l->program, VECQ_OP_CAST, name, indices, &cast, sizeof cast, &indices, err));
    VECQ_TRY(
        vecq_program_op2(l->program, VECQ_OP_GATHER, name, table, indices, &first, sizeof first, &rows, err));
    if (axis == indices->rank) {
        out[0] = rows;
        return VECQ_OK;
    }
    for (a = 0, from = 0; a < rows->rank; a++)
        perm.perm[a] = a == axis ? indices->rank : from++;
    return vecq_program_op1(l->program, VECQ_OP_TRANSPOSE, name, rows, &perm, sizeof perm, &out[0], err);
}
