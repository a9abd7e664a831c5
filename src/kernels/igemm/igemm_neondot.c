/* SPDX-License-Identifier: Apache-2.0 */
/* AArch64 with dot products: 24 sums, 6 activations, weights: all 32 registers. */
#include "kernels/igemm/igemm_ops_neon.h"

#define IGEMM_ROWS_1 6
#define IGEMM_SPLIT  0
#define IGEMM_HAS_LANES

/* The instruction itself: as an intrinsic, gcc 12 copies every accumulator before and after it. */
IGEMM_BODY int32x4_t igemm_dot4(int32x4_t acc, int32x4_t x, int32x4_t w)
{
    __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(acc) : "w"(w), "w"(x));
    return acc;
}

#define igemm_dot(acc, x, w, is_wide) ((void)(is_wide), igemm_dot4(acc, x, w))

#define IGEMM_DOT_LANE(lane)                                                                                 \
    case lane:                                                                                               \
        __asm__("sdot %0.4s, %1.16b, %2.4b[" #lane "]" : "+w"(acc) : "w"(w), "w"(x));                        \
        break;

IGEMM_BODY int32x4_t igemm_dot_lane(int32x4_t acc, int32x4_t x, int32x4_t w, unsigned lane)
{
    switch (lane) {
        IGEMM_DOT_LANE(0)
        IGEMM_DOT_LANE(1)
        IGEMM_DOT_LANE(2)
        IGEMM_DOT_LANE(3)
    }
    return acc;
}

#include "kernels/igemm/igemm_float_neon.h"
#include "kernels/igemm/igemm_tile.h"

#include "kernels/igemm/igemm_body.h"

IGEMM_TABLE(neondot)
