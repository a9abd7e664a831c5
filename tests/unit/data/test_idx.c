/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "base/alloc.h"
#include "data/gunzip.h"
#include "data/idx.h"
#include "data_files.h"
#include "fail_alloc.h"

static void plain_and_compressed_are_the_same(void **state)
{
    data_bytes plain = data_idx_images(5, 4, 3), again = data_idx_images(5, 4, 3), zipped = data_gzip(again);
    vecq_error err = VECQ_ERROR_INIT;
    vecq_idx a, b;
    size_t i;

    (void)state;
    assert_ok(vecq_idx_parse(data_span(&plain), "a", 1, &a, &err), &err);
    assert_ok(vecq_idx_parse(data_span(&zipped), "b", 1, &b, &err), &err);
    assert_int_equal(a.n, 5);
    assert_int_equal(a.height, 4);
    assert_int_equal(a.width, 3);
    for (i = 0; i < 60; i++)
        assert_int_equal(a.data[i], data_pixel(i / 12, 0, i / 3 % 4, i % 3));
    assert_int_equal(b.n, 5);
    assert_memory_equal(a.data, b.data, 60);
    vecq_free(a.data);
    vecq_free(b.data);
    data_free(&plain);
    data_free(&zipped);
}

static void labels(void **state)
{
    data_bytes bytes = data_idx_labels(23, 10);
    vecq_error err = VECQ_ERROR_INIT;
    vecq_idx idx;
    size_t i;

    (void)state;
    assert_ok(vecq_idx_parse(data_span(&bytes), "a", 0, &idx, &err), &err);
    assert_int_equal(idx.n, 23);
    for (i = 0; i < 23; i++)
        assert_int_equal(idx.data[i], i % 10);
    vecq_free(idx.data);
    data_free(&bytes);
}

/* Cut at every byte: always an error that names the file, never a crash, nothing left behind. */
static void every_truncation(void **state)
{
    int kind;

    (void)state;
    for (kind = 0; kind < 4; kind++) {
        data_bytes bytes = kind < 2 ? data_idx_images(3, 5, 7) : data_idx_labels(30, 10);
        vecq_error err;
        vecq_idx idx;
        size_t n;

        if (kind % 2 == 1)
            bytes = data_gzip(bytes);
        for (n = 0; n < bytes.n; n++) {
            uint8_t *exact = malloc(n > 0 ? n : 1); /* a sanitizer sees a read past the end */
            vecq_span span = {exact, n};

            assert_non_null(exact);
            memcpy(exact, bytes.data, n);
            expect_error(vecq_idx_parse(span, "the file", kind < 2, &idx, &err), VECQ_ERR_FORMAT, &err,
                         "the file");
            assert_null(idx.data);
            free(exact);
        }
        data_free(&bytes);
    }
}

static void bad_headers(void **state)
{
    data_bytes images = data_idx_images(2, 3, 3), labels = data_idx_labels(4, 2),
               more = data_idx_images(2, 3, 3);
    vecq_error err;
    vecq_idx idx;

    (void)state;
    expect_error(vecq_idx_parse(data_span(&labels), "l", 1, &idx, &err), VECQ_ERR_FORMAT, &err,
                 "l: ", "swapped");
    expect_error(vecq_idx_parse(data_span(&images), "i", 0, &idx, &err), VECQ_ERR_FORMAT, &err,
                 "i: ", "swapped");
    images.data[2] = 0x0d; /* floats */
    expect_error(vecq_idx_parse(data_span(&images), "i", 1, &idx, &err), VECQ_ERR_FORMAT, &err, "0x00000d03");
    images.data[2] = 8;
    images.data[7] = 0; /* no images */
    expect_error(vecq_idx_parse(data_span(&images), "i", 1, &idx, &err), VECQ_ERR_FORMAT, &err, "no samples");
    images.data[7] = 2;
    images.data[11] = 0;
    expect_error(vecq_idx_parse(data_span(&images), "i", 1, &idx, &err), VECQ_ERR_FORMAT, &err, "0 x 3");
    images.data[11] = 3;
    images.data[8] = 0xff;
    expect_error(vecq_idx_parse(data_span(&images), "i", 1, &idx, &err), VECQ_ERR_FORMAT, &err,
                 "4278190083 x 3");
    images.data[8] = 0;
    images.data[4] = 0xff; /* 4 thousand million images */
    expect_error(vecq_idx_parse(data_span(&images), "i", 1, &idx, &err), VECQ_ERR_FORMAT, &err, "truncated");
    data_put(&more, "x", 1);
    expect_error(vecq_idx_parse(data_span(&more), "m", 1, &idx, &err), VECQ_ERR_FORMAT, &err,
                 "m: ", "more data");
    more = data_gzip(more);
    expect_error(vecq_idx_parse(data_span(&more), "m", 1, &idx, &err), VECQ_ERR_FORMAT, &err,
                 "m: ", "more data");
    data_free(&images);
    data_free(&labels);
    data_free(&more);
}

/* A small file that promises, or really unpacks to, far more than it should. */
static void bombs(void **state)
{
    data_bytes promise = {0}, zeros = {0};
    vecq_error err;
    vecq_idx idx;
    uint8_t *block = calloc(1, 1u << 20);
    int i;

    (void)state;
    assert_non_null(block);
    data_put_u32(&promise, 0x803);
    data_put_u32(&promise, 1u << 20);
    data_put_u32(&promise, 1u << 10);
    data_put_u32(&promise, 1u << 10);
    promise = data_gzip(promise);
    expect_error(vecq_idx_parse(data_span(&promise), "p", 1, &idx, &err), VECQ_ERR_FORMAT, &err, "p: ");
    data_put_u32(&zeros, 0x801);
    data_put_u32(&zeros, 10);
    for (i = 0; i < 64; i++)
        data_put(&zeros, block, 1u << 20);
    zeros = data_gzip(zeros);
    assert_true(zeros.n < 100000);
    expect_error(vecq_idx_parse(data_span(&zeros), "z", 0, &idx, &err), VECQ_ERR_FORMAT, &err,
                 "z: ", "more data");
    data_free(&promise);
    data_free(&zeros);
    free(block);
}

static void damage_inside(void **state)
{
    data_bytes bytes = data_gzip(data_idx_images(50, 9, 9));
    vecq_error err;
    vecq_idx idx;

    (void)state;
    bytes.data[bytes.n - 6] ^= 1; /* the sum of the contents */
    expect_error(vecq_idx_parse(data_span(&bytes), "b", 1, &idx, &err), VECQ_ERR_FORMAT, &err,
                 "b: ", "damaged");
    bytes.data[bytes.n - 6] ^= 1;
    memset(bytes.data + bytes.n / 2, 0xff, 20);
    expect_error(vecq_idx_parse(data_span(&bytes), "b", 1, &idx, &err), VECQ_ERR_FORMAT, &err, "b: ");
    data_free(&bytes);
}

/* gzip allows files of several parts: cat a.gz b.gz. */
static void parts_one_after_the_other(void **state)
{
    data_bytes whole = data_idx_labels(100, 10), a = {0}, b = {0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_idx idx;

    (void)state;
    data_put(&a, whole.data, 50);
    data_put(&b, whole.data + 50, whole.n - 50);
    a = data_gzip(a);
    b = data_gzip(b);
    data_put(&a, b.data, b.n);
    assert_ok(vecq_idx_parse(data_span(&a), "a", 0, &idx, &err), &err);
    assert_int_equal(idx.n, 100);
    assert_memory_equal(idx.data, whole.data + 8, 100);
    vecq_free(idx.data);
    data_free(&whole);
    data_free(&a);
    data_free(&b);
}

static vecq_status parse(void *context, vecq_error *err)
{
    vecq_idx idx;
    vecq_status status = vecq_idx_parse(data_span(context), "a", 1, &idx, err);

    vecq_free(idx.data);
    return status;
}

static void out_of_memory(void **state)
{
    data_bytes bytes = data_gzip(data_idx_images(5, 4, 3));

    (void)state;
    assert_true(vecq_fail_every_alloc(parse, &bytes) >= 3);
    data_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_and_compressed_are_the_same),
        cmocka_unit_test(labels),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(bad_headers),
        cmocka_unit_test(bombs),
        cmocka_unit_test(damage_inside),
        cmocka_unit_test(parts_one_after_the_other),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
