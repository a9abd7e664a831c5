/* SPDX-License-Identifier: Apache-2.0 */
#include <arm_neon.h>

#include "kernels/peak/peak.h"

extern const vecq_peak_kernels vecq_peak_kernels_neon;

#define PEAK_F             float32x4_t
#define PEAK_I             int8x16_t
#define PEAK_LANES         4
#define PEAK_N             16
#define PEAK_SET_F         vdupq_n_f32
#define PEAK_FMA(s, a, b)  vfmaq_f32(b, s, a)
#define PEAK_STORE_F       vst1q_f32
#define PEAK_SET_I         vdupq_n_s8
#define PEAK_XOR           veorq_s8
#define PEAK_LOAD_I(p)     vld1q_s8((const int8_t *)(const void *)(p))
#define PEAK_STORE_I(p, x) vst1q_s8((int8_t *)(void *)(p), x)
#define PEAK_DOT_MACS      16
/* Bytes by pairs in two halves, pairs added up. */
#define PEAK_DOT(s, a, b)                                                                                    \
    vreinterpretq_s8_s32(                                                                                    \
        vpadalq_s16(vreinterpretq_s32_s8(s), vmlal_high_s8(vmull_s8(vget_low_s8(a), vget_low_s8(b)), a, b)))

#include "kernels/peak/peak_body.h"

const vecq_peak_kernels vecq_peak_kernels_neon = PEAK_TABLE;
