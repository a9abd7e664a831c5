/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 128 bits for peak_body.h; PEAK_DOT is the includer's. */
#include <arm_neon.h>

#include "kernels/peak/peak.h"

#define PEAK_F             float32x4_t
#define PEAK_I             int8x16_t
#define PEAK_LANES         4
#define PEAK_N             16
#define PEAK_SET_F         vdupq_n_f32
#define PEAK_FMA(s, a, b)  vfmaq_f32(s, a, b) /* adds to a register: the other way round is a copy more */
#define PEAK_STORE_F       vst1q_f32
#define PEAK_SET_I         vdupq_n_s8
#define PEAK_XOR           veorq_s8
#define PEAK_LOAD_I(p)     vld1q_s8((const int8_t *)(const void *)(p))
#define PEAK_STORE_I(p, x) vst1q_s8((int8_t *)(void *)(p), x)
#define PEAK_DOT_MACS      16
