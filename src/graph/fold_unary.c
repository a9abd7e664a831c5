/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise operators of one tensor, Clip and the casts. */
#include <math.h>

#include "graph/fold_call.h"
#include "graph/fold_number.h"

typedef vecq_fold_block block;

static double unary_sign(double x)
{
    return isnan(x) ? x : (double)((x > 0) - (x < 0));
}

/* Without overflow on either side. */
static double unary_sigmoid(double x)
{
    double e = exp(-fabs(x));

    return x >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

/* All in double: what is exact or correctly rounded there stays so when it is rounded to float (sqrt and
 * division have more than twice the digits), the other functions nearly always. Returns 0: not for floats. */
static int unary_float(int op, double *x, size_t n)
{
    size_t j;

#define EACH(expression)                                                                                     \
    for (j = 0; j < n; j++)                                                                                  \
        x[j] = (expression);                                                                                 \
    return 1
    switch (op) {
    case VECQ_FOLD_ABS:
        EACH(fabs(x[j]));
    case VECQ_FOLD_CEIL:
        EACH(ceil(x[j]));
    case VECQ_FOLD_COS:
        EACH(cos(x[j]));
    case VECQ_FOLD_ERF:
        EACH(erf(x[j]));
    case VECQ_FOLD_EXP:
        EACH(exp(x[j]));
    case VECQ_FOLD_FLOOR:
        EACH(floor(x[j]));
    case VECQ_FOLD_LOG:
        EACH(log(x[j]));
    case VECQ_FOLD_NEG:
        EACH(-x[j]);
    case VECQ_FOLD_RECIPROCAL:
        EACH(1.0 / x[j]);
    case VECQ_FOLD_RELU:
        EACH(x[j] < 0 ? 0.0 : x[j]);
    case VECQ_FOLD_ROUND:
        EACH(nearbyint(x[j]));
    case VECQ_FOLD_SIGMOID:
        EACH(unary_sigmoid(x[j]));
    case VECQ_FOLD_SIGN:
        EACH(unary_sign(x[j]));
    case VECQ_FOLD_SIN:
        EACH(sin(x[j]));
    case VECQ_FOLD_SQRT:
        EACH(sqrt(x[j]));
    case VECQ_FOLD_TANH:
        EACH(tanh(x[j]));
    default:
        return 0;
    }
#undef EACH
}

static int unary_int(int op, int is_signed, block *x, size_t n)
{
    size_t j;

    for (j = 0; j < n; j++) {
        uint64_t u = x->u[j];
        int negative = is_signed && x->i[j] < 0;
        switch (op) {
        case VECQ_FOLD_ABS:
            x->u[j] = negative ? 0 - u : u;
            break;
        case VECQ_FOLD_NEG:
            if (!is_signed)
                return 0;
            x->u[j] = 0 - u;
            break;
        case VECQ_FOLD_RELU:
            x->u[j] = negative ? 0 : u;
            break;
        case VECQ_FOLD_SIGN:
            x->u[j] = negative ? UINT64_MAX : u != 0;
            break;
        case VECQ_FOLD_ERF: /* ONNX allows it: 0, or past 3 the sign; toward zero */
            x->i[j] = (int64_t)erf(is_signed ? (double)x->i[j] : (double)u);
            break;
        case VECQ_FOLD_BIT_NOT:
            x->u[j] = ~u;
            break;
        case VECQ_FOLD_NOT:
            x->u[j] = u == 0;
            break;
        default:
            return 0;
        }
    }
    return 1;
}

vecq_status vecq_fold_op_unary(vecq_fold_call *call)
{
    const vecq_tensor *x;
    vecq_tensor *out = &call->out[0];
    vecq_fold_kind kind;
    size_t first, n;
    block a;
    int done, op = call->variant;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    kind = vecq_fold_kind_arith(x->dtype);
    if (kind == VECQ_FOLD_NONE || (x->dtype == VECQ_DT_BOOL) != (op == VECQ_FOLD_NOT))
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "not defined for %s", vecq_dtype_name(x->dtype));
    VECQ_TRY(vecq_fold_create(call, out, x->dtype, x->rank, x->dims));
    for (first = 0; first < x->count; first += n) {
        n = x->count - first < VECQ_FOLD_BLOCK ? x->count - first : VECQ_FOLD_BLOCK;
        vecq_fold_load(x->dtype, x->data, first, 1, n, &a);
        if (kind == VECQ_FOLD_I64 || kind == VECQ_FOLD_U64) {
            done = unary_int(op, kind == VECQ_FOLD_I64, &a, n);
        } else {
            vecq_fold_convert(&a, n, kind, VECQ_FOLD_F64);
            done = unary_float(op, a.d, n);
            vecq_fold_convert(&a, n, VECQ_FOLD_F64, kind);
        }
        if (!done)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "not defined for %s", vecq_dtype_name(x->dtype));
        vecq_fold_store(x->dtype, &a, n, out->data, first);
    }
    return VECQ_OK;
}

/* One bound of Clip: from the attribute before version 11, else from an input. */
static vecq_status clip_bound(vecq_fold_call *call, const vecq_tensor *x, const char *name, size_t i,
                              block *out, int *given)
{
    vecq_fold_kind kind = vecq_fold_kind_of(x->dtype);
    const vecq_tensor *bound;

    if (call->node->version < 11) {
        *given = vecq_node_attr(call->node, name) != NULL;
        VECQ_TRY(vecq_fold_float(call, name, 0.0f, &out->f[0]));
        vecq_fold_convert(out, 1, VECQ_FOLD_F32, kind);
        return VECQ_OK;
    }
    bound = vecq_fold_optional(call, i);
    *given = bound != NULL;
    if (bound == NULL)
        return VECQ_OK;
    if (bound->dtype != x->dtype || bound->count != 1)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "'%s' is not a scalar of the data's type", name);
    vecq_fold_load(bound->dtype, bound->data, 0, 1, 1, out);
    return VECQ_OK;
}

#define CLIP(member)                                                                                         \
    for (j = 0; j < n; j++) {                                                                                \
        if (low != NULL && a->member[j] < low->member[0])                                                    \
            a->member[j] = low->member[0];                                                                   \
        if (high != NULL && a->member[j] > high->member[0])                                                  \
            a->member[j] = high->member[0];                                                                  \
    }

static void clip_block(vecq_fold_kind kind, block *a, size_t n, const block *low, const block *high)
{
    size_t j;

    if (kind == VECQ_FOLD_F32)
        CLIP(f)
    else if (kind == VECQ_FOLD_F64)
        CLIP(d)
    else if (kind == VECQ_FOLD_I64)
        CLIP(i)
    else
        CLIP(u)
}

vecq_status vecq_fold_op_clip(vecq_fold_call *call)
{
    const vecq_tensor *x;
    vecq_fold_kind kind;
    block a, low, high;
    int has_low, has_high;
    size_t first, n;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    kind = vecq_fold_kind_arith(x->dtype);
    if (kind == VECQ_FOLD_NONE || x->dtype == VECQ_DT_BOOL)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "not defined for %s", vecq_dtype_name(x->dtype));
    VECQ_TRY(clip_bound(call, x, "min", 1, &low, &has_low));
    VECQ_TRY(clip_bound(call, x, "max", 2, &high, &has_high));
    VECQ_TRY(vecq_fold_create(call, &call->out[0], x->dtype, x->rank, x->dims));
    for (first = 0; first < x->count; first += n) {
        n = x->count - first < VECQ_FOLD_BLOCK ? x->count - first : VECQ_FOLD_BLOCK;
        vecq_fold_load(x->dtype, x->data, first, 1, n, &a);
        clip_block(kind, &a, n, has_low ? &low : NULL, has_high ? &high : NULL);
        vecq_fold_store(x->dtype, &a, n, call->out[0].data, first);
    }
    return VECQ_OK;
}

/* Floats to bool: everything but zero is true. */
static void cast_to_bool(block *a, size_t n, vecq_fold_kind kind)
{
    size_t j;

    if (kind == VECQ_FOLD_F32)
        vecq_fold_convert(a, n, kind, VECQ_FOLD_F64);
    for (j = 0; j < n; j++)
        a->u[j] = kind == VECQ_FOLD_F32 || kind == VECQ_FOLD_F64 ? a->d[j] != 0 : a->u[j] != 0;
}

static void cast_block(vecq_dtype from, vecq_dtype to, int saturate, block *a, size_t n, uint8_t *small)
{
    vecq_fold_kind kind = vecq_fold_kind_of(from), target = vecq_fold_kind_of(to);
    size_t j;

    if (to == VECQ_DT_BOOL) {
        cast_to_bool(a, n, kind);
    } else if (kind == VECQ_FOLD_F64 && target == VECQ_FOLD_F32 && to != VECQ_DT_FLOAT) {
        for (j = 0; j < n; j++) /* two roundings must give what one would */
            a->f[j] = vecq_fold_to_odd(a->d[j]);
    } else {
        vecq_fold_convert(a, n, kind, target);
    }
    if (vecq_dtype_is_small_float(to))
        for (j = 0; j < n; j++)
            small[j] = vecq_fold_encode_small(to, a->f[j], saturate);
}

vecq_status vecq_fold_op_cast(vecq_fold_call *call)
{
    const vecq_tensor *x, *like;
    vecq_tensor *out = &call->out[0];
    int64_t to, saturate = 1;
    size_t first, n;
    block a;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    if (call->variant == VECQ_FOLD_CAST_LIKE) {
        VECQ_TRY(vecq_fold_input(call, 1, &like));
        to = like->dtype;
    } else if (call->node->version < 6) { /* a string then */
        static const char *const names[] = {"FLOAT",  "UINT8",   "INT8", "UINT16", "INT16",
                                            "INT32",  "INT64",   "BOOL", "DOUBLE", "UINT32",
                                            "UINT64", "FLOAT16", NULL};
        static const vecq_dtype dtypes[] = {VECQ_DT_FLOAT,  VECQ_DT_UINT8,  VECQ_DT_INT8,   VECQ_DT_UINT16,
                                            VECQ_DT_INT16,  VECQ_DT_INT32,  VECQ_DT_INT64,  VECQ_DT_BOOL,
                                            VECQ_DT_DOUBLE, VECQ_DT_UINT32, VECQ_DT_UINT64, VECQ_DT_FLOAT16};
        int index;
        VECQ_TRY(vecq_fold_string(call, "to", names, &index));
        to = dtypes[index];
    } else {
        VECQ_TRY(vecq_fold_int(call, "to", VECQ_DT_UNDEFINED, &to));
    }
    if (call->node->version >= 19)
        VECQ_TRY(vecq_fold_int(call, "saturate", 1, &saturate));
    if (to <= 0 || to >= VECQ_DT_COUNT)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "type %lld does not exist", (long long)to);
    if (vecq_fold_kind_of(x->dtype) == VECQ_FOLD_NONE ||
        vecq_fold_kind_of((vecq_dtype)to) == VECQ_FOLD_NONE || to == VECQ_DT_FLOAT8E8M0)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "%s to %s is not evaluated",
                              vecq_dtype_name(x->dtype), vecq_dtype_name((vecq_dtype)to));
    if (to == (int64_t)x->dtype)
        return vecq_fold_pass(call, 0, x->rank, x->dims);
    VECQ_TRY(vecq_fold_create(call, out, (vecq_dtype)to, x->rank, x->dims));
    for (first = 0; first < x->count; first += n) {
        n = x->count - first < VECQ_FOLD_BLOCK ? x->count - first : VECQ_FOLD_BLOCK;
        vecq_fold_load(x->dtype, x->data, first, 1, n, &a);
        cast_block(x->dtype, out->dtype, (int)saturate, &a, n, (uint8_t *)out->data + first);
        if (!vecq_dtype_is_small_float(out->dtype))
            vecq_fold_store(out->dtype, &a, n, out->data, first);
    }
    return VECQ_OK;
}
