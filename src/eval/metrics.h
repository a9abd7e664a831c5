/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted of logits and labels. */
#ifndef VECQ_EVAL_METRICS_H
#define VECQ_EVAL_METRICS_H

#include <stddef.h>
#include <stdint.h>

typedef struct vecq_metrics {
    uint64_t n;       /* samples */
    uint64_t correct; /* largest logit (the first of equal ones) is that of the label; one logit: its sign */
    uint64_t top5;    /* fewer than five logits are larger than the label's (fewer classes: all are) */
    double loss_sum;  /* of the cross-entropy in nats, softmax or (one logit) sigmoid */
    uint64_t n_bad;   /* samples with a logit that is not finite; never correct, not in loss_sum */
} vecq_metrics;

/* Adds `n` samples: logits[n][classes], labels[n]; negative labels are left out. classes 1: binary. */
void vecq_metrics_add(vecq_metrics *metrics, const float *logits, const int32_t *labels, size_t n,
                      size_t classes);

double vecq_metrics_accuracy(const vecq_metrics *metrics); /* 0..1; 0 of nothing */
double vecq_metrics_top5(const vecq_metrics *metrics);
double vecq_metrics_loss(const vecq_metrics *metrics); /* mean */

#endif
