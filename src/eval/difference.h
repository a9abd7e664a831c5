/* SPDX-License-Identifier: Apache-2.0 */
/* How far two tensors of the same shape are apart: for models that are no classifiers. */
#ifndef VECQ_EVAL_DIFFERENCE_H
#define VECQ_EVAL_DIFFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/tensor.h"

typedef struct vecq_difference {
    uint64_t n;              /* pairs of finite values */
    uint64_t n_bad;          /* pairs with NaN or infinity in them */
    double sum_abs, max_abs; /* of differences */
    double sum_squares;      /* of differences */
    double second_squares;   /* of the second's values */
    double low, high;        /* of the second's values; unset while n is 0 */
} vecq_difference;

/* Adds n pairs of a float, integer or bool type. Returns 0 for another. */
int vecq_difference_add(vecq_difference *d, vecq_dtype dtype, const void *first, const void *second,
                        size_t n);

/* NaN of nothing. */
double vecq_difference_mse(const vecq_difference *d);
/* 10 log10(energy of the second / energy of the differences): infinite when there are none. */
double vecq_difference_sqnr(const vecq_difference *d);
/* 10 log10((high - low)^2 / mean squared difference), with the range of the second. */
double vecq_difference_psnr(const vecq_difference *d);

#endif
