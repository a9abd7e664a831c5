/* SPDX-License-Identifier: Apache-2.0 */
/* What the benches share: the clock, the median, and the machine's own bandwidth to compare with. */
#ifndef VECQ_BENCH_H
#define VECQ_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline double bench_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts the values. */
static inline double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, bench_compare);
    return n % 2 != 0 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

/* Four times the last cache of the processor, at least 128 MiB, at most 1 GiB: what counts as out of cache.
 */
static inline size_t bench_out_of_cache_bytes(void)
{
    long cache = -1;
    size_t n = (size_t)128 << 20;

#ifdef _SC_LEVEL3_CACHE_SIZE
    cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
    while (cache > 0 && n < 4 * (size_t)cache && n < (size_t)1 << 30)
        n *= 2;
    return n;
}

/* Reads n bytes (a multiple of 256) with the plainest loop that memory, not the processor, limits: wide loads
 * and prefetches. What the quantizer is compared with must not be slower than it could be. */
typedef uint64_t bench_vector __attribute__((vector_size(32), aligned(8), may_alias));

#define BENCH_READ_AHEAD 4096u

#define BENCH_READ_BODY                                                                                      \
    const bench_vector *p = memory;                                                                          \
    bench_vector a = {0}, b = {0}, c = {0}, d = {0};                                                         \
    size_t i, m = n_bytes / sizeof *p;                                                                       \
                                                                                                             \
    for (i = 0; i + 8 <= m; i += 8) {                                                                        \
        __builtin_prefetch((const char *)(p + i) + BENCH_READ_AHEAD, 0, 3);                                  \
        __builtin_prefetch((const char *)(p + i) + BENCH_READ_AHEAD + 64, 0, 3);                             \
        __builtin_prefetch((const char *)(p + i) + BENCH_READ_AHEAD + 128, 0, 3);                            \
        __builtin_prefetch((const char *)(p + i) + BENCH_READ_AHEAD + 192, 0, 3);                            \
        a ^= p[i] ^ p[i + 1];                                                                                \
        b ^= p[i + 2] ^ p[i + 3];                                                                            \
        c ^= p[i + 4] ^ p[i + 5];                                                                            \
        d ^= p[i + 6] ^ p[i + 7];                                                                            \
    }                                                                                                        \
    a ^= b ^ c ^ d;                                                                                          \
    return a[0] ^ a[1] ^ a[2] ^ a[3]

static inline uint64_t bench_read_plain(const void *memory, size_t n_bytes)
{
    BENCH_READ_BODY;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static inline uint64_t bench_read_avx2(const void *memory, size_t n_bytes)
{
    BENCH_READ_BODY;
}
#endif

static inline uint64_t bench_read(const void *memory, size_t n_bytes)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2"))
        return bench_read_avx2(memory, n_bytes);
#endif
    return bench_read_plain(memory, n_bytes);
}

#endif
