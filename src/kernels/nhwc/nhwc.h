/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops around convolutions of bytes: quantization, layouts, pooling. Leaves: pointers and sizes, nothing is
 * aligned, no memory is taken. A byte q stands for scale * (q - zero), as in kernels/igemm; int8 is stored
 * plus 128.
 */
#ifndef VECQ_KERNELS_NHWC_H
#define VECQ_KERNELS_NHWC_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

typedef struct vecq_nhwc_range {
    float min,
        max; /* of the values and 0, which a zero point must be able to stand for; not finite: unspecified */
    int finite; /* 0: there is an infinity or a NaN */
} vecq_nhwc_range;

/* q = clip(rint(x / scale) + zero, low, high): a float division, ties to even (ONNX QuantizeLinear). NaN
 * becomes low. scale > 0, 0 <= low <= high <= 255. */
typedef struct vecq_nhwc_grid {
    float scale;
    int zero, low, high;
} vecq_nhwc_grid;

/* The grid of 0..255 that covers a range, as ONNX DynamicQuantizeLinear makes it, all in float: scale = (max
 * - min) / 255, zero = rint(-min / scale). Where that is no normal number, scale 1 and zero 0: everything is
 * 0. Returns 0 when the range is not finite or wider than the largest float. */
static inline int vecq_nhwc_grid_of(const vecq_nhwc_range *range, vecq_nhwc_grid *grid)
{
    const float width = range->max - range->min;

    *grid = (vecq_nhwc_grid){width / 255.0f, 0, 0, 255};
    if (!range->finite || !(width <= FLT_MAX))
        return 0;
    if (grid->scale >= FLT_MIN)
        grid->zero = (int)rintf(-range->min / grid->scale);
    else
        grid->scale = 1.0f;
    return 1;
}

/*
 * Pooling. Windows may hang over the padding, which takes no part: a maximum is of the elements inside (there
 * must be one), an average is divided by their number, or with count_padding by that of the elements inside
 * the padded input.
 */
typedef struct vecq_nhwc_pool {
    size_t n, h, w, c, oh, ow;
    size_t kh, kw, stride_h, stride_w, dilation_h, dilation_w;
    size_t top, left, bottom, right;
    int count_padding;
    size_t y_row, y_image; /* elements of y from a row, an image to the next; 0: dense */
} vecq_nhwc_pool;

/* Bytes that are added: scale * (float)(q - zero). */
typedef struct vecq_nhwc_term {
    const uint8_t *q;
    float scale;
    int zero;
} vecq_nhwc_term;

typedef struct vecq_nhwc_kernels {
    const char *name;
    void (*range)(const float *x, size_t n, vecq_nhwc_range *out);
    void (*quantize)(const float *x, size_t n, const vecq_nhwc_grid *grid, uint8_t *q);
    /* y = scale * (float)(q - zero) */
    void (*dequantize)(const uint8_t *q, size_t n, float scale, int zero, float *y);
    /* y[j * y_stride + i] = x[i * x_stride + j], i < rows, j < cols: NCHW to NHWC (rows: channels, cols:
     * pixels) and back (rows: pixels), image by image or any part of one. */
    void (*transpose)(const float *x, size_t rows, size_t cols, size_t x_stride, float *y, size_t y_stride);
    /* the same with quantization on the way: q[j * q_stride + i] of x[i * x_stride + j] */
    void (*transpose_quantize)(const float *x, size_t rows, size_t cols, size_t x_stride,
                               const vecq_nhwc_grid *grid, uint8_t *q, size_t q_stride);
    /* and the other way */
    void (*transpose_dequantize)(const uint8_t *q, size_t rows, size_t cols, size_t q_stride, float scale,
                                 int zero, float *y, size_t y_stride);
    /* Output rows [row0, row1) of the n oh. x dense NHWC. */
    void (*max_bytes)(const vecq_nhwc_pool *pool, const uint8_t *x, size_t row0, size_t row1, uint8_t *y);
    void (*max_floats)(const vecq_nhwc_pool *pool, const float *x, size_t row0, size_t row1, float *y);
    /* Sum in ascending order of (row, column), from +0, divided by the count as a float. */
    void (*average_floats)(const vecq_nhwc_pool *pool, const float *x, size_t row0, size_t row1, float *y);
    /* The exact sum S of q - zero: the mean is (float)S / (float)count * x_scale, which is quantized by grid.
     */
    void (*average_bytes)(const vecq_nhwc_pool *pool, const uint8_t *x, float x_scale, int x_zero,
                          size_t row0, size_t row1, const vecq_nhwc_grid *grid, uint8_t *y);
    /* The sum of the two terms, both rounded to float, quantized by grid. y may be one of them. */
    void (*add_bytes)(const vecq_nhwc_term *a, const vecq_nhwc_term *b, size_t n, const vecq_nhwc_grid *grid,
                      uint8_t *y);
    /* Channel by channel: fmaf((float)(x[i * c + j] - zero), scale[j], bias[j]), i < pixels, quantized by
     * grid. y may be x. */
    void (*affine_bytes)(const uint8_t *x, int zero, const float *scale, const float *bias, size_t pixels,
                         size_t c, const vecq_nhwc_grid *grid, uint8_t *y);
} vecq_nhwc_kernels;

/* The table of a level, or NULL when this build has none. `level` is a vecq_cpu_level. */
const vecq_nhwc_kernels *vecq_nhwc_kernels_at(int level);
/* The table for the level in use (vecq_cpu_active()). Never NULL. */
const vecq_nhwc_kernels *vecq_nhwc_kernels_active(void);

#endif
