/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/tree.h"

#include <assert.h>
#include <string.h>

#include "base/status.h"

/* ---- parsing ---- */

vecq_message *vecq_message_new(vecq_arena *arena)
{
    vecq_message *message = vecq_arena_alloc(arena, 1, sizeof *message);

    if (message != NULL) {
        message->arena = arena;
        message->is_changed = 1;
    }
    return message;
}

static vecq_status tree_count_fields(vecq_span rest, size_t *n, vecq_error *err)
{
    vecq_wire_field field;

    for (*n = 0;; ++*n) {
        VECQ_TRY(vecq_wire_next(&rest, &field, err));
        if (field.number == 0)
            return VECQ_OK;
    }
}

vecq_status vecq_message_parse(vecq_arena *arena, vecq_span bytes, vecq_message **out, vecq_error *err)
{
    vecq_message *message;
    vecq_span rest = bytes;
    size_t n, i;

    *out = NULL;
    VECQ_TRY(tree_count_fields(bytes, &n, err));
    message = vecq_message_new(arena);
    if (message != NULL && n > 0)
        message->fields = vecq_arena_alloc(arena, n, sizeof *message->fields);
    if (message == NULL || (n > 0 && message->fields == NULL))
        return vecq_error_memory(err, sizeof *message + n * sizeof(vecq_field));
    for (i = 0; i < n; i++) {
        vecq_field *field = &message->fields[i];
        vecq_wire_field wire;

        VECQ_TRY(vecq_wire_next(&rest, &wire, err));
        field->number = wire.number;
        field->wire = (uint8_t)wire.type;
        field->raw = wire.raw;
        field->scalar = wire.scalar;
        if (wire.type == VECQ_WIRE_BYTES)
            field->payload = wire.payload;
    }
    message->n_fields = message->capacity = n;
    message->is_changed = 0;
    message->size = bytes.n;
    *out = message;
    return VECQ_OK;
}

vecq_status vecq_message_open(vecq_message *message, size_t index, vecq_message **child, vecq_error *err)
{
    vecq_field *field = &message->fields[index];

    assert(index < message->n_fields);
    *child = NULL;
    if (field->child == NULL) {
        if (field->wire != VECQ_WIRE_BYTES)
            return vecq_error_set(err, VECQ_ERR_FORMAT, "field %u is a number, not a message", field->number);
        VECQ_TRY(vecq_message_parse(message->arena, field->payload, &field->child, err));
        field->child->parent = message;
        field->payload.data = NULL;
        field->payload.n = 0;
    }
    *child = field->child;
    return VECQ_OK;
}

/* ---- looking ---- */

vecq_span vecq_field_content(const vecq_field *field)
{
    vecq_span rest = field->raw, none = {NULL, 0};
    vecq_wire_field wire;

    if (field->is_new || field->wire != VECQ_WIRE_BYTES || vecq_wire_next(&rest, &wire, NULL) != VECQ_OK)
        return none;
    return wire.payload;
}

size_t vecq_message_find(const vecq_message *message, uint32_t number, size_t from)
{
    size_t i;

    for (i = from; i < message->n_fields; i++)
        if (message->fields[i].number == number && !message->fields[i].is_dropped)
            return i;
    return message->n_fields;
}

size_t vecq_message_last(const vecq_message *message, uint32_t number)
{
    size_t i;

    for (i = message->n_fields; i-- > 0;)
        if (message->fields[i].number == number && !message->fields[i].is_dropped)
            return i;
    return message->n_fields;
}

uint64_t vecq_message_scalar(const vecq_message *message, uint32_t number, uint64_t missing)
{
    size_t i = vecq_message_last(message, number);

    if (i == message->n_fields || message->fields[i].wire == VECQ_WIRE_BYTES)
        return missing;
    return message->fields[i].scalar;
}

vecq_span vecq_message_bytes(const vecq_message *message, uint32_t number)
{
    size_t i = vecq_message_last(message, number);
    vecq_span none = {NULL, 0};

    return i < message->n_fields ? message->fields[i].payload : none;
}

/* ---- editing ---- */

/* A changed message has only changed ancestors, so the first changed one ends the way up. */
static void tree_mark(vecq_message *message)
{
    while (message != NULL && !message->is_changed) {
        message->is_changed = 1;
        message = message->parent;
    }
}

/* Opens a gap of n zeroed new fields of one number; NULL when memory is out. */
static vecq_field *tree_gap(vecq_message *message, size_t at, size_t n, uint32_t number, vecq_wire wire)
{
    vecq_field *gap;
    size_t needed, i;

    if (at > message->n_fields)
        at = message->n_fields;
    if (!vecq_add_size(message->n_fields, n, &needed))
        return NULL;
    if (needed > message->capacity) {
        size_t wanted = 4;
        vecq_field *fresh;

        if (message->capacity > 0 && !vecq_mul_size(message->capacity, 2, &wanted))
            return NULL;
        wanted = wanted < needed ? needed : wanted;
        fresh = vecq_arena_alloc(message->arena, wanted, sizeof *fresh);
        if (fresh == NULL)
            return NULL;
        if (message->n_fields > 0)
            memcpy(fresh, message->fields, message->n_fields * sizeof *fresh);
        message->fields = fresh;
        message->capacity = wanted;
    }
    gap = message->fields + at;
    memmove(gap + n, gap, (message->n_fields - at) * sizeof *gap);
    memset(gap, 0, n * sizeof *gap);
    for (i = 0; i < n; i++) {
        gap[i].number = number;
        gap[i].wire = (uint8_t)wire;
        gap[i].is_new = 1;
    }
    message->n_fields = needed;
    tree_mark(message);
    return gap;
}

int vecq_message_insert_scalar(vecq_message *message, size_t at, uint32_t number, uint64_t value)
{
    vecq_field *field = tree_gap(message, at, 1, number, VECQ_WIRE_VARINT);

    if (field != NULL)
        field->scalar = value;
    return field != NULL;
}

int vecq_message_insert_fixed32(vecq_message *message, size_t at, uint32_t number, uint32_t bits)
{
    vecq_field *field = tree_gap(message, at, 1, number, VECQ_WIRE_FIXED32);

    if (field != NULL)
        field->scalar = bits;
    return field != NULL;
}

int vecq_message_insert_bytes(vecq_message *message, size_t at, uint32_t number, vecq_span payload)
{
    vecq_field *field = tree_gap(message, at, 1, number, VECQ_WIRE_BYTES);

    if (field != NULL)
        field->payload = payload;
    return field != NULL;
}

int vecq_message_insert_string(vecq_message *message, size_t at, uint32_t number, const char *text)
{
    vecq_span payload = {(const uint8_t *)text, strlen(text)};

    return vecq_message_insert_bytes(message, at, number, payload);
}

int vecq_message_insert_children(vecq_message *message, size_t at, uint32_t number,
                                 vecq_message *const *children, size_t n)
{
    vecq_field *fields;
    size_t i;

    if (n == 0)
        return 1;
    fields = tree_gap(message, at, n, number, VECQ_WIRE_BYTES);
    if (fields == NULL)
        return 0;
    for (i = 0; i < n; i++) {
        fields[i].child = children[i];
        children[i]->parent = message;
    }
    return 1;
}

int vecq_message_insert_child(vecq_message *message, size_t at, uint32_t number, vecq_message *child)
{
    return vecq_message_insert_children(message, at, number, &child, 1);
}

static void tree_renew(vecq_message *message, vecq_field *field, vecq_wire wire)
{
    vecq_field fresh = {.number = field->number, .wire = (uint8_t)wire, .is_new = 1};

    *field = fresh;
    tree_mark(message);
}

int vecq_message_set_scalar(vecq_message *message, uint32_t number, uint64_t value)
{
    size_t i = vecq_message_last(message, number);

    if (i == message->n_fields)
        return vecq_message_insert_scalar(message, SIZE_MAX, number, value);
    tree_renew(message, &message->fields[i], VECQ_WIRE_VARINT);
    message->fields[i].scalar = value;
    return 1;
}

int vecq_message_set_bytes(vecq_message *message, size_t index, vecq_span payload)
{
    assert(index < message->n_fields);
    tree_renew(message, &message->fields[index], VECQ_WIRE_BYTES);
    message->fields[index].payload = payload;
    return 1;
}

void vecq_message_drop(vecq_message *message, size_t index)
{
    assert(index < message->n_fields);
    message->fields[index].is_dropped = 1;
    tree_mark(message);
}

/* ---- measuring ---- */

/* Whether a field is written from its child, and not from bytes. */
static int tree_is_descended(const vecq_field *field)
{
    return field->child != NULL && (field->is_new || field->child->is_changed);
}

static size_t tree_tag(const vecq_field *field, uint8_t *out)
{
    return vecq_wire_put_varint(out, (uint64_t)field->number << 3 | field->wire);
}

/* Bytes before the content of a field that has no raw form: tag, and length or number. */
#define TREE_HEAD_MAX 20u
static size_t tree_head(const vecq_field *field, uint64_t n_content, uint8_t *out)
{
    size_t n = tree_tag(field, out), i;

    if (field->wire == VECQ_WIRE_BYTES)
        return n + vecq_wire_put_varint(out + n, n_content);
    if (field->wire == VECQ_WIRE_VARINT)
        return n + vecq_wire_put_varint(out + n, field->scalar);
    for (i = 0; i < (field->wire == VECQ_WIRE_FIXED64 ? 8u : 4u); i++)
        out[n++] = (uint8_t)(field->scalar >> (8 * i));
    return n;
}

static uint64_t tree_field_size(const vecq_field *field)
{
    uint8_t head[TREE_HEAD_MAX];

    if (!field->is_new)
        return field->raw.n;
    return tree_head(field, field->payload.n, head) + field->payload.n;
}

static void measure_begin(vecq_message *message, vecq_message *back)
{
    message->cursor = 0;
    message->back = back;
    message->size = 0;
    message->height = 1;
}

uint64_t vecq_message_measure(vecq_message *root)
{
    vecq_message *message = root;

    measure_begin(root, NULL);
    for (;;) {
        if (message->cursor < message->n_fields) {
            vecq_field *field = &message->fields[message->cursor++];

            if (field->is_dropped)
                continue;
            if (tree_is_descended(field)) {
                measure_begin(field->child, message);
                message = field->child;
            } else {
                message->size += tree_field_size(field);
            }
        } else if (message->back == NULL) {
            return message->size;
        } else {
            vecq_message *up = message->back;
            uint8_t head[TREE_HEAD_MAX];

            up->size += tree_head(&up->fields[up->cursor - 1], message->size, head) + message->size;
            if (up->height <= message->height)
                up->height = message->height + 1;
            message = up;
        }
    }
}

/* ---- writing ---- */

typedef struct writer_frame {
    const vecq_message *message;
    size_t next; /* field */
} writer_frame;

typedef struct tree_writer {
    vecq_sink_fn sink;
    void *context;
    vecq_span pending; /* bytes not handed on yet: the next ones may follow them in memory */
    vecq_error *err;
} tree_writer;

static vecq_status writer_flush(tree_writer *w)
{
    vecq_span bytes = w->pending;

    w->pending.n = 0;
    return bytes.n > 0 ? w->sink(w->context, bytes.data, bytes.n, w->err) : VECQ_OK;
}

static vecq_status writer_put(tree_writer *w, vecq_span bytes)
{
    if (bytes.n == 0)
        return VECQ_OK;
    if (w->pending.n > 0 && w->pending.data + w->pending.n == bytes.data) {
        w->pending.n += bytes.n;
        return VECQ_OK;
    }
    VECQ_TRY(writer_flush(w));
    w->pending = bytes;
    return VECQ_OK;
}

static vecq_status writer_head(tree_writer *w, const vecq_field *field, uint64_t n_content)
{
    uint8_t head[TREE_HEAD_MAX];
    size_t n = tree_head(field, n_content, head);

    VECQ_TRY(writer_flush(w));
    return w->sink(w->context, head, n, w->err);
}

static vecq_status writer_field(tree_writer *w, const vecq_field *field)
{
    if (!field->is_new)
        return writer_put(w, field->raw);
    VECQ_TRY(writer_head(w, field, field->payload.n));
    return writer_put(w, field->payload);
}

static vecq_status writer_walk(tree_writer *w, writer_frame *frames, size_t n_frames)
{
    size_t depth = 0;

    for (;;) {
        writer_frame *frame = &frames[depth];
        const vecq_field *field;

        if (frame->next == frame->message->n_fields) {
            if (depth == 0)
                return writer_flush(w);
            depth--;
            continue;
        }
        field = &frame->message->fields[frame->next++];
        if (field->is_dropped)
            continue;
        if (!tree_is_descended(field)) {
            VECQ_TRY(writer_field(w, field));
            continue;
        }
        VECQ_TRY(writer_head(w, field, field->child->size));
        if (++depth >= n_frames)
            return vecq_error_set(w->err, VECQ_ERR_USAGE, "message was changed after it was measured");
        frames[depth].message = field->child;
        frames[depth].next = 0;
    }
}

vecq_status vecq_message_write(const vecq_message *message, vecq_sink_fn sink, void *context, vecq_error *err)
{
    tree_writer w = {sink, context, {NULL, 0}, err};
    size_t n_frames = message->height > 0 ? message->height : 1;
    writer_frame *frames = vecq_alloc(n_frames, sizeof *frames);
    vecq_status status;

    if (frames == NULL)
        return vecq_error_memory(err, n_frames * sizeof *frames);
    frames[0].message = message;
    frames[0].next = 0;
    status = writer_walk(&w, frames, n_frames);
    vecq_free(frames);
    return status;
}
