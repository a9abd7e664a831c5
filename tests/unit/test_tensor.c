/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <float.h>
#include <math.h>

#include "base/rng.h"
#include "tensor/tensor.h"

static uint32_t bits_of(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

/* Value of a small float from its definition: (1 +) m * 2^(e - bias - p). */
static double small_value(uint16_t h, int exponent_bits, int mantissa_bits)
{
    int bias = (1 << (exponent_bits - 1)) - 1, e = h >> mantissa_bits & ((1 << exponent_bits) - 1);
    int m = h & ((1 << mantissa_bits) - 1);
    double value;

    if (e == (1 << exponent_bits) - 1)
        value = m != 0 ? NAN : INFINITY;
    else if (e == 0)
        value = ldexp(m, 1 - bias - mantissa_bits);
    else
        value = ldexp(m + (1 << mantissa_bits), e - bias - mantissa_bits);
    return h & 0x8000 ? -value : value;
}

static void test_halves_exact(void **state)
{
    uint32_t h;

    (void)state;
    for (h = 0; h < 65536; h++) {
        float f = vecq_f16_to_f32((uint16_t)h), b = vecq_bf16_to_f32((uint16_t)h);
        double f_want = small_value((uint16_t)h, 5, 10), b_want = small_value((uint16_t)h, 8, 7);

        assert_true(isnan(f_want) ? isnan(f) : (double)f == f_want);
        assert_int_equal(signbit(f) != 0, h >> 15);
        assert_true(isnan(b_want) ? isnan(b) : (double)b == b_want);
        assert_int_equal(signbit(b) != 0, h >> 15);
        if (isnan(f)) {
            assert_int_equal(vecq_f32_to_f16(f), h | 0x200); /* quiet, same sign and payload */
        } else {
            assert_int_equal(vecq_f32_to_f16(f), h);
        }
        if (isnan(b)) {
            assert_int_equal(vecq_f32_to_bf16(b), h | 0x40);
        } else {
            assert_int_equal(vecq_f32_to_bf16(b), h);
        }
    }
}

/* Nearest value, ties to even, by the definition; used around every boundary between neighbours. */
static void check_midpoints(uint16_t (*encode)(float), int exponent_bits, int mantissa_bits, uint16_t last)
{
    uint16_t h;

    for (h = 0; h < last; h++) {
        double low = small_value(h, exponent_bits, mantissa_bits);
        double high = small_value((uint16_t)(h + 1), exponent_bits, mantissa_bits), middle;
        uint16_t even = (uint16_t)(h + (h & 1));
        float tie;

        if (isinf(high)) /* as if the exponents went on */
            high = 2 * low - small_value((uint16_t)(h - 1), exponent_bits, mantissa_bits);
        middle = low + (high - low) / 2;
        tie = (float)middle;
        assert_true((double)tie == middle);
        assert_int_equal(encode(tie), even);
        assert_int_equal(encode(-tie), even | 0x8000);
        assert_int_equal(encode(nextafterf(tie, 0.0f)), h);
        assert_int_equal(encode(nextafterf(tie, INFINITY)), h + 1);
    }
    assert_int_equal(encode(INFINITY), last);
    assert_int_equal(encode(-INFINITY), last | 0x8000);
    assert_int_equal(encode(FLT_MAX), last);
    assert_int_equal(encode(FLT_TRUE_MIN * 0), 0);
    assert_int_equal(encode(-0.0f), 0x8000);
}

static void test_rounding(void **state)
{
    (void)state;
    check_midpoints(vecq_f32_to_f16, 5, 10, 0x7c00);
    check_midpoints(vecq_f32_to_bf16, 8, 7, 0x7f80);
}

#ifdef __FLT16_MAX__
__extension__ typedef _Float16 native_half;
#endif

/* Against the compiler's own conversion, over bit patterns of all floats. */
static void test_against_compiler(void **state)
{
#ifdef __FLT16_MAX__
    vecq_rng rng;
    uint32_t i;

    (void)state;
    vecq_rng_seed(&rng, 5);
    for (i = 0; i < 8000000; i++) {
        uint32_t u = i < 4000000 ? i * 1073u : (uint32_t)vecq_rng_u64(&rng);
        float f = float_of(u);
        native_half native = (native_half)f;
        uint16_t want;

        memcpy(&want, &native, sizeof want);
        if (isnan(f)) {
            assert_true(isnan(vecq_f16_to_f32(vecq_f32_to_f16(f))));
        } else {
            assert_int_equal(vecq_f32_to_f16(f), want);
        }
    }
#else
    (void)state;
    print_message("the compiler has no _Float16\n");
    skip();
#endif
}

static void test_nan_stays_nan(void **state)
{
    uint32_t u;

    (void)state;
    for (u = 0x7f800001u; u < 0x80000000u; u += 0x3ff) {
        assert_true(isnan(vecq_f16_to_f32(vecq_f32_to_f16(float_of(u)))));
        assert_true(isnan(vecq_bf16_to_f32(vecq_f32_to_bf16(float_of(u | 0x80000000u)))));
    }
    assert_true(isnan(vecq_f16_to_f32(vecq_f32_to_f16(float_of(0x7fffffffu)))));
    assert_true(isnan(vecq_bf16_to_f32(vecq_f32_to_bf16(float_of(0x7fffffffu)))));
}

static void test_convert_arrays(void **state)
{
    static const vecq_dtype dtypes[] = {VECQ_DT_FLOAT, VECQ_DT_FLOAT16, VECQ_DT_BFLOAT16, VECQ_DT_DOUBLE};
    float src[33], dst[33];
    unsigned char bytes[33 * 8 + 1];
    size_t d, i;

    (void)state;
    for (i = 0; i < 33; i++)
        src[i] = ((float)i - 16.0f) * 0.25f;
    for (d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
        memset(bytes, 0xee, sizeof bytes);
        vecq_convert_from_f32(dtypes[d], src, bytes + 1, 33); /* unaligned on purpose */
        assert_int_equal(bytes[0], 0xee);
        memset(dst, 0, sizeof dst);
        vecq_convert_to_f32(dtypes[d], bytes + 1, dst, 33);
        assert_memory_equal(src, dst, sizeof src);
        vecq_convert_to_f32(dtypes[d], NULL, NULL, 0);
        vecq_convert_from_f32(dtypes[d], NULL, NULL, 0);
    }
}

static void test_double_to_float(void **state)
{
    const double src[] = {1e300, -1e300, 1.0 + 0x1p-24, 1.0 + 0x1.8p-23, 0x1p-150, NAN, 3.5};
    float dst[7];

    (void)state;
    vecq_convert_to_f32(VECQ_DT_DOUBLE, src, dst, 7);
    assert_true(dst[0] == INFINITY && dst[1] == -INFINITY);
    assert_int_equal(bits_of(dst[2]), bits_of(1.0f));
    assert_int_equal(bits_of(dst[3]), bits_of(1.0f + 0x1p-22f));
    assert_true(dst[4] == 0.0f && isnan(dst[5]) && dst[6] == 3.5f);
}

/* One element at a time. */
static void naive_transpose(const unsigned char *src, unsigned char *dst, size_t size, unsigned rank,
                            const int64_t *dims, const unsigned *perm, size_t n)
{
    size_t i;
    unsigned a;

    for (i = 0; i < n; i++) {
        size_t rest = i, index[VECQ_MAX_RANK], to = 0;
        for (a = rank; a-- > 0;) {
            index[a] = rest % (size_t)dims[a];
            rest /= (size_t)dims[a];
        }
        for (a = 0; a < rank; a++)
            to = to * (size_t)dims[perm[a]] + index[perm[a]];
        memcpy(dst + to * size, src + i * size, size);
    }
}

static void check_transpose(vecq_rng *rng, size_t size, unsigned rank, const int64_t *dims,
                            const unsigned *perm)
{
    size_t n, i;
    unsigned char *src, *dst, *want;

    assert_true(vecq_shape_count(dims, rank, &n));
    src = malloc(n * size + 1);
    dst = malloc(n * size + 1);
    want = malloc(n * size + 1);
    assert_true(src != NULL && dst != NULL && want != NULL);
    for (i = 0; i < n * size; i++)
        src[i] = (unsigned char)vecq_rng_u64(rng);
    memset(dst, 0x5a, n * size + 1);
    naive_transpose(src, want, size, rank, dims, perm, n);
    vecq_transpose(src, dst, size, rank, dims, perm);
    assert_memory_equal(dst, want, n * size);
    assert_int_equal(dst[n * size], 0x5a);
    free(src);
    free(dst);
    free(want);
}

static void test_transpose(void **state)
{
    static const size_t sizes[] = {1, 2, 4, 8, 16};
    const int64_t wide[2] = {67, 129}, empty[3] = {2, 0, 3},
                  deep[VECQ_MAX_RANK] = {1, 2, 1, 2, 1, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1};
    const unsigned swap[2] = {1, 0}, turn[3] = {2, 0, 1};
    unsigned perm[VECQ_MAX_RANK], a;
    vecq_rng rng;
    int round;

    (void)state;
    vecq_rng_seed(&rng, 3);
    for (round = 0; round < 3000; round++) {
        unsigned rank = (unsigned)vecq_rng_below(&rng, 7);
        int64_t dims[VECQ_MAX_RANK];
        for (a = 0; a < rank; a++) {
            unsigned at = (unsigned)vecq_rng_below(&rng, a + 1);
            dims[a] = (int64_t)vecq_rng_below(&rng, rank > 4 ? 4 : 7);
            perm[a] = perm[at];
            perm[at] = a;
        }
        check_transpose(&rng, sizes[round % 5], rank, dims, perm);
    }
    for (a = 0; a < 5; a++)
        check_transpose(&rng, sizes[a], 2, wide, swap);
    for (a = 0; a < 5; a++) { /* whole and broken tiles, planes of a batch, both ways round */
        const int64_t batch[3] = {3, 20, 37}, apart[3] = {37, 3, 33}, four[4] = {2, 18, 5, 35};
        const unsigned last_two[3] = {0, 2, 1}, ends[3] = {2, 1, 0}, mixed[4] = {3, 0, 2, 1};

        check_transpose(&rng, sizes[a], 3, batch, last_two);
        check_transpose(&rng, sizes[a], 3, apart, ends);
        check_transpose(&rng, sizes[a], 3, apart, turn);
        check_transpose(&rng, sizes[a], 4, four, mixed);
    }
    check_transpose(&rng, 4, 3, empty, turn);
    for (a = 0; a < VECQ_MAX_RANK; a++)
        perm[a] = (a * 5 + 3) % VECQ_MAX_RANK;
    check_transpose(&rng, 4, VECQ_MAX_RANK, deep, perm);
}

static void test_shape_count(void **state)
{
    const int64_t most[2] = {(int64_t)1 << 47, 1}, over[2] = {(int64_t)1 << 47, 2}, negative[2] = {0, -1};
    const int64_t far[3] = {INT64_MAX, INT64_MAX, INT64_MAX}, wraps[2] = {(int64_t)1 << 32, (int64_t)1 << 32};
    const int64_t empty[3] = {0, INT64_MAX, 0}, fits[3] = {1000, 0, 1000};
    size_t count = 7;

    (void)state;
    assert_true(vecq_shape_count(NULL, 0, &count));
    assert_int_equal(count, 1);
    assert_true(vecq_shape_count(most, 2, &count));
    assert_int_equal(count, (int64_t)1 << 47);
    assert_false(vecq_shape_count(over, 2, &count));
    assert_false(vecq_shape_count(negative, 2, &count));
    assert_false(vecq_shape_count(far, 3, &count));
    assert_false(vecq_shape_count(wraps, 2, &count));
    assert_false(vecq_shape_count(empty, 3, &count)); /* the other dimensions count even when there is a 0 */
    assert_true(vecq_shape_count(fits, 3, &count));
    assert_int_equal(count, 0);
}

static void test_dtypes(void **state)
{
    int d;

    (void)state;
    for (d = -1; d <= VECQ_DT_COUNT; d++) {
        vecq_dtype dtype = (vecq_dtype)d;
        unsigned bits = vecq_dtype_bits(dtype);
        assert_non_null(vecq_dtype_name(dtype));
        assert_int_equal(vecq_dtype_bytes(dtype, 5), (5 * bits + 7) / 8);
        assert_int_equal(vecq_dtype_bytes(dtype, SIZE_MAX), bits <= 1 && bits != 0 ? SIZE_MAX : 0);
    }
    assert_string_equal(vecq_dtype_name((vecq_dtype)-1), "unknown");
    assert_string_equal(vecq_dtype_name(VECQ_DT_COUNT), "unknown");
    assert_int_equal(vecq_dtype_bytes(VECQ_DT_INT4, 0), 0);
    assert_int_equal(vecq_dtype_bytes(VECQ_DT_UINT2, 5), 2);
    assert_true(vecq_dtype_is_weight(VECQ_DT_BFLOAT16));
    assert_false(vecq_dtype_is_weight(VECQ_DT_FLOAT8E5M2));
}

static void *refuse(void *context, size_t n_bytes)
{
    (void)context;
    (void)n_bytes;
    return NULL;
}

static void release(void *context, void *memory)
{
    (void)context;
    free(memory);
}

static void test_create(void **state)
{
    const vecq_allocator none = {refuse, release, NULL};
    const int64_t dims[2] = {3, 5}, negative[1] = {-1}, huge[1] = {(int64_t)1 << 46};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_tensor t, copy;

    (void)state;
    assert_ok(vecq_tensor_create(VECQ_DT_INT4, 2, dims, &t, &err), &err);
    assert_int_equal(t.count, 15);
    assert_int_equal(t.n_bytes, 8);
    memset(t.data, 0x21, t.n_bytes);
    assert_ok(vecq_tensor_copy(&t, &copy, &err), &err);
    assert_memory_equal(copy.data, t.data, 8);
    assert_memory_equal(copy.dims, t.dims, sizeof t.dims);
    vecq_tensor_destroy(&copy);
    vecq_tensor_destroy(&copy);
    assert_int_equal(vecq_tensor_create(VECQ_DT_FLOAT, 1, negative, &copy, &err), VECQ_ERR_FORMAT);
    assert_int_equal(vecq_tensor_create(VECQ_DT_STRING, 2, dims, &copy, NULL), VECQ_ERR_FORMAT);
    assert_int_equal(vecq_tensor_create(VECQ_DT_FLOAT, 17, dims, &copy, NULL), VECQ_ERR_FORMAT);
    vecq_set_allocator(&none);
    assert_int_equal(vecq_tensor_copy(&t, &copy, NULL), VECQ_ERR_MEMORY);
    assert_int_equal(vecq_tensor_create(VECQ_DT_COMPLEX128, 1, huge, &copy, NULL), VECQ_ERR_MEMORY);
    assert_null(copy.data);
    vecq_set_allocator(NULL);
    assert_ok(vecq_tensor_create(VECQ_DT_FLOAT, 0, NULL, &copy, NULL),
              &err); /* a scalar has no dims to copy */
    assert_int_equal(copy.count, 1);
    vecq_tensor_destroy(&copy);
    vecq_tensor_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves_exact),     cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_against_compiler), cmocka_unit_test(test_nan_stays_nan),
        cmocka_unit_test(test_convert_arrays),   cmocka_unit_test(test_double_to_float),
        cmocka_unit_test(test_transpose),        cmocka_unit_test(test_shape_count),
        cmocka_unit_test(test_dtypes),           cmocka_unit_test(test_create),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
