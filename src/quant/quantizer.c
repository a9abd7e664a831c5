/* SPDX-License-Identifier: Apache-2.0 */
/* The registry, and the public functions: arguments are checked here, once for all methods. */
#include "quant/quantizer.h"

#include <math.h>
#include <string.h>

#include "base/status.h"
#include "kernels/quantize/quantize.h"

#define VECQ_QUANTIZER(name) extern const vecq_quantizer vecq_quantizer_##name;
#include "quant/quantizers.def"
#undef VECQ_QUANTIZER

static const vecq_quantizer *const quantizers[] = {
#define VECQ_QUANTIZER(name) &vecq_quantizer_##name,
#include "quant/quantizers.def"
#undef VECQ_QUANTIZER
};

#define N_QUANTIZERS (sizeof quantizers / sizeof *quantizers)

size_t vecq_method_count(void)
{
    return N_QUANTIZERS;
}

const vecq_method_info *vecq_method_at(size_t index)
{
    return index < N_QUANTIZERS ? &quantizers[index]->info : NULL;
}

const vecq_method_info *vecq_method_find(const char *name)
{
    size_t i;

    for (i = 0; name != NULL && i < N_QUANTIZERS; i++)
        if (strcmp(quantizers[i]->info.name, name) == 0)
            return &quantizers[i]->info;
    return NULL;
}

const vecq_quantizer *vecq_quantizer_of(const vecq_method_info *info)
{
    size_t i;

    for (i = 0; i < N_QUANTIZERS; i++)
        if (&quantizers[i]->info == info)
            return quantizers[i];
    return NULL;
}

void vecq_fit_options_default(vecq_fit_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
    options->method = &quantizers[0]->info;
    options->bits = 4;
    options->lambda = VECQ_LAMBDA_SEARCH;
    options->threads = 1;
}

static vecq_status quantizer_check_options(const vecq_fit_options *options, const vecq_quantizer **method,
                                           vecq_error *err)
{
    const vecq_method_info *info;

    if (options == NULL || options->size != sizeof *options)
        return vecq_error_set(err, VECQ_ERR_USAGE,
                              "fit options were not filled by vecq_fit_options_default() of this version");
    *method = vecq_quantizer_of(options->method);
    if (*method == NULL)
        return vecq_error_set(
            err, VECQ_ERR_USAGE,
            "fit options name no method of this library (take one from vecq_method_find())");
    info = &(*method)->info;
    if (options->bits < info->bits_min || options->bits > info->bits_max)
        return vecq_error_set(err, VECQ_ERR_USAGE, "%u bits are outside what method %s can do (%u to %u)",
                              options->bits, info->name, info->bits_min, info->bits_max);
    if ((unsigned)options->lambda > VECQ_LAMBDA_SEARCH)
        return vecq_error_set(err, VECQ_ERR_USAGE,
                              "lambda mode %d does not exist (table, template or search)",
                              (int)options->lambda);
    return VECQ_OK;
}

vecq_status vecq_quantize(const vecq_fit_options *options, const float *w, size_t n, void *codes,
                          vecq_slice *out, vecq_error *err)
{
    const vecq_quantizer *method = NULL;
    vecq_slice slice = {0};

    if (out == NULL || (w == NULL && n > 0))
        return vecq_error_set(err, VECQ_ERR_USAGE,
                              "vecq_quantize() needs weights and a place for the result");
    memset(out, 0, sizeof *out);
    VECQ_TRY(quantizer_check_options(options, &method, err));
    slice.method = options->method;
    slice.bits = options->bits;
    slice.step = 1.0;
    if (n > 0)
        VECQ_TRY(method->fit(options, w, n, codes, &slice, err));
    *out = slice;
    return VECQ_OK;
}

static const vecq_quantizer *quantizer_of_slice(const vecq_slice *slice)
{
    const vecq_quantizer *method = slice != NULL ? vecq_quantizer_of(slice->method) : NULL;

    if (method == NULL || slice->bits < method->info.bits_min || slice->bits > method->info.bits_max)
        return NULL;
    if (method->info.grid == VECQ_GRID_TABLE)
        return slice->table != NULL ? method : NULL;
    return slice->step > 0.0 && slice->scale >= 0.0f && isfinite(slice->scale) ? method : NULL;
}

/* Block by block, so that the look for values that cannot be encoded and the encoding share the first cache.
 */
vecq_status vecq_encode(const vecq_slice *slice, const float *w, size_t n, void *codes)
{
    const vecq_quantizer *method = quantizer_of_slice(slice);
    const vecq_quantize_kernels *kernels = vecq_quantize_kernels_active();
    size_t code_bytes, begin, count;
    vecq_moments moments;

    if (method == NULL || (n > 0 && (w == NULL || codes == NULL)))
        return VECQ_ERR_USAGE;
    code_bytes = slice->bits <= 8 ? 1 : 2;
    for (begin = 0; begin < n; begin += count) {
        count = n - begin < VECQ_KERNEL_BLOCK ? n - begin : VECQ_KERNEL_BLOCK;
        kernels->moments(w + begin, count, &moments);
        if (!moments.finite)
            return VECQ_ERR_VALUE;
        method->encode(slice, w + begin, count, (unsigned char *)codes + begin * code_bytes);
    }
    return VECQ_OK;
}

vecq_status vecq_decode(const vecq_slice *slice, const void *codes, size_t n, float *wq)
{
    const vecq_quantizer *method = quantizer_of_slice(slice);

    if (method == NULL || (n > 0 && (codes == NULL || wq == NULL)))
        return VECQ_ERR_USAGE;
    if (n > 0)
        method->decode(slice, codes, n, wq);
    return VECQ_OK;
}
