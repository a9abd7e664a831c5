/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two operands with broadcasting. Axes along which both operands go on evenly (or both stay) are merged, so
 * that operands of one shape, a scalar and a value for each channel come down to long rows, in which each
 * operand either advances by one element or stays.
 */
#include <string.h>
#include <tgmath.h>

#include "backend/ref/ref.h"
#include "base/status.h"
#include "base/threads.h"

#define ROW_MAX 16384u /* elements of a row that one thread takes at a time */

/* advance_a, advance_b: 1 or 0. */
typedef void (*row_fn)(const void *a, size_t advance_a, const void *b, size_t advance_b, void *y, size_t n);

#define ROW(name, type, expression)                                                                          \
    static void name(const void *src_a, size_t advance_a, const void *src_b, size_t advance_b, void *dst,    \
                     size_t n)                                                                               \
    {                                                                                                        \
        const type *as = src_a, *bs = src_b;                                                                 \
        type *ys = dst;                                                                                      \
        size_t i;                                                                                            \
        if (advance_a != 0 && advance_b != 0) {                                                              \
            for (i = 0; i < n; i++) {                                                                        \
                const type a = as[i], b = bs[i];                                                             \
                ys[i] = (expression);                                                                        \
            }                                                                                                \
        } else if (advance_a != 0) {                                                                         \
            const type b = *bs;                                                                              \
            for (i = 0; i < n; i++) {                                                                        \
                const type a = as[i];                                                                        \
                ys[i] = (expression);                                                                        \
            }                                                                                                \
        } else {                                                                                             \
            const type a = *as;                                                                              \
            for (i = 0; i < n; i++) {                                                                        \
                const type b = bs[advance_b * i];                                                            \
                ys[i] = (expression);                                                                        \
            }                                                                                                \
        }                                                                                                    \
    }

typedef struct walk {
    unsigned rank; /* at least 1 */
    size_t dims[VECQ_MAX_RANK], step_a[VECQ_MAX_RANK], step_b[VECQ_MAX_RANK];
    size_t rows, parts; /* rows of the last axis, and parts that each is cut into */
    size_t part;        /* elements of a part (the last of a row may be shorter) */
    const char *a, *b;
    char *y;
    size_t element;
    row_fn row;
} walk;

/* Elements from one index of axis i of the result to the next in an operand. */
static void operand_steps(const vecq_var *y, const vecq_var *operand, size_t *steps)
{
    unsigned i, lead = y->rank - operand->rank;
    size_t step = 1;

    for (i = y->rank; i-- > 0;) {
        steps[i] = 0;
        if (i < lead)
            continue;
        if (operand->dims[i - lead] != 1)
            steps[i] = step;
        step *= (size_t)operand->dims[i - lead];
    }
}

static void walk_make(walk *w, const vecq_var *y, const vecq_var *a, const vecq_var *b)
{
    size_t step_a[VECQ_MAX_RANK], step_b[VECQ_MAX_RANK];
    unsigned i, r = 0;

    operand_steps(y, a, step_a);
    operand_steps(y, b, step_b);
    w->dims[0] = 1;
    w->step_a[0] = w->step_b[0] = 0;
    for (i = 0; i < y->rank; i++) {
        size_t n = (size_t)y->dims[i];

        if (n == 1)
            continue;
        if (r > 0 && w->step_a[r - 1] == step_a[i] * n && w->step_b[r - 1] == step_b[i] * n) {
            w->dims[r - 1] *= n;
        } else {
            w->dims[r++] = n;
        }
        w->step_a[r - 1] = step_a[i];
        w->step_b[r - 1] = step_b[i];
    }
    w->rank = r > 0 ? r : 1;
    w->rows = y->count / w->dims[w->rank - 1];
    w->part = w->dims[w->rank - 1] < ROW_MAX ? w->dims[w->rank - 1] : ROW_MAX;
    w->parts = (w->dims[w->rank - 1] + w->part - 1) / w->part;
}

static vecq_status walk_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const walk *w = context;
    size_t last = w->rank - 1, t;

    (void)thread;
    (void)err;
    for (t = begin; t < end; t++) {
        size_t row = t / w->parts, first = t % w->parts * w->part, rest = row, at_a, at_b, n;
        unsigned i;

        at_a = first * w->step_a[last];
        at_b = first * w->step_b[last];
        for (i = w->rank - 1; i-- > 0;) {
            at_a += rest % w->dims[i] * w->step_a[i];
            at_b += rest % w->dims[i] * w->step_b[i];
            rest /= w->dims[i];
        }
        n = w->dims[last] - first < w->part ? w->dims[last] - first : w->part;
        w->row(w->a + at_a * w->element, w->step_a[last], w->b + at_b * w->element, w->step_b[last],
               w->y + (row * w->dims[last] + first) * w->element, n);
    }
    return VECQ_OK;
}

static vecq_status run(const vecq_ref_call *call, row_fn f32, row_fn f64)
{
    const vecq_op *op = call->op;
    walk w = {.a = call->in[0], .b = call->in[1], .y = call->out[0]};

    if (call->out[0] == NULL || op->outputs[0]->count == 0)
        return VECQ_OK;
    w.row = op->outputs[0]->dtype == VECQ_DT_DOUBLE ? f64 : f32;
    w.element = op->outputs[0]->dtype == VECQ_DT_DOUBLE ? sizeof(double) : sizeof(float);
    walk_make(&w, op->outputs[0], op->inputs[0], op->inputs[1]);
    return vecq_parallel_for(w.rows * w.parts, ROW_MAX / w.part, call->run->threads, walk_range, &w,
                             call->err);
}

#define BINARY(stem, expression)                                                                             \
    ROW(stem##_f32, float, expression)                                                                       \
    ROW(stem##_f64, double, expression)                                                                      \
    vecq_status vecq_ref_##stem(const vecq_ref_call *call)                                                   \
    {                                                                                                        \
        return run(call, stem##_f32, stem##_f64);                                                            \
    }

/* What is not a number in one of them stays so in the larger or smaller one: training must not hide it. */
BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a *b)
BINARY(div, a / b)
BINARY(max, a > b || a != a ? a : b)
BINARY(min, a < b || a != a ? a : b)
BINARY(pow, b == 2 ? a * a : pow(a, b))
