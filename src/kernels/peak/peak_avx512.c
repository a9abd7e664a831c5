/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/peak/peak_ops_avx512.h"

extern const vecq_peak_kernels vecq_peak_kernels_avx512;

/* Without a dot product: bytes by pairs, pairs by pairs, sum. */
#define PEAK_DOT(sum, a, b)                                                                                  \
    _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(_mm512_xor_si512(a, sum), b), a))

#include "kernels/peak/peak_body.h"

const vecq_peak_kernels vecq_peak_kernels_avx512 = PEAK_TABLE;
