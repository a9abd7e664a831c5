/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax, LogSoftmax and their gradients. With m = max x:
 *     y = exp(x - m) / sum exp(x - m)      dx = y (dy - sum dy y)
 *     y = x - m - log sum exp(x - m)       dx = dy - exp(y) sum dy
 */
#include <math.h>

#include "backend/ref/ref.h"
#include "base/status.h"
#include "base/threads.h"

typedef struct softmax {
    size_t n, step; /* elements of a row, and from one to the next */
    int is_log;
    const void *x, *dy; /* gradient: x is y */
    void *y;
} softmax;

#define SOFTMAX(type, suffix)                                                                                \
    static void forward_row_##suffix(const type *x, type *y, size_t n, size_t step, int is_log)              \
    {                                                                                                        \
        double m = (double)x[0], sum = 0;                                                                    \
        size_t i;                                                                                            \
        for (i = 1; i < n; i++)                                                                              \
            m = (double)x[i * step] > m ? (double)x[i * step] : m;                                           \
        for (i = 0; i < n; i++) {                                                                            \
            const double e = exp((double)x[i * step] - m);                                                   \
            sum += e;                                                                                        \
            y[i * step] = is_log ? 0 : (type)e;                                                              \
        }                                                                                                    \
        if (is_log)                                                                                          \
            for (sum = log(sum), i = 0; i < n; i++)                                                          \
                y[i * step] = (type)((double)x[i * step] - m - sum);                                         \
        else                                                                                                 \
            for (i = 0; i < n; i++)                                                                          \
                y[i * step] = (type)((double)y[i * step] / sum);                                             \
    }                                                                                                        \
    static void backward_row_##suffix(const type *dy, const type *y, type *dx, size_t n, size_t step,        \
                                      int is_log)                                                            \
    {                                                                                                        \
        double sum = 0;                                                                                      \
        size_t i;                                                                                            \
        for (i = 0; i < n; i++)                                                                              \
            sum += (double)dy[i * step] * (is_log ? 1 : (double)y[i * step]);                                \
        for (i = 0; i < n; i++) {                                                                            \
            const double d = (double)dy[i * step], v = (double)y[i * step];                                  \
            dx[i * step] = (type)(is_log ? d - exp(v) * sum : v * (d - sum));                                \
        }                                                                                                    \
    }                                                                                                        \
    static vecq_status rows_##suffix(void *context, size_t begin, size_t end, unsigned thread,               \
                                     vecq_error *err)                                                        \
    {                                                                                                        \
        const softmax *s = context;                                                                          \
        size_t r;                                                                                            \
        (void)thread;                                                                                        \
        (void)err;                                                                                           \
        for (r = begin; r < end; r++) {                                                                      \
            const size_t at = r / s->step * s->step * s->n + r % s->step;                                    \
            const type *x = (const type *)s->x + at;                                                         \
            type *y = (type *)s->y + at;                                                                     \
            if (s->dy == NULL)                                                                               \
                forward_row_##suffix(x, y, s->n, s->step, s->is_log);                                        \
            else                                                                                             \
                backward_row_##suffix((const type *)s->dy + at, x, y, s->n, s->step, s->is_log);             \
        }                                                                                                    \
        return VECQ_OK;                                                                                      \
    }

SOFTMAX(float, f32)
SOFTMAX(double, f64)

static vecq_status run(const vecq_ref_call *call, int is_log)
{
    const vecq_op *op = call->op;
    const vecq_axis_params *params = op->params;
    const vecq_var *y = op->outputs[0];
    softmax s = {.x = call->in[op->n_inputs - 1], .y = call->out[0], .step = 1, .is_log = is_log};
    unsigned i;

    if (call->out[0] == NULL || y->count == 0)
        return VECQ_OK;
    s.dy = op->n_inputs > 1 ? call->in[0] : NULL;
    s.n = (size_t)y->dims[params->axis];
    for (i = params->axis + 1; i < y->rank; i++)
        s.step *= (size_t)y->dims[i];
    return vecq_parallel_for(y->count / s.n, s.n < 1024 ? 1024 / s.n : 1, call->run->threads,
                             y->dtype == VECQ_DT_DOUBLE ? rows_f64 : rows_f32, &s, call->err);
}

vecq_status vecq_ref_softmax(const vecq_ref_call *call)
{
    return run(call, 0);
}

vecq_status vecq_ref_log_softmax(const vecq_ref_call *call)
{
    return run(call, 1);
}

vecq_status vecq_ref_softmax_grad(const vecq_ref_call *call)
{
    return run(call, 0);
}

vecq_status vecq_ref_log_softmax_grad(const vecq_ref_call *call)
{
    return run(call, 1);
}
