/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "onnx/schema.h"
#include "onnx/wire.h"

#define CHECK_PATH_MAX 200u

/* A message that is being walked. */
typedef struct check_frame {
    vecq_schema_type type;
    uint32_t number; /* field of the parent that holds it */
    uint32_t seen;   /* bit per field number: singular messages that occurred */
    vecq_span all;   /* content */
    vecq_span rest;  /* what is left of it */
    uint64_t n_bulk; /* attribute: bulk fields so far, not counted yet */
    int holds_graph; /* attribute: will be opened, so that bulk fields count */
} check_frame;

typedef struct check {
    vecq_span file;
    vecq_wire_limits limits;
    check_frame *frames; /* limits.max_depth + 1 of them */
    size_t depth;        /* index of the frame at work */
    uint64_t n_objects;
    vecq_error *err;
} check;

/* ---- messages ---- */

/* How many fields of the same number stand before the child in its parent. */
static size_t check_index(const check_frame *parent, const check_frame *child)
{
    vecq_span rest = parent->all;
    vecq_wire_field field;
    size_t index = 0;

    while (vecq_wire_next(&rest, &field, NULL) == VECQ_OK && field.number != 0) {
        if (field.number != child->number)
            continue;
        if (field.payload.data + field.payload.n == child->all.data + child->all.n)
            break;
        index++;
    }
    return index;
}

/* "graph.node[3].attribute[0]"; deep ones are cut. */
static void check_path(const check *c, char *path)
{
    size_t used = 0, i;

    path[0] = '\0';
    for (i = 1; i <= c->depth; i++) {
        const vecq_schema_row *row = vecq_schema_find(c->frames[i - 1].type, c->frames[i].number);
        int n;

        if (row->is_repeated)
            n = snprintf(path + used, CHECK_PATH_MAX - used, "%s%s[%zu]", used > 0 ? "." : "", row->name,
                         check_index(&c->frames[i - 1], &c->frames[i]));
        else
            n = snprintf(path + used, CHECK_PATH_MAX - used, "%s%s", used > 0 ? "." : "", row->name);
        if (n < 0 || (size_t)n >= CHECK_PATH_MAX - used) {
            memcpy(path + CHECK_PATH_MAX - 4, "...", 4);
            return;
        }
        used += (size_t)n;
    }
}

/* Where a field lies, then what is wrong with it. */
static vecq_status check_fail(const check *c, const uint8_t *at, const char *what)
{
    char path[CHECK_PATH_MAX];

    check_path(c, path);
    return vecq_error_set(c->err, VECQ_ERR_FORMAT, "not a sound ONNX model: byte %zu%s%s: %s",
                          (size_t)(at - c->file.data), c->depth > 0 ? " in " : "", path, what);
}

static vecq_status check_fail_field(const check *c, const vecq_wire_field *field, const vecq_schema_row *row,
                                    const char *what)
{
    char text[160];

    snprintf(text, sizeof text, "field %s (%u) %s", row->name, field->number, what);
    return check_fail(c, field->raw.data, text);
}

/* ---- fields ---- */

static vecq_status check_objects(check *c, const uint8_t *at, uint64_t n)
{
    char text[96];

    c->n_objects += n;
    if (c->n_objects <= c->limits.max_objects)
        return VECQ_OK;
    snprintf(text, sizeof text, "more than %llu messages and fields",
             (unsigned long long)c->limits.max_objects);
    return check_fail(c, at, text);
}

static int check_packed_varints(vecq_span rest)
{
    uint64_t value;

    while (rest.n > 0)
        if (!vecq_wire_varint(&rest, &value))
            return 0;
    return 1;
}

static vecq_status check_scalar(const check *c, const vecq_wire_field *field, const vecq_schema_row *row)
{
    vecq_wire fits = row->kind == VECQ_SCHEMA_INT     ? VECQ_WIRE_VARINT
                     : row->kind == VECQ_SCHEMA_FLOAT ? VECQ_WIRE_FIXED32
                                                      : VECQ_WIRE_FIXED64;

    if (field->type == fits)
        return VECQ_OK;
    if (field->type != VECQ_WIRE_BYTES || !row->is_repeated)
        return check_fail_field(c, field, row, "has the wrong wire type");
    if (fits == VECQ_WIRE_VARINT ? !check_packed_varints(field->payload)
                                 : field->payload.n % (fits == VECQ_WIRE_FIXED32 ? 4 : 8) != 0)
        return check_fail_field(c, field, row, "holds damaged packed numbers");
    return VECQ_OK;
}

static vecq_status check_enter(check *c, const vecq_wire_field *field, const vecq_schema_row *row)
{
    check_frame *frame = &c->frames[c->depth];
    char text[64];

    if (!row->is_repeated) {
        if (frame->seen >> field->number & 1)
            return check_fail_field(c, field, row, "occurs twice");
        frame->seen |= (uint32_t)1 << field->number;
    }
    if (frame->type == VECQ_SCHEMA_ATTRIBUTE && row->type == VECQ_SCHEMA_GRAPH)
        frame->holds_graph = 1;
    if (c->depth == c->limits.max_depth) {
        snprintf(text, sizeof text, "messages nested more than %u levels deep", c->limits.max_depth);
        return check_fail(c, field->raw.data, text);
    }
    VECQ_TRY(check_objects(c, field->raw.data, 1));
    frame = &c->frames[++c->depth];
    memset(frame, 0, sizeof *frame);
    frame->type = row->type;
    frame->number = field->number;
    frame->all = frame->rest = field->payload;
    return VECQ_OK;
}

/* Messages of these types become trees: each of their fields takes memory. */
static int check_is_opened(vecq_schema_type type)
{
    return type == VECQ_SCHEMA_MODEL || type == VECQ_SCHEMA_GRAPH || type == VECQ_SCHEMA_NODE ||
           type == VECQ_SCHEMA_ATTRIBUTE || type == VECQ_SCHEMA_FUNCTION || type == VECQ_SCHEMA_OPSET ||
           type == VECQ_SCHEMA_ENTRY || type == VECQ_SCHEMA_VALUE_INFO;
}

static vecq_status check_field(check *c, const vecq_wire_field *field)
{
    check_frame *frame = &c->frames[c->depth];
    const vecq_schema_row *row = vecq_schema_find(frame->type, field->number);

    if (frame->type == VECQ_SCHEMA_ATTRIBUTE && (row->is_bulk || row->kind == VECQ_SCHEMA_UNKNOWN))
        frame->n_bulk++;
    else if (check_is_opened(frame->type) && row->kind != VECQ_SCHEMA_MESSAGE)
        VECQ_TRY(check_objects(c, field->raw.data, 1));
    switch (row->kind) {
    case VECQ_SCHEMA_UNKNOWN:
        return VECQ_OK;
    case VECQ_SCHEMA_INT:
    case VECQ_SCHEMA_FLOAT:
    case VECQ_SCHEMA_DOUBLE:
        return check_scalar(c, field, row);
    default:
        break;
    }
    if (field->type != VECQ_WIRE_BYTES)
        return check_fail_field(c, field, row, "has the wrong wire type");
    if (row->kind == VECQ_SCHEMA_STRING && field->payload.n > 0 &&
        memchr(field->payload.data, 0, field->payload.n) != NULL)
        return check_fail_field(c, field, row, "holds a NUL byte");
    return row->kind == VECQ_SCHEMA_MESSAGE ? check_enter(c, field, row) : VECQ_OK;
}

static vecq_status check_fail_wire(const check *c, vecq_span rest)
{
    vecq_error bad = VECQ_ERROR_INIT;
    vecq_wire_field field;
    const uint8_t *at = rest.data;

    vecq_wire_next(&rest, &field, &bad);
    return check_fail(c, at, bad.message);
}

/* Depth-first; ends when the model itself is through. */
static vecq_status check_walk(check *c)
{
    for (;;) {
        check_frame *frame = &c->frames[c->depth];
        vecq_wire_field field;

        if (vecq_wire_next(&frame->rest, &field, NULL) != VECQ_OK)
            return check_fail_wire(c, frame->rest);
        if (field.number != 0) {
            VECQ_TRY(check_field(c, &field));
            continue;
        }
        if (frame->holds_graph)
            VECQ_TRY(check_objects(c, frame->rest.data, frame->n_bulk));
        if (c->depth == 0)
            return VECQ_OK;
        c->depth--;
    }
}

vecq_status vecq_wire_check_model(vecq_span file, const vecq_wire_limits *limits, vecq_error *err)
{
    static const vecq_wire_limits defaults = VECQ_WIRE_LIMITS_DEFAULT;
    check c = {file, limits != NULL ? *limits : defaults, NULL, 0, 0, err};
    vecq_status status;

    if (file.n == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "not an ONNX model: the file is empty");
    c.frames = vecq_calloc((size_t)c.limits.max_depth + 1, sizeof *c.frames);
    if (c.frames == NULL)
        return vecq_error_memory(err, ((size_t)c.limits.max_depth + 1) * sizeof *c.frames);
    c.frames[0].type = VECQ_SCHEMA_MODEL;
    c.frames[0].all = c.frames[0].rest = file;
    status = check_walk(&c);
    if (status == VECQ_OK && (c.frames[0].seen >> ONNX_MODEL_GRAPH & 1) == 0)
        status = vecq_error_set(err, VECQ_ERR_FORMAT, "not an ONNX model: there is no graph in it");
    vecq_free(c.frames);
    return status;
}
