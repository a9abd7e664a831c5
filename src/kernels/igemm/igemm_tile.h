/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tiles of the SIMD levels. Before including, a file defines
 *   igemm_register                     a register of IGEMM_LANES integers of 32 bits
 *   igemm_load(p), igemm_store(p, v)   unaligned, whole registers
 *   igemm_broadcast(p)                 four bytes of activations in every lane
 *   igemm_dot(acc, x, w, is_wide)      acc + four products of activation and weight a lane; is_wide: the bits
 * may be 7 or 8 IGEMM_SPLIT                        non-zero if is_wide makes a difference IGEMM_TOGETHER
 * vectors of 16 channels that a tile takes at once: 4 or 1 IGEMM_ROWS_1 .. IGEMM_ROWS_4       its rows for
 * each number of them: what the registers hold and for depthwise convolutions igemm_low8, igemm_high8,
 * igemm_low16, igemm_high16   interleave two registers inside each 128 bits igemm_store_lanes(p, v) four
 * registers, transposed by pieces of 128 bits igemm_zero(), igemm_fill(x)        all lanes IGEMM_QUAD(v)
 * loaded activations as igemm_dot() takes them (what igemm_broadcast() does itself); and if there are dot
 * products with one lane of a register, IGEMM_HAS_LANES and
 *   igemm_dot_lane(acc, x, w, lane)    as igemm_dot(), with the four activations in that lane of all in x
 *
 * A tile reads a few weights and, for each row, four bytes of activations, where they lie: nothing is packed
 * or gathered. Bodies take rows and vectors as constants.
 */
#ifndef VECQ_KERNELS_IGEMM_TILE_H
#define VECQ_KERNELS_IGEMM_TILE_H

#include <string.h>

#include "kernels/igemm/igemm_plan.h"
#include "kernels/igemm/igemm_types.h"

#define IGEMM_EACH     (16 / IGEMM_LANES) /* registers of a vector */
#define IGEMM_ROWS_MAX 12u
/* Sanitizers make each of these functions take a minute to compile; tests fence what tiles read instead. */
#define IGEMM_BARE   __attribute__((no_sanitize("address", "undefined")))
#define IGEMM_UNROLL _Pragma("GCC unroll 16")

#ifdef IGEMM_HAS_LANES
/* Rows k .. k + 4 IGEMM_LANES - 1 of a run: a register of activations for each row of the tile. */
IGEMM_BARE IGEMM_BODY void igemm_tile_lanes(const unsigned rows, const unsigned n, const uint8_t *const *x,
                                            size_t k, const int8_t *from, size_t step,
                                            igemm_register acc[][IGEMM_TOGETHER * IGEMM_EACH])
{
    igemm_register some[IGEMM_ROWS_MAX];
    unsigned lane, i, j;

    IGEMM_UNROLL
    for (i = 0; i < rows; i++)
        some[i] = IGEMM_QUAD(igemm_load(x[i] + k));
    IGEMM_UNROLL
    for (lane = 0; lane < IGEMM_LANES; lane++) {
        IGEMM_UNROLL
        for (j = 0; j < n; j++) {
            igemm_register w = igemm_load(from + lane * step + 4 * IGEMM_LANES * j);

            __asm__ volatile("" ::: "memory"); /* or compilers load all weights first, and spill sums */
            IGEMM_UNROLL
            for (i = 0; i < rows; i++)
                acc[i][j] = igemm_dot_lane(acc[i][j], some[i], w, lane);
        }
    }
}
#endif

/* t->w, init and acc begin at the first of `vectors` vectors; step: bytes of four rows of K of the panel. */
IGEMM_BARE IGEMM_BODY void igemm_tile_body(const igemm_tile *t, const unsigned rows, const unsigned vectors,
                                           size_t step, const int is_wide)
{
    const unsigned n = vectors * IGEMM_EACH;
    igemm_register acc[IGEMM_ROWS_MAX][IGEMM_TOGETHER * IGEMM_EACH], w[IGEMM_TOGETHER * IGEMM_EACH];
    const uint8_t *x[IGEMM_ROWS_MAX];
    const int8_t *from = t->w;
    uintptr_t ahead = t->ahead;
    size_t a, b, k;
    unsigned i, j;

    IGEMM_UNROLL
    for (j = 0; j < n; j++)
        acc[0][j] = igemm_load(t->init + IGEMM_LANES * j);
    IGEMM_UNROLL
    for (i = 1; i < rows; i++) {
        IGEMM_UNROLL
        for (j = 0; j < n; j++)
            acc[i][j] = acc[0][j];
    }
    if (t->init_step > 0) {
        IGEMM_UNROLL
        for (i = 1; i < rows; i++) {
            IGEMM_UNROLL
            for (j = 0; j < n; j++)
                acc[i][j] = igemm_load(t->init + i * t->init_step + IGEMM_LANES * j);
        }
    }
    for (a = 0; a < t->outer; a++)
        for (b = 0; b < t->inner; b++) {
            const uint8_t *run = t->x + (ptrdiff_t)a * t->outer_step + (ptrdiff_t)b * t->inner_step;

            IGEMM_UNROLL
            for (i = 0; i < rows; i++)
                x[i] = run + t->pixel[i];
            k = 0;
#ifdef IGEMM_HAS_LANES
            for (; k + 4 * IGEMM_LANES <= t->run; k += 4 * IGEMM_LANES, from += IGEMM_LANES * step) {
                for (j = 0; t->ahead_step > 0 && j < 4 * IGEMM_LANES; j++) {
                    __builtin_prefetch((const void *)(ahead + 64 * (j % 4)), 0, 2);
                    ahead += j % 4 == 3 ? t->ahead_step : 0;
                }
                igemm_tile_lanes(rows, n, x, k, from, step, acc);
            }
#endif
            for (; k < t->run; k += 4, from += step) {
                if (t->ahead_step > 0) {
                    IGEMM_UNROLL
                    for (j = 0; j < 4; j++)
                        __builtin_prefetch((const void *)(ahead + 64 * j), 0, 2);
                    ahead += t->ahead_step;
                }
                IGEMM_UNROLL
                for (j = 0; j < n; j++)
                    w[j] = igemm_load(from + 4 * IGEMM_LANES * j);
                IGEMM_UNROLL
                for (i = 0; i < rows; i++) {
                    igemm_register four = igemm_broadcast(x[i] + k);

                    IGEMM_UNROLL
                    for (j = 0; j < n; j++)
                        acc[i][j] = igemm_dot(acc[i][j], four, w[j], is_wide);
                }
            }
        }
    IGEMM_UNROLL
    for (i = 0; i < rows; i++) {
        IGEMM_UNROLL
        for (j = 0; j < n; j++)
            igemm_store(t->acc + IGEMM_CHANNELS * i + IGEMM_LANES * j, acc[i][j]);
    }
}

typedef void (*igemm_tile_fn)(const igemm_tile *t, size_t step);

#if IGEMM_TOGETHER == 4
#define IGEMM_STEP(v) ((size_t)64 * (v)) /* all of the panel: a constant */
#else
#define IGEMM_STEP(v) step
#endif

#define IGEMM_TILE(v, r)                                                                                     \
    IGEMM_BARE static void igemm_tile_##v##_##r(const igemm_tile *t, size_t step)                            \
    {                                                                                                        \
        (void)step;                                                                                          \
        igemm_tile_body(t, r, v, IGEMM_STEP(v), 0);                                                          \
    }
#if IGEMM_SPLIT
#define IGEMM_TILE_WIDE(v, r)                                                                                \
    IGEMM_BARE static void igemm_wide_##v##_##r(const igemm_tile *t, size_t step)                            \
    {                                                                                                        \
        (void)step;                                                                                          \
        igemm_tile_body(t, r, v, IGEMM_STEP(v), 1);                                                          \
    }
#else
#define IGEMM_TILE_WIDE(v, r)
#endif
#define IGEMM_TILES(v, r) IGEMM_TILE(v, r) IGEMM_TILE_WIDE(v, r)

/* The functions and the table of v vectors, for at most 4, 5, 6, 8 or 12 rows. */
#define IGEMM_MAKE_4(v) IGEMM_TILES(v, 1) IGEMM_TILES(v, 2) IGEMM_TILES(v, 3) IGEMM_TILES(v, 4)
#define IGEMM_MAKE_6(v) IGEMM_MAKE_4(v) IGEMM_TILES(v, 5) IGEMM_TILES(v, 6)
#define IGEMM_MAKE_8(v) IGEMM_MAKE_6(v) IGEMM_TILES(v, 7) IGEMM_TILES(v, 8)
#define IGEMM_MAKE_12(v)                                                                                     \
    IGEMM_MAKE_8(v) IGEMM_TILES(v, 9) IGEMM_TILES(v, 10) IGEMM_TILES(v, 11) IGEMM_TILES(v, 12)
#define IGEMM_LIST_4(p)   p##_1, p##_2, p##_3, p##_4
#define IGEMM_LIST_6(p)   IGEMM_LIST_4(p), p##_5, p##_6
#define IGEMM_LIST_8(p)   IGEMM_LIST_6(p), p##_7, p##_8
#define IGEMM_LIST_12(p)  IGEMM_LIST_8(p), p##_9, p##_10, p##_11, p##_12
#define IGEMM_JOIN_(a, b) a##b
#define IGEMM_JOIN(a, b)  IGEMM_JOIN_(a, b)

IGEMM_JOIN(IGEMM_MAKE_, IGEMM_ROWS_1)
(1)
#if IGEMM_TOGETHER == 4
    IGEMM_JOIN(IGEMM_MAKE_, IGEMM_ROWS_2)(2) IGEMM_JOIN(IGEMM_MAKE_,
                                                        IGEMM_ROWS_3)(3) IGEMM_JOIN(IGEMM_MAKE_,
                                                                                    IGEMM_ROWS_4)(4)
#endif

#if IGEMM_TOGETHER == 4
#define IGEMM_FUNCTIONS(name)                                                                                \
    {                                                                                                        \
        {IGEMM_JOIN(IGEMM_LIST_, IGEMM_ROWS_1)(name##_1)},                                                   \
            {IGEMM_JOIN(IGEMM_LIST_, IGEMM_ROWS_2)(name##_2)},                                               \
            {IGEMM_JOIN(IGEMM_LIST_, IGEMM_ROWS_3)(name##_3)},                                               \
            {IGEMM_JOIN(IGEMM_LIST_, IGEMM_ROWS_4)(name##_4)},                                               \
    }
#else
#define IGEMM_FUNCTIONS(name)                                                                                \
    {                                                                                                        \
        {                                                                                                    \
            IGEMM_JOIN(IGEMM_LIST_, IGEMM_ROWS_1)(name##_1)                                                  \
        }                                                                                                    \
    }
#endif

        static const igemm_tile_fn igemm_tiles[IGEMM_TOGETHER][IGEMM_ROWS_MAX] = IGEMM_FUNCTIONS(igemm_tile);
#if IGEMM_SPLIT
static const igemm_tile_fn igemm_wides[IGEMM_TOGETHER][IGEMM_ROWS_MAX] = IGEMM_FUNCTIONS(igemm_wide);
#endif

#if IGEMM_TOGETHER == 4
static size_t igemm_tile_rows(size_t n_vectors)
{
    static const uint8_t rows[4] = {IGEMM_ROWS_1, IGEMM_ROWS_2, IGEMM_ROWS_3, IGEMM_ROWS_4};

    return rows[n_vectors - 1];
}
#else
static size_t igemm_tile_rows(size_t n_vectors)
{
    (void)n_vectors;
    return IGEMM_ROWS_1;
}
#endif

static igemm_tile_fn igemm_tile_choose(size_t together, size_t rows, unsigned bits)
{
#if IGEMM_SPLIT
    if (bits > 6)
        return igemm_wides[together - 1][rows - 1];
#else
    (void)bits;
#endif
    return igemm_tiles[together - 1][rows - 1];
}

static void igemm_tile_run(const igemm_tile *t, size_t rows, size_t n_vectors, unsigned bits)
{
    size_t together = IGEMM_TOGETHER == 4 ? n_vectors : 1, v;
    igemm_tile_fn run = igemm_tile_choose(together, rows, bits);
    igemm_tile part;

    if (together == n_vectors) {
        run(t, 64 * n_vectors);
        return;
    }
    part = *t;
    for (v = 0; v < n_vectors; v += together) {
        run(&part, 64 * n_vectors);
        part.w += 64;
        part.init += IGEMM_VECTOR;
        part.acc += IGEMM_VECTOR;
    }
}

/* The sum of n bytes of activations: dot products with ones. */
static uint32_t igemm_sum_bytes(const uint8_t *x, size_t n)
{
    igemm_register sums = igemm_zero(), ones = igemm_fill(0x01010101);
    uint32_t sum = 0;
    size_t i;

    for (i = 0; n - i >= 4 * IGEMM_LANES; i += 4 * IGEMM_LANES)
        sums = igemm_dot(sums, IGEMM_QUAD(igemm_load(x + i)), ones, 0);
#ifdef igemm_load_part
    if (i < n)
        sums = igemm_dot(sums, igemm_load_part(x + i, n - i), ones, 0);
    sum = igemm_total(sums);
#else
    {
        int32_t lanes[IGEMM_LANES];
        size_t j;

        igemm_store(lanes, sums);
        for (j = 0; j < IGEMM_LANES; j++)
            sum += (uint32_t)lanes[j];
        sum += (uint32_t)(IGEMM_X_OFFSET * i);
        for (; i < n; i++)
            sum += x[i];
    }
#endif
    return sum;
}

/* ---- depthwise: the bytes of four taps are interleaved, then lane by lane they meet four weights of a
 * channel ---- */

#define IGEMM_PIECE (4u * IGEMM_LANES) /* channels at once: bytes of a register */

/* Interleaving works inside each 128 bits: register j holds, in piece L of 128 bits, the channels 16 L + 4
 * j.. */
static void igemm_depthwise_order(const int8_t *w, size_t n_vectors, size_t quads, int8_t *out)
{
    const size_t wide = IGEMM_PIECE / 16; /* vectors of a piece */
    size_t first, quad, j, lane;

    for (first = 0; first < n_vectors; first += wide)
        for (quad = 0; quad < quads; quad++)
            for (j = 0; j < 4; j++)
                for (lane = first; lane < first + wide; lane++, out += 16)
                    if (lane < n_vectors)
                        memcpy(out, w + (lane * quads + quad) * 64 + 16 * j, 16);
                    else
                        memset(out, 0, 16);
}

IGEMM_BODY void igemm_depthwise_quad(const uint8_t *x, const ptrdiff_t *taps, igemm_register v[4])
{
    igemm_register a = igemm_load(x + taps[0]), b = igemm_load(x + taps[1]), c = igemm_load(x + taps[2]),
                   d = igemm_load(x + taps[3]);
    igemm_register ab = igemm_low8(a, b), cd = igemm_low8(c, d), ab_high = igemm_high8(a, b),
                   cd_high = igemm_high8(c, d);

    v[0] = IGEMM_QUAD(igemm_low16(ab, cd));
    v[1] = IGEMM_QUAD(igemm_high16(ab, cd));
    v[2] = IGEMM_QUAD(igemm_low16(ab_high, cd_high));
    v[3] = IGEMM_QUAD(igemm_high16(ab_high, cd_high));
}

/* One piece of the channels, beginning at vector `first`; w and init are its own. */
IGEMM_BODY void igemm_depthwise_piece(const igemm_depthwise *d, size_t rows, size_t first, const int8_t *w,
                                      const size_t quads, const int is_wide, const int has_sums)
{
    igemm_register init[4], zero = igemm_zero(), v[4];
    size_t row, quad, j;

    for (j = 0; j < 4; j++) { /* in the order of the lanes */
        int32_t lanes[IGEMM_LANES];

        for (row = 0; row < IGEMM_LANES; row++)
            lanes[row] = d->init[16 * first + 16 * (row / 4) + 4 * j + row % 4];
        init[j] = igemm_load(lanes);
    }
    for (row = 0; row < rows; row++) {
        igemm_register acc[4] = {init[0], init[1], init[2], init[3]}, sums[4] = {zero, zero, zero, zero};
        const uint8_t *x = d->x + d->pixel[row] + 16 * first;

        IGEMM_UNROLL
        for (quad = 0; quad < quads; quad++) {
            igemm_depthwise_quad(x, d->taps + 4 * quad, v);
            for (j = 0; j < 4; j++)
                acc[j] = igemm_dot(acc[j], v[j], igemm_load(w + IGEMM_PIECE * (4 * quad + j)), is_wide);
            if (has_sums) {
                size_t n = d->n_taps - 4 * quad;
                igemm_register ones = igemm_fill(n >= 4   ? 0x01010101
                                                 : n == 3 ? 0x010101
                                                 : n == 2 ? 0x0101
                                                          : 0x01);

                for (j = 0; j < 4; j++)
                    sums[j] = igemm_dot(sums[j], v[j], ones, 0);
            }
        }
        igemm_store_lanes(d->acc + IGEMM_CHANNELS * row + 16 * first, acc);
        if (has_sums)
            igemm_store_lanes(d->sums + IGEMM_CHANNELS * row + 16 * first, sums);
    }
}

static void igemm_depthwise_run(const igemm_depthwise *d, size_t rows, size_t n_vectors,
                                const vecq_igemm_weight *weight)
{
    const int8_t *w = d->w;
    size_t first;

    for (first = 0; first < n_vectors; first += IGEMM_PIECE / 16, w += 4 * IGEMM_PIECE * d->quads)
        if (weight->bits == 8 && !weight->is_whole)
            igemm_depthwise_piece(d, rows, first, w, d->quads, 1, 1);
        else if (IGEMM_SPLIT && weight->bits > 6)
            igemm_depthwise_piece(d, rows, first, w, d->quads, 1, 0);
        else if (d->quads == 3) /* 3x3: the weights stay in registers */
            igemm_depthwise_piece(d, rows, first, w, 3, 0, 0);
        else
            igemm_depthwise_piece(d, rows, first, w, d->quads, 0, 0);
}

#endif
