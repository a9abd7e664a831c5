/* SPDX-License-Identifier: Apache-2.0 */
/* Activations, arithmetic, matrix products, softmax: oneDNN against ref, forward and backward. */
#include "backend_check.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- activations ---- */

typedef struct unary_case {
    vecq_op_kind kind;
    const char *taken;
    vecq_unary_params params;
    double low, high;
    double terms;
} unary_case;

static vecq_status build_unary(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                               size_t *n_out, vecq_error *err)
{
    const unary_case *u = extra;

    *n_out = 1;
    return vecq_program_op1(program, u->kind, "f", in[0], &u->params, sizeof u->params, out, err);
}

static void test_activations(void **state)
{
    static const unary_case cases[] = {
        {VECQ_OP_RELU, "Relu ReluGrad", {0, 0}, -1, 1, 0},
        {VECQ_OP_LEAKY_RELU, "LeakyRelu LeakyReluGrad", {0.1, 0}, -1, 1, 0},
        {VECQ_OP_CLIP, "Clip ClipGrad", {0, 6}, -3, 9, 0},
        {VECQ_OP_CLIP, "Clip ClipGrad", {-0.5, 0.25}, -1, 1, 0},
        {VECQ_OP_CLIP, "Clip ClipGrad", {-INFINITY, 0.25}, -1, 1, 0},
        {VECQ_OP_SIGMOID, "Sigmoid SigmoidGrad", {0, 0}, -8, 8, 8},
        {VECQ_OP_TANH, "Tanh TanhGrad", {0, 0}, -4, 4, 32},
        {VECQ_OP_ELU, "Elu EluGrad", {0.7, 1}, -3, 3, 16},
        {VECQ_OP_HARD_SWISH, "HardSwish HardSwishGrad", {0, 0}, -5, 5, 8},
        {VECQ_OP_EXP, "Exp", {0, 0}, -3, 3, 8},
        {VECQ_OP_SQRT, "Sqrt", {0, 0}, 0.1, 4, 4},
        {VECQ_OP_ABS, "Abs", {0, 0}, -1, 1, 0},
        {VECQ_OP_NEG, "Neg", {0, 0}, -1, 1, 0},
    };
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        bc_case c = {
            .name = cases[i].taken,
            .n_inputs = 1,
            .inputs = {{.rank = 4, .dims = {2, 5, 7, 3}, .low = cases[i].low, .high = cases[i].high}},
            .build = build_unary,
            .extra = &cases[i],
            .taken = cases[i].taken,
            .terms = cases[i].terms,
            .relative_to_largest = 1};

        bc_run(&c, backend);
        c.inputs[0].rank = 1;
        c.inputs[0].dims[0] = 37;
        bc_run(&c, backend);
    }
}

/* On the borders themselves: multiples of 1/4 hit 0, -1/2 and 1/4. */
static void test_activation_borders(void **state)
{
    static const unary_case cases[] = {
        {VECQ_OP_RELU, "Relu ReluGrad", {0, 0}, -1, 1, 0},
        {VECQ_OP_LEAKY_RELU, "LeakyRelu LeakyReluGrad", {0.1, 0}, -1, 1, 0},
        {VECQ_OP_CLIP, "Clip ClipGrad", {-0.5, 0.25}, -1, 1, 0},
        {VECQ_OP_HARD_SWISH, "HardSwish HardSwishGrad", {0, 0}, -5, 5, 0},
    };
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        bc_case c = {
            .name = cases[i].taken,
            .n_inputs = 1,
            .inputs =
                {{.rank = 2, .dims = {9, 31}, .low = cases[i].low, .high = cases[i].high, .is_quarters = 1}},
            .build = build_unary,
            .extra = &cases[i],
            .taken = cases[i].taken,
            .relative_to_largest = 1};

        bc_run(&c, backend);
    }
}

/* The scale of SELU is none of the library's parameters: left to ref. */
static void test_elu_with_scale(void **state)
{
    static const unary_case u = {VECQ_OP_ELU, NULL, {1.67, 1.05}, -2, 2, 0};
    const bc_case c = {.name = "selu",
                       .n_inputs = 1,
                       .inputs = {{.rank = 2, .dims = {3, 40}, .low = -2, .high = 2}},
                       .build = build_unary,
                       .extra = &u,
                       .terms = 16,
                       .relative_to_largest = 1};
    BC_BACKEND("onednn")

    (void)state;
    bc_run(&c, backend);
}

/* ---- arithmetic ---- */

static vecq_status build_binary(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                                size_t *n_out, vecq_error *err)
{
    *n_out = 1;
    return vecq_program_op2(program, *(const vecq_op_kind *)extra, "f", in[0], in[1], NULL, 0, out, err);
}

static void test_arithmetic(void **state)
{
    static const vecq_op_kind kinds[] = {VECQ_OP_ADD, VECQ_OP_SUB, VECQ_OP_MUL, VECQ_OP_DIV};
    static const char *const names[] = {"Add", "Sub", "Mul", "Div"};
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(kinds); i++) {
        bc_case c = {.name = names[i],
                     .n_inputs = 2,
                     .inputs = {{.rank = 4, .dims = {2, 17, 5, 3}},
                                {.rank = 4, .dims = {2, 17, 5, 3}, .low = 0.5, .high = 2}},
                     .build = build_binary,
                     .extra = &kinds[i],
                     .taken = names[i],
                     .terms = 4};

        bc_run(&c, backend);
        c.taken = NULL; /* broadcasts: whoever does them */
        c.terms = 40;
        c.inputs[1].rank = 3;
        c.inputs[1].dims[0] = 17;
        c.inputs[1].dims[1] = c.inputs[1].dims[2] = 1;
        bc_run(&c, backend);
        c.inputs[1].rank = 1;
        c.inputs[1].dims[0] = 3;
        bc_run(&c, backend);
    }
}

static vecq_status build_square(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                                size_t *n_out, vecq_error *err)
{
    (void)extra;
    *n_out = 1;
    VECQ_TRY(vecq_program_op2(program, VECQ_OP_MUL, "square", in[0], in[0], NULL, 0, out, err));
    return vecq_program_op2(program, VECQ_OP_ADD, "plus", out[0], in[0], NULL, 0, out, err);
}

/* One variable twice, and operands that others still need. */
static void test_same_operand(void **state)
{
    const bc_case c = {.name = "x*x + x",
                       .n_inputs = 1,
                       .inputs = {{.rank = 3, .dims = {4, 9, 6}}},
                       .build = build_square,
                       .taken = "Mul Add",
                       .terms = 4};
    BC_BACKEND("onednn")

    (void)state;
    bc_run(&c, backend);
}

/* ---- matrix products ---- */

typedef struct product_case {
    int trans_a, trans_b, has_bias;
    int64_t m, n, k;
} product_case;

static vecq_status build_gemm(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                              size_t *n_out, vecq_error *err)
{
    const product_case *p = extra;
    vecq_matmul_params params = {.trans_a = p->trans_a, .trans_b = p->trans_b};
    vecq_op *op;

    *n_out = 1;
    VECQ_TRY(vecq_program_op(program, VECQ_OP_GEMM, "gemm", in, p->has_bias ? 3 : 2, &params, sizeof params,
                             0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

static void test_gemm(void **state)
{
    static const int64_t sizes[][3] = {{5, 7, 11}, {1, 10, 64}, {33, 1, 17}, {64, 48, 200}};
    size_t i, t;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(sizes); i++)
        for (t = 0; t < 8; t++) {
            product_case p = {.trans_a = t & 1,
                              .trans_b = t >> 1 & 1,
                              .has_bias = (int)(t >> 2),
                              .m = sizes[i][0],
                              .n = sizes[i][1],
                              .k = sizes[i][2]};
            bc_case c = {.name = "gemm",
                         .n_inputs = p.has_bias ? 3 : 2,
                         .inputs = {{.rank = 2, .dims = {p.trans_a ? p.k : p.m, p.trans_a ? p.m : p.k}},
                                    {.rank = 2, .dims = {p.trans_b ? p.n : p.k, p.trans_b ? p.k : p.n}},
                                    {.rank = 1, .dims = {p.n}}},
                         .build = build_gemm,
                         .extra = &p,
                         .taken = "Gemm",
                         .terms = (double)(p.k + p.m + p.n)};

            bc_run(&c, backend);
        }
}

static vecq_status build_matmul(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                                size_t *n_out, vecq_error *err)
{
    *n_out = 1;
    return vecq_program_op2(program, VECQ_OP_MATMUL, "matmul", in[0], in[1], extra,
                            sizeof(vecq_matmul_params), out, err);
}

static void test_matmul(void **state)
{
    static const vecq_matmul_params none = {0, 0}, both = {1, 1};
    static const bc_input shapes[][2] = {
        {{.rank = 3, .dims = {3, 4, 5}}, {.rank = 3, .dims = {3, 5, 6}}},
        {{.rank = 3, .dims = {3, 4, 5}}, {.rank = 2, .dims = {5, 6}}},
        {{.rank = 2, .dims = {4, 5}}, {.rank = 3, .dims = {3, 5, 6}}},
        {{.rank = 4, .dims = {2, 1, 4, 5}}, {.rank = 4, .dims = {1, 3, 5, 6}}},
        {{.rank = 4, .dims = {2, 3, 4, 5}}, {.rank = 3, .dims = {3, 5, 2}}},
    };
    static const bc_input turned[2] = {{.rank = 3, .dims = {3, 5, 4}}, {.rank = 3, .dims = {3, 6, 5}}};
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i <= COUNT(shapes); i++) {
        const bc_input *s = i < COUNT(shapes) ? shapes[i] : turned;
        bc_case c = {.name = "matmul",
                     .n_inputs = 2,
                     .inputs = {s[0], s[1]},
                     .build = build_matmul,
                     .extra = i < COUNT(shapes) ? &none : &both,
                     .taken = "MatMul",
                     .terms = 40};

        bc_run(&c, backend);
    }
}

/* ---- softmax ---- */

static const struct {
    vecq_op_kind kind;
    const char *taken;
} softmaxes[] = {{VECQ_OP_SOFTMAX, "Softmax SoftmaxGrad"},
                 {VECQ_OP_LOG_SOFTMAX, "LogSoftmax LogSoftmaxGrad"}};

typedef struct softmax_case {
    vecq_op_kind kind;
    vecq_axis_params params;
} softmax_case;

static vecq_status build_softmax(vecq_program *program, vecq_var *const *in, const void *extra,
                                 vecq_var **out, size_t *n_out, vecq_error *err)
{
    const softmax_case *s = extra;

    *n_out = 1;
    return vecq_program_op1(program, s->kind, "softmax", in[0], &s->params, sizeof s->params, out, err);
}

static void test_softmax(void **state)
{
    size_t i;
    unsigned axis;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(softmaxes); i++)
        for (axis = 0; axis < 3; axis++) {
            softmax_case s = {.kind = softmaxes[i].kind};
            bc_case c = {.name = softmaxes[i].taken,
                         .n_inputs = 1,
                         .inputs = {{.rank = 3, .dims = {4, 13, 6}, .low = -6, .high = 6}},
                         .build = build_softmax,
                         .extra = &s,
                         .taken = softmaxes[i].taken,
                         .terms = 32,
                         .relative_to_largest = 1};

            s.params.axis = axis;
            bc_run(&c, backend);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations),    cmocka_unit_test(test_activation_borders),
        cmocka_unit_test(test_elu_with_scale), cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_same_operand),   cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_matmul),         cmocka_unit_test(test_softmax),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
