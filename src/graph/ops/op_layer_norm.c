/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalisation of rows: LayerNormalization and RMSNormalization as one op, GroupNormalization (in training
 * made of it); MeanVarianceNormalization and LpNormalization from reductions.
 */
#include "graph/ops/op_util.h"

/* ---- shapes ---- */

static size_t row_length(const vecq_var *x, unsigned axis)
{
    size_t n = 1;

    for (; axis < x->rank; axis++)
        n *= (size_t)x->dims[axis];
    return n;
}

vecq_status vecq_op_layer_norm_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_layer_norm_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    int64_t dims[VECQ_MAX_RANK];
    char text[96];
    size_t n, i;
    unsigned a;

    (void)program;
    if (!vecq_var_is_float(x) || params->axis >= x->rank)
        return vecq_op_fail(err, "axis %u of %s %s", params->axis, vecq_dtype_name(x->dtype),
                            vecq_var_shape_text(x, text));
    n = row_length(x, params->axis);
    for (i = 1; i < op->n_inputs; i++)
        if (op->inputs[i] != NULL && (op->inputs[i]->dtype != x->dtype || op->inputs[i]->count != n))
            return vecq_op_fail(err, "%s is %s %s for rows of %zu", i == 1 ? "the scale" : "the bias",
                                vecq_dtype_name(op->inputs[i]->dtype),
                                vecq_var_shape_text(op->inputs[i], text), n);
    for (a = 0; a < x->rank; a++)
        dims[a] = a < params->axis ? x->dims[a] : 1;
    VECQ_TRY(vecq_op_output_like(op, 0, x, err));
    VECQ_TRY(vecq_op_set_output(op, 1, x->dtype, x->rank, dims, err));
    return vecq_op_set_output(op, 2, x->dtype, x->rank, dims, err);
}

/* Like x, and two vectors as long as a row. */
vecq_status vecq_op_layer_norm_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_layer_norm_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    const int64_t n = (int64_t)row_length(x, params->axis);

    (void)program;
    if (op->n_inputs != 5 || op->inputs[3] == NULL || op->inputs[4] == NULL ||
        !vecq_var_same_shape(x, op->inputs[1]))
        return vecq_op_fail(err, "it is the gradient of nothing");
    VECQ_TRY(vecq_op_output_like(op, 0, x, err));
    VECQ_TRY(vecq_op_set_output(op, 1, x->dtype, 1, &n, err));
    return vecq_op_set_output(op, 2, x->dtype, 1, &n, err);
}

vecq_status vecq_op_layer_norm_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *inputs[5] = {op->inputs[0], vecq_gradient_of(g, op->outputs[0]),
                           op->n_inputs > 1 ? op->inputs[1] : NULL, op->outputs[1], op->outputs[2]};
    vecq_var *d;
    vecq_op *back;
    size_t i;

    if (vecq_gradient_of(g, op->outputs[1]) != NULL || vecq_gradient_of(g, op->outputs[2]) != NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "nothing flows back through its mean and deviation");
    if (inputs[1] == NULL)
        return VECQ_OK;
    VECQ_TRY(vecq_gradient_op(g, op, VECQ_OP_LAYER_NORM_GRAD, inputs, 5, op->params,
                              sizeof(vecq_layer_norm_params), 0, &back, err));
    for (i = 0; i < op->n_inputs; i++) {
        if (op->inputs[i] == NULL || !vecq_gradient_wanted(g, op->inputs[i]))
            continue;
        d = back->outputs[i];
        if (i > 0 && op->inputs[i]->rank != 1)
            VECQ_TRY(vecq_grad_reshape(g, op, d, op->inputs[i]->rank, op->inputs[i]->dims, &d, err));
        VECQ_TRY(vecq_gradient_add(g, op->inputs[i], d, err));
    }
    return VECQ_OK;
}

/* ---- from ONNX ---- */

/* Scale or bias repeated over a row where it has fewer elements. */
static vecq_status row_vector(vecq_lower *l, const vecq_node *node, const vecq_var *x, unsigned axis,
                              vecq_var *vector, vecq_var **out, vecq_error *err)
{
    vecq_shape_params shape = {.rank = x->rank - axis};

    *out = vector;
    if (vector == NULL || vector->count == row_length(x, axis))
        return VECQ_OK;
    memcpy(shape.dims, x->dims + axis, shape.rank * sizeof *shape.dims);
    return vecq_program_op1(l->program, VECQ_OP_EXPAND, vecq_node_label(node), vector, &shape, sizeof shape,
                            out, err);
}

/* In place of scale and bias that differ from row to row: factors after it. */
static int fits_row(const vecq_var *x, unsigned axis, const vecq_var *vector)
{
    return vector == NULL || vector->rank <= x->rank - axis;
}

static vecq_status lower_rows(vecq_lower *l, const vecq_node *node, vecq_var *const *in, size_t n_in,
                              int is_rms, vecq_var **out, vecq_error *err)
{
    vecq_layer_norm_params params = {.epsilon = (double)vecq_node_attr_float(node, "epsilon", 1e-5f),
                                     .is_rms = is_rms};
    const char *name = vecq_node_label(node);
    vecq_var *inputs[3] = {NULL, NULL, NULL}, *given[3] = {NULL, NULL, NULL};
    int is_after = 0;
    vecq_op *op;
    size_t i;

    VECQ_TRY(vecq_lower_need(node, in, 1, n_in, err));
    VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", -1), in[0]->rank, &params.axis, err));
    for (i = 0; i < node->n_inputs; i++) {
        given[i] = in[i];
        is_after |= i > 0 && !fits_row(in[0], params.axis, in[i]);
    }
    inputs[0] = in[0];
    for (i = 1; i < 3 && !is_after; i++)
        VECQ_TRY(row_vector(l, node, in[0], params.axis, given[i], &inputs[i], err));
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_LAYER_NORM, name, inputs, 3, &params, sizeof params, 0, &op,
                             err));
    for (i = 0; i < node->n_outputs && i < 3; i++)
        out[i] = op->outputs[i];
    if (is_after && given[1] != NULL)
        VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_MUL, name, out[0], given[1], NULL, 0, &out[0], err));
    if (is_after && given[2] != NULL)
        VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_ADD, name, out[0], given[2], NULL, 0, &out[0], err));
    return VECQ_OK;
}

vecq_status vecq_lower_layer_norm(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                  vecq_error *err)
{
    return lower_rows(l, node, in, 3, 0, out, err);
}

vecq_status vecq_lower_rms_norm(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                vecq_error *err)
{
    return lower_rows(l, node, in, 2, 1, out, err);
}

/* Scale and bias: one for each channel, before version 21 one for each group. */
static vecq_status group_vector(vecq_lower *l, const vecq_node *node, const vecq_var *x, int64_t groups,
                                vecq_var *vector, vecq_var **out, vecq_error *err)
{
    const char *name = vecq_node_label(node);
    const int64_t channels = x->dims[1], pair[2] = {groups, 1};
    vecq_shape_params whole = {.rank = 2, .dims = {groups, channels / groups}};

    if (vector->rank != 1 || (vector->dims[0] != channels && vector->dims[0] != groups))
        return vecq_op_fail(err, "%zu elements of scale or bias for %lld channels", vector->count,
                            (long long)channels);
    if (vector->dims[0] != channels) {
        VECQ_TRY(vecq_lower_to_shape(l, name, vector, 2, pair, &vector, err));
        VECQ_TRY(
            vecq_program_op1(l->program, VECQ_OP_EXPAND, name, vector, &whole, sizeof whole, &vector, err));
    }
    return vecq_lower_to_shape(l, name, vector, 1, &channels, out, err);
}

/* Made of LayerNorm, a product and a sum, which have gradients. scale and bias [channels]. */
static vecq_status group_norm_train(vecq_lower *l, const char *name, vecq_var *const *in,
                                    const vecq_group_norm_params *group, vecq_var **out, vecq_error *err)
{
    const int64_t rows[3] = {in[0]->dims[0], group->groups,
                             (int64_t)in[0]->count / (in[0]->dims[0] * group->groups)};
    vecq_layer_norm_params params = {.axis = 2, .epsilon = group->epsilon};
    vecq_var *x, *scale, *bias;
    int64_t dims[VECQ_MAX_RANK];
    vecq_op *op;
    unsigned a;

    for (a = 0; a + 1 < in[0]->rank; a++)
        dims[a] = a == 0 ? in[0]->dims[1] : 1;
    VECQ_TRY(vecq_lower_to_shape(l, name, in[1], in[0]->rank - 1, dims, &scale, err));
    VECQ_TRY(vecq_lower_to_shape(l, name, in[2], in[0]->rank - 1, dims, &bias, err));
    VECQ_TRY(vecq_lower_to_shape(l, name, in[0], 3, rows, &x, err));
    VECQ_TRY(
        vecq_program_op(l->program, VECQ_OP_LAYER_NORM, name, &x, 1, &params, sizeof params, 0, &op, err));
    VECQ_TRY(vecq_lower_to_shape(l, name, op->outputs[0], in[0]->rank, in[0]->dims, &x, err));
    VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_MUL, name, x, scale, NULL, 0, &x, err));
    return vecq_program_op2(l->program, VECQ_OP_ADD, name, x, bias, NULL, 0, out, err);
}

vecq_status vecq_lower_group_norm(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                  vecq_error *err)
{
    vecq_group_norm_params params = {.groups = vecq_node_attr_int(node, "num_groups", 0),
                                     .epsilon = (double)vecq_node_attr_float(node, "epsilon", 1e-5f)};
    const char *name = vecq_node_label(node);
    vecq_var *x, *inputs[3];
    vecq_op *op;
    size_t i;

    VECQ_TRY(vecq_lower_need(node, in, 3, 3, err));
    x = in[0];
    if (x->rank < 3 || x->count == 0 || params.groups < 1 || x->dims[1] % params.groups != 0)
        return vecq_op_fail(err, "%lld groups for an input with %u dimensions and %lld channels",
                            (long long)params.groups, x->rank, x->rank > 1 ? (long long)x->dims[1] : 0);
    inputs[0] = x;
    for (i = 1; i < 3; i++)
        VECQ_TRY(group_vector(l, node, x, params.groups, in[i], &inputs[i], err));
    if (l->options->is_training)
        return group_norm_train(l, name, inputs, &params, &out[0], err);
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_GROUP_NORM, name, inputs, 3, &params, sizeof params, 0, &op,
                             err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

/* (x - mean) / (deviation + 1e-9) over the axes (0, 2, 3 when absent). */
vecq_status vecq_lower_mean_variance_norm(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                          vecq_var **out, vecq_error *err)
{
    static const int64_t usual[3] = {0, 2, 3};
    const vecq_attr *attr = vecq_node_attr(node, "axes");
    const int64_t *axes = attr != NULL ? attr->ints : usual;
    const char *name = vecq_node_label(node);
    vecq_reduce_params params = {.keep_dims = 1};
    vecq_var *x, *mean, *square;
    size_t n = attr != NULL ? attr->n : 3, i;
    unsigned axis;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    if (attr != NULL && attr->type != VECQ_ATTR_INTS)
        return vecq_op_fail(err, "attribute 'axes' is no list of integers");
    for (i = 0; i < n; i++) {
        VECQ_TRY(vecq_lower_axis(axes[i], in[0]->rank, &axis, err));
        params.axes[axis] = 1;
    }
    VECQ_TRY(
        vecq_program_op1(l->program, VECQ_OP_REDUCE_MEAN, name, in[0], &params, sizeof params, &mean, err));
    VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_SUB, name, in[0], mean, NULL, 0, &x, err));
    VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_MUL, name, x, x, NULL, 0, &square, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_REDUCE_MEAN, name, square, &params, sizeof params, &square,
                              err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_SQRT, name, square, NULL, 0, &square, err));
    VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_ADD, name, square, 1e-9, &square, err));
    return vecq_program_op2(l->program, VECQ_OP_DIV, name, x, square, NULL, 0, &out[0], err);
}

/* x / norm, the sum of magnitudes or the root of the sum of squares; zeros stay zeros. */
vecq_status vecq_lower_lp_norm(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    const int64_t p = vecq_node_attr_int(node, "p", 2);
    const char *name = vecq_node_label(node);
    vecq_reduce_params params = {.keep_dims = 1};
    vecq_var *norm;
    unsigned axis;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", -1), in[0]->rank, &axis, err));
    params.axes[axis] = 1;
    if (p != 1 && p != 2)
        return vecq_op_fail(err, "p is %lld", (long long)p);
    if (p == 1)
        VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_ABS, name, in[0], NULL, 0, &norm, err));
    else
        VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_MUL, name, in[0], in[0], NULL, 0, &norm, err));
    VECQ_TRY(
        vecq_program_op1(l->program, VECQ_OP_REDUCE_SUM, name, norm, &params, sizeof params, &norm, err));
    if (p == 2)
        VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_SQRT, name, norm, NULL, 0, &norm, err));
    VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_MAX, name, norm, 1e-37, &norm, err));
    return vecq_program_op2(l->program, VECQ_OP_DIV, name, in[0], norm, NULL, 0, &out[0], err);
}
