/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting of absolute weights for the step search. */
#ifndef VECQ_QUANT_SEARCH_SORT_H
#define VECQ_QUANT_SEARCH_SORT_H

#include <stddef.h>
#include <stdint.h>

/* keys[n] = the bit patterns of |w[n]|, ascending (for floats >= 0 the order of the values). spare[n] is
 * overwritten. */
typedef uint32_t __attribute__((may_alias)) vecq_sort_key; /* lies where floats will be read */

void vecq_search_sort(const float *w, size_t n, vecq_sort_key *keys, vecq_sort_key *spare);

#endif
