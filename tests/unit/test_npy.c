/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy files: what NumPy writes (bytes below), what we write, and everything that can be wrong. */
#include "vecq_test.h"

#include "base/temp_folder.h"
#include "npz_deflated.h"
#include "tensor/tensor.h"

/* A file of version 1 with this dictionary and these data. */
static size_t npy(uint8_t *file, const char *dictionary, const void *data, size_t n)
{
    size_t length = strlen(dictionary);

    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = (uint8_t)length;
    file[9] = (uint8_t)(length >> 8);
    memcpy(file + 10, dictionary, length);
    memcpy(file + 10 + length, data, n);
    return 10 + length + n;
}

#define DICTIONARY(descr, order, shape)                                                                      \
    "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }   \n"

static void test_reads_orders(void **state)
{
    static const float f[6] = {1, 2, 3, 4, 5, 6};
    static const uint8_t big[8] = {0x01, 0x02, 0x03, 0x04, 0xff, 0xff, 0xff, 0xfe};
    uint8_t file[512];
    vecq_error err = VECQ_ERROR_INIT;
    vecq_tensor t;
    size_t n = npy(file, DICTIONARY("<f4", "False", "(2, 3)"), f, sizeof f);

    (void)state;
    assert_ok(vecq_npy_read(file, n, &t, &err), &err);
    assert_int_equal(t.dtype, VECQ_DT_FLOAT);
    assert_int_equal(t.rank, 2);
    assert_int_equal(t.dims[0], 2);
    assert_int_equal(t.dims[1], 3);
    assert_memory_equal(t.data, f, sizeof f);
    vecq_tensor_destroy(&t);
    n = npy(file, DICTIONARY("<f4", "True", "(2, 3)"), f, sizeof f);
    assert_ok(vecq_npy_read(file, n, &t, &err), &err);
    assert_true(((float *)t.data)[1] == 3 && ((float *)t.data)[3] == 2);
    vecq_tensor_destroy(&t);
    n = npy(file, "{'shape': (2,), 'fortran_order': False, 'descr': '>i4'}", big, sizeof big);
    assert_ok(vecq_npy_read(file, n, &t, &err), &err);
    assert_int_equal(t.rank, 1);
    assert_int_equal(((int32_t *)t.data)[0], 0x01020304);
    assert_int_equal(((int32_t *)t.data)[1], -2);
    vecq_tensor_destroy(&t);
    n = npy(file, DICTIONARY("|b1", "False", "()"), "\x07", 1);
    assert_ok(vecq_npy_read(file, n, &t, &err), &err);
    assert_int_equal(t.rank, 0);
    assert_int_equal(((uint8_t *)t.data)[0], 1);
    vecq_tensor_destroy(&t);
    n = npy(file, DICTIONARY("<f8", "False", "(3, 0, 2)"), "", 0);
    assert_ok(vecq_npy_read(file, n, &t, &err), &err);
    assert_int_equal(t.count, 0);
    vecq_tensor_destroy(&t);
}

static void test_refuses(void **state)
{
    static const struct {
        const char *dictionary;
        size_t n_data;
        vecq_status status;
    } cases[] = {
        {DICTIONARY("<f4", "False", "(2, 3)"), 23, VECQ_ERR_FORMAT},
        {DICTIONARY("<f4", "False", "(2, 3)"), 25, VECQ_ERR_FORMAT},
        {DICTIONARY("<c8", "False", "(2, 3)"), 24, VECQ_ERR_UNSUPPORTED},
        {DICTIONARY("|O", "False", "(3,)"), 24, VECQ_ERR_UNSUPPORTED},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", 4, VECQ_ERR_UNSUPPORTED},
        {DICTIONARY("<f4", "maybe", "(6,)"), 24, VECQ_ERR_FORMAT},
        {DICTIONARY("<f4", "False", "(6)"), 24, VECQ_ERR_FORMAT},
        {DICTIONARY("<f4", "False", "(-6,)"), 24, VECQ_ERR_FORMAT},
        {DICTIONARY("<f4", "False", "(,)"), 24, VECQ_ERR_FORMAT},
        {DICTIONARY("<f4", "False", "(2 3)"), 24, VECQ_ERR_FORMAT},
        {DICTIONARY("<f4", "False", "(1000000000000000, 1000000000000000)"), 24, VECQ_ERR_FORMAT},
        {DICTIONARY("<f4", "False", "(99999999999999999999999,)"), 24, VECQ_ERR_FORMAT},
        {DICTIONARY("<f4", "False", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"), 4, VECQ_ERR_UNSUPPORTED},
        {"{'descr': '<f4', 'fortran_order': False}", 4, VECQ_ERR_FORMAT},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 4, VECQ_ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}", 4, VECQ_ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", 4, VECQ_ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)", 4, VECQ_ERR_FORMAT},
        {"", 4, VECQ_ERR_FORMAT},
    };
    static const uint8_t data[32];
    uint8_t file[512], *exact;
    size_t i, n, cut;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_tensor t;

        n = npy(file, cases[i].dictionary, data, cases[i].n_data);
        if (vecq_npy_read(file, n, &t, &err) != cases[i].status)
            fail_msg("case %zu: %s, %s", i, vecq_status_name(err.status), err.message);
        assert_true(err.message[0] != '\0');
        assert_null(t.data);
    }
    n = npy(file, DICTIONARY("<f4", "False", "(2, 3)"), data, 24);
    for (cut = 0; cut < n; cut++) { /* in a block of exactly this size, for the sanitizer */
        vecq_tensor t;

        exact = malloc(cut + (cut == 0));
        memcpy(exact, file, cut);
        assert_int_equal(vecq_npy_read(exact, cut, &t, NULL), VECQ_ERR_FORMAT);
        free(exact);
    }
}

static void test_writes_what_it_reads(void **state)
{
    static const vecq_dtype types[] = {VECQ_DT_BOOL,   VECQ_DT_INT8,    VECQ_DT_INT16,  VECQ_DT_INT32,
                                       VECQ_DT_INT64,  VECQ_DT_UINT8,   VECQ_DT_UINT16, VECQ_DT_UINT32,
                                       VECQ_DT_UINT64, VECQ_DT_FLOAT16, VECQ_DT_FLOAT,  VECQ_DT_DOUBLE};
    static const int64_t dims[VECQ_MAX_RANK] = {2, 1, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    vecq_view views[12];
    const char *names[12];
    uint8_t data[48];
    vecq_error err = VECQ_ERROR_INIT;
    vecq_npz *npz;
    vecq_tensor t;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof data; i++)
        data[i] = i & 1;
    for (i = 0; i < 12; i++) {
        vecq_view v = {
            .dtype = types[i], .rank = (unsigned)(i < 4 ? 3 + i * 4 : 3), .count = 6, .data = data};

        memcpy(v.dims, dims, sizeof dims);
        v.n_bytes = vecq_dtype_bytes(v.dtype, 6);
        assert_ok(vecq_npy_save("a.npy", &v, &err), &err);
        assert_ok(vecq_npy_load("a.npy", &t, &err), &err);
        assert_int_equal(t.dtype, v.dtype);
        assert_int_equal(t.rank, v.rank);
        assert_memory_equal(t.dims, v.dims, v.rank * sizeof *v.dims);
        assert_memory_equal(t.data, data, v.n_bytes);
        vecq_tensor_destroy(&t);
        views[i] = v;
        names[i] = vecq_dtype_name(v.dtype);
    }
    assert_ok(vecq_npz_save("a.npz", names, views, 12, &err), &err);
    assert_ok(vecq_npz_open("a.npz", &npz, &err), &err);
    assert_int_equal(vecq_npz_count(npz), 12);
    for (i = 0; i < 12; i++) {
        assert_string_equal(vecq_npz_name(npz, i), names[i]);
        assert_ok(vecq_npz_read(npz, i, &t, &err), &err);
        assert_int_equal(t.dtype, types[i]);
        assert_memory_equal(t.data, data, views[i].n_bytes);
        vecq_tensor_destroy(&t);
    }
    assert_null(vecq_npz_name(npz, 12));
    vecq_npz_close(npz);
    views[0].dtype = VECQ_DT_BFLOAT16;
    assert_int_equal(vecq_npy_save("b.npy", &views[0], &err), VECQ_ERR_UNSUPPORTED);
    assert_int_equal(access("b.npy", F_OK), -1);
    assert_int_equal(vecq_npy_load("nothing.npy", &t, NULL), VECQ_ERR_IO);
    vecq_npz_close(NULL);
}

static void test_reads_deflated(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_npz *npz;
    vecq_tensor t;
    size_t i, cut;

    (void)state;
    assert_ok(vecq_npz_open_memory(npz_deflated, sizeof npz_deflated, "z", &npz, &err), &err);
    assert_int_equal(vecq_npz_count(npz), 1);
    assert_string_equal(vecq_npz_name(npz, 0), "x");
    assert_ok(vecq_npz_read(npz, 0, &t, &err), &err);
    assert_int_equal(t.dtype, VECQ_DT_INT16);
    assert_int_equal(t.count, 200);
    for (i = 0; i < 200; i++)
        assert_int_equal(((int16_t *)t.data)[i], (int)i);
    vecq_tensor_destroy(&t);
    vecq_npz_close(npz);
    for (cut = 0; cut < sizeof npz_deflated; cut++) {
        uint8_t *exact = malloc(cut + (cut == 0));

        memcpy(exact, npz_deflated, cut);
        assert_int_equal(vecq_npz_open_memory(exact, cut, "z", &npz, NULL), VECQ_ERR_FORMAT);
        free(exact);
    }
    for (i = 0; i < sizeof npz_deflated; i++) { /* one byte changed: an error, or the same numbers */
        uint8_t *bytes = malloc(sizeof npz_deflated);

        memcpy(bytes, npz_deflated, sizeof npz_deflated);
        bytes[i] ^= 0x41;
        if (vecq_npz_open_memory(bytes, sizeof npz_deflated, "z", &npz, NULL) == VECQ_OK) {
            if (vecq_npz_count(npz) == 1 && vecq_npz_read(npz, 0, &t, NULL) == VECQ_OK) {
                assert_int_equal(t.count, 200);
                assert_int_equal(((int16_t *)t.data)[199], 199);
                vecq_tensor_destroy(&t);
            }
            vecq_npz_close(npz);
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_orders),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test_setup_teardown(test_writes_what_it_reads, temp_folder_enter, temp_folder_leave),
        cmocka_unit_test(test_reads_deflated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
