/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/wire.h"

#include "base/status.h"

#define WIRE_VARINT_MAX 10u /* bytes of a 64-bit varint */
#define WIRE_TAG_MAX    5u  /* bytes of a tag, a 32-bit varint */

int vecq_wire_varint(vecq_span *rest, uint64_t *value)
{
    size_t n = rest->n < WIRE_VARINT_MAX ? rest->n : WIRE_VARINT_MAX, i;
    uint64_t sum = 0;

    for (i = 0; i < n; i++) {
        uint8_t byte = rest->data[i];

        if (i == WIRE_VARINT_MAX - 1 && byte > 1) /* bits above the 64th, or an eleventh byte */
            return 0;
        sum |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            rest->data += i + 1;
            rest->n -= i + 1;
            *value = sum;
            return 1;
        }
    }
    return 0;
}

static vecq_status wire_bad_varint(const vecq_span *rest, const char *what, vecq_error *err)
{
    const char *why = rest->n < WIRE_VARINT_MAX ? "runs past the end" : "is longer than 64 bits";

    return vecq_error_set(err, VECQ_ERR_FORMAT, "%s %s", what, why);
}

static vecq_status wire_tag(vecq_span *rest, vecq_wire_field *field, vecq_error *err)
{
    vecq_span begin = *rest;
    uint64_t tag;

    if (!vecq_wire_varint(rest, &tag))
        return wire_bad_varint(rest, "field tag", err);
    if (tag > UINT32_MAX || begin.n - rest->n > WIRE_TAG_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "field number is out of range");
    field->number = (uint32_t)(tag >> 3);
    if (field->number == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "field number is 0");
    switch (tag & 7) {
    case VECQ_WIRE_VARINT:
    case VECQ_WIRE_FIXED64:
    case VECQ_WIRE_BYTES:
    case VECQ_WIRE_FIXED32:
        field->type = (vecq_wire)(tag & 7);
        return VECQ_OK;
    case VECQ_WIRE_GROUP_START:
    case VECQ_WIRE_GROUP_END:
        return vecq_error_set(err, VECQ_ERR_FORMAT, "field %u is a group, which ONNX does not use",
                              field->number);
    default:
        return vecq_error_set(err, VECQ_ERR_FORMAT, "field %u has the unknown wire type %u", field->number,
                              (unsigned)(tag & 7));
    }
}

static uint64_t wire_little_endian(const uint8_t *bytes, size_t n)
{
    uint64_t sum = 0;
    size_t i;

    for (i = 0; i < n; i++)
        sum |= (uint64_t)bytes[i] << (8 * i);
    return sum;
}

vecq_status vecq_wire_next(vecq_span *rest, vecq_wire_field *field, vecq_error *err)
{
    vecq_span at = *rest;
    uint64_t n = 0;

    field->number = 0;
    if (at.n == 0)
        return VECQ_OK;
    VECQ_TRY(wire_tag(&at, field, err));
    field->payload = at;
    field->scalar = 0;
    if (field->type == VECQ_WIRE_VARINT) {
        if (!vecq_wire_varint(&at, &field->scalar))
            return wire_bad_varint(&at, "number", err);
        n = (uint64_t)(at.data - field->payload.data);
    } else if (field->type == VECQ_WIRE_BYTES) {
        if (!vecq_wire_varint(&at, &n))
            return wire_bad_varint(&at, "length", err);
        field->payload = at;
    } else {
        n = field->type == VECQ_WIRE_FIXED64 ? 8 : 4;
    }
    if (n > field->payload.n)
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "field %u has %llu bytes, but only %zu are left in the message that holds it",
                              field->number, (unsigned long long)n, field->payload.n);
    field->payload.n = (size_t)n;
    if (field->type == VECQ_WIRE_FIXED32 || field->type == VECQ_WIRE_FIXED64)
        field->scalar = wire_little_endian(field->payload.data, field->payload.n);
    field->raw.data = rest->data;
    field->raw.n = (size_t)(field->payload.data - rest->data) + field->payload.n;
    rest->data += field->raw.n;
    rest->n -= field->raw.n;
    return VECQ_OK;
}

size_t vecq_wire_varint_size(uint64_t value)
{
    size_t n = 1;

    while (value >= 0x80) {
        value >>= 7;
        n++;
    }
    return n;
}

size_t vecq_wire_put_varint(uint8_t *out, uint64_t value)
{
    size_t n = 0;

    while (value >= 0x80) {
        out[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[n++] = (uint8_t)value;
    return n;
}
