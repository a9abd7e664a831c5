/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data sets: labelled images or texts in memory, ready to be cut into batches (data/loader.h).
 *
 * A data set is named by a spec SCHEME:PLACE, both made of public layouts:
 *
 *   idx:DIR      MNIST, Fashion-MNIST: {train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or .gz
 *   cifar10:DIR  the binary version: data_batch_{1..5}.bin, test_batch.bin, batches.meta.txt
 *   images:DIR   a folder of JPEG and PNG files for each class, or labels.tsv ("file<TAB>class index...")
 * with the files in images/ beside it; below train/, val/ and test/ where these exist text:PLACE   lines
 * "label<TAB>text" in UTF-8: a file, or a folder with train.txt, dev.txt or val.txt, test.txt and, if the
 * classes have names, class.txt
 *
 * PLACE may be empty where a scheme has a default place (idx: Debian's package dataset-fashion-mnist).
 *
 * Splits. Training and test parts are those of the layout. `holdout` takes that many samples out of the
 * training part, drawn by `holdout_seed`, and these are the validation part; without it the validation part
 * is what the layout has (dev.txt, val/), if anything. A place that is not divided is its own training and
 * test part (info->undivided says so): whoever tests on it after training on it must say so.
 */
#ifndef VECQ_DATA_DATASET_H
#define VECQ_DATA_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/status.h"

#define VECQ_DATA_CHANNELS_MAX 4u
#define VECQ_DATA_SIDE_MAX     16384u               /* pixels of height or width, as stored */
#define VECQ_DATA_CLASSES_MAX  1000000u             /* labels lie below */
#define VECQ_DATA_NAMES_MAX    (1u << 24)           /* lines of a list of names or tokens */
#define VECQ_DATA_LENGTH_MAX   (1u << 20)           /* tokens of one text */
#define VECQ_DATA_BYTES_MAX    ((uint64_t)64 << 30) /* of all samples in memory */

typedef enum vecq_dataset_kind { VECQ_DATASET_IMAGES = 0, VECQ_DATASET_TEXT } vecq_dataset_kind;
typedef enum vecq_split { VECQ_SPLIT_TRAIN = 0, VECQ_SPLIT_VALIDATION, VECQ_SPLIT_TEST } vecq_split;
typedef enum vecq_tokens { VECQ_TOKENS_WORDS = 0, VECQ_TOKENS_CHARS } vecq_tokens;
typedef enum vecq_side { VECQ_SIDE_FRONT = 0, VECQ_SIDE_BACK } vecq_side;

/* Characters that Keras' tokenizer makes blanks before it splits words (tab and newline split anyway). */
#define VECQ_FILTER_KERAS "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~"

typedef struct vecq_dataset_options {
    vecq_split split;      /* default: training */
    size_t holdout;        /* training samples held back for validation; default 0 */
    uint64_t holdout_seed; /* default 1 */
    unsigned threads;      /* for decoding; 0: all processors (default) */
    int statistics;        /* non-zero: mean and std of the pixels, of the training split only; default 0 */

    /* Images. 0 x 0 (default): as they are; files of a folder must agree then. Otherwise the shorter side
     * is resized to `resize` pixels (0: so that the image just covers the target), antialiased bilinear as in
     * Pillow, and the middle is kept. */
    size_t height, width, resize;
    int random_crop;     /* keep what lies around the target (a frame of the proportions of the target whose
                            shorter side is `resize`), for the loader's random crop; default 0 */
    int grayscale;       /* one channel, ITU-R 601 luma; default 0 */
    size_t memory_limit; /* bytes; a folder of more than that is decoded batch by batch; default 2 GiB */

    /* Texts. */
    vecq_tokens tokens;      /* default: words, split at white space */
    size_t vocabulary_size;  /* most frequent tokens kept, <pad> and <unk> included; 0: all; default 20000 */
    size_t length;           /* tokens of a sample; 0 (default): of the longest text of this split */
    vecq_side pad_side;      /* where short texts are filled with <pad>; default front, as in Keras */
    vecq_side truncate_side; /* where long texts lose tokens; default front, as in Keras */
    int lowercase;           /* Latin, Greek, Cyrillic; default 1 */
    const char
        *filter;     /* ASCII characters that split words and vanish; default VECQ_FILTER_KERAS; NULL: none */
    int start_token; /* put <start> before each text; default 0 */
    /* A vocabulary to use in place of building one: entry i is the token of id i. Entries called <pad>,
     * <unk> (or <oov>), <start> in small or capital letters or in [] mean what they say; without <unk>
     * unknown tokens are left out, without <pad> id 0 fills. Copied. */
    const char *const *vocabulary;
    size_t n_vocabulary;
} vecq_dataset_options;

typedef struct vecq_dataset_info {
    vecq_dataset_kind kind;
    const char *spec;
    vecq_split split;
    int undivided; /* the place has no parts: this split is all of it (less the holdout) */
    size_t n;      /* samples, at least 1 */
    size_t n_classes;
    const char *const *class_names; /* [n_classes], entries may be "" ; NULL: the classes have no names */

    size_t channels, height, width; /* of a sample of images */
    int has_statistics;
    double mean[VECQ_DATA_CHANNELS_MAX], std[VECQ_DATA_CHANNELS_MAX]; /* of the pixels in 0..1, by channel */

    size_t length; /* tokens of a sample of texts */
    size_t n_vocabulary;
    const char *const *vocabulary; /* [n_vocabulary] UTF-8 without line breaks, in the order of ids */
    size_t pad_id;
} vecq_dataset_info;

typedef struct vecq_dataset vecq_dataset;

void vecq_dataset_defaults(vecq_dataset_options *options);

/*
 * Opens one split; NULL options are the defaults. The vocabulary, if none is given, is built from the
 * training part (less the holdout) whichever split is opened, class names come from there too. Messages name
 * the file and, where there is one, line or record.
 */
vecq_status vecq_dataset_open(const char *spec, const vecq_dataset_options *options, vecq_dataset **out,
                              vecq_error *err);
/* One sample without a label (it is 0 of one class): an image file, or a text (options->vocabulary is needed),
 * prepared as those of a set. */
vecq_status vecq_dataset_of_image(const char *path, const vecq_dataset_options *options, vecq_dataset **out,
                                  vecq_error *err);
vecq_status vecq_dataset_of_text(const char *text, const vecq_dataset_options *options, vecq_dataset **out,
                                 vecq_error *err);
void vecq_dataset_close(vecq_dataset *dataset); /* NULL is fine */

/* Valid until the data set is closed. */
const vecq_dataset_info *vecq_dataset_describe(const vecq_dataset *dataset);

/* Label of sample i < n, below n_classes. */
int32_t vecq_dataset_label(const vecq_dataset *dataset, size_t i);

#endif
