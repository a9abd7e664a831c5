/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program: the executable form of a graph. Canonical operators (graph/ops.def), every shape and type known,
 * attributes resolved into parameter structs; what is left of ONNX are the semantics. graph/lower.h makes one
 * from a model, graph/gradient.h appends the backward pass as ordinary ops, backend/exec.h runs it.
 *
 * Ops stand in an order in which every variable is made before it is read. Everything lives in the program's
 * arena and dies with it; tensors of parameters and states belong to a store, which several programs share
 * (training, evaluation, a teacher).
 */
#ifndef VECQ_GRAPH_PROGRAM_H
#define VECQ_GRAPH_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "graph/bank.h"
#include "graph/op_params.h"
#include "tensor/tensor.h"

typedef struct vecq_program vecq_program;
typedef struct vecq_op vecq_op;
typedef struct vecq_var vecq_var;
typedef struct vecq_gradient vecq_gradient;
typedef struct vecq_post vecq_post;

typedef enum vecq_op_kind {
#define VECQ_OP(symbol, title, stem, n_in_min, n_in_max, n_out, flags) VECQ_OP_##symbol,
#include "graph/ops.def"
#undef VECQ_OP
    VECQ_OP_COUNT
} vecq_op_kind;

/* flags of ops.def */
enum {
    VECQ_OPF_VARIADIC = 1, /* n_in_max does not limit the inputs, nor n_out the outputs (Concat, Split) */
    VECQ_OPF_NO_GRAD = 2,  /* nothing flows back through it (its shape function is all there is) */
    VECQ_OPF_EFFECT = 4,   /* changes a state: kept although nobody reads it */
    VECQ_OPF_RANDOM = 8    /* result depends on the step number */
};

typedef struct vecq_op_info {
    const char *name; /* "Conv" */
    unsigned n_in_min, n_in_max, n_out;
    unsigned flags;
    /* Sets type and shape of op->outputs from inputs and parameters; VECQ_ERR_FORMAT when they do not fit. */
    vecq_status (*shape)(vecq_program *program, vecq_op *op, vecq_error *err);
    /* Appends the ops that compute the gradients of the inputs; NULL: no gradient flows through. */
    vecq_status (*gradient)(vecq_gradient *g, const vecq_op *op, vecq_error *err);
} vecq_op_info;

const vecq_op_info *vecq_op_info_of(vecq_op_kind kind);

/* A tensor that outlives a run: trained weights, running statistics. Owned by a store. */
typedef struct vecq_stored {
    const char *name;   /* of the tensor in the model; unique in the store */
    const void *key;    /* what it stands for (vecq_value of the document), or NULL */
    vecq_tensor tensor; /* float32 (or double: gradient checks) */
    int is_trained;     /* by the optimizer; else a state that ops update */
    int is_bias;        /* biases and the vectors of normalisation: groups of the optimizer */
    int is_norm;
    int is_step; /* learned step sizes of a quantizer: a learning rate of their own */
} vecq_stored;

typedef struct vecq_store {
    vecq_stored **items;
    size_t n, capacity;
    vecq_arena arena;
} vecq_store;

vecq_stored *vecq_store_find(const vecq_store *store, const char *name);
vecq_stored *vecq_store_by_key(const vecq_store *store, const void *key);
/* Takes the tensor over (also on failure). The name is copied, and made unique by a suffix when taken. */
vecq_status vecq_store_add(vecq_store *store, const char *name, const void *key, vecq_tensor *tensor,
                           vecq_stored **out, vecq_error *err);
void vecq_store_clear(vecq_store *store);

typedef enum vecq_var_kind {
    VECQ_VAR_INPUT,     /* the caller binds memory before each run */
    VECQ_VAR_CONSTANT,  /* a tensor of its own */
    VECQ_VAR_PARAMETER, /* lies in a store; trained */
    VECQ_VAR_STATE,     /* lies in a store; updated by ops with VECQ_OPF_EFFECT */
    VECQ_VAR_RESULT     /* made by an op in every run */
} vecq_var_kind;

struct vecq_var {
    vecq_var_kind kind;
    const char *name; /* for messages and printing */
    vecq_dtype dtype; /* vecq_program_holds() */
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];
    size_t count;
    size_t index; /* in program->vars */
    vecq_op *producer;
    size_t output;
    size_t n_uses;        /* reads by ops */
    int is_output;        /* kept in plain layout until the end of the run */
    vecq_tensor constant; /* VECQ_VAR_CONSTANT: owned, or (then never written to) the data of `shared` */
    vecq_shared *shared;
    vecq_stored *stored; /* VECQ_VAR_PARAMETER, VECQ_VAR_STATE */
    int is_relu;         /* known not to be negative (after ReLU, Clip from 0, Sigmoid, pooling of such) */
};

struct vecq_op {
    vecq_op_kind kind;
    const vecq_op_info *info;
    const char *name; /* node label of the model, with a suffix for what was added */
    vecq_program *program;
    vecq_var **inputs; /* NULL entries: omitted */
    size_t n_inputs;
    vecq_var **outputs; /* never NULL; n_uses 0: not needed */
    size_t n_outputs;
    const void *params;     /* struct of op_params.h that belongs to the kind, or NULL */
    const vecq_post *post;  /* graph/post.h: done to outputs[0] before it is stored; NULL: nothing */
    const vecq_op *forward; /* for an op of the backward pass: the op it is the gradient of; else NULL */
    size_t index;           /* in program->ops */
};

struct vecq_program {
    vecq_arena arena;
    vecq_op **ops;
    size_t n_ops, ops_capacity;
    vecq_var **vars;
    size_t n_vars, vars_capacity;
};

void vecq_program_clear(vecq_program *program);

/* ---- variables ---- */

vecq_status vecq_program_input(vecq_program *program, const char *name, vecq_dtype dtype, unsigned rank,
                               const int64_t *dims, vecq_var **out, vecq_error *err);
/* Takes the tensor over (also on failure). */
vecq_status vecq_program_constant(vecq_program *program, const char *name, vecq_tensor *tensor,
                                  vecq_var **out, vecq_error *err);
/* A constant of a bank; takes the reference over (also on failure). */
vecq_status vecq_program_shared(vecq_program *program, const char *name, vecq_shared *shared, vecq_var **out,
                                vecq_error *err);
/* The variable of a stored tensor; one for each tensor and program. */
vecq_status vecq_program_stored(vecq_program *program, vecq_stored *stored, vecq_var **out, vecq_error *err);
/* Constant with every element the same (integers: cut to an integer, and to their bits). */
vecq_status vecq_program_fill(vecq_program *program, const char *name, vecq_dtype dtype, unsigned rank,
                              const int64_t *dims, double value, vecq_var **out, vecq_error *err);

/* ---- ops ---- */

/*
 * Appends an op: copies `params` (params_bytes of them; 0: none), makes its outputs and calls the shape
 * function. n_outputs 0 stands for the number in ops.def. Inputs may be NULL where the op allows it. The
 * error message begins with "<op> '<name>'".
 */
vecq_status vecq_program_op(vecq_program *program, vecq_op_kind kind, const char *name,
                            vecq_var *const *inputs, size_t n_inputs, const void *params, size_t params_bytes,
                            size_t n_outputs, vecq_op **out, vecq_error *err);
/* The same for an op of the backward pass; vecq_gradient_op() is its only caller. */
vecq_status vecq_program_op_of(vecq_program *program, vecq_op_kind kind, const char *name,
                               const vecq_op *forward, vecq_var *const *inputs, size_t n_inputs,
                               const void *params, size_t params_bytes, size_t n_outputs, vecq_op **out,
                               vecq_error *err);
/* Shorthands with one output. */
vecq_status vecq_program_op1(vecq_program *program, vecq_op_kind kind, const char *name, vecq_var *a,
                             const void *params, size_t params_bytes, vecq_var **out, vecq_error *err);
vecq_status vecq_program_op2(vecq_program *program, vecq_op_kind kind, const char *name, vecq_var *a,
                             vecq_var *b, const void *params, size_t params_bytes, vecq_var **out,
                             vecq_error *err);

/* For shape functions: fixes output i. VECQ_ERR_FORMAT on a negative size or too many elements. */
vecq_status vecq_op_set_output(vecq_op *op, size_t i, vecq_dtype dtype, unsigned rank, const int64_t *dims,
                               vecq_error *err);
/* The same type and shape as a variable. */
vecq_status vecq_op_output_like(vecq_op *op, size_t i, const vecq_var *like, vecq_error *err);
/* VECQ_ERR_FORMAT, "<text>" (the caller's caller puts op and name before it). */
vecq_status vecq_op_fail(vecq_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

int vecq_var_is_float(const vecq_var *var); /* float32 or double */
/* Types of variables: bool, integers of 8 to 64 bits, float32, double. */
int vecq_program_holds(vecq_dtype dtype);
/* The type of a variable that holds values of a model's type: float32 for every floating-point type, a byte
 * for integers below 8 bits, the type itself for the rest. */
vecq_dtype vecq_program_type(vecq_dtype dtype);
int vecq_var_same_shape(const vecq_var *a, const vecq_var *b);
/* "2x3x32x32" into text[96]. */
const char *vecq_var_shape_text(const vecq_var *var, char text[96]);

/* Removes ops whose outputs nobody reads (and that have no effect), backwards; renumbers. */
void vecq_program_prune(vecq_program *program);

/* Frees what a constant holds; its type and shape stay. For constants that no run reads any more. */
void vecq_var_drop(vecq_var *var);
/* Constants of the program that own their data and are read by ops come from the bank from now on, those that
 * nobody reads are dropped. Smaller ones stay as they are. */
vecq_status vecq_program_bank(vecq_program *program, vecq_bank *bank, vecq_error *err);

/* Shape functions, by stem; gradients where the table of gradients names them. */
#define VECQ_OP(symbol, title, stem, n_in_min, n_in_max, n_out, flags)                                       \
    vecq_status vecq_op_##stem##_shape(vecq_program *program, vecq_op *op, vecq_error *err);                 \
    vecq_status vecq_op_##stem##_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err);
#include "graph/ops.def"
#undef VECQ_OP

#endif
