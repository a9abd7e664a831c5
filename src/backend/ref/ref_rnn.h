/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What recurrent layers are made of, for float and double: products with packed matrices, the gate functions,
 * the gradient of a weight.
 *
 * Every element of a product is summed along k in ascending order by one accumulator, so results depend
 * neither on how rows are shared out among threads nor on the width of vectors.
 */
#ifndef VECQ_BACKEND_REF_REF_RNN_H
#define VECQ_BACKEND_REF_REF_RNN_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "backend/ref/ref.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"
#include "kernels/gates/gates_math.h"

#define RNN_SUMS  4u   /* accumulators of a block: rows x panels */
#define RNN_ROWS  4u   /* rows of most blocks */
#define RNN_PANEL 8u   /* columns of one */
#define RNN_DEPTH 128u /* rows of a gradient that are packed at a time */

/* Elements of a packed k x n matrix. */
static inline size_t rnn_packed(size_t k, size_t n)
{
    return (n + RNN_PANEL - 1) / RNN_PANEL * RNN_PANEL * k;
}

/* Rows of the batch that one thread takes: enough for everybody, a multiple of the block where possible. */
static inline size_t rnn_batch_block(size_t batch, size_t directions, unsigned threads)
{
    size_t share = (batch * directions + threads - 1) / threads;

    share = (share + RNN_ROWS - 1) / RNN_ROWS * RNN_ROWS;
    return share > 32 ? 32 : share;
}

typedef struct rnn_sizes {
    size_t steps, batch, input, hidden, directions;
    size_t block, blocks; /* rows of the batch for one task; tasks of a direction */
    unsigned threads;
    int is_reverse[2];
    int is_linear; /* GRU: linear_before_reset */
} rnn_sizes;

static inline rnn_sizes rnn_sizes_of(const vecq_ref_call *call, vecq_lstm_direction direction, int64_t hidden)
{
    const vecq_var *x = call->op->inputs[0];
    rnn_sizes s = {.steps = (size_t)x->dims[0],
                   .batch = (size_t)x->dims[1],
                   .input = (size_t)x->dims[2],
                   .hidden = (size_t)hidden,
                   .directions = direction == VECQ_LSTM_BOTH ? 2 : 1};

    s.is_reverse[0] = direction == VECQ_LSTM_REVERSE;
    s.is_reverse[1] = 1;
    s.threads = vecq_threads_resolve(call->run->threads);
    s.block = rnn_batch_block(s.batch, s.directions, s.threads);
    s.blocks = s.block > 0 ? (s.batch + s.block - 1) / s.block : 0;
    return s;
}

/* The step that is number i in the order of a direction. */
static inline size_t rnn_step_at(const rnn_sizes *s, size_t direction, size_t i)
{
    return s->is_reverse[direction] ? s->steps - 1 - i : i;
}

static inline float rnn_sigmoid_float(float x)
{
    return vecq_gates_sigmoid(x);
}

static inline float rnn_tanh_float(float x)
{
    return vecq_gates_tanh(x);
}

static inline double rnn_sigmoid_double(double x)
{
    double e = exp(-fabs(x));

    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

static inline double rnn_tanh_double(double x)
{
    return tanh(x);
}

#define real    float
#define RNN(id) id##_float
#include "backend/ref/ref_rnn_body.h"
#undef real
#undef RNN
#define real    double
#define RNN(id) id##_double
#include "backend/ref/ref_rnn_body.h"
#undef real
#undef RNN

#endif
