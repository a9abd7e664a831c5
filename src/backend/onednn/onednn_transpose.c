/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transpose. Channels moved from the end to the front of an image are no work: a plain value is one with
 * channels last under the other shape, and the other way round. The rest is a reorder of the library.
 */
#include "backend/onednn/onednn_private.h"
#include "base/status.h"

#define SMALL 512u /* elements below which a reorder is not worth its call */

/* perm is 0, rank - 1, 1, 2, ...: what was last becomes the channels. */
static int is_to_front(const unsigned *perm, unsigned rank)
{
    unsigned i;

    for (i = 2; i < rank; i++)
        if (perm[i] != i - 1)
            return 0;
    return rank >= 3 && rank <= 5 && perm[0] == 0 && perm[1] == rank - 1;
}

/* perm is 0, 2, 3, ..., 1. */
static int is_to_end(const unsigned *perm, unsigned rank)
{
    unsigned i;

    for (i = 1; i + 1 < rank; i++)
        if (perm[i] != i + 1)
            return 0;
    return rank >= 3 && rank <= 5 && perm[0] == 0 && perm[rank - 1] == 1;
}

static vecq_status channels_last(vecq_onednn *e, const vecq_var *var, const vecq_dnnl_md **out,
                                 vecq_error *err)
{
    static const dnnl_format_tag_t tags[] = {dnnl_nwc, dnnl_nhwc, dnnl_ndhwc};

    return vecq_onednn_check(vecq_dnnl_md_tag(&e->pool, (int)var->rank, var->dims, tags[var->rank - 3], out),
                             "layout", NULL, err);
}

static vecq_status plan_reorder(vecq_onednn *e, vecq_planner *planner, const vecq_op *op, int *taken,
                                vecq_error *err)
{
    const vecq_transpose_params *p = op->params;
    const vecq_var *x = op->inputs[0], *y = op->outputs[0];
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_FROM, .access = VECQ_ONEDNN_READ_PLAIN, .var = x},
                              {.kind = DNNL_ARG_TO, .access = VECQ_ONEDNN_WRITE_PLAIN, .var = y}};
    dnnl_dim_t strides[VECQ_MAX_RANK], permuted[VECQ_MAX_RANK];
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made;
    unsigned i;

    for (i = x->rank; i > 0; i--)
        strides[i - 1] = i == x->rank ? 1 : strides[i] * x->dims[i];
    for (i = 0; i < y->rank; i++)
        permuted[i] = strides[p->perm[i]];
    made = vecq_dnnl_md_strides(&e->pool, (int)y->rank, y->dims, permuted, &args[0].md);
    if (made == dnnl_success)
        made = vecq_dnnl_md_plain(&e->pool, (int)y->rank, y->dims, &args[1].md);
    if (made == dnnl_success)
        made = vecq_dnnl_reorder(&e->make, args[0].md, args[1].md, &pd);
    return vecq_onednn_finish(e, planner, op, made, pd, args, 2, taken, err);
}

VECQ_ONEDNN_PLAN(transpose)
{
    const vecq_transpose_params *p = op->params;
    const vecq_var *x = op->inputs[0], *y = op->outputs[0];
    const vecq_dnnl_md *md = NULL, *last = NULL;
    vecq_slot slot;

    if (!vecq_onednn_takes(x) || x->rank < 2 || !vecq_onednn_is_used(y))
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_produced(e, planner, x, &md, err));
    if (is_to_front(p->perm, x->rank) && vecq_dnnl_md_is_plain(md)) {
        *taken = 1;
        VECQ_TRY(channels_last(e, y, &last, err));
        VECQ_TRY(vecq_planner_input(planner, x, NULL, NULL, &slot, err));
        return vecq_planner_alias(planner, y, &vecq_backend_onednn, vecq_onednn_layout(last), slot, err);
    }
    if (is_to_end(p->perm, x->rank) && !vecq_dnnl_md_is_plain(md)) {
        *taken = 1;
        VECQ_TRY(channels_last(e, x, &last, err));
        VECQ_TRY(vecq_planner_input(planner, x, &vecq_backend_onednn, vecq_onednn_layout(last), &slot, err));
        return vecq_planner_alias(planner, y, NULL, NULL, slot, err);
    }
    return x->count >= SMALL ? plan_reorder(e, planner, op, taken, err) : VECQ_OK;
}
