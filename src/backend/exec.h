/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a program: a plan over backends, memory for it, and the run itself.
 *
 * For every op the first backend of the list that takes it adds steps to the plan (backend/planner.h); `ref`,
 * plain C, is the last of the list and takes everything. The planner inserts conversions where a backend
 * keeps a value in a layout of its own, and lays all results out in one block of memory by their lifetimes.
 *
 * What depends on constants, parameters and states only (quantized weights, their conversions) is the
 * prologue of a plan: it runs when it is stale, and in every run of a program that trains.
 */
#ifndef VECQ_BACKEND_EXEC_H
#define VECQ_BACKEND_EXEC_H

#include "graph/program.h"

typedef struct vecq_backend vecq_backend;
typedef struct vecq_exec vecq_exec;

typedef struct vecq_exec_options {
    const vecq_backend *const *backends; /* in order of preference; ref is used for the rest */
    size_t n_backends;
    unsigned threads;  /* 0: all */
    int is_training;   /* the prologue is run every time */
    vecq_bank *bank;   /* not NULL: for inference. The prologue runs once, in vecq_exec_create(), its results
                          that runs read are shared through the bank, and nothing else of it is kept */
    int prefer_memory; /* packed weights stay packed: what reads them as floats gets them made in each run */
} vecq_exec_options;

/* What ops may depend on besides their inputs. */
typedef struct vecq_run {
    uint64_t step; /* random masks are a function of seed, step and the op's stream */
    uint64_t seed;
    unsigned threads;
    const int *cancel; /* not NULL: stop with VECQ_ERR_CANCELLED after a step when this is not 0 */
    int check; /* stop with VECQ_ERR_VALUE, naming the op, at the first result that is not finite (slower) */
} vecq_run;

/* The program must outlive the plan and not change. */
vecq_status vecq_exec_create(const vecq_program *program, const vecq_exec_options *options, vecq_exec **out,
                             vecq_error *err);
void vecq_exec_destroy(vecq_exec *exec); /* NULL is fine */

/* Memory of an input (plain layout, at least its size, aligned to its elements); stays the caller's. */
void vecq_exec_bind(vecq_exec *exec, const vecq_var *input, const void *data);
/* Parameters or states changed outside: the prologue is stale. */
void vecq_exec_invalidate(vecq_exec *exec);
vecq_status vecq_exec_run(vecq_exec *exec, const vecq_run *run, vecq_error *err);
/* An output after a run (var->is_output), parameter, state or constant; valid until the next run. */
const void *vecq_exec_data(const vecq_exec *exec, const vecq_var *var);

/* ---- looking at a plan ---- */

typedef struct vecq_exec_step_info {
    const char *name;    /* of the op; "reorder of <variable>" */
    const char *op;      /* kind, "Reorder" */
    const char *backend; /* "ref", "onednn" */
    const char *detail;  /* what the backend says about its implementation, or "" */
    const char *reason;  /* why it took the op this way, when there was a choice, or "" */
    double seconds;      /* in all runs so far, when timing is on */
    int is_integer;      /* its products are of bytes */
    int is_prologue;
    uint64_t bytes_weights; /* read, that do not depend on inputs */
    uint64_t bytes_read, bytes_written;
    uint64_t macs; /* multiply-adds of the op */
} vecq_exec_step_info;

size_t vecq_exec_steps(const vecq_exec *exec);
vecq_exec_step_info vecq_exec_step(const vecq_exec *exec, size_t i);
void vecq_exec_set_timing(vecq_exec *exec, int on); /* times begin at 0 */
size_t vecq_exec_bytes(const vecq_exec *exec);      /* of the block of results and scratch */
/* Whether a run reads a constant (with a bank: the prologue is over; others can be dropped). */
int vecq_exec_reads(const vecq_exec *exec, const vecq_var *constant);

/* The backends of this build, best first, without ref (which needs no mention). */
size_t vecq_backend_count(void);
const vecq_backend *vecq_backend_at(size_t i);
const vecq_backend *vecq_backend_find(const char *name); /* "ref" too; NULL when unknown */
const char *vecq_backend_name(const vecq_backend *backend);

#endif
