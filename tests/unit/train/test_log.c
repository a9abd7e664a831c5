/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/status.h"
#include "fail_alloc.h"
#include "train/log.h"
#include "unit/base/temp_folder.h"

static void expect_file(const char *path, const char *text)
{
    char is[4096];
    FILE *f = fopen(path, "rb");
    size_t n;

    assert_non_null(f);
    n = fread(is, 1, sizeof is - 1, f);
    is[n] = '\0';
    fclose(f);
    assert_string_equal(is, text);
}

static vecq_status add(vecq_log *log, uint64_t step, vecq_error *err)
{
    vecq_log_begin(log, "train");
    vecq_log_count(log, "step", step);
    return vecq_log_end(log, err);
}

static void records(void **state)
{
    const double numbers[] = {1, -0.5, (double)NAN};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_log *log;

    (void)state;
    put_file("l", "old\n", 4);
    assert_ok(vecq_log_create("l", &log, &err), &err);
    vecq_log_begin(log, "start");
    vecq_log_text(log, "model", "a \"b\"\\\n\t\x01\x7f \xC3\xBC \xff");
    vecq_log_text(log, "none", NULL);
    vecq_log_bool(log, "yes", 1);
    vecq_log_bool(log, "no", 0);
    assert_ok(vecq_log_end(log, &err), &err);
    vecq_log_begin(log, "train");
    vecq_log_count(log, "step", UINT64_MAX);
    vecq_log_real(log, "tenth", 0.1);
    vecq_log_real(log, "third", 1.0 / 3);
    vecq_log_real(log, "small", 5e-324);
    vecq_log_real(log, "inf", -(double)INFINITY);
    vecq_log_reals(log, "list", numbers, 3);
    vecq_log_reals(log, "none", numbers, 0);
    vecq_log_open(log, "layer");
    vecq_log_open(log, "deep");
    vecq_log_close(log);
    vecq_log_count(log, "bits", 2);
    vecq_log_close(log);
    vecq_log_count(log, "last", 1);
    assert_ok(vecq_log_end(log, &err), &err);
    assert_ok(vecq_log_sync(log, &err), &err);
    vecq_log_destroy(log);
    expect_file(
        "l", "{\"event\":\"start\",\"model\":\"a \\\"b\\\"\\\\\\n\\t\\u0001\\u007f \xC3\xBC \xEF\xBF\xBD\","
             "\"none\":null,\"yes\":true,\"no\":false}\n"
             "{\"event\":\"train\",\"step\":18446744073709551615,\"tenth\":0.1,\"third\":0.3333333333333333,"
             "\"small\":4.94065645841247e-324,\"inf\":\"-Infinity\",\"list\":[1,-0.5,\"NaN\"],\"none\":[],"
             "\"layer\":{\"deep\":{},\"bits\":2},\"last\":1}\n");
    vecq_log_destroy(NULL);
}

/* A record that was begun and not ended leaves nothing. */
static void begun_again(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_log *log;

    (void)state;
    assert_ok(vecq_log_create("l", &log, &err), &err);
    vecq_log_begin(log, "lost");
    vecq_log_count(log, "x", 1);
    assert_ok(add(log, 3, &err), &err);
    vecq_log_destroy(log);
    expect_file("l", "{\"event\":\"train\",\"step\":3}\n");
}

static void resumed(const char *before, uint64_t step, const char *kept)
{
    vecq_error err = VECQ_ERROR_INIT;
    char after[4096];
    vecq_log *log;

    put_file("l", before, strlen(before));
    assert_ok(vecq_log_resume("l", step, &log, &err), &err);
    expect_file("l", kept);
    assert_ok(add(log, 99, &err), &err);
    vecq_log_destroy(log);
    snprintf(after, sizeof after, "%s{\"event\":\"train\",\"step\":99}\n", kept);
    expect_file("l", after);
}

static void resuming(void **state)
{
    static const char log[] = "{\"event\":\"start\"}\n"
                              "{\"event\":\"train\",\"step\":10}\n"
                              "{\"event\":\"train\",\"step\":20}\n"
                              "{\"event\":\"eval\",\"step\":20}\n"
                              "{\"event\":\"train\",\"step\":30}\n"
                              "{\"event\":\"note\"}\n";
    vecq_error err = VECQ_ERROR_INIT;
    vecq_log *fresh;
    char part[sizeof log];
    size_t n;

    (void)state;
    resumed(log, 30, log);
    resumed(log, UINT64_MAX, log);
    resumed("", 5, "");
    memcpy(part, log, sizeof part);
    *strstr(part, "{\"event\":\"train\",\"step\":30}") = '\0';
    resumed(log, 20, part);
    resumed(log, 29, part);
    *strchr(part, '\n') = '\0';
    strcat(part, "\n");
    resumed(log, 0, part);
    resumed(log, 9, part);
    /* torn at any place: whole lines stay */
    for (n = 0; n < sizeof log; n++) {
        char torn[sizeof log], whole[sizeof log];

        memcpy(torn, log, n);
        torn[n] = '\0';
        memcpy(whole, torn, n + 1);
        if (strrchr(whole, '\n') != NULL)
            strrchr(whole, '\n')[1] = '\0';
        else
            whole[0] = '\0';
        resumed(torn, 100, whole);
    }
    /* a "step" that is not the record's own, or not a number's name */
    resumed("{\"a\":{\"step\":50},\"b\":[\"step\",{\"step\":60}],\"c\":\"\\\"step\\\":70\",\"step\":3}\n", 5,
            "{\"a\":{\"step\":50},\"b\":[\"step\",{\"step\":60}],\"c\":\"\\\"step\\\":70\",\"step\":3}\n");
    resumed("{\"a\":\"\\\\\",\"step\":6}\n", 5, "");
    resumed("{\"step\":99999999999999999999999}\n", 5, "");
    /* none there: begun */
    unlink("l");
    assert_ok(vecq_log_resume("l", 5, &fresh, &err), &err);
    vecq_log_destroy(fresh);
    expect_file("l", "");
}

static void zeros_after_a_power_failure(void **state)
{
    static const char log[] = "{\"step\":1}\n\0\0\0\0";
    vecq_error err = VECQ_ERROR_INIT;
    vecq_log *l;

    (void)state;
    put_file("l", log, sizeof log - 1);
    assert_ok(vecq_log_resume("l", 5, &l, &err), &err);
    vecq_log_destroy(l);
    expect_file("l", "{\"step\":1}\n");
}

/* A file of somebody else is not cut. */
static void other_files_are_refused(void **state)
{
    static const char *const texts[] = {
        "hello", "hello\n", "{\"step\":1}\nhello\n", "{\n\"step\": 9\n}\n", "{\"step\":1}\n\n{\"step\":2}\n",
        "[1]\n", "\n"};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_log *log;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof texts / sizeof *texts; i++) {
        memset(&err, 0, sizeof err);
        put_file("l", texts[i], strlen(texts[i]));
        if (vecq_log_resume("l", 0, &log, &err) != VECQ_ERR_FORMAT)
            fail_msg("'%s' was accepted", texts[i]);
        assert_non_null(strstr(err.message, "this is no JSON line"));
        assert_null(log);
        expect_file("l", texts[i]);
    }
    memset(&err, 0, sizeof err);
    assert_int_equal(vecq_log_create("no/such/l", &log, &err), VECQ_ERR_IO);
    assert_string_equal(err.message, "no/such/l: cannot open: No such file or directory");
    assert_int_equal(vecq_log_create(".", &log, NULL), VECQ_ERR_IO);
    assert_int_equal(vecq_log_resume(".", 1, &log, NULL), VECQ_ERR_IO);
}

/* The record that does not fit is taken back whole; later ones go on. */
static int write_on_full_disk(void)
{
    struct rlimit limit = {60, 100};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_log *log;

    signal(SIGXFSZ, SIG_IGN);
    if (vecq_log_create("l", &log, &err) != VECQ_OK || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 10;
    if (add(log, 1, &err) != VECQ_OK || add(log, 2, &err) != VECQ_OK || add(log, 3, &err) != VECQ_ERR_IO)
        return 11;
    if (strncmp(err.message, "l: cannot write: ", 17) != 0)
        return 12;
    limit.rlim_cur = 100;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 13;
    if (add(log, 4, NULL) != VECQ_OK)
        return 14;
    vecq_log_destroy(log);
    return 0;
}

static void full_disk(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    int status = -1;
    pid_t child = fork();
    vecq_log *log;

    (void)state;
    if (child == 0)
        _exit(write_on_full_disk());
    assert_true(waitpid(child, &status, 0) == child && WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    expect_file("l", "{\"event\":\"train\",\"step\":1}\n{\"event\":\"train\",\"step\":2}\n"
                     "{\"event\":\"train\",\"step\":4}\n");
    assert_ok(vecq_log_create("/dev/null", &log, &err), &err);
    assert_ok(add(log, 1, &err), &err);
    assert_ok(vecq_log_sync(log, &err), &err);
    vecq_log_destroy(log);
    if (access("/dev/full", W_OK) != 0)
        return;
    assert_ok(vecq_log_resume("/dev/full", 3, &log, &err), &err);
    assert_int_equal(add(log, 1, &err), VECQ_ERR_IO);
    vecq_log_destroy(log);
}

static vecq_status whole_life(void *context, vecq_error *err)
{
    vecq_log *log;
    vecq_status status;

    (void)context;
    VECQ_TRY(vecq_log_resume("m", 5, &log, err));
    status = add(log, 3, err);
    vecq_log_destroy(log);
    return status;
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_true(vecq_fail_every_alloc(whole_life, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records),
        cmocka_unit_test(begun_again),
        cmocka_unit_test(resuming),
        cmocka_unit_test(zeros_after_a_power_failure),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, temp_folder_enter, temp_folder_leave);
}
