/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products: gradients for all transpositions and ways of broadcasting, refusals. */
#include "base/status.h"
#include "gradient_check.h"
#include "program_run.h"

typedef struct product_case {
    vecq_op_kind kind;
    vecq_matmul_params params;
    int has_bias;
} product_case;

static vecq_status build(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                         size_t *n_out, vecq_error *err)
{
    const product_case *c = extra;
    vecq_op *op = NULL;

    *n_out = 1;
    VECQ_TRY(vecq_program_op(program, c->kind, "op", in, c->has_bias ? 3 : 2, &c->params, sizeof c->params, 0,
                             &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

static gc_input matrix(int64_t rows, int64_t columns, int transposed)
{
    gc_input in = {.rank = 2, .dims = {transposed ? columns : rows, transposed ? rows : columns}};

    return in;
}

static void test_gemm_gradients(void **state)
{
    int bits;

    (void)state;
    for (bits = 0; bits < 8; bits++) {
        product_case extra = {VECQ_OP_GEMM, {bits & 1, bits >> 1 & 1}, bits >> 2};
        gc_case c = {"Gemm",
                     extra.has_bias ? 3 : 2,
                     {matrix(3, 5, bits & 1), matrix(5, 4, bits >> 1 & 1)},
                     build,
                     &extra,
                     0,
                     0};

        c.inputs[2] = (gc_input){.rank = 1, .dims = {4}};
        gc_run(&c);
    }
}

static void test_matmul_gradients(void **state)
{
    static const struct {
        unsigned rank_a, rank_b;
        int64_t a[3], b[3]; /* the axes before the matrices */
    } rows[] = {
        {0, 0, {0}, {0}},       {1, 1, {3}, {3}},          {1, 0, {3}, {0}},       {0, 1, {0}, {3}},
        {2, 2, {2, 1}, {1, 3}}, {3, 2, {2, 2, 1}, {2, 3}}, {2, 2, {2, 3}, {1, 1}},
    };
    size_t i, k;
    int bits;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++)
        for (bits = 0; bits < 4; bits++) {
            product_case extra = {VECQ_OP_MATMUL, {bits & 1, bits >> 1}, 0};
            gc_input a = matrix(2, 4, bits & 1), b = matrix(4, 3, bits >> 1), in[2] = {a, b};
            gc_case c = {"MatMul", 2, {{0}}, build, &extra, 0, 0};

            in[0].rank += rows[i].rank_a;
            in[1].rank += rows[i].rank_b;
            for (k = 0; k < 2; k++) {
                in[0].dims[rows[i].rank_a + k] = a.dims[k];
                in[1].dims[rows[i].rank_b + k] = b.dims[k];
            }
            memcpy(in[0].dims, rows[i].a, rows[i].rank_a * sizeof *a.dims);
            memcpy(in[1].dims, rows[i].b, rows[i].rank_b * sizeof *b.dims);
            c.inputs[0] = in[0];
            c.inputs[1] = in[1];
            gc_run(&c);
        }
}

static void refuse(vecq_op_kind kind, const char *shape_a, const char *shape_b, const char *shape_c,
                   const char *words)
{
    static const vecq_matmul_params params = {0, 1};
    const char *shapes[3] = {shape_a, shape_b, shape_c};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *in[3];
    vecq_op *op;
    program_run pr;
    size_t i;

    memset(&pr, 0, sizeof pr);
    for (i = 0; i < 3 && shapes[i] != NULL; i++) {
        int64_t dims[4] = {0};
        unsigned rank = 0;
        const char *p = shapes[i];

        for (; *p != '\0'; p++)
            dims[rank++] = *p - '0';
        in[i] = pr_input(&pr, VECQ_DT_FLOAT, rank, dims, NULL);
    }
    assert_int_equal(vecq_program_op(&pr.program, kind, "op", in, i, &params, sizeof params, 0, &op, &err),
                     VECQ_ERR_FORMAT);
    if (strstr(err.message, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.message, words);
    pr_end(&pr);
}

static void test_refusals(void **state)
{
    (void)state;
    refuse(VECQ_OP_GEMM, "23", "43", "5", "a bias of 5 for 4 columns");
    refuse(VECQ_OP_GEMM, "23", "43", "14", "a bias of 1x4");
    refuse(VECQ_OP_GEMM, "23", "34", NULL, "2x3 and 3x4 transposed do not fit");
    refuse(VECQ_OP_GEMM, "223", "43", NULL, "rank 3 and 2");
    refuse(VECQ_OP_MATMUL, "3", "43", NULL, "rank 1 and 2");
    refuse(VECQ_OP_MATMUL, "223", "343", NULL, "2x2x3 and 3x4x3");
    refuse(VECQ_OP_ADD, "23", "3", "", "3 inputs");
    refuse(VECQ_OP_ADD, "23", "2", NULL, "2x3 and 2 do not fit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_gradients),
        cmocka_unit_test(test_matmul_gradients),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
