/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running models: any ordinary ONNX model, float or packed.
 *
 *     vecq_session *session;            the model, ready to run: one for a process
 *     vecq_runner *runner;              plans and buffers: one for a thread
 *     vecq_view y;
 *
 *     vecq_session_load("model.onnx", NULL, &session, &err);
 *     vecq_runner_create(session, &runner, &err);
 *     vecq_runner_bind(runner, "x", VECQ_DT_FLOAT, 4, dims, pixels, &err);
 *     vecq_runner_run(runner, &err);
 *     vecq_runner_output(runner, "y", &y, &err);
 *
 * Threads. A session does not change after it was made and may be used by any number of threads at once; all
 * of its runners share its weights. A runner is used by one thread at a time. Only vecq_runner_cancel() may
 * be called from elsewhere.
 *
 * Memory. A runner plans once for the shapes of its inputs and keeps the last few plans, so that going back
 * and forth between shapes costs nothing. A run for which there is a plan allocates nothing.
 */
#ifndef VECQ_RUN_H
#define VECQ_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/model.h"
#include "vecq/status.h"
#include "vecq/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vecq_session vecq_session;
typedef struct vecq_runner vecq_runner;

/* ---- sessions ---- */

typedef enum vecq_prefer {
    VECQ_PREFER_SPEED = 0, /* weights may be kept in a larger form when that is faster */
    VECQ_PREFER_MEMORY     /* packed weights stay packed; what can be computed again is not kept */
} vecq_prefer;

/* What a symbolic dimension of the inputs is to be ("batch" = 8). */
typedef struct vecq_dim_value {
    const char *name;
    int64_t size;
} vecq_dim_value;

typedef struct vecq_session_options {
    size_t size;        /* sizeof(vecq_session_options) */
    unsigned threads;   /* of one run; 0: all processors */
    vecq_prefer prefer; /* VECQ_PREFER_SPEED */
    unsigned act_bits;  /* 0: activations stay float. 8: in front of convolutions and matrix products whose
                           weights are packed, activations are rounded to 8 bits by ranges found in each run
                           (each image, each row by itself), and products are of integers. Changes results;
                           vecq_runner_rounded() says how many layers it is done for */
    const char *const *backends; /* NULL: all that the build has. Else names in order of preference ("lowbit",
                                    "onednn"); "ref", plain C, takes what they leave */
    size_t n_backends;
    const vecq_dim_value *dims; /* fixes symbolic dimensions; other sizes are refused then */
    size_t n_dims;
    unsigned plans; /* input shapes a runner keeps a plan for, least recently used ones go; default 4 */
} vecq_session_options;

VECQ_API void vecq_session_options_default(vecq_session_options *options);

/*
 * Loads a model file ("-": standard input). The file is mapped and must not change while the session lives;
 * external data are looked for beside it. options may be NULL. Every operator that the outputs need is
 * checked here: one that cannot be run is VECQ_ERR_UNSUPPORTED with its name. VECQ_ERR_FORMAT for anything
 * that is no sound ONNX model. Messages begin with the file name.
 */
VECQ_API vecq_status vecq_session_load(const char *path, const vecq_session_options *options,
                                       vecq_session **out, vecq_error *err);
/* The same from memory, which must stay until the session is closed. `name` stands in messages; `folder` is
 * where external data lies, NULL: refuse it. */
VECQ_API vecq_status vecq_session_load_memory(const void *bytes, size_t n_bytes, const char *name,
                                              const char *folder, const vecq_session_options *options,
                                              vecq_session **out, vecq_error *err);
/* Of a model as it was loaded. The model must outlive the session, and until then be used by nobody else. */
VECQ_API vecq_status vecq_session_of_model(vecq_model *model, const vecq_session_options *options,
                                           vecq_session **out, vecq_error *err);
/* After the last of its runners. NULL is fine. */
VECQ_API void vecq_session_close(vecq_session *session);

/* An input or output as the model declares it. */
typedef struct vecq_io_info {
    const char *name;
    vecq_dtype dtype; /* VECQ_DT_UNDEFINED when the model does not say */
    int has_shape;    /* 0: the model does not say; rank is 0 then */
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];        /* -1: any size */
    const char *symbols[VECQ_MAX_RANK]; /* names of dimensions, "batch"; NULL where there is none */
} vecq_io_info;

/* Inputs that must be bound (initializers that old models list as inputs are none), and outputs, in the
 * model's order. NULL out of range. Belong to the session. */
VECQ_API size_t vecq_session_inputs(const vecq_session *session);
VECQ_API const vecq_io_info *vecq_session_input(const vecq_session *session, size_t index);
VECQ_API size_t vecq_session_outputs(const vecq_session *session);
VECQ_API const vecq_io_info *vecq_session_output(const vecq_session *session, size_t index);

/* Value of an entry of the model's metadata_props, not NUL-terminated; NULL: there is none. */
VECQ_API const char *vecq_session_metadata(const vecq_session *session, const char *key, size_t *n_bytes);

/* ---- running ---- */

VECQ_API vecq_status vecq_runner_create(vecq_session *session, vecq_runner **out, vecq_error *err);
VECQ_API void vecq_runner_destroy(vecq_runner *runner); /* NULL is fine */

/*
 * Says where an input lies: dense, row-major, aligned to its elements. The memory stays the caller's, is only
 * read, and must be there in every run until the input is bound again. `name` NULL: the first input. The
 * dtype is that of the model; for float16, bfloat16 and float64 inputs float32 will do too. Dimension 0 of an
 * input whose model says 1 may be any number (a batch).
 *
 * VECQ_ERR_VALUE, naming input, shape and what the model says, for an unknown name, a wrong dtype or shape;
 * the input is as it was then.
 */
VECQ_API vecq_status vecq_runner_bind(vecq_runner *runner, const char *name, vecq_dtype dtype, unsigned rank,
                                      const int64_t *dims, const void *data, vecq_error *err);

/* Plans for the shapes bound, as the first run with them would: only the plan, with all its memory. */
VECQ_API vecq_status vecq_runner_prepare(vecq_runner *runner, vecq_error *err);

/* Layers with packed weights of the plan for the shapes bound (planned if need be) that read activations of 8
 * bits: rounded in each run (act_bits 8), or by scales in the file. 0 with act_bits 8: there is no layer that
 * it could be done for. */
VECQ_API vecq_status vecq_runner_rounded(vecq_runner *runner, size_t *layers, vecq_error *err);

/* Computes all outputs. An input that was not bound is VECQ_ERR_VALUE; so are
 * activations that are to be rounded and are not finite. */
VECQ_API vecq_status vecq_runner_run(vecq_runner *runner, vecq_error *err);

/*
 * An output of the last run; `name` NULL: the first. The data belong to the runner and are valid until its
 * next call of bind, prepare or run. Before a run, after one that failed, and for unknown names:
 * VECQ_ERR_VALUE.
 */
VECQ_API vecq_status vecq_runner_output(vecq_runner *runner, const char *name, vecq_view *out,
                                        vecq_error *err);
/* The same into memory of the caller, which must have exactly the output's size (VECQ_ERR_VALUE). */
VECQ_API vecq_status vecq_runner_copy_output(vecq_runner *runner, const char *name, void *dst, size_t n_bytes,
                                             vecq_error *err);

/* Lets the run under way, or the next one if there is none, end with VECQ_ERR_CANCELLED after the step it is
 * at. From any thread, and from a signal handler. */
VECQ_API void vecq_runner_cancel(vecq_runner *runner);

/* Non-zero: a run stops with VECQ_ERR_VALUE, naming the operator, at the first result that holds NaN or
 * infinity, and inputs are looked through too. Off at first. Slower. */
VECQ_API void vecq_runner_set_check(vecq_runner *runner, int on);

/* ---- looking at a plan ---- */

/* One step of the plan for the shapes bound last. Strings belong to the runner until its next bind, prepare
 * or run. */
typedef struct vecq_step_info {
    const char *node; /* of the model; for what was added, the name of the value it is about */
    const char *op;   /* "Conv"; "Reorder": a value is brought into the layout of a backend */
    const char *backend;
    const char *detail;     /* how: implementation, layout, instruction set; "" */
    const char *reason;     /* why this one, when there was a choice; "" */
    int is_integer;         /* its products are of bytes, not of floats */
    int is_once;            /* done when planning, not in runs: weights brought into another form */
    uint64_t bytes_weights; /* of constants read, as they are kept */
    uint64_t bytes_read, bytes_written;
    uint64_t macs;    /* multiply-adds of the operator; 0 for those that have none */
    double seconds;   /* in all runs since vecq_runner_set_timing() */
    uint64_t n_timed; /* those runs */
} vecq_step_info;

/* Steps for the shapes bound (planned if need be). */
VECQ_API vecq_status vecq_runner_steps(vecq_runner *runner, size_t *n, vecq_error *err);
VECQ_API vecq_step_info vecq_runner_step(const vecq_runner *runner, size_t index); /* index < n */
/* Non-zero: runs from now on take the time of their steps, which costs a little. Sums begin at 0. */
VECQ_API void vecq_runner_set_timing(vecq_runner *runner, int on);

/* Bytes in use. */
typedef struct vecq_memory_info {
    uint64_t file;      /* of the model, external data included */
    uint64_t mapped;    /* weights used where they lie in the file */
    uint64_t weights;   /* weights in memory of our own, shared by all runners */
    uint64_t workspace; /* of this runner: intermediate results of all its plans */
    size_t plans;       /* of this runner */
} vecq_memory_info;

/* runner may be NULL: of the session alone. */
VECQ_API void vecq_session_memory(const vecq_session *session, const vecq_runner *runner,
                                  vecq_memory_info *out);

/* What this machine can do at most, measured with the threads given (0: all) and the instruction set in use
 * (vecq/cpu.h). A multiply-add counts as two operations. */
typedef struct vecq_machine_info {
    unsigned threads;
    double fma_flops;      /* float32, a second */
    double dot_ops;        /* bytes multiplied and added into int32, a second */
    double read_bandwidth; /* bytes a second out of main memory */
} vecq_machine_info;

/* Takes some tenths of a second and, for a moment, 128 MiB. */
VECQ_API vecq_status vecq_machine_measure(unsigned threads, vecq_machine_info *out, vecq_error *err);

/* A tensor out of a file that holds one TensorProto, as test cases of ONNX do ("input_0.pb"). The message
 * begins with the file name. */
VECQ_API vecq_status vecq_proto_load(const char *path, vecq_tensor *out, vecq_error *err);

/* The backends of this build, best first; "ref" is the last. NULL out of range. */
VECQ_API const char *vecq_backend_label(size_t index);

#ifdef __cplusplus
}
#endif
#endif
