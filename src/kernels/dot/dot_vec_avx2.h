/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 32 bytes for dot_body.h and dot_float.h (16 registers). */
#ifndef VECQ_KERNELS_DOT_VEC_AVX2_H
#define VECQ_KERNELS_DOT_VEC_AVX2_H

#include <immintrin.h>

#include "kernels/dot/dot_common.h"

#define DOT_BYTES     32
#define DOT_ACCS      8
#define DOT_ACCS_MAX  8
#define DOT_BATCH     2
#define DOT_U8_OFFSET 0
#define DOT_VEC       static inline __attribute__((always_inline))

typedef __m256i dot_vec;

DOT_VEC dot_vec dot_zero(void)
{
    return _mm256_setzero_si256();
}

DOT_VEC dot_vec dot_set1(char byte)
{
    return _mm256_set1_epi8(byte);
}

DOT_VEC dot_vec dot_load(const void *p)
{
    return _mm256_loadu_si256(p);
}

DOT_VEC void dot_store(void *p, dot_vec v)
{
    _mm256_storeu_si256(p, v);
}

/* n of 1..31 bytes, the rest 0. */
DOT_VEC dot_vec dot_load_part(const void *p, size_t n)
{
    uint8_t bytes[DOT_BYTES] = {0};

    memcpy(bytes, p, n);
    return dot_load(bytes);
}

DOT_VEC dot_vec dot_and(dot_vec a, dot_vec b)
{
    return _mm256_and_si256(a, b);
}

DOT_VEC dot_vec dot_or_and(dot_vec a, dot_vec b, dot_vec c)
{
    return _mm256_or_si256(a, _mm256_and_si256(b, c));
}

DOT_VEC dot_vec dot_srl(dot_vec v, unsigned n)
{
    return _mm256_srli_epi16(v, (int)n);
}

DOT_VEC dot_vec dot_sll(dot_vec v, unsigned n)
{
    return _mm256_slli_epi16(v, (int)n);
}

DOT_VEC __m128i dot_fold(dot_vec v)
{
    return _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

DOT_VEC int32_t dot_sum(dot_vec v)
{
    __m128i four = dot_fold(v), two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));

    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

/* Lanes of a, b, c, d are interleaved and added twice, so that lane i of every 128 bits is of vector i. */
DOT_VEC void dot_sum4(dot_vec a, dot_vec b, dot_vec c, dot_vec d, int32_t *sums)
{
    dot_vec ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    dot_vec cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    dot_vec all = _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));

    _mm_storeu_si128((__m128i *)(void *)sums, dot_fold(all));
}

/* ---- floats ---- */

#define DOT_FLOAT_ROWS  4
#define DOT_FLOAT_BATCH 1

typedef __m256 dot_floats;

typedef struct dot_table {
    const float *levels;
    float middle;
} dot_table;

DOT_VEC dot_floats dot_floats_zero(void)
{
    return _mm256_setzero_ps();
}

DOT_VEC dot_floats dot_floats_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

DOT_VEC dot_floats dot_floats_fma(dot_floats a, dot_floats b, dot_floats c)
{
    return _mm256_fmadd_ps(a, b, c);
}

DOT_VEC float dot_tree(const dot_floats *lanes)
{
    __m256 eight = _mm256_add_ps(lanes[0], lanes[1]);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));

    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline void dot_table_make(unsigned k, const float *levels, dot_table *out)
{
    out->middle = (float)((1u << k) - 1u) * 0.5f;
    out->levels = levels;
}

DOT_VEC dot_floats dot_level(unsigned k, unsigned is_linear, const dot_table *t, dot_vec v, unsigned shift)
{
    __m256i code = _mm256_and_si256(_mm256_srli_epi32(v, (int)shift), _mm256_set1_epi32((1 << k) - 1));

    if (is_linear)
        return _mm256_sub_ps(_mm256_cvtepi32_ps(code), _mm256_set1_ps(t->middle));
    return _mm256_i32gather_ps(t->levels, code, 4);
}

#endif
