/* SPDX-License-Identifier: Apache-2.0 */
/* TopK and Cumulate. */
#include <stdlib.h>
#include <string.h>

#include "backend/ref/ref.h"
#include "backend/ref/ref_types.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"

/* ---- TopK: rows are sorted by keys that order as the values do ---- */

typedef struct ranked {
    uint64_t key;
    size_t index;
} ranked;

/* Largest first, of equal ones the first. */
static int by_rank(const void *a, const void *b)
{
    const ranked *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Bits of a double as an integer that orders like it; both zeros are one, NaN is beyond infinity. */
static uint64_t real_key(double value)
{
    const uint64_t sign = (uint64_t)1 << 63;
    uint64_t bits;

    value = value == 0 ? 0 : value;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return UINT64_MAX;
    return (bits & sign) != 0 ? ~bits : bits | sign;
}

static uint64_t key_of(vecq_dtype dtype, const void *x, size_t i)
{
    const uint64_t sign = (uint64_t)1 << 63;

    switch (dtype) {
#define REAL_KEY(tag, type)                                                                                  \
    case tag:                                                                                                \
        return real_key((double)((const type *)x)[i]);
        VECQ_REF_REALS(REAL_KEY)
#define SIGNED_KEY(tag, type)                                                                                \
    case tag:                                                                                                \
        return (uint64_t)(int64_t)((const type *)x)[i] ^ sign;
        VECQ_REF_SIGNED(SIGNED_KEY)
#define UNSIGNED_KEY(tag, type)                                                                              \
    case tag:                                                                                                \
        return ((const type *)x)[i];
        VECQ_REF_UNSIGNED(UNSIGNED_KEY)
    default: /* bool */
        return ((const uint8_t *)x)[i];
    }
}

typedef struct top_k {
    const vecq_ref_call *call;
    size_t n, k, inner; /* elements of a row, those wanted, from one element of a row to the next */
} top_k;

static void top_k_row(const top_k *t, size_t row, ranked *order)
{
    const vecq_top_k_params *params = t->call->op->params;
    const vecq_dtype dtype = t->call->op->inputs[0]->dtype;
    const size_t size = vecq_dtype_bytes(dtype, 1), outer = row / t->inner, inner = row % t->inner;
    size_t i;

    for (i = 0; i < t->n; i++) {
        uint64_t key = key_of(dtype, t->call->in[0], (outer * t->n + i) * t->inner + inner);

        order[i].key = params->is_min ? ~key : key;
        order[i].index = i;
    }
    qsort(order, t->n, sizeof *order, by_rank);
    for (i = 0; i < t->k; i++) {
        size_t to = (outer * t->k + i) * t->inner + inner;

        if (t->call->out[0] != NULL)
            memcpy((unsigned char *)t->call->out[0] + to * size,
                   (const unsigned char *)t->call->in[0] +
                       ((outer * t->n + order[i].index) * t->inner + inner) * size,
                   size);
        if (t->call->out[1] != NULL)
            ((int64_t *)t->call->out[1])[to] = (int64_t)order[i].index;
    }
}

static vecq_status top_k_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const top_k *t = context;
    ranked *order = vecq_alloc(t->n, sizeof *order);

    (void)thread;
    if (order == NULL)
        return vecq_error_memory(err, t->n * sizeof *order);
    for (; begin < end; begin++)
        top_k_row(t, begin, order);
    vecq_free(order);
    return VECQ_OK;
}

static size_t inner_of(const vecq_var *x, unsigned axis)
{
    size_t inner = 1;
    unsigned a;

    for (a = axis + 1; a < x->rank; a++)
        inner *= (size_t)x->dims[a];
    return inner;
}

vecq_status vecq_ref_top_k(const vecq_ref_call *call)
{
    const vecq_top_k_params *params = call->op->params;
    const vecq_var *x = call->op->inputs[0];
    top_k t = {.call = call,
               .n = (size_t)x->dims[params->axis],
               .k = (size_t)params->k,
               .inner = inner_of(x, params->axis)};

    if (x->count == 0 || t.k == 0)
        return VECQ_OK;
    return vecq_parallel_for(x->count / t.n, 16384 / t.n + 1, call->run->threads, top_k_range, &t, call->err);
}

/* ---- Cumulate: reals in double, integers wrap ---- */

typedef struct cumulation {
    const vecq_cumulate_params *params;
    const void *x;
    void *y;
    size_t n, inner;
} cumulation;

#define CUMULATE(tag, type, sum_type)                                                                        \
    static vecq_status cumulate_##type(void *context, size_t begin, size_t end, unsigned thread,             \
                                       vecq_error *err)                                                      \
    {                                                                                                        \
        const cumulation *c = context;                                                                       \
        (void)thread;                                                                                        \
        (void)err;                                                                                           \
        for (; begin < end; begin++) {                                                                       \
            const size_t base = begin / c->inner * c->n * c->inner + begin % c->inner;                       \
            sum_type sum = c->params->is_product ? 1 : 0;                                                    \
            size_t i;                                                                                        \
            for (i = 0; i < c->n; i++) {                                                                     \
                const size_t at = base + (c->params->is_reverse ? c->n - 1 - i : i) * c->inner;              \
                const sum_type before = sum, x = (sum_type)((const type *)c->x)[at];                         \
                sum = c->params->is_product ? sum * x : sum + x;                                             \
                ((type *)c->y)[at] = (type)(c->params->is_exclusive ? before : sum);                         \
            }                                                                                                \
        }                                                                                                    \
        return VECQ_OK;                                                                                      \
    }
#define CUMULATE_REAL(tag, type)    CUMULATE(tag, type, double)
#define CUMULATE_INTEGER(tag, type) CUMULATE(tag, type, uint64_t)
VECQ_REF_REALS(CUMULATE_REAL)
VECQ_REF_SIGNED(CUMULATE_INTEGER)
VECQ_REF_UNSIGNED(CUMULATE_INTEGER)

vecq_status vecq_ref_cumulate(const vecq_ref_call *call)
{
    const vecq_var *x = call->op->inputs[0];
    cumulation c = {.params = call->op->params, .x = call->in[0], .y = call->out[0]};

    if (call->out[0] == NULL || x->count == 0)
        return VECQ_OK;
    c.n = (size_t)x->dims[c.params->axis];
    c.inner = inner_of(x, c.params->axis);
    switch (x->dtype) {
#define CUMULATE_CASE(tag, type)                                                                             \
    case tag:                                                                                                \
        return vecq_parallel_for(x->count / c.n, 16384 / c.n + 1, call->run->threads, cumulate_##type, &c,   \
                                 call->err);
        VECQ_REF_REALS(CUMULATE_CASE)
        VECQ_REF_SIGNED(CUMULATE_CASE)
        VECQ_REF_UNSIGNED(CUMULATE_CASE)
    default:
        return vecq_error_set(call->err, VECQ_ERR_UNSUPPORTED, "Cumulate '%s': type %s is not covered",
                              call->op->name, vecq_dtype_name(x->dtype));
    }
}
