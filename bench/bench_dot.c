/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of packed weights with vectors and batches (kernels/dot), one thread, out of cache: weights rotate
 * over more memory than any cache holds. Beside them, in the same rounds: reading that memory (wide loads and
 * nothing else) and sgemv of the BLAS named by --blas; before them, the processor's byte products without
 * memory.
 * --processor-time counts what the thread used, not the clock: for machines that have other work.
 */
#include <dlfcn.h>
#include <getopt.h>
#include <stdio.h>

#include "bench.h"

#include "base/rng.h"
#include "coding/strips.h"
#include "kernels/dot/dot.h"
#include "vecq/cpu.h"

#define RUNS_MAX 101u
#define M_MAX    1024u

/* Sizes as long: right for libraries of 64-bit sizes, and read as int by the others. */
typedef void (*sgemv_fn)(long order, long trans, long m, long n, float alpha, const float *a, long lda,
                         const float *x, long incx, float beta, float *y, long incy);

typedef struct bench {
    size_t rows, cols, m, ldx, n_bytes, at;
    unsigned runs;
    int json;
    uint8_t *memory; /* weights; read as floats by sgemv */
    int8_t *x;
    float *floats, *arranged, *y;
    int32_t *acc;
    uint8_t *scratch;
    const vecq_dot_kernels *kernels;
    double read_gbs, peak_gmacs;
} bench;

static volatile uint64_t bench_sink;
static int uses_processor_time;

static double dot_seconds(void)
{
    struct timespec t;

    if (!uses_processor_time)
        return bench_seconds();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f"))) static uint64_t read_avx512(const uint8_t *p, size_t n)
{
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    size_t i;

    for (i = 0; i + 256 <= n; i += 256) {
        __builtin_prefetch((const void *)((uintptr_t)p + i + 4096), 0, 3);
        __builtin_prefetch((const void *)((uintptr_t)p + i + 4160), 0, 3);
        __builtin_prefetch((const void *)((uintptr_t)p + i + 4224), 0, 3);
        __builtin_prefetch((const void *)((uintptr_t)p + i + 4288), 0, 3);
        a = _mm512_add_epi64(a, _mm512_loadu_si512(p + i));
        b = _mm512_add_epi64(b, _mm512_loadu_si512(p + i + 64));
        c = _mm512_add_epi64(c, _mm512_loadu_si512(p + i + 128));
        d = _mm512_add_epi64(d, _mm512_loadu_si512(p + i + 192));
    }
    return (uint64_t)_mm512_reduce_add_epi64(
        _mm512_add_epi64(_mm512_add_epi64(a, b), _mm512_add_epi64(c, d)));
}

#define PEAK_16(op)                                                                                          \
    op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define PEAK_OP(i)      "vpdpbusd %%zmm16, %%zmm17, %%zmm" #i "\n\t"
#define PEAK_CLOBBER(i) "zmm" #i,

/* Sixteen independent sums in registers, no memory: byte products a second that nothing can exceed. */
__attribute__((target("avx512f,avx512vnni"))) static double peak_avx512vnni(void)
{
    double best = 0.0, start, rate;
    unsigned turn;
    long n;

    for (turn = 0; turn < 9; turn++) {
        n = 1000000;
        start = dot_seconds();
        __asm__ volatile("1:\n\t" PEAK_16(PEAK_OP) "dec %0\n\tjnz 1b"
                         : "+r"(n)
                         :
                         : PEAK_16(PEAK_CLOBBER) "zmm16", "zmm17", "cc");
        rate = 16.0 * 64.0 * 1e6 / (dot_seconds() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}
#endif

static uint64_t read_all(const void *p, size_t n)
{
#if defined(__x86_64__)
    if (vecq_cpu_has(VECQ_CPU_AVX512))
        return read_avx512(p, n);
#endif
    return bench_read(p, n);
}

static void *bench_next(bench *b, size_t n)
{
    void *p;

    n = (n + 255) / 256 * 256;
    if (b->at + n > b->n_bytes)
        b->at = 0;
    p = b->memory + b->at;
    b->at += n;
    return p;
}

/* The best of all rounds, for it is what the machine can do. */
static void bench_read_rate(bench *b)
{
    size_t n = (size_t)16 << 20;
    const void *p = bench_next(b, n);
    double start = dot_seconds(), rate;

    bench_sink += read_all(p, n);
    rate = (double)n / (dot_seconds() - start) * 1e-9;
    b->read_gbs = rate > b->read_gbs ? rate : b->read_gbs;
}

/* As the tasks of a caller would: some units at a time, finished while their sums are in a cache. */
static void bench_integers(const bench *b, const vecq_dot_weight *w, const vecq_dot_finish *f)
{
    size_t units = vecq_dot_units(w), step = b->m == 1 ? units : 128, q, end, row;

    for (q = 0; q < units; q = end) {
        end = units - q < step ? units : q + step;
        b->kernels->products(w, q, end, 0, b->cols, b->x, b->ldx, b->m, b->acc, b->rows, b->scratch);
        for (row = q; row < b->rows; row += units)
            b->kernels->finish(f, b->acc, b->rows, b->m, row,
                               row + (end - q) < b->rows ? row + (end - q) : b->rows, b->y, b->rows);
    }
}

/* Seconds of one product: integers, or floats with x already arranged (a batch arranges once for all layers).
 */
static double bench_product(bench *b, unsigned bits, int is_float)
{
    vecq_dot_weight w = {.bits = bits, .rows = b->rows, .cols = b->cols};
    static const float one = 0.01f;
    float x_scale[M_MAX];
    int32_t x_sum[M_MAX];
    vecq_dot_finish f = {.bits = bits, .w_scale = &one, .x_scale = x_scale, .x_sum = x_sum};
    vecq_strips strips;
    uint8_t *p;
    double start;
    size_t i;

    vecq_strips_exact(bits, b->rows, b->cols, &strips);
    p = bench_next(b, strips.n_bytes);
    for (i = 0; i < strips.n_fields; p += strips.field[i].n_bytes, i++)
        w.field[i] = p;
    for (i = 0; i < b->m; i++)
        x_scale[i] = 0.01f;
    start = dot_seconds();
    if (is_float) {
        size_t lda = (b->cols + 63) / 64 * 64;

        for (i = 0; i < b->m; i++)
            b->kernels->arrange(b->floats + i * b->cols, b->cols, b->arranged + i * lda);
        b->kernels->float_products(&w, 0, vecq_dot_units(&w), 0, b->cols, NULL, b->arranged, lda, b->m, b->y,
                                   b->rows);
        b->kernels->scale(&f, b->y, b->rows, b->m, 0, b->rows, b->y, b->rows);
    } else {
        b->kernels->sums(b->x, b->ldx, b->m, b->cols, x_sum);
        bench_integers(b, &w, &f);
    }
    return dot_seconds() - start;
}

static double bench_sgemv(bench *b, sgemv_fn sgemv)
{
    const float *a = bench_next(b, b->rows * b->cols * sizeof(float));
    double start = dot_seconds();

    sgemv(101, 111, (long)b->rows, (long)b->cols, 1.0f, a, (long)b->cols, b->floats, 1, 0.0f, b->y, 1);
    return dot_seconds() - start;
}

static void bench_line(const bench *b, const char *what, unsigned bits, double seconds, double sgemv)
{
    double n_bytes = (double)b->rows * (double)b->cols * bits / 8.0;
    double gmacs = (double)b->rows * (double)b->cols * (double)b->m / seconds * 1e-9;

    if (b->json)
        printf(
            ",\n  {\"kind\": \"%s\", \"rows\": %zu, \"cols\": %zu, \"m\": %zu, \"bits\": %u, \"ms\": %.4f, "
            "\"gbs\": %.2f, \"gmacs\": %.1f}",
            what, b->rows, b->cols, b->m, bits, 1e3 * seconds, n_bytes / seconds * 1e-9, gmacs);
    else
        printf("%-6s %5zu %5u %9.3f %8.2f %5.0f %% %9.1f %5.0f %% %8.2f\n", what, b->m, bits, 1e3 * seconds,
               n_bytes / seconds * 1e-9, 1e-7 * n_bytes / seconds / b->read_gbs, gmacs,
               b->peak_gmacs > 0 ? 100.0 * gmacs / b->peak_gmacs : 0.0, sgemv > 0 ? sgemv / seconds : 0.0);
}

/* Rounds over all series, so that a noisy neighbour hits them alike. */
static void bench_rounds(bench *b, sgemv_fn sgemv)
{
    static double seconds[2][9][RUNS_MAX], floats[RUNS_MAX];
    unsigned run, bits, kind;
    double base = 0.0;

    for (run = 0; run < b->runs; run++) {
        bench_read_rate(b);
        for (kind = 0; kind < 2; kind++)
            for (bits = 1; bits <= 8; bits++)
                seconds[kind][bits][run] = bench_product(b, bits, (int)kind);
        if (sgemv != NULL && b->m == 1)
            floats[run] = bench_sgemv(b, sgemv);
    }
    if (b->json)
        printf("[{\"level\": \"%s\", \"read_gbs\": %.2f, \"peak_gmacs\": %.1f}", b->kernels->name,
               b->read_gbs, b->peak_gmacs);
    else
        printf("%zu x %zu, %s, %u runs, one thread, medians; read %.2f GB/s, byte products %.1f G/s\n%-6s "
               "%5s %5s "
               "%9s %8s %7s %9s %7s %8s\n",
               b->rows, b->cols, b->kernels->name, b->runs, b->read_gbs, b->peak_gmacs, "x", "batch", "bits",
               "ms", "GB/s", "of read", "G macs/s", "of peak", "x sgemv");
    if (sgemv != NULL && b->m == 1) {
        base = bench_median(floats, b->runs);
        bench_line(b, "sgemv", 32, base, base);
    }
    for (kind = 0; kind < 2; kind++)
        for (bits = 1; bits <= 8; bits++)
            bench_line(b, kind == 0 ? "s8" : "float", bits, bench_median(seconds[kind][bits], b->runs), base);
}

static sgemv_fn bench_blas(const char *path, const char *symbol)
{
    void *library = dlopen(path, RTLD_NOW), *found = library != NULL ? dlsym(library, symbol) : NULL;
    sgemv_fn fn = NULL;

    if (found == NULL)
        fprintf(stderr, "%s: %s\n", path, dlerror());
    else
        memcpy(&fn, &found, sizeof fn);
    return fn;
}

static int bench_usage(const char *program)
{
    fprintf(
        stderr,
        "usage: %s [--json] [--processor-time] [--rows N] [--cols N] [--batch M] [--runs N] [--level NAME]\n"
        "       [--blas LIBRARY [--symbol cblas_sgemv]]\n",
        program);
    return 2;
}

static int bench_make(bench *b)
{
    size_t i;

    b->ldx = b->cols + 64;
    b->n_bytes = bench_out_of_cache_bytes();
    while (b->n_bytes < 2 * b->rows * b->cols * sizeof(float))
        b->n_bytes *= 2;
    b->memory = aligned_alloc(4096, b->n_bytes);
    b->x = malloc(b->m * b->ldx);
    b->floats = malloc(b->m * b->cols * sizeof *b->floats);
    b->arranged = malloc(b->m * (b->cols + 64) * sizeof *b->arranged);
    b->y = malloc(b->m * b->rows * sizeof *b->y);
    b->acc = malloc(b->m * b->rows * sizeof *b->acc);
    b->scratch = malloc(VECQ_DOT_SCRATCH);
    if (b->memory == NULL || b->x == NULL || b->floats == NULL || b->arranged == NULL || b->y == NULL ||
        b->acc == NULL || b->scratch == NULL)
        return 0;
    for (i = 0; i < b->n_bytes; i++) /* 0x3e in each fourth byte: small numbers as floats */
        b->memory[i] = i % 4 == 3 ? 0x3e : (uint8_t)(i * 2654435761u >> 13);
    for (i = 0; i < b->m * b->ldx; i++)
        b->x[i] = (int8_t)(i * 40503u >> 5);
    for (i = 0; i < b->m * b->cols; i++)
        b->floats[i] = (float)(i % 251) - 125.0f;
    return 1;
}

static int bench_level(bench *b, const char *name)
{
    int level;

    for (level = 0; level < (int)VECQ_CPU_LEVELS; level++)
        if (strcmp(vecq_cpu_level_name((vecq_cpu_level)level), name) == 0 &&
            vecq_cpu_has((vecq_cpu_level)level))
            b->kernels = vecq_dot_kernels_at(level);
    return b->kernels != NULL;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},         {"processor-time", no_argument, NULL, 'p'},
        {"rows", required_argument, NULL, 'r'},   {"cols", required_argument, NULL, 'c'},
        {"batch", required_argument, NULL, 'm'},  {"runs", required_argument, NULL, 'n'},
        {"level", required_argument, NULL, 'l'},  {"blas", required_argument, NULL, 'b'},
        {"symbol", required_argument, NULL, 's'}, {NULL, 0, NULL, 0},
    };
    bench b = {.rows = 4096, .cols = 4096, .m = 1, .runs = 21};
    const char *blas = NULL, *symbol = "cblas_sgemv", *level = NULL;
    int c, is_wrong = 0;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (c) {
        case 'j':
            b.json = 1;
            break;
        case 'p':
            uses_processor_time = 1;
            break;
        case 'r':
            b.rows = strtoul(optarg, NULL, 10);
            break;
        case 'c':
            b.cols = strtoul(optarg, NULL, 10);
            break;
        case 'm':
            b.m = strtoul(optarg, NULL, 10);
            break;
        case 'n':
            b.runs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'l':
            level = optarg;
            break;
        case 'b':
            blas = optarg;
            break;
        case 's':
            symbol = optarg;
            break;
        default:
            is_wrong = 1;
        }
    b.kernels = level == NULL ? vecq_dot_kernels_active() : NULL;
    if (is_wrong || b.rows == 0 || b.cols == 0 || b.cols > VECQ_DOT_COLS_MAX || b.m == 0 || b.m > M_MAX ||
        b.runs == 0 || b.runs > RUNS_MAX || optind != argc || (level != NULL && !bench_level(&b, level)))
        return bench_usage(argv[0]);
    if (!bench_make(&b)) {
        fprintf(stderr, "%s: out of memory\n", argv[0]);
        return 1;
    }
#if defined(__x86_64__)
    if (vecq_cpu_has(VECQ_CPU_AVX512VNNI))
        b.peak_gmacs = peak_avx512vnni();
#endif
    bench_rounds(&b, blas != NULL ? bench_blas(blas, symbol) : NULL);
    printf(b.json ? "\n]\n" : "");
    return 0;
}
