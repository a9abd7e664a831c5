/* SPDX-License-Identifier: Apache-2.0 */
/*
 * k-bit codes as bit fields in strips (docs/format/packed.md, section "Fields").
 *
 * codes: rows x cols bytes, row-major, each < 2^k. A width k is split into fields of 4, 2 and 1 bits (8 is
 * one field of 8), the top bits of the code first. A field of f bits is a matrix of Q x cols bytes, n = 8/f
 * strips, Q = ceil(rows / n); bits [s*f, s*f+f) of byte (q, c) hold the field of row s*Q + q, column c. Rows
 * beyond `rows` are zero.
 */
#ifndef VECQ_CODING_STRIPS_H
#define VECQ_CODING_STRIPS_H

#include <stddef.h>
#include <stdint.h>

#define VECQ_FIELDS_MAX 3u

typedef struct vecq_field_layout {
    unsigned bits;  /* f: 8, 4, 2 or 1 */
    unsigned shift; /* the field is (code >> shift) & (2^f - 1) */
    size_t rows;    /* Q */
    size_t cols;
    size_t n_bytes; /* Q * cols */
} vecq_field_layout;

typedef struct vecq_strips {
    unsigned bits;     /* k, 1..8 */
    size_t rows, cols; /* after folding columns into rows */
    unsigned n_fields;
    vecq_field_layout field[VECQ_FIELDS_MAX];
    size_t n_bytes; /* of all fields */
} vecq_strips;

/*
 * Layout for a matrix of rows x cols codes: columns are folded into rows by the smallest divisor g of cols
 * (rows*g x cols/g: the same codes in the same order) for which no field wastes more than 64 bytes.
 * Returns 0 on overflow or bits outside 1..8.
 */
int vecq_strips_layout(unsigned bits, size_t rows, size_t cols, vecq_strips *out);
/* The same without folding: fields of exactly these rows and columns. */
int vecq_strips_exact(unsigned bits, size_t rows, size_t cols, vecq_strips *out);

/* Field i of the codes into layout->field[i].n_bytes bytes, and all fields back into codes. */
void vecq_strips_pack(const vecq_strips *layout, unsigned field, const uint8_t *codes, uint8_t *packed);
void vecq_strips_unpack(const vecq_strips *layout, const uint8_t *const packed[VECQ_FIELDS_MAX],
                        uint8_t *codes);

#endif
