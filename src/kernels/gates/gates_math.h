/* SPDX-License-Identifier: Apache-2.0 */
/* Sigmoid and tanh of gates in float: the same operations wherever they are compiled, so the same bits. */
#ifndef VECQ_KERNELS_GATES_MATH_H
#define VECQ_KERNELS_GATES_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/*
 * e^r - 1 for |r| <= ln(2)/2 by its series up to r^7 (error below 2e-8 relative), and 2^n from the bits that
 * adding 1.5 * 2^23 leaves; y in [-87, 0]. A NaN stays one.
 */
typedef struct vecq_gates_power {
    float scale, minus_one; /* e^y = scale * (1 + minus_one) */
} vecq_gates_power;

static inline vecq_gates_power vecq_gates_exp(float y)
{
    const float magic = 12582912.0f, high = 0.693359375f, low = -2.12194440e-4f; /* high + low = ln 2 */
    vecq_gates_power e;
    uint32_t bits;
    float shifted, n, r;

    y = y < -87.0f ? -87.0f : y;
    shifted = y * 1.44269504f + magic;
    n = shifted - magic;
    r = (y - n * high) - n * low;
    e.minus_one = 1.0f / 720 + r * (1.0f / 5040);
    e.minus_one = 1.0f / 120 + r * e.minus_one;
    e.minus_one = 1.0f / 24 + r * e.minus_one;
    e.minus_one = 1.0f / 6 + r * e.minus_one;
    e.minus_one = 0.5f + r * e.minus_one;
    e.minus_one = r + r * r * e.minus_one;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;
    memcpy(&e.scale, &bits, sizeof bits);
    return e;
}

static inline float vecq_gates_sigmoid(float x)
{
    vecq_gates_power p = vecq_gates_exp(-fabsf(x));
    float e = p.scale + p.scale * p.minus_one, one = 1.0f / (1.0f + e);

    return x < 0 ? e * one : one;
}

/* (1 - e^-2|x|) / (1 + e^-2|x|) with the sign of x, without cancellation near 0 */
static inline float vecq_gates_tanh(float x)
{
    vecq_gates_power p = vecq_gates_exp(-2.0f * fabsf(x));
    float less = p.scale * p.minus_one + (p.scale - 1.0f), t = -less / (2.0f + less);

    return x < 0 ? -t : t;
}

#endif
