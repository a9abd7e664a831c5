/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cells of recurrent layers: what gates make of the sums that products have left, element by element
 * (s: sigmoid). Leaves; every level gives the same bits (gates_math.h).
 */
#ifndef VECQ_KERNELS_GATES_H
#define VECQ_KERNELS_GATES_H

#include <stddef.h>

typedef struct vecq_gates_kernels {
    const char *name;
    /* gates[4 n]: sums of i, o, f, g, n of each.
     * c = s(f) c_old + s(i) tanh(g) (c_old NULL: s(i) tanh(g)), h = s(o) tanh(c). c may be c_old. */
    void (*lstm)(const float *gates, size_t n, const float *c_old, float *c, float *h);
    /* x[i] = s(x[i]), i < n */
    void (*sigmoid)(float *x, size_t n);
    /* With gates z and r, and the sum a of the third one: t = tanh(a + r q) (q NULL: tanh(a)),
     * h = (1 - z) t + z h_old (h_old NULL: (1 - z) t). h may be h_old. */
    void (*gru)(const float *z, const float *r, const float *a, const float *q, size_t n, const float *h_old,
                float *h);
    /* y[i] = a[i] * b[i], i < n */
    void (*multiply)(const float *a, const float *b, size_t n, float *y);
} vecq_gates_kernels;

/* The table of a level, or NULL when this build has none. `level` is a vecq_cpu_level. */
const vecq_gates_kernels *vecq_gates_kernels_at(int level);
/* The table for the level in use (vecq_cpu_active()). Never NULL. */
const vecq_gates_kernels *vecq_gates_kernels_active(void);

#endif
