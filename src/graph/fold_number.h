/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of wide tensors in blocks of four kinds: every element type is computed in one of them and rounded
 * (floats) or wrapped (integers) when it is stored.
 */
#ifndef VECQ_GRAPH_FOLD_NUMBER_H
#define VECQ_GRAPH_FOLD_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/tensor.h"

typedef enum vecq_fold_kind {
    VECQ_FOLD_NONE, /* strings, complex: moved, never computed */
    VECQ_FOLD_F32,  /* float and all smaller floating-point types */
    VECQ_FOLD_F64,
    VECQ_FOLD_I64, /* signed integers */
    VECQ_FOLD_U64  /* unsigned integers and bool */
} vecq_fold_kind;

#define VECQ_FOLD_BLOCK 256u

typedef union vecq_fold_block {
    float f[VECQ_FOLD_BLOCK];
    double d[VECQ_FOLD_BLOCK];
    int64_t i[VECQ_FOLD_BLOCK];
    uint64_t u[VECQ_FOLD_BLOCK];
} vecq_fold_block;

vecq_fold_kind vecq_fold_kind_of(vecq_dtype dtype);
/* The same, VECQ_FOLD_NONE too for the types that ONNX stores but does not calculate with (float8, int4,
 * ...). */
vecq_fold_kind vecq_fold_kind_arith(vecq_dtype dtype);

/* n <= VECQ_FOLD_BLOCK elements data[first + j * step] of a type whose kind is not NONE. */
void vecq_fold_load(vecq_dtype dtype, const void *data, size_t first, size_t step, size_t n,
                    vecq_fold_block *dst);
/* Consecutive elements from the block of the type's own kind. Floats round to nearest even, float8 saturate.
 */
void vecq_fold_store(vecq_dtype dtype, const vecq_fold_block *src, size_t n, void *data, size_t first);

/* In place. Floats to integers: toward zero; out of range of 64 bits: the nearest one, NaN: 0 (ONNX leaves
 * these undefined). */
void vecq_fold_convert(vecq_fold_block *block, size_t n, vecq_fold_kind from, vecq_fold_kind to);
/* A double as a float from which rounding to an even smaller type gives what rounding the double would. */
float vecq_fold_to_odd(double d);

int vecq_dtype_is_small_float(vecq_dtype dtype); /* float8*, float4e2m1 */
float vecq_fold_decode_small(vecq_dtype dtype, uint8_t code);
uint8_t vecq_fold_encode_small(vecq_dtype dtype, float value, int saturate);

#endif
