/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reductions (sum, mean, maximum, product) and Expand. Neighbouring axes of the same kind (kept, reduced) are
 * merged. Where the last axis is reduced, each result is made of runs of neighbouring elements; where it is
 * kept, results are made in blocks of neighbours. Either way the order of summation is fixed, and sums are in
 * double.
 */
#include <string.h>

#include "backend/ref/ref.h"
#include "base/status.h"
#include "base/threads.h"

#define BLOCK      64u    /* results that are summed up side by side */
#define LANES      8u     /* partial sums of a run: fixed, so that they mean the same everywhere */
#define GRAIN_WORK 16384u /* elements read that are worth a hand-over to a thread */

typedef struct axes_list {
    unsigned n;
    size_t dims[VECQ_MAX_RANK], steps[VECQ_MAX_RANK];
    size_t count;
} axes_list;

typedef struct reduction {
    axes_list kept, reduced; /* of the last axis (merged): only in `length` */
    size_t length;           /* of the last axis */
    int last_is_kept;
    int is_max, is_product;
    double factor;
    size_t blocks; /* last_is_kept: blocks of results in a row */
    const void *x, *dy;
    void *y;
} reduction;

static size_t offset_of(const axes_list *axes, size_t index)
{
    size_t offset = 0;
    unsigned i;

    for (i = axes->n; i-- > 0;) {
        offset += index % axes->dims[i] * axes->steps[i];
        index /= axes->dims[i];
    }
    return offset;
}

static void list_prepend(axes_list *axes, size_t dim, size_t step)
{
    memmove(axes->dims + 1, axes->dims, axes->n * sizeof *axes->dims);
    memmove(axes->steps + 1, axes->steps, axes->n * sizeof *axes->steps);
    axes->dims[0] = dim;
    axes->steps[0] = step;
    axes->count *= dim;
    axes->n++;
}

/* From the last axis to the first, merging; the merged last one is not put into a list. */
static void reduction_make(reduction *r, const vecq_var *x, const unsigned char *marks)
{
    size_t step = 1, dim = 0, begin = 1;
    int reduced = 0, is_last = 1;
    unsigned i;

    r->kept.count = r->reduced.count = r->length = 1;
    for (i = x->rank; i-- > 0;) {
        size_t n = (size_t)x->dims[i];

        if (n == 1)
            continue;
        if (dim == 0 || reduced != (marks[i] != 0)) {
            if (dim > 0 && is_last) {
                r->length = dim;
                r->last_is_kept = !reduced;
                is_last = 0;
            } else if (dim > 0) {
                list_prepend(reduced ? &r->reduced : &r->kept, dim, begin);
            }
            reduced = marks[i] != 0;
            begin = step;
            dim = n;
        } else {
            dim *= n;
        }
        step *= n;
    }
    if (dim > 0 && is_last) {
        r->length = dim;
        r->last_is_kept = !reduced;
    } else if (dim > 0) {
        list_prepend(reduced ? &r->reduced : &r->kept, dim, begin);
    }
    r->blocks = r->last_is_kept ? (r->length + BLOCK - 1) / BLOCK : 1;
}

static inline double larger(double a, double b)
{
    return b > a || b != b ? b : a;
}

#define REDUCE(type, suffix)                                                                                 \
    static double sum_run_##suffix(const type *x, size_t n)                                                  \
    {                                                                                                        \
        double lanes[LANES] = {0}, sum = 0;                                                                  \
        size_t i, k;                                                                                         \
        for (i = 0; i + LANES <= n; i += LANES)                                                              \
            for (k = 0; k < LANES; k++)                                                                      \
                lanes[k] += (double)x[i + k];                                                                \
        for (; i < n; i++)                                                                                   \
            sum += (double)x[i];                                                                             \
        for (k = 0; k < LANES; k++)                                                                          \
            sum += lanes[k];                                                                                 \
        return sum;                                                                                          \
    }                                                                                                        \
    static double max_run_##suffix(const type *x, size_t n)                                                  \
    {                                                                                                        \
        type lanes[LANES];                                                                                   \
        double best;                                                                                         \
        size_t i, k;                                                                                         \
        for (k = 0; k < LANES; k++)                                                                          \
            lanes[k] = x[k < n ? k : 0];                                                                     \
        for (i = LANES; i + LANES <= n; i += LANES)                                                          \
            for (k = 0; k < LANES; k++)                                                                      \
                lanes[k] = x[i + k] > lanes[k] || x[i + k] != x[i + k] ? x[i + k] : lanes[k];                \
        for (best = (double)lanes[0], k = 1; k < LANES; k++)                                                 \
            best = larger(best, (double)lanes[k]);                                                           \
        for (; i < n; i++)                                                                                   \
            best = larger(best, (double)x[i]);                                                               \
        return best;                                                                                         \
    }                                                                                                        \
    static double product_run_##suffix(const type *x, size_t n)                                              \
    {                                                                                                        \
        double product = 1;                                                                                  \
        size_t i;                                                                                            \
        for (i = 0; i < n; i++)                                                                              \
            product *= (double)x[i];                                                                         \
        return product;                                                                                      \
    }                                                                                                        \
    static void reduce_runs_##suffix(const reduction *r, size_t o)                                           \
    {                                                                                                        \
        const type *x = (const type *)r->x + offset_of(&r->kept, o);                                         \
        double acc = 0;                                                                                      \
        size_t k;                                                                                            \
        for (k = 0; k < r->reduced.count; k++) {                                                             \
            const type *run = x + offset_of(&r->reduced, k);                                                 \
            if (r->is_product)                                                                               \
                acc = (k == 0 ? 1 : acc) * product_run_##suffix(run, r->length);                             \
            else if (!r->is_max)                                                                             \
                acc += sum_run_##suffix(run, r->length);                                                     \
            else                                                                                             \
                acc = k == 0 ? max_run_##suffix(run, r->length)                                              \
                             : larger(acc, max_run_##suffix(run, r->length));                                \
        }                                                                                                    \
        ((type *)r->y)[o] = (type)(acc * r->factor);                                                         \
    }                                                                                                        \
    static void reduce_block_##suffix(const reduction *r, size_t task)                                       \
    {                                                                                                        \
        size_t o = task / r->blocks, first = task % r->blocks * BLOCK, k, j;                                 \
        size_t n = r->length - first < BLOCK ? r->length - first : BLOCK;                                    \
        const type *x = (const type *)r->x + offset_of(&r->kept, o) + first;                                 \
        type *y = (type *)r->y + o * r->length + first;                                                      \
        double acc[BLOCK] = {0};                                                                             \
        for (k = 0; k < r->reduced.count; k++) {                                                             \
            const type *row = x + offset_of(&r->reduced, k);                                                 \
            if (r->is_product)                                                                               \
                for (j = 0; j < n; j++)                                                                      \
                    acc[j] = (k == 0 ? 1 : acc[j]) * (double)row[j];                                         \
            else if (!r->is_max)                                                                             \
                for (j = 0; j < n; j++)                                                                      \
                    acc[j] += (double)row[j];                                                                \
            else                                                                                             \
                for (j = 0; j < n; j++)                                                                      \
                    acc[j] = k == 0 ? (double)row[j] : larger(acc[j], (double)row[j]);                       \
        }                                                                                                    \
        for (j = 0; j < n; j++)                                                                              \
            y[j] = (type)(acc[j] * r->factor);                                                               \
    }                                                                                                        \
    static vecq_status reduce_##suffix(void *context, size_t begin, size_t end, unsigned thread,             \
                                       vecq_error *err)                                                      \
    {                                                                                                        \
        const reduction *r = context;                                                                        \
        size_t t;                                                                                            \
        (void)thread;                                                                                        \
        (void)err;                                                                                           \
        for (t = begin; t < end; t++)                                                                        \
            if (r->last_is_kept)                                                                             \
                reduce_block_##suffix(r, t);                                                                 \
            else                                                                                             \
                reduce_runs_##suffix(r, t);                                                                  \
        return VECQ_OK;                                                                                      \
    }                                                                                                        \
    /* Of dx, already 0: dy goes to the first of the largest elements. */                                    \
    static vecq_status max_grad_##suffix(void *context, size_t begin, size_t end, unsigned thread,           \
                                         vecq_error *err)                                                    \
    {                                                                                                        \
        const reduction *r = context;                                                                        \
        const size_t inner = r->last_is_kept ? r->length : 1, run = r->last_is_kept ? 1 : r->length;         \
        size_t t, k, j;                                                                                      \
        (void)thread;                                                                                        \
        (void)err;                                                                                           \
        for (t = begin; t < end; t++) {                                                                      \
            const size_t base = offset_of(&r->kept, t / inner) + t % inner;                                  \
            const type *x = r->x;                                                                            \
            size_t best = base;                                                                              \
            for (k = 0; k < r->reduced.count; k++)                                                           \
                for (j = 0; j < run; j++) {                                                                  \
                    const size_t at = base + offset_of(&r->reduced, k) + j;                                  \
                    if (x[at] > x[best])                                                                     \
                        best = at;                                                                           \
                }                                                                                            \
            ((type *)r->y)[best] = ((const type *)r->dy)[t];                                                 \
        }                                                                                                    \
        return VECQ_OK;                                                                                      \
    }

REDUCE(float, f32)
REDUCE(double, f64)

static size_t grain(size_t work)
{
    return work < GRAIN_WORK ? GRAIN_WORK / (work > 0 ? work : 1) : 1;
}

enum { REDUCE_SUM, REDUCE_MEAN, REDUCE_MAX, REDUCE_PRODUCT };

static vecq_status run(const vecq_ref_call *call, int how)
{
    const vecq_reduce_params *params = call->op->params;
    const vecq_var *x = call->op->inputs[0], *y = call->op->outputs[0];
    reduction r = {.x = call->in[0],
                   .y = call->out[0],
                   .is_max = how == REDUCE_MAX,
                   .is_product = how == REDUCE_PRODUCT,
                   .factor = 1};
    size_t tasks, work;

    if (call->out[0] == NULL || y->count == 0)
        return VECQ_OK;
    if (x->count == 0) { /* sums of nothing */
        memset(call->out[0], 0, vecq_dtype_bytes(y->dtype, y->count));
        return VECQ_OK;
    }
    reduction_make(&r, x, params->axes);
    if (how == REDUCE_MEAN)
        r.factor = 1.0 / (double)(x->count / y->count);
    tasks = r.kept.count * r.blocks;
    work = r.reduced.count * (r.last_is_kept && r.length > BLOCK ? BLOCK : r.length);
    return vecq_parallel_for(tasks, grain(work), call->run->threads,
                             x->dtype == VECQ_DT_DOUBLE ? reduce_f64 : reduce_f32, &r, call->err);
}

vecq_status vecq_ref_reduce_sum(const vecq_ref_call *call)
{
    return run(call, REDUCE_SUM);
}

vecq_status vecq_ref_reduce_mean(const vecq_ref_call *call)
{
    return run(call, REDUCE_MEAN);
}

vecq_status vecq_ref_reduce_max(const vecq_ref_call *call)
{
    return run(call, REDUCE_MAX);
}

vecq_status vecq_ref_reduce_prod(const vecq_ref_call *call)
{
    return run(call, REDUCE_PRODUCT);
}

vecq_status vecq_ref_reduce_max_grad(const vecq_ref_call *call)
{
    const vecq_reduce_params *params = call->op->params;
    const vecq_var *dy = call->op->inputs[0], *x = call->op->inputs[1];
    reduction r = {.dy = call->in[0], .x = call->in[1], .y = call->out[0]};

    if (call->out[0] == NULL || x->count == 0)
        return VECQ_OK;
    memset(call->out[0], 0, vecq_dtype_bytes(x->dtype, x->count));
    reduction_make(&r, x, params->axes);
    return vecq_parallel_for(dy->count, grain(x->count / dy->count), call->run->threads,
                             x->dtype == VECQ_DT_DOUBLE ? max_grad_f64 : max_grad_f32, &r, call->err);
}

/* ---- Expand ---- */

typedef struct expansion {
    const vecq_var *y;
    size_t steps[VECQ_MAX_RANK]; /* bytes in x */
    size_t element, length;      /* of the last axis */
    const char *x;
    char *dst;
} expansion;

static void repeat(char *dst, const char *src, size_t element, size_t n)
{
    size_t i;

    if (element == sizeof(float))
        for (i = 0; i < n; i++)
            memcpy(dst + i * sizeof(float), src, sizeof(float));
    else
        for (i = 0; i < n; i++)
            memcpy(dst + i * element, src, element);
}

static vecq_status expand_rows(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const expansion *e = context;
    unsigned last = e->y->rank - 1, i;
    size_t row, rest;

    (void)thread;
    (void)err;
    for (row = begin; row < end; row++) {
        const char *src = e->x;
        char *dst = e->dst + row * e->length * e->element;

        for (rest = row, i = last; i-- > 0;) {
            src += rest % (size_t)e->y->dims[i] * e->steps[i];
            rest /= (size_t)e->y->dims[i];
        }
        if (e->steps[last] != 0)
            memcpy(dst, src, e->length * e->element);
        else
            repeat(dst, src, e->element, e->length);
    }
    return VECQ_OK;
}

vecq_status vecq_ref_expand(const vecq_ref_call *call)
{
    const vecq_var *x = call->op->inputs[0], *y = call->op->outputs[0];
    expansion e = {.y = y, .x = call->in[0], .dst = call->out[0], .length = 1};
    size_t step;
    unsigned i;

    if (call->out[0] == NULL || y->count == 0)
        return VECQ_OK;
    e.element = vecq_dtype_bytes(y->dtype, 1);
    if (y->rank == 0) {
        memcpy(call->out[0], call->in[0], e.element);
        return VECQ_OK;
    }
    for (step = e.element, i = y->rank; i-- > y->rank - x->rank;) {
        int64_t n = x->dims[i - (y->rank - x->rank)];

        e.steps[i] = n != 1 ? step : 0;
        step *= (size_t)n;
    }
    e.length = (size_t)y->dims[y->rank - 1];
    return vecq_parallel_for(y->count / e.length, grain(e.length), call->run->threads, expand_rows, &e,
                             call->err);
}
