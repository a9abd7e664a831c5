/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests and the fuzz target of the document layer do with whole files. */
#ifndef VECQ_TESTS_ONNX_DOCUMENT_H
#define VECQ_TESTS_ONNX_DOCUMENT_H

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "onnx/schema.h"
#include "onnx/tensor_proto.h"
#include "onnx/tree.h"

typedef vecq_status (*document_tensor_fn)(void *context, vecq_span message, vecq_error *err);

typedef struct document_item {
    vecq_message *message;
    vecq_schema_type type;
} document_item;

/* Opens every message the schema knows but tensors, which are handed to `tensor` (may be NULL). */
static inline vecq_status document_open_all(vecq_message *root, document_tensor_fn tensor, void *context,
                                            vecq_error *err)
{
    document_item *items = NULL;
    void *grown = NULL;
    size_t n = 0, capacity = 0, i;
    vecq_status status = VECQ_OK;
    document_item item = {root, VECQ_SCHEMA_MODEL};

    for (;;) {
        for (i = 0; i < item.message->n_fields && status == VECQ_OK; i++) {
            const vecq_field *field = &item.message->fields[i];
            const vecq_schema_row *row = vecq_schema_find(item.type, field->number);
            document_item child = {NULL, row->type};

            if (row->kind != VECQ_SCHEMA_MESSAGE)
                continue;
            if (row->type == VECQ_SCHEMA_TENSOR) {
                if (tensor != NULL)
                    status = tensor(context, field->payload, err);
                continue;
            }
            status = vecq_message_open(item.message, i, &child.message, err);
            grown = items;
            if (status == VECQ_OK && !vecq_grow(&grown, &capacity, n, sizeof *items))
                status = vecq_error_memory(err, sizeof *items);
            items = grown;
            if (status == VECQ_OK)
                items[n++] = child;
        }
        if (status != VECQ_OK || n == 0)
            break;
        item = items[--n];
    }
    vecq_free(items);
    return status;
}

/* A sink that collects. */
typedef struct document_bytes {
    uint8_t *data;
    size_t n, capacity;
    size_t n_calls;
} document_bytes;

static inline vecq_status document_collect(void *context, const void *data, size_t n, vecq_error *err)
{
    document_bytes *bytes = context;

    bytes->n_calls++;
    if (bytes->n + n > bytes->capacity) {
        size_t wanted = 2 * bytes->capacity + n;
        uint8_t *fresh = vecq_realloc(bytes->data, bytes->n, wanted, 1);

        if (fresh == NULL)
            return vecq_error_memory(err, wanted);
        bytes->data = fresh;
        bytes->capacity = wanted;
    }
    if (n > 0)
        memcpy(bytes->data + bytes->n, data, n);
    bytes->n += n;
    return VECQ_OK;
}

/* Measures and writes; the size announced must be the size written. bytes->data is from vecq_alloc. */
static inline vecq_status document_write(vecq_message *root, document_bytes *bytes, vecq_error *err)
{
    uint64_t n = vecq_message_measure(root);

    memset(bytes, 0, sizeof *bytes);
    VECQ_TRY(vecq_message_write(root, document_collect, bytes, err));
    if (bytes->n != n)
        return vecq_error_set(err, VECQ_ERR_VERIFY, "%zu bytes are written where %llu were measured",
                              bytes->n, (unsigned long long)n);
    return VECQ_OK;
}

#endif
