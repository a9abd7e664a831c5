/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a model as a program, for test_programs.py:
 *
 *     run_model [--backend NAME] [--threads N] [--repeat N] [--simplify 1] [--packed 1] MODEL OUT
 * [NAME=TYPE:DIMS:FILE]... run_model --backends run_model --operators       a line "NAME VERSION [static]"
 * for each that is run (static: only folded)
 *
 * An input is raw little-endian elements of an ONNX type number, "1:2x3:x.bin". Output i goes to the file
 * OUT.i; a line "i TYPE DIMS NAME" on standard output says what it is, "time SECONDS" the fastest of the
 * repeated runs, "step BACKEND OP" a step of the plan; simplified, a line "simplified N" says how many ops
 * went. Exit status 3: something in the model is not supported; 1: any other error; the message is on
 * standard error.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/exec.h"
#include "base/clock.h"
#include "base/status.h"
#include "graph/lower.h"
#include "graph/simplify.h"
#include "onnx/document.h"

#define MAX_IO 64

typedef struct run_options {
    const char *backend, *model, *out;
    unsigned threads, repeat, simplify, packed;
    char **inputs; /* "NAME=TYPE:DIMS:FILE" */
    size_t n_inputs;
} run_options;

typedef struct run_state {
    vecq_document doc;
    vecq_program program;
    vecq_store store;
    vecq_exec *exec;
    vecq_lower_input inputs[MAX_IO];
    void *data[MAX_IO];
    const char *names[MAX_IO];
    vecq_var *outputs[MAX_IO];
    size_t n_inputs, n_outputs;
} run_state;

static int parse_arguments(int argc, char **argv, run_options *o)
{
    int i = 1;

    memset(o, 0, sizeof *o);
    o->threads = o->repeat = 1;
    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2)
        if (strcmp(argv[i], "--backend") == 0)
            o->backend = argv[i + 1];
        else if (strcmp(argv[i], "--threads") == 0)
            o->threads = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--repeat") == 0)
            o->repeat = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--simplify") == 0)
            o->simplify = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--packed") == 0)
            o->packed = (unsigned)strtoul(argv[i + 1], NULL, 10);
        else
            return 0;
    if (i + 2 > argc)
        return 0;
    o->model = argv[i];
    o->out = argv[i + 1];
    o->inputs = argv + i + 2;
    o->n_inputs = (size_t)(argc - i - 2);
    return o->n_inputs <= MAX_IO && o->repeat > 0;
}

static vecq_status load(run_state *s, const char *path, vecq_error *err)
{
    const char *slash = strrchr(path, '/');

    VECQ_TRY(vecq_mapping_open(path, &s->doc.mapping, err));
    s->doc.bytes = s->doc.mapping.bytes;
    s->doc.name = vecq_arena_string(&s->doc.arena, path, strlen(path));
    s->doc.folder = vecq_arena_string(&s->doc.arena, slash != NULL ? path : ".",
                                      slash != NULL ? (size_t)(slash - path) : 1);
    if (s->doc.name == NULL || s->doc.folder == NULL)
        return vecq_error_memory(err, strlen(path));
    return vecq_document_read(&s->doc, err);
}

/* "NAME=TYPE:2x3:FILE"; a scalar has no dimensions: "NAME=7::FILE". The text is taken apart in place. */
static vecq_status read_input(run_state *s, char *text, vecq_error *err)
{
    char *type = strrchr(text, '='), *dims, *path;
    int64_t sizes[VECQ_MAX_RANK];
    unsigned rank = 0;
    vecq_dtype dtype;
    vecq_var *var;
    FILE *file;
    size_t n;

    if (type == NULL || (dims = strchr(type, ':')) == NULL || (path = strchr(dims + 1, ':')) == NULL)
        return vecq_error_set(err, VECQ_ERR_USAGE, "'%s' is no input", text);
    *type++ = *dims++ = *path++ = '\0';
    dtype = (vecq_dtype)strtol(type, NULL, 10);
    while (*dims != '\0' && rank < VECQ_MAX_RANK) {
        sizes[rank++] = strtoll(dims, &dims, 10);
        dims += *dims == 'x';
    }
    VECQ_TRY(vecq_program_input(&s->program, text, dtype, rank, sizes, &var, err));
    s->inputs[s->n_inputs].name = text;
    s->inputs[s->n_inputs].var = var;
    n = vecq_dtype_bytes(dtype, var->count);
    s->data[s->n_inputs] = vecq_alloc(n, 1);
    if (s->data[s->n_inputs] == NULL)
        return vecq_error_memory(err, n);
    file = fopen(path, "rb");
    if (file == NULL || fread(s->data[s->n_inputs++], 1, n, file) != n) {
        if (file != NULL)
            fclose(file);
        return vecq_error_set(err, VECQ_ERR_IO, "%s: cannot be read, or is too short", path);
    }
    fclose(file);
    return VECQ_OK;
}

static vecq_status run(run_state *s, const run_options *o, vecq_error *err)
{
    const vecq_backend *backend = o->backend != NULL ? vecq_backend_find(o->backend) : NULL;
    vecq_exec_options options = {.backends = &backend, .n_backends = backend != NULL, .threads = o->threads};
    vecq_run step = {.threads = o->threads};
    double best = 1e300;
    unsigned i;
    size_t k;

    if (o->backend != NULL && backend == NULL)
        return vecq_error_set(err, VECQ_ERR_USAGE, "no backend '%s'", o->backend);
    VECQ_TRY(vecq_exec_create(&s->program, &options, &s->exec, err));
    for (k = 0; k < s->n_inputs; k++)
        vecq_exec_bind(s->exec, s->inputs[k].var, s->data[k]);
    for (i = 0; i < o->repeat; i++) {
        double start = vecq_clock_seconds(), taken;

        VECQ_TRY(vecq_exec_run(s->exec, &step, err));
        taken = vecq_clock_seconds() - start;
        best = taken < best ? taken : best;
    }
    printf("time %.6f\n", best);
    for (k = 0; k < vecq_exec_steps(s->exec); k++)
        printf("step %s %s\n", vecq_exec_step(s->exec, k).backend, vecq_exec_step(s->exec, k).op);
    return VECQ_OK;
}

static vecq_status write_output(const run_state *s, const char *out, size_t i, vecq_error *err)
{
    const vecq_var *var = s->outputs[i];
    size_t n = vecq_dtype_bytes(var->dtype, var->count);
    char path[PATH_MAX], shape[96];
    FILE *file;
    int fine;

    snprintf(path, sizeof path, "%s.%zu", out, i);
    file = fopen(path, "wb");
    fine = file != NULL && fwrite(vecq_exec_data(s->exec, var), 1, n, file) == n;
    if (file != NULL)
        fine = fclose(file) == 0 && fine;
    if (!fine)
        return vecq_error_set(err, VECQ_ERR_IO, "%s: cannot be written", path);
    printf("%zu %d %s %s\n", i, (int)var->dtype, vecq_var_shape_text(var, shape), s->names[i]);
    return VECQ_OK;
}

static vecq_status work(run_state *s, const run_options *o, vecq_error *err)
{
    vecq_lower_options lower = {.is_frozen = o->simplify != 0 || o->packed != 0,
                                .keep_packed = o->packed != 0};
    const vecq_graph *graph;
    size_t i;

    VECQ_TRY(load(s, o->model, err));
    for (i = 0; i < o->n_inputs; i++)
        VECQ_TRY(read_input(s, o->inputs[i], err));
    graph = s->doc.ir.main;
    for (i = 0; i < graph->n_outputs && i < MAX_IO; i++)
        s->names[s->n_outputs++] = graph->outputs[i]->name;
    VECQ_TRY(vecq_lower_graph(&s->program, &s->store, &s->doc.ir, &lower, s->inputs, s->n_inputs, s->names,
                              s->n_outputs, s->outputs, err));
    for (i = 0; i < s->n_outputs; i++)
        s->outputs[i]->is_output = 1;
    if (o->simplify) {
        vecq_simplify_counts counts;

        VECQ_TRY(vecq_program_simplify(&s->program, NULL, &counts, err));
        printf("simplified %zu\n", counts.folded + counts.fused + counts.removed);
    }
    VECQ_TRY(run(s, o, err));
    for (i = 0; i < s->n_outputs; i++)
        VECQ_TRY(write_output(s, o->out, i, err));
    return VECQ_OK;
}

static void list_operators(void)
{
#define VECQ_LOWER(name, since, stem)   puts(#name " " #since);
#define VECQ_FOLD_OP(name, since, f, v) puts(#name " " #since " static");
#include "graph/fold_ops.def"
#include "graph/lower_ops.def"
#undef VECQ_LOWER
#undef VECQ_FOLD_OP
}

int main(int argc, char **argv)
{
    vecq_error err = VECQ_ERROR_INIT;
    run_options options;
    run_state state;
    vecq_status status;
    size_t i;

    if (argc == 2 && strcmp(argv[1], "--backends") == 0) {
        for (i = 0; i < vecq_backend_count(); i++)
            puts(vecq_backend_name(vecq_backend_at(i)));
        puts("ref");
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--operators") == 0) {
        list_operators();
        return 0;
    }
    if (!parse_arguments(argc, argv, &options)) {
        fputs("usage: see tests/onnx/run_model.c\n", stderr);
        return 2;
    }
    memset(&state, 0, sizeof state);
    status = work(&state, &options, &err);
    if (status != VECQ_OK)
        fprintf(stderr, "%s\n", err.message);
    vecq_exec_destroy(state.exec);
    vecq_program_clear(&state.program);
    vecq_store_clear(&state.store);
    vecq_document_clear(&state.doc);
    for (i = 0; i < MAX_IO; i++)
        vecq_free(state.data[i]);
    return status == VECQ_OK ? 0 : status == VECQ_ERR_UNSUPPORTED ? 3 : 1;
}
