/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a data set: what formats fill in and the loader reads. */
#ifndef VECQ_DATA_DATASET_PRIVATE_H
#define VECQ_DATA_DATASET_PRIVATE_H

#include "base/alloc.h"
#include "base/span.h"
#include "data/dataset.h"
#include "data/resample.h"

/*
 * Samples lie one after the other. Pixels are planes of bytes [n][channels][stored_height][stored_width];
 * `stored` is larger than the size in `info` when a crop is left to the loader. Where `pixels` is NULL,
 * `read` decodes a sample (from any thread). Tokens are ids [n][length], of two bytes if the vocabulary
 * allows.
 */
struct vecq_dataset {
    vecq_dataset_info info;
    vecq_dataset_options options;
    vecq_arena arena; /* names, paths, vocabulary */
    int32_t *labels;  /* [n] */

    vecq_image_fit fit; /* from the size of the source, where all have the same */
    size_t stored_height, stored_width;
    uint8_t *pixels;
    vecq_status (*read)(const vecq_dataset *dataset, size_t i, uint8_t *out, vecq_error *err);
    const char **paths; /* [n], images of a folder */

    uint16_t *tokens16;
    uint32_t *tokens32;
};

/* A layout: fills in labels, samples and info (n, n_classes, ...). What it allocated belongs to the data set,
 * also when it fails. */
typedef struct vecq_data_format {
    const char *name;        /* the scheme */
    const char *place;       /* what PLACE is, for messages */
    const char *default_dir; /* or NULL */
    vecq_status (*open)(vecq_dataset *dataset, const char *place, vecq_error *err);
} vecq_data_format;

/* One sample: the place is its file, or the text itself. Not in the table: they are no data sets by name. */
extern const vecq_data_format vecq_data_format_one_image, vecq_data_format_one_text;

/* Bytes of a stored sample. */
static inline size_t vecq_dataset_sample_bytes(const vecq_dataset *dataset)
{
    return dataset->info.channels * dataset->stored_height * dataset->stored_width;
}

/* n * size, or an error that says what is too large when that is above VECQ_DATA_BYTES_MAX. */
vecq_status vecq_data_bytes(const char *name, const char *what, size_t n, size_t size, size_t *out,
                            vecq_error *err);

/* Which samples of a part of the place: all, or what the holdout leaves, or what it takes. */
typedef enum vecq_data_portion { VECQ_DATA_ALL = 0, VECQ_DATA_KEPT, VECQ_DATA_HELD } vecq_data_portion;

/* Non-zero when the samples of the asked split lie in the training part: training, and validation by holdout.
 */
int vecq_data_in_training(const vecq_dataset *dataset);
/* What the asked split takes of its part: KEPT for training, HELD for validation by holdout, else ALL. */
vecq_data_portion vecq_data_portion_of(const vecq_dataset *dataset);

/* The numbers of those samples among n, ascending, in *out (one block, for vecq_free), and how many. The
 * holdout is drawn by Fisher-Yates from holdout_seed. `name` is for messages. */
vecq_status vecq_data_select(const vecq_dataset *dataset, const char *name, size_t n,
                             vecq_data_portion portion, uint32_t **out, size_t *n_out, vecq_error *err);

/* "DIR/name"; NULL when memory is out. */
char *vecq_data_path(vecq_arena *arena, const char *dir, const char *name);
int vecq_data_is_dir(const char *path);
int vecq_data_is_file(const char *path);

/* One name a line into names[*n]; blank lines at the end are left out. `name` is for messages. */
vecq_status vecq_data_names_parse(vecq_arena *arena, const char *name, vecq_span bytes, const char ***names,
                                  size_t *n, vecq_error *err);
/* The same of a file. */
vecq_status vecq_data_names_read(vecq_arena *arena, const char *path, const char ***names, size_t *n,
                                 vecq_error *err);

/* What samples become that are made from planes [channels][height][width]: fills in sizes and colours. */
void vecq_data_pixels_plan(vecq_dataset *dataset, size_t channels, size_t height, size_t width);

/* The same, and memory for info.n samples. */
vecq_status vecq_data_pixels_begin(vecq_dataset *dataset, size_t channels, size_t height, size_t width,
                                   vecq_error *err);

/* Sets samples at .. at + n - 1 from planes in `source`, `stride` bytes from one to the next, of which it
 * takes those numbered index[i] - base. */
vecq_status vecq_data_pixels_put(vecq_dataset *dataset, size_t at, size_t n, const uint8_t *source,
                                 size_t stride, const uint32_t *index, size_t base, vecq_error *err);

#endif
