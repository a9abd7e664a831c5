/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: the only file of the family that asks which instruction set is in use. */
#include "kernels/peak/peak.h"

#include "kernels/dispatch.h"

#define VECQ_PEAK_LEVEL(level, table) extern const vecq_peak_kernels table;
#include "kernels/peak/peak.def"

static const vecq_peak_kernels *const peak_tables[VECQ_CPU_LEVELS] = {
#define VECQ_PEAK_LEVEL(level, table) [level] = &(table),
#include "kernels/peak/peak.def"
};

static const unsigned peak_levels = 0
#define VECQ_PEAK_LEVEL(level, table) | 1u << (level)
#include "kernels/peak/peak.def"
    ;

const vecq_peak_kernels *vecq_peak_kernels_at(int level)
{
    return level >= 0 && level < (int)VECQ_CPU_LEVELS ? peak_tables[level] : NULL;
}

const vecq_peak_kernels *vecq_peak_kernels_active(void)
{
    return peak_tables[vecq_kernels_level(peak_levels)];
}
