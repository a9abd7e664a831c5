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
/* The same tensor, seen; valid as long as it. */
VECQ_API vecq_view vecq_tensor_view(const vecq_tensor *tensor);

/* ---- NumPy files ---- */

/*
 * .npy files of format versions 1 to 3: bool, integers of 8 to 64 bits, float16, float32, float64, in either
 * byte order, in C or Fortran order (what is read is little-endian and row-major). Anything else is
 * VECQ_ERR_UNSUPPORTED, a damaged file VECQ_ERR_FORMAT; messages of the first two begin with the file name.
 */
VECQ_API vecq_status vecq_npy_load(const char *path, vecq_tensor *out, vecq_error *err); /* "-": stdin */
/* Complete or not at all ("-": standard output). */
VECQ_API vecq_status vecq_npy_save(const char *path, const vecq_view *tensor, vecq_error *err);
/* A file in memory; bytes behind the data are an error. */
VECQ_API vecq_status vecq_npy_read(const void *bytes, size_t n_bytes, vecq_tensor *out, vecq_error *err);

/* .npz files: several arrays by name, stored or deflated. */
typedef struct vecq_npz vecq_npz;

VECQ_API vecq_status vecq_npz_open(const char *path, vecq_npz **out, vecq_error *err);
/* The memory must stay until it is closed. `name` stands in messages. */
VECQ_API vecq_status vecq_npz_open_memory(const void *bytes, size_t n_bytes, const char *name, vecq_npz **out,
                                          vecq_error *err);
VECQ_API void vecq_npz_close(vecq_npz *npz); /* NULL is fine */
VECQ_API size_t vecq_npz_count(const vecq_npz *npz);
/* Name of an array, without ".npy"; NULL out of range. */
VECQ_API const char *vecq_npz_name(const vecq_npz *npz, size_t index);
VECQ_API vecq_status vecq_npz_read(const vecq_npz *npz, size_t index, vecq_tensor *out, vecq_error *err);
/* Writes n arrays, stored. Complete or not at all. */
VECQ_API vecq_status vecq_npz_save(const char *path, const char *const *names, const vecq_view *tensors,
                                   size_t n, vecq_error *err);

#ifdef __cplusplus
}
#endif
#endif
