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
 * The quotient is y / q_scale rounded; y times the rounded inverse differs from it by less than 1.5 * 2^-23
 * of its size, so by less than 2^-14 where it matters (below 512). Both round to the same integer unless they
 * are so near to a half: columns of a tile with such a one, some in a thousand, are divided. Clipping to what
 * the bounds are rounded to comes to the same as clipping y: division and rounding are monotonous.
 */
#define IGEMM_HAS_PLAIN
#define IGEMM_NEAR_HALF (0.5f - 0x1p-13f)

IGEMM_BODY __m512 igemm_plain_real(const int32_t *t, __m512 scale, __m512 bias)
{
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512((const void *)t)), scale, bias);
}

IGEMM_BODY __m512 igemm_plain_clip(const igemm_plain *plain, __m512 r)
{
    return _mm512_min_ps(_mm512_set1_ps(plain->high), _mm512_max_ps(r, _mm512_set1_ps(plain->low)));
}

/* Up to 16 channels of `rows` pixels; t[rows][64]. */
IGEMM_BODY void igemm_plain_vector(const vecq_igemm_output *o, const igemm_plain *plain, const int32_t *t,
                                   size_t rows, const ptrdiff_t *to, size_t channel, __mmask16 mask)
{
    const __m512 scale = _mm512_maskz_loadu_ps(mask, o->scale + channel);
    const __m512 bias =
        o->bias != NULL ? _mm512_maskz_loadu_ps(mask, o->bias + channel) : _mm512_setzero_ps();
    const __m512 inverse = _mm512_set1_ps(plain->inverse), divisor = _mm512_set1_ps(o->q_scale);
    const __m512i zero = _mm512_set1_epi32(o->q_zero);
    __m512 rest = _mm512_setzero_ps(), r;
    uint8_t *q = o->q + channel;
    size_t row;

    for (row = 0; row < rows; row++) {
        r = _mm512_mul_ps(igemm_plain_real(t + row * IGEMM_CHANNELS, scale, bias), inverse);
        r = igemm_plain_clip(plain, r);
        rest = _mm512_range_ps(rest, _mm512_reduce_ps(r, _MM_FROUND_TO_NEAREST_INT),
                               0x0b); /* the larger magnitude */
        igemm_store_bytes(q + to[row], mask, _mm512_add_epi32(igemm_round(r), zero));
    }
    if (_mm512_cmp_ps_mask(rest, _mm512_set1_ps(IGEMM_NEAR_HALF), _CMP_LT_OQ) == 0xffff)
        return;
    for (row = 0; row < rows; row++) {
        r = _mm512_div_ps(igemm_plain_real(t + row * IGEMM_CHANNELS, scale, bias), divisor);
        igemm_store_bytes(q + to[row], mask, _mm512_add_epi32(igemm_round(igemm_plain_clip(plain, r)), zero));
    }
}

static void igemm_finish_plain(const vecq_igemm_output *o, const igemm_plain *plain, const int32_t *t,
                               size_t rows, const ptrdiff_t *to, size_t channel, size_t n)
{
    for (; n >= IGEMM_VECTOR; n -= IGEMM_VECTOR, t += IGEMM_VECTOR, channel += IGEMM_VECTOR)
        igemm_plain_vector(o, plain, t, rows, to, channel, 0xffff);
    if (n > 0)
        igemm_plain_vector(o, plain, t, rows, to, channel, (__mmask16)((1u << n) - 1u));
}

#endif
