/* SPDX-License-Identifier: Apache-2.0 */
/* The float half of a pixel, 16 channels as four registers: the steps of igemm_body.h in the same order. */
#ifndef VECQ_KERNELS_IGEMM_FLOAT_NEON_H
#define VECQ_KERNELS_IGEMM_FLOAT_NEON_H

#include <arm_neon.h>

#include "kernels/igemm/igemm.h"
#include "kernels/igemm/igemm_types.h"

#define IGEMM_HAS_VECTOR

/* The conditions of C: maximum and minimum of the processor take +0 before -0. */
IGEMM_BODY float32x4_t igemm_clip_vector(float32x4_t y, float low, float high)
{
    const float32x4_t least = vdupq_n_f32(low), most = vdupq_n_f32(high);

    y = vbslq_f32(vcgtq_f32(y, least), y, least);
    return vbslq_f32(vcgtq_f32(y, most), most, y);
}

IGEMM_BODY float32x4_t igemm_real_vector(const vecq_igemm_output *o, const int32_t *t, const igemm_place *at,
                                         size_t channel)
{
    float32x4_t y = vcvtq_f32_s32(vld1q_s32(t)), bias = vdupq_n_f32(0.0f);

    if (o->row_scale != NULL)
        y = vmulq_n_f32(y, o->row_scale[at->part]);
    if (o->bias != NULL)
        bias = vld1q_f32(o->bias + channel);
    y = vfmaq_f32(bias, y, vld1q_f32(o->scale + channel));
    if (o->add != NULL)
        y = vaddq_f32(y, vld1q_f32(o->add + at->add + channel));
    return y;
}

/* y + add_scale * (byte - add_zero), of 16 channels. */
IGEMM_BODY void igemm_add_bytes(const vecq_igemm_output *o, const uint8_t *add, float32x4_t y[4])
{
    const uint8x16_t bytes = vld1q_u8(add);
    const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    const uint32x4_t wide[4] = {vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low),
                                vmovl_u16(vget_low_u16(high)), vmovl_high_u16(high)};
    const int32x4_t zero = vdupq_n_s32(o->add_zero);
    unsigned j;

    for (j = 0; j < 4; j++)
        y[j] =
            vfmaq_n_f32(y[j], vcvtq_f32_s32(vsubq_s32(vreinterpretq_s32_u32(wide[j]), zero)), o->add_scale);
}

IGEMM_BODY float32x4_t igemm_activate_vector(const vecq_igemm_output *o, float32x4_t y)
{
    float32x4_t other;

    switch (o->activation) {
    case VECQ_IGEMM_CLIP:
        break;
    case VECQ_IGEMM_LEAKY:
        return vbslq_f32(vcgtzq_f32(y), y, vmulq_n_f32(y, o->low));
    case VECQ_IGEMM_HARD_SWISH:
        other = vfmaq_n_f32(vdupq_n_f32(0.5f), y, 1.0f / 6.0f);
        return vmulq_f32(y, igemm_clip_vector(other, 0.0f, 1.0f));
    }
    return igemm_clip_vector(y, o->low, o->high);
}

/* Bounds are integers: here the sign of a zero is lost anyway, and NaN becomes low. */
IGEMM_BODY int32x4_t igemm_quantize_vector(const vecq_igemm_output *o, float32x4_t y)
{
    y = vdivq_f32(y, vdupq_n_f32(o->q_scale));
    y = vmaxnmq_f32(y, vdupq_n_f32((float)(o->q_low - o->q_zero)));
    y = vminnmq_f32(y, vdupq_n_f32((float)(o->q_high - o->q_zero)));
    return vaddq_s32(vcvtnq_s32_f32(y), vdupq_n_s32(o->q_zero));
}

/* The low bytes. */
IGEMM_BODY uint8x16_t igemm_narrow(const int32x4_t q[4])
{
    int16x8_t low = vuzp1q_s16(vreinterpretq_s16_s32(q[0]), vreinterpretq_s16_s32(q[1]));
    int16x8_t high = vuzp1q_s16(vreinterpretq_s16_s32(q[2]), vreinterpretq_s16_s32(q[3]));

    return vuzp1q_u8(vreinterpretq_u8_s16(low), vreinterpretq_u8_s16(high));
}

/* 16 channels of one pixel. */
IGEMM_BODY void igemm_finish_vector(const vecq_igemm_output *o, const int32_t *t, const igemm_place *at,
                                    size_t channel, size_t n)
{
    float32x4_t y[4];
    int32x4_t q[4];
    unsigned j;

    (void)n;
    for (j = 0; j < 4; j++)
        y[j] = igemm_real_vector(o, t + 4 * j, at, channel + 4 * j);
    if (o->add == NULL && o->add_q != NULL)
        igemm_add_bytes(o, o->add_q + at->add + channel, y);
    for (j = 0; j < 4; j++)
        y[j] = igemm_activate_vector(o, y[j]);
    for (j = 0; o->y != NULL && j < 4; j++)
        vst1q_f32(o->y + at->y + channel + 4 * j, y[j]);
    if (o->q != NULL) {
        for (j = 0; j < 4; j++)
            q[j] = igemm_quantize_vector(o, y[j]);
        vst1q_u8(o->q + at->q + channel, igemm_narrow(q));
    }
}

#endif
