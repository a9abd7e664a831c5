/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches for all inputs of a model: out of a data set, for a model with one input, or out of .npy files,
 * "npy:FILE" or "npy:INPUT=FILE,INPUT=FILE,...", whose first axis is that of the input, longer: rows 0 .. b-1
 * are the first batch, b .. 2b-1 the second. Whole batches only.
 */
#ifndef VECQ_TRAIN_FEED_H
#define VECQ_TRAIN_FEED_H

#include "backend/exec.h"
#include "graph/lower.h"
#include "train/subject.h"
#include "vecq/tensor.h"

/* The file of one input. */
typedef struct vecq_feed_array {
    const vecq_value *input;
    const char *path;
    vecq_tensor tensor; /* of the input's type */
    size_t rows;        /* of a batch */
} vecq_feed_array;

typedef struct vecq_feed {
    vecq_subject subject; /* ports and data: of a data set only */
    vecq_split split;
    int is_shuffled;
    size_t batch;     /* samples of a batch; 1 may be put in its place before programs are made */
    int may_be_alone; /* the model says batch 1: another one is worth a try, 1 is what it promises */
    vecq_feed_array *arrays;
    size_t n_arrays; /* 0: a data set */
    vecq_loader *loader;
    vecq_var **vars; /* one for each array, or the input */
    int32_t *narrow; /* token ids of a model that takes int32 */
} vecq_feed;

/* Data are those of data.train, or data.test for the test split. batch: of models that leave it open. */
vecq_status vecq_feed_open(vecq_feed *feed, vecq_model *model, const char *name, const vecq_recipe *given,
                           vecq_split split, int is_shuffled, size_t batch, vecq_error *err);
void vecq_feed_close(vecq_feed *feed); /* a zeroed one is fine */

/* At least 1. */
uint64_t vecq_feed_batches(const vecq_feed *feed);

/* Lowers the model as far as all outputs need it (those of model.output if the recipe names one), over inputs
 * of this feed. outputs[vecq_feed_outputs()] become outputs of the program. */
size_t vecq_feed_outputs(const vecq_feed *feed);
vecq_status vecq_feed_lower(vecq_feed *feed, vecq_program *program, vecq_store *store,
                            const vecq_lower_options *options, vecq_var **outputs, vecq_error *err);

/* Binds the inputs of the program that was lowered last. */
vecq_status vecq_feed_bind(vecq_feed *feed, vecq_exec *exec, uint64_t step, vecq_error *err);

#endif
