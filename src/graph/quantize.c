/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/quantize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/status.h"
#include "base/threads.h"
#include "quant/loss.h"

#define FINITE_BLOCK 1024u

/* What is kept of each slice until the tensor is done. */
typedef struct slice_result {
    float scale;
    double lambda;
    double orientation, angle, modulus, energy; /* of this slice; energy = |w|^2 */
    size_t n;
} slice_result;

typedef struct tensor_job {
    const vecq_plan_item *item;
    const vecq_quantize_options *options;
    float *matrix;        /* float weights in matrix order; replaced by the quantized ones slice by slice */
    unsigned char *codes; /* count codes in matrix order */
    size_t code_bytes;
    slice_result *slices;
    float **scratch; /* one slice for each thread */
    size_t longest;  /* weights of the longest slice */
} tensor_job;

/* Slice s covers [*begin, *begin + returned) of the matrix. */
static size_t slice_range(const vecq_plan_item *item, size_t s, size_t *begin)
{
    size_t per_row, at, left;

    if (item->group == 0) {
        size_t length = item->count / item->n_slices;
        *begin = s * length;
        return length;
    }
    per_row = item->n_slices / item->layout.rows;
    at = s % per_row * item->group;
    left = item->layout.cols - at;
    *begin = s / per_row * item->layout.cols + at;
    return left < item->group ? left : item->group;
}

static vecq_status quantize_slices(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    tensor_job *job = context;
    const vecq_plan_item *item = job->item;
    vecq_fit_options fit;
    size_t s;

    vecq_fit_options_default(&fit);
    fit.method = item->method;
    fit.bits = item->bits;
    fit.lambda = item->lambda;
    fit.threads = item->n_slices == 1 ? job->options->threads : 1;
    for (s = begin; s < end; s++) {
        slice_result *result = &job->slices[s];
        vecq_slice slice;
        vecq_loss loss;
        size_t at, n = slice_range(item, s, &at);
        float *w = job->matrix + at, *wq = job->scratch[thread];
        void *codes = job->codes + at * job->code_bytes;

        VECQ_TRY(vecq_quantize(&fit, w, n, codes, &slice, err));
        VECQ_TRY(vecq_decode(&slice, codes, n, wq));
        VECQ_TRY(vecq_loss_and_energy(w, wq, n, &loss, &result->energy));
        result->scale = slice.scale;
        result->lambda = slice.lambda;
        result->orientation = loss.orientation;
        result->angle = loss.angle;
        result->modulus = loss.modulus;
        result->n = n;
        memcpy(w, wq, n * sizeof *w);
    }
    return VECQ_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sums over slices in their order, so that the figures do not depend on threads. */
static vecq_status summarise(vecq_plan_item *item, const slice_result *slices, vecq_error *err)
{
    double *lambda = vecq_alloc(item->n_slices, sizeof *lambda), energy = 0, modulus = 0, j = 0, angle = 0;
    size_t s;

    if (lambda == NULL)
        return vecq_error_memory(err, item->n_slices * sizeof *lambda);
    item->scale_min = item->scale_max = slices[0].scale;
    for (s = 0; s < item->n_slices; s++) {
        lambda[s] = slices[s].lambda;
        energy += slices[s].energy;
        modulus += slices[s].modulus;
        j += slices[s].orientation * (double)slices[s].n;
        angle += slices[s].angle * (double)slices[s].n;
        item->scale_min = fminf(item->scale_min, slices[s].scale);
        item->scale_max = fmaxf(item->scale_max, slices[s].scale);
    }
    qsort(lambda, item->n_slices, sizeof *lambda, compare_doubles);
    item->lambda_median = lambda[item->n_slices / 2];
    vecq_free(lambda);
    item->loss.orientation = j / (double)item->count;
    item->loss.angle = angle / (double)item->count;
    item->loss.modulus = modulus;
    item->loss.sqnr_db = modulus > 0 ? 10 * log10(energy / modulus) : (double)INFINITY;
    return VECQ_OK;
}

/* ---- what goes into the file ---- */

static vecq_status spool_scales(vecq_plan_item *item, const slice_result *slices, float factor,
                                vecq_spool *spool, vecq_error *err)
{
    float chunk[256];
    uint64_t at;
    size_t s, n = 0;

    for (s = 0; s < item->n_slices; s++) {
        float scale = slices[s].scale * factor;

        if (scale / factor != slices[s].scale)
            return vecq_error_set(
                err, VECQ_ERR_UNSUPPORTED,
                "a scale (%g) is too small to be halved for DequantizeLinear: use format packed",
                (double)slices[s].scale);
        chunk[n++] = scale;
        if (n == sizeof chunk / sizeof *chunk || s + 1 == item->n_slices) {
            VECQ_TRY(vecq_spool_append(spool, chunk, n * sizeof *chunk, &at, err));
            if (s + 1 == n)
                item->scale_at = at;
            n = 0;
        }
    }
    return VECQ_OK;
}

static vecq_status spool_fields(vecq_plan_item *item, const uint8_t *codes, vecq_spool *spool,
                                vecq_error *err)
{
    unsigned f;

    for (f = 0; f < item->strips.n_fields; f++) {
        size_t n_bytes = item->strips.field[f].n_bytes;
        uint8_t *packed = vecq_alloc(n_bytes, 1);
        vecq_status status;

        if (packed == NULL)
            return vecq_error_memory(err, n_bytes);
        vecq_strips_pack(&item->strips, f, codes, packed);
        status = vecq_spool_append(spool, packed, n_bytes, &item->field_at[f], err);
        vecq_free(packed);
        VECQ_TRY(status);
    }
    return VECQ_OK;
}

/* Odd integers 2c + 1 with c = u - 2^(k-1), in the order of the file; sub-byte types low bits first. */
static vecq_status spool_integers(vecq_plan_item *item, uint8_t *codes, vecq_spool *spool, vecq_error *err)
{
    size_t i, n_bytes = vecq_dtype_bytes(item->qdq_dtype, item->count);
    unsigned bits = vecq_dtype_bits(item->qdq_dtype), per_byte = 8 / bits;
    int in_order = item->qdq == VECQ_QDQ_SCALAR || item->qdq == VECQ_QDQ_AXIS;
    uint8_t *ordered = codes, *out = vecq_calloc(n_bytes, 1);
    vecq_status status = out == NULL ? vecq_error_memory(err, n_bytes) : VECQ_OK;

    if (status == VECQ_OK && in_order && item->layout.is_transposed) {
        ordered = vecq_alloc(item->count, 1);
        if (ordered == NULL)
            status = vecq_error_memory(err, item->count);
        else
            vecq_layout_from_matrix(&item->layout, 1, codes, ordered);
    }
    for (i = 0; i < item->count && status == VECQ_OK; i++) {
        int value = 2 * ((int)ordered[i] - (1 << (item->bits - 1))) + 1;
        out[i / per_byte] |= (uint8_t)(((unsigned)value & ((1u << bits) - 1u)) << (i % per_byte * bits));
    }
    if (status == VECQ_OK)
        status = vecq_spool_append(spool, out, n_bytes, &item->data_at, err);
    item->n_data = n_bytes;
    if (ordered != codes)
        vecq_free(ordered);
    vecq_free(out);
    return status;
}

/* The quantized values as the runtime will see them: back in the tensor's order and dtype. */
static vecq_status finish_values(vecq_plan_item *item, float **matrix, int keep, vecq_spool *spool,
                                 vecq_error *err)
{
    size_t n_bytes = vecq_dtype_bytes(item->dtype, item->count);
    void *out;
    vecq_status status = VECQ_OK;

    if (item->layout.is_transposed) {
        float *ordered = vecq_alloc(item->count, sizeof *ordered);
        if (ordered == NULL)
            return vecq_error_memory(err, item->count * sizeof *ordered);
        vecq_layout_from_matrix(&item->layout, sizeof *ordered, *matrix, ordered);
        vecq_free(*matrix);
        *matrix = ordered;
    }
    out = *matrix;
    if (item->dtype != VECQ_DT_FLOAT) {
        out = vecq_alloc(n_bytes, 1);
        if (out == NULL)
            return vecq_error_memory(err, n_bytes);
        vecq_convert_from_f32(item->dtype, *matrix, out, item->count);
    }
    item->fingerprint = vecq_hash(0, out, n_bytes);
    if (keep) {
        item->n_data = n_bytes;
        status = vecq_spool_append(spool, out, n_bytes, &item->data_at, err);
    }
    if (out != *matrix)
        vecq_free(out);
    return status;
}

/* ---- one tensor ---- */

/* Whether a block holds NaN or infinity: all ones in the exponent. No early exit, so that it runs wide. */
static int block_is_finite(const float values[FINITE_BLOCK])
{
    uint32_t bits, found = 0;
    size_t i;

    for (i = 0; i < FINITE_BLOCK; i++) {
        memcpy(&bits, &values[i], sizeof bits);
        found |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return found == 0;
}

static vecq_status check_finite(const vecq_plan_item *item, const float *values, vecq_error *err)
{
    size_t i = 0;

    while (i + FINITE_BLOCK <= item->count && block_is_finite(values + i))
        i += FINITE_BLOCK;
    for (; i < item->count; i++)
        if (!isfinite(values[i]))
            return vecq_error_set(
                err, VECQ_ERR_VALUE,
                "value %zu of %zu is %s: mend the weights, or leave the tensor out with an exclude "
                "glob",
                i, item->count, isnan(values[i]) ? "NaN" : "infinite");
    return VECQ_OK;
}

static vecq_status load_matrix(const vecq_plan_item *item, float **out, vecq_error *err)
{
    float *values = vecq_alloc(item->count, sizeof *values), *matrix;
    vecq_status status = values == NULL ? vecq_error_memory(err, item->count * sizeof *values) : VECQ_OK;

    *out = NULL;
    if (status == VECQ_OK)
        status = vecq_plan_values(item, values, err);
    if (status == VECQ_OK)
        status = check_finite(item, values, err);
    if (status == VECQ_OK && item->layout.is_transposed) {
        matrix = vecq_alloc(item->count, sizeof *matrix);
        if (matrix == NULL) {
            status = vecq_error_memory(err, item->count * sizeof *matrix);
        } else {
            vecq_layout_to_matrix(&item->layout, sizeof *matrix, values, matrix);
            vecq_free(values);
            values = matrix;
        }
    }
    if (status != VECQ_OK)
        vecq_free(values);
    else
        *out = values;
    return status;
}

static vecq_status run_slices(tensor_job *job, vecq_error *err)
{
    const vecq_plan_item *item = job->item;
    unsigned threads = vecq_threads_resolve(job->options->threads), t;
    vecq_status status = VECQ_OK;

    job->scratch = vecq_calloc(threads, sizeof *job->scratch);
    if (job->scratch == NULL)
        return vecq_error_memory(err, threads * sizeof *job->scratch);
    if ((size_t)threads > item->n_slices)
        threads = (unsigned)item->n_slices;
    for (t = 0; t < threads && status == VECQ_OK; t++) {
        job->scratch[t] = vecq_alloc(job->longest, sizeof **job->scratch);
        if (job->scratch[t] == NULL)
            status = vecq_error_memory(err, job->longest * sizeof **job->scratch);
    }
    if (status == VECQ_OK)
        status = vecq_parallel_for(item->n_slices, 4096 / (job->longest + 1) + 1, threads, quantize_slices,
                                   job, err);
    for (t = 0; t < threads; t++)
        vecq_free(job->scratch[t]);
    vecq_free(job->scratch);
    return status;
}

static vecq_status quantize_item(vecq_plan *plan, vecq_plan_item *item, const vecq_quantize_options *options,
                                 vecq_spool *spool, vecq_error *err)
{
    tensor_job job = {.item = item, .options = options};
    vecq_status status = load_matrix(item, &job.matrix, err);

    job.code_bytes = item->bits <= VECQ_PACKED_BITS_MAX ? 1 : 2;
    job.longest = item->group > 0 ? item->group : item->count / item->n_slices;
    if (status == VECQ_OK) {
        job.codes = vecq_alloc(item->count, job.code_bytes);
        job.slices = vecq_alloc(item->n_slices, sizeof *job.slices);
        if (job.codes == NULL || job.slices == NULL)
            status = vecq_error_memory(err, item->count * job.code_bytes);
    }
    if (status == VECQ_OK)
        status = run_slices(&job, err);
    if (status == VECQ_OK)
        status = summarise(item, job.slices, err);
    if (status == VECQ_OK && plan->format == VECQ_FORMAT_PACKED)
        status = spool_scales(item, job.slices, 1.0f, spool, err);
    if (status == VECQ_OK && plan->format == VECQ_FORMAT_PACKED)
        status = spool_fields(item, job.codes, spool, err);
    if (status == VECQ_OK && plan->format == VECQ_FORMAT_QDQ)
        status = spool_scales(item, job.slices, 0.5f, spool, err);
    if (status == VECQ_OK && plan->format == VECQ_FORMAT_QDQ)
        status = spool_integers(item, job.codes, spool, err);
    vecq_free(job.codes);
    vecq_free(job.slices);
    if (status == VECQ_OK)
        status = finish_values(item, &job.matrix, plan->format == VECQ_FORMAT_FLOAT, spool, err);
    vecq_free(job.matrix);
    item->is_done = status == VECQ_OK;
    return status;
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

vecq_status vecq_quantize_plan(vecq_plan *plan, const vecq_quantize_options *options, vecq_spool *spool,
                               vecq_error *err)
{
    uint64_t total = 0, done = 0;
    size_t i;

    for (i = 0; i < plan->n; i++)
        if (plan->items[i].is_selected && plan->items[i].reason == NULL)
            total += plan->items[i].count;
    for (i = 0; i < plan->n; i++) {
        vecq_plan_item *item = &plan->items[i];
        double start = seconds_now();
        vecq_status status;

        if (!item->is_selected || item->reason != NULL)
            continue;
        if (options->progress != NULL &&
            options->progress(options->progress_context, "quantizing", "weights", done, total) != 0)
            return vecq_error_set(err, VECQ_ERR_CANCELLED, "interrupted");
        status = quantize_item(plan, item, options, spool, err);
        if (status != VECQ_OK) {
            vecq_error_prefix(err, "tensor '%s'", item->value->name);
            return status;
        }
        item->seconds = seconds_now() - start;
        done += item->count;
    }
    if (options->progress != NULL &&
        options->progress(options->progress_context, "quantizing", "weights", done, total) != 0)
        return vecq_error_set(err, VECQ_ERR_CANCELLED, "interrupted");
    return VECQ_OK;
}
