/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training and fine-tuning through quantizers, and evaluation, from recipes.
 *
 * A recipe holds every setting of a run (docs/recipes.md). It is used by one thread at a time.
 */
#ifndef VECQ_TRAIN_H
#define VECQ_TRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- recipes ---- */

typedef struct vecq_recipe vecq_recipe;

/* With default settings; or those of a YAML file ("-": standard input). */
VECQ_API vecq_status vecq_recipe_create(vecq_recipe **out, vecq_error *err);
VECQ_API vecq_status vecq_recipe_open(const char *path, vecq_recipe **out, vecq_error *err);
VECQ_API void vecq_recipe_free(vecq_recipe *recipe); /* NULL is fine */
/* One setting, "section.key=value". On failure the recipe is as it was. */
VECQ_API vecq_status vecq_recipe_set(vecq_recipe *recipe, const char *assignment, vecq_error *err);
/* Value of a key ("section.key") as text, valid until the next call with this recipe; NULL: no such key. */
VECQ_API const char *vecq_recipe_get(vecq_recipe *recipe, const char *path);
/* Non-zero when a file or vecq_recipe_set() gave this key. */
VECQ_API int vecq_recipe_has(const vecq_recipe *recipe, const char *path);

/* Documentation of a key. Static storage. */
typedef struct vecq_recipe_doc {
    const char *section; /* "" on top */
    const char *name;
    const char *initial; /* default, as vecq_recipe_set() takes it */
    const char *unit;
    const char *text;
    const char *section_text;
} vecq_recipe_doc;

VECQ_API size_t vecq_recipe_doc_count(void);
VECQ_API vecq_recipe_doc vecq_recipe_doc_at(size_t index); /* all NULL out of range */

/* Networks that a recipe can start from scratch with (model.network). */
VECQ_API size_t vecq_network_count(void);
VECQ_API const char *vecq_network_name(size_t index);  /* NULL out of range */
VECQ_API const char *vecq_network_title(size_t index); /* NULL out of range */

/* ---- training ---- */

typedef enum vecq_train_event_kind {
    VECQ_TRAIN_START = 0,  /* before the first step */
    VECQ_TRAIN_STEP,       /* after a step */
    VECQ_TRAIN_EVALUATING, /* batches of an evaluation */
    VECQ_TRAIN_EVALUATED,  /* held-back or test data */
    VECQ_TRAIN_CHECKPOINT, /* written */
    VECQ_TRAIN_MESSAGE,    /* of interest: what changed, what was chosen */
    VECQ_TRAIN_WARNING,    /* training goes on */
    VECQ_TRAIN_DONE
} vecq_train_event_kind;

typedef struct vecq_train_event {
    vecq_train_event_kind kind;
    uint64_t step, steps; /* done, in all */
    double epoch, epochs; /* done, in all */
    uint64_t done, total; /* VECQ_TRAIN_EVALUATING: batches */
    double loss;          /* VECQ_TRAIN_STEP: average over the last steps; EVALUATED: of the data */
    double accuracy;      /* the same, 0..1 */
    double lr;            /* of the step */
    double rate;          /* samples a second */
    double seconds_left;
    const char *text; /* messages and warnings; EVALUATED: "test", "held back", ...; else "" */
} vecq_train_event;

/* Called on the thread of vecq_train(). Non-zero: stop; a checkpoint is written if there is a path for it,
 * and vecq_train() returns VECQ_ERR_CANCELLED. */
typedef int (*vecq_train_event_fn)(void *context, const vecq_train_event *event);

typedef struct vecq_train_options {
    size_t size;            /* sizeof(vecq_train_options) */
    const char *output;     /* model file to write; NULL: none */
    const char *checkpoint; /* file for checkpoints; NULL: none are written */
    const char *log;        /* JSON lines, begun anew unless it goes on from a checkpoint; NULL: none */
    int resume;             /* go on from `checkpoint` if it is there */
    int profile;            /* at the end: a message for each step of the plan, with backend and time */
    vecq_train_event_fn event;
    void *event_context;
} vecq_train_options;

VECQ_API void vecq_train_options_default(vecq_train_options *options);

typedef struct vecq_train_result {
    uint64_t steps;
    double seconds;
    double loss; /* average over the last epoch */
    double
        start_accuracy; /* on the test data before the first step (after quantization); NaN: not measured */
    double holdout_accuracy; /* NaN: nothing was held back */
    double test_accuracy;    /* of the weights that were written */
    double test_loss;
    double file_accuracy; /* of the written file, loaded again; NaN: no output */
    uint64_t test_samples;
    uint64_t file_bytes; /* of the written file */
    uint64_t parameters; /* elements that were trained */
    uint64_t peak_bytes; /* of results, gradients and scratch of a step */
} vecq_train_result;

/* Trains as the recipe says. `out` may be NULL. Messages name the file, the operator or the setting. A loss
 * that is not finite is VECQ_ERR_VALUE with step, operator and advice. */
VECQ_API vecq_status vecq_train(const vecq_recipe *recipe, const vecq_train_options *options,
                                vecq_train_result *out, vecq_error *err);

/* ---- evaluation ---- */

typedef struct vecq_eval_result {
    uint64_t samples;
    double accuracy, top5, loss; /* top5: NaN with five classes or less */
    uint64_t n_bad;              /* samples with logits that are not finite */
    double seconds;
    size_t classes;
    int undivided; /* the data has no test part of its own: all of it was used */
} vecq_eval_result;

/*
 * Runs the model file over the test data (split 0: training part, 1: held back, 2: test) that the recipe
 * names (data.test or data.train, model.input, model.output, preprocessing). A model written by vecq_train()
 * remembers its preprocessing; settings given in the recipe win.
 */
VECQ_API vecq_status vecq_evaluate(const char *model, const vecq_recipe *recipe, int split,
                                   vecq_progress_fn progress, void *context, vecq_eval_result *out,
                                   vecq_error *err);

#ifdef __cplusplus
}
#endif
#endif
