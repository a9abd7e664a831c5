/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalization, one channel after the other; moving averages. */
#include <math.h>

#include "backend/ref/ref.h"
#include "backend/ref/ref_window.h"
#include "base/status.h"
#include "base/threads.h"

typedef struct norm_work {
    size_t batch, channels, plane;
    double epsilon;
    int is_train; /* the statistics depend on x */
    const void *x, *dy, *scale, *bias, *mean, *variance;
    void *y; /* dx of the gradient */
    void *mean_out, *variance_out, *dscale, *dbias;
} norm_work;

#define real     float
#define NORM(id) id##_float
#include "backend/ref/ref_norm_body.h"
#undef real
#undef NORM
#define real     double
#define NORM(id) id##_double
#include "backend/ref/ref_norm_body.h"
#undef real
#undef NORM

static norm_work work_of(const vecq_ref_call *call)
{
    const vecq_var *x = call->op->inputs[0];
    norm_work q = {.batch = (size_t)x->dims[0],
                   .channels = (size_t)x->dims[1],
                   .plane = vecq_ref_product(x->dims + 2, x->rank - 2),
                   .epsilon = ((const vecq_norm_params *)call->op->params)->epsilon,
                   .x = call->in[0],
                   .y = call->out[0]};

    return q;
}

static vecq_status run(const vecq_ref_call *call, norm_work *q, vecq_range_fn of_float,
                       vecq_range_fn of_double)
{
    return vecq_parallel_for(q->channels, vecq_ref_grain(q->batch * q->plane), call->run->threads,
                             call->op->inputs[0]->dtype == VECQ_DT_DOUBLE ? of_double : of_float, q,
                             call->err);
}

vecq_status vecq_ref_batch_norm(const vecq_ref_call *call)
{
    norm_work q = work_of(call);

    q.scale = call->in[1];
    q.bias = call->in[2];
    q.mean = call->in[3];
    q.variance = call->in[4];
    return run(call, &q, given_range_float, given_range_double);
}

vecq_status vecq_ref_batch_norm_train(const vecq_ref_call *call)
{
    norm_work q = work_of(call);

    q.scale = call->in[1];
    q.bias = call->in[2];
    q.mean_out = call->out[1];
    q.variance_out = call->out[2];
    return run(call, &q, train_range_float, train_range_double);
}

static vecq_status norm_grad(const vecq_ref_call *call, int is_train)
{
    norm_work q = work_of(call);

    q.is_train = is_train;
    q.dy = call->in[1];
    q.scale = call->in[2];
    q.mean = call->in[3];
    q.variance = call->in[4];
    q.dscale = call->out[1];
    q.dbias = call->out[2];
    return run(call, &q, grad_range_float, grad_range_double);
}

vecq_status vecq_ref_batch_norm_grad(const vecq_ref_call *call)
{
    return norm_grad(call, 0);
}

vecq_status vecq_ref_batch_norm_train_grad(const vecq_ref_call *call)
{
    return norm_grad(call, 1);
}

vecq_status vecq_ref_moving_average(const vecq_ref_call *call)
{
    const vecq_var *state = call->op->inputs[0];

    if (call->state[0] == NULL)
        return vecq_error_set(call->err, VECQ_ERR_USAGE, "'%s' cannot be written", state->name);
    if (state->dtype == VECQ_DT_DOUBLE)
        average_double(call->state[0], call->in[1], state->count, call->op->params);
    else
        average_float(call->state[0], call->in[1], state->count, call->op->params);
    return VECQ_OK;
}
