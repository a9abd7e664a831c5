/* SPDX-License-Identifier: Apache-2.0 */
/* The loops, for each file to compile with its own flags. Everything is static. */
#ifndef VECQ_KERNELS_IMAGE_BODY_H
#define VECQ_KERNELS_IMAGE_BODY_H

#include <string.h>

#include "kernels/image/image.h"

#define IMAGE_BODY  static inline __attribute__((always_inline))
#define IMAGE_LANES 16u
#define IMAGE_TILE  64u /* pixels whose channels stay in the first cache */

/* Eight numbers; the compiler maps them to the registers that there are. */
typedef double image_doubles __attribute__((vector_size(64)));
typedef float image_floats __attribute__((vector_size(32)));

/* ---- sums ---- */

typedef struct image_sums16 {
    image_doubles sum[2], square[2];
} image_sums16;

IMAGE_BODY void image_add16(const float *x, const image_doubles *shift, image_sums16 *s)
{
    image_floats part[2];
    int h;

    memcpy(part, x, sizeof part);
    for (h = 0; h < 2; h++) {
        image_doubles d = __builtin_convertvector(part[h], image_doubles) - shift[h];

        s->sum[h] += d;
        s->square[h] += d * d;
    }
}

/* 16 channels of some pixels: the sums go on in registers. */
IMAGE_BODY void image_sums_16(const float *x, size_t pixels, size_t stride, const float *shift, double *sum,
                              double *square)
{
    image_doubles from[2];
    image_sums16 s;
    image_floats part[2];
    size_t p;

    memcpy(part, shift, sizeof part);
    from[0] = __builtin_convertvector(part[0], image_doubles);
    from[1] = __builtin_convertvector(part[1], image_doubles);
    memcpy(s.sum, sum, sizeof s.sum);
    memcpy(s.square, square, sizeof s.square);
    for (p = 0; p < pixels; p++)
        image_add16(x + p * stride, from, &s);
    memcpy(sum, s.sum, sizeof s.sum);
    memcpy(square, s.square, sizeof s.square);
}

IMAGE_BODY void image_sums_1(const float *x, size_t pixels, size_t stride, float shift, double *sum,
                             double *square)
{
    size_t p;

    for (p = 0; p < pixels; p++) {
        double d = (double)x[p * stride] - (double)shift;

        *sum += d;
        *square += d * d;
    }
}

static void image_sums(const float *x, size_t pixels, size_t stride, size_t n, const float *shift,
                       double *sum, double *square)
{
    size_t p, i, m;

    for (p = 0; p < pixels; p += m) {
        m = pixels - p < IMAGE_TILE ? pixels - p : IMAGE_TILE;
        for (i = 0; n - i >= IMAGE_LANES; i += IMAGE_LANES)
            image_sums_16(x + p * stride + i, m, stride, shift + i, sum + i, square + i);
        for (; i < n; i++)
            image_sums_1(x + p * stride + i, m, stride, shift[i], sum + i, square + i);
    }
}

IMAGE_BODY double image_tree(double *lanes)
{
    size_t width, j;

    for (width = IMAGE_LANES / 2; width > 0; width /= 2)
        for (j = 0; j < width; j++)
            lanes[j] += lanes[j + width];
    return lanes[0];
}

static void image_row_sums(const float *x, size_t n, float shift, double *sum, double *square)
{
    double sums[IMAGE_LANES] = {0}, squares[IMAGE_LANES] = {0};
    float shifts[IMAGE_LANES];
    size_t j, whole = n / IMAGE_LANES;

    for (j = 0; j < IMAGE_LANES; j++)
        shifts[j] = shift;
    image_sums_16(x, whole, IMAGE_LANES, shifts, sums, squares);
    for (j = 0; j < n % IMAGE_LANES; j++)
        image_sums_1(x + whole * IMAGE_LANES + j, 1, 1, shift, &sums[j], &squares[j]);
    *sum += image_tree(sums);
    *square += image_tree(squares);
}

/* ---- factor and offset ---- */

IMAGE_BODY float image_affine_1(float x, float a, float b, float low)
{
    float y = x * a + b;

    return y < low ? low : y;
}

/* y[i] = VALUE of i for each i < n. Sixteen are read before one is written, because y may be x. */
#define IMAGE_EACH(n, y, VALUE)                                                                              \
    for (i = 0; (n)-i >= IMAGE_LANES;) {                                                                     \
        float part[IMAGE_LANES];                                                                             \
        size_t j;                                                                                            \
                                                                                                             \
        for (j = 0; j < IMAGE_LANES; j++, i++)                                                               \
            part[j] = VALUE;                                                                                 \
        memcpy((y) + i - IMAGE_LANES, part, sizeof part);                                                    \
    }                                                                                                        \
    for (; i < (n); i++)                                                                                     \
        (y)[i] = VALUE;

static void image_affine(const float *x, size_t pixels, size_t stride, size_t n, const float *restrict a,
                         const float *restrict b, float low, float *y)
{
    size_t p, i;

    for (p = 0; p < pixels; p++, x += stride, y += stride) {
        IMAGE_EACH(n, y, image_affine_1(x[i], a[i], b[i], low))
    }
}

static void image_row_affine(const float *x, size_t n, float a, float b, float low, float *y)
{
    size_t i;

    IMAGE_EACH(n, y, image_affine_1(x[i], a, b, low))
}

static void image_row_norm(const float *x, size_t n, float mean, float factor, const float *scale,
                           const float *bias, float *y)
{
    size_t i;

    if (scale != NULL && bias != NULL) {
        IMAGE_EACH(n, y, (x[i] - mean) * factor * scale[i] + bias[i])
    } else if (scale != NULL) {
        IMAGE_EACH(n, y, (x[i] - mean) * factor * scale[i])
    } else if (bias != NULL) {
        IMAGE_EACH(n, y, (x[i] - mean) * factor + bias[i])
    } else {
        IMAGE_EACH(n, y, (x[i] - mean) * factor)
    }
}

/* ---- picking and blending; the usual numbers of channels have loops of their own ---- */

IMAGE_BODY void image_pick_n(const float *restrict x, const int32_t *from, size_t n, size_t inner, float fill,
                             float *restrict y)
{
    size_t i, k;

    for (i = 0; i < n; i++, y += inner) {
        const float *pixel = x + (from[i] < 0 ? 0 : (size_t)from[i] * inner);

        if (from[i] < 0)
            for (k = 0; k < inner; k++)
                y[k] = fill;
        else
            for (k = 0; k < inner; k++)
                y[k] = pixel[k];
    }
}

static void image_pick(const float *x, const int32_t *from, size_t n, size_t inner, float fill, float *y)
{
    if (inner == 1)
        image_pick_n(x, from, n, 1, fill, y);
    else if (inner == 8)
        image_pick_n(x, from, n, 8, fill, y);
    else if (inner == 16)
        image_pick_n(x, from, n, 16, fill, y);
    else
        image_pick_n(x, from, n, inner, fill, y);
}

static void image_blend(const float *restrict x0, const float *restrict x1, size_t n, float part,
                        float *restrict y)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] = x0[i] + (x1[i] - x0[i]) * part;
}

IMAGE_BODY void image_blend_pixels_n(const float *restrict x, const int32_t *at0, const int32_t *at1,
                                     const float *part, size_t n, size_t inner, float *restrict y)
{
    size_t i, k;

    for (i = 0; i < n; i++, y += inner) {
        const float *a = x + (size_t)at0[i] * inner, *b = x + (size_t)at1[i] * inner;
        const float f = part[i];

        for (k = 0; k < inner; k++)
            y[k] = a[k] + (b[k] - a[k]) * f;
    }
}

static void image_blend_pixels(const float *x, const int32_t *at0, const int32_t *at1, const float *part,
                               size_t n, size_t inner, float *y)
{
    if (inner == 1)
        image_blend_pixels_n(x, at0, at1, part, n, 1, y);
    else if (inner == 16)
        image_blend_pixels_n(x, at0, at1, part, n, 16, y);
    else
        image_blend_pixels_n(x, at0, at1, part, n, inner, y);
}

#define IMAGE_TABLE(isa)                                                                                     \
    extern const vecq_image_kernels vecq_image_kernels_##isa;                                                \
    const vecq_image_kernels vecq_image_kernels_##isa = {                                                    \
        #isa,           image_sums, image_row_sums, image_affine,      image_row_affine,                     \
        image_row_norm, image_pick, image_blend,    image_blend_pixels};

#endif
