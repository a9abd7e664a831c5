/* SPDX-License-Identifier: Apache-2.0 */
/* vecq bench: how fast a model runs, and what limits it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "engine.h"
#include "json.h"
#include "options.h"
#include "table.h"
#include "text.h"

enum {
    OPTION_BATCH = CLI_LONG_ONLY,
    OPTION_SHAPE,
    OPTION_SECONDS,
    OPTION_RUNS,
    OPTION_LAYERS,
    OPTION_AGAINST,
    OPTION_JSON
};

static const cli_option options[] = {
    {OPTION_BATCH, "batch", "LIST", "sizes of the first dimension, 1,16 (default 1)"},
    {'j', "threads", "LIST", "numbers of threads, 1,2 (default: all processors)"},
    {OPTION_SHAPE, "shape", "NAME=DIMS",
     "shape of an input, x=1x3x224x224, where the model leaves it open;\nits first dimension is the batch; "
     "repeatable"},
    {OPTION_SECONDS, "seconds", "S", "time to measure each row, in seconds (default 1)"},
    {OPTION_RUNS, "runs", "N", "measure exactly so many runs instead"},
    {OPTION_LAYERS, "layers", NULL, "each step: time, share, speed, and share of what the machine can do"},
    {OPTION_AGAINST, "against", "MODEL",
     "run another model in turns with this one, and print the ratio;\n--act-bits does not concern it"},
    CLI_ENGINE_OPTIONS,
    {OPTION_JSON, "json", NULL, "print one JSON object (docs/json.md)"},
    CLI_OPTION_HELP,
    CLI_OPTION_END,
};

#define BENCH_LIST_MAX   16u
#define BENCH_RUNS_MAX   1000000u
#define BENCH_LAYER_RUNS 1000u

typedef struct bench_shape {
    const char *text; /* NAME=DIMS */
    vecq_tensor shape;
} bench_shape;

/* Times of one model in one row, in seconds, in the order of the runs; sorted at the end. */
typedef struct bench_times {
    double *seconds;
    size_t n, capacity;
} bench_times;

/* One model ready to run. */
typedef struct bench_model {
    const char *path;
    int is_other; /* of --against: activations as they are */
    vecq_session *session;
    vecq_runner *runner;
    vecq_tensor inputs[BENCH_LIST_MAX];
    size_t n_inputs;
    double load_seconds; /* load and plan */
    bench_times times;
} bench_model;

typedef struct bench_job {
    const cli_command *command;
    cli_engine engine;
    const char *model, *against;
    uint64_t batches[BENCH_LIST_MAX], threads[BENCH_LIST_MAX];
    size_t n_batches, n_threads;
    bench_shape shapes[BENCH_LIST_MAX];
    size_t n_shapes;
    double seconds;
    uint64_t runs; /* 0: by time */
    int layers, json;
    vecq_machine_info machine; /* of the row at work */
    cJSON *out, *rows;
} bench_job;

static double bench_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- options ---- */

static int take_list(bench_job *job, const char *option, const char *value, uint64_t high, uint64_t *list,
                     size_t *n)
{
    char *copy = cli_strdup(value), *word, *rest;
    int status = CLI_CONTINUE;

    *n = 0;
    for (word = copy; word != NULL && status == CLI_CONTINUE; word = rest) {
        rest = strchr(word, ',');
        if (rest != NULL)
            *rest++ = '\0';
        if (*n == BENCH_LIST_MAX)
            status = cli_usage(job->command, "%s: at most %u numbers", option, BENCH_LIST_MAX);
        else
            status = cli_value_number(job->command, option, word, 1, high, &list[(*n)++]);
    }
    free(copy);
    return status;
}

static int take_shape(bench_job *job, const char *value)
{
    const char *sign = strrchr(value, '=');
    bench_shape *s = &job->shapes[job->n_shapes];

    if (job->n_shapes == BENCH_LIST_MAX)
        return cli_usage(job->command, "at most %u shapes", BENCH_LIST_MAX);
    if (sign == NULL || sign == value || !cli_shape_parse(sign + 1, &s->shape))
        return cli_usage(job->command, "--shape takes NAME=1x3x224x224, not '%s'", value);
    s->text = value;
    job->n_shapes++;
    return CLI_CONTINUE;
}

static int bench_option(void *context, int id, const char *value)
{
    bench_job *job = context;
    char *end;

    switch (id) {
    case OPTION_BATCH:
        return take_list(job, "--batch", value, 1000000, job->batches, &job->n_batches);
    case 'j':
        return take_list(job, "--threads", value, 256, job->threads, &job->n_threads);
    case OPTION_SHAPE:
        return take_shape(job, value);
    case OPTION_SECONDS:
        job->seconds = strtod(value, &end);
        if (end == value || *end != '\0' || !(job->seconds > 0) || job->seconds > 86400)
            return cli_usage(job->command, "--seconds takes a number above 0, not '%s'", value);
        break;
    case OPTION_RUNS:
        return cli_value_number(job->command, "--runs", value, 1, BENCH_RUNS_MAX, &job->runs);
    case OPTION_LAYERS:
        job->layers = 1;
        break;
    case OPTION_AGAINST:
        job->against = value;
        break;
    case OPTION_JSON:
        job->json = 1;
        break;
    default:
        return cli_engine_option(&job->engine, id, value);
    }
    return CLI_CONTINUE;
}

/* ---- a model ---- */

static const bench_shape *shape_of(const bench_job *job, const char *name)
{
    size_t i, n = strlen(name);

    for (i = 0; i < job->n_shapes; i++)
        if (strncmp(job->shapes[i].text, name, n) == 0 && job->shapes[i].text[n] == '=')
            return &job->shapes[i];
    return NULL;
}

static vecq_status refuse(vecq_error *err, const char *path, const char *format, const char *name)
{
    char *text = cli_format(format, name);

    err->status = VECQ_ERR_VALUE;
    snprintf(err->message, sizeof err->message, "%s: %s", path, text);
    free(text);
    return err->status;
}

/* The shape of an input for a batch: what --shape says, else what the model does. */
static vecq_status input_shape(const bench_job *job, const bench_model *m, const vecq_io_info *io,
                               uint64_t batch, vecq_tensor *t, vecq_error *err)
{
    const bench_shape *given = shape_of(job, io->name);
    unsigned a;

    memset(t, 0, sizeof *t);
    if (given == NULL && !io->has_shape)
        return refuse(err, m->path, "the model does not say the shape of input '%s': give --shape %s=DIMS",
                      io->name);
    t->dtype = io->dtype != VECQ_DT_UNDEFINED ? io->dtype : VECQ_DT_FLOAT;
    t->rank = given != NULL ? given->shape.rank : io->rank;
    for (a = 0; a < t->rank; a++)
        t->dims[a] = given != NULL ? given->shape.dims[a] : io->dims[a];
    if (t->rank > 0 &&
        (t->dims[0] < 0 || (t->dims[0] == 1 && io->symbols[0] == NULL) || (io->has_shape && io->dims[0] < 0)))
        t->dims[0] = (int64_t)batch;
    for (a = 0; a < t->rank; a++)
        if (t->dims[a] < 0)
            return refuse(err, m->path,
                          "the model leaves dimensions of input '%s' open: give --shape or --dim", io->name);
    return VECQ_OK;
}

static vecq_status model_open(const bench_job *job, bench_model *m, uint64_t batch, vecq_error *err)
{
    double start = bench_clock();
    vecq_session_options session = job->engine.options;
    vecq_status status;
    size_t i, n;

    if (m->is_other)
        session.act_bits = 0;
    status = vecq_session_load(m->path, &session, &m->session, err);
    if (status == VECQ_OK)
        status = vecq_runner_create(m->session, &m->runner, err);
    n = status == VECQ_OK ? vecq_session_inputs(m->session) : 0;
    if (n > BENCH_LIST_MAX)
        return refuse(err, m->path, "%s", "more inputs than this command can make");
    for (i = 0; i < n && status == VECQ_OK; i++) {
        const vecq_io_info *io = vecq_session_input(m->session, i);
        vecq_tensor *t = &m->inputs[i];

        status = input_shape(job, m, io, batch, t, err);
        if (status == VECQ_OK && !cli_tensor_random(t, 1 + i, err))
            status = err->status;
        m->n_inputs = i + 1;
        if (status == VECQ_OK)
            status = vecq_runner_bind(m->runner, io->name, t->dtype, t->rank, t->dims, t->data, err);
    }
    if (status == VECQ_OK)
        status = vecq_runner_prepare(m->runner, err);
    m->load_seconds = bench_clock() - start;
    return status;
}

static void model_close(bench_model *m)
{
    vecq_runner_destroy(m->runner);
    vecq_session_close(m->session);
    while (m->n_inputs > 0)
        vecq_tensor_destroy(&m->inputs[--m->n_inputs]);
    free(m->times.seconds);
    memset(m, 0, sizeof *m);
}

/* ---- measuring ---- */

static vecq_status timed_run(bench_model *m, vecq_error *err)
{
    bench_times *t = &m->times;
    double start;
    vecq_status status;

    if (t->n == t->capacity) {
        t->capacity = t->capacity > 0 ? 2 * t->capacity : 256;
        t->seconds = cli_realloc(t->seconds, t->capacity, sizeof *t->seconds);
    }
    start = bench_clock();
    status = vecq_runner_run(m->runner, err);
    t->seconds[t->n++] = bench_clock() - start;
    return status;
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* In turns, so that what disturbs the machine meets both. The first few runs only warm up. */
static vecq_status measure(const bench_job *job, bench_model *models, size_t n, vecq_error *err)
{
    double end = 0;
    size_t i, run;

    for (run = 0; run < BENCH_RUNS_MAX + 3; run++) {
        if (run == 3) {
            end = bench_clock() + job->seconds;
            for (i = 0; i < n; i++)
                models[i].times.n = 0;
        }
        for (i = 0; i < n; i++) {
            vecq_status status = timed_run(&models[i], err);

            if (status != VECQ_OK)
                return status;
        }
        if (run >= 3 && (job->runs > 0 ? run - 2 == job->runs : run >= 7 && bench_clock() > end))
            break;
    }
    for (i = 0; i < n; i++)
        qsort(models[i].times.seconds, models[i].times.n, sizeof(double), by_time);
    return VECQ_OK;
}

static double at_share(const bench_times *t, double share)
{
    size_t i = (size_t)ceil(share * (double)t->n);

    return t->seconds[i > 0 ? i - 1 : 0];
}

static double median(const bench_times *t)
{
    return t->n % 2 == 1 ? t->seconds[t->n / 2] : (t->seconds[t->n / 2 - 1] + t->seconds[t->n / 2]) / 2;
}

/* ---- printing ---- */

static void print_row(const bench_model *models, size_t n, uint64_t batch, unsigned threads)
{
    const bench_times *t = &models[0].times;
    double mid = median(t);

    printf("%7llu  %7u  %9.4g  %9.4g  %9.4g  %11.1f  %6zu", (unsigned long long)batch, threads, 1e3 * mid,
           1e3 * at_share(t, 0.95), 1e3 * t->seconds[0], (double)batch / mid, t->n);
    if (n > 1)
        printf("  %9.4g  %6.2f", 1e3 * median(&models[1].times), median(&models[1].times) / mid);
    printf("\n");
}

static void json_times(cJSON *object, const bench_model *m, uint64_t batch)
{
    const bench_times *t = &m->times;

    cli_json_number(object, "median", median(t));
    cli_json_number(object, "p95", at_share(t, 0.95));
    cli_json_number(object, "min", t->seconds[0]);
    cli_json_number(object, "per_second", (double)batch / median(t));
    cli_json_integer(object, "runs", t->n);
    cli_json_number(object, "load_seconds", m->load_seconds);
}

static void json_machine(cJSON *object, const vecq_machine_info *m)
{
    cJSON *machine = cli_json_object(object, "machine");

    cli_json_number(machine, "fma_flops", m->fma_flops);
    cli_json_number(machine, "dot_ops", m->dot_ops);
    cli_json_number(machine, "read_bandwidth", m->read_bandwidth);
}

static void layer_row(const bench_job *job, cli_table *table, const vecq_step_info *s, double seconds,
                      double total)
{
    double ops = 2 * (double)s->macs, bytes = (double)(s->bytes_weights + s->bytes_read + s->bytes_written);
    double limit = s->is_integer ? job->machine.dot_ops : job->machine.fma_flops;

    cli_table_text(table, s->node);
    cli_table_text(table, s->op);
    cli_table_text(table, s->backend);
    cli_table_format(table, "%.4f", 1e3 * seconds);
    cli_table_format(table, "%.1f", 100 * seconds / total);
    if (s->macs > 0) {
        cli_table_format(table, "%.1f", ops / seconds / 1e9);
        cli_table_format(table, "%.0f", 100 * ops / seconds / limit);
    } else {
        cli_table_text(table, "");
        cli_table_text(table, "");
    }
    cli_table_format(table, "%.1f", bytes / seconds / 1e9);
    cli_table_format(table, "%.0f", 100 * bytes / seconds / job->machine.read_bandwidth);
    cli_table_text(table, s->detail);
}

/* Steps are timed in runs of their own: taking the time costs a little. The median of each, which other work
 * on the machine moves little; as many runs as fit into the time for a row. n > 0 numbers, to be freed. */
static vecq_status time_layers(const bench_job *job, bench_model *m, double **medians, size_t *n,
                               vecq_error *err)
{
    vecq_status status = vecq_runner_steps(m->runner, n, err);
    size_t i, run, runs = m->times.n < BENCH_LAYER_RUNS ? m->times.n : BENCH_LAYER_RUNS;
    double *times = cli_alloc((*n + 1) * (runs + 1), sizeof *times), end = bench_clock() + job->seconds;

    for (run = 0; run < runs && status == VECQ_OK && (run < 3 || bench_clock() < end); run++) {
        vecq_runner_set_timing(m->runner, 1); /* begins at 0 */
        status = vecq_runner_run(m->runner, err);
        for (i = 0; i < *n; i++)
            times[i * runs + run] = vecq_runner_step(m->runner, i).seconds;
    }
    *medians = cli_alloc(*n + 1, sizeof **medians);
    for (i = 0; i < *n && run > 0; i++) {
        qsort(times + i * runs, run, sizeof *times, by_time);
        (*medians)[i] = times[i * runs + run / 2];
    }
    free(times);
    return status;
}

static void print_layers(const bench_job *job, const bench_model *m, const double *seconds, size_t n)
{
    static const cli_column columns[] = {{"step", 'l', 1, 0},   {"op", 'l', 0, 0},   {"backend", 'l', 0, 3},
                                         {"ms", 'r', 0, 0},     {"%", 'r', 0, 0},    {"GOP/s", 'r', 0, 0},
                                         {"% peak", 'r', 0, 0}, {"GB/s", 'r', 0, 0}, {"% read", 'r', 0, 0},
                                         {"how", 'l', 1, 2}};
    cli_table *table = cli_table_new(columns, sizeof columns / sizeof *columns);
    double total = 0;
    size_t i;

    for (i = 0; i < n; i++)
        total += seconds[i];
    for (i = 0; i < n; i++) {
        vecq_step_info s = vecq_runner_step(m->runner, i);

        if (!s.is_once && seconds[i] > 0)
            layer_row(job, table, &s, seconds[i], total);
    }
    cli_table_print(table, stdout, cli_terminal_width(stdout));
    cli_table_free(table);
}

static vecq_status json_row(const bench_job *job, bench_model *models, size_t n, uint64_t batch,
                            unsigned threads, const double *layers, vecq_error *err)
{
    cJSON *row = cli_json_append(job->rows);

    cli_json_integer(row, "batch", batch);
    cli_json_integer(row, "threads", threads);
    json_times(row, &models[0], batch);
    json_machine(row, &job->machine);
    cli_engine_json_memory(row, models[0].session, models[0].runner);
    if (n > 1) {
        json_times(cli_json_object(row, "against"), &models[1], batch);
        cli_json_number(row, "ratio", median(&models[1].times) / median(&models[0].times));
    }
    return layers != NULL && !cli_engine_json_steps(row, models[0].runner, layers, err) ? err->status
                                                                                        : VECQ_OK;
}

/* ---- the command ---- */

static vecq_status bench_row(bench_job *job, uint64_t batch, uint64_t threads, vecq_error *err)
{
    bench_model models[2] = {{.path = job->model}, {.path = job->against, .is_other = 1}};
    size_t n = job->against != NULL ? 2 : 1, i, n_layers = 0;
    double *layers = NULL;
    vecq_status status = VECQ_OK;

    job->engine.options.threads = (unsigned)threads;
    for (i = 0; i < n && status == VECQ_OK; i++)
        status = model_open(job, &models[i], batch, err);
    if (status == VECQ_OK && !cli_engine_note_rounded(&job->engine, job->model, models[0].runner, err))
        status = err->status;
    if (status == VECQ_OK)
        status = measure(job, models, n, err);
    if (status == VECQ_OK && !job->json)
        print_row(models, n, batch, job->machine.threads);
    if (status == VECQ_OK && job->layers)
        status = time_layers(job, &models[0], &layers, &n_layers, err);
    if (status == VECQ_OK && job->layers && !job->json)
        print_layers(job, &models[0], layers, n_layers);
    if (status == VECQ_OK && job->json)
        status = json_row(job, models, n, batch, job->machine.threads, layers, err);
    free(layers);
    for (i = 0; i < n; i++)
        model_close(&models[i]);
    return status;
}

/* A file that cannot be run is told before anything is measured or printed. */
static vecq_status check_model(const bench_job *job, const char *path, vecq_error *err)
{
    vecq_session *session = NULL;
    vecq_status status = vecq_session_load(path, &job->engine.options, &session, err);

    vecq_session_close(session);
    return status;
}

static vecq_status bench_all(bench_job *job, vecq_error *err)
{
    vecq_status status = check_model(job, job->model, err);
    size_t b, t;

    if (status == VECQ_OK && job->against != NULL)
        status = check_model(job, job->against, err);
    for (t = 0; t < job->n_threads && status == VECQ_OK; t++) {
        status = vecq_machine_measure((unsigned)job->threads[t], &job->machine, err);
        if (status == VECQ_OK && !job->json)
            printf("%s%u thread%s: %.0f GFLOP/s, %.0f GOP/s of bytes, %.1f GB/s read (measured)\n"
                   "  batch  threads  median ms     p95 ms     min ms  samples/s    runs%s\n",
                   t > 0 ? "\n" : "", job->machine.threads, job->machine.threads > 1 ? "s" : "",
                   job->machine.fma_flops / 1e9, job->machine.dot_ops / 1e9,
                   job->machine.read_bandwidth / 1e9, job->against != NULL ? "    against   ratio" : "");
        for (b = 0; b < job->n_batches && status == VECQ_OK; b++)
            status = bench_row(job, job->batches[b], job->threads[t], err);
    }
    return status;
}

static int bench_go(bench_job *job)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_status status;

    if (job->json) {
        job->out = cli_json_begin(job->command->name);
        cli_json_text(job->out, "model", job->model);
        cli_json_text(job->out, "against", job->against);
        cli_json_text(job->out, "cpu", vecq_cpu_level_name(vecq_cpu_active()));
        job->rows = cli_json_array(job->out, "rows");
    }
    status = bench_all(job, &err);
    if (status != VECQ_OK) {
        cJSON_Delete(job->out);
        cli_error("%s", err.message[0] != '\0' ? err.message : vecq_status_name(status)); /* names the file */
        return CLI_FAILED;
    }
    if (job->json) {
        cli_json_print(job->out, stdout);
    } else {
        char *peak = cli_text_bytes(cli_peak_memory());

        printf("peak memory %s\n", peak);
        free(peak);
    }
    return cli_finish_output(stdout, CLI_DONE);
}

static int bench_run(const cli_command *self, int argc, char **argv)
{
    bench_job *job = cli_alloc(1, sizeof *job);
    size_t n_operands = 0;
    int status;

    memset(job, 0, sizeof *job);
    job->command = self;
    job->batches[0] = 1;
    job->n_batches = job->n_threads = 1;
    job->seconds = 1;
    cli_engine_init(&job->engine, self);
    status = cli_parse(self, argc, argv, bench_option, job, &job->model, 1, &n_operands);
    if (status == CLI_CONTINUE && n_operands == 0)
        status = cli_usage(self, "no model: name an ONNX file");
    if (status == CLI_CONTINUE)
        status = bench_go(job);
    cli_engine_clear(&job->engine);
    free(job);
    return status;
}

const cli_command cli_cmd_bench = {
    "bench",
    "MODEL [OPTIONS]",
    "how fast a model runs, layer by layer, and what limits it",
    "Runs a model on random inputs and prints latency and throughput; the machine's own limits are measured "
    "first.\nWith --against, two models run in turns: ratios hold on a noisy machine, single times do not.",
    options,
    "vecq bench model4.onnx --against model.onnx --batch 1,16 --threads 1,2\n"
    "vecq bench model4.onnx --prefer memory --layers\n"
    "vecq bench model.onnx --shape x=1x3x224x224 --seconds 5 --json",
    "",
    bench_run,
};
