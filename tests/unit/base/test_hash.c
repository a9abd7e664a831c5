/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "base/hash.h"

static int bits_that_differ(uint64_t a, uint64_t b)
{
    return __builtin_popcountll(a ^ b);
}

static void every_bit_and_the_length_count(void **state)
{
    unsigned char data[100];
    size_t n, i;
    long flips = 0, differing = 0;

    (void)state;
    for (i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 37);
    for (n = 0; n <= sizeof data; n++) {
        uint64_t h = vecq_hash(0, data, n);

        assert_int_equal(h, vecq_hash(0, data, n));
        if (n < sizeof data)
            assert_int_not_equal(h, vecq_hash(0, data, n + 1));
        for (i = 0; i < 8 * n; i++) {
            uint64_t other;

            data[i / 8] ^= (unsigned char)(1u << i % 8);
            other = vecq_hash(0, data, n);
            data[i / 8] ^= (unsigned char)(1u << i % 8);
            assert_int_not_equal(other, h);
            differing += bits_that_differ(h, other);
            flips++;
        }
    }
    assert_true(differing > 31 * flips && differing < 33 * flips); /* half of 64 on average */
}

static void zeros_of_different_length_differ(void **state)
{
    static const unsigned char zeros[64];
    uint64_t seen[65];
    size_t i, j;

    (void)state;
    for (i = 0; i <= 64; i++) {
        seen[i] = vecq_hash(0, zeros, i);
        for (j = 0; j < i; j++)
            assert_int_not_equal(seen[i], seen[j]);
    }
}

static void continues_and_ignores_alignment(void **state)
{
    char text[2][80] = {"the quick brown fox jumps over the lazy dog", ""};
    uint64_t h = vecq_hash(0, text[0], 43);
    size_t shift;

    (void)state;
    for (shift = 1; shift < 16; shift++) {
        memcpy(text[1] + shift, text[0], 43);
        assert_int_equal(vecq_hash(0, text[1] + shift, 43), h);
    }
    assert_int_equal(vecq_hash(vecq_hash(0, "ab", 2), "c", 1), vecq_hash(vecq_hash(0, "ab", 2), "c", 1));
    assert_int_not_equal(vecq_hash(vecq_hash(0, "ab", 2), "c", 1), vecq_hash(vecq_hash(0, "c", 1), "ab", 2));
    assert_int_not_equal(vecq_hash(1, "ab", 2), vecq_hash(0, "ab", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_and_the_length_count),
        cmocka_unit_test(zeros_of_different_length_differ),
        cmocka_unit_test(continues_and_ignores_alignment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
