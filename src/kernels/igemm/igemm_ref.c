/* SPDX-License-Identifier: Apache-2.0 */
/* Plain C: defines the results. */
#include "kernels/igemm/igemm_plan.h"
#include "kernels/igemm/igemm_types.h"

#define IGEMM_UNPACK   vecq_unpack_kernels_ref
#define IGEMM_X_OFFSET 0
#define IGEMM_ROWS_MAX 4u

static size_t igemm_tile_rows(size_t n_vectors)
{
    (void)n_vectors;
    return IGEMM_ROWS_MAX;
}

static void igemm_tile_run(const igemm_tile *t, size_t rows, size_t n_vectors, unsigned bits)
{
    size_t channels = n_vectors * IGEMM_VECTOR, row, a, b, k, c, j;

    (void)bits;
    for (row = 0; row < rows; row++) {
        int32_t *acc = t->acc + row * IGEMM_CHANNELS;
        const int8_t *w = t->w;

        for (c = 0; c < channels; c++)
            acc[c] = t->init[row * t->init_step + c];
        for (a = 0; a < t->outer; a++)
            for (b = 0; b < t->inner; b++) {
                const uint8_t *x =
                    t->x + t->pixel[row] + (ptrdiff_t)a * t->outer_step + (ptrdiff_t)b * t->inner_step;

                for (k = 0; k < t->run; k += 4, w += 4 * channels)
                    for (c = 0; c < channels; c++)
                        for (j = 0; j < 4; j++)
                            acc[c] += (int)x[k + j] * w[4 * c + j];
            }
    }
}

static uint32_t igemm_sum_bytes(const uint8_t *x, size_t n)
{
    uint32_t sum = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static void igemm_depthwise_order(const int8_t *w, size_t n_vectors, size_t quads, int8_t *out)
{
    size_t i;

    for (i = 0; i < n_vectors * quads * 64; i++)
        out[i] = w[i];
}

static void igemm_depthwise_run(const igemm_depthwise *d, size_t rows, size_t n_vectors,
                                const vecq_igemm_weight *weight)
{
    size_t row, c, tap;

    (void)weight;
    for (row = 0; row < rows; row++)
        for (c = 0; c < n_vectors * IGEMM_VECTOR; c++) {
            const int8_t *w = d->w + c / IGEMM_VECTOR * d->quads * 64 + c % IGEMM_VECTOR * 4;
            const uint8_t *from = d->x + d->pixel[row] + c;
            int32_t *acc = d->acc + row * IGEMM_CHANNELS + c, *sum = d->sums + row * IGEMM_CHANNELS + c;

            *acc = d->init[c];
            *sum = 0;
            for (tap = 0; tap < d->n_taps; tap++) {
                *acc += (int)from[d->taps[tap]] * w[tap / 4 * 64 + tap % 4];
                *sum += from[d->taps[tap]];
            }
        }
}

#include "kernels/igemm/igemm_body.h"

IGEMM_TABLE(ref)
