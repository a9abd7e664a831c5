/* SPDX-License-Identifier: Apache-2.0 */
/* A model made ready to be run over batches of a data set. */
#ifndef VECQ_EVAL_EVALUATOR_H
#define VECQ_EVAL_EVALUATOR_H

#include "backend/exec.h"
#include "data/loader.h"
#include "eval/metrics.h"
#include "eval/ports.h"
#include "graph/lower.h"

typedef struct vecq_evaluator vecq_evaluator;

typedef struct vecq_evaluator_options {
    const vecq_ports *ports; /* fitted to the data */
    size_t batch;
    size_t classes;    /* of the data: the logits must have as many, or one when there are two */
    vecq_store *store; /* parameters shared with training; with lower.is_frozen: not used */
    const vecq_lower_options *lower; /* is_training 0 */
    int is_simplified; /* faster, the same to rounding: batch normalisation goes into constant weights, ... */
    unsigned act_bits; /* 8: activations in front of packed weights are rounded; with lower->keep_packed */
    const vecq_backend *const *backends;
    size_t n_backends;
    unsigned threads;
} vecq_evaluator_options;

/* The model must outlive the evaluator. */
vecq_status vecq_evaluator_create(vecq_ir *ir, const vecq_evaluator_options *options, vecq_evaluator **out,
                                  vecq_error *err);
void vecq_evaluator_destroy(vecq_evaluator *evaluator); /* NULL is fine */

/* Parameters changed since the last run. */
void vecq_evaluator_invalidate(vecq_evaluator *evaluator);

/* Runs over every sample of the loader (made with the same batch, not shuffled, short last batch kept).
 * progress may be NULL. */
vecq_status vecq_evaluator_run(vecq_evaluator *evaluator, vecq_loader *loader, vecq_progress_fn progress,
                               void *context, vecq_metrics *out, vecq_error *err);

/* Runs the batch of one step of the loader; logits[batch->n][classes] are valid until the next run. */
vecq_status vecq_evaluator_step(vecq_evaluator *evaluator, vecq_loader *loader, uint64_t step,
                                vecq_batch *batch, const float **logits, vecq_error *err);

size_t vecq_evaluator_classes(const vecq_evaluator *evaluator); /* width of the logits */
size_t vecq_evaluator_rounded(const vecq_evaluator *evaluator); /* layers that read 8-bit activations */
const vecq_exec *vecq_evaluator_exec(const vecq_evaluator *evaluator);

/* What a batch binds to an input of this type; token ids are narrowed into narrow[count] for int32. */
const void *vecq_batch_data(const vecq_batch *batch, vecq_dtype dtype, size_t count, int32_t *narrow);
/* Makes the input variable of a program for these ports and batch. */
vecq_status vecq_ports_input(const vecq_ports *ports, size_t batch, vecq_program *program, vecq_var **out,
                             vecq_error *err);
/* Width of logits for `classes` classes: checks shape [batch, width] (trailing ones are fine). */
vecq_status vecq_ports_check_logits(const vecq_ports *ports, const vecq_var *logits, size_t batch,
                                    size_t classes, size_t *width, vecq_error *err);

#endif
