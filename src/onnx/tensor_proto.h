/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto: every dtype and encoding, embedded and external. */
#ifndef VECQ_ONNX_TENSOR_PROTO_H
#define VECQ_ONNX_TENSOR_PROTO_H

#include "base/alloc.h"
#include "base/file.h"
#include "base/map.h"
#include "base/span.h"
#include "tensor/tensor.h"

/* Files that external data lies in, mapped once each. */
typedef struct vecq_external {
    const char *folder; /* of the model file; NULL: the model came from memory, external data is an error */
    struct vecq_external_file **files;
    size_t n_files, capacity;
    vecq_map by_location; /* canonical location -> file */
} vecq_external;

void vecq_external_init(vecq_external *external, const char *folder);
void vecq_external_clear(vecq_external *external);
/*
 * Bytes [offset, offset + length) of a file given by an external_data location; length UINT64_MAX: to the
 * end. Refuses absolute paths, drive letters, "..", backslashes, empty names, symbolic links that leave the
 * folder, non-regular files, and ranges outside the file. One file is mapped once, however its name is
 * spelled.
 */
vecq_status vecq_external_get(vecq_external *external, const char *location, uint64_t offset, uint64_t length,
                              vecq_span *out, vecq_error *err);
/* Lets a (canonical) location mean these bytes, which must outlive the object, instead of a file: to read
 * back data that has no name yet. */
vecq_status vecq_external_preset(vecq_external *external, const char *location, vecq_span bytes,
                                 vecq_error *err);
/* Non-zero if `path` is one of the files mapped. */
int vecq_external_is(const vecq_external *external, const char *path);

typedef enum vecq_encoding {
    VECQ_ENC_RAW,   /* `bytes` is the dense little-endian data (embedded or external) */
    VECQ_ENC_TYPED, /* float_data, int32_data, ...: decoded on demand */
    VECQ_ENC_OPAQUE /* not readable as numbers: strings, segments, unknown dtypes, rank above VECQ_MAX_RANK */
} vecq_encoding;

/* A TensorProto as it lies in the file. */
typedef struct vecq_tensor_proto {
    const char *name; /* in the arena; "" when absent */
    vecq_dtype dtype; /* VECQ_DT_UNDEFINED when absent or newer than this program */
    unsigned rank;    /* 0 when above VECQ_MAX_RANK: opaque */
    int64_t dims[VECQ_MAX_RANK];
    size_t count; /* elements, also of opaque ones */
    vecq_encoding encoding;
    vecq_span bytes;   /* VECQ_ENC_RAW, and external data of an opaque tensor */
    vecq_span message; /* the TensorProto, for VECQ_ENC_TYPED */
    int is_external;
    uint64_t n_stored; /* bytes of data as stored */
} vecq_tensor_proto;

/*
 * Reads the header and finds the data; checks dims (>= 0, no overflow) and that the stored data has exactly
 * the size the shape asks for, in the one field that its dtype is stored in or in raw_data. External files
 * are opened here, so that a missing one is an error at load; "checksum" and unknown keys are not looked at.
 * Errors name the tensor (and the file).
 */
vecq_status vecq_tensor_proto_parse(vecq_arena *arena, vecq_external *external, vecq_span message,
                                    vecq_tensor_proto *out, vecq_error *err);

/* Dense little-endian data into dst[vecq_dtype_bytes(dtype, count)]; encodings RAW and TYPED. Entries of
 * int32_data are narrowed to the dtype (VECQ_ERR_FORMAT for one that does not fit); of sub-byte types an
 * entry is a byte of 2 or 4 elements, the first in the low bits, as in raw_data. */
vecq_status vecq_tensor_proto_read(const vecq_tensor_proto *tensor, void *dst, vecq_error *err);

#endif
