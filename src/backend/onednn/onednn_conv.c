/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution forward, backward data, backward weights: 1 to 3 spatial axes, groups, depthwise, dilation,
 * uneven padding. Layouts are left open; with groups the weights [M, C/g, k...] are seen as [g, M/g, C/g,
 * k...], the same memory.
 *
 * dnnl_convolution_auto leaves the choice between Winograd and direct convolution to the library's own
 * estimate: docs/onednn.md has what was measured.
 */
#include <string.h>

#include "backend/onednn/onednn_private.h"
#include "base/status.h"

typedef struct conv_md {
    const vecq_dnnl_md *x, *w, *b, *y;
    vecq_dnnl_window win;
} conv_md;

static vecq_status conv_weights(vecq_onednn *e, const vecq_conv_params *p, const vecq_var *w,
                                const vecq_dnnl_md **out, vecq_error *err)
{
    dnnl_dims_t dims;
    int n = 0;
    unsigned i;

    if (p->group == 1)
        return vecq_onednn_any(e, w, out, err);
    dims[n++] = p->group;
    dims[n++] = w->dims[0] / p->group;
    for (i = 1; i < w->rank; i++)
        dims[n++] = w->dims[i];
    return vecq_onednn_check(vecq_dnnl_md_tag(&e->pool, n, dims, dnnl_format_tag_any, out), "weights", NULL,
                             err);
}

static vecq_status conv_describe(vecq_onednn *e, const vecq_conv_params *p, const vecq_var *x,
                                 const vecq_var *w, const vecq_var *b, const vecq_var *y, conv_md *md,
                                 vecq_error *err)
{
    unsigned i;

    memset(md, 0, sizeof *md);
    VECQ_TRY(vecq_onednn_any(e, x, &md->x, err));
    VECQ_TRY(vecq_onednn_any(e, y, &md->y, err));
    VECQ_TRY(conv_weights(e, p, w, &md->w, err));
    if (b != NULL)
        VECQ_TRY(vecq_onednn_plain(e, b, &md->b, err));
    for (i = 0; i < p->spatial; i++) {
        md->win.kernel[i] = w->dims[2 + i];
        md->win.stride[i] = p->stride[i];
        md->win.dilation[i] = p->dilation[i] - 1;
        md->win.pad_begin[i] = p->pad_begin[i];
        md->win.pad_end[i] = p->pad_end[i];
    }
    return VECQ_OK;
}

static int conv_takes(const vecq_conv_params *p, const vecq_var *x, const vecq_var *w, const vecq_var *y)
{
    unsigned i;

    for (i = 0; i < p->spatial; i++)
        if (p->pad_begin[i] < 0 || p->pad_end[i] < 0)
            return 0;
    return vecq_onednn_takes(x) && vecq_onednn_takes(w) && vecq_onednn_takes(y);
}

VECQ_ONEDNN_PLAN(conv)
{
    const vecq_var *x = op->inputs[0], *w = op->inputs[1], *b = op->n_inputs > 2 ? op->inputs[2] : NULL;
    const vecq_var *y = op->outputs[0];
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_SRC, .var = x},
                              {.kind = DNNL_ARG_WEIGHTS, .var = w},
                              {.kind = DNNL_ARG_BIAS, .var = b},
                              {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_WRITE, .var = y}};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made;
    conv_md md;

    if (!conv_takes(op->params, x, w, y))
        return VECQ_OK;
    VECQ_TRY(conv_describe(e, op->params, x, w, b, y, &md, err));
    made = vecq_dnnl_conv_forward(&e->make, dnnl_forward_training, dnnl_convolution_auto, md.x, md.w, md.b,
                                  md.y, &md.win, &pd);
    return vecq_onednn_finish(e, planner, op, made, pd, args, 4, taken, err);
}

/* The forward descriptor that the makers of backward passes ask for as a hint. */
static dnnl_status_t conv_hint(vecq_onednn *e, const conv_md *md, dnnl_primitive_desc_t *hint)
{
    return vecq_dnnl_conv_forward(&e->make, dnnl_forward_training, dnnl_convolution_auto, md->x, md->w, md->b,
                                  md->y, &md->win, hint);
}

VECQ_ONEDNN_PLAN(conv_grad_input)
{
    const vecq_var *dy = op->inputs[0], *w = op->inputs[1], *dx = op->outputs[0];
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_DIFF_DST, .var = dy},
                              {.kind = DNNL_ARG_WEIGHTS, .var = w},
                              {.kind = DNNL_ARG_DIFF_SRC, .access = VECQ_ONEDNN_WRITE, .var = dx}};
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    dnnl_status_t made;
    conv_md md;

    if (!conv_takes(op->params, dx, w, dy))
        return VECQ_OK;
    VECQ_TRY(conv_describe(e, op->params, dx, w, NULL, dy, &md, err));
    made = conv_hint(e, &md, &hint);
    if (made == dnnl_success) {
        made = vecq_dnnl_conv_backward_data(&e->make, dnnl_convolution_auto, md.x, md.w, md.y, &md.win, hint,
                                            &pd);
        dnnl_primitive_desc_destroy(hint);
    }
    return vecq_onednn_finish(e, planner, op, made, pd, args, 3, taken, err);
}

VECQ_ONEDNN_PLAN(conv_grad_weight)
{
    const vecq_var *x = op->inputs[0], *dy = op->inputs[1], *dw = op->outputs[0];
    const vecq_var *db = op->n_outputs > 1 && vecq_onednn_is_used(op->outputs[1]) ? op->outputs[1] : NULL;
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_SRC, .var = x},
                              {.kind = DNNL_ARG_DIFF_DST, .var = dy},
                              {.kind = DNNL_ARG_DIFF_WEIGHTS, .access = VECQ_ONEDNN_WRITE, .var = dw},
                              {.kind = DNNL_ARG_DIFF_BIAS, .access = VECQ_ONEDNN_WRITE, .var = db}};
    dnnl_primitive_desc_t pd = NULL, hint = NULL;
    dnnl_status_t made;
    conv_md md;

    if (!conv_takes(op->params, x, dw, dy))
        return VECQ_OK;
    VECQ_TRY(conv_describe(e, op->params, x, dw, db, dy, &md, err));
    made = conv_hint(e, &md, &hint);
    if (made == dnnl_success) {
        made = vecq_dnnl_conv_backward_weights(&e->make, dnnl_convolution_auto, md.x, md.w, md.b, md.y,
                                               &md.win, hint, &pd);
        dnnl_primitive_desc_destroy(hint);
    }
    return vecq_onednn_finish(e, planner, op, made, pd, args, 4, taken, err);
}
