/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prologue of a plan for inference: it runs once, so memory for its results is taken when a step needs it
 * and given back after the last step that reads it. What runs read goes to the bank, where the plans of other
 * shapes and threads, which come to the same bytes, find it.
 */
#include <string.h>

#include "backend/planner_private.h"
#include "base/status.h"

static vecq_plan_slot *slot_root(vecq_planner *p, vecq_slot slot)
{
    return slot == VECQ_NO_SLOT ? NULL : &p->slots[p->slots[slot].root];
}

/* What runs write to belongs to this plan alone. */
void vecq_prologue_mark(vecq_planner *p)
{
    size_t i, k;

    for (i = 0; i < p->n_slots; i++)
        p->slots[i].is_apart = p->slots[i].keep == VECQ_KEEP_ALWAYS && p->slots[i].external == NULL;
    for (i = 0; i < p->n_steps; i++) {
        for (k = 0; k < p->steps[i].n_reads && !p->steps[i].is_prologue; k++)
            if (p->steps[i].reads[k] != VECQ_NO_SLOT)
                p->slots[p->steps[i].reads[k]].is_read = 1;
        for (k = 0; k < p->steps[i].n_writes && !p->steps[i].is_prologue; k++)
            if (p->steps[i].writes[k] != VECQ_NO_SLOT)
                p->slots[p->steps[i].writes[k]].is_apart = 0;
    }
}

static vecq_status slots_make(vecq_planner *p, const vecq_plan_step *step, vecq_error *err)
{
    size_t k;

    for (k = 0; k < step->n_writes; k++) {
        vecq_plan_slot *slot = slot_root(p, step->writes[k]);

        if (slot == NULL || !slot->is_apart || slot->own != NULL)
            continue;
        slot->own = vecq_calloc(slot->n_bytes, 1); /* zeroed: padding must not keep equal results apart */
        if (slot->own == NULL)
            return vecq_error_memory(err, slot->n_bytes);
    }
    return VECQ_OK;
}

static void slot_done(vecq_plan_slot *slot, const size_t *last, size_t index, size_t step)
{
    if (slot->is_apart && !slot->is_read && last[index] == step) {
        vecq_free(slot->own);
        slot->own = NULL;
    }
}

static void slots_give_up(vecq_planner *p, const size_t *last, size_t step)
{
    size_t k;

    for (k = 0; k < p->steps[step].n_reads; k++)
        if (p->steps[step].reads[k] != VECQ_NO_SLOT)
            slot_done(&p->slots[p->steps[step].reads[k]], last, p->steps[step].reads[k], step);
    for (k = 0; k < p->steps[step].n_writes; k++)
        if (p->steps[step].writes[k] != VECQ_NO_SLOT)
            slot_done(&p->slots[p->steps[step].writes[k]], last, p->steps[step].writes[k], step);
}

static vecq_status slots_share(vecq_planner *p, vecq_error *err)
{
    size_t i;

    for (i = 0; i < p->n_slots; i++) {
        vecq_plan_slot *slot = &p->slots[i];
        void *own = slot->own;

        if (own == NULL)
            continue;
        slot->own = NULL;
        VECQ_TRY(vecq_bank_intern(p->bank, own, slot->n_bytes, &slot->shared, err));
    }
    return VECQ_OK;
}

vecq_status vecq_prologue_run(vecq_planner *p, vecq_prologue_fn run, void *context, vecq_error *err)
{
    size_t *last = vecq_calloc(p->n_slots, sizeof *last), i,
           k; /* step of the prologue that uses a slot last */
    vecq_status status = last == NULL ? vecq_error_memory(err, p->n_slots * sizeof *last) : VECQ_OK;

    for (i = 0; i < p->n_steps && status == VECQ_OK; i++) {
        for (k = 0; k < p->steps[i].n_reads; k++)
            if (p->steps[i].reads[k] != VECQ_NO_SLOT)
                last[p->steps[i].reads[k]] = i;
        for (k = 0; k < p->steps[i].n_writes; k++)
            if (p->steps[i].writes[k] != VECQ_NO_SLOT)
                last[p->steps[i].writes[k]] = i;
    }
    for (i = 0; i < p->n_steps && status == VECQ_OK; i++) {
        if (!p->steps[i].is_prologue)
            continue;
        status = slots_make(p, &p->steps[i], err);
        if (status == VECQ_OK)
            status = run(context, &p->steps[i], err);
        if (status == VECQ_OK)
            slots_give_up(p, last, i);
    }
    vecq_free(last);
    return status == VECQ_OK ? slots_share(p, err) : status;
}

void vecq_prologue_clear(vecq_planner *p)
{
    size_t i;

    for (i = 0; i < p->n_slots; i++) {
        vecq_free(p->slots[i].own);
        vecq_shared_release(p->slots[i].shared);
    }
}
