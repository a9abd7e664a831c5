/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batch normalization: with the statistics of the batch and its gradient, and with given statistics. A Relu
 * that alone reads the result is done in the same step; it leaves marks of what was negative (one bit each),
 * by which the gradient does without a step for the Relu too.
 */
#include "backend/onednn/onednn_private.h"
#include "base/status.h"

static float epsilon_of(const vecq_op *op)
{
    return (float)((const vecq_norm_params *)op->params)->epsilon;
}

static int norm_takes(const vecq_op *op)
{
    size_t i;

    for (i = 0; i < op->n_inputs; i++)
        if (!vecq_onednn_takes(op->inputs[i]))
            return 0;
    return op->inputs[0]->rank >= 2 && op->inputs[0]->rank <= 5;
}

/* Rows of features [N, C] are images of one element in channels-last order: the library is some forty times
 * faster on those. *read and *write say how the planner is asked for them. */
static vecq_status norm_layout(vecq_onednn *e, const vecq_planner *planner, const vecq_var *x,
                               const vecq_var *other, const vecq_dnnl_md **md, vecq_onednn_access *read,
                               vecq_onednn_access *write, vecq_error *err)
{
    dnnl_dims_t dims = {x->dims[0], x->dims[1], 1, 1};

    *read = x->rank == 2 ? VECQ_ONEDNN_READ_PLAIN : VECQ_ONEDNN_READ;
    *write = x->rank == 2 ? VECQ_ONEDNN_WRITE_PLAIN : VECQ_ONEDNN_WRITE;
    if (x->rank > 2)
        return vecq_onednn_common(e, planner, x, other, md, err);
    return vecq_onednn_check(vecq_dnnl_md_tag(&e->pool, 4, dims, dnnl_nhwc, md), "shape", NULL, err);
}

/* x, scale, bias, mean, variance -> y */
VECQ_ONEDNN_PLAN(norm)
{
    const vecq_op *relu = vecq_onednn_relu_after(op);
    unsigned flags = dnnl_use_global_stats | (relu != NULL ? (unsigned)dnnl_fuse_norm_relu : 0u);
    vecq_onednn_access read, write;
    const vecq_dnnl_md *x = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made;

    if (!norm_takes(op))
        return VECQ_OK;
    if (!vecq_planner_is_training(planner) && relu == NULL)
        return vecq_onednn_plan_norm_apply(e, planner, op, taken, err);
    VECQ_TRY(norm_layout(e, planner, op->inputs[0], op->inputs[0], &x, &read, &write, err));
    made = vecq_dnnl_norm_forward(&e->make, dnnl_forward_inference, x, epsilon_of(op), flags, &pd);
    {
        vecq_onednn_arg args[] = {
            {.kind = DNNL_ARG_SRC, .access = read, .var = op->inputs[0]},
            {.kind = DNNL_ARG_SCALE, .var = op->inputs[1]},
            {.kind = DNNL_ARG_SHIFT, .var = op->inputs[2]},
            {.kind = DNNL_ARG_MEAN, .var = op->inputs[3]},
            {.kind = DNNL_ARG_VARIANCE, .var = op->inputs[4]},
            {.kind = DNNL_ARG_DST, .access = write, .var = op->outputs[0], .over = DNNL_ARG_SRC}};

        if (made == dnnl_success && relu != NULL)
            args[5].var = vecq_onednn_with_relu(e, relu);
        return vecq_onednn_finish(e, planner, op, made, pd, args, 6, taken, err);
    }
}

/* x, scale, bias -> y, mean, variance of the batch */
VECQ_ONEDNN_PLAN(norm_train)
{
    const vecq_op *relu = vecq_onednn_relu_after(op);
    vecq_onednn_memo *memo = vecq_onednn_memo_of(e, op);
    const vecq_dnnl_md *x = NULL, *marks = NULL;
    vecq_onednn_access read, write;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made;

    if (!norm_takes(op))
        return VECQ_OK;
    VECQ_TRY(norm_layout(e, planner, op->inputs[0], op->inputs[0], &x, &read, &write, err));
    made = vecq_dnnl_norm_forward(&e->make, dnnl_forward_training, x, epsilon_of(op),
                                  relu != NULL ? dnnl_fuse_norm_relu : 0, &pd);
    if (made == dnnl_success && relu != NULL)
        made = vecq_dnnl_md_of_arg(&e->pool, pd, DNNL_ARG_WORKSPACE, &marks);
    {
        vecq_onednn_arg args[] = {
            {.kind = DNNL_ARG_SRC, .access = read, .var = op->inputs[0]},
            {.kind = DNNL_ARG_SCALE, .var = op->inputs[1]},
            {.kind = DNNL_ARG_SHIFT, .var = op->inputs[2]},
            {.kind = DNNL_ARG_DST, .access = write, .var = op->outputs[0]},
            {.kind = DNNL_ARG_MEAN, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[1]},
            {.kind = DNNL_ARG_VARIANCE, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[2]},
            {.kind = DNNL_ARG_WORKSPACE, .access = VECQ_ONEDNN_SLOT_WRITE}};

        if (marks != NULL) {
            VECQ_TRY(vecq_planner_scratch(planner, vecq_dnnl_md_bytes(marks), &memo->slot, err));
            args[3].var = vecq_onednn_with_relu(e, relu);
            args[6].slot = memo->slot;
            memo->has_relu = 1;
            memo->x = x;
        }
        return vecq_onednn_finish(e, planner, op, made, pd, args, marks != NULL ? 7 : 6, taken, err);
    }
}

int vecq_onednn_norm_masks(vecq_onednn *e, const vecq_op *relu_grad)
{
    const vecq_var *dx = relu_grad->outputs[0];
    const vecq_op *relu = relu_grad->forward, *norm = relu != NULL ? relu->inputs[0]->producer : NULL;
    size_t i;

    if (relu_grad->kind != VECQ_OP_RELU_GRAD || norm == NULL || !vecq_onednn_memo_of(e, norm)->has_relu ||
        dx->n_uses != 1 || dx->is_output)
        return 0;
    for (i = relu_grad->index + 1; i < relu_grad->program->n_ops; i++) {
        const vecq_op *op = relu_grad->program->ops[i];

        if (op->kind == VECQ_OP_BATCH_NORM_TRAIN_GRAD && op->forward == norm && op->inputs[1] == dx)
            return 1;
    }
    return 0;
}

/* x, dy, scale, mean, variance -> dx, dscale, dbias */
VECQ_ONEDNN_PLAN(norm_grad)
{
    unsigned flags = op->kind == VECQ_OP_BATCH_NORM_GRAD ? dnnl_use_global_stats : 0;
    const vecq_var *dy = op->inputs[1];
    vecq_onednn_access read, write;
    const vecq_dnnl_md *md = NULL;
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    dnnl_status_t made;
    size_t n;

    if (!norm_takes(op))
        return VECQ_OK;
    if (dy->producer != NULL && vecq_onednn_memo_of(e, dy->producer)->is_done) {
        flags |= dnnl_fuse_norm_relu; /* that was vecq_onednn_norm_masks() */
        dy = dy->producer->inputs[0];
    }
    VECQ_TRY(norm_layout(e, planner, op->inputs[0], dy, &md, &read, &write, err));
    if ((flags & dnnl_fuse_norm_relu) != 0)
        md = vecq_onednn_memo_of(e, op->forward)->x; /* whose marks they are */
    made = vecq_dnnl_norm_forward(&e->make, dnnl_forward_training, md, epsilon_of(op), flags, &hint);
    if (made == dnnl_success) {
        made = vecq_dnnl_norm_backward(&e->make, md, md, epsilon_of(op), flags, hint, &pd);
        dnnl_primitive_desc_destroy(hint);
    }
    {
        vecq_onednn_arg args[10] = {
            {.kind = DNNL_ARG_SRC, .access = read, .var = op->inputs[0]},
            {.kind = DNNL_ARG_DIFF_DST, .access = read, .var = dy},
            {.kind = DNNL_ARG_SCALE, .var = op->inputs[2]},
            {.kind = DNNL_ARG_MEAN, .var = op->inputs[3]},
            {.kind = DNNL_ARG_VARIANCE, .var = op->inputs[4]},
            {.kind = DNNL_ARG_DIFF_SRC, .access = write, .var = op->outputs[0], .over = DNNL_ARG_DIFF_DST},
            {.kind = DNNL_ARG_DIFF_SCALE, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[1]},
            {.kind = DNNL_ARG_DIFF_SHIFT, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[2]}};

        n = 8;
        if (vecq_dnnl_norm_asks_shift())
            args[n++] = (vecq_onednn_arg){.kind = DNNL_ARG_SHIFT, .var = op->inputs[2]}; /* any vector */
        if ((flags & dnnl_fuse_norm_relu) != 0)
            args[n++] = (vecq_onednn_arg){.kind = DNNL_ARG_WORKSPACE,
                                          .access = VECQ_ONEDNN_SLOT_READ,
                                          .slot = vecq_onednn_memo_of(e, op->forward)->slot};
        return vecq_onednn_finish(e, planner, op, made, pd, args, n, taken, err);
    }
}
