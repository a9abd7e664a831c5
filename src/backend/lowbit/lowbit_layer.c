/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions and matrix products of bytes with packed weights. The bytes of a QuantizePair that alone, or
 * among others, reads the result are written by the same step.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/lowbit/lowbit_private.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"
#include "graph/bank.h"
#include "graph/post.h"

#define PIXELS_LEAST 64u /* a thread takes; with fewer of them output channels are divided */

typedef struct layer {
    vecq_igemm_job job;
    const vecq_igemm_kernels *kernels;
    void *memory; /* of the weight, unless shared */
    vecq_shared *shared;
    float *scale, *bias;
    float *x_scale;  /* dynamic: of each image or row, during a run */
    int32_t *x_zero; /* the same */
    const vecq_lowbit_layout *input;
    size_t pixels, panels, pixel_step, panel_step; /* of the work, and of a piece of it */
    size_t q_start;
    size_t scratch_bytes;
    unsigned threads;
    int residual, y, q; /* places in reads and writes; -1: none */
    int scratch_at;
    uint8_t *scratch; /* during a run */
    const vecq_lowbit_layout *bytes;
} layer;

static void layer_destroy(void *state)
{
    layer *l = state;

    vecq_free(l->memory);
    vecq_shared_release(l->shared);
    vecq_free(l->scale);
    vecq_free(l->bias);
    vecq_free(l->x_scale);
    vecq_free(l->x_zero);
    vecq_free(l);
}

/* ---- running ---- */

static vecq_status layer_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const layer *l = context;
    size_t across = (l->panels + l->panel_step - 1) / l->panel_step;

    (void)err;
    for (; begin < end; begin++) {
        size_t p = begin / across * l->pixel_step, c = begin % across * l->panel_step;
        size_t p_end = p + l->pixel_step < l->pixels ? p + l->pixel_step : l->pixels;
        size_t c_end = c + l->panel_step < l->panels ? c + l->panel_step : l->panels;

        l->kernels->run(&l->job, p, p_end, c, c_end, l->scratch + thread * l->scratch_bytes);
    }
    return VECQ_OK;
}

static void fill_borders(const layer *l, uint8_t *q)
{
    const vecq_lowbit_layout *b = l->bytes;
    vecq_igemm_shape shape = {.n = b->n, .h = b->h, .w = b->w, .c = b->c};

    shape.top = b->top;
    shape.left = b->left;
    shape.bottom = b->bottom;
    shape.right = b->right;
    if (b->top + b->left + b->bottom + b->right > 0)
        vecq_igemm_pad_border(&shape, b->zero, 0, vecq_igemm_padded_rows(&shape), q);
}

/* What this run's activations were rounded to. */
static void take_grids(layer *l, const vecq_nhwc_grid *grids)
{
    size_t i;

    for (i = 0; i < l->input->n; i++) {
        l->x_scale[i] = grids[i].scale;
        l->x_zero[i] = grids[i].zero;
    }
}

static vecq_status layer_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                             vecq_error *err)
{
    layer *l = state;
    size_t pieces = (l->pixels + l->pixel_step - 1) / l->pixel_step;

    (void)run;
    l->job.x = reads[0];
    if (l->input->is_dynamic)
        take_grids(l, vecq_lowbit_grids(l->input, reads[0]));
    if (l->residual >= 0)
        l->job.out.add = reads[l->residual];
    if (l->y >= 0)
        l->job.out.y = writes[l->y];
    if (l->q >= 0) {
        fill_borders(l, writes[l->q]);
        l->job.out.q = (uint8_t *)writes[l->q] + l->q_start;
    }
    l->scratch = writes[l->scratch_at];
    return vecq_parallel_for(pieces * ((l->panels + l->panel_step - 1) / l->panel_step), 1, l->threads,
                             layer_range, l, err);
}

/* ---- planning ---- */

static vecq_status make_weight(const vecq_lowbit *e, const vecq_lowbit_memo *memo, layer *l, vecq_error *err)
{
    unsigned bits = memo->weight.layout->bits;
    size_t n = vecq_igemm_weight_bytes(&memo->shape, bits, e->prefer_memory);
    uint8_t *codes = vecq_alloc(memo->weight.layout->count, 1), *memory = vecq_alloc(n, 1);

    if (codes == NULL || memory == NULL) {
        vecq_free(codes);
        vecq_free(memory);
        return vecq_error_memory(err, n);
    }
    vecq_lowbit_codes(memo->weight.decode, codes);
    vecq_igemm_prepack(&memo->shape, bits, memo->weight.layout->is_whole, e->prefer_memory, codes, memory,
                       &l->job.weight);
    vecq_free(codes);
    if (e->bank == NULL) {
        l->memory = memory;
        return VECQ_OK;
    }
    n = (size_t)((const uint8_t *)l->job.weight.data - memory); /* where the two parts lie */
    {
        size_t sums = (size_t)((const uint8_t *)l->job.weight.sums - memory);

        VECQ_TRY(vecq_bank_intern(
            e->bank, memory, vecq_igemm_weight_bytes(&memo->shape, bits, e->prefer_memory), &l->shared, err));
        l->job.weight.data = (const uint8_t *)l->shared->data + n;
        l->job.weight.sums = (const int32_t *)(const void *)((const uint8_t *)l->shared->data + sums);
    }
    return VECQ_OK;
}

static vecq_status make_scales(const vecq_lowbit_memo *memo, const vecq_op *op, layer *l, vecq_error *err)
{
    const float *scales = vecq_lowbit_scales(memo->weight.decode);
    const vecq_var *bias = vecq_lowbit_bias(op);
    const float part = memo->weight.layout->is_whole ? 1.0f : 0.5f;
    size_t i, oc = memo->shape.oc;
    int known = 1;

    l->scale = vecq_alloc(oc, sizeof *l->scale);
    l->bias = vecq_alloc(oc, sizeof *l->bias);
    if (l->scale == NULL || l->bias == NULL)
        return vecq_error_memory(err, oc * sizeof *l->scale);
    for (i = 0; i < oc; i++)
        l->scale[i] = part * scales[memo->weight.layout->n_slices > 1 ? i : 0] *
                      (memo->input->is_dynamic ? 1.0f : memo->input->scale);
    l->job.out.scale = l->scale;
    if (bias == NULL)
        return VECQ_OK;
    VECQ_TRY(vecq_lowbit_vector(bias, oc, l->bias, &known, err));
    if (!known)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "a bias of %zu for %zu channels", bias->count, oc);
    l->job.out.bias = l->bias;
    return VECQ_OK;
}

/* Zero point and scale of each image, or row, are found in the run. */
static vecq_status set_parts(const vecq_lowbit_memo *memo, layer *l, vecq_error *err)
{
    size_t n = memo->input->n;

    l->input = memo->input;
    if (!memo->input->is_dynamic)
        return VECQ_OK;
    l->x_scale = vecq_alloc(n, sizeof *l->x_scale);
    l->x_zero = vecq_alloc(n, sizeof *l->x_zero);
    if (l->x_scale == NULL || l->x_zero == NULL)
        return vecq_error_memory(err, n * sizeof *l->x_scale);
    l->job.part = memo->input->is_rows ? 1 : memo->shape.oh * memo->shape.ow;
    l->job.zeros = l->x_zero;
    l->job.out.row_scale = l->x_scale;
    return VECQ_OK;
}

static void set_activation(const vecq_post *post, vecq_igemm_output *out)
{
    out->activation = VECQ_IGEMM_CLIP;
    out->low = -INFINITY;
    out->high = INFINITY;
    switch (post != NULL ? post->activation : VECQ_POST_NONE) {
    case VECQ_POST_RELU:
        out->low = 0.0f;
        break;
    case VECQ_POST_CLIP:
        out->low = (float)post->a;
        out->high = (float)post->b;
        break;
    case VECQ_POST_LEAKY_RELU:
        out->activation = VECQ_IGEMM_LEAKY;
        out->low = (float)post->a;
        break;
    case VECQ_POST_HARD_SWISH:
        out->activation = VECQ_IGEMM_HARD_SWISH;
        break;
    default:
        break;
    }
}

/* The QuantizePair whose bytes are written with the result, and whether anybody wants the floats. Products
 * write rows, convolutions images. */
static const vecq_op *pair_after(const vecq_lowbit *e, const vecq_op *op, int *wants_floats)
{
    const vecq_var *y = op->outputs[0];
    const vecq_lowbit_reader *reader;
    const vecq_op *pair = NULL;

    *wants_floats = y->is_output;
    for (reader = e->readers[y->index]; reader != NULL; reader = reader->next)
        if (pair == NULL && reader->op->kind == VECQ_OP_QUANTIZE_PAIR &&
            vecq_lowbit_memo_of(e, reader->op)->bytes != NULL &&
            vecq_lowbit_memo_of(e, reader->op)->bytes->is_rows == (op->kind != VECQ_OP_CONV))
            pair = reader->op;
        else
            *wants_floats = 1;
    return pair;
}

static void set_bytes(layer *l, const vecq_lowbit_layout *b)
{
    l->bytes = b;
    l->job.out.q_scale = b->scale;
    l->job.out.q_zero = b->zero;
    l->job.out.q_low = b->low;
    l->job.out.q_high = b->high;
    l->job.out.q_stride.pixel = b->c;
    l->q_start = vecq_lowbit_strides(b, &l->job.out.q_stride.row, &l->job.out.q_stride.image);
}

/* About what a layer costs, in products: what follows a sum takes as long as so many of them. */
#define FINISH_COST 128u
#define SMALL_LAYER (1u << 20) /* a thread more would take as long to come and go */

static int is_small(const vecq_igemm_shape *s)
{
    return (double)vecq_igemm_pixels(s) * (double)s->oc *
               ((double)(s->kh * s->kw * (s->c / s->groups)) + FINISH_COST) <
           SMALL_LAYER;
}

/* Pieces of the work: pixels where there are many; weights that stay packed are decoded once by whoever works
 * on them, so their panels are divided. Depthwise layers take all channels at once: whole rows. */
static void divide(const vecq_lowbit *e, layer *l)
{
    const vecq_igemm_shape *s = &l->job.shape;
    size_t threads = e->threads > 1 && !is_small(s) ? e->threads : 1;

    l->threads = (unsigned)threads;
    l->pixels = vecq_igemm_pixels(s);
    l->panels = vecq_igemm_panels(s);
    l->pixel_step = l->pixels;
    l->panel_step = l->panels;
    if (threads == 1)
        return;
    if (s->groups > 1 && s->groups == s->c && s->groups == s->oc)
        l->pixel_step = (s->n * s->oh + 2 * threads - 1) / (2 * threads) * s->ow;
    else if (l->pixels >= threads * PIXELS_LEAST && !(l->job.weight.is_packed && l->panels >= 2 * threads))
        l->pixel_step = (l->pixels / (2 * threads) + 15) / 16 * 16;
    else
        l->panel_step = 1;
}

static vecq_status layer_slots(vecq_lowbit *e, vecq_planner *planner, const vecq_op *op, layer *l,
                               vecq_slot *reads, size_t *n_reads, vecq_slot *writes, size_t *n_writes,
                               vecq_error *err)
{
    const vecq_lowbit_layout *floats = NULL;
    const vecq_var *y = op->outputs[0], *residual = vecq_op_residual(op);
    const vecq_lowbit_memo *memo = vecq_lowbit_memo_of(e, op);
    const vecq_op *pair;
    int wants_floats;

    if (op->kind == VECQ_OP_CONV)
        VECQ_TRY(vecq_lowbit_floats(e, y, &floats, err));
    VECQ_TRY(vecq_planner_input(planner, op->inputs[0], &vecq_backend_lowbit, memo->input, &reads[0], err));
    *n_reads = 1;
    if (residual != NULL) {
        l->residual = (int)*n_reads;
        VECQ_TRY(
            vecq_planner_input(planner, residual, &vecq_backend_lowbit, floats, &reads[(*n_reads)++], err));
    }
    pair = pair_after(e, op, &wants_floats);
    if (wants_floats) {
        l->y = (int)*n_writes;
        VECQ_TRY(vecq_planner_output_over(
            planner, y, &vecq_backend_lowbit, floats, floats != NULL ? floats->n_bytes : 0,
            residual != NULL ? reads[1] : VECQ_NO_SLOT, &writes[(*n_writes)++], err));
    }
    if (pair != NULL) {
        const vecq_lowbit_layout *bytes = vecq_lowbit_memo_of(e, pair)->bytes;

        vecq_lowbit_memo_of(e, pair)->is_done = 1;
        set_bytes(l, bytes);
        l->q = (int)*n_writes;
        VECQ_TRY(vecq_planner_output(planner, pair->outputs[0], &vecq_backend_lowbit, bytes, bytes->n_bytes,
                                     &writes[(*n_writes)++], err));
    }
    l->scratch_at = (int)*n_writes;
    return vecq_planner_scratch(planner, l->scratch_bytes * e->threads + 64, &writes[(*n_writes)++], err);
}

static vecq_status layer_fill(vecq_lowbit *e, const vecq_op *op, layer *l, vecq_error *err)
{
    const vecq_lowbit_memo *memo = vecq_lowbit_memo_of(e, op);

    l->residual = l->y = l->q = -1;
    l->kernels = vecq_igemm_kernels_active();
    l->job.shape = memo->shape;
    l->job.zero = memo->input->zero;
    VECQ_TRY(make_weight(e, memo, l, err));
    VECQ_TRY(make_scales(memo, op, l, err));
    VECQ_TRY(set_parts(memo, l, err));
    set_activation(op->post, &l->job.out);
    divide(e, l);
    l->scratch_bytes = (vecq_igemm_scratch_bytes(&memo->shape, e->prefer_memory) + 63) / 64 * 64;
    return VECQ_OK;
}

vecq_status vecq_lowbit_plan_layer(vecq_lowbit *e, vecq_planner *planner, const vecq_op *op, int *taken,
                                   vecq_error *err)
{
    const vecq_lowbit_memo *memo = vecq_lowbit_memo_of(e, op);
    size_t n_reads = 0, n_writes = 0;
    vecq_slot reads[2], writes[3];
    vecq_status status;
    char detail[64];
    layer *l;

    if (!memo->is_layer && !memo->is_product) /* the step of another backend says why */
        return memo->why != NULL ? vecq_planner_reason(planner, memo->why, err) : VECQ_OK;
    *taken = 1;
    if (memo->is_product)
        return vecq_lowbit_plan_product(e, planner, op, err);
    l = vecq_calloc(1, sizeof *l);
    if (l == NULL)
        return vecq_error_memory(err, sizeof *l);
    status = layer_fill(e, op, l, err);
    if (status == VECQ_OK)
        status = layer_slots(e, planner, op, l, reads, &n_reads, writes, &n_writes, err);
    if (status != VECQ_OK) {
        layer_destroy(l);
        return status;
    }
    snprintf(detail, sizeof detail, "%u bits x 8 bits, %s, %s", l->job.weight.bits,
             l->job.weight.is_packed ? "packed" : "bytes", l->kernels->name);
    VECQ_TRY(vecq_planner_step(planner, op, &vecq_backend_lowbit, detail, layer_run, l, layer_destroy, reads,
                               n_reads, writes, n_writes, err));
    vecq_planner_integer(planner);
    return vecq_planner_reason(planner, memo->why, err);
}
