/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a model on request, for compare_ort.py, which runs another runtime in turn:
 *
 *     bench_model [--backend NAME] [--threads N] [--plain] [--prefer speed|memory] [--processor-time]
 *                 MODEL
 * [NAME=TYPE:DIMS:FILE]...
 *
 * An input is raw little-endian elements of an ONNX type number, "x=1:2x3:x.bin". Then lines on standard
 * input are answered by lines on standard output:
 *
 *     run N         N runs: their seconds
 *     steps N       N runs with timing: "name<TAB>op<TAB>backend<TAB>detail<TAB>seconds in its quickest run"
 * for each step, and an empty line output FILE   writes the first output there
 *
 * --plain leaves the program as it was lowered, without graph/simplify.h; --prefer memory keeps packed
 * weights packed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/exec.h"
#include "base/clock.h"
#include "base/status.h"
#include "graph/lower.h"
#include "graph/simplify.h"
#include "onnx/document.h"

#define MAX_IO 64

typedef struct bench {
    const char *backend, *model;
    unsigned threads;
    int is_plain, prefer_memory, is_processor_time;
    vecq_document doc;
    vecq_program program;
    vecq_store store;
    vecq_exec *exec;
    vecq_lower_input inputs[MAX_IO];
    void *data[MAX_IO];
    const char *names[MAX_IO];
    vecq_var *outputs[MAX_IO];
    size_t n_inputs, n_outputs;
} bench;

static vecq_status load(bench *b, const char *path, vecq_error *err)
{
    const char *slash = strrchr(path, '/');

    VECQ_TRY(vecq_mapping_open(path, &b->doc.mapping, err));
    b->doc.bytes = b->doc.mapping.bytes;
    b->doc.name = vecq_arena_string(&b->doc.arena, path, strlen(path));
    b->doc.folder = vecq_arena_string(&b->doc.arena, slash != NULL ? path : ".",
                                      slash != NULL ? (size_t)(slash - path) : 1);
    if (b->doc.name == NULL || b->doc.folder == NULL)
        return vecq_error_memory(err, strlen(path));
    return vecq_document_read(&b->doc, err);
}

/* "NAME=TYPE:2x3:FILE", taken apart in place. */
static vecq_status read_input(bench *b, char *text, vecq_error *err)
{
    char *type = strrchr(text, '='), *dims, *path;
    int64_t sizes[VECQ_MAX_RANK];
    unsigned rank = 0;
    vecq_var *var;
    FILE *file;
    size_t n;

    if (b->n_inputs == MAX_IO || type == NULL || (dims = strchr(type, ':')) == NULL ||
        (path = strchr(dims + 1, ':')) == NULL)
        return vecq_error_set(err, VECQ_ERR_USAGE, "'%s' is no input", text);
    *type++ = *dims++ = *path++ = '\0';
    while (*dims != '\0' && rank < VECQ_MAX_RANK) {
        sizes[rank++] = strtoll(dims, &dims, 10);
        dims += *dims == 'x';
    }
    VECQ_TRY(
        vecq_program_input(&b->program, text, (vecq_dtype)strtol(type, NULL, 10), rank, sizes, &var, err));
    b->inputs[b->n_inputs].name = text;
    b->inputs[b->n_inputs].var = var;
    n = vecq_dtype_bytes(var->dtype, var->count);
    if ((b->data[b->n_inputs] = vecq_alloc(n, 1)) == NULL)
        return vecq_error_memory(err, n);
    file = fopen(path, "rb");
    if (file == NULL || fread(b->data[b->n_inputs++], 1, n, file) != n)
        vecq_error_set(err, VECQ_ERR_IO, "%s: cannot be read, or is too short", path);
    if (file != NULL)
        fclose(file);
    return err->status;
}

static vecq_status prepare(bench *b, char **inputs, size_t n, vecq_error *err)
{
    const vecq_backend *backends[8];
    vecq_exec_options options = {
        .backends = backends, .threads = b->threads, .prefer_memory = b->prefer_memory};
    vecq_lower_options lower = {.is_frozen = 1, .keep_packed = 1};
    const vecq_graph *graph;
    size_t i;

    VECQ_TRY(load(b, b->model, err));
    for (i = 0; i < n; i++)
        VECQ_TRY(read_input(b, inputs[i], err));
    graph = b->doc.ir.main;
    for (i = 0; i < graph->n_outputs && i < MAX_IO; i++)
        b->names[b->n_outputs++] = graph->outputs[i]->name;
    VECQ_TRY(vecq_lower_graph(&b->program, &b->store, &b->doc.ir, &lower, b->inputs, b->n_inputs, b->names,
                              b->n_outputs, b->outputs, err));
    for (i = 0; i < b->n_outputs; i++)
        b->outputs[i]->is_output = 1;
    if (!b->is_plain)
        VECQ_TRY(vecq_program_simplify(&b->program, NULL, NULL, err));
    while (b->backend == NULL && options.n_backends < vecq_backend_count() && options.n_backends < 8) {
        backends[options.n_backends] = vecq_backend_at(options.n_backends);
        options.n_backends++;
    }
    if (b->backend != NULL && (backends[options.n_backends++] = vecq_backend_find(b->backend)) == NULL)
        return vecq_error_set(err, VECQ_ERR_USAGE, "no backend '%s'", b->backend);
    VECQ_TRY(vecq_exec_create(&b->program, &options, &b->exec, err));
    for (i = 0; i < b->n_inputs; i++)
        vecq_exec_bind(b->exec, b->inputs[i].var, b->data[i]);
    return VECQ_OK;
}

/* ---- requests ---- */

static double seconds(const bench *b)
{
    struct timespec t;

    if (!b->is_processor_time)
        return vecq_clock_seconds();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static vecq_status run(bench *b, unsigned long n, int prints, vecq_error *err)
{
    vecq_run step = {.threads = b->threads};

    for (; n > 0; n--) {
        double start = seconds(b);

        VECQ_TRY(vecq_exec_run(b->exec, &step, err));
        if (prints)
            printf("%.9f ", seconds(b) - start);
    }
    return VECQ_OK;
}

static vecq_status steps(bench *b, unsigned long n, vecq_error *err)
{
    size_t i, n_steps = vecq_exec_steps(b->exec);
    double *best = vecq_calloc(n_steps, sizeof *best);
    vecq_status status = best != NULL ? VECQ_OK : vecq_error_memory(err, n_steps * sizeof *best);

    for (; n > 0 && status == VECQ_OK; n--) {
        vecq_exec_set_timing(b->exec, 1); /* from 0 */
        status = run(b, 1, 0, err);
        for (i = 0; i < n_steps; i++) {
            double taken = vecq_exec_step(b->exec, i).seconds;

            best[i] = best[i] == 0 || taken < best[i] ? taken : best[i];
        }
    }
    vecq_exec_set_timing(b->exec, 0);
    for (i = 0; i < n_steps && status == VECQ_OK; i++) {
        vecq_exec_step_info s = vecq_exec_step(b->exec, i);

        if (!s.is_prologue)
            printf("%s\t%s\t%s\t%s\t%.9f\n", s.name, s.op, s.backend, s.detail, best[i]);
    }
    vecq_free(best);
    return status;
}

static vecq_status write_output(const bench *b, const char *path, vecq_error *err)
{
    const vecq_var *var = b->outputs[0];
    size_t n = vecq_dtype_bytes(var->dtype, var->count);
    FILE *file = fopen(path, "wb");
    int fine = file != NULL && fwrite(vecq_exec_data(b->exec, var), 1, n, file) == n;

    if (file != NULL)
        fine = fclose(file) == 0 && fine;
    return fine ? VECQ_OK : vecq_error_set(err, VECQ_ERR_IO, "%s: cannot be written", path);
}

static vecq_status serve(bench *b, vecq_error *err)
{
    char line[4096];
    vecq_status status = VECQ_OK;

    while (status == VECQ_OK && fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "run ", 4) == 0)
            status = run(b, strtoul(line + 4, NULL, 10), 1, err);
        else if (strncmp(line, "steps ", 6) == 0)
            status = steps(b, strtoul(line + 6, NULL, 10), err);
        else if (strncmp(line, "output ", 7) == 0)
            status = write_output(b, line + 7, err);
        putchar('\n');
        fflush(stdout);
    }
    return status;
}

int main(int argc, char **argv)
{
    vecq_error err = VECQ_ERROR_INIT;
    bench b = {.threads = 1};
    vecq_status status;
    int i;

    for (i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i++)
        if (strcmp(argv[i], "--plain") == 0)
            b.is_plain = 1;
        else if (strcmp(argv[i], "--backend") == 0 && i + 1 < argc)
            b.backend = argv[++i];
        else if (strcmp(argv[i], "--processor-time") == 0)
            b.is_processor_time = 1;
        else if (strcmp(argv[i], "--prefer") == 0 && i + 1 < argc)
            b.prefer_memory = strcmp(argv[++i], "memory") == 0;
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            b.threads = (unsigned)strtoul(argv[++i], NULL, 10);
    if (i >= argc) {
        fputs("usage: see bench/bench_model.c\n", stderr);
        return 2;
    }
    b.model = argv[i];
    status = prepare(&b, argv + i + 1, (size_t)(argc - i - 1), &err);
    if (status == VECQ_OK)
        status = serve(&b, &err);
    if (status != VECQ_OK)
        fprintf(stderr, "%s\n", err.message);
    vecq_exec_destroy(b.exec);
    vecq_program_clear(&b.program);
    vecq_store_clear(&b.store);
    vecq_document_clear(&b.doc);
    for (i = 0; i < MAX_IO; i++)
        vecq_free(b.data[i]);
    return status == VECQ_OK ? 0 : 1;
}
