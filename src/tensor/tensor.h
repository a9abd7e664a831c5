/* SPDX-License-Identifier: Apache-2.0 */
/* Dense tensors: element type, shape, bytes. Row-major, little-endian, no strides. */
#ifndef VECQ_TENSOR_TENSOR_H
#define VECQ_TENSOR_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/status.h"

/* Numbers of ONNX TensorProto.DataType, so that no table translates between the two. */
typedef enum vecq_dtype {
    VECQ_DT_UNDEFINED = 0,
    VECQ_DT_FLOAT = 1,
    VECQ_DT_UINT8 = 2,
    VECQ_DT_INT8 = 3,
    VECQ_DT_UINT16 = 4,
    VECQ_DT_INT16 = 5,
    VECQ_DT_INT32 = 6,
    VECQ_DT_INT64 = 7,
    VECQ_DT_STRING = 8,
    VECQ_DT_BOOL = 9,
    VECQ_DT_FLOAT16 = 10,
    VECQ_DT_DOUBLE = 11,
    VECQ_DT_UINT32 = 12,
    VECQ_DT_UINT64 = 13,
    VECQ_DT_COMPLEX64 = 14,
    VECQ_DT_COMPLEX128 = 15,
    VECQ_DT_BFLOAT16 = 16,
    VECQ_DT_FLOAT8E4M3FN = 17,
    VECQ_DT_FLOAT8E4M3FNUZ = 18,
    VECQ_DT_FLOAT8E5M2 = 19,
    VECQ_DT_FLOAT8E5M2FNUZ = 20,
    VECQ_DT_UINT4 = 21,
    VECQ_DT_INT4 = 22,
    VECQ_DT_FLOAT4E2M1 = 23,
    VECQ_DT_FLOAT8E8M0 = 24,
    VECQ_DT_UINT2 = 25,
    VECQ_DT_INT2 = 26,
    VECQ_DT_COUNT
} vecq_dtype;

const char *
vecq_dtype_name(vecq_dtype dtype);          /* "float32", "int4", ...; "unknown" out of range; never NULL */
unsigned vecq_dtype_bits(vecq_dtype dtype); /* bits of an element; 0 for strings and unknown types */
int vecq_dtype_is_weight(vecq_dtype dtype); /* float32, float16, bfloat16, double: what can be quantized */

#define VECQ_MAX_RANK 16u

typedef struct vecq_tensor {
    vecq_dtype dtype;
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];
    size_t count;   /* elements */
    size_t n_bytes; /* packed size: ceil(count * bits / 8) */
    void *data;     /* owned, from vecq_alloc; sub-byte types low nibble first */
} vecq_tensor;

/* Elements of a shape. Fails (returns 0) on a negative dimension or when the product passes 2^47. */
int vecq_shape_count(const int64_t *dims, unsigned rank, size_t *count);

/* Bytes of `count` elements; 0 when dtype has no size or the product overflows (and count > 0). */
size_t vecq_dtype_bytes(vecq_dtype dtype, size_t count);

/* Allocates the data, uninitialised. On failure *out is empty. */
vecq_status vecq_tensor_create(vecq_dtype dtype, unsigned rank, const int64_t *dims, vecq_tensor *out,
                               vecq_error *err);
vecq_status vecq_tensor_copy(const vecq_tensor *src, vecq_tensor *out, vecq_error *err);
void vecq_tensor_destroy(vecq_tensor *tensor); /* empties it; an empty tensor is fine */

/* Conversions of n elements; src may be unaligned. To float: float16 and bfloat16 exactly, double rounded to
 * nearest even (a double beyond the range of float becomes infinite). From float: rounded to nearest even. */
void vecq_convert_to_f32(vecq_dtype dtype, const void *src, float *dst, size_t n);
void vecq_convert_from_f32(vecq_dtype dtype, const float *src, void *dst, size_t n);

float vecq_f16_to_f32(uint16_t h);
uint16_t vecq_f32_to_f16(float f);
float vecq_bf16_to_f32(uint16_t h);
uint16_t vecq_f32_to_bf16(float f);

/*
 * dst = src with axes permuted: dst axis i is src axis perm[i] (ONNX Transpose). Elements of `size` bytes
 * (1, 2, 4 or 8).
 */
void vecq_transpose(const void *src, void *dst, size_t size, unsigned rank, const int64_t *src_dims,
                    const unsigned *perm);

#endif
