/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: the only file of the family that asks which instruction set is in use. */
#include "kernels/activation/activation.h"

#include "kernels/dispatch.h"

#define VECQ_ACTIVATION_LEVEL(level, table) extern const vecq_activation_kernels table;
#include "kernels/activation/activation.def"

static const vecq_activation_kernels *const activation_tables[VECQ_CPU_LEVELS] = {
#define VECQ_ACTIVATION_LEVEL(level, table) [level] = &(table),
#include "kernels/activation/activation.def"
};

static const unsigned activation_levels = 0
#define VECQ_ACTIVATION_LEVEL(level, table) | 1u << (level)
#include "kernels/activation/activation.def"
    ;

const vecq_activation_kernels *vecq_activation_kernels_at(int level)
{
    return level >= 0 && level < (int)VECQ_CPU_LEVELS ? activation_tables[level] : NULL;
}

const vecq_activation_kernels *vecq_activation_kernels_active(void)
{
    return activation_tables[vecq_kernels_level(activation_levels)];
}
