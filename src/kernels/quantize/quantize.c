/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: the only file of the family that asks which instruction set is in use. */
#include "kernels/quantize/quantize.h"

#include "kernels/dispatch.h"

#define VECQ_QUANTIZE_LEVEL(level, table) extern const vecq_quantize_kernels table;
#include "kernels/quantize/quantize.def"

static const vecq_quantize_kernels *const quantize_tables[VECQ_CPU_LEVELS] = {
#define VECQ_QUANTIZE_LEVEL(level, table) [level] = &(table),
#include "kernels/quantize/quantize.def"
};

static const unsigned quantize_levels = 0
#define VECQ_QUANTIZE_LEVEL(level, table) | 1u << (level)
#include "kernels/quantize/quantize.def"
    ;

const vecq_quantize_kernels *vecq_quantize_kernels_at(int level)
{
    return level >= 0 && level < (int)VECQ_CPU_LEVELS ? quantize_tables[level] : NULL;
}

const vecq_quantize_kernels *vecq_quantize_kernels_active(void)
{
    return quantize_tables[vecq_kernels_level(quantize_levels)];
}
