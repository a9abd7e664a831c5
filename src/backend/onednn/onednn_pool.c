/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pooling. The workspace of MaxPool (which element of the window won) is in the library's own form, so an op
 * whose gradient could not be taken here is not taken either; both ask pool_describe().
 */
#include <string.h>

#include "backend/onednn/onednn_private.h"
#include "base/status.h"

typedef struct pool_md {
    dnnl_alg_kind_t alg;
    const vecq_dnnl_md *x, *y;
    vecq_dnnl_window win;
} pool_md;

/* The end padding that makes oneDNN's formula give the output size; -1 where the library's window would
 * differ: a window that begins in the padding only, or an average over a part of the window. */
static int64_t end_padding(const vecq_pool_params *p, unsigned i, int64_t in, int64_t out, int is_max)
{
    int64_t extent = (p->kernel[i] - 1) * p->dilation[i] + 1;
    int64_t need = (out - 1) * p->stride[i] + extent - in - p->pad_begin[i];

    if (need <= p->pad_end[i] && p->pad_end[i] - need < p->stride[i])
        return p->pad_end[i];
    if (need > p->pad_end[i] && need < extent && (is_max || !p->include_pad))
        return need;
    return -1;
}

/* 0: not for this backend. */
static int pool_window(const vecq_pool_params *p, const vecq_var *x, const vecq_var *y, int is_max,
                       vecq_dnnl_window *win)
{
    unsigned i;

    memset(win, 0, sizeof *win);
    if (!vecq_onednn_takes(x) || !vecq_onednn_takes(y) || x->rank != p->spatial + 2)
        return 0;
    for (i = 0; i < p->spatial; i++) {
        int64_t extent = (p->kernel[i] - 1) * p->dilation[i] + 1;

        win->kernel[i] = p->kernel[i];
        win->stride[i] = p->stride[i];
        win->dilation[i] = p->dilation[i] - 1;
        win->pad_begin[i] = p->pad_begin[i];
        win->pad_end[i] = end_padding(p, i, x->dims[2 + i], y->dims[2 + i], is_max);
        if (p->dilation[i] > 1 && (p->pad_begin[i] > 0 || win->pad_end[i] > 0))
            return 0; /* windows may meet no element */
        if (win->pad_begin[i] < 0 || win->pad_begin[i] >= extent || win->pad_end[i] < 0 ||
            win->pad_end[i] >= extent)
            return 0;
    }
    return 1;
}

static dnnl_status_t pool_forward(vecq_onednn *e, const pool_md *md, int is_training,
                                  dnnl_primitive_desc_t *pd)
{
    return vecq_dnnl_pool_forward(&e->make, is_training ? dnnl_forward_training : dnnl_forward_inference,
                                  md->alg, md->x, md->y, &md->win, pd);
}

static int pool_describe(const vecq_op *op, const vecq_var *x, const vecq_var *y, int is_max, pool_md *md)
{
    const vecq_pool_params *p = op->params;

    memset(md, 0, sizeof *md);
    if (p->with_places) /* the library's workspace has a form of its own */
        return 0;
    md->alg = is_max           ? dnnl_pooling_max
              : p->include_pad ? dnnl_pooling_avg_include_padding
                               : dnnl_pooling_avg_exclude_padding;
    return pool_window(p, x, y, is_max, &md->win);
}

/* x -> y[, workspace] */
VECQ_ONEDNN_PLAN(pool)
{
    const vecq_var *x = op->inputs[0], *y = op->outputs[0];
    const vecq_var *ws = op->n_outputs > 1 && vecq_onednn_is_used(op->outputs[1]) ? op->outputs[1] : NULL;
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_SRC, .var = x},
                              {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_WRITE, .var = y},
                              {.kind = DNNL_ARG_WORKSPACE, .access = VECQ_ONEDNN_WRITE, .var = ws}};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made;
    pool_md md;

    if (!pool_describe(op, x, y, op->kind == VECQ_OP_MAX_POOL, &md))
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_produced(e, planner, x, &md.x, err));
    VECQ_TRY(vecq_onednn_any(e, y, &md.y, err));
    made = pool_forward(e, &md, ws != NULL, &pd);
    VECQ_TRY(vecq_onednn_finish(e, planner, op, made, pd, args, 3, taken, err));
    vecq_onednn_memo_of(e, op)->is_taken = *taken;
    vecq_onednn_memo_of(e, op)->x = md.x;
    return VECQ_OK;
}

/* dy[, workspace] -> dx, in the layout of the forward pass. */
VECQ_ONEDNN_PLAN(pool_grad)
{
    const vecq_var *dy = op->inputs[0], *dx = op->outputs[0];
    const vecq_var *ws = op->n_inputs > 1 ? op->inputs[1] : NULL;
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_DIFF_DST, .var = dy},
                              {.kind = DNNL_ARG_WORKSPACE, .var = ws},
                              {.kind = DNNL_ARG_DIFF_SRC, .access = VECQ_ONEDNN_WRITE, .var = dx}};
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    dnnl_status_t made;
    pool_md md;

    if (op->forward == NULL || !vecq_onednn_memo_of(e, op->forward)->is_taken ||
        !pool_describe(op, dx, dy, op->kind == VECQ_OP_MAX_POOL_GRAD, &md))
        return VECQ_OK;
    md.x = vecq_onednn_memo_of(e, op->forward)->x;
    VECQ_TRY(vecq_onednn_any(e, dy, &md.y, err));
    made = pool_forward(e, &md, 1, &hint);
    if (made == dnnl_success) {
        made = vecq_dnnl_md_of(&e->pool, hint, dnnl_query_dst_md, &md.y);
        if (made == dnnl_success)
            made = vecq_dnnl_pool_backward(&e->make, md.alg, md.x, md.y, &md.win, hint, &pd);
        dnnl_primitive_desc_destroy(hint);
    }
    return vecq_onednn_finish(e, planner, op, made, pd, args, 3, taken, err);
}
