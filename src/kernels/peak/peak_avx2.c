/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/peak/peak_ops_avx2.h"

extern const vecq_peak_kernels vecq_peak_kernels_avx2;

/* Without a dot product: bytes by pairs, pairs by pairs, sum. */
#define PEAK_DOT(sum, a, b)                                                                                  \
    _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_xor_si256(a, sum), b), a))

#include "kernels/peak/peak_body.h"

const vecq_peak_kernels vecq_peak_kernels_avx2 = PEAK_TABLE;
