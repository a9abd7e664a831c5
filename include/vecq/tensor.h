/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dense tensors: element type, shape, bytes. Row-major, little-endian, no strides. What goes into and comes
 * out of models that are run (vecq/run.h).
 */
#ifndef VECQ_TENSOR_H
#define VECQ_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/status.h"

#ifdef __cplusplus
extern "C" {
#endif

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

/* "float32", "int4", ...; "unknown" out of range; never NULL */
VECQ_API const char *vecq_dtype_name(vecq_dtype dtype);
/* Bits of an element; 0 for strings and unknown types. */
VECQ_API unsigned vecq_dtype_bits(vecq_dtype dtype);

#define VECQ_MAX_RANK 16u

typedef struct vecq_tensor {
    vecq_dtype dtype;
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];
    size_t count;   /* elements */
    size_t n_bytes; /* packed size: ceil(count * bits / 8) */
    void *data;     /* owned: vecq_tensor_destroy(); aligned to 64 bytes; sub-byte types low nibble first */
} vecq_tensor;

/* A tensor that belongs to somebody else. */
typedef struct vecq_view {
    vecq_dtype dtype;
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];
    size_t count;
    size_t n_bytes;
    const void *data;
} vecq_view;

/* Elements of a shape. Fails (returns 0) on a negative dimension or when the product passes 2^47. */
VECQ_API int vecq_shape_count(const int64_t *dims, unsigned rank, size_t *count);

/* Bytes of `count` elements; 0 when dtype has no size or the product overflows (and count > 0). */
VECQ_API size_t vecq_dtype_bytes(vecq_dtype dtype, size_t count);

/* Allocates the data, uninitialised. On failure *out is empty. */
VECQ_API vecq_status vecq_tensor_create(vecq_dtype dtype, unsigned rank, const int64_t *dims,
                                        vecq_tensor *out, vecq_error *err);
VECQ_API void vecq_tensor_destroy(vecq_tensor *tensor); /* empties it; an empty tensor is fine */

#ifdef __cplusplus
}
#endif
#endif
