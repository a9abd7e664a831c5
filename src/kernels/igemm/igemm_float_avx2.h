/* SPDX-License-Identifier: Apache-2.0 */
/* The float half of a pixel, 16 channels as two registers: the steps of igemm_body.h in the same order. */
#ifndef VECQ_KERNELS_IGEMM_FLOAT_AVX2_H
#define VECQ_KERNELS_IGEMM_FLOAT_AVX2_H

#include <immintrin.h>

#include "kernels/igemm/igemm.h"
#include "kernels/igemm/igemm_types.h"

#define IGEMM_HAS_VECTOR

/* max and min return their second operand when there is nothing to choose, as the conditions in C do. */
IGEMM_BODY __m256 igemm_clip_vector(__m256 y, float low, float high)
{
    return _mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(y, _mm256_set1_ps(low)));
}

IGEMM_BODY __m256 igemm_real_vector(const vecq_igemm_output *o, const int32_t *t, const igemm_place *at,
                                    size_t channel)
{
    __m256 y = _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)t)),
           bias = _mm256_setzero_ps();

    if (o->row_scale != NULL)
        y = _mm256_mul_ps(y, _mm256_set1_ps(o->row_scale[at->part]));
    if (o->bias != NULL)
        bias = _mm256_loadu_ps(o->bias + channel);
    y = _mm256_fmadd_ps(y, _mm256_loadu_ps(o->scale + channel), bias);
    if (o->add != NULL) {
        y = _mm256_add_ps(y, _mm256_loadu_ps(o->add + at->add + channel));
    } else if (o->add_q != NULL) {
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(o->add_q + at->add + channel));
        __m256i add = _mm256_sub_epi32(_mm256_cvtepu8_epi32(bytes), _mm256_set1_epi32(o->add_zero));

        y = _mm256_fmadd_ps(_mm256_cvtepi32_ps(add), _mm256_set1_ps(o->add_scale), y);
    }
    return y;
}

IGEMM_BODY __m256 igemm_activate_vector(const vecq_igemm_output *o, __m256 y)
{
    __m256 other;

    switch (o->activation) {
    case VECQ_IGEMM_CLIP:
        break;
    case VECQ_IGEMM_LEAKY:
        other = _mm256_mul_ps(y, _mm256_set1_ps(o->low));
        return _mm256_blendv_ps(other, y, _mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_GT_OQ));
    case VECQ_IGEMM_HARD_SWISH:
        other = _mm256_fmadd_ps(y, _mm256_set1_ps(1.0f / 6.0f), _mm256_set1_ps(0.5f));
        return _mm256_mul_ps(y, igemm_clip_vector(other, 0.0f, 1.0f));
    }
    return igemm_clip_vector(y, o->low, o->high);
}

IGEMM_BODY __m256i igemm_quantize_vector(const vecq_igemm_output *o, __m256 y)
{
    y = _mm256_div_ps(y, _mm256_set1_ps(o->q_scale));
    y = igemm_clip_vector(y, (float)(o->q_low - o->q_zero), (float)(o->q_high - o->q_zero));
    return _mm256_add_epi32(_mm256_cvtps_epi32(y), _mm256_set1_epi32(o->q_zero));
}

/* 16 channels of one pixel. */
IGEMM_BODY void igemm_finish_vector(const vecq_igemm_output *o, const int32_t *t, const igemm_place *at,
                                    size_t channel, size_t n)
{
    __m256 low = igemm_activate_vector(o, igemm_real_vector(o, t, at, channel));
    __m256 high = igemm_activate_vector(o, igemm_real_vector(o, t + 8, at, channel + 8));

    (void)n;
    if (o->y != NULL) {
        _mm256_storeu_ps(o->y + at->y + channel, low);
        _mm256_storeu_ps(o->y + at->y + channel + 8, high);
    }
    if (o->q != NULL) {
        __m256i words = _mm256_packus_epi32(igemm_quantize_vector(o, low), igemm_quantize_vector(o, high));
        __m256i bytes = _mm256_packus_epi16(_mm256_permute4x64_epi64(words, 0xd8), words);

        bytes = _mm256_permute4x64_epi64(bytes, 0xd8);
        _mm_storeu_si128((__m128i *)(void *)(o->q + at->q + channel), _mm256_castsi256_si128(bytes));
    }
}

#endif
