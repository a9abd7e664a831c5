/* SPDX-License-Identifier: Apache-2.0 */
/* What the two 512-bit levels share; each adds its igemm_dot(). 24 sums, 4 weights, activations: 30
 * registers. */
#ifndef VECQ_KERNELS_IGEMM_OPS_AVX512_H
#define VECQ_KERNELS_IGEMM_OPS_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define IGEMM_UNPACK   vecq_unpack_kernels_avx512
#define IGEMM_X_OFFSET 0
#define IGEMM_LANES    16
#define IGEMM_TOGETHER 4
#define IGEMM_ROWS_1   12
#define IGEMM_ROWS_2   12
#define IGEMM_ROWS_3   8
#define IGEMM_ROWS_4   6

typedef __m512i igemm_register;

#define igemm_load(p)      _mm512_loadu_si512((const void *)(p))
#define igemm_store(p, v)  _mm512_storeu_si512((void *)(p), v)
#define igemm_zero()       _mm512_setzero_si512()
#define igemm_fill(x)      _mm512_set1_epi32(x)
#define IGEMM_QUAD(v)      (v)
#define igemm_low8(a, b)   _mm512_unpacklo_epi8(a, b)
#define igemm_high8(a, b)  _mm512_unpackhi_epi8(a, b)
#define igemm_low16(a, b)  _mm512_unpacklo_epi16(a, b)
#define igemm_high16(a, b) _mm512_unpackhi_epi16(a, b)

static inline __m512i igemm_broadcast(const uint8_t *p)
{
    int32_t four;

    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

/* The first n bytes, zeros behind them; the sum of the lanes. */
#define igemm_load_part(p, n)                                                                                \
    _mm512_maskz_loadu_epi8(((__mmask64)1 << (n)) - 1u, (const void *)(p)) /* n < 64 */
#define igemm_total(v) ((uint32_t)_mm512_reduce_add_epi32(v))

static inline void igemm_store_lanes(int32_t *p, const __m512i v[4])
{
    __m512i ab_low = _mm512_shuffle_i32x4(v[0], v[1], 0x44), ab_high = _mm512_shuffle_i32x4(v[0], v[1], 0xee);
    __m512i cd_low = _mm512_shuffle_i32x4(v[2], v[3], 0x44), cd_high = _mm512_shuffle_i32x4(v[2], v[3], 0xee);

    igemm_store(p, _mm512_shuffle_i32x4(ab_low, cd_low, 0x88));
    igemm_store(p + 16, _mm512_shuffle_i32x4(ab_low, cd_low, 0xdd));
    igemm_store(p + 32, _mm512_shuffle_i32x4(ab_high, cd_high, 0x88));
    igemm_store(p + 48, _mm512_shuffle_i32x4(ab_high, cd_high, 0xdd));
}

#endif
