/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: the only file of the family that asks which instruction set is in use. */
#include "kernels/image/image.h"

#include "kernels/dispatch.h"

#define VECQ_IMAGE_LEVEL(level, table) extern const vecq_image_kernels table;
#include "kernels/image/image.def"

static const vecq_image_kernels *const image_tables[VECQ_CPU_LEVELS] = {
#define VECQ_IMAGE_LEVEL(level, table) [level] = &(table),
#include "kernels/image/image.def"
};

static const unsigned image_levels = 0
#define VECQ_IMAGE_LEVEL(level, table) | 1u << (level)
#include "kernels/image/image.def"
    ;

const vecq_image_kernels *vecq_image_kernels_at(int level)
{
    return level >= 0 && level < (int)VECQ_CPU_LEVELS ? image_tables[level] : NULL;
}

const vecq_image_kernels *vecq_image_kernels_active(void)
{
    return image_tables[vecq_kernels_level(image_levels)];
}
