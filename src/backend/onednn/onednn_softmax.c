/* SPDX-License-Identifier: Apache-2.0 */
/* Softmax and its logarithm, in the layout the operand comes in, over its memory; gradients read the result.
 */
#include "backend/onednn/onednn_private.h"
#include "base/status.h"

VECQ_ONEDNN_PLAN(softmax)
{
    const vecq_axis_params *p = op->params;
    const vecq_dnnl_md *md = NULL;
    vecq_onednn_arg args[] = {
        {.kind = DNNL_ARG_SRC, .var = op->inputs[0]},
        {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[0], .over = DNNL_ARG_SRC}};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made;

    if (!vecq_onednn_takes(op->inputs[0]) || op->inputs[0]->rank == 0)
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_plain(e, op->inputs[0], &md, err));
    made = vecq_dnnl_softmax_forward(&e->make, dnnl_forward_inference, op->kind == VECQ_OP_LOG_SOFTMAX, md,
                                     (int)p->axis, &pd);
    return vecq_onednn_finish(e, planner, op, made, pd, args, 2, taken, err);
}

/* dy, y -> dx */
VECQ_ONEDNN_PLAN(softmax_grad)
{
    const vecq_axis_params *p = op->params;
    int is_log = op->kind == VECQ_OP_LOG_SOFTMAX_GRAD;
    const vecq_dnnl_md *md = NULL;
    vecq_onednn_arg args[] = {
        {.kind = DNNL_ARG_DIFF_DST, .var = op->inputs[0]},
        {.kind = DNNL_ARG_DST, .var = op->inputs[1]},
        {.kind = DNNL_ARG_DIFF_SRC, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[0]}};
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    dnnl_status_t made;

    if (!vecq_onednn_takes(op->inputs[0]) || op->inputs[0]->rank == 0)
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_plain(e, op->inputs[0], &md, err));
    made = vecq_dnnl_softmax_forward(&e->make, dnnl_forward_training, is_log, md, (int)p->axis, &hint);
    if (made == dnnl_success) {
        made = vecq_dnnl_softmax_backward(&e->make, is_log, md, (int)p->axis, hint, &pd);
        dnnl_primitive_desc_destroy(hint);
    }
    return vecq_onednn_finish(e, planner, op, made, pd, args, 3, taken, err);
}
