/* SPDX-License-Identifier: Apache-2.0 */
/* One sample through the way of all others: a data set of one, its loader, a batch. */
#include <string.h>

#include "base/status.h"
#include "train/preprocessing.h"
#include "train/training.h"

struct vecq_preparer {
    vecq_recipe recipe;
    vecq_model *model;
    vecq_ports ports; /* as the model tells */
    vecq_arena arena; /* of the vocabulary */
    const char **vocabulary;
    size_t n_vocabulary;
};

static vecq_status preparer_open(vecq_preparer *p, const char *path, const vecq_recipe *recipe,
                                 vecq_error *err)
{
    VECQ_TRY(vecq_model_load(path, &p->model, err));
    VECQ_TRY(vecq_preprocessing_merge(p->model, recipe, &p->arena, &p->recipe, &p->vocabulary,
                                      &p->n_vocabulary, err));
    return vecq_ports_find(&vecq_model_document(p->model)->ir, p->recipe.model.input, p->recipe.model.output,
                           &p->ports, err);
}

vecq_status vecq_preparer_create(const char *model, const vecq_recipe *recipe, vecq_preparer **out,
                                 vecq_error *err)
{
    vecq_preparer *p = vecq_calloc(1, sizeof *p);
    vecq_error why = VECQ_ERROR_INIT;
    vecq_status status;

    *out = NULL;
    if (p == NULL)
        return vecq_error_memory(err, sizeof *p);
    status = preparer_open(p, model, recipe, &why);
    if (status != VECQ_OK) {
        vecq_preparer_destroy(p);
        if (strncmp(why.message, model, strlen(model)) == 0)
            return vecq_error_set(err, status, "%s", why.message);
        return vecq_error_set(err, status, "%s: %s", model, why.message);
    }
    *out = p;
    return VECQ_OK;
}

void vecq_preparer_destroy(vecq_preparer *p)
{
    if (p == NULL)
        return;
    vecq_model_close(p->model);
    vecq_arena_clear(&p->arena);
    vecq_recipe_clear(&p->recipe);
    vecq_free(p);
}

/* The only batch of a loader, in the type and shape of the model's input. */
static vecq_status take_batch(const vecq_ports *ports, vecq_loader *loader, vecq_tensor *out, vecq_error *err)
{
    int64_t dims[VECQ_MAX_RANK];
    vecq_batch batch;
    const void *data;
    int32_t *narrow;
    vecq_status status;

    memcpy(dims, ports->dims, sizeof dims);
    dims[0] = 1;
    VECQ_TRY(vecq_loader_next(loader, 0, &batch, err));
    VECQ_TRY(vecq_tensor_create(ports->dtype, ports->rank, dims, out, err));
    narrow = vecq_alloc(out->count, sizeof *narrow);
    status = narrow == NULL ? vecq_error_memory(err, out->count * sizeof *narrow) : VECQ_OK;
    if (status == VECQ_OK) {
        data = vecq_batch_data(&batch, ports->dtype, out->count, narrow);
        memcpy(out->data, data, out->n_bytes);
    } else {
        vecq_tensor_destroy(out);
    }
    vecq_free(narrow);
    return status;
}

static vecq_status prepare(const vecq_preparer *p, const vecq_dataset *data, vecq_tensor *out,
                           vecq_error *err)
{
    const vecq_dataset_info *info = vecq_dataset_describe(data);
    double mean[VECQ_DATA_CHANNELS_MAX] = {0}, std[VECQ_DATA_CHANNELS_MAX] = {0};
    vecq_ports ports = p->ports;
    vecq_loader_options options;
    vecq_loader *loader;
    vecq_status status;

    VECQ_TRY(vecq_ports_fit(&ports, info, err));
    vecq_loader_defaults(&options);
    if (info->kind == VECQ_DATASET_IMAGES) {
        VECQ_TRY(vecq_training_normalisation(&p->recipe, info, info->channels, mean, std, err));
        memcpy(options.mean, mean, sizeof options.mean);
        memcpy(options.std, std, sizeof options.std);
    }
    options.scale = p->recipe.data.scale;
    options.layout = ports.layout == VECQ_PORTS_NHWC ? VECQ_LAYOUT_NHWC : VECQ_LAYOUT_NCHW;
    options.batch = 1;
    options.prefetch = 0;
    VECQ_TRY(vecq_loader_create(data, &options, &loader, err));
    status = take_batch(&ports, loader, out, err);
    vecq_loader_destroy(loader);
    return status;
}

static void sample_options(const vecq_preparer *p, vecq_dataset_options *out)
{
    vecq_training_data_options(&p->recipe, &p->ports, out);
    out->holdout = 0;
    out->statistics = 0;
    if (p->n_vocabulary > 0) {
        out->vocabulary = p->vocabulary;
        out->n_vocabulary = p->n_vocabulary;
    }
}

vecq_status vecq_preparer_image(vecq_preparer *p, const char *path, vecq_tensor *out, vecq_error *err)
{
    vecq_dataset_options options;
    vecq_dataset *data;
    vecq_status status;

    memset(out, 0, sizeof *out);
    sample_options(p, &options);
    VECQ_TRY(vecq_dataset_of_image(path, &options, &data, err));
    status = prepare(p, data, out, err);
    vecq_dataset_close(data);
    return status;
}

vecq_status vecq_preparer_text(vecq_preparer *p, const char *text, vecq_tensor *out, vecq_error *err)
{
    vecq_dataset_options options;
    vecq_dataset *data;
    vecq_status status;

    memset(out, 0, sizeof *out);
    sample_options(p, &options);
    VECQ_TRY(vecq_dataset_of_text(text, &options, &data, err));
    status = prepare(p, data, out, err);
    vecq_dataset_close(data);
    return status;
}
