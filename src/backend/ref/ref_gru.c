/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GRU, forward and backward.
 *
 *     z, r = sigmoid(x W^T + h R^T + Wb + Rb)
 *     n = tanh(x Wh^T + Wbh + Rh (r h) + Rbh)     q = r h
 *     n = tanh(x Wh^T + Wbh + r q)                q = h Rh^T + Rbh      with linear_before_reset
 *     h' = (1 - z) n + z h
 *
 * The workspace holds z, r, n, q: [D][T][B][4H].
 */
#include "backend/ref/ref.h"
#include "backend/ref/ref_rnn.h"

typedef struct gru_sizes {
    size_t steps, batch, input, hidden, directions;
    size_t block, blocks; /* rows of the batch for one task; tasks of a direction */
    unsigned threads;
    int is_reverse[2], is_linear; /* linear_before_reset */
} gru_sizes;

static gru_sizes gru_sizes_of(const vecq_ref_call *call)
{
    const vecq_gru_params *params = call->op->params;
    const vecq_var *x = call->op->inputs[0];
    gru_sizes s = {.steps = (size_t)x->dims[0],
                   .batch = (size_t)x->dims[1],
                   .input = (size_t)x->dims[2],
                   .hidden = (size_t)params->hidden,
                   .directions = params->direction == VECQ_LSTM_BOTH ? 2 : 1,
                   .is_linear = params->linear_before_reset};

    s.is_reverse[0] = params->direction == VECQ_LSTM_REVERSE;
    s.is_reverse[1] = 1;
    s.threads = vecq_threads_resolve(call->run->threads);
    s.block = rnn_batch_block(s.batch, s.directions, s.threads);
    s.blocks = s.block > 0 ? (s.batch + s.block - 1) / s.block : 0;
    return s;
}

/* The step that is number i in the order of a direction. */
static size_t gru_step_at(const gru_sizes *s, size_t direction, size_t i)
{
    return s->is_reverse[direction] ? s->steps - 1 - i : i;
}

#define real    float
#define RNN(id) id##_float
#include "backend/ref/ref_gru_body.h"
#undef real
#undef RNN
#define real    double
#define RNN(id) id##_double
#include "backend/ref/ref_gru_body.h"
#undef real
#undef RNN

vecq_status vecq_ref_gru(const vecq_ref_call *call)
{
    return call->op->inputs[0]->dtype == VECQ_DT_DOUBLE ? gru_forward_double(call) : gru_forward_float(call);
}

vecq_status vecq_ref_gru_grad(const vecq_ref_call *call)
{
    return call->op->inputs[0]->dtype == VECQ_DT_DOUBLE ? gru_backward_double(call)
                                                        : gru_backward_float(call);
}
