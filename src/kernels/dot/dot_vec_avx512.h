/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 64 bytes for dot_body.h (32 registers). */
#ifndef VECQ_KERNELS_DOT_VEC_AVX512_H
#define VECQ_KERNELS_DOT_VEC_AVX512_H

#include <immintrin.h>

#include "kernels/dot/dot_common.h"

#define DOT_BYTES     64
#define DOT_ACCS      16
#define DOT_ACCS_MAX  24
#define DOT_BATCH     8
#define DOT_U8_OFFSET 0
#define DOT_VEC       static inline __attribute__((always_inline))

typedef __m512i dot_vec;

DOT_VEC dot_vec dot_zero(void)
{
    return _mm512_setzero_si512();
}

DOT_VEC dot_vec dot_set1(char byte)
{
    return _mm512_set1_epi8(byte);
}

DOT_VEC dot_vec dot_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

DOT_VEC void dot_store(void *p, dot_vec v)
{
    _mm512_storeu_si512(p, v);
}

/* n of 1..63 bytes, the rest 0. */
DOT_VEC dot_vec dot_load_part(const void *p, size_t n)
{
    return _mm512_maskz_loadu_epi8(~(__mmask64)0 >> (64 - n), p);
}

DOT_VEC dot_vec dot_and(dot_vec a, dot_vec b)
{
    return _mm512_and_si512(a, b);
}

DOT_VEC dot_vec dot_or_and(dot_vec a, dot_vec b, dot_vec c)
{
    return _mm512_ternarylogic_epi32(a, b, c, 0xf8);
}

DOT_VEC dot_vec dot_srl(dot_vec v, unsigned n)
{
    return _mm512_srli_epi16(v, n);
}

DOT_VEC dot_vec dot_sll(dot_vec v, unsigned n)
{
    return _mm512_slli_epi16(v, n);
}

DOT_VEC __m128i dot_fold(dot_vec v)
{
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));

    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

DOT_VEC int32_t dot_sum(dot_vec v)
{
    __m128i four = dot_fold(v), two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));

    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

/* Lanes of a, b, c, d are interleaved and added twice, so that lane i of every 128 bits is of vector i. */
DOT_VEC void dot_sum4(dot_vec a, dot_vec b, dot_vec c, dot_vec d, int32_t *sums)
{
    dot_vec ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    dot_vec cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    dot_vec all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));

    _mm_storeu_si128((__m128i *)(void *)sums, dot_fold(all));
}

/* ---- floats ---- */

#define DOT_FLOAT_ROWS  8
#define DOT_FLOAT_BATCH 3

typedef __m512 dot_floats;

/* 16 levels a vector, repeated if there are fewer; is read as far as 2^k levels go. */
typedef struct dot_table {
    __m512 levels[16];
    float middle;
} dot_table;

DOT_VEC dot_floats dot_floats_zero(void)
{
    return _mm512_setzero_ps();
}

DOT_VEC dot_floats dot_floats_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

DOT_VEC dot_floats dot_floats_fma(dot_floats a, dot_floats b, dot_floats c)
{
    return _mm512_fmadd_ps(a, b, c);
}

DOT_VEC float dot_tree(const dot_floats *lanes)
{
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(*lanes), _mm512_extractf32x8_ps(*lanes, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));

    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline void dot_table_make(unsigned k, const float *levels, dot_table *out)
{
    float all[256];
    unsigned i;

    out->middle = (float)((1u << k) - 1u) * 0.5f;
    for (i = 0; i < 256; i++)
        all[i] = levels != NULL ? levels[i & ((1u << k) - 1u)] : (float)(i & ((1u << k) - 1u)) - out->middle;
    for (i = 0; i < 16; i++)
        out->levels[i] = _mm512_loadu_ps(all + 16 * i);
}

/* Levels 32 i .. 32 i + 31 by the low five bits of an index. */
DOT_VEC __m512 dot_pick32(const dot_table *t, unsigned i, __m512i index)
{
    return _mm512_permutex2var_ps(t->levels[2 * i], index, t->levels[2 * i + 1]);
}

DOT_VEC __m512 dot_pick64(const dot_table *t, unsigned i, __m512i index)
{
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(index, _mm512_set1_epi32(32)),
                                dot_pick32(t, 2 * i, index), dot_pick32(t, 2 * i + 1, index));
}

DOT_VEC __m512 dot_pick128(const dot_table *t, unsigned i, __m512i index)
{
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(index, _mm512_set1_epi32(64)),
                                dot_pick64(t, 2 * i, index), dot_pick64(t, 2 * i + 1, index));
}

/* A permutation reads as many low bits of an index as it has entries for: up to 4 bits no mask is needed. */
DOT_VEC dot_floats dot_level(unsigned k, unsigned is_linear, const dot_table *t, dot_vec v, unsigned shift)
{
    __m512i index = _mm512_srli_epi32(v, shift);

    if (k <= 4)
        return _mm512_permutexvar_ps(index, t->levels[0]);
    if (k == 5)
        return dot_pick32(t, 0, index);
    if (is_linear)
        return _mm512_sub_ps(_mm512_cvtepi32_ps(_mm512_and_si512(index, _mm512_set1_epi32(255))),
                             _mm512_set1_ps(t->middle));
    if (k == 6)
        return dot_pick64(t, 0, index);
    if (k == 7)
        return dot_pick128(t, 0, index);
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(index, _mm512_set1_epi32(128)),
                                dot_pick128(t, 0, index), dot_pick128(t, 1, index));
}

#endif
