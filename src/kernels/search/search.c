/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/search/search.h"

#include "kernels/dispatch.h"
#include "kernels/search/search_tables.h"

/* NEON has no gather, so the plain C searches are as good there: that level shares the table of ref. */
const vecq_search_kernels *vecq_search_kernels_at(int level)
{
    switch (level) {
    case VECQ_CPU_REF:
        return &vecq_search_kernels_ref;
#if defined(__x86_64__)
    case VECQ_CPU_AVX2:
        return &vecq_search_kernels_avx2;
    case VECQ_CPU_AVX512:
        return &vecq_search_kernels_avx512;
#elif defined(__aarch64__)
    case VECQ_CPU_NEON:
        return &vecq_search_kernels_ref;
#endif
    default:
        return NULL;
    }
}

const vecq_search_kernels *vecq_search_kernels_active(void)
{
    unsigned tables = 0;
    int level;

    for (level = 0; level < (int)VECQ_CPU_LEVELS; level++)
        tables |= vecq_search_kernels_at(level) != NULL ? 1u << level : 0u;
    return vecq_search_kernels_at(vecq_kernels_level(tables));
}
