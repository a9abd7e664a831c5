/* SPDX-License-Identifier: Apache-2.0 */
/* GRU: x, w, r, b, h0 -> y [T, D, B, H], y_h [D, B, H], workspace. */
#include <string.h>

#include "base/status.h"
#include "graph/gradient.h"
#include "graph/ops/recurrent.h"

#define N_IN  5u
#define N_OUT 3u

vecq_status vecq_op_gru_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_gru_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    int64_t d = params->direction == VECQ_LSTM_BOTH ? 2 : 1, h = params->hidden, n;

    (void)program;
    VECQ_TRY(vecq_recurrent_check(op, d, h, 3, 1, err));
    {
        const int64_t y[4] = {x->dims[0], d, x->dims[1], h};

        VECQ_TRY(vecq_op_set_output(op, 0, x->dtype, 4, y, err));
        VECQ_TRY(vecq_op_set_output(op, 1, x->dtype, 3, y + 1, err));
    }
    if (__builtin_mul_overflow((int64_t)op->outputs[0]->count, 4, &n))
        return vecq_op_fail(err, "the workspace is too large");
    return vecq_op_set_output(op, 2, x->dtype, 1, &n, err); /* three gates and what the reset gate meets */
}

vecq_status vecq_op_gru_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *inputs[N_IN + N_OUT + 2] = {NULL};
    vecq_op *back;
    size_t i;

    for (i = 0; i < op->n_inputs; i++)
        inputs[i] = op->inputs[i];
    for (i = 0; i < N_OUT; i++)
        inputs[N_IN + i] = op->outputs[i];
    for (i = 0; i < 2; i++)
        inputs[N_IN + N_OUT + i] = vecq_gradient_of(g, op->outputs[i]);
    VECQ_TRY(vecq_gradient_op(g, op, VECQ_OP_GRU_GRAD, inputs, N_IN + N_OUT + 2, op->params,
                              sizeof(vecq_gru_params), 0, &back, err));
    for (i = 0; i < op->n_inputs; i++)
        if (op->inputs[i] != NULL)
            VECQ_TRY(vecq_gradient_add(g, op->inputs[i], back->outputs[i], err));
    return VECQ_OK;
}

/* dx, dw, dr, db, dh0: like the inputs, whether they are there or not. */
vecq_status vecq_op_gru_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_var *w = op->inputs[1], *y_h = op->n_inputs == N_IN + N_OUT + 2 ? op->inputs[N_IN + 1] : NULL;
    size_t i;

    (void)program;
    if (y_h == NULL || op->inputs[N_IN] == NULL || op->inputs[N_IN + 2] == NULL || w->rank != 3)
        return vecq_op_fail(err, "it is the gradient of nothing");
    for (i = 0; i < 3; i++)
        VECQ_TRY(vecq_op_output_like(op, i, op->inputs[i], err));
    {
        const int64_t b[2] = {w->dims[0], 2 * w->dims[1]};

        VECQ_TRY(vecq_op_set_output(op, 3, w->dtype, 2, b, err));
    }
    return vecq_op_output_like(op, 4, y_h, err);
}

vecq_status vecq_lower_gru(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    static const char *const activations[] = {"Sigmoid", "Tanh"};
    vecq_gru_params params;
    vecq_recurrent r;
    vecq_op *op;

    VECQ_TRY(vecq_recurrent_read(l, node, in, activations, 2, 1, &r, err));
    memset(&params, 0, sizeof params);
    params.direction = r.direction;
    params.hidden = r.hidden;
    params.linear_before_reset = vecq_node_attr_int(node, "linear_before_reset", 0) != 0;
    {
        vecq_var *inputs[N_IN] = {r.x, in[1], in[2], r.bias, r.state[0]};

        VECQ_TRY(vecq_program_op(l->program, VECQ_OP_GRU, vecq_node_label(node), inputs, N_IN, &params,
                                 sizeof params, 0, &op, err));
    }
    return vecq_recurrent_output(l, node, &r, op->outputs[0], op->outputs + 1, 1, out, err);
}
