/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks, confusion and agreement against counts by hand. */
#include "vecq_test.h"

#include <math.h>

#include "eval/tally.h"

static void test_ranks_and_confusion(void **state)
{
    const float z[5 * 3] = {3, 2, 1, /**/ 1, 2, 3, /**/ 5, 5, 5, /**/ 1, NAN, 2, /**/ 0, 1, 2};
    const int32_t labels[5] = {0, 1, 2, 0, -1};
    const uint64_t expected[9] = {1, 0, 0, 0, 0, 1, 1, 0, 0};
    vecq_tally t = {.n_top = 3, .top = {1, 2, 7}};
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_ok(vecq_tally_create(&t, 3, 1, &err), &err);
    vecq_tally_add(&t, z, labels, 5, 3);
    assert_true(t.hits[0] == 2 && t.hits[1] == 3 && t.hits[2] == 3); /* of equal logits none is larger */
    assert_memory_equal(t.confusion, expected, sizeof expected);
    vecq_tally_clear(&t);
    assert_null(t.confusion);
}

static void test_one_logit(void **state)
{
    const float z[4] = {1, -1, 0, 2};
    const int32_t labels[4] = {1, 1, 0, 0};
    const uint64_t expected[4] = {1, 1, 1, 1};
    vecq_tally t = {.n_top = 2, .top = {1, 2}};
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_ok(vecq_tally_create(&t, 1, 1, &err), &err);
    assert_int_equal(t.classes, 2);
    vecq_tally_add(&t, z, labels, 4, 1);
    assert_memory_equal(t.confusion, expected, sizeof expected);
    assert_true(t.hits[0] == 2 && t.hits[1] == 4);
    vecq_tally_clear(&t);
}

static void test_too_many_classes(void **state)
{
    vecq_tally t = {.n_top = 0};
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_int_equal(vecq_tally_create(&t, VECQ_TALLY_CLASSES_MAX + 1, 1, &err), VECQ_ERR_UNSUPPORTED);
    vecq_tally_clear(&t);
    assert_ok(vecq_tally_create(&t, VECQ_TALLY_CLASSES_MAX + 1, 0, &err), &err);
    vecq_tally_clear(&t);
}

static void test_agreement(void **state)
{
    const float a[6 * 2] = {2, 1, /**/ 2, 1, /**/ 1, 2, /**/ 1, 2, /**/ INFINITY, 0, /**/ 1, 0};
    const float b[6 * 2] = {2, 1, /**/ 1, 1.5f, /**/ 4, 2, /**/ 1, 3, /**/ 1, 0, /**/ 1, 0};
    const int32_t labels[6] = {0, 0, 0, 0, 0, -1};
    vecq_agreement g = {0};

    (void)state;
    vecq_agreement_add(&g, a, b, labels, 6, 2);
    assert_true(g.n == 5 && g.same == 3 && g.values == 10);
    assert_true(g.both_right == 1 && g.first_right == 1 && g.second_right == 1 && g.none_right == 1);
    assert_float_equal(g.sum_abs, 1 + 0.5 + 3 + 1, 1e-12);
    assert_float_equal(g.max_abs, 3, 0);
    assert_float_equal(g.sum_squares, 1 + 0.25 + 9 + 1, 1e-12);
    assert_float_equal(g.second_squares, 5 + 3.25 + 20 + 10 + 1, 1e-12);
}

/* 2 * P(X <= less) for a binomial of n and 1/2, from the table of binomial coefficients. */
static void test_p(void **state)
{
    vecq_agreement g = {0};

    (void)state;
    assert_float_equal(vecq_agreement_p(&g), 1, 1e-12);
    g.second_right = 3;
    assert_float_equal(vecq_agreement_p(&g), 2.0 / 8, 1e-12);
    g.first_right = 1;
    g.second_right = 9;
    assert_float_equal(vecq_agreement_p(&g), 2.0 * 11 / 1024, 1e-12);
    g.first_right = g.second_right = 5;
    assert_float_equal(vecq_agreement_p(&g), 1, 1e-12);
    g.first_right = 100000;
    g.second_right = 101000;
    assert_float_equal(vecq_agreement_p(&g), 0.0258, 2e-4); /* 1000 / sqrt(201000) is 2.23 deviations */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_and_confusion),
        cmocka_unit_test(test_one_logit),
        cmocka_unit_test(test_too_many_classes),
        cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_p),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
