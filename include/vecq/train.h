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

#include "vecq/model.h"
#include "vecq/status.h"
#include "vecq/tensor.h"

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

/* ---- calibration ---- */

typedef struct vecq_calibrate_options {
    size_t size;               /* sizeof(vecq_calibrate_options) */
    unsigned bits;             /* 8; of an activation, 2 to 8 */
    vecq_act_rule rule;        /* VECQ_ACT_BEST */
    uint64_t samples;          /* 512; at most so many are used, whole batches of train.eval_batch (32) */
    vecq_progress_fn progress; /* NULL */
    void *progress_context;
} vecq_calibrate_options;

VECQ_API void vecq_calibrate_options_default(vecq_calibrate_options *options);

/*
 * Runs a loaded model, float or with packed weights, over samples of the training part of the data that the
 * recipe names (data.train, model.input, preprocessing; what the model remembers of its data holds where the
 * recipe gives nothing; arrays as for vecq_compare_outputs()), drawn by its seed, and chooses a scale for
 * every activation that an operator with weights reads (quantize.act_include, act_exclude: those only). The
 * model is not changed: give the result to vecq_model_quantize(). Memory: 128 KiB an activation beside what
 * running a batch needs. The same data and settings give the same scales for any number of threads, up to
 * what the backend's arithmetic depends on.
 */
VECQ_API vecq_status vecq_model_calibrate(vecq_model *model, const vecq_recipe *recipe,
                                          const vecq_calibrate_options *options, vecq_calibration **out,
                                          vecq_error *err);

/* ---- inputs ---- */

/* Makes input tensors (vecq/run.h) of images and texts in the way that a model was trained on. */
typedef struct vecq_preparer vecq_preparer;

/* Of a model file: what it remembers of its data (vecq_train() writes that), settings given in the recipe
 * win, as for vecq_evaluate(). */
VECQ_API vecq_status vecq_preparer_create(const char *model, const vecq_recipe *recipe, vecq_preparer **out,
                                          vecq_error *err);
VECQ_API void vecq_preparer_destroy(vecq_preparer *preparer); /* NULL is fine */
/* A JPEG or PNG file as [1, C, H, W] or what the model's input asks for. */
VECQ_API vecq_status vecq_preparer_image(vecq_preparer *preparer, const char *path, vecq_tensor *out,
                                         vecq_error *err);
/* A text in UTF-8 as token ids [1, length]. */
VECQ_API vecq_status vecq_preparer_text(vecq_preparer *preparer, const char *text, vecq_tensor *out,
                                        vecq_error *err);

/* ---- evaluation ---- */

typedef enum vecq_eval_split {
    VECQ_EVAL_TRAIN = 0,  /* training part */
    VECQ_EVAL_VALIDATION, /* held back (data.holdout), or that of the layout */
    VECQ_EVAL_TEST
} vecq_eval_split;

typedef struct vecq_eval_options {
    size_t size;               /* sizeof(vecq_eval_options) */
    vecq_eval_split split;     /* VECQ_EVAL_TEST */
    const unsigned *top;       /* ranks to count (1: the answer), at most 16 */
    size_t n_top;              /* 0 */
    int confusion;             /* 0; count answers by class: at most 4096 classes */
    const char *against;       /* NULL; another model file, run over the same samples */
    unsigned act_bits;         /* 0; 8: activations of the model (not of `against`) are rounded in each run
                                  where its weights are packed, as by vecq_session_options.act_bits: the same
                                  for any batch */
    vecq_progress_fn progress; /* NULL */
    void *progress_context;
} vecq_eval_options;

VECQ_API void vecq_eval_options_default(vecq_eval_options *options);

/* How the model agrees with options.against. Samples for which a logit of either is not finite are left out
 * of everything but n_bad. */
typedef struct vecq_eval_against {
    double accuracy, loss; /* of the other model */
    uint64_t n_bad;        /* its samples with logits that are not finite */
    uint64_t samples;      /* that were compared */
    double same;           /* share of samples with the same answer */
    uint64_t both_right, only_this_right, only_other_right, none_right;
    double p_value; /* McNemar's exact test: how likely equally good models differ so much in accuracy */
    double mean_difference, largest_difference; /* of logits, absolute */
    double sqnr_db; /* the other's logits over the differences; infinite when there are none */
} vecq_eval_against;

typedef struct vecq_eval_result {
    uint64_t samples;
    double accuracy, top5, loss; /* top5: NaN with five classes or less */
    uint64_t n_bad;              /* samples with logits that are not finite: wrong, and not in loss */
    double seconds;
    size_t n_rounded; /* with options.act_bits: layers that read activations of 8 bits */
    size_t classes;   /* logits of the model */
    int undivided;    /* the data has no test part of its own: all of it was used */
    size_t n_top;
    const double *top;         /* [n_top] shares of samples: fewer than options.top[i] logits are larger */
    size_t n_answers;          /* classes of an answer: `classes`, 2 for one logit */
    const uint64_t *confusion; /* [label][answer], n_answers x n_answers, without n_bad; NULL: not counted */
    const char *const *class_names;   /* [n_class_names] those of the data; entries may be "" */
    size_t n_class_names;             /* 0: they have no names */
    const vecq_eval_against *against; /* NULL without options.against */
} vecq_eval_result;

VECQ_API void vecq_eval_result_free(vecq_eval_result *result); /* NULL is fine */

/*
 * Runs the model file over the data that the recipe names (data.test or data.train, model.input,
 * model.output, preprocessing). A model written by vecq_train() remembers its preprocessing; settings given
 * in the recipe win. So for options->against, which may have other preprocessing of its own. Options NULL:
 * the defaults.
 */
VECQ_API vecq_status vecq_evaluate(const char *model, const vecq_recipe *recipe,
                                   const vecq_eval_options *options, vecq_eval_result **out, vecq_error *err);

/* ---- outputs of models that are no classifiers ---- */

/* One output of the model against the same output of another; pairs with NaN or infinity are only counted. */
typedef struct vecq_output_difference {
    const char *name;
    uint64_t values, n_bad;
    double mse;                                 /* mean squared difference */
    double mean_difference, largest_difference; /* absolute */
    double sqnr_db; /* energy of the other's values over that of the differences; infinite: none */
    double psnr_db; /* square of the range of the other's values over mse */
} vecq_output_difference;

typedef struct vecq_outputs_result {
    size_t n_outputs;
    const vecq_output_difference *outputs;
    uint64_t samples; /* whole batches of train.eval_batch (16), or what the model takes at once */
    size_t n_rounded; /* with options.act_bits: layers that read activations of 8 bits */
    double seconds;
} vecq_outputs_result;

VECQ_API void vecq_outputs_result_free(vecq_outputs_result *result); /* NULL is fine */

/*
 * Runs the model file and options->against over the same data, labels or not, and compares all outputs (or
 * that of model.output). Besides data sets, data.train may be "npy:FILE" for a model with one input, or
 * "npy:INPUT=FILE,INPUT=FILE": arrays with more rows than the input takes.
 */
VECQ_API vecq_status vecq_compare_outputs(const char *model, const vecq_recipe *recipe,
                                          const vecq_eval_options *options, vecq_outputs_result **out,
                                          vecq_error *err);

#ifdef __cplusplus
}
#endif
#endif
