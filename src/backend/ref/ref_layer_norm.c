/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LayerNorm and its gradient, in double. With m the mean of a row (0 for root mean square), v that of
 * (x - m)^2, r = 1 / sqrt(v + epsilon), h = (x - m) r:
 *     y = h scale + bias
 *     dx = r (g - mean(g) - h mean(g h)) with g = dy scale (mean(g) is not there for root mean square)
 *     dscale = sum over rows of dy h, dbias = sum over rows of dy
 */
#include <math.h>

#include "backend/ref/ref.h"
#include "backend/ref/ref_types.h"
#include "base/status.h"
#include "base/threads.h"

#define LANES 8u /* partial sums, fixed: they mean the same everywhere */

typedef struct rows {
    size_t n, rows; /* elements of a row */
    double epsilon;
    int is_rms;
    const void *x, *dy, *scale, *bias, *mean_in, *factor_in;
    void *y, *mean, *factor, *dscale, *dbias;
} rows;

#define LAYER_NORM(tag, real)                                                                                \
    /* Sum of (x - shift), or of its square. */                                                              \
    static double row_sum_##real(const real *x, size_t n, double shift, int squared)                         \
    {                                                                                                        \
        double lanes[LANES] = {0}, sum = 0;                                                                  \
        size_t i, k;                                                                                         \
        for (i = 0; i < n; i += LANES)                                                                       \
            for (k = 0; k < LANES && i + k < n; k++) {                                                       \
                const double d = (double)x[i + k] - shift;                                                   \
                lanes[k] += squared ? d * d : d;                                                             \
            }                                                                                                \
        for (k = 0; k < LANES; k++)                                                                          \
            sum += lanes[k];                                                                                 \
        return sum;                                                                                          \
    }                                                                                                        \
    static vecq_status forward_##real(void *context, size_t begin, size_t end, unsigned thread,              \
                                      vecq_error *err)                                                       \
    {                                                                                                        \
        const rows *w = context;                                                                             \
        const real *scale = w->scale, *bias = w->bias;                                                       \
        (void)thread;                                                                                        \
        (void)err;                                                                                           \
        for (; begin < end; begin++) {                                                                       \
            const real *x = (const real *)w->x + begin * w->n;                                               \
            real *y = w->y == NULL ? NULL : (real *)w->y + begin * w->n;                                     \
            const double n = (double)w->n, m = w->is_rms ? 0 : row_sum_##real(x, w->n, 0, 0) / n;            \
            const double r = 1 / sqrt(row_sum_##real(x, w->n, m, 1) / n + w->epsilon);                       \
            size_t i;                                                                                        \
            for (i = 0; i < w->n && y != NULL; i++) {                                                        \
                const double h = ((double)x[i] - m) * r;                                                     \
                y[i] = (real)(h * (scale != NULL ? (double)scale[i] : 1) +                                   \
                              (bias != NULL ? (double)bias[i] : 0));                                         \
            }                                                                                                \
            if (w->mean != NULL)                                                                             \
                ((real *)w->mean)[begin] = (real)m;                                                          \
            if (w->factor != NULL)                                                                           \
                ((real *)w->factor)[begin] = (real)r;                                                        \
        }                                                                                                    \
        return VECQ_OK;                                                                                      \
    }                                                                                                        \
    static vecq_status backward_##real(void *context, size_t begin, size_t end, unsigned thread,             \
                                       vecq_error *err)                                                      \
    {                                                                                                        \
        const rows *w = context;                                                                             \
        const real *scale = w->scale;                                                                        \
        (void)thread;                                                                                        \
        (void)err;                                                                                           \
        for (; begin < end; begin++) {                                                                       \
            const real *x = (const real *)w->x + begin * w->n, *dy = (const real *)w->dy + begin * w->n;     \
            const double m = w->is_rms ? 0 : (double)((const real *)w->mean_in)[begin];                      \
            const double r = (double)((const real *)w->factor_in)[begin];                                    \
            real *dx = (real *)w->y + begin * w->n;                                                          \
            double sum = 0, product = 0;                                                                     \
            size_t i;                                                                                        \
            for (i = 0; i < w->n; i++) {                                                                     \
                const double g = (double)dy[i] * (scale != NULL ? (double)scale[i] : 1);                     \
                sum += g;                                                                                    \
                product += g * ((double)x[i] - m) * r;                                                       \
            }                                                                                                \
            sum = w->is_rms ? 0 : sum / (double)w->n;                                                        \
            product /= (double)w->n;                                                                         \
            for (i = 0; i < w->n; i++) {                                                                     \
                const double g = (double)dy[i] * (scale != NULL ? (double)scale[i] : 1);                     \
                dx[i] = (real)(r * (g - sum - ((double)x[i] - m) * r * product));                            \
            }                                                                                                \
        }                                                                                                    \
        return VECQ_OK;                                                                                      \
    }                                                                                                        \
    /* Of elements begin..end of a row, over all rows. */                                                    \
    static vecq_status vectors_##real(void *context, size_t begin, size_t end, unsigned thread,              \
                                      vecq_error *err)                                                       \
    {                                                                                                        \
        const rows *w = context;                                                                             \
        (void)thread;                                                                                        \
        (void)err;                                                                                           \
        for (; begin < end; begin++) {                                                                       \
            double dscale = 0, dbias = 0;                                                                    \
            size_t row;                                                                                      \
            for (row = 0; row < w->rows; row++) {                                                            \
                const double dy = (double)((const real *)w->dy)[row * w->n + begin];                         \
                const double m = w->is_rms ? 0 : (double)((const real *)w->mean_in)[row];                    \
                const double x = (double)((const real *)w->x)[row * w->n + begin];                           \
                dbias += dy;                                                                                 \
                dscale += dy * (x - m) * (double)((const real *)w->factor_in)[row];                          \
            }                                                                                                \
            if (w->dscale != NULL)                                                                           \
                ((real *)w->dscale)[begin] = (real)dscale;                                                   \
            if (w->dbias != NULL)                                                                            \
                ((real *)w->dbias)[begin] = (real)dbias;                                                     \
        }                                                                                                    \
        return VECQ_OK;                                                                                      \
    }
VECQ_REF_REALS(LAYER_NORM)

static rows rows_of(const vecq_ref_call *call)
{
    const vecq_layer_norm_params *params = call->op->params;
    const vecq_var *x = call->op->inputs[0];
    rows w = {.n = 1,
              .rows = 1,
              .epsilon = params->epsilon,
              .is_rms = params->is_rms,
              .x = call->in[0],
              .y = call->out[0]};
    unsigned a;

    for (a = 0; a < x->rank; a++)
        *(a < params->axis ? &w.rows : &w.n) *= (size_t)x->dims[a];
    return w;
}

static size_t grain(size_t work)
{
    return 16384 / (work + 1) + 1;
}

vecq_status vecq_ref_layer_norm(const vecq_ref_call *call)
{
    const vecq_op *op = call->op;
    rows w = rows_of(call);

    if (op->inputs[0]->count == 0)
        return VECQ_OK;
    w.scale = op->n_inputs > 1 ? call->in[1] : NULL;
    w.bias = op->n_inputs > 2 ? call->in[2] : NULL;
    w.mean = call->out[1];
    w.factor = call->out[2];
    return vecq_parallel_for(w.rows, grain(w.n), call->run->threads,
                             op->inputs[0]->dtype == VECQ_DT_DOUBLE ? forward_double : forward_float, &w,
                             call->err);
}

vecq_status vecq_ref_layer_norm_grad(const vecq_ref_call *call)
{
    const int is_double = call->op->inputs[0]->dtype == VECQ_DT_DOUBLE;
    rows w = rows_of(call);

    w.dy = call->in[1];
    w.scale = call->in[2];
    w.mean_in = call->in[3];
    w.factor_in = call->in[4];
    w.dscale = call->out[1];
    w.dbias = call->out[2];
    if (w.y != NULL && call->op->inputs[0]->count > 0)
        VECQ_TRY(vecq_parallel_for(w.rows, grain(w.n), call->run->threads,
                                   is_double ? backward_double : backward_float, &w, call->err));
    if (w.dscale == NULL && w.dbias == NULL)
        return VECQ_OK;
    return vecq_parallel_for(w.n, grain(w.rows), call->run->threads,
                             is_double ? vectors_double : vectors_float, &w, call->err);
}
