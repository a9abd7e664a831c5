/* SPDX-License-Identifier: Apache-2.0 */
/* Elements and slices by their places: GatherElements, GatherND, ScatterElements, ScatterND. */
#include "graph/ops/op_util.h"

static vecq_status check_indices(const vecq_var *indices, vecq_error *err)
{
    if (indices->dtype != VECQ_DT_INT32 && indices->dtype != VECQ_DT_INT64)
        return vecq_op_fail(err, "indices are %s; they must be int32 or int64",
                            vecq_dtype_name(indices->dtype));
    return VECQ_OK;
}

/* Indices lie within data, except along the axis, where they may be any number. */
static vecq_status check_elements(const vecq_op *op, vecq_error *err)
{
    const vecq_scatter_params *params = op->params;
    const vecq_var *data = op->inputs[0], *indices = op->inputs[1];
    char text[96], other[96];
    unsigned a;

    VECQ_TRY(check_indices(indices, err));
    for (a = 0; a < data->rank && indices->rank == data->rank; a++)
        if (a != params->axis && indices->dims[a] > data->dims[a])
            break;
    if (indices->rank != data->rank || a < data->rank || params->axis >= data->rank)
        return vecq_op_fail(err, "indices %s along axis %u of %s", vecq_var_shape_text(indices, text),
                            params->axis, vecq_var_shape_text(data, other));
    return VECQ_OK;
}

vecq_status vecq_op_gather_elements_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_var *indices = op->inputs[1];

    (void)program;
    VECQ_TRY(check_elements(op, err));
    op->outputs[0]->is_relu = op->inputs[0]->is_relu;
    return vecq_op_set_output(op, 0, op->inputs[0]->dtype, indices->rank, indices->dims, err);
}

static vecq_status check_updates(const vecq_op *op, unsigned rank, const int64_t *dims, vecq_error *err)
{
    const vecq_scatter_params *params = op->params;
    const vecq_var *data = op->inputs[0], *updates = op->inputs[2];
    char text[96];

    if (updates->dtype != data->dtype || updates->rank != rank ||
        (rank > 0 && memcmp(updates->dims, dims, rank * sizeof *dims) != 0))
        return vecq_op_fail(err, "updates are %s %s, which does not fit the indices",
                            vecq_dtype_name(updates->dtype), vecq_var_shape_text(updates, text));
    if (data->dtype == VECQ_DT_BOOL && params->reduction != VECQ_SCATTER_PUT)
        return vecq_op_fail(err, "a reduction of booleans");
    return VECQ_OK;
}

vecq_status vecq_op_scatter_elements_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(check_elements(op, err));
    VECQ_TRY(check_updates(op, op->inputs[1]->rank, op->inputs[1]->dims, err));
    return vecq_op_output_like(op, 0, op->inputs[0], err);
}

/* Shape of what the tuples of indices pick: batch, tuples, slices of data. */
static vecq_status picked_dims(const vecq_op *op, unsigned *rank, int64_t *dims, vecq_error *err)
{
    const vecq_scatter_params *params = op->params;
    const vecq_var *data = op->inputs[0], *indices = op->inputs[1];
    char text[96], other[96];
    int64_t tuple;
    unsigned a, n = 0;

    VECQ_TRY(check_indices(indices, err));
    tuple = indices->rank > 0 ? indices->dims[indices->rank - 1] : 0;
    if (params->batch >= indices->rank || tuple < 1 || tuple > (int64_t)data->rank - (int64_t)params->batch)
        return vecq_op_fail(err, "indices %s for %s", vecq_var_shape_text(indices, text),
                            vecq_var_shape_text(data, other));
    for (a = 0; a < params->batch; a++)
        if (indices->dims[a] != data->dims[a])
            return vecq_op_fail(err, "%u batch dimensions: %s and %s differ", params->batch,
                                vecq_var_shape_text(indices, text), vecq_var_shape_text(data, other));
    if (indices->rank - 1 + data->rank - params->batch - (unsigned)tuple > VECQ_MAX_RANK)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "a result of more than %u dimensions",
                              VECQ_MAX_RANK);
    for (a = 0; a + 1 < indices->rank; a++)
        dims[n++] = indices->dims[a];
    for (a = params->batch + (unsigned)tuple; a < data->rank; a++)
        dims[n++] = data->dims[a];
    *rank = n;
    return VECQ_OK;
}

vecq_status vecq_op_gather_nd_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    int64_t dims[VECQ_MAX_RANK];
    unsigned rank;

    (void)program;
    VECQ_TRY(picked_dims(op, &rank, dims, err));
    op->outputs[0]->is_relu = op->inputs[0]->is_relu;
    return vecq_op_set_output(op, 0, op->inputs[0]->dtype, rank, dims, err);
}

vecq_status vecq_op_scatter_nd_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    int64_t dims[VECQ_MAX_RANK];
    unsigned rank;

    (void)program;
    VECQ_TRY(picked_dims(op, &rank, dims, err));
    VECQ_TRY(check_updates(op, rank, dims, err));
    return vecq_op_output_like(op, 0, op->inputs[0], err);
}

/* ---- from ONNX ---- */

static vecq_status lower_scatter(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, size_t n,
                                 vecq_scatter_params *params, vecq_var *const *in, vecq_var **out,
                                 vecq_error *err)
{
    static const char *const names[] = {"none", "add", "mul", "max", "min", NULL};
    int reduction = 0;
    vecq_op *op;

    if (n == 3)
        VECQ_TRY(vecq_lower_attr_string(node, "reduction", names, &reduction, err));
    params->reduction = (vecq_scatter_reduction)reduction;
    VECQ_TRY(
        vecq_program_op(l->program, kind, vecq_node_label(node), in, n, params, sizeof *params, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

vecq_status vecq_lower_gather_elements(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                       vecq_var **out, vecq_error *err)
{
    vecq_scatter_params params = {0};

    VECQ_TRY(vecq_lower_need(node, in, 2, 2, err));
    VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", 0), in[0]->rank, &params.axis, err));
    return lower_scatter(l, node, VECQ_OP_GATHER_ELEMENTS, 2, &params, in, out, err);
}

vecq_status vecq_lower_scatter_elements(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                        vecq_var **out, vecq_error *err)
{
    vecq_scatter_params params = {0};

    VECQ_TRY(vecq_lower_need(node, in, 3, 3, err));
    VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", 0), in[0]->rank, &params.axis, err));
    return lower_scatter(l, node, VECQ_OP_SCATTER_ELEMENTS, 3, &params, in, out, err);
}

vecq_status vecq_lower_gather_nd(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                 vecq_error *err)
{
    int64_t batch = vecq_node_attr_int(node, "batch_dims", 0);
    vecq_scatter_params params = {0};

    VECQ_TRY(vecq_lower_need(node, in, 2, 2, err));
    if (batch < 0 || batch >= (int64_t)in[0]->rank)
        return vecq_op_fail(err, "batch_dims is %lld", (long long)batch);
    params.batch = (unsigned)batch;
    return lower_scatter(l, node, VECQ_OP_GATHER_ND, 2, &params, in, out, err);
}

vecq_status vecq_lower_scatter_nd(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                  vecq_error *err)
{
    vecq_scatter_params params = {0};

    VECQ_TRY(vecq_lower_need(node, in, 3, 3, err));
    return lower_scatter(l, node, VECQ_OP_SCATTER_ND, 3, &params, in, out, err);
}
