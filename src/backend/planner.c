/* SPDX-License-Identifier: Apache-2.0 */
/* Slots and steps of a plan, conversions between layouts, and the layout of memory. */
#include "backend/planner.h"

#include <stdlib.h>
#include <string.h>

#include "backend/planner_private.h"
#include "base/status.h"

#define NEVER SIZE_MAX

/* ---- slots ---- */

static vecq_status slot_add(vecq_planner *p, size_t n_bytes, const vecq_var *external, vecq_slot *out,
                            vecq_error *err)
{
    vecq_plan_slot *slot;

    if (!vecq_grow((void **)&p->slots, &p->slots_capacity, p->n_slots, sizeof *p->slots))
        return vecq_error_memory(err, sizeof *p->slots);
    slot = &p->slots[p->n_slots];
    memset(slot, 0, sizeof *slot);
    slot->n_bytes = n_bytes;
    slot->external = external;
    slot->first = NEVER;
    slot->root = p->n_slots;
    slot->over = VECQ_NO_SLOT;
    *out = p->n_slots++;
    return VECQ_OK;
}

int vecq_planner_is_training(const vecq_planner *p)
{
    return p->is_training;
}

int vecq_planner_is_prologue(const vecq_planner *p, const vecq_var *var)
{
    return var->kind == VECQ_VAR_CONSTANT || var->kind == VECQ_VAR_PARAMETER || var->kind == VECQ_VAR_STATE ||
           (var->kind == VECQ_VAR_RESULT && p->prologue[var->producer->index]);
}

static vecq_status var_slot(vecq_planner *p, const vecq_var *var, vecq_plan_var **out, vecq_error *err)
{
    vecq_plan_var *pv = &p->vars[var->index];

    if (!pv->is_made) {
        if (var->kind == VECQ_VAR_RESULT)
            return vecq_error_set(err, VECQ_ERR_USAGE, "'%s' is read before it is made", var->name);
        VECQ_TRY(slot_add(p, vecq_dtype_bytes(var->dtype, var->count), var, &pv->slot, err));
        pv->is_made = 1;
    }
    *out = pv;
    return VECQ_OK;
}

const vecq_backend *vecq_planner_produced(const vecq_planner *p, const vecq_var *var, const void **layout)
{
    const vecq_plan_var *pv = &p->vars[var->index];

    *layout = pv->layout;
    return pv->owner;
}

static int layout_matches(const vecq_backend *owner, const void *layout, const vecq_backend *wanted_owner,
                          const void *wanted)
{
    if (owner != wanted_owner)
        return 0;
    return owner == NULL || owner->layout_same(layout, wanted);
}

static void *engine_of(const vecq_planner *p, const vecq_backend *backend)
{
    size_t i;

    for (i = 0; i < p->n_engines; i++)
        if (p->engines[i].backend == backend)
            return p->engines[i].engine;
    return NULL;
}

static size_t copy_bytes(const vecq_var *var, const vecq_backend *owner, const void *layout)
{
    return layout != NULL ? owner->layout_bytes(layout) : vecq_dtype_bytes(var->dtype, var->count);
}

/* A copy of the variable in another layout, converted by one backend; a lazy one is made in it. */
static vecq_status copy_make(vecq_planner *p, const vecq_var *var, vecq_slot from, const void *from_layout,
                             const vecq_backend *by, const vecq_backend *owner, const void *layout,
                             vecq_slot *out, vecq_error *err)
{
    vecq_plan_copy *copy;

    VECQ_TRY(slot_add(p, copy_bytes(var, owner, layout), NULL, out, err));
    p->converting = var;
    p->is_delivery = from == VECQ_NO_SLOT;
    if (p->is_delivery)
        VECQ_TRY(by->deliver(engine_of(p, by), p, var, from_layout, owner, layout, *out, err));
    else
        VECQ_TRY(by->convert(engine_of(p, by), p, var, from, from_layout, *out, layout, err));
    p->converting = NULL;
    if (!vecq_grow((void **)&p->copies, &p->copies_capacity, p->n_copies, sizeof *p->copies))
        return vecq_error_memory(err, sizeof *p->copies);
    copy = &p->copies[p->n_copies++];
    copy->var = var;
    copy->owner = owner;
    copy->layout = layout;
    copy->slot = *out;
    return VECQ_OK;
}

static const vecq_plan_copy *copy_find(const vecq_planner *p, const vecq_var *var, const vecq_backend *owner,
                                       const void *layout)
{
    size_t i;

    for (i = 0; i < p->n_copies; i++)
        if (p->copies[i].var == var && layout_matches(p->copies[i].owner, p->copies[i].layout, owner, layout))
            return &p->copies[i];
    return NULL;
}

vecq_status vecq_planner_input(vecq_planner *p, const vecq_var *var, const vecq_backend *owner,
                               const void *layout, vecq_slot *out, vecq_error *err)
{
    const vecq_layout_sum *sum = NULL;
    const vecq_plan_copy *copy;
    vecq_plan_var *pv = NULL;
    vecq_slot from;

    if (layout == NULL)
        owner = NULL;
    VECQ_TRY(var_slot(p, var, &pv, err));
    if (layout_matches(pv->owner, pv->layout, owner, layout)) {
        *out = pv->slot;
        return VECQ_OK;
    }
    if ((copy = copy_find(p, var, owner, layout)) != NULL) {
        *out = copy->slot;
        return VECQ_OK;
    }
    if (pv->slot == VECQ_NO_SLOT && !vecq_planner_is_prologue(p, var))
        VECQ_TRY(vecq_planner_layout_sum(p, var, owner, layout, &sum, err));
    if (owner == NULL || (pv->slot == VECQ_NO_SLOT && (owner->layout_is_order(layout) || sum != NULL)))
        return copy_make(p, var, pv->slot, pv->layout, pv->owner, owner, layout, out, err);
    if ((pv->owner == owner && pv->slot != VECQ_NO_SLOT) || pv->owner == NULL)
        return copy_make(p, var, pv->slot, pv->layout, owner, owner, layout, out, err);
    VECQ_TRY(vecq_planner_input(p, var, NULL, NULL, &from, err)); /* from one backend to another */
    return copy_make(p, var, from, NULL, owner, owner, layout, out, err);
}

vecq_status vecq_planner_output_over(vecq_planner *p, const vecq_var *var, const vecq_backend *owner,
                                     const void *layout, size_t n_bytes, vecq_slot over, vecq_slot *out,
                                     vecq_error *err)
{
    vecq_plan_var *pv = &p->vars[var->index];

    if (pv->is_made)
        return vecq_error_set(err, VECQ_ERR_USAGE, "'%s' is made twice", var->name);
    VECQ_TRY(slot_add(p, n_bytes > 0 ? n_bytes : vecq_dtype_bytes(var->dtype, var->count), NULL, out, err));
    p->slots[*out].over = over;
    pv->is_made = 1;
    pv->slot = *out;
    pv->owner = layout != NULL ? owner : NULL;
    pv->layout = layout;
    return VECQ_OK;
}

vecq_status vecq_planner_output(vecq_planner *p, const vecq_var *var, const vecq_backend *owner,
                                const void *layout, size_t n_bytes, vecq_slot *out, vecq_error *err)
{
    return vecq_planner_output_over(p, var, owner, layout, n_bytes, VECQ_NO_SLOT, out, err);
}

vecq_status vecq_planner_alias(vecq_planner *p, const vecq_var *var, const vecq_backend *owner,
                               const void *layout, vecq_slot slot, vecq_error *err)
{
    vecq_plan_var *pv = &p->vars[var->index];

    if (pv->is_made)
        return vecq_error_set(err, VECQ_ERR_USAGE, "'%s' is made twice", var->name);
    pv->is_made = 1;
    pv->slot = slot;
    pv->owner = layout != NULL ? owner : NULL;
    pv->layout = layout;
    return VECQ_OK;
}

vecq_status vecq_planner_lazy(vecq_planner *p, const vecq_var *var, const vecq_backend *owner,
                              const void *layout, vecq_error *err)
{
    VECQ_TRY(vecq_planner_alias(p, var, NULL, NULL, VECQ_NO_SLOT, err));
    p->vars[var->index].owner = owner;
    p->vars[var->index].layout = layout;
    return VECQ_OK;
}

void vecq_planner_each_run(vecq_planner *p, const vecq_op *op)
{
    p->prologue[op->index] = 0;
}

vecq_status vecq_planner_layout_map(vecq_planner *p, const vecq_var *var, const vecq_backend *owner,
                                    const void *layout, uint32_t *map, vecq_error *err)
{
    size_t i;

    if (layout == NULL) {
        for (i = 0; i < var->count; i++)
            map[i] = (uint32_t)i + 1;
        return VECQ_OK;
    }
    return owner->layout_map(engine_of(p, owner), var, layout, map, err);
}

vecq_status vecq_planner_layout_sum(vecq_planner *p, const vecq_var *var, const vecq_backend *owner,
                                    const void *layout, const vecq_layout_sum **sum, vecq_error *err)
{
    *sum = NULL;
    if (layout == NULL || owner->layout_sum == NULL || owner->layout_is_order(layout))
        return VECQ_OK;
    return owner->layout_sum(engine_of(p, owner), var, layout, sum, err);
}

vecq_status vecq_planner_scratch(vecq_planner *p, size_t n_bytes, vecq_slot *out, vecq_error *err)
{
    return slot_add(p, n_bytes, NULL, out, err);
}

vecq_status vecq_planner_update(vecq_planner *p, const vecq_var *var, vecq_slot *out, vecq_error *err)
{
    vecq_plan_var *pv = NULL;

    VECQ_TRY(var_slot(p, var, &pv, err));
    *out = pv->slot;
    return VECQ_OK;
}

vecq_status vecq_planner_keep(vecq_planner *p, const vecq_backend *owner, void *layout, vecq_error *err)
{
    vecq_plan_kept *kept;

    if (!vecq_grow((void **)&p->kept, &p->kept_capacity, p->n_kept, sizeof *p->kept)) {
        owner->layout_free(layout);
        return vecq_error_memory(err, sizeof *p->kept);
    }
    kept = &p->kept[p->n_kept++];
    kept->owner = owner;
    kept->layout = layout;
    return VECQ_OK;
}

/* ---- steps ---- */

static void slot_touch(vecq_planner *p, vecq_slot slot, size_t step)
{
    if (slot == VECQ_NO_SLOT)
        return;
    if (p->slots[slot].first == NEVER)
        p->slots[slot].first = step;
    p->slots[slot].last = step;
}

static vecq_status step_fill(vecq_planner *p, vecq_plan_step *step, const char *detail,
                             const vecq_slot *reads, const vecq_slot *writes, vecq_error *err)
{
    const char *name = p->converting != NULL ? p->converting->name : step->op->name;

    step->name = name;
    step->reason = "";
    step->kind = step->op != NULL ? step->op->info->name : p->is_delivery ? "Decode" : "Reorder";
    step->detail = vecq_arena_string(&p->arena, detail != NULL ? detail : "", strlen(detail ? detail : ""));
    step->reads = vecq_arena_alloc(&p->arena, step->n_reads, sizeof *step->reads);
    step->writes = vecq_arena_alloc(&p->arena, step->n_writes, sizeof *step->writes);
    step->read_at = vecq_arena_alloc(&p->arena, step->n_reads, sizeof *step->read_at);
    step->write_at = vecq_arena_alloc(&p->arena, step->n_writes, sizeof *step->write_at);
    if (step->detail == NULL || step->reads == NULL || step->writes == NULL || step->read_at == NULL ||
        step->write_at == NULL)
        return vecq_error_memory(err, (step->n_reads + step->n_writes) * sizeof(void *));
    if (step->n_reads > 0)
        memcpy(step->reads, reads, step->n_reads * sizeof *reads);
    if (step->n_writes > 0)
        memcpy(step->writes, writes, step->n_writes * sizeof *writes);
    return VECQ_OK;
}

void vecq_planner_once(vecq_planner *p, int is_on)
{
    p->is_once = is_on;
}

static int reads_known(const vecq_planner *p, const vecq_slot *reads, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (reads[i] != VECQ_NO_SLOT && !p->slots[reads[i]].is_known &&
            (p->slots[reads[i]].external == NULL ||
             !vecq_planner_is_prologue(p, p->slots[reads[i]].external)))
            return 0;
    return n > 0;
}

vecq_status vecq_planner_step(vecq_planner *p, const vecq_op *op, const vecq_backend *backend,
                              const char *detail, vecq_step_fn run, void *state, void (*destroy)(void *),
                              const vecq_slot *reads, size_t n_reads, const vecq_slot *writes,
                              size_t n_writes, vecq_error *err)
{
    vecq_plan_step step = {.op = p->converting != NULL ? NULL : op,
                           .backend = backend,
                           .run = run,
                           .state = state,
                           .destroy = destroy,
                           .n_reads = n_reads,
                           .n_writes = n_writes};
    size_t i;

    step.is_prologue = p->converting != NULL ? vecq_planner_is_prologue(p, p->converting)
                                             : (op != NULL && p->prologue[op->index]);
    step.is_prologue |= p->is_once && !p->is_training && reads_known(p, reads, n_reads);
    if (!vecq_grow((void **)&p->steps, &p->steps_capacity, p->n_steps, sizeof *p->steps) ||
        (step.op == NULL && p->converting == NULL)) {
        if (destroy != NULL)
            destroy(state);
        return vecq_error_memory(err, sizeof *p->steps);
    }
    p->steps[p->n_steps++] = step; /* from here on the plan owns the state */
    VECQ_TRY(step_fill(p, &p->steps[p->n_steps - 1], detail, reads, writes, err));
    for (i = 0; i < n_reads; i++)
        slot_touch(p, reads[i], p->n_steps - 1);
    for (i = 0; i < n_writes; i++) {
        slot_touch(p, writes[i], p->n_steps - 1);
        if (step.is_prologue && !p->is_training && writes[i] != VECQ_NO_SLOT) {
            p->slots[writes[i]].keep = VECQ_KEEP_ALWAYS;
            p->slots[writes[i]].is_known = 1;
        }
    }
    return VECQ_OK;
}

vecq_status vecq_planner_reason(vecq_planner *p, const char *text, vecq_error *err)
{
    char *copy = vecq_arena_string(&p->arena, text, strlen(text));

    if (copy == NULL)
        return vecq_error_memory(err, strlen(text) + 1);
    if (p->n_steps > p->first_step)
        p->steps[p->n_steps - 1].reason = copy;
    else
        p->reason = copy;
    return VECQ_OK;
}

void vecq_planner_integer(vecq_planner *p)
{
    if (p->n_steps > 0)
        p->steps[p->n_steps - 1].is_integer = 1;
}

/* ---- memory ---- */

/* Results that may take over the memory of an operand do so when they are its last readers. */
static void merge_overlays(vecq_planner *p)
{
    size_t i;

    for (i = 0; i < p->n_slots; i++) {
        vecq_plan_slot *slot = &p->slots[i], *root;

        if (slot->over == VECQ_NO_SLOT || slot->keep != VECQ_KEEP_NOT || slot->first == NEVER)
            continue;
        root = &p->slots[p->slots[slot->over].root];
        if (root->external != NULL || root->keep != VECQ_KEEP_NOT || root->n_bytes < slot->n_bytes ||
            root->last != slot->first)
            continue;
        slot->root = (size_t)(root - p->slots);
        root->last = slot->last;
    }
}

static int by_size(const void *a, const void *b)
{
    const vecq_plan_slot *x = *(vecq_plan_slot *const *)a, *y = *(vecq_plan_slot *const *)b;

    if (x->n_bytes != y->n_bytes)
        return x->n_bytes < y->n_bytes ? 1 : -1;
    return x < y ? -1 : x > y;
}

/* Largest first, each at the lowest place that is free during its life. placed[] is kept sorted by offset. */
static vecq_status place_slots(vecq_plan_slot **order, size_t n, vecq_plan_slot **placed, size_t *n_bytes,
                               vecq_error *err)
{
    size_t i, k, top = 0;

    for (i = 0; i < n; i++) {
        vecq_plan_slot *slot = order[i];
        size_t size = (slot->n_bytes + VECQ_ALIGNMENT - 1) / VECQ_ALIGNMENT * VECQ_ALIGNMENT, at = 0;

        if (size < VECQ_ALIGNMENT)
            size = VECQ_ALIGNMENT;
        for (k = 0; k < i; k++) {
            const vecq_plan_slot *other = placed[k];

            if (other->last < slot->first || slot->last < other->first)
                continue;
            if (other->offset >= at + size)
                break;
            if (other->offset + other->reserved > at)
                at = other->offset + other->reserved;
        }
        slot->offset = at;
        slot->reserved = size;
        if (!vecq_add_size(at, size, &size))
            return vecq_error_memory(err, SIZE_MAX);
        if (size > top)
            top = size;
        for (k = i; k > 0 && placed[k - 1]->offset > slot->offset; k--)
            placed[k] = placed[k - 1];
        placed[k] = slot;
    }
    *n_bytes = top;
    return VECQ_OK;
}

vecq_status vecq_planner_place(vecq_planner *p, vecq_error *err)
{
    vecq_plan_slot **order = vecq_alloc(2 * p->n_slots, sizeof *order);
    vecq_status status;
    size_t i, n = 0;

    if (order == NULL)
        return vecq_error_memory(err, 2 * p->n_slots * sizeof *order);
    if (p->bank != NULL)
        vecq_prologue_mark(p);
    for (i = 0; i < p->n_slots; i++)
        if (p->slots[i].keep != VECQ_KEEP_NOT && p->slots[i].first != NEVER) {
            p->slots[i].first = p->slots[i].keep == VECQ_KEEP_ALWAYS ? 0 : p->slots[i].first;
            p->slots[i].last = SIZE_MAX;
        }
    merge_overlays(p);
    for (i = 0; i < p->n_slots; i++)
        if (p->slots[i].external == NULL && p->slots[i].root == i && p->slots[i].first != NEVER &&
            !p->slots[i].is_apart)
            order[n++] = &p->slots[i];
    qsort((void *)order, n, sizeof *order, by_size);
    status = place_slots(order, n, order + p->n_slots, &p->n_bytes, err);
    vecq_free((void *)order);
    return status;
}
