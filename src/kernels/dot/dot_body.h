/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The integer products of one instruction set. The including file defines, before:
 *   DOT_BYTES                bytes of a vector; DOT_ACCS: accumulators of a product with one vector x (8 or
 *                            16); DOT_BATCH: most vectors x of a tile (2, 4, or 8 of two rows and 6 of four)
 *   DOT_CODE_BITS            8 if dot_dp() takes any byte u. Where it takes only u < 2^7 (dot_dp_u8() takes
 *                            any): 4, codes come from the low or the high nibble of a byte; 7, shifts are of
 *                            bytes, only the highest code of a byte is shifted
 *   DOT_U8_OFFSET            what dot_dp_u8() takes from every u: 0 or 128
 *   dot_vec                  with dot_zero, dot_set1, dot_load, dot_load_part, dot_store, dot_store_part,
 *                            dot_and, dot_or_and (a | (b & c)), dot_srl, dot_sll (of 16-bit lanes: callers
 *                            mask), dot_dp (int32 lane i += sum of 4 products u x), dot_sum4 (sums of 4
 *                            vectors), dot_sum
 *
 * A field is never shifted to be multiplied: the bits of strip s stay where they are in the byte, the sum is
 * 2^(s f) too large, and is shifted once at the end (exactly, being a multiple).
 *
 * Vectors of 16 bytes fetch nothing ahead: a hint with every load would be one instruction of five.
 */
#ifndef VECQ_KERNELS_DOT_BODY_H
#define VECQ_KERNELS_DOT_BODY_H

#include <string.h>

#include "kernels/dot/dot_common.h"

/* Accumulators are arrays whose indices must become constants; where speed does not matter, the time that
 * compiling takes does. */
#if !defined(__OPTIMIZE__) || defined(VECQ_SANITIZED)
#define DOT_INLINE static __attribute__((unused))
#define DOT_UNROLL
#elif defined(__clang__)
#define DOT_INLINE static inline __attribute__((always_inline))
#define DOT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define DOT_INLINE static inline __attribute__((always_inline))
#define DOT_UNROLL _Pragma("GCC unroll 32")
#endif

/* A tile: `bytes` byte rows from `w` on, strips [first, first + strips), `batch` vectors x. All but the
 * pointers and sizes are constants where a tile is used. */
typedef struct dot_tile {
    unsigned f, bytes, first, strips, batch, step; /* step: from vector to vector of one byte row */
} dot_tile;

/* Strip s of a field of f bits where it lies (f = 7: whole codes, below 2^7); and by how much its sums are
 * too large, as a shift. */
DOT_INLINE dot_vec dot_code(dot_vec v, unsigned f, unsigned s)
{
    unsigned at = s * f, mask = (1u << f) - 1u;

    if (f >= 7)
        return v;
    if (DOT_CODE_BITS == 7 && at + f == 8)
        return dot_srl(v, at);
    if (DOT_CODE_BITS >= 7)
        return dot_and(v, dot_set1((char)(mask << at)));
    return dot_and(at < 4 ? v : dot_srl(v, 4), dot_set1((char)(mask << at % 4)));
}

DOT_INLINE unsigned dot_code_shift(unsigned f, unsigned s)
{
    if (f >= 7 || (DOT_CODE_BITS == 7 && (s + 1) * f == 8))
        return 0;
    return DOT_CODE_BITS == 4 ? s * f % 4 : s * f;
}

/* Sums of x, to put DOT_U8_OFFSET back: one accumulator more for each x. */
#define DOT_HAS_SUMS(f) ((f) == 8 && DOT_U8_OFFSET != 0)

DOT_INLINE dot_vec dot_add_product(dot_vec acc, dot_vec u, dot_vec x, unsigned f)
{
    return f == 8 && DOT_CODE_BITS != 8 ? dot_dp_u8(acc, u, x) : dot_dp(acc, u, x);
}

/* part = 0: a whole vector of columns, else that many. */
DOT_INLINE void dot_tile_step(const dot_tile t, const uint8_t *w, size_t stride, const int8_t *x, size_t ldx,
                              dot_fetch fetch, size_t part, dot_vec *acc)
{
    unsigned n = t.bytes * t.strips * t.batch, n_sums = DOT_HAS_SUMS(t.f) ? t.batch : 0, i, s, b;
    dot_vec xs[DOT_BATCH], v, u;

    DOT_UNROLL
    for (b = 0; b < t.batch; b++)
        xs[b] = part ? dot_load_part(x + b * ldx, part) : dot_load(x + b * ldx);
    DOT_UNROLL
    for (b = 0; b < n_sums; b++)
        acc[n + b] = dot_dp(acc[n + b], dot_set1(1), xs[b]);
    DOT_UNROLL
    for (i = 0; i < t.bytes; i++) {
        v = part ? dot_load_part(w + i * stride, part) : dot_load(w + i * stride);
        if (DOT_BYTES > 16)
            dot_prefetch(w + i * stride, fetch, i);
        DOT_UNROLL
        for (s = 0; s < t.strips; s++) {
            u = dot_code(v, t.f, t.first + s);
            DOT_UNROLL
            for (b = 0; b < t.batch; b++)
                acc[(i * t.strips + s) * t.batch + b] =
                    dot_add_product(acc[(i * t.strips + s) * t.batch + b], u, xs[b], t.f);
        }
    }
}

/* sums[i]: of accumulator i of n, four at a time. */
DOT_INLINE void dot_sums(const dot_vec *acc, unsigned n, int32_t *sums)
{
    unsigned i;

    DOT_UNROLL
    for (i = 0; i + 4 <= n; i += 4)
        dot_sum4(acc[i], acc[i + 1], acc[i + 2], acc[i + 3], sums + i);
    DOT_UNROLL
    for (i = n & ~3u; i < n; i++)
        sums[i] = dot_sum(acc[i]);
}

/* out: the place of byte row `w` in strip 0 of the first x; strip s is `run` further on and has `rows` - s
 * `run` rows left from there. */
typedef struct dot_out {
    int32_t *y;
    size_t ldy, run, rows;
    int is_added;
} dot_out;

DOT_INLINE void dot_out_put(const dot_out *out, unsigned b, size_t row, int32_t sum)
{
    int32_t *y = out->y + b * out->ldy + row;

    if (row < out->rows)
        *y = out->is_added ? *y + sum : sum;
}

DOT_INLINE void dot_tile_run(const dot_tile t, const uint8_t *w, size_t stride, size_t n, const int8_t *x,
                             size_t ldx, dot_fetch fetch, const dot_out *out)
{
    dot_vec acc[DOT_ACCS_MAX];
    int32_t sums[DOT_ACCS_MAX], offset;
    unsigned n_acc = t.bytes * t.strips * t.batch, n_all = n_acc + (DOT_HAS_SUMS(t.f) ? t.batch : 0);
    unsigned turns = DOT_BYTES == 16 && n_acc <= 8 ? 4 : 1; /* of a short loop, for what counts columns */
    unsigned i, s, b, a;
    size_t c;

    DOT_UNROLL
    for (a = 0; a < n_all; a++)
        acc[a] = dot_zero();
    for (c = 0; turns > 1 && c + turns * DOT_BYTES <= n; c += turns * DOT_BYTES, w += turns * t.step) {
        DOT_UNROLL
        for (i = 0; i < turns; i++)
            dot_tile_step(t, w + i * t.step, stride, x + c + i * DOT_BYTES, ldx, fetch, 0, acc);
    }
    for (; c + DOT_BYTES <= n; c += DOT_BYTES, w += t.step)
        dot_tile_step(t, w, stride, x + c, ldx, fetch, 0, acc);
    if (c < n)
        dot_tile_step(t, w, stride, x + c, ldx, fetch, n - c, acc);
    dot_sums(acc, n_all, sums);
    for (i = 0, a = 0; i < t.bytes; i++)
        for (s = 0; s < t.strips; s++)
            for (b = 0; b < t.batch; b++, a++) {
                offset = DOT_HAS_SUMS(t.f) ? DOT_U8_OFFSET * sums[n_acc + b] : 0;
                dot_out_put(out, b, i + (t.first + s) * out->run,
                            (sums[a] >> dot_code_shift(t.f, t.first + s)) + offset);
            }
}

/* ---- tiles of one field ---- */

typedef void (*dot_tile_fn)(const uint8_t *w, size_t stride, size_t n, const int8_t *x, size_t ldx,
                            unsigned batch, dot_fetch fetch, const dot_out *out);

#define DOT_TILE(f, bytes, first, strips, batch)                                                             \
    dot_tile_run((dot_tile){f, bytes, first, strips, batch, DOT_STEP}, w, stride, n, x, ldx, fetch, out)

/* A function for tiles of one shape and each batch: 8 of two rows or 6 of four, 4, 2, 1. */
#if DOT_BATCH > 4
#define DOT_LARGE_BATCHES(f, bytes, first, strips)                                                           \
    if (batch == 8 || batch == 6)                                                                            \
        DOT_TILE(f, bytes, first, strips, ((bytes) * (strips) <= 2 ? 8 : 6));                                \
    else if (batch == 4)                                                                                     \
        DOT_TILE(f, bytes, first, strips, 4);                                                                \
    else
#elif DOT_BATCH == 4
#define DOT_LARGE_BATCHES(f, bytes, first, strips)                                                           \
    if (batch == 4)                                                                                          \
        DOT_TILE(f, bytes, first, strips, 4);                                                                \
    else
#else
#define DOT_LARGE_BATCHES(f, bytes, first, strips)
#endif

#define DOT_BATCHES(f, bytes, first, strips)                                                                 \
    DOT_BATCHES_AS(dot_tile_##f##_##bytes##_##first, f, bytes, first, strips)
#define DOT_BATCHES_AS(name, f, bytes, first, strips)                                                        \
    static void name(const uint8_t *w, size_t stride, size_t n, const int8_t *x, size_t ldx, unsigned batch, \
                     dot_fetch fetch, const dot_out *out)                                                    \
    {                                                                                                        \
        DOT_LARGE_BATCHES(f, bytes, first, strips)                                                           \
        if (batch == 2)                                                                                      \
            DOT_TILE(f, bytes, first, strips, 2);                                                            \
        else                                                                                                 \
            DOT_TILE(f, bytes, first, strips, 1);                                                            \
    }

#define DOT_SINGLE(f, bytes)                                                                                 \
    static void dot_single_##f##_##bytes(const uint8_t *w, size_t stride, size_t n, const int8_t *x,         \
                                         size_t ldx, unsigned batch, dot_fetch fetch, const dot_out *out)    \
    {                                                                                                        \
        (void)batch;                                                                                         \
        DOT_TILE(f, bytes, 0, 8 / f, 1);                                                                     \
    }

#define DOT_STEP DOT_BYTES
DOT_BATCHES(1, 1, 0, 4)
DOT_BATCHES(1, 1, 4, 4)
DOT_BATCHES(2, 1, 0, 4)
DOT_BATCHES(4, 1, 0, 2)
DOT_BATCHES(8, 1, 0, 1)
DOT_BATCHES(8, 2, 0, 1)
#if DOT_BATCH > 2
DOT_BATCHES(4, 2, 0, 2)
DOT_BATCHES(8, 4, 0, 1)
#endif
/* All eight strips of a byte row, or of two, with one x. */
DOT_SINGLE(1, 1)
#if DOT_ACCS == 16
DOT_SINGLE(1, 2)
#endif

/* Decoded rows lie by fours, a vector of each in turn: one stream out of the second cache. */
#undef DOT_STEP
#define DOT_STEP (4 * DOT_BYTES)
DOT_BATCHES_AS(dot_tile_decoded, 7, 4, 0, 1)

/* All eight strips of a byte row by halves: eight strips times a batch would be too many accumulators. */
static void dot_tile_1(const uint8_t *w, size_t stride, size_t n, const int8_t *x, size_t ldx, unsigned batch,
                       dot_fetch fetch, const dot_out *out)
{
    dot_tile_1_1_0(w, stride, n, x, ldx, batch, fetch, out);
    dot_tile_1_1_4(w, stride, n, x, ldx, batch, (dot_fetch){0, 0}, out);
}

/* For each width of a field: tiles of `bytes` byte rows and up to `batch` vectors x, and of one byte row. */
typedef struct dot_shape {
    unsigned f, bytes, batch;
    dot_tile_fn full, one;
} dot_shape;

#define DOT_MANY (DOT_BATCH == 8 ? 6 : DOT_BATCH)

/* Tiles of two rows read each byte for more vectors at once; those of four take fewer loads a product. */
static const dot_shape dot_few_shapes[] = {
    {1, 1, DOT_MANY, dot_tile_1, dot_tile_1},
    {2, 1, DOT_MANY, dot_tile_2_1_0, dot_tile_2_1_0},
    {4, 1, DOT_BATCH, dot_tile_4_1_0, dot_tile_4_1_0},
    {8, 2, DOT_BATCH, dot_tile_8_2_0, dot_tile_8_1_0},
};

#if DOT_BATCH > 2
static const dot_shape dot_many_shapes[] = {
    {1, 1, DOT_MANY, dot_tile_1, dot_tile_1},
    {2, 1, DOT_MANY, dot_tile_2_1_0, dot_tile_2_1_0},
    {4, 2, DOT_MANY, dot_tile_4_2_0, dot_tile_4_1_0},
    {8, 4, DOT_MANY, dot_tile_8_4_0, dot_tile_8_1_0},
};
#else
#define dot_many_shapes dot_few_shapes
#endif

/* One byte row at a time is a stream through memory; of one bit two, for the loads of x. */
static const dot_shape dot_single_shapes[] = {
#if DOT_ACCS == 16
    {1, 2, 1, dot_single_1_2, dot_single_1_1},
#else
    {1, 1, 1, dot_single_1_1, dot_single_1_1},
#endif
    {2, 1, 1, dot_tile_2_1_0, dot_tile_2_1_0},
    {4, 1, 1, dot_tile_4_1_0, dot_tile_4_1_0},
    {8, 1, 1, dot_tile_8_1_0, dot_tile_8_1_0},
};

/* Eight bits, up to four x: one row at a time. */
static const dot_shape dot_stream_shape = {8, 1, DOT_BATCH, dot_tile_8_1_0, dot_tile_8_1_0};

static const dot_shape *dot_shape_of(const dot_shape *shapes, unsigned f)
{
    while (shapes->f != f)
        shapes++;
    return shapes;
}

/* Byte rows [0, rows) of one field. */
static void dot_field(const dot_shape *shape, const uint8_t *w, size_t stride, size_t rows, size_t n,
                      const int8_t *x, size_t ldx, unsigned batch, dot_fetch fetch, dot_out out)
{
    size_t i = 0;

    for (; i + shape->bytes <= rows; i += shape->bytes) {
        shape->full(w + i * stride, stride, n, x, ldx, batch, fetch, &out);
        out.y += shape->bytes;
        out.rows -= shape->bytes < out.rows ? shape->bytes : out.rows;
    }
    for (; i < rows; i++) {
        shape->one(w + i * stride, stride, n, x, ldx, batch, fetch, &out);
        out.y++;
        out.rows -= out.rows > 0;
    }
}

/* ---- several fields: the rows of a unit together ---- */

/* Vectors of all fields of one unit at one place, top field first: 8 / f times as few byte rows of a field of
 * f bits as rows of the unit. */
#define DOT_UNIT_BYTES 7u

DOT_INLINE void dot_unit_load(const dot_unit *unit, size_t c, size_t part, dot_fetch fetch, dot_vec *v)
{
    unsigned i;

    DOT_UNROLL
    for (i = 0; i < unit->bytes; i++) {
        const uint8_t *p = unit->w[i] + c;

        v[i] = part ? dot_load_part(p, part) : dot_load(p);
        if (DOT_BYTES > 16)
            dot_prefetch(p, fetch, i);
    }
}

/* The bits at `at` moved to `shift`, and whatever is around them. */
DOT_INLINE dot_vec dot_move(dot_vec v, unsigned at, unsigned shift)
{
    return at > shift ? dot_srl(v, at - shift) : at < shift ? dot_sll(v, shift - at) : v;
}

/* Codes of row j of a unit of `rows` rows of k bits: byte row j mod m of a field is in strip j / m. */
DOT_INLINE dot_vec dot_unit_code(unsigned k, unsigned rows, unsigned j, const dot_vec *v)
{
    dot_vec u = dot_zero(), mask, moved;
    unsigned f, m, shift = k, from = 0;

    DOT_UNROLL
    for (f = 4; f > 0; f /= 2)
        if ((k & f) != 0) {
            m = rows * f / 8;
            shift -= f;
            mask = dot_set1((char)(((1u << f) - 1u) << shift));
            moved = dot_move(v[from + j % m], j / m * f, shift);
            u = from == 0 ? dot_and(moved, mask) : dot_or_and(u, moved, mask);
            from += m;
        }
    return u;
}

/* Bits, rows and byte rows of a unit, vectors x. All but pointers and sizes are constants where it is used.
 */
typedef struct dot_joint {
    unsigned k, rows, bytes, batch;
} dot_joint;

DOT_INLINE void dot_unit_step(const dot_joint t, const dot_unit *unit, size_t c, const int8_t *x, size_t ldx,
                              dot_fetch fetch, size_t part, dot_vec *acc)
{
    dot_vec v[DOT_UNIT_BYTES], xs[DOT_BATCH], u;
    unsigned j, b;

    dot_unit_load(unit, c, part, fetch, v);
    DOT_UNROLL
    for (b = 0; b < t.batch; b++)
        xs[b] = part ? dot_load_part(x + b * ldx + c, part) : dot_load(x + b * ldx + c);
    DOT_UNROLL
    for (j = 0; j < t.rows; j++) {
        u = dot_unit_code(t.k, t.rows, j, v);
        DOT_UNROLL
        for (b = 0; b < t.batch; b++)
            acc[j * t.batch + b] = dot_dp(acc[j * t.batch + b], u, xs[b]);
    }
}

DOT_INLINE void dot_unit_run(const dot_joint t, const dot_unit *any, size_t n, const int8_t *x, size_t ldx,
                             dot_fetch fetch, const dot_out *out)
{
    dot_vec acc[DOT_ACCS_MAX];
    int32_t sums[DOT_ACCS_MAX];
    dot_unit unit = *any;
    unsigned j, b, a;
    size_t c;

    unit.bytes = t.bytes;
    DOT_UNROLL
    for (a = 0; a < t.rows * t.batch; a++)
        acc[a] = dot_zero();
    for (c = 0; c + DOT_BYTES <= n; c += DOT_BYTES)
        dot_unit_step(t, &unit, c, x, ldx, fetch, 0, acc);
    if (c < n)
        dot_unit_step(t, &unit, c, x, ldx, fetch, n - c, acc);
    dot_sums(acc, t.rows * t.batch, sums);
    for (j = 0, a = 0; j < t.rows; j++)
        for (b = 0; b < t.batch; b++, a++)
            dot_out_put(out, b, j * out->run, sums[a]);
}

typedef void (*dot_unit_fn)(const dot_unit *unit, size_t n, const int8_t *x, size_t ldx, unsigned batch,
                            dot_fetch fetch, const dot_out *out);

#define DOT_UNIT_RUN(k, rows, bytes, batch)                                                                  \
    dot_unit_run((dot_joint){k, rows, bytes, batch}, unit, n, x, ldx, fetch, out)

#if DOT_BATCH == 4
#define DOT_UNIT_LARGE(k, rows, bytes)                                                                       \
    if (batch == 2)                                                                                          \
        DOT_UNIT_RUN(k, rows, bytes, 2);                                                                     \
    else
#elif DOT_BATCH > 4
#define DOT_UNIT_LARGE(k, rows, bytes)                                                                       \
    if (batch == 3)                                                                                          \
        DOT_UNIT_RUN(k, rows, bytes, 3);                                                                     \
    else if (batch == 2)                                                                                     \
        DOT_UNIT_RUN(k, rows, bytes, 2);                                                                     \
    else
#else
#define DOT_UNIT_LARGE(k, rows, bytes)
#endif

#define DOT_UNIT(k, rows, bytes)                                                                             \
    static void dot_unit_##k(const dot_unit *unit, size_t n, const int8_t *x, size_t ldx, unsigned batch,    \
                             dot_fetch fetch, const dot_out *out)                                            \
    {                                                                                                        \
        (void)batch;                                                                                         \
        DOT_UNIT_LARGE(k, rows, bytes)                                                                       \
        DOT_UNIT_RUN(k, rows, bytes, 1);                                                                     \
    }

DOT_UNIT(3, 8, 3)
DOT_UNIT(5, 8, 5)
DOT_UNIT(6, 4, 3)
DOT_UNIT(7, 8, 7)

/* Rows of a unit to place[row], each next vector 4 vectors further on. */
DOT_INLINE void dot_decode_run(unsigned k, unsigned rows, unsigned bytes, const dot_unit *any, size_t n,
                               size_t ahead, uint8_t *const *place)
{
    dot_fetch fetch = {ahead, ~0u};
    dot_vec v[DOT_UNIT_BYTES];
    dot_unit unit = *any;
    unsigned j;
    size_t c;

    unit.bytes = bytes;
    for (c = 0; c < n; c += DOT_BYTES) {
        dot_unit_load(&unit, c, n - c < DOT_BYTES ? n - c : 0, fetch, v);
        DOT_UNROLL
        for (j = 0; j < rows; j++)
            dot_store(place[j] + 4 * c, dot_unit_code(k, rows, j, v));
    }
}

#define DOT_DECODE(k, rows, bytes)                                                                           \
    static void dot_decode_##k(const dot_unit *unit, size_t n, size_t ahead, uint8_t *const *place)          \
    {                                                                                                        \
        dot_decode_run(k, rows, bytes, unit, n, ahead, place);                                               \
    }

DOT_DECODE(3, 8, 3)
DOT_DECODE(5, 8, 5)
DOT_DECODE(6, 4, 3)
DOT_DECODE(7, 8, 7)

static void (*const dot_decode_of[8])(const dot_unit *unit, size_t n, size_t ahead, uint8_t *const *place) = {
    [3] = dot_decode_3, [5] = dot_decode_5, [6] = dot_decode_6, [7] = dot_decode_7};

static const dot_unit_fn dot_unit_of[8] = {
    [3] = dot_unit_3, [5] = dot_unit_5, [6] = dot_unit_6, [7] = dot_unit_7};

/* ---- drivers ---- */

typedef struct dot_task {
    const vecq_dot_weight *w;
    size_t c0, n;    /* columns [c0, c0 + n) of this block */
    const int8_t *x; /* at column c0 */
    size_t ldx, m;
    int32_t *y;
    size_t ldy;
    int is_added;
    uint8_t *codes;
} dot_task;

/* Rows of x taken at once, `most` of a tile: 8 or 6, 4, 2, 1; and by units of several fields. */
static unsigned dot_next_batch(size_t left, unsigned most)
{
    return left >= most ? most : left >= 4 && most > 4 ? 4 : left >= 2 ? 2 : 1;
}

static unsigned dot_next_joint(size_t left)
{
    return DOT_BATCH <= 2 || left == 1 ? 1 : DOT_BATCH == 4 || left == 2 || left == 4 ? 2 : 3;
}

/* What the b-th batch of a block fetches of the next block, of tiles of `rows` byte rows: shares of it, so
 * that memory works while the processor computes. Later batches find all of it fetched. */
static dot_fetch dot_share(size_t b, size_t n_batches, unsigned rows, size_t ahead)
{
    dot_fetch fetch = {ahead, 0};
    size_t parts = n_batches < rows ? n_batches : rows, i;

    for (i = b; i < rows && b < parts; i += parts)
        fetch.rows |= 1u << i;
    return fetch;
}

/* All x in turn over `rows` byte rows, which stay in a cache meanwhile. */
static void dot_all_batches(const dot_task *t, const dot_shape *shape, const uint8_t *w, size_t stride,
                            size_t rows, size_t ahead, dot_out out)
{
    size_t b, i, n_batches = (t->m + shape->batch - 1) / shape->batch;
    unsigned batch;

    out.ldy = t->ldy;
    out.is_added = t->is_added;
    for (b = 0, i = 0; b < t->m; b += batch, i++) {
        batch = dot_next_batch(t->m - b, shape->batch);
        dot_field(shape, w, stride, rows, t->n, t->x + b * t->ldx, t->ldx, batch,
                  dot_share(i, n_batches, shape->bytes, ahead), out);
        out.y += batch * t->ldy;
    }
}

/* Byte rows of a block: all where x is one batch, which makes a stream through memory; else what the second
 * cache holds, fetched a block ahead. */
static void dot_one_field(const dot_task *t, size_t q0, size_t q1)
{
    const dot_shape *shapes = t->m <= DOT_FEW ? dot_few_shapes : dot_many_shapes;
    const dot_shape *shape = dot_shape_of(t->m == 1 ? dot_single_shapes : shapes, t->w->bits);
    size_t stride = t->w->cols, q, rows, run = dot_units(t->w), block = DOT_BLOCK_ROWS,
           ahead = block * stride;

    if (t->m == dot_next_batch(t->m, shape->batch)) {
        shape = t->w->bits == 8 && t->m <= 4 ? &dot_stream_shape : shape;
        block = q1 - q0;
        ahead = shape->bytes == 1 ? DOT_AHEAD : shape->bytes * stride;
    }
    for (q = q0; q < q1; q += rows) {
        rows = q1 - q < block ? q1 - q : block;
        dot_all_batches(t, shape, t->w->field[0] + q * stride + t->c0, stride, rows, ahead,
                        (dot_out){.y = t->y + q, .run = run, .rows = t->w->rows - q});
    }
}

/* Several fields and few x, rows a multiple of those of a unit: codes are made in registers for each batch.
 */
static void dot_joined(const dot_task *t, size_t q0, size_t q1)
{
    size_t q, i, j, b, end, block = t->m == 1 ? 1 : DOT_BLOCK_ROWS / 4;
    dot_out out = {.ldy = t->ldy, .run = dot_units(t->w), .is_added = t->is_added};
    dot_unit unit;
    unsigned batch;

    for (q = q0; q < q1; q = end) {
        end = q1 - q < block ? q1 : q + block;
        for (b = 0, j = 0; b < t->m; b += batch, j++) {
            batch = dot_next_joint(t->m - b);
            for (i = q; i < end; i++) {
                dot_unit_at(t->w, i, t->c0, &unit);
                out.y = t->y + b * t->ldy + i;
                out.rows = t->w->rows - i;
                dot_unit_of[t->w->bits](&unit, t->n, t->x + b * t->ldx, t->ldx, batch,
                                        dot_share(j, (t->m + 2) / 3, unit.bytes, block * t->w->cols), &out);
            }
        }
    }
}

/* Units [q, q + units) decoded: row i of strip s becomes row s padded + i of codes, padded a multiple of 4,
 * by fours (dot_tile_decoded). `ahead`: to the same units of the next block. */
static void dot_decode(const dot_task *t, size_t q, size_t units, size_t padded, size_t ahead)
{
    size_t run = dot_units(t->w), strips = dot_unit_rows(t->w->bits), i, s, row;
    size_t n = dot_whole(t->n, DOT_BYTES);
    uint8_t *place[8];
    dot_unit unit;

    for (i = 0; i < units; i++) {
        for (s = 0; s < strips; s++) {
            row = s * padded + i;
            place[s] = t->codes + row / 4 * 4 * n + row % 4 * DOT_BYTES;
        }
        if (t->w->rows % strips == 0) {
            dot_unit_at(t->w, q + i, t->c0, &unit);
            dot_decode_of[t->w->bits](&unit, t->n, ahead, place);
        } else {
            for (s = 0; s < strips && q + i + s * run < t->w->rows; s++)
                dot_decode_row(t->w, q + i + s * run, t->c0, t->n, DOT_BYTES, 4, place[s]);
        }
    }
}

/* Several fields otherwise: rows are decoded once, and used for all x. */
static void dot_decoded(const dot_task *t, size_t q0, size_t q1)
{
    size_t run = dot_units(t->w), strips = dot_unit_rows(t->w->bits), q, s, i, b, units, padded, left;
    size_t block = DOT_BLOCK_ROWS / strips, n = dot_whole(t->n, DOT_BYTES);
    dot_out out = {.ldy = t->ldy, .is_added = t->is_added};
    unsigned batch;

    for (q = q0; q < q1; q += units) {
        units = q1 - q < block ? q1 - q : block;
        padded = dot_whole(units, 4);
        dot_decode(t, q, units, padded, block * t->w->cols);
        for (b = 0; b < t->m; b += batch) {
            batch = dot_next_batch(t->m - b, DOT_MANY);
            for (s = 0; s < strips && q + s * run < t->w->rows; s++) {
                left = t->w->rows - (q + s * run);
                left = left < units ? left : units;
                for (i = 0; i < left; i += 4) {
                    out.y = t->y + b * t->ldy + q + s * run + i;
                    out.rows = left - i;
                    dot_tile_decoded(t->codes + (s * padded + i) * n, DOT_BYTES, t->n, t->x + b * t->ldx,
                                     t->ldx, batch, (dot_fetch){0, 0}, &out);
                }
            }
        }
    }
}

/* Columns at a time: equal blocks of whole vectors, whose rows of x stay in the first cache. */
static size_t dot_block_cols(size_t n, size_t block)
{
    size_t blocks = n / block + (n % block != 0), cols;

    cols = blocks > 1 ? dot_whole((n + blocks - 1) / blocks, 64) : n;
    return cols;
}

static void dot_products(const vecq_dot_weight *w, size_t q0, size_t q1, size_t c0, size_t c1,
                         const int8_t *x, size_t ldx, size_t m, int32_t *y, size_t ldy, void *scratch)
{
    int has_fields = (w->bits & (w->bits - 1)) != 0, is_aligned = w->rows % dot_unit_rows(w->bits) == 0;
    dot_task t = {.w = w, .ldx = ldx, .m = m, .y = y, .ldy = ldy, .codes = scratch};
    size_t c = c0, block;
    int is_joined;

    assert(c0 <= c1 && c1 <= w->cols && c1 - c0 <= VECQ_DOT_COLS_MAX && q0 <= q1 && q1 <= dot_units(w));
    is_joined = m <= DOT_JOINED && is_aligned;
    block =
        dot_block_cols(c1 - c0, m <= 1 && (is_joined || !has_fields) ? VECQ_DOT_COLS_MAX : DOT_BLOCK_COLS);
    do { /* once without columns too: the sums are zero */
        t.c0 = c;
        t.n = c1 - c < block ? c1 - c : block;
        t.x = x + (c - c0);
        if (!has_fields)
            dot_one_field(&t, q0, q1);
        else if (is_joined)
            dot_joined(&t, q0, q1);
        else
            dot_decoded(&t, q0, q1);
        c += t.n;
        t.is_added = 1;
    } while (c < c1);
}

#endif
