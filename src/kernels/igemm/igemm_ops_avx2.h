/* SPDX-License-Identifier: Apache-2.0 */
/* What the two 256-bit levels share; each adds its igemm_dot() and its rows. */
#ifndef VECQ_KERNELS_IGEMM_OPS_AVX2_H
#define VECQ_KERNELS_IGEMM_OPS_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define IGEMM_UNPACK   vecq_unpack_kernels_avx2
#define IGEMM_X_OFFSET 0
#define IGEMM_LANES    8
#define IGEMM_TOGETHER 1

typedef __m256i igemm_register;

#define igemm_load(p)      _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define igemm_store(p, v)  _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define igemm_zero()       _mm256_setzero_si256()
#define igemm_fill(x)      _mm256_set1_epi32(x)
#define IGEMM_QUAD(v)      (v)
#define igemm_low8(a, b)   _mm256_unpacklo_epi8(a, b)
#define igemm_high8(a, b)  _mm256_unpackhi_epi8(a, b)
#define igemm_low16(a, b)  _mm256_unpacklo_epi16(a, b)
#define igemm_high16(a, b) _mm256_unpackhi_epi16(a, b)

static inline __m256i igemm_broadcast(const uint8_t *p)
{
    int32_t four;

    memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}

static inline void igemm_store_lanes(int32_t *p, const __m256i v[4])
{
    igemm_store(p, _mm256_permute2x128_si256(v[0], v[1], 0x20));
    igemm_store(p + 8, _mm256_permute2x128_si256(v[2], v[3], 0x20));
    igemm_store(p + 16, _mm256_permute2x128_si256(v[0], v[1], 0x31));
    igemm_store(p + 24, _mm256_permute2x128_si256(v[2], v[3], 0x31));
}

#endif
