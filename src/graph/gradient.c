/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/gradient.h"

#include <string.h>

#include "base/status.h"

vecq_var *vecq_gradient_of(const vecq_gradient *g, const vecq_var *var)
{
    return var->index < g->n ? g->of[var->index] : NULL;
}

int vecq_gradient_wanted(const vecq_gradient *g, const vecq_var *var)
{
    return var != NULL && var->index < g->n && g->wanted[var->index];
}

vecq_status vecq_gradient_op(vecq_gradient *g, const vecq_op *forward, vecq_op_kind kind,
                             vecq_var *const *inputs, size_t n_inputs, const void *params,
                             size_t params_bytes, size_t n_outputs, vecq_op **out, vecq_error *err)
{
    const char *name = vecq_arena_printf(&g->program->arena, "%s/grad", forward->name);

    if (name == NULL)
        return vecq_error_memory(err, strlen(forward->name));
    return vecq_program_op_of(g->program, kind, name, forward, inputs, n_inputs, params, params_bytes,
                              n_outputs, out, err);
}

static const char *sum_name(const vecq_gradient *g, const vecq_var *var)
{
    return vecq_arena_printf(&g->program->arena, "%s/grad", var->name);
}

vecq_status vecq_gradient_add(vecq_gradient *g, const vecq_var *var, vecq_var *contribution, vecq_error *err)
{
    const char *name;

    if (!vecq_gradient_wanted(g, var))
        return VECQ_OK;
    if (!vecq_var_same_shape(var, contribution) || var->dtype != contribution->dtype)
        return vecq_error_set(err, VECQ_ERR_USAGE, "the gradient of '%s' has another shape", var->name);
    if (g->of[var->index] == NULL) {
        g->of[var->index] = contribution;
        return VECQ_OK;
    }
    if ((name = sum_name(g, var)) == NULL)
        return vecq_error_memory(err, 0);
    return vecq_program_op2(g->program, VECQ_OP_ADD, name, g->of[var->index], contribution, NULL, 0,
                            &g->of[var->index], err);
}

vecq_status vecq_gradient_add_broadcast(vecq_gradient *g, const vecq_var *var, vecq_var *contribution,
                                        vecq_error *err)
{
    vecq_reduce_params reduce = {.keep_dims = 1};
    vecq_shape_params shape = {.rank = var->rank};
    unsigned i, lead, n = 0;
    const char *name;

    if (!vecq_gradient_wanted(g, var) || vecq_var_same_shape(var, contribution))
        return vecq_gradient_add(g, var, contribution, err);
    if (contribution->rank < var->rank)
        return vecq_error_set(err, VECQ_ERR_USAGE, "the gradient of '%s' has too few dimensions", var->name);
    if ((name = sum_name(g, var)) == NULL)
        return vecq_error_memory(err, 0);
    lead = contribution->rank - var->rank;
    for (i = 0; i < contribution->rank; i++)
        if (i < lead || (var->dims[i - lead] == 1 && contribution->dims[i] != 1)) {
            reduce.axes[i] = 1;
            n++;
        }
    if (n > 0)
        VECQ_TRY(vecq_program_op1(g->program, VECQ_OP_REDUCE_SUM, name, contribution, &reduce, sizeof reduce,
                                  &contribution, err));
    memcpy(shape.dims, var->dims, sizeof shape.dims);
    if (lead > 0)
        VECQ_TRY(vecq_program_op1(g->program, VECQ_OP_RESHAPE, name, contribution, &shape, sizeof shape,
                                  &contribution, err));
    return vecq_gradient_add(g, var, contribution, err);
}

/* What the loss depends on and that leads to one of the variables asked for. */
static void mark_wanted(vecq_gradient *g, vecq_var *const *with, size_t n_with)
{
    const vecq_program *program = g->program;
    size_t i, k;

    for (i = 0; i < n_with; i++)
        if (with[i] != NULL)
            g->wanted[with[i]->index] = 1;
    for (i = 0; i < program->n_ops; i++) {
        const vecq_op *op = program->ops[i];
        int any = 0;

        for (k = 0; k < op->n_inputs; k++)
            any |= op->inputs[k] != NULL && g->wanted[op->inputs[k]->index];
        for (k = 0; any && k < op->n_outputs; k++)
            if (vecq_var_is_float(op->outputs[k]))
                g->wanted[op->outputs[k]->index] = 1;
    }
}

static vecq_status backward_op(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_status status;
    size_t k;
    int any_out = 0, any_in = 0;

    for (k = 0; k < op->n_outputs; k++)
        any_out |= vecq_gradient_of(g, op->outputs[k]) != NULL;
    for (k = 0; k < op->n_inputs; k++)
        any_in |= vecq_gradient_wanted(g, op->inputs[k]);
    if (!any_out || !any_in)
        return VECQ_OK;
    if (op->info->gradient == NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "%s '%s' has no gradient: freeze what lies before it, or cut the model there",
                              op->info->name, op->name);
    status = op->info->gradient(g, op, err);
    if (status != VECQ_OK)
        vecq_error_prefix(err, "gradient of %s '%s'", op->info->name, op->name);
    return status;
}

static vecq_status backward(vecq_gradient *g, vecq_var *loss, vecq_error *err)
{
    size_t i = g->program->n_ops;

    VECQ_TRY(vecq_program_fill(g->program, "loss/grad", loss->dtype, loss->rank, loss->dims, 1.0,
                               &g->of[loss->index], err));
    while (i-- > 0)
        VECQ_TRY(backward_op(g, g->program->ops[i], err));
    return VECQ_OK;
}

vecq_status vecq_program_differentiate(vecq_program *program, vecq_var *loss, vecq_var *const *with,
                                       size_t n_with, vecq_var **gradients, vecq_error *err)
{
    vecq_gradient g = {.program = program, .n = program->n_vars};
    vecq_status status = VECQ_OK;
    size_t i;

    if (loss->count != 1 || !vecq_var_is_float(loss))
        return vecq_error_set(err, VECQ_ERR_USAGE, "the loss must be one number");
    g.of = vecq_calloc(g.n, sizeof *g.of);
    g.wanted = vecq_calloc(g.n, 1);
    if (g.of == NULL || g.wanted == NULL)
        status = vecq_error_memory(err, g.n * sizeof *g.of);
    if (status == VECQ_OK) {
        mark_wanted(&g, with, n_with);
        status = backward(&g, loss, err);
    }
    for (i = 0; i < n_with && status == VECQ_OK; i++) {
        gradients[i] = with[i] != NULL ? g.of[with[i]->index] : NULL;
        if (gradients[i] != NULL)
            gradients[i]->is_output = 1;
    }
    vecq_free((void *)g.of);
    vecq_free(g.wanted);
    if (status == VECQ_OK)
        vecq_program_prune(program);
    return status;
}
