/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reverse-mode differentiation: appends the backward pass of a program as ordinary ops.
 *
 * For every op from the loss backwards, its gradient function asks for the gradient of its outputs and adds
 * contributions to the gradients of its inputs; several contributions to one variable are added up.
 */
#ifndef VECQ_GRAPH_GRADIENT_H
#define VECQ_GRAPH_GRADIENT_H

#include "graph/program.h"

struct vecq_gradient {
    vecq_program *program;
    vecq_var **of;         /* of[var->index]: gradient so far, or NULL; n_vars entries at the start */
    unsigned char *wanted; /* wanted[var->index]: leads to a parameter (or an input asked for) */
    size_t n;              /* entries of both */
};

/* Gradient of an output of the op at work; NULL when nothing flows back to it. */
vecq_var *vecq_gradient_of(const vecq_gradient *g, const vecq_var *var);
/* Whether a contribution to this input is of any use (also 0 for NULL). */
int vecq_gradient_wanted(const vecq_gradient *g, const vecq_var *var);
/* Adds a contribution of var's shape. Ignored when it is not wanted. */
vecq_status vecq_gradient_add(vecq_gradient *g, const vecq_var *var, vecq_var *contribution, vecq_error *err);
/* The same where the forward op broadcast var to the contribution's shape: sums it back first. */
vecq_status vecq_gradient_add_broadcast(vecq_gradient *g, const vecq_var *var, vecq_var *contribution,
                                        vecq_error *err);
/* vecq_program_op() with op->forward set and a name derived from it. */
vecq_status vecq_gradient_op(vecq_gradient *g, const vecq_op *forward, vecq_op_kind kind,
                             vecq_var *const *inputs, size_t n_inputs, const void *params,
                             size_t params_bytes, size_t n_outputs, vecq_op **out, vecq_error *err);

/*
 * Differentiates `loss` (one element). `with` are the variables whose gradients are asked for (parameters, or
 * inputs in tests); gradients[i] is NULL where the loss does not depend on with[i], else a variable marked as
 * an output. VECQ_ERR_UNSUPPORTED names the first op on the way that has no gradient.
 */
vecq_status vecq_program_differentiate(vecq_program *program, vecq_var *loss, vecq_var *const *with,
                                       size_t n_with, vecq_var **gradients, vecq_error *err);

#endif
