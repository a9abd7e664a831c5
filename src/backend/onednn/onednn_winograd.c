/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library makes of the weights of a Winograd convolution: sums of the nine elements of a kernel with
 * fixed coefficients, a tile of 16 or 36 of them for each pair of channels, in an order of its own. Its
 * reorder is slow, too slow for weights that are decoded in every run; so coefficients and order are found
 * once by giving it kernels with a single one (they are small numbers of few bits, so all is exact), and
 * whoever makes the weights makes the sums himself.
 */
#include <math.h>
#include <string.h>

#include "backend/onednn/onednn_private.h"
#include "base/alloc.h"
#include "base/status.h"

#define TAPS  9u
#define CHUNK VECQ_LAYOUT_CHUNK
/* At most: numbers of groups times a coefficient stay exact enough to be told apart. */
#define GROUPS 65536u

struct vecq_onednn_sum {
    const void *layout;
    int is_none;
    vecq_layout_sum sum;
    struct vecq_onednn_sum *next;
};

static void sum_free(vecq_onednn_sum *s)
{
    vecq_free(s->sum.coefficients);
    vecq_free(s->sum.row);
    vecq_free(s->sum.base);
    vecq_free(s->sum.group);
    vecq_free(s);
}

void vecq_onednn_sums_clear(vecq_onednn *e)
{
    while (e->sums != NULL) {
        vecq_onednn_sum *next = e->sums->next;

        sum_free(e->sums);
        e->sums = next;
    }
}

typedef struct probe {
    vecq_onednn *e;
    const vecq_dnnl_md *from, *to;
    size_t n_groups, n; /* pairs of channels; floats of the layout */
    float *src;         /* [n_groups][TAPS] */
    float *value;       /* [TAPS][n]: coefficients */
    float *number;      /* [n]: coefficient times 1 + group, of some tap where it is not 0 */
    uint32_t *at;       /* [n]: group */
} probe;

/* Kernels that are `numbered` ? 1 + group : 1 at a tap, 0 elsewhere. */
static vecq_status probe_tap(const probe *p, size_t tap, int numbered, float *dst, vecq_error *err)
{
    size_t g;

    memset(p->src, 0, p->n_groups * TAPS * sizeof *p->src);
    for (g = 0; g < p->n_groups; g++)
        p->src[g * TAPS + tap] = numbered ? (float)(g + 1) : 1;
    memset(dst, 0, p->n * sizeof *dst);
    return vecq_onednn_check(vecq_onednn_reorder_now(p->e, p->from, p->to, p->src, dst), "layout", NULL, err);
}

/* Every row of coefficients has one at a corner of the kernel. */
static vecq_status probe_groups(const probe *p, vecq_error *err)
{
    static const size_t corners[4] = {0, 2, 6, 8};
    size_t c, j;

    for (j = 0; j < p->n; j++)
        p->at[j] = UINT32_MAX;
    for (c = 0; c < 4; c++) {
        const float *value = p->value + corners[c] * p->n;

        VECQ_TRY(probe_tap(p, corners[c], 1, p->number, err));
        for (j = 0; j < p->n; j++)
            if (p->at[j] == UINT32_MAX && value[j] != 0)
                p->at[j] = (uint32_t)lroundf(p->number[j] / value[j]) - 1;
    }
    return VECQ_OK;
}

static int row_of(const probe *p, size_t j, vecq_layout_sum *sum)
{
    size_t r, t;

    for (r = 0; r < sum->n_rows; r++) {
        for (t = 0; t < TAPS && sum->coefficients[r * TAPS + t] == p->value[t * p->n + j]; t++)
            continue;
        if (t == TAPS)
            return (int)r;
    }
    if (sum->n_rows == VECQ_LAYOUT_ROWS)
        return -1;
    for (t = 0; t < TAPS; t++)
        sum->coefficients[r * TAPS + t] = p->value[t * p->n + j];
    sum->n_rows++;
    return (int)r;
}

/* One row for the chunk, and groups that are side by side in all chunks that have them; first[g]: the chunk
 * of groups that begins with g, plus 1. 0: not so. */
static int add_chunk(const probe *p, size_t chunk, vecq_layout_sum *sum, uint32_t *first, size_t *n_known)
{
    const uint32_t *at = p->at + chunk * CHUNK;
    int row = row_of(p, chunk * CHUNK, sum);
    size_t i;

    for (i = 0; i < CHUNK; i++)
        if (at[i] >= p->n_groups || row < 0 || row_of(p, chunk * CHUNK + i, sum) != row)
            return 0;
    if (first[at[0]] == 0) {
        if ((*n_known + 1) * CHUNK > p->n_groups)
            return 0;
        memcpy(sum->group + *n_known * CHUNK, at, CHUNK * sizeof *at);
        first[at[0]] = (uint32_t)++ * n_known;
    }
    sum->row[chunk] = (uint8_t)row;
    sum->base[chunk] = first[at[0]] - 1;
    return memcmp(sum->group + (size_t)sum->base[chunk] * CHUNK, at, CHUNK * sizeof *at) == 0;
}

static vecq_status sum_fill(const probe *p, vecq_onednn_sum *s, vecq_error *err)
{
    vecq_layout_sum *sum = &s->sum;
    uint32_t *first = vecq_calloc(p->n_groups, sizeof *first);
    size_t i, n_known = 0;

    if (first == NULL)
        return vecq_error_memory(err, p->n_groups * sizeof *first);
    for (i = 0; i < sum->n_chunks && !s->is_none; i++)
        s->is_none = !add_chunk(p, i, sum, first, &n_known);
    s->is_none |= n_known * CHUNK != p->n_groups;
    vecq_free(first);
    return VECQ_OK;
}

static vecq_status probe_all(probe *p, vecq_onednn_sum *s, vecq_error *err)
{
    vecq_layout_sum *sum = &s->sum;
    size_t t;

    sum->taps = TAPS;
    sum->n_groups = p->n_groups;
    sum->n_chunks = p->n / CHUNK;
    p->src = vecq_alloc(p->n_groups * TAPS, sizeof *p->src);
    p->value = vecq_alloc(p->n * TAPS, sizeof *p->value);
    p->number = vecq_alloc(p->n, sizeof *p->number);
    p->at = vecq_alloc(p->n, sizeof *p->at);
    sum->coefficients = vecq_alloc((size_t)VECQ_LAYOUT_ROWS * TAPS, sizeof *sum->coefficients);
    sum->row = vecq_alloc(sum->n_chunks, 1);
    sum->base = vecq_alloc(sum->n_chunks, sizeof *sum->base);
    sum->group = vecq_alloc(p->n_groups, sizeof *sum->group);
    if (p->src == NULL || p->value == NULL || p->number == NULL || p->at == NULL ||
        sum->coefficients == NULL || sum->row == NULL || sum->base == NULL || sum->group == NULL)
        return vecq_error_memory(err, p->n * TAPS * sizeof *p->value);
    for (t = 0; t < TAPS; t++)
        VECQ_TRY(probe_tap(p, t, 0, p->value + t * p->n, err));
    VECQ_TRY(probe_groups(p, err));
    return sum_fill(p, s, err);
}

static vecq_status sum_make(vecq_onednn *e, const vecq_var *var, const vecq_dnnl_md *layout,
                            vecq_onednn_sum *s, vecq_error *err)
{
    probe p = {
        .e = e, .to = layout, .n_groups = var->count / TAPS, .n = vecq_dnnl_md_bytes(layout) / sizeof(float)};
    vecq_status status;

    if (var->rank != 4 || var->dims[2] != 3 || var->dims[3] != 3 || p.n_groups > GROUPS ||
        p.n_groups % CHUNK != 0 || p.n % CHUNK != 0) {
        s->is_none = 1;
        return VECQ_OK;
    }
    VECQ_TRY(vecq_onednn_plain(e, var, &p.from, err));
    status = probe_all(&p, s, err);
    vecq_free(p.src);
    vecq_free(p.value);
    vecq_free(p.number);
    vecq_free(p.at);
    return status;
}

vecq_status vecq_onednn_layout_sum(void *engine, const vecq_var *var, const void *layout,
                                   const vecq_layout_sum **out, vecq_error *err)
{
    vecq_onednn *e = engine;
    vecq_onednn_sum *s;
    vecq_status status;

    for (s = e->sums; s != NULL && s->layout != layout; s = s->next)
        continue;
    if (s == NULL) {
        s = vecq_calloc(1, sizeof *s);
        if (s == NULL)
            return vecq_error_memory(err, sizeof *s);
        s->layout = layout;
        status = sum_make(e, var, layout, s, err);
        if (status != VECQ_OK) {
            sum_free(s);
            return status;
        }
        s->next = e->sums;
        e->sums = s;
    }
    *out = s->is_none ? NULL : &s->sum;
    return VECQ_OK;
}
