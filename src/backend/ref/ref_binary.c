/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two operands with broadcasting. Axes along which both operands go on evenly (or both stay) are merged, so
 * that operands of one shape, a scalar and a value for each channel come down to long rows, in which each
 * operand either advances by one element or stays.
 */
#include <string.h>
#include <tgmath.h>

#include "backend/ref/ref.h"
#include "backend/ref/ref_types.h"
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

/* rows[type of the result]; NULL: the shape function let no such type through. */
static vecq_status run(const vecq_ref_call *call, const row_fn *rows)
{
    const vecq_op *op = call->op;
    const vecq_var *y = op->outputs[0];
    walk w = {.a = call->in[0], .b = call->in[1], .y = call->out[0], .row = rows[y->dtype]};

    if (call->out[0] == NULL || y->count == 0)
        return VECQ_OK;
    if (w.row == NULL)
        return vecq_error_set(call->err, VECQ_ERR_UNSUPPORTED, "%s '%s': type %s is not covered",
                              op->info->name, op->name, vecq_dtype_name(y->dtype));
    w.element = vecq_dtype_bytes(y->dtype, 1);
    walk_make(&w, y, op->inputs[0], op->inputs[1]);
    return vecq_parallel_for(w.rows * w.parts, ROW_MAX / w.part, call->run->threads, walk_range, &w,
                             call->err);
}

/* Integers are computed in 64 bits without a sign, where overflow wraps, and cut back to their type. */
typedef uint64_t wide;

/* Toward zero; by zero, which ONNX leaves open, 0. */
static int64_t divide(int64_t a, int64_t b)
{
    return b == 0 ? 0 : b == -1 ? (int64_t)(0 - (wide)a) : a / b;
}

/* The remainder has the sign of the divisor. */
static int64_t modulo(int64_t a, int64_t b)
{
    int64_t rest = b == 0 || b == -1 ? 0 : a % b;

    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static double real_modulo_f64(double a, double b)
{
    double rest = fmod(a, b);

    if (rest == 0)
        return copysign(0.0, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}

static float real_modulo_f32(float a, float b)
{
    float rest = fmodf(a, b);

    if (rest == 0)
        return copysignf(0.0f, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}

#define real_modulo(a, b) _Generic((a), float : real_modulo_f32, default : real_modulo_f64)(a, b)

static int64_t remainder_of(int64_t a, int64_t b)
{
    return b == 0 || b == -1 ? 0 : a % b;
}

/* A table of rows, with the same or with their own expressions for reals, signed and unsigned integers. */
#define BINARY(stem, real, integer, natural)                                                                 \
    ROW(stem##_float, float, real)                                                                           \
    ROW(stem##_double, double, real)                                                                         \
    INTEGER_ROWS(stem, integer, natural)                                                                     \
    static const row_fn stem##_rows[VECQ_DT_COUNT] = {                                                       \
        [VECQ_DT_FLOAT] = stem##_float, [VECQ_DT_DOUBLE] = stem##_double, INTEGER_ENTRIES(stem)};            \
    FUNCTION(stem)
#define BINARY_INTEGER(stem, integer, natural)                                                               \
    INTEGER_ROWS(stem, integer, natural)                                                                     \
    static const row_fn stem##_rows[VECQ_DT_COUNT] = {INTEGER_ENTRIES(stem)};                                \
    FUNCTION(stem)
#define INTEGER_ROWS(stem, integer, natural)                                                                 \
    NATURAL_ROWS(stem, natural)                                                                              \
    ROW(stem##_int8, int8_t, (int8_t)(integer))                                                              \
    ROW(stem##_int16, int16_t, (int16_t)(integer))                                                           \
    ROW(stem##_int32, int32_t, (int32_t)(integer))                                                           \
    ROW(stem##_int64, int64_t, (int64_t)(integer))
#define NATURAL_ROWS(stem, natural)                                                                          \
    ROW(stem##_uint8, uint8_t, (uint8_t)(natural))                                                           \
    ROW(stem##_uint16, uint16_t, (uint16_t)(natural))                                                        \
    ROW(stem##_uint32, uint32_t, (uint32_t)(natural))                                                        \
    ROW(stem##_uint64, uint64_t, (uint64_t)(natural))
#define INTEGER_ENTRIES(stem)                                                                                \
    [VECQ_DT_INT8] = stem##_int8, [VECQ_DT_INT16] = stem##_int16, [VECQ_DT_INT32] = stem##_int32,            \
    [VECQ_DT_INT64] = stem##_int64, NATURAL_ENTRIES(stem)
#define NATURAL_ENTRIES(stem)                                                                                \
    [VECQ_DT_UINT8] = stem##_uint8, [VECQ_DT_UINT16] = stem##_uint16, [VECQ_DT_UINT32] = stem##_uint32,      \
    [VECQ_DT_UINT64] = stem##_uint64
#define FUNCTION(stem)                                                                                       \
    vecq_status vecq_ref_##stem(const vecq_ref_call *call)                                                   \
    {                                                                                                        \
        return run(call, stem##_rows);                                                                       \
    }

/* What is not a number in one of them stays so in the larger or smaller one: training must not hide it. */
BINARY(add, a + b, (wide)a + (wide)b, (wide)a + (wide)b)
BINARY(sub, a - b, (wide)a - (wide)b, (wide)a - (wide)b)
BINARY(mul, a *b, (wide)a *(wide)b, (wide)a *(wide)b)
BINARY(div, a / b, divide(a, b), b == 0 ? 0 : a / b)
BINARY(max, a > b || a != a ? a : b, a > b ? a : b, a > b ? a : b)
BINARY(min, a < b || a != a ? a : b, a < b ? a : b, a < b ? a : b)
BINARY(fmod, fmod(a, b), remainder_of(a, b), b == 0 ? 0 : a % b)
BINARY(mod, real_modulo(a, b), modulo(a, b), b == 0 ? 0 : a % b)
BINARY_INTEGER(bit_and, a &b, a &b)
BINARY_INTEGER(bit_or, a | b, a | b)
BINARY_INTEGER(bit_xor, a ^ b, a ^ b)
/* By the width of the type or more (or by less than 0) nothing but the sign is left. */
BINARY_INTEGER(shift_left, (wide)b < 8 * sizeof b ? (wide)a << (wide)b : 0,
               (wide)b < 8 * sizeof b ? (wide)a << (wide)b : 0)
BINARY_INTEGER(shift_right, (wide)b < 8 * sizeof b ? a >> b : -(a < 0),
               (wide)b < 8 * sizeof b ? (wide)a >> (wide)b : 0)

ROW(pow_f32, float, b == 2 ? a * a : pow(a, b))
ROW(pow_f64, double, b == 2 ? a * a : pow(a, b))
static const row_fn pow_rows[VECQ_DT_COUNT] = {[VECQ_DT_FLOAT] = pow_f32, [VECQ_DT_DOUBLE] = pow_f64};
FUNCTION(pow)
