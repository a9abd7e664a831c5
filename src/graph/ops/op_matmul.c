/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix products. Gemm: op(a) [M, K] times op(b) [K, N] plus a bias [N]; MatMul: matrices in the last two
 * axes, the axes before them broadcast.
 */
#include "graph/ops/op_util.h"

/* ---- shapes ---- */

/* M, K of op(a), K, N of op(b), which must meet. */
static vecq_status product_dims(const vecq_op *op, int64_t *m, int64_t *n, vecq_error *err)
{
    const vecq_matmul_params *params = op->params;
    const vecq_var *a = op->inputs[0], *b = op->inputs[1];
    char text_a[96], text_b[96];
    int64_t k;

    if (!vecq_var_is_float(a) || a->dtype != b->dtype)
        return vecq_op_fail(err, "operands of types %s and %s", vecq_dtype_name(a->dtype),
                            vecq_dtype_name(b->dtype));
    *m = a->dims[a->rank - (params->trans_a ? 1 : 2)];
    *n = b->dims[b->rank - (params->trans_b ? 2 : 1)];
    k = a->dims[a->rank - (params->trans_a ? 2 : 1)];
    if (k != b->dims[b->rank - (params->trans_b ? 1 : 2)])
        return vecq_op_fail(err, "%s%s and %s%s do not fit together", vecq_var_shape_text(a, text_a),
                            params->trans_a ? " transposed" : "", vecq_var_shape_text(b, text_b),
                            params->trans_b ? " transposed" : "");
    return VECQ_OK;
}

vecq_status vecq_op_gemm_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_var *a = op->inputs[0], *b = op->inputs[1];
    const vecq_var *c = op->n_inputs > 2 ? op->inputs[2] : NULL;
    int64_t dims[2];
    char text[96];

    (void)program;
    if (a->rank != 2 || b->rank != 2)
        return vecq_op_fail(err, "operands of rank %u and %u, not 2", a->rank, b->rank);
    VECQ_TRY(product_dims(op, &dims[0], &dims[1], err));
    if (c != NULL && (c->dtype != a->dtype || c->rank != 1 || c->dims[0] != dims[1]))
        return vecq_op_fail(err, "a bias of %s for %lld columns", vecq_var_shape_text(c, text),
                            (long long)dims[1]);
    return vecq_op_set_output(op, 0, a->dtype, 2, dims, err);
}

vecq_status vecq_op_matmul_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_var *a = op->inputs[0], *b = op->inputs[1];
    unsigned rank = a->rank > b->rank ? a->rank : b->rank, i;
    int64_t dims[VECQ_MAX_RANK];
    char text_a[96], text_b[96];

    (void)program;
    if (a->rank < 2 || b->rank < 2)
        return vecq_op_fail(err, "operands of rank %u and %u, not at least 2", a->rank, b->rank);
    VECQ_TRY(product_dims(op, &dims[rank - 2], &dims[rank - 1], err));
    for (i = 3; i <= rank; i++) { /* from the last axis but two */
        int64_t da = i <= a->rank ? a->dims[a->rank - i] : 1;
        int64_t db = i <= b->rank ? b->dims[b->rank - i] : 1;

        if (da != db && da != 1 && db != 1)
            return vecq_op_fail(err, "%s and %s do not fit together", vecq_var_shape_text(a, text_a),
                                vecq_var_shape_text(b, text_b));
        dims[rank - i] = da == 1 ? db : da;
    }
    return vecq_op_set_output(op, 0, a->dtype, rank, dims, err);
}

/* ---- gradients: products again ---- */

static vecq_status product(vecq_gradient *g, const vecq_op *op, vecq_var *a, int trans_a, vecq_var *b,
                           int trans_b, vecq_var **out, vecq_error *err)
{
    vecq_matmul_params params = {trans_a != 0, trans_b != 0};

    return vecq_grad_op2(g, op, op->kind, a, b, &params, sizeof params, out, err);
}

/*
 * y = op(a) op(b):  d op(a) = dy op(b)^T,  d op(b) = op(a)^T dy; where an operand is read transposed, its own
 * gradient is the transpose of that, which is the product of the transposed in turn.
 */
static vecq_status product_gradients(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    const vecq_matmul_params *params = op->params;
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]), *a = op->inputs[0], *b = op->inputs[1], *d;
    int ta = params->trans_a, tb = params->trans_b;

    if (vecq_gradient_wanted(g, a)) {
        if (ta)
            VECQ_TRY(product(g, op, b, tb, dy, 1, &d, err));
        else
            VECQ_TRY(product(g, op, dy, 0, b, !tb, &d, err));
        VECQ_TRY(vecq_gradient_add_broadcast(g, a, d, err));
    }
    if (vecq_gradient_wanted(g, b)) {
        if (tb)
            VECQ_TRY(product(g, op, dy, 1, a, ta, &d, err));
        else
            VECQ_TRY(product(g, op, a, !ta, dy, 0, &d, err));
        VECQ_TRY(vecq_gradient_add_broadcast(g, b, d, err));
    }
    return VECQ_OK;
}

vecq_status vecq_op_gemm_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_reduce_params rows = {.axes = {1, 0}};
    vecq_var *dc;

    VECQ_TRY(product_gradients(g, op, err));
    if (op->n_inputs < 3 || !vecq_gradient_wanted(g, op->inputs[2]))
        return VECQ_OK;
    VECQ_TRY(vecq_grad_op1(g, op, VECQ_OP_REDUCE_SUM, vecq_gradient_of(g, op->outputs[0]), &rows, sizeof rows,
                           &dc, err));
    return vecq_gradient_add(g, op->inputs[2], dc, err);
}

vecq_status vecq_op_matmul_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return product_gradients(g, op, err);
}

/* ---- from ONNX ---- */

static vecq_status make_gemm(vecq_lower *l, const char *name, vecq_var *a, vecq_var *b, vecq_var *c,
                             const vecq_matmul_params *params, vecq_var **out, vecq_error *err)
{
    vecq_var *inputs[3] = {a, b, c};
    vecq_op *op;

    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_GEMM, name, inputs, c != NULL ? 3 : 2, params,
                             sizeof *params, 0, &op, err));
    *out = op->outputs[0];
    return VECQ_OK;
}

/* Operands of the first versions had their leading axes flattened; from version 7 on they are matrices. */
static vecq_status gemm_operand(vecq_lower *l, const vecq_node *node, vecq_var *x, vecq_var **out,
                                vecq_error *err)
{
    int64_t dims[2];

    *out = x;
    if (x->rank == 2 || node->version >= 7 || x->rank < 2 || x->dims[0] == 0)
        return VECQ_OK;
    dims[0] = x->dims[0];
    dims[1] = (int64_t)x->count / x->dims[0];
    return vecq_lower_to_shape(l, vecq_node_label(node), x, 2, dims, out, err);
}

/*
 * alpha op(A) op(B) + beta C. A C of one row goes into the product as its bias (times beta); any other shape,
 * and every C beside an alpha, is added after it.
 */
vecq_status vecq_lower_gemm(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                            vecq_error *err)
{
    const char *name = vecq_node_label(node);
    double alpha = (double)vecq_node_attr_float(node, "alpha", 1.0f);
    double beta = (double)vecq_node_attr_float(node, "beta", 1.0f);
    vecq_matmul_params params = {vecq_node_attr_int(node, "transA", 0) != 0,
                                 vecq_node_attr_int(node, "transB", 0) != 0};
    vecq_var *a, *b, *c, *y;
    int64_t columns;

    VECQ_TRY(vecq_lower_need(node, in, 2, 3, err));
    VECQ_TRY(gemm_operand(l, node, in[0], &a, err));
    VECQ_TRY(gemm_operand(l, node, in[1], &b, err));
    c = node->n_inputs > 2 && beta != 0 ? in[2] : NULL;
    if (c != NULL && c->dtype != a->dtype)
        return vecq_op_fail(err, "operands of types %s and %s", vecq_dtype_name(a->dtype),
                            vecq_dtype_name(c->dtype));
    if (c != NULL && beta != 1)
        VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_MUL, name, c, beta, &c, err));
    columns = b->rank == 2 ? b->dims[params.trans_b ? 0 : 1] : -1;
    if (c != NULL && alpha == 1 && c->rank > 0 && c->rank <= 2 && c->dims[c->rank - 1] == columns &&
        c->count == (size_t)columns) {
        VECQ_TRY(vecq_lower_to_shape(l, name, c, 1, &columns, &c, err));
        return make_gemm(l, name, a, b, c, &params, &out[0], err);
    }
    VECQ_TRY(make_gemm(l, name, a, b, NULL, &params, &y, err));
    if (alpha != 1)
        VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_MUL, name, y, alpha, &y, err));
    out[0] = y;
    if (c == NULL)
        return VECQ_OK;
    VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_ADD, name, y, c, NULL, 0, &out[0], err));
    if (!vecq_var_same_shape(out[0], y))
        return vecq_op_fail(err, "C has another shape than the product");
    return VECQ_OK;
}

/* Rows of all leading axes at once: one Gemm. */
static vecq_status rows_by_matrix(vecq_lower *l, const char *name, vecq_var *a, vecq_var *b, vecq_var **out,
                                  vecq_error *err)
{
    vecq_matmul_params params = {0, 0};
    int64_t dims[VECQ_MAX_RANK], flat[2] = {1, a->dims[a->rank - 1]};
    unsigned i, rank = a->rank;

    for (i = 0; i + 1 < rank; i++)
        flat[0] *= dims[i] = a->dims[i]; /* at most the elements, unless another axis is empty */
    dims[rank - 1] = b->dims[1];
    VECQ_TRY(vecq_lower_to_shape(l, name, a, 2, flat, &a, err));
    VECQ_TRY(make_gemm(l, name, a, b, NULL, &params, &a, err));
    return vecq_lower_to_shape(l, name, a, rank, dims, out, err);
}

/* A vector on the left is a row, one on the right a column, and that axis goes away again. */
vecq_status vecq_lower_matmul(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                              vecq_error *err)
{
    const char *name = vecq_node_label(node);
    vecq_matmul_params params = {0, 0};
    vecq_var *a, *b, *y;
    int64_t dims[VECQ_MAX_RANK];
    unsigned i, rank = 0;

    VECQ_TRY(vecq_lower_need(node, in, 2, 2, err));
    a = in[0];
    b = in[1];
    if (a->rank == 0 || b->rank == 0)
        return vecq_op_fail(err, "an operand has no dimensions");
    if (a->rank == 1)
        VECQ_TRY(vecq_lower_to_shape(l, name, a, 2, (const int64_t[]){1, a->dims[0]}, &a, err));
    if (b->rank == 1)
        VECQ_TRY(vecq_lower_to_shape(l, name, b, 2, (const int64_t[]){b->dims[0], 1}, &b, err));
    if (b->rank == 2 && a->count > 0)
        VECQ_TRY(rows_by_matrix(l, name, a, b, &y, err));
    else
        VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_MATMUL, name, a, b, &params, sizeof params, &y, err));
    for (i = 0; i < y->rank; i++)
        if (!(i + 2 == y->rank && in[0]->rank == 1) && !(i + 1 == y->rank && in[1]->rank == 1))
            dims[rank++] = y->dims[i];
    return vecq_lower_to_shape(l, name, y, rank, dims, &out[0], err);
}
