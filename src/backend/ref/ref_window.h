/* SPDX-License-Identifier: Apache-2.0 */
/* Where windows lie: what the loops of convolution and pooling share. */
#ifndef VECQ_BACKEND_REF_REF_WINDOW_H
#define VECQ_BACKEND_REF_REF_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#define VECQ_REF_AXES 3 /* depth, height, width: missing ones have size 1 */

/* Along one axis: element `tap` of window i is element i * stride - pad + tap * dilation of the image. */
typedef struct vecq_ref_axis {
    int64_t size;  /* of the image */
    int64_t count; /* windows */
    int64_t kernel, stride, dilation, pad;
} vecq_ref_axis;

static const vecq_ref_axis vecq_ref_axis_none = {1, 1, 1, 1, 1, 0};

/* Windows begin <= i < end whose element `tap` lies in the image; returns the place of the first one. */
static inline int64_t vecq_ref_axis_range(const vecq_ref_axis *a, int64_t tap, int64_t *begin, int64_t *end)
{
    int64_t shift = tap * a->dilation - a->pad; /* of window 0 */
    int64_t last = a->size - 1 - shift;

    *begin = shift < 0 ? (-shift + a->stride - 1) / a->stride : 0;
    *end = last < 0 ? 0 : last / a->stride + 1;
    *end = *end > a->count ? a->count : *end;
    return *begin * a->stride + shift;
}

static inline size_t vecq_ref_product(const int64_t *dims, unsigned n)
{
    size_t product = 1;

    while (n-- > 0)
        product *= (size_t)dims[n];
    return product;
}

/* Items of `work` operations each that make a range worth a thread. */
static inline size_t vecq_ref_grain(size_t work)
{
    return work >= (size_t)1 << 15 ? 1 : ((size_t)1 << 15) / (work > 0 ? work : 1);
}

#endif
