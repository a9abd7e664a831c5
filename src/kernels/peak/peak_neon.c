/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/peak/peak_ops_neon.h"

extern const vecq_peak_kernels vecq_peak_kernels_neon;

/* Without a dot product: bytes by pairs in two halves, pairs added up. The products are always the same,
 * which compilers must not see. */
static inline int8x16_t peak_pairs(int8x16_t sum, int8x16_t a, int8x16_t b)
{
    int16x8_t products;

    __asm__ volatile("smull %0.8h, %1.8b, %2.8b\n\tsmlal2 %0.8h, %1.16b, %2.16b"
                     : "=&w"(products)
                     : "w"(a), "w"(b));
    __asm__("sadalp %0.4s, %1.8h" : "+w"(sum) : "w"(products));
    return sum;
}

#define PEAK_DOT peak_pairs

#include "kernels/peak/peak_body.h"

const vecq_peak_kernels vecq_peak_kernels_neon = PEAK_TABLE;
