/* SPDX-License-Identifier: Apache-2.0 */
/* vecq_random_fill: moments, tails, determinism, refusals. */
#include <math.h>

#include "vecq/random.h"
#include "vecq_test.h"

#define N 200000

typedef struct moments {
    double mean, variance, kurtosis, beyond; /* share of |x| > 2 */
} moments;

static moments measure(vecq_random_kind kind, double dof)
{
    float *x = malloc(N * sizeof *x);
    moments m = {0, 0, 0, 0};
    double m4 = 0;
    size_t i;

    assert_non_null(x);
    assert_int_equal(vecq_random_fill(kind, dof, 42, N, x), VECQ_OK);
    for (i = 0; i < N; i++)
        m.mean += (double)x[i] / N;
    for (i = 0; i < N; i++) {
        double d = (double)x[i] - m.mean;

        m.variance += d * d / N;
        m4 += d * d * d * d / N;
        m.beyond += fabs((double)x[i]) > 2 ? 1.0 / N : 0;
    }
    m.kurtosis = m4 / (m.variance * m.variance);
    free(x);
    return m;
}

static void near(double x, double expected, double tolerance)
{
    if (!(fabs(x - expected) <= tolerance))
        fail_msg("%.6g is not %.6g +- %.2g", x, expected, tolerance);
}

/* Tolerances: five standard deviations of the estimate from N samples. */
static void test_moments(void **state)
{
    moments g = measure(VECQ_RANDOM_GAUSSIAN, 0), l = measure(VECQ_RANDOM_LAPLACE, 0);
    moments t = measure(VECQ_RANDOM_STUDENT, 10);

    (void)state;
    near(g.mean, 0, 5 / sqrt(N));
    near(g.variance, 1, 5 * sqrt(2.0 / N));
    near(g.kurtosis, 3, 5 * sqrt(24.0 / N));
    near(g.beyond, 0.0455003, 5 * sqrt(0.0455 / N));
    near(l.mean, 0, 5 / sqrt(N));
    near(l.variance, 1, 5 * sqrt(5.0 / N));
    near(l.kurtosis, 6, 0.6);
    near(l.beyond, exp(-2 * sqrt(2)), 5 * sqrt(0.0591 / N));
    near(t.mean, 0, 5 / sqrt(N));
    near(t.variance, 1, 5 * sqrt(3.0 / N));
    near(t.kurtosis, 4, 0.5); /* 3 + 6 / (dof - 4) */
}

/* Student with 1 degree of freedom is Cauchy: unscaled, P(|x| > 2) = 1 - 2 atan(2) / pi. */
static void test_cauchy(void **state)
{
    (void)state;
    near(measure(VECQ_RANDOM_STUDENT, 1).beyond, 1 - 2 * atan(2) / 3.14159265358979, 5 * sqrt(0.295 / N));
}

static void test_heaviest_tail_stays_finite(void **state)
{
    static float x[100000];
    size_t i;

    (void)state;
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_STUDENT, VECQ_RANDOM_DOF_MIN, 3, 100000, x), VECQ_OK);
    for (i = 0; i < 100000; i++)
        assert_true(isfinite(x[i]));
}

static void test_seed_and_prefix(void **state)
{
    float a[100], b[100], c[100];

    (void)state;
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_GAUSSIAN, 0, 1, 100, a), VECQ_OK);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_GAUSSIAN, 0, 1, 50, b), VECQ_OK);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_GAUSSIAN, 0, 2, 100, c), VECQ_OK);
    assert_memory_equal(a, b, 50 * sizeof *a);
    assert_memory_not_equal(a, c, sizeof a);
}

static void test_refusals(void **state)
{
    float x;

    (void)state;
    assert_int_equal(vecq_random_fill((vecq_random_kind)9, 0, 1, 1, &x), VECQ_ERR_USAGE);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_STUDENT, 0.25, 1, 1, &x), VECQ_ERR_USAGE);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_STUDENT, (double)NAN, 1, 1, &x), VECQ_ERR_USAGE);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_GAUSSIAN, 0, 1, 1, NULL), VECQ_ERR_USAGE);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_GAUSSIAN, 0, 1, 0, NULL), VECQ_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_cauchy),
        cmocka_unit_test(test_heaviest_tail_stays_finite),
        cmocka_unit_test(test_seed_and_prefix),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
