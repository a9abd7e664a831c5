/* SPDX-License-Identifier: Apache-2.0 */
/* images:DIR, folders of JPEG and PNG files. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/status.h"
#include "base/threads.h"
#include "data/dataset_private.h"
#include "data/image_decode.h"
#include "data/image_list.h"

/* Decodes one file into a sample. */
static vecq_status images_read(const vecq_dataset *dataset, size_t i, uint8_t *out, vecq_error *err)
{
    const char *path = dataset->paths[i];
    vecq_mapping file;
    vecq_image image;
    vecq_image_fit fit;
    vecq_status status;

    VECQ_TRY(vecq_mapping_open(path, &file, err));
    status = vecq_image_decode(file.bytes, path, &image, err);
    vecq_mapping_close(&file);
    if (status != VECQ_OK)
        return status;
    if (dataset->options.height == 0 &&
        (image.height != dataset->stored_height || image.width != dataset->stored_width)) {
        status =
            vecq_error_set(err, VECQ_ERR_FORMAT,
                           "%s: is %zu x %zu pixels, others are %zu x %zu; give the height and width that "
                           "all shall get",
                           path, image.height, image.width, dataset->stored_height, dataset->stored_width);
    } else {
        vecq_image_fit_plan(&fit, &dataset->options, 3, image.height, image.width);
        status = vecq_image_fit_planes(&fit, image.planes, out, err);
    }
    vecq_free(image.planes);
    return status;
}

static vecq_status images_read_range(void *context, size_t begin, size_t end, unsigned thread,
                                     vecq_error *err)
{
    vecq_dataset *dataset = context;
    size_t i, bytes = vecq_dataset_sample_bytes(dataset);

    (void)thread;
    for (i = begin; i < end; i++)
        VECQ_TRY(images_read(dataset, i, dataset->pixels + i * bytes, err));
    return VECQ_OK;
}

/* The size of samples, and all of them if they fit. */
static vecq_status images_decode(vecq_dataset *dataset, vecq_error *err)
{
    vecq_dataset_info *info = &dataset->info;
    size_t height = dataset->options.height, width = dataset->options.width, bytes;

    if (height == 0) { /* that of the first file */
        vecq_mapping file;
        vecq_image image;
        vecq_status status;

        VECQ_TRY(vecq_mapping_open(dataset->paths[0], &file, err));
        status = vecq_image_decode(file.bytes, dataset->paths[0], &image, err);
        vecq_mapping_close(&file);
        VECQ_TRY(status);
        height = image.height;
        width = image.width;
        vecq_free(image.planes);
        if (height > VECQ_DATA_SIDE_MAX || width > VECQ_DATA_SIDE_MAX)
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                                  "%s: %zu x %zu pixels are too large for samples; give a height and width",
                                  dataset->paths[0], height, width);
    }
    dataset->read = images_read;
    vecq_data_pixels_plan(dataset, 3, height, width);
    if (!vecq_mul_size(info->n, vecq_dataset_sample_bytes(dataset), &bytes) ||
        bytes > dataset->options.memory_limit)
        return VECQ_OK;
    dataset->pixels = vecq_alloc(bytes, 1);
    if (dataset->pixels == NULL)
        return vecq_error_memory(err, bytes);
    return vecq_parallel_for(info->n, 8, dataset->options.threads, images_read_range, dataset, err);
}

/* ---- which files ---- */

typedef struct images_part {
    const char *dir;   /* of labels.tsv or the class folders */
    const char *files; /* what entries are relative to */
    vecq_image_list list;
} images_part;

static vecq_status images_list(vecq_dataset *dataset, const char *dir, images_part *part, vecq_error *err)
{
    char *tsv = vecq_data_path(&dataset->arena, dir, "labels.tsv");
    char *inner = vecq_data_path(&dataset->arena, dir, "images");
    vecq_mapping file;
    vecq_status status;

    if (tsv == NULL || inner == NULL)
        return vecq_error_memory(err, strlen(dir));
    part->dir = part->files = dir;
    if (!vecq_data_is_file(tsv))
        return vecq_image_list_folders(&dataset->arena, dir, &part->list, err);
    if (vecq_data_is_dir(inner))
        part->files = inner;
    VECQ_TRY(vecq_mapping_open(tsv, &file, err));
    status = vecq_image_list_parse(&dataset->arena, file.bytes, tsv, &part->list, err);
    vecq_mapping_close(&file);
    return status;
}

/* Names of classes that labels.tsv numbers: class.txt, one in each line, or synsets.tsv,
 * "index<TAB>...<TAB>name". */
static vecq_status images_names(vecq_dataset *dataset, const char *dir, vecq_error *err)
{
    char *plain = vecq_data_path(&dataset->arena, dir, "class.txt");
    char *synsets = vecq_data_path(&dataset->arena, dir, "synsets.tsv");
    const char **names;
    size_t n, i;

    if (plain == NULL || synsets == NULL)
        return vecq_error_memory(err, strlen(dir));
    if (!vecq_data_is_file(plain) && !vecq_data_is_file(synsets))
        return VECQ_OK;
    VECQ_TRY(
        vecq_data_names_read(&dataset->arena, vecq_data_is_file(plain) ? plain : synsets, &names, &n, err));
    for (i = 0; i < n && !vecq_data_is_file(plain); i++) {
        const char *tab = strrchr(names[i], '\t');
        char index[24];

        snprintf(index, sizeof index, "%zu\t", i);
        if (tab == NULL || strncmp(names[i], index, strlen(index)) != 0)
            return vecq_error_set(err, VECQ_ERR_FORMAT,
                                  "%s: line %zu: should be %zu<TAB>...<TAB>name (classes in order)", synsets,
                                  i + 1, i);
        names[i] = tab + 1;
    }
    dataset->info.class_names = names;
    dataset->info.n_classes = n;
    return VECQ_OK;
}

/* Renumbers class folders of another part as in the training part. */
static vecq_status images_renumber(images_part *part, const images_part *training, vecq_error *err)
{
    vecq_image_list *list = &part->list;
    const vecq_image_list *known = &training->list;
    size_t i, c = 0, k;

    if (list->by_folder != known->by_folder)
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "%s and %s: one has labels.tsv, the other a folder for each class",
                              training->dir, part->dir);
    if (!list->by_folder)
        return VECQ_OK;
    for (i = 0, k = 0; i < list->n; i++) { /* both lists of names are sorted, entries are by class */
        c = (size_t)list->entries[i].label;
        while (k < known->n_classes && strcmp(known->names[k], list->names[c]) < 0)
            k++;
        if (k == known->n_classes || strcmp(known->names[k], list->names[c]) != 0)
            return vecq_error_set(err, VECQ_ERR_FORMAT, "%s/%s: there is no such class in %s", part->dir,
                                  list->names[c], training->dir);
        list->entries[i].label = (int32_t)k;
    }
    return VECQ_OK;
}

static vecq_status images_take(vecq_dataset *dataset, const char *root, images_part *part,
                               const images_part *training, vecq_error *err)
{
    vecq_dataset_info *info = &dataset->info;
    const vecq_image_list *classes = training->list.n > 0 ? &training->list : &part->list;
    uint32_t *index;
    size_t i;

    if (training->list.n > 0)
        VECQ_TRY(images_renumber(part, training, err));
    info->n_classes = classes->n_classes;
    info->class_names = classes->names;
    if (!classes->by_folder) {
        VECQ_TRY(images_names(dataset, root, err));
        for (i = 0; i < part->list.n; i++)
            if ((size_t)part->list.entries[i].label >= info->n_classes)
                return vecq_error_set(err, VECQ_ERR_FORMAT,
                                      "%s/labels.tsv: %s has class %d, there are %zu (0..%zu)", part->dir,
                                      part->list.entries[i].file, (int)part->list.entries[i].label,
                                      info->n_classes, info->n_classes - 1);
    }
    VECQ_TRY(vecq_data_select(dataset, part->dir, part->list.n, vecq_data_portion_of(dataset), &index,
                              &info->n, err));
    dataset->labels = vecq_alloc(info->n, sizeof *dataset->labels);
    dataset->paths = vecq_alloc(info->n, sizeof *dataset->paths);
    for (i = 0; i < info->n && dataset->labels != NULL && dataset->paths != NULL; i++) {
        dataset->labels[i] = part->list.entries[index[i]].label;
        dataset->paths[i] = vecq_data_path(&dataset->arena, part->files, part->list.entries[index[i]].file);
        if (dataset->paths[i] == NULL)
            break;
    }
    vecq_free(index);
    return i == info->n ? VECQ_OK : vecq_error_memory(err, info->n * sizeof *dataset->paths);
}

/* The folder of the part that the split lies in, and that of the training part (NULL: the same, or none). */
static vecq_status images_folders(vecq_dataset *dataset, const char *root, const char **part,
                                  const char **training, vecq_error *err)
{
    char *train = vecq_data_path(&dataset->arena, root, "train");
    char *val = vecq_data_path(&dataset->arena, root, "val");
    char *test = vecq_data_path(&dataset->arena, root, "test");

    if (train == NULL || val == NULL || test == NULL)
        return vecq_error_memory(err, strlen(root));
    if (!vecq_data_is_dir(root))
        return vecq_error_set(err, VECQ_ERR_IO, "%s: no such folder", root);
    dataset->info.undivided = !vecq_data_is_dir(train) && !vecq_data_is_dir(val) && !vecq_data_is_dir(test);
    *training = NULL;
    if (dataset->info.undivided)
        train = test = (char *)(uintptr_t)root;
    if (vecq_data_in_training(dataset)) {
        *part = train;
    } else {
        *part = dataset->options.split == VECQ_SPLIT_VALIDATION || !vecq_data_is_dir(test) ? val : test;
        if (!dataset->info.undivided && vecq_data_is_dir(train))
            *training = train;
    }
    if (vecq_data_is_dir(*part))
        return VECQ_OK;
    if (dataset->options.split == VECQ_SPLIT_VALIDATION)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "%s: has no folder val; hold back training samples (holdout)", root);
    return vecq_error_set(err, VECQ_ERR_IO,
                          "%s: has no folder %s, though there are others of train, val, test", root,
                          dataset->options.split == VECQ_SPLIT_TEST ? "test or val" : "train");
}

static vecq_status images_open(vecq_dataset *dataset, const char *place, vecq_error *err)
{
    images_part part = {NULL, NULL, {0}}, training = {NULL, NULL, {0}};
    const char *part_dir = NULL, *training_dir = NULL;
    vecq_status status;

    dataset->info.kind = VECQ_DATASET_IMAGES;
    VECQ_TRY(images_folders(dataset, place, &part_dir, &training_dir, err));
    status = images_list(dataset, part_dir, &part, err);
    if (status == VECQ_OK && training_dir != NULL)
        status = images_list(dataset, training_dir, &training, err);
    if (status == VECQ_OK)
        status = images_take(dataset, place, &part, &training, err);
    vecq_image_list_free(&part.list);
    vecq_image_list_free(&training.list);
    return status == VECQ_OK ? images_decode(dataset, err) : status;
}

const vecq_data_format vecq_data_format_images = {"images", "DIR", NULL, images_open};

static vecq_status one_image_open(vecq_dataset *dataset, const char *path, vecq_error *err)
{
    dataset->info.kind = VECQ_DATASET_IMAGES;
    dataset->info.n = dataset->info.n_classes = 1;
    dataset->labels = vecq_calloc(1, sizeof *dataset->labels);
    dataset->paths = vecq_alloc(1, sizeof *dataset->paths);
    if (dataset->labels == NULL || dataset->paths == NULL ||
        (dataset->paths[0] = vecq_arena_string(&dataset->arena, path, strlen(path))) == NULL)
        return vecq_error_memory(err, strlen(path));
    return images_decode(dataset, err);
}

const vecq_data_format vecq_data_format_one_image = {"image", "FILE", NULL, one_image_open};
