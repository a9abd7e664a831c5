/* SPDX-License-Identifier: Apache-2.0 */
/* Where lowering inserts quantizers. */
#ifndef VECQ_GRAPH_OPS_QUANTIZED_H
#define VECQ_GRAPH_OPS_QUANTIZED_H

#include "graph/lower.h"

/* The quantized form of a weight. */
vecq_status vecq_lower_quantized_weight(vecq_lower *l, const vecq_plan_item *item, vecq_var *w,
                                        vecq_var **out, vecq_error *err);
/* The quantized form of data that `node` reads as input `input`; one for each variable. */
vecq_status vecq_lower_quantized_activation(vecq_lower *l, const vecq_node *node, size_t input, vecq_var *x,
                                            vecq_var **out, vecq_error *err);

#endif
