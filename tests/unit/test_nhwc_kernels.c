/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel of nhwc.def at every level this processor has, against its contract written down once more,
 * one element at a time. Inputs end at a page that cannot be read; outputs have guard bytes. */
#include "vecq_test.h"

#include <float.h>
#include <math.h>
#include <sys/mman.h>

#include "base/rng.h"
#include "kernels/nhwc/nhwc.h"
#include "vecq/cpu.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ITEMS        60000u
#define MARK         0x5a

static const vecq_cpu_level levels[] = {
#define VECQ_NHWC_LEVEL(level, table) level,
#include "kernels/nhwc/nhwc.def"
};

static int each_level(size_t *i, const vecq_nhwc_kernels **table)
{
    for (; *i < COUNT(levels); ++*i)
        if (vecq_cpu_has(levels[*i])) {
            *table = vecq_nhwc_kernels_at((int)levels[*i]);
            assert_non_null(*table);
            assert_string_equal((*table)->name, vecq_cpu_level_name(levels[*i]));
            ++*i;
            return 1;
        }
    return 0;
}

static unsigned char *fence_end;
static float floats[ITEMS], got_floats[ITEMS], want_floats[ITEMS];
static uint8_t bytes[ITEMS], got_bytes[ITEMS], want_bytes[ITEMS];

static int fence_setup(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (ITEMS * sizeof(float) + page - 1) / page * page;
    unsigned char *p = mmap(NULL, n + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    if (p == MAP_FAILED || mprotect(p, n, PROT_READ | PROT_WRITE) != 0)
        return -1;
    fence_end = p + n;
    return 0;
}

static void *fenced(const void *items, size_t n_bytes)
{
    return n_bytes == 0 ? (void *)fence_end : memcpy(fence_end - n_bytes, items, n_bytes);
}

static void fill(vecq_rng *rng, double size)
{
    size_t i;

    for (i = 0; i < ITEMS; i++) {
        floats[i] = (float)(size * vecq_rng_gaussian(rng));
        if (vecq_rng_below(rng, 4) == 0) /* ties, and what lies beside them */
            floats[i] = (float)((double)vecq_rng_below(rng, 300) - 150.0 + 0.5) * 0.03125f;
        bytes[i] = (uint8_t)vecq_rng_below(rng, 256);
    }
}

static void clear(void)
{
    memset(got_floats, MARK, sizeof got_floats);
    memset(want_floats, MARK, sizeof want_floats);
    memset(got_bytes, MARK, sizeof got_bytes);
    memset(want_bytes, MARK, sizeof want_bytes);
}

static void assert_same(const char *level, const char *what, size_t n)
{
    if (memcmp(got_floats, want_floats, sizeof got_floats) != 0 ||
        memcmp(got_bytes, want_bytes, sizeof got_bytes) != 0)
        fail_msg("%s: %s differs, %zu", level, what, n);
}

static uint8_t oracle_byte(float x, const vecq_nhwc_grid *g)
{
    double r = rint((double)(x / g->scale)) + g->zero;

    return (uint8_t)(!(r > g->low) ? g->low : r > g->high ? g->high : r);
}

static const size_t sizes[] = {0, 1, 2, 3, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 1000};
static const vecq_nhwc_grid grids[] = {
    {0.03125f, 128, 0, 255}, {0.017f, 0, 0, 255}, {1.0f, 255, 3, 200}, {1e-30f, 7, 0, 255}};

static void test_rows_are_known(void **state)
{
    const vecq_nhwc_kernels *table;
    size_t level, rows = 0;

    (void)state;
#define VECQ_NHWC_KERNEL(member) rows++;
#include "kernels/nhwc/nhwc.def"
    assert_int_equal(sizeof(vecq_nhwc_kernels), (rows + 1) * sizeof(void *));
    for (level = 0; each_level(&level, &table);) {
#define VECQ_NHWC_KERNEL(member) assert_true(table->member != NULL);
#include "kernels/nhwc/nhwc.def"
    }
    assert_null(vecq_nhwc_kernels_at(-1));
    assert_null(vecq_nhwc_kernels_at(VECQ_CPU_LEVELS));
    vecq_cpu_set_mask(VECQ_CPU_REF);
    assert_ptr_equal(vecq_nhwc_kernels_active(), vecq_nhwc_kernels_at(VECQ_CPU_REF));
    vecq_cpu_set_mask((vecq_cpu_level)(VECQ_CPU_LEVELS - 1));
}

static void test_range(void **state)
{
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    const vecq_nhwc_kernels *table;
    size_t level, s, i, at;
    vecq_nhwc_range r;
    vecq_rng rng;

    (void)state;
    vecq_rng_seed(&rng, 1);
    fill(&rng, 2.0);
    floats[40] = FLT_MAX;
    floats[41] = -FLT_MAX;
    for (level = 0; each_level(&level, &table);)
        for (s = 0; s < COUNT(sizes); s++) {
            float min = 0.0f, max = 0.0f, *x = fenced(floats, sizes[s] * sizeof *floats);

            for (i = 0; i < sizes[s]; i++) {
                min = fminf(min, floats[i]);
                max = fmaxf(max, floats[i]);
            }
            table->range(x, sizes[s], &r);
            assert_true(r.min == min && r.max == max && r.finite == 1);
            for (at = 0; at < sizes[s]; at += at < 140 ? 1 : 97) {
                x[at] = bad[at % 4];
                table->range(x, sizes[s], &r);
                assert_int_equal(r.finite, 0);
                x[at] = floats[at];
            }
        }
}

static void test_flat(void **state)
{
    const vecq_nhwc_kernels *table;
    size_t level, s, g, i;
    vecq_rng rng;

    (void)state;
    vecq_rng_seed(&rng, 2);
    fill(&rng, 2.0);
    floats[0] = NAN;
    floats[5] = INFINITY;
    floats[6] = -INFINITY;
    floats[7] = -0.0f;
    for (level = 0; each_level(&level, &table);)
        for (s = 0; s < COUNT(sizes); s++)
            for (g = 0; g < COUNT(grids); g++) {
                clear();
                for (i = 0; i < sizes[s]; i++) {
                    want_bytes[i + 7] = oracle_byte(floats[i], &grids[g]);
                    want_floats[i + 5] = 0.3f * (float)((int)bytes[i] - grids[g].zero);
                }
                table->quantize(fenced(floats, sizes[s] * sizeof *floats), sizes[s], &grids[g],
                                got_bytes + 7);
                table->dequantize(fenced(bytes, sizes[s]), sizes[s], 0.3f, grids[g].zero, got_floats + 5);
                assert_same(table->name, "flat", sizes[s]);
            }
}

static void test_sums(void **state)
{
    const vecq_nhwc_kernels *table;
    size_t level, s, g, i;
    vecq_rng rng;

    (void)state;
    vecq_rng_seed(&rng, 5);
    fill(&rng, 2.0);
    for (level = 0; each_level(&level, &table);)
        for (s = 0; s < COUNT(sizes); s++)
            for (g = 0; g < COUNT(grids); g++) {
                uint8_t *x = fenced(bytes, 2 * sizes[s]);
                vecq_nhwc_term a = {x, g % 2 ? 0.0625f : 0.0193f, 11}, b = {x + sizes[s], 0.03125f, 200};

                clear();
                for (i = 0; i < sizes[s]; i++) {
                    float first = a.scale * (float)((int)a.q[i] - 11);
                    float second = b.scale * (float)((int)b.q[i] - 200);

                    want_bytes[i + 3] = oracle_byte(first + second, &grids[g]);
                }
                table->add_bytes(&a, &b, sizes[s], &grids[g], got_bytes + 3);
                table->add_bytes(&a, &b, sizes[s], &grids[g], x); /* in place */
                assert_memory_equal(x, want_bytes + 3, sizes[s]);
                assert_same(table->name, "sum", sizes[s]);
            }
}

static void test_affine(void **state)
{
    static const size_t channels[] = {1, 3, 16, 63, 64, 65, 150};
    const vecq_nhwc_kernels *table;
    size_t level, k, g, i, j;
    float bias[150];
    vecq_rng rng;

    (void)state;
    vecq_rng_seed(&rng, 6);
    fill(&rng, 1.0);
    for (i = 0; i < COUNT(bias); i++)
        bias[i] = floorf(64 * (float)vecq_rng_gaussian(&rng)) / 64;
    for (level = 0; each_level(&level, &table);)
        for (k = 0; k < COUNT(channels); k++)
            for (g = 0; g < COUNT(grids); g++) {
                size_t c = channels[k], pixels = 1 + k % 3;
                uint8_t *x = fenced(bytes, pixels * c);

                clear();
                for (i = 0; i < pixels; i++)
                    for (j = 0; j < c; j++)
                        want_bytes[3 + i * c + j] = oracle_byte(
                            fmaf((float)((int)bytes[i * c + j] - 77), floats[j] * 0.01f, bias[j]), &grids[g]);
                for (j = 0; j < c; j++)
                    got_floats[j] = want_floats[j] = floats[j] * 0.01f;
                table->affine_bytes(x, 77, got_floats, bias, pixels, c, &grids[g], got_bytes + 3);
                assert_same(table->name, "affine", c);
            }
}

static void test_transpose(void **state)
{
    static const size_t rows[] = {1, 2, 3, 3, 4, 16, 31, 32, 33, 70},
                        cols[] = {1, 5, 31, 32, 33, 49, 100, 129};
    const vecq_nhwc_kernels *table;
    size_t level, a, b, i, j;
    vecq_rng rng;

    (void)state;
    vecq_rng_seed(&rng, 3);
    fill(&rng, 2.0);
    for (level = 0; each_level(&level, &table);)
        for (a = 0; a < COUNT(rows); a++)
            for (b = 0; b < COUNT(cols); b++) {
                size_t n = rows[a], m = cols[b], from = m + a % 3, to = n + b % 4, all = (n - 1) * from + m;

                clear();
                for (i = 0; i < n; i++)
                    for (j = 0; j < m; j++) {
                        want_floats[3 + j * to + i] = floats[i * from + j];
                        want_floats[30000 + j * to + i] = 0.7f * (float)((int)bytes[i * from + j] - 9);
                        want_bytes[1 + j * to + i] =
                            oracle_byte(floats[i * from + j], &grids[a % COUNT(grids)]);
                    }
                table->transpose(fenced(floats, all * sizeof *floats), n, m, from, got_floats + 3, to);
                table->transpose_quantize(fenced(floats, all * sizeof *floats), n, m, from,
                                          &grids[a % COUNT(grids)], got_bytes + 1, to);
                table->transpose_dequantize(fenced(bytes, all), n, m, from, 0.7f, 9, got_floats + 30000, to);
                assert_same(table->name, "transposed", n * 1000 + m);
            }
}

/* ---- pooling ---- */

static const vecq_nhwc_pool pools[] = {
    {2, 7, 6, 5, 7, 6, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0},
    {1, 7, 6, 64, 4, 3, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 0, 0},
    {1, 9, 8, 17, 5, 4, 2, 3, 2, 2, 1, 1, 0, 1, 1, 0, 1, 0, 0},
    {2, 7, 7, 300, 1, 1, 7, 7, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0},
    {1, 8, 9, 33, 4, 3, 3, 2, 1, 2, 2, 3, 0, 0, 0, 0, 0, 0, 0},
    {1, 5, 5, 3, 3, 3, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, 1, 0, 0}, /* the last window hangs over: ceil_mode */
    {1, 6, 6, 1, 5, 5, 4, 4, 1, 1, 1, 1, 1, 2, 2, 1, 1, 0, 0},
    {2, 7, 6, 5, 7, 6, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 0, 41, 300},
};

typedef struct pooled {
    float max, sum;
    int byte_max, byte_sum;
    size_t inside, padded;
} pooled;

static pooled oracle_pool(const vecq_nhwc_pool *p, size_t row, size_t column, size_t c, int zero)
{
    pooled r = {-INFINITY, 0.0f, 0, 0, 0, 0};
    size_t i, j;

    for (i = 0; i < p->kh; i++)
        for (j = 0; j < p->kw; j++) {
            size_t y = row % p->oh * p->stride_h + i * p->dilation_h,
                   x = column * p->stride_w + j * p->dilation_w, at;

            r.padded += y < p->top + p->h + p->bottom && x < p->left + p->w + p->right;
            if (y < p->top || y >= p->top + p->h || x < p->left || x >= p->left + p->w)
                continue;
            at = ((row / p->oh * p->h + y - p->top) * p->w + x - p->left) * p->c + c;
            r.max = fmaxf(r.max, floats[at]);
            r.sum += floats[at];
            r.byte_max = bytes[at] > r.byte_max ? bytes[at] : r.byte_max;
            r.byte_sum += bytes[at] - zero;
            r.inside++;
        }
    return r;
}

enum pool_kind { MAX_BYTES, MAX_FLOATS, AVERAGE_FLOATS, AVERAGE_BYTES, POOL_KINDS };

static void check_pool(const vecq_nhwc_kernels *table, const vecq_nhwc_pool *p, enum pool_kind kind)
{
    const vecq_nhwc_grid *grid = &grids[0];
    size_t rows = p->n * p->oh, split = rows / 2, all = p->n * p->h * p->w * p->c, row, column, c;
    const float *x =
        kind == MAX_FLOATS || kind == AVERAGE_FLOATS ? fenced(floats, all * sizeof *floats) : NULL;
    const uint8_t *b = x == NULL ? fenced(bytes, all) : NULL;
    size_t cut[3] = {0, split, rows}, i;

    clear();
    for (row = 0; row < rows; row++)
        for (column = 0; column < p->ow; column++)
            for (c = 0; c < p->c; c++) {
                pooled r = oracle_pool(p, row, column, c, 77);
                float count = (float)(p->count_padding ? r.padded : r.inside);
                size_t to = p->y_row > 0
                                ? row / p->oh * p->y_image + row % p->oh * p->y_row + column * p->c + c
                                : (row * p->ow + column) * p->c + c;

                if (kind == MAX_BYTES)
                    want_bytes[to] = (uint8_t)r.byte_max;
                else if (kind == MAX_FLOATS)
                    want_floats[to] = r.max;
                else if (kind == AVERAGE_FLOATS)
                    want_floats[to] = r.sum / count;
                else
                    want_bytes[to] = oracle_byte((float)r.byte_sum / count * 0.02f, grid);
            }
    for (i = 0; i < 2; i++)
        if (kind == MAX_BYTES)
            table->max_bytes(p, b, cut[i], cut[i + 1], got_bytes);
        else if (kind == MAX_FLOATS)
            table->max_floats(p, x, cut[i], cut[i + 1], got_floats);
        else if (kind == AVERAGE_FLOATS)
            table->average_floats(p, x, cut[i], cut[i + 1], got_floats);
        else
            table->average_bytes(p, b, 0.02f, 77, cut[i], cut[i + 1], grid, got_bytes);
    assert_same(table->name, "pooling", kind);
}

static void test_pools(void **state)
{
    const vecq_nhwc_kernels *table;
    size_t level, i;
    int kind;
    vecq_rng rng;

    (void)state;
    vecq_rng_seed(&rng, 4);
    fill(&rng, 1.0);
    for (level = 0; each_level(&level, &table);)
        for (i = 0; i < COUNT(pools); i++)
            for (kind = 0; kind < POOL_KINDS; kind++)
                check_pool(table, &pools[i], (enum pool_kind)kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_known), cmocka_unit_test(test_range), cmocka_unit_test(test_flat),
        cmocka_unit_test(test_transpose),      cmocka_unit_test(test_sums),  cmocka_unit_test(test_affine),
        cmocka_unit_test(test_pools),
    };

    return cmocka_run_group_tests(tests, fence_setup, NULL);
}
