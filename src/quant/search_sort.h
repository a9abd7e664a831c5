/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting of absolute weights for the step search. */
#ifndef VECQ_QUANT_SEARCH_SORT_H
#define VECQ_QUANT_SEARCH_SORT_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) vecq_sort_key; /* lies where floats will be read */

#define VECQ_SEARCH_LARGE 32768u /* slices from here on are out of the first caches: memory before speed */

/* Keys of room that the sort needs beside the result: n, and for large slices a small part of that unless all
 * weights are about as large. */
size_t vecq_search_sort_spare(const float *w, size_t n);

/* keys[n] = the bit patterns of |w[n]|, ascending (for floats >= 0 the order of the values). spare is
 * overwritten. */
void vecq_search_sort(const float *w, size_t n, vecq_sort_key *keys, vecq_sort_key *spare);

#endif
