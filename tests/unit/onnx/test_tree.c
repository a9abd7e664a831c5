/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "fail_alloc.h"
#include "onnx/schema.h"
#include "onnx_document.h"

#define CORPUS VECQ_SOURCE_DIR "/fuzz/corpus/onnx"

static vecq_span span(const void *data, size_t n)
{
    vecq_span s = {data, n};

    return s;
}

#define SPAN(text) span(text, sizeof(text) - 1)

static void assert_written(vecq_message *root, const void *bytes, size_t n)
{
    vecq_error err = VECQ_ERROR_INIT;
    document_bytes out;

    assert_ok(document_write(root, &out, &err), &err);
    if (out.n != n)
        fail_msg("%zu bytes written, expected %zu", out.n, n);
    if (n > 0)
        assert_memory_equal(out.data, bytes, n);
    vecq_free(out.data);
}

#define assert_writes(root, text) assert_written(root, text, sizeof(text) - 1)

/* ---- whole files ---- */

typedef struct tally {
    size_t n_files, n_tensors;
    uint64_t n_bytes;
} tally;

static vecq_status count_tensor(void *context, vecq_span message, vecq_error *err)
{
    tally *t = context;
    vecq_arena arena = {0};
    vecq_external external;
    vecq_tensor_proto tensor;
    vecq_status status;

    vecq_external_init(&external, NULL);
    status = vecq_tensor_proto_parse(&arena, &external, message, &tensor, err);
    t->n_tensors++;
    vecq_external_clear(&external);
    vecq_arena_clear(&arena);
    return status;
}

/* Unopened and with everything opened, an untouched file is written as it was. */
static void check_file(const char *path, tally *t, document_tensor_fn tensor)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_arena arena = {0};
    vecq_mapping file;
    vecq_message *root;
    document_bytes out;

    assert_ok(vecq_mapping_open(path, &file, &err), &err);
    if (vecq_wire_check_model(file.bytes, NULL, &err) != VECQ_OK)
        fail_msg("%s: %s", path, err.message);
    assert_ok(vecq_message_parse(&arena, file.bytes, &root, &err), &err);
    assert_written(root, file.bytes.data, file.bytes.n);
    if (document_open_all(root, tensor, t, &err) != VECQ_OK)
        fail_msg("%s: %s", path, err.message);
    assert_ok(document_write(root, &out, &err), &err);
    assert_true(out.n == file.bytes.n);
    assert_memory_equal(out.data, file.bytes.data, out.n);
    assert_int_equal(out.n_calls, 1); /* one run of memory */
    vecq_free(out.data);
    t->n_files++;
    t->n_bytes += file.bytes.n;
    vecq_arena_clear(&arena);
    vecq_mapping_close(&file);
}

static void check_folder(const char *path, tally *t, document_tensor_fn tensor)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        char name[2048];
        struct stat info;
        size_t n = strlen(entry->d_name);

        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.' || stat(name, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode))
            check_folder(name, t, tensor);
        else if (n > 5 && strcmp(entry->d_name + n - 5, ".onnx") == 0 &&
                 strncmp(entry->d_name, "bad_wire_", 9) != 0)
            check_file(name, t, tensor);
    }
    closedir(folder);
}

static void test_corpus_survives(void **state)
{
    tally t = {0, 0, 0};

    (void)state;
    check_folder(CORPUS, &t, NULL);
    assert_true(t.n_files >= 20);
}

static void test_real_models_survive(void **state)
{
    tally t = {0, 0, 0};
    char path[1024];

    (void)state;
    if (vecq_test_data() == NULL) {
        print_message("skipped: no test data; set VECQ_TEST_DATA\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/models", vecq_test_data());
    check_folder(path, &t, count_tensor);
    print_message("%zu models, %zu tensors, %llu bytes: written back byte by byte\n", t.n_files, t.n_tensors,
                  (unsigned long long)t.n_bytes);
    assert_true(t.n_files > 0 && t.n_tensors > 0);
}

/* ---- looking ---- */

/* 1: 5, 2: "ab", 1: 7, 3: fixed32 1 */
#define SMALL                                                                                                \
    "\x08\x05\x12\x02"                                                                                       \
    "ab\x08\x07\x1d\x01\x00\x00\x00"

static vecq_message *parse(vecq_arena *arena, vecq_span bytes)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_message *root;

    assert_ok(vecq_message_parse(arena, bytes, &root, &err), &err);
    return root;
}

static void test_look(void **state)
{
    vecq_arena arena = {0};
    vecq_message *m = parse(&arena, SPAN(SMALL)), *child;
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_int_equal(m->n_fields, 4);
    assert_int_equal(vecq_message_find(m, 1, 0), 0);
    assert_int_equal(vecq_message_find(m, 1, 1), 2);
    assert_int_equal(vecq_message_find(m, 1, 3), 4);
    assert_int_equal(vecq_message_find(m, 9, 0), 4);
    assert_int_equal(vecq_message_last(m, 1), 2);
    assert_int_equal(vecq_message_scalar(m, 1, 0), 7);
    assert_int_equal(vecq_message_scalar(m, 3, 0), 1);
    assert_int_equal(vecq_message_scalar(m, 2, 42), 42); /* bytes */
    assert_int_equal(vecq_message_scalar(m, 9, 42), 42);
    assert_int_equal(vecq_message_bytes(m, 2).n, 2);
    assert_int_equal(vecq_message_bytes(m, 9).n, 0);
    vecq_message_drop(m, 2);
    assert_int_equal(vecq_message_scalar(m, 1, 0), 5);
    assert_int_equal(vecq_message_open(m, 0, &child, &err), VECQ_ERR_FORMAT); /* a number */
    vecq_arena_clear(&arena);
}

static void test_damaged(void **state)
{
    vecq_arena arena = {0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_message *root = NULL, *child;

    (void)state;
    assert_int_equal(vecq_message_parse(&arena, SPAN("\x08"), &root, &err), VECQ_ERR_FORMAT);
    assert_null(root);
    root = parse(&arena, SPAN("\x0a\x01\x08"));
    assert_int_equal(vecq_message_open(root, 0, &child, NULL), VECQ_ERR_FORMAT);
    assert_null(child);
    assert_writes(root, "\x0a\x01\x08"); /* still copied as it is */
    vecq_arena_clear(&arena);
}

/* ---- editing ---- */

static void test_edit_fields(void **state)
{
    vecq_arena arena = {0};
    vecq_message *m = parse(&arena, SPAN(SMALL));

    (void)state;
    assert_true(vecq_message_set_scalar(m, 1, 300)); /* the last of two */
    assert_writes(m, "\x08\x05\x12\x02"
                     "ab\x08\xac\x02\x1d\x01\x00\x00\x00");
    assert_true(vecq_message_set_scalar(m, 4, UINT64_MAX)); /* appended */
    assert_true(vecq_message_set_bytes(m, 1, SPAN("xyz")));
    vecq_message_drop(m, 0);
    assert_true(vecq_message_insert_string(m, 0, 5, "s"));
    assert_true(vecq_message_insert_fixed32(m, 1, 6, 0x01020304));
    assert_true(vecq_message_insert_bytes(m, SIZE_MAX, 100, SPAN("")));
    assert_writes(m, "\x2a\x01s\x35\x04\x03\x02\x01\x12\x03xyz\x08\xac\x02\x1d\x01\x00\x00\x00"
                     "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xa2\x06\x00");
    vecq_arena_clear(&arena);
}

/* A wire type other than varint is replaced, not kept beside. */
static void test_set_scalar_changes_wire_type(void **state)
{
    vecq_arena arena = {0};
    vecq_message *m = parse(&arena, SPAN(SMALL));

    (void)state;
    assert_true(vecq_message_set_scalar(m, 3, 2));
    assert_writes(m, "\x08\x05\x12\x02"
                     "ab\x08\x07\x18\x02");
    vecq_arena_clear(&arena);
}

/* 1 { 1 { 2: "a" }  9: overlong 5 }  8: 1 -- with needless bytes in a tag, a length and a number */
#define NESTED                                                                                               \
    "\x0a\x89\x00\x0a\x03\x12\x01"                                                                           \
    "a\xc8\x00\x85\x00\x40\x01"

static void test_edit_nested(void **state)
{
    vecq_arena arena = {0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_message *root = parse(&arena, SPAN(NESTED)), *outer, *inner, *again;

    (void)state;
    assert_ok(vecq_message_open(root, 0, &outer, &err), &err);
    assert_ok(vecq_message_open(outer, 0, &inner, &err), &err);
    assert_ok(vecq_message_open(outer, 0, &again, &err), &err);
    assert_ptr_equal(inner, again);
    assert_writes(root, NESTED); /* opened, not changed: as it was, needless bytes too */
    assert_false(root->is_changed);
    assert_int_equal(inner->size, 3);
    assert_true(vecq_message_set_bytes(inner, 0, SPAN("bcd")));
    assert_true(root->is_changed && outer->is_changed && inner->is_changed);
    /* heads on the way down are new; the untouched neighbours keep their form */
    assert_writes(root, "\x0a\x0b\x0a\x05\x12\x03"
                        "bcd\xc8\x00\x85\x00\x40\x01");
    assert_int_equal(inner->size, 5);
    assert_int_equal(outer->size, 11);
    vecq_arena_clear(&arena);
}

/* A node that moves from one graph to another keeps its bytes. */
static void test_move(void **state)
{
    vecq_arena arena = {0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_message *root = parse(&arena, SPAN("\x0a\x06\x0a\x04\xc8\x00\x85\x00\x12\x00")), *from, *to, *moved;

    (void)state;
    assert_ok(vecq_message_open(root, 0, &from, &err), &err);
    assert_ok(vecq_message_open(from, 0, &moved, &err), &err);
    assert_ok(vecq_message_open(root, 1, &to, &err), &err);
    vecq_message_drop(from, 0);
    assert_true(vecq_message_insert_child(to, 0, 3, moved));
    assert_ptr_equal(moved->parent, to);
    assert_writes(root, "\x0a\x00\x12\x06\x1a\x04\xc8\x00\x85\x00");
    assert_true(vecq_message_insert_scalar(moved, SIZE_MAX, 1, 1)); /* and can be changed there */
    assert_writes(root, "\x0a\x00\x12\x08\x1a\x06\xc8\x00\x85\x00\x08\x01");
    vecq_arena_clear(&arena);
}

static void test_insert_order(void **state)
{
    vecq_arena arena = {0};
    vecq_message *m = vecq_message_new(&arena), *children[3];
    size_t i;

    (void)state;
    assert_writes(m, "");
    for (i = 0; i < 3; i++) {
        children[i] = vecq_message_new(&arena);
        assert_true(vecq_message_insert_scalar(children[i], SIZE_MAX, 1, i));
    }
    assert_true(vecq_message_insert_scalar(m, SIZE_MAX, 1, 10));
    assert_true(vecq_message_insert_scalar(m, SIZE_MAX, 1, 11));
    assert_true(vecq_message_insert_children(m, 1, 2, children, 3));
    assert_true(vecq_message_insert_children(m, 0, 2, NULL, 0));
    assert_writes(m, "\x08\x0a\x12\x02\x08\x00\x12\x02\x08\x01\x12\x02\x08\x02\x08\x0b");
    vecq_arena_clear(&arena);
}

/* Thousands of nodes before thousands of nodes: one move, and linear in time and memory. */
static void test_bulk_insert(void **state)
{
    enum { N = 20000 };
    static vecq_message *nodes[N];
    vecq_arena arena = {0};
    vecq_message *graph = vecq_message_new(&arena);
    document_bytes out;
    vecq_error err = VECQ_ERROR_INIT;
    clock_t begin = clock();
    size_t i;

    (void)state;
    for (i = 0; i < N; i++)
        assert_true(vecq_message_insert_string(graph, SIZE_MAX, 1, "old"));
    for (i = 0; i < N; i++) {
        nodes[i] = vecq_onnx_node(&arena, "Op", "", "", NULL, 0, NULL, 0);
        assert_non_null(nodes[i]);
    }
    assert_true(vecq_message_insert_children(graph, 0, 1, nodes, N));
    assert_int_equal(graph->n_fields, 2 * N);
    assert_ok(document_write(graph, &out, &err), &err);
    assert_int_equal(out.n, N * 6 + N * 5);
    assert_memory_equal(out.data, "\x0a\x04\x22\x02Op\x0a\x04", 8);
    assert_memory_equal(out.data + out.n - 10, "\x0a\x03old\x0a\x03old", 10);
    vecq_free(out.data);
    assert_true(arena.n_reserved < (size_t)N * 2 * 8 * sizeof(vecq_field));
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 2.0);
    vecq_arena_clear(&arena);
}

/* A tree deeper than any file may be: measured and written without recursion. */
static void test_deep_tree(void **state)
{
    enum { LEVELS = 200000 };
    vecq_arena arena = {0};
    vecq_message *m = vecq_message_new(&arena);
    vecq_error err = VECQ_ERROR_INIT;
    document_bytes out;
    size_t i;

    (void)state;
    assert_true(vecq_message_insert_scalar(m, SIZE_MAX, 1, 1));
    for (i = 0; i < LEVELS; i++) {
        vecq_message *up = vecq_message_new(&arena);

        assert_true(vecq_message_insert_child(up, SIZE_MAX, 1, m));
        m = up;
    }
    assert_ok(document_write(m, &out, &err), &err);
    assert_memory_equal(out.data + out.n - 6, "\x0a\x04\x0a\x02\x08\x01", 6);
    vecq_free(out.data);
    vecq_arena_clear(&arena);
}

/* ---- sinks ---- */

static vecq_status failing_sink(void *context, const void *data, size_t n, vecq_error *err)
{
    size_t *left = context;

    (void)data;
    (void)n;
    if (*left == 0)
        return vecq_error_set(err, VECQ_ERR_IO, "disk full");
    --*left;
    return VECQ_OK;
}

static void test_sink_failures(void **state)
{
    vecq_arena arena = {0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_message *root = parse(&arena, SPAN(NESTED)), *outer;
    document_bytes out;
    size_t n, left;

    (void)state;
    assert_ok(vecq_message_open(root, 0, &outer, &err), &err);
    assert_true(vecq_message_insert_string(outer, 1, 7, "new"));
    assert_ok(document_write(root, &out, &err), &err);
    assert_true(out.n_calls > 3);
    for (n = 0; n <= out.n_calls; n++) {
        vecq_error bad = VECQ_ERROR_INIT;

        left = n;
        assert_int_equal(vecq_message_write(root, failing_sink, &left, &bad),
                         n < out.n_calls ? VECQ_ERR_IO : VECQ_OK);
        assert_int_equal(bad.status, n < out.n_calls ? VECQ_ERR_IO : VECQ_OK);
    }
    vecq_free(out.data);
    vecq_arena_clear(&arena);
}

/* ---- builders ---- */

/* Bytes as protobuf's own writer (onnx 1.23 helper functions, SerializeToString) makes them. */
static void test_builders(void **state)
{
    static const char *const inputs[] = {"x", NULL}, *const outputs[] = {"y"};
    static const int64_t dims[] = {2, 300}, axes[] = {0, -1};
    static const char *const params[] = {"N", NULL};
    vecq_arena arena = {0};
    vecq_message *node = vecq_onnx_node(&arena, "Op", "ai.vecq", "n", inputs, 2, outputs, 1), *tensor;

    (void)state;
    assert_writes(node, "\x0a\x01x\x0a\x00\x12\x01y\x1a\x01n\x22\x02Op\x3a\x07"
                        "ai.vecq");
    assert_true(vecq_onnx_node_int(node, "i", -2));
    assert_true(vecq_onnx_node_ints(node, "v", axes, 2));
    assert_writes(node, "\x0a\x01x\x0a\x00\x12\x01y\x1a\x01n\x22\x02Op"
                        "\x2a\x11\x0a\x01i\x18\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\xa0\x01\x02"
                        "\x2a\x13\x0a\x01v\x40\x00\x40\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xa0\x01\x07"
                        "\x3a\x07"
                        "ai.vecq");
    node = vecq_onnx_node(&arena, "Op", "", NULL, NULL, 0, NULL, 0);
    assert_true(vecq_onnx_node_reference(node, "a", 7, "starts"));
    assert_true(vecq_onnx_node_float(node, "f", 1.0f));
    assert_true(vecq_onnx_node_string(node, "s", "LEFT"));
    tensor = vecq_onnx_tensor(&arena, "t", 3, dims, 2, SPAN("ab"));
    assert_true(vecq_onnx_node_tensor(node, "value", tensor));
    assert_writes(node, "\x22\x02Op"
                        "\x2a\x0f\x0a\x01"
                        "a\xa0\x01\x07\xaa\x01\x06starts"
                        "\x2a\x0b\x0a\x01"
                        "f\x15\x00\x00\x80\x3f\xa0\x01\x01"
                        "\x2a\x0c\x0a\x01s\x22\x04LEFT\xa0\x01\x03"
                        "\x2a\x1a\x0a\x05value\x2a\x0e\x08\x02\x08\xac\x02\x10\x03\x42\x01t\x4a\x02"
                        "ab\xa0\x01\x04");
    tensor = vecq_onnx_tensor(&arena, NULL, 1, NULL, 0, SPAN(""));
    assert_writes(tensor, "\x10\x01\x4a\x00");
    assert_writes(vecq_onnx_value_info(&arena, "x", 1, dims, params, 2),
                  "\x0a\x01x\x12\x10\x0a\x0e\x08\x01\x12\x0a\x0a\x03\x12\x01N\x0a\x03\x08\xac\x02");
    assert_writes(vecq_onnx_value_info(&arena, "y", 7, NULL, NULL, 0),
                  "\x0a\x01y\x12\x06\x0a\x04\x08\x07\x12\x00");
    assert_writes(vecq_onnx_opset(&arena, "", 17), "\x0a\x00\x10\x11");
    assert_writes(vecq_onnx_entry(&arena, "k", "v"), "\x0a\x01k\x12\x01v");
    vecq_arena_clear(&arena);
}

/* ---- failing allocations ---- */

static vecq_status edit_everything(void *context, vecq_error *err)
{
    static const char *const names[] = {"a", "b"};
    static const int64_t dims[] = {1, 2, 3};
    const vecq_mapping *file = context;
    vecq_arena arena = {0};
    document_bytes out = {0};
    vecq_message *root, *graph, *node = NULL, *tensor = NULL;
    vecq_status status = vecq_message_parse(&arena, file->bytes, &root, err);
    size_t i;

    if (status == VECQ_OK)
        status = document_open_all(root, NULL, NULL, err);
    if (status == VECQ_OK)
        status = vecq_message_open(root, vecq_message_find(root, ONNX_MODEL_GRAPH, 0), &graph, err);
    for (i = 0; i < 600 && status == VECQ_OK; i++) { /* several blocks of the arena */
        node = vecq_onnx_node(&arena, "Op", "d", "n", names, 2, names, 2);
        tensor = vecq_onnx_tensor(&arena, "t", 1, dims, 3, SPAN("abcd"));
        if (node == NULL || tensor == NULL || !vecq_onnx_node_ints(node, "v", dims, 3) ||
            !vecq_onnx_node_tensor(node, "t", tensor) || !vecq_onnx_node_reference(node, "r", 2, "x") ||
            !vecq_message_insert_child(graph, 0, ONNX_GRAPH_NODE, node) ||
            !vecq_message_set_scalar(root, 77, i))
            status = vecq_error_memory(err, 1);
    }
    if (status == VECQ_OK)
        status = document_write(root, &out, err);
    if (status == VECQ_OK)
        status = vecq_wire_check_model(span(out.data, out.n), NULL, err);
    vecq_free(out.data);
    vecq_arena_clear(&arena);
    return status;
}

static void test_allocation_failures(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_mapping file;

    (void)state;
    assert_ok(vecq_mapping_open(CORPUS "/if.onnx", &file, &err), &err);
    assert_true(vecq_fail_every_alloc(edit_everything, &file) > 10);
    vecq_mapping_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus_survives),
        cmocka_unit_test(test_real_models_survive),
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_edit_fields),
        cmocka_unit_test(test_set_scalar_changes_wire_type),
        cmocka_unit_test(test_edit_nested),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_insert_order),
        cmocka_unit_test(test_bulk_insert),
        cmocka_unit_test(test_deep_tree),
        cmocka_unit_test(test_sink_failures),
        cmocka_unit_test(test_builders),
        cmocka_unit_test(test_allocation_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
