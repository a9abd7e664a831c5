/* SPDX-License-Identifier: Apache-2.0 */
#include "train/training.h"

#include <string.h>

#include "base/status.h"
#include "train/preprocessing.h"
#include "train/training_private.h"
#include "zoo/zoo.h"

/* ---- data ---- */

void vecq_training_data_options(const vecq_recipe *r, const vecq_ports *ports, vecq_dataset_options *out)
{
    vecq_dataset_defaults(out);
    out->holdout = (size_t)r->data.holdout;
    out->holdout_seed = r->seed;
    out->threads = r->threads;
    out->statistics = r->data.normalize == VECQ_RECIPE_NORMALIZE_MEASURED;
    out->height = r->data.height > 0 ? r->data.height : ports != NULL ? ports->height : 0;
    out->width = r->data.width > 0 ? r->data.width : ports != NULL ? ports->width : 0;
    out->resize = r->data.resize;
    out->grayscale =
        r->data.channels == 1 || (r->data.channels == 0 && ports != NULL && ports->channels == 1);
    out->tokens = r->data.tokens == VECQ_RECIPE_CHARS ? VECQ_TOKENS_CHARS : VECQ_TOKENS_WORDS;
    out->vocabulary_size = (size_t)r->data.vocabulary;
    out->length = r->data.length > 0 ? r->data.length : ports != NULL ? ports->length : 0;
    out->pad_side = r->data.pad == VECQ_RECIPE_BACK ? VECQ_SIDE_BACK : VECQ_SIDE_FRONT;
    out->truncate_side = r->data.cut == VECQ_RECIPE_BACK ? VECQ_SIDE_BACK : VECQ_SIDE_FRONT;
}

static vecq_status spread(const char *key, const vecq_recipe_reals *list, size_t channels, double missing,
                          double *out, vecq_error *err)
{
    size_t i;

    if (list->n > 1 && list->n != channels)
        return vecq_error_set(err, VECQ_ERR_VALUE, "%s has %zu numbers, the images have %zu channels", key,
                              list->n, channels);
    for (i = 0; i < channels; i++)
        out[i] = list->n == 0 ? missing : list->items[list->n == 1 ? 0 : i];
    return VECQ_OK;
}

vecq_status vecq_training_normalisation(const vecq_recipe *r, const vecq_dataset_info *data, size_t channels,
                                        double *mean, double *std, vecq_error *err)
{
    size_t i;

    VECQ_TRY(spread("data.mean", &r->data.mean, channels, 0, mean, err));
    VECQ_TRY(spread("data.std", &r->data.std, channels, 1, std, err));
    if (r->data.normalize == VECQ_RECIPE_NORMALIZE_MEASURED && data != NULL && data->has_statistics)
        for (i = 0; i < channels; i++) { /* of pixels in 0..1, while data.scale may be another */
            mean[i] = data->mean[i] * 255 * r->data.scale;
            std[i] = data->std[i] > 0 ? data->std[i] * 255 * r->data.scale : 1;
        }
    return VECQ_OK;
}

static void loader_options(const vecq_recipe *r, const vecq_ports *ports, const double *mean,
                           const double *std, vecq_loader_options *out)
{
    vecq_loader_defaults(out);
    out->seed = r->seed;
    out->layout = ports->layout == VECQ_PORTS_NHWC ? VECQ_LAYOUT_NHWC : VECQ_LAYOUT_NCHW;
    out->scale = r->data.scale;
    memcpy(out->mean, mean, sizeof out->mean);
    memcpy(out->std, std, sizeof out->std);
    out->threads = r->data.workers > 0 ? r->data.workers : 1;
    out->prefetch =
        2 * r->data.workers < VECQ_LOADER_PREFETCH_MAX ? 2 * r->data.workers : VECQ_LOADER_PREFETCH_MAX;
}

vecq_status vecq_training_eval_loader(const vecq_recipe *r, const vecq_ports *ports,
                                      const vecq_dataset *dataset, const double *mean, const double *std,
                                      vecq_loader **out, vecq_error *err)
{
    vecq_loader_options options;

    loader_options(r, ports, mean, std, &options);
    options.batch = r->train.eval_batch;
    options.shuffle = 0;
    options.drop_last = 0;
    options.limit = (size_t)r->data.test_limit;
    return vecq_loader_create(dataset, &options, out, err);
}

vecq_status vecq_training_whole_loader(const vecq_recipe *r, const vecq_ports *ports,
                                       const vecq_dataset *dataset, const double *mean, const double *std,
                                       size_t batch, int is_shuffled, vecq_loader **out, vecq_error *err)
{
    vecq_loader_options options;

    loader_options(r, ports, mean, std, &options);
    options.batch = batch;
    options.shuffle = is_shuffled;
    options.drop_last = 1;
    return vecq_loader_create(dataset, &options, out, err);
}

static vecq_status train_loader(vecq_training *s, vecq_error *err)
{
    const vecq_recipe *r = s->recipe;
    const vecq_dataset_info *info = vecq_dataset_describe(s->train);
    vecq_loader_options options;

    loader_options(r, &s->ports, s->mean, s->std, &options);
    options.batch = r->train.batch;
    options.shuffle = r->data.shuffle;
    options.drop_last = 1;
    options.limit = (size_t)r->data.limit;
    options.augment = info->kind == VECQ_DATASET_IMAGES;
    options.augmentation.pad = r->augment.pad;
    options.augmentation.random_crop = r->augment.crop;
    options.augmentation.flip = r->augment.flip;
    options.augmentation.rotate = r->augment.rotate;
    options.augmentation.translate = r->augment.translate / (double)(info->width > 0 ? info->width : 1);
    options.augmentation.scale_min = 1 - r->augment.zoom;
    options.augmentation.scale_max = 1 + r->augment.zoom;
    options.augmentation.shear = r->augment.shear;
    options.augmentation.cutout = r->augment.cutout;
    return vecq_loader_create(s->train, &options, &s->train_loader, err);
}

/* The test part has the vocabulary and the classes of the training part. */
static vecq_status open_others(vecq_training *s, vecq_dataset_options *options, vecq_error *err)
{
    const vecq_dataset_info *info = vecq_dataset_describe(s->train);
    const char *test = s->recipe->data.test != NULL ? s->recipe->data.test : s->recipe->data.train;

    options->vocabulary = info->vocabulary;
    options->n_vocabulary = info->n_vocabulary;
    options->length = info->length;
    options->statistics = 0;
    options->random_crop = 0;
    if (s->recipe->data.holdout > 0) {
        options->split = VECQ_SPLIT_VALIDATION;
        VECQ_TRY(vecq_dataset_open(s->recipe->data.train, options, &s->holdout, err));
    }
    options->split = VECQ_SPLIT_TEST;
    options->holdout = 0;
    VECQ_TRY(vecq_dataset_open(test, options, &s->test, err));
    s->classes = info->n_classes;
    if (s->recipe->data.classes.n > 0 && s->recipe->data.classes.n != s->classes)
        return vecq_error_set(err, VECQ_ERR_VALUE, "data.classes has %zu names, %s has %zu classes",
                              s->recipe->data.classes.n, s->recipe->data.train, s->classes);
    if (vecq_dataset_describe(s->test)->n_classes > s->classes)
        return vecq_error_set(err, VECQ_ERR_VALUE, "%s has %zu classes, the training data only %zu", test,
                              vecq_dataset_describe(s->test)->n_classes, s->classes);
    return VECQ_OK;
}

static vecq_status open_data(vecq_training *s, const vecq_ports *ports, vecq_dataset_options *options,
                             vecq_error *err)
{
    if (s->recipe->data.train == NULL)
        return vecq_error_set(err, VECQ_ERR_VALUE,
                              "there is no training data: set data.train (for example "
                              "data.train=cifar10:DIR)");
    vecq_training_data_options(s->recipe, ports, options);
    options->split = VECQ_SPLIT_TRAIN;
    options->random_crop = s->recipe->augment.crop && s->recipe->data.resize > 0;
    options->vocabulary = s->vocabulary;
    options->n_vocabulary = s->n_vocabulary;
    VECQ_TRY(vecq_dataset_open(s->recipe->data.train, options, &s->train, err));
    return open_others(s, options, err);
}

/* Batches of other shapes must not reach the programs. */
static vecq_status check_alike(const vecq_training *s, const vecq_dataset *other, vecq_error *err)
{
    const vecq_dataset_info *info = vecq_dataset_describe(other), *train = vecq_dataset_describe(s->train);
    vecq_ports ports = s->ports;
    vecq_status status = VECQ_OK;

    if (info->kind == VECQ_DATASET_IMAGES && train->kind == VECQ_DATASET_IMAGES &&
        (info->channels != train->channels || info->height != train->height || info->width != train->width))
        status = vecq_error_set(
            err, VECQ_ERR_VALUE,
            "its images are %zux%zux%zu, those for training %zux%zux%zu (channels, height, "
            "width): set data.channels, data.height and data.width",
            info->channels, info->height, info->width, train->channels, train->height, train->width);
    if (status == VECQ_OK)
        status = vecq_ports_fit(&ports, info, err);
    if (status != VECQ_OK)
        vecq_error_prefix(err, "%s", info->spec);
    return status;
}

static vecq_status open_loaders(vecq_training *s, vecq_error *err)
{
    const vecq_dataset_info *info = vecq_dataset_describe(s->train);

    if (info->kind == VECQ_DATASET_IMAGES)
        VECQ_TRY(vecq_training_normalisation(s->recipe, info, info->channels, s->mean, s->std, err));
    if (info->n < s->recipe->train.batch)
        return vecq_error_set(err, VECQ_ERR_VALUE,
                              "train.batch is %u, but there are only %zu training samples",
                              s->recipe->train.batch, info->n);
    VECQ_TRY(check_alike(s, s->test, err));
    if (s->holdout != NULL)
        VECQ_TRY(check_alike(s, s->holdout, err));
    VECQ_TRY(train_loader(s, err));
    if (s->holdout != NULL)
        VECQ_TRY(vecq_training_eval_loader(s->recipe, &s->ports, s->holdout, s->mean, s->std,
                                           &s->holdout_loader, err));
    return vecq_training_eval_loader(s->recipe, &s->ports, s->test, s->mean, s->std, &s->test_loader, err);
}

/* ---- model ---- */

static vecq_status make_network(vecq_training *s, const vecq_network *network, vecq_error *err)
{
    const vecq_dataset_info *info = vecq_dataset_describe(s->train);
    vecq_zoo_options options;
    size_t n_bytes;

    vecq_zoo_options_default(network, &options);
    options.classes = s->recipe->model.classes > 0 ? s->recipe->model.classes : s->classes;
    options.seed = s->recipe->seed;
    options.initializer = s->recipe->model.init == VECQ_RECIPE_INIT_GLOROT ? VECQ_ZOO_GLOROT_UNIFORM
                          : s->recipe->model.init == VECQ_RECIPE_INIT_HE   ? VECQ_ZOO_HE_NORMAL
                                                                           : VECQ_ZOO_DEFAULT;
    if ((network->kind == VECQ_NETWORK_TEXT) != (info->kind == VECQ_DATASET_TEXT))
        return vecq_error_set(err, VECQ_ERR_VALUE, "network %s takes %s, the data are %s", network->name,
                              network->kind == VECQ_NETWORK_TEXT ? "texts" : "images",
                              info->kind == VECQ_DATASET_TEXT ? "texts" : "images");
    if (network->kind == VECQ_NETWORK_TEXT) {
        options.length = info->length;
        options.vocabulary = info->n_vocabulary;
    } else {
        options.channels = info->channels;
        options.height = info->height;
        options.width = info->width;
    }
    VECQ_TRY(vecq_zoo_build(network, &options, &s->made, &n_bytes, err));
    return vecq_model_load_memory(s->made, n_bytes, network->name, NULL, &s->model, err);
}

/* A network's usual size stands in for the ports of a file while the data are opened. */
static vecq_status open_network(vecq_training *s, vecq_dataset_options *options, vecq_error *err)
{
    const vecq_network *network = vecq_zoo_find(s->recipe->model.network);
    vecq_ports usual = {0};

    if (network == NULL)
        return vecq_error_set(err, VECQ_ERR_VALUE,
                              "there is no network '%s' (vecq train --networks lists them)",
                              s->recipe->model.network);
    if (network->kind == VECQ_NETWORK_TEXT)
        usual.length = network->length;
    else if (strncmp(s->recipe->data.train != NULL ? s->recipe->data.train : "", "images:", 7) == 0) {
        usual.channels = network->channels;
        usual.height = network->height;
        usual.width = network->width;
    }
    VECQ_TRY(open_data(s, &usual, options, err));
    VECQ_TRY(make_network(s, network, err));
    s->ir = &vecq_model_document(s->model)->ir;
    return vecq_ports_find(s->ir, s->recipe->model.input, s->recipe->model.output, &s->ports, err);
}

static vecq_status open_file(vecq_training *s, vecq_dataset_options *options, vecq_error *err)
{
    vecq_status status;

    VECQ_TRY(vecq_model_load(s->recipe->model.file, &s->model, err));
    status = vecq_preprocessing_merge(s->model, s->recipe, &s->arena, &s->merged, &s->vocabulary,
                                      &s->n_vocabulary, err);
    if (status != VECQ_OK) {
        vecq_error_prefix(err, "%s", s->recipe->model.file);
        return status;
    }
    s->recipe = &s->merged;
    s->ir = &vecq_model_document(s->model)->ir;
    status = vecq_ports_find(s->ir, s->recipe->model.input, s->recipe->model.output, &s->ports, err);
    if (status != VECQ_OK) {
        vecq_error_prefix(err, "%s", s->recipe->model.file);
        return status;
    }
    return open_data(s, &s->ports, options, err);
}

static vecq_status open_teacher(vecq_training *s, vecq_error *err)
{
    const char *path = s->recipe->distill.teacher;
    vecq_status status;
    int is_self;

    if (path == NULL)
        return VECQ_OK;
    is_self = strcmp(path, "self") == 0;
    if (is_self)
        path = s->recipe->model.file;
    VECQ_TRY(vecq_model_load(path, &s->teacher, err));
    status = vecq_ports_find(&vecq_model_document(s->teacher)->ir, is_self ? s->recipe->model.input : NULL,
                             is_self ? s->recipe->model.output : NULL, &s->teacher_ports, err);
    if (status == VECQ_OK)
        status = vecq_ports_fit(&s->teacher_ports, vecq_dataset_describe(s->train), err);
    if (status == VECQ_OK && s->teacher_ports.layout != s->ports.layout)
        status = vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                                "teacher and student take images in different orders of axes");
    if (status != VECQ_OK)
        vecq_error_prefix(err, "teacher %s", path);
    return status;
}

vecq_status vecq_training_backends(const vecq_recipe *r, const vecq_backend *list[4], size_t *n,
                                   vecq_error *err)
{
    *n = 0;
    if (r->backend == VECQ_RECIPE_BACKEND_REF)
        return VECQ_OK;
    if (r->backend == VECQ_RECIPE_BACKEND_ONEDNN && vecq_backend_find("onednn") == NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "this build has no oneDNN backend: set backend=ref");
    if (r->backend != VECQ_RECIPE_BACKEND_AUTO) {
        list[(*n)++] = vecq_backend_find(r->backend == VECQ_RECIPE_BACKEND_ONEDNN ? "onednn" : "lowbit");
        return VECQ_OK;
    }
    while (*n < 4 && vecq_backend_at(*n) != NULL) {
        list[*n] = vecq_backend_at(*n);
        ++*n;
    }
    return VECQ_OK;
}

vecq_status vecq_training_open(vecq_training *s, const vecq_recipe *recipe, vecq_error *err)
{
    vecq_dataset_options options;

    memset(s, 0, sizeof *s);
    s->recipe = recipe;
    VECQ_TRY(vecq_recipe_check(recipe, err));
    if (recipe->precision != VECQ_RECIPE_F32)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "precision bf16: no backend of this build computes in it; set precision=f32");
    VECQ_TRY(vecq_training_backends(recipe, s->backends, &s->n_backends, err));
    VECQ_TRY(recipe->model.network != NULL ? open_network(s, &options, err) : open_file(s, &options, err));
    VECQ_TRY(vecq_ports_fit(&s->ports, vecq_dataset_describe(s->train), err));
    VECQ_TRY(open_loaders(s, err));
    return open_teacher(s, err);
}

void vecq_training_close(vecq_training *s)
{
    vecq_training_clear_stage(s);
    vecq_loader_destroy(s->train_loader);
    vecq_loader_destroy(s->holdout_loader);
    vecq_loader_destroy(s->test_loader);
    vecq_dataset_close(s->train);
    vecq_dataset_close(s->holdout);
    vecq_dataset_close(s->test);
    vecq_store_clear(&s->store);
    vecq_model_close(s->teacher);
    vecq_model_close(s->model);
    vecq_free(s->made);
    vecq_recipe_clear(&s->merged);
    vecq_arena_clear(&s->arena);
    memset(s, 0, sizeof *s);
}
