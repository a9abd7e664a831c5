/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model-local functions of domain ai.vecq, and the same bodies as plain nodes
 * (docs/format/packed.md, section "Decoding").
 */
#ifndef VECQ_ONNX_FUNCTIONS_H
#define VECQ_ONNX_FUNCTIONS_H

#include "onnx/tree.h"

#define VECQ_DOMAIN         "ai.vecq"
#define VECQ_DOMAIN_VERSION 1

/* Shapes of a decode, as far as the body depends on them. */
typedef struct vecq_decode_form {
    unsigned bits; /* k, 1..8 */
    int is_ragged; /* groups that do not divide the row: the body needs `group` */
} vecq_decode_form;

/* op_type of the call: "Dequantize4", "DequantizeRagged4". Static storage. */
const char *vecq_function_name(vecq_decode_form form);

/*
 * FunctionProto of a form for a model whose default domain has version `opset` (7 or later).
 *   inputs  f0 [, f1 [, f2]] uint8 fields, top bits first; scale float; shape int64 [, group int64[1]]
 *   output  float tensor of that shape
 * NULL when memory is out.
 */
vecq_message *vecq_function_build(vecq_arena *arena, vecq_decode_form form, int64_t opset);

/*
 * Appends to `call` (the node that calls the function) the attributes the body refers to at this opset: below
 * opset 10, where Slice takes its bounds as attributes. 0 when memory is out.
 */
int vecq_function_call_attributes(vecq_message *call, vecq_decode_form form, int64_t opset, size_t count);

/*
 * The body as plain nodes for --inline: nodes are appended to out[] (room for VECQ_INLINE_NODES_MAX), with
 * the formal names replaced by actual ones and inner names prefixed by `prefix`. Constants become Constant
 * nodes. Returns the number of nodes, 0 when memory is out.
 */
#define VECQ_INLINE_NODES_MAX 64
size_t vecq_function_inline(vecq_arena *arena, vecq_decode_form form, int64_t opset, const char *prefix,
                            const char *const *inputs, size_t n_inputs, const char *output, size_t count,
                            vecq_message **out);

#endif
