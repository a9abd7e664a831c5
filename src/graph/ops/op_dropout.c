/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dropout: y = x * mask / (1 - ratio), each element of the mask 1 with probability 1 - ratio. The mask is a
 * function of the run's seed and step, the op's stream and the element's place alone.
 */
#include "graph/ops/op_util.h"

vecq_status vecq_op_dropout_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_dropout_params *params = op->params;
    const vecq_var *x = op->inputs[0];

    (void)program;
    if (!vecq_var_is_float(x))
        return vecq_op_fail(err, "input of type %s", vecq_dtype_name(x->dtype));
    if (!(params->ratio >= 0 && params->ratio < 1))
        return vecq_op_fail(err, "a ratio of %g; it must be in [0, 1)", params->ratio);
    VECQ_TRY(vecq_op_output_like(op, 0, x, err));
    op->outputs[0]->is_relu = x->is_relu;
    return vecq_op_set_output(op, 1, VECQ_DT_UINT8, x->rank, x->dims, err);
}

vecq_status vecq_op_dropout_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_var *dy = op->inputs[0], *mask = op->inputs[1];

    (void)program;
    if (!vecq_var_is_float(dy) || mask->dtype != VECQ_DT_UINT8 || !vecq_var_same_shape(dy, mask))
        return vecq_op_fail(err, "the mask has another shape or type");
    return vecq_op_output_like(op, 0, dy, err);
}

vecq_status vecq_op_dropout_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]), *dx;

    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_DROPOUT_GRAD, dy, op->outputs[1], op->params,
                           sizeof(vecq_dropout_params), &dx, err));
    return vecq_gradient_add(g, op->inputs[0], dx, err);
}

/*
 * Active whenever the program trains, whatever is_test or training_mode say: those were written for the use
 * the model was exported for. The ratio is an attribute, from version 12 on an input; 0.5 when absent. An
 * identity takes no stream, so that leaving a Dropout out of use does not change the masks of the others.
 */
vecq_status vecq_lower_dropout(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    vecq_dropout_params params = {.ratio = (double)vecq_node_attr_float(node, "ratio", 0.5f)};
    int mask_is_read = node->n_outputs > 1 && node->outputs[1] != NULL &&
                       (node->outputs[1]->n_uses > 0 || node->outputs[1]->is_graph_output);
    vecq_op *op;
    size_t n;

    VECQ_TRY(vecq_lower_need(node, in, 1, 3, err));
    if (node->version >= 12 && node->n_inputs > 1)
        VECQ_TRY(vecq_lower_floats(in[1], "the ratio", &params.ratio, 1, &n, err));
    out[0] = in[0];
    if (mask_is_read && (!l->options->is_training || params.ratio == 0)) /* nothing is dropped */
        return vecq_program_fill(l->program, vecq_node_label(node), VECQ_DT_BOOL, in[0]->rank, in[0]->dims, 1,
                                 &out[1], err);
    if (mask_is_read)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "its mask is read");
    if (!l->options->is_training || params.ratio == 0) {
        out[0] = in[0];
        return VECQ_OK;
    }
    params.stream = l->n_dropouts++;
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_DROPOUT, vecq_node_label(node), in, 1, &params,
                             sizeof params, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}
