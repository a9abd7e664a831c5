/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that copy parts of tensors: Concat, Split, Slice, Expand, Tile, Pad. */
#include <string.h>

#include "base/alloc.h"
#include "graph/fold_call.h"

vecq_status vecq_fold_op_concat(vecq_fold_call *call)
{
    const vecq_tensor *first, *x;
    int64_t dims[VECQ_MAX_RANK], axis_attr;
    size_t i, size, inner, outer, at = 0, row, wide;
    unsigned axis, a;

    VECQ_TRY(vecq_fold_input(call, 0, &first));
    if (call->node->version >= 4 && vecq_node_attr(call->node, "axis") == NULL)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "attribute 'axis' is missing");
    VECQ_TRY(vecq_fold_int(call, "axis", 1, &axis_attr));
    VECQ_TRY(vecq_fold_axis(call, axis_attr, first->rank, &axis));
    memcpy(dims, first->dims, sizeof dims);
    for (i = 1; i < call->n_in; i++) {
        VECQ_TRY(vecq_fold_input(call, i, &x));
        if (x->rank != first->rank || x->dtype != first->dtype)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "input %zu has another rank or type", i);
        for (a = 0; a < x->rank; a++)
            if (a != axis && x->dims[a] != dims[a])
                return vecq_fold_fail(call, VECQ_ERR_FORMAT, "input %zu has another shape", i);
        if (__builtin_add_overflow(dims[axis], x->dims[axis], &dims[axis]))
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the sum of the lengths is out of range");
    }
    VECQ_TRY(vecq_fold_create(call, &call->out[0], first->dtype, first->rank, dims));
    size = vecq_fold_size(first->dtype);
    outer = vecq_fold_span(dims, 0, axis);
    inner = vecq_fold_span(dims, axis + 1, first->rank);
    wide = inner * (size_t)dims[axis];
    for (i = 0; i < call->n_in; i++) {
        x = call->in[i];
        row = inner * (size_t)x->dims[axis];
        if (x->count > 0) {
            const vecq_fold_stride axes[2] = {{outer, (ptrdiff_t)wide, (ptrdiff_t)row}, {row, 1, 1}};
            vecq_fold_copy((char *)call->out[0].data + at * size, x->data, size, axes, 2);
        }
        at += row;
    }
    return VECQ_OK;
}

/* Lengths of the parts when they are not given: equal ones; from version 18 the last may be shorter. */
static vecq_status split_equal(vecq_fold_call *call, int64_t length, int64_t *parts)
{
    int64_t n = (int64_t)call->n_out, num_outputs = n, part, left = length;
    size_t i;

    if (call->node->version >= 18) {
        VECQ_TRY(vecq_fold_int(call, "num_outputs", n, &num_outputs));
        if (num_outputs != n)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "num_outputs is %lld for %lld outputs",
                                  (long long)num_outputs, (long long)n);
    } else if (length % n != 0) {
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "length %lld has no %lld equal parts", (long long)length,
                              (long long)n);
    }
    part = length / n + (length % n != 0);
    for (i = 0; i < call->n_out; i++) {
        parts[i] = i + 1 < call->n_out ? part : left;
        left -= part;
    }
    if (parts[call->n_out - 1] < 0)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "length %lld does not split into %lld parts",
                              (long long)length, (long long)n);
    return VECQ_OK;
}

static vecq_status split_given(vecq_fold_call *call, int64_t length, int64_t *parts)
{
    const vecq_tensor *split = call->node->version >= 13 ? vecq_fold_optional(call, 1) : NULL;
    const vecq_attr *attr = call->node->version < 13 ? vecq_node_attr(call->node, "split") : NULL;
    size_t i, n = split != NULL ? split->count : attr != NULL ? attr->n : 0;

    if (split == NULL && attr == NULL)
        return split_equal(call, length, parts);
    if ((split != NULL && split->rank != 1) || (attr != NULL && attr->type != VECQ_ATTR_INTS) ||
        n != call->n_out)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "split does not name the length of every output");
    for (i = 0; i < n; i++) {
        if (split != NULL)
            VECQ_TRY(vecq_fold_index(call, split, i, &parts[i]));
        else
            parts[i] = attr->ints[i];
        if (parts[i] < 0 || parts[i] > length)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "a part of length %lld of %lld", (long long)parts[i],
                                  (long long)length);
        length -= parts[i];
    }
    if (length != 0)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the parts leave out %lld", (long long)length);
    return VECQ_OK;
}

static vecq_status split_copy(vecq_fold_call *call, const vecq_tensor *x, unsigned axis, const int64_t *parts)
{
    size_t size = vecq_fold_size(x->dtype), at = 0, i;
    size_t outer = vecq_fold_span(x->dims, 0, axis), inner = vecq_fold_span(x->dims, axis + 1, x->rank);
    int64_t dims[VECQ_MAX_RANK];

    memcpy(dims, x->dims, sizeof dims);
    for (i = 0; i < call->n_out; i++) {
        size_t row = inner * (size_t)parts[i];
        if (call->wanted[i]) {
            const vecq_fold_stride axes[2] = {
                {outer, (ptrdiff_t)row, (ptrdiff_t)(inner * (size_t)x->dims[axis])}, {row, 1, 1}};
            dims[axis] = parts[i];
            VECQ_TRY(vecq_fold_create(call, &call->out[i], x->dtype, x->rank, dims));
            if (call->out[i].count > 0)
                vecq_fold_copy(call->out[i].data, (const char *)x->data + at * size, size, axes, 2);
            call->held_bytes += call->out[i].n_bytes;
        }
        at += row;
    }
    return VECQ_OK;
}

vecq_status vecq_fold_op_split(vecq_fold_call *call)
{
    const vecq_tensor *x;
    int64_t axis_attr, *parts;
    unsigned axis;
    vecq_status status;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_int(call, "axis", 0, &axis_attr));
    VECQ_TRY(vecq_fold_axis(call, axis_attr, x->rank, &axis));
    parts = vecq_alloc(call->n_out, sizeof *parts);
    if (parts == NULL)
        return vecq_error_memory(call->err, call->n_out * sizeof *parts);
    status = split_given(call, x->dims[axis], parts);
    if (status == VECQ_OK)
        status = split_copy(call, x, axis, parts);
    vecq_free(parts);
    return status;
}

/* First index and number of elements of start:end:step on an axis, by the clamping rules of ONNX. */
static void slice_range(int64_t length, int64_t start, int64_t end, int64_t step, int64_t *first, int64_t *n)
{
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step, distance;
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? length : length - 1;

    if (start < 0)
        start += length;
    if (end < 0)
        end += length;
    start = start < (step > 0 ? low : 0) ? (step > 0 ? low : 0) : start > high ? high : start;
    end = end < low ? low : end > high ? high : end;
    *first = start;
    if (length == 0 || (step > 0 ? end <= start : end >= start)) {
        *n = 0;
        return;
    }
    distance = (uint64_t)(step > 0 ? end - start : start - end);
    *n = (int64_t)((distance - 1) / stride) + 1;
}

typedef struct slice_lists {
    vecq_fold_list starts, ends, axes, steps;
} slice_lists;

static vecq_status slice_read(vecq_fold_call *call, const vecq_tensor *x, slice_lists *lists)
{
    size_t i;

    VECQ_TRY(vecq_fold_list_moved(call, "starts", 1, 10, &lists->starts));
    VECQ_TRY(vecq_fold_list_moved(call, "ends", 2, 10, &lists->ends));
    VECQ_TRY(vecq_fold_list_moved(call, "axes", 3, 10, &lists->axes));
    if (call->node->version >= 10)
        VECQ_TRY(vecq_fold_list_input(call, 4, &lists->steps));
    else
        memset(&lists->steps, 0, sizeof lists->steps);
    if (!lists->starts.given || !lists->ends.given || lists->starts.n > x->rank ||
        lists->ends.n != lists->starts.n || (lists->axes.given && lists->axes.n != lists->starts.n) ||
        (lists->steps.given && lists->steps.n != lists->starts.n))
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "starts, ends, axes and steps do not match");
    for (i = 0; i < lists->starts.n; i++) {
        if (!lists->axes.given)
            lists->axes.v[i] = (int64_t)i;
        if (!lists->steps.given)
            lists->steps.v[i] = 1;
        if (lists->steps.v[i] == 0)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "a step of 0");
    }
    lists->axes.n = lists->starts.n;
    return VECQ_OK;
}

vecq_status vecq_fold_op_slice(vecq_fold_call *call)
{
    const vecq_tensor *x;
    slice_lists lists;
    unsigned char marks[VECQ_MAX_RANK];
    int64_t dims[VECQ_MAX_RANK] = {0}, first;
    ptrdiff_t src[VECQ_MAX_RANK], dst[VECQ_MAX_RANK], at = 0;
    vecq_fold_stride axes[VECQ_MAX_RANK];
    size_t i, size;
    unsigned a = 0;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(slice_read(call, x, &lists));
    VECQ_TRY(vecq_fold_axes(call, &lists.axes, x->rank, marks));
    memcpy(dims, x->dims, sizeof dims);
    vecq_fold_strides(x->dims, x->rank, src);
    for (a = 0; a < x->rank; a++)
        axes[a].src = src[a];
    for (i = 0; i < lists.axes.n; i++) {
        VECQ_TRY(vecq_fold_axis(call, lists.axes.v[i], x->rank, &a));
        slice_range(x->dims[a], lists.starts.v[i], lists.ends.v[i], lists.steps.v[i], &first, &dims[a]);
        if (dims[a] > 0)
            at += (ptrdiff_t)first * src[a];
        axes[a].src = dims[a] > 1 ? src[a] * (ptrdiff_t)lists.steps.v[i] : 0; /* step < length: no overflow */
    }
    VECQ_TRY(vecq_fold_create(call, &call->out[0], x->dtype, x->rank, dims));
    vecq_fold_strides(dims, x->rank, dst);
    for (a = 0; a < x->rank; a++) {
        axes[a].n = (size_t)dims[a];
        axes[a].dst = dst[a];
    }
    size = vecq_fold_size(x->dtype);
    if (call->out[0].count > 0)
        vecq_fold_copy(call->out[0].data, (const char *)x->data + at * (ptrdiff_t)size, size, axes, x->rank);
    return VECQ_OK;
}

/* out = x broadcast to its dims: stride 0 on the axes of length 1. */
static void expand_copy(const vecq_tensor *x, vecq_tensor *out)
{
    vecq_fold_stride axes[VECQ_MAX_RANK];
    ptrdiff_t src[VECQ_MAX_RANK], dst[VECQ_MAX_RANK];
    unsigned a, lead = out->rank - x->rank;

    if (out->count == 0)
        return;
    vecq_fold_strides(x->dims, x->rank, src);
    vecq_fold_strides(out->dims, out->rank, dst);
    for (a = 0; a < out->rank; a++) {
        axes[a].n = (size_t)out->dims[a];
        axes[a].dst = dst[a];
        axes[a].src = a >= lead && x->dims[a - lead] != 1 ? src[a - lead] : 0;
    }
    vecq_fold_copy(out->data, x->data, vecq_fold_size(x->dtype), axes, out->rank);
}

vecq_status vecq_fold_op_expand(vecq_fold_call *call)
{
    const vecq_tensor *x, *both[2];
    vecq_tensor target = {0};
    vecq_fold_list shape;
    int64_t dims[VECQ_MAX_RANK];
    unsigned rank;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_list_input(call, 1, &shape));
    if (!shape.given || shape.n > VECQ_MAX_RANK)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the shape to expand to is missing or too long");
    target.rank = (unsigned)shape.n;
    memcpy(target.dims, shape.v, sizeof target.dims);
    both[0] = x, both[1] = &target;
    VECQ_TRY(vecq_fold_broadcast(call, both, 2, &rank, dims));
    VECQ_TRY(vecq_fold_create(call, &call->out[0], x->dtype, rank, dims));
    expand_copy(x, &call->out[0]);
    return VECQ_OK;
}

vecq_status vecq_fold_op_tile(vecq_fold_call *call)
{
    const vecq_tensor *x;
    vecq_fold_list repeats;
    vecq_fold_stride axes[2 * VECQ_MAX_RANK];
    int64_t dims[VECQ_MAX_RANK] = {0};
    ptrdiff_t src[VECQ_MAX_RANK], dst[VECQ_MAX_RANK];
    unsigned a;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_list_input(call, 1, &repeats));
    if (!repeats.given || repeats.n != x->rank)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "repeats has %zu entries for rank %u", repeats.n,
                              x->rank);
    for (a = 0; a < x->rank; a++)
        if (repeats.v[a] < 0 || __builtin_mul_overflow(x->dims[a], repeats.v[a], &dims[a]))
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "a repeat is negative or out of range");
    VECQ_TRY(vecq_fold_create(call, &call->out[0], x->dtype, x->rank, dims));
    if (call->out[0].count == 0)
        return VECQ_OK;
    vecq_fold_strides(x->dims, x->rank, src);
    vecq_fold_strides(dims, x->rank, dst);
    for (a = 0; a < x->rank; a++) { /* every axis: repeats outside, the tensor's own inside */
        axes[2 * a].n = (size_t)repeats.v[a];
        axes[2 * a].dst = dst[a] * (ptrdiff_t)x->dims[a];
        axes[2 * a].src = 0;
        axes[2 * a + 1].n = (size_t)x->dims[a];
        axes[2 * a + 1].dst = dst[a];
        axes[2 * a + 1].src = src[a];
    }
    vecq_fold_copy(call->out[0].data, x->data, vecq_fold_size(x->dtype), axes, 2 * x->rank);
    return VECQ_OK;
}
