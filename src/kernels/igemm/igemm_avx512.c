/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Without dot products of bytes: pairs of products in 16 bits, where levels up to 63 cannot overflow (2 * 255
 * * 63 < 2^15); wider ones go by even and odd bytes apart (255 * 128 < 2^15).
 */
#include "kernels/igemm/igemm_ops_avx512.h"

#define IGEMM_SPLIT 1

static inline __attribute__((always_inline)) __m512i igemm_dot(__m512i acc, __m512i x, __m512i w, int is_wide)
{
    const __m512i ones = _mm512_set1_epi16(1);

    if (is_wide) {
        __m512i even = _mm512_maskz_mov_epi8(0x5555555555555555u, w);
        __m512i odd = _mm512_maskz_mov_epi8(0xaaaaaaaaaaaaaaaau, w);

        acc = _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_maddubs_epi16(x, odd), ones));
        w = even;
    }
    return _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_maddubs_epi16(x, w), ones));
}

#include "kernels/igemm/igemm_flat_avx512.h"

#include "kernels/igemm/igemm_body.h"

IGEMM_TABLE(avx512)
