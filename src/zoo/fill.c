/* SPDX-License-Identifier: Apache-2.0 */
#include "zoo/fill.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/status.h"

static void fill_put(uint8_t *dst, size_t i, float value)
{
    memcpy(dst + i * sizeof value, &value, sizeof value);
}

static void fill_constant(uint8_t *dst, size_t from, size_t n, float value)
{
    size_t i;

    for (i = 0; i < n; i++)
        fill_put(dst, from + i, value);
}

/* Takes the part along the first j columns out of column j, and returns the length of what is left. The
 * matrix is kept column by column: a[column][row]. */
static double orthogonal_reduce(double *a, size_t rows, size_t j)
{
    double *v = a + j * rows, sum = 0;
    size_t c, r;

    for (c = 0; c < j; c++) {
        const double *q = a + c * rows;
        double dot = 0;

        for (r = 0; r < rows; r++)
            dot += q[r] * v[r];
        for (r = 0; r < rows; r++)
            v[r] -= dot * q[r];
    }
    for (r = 0; r < rows; r++)
        sum += v[r] * v[r];
    return sqrt(sum);
}

/*
 * Q of the QR decomposition of a Gaussian matrix, by modified Gram-Schmidt with a second pass, which brings
 * the columns to orthogonality within rounding whatever the matrix. The diagonal of R is positive that way,
 * so Q is uniform among all such matrices (Mezzadri 2007), as Keras's Orthogonal means it.
 */
static void orthogonal_make(double *a, size_t rows, size_t cols, vecq_rng *rng)
{
    size_t j, r;

    for (j = 0; j < cols; j++) {
        double *v = a + j * rows, before, after, length;

        do { /* a column that lies in the span of those before it, which random ones do not, is drawn again */
            for (r = 0; r < rows; r++)
                v[r] = vecq_rng_gaussian(rng);
            before = orthogonal_reduce(a, rows, j);
            after = before > 0 ? orthogonal_reduce(a, rows, j) : 0;
        } while (!(after > 0.5 * before));
        length = after;
        for (r = 0; r < rows; r++)
            v[r] /= length;
    }
}

static vecq_status fill_orthogonal(const vecq_fill *fill, vecq_rng *rng, uint8_t *dst, vecq_error *err)
{
    size_t cols = fill->n, rows = fill->count / cols, r, c;
    double *a = vecq_alloc(fill->count, sizeof *a);

    if (a == NULL)
        return vecq_error_memory(err, fill->count * sizeof *a);
    orthogonal_make(a, rows, cols, rng);
    for (r = 0; r < rows; r++)
        for (c = 0; c < cols; c++)
            fill_put(dst, r * cols + c, (float)a[c * rows + r]);
    vecq_free(a);
    return VECQ_OK;
}

vecq_status vecq_fill_write(const vecq_fill *fill, uint64_t seed, uint8_t *dst, vecq_error *err)
{
    vecq_rng rng;
    size_t i;

    vecq_rng_seed(&rng, vecq_hash(seed, fill->name, strlen(fill->name)));
    switch (fill->kind) {
    case VECQ_FILL_UNIFORM:
        for (i = 0; i < fill->count; i++)
            fill_put(dst, i, (float)(fill->value * (2.0 * vecq_rng_uniform(&rng) - 1.0)));
        return VECQ_OK;
    case VECQ_FILL_NORMAL:
        for (i = 0; i < fill->count; i++)
            fill_put(dst, i, (float)(fill->value * vecq_rng_gaussian(&rng)));
        return VECQ_OK;
    case VECQ_FILL_ORTHOGONAL:
        return fill_orthogonal(fill, &rng, dst, err);
    case VECQ_FILL_LSTM_BIAS:
        fill_constant(dst, 0, fill->count, 0.0f);
        fill_constant(dst, 2 * fill->n, fill->n, (float)fill->value);
        return VECQ_OK;
    case VECQ_FILL_CONSTANT:
        break;
    }
    fill_constant(dst, 0, fill->count, (float)fill->value);
    return VECQ_OK;
}
