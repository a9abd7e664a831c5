/* SPDX-License-Identifier: Apache-2.0 */
#include "step_alone.h"

#include <stdio.h>

#include "backend/onednn/dnnl_shim.h"
#include "bench.h"

#define CALLS_MAX  128
#define MEMORY_MAX 512

enum { GROUP_CONV, GROUP_DENSE, GROUP_NORM, GROUP_RELU, GROUP_POOL };

typedef struct call {
    dnnl_primitive_t primitive;
    int n, group;
    dnnl_exec_arg_t args[12];
} call;

typedef struct value { /* an activation or its gradient */
    const vecq_dnnl_md *md;
    dnnl_memory_t memory;
} value;

struct step_alone {
    vecq_dnnl_maker make, relu; /* relu: with a ReLU after it */
    dnnl_stream_t stream;
    vecq_dnnl_pool pool;
    dnnl_memory_t owned[MEMORY_MAX];
    size_t n_owned;
    call forward[CALLS_MAX], backward[CALLS_MAX]; /* backward in the order of the layers: run from the end */
    size_t n_forward, n_backward;
    void *scratch;
    size_t scratch_bytes;
    int failed;
};

static void must(step_alone *a, dnnl_status_t status, const char *what)
{
    if (status != dnnl_success && !a->failed) {
        fprintf(stderr, "primitives alone: %s: status %d\n", what, status);
        a->failed = 1;
    }
}

static const vecq_dnnl_md *any(step_alone *a, int n, const dnnl_dim_t *dims)
{
    const vecq_dnnl_md *md = NULL;

    must(a, vecq_dnnl_md_tag(&a->pool, n, dims, dnnl_format_tag_any, &md), "shape");
    return md;
}

static const vecq_dnnl_md *plain(step_alone *a, int n, const dnnl_dim_t *dims)
{
    const vecq_dnnl_md *md = NULL;

    must(a, vecq_dnnl_md_plain(&a->pool, n, dims, &md), "shape");
    return md;
}

/* Memory of a layout, filled with something between -1/2 and 1/2. */
static dnnl_memory_t memory_of(step_alone *a, const vecq_dnnl_md *md)
{
    size_t i, n = md != NULL ? vecq_dnnl_md_bytes(md) : 0;
    float *data = NULL;
    dnnl_memory_t memory = NULL;

    if (a->failed || a->n_owned == MEMORY_MAX || posix_memalign((void **)&data, 64, n) != 0) {
        a->failed = 1;
        return NULL;
    }
    for (i = 0; i < n / sizeof *data; i++)
        data[i] = (float)((i * 2654435761u >> 8) & 1023) / 1024.0f - 0.5f;
    must(a, vecq_dnnl_memory(md, a->make.engine, &memory), "memory");
    if (memory != NULL)
        must(a, dnnl_memory_set_data_handle(memory, data), "memory");
    return a->owned[a->n_owned++] = memory;
}

static dnnl_memory_t argument(step_alone *a, const_dnnl_primitive_desc_t pd, int kind)
{
    const vecq_dnnl_md *md = NULL;

    must(a, vecq_dnnl_md_of_arg(&a->pool, pd, kind, &md), "argument");
    return memory_of(a, md);
}

static const vecq_dnnl_md *wants(step_alone *a, const_dnnl_primitive_desc_t pd, int kind)
{
    const vecq_dnnl_md *md = NULL;

    must(a, vecq_dnnl_md_of_arg(&a->pool, pd, kind, &md), "argument");
    return md;
}

static void put(call *c, int kind, dnnl_memory_t memory)
{
    c->args[c->n].arg = kind;
    c->args[c->n++].memory = memory;
}

/* Takes the descriptor over; the scratchpad is shared by all. */
static void finish(step_alone *a, call *c, int group, dnnl_primitive_desc_t pd)
{
    const vecq_dnnl_md *md = NULL;

    c->group = group;
    if (a->failed)
        return;
    must(a, dnnl_primitive_create(&c->primitive, pd), "primitive");
    must(a, vecq_dnnl_md_of(&a->pool, pd, dnnl_query_scratchpad_md, &md), "scratchpad");
    if (md != NULL) {
        dnnl_memory_t memory = NULL;

        must(a, vecq_dnnl_memory(md, a->make.engine, &memory), "scratchpad");
        put(c, DNNL_ARG_SCRATCHPAD, memory);
        if (vecq_dnnl_md_bytes(md) > a->scratch_bytes)
            a->scratch_bytes = vecq_dnnl_md_bytes(md);
    }
    dnnl_primitive_desc_destroy(pd);
}

/* x in the layout that md wants: a reorder when it has another one. */
static value as(step_alone *a, value x, const vecq_dnnl_md *md, call *list, size_t *n, int group)
{
    dnnl_primitive_desc_t pd = NULL;
    call *c = &list[*n];
    value y = {md, x.memory};

    if (a->failed || x.md == md)
        return y;
    y.memory = memory_of(a, md);
    must(a, vecq_dnnl_reorder(&a->make, x.md, md, &pd), "reorder");
    put(c, DNNL_ARG_FROM, x.memory);
    put(c, DNNL_ARG_TO, y.memory);
    finish(a, c, group, pd);
    (*n)++;
    return y;
}

typedef struct state {
    value x, dx; /* at the end of what is built; dx is made by the layer above */
    int n_dims;
    dnnl_dims_t dims;
} state;

/* The gradient comes from above, in the layout of the value it belongs to. */
static void gradient_like(step_alone *a, state *s)
{
    s->dx.md = s->x.md;
    s->dx.memory = memory_of(a, s->x.md);
}

static void add_conv(step_alone *a, state *s, const step_layer *l, int is_first, int with_relu, int is_direct)
{
    dnnl_alg_kind_t alg = is_direct ? dnnl_convolution_direct : dnnl_convolution_auto;
    dnnl_dims_t w = {l->width, s->dims[1], l->kernel, l->kernel}, b = {l->width};
    vecq_dnnl_window win = {.stride = {1, 1}};
    const vecq_dnnl_md *md_x = any(a, 4, s->dims), *md_w = any(a, 4, w), *md_b = plain(a, 1, b), *md_y;
    dnnl_primitive_desc_t pd = NULL, data = NULL, weights = NULL;
    call *f, *d;
    value x = s->x, y, dy, dx = s->dx;

    win.pad_begin[0] = win.pad_begin[1] = win.pad_end[0] = win.pad_end[1] = l->kernel / 2;
    s->dims[1] = l->width;
    md_y = any(a, 4, s->dims);
    must(a,
         vecq_dnnl_conv_forward(with_relu ? &a->relu : &a->make, dnnl_forward_training, alg, md_x, md_w, md_b,
                                md_y, &win, &pd),
         "convolution");
    if (a->failed)
        return;
    x = as(a, x, wants(a, pd, DNNL_ARG_SRC), a->forward, &a->n_forward, GROUP_CONV);
    y.md = wants(a, pd, DNNL_ARG_DST);
    y.memory = memory_of(a, y.md);
    f = &a->forward[a->n_forward++];
    put(f, DNNL_ARG_SRC, x.memory);
    put(f, DNNL_ARG_WEIGHTS, argument(a, pd, DNNL_ARG_WEIGHTS));
    put(f, DNNL_ARG_BIAS, argument(a, pd, DNNL_ARG_BIAS));
    put(f, DNNL_ARG_DST, y.memory);
    s->x = y;
    gradient_like(a, s);
    dy = s->dx;
    if (!is_first) {
        must(a, vecq_dnnl_conv_backward_data(&a->make, alg, md_x, md_w, md_y, &win, pd, &data),
             "convolution");
        if (a->failed)
            return;
        if (wants(a, data, DNNL_ARG_DIFF_SRC) != dx.md || wants(a, data, DNNL_ARG_DIFF_DST) != dy.md)
            must(a, dnnl_unimplemented, "gradients in one layout");
        d = &a->backward[a->n_backward++];
        put(d, DNNL_ARG_DIFF_DST, dy.memory);
        put(d, DNNL_ARG_WEIGHTS, argument(a, data, DNNL_ARG_WEIGHTS));
        put(d, DNNL_ARG_DIFF_SRC, dx.memory);
        finish(a, d, GROUP_CONV, data);
    }
    must(a, vecq_dnnl_conv_backward_weights(&a->make, alg, md_x, md_w, md_b, md_y, &win, pd, &weights),
         "convolution");
    if (a->failed)
        return;
    d = &a->backward[a->n_backward++];
    put(d, DNNL_ARG_SRC, x.memory);
    put(d, DNNL_ARG_DIFF_DST, dy.memory);
    put(d, DNNL_ARG_DIFF_WEIGHTS, argument(a, weights, DNNL_ARG_DIFF_WEIGHTS));
    put(d, DNNL_ARG_DIFF_BIAS, argument(a, weights, DNNL_ARG_DIFF_BIAS));
    finish(a, d, GROUP_CONV, weights);
    finish(a, f, GROUP_CONV, pd);
}

static void add_dense(step_alone *a, state *s, const step_layer *l)
{
    dnnl_dims_t w = {l->width, s->dims[1]}, b = {l->width};
    const vecq_dnnl_md *md_x = plain(a, 2, s->dims), *md_w = any(a, 2, w), *md_b = plain(a, 1, b), *md_y;
    dnnl_primitive_desc_t pd = NULL, data = NULL, weights = NULL;
    call *c;
    value x = s->x, dx = s->dx;

    s->dims[1] = l->width;
    md_y = plain(a, 2, s->dims);
    must(a, vecq_dnnl_inner_forward(&a->make, dnnl_forward_training, md_x, md_w, md_b, md_y, &pd), "dense");
    must(a, a->failed ? dnnl_success : vecq_dnnl_inner_backward_data(&a->make, md_x, md_w, md_y, pd, &data),
         "dense");
    must(a,
         a->failed ? dnnl_success
                   : vecq_dnnl_inner_backward_weights(&a->make, md_x, md_w, md_b, md_y, pd, &weights),
         "dense");
    if (a->failed)
        return;
    s->x.md = md_y;
    s->x.memory = memory_of(a, md_y);
    c = &a->forward[a->n_forward++];
    put(c, DNNL_ARG_SRC, x.memory);
    put(c, DNNL_ARG_WEIGHTS, argument(a, pd, DNNL_ARG_WEIGHTS));
    put(c, DNNL_ARG_BIAS, argument(a, pd, DNNL_ARG_BIAS));
    put(c, DNNL_ARG_DST, s->x.memory);
    finish(a, c, GROUP_DENSE, pd);
    gradient_like(a, s);
    c = &a->backward[a->n_backward++];
    put(c, DNNL_ARG_DIFF_DST, s->dx.memory);
    put(c, DNNL_ARG_WEIGHTS, argument(a, data, DNNL_ARG_WEIGHTS));
    put(c, DNNL_ARG_DIFF_SRC, dx.memory);
    finish(a, c, GROUP_DENSE, data);
    c = &a->backward[a->n_backward++];
    put(c, DNNL_ARG_SRC, x.memory);
    put(c, DNNL_ARG_DIFF_DST, s->dx.memory);
    put(c, DNNL_ARG_DIFF_WEIGHTS, argument(a, weights, DNNL_ARG_DIFF_WEIGHTS));
    put(c, DNNL_ARG_DIFF_BIAS, argument(a, weights, DNNL_ARG_DIFF_BIAS));
    finish(a, c, GROUP_DENSE, weights);
}

/* In place, forward (unless the convolution does it) and backward. */
static void add_relu(step_alone *a, state *s, int is_fused)
{
    const dnnl_alg_kind_t alg = dnnl_eltwise_relu_use_dst_for_bwd;
    dnnl_primitive_desc_t pd = NULL, back = NULL;
    call *c;

    must(a, vecq_dnnl_eltwise_forward(&a->make, dnnl_forward_training, alg, s->x.md, 0, 0, &pd), "relu");
    must(a,
         a->failed ? dnnl_success
                   : vecq_dnnl_eltwise_backward(&a->make, alg, s->x.md, s->x.md, 0, 0, pd, &back),
         "relu");
    if (a->failed)
        return;
    if (!is_fused) {
        c = &a->forward[a->n_forward++];
        put(c, DNNL_ARG_SRC, s->x.memory);
        put(c, DNNL_ARG_DST, s->x.memory);
        finish(a, c, GROUP_RELU, pd);
    } else {
        dnnl_primitive_desc_destroy(pd);
    }
    c = &a->backward[a->n_backward++];
    put(c, DNNL_ARG_DST, s->x.memory);
    put(c, DNNL_ARG_DIFF_DST, s->dx.memory);
    put(c, DNNL_ARG_DIFF_SRC, s->dx.memory);
    finish(a, c, GROUP_RELU, back);
}

static void add_norm(step_alone *a, state *s)
{
    dnnl_primitive_desc_t pd = NULL, back = NULL;
    dnnl_memory_t mean, variance, scale, shift;
    value x = s->x;
    call *c;

    must(a, vecq_dnnl_norm_forward(&a->make, dnnl_forward_training, x.md, 1e-3f, 0, &pd), "norm");
    must(a, a->failed ? dnnl_success : vecq_dnnl_norm_backward(&a->make, x.md, x.md, 1e-3f, 0, pd, &back),
         "norm");
    if (a->failed)
        return;
    s->x.memory = memory_of(a, x.md);
    c = &a->forward[a->n_forward++];
    put(c, DNNL_ARG_SRC, x.memory);
    put(c, DNNL_ARG_DST, s->x.memory);
    put(c, DNNL_ARG_SCALE, scale = argument(a, pd, DNNL_ARG_SCALE));
    put(c, DNNL_ARG_SHIFT, shift = argument(a, pd, DNNL_ARG_SHIFT));
    put(c, DNNL_ARG_MEAN, mean = argument(a, pd, DNNL_ARG_MEAN));
    put(c, DNNL_ARG_VARIANCE, variance = argument(a, pd, DNNL_ARG_VARIANCE));
    finish(a, c, GROUP_NORM, pd);
    c = &a->backward[a->n_backward++];
    put(c, DNNL_ARG_SRC, x.memory);
    put(c, DNNL_ARG_DIFF_DST, s->dx.memory);
    put(c, DNNL_ARG_DIFF_SRC, s->dx.memory);
    put(c, DNNL_ARG_SCALE, scale);
    put(c, DNNL_ARG_MEAN, mean);
    put(c, DNNL_ARG_VARIANCE, variance);
    put(c, DNNL_ARG_DIFF_SCALE, argument(a, back, DNNL_ARG_DIFF_SCALE));
    put(c, DNNL_ARG_DIFF_SHIFT, argument(a, back, DNNL_ARG_DIFF_SHIFT));
    if (vecq_dnnl_norm_asks_shift())
        put(c, DNNL_ARG_SHIFT, shift);
    finish(a, c, GROUP_NORM, back);
}

static void add_pool(step_alone *a, state *s)
{
    vecq_dnnl_window win = {.kernel = {2, 2}, .stride = {2, 2}};
    dnnl_primitive_desc_t pd = NULL, back = NULL;
    const vecq_dnnl_md *md_y;
    dnnl_memory_t workspace;
    value x = s->x, dx = s->dx;
    call *c;

    s->dims[2] /= 2;
    s->dims[3] /= 2;
    must(a,
         vecq_dnnl_pool_forward(&a->make, dnnl_forward_training, dnnl_pooling_max, x.md, any(a, 4, s->dims),
                                &win, &pd),
         "pooling");
    if (a->failed)
        return;
    md_y = wants(a, pd, DNNL_ARG_DST);
    must(a, vecq_dnnl_pool_backward(&a->make, dnnl_pooling_max, x.md, md_y, &win, pd, &back), "pooling");
    if (a->failed)
        return;
    s->x.md = md_y;
    s->x.memory = memory_of(a, md_y);
    c = &a->forward[a->n_forward++];
    put(c, DNNL_ARG_SRC, x.memory);
    put(c, DNNL_ARG_DST, s->x.memory);
    put(c, DNNL_ARG_WORKSPACE, workspace = argument(a, pd, DNNL_ARG_WORKSPACE));
    finish(a, c, GROUP_POOL, pd);
    gradient_like(a, s);
    c = &a->backward[a->n_backward++];
    put(c, DNNL_ARG_DIFF_DST, s->dx.memory);
    put(c, DNNL_ARG_WORKSPACE, workspace);
    put(c, DNNL_ARG_DIFF_SRC, dx.memory);
    finish(a, c, GROUP_POOL, back);
}

/* Blocked to plain and back. */
static void add_flatten(step_alone *a, state *s)
{
    const vecq_dnnl_md *rows = plain(a, 4, s->dims);
    value blocked = s->x, gradient = s->dx;
    dnnl_dims_t dims = {s->dims[0], s->dims[1] * s->dims[2] * s->dims[3]};
    dnnl_primitive_desc_t pd = NULL;

    s->x = as(a, blocked, rows, a->forward, &a->n_forward, GROUP_DENSE);
    gradient_like(a, s);
    if (a->failed)
        return;
    if (rows != gradient.md) {
        call *c = &a->backward[a->n_backward++];

        must(a, vecq_dnnl_reorder(&a->make, rows, gradient.md, &pd), "reorder");
        put(c, DNNL_ARG_FROM, s->dx.memory);
        put(c, DNNL_ARG_TO, gradient.memory);
        finish(a, c, GROUP_DENSE, pd);
    }
    s->x.md = s->dx.md = plain(a, 2, dims);
    s->n_dims = 2;
    memset(s->dims, 0, sizeof s->dims);
    memcpy(s->dims, dims, 2 * sizeof *dims);
}

static void build(step_alone *a, const step_net *net, int batch, int is_direct)
{
    dnnl_dims_t dims = {batch, net->channels, net->size, net->size};
    state s = {.n_dims = 4};
    size_t i;

    memcpy(s.dims, dims, sizeof dims);
    s.x.md = plain(a, 4, dims);
    s.x.memory = memory_of(a, s.x.md);
    for (i = 0; i < net->n && !a->failed; i++) {
        int after_conv = i > 0 && net->layers[i - 1].kind == STEP_CONV;
        int before_relu = i + 1 < net->n && net->layers[i + 1].kind == STEP_RELU;

        switch (net->layers[i].kind) {
        case STEP_CONV:
            add_conv(a, &s, &net->layers[i], i == 0, before_relu, is_direct);
            break;
        case STEP_RELU:
            add_relu(a, &s, after_conv);
            break;
        case STEP_NORM:
            add_norm(a, &s);
            break;
        case STEP_POOL:
            add_pool(a, &s);
            break;
        case STEP_FLATTEN:
            add_flatten(a, &s);
            break;
        case STEP_DENSE:
            add_dense(a, &s, &net->layers[i]);
            break;
        }
    }
}

static void open_engine(step_alone *a)
{
    dnnl_primitive_attr_t attr = NULL, relu = NULL;
    dnnl_post_ops_t after = NULL;

    must(a, dnnl_engine_create(&a->make.engine, dnnl_cpu, 0), "engine");
    must(a,
         a->failed ? dnnl_success : dnnl_stream_create(&a->stream, a->make.engine, dnnl_stream_default_flags),
         "stream");
    must(a, dnnl_primitive_attr_create(&attr), "attributes");
    must(a, dnnl_primitive_attr_create(&relu), "attributes");
    must(a, dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user), "attributes");
    must(a, dnnl_primitive_attr_set_scratchpad_mode(relu, dnnl_scratchpad_mode_user), "attributes");
    must(a, dnnl_post_ops_create(&after), "attributes");
    must(a, vecq_dnnl_append_eltwise(after, dnnl_eltwise_relu, 0.0f, 0.0f), "attributes");
    must(a, dnnl_primitive_attr_set_post_ops(relu, after), "attributes");
    dnnl_post_ops_destroy(after);
    a->make.attr = attr;
    a->relu.attr = relu;
    a->relu.engine = a->make.engine;
}

static void share_scratch(step_alone *a, call *list, size_t n)
{
    size_t i;
    int k;

    for (i = 0; i < n; i++)
        for (k = 0; k < list[i].n; k++)
            if (list[i].args[k].arg == DNNL_ARG_SCRATCHPAD)
                must(a, dnnl_memory_set_data_handle(list[i].args[k].memory, a->scratch), "scratchpad");
}

step_alone *step_alone_create(const step_net *net, int batch, int is_direct)
{
    step_alone *a = calloc(1, sizeof *a);

    if (a == NULL)
        return NULL;
    open_engine(a);
    if (!a->failed)
        build(a, net, batch, is_direct);
    if (!a->failed && posix_memalign(&a->scratch, 64, a->scratch_bytes + 64) != 0)
        a->failed = 1;
    if (!a->failed) {
        memset(a->scratch, 0, a->scratch_bytes + 64);
        share_scratch(a, a->forward, a->n_forward);
        share_scratch(a, a->backward, a->n_backward);
    }
    if (a->failed) {
        step_alone_destroy(a);
        return NULL;
    }
    return a;
}

static void clear_calls(call *list, size_t n)
{
    size_t i;
    int k;

    for (i = 0; i < n; i++) {
        if (list[i].primitive != NULL)
            dnnl_primitive_destroy(list[i].primitive);
        for (k = 0; k < list[i].n; k++)
            if (list[i].args[k].arg == DNNL_ARG_SCRATCHPAD && list[i].args[k].memory != NULL)
                dnnl_memory_destroy(list[i].args[k].memory);
    }
}

void step_alone_destroy(step_alone *a)
{
    size_t i;

    if (a == NULL)
        return;
    clear_calls(a->forward, a->n_forward);
    clear_calls(a->backward, a->n_backward);
    for (i = 0; i < a->n_owned; i++) {
        void *data = NULL;

        if (a->owned[i] == NULL)
            continue;
        dnnl_memory_get_data_handle(a->owned[i], &data);
        dnnl_memory_destroy(a->owned[i]);
        free(data);
    }
    vecq_dnnl_pool_clear(&a->pool);
    if (a->stream != NULL)
        dnnl_stream_destroy(a->stream);
    if (a->make.attr != NULL)
        dnnl_primitive_attr_destroy((dnnl_primitive_attr_t)(uintptr_t)a->make.attr);
    if (a->relu.attr != NULL)
        dnnl_primitive_attr_destroy((dnnl_primitive_attr_t)(uintptr_t)a->relu.attr);
    if (a->make.engine != NULL)
        dnnl_engine_destroy(a->make.engine);
    free(a->scratch);
    free(a);
}

static void execute(step_alone *a, const call *c, double *seconds)
{
    double start = seconds != NULL ? bench_seconds() : 0;

    dnnl_primitive_execute(c->primitive, a->stream, c->n, c->args);
    dnnl_stream_wait(a->stream);
    if (seconds != NULL)
        seconds[c->group] += bench_seconds() - start;
}

static void run(step_alone *a, double *seconds)
{
    size_t i;

    for (i = 0; i < a->n_forward; i++)
        execute(a, &a->forward[i], seconds);
    for (i = a->n_backward; i-- > 0;)
        execute(a, &a->backward[i], seconds);
}

void step_alone_run(step_alone *a)
{
    run(a, NULL);
}

void step_alone_split(step_alone *a, double seconds[5])
{
    memset(seconds, 0, 5 * sizeof *seconds);
    run(a, seconds);
}

double step_alone_peak(void)
{
    enum { SIZE = 1536 };
    float *m = calloc(3 * (size_t)SIZE * SIZE, sizeof *m);
    double best = 1e30;
    int i;

    if (m == NULL)
        return 0;
    for (i = 0; i < 12; i++) {
        double start = bench_seconds();

        dnnl_sgemm('N', 'N', SIZE, SIZE, SIZE, 1.0f, m, SIZE, m + SIZE * SIZE, SIZE, 0.0f,
                   m + 2 * SIZE * SIZE, SIZE);
        start = bench_seconds() - start;
        best = start < best ? start : best;
    }
    free(m);
    return 2.0 * SIZE * SIZE * SIZE / best;
}
