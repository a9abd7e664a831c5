/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a plan, for planner.c and exec.c. */
#ifndef VECQ_BACKEND_PLANNER_PRIVATE_H
#define VECQ_BACKEND_PLANNER_PRIVATE_H

#include "backend/planner.h"
#include "base/alloc.h"

typedef enum vecq_plan_keep {
    VECQ_KEEP_NOT,
    VECQ_KEEP_TO_END, /* outputs: until the next run */
    VECQ_KEEP_ALWAYS  /* results of the prologue: from run to run */
} vecq_plan_keep;

typedef struct vecq_plan_slot {
    size_t n_bytes;
    const vecq_var *external; /* memory of an input, constant, parameter or state; else NULL */
    size_t first, last;       /* steps that use it; first SIZE_MAX: none */
    vecq_slot over;           /* may take over this one's memory */
    vecq_slot root;           /* whose memory it has (itself, as a rule) */
    vecq_plan_keep keep;
    size_t offset, reserved;
    int is_apart;        /* written by the prologue of a plan with a bank: not in the block */
    int is_known;        /* before a run: a step of the prologue has written it */
    int is_read;         /* by a step that is not of the prologue, or by the caller */
    void *own;           /* memory of a slot apart while the prologue runs */
    vecq_shared *shared; /* and after it, of one that is read */
} vecq_plan_slot;

typedef struct vecq_plan_var {
    int is_made;
    vecq_slot slot;
    const vecq_backend *owner; /* of the layout; NULL: plain */
    const void *layout;
} vecq_plan_var;

typedef struct vecq_plan_copy {
    const vecq_var *var;
    const vecq_backend *owner;
    const void *layout;
    vecq_slot slot;
} vecq_plan_copy;

typedef struct vecq_plan_kept {
    const vecq_backend *owner;
    void *layout;
} vecq_plan_kept;

typedef struct vecq_plan_step {
    const vecq_op *op; /* NULL: a conversion */
    const char *name, *detail, *reason;
    const char *kind; /* of the op; "Reorder", "Decode" for what is added between ops */
    const vecq_backend *backend;
    vecq_step_fn run;
    void *state;
    void (*destroy)(void *);
    vecq_slot *reads, *writes;
    size_t n_reads, n_writes;
    const void **read_at;
    void **write_at;
    double seconds;
    int is_integer;
    int is_prologue;
} vecq_plan_step;

typedef struct vecq_plan_engine {
    const vecq_backend *backend;
    void *engine;
} vecq_plan_engine;

struct vecq_planner {
    vecq_arena arena;
    const vecq_program *program;
    int is_training;
    vecq_bank *bank;
    unsigned char *prologue;    /* by op->index */
    int is_once;                /* vecq_planner_once() */
    size_t first_step;          /* of the op at work */
    const char *reason;         /* given before the first of them, or NULL */
    const vecq_var *converting; /* while a conversion step is being added */
    int is_delivery;            /* which makes a lazy value */
    vecq_plan_engine *engines;
    size_t n_engines;
    vecq_plan_var *vars; /* by var->index */
    vecq_plan_slot *slots;
    size_t n_slots, slots_capacity;
    vecq_plan_copy *copies;
    size_t n_copies, copies_capacity;
    vecq_plan_kept *kept;
    size_t n_kept, kept_capacity;
    vecq_plan_step *steps;
    size_t n_steps, steps_capacity;
    size_t n_bytes; /* of the block of memory */
};

/* Gives every slot its place in one block. */
vecq_status vecq_planner_place(vecq_planner *planner, vecq_error *err);

/* With a bank: which slots are apart (before they are placed); runs a step of the prologue with the memory
 * its slots need and gives up what nobody reads later; releases what is left. */
void vecq_prologue_mark(vecq_planner *planner);
typedef vecq_status (*vecq_prologue_fn)(void *context, vecq_plan_step *step, vecq_error *err);
vecq_status vecq_prologue_run(vecq_planner *planner, vecq_prologue_fn run, void *context, vecq_error *err);
void vecq_prologue_clear(vecq_planner *planner);

#endif
