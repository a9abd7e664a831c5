/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of an activation while a model runs over calibration data: counts of magnitudes, apart
 * for either sign. Of a size that does not depend on the data, and the same for any order in which values
 * come.
 */
#ifndef VECQ_QUANT_ACT_HISTOGRAM_H
#define VECQ_QUANT_ACT_HISTOGRAM_H

#include <stddef.h>

#include "kernels/quantize/quantize.h"

enum { VECQ_ACT_BINS = 8192 }; /* of each sign */

/*
 * Bin i of counts[s] holds magnitudes in [i, i + 1) * unit of values whose sign bit is s; `unit` is the power
 * of two with which the largest magnitude so far lies in the upper half of the bins. Zeros are counted apart:
 * a ReLU makes many, and they have no error. All doubles, so that a tensor of doubles can hold one; counts
 * are exact up to 2^53. All 0: empty.
 */
typedef struct vecq_act_histogram {
    double n;        /* finite values, zeros too */
    double zeros;    /* of either sign */
    double n_bad;    /* NaN and infinity, not in n */
    double min, max; /* of finite values and 0 */
    double unit;     /* 0: nothing but zeros came */
    double counts[2][VECQ_ACT_BINS];
} vecq_act_histogram;

#define VECQ_ACT_HISTOGRAM_DOUBLES (sizeof(vecq_act_histogram) / sizeof(double))

void vecq_act_histogram_add(vecq_act_histogram *h, const float *x, size_t n);

/* Sums over the middles of bins; min and max are exact. finite 0 when there was NaN or infinity. */
void vecq_act_histogram_moments(const vecq_act_histogram *h, vecq_moments *out);

/* Mean squared error of scale * clip(rne(x / scale), low, high), values lying evenly in their bins. */
double vecq_act_histogram_error(const vecq_act_histogram *h, double scale, double low, double high);

/* The scale with the least such error, to about 1 %: the whole range is the upper end of the search, 1/256 of
 * it the lower. 0 when nothing but zeros came. */
double vecq_act_histogram_best(const vecq_act_histogram *h, double low, double high);

#endif
