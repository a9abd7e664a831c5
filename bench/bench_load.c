/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it takes until a model is ready, and the memory it takes then:
 *
 *     bench_load [--runs N] [--threads N] [--batch N] MODEL...
 *
 * Each run is a process of its own (code that oneDNN generates and pages count) that loads the file and plans
 * for one shape, open dimensions being 1; a table has the medians of wall and processor time in milliseconds,
 * with `prefer speed` and `memory`, and bytes: the file, weights (copied or mapped) and workspace.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vecq/run.h"

#define RUNS_MAX 99

typedef struct load {
    double wall, processor;
    vecq_memory_info memory;
    char message[200]; /* "" or why there is no result */
} load;

typedef struct options {
    unsigned runs, threads;
    int64_t batch;
} options;

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static vecq_status bind_zeros(vecq_session *session, vecq_runner *runner, int64_t batch, vecq_error *err)
{
    vecq_status status = VECQ_OK;
    size_t i;
    unsigned a;

    for (i = 0; i < vecq_session_inputs(session) && status == VECQ_OK; i++) {
        const vecq_io_info *io = vecq_session_input(session, i);
        int64_t dims[VECQ_MAX_RANK];
        size_t n = 8;

        for (a = 0; a < io->rank; a++) {
            dims[a] = io->dims[a] >= 0 ? io->dims[a] : a == 0 ? batch : 1;
            n *= (size_t)dims[a];
        }
        /* freed with the process */
        status = vecq_runner_bind(runner, io->name, io->dtype, io->rank, dims, calloc(n, 1), err);
    }
    return status;
}

/* In a child: its result goes into the pipe. */
static void load_once(const char *path, const vecq_session_options *session_options, const options *o, int to)
{
    double wall = seconds(CLOCK_MONOTONIC), processor = seconds(CLOCK_PROCESS_CPUTIME_ID);
    vecq_error err = VECQ_ERROR_INIT;
    vecq_session *session = NULL;
    vecq_runner *runner = NULL;
    load l;

    memset(&l, 0, sizeof l);
    if (vecq_session_load(path, session_options, &session, &err) != VECQ_OK ||
        vecq_runner_create(session, &runner, &err) != VECQ_OK ||
        bind_zeros(session, runner, o->batch, &err) != VECQ_OK ||
        vecq_runner_prepare(runner, &err) != VECQ_OK) {
        snprintf(l.message, sizeof l.message, "%s", err.message);
    } else {
        l.wall = seconds(CLOCK_MONOTONIC) - wall;
        l.processor = seconds(CLOCK_PROCESS_CPUTIME_ID) - processor;
        vecq_session_memory(session, runner, &l.memory);
    }
    _exit(write(to, &l, sizeof l) == (ssize_t)sizeof l ? 0 : 1);
}

static int load_in_child(const char *path, const vecq_session_options *session_options, const options *o,
                         load *out)
{
    int ends[2], status = 1;
    pid_t child;
    ssize_t n;

    if (pipe(ends) != 0)
        return 0;
    child = fork();
    if (child == 0)
        load_once(path, session_options, o, ends[1]);
    close(ends[1]);
    n = read(ends[0], out, sizeof *out);
    close(ends[0]);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0 && n == (ssize_t)sizeof *out;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static int measure(const char *path, vecq_prefer prefer, const options *o)
{
    const char *name = strrchr(path, '/');
    double wall[RUNS_MAX], processor[RUNS_MAX];
    vecq_session_options session_options;
    load l;
    unsigned i;

    vecq_session_options_default(&session_options);
    session_options.threads = o->threads;
    session_options.prefer = prefer;
    for (i = 0; i < o->runs; i++) {
        if (!load_in_child(path, &session_options, o, &l)) {
            fprintf(stderr, "%s: the process failed\n", path);
            return 0;
        }
        if (l.message[0] != '\0') {
            fprintf(stderr, "%s\n", l.message);
            return 0;
        }
        wall[i] = 1e3 * l.wall;
        processor[i] = 1e3 * l.processor;
    }
    qsort(wall, o->runs, sizeof *wall, by_value);
    qsort(processor, o->runs, sizeof *processor, by_value);
    printf("| %s | %s | %.2f | %.2f | %.2f | %.2f | %.1f | %.1f |\n", name != NULL ? name + 1 : path,
           prefer == VECQ_PREFER_SPEED ? "speed" : "memory", (double)l.memory.file / 1048576,
           (double)(l.memory.weights + l.memory.mapped) / 1048576,
           (double)(l.memory.weights + l.memory.mapped) / (double)l.memory.file,
           (double)l.memory.workspace / 1048576, wall[o->runs / 2], processor[o->runs / 2]);
    fflush(stdout);
    return 1;
}

int main(int argc, char **argv)
{
    options o = {.runs = 5, .threads = 1, .batch = 1};
    int i, failed = 0;

    for (i = 1; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2)
        if (strcmp(argv[i], "--runs") == 0)
            o.runs = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--threads") == 0)
            o.threads = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--batch") == 0)
            o.batch = strtoll(argv[i + 1], NULL, 10);
    if (i >= argc || o.runs < 1 || o.runs > RUNS_MAX) {
        fputs("usage: see bench/bench_load.c\n", stderr);
        return 2;
    }
    puts("| model | prefer | file, MiB | weights, MiB | of the file | workspace, MiB | ready, ms | "
         "processor, ms |\n"
         "|---|---|---|---|---|---|---|---|");
    for (; i < argc; i++) {
        failed |= !measure(argv[i], VECQ_PREFER_SPEED, &o);
        failed |= !measure(argv[i], VECQ_PREFER_MEMORY, &o);
    }
    return failed;
}
