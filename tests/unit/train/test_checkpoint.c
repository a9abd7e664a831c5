/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: what is written comes back, what is damaged is refused, what fails leaves the old file. */
#include "vecq_test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/status.h"
#include "fail_alloc.h"
#include "train/checkpoint.h"
#include "unit/base/temp_folder.h"
#include "unit/train/corpus.h"

static void write_one(const char *path, uint64_t step)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint_writer *w;
    float weights[5] = {1, -2, 0.5f, 1e-30f, 3e30f};
    double metric[2] = {0.25, 99.5};
    uint8_t bytes[3] = {1, 2, 255};

    assert_ok(vecq_checkpoint_create(path, &w, &err), &err);
    assert_ok(vecq_checkpoint_add_text(w, "recipe", "seed: 1\n", &err), &err);
    assert_ok(vecq_checkpoint_add(w, "step", VECQ_CHECKPOINT_U64, &step, 1, &err), &err);
    assert_ok(vecq_checkpoint_add(w, "weights/conv1", VECQ_CHECKPOINT_F32, weights, 5, &err), &err);
    assert_ok(vecq_checkpoint_add(w, "metric", VECQ_CHECKPOINT_F64, metric, 2, &err), &err);
    assert_ok(vecq_checkpoint_add(w, "bytes", VECQ_CHECKPOINT_U8, bytes, 3, &err), &err);
    assert_ok(vecq_checkpoint_add(w, "empty", VECQ_CHECKPOINT_F32, NULL, 0, &err), &err);
    assert_ok(vecq_checkpoint_add_text(w, "nothing", "", &err), &err);
    assert_ok(vecq_checkpoint_commit(w, &err), &err);
}

static void expect_step(const char *path, uint64_t step)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint *c;
    uint64_t is = 0;

    assert_ok(vecq_checkpoint_open(path, &c, &err), &err);
    assert_ok(vecq_checkpoint_read(c, "step", VECQ_CHECKPOINT_U64, &is, 1, &err), &err);
    assert_true(is == step);
    vecq_checkpoint_close(c);
}

static uint8_t *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    data = malloc(*n);
    assert_true(data != NULL && fread(data, 1, *n, f) == *n);
    fclose(f);
    return data;
}

static void comes_back(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint *c;
    const vecq_checkpoint_entry *e;
    float weights[5];
    double metric[2];
    char *text;

    (void)state;
    write_one("c", 77);
    assert_ok(vecq_checkpoint_open("c", &c, &err), &err);
    assert_int_equal(vecq_checkpoint_count(c), 7);
    assert_string_equal(vecq_checkpoint_at(c, 2)->name, "weights/conv1");
    assert_null(vecq_checkpoint_at(c, 7));
    assert_null(vecq_checkpoint_find(c, "weights"));
    e = vecq_checkpoint_find(c, "weights/conv1");
    assert_true(e != NULL && e->type == VECQ_CHECKPOINT_F32 && e->count == 5 && (uintptr_t)e->data % 64 == 0);
    assert_ok(vecq_checkpoint_read(c, "weights/conv1", VECQ_CHECKPOINT_F32, weights, 5, &err), &err);
    assert_true(weights[1] == -2 && weights[4] == 3e30f);
    assert_ok(vecq_checkpoint_read(c, "metric", VECQ_CHECKPOINT_F64, metric, 2, &err), &err);
    assert_true(metric[1] == 99.5);
    assert_ok(vecq_checkpoint_read(c, "empty", VECQ_CHECKPOINT_F32, NULL, 0, &err), &err);
    assert_ok(vecq_checkpoint_read_text(c, "recipe", &text, &err), &err);
    assert_string_equal(text, "seed: 1\n");
    vecq_free(text);
    assert_ok(vecq_checkpoint_read_text(c, "nothing", &text, &err), &err);
    assert_string_equal(text, "");
    vecq_free(text);

    assert_int_equal(vecq_checkpoint_read(c, "weights/conv2", VECQ_CHECKPOINT_F32, weights, 5, &err),
                     VECQ_ERR_FORMAT);
    assert_string_equal(err.message,
                        "c: the checkpoint has no 'weights/conv2': it is of another model or recipe");
    memset(&err, 0, sizeof err);
    assert_int_equal(vecq_checkpoint_read(c, "weights/conv1", VECQ_CHECKPOINT_F32, weights, 4, &err),
                     VECQ_ERR_FORMAT);
    assert_non_null(strstr(err.message, "has 5 values in the checkpoint, 4 are needed"));
    memset(&err, 0, sizeof err);
    assert_int_equal(vecq_checkpoint_read(c, "step", VECQ_CHECKPOINT_F32, weights, 1, &err), VECQ_ERR_FORMAT);
    assert_non_null(strstr(err.message, "'step' is uint64 in the checkpoint, float32 is needed"));
    assert_int_equal(vecq_checkpoint_read_text(c, "step", &text, NULL), VECQ_ERR_FORMAT);
    assert_null(text);
    vecq_checkpoint_close(c);
    vecq_checkpoint_close(NULL);
}

/* The bytes that docs/format/checkpoint.md shows. */
static void bytes_as_documented(void **state)
{
    static const uint8_t head[12] = {0x89, 'V', 'Q', '\r', '\n', 0x1a, '\n', '\n', 1, 0, 0, 0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint_writer *w;
    uint64_t step = 7, x;
    uint8_t *data;
    size_t n;

    (void)state;
    assert_ok(vecq_checkpoint_create("doc", &w, &err), &err);
    assert_ok(vecq_checkpoint_add(w, "step", VECQ_CHECKPOINT_U64, &step, 1, &err), &err);
    assert_ok(vecq_checkpoint_commit(w, &err), &err);
    data = slurp("doc", &n);
    assert_int_equal(n, 64 + 64 + 40 + 64);
    assert_memory_equal(data, head, sizeof head);
    memcpy(&x, data + 64, 8);
    assert_true(x == 7);
    memcpy(&x, data + 128, 8); /* offset, bytes, type, length, name */
    assert_true(x == 64);
    memcpy(&x, data + 136, 8);
    assert_true(x == 8);
    memcpy(&x, data + 144, 8);
    assert_true(x == UINT64_C(0x87f433226672bf59));
    assert_true(data[152] == 4 && data[156] == 4 && memcmp(data + 160, "step\0\0\0\0", 8) == 0);
    memcpy(&x, data + 168, 8); /* index at, bytes, entries, file */
    assert_true(x == 128);
    memcpy(&x, data + 176, 8);
    assert_true(x == 40);
    memcpy(&x, data + 184, 8);
    assert_true(x == 1);
    memcpy(&x, data + 192, 8);
    assert_true(x == n);
    memcpy(&x, data + 200, 8); /* checksums of the index and of the end */
    assert_true(x == UINT64_C(0x4afc6659523e70fa));
    memcpy(&x, data + 216, 8);
    assert_true(x == UINT64_C(0x3d614838fe35d5f1));
    assert_memory_equal(data + n - 8, "VECQ-END", 8);
    free(data);
}

static void opens_or_not(const uint8_t *data, size_t n, int wanted, const char *what, size_t at)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint *c;
    uint64_t *copy = malloc(n + 8); /* aligned, and of its size for sanitizers */
    vecq_span span = {(const uint8_t *)copy, n};
    vecq_status status;

    memcpy(copy, data, n);
    status = vecq_checkpoint_open_memory(span, "m", &c, &err);
    if ((status == VECQ_OK) != wanted || (status != VECQ_OK && status != VECQ_ERR_FORMAT))
        fail_msg("%s at %zu: %s %s", what, at, vecq_status_name(status), err.message);
    if (status != VECQ_OK)
        assert_non_null(strstr(err.message, "m: "));
    vecq_checkpoint_close(c);
    free(copy);
}

/* Every single bit matters, and so does the length. */
static void any_damage_is_noticed(void **state)
{
    uint8_t *data;
    size_t n, i;
    int bit;

    (void)state;
    write_one("c", 1);
    data = slurp("c", &n);
    opens_or_not(data, n, 1, "whole", 0);
    for (i = 0; i < n; i++) {
        for (bit = 0; bit < 8; bit++) {
            data[i] ^= (uint8_t)(1 << bit);
            opens_or_not(data, n, 0, "flipped bit", i);
            data[i] ^= (uint8_t)(1 << bit);
        }
        opens_or_not(data, i, 0, "cut off", i);
    }
    opens_or_not(data, n, 1, "whole again", 0);
    data = realloc(data, n + 64);
    memset(data + n, 0, 64);
    opens_or_not(data, n + 1, 0, "longer", 1);
    opens_or_not(data, n + 64, 0, "longer", 64);
    free(data);
}

static void says_what_a_file_is(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint *c;

    (void)state;
    put_file("text", "hello world, this is no checkpoint", 34);
    assert_int_equal(vecq_checkpoint_open("text", &c, &err), VECQ_ERR_FORMAT);
    assert_string_equal(err.message, "text: is not a checkpoint of VecQ");
    assert_null(c);
    memset(&err, 0, sizeof err);
    put_file("new", "\x89VQ\r\n\x1a\n\n\x02\0\0\0", 12);
    assert_int_equal(vecq_checkpoint_open("new", &c, &err), VECQ_ERR_FORMAT);
    assert_string_equal(err.message, "new: checkpoint of version 2; this program reads version 1");
    memset(&err, 0, sizeof err);
    assert_int_equal(vecq_checkpoint_open("none", &c, &err), VECQ_ERR_IO);
    put_file("empty", "", 0);
    assert_int_equal(vecq_checkpoint_open("empty", &c, NULL), VECQ_ERR_FORMAT);
}

/* Written by scripts/make_train_corpus.py, which shares nothing with our writer. */
static void open_one(const char *path, const char *name)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint *c;
    vecq_status status = vecq_checkpoint_open(path, &c, &err);

    if (strncmp(name, "ok_", 3) == 0 && status != VECQ_OK)
        fail_msg("%s", err.message);
    if (strncmp(name, "bad_", 4) == 0 && status != VECQ_ERR_FORMAT)
        fail_msg("%s was opened", path);
    if (strcmp(name, "ok_types") == 0) {
        float w[3];

        assert_int_equal(vecq_checkpoint_count(c), 6);
        assert_ok(vecq_checkpoint_read(c, "w", VECQ_CHECKPOINT_F32, w, 3, &err), &err);
        assert_true(w[0] == 1 && w[1] == -2 && w[2] == 0.5f);
    }
    vecq_checkpoint_close(c);
}

static void another_writer_agrees(void **state)
{
    (void)state;
    assert_true(for_each_in_corpus("checkpoint", open_one) >= 19);
}

static void refuses_what_it_cannot_hold(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint_writer *w;
    char longer[VECQ_CHECKPOINT_NAME_MAX + 2];
    const char *names[] = {"a", "", longer};
    size_t i;

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    write_one("c", 5);
    for (i = 0; i < 3; i++) {
        memset(&err, 0, sizeof err);
        assert_ok(vecq_checkpoint_create("c", &w, &err), &err);
        assert_ok(vecq_checkpoint_add_text(w, "a", "1", &err), &err);
        assert_int_equal(vecq_checkpoint_add_text(w, names[i], "2", &err), VECQ_ERR_UNSUPPORTED);
        assert_int_equal(vecq_checkpoint_add_text(w, "later", "3", NULL), VECQ_ERR_UNSUPPORTED);
        assert_int_equal(vecq_checkpoint_commit(w, &err), VECQ_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.message, i == 0 ? "two entries are named 'a'" : "a name of"));
    }
    memset(&err, 0, sizeof err);
    assert_ok(vecq_checkpoint_create("c", &w, &err), &err);
    assert_int_equal(vecq_checkpoint_add(w, "t", VECQ_CHECKPOINT_TEXT, "a\0b", 3, &err),
                     VECQ_ERR_UNSUPPORTED);
    vecq_checkpoint_discard(w);
    vecq_checkpoint_discard(NULL);
    longer[sizeof longer - 2] = '\0'; /* the longest name */
    memset(&err, 0, sizeof err);
    assert_ok(vecq_checkpoint_create("long", &w, &err), &err);
    assert_ok(vecq_checkpoint_add_text(w, longer, "x", &err), &err);
    assert_ok(vecq_checkpoint_commit(w, &err), &err);
    {
        vecq_checkpoint *c;

        assert_ok(vecq_checkpoint_open("long", &c, &err), &err);
        assert_non_null(vecq_checkpoint_find(c, longer));
        vecq_checkpoint_close(c);
    }
    expect_step("c", 5);
}

/* ---- failures ---- */

/* A limit on file sizes is what a full disk looks like to write(). */
static int write_on_full_disk(void)
{
    static float data[1u << 18];
    struct rlimit limit = {5u << 20, 5u << 20};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint_writer *w;
    int i, failed = 0;
    char name[8];

    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || vecq_checkpoint_create("c", &w, &err) != VECQ_OK)
        return 30;
    for (i = 0; i < 16 && !failed; i++) {
        snprintf(name, sizeof name, "p%d", i);
        failed = vecq_checkpoint_add(w, name, VECQ_CHECKPOINT_F32, data, 1u << 18, &err) == VECQ_ERR_IO;
    }
    if (!failed || strncmp(err.message, "c: cannot write: ", 17) != 0)
        return 31;
    memset(&err, 0, sizeof err);
    if (vecq_checkpoint_commit(w, &err) != VECQ_ERR_IO || err.message[0] == '\0')
        return 32;
    return count_entries(".") == 2 ? 0 : 33;
}

static int write_without_permission(void)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint_writer *w;

    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        return 40;
    if (vecq_checkpoint_create("closed/c", &w, &err) != VECQ_ERR_IO || w != NULL)
        return 41;
    return strstr(err.message, "Permission denied") != NULL ? 0 : 42;
}

static void in_child(int (*body)(void))
{
    int status = -1;
    pid_t child = fork();

    if (child == 0)
        _exit(body());
    assert_true(waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int enter_case(void **state)
{
    (void)state;
    return system("rm -rf ./* ./.[!.]* && mkdir -p scratch") != 0;
}

static void a_full_disk_leaves_the_old_one(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint_writer *w;

    (void)state;
    write_one("c", 9);
    in_child(write_on_full_disk);
    expect_step("c", 9);
    assert_int_equal(mkdir("closed", 0555), 0);
    in_child(write_without_permission);
    assert_int_equal(vecq_checkpoint_create("no/such/c", &w, &err), VECQ_ERR_IO);
    if (access("/dev/full", W_OK) == 0) {
        memset(&err, 0, sizeof err);
        assert_ok(vecq_checkpoint_create("/dev/full", &w, &err), &err);
        assert_ok(vecq_checkpoint_add_text(w, "a", "b", &err), &err);
        assert_int_equal(vecq_checkpoint_commit(w, &err), VECQ_ERR_IO);
    }
}

/* Written again and again by a process that is killed at any moment: there is always a whole one. */
static void a_killed_writer_leaves_a_whole_one(void **state)
{
    int round;
    uint64_t newest = 0;

    (void)state;
    write_one("c", 0);
    for (round = 0; round < 12; round++) {
        pid_t child = fork();
        int status;
        uint64_t step = 0;
        vecq_error err = VECQ_ERROR_INIT;
        vecq_checkpoint *c;

        if (child == 0) {
            for (step = newest + 1;; step++)
                write_one("c", step);
        }
        usleep((useconds_t)(2000 + 1733 * round));
        kill(child, SIGKILL);
        assert_true(waitpid(child, &status, 0) == child);
        assert_ok(vecq_checkpoint_open("c", &c, &err), &err);
        assert_ok(vecq_checkpoint_read(c, "step", VECQ_CHECKPOINT_U64, &step, 1, &err), &err);
        assert_true(step >= newest);
        newest = step;
        vecq_checkpoint_close(c);
    }
    assert_true(newest > 0);
}

/* A hundred megabytes go through without being gathered. */
static void large_arrays_are_streamed(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint_writer *w;
    vecq_checkpoint *c;
    size_t n = 3u << 20, i;
    float *data = malloc(n * sizeof *data);
    struct rusage before, after;
    char name[16];

    (void)state;
    assert_non_null(data);
    for (i = 0; i < n; i++)
        data[i] = (float)i;
    getrusage(RUSAGE_SELF, &before);
    assert_ok(vecq_checkpoint_create("big", &w, &err), &err);
    for (i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "p%zu", i);
        assert_ok(vecq_checkpoint_add(w, name, VECQ_CHECKPOINT_F32, data, n, &err), &err);
    }
    assert_ok(vecq_checkpoint_commit(w, &err), &err);
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 8 << 10); /* KiB */
    assert_ok(vecq_checkpoint_open("big", &c, &err), &err);
    assert_memory_equal(vecq_checkpoint_find(c, "p7")->data, data, n * sizeof *data);
    vecq_checkpoint_close(c);
    free(data);
}

static vecq_status write_and_read(void *context, vecq_error *err)
{
    static const uint64_t numbers[3] = {1, 2, 3};
    vecq_checkpoint_writer *w;
    vecq_checkpoint *c;
    vecq_status status;
    char *text = NULL;

    (void)context;
    VECQ_TRY(vecq_checkpoint_create("m", &w, err));
    status = vecq_checkpoint_add(w, "numbers", VECQ_CHECKPOINT_U64, numbers, 3, err);
    if (status == VECQ_OK)
        status = vecq_checkpoint_add_text(w, "text", "abc", err);
    if (status != VECQ_OK) {
        vecq_checkpoint_discard(w);
        return status;
    }
    VECQ_TRY(vecq_checkpoint_commit(w, err));
    VECQ_TRY(vecq_checkpoint_open("m", &c, err));
    status = vecq_checkpoint_read_text(c, "text", &text, err);
    vecq_free(text);
    vecq_checkpoint_close(c);
    return status;
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_true(vecq_fail_every_alloc(write_and_read, NULL) > 10);
    assert_int_equal(count_entries("."), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(comes_back, enter_case),
        cmocka_unit_test_setup(bytes_as_documented, enter_case),
        cmocka_unit_test_setup(any_damage_is_noticed, enter_case),
        cmocka_unit_test_setup(says_what_a_file_is, enter_case),
        cmocka_unit_test_setup(another_writer_agrees, enter_case),
        cmocka_unit_test_setup(refuses_what_it_cannot_hold, enter_case),
        cmocka_unit_test_setup(a_full_disk_leaves_the_old_one, enter_case),
        cmocka_unit_test_setup(a_killed_writer_leaves_a_whole_one, enter_case),
        cmocka_unit_test_setup(large_arrays_are_streamed, enter_case),
        cmocka_unit_test_setup(out_of_memory, enter_case),
    };

    return cmocka_run_group_tests(tests, temp_folder_enter, temp_folder_leave);
}
