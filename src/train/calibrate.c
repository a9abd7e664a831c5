/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a trained model over a part of its training data to see what its activations are like. The model
 * computes as it is, in float or from packed weights; nothing of the data is kept but a histogram for each
 * activation.
 */
#include <string.h>

#include "base/status.h"
#include "onnx/calibration.h"
#include "train/feed.h"
#include "train/training.h"

#define BATCH 32 /* a larger one needs more memory and gives the same */

typedef struct calibrator {
    const vecq_calibrate_options *options;
    vecq_feed feed;
    vecq_program program;
    vecq_store store; /* histograms and scales */
    vecq_exec *exec;
} calibrator;

static void clear_program(calibrator *c)
{
    vecq_exec_destroy(c->exec);
    vecq_program_clear(&c->program);
    vecq_store_clear(&c->store);
    c->exec = NULL;
    memset(&c->program, 0, sizeof c->program);
    memset(&c->store, 0, sizeof c->store);
}

static vecq_status lower(calibrator *c, vecq_error *err)
{
    const vecq_recipe *r = &c->feed.subject.recipe;
    vecq_var **outputs = vecq_alloc(vecq_feed_outputs(&c->feed), sizeof *outputs);
    vecq_lower_options options = {.is_frozen = 1,
                                  .act = {.bits = c->options->bits,
                                          .include = r->quantize.act_include.items,
                                          .n_include = r->quantize.act_include.n,
                                          .exclude = r->quantize.act_exclude.items,
                                          .n_exclude = r->quantize.act_exclude.n,
                                          .is_observed = 1}};
    vecq_status status = outputs == NULL
                             ? vecq_error_memory(err, vecq_feed_outputs(&c->feed) * sizeof *outputs)
                             : vecq_feed_lower(&c->feed, &c->program, &c->store, &options, outputs, err);

    vecq_free((void *)outputs);
    return status;
}

static vecq_status build(calibrator *c, vecq_error *err)
{
    const vecq_recipe *r = &c->feed.subject.recipe;
    const vecq_backend *backends[4];
    vecq_exec_options exec = {.backends = backends, .threads = r->threads};

    VECQ_TRY(vecq_training_backends(r, backends, &exec.n_backends, err));
    VECQ_TRY(lower(c, err));
    return vecq_exec_create(&c->program, &exec, &c->exec, err);
}

/* Some models that say "batch 1" mean it. */
static vecq_status prepare(calibrator *c, vecq_error *err)
{
    vecq_error first = VECQ_ERROR_INIT;
    vecq_status status = build(c, &first);

    if (status != VECQ_OK && status != VECQ_ERR_MEMORY && c->feed.may_be_alone && c->feed.batch > 1) {
        clear_program(c);
        c->feed.batch = 1;
        return build(c, err);
    }
    return status == VECQ_OK ? VECQ_OK : vecq_error_set(err, status, "%s", first.message);
}

static vecq_status run(calibrator *c, uint64_t *samples, vecq_error *err)
{
    uint64_t i, n = c->options->samples / c->feed.batch, most = vecq_feed_batches(&c->feed);
    const vecq_calibrate_options *o = c->options;
    vecq_run call = {.threads = c->feed.subject.recipe.threads};

    n = n < 1 ? 1 : n < most ? n : most;
    for (i = 0; i < n; i++) {
        if (o->progress != NULL && o->progress(o->progress_context, "calibrating", "batches", i, n) != 0)
            return vecq_error_set(err, VECQ_ERR_CANCELLED, "interrupted");
        VECQ_TRY(vecq_feed_bind(&c->feed, c->exec, i, err));
        VECQ_TRY(vecq_exec_run(c->exec, &call, err));
    }
    if (o->progress != NULL)
        o->progress(o->progress_context, "calibrating", "batches", n, n);
    *samples = n * c->feed.batch;
    return VECQ_OK;
}

static size_t batch_of(const vecq_recipe *recipe, uint64_t samples)
{
    size_t batch = vecq_recipe_is_given(recipe, "train.eval_batch") ? recipe->train.eval_batch : BATCH;

    return batch < samples ? batch : (size_t)samples;
}

/* Folders and files come class by class: samples are drawn. */
static vecq_status calibrate(calibrator *c, vecq_model *model, const vecq_recipe *recipe,
                             vecq_calibration **out, vecq_error *err)
{
    const vecq_subject *s = &c->feed.subject;
    int64_t opset = vecq_model_document(model)->ir.main->opset;
    uint64_t samples = 0;

    if (opset < 10) /* before anything is run: it could not be written */
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "%s: quantized activations need opset 10 or later and the model has %lld: "
                              "convert it",
                              vecq_model_document(model)->name, (long long)opset);
    VECQ_TRY(vecq_feed_open(&c->feed, model, vecq_model_document(model)->name, recipe, VECQ_SPLIT_TRAIN, 1,
                            batch_of(recipe, c->options->samples), err));
    VECQ_TRY(vecq_subject_blame(s, prepare(c, err), err));
    VECQ_TRY(run(c, &samples, err));
    return vecq_subject_blame(s,
                              vecq_calibration_make(model, vecq_program_act_sites(&c->program),
                                                    c->options->rule, samples, out, err),
                              err);
}

void vecq_calibrate_options_default(vecq_calibrate_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
    options->bits = 8;
    options->samples = 512;
}

vecq_status vecq_model_calibrate(vecq_model *model, const vecq_recipe *recipe,
                                 const vecq_calibrate_options *options, vecq_calibration **out,
                                 vecq_error *err)
{
    calibrator c = {.options = options};
    vecq_status status;

    *out = NULL;
    if (options->size != sizeof *options)
        return vecq_error_set(err, VECQ_ERR_USAGE,
                              "vecq_calibrate_options of another version of the library");
    if (options->bits < 2 || options->bits > 8 || options->samples < 1 ||
        (unsigned)options->rule > VECQ_ACT_MAX)
        return vecq_error_set(err, VECQ_ERR_USAGE, "a calibrate option is out of range");
    status = calibrate(&c, model, recipe, out, err);
    clear_program(&c);
    vecq_feed_close(&c.feed);
    return status;
}
