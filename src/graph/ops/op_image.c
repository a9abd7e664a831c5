/* SPDX-License-Identifier: Apache-2.0 */
/* Experimental operators of early converters, which later versions of ONNX dropped: ImageScaler, Crop,
 * Affine. */
#include "graph/ops/op_util.h"

/* y = scale * x + bias[channel] */
vecq_status vecq_lower_image_scaler(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                    vecq_error *err)
{
    const vecq_attr *bias = vecq_node_attr(node, "bias");
    const char *name = vecq_node_label(node);
    int64_t dims[3] = {0, 1, 1};
    vecq_var *scaled, *constant;
    vecq_tensor tensor;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    if (in[0]->rank != 4 || !vecq_var_is_float(in[0]))
        return vecq_op_fail(err, "the input must be float with four dimensions");
    dims[0] = in[0]->dims[1];
    if (bias != NULL && (bias->type != VECQ_ATTR_FLOATS || bias->n != (size_t)dims[0]))
        return vecq_op_fail(err, "bias does not have an entry for each of %lld channels", (long long)dims[0]);
    VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_MUL, name, in[0],
                                    (double)vecq_node_attr_float(node, "scale", 1), &scaled, err));
    if (bias == NULL) {
        out[0] = scaled;
        return VECQ_OK;
    }
    VECQ_TRY(vecq_tensor_create(VECQ_DT_FLOAT, 3, dims, &tensor, err));
    memcpy(tensor.data, bias->floats, tensor.n_bytes);
    VECQ_TRY(vecq_program_constant(l->program, name, &tensor, &constant, err));
    return vecq_program_op2(l->program, VECQ_OP_ADD, name, scaled, constant, NULL, 0, &out[0], err);
}

/* border: left, top, right, bottom; scale (if given): height and width that remain from the left upper corner
 */
vecq_status vecq_lower_crop(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    vecq_slice_params params = {.step = {1, 1, 1, 1}};
    int64_t border[4], size[2];
    unsigned a;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    if (in[0]->rank != 4)
        return vecq_op_fail(err, "the input must have four dimensions");
    VECQ_TRY(vecq_lower_attr_ints(node, "border", 0, 4, border, err));
    VECQ_TRY(vecq_lower_attr_ints(node, "scale", -1, 2, size, err));
    for (a = 0; a < 4; a++)
        params.length[a] = in[0]->dims[a];
    for (a = 0; a < 2; a++) {
        int64_t begin = border[1 - a], end = border[3 - a], length = in[0]->dims[2 + a];

        if (begin < 0 || end < 0 || begin > length || end > length - begin || size[a] > length - begin)
            return vecq_op_fail(err, "a border of %lld and %lld around %lld", (long long)begin,
                                (long long)end, (long long)length);
        params.start[2 + a] = begin;
        params.length[2 + a] = size[a] >= 0 ? size[a] : length - begin - end;
    }
    return vecq_program_op1(l->program, VECQ_OP_SLICE, vecq_node_label(node), in[0], &params, sizeof params,
                            &out[0], err);
}

/* y = alpha * x + beta */
vecq_status vecq_lower_affine(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                              vecq_error *err)
{
    const char *name = vecq_node_label(node);
    vecq_var *scaled;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_MUL, name, in[0],
                                    (double)vecq_node_attr_float(node, "alpha", 1), &scaled, err));
    return vecq_lower_with_number(l, VECQ_OP_ADD, name, scaled, (double)vecq_node_attr_float(node, "beta", 0),
                                  &out[0], err);
}
