/* SPDX-License-Identifier: Apache-2.0 */
/* Posts: their text, what may carry them, and that an op with one gives what the ops apart give. */
#include "vecq_test.h"

#include "graph/post.h"
#include "program_run.h"

static const vecq_unary_params params = {0.25, 0.75};

static void test_text(void **state)
{
    vecq_post post = {0, VECQ_POST_NONE, 0, 6};
    char text[64];

    (void)state;
    assert_string_equal(vecq_post_text(NULL, text), "");
    assert_string_equal(vecq_post_text(&post, text), "");
    post.has_residual = 1;
    assert_string_equal(vecq_post_text(&post, text), "+ residual");
    post.activation = VECQ_POST_CLIP;
    assert_string_equal(vecq_post_text(&post, text), "+ residual, Clip(0, 6)");
    post.has_residual = 0;
    post.activation = VECQ_POST_LEAKY_RELU;
    post.a = 0.5;
    assert_string_equal(vecq_post_text(&post, text), "LeakyRelu(0.5)");
    post.activation = VECQ_POST_GELU;
    assert_string_equal(vecq_post_text(&post, text), "Gelu");
}

static void test_names(void **state)
{
    int i;

    (void)state;
    for (i = VECQ_POST_NONE + 1; i < VECQ_POST_COUNT; i++)
        assert_int_equal(vecq_post_of_op(vecq_post_op((vecq_post_activation)i)), i);
    assert_int_equal(vecq_post_op(VECQ_POST_NONE), VECQ_OP_COUNT);
    assert_int_equal(vecq_post_of_op(VECQ_OP_CONV), VECQ_POST_NONE);
}

typedef struct carrier {
    vecq_op_kind kind;
    size_t n; /* inputs */
    unsigned rank[3];
    int64_t dims[3][4];
} carrier;

static const carrier carriers[] = {
    {VECQ_OP_CONV, 2, {4, 4}, {{2, 3, 5, 4}, {4, 3, 2, 2}}},
    {VECQ_OP_CONV, 3, {4, 4, 1}, {{2, 3, 5, 4}, {4, 3, 2, 2}, {4}}},
    {VECQ_OP_CONV_TRANSPOSE, 2, {4, 4}, {{2, 3, 5, 4}, {3, 4, 2, 2}}},
    {VECQ_OP_CONV_TRANSPOSE, 3, {4, 4, 1}, {{2, 3, 5, 4}, {3, 4, 2, 2}, {4}}},
    {VECQ_OP_GEMM, 2, {2, 2}, {{7, 9}, {9, 5}}},
    {VECQ_OP_GEMM, 3, {2, 2, 1}, {{7, 9}, {9, 5}, {5}}},
    {VECQ_OP_MATMUL, 2, {3, 3}, {{2, 7, 9}, {2, 9, 5}}},
    {VECQ_OP_ADD, 2, {2, 1}, {{7, 9}, {9}}},
};

#define N_CARRIERS (sizeof carriers / sizeof *carriers)

static vecq_var *random_input(program_run *pr, vecq_rng *rng, vecq_dtype dtype, unsigned rank,
                              const int64_t *dims)
{
    vecq_var *var = pr_input(pr, dtype, rank, dims, NULL);
    size_t i;

    for (i = 0; i < var->count; i++)
        pr_set(dtype, pr->memory[pr->n - 1], i, 4 * vecq_rng_uniform(rng) - 2);
    return var;
}

static vecq_op *carrier_op(program_run *pr, const carrier *c, vecq_var *const *in)
{
    const vecq_conv_params conv = {.spatial = 2, .group = 1, .stride = {1, 1}, .dilation = {1, 1}};
    const vecq_matmul_params matmul = {0, 0};

    if (c->kind == VECQ_OP_CONV || c->kind == VECQ_OP_CONV_TRANSPOSE)
        return pr_op(pr, c->kind, in, c->n, &conv, sizeof conv, 0);
    return pr_op(pr, c->kind, in, c->n, &matmul, sizeof matmul, 0);
}

/* The op with a post beside the same op followed by an Add and the activation. */
static void check(const carrier *c, vecq_dtype dtype, int activation, int has_residual, unsigned threads)
{
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    vecq_var *in[3], *want, *residual;
    vecq_op *apart, *fused;
    vecq_rng rng;
    size_t i;

    memset(&pr, 0, sizeof pr);
    vecq_rng_seed(&rng, 1);
    for (i = 0; i < c->n; i++)
        in[i] = random_input(&pr, &rng, dtype, c->rank[i], c->dims[i]);
    apart = carrier_op(&pr, c, in);
    fused = carrier_op(&pr, c, in);
    want = apart->outputs[0];
    residual = random_input(&pr, &rng, dtype, want->rank, want->dims);
    assert_ok(vecq_op_set_post(fused, (vecq_post_activation)activation, &params,
                               has_residual ? residual : NULL, &err),
              &err);
    assert_int_equal(vecq_op_data_inputs(fused), has_residual ? apart->info->n_in_max : apart->n_inputs);
    assert_ptr_equal(vecq_op_residual(fused), has_residual ? residual : NULL);
    if (has_residual)
        want = pr_op(&pr, VECQ_OP_ADD, (vecq_var *[]){want, residual}, 2, NULL, 0, 0)->outputs[0];
    if (activation != VECQ_POST_NONE)
        want = pr_op(&pr, vecq_post_op((vecq_post_activation)activation), &want, 1, &params, sizeof params, 0)
                   ->outputs[0];
    assert_ok(pr_run(&pr, threads, &err), &err);
    for (i = 0; i < want->count; i++)
        assert_true(pr_value(&pr, fused->outputs[0], i) == pr_value(&pr, want, i));
    pr_end(&pr);
}

static void test_values(void **state)
{
    size_t i;
    int activation, residual;

    (void)state;
    for (i = 0; i < N_CARRIERS; i++)
        for (activation = 0; activation < VECQ_POST_COUNT; activation++)
            for (residual = 0; residual <= (carriers[i].kind != VECQ_OP_ADD); residual++) {
                check(&carriers[i], VECQ_DT_FLOAT, activation, residual, 1);
                check(&carriers[i], VECQ_DT_DOUBLE, activation, residual, 3);
            }
}

static void test_refused(void **state)
{
    static const int64_t dims[2][2] = {{3, 4}, {4, 3}};
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    vecq_var *in[2], *other;
    vecq_op *op;

    (void)state;
    memset(&pr, 0, sizeof pr);
    in[0] = pr_input(&pr, VECQ_DT_FLOAT, 2, dims[0], NULL);
    in[1] = pr_input(&pr, VECQ_DT_FLOAT, 2, dims[0], NULL);
    other = pr_input(&pr, VECQ_DT_FLOAT, 2, dims[1], NULL);
    op = pr_op(&pr, VECQ_OP_MUL, in, 2, NULL, 0, 0);
    assert_int_equal(vecq_op_set_post(op, VECQ_POST_RELU, NULL, NULL, &err), VECQ_ERR_USAGE);
    op = pr_op(&pr, VECQ_OP_ADD, in, 2, NULL, 0, 0);
    assert_int_equal(vecq_op_set_post(op, VECQ_POST_RELU, NULL, in[0], NULL), VECQ_ERR_USAGE);
    assert_ok(vecq_op_set_post(op, VECQ_POST_RELU, NULL, NULL, &err), &err);
    assert_int_equal(vecq_op_set_post(op, VECQ_POST_RELU, NULL, NULL, NULL), VECQ_ERR_USAGE);
    op = pr_op(&pr, VECQ_OP_GEMM, (vecq_var *[]){in[0], other}, 2, &(vecq_matmul_params){0, 0},
               sizeof(vecq_matmul_params), 0);
    assert_int_equal(vecq_op_set_post(op, VECQ_POST_RELU, NULL, other, NULL), VECQ_ERR_USAGE);
    pr_end(&pr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
