/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels that are only timed: that they do the work they claim, at every level this processor has. */
#include "vecq_test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "kernels/peak/peak.h"
#include "vecq/cpu.h"

static const vecq_cpu_level levels[] = {
#define VECQ_PEAK_LEVEL(level, table) level,
#include "kernels/peak/peak.def"
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int each_level(size_t *i, const vecq_peak_kernels **table)
{
    for (; *i < COUNT(levels); ++*i)
        if (vecq_cpu_has(levels[*i])) {
            *table = vecq_peak_kernels_at((int)levels[*i]);
            assert_non_null(*table);
            ++*i;
            return 1;
        }
    return 0;
}

/* Chains go to 2 or grow slowly: never to numbers that take longer. */
static void test_chains_stay_ordinary(void **state)
{
    const vecq_peak_kernels *table;
    size_t level;

    (void)state;
    for (level = 0; each_level(&level, &table);) {
        float sum = table->fma(1000);

        assert_true(table->fma_macs > 0 && table->dot_macs > 0);
        assert_true(sum >= 2.0f && sum < 1e6f);
    }
}

/* Sums of products differ from round to round, so none is left out. */
static void test_rounds_count(void **state)
{
    const vecq_peak_kernels *table;
    size_t level;

    (void)state;
    for (level = 0; each_level(&level, &table);)
        assert_int_not_equal(table->dot(4), table->dot(5));
}

/* Memory up to a page that cannot be read; a bit that changes changes the result. */
static void test_reads_what_it_says(void **state)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 3072;
    unsigned char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                  *from;
    const vecq_peak_kernels *table;
    size_t level, i;

    (void)state;
    assert_true(p != MAP_FAILED && page >= n);
    assert_int_equal(mprotect(p + page, page, PROT_NONE), 0);
    from = p + page - n;
    for (level = 0; each_level(&level, &table);)
        for (i = 0; i < n; i += 64) { /* the first lane of every register is kept */
            uint64_t before = table->read(from, n);

            from[i] ^= 1;
            assert_true(table->read(from, n) != before);
        }
    munmap(p, 2 * page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains_stay_ordinary),
        cmocka_unit_test(test_rounds_count),
        cmocka_unit_test(test_reads_what_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
