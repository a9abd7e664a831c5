/* SPDX-License-Identifier: Apache-2.0 */
/* The loop, for each file to compile with its own flags. Columns are taken in pieces whose sums stay in
 * registers. Everything is static. */
#ifndef VECQ_KERNELS_VECMAT_BODY_H
#define VECQ_KERNELS_VECMAT_BODY_H

#include <string.h>

#include "kernels/vecmat/vecmat.h"

#define VECMAT_BODY static inline __attribute__((always_inline))

/* The compiler maps it to the registers that there are. */
typedef float vecmat_floats __attribute__((vector_size(64)));
#define VECMAT_LANES 16u

/* `count` vectors of columns. */
VECMAT_BODY void vecmat_piece(const float *z, const float *x, const float *w, size_t rows, size_t n,
                              unsigned count, float *y)
{
    vecmat_floats sum[8], part;
    unsigned j;
    size_t k;

    memcpy(sum, z, count * sizeof *sum);
    for (k = 0; k < rows; k++, w += n)
        for (j = 0; j < count; j++) {
            memcpy(&part, w + j * VECMAT_LANES, sizeof part);
            sum[j] += part * x[k];
        }
    memcpy(y, sum, count * sizeof *sum);
}

static void vecmat_add(const float *z, const float *x, const float *w, size_t rows, size_t n, float *y)
{
    size_t i = 0, k;

    for (; n - i >= 8 * VECMAT_LANES; i += 8 * VECMAT_LANES)
        vecmat_piece(z + i, x, w + i, rows, n, 8, y + i);
    for (; n - i >= 4 * VECMAT_LANES; i += 4 * VECMAT_LANES)
        vecmat_piece(z + i, x, w + i, rows, n, 4, y + i);
    for (; n - i >= VECMAT_LANES; i += VECMAT_LANES)
        vecmat_piece(z + i, x, w + i, rows, n, 1, y + i);
    for (; i < n; i++) {
        float sum = z[i];

        for (k = 0; k < rows; k++)
            sum += x[k] * w[k * n + i];
        y[i] = sum;
    }
}

#define VECMAT_TABLE(isa)                                                                                    \
    extern const vecq_vecmat_kernels vecq_vecmat_kernels_##isa;                                              \
    const vecq_vecmat_kernels vecq_vecmat_kernels_##isa = {#isa, vecmat_add};

#endif
