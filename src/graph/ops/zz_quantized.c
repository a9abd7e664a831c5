/* SPDX-License-Identifier: Apache-2.0 */
/* Scaffolding until the quantizers of programs are there. */
#include "graph/ops/quantized.h"
__attribute__((weak)) vecq_status vecq_lower_quantized_weight(vecq_lower *l, const vecq_plan_item *item,
                                                              vecq_var *w, vecq_var **out, vecq_error *err)
{
    (void)l;
    (void)item;
    (void)err;
    *out = w;
    return VECQ_OK;
}
__attribute__((weak)) vecq_status vecq_lower_quantized_activation(vecq_lower *l, const vecq_node *node,
                                                                  size_t input, vecq_var *x, vecq_var **out,
                                                                  vecq_error *err)
{
    (void)l;
    (void)node;
    (void)input;
    (void)err;
    *out = x;
    return VECQ_OK;
}
