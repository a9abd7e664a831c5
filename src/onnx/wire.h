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
    uint32_t number;   /* 1 .. 2^29 - 1 */
    vecq_wire type;
    vecq_span raw;     /* tag and payload as they lie in the file */
    vecq_span payload; /* VECQ_WIRE_BYTES: the content; else the encoded scalar */
    uint64_t scalar;   /* value of the other types */
} vecq_wire_field;

/* Takes the next field off the front of *rest. VECQ_ERR_FORMAT on a damaged one (message without position).
 * Returns VECQ_OK with field->number 0 at the end. */
vecq_status vecq_wire_next(vecq_span *rest, vecq_wire_field *field, vecq_error *err);

/* Varint off the front of *rest; 0 when damaged. */
int vecq_wire_varint(vecq_span *rest, uint64_t *value);

/* Bytes of an encoded varint, 1..10; and the encoding itself, returning that count. */
size_t vecq_wire_varint_size(uint64_t value);
size_t vecq_wire_put_varint(uint8_t *out, uint64_t value);

/*
 * Checks a whole model file before anything is built from it, without recursion: every field of every message
 * the schema knows is well formed, nesting stays below `max_depth` (100 like protobuf's own limit), and the
 * number of objects below `max_objects`. Unknown fields only have to be well formed.
 */
typedef struct vecq_wire_limits {
    unsigned max_depth;
    uint64_t max_objects;
} vecq_wire_limits;

#define VECQ_WIRE_LIMITS_DEFAULT {100, 8000000}

vecq_status vecq_wire_check_model(vecq_span file, const vecq_wire_limits *limits, vecq_error *err);

#endif
