/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cast and CastLike. Programs hold bool, integers of 8 to 64 bits, float32 and double. float16, bfloat16 and
 * a model's double are computed in float32 (a cast to one of the first two rounds to it); integers below 8
 * bits take a byte each.
 */
#include "graph/ops/op_util.h"

vecq_status vecq_op_cast_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_cast_params *params = op->params;
    const vecq_var *x = op->inputs[0];

    (void)program;
    if (!vecq_program_holds(params->to) || !vecq_program_holds(x->dtype))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "conversion from %s to %s is not covered",
                              vecq_dtype_name(x->dtype), vecq_dtype_name(params->to));
    op->outputs[0]->is_relu = x->is_relu || x->dtype == VECQ_DT_UINT8 || x->dtype == VECQ_DT_BOOL;
    return vecq_op_set_output(op, 0, params->to, x->rank, x->dims, err);
}

/* Between floating-point types only; nothing flows back through an integer. */
vecq_status vecq_op_cast_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]);
    vecq_cast_params params = {.to = op->inputs[0]->dtype};
    vecq_op *back;

    if (dy == NULL || !vecq_gradient_wanted(g, op->inputs[0]) || !vecq_var_is_float(op->inputs[0]))
        return VECQ_OK;
    VECQ_TRY(vecq_gradient_op(g, op, VECQ_OP_CAST, &dy, 1, &params, sizeof params, 0, &back, err));
    return vecq_gradient_add(g, op->inputs[0], back->outputs[0], err);
}

static vecq_status lower_cast(vecq_lower *l, const vecq_node *node, vecq_var *x, vecq_dtype type,
                              vecq_var **out, vecq_error *err)
{
    vecq_cast_params params = {.to = vecq_program_type(type)};

    if (!vecq_program_holds(params.to))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "conversion to %s is not covered",
                              vecq_dtype_name(type));
    if (params.to == VECQ_DT_FLOAT && x->dtype == VECQ_DT_DOUBLE)
        params.to = VECQ_DT_DOUBLE; /* a program of gradient checks */
    if (params.to != type && type != VECQ_DT_DOUBLE && type != VECQ_DT_FLOAT)
        params.through = type;
    if (x->dtype == params.to && params.through == VECQ_DT_UNDEFINED) {
        *out = x;
        return VECQ_OK;
    }
    return vecq_program_op1(l->program, VECQ_OP_CAST, vecq_node_label(node), x, &params, sizeof params, out,
                            err);
}

vecq_status vecq_lower_cast(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    if (node->version < 6)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "version %lld of the operator",
                              (long long)node->version);
    return lower_cast(l, node, in[0], (vecq_dtype)vecq_node_attr_int(node, "to", VECQ_DT_UNDEFINED), &out[0],
                      err);
}

vecq_status vecq_lower_cast_like(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                 vecq_error *err)
{
    VECQ_TRY(vecq_lower_need(node, in, 2, 2, err));
    return lower_cast(l, node, in[0], vecq_lower_type(node->inputs[1], in[1]), &out[0], err);
}
