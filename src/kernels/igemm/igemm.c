/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: the only file of the family that asks which instruction set is in use. */
#include "kernels/igemm/igemm.h"

#include "kernels/dispatch.h"

#define VECQ_IGEMM_LEVEL(level, table) extern const vecq_igemm_kernels table;
#include "kernels/igemm/igemm.def"

static const vecq_igemm_kernels *const igemm_tables[VECQ_CPU_LEVELS] = {
#define VECQ_IGEMM_LEVEL(level, table) [level] = &(table),
#include "kernels/igemm/igemm.def"
};

static const unsigned igemm_levels = 0
#define VECQ_IGEMM_LEVEL(level, table) | 1u << (level)
#include "kernels/igemm/igemm.def"
    ;

const vecq_igemm_kernels *vecq_igemm_kernels_at(int level)
{
    return level >= 0 && level < (int)VECQ_CPU_LEVELS ? igemm_tables[level] : NULL;
}

const vecq_igemm_kernels *vecq_igemm_kernels_active(void)
{
    return igemm_tables[vecq_kernels_level(igemm_levels)];
}
