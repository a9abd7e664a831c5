/* SPDX-License-Identifier: Apache-2.0 */
/* Gather (embeddings, picking an axis) and its gradient. */
#include "graph/ops/op_util.h"

/* ---- Gather ---- */

static int is_index(const vecq_var *var)
{
    return var->dtype == VECQ_DT_INT32 || var->dtype == VECQ_DT_INT64;
}

/* data [before, n, after], indices [i...] -> [before, i..., after] */
static vecq_status gather_dims(const vecq_axis_params *params, const vecq_var *data, const vecq_var *indices,
                               unsigned *rank, int64_t *dims, vecq_error *err)
{
    char text[96];
    unsigned a, n = 0;

    if (params->axis >= data->rank)
        return vecq_op_fail(err, "axis %u of %s", params->axis, vecq_var_shape_text(data, text));
    if (!is_index(indices))
        return vecq_op_fail(err, "indices are %s; they must be int32 or int64",
                            vecq_dtype_name(indices->dtype));
    if (data->rank + indices->rank - 1 > VECQ_MAX_RANK)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "the result has %u dimensions; at most %u are supported",
                              data->rank + indices->rank - 1, VECQ_MAX_RANK);
    for (a = 0; a < params->axis; a++)
        dims[n++] = data->dims[a];
    for (a = 0; a < indices->rank; a++)
        dims[n++] = indices->dims[a];
    for (a = params->axis + 1; a < data->rank; a++)
        dims[n++] = data->dims[a];
    *rank = n;
    return VECQ_OK;
}

vecq_status vecq_op_gather_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    int64_t dims[VECQ_MAX_RANK];
    unsigned rank;

    (void)program;
    VECQ_TRY(gather_dims(op->params, op->inputs[0], op->inputs[1], &rank, dims, err));
    op->outputs[0]->is_relu = op->inputs[0]->is_relu;
    return vecq_op_set_output(op, 0, op->inputs[0]->dtype, rank, dims, err);
}

vecq_status vecq_op_gather_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *inputs[2] = {vecq_gradient_of(g, op->outputs[0]), op->inputs[1]};
    vecq_op *back;

    if (inputs[0] == NULL || !vecq_gradient_wanted(g, op->inputs[0]))
        return VECQ_OK;
    VECQ_TRY(vecq_gradient_op(g, op, VECQ_OP_GATHER_GRAD, inputs, 2, op->params, sizeof(vecq_axis_params), 0,
                              &back, err));
    return vecq_gradient_add(g, op->inputs[0], back->outputs[0], err);
}

/* dY, indices -> a table of the shape of the forward op's. */
vecq_status vecq_op_gather_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    int64_t dims[VECQ_MAX_RANK];
    const vecq_var *data;
    unsigned rank;

    (void)program;
    if (op->forward == NULL)
        return vecq_op_fail(err, "it is the gradient of nothing");
    data = op->forward->inputs[0];
    VECQ_TRY(gather_dims(op->params, data, op->inputs[1], &rank, dims, err));
    if (op->inputs[0]->rank != rank || memcmp(op->inputs[0]->dims, dims, rank * sizeof *dims) != 0)
        return vecq_op_fail(err, "the gradient has another shape");
    return vecq_op_set_output(op, 0, op->inputs[0]->dtype, data->rank, data->dims, err);
}

vecq_status vecq_op_gather_grad_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *inputs[2] = {vecq_gradient_of(g, op->outputs[0]), op->inputs[1]};
    vecq_op *back;

    if (inputs[0] == NULL || !vecq_gradient_wanted(g, op->inputs[0]))
        return VECQ_OK;
    VECQ_TRY(vecq_gradient_op(g, op, VECQ_OP_GATHER, inputs, 2, op->params, sizeof(vecq_axis_params), 0,
                              &back, err));
    return vecq_gradient_add(g, op->inputs[0], back->outputs[0], err);
}

vecq_status vecq_lower_gather(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                              vecq_error *err)
{
    vecq_axis_params params = {0};

    VECQ_TRY(vecq_lower_need(node, in, 2, 2, err));
    VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", 0), in[0]->rank, &params.axis, err));
    return vecq_program_op2(l->program, VECQ_OP_GATHER, vecq_node_label(node), in[0], in[1], &params,
                            sizeof params, &out[0], err);
}
