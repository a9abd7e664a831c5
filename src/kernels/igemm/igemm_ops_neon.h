/* SPDX-License-Identifier: Apache-2.0 */
/* What the AArch64 levels share; each adds its igemm_dot() and its rows. Products are of signed bytes:
 * activations are taken less 128, and what that takes away is put back at the end. */
#ifndef VECQ_KERNELS_IGEMM_OPS_NEON_H
#define VECQ_KERNELS_IGEMM_OPS_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#include "kernels/igemm/igemm_types.h"

#define IGEMM_UNPACK   vecq_unpack_kernels_neon
#define IGEMM_X_OFFSET 128
#define IGEMM_LANES    4
#define IGEMM_TOGETHER 1

typedef int32x4_t igemm_register;

/* As bytes, which are aligned anywhere. */
#define igemm_load(p)     vreinterpretq_s32_u8(vld1q_u8((const uint8_t *)(const void *)(p)))
#define igemm_store(p, v) vst1q_u8((uint8_t *)(void *)(p), vreinterpretq_u8_s32(v))
#define igemm_zero()      vdupq_n_s32(0)
#define igemm_fill(x)     vdupq_n_s32(x)
#define IGEMM_QUAD(v)     veorq_s32(v, vdupq_n_s32((int32_t)0x80808080))
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
    return IGEMM_QUAD(vdupq_n_s32(four));
}

static inline void igemm_store_lanes(int32_t *p, const int32x4_t v[4])
{
    int j;

    for (j = 0; j < 4; j++)
        igemm_store(p + 4 * j, v[j]);
}

#endif
