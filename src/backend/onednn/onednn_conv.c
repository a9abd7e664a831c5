/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolution, transposed convolution and their gradients: 1 to 3 spatial axes, groups, depthwise, dilation,
 * uneven padding. All six are three primitives between a large image and a small one (op_conv.c): the forward
 * convolution makes the small one, its backward data pass the large one, its backward weights pass the
 * weights [channels of the small one, channels of the large one / group, kernel...]. With groups the library
 * wants them as [g, S/g, L/g, kernel...], the same memory. Layouts are left open.
 *
 * What a post says (or a Relu that alone reads a Conv) is done in its step.
 *
 * In training dnnl_convolution_auto leaves the choice between Winograd and direct convolution to the
 * library's own estimate. Programs that are only run have the choice of better direct ones, of which the
 * library takes the first even where Winograd is faster: docs/onednn.md has what was measured.
 */
#include <string.h>

#include "backend/onednn/onednn_private.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"

/* Packed weights transformed in each run: so many elements at most for each so many pixels of the result. */
#define WINOGRAD_WEIGHTS (9u * 64u * 64u)
#define WINOGRAD_PIXELS  784u

typedef struct conv_md {
    const vecq_dnnl_md *large, *w, *b, *small;
    vecq_dnnl_window win;
    int is_training;
    int tries_winograd;
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

static vecq_status conv_describe(vecq_onednn *e, const vecq_conv_params *p, const vecq_var *large,
                                 const vecq_var *w, const vecq_var *b, const vecq_var *small, conv_md *md,
                                 vecq_error *err)
{
    unsigned i;

    memset(md, 0, sizeof *md);
    VECQ_TRY(vecq_onednn_any(e, large, &md->large, err));
    VECQ_TRY(vecq_onednn_any(e, small, &md->small, err));
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

static int conv_takes(const vecq_conv_params *p, const vecq_var *large, const vecq_var *w,
                      const vecq_var *small)
{
    unsigned i;

    for (i = 0; i < p->spatial; i++)
        if (p->pad_begin[i] < 0 || p->pad_end[i] < 0)
            return 0;
    return vecq_onednn_takes(large) && vecq_onednn_takes(w) && vecq_onednn_takes(small);
}

static dnnl_status_t conv_forward(const vecq_dnnl_maker *m, const void *geometry, dnnl_primitive_desc_t *pd)
{
    const conv_md *md = geometry;
    dnnl_prop_kind_t prop = md->is_training ? dnnl_forward_training : dnnl_forward_inference;

    if (md->tries_winograd && vecq_dnnl_conv_forward(m, prop, dnnl_convolution_winograd, md->large, md->w,
                                                     md->b, md->small, &md->win, pd) == dnnl_success)
        return dnnl_success;
    return vecq_dnnl_conv_forward(m, prop, dnnl_convolution_auto, md->large, md->w, md->b, md->small,
                                  &md->win, pd);
}

/* The same with images as they were produced; 0: those are plain. */
static vecq_status conv_as_produced(vecq_onednn *e, const vecq_planner *planner, const vecq_var *large,
                                    const vecq_var *small, conv_md *md, int *differs, vecq_error *err)
{
    const vecq_dnnl_md *given = NULL;

    *differs = 0;
    if (large != NULL) {
        VECQ_TRY(vecq_onednn_produced(e, planner, large, &given, err));
        if (vecq_onednn_layout(given) != NULL) {
            md->large = given;
            *differs = 1;
        }
    }
    if (small != NULL) {
        VECQ_TRY(vecq_onednn_produced(e, planner, small, &given, err));
        if (vecq_onednn_layout(given) != NULL) {
            md->small = given;
            *differs = 1;
        }
    }
    return VECQ_OK;
}

/* A backward descriptor, and whether it is worth having. */
static dnnl_status_t conv_backward(vecq_onednn *e, const conv_md *md, int is_weights, int must_be_fast,
                                   dnnl_primitive_desc_t *pd)
{
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t made = vecq_dnnl_conv_forward(&e->make, dnnl_forward_training, dnnl_convolution_auto,
                                                md->large, md->w, md->b, md->small, &md->win, &hint);

    if (made != dnnl_success)
        return made;
    if (is_weights)
        made = vecq_dnnl_conv_backward_weights(&e->make, dnnl_convolution_auto, md->large, md->w, md->b,
                                               md->small, &md->win, hint, pd);
    else
        made = vecq_dnnl_conv_backward_data(&e->make, dnnl_convolution_auto, md->large, md->w, md->small,
                                            &md->win, hint, pd);
    dnnl_primitive_desc_destroy(hint);
    if (made == dnnl_success && must_be_fast && vecq_onednn_is_slow(*pd)) {
        dnnl_primitive_desc_destroy(*pd);
        *pd = NULL;
        return dnnl_unimplemented;
    }
    return made;
}

/* Winograd needs fewer multiplications, and pays with transforms of the images: worth it from 32 channels on.
 */
static int is_for_winograd(const vecq_conv_params *p, const vecq_var *w)
{
    unsigned i;

    for (i = 0; i < p->spatial; i++)
        if (w->dims[2 + i] != 3 || p->stride[i] != 1 || p->dilation[i] != 1)
            return 0;
    return p->spatial == 2 && p->group == 1 && w->dims[0] >= 32 && w->dims[1] >= 32;
}

/* With prefer_memory the transformed weights, two to four times as large, are not kept. Those that are
 * decoded in every run may be transformed too, where the image is large enough to pay for it. */
static int is_for_winograd_now(const vecq_onednn *e, const vecq_planner *planner, const vecq_op *op)
{
    const vecq_var *w = op->inputs[1], *y = op->outputs[0];

    if (op->kind != VECQ_OP_CONV || vecq_planner_is_training(planner) || !is_for_winograd(op->params, w))
        return 0;
    return !e->prefer_memory ||
           (!vecq_planner_is_prologue(planner, w) && w->dims[0] % VECQ_LAYOUT_CHUNK == 0 &&
            w->count <= y->count / (size_t)y->dims[1] / WINOGRAD_PIXELS * WINOGRAD_WEIGHTS);
}

/* large, w, b -> small */
static vecq_status plan_small(vecq_onednn *e, vecq_planner *planner, const vecq_op *op, const vecq_var *large,
                              const vecq_var *w, const vecq_var *b, const vecq_var *small, int *taken,
                              vecq_error *err)
{
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_SRC, .var = large},
                              {.kind = DNNL_ARG_WEIGHTS, .var = w},
                              {.kind = DNNL_ARG_BIAS, .var = b},
                              {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_WRITE, .var = small}};
    conv_md md;

    if (!conv_takes(op->params, large, w, small))
        return VECQ_OK;
    VECQ_TRY(conv_describe(e, op->params, large, w, b, small, &md, err));
    md.is_training = vecq_planner_is_training(planner);
    md.tries_winograd = is_for_winograd_now(e, planner, op);
    return vecq_onednn_finish_post(e, planner, op, conv_forward, &md, args, 4, taken, err);
}

/* small, w -> large */
static vecq_status plan_large(vecq_onednn *e, vecq_planner *planner, const vecq_op *op, const vecq_var *small,
                              const vecq_var *w, const vecq_var *large, int *taken, vecq_error *err)
{
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_DIFF_DST, .var = small},
                              {.kind = DNNL_ARG_WEIGHTS, .var = w},
                              {.kind = DNNL_ARG_DIFF_SRC, .access = VECQ_ONEDNN_WRITE, .var = large}};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made = dnnl_unimplemented;
    const vecq_dnnl_md *like = NULL;
    conv_md md, given;
    int differs;

    if (!conv_takes(op->params, large, w, small))
        return VECQ_OK;
    VECQ_TRY(conv_describe(e, op->params, large, w, NULL, small, &md, err));
    given = md;
    VECQ_TRY(conv_as_produced(e, planner, NULL, small, &given, &differs, err));
    if (differs)
        made = conv_backward(e, &given, 0, 1, &pd);
    if (differs && made == dnnl_unimplemented) { /* the library has it for both images alike */
        VECQ_TRY(vecq_onednn_like(e, given.small, large->dims, &like, err));
        given.large = like != NULL ? like : given.large;
        made = conv_backward(e, &given, 0, 1, &pd);
    }
    if (made != dnnl_success)
        made = conv_backward(e, &md, 0, 0, &pd);
    return vecq_onednn_finish(e, planner, op, made, pd, args, 3, taken, err);
}

/* large, small -> gradient of w, and of a bias of the small one (NULL: none) */
static vecq_status plan_weights(vecq_onednn *e, vecq_planner *planner, const vecq_op *op,
                                const vecq_var *large, const vecq_var *small, const vecq_var *dw,
                                const vecq_var *db, int *taken, vecq_error *err)
{
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_SRC, .var = large},
                              {.kind = DNNL_ARG_DIFF_DST, .var = small},
                              {.kind = DNNL_ARG_DIFF_WEIGHTS, .access = VECQ_ONEDNN_WRITE, .var = dw},
                              {.kind = DNNL_ARG_DIFF_BIAS, .access = VECQ_ONEDNN_WRITE, .var = db}};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made = dnnl_unimplemented;
    conv_md md, given;
    int differs;

    if (!conv_takes(op->params, large, dw, small))
        return VECQ_OK;
    VECQ_TRY(conv_describe(e, op->params, large, dw, db, small, &md, err));
    given = md;
    VECQ_TRY(conv_as_produced(e, planner, large, small, &given, &differs, err));
    if (differs)
        made = conv_backward(e, &given, 1, 1, &pd);
    if (made != dnnl_success)
        made = conv_backward(e, &md, 1, 0, &pd);
    return vecq_onednn_finish(e, planner, op, made, pd, args, 4, taken, err);
}

static const vecq_var *bias_gradient(const vecq_op *op)
{
    return op->n_outputs > 1 && vecq_onednn_is_used(op->outputs[1]) ? op->outputs[1] : NULL;
}

/* ---- Conv ---- */

VECQ_ONEDNN_PLAN(conv)
{
    return plan_small(e, planner, op, op->inputs[0], op->inputs[1], op->n_inputs > 2 ? op->inputs[2] : NULL,
                      op->outputs[0], taken, err);
}

VECQ_ONEDNN_PLAN(conv_grad_input)
{
    return plan_large(e, planner, op, op->inputs[0], op->inputs[1], op->outputs[0], taken, err);
}

VECQ_ONEDNN_PLAN(conv_grad_weight)
{
    return plan_weights(e, planner, op, op->inputs[0], op->inputs[1], op->outputs[0], bias_gradient(op),
                        taken, err);
}

/* ---- ConvTranspose ---- */

/* Adds the bias where the backward data pass has left the result. */
static vecq_status add_bias(vecq_onednn *e, vecq_planner *planner, const vecq_op *op, const vecq_var *b,
                            const vecq_var *y, vecq_error *err)
{
    const vecq_dnnl_md *md = NULL, *md_b = NULL;
    dnnl_primitive_desc_t pd = NULL;
    vecq_slot slot = VECQ_NO_SLOT;
    dnnl_dims_t dims;
    dnnl_status_t made;
    unsigned i;
    int ignored = 0;

    for (i = 0; i < y->rank; i++)
        dims[i] = i == 1 ? y->dims[1] : 1;
    VECQ_TRY(vecq_onednn_produced(e, planner, y, &md, err));
    VECQ_TRY(vecq_onednn_vector(e, md, dims, &md_b, err));
    VECQ_TRY(vecq_planner_input(planner, y, &vecq_backend_onednn, vecq_onednn_layout(md), &slot, err));
    made = vecq_dnnl_binary(&e->make, dnnl_binary_add, md, md_b, md, &pd);
    VECQ_TRY(vecq_onednn_check(made, "bias", NULL, err));
    {
        vecq_onednn_arg args[] = {{.kind = DNNL_ARG_SRC_0, .access = VECQ_ONEDNN_SLOT_READ, .slot = slot},
                                  {.kind = DNNL_ARG_SRC_1, .var = b},
                                  {.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_SLOT_WRITE, .slot = slot}};

        return vecq_onednn_finish(e, planner, op, dnnl_success, pd, args, 3, &ignored, err);
    }
}

VECQ_ONEDNN_PLAN(conv_transpose)
{
    const vecq_var *b = op->n_inputs > 2 ? op->inputs[2] : NULL;

    VECQ_TRY(plan_large(e, planner, op, op->inputs[0], op->inputs[1], op->outputs[0], taken, err));
    if (*taken && b != NULL)
        VECQ_TRY(add_bias(e, planner, op, b, op->outputs[0], err));
    return *taken ? vecq_onednn_post_after(e, planner, op, err) : VECQ_OK;
}

VECQ_ONEDNN_PLAN(conv_transpose_grad_input)
{
    return plan_small(e, planner, op, op->inputs[0], op->inputs[1], NULL, op->outputs[0], taken, err);
}

typedef struct channel_sums {
    const vecq_var *dy;
    unsigned threads;
    const float *from;
    float *to;
} channel_sums;

static vecq_status sum_channels(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const channel_sums *s = context;
    size_t n_images = (size_t)s->dy->dims[0], n_channels = (size_t)s->dy->dims[1], i, k;
    size_t n = s->dy->count / n_images / n_channels;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        double sum = 0;

        for (i = 0; i < n_images; i++)
            for (k = 0; k < n; k++)
                sum += (double)s->from[(i * n_channels + begin) * n + k];
        s->to[begin] = (float)sum;
    }
    return VECQ_OK;
}

static vecq_status run_channel_sums(void *state, const void *const *reads, void *const *writes,
                                    const vecq_run *run, vecq_error *err)
{
    channel_sums *s = state;

    (void)run;
    s->from = reads[0];
    s->to = writes[0];
    return vecq_parallel_for((size_t)s->dy->dims[1], 1, s->threads, sum_channels, s, err);
}

VECQ_ONEDNN_PLAN(conv_transpose_grad_weight)
{
    const vecq_var *x = op->inputs[0], *dy = op->inputs[1], *db = bias_gradient(op);
    vecq_slot from = VECQ_NO_SLOT, to = VECQ_NO_SLOT;
    channel_sums *sums;

    VECQ_TRY(plan_weights(e, planner, op, dy, x, op->outputs[0], NULL, taken, err));
    if (!*taken || db == NULL)
        return VECQ_OK;
    VECQ_TRY(vecq_planner_input(planner, dy, NULL, NULL, &from, err));
    VECQ_TRY(vecq_planner_output(planner, db, NULL, NULL, 0, &to, err));
    sums = vecq_calloc(1, sizeof *sums);
    if (sums == NULL)
        return vecq_error_memory(err, sizeof *sums);
    sums->dy = dy;
    sums->threads = e->threads;
    return vecq_planner_step(planner, op, &vecq_backend_onednn, "sums of channels", run_channel_sums, sums,
                             vecq_free, &from, 1, &to, 1, err);
}
