/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one number: gradients, what is known not to be negative, refusals. */
#include "gradient_check.h"
#include "program_run.h"

typedef struct unary_case {
    vecq_op_kind kind;
    vecq_unary_params params;
    double low, high; /* where it is smooth, or all of (-1, 1) */
} unary_case;

static const unary_case cases[] = {
    {VECQ_OP_RELU, {0, 0}, -2, 2},
    {VECQ_OP_LEAKY_RELU, {0.1, 0}, -2, 2},
    {VECQ_OP_LEAKY_RELU, {-0.5, 0}, -2, 2},
    {VECQ_OP_CLIP, {0, 6}, -4, 10},
    {VECQ_OP_CLIP, {-INFINITY, 0.5}, -2, 2},
    {VECQ_OP_CLIP, {-0.5, INFINITY}, -2, 2},
    {VECQ_OP_SIGMOID, {0, 0}, -8, 8},
    {VECQ_OP_TANH, {0, 0}, -4, 4},
    {VECQ_OP_ELU, {1, 1}, -3, 3},
    {VECQ_OP_ELU, {1.67326319, 1.05070102}, -3, 3},
    {VECQ_OP_HARD_SIGMOID, {0.2, 0.5}, -5, 5},
    {VECQ_OP_HARD_SIGMOID, {1.0 / 6, 0.5}, -5, 5},
    {VECQ_OP_HARD_SWISH, {0, 0}, -5, 5},
    {VECQ_OP_ERF, {0, 0}, -3, 3},
    {VECQ_OP_SOFTPLUS, {0, 0}, -6, 6},
    {VECQ_OP_EXP, {0, 0}, -2, 2},
    {VECQ_OP_LOG, {0, 0}, 0.2, 4},
    {VECQ_OP_SQRT, {0, 0}, 0.2, 4},
    {VECQ_OP_NEG, {0, 0}, -2, 2},
    {VECQ_OP_ABS, {0, 0}, -2, 2},
    {VECQ_OP_RECIPROCAL, {0, 0}, 0.5, 3},
    {VECQ_OP_RECIPROCAL, {0, 0}, -3, -0.5},
};

static vecq_status build(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                         size_t *n_out, vecq_error *err)
{
    const unary_case *c = extra;

    *n_out = 1;
    return vecq_program_op1(program, c->kind, "op", in[0], &c->params, sizeof c->params, &out[0], err);
}

static void test_gradients(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        gc_case c = {vecq_op_info_of(cases[i].kind)->name,
                     1,
                     {{.rank = 2, .dims = {5, 7}, .low = cases[i].low, .high = cases[i].high}},
                     build,
                     &cases[i],
                     0,
                     0};

        gc_run(&c);
    }
}

/* Rounding has no gradient, and says so. */
static void test_no_gradient(void **state)
{
    static const vecq_op_kind kinds[] = {VECQ_OP_FLOOR, VECQ_OP_CEIL, VECQ_OP_ROUND, VECQ_OP_SIGN};
    const vecq_reduce_params all = {.axes = {1}};
    const int64_t dims[1] = {4};
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_var *x, *y, *loss, *dx;
        program_run pr;

        memset(&pr, 0, sizeof pr);
        x = pr_input(&pr, VECQ_DT_FLOAT, 1, dims, NULL);
        assert_ok(vecq_program_op1(&pr.program, kinds[i], "rounded", x, NULL, 0, &y, &err), &err);
        assert_ok(vecq_program_op1(&pr.program, VECQ_OP_REDUCE_SUM, "sum", y, &all, sizeof all, &loss, &err),
                  &err);
        assert_int_equal(vecq_program_differentiate(&pr.program, loss, &x, 1, &dx, &err),
                         VECQ_ERR_UNSUPPORTED);
        assert_non_null(strstr(err.message, "'rounded' has no gradient"));
        pr_end(&pr);
    }
}

static int is_relu(vecq_op_kind kind, double a, double b, int input_is_relu)
{
    const vecq_unary_params params = {a, b};
    const int64_t dims[1] = {4};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *x, *y;
    program_run pr;
    int result;

    memset(&pr, 0, sizeof pr);
    x = pr_input(&pr, VECQ_DT_FLOAT, 1, dims, NULL);
    x->is_relu = input_is_relu;
    assert_ok(vecq_program_op1(&pr.program, kind, "op", x, &params, sizeof params, &y, &err), &err);
    result = y->is_relu;
    pr_end(&pr);
    return result;
}

static void test_is_relu(void **state)
{
    (void)state;
    assert_true(is_relu(VECQ_OP_RELU, 0, 0, 0));
    assert_true(is_relu(VECQ_OP_CLIP, 0, 6, 0));
    assert_false(is_relu(VECQ_OP_CLIP, -1, 6, 0));
    assert_true(is_relu(VECQ_OP_CLIP, -1, 6, 1));
    assert_false(is_relu(VECQ_OP_CLIP, -INFINITY, -1, 1));
    assert_true(is_relu(VECQ_OP_SIGMOID, 0, 0, 0));
    assert_true(is_relu(VECQ_OP_ABS, 0, 0, 0));
    assert_false(is_relu(VECQ_OP_TANH, 0, 0, 0));
    assert_true(is_relu(VECQ_OP_TANH, 0, 0, 1));
    assert_true(is_relu(VECQ_OP_ELU, 1, 1, 1));
    assert_false(is_relu(VECQ_OP_ELU, 1, -1, 1));
    assert_false(is_relu(VECQ_OP_NEG, 0, 0, 1));
    assert_false(is_relu(VECQ_OP_LOG, 0, 0, 1));
}

static void test_refusals(void **state)
{
    static const int64_t dims[2] = {2, 3}, other[2] = {3, 2};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *integers, *x, *y, *out;
    program_run pr;

    (void)state;
    memset(&pr, 0, sizeof pr);
    integers = pr_input(&pr, VECQ_DT_INT32, 2, dims, NULL);
    x = pr_input(&pr, VECQ_DT_FLOAT, 2, dims, NULL);
    y = pr_input(&pr, VECQ_DT_FLOAT, 2, other, NULL);
    assert_int_equal(vecq_program_op1(&pr.program, VECQ_OP_RELU, "r", integers, NULL, 0, &out, &err),
                     VECQ_ERR_FORMAT);
    assert_string_equal(err.message, "Relu 'r': input of type int32");
    err = (vecq_error)VECQ_ERROR_INIT;
    assert_int_equal(vecq_program_op2(&pr.program, VECQ_OP_RELU_GRAD, "r", y, x, NULL, 0, &out, &err),
                     VECQ_ERR_FORMAT);
    pr_end(&pr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_no_gradient),
        cmocka_unit_test(test_is_relu),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
