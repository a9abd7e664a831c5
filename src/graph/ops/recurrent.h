/* SPDX-License-Identifier: Apache-2.0 */
/* What the recurrent operators have in common: lowering, shapes, gradients. */
#ifndef VECQ_GRAPH_OPS_RECURRENT_H
#define VECQ_GRAPH_OPS_RECURRENT_H

#include "graph/gradient.h"
#include "graph/lower.h"

/* A recurrent node of ONNX: its attributes, and its inputs in the layout of a program. */
typedef struct vecq_recurrent {
    vecq_lstm_direction direction;
    int64_t hidden, directions;
    int batch_first;    /* layout = 1 */
    vecq_var *x;        /* [T, B, I] */
    vecq_var *bias;     /* or NULL */
    vecq_var *state[2]; /* initial h, c: [D, B, H], or NULL: zeros */
} vecq_recurrent;

/* Whether a node has nothing that LSTM and GRU do not cover: other activations than `activations` (n of them
 * for each direction), clip, input_forget, peepholes, sequences shorter than x. */
int vecq_recurrent_is_usual(const vecq_node *node, vecq_var *const *in, const char *const *activations,
                            size_t n);
/* The node as a Recurrent op, which covers everything but is slow and has no gradient. */
vecq_status vecq_recurrent_general(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                   vecq_cell_kind kind, vecq_var **out, vecq_error *err);

/*
 * Reads x, W, R, B, sequence_lens, initial_h and (n_states 2) initial_c of inputs 0 to 6.
 */
vecq_status vecq_recurrent_read(vecq_lower *l, const vecq_node *node, vecq_var *const *in, unsigned n_states,
                                vecq_recurrent *out, vecq_error *err);

/* y [T, D, B, H] and states [D, B, H] as the node's outputs: transposed where the batch comes first. */
vecq_status vecq_recurrent_output(vecq_lower *l, const vecq_node *node, const vecq_recurrent *r, vecq_var *y,
                                  vecq_var *const *states, unsigned n_states, vecq_var **out,
                                  vecq_error *err);

/*
 * The ops themselves, with `gates` gates and `n_states` states (h, or h and c):
 *
 *     x, w, r, b, states... -> y [T, D, B, H], last states... [D, B, H], workspace [(gates + 1) * elements of
 * y] those inputs and outputs, dy, dstates... -> dx, dw, dr, db, dstates...
 *
 * Shapes: x [T, B, I], w [D, gates * H, I], r [D, gates * H, H], b [D, 2 * gates * H], states [D, B, H].
 */
vecq_status vecq_recurrent_shape(vecq_op *op, vecq_lstm_direction direction, int64_t hidden, int64_t gates,
                                 size_t n_states, vecq_error *err);
vecq_status vecq_recurrent_gradient(vecq_gradient *g, const vecq_op *op, vecq_op_kind kind,
                                    size_t params_bytes, size_t n_states, vecq_error *err);
/* Gradients are like the inputs, whether these are there or not. */
vecq_status vecq_recurrent_grad_shape(vecq_op *op, size_t n_states, vecq_error *err);

#endif
