/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <math.h>

#include "base/rng.h"

#define RNG_SAMPLES 200000

/* First numbers of the published generators: splitmix64 (seed 0), and xoshiro256++ from the state 1, 2, 3, 4.
 */
static void pinned_to_the_published_generators(void **state)
{
    static const uint64_t seeded[4] = {0xe220a8397b1dcdafu, 0x6e789e6aa1b965f4u, 0x06c45d188009454fu,
                                       0xf88bb8a8724c81ecu};
    static const uint64_t first[10] = {41943041u,
                                       58720359u,
                                       3588806011781223u,
                                       3591011842654386u,
                                       9228616714210784205u,
                                       9973669472204895162u,
                                       14011001112246962877u,
                                       12406186145184390807u,
                                       15849039046786891736u,
                                       10450023813501588000u};
    vecq_rng rng;
    int i;

    (void)state;
    vecq_rng_seed(&rng, 0);
    assert_memory_equal(rng.s, seeded, sizeof seeded);
    for (i = 0; i < 4; i++)
        rng.s[i] = (uint64_t)i + 1;
    for (i = 0; i < 10; i++)
        assert_int_equal(vecq_rng_u64(&rng), first[i]);
}

static void same_seed_same_stream(void **state)
{
    vecq_rng a, b, c;
    int i, same = 0;

    (void)state;
    vecq_rng_seed(&a, 42);
    vecq_rng_seed(&b, 42);
    vecq_rng_seed(&c, 43);
    for (i = 0; i < 1000; i++) {
        double x = vecq_rng_student(&a, 3.0);

        assert_true(x == vecq_rng_student(&b, 3.0));
        same += x == vecq_rng_student(&c, 3.0);
    }
    assert_int_equal(same, 0);
}

static void uniform_stays_inside(void **state)
{
    vecq_rng rng;
    int i;

    (void)state;
    for (i = 0; i < 4; i++)
        rng.s[i] = 0; /* no real state: gives only zeros, the least value */
    assert_true(vecq_rng_uniform(&rng) == 0x1p-53);
    vecq_rng_seed(&rng, 1);
    for (i = 0; i < RNG_SAMPLES; i++) {
        double u = vecq_rng_uniform(&rng);
        assert_true(u > 0.0 && u < 1.0);
    }
    assert_true((0xfffffffffffffu + 0.5) * 0x1p-52 < 1.0); /* the largest one */
}

static void below_is_even(void **state)
{
    static const uint64_t limits[] = {1, 2, 3, 10, 1000, (uint64_t)1 << 40, (uint64_t)3 << 62, UINT64_MAX};
    vecq_rng rng;
    size_t l;
    long i, half, count[10] = {0};
    double chi = 0.0;

    (void)state;
    vecq_rng_seed(&rng, 7);
    for (l = 0; l < sizeof limits / sizeof *limits; l++) {
        for (i = 0, half = 0; i < RNG_SAMPLES; i++) {
            uint64_t x = vecq_rng_below(&rng, limits[l]);

            assert_true(x < limits[l]);
            half += x < limits[l] / 2;
        }
        if (limits[l] % 2 == 0 || limits[l] > 1000) /* 5 standard deviations */
            assert_true(fabs((double)half - 0.5 * RNG_SAMPLES) < 2.5 * sqrt(RNG_SAMPLES));
    }
    for (i = 0; i < RNG_SAMPLES; i++)
        count[vecq_rng_below(&rng, 10)]++;
    for (i = 0; i < 10; i++)
        chi += pow((double)count[i] - RNG_SAMPLES / 10.0, 2.0) / (RNG_SAMPLES / 10.0);
    assert_true(chi < 27.9 && chi > 1.15); /* 9 degrees of freedom, 0.1 % on each side */
}

/* ---- distributions: Kolmogorov-Smirnov against the closed form ---- */

typedef double (*draw_fn)(vecq_rng *rng, double parameter);
typedef double (*cdf_fn)(double x);

static double draw_uniform(vecq_rng *rng, double unused)
{
    (void)unused;
    return vecq_rng_uniform(rng);
}

static double draw_gaussian(vecq_rng *rng, double unused)
{
    (void)unused;
    return vecq_rng_gaussian(rng);
}

static double draw_laplace(vecq_rng *rng, double unused)
{
    (void)unused;
    return vecq_rng_laplace(rng);
}

static double cdf_uniform(double x)
{
    return x;
}

static double cdf_gaussian(double x)
{
    return 0.5 * erfc(-x / sqrt(2.0));
}

static double cdf_laplace(double x)
{
    return x < 0 ? 0.5 * exp(x) : 1.0 - 0.5 * exp(-x);
}

static double cdf_gamma_half(double x)
{
    return erf(sqrt(x));
}

static double cdf_gamma_1(double x)
{
    return 1.0 - exp(-x);
}

static double cdf_gamma_4(double x)
{
    return 1.0 - exp(-x) * (1.0 + x + x * x / 2.0 + x * x * x / 6.0);
}

static double cdf_student_1(double x)
{
    return 0.5 + atan(x) / 3.14159265358979323846;
}

static double cdf_student_2(double x)
{
    return 0.5 + x / (2.0 * sqrt(2.0 + x * x));
}

static double cdf_student_4(double x)
{
    double t = x / sqrt(4.0 + x * x);

    return 0.5 + 0.75 * (t - t * t * t / 3.0);
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double ks_distance(draw_fn draw, double parameter, cdf_fn cdf)
{
    double *x = test_malloc(RNG_SAMPLES * sizeof *x), d = 0.0;
    vecq_rng rng;
    int i;

    vecq_rng_seed(&rng, 2026);
    for (i = 0; i < RNG_SAMPLES; i++)
        x[i] = draw(&rng, parameter);
    qsort(x, RNG_SAMPLES, sizeof *x, compare_double);
    for (i = 0; i < RNG_SAMPLES; i++) {
        double f = cdf(x[i]);
        d = fmax(d, fmax(f - (double)i / RNG_SAMPLES, (double)(i + 1) / RNG_SAMPLES - f));
    }
    test_free(x);
    return d * sqrt(RNG_SAMPLES);
}

static void distributions(void **state)
{
    static const struct {
        const char *name;
        draw_fn draw;
        double parameter;
        cdf_fn cdf;
    } cases[] = {
        {"uniform", draw_uniform, 0, cdf_uniform},         {"gaussian", draw_gaussian, 0, cdf_gaussian},
        {"laplace", draw_laplace, 0, cdf_laplace},         {"gamma 1/2", vecq_rng_gamma, 0.5, cdf_gamma_half},
        {"gamma 1", vecq_rng_gamma, 1.0, cdf_gamma_1},     {"gamma 4", vecq_rng_gamma, 4.0, cdf_gamma_4},
        {"student 1", vecq_rng_student, 1, cdf_student_1}, {"student 2", vecq_rng_student, 2, cdf_student_2},
        {"student 4", vecq_rng_student, 4, cdf_student_4},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        double d = ks_distance(cases[i].draw, cases[i].parameter, cases[i].cdf);
        if (!(d < 1.95)) /* exceeded once in a thousand seeds; the seed is fixed */
            fail_msg("%s: Kolmogorov-Smirnov %g", cases[i].name, d);
    }
    /* The test can tell neighbours apart. */
    assert_true(ks_distance(vecq_rng_student, 30, cdf_gaussian) > 1.95);
    assert_true(ks_distance(vecq_rng_gamma, 1.02, cdf_gamma_1) > 1.95);
}

static void moments(void **state)
{
    double sum = 0, squares = 0, fourth = 0, pairs = 0, last = 0;
    vecq_rng rng;
    int i, n = 5 * RNG_SAMPLES;

    (void)state;
    vecq_rng_seed(&rng, 3);
    for (i = 0; i < n; i++) {
        double x = vecq_rng_gaussian(&rng);
        sum += x;
        squares += x * x;
        fourth += x * x * x * x;
        pairs += x * last;
        last = x;
    }
    /* five standard deviations of each estimate: var(x) = 1, var(x^2) = 2, var(x^4) = 96, var(x y) = 1 */
    assert_true(fabs(sum / n) < 5.0 / sqrt(n));
    assert_true(fabs(squares / n - 1.0) < 5.0 * sqrt(2.0 / n));
    assert_true(fabs(fourth / n - 3.0) < 5.0 * sqrt(96.0 / n));
    assert_true(fabs(pairs / n) < 5.0 / sqrt(n));
    for (i = 0, sum = 0, squares = 0; i < n; i++) {
        double x = vecq_rng_laplace(&rng);
        sum += x;
        squares += x * x;
    }
    /* variance 2, E x^4 = 24 */
    assert_true(fabs(sum / n) < 5.0 * sqrt(2.0 / n));
    assert_true(fabs(squares / n - 2.0) < 5.0 * sqrt(20.0 / n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pinned_to_the_published_generators),
        cmocka_unit_test(same_seed_same_stream),
        cmocka_unit_test(uniform_stays_inside),
        cmocka_unit_test(below_is_even),
        cmocka_unit_test(distributions),
        cmocka_unit_test(moments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
