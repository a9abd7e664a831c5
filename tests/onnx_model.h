/* SPDX-License-Identifier: Apache-2.0 */
/* Small models made on the spot, and checks of the public model API. Include after vecq_test.h. */
#ifndef VECQ_TESTS_ONNX_MODEL_H
#define VECQ_TESTS_ONNX_MODEL_H

#include "onnx_document.h"
#include "tensor/tensor.h"
#include "vecq/vecq.h"

/* A model under construction; names, dims and data are borrowed until model_bytes(). */
typedef struct model_build {
    vecq_arena arena;
    vecq_message *model, *graph;
} model_build;

static inline void model_begin(model_build *b, int64_t ir, int64_t opset)
{
    memset(b, 0, sizeof *b);
    b->model = vecq_message_new(&b->arena);
    b->graph = vecq_message_new(&b->arena);
    assert_true(vecq_message_insert_scalar(b->model, SIZE_MAX, ONNX_MODEL_IR_VERSION, (uint64_t)ir));
    assert_true(vecq_message_insert_child(b->model, SIZE_MAX, ONNX_MODEL_GRAPH, b->graph));
    assert_true(vecq_message_insert_child(b->model, SIZE_MAX, ONNX_MODEL_OPSET_IMPORT,
                                          vecq_onnx_opset(&b->arena, "", opset)));
}

static inline void model_import(model_build *b, const char *domain, int64_t version)
{
    assert_true(vecq_message_insert_child(b->model, SIZE_MAX, ONNX_MODEL_OPSET_IMPORT,
                                          vecq_onnx_opset(&b->arena, domain, version)));
}

/* Names separated by blanks; "-" is an omitted one. */
static inline size_t model_names(model_build *b, const char *text, const char **names)
{
    size_t n = 0;

    while (*text != '\0') {
        size_t part = strcspn(text, " ");

        assert_true(n < 16);
        names[n++] = part == 1 && *text == '-' ? "" : vecq_arena_string(&b->arena, text, part);
        text += part + (text[part] == ' ');
    }
    return n;
}

/* A node of the main graph. */
static inline vecq_message *model_node_of(model_build *b, const char *domain, const char *op_type,
                                          const char *inputs, const char *outputs)
{
    const char *in[16], *out[16];
    size_t n_in = model_names(b, inputs, in), n_out = model_names(b, outputs, out);
    vecq_message *node = vecq_onnx_node(&b->arena, op_type, domain, "", in, n_in, out, n_out);

    assert_non_null(node);
    assert_true(vecq_message_insert_child(b->graph, SIZE_MAX, ONNX_GRAPH_NODE, node));
    return node;
}

static inline vecq_message *model_node(model_build *b, const char *op_type, const char *inputs,
                                       const char *outputs)
{
    return model_node_of(b, "", op_type, inputs, outputs);
}

static inline void model_formal(model_build *b, uint32_t number, const char *name)
{
    vecq_message *info = vecq_message_new(&b->arena);

    assert_true(vecq_message_insert_string(info, SIZE_MAX, ONNX_VALUE_INFO_NAME, name));
    assert_true(vecq_message_insert_child(b->graph, SIZE_MAX, number, info));
}

/* A formal with a tensor type; a dimension of -1 is the symbol "N", one of -2 says nothing. rank < 0: without
 * a shape. */
static inline void model_formal_of(model_build *b, uint32_t number, const char *name, int64_t dtype, int rank,
                                   const int64_t *dims)
{
    vecq_message *info = vecq_message_new(&b->arena), *type = vecq_message_new(&b->arena);
    vecq_message *tensor = vecq_message_new(&b->arena), *shape = vecq_message_new(&b->arena);
    int i;

    for (i = 0; i < rank; i++) {
        vecq_message *dim = vecq_message_new(&b->arena);

        if (dims[i] == -1)
            assert_true(vecq_message_insert_string(dim, SIZE_MAX, ONNX_DIM_PARAM, "N"));
        else if (dims[i] != -2)
            assert_true(vecq_message_insert_scalar(dim, SIZE_MAX, ONNX_DIM_VALUE, (uint64_t)dims[i]));
        assert_true(vecq_message_insert_child(shape, SIZE_MAX, ONNX_SHAPE_DIM, dim));
    }
    assert_true(vecq_message_insert_scalar(tensor, SIZE_MAX, ONNX_TYPE_TENSOR_ELEM_TYPE, (uint64_t)dtype));
    if (rank >= 0)
        assert_true(vecq_message_insert_child(tensor, SIZE_MAX, ONNX_TYPE_TENSOR_SHAPE, shape));
    assert_true(vecq_message_insert_child(type, SIZE_MAX, ONNX_TYPE_TENSOR, tensor));
    assert_true(vecq_message_insert_string(info, SIZE_MAX, ONNX_VALUE_INFO_NAME, name));
    assert_true(vecq_message_insert_child(info, SIZE_MAX, ONNX_VALUE_INFO_TYPE, type));
    assert_true(vecq_message_insert_child(b->graph, SIZE_MAX, number, info));
}

static inline void model_input(model_build *b, const char *name)
{
    model_formal(b, ONNX_GRAPH_INPUT, name);
}

static inline void model_output(model_build *b, const char *name)
{
    model_formal(b, ONNX_GRAPH_OUTPUT, name);
}

/* An initializer; `data` is copied. */
static inline vecq_message *model_tensor(model_build *b, const char *name, vecq_dtype dtype, unsigned rank,
                                         const int64_t *dims, const void *data, size_t n_bytes)
{
    vecq_span raw = {(const uint8_t *)vecq_arena_string(&b->arena, data, n_bytes), n_bytes};
    vecq_message *tensor = vecq_onnx_tensor(&b->arena, name, (int)dtype, dims, rank, raw);

    assert_non_null(tensor);
    assert_true(vecq_message_insert_child(b->graph, SIZE_MAX, ONNX_GRAPH_INITIALIZER, tensor));
    return tensor;
}

/* Floats that look like weights: the same for the same n. */
static inline void model_values(float *values, size_t n)
{
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_GAUSSIAN, 0, 7, n, values), VECQ_OK);
}

static inline vecq_message *model_weight(model_build *b, const char *name, unsigned rank, const int64_t *dims)
{
    size_t n = 1;
    unsigned i;
    float *values;
    vecq_message *tensor;

    for (i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    values = calloc(n + 1, sizeof *values);
    model_values(values, n);
    tensor = model_tensor(b, name, VECQ_DT_FLOAT, rank, dims, values, n * sizeof *values);
    free(values);
    return tensor;
}

static inline vecq_message *model_matrix(model_build *b, const char *name, int64_t rows, int64_t cols)
{
    int64_t dims[2] = {rows, cols};

    return model_weight(b, name, 2, dims);
}

static inline vecq_message *model_ints(model_build *b, const char *name, size_t n, const int64_t *values)
{
    int64_t dim = (int64_t)n;

    return model_tensor(b, name, VECQ_DT_INT64, 1, &dim, values, n * sizeof *values);
}

/* An initializer whose data lies in a file; offset or length NULL: not given. */
static inline void model_external(model_build *b, const char *name, unsigned rank, const int64_t *dims,
                                  const char *location, const char *offset, const char *length)
{
    const char *const keys[] = {"location", "offset", "length"}, *const values[] = {location, offset, length};
    vecq_span none = {NULL, 0};
    vecq_message *tensor = vecq_onnx_tensor(&b->arena, name, VECQ_DT_FLOAT, dims, rank, none);
    size_t i;

    assert_non_null(tensor);
    vecq_message_drop(tensor, vecq_message_last(tensor, ONNX_TENSOR_RAW_DATA));
    for (i = 0; i < 3; i++)
        if (values[i] != NULL)
            assert_true(vecq_message_insert_child(tensor, SIZE_MAX, ONNX_TENSOR_EXTERNAL_DATA,
                                                  vecq_onnx_entry(&b->arena, keys[i], values[i])));
    assert_true(vecq_message_insert_scalar(tensor, SIZE_MAX, ONNX_TENSOR_DATA_LOCATION, 1));
    assert_true(vecq_message_insert_child(b->graph, SIZE_MAX, ONNX_GRAPH_INITIALIZER, tensor));
}

/* The finished file, in a block of malloc() of exactly its size; ends the construction. */
static inline uint8_t *model_bytes(model_build *b, size_t *n)
{
    document_bytes bytes;
    vecq_error err = VECQ_ERROR_INIT;
    uint8_t *copy;

    assert_ok(document_write(b->model, &bytes, &err), &err);
    copy = malloc(bytes.n + (bytes.n == 0));
    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.n);
    *n = bytes.n;
    vecq_free(bytes.data);
    vecq_arena_clear(&b->arena);
    return copy;
}

static inline void model_file(model_build *b, const char *path)
{
    size_t n;
    uint8_t *bytes = model_bytes(b, &n);
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    free(bytes);
}

/* A file below the source tree, from malloc(). */
static inline uint8_t *model_corpus(const char *name, size_t *n)
{
    char path[512];
    uint8_t *data;
    FILE *f;

    snprintf(path, sizeof path, "%s/fuzz/corpus/model/%s", VECQ_SOURCE_DIR, name);
    f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("%s is missing", path);
    data = malloc(1 << 16);
    assert_non_null(data);
    *n = fread(data, 1, 1 << 16, f);
    fclose(f);
    return data;
}

static inline vecq_quantize_options model_options(unsigned bits, vecq_format format, int inline_bodies)
{
    vecq_quantize_options o;

    vecq_quantize_options_default(&o);
    o.bits = bits;
    o.format = format;
    o.inline_bodies = inline_bodies;
    o.threads = 1;
    return o;
}

/* One line without anything that moves a cursor, of this status, and with these words in it. */
static inline void assert_error(const vecq_error *err, vecq_status status, const char *word1,
                                const char *word2)
{
    const char *p;

    if (err->status != status)
        fail_msg("status %s, not %s: %s", vecq_status_name(err->status), vecq_status_name(status),
                 err->message);
    for (p = err->message; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            fail_msg("byte %d in the message", (unsigned char)*p);
    if (err->message[0] == '\0' || (word1 != NULL && strstr(err->message, word1) == NULL) ||
        (word2 != NULL && strstr(err->message, word2) == NULL))
        fail_msg("'%s' does not name '%s' and '%s'", err->message, word1 != NULL ? word1 : "",
                 word2 != NULL ? word2 : "");
}

#endif
