/* SPDX-License-Identifier: Apache-2.0 */
/* Short forms for gradient and lowering functions that put an op together from others. */
#ifndef VECQ_GRAPH_OPS_OP_UTIL_H
#define VECQ_GRAPH_OPS_OP_UTIL_H

#include <string.h>

#include "base/status.h"
#include "graph/gradient.h"
#include "graph/lower.h"

/* Ops of the backward pass with one output. */
static inline vecq_status vecq_grad_op1(vecq_gradient *g, const vecq_op *op, vecq_op_kind kind, vecq_var *a,
                                        const void *params, size_t params_bytes, vecq_var **out,
                                        vecq_error *err)
{
    vecq_op *made;

    VECQ_TRY(vecq_gradient_op(g, op, kind, &a, 1, params, params_bytes, 0, &made, err));
    *out = made->outputs[0];
    return VECQ_OK;
}

static inline vecq_status vecq_grad_op2(vecq_gradient *g, const vecq_op *op, vecq_op_kind kind, vecq_var *a,
                                        vecq_var *b, const void *params, size_t params_bytes, vecq_var **out,
                                        vecq_error *err)
{
    vecq_var *inputs[2] = {a, b};
    vecq_op *made;

    VECQ_TRY(vecq_gradient_op(g, op, kind, inputs, 2, params, params_bytes, 0, &made, err));
    *out = made->outputs[0];
    return VECQ_OK;
}

/* x * factor, by a constant of one element. */
static inline vecq_status vecq_grad_scale(vecq_gradient *g, const vecq_op *op, vecq_var *x, double factor,
                                          vecq_var **out, vecq_error *err)
{
    vecq_var *constant;

    VECQ_TRY(vecq_program_fill(g->program, "factor", x->dtype, 0, NULL, factor, &constant, err));
    return vecq_grad_op2(g, op, VECQ_OP_MUL, x, constant, NULL, 0, out, err);
}

/* x under another shape. */
static inline vecq_status vecq_grad_reshape(vecq_gradient *g, const vecq_op *op, vecq_var *x, unsigned rank,
                                            const int64_t *dims, vecq_var **out, vecq_error *err)
{
    vecq_shape_params shape = {.rank = rank};

    if (rank > 0)
        memcpy(shape.dims, dims, rank * sizeof *dims);
    return vecq_grad_op1(g, op, VECQ_OP_RESHAPE, x, &shape, sizeof shape, out, err);
}

/* The first n inputs of a node must be there; more than `most` are not understood. */
static inline vecq_status vecq_lower_need(const vecq_node *node, vecq_var *const *in, size_t n, size_t most,
                                          vecq_error *err)
{
    size_t i;

    if (node->n_inputs < n || node->n_inputs > most)
        return vecq_op_fail(err, "%zu inputs; it takes %zu to %zu", node->n_inputs, n, most);
    for (i = 0; i < n; i++)
        if (in[i] == NULL)
            return vecq_op_fail(err, "input %zu is missing", i);
    return VECQ_OK;
}

/* The same for lowering; nothing is made when the shape stays. */
static inline vecq_status vecq_lower_to_shape(vecq_lower *l, const char *name, vecq_var *x, unsigned rank,
                                              const int64_t *dims, vecq_var **out, vecq_error *err)
{
    vecq_shape_params shape = {.rank = rank};

    if (x->rank == rank && (rank == 0 || memcmp(x->dims, dims, rank * sizeof *dims) == 0)) {
        *out = x;
        return VECQ_OK;
    }
    if (rank > 0)
        memcpy(shape.dims, dims, rank * sizeof *dims);
    return vecq_program_op1(l->program, VECQ_OP_RESHAPE, name, x, &shape, sizeof shape, out, err);
}

/* Where an op is floating-point only, integers go through double, which holds them exactly up to 2^53: x as
 * double, and a result back as the integer x was. Floats stay as they are. */
static inline vecq_status vecq_lower_to_type(vecq_lower *l, const char *name, vecq_var *x, vecq_dtype dtype,
                                             vecq_var **out, vecq_error *err)
{
    vecq_cast_params params = {.to = dtype};

    *out = x;
    if (x->dtype == dtype)
        return VECQ_OK;
    return vecq_program_op1(l->program, VECQ_OP_CAST, name, x, &params, sizeof params, out, err);
}

static inline vecq_status vecq_lower_widen(vecq_lower *l, const char *name, vecq_var *x, vecq_var **out,
                                           vecq_error *err)
{
    return vecq_lower_to_type(l, name, x, vecq_var_is_float(x) ? x->dtype : VECQ_DT_DOUBLE, out, err);
}

static inline vecq_status vecq_lower_narrow(vecq_lower *l, const char *name, vecq_var *result,
                                            const vecq_var *x, vecq_var **out, vecq_error *err)
{
    return vecq_lower_to_type(l, name, result, vecq_var_is_float(x) ? result->dtype : x->dtype, out, err);
}

/* x kind factor, by a constant of one element. */
static inline vecq_status vecq_lower_with_number(vecq_lower *l, vecq_op_kind kind, const char *name,
                                                 vecq_var *x, double number, vecq_var **out, vecq_error *err)
{
    vecq_var *constant;

    VECQ_TRY(vecq_program_fill(l->program, "number", x->dtype, 0, NULL, number, &constant, err));
    return vecq_program_op2(l->program, kind, name, x, constant, NULL, 0, out, err);
}

#endif
