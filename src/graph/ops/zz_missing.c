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

