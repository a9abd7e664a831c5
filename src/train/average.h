/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Averages of weights over time: exponential, a = d a + (1 - d) w, or plain, a += (w - a) / n. The averaged
 * weights are evaluated and written in place of the last ones. A parameter that comes later (the steps of a
 * stage with fewer bits) has an average of its own age.
 */
#ifndef VECQ_TRAIN_AVERAGE_H
#define VECQ_TRAIN_AVERAGE_H

#include "graph/program.h"
#include "train/checkpoint.h"

typedef struct vecq_average {
    vecq_stored **params; /* borrowed */
    float **shadow;       /* [n] of as many elements as the parameter */
    uint64_t *counts;     /* [n] updates so far; 0: the shadow means nothing yet */
    size_t n;
    double decay;   /* exponential; 0: plain */
    int is_swapped; /* the store holds the averages, the shadow the weights */
} vecq_average;

/* No parameters yet. */
void vecq_average_begin(vecq_average *average, double decay);
/* Averages these from now on, beside those that it has. On failure nothing has changed. */
vecq_status vecq_average_follow(vecq_average *average, vecq_stored *const *params, size_t n, vecq_error *err);
void vecq_average_clear(vecq_average *average); /* a zeroed one is fine */
/* Takes the weights as they are now; the first time they are the average. */
void vecq_average_update(vecq_average *average);
/* Exchanges weights and averages; nothing before the first update. Twice: as before. */
void vecq_average_swap(vecq_average *average);

/* Entries "average/counts" and "average/of/PARAMETER". */
vecq_status vecq_average_save(const vecq_average *average, vecq_checkpoint_writer *writer, vecq_error *err);
vecq_status vecq_average_load(vecq_average *average, const vecq_checkpoint *checkpoint, vecq_error *err);

#endif
