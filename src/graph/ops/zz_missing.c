/* SPDX-License-Identifier: Apache-2.0 */
/* Scaffolding while operators are being written; goes away with the last of them. Last by name, so that linkers
 * find what is written first in the static library. */
#include "base/status.h"
#include "graph/gradient.h"

#define VECQ_OP(symbol, title, stem, n_in_min, n_in_max, n_out, flags)                                       \
    __attribute__((weak)) vecq_status vecq_op_##stem##_shape(vecq_program *p, vecq_op *op, vecq_error *err)  \
    {                                                                                                        \
        (void)p;                                                                                             \
        (void)op;                                                                                            \
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "missing");                                         \
    }                                                                                                        \
    __attribute__((weak)) vecq_status vecq_op_##stem##_gradient(vecq_gradient *g, const vecq_op *op,         \
                                                                vecq_error *err)                             \
    {                                                                                                        \
        (void)g;                                                                                             \
        (void)op;                                                                                            \
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "missing");                                         \
    }
#include "graph/ops.def"
#undef VECQ_OP

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
