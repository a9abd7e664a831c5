/* SPDX-License-Identifier: Apache-2.0 */
/* The rounds of simplifying, and what all rules use. */
#include "graph/simplify.h"

#include <string.h>

#include "base/status.h"
#include "graph/simplify_private.h"

/* In this order for each op. The first of them come to an end before the others begin: parts of a gate must
 * not become bias or post of another op. */
static const vecq_simplify_rule rules[] = {
    vecq_simplify_identity, vecq_simplify_layout,   vecq_simplify_gate,     vecq_simplify_norm,
    vecq_simplify_padding,  vecq_simplify_channels, vecq_simplify_residual, vecq_simplify_activation,
};

#define N_RULES       (sizeof rules / sizeof *rules)
#define N_FIRST_RULES 5

/* ---- looking ---- */

vecq_op *vecq_simplify_reader(const vecq_simplifier *s, const vecq_var *var)
{
    size_t i, k;

    if (var->n_uses != 1 || var->is_output || var->producer == NULL)
        return NULL;
    for (i = var->producer->index + 1; i < s->program->n_ops; i++) {
        vecq_op *op = s->program->ops[i];

        for (k = 0; op != NULL && k < op->n_inputs; k++)
            if (op->inputs[k] == var)
                return op;
    }
    return NULL;
}

vecq_op *vecq_simplify_maker(const vecq_var *var, vecq_op_kind kind)
{
    if (var == NULL || var->kind != VECQ_VAR_RESULT || var->producer == NULL || var->producer->kind != kind ||
        var->n_uses != 1 || var->is_output || var->producer->post != NULL)
        return NULL;
    return var->producer;
}

double vecq_simplify_element(const vecq_var *var, size_t i)
{
    if (var->dtype == VECQ_DT_DOUBLE)
        return ((const double *)var->constant.data)[i];
    return (double)((const float *)var->constant.data)[i];
}

int vecq_simplify_number(const vecq_var *var, double *value)
{
    if (var == NULL || var->kind != VECQ_VAR_CONSTANT || var->count != 1 || !vecq_var_is_float(var))
        return 0;
    *value = vecq_simplify_element(var, 0);
    return 1;
}

/* ---- changing ---- */

void vecq_simplify_set_input(vecq_op *op, size_t i, vecq_var *var)
{
    if (op->inputs[i] != NULL)
        op->inputs[i]->n_uses--;
    op->inputs[i] = var;
    if (var != NULL)
        var->n_uses++;
}

void vecq_simplify_remove(vecq_simplifier *s, vecq_op *op)
{
    size_t i;

    for (i = 0; i < op->n_inputs; i++)
        if (op->inputs[i] != NULL)
            op->inputs[i]->n_uses--;
    s->program->ops[op->index] = NULL;
}

/* All readers of one read the other. */
static void redirect(vecq_simplifier *s, const vecq_var *from, vecq_var *to)
{
    size_t i, k;

    for (i = 0; i < s->program->n_ops && from->n_uses > 0; i++) {
        vecq_op *op = s->program->ops[i];

        for (k = 0; op != NULL && k < op->n_inputs; k++)
            if (op->inputs[k] == from)
                vecq_simplify_set_input(op, k, to);
    }
}

/* `var` stands for output i of the op from now on. */
static void set_output(vecq_op *op, size_t i, vecq_var *var)
{
    op->outputs[i]->producer = NULL;
    op->outputs[i] = var;
    var->producer = op;
    var->output = i;
}

int vecq_simplify_forward(vecq_simplifier *s, vecq_op *op, vecq_var *as)
{
    vecq_var *y = op->outputs[0];

    if (y->is_output && (as->is_output || as->kind != VECQ_VAR_RESULT))
        return 0;
    vecq_simplify_remove(s, op);
    y->is_relu |= as->is_relu;
    if (!y->is_output) {
        redirect(s, y, as);
        return 1;
    }
    redirect(s, as, y);
    set_output(as->producer, as->output, y);
    return 1;
}

void vecq_simplify_take_over(vecq_simplifier *s, vecq_op *op, vecq_op *later)
{
    vecq_simplify_remove(s, later);
    set_output(op, 0, later->outputs[0]);
}

vecq_status vecq_simplify_become(vecq_op *op, vecq_op_kind kind, vecq_var *const *inputs, size_t n,
                                 const void *params, size_t params_bytes, vecq_error *err)
{
    vecq_arena *arena = &op->program->arena;
    vecq_var **copy = vecq_arena_alloc(arena, n, sizeof *copy);
    void *own = params_bytes > 0 ? vecq_arena_alloc(arena, 1, params_bytes) : NULL;
    size_t i;

    if (copy == NULL || (params_bytes > 0 && own == NULL))
        return vecq_error_memory(err, n * sizeof *copy + params_bytes);
    for (i = 0; i < n; i++) {
        copy[i] = inputs[i];
        if (copy[i] != NULL)
            copy[i]->n_uses++;
    }
    for (i = 0; i < op->n_inputs; i++)
        if (op->inputs[i] != NULL)
            op->inputs[i]->n_uses--;
    if (params_bytes > 0)
        memcpy(own, params, params_bytes);
    op->kind = kind;
    op->info = vecq_op_info_of(kind);
    op->inputs = copy;
    op->n_inputs = n;
    op->params = own;
    return VECQ_OK;
}

void vecq_simplify_move(vecq_simplifier *s, vecq_op *op, size_t index)
{
    vecq_op **ops = s->program->ops;
    size_t i;

    for (i = op->index; i < index; i++) {
        ops[i] = ops[i + 1];
        if (ops[i] != NULL)
            ops[i]->index = i;
    }
    for (; i > index; i--) {
        ops[i] = ops[i - 1];
        if (ops[i] != NULL)
            ops[i]->index = i;
    }
    ops[index] = op;
    op->index = index;
}

/* ---- rounds ---- */

static vecq_status round_of(vecq_simplifier *s, size_t n_rules, int *changed, vecq_error *err)
{
    size_t i, r;

    *changed = 0;
    for (i = 0; i < s->program->n_ops; i++)
        for (r = 0; r < n_rules && s->program->ops[i] != NULL; r++) {
            int done = 0;

            VECQ_TRY(rules[r](s, s->program->ops[i], &done, err));
            *changed |= done;
        }
    return VECQ_OK;
}

static void close_gaps(vecq_program *program)
{
    size_t i, n = 0;

    for (i = 0; i < program->n_ops; i++)
        if (program->ops[i] != NULL) {
            program->ops[i]->index = n;
            program->ops[n++] = program->ops[i];
        }
    program->n_ops = n;
}

static vecq_status rounds(vecq_simplifier *s, size_t n_rules, vecq_error *err)
{
    vecq_status status = VECQ_OK;
    int changed = 1;

    while (status == VECQ_OK && changed) {
        status = round_of(s, n_rules, &changed, err);
        close_gaps(s->program);
        vecq_program_prune(s->program); /* readers that counted may be gone */
    }
    return status;
}

/* Weights that were folded are there twice: what nobody reads any more gives its memory back. */
static void free_constants(vecq_program *program)
{
    size_t i;

    for (i = 0; i < program->n_vars; i++) {
        vecq_var *var = program->vars[i];

        if (var->kind == VECQ_VAR_CONSTANT && var->n_uses == 0 && !var->is_output)
            vecq_var_drop(var);
    }
}

vecq_status vecq_program_simplify(vecq_program *program, const vecq_simplify_options *options,
                                  vecq_simplify_counts *counts, vecq_error *err)
{
    vecq_simplifier s = {.program = program};
    vecq_status status;

    if (options != NULL)
        s.options = *options;
    vecq_program_prune(program);
    status = rounds(&s, N_FIRST_RULES, err);
    if (status == VECQ_OK)
        status = rounds(&s, N_RULES, err);
    free_constants(program);
    if (counts != NULL)
        *counts = s.counts;
    return status;
}
