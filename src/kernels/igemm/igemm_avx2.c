/* SPDX-License-Identifier: Apache-2.0 */
/* As in igemm_avx512.c: pairs of products in 16 bits, even and odd bytes apart where pairs could overflow. */
#include "kernels/igemm/igemm_ops_avx2.h"

#define IGEMM_ROWS_1 4
#define IGEMM_SPLIT  1

static inline __attribute__((always_inline)) __m256i igemm_dot(__m256i acc, __m256i x, __m256i w, int is_wide)
{
    const __m256i ones = _mm256_set1_epi16(1);

    if (is_wide) {
        const __m256i mask = _mm256_set1_epi16(0x00ff);

        acc = _mm256_add_epi32(
            acc, _mm256_madd_epi16(_mm256_maddubs_epi16(x, _mm256_andnot_si256(mask, w)), ones));
        w = _mm256_and_si256(mask, w);
    }
    return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), ones));
}

#include "kernels/igemm/igemm_float_avx2.h"
#include "kernels/igemm/igemm_tile.h"

#include "kernels/igemm/igemm_body.h"

IGEMM_TABLE(avx2)
