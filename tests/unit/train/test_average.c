/* SPDX-License-Identifier: Apache-2.0 */
/* Averages of weights: values in closed form, ages, what checkpoints keep. */
#include "vecq_test.h"

#include <math.h>

#include "base/status.h"
#include "fail_alloc.h"
#include "train/average.h"
#include "unit/base/temp_folder.h"

typedef struct bench {
    vecq_store store;
    vecq_stored *items[3];
} bench;

static vecq_status bench_open(bench *b, vecq_error *err)
{
    static const char *const names[3] = {"w", "b", "late"};
    static const int64_t counts[3] = {5, 2, 3};
    size_t i;

    memset(b, 0, sizeof *b);
    for (i = 0; i < 3; i++) {
        vecq_tensor tensor;

        VECQ_TRY(vecq_tensor_create(VECQ_DT_FLOAT, 1, &counts[i], &tensor, err));
        memset(tensor.data, 0, tensor.n_bytes);
        VECQ_TRY(vecq_store_add(&b->store, names[i], NULL, &tensor, &b->items[i], err));
    }
    return VECQ_OK;
}

static void fill(bench *b, size_t item, double value)
{
    size_t i;

    for (i = 0; i < b->items[item]->tensor.count; i++)
        ((float *)b->items[item]->tensor.data)[i] = (float)(value + (double)i);
}

static double first(const bench *b, size_t item)
{
    return (double)((const float *)b->items[item]->tensor.data)[0];
}

static void test_plain(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_average a;
    double sum = 0;
    bench b;
    int i;

    (void)state;
    assert_ok(bench_open(&b, &err), &err);
    vecq_average_begin(&a, 0);
    assert_ok(vecq_average_follow(&a, b.items, 2, &err), &err);
    fill(&b, 0, 7);
    vecq_average_swap(&a); /* before the first update: nothing */
    assert_true(first(&b, 0) == 7);
    vecq_average_swap(&a);
    for (i = 1; i <= 10; i++) {
        fill(&b, 0, i * i);
        sum += i * i;
        vecq_average_update(&a);
    }
    vecq_average_swap(&a);
    assert_true(a.is_swapped);
    assert_true(fabs(first(&b, 0) - sum / 10) < 1e-5 * sum);
    assert_true(first(&b, 1) == 0);
    vecq_average_swap(&a);
    assert_false(a.is_swapped);
    assert_true(first(&b, 0) == 100);
    vecq_average_clear(&a);
    vecq_store_clear(&b.store);
}

static void test_exponential(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    double expected = 1;
    vecq_average a;
    bench b;
    int i;

    (void)state;
    assert_ok(bench_open(&b, &err), &err);
    vecq_average_begin(&a, 0.75);
    assert_ok(vecq_average_follow(&a, b.items, 2, &err), &err);
    for (i = 1; i <= 6; i++) {
        fill(&b, 0, i);
        vecq_average_update(&a);
        expected = i == 1 ? 1 : 0.75 * expected + 0.25 * i; /* the first is taken as it is */
    }
    vecq_average_swap(&a);
    assert_true(fabs(first(&b, 0) - expected) < 1e-6);
    /* Swapped for good: the memory changes hands, and both parts release what they then have. */
    vecq_average_clear(&a);
    assert_true(fabs(first(&b, 0) - expected) < 1e-6);
    vecq_store_clear(&b.store);
}

/* A parameter that comes later is averaged over its own time. */
static void test_late(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_average a;
    bench b;

    (void)state;
    assert_ok(bench_open(&b, &err), &err);
    vecq_average_begin(&a, 0);
    assert_ok(vecq_average_follow(&a, b.items, 2, &err), &err);
    fill(&b, 0, 10);
    vecq_average_update(&a);
    fill(&b, 0, 20);
    vecq_average_update(&a);
    assert_ok(vecq_average_follow(&a, b.items, 3, &err), &err); /* two of them again */
    assert_int_equal(a.n, 3);
    fill(&b, 2, 5);
    vecq_average_swap(&a); /* the new one has no average: it stays */
    assert_true(first(&b, 0) == 15 && first(&b, 2) == 5);
    vecq_average_swap(&a);
    vecq_average_update(&a);
    fill(&b, 2, 6);
    fill(&b, 0, 40);
    vecq_average_update(&a);
    vecq_average_swap(&a);
    assert_true(fabs(first(&b, 0) - 22.5) < 1e-5);
    assert_true(fabs(first(&b, 2) - 5.5) < 1e-6);
    vecq_average_clear(&a);
    vecq_store_clear(&b.store);
}

static void save(const vecq_average *a, const char *path)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_checkpoint_writer *w;

    assert_ok(vecq_checkpoint_create(path, &w, &err), &err);
    assert_ok(vecq_average_save(a, w, &err), &err);
    assert_ok(vecq_checkpoint_commit(w, &err), &err);
}

static void test_checkpoint(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_average a, again;
    vecq_checkpoint *c;
    bench b;
    int i;

    (void)state;
    assert_ok(bench_open(&b, &err), &err);
    vecq_average_begin(&a, 0);
    vecq_average_begin(&again, 0);
    assert_ok(vecq_average_follow(&a, b.items, 2, &err), &err);
    save(&a, "empty"); /* no update yet */
    fill(&b, 0, 3);
    vecq_average_update(&a);
    assert_ok(vecq_average_follow(&a, b.items + 2, 1, &err), &err);
    save(&a, "some"); /* one has none */
    assert_ok(vecq_average_follow(&again, b.items, 3, &err), &err);
    assert_ok(vecq_checkpoint_open("some", &c, &err), &err);
    assert_ok(vecq_average_load(&again, c, &err), &err);
    vecq_checkpoint_close(c);
    for (i = 0; i < 3; i++) { /* both go on alike */
        fill(&b, 0, 11 * i);
        fill(&b, 2, i);
        vecq_average_update(&a);
        vecq_average_update(&again);
    }
    for (i = 0; i < 3; i++)
        assert_memory_equal(a.shadow[i], again.shadow[i], b.items[i]->tensor.n_bytes);
    assert_memory_equal(a.counts, again.counts, sizeof *a.counts * 3);
    /* of other parameters */
    assert_ok(vecq_checkpoint_open("empty", &c, &err), &err);
    assert_int_equal(vecq_average_load(&again, c, &err), VECQ_ERR_FORMAT);
    assert_non_null(strstr(err.message, "average/counts"));
    vecq_checkpoint_close(c);
    vecq_average_clear(&a);
    vecq_average_clear(&again);
    vecq_store_clear(&b.store);
}

static vecq_status whole_life(void *context, vecq_error *err)
{
    vecq_average a;
    bench b;
    vecq_status status = bench_open(&b, err);

    (void)context;
    vecq_average_begin(&a, 0.5);
    if (status == VECQ_OK)
        status = vecq_average_follow(&a, b.items, 2, err);
    if (status == VECQ_OK) {
        fill(&b, 0, 4);
        vecq_average_update(&a);
        status = vecq_average_follow(&a, b.items, 3, err);
        if (status != VECQ_OK)
            assert_int_equal(a.n, 2); /* as it was, and of use */
        vecq_average_update(&a);
        vecq_average_swap(&a);
    }
    vecq_average_clear(&a);
    vecq_store_clear(&b.store);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(vecq_fail_every_alloc(whole_life, NULL) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),      cmocka_unit_test(test_exponential), cmocka_unit_test(test_late),
        cmocka_unit_test(test_checkpoint), cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, temp_folder_enter, temp_folder_leave);
}
