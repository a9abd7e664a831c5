/* SPDX-License-Identifier: Apache-2.0 */
/* The template against the paper's table, the published digits, and quadrature cell by cell. */
#include "vecq_test.h"

#include <math.h>

#include "vecq/quant.h"

#define PHI0 0.39894228040143267794

static double phi(double t)
{
    return PHI0 * exp(-0.5 * t * t);
}

static double tail(double t)
{
    return 0.5 * erfc(t * 0.70710678118654752440);
}

/* Five-point Gauss-Legendre of u^power * phi(middle + u) on [-half, half], in 8 pieces. */
static double cell(double middle, double half, int power)
{
    const double r = 2.0 * sqrt(10.0 / 7.0);
    const double x[5] = {-sqrt(5.0 + r) / 3.0, -sqrt(5.0 - r) / 3.0, 0.0, sqrt(5.0 - r) / 3.0,
                         sqrt(5.0 + r) / 3.0};
    const double a = (322.0 - 13.0 * sqrt(70.0)) / 900.0, b = (322.0 + 13.0 * sqrt(70.0)) / 900.0;
    const double weight[5] = {a, b, 128.0 / 225.0, b, a};
    double sum = 0.0;
    int piece, i;

    for (piece = 0; piece < 8; piece++)
        for (i = 0; i < 5; i++) {
            double u = half * ((2.0 * piece + 1.0 + x[i]) / 8.0 - 1.0);
            sum += weight[i] * pow(u, power) * phi(middle + u);
        }
    return sum * half / 8.0;
}

/* E[(t - lambda v) v]: no difference of large sums anywhere, so it is good to 1e-14 even at 16 bits. Positive
 * left of the optimum, negative right of it. */
static double slope(unsigned bits, double lambda)
{
    int h = 1 << (bits - 1), j;
    double sum = 0.0, edge = lambda * (h - 1), top = lambda * (h - 0.5);

    for (j = 0; j < h - 1; j++)
        sum += (j + 0.5) * cell(lambda * (j + 0.5), 0.5 * lambda, 1);
    return 2.0 * (sum + (h - 0.5) * (phi(edge) - top * tail(edge)));
}

/* E|t - lambda v|^2, in the same manner. */
static double distortion(unsigned bits, double lambda)
{
    int h = 1 << (bits - 1), j;
    double sum = 0.0, edge = lambda * (h - 1), top = lambda * (h - 0.5);

    for (j = 0; j < h - 1; j++)
        sum += cell(lambda * (j + 0.5), 0.5 * lambda, 2);
    return 2.0 * (sum + (1.0 + top * top) * tail(edge) + (edge - 2.0 * top) * phi(edge));
}

static void test_lambda_equals_the_paper(void **state)
{
    static const double table[] = {0, 1.0, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308};
    vecq_template t;
    unsigned bits;

    (void)state;
    for (bits = 2; bits <= 8; bits++) {
        assert_int_equal(vecq_template_solve(bits, &t), VECQ_OK);
        assert_int_equal(t.bits, bits);
        if (rint(t.lambda * 1e4) != rint(table[bits] * 1e4))
            fail_msg("%u bits: %.10f", bits, t.lambda);
        assert_true(vecq_lambda_table(bits) == table[bits]);
    }
    assert_true(vecq_lambda_table(1) == 1.0);
    for (bits = 9; bits <= 16; bits++)
        assert_true(vecq_lambda_table(bits) == 6.0 / (double)(1u << bits));
}

static void assert_digits(double got, double expected, const char *what, unsigned bits)
{
    if (fabs(got - expected) >
        5.1e-6 * expected) /* six significant digits as printed, the last one rounded */
        fail_msg("%s at %u bits: %.9g, expected %.6g", what, bits, got, expected);
}

static void test_published_digits(void **state)
{
    static const double lambda[] = {0,        0,        0.995687, 0.586019, 0.335201, 0.188139, 0.104063,
                                    0.056868, 0.030762, 0.016499, 0.008785, 0.004650, 0.002448};
    static const double loss[] = {0,           0.202115,    0.0613020,   0.0188984,   0.00578819,
                                  0.00174914,  0.000520158, 0.000152178, 4.38441e-05, 1.24596e-05,
                                  3.49851e-06, 9.72207e-07, 2.67768e-07};
    static const double mse[] = {0,           0.363380,    0.118846,    0.0374397,   0.0115429,
                                 0.00349521,  0.00104005,  0.000304333, 8.76862e-05, 2.49190e-05,
                                 6.99701e-06, 1.94441e-06, 5.35537e-07};
    vecq_template t;
    unsigned bits;

    (void)state;
    for (bits = 1; bits <= 12; bits++) {
        assert_int_equal(vecq_template_solve(bits, &t), VECQ_OK);
        if (bits > 1 && fabs(t.lambda - lambda[bits]) > 5.1e-7)
            fail_msg("lambda at %u bits: %.12g", bits, t.lambda);
        assert_digits(t.orientation, loss[bits], "J_o", bits);
        assert_digits(t.mse, mse[bits], "error", bits);
        if (fabs(1.0 - cos(t.angle / 180.0 * acos(-1.0)) - t.orientation) > 1e-14)
            fail_msg("angle at %u bits: %.12g", bits, t.angle);
    }
}

/* The derivative changes its sign within 1e-10 of the answer; the loss there agrees with quadrature. */
static void test_root_to_1e_10(void **state)
{
    vecq_template t;
    unsigned bits;

    (void)state;
    for (bits = 2; bits <= VECQ_BITS_MAX; bits++) {
        assert_int_equal(vecq_template_solve(bits, &t), VECQ_OK);
        if (!(slope(bits, t.lambda * (1.0 - 1e-10)) > 0.0 && slope(bits, t.lambda * (1.0 + 1e-10)) < 0.0))
            fail_msg("%u bits: %.14g is not within 1e-10 of the root", bits, t.lambda);
        if (fabs(distortion(bits, t.lambda) / t.mse - 1.0) > 1e-8)
            fail_msg("%u bits: error %.12g, quadrature %.12g", bits, t.mse, distortion(bits, t.lambda));
        assert_true(vecq_template_orientation(bits, t.lambda) == t.orientation);
    }
}

static void test_neighbours_are_worse(void **state)
{
    static const double clipped[] = {2.11e-4, 2.04e-4, 2.02e-4, 2.01e-4};
    vecq_template t;
    unsigned bits;

    (void)state;
    for (bits = 2; bits <= VECQ_BITS_MAX; bits++) {
        assert_int_equal(vecq_template_solve(bits, &t), VECQ_OK);
        assert_true(vecq_template_orientation(bits, 0.99 * t.lambda) > t.orientation);
        assert_true(vecq_template_orientation(bits, 1.01 * t.lambda) > t.orientation);
        assert_true(vecq_template_orientation(bits, vecq_lambda_table(bits)) >= t.orientation * (1.0 - 1e-9));
    }
    /* the paper's rule clips at 3 sigma, so it stops improving above 8 bits */
    for (bits = 9; bits <= 12; bits++)
        if (fabs(vecq_template_orientation(bits, vecq_lambda_table(bits)) - clipped[bits - 9]) > 5e-7)
            fail_msg("6/2^k at %u bits: %.9g", bits,
                     vecq_template_orientation(bits, vecq_lambda_table(bits)));
}

static void test_ends(void **state)
{
    vecq_template t;

    (void)state;
    assert_int_equal(vecq_template_solve(1, &t), VECQ_OK);
    assert_true(t.lambda == 1.0);
    assert_true(fabs(t.orientation - (1.0 - sqrt(2.0 / acos(-1.0)))) < 1e-16);
    assert_true(vecq_template_orientation(1, 1e-300) == t.orientation);
    assert_true(vecq_template_orientation(1, 1e300) == t.orientation);
    /* a step that is huge or tiny leaves two levels in use, +-v: one bit */
    assert_true(fabs(vecq_template_orientation(4, 1e300) - t.orientation) < 1e-15);
    assert_true(fabs(vecq_template_orientation(16, 1e-300) - t.orientation) < 1e-15);
    assert_true(isnan(vecq_template_orientation(0, 1.0)) && isnan(vecq_template_orientation(17, 1.0)));
    assert_true(isnan(vecq_template_orientation(4, 0.0)) && isnan(vecq_template_orientation(4, -1.0)));
    assert_true(isnan(vecq_template_orientation(4, (double)NAN)));
    assert_true(isnan(vecq_lambda_table(0)) && isnan(vecq_lambda_table(17)));
    assert_int_equal(vecq_template_solve(0, &t), VECQ_ERR_USAGE);
    assert_int_equal(vecq_template_solve(17, &t), VECQ_ERR_USAGE);
    assert_int_equal(vecq_template_solve(4, NULL), VECQ_ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lambda_equals_the_paper),
        cmocka_unit_test(test_published_digits),
        cmocka_unit_test(test_root_to_1e_10),
        cmocka_unit_test(test_neighbours_are_worse),
        cmocka_unit_test(test_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
