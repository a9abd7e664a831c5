/* SPDX-License-Identifier: Apache-2.0 */
/* Engine, layouts, and which function plans which op. */
#include "backend/lowbit/lowbit.h"

#include "backend/lowbit/lowbit_private.h"
#include "base/alloc.h"
#include "base/status.h"

static vecq_status engine_open(const vecq_exec_options *options, const vecq_program *program, void **engine,
                               vecq_error *err)
{
    vecq_lowbit *e = vecq_calloc(1, sizeof *e);

    *engine = e;
    if (e == NULL)
        return vecq_error_memory(err, sizeof *e);
    e->program = program;
    e->threads = options->threads;
    e->prefer_memory = options->prefer_memory;
    return VECQ_OK;
}

static void engine_close(void *engine)
{
    vecq_free(engine);
}

/* A packed weight, and what moves its elements: nothing is done until somebody wants values. */
static vecq_status plan_weight(vecq_lowbit *e, vecq_planner *planner, const vecq_op *op, int *taken,
                               vecq_error *err)
{
    const vecq_op *decode = vecq_lowbit_decode_of(op->outputs[0]);
    size_t i;

    if (decode == NULL || op->outputs[0]->count > UINT32_MAX)
        return VECQ_OK;
    for (i = 0; i < decode->n_inputs; i++)
        if (decode->inputs[i]->kind != VECQ_VAR_CONSTANT)
            return VECQ_OK;
    *taken = 1;
    if (e->prefer_memory)
        vecq_planner_each_run(planner, op);
    return vecq_planner_lazy(planner, op->outputs[0], &vecq_backend_lowbit, decode, err);
}

static vecq_status engine_plan(void *engine, vecq_planner *planner, const vecq_op *op, int *taken,
                               vecq_error *err)
{
    switch (op->kind) {
    case VECQ_OP_DECODE:
    case VECQ_OP_RESHAPE:
    case VECQ_OP_TRANSPOSE:
        return plan_weight(engine, planner, op, taken, err);
    default:
        return VECQ_OK;
    }
}

const vecq_backend vecq_backend_lowbit = {
    .name = "lowbit",
    .open = engine_open,
    .close = engine_close,
    .plan = engine_plan,
    .deliver = vecq_lowbit_deliver,
};
