/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a trained model over a part of its training data to see what its activations are like. The model
 * computes as it is, in float or from packed weights; nothing of the data is kept but a histogram for each
 * activation.
 */
#include <string.h>

#include "backend/exec.h"
#include "base/status.h"
#include "eval/evaluator.h"
#include "graph/lower.h"
#include "onnx/calibration.h"
#include "train/subject.h"
#include "train/training.h"

#define BATCH 32 /* a larger one needs more memory and gives the same */

typedef struct calibrator {
    const vecq_calibrate_options *options;
    vecq_subject subject;
    size_t batch;
    vecq_loader *loader;
    vecq_program program;
    vecq_store store; /* histograms and scales */
    vecq_exec *exec;
    vecq_var *input;
    int32_t *narrow; /* token ids of a model that takes int32 */
} calibrator;

static void clear_program(calibrator *c)
{
    vecq_exec_destroy(c->exec);
    vecq_program_clear(&c->program);
    vecq_store_clear(&c->store);
    vecq_free(c->narrow);
    vecq_loader_destroy(c->loader);
    c->exec = NULL;
    c->narrow = NULL;
    c->loader = NULL;
    memset(&c->program, 0, sizeof c->program);
    memset(&c->store, 0, sizeof c->store);
}

/* ---- programs ---- */

static vecq_status lower(calibrator *c, vecq_error *err)
{
    const vecq_recipe *r = &c->subject.recipe;
    const vecq_graph *graph = c->subject.ir->main;
    size_t n = r->model.output != NULL ? 1 : graph->n_outputs, i;
    const char **names = vecq_alloc(n, sizeof *names);
    vecq_var **outputs = vecq_alloc(n, sizeof *outputs);
    vecq_lower_options options = {.is_frozen = 1,
                                  .act = {.bits = c->options->bits,
                                          .include = r->quantize.act_include.items,
                                          .n_include = r->quantize.act_include.n,
                                          .exclude = r->quantize.act_exclude.items,
                                          .n_exclude = r->quantize.act_exclude.n,
                                          .is_observed = 1}};
    vecq_lower_input input = {.name = c->subject.ports.input, .var = c->input};
    vecq_status status = VECQ_OK;

    if (names == NULL || outputs == NULL)
        status = vecq_error_memory(err, n * sizeof *names);
    for (i = 0; status == VECQ_OK && i < n; i++)
        names[i] = r->model.output != NULL ? r->model.output : graph->outputs[i]->name;
    if (status == VECQ_OK)
        status = vecq_lower_graph(&c->program, &c->store, c->subject.ir, &options, &input, 1, names, n,
                                  outputs, err);
    for (i = 0; status == VECQ_OK && i < n; i++)
        outputs[i]->is_output = 1;
    vecq_free((void *)names);
    vecq_free((void *)outputs);
    return status;
}

static vecq_status build(calibrator *c, vecq_error *err)
{
    const vecq_subject *s = &c->subject;
    const vecq_backend *backends[4];
    vecq_exec_options exec = {.backends = backends, .threads = s->recipe.threads};

    VECQ_TRY(vecq_training_backends(&s->recipe, backends, &exec.n_backends, err));
    VECQ_TRY(vecq_ports_input(&s->ports, c->batch, &c->program, &c->input, err));
    VECQ_TRY(lower(c, err));
    vecq_program_prune(&c->program);
    if (s->ports.dtype == VECQ_DT_INT32) {
        c->narrow = vecq_alloc(c->input->count, sizeof *c->narrow);
        if (c->narrow == NULL)
            return vecq_error_memory(err, c->input->count * sizeof *c->narrow);
    }
    return vecq_exec_create(&c->program, &exec, &c->exec, err);
}

/* Whole batches only: rows of zeros would be counted too. */
static size_t choose_batch(const calibrator *c)
{
    const vecq_recipe *r = &c->subject.recipe;
    size_t n = vecq_dataset_describe(c->subject.data)->n;
    size_t batch = vecq_recipe_is_given(r, "train.eval_batch") ? r->train.eval_batch : BATCH;

    if (c->subject.ports.dims[0] > 1)
        return (size_t)c->subject.ports.dims[0];
    batch = batch < c->options->samples ? batch : (size_t)c->options->samples;
    return batch < n ? batch : n;
}

/* Some models that say "batch 1" mean it. */
static vecq_status prepare(calibrator *c, vecq_error *err)
{
    vecq_error first = VECQ_ERROR_INIT;
    vecq_status status;

    c->batch = choose_batch(c);
    status = build(c, &first);
    if (status == VECQ_ERR_UNSUPPORTED && c->batch > 1 && c->subject.ports.dims[0] == 1) {
        clear_program(c);
        c->batch = 1;
        status = build(c, err);
    } else if (status != VECQ_OK) {
        vecq_error_set(err, status, "%s", first.message);
    }
    VECQ_TRY(status);
    return vecq_training_calibration_loader(&c->subject.recipe, &c->subject.ports, c->subject.data,
                                            c->subject.mean, c->subject.std, c->batch, &c->loader, err);
}

/* ---- running ---- */

static vecq_status run(calibrator *c, uint64_t *samples, vecq_error *err)
{
    uint64_t i, n = c->options->samples / c->batch, most = vecq_loader_batches(c->loader);
    const vecq_calibrate_options *o = c->options;
    vecq_run call = {.threads = c->subject.recipe.threads};
    vecq_batch batch;

    n = n < 1 ? 1 : n < most ? n : most;
    for (i = 0; i < n; i++) {
        if (o->progress != NULL && o->progress(o->progress_context, "calibrating", "batches", i, n) != 0)
            return vecq_error_set(err, VECQ_ERR_CANCELLED, "interrupted");
        VECQ_TRY(vecq_loader_next(c->loader, i, &batch, err));
        vecq_exec_bind(c->exec, c->input,
                       vecq_batch_data(&batch, c->subject.ports.dtype, c->input->count, c->narrow));
        VECQ_TRY(vecq_exec_run(c->exec, &call, err));
    }
    if (o->progress != NULL)
        o->progress(o->progress_context, "calibrating", "batches", n, n);
    *samples = n * c->batch;
    return VECQ_OK;
}

static vecq_status calibrate(calibrator *c, vecq_model *model, const vecq_recipe *recipe,
                             vecq_calibration **out, vecq_error *err)
{
    const char *name = vecq_model_document(model)->name;
    uint64_t samples = 0;

    VECQ_TRY(vecq_subject_open(&c->subject, model, name, recipe, err));
    VECQ_TRY(vecq_subject_open_data(&c->subject, VECQ_SPLIT_TRAIN, err));
    VECQ_TRY(vecq_subject_blame(&c->subject, prepare(c, err), err));
    VECQ_TRY(run(c, &samples, err));
    return vecq_subject_blame(&c->subject,
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
    vecq_subject_close(&c.subject);
    return status;
}
