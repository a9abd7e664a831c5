/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel of gates.def at every level this processor has: against the formulas in double, and all levels
 * bit for bit the same. */
#include "vecq_test.h"

#include <math.h>

#include "base/rng.h"
#include "kernels/gates/gates.h"
#include "vecq/cpu.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define N_MAX        200u
#define GUARD        32u
#define MARK         -77.25f

static const vecq_cpu_level levels[] = {
#define VECQ_GATES_LEVEL(level, table) level,
#include "kernels/gates/gates.def"
};

static const size_t sizes[] = {0, 1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 70, 127, 128, 130, 199};

/* What a kernel reads and writes; outputs have guards. */
typedef struct buffers {
    float in[6][4 * N_MAX + 1];
    float c[N_MAX + 2 * GUARD + 4], h[N_MAX + 2 * GUARD + 4];
} buffers;

static double sigmoid(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static void fill(buffers *b, uint64_t seed)
{
    static const float special[] = {0.0f, -0.0f, 90.0f, -90.0f, 1e30f, -1e30f, 1e-20f, INFINITY, -INFINITY};
    vecq_rng rng;
    size_t i, k;

    vecq_rng_seed(&rng, seed);
    for (k = 0; k < COUNT(b->in); k++)
        for (i = 0; i < COUNT(b->in[k]); i++)
            b->in[k][i] = k == 0 && vecq_rng_below(&rng, 8) == 0
                              ? special[vecq_rng_below(&rng, COUNT(special))]
                              : 3.0f * (float)vecq_rng_gaussian(&rng);
    for (i = 0; i < COUNT(b->c); i++)
        b->c[i] = b->h[i] = MARK;
}

static void check_close(const char *what, const char *level, size_t n, size_t i, double have, double want)
{
    if (!(fabs(have - want) <= 4e-7 * (1 + fabs(want))))
        fail_msg("%s %s, n %zu: [%zu] is %.9g, not %.9g", level, what, n, i, have, want);
}

static void check_guards(const float *y, size_t n, const char *level)
{
    size_t i;

    for (i = 0; i < GUARD; i++)
        if (y[-1 - (ptrdiff_t)i] != MARK || (y + n)[i] != MARK)
            fail_msg("%s writes outside of %zu elements", level, n);
}

/* One call of a kernel: its results are in b->c and b->h, from `at` on. */
typedef void (*call_fn)(const vecq_gates_kernels *table, buffers *b, size_t n, size_t at, int with);
typedef void (*want_fn)(const buffers *b, const buffers *after, size_t n, size_t at, int with,
                        const char *level);

static void call_lstm(const vecq_gates_kernels *table, buffers *b, size_t n, size_t at, int with)
{
    table->lstm(b->in[0] + 1, n, with ? b->in[1] + 1 : NULL, b->c + at, b->h + at);
}

static void want_lstm(const buffers *b, const buffers *after, size_t n, size_t at, int with,
                      const char *level)
{
    size_t i;

    for (i = 0; i < n; i++) {
        const float *g = b->in[0] + 1 + i;
        double c = sigmoid((double)g[0]) * tanh((double)g[3 * n]);

        if (with)
            c += sigmoid((double)g[2 * n]) * (double)b->in[1][1 + i];
        check_close("lstm c", level, n, i, (double)after->c[at + i], c);
        check_close("lstm h", level, n, i, (double)after->h[at + i], sigmoid((double)g[n]) * tanh(c));
    }
}

static void call_sigmoid(const vecq_gates_kernels *table, buffers *b, size_t n, size_t at, int with)
{
    (void)with;
    memcpy(b->h + at, b->in[0], n * sizeof(float));
    table->sigmoid(b->h + at, n);
}

static void want_sigmoid(const buffers *b, const buffers *after, size_t n, size_t at, int with,
                         const char *level)
{
    size_t i;

    (void)with;
    for (i = 0; i < n; i++)
        check_close("sigmoid", level, n, i, (double)after->h[at + i], sigmoid((double)b->in[0][i]));
}

static void call_gru(const vecq_gates_kernels *table, buffers *b, size_t n, size_t at, int with)
{
    table->gru(b->in[1], b->in[2], b->in[0], with & 1 ? b->in[3] : NULL, n, with & 2 ? b->in[4] : NULL,
               b->h + at);
}

static void want_gru(const buffers *b, const buffers *after, size_t n, size_t at, int with, const char *level)
{
    size_t i;

    for (i = 0; i < n; i++) {
        double z = (double)b->in[1][i], t = (double)b->in[0][i];

        t = tanh(with & 1 ? (double)(b->in[0][i] + b->in[2][i] * b->in[3][i]) : t);
        check_close("gru", level, n, i, (double)after->h[at + i],
                    (1 - z) * t + (with & 2 ? z * (double)b->in[4][i] : 0));
    }
}

static void call_multiply(const vecq_gates_kernels *table, buffers *b, size_t n, size_t at, int with)
{
    (void)with;
    table->multiply(b->in[1], b->in[2] + 1, n, b->h + at);
}

static void want_multiply(const buffers *b, const buffers *after, size_t n, size_t at, int with,
                          const char *level)
{
    size_t i;

    (void)with;
    for (i = 0; i < n; i++)
        check_close("multiply", level, n, i, (double)after->h[at + i],
                    (double)(b->in[1][i] * b->in[2][i + 1]));
}

#define VECQ_GATES_KERNEL(member) {#member, call_##member, want_##member},
static const struct {
    const char *name;
    call_fn call;
    want_fn want;
} members[] = {
#include "kernels/gates/gates.def"
};

static void test_kernels(void **state)
{
    static buffers start, after, first;
    size_t m, s, l, at;
    int with;

    (void)state;
    assert_int_equal(sizeof(vecq_gates_kernels), (COUNT(members) + 1) * sizeof(void *));
    for (m = 0; m < COUNT(members); m++)
        for (s = 0; s < COUNT(sizes); s++)
            for (with = 0; with < 4; with++)
                for (l = 0; l < COUNT(levels); l++) {
                    const vecq_gates_kernels *table = vecq_gates_kernels_at((int)levels[l]);

                    if (!vecq_cpu_has(levels[l]))
                        continue;
                    assert_string_equal(table->name, vecq_cpu_level_name(levels[l]));
                    at = GUARD + s % 3;
                    fill(&start, 7 + s);
                    after = start;
                    members[m].call(table, &after, sizes[s], at, with);
                    check_guards(after.c + at, sizes[s], table->name);
                    check_guards(after.h + at, sizes[s], table->name);
                    members[m].want(&start, &after, sizes[s], at, with, table->name);
                    if (l == 0)
                        first = after;
                    if (memcmp(first.c, after.c, sizeof first.c) != 0 ||
                        memcmp(first.h, after.h, sizeof first.h) != 0)
                        fail_msg("%s %s, n %zu: not what ref gives", table->name, members[m].name, sizes[s]);
                }
}

/* Results may take the place of what they are made from. */
static void test_in_place(void **state)
{
    static buffers start, after, apart;
    size_t l, n = 130;

    (void)state;
    for (l = 0; l < COUNT(levels); l++) {
        const vecq_gates_kernels *table = vecq_gates_kernels_at((int)levels[l]);

        if (!vecq_cpu_has(levels[l]))
            continue;
        fill(&start, 3);
        apart = after = start;
        table->lstm(apart.in[0], n, apart.in[1], apart.c, apart.h);
        table->lstm(after.in[0], n, after.in[1], after.in[1], after.h);
        assert_memory_equal(apart.c, after.in[1], n * sizeof(float));
        assert_memory_equal(apart.h, after.h, n * sizeof(float));
        table->gru(apart.in[1], apart.in[2], apart.in[0], apart.in[3], n, apart.in[4], apart.h);
        table->gru(apart.in[1], apart.in[2], apart.in[0], apart.in[3], n, apart.in[4], apart.in[4]);
        assert_memory_equal(apart.h, apart.in[4], n * sizeof(float));
    }
}

static void test_rows_are_known(void **state)
{
    (void)state;
    assert_null(vecq_gates_kernels_at(-1));
    assert_null(vecq_gates_kernels_at(VECQ_CPU_LEVELS));
    vecq_cpu_set_mask(VECQ_CPU_REF);
    assert_ptr_equal(vecq_gates_kernels_active(), vecq_gates_kernels_at(VECQ_CPU_REF));
    vecq_cpu_set_mask((vecq_cpu_level)(VECQ_CPU_LEVELS - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_known),
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_in_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
