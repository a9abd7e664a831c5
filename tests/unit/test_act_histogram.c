/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms of activations: what is counted, in whatever order; errors and the search against sums over
 * values. */
#include "vecq_test.h"

#include <float.h>
#include <math.h>

#include "base/rng.h"
#include "quant/act_histogram.h"

enum { N = 20000 };

static vecq_act_histogram *make(const float *x, size_t n)
{
    vecq_act_histogram *h = calloc(1, sizeof *h);

    assert_non_null(h);
    vecq_act_histogram_add(h, x, n);
    return h;
}

static double counted(const vecq_act_histogram *h)
{
    double sum = h->zeros;
    size_t s, i;

    for (s = 0; s < 2; s++)
        for (i = 0; i < VECQ_ACT_BINS; i++)
            sum += h->counts[s][i];
    return sum;
}

static void test_nothing(void **state)
{
    const float zeros[3] = {0, -0.0f, 0};
    vecq_act_histogram *h = make(zeros, 0);
    vecq_moments m;

    (void)state;
    assert_true(h->n == 0 && h->unit == 0);
    assert_true(vecq_act_histogram_best(h, 0, 255) == 0);
    vecq_act_histogram_add(h, zeros, 3);
    assert_true(h->n == 3 && h->zeros == 3 && h->unit == 0 && h->min == 0 && h->max == 0);
    assert_true(vecq_act_histogram_best(h, -128, 127) == 0 && vecq_act_histogram_error(h, 1, -128, 127) == 0);
    vecq_act_histogram_moments(h, &m);
    assert_true(m.finite && m.sum_abs == 0);
    free(h);
}

static void test_bins(void **state)
{
    const float x[] = {1, -1, 0.5f, 3.999f, -2, 0, 4, FLT_MIN};
    vecq_act_histogram *h = make(x, 6); /* all below 4: a unit of 4 / 8192 */

    (void)state;
    assert_true(h->unit == 4.0 / VECQ_ACT_BINS && h->n == 6 && h->zeros == 1);
    assert_true(h->min == -2 && h->max == (double)3.999f);
    assert_true(h->counts[0][2048] == 1 && h->counts[0][1024] == 1 && h->counts[0][8189] == 1);
    assert_true(h->counts[1][2048] == 1 && h->counts[1][4096] == 1);
    vecq_act_histogram_add(h, x + 6, 2); /* 4 needs bins of twice the width */
    assert_true(h->unit == 8.0 / VECQ_ACT_BINS && h->n == 8);
    assert_true(h->counts[0][1024] == 1 && h->counts[0][4096] == 1 && h->counts[0][0] == 1);
    assert_true(h->counts[1][2048] == 1 && counted(h) == 8);
    free(h);
}

static void test_extremes(void **state)
{
    const float x[] = {0x1p-149f, FLT_MAX, -FLT_MAX, NAN, INFINITY, -INFINITY, 1};
    vecq_act_histogram *h = make(x, 1);
    vecq_moments m;

    (void)state;
    assert_true(h->counts[0][0] == 1);
    vecq_act_histogram_add(h, x + 1, 6);
    assert_true(h->n == 4 && h->n_bad == 3 && counted(h) == 4);
    assert_true(h->max == (double)FLT_MAX && h->min == -(double)FLT_MAX && h->counts[0][0] == 2);
    vecq_act_histogram_moments(h, &m);
    assert_false(m.finite);
    free(h);
}

/* What the histogram says does not depend on the order in which values came, nor on how they were handed
 * over. */
static void test_order(void **state)
{
    static float x[N], back[N];
    vecq_act_histogram *a, *b;
    vecq_rng rng;
    size_t i;

    (void)state;
    vecq_rng_seed(&rng, 3);
    for (i = 0; i < N; i++) /* magnitudes grow over forty octaves */
        x[i] = (float)(vecq_rng_gaussian(&rng) * exp2((double)i * 40 / N - 20));
    for (i = 0; i < N; i++)
        back[i] = x[N - 1 - i];
    a = make(x, N);
    b = make(back, 0);
    for (i = 0; i < N; i += 37)
        vecq_act_histogram_add(b, back + i, N - i < 37 ? N - i : 37);
    assert_memory_equal(a, b, sizeof *a);
    assert_true(counted(a) == N);
    free(a);
    free(b);
}

static double error_of(const float *x, size_t n, double scale, double low, double high)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        double q = fmin(fmax(rint((double)x[i] / scale), low), high) * scale - (double)x[i];

        sum += q * q;
    }
    return sum / (double)n;
}

/* Gaussian, half-Gaussian with half zeros, Laplace, a Laplace with outliers. */
static void fill(float *x, int kind, vecq_rng *rng)
{
    size_t i;

    for (i = 0; i < N; i++) {
        double g = vecq_rng_gaussian(rng), u = vecq_rng_uniform(rng) + 1e-12;
        double laplace = (vecq_rng_below(rng, 2) != 0 ? 1 : -1) * log(u);
        const double values[] = {g, fmax(g, 0), laplace, i % 5000 == 0 ? 40 * laplace : laplace};

        x[i] = (float)(3.0 * values[kind]);
    }
}

static void test_error_and_best(void **state)
{
    static float x[N];
    static const unsigned bits[] = {8, 6, 4, 3, 2};
    vecq_rng rng;
    size_t b;
    int kind;

    (void)state;
    vecq_rng_seed(&rng, 8);
    for (kind = 0; kind < 4; kind++) {
        vecq_act_histogram *h;
        vecq_moments m;

        fill(x, kind, &rng);
        h = make(x, N);
        vecq_act_histogram_moments(h, &m);
        for (b = 0; b < sizeof bits / sizeof *bits; b++) {
            double high = ldexp(1, (int)bits[b] - (kind == 1 ? 0 : 1)) - 1, low = kind == 1 ? 0 : -high - 1;
            double scale = vecq_act_histogram_best(h, low, high), mine = error_of(x, N, scale, low, high);
            double told = vecq_act_histogram_error(h, scale, low, high), best = INFINITY, factor;

            if (fabs(told - mine) > 0.01 * mine)
                fail_msg("kind %d, %u bits: error %g, not %g", kind, bits[b], told, mine);
            for (factor = 0.2; factor < 5; factor *= 1.01)
                best = fmin(best, error_of(x, N, scale * factor, low, high));
            if (mine > 1.01 * best)
                fail_msg("kind %d, %u bits: error %g, the least is %g", kind, bits[b], mine, best);
        }
        assert_true(m.finite && (double)m.max == h->max);
        assert_float_equal(m.sum_squares, N * error_of(x, N, 1e9, -1, 1), 1e-3 * m.sum_squares);
        free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),        cmocka_unit_test(test_bins),
        cmocka_unit_test(test_extremes),       cmocka_unit_test(test_order),
        cmocka_unit_test(test_error_and_best),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
