/* SPDX-License-Identifier: Apache-2.0 */
/* The ref backend: one step an op, everything plain. */
#include "backend/ref/ref.h"

#include "backend/planner.h"
#include "base/status.h"

typedef vecq_status (*ref_fn)(const vecq_ref_call *call);

static const ref_fn ref_functions[VECQ_OP_COUNT] = {
#define VECQ_OP(symbol, title, stem, n_in_min, n_in_max, n_out, flags) [VECQ_OP_##symbol] = vecq_ref_##stem,
#include "graph/ops.def"
#undef VECQ_OP
};

vecq_status vecq_ref_call_run(const vecq_ref_call *call)
{
    VECQ_TRY(ref_functions[call->op->kind](call));
    return call->op->post != NULL ? vecq_ref_post(call) : VECQ_OK;
}

static vecq_status ref_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                           vecq_error *err)
{
    const vecq_op *op = state;
    vecq_ref_call call = {.op = op,
                          .in = reads,
                          .out = writes,
                          .scratch = writes[op->n_outputs + op->n_inputs],
                          .state = writes + op->n_outputs,
                          .run = run,
                          .err = err};

    return vecq_ref_call_run(&call);
}

static vecq_status ref_slots(vecq_planner *planner, const vecq_op *op, vecq_slot *reads, vecq_slot *writes,
                             vecq_error *err)
{
    size_t i, n_bytes;

    for (i = 0; i < op->n_inputs; i++) {
        const vecq_var *var = op->inputs[i];

        reads[i] = VECQ_NO_SLOT;
        writes[op->n_outputs + i] = VECQ_NO_SLOT;
        if (var == NULL)
            continue;
        VECQ_TRY(vecq_planner_input(planner, var, NULL, NULL, &reads[i], err));
        if ((op->info->flags & VECQ_OPF_EFFECT) != 0 &&
            (var->kind == VECQ_VAR_PARAMETER || var->kind == VECQ_VAR_STATE))
            VECQ_TRY(vecq_planner_update(planner, var, &writes[op->n_outputs + i], err));
    }
    for (i = 0; i < op->n_outputs; i++) {
        writes[i] = VECQ_NO_SLOT;
        if (op->outputs[i]->n_uses > 0 || op->outputs[i]->is_output)
            VECQ_TRY(vecq_planner_output(planner, op->outputs[i], NULL, NULL, 0, &writes[i], err));
    }
    n_bytes = vecq_ref_scratch_bytes(op);
    writes[op->n_outputs + op->n_inputs] = VECQ_NO_SLOT;
    if (n_bytes > 0)
        VECQ_TRY(vecq_planner_scratch(planner, n_bytes, &writes[op->n_outputs + op->n_inputs], err));
    return VECQ_OK;
}

static vecq_status ref_plan(void *engine, vecq_planner *planner, const vecq_op *op, int *taken,
                            vecq_error *err)
{
    vecq_slot *slots, slot;
    vecq_status status;
    size_t n_writes = op->n_outputs + op->n_inputs + 1; /* outputs, states, scratch */

    (void)engine;
    *taken = 1;
    if (op->kind == VECQ_OP_RESHAPE) {
        VECQ_TRY(vecq_planner_input(planner, op->inputs[0], NULL, NULL, &slot, err));
        return vecq_planner_alias(planner, op->outputs[0], NULL, NULL, slot, err);
    }
    slots = vecq_alloc(op->n_inputs + n_writes, sizeof *slots);
    if (slots == NULL)
        return vecq_error_memory(err, (op->n_inputs + n_writes) * sizeof *slots);
    status = ref_slots(planner, op, slots, slots + op->n_inputs, err);
    if (status == VECQ_OK)
        status = vecq_planner_step(planner, op, &vecq_backend_ref, "plain C", ref_run, (void *)(uintptr_t)op,
                                   NULL, slots, op->n_inputs, slots + op->n_inputs, n_writes, err);
    vecq_free(slots);
    return status;
}

const vecq_backend vecq_backend_ref = {.name = "ref", .plan = ref_plan};
