/* SPDX-License-Identifier: Apache-2.0 */
/* cifar10:DIR, the binary version. The files are mapped and copied from, so only what is used takes memory.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/status.h"
#include "data/cifar10.h"
#include "data/dataset_private.h"

#define CIFAR10_TRAIN_FILES 5

static const char *const cifar10_names[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                            "dog",      "frog",       "horse", "ship", "truck"};

typedef struct cifar10_files {
    const char *paths[CIFAR10_TRAIN_FILES];
    vecq_mapping maps[CIFAR10_TRAIN_FILES];
    size_t counts[CIFAR10_TRAIN_FILES];
    size_t n_files, n;
} cifar10_files;

static vecq_status cifar10_map(vecq_dataset *dataset, const char *dir, cifar10_files *files, vecq_error *err)
{
    int training = vecq_data_in_training(dataset);
    size_t i;

    for (i = 0; i < (training ? CIFAR10_TRAIN_FILES : 1); i++) {
        char name[32];

        snprintf(name, sizeof name, training ? "data_batch_%zu.bin" : "test_batch.bin", i + 1);
        files->paths[i] = vecq_data_path(&dataset->arena, dir, name);
        if (files->paths[i] == NULL)
            return vecq_error_memory(err, strlen(dir));
        if (!vecq_data_is_file(files->paths[i]))
            return vecq_error_set(err, VECQ_ERR_IO,
                                  "%s: has no %s; cifar10: needs data_batch_1.bin to data_batch_5.bin and "
                                  "test_batch.bin there",
                                  dir, name);
        VECQ_TRY(vecq_mapping_open(files->paths[i], &files->maps[i], err));
        files->n_files++;
        VECQ_TRY(vecq_cifar10_check(files->maps[i].bytes, files->paths[i], &files->counts[i], err));
        files->n += files->counts[i];
    }
    return VECQ_OK;
}

static vecq_status cifar10_take(vecq_dataset *dataset, const cifar10_files *files, const uint32_t *index,
                                vecq_error *err)
{
    size_t n = dataset->info.n, before = 0, i = 0, f, k;

    dataset->labels = vecq_alloc(n, sizeof *dataset->labels);
    if (dataset->labels == NULL)
        return vecq_error_memory(err, n * sizeof *dataset->labels);
    VECQ_TRY(vecq_data_pixels_begin(dataset, 3, VECQ_CIFAR10_SIDE, VECQ_CIFAR10_SIDE, err));
    for (f = 0; f < files->n_files; f++) { /* `index` ascends */
        const uint8_t *records = files->maps[f].bytes.data;

        for (k = i; k < n && index[k] - before < files->counts[f]; k++)
            dataset->labels[k] = records[(index[k] - before) * VECQ_CIFAR10_RECORD];
        VECQ_TRY(vecq_data_pixels_put(dataset, i, k - i, records + 1, VECQ_CIFAR10_RECORD, index + i, before,
                                      err));
        before += files->counts[f];
        i = k;
    }
    return VECQ_OK;
}

static vecq_status cifar10_class_names(vecq_dataset *dataset, const char *dir, vecq_error *err)
{
    char *path = vecq_data_path(&dataset->arena, dir, "batches.meta.txt");
    const char **names;
    size_t n;

    if (path == NULL)
        return vecq_error_memory(err, strlen(dir));
    dataset->info.n_classes = VECQ_CIFAR10_CLASSES;
    dataset->info.class_names = cifar10_names;
    if (!vecq_data_is_file(path))
        return VECQ_OK;
    VECQ_TRY(vecq_data_names_read(&dataset->arena, path, &names, &n, err));
    if (n != VECQ_CIFAR10_CLASSES)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: has %zu names, CIFAR-10 has 10 classes", path, n);
    dataset->info.class_names = names;
    return VECQ_OK;
}

static vecq_status cifar10_open(vecq_dataset *dataset, const char *place, vecq_error *err)
{
    const char *dir = place;
    char *inner = vecq_data_path(&dataset->arena, place, "cifar-10-batches-bin"); /* as the archive unpacks */
    cifar10_files files = {.n_files = 0};
    uint32_t *index = NULL;
    vecq_status status;
    size_t i;

    if (inner == NULL)
        return vecq_error_memory(err, strlen(place));
    if (!vecq_data_is_dir(place))
        return vecq_error_set(err, VECQ_ERR_IO, "%s: no such folder", place);
    if (dataset->options.split == VECQ_SPLIT_VALIDATION && !vecq_data_in_training(dataset))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "%s: cifar10 has no validation part; hold back training samples (holdout)",
                              place);
    if (vecq_data_is_dir(inner))
        dir = inner;
    dataset->info.kind = VECQ_DATASET_IMAGES;
    VECQ_TRY(cifar10_class_names(dataset, dir, err));
    status = cifar10_map(dataset, dir, &files, err);
    if (status == VECQ_OK)
        status = vecq_data_select(dataset, dir, files.n, vecq_data_portion_of(dataset), &index,
                                  &dataset->info.n, err);
    if (status == VECQ_OK)
        status = cifar10_take(dataset, &files, index, err);
    vecq_free(index);
    for (i = 0; i < files.n_files; i++)
        vecq_mapping_close(&files.maps[i]);
    return status;
}

const vecq_data_format vecq_data_format_cifar10 = {"cifar10", "DIR", NULL, cifar10_open};
