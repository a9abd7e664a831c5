/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation of a model file, with the preprocessing that it remembers or that the caller gives. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "eval/tally.h"
#include "graph/rounding.h"
#include "train/subject.h"
#include "train/training.h"

/* A model and the data as it takes them. */
typedef struct runner {
    vecq_subject subject;
    vecq_model *model;
    vecq_loader *loader;
    vecq_evaluator *evaluator;
    vecq_metrics metrics;
} runner;

typedef struct evaluation {
    const vecq_eval_options *options;
    runner first, other; /* other.model NULL: alone */
    vecq_tally tally;
    vecq_agreement agreement;
} evaluation;

/* A result and what it points to. */
typedef struct eval_box {
    vecq_eval_result result; /* first: callers have its address */
    vecq_eval_against against;
    vecq_arena arena;
} eval_box;

static void runner_close(runner *r)
{
    vecq_evaluator_destroy(r->evaluator);
    vecq_loader_destroy(r->loader);
    vecq_subject_close(&r->subject);
    vecq_model_close(r->model);
}

static vecq_status runner_open(runner *r, const char *path, const vecq_recipe *recipe, vecq_eval_split split,
                               unsigned act_bits, vecq_error *err)
{
    static const vecq_split splits[] = {VECQ_SPLIT_TRAIN, VECQ_SPLIT_VALIDATION, VECQ_SPLIT_TEST};
    vecq_subject *s = &r->subject;
    const vecq_backend *backends[4];
    vecq_lower_options lower = {.is_frozen = 1, .keep_packed = 1};
    vecq_evaluator_options options = {.ports = &s->ports,
                                      .lower = &lower,
                                      .is_simplified = 1,
                                      .act_bits = act_bits,
                                      .backends = backends,
                                      .threads = recipe->threads};

    VECQ_TRY(vecq_model_load(path, &r->model, err));
    VECQ_TRY(vecq_subject_open(s, r->model, path, recipe, err));
    VECQ_TRY(vecq_subject_open_data(s, splits[split], err));
    VECQ_TRY(vecq_training_eval_loader(&s->recipe, &s->ports, s->data, s->mean, s->std, &r->loader, err));
    VECQ_TRY(vecq_training_backends(&s->recipe, backends, &options.n_backends, err));
    options.batch = s->recipe.train.eval_batch;
    options.classes = vecq_dataset_describe(s->data)->n_classes;
    return vecq_subject_blame(s, vecq_evaluator_create(s->ir, &options, &r->evaluator, err), err);
}

static vecq_status prepare(evaluation *e, const char *path, const vecq_recipe *recipe, vecq_error *err)
{
    const vecq_eval_options *o = e->options;
    size_t width, other;

    VECQ_TRY(runner_open(&e->first, path, recipe, o->split, o->act_bits, err));
    width = vecq_evaluator_classes(e->first.evaluator);
    VECQ_TRY(vecq_tally_create(&e->tally, width, o->confusion, err));
    e->tally.n_top = o->n_top;
    memcpy(e->tally.top, o->top != NULL ? o->top : e->tally.top, o->n_top * sizeof *o->top);
    if (o->against == NULL)
        return VECQ_OK;
    VECQ_TRY(runner_open(&e->other, o->against, recipe, o->split, 0, err));
    other = vecq_evaluator_classes(e->other.evaluator);
    if (width != other)
        return vecq_error_set(err, VECQ_ERR_VALUE, "%s: has %zu logits, %s has %zu", o->against, other, path,
                              width);
    return VECQ_OK;
}

static vecq_status step(evaluation *e, uint64_t i, vecq_error *err)
{
    size_t width = vecq_evaluator_classes(e->first.evaluator);
    const float *logits, *others;
    vecq_batch batch, other;

    VECQ_TRY(vecq_evaluator_step(e->first.evaluator, e->first.loader, i, &batch, &logits, err));
    vecq_metrics_add(&e->first.metrics, logits, batch.labels, batch.n, width);
    vecq_tally_add(&e->tally, logits, batch.labels, batch.n, width);
    if (e->other.evaluator == NULL)
        return VECQ_OK;
    VECQ_TRY(vecq_evaluator_step(e->other.evaluator, e->other.loader, i, &other, &others, err));
    vecq_metrics_add(&e->other.metrics, others, other.labels, other.n, width);
    vecq_agreement_add(&e->agreement, logits, others, batch.labels, batch.n, width);
    return VECQ_OK;
}

static vecq_status run(evaluation *e, vecq_error *err)
{
    uint64_t i, n = vecq_loader_batches(e->first.loader);
    const vecq_eval_options *o = e->options;

    for (i = 0; i < n; i++) {
        if (o->progress != NULL && o->progress(o->progress_context, "evaluating", "batches", i, n) != 0)
            return vecq_error_set(err, VECQ_ERR_CANCELLED, "interrupted");
        VECQ_TRY(step(e, i, err));
    }
    if (o->progress != NULL)
        o->progress(o->progress_context, "evaluating", "batches", n, n);
    return VECQ_OK;
}

/* ---- results ---- */

static void *keep(vecq_arena *arena, const void *data, size_t n, size_t size)
{
    void *copy = vecq_arena_alloc(arena, n, size);

    if (copy != NULL && n > 0)
        memcpy(copy, data, n * size);
    return copy;
}

static vecq_status fill_names(eval_box *box, const vecq_dataset_info *info, vecq_error *err)
{
    const char **names;
    size_t i;

    if (info->class_names == NULL)
        return VECQ_OK;
    names = vecq_arena_alloc(&box->arena, info->n_classes, sizeof *names);
    for (i = 0; names != NULL && i < info->n_classes; i++) {
        names[i] = vecq_arena_string(&box->arena, info->class_names[i], strlen(info->class_names[i]));
        if (names[i] == NULL)
            names = NULL;
    }
    if (names == NULL)
        return vecq_error_memory(err, info->n_classes * sizeof *names);
    box->result.class_names = names;
    box->result.n_class_names = info->n_classes;
    return VECQ_OK;
}

static void fill_against(const evaluation *e, vecq_eval_against *out)
{
    const vecq_agreement *a = &e->agreement;

    out->accuracy = vecq_metrics_accuracy(&e->other.metrics);
    out->loss = vecq_metrics_loss(&e->other.metrics);
    out->n_bad = e->other.metrics.n_bad;
    out->samples = a->n;
    out->same = a->n > 0 ? (double)a->same / (double)a->n : NAN;
    out->both_right = a->both_right;
    out->only_this_right = a->first_right;
    out->only_other_right = a->second_right;
    out->none_right = a->none_right;
    out->p_value = vecq_agreement_p(a);
    out->mean_difference = a->values > 0 ? a->sum_abs / (double)a->values : NAN;
    out->largest_difference = a->values > 0 ? a->max_abs : NAN;
    out->sqnr_db = a->values > 0 ? 10 * log10(a->second_squares / a->sum_squares) : NAN;
}

static vecq_status fill(const evaluation *e, eval_box *box, vecq_error *err)
{
    const vecq_metrics *m = &e->first.metrics;
    const vecq_dataset_info *info = vecq_dataset_describe(e->first.subject.data);
    vecq_eval_result *out = &box->result;
    size_t i, n = e->tally.classes;
    double *top = vecq_arena_alloc(&box->arena, e->tally.n_top, sizeof *top);

    if (top == NULL)
        return vecq_error_memory(err, e->tally.n_top * sizeof *top);
    for (i = 0; i < e->tally.n_top; i++)
        top[i] = m->n > 0 ? (double)e->tally.hits[i] / (double)m->n : 0;
    out->samples = m->n;
    out->accuracy = vecq_metrics_accuracy(m);
    out->n_rounded = vecq_evaluator_rounded(e->first.evaluator);
    out->classes = vecq_evaluator_classes(e->first.evaluator);
    out->top5 = out->classes > 5 ? vecq_metrics_top5(m) : NAN;
    out->loss = vecq_metrics_loss(m);
    out->n_bad = m->n_bad;
    out->undivided = info->undivided;
    out->n_top = e->tally.n_top;
    out->top = top;
    out->n_answers = n;
    if (e->tally.confusion != NULL) {
        out->confusion = keep(&box->arena, e->tally.confusion, n * n, sizeof *out->confusion);
        if (out->confusion == NULL)
            return vecq_error_memory(err, n * n * sizeof *out->confusion);
    }
    if (e->options->against != NULL) {
        fill_against(e, &box->against);
        out->against = &box->against;
    }
    return fill_names(box, info, err);
}

void vecq_eval_result_free(vecq_eval_result *result)
{
    eval_box *box = (eval_box *)result;

    if (box == NULL)
        return;
    vecq_arena_clear(&box->arena);
    vecq_free(box);
}

void vecq_eval_options_default(vecq_eval_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
    options->split = VECQ_EVAL_TEST;
}

static vecq_status check_options(const vecq_eval_options *o, vecq_error *err)
{
    size_t i;

    if (o->size != sizeof *o)
        return vecq_error_set(err, VECQ_ERR_USAGE, "vecq_eval_options of another version of the library");
    if ((unsigned)o->split > VECQ_EVAL_TEST || o->n_top > VECQ_TALLY_TOP_MAX)
        return vecq_error_set(err, VECQ_ERR_USAGE, "an evaluation option is out of range");
    VECQ_TRY(vecq_rounding_check(o->act_bits, err));
    for (i = 0; i < o->n_top; i++)
        if (o->top[i] == 0)
            return vecq_error_set(err, VECQ_ERR_USAGE, "ranks begin with 1");
    return VECQ_OK;
}

static vecq_status evaluate(evaluation *e, const char *model, const vecq_recipe *recipe, eval_box *box,
                            vecq_error *err)
{
    double start;

    VECQ_TRY(prepare(e, model, recipe, err));
    start = vecq_clock_seconds();
    VECQ_TRY(run(e, err));
    box->result.seconds = vecq_clock_seconds() - start;
    return fill(e, box, err);
}

vecq_status vecq_evaluate(const char *model, const vecq_recipe *recipe, const vecq_eval_options *options,
                          vecq_eval_result **out, vecq_error *err)
{
    vecq_eval_options defaults;
    evaluation e;
    eval_box *box;
    vecq_status status;

    *out = NULL;
    vecq_eval_options_default(&defaults);
    memset(&e, 0, sizeof e);
    e.options = options != NULL ? options : &defaults;
    VECQ_TRY(check_options(e.options, err));
    box = vecq_calloc(1, sizeof *box);
    if (box == NULL)
        return vecq_error_memory(err, sizeof *box);
    status = evaluate(&e, model, recipe, box, err);
    runner_close(&e.first);
    runner_close(&e.other);
    vecq_tally_clear(&e.tally);
    if (status == VECQ_OK)
        *out = &box->result;
    else
        vecq_eval_result_free(&box->result);
    return status;
}
