/* SPDX-License-Identifier: Apache-2.0 */
/* The interface every scalar quantizer implements; rows in quantizers.def. */
#ifndef VECQ_QUANT_QUANTIZER_H
#define VECQ_QUANT_QUANTIZER_H

#include "kernels/quantize/quantize.h"
#include "vecq/quant.h"

typedef struct vecq_quantizer {
    vecq_method_info info;
    /* Fit the slice and, when codes is not NULL, encode it in the same pass over the data. out->method is set
     * by the caller. n > 0, bits within the method's range. */
    vecq_status (*fit)(const vecq_fit_options *options, const float *w, size_t n, void *codes,
                       vecq_slice *out, vecq_error *err);
    void (*encode)(const vecq_slice *slice, const float *w, size_t n, void *codes);
    void (*decode)(const vecq_slice *slice, const void *codes, size_t n, float *wq);
    /*
     * For methods on the half-odd grid that are moments, a step, one projection at that step and a scale, so
     * that callers can spread both passes over threads; NULL for others. set_step takes the moments of w and
     * sets sigma, step and lambda; a `lambda` > 0 is given and not looked for. set_scale takes the sums at
     * that step and sets the scale. out has method and bits.
     */
    vecq_status (*set_step)(const vecq_fit_options *options, double lambda, const float *w, size_t n,
                            const vecq_moments *moments, vecq_slice *out, vecq_error *err);
    vecq_status (*set_scale)(const vecq_moments *moments, const vecq_projection *sums, vecq_slice *out,
                             vecq_error *err);
} vecq_quantizer;

/* Implementation of a method; NULL if info is not one of ours. */
const vecq_quantizer *vecq_quantizer_of(const vecq_method_info *info);

#endif
