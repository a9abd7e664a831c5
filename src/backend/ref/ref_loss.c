/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Losses (formulas: graph/ops/op_loss.c), all of it computed in double. Rows are cut into a fixed number of
 * blocks whose sums are added in order: the result does not depend on the number of threads.
 */
#include <math.h>

#include "backend/ref/ref.h"
#include "base/status.h"
#include "base/threads.h"

#define BLOCKS 64u

typedef struct loss loss;

/* Loss of a row; with l->dz also its gradient, times l->scale. */
typedef double (*row_fn)(const loss *l, size_t row);

struct loss {
    int is_double;
    const void *z, *other; /* logits; teacher's logits or the second operand */
    const int32_t *labels; /* NULL: all rows count */
    void *dz;              /* gradient, or NULL */
    size_t rows, classes;
    size_t step; /* from class to class; rows are n * step + position */
    double smoothing, temperature;
    double scale; /* gradient of the loss / rows that count */
    row_fn row;
    size_t block; /* rows of a block */
    double sums[BLOCKS];
};

static inline double load(const loss *l, const void *data, size_t i)
{
    return l->is_double ? ((const double *)data)[i] : (double)((const float *)data)[i];
}

static inline void store(const loss *l, size_t i, double value)
{
    if (l->is_double)
        ((double *)l->dz)[i] = value;
    else
        ((float *)l->dz)[i] = (float)value;
}

/* Index of class 0 of a row. */
static inline size_t row_begin(const loss *l, size_t row)
{
    return row / l->step * l->step * l->classes + row % l->step;
}

/* log sum_k exp(z_k / T), safe from overflow. */
static double log_sum(const loss *l, const void *data, size_t at)
{
    double m = load(l, data, at), sum = 0, t = l->temperature, z;
    size_t k;

    for (k = 1; k < l->classes; k++) { /* no fmax(): gcc 12 breaks off compiling that for AArch64 */
        z = load(l, data, at + k * l->step);
        m = z > m ? z : m;
    }
    for (k = 0; k < l->classes; k++)
        sum += exp((load(l, data, at + k * l->step) - m) / t);
    return m / t + log(sum);
}

/* sum_k t_k (L - z_k) with L = log sum exp z; dz_k = p_k - t_k. */
static double cross_entropy_row(const loss *l, size_t row)
{
    const size_t at = row_begin(l, row), label = (size_t)l->labels[row];
    const double total = log_sum(l, l->z, at), rest = l->smoothing / (double)l->classes;
    double sum = 0;
    size_t k;

    for (k = 0; k < l->classes; k++) {
        const double z = load(l, l->z, at + k * l->step);
        const double t = (k == label ? 1 - l->smoothing : 0) + rest;

        if (t != 0)
            sum += t * (total - z);
        if (l->dz != NULL)
            store(l, at + k * l->step, l->scale * (exp(z - total) - t));
    }
    return sum;
}

/* max(z, 0) - z t + log(1 + exp(-|z|)); dz = s(z) - t. */
static double binary_row(const loss *l, size_t row)
{
    const double z = load(l, l->z, row), e = exp(-fabs(z));
    const double t = (1 - l->smoothing) * l->labels[row] + l->smoothing / 2;

    if (l->dz != NULL)
        store(l, row, l->scale * ((z < 0 ? e : 1) / (1 + e) - t));
    return (z > 0 ? z : 0) - z * t + log1p(e);
}

static double squared_row(const loss *l, size_t row)
{
    const double d = load(l, l->z, row) - load(l, l->other, row);

    if (l->dz != NULL)
        store(l, row, l->scale * 2 * d);
    return d * d;
}

/* T^2 sum_k q_k (log q_k - log p_k); dz_k = T (p_k - q_k). */
static double distill_row(const loss *l, size_t row)
{
    const size_t at = row_begin(l, row);
    const double total_p = log_sum(l, l->z, at), total_q = log_sum(l, l->other, at), t = l->temperature;
    double sum = 0;
    size_t k;

    for (k = 0; k < l->classes; k++) {
        const double log_p = load(l, l->z, at + k * l->step) / t - total_p;
        const double log_q = load(l, l->other, at + k * l->step) / t - total_q, q = exp(log_q);

        sum += q > 0 ? q * (log_q - log_p) : q; /* 0 log 0 is 0 */
        if (l->dz != NULL)
            store(l, at + k * l->step, l->scale * t * (exp(log_p) - q));
    }
    return t * t * sum;
}

static vecq_status loss_blocks(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    loss *l = context;
    size_t b, row, k;

    (void)thread;
    (void)err;
    for (b = begin; b < end; b++)
        for (row = b * l->block; row < (b + 1) * l->block && row < l->rows; row++) {
            if (l->labels == NULL || l->labels[row] != -1)
                l->sums[b] += l->row(l, row);
            else if (l->dz != NULL)
                for (k = 0; k < l->classes; k++)
                    store(l, row_begin(l, row) + k * l->step, 0);
        }
    return VECQ_OK;
}

/* Rows that count; a label that is no class is an error. */
static vecq_status count_rows(const vecq_ref_call *call, const loss *l, int64_t n_labels, size_t *n)
{
    size_t row;

    *n = l->rows;
    for (row = 0; l->labels != NULL && row < l->rows; row++)
        if (l->labels[row] == -1)
            --*n;
        else if (l->labels[row] < 0 || l->labels[row] >= n_labels)
            return vecq_error_set(call->err, VECQ_ERR_VALUE,
                                  "%s '%s': label %ld in row %zu of the batch; the classes are 0 to %lld",
                                  call->op->info->name, call->op->name, (long)l->labels[row], row,
                                  (long long)n_labels - 1);
    return VECQ_OK;
}

/* `labels`: index of that input, or beyond the inputs; `dloss` 0: the loss itself. */
static vecq_status run(const vecq_ref_call *call, loss *l, size_t labels, int64_t n_labels, size_t dloss)
{
    const vecq_op *op = call->op;
    const vecq_loss_params *params = op->params;
    double sum = 0;
    size_t n, b;

    if (call->out[0] == NULL)
        return VECQ_OK;
    l->is_double = op->inputs[0]->dtype == VECQ_DT_DOUBLE;
    l->z = call->in[0];
    l->other = call->in[1];
    l->labels = labels < op->n_inputs ? call->in[labels] : NULL;
    l->smoothing = params != NULL ? params->label_smoothing : 0;
    l->rows = l->classes > 0 ? op->inputs[0]->count / l->classes : 0;
    l->block = (l->rows + BLOCKS - 1) / BLOCKS;
    VECQ_TRY(count_rows(call, l, n_labels, &n));
    if (dloss != 0) {
        l->dz = call->out[0];
        l->scale = n > 0 ? load(l, call->in[dloss], 0) / (double)n : 0;
    }
    VECQ_TRY(vecq_parallel_for(l->rows > 0 ? BLOCKS : 0, l->rows * l->classes < 4096 ? BLOCKS : 1,
                               call->run->threads, loss_blocks, l, call->err));
    if (dloss != 0)
        return VECQ_OK;
    for (b = 0; b < BLOCKS; b++)
        sum += l->sums[b];
    l->dz = call->out[0];
    store(l, 0, n > 0 ? sum / (double)n : 0);
    return VECQ_OK;
}

/* Classes in axis 1; positions after it. */
static loss make_rows(const vecq_ref_call *call, row_fn row)
{
    const vecq_var *z = call->op->inputs[0];
    loss l = {.row = row, .classes = (size_t)z->dims[1], .step = 1, .temperature = 1};
    unsigned i;

    for (i = 2; i < z->rank; i++)
        l.step *= (size_t)z->dims[i];
    if (z->count == 0) /* no rows */
        l.classes = 0;
    return l;
}

static vecq_status run_cross_entropy(const vecq_ref_call *call, size_t dloss)
{
    loss l = make_rows(call, cross_entropy_row);

    return run(call, &l, 1, call->op->inputs[0]->dims[1], dloss);
}

vecq_status vecq_ref_cross_entropy(const vecq_ref_call *call)
{
    return run_cross_entropy(call, 0);
}

vecq_status vecq_ref_cross_entropy_grad(const vecq_ref_call *call)
{
    return run_cross_entropy(call, 2);
}

static vecq_status run_binary(const vecq_ref_call *call, size_t dloss)
{
    loss l = {.row = binary_row, .classes = 1, .step = 1, .temperature = 1};

    return run(call, &l, 1, 2, dloss);
}

vecq_status vecq_ref_binary_cross_entropy(const vecq_ref_call *call)
{
    return run_binary(call, 0);
}

vecq_status vecq_ref_binary_cross_entropy_grad(const vecq_ref_call *call)
{
    return run_binary(call, 2);
}

static vecq_status run_squared(const vecq_ref_call *call, size_t dloss)
{
    loss l = {.row = squared_row, .classes = 1, .step = 1, .temperature = 1};

    return run(call, &l, SIZE_MAX, 0, dloss);
}

vecq_status vecq_ref_mean_squared_error(const vecq_ref_call *call)
{
    return run_squared(call, 0);
}

vecq_status vecq_ref_mean_squared_error_grad(const vecq_ref_call *call)
{
    return run_squared(call, 2);
}

static vecq_status run_distill(const vecq_ref_call *call, size_t labels, size_t dloss)
{
    const vecq_loss_params *params = call->op->params;
    loss l = make_rows(call, distill_row);

    l.temperature = params->temperature;
    return run(call, &l, labels, call->op->inputs[0]->dims[1], dloss);
}

vecq_status vecq_ref_distill(const vecq_ref_call *call)
{
    return run_distill(call, 2, 0);
}

vecq_status vecq_ref_distill_grad(const vecq_ref_call *call)
{
    return run_distill(call, 3, 2);
}
