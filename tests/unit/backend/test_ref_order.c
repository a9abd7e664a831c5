/* SPDX-License-Identifier: Apache-2.0 */
/* TopK, Cumulate, GatherElements, GatherND, ScatterElements, ScatterND against plain loops, and indices out
 * of range. */
#include "vecq_test.h"

#include "program_run.h"

static const vecq_dtype types[] = {VECQ_DT_FLOAT, VECQ_DT_DOUBLE, VECQ_DT_INT32, VECQ_DT_INT64,
                                   VECQ_DT_UINT8};

#define N_TYPES (sizeof types / sizeof *types)

static const int64_t dims[3] = {3, 7, 5};
enum { COUNT = 105 };

static size_t inner_of(unsigned axis)
{
    return pr_count(2 - axis, dims + axis + 1);
}

static void random_values(vecq_rng *rng, double *values, size_t n, uint64_t below)
{
    size_t i;

    for (i = 0; i < n; i++)
        values[i] = (double)vecq_rng_below(rng, below);
}

/* ---- TopK: an element is at the place of how many come before it ---- */

static void test_top_k(void **state)
{
    vecq_rng rng;
    unsigned round;

    (void)state;
    vecq_rng_seed(&rng, 1);
    for (round = 0; round < 60; round++) {
        vecq_top_k_params params = {.axis = round % 3, .is_min = (int)(round / 3 % 2)};
        const size_t n = (size_t)dims[params.axis], inner = inner_of(params.axis);
        vecq_error err = VECQ_ERROR_INIT;
        double values[COUNT];
        program_run pr;
        vecq_op *op;
        size_t i, k, place;

        params.k = (int64_t)(round % n) + 1;
        memset(&pr, 0, sizeof pr);
        random_values(&rng, values, COUNT, 4); /* many that are equal */
        pr_input(&pr, types[round % N_TYPES], 3, dims, values);
        op = pr_op(&pr, VECQ_OP_TOP_K, pr.inputs, 1, &params, sizeof params, 0);
        assert_int_equal(op->outputs[0]->dims[params.axis], params.k);
        assert_ok(pr_run(&pr, 1 + round % 3, &err), &err);
        for (i = 0; i < COUNT; i++) {
            const size_t row = i / (n * inner), me = i / inner % n, rest = i % inner;

            for (place = 0, k = 0; k < n; k++) {
                double a = values[(row * n + k) * inner + rest], b = values[i];
                place += (params.is_min ? a < b : a > b) || (!(a < b) && !(a > b) && k < me);
            }
            if (place >= (size_t)params.k)
                continue;
            place = (row * (size_t)params.k + place) * inner + rest;
            pr_close("value", i, pr_value(&pr, op->outputs[0], place), values[i], 0);
            pr_close("index", i, pr_value(&pr, op->outputs[1], place), (double)me, 0);
        }
        pr_end(&pr);
    }
}

/* Negative numbers, both zeros and infinities keep their order; NaN comes before all. */
static void test_top_k_order(void **state)
{
    static const int64_t nine = 9;
    static const double values[9] = {
        -1, 0, -0.0, 3e38, -3e38, 1e-40, (double)INFINITY, -(double)INFINITY, (double)NAN};
    static const size_t order[9] = {8, 6, 3, 5, 1, 2, 0, 4, 7};
    vecq_top_k_params params = {.axis = 0, .k = 9};
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    vecq_op *op;
    size_t i;

    (void)state;
    memset(&pr, 0, sizeof pr);
    pr_input(&pr, VECQ_DT_FLOAT, 1, &nine, values);
    op = pr_op(&pr, VECQ_OP_TOP_K, pr.inputs, 1, &params, sizeof params, 0);
    assert_ok(pr_run(&pr, 1, &err), &err);
    for (i = 0; i < 9; i++)
        pr_close("index", i, pr_value(&pr, op->outputs[1], i), (double)order[i], 0);
    pr_end(&pr);
}

/* ---- Cumulate ---- */

static void test_cumulate(void **state)
{
    vecq_rng rng;
    unsigned round;

    (void)state;
    vecq_rng_seed(&rng, 2);
    for (round = 0; round < 120; round++) {
        vecq_cumulate_params params = {.axis = round % 3,
                                       .is_exclusive = (int)(round / 3 % 2),
                                       .is_reverse = (int)(round / 6 % 2),
                                       .is_product = (int)(round / 12 % 2)};
        const size_t n = (size_t)dims[params.axis], inner = inner_of(params.axis);
        vecq_error err = VECQ_ERROR_INIT;
        double values[COUNT];
        program_run pr;
        vecq_op *op;
        size_t i, k;

        memset(&pr, 0, sizeof pr);
        random_values(&rng, values, COUNT, params.is_product ? 3 : 9);
        pr_input(&pr, types[round % N_TYPES], 3, dims, values);
        op = pr_op(&pr, VECQ_OP_CUMULATE, pr.inputs, 1, &params, sizeof params, 0);
        assert_ok(pr_run(&pr, 2, &err), &err);
        for (i = 0; i < COUNT; i++) {
            const size_t me = i / inner % n, base = i - me * inner;
            double want = params.is_product;

            for (k = 0; k < n; k++)
                if (params.is_reverse ? k > me || (k == me && !params.is_exclusive)
                                      : k < me || (k == me && !params.is_exclusive))
                    want =
                        params.is_product ? want * values[base + k * inner] : want + values[base + k * inner];
            pr_close("cumulate", i, pr_value(&pr, op->outputs[0], i), want, 0);
        }
        pr_end(&pr);
    }
}

/* ---- elements by their places ---- */

static double combined(vecq_scatter_reduction how, double old, double update)
{
    switch (how) {
    case VECQ_SCATTER_PUT:
        return update;
    case VECQ_SCATTER_ADD:
        return old + update;
    case VECQ_SCATTER_MUL:
        return old * update;
    case VECQ_SCATTER_MAX:
        return old > update ? old : update;
    default:
        return old < update ? old : update;
    }
}

static void check_elements(unsigned round, vecq_rng *rng)
{
    static const int64_t small[3] = {2, 4, 5};
    vecq_scatter_params params = {.axis = round % 3, .reduction = (vecq_scatter_reduction)(round / 3 % 5)};
    const vecq_dtype type = types[round % N_TYPES], index = round % 2 == 0 ? VECQ_DT_INT64 : VECQ_DT_INT32;
    double data[COUNT], want[COUNT], places[40], updates[40];
    vecq_error err = VECQ_ERROR_INIT;
    vecq_op *gather, *scatter;
    program_run pr;
    size_t i;

    memset(&pr, 0, sizeof pr);
    random_values(rng, data, COUNT, 3);
    random_values(rng, updates, 40, 3);
    for (i = 0; i < 40; i++) /* from the end as well */
        places[i] = (double)vecq_rng_below(rng, 2 * (uint64_t)dims[params.axis]) - (double)dims[params.axis];
    pr_input(&pr, type, 3, dims, data);
    pr_input(&pr, index, 3, small, places);
    pr_input(&pr, type, 3, small, updates);
    gather = pr_op(&pr, VECQ_OP_GATHER_ELEMENTS, pr.inputs, 2, &params, sizeof params, 0);
    scatter = pr_op(&pr, VECQ_OP_SCATTER_ELEMENTS, pr.inputs, 3, &params, sizeof params, 0);
    assert_ok(pr_run(&pr, 1, &err), &err);
    memcpy(want, data, sizeof want);
    for (i = 0; i < 40; i++) {
        size_t at[3] = {i / 20, i / 5 % 4, i % 5}, to;

        at[params.axis] = (size_t)(places[i] < 0 ? places[i] + (double)dims[params.axis] : places[i]);
        to = (at[0] * 7 + at[1]) * 5 + at[2];
        want[to] = combined(params.reduction, want[to], updates[i]);
        pr_close("gathered", i, pr_value(&pr, gather->outputs[0], i), data[to], 0);
    }
    for (i = 0; i < COUNT; i++)
        pr_close("scattered", i, pr_value(&pr, scatter->outputs[0], i), want[i], 0);
    pr_end(&pr);
}

static void test_elements(void **state)
{
    vecq_rng rng;
    unsigned round;

    (void)state;
    vecq_rng_seed(&rng, 3);
    for (round = 0; round < 150; round++)
        check_elements(round, &rng);
}

/* Tuples of `length` indices: slices of 35, 5 and 1. */
static void check_tuples(int64_t length, vecq_scatter_reduction how, vecq_dtype type, vecq_rng *rng)
{
    const size_t slice = pr_count(3 - (unsigned)length, dims + length);
    const int64_t indices[2] = {6, length}, updates_dims[3] = {6, length < 3 ? dims[length] : 0, 5};
    const int64_t whole[3] = {6, 7, 5};
    vecq_scatter_params params = {.reduction = how};
    double data[COUNT], want[COUNT], places[18], updates[210];
    vecq_error err = VECQ_ERROR_INIT;
    vecq_op *gather, *scatter;
    program_run pr;
    size_t i, k, to;

    memset(&pr, 0, sizeof pr);
    random_values(rng, data, COUNT, 3);
    random_values(rng, updates, 6 * slice, 3);
    for (i = 0; i < 6 * (size_t)length; i++)
        places[i] = (double)vecq_rng_below(rng, (uint64_t)dims[i % (size_t)length]);
    pr_input(&pr, type, 3, dims, data);
    pr_input(&pr, VECQ_DT_INT64, 2, indices, places);
    pr_input(&pr, type, 4 - (unsigned)length, length == 1 ? whole : updates_dims, updates);
    gather = pr_op(&pr, VECQ_OP_GATHER_ND, pr.inputs, 2, &params, sizeof params, 0);
    scatter = pr_op(&pr, VECQ_OP_SCATTER_ND, pr.inputs, 3, &params, sizeof params, 0);
    assert_ok(pr_run(&pr, 1, &err), &err);
    memcpy(want, data, sizeof want);
    for (i = 0; i < 6; i++) {
        for (to = 0, k = 0; k < (size_t)length; k++)
            to = to * (size_t)dims[k] + (size_t)places[i * (size_t)length + k];
        for (k = 0; k < slice; k++) {
            pr_close("gathered", i, pr_value(&pr, gather->outputs[0], i * slice + k), data[to * slice + k],
                     0);
            want[to * slice + k] = combined(how, want[to * slice + k], updates[i * slice + k]);
        }
    }
    for (i = 0; i < COUNT; i++)
        pr_close("scattered", i, pr_value(&pr, scatter->outputs[0], i), want[i], 0);
    pr_end(&pr);
}

static void test_tuples(void **state)
{
    vecq_rng rng;
    unsigned how;
    int64_t length;
    size_t t;

    (void)state;
    vecq_rng_seed(&rng, 4);
    for (length = 1; length <= 3; length++)
        for (how = 0; how < 5; how++)
            for (t = 0; t < N_TYPES; t++)
                check_tuples(length, (vecq_scatter_reduction)how, types[t], &rng);
}

/* Indices come from data: one that is out of range is named. */
static void test_out_of_range(void **state)
{
    static const vecq_op_kind kinds[] = {VECQ_OP_GATHER_ELEMENTS, VECQ_OP_SCATTER_ELEMENTS, VECQ_OP_GATHER_ND,
                                         VECQ_OP_SCATTER_ND};
    static const double bad[2] = {7, -8};
    static const int64_t seven = 7, one[2] = {1, 1};
    size_t i, k;

    (void)state;
    for (i = 0; i < 4; i++)
        for (k = 0; k < 2; k++) {
            const int is_scatter = i % 2 != 0, is_tuple = i >= 2;
            vecq_scatter_params params = {.axis = 0};
            vecq_error err = VECQ_ERROR_INIT;
            program_run pr;

            memset(&pr, 0, sizeof pr);
            pr_input(&pr, VECQ_DT_FLOAT, 1, &seven, NULL);
            pr_input(&pr, VECQ_DT_INT64, is_tuple ? 2 : 1, one, &bad[k]);
            pr_input(&pr, VECQ_DT_FLOAT, 1, one, NULL);
            pr_op(&pr, kinds[i], pr.inputs, is_scatter ? 3 : 2, &params, sizeof params, 0);
            assert_int_equal(pr_run(&pr, 1, &err), VECQ_ERR_VALUE);
            assert_non_null(strstr(err.message, k == 0 ? "index 7 " : "index -8 "));
            assert_non_null(strstr(err.message, "'op'"));
            pr_end(&pr);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top_k),    cmocka_unit_test(test_top_k_order),
        cmocka_unit_test(test_cumulate), cmocka_unit_test(test_elements),
        cmocka_unit_test(test_tuples),   cmocka_unit_test(test_out_of_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
