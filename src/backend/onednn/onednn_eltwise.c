/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element by element with one operand, and the gradients: in the layout the operand comes in, over its memory
 * where nobody needs it any more. Gradients that read the result use the library's *_use_dst_for_bwd forms.
 */
#include "backend/onednn/onednn_private.h"
#include "base/status.h"

typedef struct eltwise_rule {
    vecq_op_kind kind;
    dnnl_alg_kind_t alg;
    int is_gradient;
    int takes_params; /* alpha, beta are params->a, params->b; otherwise those below */
    float alpha, beta;
} eltwise_rule;

static const eltwise_rule rules[] = {
    {VECQ_OP_RELU, dnnl_eltwise_relu, 0, 0, 0, 0},
    {VECQ_OP_LEAKY_RELU, dnnl_eltwise_relu, 0, 1, 0, 0},
    {VECQ_OP_CLIP, dnnl_eltwise_clip, 0, 1, 0, 0},
    {VECQ_OP_SIGMOID, dnnl_eltwise_logistic, 0, 0, 0, 0},
    {VECQ_OP_TANH, dnnl_eltwise_tanh, 0, 0, 0, 0},
    {VECQ_OP_ELU, dnnl_eltwise_elu, 0, 1, 0, 0},
    {VECQ_OP_HARD_SWISH, dnnl_eltwise_hardswish, 0, 0, 1.0f / 6.0f, 0.5f},
    {VECQ_OP_SILU, dnnl_eltwise_swish, 0, 0, 1, 0},
    {VECQ_OP_GELU, dnnl_eltwise_gelu_erf, 0, 0, 0, 0},
    {VECQ_OP_EXP, dnnl_eltwise_exp, 0, 0, 0, 0},
    {VECQ_OP_SQRT, dnnl_eltwise_sqrt, 0, 0, 0, 0},
    {VECQ_OP_ABS, dnnl_eltwise_abs, 0, 0, 0, 0},
    {VECQ_OP_NEG, dnnl_eltwise_linear, 0, 0, -1, 0},
    {VECQ_OP_RELU_GRAD, dnnl_eltwise_relu_use_dst_for_bwd, 1, 0, 0, 0},
    {VECQ_OP_LEAKY_RELU_GRAD, dnnl_eltwise_relu, 1, 1, 0, 0},
    {VECQ_OP_CLIP_GRAD, dnnl_eltwise_clip_v2, 1, 1, 0, 0},
    {VECQ_OP_SIGMOID_GRAD, dnnl_eltwise_logistic_use_dst_for_bwd, 1, 0, 0, 0},
    {VECQ_OP_TANH_GRAD, dnnl_eltwise_tanh_use_dst_for_bwd, 1, 0, 0, 0},
    {VECQ_OP_ELU_GRAD, dnnl_eltwise_elu, 1, 1, 0, 0},
    {VECQ_OP_HARD_SWISH_GRAD, dnnl_eltwise_hardswish, 1, 0, 1.0f / 6.0f, 0.5f},
};

static int rule_of(vecq_op_kind kind, eltwise_rule *out, const void *params)
{
    size_t i;

    for (i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].kind == kind) {
            *out = rules[i];
            if (out->takes_params) {
                out->alpha = (float)((const vecq_unary_params *)params)->a;
                out->beta = (float)((const vecq_unary_params *)params)->b;
            }
            return out->alg != dnnl_eltwise_elu || out->beta == 1; /* its second parameter is a scale */
        }
    return 0;
}

int vecq_onednn_eltwise_of(vecq_op_kind kind, const vecq_unary_params *params, dnnl_alg_kind_t *alg,
                           float *alpha, float *beta)
{
    eltwise_rule rule;

    if (!rule_of(kind, &rule, params))
        return 0;
    *alg = rule.alg;
    *alpha = rule.alpha;
    *beta = rule.beta;
    return 1;
}

VECQ_ONEDNN_PLAN(eltwise)
{
    const vecq_var *x = op->inputs[0], *y = op->outputs[0];
    const vecq_dnnl_md *md = NULL;
    vecq_onednn_arg args[] = {
        {.kind = DNNL_ARG_SRC, .var = x},
        {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_WRITE, .var = y, .over = DNNL_ARG_SRC}};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made;
    eltwise_rule rule;

    if (vecq_onednn_memo_of(e, op)->is_done) {
        *taken = 1;
        return VECQ_OK;
    }
    if (!vecq_onednn_takes(x) || !rule_of(op->kind, &rule, op->params))
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_produced(e, planner, x, &md, err));
    made =
        vecq_dnnl_eltwise_forward(&e->make, dnnl_forward_inference, rule.alg, md, rule.alpha, rule.beta, &pd);
    return vecq_onednn_finish(e, planner, op, made, pd, args, 2, taken, err);
}

VECQ_ONEDNN_PLAN(eltwise_grad)
{
    const vecq_var *dy = op->inputs[0], *data = op->inputs[1], *dx = op->outputs[0];
    const vecq_dnnl_md *md = NULL;
    vecq_onednn_arg args[] = {
        {.kind = DNNL_ARG_DIFF_DST, .var = dy},
        {.kind = DNNL_ARG_SRC, .var = data},
        {.kind = DNNL_ARG_DIFF_SRC, .access = VECQ_ONEDNN_WRITE, .var = dx, .over = DNNL_ARG_DIFF_DST}};
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    dnnl_status_t made;
    eltwise_rule rule;

    if (vecq_onednn_norm_masks(e, op)) {
        *taken = vecq_onednn_memo_of(e, op)->is_done = 1;
        return VECQ_OK;
    }
    if (!vecq_onednn_takes(dy) || !vecq_var_same_shape(dy, data) || !rule_of(op->kind, &rule, op->params))
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_common(e, planner, data, dy, &md, err));
    if (rule.alg == dnnl_eltwise_relu_use_dst_for_bwd || rule.alg == dnnl_eltwise_logistic_use_dst_for_bwd ||
        rule.alg == dnnl_eltwise_tanh_use_dst_for_bwd)
        args[1].kind = DNNL_ARG_DST;
    made = vecq_dnnl_eltwise_forward(&e->make, dnnl_forward_training, rule.alg, md, rule.alpha, rule.beta,
                                     &hint);
    if (made == dnnl_success) {
        made = vecq_dnnl_eltwise_backward(&e->make, rule.alg, md, md, rule.alpha, rule.beta, hint, &pd);
        dnnl_primitive_desc_destroy(hint);
    }
    return vecq_onednn_finish(e, planner, op, made, pd, args, 3, taken, err);
}
