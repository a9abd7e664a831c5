/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalization: with the statistics of the batch and its gradient, and with given statistics. */
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

/* x, scale, bias, mean, variance -> y */
VECQ_ONEDNN_PLAN(norm)
{
    const vecq_dnnl_md *x = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made;

    if (!norm_takes(op))
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_produced(e, planner, op->inputs[0], &x, err));
    made = vecq_dnnl_norm_forward(&e->make, dnnl_forward_inference, x, epsilon_of(op), dnnl_use_global_stats,
                                  &pd);
    {
        vecq_onednn_arg args[] = {
            {.kind = DNNL_ARG_SRC, .var = op->inputs[0]},
            {.kind = DNNL_ARG_SCALE, .var = op->inputs[1]},
            {.kind = DNNL_ARG_SHIFT, .var = op->inputs[2]},
            {.kind = DNNL_ARG_MEAN, .var = op->inputs[3]},
            {.kind = DNNL_ARG_VARIANCE, .var = op->inputs[4]},
            {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[0], .over = DNNL_ARG_SRC}};

        return vecq_onednn_finish(e, planner, op, made, pd, args, 6, taken, err);
    }
}

/* x, scale, bias -> y, mean, variance of the batch */
VECQ_ONEDNN_PLAN(norm_train)
{
    const vecq_dnnl_md *x = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made;

    if (!norm_takes(op))
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_produced(e, planner, op->inputs[0], &x, err));
    made = vecq_dnnl_norm_forward(&e->make, dnnl_forward_training, x, epsilon_of(op), 0, &pd);
    {
        vecq_onednn_arg args[] = {
            {.kind = DNNL_ARG_SRC, .var = op->inputs[0]},
            {.kind = DNNL_ARG_SCALE, .var = op->inputs[1]},
            {.kind = DNNL_ARG_SHIFT, .var = op->inputs[2]},
            {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[0]},
            {.kind = DNNL_ARG_MEAN, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[1]},
            {.kind = DNNL_ARG_VARIANCE, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[2]}};

        return vecq_onednn_finish(e, planner, op, made, pd, args, 6, taken, err);
    }
}

/* x, dy, scale, mean, variance -> dx, dscale, dbias */
VECQ_ONEDNN_PLAN(norm_grad)
{
    unsigned flags = op->kind == VECQ_OP_BATCH_NORM_GRAD ? dnnl_use_global_stats : 0;
    const vecq_dnnl_md *md = NULL;
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    dnnl_status_t made;

    if (!norm_takes(op))
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_common(e, planner, op->inputs[0], op->inputs[1], &md, err));
    made = vecq_dnnl_norm_forward(&e->make, dnnl_forward_training, md, epsilon_of(op), flags, &hint);
    if (made == dnnl_success) {
        made = vecq_dnnl_norm_backward(&e->make, md, md, epsilon_of(op), flags, hint, &pd);
        dnnl_primitive_desc_destroy(hint);
    }
    {
        vecq_onednn_arg args[] = {
            {.kind = DNNL_ARG_SRC, .var = op->inputs[0]},
            {.kind = DNNL_ARG_DIFF_DST, .var = op->inputs[1]},
            {.kind = DNNL_ARG_SCALE, .var = op->inputs[2]},
            {.kind = DNNL_ARG_MEAN, .var = op->inputs[3]},
            {.kind = DNNL_ARG_VARIANCE, .var = op->inputs[4]},
            {.kind = DNNL_ARG_DIFF_SRC,
             .access = VECQ_ONEDNN_WRITE,
             .var = op->outputs[0],
             .over = DNNL_ARG_DIFF_DST},
            {.kind = DNNL_ARG_DIFF_SCALE, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[1]},
            {.kind = DNNL_ARG_DIFF_SHIFT, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[2]},
            {.kind = DNNL_ARG_SHIFT, .var = op->inputs[2]}}; /* any vector */

        return vecq_onednn_finish(e, planner, op, made, pd, args, vecq_dnnl_norm_asks_shift() ? 9 : 8, taken,
                                  err);
    }
}
