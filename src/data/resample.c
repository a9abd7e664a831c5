/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resizing as Pillow does it (BILINEAR), byte for byte: output pixel x looks at the input around
 * c = (x + 1/2) * s, s = in / out, through a triangle of half width max(s, 1), so that shrinking averages
 * over all pixels that vanish. Weights are normalised, rounded to multiples of 2^-22, and applied to columns
 * first, then to rows, with rounding to bytes in between. Models that others trained expect these pixels:
 * without the widening of the triangle ImageNet nets lose about a point.
 */
#include "data/resample.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

#define RESAMPLE_BITS 22

size_t vecq_image_middle(size_t whole, size_t part)
{
    size_t d = whole - part;

    return d / 2 + (d % 2 != 0 && (d / 2) % 2 != 0);
}

/* Size of an image of height x width whose shorter side becomes `side`; the longer one is rounded down. */
static void resample_shorter(size_t height, size_t width, size_t side, size_t *out_height, size_t *out_width)
{
    *out_height = width <= height ? side * height / width : side;
    *out_width = width <= height ? side : side * width / height;
}

void vecq_image_fit_plan(vecq_image_fit *fit, const vecq_dataset_options *options, size_t channels,
                         size_t height, size_t width)
{
    size_t shorter;

    memset(fit, 0, sizeof *fit);
    fit->in_channels = channels;
    fit->in_height = height;
    fit->in_width = width;
    fit->out_channels = options->grayscale ? 1 : channels;
    fit->target_height = fit->out_height = fit->scaled_height =
        options->height > 0 ? options->height : height;
    fit->target_width = fit->out_width = fit->scaled_width = options->height > 0 ? options->width : width;
    if (options->height == 0)
        return;
    shorter = fit->target_height < fit->target_width ? fit->target_height : fit->target_width;
    if (options->random_crop && options->resize > shorter) {
        fit->out_height = fit->target_height * options->resize / shorter;
        fit->out_width = fit->target_width * options->resize / shorter;
    }
    if (options->resize > 0)
        resample_shorter(height, width, options->resize, &fit->scaled_height, &fit->scaled_width);
    if (options->resize == 0 || fit->scaled_height < fit->out_height || fit->scaled_width < fit->out_width) {
        /* just cover what is kept: the larger of the two scales, H / h or W / w */
        int by_height = fit->out_height * width >= fit->out_width * height;

        fit->scaled_height =
            by_height ? fit->out_height : (2 * height * fit->out_width + width) / (2 * width);
        fit->scaled_width =
            by_height ? (2 * width * fit->out_height + height) / (2 * height) : fit->out_width;
    }
    fit->top = vecq_image_middle(fit->scaled_height, fit->out_height);
    fit->left = vecq_image_middle(fit->scaled_width, fit->out_width);
}

/* Weights of one direction: output i is the sum of weight[i * reach + k] * in[first[i] + k], k < n[i]. */
typedef struct resample_taps {
    size_t reach;
    uint32_t *first, *n;
    int32_t *weight;
    double *exact; /* of one output */
} resample_taps;

static void resample_taps_free(resample_taps *taps)
{
    vecq_free(taps->first);
    vecq_free(taps->n);
    vecq_free(taps->weight);
    vecq_free(taps->exact);
}

/* For outputs begin .. begin + n - 1 of `scaled`, made from `in`. */
static vecq_status resample_taps_make(resample_taps *taps, size_t in, size_t scaled, size_t begin, size_t n,
                                      vecq_error *err)
{
    double step = (double)in / (double)scaled, half = step > 1 ? step : 1;
    size_t i, k, n_weights;

    memset(taps, 0, sizeof *taps);
    taps->reach = (size_t)ceil(half) * 2 + 1;
    if (!vecq_mul_size(n, taps->reach, &n_weights))
        return vecq_error_memory(err, SIZE_MAX);
    taps->first = vecq_alloc(n, sizeof *taps->first);
    taps->n = vecq_alloc(n, sizeof *taps->n);
    taps->weight = vecq_calloc(n_weights, sizeof *taps->weight);
    taps->exact = vecq_alloc(taps->reach, sizeof *taps->exact);
    if (taps->first == NULL || taps->n == NULL || taps->weight == NULL || taps->exact == NULL)
        return vecq_error_memory(err, n_weights * sizeof *taps->weight);
    for (i = 0; i < n; i++) {
        double centre = ((double)(begin + i) + 0.5) * step, sum = 0;
        double low = centre - half + 0.5, high = centre + half + 0.5;
        size_t first = low > 0 ? (size_t)low : 0, end = high < (double)in ? (size_t)high : in;

        taps->first[i] = (uint32_t)first;
        taps->n[i] = (uint32_t)(end - first);
        for (k = 0; k < end - first; k++) {
            double distance = fabs(((double)(first + k) - centre + 0.5) * (1 / half));

            taps->exact[k] = distance < 1 ? 1 - distance : 0;
            sum += taps->exact[k];
        }
        for (k = 0; k < end - first; k++)
            taps->weight[i * taps->reach + k] =
                (int32_t)(0.5 + taps->exact[k] / sum * (double)(1 << RESAMPLE_BITS));
    }
    return VECQ_OK;
}

static uint8_t resample_byte(int32_t sum)
{
    sum >>= RESAMPLE_BITS;
    return sum > 255 ? 255 : (uint8_t)sum;
}

static void resample_columns(const resample_taps *taps, const uint8_t *row, size_t n, uint8_t *out)
{
    size_t i, k;

    for (i = 0; i < n; i++) {
        const uint8_t *in = row + taps->first[i];
        const int32_t *weight = taps->weight + i * taps->reach;
        int32_t sum = 1 << (RESAMPLE_BITS - 1);

        for (k = 0; k < taps->n[i]; k++)
            sum += in[k] * weight[k];
        out[i] = resample_byte(sum);
    }
}

/* Output row i out of rows of `width` bytes, of which the first in memory is input row `row0`. */
static void resample_row(const resample_taps *taps, size_t i, const uint8_t *rows, size_t row0, size_t width,
                         int32_t *sums, uint8_t *out)
{
    size_t x, k;

    for (x = 0; x < width; x++)
        sums[x] = 1 << (RESAMPLE_BITS - 1);
    for (k = 0; k < taps->n[i]; k++) {
        const uint8_t *in = rows + (taps->first[i] + k - row0) * width;
        int32_t weight = taps->weight[i * taps->reach + k];

        for (x = 0; x < width; x++)
            sums[x] += in[x] * weight;
    }
    for (x = 0; x < width; x++)
        out[x] = resample_byte(sums[x]);
}

/* One channel: window of the resized plane. A direction that keeps its size is copied. */
typedef struct resample_work {
    resample_taps columns, rows;
    size_t row0, n_rows; /* input rows that the window needs */
    uint8_t *narrow;     /* [n_rows][out_width]: columns done */
    int32_t *sums;       /* [out_width] */
    uint8_t *grey;       /* [in_height][in_width] or NULL */
} resample_work;

static void resample_plane(const vecq_image_fit *fit, resample_work *work, const uint8_t *in, uint8_t *out)
{
    size_t y, width = fit->out_width;

    for (y = 0; y < work->n_rows; y++) {
        const uint8_t *row = in + (work->row0 + y) * fit->in_width;

        if (fit->scaled_width == fit->in_width)
            memcpy(work->narrow + y * width, row + fit->left, width);
        else
            resample_columns(&work->columns, row, width, work->narrow + y * width);
    }
    for (y = 0; y < fit->out_height; y++) {
        if (fit->scaled_height == fit->in_height)
            memcpy(out + y * width, work->narrow + y * width, width);
        else
            resample_row(&work->rows, y, work->narrow, work->row0, width, work->sums, out + y * width);
    }
}

static vecq_status resample_prepare(const vecq_image_fit *fit, resample_work *work, vecq_error *err)
{
    size_t last = fit->out_height - 1;

    work->row0 = fit->top;
    work->n_rows = fit->out_height;
    VECQ_TRY(
        resample_taps_make(&work->columns, fit->in_width, fit->scaled_width, fit->left, fit->out_width, err));
    if (fit->scaled_height != fit->in_height) {
        VECQ_TRY(resample_taps_make(&work->rows, fit->in_height, fit->scaled_height, fit->top,
                                    fit->out_height, err));
        work->row0 = work->rows.first[0];
        work->n_rows = work->rows.first[last] + work->rows.n[last] - work->row0;
    }
    work->narrow = vecq_alloc(work->n_rows, fit->out_width);
    work->sums = vecq_alloc(fit->out_width, sizeof *work->sums);
    if (work->narrow == NULL || work->sums == NULL)
        return vecq_error_memory(err, work->n_rows * fit->out_width);
    return VECQ_OK;
}

/* ITU-R 601 luma in 16 bits, as Pillow's convert("L"). */
static void resample_grey(const uint8_t *in, size_t plane, uint8_t *out)
{
    size_t i;

    for (i = 0; i < plane; i++)
        out[i] =
            (uint8_t)((in[i] * 19595u + in[plane + i] * 38470u + in[2 * plane + i] * 7471u + 0x8000u) >> 16);
}

vecq_status vecq_image_fit_planes(const vecq_image_fit *fit, const uint8_t *in, uint8_t *out, vecq_error *err)
{
    size_t plane = fit->in_height * fit->in_width, out_plane = fit->out_height * fit->out_width, c;
    int same = fit->scaled_height == fit->in_height && fit->scaled_width == fit->in_width &&
               fit->out_height == fit->in_height && fit->out_width == fit->in_width;
    int to_grey = fit->out_channels == 1 && fit->in_channels == 3;
    resample_work work = {{0}, {0}, 0, 0, NULL, NULL, NULL};
    vecq_status status = VECQ_OK;

    if (same && to_grey) {
        resample_grey(in, plane, out);
        return VECQ_OK;
    }
    if (same) {
        memcpy(out, in, fit->out_channels * plane);
        return VECQ_OK;
    }
    if (to_grey) {
        work.grey = vecq_alloc(plane, 1);
        if (work.grey == NULL)
            return vecq_error_memory(err, plane);
        resample_grey(in, plane, work.grey);
        in = work.grey;
    }
    status = resample_prepare(fit, &work, err);
    for (c = 0; c < fit->out_channels && status == VECQ_OK; c++)
        resample_plane(fit, &work, in + c * plane, out + c * out_plane);
    resample_taps_free(&work.columns);
    resample_taps_free(&work.rows);
    vecq_free(work.narrow);
    vecq_free(work.sums);
    vecq_free(work.grey);
    return status;
}
