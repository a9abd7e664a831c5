/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of simplifying. Each rule looks at one op; when it fits, the rule changes the program through
 * the functions below and sets *done. Ops taken out leave NULL in program->ops until the end of a round.
 */
#ifndef VECQ_GRAPH_SIMPLIFY_PRIVATE_H
#define VECQ_GRAPH_SIMPLIFY_PRIVATE_H

#include "graph/post.h"
#include "graph/simplify.h"

typedef struct vecq_simplifier {
    vecq_program *program;
    vecq_simplify_options options;
    vecq_simplify_counts counts;
} vecq_simplifier;

typedef vecq_status (*vecq_simplify_rule)(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err);

/* ---- rules ---- */

vecq_status vecq_simplify_identity(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err);
vecq_status vecq_simplify_layout(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err);
vecq_status vecq_simplify_gate(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err);
vecq_status vecq_simplify_norm(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err);
vecq_status vecq_simplify_padding(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err);
vecq_status vecq_simplify_channels(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err);
vecq_status vecq_simplify_residual(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err);
vecq_status vecq_simplify_activation(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err);

/* ---- looking ---- */

/* The op that alone reads this result, once; NULL when there are others, none, or it is an output. */
vecq_op *vecq_simplify_reader(const vecq_simplifier *s, const vecq_var *var);
/* The op of a kind that made the variable and whose result nobody else reads; NULL: another. */
vecq_op *vecq_simplify_maker(const vecq_var *var, vecq_op_kind kind);
/* The one number that a float constant of one element holds; 0: it is none. */
int vecq_simplify_number(const vecq_var *var, double *value);
/* Element i of a float constant. */
double vecq_simplify_element(const vecq_var *var, size_t i);

/* ---- changing ---- */

void vecq_simplify_set_input(vecq_op *op, size_t i, vecq_var *var);
/* Whoever reads the only result of `op` reads `as` instead (of the same type and shape), and the op goes. 0:
 * not possible, because both are seen from outside. */
int vecq_simplify_forward(vecq_simplifier *s, vecq_op *op, vecq_var *as);
/* `op` makes the only result of `later` instead of its own, and `later` goes. */
void vecq_simplify_take_over(vecq_simplifier *s, vecq_op *op, vecq_op *later);
/* Takes an op out: its inputs lose a reader. */
void vecq_simplify_remove(vecq_simplifier *s, vecq_op *op);
/* The op becomes one of another kind with these inputs and parameters (copied). */
vecq_status vecq_simplify_become(vecq_op *op, vecq_op_kind kind, vecq_var *const *inputs, size_t n,
                                 const void *params, size_t params_bytes, vecq_error *err);
/* Moves the op (whose readers come later) behind all of its inputs that are made after it: to `index`. */
void vecq_simplify_move(vecq_simplifier *s, vecq_op *op, size_t index);

#endif
