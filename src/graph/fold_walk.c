/* SPDX-License-Identifier: Apache-2.0 */
/* Strided copies and broadcasting walks: everything that goes over more than one axis. */
#include <string.h>

#include "graph/fold_call.h"

void vecq_fold_strides(const int64_t *dims, unsigned rank, ptrdiff_t *strides)
{
    ptrdiff_t step = 1;
    unsigned a;

    for (a = rank; a-- > 0;) {
        strides[a] = step;
        step *= dims[a] > 0 ? (ptrdiff_t)dims[a] : 1;
    }
}

static void copy_row(unsigned char *dst, const unsigned char *src, size_t size, vecq_fold_stride row)
{
    size_t i;

    if (row.dst == 1 && row.src == 1) {
        memcpy(dst, src, row.n * size);
        return;
    }
    for (i = 0; i < row.n; i++)
        memcpy(dst + (ptrdiff_t)i * row.dst * (ptrdiff_t)size, src + (ptrdiff_t)i * row.src * (ptrdiff_t)size,
               size);
}

/* Drops axes of length 1 and joins neighbours that one stride can describe; returns the rank left. */
static unsigned copy_join(const vecq_fold_stride *axes, unsigned rank, vecq_fold_stride *out)
{
    unsigned n = 0, a;

    for (a = 0; a < rank; a++) {
        vecq_fold_stride axis = axes[a];
        if (axis.n == 1)
            continue;
        if (n > 0 && out[n - 1].dst == axis.dst * (ptrdiff_t)axis.n &&
            out[n - 1].src == axis.src * (ptrdiff_t)axis.n) {
            axis.n *= out[n - 1].n;
            n--;
        }
        out[n++] = axis;
    }
    return n;
}

void vecq_fold_copy(void *dst, const void *src, size_t size, const vecq_fold_stride *axes, unsigned rank)
{
    vecq_fold_stride joined[VECQ_FOLD_LIST_MAX], row = {1, 1, 1};
    size_t index[VECQ_FOLD_LIST_MAX] = {0};
    unsigned char *to = dst;
    const unsigned char *from = src;
    ptrdiff_t width = (ptrdiff_t)size;
    unsigned a;

    for (a = 0; a < rank; a++)
        if (axes[a].n == 0)
            return;
    rank = copy_join(axes, rank, joined);
    if (rank > 0)
        row = joined[--rank];
    for (;;) {
        copy_row(to, from, size, row);
        for (a = rank; a-- > 0;) {
            if (++index[a] < joined[a].n) {
                to += joined[a].dst * width;
                from += joined[a].src * width;
                break;
            }
            to -= joined[a].dst * width * (ptrdiff_t)(joined[a].n - 1);
            from -= joined[a].src * width * (ptrdiff_t)(joined[a].n - 1);
            index[a] = 0;
        }
        if (a == UINT32_MAX)
            return;
    }
}

vecq_status vecq_fold_broadcast(const vecq_fold_call *call, const vecq_tensor *const *tensors, size_t n,
                                unsigned *rank, int64_t dims[VECQ_MAX_RANK])
{
    size_t i;
    unsigned a;

    *rank = 0;
    for (i = 0; i < n; i++)
        if (tensors[i]->rank > *rank)
            *rank = tensors[i]->rank;
    for (a = 0; a < *rank; a++)
        dims[a] = 1;
    for (i = 0; i < n; i++)
        for (a = 0; a < tensors[i]->rank; a++) {
            int64_t d = tensors[i]->dims[a], *to = &dims[*rank - tensors[i]->rank + a];
            if (d == 1 || d == *to)
                continue;
            if (*to != 1)
                return vecq_fold_fail(call, VECQ_ERR_FORMAT,
                                      "dimensions %lld and %lld cannot be broadcast together", (long long)*to,
                                      (long long)d);
            *to = d;
        }
    return VECQ_OK;
}

void vecq_fold_walk_start(vecq_fold_walk *walk, const vecq_tensor *const *operands, unsigned n, unsigned rank,
                          const int64_t *dims)
{
    size_t full[VECQ_FOLD_OPERANDS] = {0}, strides[VECQ_FOLD_OPERANDS] = {0};
    unsigned a, k, joined = VECQ_MAX_RANK; /* axes are collected from the back */

    memset(walk, 0, sizeof *walk);
    walk->n = n;
    walk->count = vecq_fold_span(dims, 0, rank);
    for (k = 0; k < n; k++)
        full[k] = 1;
    for (a = rank; a-- > 0;) {
        int joins = joined < VECQ_MAX_RANK;
        size_t d = (size_t)dims[a];
        if (d == 1)
            continue;
        for (k = 0; k < n; k++) {
            unsigned behind = rank - a;
            int64_t own = operands[k]->rank >= behind ? operands[k]->dims[operands[k]->rank - behind] : 1;
            strides[k] = own == 1 ? 0 : full[k];
            full[k] *= (size_t)own;
            if (joins && strides[k] != walk->strides[k][joined] * walk->dims[joined])
                joins = 0;
        }
        if (joins) {
            walk->dims[joined] *= d;
            continue;
        }
        joined--;
        walk->dims[joined] = d;
        for (k = 0; k < n; k++)
            walk->strides[k][joined] = strides[k];
    }
    walk->rank = VECQ_MAX_RANK - joined;
    if (walk->rank == 0) { /* one element: a row of length 1 */
        walk->rank = 1;
        walk->dims[0] = 1;
        return;
    }
    memmove(walk->dims, walk->dims + joined, walk->rank * sizeof *walk->dims);
    for (k = 0; k < n; k++)
        memmove(walk->strides[k], walk->strides[k] + joined, walk->rank * sizeof *walk->dims);
}

static void walk_next_row(vecq_fold_walk *walk)
{
    unsigned a, k;

    for (a = walk->rank - 1; a-- > 0;) {
        for (k = 0; k < walk->n; k++)
            walk->row[k] += walk->strides[k][a];
        if (++walk->index[a] < walk->dims[a])
            return;
        for (k = 0; k < walk->n; k++)
            walk->row[k] -= walk->strides[k][a] * walk->dims[a];
        walk->index[a] = 0;
    }
}

int vecq_fold_walk_next(vecq_fold_walk *walk, size_t longest)
{
    size_t left;
    unsigned k, last = walk->rank - 1;

    if (walk->next == walk->count)
        return 0;
    if (walk->done_in_row == walk->dims[last]) {
        walk->done_in_row = 0;
        walk_next_row(walk);
    }
    left = walk->dims[last] - walk->done_in_row;
    walk->run = left < longest ? left : longest;
    walk->first = walk->next;
    for (k = 0; k < walk->n; k++) {
        walk->step[k] = walk->strides[k][last];
        walk->at[k] = walk->row[k] + walk->done_in_row * walk->step[k];
    }
    walk->done_in_row += walk->run;
    walk->next += walk->run;
    return 1;
}
