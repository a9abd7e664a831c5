/* SPDX-License-Identifier: Apache-2.0 */
/* Slice, and its gradient: zeros with the slice put back. */
#include "graph/ops/op_util.h"

/* Every element start + i * step, i < length, lies in an axis of `size`. */
static int slice_fits(int64_t start, int64_t step, int64_t length, int64_t size)
{
    int64_t last;

    if (length < 0 || step == 0)
        return 0;
    if (length == 0)
        return 1;
    return start >= 0 && start < size && !__builtin_mul_overflow(step, length - 1, &last) &&
           !__builtin_add_overflow(start, last, &last) && last >= 0 && last < size;
}

vecq_status vecq_op_slice_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_slice_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    unsigned a;

    (void)program;
    for (a = 0; a < x->rank; a++)
        if (!slice_fits(params->start[a], params->step[a], params->length[a], x->dims[a]))
            return vecq_op_fail(err, "%lld elements from %lld in steps of %lld of an axis of %lld",
                                (long long)params->length[a], (long long)params->start[a],
                                (long long)params->step[a], (long long)x->dims[a]);
    op->outputs[0]->is_relu = x->is_relu;
    return vecq_op_set_output(op, 0, x->dtype, x->rank, params->length, err);
}

vecq_status vecq_op_slice_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_slice_params params = *(const vecq_slice_params *)op->params;
    const vecq_var *x = op->inputs[0];
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]);
    vecq_op *back;

    if (dy == NULL || !vecq_gradient_wanted(g, x))
        return VECQ_OK;
    memcpy(params.full, x->dims, sizeof params.full);
    VECQ_TRY(vecq_gradient_op(g, op, VECQ_OP_SLICE_GRAD, &dy, 1, &params, sizeof params, 0, &back, err));
    return vecq_gradient_add(g, x, back->outputs[0], err);
}

vecq_status vecq_op_slice_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_slice_params *params = op->params;
    const vecq_var *dy = op->inputs[0];
    unsigned a;

    (void)program;
    for (a = 0; a < dy->rank; a++)
        if (dy->dims[a] != params->length[a] ||
            !slice_fits(params->start[a], params->step[a], params->length[a], params->full[a]))
            return vecq_op_fail(err, "axis %u of the slice does not fit", a);
    return vecq_op_set_output(op, 0, dy->dtype, dy->rank, params->full, err);
}

vecq_status vecq_op_slice_grad_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]);
    vecq_op *back;

    if (dy == NULL || !vecq_gradient_wanted(g, op->inputs[0]))
        return VECQ_OK;
    VECQ_TRY(
        vecq_gradient_op(g, op, VECQ_OP_SLICE, &dy, 1, op->params, sizeof(vecq_slice_params), 0, &back, err));
    return vecq_gradient_add(g, op->inputs[0], back->outputs[0], err);
}

/* ---- from ONNX ---- */

/* First index and number of elements of start:end:step, by the clamping rules of ONNX. */
static void slice_clamp(int64_t size, int64_t start, int64_t end, int64_t step, int64_t *first, int64_t *n)
{
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step, distance;

    start += start < 0 ? size : 0;
    end += end < 0 ? size : 0;
    start = start < 0 ? 0 : start > high ? high : start;
    end = end < low ? low : end > high ? high : end;
    *first = 0;
    *n = 0;
    if (size == 0 || (step > 0 ? end <= start : end >= start))
        return;
    distance = (uint64_t)(step > 0 ? end - start : start - end);
    *first = start;
    *n = (int64_t)((distance - 1) / stride) + 1;
}

typedef struct slice_list {
    int64_t v[VECQ_MAX_RANK];
    size_t n;
    int given;
} slice_list;

/* starts, ends, axes: attributes, from version 10 inputs; steps: inputs only. */
static vecq_status slice_read(const vecq_node *node, vecq_var *const *in, const char *name, size_t input,
                              slice_list *list, vecq_error *err)
{
    const vecq_attr *attr;

    list->n = 0;
    list->given = 0;
    if (node->version >= 10) {
        list->given = node->n_inputs > input && in[input] != NULL;
        return vecq_lower_ints(list->given ? in[input] : NULL, name, list->v, VECQ_MAX_RANK, &list->n, err);
    }
    if (input == 4 || (attr = vecq_node_attr(node, name)) == NULL)
        return VECQ_OK;
    if (attr->type != VECQ_ATTR_INTS || attr->n > VECQ_MAX_RANK)
        return vecq_op_fail(err, "attribute '%s' is no list of at most %u integers", name, VECQ_MAX_RANK);
    list->given = 1;
    list->n = attr->n;
    if (list->n > 0)
        memcpy(list->v, attr->ints, list->n * sizeof *list->v);
    return VECQ_OK;
}

static vecq_status slice_params_of(const vecq_node *node, vecq_var *const *in, vecq_slice_params *params,
                                   vecq_error *err)
{
    slice_list starts, ends, axes, steps;
    const vecq_var *x = in[0];
    unsigned axis, seen = 0;
    size_t i;

    VECQ_TRY(slice_read(node, in, "starts", 1, &starts, err));
    VECQ_TRY(slice_read(node, in, "ends", 2, &ends, err));
    VECQ_TRY(slice_read(node, in, "axes", 3, &axes, err));
    VECQ_TRY(slice_read(node, in, "steps", 4, &steps, err));
    if (!starts.given || !ends.given || starts.n > x->rank || ends.n != starts.n ||
        (axes.given && axes.n != starts.n) || (steps.given && steps.n != starts.n))
        return vecq_op_fail(err, "starts, ends, axes and steps do not match");
    for (axis = 0; axis < x->rank; axis++) {
        params->step[axis] = 1;
        params->length[axis] = x->dims[axis];
    }
    for (i = 0; i < starts.n; i++) {
        int64_t step = steps.given ? steps.v[i] : 1;

        VECQ_TRY(vecq_lower_axis(axes.given ? axes.v[i] : (int64_t)i, x->rank, &axis, err));
        if (step == 0)
            return vecq_op_fail(err, "a step of 0");
        if ((seen >> axis & 1u) != 0)
            return vecq_op_fail(err, "axis %u is named twice", axis);
        seen |= 1u << axis;
        slice_clamp(x->dims[axis], starts.v[i], ends.v[i], step, &params->start[axis], &params->length[axis]);
        params->step[axis] = params->length[axis] > 1 ? step : 1;
    }
    return VECQ_OK;
}

vecq_status vecq_lower_slice(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                             vecq_error *err)
{
    vecq_slice_params params = {0};
    const vecq_var *x = in[0];
    unsigned a;

    VECQ_TRY(vecq_lower_need(node, in, 1, 5, err));
    VECQ_TRY(slice_params_of(node, in, &params, err));
    for (a = 0; a < x->rank && params.length[a] == x->dims[a] && params.step[a] == 1; a++)
        ;
    if (a == x->rank) { /* all of it */
        out[0] = in[0];
        return VECQ_OK;
    }
    return vecq_program_op1(l->program, VECQ_OP_SLICE, vecq_node_label(node), in[0], &params, sizeof params,
                            &out[0], err);
}
