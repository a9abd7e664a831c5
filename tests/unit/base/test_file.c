/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings and spools; outputs are in test_output.c. */
#include "vecq_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"

#include "temp_folder.h"

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 2654435761u >> 13);
}

/* ---- mappings ---- */

static void maps_a_file(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    int before = count_open_files();
    vecq_mapping map;

    (void)state;
    put_file("plain", "hello", 5);
    assert_ok(vecq_mapping_open("plain", &map, &err), &err);
    assert_int_equal(map.bytes.n, 5);
    assert_memory_equal(map.bytes.data, "hello", 5);
    assert_true(vecq_mapping_is(&map, "plain"));
    assert_true(vecq_mapping_is(&map, "./plain"));
    assert_int_equal(symlink("plain", "link"), 0);
    assert_int_equal(link("plain", "twin"), 0);
    assert_true(vecq_mapping_is(&map, "link"));
    assert_true(vecq_mapping_is(&map, "twin"));
    put_file("other", "hello", 5);
    assert_false(vecq_mapping_is(&map, "other"));
    assert_false(vecq_mapping_is(&map, "missing"));
    assert_false(vecq_mapping_is(&map, "-"));
    vecq_mapping_close(&map);
    assert_int_equal(map.bytes.n, 0);
    vecq_mapping_close(&map);
    assert_int_equal(count_open_files(), before);
}

static void empty_file_is_an_empty_span(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_mapping map;

    (void)state;
    put_file("empty", "", 0);
    assert_ok(vecq_mapping_open("empty", &map, &err), &err);
    assert_int_equal(map.bytes.n, 0);
    assert_non_null(map.bytes.data);
    assert_true(vecq_mapping_is(&map, "empty"));
    vecq_mapping_close(&map);
    assert_ok(vecq_mapping_open("/dev/null", &map, &err), &err);
    assert_int_equal(map.bytes.n, 0);
    vecq_mapping_close(&map);
}

static void expect_open_error(const char *path, const char *words)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_mapping map;

    assert_int_equal(vecq_mapping_open(path, &map, &err), VECQ_ERR_IO);
    assert_non_null(strstr(err.message, path));
    assert_non_null(strstr(err.message, words));
    vecq_mapping_close(&map);
}

static void says_what_cannot_be_opened(void **state)
{
    (void)state;
    put_file("file", "x", 1);
    expect_open_error("missing.onnx", "No such file");
    expect_open_error("scratch", "is a folder");
    expect_open_error("file/below", "Not a directory");
    expect_open_error("", "No such file");
    if (geteuid() != 0) {
        put_file("secret", "x", 1);
        assert_int_equal(chmod("secret", 0), 0);
        expect_open_error("secret", "Permission denied");
    }
}

/* A child writes n bytes into a pipe; the mapping must hold them, in memory or through a file. */
static void check_pipe(size_t n, int through_stdin)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_mapping map;
    int ends[2], saved = -1, status = -1;
    size_t i;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        unsigned char *data = malloc(n + 1);
        size_t sent = 0;

        close(ends[0]);
        for (i = 0; i < n; i++)
            data[i] = byte_at(i);
        while (sent < n) {
            ssize_t done = write(ends[1], data + sent, n - sent);
            if (done <= 0)
                _exit(1);
            sent += (size_t)done;
        }
        free(data);
        _exit(0);
    }
    close(ends[1]);
    if (through_stdin) {
        saved = dup(STDIN_FILENO);
        dup2(ends[0], STDIN_FILENO);
        assert_ok(vecq_mapping_open("-", &map, &err), &err);
        dup2(saved, STDIN_FILENO);
        close(saved);
    } else {
        assert_ok(vecq_mapping_of_fd(ends[0], "pipe", &map, &err), &err);
    }
    close(ends[0]);
    assert_true(waitpid(child, &status, 0) == child && status == 0);
    assert_int_equal(map.bytes.n, n);
    for (i = 0; i < n; i++)
        if (map.bytes.data[i] != byte_at(i))
            fail_msg("byte %zu of %zu differs", i, n);
    assert_false(vecq_mapping_is(&map, "/"));
    vecq_mapping_close(&map);
    assert_int_equal(count_entries("scratch"), 0);
}

static void reads_pipes(void **state)
{
    int before = count_open_files();

    (void)state;
    check_pipe(0, 0);
    check_pipe(1, 0);
    check_pipe(100000, 1);
    check_pipe(20000003, 0); /* past the limit of what stays in memory */
    check_pipe(9000000, 1);
    assert_int_equal(count_open_files(), before);
}

static void standard_input_may_be_a_file(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    int saved = dup(STDIN_FILENO), fd;
    vecq_mapping map;
    char two[2];

    (void)state;
    put_file("in", "abcdef", 6);
    fd = open("in", O_RDONLY);
    dup2(fd, STDIN_FILENO);
    close(fd);
    assert_ok(vecq_mapping_open("-", &map, &err), &err);
    assert_int_equal(map.bytes.n, 6);
    assert_true(vecq_mapping_is(&map, "in")); /* so an output over it is noticed */
    vecq_mapping_close(&map);
    assert_int_equal(read(STDIN_FILENO, two, 2), 2);
    assert_ok(vecq_mapping_open("-", &map, &err), &err); /* only what is left */
    assert_int_equal(map.bytes.n, 4);
    assert_memory_equal(map.bytes.data, "cdef", 4);
    vecq_mapping_close(&map);
    dup2(saved, STDIN_FILENO);
    close(saved);
}

/* ---- spools ---- */

static void check_spool(const size_t *sizes, size_t n)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_spool *spool;
    vecq_span all;
    unsigned char *data;
    uint64_t offset;
    size_t i, j, at = 0, largest = 1;

    for (i = 0; i < n; i++)
        largest = sizes[i] > largest ? sizes[i] : largest;
    data = test_malloc(largest);
    assert_ok(vecq_spool_open(NULL, &spool, &err), &err);
    for (i = 0; i < n; i++) {
        for (j = 0; j < sizes[i]; j++)
            data[j] = byte_at(at + j);
        assert_ok(vecq_spool_append(spool, data, sizes[i], &offset, &err), &err);
        assert_int_equal(offset, at);
        at += sizes[i];
        if (i % 2 == 0) { /* maps in between must not disturb */
            assert_ok(vecq_spool_map(spool, &all, &err), &err);
            assert_int_equal(all.n, at);
            assert_true(at == 0 || all.data[at - 1] == byte_at(at - 1));
        }
    }
    assert_ok(vecq_spool_map(spool, &all, &err), &err);
    assert_int_equal(all.n, at);
    for (j = 0; j < at; j++)
        if (all.data[j] != byte_at(j))
            fail_msg("byte %zu of %zu differs", j, at);
    vecq_spool_close(spool);
    assert_int_equal(count_entries("scratch"), 0);
    test_free(data);
}

static void spools_of_every_size(void **state)
{
    static const size_t small[] = {0, 1, 7, 0, 4096, 100000, 3};
    static const size_t edge[] = {8u << 20, 0, 1, 5};
    static const size_t below[] = {(8u << 20) - 1, 1};
    static const size_t large[] = {5, 20000000, 1, 3000000, 0, 12345};
    int before = count_open_files();

    (void)state;
    check_spool(small, 0);
    check_spool(small, sizeof small / sizeof *small);
    check_spool(edge, sizeof edge / sizeof *edge);
    check_spool(below, sizeof below / sizeof *below);
    check_spool(large, sizeof large / sizeof *large);
    assert_int_equal(count_open_files(), before);
    vecq_spool_close(NULL);
}

static void spool_folder_is_named_in_errors(void **state)
{
    static unsigned char data[(8u << 20) + 1];
    vecq_error err = VECQ_ERROR_INIT;
    vecq_spool *spool;
    vecq_span all;
    uint64_t offset;

    (void)state;
    assert_ok(vecq_spool_open("no/such/folder", &spool, &err), &err); /* not needed yet */
    assert_ok(vecq_spool_append(spool, data, 1000, &offset, &err), &err);
    assert_int_equal(vecq_spool_append(spool, data, sizeof data, &offset, &err), VECQ_ERR_IO);
    assert_non_null(strstr(err.message, "no/such/folder"));
    memset(&err, 0, sizeof err);
    assert_int_equal(vecq_spool_append(spool, data, 1, &offset, &err), VECQ_ERR_IO); /* stays failed */
    assert_int_equal(vecq_spool_map(spool, &all, NULL), VECQ_ERR_IO);
    assert_int_equal(all.n, 0);
    vecq_spool_close(spool);
}

/* Runs in a child with a limit on file sizes: what a full disk looks like. */
static int spool_on_full_disk(void)
{
    static unsigned char data[1u << 20];
    struct rlimit limit = {12u << 20, 12u << 20};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_spool *spool;
    vecq_span all;
    uint64_t offset;
    int i, failed = 0;

    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || vecq_spool_open(NULL, &spool, &err) != VECQ_OK)
        return 10;
    for (i = 0; i < 16 && !failed; i++)
        failed = vecq_spool_append(spool, data, sizeof data, &offset, &err) == VECQ_ERR_IO;
    if (!failed || i != 13 || strstr(err.message, "write a temporary file") == NULL)
        return 11;
    if (vecq_spool_map(spool, &all, NULL) != VECQ_ERR_IO)
        return 12;
    vecq_spool_close(spool);
    return count_entries("scratch") == 0 ? 0 : 13;
}

static void spool_reports_a_full_disk(void **state)
{
    int status = -1;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(spool_on_full_disk());
    assert_true(waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
}

/* ---- memory ---- */

static long allocations_left;

static void *allocate_some(void *context, size_t n_bytes)
{
    (void)context;
    return allocations_left-- > 0 ? malloc(n_bytes) : NULL;
}

static void release(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static void out_of_memory_is_an_error_everywhere(void **state)
{
    static const unsigned char data[100000];
    const vecq_allocator some = {allocate_some, release, NULL};
    int before = count_open_files(), ends[2];
    long n;

    (void)state;
    for (n = 0; n < 4; n++) {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_spool *spool = NULL;
        vecq_mapping map;
        uint64_t offset;
        vecq_status status;

        vecq_set_allocator(&some);
        allocations_left = n;
        status = vecq_spool_open(NULL, &spool, &err);
        if (status == VECQ_OK)
            status = vecq_spool_append(spool, data, sizeof data, &offset, &err);
        vecq_spool_close(spool);
        assert_int_equal(status, n < 3 ? VECQ_ERR_MEMORY : VECQ_OK);
        assert_int_equal(err.status, status);

        allocations_left = n;
        memset(&err, 0, sizeof err);
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], "x", 1), 1);
        close(ends[1]);
        status = vecq_mapping_of_fd(ends[0], "pipe", &map, &err);
        close(ends[0]);
        assert_int_equal(status, n < 4 ? VECQ_ERR_MEMORY : VECQ_OK);
        vecq_mapping_close(&map);
        vecq_set_allocator(NULL);
    }
    assert_int_equal(count_open_files(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_a_file),
        cmocka_unit_test(empty_file_is_an_empty_span),
        cmocka_unit_test(says_what_cannot_be_opened),
        cmocka_unit_test(reads_pipes),
        cmocka_unit_test(standard_input_may_be_a_file),
        cmocka_unit_test(spools_of_every_size),
        cmocka_unit_test(spool_folder_is_named_in_errors),
        cmocka_unit_test(spool_reports_a_full_disk),
        cmocka_unit_test(out_of_memory_is_an_error_everywhere),
    };

    return cmocka_run_group_tests(tests, temp_folder_enter, temp_folder_leave);
}
