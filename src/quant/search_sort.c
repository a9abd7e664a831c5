/* SPDX-License-Identifier: Apache-2.0 */
/* Radix sort from the lowest byte up. A byte that is the same in all keys costs nothing, so weights that came
 * from float16 or bfloat16 need two or three passes. */
#include "quant/search_sort.h"

#include <string.h>

#define DIGITS        4u
#define SMALL         64u /* below, insertion is faster than the histograms */
#define ABSOLUTE_BITS 0x7fffffffu

static uint32_t absolute_bits(float w)
{
    uint32_t bits;

    memcpy(&bits, &w, sizeof bits);
    return bits & ABSOLUTE_BITS;
}

static void insertion_sort(const float *w, size_t n, uint32_t *keys)
{
    size_t i, at;

    for (i = 0; i < n; i++) {
        uint32_t key = absolute_bits(w[i]);

        for (at = i; at > 0 && keys[at - 1] > key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

/* Where each value of the digit begins; 0 when all keys have the same. */
static int digit_starts(uint32_t count[256], size_t n)
{
    uint32_t at = 0;
    unsigned d;

    for (d = 0; d < 256; d++) {
        uint32_t c = count[d];

        if (c == n)
            return 0;
        count[d] = at;
        at += c;
    }
    return 1;
}

void vecq_search_sort(const float *w, size_t n, uint32_t *keys, uint32_t *spare)
{
    uint32_t count[DIGITS][256];
    uint32_t *from = keys, *to = spare;
    unsigned digit;
    size_t i;

    if (n < SMALL) {
        insertion_sort(w, n, keys);
        return;
    }
    memset(count, 0, sizeof count);
    for (i = 0; i < n; i++) {
        uint32_t key = absolute_bits(w[i]);

        keys[i] = key;
        count[0][key & 255]++;
        count[1][key >> 8 & 255]++;
        count[2][key >> 16 & 255]++;
        count[3][key >> 24]++;
    }
    for (digit = 0; digit < DIGITS; digit++) {
        unsigned shift = 8 * digit;
        uint32_t *start = count[digit], *swap;

        if (!digit_starts(start, n))
            continue;
        for (i = 0; i < n; i++)
            to[start[from[i] >> shift & 255]++] = from[i];
        swap = from;
        from = to;
        to = swap;
    }
    if (from != keys)
        memcpy(keys, from, n * sizeof *keys);
}
