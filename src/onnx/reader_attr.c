/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes and the tensors in them: typed values read straight from the wire. */
#include <string.h>

#include "base/status.h"
#include "onnx/reader_private.h"
#include "onnx/schema.h"

/* ---- constants ---- */

static vecq_status const_read(const vecq_const *constant, void *dst, vecq_error *err)
{
    const vecq_origin *origin = constant->origin;

    return vecq_tensor_proto_read(origin->tensor, dst, err);
}

/* Where the data can be used as they lie there. */
static const void *const_bytes(const vecq_tensor_proto *tensor)
{
    size_t size = vecq_dtype_bytes(tensor->dtype, 1);

    if (tensor->encoding != VECQ_ENC_RAW || size == 0 || (uintptr_t)tensor->bytes.data % size != 0)
        return NULL;
    return tensor->bytes.data;
}

vecq_status vecq_reader_tensor(vecq_reader *r, vecq_message *parent, size_t field, vecq_span bytes,
                               vecq_const **out)
{
    vecq_document *doc = r->doc;
    vecq_tensor_proto *tensor = vecq_arena_alloc(&doc->arena, 1, sizeof *tensor);
    vecq_origin *origin = vecq_arena_alloc(&doc->arena, 1, sizeof *origin);
    vecq_const *c = vecq_arena_alloc(&doc->ir.arena, 1, sizeof *c);

    if (tensor == NULL || origin == NULL || c == NULL)
        return vecq_reader_oom(r);
    VECQ_TRY(vecq_tensor_proto_parse(&doc->arena, &doc->external, bytes, tensor, r->err));
    origin->parent = parent;
    origin->field = field;
    origin->tensor = tensor;
    c->dtype = tensor->dtype;
    c->rank = tensor->rank;
    memcpy(c->dims, tensor->dims, sizeof c->dims);
    c->count = tensor->count;
    c->n_stored = tensor->n_stored;
    doc->ir.n_source += tensor->is_external ? tensor->n_stored : 0;
    c->is_external = tensor->is_external;
    c->is_opaque = tensor->encoding == VECQ_ENC_OPAQUE;
    c->origin = origin;
    c->bytes = const_bytes(tensor);
    c->read = const_read;
    *out = c;
    return VECQ_OK;
}

/* ---- attributes ---- */

/* Elements of a repeated scalar, packed or not: each occurrence adds payload.n / width, or one. */
typedef struct repeated {
    int64_t *ints;
    float *floats;
    size_t n, capacity;
} repeated;

static vecq_status repeated_add(vecq_reader *r, repeated *list, int is_float, uint64_t scalar)
{
    void **items = is_float ? (void **)&list->floats : (void **)&list->ints;
    uint32_t bits = (uint32_t)scalar;

    if (list->n > 0 && *items == NULL)
        return vecq_error_set(r->err, VECQ_ERR_FORMAT, "an attribute holds both floats and integers");
    if (!vecq_grow(items, &list->capacity, list->n, is_float ? sizeof *list->floats : sizeof *list->ints))
        return vecq_reader_oom(r);
    if (is_float)
        memcpy(&list->floats[list->n++], &bits, sizeof bits);
    else
        list->ints[list->n++] = (int64_t)scalar;
    return VECQ_OK;
}

static vecq_status repeated_field(vecq_reader *r, repeated *list, int is_float, const vecq_wire_field *field)
{
    vecq_span rest = field->payload;

    if (field->type != VECQ_WIRE_BYTES)
        return repeated_add(r, list, is_float, field->scalar);
    while (rest.n > 0) {
        uint64_t value = 0;

        if (is_float) {
            uint32_t bits;
            if (rest.n < 4)
                return vecq_error_set(r->err, VECQ_ERR_FORMAT, "a packed list of floats is cut off");
            memcpy(&bits, rest.data, 4);
            value = bits;
            rest.data += 4;
            rest.n -= 4;
        } else if (!vecq_wire_varint(&rest, &value)) {
            return vecq_error_set(r->err, VECQ_ERR_FORMAT, "a packed list of integers is cut off");
        }
        VECQ_TRY(repeated_add(r, list, is_float, value));
    }
    return VECQ_OK;
}

/* IR version 1 and 2 had no type field: it follows from what is there. */
static vecq_attr_type attr_guess(const vecq_attr *attr, uint64_t seen)
{
    static const struct {
        unsigned field;
        vecq_attr_type type;
    } rows[] = {{ONNX_ATTR_F, VECQ_ATTR_FLOAT},         {ONNX_ATTR_I, VECQ_ATTR_INT},
                {ONNX_ATTR_S, VECQ_ATTR_STRING},        {ONNX_ATTR_T, VECQ_ATTR_TENSOR},
                {ONNX_ATTR_G, VECQ_ATTR_GRAPH},         {ONNX_ATTR_FLOATS, VECQ_ATTR_FLOATS},
                {ONNX_ATTR_INTS, VECQ_ATTR_INTS},       {ONNX_ATTR_STRINGS, VECQ_ATTR_STRINGS},
                {ONNX_ATTR_TENSORS, VECQ_ATTR_TENSORS}, {ONNX_ATTR_GRAPHS, VECQ_ATTR_GRAPHS}};
    size_t i;

    if (attr->type != VECQ_ATTR_UNDEFINED)
        return attr->type > VECQ_ATTR_GRAPHS ? VECQ_ATTR_OTHER : attr->type;
    for (i = 0; i < sizeof rows / sizeof *rows; i++)
        if (seen >> rows[i].field & 1u)
            return rows[i].type;
    return VECQ_ATTR_UNDEFINED;
}

static vecq_status attr_strings(vecq_reader *r, vecq_span bytes, vecq_attr *attr)
{
    vecq_span *items = NULL;
    vecq_wire_field f;
    int pass;

    for (pass = 0; pass < 2; pass++) { /* count, then keep */
        vecq_span rest = bytes;

        attr->n = 0;
        for (;;) {
            VECQ_TRY(vecq_wire_next(&rest, &f, r->err));
            if (f.number == 0)
                break;
            if (f.number != ONNX_ATTR_STRINGS)
                continue;
            if (pass == 1)
                items[attr->n] = f.payload;
            attr->n++;
        }
        if (pass == 0 && (items = vecq_arena_alloc(&r->doc->ir.arena, attr->n, sizeof *items)) == NULL)
            return vecq_reader_oom(r);
    }
    attr->strings = items;
    return VECQ_OK;
}

static vecq_status attr_nested(vecq_reader *r, vecq_message *node_message, size_t field, vecq_node *node,
                               vecq_attr *attr)
{
    vecq_reader_list graphs = {0};
    vecq_status status = VECQ_OK;
    vecq_message *message, *child;
    size_t i;

    VECQ_TRY(vecq_message_open(node_message, field, &message, r->err));
    for (i = 0; i < message->n_fields && status == VECQ_OK; i++) {
        vecq_graph *graph;

        if ((message->fields[i].number != ONNX_ATTR_G && message->fields[i].number != ONNX_ATTR_GRAPHS) ||
            message->fields[i].wire != VECQ_WIRE_BYTES)
            continue;
        status = vecq_message_open(message, i, &child, r->err);
        if (status == VECQ_OK)
            status = vecq_reader_graph(r, child, i, node->graph, node, &graph);
        if (status == VECQ_OK)
            status = vecq_reader_add(r, &graphs, graph);
    }
    if (status == VECQ_OK)
        status = vecq_reader_finish(r, &graphs, &attr->graphs, &attr->n);
    vecq_free(graphs.items);
    return status;
}

vecq_status vecq_reader_attr(vecq_reader *r, vecq_message *node_message, size_t at, vecq_node *node,
                             vecq_attr *attr)
{
    vecq_span rest = node_message->fields[at].payload;
    vecq_wire_field f;
    vecq_status status = VECQ_OK;
    repeated list = {0};
    uint64_t seen = 0;
    vecq_span tensor = {0};

    attr->name = "";
    while (status == VECQ_OK) {
        status = vecq_wire_next(&rest, &f, r->err);
        if (status != VECQ_OK || f.number == 0)
            break;
        if (f.number < 64)
            seen |= (uint64_t)1 << f.number;
        switch (f.number) {
        case ONNX_ATTR_NAME:
            status = vecq_reader_string(r, f.payload, &attr->name);
            break;
        case ONNX_ATTR_REF_ATTR_NAME:
            if (f.payload.n > 0)
                status = vecq_reader_string(r, f.payload, &attr->reference);
            break;
        case ONNX_ATTR_TYPE:
            attr->type = (vecq_attr_type)(f.scalar <= INT32_MAX ? f.scalar : INT32_MAX);
            break;
        case ONNX_ATTR_F: {
            uint32_t bits = (uint32_t)f.scalar;
            memcpy(&attr->f, &bits, sizeof bits);
            break;
        }
        case ONNX_ATTR_I:
            attr->i = (int64_t)f.scalar;
            break;
        case ONNX_ATTR_S:
            attr->s = f.payload;
            break;
        case ONNX_ATTR_T:
            tensor = f.payload;
            break;
        case ONNX_ATTR_FLOATS:
        case ONNX_ATTR_INTS:
            status = repeated_field(r, &list, f.number == ONNX_ATTR_FLOATS, &f);
            break;
        default:
            break;
        }
    }
    attr->type = attr_guess(attr, seen);
    if (status == VECQ_OK && list.n > 0) {
        size_t size = list.floats != NULL ? sizeof *list.floats : sizeof *list.ints;
        void *items = vecq_arena_alloc(&r->doc->ir.arena, list.n, size);

        if (items == NULL)
            status = vecq_reader_oom(r);
        else
            memcpy(items, list.floats != NULL ? (void *)list.floats : (void *)list.ints, list.n * size);
        attr->floats = list.floats != NULL ? items : NULL;
        attr->ints = list.ints != NULL ? items : NULL;
        attr->n = list.n;
    }
    vecq_free(list.floats);
    vecq_free(list.ints);
    if (status != VECQ_OK)
        return status;
    if ((attr->type == VECQ_ATTR_INTS && attr->floats != NULL) ||
        (attr->type == VECQ_ATTR_FLOATS && attr->ints != NULL))
        return vecq_error_set(r->err, VECQ_ERR_FORMAT,
                              "attribute '%s' holds numbers of another type than its own", attr->name);
    if (attr->type == VECQ_ATTR_STRINGS)
        return attr_strings(r, node_message->fields[at].payload, attr);
    if (attr->type == VECQ_ATTR_TENSOR && attr->reference == NULL)
        return vecq_reader_tensor(r, node_message, at, tensor, &attr->tensor);
    if (attr->type == VECQ_ATTR_GRAPH || attr->type == VECQ_ATTR_GRAPHS)
        return attr_nested(r, node_message, at, node, attr);
    return VECQ_OK;
}
