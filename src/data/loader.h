/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of a data set, shuffled, augmented, normalised, prepared ahead in the background.
 *
 * A batch is a function of the data, the options and its step: epoch = step / batches, number = step %
 * batches. Each epoch has its own permutation, drawn from seed and epoch, each sample its own augmentation,
 * drawn from seed, epoch and sample. So any step can be asked for at any time (training that is resumed goes
 * on where it was), and neither `threads` nor `prefetch` changes a byte.
 */
#ifndef VECQ_DATA_LOADER_H
#define VECQ_DATA_LOADER_H

#include <stddef.h>
#include <stdint.h>

#include "data/augment.h"
#include "data/dataset.h"

#define VECQ_LOADER_PREFETCH_MAX 64u

typedef enum vecq_batch_layout { VECQ_LAYOUT_NCHW = 0, VECQ_LAYOUT_NHWC } vecq_batch_layout;

typedef struct vecq_loader_options {
    size_t batch;  /* samples in a batch; default 128 */
    size_t limit;  /* use the first so many samples of the set only; default 0: all */
    int shuffle;   /* default 0: in the order of the set */
    uint64_t seed; /* of permutations and augmentation; default 1 */
    int drop_last; /* leave out the samples of an epoch that do not fill a batch (for training: which ones
                      changes from epoch to epoch); default 0: the last batch is short */
    vecq_batch_layout layout; /* of images; default NCHW */
    /* Images: (pixel * scale - mean[c]) / std[c], computed in double and rounded once. */
    double scale;                                                     /* default 1/255 */
    double mean[VECQ_DATA_CHANNELS_MAX], std[VECQ_DATA_CHANNELS_MAX]; /* default 0 and 1 */
    int augment; /* default 0: `augmentation` is not used */
    vecq_augment augmentation;
    unsigned prefetch; /* batches prepared ahead, by threads in the background; default 2; 0: each batch is
                          prepared when it is asked for */
    unsigned threads;  /* that prepare: default 1; 0: one for each processor. With prefetch 0 and threads 1 no
                          thread is started. */
} vecq_loader_options;

/* Belongs to the loader and is valid until its next call. Rows n .. batch - 1 are zero, labels too. */
typedef struct vecq_batch {
    uint64_t step;
    size_t batch, n;                /* rows; rows that hold samples, 1 .. batch */
    float *images;                  /* [batch][channels][height][width] or [batch][height][width][channels] */
    size_t channels, height, width; /* 0 for texts */
    int64_t *tokens;                /* [batch][length] */
    size_t length;                  /* 0 for images */
    int32_t *labels;                /* [batch] */
    const uint32_t *samples;        /* [n]: which samples of the data set */
} vecq_batch;

typedef struct vecq_loader vecq_loader;

void vecq_loader_defaults(vecq_loader_options *options);

/* The data set must outlive the loader. NULL options are the defaults. One thread may use a loader at a time,
 * several loaders may share a data set. */
vecq_status vecq_loader_create(const vecq_dataset *dataset, const vecq_loader_options *options,
                               vecq_loader **out, vecq_error *err);
void vecq_loader_destroy(vecq_loader *loader); /* NULL is fine */

/* Batches in an epoch, at least 1. */
size_t vecq_loader_batches(const vecq_loader *loader);

/*
 * The batch of a step. Asking for one step after the other meets batches that are prepared already; any other
 * step is a jump, which costs the preparation of one batch. The batch is not to be written to. An error (a
 * file of images that went away) is about this step only; the call can be repeated.
 */
vecq_status vecq_loader_next(vecq_loader *loader, uint64_t step, vecq_batch *out, vecq_error *err);

#endif
