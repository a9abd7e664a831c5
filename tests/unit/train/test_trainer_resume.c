/* SPDX-License-Identifier: Apache-2.0 */
/* Going on from checkpoints: whatever stopped a run, it ends where it would have ended. */
#include "vecq_test.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "unit/train/tiny_training.h"

/* Much that has state: momenta, averages, best weights, stages with steps of their own, searched lambdas,
 * scales of activations, statistics of batch norm, augmentation. */
#define EVERYTHING                                                                                           \
    "model.file=norm.onnx", "train.epochs=5", "data.holdout=60", "train.keep=best",                          \
        "train.eval_every=4 steps", "train.checkpoint_every=6 steps", "optimizer.name=adam",                 \
        "optimizer.lr=0.003", "average.ema=0.9", "quantize.bits=2", "quantize.gradual=[0@0, 4@1, 2@2.5]",    \
        "quantize.lsq=true", "quantize.act_bits=4", "train.bn_freeze=4", "augment.translate=1",              \
        "train.bn_reestimate=3", "schedule.warmup=0.5"

static const char *const everything[] = {EVERYTHING, NULL};
static const char *const searching[] = {"model.network=lenet-300-100",
                                        "train.epochs=3",
                                        "quantize.bits=3",
                                        "quantize.lambda=search",
                                        "quantize.search_every=7",
                                        "train.checkpoint_every=1 epoch",
                                        "average.swa=1.5",
                                        NULL};

static int set_up(void **state)
{
    if (temp_folder_enter(state) != 0)
        return 1;
    tiny_data("data", 300, 60, 8);
    tiny_model("norm.onnx", TINY_NORM, 8);
    return 0;
}

typedef struct stopper {
    vecq_train_event_kind kind; /* at the nth event of this kind */
    unsigned nth, seen;
} stopper;

static int stop(void *context, const vecq_train_event *e)
{
    stopper *s = context;

    return e->kind == s->kind && ++s->seen == s->nth;
}

/* Runs until the event; non-zero when the run came to its end before. */
static int run_until(const char *const *settings, const char *path, vecq_train_event_kind kind, unsigned nth,
                     int resume)
{
    vecq_train_options options = tiny_options(path, resume);
    vecq_error err = VECQ_ERROR_INIT;
    stopper s = {kind, nth, 0};
    vecq_status status;

    options.event = stop;
    options.event_context = &s;
    status = tiny_run(settings, &options, NULL, &err);
    if (status != VECQ_OK && status != VECQ_ERR_CANCELLED)
        fail_msg("stopping at event %u of kind %d: %s", nth, (int)kind, err.message);
    return status == VECQ_OK;
}

static void expect_same(const char *a, const char *b, const char *when)
{
    if (!tiny_is_same(a, b))
        fail_msg("%s: another end", when);
}

/* Whatever event a run is stopped at, before, between and after evaluations, messages and checkpoints. */
static void stop_everywhere(const char *const *settings)
{
    static const vecq_train_event_kind kinds[] = {VECQ_TRAIN_STEP, VECQ_TRAIN_EVALUATING,
                                                  VECQ_TRAIN_EVALUATED, VECQ_TRAIN_CHECKPOINT,
                                                  VECQ_TRAIN_MESSAGE};
    vecq_train_result whole = tiny_ok(settings, "whole.ckpt", 0), rest;
    char when[64];
    unsigned nth;
    size_t k;

    for (k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (nth = 1; nth < 60;
             nth += kinds[k] == VECQ_TRAIN_STEP || kinds[k] == VECQ_TRAIN_EVALUATING ? 3 : 1) {
            int ended;

            remove("part.ckpt");
            ended = run_until(settings, "part.ckpt", kinds[k], nth, 0);
            if (ended)
                break;
            rest = tiny_ok(settings, "part.ckpt", 1);
            snprintf(when, sizeof when, "stopped at event %u of kind %d", nth, (int)kinds[k]);
            expect_same("whole.ckpt", "part.ckpt", when);
            if (rest.test_accuracy != whole.test_accuracy || rest.test_loss != whole.test_loss)
                fail_msg("%s: another result", when);
        }
}

static void test_stop(void **state)
{
    (void)state;
    stop_everywhere(everything);
}

static void test_stop_searching(void **state)
{
    (void)state;
    stop_everywhere(searching);
}

/* A limit of steps ends a run properly, with a model; the same checkpoint goes on when the limit is gone. */
static void test_limit(void **state)
{
    static const unsigned limits[] = {1, 6, 7, 8, 12, 20, 33};
    char limit[40], when[40];
    size_t i;

    (void)state;
    tiny_ok(everything, "whole.ckpt", 0);
    for (i = 0; i < sizeof limits / sizeof *limits; i++) {
        const char *const limited[] = {EVERYTHING, limit, NULL};
        vecq_train_result r;

        snprintf(limit, sizeof limit, "train.limit_steps=%u", limits[i]);
        r = tiny_ok(limited, "part.ckpt", 0);
        assert_int_equal(r.steps, limits[i]);
        r = tiny_ok(everything, "part.ckpt", 1);
        assert_int_equal(r.steps, 40 - limits[i]);
        snprintf(when, sizeof when, "after %u steps", limits[i]);
        expect_same("whole.ckpt", "part.ckpt", when);
    }
}

/* A finished run that is resumed makes the same model again. */
static void test_finished(void **state)
{
    vecq_train_result first, again;

    (void)state;
    first = tiny_ok(everything, "done.ckpt", 0);
    again = tiny_ok(everything, "done.ckpt", 1);
    assert_int_equal(again.steps, 0);
    assert_true(again.test_loss == first.test_loss && again.holdout_accuracy == first.holdout_accuracy);
    assert_true(again.loss == first.loss);
    /* Without a checkpoint resuming is beginning. */
    assert_int_equal(tiny_ok(searching, "new.ckpt", 1).steps, 30);
}

/* ---- kill -9 ---- */

static void child(const char *const *settings)
{
    vecq_train_options options = tiny_options("killed.ckpt", 1);
    vecq_error err = VECQ_ERROR_INIT;

    options.log = "killed.jsonl";
    if (tiny_run(settings, &options, NULL, &err) != VECQ_OK) {
        fprintf(stderr, "%s\n", err.message);
        _exit(1);
    }
    _exit(0);
}

/* What the log says of steps: number and what follows from "loss" on, without clocks. */
static size_t read_steps(const char *path, char lines[][200], size_t max)
{
    static char line[65536];
    FILE *f = fopen(path, "r");
    size_t n = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        const char *loss = strstr(line, "\"loss\":"), *step = strstr(line, "\"step\":");

        assert_true(line[0] == '{' && strcmp(line + strlen(line) - 2, "}\n") == 0);
        if (strncmp(line, "{\"event\":\"step\"", 15) != 0)
            continue;
        assert_true(n < max && loss != NULL && step != NULL);
        snprintf(lines[n++], 200, "%.12s %.180s", step, loss);
    }
    fclose(f);
    return n;
}

static void test_killed(void **state)
{
    static char whole[512][200], killed[512][200];
    static const char *const settings[] = {EVERYTHING, "train.epochs=50", "quantize.gradual=[0@0, 4@9, 2@20]",
                                           "train.bn_freeze=30", NULL};
    vecq_train_options options = tiny_options("whole.ckpt", 0);
    vecq_error err = VECQ_ERROR_INIT;
    unsigned attempt, n_killed = 0, seed = 12345;
    int status = 1;
    size_t n, i;

    (void)state;
    options.log = "whole.jsonl";
    assert_ok(tiny_run(settings, &options, NULL, &err), &err);
    for (attempt = 0; attempt < 400; attempt++) {
        struct timespec wait = {0, 0};
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
            child(settings);
        seed = seed * 1103515245u + 12345;
        /* longer and longer: on a slow machine, too, the end is reached */
        wait.tv_nsec = (long)((uint64_t)seed * (10000000 + 1000000 * attempt) >> 32);
        nanosleep(&wait, NULL);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status))
            break;
        n_killed++;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("killed %u times, at the end status %d", n_killed, status);
    print_message("killed %u times\n", n_killed);
    expect_same("whole.ckpt", "killed.ckpt", "killed");
    n = read_steps("whole.jsonl", whole, 512);
    assert_int_equal(n, 400);
    assert_int_equal(read_steps("killed.jsonl", killed, 512), n);
    for (i = 0; i < n; i++)
        assert_string_equal(whole[i], killed[i]);
}

/* ---- what is refused ---- */

static void test_other_settings(void **state)
{
    static const struct {
        const char *setting, *word;
    } rows[] = {{"optimizer.lr=0.004", "lr"},   {"seed=5", "seed"},
                {"quantize.bits=3", "bits"},    {"train.batch=20", "batch"},
                {"optimizer.name=sgd", "name"}, {"train.epochs=9", "epochs"},
                {"average.ema=0.5", "ema"},     {"train.freeze=w1", "freeze"},
                {"data.mean=0.5", "mean"},      {"augment.flip=true", "flip"}};
    size_t i;

    (void)state;
    run_until(everything, "part.ckpt", VECQ_TRAIN_STEP, 9, 0);
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const settings[] = {EVERYTHING, rows[i].setting,
                                        i == 2 ? "quantize.gradual=[0@0, 3@1]" : "data.workers=1", NULL};
        vecq_error err = tiny_fails(settings, "part.ckpt", 1, VECQ_ERR_VALUE);

        assert_error(&err, VECQ_ERR_VALUE, "part.ckpt", rows[i].word);
        assert_error(&err, VECQ_ERR_VALUE, "other settings", "--resume");
    }
    { /* what changes nothing is free */
        const char *const settings[] = {EVERYTHING,
                                        "threads=2",
                                        "data.workers=0",
                                        "train.log_every=3 steps",
                                        "train.checkpoint_every=1 epoch",
                                        "train.eval_batch=7",
                                        NULL};

        tiny_ok(everything, "whole.ckpt", 0);
        tiny_ok(settings, "part.ckpt", 1);
        expect_same("whole.ckpt", "part.ckpt", "with other free settings");
    }
}

static void test_damaged(void **state)
{
    vecq_error err;
    long size, at;
    FILE *f;

    (void)state;
    tiny_model("wide.onnx", TINY_NORM, 9);
    run_until(everything, "part.ckpt", VECQ_TRAIN_STEP, 9, 0);
    { /* a model of other sizes under the same settings: the path is free, the tensors are not */
        const char *const settings[] = {EVERYTHING, "model.file=wide.onnx", NULL};

        err = tiny_fails(settings, "part.ckpt", 1, VECQ_ERR_FORMAT);
        assert_error(&err, VECQ_ERR_FORMAT, "part.ckpt", "store/");
    }
    f = fopen("part.ckpt", "r+b");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    for (at = 100; at < size; at += size / 7) {
        int byte;

        fseek(f, at, SEEK_SET);
        byte = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(byte ^ 0x10, f);
        fflush(f);
        err = tiny_fails(everything, "part.ckpt", 1, VECQ_ERR_FORMAT);
        assert_error(&err, VECQ_ERR_FORMAT, "part.ckpt", "damaged");
        fseek(f, at, SEEK_SET);
        fputc(byte, f);
        fflush(f);
    }
    assert_int_equal(ftruncate(fileno(f), size / 2), 0);
    fclose(f);
    err = tiny_fails(everything, "part.ckpt", 1, VECQ_ERR_FORMAT);
    put_file("part.ckpt", "", 0);
    err = tiny_fails(everything, "part.ckpt", 1, VECQ_ERR_FORMAT);
    assert_error(&err, VECQ_ERR_FORMAT, "part.ckpt", NULL);
}

/* A log that is none of ours is not cut. */
static void test_foreign_log(void **state)
{
    vecq_train_options options = tiny_options("part.ckpt", 1);
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    run_until(searching, "part.ckpt", VECQ_TRAIN_STEP, 9, 0);
    put_file("letter.txt", "Dear reader,\n", 13);
    options.log = "letter.txt";
    assert_int_equal(tiny_run(searching, &options, NULL, &err), VECQ_ERR_FORMAT);
    assert_error(&err, VECQ_ERR_FORMAT, "letter.txt", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop),    cmocka_unit_test(test_stop_searching),
        cmocka_unit_test(test_limit),   cmocka_unit_test(test_finished),
        cmocka_unit_test(test_killed),  cmocka_unit_test(test_other_settings),
        cmocka_unit_test(test_damaged), cmocka_unit_test(test_foreign_log),
    };

    return cmocka_run_group_tests(tests, set_up, temp_folder_leave);
}
