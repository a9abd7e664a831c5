/* SPDX-License-Identifier: Apache-2.0 */
/* The float half of a pixel, 16 channels at a time: the steps of igemm_body.h in the same order. */
#ifndef VECQ_KERNELS_IGEMM_FLOAT_AVX512_H
#define VECQ_KERNELS_IGEMM_FLOAT_AVX512_H

#include <immintrin.h>

#include "kernels/igemm/igemm_plan.h"
#include "kernels/igemm/igemm_types.h"

#define IGEMM_HAS_VECTOR
#define igemm_finish_rest igemm_finish_vector /* under a mask */

/* max and min return their second operand when there is nothing to choose, as the conditions in C do. */
IGEMM_BODY __m512 igemm_clip_vector(__m512 y, float low, float high)
{
    return _mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(y, _mm512_set1_ps(low)));
}

IGEMM_BODY __m512 igemm_real_vector(const vecq_igemm_output *o, const int32_t *t, const igemm_place *at,
                                    size_t channel, __mmask16 mask)
{
    __m512 y = _mm512_cvtepi32_ps(_mm512_loadu_si512((const void *)t)), bias = _mm512_setzero_ps();

    if (o->row_scale != NULL)
        y = _mm512_mul_ps(y, _mm512_set1_ps(o->row_scale[at->part]));
    if (o->bias != NULL)
        bias = _mm512_maskz_loadu_ps(mask, o->bias + channel);
    y = _mm512_fmadd_ps(y, _mm512_maskz_loadu_ps(mask, o->scale + channel), bias);
    if (o->add != NULL) {
        y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, o->add + at->add + channel));
    } else if (o->add_q != NULL) {
        __m128i bytes = _mm_maskz_loadu_epi8(mask, o->add_q + at->add + channel);
        __m512i add = _mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(o->add_zero));

        y = _mm512_fmadd_ps(_mm512_cvtepi32_ps(add), _mm512_set1_ps(o->add_scale), y);
    }
    return y;
}

IGEMM_BODY __m512 igemm_activate_vector(const vecq_igemm_output *o, __m512 y)
{
    __m512 gate;

    switch (o->activation) {
    case VECQ_IGEMM_CLIP:
        break;
    case VECQ_IGEMM_LEAKY:
        return _mm512_mask_mul_ps(y, _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_NGT_UQ), y,
                                  _mm512_set1_ps(o->low));
    case VECQ_IGEMM_HARD_SWISH:
        gate = _mm512_fmadd_ps(y, _mm512_set1_ps(1.0f / 6.0f), _mm512_set1_ps(0.5f));
        return _mm512_mul_ps(y, igemm_clip_vector(gate, 0.0f, 1.0f));
    }
    return igemm_clip_vector(y, o->low, o->high);
}

IGEMM_BODY __m512i igemm_round(__m512 y)
{
    return _mm512_cvt_roundps_epi32(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* Stores under a mask are slow on some processors: only where there is something to mask. */
IGEMM_BODY void igemm_store_bytes(uint8_t *to, __mmask16 mask, __m512i q)
{
    __m128i bytes = _mm512_cvtepi32_epi8(q);

    if (mask == 0xffff)
        _mm_storeu_si128((__m128i *)(void *)to, bytes);
    else
        _mm_mask_storeu_epi8(to, mask, bytes);
}

/* Up to 16 channels of one pixel. */
IGEMM_BODY void igemm_finish_vector(const vecq_igemm_output *o, const int32_t *t, const igemm_place *at,
                                    size_t channel, size_t n)
{
    __mmask16 mask = (__mmask16)((1u << n) - 1u);
    __m512 y = igemm_activate_vector(o, igemm_real_vector(o, t, at, channel, mask));

    if (o->y != NULL)
        _mm512_mask_storeu_ps(o->y + at->y + channel, mask, y);
    if (o->q != NULL) {
        y = _mm512_div_ps(y, _mm512_set1_ps(o->q_scale));
        y = igemm_clip_vector(y, (float)(o->q_low - o->q_zero), (float)(o->q_high - o->q_zero));
        igemm_store_bytes(o->q + at->q + channel, mask,
                          _mm512_add_epi32(igemm_round(y), _mm512_set1_epi32(o->q_zero)));
    }
}

/* ---- bytes only, the common case: convolution, bias, clip, requantization ---- */

/*
 * The quotient is y / q_scale rounded; y times the rounded inverse differs from it by less than 3 * 2^-24 of
 * its size, so by less than 2^-14 where it matters (at most 255). Both round to the same integer unless they
 * are so near to a half: pixels with such a channel, less than one in a hundred, are divided. Clipping to
 * what the bounds are rounded to comes to the same as clipping y: division and rounding are monotonous.
 */
#define IGEMM_HAS_PLAIN
#define IGEMM_NEAR_HALF (0.5f - 0x1p-14f)

/* What stays the same for all pixels of a tile: scales and biases of up to four vectors. */
typedef struct igemm_plain_registers {
    __m512 scale[IGEMM_PANEL], bias[IGEMM_PANEL];
    __m512 inverse, divisor, low, high;
    __m512i zero; /* 16 bits each */
    __m512i init[IGEMM_PANEL];
} igemm_plain_registers;

/* sum: NULL, or of the window: the integer is twice t, the sum and what `init` has. */
IGEMM_BODY __m512 igemm_plain_real(const igemm_plain_registers *p, const int32_t *t, unsigned j,
                                   const int32_t *sum)
{
    __m512i integer = _mm512_loadu_si512((const void *)(t + IGEMM_VECTOR * j));

    if (sum != NULL)
        integer = _mm512_add_epi32(_mm512_add_epi32(integer, integer),
                                   _mm512_add_epi32(p->init[j], _mm512_set1_epi32(*sum)));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(integer), p->scale[j], p->bias[j]);
}

/* The bytes of v vectors in the order of the channels: packing works inside each 128 bits. */
IGEMM_BODY __m512i igemm_plain_bytes(const igemm_plain_registers *p, const __m512i q[IGEMM_PANEL],
                                     const unsigned v)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i low = _mm512_add_epi16(_mm512_packs_epi32(q[0], q[v > 1 ? 1 : 0]), p->zero);
    __m512i high = v > 2 ? _mm512_add_epi16(_mm512_packs_epi32(q[2], q[v > 3 ? 3 : 2]), p->zero) : low;

    return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high));
}

/* The first n bytes. Stores under a mask are slow on some processors: only for what is left. */
IGEMM_BODY void igemm_store_row(uint8_t *to, __m512i bytes, size_t n)
{
    __m256i half = _mm512_castsi512_si256(bytes);
    __m128i part;

    if (n == 64) {
        _mm512_storeu_si512((void *)to, bytes);
        return;
    }
    if (n >= 32) {
        _mm256_storeu_si256((__m256i *)(void *)to, half);
        half = _mm512_extracti64x4_epi64(bytes, 1);
        to += 32;
        n -= 32;
    }
    part = _mm256_castsi256_si128(half);
    if (n >= 16) {
        _mm_storeu_si128((__m128i *)(void *)to, part);
        part = _mm256_extracti128_si256(half, 1);
        to += 16;
        n -= 16;
    }
    if (n >= 8) {
        _mm_storel_epi64((__m128i *)(void *)to, part);
        part = _mm_unpackhi_epi64(part, part);
        to += 8;
        n -= 8;
    }
    if (n > 0)
        _mm_mask_storeu_epi8(to, (__mmask16)((1u << n) - 1u), part);
}

/* `pixels` at once, v vectors of each: pixels * v <= 4 of them side by side. */
typedef struct igemm_plain_pixels {
    const int32_t *t; /* [pixels][64] */
    const int32_t *sums;
    const ptrdiff_t *to;
    uint8_t *out;
    size_t n; /* channels */
} igemm_plain_pixels;

IGEMM_BODY __m512 igemm_plain_y(const igemm_plain_registers *p, const igemm_plain_pixels *x, unsigned j,
                                const unsigned v)
{
    return igemm_plain_real(p, x->t + IGEMM_CHANNELS * (j / v), j % v,
                            x->sums != NULL ? x->sums + j / v : NULL);
}

IGEMM_BODY void igemm_plain_store(const igemm_plain_registers *p, const igemm_plain_pixels *x,
                                  const __m512i q[IGEMM_PANEL], const unsigned v, const unsigned pixels)
{
    __m512i bytes = igemm_plain_bytes(p, q, v * pixels);
    unsigned i;

#pragma GCC unroll 4
    for (i = 0; i < pixels; i++) {
        igemm_store_row(x->out + x->to[i], bytes, x->n);
        if (i + 1 < pixels)
            bytes = v == 1 ? _mm512_alignr_epi32(bytes, bytes, 4) : _mm512_shuffle_i64x2(bytes, bytes, 0xee);
    }
}

IGEMM_BODY void igemm_plain_some(const igemm_plain_registers *p, const igemm_plain_pixels *x,
                                 const unsigned v, const unsigned pixels)
{
    __m512 rest = _mm512_setzero_ps(), r;
    __m512i q[IGEMM_PANEL];
    unsigned j;

#pragma GCC unroll 4
    for (j = 0; j < v * pixels; j++) {
        r = _mm512_mul_ps(igemm_plain_y(p, x, j, v), p->inverse);
        r = _mm512_min_ps(p->high, _mm512_max_ps(r, p->low));
        rest = _mm512_range_ps(rest, _mm512_reduce_ps(r, _MM_FROUND_TO_NEAREST_INT),
                               0x0b); /* the larger magnitude */
        q[j] = igemm_round(r);
    }
    if (_mm512_cmp_ps_mask(rest, _mm512_set1_ps(IGEMM_NEAR_HALF), _CMP_LT_OQ) != 0xffff)
        for (j = 0; j < v * pixels; j++) {
            r = _mm512_div_ps(igemm_plain_y(p, x, j, v), p->divisor);
            q[j] = igemm_round(_mm512_min_ps(p->high, _mm512_max_ps(r, p->low)));
        }
    igemm_plain_store(p, x, q, v, pixels);
}

/* n channels, v vectors of them, of `rows` pixels; t[rows][64]. */
IGEMM_BODY void igemm_plain_tile(const igemm_plain_registers *from, const int32_t *t, size_t rows,
                                 const ptrdiff_t *to, const int32_t *sums, const unsigned v, uint8_t *out,
                                 size_t n)
{
    const unsigned together = v == 1 ? 4 : v == 2 ? 2 : 1;
    const igemm_plain_registers p = *from;
    igemm_plain_pixels x = {.out = out, .n = n};
    size_t row = 0;

    for (; row + together <= rows; row += together) {
        x.t = t + IGEMM_CHANNELS * row;
        x.to = to + row;
        x.sums = sums != NULL ? sums + row : NULL;
        igemm_plain_some(&p, &x, v, together);
    }
    for (; row < rows; row++) {
        x.t = t + IGEMM_CHANNELS * row;
        x.to = to + row;
        x.sums = sums != NULL ? sums + row : NULL;
        igemm_plain_some(&p, &x, v, 1);
    }
}

static void igemm_plain_prepare(const vecq_igemm_output *o, const igemm_plain *plain, size_t channel,
                                size_t n, const int32_t *init, igemm_plain_registers *p)
{
    size_t j;

    p->inverse = _mm512_set1_ps(plain->inverse);
    p->divisor = _mm512_set1_ps(o->q_scale);
    p->low = _mm512_set1_ps(plain->low);
    p->high = _mm512_set1_ps(plain->high);
    p->zero = _mm512_set1_epi16((short)o->q_zero);
    for (j = 0; j < IGEMM_PANEL; j++) {
        size_t at = IGEMM_VECTOR * j, left = n > at ? n - at : 0;
        __mmask16 mask = (__mmask16)(left < IGEMM_VECTOR ? (1u << left) - 1u : 0xffffu);

        p->init[j] = init != NULL ? _mm512_loadu_si512((const void *)(init + at)) : _mm512_setzero_si512();
        p->scale[j] = _mm512_maskz_loadu_ps(mask, o->scale + (left > 0 ? channel + at : 0));
        p->bias[j] = o->bias != NULL ? _mm512_maskz_loadu_ps(mask, o->bias + (left > 0 ? channel + at : 0))
                                     : _mm512_setzero_ps();
    }
}

/* n: at most 64; out: of the first of the channels that *p is prepared for */
static void igemm_finish_plain(const igemm_plain_registers *p, const int32_t *t, size_t rows,
                               const ptrdiff_t *to, const int32_t *sums, uint8_t *out, size_t n)
{
#define IGEMM_PLAIN_TILE(v)                                                                                  \
    sums != NULL ? igemm_plain_tile(p, t, rows, to, sums, v, out, n)                                         \
                 : igemm_plain_tile(p, t, rows, to, NULL, v, out, n)

    switch ((n + IGEMM_VECTOR - 1) / IGEMM_VECTOR) {
    case 4:
        IGEMM_PLAIN_TILE(4);
        break;
    case 3:
        IGEMM_PLAIN_TILE(3);
        break;
    case 2:
        IGEMM_PLAIN_TILE(2);
        break;
    default:
        IGEMM_PLAIN_TILE(1);
        break;
    }
}

#endif
