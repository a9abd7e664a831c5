/* SPDX-License-Identifier: Apache-2.0 */
/* Activations rounded to 8 bits by ranges that are measured in the run. Inserted by graph/rounding. */
#include "graph/ops/op_util.h"

vecq_status vecq_op_quantize_dynamic_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_dynamic_params *params = op->params;
    const vecq_var *x = op->inputs[0];

    (void)program;
    if (x->dtype != VECQ_DT_FLOAT)
        return vecq_op_fail(err, "it takes float32, not %s", vecq_dtype_name(x->dtype));
    if (params == NULL || params->lead > x->rank)
        return vecq_op_fail(err, "groups of %u axes of %u", params != NULL ? params->lead : 0, x->rank);
    VECQ_TRY(vecq_op_output_like(op, 0, x, err));
    op->outputs[0]->is_relu = x->is_relu;
    return VECQ_OK;
}
