/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model that is to run over data as it is: the settings that hold for it (defaults, then what it remembers
 * of its data, then what the caller gave), where the data enter it, and the data, prepared for it.
 */
#ifndef VECQ_TRAIN_SUBJECT_H
#define VECQ_TRAIN_SUBJECT_H

#include "data/loader.h"
#include "eval/ports.h"
#include "onnx/trained.h"
#include "train/recipe.h"

typedef struct vecq_subject {
    const char *name; /* of the model, for messages; NULL: its messages name it already */
    vecq_model *model;
    vecq_ir *ir;
    vecq_recipe recipe;
    vecq_ports ports; /* of the data: both by vecq_subject_open_data() */
    vecq_arena arena; /* of the vocabulary */
    const char **vocabulary;
    size_t n_vocabulary;
    vecq_dataset *data;
    double mean[VECQ_DATA_CHANNELS_MAX], std[VECQ_DATA_CHANNELS_MAX]; /* of normalised pixels */
} vecq_subject;

/* The model stays the caller's. On failure, too, the subject is to be closed. */
vecq_status vecq_subject_open(vecq_subject *subject, vecq_model *model, const char *name,
                              const vecq_recipe *given, vecq_error *err);
/* Opens a split of the data that the recipe names: data.test for the test split if it is given, else
 * data.train. */
vecq_status vecq_subject_open_data(vecq_subject *subject, vecq_split split, vecq_error *err);
void vecq_subject_close(vecq_subject *subject); /* a zeroed one is fine */

/* Puts the model's name before a message about it: those about data begin with their place. */
vecq_status vecq_subject_blame(const vecq_subject *subject, vecq_status status, vecq_error *err);

#endif
