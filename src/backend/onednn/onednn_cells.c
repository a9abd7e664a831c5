/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LSTM of a program that is only run, for batches of one or two sequences: the library's primitive spends
 * more time around the small products of each step than in them. All x W^T + b at once by its inner product;
 * then step after step h R^T with R transposed (kernels/vecmat) and the gates (kernels/gates). Directions run
 * on threads of their own.
 */
#include <string.h>

#include "backend/onednn/onednn_private.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"
#include "kernels/gates/gates.h"
#include "kernels/vecmat/vecmat.h"

#define BATCH_MAX 2
#define WORTH_TWO ((size_t)1 << 18) /* products of a run from which two threads pay */
#define GATES     4u
#define N_READS   4u /* sums of x, R^T, h0, c0 */

typedef struct cells {
    const vecq_vecmat_kernels *vecmat;
    const vecq_gates_kernels *gates;
    size_t steps, batch, hidden, directions;
    int is_reverse; /* the first direction */
} cells;

typedef struct cells_call {
    const cells *s;
    const float *sums; /* [steps][batch][directions][4 hidden] */
    const float *r;    /* [directions][hidden][4 hidden] */
    const float *h0, *c0;
    float *y, *h, *c; /* [steps][directions][batch][hidden] or NULL, [directions][batch][hidden] */
    float *work;      /* [directions][4 hidden] */
} cells_call;

/* ---- once: R^T, and the sum of the two biases ---- */

static vecq_status weights_run(void *state, const void *const *reads, void *const *writes,
                               const vecq_run *run, vecq_error *err)
{
    const cells *s = state;
    const size_t wide = GATES * s->hidden;
    const float *r = reads[0], *b = reads[1];
    float *turned = writes[0], *sum = writes[1];
    size_t d, i, k;

    (void)run;
    (void)err;
    for (d = 0; d < s->directions; d++)
        for (i = 0; i < wide; i++) {
            for (k = 0; k < s->hidden; k++)
                turned[(d * s->hidden + k) * wide + i] = r[(d * wide + i) * s->hidden + k];
            sum[d * wide + i] = b != NULL ? b[2 * d * wide + i] + b[(2 * d + 1) * wide + i] : 0;
        }
    return VECQ_OK;
}

/* ---- the recurrence ---- */

static void run_sequence(const cells_call *q, size_t d, size_t b)
{
    const cells *s = q->s;
    const size_t n = s->hidden, wide = GATES * n, at = (d * s->batch + b) * n;
    float *h = q->h + at, *c = q->c + at, *work = q->work + d * wide;
    size_t i;

    if (q->h0 != NULL)
        memcpy(h, q->h0 + at, n * sizeof *h);
    else
        memset(h, 0, n * sizeof *h);
    if (q->c0 != NULL)
        memcpy(c, q->c0 + at, n * sizeof *c);
    else
        memset(c, 0, n * sizeof *c);
    for (i = 0; i < s->steps; i++) {
        size_t t = s->is_reverse != (d == 1) ? s->steps - 1 - i : i;

        s->vecmat->add(q->sums + ((t * s->batch + b) * s->directions + d) * wide, h, q->r + d * n * wide, n,
                       wide, work);
        s->gates->lstm(work, n, c, c, h);
        if (q->y != NULL)
            memcpy(q->y + ((t * s->directions + d) * s->batch + b) * n, h, n * sizeof *h);
    }
}

static vecq_status direction_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const cells_call *q = context;
    size_t b;

    (void)thread;
    (void)err;
    for (; begin < end; begin++)
        for (b = 0; b < q->s->batch; b++)
            run_sequence(q, begin, b);
    return VECQ_OK;
}

static vecq_status cells_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                             vecq_error *err)
{
    const cells *s = state;
    cells_call q = {.s = s,
                    .sums = reads[0],
                    .r = reads[1],
                    .h0 = reads[2],
                    .c0 = reads[3],
                    .y = writes[0],
                    .h = writes[1],
                    .c = writes[2],
                    .work = writes[3]};
    int is_large = s->steps * s->batch * s->hidden * s->hidden * GATES >= WORTH_TWO;

    return vecq_parallel_for(s->directions, 1, is_large ? run->threads : 1, direction_range, &q, err);
}

/* ---- planning ---- */

static vecq_status add_weights(vecq_planner *planner, const vecq_op *op, const cells *s, vecq_slot *out,
                               vecq_error *err)
{
    const size_t wide = s->directions * GATES * s->hidden;
    vecq_slot reads[2] = {VECQ_NO_SLOT, VECQ_NO_SLOT};
    vecq_status status;
    cells *copy;

    VECQ_TRY(vecq_planner_input(planner, op->inputs[2], NULL, NULL, &reads[0], err));
    if (op->n_inputs > 3 && op->inputs[3] != NULL)
        VECQ_TRY(vecq_planner_input(planner, op->inputs[3], NULL, NULL, &reads[1], err));
    VECQ_TRY(vecq_planner_scratch(planner, wide * s->hidden * sizeof(float), &out[0], err));
    VECQ_TRY(vecq_planner_scratch(planner, wide * sizeof(float), &out[1], err));
    copy = vecq_alloc(1, sizeof *copy);
    if (copy == NULL)
        return vecq_error_memory(err, sizeof *copy);
    *copy = *s;
    vecq_planner_once(planner, 1);
    status = vecq_planner_step(planner, op, &vecq_backend_onednn, "weights", weights_run, copy, vecq_free,
                               reads, 2, out, 2, err);
    vecq_planner_once(planner, 0);
    return status;
}

/* x W^T + b for all steps and directions. */
static vecq_status add_sums(vecq_onednn *e, vecq_planner *planner, const vecq_op *op, const cells *s,
                            dnnl_primitive_desc_t pd, vecq_slot bias, vecq_slot *out, vecq_error *err)
{
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_SRC, .access = VECQ_ONEDNN_READ_PLAIN, .var = op->inputs[0]},
                              {.kind = DNNL_ARG_WEIGHTS, .access = VECQ_ONEDNN_READ, .var = op->inputs[1]},
                              {.kind = DNNL_ARG_BIAS, .access = VECQ_ONEDNN_SLOT_READ, .slot = bias},
                              {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_SLOT_WRITE}};

    VECQ_TRY(vecq_planner_scratch(
        planner, s->steps * s->batch * s->directions * GATES * s->hidden * sizeof(float), out, err));
    args[3].slot = *out;
    return vecq_onednn_step(e, planner, op, pd, args, 4, err);
}

static vecq_status add_cells(vecq_planner *planner, const vecq_op *op, const cells *s, vecq_slot *reads,
                             vecq_error *err)
{
    const size_t state = s->directions * s->batch * s->hidden * sizeof(float);
    vecq_slot writes[4] = {VECQ_NO_SLOT};
    cells *copy;
    size_t i;

    for (i = 4; i < 6; i++) {
        reads[i - 2] = VECQ_NO_SLOT;
        if (i < op->n_inputs && op->inputs[i] != NULL)
            VECQ_TRY(vecq_planner_input(planner, op->inputs[i], NULL, NULL, &reads[i - 2], err));
    }
    for (i = 0; i < 3; i++)
        if (vecq_onednn_is_used(op->outputs[i]))
            VECQ_TRY(vecq_planner_output(planner, op->outputs[i], NULL, NULL, 0, &writes[i], err));
        else if (i > 0)
            VECQ_TRY(vecq_planner_scratch(planner, state, &writes[i], err));
    VECQ_TRY(
        vecq_planner_scratch(planner, s->directions * GATES * s->hidden * sizeof(float), &writes[3], err));
    copy = vecq_alloc(1, sizeof *copy);
    if (copy == NULL)
        return vecq_error_memory(err, sizeof *copy);
    *copy = *s;
    return vecq_planner_step(planner, op, &vecq_backend_onednn, "own, step by step", cells_run, copy,
                             vecq_free, reads, N_READS, writes, 4, err);
}

static vecq_status sums_describe(vecq_onednn *e, const vecq_op *op, const cells *s, dnnl_primitive_desc_t *pd,
                                 int *declined, vecq_error *err)
{
    const dnnl_dim_t rows = (dnnl_dim_t)(s->steps * s->batch),
                     wide = (dnnl_dim_t)(s->directions * GATES * s->hidden), in = op->inputs[0]->dims[2];
    const dnnl_dims_t x = {rows, in}, w = {wide, in}, y = {rows, wide};
    const vecq_dnnl_md *md[4] = {NULL, NULL, NULL, NULL};

    VECQ_TRY(vecq_onednn_check(vecq_dnnl_md_plain(&e->pool, 2, x, &md[0]), "LSTM", NULL, err));
    VECQ_TRY(
        vecq_onednn_check(vecq_dnnl_md_tag(&e->pool, 2, w, dnnl_format_tag_any, &md[1]), "LSTM", NULL, err));
    VECQ_TRY(vecq_onednn_check(vecq_dnnl_md_plain(&e->pool, 1, &wide, &md[2]), "LSTM", NULL, err));
    VECQ_TRY(vecq_onednn_check(vecq_dnnl_md_plain(&e->pool, 2, y, &md[3]), "LSTM", NULL, err));
    return vecq_onednn_check(
        vecq_dnnl_inner_forward(&e->make, dnnl_forward_inference, md[0], md[1], md[2], md[3], pd), "LSTM",
        declined, err);
}

static int cells_take(const vecq_planner *planner, const vecq_op *op)
{
    const vecq_var *x = op->inputs[0];
    size_t i;

    if (vecq_planner_is_training(planner) || vecq_onednn_is_used(op->outputs[3]) || x->rank != 3 ||
        x->dims[1] > BATCH_MAX)
        return 0;
    for (i = 0; i < op->n_inputs; i++)
        if (op->inputs[i] != NULL && !vecq_onednn_takes(op->inputs[i]))
            return 0;
    return vecq_planner_is_prologue(planner, op->inputs[1]) &&
           vecq_planner_is_prologue(planner, op->inputs[2]) &&
           (op->n_inputs < 4 || op->inputs[3] == NULL || vecq_planner_is_prologue(planner, op->inputs[3]));
}

VECQ_ONEDNN_PLAN(cells)
{
    const vecq_lstm_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    cells s = {.vecmat = vecq_vecmat_kernels_active(),
               .gates = vecq_gates_kernels_active(),
               .hidden = (size_t)params->hidden,
               .directions = params->direction == VECQ_LSTM_BOTH ? 2 : 1,
               .is_reverse = params->direction == VECQ_LSTM_REVERSE};
    vecq_slot weights[2], reads[N_READS];
    dnnl_primitive_desc_t pd = NULL;
    vecq_status status;
    int declined = 0;

    if (!cells_take(planner, op))
        return VECQ_OK;
    s.steps = (size_t)x->dims[0];
    s.batch = (size_t)x->dims[1];
    VECQ_TRY(sums_describe(e, op, &s, &pd, &declined, err));
    if (declined)
        return VECQ_OK;
    *taken = 1;
    status = add_weights(planner, op, &s, weights, err);
    if (status == VECQ_OK)
        status = add_sums(e, planner, op, &s, pd, weights[1], &reads[0], err);
    dnnl_primitive_desc_destroy(pd);
    VECQ_TRY(status);
    reads[1] = weights[0];
    return add_cells(planner, op, &s, reads, err);
}
