/* SPDX-License-Identifier: Apache-2.0 */
/* The quantize pass: carries out a plan, weight by weight, with bulk results in a spool. */
#ifndef VECQ_GRAPH_QUANTIZE_H
#define VECQ_GRAPH_QUANTIZE_H

#include "base/file.h"
#include "graph/plan.h"

/*
 * Quantizes every item without a reason; those with a codebook get its codes and tables. Memory: a few arrays
 * of the size of the largest tensor. The results do not depend on `threads`. Errors name the tensor.
 */
vecq_status vecq_quantize_plan(vecq_plan *plan, const vecq_quantize_options *options, vecq_spool *spool,
                               vecq_error *err);

#endif
