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

static rnn_sizes gru_sizes_of(const vecq_ref_call *call)
{
    const vecq_gru_params *params = call->op->params;
    rnn_sizes s = rnn_sizes_of(call, params->direction, params->hidden);

    s.is_linear = params->linear_before_reset;
    return s;
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
