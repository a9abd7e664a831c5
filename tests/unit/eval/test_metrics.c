/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy and loss against closed forms. */
#include "vecq_test.h"

#include <float.h>
#include <math.h>

#include "eval/metrics.h"

static void near(double is, double expected)
{
    if (!(fabs(is - expected) <= 1e-12 * (1 + fabs(expected))))
        fail_msg("%.17g, not %.17g", is, expected);
}

static void test_nothing(void **state)
{
    vecq_metrics m = {0};

    (void)state;
    vecq_metrics_add(&m, NULL, NULL, 0, 10);
    assert_true(vecq_metrics_accuracy(&m) == 0 && vecq_metrics_top5(&m) == 0);
    assert_true(isnan(vecq_metrics_loss(&m)));
}

/* Equal logits: log of the number of classes; the first of equal ones is the answer. */
static void test_uniform(void **state)
{
    float logits[4 * 7];
    int32_t labels[4] = {0, 3, 6, 0};
    vecq_metrics m = {0};
    size_t i;

    (void)state;
    for (i = 0; i < 28; i++)
        logits[i] = -3.5f;
    vecq_metrics_add(&m, logits, labels, 4, 7);
    near(vecq_metrics_loss(&m), log(7));
    near(vecq_metrics_accuracy(&m), 0.5);
    near(vecq_metrics_top5(&m), 1); /* none is larger */
}

/* Two classes: softmax is the sigmoid of the difference. */
static void test_two_classes(void **state)
{
    float logits[6] = {1, 3, -2, 0.5f, 4, 4.25f};
    int32_t labels[3] = {1, 0, 1};
    vecq_metrics m = {0};

    (void)state;
    vecq_metrics_add(&m, logits, labels, 3, 2);
    near(m.loss_sum, log1p(exp(-2)) + log1p(exp(2.5)) + log1p(exp(-0.25)));
    assert_true(m.n == 3 && m.correct == 2 && m.top5 == 3 && m.n_bad == 0);
}

static void test_binary(void **state)
{
    float logits[6] = {0, 2, -2, 2, -FLT_MAX, FLT_MAX};
    int32_t labels[6] = {1, 1, 1, 0, 0, 1};
    vecq_metrics m = {0};

    (void)state;
    vecq_metrics_add(&m, logits, labels, 6, 1);
    near(m.loss_sum, log(2) + log1p(exp(-2)) + log1p(exp(2)) + log1p(exp(2)) + 0 + 0);
    assert_true(m.n == 6 && m.correct == 3); /* 0 is no */
    m = (vecq_metrics){0};
    labels[0] = 0;
    vecq_metrics_add(&m, logits, labels, 1, 1);
    assert_true(m.correct == 1);
}

/* No overflow: a certain mistake costs the difference of the logits. */
static void test_large(void **state)
{
    float logits[6] = {1e30f, -1e30f, 0, 5e30f, 4e30f, -5e30f};
    int32_t labels[2] = {1, 0};
    vecq_metrics m = {0};

    (void)state;
    vecq_metrics_add(&m, logits, labels, 2, 3);
    near(m.loss_sum, ((double)1e30f + (double)1e30f));
    assert_true(m.correct == 1);
}

static void test_top5(void **state)
{
    float logits[8] = {8, 7, 6, 5, 4, 3, 2, 1};
    int32_t label;

    (void)state;
    for (label = 0; label < 8; label++) {
        vecq_metrics m = {0};

        vecq_metrics_add(&m, logits, &label, 1, 8);
        assert_int_equal(m.top5, label < 5);
        assert_int_equal(m.correct, label == 0);
    }
}

/* What is not finite is wrong, counted, and kept out of the mean; labels that are none are left out. */
static void test_bad(void **state)
{
    float logits[8] = {NAN, 0, INFINITY, 0, 0, 1, 1, 0}, one[3] = {NAN, -INFINITY, 1};
    int32_t labels[4] = {0, 0, 1, -1}, ones[3] = {1, 0, 1}, high = 2;
    vecq_metrics m = {0};

    (void)state;
    vecq_metrics_add(&m, logits, labels, 4, 2);
    assert_true(m.n == 3 && m.n_bad == 2 && m.correct == 1 && m.top5 == 1);
    near(vecq_metrics_loss(&m), log1p(exp(-1)));
    near(vecq_metrics_accuracy(&m), 1.0 / 3);
    vecq_metrics_add(&m, logits + 6, &high, 1, 2);
    assert_true(m.n == 3);
    m = (vecq_metrics){0};
    vecq_metrics_add(&m, one, ones, 3, 1);
    assert_true(m.n == 3 && m.n_bad == 2 && m.correct == 1);
    near(vecq_metrics_loss(&m), log1p(exp(-1)));
}

/* Batches add up. */
static void test_adds(void **state)
{
    float logits[30];
    int32_t labels[10];
    vecq_metrics whole = {0}, parts = {0};
    int i;

    (void)state;
    for (i = 0; i < 30; i++)
        logits[i] = (float)(i * 7 % 11) / 3;
    for (i = 0; i < 10; i++)
        labels[i] = i % 3;
    vecq_metrics_add(&whole, logits, labels, 10, 3);
    for (i = 0; i < 10; i++)
        vecq_metrics_add(&parts, logits + 3 * i, labels + i, 1, 3);
    assert_memory_equal(&whole, &parts, sizeof whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing), cmocka_unit_test(test_uniform), cmocka_unit_test(test_two_classes),
        cmocka_unit_test(test_binary),  cmocka_unit_test(test_large),   cmocka_unit_test(test_top5),
        cmocka_unit_test(test_bad),     cmocka_unit_test(test_adds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
