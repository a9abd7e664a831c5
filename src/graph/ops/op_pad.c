/* SPDX-License-Identifier: Apache-2.0 */
/* Pad and its gradient. Negative numbers cut off; what is reflected or repeated is what the cut left. */
#include "graph/ops/op_util.h"

#define PAD_FAR ((int64_t)1 << 47)

/* Whether an axis of `size` can be padded like this; the length that comes of it. */
static vecq_status pad_axis(const vecq_pad_params *params, unsigned a, int64_t size, int64_t *length,
                            vecq_error *err)
{
    int64_t begin = params->begin[a], end = params->end[a], kept = size;

    if (begin > PAD_FAR || begin < -PAD_FAR || end > PAD_FAR || end < -PAD_FAR)
        return vecq_op_fail(err, "a padding of %lld, %lld", (long long)begin, (long long)end);
    kept += (begin < 0 ? begin : 0) + (end < 0 ? end : 0);
    if (kept < 0 || (kept == 0 && params->mode != VECQ_PAD_CONSTANT && (begin > 0 || end > 0)))
        return vecq_op_fail(err, "padding %lld, %lld leaves nothing of axis %u (%lld)", (long long)begin,
                            (long long)end, a, (long long)size);
    *length = size + begin + end;
    return VECQ_OK;
}

vecq_status vecq_op_pad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_pad_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    int64_t dims[VECQ_MAX_RANK];
    unsigned a;

    (void)program;
    if (!vecq_var_is_float(x))
        return vecq_op_fail(err, "an input of type %s", vecq_dtype_name(x->dtype));
    for (a = 0; a < x->rank; a++)
        VECQ_TRY(pad_axis(params, a, x->dims[a], &dims[a], err));
    op->outputs[0]->is_relu = x->is_relu && (params->mode != VECQ_PAD_CONSTANT || params->value >= 0);
    return vecq_op_set_output(op, 0, x->dtype, x->rank, dims, err);
}

/* dy -> dx */
vecq_status vecq_op_pad_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_op *forward = op->forward;

    (void)program;
    if (forward == NULL || !vecq_var_same_shape(op->inputs[0], forward->outputs[0]))
        return vecq_op_fail(err, "not the shape of its forward op");
    return vecq_op_output_like(op, 0, forward->inputs[0], err);
}

/* With a constant it is the same op with the signs turned: zeros where elements were cut off. */
vecq_status vecq_op_pad_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_pad_params params = *(const vecq_pad_params *)op->params;
    vecq_op_kind kind = VECQ_OP_PAD_GRAD;
    vecq_var *dx;
    unsigned a;

    if (params.mode == VECQ_PAD_CONSTANT) {
        kind = VECQ_OP_PAD;
        params.value = 0;
        for (a = 0; a < op->inputs[0]->rank; a++) {
            params.begin[a] = -params.begin[a];
            params.end[a] = -params.end[a];
        }
    }
    VECQ_TRY(
        vecq_grad_op1(g, op, kind, vecq_gradient_of(g, op->outputs[0]), &params, sizeof params, &dx, err));
    return vecq_gradient_add(g, op->inputs[0], dx, err);
}

/* ---- from ONNX ---- */

/* pads: attribute, from version 11 an input; of the axes of input 3 (version 18). */
static vecq_status pad_read(const vecq_node *node, vecq_var *const *in, vecq_pad_params *params,
                            vecq_error *err)
{
    int64_t pads[2 * VECQ_MAX_RANK], axes[VECQ_MAX_RANK];
    size_t n, n_axes = in[0]->rank, i;
    unsigned a, seen = 0;

    if (node->version >= 11) {
        VECQ_TRY(
            vecq_lower_ints(node->n_inputs > 1 ? in[1] : NULL, "pads", pads, 2 * VECQ_MAX_RANK, &n, err));
    } else {
        const vecq_attr *attr = vecq_node_attr(node, "pads");

        if (attr == NULL || attr->type != VECQ_ATTR_INTS || attr->n > 2 * VECQ_MAX_RANK)
            return vecq_op_fail(err, "attribute 'pads' is no list of integers");
        n = attr->n;
        if (n > 0)
            memcpy(pads, attr->ints, n * sizeof *pads);
    }
    for (i = 0; i < n_axes; i++)
        axes[i] = (int64_t)i;
    if (node->version >= 18 && node->n_inputs > 3 && in[3] != NULL)
        VECQ_TRY(vecq_lower_ints(in[3], "axes", axes, VECQ_MAX_RANK, &n_axes, err));
    if (n != 2 * n_axes)
        return vecq_op_fail(err, "%zu paddings for %zu axes", n, n_axes);
    for (i = 0; i < n_axes; i++) {
        VECQ_TRY(vecq_lower_axis(axes[i], in[0]->rank, &a, err));
        if ((seen >> a & 1u) != 0)
            return vecq_op_fail(err, "axis %u is named twice", a);
        seen |= 1u << a;
        params->begin[a] = pads[i];
        params->end[a] = pads[n_axes + i];
    }
    return VECQ_OK;
}

vecq_status vecq_lower_pad(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap", NULL};
    vecq_pad_params params = {.mode = VECQ_PAD_CONSTANT};
    const char *name = vecq_node_label(node);
    vecq_var *x;
    size_t n = 0;
    int mode, any = 0;
    unsigned a;

    VECQ_TRY(vecq_lower_need(node, in, 1, 4, err));
    VECQ_TRY(vecq_lower_attr_string(node, "mode", modes, &mode, err));
    params.mode = (vecq_pad_mode)mode;
    VECQ_TRY(pad_read(node, in, &params, err));
    if (node->version >= 11) {
        VECQ_TRY(vecq_lower_floats(node->n_inputs > 2 ? in[2] : NULL, "constant_value", &params.value, 1, &n,
                                   err));
        params.value = n > 0 ? params.value : 0;
    } else {
        params.value = (double)vecq_node_attr_float(node, "value", 0);
    }
    for (a = 0; a < in[0]->rank; a++)
        any |= params.begin[a] != 0 || params.end[a] != 0;
    if (!any) {
        out[0] = in[0];
        return VECQ_OK;
    }
    VECQ_TRY(vecq_lower_widen(l, name, in[0], &x, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_PAD, name, x, &params, sizeof params, &x, err));
    return vecq_lower_narrow(l, name, x, in[0], &out[0], err);
}
