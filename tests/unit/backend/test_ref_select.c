/* SPDX-License-Identifier: Apache-2.0 */
/* ArgMax and comparisons in every type, against plain loops. */
#include "vecq_test.h"

#include "program_run.h"

static const vecq_dtype types[] = {VECQ_DT_FLOAT, VECQ_DT_DOUBLE, VECQ_DT_INT32, VECQ_DT_INT64,
                                   VECQ_DT_UINT8};

static void test_arg_max(void **state)
{
    static const int64_t dims[3] = {3, 7, 5};
    vecq_rng rng;
    unsigned round;

    (void)state;
    vecq_rng_seed(&rng, 6);
    for (round = 0; round < 60; round++) {
        vecq_arg_params params = {.axis = round % 3,
                                  .keep_dims = (int)(round / 3 % 2),
                                  .is_min = (int)(round / 6 % 2),
                                  .is_last = (int)(round / 12 % 2)};
        size_t inner = params.axis == 0 ? 35 : params.axis == 1 ? 5 : 1, n = (size_t)dims[params.axis], i, k;
        vecq_error err = VECQ_ERROR_INIT;
        double values[105];
        program_run pr;
        vecq_var *x;
        vecq_op *op;

        memset(&pr, 0, sizeof pr);
        for (i = 0; i < 105; i++)
            values[i] = (double)vecq_rng_below(&rng, 4); /* many that are equal */
        x = pr_input(&pr, types[round % 5], 3, dims, values);
        op = pr_op(&pr, VECQ_OP_ARG_MAX, &x, 1, &params, sizeof params, 0);
        assert_int_equal(op->outputs[0]->rank, params.keep_dims ? 3 : 2);
        assert_int_equal(op->outputs[0]->dtype, VECQ_DT_INT64);
        assert_int_equal(op->outputs[0]->count, 105 / n);
        assert_ok(pr_run(&pr, 2, &err), &err);
        for (i = 0; i < 105 / n; i++) {
            size_t base = i / inner * n * inner + i % inner, best = 0;

            for (k = 1; k < n; k++) {
                double a = values[base + k * inner], b = values[base + best * inner];
                if ((params.is_min ? a < b : a > b) || (params.is_last && !(a < b) && !(a > b)))
                    best = k;
            }
            pr_close("arg_max", i, pr_value(&pr, op->outputs[0], i), (double)best, 0);
        }
        pr_end(&pr);
    }
}

static int compared(vecq_compare_kind kind, double a, double b)
{
    switch (kind) {
    case VECQ_COMPARE_EQUAL:
        return !(a < b) && !(a > b);
    case VECQ_COMPARE_LESS:
        return a < b;
    case VECQ_COMPARE_LESS_EQUAL:
        return !(a > b);
    case VECQ_COMPARE_AND:
        return a * b > 0;
    case VECQ_COMPARE_OR:
        return a + b > 0;
    default:
        return (a > 0) + (b > 0) == 1;
    }
}

static void test_compare(void **state)
{
    static const int64_t dims[1] = {9};
    static const double a[9] = {0, 0, 0, 1, 1, 1, 2, 2, 2}, b[9] = {0, 1, 2, 0, 1, 2, 0, 1, 2};
    vecq_compare_kind kind;
    size_t t, i;

    (void)state;
    for (kind = VECQ_COMPARE_EQUAL; kind <= VECQ_COMPARE_XOR; kind++)
        for (t = 0; t < 5; t++) {
            vecq_compare_params params = {kind};
            vecq_error err = VECQ_ERROR_INIT;
            vecq_var *in[2];
            program_run pr;
            vecq_op *op;

            memset(&pr, 0, sizeof pr);
            in[0] = pr_input(&pr, types[t], 1, dims, a);
            in[1] = pr_input(&pr, types[t], 1, dims, b);
            op = pr_op(&pr, VECQ_OP_COMPARE, in, 2, &params, sizeof params, 0);
            assert_ok(pr_run(&pr, 1, &err), &err);
            for (i = 0; i < 9; i++)
                pr_close("compare", i, pr_value(&pr, op->outputs[0], i), compared(kind, a[i], b[i]), 0);
            pr_end(&pr);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arg_max),
        cmocka_unit_test(test_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
