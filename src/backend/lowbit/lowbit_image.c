/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between layers, on images that lie channels last: pooling, and ops that do the same to every
 * element, for which the plain backend's functions run over the memory as it is.
 */
#include <math.h>
#include <string.h>

#include "backend/lowbit/lowbit_private.h"
#include "backend/ref/ref.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"

/* ---- pooling ---- */

typedef struct pool {
    vecq_pool_params params; /* two spatial axes, whatever the op has */
    vecq_lowbit_layout in, out;
    int is_max, is_plain_out;
    unsigned threads;
    const float *x;
    float *y;
} pool;

static void pool_params(const vecq_op *op, vecq_pool_params *to)
{
    const vecq_pool_params *from = op->params;
    unsigned i, lead = 2 - from->spatial;

    *to = *from;
    for (i = 0; i < 2; i++) {
        int given = i >= lead;

        to->kernel[i] = given ? from->kernel[i - lead] : 1;
        to->stride[i] = given ? from->stride[i - lead] : 1;
        to->dilation[i] = given ? from->dilation[i - lead] : 1;
        to->pad_begin[i] = given ? from->pad_begin[i - lead] : 0;
        to->pad_end[i] = given ? from->pad_end[i - lead] : 0;
    }
}

static void pool_max(const float *x, size_t n, float *y)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] = x[i] > y[i] || x[i] != x[i] ? x[i] : y[i];
}

static void pool_sum(const float *x, size_t n, float *y)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] += x[i];
}

/* Elements of a window along an axis that lie in the input, or (padding counts) in the padded one. */
static int64_t window_count(const pool *p, unsigned axis, int64_t at, int64_t size, int with_padding)
{
    int64_t i, n = 0, end = with_padding ? size + p->params.pad_end[axis] : size;
    int64_t begin = with_padding ? -p->params.pad_begin[axis] : 0;

    for (i = 0; i < p->params.kernel[axis]; i++) {
        int64_t place = at + i * p->params.dilation[axis];

        n += place >= begin && place < end;
    }
    return n;
}

static void pool_pixel(const pool *p, size_t image, int64_t top, int64_t left, float *y)
{
    const vecq_pool_params *q = &p->params;
    size_t c = p->in.c, i;
    int64_t a, b;

    for (i = 0; i < c; i++)
        y[i] = p->is_max ? -INFINITY : 0.0f;
    for (a = 0; a < q->kernel[0]; a++)
        for (b = 0; b < q->kernel[1]; b++) {
            int64_t row = top + a * q->dilation[0], col = left + b * q->dilation[1];
            const float *x;

            if (row < 0 || col < 0 || row >= (int64_t)p->in.h || col >= (int64_t)p->in.w)
                continue;
            x = p->x + ((image * p->in.h + (size_t)row) * p->in.w + (size_t)col) * c;
            if (p->is_max)
                pool_max(x, c, y);
            else
                pool_sum(x, c, y);
        }
    if (!p->is_max) {
        float n = (float)(window_count(p, 0, top, (int64_t)p->in.h, q->include_pad) *
                          window_count(p, 1, left, (int64_t)p->in.w, q->include_pad));

        for (i = 0; i < c; i++)
            y[i] = y[i] / n;
    }
}

static vecq_status pool_rows(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const pool *p = context;
    size_t w;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        size_t image = begin / p->out.h, row = begin % p->out.h;

        for (w = 0; w < p->out.w; w++)
            pool_pixel(p, image, (int64_t)row * p->params.stride[0] - p->params.pad_begin[0],
                       (int64_t)w * p->params.stride[1] - p->params.pad_begin[1],
                       p->y + (begin * p->out.w + w) * p->in.c);
    }
    return VECQ_OK;
}

static vecq_status pool_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                            vecq_error *err)
{
    pool *p = state;

    (void)run;
    p->x = reads[0];
    p->y = writes[0];
    return vecq_parallel_for(p->out.n * p->out.h, 1, p->threads, pool_rows, p, err);
}

static vecq_status plan_pool(vecq_lowbit *e, vecq_planner *planner, const vecq_op *op,
                             const vecq_lowbit_layout *layout, int *taken, vecq_error *err)
{
    const vecq_lowbit_layout *floats;
    vecq_slot from, to;
    pool *p;

    if (((const vecq_pool_params *)op->params)->spatial > 2 ||
        (op->n_outputs > 1 && (op->outputs[1]->n_uses > 0 || op->outputs[1]->is_output)))
        return VECQ_OK;
    *taken = 1;
    VECQ_TRY(vecq_lowbit_floats(e, op->outputs[0], &floats, err));
    VECQ_TRY(vecq_planner_input(planner, op->inputs[0], &vecq_backend_lowbit, layout, &from, err));
    VECQ_TRY(vecq_planner_output(planner, op->outputs[0], &vecq_backend_lowbit, floats,
                                 floats != NULL ? floats->n_bytes : 0, &to, err));
    p = vecq_calloc(1, sizeof *p);
    if (p == NULL)
        return vecq_error_memory(err, sizeof *p);
    pool_params(op, &p->params);
    vecq_lowbit_view(op->inputs[0], 0, &p->in);
    vecq_lowbit_view(op->outputs[0], 0, &p->out);
    p->is_max = op->kind == VECQ_OP_MAX_POOL;
    p->threads = e->threads;
    return vecq_planner_step(planner, op, &vecq_backend_lowbit, "channels last", pool_run, p, vecq_free,
                             &from, 1, &to, 1, err);
}

/* ---- elementwise ---- */

static int is_flat(vecq_op_kind kind)
{
    switch (kind) {
    case VECQ_OP_ADD:
    case VECQ_OP_SUB:
    case VECQ_OP_MUL:
    case VECQ_OP_RELU:
    case VECQ_OP_LEAKY_RELU:
    case VECQ_OP_CLIP:
    case VECQ_OP_SIGMOID:
    case VECQ_OP_TANH:
    case VECQ_OP_ELU:
    case VECQ_OP_HARD_SIGMOID:
    case VECQ_OP_HARD_SWISH:
        return 1;
    default:
        return 0;
    }
}

typedef struct flat {
    vecq_op op;
    vecq_var vars[3];
    vecq_var *pointers[3];
} flat;

static vecq_status flat_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                            vecq_error *err)
{
    const flat *f = state;
    vecq_ref_call call = {.op = &f->op, .in = reads, .out = writes, .run = run, .err = err};

    return vecq_ref_call_run(&call);
}

static void flat_row(flat *f, size_t i, const vecq_var *var)
{
    f->vars[i] = *var;
    f->vars[i].rank = 1;
    f->vars[i].dims[0] = (int64_t)var->count;
    f->pointers[i] = &f->vars[i];
}

static vecq_status plan_flat(vecq_planner *planner, const vecq_op *op, const vecq_lowbit_layout *layout,
                             int *taken, vecq_error *err)
{
    vecq_slot reads[2], to;
    size_t i;
    flat *f;

    if (op->n_inputs > 2 || op->n_outputs != 1 || op->outputs[0]->dtype != VECQ_DT_FLOAT)
        return VECQ_OK;
    for (i = 0; i < op->n_inputs; i++)
        if (op->inputs[i] == NULL || !vecq_var_same_shape(op->inputs[i], op->outputs[0]))
            return VECQ_OK;
    *taken = 1;
    for (i = 0; i < op->n_inputs; i++)
        VECQ_TRY(vecq_planner_input(planner, op->inputs[i], &vecq_backend_lowbit, layout, &reads[i], err));
    VECQ_TRY(vecq_planner_output_over(planner, op->outputs[0], &vecq_backend_lowbit, layout, layout->n_bytes,
                                      reads[0], &to, err));
    f = vecq_calloc(1, sizeof *f);
    if (f == NULL)
        return vecq_error_memory(err, sizeof *f);
    f->op = *op;
    for (i = 0; i < op->n_inputs; i++)
        flat_row(f, i, op->inputs[i]);
    flat_row(f, 2, op->outputs[0]);
    f->op.inputs = f->pointers;
    f->op.outputs = f->pointers + 2;
    return vecq_planner_step(planner, op, &vecq_backend_lowbit, "plain C, channels last", flat_run, f,
                             vecq_free, reads, op->n_inputs, &to, 1, err);
}

vecq_status vecq_lowbit_plan_image(vecq_lowbit *e, vecq_planner *planner, const vecq_op *op, int *taken,
                                   vecq_error *err)
{
    const void *layout = NULL;

    if (op->n_inputs == 0 || op->inputs[0] == NULL ||
        vecq_planner_produced(planner, op->inputs[0], &layout) != &vecq_backend_lowbit ||
        ((const vecq_lowbit_layout *)layout)->kind != LOWBIT_FLOATS)
        return VECQ_OK;
    if (op->kind == VECQ_OP_MAX_POOL || op->kind == VECQ_OP_AVERAGE_POOL)
        return plan_pool(e, planner, op, layout, taken, err);
    if (is_flat(op->kind))
        return plan_flat(planner, op, layout, taken, err);
    return VECQ_OK;
}
