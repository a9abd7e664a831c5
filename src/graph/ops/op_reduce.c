/* SPDX-License-Identifier: Apache-2.0 */
/* ReduceSum, ReduceMean, ReduceMax over marked axes, and their counterpart Expand. */
#include <math.h>

#include "graph/ops/op_util.h"

/* ---- shapes ---- */

/* The reduced shape; with `keep` reduced axes stay, of length 1. */
static unsigned reduced_dims(const vecq_var *x, const unsigned char *axes, int keep, int64_t *dims)
{
    unsigned i, rank = 0;

    for (i = 0; i < x->rank; i++)
        if (axes[i] == 0 || keep)
            dims[rank++] = axes[i] == 0 ? x->dims[i] : 1;
    return rank;
}

/* Elements that each result is made of. */
static size_t reduced_count(const vecq_var *x, const unsigned char *axes)
{
    size_t n = 1;
    unsigned i;

    for (i = 0; i < x->rank; i++)
        if (axes[i] != 0)
            n *= (size_t)x->dims[i];
    return n;
}

vecq_status vecq_op_reduce_sum_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_reduce_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    int64_t dims[VECQ_MAX_RANK];

    (void)program;
    if (!vecq_var_is_float(x))
        return vecq_op_fail(err, "input of type %s", vecq_dtype_name(x->dtype));
    VECQ_TRY(vecq_op_set_output(op, 0, x->dtype, reduced_dims(x, params->axes, params->keep_dims, dims), dims,
                                err));
    op->outputs[0]->is_relu = x->is_relu;
    return VECQ_OK;
}

/* Mean and maximum of nothing do not exist. */
vecq_status vecq_op_reduce_mean_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_reduce_params *params = op->params;
    char text[96];

    VECQ_TRY(vecq_op_reduce_sum_shape(program, op, err));
    if (op->outputs[0]->count > 0 && reduced_count(op->inputs[0], params->axes) == 0)
        return vecq_op_fail(err, "nothing to reduce in %s", vecq_var_shape_text(op->inputs[0], text));
    return VECQ_OK;
}

vecq_status vecq_op_reduce_prod_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    VECQ_TRY(vecq_op_reduce_mean_shape(program, op, err));
    op->outputs[0]->is_relu = op->inputs[0]->is_relu;
    return VECQ_OK;
}

vecq_status vecq_op_reduce_max_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    return vecq_op_reduce_mean_shape(program, op, err);
}

/* ReduceMaxGrad(dy, x) -> dx; dy in the shape with or without the reduced axes. */
vecq_status vecq_op_reduce_max_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_reduce_params *params = op->params;
    const vecq_var *dy = op->inputs[0], *x = op->inputs[1];
    int64_t dims[VECQ_MAX_RANK];
    size_t n;

    (void)program;
    (void)vecq_shape_count(dims, reduced_dims(x, params->axes, 1, dims), &n);
    if (dy->dtype != x->dtype || dy->count != n)
        return vecq_op_fail(err, "the gradient has %zu elements, not %zu", dy->count, n);
    return vecq_op_output_like(op, 0, x, err);
}

vecq_status vecq_op_expand_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_shape_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    unsigned i, lead = params->rank - x->rank;
    char text[96];

    (void)program;
    if (params->rank < x->rank)
        return vecq_op_fail(err, "%s has more dimensions than the result", vecq_var_shape_text(x, text));
    for (i = lead; i < params->rank; i++)
        if (x->dims[i - lead] != 1 && x->dims[i - lead] != params->dims[i])
            return vecq_op_fail(err, "%s cannot be repeated to length %lld in dimension %u",
                                vecq_var_shape_text(x, text), (long long)params->dims[i], i);
    VECQ_TRY(vecq_op_set_output(op, 0, x->dtype, params->rank, params->dims, err));
    op->outputs[0]->is_relu = x->is_relu;
    return VECQ_OK;
}

/* ---- gradients ---- */

/* dx = factor * dy, repeated along the reduced axes. */
static vecq_status spread_gradient(vecq_gradient *g, const vecq_op *op, double factor, vecq_error *err)
{
    const vecq_reduce_params *params = op->params;
    vecq_var *d = vecq_gradient_of(g, op->outputs[0]), *x = op->inputs[0];
    vecq_shape_params shape = {.rank = x->rank};
    int64_t dims[VECQ_MAX_RANK];
    unsigned rank = reduced_dims(x, params->axes, 1, dims);

    memcpy(shape.dims, x->dims, sizeof shape.dims);
    if (factor != 1)
        VECQ_TRY(vecq_grad_scale(g, op, d, factor, &d, err));
    if (d->rank != rank)
        VECQ_TRY(vecq_grad_reshape(g, op, d, rank, dims, &d, err));
    if (!vecq_var_same_shape(d, x))
        VECQ_TRY(vecq_grad_op1(g, op, VECQ_OP_EXPAND, d, &shape, sizeof shape, &d, err));
    return vecq_gradient_add(g, x, d, err);
}

vecq_status vecq_op_reduce_sum_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return spread_gradient(g, op, 1, err);
}

vecq_status vecq_op_reduce_mean_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    const vecq_reduce_params *params = op->params;
    size_t n = reduced_count(op->inputs[0], params->axes);

    return spread_gradient(g, op, n > 0 ? 1.0 / (double)n : 1, err);
}

/* All of it to the first of the largest elements. */
vecq_status vecq_op_reduce_max_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]), *dx;

    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_REDUCE_MAX_GRAD, dy, op->inputs[0], op->params,
                           sizeof(vecq_reduce_params), &dx, err));
    return vecq_gradient_add(g, op->inputs[0], dx, err);
}

vecq_status vecq_op_expand_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return vecq_gradient_add_broadcast(g, op->inputs[0], vecq_gradient_of(g, op->outputs[0]), err);
}

/* ---- from ONNX ---- */

/* Axes are an attribute or, in later versions, an input; none of them: all, or with noop_with_empty_axes
 * nothing (*is_noop). */
static vecq_status lower_axes(const vecq_node *node, vecq_var *const *in, vecq_reduce_params *params,
                              int *is_noop, vecq_error *err)
{
    const vecq_attr *attr = vecq_node_attr(node, "axes");
    int64_t list[VECQ_MAX_RANK];
    size_t n = 0, i;
    unsigned axis;

    memset(params, 0, sizeof *params);
    params->keep_dims = vecq_node_attr_int(node, "keepdims", 1) != 0;
    if (attr != NULL) {
        if (attr->type != VECQ_ATTR_INTS || attr->n > VECQ_MAX_RANK)
            return vecq_op_fail(err, "attribute 'axes' is no list of at most %u integers", VECQ_MAX_RANK);
        n = attr->n;
        if (n > 0)
            memcpy(list, attr->ints, n * sizeof *list);
    } else if (node->n_inputs > 1) {
        VECQ_TRY(vecq_lower_ints(in[1], "axes", list, VECQ_MAX_RANK, &n, err));
    }
    *is_noop = n == 0 && vecq_node_attr_int(node, "noop_with_empty_axes", 0) != 0;
    if (n == 0)
        memset(params->axes, 1, in[0]->rank);
    for (i = 0; i < n; i++) {
        VECQ_TRY(vecq_lower_axis(list[i], in[0]->rank, &axis, err));
        params->axes[axis] = 1;
    }
    return VECQ_OK;
}

/* What a reduction is made of: the op, one before (MUL: by itself) and one after; VECQ_OP_COUNT: none. And
 * the result for nothing at all. */
typedef struct reduce_parts {
    vecq_op_kind kind, before, after;
    double of_nothing; /* of booleans: false for a maximum, true for a minimum */
} reduce_parts;

static vecq_status reduce_nothing(vecq_lower *l, const char *name, const reduce_parts *parts,
                                  const vecq_reduce_params *params, const vecq_var *x, vecq_var **out,
                                  vecq_error *err)
{
    int64_t dims[VECQ_MAX_RANK];
    unsigned rank = reduced_dims(x, params->axes, params->keep_dims, dims);
    double value = parts->of_nothing;

    if (isinf(value) && !vecq_var_is_float(x)) { /* the smallest or largest integer */
        const vecq_dtype t = x->dtype;
        const int bits = (int)vecq_dtype_bits(t);
        const int is_signed =
            t == VECQ_DT_INT8 || t == VECQ_DT_INT16 || t == VECQ_DT_INT32 || t == VECQ_DT_INT64;

        if (t == VECQ_DT_BOOL)
            value = value > 0;
        else if (bits == 64)
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "of no elements of type %s", vecq_dtype_name(t));
        else
            value = value > 0 ? ldexp(1, bits - is_signed) - 1 : is_signed ? -ldexp(1, bits - 1) : 0;
    }
    return vecq_program_fill(l->program, name, x->dtype, rank, dims, value, out, err);
}

static vecq_status lower_reduce(vecq_lower *l, const vecq_node *node, const reduce_parts *parts,
                                vecq_var *const *in, vecq_var **out, vecq_error *err)
{
    const char *name = vecq_node_label(node);
    vecq_reduce_params params;
    vecq_var *x;
    int is_noop = 0;

    VECQ_TRY(vecq_lower_need(node, in, 1, 2, err));
    VECQ_TRY(lower_axes(node, in, &params, &is_noop, err));
    if (!is_noop && reduced_count(in[0], params.axes) == 0)
        return reduce_nothing(l, name, parts, &params, in[0], &out[0], err);
    VECQ_TRY(vecq_lower_widen(l, name, in[0], &x, err));
    if (parts->before == VECQ_OP_MUL)
        VECQ_TRY(vecq_program_op2(l->program, parts->before, name, x, x, NULL, 0, &x, err));
    else if (parts->before != VECQ_OP_COUNT)
        VECQ_TRY(vecq_program_op1(l->program, parts->before, name, x, NULL, 0, &x, err));
    if (!is_noop)
        VECQ_TRY(vecq_program_op1(l->program, parts->kind, name, x, &params, sizeof params, &x, err));
    if (parts->after != VECQ_OP_COUNT)
        VECQ_TRY(vecq_program_op1(l->program, parts->after, name, x, NULL, 0, &x, err));
    return vecq_lower_narrow(l, name, x, in[0], &out[0], err);
}

#define LOWER_REDUCE(stem, kind, before, after, of_nothing)                                                  \
    vecq_status vecq_lower_##stem(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out, \
                                  vecq_error *err)                                                           \
    {                                                                                                        \
        static const reduce_parts parts = {VECQ_OP_##kind, VECQ_OP_##before, VECQ_OP_##after, of_nothing};   \
        return lower_reduce(l, node, &parts, in, out, err);                                                  \
    }
LOWER_REDUCE(reduce_sum, REDUCE_SUM, COUNT, COUNT, 0)
LOWER_REDUCE(reduce_mean, REDUCE_MEAN, COUNT, COUNT, (double)NAN)
LOWER_REDUCE(reduce_max, REDUCE_MAX, COUNT, COUNT, -(double)INFINITY)
LOWER_REDUCE(reduce_min, REDUCE_MAX, NEG, NEG, (double)INFINITY)
LOWER_REDUCE(reduce_prod, REDUCE_PROD, COUNT, COUNT, 1)
LOWER_REDUCE(reduce_l1, REDUCE_SUM, ABS, COUNT, 0)
LOWER_REDUCE(reduce_l2, REDUCE_SUM, MUL, SQRT, 0)
LOWER_REDUCE(reduce_sum_square, REDUCE_SUM, MUL, COUNT, 0)
LOWER_REDUCE(reduce_log_sum, REDUCE_SUM, COUNT, LOG, -(double)INFINITY)

/* m + log(sum(exp(x - m))) with the largest x for m, kept finite so that inf - inf does not occur. */
vecq_status vecq_lower_reduce_log_sum_exp(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                          vecq_var **out, vecq_error *err)
{
    static const reduce_parts parts = {VECQ_OP_REDUCE_SUM, VECQ_OP_EXP, VECQ_OP_LOG, -(double)INFINITY};
    const vecq_unary_params finite = {-3e38, 3e38};
    const char *name = vecq_node_label(node);
    vecq_reduce_params params, kept;
    vecq_var *x, *m, *sum;
    int is_noop = 0;

    VECQ_TRY(vecq_lower_need(node, in, 1, 2, err));
    VECQ_TRY(lower_axes(node, in, &params, &is_noop, err));
    if (is_noop || reduced_count(in[0], params.axes) == 0)
        return lower_reduce(l, node, &parts, in, out, err);
    kept = params;
    kept.keep_dims = 1;
    VECQ_TRY(vecq_lower_widen(l, name, in[0], &x, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_REDUCE_MAX, name, x, &kept, sizeof kept, &m, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_CLIP, name, m, &finite, sizeof finite, &m, err));
    VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_SUB, name, x, m, NULL, 0, &x, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_EXP, name, x, NULL, 0, &x, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_REDUCE_SUM, name, x, &params, sizeof params, &sum, err));
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_LOG, name, sum, NULL, 0, &sum, err));
    VECQ_TRY(vecq_lower_to_shape(l, name, m, sum->rank, sum->dims, &m, err));
    VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_ADD, name, sum, m, NULL, 0, &x, err));
    return vecq_lower_narrow(l, name, x, in[0], &out[0], err);
}

/* Both ways: a length of 1 in the shape leaves the input's. */
vecq_status vecq_lower_expand(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                              vecq_error *err)
{
    vecq_shape_params params = {0};
    int64_t list[VECQ_MAX_RANK];
    unsigned i;
    size_t n;

    VECQ_TRY(vecq_lower_need(node, in, 2, 2, err));
    VECQ_TRY(vecq_lower_ints(in[1], "shape", list, VECQ_MAX_RANK, &n, err));
    params.rank = in[0]->rank > n ? in[0]->rank : (unsigned)n;
    for (i = 0; i < params.rank; i++) { /* from the last axis */
        int64_t have = i < in[0]->rank ? in[0]->dims[in[0]->rank - 1 - i] : 1;
        int64_t want = i < n ? list[n - 1 - i] : 1;

        params.dims[params.rank - 1 - i] = want == 1 ? have : want;
    }
    if (params.rank == in[0]->rank && memcmp(params.dims, in[0]->dims, params.rank * sizeof *list) == 0) {
        out[0] = in[0];
        return VECQ_OK;
    }
    return vecq_program_op1(l->program, VECQ_OP_EXPAND, vecq_node_label(node), in[0], &params, sizeof params,
                            &out[0], err);
}
