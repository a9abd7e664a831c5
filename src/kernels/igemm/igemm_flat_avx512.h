/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Depthwise convolutions from bytes to bytes, requantization in registers. Where windows follow each other
 * without a step, a row of output is one flat array of pixels times channels, whatever the channels: byte f
 * of it meets the inputs f + tap and the weights of channel f mod c. So it is cut into chunks of 64 bytes,
 * and after lcm(c, 64) bytes weights repeat: the chunks between are the phases, each with a table of its own.
 * With steps between windows the phases are the chunks of one pixel.
 *
 * Interleaving works inside each 128 bits: register j of four holds, in piece L, the bytes 16 L + 4 j .. + 3
 * of the chunk, and tables keep weights, scales, biases in that order. Packing puts them back in line.
 */
#ifndef VECQ_KERNELS_IGEMM_FLAT_AVX512_H
#define VECQ_KERNELS_IGEMM_FLAT_AVX512_H

#include "kernels/igemm/igemm_float_avx512.h"
#include "kernels/igemm/igemm_tile.h"

#define IGEMM_HAS_FLAT

/* Of a phase; [quads][4][64] weights follow. */
typedef struct igemm_flat_table {
    int32_t init[64];
    float scale[64], bias[64];
} igemm_flat_table;

_Static_assert(sizeof(igemm_flat_table) == IGEMM_FLAT_TABLE, "the scratch is made for it");

typedef struct igemm_flat {
    const vecq_igemm_output *out;
    const igemm_plain *plain;
    const ptrdiff_t *taps;
    size_t quads, n_taps;
} igemm_flat;

/* Chunks: count of them, x_step and q_step bytes apart, n bytes each, the last one n_last. */
typedef struct igemm_flat_chunks {
    const uint8_t *x;
    uint8_t *q;
    size_t count, n, n_last;
    ptrdiff_t x_step, q_step;
} igemm_flat_chunks;

/* Four taps, interleaved; a tap that is not there is zero. */
IGEMM_BODY void igemm_flat_quad(const uint8_t *x, const ptrdiff_t *taps, const unsigned n, __m512i v[4])
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i a = igemm_load(x + taps[0]), b = n > 1 ? igemm_load(x + taps[1]) : zero;
    __m512i c = n > 2 ? igemm_load(x + taps[2]) : zero, d = n > 3 ? igemm_load(x + taps[3]) : zero;
    __m512i ab_low = igemm_low8(a, b), ab_high = igemm_high8(a, b);
    __m512i cd_low = n > 2 ? igemm_low8(c, d) : zero, cd_high = n > 2 ? igemm_high8(c, d) : zero;

    v[0] = igemm_low16(ab_low, cd_low);
    v[1] = igemm_high16(ab_low, cd_low);
    v[2] = igemm_low16(ab_high, cd_high);
    v[3] = igemm_high16(ab_high, cd_high);
}

/* Ones for the taps that are there. */
IGEMM_BODY __m512i igemm_flat_ones(size_t n)
{
    return igemm_fill(n >= 4 ? 0x01010101 : (int)(0x01010101u >> (32 - 8 * n)));
}

/* T of a chunk. Nine taps: `kept` are the weights. is_twice: igemm_is_twice(). */
IGEMM_BODY void igemm_flat_sums(const igemm_flat *f, const igemm_flat_table *t, const uint8_t *x,
                                const __m512i *kept, const int is_nine, const int is_wide, const int is_twice,
                                __m512i acc[4])
{
    const int8_t *w = (const int8_t *)(t + 1);
    const size_t quads = is_nine ? 3 : f->quads;
    __m512i v[4], sums[4];
    size_t quad;
    unsigned j;

    for (j = 0; j < 4; j++) {
        sums[j] = igemm_load(t->init + 16 * j);
        acc[j] = is_twice ? igemm_zero() : sums[j];
    }
#pragma GCC unroll 3
    for (quad = 0; quad < quads; quad++) {
        const __m512i ones = igemm_flat_ones(is_nine ? 4 : f->n_taps - 4 * quad);

        igemm_flat_quad(x, f->taps + 4 * quad, is_nine && quad == 2 ? 1 : 4, v);
        for (j = 0; j < 4; j++)
            acc[j] = igemm_dot(acc[j], v[j],
                               is_nine ? kept[4 * quad + j] : igemm_load(w + 64 * (4 * quad + j)), is_wide);
        for (j = 0; is_twice && j < 4; j++)
            sums[j] = igemm_dot(sums[j], v[j], ones, 0);
    }
    for (j = 0; is_twice && j < 4; j++)
        acc[j] = _mm512_add_epi32(_mm512_add_epi32(acc[j], acc[j]), sums[j]);
}

IGEMM_BODY __m512 igemm_flat_real(const igemm_flat_table *t, __m512i acc, unsigned j)
{
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), _mm512_loadu_ps(t->scale + 16 * j),
                           _mm512_loadu_ps(t->bias + 16 * j));
}

IGEMM_BODY __m512i igemm_flat_pack(const __m512i q[4], __m512i zero)
{
    return _mm512_packus_epi16(_mm512_add_epi16(_mm512_packs_epi32(q[0], q[1]), zero),
                               _mm512_add_epi16(_mm512_packs_epi32(q[2], q[3]), zero));
}

/* As igemm_plain_tile(). */
IGEMM_BODY __m512i igemm_flat_bytes(const igemm_flat *f, const igemm_flat_table *t, const __m512i acc[4])
{
    const __m512 low = _mm512_set1_ps(f->plain->low), high = _mm512_set1_ps(f->plain->high);
    const __m512 inverse = _mm512_set1_ps(f->plain->inverse), divisor = _mm512_set1_ps(f->out->q_scale);
    const __m512i zero = _mm512_set1_epi16((short)f->out->q_zero);
    __m512 rest = _mm512_setzero_ps(), r;
    __m512i q[4];
    unsigned j;

    for (j = 0; j < 4; j++) {
        r = _mm512_mul_ps(igemm_flat_real(t, acc[j], j), inverse);
        r = _mm512_min_ps(high, _mm512_max_ps(r, low));
        rest = _mm512_range_ps(rest, _mm512_reduce_ps(r, _MM_FROUND_TO_NEAREST_INT), 0x0b);
        q[j] = igemm_round(r);
    }
    if (_mm512_cmp_ps_mask(rest, _mm512_set1_ps(IGEMM_NEAR_HALF), _CMP_LT_OQ) == 0xffff)
        return igemm_flat_pack(q, zero);
    for (j = 0; j < 4; j++) {
        r = _mm512_div_ps(igemm_flat_real(t, acc[j], j), divisor);
        q[j] = igemm_round(_mm512_min_ps(high, _mm512_max_ps(r, low)));
    }
    return igemm_flat_pack(q, zero);
}

IGEMM_BARE IGEMM_BODY void igemm_flat_body(const igemm_flat *f, const igemm_flat_table *t,
                                           const igemm_flat_chunks *c, const int is_nine, const int is_wide,
                                           const int is_twice)
{
    const uint8_t *x = c->x;
    uint8_t *q = c->q;
    __m512i kept[12], acc[4];
    size_t i;

    for (i = 0; is_nine && i < 12; i++)
        kept[i] = igemm_load((const int8_t *)(t + 1) + 64 * i);
    for (i = 0; i < c->count; i++, x += c->x_step, q += c->q_step) {
        igemm_flat_sums(f, t, x, kept, is_nine, is_wide, is_twice, acc);
        igemm_store_row(q, igemm_flat_bytes(f, t, acc), i + 1 < c->count ? c->n : c->n_last);
    }
}

static void igemm_flat_chunks_run(const igemm_flat *f, const igemm_flat_table *t, const igemm_flat_chunks *c,
                                  unsigned bits, int is_twice)
{
    if (is_twice && f->n_taps == 9)
        igemm_flat_body(f, t, c, 1, IGEMM_SPLIT, 1);
    else if (is_twice)
        igemm_flat_body(f, t, c, 0, IGEMM_SPLIT, 1);
    else if (IGEMM_SPLIT && bits > 6)
        igemm_flat_body(f, t, c, 0, 1, 0);
    else if (f->n_taps == 9)
        igemm_flat_body(f, t, c, 1, 0, 0);
    else
        igemm_flat_body(f, t, c, 0, 0, 0);
}

#endif
