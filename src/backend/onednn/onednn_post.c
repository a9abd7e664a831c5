/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to the result of a primitive before it is stored: the post of an op, and in programs that
 * train the Relu that alone reads it.
 *
 * A residual that nobody else reads any more is added in place: the destination takes its memory over
 * ("sum"), which every primitive can, Winograd convolutions too. Otherwise it is another argument ("binary").
 */
#include "backend/onednn/onednn_private.h"
#include "base/status.h"

typedef struct post_plan {
    vecq_dnnl_maker make;
    dnnl_primitive_attr_t attr;
    const vecq_var *residual; /* NULL: none */
    int is_sum;
} post_plan;

/* Whether the memory of the residual may be written to: this op reads it for nothing else, and none after it.
 */
static int is_last_read(const vecq_op *op, const vecq_var *residual)
{
    size_t i, k;

    if (residual->is_output || residual->kind != VECQ_VAR_RESULT)
        return 0;
    for (k = 0; k + 1 < op->n_inputs; k++)
        if (op->inputs[k] == residual)
            return 0;
    for (i = op->index + 1; i < op->program->n_ops; i++)
        for (k = 0; k < op->program->ops[i]->n_inputs; k++)
            if (op->program->ops[i]->inputs[k] == residual)
                return 0;
    return 1;
}

/* The library's functions for an activation: one, or two for HardSigmoid; 0: it has none. */
typedef struct post_function {
    dnnl_alg_kind_t alg;
    float alpha, beta;
} post_function;

static size_t functions_of(const vecq_post *post, post_function out[2])
{
    const vecq_unary_params params = {post->a, post->b};

    if (post->activation == VECQ_POST_HARD_SIGMOID) {
        out[0] = (post_function){dnnl_eltwise_linear, (float)post->a, (float)post->b};
        out[1] = (post_function){dnnl_eltwise_clip, 0, 1};
        return 2;
    }
    return (size_t)vecq_onednn_eltwise_of(vecq_post_op(post->activation), &params, &out[0].alg, &out[0].alpha,
                                          &out[0].beta);
}

static dnnl_status_t append_activation(dnnl_post_ops_t list, const vecq_post *post)
{
    post_function functions[2];
    size_t i, n = functions_of(post, functions);
    dnnl_status_t status = n > 0 ? dnnl_success : dnnl_unimplemented;

    for (i = 0; i < n && status == dnnl_success; i++)
        status = vecq_dnnl_append_eltwise(list, functions[i].alg, functions[i].alpha, functions[i].beta);
    return status;
}

static void post_clear(post_plan *p)
{
    if (p->attr != NULL)
        dnnl_primitive_attr_destroy(p->attr);
    p->attr = NULL;
}

static dnnl_status_t post_attr(post_plan *p, const vecq_post *post, const vecq_dnnl_md *md)
{
    dnnl_post_ops_t list = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(&p->attr);

    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(p->attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = dnnl_post_ops_create(&list);
    if (status == dnnl_success && p->residual != NULL)
        status = p->is_sum ? vecq_dnnl_append_sum(list) : vecq_dnnl_append_add(list, md);
    if (status == dnnl_success && post->activation != VECQ_POST_NONE)
        status = append_activation(list, post);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(p->attr, list);
    if (list != NULL)
        dnnl_post_ops_destroy(list);
    p->make.attr = p->attr;
    return status;
}

/* The descriptor of the primitive with the post in it; dnnl_unimplemented when the library has none that is
 * worth it. Products have plain results. */
static vecq_status post_fused(vecq_onednn *e, const vecq_op *op, const vecq_post *post,
                              vecq_onednn_make_fn make, const void *geometry, post_plan *p,
                              dnnl_primitive_desc_t *pd, dnnl_status_t *made, vecq_error *err)
{
    int is_plain = op->kind == VECQ_OP_GEMM || op->kind == VECQ_OP_MATMUL;
    const vecq_dnnl_md *md = NULL;

    p->make = e->make;
    p->residual = post == op->post ? vecq_op_residual(op) : NULL;
    p->is_sum = p->residual != NULL && is_last_read(op, p->residual);
    if (p->residual != NULL)
        VECQ_TRY(is_plain ? vecq_onednn_plain(e, p->residual, &md, err)
                          : vecq_onednn_any(e, p->residual, &md, err));
    *made = post_attr(p, post, md);
    if (*made == dnnl_success)
        *made = make(&p->make, geometry, pd);
    if (*made == dnnl_success && vecq_onednn_is_slow(*pd)) {
        dnnl_primitive_desc_destroy(*pd);
        *pd = NULL;
        *made = dnnl_unimplemented;
    }
    return VECQ_OK;
}

static vecq_onednn_arg residual_arg(const vecq_op *op, const post_plan *p)
{
    int is_plain = op->kind == VECQ_OP_GEMM || op->kind == VECQ_OP_MATMUL;
    vecq_onednn_arg arg = {.kind = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, .var = p->residual};

    arg.access = p->is_sum ? VECQ_ONEDNN_READ_SUM : is_plain ? VECQ_ONEDNN_READ_PLAIN : VECQ_ONEDNN_READ;
    return arg;
}

vecq_status vecq_onednn_finish_post(vecq_onednn *e, vecq_planner *planner, const vecq_op *op,
                                    vecq_onednn_make_fn make, const void *geometry,
                                    const vecq_onednn_arg *args, size_t n, int *taken, vecq_error *err)
{
    static const vecq_post relu_post = {.activation = VECQ_POST_RELU};
    const vecq_op *relu = op->post == NULL ? vecq_onednn_relu_after(op) : NULL;
    const vecq_post *post = relu != NULL ? &relu_post : op->post;
    dnnl_status_t made = dnnl_unimplemented;
    vecq_onednn_arg all[VECQ_ONEDNN_ARGS];
    dnnl_primitive_desc_t pd = NULL;
    vecq_status status = VECQ_OK;
    post_plan p = {.attr = NULL};
    size_t i;
    int is_fused;

    if (post != NULL)
        status = post_fused(e, op, post, make, geometry, &p, &pd, &made, err);
    is_fused = made == dnnl_success;
    if (status == VECQ_OK && !is_fused)
        made = make(&e->make, geometry, &pd);
    for (i = 0; i < n; i++)
        all[i] = args[i];
    if (is_fused && p.residual != NULL) {
        all[n] = all[n - 1];
        all[n - 1] = residual_arg(op, &p);
        all[n].over = p.is_sum ? all[n - 1].kind : 0;
        n++;
    }
    if (is_fused && relu != NULL)
        all[n - 1].var = vecq_onednn_with_relu(e, relu);
    if (status == VECQ_OK)
        status = vecq_onednn_finish(e, planner, op, made, pd, all, n, taken, err);
    post_clear(&p);
    return status == VECQ_OK && *taken && !is_fused ? vecq_onednn_post_after(e, planner, op, err) : status;
}

/* ---- the post by itself ---- */

static vecq_status add_residual(vecq_onednn *e, vecq_planner *planner, const vecq_op *op,
                                const vecq_dnnl_md *md, vecq_slot slot, vecq_error *err)
{
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_SRC_0, .access = VECQ_ONEDNN_SLOT_READ, .slot = slot},
                              {.kind = DNNL_ARG_SRC_1, .var = vecq_op_residual(op), .md = md},
                              {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_SLOT_WRITE, .slot = slot}};
    dnnl_primitive_desc_t pd = NULL;
    int ignored = 0;

    VECQ_TRY(
        vecq_onednn_check(vecq_dnnl_binary(&e->make, dnnl_binary_add, md, md, md, &pd), "sum", NULL, err));
    return vecq_onednn_finish(e, planner, op, dnnl_success, pd, args, 3, &ignored, err);
}

static vecq_status activate(vecq_onednn *e, vecq_planner *planner, const vecq_op *op, const post_function *f,
                            const vecq_dnnl_md *md, vecq_slot slot, vecq_error *err)
{
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_SRC, .access = VECQ_ONEDNN_SLOT_READ, .slot = slot},
                              {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_SLOT_WRITE, .slot = slot}};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made =
        vecq_dnnl_eltwise_forward(&e->make, dnnl_forward_inference, f->alg, md, f->alpha, f->beta, &pd);
    int ignored = 0;

    VECQ_TRY(vecq_onednn_check(made, "activation", NULL, err));
    return vecq_onednn_finish(e, planner, op, dnnl_success, pd, args, 2, &ignored, err);
}

vecq_status vecq_onednn_post_after(vecq_onednn *e, vecq_planner *planner, const vecq_op *op, vecq_error *err)
{
    const vecq_dnnl_md *md = NULL;
    post_function functions[2];
    vecq_slot slot;
    size_t i, n;

    if (op->post == NULL)
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_produced(e, planner, op->outputs[0], &md, err));
    VECQ_TRY(vecq_planner_input(planner, op->outputs[0], &vecq_backend_onednn, vecq_onednn_layout(md), &slot,
                                err));
    if (op->post->has_residual)
        VECQ_TRY(add_residual(e, planner, op, md, slot, err));
    if (op->post->activation == VECQ_POST_NONE)
        return VECQ_OK;
    n = functions_of(op->post, functions);
    for (i = 0; i < n; i++)
        VECQ_TRY(activate(e, planner, op, &functions[i], md, slot, err));
    return VECQ_OK;
}
