/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted of logits on request: ranks, answers by class, and how two models agree. */
#ifndef VECQ_EVAL_TALLY_H
#define VECQ_EVAL_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/status.h"

#define VECQ_TALLY_TOP_MAX     16u
#define VECQ_TALLY_CLASSES_MAX 4096u /* of a confusion matrix */

/* Samples with a logit that is not finite, or a negative label, are left out. One logit tells two classes
 * apart by its sign. */
typedef struct vecq_tally {
    size_t classes; /* that answers can have: 2 for one logit */
    size_t n_top;
    unsigned top[VECQ_TALLY_TOP_MAX];
    uint64_t hits[VECQ_TALLY_TOP_MAX]; /* fewer than top[i] logits are larger than the label's */
    uint64_t *confusion;               /* [label][answer], classes x classes; NULL: not counted */
} vecq_tally;

/* width: of the logits. VECQ_ERR_UNSUPPORTED: a matrix of so many classes is no use. */
vecq_status vecq_tally_create(vecq_tally *tally, size_t width, int with_confusion, vecq_error *err);
void vecq_tally_clear(vecq_tally *tally);
/* logits[n][width], labels[n] */
void vecq_tally_add(vecq_tally *tally, const float *logits, const int32_t *labels, size_t n, size_t width);

/* Answers of two models to the same samples. */
typedef struct vecq_agreement {
    uint64_t n;    /* samples for which all logits of both are finite */
    uint64_t same; /* the same answer */
    uint64_t both_right, first_right, second_right, none_right; /* of labelled ones; first, second: only */
    double sum_abs, max_abs;                                    /* of differences of logits */
    double sum_squares;                                         /* of differences */
    double second_squares;                                      /* of the second model's logits */
    uint64_t values;                                            /* logits */
} vecq_agreement;

void vecq_agreement_add(vecq_agreement *a, const float *first, const float *second, const int32_t *labels,
                        size_t n, size_t width);

/* Chance that two models that are equally good differ at least so much: McNemar's exact test, two-sided, of
 * the samples that only one of them has right. */
double vecq_agreement_p(const vecq_agreement *a);

#endif
