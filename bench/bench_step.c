/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One training step, forward and backward with the loss, without the update of the weights:
 *
 *     bench_step [--net NAME] [--threads N] [--runs N] [--batch N] [--backend NAME] [--steps]
 *
 * prints the median of N runs of our plan, what it spends on each kind of step, its GFLOP/s, the share of
 * this machine's peak (large matrix products, measured in the same run), the memory of the plan, and beside
 * it the same oneDNN primitives alone (step_alone.h), run by run in turn. --steps lists every step of the
 * plan.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/exec.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/threads.h"
#include "bench.h"
#include "graph/gradient.h"
#include "step_net.h"
#ifdef VECQ_HAVE_ONEDNN
#include "step_alone.h"
#endif

#define RUNS_MAX   1001
#define PARAMS_MAX 128

typedef struct options {
    const char *net, *backend;
    unsigned threads;
    size_t runs;
    int batch, list;
} options;

typedef struct net_program {
    vecq_store store;
    vecq_program program;
    vecq_var *x, *labels, *loss;
    vecq_var *parameters[PARAMS_MAX], *gradients[PARAMS_MAX];
    size_t n;
    vecq_exec *exec;
    float *images;
    int32_t *classes;
    vecq_rng rng;
} net_program;

/* ---- the program ---- */

static vecq_status stored(net_program *p, const char *name, unsigned rank, const int64_t *dims, double low,
                          double high, int is_state, vecq_var **out, vecq_error *err)
{
    vecq_stored *stored = NULL;
    vecq_tensor tensor;
    size_t i;

    VECQ_TRY(vecq_tensor_create(VECQ_DT_FLOAT, rank, dims, &tensor, err));
    for (i = 0; i < tensor.count; i++)
        ((float *)tensor.data)[i] = (float)(low + (high - low) * vecq_rng_uniform(&p->rng));
    VECQ_TRY(vecq_store_add(&p->store, name, NULL, &tensor, &stored, err));
    stored->is_trained = !is_state;
    VECQ_TRY(vecq_program_stored(&p->program, stored, out, err));
    if (!is_state)
        p->parameters[p->n++] = *out;
    return VECQ_OK;
}

/* Weights small enough that activations stay near one; the values do not matter for the time otherwise. */
static vecq_status add_product(net_program *p, vecq_op_kind kind, const step_layer *l, vecq_var **x,
                               vecq_error *err)
{
    int64_t width = (*x)->dims[1], k = l->kernel;
    int64_t w[4] = {l->width, width, k, k}, b[1] = {l->width};
    int is_conv = kind == VECQ_OP_CONV;
    double limit = 1.7 / (double)(width * (is_conv ? k * k : 1));
    vecq_conv_params conv;
    vecq_matmul_params gemm = {.trans_b = 1};
    vecq_var *in[3] = {*x};
    vecq_op *op;
    int i;

    memset(&conv, 0, sizeof conv);
    conv.spatial = 2;
    conv.group = 1;
    for (i = 0; i < 2; i++) {
        conv.stride[i] = conv.dilation[i] = 1;
        conv.pad_begin[i] = conv.pad_end[i] = k / 2;
    }
    VECQ_TRY(stored(p, "w", is_conv ? 4 : 2, w, -limit, limit, 0, &in[1], err));
    VECQ_TRY(stored(p, "b", 1, b, -0.1, 0.1, 0, &in[2], err));
    VECQ_TRY(vecq_program_op(&p->program, kind, "product", in, 3, is_conv ? (void *)&conv : (void *)&gemm,
                             is_conv ? sizeof conv : sizeof gemm, 0, &op, err));
    *x = op->outputs[0];
    return VECQ_OK;
}

static vecq_status add_norm(net_program *p, vecq_var **x, vecq_error *err)
{
    int64_t width = (*x)->dims[1];
    vecq_norm_params params = {.epsilon = 1e-3};
    vecq_average_params average = {.momentum = 0.99, .factor = 1};
    vecq_var *in[3] = {*x}, *states[2];
    vecq_op *op, *update;
    size_t i;

    VECQ_TRY(stored(p, "scale", 1, &width, 1, 1, 0, &in[1], err));
    VECQ_TRY(stored(p, "shift", 1, &width, 0, 0, 0, &in[2], err));
    VECQ_TRY(vecq_program_op(&p->program, VECQ_OP_BATCH_NORM_TRAIN, "norm", in, 3, &params, sizeof params, 0,
                             &op, err));
    for (i = 0; i < 2; i++) {
        vecq_var *pair[2];

        VECQ_TRY(stored(p, "running", 1, &width, 0, 1, 1, &states[i], err));
        pair[0] = states[i];
        pair[1] = op->outputs[1 + i];
        VECQ_TRY(vecq_program_op(&p->program, VECQ_OP_MOVING_AVERAGE, "running", pair, 2, &average,
                                 sizeof average, 0, &update, err));
    }
    *x = op->outputs[0];
    return VECQ_OK;
}

static vecq_status add_layer(net_program *p, const step_layer *l, vecq_var **x, vecq_error *err)
{
    vecq_pool_params pool = {.spatial = 2, .kernel = {2, 2, 1}, .stride = {2, 2, 1}, .dilation = {1, 1, 1}};
    vecq_shape_params shape = {.rank = 2,
                               .dims = {(*x)->dims[0], (int64_t)((*x)->count / (size_t)(*x)->dims[0])}};
    vecq_op *op;

    switch (l->kind) {
    case STEP_CONV:
        return add_product(p, VECQ_OP_CONV, l, x, err);
    case STEP_DENSE:
        return add_product(p, VECQ_OP_GEMM, l, x, err);
    case STEP_RELU:
        return vecq_program_op1(&p->program, VECQ_OP_RELU, "relu", *x, NULL, 0, x, err);
    case STEP_NORM:
        return add_norm(p, x, err);
    case STEP_FLATTEN:
        return vecq_program_op1(&p->program, VECQ_OP_RESHAPE, "flatten", *x, &shape, sizeof shape, x, err);
    case STEP_POOL:
        VECQ_TRY(
            vecq_program_op(&p->program, VECQ_OP_MAX_POOL, "pool", x, 1, &pool, sizeof pool, 0, &op, err));
        *x = op->outputs[0];
        return VECQ_OK;
    }
    return VECQ_OK;
}

static vecq_status make_data(net_program *p, const step_net *net, int batch, vecq_error *err)
{
    size_t i;

    p->images = malloc(p->x->count * sizeof *p->images);
    p->classes = malloc(p->labels->count * sizeof *p->classes);
    if (p->images == NULL || p->classes == NULL)
        return vecq_error_memory(err, p->x->count * sizeof *p->images);
    for (i = 0; i < p->x->count; i++)
        p->images[i] = (float)(2 * vecq_rng_uniform(&p->rng) - 1);
    for (i = 0; i < (size_t)batch; i++)
        p->classes[i] = (int32_t)vecq_rng_below(&p->rng, (uint64_t)net->classes);
    vecq_exec_bind(p->exec, p->x, p->images);
    vecq_exec_bind(p->exec, p->labels, p->classes);
    return VECQ_OK;
}

static vecq_status make_program(net_program *p, const step_net *net, const options *o, vecq_error *err)
{
    int batch = o->batch > 0 ? o->batch : net->batch;
    int64_t dims[4] = {batch, net->channels, net->size, net->size}, rows = batch;
    const vecq_backend *backend = vecq_backend_find(o->backend);
    vecq_exec_options exec = {.backends = &backend, .n_backends = 1, .threads = o->threads, .is_training = 1};
    vecq_loss_params loss = {.temperature = 1};
    vecq_var *x;
    size_t i;

    vecq_rng_seed(&p->rng, 1);
    if (backend == NULL)
        return vecq_error_set(err, VECQ_ERR_USAGE, "this build has no backend '%s'", o->backend);
    VECQ_TRY(vecq_program_input(&p->program, "x", VECQ_DT_FLOAT, 4, dims, &p->x, err));
    VECQ_TRY(vecq_program_input(&p->program, "labels", VECQ_DT_INT32, 1, &rows, &p->labels, err));
    x = p->x;
    for (i = 0; i < net->n; i++)
        VECQ_TRY(add_layer(p, &net->layers[i], &x, err));
    VECQ_TRY(vecq_program_op2(&p->program, VECQ_OP_CROSS_ENTROPY, "loss", x, p->labels, &loss, sizeof loss,
                              &p->loss, err));
    p->loss->is_output = 1;
    VECQ_TRY(vecq_program_differentiate(&p->program, p->loss, p->parameters, p->n, p->gradients, err));
    VECQ_TRY(vecq_exec_create(&p->program, &exec, &p->exec, err));
    return make_data(p, net, batch, err);
}

static void clear_program(net_program *p)
{
    vecq_exec_destroy(p->exec);
    vecq_program_clear(&p->program);
    vecq_store_clear(&p->store);
    free(p->images);
    free(p->classes);
}

/* ---- measuring ---- */

static vecq_status run_step(net_program *p, const options *o, size_t step, vecq_error *err)
{
    vecq_run run = {.step = step, .seed = 1, .threads = o->threads};

    return vecq_exec_run(p->exec, &run, err);
}

/* Seconds by kind of step, largest first. */
static void print_kinds(const net_program *p, size_t runs, double total)
{
    size_t i, k, n = vecq_exec_steps(p->exec), n_kinds = 0;
    struct {
        const char *op, *backend;
        double seconds;
        size_t n;
    } kinds[64] = {{NULL, NULL, 0, 0}}, keep;

    for (i = 0; i < n; i++) {
        vecq_exec_step_info info = vecq_exec_step(p->exec, i);

        for (k = 0; k < n_kinds; k++)
            if (strcmp(kinds[k].op, info.op) == 0 && strcmp(kinds[k].backend, info.backend) == 0)
                break;
        if (k == 64)
            continue;
        if (k == n_kinds) {
            kinds[k].op = info.op;
            kinds[k].backend = info.backend;
            n_kinds++;
        }
        kinds[k].seconds += info.seconds;
        kinds[k].n++;
    }
    for (i = 0; i < n_kinds; i++) {
        for (k = i + 1; k < n_kinds; k++)
            if (kinds[k].seconds > kinds[i].seconds) {
                keep = kinds[i];
                kinds[i] = kinds[k];
                kinds[k] = keep;
            }
        printf("    %-24s %-7s %3zu steps %9.3f ms %5.1f %%\n", kinds[i].op, kinds[i].backend, kinds[i].n,
               1e3 * kinds[i].seconds / (double)runs, 100 * kinds[i].seconds / (double)runs / total);
    }
}

static void print_steps(const net_program *p, size_t runs)
{
    size_t i;

    for (i = 0; i < vecq_exec_steps(p->exec); i++) {
        vecq_exec_step_info info = vecq_exec_step(p->exec, i);

        printf("    %-20s %-22s %-7s %9.3f ms  %s\n", info.op, info.name, info.backend,
               1e3 * info.seconds / (double)runs, info.detail);
    }
}

static vecq_status measure(net_program *p, const step_net *net, const options *o, vecq_error *err)
{
    static double ours[RUNS_MAX], alone[RUNS_MAX], direct[RUNS_MAX];
    double start, flops = step_flops(net, o->batch > 0 ? o->batch : net->batch), seconds, peak = 0;
    size_t i;
#ifdef VECQ_HAVE_ONEDNN
    unsigned before = vecq_threads_limit(o->threads);
    step_alone *best = step_alone_create(net, o->batch > 0 ? o->batch : net->batch, 0);
    step_alone *plain = step_alone_create(net, o->batch > 0 ? o->batch : net->batch, 1);

    peak = step_alone_peak();
    if (best != NULL)
        step_alone_run(best);
    if (plain != NULL)
        step_alone_run(plain);
#endif
    VECQ_TRY(run_step(p, o, 0, err));
    for (i = 0; i < o->runs; i++) {
        start = bench_seconds();
        VECQ_TRY(run_step(p, o, i + 1, err));
        ours[i] = bench_seconds() - start;
#ifdef VECQ_HAVE_ONEDNN
        start = bench_seconds();
        if (best != NULL)
            step_alone_run(best);
        alone[i] = bench_seconds() - start;
        start = bench_seconds();
        if (plain != NULL)
            step_alone_run(plain);
        direct[i] = bench_seconds() - start;
#endif
    }
    seconds = bench_median(ours, o->runs); /* sorts: [0] is the best */
    bench_median(alone, o->runs);
    bench_median(direct, o->runs);
    printf("%s, batch %d, %u threads, %zu runs, loss %.4f\n", net->name, o->batch > 0 ? o->batch : net->batch,
           o->threads, o->runs, (double)*(const float *)vecq_exec_data(p->exec, p->loss));
    printf("  our step          %9.2f ms  (best %.2f)  %7.1f GFLOP/s", 1e3 * seconds, 1e3 * ours[0],
           flops / seconds * 1e-9);
    if (peak > 0)
        printf("  %5.1f %% of the %.0f GFLOP/s of large products", 100 * flops / seconds / peak, peak * 1e-9);
    printf("\n  memory of the plan %8.1f MiB\n", (double)vecq_exec_bytes(p->exec) / (1 << 20));
#ifdef VECQ_HAVE_ONEDNN
    if (best != NULL)
        printf("  primitives alone  %9.2f ms  (best %.2f)  ours takes %.2f of it\n",
               1e3 * bench_median(alone, o->runs), 1e3 * alone[0], seconds / alone[o->runs / 2]);
    if (plain != NULL)
        printf("  the same, direct  %9.2f ms  (best %.2f)\n", 1e3 * bench_median(direct, o->runs),
               1e3 * direct[0]);
    if (best != NULL) {
        double split[5];

        step_alone_split(best, split);
        printf("    alone: convolutions %.1f, dense %.1f, norm %.1f, relu %.1f, pool %.1f ms\n",
               1e3 * split[0], 1e3 * split[1], 1e3 * split[2], 1e3 * split[3], 1e3 * split[4]);
    }
    step_alone_destroy(best);
    step_alone_destroy(plain);
    vecq_threads_limit(before);
#endif
    vecq_exec_set_timing(p->exec, 1);
    for (i = 0; i < o->runs; i++)
        VECQ_TRY(run_step(p, o, i, err));
    print_kinds(p, o->runs, seconds);
    if (o->list)
        print_steps(p, o->runs);
    return VECQ_OK;
}

static int run_net(const step_net *net, const options *o)
{
    static net_program p;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_status status;

    memset(&p, 0, sizeof p);
    status = make_program(&p, net, o, &err);
    if (status == VECQ_OK)
        status = measure(&p, net, o, &err);
    if (status != VECQ_OK)
        fprintf(stderr, "bench_step: %s: %s\n", net->name, err.message);
    clear_program(&p);
    return status != VECQ_OK;
}

int main(int argc, char **argv)
{
    options o = {.runs = 21,
                 .backend = vecq_backend_count() > 0 ? vecq_backend_name(vecq_backend_at(0)) : "ref"};
    size_t i;
    int failed = 0, a;

    for (a = 1; a < argc; a++) {
        const char *value = a + 1 < argc ? argv[a + 1] : NULL;

        if (strcmp(argv[a], "--steps") == 0) {
            o.list = 1;
            continue;
        }
        if (value != NULL && strcmp(argv[a], "--net") == 0)
            o.net = value;
        else if (value != NULL && strcmp(argv[a], "--threads") == 0)
            o.threads = (unsigned)strtoul(value, NULL, 10);
        else if (value != NULL && strcmp(argv[a], "--runs") == 0)
            o.runs = (size_t)strtoul(value, NULL, 10);
        else if (value != NULL && strcmp(argv[a], "--batch") == 0)
            o.batch = (int)strtol(value, NULL, 10);
        else if (value != NULL && strcmp(argv[a], "--backend") == 0)
            o.backend = value;
        else {
            fprintf(stderr, "usage: bench_step [--net lenet5|vgg] [--threads N] [--runs N] [--batch N] "
                            "[--backend NAME] [--steps]\n");
            return 2;
        }
        a++;
    }
    o.threads = vecq_threads_resolve(o.threads);
    o.runs = o.runs < 1 ? 1 : o.runs > RUNS_MAX ? RUNS_MAX : o.runs;
    for (i = 0; i < sizeof step_nets / sizeof *step_nets; i++)
        if (o.net == NULL || strcmp(o.net, step_nets[i].name) == 0)
            failed |= run_net(&step_nets[i], &o);
    return failed;
}
