/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "base/status.h"

static void names_are_distinct(void **state)
{
    int i, j;

    (void)state;
    for (i = VECQ_OK; i <= VECQ_ERR_VERIFY; i++) {
        assert_string_not_equal(vecq_status_name((vecq_status)i), "unknown");
        for (j = VECQ_OK; j < i; j++)
            assert_string_not_equal(vecq_status_name((vecq_status)i), vecq_status_name((vecq_status)j));
    }
    assert_string_equal(vecq_status_name((vecq_status)(VECQ_ERR_VERIFY + 1)), "unknown");
    assert_string_equal(vecq_status_name((vecq_status)-1), "unknown");
    assert_string_equal(vecq_status_name(VECQ_ERR_FORMAT), "format");
}

static void version_matches_header(void **state)
{
    char text[32];

    (void)state;
    snprintf(text, sizeof text, "%d.%d.%d", VECQ_VERSION_MAJOR, VECQ_VERSION_MINOR, VECQ_VERSION_PATCH);
    assert_string_equal(vecq_version(), text);
    assert_string_equal(VECQ_VERSION_STRING, text);
}

static void first_error_wins(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_int_equal(vecq_error_set(&err, VECQ_ERR_FORMAT, "first %d", 1), VECQ_ERR_FORMAT);
    assert_int_equal(vecq_error_set(&err, VECQ_ERR_IO, "second"), VECQ_ERR_IO);
    assert_int_equal(err.status, VECQ_ERR_FORMAT);
    assert_string_equal(err.message, "first 1");
    assert_int_equal(vecq_error_set(NULL, VECQ_ERR_IO, "nobody listens"), VECQ_ERR_IO);
    vecq_error_prefix(NULL, "x");
    vecq_error_prefix(&err, "%s", "model.onnx");
    vecq_error_prefix(&err, "%s", "run");
    assert_string_equal(err.message, "run: model.onnx: first 1");
}

static void prefix_of_nothing_is_nothing(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    vecq_error_prefix(&err, "model.onnx");
    assert_int_equal(err.status, VECQ_OK);
    assert_string_equal(err.message, "");
}

static void check_text(const char *in, const char *want)
{
    vecq_error err = VECQ_ERROR_INIT;

    vecq_error_set(&err, VECQ_ERR_FORMAT, "%s", in);
    assert_string_equal(err.message, want);
}

static void hostile_names_stay_on_their_line(void **state)
{
    (void)state;
    check_text("a\nb\r\tc\x1b[31m\x7f", "a?b??c?[31m?");
    check_text("Stra\xc3\x9f"
               "e \xe5\xb1\x82 \xf0\x9f\x90\x9f",
               "Stra\xc3\x9f"
               "e \xe5\xb1\x82 \xf0\x9f\x90\x9f");
    check_text("\xc2\x9b"
               "31m",
               "??31m"); /* C1: CSI in one character */
    check_text("\xe2\x80\xae"
               "gpj",
               "???gpj");                        /* right-to-left override */
    check_text("\xe2\x80\xa8", "???");           /* line separator */
    check_text("\xff\xfe\x80", "???");           /* never UTF-8 */
    check_text("\xc0\x8a\xe0\x80\x8a", "?????"); /* overlong line feeds */
    check_text("\xed\xa0\x80", "???");           /* surrogate */
    check_text("\xf4\x90\x80\x80", "????");      /* above U+10FFFF */
    check_text("end\xe5\xb1", "end??");          /* cut off */
}

static void long_texts_are_cut_at_a_character(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    char text[3001];
    size_t i;

    (void)state;
    for (i = 0; i + 3 < sizeof text; i += 3)
        memcpy(text + i, "\xe5\xb1\x82", 3);
    text[i] = '\0';
    vecq_error_set(&err, VECQ_ERR_FORMAT, "%s", text);
    i = strlen(err.message);
    assert_int_equal(i, sizeof err.message - 1); /* 1023 = 3 * 341: whole characters */
    assert_null(strchr(err.message, '?'));

    /* The reason survives a prefix of any length. */
    memset(&err, 0, sizeof err);
    vecq_error_set(&err, VECQ_ERR_FORMAT, "the reason");
    vecq_error_prefix(&err, "%s", text);
    assert_non_null(strstr(err.message, ": the reason"));
    assert_in_range(strlen(err.message), sizeof err.message / 2, sizeof err.message - 1);
}

static void memory_message_names_the_size(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_int_equal(vecq_error_memory(&err, 12345), VECQ_ERR_MEMORY);
    assert_non_null(strstr(err.message, "12345"));
}

static vecq_status tries(int *calls)
{
    ++*calls;
    VECQ_TRY(VECQ_OK);
    ++*calls;
    VECQ_TRY(VECQ_ERR_VALUE);
    ++*calls;
    return VECQ_OK;
}

static void try_returns_the_failure(void **state)
{
    int calls = 0;

    (void)state;
    assert_int_equal(tries(&calls), VECQ_ERR_VALUE);
    assert_int_equal(calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_distinct),
        cmocka_unit_test(version_matches_header),
        cmocka_unit_test(first_error_wins),
        cmocka_unit_test(prefix_of_nothing_is_nothing),
        cmocka_unit_test(hostile_names_stay_on_their_line),
        cmocka_unit_test(long_texts_are_cut_at_a_character),
        cmocka_unit_test(memory_message_names_the_size),
        cmocka_unit_test(try_returns_the_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
