/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps along gradients, on plain float arrays. With g the gradient (after clipping), w the parameter:
 *
 *     SGD     g += decay w;  v = momentum v + g;  w -= lr v                (momentum 0: w -= lr g)
 *             Nesterov: w -= lr (g + momentum v)
 *     Adam    g += decay w;  m += (1 - beta1) (g - m);  s = beta2 s + (1 - beta2) g g;
 *             w -= lr / (1 - beta1^t) * m / (sqrt(s) / sqrt(1 - beta2^t) + eps)
 *     AdamW   w -= lr decay w, then as Adam without decay in g
 *
 * as PyTorch has them. State smaller than the least normal float becomes 0: parameters without gradients
 * (rows of an embedding) would otherwise fill it with denormal numbers, which are slow. The result does not
 * depend on the number of threads. One optimizer is used by one thread at a time.
 */
#ifndef VECQ_TRAIN_OPTIMIZER_H
#define VECQ_TRAIN_OPTIMIZER_H

#include <stddef.h>
#include <stdint.h>

#include "train/checkpoint.h"
#include "train/recipe.h"

typedef struct vecq_optimizer_options {
    vecq_recipe_optimizer name;
    double momentum;
    int nesterov;
    double weight_decay;
    double beta1, beta2, eps;
    double clip_norm; /* longest gradient, all parameters together; 0: off */
    unsigned threads; /* 0: all */
} vecq_optimizer_options;

void vecq_optimizer_options_of(const vecq_recipe *recipe, vecq_optimizer_options *out);

typedef struct vecq_parameter {
    const char *name;  /* of the tensor: messages and names in checkpoints; borrowed, and unique */
    float *value;      /* n, changed by a step; borrowed */
    const float *grad; /* n; borrowed */
    size_t n;
    int decay;       /* weight decay applies */
    double lr_scale; /* 1, unless this one has a rate of its own */
} vecq_parameter;

typedef struct vecq_optimizer vecq_optimizer;

vecq_status vecq_optimizer_create(const vecq_optimizer_options *options, const vecq_parameter *parameters,
                                  size_t n_parameters, vecq_optimizer **out, vecq_error *err);
void vecq_optimizer_destroy(vecq_optimizer *optimizer); /* NULL is fine */

/* One of the parameters given at creation, for buffers that moved; name and n must stay. */
vecq_parameter *vecq_optimizer_parameter(vecq_optimizer *optimizer, size_t index);

/*
 * One step with the rate of this step. *norm (may be NULL) is the length of the whole gradient before
 * clipping. When it was needed (norm or clip_norm) and is not finite, nothing changes: VECQ_ERR_VALUE, with
 * the first parameter whose gradient has a NaN or an infinity.
 */
vecq_status vecq_optimizer_step(vecq_optimizer *optimizer, double lr, double *norm, vecq_error *err);

/* Index of the first parameter with a NaN or infinity in its gradient (`values` 0) or its values (1);
 * SIZE_MAX when all is well. *element (may be NULL) is the place in it. */
size_t vecq_optimizer_find_bad(const vecq_optimizer *optimizer, int values, size_t *element);

/* ---- state, for checkpoints and for who wants to look ---- */

typedef struct vecq_optimizer_state {
    const char *parameter;
    const char *slot; /* "momentum", "mean", "square" */
    float *data;
    size_t n;
} vecq_optimizer_state;

size_t vecq_optimizer_state_count(const vecq_optimizer *optimizer);
vecq_optimizer_state vecq_optimizer_state_at(vecq_optimizer *optimizer, size_t index);
size_t vecq_optimizer_state_bytes(const vecq_optimizer *optimizer);
uint64_t vecq_optimizer_steps(const vecq_optimizer *optimizer);           /* taken so far */
void vecq_optimizer_set_steps(vecq_optimizer *optimizer, uint64_t steps); /* where another one left off */
void vecq_optimizer_reset(vecq_optimizer *optimizer);                     /* as new */

/* Entries "optimizer/steps" and "optimizer/SLOT/PARAMETER". Loading refuses a checkpoint of another kind of
 * optimizer or of other parameters, and then leaves the state undefined. */
vecq_status vecq_optimizer_save(vecq_optimizer *optimizer, vecq_checkpoint_writer *writer, vecq_error *err);
vecq_status vecq_optimizer_load(vecq_optimizer *optimizer, const vecq_checkpoint *checkpoint,
                                vecq_error *err);

#endif
