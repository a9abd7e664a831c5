/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resize, Pad and Slice along the axes of an image, in whatever order its channels lie: a row of the result
 * is picked from one row of the operand, or blended from two, and so are its pixels. Where they come from is
 * what the plain backend says (backend/ref/ref_axes.h).
 */
#include <string.h>

#include "backend/onednn/onednn_image.h"
#include "backend/ref/ref_axes.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"
#include "kernels/image/image.h"

#define GRAIN 16384u /* floats of the result that a thread takes at a time */

/* Element i of the axis is that at[0][i] of the operand (-1: none), or for is_blend that and the one
 * at[1][i], with weights 1 - part[i] and part[i]. */
typedef struct pixels_axis {
    size_t n_in, n_out;
    int is_blend;
    int32_t *at[2];
    float *part;
    size_t run_begin, run_end; /* the longest row of neighbours that are neighbours in the operand too */
} pixels_axis;

typedef struct pixels_step {
    vecq_onednn_image view; /* of the operand */
    const vecq_image_kernels *kernels;
    pixels_axis y, x;
    float fill;
    unsigned threads; /* for which there is scratch memory */
} pixels_step;

static void step_free(void *state)
{
    pixels_step *s = state;

    if (s == NULL)
        return;
    vecq_free(s->y.at[0]);
    vecq_free(s->x.at[0]);
    vecq_free(s);
}

/* ---- where pixels come from ---- */

static void find_run(pixels_axis *axis)
{
    size_t begin = 0, i;

    for (i = 1; i <= axis->n_out; i++) {
        if (i < axis->n_out && axis->at[0][i - 1] >= 0 && axis->at[0][i] == axis->at[0][i - 1] + 1)
            continue;
        if (i - begin > axis->run_end - axis->run_begin && axis->at[0][begin] >= 0) {
            axis->run_begin = begin;
            axis->run_end = i;
        }
        begin = i;
    }
}

static vecq_status axis_new(pixels_axis *axis, size_t n_in, size_t n_out, vecq_error *err)
{
    axis->n_in = n_in;
    axis->n_out = n_out;
    axis->at[0] = vecq_calloc(3 * n_out, sizeof *axis->at[0]);
    if (axis->at[0] == NULL)
        return vecq_error_memory(err, 3 * n_out * sizeof *axis->at[0]);
    axis->at[1] = axis->at[0] + n_out;
    axis->part = (float *)(void *)(axis->at[1] + n_out);
    return VECQ_OK;
}

/* 0: a row has more than two entries. */
static int axis_fill(pixels_axis *axis, const vecq_ref_map *map)
{
    size_t i;

    for (i = 0; i < axis->n_out; i++) {
        size_t n = map->start != NULL ? map->start[i + 1] - map->start[i] : 1;
        size_t e = map->start != NULL ? map->start[i] : 0;

        if (n > 2)
            return 0;
        axis->at[0][i] = n == 0 ? -1 : (int32_t)(map->start != NULL ? map->index[e] : i);
        axis->at[1][i] = n == 2 ? (int32_t)map->index[e + 1] : axis->at[0][i];
        axis->part[i] = n == 2 ? (float)map->weight[e + 1] : 0;
        axis->is_blend |= n == 2;
        if (n == 1 && map->start != NULL && map->weight[e] != 1)
            return 0;
    }
    find_run(axis);
    return 1;
}

/* *fits 0: not one of ours. An axis that is not there has one element. */
static vecq_status axis_make(const vecq_op *op, unsigned a, pixels_axis *axis, int *fits, vecq_error *err)
{
    const vecq_var *x = op->inputs[0], *y = op->outputs[0];
    vecq_ref_map map = {0};
    vecq_status status = VECQ_OK;

    VECQ_TRY(axis_new(axis, a < x->rank ? (size_t)x->dims[a] : 1, a < x->rank ? (size_t)y->dims[a] : 1, err));
    if (a < x->rank)
        status = vecq_ref_axis_map(op, a, &map, err);
    if (status == VECQ_OK)
        *fits &= axis_fill(axis, &map);
    vecq_ref_map_clear(&map);
    return status;
}

/* ---- the run ---- */

typedef struct pixels_call {
    const pixels_step *s;
    const float *x;
    float *y, *rows; /* a row of the operand for each thread */
} pixels_call;

static void row_fill(float *y, size_t n, float fill)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] = fill;
}

static void row_pick(const pixels_step *s, const float *x, float *y)
{
    const pixels_axis *axis = &s->x;
    const size_t inner = s->view.inner, n = axis->run_end - axis->run_begin;
    size_t begin = 0, end = 0;

    if (n >= 4 || n == axis->n_out) {
        begin = axis->run_begin;
        end = axis->run_end;
        memcpy(y + begin * inner, x + (size_t)axis->at[0][begin] * inner, n * inner * sizeof *y);
    }
    s->kernels->pick(x, axis->at[0], begin, inner, s->fill, y);
    s->kernels->pick(x, axis->at[0] + end, axis->n_out - end, inner, s->fill, y + end * inner);
}

/* Row i of a unit whose pixels begin at x. */
static void row_make(const pixels_call *c, const float *x, size_t i, float *y, float *row)
{
    const pixels_step *s = c->s;
    const pixels_axis *v = &s->y, *h = &s->x;
    const size_t inner = s->view.inner, length = h->n_in * inner;
    const float *from = x + (v->at[0][i] < 0 ? 0 : (size_t)v->at[0][i] * length);

    if (v->at[0][i] < 0) {
        row_fill(y, h->n_out * inner, s->fill);
        return;
    }
    if (v->part[i] != 0) {
        s->kernels->blend(from, x + (size_t)v->at[1][i] * length, length, v->part[i], row);
        from = row;
    }
    if (h->is_blend)
        s->kernels->blend_pixels(from, h->at[0], h->at[1], h->part, h->n_out, inner, y);
    else
        row_pick(s, from, y);
}

static int is_same_row(const pixels_axis *axis, size_t i)
{
    return axis->at[0][i] == axis->at[0][i - 1] && axis->at[1][i] == axis->at[1][i - 1] &&
           axis->part[i] == axis->part[i - 1];
}

static vecq_status rows_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const pixels_call *c = context;
    const pixels_step *s = c->s;
    const size_t inner = s->view.inner, length = s->x.n_out * inner, first = begin;

    (void)err;
    for (; begin < end; begin++) {
        const size_t i = begin % s->y.n_out;
        float *y = c->y + begin * length;

        if (begin > first && i > 0 && is_same_row(&s->y, i))
            memcpy(y, y - length, length * sizeof *y);
        else
            row_make(c, c->x + begin / s->y.n_out * s->view.pixels * inner, i, y,
                     c->rows + (size_t)thread * s->x.n_in * inner);
    }
    return VECQ_OK;
}

static vecq_status pixels_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                              vecq_error *err)
{
    const pixels_step *s = state;
    pixels_call c = {.s = s, .x = reads[0], .y = writes[0], .rows = writes[1]};

    (void)run;
    return vecq_parallel_for(s->view.outer * s->y.n_out, GRAIN / (s->x.n_out * s->view.inner + 1) + 1,
                             s->threads, rows_range, &c, err);
}

/* ---- planning ---- */

/* Batch and channels stay, and there is an image of one or two axes. */
static int pixels_take(const vecq_op *op)
{
    const vecq_var *x = op->inputs[0], *y = op->outputs[0];
    const vecq_slice_params *slice = op->params;

    if (!vecq_onednn_takes(x) || !vecq_onednn_takes(y) || x->rank < 3 || x->rank > 4 ||
        x->dims[0] != y->dims[0] || x->dims[1] != y->dims[1] || x->count > INT32_MAX)
        return 0;
    if (op->kind == VECQ_OP_SLICE)
        return slice->step[0] == 1 && slice->step[1] == 1;
    if (op->kind == VECQ_OP_PAD) {
        const vecq_pad_params *p = op->params;

        return p->begin[0] == 0 && p->begin[1] == 0;
    }
    return ((const vecq_resize_params *)op->params)->coordinate != VECQ_COORD_CROP;
}

static vecq_status step_make(const vecq_op *op, pixels_step **out, int *fits, vecq_error *err)
{
    const unsigned rank = op->inputs[0]->rank;
    pixels_step *s = vecq_calloc(1, sizeof *s);
    vecq_ref_map map = {0};
    vecq_status status = VECQ_OK;
    unsigned a;

    *out = s;
    if (s == NULL)
        return vecq_error_memory(err, sizeof *s);
    *fits = 1;
    for (a = 0; a < 2 && status == VECQ_OK; a++) { /* a scale other than 1 may leave a size as it is */
        status = vecq_ref_axis_map(op, a, &map, err);
        *fits &= map.start == NULL;
        vecq_ref_map_clear(&map);
    }
    if (status == VECQ_OK)
        status = axis_make(op, rank == 4 ? 2 : rank, &s->y, fits, err);
    if (status == VECQ_OK)
        status = axis_make(op, rank - 1, &s->x, fits, err);
    s->kernels = vecq_image_kernels_active();
    if (op->kind == VECQ_OP_PAD)
        s->fill = (float)((const vecq_pad_params *)op->params)->value;
    return status;
}

static vecq_status pixels_slots(vecq_onednn *e, vecq_planner *planner, const vecq_op *op, pixels_step *s,
                                vecq_slot *read, vecq_slot writes[2], vecq_error *err)
{
    const vecq_var *x = op->inputs[0], *y = op->outputs[0];
    const vecq_dnnl_md *from = NULL, *to = NULL;

    VECQ_TRY(vecq_onednn_image_layout(e, planner, x, s->fill != 0, &from, &s->view, err));
    VECQ_TRY(vecq_onednn_layout(from) == NULL ? vecq_onednn_plain(e, y, &to, err)
                                              : vecq_onednn_like(e, from, y->dims, &to, err));
    VECQ_TRY(vecq_onednn_image_input(planner, x, from, read, err));
    VECQ_TRY(vecq_planner_output(planner, y, &vecq_backend_onednn, vecq_onednn_layout(to),
                                 vecq_dnnl_md_bytes(to), &writes[0], err));
    s->threads = e->threads;
    return vecq_planner_scratch(planner, e->threads * s->x.n_in * s->view.inner * sizeof(float), &writes[1],
                                err);
}

VECQ_ONEDNN_PLAN(pixels)
{
    vecq_slot read, writes[2];
    pixels_step *s = NULL;
    vecq_status status;

    if (!pixels_take(op))
        return VECQ_OK;
    status = step_make(op, &s, taken, err);
    if (status == VECQ_OK && *taken)
        status = pixels_slots(e, planner, op, s, &read, writes, err);
    if (status != VECQ_OK || !*taken) {
        step_free(s);
        return status;
    }
    return vecq_planner_step(planner, op, &vecq_backend_onednn, "own, in any layout", pixels_run, s,
                             step_free, &read, 1, writes, 2, err);
}
