/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <dirent.h>

#include "base/alloc.h"
#include "base/file.h"
#include "fail_alloc.h"
#include "onnx/schema.h"
#include "onnx/tree.h"
#include "onnx/wire.h"
#include "onnx_document.h"

#define CORPUS VECQ_SOURCE_DIR "/fuzz/corpus/onnx"

static vecq_span span(const void *data, size_t n)
{
    vecq_span s = {data, n};

    return s;
}

#define SPAN(text) span(text, sizeof(text) - 1)

static vecq_mapping corpus_file(const char *name)
{
    char path[1024];
    vecq_mapping mapping;
    vecq_error err = VECQ_ERROR_INIT;

    snprintf(path, sizeof path, "%s/%s", CORPUS, name);
    assert_ok(vecq_mapping_open(path, &mapping, &err), &err);
    return mapping;
}

/* The names of the corpus say what the check must answer. */
static void test_corpus(void **state)
{
    DIR *folder = opendir(CORPUS);
    struct dirent *entry;
    size_t n_good = 0, n_bad = 0;

    (void)state;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        int is_bad = strncmp(entry->d_name, "bad_wire_", 9) == 0;
        vecq_error err = VECQ_ERROR_INIT;
        vecq_mapping file;
        vecq_status status;

        if (strstr(entry->d_name, ".onnx") == NULL)
            continue;
        file = corpus_file(entry->d_name);
        status = vecq_wire_check_model(file.bytes, NULL, &err);
        if (status != (is_bad ? VECQ_ERR_FORMAT : VECQ_OK))
            fail_msg("%s: %s '%s'", entry->d_name, vecq_status_name(status), err.message);
        n_good += !is_bad;
        n_bad += is_bad;
        vecq_mapping_close(&file);
    }
    closedir(folder);
    assert_true(n_good >= 20 && n_bad >= 10);
}

/* all_fields.onnx has every field of every message of the onnx package's onnx.proto: the table must know
 * each, by its right kind (the check accepted it) and as repeated where it occurs twice. */
static void test_schema_is_complete(void **state)
{
    vecq_mapping file = corpus_file("all_fields.onnx");
    vecq_span stack[64];
    vecq_schema_type types[64];
    uint32_t seen[VECQ_SCHEMA_TYPES] = {0};
    size_t depth = 1, i;

    (void)state;
    stack[0] = file.bytes;
    types[0] = VECQ_SCHEMA_MODEL;
    while (depth > 0) {
        vecq_schema_type type = types[depth - 1];
        vecq_wire_field field;
        const vecq_schema_row *row;

        assert_int_equal(vecq_wire_next(&stack[depth - 1], &field, NULL), VECQ_OK);
        if (field.number == 0) {
            depth--;
            continue;
        }
        row = vecq_schema_find(type, field.number);
        if (row->kind == VECQ_SCHEMA_UNKNOWN)
            fail_msg("field %u of message type %d is not in the table", field.number, (int)type);
        seen[type] |= (uint32_t)1 << field.number;
        if (row->kind == VECQ_SCHEMA_MESSAGE) {
            assert_true(depth < 64);
            stack[depth] = field.payload;
            types[depth++] = row->type;
        }
    }
    for (i = 1; i < VECQ_SCHEMA_TYPES; i++) { /* and the table has nothing that onnx.proto has not */
        uint32_t number;

        for (number = 0; number < 32; number++)
            if (vecq_schema_find((vecq_schema_type)i, number)->kind != VECQ_SCHEMA_UNKNOWN &&
                (seen[i] >> number & 1) == 0)
                fail_msg("field %u of message type %zu is not in onnx.proto", number, i);
    }
    vecq_mapping_close(&file);
}

static void check_says(vecq_span file, const char *first, const char *second)
{
    vecq_error err = VECQ_ERROR_INIT;

    assert_int_equal(vecq_wire_check_model(file, NULL, &err), VECQ_ERR_FORMAT);
    if (strstr(err.message, first) == NULL || strstr(err.message, second) == NULL)
        fail_msg("'%s' says neither '%s' nor '%s'", err.message, first, second);
    assert_int_equal(vecq_wire_check_model(file, NULL, NULL), VECQ_ERR_FORMAT);
}

static void test_messages(void **state)
{
    (void)state;
    check_says(SPAN(""), "empty", "ONNX");
    check_says(SPAN("\x08\x08"), "no graph", "");
    /* graph { node {} node { attribute {} attribute { name: truncated } } } */
    check_says(SPAN("\x3a\x0a\x0a\x00\x0a\x06\x2a\x00\x2a\x02\x0a\x05"),
               "byte 10 in graph.node[1].attribute[1]: ", "5 bytes, but only 0");
    /* fields of other numbers do not count: graph { node {} doc_string: "" node { name: truncated } } */
    check_says(SPAN("\x3a\x08\x0a\x00\x52\x00\x0a\x02\x1a\x01"),
               "byte 8 in graph.node[1]: ", "1 bytes, but only 0");
    check_says(SPAN("\x3a\x04\x12\x02"
                    "a\x00"),
               "byte 2 in graph: field name (2)", "NUL");
    check_says(SPAN("\x3a\x00\x3a\x00"), "byte 2: field graph (7)", "twice");
    check_says(SPAN("\x38\x01"), "field graph (7)", "wire type");
    check_says(SPAN("\x3a\x00\x0a\x01\x01"), "field ir_version (1)",
               "wire type"); /* packed, but not repeated */
    check_says(SPAN("\x3a\x04\x2a\x02\x3a\x00\x0f\x00"), "byte 6", "unknown wire type 7");
    check_says(SPAN("this is not a model\n"), "not a sound ONNX model", "byte 0");
    check_says(SPAN("\x3a\x05\x2a\x03\x3a\x01\x81"), "graph.initializer[0]", "packed");
}

/* Every prefix of a model is refused, or is a shorter sound model; no read past its end (sanitizers, guard).
 */
static void test_truncated(void **state)
{
    vecq_mapping file = corpus_file("all_fields.onnx");
    size_t n, n_ok = 0;

    (void)state;
    for (n = 0; n < file.bytes.n; n++) {
        uint8_t *copy = malloc(n > 0 ? n : 1);
        vecq_status status;

        assert_non_null(copy);
        memcpy(copy, file.bytes.data, n);
        status = vecq_wire_check_model(span(copy, n), NULL, NULL);
        assert_true(status == VECQ_OK || status == VECQ_ERR_FORMAT);
        n_ok += status == VECQ_OK;
        free(copy);
    }
    assert_true(n_ok < file.bytes.n / 4);
    vecq_mapping_close(&file);
}

/* Nested type protos, written from the inside: n bytes for that many levels of two messages each. */
static vecq_span nested_types(size_t levels, uint8_t **memory)
{
    size_t capacity = levels * 12 + 64, at = capacity, i;
    uint8_t *out = malloc(capacity);
    static const uint8_t tags[] = {0x0a, 0x22};        /* Sequence.elem_type, TypeProto.sequence_type */
    static const uint8_t outer[] = {0x12, 0x5a, 0x3a}; /* ValueInfo.type, Graph.input, Model.graph */
    uint8_t head[10];
    size_t n;

    assert_non_null(out);
    for (i = 0; i < 2 * levels + sizeof outer; i++) {
        n = vecq_wire_put_varint(head, capacity - at);
        at -= n;
        memcpy(out + at, head, n);
        out[--at] = i < 2 * levels ? tags[i & 1] : outer[i - 2 * levels];
    }
    *memory = out;
    return span(out + at, capacity - at);
}

static void test_depth(void **state)
{
    vecq_wire_limits limits = VECQ_WIRE_LIMITS_DEFAULT;
    vecq_error err = VECQ_ERROR_INIT;
    uint8_t *memory;
    vecq_span file;

    (void)state;
    file = nested_types(48, &memory); /* 3 + 2 * 48 = 99 levels below the model */
    assert_ok(vecq_wire_check_model(file, &limits, &err), &err);
    limits.max_depth = 99;
    assert_int_equal(vecq_wire_check_model(file, &limits, NULL), VECQ_OK);
    limits.max_depth = 98;
    assert_int_equal(vecq_wire_check_model(file, &limits, NULL), VECQ_ERR_FORMAT);
    limits.max_depth = 0;
    assert_int_equal(vecq_wire_check_model(file, &limits, NULL), VECQ_ERR_FORMAT);
    free(memory);
    file = nested_types(1000000, &memory);
    assert_int_equal(vecq_wire_check_model(file, NULL, &err), VECQ_ERR_FORMAT);
    assert_non_null(strstr(err.message, "nested more than 100 levels"));
    assert_non_null(strstr(err.message, "graph.input[0].type.sequence_type.elem_type"));
    free(memory);
}

enum { IN_GRAPH, IN_ATTRIBUTE, IN_GRAPH_ATTRIBUTE };

/* A model whose graph, or the one attribute in it, has n two-byte fields with this tag. */
static vecq_span repeated(size_t n, uint8_t tag, int where, uint8_t **memory)
{
    static const uint8_t outer[] = {0x2a, 0x0a, 0x3a}; /* Node.attribute, Graph.node, Model.graph */
    size_t capacity = 2 * n + 64, at = capacity, i;
    uint8_t *out = malloc(capacity);

    assert_non_null(out);
    for (i = 0; i < n; i++) {
        out[--at] = 0;
        out[--at] = tag;
    }
    if (where == IN_GRAPH_ATTRIBUTE) {
        out[--at] = 0;
        out[--at] = 0x32; /* Attribute.g */
    }
    for (i = where == IN_GRAPH ? 2 : 0; i < 3; i++) {
        uint8_t head[10];
        size_t n_head = vecq_wire_put_varint(head, capacity - at);

        at -= n_head;
        memcpy(out + at, head, n_head);
        out[--at] = outer[i];
    }
    *memory = out;
    return span(out + at, capacity - at);
}

static void test_objects(void **state)
{
    vecq_wire_limits limits = {100, 1000};
    vecq_error err = VECQ_ERROR_INIT;
    uint8_t *memory;
    vecq_span file;

    (void)state;
    file = repeated(999, 0x0a, IN_GRAPH, &memory); /* graph and its nodes */
    assert_ok(vecq_wire_check_model(file, &limits, &err), &err);
    free(memory);
    file = repeated(1000, 0x0a, IN_GRAPH, &memory);
    assert_int_equal(vecq_wire_check_model(file, &limits, &err), VECQ_ERR_FORMAT);
    assert_non_null(strstr(err.message, "more than 1000"));
    free(memory);
    file = repeated(1000, 0x78, IN_GRAPH, &memory); /* unknown fields of a graph take memory as well */
    assert_int_equal(vecq_wire_check_model(file, &limits, NULL), VECQ_ERR_FORMAT);
    free(memory);
    file = repeated(100000, 0x40, IN_ATTRIBUTE, &memory); /* ints of an attribute: in bulk */
    assert_int_equal(vecq_wire_check_model(file, &limits, NULL), VECQ_OK);
    free(memory);
    file = repeated(1000, 0x40, IN_GRAPH_ATTRIBUTE, &memory); /* but not when it holds a graph */
    assert_int_equal(vecq_wire_check_model(file, &limits, NULL), VECQ_ERR_FORMAT);
    free(memory);
}

static vecq_status check_body(void *context, vecq_error *err)
{
    const vecq_mapping *file = context;

    return vecq_wire_check_model(file->bytes, NULL, err);
}

static void test_allocation_failures(void **state)
{
    vecq_mapping file = corpus_file("if.onnx");

    (void)state;
    assert_true(vecq_fail_every_alloc(check_body, &file) > 0);
    vecq_mapping_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus),
        cmocka_unit_test(test_schema_is_complete),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_allocation_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
