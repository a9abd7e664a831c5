/* SPDX-License-Identifier: Apache-2.0 */
/* Elementwise operators of two and more tensors, with broadcasting. */
#include <math.h>
#include <string.h>

#include "graph/fold_call.h"
#include "graph/fold_number.h"

typedef vecq_fold_block block;

/* Shapes of versions before 7: equal, or with broadcast=1 B is laid along A from `axis` (default: at the
 * end). */
static vecq_status binary_legacy(vecq_fold_call *call, const vecq_tensor *a, vecq_tensor *b)
{
    int64_t broadcast, axis;
    unsigned i, at, rank = b->rank;

    VECQ_TRY(vecq_fold_int(call, "broadcast", 0, &broadcast));
    VECQ_TRY(vecq_fold_int(call, "axis", (int64_t)a->rank - (int64_t)b->rank, &axis));
    if (!broadcast) {
        if (a->rank != b->rank || memcmp(a->dims, b->dims, rank * sizeof *b->dims) != 0)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "shapes differ without broadcast=1");
        return VECQ_OK;
    }
    if (b->count == 1) {
        b->rank = 0;
        return VECQ_OK;
    }
    if (axis < 0)
        axis += a->rank;
    if (rank > a->rank || axis < 0 || axis > (int64_t)(a->rank - rank))
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "B does not lie along A");
    at = (unsigned)axis;
    for (i = 0; i < rank; i++)
        if (b->dims[i] != a->dims[at + i])
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "B does not lie along A");
    for (i = rank; i < a->rank - at; i++)
        b->dims[i] = 1;
    b->rank = a->rank - at;
    return VECQ_OK;
}

/* Operands, their common kind and the shape of the result. The second operand is a copy without data owned.
 */
typedef struct binary_plan {
    const vecq_tensor *operands[2];
    vecq_tensor second;
    vecq_fold_kind kind;
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];
} binary_plan;

static vecq_status binary_plan_of(vecq_fold_call *call, binary_plan *plan)
{
    const vecq_tensor *a, *b;

    VECQ_TRY(vecq_fold_input(call, 0, &a));
    VECQ_TRY(vecq_fold_input(call, 1, &b));
    plan->kind = vecq_fold_kind_arith(a->dtype);
    if (plan->kind == VECQ_FOLD_NONE || vecq_fold_kind_arith(b->dtype) == VECQ_FOLD_NONE)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "no arithmetic on %s and %s",
                              vecq_dtype_name(a->dtype), vecq_dtype_name(b->dtype));
    if (a->dtype != b->dtype && call->variant != VECQ_FOLD_POW)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "types %s and %s differ", vecq_dtype_name(a->dtype),
                              vecq_dtype_name(b->dtype));
    plan->second = *b;
    plan->operands[0] = a;
    plan->operands[1] = &plan->second;
    if (call->node->version < 7)
        VECQ_TRY(binary_legacy(call, a, &plan->second));
    return vecq_fold_broadcast(call, plan->operands, 2, &plan->rank, plan->dims);
}

static int binary_is_int(vecq_fold_kind kind)
{
    return kind == VECQ_FOLD_I64 || kind == VECQ_FOLD_U64;
}

/* Numpy's minimum and maximum: a NaN wins. */
#define PICK_NAN(a, b, better) (isnan(a) ? (a) : isnan(b) ? (b) : (better) ? (a) : (b))

static double floor_mod(double a, double b)
{
    double r = fmod(a, b);

    if (r == 0)
        return copysign(0.0, b);
    return (r < 0) != (b < 0) ? r + b : r;
}

#define EACH(expression)                                                                                     \
    for (j = 0; j < n; j++)                                                                                  \
        expression;                                                                                          \
    return 1

static int binary_f32(int op, int fmod_mode, const block *a, const block *b, block *c, size_t n)
{
    size_t j;

    switch (op) {
    case VECQ_FOLD_ADD:
    case VECQ_FOLD_SUM:
    case VECQ_FOLD_MEAN:
        EACH(c->f[j] = a->f[j] + b->f[j]);
    case VECQ_FOLD_SUB:
        EACH(c->f[j] = a->f[j] - b->f[j]);
    case VECQ_FOLD_MUL:
        EACH(c->f[j] = a->f[j] * b->f[j]);
    case VECQ_FOLD_DIV:
        EACH(c->f[j] = a->f[j] / b->f[j]);
    case VECQ_FOLD_MOD: /* fmod is exact, so that the detour changes nothing; + b rounds as in float */
        EACH(c->f[j] = fmod_mode ? fmodf(a->f[j], b->f[j]) : (float)floor_mod(a->f[j], b->f[j]));
    case VECQ_FOLD_MIN:
        EACH(c->f[j] = PICK_NAN(a->f[j], b->f[j], a->f[j] < b->f[j]));
    case VECQ_FOLD_MAX:
        EACH(c->f[j] = PICK_NAN(a->f[j], b->f[j], a->f[j] > b->f[j]));
    default:
        return 0;
    }
}

static int binary_f64(int op, int fmod_mode, const block *a, const block *b, block *c, size_t n)
{
    size_t j;

    switch (op) {
    case VECQ_FOLD_ADD:
    case VECQ_FOLD_SUM:
    case VECQ_FOLD_MEAN:
        EACH(c->d[j] = a->d[j] + b->d[j]);
    case VECQ_FOLD_SUB:
        EACH(c->d[j] = a->d[j] - b->d[j]);
    case VECQ_FOLD_MUL:
        EACH(c->d[j] = a->d[j] * b->d[j]);
    case VECQ_FOLD_DIV:
        EACH(c->d[j] = a->d[j] / b->d[j]);
    case VECQ_FOLD_MOD:
        EACH(c->d[j] = fmod_mode ? fmod(a->d[j], b->d[j]) : floor_mod(a->d[j], b->d[j]));
    case VECQ_FOLD_MIN:
        EACH(c->d[j] = PICK_NAN(a->d[j], b->d[j], a->d[j] < b->d[j]));
    case VECQ_FOLD_MAX:
        EACH(c->d[j] = PICK_NAN(a->d[j], b->d[j], a->d[j] > b->d[j]));
    default:
        return 0;
    }
}

/* Quotient toward zero or remainder; the divisor is not 0. INT64_MIN / -1 wraps. */
static uint64_t int_divide(int op, int fmod_mode, int is_signed, uint64_t ua, uint64_t ub)
{
    int64_t a = (int64_t)ua, b = (int64_t)ub, r;

    if (!is_signed)
        return op == VECQ_FOLD_DIV ? ua / ub : ua % ub;
    if (b == -1)
        return op == VECQ_FOLD_DIV ? 0 - ua : 0;
    if (op == VECQ_FOLD_DIV)
        return (uint64_t)(a / b);
    r = a % b;
    if (!fmod_mode && r != 0 && (r < 0) != (b < 0)) /* the sign of the divisor */
        r += b;
    return (uint64_t)r;
}

static uint64_t shift(uint64_t a, uint64_t b, int right, unsigned bits)
{
    if (b >= bits)
        return 0;
    return right ? a >> b : a << b;
}

/* Everything that wraps is computed modulo 2^64 and cut when it is stored. */
static int binary_int(int op, int mode, int is_signed, unsigned bits, const block *a, const block *b,
                      block *c, size_t n)
{
    size_t j;

    switch (op) {
    case VECQ_FOLD_ADD:
    case VECQ_FOLD_SUM:
        EACH(c->u[j] = a->u[j] + b->u[j]);
    case VECQ_FOLD_SUB:
        EACH(c->u[j] = a->u[j] - b->u[j]);
    case VECQ_FOLD_MUL:
        EACH(c->u[j] = a->u[j] * b->u[j]);
    case VECQ_FOLD_DIV:
    case VECQ_FOLD_MOD:
        EACH(c->u[j] = int_divide(op, mode, is_signed, a->u[j], b->u[j]));
    case VECQ_FOLD_MIN:
        EACH(c->u[j] = (is_signed ? a->i[j] < b->i[j] : a->u[j] < b->u[j]) ? a->u[j] : b->u[j]);
    case VECQ_FOLD_MAX:
        EACH(c->u[j] = (is_signed ? a->i[j] > b->i[j] : a->u[j] > b->u[j]) ? a->u[j] : b->u[j]);
    case VECQ_FOLD_AND:
    case VECQ_FOLD_BIT_AND:
        EACH(c->u[j] = a->u[j] & b->u[j]);
    case VECQ_FOLD_OR:
    case VECQ_FOLD_BIT_OR:
        EACH(c->u[j] = a->u[j] | b->u[j]);
    case VECQ_FOLD_XOR:
    case VECQ_FOLD_BIT_XOR:
        EACH(c->u[j] = a->u[j] ^ b->u[j]);
    case VECQ_FOLD_SHIFT:
        EACH(c->u[j] = shift(a->u[j], b->u[j], mode, bits));
    default:
        return 0;
    }
}

static int has_zero(const block *b, size_t n)
{
    size_t j;

    for (j = 0; j < n; j++)
        if (b->u[j] == 0)
            return 1;
    return 0;
}

/* base^exponent modulo 2^64; 0 for a division by zero in *ok. */
static uint64_t int_power(uint64_t base, int64_t exponent, int *ok)
{
    uint64_t result = 1;

    if (exponent < 0) {
        if (base == 0)
            *ok = 0;
        if (base == 1 || base == UINT64_MAX)
            return base == 1 || exponent % 2 == 0 ? 1 : UINT64_MAX;
        return 0;
    }
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            result *= base;
        base *= base;
    }
    return result;
}

static vecq_status power_block(vecq_fold_call *call, vecq_fold_kind base, vecq_fold_kind exponent, block *a,
                               block *b, size_t n)
{
    size_t j;
    int ok = 1;

    if (binary_is_int(base) && binary_is_int(exponent)) {
        for (j = 0; j < n; j++) /* an unsigned exponent of 2^63 or more does not occur in sense */
            a->u[j] = int_power(a->u[j], exponent == VECQ_FOLD_U64 && b->i[j] < 0 ? INT64_MAX : b->i[j], &ok);
        return ok ? VECQ_OK : vecq_fold_fail(call, VECQ_ERR_FORMAT, "integer 0 to a negative power");
    }
    /* In double: correctly rounded to float nearly always, whatever the C library. */
    vecq_fold_convert(a, n, base, VECQ_FOLD_F64);
    vecq_fold_convert(b, n, exponent, VECQ_FOLD_F64);
    for (j = 0; j < n; j++)
        a->d[j] = pow(a->d[j], b->d[j]);
    vecq_fold_convert(a, n, VECQ_FOLD_F64, base);
    return VECQ_OK;
}

/* Which element types ONNX lets the operator have, as far as it matters for the meaning. */
static vecq_status binary_check(vecq_fold_call *call, vecq_dtype dtype, vecq_fold_kind kind, int fmod_mode)
{
    int op = call->variant, is_bool = dtype == VECQ_DT_BOOL, fine = 1;

    if (op == VECQ_FOLD_AND || op == VECQ_FOLD_OR || op == VECQ_FOLD_XOR)
        fine = is_bool;
    else if (op == VECQ_FOLD_BIT_AND || op == VECQ_FOLD_BIT_OR || op == VECQ_FOLD_BIT_XOR)
        fine = binary_is_int(kind) && !is_bool;
    else if (op == VECQ_FOLD_SHIFT)
        fine = kind == VECQ_FOLD_U64 && !is_bool;
    else
        fine = !is_bool;
    if (op == VECQ_FOLD_MOD && !binary_is_int(kind) && !fmod_mode && call->node->version < 28)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "floating-point operands need fmod=1");
    if (!fine)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "not defined for %s", vecq_dtype_name(dtype));
    return VECQ_OK;
}

/* fmod of Mod, direction of BitShift (1: right). */
static vecq_status binary_mode(vecq_fold_call *call, int *mode)
{
    static const char *const directions[] = {"LEFT", "RIGHT", NULL};
    int64_t fmod_mode;

    *mode = 0;
    if (call->variant == VECQ_FOLD_MOD) {
        VECQ_TRY(vecq_fold_int(call, "fmod", 0, &fmod_mode));
        *mode = fmod_mode != 0;
    }
    if (call->variant == VECQ_FOLD_SHIFT) {
        if (vecq_node_attr(call->node, "direction") == NULL)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "attribute 'direction' is missing");
        VECQ_TRY(vecq_fold_string(call, "direction", directions, mode));
    }
    return VECQ_OK;
}

static vecq_status binary_fill(vecq_fold_call *call, const binary_plan *plan, int mode, vecq_tensor *out)
{
    vecq_dtype dtype = plan->operands[0]->dtype, second = plan->operands[1]->dtype;
    int op = call->variant, done, is_int = binary_is_int(plan->kind);
    vecq_fold_walk walk;
    block a, b;

    vecq_fold_walk_start(&walk, plan->operands, 2, plan->rank, plan->dims);
    while (vecq_fold_walk_next(&walk, VECQ_FOLD_BLOCK)) {
        vecq_fold_load(dtype, plan->operands[0]->data, walk.at[0], walk.step[0], walk.run, &a);
        vecq_fold_load(second, plan->operands[1]->data, walk.at[1], walk.step[1], walk.run, &b);
        if (is_int && (op == VECQ_FOLD_DIV || op == VECQ_FOLD_MOD) && has_zero(&b, walk.run))
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "integer division by zero");
        if (op == VECQ_FOLD_POW) {
            VECQ_TRY(power_block(call, plan->kind, vecq_fold_kind_of(second), &a, &b, walk.run));
            done = 1;
        } else if (plan->kind == VECQ_FOLD_F32) {
            done = binary_f32(op, mode, &a, &b, &a, walk.run);
        } else if (plan->kind == VECQ_FOLD_F64) {
            done = binary_f64(op, mode, &a, &b, &a, walk.run);
        } else {
            done = binary_int(op, mode, plan->kind == VECQ_FOLD_I64, vecq_dtype_bits(dtype), &a, &b, &a,
                              walk.run);
        }
        if (!done)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "not defined for %s", vecq_dtype_name(dtype));
        vecq_fold_store(dtype, &a, walk.run, out->data, walk.first);
    }
    return VECQ_OK;
}

vecq_status vecq_fold_op_binary(vecq_fold_call *call)
{
    binary_plan plan;
    int mode;

    VECQ_TRY(binary_plan_of(call, &plan));
    VECQ_TRY(binary_mode(call, &mode));
    VECQ_TRY(binary_check(call, plan.operands[0]->dtype, plan.kind, mode));
    VECQ_TRY(vecq_fold_create(call, &call->out[0], plan.operands[0]->dtype, plan.rank, plan.dims));
    return binary_fill(call, &plan, mode, &call->out[0]);
}

#define COMPARE(member)                                                                                      \
    for (j = 0; j < n; j++)                                                                                  \
    a->u[j] = op == VECQ_FOLD_EQUAL        ? a->member[j] == b->member[j]                                    \
              : op == VECQ_FOLD_LESS       ? a->member[j] < b->member[j]                                     \
              : op == VECQ_FOLD_LESS_EQUAL ? a->member[j] <= b->member[j]                                    \
              : op == VECQ_FOLD_GREATER    ? a->member[j] > b->member[j]                                     \
                                           : a->member[j] >= b->member[j]

static void compare_block(int op, vecq_fold_kind kind, block *a, block *b, size_t n)
{
    size_t j;

    if (kind == VECQ_FOLD_F32) { /* to the width of the result, exactly */
        vecq_fold_convert(a, n, kind, VECQ_FOLD_F64);
        vecq_fold_convert(b, n, kind, VECQ_FOLD_F64);
    }
    if (kind == VECQ_FOLD_I64)
        COMPARE(i);
    else if (kind == VECQ_FOLD_U64)
        COMPARE(u);
    else
        COMPARE(d);
}

vecq_status vecq_fold_op_compare(vecq_fold_call *call)
{
    binary_plan plan;
    vecq_fold_walk walk;
    vecq_dtype dtype;
    block a, b;

    VECQ_TRY(binary_plan_of(call, &plan));
    dtype = plan.operands[0]->dtype;
    if (dtype == VECQ_DT_BOOL && call->variant != VECQ_FOLD_EQUAL)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "not defined for bool");
    VECQ_TRY(vecq_fold_create(call, &call->out[0], VECQ_DT_BOOL, plan.rank, plan.dims));
    vecq_fold_walk_start(&walk, plan.operands, 2, plan.rank, plan.dims);
    while (vecq_fold_walk_next(&walk, VECQ_FOLD_BLOCK)) {
        vecq_fold_load(dtype, plan.operands[0]->data, walk.at[0], walk.step[0], walk.run, &a);
        vecq_fold_load(dtype, plan.operands[1]->data, walk.at[1], walk.step[1], walk.run, &b);
        compare_block(call->variant, plan.kind, &a, &b, walk.run);
        vecq_fold_store(VECQ_DT_BOOL, &a, walk.run, call->out[0].data, walk.first);
    }
    return VECQ_OK;
}

/* Divides by the number of inputs. */
static void mean_finish(vecq_tensor *out, size_t n_in)
{
    vecq_fold_kind kind = vecq_fold_kind_of(out->dtype);
    size_t first, n, j;
    block a;

    for (first = 0; first < out->count; first += n) {
        n = out->count - first < VECQ_FOLD_BLOCK ? out->count - first : VECQ_FOLD_BLOCK;
        vecq_fold_load(out->dtype, out->data, first, 1, n, &a);
        for (j = 0; j < n; j++) {
            if (kind == VECQ_FOLD_F32)
                a.f[j] /= (float)n_in;
            else
                a.d[j] /= (double)n_in;
        }
        vecq_fold_store(out->dtype, &a, n, out->data, first);
    }
}

/* out = out op x, x broadcast to out. */
static vecq_status variadic_step(vecq_fold_call *call, const vecq_tensor *x, vecq_fold_kind kind,
                                 vecq_tensor *out)
{
    binary_plan plan;

    VECQ_TRY(vecq_fold_charge(call, out->n_bytes));
    plan.operands[0] = out;
    plan.operands[1] = x;
    plan.kind = kind;
    plan.rank = out->rank;
    memcpy(plan.dims, out->dims, sizeof plan.dims);
    return binary_fill(call, &plan, 0, out);
}

/* The first input spread over the result, then the others one after the other; each step rounds to the type.
 */
vecq_status vecq_fold_op_variadic(vecq_fold_call *call)
{
    const vecq_tensor *first, *x;
    vecq_tensor *out = &call->out[0];
    vecq_fold_walk walk;
    vecq_fold_kind kind;
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];
    block a;
    size_t i;

    VECQ_TRY(vecq_fold_input(call, 0, &first));
    kind = vecq_fold_kind_arith(first->dtype);
    if (kind == VECQ_FOLD_NONE || first->dtype == VECQ_DT_BOOL ||
        (binary_is_int(kind) && (call->variant == VECQ_FOLD_SUM || call->variant == VECQ_FOLD_MEAN)))
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "not defined for %s", vecq_dtype_name(first->dtype));
    for (i = 1; i < call->n_in; i++) {
        VECQ_TRY(vecq_fold_input(call, i, &x));
        if (x->dtype != first->dtype)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the types of the inputs differ");
    }
    VECQ_TRY(vecq_fold_broadcast(call, (const vecq_tensor *const *)call->in, call->n_in, &rank, dims));
    VECQ_TRY(vecq_fold_create(call, out, first->dtype, rank, dims));
    vecq_fold_walk_start(&walk, &first, 1, rank, dims);
    while (vecq_fold_walk_next(&walk, VECQ_FOLD_BLOCK)) {
        vecq_fold_load(first->dtype, first->data, walk.at[0], walk.step[0], walk.run, &a);
        vecq_fold_store(first->dtype, &a, walk.run, out->data, walk.first);
    }
    for (i = 1; i < call->n_in; i++)
        VECQ_TRY(variadic_step(call, call->in[i], kind, out));
    if (call->variant == VECQ_FOLD_MEAN)
        mean_finish(out, call->n_in);
    return VECQ_OK;
}

vecq_status vecq_fold_op_where(vecq_fold_call *call)
{
    const vecq_tensor *in[3];
    vecq_fold_walk walk;
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];
    size_t size, i, j, from;

    for (i = 0; i < 3; i++)
        VECQ_TRY(vecq_fold_input(call, i, &in[i]));
    if (in[0]->dtype != VECQ_DT_BOOL || in[1]->dtype != in[2]->dtype)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "needs a bool condition and two tensors of one type");
    VECQ_TRY(vecq_fold_broadcast(call, in, 3, &rank, dims));
    VECQ_TRY(vecq_fold_create(call, &call->out[0], in[1]->dtype, rank, dims));
    size = vecq_fold_size(in[1]->dtype);
    vecq_fold_walk_start(&walk, in, 3, rank, dims);
    while (vecq_fold_walk_next(&walk, VECQ_FOLD_BLOCK))
        for (j = 0; j < walk.run; j++) {
            unsigned pick = ((const uint8_t *)in[0]->data)[walk.at[0] + j * walk.step[0]] ? 1 : 2;
            from = walk.at[pick] + j * walk.step[pick];
            memcpy((char *)call->out[0].data + (walk.first + j) * size,
                   (const char *)in[pick]->data + from * size, size);
        }
    return VECQ_OK;
}
