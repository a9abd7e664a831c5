/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The float products of one instruction set: codes are looked up or converted in registers, and each level is
 * used for a batch of x. x is arranged so that lane l meets columns 4 l + b in turn b = 0..3: byte b of the
 * 32-bit lane l of the weights, which one shift brings to the bottom.
 *
 * Beside what dot_body.h needs, the including file defines, for the 16 lanes of a sum in DOT_PARTS vectors:
 *   DOT_FLOAT_ROWS, DOT_FLOAT_BATCH   rows and x of a tile (8 and 3, or 4 and 1)
 *   dot_floats                        with dot_floats_zero, dot_floats_load, dot_floats_fma
 *   dot_tree(lanes)                   the sum of DOT_PARTS vectors, as a tree
 *   dot_table, dot_table_make(k, levels)
 *   dot_level(k, is_linear, table, v, shift)   levels of the codes at bit `shift` of each 32-bit lane of v,
 * whatever there is above a code if k is 1, 2 or 4
 */
#ifndef VECQ_KERNELS_DOT_FLOAT_H
#define VECQ_KERNELS_DOT_FLOAT_H

#include "kernels/dot/dot_body.h"

#define DOT_PARTS      (64 / DOT_BYTES)
#define DOT_FLOAT_ACCS (DOT_FLOAT_ROWS * DOT_FLOAT_BATCH * DOT_PARTS)

/* A tile: of `units` units with `bytes` byte rows, the rows [first, first + strips) of `rows` each. */
typedef struct dot_lookup {
    unsigned k, is_linear, rows, bytes, units, first, strips, batch;
} dot_lookup;

typedef struct dot_float_task {
    const vecq_dot_weight *w;
    const dot_table *table;
    int is_linear, is_added;
    size_t c, n;    /* columns [c, c + n) */
    const float *x; /* at column c */
    size_t ldx, m;
    float *y;
    size_t ldy;
} dot_float_task;

/* Where a tile's sums go: row j of unit i to y[i + j * run], if i + j * run < rows. */
typedef struct dot_float_out {
    float *y;
    size_t run, rows;
} dot_float_out;

DOT_INLINE void dot_lookup_step(const dot_lookup t, const dot_float_task *task, const dot_unit *units,
                                size_t c, unsigned part, size_t left, const float *x, size_t ahead,
                                dot_floats *acc)
{
    dot_fetch fetch = {ahead, ahead ? ~0u : 0u};
    dot_vec v[DOT_UNIT_BYTES], u;
    unsigned i, j, b, m, at;
    dot_floats level, *sum;
    dot_unit unit;

    DOT_UNROLL
    for (i = 0; i < t.units; i++) {
        unit = units[i];
        unit.bytes = t.bytes;
        dot_unit_load(&unit, c + part * DOT_BYTES, left, fetch, v);
        DOT_UNROLL
        for (j = 0; j < t.strips; j++) {
            u = t.bytes == 1 ? v[0] : dot_unit_code(t.k, t.rows, t.first + j, v);
            at = t.bytes == 1 && t.rows > 1 ? (t.first + j) * t.k : 0;
            DOT_UNROLL
            for (b = 0; b < 4; b++) {
                level = dot_level(t.k, t.is_linear, task->table, u, at + 8 * b);
                DOT_UNROLL
                for (m = 0; m < t.batch; m++) {
                    sum = &acc[((i * t.strips + j) * t.batch + m) * DOT_PARTS + part];
                    *sum = dot_floats_fma(
                        level, dot_floats_load(x + m * task->ldx + c + 16 * b + part * (DOT_BYTES / 4)),
                        *sum);
                }
            }
        }
    }
}

DOT_INLINE void dot_lookup_run(const dot_lookup t, const dot_float_task *task, const dot_unit *units,
                               const float *x, size_t ahead, dot_float_out out)
{
    dot_floats acc[DOT_FLOAT_ACCS];
    size_t c, whole = task->n / 64 * 64, row, left;
    unsigned i, j, m, a, part;
    float sum, *y;

    DOT_UNROLL
    for (a = 0; a < t.units * t.strips * t.batch * DOT_PARTS; a++)
        acc[a] = dot_floats_zero();
    for (c = 0; c < whole; c += 64) {
        DOT_UNROLL
        for (part = 0; part < DOT_PARTS; part++)
            dot_lookup_step(t, task, units, c, part, 0, x, ahead, acc);
    }
    DOT_UNROLL
    for (part = 0; part < DOT_PARTS; part++)
        if (c + part * DOT_BYTES < task->n) {
            left = task->n - c - part * DOT_BYTES;
            dot_lookup_step(t, task, units, c, part, left < DOT_BYTES ? left : DOT_BYTES, x, 0, acc);
        }
    DOT_UNROLL
    for (i = 0, a = 0; i < t.units; i++) {
        DOT_UNROLL
        for (j = 0; j < t.strips; j++) {
            DOT_UNROLL
            for (m = 0; m < t.batch; m++, a += DOT_PARTS) {
                sum = dot_tree(acc + a);
                row = i + (t.first + j) * out.run;
                y = out.y + m * task->ldy + row;
                if (row < out.rows)
                    *y = task->is_added ? *y + sum : sum;
            }
        }
    }
}

/* ---- tiles of each width ---- */

typedef void (*dot_lookup_fn)(const dot_float_task *task, const dot_unit *units, unsigned batch,
                              const float *x, size_t ahead, dot_float_out out);

#define DOT_LOOKUP_RUN(k, linear, rows, bytes, units_, first, batch)                                         \
    dot_lookup_run((dot_lookup){k, linear, rows, bytes, units_, first,                                       \
                                (rows) < DOT_FLOAT_ROWS ? (rows) : DOT_FLOAT_ROWS, batch},                   \
                   task, units, x, ahead, out)

/* A unit of more rows than a tile is taken in two parts. */
#define DOT_LOOKUP_ROWS(k, linear, rows, bytes, units, batch)                                                \
    do {                                                                                                     \
        DOT_LOOKUP_RUN(k, linear, rows, bytes, units, 0, batch);                                             \
        if ((rows) > DOT_FLOAT_ROWS)                                                                         \
            DOT_LOOKUP_RUN(k, linear, rows, bytes, units, DOT_FLOAT_ROWS, batch);                            \
    } while (0)

#if DOT_FLOAT_BATCH >= 3
#define DOT_LOOKUP_LARGE(k, linear, rows, bytes, units)                                                      \
    if (batch == 3)                                                                                          \
        DOT_LOOKUP_ROWS(k, linear, rows, bytes, units, 3);                                                   \
    else if (batch == 2)                                                                                     \
        DOT_LOOKUP_ROWS(k, linear, rows, bytes, units, 2);                                                   \
    else
#else
#define DOT_LOOKUP_LARGE(k, linear, rows, bytes, units)
#endif

#define DOT_LOOKUP_FN(name, k, linear, rows, bytes, units_)                                                  \
    static void name(const dot_float_task *task, const dot_unit *units, unsigned batch, const float *x,      \
                     size_t ahead, dot_float_out out)                                                        \
    {                                                                                                        \
        (void)batch;                                                                                         \
        DOT_LOOKUP_LARGE(k, linear, rows, bytes, units_)                                                     \
        DOT_LOOKUP_ROWS(k, linear, rows, bytes, units_, 1);                                                  \
    }

#define DOT_TILE_UNITS(rows) ((rows) < DOT_FLOAT_ROWS ? DOT_FLOAT_ROWS / (rows) : 1)

/* Full tiles, single units, and tiles of decoded rows. */
#define DOT_LOOKUP(k, linear, rows, bytes)                                                                   \
    DOT_LOOKUP_FN(dot_lookup_##k##_##linear, k, linear, rows, bytes, DOT_TILE_UNITS(rows))                   \
    DOT_LOOKUP_FN(dot_lookup_one_##k##_##linear, k, linear, rows, bytes, 1)

#define DOT_LOOKUP_DECODED(k, linear) DOT_LOOKUP_FN(dot_lookup_codes_##k##_##linear, k, linear, 1, 1, 1)

#define DOT_LOOKUP_BOTH(k, rows, bytes)                                                                      \
    DOT_LOOKUP(k, 0, rows, bytes)                                                                            \
    DOT_LOOKUP(k, 1, rows, bytes)

DOT_LOOKUP_BOTH(1, 8, 1)
DOT_LOOKUP_BOTH(2, 4, 1)
DOT_LOOKUP_BOTH(3, 8, 3)
DOT_LOOKUP_BOTH(4, 2, 1)
DOT_LOOKUP_BOTH(5, 8, 5)
DOT_LOOKUP_BOTH(6, 4, 3)
DOT_LOOKUP_BOTH(7, 8, 7)
DOT_LOOKUP_BOTH(8, 1, 1)
DOT_LOOKUP_DECODED(3, 0)
DOT_LOOKUP_DECODED(3, 1)
DOT_LOOKUP_DECODED(5, 0)
DOT_LOOKUP_DECODED(5, 1)
DOT_LOOKUP_DECODED(6, 0)
DOT_LOOKUP_DECODED(6, 1)
DOT_LOOKUP_DECODED(7, 0)
DOT_LOOKUP_DECODED(7, 1)

typedef struct dot_lookups {
    dot_lookup_fn tile, one, codes;
    unsigned units;
} dot_lookups;

#define DOT_LOOKUPS(k, rows, coded_0, coded_1)                                                               \
    {                                                                                                        \
        {dot_lookup_##k##_0, dot_lookup_one_##k##_0, coded_0, DOT_TILE_UNITS(rows)},                         \
        {                                                                                                    \
            dot_lookup_##k##_1, dot_lookup_one_##k##_1, coded_1, DOT_TILE_UNITS(rows)                        \
        }                                                                                                    \
    }

/* [k][is_linear] */
static const dot_lookups dot_lookups_of[9][2] = {
    [1] = DOT_LOOKUPS(1, 8, NULL, NULL),
    [2] = DOT_LOOKUPS(2, 4, NULL, NULL),
    [3] = DOT_LOOKUPS(3, 8, dot_lookup_codes_3_0, dot_lookup_codes_3_1),
    [4] = DOT_LOOKUPS(4, 2, NULL, NULL),
    [5] = DOT_LOOKUPS(5, 8, dot_lookup_codes_5_0, dot_lookup_codes_5_1),
    [6] = DOT_LOOKUPS(6, 4, dot_lookup_codes_6_0, dot_lookup_codes_6_1),
    [7] = DOT_LOOKUPS(7, 8, dot_lookup_codes_7_0, dot_lookup_codes_7_1),
    [8] = DOT_LOOKUPS(8, 1, NULL, NULL),
};

/* ---- drivers ---- */

static void dot_float_batches(const dot_float_task *t, dot_lookup_fn fn, const dot_unit *units, size_t ahead,
                              dot_float_out out)
{
    unsigned batch;
    size_t b;

    for (b = 0; b < t->m; b += batch, ahead = 0) {
        batch = t->m - b >= DOT_FLOAT_BATCH ? DOT_FLOAT_BATCH : (unsigned)(t->m - b);
        fn(t, units, batch, t->x + b * t->ldx, ahead, out);
        out.y += batch * t->ldy;
    }
}

static void dot_float_units(const dot_float_task *t, size_t q0, size_t q1)
{
    const dot_lookups *fns = &dot_lookups_of[t->w->bits][t->is_linear];
    dot_unit units[DOT_FLOAT_ROWS];
    size_t q = q0, i, n;

    for (; q < q1; q += n) {
        n = q1 - q >= fns->units ? fns->units : 1;
        for (i = 0; i < n; i++)
            dot_unit_at(t->w, q + i, t->c, &units[i]);
        dot_float_batches(t, n == fns->units ? fns->tile : fns->one, units, n * t->w->cols,
                          (dot_float_out){t->y + q, dot_units(t->w), t->w->rows - q});
    }
}

/* Several fields whose rows are no multiple of a unit's: row by row through codes. */
static void dot_float_decoded(const dot_float_task *t, size_t q0, size_t q1)
{
    uint8_t codes[VECQ_DOT_BLOCK_COLS];
    dot_unit unit = {{codes}, 1};
    size_t q, row, run = dot_units(t->w);

    for (q = q0; q < q1; q++)
        for (row = q; row < t->w->rows; row += run) {
            dot_decode_row(t->w, row, t->c, t->n, t->n, 1, codes);
            dot_float_batches(t, dot_lookups_of[t->w->bits][t->is_linear].codes, &unit, 0,
                              (dot_float_out){t->y + row, 0, 1});
        }
}

static void dot_float_products(const vecq_dot_weight *w, size_t q0, size_t q1, size_t c0, size_t c1,
                               const float *levels, const float *arranged, size_t ldx, size_t m, float *y,
                               size_t ldy)
{
    int is_apart = (w->bits & (w->bits - 1)) != 0 && w->rows % dot_unit_rows(w->bits) != 0;
    dot_float_task t = {.w = w, .is_linear = levels == NULL, .ldx = ldx, .m = m, .y = y, .ldy = ldy};
    dot_table table;

    assert(c0 <= c1 && c1 <= w->cols && q0 <= q1 && q1 <= dot_units(w));
    dot_table_make(w->bits, levels, &table);
    t.table = &table;
    t.c = c0;
    do { /* once without columns too: the sums are zero */
        t.n = c1 - t.c < VECQ_DOT_BLOCK_COLS ? c1 - t.c : VECQ_DOT_BLOCK_COLS;
        t.x = arranged + (t.c - c0);
        if (is_apart)
            dot_float_decoded(&t, q0, q1);
        else
            dot_float_units(&t, q0, q1);
        t.c += t.n;
        t.is_added = 1;
    } while (t.c < c1);
}

#endif
