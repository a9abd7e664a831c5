/* SPDX-License-Identifier: Apache-2.0 */
/* Training as a whole: that it learns, that it repeats itself, what it says, and what ends it. */
#include "vecq_test.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

#include "fail_alloc.h"
#include "unit/train/tiny_training.h"

#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int set_up(void **state)
{
    if (temp_folder_enter(state) != 0)
        return 1;
    tiny_data("data", 300, 60, 8);
    tiny_data("other", 60, 30, 9);
    tiny_data("few", 12, 6, 8);
    tiny_model("plain.onnx", TINY_PLAIN, 8);
    tiny_model("norm.onnx", TINY_NORM, 8);
    tiny_model("softmax.onnx", TINY_SOFTMAX, 8);
    tiny_model("round.onnx", TINY_ROUND, 8);
    return 0;
}

/* ---- it learns ---- */

static void test_learns(void **state)
{
    static const char *const ways[][5] = {
        {"quantize.bits=0"},
        {"quantize.bits=2", "train.epochs=6"},
        {"quantize.bits=4", "quantize.act_bits=4"},
        {"quantize.bits=3", "quantize.lsq=true"},
        {"quantize.bits=3", "quantize.lambda=search", "quantize.search_every=5"},
        {"optimizer.name=adam", "optimizer.lr=0.003"},
        {"optimizer.name=adamw", "optimizer.lr=0.003", "optimizer.weight_decay=0.01"},
        {"train.loss=mse"},
        {"train.label_smoothing=0.2"},
        {"train.clip_grad_norm=0.1", "optimizer.lr=0.3"},
        {"average.ema=0.8"},
        {"average.swa=2"},
        {"augment.pad=1", "augment.translate=0.5"},
        {"quantize.gradual=[0@0, 8@1, 3@2]", "quantize.bits=3"},
    };
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof ways / sizeof *ways; i++) {
        const char *settings[8] = {"model.network=lenet-300-100", "train.epochs=4"};
        vecq_train_result r, none;

        for (k = 0; k < 5; k++)
            settings[2 + k] = ways[i][k];
        r = tiny_ok(settings, NULL, 0);
        settings[k = 2 + (size_t)(ways[i][1] == NULL   ? 1
                                  : ways[i][2] == NULL ? 2
                                                       : 3)] = "train.limit_steps=1"; /* the last word */
        settings[k + 1] = NULL;
        none = tiny_ok(settings, NULL, 0);
        if (r.test_accuracy < 0.9 || !(r.loss < 0.7 * none.loss) || r.test_samples != 60 || r.steps < 40)
            fail_msg("%s: accuracy %g, loss %g after %g, %u steps", ways[i][0], r.test_accuracy, r.loss,
                     none.loss, (unsigned)r.steps);
        assert_true(r.parameters >= 49903); /* 64 x 300 + 300 x 100 + 100 x 3 and biases; steps of LSQ */
        assert_true(r.peak_bytes > 30 * 300 * sizeof(float));
        assert_true(isnan(r.holdout_accuracy) && isnan(r.start_accuracy) && isnan(r.file_accuracy));
    }
}

static float stored(const char *checkpoint, const char *name, size_t i)
{
    vecq_checkpoint *c = tiny_checkpoint(checkpoint);
    const vecq_checkpoint_entry *e = vecq_checkpoint_find(c, name);
    float x;

    if (e == NULL || e->type != VECQ_CHECKPOINT_F32 || e->count <= i)
        fail_msg("no '%s'[%zu] in %s", name, i, checkpoint);
    x = ((const float *)e->data)[i];
    vecq_checkpoint_close(c);
    return x;
}

/* Non-zero when no element of a stored tensor has changed. */
static int is_kept(const char *before, const char *after, const char *name)
{
    vecq_checkpoint *a = tiny_checkpoint(before), *b = tiny_checkpoint(after);
    const vecq_checkpoint_entry *x = vecq_checkpoint_find(a, name), *y = vecq_checkpoint_find(b, name);
    int same;

    assert_true(x != NULL && y != NULL && x->count == y->count);
    same = memcmp(x->data, y->data, x->count * sizeof(float)) == 0;
    vecq_checkpoint_close(a);
    vecq_checkpoint_close(b);
    return same;
}

static int has_entry(const char *checkpoint, const char *name)
{
    vecq_checkpoint *c = tiny_checkpoint(checkpoint);
    int found = vecq_checkpoint_find(c, name) != NULL;

    vecq_checkpoint_close(c);
    return found;
}

static void test_frozen(void **state)
{
    (void)state;
    tiny_ok(SETTINGS("model.file=plain.onnx", "train.epochs=0"), "before.ckpt", 0);
    tiny_ok(SETTINGS("model.file=plain.onnx", "train.epochs=1", "train.freeze=w1,b?"), "after.ckpt", 0);
    assert_true(is_kept("before.ckpt", "after.ckpt", "store/w1"));
    assert_true(is_kept("before.ckpt", "after.ckpt", "store/b2"));
    assert_false(is_kept("before.ckpt", "after.ckpt", "store/w2"));
    assert_false(has_entry("after.ckpt", "optimizer/momentum/w1"));
    assert_true(has_entry("after.ckpt", "optimizer/momentum/w2"));
    assert_non_null(strstr(
        tiny_fails(SETTINGS("model.file=plain.onnx", "train.freeze=*"), NULL, 0, VECQ_ERR_VALUE).message,
        "nothing to train"));
}

static void test_softmax_is_cut(void **state)
{
    vecq_train_result a, b;

    (void)state;
    a = tiny_ok(SETTINGS("model.file=plain.onnx", "train.epochs=2"), "plain.ckpt", 0);
    b = tiny_ok(SETTINGS("model.file=softmax.onnx", "train.epochs=2"), "softmax.ckpt", 0);
    assert_true(a.test_loss == b.test_loss && a.start_accuracy == b.start_accuracy);
    assert_true(tiny_is_same("plain.ckpt", "softmax.ckpt"));
}

static void test_distillation(void **state)
{
    vecq_train_result r;

    (void)state;
    /* All from the teacher: it is the student itself, so there is nothing to learn. */
    tiny_ok(SETTINGS("model.file=plain.onnx", "train.epochs=0"), "before.ckpt", 0);
    tiny_ok(
        SETTINGS("model.file=plain.onnx", "train.epochs=1", "distill.teacher=self", "distill.labels=false"),
        "self.ckpt", 0);
    assert_true(fabsf(stored("before.ckpt", "store/w1", 3) - stored("self.ckpt", "store/w1", 3)) < 1e-5f);
    /* Another student imitates it. */
    r = tiny_ok(SETTINGS("model.network=lenet-300-100", "train.epochs=4", "distill.teacher=softmax.onnx"),
                NULL, 0);
    assert_true(r.test_accuracy > 0.9);
    assert_non_null(strstr(tiny_fails(SETTINGS("model.network=lenet-300-100", "distill.teacher=missing.onnx"),
                                      NULL, 0, VECQ_ERR_IO)
                               .message,
                           "missing.onnx"));
}

static void test_batch_norm(void **state)
{
    (void)state;
    tiny_ok(SETTINGS("model.file=norm.onnx", "train.epochs=1"), "moving.ckpt", 0);
    assert_true(stored("moving.ckpt", "store/mean", 0) != 0);
    tiny_ok(SETTINGS("model.file=norm.onnx", "train.epochs=1", "train.bn_freeze=0"), "frozen.ckpt", 0);
    assert_true(stored("frozen.ckpt", "store/mean", 0) == 0 && stored("frozen.ckpt", "store/var", 0) == 1);
    assert_false(is_kept("frozen.ckpt", "moving.ckpt", "store/gamma"));
    /* Measured anew: the accuracy is that of means over the batches, whatever was there before. */
    assert_true(tiny_ok(SETTINGS("model.file=norm.onnx", "train.epochs=3", "train.bn_reestimate=10"), NULL, 0)
                    .test_accuracy > 0.9);
    assert_true(tiny_ok(SETTINGS("model.file=norm.onnx", "train.epochs=3", "train.bn_freeze=1",
                                 "train.bn_reestimate=10", "average.ema=0.7"),
                        NULL, 0)
                    .test_accuracy > 0.9);
}

/* ---- it repeats itself ---- */

static void test_threads(void **state)
{
    static const char *const ways[][4] = {
        {"quantize.bits=3", "quantize.act_bits=4", "augment.translate=1", "threads=1"},
        {"quantize.bits=3", "quantize.act_bits=4", "augment.translate=1", "threads=2"},
        {"quantize.bits=3", "quantize.act_bits=4", "augment.translate=1", "data.workers=0"},
        {"quantize.bits=3", "quantize.act_bits=4", "augment.translate=1", "data.workers=64"}};
    char path[32];
    size_t i, k;

    (void)state;
    for (i = 0; i < 4; i++) {
        const char *settings[8] = {"model.network=lenet-300-100", "train.epochs=2", "optimizer.name=adam"};

        for (k = 0; k < 4; k++)
            settings[3 + k] = ways[i][k];
        snprintf(path, sizeof path, "threads%zu.ckpt", i);
        tiny_ok(settings, path, 0);
        if (i > 0)
            assert_true(tiny_is_same("threads0.ckpt", path));
    }
    tiny_ok(SETTINGS("model.network=lenet-300-100", "train.epochs=2", "seed=2"), "a.ckpt", 0);
    tiny_ok(SETTINGS("model.network=lenet-300-100", "train.epochs=2", "seed=3"), "b.ckpt", 0);
    assert_false(tiny_is_same("a.ckpt", "b.ckpt"));
}

/* ---- what it says ---- */

typedef struct tale {
    vecq_train_event_kind kinds[256];
    uint64_t steps[256];
    char texts[256][40];
    size_t n, n_kind[8];
} tale;

static int listen(void *context, const vecq_train_event *e)
{
    tale *t = context;

    assert_true(e->step <= e->steps && e->text != NULL);
    if (e->kind == VECQ_TRAIN_EVALUATING)
        return 0;
    assert_true(t->n < 256);
    t->kinds[t->n] = e->kind;
    t->steps[t->n] = e->step;
    snprintf(t->texts[t->n++], 40, "%s", e->text);
    t->n_kind[e->kind]++;
    return 0;
}

static tale tell(const char *const *settings, const char *checkpoint, const char *log, vecq_train_result *r)
{
    vecq_train_options options = tiny_options(checkpoint, 0);
    vecq_error err = VECQ_ERROR_INIT;
    tale t = {0};

    options.event = listen;
    options.event_context = &t;
    options.log = log;
    assert_ok(tiny_run(settings, &options, r, &err), &err);
    return t;
}

static void test_events(void **state)
{
    vecq_train_result r;
    size_t i, at;
    tale t;

    (void)state;
    t = tell(SETTINGS("model.file=plain.onnx", "train.epochs=2", "train.eval_every=5 steps",
                      "train.checkpoint_every=10 steps", "quantize.bits=2", "quantize.gradual=[4@0, 2@1]"),
             "events.ckpt", "events.jsonl", &r);
    assert_int_equal(t.kinds[0], VECQ_TRAIN_START);
    assert_int_equal(t.kinds[t.n - 1], VECQ_TRAIN_DONE);
    assert_int_equal(t.n_kind[VECQ_TRAIN_STEP], 20);
    assert_int_equal(t.n_kind[VECQ_TRAIN_EVALUATED], 1 + 3 + 1); /* before, at 5, 10 and 15, at the end */
    assert_int_equal(t.n_kind[VECQ_TRAIN_CHECKPOINT], 2);
    assert_int_equal(t.n_kind[VECQ_TRAIN_MESSAGE], 1);
    assert_int_equal(t.n_kind[VECQ_TRAIN_WARNING], 0);
    for (i = 1; i < t.n; i++)
        assert_true(t.steps[i] >= t.steps[i - 1]);
    for (i = at = 0; i < t.n; i++)
        if (t.steps[i] == 10) {
            static const vecq_train_event_kind order[] = {VECQ_TRAIN_STEP, VECQ_TRAIN_EVALUATED,
                                                          VECQ_TRAIN_CHECKPOINT, VECQ_TRAIN_MESSAGE};

            assert_true(at < 4 && t.kinds[i] == order[at++]);
        }
    assert_int_equal(at, 4);
    assert_string_equal(t.texts[1], "test before training");
    assert_true(r.start_accuracy > 0 && r.steps == 20);
    assert_true(access("events.jsonl", R_OK) == 0);
}

static void test_holdout(void **state)
{
    vecq_train_result r;
    size_t i;
    tale t;

    (void)state;
    t = tell(SETTINGS("model.network=lenet-300-100", "train.epochs=3", "data.holdout=60", "train.keep=best"),
             NULL, NULL, &r);
    assert_int_equal(t.n_kind[VECQ_TRAIN_STEP], 24); /* 240 samples are left */
    for (i = 0; i < t.n; i++)                        /* the test data only at the end */
        if (t.kinds[i] == VECQ_TRAIN_EVALUATED)
            assert_string_equal(t.texts[i], i + 2 < t.n ? "held back" : "test");
    assert_int_equal(t.n_kind[VECQ_TRAIN_MESSAGE], 1);
    assert_true(r.holdout_accuracy > 0.8 && r.test_accuracy > 0.8);
}

/* The best weights are those that are judged: at a rate that destroys them, later ones are worse. */
static void test_keep_best(void **state)
{
    const char *const settings[] = {
        "model.network=lenet-300-100", "data.holdout=60", "train.epochs=6",
        "train.eval_every=2 steps",    "optimizer.lr=3",  "train.clip_grad_norm=5",
        "schedule.name=constant",      "train.keep=last", NULL};
    const char *best[9];
    vecq_train_result last, kept;

    (void)state;
    memcpy(best, settings, sizeof best);
    best[7] = "train.keep=best";
    last = tiny_ok(settings, "last.ckpt", 0);
    kept = tiny_ok(best, "best.ckpt", 0);
    assert_true(kept.holdout_accuracy >= last.holdout_accuracy);
    assert_true(has_entry("best.ckpt", "best/accuracy") && !has_entry("last.ckpt", "best/accuracy"));
    assert_true(kept.holdout_accuracy > 0.4);
}

static int stop_at_seven(void *context, const vecq_train_event *e)
{
    (void)context;
    return e->kind == VECQ_TRAIN_STEP && e->step == 7;
}

static void test_interrupt(void **state)
{
    vecq_train_options options = tiny_options("stopped.ckpt", 0);
    vecq_error err = VECQ_ERROR_INIT;
    vecq_train_result r;

    (void)state;
    options.event = stop_at_seven; /* once: it need not insist */
    assert_int_equal(tiny_run(SETTINGS("model.network=lenet-300-100", "train.epochs=2"), &options, &r, &err),
                     VECQ_ERR_CANCELLED);
    assert_error(&err, VECQ_ERR_CANCELLED, "after step 7", "--resume");
    assert_int_equal(r.steps, 7);
    assert_true(access("stopped.ckpt", R_OK) == 0);
    options.checkpoint = NULL;
    memset(&err, 0, sizeof err);
    assert_int_equal(tiny_run(SETTINGS("model.network=lenet-300-100", "train.epochs=2"), &options, &r, &err),
                     VECQ_ERR_CANCELLED);
    assert_null(strstr(err.message, "--resume"));
}

/* ---- what ends it ---- */

static void test_diverges(void **state)
{
    vecq_error err;

    (void)state;
    err = tiny_fails(SETTINGS("model.network=lenet-300-100", "optimizer.lr=1000", "train.clip_grad_norm=0",
                              "train.epochs=5", "schedule.name=constant", "data.scale=1e9"),
                     "nan.ckpt", 0, VECQ_ERR_VALUE);
    assert_error(&err, VECQ_ERR_VALUE, "step ", "the loss is ");
    assert_error(&err, VECQ_ERR_VALUE, "the result of ", "optimizer.lr");
    /* With clipping the gradient is looked at first. */
    err = tiny_fails(SETTINGS("model.network=lenet-300-100", "optimizer.lr=1000", "train.clip_grad_norm=0",
                              "train.epochs=5", "schedule.name=constant", "train.clip_grad_norm=1e9",
                              "data.scale=1e9"),
                     NULL, 0, VECQ_ERR_VALUE);
    assert_error(&err, VECQ_ERR_VALUE, "step ", "optimizer.lr");
}

static void test_no_gradient(void **state)
{
    vecq_error err = tiny_fails(SETTINGS("model.file=round.onnx"), "never.ckpt", 0, VECQ_ERR_UNSUPPORTED);

    (void)state;
    assert_error(&err, VECQ_ERR_UNSUPPORTED, "Sign", NULL);
    assert_int_not_equal(access("never.ckpt", F_OK), 0);
}

static void test_refused(void **state)
{
    static const struct {
        const char *settings[4], *words[2];
        vecq_status status;
    } rows[] = {
        {{"model.network=nothing"}, {"nothing", "--networks"}, VECQ_ERR_VALUE},
        {{"model.file=missing.onnx"}, {"missing.onnx", "open"}, VECQ_ERR_IO},
        {{"model.file=plain.onnx", "data.train=idx:nowhere"}, {"nowhere", NULL}, VECQ_ERR_IO},
        {{"model.file=plain.onnx", "data.height=9", "data.width=9"}, {"'images'", "?x1x8x8"}, VECQ_ERR_VALUE},
        {{"model.network=lenet-300-100", "data.test=idx:other"}, {"idx:other", "9x9"}, VECQ_ERR_VALUE},
        {{"model.file=plain.onnx", "model.input=x"}, {"no input 'x'", "plain.onnx"}, VECQ_ERR_VALUE},
        {{"model.file=plain.onnx", "model.output=x"}, {"no value 'x'", "model.output"}, VECQ_ERR_VALUE},
        {{"model.file=plain.onnx", "train.loss=bce"}, {"bce needs one logit", NULL}, VECQ_ERR_VALUE},
        {{"model.file=plain.onnx", "train.batch=301"}, {"301", "300"}, VECQ_ERR_VALUE},
        {{"model.network=lenet-300-100", "model.classes=2"}, {"2 classes", "3"}, VECQ_ERR_VALUE},
        {{"model.network=lenet-300-100", "data.classes=a,b"}, {"data.classes", "3 classes"}, VECQ_ERR_VALUE},
        {{"model.network=lenet-300-100", "precision=bf16", "backend=auto"},
         {"bf16", NULL},
         VECQ_ERR_UNSUPPORTED},
        {{"model.file=plain.onnx", "quantize.bits=2", "quantize.include=zzz"},
         {"no weight is selected", NULL},
         VECQ_ERR_VALUE},
        {{"model.network=imdb-cnn-lstm"}, {"takes texts", "images"}, VECQ_ERR_VALUE},
        {{"model.network=lenet-300-100", "data.mean=1,2"}, {"data.mean", "1 channels"}, VECQ_ERR_VALUE},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *settings[4] = {rows[i].settings[0], rows[i].settings[1], rows[i].settings[2]};
        vecq_error err = VECQ_ERROR_INIT;
        vecq_train_options options = tiny_options("refused.ckpt", 0);

        if (tiny_run(settings, &options, NULL, &err) == VECQ_OK)
            fail_msg("%s %s is not refused", settings[0], settings[1]);
        assert_error(&err, rows[i].status, rows[i].words[0], rows[i].words[1]);
        assert_int_not_equal(access("refused.ckpt", F_OK), 0);
    }
}

/* Files that cannot be, before any step. */
static void test_places(void **state)
{
    static const struct {
        const char *output, *checkpoint, *log, *word;
    } rows[] = {{"nowhere/a.onnx", NULL, NULL, "nowhere"},   {"plain.onnx", NULL, NULL, "is an input"},
                {"./plain.onnx", NULL, NULL, "is an input"}, {NULL, "teacher.onnx", NULL, "is an input"},
                {"a.onnx", "a.onnx", NULL, "checkpoints"},   {"a.onnx", "b.onnx", "b.onnx", "the log"},
                {NULL, NULL, "nowhere/log", "nowhere"}};
    size_t i;

    (void)state;
    tiny_model("teacher.onnx", TINY_PLAIN, 8);
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        vecq_train_options options = tiny_options(rows[i].checkpoint, 0);
        vecq_error err = VECQ_ERROR_INIT;
        tale t = {0};

        options.output = rows[i].output;
        options.log = rows[i].log;
        options.event = listen;
        options.event_context = &t;
        if (tiny_run(SETTINGS("model.file=plain.onnx", "distill.teacher=teacher.onnx"), &options, NULL,
                     &err) == VECQ_OK)
            fail_msg("%s is not refused", rows[i].word);
        assert_error(&err, err.status, rows[i].word, NULL);
        assert_int_equal(t.n, 0);
        assert_int_not_equal(access("a.onnx", F_OK), 0);
    }
}

static void test_checkpoint_cannot_be_written(void **state)
{
    vecq_train_result r;
    tale t;

    (void)state;
    put_file("file", "x", 1);
    t = tell(SETTINGS("model.network=lenet-300-100", "train.epochs=2"), "file/a.ckpt", NULL, &r);
    assert_int_equal(t.n_kind[VECQ_TRAIN_WARNING], 2); /* for each attempt */
    assert_int_equal(t.n_kind[VECQ_TRAIN_CHECKPOINT], 0);
    assert_true(r.test_accuracy > 0.8 && r.steps == 20);
}

/* A disk that fills up: the log goes silent after a warning, the run goes on, the old checkpoint stays. */
static void test_full_disk(void **state)
{
    const char *const settings[] = {"model.network=lenet-300-100", "train.epochs=2", NULL};
    struct rlimit old, small;
    vecq_train_result r;
    tale t;

    (void)state;
    tiny_ok(settings, "disk.ckpt", 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 5000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    t = tell(settings, "disk.ckpt", "disk.jsonl", &r);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(t.n_kind[VECQ_TRAIN_WARNING], 3); /* two checkpoints, one log */
    assert_true(r.test_accuracy > 0.8);
    tiny_ok(settings, "disk.ckpt", 1); /* finished, whole */
}

/* ---- the file ---- */

/* What is written is what was evaluated: loaded again, and by an evaluation that knows nothing but the file.
 */
static void test_file(void **state)
{
    static const char *const ways[][6] = {
        {"quantize.bits=0"},
        {"quantize.bits=3", "data.mean=0.4", "data.std=0.3"},
        {"quantize.bits=2", "quantize.act_bits=4", "data.normalize=measured"},
        {"quantize.bits=4", "quantize.lsq=true", "average.ema=0.9"},
        {"quantize.bits=3", "quantize.lambda=search", "quantize.biases=true", "data.scale=1/128"},
        {"quantize.bits=4", "quantize.format=qdq", "train.bn_reestimate=5", "average.swa=1"},
        {"quantize.bits=3", "data.holdout=60", "train.keep=best", "train.eval_every=3 steps",
         "average.ema=0.8"},
    };
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof ways / sizeof *ways; i++) {
        const char *settings[10] = {"model.file=norm.onnx", "train.epochs=2", "data.workers=0"};
        vecq_train_options options = tiny_options(NULL, 0);
        vecq_error err = VECQ_ERROR_INIT;
        vecq_recipe *plain;
        vecq_train_result r;
        vecq_eval_result *e;

        for (k = 0; k < 6; k++)
            settings[3 + k] = ways[i][k];
        options.output = "out.onnx";
        assert_ok(tiny_run(settings, &options, &r, &err), &err);
        if (r.file_accuracy != r.test_accuracy || r.file_bytes == 0)
            fail_msg("%s: the file has %g, not %g", ways[i][0], r.file_accuracy, r.test_accuracy);
        plain = tiny_recipe(SETTINGS("threads=1"));
        assert_ok(vecq_evaluate("out.onnx", plain, NULL, &e, &err), &err);
        if (e->accuracy != r.test_accuracy || fabs(e->loss - r.test_loss) > 1e-5 * (1 + r.test_loss))
            fail_msg("%s: evaluated %g, loss %g, not %g, %g", ways[i][0], e->accuracy, e->loss,
                     r.test_accuracy, r.test_loss);
        vecq_eval_result_free(e);
        vecq_recipe_free(plain);
    }
}

/* ---- memory ---- */

static vecq_status small_run(void *context, vecq_error *err)
{
    const char *const *settings = context;
    vecq_train_options options = tiny_options("small.ckpt", 0);
    vecq_recipe *recipe;
    vecq_status status = vecq_recipe_create(&recipe, err);
    size_t i;

    options.log = "small.jsonl";
    options.output = "small.onnx";
    for (i = 0; settings[i] != NULL && status == VECQ_OK; i++)
        status = vecq_recipe_set(recipe, settings[i], err);
    if (status == VECQ_OK)
        status = vecq_train(recipe, &options, NULL, err);
    vecq_recipe_free(recipe);
    return status;
}

static void test_memory(void **state)
{
    const char *const rich[] = {"model.file=norm.onnx",
                                "data.train=idx:few",
                                "train.batch=3",
                                "threads=1",
                                "backend=ref",
                                "data.workers=0",
                                "data.holdout=3",
                                "train.keep=best",
                                "train.epochs=1",
                                "train.eval_every=2 steps",
                                "quantize.bits=2",
                                "quantize.gradual=[3@0, 2@0.67]",
                                "quantize.act_bits=4",
                                "quantize.lsq=true",
                                "average.ema=0.5",
                                "optimizer.name=adam",
                                "distill.teacher=self",
                                "train.bn_reestimate=1",
                                "train.checkpoint_every=2 steps",
                                NULL};
    size_t n;

    (void)state;
    n = vecq_fail_every_alloc(small_run, (void *)(uintptr_t)rich);
    print_message("%zu allocations\n", n);
    assert_true(n > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_softmax_is_cut),
        cmocka_unit_test(test_distillation),
        cmocka_unit_test(test_batch_norm),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_holdout),
        cmocka_unit_test(test_keep_best),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_diverges),
        cmocka_unit_test(test_no_gradient),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_checkpoint_cannot_be_written),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, set_up, temp_folder_leave);
}
