/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer convolutions and products on one thread, against this machine's peak of byte dot products and
 * oneDNN's int8 convolution, measured in turn with ours:
 *
 *     bench_igemm [--net resnet18|mobilenetv2|resnet20|vgg|gemm] [--bits K] [--whole] [--packed] [--batch N]
 * [--runs N]
 *
 * A line is a shape: times in the net, microseconds of processor time (medians), share of the peak (median
 * over the runs), the same of oneDNN. The last line sums the net up. Bytes in, bytes out: ReLU and
 * requantization included, and for ours the padded copy of the input.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "kernels/igemm/igemm.h"
#include "vecq/cpu.h"
#ifdef _OPENMP
#include <omp.h>
#endif
#ifdef VECQ_HAVE_ONEDNN
#include "igemm_dnnl.h"
#endif

#define RUNS_MAX 1001

typedef struct options {
    const char *net;
    unsigned bits;
    int is_whole, is_packed;
    size_t batch, runs;
} options;

typedef struct shape_row {
    const char *net;
    size_t times, side, c, oc, kernel, stride, groups;
} shape_row;

static const shape_row shape_rows[] = {
#define IGEMM_SHAPE(net, times, side, c, oc, kernel, stride, groups)                                         \
    {net, times, side, c, oc, kernel, stride, groups},
#include "igemm_shapes.def"
};

/* Of this thread: what other programs take from it does not count. */
static double processor_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the peak: dot products between registers, 16 of them apart from each other ---- */

#define PEAK_LOOPS 4000

#if defined(__x86_64__)
#define PEAK_BODY(r, op)                                                                                     \
    PEAK_ONE(r, op, 2)                                                                                       \
    PEAK_ONE(r, op, 3)                                                                                       \
    PEAK_ONE(r, op, 4)                                                                                       \
    PEAK_ONE(r, op, 5)                                                                                       \
    PEAK_ONE(r, op, 6)                                                                                       \
    PEAK_ONE(r, op, 7)                                                                                       \
    PEAK_ONE(r, op, 8) PEAK_ONE(r, op, 9) PEAK_ONE(r, op, 10) PEAK_ONE(r, op, 11) PEAK_ONE(r, op, 12)        \
        PEAK_ONE(r, op, 13) PEAK_ONE(r, op, 14) PEAK_ONE(r, op, 15)
#define PEAK_ONE(r, op, n) op " %%" r "0,%%" r "1,%%" r #n "\n"
#define PEAK_CLOBBERS                                                                                        \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",        \
        "xmm12", "xmm13", "xmm14", "xmm15"

/* Products of bytes, added, in a second; 0: no such instruction. */
static double peak_measure(void)
{
    long loops = PEAK_LOOPS;
    double begin = processor_seconds();

    if (vecq_cpu_has(VECQ_CPU_AVX512VNNI))
        __asm__ volatile("1:\n" PEAK_BODY("zmm", "vpdpbusd") "dec %0\njnz 1b\n"
                         : "+r"(loops)
                         :
                         : PEAK_CLOBBERS);
    else if (vecq_cpu_has(VECQ_CPU_AVXVNNI))
        __asm__ volatile("1:\n" PEAK_BODY("ymm", "%{vex%} vpdpbusd") "dec %0\njnz 1b\n"
                         : "+r"(loops)
                         :
                         : PEAK_CLOBBERS);
    else
        return 0.0;
    return PEAK_LOOPS * 14.0 * (vecq_cpu_has(VECQ_CPU_AVX512VNNI) ? 64 : 32) / (processor_seconds() - begin);
}
#else
static double peak_measure(void)
{
    return 0.0;
}
#endif

/* ---- one shape ---- */

typedef struct subject {
    vecq_igemm_job job;
    uint8_t *x, *padded, *q, *scratch, *memory;
    float *scale, *bias;
    uint64_t macs;
} subject;

static void *take(size_t bytes)
{
    void *p = NULL;

    if (posix_memalign(&p, 64, bytes + 64) != 0)
        exit(1);
    memset(p, 1, bytes + 64);
    return p;
}

static void subject_setup(subject *s, const vecq_igemm_shape *shape, const options *o)
{
    size_t pixels = vecq_igemm_pixels(shape), window = shape->c / shape->groups * shape->kh * shape->kw, i;
    size_t n_codes = shape->oc * window;
    uint8_t *codes = take(n_codes);

    memset(s, 0, sizeof *s);
    for (i = 0; i < n_codes; i++)
        codes[i] = (uint8_t)((i * 2654435761u >> 13) & ((1u << o->bits) - 1u));
    s->job.shape = *shape;
    s->macs = (uint64_t)pixels * shape->oc * window;
    s->x = take(shape->n * shape->h * shape->w * shape->c);
    for (i = 0; i < shape->n * shape->h * shape->w * shape->c; i++)
        s->x[i] = (uint8_t)(i * 2246822519u >> 21);
    s->padded = take(vecq_igemm_padded_bytes(shape));
    s->q = take(pixels * shape->oc);
    s->scratch = take(vecq_igemm_scratch_bytes(shape, o->is_packed));
    s->memory = take(vecq_igemm_weight_bytes(shape, o->bits, o->is_packed));
    s->scale = take(shape->oc * sizeof(float));
    s->bias = take(shape->oc * sizeof(float));
    for (i = 0; i < shape->oc; i++) { /* no round numbers: results in the middle between bytes take longer */
        s->scale[i] = 1e-4f * (1.0f + 0.0137f * (float)(i % 37));
        s->bias[i] = 0.5137f + 0.0071f * (float)(i % 11);
    }
    vecq_igemm_prepack(shape, o->bits, o->is_whole, o->is_packed, codes, s->memory, &s->job.weight);
    s->job.out = (vecq_igemm_output){.scale = s->scale,
                                     .bias = s->bias,
                                     .low = 0.0f,
                                     .high = INFINITY,
                                     .q = s->q,
                                     .q_scale = 0.02f,
                                     .q_zero = 3,
                                     .q_high = 255};
    free(codes);
}

static void subject_free(subject *s)
{
    free(s->x);
    free(s->padded);
    free(s->q);
    free(s->scratch);
    free(s->memory);
    free(s->scale);
    free(s->bias);
}

static void subject_run(subject *s)
{
    const vecq_igemm_shape *shape = &s->job.shape;

    s->job.x = s->x;
    if (vecq_igemm_padded_bytes(shape) > 0) {
        vecq_igemm_pad(shape, s->x, 0, 0, vecq_igemm_padded_rows(shape), s->padded);
        s->job.x = s->padded;
    }
    vecq_igemm_kernels_active()->run(&s->job, 0, vecq_igemm_pixels(shape), 0, vecq_igemm_panels(shape),
                                     s->scratch);
}

typedef struct totals {
    double seconds, peak_seconds, dnnl_seconds;
    int has_dnnl;
} totals;

static double per_run(double begin, size_t times)
{
    return (processor_seconds() - begin) / (double)times;
}

/* Medians over the runs of: ours, its share of the peak measured just before, oneDNN, its share. */
static void measure(const vecq_igemm_shape *shape, size_t times, const options *o, const char *label,
                    totals *total)
{
    static double ours[RUNS_MAX], theirs[RUNS_MAX], share[RUNS_MAX], their_share[RUNS_MAX];
    subject s;
    size_t i, j, repeat;
    double peak, begin, peak_share, t;
#ifdef VECQ_HAVE_ONEDNN
    igemm_dnnl *dnnl = igemm_dnnl_create(shape);
#else
    void *dnnl = NULL;
#endif

    subject_setup(&s, shape, o);
    subject_run(&s);
    repeat = 1 + (size_t)(1e8 / (double)s.macs); /* about 0.3 ms: shorter than a time slice of the system */
    for (i = 0; i < o->runs; i++) {
        peak = peak_measure();
        begin = processor_seconds();
        for (j = 0; j < repeat; j++)
            subject_run(&s);
        ours[i] = per_run(begin, repeat);
        share[i] = peak > 0 ? (double)s.macs / ours[i] / peak : 0;
        theirs[i] = their_share[i] = 0;
#ifdef VECQ_HAVE_ONEDNN
        if (dnnl != NULL) {
            begin = processor_seconds();
            for (j = 0; j < repeat; j++)
                igemm_dnnl_run(dnnl);
            theirs[i] = per_run(begin, repeat);
            their_share[i] = peak > 0 ? (double)s.macs / theirs[i] / peak : 0;
        }
#endif
    }
    t = bench_median(ours, o->runs);
    peak_share = bench_median(share, o->runs);
    printf("%2zu x %-34s %9.1f us %5.1f %%", times, label, 1e6 * t, 100 * peak_share);
    if (dnnl != NULL)
        printf("   oneDNN %9.1f us %5.1f %%", 1e6 * bench_median(theirs, o->runs),
               100 * bench_median(their_share, o->runs));
    printf("\n");
    total->seconds += (double)times * t;
    total->peak_seconds += (double)times * t * peak_share;
    total->dnnl_seconds += (double)times * bench_median(theirs, o->runs);
    total->has_dnnl = dnnl != NULL;
    subject_free(&s);
#ifdef VECQ_HAVE_ONEDNN
    igemm_dnnl_destroy(dnnl);
#endif
}

static void bench_convolutions(const options *o, totals *total)
{
    char label[80];
    size_t i;

    for (i = 0; i < sizeof shape_rows / sizeof *shape_rows; i++) {
        const shape_row *r = &shape_rows[i];
        vecq_igemm_shape s = {
            .n = o->batch, .h = r->side, .w = r->side, .c = r->c, .oc = r->oc, .kh = r->kernel};

        if (strcmp(r->net, o->net) != 0)
            continue;
        s.kw = r->kernel;
        s.stride_h = s.stride_w = r->stride;
        s.dilation_h = s.dilation_w = 1;
        s.top = s.left = s.bottom = s.right = r->kernel / 2;
        s.groups = r->groups;
        s.oh = s.ow = (r->side + 2 * (r->kernel / 2) - r->kernel) / r->stride + 1;
        snprintf(label, sizeof label, "%zux%zu %zu -> %zu, %zux%zu /%zu%s", r->side, r->side, r->c, r->oc,
                 r->kernel, r->kernel, r->stride, r->groups > 1 ? " dw" : "");
        measure(&s, r->times, o, label, total);
    }
}

static void bench_products(const options *o, totals *total)
{
    static const size_t ms[] = {1, 4, 16, 128};
    char label[80];
    size_t i;

    for (i = 0; i < sizeof ms / sizeof *ms; i++) {
        vecq_igemm_shape s = vecq_igemm_gemm(ms[i], 4096, 4096);

        snprintf(label, sizeof label, "%zu x 4096 x 4096", ms[i]);
        measure(&s, 1, o, label, total);
    }
}

static int parse(int argc, char **argv, options *o)
{
    int i;

    for (i = 1; i < argc; i++)
        if (strcmp(argv[i], "--packed") == 0)
            o->is_packed = 1;
        else if (strcmp(argv[i], "--whole") == 0)
            o->is_whole = 1;
        else if (i + 1 < argc && strcmp(argv[i], "--net") == 0)
            o->net = argv[++i];
        else if (i + 1 < argc && strcmp(argv[i], "--bits") == 0)
            o->bits = (unsigned)atoi(argv[++i]);
        else if (i + 1 < argc && strcmp(argv[i], "--batch") == 0)
            o->batch = (size_t)atoi(argv[++i]);
        else if (i + 1 < argc && strcmp(argv[i], "--runs") == 0)
            o->runs = (size_t)atoi(argv[++i]);
        else
            return 0;
    if (o->is_whole)
        o->bits = 8;
    return o->bits >= 1 && o->bits <= 8 && o->batch >= 1 && o->runs >= 1 && o->runs <= RUNS_MAX;
}

int main(int argc, char **argv)
{
    options o = {.net = "resnet18", .bits = 4, .batch = 1, .runs = 31};
    totals total = {0, 0, 0, 0};
    int i;

    if (!parse(argc, argv, &o)) {
        fprintf(stderr,
                "usage: bench_igemm [--net NAME] [--bits K] [--whole] [--packed] [--batch N] [--runs N]\n");
        return 2;
    }
#ifdef _OPENMP
    omp_set_num_threads(1); /* oneDNN's */
#endif
    for (i = 0; i < 200; i++)
        (void)peak_measure(); /* full frequency */
    printf("%s, batch %zu, %u bits%s, level %s, peak %.0f GMAC/s\n", o.net, o.batch, o.bits,
           o.is_packed ? ", packed" : "", vecq_igemm_kernels_active()->name, 1e-9 * peak_measure());
    if (strcmp(o.net, "gemm") == 0)
        bench_products(&o, &total);
    else
        bench_convolutions(&o, &total);
    if (total.seconds > 0)
        printf("all: %.3f ms, %.1f %% of the peak", 1e3 * total.seconds,
               100 * total.peak_seconds / total.seconds);
    if (total.has_dnnl)
        printf("; oneDNN %.3f ms, %.2f times ours", 1e3 * total.dnnl_seconds,
               total.dnnl_seconds / total.seconds);
    printf("\n");
    return 0;
}
