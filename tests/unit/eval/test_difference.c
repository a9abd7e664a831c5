/* SPDX-License-Identifier: Apache-2.0 */
/* Differences of tensors against sums by hand. */
#include "vecq_test.h"

#include <math.h>

#include "eval/difference.h"

static void test_floats(void **state)
{
    const float a[] = {1, 2, -3, NAN, 5}, b[] = {1, 4, -2, 0, INFINITY};
    vecq_difference d = {0};

    (void)state;
    assert_true(isnan(vecq_difference_mse(&d)) && isnan(vecq_difference_sqnr(&d)));
    assert_true(vecq_difference_add(&d, VECQ_DT_FLOAT, a, b, 5));
    assert_true(d.n == 3 && d.n_bad == 2 && d.sum_abs == 3 && d.max_abs == 2);
    assert_float_equal(vecq_difference_mse(&d), 5.0 / 3, 1e-12);
    assert_float_equal(vecq_difference_sqnr(&d), 10 * log10(21.0 / 5), 1e-12);
    assert_float_equal(vecq_difference_psnr(&d), 10 * log10(36.0 / (5.0 / 3)), 1e-12);
    assert_true(vecq_difference_add(&d, VECQ_DT_FLOAT, a, a, 2)); /* in parts */
    assert_true(d.n == 5 && d.low == -2 && d.high == 4);
}

static void test_types(void **state)
{
    const double f[] = {1, -2};
    const int64_t l[] = {7, -2};
    const int32_t i[] = {3, 4};
    const uint8_t u[] = {200, 1};
    const int8_t s[] = {-100, 1};
    vecq_difference d = {0};

    (void)state;
    assert_true(vecq_difference_add(&d, VECQ_DT_DOUBLE, f, f, 2));
    assert_true(isinf(vecq_difference_sqnr(&d)) && isinf(vecq_difference_psnr(&d)));
    assert_true(vecq_difference_add(&d, VECQ_DT_INT64, l, l, 2));
    assert_true(vecq_difference_add(&d, VECQ_DT_INT32, i, i, 2));
    assert_true(vecq_difference_add(&d, VECQ_DT_UINT8, u, u, 2));
    assert_true(vecq_difference_add(&d, VECQ_DT_INT8, s, s, 2));
    assert_true(d.n == 10 && d.low == -100 && d.high == 200 && d.sum_abs == 0);
    assert_false(vecq_difference_add(&d, VECQ_DT_STRING, u, u, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_floats), cmocka_unit_test(test_types)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
