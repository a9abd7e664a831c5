/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/ref/ref_axes.h"

#include <string.h>

#include "backend/ref/ref_window.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"

vecq_status vecq_ref_map_create(vecq_ref_map *map, size_t n_in, size_t n_out, size_t n_entries,
                                vecq_error *err)
{
    map->n_in = n_in;
    map->n_out = n_out;
    map->start = vecq_calloc(n_out + 1, sizeof *map->start);
    map->index = vecq_alloc(n_entries, sizeof *map->index);
    map->weight = vecq_alloc(n_entries, sizeof *map->weight);
    if (map->start == NULL || map->index == NULL || map->weight == NULL) {
        vecq_ref_map_clear(map);
        return vecq_error_memory(err, n_entries * sizeof *map->weight);
    }
    return VECQ_OK;
}

void vecq_ref_map_clear(vecq_ref_map *map)
{
    vecq_free(map->start);
    vecq_free(map->index);
    vecq_free(map->weight);
    memset(map, 0, sizeof *map);
}

/* start[j + 1] counts the entries up to row j while the map is being filled. */
void vecq_ref_map_entry(vecq_ref_map *map, size_t j, size_t index, double weight)
{
    size_t e = map->start[j + 1]++;

    map->index[e] = index;
    map->weight[e] = weight;
}

void vecq_ref_map_end_row(vecq_ref_map *map, size_t j)
{
    if (j + 1 < map->n_out)
        map->start[j + 2] = map->start[j + 1];
}

vecq_status vecq_ref_map_transpose(vecq_ref_map *map, vecq_error *err)
{
    vecq_ref_map turned = {0};
    size_t n = map->start[map->n_out], j, e;

    VECQ_TRY(vecq_ref_map_create(&turned, map->n_out, map->n_in, n, err));
    for (e = 0; e < n; e++)
        turned.start[map->index[e] + 1]++;
    for (j = 0; j < map->n_in; j++)
        turned.start[j + 1] += turned.start[j];
    /* start[i] goes from the beginning of row i to its end while rows are filled, and is moved back after. */
    for (j = 0; j < map->n_out; j++)
        for (e = map->start[j]; e < map->start[j + 1]; e++) {
            size_t to = turned.start[map->index[e]]++;

            turned.index[to] = j;
            turned.weight[to] = map->weight[e];
        }
    for (j = map->n_in; j > 0; j--)
        turned.start[j] = turned.start[j - 1];
    turned.start[0] = 0;
    vecq_ref_map_clear(map);
    *map = turned;
    return VECQ_OK;
}

/* One axis: [outer, n_in, inner] to [outer, n_out, inner]. */
typedef struct map_pass {
    const vecq_ref_map *map;
    size_t inner;
    const void *src;
    void *dst;
    double fill;
} map_pass;

#define MAP_ROW(name, real)                                                                                  \
    static void name(const map_pass *q, size_t row)                                                          \
    {                                                                                                        \
        const vecq_ref_map *map = q->map;                                                                    \
        size_t outer = row / map->n_out, j = row % map->n_out, inner = q->inner, i, e;                       \
        const real *src = (const real *)q->src + outer * map->n_in * inner;                                  \
        real *dst = (real *)q->dst + row * inner;                                                            \
        size_t begin = map->start[j], end = map->start[j + 1];                                               \
        if (end - begin == 1 && map->weight[begin] == 1) {                                                   \
            memcpy(dst, src + map->index[begin] * inner, inner * sizeof *dst);                               \
            return;                                                                                          \
        }                                                                                                    \
        for (i = 0; i < inner; i++) {                                                                        \
            double sum = 0;                                                                                  \
            for (e = begin; e < end; e++)                                                                    \
                sum += map->weight[e] * (double)src[map->index[e] * inner + i];                              \
            dst[i] = (real)(begin < end ? sum : q->fill);                                                    \
        }                                                                                                    \
    }

MAP_ROW(map_row_float, float)
MAP_ROW(map_row_double, double)

static vecq_status range_float(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    (void)thread;
    (void)err;
    for (; begin < end; begin++)
        map_row_float(context, begin);
    return VECQ_OK;
}

static vecq_status range_double(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    (void)thread;
    (void)err;
    for (; begin < end; begin++)
        map_row_double(context, begin);
    return VECQ_OK;
}

/* Axis after axis, from the operand through two buffers in turn to the result. */
static vecq_status apply(const vecq_ref_call *call, const vecq_ref_map *maps, unsigned passes,
                         void *buffers[2], double fill)
{
    const vecq_var *x = call->op->inputs[0];
    int64_t dims[VECQ_MAX_RANK];
    map_pass q = {.src = call->in[0], .fill = fill};
    unsigned a, pass = 0;

    memcpy(dims, x->dims, sizeof dims);
    for (a = 0; a < x->rank; a++) {
        size_t rows;

        if (maps[a].start == NULL)
            continue;
        pass++;
        q.map = &maps[a];
        q.inner = vecq_ref_product(dims + a + 1, x->rank - a - 1);
        q.dst = pass == passes ? call->out[0] : buffers[pass % 2];
        rows = vecq_ref_product(dims, a) * q.map->n_out;
        VECQ_TRY(vecq_parallel_for(rows, vecq_ref_grain(q.inner * 4), call->run->threads,
                                   x->dtype == VECQ_DT_DOUBLE ? range_double : range_float, &q, call->err));
        dims[a] = (int64_t)q.map->n_out;
        q.src = q.dst;
    }
    return VECQ_OK;
}

/* The largest tensor between two axes; 0 passes: nothing changes. */
static unsigned measure(const vecq_var *x, const vecq_ref_map *maps, size_t *largest)
{
    int64_t dims[VECQ_MAX_RANK];
    unsigned a, passes = 0;

    memcpy(dims, x->dims, sizeof dims);
    *largest = 0;
    for (a = 0; a < x->rank; a++) {
        size_t n;

        if (maps[a].start == NULL)
            continue;
        passes++;
        dims[a] = (int64_t)maps[a].n_out;
        n = vecq_ref_product(dims, x->rank);
        *largest = n > *largest ? n : *largest;
    }
    return passes;
}

vecq_status vecq_ref_map_apply(const vecq_ref_call *call, const vecq_ref_map *maps, double fill)
{
    const vecq_var *x = call->op->inputs[0];
    size_t element = x->dtype == VECQ_DT_DOUBLE ? sizeof(double) : sizeof(float), largest;
    unsigned passes = measure(x, maps, &largest), n = passes > 2 ? 2 : passes > 0 ? passes - 1 : 0, i;
    void *buffers[2] = {NULL, NULL};
    vecq_status status = VECQ_OK;

    if (passes == 0) {
        if (x->count > 0)
            memcpy(call->out[0], call->in[0], x->count * element);
        return VECQ_OK;
    }
    for (i = 0; i < n && status == VECQ_OK; i++) {
        buffers[(i + 1) % 2] = vecq_alloc(largest, element);
        if (buffers[(i + 1) % 2] == NULL)
            status = vecq_error_memory(call->err, largest * element);
    }
    if (status == VECQ_OK)
        status = apply(call, maps, passes, buffers, fill);
    vecq_free(buffers[0]);
    vecq_free(buffers[1]);
    return status;
}
