/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/post.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

typedef struct post_rule {
    vecq_op_kind op;
    unsigned n_params; /* a, b */
} post_rule;

static const post_rule rules[VECQ_POST_COUNT] = {
    [VECQ_POST_NONE] = {VECQ_OP_COUNT, 0},
    [VECQ_POST_RELU] = {VECQ_OP_RELU, 0},
    [VECQ_POST_LEAKY_RELU] = {VECQ_OP_LEAKY_RELU, 1},
    [VECQ_POST_CLIP] = {VECQ_OP_CLIP, 2},
    [VECQ_POST_SIGMOID] = {VECQ_OP_SIGMOID, 0},
    [VECQ_POST_TANH] = {VECQ_OP_TANH, 0},
    [VECQ_POST_HARD_SIGMOID] = {VECQ_OP_HARD_SIGMOID, 2},
    [VECQ_POST_HARD_SWISH] = {VECQ_OP_HARD_SWISH, 0},
    [VECQ_POST_SILU] = {VECQ_OP_SILU, 0},
    [VECQ_POST_GELU] = {VECQ_OP_GELU, 0},
};

size_t vecq_op_data_inputs(const vecq_op *op)
{
    return op->n_inputs - (op->post != NULL && op->post->has_residual);
}

vecq_var *vecq_op_residual(const vecq_op *op)
{
    return op->post != NULL && op->post->has_residual ? op->inputs[op->n_inputs - 1] : NULL;
}

int vecq_op_takes_post(vecq_op_kind kind)
{
    return kind == VECQ_OP_CONV || kind == VECQ_OP_CONV_TRANSPOSE || kind == VECQ_OP_GEMM ||
           kind == VECQ_OP_MATMUL || kind == VECQ_OP_ADD || kind == VECQ_OP_BATCH_NORM ||
           kind == VECQ_OP_GROUP_NORM;
}

int vecq_op_takes_residual(vecq_op_kind kind)
{
    return kind == VECQ_OP_CONV || kind == VECQ_OP_CONV_TRANSPOSE || kind == VECQ_OP_GEMM ||
           kind == VECQ_OP_MATMUL;
}

vecq_op_kind vecq_post_op(vecq_post_activation activation)
{
    return rules[activation].op;
}

vecq_post_activation vecq_post_of_op(vecq_op_kind kind)
{
    int i;

    for (i = VECQ_POST_NONE + 1; i < VECQ_POST_COUNT; i++)
        if (rules[i].op == kind)
            return (vecq_post_activation)i;
    return VECQ_POST_NONE;
}

static vecq_status append_residual(vecq_op *op, vecq_var *residual, vecq_error *err)
{
    size_t n = op->info->n_in_max;
    vecq_var **inputs = vecq_arena_alloc(&op->program->arena, n + 1, sizeof *inputs);

    if (inputs == NULL)
        return vecq_error_memory(err, (n + 1) * sizeof *inputs);
    memcpy((void *)inputs, (void *)op->inputs, op->n_inputs * sizeof *inputs);
    inputs[n] = residual; /* the arena's memory is zero: those omitted are NULL */
    residual->n_uses++;
    op->inputs = inputs;
    op->n_inputs = n + 1;
    return VECQ_OK;
}

vecq_status vecq_op_set_post(vecq_op *op, vecq_post_activation activation, const vecq_unary_params *params,
                             vecq_var *residual, vecq_error *err)
{
    const vecq_var *y = op->outputs[0];
    vecq_post *post;

    if (!vecq_op_takes_post(op->kind) || op->post != NULL ||
        (residual != NULL && !vecq_op_takes_residual(op->kind)) ||
        (residual != NULL && (!vecq_var_same_shape(residual, y) || residual->dtype != y->dtype)))
        return vecq_error_set(err, VECQ_ERR_USAGE, "%s '%s' takes no such post", op->info->name, op->name);
    post = vecq_arena_alloc(&op->program->arena, 1, sizeof *post);
    if (post == NULL)
        return vecq_error_memory(err, sizeof *post);
    post->activation = activation;
    if (params != NULL) {
        post->a = params->a;
        post->b = params->b;
    }
    if (residual != NULL) {
        VECQ_TRY(append_residual(op, residual, err));
        post->has_residual = 1;
    }
    op->post = post;
    return VECQ_OK;
}

const char *vecq_post_text(const vecq_post *post, char text[64])
{
    const post_rule *rule;
    size_t n = 0;

    text[0] = '\0';
    if (post == NULL)
        return text;
    rule = &rules[post->activation];
    if (post->has_residual)
        n = (size_t)snprintf(text, 64, "+ residual");
    if (post->activation == VECQ_POST_NONE)
        return text;
    n += (size_t)snprintf(text + n, 64 - n, "%s%s", n > 0 ? ", " : "", vecq_op_info_of(rule->op)->name);
    if (rule->n_params == 1)
        snprintf(text + n, 64 - n, "(%g)", post->a);
    if (rule->n_params == 2)
        snprintf(text + n, 64 - n, "(%g, %g)", post->a, post->b);
    return text;
}
