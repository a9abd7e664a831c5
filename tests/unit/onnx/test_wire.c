/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "onnx/wire.h"

static vecq_span span(const void *data, size_t n)
{
    vecq_span s = {data, n};

    return s;
}

#define SPAN(text) span(text, sizeof(text) - 1)

static void test_varint_round_trip(void **state)
{
    unsigned bit;
    int delta;

    (void)state;
    for (bit = 0; bit < 64; bit++)
        for (delta = -1; delta <= 1; delta++) {
            uint64_t value = ((uint64_t)1 << bit) + (uint64_t)(int64_t)delta, back = 0;
            uint8_t bytes[10];
            size_t n = vecq_wire_put_varint(bytes, value), cut;
            vecq_span rest = {bytes, n};

            assert_int_equal(n, vecq_wire_varint_size(value));
            assert_true(vecq_wire_varint(&rest, &back));
            assert_true(back == value && rest.n == 0);
            for (cut = 0; cut < n; cut++) {
                rest = span(bytes, cut);
                assert_false(vecq_wire_varint(&rest, &back));
                assert_true(rest.data == bytes && rest.n == cut);
            }
        }
    assert_int_equal(vecq_wire_varint_size(UINT64_MAX), 10);
}

static void test_varint_limits(void **state)
{
    uint64_t value;
    vecq_span rest = SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01z");

    (void)state;
    assert_true(vecq_wire_varint(&rest, &value));
    assert_true(value == UINT64_MAX && rest.n == 1);
    rest = SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"); /* bit 65 */
    assert_false(vecq_wire_varint(&rest, &value));
    rest = SPAN("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"); /* eleven bytes */
    assert_false(vecq_wire_varint(&rest, &value));
    rest = SPAN("\x85\x00"); /* needless byte: legal */
    assert_true(vecq_wire_varint(&rest, &value));
    assert_int_equal(value, 5);
}

static void test_fields(void **state)
{
    /* 1: varint 150; 2: "hi"; 3: fixed32; 4: fixed64; largest field number: empty bytes */
    vecq_span all = SPAN("\x08\x96\x01\x12\x02hi\x1d\x01\x02\x03\x84\x21\x01\x00\x00\x00\x00\x00\x00\x80"
                         "\xfa\xff\xff\xff\x0f\x00"),
              rest = all;
    vecq_wire_field f;
    size_t n_raw = 0;

    (void)state;
    assert_int_equal(vecq_wire_next(&rest, &f, NULL), VECQ_OK);
    assert_true(f.number == 1 && f.type == VECQ_WIRE_VARINT && f.scalar == 150 && f.raw.n == 3 &&
                f.payload.n == 2);
    n_raw += f.raw.n;
    assert_int_equal(vecq_wire_next(&rest, &f, NULL), VECQ_OK);
    assert_true(f.number == 2 && f.type == VECQ_WIRE_BYTES && f.payload.n == 2 && f.raw.n == 4);
    assert_memory_equal(f.payload.data, "hi", 2);
    n_raw += f.raw.n;
    assert_int_equal(vecq_wire_next(&rest, &f, NULL), VECQ_OK);
    assert_true(f.number == 3 && f.type == VECQ_WIRE_FIXED32 && f.scalar == 0x84030201u);
    n_raw += f.raw.n;
    assert_int_equal(vecq_wire_next(&rest, &f, NULL), VECQ_OK);
    assert_true(f.number == 4 && f.type == VECQ_WIRE_FIXED64 && f.scalar == 0x8000000000000001u);
    n_raw += f.raw.n;
    assert_int_equal(vecq_wire_next(&rest, &f, NULL), VECQ_OK);
    assert_true(f.number == (1u << 29) - 1 && f.type == VECQ_WIRE_BYTES && f.payload.n == 0);
    n_raw += f.raw.n;
    assert_int_equal(n_raw, all.n);
    assert_int_equal(vecq_wire_next(&rest, &f, NULL), VECQ_OK);
    assert_int_equal(f.number, 0);
}

static void test_damaged_fields(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } cases[] = {
        {"\x00\x01", 2, "number is 0"},
        {"\x0b", 1, "group"},
        {"\x0c", 1, "group"},
        {"\x0e\x00", 2, "wire type 6"},
        {"\x0f\x00", 2, "wire type 7"},
        {"\x80", 1, "tag runs past"},
        {"\x88\x80\x80\x80\x80\x00\x01", 7, "out of range"}, /* six bytes of tag */
        {"\x88\x80\x80\x80\x10\x01", 6, "out of range"},     /* 33 bits */
        {"\x08", 1, "number runs past"},
        {"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, "longer than 64 bits"},
        {"\x12", 1, "length runs past"},
        {"\x12\x03hi", 4, "3 bytes, but only 2"},
        {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01hi", 13, "18446744073709551615 bytes"},
        {"\x1d\x01\x02\x03", 4, "4 bytes, but only 3"},
        {"\x21\x01\x02\x03\x04\x05\x06\x07", 8, "8 bytes, but only 7"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        vecq_span rest = span(cases[i].bytes, cases[i].n);
        vecq_error err = VECQ_ERROR_INIT;
        vecq_wire_field f;

        assert_int_equal(vecq_wire_next(&rest, &f, &err), VECQ_ERR_FORMAT);
        if (strstr(err.message, cases[i].says) == NULL)
            fail_msg("case %zu: '%s' does not say '%s'", i, err.message, cases[i].says);
        assert_true(rest.data == (const uint8_t *)cases[i].bytes && rest.n == cases[i].n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_varint_round_trip),
        cmocka_unit_test(test_varint_limits),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_damaged_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
