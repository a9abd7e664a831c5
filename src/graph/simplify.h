/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simplifying a program that is only run: fewer ops, the same results (to rounding).
 *
 *   - what is multiplied by or added to the result of a Conv, ConvTranspose, Gemm or MatMul, channel by
 * channel (batch normalisation, Mul, Div, Add, Sub by constants), goes into constant weights and biases;
 *   - a sum and an activation after such an op become its post (graph/post.h), and the activation after an
 * Add or a normalization;
 *   - products of gates become one op: x * sigmoid(x) Silu, x * hard sigmoid(x) HardSwish, the forms of Gelu;
 *   - LayerNormalization written out becomes one op, constant rows after it its scale and bias;
 *   - zeros put around an image go into the padding of the Conv or pooling that reads it;
 *   - ops that change nothing go away: chains of Reshape and Transpose, empty Slice, Pad, Cast, Expand, ...;
 *   - ops nobody reads.
 *
 * An op is taken away only if nobody else reads what it made and that is no output. The variables of the
 * outputs stay the same. Float constants are folded in double and rounded once; other weights than constants
 * (parameters that are trained beside this program, computed ones) are left as they are.
 */
#ifndef VECQ_GRAPH_SIMPLIFY_H
#define VECQ_GRAPH_SIMPLIFY_H

#include "graph/program.h"

typedef struct vecq_simplify_options {
    int keep_weights; /* nothing is folded into weights and biases */
    int keep_posts;   /* no op gets a post */
} vecq_simplify_options;

typedef struct vecq_simplify_counts {
    size_t folded;  /* ops that went into weights, biases and paddings */
    size_t fused;   /* ops that became part of another op: posts, gates */
    size_t removed; /* ops that changed nothing */
} vecq_simplify_counts;

/*
 * After lowering, with the outputs marked and before a plan is made. options and counts may be NULL. The
 * program must not have a backward pass. On failure (memory) the program is whole but may be half simplified.
 */
vecq_status vecq_program_simplify(vecq_program *program, const vecq_simplify_options *options,
                                  vecq_simplify_counts *counts, vecq_error *err);

#endif
