/* SPDX-License-Identifier: Apache-2.0 */
/* Scaffolding while operators are being written; goes away with the last of them. Last by name, so that linkers
 * find what is written first in the static library. */
#include "backend/ref/ref.h"
#include "base/status.h"

#define VECQ_OP(symbol, title, stem, n_in_min, n_in_max, n_out, flags)                                       \
    __attribute__((weak)) vecq_status vecq_ref_##stem(const vecq_ref_call *call)                             \
    {                                                                                                        \
        return vecq_error_set(call->err, VECQ_ERR_UNSUPPORTED, "missing");                                   \
    }
#include "graph/ops.def"
#undef VECQ_OP
