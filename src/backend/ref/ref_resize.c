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
static float coordinate(vecq_resize_coordinate how, size_t i, double scale, size_t n_in, size_t n_out)
{
    float x = (float)i, s = (float)scale;

    switch (how) {
    case VECQ_COORD_HALF_PIXEL:
        return (x + 0.5f) / s - 0.5f;
    case VECQ_COORD_PYTORCH_HALF_PIXEL:
        return n_out > 1 ? (x + 0.5f) / s - 0.5f : 0;
    case VECQ_COORD_ALIGN_CORNERS:
        return n_out > 1 ? x * (float)(n_in - 1) / (float)(n_out - 1) : 0;
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

static vecq_status resize_map(const vecq_resize_params *params, unsigned a, int64_t n_in, vecq_ref_map *map,
                              vecq_error *err)
{
    int64_t n_out = params->sizes[a];
    size_t i;

    if (n_in == n_out && params->scales[a] == 1)
        return VECQ_OK;
    VECQ_TRY(vecq_ref_map_create(map, (size_t)n_in, (size_t)n_out, 2 * (size_t)n_out, err));
    for (i = 0; i < map->n_out; i++) {
        double x = (double)coordinate(params->coordinate, i, params->scales[a], map->n_in, map->n_out);

        if (params->mode == VECQ_RESIZE_NEAREST) {
            vecq_ref_map_entry(map, i, (size_t)clamp(nearest(params->nearest, x), map->n_in), 1);
        } else {
            double place = clamp(x, map->n_in), low = floor(place), part = place - low;

            vecq_ref_map_entry(map, i, (size_t)low, 1 - part);
            if (part > 0)
                vecq_ref_map_entry(map, i, (size_t)low + 1, part);
        }
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
    return finish(call, maps, is_gradient, 0, status);
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
