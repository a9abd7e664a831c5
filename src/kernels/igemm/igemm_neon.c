/* SPDX-License-Identifier: Apache-2.0 */
/* AArch64 without dot products: products of 16 bits, added by pairs. Two of them fit up to 7 bits,
 * 2 * 128 * 127 < 2^15; of 8 bits, (-128)^2 twice would not. */
#include "kernels/igemm/igemm_ops_neon.h"

#define IGEMM_ROWS_1 4
#define IGEMM_SPLIT  1

/* The instruction itself: as an intrinsic, gcc 12 copies every accumulator before and after it. */
IGEMM_BODY int32x4_t igemm_add_pairs(int32x4_t acc, int16x8_t products)
{
    __asm__("sadalp %0.4s, %1.8h" : "+w"(acc) : "w"(products));
    return acc;
}

IGEMM_BODY int32x4_t igemm_dot(int32x4_t acc, int32x4_t x, int32x4_t w, int is_wide)
{
    int8x16_t a = vreinterpretq_s8_s32(x), b = vreinterpretq_s8_s32(w);
    int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);

    if (is_wide)
        return vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
    return igemm_add_pairs(acc, vpaddq_s16(low, high));
}

#include "kernels/igemm/igemm_float_neon.h"
#include "kernels/igemm/igemm_tile.h"

#include "kernels/igemm/igemm_body.h"

IGEMM_TABLE(neon)
