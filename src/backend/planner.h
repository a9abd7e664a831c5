/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a backend sees of a plan. A slot is a piece of memory that steps write and read; the planner knows its
 * lifetime from that and gives it an address. A value may be kept in a layout of the backend that makes it
 * (an opaque object of that backend); readers ask for the layout they need, and conversions are shared.
 */
#ifndef VECQ_BACKEND_PLANNER_H
#define VECQ_BACKEND_PLANNER_H

#include "backend/exec.h"

typedef struct vecq_planner vecq_planner;
typedef size_t vecq_slot;
#define VECQ_NO_SLOT SIZE_MAX

/* reads[i], writes[i]: addresses of the slots given to vecq_planner_step(), NULL for VECQ_NO_SLOT. */
typedef vecq_status (*vecq_step_fn)(void *state, const void *const *reads, void *const *writes,
                                    const vecq_run *run, vecq_error *err);

/*
 * A layout whose floats are sums over the groups of `taps` elements that follow each other in a tensor: chunk
 * c of VECQ_LAYOUT_CHUNK floats has, for i below that, the sum over t of coefficients[row[c]][t] times
 * element t of group number group[base[c] * VECQ_LAYOUT_CHUNK + i]. Each group is there once.
 */
#define VECQ_LAYOUT_CHUNK 16u
#define VECQ_LAYOUT_ROWS  64u

typedef struct vecq_layout_sum {
    size_t taps, n_groups, n_rows, n_chunks;
    float *coefficients; /* [n_rows][taps] */
    uint8_t *row;
    uint32_t *base, *group;
} vecq_layout_sum;

struct vecq_backend {
    const char *name;
    /* One engine for each plan of a program. options->threads is resolved (> 0). */
    vecq_status (*open)(const vecq_exec_options *options, const vecq_program *program, void **engine,
                        vecq_error *err);
    void (*close)(void *engine);
    /* Adds the steps of an op and sets *taken, or leaves it 0 for the next backend (then nothing was added).
     */
    vecq_status (*plan)(void *engine, vecq_planner *planner, const vecq_op *op, int *taken, vecq_error *err);
    /* ---- layouts; NULL functions for a backend that keeps everything plain ---- */
    int (*layout_same)(const void *a, const void *b);
    void (*layout_free)(void *layout);
    /* Adds a step that converts `var` between two layouts of this backend; NULL is the plain one. */
    vecq_status (*convert)(void *engine, vecq_planner *planner, const vecq_var *var, vecq_slot from,
                           const void *from_layout, vecq_slot to, const void *to_layout, vecq_error *err);
    size_t (*layout_bytes)(const void *layout);
    /* Whether a layout holds the elements in some order, perhaps padded with zeros, and not something made of
     * them. Then map[i] = 1 + number, in row-major order, of the element of `var` that its float i is; 0 for
     * padding. layout_bytes / 4 of them. */
    int (*layout_is_order)(const void *layout);
    vecq_status (*layout_map)(void *engine, const vecq_var *var, const void *layout, uint32_t *map,
                              vecq_error *err);
    /* For a layout that is none: the sums that it holds, the engine's, or NULL. May be NULL. */
    vecq_status (*layout_sum)(void *engine, const vecq_var *var, const void *layout,
                              const vecq_layout_sum **sum, vecq_error *err);
    /* For a backend with lazy values: adds the step that makes `var` in slot `to`, in a layout of `owner`
     * (NULL, NULL: plain). */
    vecq_status (*deliver)(void *engine, vecq_planner *planner, const vecq_var *var, const void *from_layout,
                           const vecq_backend *owner, const void *layout, vecq_slot to, vecq_error *err);
};

/* Whether the plan is one of training: what it leaves for its own backward pass must not be left out. */
int vecq_planner_is_training(const vecq_planner *planner);
/* Whether a variable is known as soon as constants, parameters and states are: what is made of it alone is
 * made once. */
int vecq_planner_is_prologue(const vecq_planner *planner, const vecq_var *var);

/* How a variable was produced: the backend whose layout it has, and the layout; NULL, NULL when plain
 * (inputs, constants, parameters and states are always plain). */
const vecq_backend *vecq_planner_produced(const vecq_planner *planner, const vecq_var *var,
                                          const void **layout);

/* Slot to read a variable from in a given layout of `owner` (NULL, NULL: plain). Converts if need be; the
 * layout is copied by reference: it must live as long as the engine, or be handed over with
 * vecq_planner_keep(). */
vecq_status vecq_planner_input(vecq_planner *planner, const vecq_var *var, const vecq_backend *owner,
                               const void *layout, vecq_slot *out, vecq_error *err);
/* Slot where the op at work leaves a variable. owner NULL: plain, n_bytes 0: the size of type and shape.
 * Otherwise in a layout of the owner, n_bytes of it. */
vecq_status vecq_planner_output(vecq_planner *planner, const vecq_var *var, const vecq_backend *owner,
                                const void *layout, size_t n_bytes, vecq_slot *out, vecq_error *err);
/* The same, and the memory of `over` may be reused when nobody reads that slot later (the step must allow
 * both to be the same memory). */
vecq_status vecq_planner_output_over(vecq_planner *planner, const vecq_var *var, const vecq_backend *owner,
                                     const void *layout, size_t n_bytes, vecq_slot over, vecq_slot *out,
                                     vecq_error *err);
/* The variable is the slot's memory under another shape, plain (owner NULL) or in a layout: no step. */
vecq_status vecq_planner_alias(vecq_planner *planner, const vecq_var *var, const vecq_backend *owner,
                               const void *layout, vecq_slot slot, vecq_error *err);
/* The variable is not made now, but by its owner (deliver) in each layout that somebody asks for. */
vecq_status vecq_planner_lazy(vecq_planner *planner, const vecq_var *var, const vecq_backend *owner,
                              const void *layout, vecq_error *err);
/* The op at work is done in each run, although it depends on constants only; so is what is made of it. */
void vecq_planner_each_run(vecq_planner *planner, const vecq_op *op);
/* layout_map() of the owner of a layout. */
vecq_status vecq_planner_layout_map(vecq_planner *planner, const vecq_var *var, const vecq_backend *owner,
                                    const void *layout, uint32_t *map, vecq_error *err);
/* layout_sum() of the owner of a layout; NULL: it holds no sums, or nobody knows. */
vecq_status vecq_planner_layout_sum(vecq_planner *planner, const vecq_var *var, const vecq_backend *owner,
                                    const void *layout, const vecq_layout_sum **sum, vecq_error *err);
/* Memory for one step, or kept between steps. */
vecq_status vecq_planner_scratch(vecq_planner *planner, size_t n_bytes, vecq_slot *out, vecq_error *err);
/* A layout (or other object) to be freed with the plan by the backend's layout_free. */
vecq_status vecq_planner_keep(vecq_planner *planner, const vecq_backend *owner, void *layout,
                              vecq_error *err);

/*
 * Adds a step. `state` is destroyed by `destroy` with the plan (also when this call fails). `detail` is
 * copied, may be NULL. Every slot written is assumed to be read by later steps only.
 */
vecq_status vecq_planner_step(vecq_planner *planner, const vecq_op *op, const vecq_backend *backend,
                              const char *detail, vecq_step_fn run, void *state, void (*destroy)(void *),
                              const vecq_slot *reads, size_t n_reads, const vecq_slot *writes,
                              size_t n_writes, vecq_error *err);

/* Why the steps of the op at work are as they are: kept with the last step added for it; when there is none
 * yet, with the last one that a later backend adds, which may say something else. Copied. */
vecq_status vecq_planner_reason(vecq_planner *planner, const char *text, vecq_error *err);
/* The last step added computes products of bytes. */
void vecq_planner_integer(vecq_planner *planner);

/*
 * While this is on, steps that read nothing but what is known before a run (constants, parameters, states and
 * what such steps have made of them) belong to the prologue, although their op as a whole does not: what a
 * backend does to the weights of an op. Not for steps whose results later ones change in place.
 */
void vecq_planner_once(vecq_planner *planner, int is_on);

/* A parameter or state is updated in place by this op: slot to write to (plain). */
vecq_status vecq_planner_update(vecq_planner *planner, const vecq_var *var, vecq_slot *out, vecq_error *err);

#endif
