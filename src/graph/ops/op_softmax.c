/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and LogSoftmax along one axis. */
#include "graph/ops/op_util.h"

static vecq_status softmax_shape(vecq_op *op, vecq_error *err)
{
    const vecq_axis_params *params = op->params;
    const vecq_var *x = op->inputs[0];

    if (!vecq_var_is_float(x))
        return vecq_op_fail(err, "input of type %s", vecq_dtype_name(x->dtype));
    if (params->axis >= x->rank)
        return vecq_op_fail(err, "axis %u of a value with %u dimensions", params->axis, x->rank);
    return vecq_op_output_like(op, 0, x, err);
}

vecq_status vecq_op_softmax_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(softmax_shape(op, err));
    op->outputs[0]->is_relu = 1;
    return VECQ_OK;
}

vecq_status vecq_op_log_softmax_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return softmax_shape(op, err);
}

/* (dy, y) -> dx */
static vecq_status softmax_grad_shape(vecq_op *op, vecq_error *err)
{
    const vecq_var *dy = op->inputs[0], *y = op->inputs[1];

    if (dy->dtype != y->dtype || !vecq_var_same_shape(dy, y))
        return vecq_op_fail(err, "the gradient has another shape or type");
    return softmax_shape(op, err);
}

vecq_status vecq_op_softmax_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return softmax_grad_shape(op, err);
}

vecq_status vecq_op_log_softmax_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return softmax_grad_shape(op, err);
}

static vecq_status softmax_gradient(vecq_gradient *g, const vecq_op *op, vecq_op_kind kind, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]), *dx;

    VECQ_TRY(vecq_grad_op2(g, op, kind, dy, op->outputs[0], op->params, sizeof(vecq_axis_params), &dx, err));
    return vecq_gradient_add(g, op->inputs[0], dx, err);
}

vecq_status vecq_op_softmax_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return softmax_gradient(g, op, VECQ_OP_SOFTMAX_GRAD, err);
}

vecq_status vecq_op_log_softmax_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return softmax_gradient(g, op, VECQ_OP_LOG_SOFTMAX_GRAD, err);
}

/* ---- from ONNX ---- */

/*
 * Before version 13 everything from the axis on (1 when absent) was one row; from then on it is that axis
 * alone, the last when absent.
 */
static vecq_status lower_softmax(vecq_lower *l, const vecq_node *node, vecq_op_kind kind, vecq_var *const *in,
                                 vecq_var **out, vecq_error *err)
{
    const char *name = vecq_node_label(node);
    int64_t axis = vecq_node_attr_int(node, "axis", node->version < 13 ? 1 : -1), flat[2] = {1, 1};
    vecq_axis_params params = {.axis = 1};
    vecq_var *x;
    unsigned from, i;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    x = in[0];
    if (node->version < 13 && axis == (int64_t)x->rank) { /* rows of one element */
        from = x->rank;
    } else {
        VECQ_TRY(vecq_lower_axis(axis, x->rank, &from, err));
        if (node->version >= 13 || from + 1 == x->rank) {
            params.axis = from;
            return vecq_program_op1(l->program, kind, name, x, &params, sizeof params, &out[0], err);
        }
    }
    if (x->count == 0)
        return vecq_op_fail(err, "the input has no elements");
    for (i = 0; i < x->rank; i++)
        flat[i < from ? 0 : 1] *= x->dims[i];
    VECQ_TRY(vecq_lower_to_shape(l, name, x, 2, flat, &x, err));
    VECQ_TRY(vecq_program_op1(l->program, kind, name, x, &params, sizeof params, &x, err));
    return vecq_lower_to_shape(l, name, x, in[0]->rank, in[0]->dims, &out[0], err);
}

vecq_status vecq_lower_softmax(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    return lower_softmax(l, node, VECQ_OP_SOFTMAX, in, out, err);
}

vecq_status vecq_lower_log_softmax(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                   vecq_error *err)
{
    return lower_softmax(l, node, VECQ_OP_LOG_SOFTMAX, in, out, err);
}
