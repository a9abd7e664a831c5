/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: the only file of the family that asks which instruction set is in use. */
#include "kernels/unpack/unpack.h"

#include "kernels/dispatch.h"

#define VECQ_UNPACK_LEVEL(level, table) extern const vecq_unpack_kernels table;
#include "kernels/unpack/unpack.def"

static const vecq_unpack_kernels *const unpack_tables[VECQ_CPU_LEVELS] = {
#define VECQ_UNPACK_LEVEL(level, table) [level] = &(table),
#include "kernels/unpack/unpack.def"
};

static const unsigned unpack_levels = 0
#define VECQ_UNPACK_LEVEL(level, table) | 1u << (level)
#include "kernels/unpack/unpack.def"
    ;

const vecq_unpack_kernels *vecq_unpack_kernels_at(int level)
{
    return level >= 0 && level < (int)VECQ_CPU_LEVELS ? unpack_tables[level] : NULL;
}

const vecq_unpack_kernels *vecq_unpack_kernels_active(void)
{
    return unpack_tables[vecq_kernels_level(unpack_levels)];
}
