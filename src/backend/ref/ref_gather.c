/* SPDX-License-Identifier: Apache-2.0 */
/* Gather and its gradient. */
#include <string.h>

#include "backend/ref/ref.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"

/* ---- indices ---- */

/*
 * The look-ups come from data (words of a text), so one that is out of range is an error of the input, not of
 * the program.
 */
vecq_status vecq_ref_gather_rows(const vecq_op *op, const void *src, int64_t limit, size_t *rows,
                                 vecq_error *err)
{
    const vecq_var *indices = op->inputs[1];
    size_t i;

    for (i = 0; i < indices->count; i++) {
        int64_t index =
            indices->dtype == VECQ_DT_INT32 ? ((const int32_t *)src)[i] : ((const int64_t *)src)[i];

        if (index < -limit || index >= limit)
            return vecq_error_set(
                err, VECQ_ERR_VALUE, "%s '%s': index %lld (element %zu of '%s') is not below %lld",
                op->info->name, op->name, (long long)index, i, indices->name, (long long)limit);
        rows[i] = (size_t)(index < 0 ? index + limit : index);
    }
    return VECQ_OK;
}

/* data [outer, n_rows, inner]; picked [outer, n_picks, inner] */
typedef struct gather_work {
    size_t outer, n_rows, n_picks, inner, size;
    size_t *rows;         /* n_picks */
    size_t *first, *next; /* gradient: chains of the picks of each row, ascending; SIZE_MAX ends one */
    const void *src;
    void *dst;
} gather_work;

static vecq_status gather_begin(const vecq_ref_call *call, const vecq_var *data, int is_gradient,
                                gather_work *w)
{
    const vecq_axis_params *params = call->op->params;
    const vecq_var *indices = call->op->inputs[1];
    size_t n, i;
    unsigned a;
    vecq_status status;

    w->outer = w->inner = 1;
    for (a = 0; a < params->axis; a++)
        w->outer *= (size_t)data->dims[a];
    for (a = params->axis + 1; a < data->rank; a++)
        w->inner *= (size_t)data->dims[a];
    w->n_rows = (size_t)data->dims[params->axis];
    w->n_picks = indices->count;
    w->size = vecq_dtype_bytes(data->dtype, 1);
    if (!vecq_add_size(w->n_picks, is_gradient ? w->n_picks : 0, &n) ||
        !vecq_add_size(n, is_gradient ? w->n_rows : 0, &n) ||
        (w->rows = vecq_alloc(n, sizeof *w->rows)) == NULL)
        return vecq_error_memory(call->err, w->n_picks * sizeof *w->rows);
    status = vecq_ref_gather_rows(call->op, call->in[1], data->dims[params->axis], w->rows, call->err);
    if (status != VECQ_OK) {
        vecq_free(w->rows);
        return status;
    }
    if (!is_gradient)
        return VECQ_OK;
    w->next = w->rows + w->n_picks;
    w->first = w->next + w->n_picks;
    for (i = 0; i < w->n_rows; i++)
        w->first[i] = SIZE_MAX;
    for (i = w->n_picks; i-- > 0;) {
        w->next[i] = w->first[w->rows[i]];
        w->first[w->rows[i]] = i;
    }
    return VECQ_OK;
}

static vecq_status gather_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const gather_work *w = context;
    size_t row = w->inner * w->size;

    (void)thread;
    (void)err;
    if (row > 0)
        for (; begin < end; begin++)
            memcpy((unsigned char *)w->dst + begin * row,
                   (const unsigned char *)w->src +
                       (begin / w->n_picks * w->n_rows + w->rows[begin % w->n_picks]) * row,
                   row);
    return VECQ_OK;
}

vecq_status vecq_ref_gather(const vecq_ref_call *call)
{
    gather_work w = {.src = call->in[0], .dst = call->out[0]};
    vecq_status status;

    if (call->out[0] == NULL)
        return VECQ_OK;
    VECQ_TRY(gather_begin(call, call->op->inputs[0], 0, &w));
    status = vecq_parallel_for(w.outer * w.n_picks, 1024, call->run->threads, gather_range, &w, call->err);
    vecq_free(w.rows);
    return status;
}

/*
 * Every row of the table adds up the picks that took it, in their order and in double: rows are independent,
 * and a token that fills half of a batch (padding) loses nothing.
 */
#define BLOCK 64u

#define GATHER_SUM(real)                                                                                     \
    static void gather_sum_##real(const gather_work *w, size_t outer, size_t row)                            \
    {                                                                                                        \
        const real *src = (const real *)w->src + outer * w->n_picks * w->inner;                              \
        real *dst = (real *)w->dst + (outer * w->n_rows + row) * w->inner;                                   \
        double sum[BLOCK];                                                                                   \
        size_t at, i, k, n;                                                                                  \
                                                                                                             \
        for (at = 0; at < w->inner; at += BLOCK) {                                                           \
            n = w->inner - at < BLOCK ? w->inner - at : BLOCK;                                               \
            for (k = 0; k < n; k++)                                                                          \
                sum[k] = 0;                                                                                  \
            for (i = w->first[row]; i != SIZE_MAX; i = w->next[i])                                           \
                for (k = 0; k < n; k++)                                                                      \
                    sum[k] += (double)src[i * w->inner + at + k];                                            \
            for (k = 0; k < n; k++)                                                                          \
                dst[at + k] = (real)sum[k];                                                                  \
        }                                                                                                    \
    }

GATHER_SUM(float)
GATHER_SUM(double)

static vecq_status gather_grad_range(void *context, size_t begin, size_t end, unsigned thread,
                                     vecq_error *err)
{
    const gather_work *w = context;

    (void)thread;
    (void)err;
    for (; begin < end; begin++)
        if (w->size == sizeof(double))
            gather_sum_double(w, begin / w->n_rows, begin % w->n_rows);
        else
            gather_sum_float(w, begin / w->n_rows, begin % w->n_rows);
    return VECQ_OK;
}

vecq_status vecq_ref_gather_grad(const vecq_ref_call *call)
{
    gather_work w = {.src = call->in[0], .dst = call->out[0]};
    vecq_status status;

    if (call->out[0] == NULL)
        return VECQ_OK;
    VECQ_TRY(gather_begin(call, call->op->outputs[0], 1, &w));
    status = vecq_parallel_for(w.outer * w.n_rows, 256, call->run->threads, gather_grad_range, &w, call->err);
    vecq_free(w.rows);
    return status;
}
