/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LSTM forward and backward. The library's gates are i, f, c, o with one bias, ONNX's are i, o, f, c with
 * two: a step before the primitive puts the rows of the weights into the other order and adds the biases up,
 * one after the backward primitive takes the gradients back. The library adds to the gradients of weights, so
 * they are zeroed first. Both directions together give [T, B, 2H] where ONNX has [T, 2, B, H]: one reorder.
 *
 * Every argument but the weights is plain. A plan is a list of steps; `lstm_plan` holds the slots they share.
 */
#include <string.h>

#include "backend/onednn/onednn_private.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"

#define N_IN  6 /* x, w, r, b, h0, c0 */
#define N_OUT 4 /* y, y_h, y_c, workspace */

static const size_t onnx_gate[4] = {0, 2, 3, 1}; /* of the library's gate */

typedef struct lstm_plan {
    vecq_onednn *e;
    vecq_planner *planner;
    const vecq_op *op;
    dnnl_dim_t steps, batch, input, hidden, directions;
    dnnl_rnn_direction_t direction;
    vecq_dnnl_lstm md;            /* weights left open */
    const vecq_dnnl_md *w, *r;    /* the form the gate steps write: [D, 4, H, I] */
    const vecq_dnnl_md *joined;   /* y as [T, D, B, H] over the memory of [T, B, D*H] */
    const vecq_dnnl_md *separate; /* y as ONNX has it */
    vecq_slot slot_w, slot_r, slot_b, slot_h0, slot_c0;
} lstm_plan;

/* ---- steps of our own ---- */

typedef struct lstm_gates {
    size_t directions, hidden, input;
    unsigned threads;
} lstm_gates;

typedef struct lstm_copy {
    const lstm_gates *gates;
    const float *from;
    float *to;
    size_t n; /* floats of a row */
    int is_back;
} lstm_copy;

static vecq_status copy_rows(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const lstm_copy *c = context;
    size_t hidden = c->gates->hidden;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) { /* d, gate of the library, row */
        size_t d = begin / (4 * hidden), g = begin / hidden % 4, row = begin % hidden;
        size_t other = (d * 4 + onnx_gate[g]) * hidden + row;

        if (c->is_back)
            memcpy(c->to + other * c->n, c->from + begin * c->n, c->n * sizeof(float));
        else
            memcpy(c->to + begin * c->n, c->from + other * c->n, c->n * sizeof(float));
    }
    return VECQ_OK;
}

static vecq_status copy_gates(const lstm_gates *gates, const float *from, float *to, size_t n, int is_back,
                              vecq_error *err)
{
    lstm_copy copy = {.gates = gates, .from = from, .to = to, .n = n, .is_back = is_back};

    if (from == NULL || to == NULL)
        return VECQ_OK;
    return vecq_parallel_for(gates->directions * 4 * gates->hidden, 1 + 16384 / (n + 1), gates->threads,
                             copy_rows, &copy, err);
}

/* reads: w, r, b; writes: the same in the library's order, the biases added up. */
static vecq_status run_gates(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                             vecq_error *err)
{
    const lstm_gates *q = state;
    const float *b = reads[2];
    float *sum = writes[2];
    size_t d, g, j, wide = 4 * q->hidden;

    (void)run;
    VECQ_TRY(copy_gates(q, reads[0], writes[0], q->input, 0, err));
    VECQ_TRY(copy_gates(q, reads[1], writes[1], q->hidden, 0, err));
    for (d = 0; d < q->directions; d++)
        for (g = 0; g < 4; g++)
            for (j = 0; j < q->hidden; j++) {
                size_t other = 2 * d * wide + onnx_gate[g] * q->hidden + j;

                sum[d * wide + g * q->hidden + j] = b != NULL ? b[other] + b[other + wide] : 0;
            }
    return VECQ_OK;
}

/* reads: gradients of w, r, b in the library's order; writes: dw, dr, db. */
static vecq_status run_gates_back(void *state, const void *const *reads, void *const *writes,
                                  const vecq_run *run, vecq_error *err)
{
    const lstm_gates *q = state;
    const float *sum = reads[2];
    float *b = writes[2];
    size_t d, g, j, wide = 4 * q->hidden;

    (void)run;
    VECQ_TRY(copy_gates(q, reads[0], writes[0], q->input, 1, err));
    VECQ_TRY(copy_gates(q, reads[1], writes[1], q->hidden, 1, err));
    for (d = 0; b != NULL && d < q->directions; d++)
        for (g = 0; g < 4; g++)
            for (j = 0; j < q->hidden; j++) {
                size_t other = 2 * d * wide + onnx_gate[g] * q->hidden + j;

                b[other] = b[other + wide] = sum[d * wide + g * q->hidden + j];
            }
    return VECQ_OK;
}

static vecq_status run_zero(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                            vecq_error *err)
{
    (void)reads;
    (void)run;
    (void)err;
    memset(writes[0], 0, *(const size_t *)state);
    return VECQ_OK;
}

/* A slot of zeros. */
static vecq_status add_zeros(const lstm_plan *p, const vecq_dnnl_md *md, vecq_slot *out, vecq_error *err)
{
    size_t *n_bytes;

    VECQ_TRY(vecq_planner_scratch(p->planner, vecq_dnnl_md_bytes(md), out, err));
    n_bytes = vecq_alloc(1, sizeof *n_bytes);
    if (n_bytes == NULL)
        return vecq_error_memory(err, sizeof *n_bytes);
    *n_bytes = vecq_dnnl_md_bytes(md);
    return vecq_planner_step(p->planner, p->op, &vecq_backend_onednn, "zeros", run_zero, n_bytes, vecq_free,
                             NULL, 0, out, 1, err);
}

static vecq_status add_gates(const lstm_plan *p, vecq_step_fn run, const char *detail, const vecq_slot *reads,
                             const vecq_slot *writes, vecq_error *err)
{
    lstm_gates *gates = vecq_alloc(1, sizeof *gates);

    if (gates == NULL)
        return vecq_error_memory(err, sizeof *gates);
    gates->directions = (size_t)p->directions;
    gates->hidden = (size_t)p->hidden;
    gates->input = (size_t)p->input;
    gates->threads = p->e->threads;
    return vecq_planner_step(p->planner, p->op, &vecq_backend_onednn, detail, run, gates, vecq_free, reads, 3,
                             writes, 3, err);
}

static vecq_status add_reorder_to(const lstm_plan *p, const vecq_dnnl_md *from, vecq_slot slot,
                                  const vecq_dnnl_md *to, vecq_slot target, vecq_error *err)
{
    vecq_onednn_arg args[] = {
        {.kind = DNNL_ARG_FROM, .access = VECQ_ONEDNN_SLOT_READ, .slot = slot, .md = from},
        {.kind = DNNL_ARG_TO, .access = VECQ_ONEDNN_SLOT_WRITE, .slot = target, .md = to}};
    dnnl_primitive_desc_t pd = NULL;
    int ignored = 0;

    VECQ_TRY(vecq_onednn_check(vecq_dnnl_reorder(&p->e->make, from, to, &pd), "reorder", NULL, err));
    return vecq_onednn_finish(p->e, p->planner, p->op, dnnl_success, pd, args, 2, &ignored, err);
}

/* A copy of a slot in another form, or the slot itself when it is none. */
static vecq_status add_reorder(const lstm_plan *p, const vecq_dnnl_md *from, vecq_slot slot,
                               const vecq_dnnl_md *to, vecq_slot *out, vecq_error *err)
{
    *out = slot;
    if (from == to)
        return VECQ_OK;
    VECQ_TRY(vecq_planner_scratch(p->planner, vecq_dnnl_md_bytes(to), out, err));
    return add_reorder_to(p, from, slot, to, *out, err);
}

/* ---- description ---- */

static vecq_status md_tagged(vecq_onednn *e, dnnl_format_tag_t tag, int n, const dnnl_dim_t *dims,
                             const vecq_dnnl_md **out, vecq_error *err)
{
    return vecq_onednn_check(vecq_dnnl_md_tag(&e->pool, n, dims, tag, out), "LSTM", NULL, err);
}

static vecq_status lstm_describe(lstm_plan *p, vecq_error *err)
{
    vecq_onednn *e = p->e;
    dnnl_dim_t t = p->steps, b = p->batch, h = p->hidden, d = p->directions;
    dnnl_dims_t x = {t, b, p->input}, y = {t, b, d * h}, state = {1, d, b, h}, bias = {1, d, 4, h};
    dnnl_dims_t w = {1, d, p->input, 4, h}, r = {1, d, h, 4, h}, parts = {t, d, b, h};
    dnnl_dims_t strides = {b * d * h, h, d * h, 1};

    VECQ_TRY(md_tagged(e, dnnl_tnc, 3, x, &p->md.x, err));
    VECQ_TRY(md_tagged(e, dnnl_tnc, 3, y, &p->md.y, err));
    VECQ_TRY(md_tagged(e, dnnl_ldnc, 4, state, &p->md.hn, err));
    p->md.cn = p->md.hn;
    p->md.h0 = p->md.c0 = p->md.hn; /* zeros too: without them 2.6 makes the gradient of R from garbage */
    VECQ_TRY(md_tagged(e, dnnl_ldgo, 4, bias, &p->md.b, err));
    VECQ_TRY(md_tagged(e, dnnl_format_tag_any, 5, w, &p->md.w, err));
    VECQ_TRY(md_tagged(e, dnnl_format_tag_any, 5, r, &p->md.r, err));
    VECQ_TRY(md_tagged(e, dnnl_ldgoi, 5, w, &p->w, err));
    VECQ_TRY(md_tagged(e, dnnl_ldgoi, 5, r, &p->r, err));
    VECQ_TRY(
        vecq_onednn_check(vecq_dnnl_md_strides(&e->pool, 4, parts, strides, &p->joined), "LSTM", NULL, err));
    return vecq_onednn_check(vecq_dnnl_md_plain(&e->pool, 4, parts, &p->separate), "LSTM", NULL, err);
}

/* From the forward op or its gradient: both begin with the same inputs. 0: not for this backend. */
static int lstm_open(lstm_plan *p, vecq_onednn *e, vecq_planner *planner, const vecq_op *op)
{
    const vecq_lstm_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    size_t i;

    memset(p, 0, sizeof *p);
    for (i = 0; i < op->n_inputs && i < N_IN; i++)
        if (op->inputs[i] != NULL && !vecq_onednn_takes(op->inputs[i]))
            return 0;
    if (x->rank != 3)
        return 0;
    p->e = e;
    p->planner = planner;
    p->op = op;
    p->steps = x->dims[0];
    p->batch = x->dims[1];
    p->input = x->dims[2];
    p->hidden = params->hidden;
    p->directions = params->direction == VECQ_LSTM_BOTH ? 2 : 1;
    p->direction = params->direction == VECQ_LSTM_BOTH      ? dnnl_bidirectional_concat
                   : params->direction == VECQ_LSTM_REVERSE ? dnnl_unidirectional_right2left
                                                            : dnnl_unidirectional_left2right;
    return 1;
}

/* Weights in the library's order, in the form `pd` wants. */
static vecq_status lstm_weights(lstm_plan *p, const_dnnl_primitive_desc_t pd, vecq_error *err)
{
    const vecq_op *op = p->op;
    const vecq_dnnl_md *w = NULL, *r = NULL;
    vecq_slot reads[3] = {VECQ_NO_SLOT, VECQ_NO_SLOT, VECQ_NO_SLOT}, writes[3];
    size_t i;

    for (i = 0; i < 3; i++)
        if (i + 1 < op->n_inputs && op->inputs[i + 1] != NULL)
            VECQ_TRY(vecq_planner_input(p->planner, op->inputs[i + 1], NULL, NULL, &reads[i], err));
    VECQ_TRY(vecq_planner_scratch(p->planner, vecq_dnnl_md_bytes(p->w), &writes[0], err));
    VECQ_TRY(vecq_planner_scratch(p->planner, vecq_dnnl_md_bytes(p->r), &writes[1], err));
    VECQ_TRY(vecq_planner_scratch(p->planner, vecq_dnnl_md_bytes(p->md.b), &writes[2], err));
    VECQ_TRY(add_gates(p, run_gates, "gates", reads, writes, err));
    VECQ_TRY(vecq_onednn_check(vecq_dnnl_md_of_arg(&p->e->pool, pd, DNNL_ARG_WEIGHTS_LAYER, &w), "LSTM", NULL,
                               err));
    VECQ_TRY(vecq_onednn_check(vecq_dnnl_md_of_arg(&p->e->pool, pd, DNNL_ARG_WEIGHTS_ITER, &r), "LSTM", NULL,
                               err));
    VECQ_TRY(add_reorder(p, p->w, writes[0], w, &p->slot_w, err));
    VECQ_TRY(add_reorder(p, p->r, writes[1], r, &p->slot_r, err));
    p->slot_b = writes[2];
    return VECQ_OK;
}

/* Weights, once where they do not change, and initial states. */
static vecq_status lstm_prepare(lstm_plan *p, const_dnnl_primitive_desc_t pd, vecq_error *err)
{
    const vecq_op *op = p->op;
    vecq_status status;
    size_t i;

    vecq_planner_once(p->planner, 1);
    status = lstm_weights(p, pd, err);
    vecq_planner_once(p->planner, 0);
    VECQ_TRY(status);
    for (i = 4; i < 6; i++) {
        vecq_slot *slot = i == 4 ? &p->slot_h0 : &p->slot_c0;

        if (i < op->n_inputs && op->inputs[i] != NULL)
            VECQ_TRY(vecq_planner_input(p->planner, op->inputs[i], NULL, NULL, slot, err));
        else
            VECQ_TRY(add_zeros(p, p->md.h0, slot, err));
    }
    return VECQ_OK;
}

/* An argument for a slot. */
static void put(vecq_onednn_arg *args, size_t *n, int kind, vecq_slot slot, int is_output)
{
    args[(*n)++] = (vecq_onednn_arg){
        .kind = kind, .access = is_output ? VECQ_ONEDNN_SLOT_WRITE : VECQ_ONEDNN_SLOT_READ, .slot = slot};
}

static void put_var(vecq_onednn_arg *args, size_t *n, int kind, vecq_onednn_access access,
                    const vecq_var *var)
{
    args[(*n)++] = (vecq_onednn_arg){.kind = kind, .access = access, .var = var};
}

static void put_weights(const lstm_plan *p, vecq_onednn_arg *args, size_t *n)
{
    put_var(args, n, DNNL_ARG_SRC_LAYER, VECQ_ONEDNN_READ_PLAIN, p->op->inputs[0]);
    put(args, n, DNNL_ARG_SRC_ITER, p->slot_h0, 0);
    put(args, n, DNNL_ARG_SRC_ITER_C, p->slot_c0, 0);
    put(args, n, DNNL_ARG_WEIGHTS_LAYER, p->slot_w, 0);
    put(args, n, DNNL_ARG_WEIGHTS_ITER, p->slot_r, 0);
    put(args, n, DNNL_ARG_BIAS, p->slot_b, 0);
}

/* ---- forward ---- */

static vecq_status forward_steps(lstm_plan *p, const_dnnl_primitive_desc_t pd, int is_training,
                                 vecq_error *err)
{
    const vecq_op *op = p->op;
    vecq_onednn_arg args[VECQ_ONEDNN_ARGS];
    vecq_slot joined = VECQ_NO_SLOT, y = VECQ_NO_SLOT;
    size_t n = 0;

    VECQ_TRY(lstm_prepare(p, pd, err));
    put_weights(p, args, &n);
    if (p->directions == 1) {
        put_var(args, &n, DNNL_ARG_DST_LAYER, VECQ_ONEDNN_WRITE_PLAIN, op->outputs[0]);
    } else {
        VECQ_TRY(vecq_planner_scratch(p->planner, vecq_dnnl_md_bytes(p->md.y), &joined, err));
        put(args, &n, DNNL_ARG_DST_LAYER, joined, 1);
    }
    put_var(args, &n, DNNL_ARG_DST_ITER, VECQ_ONEDNN_WRITE_PLAIN, op->outputs[1]);
    put_var(args, &n, DNNL_ARG_DST_ITER_C, VECQ_ONEDNN_WRITE_PLAIN, op->outputs[2]);
    if (is_training)
        put_var(args, &n, DNNL_ARG_WORKSPACE, VECQ_ONEDNN_WRITE, op->outputs[3]);
    VECQ_TRY(vecq_onednn_step(p->e, p->planner, op, pd, args, n, err));
    vecq_onednn_memo_of(p->e, op)->slot = joined;
    if (p->directions == 1 || !vecq_onednn_is_used(op->outputs[0]))
        return VECQ_OK;
    VECQ_TRY(vecq_planner_output(p->planner, op->outputs[0], NULL, NULL, 0, &y, err));
    return add_reorder_to(p, p->joined, joined, p->separate, y, err);
}

VECQ_ONEDNN_PLAN(lstm)
{
    int is_training = vecq_onednn_is_used(op->outputs[3]), declined = 0;
    dnnl_primitive_desc_t pd = NULL;
    vecq_status status;
    lstm_plan p;

    VECQ_TRY(vecq_onednn_plan_cells(e, planner, op, taken, err));
    if (*taken || !lstm_open(&p, e, planner, op))
        return VECQ_OK;
    VECQ_TRY(lstm_describe(&p, err));
    VECQ_TRY(vecq_onednn_check(
        vecq_dnnl_lstm_forward(&e->make, is_training ? dnnl_forward_training : dnnl_forward_inference,
                               p.direction, &p.md, &pd),
        "LSTM", &declined, err));
    if (declined)
        return VECQ_OK;
    *taken = vecq_onednn_memo_of(e, op)->is_taken = 1;
    status = forward_steps(&p, pd, is_training, err);
    dnnl_primitive_desc_destroy(pd);
    return status;
}

/* ---- backward ---- */

/* Gradient of an output, plain; zeros where none flows back. */
static vecq_status output_gradient(const lstm_plan *p, size_t i, const vecq_dnnl_md *md, vecq_slot *out,
                                   vecq_error *err)
{
    const vecq_var *var = p->op->inputs[N_IN + N_OUT + i];

    if (var == NULL)
        return add_zeros(p, md, out, err);
    return vecq_planner_input(p->planner, var, NULL, NULL, out, err);
}

/* Gradients of w, r, b: in the form the primitive makes, and back to dw, dr, db. */
static vecq_status weight_gradients(const lstm_plan *p, const vecq_dnnl_md *const *md, const vecq_slot *slot,
                                    vecq_error *err)
{
    const vecq_dnnl_md *const plain[3] = {p->w, p->r, p->md.b};
    vecq_slot reads[3], writes[3];
    size_t i;

    for (i = 0; i < 3; i++) {
        const vecq_var *var = p->op->outputs[1 + i];

        VECQ_TRY(add_reorder(p, md[i], slot[i], plain[i], &reads[i], err));
        writes[i] = VECQ_NO_SLOT;
        if (vecq_onednn_is_used(var))
            VECQ_TRY(vecq_planner_output(p->planner, var, NULL, NULL, 0, &writes[i], err));
    }
    return add_gates(p, run_gates_back, "gates back", reads, writes, err);
}

static vecq_status backward_steps(lstm_plan *p, const_dnnl_primitive_desc_t pd, vecq_error *err)
{
    static const int kinds[3] = {DNNL_ARG_DIFF_WEIGHTS_LAYER, DNNL_ARG_DIFF_WEIGHTS_ITER, DNNL_ARG_DIFF_BIAS};
    const vecq_op *op = p->op;
    vecq_onednn_arg args[VECQ_ONEDNN_ARGS];
    const vecq_dnnl_md *md[3];
    vecq_slot dy, dh, dc, slot[3];
    size_t n = 0, i;

    VECQ_TRY(lstm_prepare(p, pd, err));
    VECQ_TRY(output_gradient(p, 0, p->md.y, &dy, err));
    VECQ_TRY(output_gradient(p, 1, p->md.hn, &dh, err));
    VECQ_TRY(output_gradient(p, 2, p->md.cn, &dc, err));
    if (p->directions == 2 && op->inputs[N_IN + N_OUT] != NULL)
        VECQ_TRY(add_reorder(p, p->separate, dy, p->joined, &dy, err));
    for (i = 0; i < 3; i++) {
        VECQ_TRY(
            vecq_onednn_check(vecq_dnnl_md_of_arg(&p->e->pool, pd, kinds[i], &md[i]), "LSTM", NULL, err));
        VECQ_TRY(add_zeros(p, md[i], &slot[i], err));
    }
    put_weights(p, args, &n);
    if (p->directions == 1)
        put_var(args, &n, DNNL_ARG_DST_LAYER, VECQ_ONEDNN_READ_PLAIN, op->inputs[N_IN]);
    else
        put(args, &n, DNNL_ARG_DST_LAYER, vecq_onednn_memo_of(p->e, op->forward)->slot, 0);
    put_var(args, &n, DNNL_ARG_DST_ITER, VECQ_ONEDNN_READ_PLAIN, op->inputs[N_IN + 1]);
    put_var(args, &n, DNNL_ARG_DST_ITER_C, VECQ_ONEDNN_READ_PLAIN, op->inputs[N_IN + 2]);
    put_var(args, &n, DNNL_ARG_WORKSPACE, VECQ_ONEDNN_READ, op->inputs[N_IN + 3]);
    put(args, &n, DNNL_ARG_DIFF_DST_LAYER, dy, 0);
    put(args, &n, DNNL_ARG_DIFF_DST_ITER, dh, 0);
    put(args, &n, DNNL_ARG_DIFF_DST_ITER_C, dc, 0);
    put_var(args, &n, DNNL_ARG_DIFF_SRC_LAYER, VECQ_ONEDNN_WRITE_PLAIN, op->outputs[0]);
    put_var(args, &n, DNNL_ARG_DIFF_SRC_ITER, VECQ_ONEDNN_WRITE_PLAIN, op->outputs[4]);
    put_var(args, &n, DNNL_ARG_DIFF_SRC_ITER_C, VECQ_ONEDNN_WRITE_PLAIN, op->outputs[5]);
    for (i = 0; i < 3; i++)
        put(args, &n, kinds[i], slot[i], 1);
    VECQ_TRY(vecq_onednn_step(p->e, p->planner, op, pd, args, n, err));
    return weight_gradients(p, md, slot, err);
}

VECQ_ONEDNN_PLAN(lstm_grad)
{
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    vecq_dnnl_lstm gradients;
    vecq_status status;
    dnnl_status_t made;
    lstm_plan p;

    if (op->forward == NULL || !vecq_onednn_memo_of(e, op->forward)->is_taken ||
        !lstm_open(&p, e, planner, op))
        return VECQ_OK;
    VECQ_TRY(lstm_describe(&p, err));
    gradients = p.md;
    made = vecq_dnnl_lstm_forward(&e->make, dnnl_forward_training, p.direction, &p.md, &hint);
    if (made == dnnl_success) {
        made = vecq_dnnl_lstm_backward(&e->make, p.direction, &p.md, &gradients, hint, &pd);
        dnnl_primitive_desc_destroy(hint);
    }
    VECQ_TRY(vecq_onednn_check(made, "gradient of the LSTM", NULL, err));
    *taken = 1;
    status = backward_steps(&p, pd, err);
    dnnl_primitive_desc_destroy(pd);
    return status;
}
