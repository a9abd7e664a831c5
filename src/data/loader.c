/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches lie in a ring of prefetch + 1 slots; step s has slot s mod (prefetch + 1). Asking for step s
 * assigns s .. s + prefetch to their slots and queues those that are new: the slot of s - 1, which the caller
 * has just given back, is the one that s + prefetch gets. Which samples a batch has is decided here, in
 * order, by the thread of the caller; a background thread only reads the data set and writes its slot.
 */
#include "data/loader.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/threads.h"
#include "base/worker.h"
#include "data/dataset_private.h"

#define LOADER_GRAIN 8 /* samples that a thread takes at a time */

typedef struct loader_slot {
    const vecq_loader *loader;
    uint64_t step;
    int assigned; /* `step` means something */
    size_t n;
    uint32_t *samples; /* [batch] */
    int32_t *labels;   /* [batch] */
    float *images;
    int64_t *tokens;
    vecq_job job;
} loader_slot;

struct vecq_loader {
    const vecq_dataset *dataset;
    vecq_loader_options options;
    size_t batches; /* in an epoch */
    unsigned threads;
    vecq_augment_shape shape;
    float *levels;     /* [channels][256]: normalised value of a byte */
    size_t row;        /* elements of a sample */
    uint8_t **scratch; /* a distorted and a decoded sample for each thread or slot */
    size_t n_scratch;
    uint32_t *order;      /* permutation of `order_epoch` */
    uint64_t order_epoch; /* UINT64_MAX: none yet */
    vecq_worker *worker;  /* NULL without prefetch */
    loader_slot *slots;   /* [prefetch + 1] */
    size_t n_slots;
};

void vecq_loader_defaults(vecq_loader_options *options)
{
    size_t c;

    memset(options, 0, sizeof *options);
    options->batch = 128;
    options->seed = 1;
    options->layout = VECQ_LAYOUT_NCHW;
    options->scale = 1.0 / 255.0;
    for (c = 0; c < VECQ_DATA_CHANNELS_MAX; c++)
        options->std[c] = 1;
    options->prefetch = 2;
    options->threads = 1;
}

/* ---- preparing ---- */

static vecq_status loader_image(const vecq_loader *loader, loader_slot *slot, size_t i, uint8_t *scratch,
                                vecq_error *err)
{
    const vecq_dataset *dataset = loader->dataset;
    const vecq_loader_options *o = &loader->options;
    size_t bytes = vecq_dataset_sample_bytes(dataset);
    const uint8_t *planes = scratch + bytes;
    vecq_augment_draw draw;

    if (dataset->pixels != NULL)
        planes = dataset->pixels + slot->samples[i] * bytes;
    else
        VECQ_TRY(dataset->read(dataset, slot->samples[i], scratch + bytes, err));
    if (o->augment)
        vecq_augment_make(&o->augmentation, &loader->shape, o->seed, slot->step / loader->batches,
                          slot->samples[i], &draw);
    else
        vecq_augment_none(&o->augmentation, &loader->shape, &draw);
    vecq_augment_apply(&loader->shape, &draw, o->augmentation.pad, o->augmentation.pad_value, loader->levels,
                       o->layout == VECQ_LAYOUT_NHWC, planes, scratch, slot->images + i * loader->row);
    return VECQ_OK;
}

static void loader_text(const vecq_loader *loader, loader_slot *slot, size_t i)
{
    const vecq_dataset *dataset = loader->dataset;
    size_t length = loader->row, from = slot->samples[i] * length, k;
    int64_t *out = slot->tokens + i * length;

    if (dataset->tokens16 != NULL)
        for (k = 0; k < length; k++)
            out[k] = dataset->tokens16[from + k];
    else
        for (k = 0; k < length; k++)
            out[k] = dataset->tokens32[from + k];
}

static vecq_status loader_rows(const vecq_loader *loader, loader_slot *slot, size_t begin, size_t end,
                               uint8_t *scratch, vecq_error *err)
{
    size_t i;

    for (i = begin; i < end; i++) {
        slot->labels[i] = loader->dataset->labels[slot->samples[i]];
        if (slot->tokens != NULL)
            loader_text(loader, slot, i);
        else
            VECQ_TRY(loader_image(loader, slot, i, scratch, err));
    }
    return VECQ_OK;
}

/* Rows that a short batch leaves over. */
static void loader_clear_rest(const vecq_loader *loader, loader_slot *slot)
{
    size_t rest = loader->options.batch - slot->n;

    memset(slot->labels + slot->n, 0, rest * sizeof *slot->labels);
    if (slot->tokens != NULL)
        memset(slot->tokens + slot->n * loader->row, 0, rest * loader->row * sizeof *slot->tokens);
    else
        memset(slot->images + slot->n * loader->row, 0, rest * loader->row * sizeof *slot->images);
}

/* In the background: the whole batch on one thread, with the scratch of the slot. */
static vecq_status loader_job(void *context, vecq_error *err)
{
    loader_slot *slot = context;
    const vecq_loader *loader = slot->loader;

    loader_clear_rest(loader, slot);
    return loader_rows(loader, slot, 0, slot->n, loader->scratch[slot - loader->slots], err);
}

/* When it is asked for: rows by threads, each with its own scratch. */
static vecq_status loader_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    loader_slot *slot = context;

    return loader_rows(slot->loader, slot, begin, end, slot->loader->scratch[thread], err);
}

/* ---- which samples ---- */

static size_t loader_n(const vecq_dataset *dataset, const vecq_loader_options *o)
{
    return o->limit > 0 && o->limit < dataset->info.n ? o->limit : dataset->info.n;
}

static void loader_permute(vecq_loader *loader, uint64_t epoch)
{
    uint64_t key[2] = {loader->options.seed, epoch};
    size_t n = loader_n(loader->dataset, &loader->options), i;
    vecq_rng rng;

    if (loader->order_epoch == epoch)
        return;
    vecq_rng_seed(&rng, vecq_hash(1, key, sizeof key)); /* apart from the hash of augmentations */
    for (i = 0; i < n; i++) {                           /* Fisher-Yates, inside out */
        size_t j = (size_t)vecq_rng_below(&rng, i + 1);

        loader->order[i] = loader->order[j];
        loader->order[j] = (uint32_t)i;
    }
    loader->order_epoch = epoch;
}

static void loader_assign(vecq_loader *loader, loader_slot *slot, uint64_t step)
{
    size_t n = loader_n(loader->dataset, &loader->options), batch = loader->options.batch, i;
    size_t first = (size_t)(step % loader->batches) * batch;

    slot->step = step;
    slot->assigned = 1;
    slot->n = n - first < batch ? n - first : batch;
    if (loader->options.shuffle) {
        loader_permute(loader, step / loader->batches);
        memcpy(slot->samples, loader->order + first, slot->n * sizeof *slot->samples);
    } else {
        for (i = 0; i < slot->n; i++)
            slot->samples[i] = (uint32_t)(first + i);
    }
}

/* ---- life ---- */

static vecq_status loader_check(const vecq_dataset *dataset, const vecq_loader_options *o, vecq_error *err)
{
    const vecq_dataset_info *info = &dataset->info;
    size_t c;

    if (o->batch == 0)
        return vecq_error_set(err, VECQ_ERR_USAGE, "%s: batches of no samples", info->spec);
    if (o->drop_last && o->batch > loader_n(dataset, o))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "%s: a batch of %zu is more than the %zu samples there are; take a smaller one",
                              info->spec, o->batch, loader_n(dataset, o));
    if (o->prefetch > VECQ_LOADER_PREFETCH_MAX)
        return vecq_error_set(err, VECQ_ERR_USAGE, "%s: %u batches ahead; at most %u are possible",
                              info->spec, o->prefetch, VECQ_LOADER_PREFETCH_MAX);
    if ((unsigned)o->layout > VECQ_LAYOUT_NHWC)
        return vecq_error_set(err, VECQ_ERR_USAGE, "%s: unknown layout of batches", info->spec);
    for (c = 0; c < info->channels; c++)
        if (!(o->std[c] > 0) || !isfinite(o->std[c]) || !isfinite(o->mean[c]) || !isfinite(o->scale))
            return vecq_error_set(
                err, VECQ_ERR_USAGE,
                "%s: cannot normalise channel %zu by scale %g, mean %g, std %g (std must be above 0)",
                info->spec, c, o->scale, o->mean[c], o->std[c]);
    if (!o->augment)
        return VECQ_OK;
    if (info->kind != VECQ_DATASET_IMAGES)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "%s: augmentation is for images; these are texts",
                              info->spec);
    return vecq_augment_check(&o->augmentation, err);
}

static vecq_status loader_levels(vecq_loader *loader, vecq_error *err)
{
    const vecq_loader_options *o = &loader->options;
    size_t channels = loader->dataset->info.channels, c, value;

    loader->levels = vecq_alloc(channels * 256, sizeof *loader->levels);
    if (loader->levels == NULL)
        return vecq_error_memory(err, channels * 256 * sizeof *loader->levels);
    for (c = 0; c < channels; c++)
        for (value = 0; value < 256; value++)
            loader->levels[c * 256 + value] = (float)(((double)value * o->scale - o->mean[c]) / o->std[c]);
    return VECQ_OK;
}

static vecq_status loader_scratch(vecq_loader *loader, size_t n, vecq_error *err)
{
    size_t bytes = 2 * vecq_dataset_sample_bytes(loader->dataset);

    loader->scratch = vecq_calloc(n, sizeof *loader->scratch);
    if (loader->scratch == NULL)
        return vecq_error_memory(err, n * sizeof *loader->scratch);
    for (loader->n_scratch = 0; loader->n_scratch < n; loader->n_scratch++)
        if ((loader->scratch[loader->n_scratch] = vecq_alloc(bytes, 1)) == NULL)
            return vecq_error_memory(err, bytes);
    return VECQ_OK;
}

static vecq_status loader_slots(vecq_loader *loader, vecq_error *err)
{
    size_t batch = loader->options.batch, n, i;
    int texts = loader->dataset->info.kind == VECQ_DATASET_TEXT;

    if (!vecq_mul_size(batch, loader->row, &n))
        return vecq_error_memory(err, SIZE_MAX);
    loader->slots = vecq_calloc(loader->options.prefetch + 1, sizeof *loader->slots);
    if (loader->slots == NULL)
        return vecq_error_memory(err, sizeof *loader->slots);
    loader->n_slots = loader->options.prefetch + 1;
    for (i = 0; i < loader->n_slots; i++) {
        loader_slot *slot = &loader->slots[i];

        slot->loader = loader;
        slot->job.run = loader_job;
        slot->job.context = slot;
        slot->samples = vecq_alloc(batch, sizeof *slot->samples);
        slot->labels = vecq_alloc(batch, sizeof *slot->labels);
        if (texts)
            slot->tokens = vecq_alloc(n, sizeof *slot->tokens);
        else
            slot->images = vecq_alloc(n, sizeof *slot->images);
        if (slot->samples == NULL || slot->labels == NULL || (slot->tokens == NULL && slot->images == NULL))
            return vecq_error_memory(err, n * (texts ? sizeof *slot->tokens : sizeof *slot->images));
    }
    return VECQ_OK;
}

static vecq_status loader_set_up(vecq_loader *loader, vecq_error *err)
{
    const vecq_dataset_info *info = &loader->dataset->info;
    const vecq_loader_options *o = &loader->options;
    unsigned threads = vecq_threads_resolve(o->threads);
    size_t rest = loader_n(loader->dataset, o) % o->batch;

    loader->threads = threads;
    loader->order_epoch = UINT64_MAX;
    loader->batches = loader_n(loader->dataset, o) / o->batch + (rest > 0 && !o->drop_last);
    if (info->kind == VECQ_DATASET_IMAGES) {
        loader->shape.channels = info->channels;
        loader->shape.in_height = loader->dataset->stored_height;
        loader->shape.in_width = loader->dataset->stored_width;
        loader->shape.out_height = info->height;
        loader->shape.out_width = info->width;
        loader->row = info->channels * info->height * info->width;
        VECQ_TRY(loader_levels(loader, err));
    } else {
        loader->row = info->length;
    }
    VECQ_TRY(loader_scratch(loader, o->prefetch > 0 ? o->prefetch + 1 : threads, err));
    VECQ_TRY(loader_slots(loader, err));
    if (o->shuffle) {
        loader->order = vecq_alloc(loader_n(loader->dataset, o), sizeof *loader->order);
        if (loader->order == NULL)
            return vecq_error_memory(err, loader_n(loader->dataset, o) * sizeof *loader->order);
    }
    if (o->prefetch > 0)
        return vecq_worker_start(threads < o->prefetch ? threads : o->prefetch, &loader->worker, err);
    return VECQ_OK;
}

vecq_status vecq_loader_create(const vecq_dataset *dataset, const vecq_loader_options *options,
                               vecq_loader **out, vecq_error *err)
{
    vecq_loader_options defaults;
    vecq_loader *loader;
    vecq_status status;

    *out = NULL;
    vecq_loader_defaults(&defaults);
    if (options == NULL)
        options = &defaults;
    VECQ_TRY(loader_check(dataset, options, err));
    loader = vecq_calloc(1, sizeof *loader);
    if (loader == NULL)
        return vecq_error_memory(err, sizeof *loader);
    loader->dataset = dataset;
    loader->options = *options;
    if (!options->augment)
        memset(&loader->options.augmentation, 0, sizeof loader->options.augmentation);
    status = loader_set_up(loader, err);
    if (status != VECQ_OK) {
        vecq_loader_destroy(loader);
        return status;
    }
    *out = loader;
    return VECQ_OK;
}

void vecq_loader_destroy(vecq_loader *loader)
{
    size_t i;

    if (loader == NULL)
        return;
    vecq_worker_stop(loader->worker);
    for (i = 0; i < loader->n_slots; i++) {
        vecq_free(loader->slots[i].samples);
        vecq_free(loader->slots[i].labels);
        vecq_free(loader->slots[i].images);
        vecq_free(loader->slots[i].tokens);
    }
    for (i = 0; i < loader->n_scratch; i++)
        vecq_free(loader->scratch[i]);
    vecq_free(loader->slots);
    vecq_free(loader->scratch);
    vecq_free(loader->order);
    vecq_free(loader->levels);
    vecq_free(loader);
}

size_t vecq_loader_batches(const vecq_loader *loader)
{
    return loader->batches;
}

/* ---- handing out ---- */

/* Gives the slots of step .. step + prefetch their batches. */
static void loader_look_ahead(vecq_loader *loader, uint64_t step)
{
    size_t k;

    for (k = 0; k < loader->n_slots && step + k >= step; k++) {
        loader_slot *slot = &loader->slots[(step + k) % loader->n_slots];

        if (slot->assigned && slot->step == step + k)
            continue;
        vecq_worker_cancel(loader->worker, &slot->job);
        loader_assign(loader, slot, step + k);
        vecq_worker_submit(loader->worker, &slot->job);
    }
}

vecq_status vecq_loader_next(vecq_loader *loader, uint64_t step, vecq_batch *out, vecq_error *err)
{
    loader_slot *slot = &loader->slots[step % loader->n_slots];
    const vecq_dataset_info *info = &loader->dataset->info;
    vecq_status status = VECQ_OK;

    if (loader->worker != NULL) {
        loader_look_ahead(loader, step);
        if (vecq_worker_state(&slot->job) != VECQ_JOB_IDLE) /* idle: handed out before, and asked for again */
            status = vecq_worker_wait(loader->worker, &slot->job, err);
    } else {
        loader_assign(loader, slot, step);
        loader_clear_rest(loader, slot);
        status = vecq_parallel_for(slot->n, LOADER_GRAIN, loader->threads, loader_range, slot, err);
    }
    if (status != VECQ_OK) {
        slot->assigned = 0;
        return status;
    }
    memset(out, 0, sizeof *out);
    out->step = step;
    out->batch = loader->options.batch;
    out->n = slot->n;
    out->labels = slot->labels;
    out->samples = slot->samples;
    if (info->kind == VECQ_DATASET_IMAGES) {
        out->images = slot->images;
        out->channels = info->channels;
        out->height = info->height;
        out->width = info->width;
    } else {
        out->tokens = slot->tokens;
        out->length = info->length;
    }
    return VECQ_OK;
}
