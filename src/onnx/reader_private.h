/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the reader share: reader.c (graphs, nodes, values) and reader_attr.c (attributes,
 * tensors). */
#ifndef VECQ_ONNX_READER_PRIVATE_H
#define VECQ_ONNX_READER_PRIVATE_H

#include "onnx/document.h"

/* A list that grows in the arena of the ir: the final array is exact, the scratch is freed. */
typedef struct vecq_reader_list {
    void **items;
    size_t n, capacity;
} vecq_reader_list;

typedef struct vecq_reader {
    vecq_document *doc;
    vecq_error *err;
    vecq_reader_list graphs;
    const vecq_message *imports_of; /* model or function whose imports are in `imports` */
    vecq_map imports;               /* domain -> version + 1, as a pointer */
} vecq_reader;

vecq_status vecq_reader_oom(vecq_reader *r);
vecq_status vecq_reader_add(vecq_reader *r, vecq_reader_list *list, void *item);
/* Moves the items to the arena: *(T ***)out_items and *n. */
vecq_status vecq_reader_finish(vecq_reader *r, vecq_reader_list *list, void *out_items, size_t *n);
vecq_status vecq_reader_string(vecq_reader *r, vecq_span bytes, const char **out);
vecq_status vecq_reader_field_string(vecq_reader *r, const vecq_message *message, uint32_t number,
                                     const char **out);

/* The TensorProto in field `field` of `parent` (for a Constant: the attribute's field of the node). */
vecq_status vecq_reader_tensor(vecq_reader *r, vecq_message *parent, size_t field, vecq_span bytes,
                               vecq_const **out);
/* Type and shape of a value from its ValueInfoProto. */
vecq_status vecq_reader_type(vecq_reader *r, vecq_span info, vecq_value *value);
/* Attribute in field `at` of a node's message. */
vecq_status vecq_reader_attr(vecq_reader *r, vecq_message *node_message, size_t at, vecq_node *node,
                             vecq_attr *attr);
/* Graph whose message hangs on field `field` of its parent message. */
vecq_status vecq_reader_graph(vecq_reader *r, vecq_message *message, size_t field, vecq_graph *parent,
                              vecq_node *owner, vecq_graph **out);

#endif
