/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: the only file of the family that asks which instruction set is in use. */
#include "kernels/nhwc/nhwc.h"

#include "kernels/dispatch.h"

#define VECQ_NHWC_LEVEL(level, table) extern const vecq_nhwc_kernels table;
#include "kernels/nhwc/nhwc.def"

static const vecq_nhwc_kernels *const nhwc_tables[VECQ_CPU_LEVELS] = {
#define VECQ_NHWC_LEVEL(level, table) [level] = &(table),
#include "kernels/nhwc/nhwc.def"
};

static const unsigned nhwc_levels = 0
#define VECQ_NHWC_LEVEL(level, table) | 1u << (level)
#include "kernels/nhwc/nhwc.def"
    ;

const vecq_nhwc_kernels *vecq_nhwc_kernels_at(int level)
{
    return level >= 0 && level < (int)VECQ_CPU_LEVELS ? nhwc_tables[level] : NULL;
}

const vecq_nhwc_kernels *vecq_nhwc_kernels_active(void)
{
    return nhwc_tables[vecq_kernels_level(nhwc_levels)];
}
