/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strips. Since row s*Q + q of strip s begins at code (s*Q + q) * cols, strip s is simply the run of P =
 * Q*cols codes from s*P on, and byte i of a field takes its bits from the codes i, i + P, i + 2P, ... Every
 * inner loop is therefore over contiguous codes and bytes.
 */
#include "coding/strips.h"

#include <string.h>

#include "base/alloc.h"

#define STRIPS_WASTE_BITS 512u  /* 64 bytes */
#define STRIPS_CHUNK      4096u /* codes worked on at a time: what they touch stays in the first cache */

static const unsigned strips_field_bits[] = {8, 4, 2, 1};

/* Whether fields of f bits waste at most 64 bytes: rows are padded to a multiple of 8/f. */
static int strips_waste_fits(size_t rows, size_t cols, unsigned f)
{
    size_t n = 8u / f, padding = (n - rows % n) % n;

    return padding == 0 || cols <= STRIPS_WASTE_BITS / (padding * f);
}

static int strips_folding_fits(unsigned bits, size_t rows, size_t cols, size_t g)
{
    unsigned i;

    for (i = 0; i < sizeof strips_field_bits / sizeof *strips_field_bits; i++)
        if ((bits & strips_field_bits[i]) != 0 &&
            !strips_waste_fits(rows * g, cols / g, strips_field_bits[i]))
            return 0;
    return 1;
}

/* Smallest divisor of cols that will do: divisors up to the root ascending, then their partners. cols itself
 * always does, since one column wastes less than a byte. */
static size_t strips_folding(unsigned bits, size_t rows, size_t cols)
{
    size_t g, last = 1;

    for (g = 1; g <= cols / g; g++)
        if (cols % g == 0) {
            if (strips_folding_fits(bits, rows, cols, g))
                return g;
            last = g;
        }
    for (g = last; g > 1; g--)
        if (cols % g == 0 && strips_folding_fits(bits, rows, cols, cols / g))
            return cols / g;
    return cols;
}

int vecq_strips_layout(unsigned bits, size_t rows, size_t cols, vecq_strips *out)
{
    size_t total, g = 1;

    if (bits >= 1 && bits <= 8 && vecq_mul_size(rows, cols, &total) && total > 0)
        g = strips_folding(bits, rows, cols);
    return vecq_strips_exact(bits, rows * g, cols / g, out);
}

int vecq_strips_exact(unsigned bits, size_t rows, size_t cols, vecq_strips *out)
{
    size_t total;
    unsigned i, shift = bits;

    memset(out, 0, sizeof *out);
    if (bits < 1 || bits > 8 || !vecq_mul_size(rows, cols, &total))
        return 0;
    out->bits = bits;
    out->rows = rows;
    out->cols = cols;
    for (i = 0; i < sizeof strips_field_bits / sizeof *strips_field_bits; i++) {
        unsigned f = strips_field_bits[i], n = 8u / f;
        vecq_field_layout *field = &out->field[out->n_fields];

        if ((bits & f) == 0)
            continue;
        shift -= f;
        field->bits = f;
        field->shift = shift;
        field->rows = out->rows / n + (out->rows % n != 0);
        field->cols = out->cols;
        field->n_bytes = field->rows * field->cols; /* at most the number of codes, or one row of them */
        if (!vecq_add_size(out->n_bytes, field->n_bytes, &out->n_bytes))
            return 0;
        out->n_fields++;
    }
    return 1;
}

static size_t strips_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void strips_put(uint8_t *restrict bytes, const uint8_t *restrict codes, size_t n, unsigned shift,
                       unsigned mask, unsigned at)
{
    size_t i;

    for (i = 0; i < n; i++)
        bytes[i] = (uint8_t)(bytes[i] | ((codes[i] >> shift) & mask) << at);
}

static void strips_get(uint8_t *restrict codes, const uint8_t *restrict bytes, size_t n, unsigned at,
                       unsigned mask, unsigned shift)
{
    size_t i;

    for (i = 0; i < n; i++)
        codes[i] = (uint8_t)(codes[i] | ((bytes[i] >> at) & mask) << shift);
}

void vecq_strips_pack(const vecq_strips *layout, unsigned field, const uint8_t *codes, uint8_t *packed)
{
    const vecq_field_layout *f = &layout->field[field];
    size_t total = layout->rows * layout->cols, begin, start, count;
    unsigned mask = (1u << f->bits) - 1u, s;

    for (begin = 0; begin < f->n_bytes; begin += count) {
        count = strips_min(f->n_bytes - begin, STRIPS_CHUNK);
        memset(packed + begin, 0, count);
        for (s = 0; s < 8u / f->bits; s++) {
            start = s * f->n_bytes + begin;
            if (start < total)
                strips_put(packed + begin, codes + start, strips_min(count, total - start), f->shift, mask,
                           s * f->bits);
        }
    }
}

/* Codes [begin, begin + count) of one field; the range may touch several strips. */
static void strips_unpack_field(const vecq_field_layout *f, const uint8_t *packed, size_t begin, size_t count,
                                uint8_t *codes)
{
    size_t strip = begin / f->n_bytes, at = begin % f->n_bytes, run;

    for (; count > 0; count -= run, codes += run, strip++, at = 0) {
        run = strips_min(count, f->n_bytes - at);
        strips_get(codes, packed + at, run, (unsigned)strip * f->bits, (1u << f->bits) - 1u, f->shift);
    }
}

void vecq_strips_unpack(const vecq_strips *layout, const uint8_t *const packed[VECQ_FIELDS_MAX],
                        uint8_t *codes)
{
    size_t total = layout->rows * layout->cols, begin, count;
    unsigned i;

    for (begin = 0; begin < total; begin += count) {
        count = strips_min(total - begin, STRIPS_CHUNK);
        memset(codes + begin, 0, count);
        for (i = 0; i < layout->n_fields; i++)
            strips_unpack_field(&layout->field[i], packed[i], begin, count, codes + begin);
    }
}
