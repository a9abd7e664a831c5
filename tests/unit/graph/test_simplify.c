/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simplifying: each pattern fires and gives the same numbers, and does not fire where another reader, an
 * output or a shape forbids it. Every case is built twice; one of the two programs is simplified.
 */
#include "vecq_test.h"

#include "fail_alloc.h"
#include "graph/post.h"
#include "graph/simplify.h"
#include "program_run.h"

typedef struct net {
    program_run pr;
    vecq_rng rng;
    vecq_var *out[4]; /* the outputs */
    size_t n_out;
    int variant; /* of the case that is built */
} net;

typedef void (*build_fn)(net *t);

/* ---- building ---- */

static vecq_var *input(net *t, unsigned rank, const int64_t *dims)
{
    vecq_var *var = pr_input(&t->pr, VECQ_DT_FLOAT, rank, dims, NULL);
    size_t i;

    for (i = 0; i < var->count; i++)
        pr_set(VECQ_DT_FLOAT, t->pr.memory[t->pr.n - 1], i, 2 * vecq_rng_uniform(&t->rng) - 1);
    return var;
}

static vecq_var *constant(net *t, unsigned rank, const int64_t *dims, double low, double high)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_tensor tensor;
    vecq_var *var;
    size_t i;

    assert_ok(vecq_tensor_create(VECQ_DT_FLOAT, rank, dims, &tensor, &err), &err);
    for (i = 0; i < tensor.count; i++)
        ((float *)tensor.data)[i] = (float)(low + (high - low) * vecq_rng_uniform(&t->rng));
    assert_ok(vecq_program_constant(&t->pr.program, "constant", &tensor, &var, &err), &err);
    return var;
}

static vecq_var *vector(net *t, int64_t n, double low, double high)
{
    return constant(t, 1, &n, low, high);
}

static vecq_var *number(net *t, double value)
{
    return constant(t, 0, NULL, value, value);
}

static vecq_var *made(net *t, vecq_op_kind kind, vecq_var *const *in, size_t n, const void *params,
                      size_t params_bytes)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_op *op;

    assert_ok(vecq_program_op(&t->pr.program, kind, "op", in, n, params, params_bytes, 0, &op, &err), &err);
    return op->outputs[0];
}

static vecq_var *op1(net *t, vecq_op_kind kind, vecq_var *x)
{
    const vecq_unary_params params = {1.0 / 6, 0.5};

    return made(t, kind, &x, 1, &params, sizeof params);
}

static vecq_var *op2(net *t, vecq_op_kind kind, vecq_var *a, vecq_var *b)
{
    return made(t, kind, (vecq_var *[]){a, b}, 2, NULL, 0);
}

static vecq_var *clip(net *t, vecq_var *x, double low, double high)
{
    const vecq_unary_params params = {low, high};

    return made(t, VECQ_OP_CLIP, &x, 1, &params, sizeof params);
}

static vecq_var *reshape(net *t, vecq_var *x, unsigned rank, const int64_t *dims)
{
    vecq_shape_params shape = {.rank = rank};

    memcpy(shape.dims, dims, rank * sizeof *dims);
    return made(t, VECQ_OP_RESHAPE, &x, 1, &shape, sizeof shape);
}

static vecq_var *transpose(net *t, vecq_var *x, const unsigned *perm)
{
    vecq_transpose_params params = {{0}};

    memcpy(params.perm, perm, x->rank * sizeof *perm);
    return made(t, VECQ_OP_TRANSPOSE, &x, 1, &params, sizeof params);
}

static vecq_var *matmul(net *t, vecq_op_kind kind, vecq_var *a, vecq_var *b, vecq_var *bias, int trans_b)
{
    const vecq_matmul_params params = {0, trans_b};

    return made(t, kind, (vecq_var *[]){a, b, bias}, bias != NULL ? 3 : 2, &params, sizeof params);
}

/* 3x3, the size stays; `m` channels. */
static vecq_var *conv(net *t, vecq_var *x, int64_t m, int64_t group, int has_bias)
{
    const vecq_conv_params params = {.spatial = 2,
                                     .group = group,
                                     .stride = {1, 1},
                                     .dilation = {1, 1},
                                     .pad_begin = {1, 1},
                                     .pad_end = {1, 1}};
    const int64_t dims[4] = {m, x->dims[1] / group, 3, 3};
    vecq_var *in[3] = {x, constant(t, 4, dims, -1, 1), has_bias ? vector(t, m, -1, 1) : NULL};

    return made(t, VECQ_OP_CONV, in, has_bias ? 3 : 2, &params, sizeof params);
}

static vecq_var *conv_transpose(net *t, vecq_var *x, int64_t m, int64_t group)
{
    const vecq_conv_params params = {.spatial = 2, .group = group, .stride = {2, 2}, .dilation = {1, 1}};
    const int64_t dims[4] = {x->dims[1], m / group, 2, 2};
    vecq_var *in[3] = {x, constant(t, 4, dims, -1, 1), vector(t, m, -1, 1)};

    return made(t, VECQ_OP_CONV_TRANSPOSE, in, 3, &params, sizeof params);
}

static vecq_var *batch_norm(net *t, vecq_var *x)
{
    const vecq_norm_params params = {1e-3};
    const int64_t n = x->dims[1];
    vecq_var *in[5] = {x, vector(t, n, 0.5, 2), vector(t, n, -1, 1), vector(t, n, -1, 1),
                       vector(t, n, 0.1, 2)};

    return made(t, VECQ_OP_BATCH_NORM, in, 5, &params, sizeof params);
}

static void output(net *t, vecq_var *var)
{
    var->is_output = 1;
    t->out[t->n_out++] = var;
}

static vecq_var *image(net *t)
{
    return input(t, 4, (const int64_t[]){2, 4, 6, 5});
}

/* ---- checking ---- */

static void net_clear(net *t)
{
    pr_end(&t->pr);
}

static void net_build(net *t, build_fn build, int variant)
{
    memset(t, 0, sizeof *t);
    t->variant = variant;
    vecq_rng_seed(&t->rng, 7);
    build(t);
}

/* "Conv[Relu] Reshape": the kinds of the ops in their order, with their posts. */
static void describe(const vecq_program *program, char *text, size_t size)
{
    char post[64];
    size_t i, n = 0;

    text[0] = '\0';
    for (i = 0; i < program->n_ops && n < size; i++) {
        const vecq_op *op = program->ops[i];

        n += (size_t)snprintf(text + n, size - n, "%s%s", i > 0 ? " " : "", op->info->name);
        if (op->post != NULL)
            n += (size_t)snprintf(text + n, size - n, "[%s]", vecq_post_text(op->post, post));
        assert_int_equal(op->index, i);
    }
}

/* Readers are counted, made before they are read, and each is the result it says. */
static void check_program(const vecq_program *program)
{
    size_t i, k, j, n_uses;

    for (i = 0; i < program->n_ops; i++) {
        const vecq_op *op = program->ops[i];

        for (k = 0; k < op->n_inputs; k++)
            if (op->inputs[k] != NULL && op->inputs[k]->kind == VECQ_VAR_RESULT)
                assert_true(op->inputs[k]->producer != NULL && op->inputs[k]->producer->index < i);
        for (k = 0; k < op->n_outputs; k++) {
            assert_ptr_equal(op->outputs[k]->producer, op);
            assert_int_equal(op->outputs[k]->output, k);
        }
    }
    for (i = 0; i < program->n_vars; i++) {
        for (n_uses = 0, k = 0; k < program->n_ops; k++)
            for (j = 0; j < program->ops[k]->n_inputs; j++)
                n_uses += program->ops[k]->inputs[j] == program->vars[i];
        assert_int_equal(program->vars[i]->n_uses, n_uses);
    }
}

static void check_with(build_fn build, int variant, const vecq_simplify_options *options, const char *want)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_simplify_counts counts;
    char text[400];
    net plain, simple;
    size_t i, k;

    net_build(&plain, build, variant);
    net_build(&simple, build, variant);
    assert_ok(vecq_program_simplify(&simple.pr.program, options, &counts, &err), &err);
    describe(&simple.pr.program, text, sizeof text);
    if (strcmp(text, want) != 0)
        fail_msg("variant %d: '%s', not '%s'", variant, text, want);
    check_program(&simple.pr.program);
    assert_ok(pr_run(&plain.pr, 1, &err), &err);
    assert_ok(pr_run(&simple.pr, 1, &err), &err);
    for (i = 0; i < plain.n_out; i++) {
        double largest = 0;

        for (k = 0; k < plain.out[i]->count; k++)
            largest = fmax(largest, fabs(pr_value(&plain.pr, plain.out[i], k)));
        for (k = 0; k < plain.out[i]->count; k++)
            pr_close(want, k, pr_value(&simple.pr, simple.out[i], k) / fmax(largest, 1),
                     pr_value(&plain.pr, plain.out[i], k) / fmax(largest, 1), 3e-6);
    }
    net_clear(&plain);
    net_clear(&simple);
}

static void check(build_fn build, int variant, const char *want)
{
    check_with(build, variant, NULL, want);
}

/* ---- into weights ---- */

static void build_norm(net *t)
{
    vecq_var *x = image(t), *y;

    switch (t->variant) {
    case 0:
        y = conv(t, x, 6, 1, 0);
        break;
    case 1:
        y = conv(t, x, 8, 4, 1);
        break;
    case 2:
        y = conv_transpose(t, x, 6, 1);
        break;
    case 3:
        y = conv_transpose(t, x, 6, 2);
        break;
    case 4:
        y = matmul(t, VECQ_OP_GEMM, reshape(t, x, 2, (const int64_t[]){2, 120}),
                   constant(t, 2, (const int64_t[]){120, 7}, -1, 1), NULL, 0);
        break;
    case 5:
        y = matmul(t, VECQ_OP_GEMM, reshape(t, x, 2, (const int64_t[]){2, 120}),
                   constant(t, 2, (const int64_t[]){7, 120}, -1, 1), vector(t, 7, -1, 1), 1);
        break;
    case 6: /* what is normalized is an output too */
        output(t, y = conv(t, x, 6, 1, 0));
        break;
    case 7: /* or read by another */
        y = conv(t, x, 6, 1, 0);
        output(t, op1(t, VECQ_OP_TANH, y));
        break;
    default: /* the weight is no constant */
        y = made(t, VECQ_OP_CONV, (vecq_var *[]){x, input(t, 4, (const int64_t[]){6, 4, 1, 1})}, 2,
                 &(vecq_conv_params){.spatial = 2, .group = 1, .stride = {1, 1}, .dilation = {1, 1}},
                 sizeof(vecq_conv_params));
        break;
    }
    output(t, batch_norm(t, y));
}

static void test_norm(void **state)
{
    const vecq_simplify_options keep = {.keep_weights = 1};

    (void)state;
    check(build_norm, 0, "Conv");
    check(build_norm, 1, "Conv");
    check(build_norm, 2, "ConvTranspose");
    check(build_norm, 3, "ConvTranspose");
    check(build_norm, 4, "Reshape Gemm");
    check(build_norm, 5, "Reshape Gemm");
    check(build_norm, 6, "Conv BatchNorm");
    check(build_norm, 7, "Conv Tanh BatchNorm");
    check(build_norm, 8, "Conv BatchNorm");
    check_with(build_norm, 0, &keep, "Conv BatchNorm");
}

static void build_shared(net *t)
{
    const vecq_conv_params params = {.spatial = 2, .group = 1, .stride = {1, 1}, .dilation = {1, 1}};
    vecq_var *x = image(t), *w = constant(t, 4, (const int64_t[]){6, 4, 1, 1}, -1, 1);

    output(t, batch_norm(t, made(t, VECQ_OP_CONV, (vecq_var *[]){x, w}, 2, &params, sizeof params)));
    output(t, made(t, VECQ_OP_CONV, (vecq_var *[]){x, w}, 2, &params, sizeof params));
}

static void build_channels(net *t)
{
    vecq_var *x = image(t), *y, *column = constant(t, 3, (const int64_t[]){6, 1, 1}, 0.5, 2), *z;

    y = conv(t, x, 6, 1, t->variant % 2);
    switch (t->variant) {
    case 0:
    case 1: /* ((y * c) / c' + c'' - 3) from both sides */
        y = op2(t, VECQ_OP_MUL, column, y);
        y = op2(t, VECQ_OP_DIV, y, constant(t, 4, (const int64_t[]){1, 6, 1, 1}, 0.5, 2));
        y = op2(t, VECQ_OP_ADD, y, column);
        y = op2(t, VECQ_OP_SUB, column, y);
        y = op2(t, VECQ_OP_SUB, y, number(t, 3));
        break;
    case 2: /* c / y is not linear */
        y = op2(t, VECQ_OP_DIV, column, y);
        break;
    case 3: /* one number for each column, not for each channel */
        y = op2(t, VECQ_OP_MUL, y, vector(t, 5, 0.5, 2));
        break;
    case 4: /* the result has another shape */
        y = op2(t, VECQ_OP_MUL, y, constant(t, 5, (const int64_t[]){2, 1, 6, 1, 1}, 0.5, 2));
        break;
    case 5: /* infinite */
        y = op2(t, VECQ_OP_DIV, y, number(t, 0));
        y = op1(t, VECQ_OP_TANH, y);
        break;
    default: /* of rows of all leading axes */
        z = reshape(t, y, 2, (const int64_t[]){36, 10});
        z = matmul(t, VECQ_OP_GEMM, z, constant(t, 2, (const int64_t[]){10, 9}, -1, 1), NULL, 0);
        z = reshape(t, z, 3, (const int64_t[]){2, 18, 9});
        y = op2(t, VECQ_OP_ADD, z, vector(t, 9, -1, 1));
        break;
    }
    output(t, y);
}

static void build_matmul(net *t)
{
    vecq_var *x = input(t, 3, (const int64_t[]){2, 5, 4});
    vecq_var *w = constant(t, 3, (const int64_t[]){2, 4, 3}, -1, 1);
    vecq_var *y = matmul(t, VECQ_OP_MATMUL, x, w, NULL, 0);

    if (t->variant == 0) /* scales fit, there is no bias to shift */
        output(t, op2(t, VECQ_OP_ADD, op2(t, VECQ_OP_MUL, y, vector(t, 3, 0.5, 2)), vector(t, 3, 0.5, 2)));
    else /* weights that are computed are not scaled */
        output(t, op2(t, VECQ_OP_MUL,
                      matmul(t, VECQ_OP_MATMUL, x,
                             op1(t, VECQ_OP_TANH, input(t, 3, (const int64_t[]){2, 3, 4})), NULL, 1),
                      number(t, 2)));
}

static void test_channels(void **state)
{
    (void)state;
    check(build_shared, 0, "Conv Conv");
    check(build_channels, 0, "Conv");
    check(build_channels, 1, "Conv");
    check(build_channels, 2, "Conv Div");
    check(build_channels, 3, "Conv Mul");
    check(build_channels, 4, "Conv Mul");
    check(build_channels, 5, "Conv Div Tanh");
    check(build_channels, 6, "Conv Reshape Gemm Reshape");
    check(build_matmul, 0, "MatMul Add");
    check(build_matmul, 1, "Tanh MatMul Mul");
}

/* ---- into the scales of packed weights ---- */

/* A Decode of random codes of 3 bits; group > 0: ragged groups along rows of `cols`. */
static vecq_var *packed(net *t, size_t rows, size_t cols, size_t n_slices, size_t group, unsigned rank,
                        const int64_t *dims)
{
    vecq_decode_params params = {
        .layout = {.bits = 3, .count = rows * cols, .n_slices = n_slices, .group = group, .cols = cols},
        .rank = rank};
    vecq_var *inputs[1 + VECQ_FIELDS_MAX];
    vecq_error err = VECQ_ERROR_INIT;
    vecq_tensor tensor;
    unsigned f;
    size_t i;

    memcpy(params.dims, dims, rank * sizeof *dims);
    assert_true(vecq_strips_layout(3, rows, cols, &params.layout.strips));
    inputs[0] = vector(t, (int64_t)n_slices, 0.1, 0.3);
    for (f = 0; f < params.layout.strips.n_fields; f++) {
        const int64_t size[2] = {(int64_t)params.layout.strips.field[f].rows,
                                 (int64_t)params.layout.strips.field[f].cols};

        assert_ok(vecq_tensor_create(VECQ_DT_UINT8, 2, size, &tensor, &err), &err);
        for (i = 0; i < tensor.count; i++)
            ((uint8_t *)tensor.data)[i] = (uint8_t)vecq_rng_below(&t->rng, 256);
        assert_ok(vecq_program_constant(&t->pr.program, "field", &tensor, &inputs[1 + f], &err), &err);
    }
    return made(t, VECQ_OP_DECODE, inputs, params.layout.strips.n_fields + 1, &params, sizeof params);
}

/* 16 channels of 36 weights; the variant is the number of scales, negative: the size of ragged groups. */
static void build_packed_conv(net *t)
{
    const vecq_conv_params params = {.spatial = 2, .group = 1, .stride = {1, 1}, .dilation = {1, 1}};
    size_t group = t->variant < 0 ? (size_t)-t->variant : 0;
    size_t n = group > 0 ? 16 * ((36 + group - 1) / group) : (size_t)t->variant;
    vecq_var *w = packed(t, 16, 36, n, group, 4, (const int64_t[]){16, 4, 3, 3});

    output(t, batch_norm(t, made(t, VECQ_OP_CONV, (vecq_var *[]){image(t), w}, 2, &params, sizeof params)));
}

static void build_packed(net *t)
{
    vecq_var *x = input(t, 2, (const int64_t[]){3, 36}), *w, *y;

    w = packed(t, 16, 36, t->variant == 1 ? 1 : 16, 0, 2, (const int64_t[]){16, 36});
    switch (t->variant) {
    case 0:
        y = matmul(t, VECQ_OP_GEMM, x, w, NULL, 1);
        break;
    case 1: /* one factor for a weight with one scale */
        output(t, op2(t, VECQ_OP_MUL, matmul(t, VECQ_OP_GEMM, x, w, NULL, 1), number(t, 3)));
        return;
    case 2:
        y = matmul(t, VECQ_OP_GEMM, x, transpose(t, w, (const unsigned[]){1, 0}), vector(t, 16, -1, 1), 0);
        break;
    case 3: /* columns of the weight are not its rows */
        w = reshape(t, w, 2, (const int64_t[]){36, 16});
        y = matmul(t, VECQ_OP_GEMM, x, w, NULL, 0);
        break;
    case 4: /* the same elements in another shape */
        w = reshape(t, w, 2, (const int64_t[]){8, 72});
        y = matmul(t, VECQ_OP_GEMM, input(t, 2, (const int64_t[]){3, 72}), w, NULL, 1);
        break;
    default: /* read by two */
        output(t, matmul(t, VECQ_OP_GEMM, x, w, NULL, 1));
        y = matmul(t, VECQ_OP_GEMM, x, w, NULL, 1);
        break;
    }
    output(t, batch_norm(t, y));
}

static void test_packed(void **state)
{
    (void)state;
    check(build_packed_conv, 16, "Decode Conv");
    check(build_packed_conv, 1, "Decode Conv");
    check(build_packed_conv, 48, "Decode Conv");
    check(build_packed_conv, 8, "Decode Conv BatchNorm");
    check(build_packed_conv, -10, "Decode Conv");
    check(build_packed, 0, "Decode Gemm");
    check(build_packed, 1, "Decode Gemm");
    check(build_packed, 2, "Decode Gemm");
    check(build_packed, 3, "Decode Reshape Gemm BatchNorm");
    check(build_packed, 4, "Decode Reshape Gemm");
    check(build_packed, 5, "Decode Gemm Gemm BatchNorm");
}

/* ---- posts ---- */

static void build_activation(net *t)
{
    vecq_var *x = image(t), *y;

    if (t->variant < 10) {
        static const vecq_op_kind kinds[] = {
            VECQ_OP_RELU,       VECQ_OP_LEAKY_RELU, VECQ_OP_SIGMOID, VECQ_OP_TANH, VECQ_OP_HARD_SIGMOID,
            VECQ_OP_HARD_SWISH, VECQ_OP_SILU,       VECQ_OP_GELU,    VECQ_OP_CLIP, VECQ_OP_SOFTPLUS};
        output(t, op1(t, kinds[t->variant], conv(t, x, 4, 1, 0)));
        return;
    }
    switch (t->variant) {
    case 10:
        y = op1(t, VECQ_OP_RELU, op2(t, VECQ_OP_ADD, x, x));
        break;
    case 11: /* another reader */
        y = conv(t, x, 4, 1, 0);
        output(t, op1(t, VECQ_OP_TANH, y));
        y = op1(t, VECQ_OP_RELU, y);
        break;
    case 12: /* an output */
        output(t, y = conv(t, x, 4, 1, 0));
        y = op1(t, VECQ_OP_RELU, y);
        break;
    case 13: /* one is enough */
        y = op1(t, VECQ_OP_TANH, op1(t, VECQ_OP_RELU, conv(t, x, 4, 1, 0)));
        break;
    default: /* through a Reshape */
        y = matmul(t, VECQ_OP_GEMM, reshape(t, x, 2, (const int64_t[]){24, 10}),
                   constant(t, 2, (const int64_t[]){10, 9}, -1, 1), NULL, 0);
        y = op1(t, VECQ_OP_RELU, reshape(t, y, 3, (const int64_t[]){2, 12, 9}));
        break;
    }
    output(t, y);
}

static void test_activation(void **state)
{
    static const char *const texts[] = {"Conv[Relu]",
                                        "Conv[LeakyRelu(0.166667)]",
                                        "Conv[Sigmoid]",
                                        "Conv[Tanh]",
                                        "Conv[HardSigmoid(0.166667, 0.5)]",
                                        "Conv[HardSwish]",
                                        "Conv[Silu]",
                                        "Conv[Gelu]",
                                        "Conv[Clip(0.166667, 0.5)]",
                                        "Conv Softplus",
                                        "Add[Relu]",
                                        "Conv Tanh Relu",
                                        "Conv Relu",
                                        "Conv[Relu] Tanh",
                                        "Reshape Gemm[Relu] Reshape"};
    const vecq_simplify_options keep = {.keep_posts = 1};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof texts / sizeof *texts; i++)
        check(build_activation, (int)i, texts[i]);
    check_with(build_activation, 0, &keep, "Conv Relu");
}

static void build_residual(net *t)
{
    vecq_var *x = image(t), *y = conv(t, x, 4, 1, t->variant % 2), *z;

    switch (t->variant) {
    case 0: /* the shortcut is there before */
    case 1:
        output(t, op1(t, VECQ_OP_RELU, op2(t, VECQ_OP_ADD, x, batch_norm(t, y))));
        return;
    case 2: /* of two convolutions the later takes the earlier in */
        output(t, op2(t, VECQ_OP_ADD, y, conv(t, x, 4, 1, 0)));
        return;
    case 3: /* the other one is made later: the convolution moves */
        z = op1(t, VECQ_OP_ELU, x);
        output(t, op2(t, VECQ_OP_ADD, op1(t, VECQ_OP_ABS, z), y));
        return;
    case 4: /* another reader of the convolution */
        output(t, op1(t, VECQ_OP_ABS, y));
        output(t, op2(t, VECQ_OP_ADD, y, x));
        return;
    case 5: /* another shape: one number a channel and image */
        output(t, op2(t, VECQ_OP_ADD, y, input(t, 4, (const int64_t[]){2, 4, 1, 1})));
        return;
    case 6: /* twice the same */
        output(t, op2(t, VECQ_OP_ADD, y, y));
        return;
    case 7: /* the activation comes before the sum */
        output(t, op2(t, VECQ_OP_ADD, op1(t, VECQ_OP_RELU, y), x));
        return;
    case 8: /* an output */
        output(t, y);
        output(t, op2(t, VECQ_OP_ADD, y, x));
        return;
    default: /* through a Reshape, which the residual gets too; made before (9) or after (10) the product */
        x = reshape(t, y, 2, (const int64_t[]){24, 10});
        y = matmul(t, VECQ_OP_GEMM, x, constant(t, 2, (const int64_t[]){10, 10}, -1, 1), NULL, 0);
        y = reshape(t, y, 3, (const int64_t[]){2, 12, 10});
        z = t->variant == 9 ? input(t, 3, (const int64_t[]){2, 12, 10})
                            : op1(t, VECQ_OP_TANH, reshape(t, x, 3, (const int64_t[]){2, 12, 10}));
        output(t, op2(t, VECQ_OP_ADD, z, y));
        return;
    }
}

static void test_residual(void **state)
{
    (void)state;
    check(build_residual, 0, "Conv[+ residual, Relu]");
    check(build_residual, 1, "Conv[+ residual, Relu]");
    check(build_residual, 2, "Conv Conv[+ residual]");
    check(build_residual, 3, "Elu Abs Conv[+ residual]");
    check(build_residual, 4, "Conv Abs Add");
    check(build_residual, 5, "Conv Add");
    check(build_residual, 6, "Conv Add");
    check(build_residual, 7, "Conv[Relu] Add");
    check(build_residual, 8, "Conv Add");
    check(build_residual, 9, "Conv Reshape Reshape Gemm[+ residual] Reshape");
    check(build_residual, 10, "Conv Reshape Reshape Tanh Reshape Gemm[+ residual] Reshape");
}

/* ---- gates ---- */

static void build_gate(net *t)
{
    vecq_var *x = image(t), *y, *three = op2(t, VECQ_OP_ADD, number(t, 3), x), *relu6 = clip(t, three, 0, 6);
    vecq_var *erf = op1(t, VECQ_OP_ERF,
                        t->variant == 6 ? op2(t, VECQ_OP_DIV, x, number(t, sqrt(2)))
                                        : op2(t, VECQ_OP_MUL, number(t, sqrt(0.5)), x));

    switch (t->variant) {
    case 0:
        y = op2(t, VECQ_OP_MUL, x, op1(t, VECQ_OP_SIGMOID, x));
        break;
    case 1:
        y = op2(t, VECQ_OP_MUL, op1(t, VECQ_OP_HARD_SIGMOID, x), x);
        break;
    case 2:
        y = op2(t, VECQ_OP_DIV, op2(t, VECQ_OP_MUL, x, relu6), number(t, 6));
        break;
    case 3:
        y = op2(t, VECQ_OP_MUL, op2(t, VECQ_OP_DIV, relu6, number(t, 6)), x);
        break;
    case 4:
        y = op2(t, VECQ_OP_DIV, relu6, number(t, 6));
        break;
    case 5: /* (x / 2) (1 + erf(x / sqrt 2)) */
        y = op2(t, VECQ_OP_MUL, op2(t, VECQ_OP_MUL, x, number(t, 0.5)),
                op2(t, VECQ_OP_ADD, erf, number(t, 1)));
        break;
    case 6: /* x (1 + erf(x / sqrt 2)) / 2 */
        y = op2(t, VECQ_OP_MUL, op2(t, VECQ_OP_MUL, x, op2(t, VECQ_OP_ADD, number(t, 1), erf)),
                number(t, 0.5));
        break;
    case 7: /* another variable in the gate */
        y = op2(t, VECQ_OP_MUL, x, op1(t, VECQ_OP_SIGMOID, image(t)));
        break;
    case 8: /* the gate is read by another */
        y = op1(t, VECQ_OP_SIGMOID, x);
        output(t, op1(t, VECQ_OP_ABS, y));
        y = op2(t, VECQ_OP_MUL, x, y);
        break;
    case 9: /* the wrong factor */
        y = op2(t, VECQ_OP_MUL, op2(t, VECQ_OP_MUL, x, op2(t, VECQ_OP_ADD, number(t, 1), erf)),
                number(t, 0.6));
        break;
    default: /* the gate is an output */
        output(t, y = op1(t, VECQ_OP_SIGMOID, x));
        y = op2(t, VECQ_OP_MUL, x, y);
        break;
    }
    output(t, y);
}

static void test_gates(void **state)
{
    (void)state;
    check(build_gate, 0, "Silu");
    check(build_gate, 1, "HardSwish");
    check(build_gate, 2, "HardSwish");
    check(build_gate, 3, "HardSwish");
    check(build_gate, 4, "HardSigmoid");
    check(build_gate, 5, "Gelu");
    check(build_gate, 6, "Gelu");
    check(build_gate, 7, "Sigmoid Mul");
    check(build_gate, 8, "Sigmoid Abs Mul");
    check(build_gate, 9, "Mul Erf Add Mul Mul");
    check(build_gate, 10, "Sigmoid Mul");
}

/* ---- LayerNorm written out ---- */

static vecq_var *mean(net *t, vecq_var *x, unsigned first)
{
    vecq_reduce_params params = {.keep_dims = 1};
    unsigned a;

    for (a = first; a < x->rank; a++)
        params.axes[a] = 1;
    return made(t, VECQ_OP_REDUCE_MEAN, &x, 1, &params, sizeof params);
}

static void build_layer_norm(net *t)
{
    const int64_t dims[3] = {2, 3, 5}, row[2] = {3, 5}, column[2] = {3, 1};
    unsigned axis = t->variant == 1 ? 1 : 2;
    vecq_var *x = input(t, 3, dims), *d, *v, *y;

    d = op2(t, VECQ_OP_SUB, x, mean(t, x, t->variant == 4 ? 1 : axis));
    v = t->variant == 2 ? op2(t, VECQ_OP_MUL, d, d)
                        : op2(t, VECQ_OP_POW, d, number(t, t->variant == 5 ? 4 : 2));
    v = mean(t, v, axis);
    if (t->variant == 6) /* it has another reader */
        output(t, v);
    v = op1(t, VECQ_OP_SQRT, op2(t, VECQ_OP_ADD, v, number(t, 1e-3)));
    y = op2(t, VECQ_OP_DIV, t->variant == 7 ? x : d, v);
    if (t->variant == 1)
        y = op2(t, VECQ_OP_MUL, constant(t, 2, row, 0.5, 1.5), y);
    else if (t->variant == 3) /* not the same for each row */
        y = op2(t, VECQ_OP_MUL, y, constant(t, 2, column, 0.5, 1.5));
    else
        y = op2(t, VECQ_OP_MUL, y, vector(t, 5, 0.5, 1.5));
    if (t->variant != 2)
        y = op2(t, VECQ_OP_ADD, y, vector(t, t->variant == 3 ? 1 : 5, -1, 1));
    output(t, y);
}

static void test_layer_norm(void **state)
{
    (void)state;
    check(build_layer_norm, 0, "LayerNorm");
    check(build_layer_norm, 1, "LayerNorm Add");
    check(build_layer_norm, 2, "LayerNorm");
    check(build_layer_norm, 3, "LayerNorm Mul Add");
    check(build_layer_norm, 4, "ReduceMean Sub Pow ReduceMean Add Sqrt Div Mul Add");
    check(build_layer_norm, 5, "ReduceMean Sub Pow ReduceMean Add Sqrt Div Mul Add");
    check(build_layer_norm, 6, "ReduceMean Sub Pow ReduceMean Add Sqrt Div Mul Add");
    check(build_layer_norm, 7, "ReduceMean Sub Pow ReduceMean Add Sqrt Div Mul Add");
}

/* ---- padding ---- */

static void build_padding(net *t)
{
    vecq_pad_params pad = {.mode = VECQ_PAD_CONSTANT, .begin = {0, 0, 1, 2}, .end = {0, 0, 2, 1}};
    vecq_pool_params pool = {.spatial = 2, .kernel = {3, 3}, .stride = {2, 1}, .dilation = {1, 1}};
    vecq_op_kind kind = VECQ_OP_AVERAGE_POOL;
    vecq_var *x = image(t);

    if (t->variant == 1)
        pad.value = 1;
    if (t->variant == 2)
        pad.begin[1] = 1;
    if (t->variant == 3)
        pad.begin[3] = -1;
    if (t->variant < 4) {
        output(t, conv(t, made(t, VECQ_OP_PAD, &x, 1, &pad, sizeof pad), 4, 1, 1));
        return;
    }
    if (t->variant == 5)
        pool.pad_begin[0] = 1; /* an own padding that does not count, beside one that does */
    if (t->variant == 6)
        pad.begin[3] = 3; /* windows in the padding only */
    if (t->variant >= 7)
        kind = VECQ_OP_MAX_POOL;
    if (t->variant == 8)
        x = op1(t, VECQ_OP_RELU, x);
    x = made(t, VECQ_OP_PAD, &x, 1, &pad, sizeof pad);
    output(t, made(t, kind, &x, 1, &pool, sizeof pool));
}

static void test_padding(void **state)
{
    (void)state;
    check(build_padding, 0, "Conv");
    check(build_padding, 1, "Pad Conv");
    check(build_padding, 2, "Pad Conv");
    check(build_padding, 3, "Pad Conv");
    check(build_padding, 4, "AveragePool");
    check(build_padding, 5, "Pad AveragePool");
    check(build_padding, 6, "Pad AveragePool");
    check(build_padding, 7, "Pad MaxPool"); /* negative elements */
    check(build_padding, 8, "Relu MaxPool");
}

/* ---- nothing, and chains ---- */

static void build_identity(net *t)
{
    const vecq_slice_params whole = {.step = {1, 1, 1, 1}, .length = {2, 4, 6, 5}};
    const vecq_slice_params part = {.step = {1, 1, 1, 1}, .length = {2, 4, 6, 4}};
    const vecq_pad_params pad = {.mode = VECQ_PAD_CONSTANT, .value = 3};
    const vecq_cast_params cast = {.to = VECQ_DT_FLOAT};
    const vecq_pool_params pool = {.spatial = 2, .kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
    const int64_t *dims = (const int64_t[]){2, 4, 6, 5};
    vecq_var *x = op1(t, VECQ_OP_EXP, image(t)), *y = x;

    switch (t->variant) {
    case 0:
        y = reshape(t, y, 4, dims);
        y = transpose(t, y, (const unsigned[]){0, 1, 2, 3});
        y = made(t, VECQ_OP_SLICE, &y, 1, &whole, sizeof whole);
        y = made(t, VECQ_OP_PAD, &y, 1, &pad, sizeof pad);
        y = made(t, VECQ_OP_CAST, &y, 1, &cast, sizeof cast);
        y = made(t, VECQ_OP_AVERAGE_POOL, &y, 1, &pool, sizeof pool);
        y = clip(t, y, -INFINITY, INFINITY);
        y = op1(t, VECQ_OP_RELU, y); /* of what is not negative */
        y = op2(t, VECQ_OP_ADD, number(t, 0), y);
        y = op2(t, VECQ_OP_DIV, op2(t, VECQ_OP_MUL, number(t, 1), y), number(t, 1));
        y = op2(t, VECQ_OP_SUB, y, number(t, 0));
        y = op1(t, VECQ_OP_TANH, y);
        break;
    case 1: /* to an output: the op before makes it */
        y = reshape(t, y, 4, dims);
        break;
    case 2: /* both are outputs */
        output(t, y);
        y = reshape(t, y, 4, dims);
        break;
    case 3:
        y = made(t, VECQ_OP_SLICE, &y, 1, &part, sizeof part);
        break;
    case 4: /* 1 - x, 1 / x, and a sum that broadcasts */
        y = op2(t, VECQ_OP_DIV, number(t, 1), op2(t, VECQ_OP_SUB, number(t, 0), y));
        y = op2(t, VECQ_OP_ADD, y, constant(t, 5, (const int64_t[]){1, 1, 1, 1, 1}, 0, 0));
        break;
    case 5: /* an input that is an output */
        y = reshape(t, image(t), 4, dims);
        break;
    case 6:
        y = op1(t, VECQ_OP_RELU, op1(t, VECQ_OP_NEG, y));
        break;
    default: /* read by others before and after */
        output(t, op1(t, VECQ_OP_NEG, y));
        y = reshape(t, x, 4, dims);
        output(t, op1(t, VECQ_OP_NEG, x));
        break;
    }
    output(t, y);
}

static void build_chain(net *t)
{
    const vecq_reduce_params reduce = {.axes = {0, 1, 0, 0}, .keep_dims = 0};
    vecq_var *x = image(t), *y;

    switch (t->variant) {
    case 0:
        y = reshape(t, reshape(t, x, 2, (const int64_t[]){8, 30}), 2, (const int64_t[]){4, 60});
        break;
    case 1: /* the one in between is read too */
        y = reshape(t, x, 2, (const int64_t[]){8, 30});
        output(t, op1(t, VECQ_OP_TANH, y));
        y = reshape(t, y, 2, (const int64_t[]){4, 60});
        break;
    case 2:
        y = transpose(t, transpose(t, x, (const unsigned[]){0, 2, 3, 1}), (const unsigned[]){0, 3, 1, 2});
        y = op1(t, VECQ_OP_TANH, y);
        break;
    case 3:
        y = transpose(t, transpose(t, x, (const unsigned[]){0, 2, 3, 1}), (const unsigned[]){3, 1, 2, 0});
        break;
    case 4: /* axes of one element move freely */
        y = transpose(t, reshape(t, x, 4, (const int64_t[]){8, 1, 30, 1}), (const unsigned[]){1, 0, 3, 2});
        break;
    case 5:
        y = reshape(t, x, 4, (const int64_t[]){8, 1, 6, 5});
        y = made(t, VECQ_OP_REDUCE_MEAN, &y, 1, &reduce, sizeof reduce);
        break;
    case 6: /* a product of transposed matrices */
        y = transpose(t, reshape(t, x, 3, (const int64_t[]){8, 6, 5}), (const unsigned[]){0, 2, 1});
        y = matmul(t, VECQ_OP_MATMUL, y, input(t, 3, (const int64_t[]){8, 6, 3}), NULL, 0);
        break;
    case 7:
        y = transpose(t, reshape(t, x, 3, (const int64_t[]){8, 6, 5}), (const unsigned[]){0, 2, 1});
        y = matmul(t, VECQ_OP_MATMUL, input(t, 3, (const int64_t[]){8, 2, 6}), y, NULL, 1);
        break;
    default: /* other axes are exchanged */
        y = transpose(t, reshape(t, x, 3, (const int64_t[]){8, 6, 5}), (const unsigned[]){1, 0, 2});
        y = matmul(t, VECQ_OP_MATMUL, y, input(t, 3, (const int64_t[]){6, 5, 3}), NULL, 0);
        break;
    }
    output(t, y);
}

static void test_identity(void **state)
{
    (void)state;
    check(build_identity, 0, "Exp Tanh");
    check(build_identity, 1, "Exp");
    check(build_identity, 2, "Exp Reshape");
    check(build_identity, 3, "Exp Slice");
    check(build_identity, 4, "Exp Sub Div Add");
    check(build_identity, 5, "Reshape");
    check(build_identity, 6, "Exp Neg Relu");
    check(build_identity, 7, "Exp Neg Neg");
    check(build_chain, 0, "Reshape");
    check(build_chain, 1, "Reshape Tanh Reshape");
    check(build_chain, 2, "Tanh");
    check(build_chain, 3, "Transpose");
    check(build_chain, 4, "Reshape");
    check(build_chain, 5, "Reshape");
    check(build_chain, 6, "Reshape MatMul");
    check(build_chain, 7, "Reshape MatMul");
    check(build_chain, 8, "Reshape Transpose MatMul");
}

/* ---- a whole network, twice, and without memory ---- */

static void build_block(net *t)
{
    const vecq_pad_params pad = {.mode = VECQ_PAD_CONSTANT, .begin = {0, 0, 1, 1}, .end = {0, 0, 1, 1}};
    vecq_var *x = image(t), *y, *z;

    x = made(t, VECQ_OP_PAD, &x, 1, &pad, sizeof pad);
    x = clip(t, batch_norm(t, conv(t, x, 4, 1, 0)), 0, 6);
    y = op1(t, VECQ_OP_RELU, batch_norm(t, conv(t, x, 4, 2, 0)));
    y = batch_norm(t, conv(t, y, 4, 1, 1));
    z = batch_norm(t, conv(t, x, 4, 1, 0));
    y = op1(t, VECQ_OP_RELU, op2(t, VECQ_OP_ADD, y, z));
    y = op2(t, VECQ_OP_MUL, y, op1(t, VECQ_OP_SIGMOID, y));
    output(t, y);
}

static void test_block(void **state)
{
    static const char want[] = "Conv[Clip(0, 6)] Conv[Relu] Conv Conv[+ residual, Relu] Silu";
    vecq_error err = VECQ_ERROR_INIT;
    vecq_simplify_counts counts;
    char text[400];
    net t;

    (void)state;
    check(build_block, 0, want);
    net_build(&t, build_block, 0);
    assert_ok(vecq_program_simplify(&t.pr.program, NULL, &counts, &err), &err);
    assert_int_equal(counts.folded, 5);
    assert_int_equal(counts.fused, 5);
    assert_int_equal(counts.removed, 0);
    assert_ok(vecq_program_simplify(&t.pr.program, NULL, &counts, &err), &err);
    describe(&t.pr.program, text, sizeof text);
    assert_string_equal(text, want);
    assert_int_equal(counts.folded + counts.fused + counts.removed, 0);
    net_clear(&t);
}

/* relu(norm(conv(pad(x))) + x) */
static vecq_status block_without_memory(void *context, vecq_error *err)
{
    const vecq_conv_params conv = {.spatial = 1, .group = 1, .stride = {1}, .dilation = {1}};
    const vecq_pad_params pad = {.mode = VECQ_PAD_CONSTANT, .begin = {0, 0, 1}, .end = {0, 0, 1}};
    const vecq_norm_params norm = {1e-3};
    const int64_t dims[3] = {2, 3, 7}, w[3] = {3, 3, 3};
    vecq_program program = {.n_ops = 0};
    vecq_var *in[5], *x, *y = NULL;
    vecq_status status;
    vecq_op *op;
    size_t i;

    (void)context;
    status = vecq_program_input(&program, "x", VECQ_DT_FLOAT, 3, dims, &x, err);
    if (status == VECQ_OK)
        status = vecq_program_op1(&program, VECQ_OP_PAD, "pad", x, &pad, sizeof pad, &in[0], err);
    if (status == VECQ_OK)
        status = vecq_program_fill(&program, "w", VECQ_DT_FLOAT, 3, w, 0.5, &in[1], err);
    if (status == VECQ_OK)
        status =
            vecq_program_op2(&program, VECQ_OP_CONV, "conv", in[0], in[1], &conv, sizeof conv, &in[0], err);
    for (i = 1; i < 5 && status == VECQ_OK; i++)
        status = vecq_program_fill(&program, "v", VECQ_DT_FLOAT, 1, dims + 1, 2, &in[i], err);
    if (status == VECQ_OK)
        status =
            vecq_program_op(&program, VECQ_OP_BATCH_NORM, "norm", in, 5, &norm, sizeof norm, 0, &op, err);
    if (status == VECQ_OK)
        status = vecq_program_op2(&program, VECQ_OP_ADD, "sum", op->outputs[0], x, NULL, 0, &y, err);
    if (status == VECQ_OK)
        status = vecq_program_op1(&program, VECQ_OP_RELU, "relu", y, NULL, 0, &y, err);
    if (status == VECQ_OK) {
        y->is_output = 1;
        status = vecq_program_simplify(&program, NULL, NULL, err);
        check_program(&program);
        assert_true(status != VECQ_OK || program.n_ops == 1);
    }
    vecq_program_clear(&program);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    assert_true(vecq_fail_every_alloc(block_without_memory, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed),        cmocka_unit_test(test_norm),
        cmocka_unit_test(test_channels),      cmocka_unit_test(test_activation),
        cmocka_unit_test(test_residual),      cmocka_unit_test(test_gates),
        cmocka_unit_test(test_layer_norm),    cmocka_unit_test(test_padding),
        cmocka_unit_test(test_identity),      cmocka_unit_test(test_block),
        cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
