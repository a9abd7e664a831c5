/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/rounding.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "graph/post.h"

static int moves(const vecq_op *op)
{
    return op->kind == VECQ_OP_RESHAPE || op->kind == VECQ_OP_TRANSPOSE;
}

const vecq_op *vecq_packed_source(const vecq_var *var)
{
    while (var->kind == VECQ_VAR_RESULT && moves(var->producer))
        var = var->producer->inputs[0];
    return var->kind == VECQ_VAR_RESULT && var->producer->kind == VECQ_OP_DECODE ? var->producer : NULL;
}

vecq_status vecq_rounding_check(unsigned act_bits, vecq_error *err)
{
    if (act_bits != 0 && act_bits != 8)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "activations of %u bits: 0 (float) or 8", act_bits);
    return VECQ_OK;
}

/* Groups of x are its first `lead` axes together; -1: the op does not read rounded activations. */
static int lead_of(const vecq_op *op)
{
    const vecq_matmul_params *p = op->params;
    const vecq_packed_layout *layout;
    const vecq_op *decode;
    const vecq_var *x, *w;
    int is_conv = op->kind == VECQ_OP_CONV;
    size_t rows;

    if (!is_conv && op->kind != VECQ_OP_GEMM && op->kind != VECQ_OP_MATMUL)
        return -1;
    x = op->inputs[0];
    w = op->inputs[1];
    decode = vecq_packed_source(w);
    if (decode == NULL || x->dtype != VECQ_DT_FLOAT || x->kind == VECQ_VAR_CONSTANT || x->rank < 2)
        return -1;
    layout = &((const vecq_decode_params *)decode->params)->layout;
    if (!is_conv && (w->rank != 2 || (p != NULL && p->trans_a)))
        return -1;
    rows = (size_t)(is_conv ? w->dims[0] : op->outputs[0]->dims[op->outputs[0]->rank - 1]);
    if (layout->is_table)
        return -1; /* no integers */
    if (layout->n_slices == 1)
        return is_conv ? 1 : (int)x->rank - 1;
    if (is_conv)
        return layout->group == 0 && layout->n_slices == rows ? 1 : -1;
    return rows > 0 && layout->n_slices % rows == 0 ? (int)x->rank - 1 : -1;
}

static int is_made_by(const vecq_var *x, vecq_op_kind kind)
{
    return x->kind == VECQ_VAR_RESULT && x->producer->kind == kind;
}

int vecq_is_byte_pair(const vecq_op *op)
{
    const vecq_linear_params *params;

    if (op == NULL || op->kind != VECQ_OP_QUANTIZE_PAIR)
        return 0;
    params = op->params;
    return (params->dtype == VECQ_DT_UINT8 || params->dtype == VECQ_DT_INT8) && op->inputs[1]->count == 1;
}

/* The op that rounds x in these groups, among those that were appended. */
static vecq_op *rounder_of(const vecq_program *program, size_t first, const vecq_var *x, unsigned lead)
{
    size_t i;

    for (i = first; i < program->n_ops; i++)
        if (program->ops[i]->kind == VECQ_OP_QUANTIZE_DYNAMIC && program->ops[i]->inputs[0] == x &&
            ((const vecq_dynamic_params *)program->ops[i]->params)->lead == lead)
            return program->ops[i];
    return NULL;
}

static vecq_status round_input(vecq_program *program, size_t first, vecq_op *op, unsigned lead,
                               vecq_error *err)
{
    const vecq_dynamic_params params = {.lead = lead};
    vecq_var *x = op->inputs[0];
    vecq_op *rounder = rounder_of(program, first, x, lead);
    const char *name;

    if (rounder == NULL) {
        name = vecq_arena_printf(&program->arena, "%s/rounded", x->name);
        if (name == NULL)
            return vecq_error_memory(err, strlen(x->name));
        VECQ_TRY(vecq_program_op(program, VECQ_OP_QUANTIZE_DYNAMIC, name, &x, 1, &params, sizeof params, 0,
                                 &rounder, err));
    }
    x->n_uses--;
    op->inputs[0] = rounder->outputs[0];
    op->inputs[0]->n_uses++;
    return VECQ_OK;
}

static int is_transcendental(const vecq_post *post)
{
    switch (post != NULL ? post->activation : VECQ_POST_NONE) {
    case VECQ_POST_SIGMOID:
    case VECQ_POST_TANH:
    case VECQ_POST_HARD_SIGMOID:
    case VECQ_POST_SILU:
    case VECQ_POST_GELU:
        return 1;
    default:
        return 0;
    }
}

/* The activation function of a post as an op behind it, which makes the op's result from now on. */
static vecq_status split_activation(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_post *old = op->post;
    const vecq_unary_params params = {old->a, old->b};
    const size_t n_bytes = old->activation == VECQ_POST_HARD_SIGMOID ? sizeof params : 0;
    vecq_post *post = vecq_arena_alloc(&program->arena, 1, sizeof *post);
    vecq_var *y = op->outputs[0], *before;
    vecq_op *after;

    if (post == NULL)
        return vecq_error_memory(err, sizeof *post);
    VECQ_TRY(vecq_program_op(program, vecq_post_op(old->activation), op->name, &y, 1,
                             n_bytes > 0 ? &params : NULL, n_bytes, 0, &after, err));
    before = after->outputs[0]; /* both have the same shape: they change places */
    op->outputs[0] = before;
    before->producer = op;
    before->n_uses++;
    after->inputs[0] = before;
    after->outputs[0] = y;
    y->producer = after;
    y->n_uses--;
    before->is_relu = 0;
    post->has_residual = old->has_residual;
    op->post = old->has_residual ? post : NULL;
    return VECQ_OK;
}

static int stands_before(const vecq_op *added, const vecq_op *op)
{
    return added->kind == VECQ_OP_QUANTIZE_DYNAMIC && op->n_inputs > 0 && op->inputs[0] == added->outputs[0];
}

static int stands_behind(const vecq_op *added, const vecq_op *op)
{
    return added->kind != VECQ_OP_QUANTIZE_DYNAMIC && added->inputs[0] == op->outputs[0];
}

/* The ops appended behind the first n, which were made in the order of their layers, go to their places. */
static vecq_status put_in_place(vecq_program *program, size_t n, vecq_error *err)
{
    size_t n_new = program->n_ops - n, i, k, to = 0;
    vecq_op **old;

    if (n_new == 0)
        return VECQ_OK;
    old = vecq_alloc(program->n_ops, sizeof *old);
    if (old == NULL)
        return vecq_error_memory(err, program->n_ops * sizeof *old);
    memcpy(old, program->ops, program->n_ops * sizeof *old);
    for (i = 0, k = n; i < n; i++) {
        if (k < n + n_new && stands_before(old[k], old[i]))
            program->ops[to++] = old[k++];
        program->ops[to++] = old[i];
        if (k < n + n_new && stands_behind(old[k], old[i]))
            program->ops[to++] = old[k++];
    }
    for (i = 0; i < program->n_ops; i++)
        program->ops[i]->index = i;
    vecq_free(old);
    return VECQ_OK;
}

vecq_status vecq_program_round_activations(vecq_program *program, unsigned act_bits, size_t *rounded,
                                           vecq_error *err)
{
    size_t n = program->n_ops, i, count = 0;

    for (i = 0; i < n; i++) {
        vecq_op *op = program->ops[i];
        int lead = lead_of(op);

        if (lead < 0)
            continue;
        if (act_bits > 0 && !is_made_by(op->inputs[0], VECQ_OP_QUANTIZE_PAIR))
            VECQ_TRY(round_input(program, n, op, (unsigned)lead, err));
        else if (!vecq_is_byte_pair(op->inputs[0]->producer))
            continue;
        count++;
        if (is_transcendental(op->post))
            VECQ_TRY(split_activation(program, op, err));
    }
    if (rounded != NULL)
        *rounded = count;
    return put_in_place(program, n, err);
}
