/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layouts of values and the ways between them. Work is cut into rows of images: (image, row) pairs; a row of
 * a matrix is an image of one pixel.
 */
#include <string.h>

#include "backend/lowbit/lowbit_private.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"
#include "kernels/nhwc/nhwc.h"

#define GRAIN 8192u /* elements that are worth another thread */
#define PIECE 8192u /* elements whose range is one piece of work */

int vecq_lowbit_view(const vecq_var *var, int is_rows, vecq_lowbit_layout *out)
{
    memset(out, 0, sizeof *out);
    out->is_rows = is_rows;
    out->n = out->h = out->w = 1;
    if (is_rows) {
        out->c = var->rank > 0 ? (size_t)var->dims[var->rank - 1] : 1;
        out->n = out->c > 0 ? var->count / out->c : 0;
        return 1;
    }
    if (var->rank < 3 || var->rank > 4)
        return 0;
    out->n = (size_t)var->dims[0];
    out->c = (size_t)var->dims[1];
    if (var->rank == 4)
        out->h = (size_t)var->dims[2];
    out->w = (size_t)var->dims[var->rank - 1];
    return 1;
}

vecq_status vecq_lowbit_layout_new(vecq_lowbit *e, const vecq_lowbit_layout *from,
                                   const vecq_lowbit_layout **out, vecq_error *err)
{
    vecq_lowbit_layout *copy = vecq_arena_alloc(&e->arena, 1, sizeof *copy);

    if (copy == NULL)
        return vecq_error_memory(err, sizeof *copy);
    *copy = *from;
    *out = copy;
    return VECQ_OK;
}

vecq_status vecq_lowbit_floats(vecq_lowbit *e, const vecq_var *var, const vecq_lowbit_layout **out,
                               vecq_error *err)
{
    vecq_lowbit_layout layout;

    *out = NULL;
    if (!vecq_lowbit_view(var, 0, &layout) || layout.h * layout.w <= 1 || layout.c <= 1)
        return VECQ_OK;
    layout.kind = LOWBIT_FLOATS;
    layout.n_bytes = var->count * sizeof(float);
    return vecq_lowbit_layout_new(e, &layout, out, err);
}

static int same_border(const vecq_lowbit_layout *a, const vecq_lowbit_layout *b)
{
    return a->top == b->top && a->left == b->left && a->bottom == b->bottom && a->right == b->right;
}

/* Of one variable: the shape is the same. */
int vecq_lowbit_layout_same(const void *have, const void *want)
{
    const vecq_lowbit_layout *a = have, *b = want;

    if (a == b)
        return 1;
    if (a->kind != b->kind || a->kind == LOWBIT_PACKED)
        return 0;
    return a->kind == LOWBIT_FLOATS || (a->is_rows == b->is_rows && same_border(a, b));
}

size_t vecq_lowbit_layout_bytes(const void *layout)
{
    return ((const vecq_lowbit_layout *)layout)->n_bytes;
}

/* ---- one row of pixels ---- */

/* A value as it lies: strides in elements between channels, pixels, rows, images. */
typedef struct place {
    size_t channel, pixel, row, image, start;
} place;

static place place_of(const vecq_lowbit_layout *shape, const vecq_lowbit_layout *layout)
{
    place p = {1, shape->c, shape->c * shape->w, shape->c * shape->w * shape->h, 0};

    if (layout == NULL && !shape->is_rows) { /* plain: channels first */
        p.channel = shape->h * shape->w;
        p.pixel = 1;
        p.row = shape->w;
    } else if (layout != NULL && layout->kind == LOWBIT_BYTES) {
        p.start = vecq_lowbit_strides(layout, &p.row, &p.image);
    }
    return p;
}

typedef struct move {
    vecq_lowbit_layout shape;            /* of the variable */
    const vecq_lowbit_layout *from, *to; /* NULL: plain */
    const void *src;
    void *dst;
    unsigned threads;
} move;

/* Of an image of `data`. */
static vecq_nhwc_grid grid_of(const vecq_lowbit_layout *l, const void *data, size_t image)
{
    vecq_nhwc_grid grid = {l->scale, l->zero, l->low, l->high};

    return l->is_dynamic ? vecq_lowbit_grids(l, data)[image] : grid;
}

/* One row of pixels; on each side channels last or first. */
static void move_floats(const move *m, const float *src, place from, float *dst, place to)
{
    const vecq_nhwc_kernels *kernels = vecq_nhwc_kernels_active();

    if (to.channel == 1)
        kernels->transpose(src, m->shape.c, m->shape.w, from.channel, dst, to.pixel);
    else
        kernels->transpose(src, m->shape.w, m->shape.c, from.pixel, dst, to.channel);
}

static void quantize(const move *m, const vecq_nhwc_grid *grid, const float *src, place from, uint8_t *dst)
{
    const vecq_nhwc_kernels *kernels = vecq_nhwc_kernels_active();

    if (from.channel == 1)
        kernels->quantize(src, m->shape.w * m->shape.c, grid, dst);
    else
        kernels->transpose_quantize(src, m->shape.c, m->shape.w, from.channel, grid, dst, m->shape.c);
}

static void dequantize(const move *m, const vecq_nhwc_grid *grid, const uint8_t *src, float *dst, place to)
{
    const vecq_nhwc_kernels *kernels = vecq_nhwc_kernels_active();

    if (to.channel == 1)
        kernels->dequantize(src, m->shape.w * m->shape.c, grid->scale, grid->zero, dst);
    else
        kernels->transpose_dequantize(src, m->shape.w, m->shape.c, m->shape.c, grid->scale, grid->zero, dst,
                                      to.channel);
}

static int is_bytes(const vecq_lowbit_layout *layout)
{
    return layout != NULL && layout->kind == LOWBIT_BYTES;
}

size_t vecq_lowbit_strides(const vecq_lowbit_layout *l, size_t *row, size_t *image)
{
    *row = l->c * (l->left + l->w + l->right);
    *image = *row * (l->top + l->h + l->bottom);
    return l->top * *row + l->left * l->c;
}

void vecq_lowbit_fill_border(const vecq_lowbit_layout *l, int zero, size_t row, uint8_t *image)
{
    size_t width = (l->left + l->w + l->right) * l->c;
    uint8_t *at = image + (l->top + row) * width;

    memset(at, zero, l->left * l->c);
    memset(at + (l->left + l->w) * l->c, zero, l->right * l->c);
    if (row == 0)
        memset(image, zero, l->top * width);
    if (row + 1 == l->h)
        memset(at + width, zero, l->bottom * width);
}

static vecq_status move_rows(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const move *m = context;
    place from = place_of(&m->shape, m->from), to = place_of(&m->shape, m->to);
    size_t i;

    (void)thread;
    (void)err;
    for (i = begin; i < end; i++) {
        size_t image = i / m->shape.h, row = i % m->shape.h;
        size_t a = from.start + image * from.image + row * from.row;
        size_t b = to.start + image * to.image + row * to.row;
        vecq_nhwc_grid grid = {0};

        if (is_bytes(m->to) || is_bytes(m->from))
            grid = is_bytes(m->to) ? grid_of(m->to, m->dst, image) : grid_of(m->from, m->src, image);
        if (is_bytes(m->to))
            vecq_lowbit_fill_border(m->to, grid.zero, row, (uint8_t *)m->dst + image * to.image);
        if (is_bytes(m->from) && is_bytes(m->to))
            memcpy((uint8_t *)m->dst + b, (const uint8_t *)m->src + a, m->shape.w * m->shape.c);
        else if (is_bytes(m->from))
            dequantize(m, &grid, (const uint8_t *)m->src + a, (float *)m->dst + b, to);
        else if (is_bytes(m->to))
            quantize(m, &grid, (const float *)m->src + a, from, (uint8_t *)m->dst + b);
        else
            move_floats(m, (const float *)m->src + a, from, (float *)m->dst + b, to);
    }
    return VECQ_OK;
}

static vecq_status move_all(move *m, vecq_error *err)
{
    return vecq_parallel_for(m->shape.n * m->shape.h, GRAIN / (m->shape.w * m->shape.c + 1) + 1, m->threads,
                             move_rows, m, err);
}

static vecq_status move_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                            vecq_error *err)
{
    move *m = state;

    (void)run;
    m->src = reads[0];
    m->dst = writes[0];
    if (is_bytes(m->from) && is_bytes(m->to) && m->to->is_dynamic)
        memcpy((uint8_t *)m->dst + m->to->grids_at, vecq_lowbit_grids(m->from, m->src),
               m->to->n * sizeof(vecq_nhwc_grid));
    return move_all(m, err);
}

static vecq_status add_move(const vecq_lowbit *e, vecq_planner *planner, const vecq_op *op,
                            const vecq_var *var, const vecq_lowbit_layout *from, vecq_slot from_slot,
                            const vecq_lowbit_layout *to, vecq_slot to_slot, const char *detail,
                            vecq_error *err)
{
    const vecq_lowbit_layout *known = from != NULL ? from : to;
    move *m = vecq_calloc(1, sizeof *m);

    if (m == NULL)
        return vecq_error_memory(err, sizeof *m);
    vecq_lowbit_view(var, known->is_rows, &m->shape);
    m->from = from;
    m->to = to;
    m->threads = e->threads;
    return vecq_planner_step(planner, op, &vecq_backend_lowbit, detail, move_run, m, vecq_free, &from_slot, 1,
                             &to_slot, 1, err);
}

/* ---- QuantizeDynamic: the range of each image in pieces, which may be looked through by several threads
 * ---- */

typedef struct rounder {
    move move;
    size_t length, pieces;   /* elements of an image, and pieces it is cut into */
    vecq_nhwc_range *ranges; /* [images][pieces], during a run */
} rounder;

static vecq_status measure_pieces(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const rounder *r = context;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        size_t at = begin % r->pieces * PIECE, left = r->length - at;

        vecq_nhwc_kernels_active()->range((const float *)r->move.src + begin / r->pieces * r->length + at,
                                          left < PIECE ? left : PIECE, &r->ranges[begin]);
    }
    return VECQ_OK;
}

static vecq_status choose_grids(const rounder *r, vecq_nhwc_grid *grids, vecq_error *err)
{
    size_t i, k;

    for (i = 0; i < r->move.shape.n; i++) {
        vecq_nhwc_range all = r->ranges[i * r->pieces];

        for (k = 1; k < r->pieces; k++) {
            const vecq_nhwc_range *piece = &r->ranges[i * r->pieces + k];

            all.min = piece->min < all.min ? piece->min : all.min;
            all.max = piece->max > all.max ? piece->max : all.max;
            all.finite &= piece->finite;
        }
        if (!vecq_nhwc_grid_of(&all, &grids[i]))
            return vecq_error_set(err, VECQ_ERR_VALUE, VECQ_NOT_ROUNDED);
    }
    return VECQ_OK;
}

static vecq_status round_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                             vecq_error *err)
{
    rounder *r = state;

    (void)run;
    r->move.src = reads[0];
    r->move.dst = writes[0];
    r->ranges = writes[1];
    VECQ_TRY(vecq_parallel_for(r->move.shape.n * r->pieces, GRAIN / (r->length + 1) + 1, r->move.threads,
                               measure_pieces, r, err));
    VECQ_TRY(choose_grids(r, (vecq_nhwc_grid *)(void *)((uint8_t *)r->move.dst + r->move.to->grids_at), err));
    return move_all(&r->move, err);
}

static vecq_status add_rounder(const vecq_lowbit *e, vecq_planner *planner, const vecq_op *op,
                               const vecq_lowbit_layout *from, vecq_slot from_slot,
                               const vecq_lowbit_layout *to, vecq_slot to_slot, vecq_error *err)
{
    vecq_slot writes[2] = {to_slot, VECQ_NO_SLOT};
    rounder *r = vecq_calloc(1, sizeof *r);
    vecq_status status;

    if (r == NULL)
        return vecq_error_memory(err, sizeof *r);
    vecq_lowbit_view(op->inputs[0], to->is_rows, &r->move.shape);
    r->move.from = from;
    r->move.to = to;
    r->move.threads = e->threads;
    r->length = r->move.shape.h * r->move.shape.w * r->move.shape.c;
    r->pieces = r->length > PIECE ? (r->length + PIECE - 1) / PIECE : 1;
    status =
        vecq_planner_scratch(planner, r->move.shape.n * r->pieces * sizeof *r->ranges + 1, &writes[1], err);
    if (status != VECQ_OK) {
        vecq_free(r);
        return status;
    }
    return vecq_planner_step(planner, op, &vecq_backend_lowbit,
                             to->is_rows ? "range of each row, to bytes" : "range of each image, to bytes",
                             round_run, r, vecq_free, &from_slot, 1, writes, 2, err);
}

vecq_status vecq_lowbit_convert(void *engine, vecq_planner *planner, const vecq_var *var, vecq_slot from,
                                const void *from_layout, vecq_slot to, const void *to_layout, vecq_error *err)
{
    return add_move(engine, planner, NULL, var, from_layout, from, to_layout, to, "channels", err);
}

vecq_status vecq_lowbit_plan_pair(vecq_lowbit *e, vecq_planner *planner, const vecq_op *op, int *taken,
                                  vecq_error *err)
{
    const vecq_lowbit_memo *memo = vecq_lowbit_memo_of(e, op);
    const vecq_lowbit_layout *floats = NULL;
    const void *layout = NULL;
    vecq_slot from, to;

    if (memo->bytes == NULL)
        return VECQ_OK;
    *taken = 1;
    if (memo->is_done)
        return VECQ_OK;
    if (!memo->bytes->is_rows &&
        vecq_planner_produced(planner, op->inputs[0], &layout) == &vecq_backend_lowbit)
        floats = layout;
    VECQ_TRY(vecq_planner_input(planner, op->inputs[0], &vecq_backend_lowbit, floats, &from, err));
    VECQ_TRY(vecq_planner_output(planner, op->outputs[0], &vecq_backend_lowbit, memo->bytes,
                                 memo->bytes->n_bytes, &to, err));
    if (memo->bytes->is_dynamic)
        return add_rounder(e, planner, op, floats, from, memo->bytes, to, err);
    return add_move(e, planner, op, op->inputs[0], floats, from, memo->bytes, to, "to bytes", err);
}
