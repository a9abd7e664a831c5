/* SPDX-License-Identifier: Apache-2.0 */
/* Resize and Pad: which elements along each axis make an element of the result. */
#include <math.h>
#include <string.h>

#include "backend/ref/ref_axes.h"
#include "base/status.h"

static void clear_maps(vecq_ref_map *maps)
{
    unsigned a;

    for (a = 0; a < VECQ_MAX_RANK; a++)
        vecq_ref_map_clear(&maps[a]);
}

/* Transposes the maps that there are, applies all, and clears them. */
static vecq_status finish(const vecq_ref_call *call, vecq_ref_map *maps, int is_gradient, double fill,
                          vecq_status status)
{
    unsigned a;

    for (a = 0; a < VECQ_MAX_RANK && status == VECQ_OK && is_gradient; a++)
        if (maps[a].start != NULL)
            status = vecq_ref_map_transpose(&maps[a], call->err);
    if (status == VECQ_OK)
        status = vecq_ref_map_apply(call, maps, fill);
    clear_maps(maps);
    return status;
}

/* ---- Resize ---- */

/* Place in the operand of element i, in float as exporters and runtimes compute it: where it falls exactly on
 * or between elements, rounding decides in the same way. */
static float coordinate(const vecq_resize_params *params, unsigned a, size_t i, size_t n_in, size_t n_out)
{
    float x = (float)i, s = (float)params->scales[a], wide = (float)(n_in - 1);
    float from = (float)params->first[a], to = (float)params->last[a];

    switch (params->coordinate) {
    case VECQ_COORD_HALF_PIXEL:
        return (x + 0.5f) / s - 0.5f;
    case VECQ_COORD_HALF_PIXEL_SYMMETRIC:
        return (float)n_in / 2 * (1 - (float)n_out / (s * (float)n_in)) + (x + 0.5f) / s - 0.5f;
    case VECQ_COORD_PYTORCH_HALF_PIXEL:
        return n_out > 1 ? (x + 0.5f) / s - 0.5f : 0;
    case VECQ_COORD_ALIGN_CORNERS:
        return n_out > 1 ? x * wide / (float)(n_out - 1) : 0;
    case VECQ_COORD_CROP:
        return n_out > 1 ? from * wide + x * (to - from) * wide / (float)(n_out - 1)
                         : 0.5f * (from + to) * wide;
    case VECQ_COORD_ASYMMETRIC:
    default:
        return x / s;
    }
}

static double nearest(vecq_resize_nearest how, double x)
{
    switch (how) {
    case VECQ_NEAREST_ROUND_PREFER_FLOOR:
        return ceil(x - 0.5);
    case VECQ_NEAREST_ROUND_PREFER_CEIL:
        return floor(x + 0.5);
    case VECQ_NEAREST_CEIL:
        return ceil(x);
    case VECQ_NEAREST_FLOOR:
    default:
        return floor(x);
    }
}

static double clamp(double x, size_t n)
{
    double last = (double)(n - 1);

    return x < 0 ? 0 : x > last ? last : x;
}

/* Weight of what lies `distance` away: a tent, or the cubic of R. Keys (1981) with coefficient a. */
static double filter(const vecq_resize_params *params, double distance)
{
    double d = fabs(distance), a = params->cubic;

    if (params->mode == VECQ_RESIZE_LINEAR)
        return d < 1 ? 1 - d : 0;
    if (d <= 1)
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* Elements to either side of a place that the filter reaches; `shrink` <= 1 makes it wider. */
static int64_t filter_reach(const vecq_resize_params *params, double shrink)
{
    return (int64_t)ceil((params->mode == VECQ_RESIZE_LINEAR ? 1 : 2) / shrink);
}

static double filter_shrink(const vecq_resize_params *params, unsigned a)
{
    return params->antialias && params->scales[a] < 1 ? params->scales[a] : 1;
}

/* Entries of one row: weights that add up to 1; beyond the ends stand the elements of the ends. */
static void filter_row(const vecq_resize_params *params, unsigned a, double place, vecq_ref_map *map,
                       size_t row)
{
    const double shrink = filter_shrink(params, a);
    const int64_t reach = filter_reach(params, shrink), middle = (int64_t)floor(place),
                  last = (int64_t)map->n_in - 1;
    double sum = 0;
    int64_t i;

    for (i = middle - reach + 1; i <= middle + reach; i++)
        if (!params->exclude_outside || (i >= 0 && i <= last))
            sum += filter(params, ((double)i - place) * shrink);
    for (i = middle - reach + 1; i <= middle + reach; i++) {
        double weight = filter(params, ((double)i - place) * shrink) / sum;

        if (weight != 0 && (!params->exclude_outside || (i >= 0 && i <= last)))
            vecq_ref_map_entry(map, row, (size_t)(i < 0 ? 0 : i > last ? last : i), weight);
    }
}

static void resize_row(const vecq_resize_params *params, unsigned a, double x, vecq_ref_map *map, size_t row)
{
    double place, low, part;

    if (params->coordinate == VECQ_COORD_CROP && (x < 0 || x > (double)(map->n_in - 1)))
        return;
    if (params->mode == VECQ_RESIZE_NEAREST) {
        vecq_ref_map_entry(map, row, (size_t)clamp(nearest(params->nearest, x), map->n_in), 1);
        return;
    }
    if (params->mode == VECQ_RESIZE_CUBIC || filter_shrink(params, a) < 1) {
        filter_row(params, a, x, map, row);
        return;
    }
    place = clamp(x, map->n_in);
    low = floor(place);
    part = place - low;
    vecq_ref_map_entry(map, row, (size_t)low, 1 - part);
    if (part > 0)
        vecq_ref_map_entry(map, row, (size_t)low + 1, part);
}

static vecq_status resize_map(const vecq_resize_params *params, unsigned a, int64_t n_in, vecq_ref_map *map,
                              vecq_error *err)
{
    size_t n_out = (size_t)params->sizes[a], i;
    int64_t most = 2;

    if (n_in == params->sizes[a] && params->scales[a] == 1 && params->coordinate != VECQ_COORD_CROP)
        return VECQ_OK;
    if (params->mode != VECQ_RESIZE_NEAREST)
        most = 2 * filter_reach(params, filter_shrink(params, a));
    VECQ_TRY(vecq_ref_map_create(map, (size_t)n_in, n_out, (size_t)most * n_out, err));
    for (i = 0; i < map->n_out; i++) {
        resize_row(params, a, (double)coordinate(params, a, i, map->n_in, map->n_out), map, i);
        vecq_ref_map_end_row(map, i);
    }
    return VECQ_OK;
}

static vecq_status resize(const vecq_ref_call *call, const vecq_var *x, int is_gradient)
{
    vecq_ref_map maps[VECQ_MAX_RANK];
    vecq_status status = VECQ_OK;
    unsigned a;

    if (call->out[0] == NULL || call->op->outputs[0]->count == 0)
        return VECQ_OK;
    memset(maps, 0, sizeof maps);
    for (a = 0; a < x->rank && status == VECQ_OK; a++)
        status = resize_map(call->op->params, a, x->dims[a], &maps[a], call->err);
    return finish(call, maps, is_gradient,
                  is_gradient ? 0 : ((const vecq_resize_params *)call->op->params)->outside, status);
}

vecq_status vecq_ref_resize(const vecq_ref_call *call)
{
    return resize(call, call->op->inputs[0], 0);
}

vecq_status vecq_ref_resize_grad(const vecq_ref_call *call)
{
    return resize(call, call->op->outputs[0], 1);
}

/* ---- Pad ---- */

/* Element of the n kept ones at place p, which may lie outside; -1: none. */
static int64_t pad_source(vecq_pad_mode mode, int64_t p, int64_t n)
{
    int64_t period = 2 * (n - 1);

    if (p >= 0 && p < n)
        return p;
    if (mode == VECQ_PAD_CONSTANT)
        return -1;
    if (mode == VECQ_PAD_EDGE || n == 1)
        return p < 0 ? 0 : n - 1;
    if (mode == VECQ_PAD_WRAP)
        return p % n + (p % n < 0 ? n : 0);
    p %= period;
    p += p < 0 ? period : 0;
    return p < n ? p : period - p;
}

static vecq_status pad_map(const vecq_pad_params *params, unsigned a, int64_t n_in, vecq_ref_map *map,
                           vecq_error *err)
{
    int64_t begin = params->begin[a], end = params->end[a], cut = begin < 0 ? -begin : 0;
    int64_t kept = n_in - cut + (end < 0 ? end : 0), lead = begin > 0 ? begin : 0;
    size_t j;

    if (begin == 0 && end == 0)
        return VECQ_OK;
    VECQ_TRY(vecq_ref_map_create(map, (size_t)n_in, (size_t)(n_in + begin + end),
                                 (size_t)(n_in + begin + end), err));
    for (j = 0; j < map->n_out; j++) {
        int64_t from = pad_source(params->mode, (int64_t)j - lead, kept);

        if (from >= 0)
            vecq_ref_map_entry(map, j, (size_t)(cut + from), 1);
        vecq_ref_map_end_row(map, j);
    }
    return VECQ_OK;
}

static vecq_status pad(const vecq_ref_call *call, const vecq_var *x, int is_gradient)
{
    const vecq_pad_params *params = call->op->params;
    vecq_ref_map maps[VECQ_MAX_RANK];
    vecq_status status = VECQ_OK;
    unsigned a;

    if (call->out[0] == NULL || call->op->outputs[0]->count == 0)
        return VECQ_OK;
    memset(maps, 0, sizeof maps);
    for (a = 0; a < x->rank && status == VECQ_OK; a++)
        status = pad_map(params, a, x->dims[a], &maps[a], call->err);
    return finish(call, maps, is_gradient, is_gradient ? 0 : params->value, status);
}

vecq_status vecq_ref_pad(const vecq_ref_call *call)
{
    return pad(call, call->op->inputs[0], 0);
}

vecq_status vecq_ref_pad_grad(const vecq_ref_call *call)
{
    return pad(call, call->op->outputs[0], 1);
}

/* ---- for other backends ---- */

static vecq_status slice_map(const vecq_slice_params *params, unsigned a, int64_t n_in, vecq_ref_map *map,
                             vecq_error *err)
{
    const size_t n = (size_t)params->length[a];
    size_t i;

    if (params->start[a] == 0 && params->step[a] == 1 && params->length[a] == n_in)
        return VECQ_OK;
    VECQ_TRY(vecq_ref_map_create(map, (size_t)n_in, n, n, err));
    for (i = 0; i < n; i++) {
        vecq_ref_map_entry(map, i, (size_t)(params->start[a] + (int64_t)i * params->step[a]), 1);
        vecq_ref_map_end_row(map, i);
    }
    return VECQ_OK;
}

vecq_status vecq_ref_axis_map(const vecq_op *op, unsigned a, vecq_ref_map *map, vecq_error *err)
{
    const int64_t n_in = op->inputs[0]->dims[a];

    if (op->kind == VECQ_OP_RESIZE)
        return resize_map(op->params, a, n_in, map, err);
    if (op->kind == VECQ_OP_PAD)
        return pad_map(op->params, a, n_in, map, err);
    return slice_map(op->params, a, n_in, map, err);
}
