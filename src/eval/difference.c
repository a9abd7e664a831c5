/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/difference.h"

#include <math.h>

/* Non-zero: *out is element i. */
static int element(vecq_dtype dtype, const void *data, size_t i, double *out)
{
    switch (dtype) {
    case VECQ_DT_FLOAT:
        *out = (double)((const float *)data)[i];
        return 1;
    case VECQ_DT_DOUBLE:
        *out = ((const double *)data)[i];
        return 1;
    case VECQ_DT_INT64:
        *out = (double)((const int64_t *)data)[i];
        return 1;
    case VECQ_DT_INT32:
        *out = ((const int32_t *)data)[i];
        return 1;
    case VECQ_DT_INT8:
        *out = ((const int8_t *)data)[i];
        return 1;
    case VECQ_DT_UINT8:
    case VECQ_DT_BOOL:
        *out = ((const uint8_t *)data)[i];
        return 1;
    default:
        return 0;
    }
}

int vecq_difference_add(vecq_difference *d, vecq_dtype dtype, const void *first, const void *second, size_t n)
{
    double x = 0, y = 0, miss;
    size_t i;

    for (i = 0; i < n; i++) {
        if (!element(dtype, first, i, &x) || !element(dtype, second, i, &y))
            return 0;
        if (!isfinite(x) || !isfinite(y)) {
            d->n_bad++;
            continue;
        }
        miss = x - y;
        d->sum_abs += fabs(miss);
        d->max_abs = fmax(d->max_abs, fabs(miss));
        d->sum_squares += miss * miss;
        d->second_squares += y * y;
        d->low = d->n == 0 ? y : fmin(d->low, y);
        d->high = d->n == 0 ? y : fmax(d->high, y);
        d->n++;
    }
    return 1;
}

double vecq_difference_mse(const vecq_difference *d)
{
    return d->n > 0 ? d->sum_squares / (double)d->n : NAN;
}

double vecq_difference_sqnr(const vecq_difference *d)
{
    return d->n > 0 ? 10 * log10(d->second_squares / d->sum_squares) : NAN;
}

double vecq_difference_psnr(const vecq_difference *d)
{
    double range = d->high - d->low;

    return d->n > 0 ? 10 * log10(range * range / vecq_difference_mse(d)) : NAN;
}
