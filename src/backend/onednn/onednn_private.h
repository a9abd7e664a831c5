/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the oneDNN backend. A layout of the planner is a vecq_dnnl_md of the engine's pool; a plain
 * value has none. An op is planned in this order: describe the operands as they were produced, make the
 * primitive descriptor (this is where oneDNN may decline: then nothing has been added and the op is left to
 * the next backend), ask the planner for slots in the layouts the descriptor wants, add the step.
 */
#ifndef VECQ_BACKEND_ONEDNN_ONEDNN_PRIVATE_H
#define VECQ_BACKEND_ONEDNN_ONEDNN_PRIVATE_H

#include "backend/onednn/dnnl_shim.h"
#include "backend/onednn/onednn.h"
#include "backend/planner.h"
#include "graph/post.h"

#define VECQ_ONEDNN_ARGS 24u

typedef struct vecq_onednn_sum vecq_onednn_sum;

typedef struct vecq_onednn {
    vecq_dnnl_maker make; /* engine, and the attribute "scratchpad by the user" */
    dnnl_primitive_attr_t attr;
    dnnl_stream_t stream;
    vecq_dnnl_pool pool;
    unsigned threads;  /* of the steps being planned */
    int prefer_memory; /* no layouts of weights that are larger than the weights */
    const vecq_program *program;
    struct vecq_onednn_memo *memos; /* by op->index */
    vecq_onednn_sum *sums;          /* layouts that were looked at */
} vecq_onednn;

/* What the plan of an op leaves for the plan of its gradient. */
typedef struct vecq_onednn_memo {
    int is_taken;
    int is_done;           /* a ReLU, or its gradient, that is part of another op's step */
    int has_relu;          /* BatchNormTrain that does the Relu after it; its marks are in `slot` */
    const vecq_dnnl_md *x; /* layout that the operand was read in */
    vecq_slot slot;        /* a result that is no variable */
} vecq_onednn_memo;

/* Of an op of the program at work; of op->forward in a gradient. */
vecq_onednn_memo *vecq_onednn_memo_of(vecq_onednn *e, const vecq_op *op);

typedef vecq_status (*vecq_onednn_plan_fn)(vecq_onednn *e, vecq_planner *planner, const vecq_op *op,
                                           int *taken, vecq_error *err);

/* ---- layouts ---- */

/* A reorder, done now. */
dnnl_status_t vecq_onednn_reorder_now(vecq_onednn *e, const vecq_dnnl_md *from, const vecq_dnnl_md *to,
                                      const float *src, float *dst);
/* layout_sum() of the backend (onednn_winograd.c). */
vecq_status vecq_onednn_layout_sum(void *engine, const vecq_var *var, const void *layout,
                                   const vecq_layout_sum **out, vecq_error *err);
void vecq_onednn_sums_clear(vecq_onednn *e);

/* ---- for planning ---- */

/* VECQ_OK for dnnl_success. Sets *declined (and returns VECQ_OK) when the library has no implementation for
 * what it was asked for. */
vecq_status vecq_onednn_check(dnnl_status_t status, const char *what, int *declined, vecq_error *err);

/* float32, and neither empty nor of more dimensions than the library has. NULL: no. */
int vecq_onednn_takes(const vecq_var *var);
/* Whether anybody wants this output. */
int vecq_onednn_is_used(const vecq_var *var);

/* As it was produced: its layout, or the plain one of its shape. */
vecq_status vecq_onednn_produced(vecq_onednn *e, const vecq_planner *planner, const vecq_var *var,
                                 const vecq_dnnl_md **out, vecq_error *err);
/* For two of one shape: the layout of the first, or of the second when only that is a blocked one. */
vecq_status vecq_onednn_common(vecq_onednn *e, const vecq_planner *planner, const vecq_var *first,
                               const vecq_var *second, const vecq_dnnl_md **out, vecq_error *err);
/* The layout of `md` for other dimensions of its rank; *out NULL when it is none of the usual ones. */
vecq_status vecq_onednn_like(vecq_onednn *e, const vecq_dnnl_md *md, const dnnl_dim_t *dims,
                             const vecq_dnnl_md **out, vecq_error *err);
/* The layout for a vector over the axes of `md` that are not 1 in `dims` (one number a channel): that of md,
 * where the library has fast sums with it, or the plain one. */
vecq_status vecq_onednn_vector(vecq_onednn *e, const vecq_dnnl_md *md, const dnnl_dim_t *dims,
                               const vecq_dnnl_md **out, vecq_error *err);
/* The Relu that is the only one to read the op's first output, or NULL: it can be done in the same step. */
const vecq_op *vecq_onednn_relu_after(const vecq_op *op);
/* Whether a descriptor is of the library's reference code, which is no faster than ours. */
int vecq_onednn_is_slow(const_dnnl_primitive_desc_t pd);
vecq_status vecq_onednn_plain(vecq_onednn *e, const vecq_var *var, const vecq_dnnl_md **out, vecq_error *err);
/* Shape of a variable with the layout left open. */
vecq_status vecq_onednn_any(vecq_onednn *e, const vecq_var *var, const vecq_dnnl_md **out, vecq_error *err);

/* What an argument of a primitive is to the planner. */
typedef enum vecq_onednn_access {
    VECQ_ONEDNN_READ,       /* in the layout that the primitive wants */
    VECQ_ONEDNN_READ_PLAIN, /* plain, whatever the primitive calls it (a transposed view) */
    VECQ_ONEDNN_WRITE,      /* a variable nobody wants becomes scratch */
    VECQ_ONEDNN_WRITE_PLAIN,
    VECQ_ONEDNN_READ_SUM,  /* in the layout of the destination, whose memory it should be: copied if it is not
                            */
    VECQ_ONEDNN_SLOT_READ, /* of a slot that is there already */
    VECQ_ONEDNN_SLOT_WRITE
} vecq_onednn_access;

typedef struct vecq_onednn_arg {
    int kind; /* DNNL_ARG_... */
    vecq_onednn_access access;
    const vecq_var *var;    /* NULL (omitted bias): the argument is left out */
    int over;               /* WRITE: DNNL_ARG_... of the operand whose memory may be taken, or 0 */
    vecq_slot slot;         /* SLOT_...; set for the others */
    const vecq_dnnl_md *md; /* SLOT_... of a reorder; NULL: what the primitive wants */
} vecq_onednn_arg;

/* Adds the step of a primitive: slots for its arguments, scratchpad, memory objects. op NULL: a conversion.
 */
vecq_status vecq_onednn_step(vecq_onednn *e, vecq_planner *planner, const vecq_op *op,
                             const_dnnl_primitive_desc_t pd, const vecq_onednn_arg *args, size_t n,
                             vecq_error *err);

/*
 * The end of planning functions of ops that may have a post (graph/post.h) or a Relu after them: `make` makes
 * the primitive descriptor of `geometry`, the last of args is the destination. What the library cannot do in
 * one primitive is done over the result by steps of their own.
 */
typedef dnnl_status_t (*vecq_onednn_make_fn)(const vecq_dnnl_maker *m, const void *geometry,
                                             dnnl_primitive_desc_t *pd);
vecq_status vecq_onednn_finish_post(vecq_onednn *e, vecq_planner *planner, const vecq_op *op,
                                    vecq_onednn_make_fn make, const void *geometry,
                                    const vecq_onednn_arg *args, size_t n, int *taken, vecq_error *err);
/* Steps that do op->post (NULL: none) to the first output of an op that has been planned without it. */
vecq_status vecq_onednn_post_after(vecq_onednn *e, vecq_planner *planner, const vecq_op *op, vecq_error *err);

/* The library's function for an op or post; 0: it has none. */
int vecq_onednn_eltwise_of(vecq_op_kind kind, const vecq_unary_params *params, dnnl_alg_kind_t *alg,
                           float *alpha, float *beta);

/* For a step that includes a ReLU: its descriptor was made (`made`), so the result is that of `relu`. */
const vecq_var *vecq_onednn_with_relu(vecq_onednn *e, const vecq_op *relu);

/* Whether a ReluGrad is part of the step of the BatchNormTrainGrad that reads it. */
int vecq_onednn_norm_masks(vecq_onednn *e, const vecq_op *relu_grad);

/* The end of most planning functions: `made` is what the maker of *pd returned. Declined: *taken stays 0.
 * Otherwise adds the step and sets *taken. Destroys the descriptor. */
vecq_status vecq_onednn_finish(vecq_onednn *e, vecq_planner *planner, const vecq_op *op, dnnl_status_t made,
                               dnnl_primitive_desc_t pd, const vecq_onednn_arg *args, size_t n, int *taken,
                               vecq_error *err);

/* Layouts as the planner knows them: NULL for a plain one. */
const void *vecq_onednn_layout(const vecq_dnnl_md *md);

/* ---- op families: planning functions; *taken stays 0 when the op is left to the next backend ---- */

#define VECQ_ONEDNN_PLAN(stem)                                                                               \
    vecq_status vecq_onednn_plan_##stem(vecq_onednn *e, vecq_planner *planner, const vecq_op *op,            \
                                        int *taken, vecq_error *err)
VECQ_ONEDNN_PLAN(conv);
VECQ_ONEDNN_PLAN(conv_grad_input);
VECQ_ONEDNN_PLAN(conv_grad_weight);
VECQ_ONEDNN_PLAN(conv_transpose);
VECQ_ONEDNN_PLAN(conv_transpose_grad_input);
VECQ_ONEDNN_PLAN(conv_transpose_grad_weight);
VECQ_ONEDNN_PLAN(matmul);
VECQ_ONEDNN_PLAN(norm);
VECQ_ONEDNN_PLAN(norm_train);
VECQ_ONEDNN_PLAN(norm_grad);
VECQ_ONEDNN_PLAN(norm_apply); /* BatchNorm of programs that are only run */
VECQ_ONEDNN_PLAN(group_norm);
VECQ_ONEDNN_PLAN(layer_norm);
VECQ_ONEDNN_PLAN(pool);
VECQ_ONEDNN_PLAN(pool_grad);
VECQ_ONEDNN_PLAN(eltwise);
VECQ_ONEDNN_PLAN(eltwise_grad);
VECQ_ONEDNN_PLAN(binary);
VECQ_ONEDNN_PLAN(softmax);
VECQ_ONEDNN_PLAN(softmax_grad);
VECQ_ONEDNN_PLAN(concat);
VECQ_ONEDNN_PLAN(slice);
VECQ_ONEDNN_PLAN(transpose);
VECQ_ONEDNN_PLAN(pixels); /* Resize, Pad, Slice of an image */
VECQ_ONEDNN_PLAN(flat);
VECQ_ONEDNN_PLAN(lstm);
VECQ_ONEDNN_PLAN(cells); /* LSTM of small batches */
VECQ_ONEDNN_PLAN(lstm_grad);

#endif
