/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vector loss. 1 - cos computed as such has no digit left below 1e-16; with unit vectors a, b it is
 * |a - b|^2 / 2, which keeps its relative accuracy however small the angle. Hence two passes: lengths, then
 * the distance of the directions. Sums are taken in the blocks and lanes of kernels/quantize/quantize.h.
 */
#include "vecq/quant.h"

#include <math.h>

#include "kernels/quantize/quantize.h"

#define LOSS_PI 3.14159265358979323846

typedef struct loss_sums {
    double ww, qq, dd;
} loss_sums;

static double loss_tree(double lane[VECQ_KERNEL_LANES])
{
    unsigned half, j;

    for (half = VECQ_KERNEL_LANES / 2; half > 0; half /= 2)
        for (j = 0; j < half; j++)
            lane[j] += lane[j + half];
    return lane[0];
}

/* Sums of (w a)^2, (q b)^2 and (w a - q b)^2 of one block. */
static void loss_block(const float *w, const float *q, size_t n, double a, double b, loss_sums *sums)
{
    double ww[VECQ_KERNEL_LANES] = {0}, qq[VECQ_KERNEL_LANES] = {0}, dd[VECQ_KERNEL_LANES] = {0};
    size_t i, j, lanes;

    for (i = 0; i < n; i += lanes) {
        lanes = n - i < VECQ_KERNEL_LANES ? n - i : VECQ_KERNEL_LANES;
        for (j = 0; j < lanes; j++) {
            double x = (double)w[i + j] * a, y = (double)q[i + j] * b, d = x - y;

            ww[j] += x * x;
            qq[j] += y * y;
            dd[j] += d * d;
        }
    }
    sums->ww += loss_tree(ww);
    sums->qq += loss_tree(qq);
    sums->dd += loss_tree(dd);
}

static loss_sums loss_pass(const float *w, const float *q, size_t n, double a, double b)
{
    loss_sums sums = {0.0, 0.0, 0.0};
    size_t i, count;

    for (i = 0; i < n; i += count) {
        count = n - i < VECQ_KERNEL_BLOCK ? n - i : VECQ_KERNEL_BLOCK;
        loss_block(w + i, q + i, count, a, b, &sums);
    }
    return sums;
}

vecq_status vecq_loss_measure(const float *w, const float *q, size_t n, vecq_loss *out)
{
    loss_sums plain, unit;

    if (out == NULL || (n > 0 && (w == NULL || q == NULL)))
        return VECQ_ERR_USAGE;
    plain = loss_pass(w, q, n, 1.0, 1.0);
    if (!isfinite(plain.ww) || !isfinite(plain.qq)) /* squares of finite floats cannot overflow a double */
        return VECQ_ERR_VALUE;
    out->modulus = plain.dd;
    out->sqnr_db = plain.dd == 0.0 ? (double)INFINITY : 10.0 * log10(plain.ww / plain.dd);
    if (plain.ww == 0.0 || plain.qq == 0.0) {
        out->orientation = plain.ww == plain.qq ? 0.0 : 1.0;
    } else {
        unit = loss_pass(w, q, n, 1.0 / sqrt(plain.ww), 1.0 / sqrt(plain.qq));
        out->orientation = fmin(0.5 * unit.dd, 2.0);
    }
    out->angle = 2.0 * asin(sqrt(0.5 * out->orientation)) * (180.0 / LOSS_PI);
    return VECQ_OK;
}
