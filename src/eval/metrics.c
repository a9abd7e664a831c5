/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/metrics.h"

#include <math.h>

/* -log sigmoid(z) for label 1, -log(1 - sigmoid(z)) for 0, without overflow. */
static void add_binary(vecq_metrics *m, double z, int32_t label)
{
    double signed_z = label != 0 ? z : -z;

    if (!isfinite(z)) {
        m->n_bad++;
        return;
    }
    m->correct += (z > 0) == (label != 0);
    m->top5++;
    m->loss_sum += (signed_z < 0 ? -signed_z : 0) + log1p(exp(-fabs(z)));
}

static void add_classes(vecq_metrics *m, const float *z, size_t classes, int32_t label)
{
    double largest = (double)z[0], sum = 0;
    size_t k, best = 0, larger = 0;

    for (k = 0; k < classes; k++) {
        if (!isfinite(z[k])) {
            m->n_bad++;
            return;
        }
        if ((double)z[k] > largest) {
            largest = (double)z[k];
            best = k;
        }
        larger += z[k] > z[label];
    }
    for (k = 0; k < classes; k++)
        sum += exp((double)z[k] - largest);
    m->correct += best == (size_t)label;
    m->top5 += larger < 5;
    m->loss_sum += largest + log(sum) - (double)z[label];
}

void vecq_metrics_add(vecq_metrics *metrics, const float *logits, const int32_t *labels, size_t n,
                      size_t classes)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (labels[i] < 0 || (classes > 1 && (size_t)labels[i] >= classes))
            continue;
        metrics->n++;
        if (classes == 1)
            add_binary(metrics, (double)logits[i], labels[i]);
        else
            add_classes(metrics, logits + i * classes, classes, labels[i]);
    }
}

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

double vecq_metrics_accuracy(const vecq_metrics *metrics)
{
    return share(metrics->correct, metrics->n);
}

double vecq_metrics_top5(const vecq_metrics *metrics)
{
    return share(metrics->top5, metrics->n);
}

double vecq_metrics_loss(const vecq_metrics *metrics)
{
    uint64_t n = metrics->n - metrics->n_bad;

    return n > 0 ? metrics->loss_sum / (double)n : NAN;
}
