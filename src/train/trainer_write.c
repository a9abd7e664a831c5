/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a run: the model file, and the proof that it holds what was evaluated. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/status.h"
#include "data/vocabulary.h"
#include "train/preprocessing.h"
#include "train/trainer_private.h"

#define METADATA_SUMMARY "ai.vecq.training"

/* ---- before the run ---- */

static int is_same_file(const char *a, const char *b)
{
    struct stat x, y;

    if (a == NULL || b == NULL)
        return 0;
    return strcmp(a, b) == 0 || (stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) &&
                                 x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

vecq_status vecq_trainer_check_places(const vecq_recipe *r, const vecq_train_options *o, vecq_error *err)
{
    const char *const written[3] = {o->output, o->checkpoint, o->log};
    static const char *const what[3] = {"the model", "checkpoints", "the log"};
    vecq_output *output;
    size_t i, k;

    for (i = 0; i < 3; i++) {
        if (is_same_file(written[i], r->model.file) || is_same_file(written[i], r->distill.teacher))
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "%s: is an input: write %s to another file",
                                  written[i], what[i]);
        for (k = 0; k < i; k++)
            if (is_same_file(written[i], written[k]))
                return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                                      "%s: is for %s already: write %s to another file", written[i], what[k],
                                      what[i]);
    }
    if (o->output == NULL)
        return VECQ_OK;
    VECQ_TRY(vecq_output_open(o->output, &output, err));
    vecq_output_discard(output);
    return VECQ_OK;
}

/* ---- after it ---- */

/* "lenet5, 2 bits, 55 epochs, seed 1" */
static void summary_text(const vecq_trainer *t, char *text, size_t n)
{
    const vecq_recipe *r = t->training.recipe;
    size_t at = 0;

    if (r->model.network != NULL)
        at += (size_t)snprintf(text, n, "%s, ", r->model.network);
    if (at < n)
        at +=
            (size_t)snprintf(text + at, n - at, r->quantize.bits > 0 ? "%u bits" : "float", r->quantize.bits);
    if (r->quantize.act_bits > 0 && at < n)
        at += (size_t)snprintf(text + at, n - at, ", activations %u bits", r->quantize.act_bits);
    if (at < n)
        snprintf(text + at, n - at, ", %llu steps of %u, seed %llu", (unsigned long long)t->n_steps,
                 r->train.batch, (unsigned long long)r->seed);
}

static vecq_status write_model(vecq_trainer *t, const char *data, const char *vocabulary,
                               vecq_save_result *saved, vecq_error *err)
{
    vecq_training *s = &t->training;
    const vecq_recipe *r = s->recipe;
    char summary[256];
    vecq_trained_entry entries[3] = {
        {METADATA_SUMMARY, summary}, {VECQ_METADATA_DATA, data}, {VECQ_METADATA_VOCABULARY, vocabulary}};
    vecq_quantize_options quantize;
    vecq_trained_options options = {.store = &s->store,
                                    .learned_steps = r->quantize.lsq,
                                    .activations = vecq_program_act_sites(&s->stepper.program),
                                    .metadata = entries,
                                    .n_metadata = 3};

    summary_text(t, summary, sizeof summary);
    if (r->quantize.bits > 0) {
        vecq_training_quantize_options(s, r->quantize.bits, &quantize);
        options.quantize = &quantize;
    }
    VECQ_TRY(vecq_model_write_trained(s->model, &options, NULL, err));
    return vecq_model_save(s->model, t->options->output, NULL, saved, err);
}

/* The file as anybody will find it: loaded, lowered, run over the test data. */
static vecq_status evaluate_file(vecq_trainer *t, vecq_metrics *out, vecq_error *err)
{
    vecq_training *s = &t->training;
    vecq_lower_options lower = {.is_frozen = 1};
    vecq_evaluator_options options = {.ports = &s->ports,
                                      .batch = s->recipe->train.eval_batch,
                                      .classes = s->classes,
                                      .lower = &lower,
                                      .backends = s->backends,
                                      .n_backends = s->n_backends,
                                      .threads = s->recipe->threads};
    vecq_evaluator *evaluator = NULL;
    vecq_model *model = NULL;
    vecq_status status = vecq_model_load(t->options->output, &model, err);

    if (status == VECQ_OK)
        status = vecq_evaluator_create(&vecq_model_document(model)->ir, &options, &evaluator, err);
    if (status == VECQ_OK)
        status = vecq_evaluator_run(evaluator, s->test_loader, NULL, NULL, out, err);
    vecq_evaluator_destroy(evaluator);
    vecq_model_close(model);
    if (status != VECQ_OK)
        vecq_error_prefix(err, "the written file %s", t->options->output);
    return status;
}

static vecq_status compare(vecq_trainer *t, const vecq_metrics *expected, const vecq_metrics *found,
                           vecq_error *err)
{
    char text[200];

    if (found->correct == expected->correct && found->n == expected->n)
        return VECQ_OK;
    snprintf(
        text, sizeof text,
        "the written file gets %llu of %llu right, the trained network %llu: report this, with the recipe",
        (unsigned long long)found->correct, (unsigned long long)found->n,
        (unsigned long long)expected->correct);
    return vecq_trainer_say(t, VECQ_TRAIN_WARNING, text, err);
}

vecq_status vecq_trainer_write(vecq_trainer *t, const vecq_metrics *expected, vecq_train_result *result,
                               vecq_error *err)
{
    vecq_training *s = &t->training;
    const vecq_dataset_info *info = vecq_dataset_describe(s->train);
    char *data = NULL, *vocabulary = NULL;
    vecq_save_result saved;
    vecq_metrics found;
    vecq_status status = vecq_preprocessing_text(s->recipe, info, s->mean, s->std, &data, err);

    if (status == VECQ_OK && info->kind == VECQ_DATASET_TEXT &&
        (vocabulary = vecq_vocabulary_join(info->vocabulary, info->n_vocabulary)) == NULL)
        status = vecq_error_memory(err, info->n_vocabulary);
    if (status == VECQ_OK)
        status = write_model(t, data, vocabulary, &saved, err);
    vecq_free(data);
    vecq_free(vocabulary);
    VECQ_TRY(status);
    result->file_bytes = saved.file_bytes + saved.external_bytes;
    VECQ_TRY(evaluate_file(t, &found, err));
    result->file_accuracy = vecq_metrics_accuracy(&found);
    return compare(t, expected, &found, err);
}
