/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_TMPFILE */
#endif
#include "vecq_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"

#include "temp_folder.h"

/* Each test gets an empty folder of its own inside the program's. */
static int enter_case(void **state)
{
    (void)state;
    return chdir(temp_folder) != 0 || system("rm -rf case && mkdir case && chmod 755 . case") != 0 ||
           chdir("case") != 0 || setenv("TMPDIR", "../scratch", 1) != 0;
}

static void expect_file(const char *path, const void *data, size_t n)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_mapping map;

    assert_ok(vecq_mapping_open(path, &map, &err), &err);
    assert_int_equal(map.bytes.n, n);
    assert_memory_equal(map.bytes.data, data, n);
    vecq_mapping_close(&map);
}

static vecq_status write_text(const char *path, const char *text, vecq_error *err)
{
    vecq_output *output;

    VECQ_TRY(vecq_output_open(path, &output, err));
    if (vecq_output_write(output, text, strlen(text), err) != VECQ_OK) {
        vecq_output_discard(output);
        return err->status;
    }
    return vecq_output_commit(output, err);
}

static mode_t mode_of(const char *path)
{
    struct stat info;

    assert_int_equal(lstat(path, &info), 0);
    return info.st_mode;
}

/* Runs `body` in a child; its return value must be 0. */
static void in_child(int (*body)(void))
{
    int status = -1;
    pid_t child = fork();

    if (child == 0)
        _exit(body());
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
}

/* Whether files without a name exist here: what makes a killed process leave nothing. */
static int has_nameless_files(void)
{
    int fd = -1;
#ifdef O_TMPFILE
    fd = open(".", O_TMPFILE | O_RDWR, 0600);
#endif
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void appears_at_commit_only(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    int before = count_open_files();
    vecq_output *output;

    (void)state;
    assert_ok(vecq_output_open("m.onnx", &output, &err), &err);
    assert_ok(vecq_output_write(output, "abc", 3, &err), &err);
    assert_ok(vecq_output_write(output, NULL, 0, &err), &err);
    assert_ok(vecq_output_sync(output, &err), &err);
    assert_int_not_equal(access("m.onnx", F_OK), 0);
    assert_ok(vecq_output_write(output, "def", 3, &err), &err);
    assert_int_equal(vecq_output_position(output), 6);
    assert_ok(vecq_output_commit(output, &err), &err);
    expect_file("m.onnx", "abcdef", 6);
    assert_int_equal(count_entries("."), 1);
    assert_int_equal(count_open_files(), before);
}

static void discard_leaves_nothing(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_output *output;

    (void)state;
    put_file("old", "old", 3);
    assert_ok(vecq_output_open("new", &output, &err), &err);
    assert_ok(vecq_output_write(output, "abc", 3, &err), &err);
    vecq_output_discard(output);
    assert_ok(vecq_output_open("old", &output, &err), &err);
    assert_ok(vecq_output_write(output, "abc", 3, &err), &err);
    assert_ok(vecq_output_sync(output, &err), &err);
    vecq_output_discard(output);
    vecq_output_discard(NULL);
    expect_file("old", "old", 3);
    assert_int_equal(count_entries("."), 1);
}

static void large_and_mapped(void **state)
{
    static const size_t sizes[] = {1, 1000, (1u << 20) - 1, 1u << 20, (1u << 20) + 1, 3, 5000000, 17};
    unsigned char *data = test_malloc(5000000);
    vecq_error err = VECQ_ERROR_INIT;
    vecq_output *output;
    vecq_mapping map;
    size_t i, j, at = 0, total = 0;

    (void)state;
    for (j = 0; j < 5000000; j++)
        data[j] = (unsigned char)(j * 31 + (j >> 11));
    assert_ok(vecq_output_open("large", &output, &err), &err);
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_ok(vecq_output_write(output, data, sizes[i], &err), &err);
        total += sizes[i];
        assert_int_equal(vecq_output_position(output), total);
        assert_ok(vecq_output_map(output, &map, &err), &err);
        assert_int_equal(map.bytes.n, total);
        assert_memory_equal(map.bytes.data + total - sizes[i], data, sizes[i]);
        vecq_mapping_close(&map);
    }
    assert_ok(vecq_output_map(output, &map, &err), &err);
    assert_ok(vecq_output_commit(output, &err), &err);
    vecq_mapping_close(&map);
    assert_ok(vecq_mapping_open("large", &map, &err), &err);
    assert_int_equal(map.bytes.n, total);
    for (i = 0; i < sizeof sizes / sizeof *sizes; at += sizes[i++])
        assert_memory_equal(map.bytes.data + at, data, sizes[i]);
    vecq_mapping_close(&map);
    test_free(data);
}

static void replaces_a_file_and_keeps_its_mode(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_mapping old;

    (void)state;
    put_file("m", "old contents", 12);
    assert_int_equal(chmod("m", 0640), 0);
    assert_ok(vecq_mapping_open("m", &old, &err), &err);
    assert_ok(write_text("m", "new", &err), &err);
    assert_memory_equal(old.bytes.data, "old contents", 12); /* readers of the old file keep it */
    vecq_mapping_close(&old);
    expect_file("m", "new", 3);
    assert_int_equal(mode_of("m") & 07777, 0640);
    assert_int_equal(count_entries("."), 1);
    if (geteuid() == 0) {
        struct stat info;

        assert_int_equal(chown("m", 12345, 54321), 0);
        assert_ok(write_text("m", "newer", &err), &err);
        assert_int_equal(stat("m", &info), 0);
        assert_int_equal(info.st_uid, 12345);
        assert_int_equal(info.st_gid, 54321);
    }
}

static void honours_umask(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    mode_t before = umask(022);

    (void)state;
    assert_ok(write_text("a", "x", &err), &err);
    assert_int_equal(mode_of("a") & 07777, 0644);
    umask(077);
    assert_ok(write_text("b", "x", &err), &err);
    assert_int_equal(mode_of("b") & 07777, 0600);
    umask(0);
    assert_ok(write_text("c", "x", &err), &err);
    assert_int_equal(mode_of("c") & 07777, 0666);
    umask(before);
}

static void follows_links(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_int_equal(mkdir("real", 0755), 0);
    put_file("real/m", "old", 3);
    assert_int_equal(symlink("real/m", "to-file"), 0);
    assert_int_equal(symlink("real", "to-folder"), 0);
    assert_int_equal(symlink("real/created", "to-nothing"), 0);
    assert_int_equal(symlink("to-nothing", "twice"), 0);
    assert_int_equal(symlink("nowhere/file", "to-no-folder"), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_ok(write_text("to-file", "1", &err), &err);
    expect_file("real/m", "1", 1);
    assert_true(S_ISLNK(mode_of("to-file")));
    assert_ok(write_text("to-folder/n", "2", &err), &err);
    expect_file("real/n", "2", 1);
    assert_ok(write_text("twice", "3", &err), &err);
    expect_file("real/created", "3", 1);
    assert_true(S_ISLNK(mode_of("twice")) && S_ISLNK(mode_of("to-nothing")));
    assert_int_equal(write_text("to-no-folder", "4", &err), VECQ_ERR_IO);
    assert_non_null(strstr(err.message, "to-no-folder: cannot create: there is no folder 'nowhere'"));
    memset(&err, 0, sizeof err);
    assert_int_equal(write_text("loop", "5", &err), VECQ_ERR_IO);
    assert_non_null(strstr(err.message, "loop: cannot create"));
    assert_int_equal(count_entries("real"), 3);
}

/* The place is decided when the output is opened. */
static void does_not_move_with_the_current_folder(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_output *output;

    (void)state;
    assert_int_equal(mkdir("elsewhere", 0755), 0);
    assert_ok(vecq_output_open("m", &output, &err), &err);
    assert_int_equal(chdir("elsewhere"), 0);
    assert_ok(vecq_output_commit(output, &err), &err);
    assert_int_equal(chdir(".."), 0);
    expect_file("m", "", 0);
    assert_int_equal(count_entries("elsewhere"), 0);
}

static void expect_refused(const char *path, const char *words)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_output *output;

    assert_int_equal(vecq_output_open(path, &output, &err), VECQ_ERR_IO);
    assert_null(output);
    assert_non_null(strstr(err.message, path));
    if (strstr(err.message, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", err.message, words);
}

static void says_what_cannot_be_written(void **state)
{
    char longer[6000];

    (void)state;
    put_file("file", "x", 1);
    expect_refused("no/such/folder/m.onnx", "there is no folder 'no/such/folder'");
    expect_refused(".", "is a folder");
    expect_refused("scratch/", "names no file");
    expect_refused("", "names no file");
    expect_refused("file/m.onnx", "Not a directory");
    memset(longer, 'x', 300);
    longer[300] = '\0';
    expect_refused(longer, "too long");
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_output *output;

        assert_int_equal(vecq_output_open(longer, &output, &err), VECQ_ERR_IO);
    }
    assert_int_equal(count_entries("."), 1);
}

static int refused_without_permission(void)
{
    vecq_error err = VECQ_ERROR_INIT;

    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 20;
    if (write_text("closed/new", "x", &err) != VECQ_ERR_IO ||
        strstr(err.message, "Permission denied") == NULL)
        return 21;
    memset(&err, 0, sizeof err);
    if (write_text("open/kept", "x", &err) != VECQ_ERR_IO || strstr(err.message, "Permission denied") == NULL)
        return 22;
    memset(&err, 0, sizeof err);
    if (write_text("open/new", "x", &err) != VECQ_OK)
        return 23;
    return 0;
}

static void permissions_are_respected(void **state)
{
    (void)state;
    assert_int_equal(mkdir("closed", 0755), 0);
    assert_int_equal(mkdir("open", 0755), 0);
    put_file("open/kept", "kept", 4);
    assert_int_equal(chmod("open/kept", 0444), 0);
    assert_int_equal(chmod("open", 0777), 0);
    assert_int_equal(chmod("closed", 0555), 0);
    in_child(refused_without_permission);
    expect_file("open/kept", "kept", 4);
    expect_file("open/new", "x", 1);
    assert_int_equal(count_entries("closed"), 0);
    assert_int_equal(count_entries("open"), 2);
}

/* A limit on file sizes is what a full disk looks like to write(). */
static int write_on_full_disk(void)
{
    static unsigned char data[1u << 20];
    struct rlimit limit = {5u << 20, 5u << 20};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_output *output;
    int i, failed = 0;

    signal(SIGXFSZ, SIG_IGN);
    if (vecq_output_open("m", &output, &err) != VECQ_OK || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 30;
    for (i = 0; i < 16 && !failed; i++)
        failed = vecq_output_write(output, data, sizeof data, &err) == VECQ_ERR_IO;
    if (!failed || strncmp(err.message, "m: cannot write: ", 17) != 0)
        return 31;
    /* A caller who goes on all the same does not get a file with a hole. */
    memset(&err, 0, sizeof err);
    if (vecq_output_commit(output, &err) != VECQ_ERR_IO)
        return 32;
    return count_entries(".") == 1 ? 0 : 33;
}

static void full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    put_file("m", "old", 3);
    in_child(write_on_full_disk);
    expect_file("m", "old", 3);
}

static void full_tmpfs_leaves_the_old_file(void **state)
{
    static unsigned char data[700000];
    vecq_error err = VECQ_ERROR_INIT;
    vecq_output *output;
    vecq_status status = VECQ_OK;
    int i;

    (void)state;
    assert_int_equal(mkdir("small", 0755), 0);
    if (geteuid() != 0 || system("mount -t tmpfs -o size=3m vecq-test small 2>/dev/null") != 0)
        skip(); /* needs the right to mount */
    put_file("small/m", "old", 3);
    status = vecq_output_open("small/m", &output, &err);
    for (i = 0; i < 10 && status == VECQ_OK; i++)
        status = vecq_output_write(output, data, sizeof data, &err);
    vecq_output_discard(output);
    i = count_entries("small");
    expect_file("small/m", "old", 3);
    assert_int_equal(system("umount small"), 0);
    assert_int_equal(status, VECQ_ERR_IO);
    assert_non_null(strstr(err.message, "No space left"));
    assert_int_equal(i, 1);
}

static void a_killed_writer_leaves_nothing(void **state)
{
    int ends[2], status = -1;
    char ready;
    pid_t child;

    (void)state;
    if (!has_nameless_files())
        skip(); /* the hidden file stays; file.h says so */
    put_file("m", "old", 3);
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        static unsigned char data[3u << 20];
        vecq_output *a, *b;

        if (vecq_output_open("m", &a, NULL) == VECQ_OK && vecq_output_open("new", &b, NULL) == VECQ_OK &&
            vecq_output_write(a, data, sizeof data, NULL) == VECQ_OK &&
            vecq_output_sync(a, NULL) == VECQ_OK &&
            vecq_output_write(b, data, sizeof data, NULL) == VECQ_OK && write(ends[1], "r", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ends[0], &ready, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_true(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    close(ends[0]);
    close(ends[1]);
    expect_file("m", "old", 3);
    assert_int_equal(count_entries("."), 1);
}

static void devices_and_pipes_are_written_to(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    char text[8] = "";
    struct stat info;
    int fd;

    (void)state;
    assert_ok(write_text("/dev/null", "abc", &err), &err);
    assert_true(stat("/dev/null", &info) == 0 && S_ISCHR(info.st_mode));
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(write_text("/dev/full", "abc", &err), VECQ_ERR_IO);
        assert_string_equal(err.message, "/dev/full: cannot write: No space left on device");
        memset(&err, 0, sizeof err);
    }
    assert_int_equal(mkfifo("pipe", 0600), 0);
    fd = open("pipe", O_RDWR);
    assert_ok(write_text("pipe", "abc", &err), &err);
    assert_int_equal(read(fd, text, sizeof text), 3);
    assert_string_equal(text, "abc");
    close(fd);
    assert_true(S_ISFIFO(mode_of("pipe")));
    assert_int_equal(count_entries("../scratch"), 0);
}

static int write_to_stdout(void)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_output *output;
    int fd = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    struct stat info;

    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
        return 40;
    if (vecq_output_open("-", &output, &err) != VECQ_OK ||
        vecq_output_write(output, "abc", 3, &err) != VECQ_OK || vecq_output_sync(output, &err) != VECQ_OK ||
        fstat(fd, &info) != 0 || info.st_size != 0)
        return 41; /* nothing may appear before commit */
    if (vecq_output_commit(output, &err) != VECQ_OK || fstat(STDOUT_FILENO, &info) != 0 || info.st_size != 3)
        return 42; /* and it stays open */
    return 0;
}

static int write_to_closed_stdout(void)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_output *output;

    close(STDOUT_FILENO);
    if (vecq_output_open("-", &output, &err) != VECQ_ERR_IO || output != NULL)
        return 50;
    return strstr(err.message, "standard output") != NULL ? 0 : 51;
}

/* open() then gives a device the number of standard output. */
static int device_with_closed_stdout(void)
{
    vecq_error err = VECQ_ERROR_INIT;

    close(STDOUT_FILENO);
    if (write_text("/dev/null", "abc", &err) != VECQ_OK || write_text("m", "abc", &err) != VECQ_OK)
        return 60;
    return fcntl(STDOUT_FILENO, F_GETFD) < 0 ? 0 : 61; /* nothing left open */
}

static void standard_output(void **state)
{
    (void)state;
    in_child(write_to_stdout);
    expect_file("out", "abc", 3);
    in_child(write_to_closed_stdout);
    in_child(device_with_closed_stdout);
    assert_int_equal(access("-", F_OK), -1);
}

static void scratch_folder_is_named_in_errors(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    setenv("TMPDIR", "no/such", 1);
    assert_int_equal(write_text("/dev/null", "x", &err), VECQ_ERR_IO);
    assert_non_null(strstr(err.message, "no/such: cannot create a temporary file"));
    memset(&err, 0, sizeof err);
    assert_ok(write_text("m", "x", &err), &err); /* an ordinary output does not need it */
    setenv("TMPDIR", "", 1);                     /* empty is unset */
    assert_ok(write_text("/dev/null", "x", &err), &err);
}

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

static void out_of_memory_leaves_nothing(void **state)
{
    const vecq_allocator some = {allocate_some, release, NULL};
    int before = count_open_files();
    vecq_status status = VECQ_ERR_MEMORY;
    long n;

    (void)state;
    put_file("m", "old", 3);
    vecq_set_allocator(&some);
    for (n = 0; status != VECQ_OK && n < 20; n++) {
        vecq_error err = VECQ_ERROR_INIT;

        expect_file("m", "old", 3);
        allocations_left = n;
        status = write_text("m", "new", &err);
        assert_int_equal(err.status, status);
        assert_true(status == VECQ_OK || status == VECQ_ERR_MEMORY);
    }
    vecq_set_allocator(NULL);
    assert_int_equal(status, VECQ_OK);
    assert_true(n > 4);
    expect_file("m", "new", 3);
    assert_int_equal(count_entries("."), 1);
    assert_int_equal(count_open_files(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(appears_at_commit_only, enter_case),
        cmocka_unit_test_setup(discard_leaves_nothing, enter_case),
        cmocka_unit_test_setup(large_and_mapped, enter_case),
        cmocka_unit_test_setup(replaces_a_file_and_keeps_its_mode, enter_case),
        cmocka_unit_test_setup(honours_umask, enter_case),
        cmocka_unit_test_setup(follows_links, enter_case),
        cmocka_unit_test_setup(does_not_move_with_the_current_folder, enter_case),
        cmocka_unit_test_setup(says_what_cannot_be_written, enter_case),
        cmocka_unit_test_setup(permissions_are_respected, enter_case),
        cmocka_unit_test_setup(full_disk_leaves_the_old_file, enter_case),
        cmocka_unit_test_setup(full_tmpfs_leaves_the_old_file, enter_case),
        cmocka_unit_test_setup(a_killed_writer_leaves_nothing, enter_case),
        cmocka_unit_test_setup(devices_and_pipes_are_written_to, enter_case),
        cmocka_unit_test_setup(standard_output, enter_case),
        cmocka_unit_test_setup(scratch_folder_is_named_in_errors, enter_case),
        cmocka_unit_test_setup(out_of_memory_leaves_nothing, enter_case),
    };

    return cmocka_run_group_tests(tests, temp_folder_enter, temp_folder_leave);
}
