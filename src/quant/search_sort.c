/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Radix sort by the upper bits, from their lowest digit up; the low mantissa bits seldom decide, so what they
 * leave out of order is put right by insertion. When that turns out long (many weights within 2^-14 of each
 * other), all bits are sorted instead. A digit that is the same in all keys costs nothing.
 */
#include "quant/search_sort.h"

#include <string.h>

#define SMALL         48u   /* below, insertion is faster than the histograms */
#define WIDE          1024u /* from here on three digits of 11 bits, before four of 8 */
#define DIGITS_MAX    4u
#define ABSOLUTE_BITS 0x7fffffffu

static uint32_t absolute_bits(float w)
{
    uint32_t bits;

    memcpy(&bits, &w, sizeof bits);
    return bits & ABSOLUTE_BITS;
}

/* Returns 0, with the keys permuted somehow, when more than `budget` moves would be needed. */
static int insertion_sort(vecq_sort_key *keys, size_t n, size_t budget)
{
    size_t i, at;

    for (i = 1; i < n; i++) {
        uint32_t key = keys[i];

        if (keys[i - 1] <= key)
            continue;
        for (at = i; at > 0 && keys[at - 1] > key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
        if (i - at > budget)
            return 0;
        budget -= i - at;
    }
    return 1;
}

/* Turns counts into the places where the values of a digit begin; 0 when all keys have the same digit. */
static int digit_starts(uint32_t *count, unsigned n_values, size_t n)
{
    uint32_t at = 0;
    unsigned d;

    for (d = 0; d < n_values; d++) {
        uint32_t c = count[d];

        if (c == n)
            return 0;
        count[d] = at;
        at += c;
    }
    return 1;
}

/* Sorts by bits [shift, 31) of the keys, n_digits digits of `width` bits each. */
static void radix_sort(vecq_sort_key *keys, vecq_sort_key *spare, size_t n, unsigned shift, unsigned width,
                       unsigned n_digits)
{
    uint32_t count[DIGITS_MAX << 11];
    vecq_sort_key *from = keys, *to = spare, *swap;
    uint32_t mask = ((uint32_t)1 << width) - 1;
    unsigned digit;
    size_t i;

    memset(count, 0, ((size_t)n_digits << width) * sizeof *count);
    for (i = 0; i < n; i++) {
        uint32_t key = keys[i] >> shift;

        for (digit = 0; digit < n_digits; digit++)
            count[(digit << width) + (key >> width * digit & mask)]++;
    }
    for (digit = 0; digit < n_digits; digit++) {
        uint32_t *start = count + (digit << width);
        unsigned at = shift + width * digit;

        if (!digit_starts(start, mask + 1, n))
            continue;
        for (i = 0; i < n; i++)
            to[start[from[i] >> at & mask]++] = from[i];
        swap = from;
        from = to;
        to = swap;
    }
    if (from != keys)
        memcpy(keys, from, n * sizeof *keys);
}

#define BUCKETS (1u << 11)

static void count_buckets(const float *w, size_t n, uint32_t count[BUCKETS])
{
    size_t i;

    memset(count, 0, BUCKETS * sizeof *count);
    for (i = 0; i < n; i++)
        count[absolute_bits(w[i]) >> 20]++;
}

size_t vecq_search_sort_spare(const float *w, size_t n)
{
    uint32_t count[BUCKETS], most = 0;
    unsigned d;

    if (n < VECQ_SEARCH_LARGE)
        return n;
    count_buckets(w, n, count);
    for (d = 0; d < BUCKETS; d++)
        most = count[d] > most ? count[d] : most;
    return most;
}

/*
 * Out of cache, 2048 places to write to at once are too many for the address translation, and the upper 22
 * bits leave too much to insertion. Exponent and three mantissa bits first: they take few values at a time,
 * and what they separate fits the cache. Going from w to the keys at once, this step needs no spare memory.
 */
static void sort_large(const float *w, vecq_sort_key *keys, vecq_sort_key *spare, size_t n)
{
    uint32_t start[BUCKETS], at = 0;
    size_t i, begin = 0, end;
    unsigned d;

    count_buckets(w, n, start);
    for (d = 0; d < BUCKETS; d++) {
        uint32_t count = start[d];

        start[d] = at;
        at += count;
    }
    for (i = 0; i < n; i++) {
        uint32_t key = absolute_bits(w[i]);

        keys[start[key >> 20]++] = key;
    }
    for (d = 0; d < BUCKETS; d++, begin = end) { /* start[d] is now the end of bucket d */
        end = start[d];
        if (end - begin < SMALL)
            insertion_sort(keys + begin, end - begin, SIZE_MAX);
        else
            radix_sort(keys + begin, spare, end - begin, 0, 10, 2);
    }
}

void vecq_search_sort(const float *w, size_t n, vecq_sort_key *keys, vecq_sort_key *spare)
{
    size_t i;

    if (n >= VECQ_SEARCH_LARGE) {
        sort_large(w, keys, spare, n);
        return;
    }
    for (i = 0; i < n; i++)
        keys[i] = absolute_bits(w[i]);
    if (n < SMALL) {
        insertion_sort(keys, n, SIZE_MAX);
        return;
    }
    if (n < WIDE)
        radix_sort(keys, spare, n, 7, 8, 3);
    else
        radix_sort(keys, spare, n, 9, 11, 2);
    if (insertion_sort(keys, n, 2 * n))
        return;
    if (n < WIDE)
        radix_sort(keys, spare, n, 0, 8, 4);
    else
        radix_sort(keys, spare, n, 0, 11, 3);
}
