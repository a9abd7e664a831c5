/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: the only file of the family that asks which instruction set is in use. */
#include "kernels/gates/gates.h"

#include "kernels/dispatch.h"

#define VECQ_GATES_LEVEL(level, table) extern const vecq_gates_kernels table;
#include "kernels/gates/gates.def"

static const vecq_gates_kernels *const gates_tables[VECQ_CPU_LEVELS] = {
#define VECQ_GATES_LEVEL(level, table) [level] = &(table),
#include "kernels/gates/gates.def"
};

static const unsigned gates_levels = 0
#define VECQ_GATES_LEVEL(level, table) | 1u << (level)
#include "kernels/gates/gates.def"
    ;

const vecq_gates_kernels *vecq_gates_kernels_at(int level)
{
    return level >= 0 && level < (int)VECQ_CPU_LEVELS ? gates_tables[level] : NULL;
}

const vecq_gates_kernels *vecq_gates_kernels_active(void)
{
    return gates_tables[vecq_kernels_level(gates_levels)];
}
