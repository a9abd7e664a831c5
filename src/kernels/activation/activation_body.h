/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops, for each file to compile with its own flags (the compiler makes vectors of them). Everything is
 * static.
 *
 * The bounds are integers, so that clipping first and rounding then is the same as the other way round. What
 * is clipped is so small that adding and taking away 1.5 * 2^23 rounds it to an integer, ties to even.
 */
#ifndef VECQ_KERNELS_ACTIVATION_BODY_H
#define VECQ_KERNELS_ACTIVATION_BODY_H

#include "kernels/activation/activation.h"

#define ACTIVATION_MAGIC 0x1.8p23f

static void activation_round(const float *x, size_t n, float scale, float low, float high, float *y)
{
    size_t i;

    for (i = 0; i < n; i++) {
        float q = x[i] / scale;

        q = q < low ? low : q;
        q = q > high ? high : q;
        q = q + ACTIVATION_MAGIC;
        y[i] = scale * (q - ACTIVATION_MAGIC);
    }
}

static void activation_mask(const float *x, const float *g, size_t n, float scale, float low, float high,
                            float *dx)
{
    float least = low - 0.5f, most = high + 0.5f;
    size_t i;

    for (i = 0; i < n; i++) {
        float q = x[i] / scale, d = q < least ? 0.0f : g[i];

        dx[i] = q > most ? 0.0f : d;
    }
}

#define ACTIVATION_TABLE(isa)                                                                                \
    extern const vecq_activation_kernels vecq_activation_kernels_##isa;                                      \
    const vecq_activation_kernels vecq_activation_kernels_##isa = {#isa, activation_round, activation_mask};

#endif
