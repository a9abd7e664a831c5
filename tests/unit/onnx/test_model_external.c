/* SPDX-License-Identifier: Apache-2.0 */
/* External data through the public API: in and out, embedded and not, here and elsewhere. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* ftruncate beyond 2 GiB, pwrite */
#endif
#include "vecq_test.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "../base/temp_folder.h"
#include "onnx/document.h"
#include "onnx_model.h"

enum { ROWS = 64, COLS = 32, COUNT = ROWS * COLS, BIG = COUNT * 4, SMALL = 8 * 4 };

/* in/m.onnx with data in in/w.bin: `w` (a weight, embedded or not), `other` (large), `tiny` (below the size
 * that is worth a file) and the tensor of a Constant that nobody quantizes. */
static float data[COUNT], other[COUNT], tiny[8], held[COUNT];

static void fill(void)
{
    size_t i;

    model_values(data, COUNT);
    for (i = 0; i < COUNT; i++) {
        other[i] = (float)i;
        held[i] = -(float)i;
    }
    for (i = 0; i < 8; i++)
        tiny[i] = (float)i / 8;
}

static void write_file(const char *path, int w_is_external)
{
    FILE *f;

    assert_true(mkdir("in", 0700) == 0 || access("in", W_OK) == 0);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(other, 1, BIG, f), BIG);
    assert_int_equal(fwrite(tiny, 1, SMALL, f), SMALL);
    assert_int_equal(fwrite(held, 1, BIG, f), BIG);
    if (w_is_external)
        assert_int_equal(fwrite(data, 1, BIG, f), BIG);
    fclose(f);
}

static void make_model(int w_is_external)
{
    static const int64_t dims[] = {ROWS, COLS}, few[] = {8};
    vecq_message *tensor, *node;
    model_build b;

    fill();
    write_file("in/w.bin", w_is_external);
    model_begin(&b, 8, 17);
    model_node(&b, "MatMul", "x w", "y");
    model_node(&b, "Div", "y other", "z");
    model_node(&b, "Div", "z tiny", "z2");
    node = model_node(&b, "Constant", "", "k");
    model_node(&b, "Div", "z2 k", "z3");
    if (w_is_external)
        model_external(&b, "w", 2, dims, "w.bin", "16416", "8192");
    else
        model_tensor(&b, "w", VECQ_DT_FLOAT, 2, dims, data, BIG);
    model_external(&b, "other", 2, dims, "w.bin", NULL, "8192");
    model_external(&b, "tiny", 1, few, "./w.bin", "8192", "32");
    model_external(&b, "k", 2, dims, "w.bin", "8224", "8192");
    tensor = b.graph->fields[b.graph->n_fields - 1].child; /* from initializer to attribute */
    vecq_message_drop(b.graph, b.graph->n_fields - 1);
    assert_true(vecq_onnx_node_tensor(node, "value", tensor));
    model_file(&b, "in/m.onnx");
}

/* ---- looking at what was written ---- */

static vecq_document opened;

static void open_document(const char *path, const char *folder)
{
    vecq_error err = VECQ_ERROR_INIT;

    memset(&opened, 0, sizeof opened);
    assert_ok(vecq_mapping_open(path, &opened.mapping, &err), &err);
    opened.bytes = opened.mapping.bytes;
    opened.name = path;
    opened.folder = folder;
    vecq_external_init(&opened.external, folder);
    assert_ok(vecq_document_read(&opened, &err), &err);
}

static const vecq_const *constant(const char *name)
{
    vecq_value *value = vecq_map_get(&opened.ir.main->by_name, name);

    if (value == NULL || value->constant == NULL)
        fail_msg("'%s' is no constant", name);
    return value->constant;
}

/* The tensor has these values, and lies in the model (0) or in a file (1), aligned. */
static void check_constant(const char *name, const float *want, size_t n, int is_external)
{
    const vecq_const *c = constant(name);
    const vecq_tensor_proto *proto = ((const vecq_origin *)c->origin)->tensor;
    float *got = malloc(n * sizeof *got);
    vecq_error err = VECQ_ERROR_INIT;

    assert_int_equal(c->count, n);
    assert_int_equal(c->is_external, is_external);
    assert_ok(vecq_const_read(c, got, &err), &err);
    assert_memory_equal(got, want, n * sizeof *got);
    if (is_external) /* mappings begin at a page */
        assert_int_equal((uintptr_t)proto->bytes.data % (n * 4 >= 4096 ? 4096 : 64), 0);
    free(got);
}

static void check_others(const char *path, const char *folder, int is_external)
{
    open_document(path, folder);
    check_constant("other", other, COUNT, is_external);
    check_constant("tiny", tiny, 8, 0);
    check_constant("k", held, COUNT, is_external);
    assert_int_equal(opened.external.n_files, is_external);
}

static vecq_model *load_in(void)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_model *model;

    assert_ok(vecq_model_load("in/m.onnx", &model, &err), &err);
    return model;
}

static void quantize(vecq_model *model, unsigned bits, vecq_format format)
{
    vecq_quantize_options o = model_options(bits, format, 0);
    vecq_error err = VECQ_ERROR_INIT;

    assert_ok(vecq_model_quantize(model, &o, NULL, &err), &err);
}

static vecq_save_result save(vecq_model *model, const char *path, int external)
{
    vecq_save_options options;
    vecq_save_result result;
    vecq_error err = VECQ_ERROR_INIT;
    struct stat info;
    char data_path[64];

    vecq_save_options_default(&options);
    options.external_data = external;
    assert_ok(vecq_model_save(model, path, &options, &result, &err), &err);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, result.file_bytes);
    snprintf(data_path, sizeof data_path, "%s.data", path);
    assert_int_equal(stat(data_path, &info) == 0 ? (uint64_t)info.st_size : 0, result.external_bytes);
    return result;
}

static void forget(void)
{
    vecq_document_clear(&opened);
    assert_int_equal(count_entries("scratch"), 0);
    assert_int_equal(system("rm -rf in out a.onnx*"), 0);
}

/* ---- tests ---- */

/* An unchanged model to another folder: as it was, embedded, and all outside. */
static void test_unchanged(void **state)
{
    static const int choices[] = {-1, 0, 1};
    int w_is_external;
    size_t i;

    (void)state;
    for (w_is_external = 0; w_is_external < 2; w_is_external++)
        for (i = 0; i < 3; i++) {
            vecq_model *model;
            vecq_save_result result;

            make_model(w_is_external);
            assert_int_equal(mkdir("out", 0700), 0);
            model = load_in();
            result = save(model, "out/m.onnx", choices[i]);
            vecq_model_close(model);
            assert_int_equal(result.external_bytes > 0, choices[i] != 0);
            assert_int_equal(system("rm -r in"), 0); /* nothing may point there */
            check_others("out/m.onnx", "out", choices[i] != 0);
            check_constant("w", data, COUNT, choices[i] == 1 || (choices[i] < 0 && w_is_external));
            forget();
        }
}

/* Quantized, beside the input and elsewhere. */
static void test_quantized(void **state)
{
    static const char *const paths[] = {"in/q.onnx", "out/q.onnx", "a.onnx"}, *const folders[] = {"in", "out",
                                                                                                  "."};
    static const vecq_format formats[] = {VECQ_FORMAT_PACKED, VECQ_FORMAT_FLOAT};
    float want[COUNT], first[COUNT] = {0};
    int external, n_packed = 0;
    size_t i, f;

    (void)state;
    for (i = 0; i < 3; i++)
        for (f = 0; f < 2; f++)
            for (external = -1; external <= 1; external++) {
                vecq_error err = VECQ_ERROR_INIT;
                float got[COUNT];
                vecq_model *model;

                make_model(1);
                assert_int_equal(mkdir("out", 0700), 0);
                model = load_in();
                quantize(model, 8, formats[f]);
                save(model, paths[i], external);
                vecq_model_close(model);
                model = load_in(); /* the input is as it was */
                assert_ok(vecq_model_weight_values(model, 0, got, &err), &err);
                assert_memory_equal(got, data, sizeof got);
                vecq_model_close(model);
                if (i > 0)
                    assert_int_equal(system("rm -r in"), 0);
                check_others(paths[i], folders[i], external != 0);
                if (formats[f] == VECQ_FORMAT_FLOAT)
                    assert_ok(vecq_const_read(constant("w"), want, &err), &err);
                assert_int_equal(constant(formats[f] == VECQ_FORMAT_FLOAT ? "w" : "vecq0_f0")->is_external,
                                 external != 0);
                assert_ok(vecq_model_load(paths[i], &model, &err), &err);
                assert_ok(vecq_model_weight_values(model, 0, got, &err), &err);
                if (formats[f] == VECQ_FORMAT_PACKED && n_packed++ == 0) /* 8 bits: all decode to the same */
                    memcpy(first, got, sizeof got);
                assert_memory_equal(got, formats[f] == VECQ_FORMAT_PACKED ? first : want, sizeof got);
                vecq_model_close(model);
                forget();
            }
}

/* One model saved three times, in turn outside, inside and outside: no save changes what the next one sees.
 */
static void test_saved_again(void **state)
{
    vecq_save_result first, last;
    vecq_model *model;

    (void)state;
    make_model(1);
    assert_int_equal(mkdir("out", 0700), 0);
    model = load_in();
    quantize(model, 4, VECQ_FORMAT_PACKED);
    first = save(model, "out/1.onnx", 1);
    assert_int_equal(save(model, "out/2.onnx", 0).external_bytes, 0);
    last = save(model, "out/3.onnx", 1);
    assert_int_equal(first.external_bytes, last.external_bytes);
    assert_int_equal(first.file_bytes, last.file_bytes); /* names of data files are of one length */
    vecq_model_close(model);
    assert_int_equal(system("rm -r in"), 0);
    check_others("out/1.onnx", "out", 1);
    vecq_document_clear(&opened);
    check_others("out/2.onnx", "out", 0);
    vecq_document_clear(&opened);
    check_others("out/3.onnx", "out", 1);
    forget();
}

/* A model without tensors worth a file gets no data file. */
static void test_no_empty_file(void **state)
{
    vecq_model *model;
    vecq_error err = VECQ_ERROR_INIT;
    model_build b;

    (void)state;
    model_begin(&b, 8, 17);
    model_node(&b, "MatMul", "x w", "y");
    model_matrix(&b, "w", 4, 4);
    model_file(&b, "a.onnx");
    assert_ok(vecq_model_load("a.onnx", &model, &err), &err);
    save(model, "a.onnx2", 1);
    assert_int_equal(access("a.onnx2.data", F_OK), -1);
    vecq_model_close(model);
    forget();
}

/* A data file of the last save is replaced only by a complete one; a failed save leaves both files alone. */
static int cancel(void *context, const char *stage, const char *unit, uint64_t done, uint64_t total)
{
    (void)context, (void)unit, (void)done, (void)total;
    return strcmp(stage, "checking") == 0;
}

static void test_atomic(void **state)
{
    vecq_save_options options;
    vecq_error err = VECQ_ERROR_INIT;
    struct stat before[2], after[2];
    vecq_model *model;

    (void)state;
    make_model(1);
    assert_int_equal(mkdir("out", 0700), 0);
    model = load_in();
    quantize(model, 8, VECQ_FORMAT_PACKED);
    save(model, "out/q.onnx", 1);
    assert_int_equal(stat("out/q.onnx", &before[0]) + stat("out/q.onnx.data", &before[1]), 0);
    vecq_save_options_default(&options);
    options.external_data = 1;
    options.progress = cancel;
    assert_int_equal(vecq_model_save(model, "out/q.onnx", &options, NULL, &err), VECQ_ERR_CANCELLED);
    memset(&err, 0, sizeof err);
    assert_int_equal(vecq_model_save(model, "out/new.onnx", &options, NULL, &err), VECQ_ERR_CANCELLED);
    assert_int_equal(stat("out/q.onnx", &after[0]) + stat("out/q.onnx.data", &after[1]), 0);
    assert_true(before[0].st_ino == after[0].st_ino && before[1].st_ino == after[1].st_ino);
    assert_int_equal(count_entries("out"), 2);
    save(model, "out/q.onnx", 1); /* and replaced when all is well */
    assert_int_equal(count_entries("out"), 2);
    vecq_model_close(model);
    check_others("out/q.onnx", "out", 1);
    forget();
}

/* Data beyond 4 GiB of a sparse file: only what is looked at costs anything. */
static void test_large_file(void **state)
{
    static const int64_t dims[] = {ROWS, COLS}, large[] = {1 << 16, 1 << 15};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_report *report;
    vecq_model *model;
    struct rusage usage;
    model_build b;
    float got[COUNT];
    int fd = open("sparse.bin", O_CREAT | O_RDWR, 0600);

    (void)state;
    fill();
    assert_true(fd >= 0);
    if (ftruncate(fd, ((off_t)13 << 30) + 12288) != 0) {
        close(fd);
        unlink("sparse.bin");
        skip();
    }
    assert_int_equal(pwrite(fd, data, BIG, ((off_t)13 << 30) + 4096), BIG);
    close(fd);
    model_begin(&b, 8, 17);
    model_node(&b, "MatMul", "x w", "y");
    model_node(&b, "Div", "y huge", "z");
    model_external(&b, "w", 2, dims, "sparse.bin", "13958647808", "8192");
    model_external(&b, "huge", 2, large, "sparse.bin", "4294967296", "8589934592");
    model_file(&b, "a.onnx");
    assert_ok(vecq_model_load("a.onnx", &model, &err), &err);
    {
        vecq_quantize_options o = model_options(4, VECQ_FORMAT_PACKED, 0);
        assert_ok(vecq_model_plan(model, &o, &report, &err), &err);
        assert_int_equal(report->file_bytes > (uint64_t)8 << 30, 1);
        assert_int_equal(report->n_quantized, 1);
        vecq_report_free(report);
    }
    assert_ok(vecq_model_weight_values(model, 0, got, &err), &err);
    assert_memory_equal(got, data, sizeof got);
    quantize(model, 4, VECQ_FORMAT_PACKED);
    { /* embedding 8 GiB is refused before anything is written */
        vecq_save_options options;

        vecq_save_options_default(&options);
        options.external_data = 0;
        assert_int_equal(vecq_model_save(model, "big.onnx", &options, NULL, &err), VECQ_ERR_UNSUPPORTED);
        assert_error(&err, VECQ_ERR_UNSUPPORTED, "big.onnx", "2 GiB");
        assert_int_equal(access("big.onnx", F_OK), -1);
    }
    vecq_model_close(model);
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(usage.ru_maxrss < 256 * 1024);
#endif
    unlink("sparse.bin");
    forget();
}

/* Tensors at places that are not moved keep a model from being saved, rather than losing their data. */
static void test_unmovable(void **state)
{
    static const int64_t dims[] = {ROWS, COLS};
    vecq_message *sparse, *tensor;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_model *model;
    model_build b;

    (void)state;
    fill();
    write_file("in/w.bin", 1);
    model_begin(&b, 8, 17);
    model_node(&b, "MatMul", "x w", "y");
    model_external(&b, "w", 2, dims, "w.bin", "0", "8192");
    model_external(&b, "v", 2, dims, "w.bin", "0", "8192");
    tensor = b.graph->fields[b.graph->n_fields - 1].child;
    vecq_message_drop(b.graph, b.graph->n_fields - 1);
    sparse = vecq_message_new(&b.arena);
    assert_true(vecq_message_insert_child(sparse, SIZE_MAX, ONNX_SPARSE_VALUES, tensor));
    assert_true(vecq_message_insert_child(b.graph, SIZE_MAX, ONNX_GRAPH_SPARSE_INITIALIZER, sparse));
    model_file(&b, "in/m.onnx");
    model = load_in();
    assert_int_equal(vecq_model_save(model, "in/out.onnx", NULL, NULL, &err), VECQ_ERR_UNSUPPORTED);
    assert_error(&err, VECQ_ERR_UNSUPPORTED, "in/m.onnx", "sparse initializer");
    assert_int_equal(count_entries("in"), 2);
    vecq_model_close(model);
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unchanged),   cmocka_unit_test(test_quantized),
        cmocka_unit_test(test_saved_again), cmocka_unit_test(test_no_empty_file),
        cmocka_unit_test(test_atomic),      cmocka_unit_test(test_large_file),
        cmocka_unit_test(test_unmovable),
    };

    return cmocka_run_group_tests(tests, temp_folder_enter, temp_folder_leave);
}
