/* SPDX-License-Identifier: Apache-2.0 */
/* Windows that slide over images: attributes and sizes that convolutions and pooling have in common. */
#ifndef VECQ_GRAPH_OPS_WINDOW_H
#define VECQ_GRAPH_OPS_WINDOW_H

#include "graph/lower.h"

typedef enum vecq_auto_pad {
    VECQ_AUTO_PAD_NOTSET,
    VECQ_AUTO_PAD_SAME_UPPER,
    VECQ_AUTO_PAD_SAME_LOWER,
    VECQ_AUTO_PAD_VALID
} vecq_auto_pad;

typedef struct vecq_window {
    unsigned spatial;
    int64_t kernel[VECQ_SPATIAL_MAX], stride[VECQ_SPATIAL_MAX], dilation[VECQ_SPATIAL_MAX];
    int64_t pad_begin[VECQ_SPATIAL_MAX], pad_end[VECQ_SPATIAL_MAX];
    vecq_auto_pad auto_pad;
} vecq_window;

/* Axes of x after the first two; VECQ_ERR_UNSUPPORTED unless there are 1 to 3. */
vecq_status vecq_window_spatial(const vecq_var *x, unsigned *spatial, vecq_error *err);
/* The attributes strides, dilations, pads (0 for VALID) and auto_pad; the kernel is set already. */
vecq_status vecq_window_read(const vecq_node *node, vecq_window *window, vecq_error *err);
/* Resolves SAME_UPPER and SAME_LOWER: ceil(size / stride) windows. */
vecq_status vecq_window_pad_same(const vecq_var *x, vecq_window *window, vecq_error *err);
/* Splits a padding: with SAME_UPPER the odd element goes to the end, else to the beginning. */
void vecq_window_split_pad(vecq_auto_pad how, int64_t total, int64_t *begin, int64_t *end);

/* Every number in the range that the arithmetic here is safe for: kernel, stride and dilation 1 to 2^31 - 1,
 * padding from 0. */
vecq_status vecq_window_check(const vecq_window *window, vecq_error *err);
/* (kernel - 1) * dilation + 1 */
int64_t vecq_window_extent(const vecq_window *window, unsigned axis);
/* Windows that fit along an axis of `size`; with `ceil_mode` also one that is cut off at the end, unless it
 * begins in the end padding. VECQ_ERR_FORMAT when there is none. */
vecq_status vecq_window_count(const vecq_window *window, unsigned axis, int64_t size, int ceil_mode,
                              int64_t *count, vecq_error *err);

#endif
