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

static rnn_sizes lstm_sizes_of(const vecq_ref_call *call)
{
    const vecq_lstm_params *params = call->op->params;

    return rnn_sizes_of(call, params->direction, params->hidden);
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
