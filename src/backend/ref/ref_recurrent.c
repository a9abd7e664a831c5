/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrent: every form of RNN, LSTM and GRU that ONNX has, written out; sums in double. */
#include <math.h>
#include <string.h>

#include "backend/ref/ref.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"

typedef struct cell {
    const vecq_recurrent_params *params;
    const vecq_cell_activation *activations; /* of the direction */
    int is_reverse;
    size_t steps, batch, input, hidden, gates, directions; /* gates: rows of w */
    const void *x, *w, *r, *b, *h0, *c0, *p;
    const int32_t *lengths;
    void *y, *y_h, *y_c;
} cell;

static double clip(const cell *q, double x)
{
    const double bound = q->params->clip;

    return bound > 0 && x > bound ? bound : bound > 0 && x < -bound ? -bound : x;
}

static double activate(const vecq_cell_activation *f, double x)
{
    const double a = f->a, b = f->b;

    switch (f->function) {
    case VECQ_CELL_SIGMOID:
        return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
    case VECQ_CELL_TANH:
        return tanh(x);
    case VECQ_CELL_RELU:
        return x < 0 ? 0 : x;
    case VECQ_CELL_AFFINE:
        return a * x + b;
    case VECQ_CELL_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case VECQ_CELL_THRESHOLDED_RELU:
        return x > a ? x : 0;
    case VECQ_CELL_SCALED_TANH:
        return a * tanh(b * x);
    case VECQ_CELL_HARD_SIGMOID:
        return a * x + b < 0 ? 0 : a * x + b > 1 ? 1 : a * x + b;
    case VECQ_CELL_ELU:
        return x < 0 ? a * expm1(x) : x;
    case VECQ_CELL_SOFTSIGN:
        return x / (1 + fabs(x));
    case VECQ_CELL_SOFTPLUS:
    default:
        return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    }
}

#define real     float
#define CELL(id) id##_float
#include "backend/ref/ref_recurrent_body.h"
#undef real
#undef CELL
#define real     double
#define CELL(id) id##_double
#include "backend/ref/ref_recurrent_body.h"
#undef real
#undef CELL

/* Lengths come from data. */
static vecq_status check_lengths(const vecq_ref_call *call, const cell *q)
{
    size_t i;

    for (i = 0; q->lengths != NULL && i < q->batch; i++)
        if (q->lengths[i] < 0 || (size_t)q->lengths[i] > q->steps)
            return vecq_error_set(call->err, VECQ_ERR_VALUE, "%s '%s': a sequence of %d of %zu steps",
                                  call->op->info->name, call->op->name, (int)q->lengths[i], q->steps);
    return VECQ_OK;
}

vecq_status vecq_ref_recurrent(const vecq_ref_call *call)
{
    const vecq_op *op = call->op;
    const vecq_var *x = op->inputs[0];
    const void *in[8] = {NULL};
    cell q = {.params = op->params};
    size_t i;

    for (i = 0; i < op->n_inputs; i++)
        in[i] = op->inputs[i] != NULL ? call->in[i] : NULL;
    q.steps = (size_t)x->dims[0];
    q.batch = (size_t)x->dims[1];
    q.input = (size_t)x->dims[2];
    q.hidden = (size_t)q.params->hidden;
    q.gates = (size_t)op->inputs[1]->dims[1];
    q.directions = q.params->direction == VECQ_LSTM_BOTH ? 2 : 1;
    q.x = in[0];
    q.w = in[1];
    q.r = in[2];
    q.b = in[3];
    q.h0 = in[4];
    q.c0 = in[5];
    q.lengths = in[6];
    q.p = in[7];
    q.y = call->out[0];
    q.y_h = call->out[1];
    q.y_c = call->out[2];
    VECQ_TRY(check_lengths(call, &q));
    return vecq_parallel_for(q.directions * q.batch, 1, call->run->threads,
                             x->dtype == VECQ_DT_DOUBLE ? range_double : range_float, &q, call->err);
}
