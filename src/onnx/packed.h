/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights in a loaded model: recognising calls of ai.vecq functions, decoding their fields. */
#ifndef VECQ_ONNX_PACKED_H
#define VECQ_ONNX_PACKED_H

#include "coding/strips.h"
#include "graph/graph.h"

typedef struct vecq_packed {
    unsigned bits;
    vecq_strips strips;
    const vecq_const *field[VECQ_FIELDS_MAX];
    const vecq_const *scale;
    size_t n_slices; /* elements of scale */
    size_t group;    /* ragged form: weights per group along a row; 0: slices of equal length */
    size_t cols;     /* ragged form: length of a row */
    size_t count;    /* weights */
} vecq_packed;

/*
 * If the node is a call of a decode function (domain ai.vecq, version 1) makes its output a constant whose
 * read() decodes the fields. Other nodes are left alone, calls of unknown functions or versions too.
 * VECQ_ERR_FORMAT when the inputs do not fit together.
 */
vecq_status vecq_packed_bind(vecq_ir *ir, vecq_node *node, vecq_error *err);

/* The packed weight behind a constant made by vecq_packed_bind(), or NULL for any other constant. */
const vecq_packed *vecq_packed_of(const vecq_const *constant);

/* Codes of all weights in matrix order, one byte each. */
vecq_status vecq_packed_codes(const vecq_packed *packed, uint8_t *codes, vecq_error *err);

#endif
