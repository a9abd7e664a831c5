/* SPDX-License-Identifier: Apache-2.0 */
/* GRU: x, w, r, b, h0 -> y [T, D, B, H], y_h [D, B, H], workspace. */
#include <string.h>

#include "base/status.h"
#include "graph/gradient.h"
#include "graph/ops/recurrent.h"

#define N_GATES  3u /* the workspace: three gates and what the reset gate meets */
#define N_STATES 1u

vecq_status vecq_op_gru_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_gru_params *params = op->params;

    (void)program;
    return vecq_recurrent_shape(op, params->direction, params->hidden, N_GATES, N_STATES, err);
}

vecq_status vecq_op_gru_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return vecq_recurrent_gradient(g, op, VECQ_OP_GRU_GRAD, sizeof(vecq_gru_params), N_STATES, err);
}

vecq_status vecq_op_gru_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return vecq_recurrent_grad_shape(op, N_STATES, err);
}

vecq_status vecq_lower_gru(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    static const char *const activations[] = {"Sigmoid", "Tanh"};
    vecq_gru_params params;
    vecq_recurrent r;
    vecq_op *op;

    if (!vecq_recurrent_is_usual(node, in, activations, 2))
        return vecq_recurrent_general(l, node, in, VECQ_CELL_GRU, out, err);
    VECQ_TRY(vecq_recurrent_read(l, node, in, N_STATES, &r, err));
    memset(&params, 0, sizeof params);
    params.direction = r.direction;
    params.hidden = r.hidden;
    params.linear_before_reset = vecq_node_attr_int(node, "linear_before_reset", 0) != 0;
    {
        vecq_var *inputs[4 + N_STATES] = {r.x, in[1], in[2], r.bias, r.state[0]};

        VECQ_TRY(vecq_program_op(l->program, VECQ_OP_GRU, vecq_node_label(node), inputs, 4 + N_STATES,
                                 &params, sizeof params, 0, &op, err));
    }
    return vecq_recurrent_output(l, node, &r, op->outputs[0], op->outputs + 1, N_STATES, out, err);
}
