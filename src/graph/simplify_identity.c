/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that change nothing, and chains of ops that only rearrange. */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "graph/simplify_private.h"

/* ---- nothing changes ---- */

static int transpose_is_identity(const vecq_op *op)
{
    const vecq_transpose_params *p = op->params;
    unsigned i;

    for (i = 0; i < op->inputs[0]->rank; i++)
        if (p->perm[i] != i)
            return 0;
    return 1;
}

static int slice_is_identity(const vecq_op *op)
{
    const vecq_slice_params *p = op->params;
    unsigned i;

    for (i = 0; i < op->inputs[0]->rank; i++)
        if (p->start[i] != 0 || (p->step[i] != 1 && p->length[i] > 1) ||
            p->length[i] != op->inputs[0]->dims[i])
            return 0;
    return 1;
}

static int pad_is_identity(const vecq_op *op)
{
    const vecq_pad_params *p = op->params;
    unsigned i;

    for (i = 0; i < op->inputs[0]->rank; i++)
        if (p->begin[i] != 0 || p->end[i] != 0)
            return 0;
    return 1;
}

static int pool_is_identity(const vecq_op *op)
{
    const vecq_pool_params *p = op->params;
    unsigned i;

    for (i = 0; i < p->spatial; i++)
        if (p->kernel[i] != 1 || p->stride[i] != 1 || p->pad_begin[i] != 0 || p->pad_end[i] != 0)
            return 0;
    return op->n_outputs < 2 || op->outputs[1]->n_uses == 0;
}

/* x + 0, x - 0, x * 1, x / 1: the operand that stays, or NULL. */
static vecq_var *neutral(const vecq_op *op)
{
    double value = op->kind == VECQ_OP_ADD || op->kind == VECQ_OP_SUB ? 0 : 1, number;
    int commutes = op->kind == VECQ_OP_ADD || op->kind == VECQ_OP_MUL;

    if (op->post != NULL)
        return NULL;
    if (vecq_simplify_number(op->inputs[1], &number) && number == value)
        return op->inputs[0];
    if (commutes && vecq_simplify_number(op->inputs[0], &number) && number == value)
        return op->inputs[1];
    return NULL;
}

/* What the op hands on as it is, or NULL. */
static vecq_var *unchanged(const vecq_op *op)
{
    const vecq_unary_params *unary = op->params;

    switch (op->kind) {
    case VECQ_OP_RESHAPE:
    case VECQ_OP_EXPAND:
    case VECQ_OP_CAST: /* of the same type and shape, which the caller checks */
        return op->inputs[0];
    case VECQ_OP_CONCAT:
    case VECQ_OP_SPLIT:
        return op->n_inputs == 1 && op->n_outputs == 1 ? op->inputs[0] : NULL;
    case VECQ_OP_TRANSPOSE:
        return transpose_is_identity(op) ? op->inputs[0] : NULL;
    case VECQ_OP_SLICE:
        return slice_is_identity(op) ? op->inputs[0] : NULL;
    case VECQ_OP_PAD:
        return pad_is_identity(op) ? op->inputs[0] : NULL;
    case VECQ_OP_MAX_POOL:
    case VECQ_OP_AVERAGE_POOL:
        return pool_is_identity(op) ? op->inputs[0] : NULL;
    case VECQ_OP_RELU:
        return op->inputs[0]->is_relu ? op->inputs[0] : NULL;
    case VECQ_OP_CLIP:
        return unary->a == -INFINITY && unary->b == INFINITY ? op->inputs[0] : NULL;
    case VECQ_OP_ADD:
    case VECQ_OP_SUB:
    case VECQ_OP_MUL:
    case VECQ_OP_DIV:
        return neutral(op);
    default:
        return NULL;
    }
}

vecq_status vecq_simplify_identity(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err)
{
    vecq_var *same = unchanged(op);

    (void)err;
    if (same != NULL && same->dtype == op->outputs[0]->dtype && vecq_var_same_shape(same, op->outputs[0]) &&
        vecq_simplify_forward(s, op, same)) {
        s->counts.removed++;
        *done = 1;
    }
    return VECQ_OK;
}

/* ---- chains ---- */

/* The op of that kind which made the variable, whoever else reads it. */
static const vecq_op *made_by(const vecq_var *var, vecq_op_kind kind)
{
    return var != NULL && var->kind == VECQ_VAR_RESULT && var->producer != NULL && var->producer->kind == kind
               ? var->producer
               : NULL;
}

/* Axes longer than 1 keep their order: the elements stay where they are. */
static int transpose_moves_nothing(const vecq_op *op)
{
    const vecq_transpose_params *p = op->params;
    const vecq_var *x = op->inputs[0];
    int last = -1;
    unsigned i;

    for (i = 0; i < x->rank; i++) {
        if (x->dims[p->perm[i]] == 1)
            continue;
        if ((int)p->perm[i] < last)
            return 0;
        last = (int)p->perm[i];
    }
    return 1;
}

static int reduces_nothing(const vecq_op *op)
{
    const vecq_reduce_params *p = op->params;
    unsigned i;

    for (i = 0; i < op->inputs[0]->rank; i++)
        if (p->axes[i] && op->inputs[0]->dims[i] != 1)
            return 0;
    return 1;
}

/* The op is a Reshape of x into the shape that it makes. */
static vecq_status become_reshape(vecq_op *op, vecq_var *x, vecq_error *err)
{
    const vecq_var *y = op->outputs[0];
    vecq_shape_params shape = {.rank = y->rank};

    memcpy(shape.dims, y->dims, sizeof shape.dims);
    return vecq_simplify_become(op, VECQ_OP_RESHAPE, &x, 1, &shape, sizeof shape, err);
}

static vecq_status transpose_twice(vecq_op *op, const vecq_op *first, vecq_error *err)
{
    const vecq_transpose_params *p = op->params, *q = first->params;
    vecq_transpose_params both = *p;
    unsigned i;

    for (i = 0; i < op->inputs[0]->rank; i++)
        both.perm[i] = q->perm[p->perm[i]];
    return vecq_simplify_become(op, VECQ_OP_TRANSPOSE, first->inputs, 1, &both, sizeof both, err);
}

/* A product that reads operand i with its last two axes exchanged reads it transposed instead. */
static vecq_status transposed_operand(vecq_op *op, size_t i, int *done, vecq_error *err)
{
    const vecq_op *t = made_by(op->inputs[i], VECQ_OP_TRANSPOSE);
    const vecq_transpose_params *p = t != NULL ? t->params : NULL;
    vecq_matmul_params flags = *(const vecq_matmul_params *)op->params;
    unsigned k, rank;

    if (t == NULL || (rank = t->inputs[0]->rank) < 2)
        return VECQ_OK;
    for (k = 0; k < rank; k++)
        if (p->perm[k] != (k + 2 < rank ? k : k + 2 == rank ? rank - 1 : rank - 2))
            return VECQ_OK;
    *(i == 0 ? &flags.trans_a : &flags.trans_b) ^= 1;
    vecq_simplify_set_input(op, i, t->inputs[0]);
    *done = 1;
    return vecq_simplify_become(op, op->kind, op->inputs, op->n_inputs, &flags, sizeof flags, err);
}

vecq_status vecq_simplify_layout(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err)
{
    const vecq_op *before = op->n_inputs > 0 ? made_by(op->inputs[0], op->kind) : NULL;

    (void)s;
    switch (op->kind) {
    case VECQ_OP_RESHAPE:
        if (before != NULL) {
            vecq_simplify_set_input(op, 0, before->inputs[0]);
            *done = 1;
        }
        return VECQ_OK;
    case VECQ_OP_TRANSPOSE:
        *done = before != NULL || transpose_moves_nothing(op);
        if (before != NULL)
            return transpose_twice(op, before, err);
        return *done ? become_reshape(op, op->inputs[0], err) : VECQ_OK;
    case VECQ_OP_REDUCE_SUM:
    case VECQ_OP_REDUCE_MEAN:
    case VECQ_OP_REDUCE_MAX:
        *done = reduces_nothing(op);
        return *done ? become_reshape(op, op->inputs[0], err) : VECQ_OK;
    case VECQ_OP_GEMM:
    case VECQ_OP_MATMUL:
        VECQ_TRY(transposed_operand(op, 0, done, err));
        return transposed_operand(op, 1, done, err);
    default:
        return VECQ_OK;
    }
}
