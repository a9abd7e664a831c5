/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that pick by index: Gather, GatherElements, GatherND. */
#include <string.h>

#include "graph/fold_call.h"

/* Index i of `indices` into a dimension of the given length, negative ones counted from the end. */
static vecq_status gather_index(const vecq_fold_call *call, const vecq_tensor *indices, size_t i,
                                int64_t length, size_t *out)
{
    int64_t index;

    *out = 0;
    VECQ_TRY(vecq_fold_index(call, indices, i, &index));
    if (index < -length || index >= length)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "index %lld into a dimension of %lld", (long long)index,
                              (long long)length);
    *out = (size_t)(index < 0 ? index + length : index);
    return VECQ_OK;
}

/* Shape of data with axes [from, to) replaced by those of the indices. */
static vecq_status gather_create(vecq_fold_call *call, const vecq_tensor *x, unsigned from, unsigned to,
                                 const int64_t *put, unsigned n_put)
{
    int64_t dims[VECQ_MAX_RANK];
    unsigned rank = x->rank - (to - from) + n_put, a, n = 0;

    if (rank > VECQ_MAX_RANK)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "rank %u is above %u", rank, VECQ_MAX_RANK);
    for (a = 0; a < from; a++)
        dims[n++] = x->dims[a];
    for (a = 0; a < n_put; a++)
        dims[n++] = put[a];
    for (a = to; a < x->rank; a++)
        dims[n++] = x->dims[a];
    return vecq_fold_create(call, &call->out[0], x->dtype, rank, dims);
}

vecq_status vecq_fold_op_gather(vecq_fold_call *call)
{
    const vecq_tensor *x, *indices;
    int64_t axis_attr;
    size_t outer, bytes, length, o, i, from;
    unsigned axis;
    char *to;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_input(call, 1, &indices));
    VECQ_TRY(vecq_fold_int(call, "axis", 0, &axis_attr));
    VECQ_TRY(vecq_fold_axis(call, axis_attr, x->rank, &axis));
    VECQ_TRY(gather_create(call, x, axis, axis + 1, indices->dims, indices->rank));
    outer = vecq_fold_span(x->dims, 0, axis);
    bytes = vecq_fold_span(x->dims, axis + 1, x->rank) * vecq_fold_size(x->dtype);
    length = (size_t)x->dims[axis];
    for (i = 0; i < indices->count; i++) {
        VECQ_TRY(gather_index(call, indices, i, x->dims[axis], &from));
        if (call->out[0].count == 0)
            continue;
        to = (char *)call->out[0].data + i * bytes;
        for (o = 0; o < outer; o++)
            memcpy(to + o * indices->count * bytes, (const char *)x->data + (o * length + from) * bytes,
                   bytes);
    }
    return VECQ_OK;
}

vecq_status vecq_fold_op_gather_elements(vecq_fold_call *call)
{
    const vecq_tensor *x, *indices;
    int64_t axis_attr;
    size_t index[VECQ_MAX_RANK] = {0}, i, from, base = 0, size;
    ptrdiff_t strides[VECQ_MAX_RANK];
    unsigned axis, a;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_input(call, 1, &indices));
    VECQ_TRY(vecq_fold_int(call, "axis", 0, &axis_attr));
    VECQ_TRY(vecq_fold_axis(call, axis_attr, x->rank, &axis));
    if (indices->rank != x->rank)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "data and indices differ in rank");
    for (a = 0; a < x->rank; a++)
        if (a != axis && indices->dims[a] > x->dims[a])
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "indices reach past the data on axis %u", a);
    VECQ_TRY(vecq_fold_create(call, &call->out[0], x->dtype, x->rank, indices->dims));
    vecq_fold_strides(x->dims, x->rank, strides);
    size = vecq_fold_size(x->dtype);
    for (i = 0; i < indices->count; i++) {
        VECQ_TRY(gather_index(call, indices, i, x->dims[axis], &from));
        memcpy((char *)call->out[0].data + i * size,
               (const char *)x->data + (base + from * (size_t)strides[axis]) * size, size);
        for (a = x->rank; a-- > 0;) { /* base: place in x with the index of `axis` left out */
            size_t step = a == axis ? 0 : (size_t)strides[a];
            base += step;
            if (++index[a] < (size_t)indices->dims[a])
                break;
            base -= step * index[a];
            index[a] = 0;
        }
    }
    return VECQ_OK;
}

vecq_status vecq_fold_op_gather_nd(vecq_fold_call *call)
{
    const vecq_tensor *x, *indices;
    int64_t batch = 0, depth;
    size_t bytes, per_batch, tuples, i, from, offset;
    unsigned a, b, last;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_input(call, 1, &indices));
    if (call->node->version >= 12)
        VECQ_TRY(vecq_fold_int(call, "batch_dims", 0, &batch));
    if (indices->rank < 1 || x->rank < 1 || batch < 0 || batch >= (int64_t)indices->rank ||
        batch >= (int64_t)x->rank)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "ranks and batch_dims do not match");
    b = (unsigned)batch;
    last = indices->rank - 1;
    depth = indices->dims[last];
    if (depth < 1 || depth > (int64_t)(x->rank - b) ||
        memcmp(x->dims, indices->dims, b * sizeof *x->dims) != 0)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the indices do not match the data");
    VECQ_TRY(gather_create(call, x, b, b + (unsigned)depth, indices->dims + b, last - b));
    bytes = vecq_fold_span(x->dims, b + (unsigned)depth, x->rank) * vecq_fold_size(x->dtype);
    tuples = vecq_fold_span(indices->dims, 0, last);
    per_batch = vecq_fold_span(indices->dims, b, last);
    for (i = 0; i < tuples; i++) {
        offset = i / per_batch;
        for (a = 0; a < (unsigned)depth; a++) {
            VECQ_TRY(gather_index(call, indices, i * (size_t)depth + a, x->dims[b + a], &from));
            offset = offset * (size_t)x->dims[b + a] + from;
        }
        if (call->out[0].count > 0)
            memcpy((char *)call->out[0].data + i * bytes, (const char *)x->data + offset * bytes, bytes);
    }
    return VECQ_OK;
}
