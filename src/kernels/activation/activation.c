/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: the only file of the family that asks which instruction set is in use. */
#include "kernels/activation/activation.h"

#include "vecq/cpu.h"

#define VECQ_ACTIVATION_LEVEL(level, table) extern const vecq_activation_kernels table;
#include "kernels/activation/activation.def"

static const vecq_activation_kernels *const activation_tables[VECQ_CPU_LEVELS] = {
#define VECQ_ACTIVATION_LEVEL(level, table) [level] = &(table),
#include "kernels/activation/activation.def"
};

const vecq_activation_kernels *vecq_activation_kernels_at(int level)
{
    return level >= 0 && level < (int)VECQ_CPU_LEVELS ? activation_tables[level] : NULL;
}

const vecq_activation_kernels *vecq_activation_kernels_active(void)
{
    const vecq_activation_kernels *table = vecq_activation_kernels_at((int)vecq_cpu_active());

    return table != NULL ? table : activation_tables[VECQ_CPU_REF];
}
