/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/tally.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

static int is_finite(const float *z, size_t n)
{
    size_t k;

    for (k = 0; k < n; k++)
        if (!isfinite(z[k]))
            return 0;
    return 1;
}

/* The first of equal ones, as metrics.c has it. */
static size_t answer_of(const float *z, size_t width)
{
    size_t k, best = 0;

    if (width == 1)
        return z[0] > 0;
    for (k = 1; k < width; k++)
        if (z[k] > z[best])
            best = k;
    return best;
}

static size_t rank_of(const float *z, size_t width, size_t label)
{
    size_t k, larger = 0;

    if (width == 1)
        return answer_of(z, width) != label;
    for (k = 0; k < width; k++)
        larger += z[k] > z[label];
    return larger;
}

/* ---- one model ---- */

vecq_status vecq_tally_create(vecq_tally *t, size_t width, int with_confusion, vecq_error *err)
{
    t->classes = width > 1 ? width : 2;
    if (!with_confusion)
        return VECQ_OK;
    if (t->classes > VECQ_TALLY_CLASSES_MAX)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "a confusion matrix is counted for at most %u classes; there are %zu",
                              VECQ_TALLY_CLASSES_MAX, t->classes);
    t->confusion = vecq_calloc(t->classes * t->classes, sizeof *t->confusion);
    return t->confusion != NULL ? VECQ_OK
                                : vecq_error_memory(err, t->classes * t->classes * sizeof *t->confusion);
}

void vecq_tally_clear(vecq_tally *t)
{
    vecq_free(t->confusion);
    memset(t, 0, sizeof *t);
}

void vecq_tally_add(vecq_tally *t, const float *logits, const int32_t *labels, size_t n, size_t width)
{
    size_t i, k;

    for (i = 0; i < n; i++) {
        const float *z = logits + i * width;
        size_t label = (size_t)labels[i], rank;

        if (labels[i] < 0 || label >= t->classes || !is_finite(z, width))
            continue;
        rank = rank_of(z, width, label);
        for (k = 0; k < t->n_top; k++)
            t->hits[k] += rank < t->top[k];
        if (t->confusion != NULL)
            t->confusion[label * t->classes + answer_of(z, width)]++;
    }
}

/* ---- two models ---- */

static void add_difference(vecq_agreement *a, const float *first, const float *second, size_t width)
{
    size_t k;

    for (k = 0; k < width; k++) {
        double d = (double)first[k] - (double)second[k];

        a->sum_abs += fabs(d);
        a->max_abs = fmax(a->max_abs, fabs(d));
        a->sum_squares += d * d;
        a->second_squares += (double)second[k] * (double)second[k];
    }
    a->values += width;
}

void vecq_agreement_add(vecq_agreement *a, const float *first, const float *second, const int32_t *labels,
                        size_t n, size_t width)
{
    size_t i;

    for (i = 0; i < n; i++) {
        const float *x = first + i * width, *y = second + i * width;
        size_t p, q;

        if (!is_finite(x, width) || !is_finite(y, width))
            continue;
        a->n++;
        p = answer_of(x, width);
        q = answer_of(y, width);
        a->same += p == q;
        add_difference(a, x, y, width);
        if (labels[i] < 0)
            continue;
        a->both_right += p == (size_t)labels[i] && q == (size_t)labels[i];
        a->first_right += p == (size_t)labels[i] && q != (size_t)labels[i];
        a->second_right += p != (size_t)labels[i] && q == (size_t)labels[i];
        a->none_right += p != (size_t)labels[i] && q != (size_t)labels[i];
    }
}

double vecq_agreement_p(const vecq_agreement *a)
{
    uint64_t less = a->first_right < a->second_right ? a->first_right : a->second_right, i;
    double n = (double)(a->first_right + a->second_right), sum = 0;

    for (i = 0; i <= less; i++) /* binomial with p = 1/2: n over i, times 2^-n */
        sum += exp(lgamma(n + 1) - lgamma((double)i + 1) - lgamma(n - (double)i + 1) - n * log(2.0));
    return fmin(1.0, 2 * sum);
}
