/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/peak/peak_ops_neon.h"

extern const vecq_peak_kernels vecq_peak_kernels_neondot;

/* The instruction itself: as an intrinsic, gcc 12 copies every accumulator before and after it. */
static inline int8x16_t peak_sdot(int8x16_t sum, int8x16_t a, int8x16_t b)
{
    __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(b));
    return sum;
}

#define PEAK_DOT peak_sdot

#include "kernels/peak/peak_body.h"

const vecq_peak_kernels vecq_peak_kernels_neondot = PEAK_TABLE;
