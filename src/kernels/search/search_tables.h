/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the single instruction sets; only the dispatcher and these files know them. */
#ifndef VECQ_KERNELS_SEARCH_TABLES_H
#define VECQ_KERNELS_SEARCH_TABLES_H

#include "kernels/search/search.h"

extern const vecq_search_kernels vecq_search_kernels_ref;
extern const vecq_search_kernels vecq_search_kernels_avx2;
extern const vecq_search_kernels vecq_search_kernels_avx512;

#endif
