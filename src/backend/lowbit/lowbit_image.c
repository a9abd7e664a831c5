/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between layers, on images that lie channels last: pooling, sigmoids, and ops that do the same
 * to every element, for which the plain backend's functions run over the memory as it is.
 */
#include <string.h>

#include "backend/lowbit/lowbit_private.h"
#include "backend/ref/ref.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"
#include "kernels/gates/gates.h"
#include "kernels/nhwc/nhwc.h"

/* ---- pooling ---- */

typedef struct pool {
    vecq_nhwc_pool shape;
    int is_max;
    unsigned threads;
    const float *x;
    float *y;
} pool;

void vecq_lowbit_pool_shape(const vecq_op *op, vecq_nhwc_pool *to)
{
    const vecq_pool_params *p = op->params;
    unsigned w = p->spatial - 1; /* place of the width */
    vecq_lowbit_layout in, out;

    vecq_lowbit_view(op->inputs[0], 0, &in);
    vecq_lowbit_view(op->outputs[0], 0, &out);
    *to = (vecq_nhwc_pool){.n = in.n, .h = in.h, .w = in.w, .c = in.c, .oh = out.h, .ow = out.w};
    to->kh = to->stride_h = to->dilation_h = 1;
    to->kw = (size_t)p->kernel[w];
    to->stride_w = (size_t)p->stride[w];
    to->dilation_w = (size_t)p->dilation[w];
    to->left = (size_t)p->pad_begin[w];
    to->right = (size_t)p->pad_end[w];
    if (p->spatial == 2) {
        to->kh = (size_t)p->kernel[0];
        to->stride_h = (size_t)p->stride[0];
        to->dilation_h = (size_t)p->dilation[0];
        to->top = (size_t)p->pad_begin[0];
        to->bottom = (size_t)p->pad_end[0];
    }
    to->count_padding = p->include_pad;
}

static vecq_status pool_rows(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const vecq_nhwc_kernels *kernels = vecq_nhwc_kernels_active();
    const pool *p = context;

    (void)thread;
    (void)err;
    (p->is_max ? kernels->max_floats : kernels->average_floats)(&p->shape, p->x, begin, end, p->y);
    return VECQ_OK;
}

static vecq_status pool_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                            vecq_error *err)
{
    pool *p = state;

    (void)run;
    p->x = reads[0];
    p->y = writes[0];
    return vecq_parallel_for(p->shape.n * p->shape.oh, 1, p->threads, pool_rows, p, err);
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
    vecq_lowbit_pool_shape(op, &p->shape);
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

/* ---- Sigmoid and Silu: by vectors (kernels/gates) ---- */

#define GATE_PIECE 1024u /* elements whose sigmoid stays in the first cache */
#define GATE_GRAIN 16384u

typedef struct gate {
    size_t count;
    int is_silu; /* times x */
    unsigned threads;
    const float *x;
    float *y; /* may be x */
} gate;

static vecq_status gate_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const vecq_gates_kernels *kernels = vecq_gates_kernels_active();
    const gate *g = context;
    float piece[GATE_PIECE];
    size_t n;

    (void)thread;
    (void)err;
    for (; begin < end; begin += n) {
        n = end - begin < GATE_PIECE ? end - begin : GATE_PIECE;
        memcpy(piece, g->x + begin, n * sizeof *piece);
        kernels->sigmoid(piece, n);
        if (g->is_silu)
            kernels->multiply(g->x + begin, piece, n, g->y + begin);
        else
            memcpy(g->y + begin, piece, n * sizeof *piece);
    }
    return VECQ_OK;
}

static vecq_status gate_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                            vecq_error *err)
{
    gate *g = state;

    (void)run;
    g->x = reads[0];
    g->y = writes[0];
    return vecq_parallel_for(g->count, GATE_GRAIN, g->threads, gate_range, g, err);
}

static vecq_status plan_gate(vecq_lowbit *e, vecq_planner *planner, const vecq_op *op,
                             const vecq_lowbit_layout *layout, int *taken, vecq_error *err)
{
    vecq_slot from, to;
    gate *g;

    if (op->outputs[0]->dtype != VECQ_DT_FLOAT)
        return VECQ_OK;
    *taken = 1;
    VECQ_TRY(vecq_planner_input(planner, op->inputs[0], &vecq_backend_lowbit, layout, &from, err));
    VECQ_TRY(vecq_planner_output_over(planner, op->outputs[0], &vecq_backend_lowbit, layout, layout->n_bytes,
                                      from, &to, err));
    g = vecq_calloc(1, sizeof *g);
    if (g == NULL)
        return vecq_error_memory(err, sizeof *g);
    g->count = op->outputs[0]->count;
    g->is_silu = op->kind == VECQ_OP_SILU;
    g->threads = e->threads;
    return vecq_planner_step(planner, op, &vecq_backend_lowbit, "channels last", gate_run, g, vecq_free,
                             &from, 1, &to, 1, err);
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
    if (op->kind == VECQ_OP_SIGMOID || op->kind == VECQ_OP_SILU)
        return plan_gate(e, planner, op, layout, taken, err);
    if (is_flat(op->kind))
        return plan_flat(planner, op, layout, taken, err);
    return VECQ_OK;
}
