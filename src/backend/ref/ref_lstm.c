/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LSTM, forward and backward.
 *
 *     i, o, f = sigmoid(...), g = tanh(...)  of  x W^T + h R^T + Wb + Rb
 *     c' = f c + i g,   h' = o tanh(c')
 *
 * The workspace holds the activated gates [D][T][B][4H] (i, o, f, g) and after them the cells [D][T][B][H].
 * Directions and blocks of the batch run through all steps independently of each other.
 */
#include "backend/ref/ref.h"
#include "backend/ref/ref_rnn.h"

typedef struct lstm_sizes {
    size_t steps, batch, input, hidden, directions;
    size_t block, blocks; /* rows of the batch for one task; tasks of a direction */
    unsigned threads;
    int is_reverse[2];
} lstm_sizes;

static lstm_sizes sizes_of(const vecq_ref_call *call, const vecq_var *x)
{
    const vecq_lstm_params *params = call->op->params;
    lstm_sizes s = {.steps = (size_t)x->dims[0],
                    .batch = (size_t)x->dims[1],
                    .input = (size_t)x->dims[2],
                    .hidden = (size_t)params->hidden,
                    .directions = params->direction == VECQ_LSTM_BOTH ? 2 : 1};

    s.is_reverse[0] = params->direction == VECQ_LSTM_REVERSE;
    s.is_reverse[1] = 1;
    s.threads = vecq_threads_resolve(call->run->threads);
    s.block = rnn_batch_block(s.batch, s.directions, s.threads);
    s.blocks = s.block > 0 ? (s.batch + s.block - 1) / s.block : 0;
    return s;
}

/* The step that is number i in the order of a direction. */
static size_t step_at(const lstm_sizes *s, size_t direction, size_t i)
{
    return s->is_reverse[direction] ? s->steps - 1 - i : i;
}

#define real    float
#define RNN(id) id##_float
#include "backend/ref/ref_lstm_body.h"
#undef real
#undef RNN
#define real    double
#define RNN(id) id##_double
#include "backend/ref/ref_lstm_body.h"
#undef real
#undef RNN

vecq_status vecq_ref_lstm(const vecq_ref_call *call)
{
    return call->op->inputs[0]->dtype == VECQ_DT_DOUBLE ? lstm_forward_double(call)
                                                        : lstm_forward_float(call);
}

vecq_status vecq_ref_lstm_grad(const vecq_ref_call *call)
{
    return call->op->inputs[0]->dtype == VECQ_DT_DOUBLE ? lstm_backward_double(call)
                                                        : lstm_backward_float(call);
}
