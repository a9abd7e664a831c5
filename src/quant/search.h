/* SPDX-License-Identifier: Apache-2.0 */
/* The exact minimiser of the orientation loss over the step (design: docs/methods/search.md). */
#ifndef VECQ_QUANT_SEARCH_H
#define VECQ_QUANT_SEARCH_H

#include <stddef.h>

#include "vecq/status.h"

typedef struct vecq_search_result {
    double step;     /* strictly inside the interval of steps that give the optimal codes */
    double vw, vv;   /* <v,w>, <v,v> of the optimal codes; as computed by the search */
    size_t n_states; /* states evaluated: for benches and tests */
} vecq_search_result;

/*
 * No step s > 0 gives a smaller J_o (beyond 1e-12 relative) than the one returned. `sigma` is only a hint for
 * the first guess. Finite w, not all zero, n > 0, bits 2..16. Deterministic: the same step at every instruction
 * set and thread count. Memory: about 24 bytes a weight, from vecq_alloc.
 */
vecq_status vecq_search_step(const float *w, size_t n, unsigned bits, unsigned threads, vecq_search_result *out,
                             vecq_error *err);

#endif
