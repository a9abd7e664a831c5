/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a session, for session.c, runner.c and run_plan.c. */
#ifndef VECQ_SESSION_SESSION_PRIVATE_H
#define VECQ_SESSION_SESSION_PRIVATE_H

#include "backend/exec.h"
#include "base/lock.h"
#include "graph/bank.h"
#include "onnx/document.h"
#include "vecq/run.h"

#define VECQ_SESSION_BACKENDS_MAX 8u

/* Constant after creation, but for what the lock guards. */
struct vecq_session {
    vecq_model *model;
    int owns_model;
    vecq_document *doc;
    vecq_session_options options; /* backends and dims: not used after creation */
    vecq_arena arena;
    const vecq_backend *backends[VECQ_SESSION_BACKENDS_MAX];
    size_t n_backends;
    vecq_io_info *inputs, *outputs;
    const vecq_value **input_values;
    const char **output_names;
    size_t n_inputs, n_outputs;
    vecq_lock *lock; /* of planning: the graph (marks of its values) and the bank */
    vecq_bank bank;
};

/* An input as it was bound. */
typedef struct vecq_run_input {
    int is_bound;
    vecq_dtype dtype; /* of the caller's data */
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];
    size_t count;
    const void *data;
} vecq_run_input;

/* The program and plan for one combination of input shapes. */
typedef struct vecq_run_plan {
    vecq_program program;
    vecq_exec *exec;
    vecq_var **inputs, **outputs; /* [n_inputs], NULL: not read by any op; [n_outputs] */
    int64_t *dims;                /* [n_inputs][VECQ_MAX_RANK] */
    unsigned *ranks;              /* [n_inputs] */
    void **converted_in;          /* [n_inputs] float32 of an input in another type; NULL: none is needed */
    void **converted_out; /* [n_outputs] the type that the model declares; NULL: it is the program's */
    size_t n_converted;   /* bytes of both */
    size_t rounded;       /* layers that read 8-bit activations, with act_bits */
    uint64_t used;        /* time of the last use */
    uint64_t n_timed;
} vecq_run_plan;

/* Lowers, simplifies and plans for the shapes of inputs[n_inputs]. Takes the session's lock. */
vecq_status vecq_run_plan_create(vecq_session *session, const vecq_run_input *inputs, vecq_run_plan **out,
                                 vecq_error *err);
void vecq_run_plan_destroy(vecq_session *session, vecq_run_plan *plan); /* NULL is fine */
int vecq_run_plan_fits(const vecq_run_plan *plan, const vecq_run_input *inputs, size_t n);

/* The type that programs compute with for a declared one: float32 for the other floats. */
vecq_dtype vecq_run_dtype(vecq_dtype declared);

#endif
