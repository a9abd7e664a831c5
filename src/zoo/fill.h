/* SPDX-License-Identifier: Apache-2.0 */
/* First values of a tensor, made where they are written. */
#ifndef VECQ_ZOO_FILL_H
#define VECQ_ZOO_FILL_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/status.h"

typedef enum vecq_fill_kind {
    VECQ_FILL_CONSTANT,   /* `value` */
    VECQ_FILL_UNIFORM,    /* between -value and value */
    VECQ_FILL_NORMAL,     /* mean 0, standard deviation `value` */
    VECQ_FILL_ORTHOGONAL, /* [count / n, n]: orthonormal columns, n at most count / n */
    VECQ_FILL_LSTM_BIAS   /* [8 n] in the order W i, o, f, c, R i, o, f, c: W f is `value`, the others 0 */
} vecq_fill_kind;

typedef struct vecq_fill {
    vecq_fill_kind kind;
    double value;
    size_t n;
    size_t count;     /* floats */
    const char *name; /* of the tensor: with the seed it makes the random stream */
} vecq_fill;

/* Writes count little-endian floats to dst, which need not be aligned. */
vecq_status vecq_fill_write(const vecq_fill *fill, uint64_t seed, uint8_t *dst, vecq_error *err);

#endif
