/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums, differences, products and quotients of two operands of one shape, in the layout they share (or that
 * of the one which is not plain), over the memory of the first; and of a tensor with one number for each
 * channel or for everything. Other broadcasts are the plain backend's.
 */
#include <string.h>

#include "backend/onednn/onednn_private.h"
#include "base/status.h"

static int alg_of(vecq_op_kind kind, dnnl_alg_kind_t *alg)
{
    switch (kind) {
    case VECQ_OP_ADD:
        *alg = dnnl_binary_add;
        return 1;
    case VECQ_OP_SUB:
        *alg = dnnl_binary_sub;
        return 1;
    case VECQ_OP_MUL:
        *alg = dnnl_binary_mul;
        return 1;
    case VECQ_OP_DIV:
        *alg = dnnl_binary_div;
        return 1;
    default:
        return 0;
    }
}

/* Shape of b with ones before it, when it is one number for each channel of a, or one in all; else 0. */
static int per_channel(const vecq_var *a, const vecq_var *b, dnnl_dim_t *dims)
{
    unsigned i, lead = a->rank - b->rank;

    if (b->rank > a->rank || a->rank < 2)
        return 0;
    for (i = 0; i < a->rank; i++) {
        dims[i] = i < lead ? 1 : b->dims[i - lead];
        if (dims[i] != 1 && (i != 1 || dims[i] != a->dims[1]))
            return 0;
    }
    return 1;
}

typedef struct binary_md {
    dnnl_alg_kind_t alg;
    const vecq_dnnl_maker *bare; /* the maker without a post: the only one for layouts with padding, on which
                                    version 2.6 gives wrong results with a function after the sum */
    const vecq_dnnl_md *a, *b;
} binary_md;

static dnnl_status_t binary_make(const vecq_dnnl_maker *m, const void *geometry, dnnl_primitive_desc_t *pd)
{
    const binary_md *md = geometry;
    size_t count = 1;
    int i;

    for (i = 0; i < vecq_dnnl_md_rank(md->a); i++)
        count *= (size_t)vecq_dnnl_md_dims(md->a)[i];
    if (m != md->bare && vecq_dnnl_md_bytes(md->a) != count * sizeof(float))
        return dnnl_unimplemented;
    return vecq_dnnl_binary(m, md->alg, md->a, md->b, md->a, pd);
}

static vecq_status binary_broadcast(vecq_onednn *e, vecq_planner *planner, const vecq_op *op, binary_md *md,
                                    const vecq_var *a, const vecq_var *b, int *taken, vecq_error *err)
{
    vecq_onednn_arg args[] = {
        {.kind = DNNL_ARG_SRC_0, .var = a},
        {.kind = DNNL_ARG_SRC_1, .var = b},
        {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[0], .over = DNNL_ARG_SRC_0}};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made;
    dnnl_dims_t dims;
    int is_slow;

    VECQ_TRY(vecq_onednn_produced(e, planner, a, &md->a, err));
    /* Plain operands gain nothing, and a view of another rank has other axes. */
    if (vecq_onednn_layout(md->a) == NULL || vecq_dnnl_md_rank(md->a) != (int)a->rank ||
        !per_channel(a, b, dims))
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_vector(e, md->a, dims, &md->b, err));
    made = binary_make(&e->make, md, &pd);
    if (made != dnnl_success)
        return vecq_onednn_finish(e, planner, op, made, pd, args, 3, taken, err);
    is_slow = vecq_onednn_is_slow(pd);
    dnnl_primitive_desc_destroy(pd);
    return is_slow ? VECQ_OK : vecq_onednn_finish_post(e, planner, op, binary_make, md, args, 3, taken, err);
}

VECQ_ONEDNN_PLAN(binary)
{
    const vecq_var *a = op->inputs[0], *b = op->inputs[1];
    int commutes = op->kind == VECQ_OP_ADD || op->kind == VECQ_OP_MUL;
    binary_md md = {.bare = &e->make};

    if (!vecq_onednn_takes(a) || !vecq_onednn_takes(b) || !alg_of(op->kind, &md.alg))
        return VECQ_OK;
    if (commutes && a != b && (a->count < b->count || (vecq_var_same_shape(a, b) && a->n_uses > b->n_uses))) {
        a = op->inputs[1];
        b = op->inputs[0];
    }
    if (!vecq_var_same_shape(a, b))
        return binary_broadcast(e, planner, op, &md, a, b, taken, err);
    VECQ_TRY(vecq_onednn_common(e, planner, a, b, &md.a, err));
    md.b = md.a;
    {
        vecq_onednn_arg args[] = {{.kind = DNNL_ARG_SRC_0, .var = a},
                                  {.kind = DNNL_ARG_SRC_1, .var = b},
                                  {.kind = DNNL_ARG_DST,
                                   .access = VECQ_ONEDNN_WRITE,
                                   .var = op->outputs[0],
                                   .over = DNNL_ARG_SRC_0}};

        return vecq_onednn_finish_post(e, planner, op, binary_make, &md, args, 3, taken, err);
    }
}
