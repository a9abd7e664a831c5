/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact step search on the weight rows of ResNet-18 (11.7 M weights in 5,800 slices), sorting included:
 *
 *     bench_search [RUNS [THREADS [BITS...]]]
 *
 * prints the median of RUNS wall-clock times per distribution, width and instruction set, and the states
 * evaluated per slice; then one slice of 2.4 M weights.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "base/threads.h"
#include "quant/search.h"
#include "quant/search_sort.h"
#include "vecq/cpu.h"

#define RUNS_MAX 101

typedef struct shape {
    size_t rows, length, times;
} shape;

static const shape resnet18[] = {
    {64, 147, 1},   {64, 576, 4},  {128, 576, 1},  {128, 1152, 3}, {128, 64, 1},  {256, 1152, 1},
    {256, 2304, 3}, {256, 128, 1}, {512, 2304, 1}, {512, 4608, 3}, {512, 256, 1}, {1000, 512, 1},
};

typedef struct slices {
    float *w;
    size_t *begin, n_slices, n_weights; /* begin[n_slices + 1] */
    unsigned bits;
    size_t *n_states; /* per slice */
    int sort_only;
    uint32_t *scratch; /* sort_only: two words a weight */
} slices;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static vecq_status search_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    slices *s = context;
    size_t i;

    (void)thread;
    for (i = begin; i < end; i++) {
        size_t at = s->begin[i], n = s->begin[i + 1] - at;
        vecq_search_result result = {0, 0, 0, 0};
        vecq_status status = VECQ_OK;

        if (s->sort_only)
            vecq_search_sort(s->w + at, n, s->scratch + 2 * at, s->scratch + 2 * at + n);
        else
            status = vecq_search_step(s->w + at, n, s->bits, 1, &result, err);
        if (status != VECQ_OK)
            return status;
        s->n_states[i] = result.n_states;
    }
    return VECQ_OK;
}

static int ascending(const void *p, const void *q)
{
    double a = *(const double *)p, b = *(const double *)q;

    return (a > b) - (a < b);
}

/* Median wall-clock time; *cpu is the processor time of all runs together, divided by their number. */
static double median_time(slices *s, unsigned threads, int runs, double *cpu)
{
    double times[RUNS_MAX];
    clock_t cpu_begin = clock();
    vecq_error err = VECQ_ERROR_INIT;
    int r;

    for (r = 0; r < runs; r++) {
        double begin = seconds();

        if (vecq_parallel_for(s->n_slices, 16, threads, search_range, s, &err) != VECQ_OK) {
            fprintf(stderr, "bench_search: %s\n", err.message);
            exit(1);
        }
        times[r] = seconds() - begin;
    }
    *cpu = (double)(clock() - cpu_begin) / (double)CLOCKS_PER_SEC / (double)runs;
    qsort(times, (size_t)runs, sizeof *times, ascending);
    return times[runs / 2];
}

static void fill(float *w, size_t n, int kind)
{
    vecq_rng rng;
    size_t i;

    vecq_rng_seed(&rng, 1);
    for (i = 0; i < n; i++) {
        double x = kind == 0   ? vecq_rng_gaussian(&rng)
                   : kind == 1 ? vecq_rng_laplace(&rng)
                   : kind == 2 ? vecq_rng_student(&rng, 3.0)
                               : (double)(int)(20.0 * vecq_rng_gaussian(&rng)); /* int8 weights */
        w[i] = (float)(0.02 * x);
    }
}

static void report(slices *s, unsigned threads, int runs, const char *name)
{
    size_t i, sum = 0, most = 0;
    int level;

    for (level = VECQ_CPU_LEVELS - 1; level >= 0; level--) {
        double t, cpu;

        if (!vecq_cpu_has((vecq_cpu_level)level))
            continue;
        vecq_cpu_set_mask((vecq_cpu_level)level);
        t = median_time(s, threads, runs, &cpu);
        for (i = sum = most = 0; i < s->n_slices; i++) {
            sum += s->n_states[i];
            most = s->n_states[i] > most ? s->n_states[i] : most;
        }
        printf("%-10s %8zu slices %2u bits  %-7s %8.4f s  (cpu %.4f s)  %7.2f ns/weight  states %.0f mean "
               "%zu max\n",
               name, s->n_slices, s->bits, vecq_cpu_level_name((vecq_cpu_level)level), t, cpu,
               t * 1e9 / (double)s->n_weights, (double)sum / (double)s->n_slices, most);
        fflush(stdout);
    }
    vecq_cpu_set_mask((vecq_cpu_level)(VECQ_CPU_LEVELS - 1));
}

static void cut(slices *s, size_t most)
{
    size_t i, r, times;

    s->n_slices = s->n_weights = s->begin[0] = 0;
    for (i = 0; i < sizeof resnet18 / sizeof *resnet18; i++)
        for (times = 0; times < resnet18[i].times; times++)
            for (r = 0; r < resnet18[i].rows && s->n_slices < most; r++) {
                s->n_weights += resnet18[i].length;
                s->begin[++s->n_slices] = s->n_weights;
            }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"gaussian", "laplace", "student3", "int8"};
    int runs = argc > 1 ? atoi(argv[1]) : 5, arg, kind;
    unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    static const unsigned defaults[] = {2, 3, 4, 6, 8};
    int n_bits = argc > 3 ? argc - 3 : (int)(sizeof defaults / sizeof *defaults);
    slices s = {0};
    double t, cpu;

    runs = runs < 1 ? 1 : runs > RUNS_MAX ? RUNS_MAX : runs;
    s.begin = vecq_alloc(8001, sizeof *s.begin);
    s.n_states = vecq_alloc(8001, sizeof *s.n_states);
    s.w = vecq_alloc(12000000, sizeof *s.w);
    s.scratch = vecq_alloc(24000000, sizeof *s.scratch);
    if (s.begin == NULL || s.n_states == NULL || s.w == NULL || s.scratch == NULL)
        return 1;
    for (kind = 0; kind < 4; kind++) {
        cut(&s, 8000);
        fill(s.w, s.n_weights, kind);
        s.sort_only = 1;
        t = median_time(&s, threads, runs, &cpu);
        printf("%-10s %8zu slices sorting alone %.4f s  (cpu %.4f s)  %u threads, %d runs\n", names[kind],
               s.n_slices, t, cpu, vecq_threads_resolve(threads), runs);
        s.sort_only = 0;
        for (arg = 0; arg < n_bits; arg++) {
            s.bits = argc > 3 ? (unsigned)atoi(argv[3 + arg]) : defaults[arg];
            cut(&s, 8000);
            report(&s, threads, runs, names[kind]);
            s.begin[1] = s.n_weights = 2400000;
            s.n_slices = 1;
            report(&s, threads, runs, names[kind]);
        }
    }
    vecq_free(s.scratch);
    vecq_free(s.w);
    vecq_free(s.n_states);
    vecq_free(s.begin);
    return 0;
}
