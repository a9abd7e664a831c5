/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between two QuantizePairs and is no layer, from bytes to bytes: sums of residuals, pooling,
 * batch normalisation, other shapes. An activation behind the op only narrows the range of the bytes, because
 * rounding is monotonous.
 */
#include <math.h>
#include <string.h>

#include "backend/lowbit/lowbit_private.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"
#include "graph/post.h"

#define GRAIN 16384u /* bytes that are worth another thread */

/* ---- which ops ---- */

static int is_image(const vecq_var *var)
{
    return var->rank == 3 || var->rank == 4;
}

/* The bounds of a Relu or Clip; 0: it is neither. */
static int bounds_of(vecq_post_activation activation, double a, double b, double *low, double *high)
{
    switch (activation) {
    case VECQ_POST_NONE:
        return 1;
    case VECQ_POST_RELU:
        *low = 0;
        return 1;
    case VECQ_POST_CLIP:
        *low = a;
        *high = b;
        return 1;
    default:
        return 0;
    }
}

/* The op that alone reads the result, or NULL. */
static const vecq_op *only_reader(const vecq_lowbit *e, const vecq_var *var)
{
    return var->n_uses == 1 && !var->is_output && e->readers[var->index] != NULL ? e->readers[var->index]->op
                                                                                 : NULL;
}

/* The Relu or Clip between a batch normalisation and its QuantizePair, or NULL. */
static const vecq_op *clip_behind(const vecq_lowbit *e, const vecq_op *op)
{
    const vecq_op *reader = op->kind == VECQ_OP_BATCH_NORM ? only_reader(e, op->outputs[0]) : NULL;

    return reader != NULL && (reader->kind == VECQ_OP_RELU || reader->kind == VECQ_OP_CLIP) ? reader : NULL;
}

static int same_grid(const vecq_op *a, const vecq_op *b)
{
    const vecq_linear_params *p = a->params, *q = b->params;
    float zero[2] = {0, 0}, scale[2];
    const vecq_op *pair[2] = {a, b};
    size_t i;

    for (i = 0; i < 2; i++) {
        scale[i] = *(const float *)pair[i]->inputs[1]->constant.data;
        if (pair[i]->n_inputs > 2 && pair[i]->inputs[2] != NULL)
            zero[i] = *(const float *)pair[i]->inputs[2]->constant.data;
    }
    return p->dtype == q->dtype && p->low == q->low && p->high == q->high && scale[0] == scale[1] &&
           zero[0] == zero[1];
}

static int norm_fits(const vecq_op *op)
{
    size_t i;

    for (i = 1; i < 5; i++)
        if (op->inputs[i]->kind != VECQ_VAR_CONSTANT || op->inputs[i]->dtype != VECQ_DT_FLOAT)
            return 0;
    return op->inputs[0]->rank >= 2;
}

static int pool_fits(const vecq_op *op)
{
    return is_image(op->inputs[0]) && ((const vecq_pool_params *)op->params)->spatial <= 2 &&
           (op->n_outputs < 2 || (op->outputs[1]->n_uses == 0 && !op->outputs[1]->is_output));
}

/* Nothing moves when channels are all there is. */
static int reshape_fits(const vecq_op *op)
{
    const vecq_var *x = op->inputs[0];
    vecq_lowbit_layout view;

    return op->outputs[0]->rank < 3 &&
           (x->rank < 3 || (vecq_lowbit_view(x, 0, &view) && view.h * view.w == 1));
}

static int op_fits(const vecq_op *op, const vecq_op *target)
{
    double low, high;

    switch (op->kind) {
    case VECQ_OP_ADD:
        return op->n_inputs == 2 && vecq_lowbit_is_pair(op->inputs[1]->producer) &&
               vecq_var_same_shape(op->inputs[0], op->inputs[1]) && op->inputs[0]->rank != 3 &&
               op->inputs[0]->rank <= 4 &&
               (op->post == NULL || (!op->post->has_residual &&
                                     bounds_of(op->post->activation, op->post->a, op->post->b, &low, &high)));
    case VECQ_OP_BATCH_NORM:
        return norm_fits(op) && op->inputs[0]->rank != 3 && op->inputs[0]->rank <= 4;
    case VECQ_OP_MAX_POOL:
        return pool_fits(op) && same_grid(op->inputs[0]->producer, target);
    case VECQ_OP_AVERAGE_POOL:
        return pool_fits(op);
    case VECQ_OP_RESHAPE:
        return reshape_fits(op) && same_grid(op->inputs[0]->producer, target);
    default:
        return 0;
    }
}

void vecq_lowbit_find_bytes(const vecq_lowbit *e, const vecq_op *op, vecq_lowbit_memo *memo)
{
    const vecq_op *last, *target;

    if (op->n_inputs == 0 || op->inputs[0] == NULL || !vecq_lowbit_is_pair(op->inputs[0]->producer) ||
        op->n_outputs == 0)
        return;
    last = clip_behind(e, op) != NULL ? clip_behind(e, op) : op;
    target = only_reader(e, last->outputs[0]);
    if (!vecq_lowbit_is_pair(target) || target->inputs[0] != last->outputs[0] || !op_fits(op, target))
        return;
    memo->is_bytes = 1;
    memo->target = target;
    vecq_lowbit_memo_of(e, target)->is_target = 1;
}

/* ---- running ---- */

typedef struct bytes_step {
    vecq_op_kind kind;
    const vecq_lowbit_layout *from[2], *to;
    vecq_nhwc_pool pool;
    vecq_nhwc_grid grid; /* narrowed by the activation */
    float *scale, *bias; /* [c] batch normalisation */
    unsigned threads;
    const uint8_t *x[2]; /* during a run */
    uint8_t *y;
} bytes_step;

static void bytes_destroy(void *state)
{
    bytes_step *s = state;

    vecq_free(s->scale);
    vecq_free(s->bias);
    vecq_free(s);
}

/* Row `row` of all rows of the images. */
static size_t row_at(const vecq_lowbit_layout *l, size_t row)
{
    size_t stride, image, start = vecq_lowbit_strides(l, &stride, &image);

    return start + row / l->h * image + row % l->h * stride;
}

static void pool_row(const bytes_step *s, const vecq_nhwc_kernels *kernels, size_t row)
{
    size_t stride, image, start = vecq_lowbit_strides(s->to, &stride, &image);

    (void)stride;
    (void)image;
    if (s->kind == VECQ_OP_MAX_POOL)
        kernels->max_bytes(&s->pool, s->x[0], row, row + 1, s->y + start);
    else
        kernels->average_bytes(&s->pool, s->x[0], s->from[0]->scale, s->from[0]->zero, row, row + 1, &s->grid,
                               s->y + start);
}

static void flat_row(const bytes_step *s, const vecq_nhwc_kernels *kernels, size_t row)
{
    const vecq_lowbit_layout *from = s->from[0];
    uint8_t *y = s->y + row_at(s->to, row);
    vecq_nhwc_term term[2];
    size_t i, n = from->w * from->c;

    if (s->kind == VECQ_OP_BATCH_NORM) {
        kernels->affine_bytes(s->x[0] + row_at(from, row), from->zero, s->scale, s->bias, from->w, from->c,
                              &s->grid, y);
        return;
    }
    for (i = 0; i < 2; i++)
        term[i] = (vecq_nhwc_term){s->x[i] + row_at(s->from[i], row), s->from[i]->scale, s->from[i]->zero};
    kernels->add_bytes(&term[0], &term[1], n, &s->grid, y);
}

static vecq_status bytes_rows(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const vecq_nhwc_kernels *kernels = vecq_nhwc_kernels_active();
    const bytes_step *s = context;
    size_t row, stride, image;

    (void)thread;
    (void)err;
    (void)vecq_lowbit_strides(s->to, &stride, &image);
    for (row = begin; row < end; row++) {
        vecq_lowbit_fill_border(s->to, s->to->zero, row % s->to->h, s->y + row / s->to->h * image);
        if (s->kind == VECQ_OP_MAX_POOL || s->kind == VECQ_OP_AVERAGE_POOL)
            pool_row(s, kernels, row);
        else
            flat_row(s, kernels, row);
    }
    return VECQ_OK;
}

static vecq_status bytes_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                             vecq_error *err)
{
    bytes_step *s = state;

    (void)run;
    s->x[0] = reads[0];
    s->x[1] = s->kind == VECQ_OP_ADD ? reads[1] : NULL;
    s->y = writes[0];
    if (s->kind == VECQ_OP_RESHAPE) {
        memcpy(s->y, s->x[0], s->to->n * s->to->h * s->to->w * s->to->c);
        return VECQ_OK;
    }
    return vecq_parallel_for(s->to->n * s->to->h, GRAIN / (s->from[0]->w * s->from[0]->c + 1) + 1, s->threads,
                             bytes_rows, s, err);
}

/* ---- planning ---- */

/* The byte of a bound, as the op's grid rounds it. */
static int bound(const vecq_lowbit_layout *to, double value)
{
    float q = rintf((float)value / to->scale) + (float)to->zero;

    return (int)(!(q > (float)to->low) ? (float)to->low : q > (float)to->high ? (float)to->high : q);
}

static void set_grid(const vecq_lowbit *e, const vecq_op *op, bytes_step *s)
{
    const vecq_op *clip = clip_behind(e, op);
    const vecq_unary_params *p = clip != NULL ? clip->params : NULL;
    vecq_post_activation activation = clip != NULL       ? vecq_post_of_op(clip->kind)
                                      : op->post != NULL ? op->post->activation
                                                         : VECQ_POST_NONE;
    double low = -INFINITY, high = INFINITY;

    if (p != NULL)
        bounds_of(activation, p->a, p->b, &low, &high);
    else
        bounds_of(activation, op->post != NULL ? op->post->a : 0, op->post != NULL ? op->post->b : 0, &low,
                  &high);
    s->grid = (vecq_nhwc_grid){s->to->scale, s->to->zero, bound(s->to, low), bound(s->to, high)};
}

/* y = scale (q - zero) + bias */
static vecq_status set_affine(const vecq_op *op, bytes_step *s, vecq_error *err)
{
    const float *v[5] = {NULL};
    size_t i, c = op->inputs[1]->count;

    for (i = 1; i < 5; i++)
        v[i] = op->inputs[i]->constant.data;
    s->scale = vecq_alloc(c, sizeof *s->scale);
    s->bias = vecq_alloc(c, sizeof *s->bias);
    if (s->scale == NULL || s->bias == NULL)
        return vecq_error_memory(err, c * sizeof *s->scale);
    for (i = 0; i < c; i++) {
        double a = (double)v[1][i] / sqrt((double)v[4][i] + ((const vecq_norm_params *)op->params)->epsilon);

        s->scale[i] = (float)(a * (double)s->from[0]->scale);
        s->bias[i] = (float)((double)v[2][i] - a * (double)v[3][i]);
    }
    return VECQ_OK;
}

/* Pooling and other shapes read images without a border, the rest takes what there is. */
static vecq_status input_layout(vecq_lowbit *e, const vecq_op *op, size_t i, const vecq_lowbit_layout **out,
                                vecq_error *err)
{
    const vecq_lowbit_layout *kept = vecq_lowbit_memo_of(e, op->inputs[i]->producer)->bytes;
    vecq_lowbit_layout dense = *kept;

    *out = kept;
    if (op->kind == VECQ_OP_ADD || op->kind == VECQ_OP_BATCH_NORM)
        return VECQ_OK;
    dense.top = dense.left = dense.bottom = dense.right = 0;
    return vecq_lowbit_layout_new(e, &dense, out, err);
}

static vecq_status bytes_fill(vecq_lowbit *e, const vecq_op *op, bytes_step *s, vecq_error *err)
{
    size_t i;

    s->kind = op->kind;
    s->threads = e->threads;
    s->to = vecq_lowbit_memo_of(e, vecq_lowbit_memo_of(e, op)->target)->bytes;
    for (i = 0; i < (op->kind == VECQ_OP_ADD ? 2 : 1); i++)
        VECQ_TRY(input_layout(e, op, i, &s->from[i], err));
    set_grid(e, op, s);
    if (op->kind == VECQ_OP_BATCH_NORM)
        return set_affine(op, s, err);
    if (op->kind == VECQ_OP_MAX_POOL || op->kind == VECQ_OP_AVERAGE_POOL) {
        vecq_lowbit_pool_shape(op, &s->pool);
        (void)vecq_lowbit_strides(s->to, &s->pool.y_row, &s->pool.y_image);
    }
    return VECQ_OK;
}

vecq_status vecq_lowbit_plan_bytes(vecq_lowbit *e, vecq_planner *planner, const vecq_op *op, int *taken,
                                   vecq_error *err)
{
    vecq_lowbit_memo *memo = vecq_lowbit_memo_of(e, op);
    const vecq_op *clip = clip_behind(e, op);
    bytes_step *s = vecq_calloc(1, sizeof *s);
    size_t i, n = op->kind == VECQ_OP_ADD ? 2 : 1;
    vecq_slot reads[2], to;
    vecq_status status;

    if (s == NULL)
        return vecq_error_memory(err, sizeof *s);
    *taken = 1;
    status = bytes_fill(e, op, s, err);
    for (i = 0; i < n && status == VECQ_OK; i++)
        status = vecq_planner_input(planner, op->inputs[i], &vecq_backend_lowbit, s->from[i], &reads[i], err);
    if (status == VECQ_OK)
        status = vecq_planner_output(planner, memo->target->outputs[0], &vecq_backend_lowbit, s->to,
                                     s->to->n_bytes, &to, err);
    if (status != VECQ_OK) {
        bytes_destroy(s);
        return status;
    }
    vecq_lowbit_memo_of(e, memo->target)->is_done = 1;
    if (clip != NULL)
        vecq_lowbit_memo_of(e, clip)->is_done = 1;
    return vecq_planner_step(planner, op, &vecq_backend_lowbit, "bytes", bytes_run, s, bytes_destroy, reads,
                             n, &to, 1, err);
}
