/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights of a document, in any of the written forms (functions, inline nodes, DequantizeLinear), and
 * their way back to float tensors. */
#ifndef VECQ_ONNX_UNPACK_H
#define VECQ_ONNX_UNPACK_H

#include "base/file.h"
#include "onnx/edit.h"

/* One packed weight: the tensor that the nodes of one group ("vecq<i>...") make. */
typedef struct vecq_unpacked {
    vecq_value *value;
    int64_t group;
    vecq_tensor shape; /* dtype, rank, dims, count; no data */
    uint64_t data_at;  /* values in the spool */
    uint64_t fingerprint;
} vecq_unpacked;

typedef struct vecq_unpacked_list {
    vecq_unpacked *items;
    size_t n, capacity;
} vecq_unpacked_list;

vecq_status vecq_unpack_find(vecq_ir *ir, vecq_unpacked_list *out, vecq_error *err);
void vecq_unpack_clear(vecq_unpacked_list *list);

/* Evaluates the weights one after the other into the spool. */
vecq_status vecq_unpack_values(vecq_unpacked_list *list, vecq_spool *spool, vecq_error *err);

/* Replaces the decodes by float tensors (spool: all its bytes) and removes functions, imports, metadata. */
vecq_status vecq_unpack_document(vecq_edit *edit, const vecq_unpacked_list *list, vecq_span spool);

#endif
