/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to the first output of an op before it is stored: perhaps another tensor of its shape is
 * added, then perhaps a function of one number follows. graph/simplify.h fuses ops of an inference program
 * into it; ops that are trained have none.
 *
 * Conv, ConvTranspose, Gemm and MatMul may have both parts, Add, BatchNorm and GroupNorm only the activation.
 * The operand of the residual is the last input of the op and stands behind all inputs that its kind has;
 * those omitted before it are NULL. So inputs[2] of a Conv is its bias or NULL, and inputs[3] the residual.
 */
#ifndef VECQ_GRAPH_POST_H
#define VECQ_GRAPH_POST_H

#include "graph/program.h"

/* Functions of one number that a post may end with; a and b as in vecq_unary_params. */
typedef enum vecq_post_activation {
    VECQ_POST_NONE,
    VECQ_POST_RELU,         /* max(x, 0) */
    VECQ_POST_LEAKY_RELU,   /* x < 0 ? a x : x */
    VECQ_POST_CLIP,         /* min(max(x, a), b) */
    VECQ_POST_SIGMOID,      /* 1 / (1 + e^-x) */
    VECQ_POST_TANH,         /* tanh x */
    VECQ_POST_HARD_SIGMOID, /* min(max(a x + b, 0), 1) */
    VECQ_POST_HARD_SWISH,   /* x min(max(x / 6 + 1/2, 0), 1) */
    VECQ_POST_SILU,         /* x / (1 + e^-x) */
    VECQ_POST_GELU,         /* x (1 + erf(x / sqrt 2)) / 2 */
    VECQ_POST_COUNT
} vecq_post_activation;

typedef struct vecq_post {
    int has_residual; /* the last input of the op is added first */
    vecq_post_activation activation;
    double a, b;
} vecq_post;

/* Inputs of the op without the residual. */
size_t vecq_op_data_inputs(const vecq_op *op);
/* The residual, or NULL. */
vecq_var *vecq_op_residual(const vecq_op *op);
/* Whether ops of this kind may have a post at all. */
int vecq_op_takes_post(vecq_op_kind kind);
/* Whether that may have a residual. */
int vecq_op_takes_residual(vecq_op_kind kind);

/*
 * Gives an op without a post one, as part of its program: `params` of the activation may be NULL when it has
 * none, `residual` too. VECQ_ERR_USAGE when the op takes no such post or the residual has another shape.
 */
vecq_status vecq_op_set_post(vecq_op *op, vecq_post_activation activation, const vecq_unary_params *params,
                             vecq_var *residual, vecq_error *err);

/* The op that is the activation (VECQ_OP_COUNT for none), and the other way round (VECQ_POST_NONE: none). */
vecq_op_kind vecq_post_op(vecq_post_activation activation);
vecq_post_activation vecq_post_of_op(vecq_op_kind kind);

/* "", "+ residual", "Relu", "+ residual, Clip(0, 6)" into text[64]; post may be NULL. */
const char *vecq_post_text(const vecq_post *post, char text[64]);

#endif
