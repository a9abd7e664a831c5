/* SPDX-License-Identifier: Apache-2.0 */
/* Model size as the paper counts it: biases with the kernels, batch normalization in float, scales not at
 * all. */
#include "vecq/quant.h"

double vecq_paper_size_mib(uint64_t quantized, uint64_t kept, unsigned bits)
{
    return ((double)quantized * (double)bits / 8.0 + 4.0 * (double)kept) / 1048576.0;
}
