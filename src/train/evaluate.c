/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation of a model file, with the preprocessing that it remembers or that the caller gives. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "train/preprocessing.h"
#include "train/training.h"

typedef struct evaluation {
    vecq_recipe recipe;
    vecq_model *model;
    vecq_ports ports;
    vecq_dataset *data;
    vecq_loader *loader;
    vecq_evaluator *evaluator;
    vecq_arena arena; /* of the vocabulary */
    const char **vocabulary;
    size_t n_vocabulary;
} evaluation;

static void evaluation_close(evaluation *e)
{
    vecq_evaluator_destroy(e->evaluator);
    vecq_loader_destroy(e->loader);
    vecq_dataset_close(e->data);
    vecq_model_close(e->model);
    vecq_arena_clear(&e->arena);
    vecq_recipe_clear(&e->recipe);
}

/* Messages about the model begin with its file, those about data with theirs. */
static vecq_status of_model(const char *path, vecq_status status, vecq_error *err)
{
    if (status != VECQ_OK && err != NULL)
        vecq_error_prefix(err, "%s", path);
    return status;
}

static vecq_status open_data(evaluation *e, const char *path, int split, vecq_error *err)
{
    const vecq_recipe *r = &e->recipe;
    const char *spec = split == 2 && r->data.test != NULL ? r->data.test : r->data.train;
    double mean[VECQ_DATA_CHANNELS_MAX], std[VECQ_DATA_CHANNELS_MAX];
    const vecq_dataset_info *info;
    vecq_dataset_options options;

    if (spec == NULL)
        spec = r->data.test;
    if (spec == NULL)
        return vecq_error_set(err, VECQ_ERR_VALUE, "there are no data: give --data KIND:PLACE");
    vecq_training_data_options(r, &e->ports, &options);
    options.split = split == 0 ? VECQ_SPLIT_TRAIN : split == 1 ? VECQ_SPLIT_VALIDATION : VECQ_SPLIT_TEST;
    if (e->n_vocabulary > 0) {
        options.vocabulary = e->vocabulary;
        options.n_vocabulary = e->n_vocabulary;
    }
    VECQ_TRY(vecq_dataset_open(spec, &options, &e->data, err));
    info = vecq_dataset_describe(e->data);
    VECQ_TRY(of_model(path, vecq_ports_fit(&e->ports, info, err), err));
    memset(mean, 0, sizeof mean);
    memset(std, 0, sizeof std);
    if (info->kind == VECQ_DATASET_IMAGES)
        VECQ_TRY(vecq_training_normalisation(r, info, info->channels, mean, std, err));
    return vecq_training_eval_loader(r, &e->ports, e->data, mean, std, &e->loader, err);
}

static vecq_status prepare(evaluation *e, const char *path, const vecq_recipe *recipe, int split,
                           vecq_error *err)
{
    const vecq_backend *backends[4];
    vecq_lower_options lower = {.is_frozen = 1, .keep_packed = 1};
    vecq_evaluator_options options = {
        .ports = &e->ports, .lower = &lower, .backends = backends, .threads = recipe->threads};

    VECQ_TRY(vecq_model_load(path, &e->model, err));
    VECQ_TRY(of_model(path,
                      vecq_preprocessing_merge(e->model, recipe, &e->arena, &e->recipe, &e->vocabulary,
                                               &e->n_vocabulary, err),
                      err));
    VECQ_TRY(of_model(path,
                      vecq_ports_find(&vecq_model_document(e->model)->ir, e->recipe.model.input,
                                      e->recipe.model.output, &e->ports, err),
                      err));
    VECQ_TRY(open_data(e, path, split, err));
    VECQ_TRY(vecq_training_backends(&e->recipe, backends, &options.n_backends, err));
    options.batch = e->recipe.train.eval_batch;
    options.classes = vecq_dataset_describe(e->data)->n_classes;
    return of_model(
        path, vecq_evaluator_create(&vecq_model_document(e->model)->ir, &options, &e->evaluator, err), err);
}

vecq_status vecq_evaluate(const char *model, const vecq_recipe *recipe, int split, vecq_progress_fn progress,
                          void *context, vecq_eval_result *out, vecq_error *err)
{
    evaluation e;
    vecq_metrics metrics;
    double start;
    vecq_status status;

    memset(&e, 0, sizeof e);
    memset(out, 0, sizeof *out);
    status = prepare(&e, model, recipe, split, err);
    if (status == VECQ_OK) {
        start = vecq_clock_seconds();
        status = vecq_evaluator_run(e.evaluator, e.loader, progress, context, &metrics, err);
        out->seconds = vecq_clock_seconds() - start;
    }
    if (status == VECQ_OK) {
        out->samples = metrics.n;
        out->accuracy = vecq_metrics_accuracy(&metrics);
        out->classes = vecq_evaluator_classes(e.evaluator);
        out->top5 = out->classes > 5 ? vecq_metrics_top5(&metrics) : NAN;
        out->loss = vecq_metrics_loss(&metrics);
        out->n_bad = metrics.n_bad;
        out->undivided = vecq_dataset_describe(e.data)->undivided;
    }
    evaluation_close(&e);
    return status;
}
