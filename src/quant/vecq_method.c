/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VecQ (docs/methods/vecq.md): steer, then drive. One pass for the moments, one for the codes and the
 * projection.
 *
 *     s = lambda * sigma,   c = clip(floor(w * (1/s))),   v = c + 1/2,   alpha = <v,w> / <v,v>
 */
#include <math.h>

#include "base/status.h"
#include "kernels/quantize/quantize.h"
#include "quant/quantizer.h"
#include "quant/search.h"

extern const vecq_quantizer vecq_quantizer_vecq;

static vecq_status vecq_method_not_finite(const float *w, size_t n, vecq_error *err)
{
    size_t i = 0;

    while (i + 1 < n && isfinite(w[i]))
        i++;
    return vecq_error_set(err, VECQ_ERR_VALUE,
                          "weight at index %zu is %s: only finite weights can be quantized", i,
                          isnan(w[i])   ? "NaN"
                          : w[i] > 0.0f ? "infinite"
                                        : "minus infinite");
}

/* Population standard deviation. The difference cancels when the mean outweighs the spread by 10^7; what is
 * left then is noise or 0, and all codes lie at one end of the grid whatever it is (see vecq_method_step). */
static double vecq_method_sigma(const vecq_moments *m, size_t n)
{
    double mean = m->sum / (double)n, variance;

    if (m->min == m->max)
        return 0.0;
    variance = m->sum_squares / (double)n - mean * mean;
    return variance > 0.0 ? sqrt(variance) : 0.0;
}

static double vecq_method_lambda(const vecq_fit_options *options, vecq_error *err, vecq_status *status)
{
    vecq_template t;

    if (options->lambda == VECQ_LAMBDA_TABLE)
        return vecq_lambda_table(options->bits);
    *status = vecq_template_solve(options->bits, &t);
    if (*status != VECQ_OK)
        vecq_error_set(err, *status, "no Gaussian template for %u bits", options->bits);
    return t.lambda;
}

/* The decision step. A slice without spread takes twice its largest magnitude, which puts every weight at
 * +-1/2. */
static vecq_status vecq_method_step(const vecq_fit_options *options, double lambda, const float *w, size_t n,
                                    const vecq_moments *m, double sigma, double *step, vecq_error *err)
{
    double largest = fmax(fabs((double)m->min), fabs((double)m->max));
    vecq_search_result found;
    vecq_status status = VECQ_OK;

    if (largest == 0.0) {
        *step = 1.0;
    } else if (m->min == m->max) {
        *step = 2.0 * largest;
    } else if (lambda > 0.0 && sigma > 0.0) {
        *step = lambda * sigma;
    } else if (options->bits >= 2 && options->lambda == VECQ_LAMBDA_SEARCH) {
        VECQ_TRY(vecq_search_step(w, n, options->bits, options->threads, &found, err));
        *step = found.step;
    } else if (sigma == 0.0) {
        *step = 2.0 * largest;
    } else if (options->bits == 1) { /* any lambda gives the signs */
        *step = sigma;
    } else {
        *step = vecq_method_lambda(options, err, &status) * sigma;
    }
    return status;
}

/* v of one weight, as the kernels compute it. */
static double vecq_method_level(float w, double inv_step, unsigned bits)
{
    double half = ldexp(1.0, (int)bits - 1), c = floor((double)w * inv_step);

    return fmin(fmax(c, -half), half - 1.0) + 0.5;
}

/* The scale as a float. Neither it nor a level in use may leave the range of float: the decoded file would
 * hold infinities where the weights were finite. 0x1.ffffffp127 is the first double that rounds to infinity.
 */
static vecq_status vecq_method_scale(double alpha, double top, float *scale, vecq_error *err)
{
    if (!(alpha < 0x1.ffffffp127) || !isfinite((float)alpha * (float)top))
        return vecq_error_set(
            err, VECQ_ERR_VALUE,
            "weights too large: a scale of %g with levels up to %g leaves the range of float "
            "(scale the tensor down)",
            alpha, top);
    /* Half of the scale is a float too, also among the denormals: DequantizeLinear needs it, as 2c + 1 times
     * half the scale, and every format of a file shall decode to the same values. */
    *scale = (float)(0.5 * alpha) * 2.0f;
    return VECQ_OK;
}

static void vecq_method_steer(const float *w, size_t n, double step, unsigned bits, void *codes,
                              vecq_projection *sums)
{
    const vecq_quantize_kernels *kernels = vecq_quantize_kernels_active();

    if (codes == NULL)
        kernels->project(w, n, 1.0 / step, bits, sums);
    else if (bits <= 8)
        kernels->steer_u8(w, n, 1.0 / step, bits, codes, sums);
    else
        kernels->steer_u16(w, n, 1.0 / step, bits, codes, sums);
}

static vecq_status vecq_method_set_step(const vecq_fit_options *options, double lambda, const float *w,
                                        size_t n, const vecq_moments *m, vecq_slice *out, vecq_error *err)
{
    if (!m->finite)
        return vecq_method_not_finite(w, n, err);
    out->sigma = vecq_method_sigma(m, n);
    VECQ_TRY(vecq_method_step(options, lambda, w, n, m, out->sigma, &out->step, err));
    out->lambda = out->sigma > 0.0 ? out->step / out->sigma : 0.0;
    return VECQ_OK;
}

static vecq_status vecq_method_set_scale(const vecq_moments *m, const vecq_projection *sums, vecq_slice *out,
                                         vecq_error *err)
{
    /* A constant has alpha = 2|w|; said directly, no rounding of the sums comes between. */
    double alpha = m->min == m->max ? 2.0 * fabs((double)m->min) : sums->vw / sums->vv;
    double top = fmax(fabs(vecq_method_level(m->min, 1.0 / out->step, out->bits)),
                      fabs(vecq_method_level(m->max, 1.0 / out->step, out->bits)));

    return vecq_method_scale(alpha, top, &out->scale, err);
}

static vecq_status vecq_method_fit(const vecq_fit_options *options, const float *w, size_t n, void *codes,
                                   vecq_slice *out, vecq_error *err)
{
    vecq_projection sums;
    vecq_moments m;

    vecq_quantize_kernels_active()->moments(w, n, &m);
    VECQ_TRY(vecq_method_set_step(options, 0.0, w, n, &m, out, err));
    vecq_method_steer(w, n, out->step, options->bits, codes, &sums);
    return vecq_method_set_scale(&m, &sums, out, err);
}

static void vecq_method_encode(const vecq_slice *slice, const float *w, size_t n, void *codes)
{
    vecq_projection sums;

    vecq_method_steer(w, n, slice->step, slice->bits, codes, &sums);
}

static void vecq_method_decode(const vecq_slice *slice, const void *codes, size_t n, float *wq)
{
    const vecq_quantize_kernels *kernels = vecq_quantize_kernels_active();

    if (slice->bits <= 8)
        kernels->decode_u8(codes, n, slice->scale, slice->bits, wq);
    else
        kernels->decode_u16(codes, n, slice->scale, slice->bits, wq);
}

const vecq_quantizer vecq_quantizer_vecq = {
    {"vecq", "VecQ: vector loss, orientation then modulus",
     "Gong et al., VecQ: Minimal Loss DNN Model Compression with Vectorized Weight Quantization, IEEE Trans. "
     "Computers 2020",
     1, VECQ_BITS_MAX, VECQ_GRID_HALF_ODD, 1},
    vecq_method_fit,
    vecq_method_encode,
    vecq_method_decode,
    vecq_method_set_step,
    vecq_method_set_scale,
};
