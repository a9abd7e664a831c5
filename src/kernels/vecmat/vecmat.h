/* SPDX-License-Identifier: Apache-2.0 */
/* A vector times a matrix of floats whose rows lie one behind the other: what a recurrent layer does in each
 * step. Leaves: pointers and sizes, nothing is aligned, no memory is taken. */
#ifndef VECQ_KERNELS_VECMAT_H
#define VECQ_KERNELS_VECMAT_H

#include <stddef.h>

typedef struct vecq_vecmat_kernels {
    const char *name;
    /* y[i] = z[i] + sum of x[k] * w[k * n + i], k < rows, i < n; products and sums are rounded, from z on in
     * ascending order of k. y may be z. */
    void (*add)(const float *z, const float *x, const float *w, size_t rows, size_t n, float *y);
} vecq_vecmat_kernels;

/* The table of a level, or NULL when this build has none. `level` is a vecq_cpu_level. */
const vecq_vecmat_kernels *vecq_vecmat_kernels_at(int level);
/* The table for the level in use (vecq_cpu_active()). Never NULL. */
const vecq_vecmat_kernels *vecq_vecmat_kernels_active(void);

#endif
