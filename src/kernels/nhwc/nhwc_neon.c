/* SPDX-License-Identifier: Apache-2.0 */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#define NHWC_SQUARE      32u
#define NHWC_TURN_FLOATS 4u
#define NHWC_TURN_BYTES  8u

/* Pairs of elements, then pairs of pairs change places. */
static inline __attribute__((always_inline)) void nhwc_turn_floats(float (*x)[NHWC_SQUARE], size_t column,
                                                                   float *y, size_t y_stride)
{
    float32x4_t a = vld1q_f32(&x[0][column]), b = vld1q_f32(&x[1][column]), c = vld1q_f32(&x[2][column]),
                d = vld1q_f32(&x[3][column]);
    float64x2_t ab0 = vreinterpretq_f64_f32(vtrn1q_f32(a, b)), ab1 = vreinterpretq_f64_f32(vtrn2q_f32(a, b));
    float64x2_t cd0 = vreinterpretq_f64_f32(vtrn1q_f32(c, d)), cd1 = vreinterpretq_f64_f32(vtrn2q_f32(c, d));

    vst1q_f32(y, vreinterpretq_f32_f64(vtrn1q_f64(ab0, cd0)));
    vst1q_f32(y + y_stride, vreinterpretq_f32_f64(vtrn1q_f64(ab1, cd1)));
    vst1q_f32(y + 2 * y_stride, vreinterpretq_f32_f64(vtrn2q_f64(ab0, cd0)));
    vst1q_f32(y + 3 * y_stride, vreinterpretq_f32_f64(vtrn2q_f64(ab1, cd1)));
}

static inline __attribute__((always_inline)) void nhwc_turn_bytes(uint8_t (*x)[NHWC_SQUARE], size_t column,
                                                                  uint8_t *y, size_t y_stride)
{
    uint8x8_t v[8];
    uint16x4_t w[8];
    uint32x2_t u[8];
    unsigned i;

    for (i = 0; i < 8; i++)
        v[i] = vld1_u8(&x[i][column]);
    for (i = 0; i < 8; i += 2) {
        w[i] = vreinterpret_u16_u8(vtrn1_u8(v[i], v[i + 1]));
        w[i + 1] = vreinterpret_u16_u8(vtrn2_u8(v[i], v[i + 1]));
    }
    for (i = 0; i < 8; i += i % 4 == 1 ? 3 : 1) { /* 0, 1, 4, 5 */
        u[i] = vreinterpret_u32_u16(vtrn1_u16(w[i], w[i + 2]));
        u[i + 2] = vreinterpret_u32_u16(vtrn2_u16(w[i], w[i + 2]));
    }
    for (i = 0; i < 4; i++) {
        vst1_u8(y + i * y_stride, vreinterpret_u8_u32(vtrn1_u32(u[i], u[i + 4])));
        vst1_u8(y + (i + 4) * y_stride, vreinterpret_u8_u32(vtrn2_u32(u[i], u[i + 4])));
    }
}

#include "kernels/nhwc/nhwc_body.h"

NHWC_TABLE(neon)
