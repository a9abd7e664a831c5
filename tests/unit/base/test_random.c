/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <math.h>

#include "vecq/random.h"

#define RANDOM_N 400000

static float sample[RANDOM_N];

static void moments_of(vecq_random_kind kind, double dof, double *mean, double *variance, double *kurtosis)
{
    double s1 = 0, s2 = 0, s4 = 0;
    size_t i;

    assert_int_equal(vecq_random_fill(kind, dof, 11, RANDOM_N, sample), VECQ_OK);
    for (i = 0; i < RANDOM_N; i++) {
        double x = (double)sample[i];
        s1 += x;
        s2 += x * x;
        s4 += x * x * x * x;
    }
    *mean = s1 / RANDOM_N;
    *variance = s2 / RANDOM_N - *mean * *mean;
    *kurtosis = s4 / RANDOM_N / (*variance * *variance);
}

/* Each kind has mean 0 and variance 1, and its own kurtosis. Bounds: five standard deviations of the
 * estimate, sqrt((kurtosis - 1) / n) for the variance. */
static void unit_variance(void **state)
{
    double mean, variance, kurtosis;

    (void)state;
    moments_of(VECQ_RANDOM_GAUSSIAN, 0, &mean, &variance, &kurtosis);
    assert_true(fabs(mean) < 0.008 && fabs(variance - 1) < 0.0112 && fabs(kurtosis - 3) < 0.08);
    moments_of(VECQ_RANDOM_LAPLACE, 0, &mean, &variance, &kurtosis);
    assert_true(fabs(mean) < 0.008 && fabs(variance - 1) < 0.018 && fabs(kurtosis - 6) < 0.6);
    moments_of(VECQ_RANDOM_STUDENT, 12, &mean, &variance, &kurtosis);
    assert_true(fabs(mean) < 0.008 && fabs(variance - 1) < 0.014 && fabs(kurtosis - 3.75) < 0.25);
}

static void heavy_tails_stay_finite(void **state)
{
    static const double dofs[] = {VECQ_RANDOM_DOF_MIN, 1, 2, 2.5, 1e6, 1e300};
    size_t d, i;

    (void)state;
    for (d = 0; d < sizeof dofs / sizeof *dofs; d++) {
        assert_int_equal(vecq_random_fill(VECQ_RANDOM_STUDENT, dofs[d], d, RANDOM_N / 4, sample), VECQ_OK);
        for (i = 0; i < RANDOM_N / 4; i++)
            assert_true(isfinite(sample[i]));
    }
}

static void seeds_decide(void **state)
{
    float a[64], b[64];

    (void)state;
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_LAPLACE, 0, 5, 64, a), VECQ_OK);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_LAPLACE, 99, 5, 64, b), VECQ_OK);
    assert_memory_equal(a, b, sizeof a); /* dof is ignored */
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_LAPLACE, 0, 6, 64, b), VECQ_OK);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_GAUSSIAN, 0, 5, 0, NULL), VECQ_OK);
}

static void wrong_use(void **state)
{
    float x;

    (void)state;
    assert_int_equal(vecq_random_fill((vecq_random_kind)77, 0, 0, 1, &x), VECQ_ERR_USAGE);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_STUDENT, 0.1, 0, 1, &x), VECQ_ERR_USAGE);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_STUDENT, NAN, 0, 1, &x), VECQ_ERR_USAGE);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_STUDENT, INFINITY, 0, 1, &x), VECQ_ERR_USAGE);
    assert_int_equal(vecq_random_fill(VECQ_RANDOM_GAUSSIAN, 0, 0, 1, NULL), VECQ_ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unit_variance),
        cmocka_unit_test(heavy_tails_stay_finite),
        cmocka_unit_test(seeds_decide),
        cmocka_unit_test(wrong_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
