/* SPDX-License-Identifier: Apache-2.0 */
/* Transpose, Concat, Split, Slice, Gather and Cast against index arithmetic, in every element size. */
#include "vecq_test.h"

#include "program_run.h"

static const vecq_dtype types[] = {VECQ_DT_FLOAT, VECQ_DT_DOUBLE, VECQ_DT_INT32, VECQ_DT_INT64,
                                   VECQ_DT_UINT8};

#define N_TYPES 5
#define ROUNDS  60

/* A random shape with at most `limit` elements along an axis, and an input with the numbers 0, 1, ... mod
 * 251. */
static vecq_var *counted(program_run *pr, vecq_dtype dtype, unsigned rank, const int64_t *dims)
{
    size_t n = pr_count(rank, dims), i;
    vecq_var *var = pr_input(pr, dtype, rank, dims, NULL);

    for (i = 0; i < n; i++)
        pr_set(dtype, pr->memory[pr->n - 1], i, (double)(i % 251));
    return var;
}

static void random_dims(vecq_rng *rng, unsigned rank, int64_t limit, int64_t *dims)
{
    unsigned a;

    for (a = 0; a < rank; a++)
        dims[a] = 1 + (int64_t)vecq_rng_below(rng, (uint64_t)limit);
}

static void unravel(size_t i, unsigned rank, const int64_t *dims, int64_t *index)
{
    while (rank-- > 0) {
        index[rank] = (int64_t)(i % (size_t)dims[rank]);
        i /= (size_t)dims[rank];
    }
}

static size_t ravel(unsigned rank, const int64_t *dims, const int64_t *index)
{
    size_t at = 0;
    unsigned a;

    for (a = 0; a < rank; a++)
        at = at * (size_t)dims[a] + (size_t)index[a];
    return at;
}

/* Value of element `at` of the counted input */
static double counted_value(size_t at)
{
    return (double)(at % 251);
}

static void test_transpose(void **state)
{
    vecq_rng rng;
    size_t round, i;

    (void)state;
    vecq_rng_seed(&rng, 1);
    for (round = 0; round < ROUNDS; round++) {
        unsigned rank = (unsigned)(round % 6), a;
        int64_t dims[6], index[6], from[6];
        vecq_transpose_params params = {{0}};
        vecq_error err = VECQ_ERROR_INIT;
        program_run pr;
        vecq_var *x;
        vecq_op *op;

        memset(&pr, 0, sizeof pr);
        random_dims(&rng, rank, 7, dims);
        for (a = 0; a < rank; a++)
            params.perm[a] = a;
        for (a = rank; a-- > 1;) {
            unsigned other = (unsigned)vecq_rng_below(&rng, a + 1), keep = params.perm[a];

            params.perm[a] = params.perm[other];
            params.perm[other] = keep;
        }
        x = counted(&pr, types[round % N_TYPES], rank, dims);
        op = pr_op(&pr, VECQ_OP_TRANSPOSE, &x, 1, &params, sizeof params, 0);
        assert_ok(pr_run(&pr, 1 + round % 3, &err), &err);
        for (i = 0; i < x->count; i++) {
            unravel(i, rank, op->outputs[0]->dims, index);
            for (a = 0; a < rank; a++)
                from[params.perm[a]] = index[a];
            pr_close("transpose", i, pr_value(&pr, op->outputs[0], i), counted_value(ravel(rank, dims, from)),
                     0);
        }
        pr_end(&pr);
    }
}

/* The parts of a split have the elements of the whole, and put together they are the whole again. */
static void test_split_concat(void **state)
{
    vecq_rng rng;
    size_t round, i, k;

    (void)state;
    vecq_rng_seed(&rng, 2);
    for (round = 0; round < ROUNDS; round++) {
        unsigned rank = 1 + (unsigned)(round % 4);
        vecq_axis_params params = {.axis = (unsigned)vecq_rng_below(&rng, rank)}, join = params;
        int64_t dims[4], index[4], left, at = 0;
        vecq_error err = VECQ_ERROR_INIT;
        program_run pr;
        vecq_var *x;
        vecq_op *op, *whole;

        memset(&pr, 0, sizeof pr);
        random_dims(&rng, rank, 9, dims);
        left = dims[params.axis];
        for (params.n = 0; left > 0 || params.n == 0; params.n++) { /* parts of length 0 too */
            params.sizes[params.n] = (int64_t)vecq_rng_below(&rng, (uint64_t)left + 1);
            left -= params.sizes[params.n];
        }
        x = counted(&pr, types[round % N_TYPES], rank, dims);
        op = pr_op(&pr, VECQ_OP_SPLIT, &x, 1, &params, sizeof params, params.n);
        whole = pr_op(&pr, VECQ_OP_CONCAT, op->outputs, params.n, &join, sizeof join, 0);
        assert_ok(pr_run(&pr, 1 + round % 3, &err), &err);
        assert_true(vecq_var_same_shape(whole->outputs[0], x));
        for (i = 0; i < x->count; i++)
            pr_close("concat", i, pr_value(&pr, whole->outputs[0], i), counted_value(i), 0);
        for (k = 0; k < params.n; at += params.sizes[k++])
            for (i = 0; i < op->outputs[k]->count; i++) {
                unravel(i, rank, op->outputs[k]->dims, index);
                index[params.axis] += at;
                pr_close("split", i, pr_value(&pr, op->outputs[k], i),
                         counted_value(ravel(rank, dims, index)), 0);
            }
        pr_end(&pr);
    }
}

static void test_slice(void **state)
{
    vecq_rng rng;
    size_t round, i;

    (void)state;
    vecq_rng_seed(&rng, 3);
    for (round = 0; round < 3 * ROUNDS; round++) {
        unsigned rank = (unsigned)(round % 5), a;
        vecq_dtype dtype = types[round % N_TYPES];
        vecq_slice_params params = {0};
        int64_t dims[5] = {0}, index[5];
        vecq_error err = VECQ_ERROR_INIT;
        program_run pr;
        vecq_var *x;
        vecq_op *op, *back;
        double *put;

        memset(&pr, 0, sizeof pr);
        random_dims(&rng, rank, 6, dims);
        for (a = 0; a < rank; a++) {
            int64_t n = dims[a], room;

            params.full[a] = n;
            params.step[a] = vecq_rng_below(&rng, 2) == 0 ? 1 : (int64_t)vecq_rng_below(&rng, 7) - 3;
            params.step[a] += params.step[a] == 0;
            params.start[a] = vecq_rng_below(&rng, 2) == 0 ? 0 : (int64_t)vecq_rng_below(&rng, (uint64_t)n);
            room = params.step[a] > 0 ? (n - 1 - params.start[a]) / params.step[a]
                                      : params.start[a] / -params.step[a];
            params.length[a] =
                vecq_rng_below(&rng, 2) == 0 ? room + 1 : (int64_t)vecq_rng_below(&rng, (uint64_t)room + 2);
        }
        x = counted(&pr, dtype, rank, dims);
        op = pr_op(&pr, VECQ_OP_SLICE, &x, 1, &params, sizeof params, 0);
        back = pr_op(&pr, VECQ_OP_SLICE_GRAD, op->outputs, 1, &params, sizeof params, 0);
        assert_ok(pr_run(&pr, 1 + round % 3, &err), &err);
        put = calloc(x->count, sizeof *put);
        assert_non_null(put);
        for (i = 0; i < op->outputs[0]->count; i++) {
            size_t at;

            unravel(i, rank, op->outputs[0]->dims, index);
            for (a = 0; a < rank; a++)
                index[a] = params.start[a] + index[a] * params.step[a];
            at = ravel(rank, dims, index);
            put[at] = counted_value(at);
            pr_close("slice", i, pr_value(&pr, op->outputs[0], i), put[at], 0);
        }
        for (i = 0; i < x->count; i++)
            pr_close("slice_grad", i, pr_value(&pr, back->outputs[0], i), put[i], 0);
        free(put);
        pr_end(&pr);
    }
}

static void test_gather(void **state)
{
    vecq_rng rng;
    size_t round, i;

    (void)state;
    vecq_rng_seed(&rng, 4);
    for (round = 0; round < 2 * ROUNDS; round++) {
        unsigned rank = 1 + (unsigned)(round % 3), index_rank = (unsigned)(round / 3 % 3), a;
        vecq_dtype dtype = types[round % N_TYPES], index_type = round % 2 ? VECQ_DT_INT32 : VECQ_DT_INT64;
        vecq_axis_params params = {.axis = (unsigned)vecq_rng_below(&rng, rank)};
        int64_t dims[3], index_dims[3], index[6], from[3], n;
        vecq_error err = VECQ_ERROR_INIT;
        program_run pr;
        vecq_var *in[2], *y;
        vecq_op *op;

        memset(&pr, 0, sizeof pr);
        random_dims(&rng, rank, 6, dims);
        random_dims(&rng, index_rank, 5, index_dims);
        n = dims[params.axis];
        in[0] = counted(&pr, dtype, rank, dims);
        in[1] = pr_input(&pr, index_type, index_rank, index_dims, NULL);
        for (i = 0; i < in[1]->count; i++)
            pr_set(index_type, pr.memory[1], i, (double)((int64_t)vecq_rng_below(&rng, 2 * (uint64_t)n) - n));
        op = pr_op(&pr, VECQ_OP_GATHER, in, 2, &params, sizeof params, 0);
        y = op->outputs[0];
        assert_int_equal(y->rank, rank + index_rank - 1);
        assert_ok(pr_run(&pr, 1 + round % 3, &err), &err);
        for (i = 0; i < y->count; i++) {
            int64_t pick;

            unravel(i, y->rank, y->dims, index);
            pick =
                (int64_t)pr_get(index_type, pr.memory[1], ravel(index_rank, index_dims, index + params.axis));
            for (a = 0; a < rank; a++)
                from[a] = a < params.axis   ? index[a]
                          : a > params.axis ? index[a + index_rank - 1]
                                            : pick + (pick < 0 ? n : 0);
            pr_close("gather", i, pr_value(&pr, y, i), counted_value(ravel(rank, dims, from)), 0);
        }
        pr_end(&pr);
    }
}

static void test_gather_out_of_range(void **state)
{
    static const double bad[] = {7, -8, 1e9};
    static const int64_t dims[2] = {7, 3}, index_dims[1] = {4};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        double indices[4] = {0, 6, -7, bad[i]};
        vecq_axis_params params = {0};
        vecq_error err = VECQ_ERROR_INIT;
        program_run pr;
        vecq_var *in[2];
        char number[32];

        memset(&pr, 0, sizeof pr);
        in[0] = counted(&pr, VECQ_DT_FLOAT, 2, dims);
        in[1] = pr_input(&pr, VECQ_DT_INT64, 1, index_dims, indices);
        pr_op(&pr, VECQ_OP_GATHER, in, 2, &params, sizeof params, 0);
        assert_int_equal(pr_run(&pr, 1, &err), VECQ_ERR_VALUE);
        snprintf(number, sizeof number, "index %.0f", bad[i]);
        if (strstr(err.message, number) == NULL || strstr(err.message, "Gather 'op'") == NULL ||
            strstr(err.message, "7") == NULL)
            fail_msg("'%s' does not name op, %s and limit", err.message, number);
        pr_end(&pr);
    }
}

typedef struct cast_case {
    vecq_dtype from, to;
    double value, want;
} cast_case;

static void test_cast(void **state)
{
    static const cast_case cases[] = {
        {VECQ_DT_FLOAT, VECQ_DT_INT64, -2.75, -2},
        {VECQ_DT_FLOAT, VECQ_DT_INT32, 2.75, 2},
        {VECQ_DT_FLOAT, VECQ_DT_INT32, 1e20, INT32_MAX},
        {VECQ_DT_FLOAT, VECQ_DT_INT32, -1e20, INT32_MIN},
        {VECQ_DT_DOUBLE, VECQ_DT_INT64, (double)NAN, 0},
        {VECQ_DT_FLOAT, VECQ_DT_UINT8, -3, 0},
        {VECQ_DT_FLOAT, VECQ_DT_UINT8, 300, 255},
        {VECQ_DT_FLOAT, VECQ_DT_BOOL, 0.25, 1},
        {VECQ_DT_FLOAT, VECQ_DT_BOOL, 0, 0},
        {VECQ_DT_INT64, VECQ_DT_BOOL, 256, 1},
        {VECQ_DT_INT64, VECQ_DT_INT32, 4294967297.0, 1},
        {VECQ_DT_INT64, VECQ_DT_UINT8, 257, 1},
        {VECQ_DT_INT64, VECQ_DT_FLOAT, -12345, -12345},
        {VECQ_DT_INT32, VECQ_DT_DOUBLE, -12345, -12345},
        {VECQ_DT_UINT8, VECQ_DT_FLOAT, 200, 200},
        {VECQ_DT_BOOL, VECQ_DT_INT64, 1, 1},
        {VECQ_DT_FLOAT, VECQ_DT_DOUBLE, 0.5, 0.5},
        {VECQ_DT_DOUBLE, VECQ_DT_FLOAT, -0.5, -0.5},
    };
    static const int64_t dims[1] = {1};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        vecq_cast_params params = {.to = cases[i].to};
        vecq_error err = VECQ_ERROR_INIT;
        program_run pr;
        vecq_var *x;
        vecq_op *op;

        memset(&pr, 0, sizeof pr);
        x = pr_input(&pr, cases[i].from, 1, dims, &cases[i].value);
        op = pr_op(&pr, VECQ_OP_CAST, &x, 1, &params, sizeof params, 0);
        assert_int_equal(op->outputs[0]->dtype, cases[i].to);
        assert_ok(pr_run(&pr, 1, &err), &err);
        pr_close("cast", i, pr_value(&pr, op->outputs[0], 0), cases[i].want, 0);
        pr_end(&pr);
    }
}

/* Many picks of one row (padding): the sum is exact where a running float sum is not. */
static void test_gather_grad_sum(void **state)
{
    enum { N = 100000 };
    static const int64_t dims[2] = {3, 2}, index_dims[1] = {N};
    vecq_axis_params params = {0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *in[2], *grad_in[2];
    program_run pr;
    vecq_op *op, *back;
    size_t i;

    (void)state;
    memset(&pr, 0, sizeof pr);
    in[0] = counted(&pr, VECQ_DT_FLOAT, 2, dims);
    in[1] = pr_input(&pr, VECQ_DT_INT32, 1, index_dims, NULL);
    op = pr_op(&pr, VECQ_OP_GATHER, in, 2, &params, sizeof params, 0);
    grad_in[0] = pr_input(&pr, VECQ_DT_FLOAT, 2, op->outputs[0]->dims, NULL);
    grad_in[1] = in[1];
    for (i = 0; i < N; i++) {
        ((int32_t *)pr.memory[1])[i] = i % 100 == 7 ? -1 : 1; /* -1 is row 2 */
        ((float *)pr.memory[2])[2 * i] = 0.1f;
        ((float *)pr.memory[2])[2 * i + 1] = -1;
    }
    assert_ok(vecq_program_op_of(&pr.program, VECQ_OP_GATHER_GRAD, "g", op, grad_in, 2, &params,
                                 sizeof params, 0, &back, &err),
              &err);
    back->outputs[0]->is_output = 1;
    assert_ok(pr_run(&pr, 2, &err), &err);
    {
        const double want[6] = {
            0, 0, (double)(float)(99000 * (double)0.1f), -99000, (double)(float)(1000 * (double)0.1f), -1000};

        for (i = 0; i < 6; i++)
            pr_close("gather_grad", i, pr_value(&pr, back->outputs[0], i), want[i], 1e-7);
    }
    pr_end(&pr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_split_concat),
        cmocka_unit_test(test_slice),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_cast),
        cmocka_unit_test(test_gather_out_of_range),
        cmocka_unit_test(test_gather_grad_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
