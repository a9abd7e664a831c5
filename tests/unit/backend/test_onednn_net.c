/* SPDX-License-Identifier: Apache-2.0 */
/* Small networks forward and backward, oneDNN against ref; which reorders their plans have; what fails. */
#include "backend_check.h"
#include "quant/act_histogram.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- building blocks: inputs are taken one after the other ---- */

typedef struct builder {
    vecq_program *program;
    vecq_var *const *in;
    vecq_error *err;
    vecq_status status;
} builder;

static vecq_var *add_op(builder *b, vecq_op_kind kind, const char *name, vecq_var *const *in, size_t n,
                        const void *params, size_t n_bytes)
{
    vecq_op *op = NULL;

    if (b->status == VECQ_OK)
        b->status = vecq_program_op(b->program, kind, name, in, n, params, n_bytes, 0, &op, b->err);
    return b->status == VECQ_OK ? op->outputs[0] : in[0];
}

static vecq_var *conv(builder *b, const char *name, vecq_var *x, int64_t kernel, int64_t stride,
                      int64_t group)
{
    vecq_var *in[2] = {x, *b->in++};
    vecq_conv_params p;
    int i;

    memset(&p, 0, sizeof p);
    p.spatial = 2;
    p.group = group;
    for (i = 0; i < 2; i++) {
        p.stride[i] = stride;
        p.dilation[i] = 1;
        p.pad_begin[i] = p.pad_end[i] = kernel / 2;
    }
    return add_op(b, VECQ_OP_CONV, name, in, 2, &p, sizeof p);
}

static vecq_var *norm(builder *b, const char *name, vecq_var *x)
{
    vecq_var *in[3] = {x, b->in[0], b->in[1]};
    vecq_norm_params p = {.epsilon = 1e-3};

    b->in += 2;
    return add_op(b, VECQ_OP_BATCH_NORM_TRAIN, name, in, 3, &p, sizeof p);
}

static vecq_var *unary(builder *b, vecq_op_kind kind, const char *name, vecq_var *x)
{
    vecq_unary_params p = {0, 6};

    return add_op(b, kind, name, &x, 1, &p, sizeof p);
}

static vecq_var *binary(builder *b, vecq_op_kind kind, const char *name, vecq_var *x, vecq_var *y)
{
    vecq_var *in[2] = {x, y};

    return add_op(b, kind, name, in, 2, NULL, 0);
}

static vecq_var *pool(builder *b, vecq_op_kind kind, const char *name, vecq_var *x, int64_t size)
{
    vecq_pool_params p = {
        .spatial = 2, .kernel = {size, size}, .stride = {size, size}, .dilation = {1, 1, 1}};

    return add_op(b, kind, name, &x, 1, &p, sizeof p);
}

static vecq_var *flatten(builder *b, vecq_var *x)
{
    vecq_shape_params p = {.rank = 2, .dims = {x->dims[0], (int64_t)x->count / x->dims[0]}};

    return add_op(b, VECQ_OP_RESHAPE, "flatten", &x, 1, &p, sizeof p);
}

static vecq_var *dense(builder *b, const char *name, vecq_var *x)
{
    vecq_var *in[3] = {x, b->in[0], b->in[1]};
    vecq_matmul_params p = {.trans_b = 1};

    b->in += 2;
    return add_op(b, VECQ_OP_GEMM, name, in, 3, &p, sizeof p);
}

/* ---- networks ---- */

#define BUILDER                                                                                              \
    builder b = {.program = program, .in = in + 1, .err = err, .status = VECQ_OK};                           \
    vecq_var *x = in[0];                                                                                     \
    (void)extra;                                                                                             \
    *n_out = 1

static vecq_status build_lenet(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                               size_t *n_out, vecq_error *err)
{
    vecq_axis_params axis;
    BUILDER;

    memset(&axis, 0, sizeof axis);
    axis.axis = 1;
    x = norm(&b, "norm1", unary(&b, VECQ_OP_RELU, "relu1", conv(&b, "conv1", x, 5, 1, 1)));
    x = pool(&b, VECQ_OP_MAX_POOL, "pool1", x, 2);
    x = norm(&b, "norm2", unary(&b, VECQ_OP_RELU, "relu2", conv(&b, "conv2", x, 5, 1, 1)));
    x = flatten(&b, pool(&b, VECQ_OP_MAX_POOL, "pool2", x, 2));
    x = norm(&b, "norm3", unary(&b, VECQ_OP_RELU, "relu3", dense(&b, "dense1", x)));
    x = dense(&b, "dense2", x);
    out[0] = add_op(&b, VECQ_OP_LOG_SOFTMAX, "softmax", &x, 1, &axis, sizeof axis);
    return b.status;
}

#define VECTOR(n)                                                                                            \
    {                                                                                                        \
        .rank = 1, .dims = {n}, .low = -0.5, .high = 0.5                                                     \
    }
#define SCALE(n)                                                                                             \
    {                                                                                                        \
        .rank = 1, .dims = {n}, .low = 0.5, .high = 1.5                                                      \
    }
#define KERNEL(m, c, k, limit)                                                                               \
    {                                                                                                        \
        .rank = 4, .dims = {m, c, k, k}, .low = -(limit), .high = limit                                      \
    }
#define MATRIX(m, n, limit)                                                                                  \
    {                                                                                                        \
        .rank = 2, .dims = {m, n}, .low = -(limit), .high = limit                                            \
    }

static const bc_case lenet = {
    .name = "lenet",
    .n_inputs = 13,
    .inputs = {{.rank = 4, .dims = {6, 1, 12, 12}, .is_fixed = 1},
               KERNEL(16, 1, 5, 0.3),
               SCALE(16),
               VECTOR(16),
               KERNEL(32, 16, 5, 0.1),
               SCALE(32),
               VECTOR(32),
               MATRIX(24, 288, 0.1),
               VECTOR(24),
               SCALE(24),
               VECTOR(24),
               MATRIX(10, 24, 0.3),
               VECTOR(10)},
    .build = build_lenet,
    .taken = "Conv ConvGradInput ConvGradWeight BatchNormTrain BatchNormTrainGrad MaxPool MaxPoolGrad Gemm "
             "ReluGrad LogSoftmax LogSoftmaxGrad",
    .terms = 2000,
    .relative_to_largest = 1};

static vecq_status build_resnet(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                                size_t *n_out, vecq_error *err)
{
    vecq_var *shortcut, *body;
    BUILDER;

    x = unary(&b, VECQ_OP_RELU, "relu0", norm(&b, "norm0", conv(&b, "conv0", x, 3, 1, 1)));
    body = unary(&b, VECQ_OP_RELU, "relu1", norm(&b, "norm1", conv(&b, "conv1", x, 3, 2, 1)));
    body = norm(&b, "norm2", conv(&b, "conv2", body, 3, 1, 1));
    shortcut = norm(&b, "norm3", conv(&b, "conv3", x, 1, 2, 1));
    x = unary(&b, VECQ_OP_RELU, "relu2", binary(&b, VECQ_OP_ADD, "add", body, shortcut));
    body = unary(&b, VECQ_OP_RELU, "relu3", norm(&b, "norm4", conv(&b, "conv4", x, 3, 1, 1)));
    x = binary(&b, VECQ_OP_ADD, "add2", body, x); /* x is read twice: its gradient is a sum */
    x = flatten(&b, pool(&b, VECQ_OP_AVERAGE_POOL, "pool", x, 4));
    out[0] = dense(&b, "dense", x);
    return b.status;
}

static const bc_case resnet = {.name = "resnet",
                               .n_inputs = 18,
                               .inputs = {{.rank = 4, .dims = {4, 3, 8, 8}},
                                          KERNEL(16, 3, 3, 0.3),
                                          SCALE(16),
                                          VECTOR(16),
                                          KERNEL(32, 16, 3, 0.15),
                                          SCALE(32),
                                          VECTOR(32),
                                          KERNEL(32, 32, 3, 0.1),
                                          SCALE(32),
                                          VECTOR(32),
                                          KERNEL(32, 16, 1, 0.3),
                                          SCALE(32),
                                          VECTOR(32),
                                          KERNEL(32, 32, 3, 0.1),
                                          SCALE(32),
                                          VECTOR(32),
                                          MATRIX(10, 32, 0.3),
                                          VECTOR(10)},
                               .build = build_resnet,
                               .taken = "Conv ConvGradInput ConvGradWeight BatchNormTrain BatchNormTrainGrad "
                                        "AveragePool AveragePoolGrad Gemm "
                                        "ReluGrad",
                               .terms = 2000,
                               .relative_to_largest = 1};

static vecq_status build_mobilenet(vecq_program *program, vecq_var *const *in, const void *extra,
                                   vecq_var **out, size_t *n_out, vecq_error *err)
{
    vecq_var *y;
    BUILDER;

    y = unary(&b, VECQ_OP_CLIP, "clip1", norm(&b, "norm1", conv(&b, "expand", x, 1, 1, 1)));
    y = unary(&b, VECQ_OP_CLIP, "clip2", norm(&b, "norm2", conv(&b, "depthwise", y, 3, 1, 48)));
    y = norm(&b, "norm3", conv(&b, "project", y, 1, 1, 1));
    out[0] = binary(&b, VECQ_OP_ADD, "add", y, x);
    return b.status;
}

static const bc_case mobilenet = {
    .name = "mobilenet",
    .n_inputs = 10,
    .inputs = {{.rank = 4, .dims = {3, 16, 7, 7}},
               KERNEL(48, 16, 1, 0.5),
               SCALE(48),
               VECTOR(48),
               KERNEL(48, 1, 3, 0.5),
               SCALE(48),
               VECTOR(48),
               KERNEL(16, 48, 1, 0.3),
               SCALE(16),
               VECTOR(16)},
    .build = build_mobilenet,
    .taken = "Conv ConvGradInput ConvGradWeight BatchNormTrain BatchNormTrainGrad Clip ClipGrad Add",
    .terms = 2000,
    .relative_to_largest = 1};

/* Branches put together, and (`extra` NULL) channels weighed by a gate of their means. */
static vecq_status build_branches(vecq_program *program, vecq_var *const *in, const void *extra,
                                  vecq_var **out, size_t *n_out, vecq_error *err)
{
    vecq_axis_params axis;
    vecq_var *parts[3], *gate;
    BUILDER;

    memset(&axis, 0, sizeof axis);
    axis.axis = 1;
    parts[0] = unary(&b, VECQ_OP_RELU, "relu1", conv(&b, "conv1", x, 3, 1, 1));
    parts[1] = unary(&b, VECQ_OP_SIGMOID, "sigmoid", conv(&b, "conv2", x, 1, 1, 1));
    parts[2] = unary(&b, VECQ_OP_TANH, "tanh", conv(&b, "conv3", x, 5, 1, 1));
    x = add_op(&b, VECQ_OP_CONCAT, "concat", parts, 3, &axis, sizeof axis);
    if (extra == NULL) {
        gate = pool(&b, VECQ_OP_AVERAGE_POOL, "mean", x, 6);
        gate = unary(&b, VECQ_OP_SIGMOID, "gate", conv(&b, "conv4", gate, 1, 1, 1));
        x = binary(&b, VECQ_OP_MUL, "weigh", x, gate);
    } else {
        b.in++;
    }
    out[0] = conv(&b, "conv5", x, 3, 1, 1);
    return b.status;
}

static bc_case branches_of(int64_t a, int64_t b, int64_t c)
{
    int64_t all = a + b + c;
    bc_case branches = {.name = "branches",
                        .n_inputs = 6,
                        .inputs = {{.rank = 4, .dims = {3, 16, 6, 6}},
                                   KERNEL(a, 16, 3, 0.2),
                                   KERNEL(b, 16, 1, 0.4),
                                   KERNEL(c, 16, 5, 0.1),
                                   KERNEL(all, all, 1, 0.2),
                                   KERNEL(8, all, 3, 0.1)},
                        .build = build_branches,
                        .terms = 2000,
                        .relative_to_largest = 1};

    return branches;
}

static void test_lenet(void **state)
{
    BC_BACKEND("onednn")

    (void)state;
    bc_run(&lenet, backend);
}

static void test_resnet(void **state)
{
    BC_BACKEND("onednn")

    (void)state;
    bc_run(&resnet, backend);
}

static void test_mobilenet(void **state)
{
    BC_BACKEND("onednn")

    (void)state;
    bc_run(&mobilenet, backend);
}

static void test_branches(void **state)
{
    bc_case even = branches_of(16, 32, 16), odd = branches_of(12, 5, 16);
    BC_BACKEND("onednn")

    (void)state;
    bc_run(&even, backend);
    bc_run(&odd, backend); /* cuts that fall into blocks */
}

/* ---- elementwise ops of the plain backend between convolutions ---- */

typedef struct flat_case {
    vecq_op_kind kind;
    const char *taken;
    int64_t channels; /* of the blocked value: 12 are padded to 16 */
} flat_case;

static vecq_status build_flat(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                              size_t *n_out, vecq_error *err)
{
    const flat_case *f = extra;
    vecq_act_params act = {.bits = 8, .is_unsigned = 0, .momentum = 0.5, .clip_gradient = 1};
    vecq_unary_params p = {0.2, 0.5};
    builder b = {.program = program, .in = in + 2, .err = err, .status = VECQ_OK};
    vecq_var *x = conv(&b, "conv1", in[0], 3, 1, 1), *pair[2] = {x, in[1]};

    *n_out = 1;
    if (f->kind == VECQ_OP_MEASURE_ACTIVATION) {
        out[0] = add_op(&b, f->kind, "act", pair, 2, &act, sizeof act);
        b.in++;
        return b.status;
    }
    if (f->kind == VECQ_OP_MAX) {
        pair[1] = conv(&b, "conv1b", in[0], 3, 1, 1);
        b.in--; /* the second weight serves twice: the shapes are the same */
        x = add_op(&b, f->kind, "max", pair, 2, NULL, 0);
        out[0] = x;
        return b.status;
    }
    x = f->kind == VECQ_OP_QUANTIZE_ACTIVATION ? add_op(&b, f->kind, "act", pair, 2, &act, sizeof act)
                                               : add_op(&b, f->kind, "f", &x, 1, &p, sizeof p);
    out[0] = conv(&b, "conv2", x, 3, 1, 1);
    return b.status;
}

/* Values and weights are multiples of 1/4 in the layers before a rounding: it rounds the same everywhere. */
static void test_flat(void **state)
{
    static const flat_case cases[] = {
        {VECQ_OP_QUANTIZE_ACTIVATION, "QuantizeActivation QuantizeActivationGrad", 16},
        {VECQ_OP_QUANTIZE_ACTIVATION, "QuantizeActivation QuantizeActivationGrad", 12},
        {VECQ_OP_MEASURE_ACTIVATION, "MeasureActivation", 12},
        {VECQ_OP_ERF, "Erf ErfGrad", 12},
        {VECQ_OP_HARD_SIGMOID, "HardSigmoid HardSigmoidGrad", 16},
        {VECQ_OP_HARD_SIGMOID, NULL, 12}, /* makes 1/2 of padding: ref */
        {VECQ_OP_SOFTPLUS, "Softplus", 32},
        {VECQ_OP_MAX, "Max", 16},
    };
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        int64_t n = cases[i].channels;
        bc_case c = {
            .name = cases[i].taken != NULL ? cases[i].taken : "padded",
            .n_inputs = 4,
            .inputs = {{.rank = 4, .dims = {2, 16, 5, 5}, .is_quarters = 1},
                       {.rank = 1, .dims = {1}, .low = 0.373, .high = 0.373, .is_fixed = 1, .is_single = 1},
                       KERNEL(n, 16, 3, 1),
                       KERNEL(n, n == 16 ? 16 : n, 3, 1)},
            .build = build_flat,
            .extra = &cases[i],
            .taken = cases[i].taken,
            .terms = 600,
            .relative_to_largest = 1,
            .forward_only = cases[i].kind == VECQ_OP_MEASURE_ACTIVATION};

        c.inputs[2].is_quarters = 1;
        bc_run(&c, backend);
    }
}

/* A stored tensor of quarters in (-1, 1); of zeros for doubles. */
static vecq_var *quarters(bc_state *s, const char *name, vecq_dtype dtype, unsigned rank, const int64_t *dims,
                          vecq_rng *rng)
{
    const bc_input in = {.is_quarters = 1};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_stored *stored;
    vecq_tensor tensor;
    vecq_var *var = NULL;

    assert_ok(vecq_tensor_create(dtype, rank, dims, &tensor, &err), &err);
    memset(tensor.data, 0, tensor.n_bytes);
    if (dtype == VECQ_DT_FLOAT)
        bc_fill(&tensor, &in, rng, 0);
    assert_ok(vecq_store_add(&s->store, name, NULL, &tensor, &stored, &err), &err);
    assert_ok(vecq_program_stored(&s->program, stored, &var, &err), &err);
    return var;
}

/* What is counted of a value between two convolutions; the backend of the op. */
static const char *observe(const vecq_backend *backend, int64_t channels, vecq_act_histogram *out)
{
    const int64_t x[4] = {2, 16, 5, 5}, w1[4] = {channels, 16, 3, 3}, w2[4] = {16, channels, 3, 3};
    const int64_t n = VECQ_ACT_HISTOGRAM_DOUBLES;
    vecq_exec_options options = {
        .backends = &backend, .n_backends = 1, .threads = 2, .is_training = 1}; /* in blocks of 16 channels */
    vecq_run run = {.threads = 2};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *weights[2], *pair[2];
    builder b = {.in = weights, .err = &err, .status = VECQ_OK};
    const char *taken = "";
    vecq_rng rng;
    bc_state s;
    size_t i;

    memset(&s, 0, sizeof s);
    vecq_rng_seed(&rng, 4);
    b.program = &s.program;
    s.in[0] = quarters(&s, "x", VECQ_DT_FLOAT, 4, x, &rng);
    weights[0] = quarters(&s, "w1", VECQ_DT_FLOAT, 4, w1, &rng);
    weights[1] = quarters(&s, "w2", VECQ_DT_FLOAT, 4, w2, &rng);
    pair[1] = quarters(&s, "state", VECQ_DT_DOUBLE, 1, &n, &rng);
    pair[0] = conv(&b, "conv1", s.in[0], 3, 1, 1);
    add_op(&b, VECQ_OP_OBSERVE_ACTIVATION, "observe", pair, 2, NULL, 0);
    conv(&b, "conv2", pair[0], 3, 1, 1)->is_output = 1;
    assert_ok(b.status, &err);
    assert_ok(vecq_exec_create(&s.program, &options, &s.exec, &err), &err);
    assert_ok(vecq_exec_run(s.exec, &run, &err), &err);
    assert_ok(vecq_exec_run(s.exec, &run, &err), &err);
    memcpy(out, pair[1]->stored->tensor.data, sizeof *out);
    for (i = 0; i < vecq_exec_steps(s.exec); i++)
        if (strcmp(vecq_exec_step(s.exec, i).op, "ObserveActivation") == 0)
            taken = vecq_exec_step(s.exec, i).backend;
    bc_clear(&s);
    return taken;
}

/* Sums of products of quarters are the same in any order: so are counts, in any layout, without its padding.
 */
static void test_observe(void **state)
{
    static vecq_act_histogram plain, blocked;
    BC_BACKEND("onednn")

    (void)state;
    assert_string_equal(observe(vecq_backend_find("ref"), 16, &plain), "ref");
    assert_true(plain.n == 2 * 2 * 16 * 5 * 5 && plain.zeros > 0 && plain.n_bad == 0);
    assert_string_equal(observe(backend, 16, &blocked), "onednn");
    assert_memory_equal(&plain, &blocked, sizeof plain);
    observe(vecq_backend_find("ref"), 12, &plain);
    assert_string_equal(observe(backend, 12, &blocked), "ref"); /* 12 channels are padded to 16 */
    assert_memory_equal(&plain, &blocked, sizeof plain);
}

/* ---- reorders ---- */

/* A convolution may turn its weights for the forward and for the backward pass, and its weight gradient back;
 * an image may come into the library's form once, and leave it once, both ways. Nothing else is copied. */
static void check_reorders(const bc_case *c, const vecq_backend *backend, size_t n_convs, size_t n_borders)
{
    size_t i, k, n_weights = 0, n_others = 0;
    bc_state s;

    bc_make(&s, c, backend, VECQ_DT_FLOAT, 2, 0);
    bc_check_taken(c, &s, backend);
    for (i = 0; i < vecq_exec_steps(s.exec); i++) {
        vecq_exec_step_info info = vecq_exec_step(s.exec, i);
        int is_weight = 0;

        if (strcmp(info.op, "Reorder") != 0)
            continue;
        for (k = 0; k < s.n_out; k++)
            is_weight |= info.name == s.out[k]->name;
        for (k = 0; k < c->n_inputs; k++)
            is_weight |= k > 0 && info.name == s.in[k]->name;
        n_weights += (size_t)is_weight;
        n_others += !is_weight;
        if (!is_weight)
            print_message("    %s: reorder of %s\n", c->name, info.name);
    }
    print_message("    %s: %zu reorders of weights, %zu others\n", c->name, n_weights, n_others);
    assert_in_range(n_weights, 0, 3 * n_convs);
    assert_in_range(n_others, 0, n_borders);
    bc_clear(&s);
}

static size_t count_steps(const bc_state *s, const char *op)
{
    size_t i, n = 0;

    for (i = 0; i < vecq_exec_steps(s->exec); i++)
        n += strcmp(vecq_exec_step(s->exec, i).op, op) == 0;
    return n;
}

/* A Relu that alone reads a convolution, a product, a sum or a normalization costs no step; nor does its gradient
 * where a normalization takes it. */
static void test_fused_relu(void **state)
{
    bc_state s;
    BC_BACKEND("onednn")

    (void)state;
    bc_make(&s, &resnet, backend, VECQ_DT_FLOAT, 2, 0);
    assert_int_equal(count_steps(&s, "Relu"), 0);
    assert_int_equal(count_steps(&s, "ReluGrad"), 1);
    bc_clear(&s);
    bc_make(&s, &lenet, backend, VECQ_DT_FLOAT, 2, 0);
    assert_int_equal(count_steps(&s, "Relu"), 0);
    assert_int_equal(count_steps(&s, "ReluGrad"), 3);
    bc_clear(&s);
}

static void test_reorders(void **state)
{
    bc_case fixed = resnet, mobile = mobilenet, branches = branches_of(16, 32, 16);
    BC_BACKEND("onednn")

    (void)state;
    fixed.inputs[0].is_fixed = mobile.inputs[0].is_fixed = branches.inputs[0].is_fixed = 1;
    check_reorders(&lenet, backend, 2, 2);  /* into flatten and back */
    check_reorders(&fixed, backend, 5, 2);  /* the same */
    check_reorders(&mobile, backend, 3, 3); /* x in; y out, its gradient in */
    branches.extra = "no gate"; /* one number for each image and channel is the plain backend's affair */
    branches.inputs[4].is_fixed = 1;
    branches.taken = "Concat Slice";
    check_reorders(&branches, backend, 4, 3);
}

/* ---- failures ---- */

/* Every allocation of planning and running fails once. */
static void test_out_of_memory(void **state)
{
    BC_BACKEND("onednn")

    (void)state;
    assert_true(bc_fail_every_alloc(&lenet, backend) > 50);
    assert_true(bc_fail_every_alloc(&mobilenet, backend) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lenet),      cmocka_unit_test(test_resnet),
        cmocka_unit_test(test_mobilenet),  cmocka_unit_test(test_branches),
        cmocka_unit_test(test_flat),       cmocka_unit_test(test_reorders),
        cmocka_unit_test(test_fused_relu), cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_observe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
