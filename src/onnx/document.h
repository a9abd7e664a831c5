/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loaded model: the file as an editable tree, and the graph built from it. The inside of vecq_model.
 */
#ifndef VECQ_ONNX_DOCUMENT_H
#define VECQ_ONNX_DOCUMENT_H

#include "base/alloc.h"
#include "base/file.h"
#include "graph/graph.h"
#include "onnx/tensor_proto.h"
#include "onnx/tree.h"

/* Where an object of the graph lies in the tree: the field of `parent` that holds it. Field indices hold
 * until the first insertion into that message, so passes drop and replace first, and insert afterwards. */
typedef struct vecq_origin {
    vecq_message *parent;
    size_t field;
    vecq_message *self;              /* opened message; NULL for leaves */
    const vecq_tensor_proto *tensor; /* initializers, and the tensor of a Constant node */
} vecq_origin;

typedef struct vecq_document {
    const char *name;   /* for messages; in arena */
    const char *folder; /* of external data; in arena, or NULL */
    vecq_mapping mapping;
    vecq_span bytes;  /* the whole file */
    vecq_arena arena; /* tree and tensors */
    vecq_external external;
    vecq_message *model;
    vecq_ir ir;
} vecq_document;

/* Checks and reads doc->bytes (set by the caller, with name and folder) into tree and graph. */
vecq_status vecq_document_read(vecq_document *doc, vecq_error *err);
void vecq_document_clear(vecq_document *doc);

/* Value of an entry of metadata_props; data NULL: there is none. Of several the last one counts. */
vecq_span vecq_document_metadata(const vecq_document *doc, const char *key);

/* Version of a domain in a list of OperatorSetIdProto fields of `message`; 0 when not imported. "" and
 * "ai.onnx" are the same domain. */
int64_t vecq_document_opset(const vecq_message *message, uint32_t field, const char *domain);

#endif
