/* SPDX-License-Identifier: Apache-2.0 */
/* The vector loss: the paper's example, closed forms, tiny angles, degenerate vectors. */
#include "vecq_test.h"

#include <float.h>
#include <math.h>

#include "base/rng.h"
#include "vecq/quant.h"

static double degrees(double radians)
{
    return radians * 180.0 / acos(-1.0);
}

static void assert_near(double got, double expected, double tolerance, const char *what)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%s: %.17g, expected %.17g", what, got, expected);
}

/* The best scale of w = (2.5, 1.75) for v, and the losses of v at that scale. */
static vecq_loss measure_direction(const float w[2], double v0, double v1, double *alpha)
{
    float q[2];
    vecq_loss loss;

    *alpha = (v0 * (double)w[0] + v1 * (double)w[1]) / (v0 * v0 + v1 * v1);
    q[0] = (float)(*alpha * v0);
    q[1] = (float)(*alpha * v1);
    assert_int_equal(vecq_loss_measure(w, q, 2, &loss), VECQ_OK);
    return loss;
}

/* Section 3.1 of the paper, and the vector (3, 2) it does not mention. */
static void test_example_of_the_paper(void **state)
{
    static const float w[2] = {2.5f, 1.75f};
    vecq_loss loss;
    double alpha;

    (void)state;
    loss = measure_direction(w, 2.0, 2.0, &alpha);
    assert_true(alpha == 1.0625);
    assert_near(loss.modulus, 0.28125, 1e-15, "modulus of (2,2)");
    assert_near(loss.orientation, 0.0152164, 5e-8, "orientation of (2,2)");
    assert_near(loss.orientation, 1.0 - 8.5 / sqrt(8.0 * 9.3125), 1e-15, "orientation of (2,2)");
    assert_near(loss.sqnr_db, 10.0 * log10(9.3125 / 0.28125), 1e-12, "sqnr of (2,2)");
    loss = measure_direction(w, 2.0, 1.0, &alpha);
    assert_near(alpha, 1.35, 1e-15, "alpha of (2,1)");
    assert_near(loss.modulus, 0.2, 1e-6, "modulus of (2,1)");
    assert_near(loss.orientation, 0.0107965, 5e-8, "orientation of (2,1)");
    loss = measure_direction(w, 3.0, 2.0, &alpha);
    assert_near(alpha, 0.846154, 5e-7, "alpha of (3,2)");
    assert_near(loss.modulus, 0.0048077, 1e-7, "modulus of (3,2)");
    assert_near(loss.orientation, 0.000258, 5e-7, "orientation of (3,2)");
}

/* A right angle, opposite vectors, 45 degrees. */
static void test_known_angles(void **state)
{
    static const float east[2] = {3.0f, 0.0f}, north[2] = {0.0f, 0.5f}, west[2] = {-2.0f, 0.0f};
    static const float north_east[2] = {7.0f, 7.0f};
    vecq_loss loss;

    (void)state;
    assert_int_equal(vecq_loss_measure(east, north, 2, &loss), VECQ_OK);
    assert_near(loss.orientation, 1.0, 1e-15, "right angle");
    assert_near(loss.angle, 90.0, 1e-12, "right angle");
    assert_near(loss.modulus, 9.25, 1e-15, "right angle");
    assert_int_equal(vecq_loss_measure(east, west, 2, &loss), VECQ_OK);
    assert_near(loss.orientation, 2.0, 1e-15, "opposite");
    assert_near(loss.angle, 180.0, 1e-12, "opposite");
    assert_int_equal(vecq_loss_measure(east, north_east, 2, &loss), VECQ_OK);
    assert_near(loss.orientation, 1.0 - sqrt(0.5), 1e-15, "45 degrees");
    assert_near(loss.angle, 45.0, 1e-12, "45 degrees");
}

/* w = (1, 0), q = (1, e): the angle is atan(e), and 1 - cos loses all digits below e = 1e-8. */
static void test_tiny_angles(void **state)
{
    static const float tiny[] = {1e-2f, 1e-4f, 1e-7f, 1e-8f, 1e-12f, 1e-18f};
    vecq_loss loss;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof tiny / sizeof *tiny; i++) {
        float w[2] = {1.0f, 0.0f}, q[2] = {1.0f, tiny[i]};
        double angle = atan((double)tiny[i]), half = sin(0.5 * angle);

        assert_int_equal(vecq_loss_measure(w, q, 2, &loss), VECQ_OK);
        assert_near(loss.orientation / (2.0 * half * half), 1.0, 1e-9, "relative orientation");
        assert_near(loss.angle / degrees(angle), 1.0, 1e-9, "relative angle");
        assert_near(loss.modulus / ((double)tiny[i] * (double)tiny[i]), 1.0, 1e-15, "modulus");
    }
}

static void test_degenerate(void **state)
{
    static const float zero[3] = {0.0f, -0.0f, 0.0f}, some[3] = {1.0f, -2.0f, 2.0f};
    float bad[3] = {1.0f, 2.0f, 3.0f};
    vecq_loss loss;

    (void)state;
    assert_int_equal(vecq_loss_measure(zero, zero, 3, &loss), VECQ_OK);
    assert_true(loss.orientation == 0.0 && loss.angle == 0.0 && loss.modulus == 0.0);
    assert_true(isinf(loss.sqnr_db) && loss.sqnr_db > 0.0);
    assert_int_equal(vecq_loss_measure(NULL, NULL, 0, &loss), VECQ_OK);
    assert_true(loss.orientation == 0.0 && isinf(loss.sqnr_db));
    assert_int_equal(vecq_loss_measure(some, zero, 3, &loss), VECQ_OK);
    assert_true(loss.orientation == 1.0 && loss.modulus == 9.0 && loss.sqnr_db == 0.0);
    assert_near(loss.angle, 90.0, 1e-12, "against zero");
    assert_int_equal(vecq_loss_measure(zero, some, 3, &loss), VECQ_OK);
    assert_true(loss.orientation == 1.0 && loss.modulus == 9.0 && isinf(loss.sqnr_db) && loss.sqnr_db < 0.0);
    assert_int_equal(vecq_loss_measure(some, some, 3, &loss), VECQ_OK);
    assert_true(loss.orientation == 0.0 && loss.angle == 0.0 && isinf(loss.sqnr_db));
    bad[1] = NAN;
    assert_int_equal(vecq_loss_measure(some, bad, 3, &loss), VECQ_ERR_VALUE);
    bad[1] = -INFINITY;
    assert_int_equal(vecq_loss_measure(bad, some, 3, &loss), VECQ_ERR_VALUE);
    assert_int_equal(vecq_loss_measure(some, NULL, 3, &loss), VECQ_ERR_USAGE);
    assert_int_equal(vecq_loss_measure(some, some, 3, NULL), VECQ_ERR_USAGE);
}

/* Neither squares nor lengths over- or underflow at the ends of float. */
static void test_extremes(void **state)
{
    static const float large[2] = {FLT_MAX, FLT_MAX}, small[2] = {0x1p-149f, 0x1p-149f};
    static const float small_up[2] = {0x1p-149f, 0.0f};
    vecq_loss loss;

    (void)state;
    assert_int_equal(vecq_loss_measure(large, small, 2, &loss), VECQ_OK);
    assert_near(loss.orientation, 0.0, 1e-30, "parallel");
    assert_int_equal(vecq_loss_measure(small, small_up, 2, &loss), VECQ_OK);
    assert_near(loss.angle, 45.0, 1e-12, "denormal");
    assert_near(loss.sqnr_db, 10.0 * log10(2.0), 1e-12, "denormal");
}

/* Long vectors of odd length against long double sums. */
static void test_against_long_double(void **state)
{
    enum { N = 70001 };
    static float w[N], q[N];
    static const size_t sizes[] = {1, 15, 17, 4095, 4097, N};
    vecq_rng rng;
    size_t s, i;

    (void)state;
    vecq_rng_seed(&rng, 11);
    for (i = 0; i < N; i++) {
        w[i] = (float)vecq_rng_gaussian(&rng);
        q[i] = (float)(0.9 * (double)w[i] + 0.01 * vecq_rng_gaussian(&rng));
    }
    for (s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        long double ww = 0.0L, qq = 0.0L, wq = 0.0L, dd = 0.0L;
        vecq_loss loss;

        for (i = 0; i < sizes[s]; i++) {
            ww += (long double)w[i] * w[i];
            qq += (long double)q[i] * q[i];
            wq += (long double)w[i] * q[i];
            dd += ((long double)w[i] - q[i]) * ((long double)w[i] - q[i]);
        }
        assert_int_equal(vecq_loss_measure(w, q, sizes[s], &loss), VECQ_OK);
        assert_near(loss.orientation, (double)(1.0L - wq / sqrtl(ww * qq)), 1e-16, "orientation");
        assert_near(loss.modulus / (double)dd, 1.0, 1e-13, "modulus");
        assert_near(loss.sqnr_db, (double)(10.0L * log10l(ww / dd)), 1e-11, "sqnr");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_the_paper),
        cmocka_unit_test(test_known_angles),
        cmocka_unit_test(test_tiny_angles),
        cmocka_unit_test(test_degenerate),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_against_long_double),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
