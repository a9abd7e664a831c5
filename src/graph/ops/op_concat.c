/* SPDX-License-Identifier: Apache-2.0 */
/* Putting together and taking apart along an axis: Concat, Split; Tile. */
#include "graph/ops/op_util.h"

#define SPLIT_MAX (VECQ_MAX_RANK * 4)

/* ---- Concat ---- */

vecq_status vecq_op_concat_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_axis_params *params = op->params;
    const vecq_var *first = op->inputs[0];
    int64_t dims[VECQ_MAX_RANK];
    char text[96], other[96];
    size_t i;
    unsigned a;

    (void)program;
    if (params->axis >= first->rank)
        return vecq_op_fail(err, "axis %u of %s", params->axis, vecq_var_shape_text(first, text));
    memcpy(dims, first->dims, sizeof dims);
    op->outputs[0]->is_relu = first->is_relu;
    for (i = 1; i < op->n_inputs; i++) {
        const vecq_var *x = op->inputs[i];

        if (x == NULL)
            return vecq_op_fail(err, "input %zu is missing", i);
        for (a = 0; a < first->rank && x->rank == first->rank; a++)
            if (a != params->axis && x->dims[a] != first->dims[a])
                break;
        if (a < first->rank)
            return vecq_op_fail(err, "input %zu is %s, the first is %s", i, vecq_var_shape_text(x, other),
                                vecq_var_shape_text(first, text));
        if (x->dtype != first->dtype)
            return vecq_op_fail(err, "input %zu is %s, the first is %s", i, vecq_dtype_name(x->dtype),
                                vecq_dtype_name(first->dtype));
        if (__builtin_add_overflow(dims[params->axis], x->dims[params->axis], &dims[params->axis]))
            return vecq_op_fail(err, "the sum of the lengths is out of range");
        op->outputs[0]->is_relu &= x->is_relu;
    }
    return vecq_op_set_output(op, 0, first->dtype, first->rank, dims, err);
}

/* Each input that asks gets its part; Split would copy those of the others too. */
vecq_status vecq_op_concat_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    const vecq_axis_params *params = op->params;
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]);
    vecq_slice_params slice;
    vecq_op *part;
    int64_t at = 0;
    size_t i;
    unsigned a;

    if (dy == NULL)
        return VECQ_OK;
    for (i = 0; i < op->n_inputs; i++) {
        const vecq_var *x = op->inputs[i];

        memset(&slice, 0, sizeof slice);
        for (a = 0; a < x->rank; a++) {
            slice.start[a] = a == params->axis ? at : 0;
            slice.step[a] = 1;
            slice.length[a] = x->dims[a];
        }
        at += x->dims[params->axis];
        if (!vecq_gradient_wanted(g, x))
            continue;
        VECQ_TRY(vecq_gradient_op(g, op, VECQ_OP_SLICE, &dy, 1, &slice, sizeof slice, 0, &part, err));
        VECQ_TRY(vecq_gradient_add(g, x, part->outputs[0], err));
    }
    return VECQ_OK;
}

/* The same variable `times` times along an axis, by looking its entries up again and again: the gradient of
 * Gather adds the repetitions up. */
static vecq_status repeat(vecq_lower *l, const char *name, vecq_var *x, unsigned axis, int64_t times,
                          vecq_var **out, vecq_error *err)
{
    vecq_axis_params params = {.axis = axis};
    vecq_tensor tensor;
    vecq_var *index;
    int64_t n, i;

    if (__builtin_mul_overflow(x->dims[axis], times, &n))
        return vecq_op_fail(err, "a repeat is out of range");
    VECQ_TRY(vecq_tensor_create(VECQ_DT_INT64, 1, &n, &tensor, err));
    for (i = 0; i < n; i++)
        ((int64_t *)tensor.data)[i] = i % x->dims[axis];
    VECQ_TRY(vecq_program_constant(l->program, name, &tensor, &index, err));
    return vecq_program_op2(l->program, VECQ_OP_GATHER, name, x, index, &params, sizeof params, out, err);
}

/*
 * An input that keeps a batch of one (a class token, constants of a model exported for one image) beside
 * others that have the chosen batch is repeated for every image.
 */
static vecq_status concat_batch(vecq_lower *l, const vecq_node *node, unsigned axis, vecq_var **parts,
                                size_t n, vecq_error *err)
{
    int any = 0;
    size_t i;

    if (axis == 0 || l->batch <= 1)
        return VECQ_OK;
    for (i = 0; i < n; i++)
        any |= parts[i] != NULL && parts[i]->rank > 0 && parts[i]->dims[0] == l->batch;
    for (i = 0; any && i < n; i++)
        if (parts[i] != NULL && parts[i]->rank > 0 && parts[i]->dims[0] == 1)
            VECQ_TRY(repeat(l, vecq_node_label(node), parts[i], 0, l->batch, &parts[i], err));
    return VECQ_OK;
}

vecq_status vecq_lower_concat(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                              vecq_error *err)
{
    vecq_axis_params params = {0};
    vecq_var **parts;
    vecq_status status;
    vecq_op *op;

    VECQ_TRY(vecq_lower_need(node, in, node->n_inputs > 0 ? node->n_inputs : 1, SIZE_MAX, err));
    if (node->version >= 4 && vecq_node_attr(node, "axis") == NULL)
        return vecq_op_fail(err, "attribute 'axis' is missing");
    VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", 1), in[0]->rank, &params.axis, err));
    if (node->n_inputs == 1) {
        out[0] = in[0];
        return VECQ_OK;
    }
    parts = vecq_alloc(node->n_inputs, sizeof *parts);
    if (parts == NULL)
        return vecq_error_memory(err, node->n_inputs * sizeof *parts);
    memcpy(parts, in, node->n_inputs * sizeof *parts);
    status = concat_batch(l, node, params.axis, parts, node->n_inputs, err);
    if (status == VECQ_OK)
        status = vecq_program_op(l->program, VECQ_OP_CONCAT, vecq_node_label(node), parts, node->n_inputs,
                                 &params, sizeof params, 0, &op, err);
    vecq_free((void *)parts);
    if (status == VECQ_OK)
        out[0] = op->outputs[0];
    return status;
}

/* ---- Split ---- */

vecq_status vecq_op_split_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_axis_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    int64_t dims[VECQ_MAX_RANK], left;
    char text[96];
    size_t i;

    (void)program;
    if (params->axis >= x->rank)
        return vecq_op_fail(err, "axis %u of %s", params->axis, vecq_var_shape_text(x, text));
    if (params->n != op->n_outputs || params->n > SPLIT_MAX)
        return vecq_op_fail(err, "%zu parts for %zu outputs", params->n, op->n_outputs);
    memcpy(dims, x->dims, sizeof dims);
    left = x->dims[params->axis];
    for (i = 0; i < params->n; i++) {
        if (params->sizes[i] < 0 || params->sizes[i] > left)
            return vecq_op_fail(err, "a part of length %lld of %lld", (long long)params->sizes[i],
                                (long long)left);
        left -= params->sizes[i];
        dims[params->axis] = params->sizes[i];
        VECQ_TRY(vecq_op_set_output(op, i, x->dtype, x->rank, dims, err));
        op->outputs[i]->is_relu = x->is_relu;
    }
    return left == 0 ? VECQ_OK : vecq_op_fail(err, "the parts leave out %lld", (long long)left);
}

vecq_status vecq_op_split_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    const vecq_axis_params *params = op->params;
    vecq_axis_params concat = {.axis = params->axis};
    vecq_var *parts[SPLIT_MAX];
    vecq_op *whole;
    size_t i;

    if (!vecq_gradient_wanted(g, op->inputs[0]))
        return VECQ_OK;
    for (i = 0; i < op->n_outputs; i++) {
        const vecq_var *y = op->outputs[i];

        parts[i] = vecq_gradient_of(g, y);
        if (parts[i] == NULL)
            VECQ_TRY(
                vecq_program_fill(g->program, op->name, y->dtype, y->rank, y->dims, 0.0, &parts[i], err));
    }
    VECQ_TRY(vecq_gradient_op(g, op, VECQ_OP_CONCAT, parts, op->n_outputs, &concat, sizeof concat, 0, &whole,
                              err));
    return vecq_gradient_add(g, op->inputs[0], whole->outputs[0], err);
}

/* Equal parts; from version 18 the last may be shorter. */
static vecq_status split_equal(const vecq_node *node, int64_t length, vecq_axis_params *params,
                               vecq_error *err)
{
    int64_t n = (int64_t)params->n, part = length / n + (length % n != 0);
    size_t i;

    if (node->version >= 18 && vecq_node_attr_int(node, "num_outputs", n) != n)
        return vecq_op_fail(err, "num_outputs is %lld for %lld outputs",
                            (long long)vecq_node_attr_int(node, "num_outputs", n), (long long)n);
    if ((node->version < 18 && length % n != 0) || part * (n - 1) > length)
        return vecq_op_fail(err, "length %lld does not split into %lld equal parts", (long long)length,
                            (long long)n);
    for (i = 0; i < params->n; i++)
        params->sizes[i] = i + 1 < params->n ? part : length - part * (n - 1);
    return VECQ_OK;
}

vecq_status vecq_lower_split(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                             vecq_error *err)
{
    const vecq_attr *attr = node->version < 13 ? vecq_node_attr(node, "split") : NULL;
    vecq_axis_params params = {.n = node->n_outputs};
    vecq_op *op;
    size_t n = 0, i;

    VECQ_TRY(vecq_lower_need(node, in, 1, 2, err));
    VECQ_TRY(vecq_lower_axis(vecq_node_attr_int(node, "axis", 0), in[0]->rank, &params.axis, err));
    if (params.n == 0 || params.n > SPLIT_MAX)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "%zu parts; at most %u are supported", params.n,
                              SPLIT_MAX);
    if (node->n_inputs > 1 && in[1] != NULL) {
        VECQ_TRY(vecq_lower_ints(in[1], "split", params.sizes, SPLIT_MAX, &n, err));
    } else if (attr != NULL) {
        n = attr->type == VECQ_ATTR_INTS && attr->n <= SPLIT_MAX ? attr->n : 0;
        memcpy(params.sizes, attr->ints, n * sizeof *params.sizes);
    } else {
        n = params.n;
        VECQ_TRY(split_equal(node, in[0]->dims[params.axis], &params, err));
    }
    if (n != params.n)
        return vecq_op_fail(err, "split does not name the length of each of %zu outputs", params.n);
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_SPLIT, vecq_node_label(node), in, 1, &params, sizeof params,
                             params.n, &op, err));
    for (i = 0; i < params.n; i++)
        out[i] = op->outputs[i];
    return VECQ_OK;
}

/* ---- Tile ---- */

vecq_status vecq_lower_tile(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    int64_t repeats[VECQ_MAX_RANK];
    vecq_var *x = in[0];
    size_t n = 0;
    unsigned a;

    VECQ_TRY(vecq_lower_need(node, in, 2, node->version < 6 ? 3 : 2, err));
    if (node->version < 6)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "version %lld of the operator",
                              (long long)node->version);
    VECQ_TRY(vecq_lower_ints(in[1], "repeats", repeats, VECQ_MAX_RANK, &n, err));
    if (n != x->rank)
        return vecq_op_fail(err, "repeats has %zu entries for rank %u", n, x->rank);
    for (a = 0; a < x->rank; a++) {
        if (repeats[a] < 0)
            return vecq_op_fail(err, "repeat %lld of axis %u", (long long)repeats[a], a);
        if (repeats[a] != 1 && x->dims[a] > 0)
            VECQ_TRY(repeat(l, vecq_node_label(node), x, a, repeats[a], &x, err));
    }
    out[0] = x;
    return VECQ_OK;
}
