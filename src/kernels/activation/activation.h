/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of the activation quantizer: ONNX QuantizeLinear and DequantizeLinear in one pass. Leaves. */
#ifndef VECQ_KERNELS_ACTIVATION_H
#define VECQ_KERNELS_ACTIVATION_H

#include <stddef.h>

typedef struct vecq_activation_kernels {
    const char *name;
    /* y = scale * clip(r, low, high), r = x / scale (a float division) rounded to the nearest integer, ties
     * to even. scale > 0; low <= 0 <= high are integers of magnitude below 2^22. NaN stays NaN, a zero is +0.
     * y may be x. */
    void (*round)(const float *x, size_t n, float scale, float low, float high, float *y);
    /* dx = g where low - 1/2 <= x / scale <= high + 1/2, else 0. dx may be g. */
    void (*mask)(const float *x, const float *g, size_t n, float scale, float low, float high, float *dx);
} vecq_activation_kernels;

/* The table of a level, or NULL when this build has none. `level` is a vecq_cpu_level. */
const vecq_activation_kernels *vecq_activation_kernels_at(int level);
/* The table for the level in use (vecq_cpu_active()). Never NULL. */
const vecq_activation_kernels *vecq_activation_kernels_active(void);

#endif
