/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document layer of ONNX on arbitrary bytes: check, tree with everything opened, all tensors, and back.
 * What passes the check must open without errors, come back byte for byte, and after an edit still pass the
 * check.
 */
#include <stdlib.h>

#include "onnx_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

typedef struct fuzz {
    vecq_arena arena;
    vecq_external external;
} fuzz;

/* A refused tensor is fine; one that is accepted must be readable. */
static vecq_status fuzz_tensor(void *context, vecq_span message, vecq_error *err)
{
    fuzz *f = context;
    vecq_tensor_proto tensor;
    vecq_error why = VECQ_ERROR_INIT;
    vecq_status status = vecq_tensor_proto_parse(&f->arena, &f->external, message, &tensor, &why);

    (void)err;
    REQUIRE((status == VECQ_OK) == (why.message[0] == '\0'));
    if (status == VECQ_OK && tensor.encoding != VECQ_ENC_OPAQUE) {
        size_t n = vecq_dtype_bytes(tensor.dtype, tensor.count);
        uint8_t *bytes = vecq_alloc(n, 1); /* the data lies in the file: n is of its order */

        REQUIRE(bytes != NULL);
        status = vecq_tensor_proto_read(&tensor, bytes, NULL);
        REQUIRE(status == VECQ_OK || (status == VECQ_ERR_FORMAT && tensor.encoding == VECQ_ENC_TYPED));
        vecq_free(bytes);
    }
    return VECQ_OK;
}

static void fuzz_same(vecq_message *root, vecq_span file)
{
    document_bytes out;

    REQUIRE(document_write(root, &out, NULL) == VECQ_OK);
    REQUIRE(out.n == file.n && memcmp(out.data, file.data, out.n) == 0);
    vecq_free(out.data);
}

/* What a writer of models does: a node in front, another opset, one initializer gone. */
static void fuzz_edit(fuzz *f, vecq_message *root)
{
    static const char *const names[] = {"a", "b"};
    vecq_message *graph, *node = vecq_onnx_node(&f->arena, "Op", "ai.vecq", "n", names, 2, names, 1);
    vecq_message *again;
    document_bytes out;
    vecq_span span;
    size_t i;

    REQUIRE(node != NULL && vecq_onnx_node_int(node, "i", -1));
    REQUIRE(vecq_message_open(root, vecq_message_find(root, ONNX_MODEL_GRAPH, 0), &graph, NULL) == VECQ_OK);
    REQUIRE(vecq_message_insert_children(graph, 0, ONNX_GRAPH_NODE, &node, 1));
    i = vecq_message_find(graph, ONNX_GRAPH_INITIALIZER, 0);
    if (i < graph->n_fields)
        vecq_message_drop(graph, i);
    REQUIRE(vecq_message_set_scalar(root, ONNX_MODEL_IR_VERSION, 8));
    REQUIRE(document_write(root, &out, NULL) == VECQ_OK);
    span.data = out.data;
    span.n = out.n;
    {
        const vecq_wire_limits limits = {100, UINT64_MAX};

        REQUIRE(vecq_wire_check_model(span, &limits, NULL) == VECQ_OK);
    }
    REQUIRE(vecq_message_parse(&f->arena, span, &again, NULL) == VECQ_OK);
    REQUIRE(vecq_message_scalar(again, ONNX_MODEL_IR_VERSION, 0) == 8);
    fuzz_same(again, span);
    vecq_free(out.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vecq_span file = {data, n};
    fuzz f = {{0}, {0}};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_message *root;
    vecq_status status;

    status = vecq_wire_check_model(file, NULL, &err);
    REQUIRE(status == VECQ_OK || status == VECQ_ERR_FORMAT);
    REQUIRE((status == VECQ_OK) == (err.message[0] == '\0'));
    if (status == VECQ_OK) {
        vecq_external_init(&f.external, NULL);
        REQUIRE(vecq_message_parse(&f.arena, file, &root, &err) == VECQ_OK);
        fuzz_same(root, file);
        REQUIRE(document_open_all(root, fuzz_tensor, &f, &err) == VECQ_OK);
        fuzz_same(root, file);
        fuzz_edit(&f, root);
        vecq_external_clear(&f.external);
        vecq_arena_clear(&f.arena);
    }
    return 0;
}
