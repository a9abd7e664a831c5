/* SPDX-License-Identifier: Apache-2.0 */
#include "data/dataset.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/status.h"
#include "base/threads.h"
#include "data/dataset_private.h"
#include "data/resample.h"

#define VECQ_DATA_FORMAT(name) extern const vecq_data_format vecq_data_format_##name;
#include "data/formats.def"
#undef VECQ_DATA_FORMAT

static const vecq_data_format *const dataset_formats[] = {
#define VECQ_DATA_FORMAT(name) &vecq_data_format_##name,
#include "data/formats.def"
#undef VECQ_DATA_FORMAT
};

#define DATASET_FORMATS (sizeof dataset_formats / sizeof *dataset_formats)

void vecq_dataset_defaults(vecq_dataset_options *options)
{
    memset(options, 0, sizeof *options);
    options->split = VECQ_SPLIT_TRAIN;
    options->holdout_seed = 1;
    options->memory_limit = (size_t)2 << 30;
    options->tokens = VECQ_TOKENS_WORDS;
    options->vocabulary_size = 20000;
    options->pad_side = VECQ_SIDE_FRONT;
    options->truncate_side = VECQ_SIDE_FRONT;
    options->lowercase = 1;
    options->filter = VECQ_FILTER_KERAS;
}

/* ---- spec ---- */

/* Edit distance of two short words, for suggestions. */
static size_t dataset_distance(const char *a, size_t n_a, const char *b)
{
    size_t row[32], i, j, n_b = strlen(b);

    if (n_a >= 32 || n_b >= 32)
        return 32;
    for (j = 0; j <= n_b; j++)
        row[j] = j;
    for (i = 1; i <= n_a; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (j = 1; j <= n_b; j++) {
            size_t above = row[j], best = corner + (a[i - 1] != b[j - 1]);

            best = above + 1 < best ? above + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            corner = above;
        }
    }
    return row[n_b];
}

static vecq_status dataset_unknown(const char *spec, size_t n_scheme, vecq_error *err)
{
    const char *best = NULL;
    char list[256] = "", hint[64] = "";
    size_t i, least = 3, used = 0;

    for (i = 0; i < DATASET_FORMATS; i++) {
        const vecq_data_format *format = dataset_formats[i];
        size_t d = dataset_distance(spec, n_scheme, format->name);

        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s:%s", i == 0 ? "" : ", ", format->name,
                                 format->place);
        if (d < least && d < n_scheme) {
            least = d;
            best = format->name;
        }
    }
    if (best != NULL)
        snprintf(hint, sizeof hint, " (did you mean %s:?)", best);
    if (spec[n_scheme] != ':')
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "data '%.200s': names no layout%s; write one of %s",
                              spec, hint, list);
    return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "data '%.200s': unknown layout '%.*s'%s; there are %s",
                          spec, (int)(n_scheme < 40 ? n_scheme : 40), spec, hint, list);
}

static const vecq_data_format *dataset_find(const char *spec, size_t n_scheme)
{
    size_t i;

    for (i = 0; i < DATASET_FORMATS; i++)
        if (strlen(dataset_formats[i]->name) == n_scheme &&
            memcmp(dataset_formats[i]->name, spec, n_scheme) == 0)
            return dataset_formats[i];
    return NULL;
}

/* ---- helpers of formats ---- */

vecq_status vecq_data_bytes(const char *name, const char *what, size_t n, size_t size, size_t *out,
                            vecq_error *err)
{
    if (!vecq_mul_size(n, size, out) || *out > VECQ_DATA_BYTES_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: %zu x %zu bytes of %s are over the limit of %u GiB",
                              name, n, size, what, (unsigned)(VECQ_DATA_BYTES_MAX >> 30));
    return VECQ_OK;
}

int vecq_data_in_training(const vecq_dataset *dataset)
{
    const vecq_dataset_options *o = &dataset->options;

    return o->split == VECQ_SPLIT_TRAIN || (o->split == VECQ_SPLIT_VALIDATION && o->holdout > 0);
}

vecq_data_portion vecq_data_portion_of(const vecq_dataset *dataset)
{
    if (!vecq_data_in_training(dataset))
        return VECQ_DATA_ALL;
    return dataset->options.split == VECQ_SPLIT_VALIDATION ? VECQ_DATA_HELD : VECQ_DATA_KEPT;
}

vecq_status vecq_data_select(const vecq_dataset *dataset, const char *name, size_t n,
                             vecq_data_portion portion, uint32_t **out, size_t *n_out, vecq_error *err)
{
    const vecq_dataset_options *o = &dataset->options;
    size_t held = portion != VECQ_DATA_ALL ? o->holdout : 0, kept = 0, i;
    uint32_t *order;
    uint8_t *is_held;
    vecq_rng rng;

    *out = NULL;
    if (n > UINT32_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: %zu samples are over the limit of %u", name, n,
                              UINT32_MAX);
    if (n == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: holds no samples", name);
    if (held >= n)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "%s: cannot hold back %zu of %zu training samples; ask for fewer", name, held,
                              n);
    order = vecq_alloc(n, sizeof *order);
    is_held = vecq_calloc(n, 1);
    if (order == NULL || is_held == NULL) {
        vecq_free(order);
        vecq_free(is_held);
        return vecq_error_memory(err, n * sizeof *order);
    }
    for (i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    vecq_rng_seed(&rng, o->holdout_seed);
    for (i = 0; i < held; i++) { /* the first `held` of a random permutation */
        size_t j = i + (size_t)vecq_rng_below(&rng, n - i);
        uint32_t swap = order[i];

        order[i] = order[j];
        order[j] = swap;
        is_held[order[i]] = 1;
    }
    for (i = 0; i < n; i++)
        if (is_held[i] == (portion == VECQ_DATA_HELD))
            order[kept++] = (uint32_t)i;
    vecq_free(is_held);
    *out = order;
    *n_out = kept;
    return VECQ_OK;
}

void vecq_data_pixels_plan(vecq_dataset *dataset, size_t channels, size_t height, size_t width)
{
    vecq_image_fit *fit = &dataset->fit;

    vecq_image_fit_plan(fit, &dataset->options, channels, height, width);
    dataset->info.channels = fit->out_channels;
    dataset->info.height = fit->target_height;
    dataset->info.width = fit->target_width;
    dataset->stored_height = fit->out_height;
    dataset->stored_width = fit->out_width;
}

vecq_status vecq_data_pixels_begin(vecq_dataset *dataset, size_t channels, size_t height, size_t width,
                                   vecq_error *err)
{
    size_t bytes;

    vecq_data_pixels_plan(dataset, channels, height, width);
    VECQ_TRY(vecq_data_bytes(dataset->info.spec, "pixels", dataset->info.n,
                             vecq_dataset_sample_bytes(dataset), &bytes, err));
    dataset->pixels = vecq_alloc(bytes, 1);
    return dataset->pixels != NULL ? VECQ_OK : vecq_error_memory(err, bytes);
}

typedef struct dataset_put {
    const vecq_dataset *dataset;
    size_t at, stride, base;
    const uint8_t *source;
    const uint32_t *index;
} dataset_put;

static vecq_status dataset_put_range(void *context, size_t begin, size_t end, unsigned thread,
                                     vecq_error *err)
{
    const dataset_put *put = context;
    const vecq_dataset *dataset = put->dataset;
    size_t i, bytes = vecq_dataset_sample_bytes(dataset);

    (void)thread;
    for (i = begin; i < end; i++)
        VECQ_TRY(vecq_image_fit_planes(&dataset->fit, put->source + (put->index[i] - put->base) * put->stride,
                                       dataset->pixels + (put->at + i) * bytes, err));
    return VECQ_OK;
}

vecq_status vecq_data_pixels_put(vecq_dataset *dataset, size_t at, size_t n, const uint8_t *source,
                                 size_t stride, const uint32_t *index, size_t base, vecq_error *err)
{
    dataset_put put = {dataset, at, stride, base, source, index};

    return vecq_parallel_for(n, 256, dataset->options.threads, dataset_put_range, &put, err);
}

/* ---- statistics ---- */

typedef struct dataset_sums {
    const vecq_dataset *dataset;
    uint64_t sum[VECQ_DATA_CHANNELS_MAX];
    uint64_t squares[VECQ_DATA_CHANNELS_MAX];
} dataset_sums;

/* Integer sums: the order of additions does not matter. 2^47 pixels of 255^2 fit. */
static vecq_status dataset_sum_range(void *context, size_t begin, size_t end, unsigned thread,
                                     vecq_error *err)
{
    dataset_sums *sums = context;
    const vecq_dataset *dataset = sums->dataset;
    size_t plane = dataset->stored_height * dataset->stored_width, bytes = vecq_dataset_sample_bytes(dataset);
    size_t i, c, p;
    uint8_t *decoded = NULL;
    vecq_status status = VECQ_OK;

    (void)thread;
    if (dataset->pixels == NULL && (decoded = vecq_alloc(bytes, 1)) == NULL)
        return vecq_error_memory(err, bytes);
    for (i = begin; i < end && status == VECQ_OK; i++) {
        const uint8_t *pixels = decoded;

        if (decoded != NULL)
            status = dataset->read(dataset, i, decoded, err);
        else
            pixels = dataset->pixels + i * bytes;
        for (c = 0; c < dataset->info.channels && status == VECQ_OK; c++) {
            uint64_t sum = 0, squares = 0;

            for (p = 0; p < plane; p++) {
                uint32_t x = pixels[c * plane + p];

                sum += x;
                squares += x * x;
            }
            __atomic_fetch_add(&sums->sum[c], sum, __ATOMIC_RELAXED);
            __atomic_fetch_add(&sums->squares[c], squares, __ATOMIC_RELAXED);
        }
    }
    vecq_free(decoded);
    return status;
}

static vecq_status dataset_statistics(vecq_dataset *dataset, vecq_error *err)
{
    vecq_dataset_info *info = &dataset->info;
    dataset_sums sums = {.dataset = dataset};
    double n = (double)info->n * (double)dataset->stored_height * (double)dataset->stored_width;
    size_t c;

    if (info->kind != VECQ_DATASET_IMAGES)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "%s: texts have no pixels to take mean and std of",
                              info->spec);
    if (info->split != VECQ_SPLIT_TRAIN)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "%s: mean and std are those of the training split; open it for them",
                              info->spec);
    VECQ_TRY(vecq_parallel_for(info->n, 64, dataset->options.threads, dataset_sum_range, &sums, err));
    for (c = 0; c < info->channels; c++) {
        double mean = (double)sums.sum[c] / n;
        double variance = (double)sums.squares[c] / n - mean * mean;

        info->mean[c] = mean / 255.0;
        info->std[c] = (variance > 0 ? sqrt(variance) : 0) / 255.0;
    }
    info->has_statistics = 1;
    return VECQ_OK;
}

/* ---- life ---- */

static vecq_status dataset_check_options(const char *spec, const vecq_dataset_options *o, vecq_error *err)
{
    if ((unsigned)o->split > VECQ_SPLIT_TEST || (unsigned)o->tokens > VECQ_TOKENS_CHARS ||
        (unsigned)o->pad_side > VECQ_SIDE_BACK || (unsigned)o->truncate_side > VECQ_SIDE_BACK ||
        (o->vocabulary == NULL && o->n_vocabulary > 0))
        return vecq_error_set(err, VECQ_ERR_USAGE, "data '%.200s': an option is out of its range", spec);
    if (o->split == VECQ_SPLIT_TEST && o->random_crop)
        return vecq_error_set(err, VECQ_ERR_USAGE,
                              "data '%.200s': random crops are for training, not for tests", spec);
    if ((o->height == 0) != (o->width == 0))
        return vecq_error_set(err, VECQ_ERR_USAGE,
                              "data '%.200s': height and width are given together or not", spec);
    if (o->height == 0 && (o->resize > 0 || o->random_crop))
        return vecq_error_set(err, VECQ_ERR_USAGE, "data '%.200s': resizing needs a target height and width",
                              spec);
    if (o->height > VECQ_DATA_SIDE_MAX || o->width > VECQ_DATA_SIDE_MAX || o->resize > VECQ_DATA_SIDE_MAX)
        return vecq_error_set(err, VECQ_ERR_USAGE, "data '%.200s': sides of images are limited to %u pixels",
                              spec, VECQ_DATA_SIDE_MAX);
    if (o->resize > 0 && o->resize < (o->height < o->width ? o->height : o->width))
        return vecq_error_set(
            err, VECQ_ERR_USAGE,
            "data '%.200s': resizing the shorter side to %zu is less than the target %zu x %zu", spec,
            o->resize, o->height, o->width);
    if (o->length > VECQ_DATA_LENGTH_MAX)
        return vecq_error_set(err, VECQ_ERR_USAGE, "data '%.200s': texts are limited to %u tokens", spec,
                              VECQ_DATA_LENGTH_MAX);
    return VECQ_OK;
}

static vecq_status dataset_find_place(const char *spec, const vecq_data_format **out, const char **out_place,
                                      vecq_error *err)
{
    const char *colon = strchr(spec, ':'), *place;
    size_t n_scheme = colon != NULL ? (size_t)(colon - spec) : strlen(spec);
    const vecq_data_format *format = dataset_find(spec, n_scheme);

    if (colon == NULL || format == NULL)
        return dataset_unknown(spec, n_scheme, err);
    place = colon + 1;
    if (*place == '\0') {
        if (format->default_dir == NULL)
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "data '%s': has no default place; write %s:%s",
                                  spec, format->name, format->place);
        place = format->default_dir;
    }
    *out = format;
    *out_place = place;
    return VECQ_OK;
}

static vecq_status dataset_read(vecq_dataset *dataset, const char *spec, const vecq_data_format *format,
                                const char *place, vecq_error *err)
{
    size_t i;

    VECQ_TRY(dataset_check_options(spec, &dataset->options, err));
    dataset->info.spec = vecq_arena_string(&dataset->arena, spec, strlen(spec));
    if (dataset->info.spec == NULL)
        return vecq_error_memory(err, strlen(spec));
    dataset->info.split = dataset->options.split;
    VECQ_TRY(format->open(dataset, place, err));
    if (dataset->info.n_classes > VECQ_DATA_CLASSES_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: %zu classes; %u are possible", spec,
                              dataset->info.n_classes, VECQ_DATA_CLASSES_MAX);
    for (i = 0; i < dataset->info.n; i++)
        if (dataset->labels[i] < 0 || (size_t)dataset->labels[i] >= dataset->info.n_classes)
            return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: sample %zu has label %d, there are %zu classes",
                                  spec, i, (int)dataset->labels[i], dataset->info.n_classes);
    return dataset->options.statistics ? dataset_statistics(dataset, err) : VECQ_OK;
}

static vecq_status dataset_make(const char *spec, const vecq_data_format *format, const char *place,
                                const vecq_dataset_options *options, vecq_dataset **out, vecq_error *err)
{
    vecq_dataset *dataset;
    vecq_status status;

    *out = NULL;
    dataset = vecq_calloc(1, sizeof *dataset);
    if (dataset == NULL)
        return vecq_error_memory(err, sizeof *dataset);
    if (options != NULL)
        dataset->options = *options;
    else
        vecq_dataset_defaults(&dataset->options);
    status = dataset_read(dataset, spec, format, place, err);
    dataset->options.vocabulary = NULL; /* borrowed until here */
    dataset->options.filter = NULL;
    if (status != VECQ_OK) {
        vecq_dataset_close(dataset);
        return status;
    }
    *out = dataset;
    return VECQ_OK;
}

vecq_status vecq_dataset_open(const char *spec, const vecq_dataset_options *options, vecq_dataset **out,
                              vecq_error *err)
{
    const vecq_data_format *format = NULL;
    const char *place = NULL;

    *out = NULL;
    VECQ_TRY(dataset_find_place(spec, &format, &place, err));
    return dataset_make(spec, format, place, options, out, err);
}

vecq_status vecq_dataset_of_image(const char *path, const vecq_dataset_options *options, vecq_dataset **out,
                                  vecq_error *err)
{
    return dataset_make(path, &vecq_data_format_one_image, path, options, out, err);
}

vecq_status vecq_dataset_of_text(const char *text, const vecq_dataset_options *options, vecq_dataset **out,
                                 vecq_error *err)
{
    return dataset_make("text", &vecq_data_format_one_text, text, options, out, err);
}

void vecq_dataset_close(vecq_dataset *dataset)
{
    if (dataset == NULL)
        return;
    vecq_free(dataset->labels);
    vecq_free(dataset->pixels);
    vecq_free(dataset->paths);
    vecq_free(dataset->tokens16);
    vecq_free(dataset->tokens32);
    vecq_arena_clear(&dataset->arena);
    vecq_free(dataset);
}

const vecq_dataset_info *vecq_dataset_describe(const vecq_dataset *dataset)
{
    return &dataset->info;
}

int32_t vecq_dataset_label(const vecq_dataset *dataset, size_t i)
{
    return dataset->labels[i];
}
