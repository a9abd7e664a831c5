/* SPDX-License-Identifier: Apache-2.0 */
/* What only moves elements: Reshape, Transpose, Concat, Split, Slice and its gradient. Of any type. */
#include <string.h>

#include "backend/ref/ref.h"
#include "base/threads.h"

#define COPY_GRAIN ((size_t)1 << 14) /* bytes below which a thread is not worth it */

static size_t element_bytes(const vecq_var *var)
{
    return vecq_dtype_bytes(var->dtype, 1);
}

static size_t span(const int64_t *dims, unsigned from, unsigned to)
{
    size_t n = 1;

    while (from < to)
        n *= (size_t)dims[from++];
    return n;
}

/* Items of `bytes` each that make a range worth a thread. */
static size_t grain_of(size_t bytes)
{
    return bytes >= COPY_GRAIN ? 1 : COPY_GRAIN / (bytes > 0 ? bytes : 1);
}

vecq_status vecq_ref_reshape(const vecq_ref_call *call)
{
    const vecq_var *y = call->op->outputs[0];

    if (call->out[0] != NULL && y->count > 0)
        memcpy(call->out[0], call->in[0], vecq_dtype_bytes(y->dtype, y->count));
    return VECQ_OK;
}

/* ---- Transpose ---- */

/* Planes along axes at the front that stay in place are independent of each other. */
typedef struct transpose_work {
    const unsigned char *src;
    unsigned char *dst;
    size_t size, plane_bytes;
    unsigned rank; /* of a plane */
    int64_t dims[VECQ_MAX_RANK];
    unsigned perm[VECQ_MAX_RANK];
} transpose_work;

static vecq_status transpose_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const transpose_work *w = context;

    (void)thread;
    (void)err;
    for (; begin < end; begin++)
        vecq_transpose(w->src + begin * w->plane_bytes, w->dst + begin * w->plane_bytes, w->size, w->rank,
                       w->dims, w->perm);
    return VECQ_OK;
}

vecq_status vecq_ref_transpose(const vecq_ref_call *call)
{
    const vecq_transpose_params *params = call->op->params;
    const vecq_var *x = call->op->inputs[0];
    transpose_work w = {.src = call->in[0], .dst = call->out[0], .size = element_bytes(x)};
    unsigned lead = 0, a;

    if (w.dst == NULL || x->count == 0)
        return VECQ_OK;
    while (lead < x->rank && params->perm[lead] == lead)
        lead++;
    w.rank = x->rank - lead;
    for (a = 0; a < w.rank; a++) {
        w.dims[a] = x->dims[lead + a];
        w.perm[a] = params->perm[lead + a] - lead;
    }
    w.plane_bytes = span(x->dims, lead, x->rank) * w.size;
    return vecq_parallel_for(span(x->dims, 0, lead), grain_of(w.plane_bytes), call->run->threads,
                             transpose_range, &w, call->err);
}

/* ---- Concat, Split: rows of every part stand side by side in rows of the whole ---- */

typedef struct parts_work {
    const vecq_ref_call *call;
    int is_split;
    size_t size, inner, whole; /* bytes of an element, elements of a step along the axis, of a whole row */
    unsigned axis;
} parts_work;

static vecq_status parts_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const parts_work *w = context;
    const vecq_op *op = w->call->op;
    size_t n = w->is_split ? op->n_outputs : op->n_inputs, at = 0, i, k;

    (void)thread;
    (void)err;
    for (i = 0; i < n; i++) {
        const vecq_var *part = w->is_split ? op->outputs[i] : op->inputs[i];
        size_t row = w->inner * (size_t)part->dims[w->axis] * w->size, whole = w->whole * w->size;
        const unsigned char *src = w->call->in[w->is_split ? 0 : i];
        unsigned char *dst = w->call->out[w->is_split ? i : 0];

        for (k = begin; k < end && row > 0 && dst != NULL; k++)
            if (w->is_split)
                memcpy(dst + k * row, src + k * whole + at, row);
            else
                memcpy(dst + k * whole + at, src + k * row, row);
        at += row;
    }
    return VECQ_OK;
}

static vecq_status parts_copy(const vecq_ref_call *call, const vecq_var *whole, int is_split)
{
    const vecq_axis_params *params = call->op->params;
    parts_work w = {.call = call, .is_split = is_split, .size = element_bytes(whole), .axis = params->axis};

    w.inner = span(whole->dims, params->axis + 1, whole->rank);
    w.whole = w.inner * (size_t)whole->dims[params->axis];
    return vecq_parallel_for(span(whole->dims, 0, params->axis), grain_of(w.whole * w.size),
                             call->run->threads, parts_range, &w, call->err);
}

vecq_status vecq_ref_concat(const vecq_ref_call *call)
{
    return parts_copy(call, call->op->outputs[0], 0);
}

vecq_status vecq_ref_split(const vecq_ref_call *call)
{
    return parts_copy(call, call->op->inputs[0], 1);
}

/* ---- Slice ---- */

/* Elements of a small dense tensor and places start + index * stride in a large one. */
typedef struct slice_work {
    unsigned char *large, *small;
    size_t size;
    int is_put; /* from the small one into the large one */
    unsigned rank;
    size_t dims[VECQ_MAX_RANK];      /* of the small one, without the last axis */
    ptrdiff_t stride[VECQ_MAX_RANK]; /* bytes in the large one */
    size_t length;                   /* last axis */
    ptrdiff_t step;                  /* its stride in bytes */
    ptrdiff_t offset;
} slice_work;

static void slice_row(const slice_work *w, unsigned char *large, unsigned char *small)
{
    size_t size = w->size, i;

    if (w->step == (ptrdiff_t)size) {
        memcpy(w->is_put ? large : small, w->is_put ? small : large, size * w->length);
        return;
    }
    for (i = 0; i < w->length; i++, small += size, large += w->step) {
        unsigned char *dst = w->is_put ? large : small;
        const unsigned char *src = w->is_put ? small : large;

        if (size == 4)
            memcpy(dst, src, 4);
        else if (size == 8)
            memcpy(dst, src, 8);
        else
            memcpy(dst, src, size);
    }
}

static vecq_status slice_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const slice_work *w = context;
    size_t row = w->length * w->size;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        ptrdiff_t offset = w->offset;
        size_t rest = begin;
        unsigned a;

        for (a = w->rank; a-- > 0;) {
            offset += (ptrdiff_t)(rest % w->dims[a]) * w->stride[a];
            rest /= w->dims[a];
        }
        slice_row(w, w->large + offset, w->small + begin * row);
    }
    return VECQ_OK;
}

/* Axes at the end that are taken whole become one with the axis before them. */
static vecq_status slice_copy(const vecq_ref_call *call, const vecq_var *large, const vecq_var *small,
                              slice_work *w)
{
    const vecq_slice_params *params = call->op->params;
    ptrdiff_t stride = (ptrdiff_t)w->size;
    unsigned rank = large->rank, a;

    if (small->count == 0)
        return VECQ_OK;
    w->length = 1;
    w->step = stride;
    while (rank > 0 && params->step[rank - 1] == 1 && params->length[rank - 1] == large->dims[rank - 1]) {
        w->length *= (size_t)large->dims[--rank];
        stride *= (ptrdiff_t)large->dims[rank];
    }
    for (a = rank; a-- > 0;) {
        w->stride[a] = stride * (ptrdiff_t)params->step[a];
        w->offset += stride * (ptrdiff_t)params->start[a];
        w->dims[a] = (size_t)params->length[a];
        stride *= (ptrdiff_t)large->dims[a];
    }
    if (rank > 0 && (params->step[rank - 1] == 1 || w->length == 1)) { /* the inner row along this axis */
        rank--;
        w->step = params->step[rank] == 1 ? (ptrdiff_t)w->size : w->stride[rank];
        w->length *= w->dims[rank];
    }
    w->rank = rank;
    return vecq_parallel_for(small->count / w->length, grain_of(w->length * w->size), call->run->threads,
                             slice_range, w, call->err);
}

vecq_status vecq_ref_slice(const vecq_ref_call *call)
{
    const vecq_var *x = call->op->inputs[0];
    slice_work w = {.large = (unsigned char *)(uintptr_t)call->in[0], /* only read */
                    .small = call->out[0],
                    .size = element_bytes(x)};

    return call->out[0] == NULL ? VECQ_OK : slice_copy(call, x, call->op->outputs[0], &w);
}

vecq_status vecq_ref_slice_grad(const vecq_ref_call *call)
{
    const vecq_var *dx = call->op->outputs[0];
    slice_work w = {.large = call->out[0],
                    .small = (unsigned char *)(uintptr_t)call->in[0], /* only read */
                    .size = element_bytes(dx),
                    .is_put = 1};

    if (call->out[0] == NULL || dx->count == 0)
        return VECQ_OK;
    memset(call->out[0], 0, vecq_dtype_bytes(dx->dtype, dx->count));
    return slice_copy(call, dx, call->op->inputs[0], &w);
}
