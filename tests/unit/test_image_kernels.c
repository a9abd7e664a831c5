/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel of image.def at every level this processor has, against its contract written down once more,
 * one element at a time. Inputs end at a page that cannot be read; outputs have guard bytes. */
#include "vecq_test.h"

#include <math.h>
#include <sys/mman.h>

#include "base/rng.h"
#include "kernels/image/image.h"
#include "vecq/cpu.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ITEMS        20000u
#define CHANNELS     70u
#define MARK         0x5a

static const vecq_cpu_level levels[] = {
#define VECQ_IMAGE_LEVEL(level, table) level,
#include "kernels/image/image.def"
};

static int each_level(size_t *i, const vecq_image_kernels **table)
{
    for (; *i < COUNT(levels); ++*i)
        if (vecq_cpu_has(levels[*i])) {
            *table = vecq_image_kernels_at((int)levels[*i]);
            assert_non_null(*table);
            assert_string_equal((*table)->name, vecq_cpu_level_name(levels[*i]));
            ++*i;
            return 1;
        }
    return 0;
}

static unsigned char *fence_end;
static float floats[ITEMS], got[ITEMS], want[ITEMS];
static int32_t at[2][ITEMS];
static float parts[ITEMS];

static int fence_setup(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (ITEMS * sizeof(float) + page - 1) / page * page;
    unsigned char *p = mmap(NULL, n + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    vecq_rng rng;
    size_t i;

    (void)state;
    if (p == MAP_FAILED || mprotect(p, n, PROT_READ | PROT_WRITE) != 0)
        return -1;
    fence_end = p + n;
    vecq_rng_seed(&rng, 7);
    for (i = 0; i < ITEMS; i++) {
        floats[i] = (float)(3 + vecq_rng_gaussian(&rng));
        parts[i] = (float)vecq_rng_uniform(&rng);
    }
    return 0;
}

/* The last n floats before the fence. */
static float *fenced(const float *items, size_t n)
{
    return n == 0 ? (float *)(void *)fence_end
                  : memcpy(fence_end - n * sizeof *items, items, n * sizeof *items);
}

static void clear(void)
{
    memset(got, MARK, sizeof got);
    memset(want, MARK, sizeof want);
}

static void assert_same(const char *level, const char *what, size_t n, size_t m)
{
    if (memcmp(got, want, sizeof got) != 0)
        fail_msg("%s: %s differs, %zu, %zu", level, what, n, m);
}

static const size_t sizes[] = {0, 1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 65, 70};
static const size_t pixels[] = {0, 1, 2, 63, 64, 65, 131};

static void test_rows_are_known(void **state)
{
    const vecq_image_kernels *table;
    size_t level, rows = 0;

    (void)state;
#define VECQ_IMAGE_KERNEL(member) rows++;
#include "kernels/image/image.def"
    assert_int_equal(sizeof(vecq_image_kernels), (rows + 1) * sizeof(void *));
    for (level = 0; each_level(&level, &table);) {
#define VECQ_IMAGE_KERNEL(member) assert_true(table->member != NULL);
#include "kernels/image/image.def"
    }
    assert_null(vecq_image_kernels_at(-1));
    assert_null(vecq_image_kernels_at(VECQ_CPU_LEVELS));
    vecq_cpu_set_mask(VECQ_CPU_REF);
    assert_ptr_equal(vecq_image_kernels_active(), vecq_image_kernels_at(VECQ_CPU_REF));
    vecq_cpu_set_mask((vecq_cpu_level)(VECQ_CPU_LEVELS - 1));
}

/* x ends at the fence although the last pixel has no more than its n channels. */
static void test_sums(void **state)
{
    const vecq_image_kernels *table;
    size_t level, s, p, i, k;

    (void)state;
    for (level = 0; each_level(&level, &table);)
        for (s = 0; s < COUNT(sizes); s++)
            for (p = 0; p < COUNT(pixels); p++) {
                size_t n = sizes[s], stride = n + p % 3,
                       count = n == 0 || pixels[p] == 0 ? 0 : (pixels[p] - 1) * stride + n;
                const float *x = fenced(floats, count);
                double sum[CHANNELS + 2], square[CHANNELS + 2], sums[CHANNELS + 2], squares[CHANNELS + 2];

                for (i = 0; i < CHANNELS + 2; i++)
                    sums[i] = sum[i] = squares[i] = square[i] = (double)i * 0.1;
                table->sums(x, pixels[p], stride, n, parts, sum, square);
                for (i = 0; i < n; i++)
                    for (k = 0; k < pixels[p]; k++) {
                        double d = (double)x[k * stride + i] - (double)parts[i];

                        sums[i] += d;
                        squares[i] += d * d;
                    }
                if (memcmp(sum, sums, sizeof sum) != 0 || memcmp(square, squares, sizeof square) != 0)
                    fail_msg("%s: sums differ, %zu pixels of %zu", table->name, pixels[p], n);
            }
}

static void test_row_sums(void **state)
{
    static const size_t lengths[] = {0, 1, 5, 15, 16, 17, 32, 100, 1000, 4097};
    const vecq_image_kernels *table;
    size_t level, s, i, width;

    (void)state;
    for (level = 0; each_level(&level, &table);)
        for (s = 0; s < COUNT(lengths); s++) {
            double lanes[16] = {0}, squares[16] = {0}, sum = 2, square = 3;
            const float *x = fenced(floats, lengths[s]);

            for (i = 0; i < lengths[s]; i++) {
                double d = (double)x[i] - 2.5;

                lanes[i % 16] += d;
                squares[i % 16] += d * d;
            }
            for (width = 8; width > 0; width /= 2)
                for (i = 0; i < width; i++) {
                    lanes[i] += lanes[i + width];
                    squares[i] += squares[i + width];
                }
            table->row_sums(x, lengths[s], 2.5f, &sum, &square);
            assert_true(sum == 2 + lanes[0] && square == 3 + squares[0]);
        }
}

static float oracle_affine(float x, float a, float b, float low)
{
    volatile float product = x * a; /* rounded */
    float y = product + b;

    return y < low ? low : y;
}

static void test_affine(void **state)
{
    static const float lows[] = {-INFINITY, 0, 4.25f};
    const vecq_image_kernels *table;
    size_t level, s, p, i, k, l;

    (void)state;
    floats[3] = NAN;
    for (level = 0; each_level(&level, &table);)
        for (s = 0; s < COUNT(sizes); s++)
            for (p = 0; p < COUNT(pixels); p++)
                for (l = 0; l < COUNT(lows); l++) {
                    size_t n = sizes[s], stride = n + p % 3, first = l,
                           count = n == 0 || pixels[p] == 0 ? 0 : (pixels[p] - 1) * stride + n;
                    float *x = fenced(floats, count);

                    clear();
                    for (k = 0; k < pixels[p]; k++)
                        for (i = 0; i < n; i++)
                            want[first + k * stride + i] =
                                oracle_affine(x[k * stride + i], parts[i] - 0.5f, parts[i + 100], lows[l]);
                    for (i = 0; i < n; i++)
                        parts[200 + i] = parts[i] - 0.5f;
                    table->affine(x, pixels[p], stride, n, parts + 200, parts + 100, lows[l], got + first);
                    assert_same(table->name, "affine", n, pixels[p]);
                    table->affine(x, pixels[p], stride, n, parts + 200, parts + 100, lows[l], x);
                    for (k = 0; k < pixels[p]; k++)
                        assert_memory_equal(x + k * stride, want + first + k * stride, n * sizeof *x);
                }
    floats[3] = 0;
}

static void test_rows(void **state)
{
    const vecq_image_kernels *table;
    size_t level, s, i, which;

    (void)state;
    for (level = 0; each_level(&level, &table);)
        for (s = 0; s < COUNT(sizes); s++) {
            size_t n = sizes[s];
            float *x = fenced(floats, n);

            clear();
            for (i = 0; i < n; i++)
                want[1 + i] = oracle_affine(x[i], -1.5f, 3, 0);
            table->row_affine(x, n, -1.5f, 3, 0, got + 1);
            assert_same(table->name, "row_affine", n, 0);
            for (which = 0; which < 4; which++) {
                const float *scale = which & 1 ? parts : NULL, *bias = which & 2 ? parts + 300 : NULL;

                clear();
                x = fenced(floats, n);
                for (i = 0; i < n; i++) {
                    volatile float y = (x[i] - 2.5f) * 0.75f;

                    if (scale != NULL)
                        y = y * scale[i];
                    want[1 + i] = bias != NULL ? y + bias[i] : y;
                }
                table->row_norm(x, n, 2.5f, 0.75f, scale, bias, got + 1);
                assert_same(table->name, "row_norm", n, which);
                table->row_norm(x, n, 2.5f, 0.75f, scale, bias, x);
                assert_memory_equal(x, want + 1, n * sizeof *x);
            }
        }
}

static void test_pick_and_blend(void **state)
{
    const vecq_image_kernels *table;
    size_t level, s, p, i, k;

    (void)state;
    for (level = 0; each_level(&level, &table);)
        for (s = 1; s < COUNT(sizes); s++)
            for (p = 1; p < COUNT(pixels); p++) {
                size_t inner = sizes[s], n = pixels[p], m = 40;
                const float *x = fenced(floats, m * inner);

                for (i = 0; i < n; i++) {
                    at[0][i] = (int32_t)((i * 7) % m);
                    at[1][i] = (int32_t)(i + 1 == n ? m - 1 : (i * 11) % m);
                }
                clear();
                for (i = 0; i < n; i++)
                    for (k = 0; k < inner; k++)
                        want[1 + i * inner + k] =
                            x[(size_t)at[0][i] * inner + k] +
                            (x[(size_t)at[1][i] * inner + k] - x[(size_t)at[0][i] * inner + k]) * parts[i];
                table->blend_pixels(x, at[0], at[1], parts, n, inner, got + 1);
                assert_same(table->name, "blend_pixels", n, inner);
                clear();
                for (i = 0; i < n; i++) {
                    at[1][i] = i % 5 == 3 ? -1 : at[1][i];
                    for (k = 0; k < inner; k++)
                        want[1 + i * inner + k] = at[1][i] < 0 ? 9.5f : x[(size_t)at[1][i] * inner + k];
                }
                table->pick(x, at[1], n, inner, 9.5f, got + 1);
                assert_same(table->name, "pick", n, inner);
                clear();
                x = fenced(floats, n);
                for (i = 0; i < n; i++)
                    want[1 + i] = x[i] + (parts[i] - x[i]) * 0.3f;
                table->blend(x, parts, n, 0.3f, got + 1);
                assert_same(table->name, "blend", n, 0);
            }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_known), cmocka_unit_test(test_sums),
        cmocka_unit_test(test_row_sums),       cmocka_unit_test(test_affine),
        cmocka_unit_test(test_rows),           cmocka_unit_test(test_pick_and_blend),
    };

    return cmocka_run_group_tests_name("image kernels", tests, fence_setup, NULL);
}
