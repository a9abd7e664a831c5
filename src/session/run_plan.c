/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One combination of input shapes: the graph lowered with them, simplified, planned. Weights come from the
 * session's bank, and what the plan makes of them goes back there; constants that only the prologue read are
 * dropped again.
 */
#include <string.h>

#include "base/status.h"
#include "graph/lower.h"
#include "graph/rounding.h"
#include "graph/simplify.h"
#include "session/session_private.h"

vecq_dtype vecq_run_dtype(vecq_dtype declared)
{
    return vecq_dtype_is_weight(declared) ? VECQ_DT_FLOAT : declared;
}

int vecq_run_plan_fits(const vecq_run_plan *plan, const vecq_run_input *inputs, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (plan->inputs[i]->dtype != vecq_run_dtype(inputs[i].dtype) || plan->ranks[i] != inputs[i].rank ||
            memcmp(plan->dims + i * VECQ_MAX_RANK, inputs[i].dims, inputs[i].rank * sizeof(int64_t)) != 0)
            return 0;
    return 1;
}

static vecq_status plan_arrays(const vecq_session *s, vecq_run_plan *plan, vecq_error *err)
{
    vecq_arena *arena = &plan->program.arena;

    plan->inputs = vecq_arena_alloc(arena, s->n_inputs, sizeof *plan->inputs);
    plan->outputs = vecq_arena_alloc(arena, s->n_outputs, sizeof *plan->outputs);
    plan->dims = vecq_arena_alloc(arena, s->n_inputs * VECQ_MAX_RANK, sizeof *plan->dims);
    plan->ranks = vecq_arena_alloc(arena, s->n_inputs, sizeof *plan->ranks);
    plan->converted_in = vecq_arena_alloc(arena, s->n_inputs, sizeof *plan->converted_in);
    plan->converted_out = vecq_arena_alloc(arena, s->n_outputs, sizeof *plan->converted_out);
    if (plan->inputs == NULL || plan->outputs == NULL || plan->dims == NULL || plan->ranks == NULL ||
        plan->converted_in == NULL || plan->converted_out == NULL)
        return vecq_error_memory(err, s->n_inputs * VECQ_MAX_RANK * sizeof *plan->dims);
    return VECQ_OK;
}

static vecq_status plan_lower(vecq_session *s, const vecq_run_input *inputs, vecq_run_plan *plan,
                              vecq_error *err)
{
    vecq_lower_options options = {.is_frozen = 1, .keep_packed = 1, .bank = &s->bank};
    vecq_lower_input *list = vecq_arena_alloc(&plan->program.arena, s->n_inputs, sizeof *list);
    vecq_store store = {0}; /* a frozen program has no parameters */
    vecq_status status;
    size_t i;

    if (list == NULL)
        return vecq_error_memory(err, s->n_inputs * sizeof *list);
    for (i = 0; i < s->n_inputs; i++) {
        const vecq_run_input *in = &inputs[i];
        vecq_dtype dtype =
            vecq_run_dtype(s->inputs[i].dtype != VECQ_DT_UNDEFINED ? s->inputs[i].dtype : in->dtype);

        plan->ranks[i] = in->rank;
        memcpy(plan->dims + i * VECQ_MAX_RANK, in->dims, in->rank * sizeof(int64_t));
        VECQ_TRY(vecq_program_input(&plan->program, s->inputs[i].name, dtype, in->rank, in->dims,
                                    &plan->inputs[i], err));
        list[i].name = s->inputs[i].name;
        list[i].var = plan->inputs[i];
    }
    status = vecq_lower_graph(&plan->program, &store, &s->doc->ir, &options, list, s->n_inputs,
                              s->output_names, s->n_outputs, plan->outputs, err);
    vecq_store_clear(&store);
    return status;
}

/* Memory for inputs and outputs whose type is not the one that programs compute with. Inputs get theirs
 * whatever the caller bound, so that a later bind of another type finds it. */
static vecq_status plan_conversions(const vecq_session *s, vecq_run_plan *plan, vecq_error *err)
{
    size_t i;

    for (i = 0; i < s->n_inputs; i++) {
        size_t n = vecq_dtype_bytes(VECQ_DT_FLOAT, plan->inputs[i]->count);

        if (plan->inputs[i]->dtype != VECQ_DT_FLOAT || s->inputs[i].dtype == VECQ_DT_FLOAT)
            continue;
        if ((plan->converted_in[i] = vecq_alloc(n, 1)) == NULL)
            return vecq_error_memory(err, n);
        plan->n_converted += n;
    }
    for (i = 0; i < s->n_outputs; i++) {
        const vecq_io_info *io = &s->outputs[i];
        size_t n = vecq_dtype_bytes(io->dtype, plan->outputs[i]->count);

        if (plan->outputs[i]->dtype != VECQ_DT_FLOAT || !vecq_dtype_is_weight(io->dtype) ||
            io->dtype == VECQ_DT_FLOAT)
            continue;
        if ((plan->converted_out[i] = vecq_alloc(n, 1)) == NULL)
            return vecq_error_memory(err, n);
        plan->n_converted += n;
    }
    return VECQ_OK;
}

static vecq_status plan_make(vecq_session *s, const vecq_run_input *inputs, vecq_run_plan *plan,
                             vecq_error *err)
{
    vecq_exec_options options = {.backends = s->backends,
                                 .n_backends = s->n_backends,
                                 .threads = s->options.threads,
                                 .bank = &s->bank,
                                 .prefer_memory = s->options.prefer == VECQ_PREFER_MEMORY};
    size_t i;

    VECQ_TRY(plan_arrays(s, plan, err));
    VECQ_TRY(plan_lower(s, inputs, plan, err));
    for (i = 0; i < s->n_outputs; i++)
        plan->outputs[i]->is_output = 1;
    VECQ_TRY(vecq_program_simplify(&plan->program, NULL, NULL, err));
    VECQ_TRY(vecq_program_round_activations(&plan->program, s->options.act_bits, &plan->rounded, err));
    VECQ_TRY(vecq_program_bank(&plan->program, &s->bank, err));
    VECQ_TRY(plan_conversions(s, plan, err));
    VECQ_TRY(vecq_exec_create(&plan->program, &options, &plan->exec, err));
    for (i = 0; i < plan->program.n_vars; i++)
        if (plan->program.vars[i]->kind == VECQ_VAR_CONSTANT &&
            !vecq_exec_reads(plan->exec, plan->program.vars[i]))
            vecq_var_drop(plan->program.vars[i]);
    return VECQ_OK;
}

static void plan_free(const vecq_session *s, vecq_run_plan *plan)
{
    size_t i;

    for (i = 0; plan->converted_in != NULL && i < s->n_inputs; i++)
        vecq_free(plan->converted_in[i]);
    for (i = 0; plan->converted_out != NULL && i < s->n_outputs; i++)
        vecq_free(plan->converted_out[i]);
    vecq_exec_destroy(plan->exec);
    vecq_program_clear(&plan->program);
    vecq_free(plan);
}

vecq_status vecq_run_plan_create(vecq_session *s, const vecq_run_input *inputs, vecq_run_plan **out,
                                 vecq_error *err)
{
    vecq_run_plan *plan = vecq_calloc(1, sizeof *plan);
    vecq_status status;

    *out = NULL;
    if (plan == NULL)
        return vecq_error_memory(err, sizeof *plan);
    vecq_lock_take(s->lock);
    status = plan_make(s, inputs, plan, err);
    if (status != VECQ_OK)
        plan_free(s, plan);
    else
        *out = plan;
    vecq_lock_give(s->lock);
    return status;
}

void vecq_run_plan_destroy(vecq_session *s, vecq_run_plan *plan)
{
    if (plan == NULL)
        return;
    vecq_lock_take(s->lock);
    plan_free(s, plan);
    vecq_lock_give(s->lock);
}
