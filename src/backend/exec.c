/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/exec.h"

#include <math.h>
#include <string.h>

#include "backend/lowbit/lowbit.h"
#include "backend/planner_private.h"
#include "backend/ref/ref.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/threads.h"
#include "graph/work.h"
#ifdef VECQ_HAVE_ONEDNN
#include "backend/onednn/onednn.h"
#endif

struct vecq_exec {
    vecq_planner planner;
    unsigned char *memory;
    const void **bound; /* by var->index */
    int is_stale;       /* the prologue must run */
    int is_timing;
};

static const vecq_backend *const backends[] = {&vecq_backend_lowbit,
#ifdef VECQ_HAVE_ONEDNN
                                               &vecq_backend_onednn,
#endif
                                               &vecq_backend_ref};

#define N_BACKENDS (sizeof backends / sizeof *backends)

size_t vecq_backend_count(void)
{
    return N_BACKENDS - 1;
}

const vecq_backend *vecq_backend_at(size_t i)
{
    return i + 1 < N_BACKENDS ? backends[i] : NULL;
}

const vecq_backend *vecq_backend_find(const char *name)
{
    size_t i;

    for (i = 0; i < N_BACKENDS; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

const char *vecq_backend_name(const vecq_backend *backend)
{
    return backend->name;
}

static vecq_status run_step(vecq_exec *exec, vecq_plan_step *step, const vecq_run *run, vecq_error *err);

/* ---- planning ---- */

static void find_prologue(vecq_planner *p)
{
    size_t i, k;

    for (i = 0; i < p->program->n_ops; i++) {
        const vecq_op *op = p->program->ops[i];

        p->prologue[i] = (op->info->flags & (VECQ_OPF_EFFECT | VECQ_OPF_RANDOM)) == 0;
        for (k = 0; k < op->n_inputs; k++)
            if (op->inputs[k] != NULL && !vecq_planner_is_prologue(p, op->inputs[k]))
                p->prologue[i] = 0;
    }
}

/* An output of the program must lie in plain layout until the end of the run. */
static vecq_status keep_outputs(vecq_planner *p, const vecq_op *op, vecq_error *err)
{
    vecq_slot slot;
    size_t i;

    for (i = 0; i < op->n_outputs; i++)
        if (op->outputs[i]->is_output) {
            VECQ_TRY(vecq_planner_input(p, op->outputs[i], NULL, NULL, &slot, err));
            p->slots[slot].is_read = 1;
            if (p->slots[slot].keep != VECQ_KEEP_ALWAYS) /* a result of the prologue stays */
                p->slots[slot].keep = VECQ_KEEP_TO_END;
        }
    return VECQ_OK;
}

/* What is made in each run (vecq_planner_each_run) makes its readers so. */
static void follow_inputs(vecq_planner *p, const vecq_op *op)
{
    size_t k;

    for (k = 0; k < op->n_inputs; k++)
        if (op->inputs[k] != NULL && !vecq_planner_is_prologue(p, op->inputs[k]))
            p->prologue[op->index] = 0;
}

static vecq_status plan_op(vecq_planner *p, const vecq_op *op, vecq_error *err)
{
    size_t i;
    int taken = 0;

    follow_inputs(p, op);
    p->first_step = p->n_steps;
    p->reason = NULL;
    for (i = 0; i < p->n_engines && !taken; i++) {
        vecq_status status = p->engines[i].backend->plan(p->engines[i].engine, p, op, &taken, err);

        if (status != VECQ_OK) {
            vecq_error_prefix(err, "%s '%s' (%s)", op->info->name, op->name, p->engines[i].backend->name);
            return status;
        }
    }
    if (!taken)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "%s '%s': no backend takes it", op->info->name,
                              op->name);
    if (p->reason != NULL && p->n_steps > p->first_step && *p->steps[p->n_steps - 1].reason == '\0')
        p->steps[p->n_steps - 1].reason = p->reason;
    return keep_outputs(p, op, err);
}

static vecq_status open_engines(vecq_planner *p, const vecq_exec_options *options, vecq_error *err)
{
    vecq_exec_options resolved = *options;
    size_t i;

    resolved.threads = vecq_threads_resolve(options->threads);
    p->engines = vecq_arena_alloc(&p->arena, options->n_backends + 1, sizeof *p->engines);
    if (p->engines == NULL)
        return vecq_error_memory(err, 0);
    for (i = 0; i <= options->n_backends; i++) {
        const vecq_backend *backend = i < options->n_backends ? options->backends[i] : &vecq_backend_ref;
        void *engine = NULL;

        if (backend == &vecq_backend_ref && i < options->n_backends)
            continue;
        if (backend->open != NULL)
            VECQ_TRY(backend->open(&resolved, p->program, &engine, err));
        p->engines[p->n_engines].backend = backend;
        p->engines[p->n_engines++].engine = engine;
    }
    return VECQ_OK;
}

typedef struct sealing {
    vecq_exec *exec;
    vecq_run run;
} sealing;

static vecq_status seal_step(void *context, vecq_plan_step *step, vecq_error *err)
{
    sealing *s = context;

    return run_step(s->exec, step, &s->run, err);
}

static vecq_status seal(vecq_exec *exec, unsigned threads, vecq_error *err)
{
    sealing s = {.exec = exec, .run = {.threads = threads}};

    VECQ_TRY(vecq_prologue_run(&exec->planner, seal_step, &s, err));
    exec->is_stale = 0;
    return VECQ_OK;
}

static vecq_status plan(vecq_exec *exec, const vecq_program *program, const vecq_exec_options *options,
                        vecq_error *err)
{
    vecq_planner *p = &exec->planner;
    size_t i;

    p->program = program;
    p->is_training = options->is_training;
    p->bank = options->bank;
    p->prologue = vecq_arena_alloc(&p->arena, program->n_ops, 1);
    p->vars = vecq_arena_alloc(&p->arena, program->n_vars, sizeof *p->vars);
    exec->bound = vecq_arena_alloc(&p->arena, program->n_vars, sizeof *exec->bound);
    if (p->prologue == NULL || p->vars == NULL || exec->bound == NULL)
        return vecq_error_memory(err, program->n_vars * sizeof *p->vars);
    find_prologue(p);
    VECQ_TRY(open_engines(p, options, err));
    for (i = 0; i < program->n_ops; i++)
        VECQ_TRY(plan_op(p, program->ops[i], err));
    VECQ_TRY(vecq_planner_place(p, err));
    exec->memory = vecq_calloc(p->n_bytes, 1);
    if (exec->memory == NULL)
        return vecq_error_memory(err, p->n_bytes);
    exec->is_stale = 1;
    if (p->bank != NULL)
        return seal(exec, options->threads, err);
    return VECQ_OK;
}

vecq_status vecq_exec_create(const vecq_program *program, const vecq_exec_options *options, vecq_exec **out,
                             vecq_error *err)
{
    vecq_exec *exec = vecq_calloc(1, sizeof *exec);
    vecq_status status;

    *out = NULL;
    if (exec == NULL)
        return vecq_error_memory(err, sizeof *exec);
    status = plan(exec, program, options, err);
    if (status != VECQ_OK) {
        vecq_exec_destroy(exec);
        return status;
    }
    *out = exec;
    return VECQ_OK;
}

void vecq_exec_destroy(vecq_exec *exec)
{
    vecq_planner *p;
    size_t i;

    if (exec == NULL)
        return;
    p = &exec->planner;
    for (i = 0; i < p->n_steps; i++)
        if (p->steps[i].destroy != NULL)
            p->steps[i].destroy(p->steps[i].state);
    vecq_prologue_clear(p);
    for (i = 0; i < p->n_kept; i++)
        p->kept[i].owner->layout_free(p->kept[i].layout);
    for (i = 0; i < p->n_engines; i++)
        if (p->engines[i].backend->close != NULL)
            p->engines[i].backend->close(p->engines[i].engine);
    vecq_free(p->slots);
    vecq_free(p->copies);
    vecq_free(p->kept);
    vecq_free(p->steps);
    vecq_free(exec->memory);
    vecq_arena_clear(&p->arena);
    vecq_free(exec);
}

/* ---- running ---- */

void vecq_exec_bind(vecq_exec *exec, const vecq_var *input, const void *data)
{
    exec->bound[input->index] = data;
}

void vecq_exec_invalidate(vecq_exec *exec)
{
    exec->is_stale = exec->planner.bank == NULL;
}

static void *external_memory(const vecq_exec *exec, const vecq_var *var)
{
    if (var->kind == VECQ_VAR_CONSTANT)
        return var->constant.data;
    if (var->stored != NULL)
        return var->stored->tensor.data;
    return (void *)(uintptr_t)exec->bound[var->index]; /* read only, as steps know */
}

static void *slot_memory(const vecq_exec *exec, vecq_slot slot)
{
    const vecq_plan_slot *s;

    if (slot == VECQ_NO_SLOT)
        return NULL;
    s = &exec->planner.slots[exec->planner.slots[slot].root];
    if (s->is_apart)
        return s->own != NULL ? s->own : s->shared != NULL ? (void *)(uintptr_t)s->shared->data : NULL;
    return s->external != NULL ? external_memory(exec, s->external) : exec->memory + s->offset;
}

static vecq_status check_inputs(const vecq_exec *exec, vecq_error *err)
{
    size_t i;

    for (i = 0; i < exec->planner.program->n_vars; i++) {
        const vecq_var *var = exec->planner.program->vars[i];

        if (var->kind == VECQ_VAR_INPUT && var->n_uses > 0 && exec->bound[i] == NULL)
            return vecq_error_set(err, VECQ_ERR_USAGE, "input '%s' is not bound", var->name);
    }
    return VECQ_OK;
}

static vecq_status check_finite(const vecq_exec *exec, const vecq_plan_step *step, vecq_error *err)
{
    const vecq_var *var = step->op != NULL ? step->op->outputs[0] : NULL;
    const void *data;
    size_t i;

    if (var == NULL || !vecq_var_is_float(var) || (var->n_uses == 0 && !var->is_output) ||
        !exec->planner.vars[var->index].is_made) /* part of a fused step */
        return VECQ_OK;
    data = slot_memory(exec, exec->planner.vars[var->index].slot);
    for (i = 0; i < var->count; i++) {
        double x =
            var->dtype == VECQ_DT_DOUBLE ? ((const double *)data)[i] : (double)((const float *)data)[i];
        if (!isfinite(x))
            return vecq_error_set(err, VECQ_ERR_VALUE, "the result of %s '%s' holds %s", step->op->info->name,
                                  step->op->name, isnan(x) ? "NaN" : "infinity");
    }
    return VECQ_OK;
}

static vecq_status run_step(vecq_exec *exec, vecq_plan_step *step, const vecq_run *run, vecq_error *err)
{
    double start = exec->is_timing ? vecq_clock_seconds() : 0;
    vecq_status status;
    size_t k;

    for (k = 0; k < step->n_reads; k++)
        step->read_at[k] = slot_memory(exec, step->reads[k]);
    for (k = 0; k < step->n_writes; k++)
        step->write_at[k] = slot_memory(exec, step->writes[k]);
    status = step->run(step->state, step->read_at, step->write_at, run, err);
    if (exec->is_timing)
        step->seconds += vecq_clock_seconds() - start;
    if (status == VECQ_OK && run->check)
        status = check_finite(exec, step, err);
    if (status != VECQ_OK && step->op != NULL && !run->check)
        vecq_error_prefix(err, "%s '%s'", step->op->info->name, step->op->name);
    return status;
}

vecq_status vecq_exec_run(vecq_exec *exec, const vecq_run *run, vecq_error *err)
{
    vecq_planner *p = &exec->planner;
    size_t i;

    VECQ_TRY(check_inputs(exec, err));
    for (i = 0; i < p->n_steps; i++)
        if (p->is_training || exec->is_stale || !p->steps[i].is_prologue) {
            if (run->cancel != NULL && __atomic_load_n(run->cancel, __ATOMIC_RELAXED) != 0)
                return vecq_error_set(err, VECQ_ERR_CANCELLED, "interrupted");
            VECQ_TRY(run_step(exec, &p->steps[i], run, err));
        }
    exec->is_stale = 0;
    return VECQ_OK;
}

const void *vecq_exec_data(const vecq_exec *exec, const vecq_var *var)
{
    const vecq_planner *p = &exec->planner;
    size_t i;

    if (var->kind != VECQ_VAR_RESULT)
        return external_memory(exec, var);
    if (!p->vars[var->index].is_made)
        return NULL;
    if (p->vars[var->index].layout == NULL)
        return slot_memory(exec, p->vars[var->index].slot);
    for (i = 0; i < p->n_copies; i++)
        if (p->copies[i].var == var && p->copies[i].layout == NULL)
            return slot_memory(exec, p->copies[i].slot);
    return NULL;
}

/* ---- looking ---- */

size_t vecq_exec_steps(const vecq_exec *exec)
{
    return exec->planner.n_steps;
}

static int slot_is_weight(const vecq_plan_slot *slot)
{
    return slot->keep == VECQ_KEEP_ALWAYS ||
           (slot->external != NULL && slot->external->kind != VECQ_VAR_INPUT);
}

/* Scratch is neither weight nor result: nobody but the step itself looks at it. */
static void step_bytes(const vecq_planner *p, const vecq_plan_step *step, vecq_exec_step_info *info)
{
    size_t i;

    for (i = 0; i < step->n_reads; i++) {
        const vecq_plan_slot *slot = step->reads[i] != VECQ_NO_SLOT ? &p->slots[step->reads[i]] : NULL;

        if (slot != NULL && slot_is_weight(slot))
            info->bytes_weights += slot->n_bytes;
        else if (slot != NULL)
            info->bytes_read += slot->n_bytes;
    }
    for (i = 0; i < step->n_writes; i++) {
        const vecq_plan_slot *slot = step->writes[i] != VECQ_NO_SLOT ? &p->slots[step->writes[i]] : NULL;

        if (slot != NULL && (slot->last > slot->first || slot->keep != VECQ_KEEP_NOT))
            info->bytes_written += slot->n_bytes;
    }
}

int vecq_exec_reads(const vecq_exec *exec, const vecq_var *constant)
{
    const vecq_planner *p = &exec->planner;

    return constant->is_output ||
           (p->vars[constant->index].is_made && p->slots[p->vars[constant->index].slot].is_read);
}

vecq_exec_step_info vecq_exec_step(const vecq_exec *exec, size_t i)
{
    const vecq_plan_step *step = &exec->planner.steps[i];
    vecq_exec_step_info info = {.name = step->name,
                                .op = step->kind,
                                .backend = step->backend->name,
                                .detail = step->detail,
                                .reason = step->reason,
                                .seconds = step->seconds,
                                .is_integer = step->is_integer,
                                .is_prologue = step->is_prologue};

    step_bytes(&exec->planner, step, &info);
    if (step->op != NULL)
        info.macs = vecq_op_macs(step->op);
    return info;
}

void vecq_exec_set_timing(vecq_exec *exec, int on)
{
    size_t i;

    exec->is_timing = on;
    for (i = 0; i < exec->planner.n_steps; i++)
        exec->planner.steps[i].seconds = 0;
}

size_t vecq_exec_bytes(const vecq_exec *exec)
{
    return exec->planner.n_bytes;
}
