/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 16 bytes for dot_body.h and dot_float.h (32 registers). Shifts are of bytes. Vectors shift by
 * the compiler's operators: intrinsics would want a constant also where nothing is inlined. */
#ifndef VECQ_KERNELS_DOT_VEC_NEON_H
#define VECQ_KERNELS_DOT_VEC_NEON_H

#include <arm_neon.h>

#include "kernels/dot/dot_common.h"

#define DOT_BYTES     16
#define DOT_ACCS      8
#define DOT_ACCS_MAX  20
#define DOT_BATCH     4
#define DOT_CODE_BITS 7
#define DOT_U8_OFFSET 128
#define DOT_VEC       static inline __attribute__((always_inline))

typedef uint8x16_t dot_vec;

DOT_VEC dot_vec dot_zero(void)
{
    return vdupq_n_u8(0);
}

DOT_VEC dot_vec dot_set1(char byte)
{
    return vdupq_n_u8((uint8_t)byte);
}

DOT_VEC dot_vec dot_load(const void *p)
{
    return vld1q_u8(p);
}

DOT_VEC void dot_store(void *p, dot_vec v)
{
    vst1q_u8(p, v);
}

/* n of 1..15 bytes, the rest 0. */
DOT_VEC dot_vec dot_load_part(const void *p, size_t n)
{
    uint8_t bytes[DOT_BYTES] = {0};

    memcpy(bytes, p, n);
    return dot_load(bytes);
}

DOT_VEC dot_vec dot_and(dot_vec a, dot_vec b)
{
    return vandq_u8(a, b);
}

/* a has no bits where c has some: inserting is the same. */
DOT_VEC dot_vec dot_or_and(dot_vec a, dot_vec b, dot_vec c)
{
    return vbslq_u8(c, b, a);
}

DOT_VEC dot_vec dot_srl(dot_vec v, unsigned n)
{
    return v >> (uint8_t)n;
}

DOT_VEC dot_vec dot_sll(dot_vec v, unsigned n)
{
    return v << (uint8_t)n;
}

DOT_VEC int32_t dot_sum(dot_vec v)
{
    return vaddvq_s32(vreinterpretq_s32_u8(v));
}

DOT_VEC void dot_sum4(dot_vec a, dot_vec b, dot_vec c, dot_vec d, int32_t *sums)
{
    int32x4_t ab = vpaddq_s32(vreinterpretq_s32_u8(a), vreinterpretq_s32_u8(b));
    int32x4_t cd = vpaddq_s32(vreinterpretq_s32_u8(c), vreinterpretq_s32_u8(d));

    vst1q_s32(sums, vpaddq_s32(ab, cd));
}

/* ---- floats ---- */

#define DOT_FLOAT_ROWS  4
#define DOT_FLOAT_BATCH 1

typedef float32x4_t dot_floats;

/* `four`: the bytes of the first 16 levels, for up to four bits. */
typedef struct dot_table {
    uint8x16x4_t four;
    const float *levels;
    float middle;
} dot_table;

DOT_VEC dot_floats dot_floats_zero(void)
{
    return vdupq_n_f32(0.0f);
}

DOT_VEC dot_floats dot_floats_load(const float *p)
{
    return vld1q_f32(p);
}

DOT_VEC dot_floats dot_floats_fma(dot_floats a, dot_floats b, dot_floats c)
{
    return vfmaq_f32(c, a, b);
}

DOT_VEC float dot_tree(const dot_floats *lanes)
{
    float32x4_t four = vaddq_f32(vaddq_f32(lanes[0], lanes[2]), vaddq_f32(lanes[1], lanes[3]));
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));

    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

static inline void dot_table_make(unsigned k, const float *levels, dot_table *out)
{
    uint8_t bytes[64] = {0};
    unsigned i;

    out->middle = (float)((1u << k) - 1u) * 0.5f;
    out->levels = levels;
    if (levels != NULL)
        memcpy(bytes, levels, (size_t)4 << (k < 4 ? k : 4));
    for (i = 0; i < 4; i++)
        out->four.val[i] = vld1q_u8(bytes + 16 * i);
}

/* v / 2^shift: a conversion from fixed point, whose instruction wants a constant. */
#define DOT_FIXED(n)                                                                                         \
    case n:                                                                                                  \
        return vcvtq_n_f32_u32(v, n);
#define DOT_FIXED_4(n) DOT_FIXED(n) DOT_FIXED((n) + 1) DOT_FIXED((n) + 2) DOT_FIXED((n) + 3)

DOT_VEC dot_floats dot_fixed(uint32x4_t v, unsigned shift)
{
    switch (shift) {
        DOT_FIXED_4(1)
        DOT_FIXED_4(5)
        DOT_FIXED_4(9)
        DOT_FIXED_4(13)
        DOT_FIXED_4(17)
        DOT_FIXED_4(21)
        DOT_FIXED_4(25)
        DOT_FIXED_4(29)
    }
    return vcvtq_f32_u32(v);
}

/* Four times the code at bit `at` of each byte, k <= 4: where its level begins in a table of bytes. */
DOT_VEC uint8x16_t dot_places(unsigned k, uint8x16_t v, unsigned at)
{
    uint8x16_t moved = at > 2 ? v >> (uint8_t)(at - 2) : at < 2 ? v << (uint8_t)(2 - at) : v;

    return vandq_u8(moved, vdupq_n_u8((uint8_t)(((1u << k) - 1u) << 2)));
}

/* The place of a level in byte b of each lane becomes those of its four bytes, which are picked. */
DOT_VEC dot_floats dot_pick(unsigned k, const dot_table *t, uint8x16_t places, unsigned b)
{
    const uint32x4_t lane = {0x00000000, 0x04040404, 0x08080808, 0x0c0c0c0c};
    const uint8x16_t from = vreinterpretq_u8_u32(lane + 0x01010101u * b);
    uint8x16_t at = vorrq_u8(vqtbl1q_u8(places, from), vreinterpretq_u8_u32(vdupq_n_u32(0x03020100)));
    uint8x16x2_t two = {{t->four.val[0], t->four.val[1]}};

    if (k <= 2)
        return vreinterpretq_f32_u8(vqtbl1q_u8(t->four.val[0], at));
    if (k == 3)
        return vreinterpretq_f32_u8(vqtbl2q_u8(two, at));
    return vreinterpretq_f32_u8(vqtbl4q_u8(t->four, at));
}

DOT_VEC dot_floats dot_level(unsigned k, unsigned is_linear, const dot_table *t, dot_vec v, unsigned shift)
{
    const uint32_t mask = (1u << k) - 1u;
    uint32x4_t lanes = vreinterpretq_u32_u8(v);
    float levels[4];
    unsigned i;

    if (is_linear)
        return vsubq_f32(dot_fixed(vandq_u32(lanes, vdupq_n_u32(mask << shift)), shift),
                         vdupq_n_f32(t->middle));
    if (k <= 4)
        return dot_pick(k, t, dot_places(k, v, shift % 8), shift / 8);
    for (i = 0; i < 4; i++)
        levels[i] = t->levels[v[4 * i + shift / 8]];
    return vld1q_f32(levels);
}

#endif
