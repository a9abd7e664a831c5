/* SPDX-License-Identifier: Apache-2.0 */
/* Reshape, and what is one: Flatten, Squeeze, Unsqueeze. */
#include "graph/ops/op_util.h"

vecq_status vecq_op_reshape_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_shape_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    char text[96];

    (void)program;
    VECQ_TRY(vecq_op_set_output(op, 0, x->dtype, params->rank, params->dims, err));
    op->outputs[0]->is_relu = x->is_relu;
    if (op->outputs[0]->count != x->count)
        return vecq_op_fail(err, "%s has %zu elements, the new shape %zu", vecq_var_shape_text(x, text),
                            x->count, op->outputs[0]->count);
    return VECQ_OK;
}

/* A variable under the shape of another. */
static vecq_status reshape_like(vecq_gradient *g, const vecq_op *forward, vecq_var *var, const vecq_var *like,
                                vecq_var **out, vecq_error *err)
{
    vecq_shape_params params = {.rank = like->rank};
    vecq_op *op;

    memcpy(params.dims, like->dims, sizeof params.dims);
    VECQ_TRY(vecq_gradient_op(g, forward, VECQ_OP_RESHAPE, &var, 1, &params, sizeof params, 0, &op, err));
    *out = op->outputs[0];
    return VECQ_OK;
}

vecq_status vecq_op_reshape_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]), *dx;

    if (dy == NULL || !vecq_gradient_wanted(g, op->inputs[0]))
        return VECQ_OK;
    VECQ_TRY(reshape_like(g, op, dy, op->inputs[0], &dx, err));
    return vecq_gradient_add(g, op->inputs[0], dx, err);
}

/* ---- from ONNX ---- */

/* The op, or nothing when the shape stays. */
static vecq_status lower_to_shape(vecq_lower *l, const vecq_node *node, vecq_var *x,
                                  const vecq_shape_params *params, vecq_var **out, vecq_error *err)
{
    if (x->rank == params->rank && memcmp(x->dims, params->dims, x->rank * sizeof *x->dims) == 0) {
        *out = x;
        return VECQ_OK;
    }
    return vecq_program_op1(l->program, VECQ_OP_RESHAPE, vecq_node_label(node), x, params, sizeof *params,
                            out, err);
}

/* The model was written for one image at a time, and the graph runs at another batch. */
static int batch_was_one(const vecq_lower *l)
{
    const vecq_graph *graph = l->ir->main;
    size_t i;

    if (l->batch > 1)
        for (i = 0; i < graph->n_inputs; i++)
            if (graph->inputs[i]->is_typed && graph->inputs[i]->rank > 0 && graph->inputs[i]->dims[0] == 1)
                return 1;
    return 0;
}

/* 0 copies a dimension (unless allowzero). *open: place of the one -1, or rank; *known: product of the
 * others. */
static vecq_status reshape_read(const vecq_var *x, int allow_zero, vecq_shape_params *params, unsigned *open,
                                size_t *known, vecq_error *err)
{
    unsigned a;

    *open = params->rank;
    *known = 1;
    for (a = 0; a < params->rank; a++) {
        int64_t *dim = &params->dims[a];

        if (*dim == 0 && !allow_zero) {
            if (a >= x->rank)
                return vecq_op_fail(err, "dimension %u of the shape is 0, but the input has rank %u", a,
                                    x->rank);
            *dim = x->dims[a];
        } else if (*dim == -1 && *open == params->rank) {
            *open = a;
            continue;
        } else if (*dim < 0) {
            return vecq_op_fail(err, "dimension %u of the shape is %lld", a, (long long)*dim);
        }
        if (!vecq_mul_size(*known, (size_t)*dim, known))
            return vecq_op_fail(err, "the shape has too many elements");
    }
    return VECQ_OK;
}

/*
 * The target shape of Reshape.
 *
 * A reshape that keeps a batch of one: models exported for one image at a time have the 1 of their batch
 * written into constant shapes. When the graph runs at another batch, and a shape that begins with 1 is short
 * by exactly that factor, its first dimension is the batch; likewise when it has a -1 that would otherwise
 * swallow the batch and the model declares a batch of one.
 */
static vecq_status reshape_target(const vecq_lower *l, const vecq_var *x, int allow_zero,
                                  vecq_shape_params *params, vecq_error *err)
{
    int begins_with_one = params->rank > 0 && params->dims[0] == 1 && l->batch > 1;
    size_t known, count;
    unsigned open;
    char text[96];

    VECQ_TRY(reshape_read(x, allow_zero, params, &open, &known, err));
    if (open == params->rank) { /* a count that still differs is for the shape function to name */
        if (known == x->count || l->batch <= 1 || !vecq_mul_size(known, (size_t)l->batch, &count) ||
            count != x->count)
            return VECQ_OK;
        if (!begins_with_one)
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                                  "its constant shape is for a batch of one: run the model at that");
        params->dims[0] = l->batch;
        return VECQ_OK;
    }
    if (begins_with_one && x->rank > 0 && x->dims[0] % l->batch == 0 && batch_was_one(l) &&
        vecq_mul_size(known, (size_t)l->batch, &count)) {
        params->dims[0] = l->batch;
        known = count;
    }
    if (known == 0 || x->count % known != 0)
        return vecq_op_fail(err, "the %zu elements of %s do not fit a shape of a multiple of %zu", x->count,
                            vecq_var_shape_text(x, text), known);
    params->dims[open] = (int64_t)(x->count / known);
    return VECQ_OK;
}

vecq_status vecq_lower_reshape(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    vecq_shape_params params = {0};
    const vecq_attr *attr;
    size_t n = 0;

    VECQ_TRY(vecq_lower_need(node, in, 1, 2, err));
    if (node->version >= 5) {
        if (node->n_inputs < 2 || in[1] == NULL)
            return vecq_op_fail(err, "the shape is missing");
        VECQ_TRY(vecq_lower_ints(in[1], "shape", params.dims, VECQ_MAX_RANK, &n, err));
    } else {
        attr = vecq_node_attr(node, "shape");
        n = attr != NULL && attr->type == VECQ_ATTR_INTS ? attr->n : 0;
        if (attr == NULL || n > VECQ_MAX_RANK)
            return vecq_op_fail(err, "attribute 'shape' is missing or has more than %u entries",
                                VECQ_MAX_RANK);
        if (n > 0)
            memcpy(params.dims, attr->ints, n * sizeof *attr->ints);
    }
    params.rank = (unsigned)n;
    VECQ_TRY(reshape_target(l, in[0], node->version >= 14 && vecq_node_attr_int(node, "allowzero", 0) != 0,
                            &params, err));
    return lower_to_shape(l, node, in[0], &params, &out[0], err);
}

vecq_status vecq_lower_flatten(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    int64_t axis = vecq_node_attr_int(node, "axis", 1);
    vecq_shape_params params = {.rank = 2, .dims = {1, 1}};
    const vecq_var *x = in[0];
    unsigned a;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    if (axis < 0)
        axis += x->rank;
    if (axis < 0 || axis > (int64_t)x->rank)
        return vecq_op_fail(err, "axis %lld is outside the rank of %u",
                            (long long)vecq_node_attr_int(node, "axis", 1), x->rank);
    for (a = 0; a < x->rank; a++)
        if (__builtin_mul_overflow(params.dims[a < axis ? 0 : 1], x->dims[a], &params.dims[a < axis ? 0 : 1]))
            return vecq_op_fail(err, "the shape has too many elements");
    return lower_to_shape(l, node, in[0], &params, &out[0], err);
}

/* Axes of Squeeze and Unsqueeze as marks: the attribute, from version 13 an input. *given 0: there are none.
 */
static vecq_status lower_axes(const vecq_node *node, vecq_var *const *in, unsigned rank, unsigned char *marks,
                              size_t *n, vecq_error *err)
{
    int64_t list[VECQ_MAX_RANK];
    const vecq_attr *attr;
    unsigned axis;
    size_t i;

    *n = 0;
    memset(marks, 0, VECQ_MAX_RANK);
    if (node->version >= 13) {
        VECQ_TRY(vecq_lower_ints(node->n_inputs > 1 ? in[1] : NULL, "axes", list, VECQ_MAX_RANK, n, err));
    } else if ((attr = vecq_node_attr(node, "axes")) != NULL) {
        if (attr->type != VECQ_ATTR_INTS || attr->n > VECQ_MAX_RANK)
            return vecq_op_fail(err, "attribute 'axes' is no list of at most %u integers", VECQ_MAX_RANK);
        *n = attr->n;
        if (attr->n > 0)
            memcpy(list, attr->ints, attr->n * sizeof *list);
    }
    if (rank == 0) /* Unsqueeze: of the output, which has one axis more for each */
        return VECQ_OK;
    for (i = 0; i < *n; i++) {
        VECQ_TRY(vecq_lower_axis(list[i], rank, &axis, err));
        if (marks[axis]++ != 0)
            return vecq_op_fail(err, "axis %u is named twice", axis);
    }
    return VECQ_OK;
}

vecq_status vecq_lower_squeeze(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                               vecq_error *err)
{
    const vecq_var *x = in[0];
    vecq_shape_params params = {0};
    unsigned char marks[VECQ_MAX_RANK];
    size_t n;
    unsigned a;

    VECQ_TRY(vecq_lower_need(node, in, 1, 2, err));
    VECQ_TRY(lower_axes(node, in, x->rank, marks, &n, err));
    for (a = 0; a < x->rank; a++) {
        if (n > 0 && marks[a] != 0 && x->dims[a] != 1)
            return vecq_op_fail(err, "axis %u has length %lld, not 1", a, (long long)x->dims[a]);
        if (n > 0 ? marks[a] == 0 : x->dims[a] != 1)
            params.dims[params.rank++] = x->dims[a];
    }
    return lower_to_shape(l, node, in[0], &params, &out[0], err);
}

vecq_status vecq_lower_unsqueeze(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                 vecq_error *err)
{
    const vecq_var *x = in[0];
    vecq_shape_params params = {0};
    unsigned char marks[VECQ_MAX_RANK];
    unsigned a, from = 0;
    size_t n;

    VECQ_TRY(vecq_lower_need(node, in, 1, 2, err));
    VECQ_TRY(lower_axes(node, in, 0, marks, &n, err));
    if (n == 0)
        return vecq_op_fail(err, "the axes are missing");
    if (x->rank + n > VECQ_MAX_RANK)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "the result has %zu dimensions; at most %u are supported", x->rank + n,
                              VECQ_MAX_RANK);
    params.rank = x->rank + (unsigned)n;
    VECQ_TRY(lower_axes(node, in, params.rank, marks, &n, err));
    for (a = 0; a < params.rank; a++)
        params.dims[a] = marks[a] != 0 ? 1 : x->dims[from++];
    return lower_to_shape(l, node, in[0], &params, &out[0], err);
}
