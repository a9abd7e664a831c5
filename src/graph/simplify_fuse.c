/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and activations as posts, and products of gates as one op. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "graph/simplify_private.h"

/* ---- posts ---- */

/* The only reader of what `op` makes, or of a Reshape of it (then *reshape). */
static vecq_op *reader_of(const vecq_simplifier *s, const vecq_op *op, vecq_op **reshape)
{
    vecq_op *reader = vecq_simplify_reader(s, op->outputs[0]);

    *reshape = NULL;
    if (reader == NULL || reader->kind != VECQ_OP_RESHAPE)
        return reader;
    *reshape = reader;
    return vecq_simplify_reader(s, reader->outputs[0]);
}

vecq_status vecq_simplify_activation(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err)
{
    vecq_post_activation activation;
    vecq_op *reader, *reshape;
    vecq_post *post;

    if (s->options.keep_posts || !vecq_op_takes_post(op->kind) ||
        (op->post != NULL && op->post->activation != VECQ_POST_NONE))
        return VECQ_OK;
    reader = reader_of(s, op, &reshape);
    activation = reader != NULL ? vecq_post_of_op(reader->kind) : VECQ_POST_NONE;
    if (activation == VECQ_POST_NONE || !vecq_var_is_float(op->outputs[0]))
        return VECQ_OK;
    if (op->post == NULL) {
        VECQ_TRY(vecq_op_set_post(op, activation, reader->params, NULL, err));
    } else {
        const vecq_unary_params *params = reader->params;

        post = vecq_arena_alloc(&s->program->arena, 1, sizeof *post);
        if (post == NULL)
            return vecq_error_memory(err, sizeof *post);
        *post = (vecq_post){1, activation, params != NULL ? params->a : 0, params != NULL ? params->b : 0};
        op->post = post;
    }
    op->outputs[0]->is_relu = reader->outputs[0]->is_relu;
    vecq_simplify_take_over(s, reshape != NULL ? reshape : op, reader);
    s->counts.fused++;
    *done = 1;
    return VECQ_OK;
}

/* The op whose post operand i of a sum can be made by: *reshape is what stands between, or NULL. */
static vecq_op *summand(const vecq_op *add, size_t i, vecq_op **reshape)
{
    vecq_var *x = add->inputs[i];
    vecq_op *op;

    *reshape = vecq_simplify_maker(x, VECQ_OP_RESHAPE);
    if (*reshape != NULL)
        x = (*reshape)->inputs[0];
    op = x->kind == VECQ_VAR_RESULT ? x->producer : NULL;
    if (op == NULL || !vecq_op_takes_residual(op->kind) || op->post != NULL || x->n_uses != 1 || x->is_output)
        return NULL;
    return op;
}

static size_t place_of(const vecq_var *var)
{
    return var->kind == VECQ_VAR_RESULT ? var->producer->index + 1 : 0;
}

/* `var` under the shape of the op's result, made just before the op. */
static vecq_status residual_shaped(vecq_simplifier *s, const vecq_op *op, vecq_var **var, vecq_error *err)
{
    const vecq_var *y = op->outputs[0];
    vecq_shape_params shape = {.rank = y->rank};

    if (vecq_var_same_shape(*var, y))
        return VECQ_OK;
    memcpy(shape.dims, y->dims, sizeof shape.dims);
    VECQ_TRY(
        vecq_program_op1(s->program, VECQ_OP_RESHAPE, (*var)->name, *var, &shape, sizeof shape, var, err));
    vecq_simplify_move(s, (*var)->producer, op->index);
    return VECQ_OK;
}

/* Of two summands the later one takes the other in: that is there already. A single one moves behind its
 * residual, which it can, because the sum alone reads it. */
vecq_status vecq_simplify_residual(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err)
{
    vecq_op *takers[2], *reshapes[2], *taker;
    vecq_var *residual;
    size_t i;

    if (s->options.keep_posts || op->kind != VECQ_OP_ADD || op->post != NULL ||
        !vecq_var_is_float(op->outputs[0]) || !vecq_var_same_shape(op->inputs[0], op->inputs[1]))
        return VECQ_OK;
    for (i = 0; i < 2; i++)
        takers[i] = summand(op, i, &reshapes[i]);
    if (takers[0] == NULL && takers[1] == NULL)
        return VECQ_OK;
    i = takers[0] == NULL || (takers[1] != NULL && takers[1]->index > takers[0]->index);
    taker = takers[i];
    residual = op->inputs[1 - i];
    if (place_of(residual) > taker->index) {
        if (reshapes[i] != NULL)
            vecq_simplify_move(s, reshapes[i], op->index - 1);
        vecq_simplify_move(s, taker, op->index - 1 - (reshapes[i] != NULL));
    }
    VECQ_TRY(residual_shaped(s, taker, &residual, err));
    VECQ_TRY(vecq_op_set_post(taker, VECQ_POST_NONE, NULL, residual, err));
    vecq_simplify_take_over(s, reshapes[i] != NULL ? reshapes[i] : taker, op);
    s->counts.fused++;
    *done = 1;
    return VECQ_OK;
}

/* ---- gates ---- */

/* A product of at most two variables and numbers, whatever the order in which it is computed. */
typedef struct product {
    vecq_var *leaves[2];
    size_t n;
    double factor;
} product;

static int product_of(const vecq_op *op, product *p, unsigned depth);

static int product_operand(vecq_var *x, product *p, unsigned depth)
{
    const vecq_op *op = vecq_simplify_maker(x, VECQ_OP_MUL);
    double number;

    if (vecq_simplify_number(x, &number)) {
        p->factor *= number;
        return 1;
    }
    if (op == NULL)
        op = vecq_simplify_maker(x, VECQ_OP_DIV);
    if (op != NULL && depth < 3) {
        product before = *p;

        if (product_of(op, p, depth + 1))
            return 1;
        *p = before;
    }
    if (p->n == 2)
        return 0;
    p->leaves[p->n++] = x;
    return 1;
}

static int product_of(const vecq_op *op, product *p, unsigned depth)
{
    double number;

    if (!product_operand(op->inputs[0], p, depth))
        return 0;
    if (op->kind == VECQ_OP_MUL)
        return product_operand(op->inputs[1], p, depth);
    if (!vecq_simplify_number(op->inputs[1], &number) || number == 0)
        return 0;
    p->factor /= number;
    return 1;
}

static int is_close(double value, double wanted)
{
    return fabs(value - wanted) <= 1e-6 * fabs(wanted);
}

/* x of "x + number", or NULL. */
static vecq_var *sum_with(const vecq_var *sum, double number)
{
    const vecq_op *op = vecq_simplify_maker(sum, VECQ_OP_ADD);
    double value;

    if (op == NULL)
        return NULL;
    if (vecq_simplify_number(op->inputs[1], &value) && value == number)
        return op->inputs[0];
    if (vecq_simplify_number(op->inputs[0], &value) && value == number)
        return op->inputs[1];
    return NULL;
}

/* x of min(max(x + 3, 0), 6), or NULL. */
static vecq_var *relu6_of_three_more(const vecq_var *gate)
{
    const vecq_op *clip = vecq_simplify_maker(gate, VECQ_OP_CLIP);
    const vecq_unary_params *p = clip != NULL ? clip->params : NULL;

    return clip != NULL && p->a == 0 && p->b == 6 ? sum_with(clip->inputs[0], 3) : NULL;
}

/* Whether the gate is 1 + erf(x / sqrt 2). */
static int is_erf_gate(const vecq_var *gate, const vecq_var *x)
{
    const vecq_var *sum = sum_with(gate, 1);
    const vecq_op *erf = sum != NULL ? vecq_simplify_maker(sum, VECQ_OP_ERF) : NULL;
    const vecq_op *inner = NULL;
    product p = {.factor = 1};

    if (erf == NULL)
        return 0;
    if ((inner = vecq_simplify_maker(erf->inputs[0], VECQ_OP_MUL)) == NULL)
        inner = vecq_simplify_maker(erf->inputs[0], VECQ_OP_DIV);
    return inner != NULL && product_of(inner, &p, 0) && p.n == 1 && p.leaves[0] == x &&
           is_close(p.factor, 0.70710678118654752440);
}

/* What x * gate * factor is; VECQ_OP_COUNT: none of the known. */
static vecq_op_kind gated(const vecq_var *x, const vecq_var *gate, double factor)
{
    const vecq_op *op;

    if ((op = vecq_simplify_maker(gate, VECQ_OP_SIGMOID)) != NULL && op->inputs[0] == x && factor == 1)
        return VECQ_OP_SILU;
    if ((op = vecq_simplify_maker(gate, VECQ_OP_HARD_SIGMOID)) != NULL && op->inputs[0] == x && factor == 1) {
        const vecq_unary_params *p = op->params;

        return is_close(p->a, 1.0 / 6) && is_close(p->b, 0.5) ? VECQ_OP_HARD_SWISH : VECQ_OP_COUNT;
    }
    if (relu6_of_three_more(gate) == x && is_close(factor, 1.0 / 6))
        return VECQ_OP_HARD_SWISH;
    if (is_close(factor, 0.5) && is_erf_gate(gate, x))
        return VECQ_OP_GELU;
    return VECQ_OP_COUNT;
}

vecq_status vecq_simplify_gate(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err)
{
    const vecq_unary_params hard_sigmoid = {1.0 / 6, 0.5};
    vecq_op_kind kind = VECQ_OP_COUNT;
    product p = {.factor = 1};
    vecq_var *x = NULL;
    size_t i;

    if ((op->kind != VECQ_OP_MUL && op->kind != VECQ_OP_DIV) || op->post != NULL || !product_of(op, &p, 0))
        return VECQ_OK;
    for (i = 0; i < 2 && p.n == 2 && kind == VECQ_OP_COUNT; i++) {
        x = p.leaves[i];
        kind = gated(x, p.leaves[1 - i], p.factor);
    }
    if (p.n == 1 && is_close(p.factor, 1.0 / 6) && (x = relu6_of_three_more(p.leaves[0])) != NULL)
        kind = VECQ_OP_HARD_SIGMOID;
    if (kind == VECQ_OP_COUNT || !vecq_var_same_shape(x, op->outputs[0]))
        return VECQ_OK;
    s->counts.fused++;
    *done = 1;
    return vecq_simplify_become(op, kind, &x, 1, &hard_sigmoid,
                                kind == VECQ_OP_HARD_SIGMOID ? sizeof hard_sigmoid : 0, err);
}
