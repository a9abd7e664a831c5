/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto: every dtype and encoding, embedded and external. */
#ifndef VECQ_ONNX_TENSOR_PROTO_H
#define VECQ_ONNX_TENSOR_PROTO_H

#include "base/alloc.h"
#include "base/file.h"
#include "base/span.h"
#include "tensor/tensor.h"

/* Files that external data lies in, mapped once each. */
typedef struct vecq_external {
    const char *folder; /* of the model file; NULL: the model came from memory, external data is an error */
    struct vecq_external_file *files;
    size_t n_files, capacity;
} vecq_external;

void vecq_external_init(vecq_external *external, const char *folder);
void vecq_external_clear(vecq_external *external);
/*
 * Bytes [offset, offset + length) of a file given by an external_data location; length UINT64_MAX: to the end.
 * Refuses absolute paths, drive letters, "..", backslashes, empty and embedded-NUL names, symbolic links that
 * leave the folder, non-regular files, and ranges outside the file.
 */
vecq_status vecq_external_get(vecq_external *external, const char *location, uint64_t offset, uint64_t length,
                              vecq_span *out, vecq_error *err);
/* Non-zero if `path` is one of the files mapped. */
int vecq_external_is(const vecq_external *external, const char *path);

typedef enum vecq_encoding {
    VECQ_ENC_RAW,      /* `bytes` is the dense little-endian data (embedded or external) */
    VECQ_ENC_TYPED,    /* float_data, int32_data, ...: decoded on demand */
    VECQ_ENC_OPAQUE    /* strings, segments, unknown dtypes, rank above VECQ_MAX_RANK: cannot be read as numbers */
} vecq_encoding;

/* A TensorProto as it lies in the file. */
typedef struct vecq_tensor_proto {
    const char *name; /* in the arena; "" when absent */
    vecq_dtype dtype;
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];
    size_t count;
    vecq_encoding encoding;
    vecq_span bytes;      /* VECQ_ENC_RAW */
    vecq_span message;    /* the TensorProto, for VECQ_ENC_TYPED */
    int is_external;
    uint64_t n_stored;    /* bytes of data as stored */
} vecq_tensor_proto;

/*
 * Reads the header and finds the data; checks dims (>= 0, no overflow) and that the stored data has exactly
 * the size the shape asks for. External files are opened here, so that a missing one is an error at load.
 * Errors name the tensor (and the file).
 */
vecq_status vecq_tensor_proto_parse(vecq_arena *arena, vecq_external *external, vecq_span message,
                                    vecq_tensor_proto *out, vecq_error *err);

/* Dense little-endian data into dst[vecq_dtype_bytes(dtype, count)]; encodings RAW and TYPED. Bool, int8...
 * bfloat16, float16, int4 in int32_data are narrowed; int4 lies two to a byte, low nibble first. */
vecq_status vecq_tensor_proto_read(const vecq_tensor_proto *tensor, void *dst, vecq_error *err);

#endif
