/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <dirent.h>

#include "base/file.h"
#include "fail_alloc.h"
#include "onnx/schema.h"
#include "onnx/tensor_proto.h"
#include "onnx_document.h"

#define CORPUS    VECQ_SOURCE_DIR "/fuzz/corpus/onnx"
#define MAX_FOUND 64

/* The tensors of a file, in document order of initializers. */
typedef struct found {
    vecq_arena arena;
    vecq_external external;
    vecq_mapping file;
    vecq_tensor_proto tensors[MAX_FOUND];
    size_t n;
} found;

static vecq_status find_tensor(void *context, vecq_span message, vecq_error *err)
{
    found *f = context;

    assert_true(f->n < MAX_FOUND);
    return vecq_tensor_proto_parse(&f->arena, &f->external, message, &f->tensors[f->n++], err);
}

static vecq_status find(const char *name, found *f, vecq_error *err)
{
    char path[1024];
    vecq_message *root;

    memset(f, 0, sizeof *f);
    vecq_external_init(&f->external, NULL);
    snprintf(path, sizeof path, "%s/%s", CORPUS, name);
    VECQ_TRY(vecq_mapping_open(path, &f->file, err));
    VECQ_TRY(vecq_wire_check_model(f->file.bytes, NULL, err));
    VECQ_TRY(vecq_message_parse(&f->arena, f->file.bytes, &root, err));
    return document_open_all(root, find_tensor, f, err);
}

static void lose(found *f)
{
    vecq_external_clear(&f->external);
    vecq_arena_clear(&f->arena);
    vecq_mapping_close(&f->file);
}

/* ---- all dtypes ---- */

/* Packed and unpacked typed data give the bytes that the raw form has: the corpus script computed both. */
static void check_typed_file(const char *name)
{
    vecq_error err = VECQ_ERROR_INIT;
    found raw, typed;
    size_t i;

    assert_ok(find("dtypes_raw.onnx", &raw, &err), &err);
    assert_ok(find(name, &typed, &err), &err);
    assert_int_equal(raw.n, VECQ_DT_COUNT - 2); /* all but undefined and string */
    assert_int_equal(typed.n, raw.n);
    for (i = 0; i < raw.n; i++) {
        const vecq_tensor_proto *r = &raw.tensors[i], *t = &typed.tensors[i];
        size_t n = vecq_dtype_bytes(r->dtype, r->count);
        uint8_t *want = malloc(n), *got = malloc(n + 1);

        assert_non_null(want);
        assert_non_null(got);
        assert_string_equal(r->name, vecq_dtype_name(r->dtype));
        assert_string_equal(t->name, r->name);
        assert_true(r->encoding == VECQ_ENC_RAW && t->encoding == VECQ_ENC_TYPED && t->dtype == r->dtype);
        assert_true(r->rank == 1 && t->rank == 1 && r->count == 5 && t->count == 5 && r->bytes.n == n);
        assert_true(r->n_stored == n && t->n_stored > 0);
        assert_ok(vecq_tensor_proto_read(r, want, &err), &err);
        got[n] = 0xa5;
        assert_ok(vecq_tensor_proto_read(t, got, &err), &err);
        if (memcmp(want, got, n) != 0 || got[n] != 0xa5)
            fail_msg("%s in %s is not what raw_data holds", r->name, name);
        free(want);
        free(got);
    }
    lose(&raw);
    lose(&typed);
}

static void test_typed_packed(void **state)
{
    (void)state;
    check_typed_file("dtypes_packed.onnx");
}

static void test_typed_unpacked(void **state)
{
    (void)state;
    check_typed_file("dtypes_unpacked.onnx");
}

static void test_forms(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    found f;
    float scalar = 0;
    size_t i;

    (void)state;
    assert_ok(find("tensor_forms.onnx", &f, &err), &err);
    assert_int_equal(f.n, 10);
    for (i = 0; i < 3; i++) { /* without elements */
        assert_true(f.tensors[i].encoding == VECQ_ENC_RAW && f.tensors[i].count == 0 &&
                    f.tensors[i].bytes.n == 0);
        assert_ok(vecq_tensor_proto_read(&f.tensors[i], &scalar, &err), &err);
    }
    assert_true(f.tensors[2].rank == 3 && f.tensors[2].dims[0] == (int64_t)1 << 40);
    assert_true(f.tensors[3].rank == 0 && f.tensors[3].count == 1);
    assert_ok(vecq_tensor_proto_read(&f.tensors[3], &scalar, &err), &err);
    assert_true(scalar == 1.5f);
    for (i = 4; i < 10; i++) {
        vecq_error bad = VECQ_ERROR_INIT;

        if (f.tensors[i].encoding != VECQ_ENC_OPAQUE)
            fail_msg("'%s' is not opaque", f.tensors[i].name);
        assert_int_equal(vecq_tensor_proto_read(&f.tensors[i], &scalar, &bad), VECQ_ERR_UNSUPPORTED);
    }
    assert_true(f.tensors[4].dtype == VECQ_DT_STRING && f.tensors[4].n_stored == 3 &&
                f.tensors[4].count == 2);
    assert_true(f.tensors[5].rank == 0 && f.tensors[5].count == 1); /* rank 17 */
    assert_true(f.tensors[7].dtype == VECQ_DT_UNDEFINED && f.tensors[7].n_stored == 3);
    lose(&f);
    assert_ok(find("tensor_dims_packed.onnx", &f, &err), &err);
    assert_true(f.n == 1 && f.tensors[0].rank == 2 && f.tensors[0].dims[0] == 2 && f.tensors[0].dims[1] == 3);
    lose(&f);
}

/* ---- refusals ---- */

static void test_bad_corpus(void **state)
{
    DIR *folder = opendir(CORPUS);
    struct dirent *entry;
    size_t n = 0;

    (void)state;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_status status;
        found f;

        if (strncmp(entry->d_name, "bad_tensor_", 11) != 0)
            continue;
        status = find(entry->d_name, &f, &err);
        if ((status != VECQ_ERR_FORMAT && status != VECQ_ERR_IO) || strstr(err.message, "tensor '") == NULL)
            fail_msg("%s: %s '%s'", entry->d_name, vecq_status_name(status), err.message);
        n++;
        lose(&f);
    }
    closedir(folder);
    assert_true(n >= 7);
}

static vecq_status parse(vecq_message *message, vecq_tensor_proto *tensor, vecq_error *err)
{
    static vecq_arena arena;
    static uint8_t bytes[4096]; /* stays valid for a read */
    vecq_external external;
    document_bytes out;
    vecq_span span = {bytes, 0};
    vecq_status status;

    assert_ok(document_write(message, &out, err), err);
    assert_true(out.n <= sizeof bytes);
    memcpy(bytes, out.data, out.n);
    span.n = out.n;
    vecq_free(out.data);
    vecq_external_init(&external, NULL);
    vecq_arena_clear(&arena);
    status = vecq_tensor_proto_parse(&arena, &external, span, tensor, err);
    vecq_external_clear(&external);
    if (status != VECQ_OK) { /* also without an error object */
        assert_int_equal(vecq_tensor_proto_parse(&arena, &external, span, tensor, NULL), status);
        vecq_arena_clear(&arena);
    } else {
        tensor->name = "t"; /* the arena goes */
        vecq_arena_clear(&arena);
    }
    return status;
}

static void check_refused(vecq_message *message, const char *says)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_tensor_proto tensor;

    assert_int_equal(parse(message, &tensor, &err), VECQ_ERR_FORMAT);
    if (strstr(err.message, says) == NULL || strstr(err.message, "tensor 't' ") == NULL)
        fail_msg("'%s' does not say '%s'", err.message, says);
}

/* A tensor 't' of one dimension without data. */
static vecq_message *bare(vecq_arena *arena, int dtype, int64_t dim)
{
    vecq_message *t = vecq_message_new(arena);

    assert_non_null(t);
    assert_true(vecq_message_insert_scalar(t, SIZE_MAX, ONNX_TENSOR_DIMS, (uint64_t)dim));
    assert_true(vecq_message_insert_scalar(t, SIZE_MAX, ONNX_TENSOR_DATA_TYPE, (uint64_t)dtype));
    assert_true(vecq_message_insert_string(t, SIZE_MAX, ONNX_TENSOR_NAME, "t"));
    return t;
}

static void put(vecq_message *t, uint32_t number, uint64_t value)
{
    assert_true(vecq_message_insert_scalar(t, SIZE_MAX, number, value));
}

static void test_refusals(void **state)
{
    static const uint8_t zeros[64];
    vecq_arena arena = {0};
    static const uint8_t nul_name[] = {'w', 0, 'x'};
    vecq_span raw = {zeros, 0}, nul = {nul_name, sizeof nul_name};
    vecq_message *t, *entry;

    (void)state;
    check_refused(bare(&arena, VECQ_DT_FLOAT, 3), "float32[3] needs 3 entries, but float_data has 0");
    check_refused(bare(&arena, VECQ_DT_FLOAT, -1), "negative dimension");
    check_refused(bare(&arena, VECQ_DT_STRING, -1), "negative dimension"); /* opaque ones too */
    check_refused(bare(&arena, VECQ_DT_FLOAT, INT64_MAX), "more elements");
    check_refused(bare(&arena, VECQ_DT_FLOAT, ((int64_t)1 << 47) + 1), "more elements");
    for (raw.n = 0; raw.n < 16; raw.n++) {
        if (raw.n == 12)
            continue;
        t = bare(&arena, VECQ_DT_FLOAT, 3);
        assert_true(vecq_message_insert_bytes(t, SIZE_MAX, ONNX_TENSOR_RAW_DATA, raw));
        check_refused(t, "float32[3] needs 12 bytes, but raw_data has");
    }
    raw.n = 3;
    t = bare(&arena, VECQ_DT_INT4, 7); /* 4 bytes */
    assert_true(vecq_message_insert_bytes(t, SIZE_MAX, ONNX_TENSOR_RAW_DATA, raw));
    check_refused(t, "int4[7] needs 4 bytes, but raw_data has 3");
    t = bare(&arena, VECQ_DT_FLOAT, 0);
    assert_true(vecq_message_insert_bytes(t, SIZE_MAX, ONNX_TENSOR_RAW_DATA, raw));
    check_refused(t, "needs 0 bytes, but raw_data has 3");
    t = bare(&arena, VECQ_DT_FLOAT, 0);
    assert_true(vecq_message_insert_fixed32(t, SIZE_MAX, ONNX_TENSOR_FLOAT_DATA, 0));
    check_refused(t, "needs 0 entries, but float_data has 1");
    t = bare(&arena, VECQ_DT_FLOAT, 1);
    put(t, ONNX_TENSOR_INT32_DATA, 1);
    check_refused(t, "is float32, but has data in int32_data");
    t = bare(&arena, VECQ_DT_INT4, 2); /* one entry holds two */
    put(t, ONNX_TENSOR_INT32_DATA, 1);
    put(t, ONNX_TENSOR_INT32_DATA, 1);
    check_refused(t, "int4[2] needs 1 entries, but int32_data has 2");
    raw.n = 0;
    t = bare(&arena, VECQ_DT_INT32, 1); /* raw_data is set, if only to nothing */
    assert_true(vecq_message_insert_bytes(t, SIZE_MAX, ONNX_TENSOR_RAW_DATA, raw));
    put(t, ONNX_TENSOR_INT32_DATA, 1);
    check_refused(t, "has data twice, in raw_data and in int32_data");
    t = bare(&arena, VECQ_DT_FLOAT, 1);
    put(t, ONNX_TENSOR_DATA_LOCATION, 2);
    check_refused(t, "unknown location 2");
    t = bare(&arena, VECQ_DT_FLOAT, 1);
    put(t, ONNX_TENSOR_DATA_LOCATION, ONNX_LOCATION_EXTERNAL);
    check_refused(t, "without a location");
    t = bare(&arena, VECQ_DT_FLOAT, 1);
    put(t, ONNX_TENSOR_DATA_LOCATION, ONNX_LOCATION_EXTERNAL);
    entry = vecq_onnx_entry(&arena, "location", "");
    assert_non_null(entry);
    assert_true(vecq_message_set_bytes(entry, 1, nul));
    assert_true(vecq_message_insert_child(t, SIZE_MAX, ONNX_TENSOR_EXTERNAL_DATA, entry));
    check_refused(t, "holds a NUL byte");
    vecq_arena_clear(&arena);
}

static void check_value(int dtype, uint64_t value, const void *want, size_t n)
{
    vecq_arena arena = {0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_message *t = bare(&arena, dtype, 1);
    vecq_tensor_proto tensor;
    uint8_t got[8];

    put(t, dtype == VECQ_DT_UINT32 ? ONNX_TENSOR_UINT64_DATA : ONNX_TENSOR_INT32_DATA, value);
    assert_ok(parse(t, &tensor, &err), &err);
    if (want == NULL) {
        assert_int_equal(vecq_tensor_proto_read(&tensor, got, &err), VECQ_ERR_FORMAT);
        assert_non_null(strstr(err.message, vecq_dtype_name((vecq_dtype)dtype)));
    } else {
        assert_ok(vecq_tensor_proto_read(&tensor, got, &err), &err);
        assert_memory_equal(got, want, n);
    }
    vecq_arena_clear(&arena);
}

/* Entries outside the dtype are damage; negative ones come in ten bytes or, truncated, in five. */
static void test_narrowing(void **state)
{
    (void)state;
    check_value(VECQ_DT_INT8, (uint64_t)-128, "\x80", 1);
    check_value(VECQ_DT_INT8, 0xffffff80u, "\x80", 1);
    check_value(VECQ_DT_INT8, (uint64_t)-129, NULL, 0);
    check_value(VECQ_DT_UINT8, 255, "\xff", 1);
    check_value(VECQ_DT_UINT8, 256, NULL, 0);
    check_value(VECQ_DT_INT16, (uint64_t)-2, "\xfe\xff", 2);
    check_value(VECQ_DT_FLOAT16, 0x3c00, "\x00\x3c", 2);
    check_value(VECQ_DT_FLOAT16, 0xbc00, "\x00\xbc", 2);
    check_value(VECQ_DT_FLOAT16, (uint64_t)(int64_t)(int16_t)0xbc00, "\x00\xbc", 2); /* sign-extended bits */
    check_value(VECQ_DT_BFLOAT16, 0x10000, NULL, 0);
    check_value(VECQ_DT_BOOL, 7, "\x01", 1);
    check_value(VECQ_DT_INT32, (uint64_t)-1, "\xff\xff\xff\xff", 4);
    check_value(VECQ_DT_UINT32, UINT32_MAX, "\xff\xff\xff\xff", 4);
    check_value(VECQ_DT_UINT32, (uint64_t)UINT32_MAX + 1, NULL, 0);
}

/* ---- failing allocations ---- */

static vecq_status parse_file(void *context, vecq_error *err)
{
    found *f = malloc(sizeof *f);
    vecq_status status;

    assert_non_null(f);
    status = find(context, f, err);
    lose(f);
    free(f);
    return status;
}

static void test_allocation_failures(void **state)
{
    static char name[] = "tensor_forms.onnx";

    (void)state;
    assert_true(vecq_fail_every_alloc(parse_file, name) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typed_packed),
        cmocka_unit_test(test_typed_unpacked),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_bad_corpus),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_narrowing),
        cmocka_unit_test(test_allocation_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
