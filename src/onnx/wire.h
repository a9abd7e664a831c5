/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protocol Buffers wire format: bounded reading of fields, and growing buffers to write them.
 * https://protobuf.dev/programming-guides/encoding/
 */
#ifndef VECQ_ONNX_WIRE_H
#define VECQ_ONNX_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "vecq/status.h"

typedef enum vecq_wire {
    VECQ_WIRE_VARINT = 0,
    VECQ_WIRE_FIXED64 = 1,
    VECQ_WIRE_BYTES = 2,
    VECQ_WIRE_GROUP_START = 3, /* groups do not occur in ONNX: rejected */
    VECQ_WIRE_GROUP_END = 4,
    VECQ_WIRE_FIXED32 = 5
} vecq_wire;

typedef struct vecq_wire_field {
    uint32_t number; /* 1 .. 2^29 - 1 */
    vecq_wire type;
    vecq_span raw;     /* tag and payload as they lie in the file */
    vecq_span payload; /* VECQ_WIRE_BYTES: the content; else the encoded scalar */
    uint64_t scalar;   /* value of the other types */
} vecq_wire_field;

/* Takes the next field off the front of *rest. VECQ_ERR_FORMAT on a damaged one (message without position),
 * which leaves *rest as it is. Returns VECQ_OK with field->number 0 at the end. */
vecq_status vecq_wire_next(vecq_span *rest, vecq_wire_field *field, vecq_error *err);

/* Varint off the front of *rest; 0 when damaged. */
int vecq_wire_varint(vecq_span *rest, uint64_t *value);

/* Bytes of an encoded varint, 1..10; and the encoding itself, returning that count. */
size_t vecq_wire_varint_size(uint64_t value);
size_t vecq_wire_put_varint(uint8_t *out, uint64_t value);

/*
 * Checks a whole model file before anything is built from it, without recursion:
 *
 * - every field of every message the schema knows is well formed and of the wire type the schema asks for
 *   (packed or not where it is repeated); unknown fields only have to be well formed;
 * - identifiers hold no NUL byte, so that they can be C strings;
 * - a singular message (the graph of a model, the tensor of an attribute) occurs at most once: parsers merge
 *   several, readers that take the last one would see another model;
 * - messages are nested at most `max_depth` levels below the model (100, protobuf's own limit);
 * - there are at most `max_objects` objects: every message, and every field of the messages that are opened
 * as trees. Not counted are fields stored in bulk: the data of a tensor, and the floats, ints and strings of
 * an attribute, unless it holds graphs and is opened for them. Memory for the trees of a file that passed is
 *   therefore bounded; read attributes without graphs, and tensors, with vecq_wire_next();
 * - there is a graph.
 *
 * VECQ_ERR_FORMAT with the byte offset and the message, "byte 57 in graph.node[3].attribute[0]: ...".
 */
typedef struct vecq_wire_limits {
    unsigned max_depth;
    uint64_t max_objects;
} vecq_wire_limits;

#define VECQ_WIRE_LIMITS_DEFAULT                                                                             \
    {                                                                                                        \
        100, 8000000                                                                                         \
    }

/* `limits` may be NULL: the default. */
vecq_status vecq_wire_check_model(vecq_span file, const vecq_wire_limits *limits, vecq_error *err);

#endif
