/* SPDX-License-Identifier: Apache-2.0 */
/* All outputs of two models over the same data, compared number by number. */
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "eval/difference.h"
#include "graph/rounding.h"
#include "train/feed.h"
#include "train/training.h"

#define BATCH 16

/* A model with its inputs, ready to run. */
typedef struct side {
    const char *path;
    vecq_model *model;
    vecq_feed feed;
    vecq_program program;
    vecq_var **outputs;
    vecq_exec *exec;
    unsigned act_bits;
    size_t rounded;
} side;

typedef struct comparison {
    const vecq_eval_options *options;
    side first, second;
    vecq_difference *differences;
    size_t n;
} comparison;

typedef struct outputs_box {
    vecq_outputs_result result; /* first: callers have its address */
    vecq_arena arena;
} outputs_box;

static void side_close(side *s)
{
    vecq_exec_destroy(s->exec);
    vecq_program_clear(&s->program);
    vecq_free((void *)s->outputs);
    vecq_feed_close(&s->feed);
    vecq_model_close(s->model);
}

/* Programs of a try that failed go. */
static vecq_status side_build(side *s, vecq_error *err)
{
    const vecq_recipe *r = &s->feed.subject.recipe;
    vecq_lower_options lower = {.is_frozen = 1, .keep_packed = s->act_bits > 0};
    const vecq_backend *backends[4];
    vecq_exec_options exec = {.backends = backends, .threads = r->threads};
    vecq_status status;

    VECQ_TRY(vecq_training_backends(r, backends, &exec.n_backends, err));
    status = vecq_feed_lower(&s->feed, &s->program, NULL, &lower, s->outputs, err);
    if (status == VECQ_OK)
        status = vecq_program_round_activations(&s->program, s->act_bits, &s->rounded, err);
    if (status == VECQ_OK)
        status = vecq_exec_create(&s->program, &exec, &s->exec, err);
    if (status != VECQ_OK) {
        vecq_program_clear(&s->program);
        memset(&s->program, 0, sizeof s->program);
    }
    return status;
}

static vecq_status side_open(side *s, const char *path, const vecq_recipe *recipe, vecq_eval_split split,
                             vecq_error *err)
{
    static const vecq_split splits[] = {VECQ_SPLIT_TRAIN, VECQ_SPLIT_VALIDATION, VECQ_SPLIT_TEST};
    size_t batch = vecq_recipe_is_given(recipe, "train.eval_batch") ? recipe->train.eval_batch : BATCH;
    vecq_error first = VECQ_ERROR_INIT;
    vecq_status status;

    s->path = path;
    VECQ_TRY(vecq_model_load(path, &s->model, err));
    VECQ_TRY(vecq_feed_open(&s->feed, s->model, path, recipe, splits[split], 0, batch, err));
    s->outputs = vecq_calloc(vecq_feed_outputs(&s->feed), sizeof *s->outputs);
    if (s->outputs == NULL)
        return vecq_error_memory(err, vecq_feed_outputs(&s->feed) * sizeof *s->outputs);
    status = side_build(s, &first);
    if (status != VECQ_OK && status != VECQ_ERR_MEMORY && s->feed.may_be_alone && s->feed.batch > 1) {
        s->feed.batch = 1;
        return vecq_subject_blame(&s->feed.subject, side_build(s, err), err);
    }
    if (status != VECQ_OK)
        vecq_error_set(err, status, "%s: %s", path, first.message);
    return status;
}

static vecq_status check_alike(const comparison *c, vecq_error *err)
{
    const side *a = &c->first, *b = &c->second;
    size_t i;

    if (a->feed.batch != b->feed.batch)
        return vecq_error_set(err, VECQ_ERR_VALUE, "%s: takes %zu samples at once, %s %zu: give --batch",
                              b->path, b->feed.batch, a->path, a->feed.batch);
    if (vecq_feed_outputs(&b->feed) != c->n)
        return vecq_error_set(err, VECQ_ERR_VALUE, "%s: has %zu outputs, %s has %zu", b->path,
                              vecq_feed_outputs(&b->feed), a->path, c->n);
    for (i = 0; i < c->n; i++) {
        char mine[96], other[96];

        if (vecq_var_same_shape(a->outputs[i], b->outputs[i]) && a->outputs[i]->dtype == b->outputs[i]->dtype)
            continue;
        return vecq_error_set(err, VECQ_ERR_VALUE, "%s: output '%s' is %s %s, that of %s is %s %s", b->path,
                              b->outputs[i]->name, vecq_dtype_name(b->outputs[i]->dtype),
                              vecq_var_shape_text(b->outputs[i], other), a->path,
                              vecq_dtype_name(a->outputs[i]->dtype),
                              vecq_var_shape_text(a->outputs[i], mine));
    }
    return VECQ_OK;
}

static vecq_status side_run(side *s, uint64_t step, vecq_error *err)
{
    vecq_run run = {.threads = s->feed.subject.recipe.threads};

    VECQ_TRY(vecq_feed_bind(&s->feed, s->exec, step, err));
    return vecq_subject_blame(&s->feed.subject, vecq_exec_run(s->exec, &run, err), err);
}

static vecq_status compare(comparison *c, uint64_t n, vecq_error *err)
{
    const vecq_eval_options *o = c->options;
    uint64_t i;
    size_t k;

    for (i = 0; i < n; i++) {
        if (o->progress != NULL && o->progress(o->progress_context, "comparing", "batches", i, n) != 0)
            return vecq_error_set(err, VECQ_ERR_CANCELLED, "interrupted");
        VECQ_TRY(side_run(&c->first, i, err));
        VECQ_TRY(side_run(&c->second, i, err));
        for (k = 0; k < c->n; k++) {
            const vecq_var *x = c->first.outputs[k];

            if (!vecq_difference_add(&c->differences[k], x->dtype, vecq_exec_data(c->first.exec, x),
                                     vecq_exec_data(c->second.exec, c->second.outputs[k]), x->count))
                return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                                      "%s: output '%s' is %s: no numbers to compare", c->first.path, x->name,
                                      vecq_dtype_name(x->dtype));
        }
    }
    if (o->progress != NULL)
        o->progress(o->progress_context, "comparing", "batches", n, n);
    return VECQ_OK;
}

static vecq_status fill(const comparison *c, outputs_box *box, vecq_error *err)
{
    vecq_output_difference *out = vecq_arena_alloc(&box->arena, c->n, sizeof *out);
    size_t i;

    for (i = 0; out != NULL && i < c->n; i++) {
        const vecq_difference *d = &c->differences[i];
        const char *name = c->first.feed.subject.recipe.model.output;

        if (name == NULL)
            name = c->first.feed.subject.ir->main->outputs[i]->name;
        out[i].name = vecq_arena_string(&box->arena, name, strlen(name));
        if (out[i].name == NULL)
            return vecq_error_memory(err, strlen(name));
        out[i].values = d->n;
        out[i].n_bad = d->n_bad;
        out[i].mse = vecq_difference_mse(d);
        out[i].mean_difference = d->n > 0 ? d->sum_abs / (double)d->n : out[i].mse;
        out[i].largest_difference = d->max_abs;
        out[i].psnr_db = vecq_difference_psnr(d);
        out[i].sqnr_db = vecq_difference_sqnr(d);
    }
    box->result.outputs = out;
    box->result.n_outputs = c->n;
    return out != NULL ? VECQ_OK : vecq_error_memory(err, c->n * sizeof *out);
}

static vecq_status outputs(comparison *c, const char *model, const vecq_recipe *recipe, outputs_box *box,
                           vecq_error *err)
{
    const vecq_eval_options *o = c->options;
    double start;
    uint64_t n;

    c->first.act_bits = o->act_bits;
    VECQ_TRY(side_open(&c->first, model, recipe, o->split, err));
    VECQ_TRY(side_open(&c->second, o->against, recipe, o->split, err));
    c->n = vecq_feed_outputs(&c->first.feed);
    VECQ_TRY(check_alike(c, err));
    c->differences = vecq_calloc(c->n, sizeof *c->differences);
    if (c->differences == NULL)
        return vecq_error_memory(err, c->n * sizeof *c->differences);
    n = vecq_feed_batches(&c->first.feed);
    start = vecq_clock_seconds();
    VECQ_TRY(compare(c, n, err));
    box->result.seconds = vecq_clock_seconds() - start;
    box->result.samples = n * c->first.feed.batch;
    box->result.n_rounded = c->first.rounded;
    return fill(c, box, err);
}

void vecq_outputs_result_free(vecq_outputs_result *result)
{
    outputs_box *box = (outputs_box *)result;

    if (box == NULL)
        return;
    vecq_arena_clear(&box->arena);
    vecq_free(box);
}

vecq_status vecq_compare_outputs(const char *model, const vecq_recipe *recipe,
                                 const vecq_eval_options *options, vecq_outputs_result **out, vecq_error *err)
{
    outputs_box *box;
    comparison c;
    vecq_status status;

    *out = NULL;
    if (options->size != sizeof *options)
        return vecq_error_set(err, VECQ_ERR_USAGE, "vecq_eval_options of another version of the library");
    if (options->against == NULL || (unsigned)options->split > VECQ_EVAL_TEST)
        return vecq_error_set(err, VECQ_ERR_USAGE, "there is no model to compare with");
    VECQ_TRY(vecq_rounding_check(options->act_bits, err));
    memset(&c, 0, sizeof c);
    c.options = options;
    box = vecq_calloc(1, sizeof *box);
    if (box == NULL)
        return vecq_error_memory(err, sizeof *box);
    status = outputs(&c, model, recipe, box, err);
    vecq_free(c.differences);
    side_close(&c.first);
    side_close(&c.second);
    if (status == VECQ_OK)
        *out = &box->result;
    else
        vecq_outputs_result_free(&box->result);
    return status;
}
