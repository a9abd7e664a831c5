/* SPDX-License-Identifier: Apache-2.0 */
/* Training runs of a fraction of a second: data of three classes of 8 x 8 pixels, models of a few nodes. */
#ifndef VECQ_TEST_TINY_TRAINING_H
#define VECQ_TEST_TINY_TRAINING_H

#include "onnx_model.h"
#include "train/checkpoint.h"
#include "unit/base/temp_folder.h"
#include "vecq/train.h"

/* ---- data ---- */

static inline void tiny_u32(FILE *f, uint32_t x)
{
    fputc((int)(x >> 24), f);
    fputc((int)(x >> 16 & 255), f);
    fputc((int)(x >> 8 & 255), f);
    fputc((int)(x & 255), f);
}

/* Class c has bright rows 3c .. 3c + 2, in noise that hides no class: 16 pixels for each bit of contrast. */
static inline void tiny_part(const char *folder, const char *part, unsigned n, unsigned side)
{
    uint32_t noise = (uint32_t)n * 2654435761u + 12345;
    char path[300];
    unsigned i, p;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte", folder, part);
    f = fopen(path, "wb");
    assert_non_null(f);
    tiny_u32(f, 0x803);
    tiny_u32(f, n);
    tiny_u32(f, side);
    tiny_u32(f, side);
    for (i = 0; i < n; i++)
        for (p = 0; p < side * side; p++) {
            noise = noise * 1664525u + 1013904223u;
            fputc((int)((p / side * 3 / side == i % 3 ? 130 : 60) + (noise >> 24) % 100), f);
        }
    assert_int_equal(fclose(f), 0);
    snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte", folder, part);
    f = fopen(path, "wb");
    assert_non_null(f);
    tiny_u32(f, 0x801);
    tiny_u32(f, n);
    for (i = 0; i < n; i++)
        fputc((int)(i % 3), f);
    assert_int_equal(fclose(f), 0);
}

static inline void tiny_data(const char *folder, unsigned n_train, unsigned n_test, unsigned side)
{
    assert_int_equal(mkdir(folder, 0700), 0);
    tiny_part(folder, "train", n_train, side);
    tiny_part(folder, "t10k", n_test, side);
}

/* ---- models ---- */

/* A matrix of small numbers. */
static inline void tiny_matrix(model_build *b, const char *name, int64_t rows, int64_t cols)
{
    int64_t dims[2] = {rows, cols};
    size_t n = (size_t)(rows * cols), i;
    float *values = calloc(n, sizeof *values);

    assert_non_null(values);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_GAUSSIAN, 0, 3 + (uint64_t)rows, n, values), VECQ_OK);
    for (i = 0; i < n; i++)
        values[i] *= 0.15f;
    model_tensor(b, name, VECQ_DT_FLOAT, rows == 1 ? 1 : 2, rows == 1 ? dims + 1 : dims, values,
                 n * sizeof *values);
    free(values);
}

static inline void tiny_constant(model_build *b, const char *name, int64_t n, float value)
{
    float values[64];
    int64_t i;

    for (i = 0; i < n; i++)
        values[i] = value;
    model_tensor(b, name, VECQ_DT_FLOAT, 1, &n, values, (size_t)n * sizeof *values);
}

typedef enum tiny_kind { TINY_PLAIN, TINY_NORM, TINY_SOFTMAX, TINY_ROUND, TINY_LSTM } tiny_kind;

/* images[N,1,8,8] -> Flatten -> Gemm(w1) [-> BatchNormalization] -> Relu -> Gemm(w2) [-> Softmax] -> out */
static inline void tiny_model(const char *path, tiny_kind kind, int64_t hidden)
{
    const int64_t in[4] = {-1, 1, 8, 8}, out[2] = {-1, 3};
    const char *last = "f";
    model_build b;

    model_begin(&b, 8, 17);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "images", VECQ_DT_FLOAT, 4, in);
    tiny_matrix(&b, "w1", 64, hidden);
    tiny_matrix(&b, "b1", 1, hidden);
    tiny_matrix(&b, "w2", hidden, 3);
    tiny_matrix(&b, "b2", 1, 3);
    model_node(&b, "Flatten", "images", "f");
    if (kind == TINY_ROUND) {
        model_node(&b, "Round", "f", "rounded");
        last = "rounded";
    }
    model_node(&b, "Gemm", kind == TINY_ROUND ? "rounded w1 b1" : "f w1 b1", "h");
    last = "h";
    if (kind == TINY_ROUND) {
        model_node(&b, "Sign", "h", "sign");
        last = "sign";
    }
    if (kind == TINY_NORM) {
        tiny_constant(&b, "gamma", hidden, 1);
        tiny_constant(&b, "beta", hidden, 0);
        tiny_constant(&b, "mean", hidden, 0);
        tiny_constant(&b, "var", hidden, 1);
        model_node(&b, "BatchNormalization", "h gamma beta mean var", "n");
        last = "n";
    }
    model_node(&b, "Relu", last, "r");
    model_node(&b, "Gemm", "r w2 b2", kind == TINY_SOFTMAX ? "logits" : "out");
    if (kind == TINY_SOFTMAX)
        model_node(&b, "Softmax", "logits", "out");
    model_formal_of(&b, ONNX_GRAPH_OUTPUT, "out", VECQ_DT_FLOAT, 2, out);
    model_file(&b, path);
}

/* ---- runs ---- */

/* A recipe of these settings (NULL ends them) on top of what all tests have. */
static inline vecq_recipe *tiny_recipe(const char *const *settings)
{
    static const char *const base[] = {
        "data.train=idx:data",    "train.batch=30",    "threads=1", "backend=ref",
        "train.log_every=1 step", "optimizer.lr=0.05", NULL};
    const char *const *lists[2] = {base, settings};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_recipe *recipe;
    size_t i, k;

    assert_ok(vecq_recipe_create(&recipe, &err), &err);
    for (k = 0; k < 2; k++)
        for (i = 0; lists[k][i] != NULL; i++)
            assert_ok(vecq_recipe_set(recipe, lists[k][i], &err), &err);
    return recipe;
}

static inline vecq_train_options tiny_options(const char *checkpoint, int resume)
{
    vecq_train_options options;

    vecq_train_options_default(&options);
    options.checkpoint = checkpoint;
    options.resume = resume;
    return options;
}

static inline vecq_status tiny_run(const char *const *settings, const vecq_train_options *options,
                                   vecq_train_result *result, vecq_error *err)
{
    vecq_recipe *recipe = tiny_recipe(settings);
    vecq_status status = vecq_train(recipe, options, result, err);

    vecq_recipe_free(recipe);
    return status;
}

static inline vecq_train_result tiny_ok(const char *const *settings, const char *checkpoint, int resume)
{
    vecq_train_options options = tiny_options(checkpoint, resume);
    vecq_error err = VECQ_ERROR_INIT;
    vecq_train_result result;

    assert_ok(tiny_run(settings, &options, &result, &err), &err);
    return result;
}

static inline vecq_error tiny_fails(const char *const *settings, const char *checkpoint, int resume,
                                    vecq_status status)
{
    vecq_train_options options = tiny_options(checkpoint, resume);
    vecq_error err = VECQ_ERROR_INIT;
    vecq_train_result result;

    if (tiny_run(settings, &options, &result, &err) == VECQ_OK)
        fail_msg("the run should have failed");
    assert_error(&err, status, NULL, NULL);
    return err;
}

/* ---- checkpoints ---- */

static inline vecq_checkpoint *tiny_checkpoint(const char *path)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint *c;

    assert_ok(vecq_checkpoint_open(path, &c, &err), &err);
    return c;
}

/* Non-zero when all entries but the recipe (which has the number of threads in it) are the same, bit by bit.
 */
static inline int tiny_is_same(const char *path_a, const char *path_b)
{
    vecq_checkpoint *a = tiny_checkpoint(path_a), *b = tiny_checkpoint(path_b);
    int same = vecq_checkpoint_count(a) == vecq_checkpoint_count(b);
    size_t i;

    for (i = 0; i < vecq_checkpoint_count(a) && same; i++) {
        const vecq_checkpoint_entry *x = vecq_checkpoint_at(a, i), *y = vecq_checkpoint_find(b, x->name);
        size_t size = x->type == VECQ_CHECKPOINT_F32 ? 4 : x->type == VECQ_CHECKPOINT_TEXT ? 1 : 8;

        if (strcmp(x->name, "recipe") == 0)
            continue;
        same = y != NULL && x->type == y->type && x->count == y->count &&
               memcmp(x->data, y->data, x->count * size) == 0;
        if (!same)
            print_message("'%s' differs\n", x->name);
    }
    vecq_checkpoint_close(a);
    vecq_checkpoint_close(b);
    return same;
}

#endif
