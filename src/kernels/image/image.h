/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops over images of floats for normalization, resizing, padding and cutting. Channels lie side by side or
 * apart: an image is `pixels` places of `stride` floats, n of which are channels, or a row of one channel.
 * Leaves: pointers and sizes, nothing is aligned, no memory is taken.
 */
#ifndef VECQ_KERNELS_IMAGE_H
#define VECQ_KERNELS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

typedef struct vecq_image_kernels {
    const char *name;
    /* Added to sum[i] and square[i], i < n: d and d * d with d = (double)x[p * stride + i] - shift[i], pixel
     * after pixel. */
    void (*sums)(const float *x, size_t pixels, size_t stride, size_t n, const float *shift, double *sum,
                 double *square);
    /* The same of one row of n: lane j of 16 adds elements i with i mod 16 = j in ascending order from +0,
     * the lanes are added as a tree (8, 4, 2, 1), and that is added to *sum and *square. */
    void (*row_sums)(const float *x, size_t n, float shift, double *sum, double *square);
    /* y[p * stride + i] = max(x[p * stride + i] * a[i] + b[i], low): product and sum are rounded; NaN stays.
     * y may be x. */
    void (*affine)(const float *x, size_t pixels, size_t stride, size_t n, const float *a, const float *b,
                   float low, float *y);
    void (*row_affine)(const float *x, size_t n, float a, float b, float low, float *y);
    /* y = (x - mean) * factor * scale[i] + bias[i]; scale or bias NULL: not there. y may be x. */
    void (*row_norm)(const float *x, size_t n, float mean, float factor, const float *scale,
                     const float *bias, float *y);
    /* y[i * inner + k] = x[from[i] * inner + k], or `fill` where from[i] < 0; i < n, k < inner. */
    void (*pick)(const float *x, const int32_t *from, size_t n, size_t inner, float fill, float *y);
    /* y[i] = x0[i] + (x1[i] - x0[i]) * part */
    void (*blend)(const float *x0, const float *x1, size_t n, float part, float *y);
    /* The same from pixels at0[i] and at1[i] of x, with part[i]; i < n, inner floats each. */
    void (*blend_pixels)(const float *x, const int32_t *at0, const int32_t *at1, const float *part, size_t n,
                         size_t inner, float *y);
} vecq_image_kernels;

/* The table of a level, or NULL when this build has none. `level` is a vecq_cpu_level. */
const vecq_image_kernels *vecq_image_kernels_at(int level);
/* The table for the level in use (vecq_cpu_active()). Never NULL. */
const vecq_image_kernels *vecq_image_kernels_active(void);

#endif
