/* SPDX-License-Identifier: Apache-2.0 */
/* What depends on the order of elements along an axis: TopK, CumSum, CumProd. */
#include "graph/ops/op_util.h"

vecq_status vecq_op_top_k_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_top_k_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    int64_t dims[VECQ_MAX_RANK];
    char text[96];

    (void)program;
    if (params->axis >= x->rank || params->k < 0 || params->k > x->dims[params->axis])
        return vecq_op_fail(err, "%lld elements of axis %u of %s", (long long)params->k, params->axis,
                            vecq_var_shape_text(x, text));
    memcpy(dims, x->dims, sizeof dims);
    dims[params->axis] = params->k;
    op->outputs[0]->is_relu = x->is_relu;
    VECQ_TRY(vecq_op_set_output(op, 0, x->dtype, x->rank, dims, err));
    return vecq_op_set_output(op, 1, VECQ_DT_INT64, x->rank, dims, err);
}

vecq_status vecq_op_cumulate_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_cumulate_params *params = op->params;
    const vecq_var *x = op->inputs[0];

    (void)program;
    if (params->axis >= x->rank || x->dtype == VECQ_DT_BOOL)
        return vecq_op_fail(err, "axis %u of %s with %u dimensions", params->axis, vecq_dtype_name(x->dtype),
                            x->rank);
    op->outputs[0]->is_relu = x->is_relu;
    return vecq_op_output_like(op, 0, x, err);
}

/* ---- from ONNX ---- */

/* k: attribute before version 10, then an input. */
vecq_status vecq_lower_top_k(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                             vecq_error *err)
{
    vecq_top_k_params params;
    vecq_op *op;
    size_t n = 1;

    memset(&params, 0, sizeof params);
    VECQ_TRY(vecq_lower_need(node, in, node->version < 10 ? 1 : 2, 2, err));
    params.k = vecq_node_attr_int(node, "k", -1);
    if (node->version >= 10)
        VECQ_TRY(vecq_lower_ints(in[1], "k", &params.k, 1, &n, err));
    if (n != 1)
        return vecq_op_fail(err, "k is not one number");
    VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", -1), in[0]->rank, &params.axis, err));
    params.is_min = vecq_node_attr_int(node, "largest", 1) == 0;
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_TOP_K, vecq_node_label(node), in, 1, &params, sizeof params,
                             0, &op, err));
    out[0] = op->outputs[0];
    if (node->n_outputs > 1)
        out[1] = op->outputs[1];
    return VECQ_OK;
}

static vecq_status lower_cumulate(vecq_lower *l, const vecq_node *node, vecq_var *const *in, int is_product,
                                  vecq_var **out, vecq_error *err)
{
    vecq_cumulate_params params;
    int64_t axis;
    size_t n;

    memset(&params, 0, sizeof params);
    VECQ_TRY(vecq_lower_need(node, in, 2, 2, err));
    VECQ_TRY(vecq_lower_ints(in[1], "axis", &axis, 1, &n, err));
    if (n != 1)
        return vecq_op_fail(err, "axis is not one number");
    VECQ_TRY(vecq_lower_axis(axis, in[0]->rank, &params.axis, err));
    params.is_exclusive = vecq_node_attr_int(node, "exclusive", 0) != 0;
    params.is_reverse = vecq_node_attr_int(node, "reverse", 0) != 0;
    params.is_product = is_product;
    return vecq_program_op1(l->program, VECQ_OP_CUMULATE, vecq_node_label(node), in[0], &params,
                            sizeof params, &out[0], err);
}

vecq_status vecq_lower_cum_sum(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    return lower_cumulate(l, node, in, 0, out, err);
}

vecq_status vecq_lower_cum_prod(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                vecq_error *err)
{
    return lower_cumulate(l, node, in, 1, out, err);
}
