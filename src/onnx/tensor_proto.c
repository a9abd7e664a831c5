/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/tensor_proto.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "onnx/schema.h"
#include "onnx/wire.h"

/* The fields of a TensorProto as found in one pass. */
typedef struct proto_scan {
    vecq_span name;
    uint64_t data_type, location;
    int64_t dims[VECQ_MAX_RANK];
    uint64_t n_dims;
    int has_negative, has_overflow, has_zero; /* of the dims */
    uint64_t product;                         /* of the dims that are not 0 */
    int has_segment, has_raw;
    vecq_span raw;
    uint64_t n_entries[ONNX_TENSOR_UINT64_DATA + 1]; /* by field number, of the typed fields */
    uint64_t n_bytes[ONNX_TENSOR_UINT64_DATA + 1];
    vecq_span keys[3]; /* external_data: location, offset, length */
    int has_key[3];
    int has_key_twice;
} proto_scan;

enum { KEY_LOCATION, KEY_OFFSET, KEY_LENGTH };

/* ---- scanning ---- */

#define DIM_PRODUCT_MAX ((uint64_t)1 << 47) /* as vecq_shape_count() */

static void scan_dim(proto_scan *scan, int64_t dim)
{
    if (scan->n_dims < VECQ_MAX_RANK)
        scan->dims[scan->n_dims] = dim;
    scan->n_dims++;
    if (dim < 0)
        scan->has_negative = 1;
    else if (dim == 0)
        scan->has_zero = 1;
    else if ((uint64_t)dim > DIM_PRODUCT_MAX / scan->product)
        scan->has_overflow = 1;
    else
        scan->product *= (uint64_t)dim;
}

static void scan_dims(proto_scan *scan, const vecq_wire_field *field)
{
    vecq_span rest = field->payload;
    uint64_t dim;

    if (field->type == VECQ_WIRE_VARINT)
        scan_dim(scan, (int64_t)field->scalar);
    else if (field->type == VECQ_WIRE_BYTES)
        while (vecq_wire_varint(&rest, &dim))
            scan_dim(scan, (int64_t)dim);
}

static void scan_key(proto_scan *scan, int key, vecq_span value)
{
    scan->has_key_twice |= scan->has_key[key];
    scan->has_key[key] = 1;
    scan->keys[key] = value;
}

static int span_is(vecq_span span, const char *text)
{
    return span.n == strlen(text) && memcmp(span.data, text, span.n) == 0;
}

static vecq_status scan_external(proto_scan *scan, vecq_span entry, vecq_error *err)
{
    vecq_span key = {(const uint8_t *)"", 0}, value = key;

    for (;;) {
        vecq_wire_field field;

        VECQ_TRY(vecq_wire_next(&entry, &field, err));
        if (field.number == 0)
            break;
        if (field.type == VECQ_WIRE_BYTES && field.number == ONNX_ENTRY_KEY)
            key = field.payload;
        if (field.type == VECQ_WIRE_BYTES && field.number == ONNX_ENTRY_VALUE)
            value = field.payload;
    }
    if (span_is(key, "location"))
        scan_key(scan, KEY_LOCATION, value);
    else if (span_is(key, "offset"))
        scan_key(scan, KEY_OFFSET, value);
    else if (span_is(key, "length"))
        scan_key(scan, KEY_LENGTH, value);
    return VECQ_OK;
}

/* Bytes of an entry of a typed field; 0 for varints. */
static size_t typed_width(uint32_t number)
{
    return number == ONNX_TENSOR_FLOAT_DATA ? 4 : number == ONNX_TENSOR_DOUBLE_DATA ? 8 : 0;
}

/* Whether an unpacked field of this number holds one entry. */
static int typed_is_entry(const vecq_wire_field *field)
{
    size_t width = typed_width(field->number);

    return field->type == (width == 4   ? VECQ_WIRE_FIXED32
                           : width == 8 ? VECQ_WIRE_FIXED64
                                        : VECQ_WIRE_VARINT);
}

static void scan_typed(proto_scan *scan, const vecq_wire_field *field)
{
    size_t width = typed_width(field->number), i, n = 0;

    if (field->number == ONNX_TENSOR_STRING_DATA || field->type != VECQ_WIRE_BYTES) {
        n = field->number == ONNX_TENSOR_STRING_DATA || typed_is_entry(field);
    } else if (width > 0) {
        n = field->payload.n / width;
    } else {
        for (i = 0; i < field->payload.n; i++) /* each varint has one last byte, without the top bit */
            n += field->payload.data[i] < 0x80;
    }
    scan->n_entries[field->number] += n;
    scan->n_bytes[field->number] += field->payload.n;
}

static vecq_status scan_field(proto_scan *scan, const vecq_wire_field *field, vecq_error *err)
{
    int is_bytes = field->type == VECQ_WIRE_BYTES;

    switch (field->number) {
    case ONNX_TENSOR_DIMS:
        scan_dims(scan, field);
        break;
    case ONNX_TENSOR_DATA_TYPE:
        scan->data_type = field->scalar;
        break;
    case ONNX_TENSOR_DATA_LOCATION:
        scan->location = field->scalar;
        break;
    case ONNX_TENSOR_SEGMENT:
        scan->has_segment = 1;
        break;
    case ONNX_TENSOR_NAME:
        if (is_bytes)
            scan->name = field->payload;
        break;
    case ONNX_TENSOR_RAW_DATA:
        scan->has_raw = is_bytes;
        if (is_bytes)
            scan->raw = field->payload;
        break;
    case ONNX_TENSOR_FLOAT_DATA:
    case ONNX_TENSOR_INT32_DATA:
    case ONNX_TENSOR_STRING_DATA:
    case ONNX_TENSOR_INT64_DATA:
    case ONNX_TENSOR_DOUBLE_DATA:
    case ONNX_TENSOR_UINT64_DATA:
        scan_typed(scan, field);
        break;
    case ONNX_TENSOR_EXTERNAL_DATA:
        if (is_bytes)
            return scan_external(scan, field->payload, err);
        break;
    default:
        break;
    }
    return VECQ_OK;
}

static vecq_status scan_message(proto_scan *scan, vecq_span rest, vecq_error *err)
{
    memset(scan, 0, sizeof *scan);
    scan->product = 1;
    scan->name.data = (const uint8_t *)"";
    for (;;) {
        vecq_wire_field field;

        VECQ_TRY(vecq_wire_next(&rest, &field, err));
        if (field.number == 0)
            return VECQ_OK;
        VECQ_TRY(scan_field(scan, &field, err));
    }
}

/* ---- judging ---- */

static const char *typed_name(uint32_t number)
{
    return vecq_schema_find(VECQ_SCHEMA_TENSOR, number)->name;
}

/* The typed field that holds values of a dtype (onnx.proto, comments on the fields). */
static uint32_t typed_field(vecq_dtype dtype)
{
    switch (dtype) {
    case VECQ_DT_FLOAT:
    case VECQ_DT_COMPLEX64:
        return ONNX_TENSOR_FLOAT_DATA;
    case VECQ_DT_DOUBLE:
    case VECQ_DT_COMPLEX128:
        return ONNX_TENSOR_DOUBLE_DATA;
    case VECQ_DT_INT64:
        return ONNX_TENSOR_INT64_DATA;
    case VECQ_DT_UINT32:
    case VECQ_DT_UINT64:
        return ONNX_TENSOR_UINT64_DATA;
    default:
        return ONNX_TENSOR_INT32_DATA;
    }
}

/* Entries that `count` elements take there: complex ones two each; 4- and 2-bit ones 2 or 4 in an entry. */
static uint64_t typed_entries(vecq_dtype dtype, size_t count)
{
    if (dtype == VECQ_DT_COMPLEX64 || dtype == VECQ_DT_COMPLEX128)
        return 2 * (uint64_t)count;
    return vecq_dtype_bits(dtype) < 8 ? vecq_dtype_bytes(dtype, count) : count;
}

/* "float32[64,3,7,7]", in text[n]. */
static const char *proto_shape(const vecq_tensor_proto *tensor, char *text, size_t n)
{
    size_t used = (size_t)snprintf(text, n, "%s[", vecq_dtype_name(tensor->dtype));
    unsigned i;

    for (i = 0; i < tensor->rank && used < n; i++)
        used +=
            (size_t)snprintf(text + used, n - used, "%s%lld", i > 0 ? "," : "", (long long)tensor->dims[i]);
    if (used < n)
        snprintf(text + used, n - used, "]");
    return text;
}

static vecq_status proto_size_error(const vecq_tensor_proto *tensor, const char *where, uint64_t needed,
                                    uint64_t found, const char *unit, vecq_error *err)
{
    char shape[400];

    return vecq_error_set(err, VECQ_ERR_FORMAT, "%s needs %llu %s, but %s has %llu",
                          proto_shape(tensor, shape, sizeof shape), (unsigned long long)needed, unit, where,
                          (unsigned long long)found);
}

/* First typed field with entries, but not `except`; 0 when there is none. */
static uint32_t proto_other_data(const proto_scan *scan, uint32_t except)
{
    uint32_t number;

    for (number = 0; number <= ONNX_TENSOR_UINT64_DATA; number++)
        if (scan->n_entries[number] > 0 && number != except)
            return number;
    return 0;
}

static vecq_status proto_embedded(const proto_scan *scan, vecq_tensor_proto *out, vecq_error *err)
{
    uint32_t number = typed_field(out->dtype), other = proto_other_data(scan, scan->has_raw ? 0 : number);
    uint64_t needed = typed_entries(out->dtype, out->count), n_raw = vecq_dtype_bytes(out->dtype, out->count);

    if (other != 0 && scan->has_raw)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "has data twice, in raw_data and in %s",
                              typed_name(other));
    if (other != 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "is %s, but has data in %s", vecq_dtype_name(out->dtype),
                              typed_name(other));
    /* Without elements, writers leave out the data, or write an empty raw_data: both are raw. */
    if (scan->has_raw || (needed == 0 && scan->n_entries[number] == 0)) {
        if (scan->raw.n != n_raw)
            return proto_size_error(out, "raw_data", n_raw, scan->raw.n, "bytes", err);
        out->encoding = VECQ_ENC_RAW;
        out->bytes = scan->raw;
        out->n_stored = scan->raw.n;
        return VECQ_OK;
    }
    if (scan->n_entries[number] != needed)
        return proto_size_error(out, typed_name(number), needed, scan->n_entries[number], "entries", err);
    out->encoding = VECQ_ENC_TYPED;
    out->n_stored = scan->n_bytes[number];
    return VECQ_OK;
}

/* ---- external data ---- */

static vecq_status external_number(const proto_scan *scan, int key, const char *name, uint64_t missing,
                                   uint64_t *out, vecq_error *err)
{
    vecq_span text = scan->keys[key];
    uint64_t value = 0;
    size_t i;

    *out = missing;
    if (!scan->has_key[key])
        return VECQ_OK;
    for (i = 0; i < text.n; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            break;
        value = value * 10 + digit;
    }
    if (i < text.n || text.n == 0 || value == UINT64_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "the %s of its external data, '%.*s', is not a byte count", name,
                              (int)(text.n < 40 ? text.n : 40), (const char *)text.data);
    *out = value;
    return VECQ_OK;
}

static vecq_status proto_external(vecq_arena *arena, vecq_external *external, const proto_scan *scan,
                                  vecq_tensor_proto *out, vecq_error *err)
{
    vecq_span location = scan->keys[KEY_LOCATION];
    uint64_t offset, length, needed = vecq_dtype_bytes(out->dtype, out->count);
    const char *path;

    if (scan->raw.n > 0 || proto_other_data(scan, 0) != 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "has data twice, embedded and external");
    if (scan->has_key_twice)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "gives a key of its external data twice");
    if (!scan->has_key[KEY_LOCATION])
        return vecq_error_set(err, VECQ_ERR_FORMAT, "has external data without a location");
    if (location.n > 0 && memchr(location.data, 0, location.n) != NULL)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "the location of its external data holds a NUL byte");
    VECQ_TRY(external_number(scan, KEY_OFFSET, "offset", 0, &offset, err));
    VECQ_TRY(external_number(scan, KEY_LENGTH, "length", UINT64_MAX, &length, err));
    if (out->encoding != VECQ_ENC_OPAQUE && length != UINT64_MAX && length != needed)
        return proto_size_error(out, "the length of its external data", needed, length, "bytes", err);
    path = vecq_arena_string(arena, (const char *)location.data, location.n);
    if (path == NULL)
        return vecq_error_memory(err, location.n + 1);
    VECQ_TRY(vecq_external_get(external, path, offset, length, &out->bytes, err));
    if (out->encoding != VECQ_ENC_OPAQUE && out->bytes.n != needed)
        return proto_size_error(out, "the rest of its external file", needed, out->bytes.n, "bytes", err);
    out->is_external = 1;
    out->n_stored = out->bytes.n;
    return VECQ_OK;
}

/* ---- parsing ---- */

static vecq_status proto_header(const proto_scan *scan, vecq_tensor_proto *out, vecq_error *err)
{
    if (scan->has_negative)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "has a negative dimension");
    if (scan->has_overflow)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "has more elements than can be addressed");
    if (scan->location > ONNX_LOCATION_EXTERNAL)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "has data in the unknown location %llu",
                              (unsigned long long)scan->location);
    out->dtype = scan->data_type < VECQ_DT_COUNT ? (vecq_dtype)scan->data_type : VECQ_DT_UNDEFINED;
    out->count = scan->has_zero ? 0 : (size_t)scan->product;
    if (scan->n_dims <= VECQ_MAX_RANK) {
        out->rank = (unsigned)scan->n_dims;
        memcpy(out->dims, scan->dims, sizeof out->dims);
    }
    out->encoding = scan->has_segment || vecq_dtype_bits(out->dtype) == 0 || scan->n_dims > VECQ_MAX_RANK
                        ? VECQ_ENC_OPAQUE
                        : VECQ_ENC_RAW;
    return VECQ_OK;
}

static vecq_status proto_parse(vecq_arena *arena, vecq_external *external, const proto_scan *scan,
                               vecq_tensor_proto *out, vecq_error *err)
{
    uint32_t number;

    VECQ_TRY(proto_header(scan, out, err));
    if (scan->location == ONNX_LOCATION_EXTERNAL)
        return proto_external(arena, external, scan, out, err);
    if (out->encoding != VECQ_ENC_OPAQUE)
        return proto_embedded(scan, out, err);
    out->n_stored = scan->raw.n;
    for (number = 0; number <= ONNX_TENSOR_UINT64_DATA; number++)
        out->n_stored += scan->n_bytes[number];
    return VECQ_OK;
}

vecq_status vecq_tensor_proto_parse(vecq_arena *arena, vecq_external *external, vecq_span message,
                                    vecq_tensor_proto *out, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;
    proto_scan scan;
    vecq_status status;

    memset(out, 0, sizeof *out);
    out->name = "";
    out->message = message;
    status = scan_message(&scan, message, &why);
    if (status == VECQ_OK && scan.name.n > 0) {
        out->name = vecq_arena_string(arena, (const char *)scan.name.data, scan.name.n);
        if (out->name == NULL) {
            out->name = "";
            return vecq_error_memory(err, scan.name.n + 1);
        }
    }
    if (status == VECQ_OK)
        status = proto_parse(arena, external, &scan, out, &why);
    if (status == VECQ_OK || status == VECQ_ERR_MEMORY)
        return status == VECQ_OK ? status : vecq_error_set(err, status, "%s", why.message);
    return vecq_error_set(err, status, "tensor '%.200s' %s", out->name, why.message);
}

/* ---- reading ---- */

/* Where the next entry goes. */
typedef struct typed_reader {
    uint8_t *at;
    uint64_t n_left;
    size_t width; /* bytes of an entry in the dense form */
    vecq_dtype dtype;
} typed_reader;

static vecq_status typed_refuse(const typed_reader *reader, int64_t value, vecq_error *err)
{
    return vecq_error_set(err, VECQ_ERR_FORMAT, "holds the value %lld, which is no %s", (long long)value,
                          vecq_dtype_name(reader->dtype));
}

/* An entry of int32_data: the value of a signed or the bits of an unsigned integer of `width` bytes. */
static vecq_status typed_put_int32(typed_reader *reader, uint64_t varint, vecq_error *err)
{
    uint32_t bits = (uint32_t)varint;
    int64_t value = (int32_t)bits;

    if (reader->dtype == VECQ_DT_BOOL)
        bits = bits != 0;
    else if (reader->width < 4 &&
             (value < -((int64_t)1 << (8 * reader->width - 1)) || value >= (int64_t)1 << (8 * reader->width)))
        return typed_refuse(reader, value, err);
    memcpy(reader->at, &bits, reader->width); /* little-endian: the low bytes come first */
    return VECQ_OK;
}

static vecq_status typed_put(typed_reader *reader, uint32_t number, uint64_t value, vecq_error *err)
{
    if (reader->n_left == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "has more data than before");
    if (number == ONNX_TENSOR_INT32_DATA) {
        VECQ_TRY(typed_put_int32(reader, value, err));
    } else {
        if (reader->dtype == VECQ_DT_UINT32 && value > UINT32_MAX)
            return typed_refuse(reader, (int64_t)value, err);
        memcpy(reader->at, &value, reader->width);
    }
    reader->at += reader->width;
    reader->n_left--;
    return VECQ_OK;
}

static vecq_status typed_field_read(typed_reader *reader, const vecq_wire_field *field, vecq_error *err)
{
    vecq_span rest = field->payload;
    uint64_t value, n;

    if (field->type != VECQ_WIRE_BYTES)
        return typed_is_entry(field) ? typed_put(reader, field->number, field->scalar, err) : VECQ_OK;
    if (typed_width(field->number) > 0) { /* packed floats or doubles are dense already */
        n = rest.n / reader->width;
        if (n > reader->n_left)
            return vecq_error_set(err, VECQ_ERR_FORMAT, "has more data than before");
        if (n > 0)
            memcpy(reader->at, rest.data, (size_t)n * reader->width);
        reader->at += n * reader->width;
        reader->n_left -= n;
        return VECQ_OK;
    }
    while (vecq_wire_varint(&rest, &value))
        VECQ_TRY(typed_put(reader, field->number, value, err));
    return VECQ_OK;
}

static vecq_status typed_read(const vecq_tensor_proto *tensor, void *dst, vecq_error *err)
{
    uint32_t number = typed_field(tensor->dtype);
    typed_reader reader = {dst, typed_entries(tensor->dtype, tensor->count), 0, tensor->dtype};
    vecq_span rest = tensor->message;
    vecq_wire_field field;

    if (reader.n_left == 0)
        return VECQ_OK;
    reader.width = vecq_dtype_bytes(tensor->dtype, tensor->count) / (size_t)reader.n_left;
    for (;;) {
        VECQ_TRY(vecq_wire_next(&rest, &field, err));
        if (field.number == 0)
            break;
        if (field.number == number)
            VECQ_TRY(typed_field_read(&reader, &field, err));
    }
    if (reader.n_left > 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "has less data than before");
    return VECQ_OK;
}

vecq_status vecq_tensor_proto_read(const vecq_tensor_proto *tensor, void *dst, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;
    vecq_status status;

    if (tensor->encoding == VECQ_ENC_OPAQUE)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "tensor '%.200s' cannot be read as numbers",
                              tensor->name);
    if (tensor->encoding == VECQ_ENC_RAW) {
        if (tensor->bytes.n > 0)
            memcpy(dst, tensor->bytes.data, tensor->bytes.n);
        return VECQ_OK;
    }
    status = typed_read(tensor, dst, &why);
    return status == VECQ_OK ? VECQ_OK
                             : vecq_error_set(err, status, "tensor '%.200s' %s", tensor->name, why.message);
}
