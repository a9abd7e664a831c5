/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel of activation.def at every level this processor has, against ONNX's definition in plain words.
 */
#include "vecq_test.h"

#include <math.h>

#include "base/rng.h"
#include "kernels/activation/activation.h"
#include "vecq/cpu.h"

static const vecq_cpu_level levels[] = {
#define VECQ_ACTIVATION_LEVEL(level, table) level,
#include "kernels/activation/activation.def"
};

static const char *const members[] = {
#define VECQ_ACTIVATION_KERNEL(member) #member,
#include "kernels/activation/activation.def"
};

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define N_MAX        1100u
#define GUARD        32u

static const struct {
    float low, high;
} ranges[] = {{0, 255}, {-128, 127}, {0, 1}, {-2, 1}, {-7, 248}, {-32768, 32767}, {-65535, 0}};
static const float scales[] = {1.0f, 0.1f, 0.0173f, 0x1p-100f, 3.7f, 1e30f};
static const size_t sizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 1021};

static void fill(float *x, size_t n, float scale, vecq_rng *rng)
{
    static const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e38f, -1e38f, 0x1p-149f};
    size_t i;

    for (i = 0; i < n; i++)
        switch (vecq_rng_below(rng, 4)) {
        case 0: /* ties, and what lies beside them */
            x[i] = scale * ((float)vecq_rng_below(rng, 600) - 300.0f + 0.5f);
            if (vecq_rng_below(rng, 2) != 0)
                x[i] = nextafterf(x[i], vecq_rng_below(rng, 2) != 0 ? INFINITY : -INFINITY);
            break;
        case 1:
            x[i] = special[vecq_rng_below(rng, COUNT(special))];
            break;
        default:
            x[i] = scale * 100.0f * (float)vecq_rng_gaussian(rng);
        }
}

static float want_round(float x, float scale, float low, float high)
{
    double q = (double)(x / scale);

    if (isnan(q))
        return NAN;
    q = fmin(fmax(rint(q), (double)low), (double)high); /* ties to even: the mode the program runs in */
    return scale * ((float)q + 0.0f);
}

static void check(const vecq_activation_kernels *table, const float *x, const float *g, size_t n, float scale,
                  float low, float high, size_t shift)
{
    static float buffer[N_MAX + 2 * GUARD + 16];
    float *y = buffer + GUARD + shift;
    size_t i;

    for (i = 0; i < COUNT(buffer); i++)
        buffer[i] = -77.25f;
    table->round(x, n, scale, low, high, y);
    for (i = 0; i < n; i++) {
        float want = want_round(x[i], scale, low, high);

        if (!(isnan(want) && isnan(y[i])) && memcmp(&want, &y[i], sizeof want) != 0)
            fail_msg("%s round: %a / %a in [%g, %g] gives %a, not %a", table->name, (double)x[i],
                     (double)scale, (double)low, (double)high, (double)y[i], (double)want);
    }
    for (i = 0; i < GUARD; i++)
        assert_true(y[-1 - (ptrdiff_t)i] == -77.25f && (y + n)[i] == -77.25f);
    table->mask(x, g, n, scale, low, high, y);
    for (i = 0; i < n; i++) {
        float q = x[i] / scale, want = q < low - 0.5f || q > high + 0.5f ? 0.0f : g[i];

        if (y[i] != want)
            fail_msg("%s mask: %a / %a in [%g, %g] lets %g through", table->name, (double)x[i], (double)scale,
                     (double)low, (double)high, (double)y[i]);
    }
    for (i = 0; i < GUARD; i++)
        assert_true(y[-1 - (ptrdiff_t)i] == -77.25f && (y + n)[i] == -77.25f);
}

static void test_kernels(void **state)
{
    static float x[N_MAX + 16], g[N_MAX + 16], copy[N_MAX + 16];
    const vecq_activation_kernels *table;
    size_t level, s, r, t, i, turn = 0;
    vecq_rng rng;

    (void)state;
    /* name plus one pointer for each row */
    assert_int_equal(sizeof(vecq_activation_kernels), (COUNT(members) + 1) * sizeof(void *));
    for (i = 0; i < COUNT(members); i++)
        assert_true(members[i][0] != '\0');
    vecq_rng_seed(&rng, 1);
    for (s = 0; s < COUNT(sizes); s++)
        for (r = 0; r < COUNT(ranges); r++)
            for (t = 0; t < COUNT(scales); t++, turn++) {
                size_t shift = turn % 13;

                fill(x + shift, sizes[s], scales[t], &rng);
                for (i = 0; i < sizes[s]; i++)
                    g[shift + i] = (float)vecq_rng_gaussian(&rng);
                for (level = 0; level < COUNT(levels); level++) {
                    if (!vecq_cpu_has(levels[level]))
                        continue;
                    table = vecq_activation_kernels_at((int)levels[level]);
                    assert_non_null(table);
                    assert_string_equal(table->name, vecq_cpu_level_name(levels[level]));
                    check(table, x + shift, g + shift, sizes[s], scales[t], ranges[r].low, ranges[r].high,
                          turn % 11);
                    memcpy(copy, x + shift, sizes[s] * sizeof *copy); /* in place */
                    table->round(copy, sizes[s], 0.1f, -8, 7, copy);
                    for (i = 0; i < sizes[s]; i++)
                        assert_true(isnan(copy[i]) || copy[i] == want_round(x[shift + i], 0.1f, -8, 7));
                }
            }
}

static void test_active_follows_mask(void **state)
{
    (void)state;
    vecq_cpu_set_mask(VECQ_CPU_REF);
    assert_ptr_equal(vecq_activation_kernels_active(), vecq_activation_kernels_at(VECQ_CPU_REF));
    if (vecq_cpu_has(VECQ_CPU_AVX512VNNI)) { /* no table of its own: the next lower one */
        vecq_cpu_set_mask(VECQ_CPU_AVX512VNNI);
        assert_ptr_equal(vecq_activation_kernels_active(), vecq_activation_kernels_at(VECQ_CPU_AVX512));
    }
    vecq_cpu_set_mask((vecq_cpu_level)(VECQ_CPU_LEVELS - 1));
    assert_non_null(vecq_activation_kernels_active());
    assert_null(vecq_activation_kernels_at(-1));
    assert_null(vecq_activation_kernels_at(VECQ_CPU_LEVELS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_active_follows_mask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
