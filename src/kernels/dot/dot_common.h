/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of all instruction sets share: where rows lie. */
#ifndef VECQ_KERNELS_DOT_COMMON_H
#define VECQ_KERNELS_DOT_COMMON_H

#include <assert.h>
#include <string.h>

#include "kernels/dot/dot.h"

/* One byte row at a time is one stream through memory: fetched so many bytes ahead (two pages). */
#define DOT_AHEAD 8192u
/* Up to so many x, making codes again for each batch takes no longer than storing them. */
#define DOT_JOINED 16u
/* Up to so many x, tiles have more x and fewer rows. */
#define DOT_FEW 32u

/* Blocks of products: rows of decoded codes that fill the scratch memory, columns of which a batch of x stays
 * in the first cache. */
#define DOT_BLOCK_ROWS 32u
#define DOT_BLOCK_COLS 4096u

/* Rows of a unit: strips of the lowest (the narrowest) field, the lowest set bit of k. */
static inline unsigned dot_unit_rows(unsigned bits)
{
    return 8u / (bits & (0u - bits));
}

static inline size_t dot_units(const vecq_dot_weight *w)
{
    unsigned n = dot_unit_rows(w->bits);

    return w->rows / n + (w->rows % n != 0);
}

static inline size_t dot_whole(size_t n, size_t part)
{
    return (n + part - 1) / part * part;
}

/* Which of the byte rows of a tile (bit i: row i) fetch what is `ahead` bytes further on. */
typedef struct dot_fetch {
    size_t ahead;
    unsigned rows;
} dot_fetch;

/* What is a block ahead is not in any array at the end; a prefetch is a hint and never faults, but the
 * address is computed as a number. `rows` passes through an empty asm so that compilers do not make a copy of
 * the loop around for each of its values: a branch that is always predicted costs less than that code. */
static inline void dot_prefetch(const void *p, dot_fetch fetch, unsigned row)
{
    unsigned rows = fetch.rows;

    __asm__("" : "+r"(rows));
    if ((rows >> row & 1u) != 0)
        __builtin_prefetch((const void *)((uintptr_t)p + fetch.ahead), 0, 2);
}

/* Byte rows of all fields of a unit, top field first, when rows are a multiple of dot_unit_rows(). */
typedef struct dot_unit {
    const uint8_t *w[7];
    unsigned bytes;
} dot_unit;

static inline void dot_unit_at(const vecq_dot_weight *w, size_t q, size_t c, dot_unit *out)
{
    size_t Q = dot_units(w), row;
    unsigned f, field = 0;

    out->bytes = 0;
    for (f = 8; f > 0; f /= 2)
        if ((w->bits & f) != 0) {
            for (row = q; row < (w->rows * f + 7) / 8; row += Q)
                out->w[out->bytes++] = w->field[field] + row * w->cols + c;
            field++;
        }
}

/* Codes [c, c + n) of one row, wherever its fields lie: runs of `vec` codes, each apart * vec after the last.
 */
static inline void dot_decode_row(const vecq_dot_weight *w, size_t row, size_t c, size_t n, size_t vec,
                                  size_t apart, uint8_t *codes)
{
    unsigned f, field = 0, shift = w->bits;
    size_t i, j;

    for (f = 8; f > 0; f /= 2)
        if ((w->bits & f) != 0) {
            size_t rows = w->rows / (8 / f) + (w->rows % (8 / f) != 0);
            const uint8_t *bytes = w->field[field] + row % rows * w->cols + c;
            unsigned at = (unsigned)(row / rows) * f, mask = (1u << f) - 1u;

            shift -= f;
            for (i = 0; i < n; i += vec, bytes += vec)
                for (j = 0; j < vec && j < n - i; j++) {
                    uint8_t *code = codes + apart * i + j, bits = (uint8_t)((bytes[j] >> at & mask) << shift);

                    *code = (uint8_t)(field == 0 ? bits : *code | bits);
                }
            field++;
        }
}

#endif
