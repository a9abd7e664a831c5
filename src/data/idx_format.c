/* SPDX-License-Identifier: Apache-2.0 */
/* idx:DIR, the four files of MNIST and of the sets that took over its layout. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/status.h"
#include "data/dataset_private.h"
#include "data/idx.h"

#define IDX_FASHION_DIR "/usr/share/datasets/fashion-mnist"

static const char *const idx_fashion[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                          "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

/* The path of DIR/<part>-<what>-idx<N>-ubyte[.gz], some copies have a dot before idx; NULL if there is none.
 */
static vecq_status idx_find(vecq_dataset *dataset, const char *dir, const char *part, int images, char **out,
                            vecq_error *err)
{
    int form;

    for (form = 0; form < 4; form++) {
        char name[64];

        snprintf(name, sizeof name, "%s-%s%cidx%d-ubyte%s", part, images ? "images" : "labels",
                 form & 2 ? '.' : '-', images ? 3 : 1, form & 1 ? ".gz" : "");
        *out = vecq_data_path(&dataset->arena, dir, name);
        if (*out == NULL)
            return vecq_error_memory(err, strlen(dir) + sizeof name);
        if (vecq_data_is_file(*out))
            return VECQ_OK;
    }
    *out = NULL;
    return VECQ_OK;
}

static vecq_status idx_read(const char *path, int images, vecq_idx *out, vecq_error *err)
{
    vecq_mapping file;
    vecq_status status;

    VECQ_TRY(vecq_mapping_open(path, &file, err));
    status = vecq_idx_parse(file.bytes, path, images, out, err);
    vecq_mapping_close(&file);
    return status;
}

static size_t idx_classes(const vecq_idx *labels)
{
    size_t i, most = 0;

    for (i = 0; i < labels->n; i++)
        most = labels->data[i] > most ? labels->data[i] : most;
    return most + 1;
}

/* Number and names of the classes: class.txt, or as many as the training labels have. */
static vecq_status idx_count_classes(vecq_dataset *dataset, const char *dir, const vecq_idx *labels,
                                     vecq_error *err)
{
    vecq_dataset_info *info = &dataset->info;
    char *path = vecq_data_path(&dataset->arena, dir, "class.txt");
    const char **names;
    vecq_idx training;

    if (path == NULL)
        return vecq_error_memory(err, strlen(dir));
    if (vecq_data_is_file(path)) {
        VECQ_TRY(vecq_data_names_read(&dataset->arena, path, &names, &info->n_classes, err));
        info->class_names = names;
        return VECQ_OK;
    }
    info->n_classes = idx_classes(labels);
    if (!vecq_data_in_training(dataset)) {
        VECQ_TRY(idx_find(dataset, dir, "train", 0, &path, err));
        if (path != NULL) {
            VECQ_TRY(idx_read(path, 0, &training, err));
            info->n_classes = idx_classes(&training);
            vecq_free(training.data);
        }
    }
    if (strcmp(dir, IDX_FASHION_DIR) == 0 && info->n_classes == sizeof idx_fashion / sizeof *idx_fashion)
        info->class_names = idx_fashion;
    return VECQ_OK;
}

static vecq_status idx_take(vecq_dataset *dataset, const char *dir, const char *image_path,
                            const char *label_path, const vecq_idx *images, const vecq_idx *labels,
                            vecq_error *err)
{
    vecq_dataset_info *info = &dataset->info;
    uint32_t *index;
    vecq_status status;
    size_t i;

    if (images->n != labels->n)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: holds %zu labels for the %zu images of %s",
                              label_path, labels->n, images->n, image_path);
    VECQ_TRY(idx_count_classes(dataset, dir, labels, err));
    for (i = 0; i < labels->n; i++)
        if (labels->data[i] >= info->n_classes)
            return vecq_error_set(err, VECQ_ERR_FORMAT,
                                  "%s: label %zu is %u, but there are %zu classes (0..%zu)", label_path, i,
                                  labels->data[i], info->n_classes, info->n_classes - 1);
    VECQ_TRY(vecq_data_select(dataset, image_path, images->n, vecq_data_portion_of(dataset), &index, &info->n,
                              err));
    dataset->labels = vecq_alloc(info->n, sizeof *dataset->labels);
    if (dataset->labels == NULL) {
        vecq_free(index);
        return vecq_error_memory(err, info->n * sizeof *dataset->labels);
    }
    for (i = 0; i < info->n; i++)
        dataset->labels[i] = labels->data[index[i]];
    status = vecq_data_pixels_begin(dataset, 1, images->height, images->width, err);
    if (status == VECQ_OK)
        status = vecq_data_pixels_put(dataset, 0, info->n, images->data, images->height * images->width,
                                      index, 0, err);
    vecq_free(index);
    return status;
}

static vecq_status idx_missing(const char *dir, const char *part, const char *what, vecq_error *err)
{
    if (!vecq_data_is_dir(dir))
        return vecq_error_set(
            err, VECQ_ERR_IO, "%s: no such folder%s", dir,
            strcmp(dir, IDX_FASHION_DIR) == 0 ? "; install the package dataset-fashion-mnist" : "");
    return vecq_error_set(
        err, VECQ_ERR_IO,
        "%s: has no %s-%s-ubyte; idx: needs train-images-idx3-ubyte, train-labels-idx1-ubyte, "
        "t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte there, plain or .gz",
        dir, part, what);
}

static vecq_status idx_open(vecq_dataset *dataset, const char *place, vecq_error *err)
{
    const char *part = vecq_data_in_training(dataset) ? "train" : "t10k";
    char *image_path, *label_path;
    vecq_idx images, labels;
    vecq_status status;

    if (dataset->options.split == VECQ_SPLIT_VALIDATION && !vecq_data_in_training(dataset))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "%s: idx has no validation part; hold back training samples (holdout)", place);
    dataset->info.kind = VECQ_DATASET_IMAGES;
    VECQ_TRY(idx_find(dataset, place, part, 1, &image_path, err));
    if (image_path == NULL)
        return idx_missing(place, part, "images-idx3", err);
    VECQ_TRY(idx_find(dataset, place, part, 0, &label_path, err));
    if (label_path == NULL)
        return idx_missing(place, part, "labels-idx1", err);
    VECQ_TRY(idx_read(label_path, 0, &labels, err));
    status = idx_read(image_path, 1, &images, err);
    if (status == VECQ_OK) {
        status = idx_take(dataset, place, image_path, label_path, &images, &labels, err);
        vecq_free(images.data);
    }
    vecq_free(labels.data);
    return status;
}

const vecq_data_format vecq_data_format_idx = {"idx", "DIR", IDX_FASHION_DIR, idx_open};
