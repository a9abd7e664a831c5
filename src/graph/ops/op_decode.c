/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights in a program: their fields and scales as constants, and the op that decodes them. */
#include "graph/ops/decode.h"
#include "graph/ops/op_util.h"

vecq_status vecq_op_decode_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_decode_params *params = op->params;
    const vecq_var *scale = op->inputs[0];
    unsigned f;

    (void)program;
    if (op->n_inputs != params->layout.strips.n_fields + 1u)
        return vecq_op_fail(err, "%zu fields for %u bits", op->n_inputs - 1, params->layout.bits);
    if (scale == NULL || scale->dtype != VECQ_DT_FLOAT || scale->count != params->layout.n_slices)
        return vecq_op_fail(err, "the scales do not fit");
    for (f = 0; f < params->layout.strips.n_fields; f++) {
        const vecq_var *field = op->inputs[f + 1];

        if (field == NULL || field->dtype != VECQ_DT_UINT8 ||
            field->count != params->layout.strips.field[f].n_bytes)
            return vecq_op_fail(err, "field %u does not fit", f);
    }
    VECQ_TRY(vecq_op_set_output(op, 0, VECQ_DT_FLOAT, params->rank, params->dims, err));
    if (op->outputs[0]->count != params->layout.count)
        return vecq_op_fail(err, "a shape of %zu elements for %zu weights", op->outputs[0]->count,
                            params->layout.count);
    return VECQ_OK;
}

vecq_status vecq_lower_packed(vecq_lower *l, const vecq_value *value, vecq_var **out, vecq_error *err)
{
    const vecq_const *constant = value->constant;
    const vecq_packed *packed = constant->packed;
    vecq_decode_params params = {.layout = packed->layout, .rank = constant->rank};
    vecq_var *inputs[1 + VECQ_FIELDS_MAX];
    vecq_op *op;
    unsigned f;

    memcpy(params.dims, constant->dims, sizeof params.dims);
    VECQ_TRY(vecq_lower_const(l, value->name, packed->scale, &inputs[0], err));
    for (f = 0; f < packed->layout.strips.n_fields; f++)
        VECQ_TRY(vecq_lower_const(l, value->name, packed->field[f], &inputs[f + 1], err));
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_DECODE, value->name, inputs,
                             packed->layout.strips.n_fields + 1, &params, sizeof params, 0, &op, err));
    *out = op->outputs[0];
    return VECQ_OK;
}

int vecq_packed_moves(const vecq_node *node)
{
    static const char *const kinds[] = {"Reshape",   "Transpose", "Squeeze",
                                        "Unsqueeze", "Flatten",   "Identity"};
    size_t i;

    for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (vecq_node_is(node, kinds[i]))
            return 1;
    return 0;
}
