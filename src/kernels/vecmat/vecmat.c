/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: the only file of the family that asks which instruction set is in use. */
#include "kernels/vecmat/vecmat.h"

#include "kernels/dispatch.h"

#define VECQ_VECMAT_LEVEL(level, table) extern const vecq_vecmat_kernels table;
#include "kernels/vecmat/vecmat.def"

static const vecq_vecmat_kernels *const vecmat_tables[VECQ_CPU_LEVELS] = {
#define VECQ_VECMAT_LEVEL(level, table) [level] = &(table),
#include "kernels/vecmat/vecmat.def"
};

static const unsigned vecmat_levels = 0
#define VECQ_VECMAT_LEVEL(level, table) | 1u << (level)
#include "kernels/vecmat/vecmat.def"
    ;

const vecq_vecmat_kernels *vecq_vecmat_kernels_at(int level)
{
    return level >= 0 && level < (int)VECQ_CPU_LEVELS ? vecmat_tables[level] : NULL;
}

const vecq_vecmat_kernels *vecq_vecmat_kernels_active(void)
{
    return vecmat_tables[vecq_kernels_level(vecmat_levels)];
}
