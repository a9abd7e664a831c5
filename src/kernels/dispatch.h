/* SPDX-License-Identifier: Apache-2.0 */
/* Which table of a family is used: for the dispatchers, <family>.c. */
#ifndef VECQ_KERNELS_DISPATCH_H
#define VECQ_KERNELS_DISPATCH_H

#include "vecq/cpu.h"

/* The highest level that the mask allows, this processor has, and the family has a table for (bit l of
 * `tables`: level l; ref is taken as given). A processor may lack a level below its highest one. */
static inline int vecq_kernels_level(unsigned tables)
{
    int level = (int)vecq_cpu_active();

    while (level > (int)VECQ_CPU_REF && ((tables >> level & 1u) == 0 || !vecq_cpu_has((vecq_cpu_level)level)))
        level--;
    return level;
}

#endif
