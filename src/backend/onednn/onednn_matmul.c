/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gemm and MatMul, which their gradients are too. The matmul primitive on plain matrices seen through strides
 * is as fast for large batches as the inner product in blocked weights (docs/onednn.md), and needs no
 * reorders of weights in each step of a training. Where weights never change they are reordered, once. What a
 * post says (or a Relu that alone reads the result) is done in the same step.
 */
#include <string.h>

#include "backend/onednn/onednn_private.h"
#include "base/status.h"

/* A plain matrix (or a stack of them, with leading ones up to `rank`), transposed by its strides. */
static vecq_status matrix_md(vecq_onednn *e, const vecq_var *var, unsigned rank, int is_transposed,
                             const vecq_dnnl_md **out, vecq_error *err)
{
    unsigned i, lead = rank - var->rank;
    dnnl_dims_t dims, strides;
    dnnl_dim_t stride = 1, keep;

    for (i = rank; i-- > 0;) {
        dims[i] = i < lead ? 1 : var->dims[i - lead];
        strides[i] = stride;
        stride *= dims[i];
    }
    if (is_transposed) {
        keep = dims[rank - 1];
        dims[rank - 1] = dims[rank - 2];
        dims[rank - 2] = keep;
        keep = strides[rank - 1];
        strides[rank - 1] = strides[rank - 2];
        strides[rank - 2] = keep;
    }
    return vecq_onednn_check(vecq_dnnl_md_strides(&e->pool, (int)rank, dims, strides, out), "matrix", NULL,
                             err);
}

typedef struct product_md {
    const vecq_dnnl_md *a, *b, *c, *y;
    int is_inner; /* the inner product primitive, with b [N, K] */
} product_md;

static dnnl_status_t product_make(const vecq_dnnl_maker *m, const void *geometry, dnnl_primitive_desc_t *pd)
{
    const product_md *md = geometry;

    if (md->is_inner)
        return vecq_dnnl_inner_forward(m, dnnl_forward_inference, md->a, md->b, md->c, md->y, pd);
    return vecq_dnnl_matmul(m, md->a, md->b, md->c, md->y, pd);
}

static vecq_status product_bias(vecq_onednn *e, const vecq_var *c, const vecq_var *y, product_md *md,
                                vecq_error *err)
{
    const dnnl_dims_t dims = {1, y->dims[1]};

    if (c == NULL)
        return VECQ_OK;
    return vecq_onednn_check(vecq_dnnl_md_plain(&e->pool, md->is_inner ? 1 : 2, dims + md->is_inner, &md->c),
                             "bias", NULL, err);
}

/* Weights that never change are put once into the form the library likes best. */
static vecq_status constant_weights(vecq_onednn *e, const vecq_planner *planner, const vecq_op *op,
                                    product_md *md, vecq_onednn_access *access, vecq_error *err)
{
    const vecq_matmul_params *p = op->params;

    if (op->kind != VECQ_OP_GEMM || vecq_planner_is_training(planner) ||
        !vecq_planner_is_prologue(planner, op->inputs[1]) || (p != NULL && p->trans_a))
        return VECQ_OK;
    *access = VECQ_ONEDNN_READ;
    md->is_inner = p != NULL && p->trans_b;
    return vecq_onednn_any(e, op->inputs[1], &md->b, err);
}

VECQ_ONEDNN_PLAN(matmul)
{
    const vecq_matmul_params *p = op->params;
    const vecq_var *a = op->inputs[0], *b = op->inputs[1], *y = op->outputs[0];
    const vecq_var *c = vecq_op_data_inputs(op) > 2 ? op->inputs[2] : NULL;
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_SRC, .access = VECQ_ONEDNN_READ_PLAIN, .var = a},
                              {.kind = DNNL_ARG_WEIGHTS, .access = VECQ_ONEDNN_READ_PLAIN, .var = b},
                              {.kind = DNNL_ARG_BIAS, .access = VECQ_ONEDNN_READ_PLAIN, .var = c},
                              {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_WRITE_PLAIN, .var = y}};
    product_md md = {.a = NULL};

    if (!vecq_onednn_takes(a) || !vecq_onednn_takes(b) || !vecq_onednn_takes(y) || a->rank < 2 ||
        b->rank < 2 || y->rank < 2 || y->rank < a->rank || y->rank < b->rank)
        return VECQ_OK;
    if (c != NULL && (!vecq_onednn_takes(c) || c->count != (size_t)y->dims[y->rank - 1] || y->rank != 2))
        return VECQ_OK;
    VECQ_TRY(matrix_md(e, a, y->rank, p != NULL && p->trans_a, &md.a, err));
    VECQ_TRY(matrix_md(e, b, y->rank, p != NULL && p->trans_b, &md.b, err));
    VECQ_TRY(matrix_md(e, y, y->rank, 0, &md.y, err));
    VECQ_TRY(constant_weights(e, planner, op, &md, &args[1].access, err));
    VECQ_TRY(product_bias(e, c, y, &md, err));
    return vecq_onednn_finish_post(e, planner, op, product_make, &md, args, 4, taken, err);
}
