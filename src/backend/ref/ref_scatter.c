/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GatherElements, GatherND, ScatterElements, ScatterND. Indices come from data, so one that is out of range
 * is an error of the input. Updates are made one after the other, in their order.
 */
#include <string.h>

#include "backend/ref/ref.h"
#include "backend/ref/ref_types.h"
#include "base/status.h"

typedef uint64_t wide;

/* indices[i] within an axis of n. */
static vecq_status place(const vecq_ref_call *call, size_t i, int64_t n, size_t *out)
{
    const vecq_var *indices = call->op->inputs[1];
    int64_t index = indices->dtype == VECQ_DT_INT32 ? ((const int32_t *)call->in[1])[i]
                                                    : ((const int64_t *)call->in[1])[i];

    if (index < -n || index >= n)
        return vecq_error_set(
            call->err, VECQ_ERR_VALUE, "%s '%s': index %lld (element %zu of '%s') is not below %lld",
            call->op->info->name, call->op->name, (long long)index, i, indices->name, (long long)n);
    *out = (size_t)(index < 0 ? index + n : index);
    return VECQ_OK;
}

/* n elements of src into dst. Integers wrap. */
#define COMBINE(tag, type, sum, product)                                                                     \
    static void combine_##type(vecq_scatter_reduction how, void *to, const void *from, size_t n)             \
    {                                                                                                        \
        type *dst = to;                                                                                      \
        const type *src = from;                                                                              \
        size_t i;                                                                                            \
        for (i = 0; i < n; i++) {                                                                            \
            const type a = dst[i], b = src[i];                                                               \
            dst[i] = how == VECQ_SCATTER_ADD   ? (type)(sum)                                                 \
                     : how == VECQ_SCATTER_MUL ? (type)(product)                                             \
                     : how == VECQ_SCATTER_MAX ? (b > a ? b : a)                                             \
                                               : (b < a ? b : a);                                            \
        }                                                                                                    \
    }
#define COMBINE_REAL(tag, type)    COMBINE(tag, type, a + b, a * b)
#define COMBINE_INTEGER(tag, type) COMBINE(tag, type, (wide)a + (wide)b, (wide)a * (wide)b)
VECQ_REF_REALS(COMBINE_REAL)
VECQ_REF_SIGNED(COMBINE_INTEGER)
VECQ_REF_UNSIGNED(COMBINE_INTEGER)

static void update(const vecq_ref_call *call, size_t to, const void *src, size_t n)
{
    const vecq_scatter_params *params = call->op->params;
    const vecq_dtype dtype = call->op->inputs[0]->dtype;
    unsigned char *dst = (unsigned char *)call->out[0] + vecq_dtype_bytes(dtype, to);

    if (params->reduction == VECQ_SCATTER_PUT) {
        memcpy(dst, src, vecq_dtype_bytes(dtype, n));
        return;
    }
    switch (dtype) {
#define CASE(tag, type)                                                                                      \
    case tag:                                                                                                \
        combine_##type(params->reduction, dst, src, n);                                                      \
        break;
        VECQ_REF_REALS(CASE)
        VECQ_REF_SIGNED(CASE)
        VECQ_REF_UNSIGNED(CASE)
    default:
        break;
    }
}

/* ---- single elements ---- */

/* Where in data the element at place i of the indices lies. */
static vecq_status element_place(const vecq_ref_call *call, size_t i, size_t *out)
{
    const vecq_scatter_params *params = call->op->params;
    const vecq_var *data = call->op->inputs[0], *indices = call->op->inputs[1];
    size_t step = 1, rest = i, at;
    unsigned a;

    *out = 0;
    for (a = data->rank; a-- > 0;) {
        at = rest % (size_t)indices->dims[a];
        rest /= (size_t)indices->dims[a];
        if (a == params->axis)
            VECQ_TRY(place(call, i, data->dims[a], &at));
        *out += at * step;
        step *= (size_t)data->dims[a];
    }
    return VECQ_OK;
}

vecq_status vecq_ref_gather_elements(const vecq_ref_call *call)
{
    const size_t size = vecq_dtype_bytes(call->op->inputs[0]->dtype, 1);
    unsigned char *dst = call->out[0];
    size_t i, at = 0;

    for (i = 0; i < call->op->inputs[1]->count && dst != NULL; i++) {
        VECQ_TRY(element_place(call, i, &at));
        memcpy(dst + i * size, (const unsigned char *)call->in[0] + at * size, size);
    }
    return VECQ_OK;
}

static void copy_data(const vecq_ref_call *call)
{
    const vecq_var *data = call->op->inputs[0];

    if (data->count > 0)
        memcpy(call->out[0], call->in[0], vecq_dtype_bytes(data->dtype, data->count));
}

vecq_status vecq_ref_scatter_elements(const vecq_ref_call *call)
{
    const size_t size = vecq_dtype_bytes(call->op->inputs[0]->dtype, 1);
    size_t i, at = 0;

    if (call->out[0] == NULL)
        return VECQ_OK;
    copy_data(call);
    for (i = 0; i < call->op->inputs[1]->count; i++) {
        VECQ_TRY(element_place(call, i, &at));
        update(call, at, (const unsigned char *)call->in[2] + i * size, 1);
    }
    return VECQ_OK;
}

/* ---- slices by tuples of indices ---- */

typedef struct tuples {
    size_t n, length;         /* how many, indices in each */
    size_t per_batch;         /* tuples that go to the same batch of data */
    size_t batch_size, slice; /* elements of data in a batch; that a tuple picks */
} tuples;

static tuples tuples_of(const vecq_op *op)
{
    const vecq_scatter_params *params = op->params;
    const vecq_var *data = op->inputs[0], *indices = op->inputs[1];
    tuples t = {.n = 1,
                .length = (size_t)indices->dims[indices->rank - 1],
                .per_batch = 1,
                .batch_size = 1,
                .slice = 1};
    unsigned a;

    for (a = 0; a + 1 < indices->rank; a++) {
        t.n *= (size_t)indices->dims[a];
        t.per_batch *= a >= params->batch ? (size_t)indices->dims[a] : 1;
    }
    for (a = params->batch; a < data->rank; a++) {
        t.batch_size *= (size_t)data->dims[a];
        t.slice *= a >= params->batch + t.length ? (size_t)data->dims[a] : 1;
    }
    return t;
}

static vecq_status tuple_place(const vecq_ref_call *call, const tuples *t, size_t i, size_t *out)
{
    const vecq_scatter_params *params = call->op->params;
    const vecq_var *data = call->op->inputs[0];
    size_t k, at = 0, offset = 0;

    for (k = 0; k < t->length; k++) {
        VECQ_TRY(place(call, i * t->length + k, data->dims[params->batch + k], &at));
        offset = offset * (size_t)data->dims[params->batch + k] + at;
    }
    *out = i / t->per_batch * t->batch_size + offset * t->slice;
    return VECQ_OK;
}

vecq_status vecq_ref_gather_nd(const vecq_ref_call *call)
{
    const size_t size = vecq_dtype_bytes(call->op->inputs[0]->dtype, 1);
    const tuples t = tuples_of(call->op);
    unsigned char *dst = call->out[0];
    size_t i, at = 0;

    for (i = 0; i < t.n && dst != NULL; i++) {
        VECQ_TRY(tuple_place(call, &t, i, &at));
        memcpy(dst + i * t.slice * size, (const unsigned char *)call->in[0] + at * size, t.slice * size);
    }
    return VECQ_OK;
}

vecq_status vecq_ref_scatter_nd(const vecq_ref_call *call)
{
    const size_t size = vecq_dtype_bytes(call->op->inputs[0]->dtype, 1);
    const tuples t = tuples_of(call->op);
    size_t i, at = 0;

    if (call->out[0] == NULL)
        return VECQ_OK;
    copy_data(call);
    for (i = 0; i < t.n; i++) {
        VECQ_TRY(tuple_place(call, &t, i, &at));
        update(call, at, (const unsigned char *)call->in[2] + i * t.slice * size, t.slice);
    }
    return VECQ_OK;
}
