/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one number, and their gradients: functions of dy and x (or y). */
#include <tgmath.h>

#include "backend/ref/ref.h"
#include "base/status.h"
#include "base/threads.h"

#define GRAIN 16384u

/* n elements; p has the values a and b of the op, 0 when it has no parameters. */
typedef void (*map_fn)(const void *x, const void *dy, void *y, size_t n, const vecq_unary_params *p);

#define MAP1(name, type, expression)                                                                         \
    static void name(const void *src, const void *src_dy, void *dst, size_t n, const vecq_unary_params *p)   \
    {                                                                                                        \
        typedef type real;                                                                                   \
        const real *xs = src, a = (real)p->a, b = (real)p->b;                                                \
        real *ys = dst;                                                                                      \
        size_t i;                                                                                            \
        (void)src_dy;                                                                                        \
        (void)a;                                                                                             \
        (void)b;                                                                                             \
        for (i = 0; i < n; i++) {                                                                            \
            const real x = xs[i];                                                                            \
            ys[i] = (real)(expression);                                                                      \
        }                                                                                                    \
    }

#define MAP2(name, type, expression)                                                                         \
    static void name(const void *src, const void *src_dy, void *dst, size_t n, const vecq_unary_params *p)   \
    {                                                                                                        \
        typedef type real;                                                                                   \
        const real *xs = src, *dys = src_dy, a = (real)p->a, b = (real)p->b;                                 \
        real *ys = dst;                                                                                      \
        size_t i;                                                                                            \
        (void)a;                                                                                             \
        (void)b;                                                                                             \
        for (i = 0; i < n; i++) {                                                                            \
            const real x = xs[i], dy = dys[i];                                                               \
            ys[i] = (real)(expression);                                                                      \
        }                                                                                                    \
    }

typedef struct mapping {
    map_fn f;
    const char *x, *dy;
    char *y;
    size_t element;
    vecq_unary_params params;
} mapping;

static vecq_status map_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const mapping *m = context;
    size_t at = begin * m->element;

    (void)thread;
    (void)err;
    m->f(m->x + at, m->dy != NULL ? m->dy + at : NULL, m->y + at, end - begin, &m->params);
    return VECQ_OK;
}

static vecq_status run(const vecq_ref_call *call, map_fn f32, map_fn f64)
{
    const vecq_op *op = call->op;
    const vecq_var *y = op->outputs[0];
    mapping m = {.y = call->out[0]};

    if (call->out[0] == NULL)
        return VECQ_OK;
    m.x = call->in[op->n_inputs - 1];
    m.dy = op->n_inputs > 1 ? call->in[0] : NULL;
    m.f = y->dtype == VECQ_DT_DOUBLE ? f64 : f32;
    m.element = y->dtype == VECQ_DT_DOUBLE ? sizeof(double) : sizeof(float);
    if (op->params != NULL)
        m.params = *(const vecq_unary_params *)op->params;
    return vecq_parallel_for(y->count, GRAIN, call->run->threads, map_range, &m, call->err);
}

#define UNARY_OF(MAP, stem, expression)                                                                      \
    MAP(stem##_f32, float, expression)                                                                       \
    MAP(stem##_f64, double, expression)                                                                      \
    vecq_status vecq_ref_##stem(const vecq_ref_call *call)                                                   \
    {                                                                                                        \
        return run(call, stem##_f32, stem##_f64);                                                            \
    }
#define UNARY(stem, expression)      UNARY_OF(MAP1, stem, expression)
#define UNARY_GRAD(stem, expression) UNARY_OF(MAP2, stem, expression)

/* Comparisons are such that what is not a number stays so: training must not hide it. */
UNARY(relu, x < 0 ? 0 : x)
UNARY(leaky_relu, x < 0 ? a * x : x)
UNARY(clip, x<a ? a : x> b ? b : x)
/* exp of a negative number only: it cannot overflow */
UNARY(sigmoid, x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)))
UNARY(tanh, tanh(x))
UNARY(elu, x > 0 ? b * x : b * a * expm1(x))
UNARY(hard_sigmoid, a *x + b < 0 ? 0 : a * x + b > 1 ? 1 : a * x + b)
UNARY(hard_swish, x <= -3 ? 0 : x >= 3 ? x : x * (x + 3) / 6)
UNARY(erf, erf(x))
UNARY(silu, x < 0 ? x * exp(x) / (1 + exp(x)) : x / (1 + exp(-x)))
UNARY(gelu, x / 2 * (1 + erf(x * (real)0.70710678118654752440))) /* 1 / sqrt 2 */
UNARY(softplus, x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)))
UNARY(exp, exp(x))
UNARY(log, log(x))
UNARY(sqrt, sqrt(x))
UNARY(neg, -x)
UNARY(abs, fabs(x))
UNARY(reciprocal, 1 / x)
UNARY(floor, floor(x))
UNARY(ceil, ceil(x))
UNARY(round, rint(x)) /* halves to even */
UNARY(sign, x > 0 ? 1 : x < 0 ? -1 : x)
UNARY(sin, sin(x))
UNARY(cos, cos(x))
UNARY(tan, tan(x))
UNARY(asin, asin(x))
UNARY(acos, acos(x))
UNARY(atan, atan(x))
UNARY(sinh, sinh(x))
UNARY(cosh, cosh(x))
UNARY(asinh, asinh(x))
UNARY(acosh, acosh(x))
UNARY(atanh, atanh(x))

/* x stands for the result where the gradient is written with it: relu, sigmoid, tanh. */
UNARY_GRAD(relu_grad, x > 0 ? dy : 0)
UNARY_GRAD(sigmoid_grad, dy *x *(1 - x))
UNARY_GRAD(tanh_grad, dy *(1 - x * x))
UNARY_GRAD(leaky_relu_grad, x > 0 ? dy : a * dy)
UNARY_GRAD(clip_grad, x > a && x < b ? dy : 0)
UNARY_GRAD(elu_grad, x > 0 ? b * dy : b * a * dy * exp(x))
UNARY_GRAD(hard_sigmoid_grad, a *x + b > 0 && a * x + b < 1 ? a * dy : 0)
UNARY_GRAD(hard_swish_grad, x <= -3 ? 0 : x >= 3 ? dy : dy * (2 * x + 3) / 6)
UNARY_GRAD(erf_grad, dy *(real)1.12837916709551257390 * exp(-x * x)) /* 2 / sqrt(pi) */

/* ---- posts ---- */

static const struct {
    map_fn f32, f64;
} activations[VECQ_POST_COUNT] = {
    [VECQ_POST_RELU] = {relu_f32, relu_f64},
    [VECQ_POST_LEAKY_RELU] = {leaky_relu_f32, leaky_relu_f64},
    [VECQ_POST_CLIP] = {clip_f32, clip_f64},
    [VECQ_POST_SIGMOID] = {sigmoid_f32, sigmoid_f64},
    [VECQ_POST_TANH] = {tanh_f32, tanh_f64},
    [VECQ_POST_HARD_SIGMOID] = {hard_sigmoid_f32, hard_sigmoid_f64},
    [VECQ_POST_HARD_SWISH] = {hard_swish_f32, hard_swish_f64},
    [VECQ_POST_SILU] = {silu_f32, silu_f64},
    [VECQ_POST_GELU] = {gelu_f32, gelu_f64},
};

void vecq_ref_post_f32(const vecq_post *post, float *y, const float *residual, size_t n)
{
    const vecq_unary_params params = {post->a, post->b};
    size_t i;

    for (i = 0; residual != NULL && i < n; i++)
        y[i] += residual[i];
    if (post->activation != VECQ_POST_NONE)
        activations[post->activation].f32(y, NULL, y, n, &params);
}

void vecq_ref_post_f64(const vecq_post *post, double *y, const double *residual, size_t n)
{
    const vecq_unary_params params = {post->a, post->b};
    size_t i;

    for (i = 0; residual != NULL && i < n; i++)
        y[i] += residual[i];
    if (post->activation != VECQ_POST_NONE)
        activations[post->activation].f64(y, NULL, y, n, &params);
}

typedef struct post_work {
    const vecq_post *post;
    int is_double;
    void *y;
    const void *residual;
} post_work;

static vecq_status post_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const post_work *w = context;

    (void)thread;
    (void)err;
    if (w->is_double)
        vecq_ref_post_f64(w->post, (double *)w->y + begin,
                          w->residual != NULL ? (const double *)w->residual + begin : NULL, end - begin);
    else
        vecq_ref_post_f32(w->post, (float *)w->y + begin,
                          w->residual != NULL ? (const float *)w->residual + begin : NULL, end - begin);
    return VECQ_OK;
}

vecq_status vecq_ref_post(const vecq_ref_call *call)
{
    const vecq_op *op = call->op;
    post_work w = {.post = op->post,
                   .is_double = op->outputs[0]->dtype == VECQ_DT_DOUBLE,
                   .y = call->out[0],
                   .residual = op->post->has_residual ? call->in[op->n_inputs - 1] : NULL};

    if (w.y == NULL)
        return VECQ_OK;
    return vecq_parallel_for(op->outputs[0]->count, GRAIN, call->run->threads, post_range, &w, call->err);
}
