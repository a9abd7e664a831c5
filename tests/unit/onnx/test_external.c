/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail_alloc.h"
#include "onnx/schema.h"
#include "onnx/tensor_proto.h"
#include "onnx_document.h"

/* root/outside.bin, root/model/{w.bin, sub/v.bin, in -> sub/v.bin, out -> ../outside.bin, up -> .., fifo} */
static char root[64], folder[128];

static const char *below(const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void make_file(const char *name, const char *text)
{
    FILE *file = fopen(below(name), "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(root, "/tmp/vecq-external-XXXXXX");
    assert_non_null(mkdtemp(root));
    snprintf(folder, sizeof folder, "%s/model", root);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(mkdir(below("model/sub"), 0700), 0);
    make_file("outside.bin", "secret");
    make_file("modelx", "secret");
    make_file("model/w.bin", "0123456789");
    make_file("model/empty.bin", "");
    make_file("model/sub/v.bin", "abcdef");
    assert_int_equal(symlink("sub/v.bin", below("model/in")), 0);
    assert_int_equal(symlink("../outside.bin", below("model/out")), 0);
    assert_int_equal(symlink("../modelx", below("model/beside")), 0); /* its path begins like the folder's */
    assert_int_equal(symlink("..", below("model/up")), 0);
    assert_int_equal(symlink("nowhere", below("model/broken")), 0);
    assert_int_equal(mkfifo(below("model/fifo"), 0600), 0);
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"model/fifo",  "model/broken", "model/up",        "model/beside",
                                        "model/out",   "model/in",     "model/sub/v.bin", "model/empty.bin",
                                        "model/w.bin", "modelx",       "outside.bin",     "model/big.bin"};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        unlink(below(names[i]));
    rmdir(below("model/sub"));
    rmdir(folder);
    return rmdir(root);
}

static void test_ranges(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_external external;
    vecq_span bytes, again;

    (void)state;
    vecq_external_init(&external, folder);
    assert_ok(vecq_external_get(&external, "w.bin", 2, 3, &bytes, &err), &err);
    assert_int_equal(bytes.n, 3);
    assert_memory_equal(bytes.data, "234", 3);
    assert_ok(vecq_external_get(&external, ".//./w.bin", 2, 3, &again, &err), &err);
    assert_ok(vecq_external_get(&external, "w.bin", 4, UINT64_MAX, &bytes, &err), &err);
    assert_int_equal(external.n_files, 1); /* mapped once */
    assert_ptr_equal(again.data + 2, bytes.data);
    assert_memory_equal(bytes.data, "456789", 6);
    assert_int_equal(bytes.n, 6);
    assert_ok(vecq_external_get(&external, "w.bin", 10, UINT64_MAX, &bytes, &err), &err);
    assert_int_equal(bytes.n, 0);
    assert_ok(vecq_external_get(&external, "empty.bin", 0, 0, &bytes, &err), &err);
    assert_ok(vecq_external_get(&external, "sub/v.bin", 0, 6, &bytes, &err), &err);
    assert_memory_equal(bytes.data, "abcdef", 6);
    assert_ok(vecq_external_get(&external, "in", 0, 6, &bytes, &err), &err); /* a link that stays inside */
    assert_memory_equal(bytes.data, "abcdef", 6);
    assert_true(vecq_external_is(&external, below("model/w.bin")));
    assert_true(vecq_external_is(&external, below("model/up/model/w.bin")));
    assert_false(vecq_external_is(&external, below("outside.bin")));
    assert_false(vecq_external_is(&external, "-"));
    vecq_external_clear(&external);
    assert_ok(vecq_external_get(&external, "w.bin", 0, 10, &bytes, &err), &err); /* usable again */
    vecq_external_clear(&external);
}

static void check_refused(const char *location, uint64_t offset, uint64_t length, vecq_status status,
                          const char *says)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_external external;
    vecq_span bytes = {(const uint8_t *)"x", 1};

    vecq_external_init(&external, folder);
    assert_int_equal(vecq_external_get(&external, location, offset, length, &bytes, &err), status);
    if (strstr(err.message, says) == NULL || strstr(err.message, location) == NULL)
        fail_msg("'%s': '%s' does not say '%s'", location, err.message, says);
    assert_int_equal(bytes.n, 0);
    vecq_external_clear(&external);
}

static void test_refusals(void **state)
{
    char long_name[5000];

    (void)state;
    check_refused("", 0, 1, VECQ_ERR_FORMAT, "is empty");
    check_refused(".", 0, 1, VECQ_ERR_FORMAT, "names no file");
    check_refused("/etc/passwd", 0, 1, VECQ_ERR_FORMAT, "not relative");
    check_refused("C:w.bin", 0, 1, VECQ_ERR_FORMAT, "not relative");
    check_refused("..", 0, 1, VECQ_ERR_FORMAT, "leaves");
    check_refused("../outside.bin", 0, 1, VECQ_ERR_FORMAT, "leaves");
    check_refused("sub/../../outside.bin", 0, 1, VECQ_ERR_FORMAT, "leaves");
    check_refused("sub/../w.bin", 0, 1, VECQ_ERR_FORMAT, "leaves"); /* even if it comes back */
    check_refused("sub/..", 0, 1, VECQ_ERR_FORMAT, "leaves");
    check_refused("sub\\..\\w.bin", 0, 1, VECQ_ERR_FORMAT, "backslash");
    check_refused("out", 0, 1, VECQ_ERR_FORMAT, "link that leaves");
    check_refused("beside", 0, 1, VECQ_ERR_FORMAT, "link that leaves");
    check_refused("up/outside.bin", 0, 1, VECQ_ERR_FORMAT, "link that leaves");
    check_refused("up/model/up", 0, 1, VECQ_ERR_FORMAT, "link that leaves");
    check_refused("broken", 0, 1, VECQ_ERR_IO, "No such file");
    check_refused("missing.bin", 0, 1, VECQ_ERR_IO, "No such file");
    check_refused("w.bin/x", 0, 1, VECQ_ERR_IO, "Not a directory");
    check_refused("sub", 0, 1, VECQ_ERR_IO, "not an ordinary file");
    check_refused("fifo", 0, 1, VECQ_ERR_IO, "not an ordinary file"); /* and does not wait for a writer */
    check_refused("w.bin", 8, 3, VECQ_ERR_FORMAT, "3 bytes from byte 8 of");
    check_refused("w.bin", 11, 0, VECQ_ERR_FORMAT, "which has only 10");
    check_refused("w.bin", 11, UINT64_MAX, VECQ_ERR_FORMAT, "begins at byte 11");
    check_refused("w.bin", 1, UINT64_MAX - 1, VECQ_ERR_FORMAT, "which has only 10");
    check_refused("w.bin", UINT64_MAX, 1, VECQ_ERR_FORMAT, "which has only 10");
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    {
        vecq_external external;
        vecq_span bytes;

        vecq_external_init(&external, folder);
        assert_int_equal(vecq_external_get(&external, long_name, 0, 1, &bytes, NULL), VECQ_ERR_FORMAT);
        assert_int_equal(vecq_external_get(&external, long_name + 1500, 0, 1, &bytes, NULL), VECQ_ERR_IO);
        vecq_external_clear(&external);
        vecq_external_init(&external, NULL); /* a model from memory */
        assert_int_equal(vecq_external_get(&external, "w.bin", 0, 1, &bytes, NULL), VECQ_ERR_IO);
        vecq_external_clear(&external);
        vecq_external_init(&external, below("nowhere"));
        assert_int_equal(vecq_external_get(&external, "w.bin", 0, 1, &bytes, NULL), VECQ_ERR_IO);
        vecq_external_clear(&external);
    }
}

/* Offsets above 4 GB, in a file with a hole. */
static void test_large_file(void **state)
{
    const uint64_t offset = (uint64_t)5 << 30;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_external external;
    vecq_span bytes;
    int fd = open(below("model/big.bin"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    (void)state;
    assert_true(fd >= 0);
    if (pwrite(fd, "tail", 4, (off_t)offset) != 4) {
        close(fd);
        print_message("skipped: no room for a sparse file of 5 GB\n");
        skip();
    }
    close(fd);
    vecq_external_init(&external, folder);
    assert_ok(vecq_external_get(&external, "big.bin", offset, 4, &bytes, &err), &err);
    assert_memory_equal(bytes.data, "tail", 4);
    assert_ok(vecq_external_get(&external, "big.bin", 0, UINT64_MAX, &bytes, &err), &err);
    assert_true(bytes.n == offset + 4);
    vecq_external_clear(&external);
    unlink(below("model/big.bin"));
}

/* ---- through a TensorProto ---- */

static vecq_status parse_tensor(int dtype, int64_t dim, const char *const *entries, vecq_tensor_proto *out,
                                vecq_span *data, vecq_error *err)
{
    static uint8_t kept[16];
    vecq_arena arena = {0};
    vecq_external external;
    document_bytes bytes = {0};
    vecq_message *tensor = vecq_message_new(&arena), *entry;
    vecq_status status = tensor != NULL ? VECQ_OK : vecq_error_memory(err, 1);
    vecq_span span;

    vecq_external_init(&external, folder);
    if (status == VECQ_OK &&
        (!vecq_message_insert_scalar(tensor, SIZE_MAX, ONNX_TENSOR_DIMS, (uint64_t)dim) ||
         !vecq_message_set_scalar(tensor, ONNX_TENSOR_DATA_TYPE, (uint64_t)dtype) ||
         !vecq_message_insert_string(tensor, SIZE_MAX, ONNX_TENSOR_NAME, "conv1.weight") ||
         !vecq_message_set_scalar(tensor, ONNX_TENSOR_DATA_LOCATION, 1)))
        status = vecq_error_memory(err, 1);
    for (; status == VECQ_OK && *entries != NULL; entries += 2) {
        entry = vecq_onnx_entry(&arena, entries[0], entries[1]);
        if (entry == NULL || !vecq_message_insert_child(tensor, SIZE_MAX, ONNX_TENSOR_EXTERNAL_DATA, entry))
            status = vecq_error_memory(err, 1);
    }
    if (status == VECQ_OK)
        status = document_write(tensor, &bytes, err);
    span.data = bytes.data;
    span.n = bytes.n;
    if (status == VECQ_OK)
        status = vecq_tensor_proto_parse(&arena, &external, span, out, err);
    if (status == VECQ_OK) {
        assert_true(out->bytes.n <= sizeof kept && out->is_external && out->n_stored == out->bytes.n);
        memcpy(kept, out->bytes.data, out->bytes.n);
        data->data = kept;
        data->n = out->bytes.n;
    }
    vecq_free(bytes.data);
    vecq_external_clear(&external);
    vecq_arena_clear(&arena);
    return status;
}

static void test_tensors(void **state)
{
    static const char *const plain[] = {"location", "sub/v.bin", NULL};
    static const char *const part[] = {"location", "w.bin", "offset", "2",       "length", "4",
                                       "checksum", "00",    "other",  "ignored", NULL};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_tensor_proto tensor;
    vecq_span data;

    (void)state;
    assert_ok(parse_tensor(VECQ_DT_UINT8, 6, plain, &tensor, &data, &err), &err);
    assert_true(tensor.encoding == VECQ_ENC_RAW && data.n == 6);
    assert_memory_equal(data.data, "abcdef", 6);
    assert_ok(parse_tensor(VECQ_DT_INT16, 2, part, &tensor, &data, &err), &err);
    assert_memory_equal(data.data, "2345", 4);
    assert_ok(parse_tensor(VECQ_DT_INT4, 7, part, &tensor, &data, &err), &err);
    assert_ok(parse_tensor(27, 7, part, &tensor, &data, &err),
              &err); /* a dtype we do not know: bytes to copy */
    assert_true(tensor.encoding == VECQ_ENC_OPAQUE && data.n == 4);
}

static void check_tensor_refused(int64_t dim, const char *key, const char *value, const char *says)
{
    const char *entries[] = {"location", "w.bin", key, value, NULL};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_tensor_proto tensor;
    vecq_span data;
    vecq_status status = parse_tensor(VECQ_DT_FLOAT, dim, entries, &tensor, &data, &err);

    assert_true(status == VECQ_ERR_FORMAT || status == VECQ_ERR_IO);
    if (strstr(err.message, says) == NULL || strncmp(err.message, "tensor 'conv1.weight' ", 22) != 0)
        fail_msg("'%s' does not say '%s'", err.message, says);
}

static void test_tensor_refusals(void **state)
{
    (void)state;
    check_tensor_refused(3, "length", "11",
                         "float32[3] needs 12 bytes, but the length of its external data has 11");
    check_tensor_refused(3, "length", "12", "12 bytes from byte 0 of");
    check_tensor_refused(2, "offset", "0", "the rest of its external file has 10");
    check_tensor_refused(2, "offset", "-2", "'-2', is not a byte count");
    check_tensor_refused(2, "offset", "", "not a byte count");
    check_tensor_refused(2, "offset", "0x2", "not a byte count");
    check_tensor_refused(2, "offset", " 2", "not a byte count");
    check_tensor_refused(2, "offset", "18446744073709551615", "not a byte count");
    check_tensor_refused(2, "length", "18446744073709551624", "not a byte count"); /* 2^64 + 8 */
    check_tensor_refused(2, "offset", "18446744073709551614", "which has 10");
    check_tensor_refused(2, "location", "w.bin", "twice");
}

static vecq_status external_body(void *context, vecq_error *err)
{
    vecq_tensor_proto tensor;
    vecq_span data;

    return parse_tensor(VECQ_DT_UINT8, 6, context, &tensor, &data, err);
}

static void test_allocation_failures(void **state)
{
    static const char *plain[] = {"location", "sub/v.bin", NULL};

    (void)state;
    assert_true(vecq_fail_every_alloc(external_body, plain) >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),          cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_large_file),      cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_tensor_refusals), cmocka_unit_test(test_allocation_failures),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
