/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights that reach a program as they are. */
#ifndef VECQ_GRAPH_OPS_DECODE_H
#define VECQ_GRAPH_OPS_DECODE_H

#include "graph/lower.h"

/* A node that gives the elements of its first input another order or shape and changes none. */
int vecq_packed_moves(const vecq_node *node);

/* The weight that a DequantizeLinear of constant bytes makes, if it can be one: its zero point is in the
 * middle, and it has one scale, or one for each index of the first axis. NULL: it cannot. */
vecq_status vecq_packed_linear(vecq_lower *l, const vecq_node *node, const vecq_packed **out,
                               vecq_error *err);

/* The Decode op of a value that is such a weight, or a packed constant. */
vecq_status vecq_lower_packed(vecq_lower *l, const vecq_value *value, const vecq_packed *packed,
                              vecq_var **out, vecq_error *err);

#endif
