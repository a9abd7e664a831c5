/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normalization of programs that are only run: GroupNorm (InstanceNormalization), BatchNorm that was not
 * folded into a convolution, LayerNorm. An element becomes x * a + b with a factor and an offset for each
 * channel, for GroupNorm of each image. Sums are taken in double, in pieces of a fixed size whose sums are
 * added in order: the number of threads changes nothing. They are of x - s and its square, s being the first
 * element of the channel, so that one pass over x is enough for the variance.
 */
#include <math.h>

#include "backend/onednn/onednn_image.h"
#include "backend/ref/ref.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"
#include "kernels/image/image.h"

#define PIECE 16384u /* floats that a thread takes at a time */

typedef struct norm_step {
    vecq_onednn_image view;
    const vecq_image_kernels *kernels;
    const vecq_post *post; /* NULL: none, or a Relu, which is `low` */
    float low;             /* of the result */
    size_t part, parts;    /* pixels of a piece, pieces of a unit */
    size_t vectors;        /* of factors: view.units (BatchNorm) or view.outer of them */
    size_t groups;         /* of an image */
    double epsilon;
} norm_step;

typedef struct norm_call {
    const norm_step *s;
    const float *x, *scale, *bias;
    double *sums; /* [outer][parts][2][inner] */
    float *a, *b; /* [vectors][inner] */
    float *y;
} norm_call;

/* ---- y = x a + b ---- */

static size_t piece_length(const norm_step *s, size_t piece)
{
    size_t begin = piece % s->parts * s->part;

    return s->view.pixels - begin < s->part ? s->view.pixels - begin : s->part;
}

static vecq_status apply_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const norm_call *c = context;
    const norm_step *s = c->s;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        size_t unit = begin / s->parts, inner = s->view.inner, n = piece_length(s, begin);
        size_t at = (unit * s->view.pixels + begin % s->parts * s->part) * inner;
        const float *a = c->a + unit % s->vectors * inner, *b = c->b + unit % s->vectors * inner;

        if (inner == 1)
            s->kernels->row_affine(c->x + at, n, *a, *b, s->low, c->y + at);
        else
            s->kernels->affine(c->x + at, n, inner, inner, a, b, s->low, c->y + at);
        if (s->post != NULL)
            vecq_ref_post_f32(s->post, c->y + at, NULL, n * inner);
    }
    return VECQ_OK;
}

static vecq_status each_piece(norm_call *c, vecq_range_fn body, const vecq_run *run, vecq_error *err)
{
    size_t floats = (c->s->view.pixels < c->s->part ? c->s->view.pixels : c->s->part) * c->s->view.inner;

    return vecq_parallel_for(c->s->view.outer * c->s->parts, floats < PIECE ? PIECE / (floats + 1) + 1 : 1,
                             run->threads, body, c, err);
}

/* ---- statistics of groups ---- */

static double *sums_of(const norm_call *c, size_t unit, size_t part)
{
    return c->sums + (unit * c->s->parts + part) * 2 * c->s->view.inner;
}

static vecq_status sums_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const norm_call *c = context;
    const vecq_onednn_image *v = &c->s->view;
    size_t i;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        size_t unit = begin / c->s->parts, part = begin % c->s->parts, n = piece_length(c->s, begin);
        const float *first = c->x + unit * v->pixels * v->inner;
        const float *x = first + part * c->s->part * v->inner;
        double *sums = sums_of(c, unit, part);

        for (i = 0; i < 2 * v->inner; i++)
            sums[i] = 0;
        if (v->inner == 1)
            c->s->kernels->row_sums(x, n, *first, &sums[0], &sums[1]);
        else
            c->s->kernels->sums(x, n, v->inner, v->inner, first, sums, sums + v->inner);
    }
    return VECQ_OK;
}

/* Mean of a channel, and the sum of squares of what its elements are off by. */
static void channel_moments(const norm_call *c, size_t image, size_t channel, double *mean, double *squares)
{
    const vecq_onednn_image *v = &c->s->view;
    const size_t unit = image * v->units + channel / v->inner, lane = channel % v->inner;
    const double n = (double)v->pixels;
    double sum = 0, square = 0;
    size_t part;

    for (part = 0; part < c->s->parts; part++) {
        sum += sums_of(c, unit, part)[lane];
        square += sums_of(c, unit, part)[v->inner + lane];
    }
    *mean = (double)c->x[unit * v->pixels * v->inner + lane] + sum / n;
    *squares = square - sum * sum / n;
}

static void group_factors(const norm_call *c, size_t image, size_t first, size_t n)
{
    const vecq_onednn_image *v = &c->s->view;
    double mean = 0, squares = 0, m, s, factor;
    size_t i;

    for (i = 0; i < n; i++) {
        channel_moments(c, image, first + i, &m, &s);
        mean += m / (double)n;
    }
    for (i = 0; i < n; i++) {
        channel_moments(c, image, first + i, &m, &s);
        squares += s + (double)v->pixels * (m - mean) * (m - mean);
    }
    squares /= (double)n * (double)v->pixels;
    factor = 1 / sqrt((squares < 0 ? 0 : squares) + c->s->epsilon);
    for (i = 0; i < n; i++) {
        size_t at = image * v->units * v->inner + first + i;

        c->a[at] = (float)(factor * (double)c->scale[first + i]);
        c->b[at] = (float)((double)c->bias[first + i] - mean * factor * (double)c->scale[first + i]);
    }
}

/* x, scale, bias -> y; sums and factors are scratch */
static vecq_status group_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                             vecq_error *err)
{
    const norm_step *s = state;
    norm_call c = {.s = s,
                   .x = reads[0],
                   .scale = reads[1],
                   .bias = reads[2],
                   .y = writes[0],
                   .sums = writes[1],
                   .a = writes[2]};
    size_t per_group = s->view.channels / s->groups, n = s->vectors * s->view.inner, i;

    c.b = c.a + n;
    VECQ_TRY(each_piece(&c, sums_range, run, err));
    for (i = 0; i < 2 * n; i++) /* channels that a blocked layout has more stay 0 */
        c.a[i] = 0;
    for (i = 0; i < s->view.outer / s->view.units * s->groups; i++)
        group_factors(&c, i / s->groups, i % s->groups * per_group, per_group);
    return each_piece(&c, apply_range, run, err);
}

/* ---- planning ---- */

static int keeps_zero(const vecq_post *post)
{
    return post == NULL ||
           (post->activation != VECQ_POST_SIGMOID && post->activation != VECQ_POST_HARD_SIGMOID &&
            (post->activation != VECQ_POST_CLIP || (post->a <= 0 && post->b >= 0)));
}

static norm_step *step_new(const vecq_onednn_image *view, const vecq_post *post)
{
    norm_step *s = vecq_calloc(1, sizeof *s);
    int is_relu = post != NULL && post->activation == VECQ_POST_RELU;

    if (s == NULL)
        return NULL;
    s->view = *view;
    s->kernels = vecq_image_kernels_active();
    s->low = is_relu ? 0 : -INFINITY;
    s->post = is_relu ? NULL : post;
    s->part = PIECE / view->inner > 64 ? PIECE / view->inner : 64;
    s->parts = (view->pixels + s->part - 1) / s->part;
    return s;
}

static int norm_takes(const vecq_op *op)
{
    size_t i;

    for (i = 0; i < op->n_inputs; i++)
        if (!vecq_onednn_takes(op->inputs[i]))
            return 0;
    return op->inputs[0]->rank >= 2 && op->inputs[0]->rank <= 5;
}

/* Slots of x and of the result, in one layout. */
static vecq_status norm_slots(vecq_onednn *e, vecq_planner *planner, const vecq_op *op,
                              vecq_onednn_image *view, vecq_slot *read, vecq_slot *write, vecq_error *err)
{
    const vecq_dnnl_md *md = NULL;

    VECQ_TRY(vecq_onednn_image_layout(e, planner, op->inputs[0], !keeps_zero(op->post), &md, view, err));
    VECQ_TRY(vecq_onednn_image_input(planner, op->inputs[0], md, read, err));
    return vecq_planner_output_over(planner, op->outputs[0], &vecq_backend_onednn, vecq_onednn_layout(md),
                                    vecq_dnnl_md_bytes(md), *read, write, err);
}

static vecq_status group_scratch(vecq_planner *planner, const norm_step *s, vecq_slot *slots, vecq_error *err)
{
    const size_t floats = s->view.outer * s->view.inner;

    VECQ_TRY(vecq_planner_scratch(planner, floats * s->parts * 2 * sizeof(double), &slots[0], err));
    return vecq_planner_scratch(planner, 2 * floats * sizeof(float), &slots[1], err);
}

VECQ_ONEDNN_PLAN(group_norm)
{
    const vecq_group_norm_params *params = op->params;
    vecq_slot reads[3], writes[3];
    vecq_onednn_image view;
    vecq_status status;
    norm_step *s;
    size_t i;

    if (!norm_takes(op) || op->inputs[0]->rank < 3)
        return VECQ_OK;
    *taken = 1;
    VECQ_TRY(norm_slots(e, planner, op, &view, &reads[0], &writes[0], err));
    for (i = 1; i < 3; i++)
        VECQ_TRY(vecq_planner_input(planner, op->inputs[i], NULL, NULL, &reads[i], err));
    s = step_new(&view, op->post);
    if (s == NULL)
        return vecq_error_memory(err, sizeof *s);
    s->vectors = view.outer;
    s->groups = (size_t)params->groups;
    s->epsilon = params->epsilon;
    status = group_scratch(planner, s, &writes[1], err);
    if (status != VECQ_OK) {
        vecq_free(s);
        return status;
    }
    return vecq_planner_step(planner, op, &vecq_backend_onednn, "own, in any layout", group_run, s, vecq_free,
                             reads, 3, writes, 3, err);
}

/* ---- BatchNorm: the factors are made once, where the statistics are constants ---- */

typedef struct given_step {
    size_t channels, padded;
    double epsilon;
} given_step;

/* scale, bias, mean, variance -> factors, offsets */
static vecq_status given_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                             vecq_error *err)
{
    const given_step *s = state;
    const float *scale = reads[0], *bias = reads[1], *mean = reads[2], *variance = reads[3];
    float *a = writes[0], *b = a + s->padded;
    size_t c;

    (void)run;
    (void)err;
    for (c = 0; c < s->padded; c++) {
        double factor = c < s->channels ? (double)scale[c] / sqrt((double)variance[c] + s->epsilon) : 0;

        a[c] = (float)factor;
        b[c] = c < s->channels ? (float)((double)bias[c] - (double)mean[c] * factor) : 0;
    }
    return VECQ_OK;
}

/* x, factors -> y */
static vecq_status apply_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                             vecq_error *err)
{
    norm_call c = {.s = state, .x = reads[0], .y = writes[0]};

    c.a = (float *)(uintptr_t)reads[1]; /* only read here */
    c.b = c.a + c.s->vectors * c.s->view.inner;
    return each_piece(&c, apply_range, run, err);
}

static vecq_status plan_given(vecq_planner *planner, const vecq_op *op, const vecq_onednn_image *view,
                              vecq_slot *out, vecq_error *err)
{
    vecq_slot reads[4];
    vecq_status status;
    given_step *s;
    size_t i;

    for (i = 0; i < 4; i++)
        VECQ_TRY(vecq_planner_input(planner, op->inputs[1 + i], NULL, NULL, &reads[i], err));
    VECQ_TRY(vecq_planner_scratch(planner, 2 * view->units * view->inner * sizeof(float), out, err));
    s = vecq_calloc(1, sizeof *s);
    if (s == NULL)
        return vecq_error_memory(err, sizeof *s);
    s->channels = view->channels;
    s->padded = view->units * view->inner;
    s->epsilon = ((const vecq_norm_params *)op->params)->epsilon;
    vecq_planner_once(planner, 1);
    status = vecq_planner_step(planner, op, &vecq_backend_onednn, "factors", given_run, s, vecq_free, reads,
                               4, out, 1, err);
    vecq_planner_once(planner, 0);
    return status;
}

VECQ_ONEDNN_PLAN(norm_apply)
{
    vecq_slot reads[2], write;
    vecq_onednn_image view;
    norm_step *s;

    if (!norm_takes(op))
        return VECQ_OK;
    *taken = 1;
    VECQ_TRY(norm_slots(e, planner, op, &view, &reads[0], &write, err));
    VECQ_TRY(plan_given(planner, op, &view, &reads[1], err));
    s = step_new(&view, op->post);
    if (s == NULL)
        return vecq_error_memory(err, sizeof *s);
    s->vectors = view.units;
    return vecq_planner_step(planner, op, &vecq_backend_onednn, "own, in any layout", apply_run, s, vecq_free,
                             reads, 2, &write, 1, err);
}

/* ---- LayerNorm ---- */

typedef struct rows_step {
    const vecq_image_kernels *kernels;
    size_t n, rows;
    double epsilon;
    int is_rms;
} rows_step;

typedef struct rows_call {
    const rows_step *s;
    const float *x, *scale, *bias;
    float *y, *mean, *factor;
} rows_call;

static vecq_status rows_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const rows_call *c = context;
    const size_t n = c->s->n;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        const float *x = c->x + begin * n, shift = c->s->is_rms ? 0 : x[0];
        double sum = 0, square = 0, mean, variance, factor;

        c->s->kernels->row_sums(x, n, shift, &sum, &square);
        mean = c->s->is_rms ? 0 : sum / (double)n;
        variance = square / (double)n - mean * mean;
        factor = 1 / sqrt((variance < 0 ? 0 : variance) + c->s->epsilon);
        mean += (double)shift;
        if (c->mean != NULL)
            c->mean[begin] = (float)mean;
        if (c->factor != NULL)
            c->factor[begin] = (float)factor;
        if (c->y != NULL)
            c->s->kernels->row_norm(x, n, (float)mean, (float)factor, c->scale, c->bias, c->y + begin * n);
    }
    return VECQ_OK;
}

static vecq_status rows_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                            vecq_error *err)
{
    rows_call c = {.s = state,
                   .x = reads[0],
                   .scale = reads[1],
                   .bias = reads[2],
                   .y = writes[0],
                   .mean = writes[1],
                   .factor = writes[2]};

    return vecq_parallel_for(c.s->rows, PIECE / (c.s->n + 1) + 1, run->threads, rows_range, &c, err);
}

static vecq_status rows_slots(vecq_planner *planner, const vecq_op *op, vecq_slot *reads, vecq_slot *writes,
                              vecq_error *err)
{
    size_t i;

    for (i = 0; i < 3; i++) {
        reads[i] = writes[i] = VECQ_NO_SLOT;
        if (i < op->n_inputs && op->inputs[i] != NULL)
            VECQ_TRY(vecq_planner_input(planner, op->inputs[i], NULL, NULL, &reads[i], err));
    }
    for (i = 0; i < 3; i++)
        if (vecq_onednn_is_used(op->outputs[i]))
            VECQ_TRY(vecq_planner_output_over(planner, op->outputs[i], NULL, NULL, 0,
                                              i == 0 ? reads[0] : VECQ_NO_SLOT, &writes[i], err));
    return VECQ_OK;
}

VECQ_ONEDNN_PLAN(layer_norm)
{
    const vecq_layer_norm_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    vecq_slot reads[3], writes[3];
    rows_step *s;
    unsigned a;

    (void)e;
    if (x->dtype != VECQ_DT_FLOAT || x->count == 0)
        return VECQ_OK;
    *taken = 1;
    VECQ_TRY(rows_slots(planner, op, reads, writes, err));
    s = vecq_calloc(1, sizeof *s);
    if (s == NULL)
        return vecq_error_memory(err, sizeof *s);
    *s = (rows_step){.kernels = vecq_image_kernels_active(),
                     .n = 1,
                     .rows = 1,
                     .epsilon = params->epsilon,
                     .is_rms = params->is_rms};
    for (a = 0; a < x->rank; a++)
        *(a < params->axis ? &s->rows : &s->n) *= (size_t)x->dims[a];
    return vecq_planner_step(planner, op, &vecq_backend_onednn, "own", rows_run, s, vecq_free, reads, 3,
                             writes, 3, err);
}
