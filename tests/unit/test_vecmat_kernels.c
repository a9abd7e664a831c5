/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel of vecmat.def at every level this processor has, against its contract written down once more.
 * Inputs end at a page that cannot be read; outputs have guard bytes. */
#include "vecq_test.h"

#include <sys/mman.h>

#include "base/rng.h"
#include "kernels/vecmat/vecmat.h"
#include "vecq/cpu.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ROWS         21u
#define COLUMNS      300u
#define MARK         0x5a

static const vecq_cpu_level levels[] = {
#define VECQ_VECMAT_LEVEL(level, table) level,
#include "kernels/vecmat/vecmat.def"
};

static float *fence_end;

static int fence_setup(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE),
           n = (ROWS * COLUMNS * sizeof(float) + page - 1) / page * page;
    unsigned char *p = mmap(NULL, n + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    if (p == MAP_FAILED || mprotect(p, n, PROT_READ | PROT_WRITE) != 0)
        return -1;
    fence_end = (float *)(void *)(p + n);
    return 0;
}

static void check(const vecq_vecmat_kernels *table, size_t rows, size_t n, vecq_rng *rng)
{
    float z[COLUMNS], x[ROWS], got[COLUMNS + 2], want[COLUMNS + 2], *w = fence_end - rows * n;
    size_t i, k;

    memset(got, MARK, sizeof got);
    memset(want, MARK, sizeof want);
    for (i = 0; i < COLUMNS; i++)
        z[i] = (float)vecq_rng_gaussian(rng);
    for (k = 0; k < ROWS; k++)
        x[k] = (float)vecq_rng_gaussian(rng);
    for (i = 0; i < rows * n; i++)
        w[i] = (float)vecq_rng_gaussian(rng);
    for (i = 0; i < n; i++) {
        volatile float sum = z[i];

        for (k = 0; k < rows; k++) {
            volatile float product = x[k] * w[k * n + i];

            sum = sum + product;
        }
        want[1 + i] = sum;
    }
    table->add(z, x, w, rows, n, got + 1);
    if (memcmp(got, want, sizeof got) != 0)
        fail_msg("%s: %zu rows of %zu differ", table->name, rows, n);
    table->add(z, x, w, rows, n, z);
    assert_memory_equal(z, want + 1, n * sizeof *z);
}

static void test_add(void **state)
{
    static const size_t columns[] = {0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 208, 256, 300};
    size_t level, rows, i;
    vecq_rng rng;

    (void)state;
    vecq_rng_seed(&rng, 3);
    for (level = 0; level < COUNT(levels); level++) {
        const vecq_vecmat_kernels *table = vecq_vecmat_kernels_at((int)levels[level]);

        assert_non_null(table);
        if (!vecq_cpu_has(levels[level]))
            continue;
        assert_string_equal(table->name, vecq_cpu_level_name(levels[level]));
        for (i = 0; i < COUNT(columns); i++)
            for (rows = 0; rows <= ROWS; rows++)
                check(table, rows, columns[i], &rng);
    }
}

static void test_rows_are_known(void **state)
{
    size_t rows = 0;

    (void)state;
#define VECQ_VECMAT_KERNEL(member) rows++;
#include "kernels/vecmat/vecmat.def"
    assert_int_equal(sizeof(vecq_vecmat_kernels), (rows + 1) * sizeof(void *));
    assert_null(vecq_vecmat_kernels_at(-1));
    assert_null(vecq_vecmat_kernels_at(VECQ_CPU_LEVELS));
    vecq_cpu_set_mask(VECQ_CPU_REF);
    assert_ptr_equal(vecq_vecmat_kernels_active(), vecq_vecmat_kernels_at(VECQ_CPU_REF));
    vecq_cpu_set_mask((vecq_cpu_level)(VECQ_CPU_LEVELS - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows_are_known), cmocka_unit_test(test_add)};

    return cmocka_run_group_tests(tests, fence_setup, NULL);
}
