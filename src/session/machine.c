/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of the machine. Every kind is timed in short pieces, all threads at once, and the best piece counts:
 * what disturbs can only make it slower.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/threads.h"
#include "kernels/peak/peak.h"
#include "vecq/run.h"

#define PIECES      12
#define READ_BYTES  ((size_t)128 << 20) /* beyond any cache we know of */
#define READ_GRAIN  ((size_t)1 << 20)
#define PIECE_SHARE 0.01 /* seconds of a piece */

typedef struct machine_work {
    const vecq_peak_kernels *kernels;
    int kind; /* 0: fma, 1: dot, 2: read */
    size_t rounds;
    const unsigned char *memory;
    uint64_t sink[VECQ_THREADS_MAX];
} machine_work;

static vecq_status machine_body(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    machine_work *w = context;
    size_t i;

    (void)err;
    for (i = begin; i < end; i++)
        if (w->kind == 0)
            w->sink[thread] += w->kernels->fma(w->rounds) > 0;
        else if (w->kind == 1)
            w->sink[thread] += (uint64_t)w->kernels->dot(w->rounds);
        else
            w->sink[thread] += w->kernels->read(w->memory + i * READ_GRAIN, READ_GRAIN);
    return VECQ_OK;
}

/* Units a second of the best piece; `n` items of `per_item` units each. */
static vecq_status machine_time(machine_work *w, size_t n, double per_item, unsigned threads, double *out,
                                vecq_error *err)
{
    int i;

    *out = 0;
    for (i = 0; i < PIECES; i++) {
        double start = vecq_clock_seconds(), taken;

        VECQ_TRY(vecq_parallel_for(n, 1, threads, machine_body, w, err));
        taken = vecq_clock_seconds() - start;
        if (taken > 0 && (double)n * per_item / taken > *out)
            *out = (double)n * per_item / taken;
    }
    return VECQ_OK;
}

/* Rounds that take about PIECE_SHARE on one thread. */
static size_t machine_rounds(machine_work *w)
{
    double taken = 0;

    for (w->rounds = 1024; w->rounds < ((size_t)1 << 30); w->rounds *= 2) {
        double start = vecq_clock_seconds();

        machine_body(w, 0, 1, 0, NULL);
        taken = vecq_clock_seconds() - start;
        if (taken > PIECE_SHARE / 2)
            break;
    }
    return w->rounds;
}

vecq_status vecq_machine_measure(unsigned threads, vecq_machine_info *out, vecq_error *err)
{
    machine_work *w = vecq_calloc(1, sizeof *w);
    unsigned char *memory = vecq_alloc(READ_BYTES, 1);
    unsigned n = vecq_threads_resolve(threads);
    vecq_status status = VECQ_OK;

    memset(out, 0, sizeof *out);
    out->threads = n;
    if (w == NULL || memory == NULL)
        status = vecq_error_memory(err, READ_BYTES);
    if (status == VECQ_OK) {
        memset(memory, 1, READ_BYTES);
        w->kernels = vecq_peak_kernels_active();
        w->memory = memory;
        machine_rounds(w);
        status = machine_time(w, n, 2.0 * (double)w->rounds * (double)w->kernels->fma_macs, n,
                              &out->fma_flops, err);
    }
    if (status == VECQ_OK) {
        w->kind = 1;
        machine_rounds(w);
        status =
            machine_time(w, n, 2.0 * (double)w->rounds * (double)w->kernels->dot_macs, n, &out->dot_ops, err);
    }
    if (status == VECQ_OK) {
        w->kind = 2;
        status = machine_time(w, READ_BYTES / READ_GRAIN, (double)READ_GRAIN, n, &out->read_bandwidth, err);
    }
    vecq_free(w);
    vecq_free(memory);
    return status;
}
