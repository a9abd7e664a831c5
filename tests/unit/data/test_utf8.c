/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "data/utf8.h"
#include "data_files.h"

static vecq_span span_of(const char *text, size_t n)
{
    vecq_span span = {(const uint8_t *)text, n};

    return span;
}

/* Encoded by hand here, decoded there: all code points. */
static void every_character(void **state)
{
    uint32_t c;

    (void)state;
    for (c = 0; c <= 0x10ffff; c++) {
        uint8_t text[4], back[4];
        uint32_t got = 0;
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, cut;
        vecq_span span = {text, n};

        text[0] = (uint8_t)(n == 1 ? c : n == 2 ? 0xc0 | c >> 6 : n == 3 ? 0xe0 | c >> 12 : 0xf0 | c >> 18);
        if (n > 1)
            text[n - 1] = 0x80 | (c & 0x3f);
        if (n > 2)
            text[n - 2] = 0x80 | (c >> 6 & 0x3f);
        if (n > 3)
            text[1] = 0x80 | (c >> 12 & 0x3f);
        if (c == 0 || (c >= 0xd800 && c < 0xe000)) {
            assert_int_equal(vecq_utf8_character(span, &got), 0);
            continue;
        }
        assert_int_equal(vecq_utf8_character(span, &got), n);
        assert_int_equal(got, c);
        vecq_utf8_put(c, n, back);
        assert_memory_equal(back, text, n);
        for (cut = 0; cut < n; cut++) {
            span.n = cut;
            assert_int_equal(vecq_utf8_character(span, &got), 0);
        }
    }
}

static void damage(void **state)
{
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xf0\x80\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xff",
                                      "\xfe",
                                      "\xc3(",
                                      "\xe4\xb8",
                                      "a\xff"};
    size_t i;
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_error(vecq_utf8_check("f.txt", 17, span_of(bad[i], strlen(bad[i])), &err), VECQ_ERR_FORMAT,
                     &err, "f.txt: line 17: byte", "UTF-8");
    expect_error(vecq_utf8_check("f", 1, span_of("ab\0c", 4), &err), VECQ_ERR_FORMAT, &err, "byte 3 (0x00)");
    err.status = VECQ_OK;
    assert_ok(vecq_utf8_check("f", 1, span_of("a\t\xe4\xb8\xad\xf0\x9f\x98\x80", 9), &err), &err);
    assert_ok(vecq_utf8_check("f", 1, span_of("", 0), &err), &err);
}

static void lines(void **state)
{
    static const char text[] = "\xef\xbb\xbf"
                               "one\ntwo\r\n\n\rthree\r";
    static const char *const want[] = {"one", "two", "", "\rthree"};
    vecq_lines lines = vecq_lines_of(span_of(text, sizeof text - 1));
    vecq_span line;
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        assert_true(vecq_lines_next(&lines, &line));
        assert_int_equal(lines.number, i + 1);
        assert_int_equal(line.n, strlen(want[i]));
        assert_memory_equal(line.data, want[i], line.n);
    }
    assert_false(vecq_lines_next(&lines, &line));
    lines = vecq_lines_of(span_of("a\n", 2)); /* no empty line after the last \n */
    assert_true(vecq_lines_next(&lines, &line));
    assert_false(vecq_lines_next(&lines, &line));
}

static void small_letters(void **state)
{
    static const struct {
        uint32_t capital, small;
    } pairs[] = {{'A', 'a'},      {'Z', 'z'},     {0xc4, 0xe4},     {0xde, 0xfe},     {0x100, 0x101},
                 {0x141, 0x142},  {0x160, 0x161}, {0x178, 0xff},    {0x17d, 0x17e},   {0x386, 0x3ac},
                 {0x388, 0x3ad},  {0x391, 0x3b1}, {0x3a9, 0x3c9},   {0x401, 0x451},   {0x410, 0x430},
                 {0x42f, 0x44f},  {0x490, 0x491}, {0x1e00, 0x1e01}, {0x1ea4, 0x1ea5}, {0xff21, 0xff41},
                 {0xff3a, 0xff5a}};
    static const uint32_t others[] = {'a',   '1',   '@',   '[',   0xd7,  0xdf,  0xe4,  0xf7,   0x130,
                                      0x131, 0x138, 0x142, 0x149, 0x3a2, 0x3b1, 0x430, 0x4e2d, 0x1f600};
    uint32_t c;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_int_equal(vecq_utf8_lower(pairs[i].capital), pairs[i].small);
    for (i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(vecq_utf8_lower(others[i]), others[i]);
    for (c = 1; c <= 0x10ffff; c++) { /* twice is once, and the length stays */
        uint32_t small = vecq_utf8_lower(c);

        assert_int_equal(vecq_utf8_lower(small), small);
        assert_true((small < 0x80) == (c < 0x80) && (small < 0x800) == (c < 0x800) &&
                    (small < 0x10000) == (c < 0x10000));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character),
        cmocka_unit_test(damage),
        cmocka_unit_test(lines),
        cmocka_unit_test(small_letters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
