/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gemm and MatMul, which their gradients are too. The matmul primitive on plain matrices seen through strides
 * is as fast as the inner product in blocked weights (docs/onednn.md), and needs no reorders of weights. A
 * Relu that alone reads the result is done in the same step.
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
} product_md;

static dnnl_status_t product_make(const vecq_dnnl_maker *m, const void *geometry, dnnl_primitive_desc_t *pd)
{
    const product_md *md = geometry;

    return vecq_dnnl_matmul(m, md->a, md->b, md->c, md->y, pd);
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
    product_md md = {NULL, NULL, NULL, NULL};

    if (!vecq_onednn_takes(a) || !vecq_onednn_takes(b) || !vecq_onednn_takes(y) || a->rank < 2 ||
        b->rank < 2 || y->rank < 2 || y->rank < a->rank || y->rank < b->rank)
        return VECQ_OK;
    if (c != NULL && (!vecq_onednn_takes(c) || c->count != (size_t)y->dims[y->rank - 1] || y->rank != 2))
        return VECQ_OK;
    VECQ_TRY(matrix_md(e, a, y->rank, p != NULL && p->trans_a, &md.a, err));
    VECQ_TRY(matrix_md(e, b, y->rank, p != NULL && p->trans_b, &md.b, err));
    VECQ_TRY(matrix_md(e, y, y->rank, 0, &md.y, err));
    if (c != NULL) {
        dnnl_dims_t dims = {1, y->dims[1]};

        VECQ_TRY(vecq_onednn_check(vecq_dnnl_md_plain(&e->pool, 2, dims, &md.c), "bias", NULL, err));
    }
    return vecq_onednn_finish_post(e, planner, op, product_make, &md, args, 4, taken, err);
}
