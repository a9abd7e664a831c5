/* SPDX-License-Identifier: Apache-2.0 */
/* The recipes that come with the program: each is sound, is what its comments say, and is listed. */
#include "vecq_test.h"

#include <dirent.h>

#include "base/alloc.h"
#include "train/recipe.h"
#include "zoo/zoo.h"

#define FOLDER VECQ_SOURCE_DIR "/recipes"

/* Content of a text file, from malloc(). */
static char *text_of(const char *path)
{
    size_t size = 1 << 18, n;
    char *text = malloc(size);
    FILE *f = fopen(path, "rb");

    assert_non_null(text);
    if (f == NULL)
        fail_msg("%s is missing", path);
    n = fread(text, 1, size - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

/* Calls `check` for every recipe; returns their number. */
static size_t each(void (*check)(const char *file, const char *path, const vecq_recipe *recipe,
                                 void *context),
                   void *context)
{
    DIR *folder = opendir(FOLDER);
    struct dirent *entry;
    size_t n = 0;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        const char *end = strrchr(entry->d_name, '.');
        vecq_recipe recipe;
        vecq_error err = VECQ_ERROR_INIT;
        char path[512];

        if (end == NULL || strcmp(end, ".yaml") != 0)
            continue;
        snprintf(path, sizeof path, FOLDER "/%s", entry->d_name);
        assert_ok(vecq_recipe_load(path, &recipe, &err), &err);
        check(entry->d_name, path, &recipe, context);
        vecq_recipe_clear(&recipe);
        n++;
    }
    closedir(folder);
    return n;
}

static void check_sound(const char *file, const char *path, const vecq_recipe *r, void *context)
{
    vecq_error err = VECQ_ERROR_INIT;

    (void)path;
    (void)context;
    if (vecq_recipe_check(r, &err) != VECQ_OK)
        fail_msg("%s: %s", file, err.message);
    if (r->model.network != NULL && vecq_zoo_find(r->model.network) == NULL)
        fail_msg("%s: no network '%s'", file, r->model.network);
    assert_non_null(r->data.train);
}

static void test_sound(void **state)
{
    (void)state;
    assert_true(each(check_sound, NULL) >= vecq_zoo_count());
}

/* Float and every width, with activations too, from every recipe. */
static void check_settings(const char *file, const char *path, const vecq_recipe *r, void *context)
{
    static const char *const settings[] = {"quantize.bits=0", "quantize.bits=1", "quantize.bits=8",
                                           "quantize.act_bits=8", "data.train=idx:elsewhere"};
    size_t i;

    (void)r;
    (void)context;
    for (i = 0; i < sizeof settings / sizeof *settings; i++) {
        vecq_recipe changed;
        vecq_error err = VECQ_ERROR_INIT;

        assert_ok(vecq_recipe_load(path, &changed, &err), &err);
        if (vecq_recipe_set(&changed, settings[i], &err) != VECQ_OK ||
            vecq_recipe_check(&changed, &err) != VECQ_OK)
            fail_msg("%s with %s: %s", file, settings[i], err.message);
        vecq_recipe_clear(&changed);
    }
}

static void test_settings(void **state)
{
    (void)state;
    each(check_settings, NULL);
}

static void check_listed(const char *file, const char *path, const vecq_recipe *r, void *context)
{
    char *text = text_of(path), command[256], row[256];

    (void)r;
    snprintf(row, sizeof row, "`%s`", file);
    if (strstr(context, row) == NULL)
        fail_msg("recipes/README.md does not list %s", file);
    snprintf(command, sizeof command, "vecq train recipes/%s ", file);
    if (strstr(text, command) == NULL)
        fail_msg("%s does not show '%s'", file, command);
    free(text);
}

static void test_listed(void **state)
{
    char *list = text_of(FOLDER "/README.md");

    (void)state;
    each(check_listed, list);
    free(list);
}

static void mark_network(const char *file, const char *path, const vecq_recipe *r, void *context)
{
    int *marks = context;
    size_t i;

    (void)file;
    (void)path;
    for (i = 0; i < vecq_zoo_count(); i++)
        marks[i] |= r->model.network != NULL && strcmp(vecq_zoo_at(i)->name, r->model.network) == 0;
}

static void test_every_network(void **state)
{
    int marks[64] = {0};
    size_t i;

    (void)state;
    assert_true(vecq_zoo_count() <= 64);
    each(mark_network, marks);
    for (i = 0; i < vecq_zoo_count(); i++)
        if (!marks[i])
            fail_msg("no recipe trains '%s'", vecq_zoo_at(i)->name);
}

/* What the paper says, in numbers. */
static void test_paper(void **state)
{
    static const struct {
        const char *file, *network;
        unsigned batch;
        double epochs, first, second;
        unsigned pad;
        int flip;
    } papers[] = {{"lenet5-mnist-paper.yaml", "lenet5", 200, 55, 35, 50, 0, 0},
                  {"vgg-cifar10-paper.yaml", "vgg-like", 128, 300, 250, 290, 4, 1}};
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        vecq_recipe r;
        vecq_error err = VECQ_ERROR_INIT;
        char path[512];

        snprintf(path, sizeof path, FOLDER "/%s", papers[i].file);
        assert_ok(vecq_recipe_load(path, &r, &err), &err);
        assert_string_equal(r.model.network, papers[i].network);
        assert_int_equal(r.train.batch, papers[i].batch);
        assert_true(r.train.epochs == papers[i].epochs && r.optimizer.lr == 0.01);
        assert_int_equal(r.schedule.name, VECQ_RECIPE_STEP);
        assert_int_equal(r.schedule.milestones.n, 2);
        assert_true(r.schedule.milestones.items[0] == papers[i].first);
        assert_true(r.schedule.milestones.items[1] == papers[i].second && r.schedule.gamma == 0.1);
        assert_int_equal(r.augment.pad, papers[i].pad);
        assert_int_equal(r.augment.flip, papers[i].flip);
        assert_int_equal(r.quantize.granularity.kind, VECQ_PER_TENSOR);
        assert_int_equal(r.quantize.lambda, VECQ_LAMBDA_TABLE);
        assert_true(r.quantize.biases && r.quantize.layers.n == 0 && r.quantize.exclude.n == 0);
        vecq_recipe_clear(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),         cmocka_unit_test(test_settings), cmocka_unit_test(test_listed),
        cmocka_unit_test(test_every_network), cmocka_unit_test(test_paper),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
