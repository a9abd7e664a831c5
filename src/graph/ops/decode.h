/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights that reach a program as they are. */
#ifndef VECQ_GRAPH_OPS_DECODE_H
#define VECQ_GRAPH_OPS_DECODE_H

#include "graph/lower.h"

/* A node that gives the elements of its first input another order or shape and changes none. */
int vecq_packed_moves(const vecq_node *node);

/* The Decode op of a value with a packed constant. */
vecq_status vecq_lower_packed(vecq_lower *l, const vecq_value *value, vecq_var **out, vecq_error *err);

#endif
