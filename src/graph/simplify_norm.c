/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LayerNormalization as exporters wrote it before opset 17, (x - mean(x)) / sqrt(mean((x - mean(x))^2) +
 * epsilon) over the last axes, as one op; then a product with and a sum of constant rows become its scale and
 * bias.
 */
#include "base/status.h"
#include "graph/simplify_private.h"

/* The operand whose mean over the last axes, from *axis on, the variable is; NULL: it is no such mean. */
static vecq_var *mean_of(const vecq_var *var, unsigned *axis)
{
    const vecq_op *op = vecq_simplify_maker(var, VECQ_OP_REDUCE_MEAN);
    const vecq_reduce_params *p = op != NULL ? op->params : NULL;
    const vecq_var *x = op != NULL ? op->inputs[0] : NULL;
    unsigned a;

    if (op == NULL || var->rank != x->rank)
        return NULL;
    for (*axis = x->rank; *axis > 0 && p->axes[*axis - 1]; --*axis)
        continue;
    for (a = 0; a < *axis; a++)
        if (p->axes[a])
            return NULL;
    return *axis < x->rank ? op->inputs[0] : NULL;
}

/* The variable whose square this is, or NULL. */
static vecq_var *square_of(const vecq_var *var)
{
    const vecq_op *op = vecq_simplify_maker(var, VECQ_OP_MUL);
    double number;

    if (op != NULL)
        return op->inputs[0] == op->inputs[1] ? op->inputs[0] : NULL;
    op = vecq_simplify_maker(var, VECQ_OP_POW);
    return op != NULL && vecq_simplify_number(op->inputs[1], &number) && number == 2 ? op->inputs[0] : NULL;
}

/* x and what is added to it. */
static vecq_var *sum_with_number(const vecq_var *sum, double *number)
{
    const vecq_op *op = vecq_simplify_maker(sum, VECQ_OP_ADD);
    size_t i;

    for (i = 0; op != NULL && i < 2; i++)
        if (vecq_simplify_number(op->inputs[1 - i], number))
            return op->inputs[i];
    return NULL;
}

/* x, if op divides its distance from the mean by its deviation. */
static vecq_var *normalized(const vecq_op *op, vecq_layer_norm_params *params)
{
    const vecq_op *root = vecq_simplify_maker(op->inputs[1], VECQ_OP_SQRT), *sub;
    const vecq_var *variance = root != NULL ? sum_with_number(root->inputs[0], &params->epsilon) : NULL;
    const vecq_var *square = variance != NULL ? mean_of(variance, &params->axis) : NULL;
    const vecq_var *distance = square != NULL ? square_of(square) : NULL;
    vecq_var *x;
    unsigned axis;

    if (distance == NULL || distance != op->inputs[0] || distance->kind != VECQ_VAR_RESULT ||
        distance->producer->kind != VECQ_OP_SUB || distance->producer->post != NULL || params->epsilon < 0)
        return NULL;
    sub = distance->producer;
    x = mean_of(sub->inputs[1], &axis);
    return x == sub->inputs[0] && axis == params->axis && vecq_var_same_shape(x, distance) ? x : NULL;
}

static vecq_status make_norm(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err)
{
    vecq_layer_norm_params params = {.is_rms = 0};
    vecq_var *x = normalized(op, &params);
    vecq_op *norm;

    if (x == NULL || !vecq_var_is_float(x))
        return VECQ_OK;
    VECQ_TRY(vecq_program_op(s->program, VECQ_OP_LAYER_NORM, op->name, &x, 1, &params, sizeof params, 0,
                             &norm, err));
    vecq_simplify_move(s, norm, op->index);
    vecq_simplify_take_over(s, norm, op);
    s->counts.fused++;
    *done = 1;
    return VECQ_OK;
}

/* A constant with an element for each of a row, or for the last axes of one alike. */
static int is_row(const vecq_var *var, const vecq_var *x, unsigned axis)
{
    unsigned a;

    if (var->kind != VECQ_VAR_CONSTANT || var->dtype != x->dtype || var->rank > x->rank)
        return 0;
    for (a = 0; a < x->rank; a++) {
        int64_t size = a + var->rank < x->rank ? 1 : var->dims[a + var->rank - x->rank];

        if (size != (a < axis ? 1 : x->dims[a]))
            return 0;
    }
    return 1;
}

/* The product after a norm without scale and bias, or the sum after one without bias. */
static vecq_status extend_norm(vecq_simplifier *s, vecq_op *norm, size_t place, vecq_op *op, size_t other,
                               int *done, vecq_error *err)
{
    const vecq_layer_norm_params *params = norm->params;
    vecq_var *inputs[3] = {norm->inputs[0], norm->n_inputs > 1 ? norm->inputs[1] : NULL, NULL};

    if (norm->n_inputs > place && norm->inputs[place] != NULL)
        return VECQ_OK;
    if (place == 1 && norm->n_inputs > 2 && norm->inputs[2] != NULL)
        return VECQ_OK;
    if (!is_row(op->inputs[other], norm->inputs[0], params->axis))
        return VECQ_OK;
    inputs[place] = op->inputs[other];
    VECQ_TRY(vecq_simplify_become(norm, VECQ_OP_LAYER_NORM, inputs, 3, params, sizeof *params, err));
    vecq_simplify_take_over(s, norm, op);
    s->counts.folded++;
    *done = 1;
    return VECQ_OK;
}

vecq_status vecq_simplify_norm(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err)
{
    size_t i;

    if (op->post != NULL)
        return VECQ_OK;
    if (op->kind == VECQ_OP_DIV)
        return make_norm(s, op, done, err);
    if (op->kind != VECQ_OP_MUL && op->kind != VECQ_OP_ADD)
        return VECQ_OK;
    for (i = 0; i < 2 && !*done; i++) {
        vecq_op *norm = vecq_simplify_maker(op->inputs[i], VECQ_OP_LAYER_NORM);

        if (norm != NULL && norm->outputs[0] == op->inputs[i])
            VECQ_TRY(extend_norm(s, norm, op->kind == VECQ_OP_MUL ? 1 : 2, op, 1 - i, done, err));
    }
    return VECQ_OK;
}
