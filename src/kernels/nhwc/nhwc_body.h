/* SPDX-License-Identifier: Apache-2.0 */
/* The loops, for each file to compile with its own flags (the compiler makes vectors of them). Everything is
 * static. Compilers do not turn pieces of arrays around in registers: a file that does defines, before,
 * NHWC_SQUARE, and NHWC_TURN_FLOATS and NHWC_TURN_BYTES, rows and columns of the pieces of nhwc_turn_floats()
 * and nhwc_turn_bytes(rows of a square, first column, y, y_stride). */
#ifndef VECQ_KERNELS_NHWC_BODY_H
#define VECQ_KERNELS_NHWC_BODY_H

#include <math.h>
#include <string.h>

#include "kernels/nhwc/nhwc.h"

#define NHWC_BODY  static inline __attribute__((always_inline))
#define NHWC_LANES 64u
#define NHWC_MAGIC 0x1.8p23f /* what is added to it is rounded to an integer, ties to even */

/* ---- bytes and floats ---- */

typedef struct nhwc_lanes {
    float min[NHWC_LANES], max[NHWC_LANES];
    uint32_t largest[NHWC_LANES]; /* bits of the magnitude: infinities and NaNs are above all others */
} nhwc_lanes;

NHWC_BODY void nhwc_range_add(const float *restrict x, size_t n, nhwc_lanes *restrict lanes)
{
    size_t j;

    for (j = 0; j < n; j++) {
        uint32_t bits;

        memcpy(&bits, &x[j], sizeof bits);
        bits &= 0x7fffffffu;
        lanes->min[j] = x[j] < lanes->min[j] ? x[j] : lanes->min[j];
        lanes->max[j] = x[j] > lanes->max[j] ? x[j] : lanes->max[j];
        lanes->largest[j] = bits > lanes->largest[j] ? bits : lanes->largest[j];
    }
}

static void nhwc_range(const float *x, size_t n, vecq_nhwc_range *out)
{
    nhwc_lanes lanes = {{0}, {0}, {0}};
    uint32_t largest = 0;
    size_t i, j;

    for (i = 0; n - i >= NHWC_LANES; i += NHWC_LANES)
        nhwc_range_add(x + i, NHWC_LANES, &lanes);
    nhwc_range_add(x + i, n - i, &lanes);
    out->min = out->max = 0.0f;
    for (j = 0; j < NHWC_LANES; j++) {
        out->min = lanes.min[j] < out->min ? lanes.min[j] : out->min;
        out->max = lanes.max[j] > out->max ? lanes.max[j] : out->max;
        largest = lanes.largest[j] > largest ? lanes.largest[j] : largest;
    }
    out->finite = largest < 0x7f800000u;
}

/* NaN becomes low. Each processor's own maximum and minimum does it: on x86 that of the conditions, on
 * AArch64 that of fmaxf(). They differ in the sign of a zero, which no byte has. */
NHWC_BODY float nhwc_clip(float r, float low, float high)
{
#if defined(__aarch64__)
    return fminf(fmaxf(r, low), high);
#else
    r = r > low ? r : low;
    return r > high ? high : r;
#endif
}

/* The integer that r + NHWC_MAGIC was rounded to, plus zero, below 2^8: the last bits of the float. */
NHWC_BODY uint8_t nhwc_last(float rounded, int zero)
{
    uint32_t bits;

    memcpy(&bits, &rounded, sizeof bits);
    return (uint8_t)(bits + (uint32_t)zero);
}

/* The bounds are integers, so clipping before rounding is the same as after. */
NHWC_BODY uint8_t nhwc_byte(float x, float scale, float low, float high, int zero)
{
    return nhwc_last(nhwc_clip(x / scale, low, high) + NHWC_MAGIC, zero);
}

/* A grid as the loops want it. */
typedef struct nhwc_scale {
    float scale, inverse, low, high;
    int zero, is_usual; /* the scale has an inverse with all its digits */
} nhwc_scale;

NHWC_BODY nhwc_scale nhwc_scale_of(const vecq_nhwc_grid *grid)
{
    nhwc_scale s = {grid->scale,
                    1.0f / grid->scale,
                    (float)(grid->low - grid->zero),
                    (float)(grid->high - grid->zero),
                    grid->zero,
                    grid->scale > 0x1p-120f && grid->scale < 0x1p120f};

    return s;
}

/*
 * At most NHWC_LANES of them. The quotient is x times the inverse up to 2^-14 where it matters (below 512),
 * so both round to the same integer unless they are that near to a half: then all are divided
 * (igemm_float_avx512.h).
 */
#define NHWC_NEAR_HALF (0.5f - 0x1p-13f)

NHWC_BODY void nhwc_quantize_lanes(const float *restrict x, size_t n, const nhwc_scale *s,
                                   uint8_t *restrict q)
{
    int is_near = !s->is_usual;
    size_t i;

    for (i = 0; i < n; i++) {
        float r = nhwc_clip(x[i] * s->inverse, s->low, s->high), rounded = r + NHWC_MAGIC;

        is_near |= fabsf(r - (rounded - NHWC_MAGIC)) > NHWC_NEAR_HALF;
        q[i] = nhwc_last(rounded, s->zero);
    }
    for (i = 0; is_near && i < n; i++)
        q[i] = nhwc_byte(x[i], s->scale, s->low, s->high, s->zero);
}

static void nhwc_quantize(const float *restrict x, size_t n, const vecq_nhwc_grid *grid, uint8_t *restrict q)
{
    const nhwc_scale scale = nhwc_scale_of(grid);

    for (; n >= NHWC_LANES; n -= NHWC_LANES, x += NHWC_LANES, q += NHWC_LANES)
        nhwc_quantize_lanes(x, NHWC_LANES, &scale, q);
    nhwc_quantize_lanes(x, n, &scale, q);
}

static void nhwc_dequantize(const uint8_t *restrict q, size_t n, float scale, int zero, float *restrict y)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] = scale * (float)((int)q[i] - zero);
}

/* ---- layouts: squares that stay in the first cache, rows of them converted at once ---- */

#ifndef NHWC_SQUARE
#define NHWC_SQUARE 32u
#endif

/* y[(j + c) * y_stride + i + r] = square[r][c] for r < n, c < m; with pieces, those first, then the rest. */
#ifdef NHWC_TURN_FLOATS
#define NHWC_MOVE(turn, piece, y, y_stride)                                                                  \
    do {                                                                                                     \
        const size_t whole_n = n - n % piece, whole_m = m - m % piece;                                       \
                                                                                                             \
        for (c = 0; c < whole_m; c += piece)                                                                 \
            for (r = 0; r < whole_n; r += piece)                                                             \
                turn(&square[r], c, y + (j + c) * y_stride + i + r, y_stride);                               \
        for (c = 0; c < m; c++)                                                                              \
            for (r = c < whole_m ? whole_n : 0; r < n; r++)                                                  \
                y[(j + c) * y_stride + i + r] = square[r][c];                                                \
    } while (0)
#else
#define NHWC_MOVE(turn, piece, y, y_stride)                                                                  \
    do {                                                                                                     \
        for (c = 0; c < m; c++)                                                                              \
            for (r = 0; r < n; r++)                                                                          \
                y[(j + c) * y_stride + i + r] = square[r][c];                                                \
    } while (0)
#endif

static void nhwc_transpose(const float *restrict x, size_t rows, size_t cols, size_t x_stride,
                           float *restrict y, size_t y_stride)
{
    float square[NHWC_SQUARE][NHWC_SQUARE]; /* rows of x far apart share few sets of the first cache */
    size_t i, j, r, c, n, m;

    for (i = 0; i < rows; i += n) {
        n = rows - i < NHWC_SQUARE ? rows - i : NHWC_SQUARE;
        for (j = 0; j < cols; j += m) {
            m = cols - j < NHWC_SQUARE ? cols - j : NHWC_SQUARE;
            for (r = 0; r < n; r++)
                memcpy(square[r], x + (i + r) * x_stride + j, m * sizeof **square);
            NHWC_MOVE(nhwc_turn_floats, NHWC_TURN_FLOATS, y, y_stride);
        }
    }
}

/* Images of few channels: rows of them quantized, then interleaved. */
NHWC_BODY void nhwc_interleave(const float *restrict x, const size_t rows, size_t cols, size_t x_stride,
                               const vecq_nhwc_grid *grid, uint8_t *restrict q, const size_t q_stride)
{
    const nhwc_scale scale = nhwc_scale_of(grid);
    uint8_t line[4][NHWC_LANES];
    size_t j, r, c, m;

    for (j = 0; j < cols; j += m) {
        m = cols - j < NHWC_LANES ? cols - j : NHWC_LANES;
        for (r = 0; r < rows; r++)
            nhwc_quantize_lanes(x + r * x_stride + j, m, &scale, line[r]);
        for (c = 0; c < m; c++)
            for (r = 0; r < rows; r++)
                q[(j + c) * q_stride + r] = line[r][c];
    }
}

static void nhwc_transpose_quantize(const float *restrict x, size_t rows, size_t cols, size_t x_stride,
                                    const vecq_nhwc_grid *grid, uint8_t *restrict q, size_t q_stride)
{
    uint8_t square[NHWC_SQUARE][NHWC_SQUARE];
    size_t i, j, r, c, n, m;

    if (rows == 3 && q_stride == 3) {
        nhwc_interleave(x, 3, cols, x_stride, grid, q, 3);
        return;
    }
    if (rows <= 4) {
        nhwc_interleave(x, rows, cols, x_stride, grid, q, q_stride);
        return;
    }
    for (i = 0; i < rows; i += n) {
        n = rows - i < NHWC_SQUARE ? rows - i : NHWC_SQUARE;
        for (j = 0; j < cols; j += m) {
            m = cols - j < NHWC_SQUARE ? cols - j : NHWC_SQUARE;
            for (r = 0; r < n; r++)
                nhwc_quantize(x + (i + r) * x_stride + j, m, grid, square[r]);
            NHWC_MOVE(nhwc_turn_bytes, NHWC_TURN_BYTES, q, q_stride);
        }
    }
}

static void nhwc_transpose_dequantize(const uint8_t *restrict q, size_t rows, size_t cols, size_t q_stride,
                                      float scale, int zero, float *restrict y, size_t y_stride)
{
    float square[NHWC_SQUARE][NHWC_SQUARE];
    size_t i, j, r, c, n, m;

    for (i = 0; i < rows; i += n) {
        n = rows - i < NHWC_SQUARE ? rows - i : NHWC_SQUARE;
        for (j = 0; j < cols; j += m) {
            m = cols - j < NHWC_SQUARE ? cols - j : NHWC_SQUARE;
            for (r = 0; r < n; r++)
                nhwc_dequantize(q + (i + r) * q_stride + j, m, scale, zero, square[r]);
            NHWC_MOVE(nhwc_turn_floats, NHWC_TURN_FLOATS, y, y_stride);
        }
    }
}

/* ---- pooling ---- */

/* The window of one output pixel: the elements inside the input, and how many an average is divided by. */
typedef struct nhwc_window {
    size_t first_h, end_h, first_w, end_w; /* steps of the kernel */
    ptrdiff_t y, x;                        /* of the step 0 */
    size_t count;
} nhwc_window;

/* Steps of a kernel of size k whose places begin + step * dilation are in [0, size). */
NHWC_BODY void nhwc_steps(ptrdiff_t begin, size_t k, size_t dilation, ptrdiff_t size, size_t *first,
                          size_t *end)
{
    size_t i;

    *first = *end = 0;
    if (dilation == 1 && begin < size) {
        *end = (ptrdiff_t)k > size - begin ? (size_t)(size - begin) : k;
        *first = begin >= 0 ? 0 : (size_t)-begin < *end ? (size_t)-begin : *end;
        return;
    }
    for (i = 0; i < k; i++) {
        ptrdiff_t at = begin + (ptrdiff_t)(i * dilation);

        if (at < 0)
            *first = i + 1;
        if (at < size)
            *end = i + 1;
    }
    *first = *first < *end ? *first : *end;
}

static nhwc_window nhwc_window_of(const vecq_nhwc_pool *p, size_t row, size_t column)
{
    nhwc_window w = {.y = (ptrdiff_t)(row * p->stride_h) - (ptrdiff_t)p->top,
                     .x = (ptrdiff_t)(column * p->stride_w) - (ptrdiff_t)p->left};
    size_t first_h, end_h, first_w, end_w;

    nhwc_steps(w.y, p->kh, p->dilation_h, (ptrdiff_t)p->h, &w.first_h, &w.end_h);
    nhwc_steps(w.x, p->kw, p->dilation_w, (ptrdiff_t)p->w, &w.first_w, &w.end_w);
    w.count = (w.end_h - w.first_h) * (w.end_w - w.first_w);
    if (p->count_padding) {
        nhwc_steps(w.y + (ptrdiff_t)p->top, p->kh, p->dilation_h, (ptrdiff_t)(p->top + p->h + p->bottom),
                   &first_h, &end_h);
        nhwc_steps(w.x + (ptrdiff_t)p->left, p->kw, p->dilation_w, (ptrdiff_t)(p->left + p->w + p->right),
                   &first_w, &end_w);
        w.count = (end_h - first_h) * (end_w - first_w);
    }
    return w;
}

NHWC_BODY size_t nhwc_at(const vecq_nhwc_pool *p, const nhwc_window *w, size_t image, size_t i, size_t j)
{
    size_t y = (size_t)(w->y + (ptrdiff_t)(i * p->dilation_h)),
           x = (size_t)(w->x + (ptrdiff_t)(j * p->dilation_w));

    return ((image * p->h + y) * p->w + x) * p->c;
}

/* Where an output pixel goes. */
NHWC_BODY size_t nhwc_to(const vecq_nhwc_pool *p, size_t row, size_t column)
{
    if (p->y_row == 0)
        return (row * p->ow + column) * p->c;
    return row / p->oh * p->y_image + row % p->oh * p->y_row + column * p->c;
}

/* One output pixel by pieces of channels: begin(piece), take(piece, element) for each element of the window,
 * end. */
#define NHWC_PIECE 256u

#define NHWC_POOL(x_type, acc_type, BEGIN, TAKE, END)                                                        \
    acc_type acc[NHWC_PIECE];                                                                                \
    size_t row, column, i, j, c, k, n;                                                                       \
                                                                                                             \
    for (row = row0; row < row1; row++)                                                                      \
        for (column = 0; column < p->ow; column++) {                                                         \
            nhwc_window w = nhwc_window_of(p, row % p->oh, column);                                          \
            size_t image = row / p->oh, to = nhwc_to(p, row, column);                                        \
                                                                                                             \
            for (c = 0; c < p->c; c += n) {                                                                  \
                n = p->c - c < NHWC_PIECE ? p->c - c : NHWC_PIECE;                                           \
                for (k = 0; k < n; k++)                                                                      \
                    acc[k] = BEGIN;                                                                          \
                for (i = w.first_h; i < w.end_h; i++)                                                        \
                    for (j = w.first_w; j < w.end_w; j++) {                                                  \
                        const x_type *restrict from = x + nhwc_at(p, &w, image, i, j) + c;                   \
                                                                                                             \
                        for (k = 0; k < n; k++)                                                              \
                            acc[k] = TAKE;                                                                   \
                    }                                                                                        \
                for (k = 0; k < n; k++)                                                                      \
                    y[to + c + k] = END;                                                                     \
            }                                                                                                \
        }

static void nhwc_max_bytes(const vecq_nhwc_pool *p, const uint8_t *x, size_t row0, size_t row1,
                           uint8_t *restrict y)
{
    NHWC_POOL(uint8_t, uint8_t, 0, from[k] > acc[k] ? from[k] : acc[k], acc[k])
}

static void nhwc_max_floats(const vecq_nhwc_pool *p, const float *x, size_t row0, size_t row1,
                            float *restrict y)
{
    NHWC_POOL(float, float, -__builtin_inff(), from[k] > acc[k] ? from[k] : acc[k], acc[k])
}

static void nhwc_average_floats(const vecq_nhwc_pool *p, const float *x, size_t row0, size_t row1,
                                float *restrict y)
{
    NHWC_POOL(float, float, 0.0f, acc[k] + from[k], acc[k] / (float)w.count)
}

static void nhwc_average_bytes(const vecq_nhwc_pool *p, const uint8_t *x, float x_scale, int x_zero,
                               size_t row0, size_t row1, const vecq_nhwc_grid *grid, uint8_t *restrict y)
{
    const float scale = grid->scale, low = (float)(grid->low - grid->zero),
                high = (float)(grid->high - grid->zero);
    const int zero = grid->zero;

    NHWC_POOL(uint8_t, int32_t, 0, acc[k] + (int32_t)from[k] - x_zero,
              nhwc_byte((float)acc[k] / (float)w.count * x_scale, scale, low, high, zero))
}

/* ---- sums, and what follows channel by channel ---- */

static void nhwc_add_bytes(const vecq_nhwc_term *a, const vecq_nhwc_term *b, size_t n,
                           const vecq_nhwc_grid *grid, uint8_t *y)
{
    const nhwc_scale scale = nhwc_scale_of(grid);
    float sum[NHWC_LANES];
    size_t i, j, m;

    for (i = 0; i < n; i += m) {
        m = n - i < NHWC_LANES ? n - i : NHWC_LANES;
        for (j = 0; j < m; j++) {
            float first = a->scale * (float)((int)a->q[i + j] - a->zero);
            float second = b->scale * (float)((int)b->q[i + j] - b->zero);

            sum[j] = first + second;
        }
        nhwc_quantize_lanes(sum, m, &scale, y + i);
    }
}

/* n <= NHWC_LANES neighbours. */
NHWC_BODY void nhwc_affine_line(const uint8_t *x, int zero, const float *restrict scale,
                                const float *restrict bias, size_t n, const nhwc_scale *to, uint8_t *y)
{
    float line[NHWC_LANES];
    size_t k;

    for (k = 0; k < n; k++)
        line[k] = fmaf((float)((int)x[k] - zero), scale[k], bias[k]);
    nhwc_quantize_lanes(line, n, to, y);
}

static void nhwc_affine_bytes(const uint8_t *x, int zero, const float *scale, const float *bias,
                              size_t pixels, size_t c, const vecq_nhwc_grid *grid, uint8_t *y)
{
    const nhwc_scale to = nhwc_scale_of(grid);
    float scales[NHWC_LANES], biases[NHWC_LANES];
    size_t i, m, n = pixels * c, wide = NHWC_LANES / c * c; /* few channels: whole pixels at once */

    for (i = 0; i < wide; i++) {
        scales[i] = scale[i % c];
        biases[i] = bias[i % c];
    }
    for (i = 0; i < n; i += m) {
        size_t j = i % c;

        m = wide > 0 ? wide : c - j < NHWC_LANES ? c - j : NHWC_LANES;
        m = m < n - i ? m : n - i;
        if (wide > 0)
            nhwc_affine_line(x + i, zero, scales, biases, m, &to, y + i);
        else
            nhwc_affine_line(x + i, zero, scale + j, bias + j, m, &to, y + i);
    }
}

#define NHWC_TABLE(isa)                                                                                      \
    extern const vecq_nhwc_kernels vecq_nhwc_kernels_##isa;                                                  \
    const vecq_nhwc_kernels vecq_nhwc_kernels_##isa = {#isa,                                                 \
                                                       nhwc_range,                                           \
                                                       nhwc_quantize,                                        \
                                                       nhwc_dequantize,                                      \
                                                       nhwc_transpose,                                       \
                                                       nhwc_transpose_quantize,                              \
                                                       nhwc_transpose_dequantize,                            \
                                                       nhwc_max_bytes,                                       \
                                                       nhwc_max_floats,                                      \
                                                       nhwc_average_floats,                                  \
                                                       nhwc_average_bytes,                                   \
                                                       nhwc_add_bytes,                                       \
                                                       nhwc_affine_bytes};

#endif
