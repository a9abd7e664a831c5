/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AArch64. With mixed dot products (i8mm) activations are taken as they are; otherwise less 128, as signed
 * bytes, and what that takes away is put back at the end. Without dot products at all: products of 16 bits,
 * added in pairs.
 */
#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#define IGEMM_UNPACK   vecq_unpack_kernels_neon
#define IGEMM_LANES    4
#define IGEMM_TOGETHER 1
#define IGEMM_ROWS_1   4
#define IGEMM_SPLIT    0

typedef int32x4_t igemm_register;

#if defined(__ARM_FEATURE_MATMUL_INT8)
#define IGEMM_X_OFFSET  0
#define igemm_signed(x) (x)
static inline int32x4_t igemm_dot4(int32x4_t acc, int32x4_t x, int32x4_t w)
{
    return vusdotq_s32(acc, vreinterpretq_u8_s32(x), vreinterpretq_s8_s32(w));
}
#else
#define IGEMM_X_OFFSET  128
#define igemm_signed(x) veorq_s32(x, vdupq_n_s32((int32_t)0x80808080))
#if defined(__ARM_FEATURE_DOTPROD)
static inline int32x4_t igemm_dot4(int32x4_t acc, int32x4_t x, int32x4_t w)
{
    return vdotq_s32(acc, vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(w));
}
#else
static inline int32x4_t igemm_dot4(int32x4_t acc, int32x4_t x, int32x4_t w)
{
    int8x16_t a = vreinterpretq_s8_s32(x), b = vreinterpretq_s8_s32(w);
    int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);

    return vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}
#endif
#endif

#define igemm_dot(acc, x, w, is_wide) ((void)(is_wide), igemm_dot4(acc, x, w))
#define igemm_load(p)                 vld1q_s32((const int32_t *)(const void *)(p))
#define igemm_store(p, v)             vst1q_s32((int32_t *)(void *)(p), v)
#define igemm_zero()                  vdupq_n_s32(0)
#define igemm_fill(x)                 vdupq_n_s32(x)
#define igemm_zip(op, type, a, b)                                                                            \
    vreinterpretq_s32_##type(op(vreinterpretq_##type##_s32(a), vreinterpretq_##type##_s32(b)))
#define igemm_low8(a, b)   igemm_zip(vzip1q_s8, s8, a, b)
#define igemm_high8(a, b)  igemm_zip(vzip2q_s8, s8, a, b)
#define igemm_low16(a, b)  igemm_zip(vzip1q_s16, s16, a, b)
#define igemm_high16(a, b) igemm_zip(vzip2q_s16, s16, a, b)

static inline int32x4_t igemm_broadcast(const uint8_t *p)
{
    int32_t four;

    memcpy(&four, p, sizeof four);
    return igemm_signed(vdupq_n_s32(four));
}

static inline void igemm_store_lanes(int32_t *p, const int32x4_t v[4])
{
    int j;

    for (j = 0; j < 4; j++)
        igemm_store(p + 4 * j, v[j]);
}

#define IGEMM_QUAD(v) igemm_signed(v)
#include "kernels/igemm/igemm_tile.h"

#include "kernels/igemm/igemm_body.h"

IGEMM_TABLE(neon)
