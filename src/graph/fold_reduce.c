/* SPDX-License-Identifier: Apache-2.0 */
/* Reductions. Floats are accumulated in double, integers modulo 2^64. */
#include <math.h>
#include <string.h>

#include "graph/fold_call.h"
#include "graph/fold_number.h"

typedef struct reduce_state {
    int op;
    vecq_fold_kind kind; /* VECQ_FOLD_F64 for all floats */
    double d;
    uint64_t u;
    size_t n;
} reduce_state;

static void reduce_float(reduce_state *state, const double *x, size_t n)
{
    size_t j;

    for (j = 0; j < n; j++)
        switch (state->op) {
        case VECQ_FOLD_REDUCE_L1:
            state->d += fabs(x[j]);
            break;
        case VECQ_FOLD_REDUCE_L2:
        case VECQ_FOLD_REDUCE_SUM_SQUARE:
            state->d += x[j] * x[j];
            break;
        case VECQ_FOLD_REDUCE_PROD:
            state->d *= x[j];
            break;
        case VECQ_FOLD_REDUCE_MAX: /* a NaN wins and stays */
            state->d = isnan(state->d) || x[j] <= state->d ? state->d : x[j];
            break;
        case VECQ_FOLD_REDUCE_MIN:
            state->d = isnan(state->d) || x[j] >= state->d ? state->d : x[j];
            break;
        default:
            state->d += x[j];
        }
}

static void reduce_int(reduce_state *state, const vecq_fold_block *x, size_t n)
{
    int is_signed = state->kind == VECQ_FOLD_I64;
    size_t j;

    for (j = 0; j < n; j++) {
        uint64_t u = x->u[j];
        int less = is_signed ? x->i[j] < (int64_t)state->u : u < state->u;
        switch (state->op) {
        case VECQ_FOLD_REDUCE_L1:
            state->u += is_signed && x->i[j] < 0 ? 0 - u : u;
            break;
        case VECQ_FOLD_REDUCE_L2:
        case VECQ_FOLD_REDUCE_SUM_SQUARE:
            state->u += u * u;
            break;
        case VECQ_FOLD_REDUCE_PROD:
            state->u *= u;
            break;
        case VECQ_FOLD_REDUCE_MAX:
            state->u = less ? state->u : u;
            break;
        case VECQ_FOLD_REDUCE_MIN:
            state->u = less ? u : state->u;
            break;
        default:
            state->u += u;
        }
    }
}

/* The value of an empty set: 0, 1, or the end of the type's range. */
static void reduce_start(reduce_state *state, vecq_dtype dtype)
{
    unsigned bits = vecq_dtype_bits(dtype);
    int is_signed = state->kind == VECQ_FOLD_I64;
    uint64_t top = dtype == VECQ_DT_BOOL ? 1 : UINT64_MAX >> (64 - bits + (is_signed ? 1 : 0));

    state->n = 0;
    state->d = 0.0;
    state->u = 0;
    if (state->op == VECQ_FOLD_REDUCE_PROD) {
        state->d = 1.0;
        state->u = 1;
    } else if (state->op == VECQ_FOLD_REDUCE_MAX) {
        state->d = -INFINITY;
        state->u = is_signed ? ~top : 0;
    } else if (state->op == VECQ_FOLD_REDUCE_MIN) {
        state->d = INFINITY;
        state->u = top;
    }
}

static void reduce_finish(reduce_state *state, vecq_fold_block *out)
{
    if (state->kind == VECQ_FOLD_F64) {
        if (state->op == VECQ_FOLD_REDUCE_MEAN)
            state->d /= (double)state->n;
        out->d[0] = state->op == VECQ_FOLD_REDUCE_L2 ? sqrt(state->d) : state->d;
        return;
    }
    out->u[0] = state->u;
    if (state->op == VECQ_FOLD_REDUCE_MEAN && state->kind == VECQ_FOLD_I64)
        out->i[0] = (int64_t)state->u / (int64_t)state->n;
    else if (state->op == VECQ_FOLD_REDUCE_MEAN)
        out->u[0] = state->u / state->n;
    else if (state->op == VECQ_FOLD_REDUCE_L2)
        out->u[0] = (uint64_t)sqrt((double)state->u);
}

/* Which axes go, from the attribute or the input. */
static vecq_status reduce_axes(vecq_fold_call *call, const vecq_tensor *x, unsigned char *marks)
{
    int64_t version = call->node->version, noop = 0;
    int64_t moved = call->variant == VECQ_FOLD_REDUCE_SUM ? 13 : 18;
    vecq_fold_list axes;

    VECQ_TRY(vecq_fold_list_moved(call, "axes", 1, moved, &axes));
    if (version >= moved)
        VECQ_TRY(vecq_fold_int(call, "noop_with_empty_axes", 0, &noop));
    VECQ_TRY(vecq_fold_axes(call, &axes, x->rank, marks));
    if (axes.n == 0 && !noop)
        memset(marks, 1, VECQ_MAX_RANK);
    return VECQ_OK;
}

/* Advances an odometer over the marked (or unmarked) axes of x; 0 after the last position. */
static int reduce_next(const vecq_tensor *x, const ptrdiff_t *strides, const unsigned char *marks, int marked,
                       unsigned rank, size_t *index, size_t *at)
{
    unsigned a;

    for (a = rank; a-- > 0;) {
        if ((marks[a] != 0) != marked)
            continue;
        *at += (size_t)strides[a];
        if (++index[a] < (size_t)x->dims[a])
            return 1;
        *at -= (size_t)strides[a] * index[a];
        index[a] = 0;
    }
    return 0;
}

typedef struct reduce_plan {
    const vecq_tensor *x;
    unsigned char marks[VECQ_MAX_RANK];
    ptrdiff_t strides[VECQ_MAX_RANK];
    unsigned inner; /* last reduced axis, or the rank when none is */
} reduce_plan;

/* All elements that go into one result, those along the last reduced axis in blocks. */
static void reduce_one(const reduce_plan *plan, size_t at, reduce_state *state)
{
    const vecq_tensor *x = plan->x;
    size_t index[VECQ_MAX_RANK] = {0}, length, step, j, n;
    vecq_fold_kind own = vecq_fold_kind_of(x->dtype);
    vecq_fold_block block;

    length = plan->inner < x->rank ? (size_t)x->dims[plan->inner] : 1;
    step = plan->inner < x->rank ? (size_t)plan->strides[plan->inner] : 1;
    do {
        for (j = 0; j < length; j += n) {
            n = length - j < VECQ_FOLD_BLOCK ? length - j : VECQ_FOLD_BLOCK;
            vecq_fold_load(x->dtype, x->data, at + j * step, step, n, &block);
            if (state->kind == VECQ_FOLD_F64) {
                vecq_fold_convert(&block, n, own, VECQ_FOLD_F64);
                reduce_float(state, block.d, n);
            } else {
                reduce_int(state, &block, n);
            }
        }
        state->n += length;
    } while (
        reduce_next(x, plan->strides, plan->marks, 1, plan->inner < x->rank ? plan->inner : 0, index, &at));
}

static vecq_status reduce_fill(vecq_fold_call *call, const reduce_plan *plan, int is_empty)
{
    const vecq_tensor *x = plan->x;
    vecq_tensor *out = &call->out[0];
    vecq_fold_kind own = vecq_fold_kind_of(x->dtype);
    reduce_state state = {0};
    size_t index[VECQ_MAX_RANK] = {0}, at = 0, i;
    vecq_fold_block block;

    state.op = call->variant;
    state.kind = own == VECQ_FOLD_F32 ? VECQ_FOLD_F64 : own;
    if (is_empty && state.op == VECQ_FOLD_REDUCE_MEAN && state.kind != VECQ_FOLD_F64 && out->count > 0)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the mean of no integers");
    for (i = 0; i < out->count; i++) {
        reduce_start(&state, x->dtype);
        if (!is_empty)
            reduce_one(plan, at, &state);
        reduce_finish(&state, &block);
        vecq_fold_convert(&block, 1, state.kind, own);
        vecq_fold_store(x->dtype, &block, 1, out->data, i);
        reduce_next(x, plan->strides, plan->marks, 0, x->rank, index, &at);
    }
    return VECQ_OK;
}

vecq_status vecq_fold_op_reduce(vecq_fold_call *call)
{
    reduce_plan plan = {0};
    const vecq_tensor *x;
    int64_t keep, dims[VECQ_MAX_RANK] = {0};
    unsigned a, rank = 0;
    int is_bool, picks = call->variant == VECQ_FOLD_REDUCE_MAX || call->variant == VECQ_FOLD_REDUCE_MIN;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    is_bool = x->dtype == VECQ_DT_BOOL;
    if (vecq_fold_kind_arith(x->dtype) == VECQ_FOLD_NONE || (is_bool && !picks))
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "not defined for %s", vecq_dtype_name(x->dtype));
    VECQ_TRY(vecq_fold_int(call, "keepdims", 1, &keep));
    VECQ_TRY(reduce_axes(call, x, plan.marks));
    plan.x = x;
    plan.inner = x->rank;
    for (a = 0; a < x->rank; a++) {
        if (plan.marks[a])
            plan.inner = a;
        if (!plan.marks[a] || keep)
            dims[rank++] = plan.marks[a] ? 1 : x->dims[a];
    }
    vecq_fold_strides(x->dims, x->rank, plan.strides);
    VECQ_TRY(vecq_fold_create(call, &call->out[0], x->dtype, rank, dims));
    return reduce_fill(call, &plan, x->count == 0);
}
