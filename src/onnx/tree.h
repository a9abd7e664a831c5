/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model file as a tree of messages that can be edited and written back.
 *
 * A message is its fields in file order. Fields that nobody looks into stay raw spans of the file and are
 * copied as they are, so everything untouched survives byte for byte, unknown fields too. Only what is needed
 * is opened: the model, graphs, functions, nodes, and attributes that hold graphs. New messages are built
 * with the same functions that edit old ones.
 *
 * Spans point into the mapped file, the arena, or a spool: all must outlive the tree. Messages live in the
 * arena.
 */
#ifndef VECQ_ONNX_TREE_H
#define VECQ_ONNX_TREE_H

#include "base/alloc.h"
#include "base/span.h"
#include "onnx/wire.h"

typedef struct vecq_message vecq_message;

typedef struct vecq_field {
    uint32_t number;
    uint8_t wire;        /* vecq_wire */
    uint8_t is_dropped;  /* not written */
    uint8_t is_new;      /* has no raw form */
    vecq_span raw;       /* whole field as in the file; unused when is_new or when a child was changed */
    vecq_span payload;   /* content of a VECQ_WIRE_BYTES field without child; else empty */
    uint64_t scalar;     /* the other wire types */
    vecq_message *child; /* opened or built sub-message */
} vecq_field;

struct vecq_message {
    vecq_arena *arena;
    vecq_message *parent; /* NULL for the root and while not yet attached */
    vecq_field *fields;
    size_t n_fields, capacity;
    int is_changed; /* itself or something below it: written field by field */
    uint64_t size;  /* content bytes; set when parsed and by vecq_message_measure() */
    /* scratch of vecq_message_measure() */
    size_t cursor;
    vecq_message *back;
    size_t height; /* levels of messages below it that are written field by field, itself included */
};

/* Parses the fields of one message; children are not opened. The wire was checked before. */
vecq_status vecq_message_parse(vecq_arena *arena, vecq_span bytes, vecq_message **out, vecq_error *err);
/* A message without fields. NULL when memory is out. */
vecq_message *vecq_message_new(vecq_arena *arena);
/* Opens field `index` of a message as a sub-message (once; later calls give the same). */
vecq_status vecq_message_open(vecq_message *message, size_t index, vecq_message **child, vecq_error *err);

/* Content of a bytes field as it lies in the file, also of one that was opened; empty for new ones. */
vecq_span vecq_field_content(const vecq_field *field);

/* First field not dropped with this number, from `from` on; returns n_fields when there is none. (proto2: of
 * several occurrences of a singular field the last one counts: vecq_message_last().) */
size_t vecq_message_find(const vecq_message *message, uint32_t number, size_t from);
size_t vecq_message_last(const vecq_message *message, uint32_t number);
uint64_t vecq_message_scalar(const vecq_message *message, uint32_t number, uint64_t missing);
vecq_span vecq_message_bytes(const vecq_message *message, uint32_t number); /* empty when absent */

/*
 * Edits. Return 0 when memory is out (message unchanged). `at` is a field index, or SIZE_MAX for the end;
 * inserting moves the fields behind it, so indices and vecq_field pointers kept from before are stale.
 * Strings and spans are borrowed. Marks this message and its parents as changed. A message that is inserted
 * belongs to its new parent: drop the field it hung on before.
 */
int vecq_message_insert_scalar(vecq_message *message, size_t at, uint32_t number, uint64_t varint);
int vecq_message_insert_fixed32(vecq_message *message, size_t at, uint32_t number, uint32_t bits);
int vecq_message_insert_bytes(vecq_message *message, size_t at, uint32_t number, vecq_span payload);
int vecq_message_insert_string(vecq_message *message, size_t at, uint32_t number, const char *text);
int vecq_message_insert_child(vecq_message *message, size_t at, uint32_t number, vecq_message *child);
/* n children at once: one move of the fields behind them, however many there are. */
int vecq_message_insert_children(vecq_message *message, size_t at, uint32_t number,
                                 vecq_message *const *children, size_t n);
/* The last occurrence is replaced; appended when there is none. */
int vecq_message_set_scalar(vecq_message *message, uint32_t number, uint64_t value);
int vecq_message_set_bytes(vecq_message *message, size_t index, vecq_span payload); /* content of a field */
void vecq_message_drop(vecq_message *message, size_t index);

/* Content size of a message in bytes, filled in for everything below it too. No recursion. */
uint64_t vecq_message_measure(vecq_message *message);
/* Streams the content; measure() first. Spans are handed on as they are, so large ones are not copied, and
 * neighbours in the file go in one piece. The first failure of the sink ends it and is returned. */
typedef vecq_status (*vecq_sink_fn)(void *context, const void *data, size_t n, vecq_error *err);
vecq_status vecq_message_write(const vecq_message *message, vecq_sink_fn sink, void *context,
                               vecq_error *err);

/* ---- building ONNX messages (NULL / 0 when memory is out) ---- */

/* NodeProto; inputs and outputs are borrowed strings. An empty domain or name is not written. */
vecq_message *vecq_onnx_node(vecq_arena *arena, const char *op_type, const char *domain, const char *name,
                             const char *const *inputs, size_t n_inputs, const char *const *outputs,
                             size_t n_outputs);
/* Attributes; names and values are borrowed. */
int vecq_onnx_node_int(vecq_message *node, const char *name, int64_t value);
int vecq_onnx_node_float(vecq_message *node, const char *name, float value);
int vecq_onnx_node_string(vecq_message *node, const char *name, const char *value);
int vecq_onnx_node_ints(vecq_message *node, const char *name, const int64_t *values, size_t n);
int vecq_onnx_node_tensor(vecq_message *node, const char *name, vecq_message *tensor);
/* Attribute that a function takes from its caller (ref_attr_name); `type` is a vecq_attr_type. */
int vecq_onnx_node_reference(vecq_message *node, const char *name, int type, const char *reference);
/* TensorProto with raw_data (borrowed span); name may be NULL. */
vecq_message *vecq_onnx_tensor(vecq_arena *arena, const char *name, int dtype, const int64_t *dims,
                               unsigned rank, vecq_span raw);
/* ValueInfoProto of a tensor, an input or output of a graph. params[i] not NULL: dimension i has this name
 * (dim_param, "N") in the place of the size dims[i]. Names are borrowed. */
vecq_message *vecq_onnx_value_info(vecq_arena *arena, const char *name, int dtype, const int64_t *dims,
                                   const char *const *params, unsigned rank);
/* OperatorSetIdProto and StringStringEntryProto. */
vecq_message *vecq_onnx_opset(vecq_arena *arena, const char *domain, int64_t version);
vecq_message *vecq_onnx_entry(vecq_arena *arena, const char *key, const char *value);

#endif
