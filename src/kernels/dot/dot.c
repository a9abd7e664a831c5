/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: the only file of the family that asks which instruction set is in use. */
#include "kernels/dot/dot_common.h"

#include "kernels/dispatch.h"

#define VECQ_DOT_LEVEL(level, table) extern const vecq_dot_kernels table;
#include "kernels/dot/dot.def"

static const vecq_dot_kernels *const dot_tables[VECQ_CPU_LEVELS] = {
#define VECQ_DOT_LEVEL(level, table) [level] = &(table),
#include "kernels/dot/dot.def"
};

static const unsigned dot_levels = 0
#define VECQ_DOT_LEVEL(level, table) | 1u << (level)
#include "kernels/dot/dot.def"
    ;

size_t vecq_dot_units(const vecq_dot_weight *w)
{
    return dot_units(w);
}

unsigned vecq_dot_unit_rows(unsigned bits)
{
    return dot_unit_rows(bits);
}

const vecq_dot_kernels *vecq_dot_kernels_at(int level)
{
    return level >= 0 && level < (int)VECQ_CPU_LEVELS ? dot_tables[level] : NULL;
}

const vecq_dot_kernels *vecq_dot_kernels_active(void)
{
    return dot_tables[vecq_kernels_level(dot_levels)];
}
