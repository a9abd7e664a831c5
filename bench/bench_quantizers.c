/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What quantizers cost in a training step: forward, cross-entropy and backward of a network of src/zoo on
 * random images, operator by operator. Medians over runs; float first, for comparison.
 */
#include <getopt.h>
#include <stdio.h>

#include "bench.h"

#include "backend/exec.h"
#include "base/rng.h"
#include "graph/gradient.h"
#include "graph/ops/quantized.h"
#include "onnx/trained.h"
#include "zoo/zoo.h"

#define RUNS_MAX 101u
#define KINDS    (VECQ_OP_COUNT + 1) /* one more: conversions between layouts */

typedef struct setting {
    const char *title;
    unsigned bits;
    vecq_granularity granularity;
    vecq_lambda_mode lambda;
    int learned_steps;
    unsigned act_bits;
} setting;

static const setting settings[] = {
    {"float", 0, VECQ_PER_TENSOR, VECQ_LAMBDA_TABLE, 0, 0},
    {"2 bits, tensor, table", 2, VECQ_PER_TENSOR, VECQ_LAMBDA_TABLE, 0, 0},
    {"2 bits, channel, table", 2, VECQ_PER_CHANNEL, VECQ_LAMBDA_TABLE, 0, 0},
    {"2 bits, learned steps", 2, VECQ_PER_TENSOR, VECQ_LAMBDA_TABLE, 1, 0},
    {"2 bits, activations 8", 2, VECQ_PER_TENSOR, VECQ_LAMBDA_TABLE, 0, 8},
};

typedef struct bench {
    const vecq_network *network;
    int64_t batch;
    unsigned runs, threads;
    int all;
    vecq_error err;
} bench;

#define TRY(call)                                                                                            \
    do {                                                                                                     \
        if ((call) != VECQ_OK)                                                                               \
            return 0;                                                                                        \
    } while (0)

typedef struct step {
    vecq_model *model;
    uint8_t *bytes;
    vecq_plan plan;
    vecq_store store;
    vecq_program program;
    vecq_exec *exec;
    vecq_var *x, *labels;
    vecq_var **with, **gradients;
} step;

static int step_differentiate(step *s, vecq_var *logits, vecq_error *err)
{
    vecq_loss_params params = {.temperature = 1};
    vecq_var *loss;
    size_t i, n = 0;

    TRY(vecq_program_op2(&s->program, VECQ_OP_CROSS_ENTROPY, "loss", logits, s->labels, &params,
                         sizeof params, &loss, err));
    s->with = calloc(s->program.n_vars, sizeof *s->with);
    s->gradients = calloc(s->program.n_vars, sizeof *s->gradients);
    for (i = 0; i < s->program.n_vars; i++)
        if (s->program.vars[i]->kind == VECQ_VAR_PARAMETER)
            s->with[n++] = s->program.vars[i];
    loss->is_output = 1;
    TRY(vecq_program_differentiate(&s->program, loss, s->with, n, s->gradients, err));
    return 1;
}

static int step_make(bench *b, const setting *set, step *s)
{
    const vecq_network *net = b->network;
    const int64_t dims[4] = {b->batch, (int64_t)net->channels, (int64_t)net->height, (int64_t)net->width};
    const vecq_backend *backends[4];
    vecq_exec_options exec = {.backends = backends, .threads = b->threads, .is_training = 1};
    vecq_lower_options lowering = {.is_training = 1,
                                   .learned_steps = set->learned_steps,
                                   .act = {.bits = set->act_bits, .momentum = 0.99}};
    vecq_quantize_options quantize;
    vecq_lower_input input = {.name = "input"};
    vecq_zoo_options zoo;
    const char *output = "logits";
    vecq_var *logits;
    size_t n;

    vecq_zoo_options_default(net, &zoo);
    TRY(vecq_zoo_build(net, &zoo, &s->bytes, &n, &b->err));
    TRY(vecq_model_load_memory(s->bytes, n, net->name, NULL, &s->model, &b->err));
    vecq_quantize_options_default(&quantize);
    vecq_quantize_options_paper(&quantize);
    quantize.bits = set->bits;
    quantize.granularity = set->granularity;
    quantize.lambda = set->lambda;
    if (set->bits > 0) {
        TRY(vecq_plan_make(&vecq_model_document(s->model)->ir, &quantize, &s->plan, &b->err));
        lowering.plan = &s->plan;
    }
    TRY(vecq_program_input(&s->program, "input", VECQ_DT_FLOAT, 4, dims, &s->x, &b->err));
    TRY(vecq_program_input(&s->program, "labels", VECQ_DT_INT32, 1, dims, &s->labels, &b->err));
    input.var = s->x;
    TRY(vecq_lower_graph(&s->program, &s->store, &vecq_model_document(s->model)->ir, &lowering, &input, 1,
                         &output, 1, &logits, &b->err));
    if (!step_differentiate(s, logits, &b->err))
        return 0;
    for (exec.n_backends = 0; exec.n_backends < vecq_backend_count() && exec.n_backends < 4;
         exec.n_backends++)
        backends[exec.n_backends] = vecq_backend_at(exec.n_backends);
    TRY(vecq_exec_create(&s->program, &exec, &s->exec, &b->err));
    return 1;
}

static void step_end(step *s)
{
    vecq_exec_destroy(s->exec);
    vecq_program_clear(&s->program);
    vecq_store_clear(&s->store);
    vecq_plan_clear(&s->plan);
    vecq_model_close(s->model);
    vecq_free(s->bytes);
    free((void *)s->with);
    free((void *)s->gradients);
}

static size_t kind_of(const char *name)
{
    size_t k;

    for (k = 0; k < VECQ_OP_COUNT; k++)
        if (strcmp(vecq_op_info_of((vecq_op_kind)k)->name, name) == 0)
            return k;
    return VECQ_OP_COUNT;
}

static int is_quantizer(size_t kind)
{
    return kind < VECQ_OP_COUNT && (strstr(vecq_op_info_of((vecq_op_kind)kind)->name, "Quantize") != NULL ||
                                    kind == VECQ_OP_MEASURE_ACTIVATION || kind == VECQ_OP_SEARCH_LAMBDA);
}

static int bench_setting(bench *b, const setting *set)
{
    static double kinds[KINDS][RUNS_MAX], before[KINDS];
    double totals[RUNS_MAX], quantizers = 0, total;
    vecq_run run = {.seed = 1, .threads = b->threads};
    step s = {0};
    int done = step_make(b, set, &s);
    size_t n_x = done ? s.x->count : 0, i, k;
    float *x = malloc((n_x + 1) * sizeof *x);
    int32_t *labels = calloc((size_t)b->batch, sizeof *labels);
    vecq_rng rng;

    vecq_rng_seed(&rng, 1);
    for (i = 0; i < n_x; i++)
        x[i] = (float)vecq_rng_gaussian(&rng);
    for (i = 0; i < (size_t)b->batch; i++)
        labels[i] = (int32_t)(i % b->network->classes);
    if (done) {
        vecq_exec_bind(s.exec, s.x, x);
        vecq_exec_bind(s.exec, s.labels, labels);
        vecq_exec_set_timing(s.exec, 1);
    }
    memset(before, 0, sizeof before);
    for (i = 0; done && i <= b->runs; i++) { /* the first run warms up */
        double start = bench_seconds(), now[KINDS] = {0};

        run.step = i;
        done = vecq_exec_run(s.exec, &run, &b->err) == VECQ_OK;
        total = bench_seconds() - start;
        for (k = 0; k < vecq_exec_steps(s.exec); k++)
            now[kind_of(vecq_exec_step(s.exec, k).op)] += vecq_exec_step(s.exec, k).seconds;
        for (k = 0; k < KINDS; k++) {
            if (i > 0)
                kinds[k][i - 1] = now[k] - before[k];
            before[k] = now[k];
        }
        if (i > 0)
            totals[i - 1] = total;
    }
    if (done) {
        total = bench_median(totals, b->runs);
        for (k = 0; k < KINDS; k++) {
            double median = bench_median(kinds[k], b->runs);

            quantizers += is_quantizer(k) ? median : 0;
            if (median > 0 && (b->all || is_quantizer(k) || k == VECQ_OP_COUNT))
                printf("    %-24s %8.2f ms\n",
                       k < VECQ_OP_COUNT ? vecq_op_info_of((vecq_op_kind)k)->name : "conversions of layout",
                       1e3 * median);
        }
        printf("%-24s %12.2f ms, quantizers %.2f ms\n", set->title, 1e3 * total, 1e3 * quantizers);
    }
    step_end(&s);
    free(x);
    free(labels);
    return done;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"network", required_argument, NULL, 'n'}, {"batch", required_argument, NULL, 'b'},
        {"runs", required_argument, NULL, 'r'},    {"threads", required_argument, NULL, 't'},
        {"all", no_argument, NULL, 'a'},           {NULL, 0, NULL, 0}};
    bench b = {.network = vecq_zoo_find("lenet5"), .batch = 200, .runs = 7, .err = VECQ_ERROR_INIT};
    size_t i;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (c == 'n')
            b.network = vecq_zoo_find(optarg);
        else if (c == 'b')
            b.batch = strtol(optarg, NULL, 10);
        else if (c == 'r')
            b.runs = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 't')
            b.threads = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'a')
            b.all = 1;
        else
            b.network = NULL;
    if (b.network == NULL || b.network->kind != VECQ_NETWORK_IMAGE || b.batch < 1 || b.runs < 1 ||
        b.runs > RUNS_MAX) {
        fprintf(stderr, "usage: %s [--network NAME] [--batch N] [--runs N] [--threads N] [--all]\n", argv[0]);
        return 2;
    }
    printf("%s, batch %lld, %u runs\n", b.network->name, (long long)b.batch, b.runs);
    for (i = 0; i < sizeof settings / sizeof *settings; i++)
        if (!bench_setting(&b, &settings[i])) {
            fprintf(stderr, "%s: %s\n", settings[i].title, b.err.message);
            return 1;
        }
    return 0;
}
