/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of the ref backend against naive formulas in double: values, NaN, any number of threads. */
#include "vecq_test.h"

#include "program_run.h"

static const vecq_dtype types[2] = {VECQ_DT_FLOAT, VECQ_DT_DOUBLE};
static const double tolerances[2] = {2e-6, 1e-13};

static void unravel(size_t i, unsigned rank, const int64_t *dims, int64_t *index)
{
    while (rank-- > 0) {
        index[rank] = (int64_t)(i % (size_t)dims[rank]);
        i /= (size_t)dims[rank];
    }
}

/* Place in an operand that is repeated to the index of a result. */
static size_t place(unsigned rank, const int64_t *index, unsigned own_rank, const int64_t *dims)
{
    size_t at = 0;
    unsigned a;

    for (a = 0; a < own_rank; a++)
        at = at * (size_t)dims[a] + (size_t)(dims[a] == 1 ? 0 : index[rank - own_rank + a]);
    return at;
}

/* Random values, rounded to the type. */
static vecq_var *random_input(program_run *pr, vecq_rng *rng, vecq_dtype dtype, unsigned rank,
                              const int64_t *dims, double low, double high)
{
    size_t n = pr_count(rank, dims), i;
    vecq_var *var = pr_input(pr, dtype, rank, dims, NULL);

    for (i = 0; i < n; i++)
        pr_set(dtype, pr->memory[pr->n - 1], i, low + (high - low) * vecq_rng_uniform(rng));
    return var;
}

static double in_value(const program_run *pr, size_t input, size_t i)
{
    return pr_get(pr->inputs[input]->dtype, pr->memory[input], i);
}

/* ---- two operands ---- */

static double binary(vecq_op_kind kind, double a, double b)
{
    switch (kind) {
    case VECQ_OP_ADD:
        return a + b;
    case VECQ_OP_SUB:
        return a - b;
    case VECQ_OP_MUL:
        return a * b;
    case VECQ_OP_DIV:
        return a / b;
    case VECQ_OP_MAX:
        return a > b ? a : b;
    case VECQ_OP_MIN:
        return a < b ? a : b;
    default:
        return pow(a, b);
    }
}

static void check_binary(vecq_op_kind kind, size_t type, unsigned rank_a, const int64_t *dims_a,
                         unsigned rank_b, const int64_t *dims_b, unsigned threads)
{
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    vecq_var *in[2];
    vecq_rng rng;
    vecq_op *op;
    size_t i;

    memset(&pr, 0, sizeof pr);
    vecq_rng_seed(&rng, 17);
    in[0] = random_input(&pr, &rng, types[type], rank_a, dims_a, 0.5, 2);
    in[1] = random_input(&pr, &rng, types[type], rank_b, dims_b, 0.5, 2);
    op = pr_op(&pr, kind, in, 2, NULL, 0, 0);
    assert_ok(pr_run(&pr, threads, &err), &err);
    for (i = 0; i < op->outputs[0]->count; i++) {
        const vecq_var *y = op->outputs[0];
        int64_t index[VECQ_MAX_RANK];

        unravel(i, y->rank, y->dims, index);
        pr_close(op->info->name, i, pr_value(&pr, y, i),
                 binary(kind, in_value(&pr, 0, place(y->rank, index, rank_a, dims_a)),
                        in_value(&pr, 1, place(y->rank, index, rank_b, dims_b))),
                 tolerances[type]);
    }
    pr_end(&pr);
}

static void test_binary(void **state)
{
    static const struct {
        unsigned rank_a, rank_b;
        int64_t a[5], b[5];
    } shapes[] = {
        {3, 3, {3, 4, 5}, {3, 4, 5}},
        {3, 0, {3, 4, 5}, {0}},
        {0, 2, {0}, {3, 5}},
        {4, 3, {2, 3, 7, 9}, {3, 1, 1}},
        {4, 4, {2, 3, 7, 9}, {2, 3, 1, 1}},
        {1, 3, {9}, {4, 1, 9}},
        {3, 3, {4, 1, 3}, {1, 5, 1}},
        {5, 3, {2, 1, 3, 1, 4}, {3, 5, 1}},
        {2, 2, {1, 1}, {1, 1}},
        {0, 0, {0}, {0}},
        {2, 2, {0, 3}, {1, 3}},
        {2, 1, {70, 600}, {600}},
        {1, 1, {40001}, {40001}},
        {1, 1, {40001}, {1}},
        {2, 2, {1, 300}, {300, 1}},
    };
    size_t s, t;
    int k;

    (void)state;
    for (s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (k = VECQ_OP_ADD; k <= VECQ_OP_POW; k++)
            for (t = 0; t < 2; t++)
                check_binary((vecq_op_kind)k, t, shapes[s].rank_a, shapes[s].a, shapes[s].rank_b, shapes[s].b,
                             1 + (unsigned)k % 4);
}

/* Random shapes in which each operand has some axes of length 1. */
static void test_binary_random(void **state)
{
    vecq_rng rng;
    unsigned round, i;

    (void)state;
    vecq_rng_seed(&rng, 3);
    for (round = 0; round < 200; round++) {
        unsigned rank = (unsigned)vecq_rng_below(&rng, 6), lead = (unsigned)vecq_rng_below(&rng, rank + 1);
        int64_t a[6], b[6];

        for (i = 0; i < rank; i++) {
            a[i] = b[i] = 1 + (int64_t)vecq_rng_below(&rng, 5);
            if (vecq_rng_below(&rng, 3) == 0)
                a[i] = 1;
            if (vecq_rng_below(&rng, 3) == 0)
                b[i] = 1;
        }
        check_binary(round % 2 == 0 ? VECQ_OP_SUB : VECQ_OP_DIV, round % 2, rank, a, rank - lead, b + lead,
                     2);
        check_binary(VECQ_OP_SUB, round % 2, rank - lead, a + lead, rank, b, 2);
    }
}

/* ---- one operand ---- */

static double clip(double x, double a, double b)
{
    return x < a ? a : x > b ? b : x;
}

static double unary(vecq_op_kind kind, double x)
{
    switch (kind) {
    case VECQ_OP_RELU:
        return x > 0 ? x : 0;
    case VECQ_OP_LEAKY_RELU:
        return x > 0 ? x : 0.25 * x;
    case VECQ_OP_CLIP:
        return clip(x, 0.25, 0.75);
    case VECQ_OP_SIGMOID:
        return 1 / (1 + exp(-x));
    case VECQ_OP_TANH:
        return tanh(x);
    case VECQ_OP_ELU:
        return 0.75 * (x > 0 ? x : 0.25 * (exp(x) - 1));
    case VECQ_OP_HARD_SIGMOID:
        return clip(0.25 * x + 0.75, 0, 1);
    case VECQ_OP_HARD_SWISH:
        return x * clip(x / 6 + 0.5, 0, 1);
    case VECQ_OP_ERF:
        return erf(x);
    case VECQ_OP_SILU:
        return x / (1 + exp(-x));
    case VECQ_OP_GELU:
        return x / 2 * (1 + erf(x / sqrt(2)));
    case VECQ_OP_SOFTPLUS:
        return x > 30 ? x : log(1 + exp(x));
    case VECQ_OP_EXP:
        return exp(x);
    case VECQ_OP_LOG:
        return log(x);
    case VECQ_OP_SQRT:
        return sqrt(x);
    case VECQ_OP_NEG:
        return -x;
    case VECQ_OP_ABS:
        return fabs(x);
    case VECQ_OP_RECIPROCAL:
        return 1 / x;
    case VECQ_OP_FLOOR:
        return floor(x);
    case VECQ_OP_CEIL:
        return ceil(x);
    case VECQ_OP_ROUND:
        return 2 * floor(x / 2 + 0.5) == x + 0.5 || 2 * floor(x / 2 + 0.5) == x - 0.5 ? 2 * floor(x / 2 + 0.5)
                                                                                      : floor(x + 0.5);
    default:
        return (x > 0) - (x < 0);
    }
}

/* 20,000 numbers up to 20 or 40, in steps that meet the halves, and two far ones. */
static void test_unary(void **state)
{
    static const int64_t dims[1] = {20000};
    const vecq_unary_params params = {0.25, 0.75};
    size_t t, i;
    int k;

    (void)state;
    for (k = VECQ_OP_RELU; k <= VECQ_OP_SIGN; k++)
        for (t = 0; t < 2; t++) {
            vecq_error err = VECQ_ERROR_INIT;
            int positive = k == VECQ_OP_LOG || k == VECQ_OP_SQRT || k == VECQ_OP_RECIPROCAL;
            program_run pr;
            vecq_var *x;
            vecq_op *op;

            memset(&pr, 0, sizeof pr);
            x = pr_input(&pr, types[t], 1, dims, NULL);
            for (i = 0; i < 20000; i++)
                pr_set(types[t], pr.memory[0], i,
                       positive ? ((double)i + 1) / 512 : ((double)i - 10000) / 512);
            if (!positive && k != VECQ_OP_EXP)
                for (i = 0; i < 2; i++)
                    pr_set(types[t], pr.memory[0], i, i == 0 ? -2000 : 2000);
            op = pr_op(&pr, (vecq_op_kind)k, &x, 1, &params, sizeof params, 0);
            assert_ok(pr_run(&pr, 3, &err), &err);
            for (i = 0; i < 20000; i++)
                pr_close(op->info->name, i, pr_value(&pr, op->outputs[0], i),
                         unary((vecq_op_kind)k, in_value(&pr, 0, i)), tolerances[t]);
            pr_end(&pr);
        }
}

/* What is not a number goes on, through whatever hides it if compared the wrong way round. */
static void test_nan(void **state)
{
    static const vecq_op_kind kinds[] = {VECQ_OP_RELU,    VECQ_OP_LEAKY_RELU,   VECQ_OP_CLIP,
                                         VECQ_OP_ELU,     VECQ_OP_HARD_SIGMOID, VECQ_OP_HARD_SWISH,
                                         VECQ_OP_SIGMOID, VECQ_OP_SOFTPLUS,     VECQ_OP_MAX,
                                         VECQ_OP_MIN,     VECQ_OP_SIGN,         VECQ_OP_REDUCE_MAX};
    static const int64_t dims[1] = {3};
    static const double values[2][3] = {{NAN, 1, 2}, {1, NAN, 2}};
    size_t i, t, k;

    (void)state;
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (t = 0; t < 2; t++) {
            int two = kinds[i] == VECQ_OP_MAX || kinds[i] == VECQ_OP_MIN;
            const vecq_unary_params unary_params = {0.25, 0.75};
            const vecq_reduce_params reduce_params = {.axes = {1}};
            int reduces = kinds[i] == VECQ_OP_REDUCE_MAX;
            vecq_error err = VECQ_ERROR_INIT;
            program_run pr;
            vecq_var *in[2];
            vecq_op *op;
            size_t n = reduces ? 1 : two ? 2 : 1;

            memset(&pr, 0, sizeof pr);
            for (k = 0; k < (two ? 2u : 1u); k++)
                in[k] = pr_input(&pr, types[t], 1, dims, values[k]);
            op = pr_op(&pr, kinds[i], in, two ? 2 : 1,
                       reduces ? (const void *)&reduce_params : (const void *)&unary_params,
                       reduces ? sizeof reduce_params : sizeof unary_params, 0);
            assert_ok(pr_run(&pr, 1, &err), &err);
            for (k = 0; k < n; k++)
                if (!isnan(pr_value(&pr, op->outputs[0], k)))
                    fail_msg("%s hides a NaN in element %zu", op->info->name, k);
            pr_end(&pr);
        }
}

/* ---- reductions ---- */

static void check_reduce(vecq_rng *rng, vecq_op_kind kind, size_t type, unsigned rank, const int64_t *dims,
                         const unsigned char *axes, int keep)
{
    vecq_reduce_params params = {.keep_dims = keep};
    vecq_error err = VECQ_ERROR_INIT;
    size_t count, i, n = pr_count(rank, dims);
    double *want;
    int64_t kept[VECQ_MAX_RANK];
    program_run pr;
    vecq_var *x;
    vecq_op *op;
    unsigned a;

    memcpy(params.axes, axes, rank);
    for (a = 0; a < rank; a++)
        kept[a] = axes[a] ? 1 : dims[a];
    count = pr_count(rank, kept);
    memset(&pr, 0, sizeof pr);
    x = random_input(&pr, rng, types[type], rank, dims, -1, 1);
    op = pr_op(&pr, kind, &x, 1, &params, sizeof params, 0);
    assert_ok(pr_run(&pr, 3, &err), &err);
    assert_int_equal(op->outputs[0]->count, count);
    want = malloc((count + 1) * sizeof *want);
    assert_non_null(want);
    for (i = 0; i < count; i++)
        want[i] = kind == VECQ_OP_REDUCE_MAX ? -INFINITY : 0;
    for (i = 0; i < n; i++) {
        int64_t index[VECQ_MAX_RANK];
        double v = in_value(&pr, 0, i);
        size_t at;

        unravel(i, rank, dims, index);
        at = place(rank, index, rank, kept);
        want[at] = kind == VECQ_OP_REDUCE_MAX ? (v > want[at] ? v : want[at]) : want[at] + v;
    }
    for (i = 0; i < count; i++)
        pr_close(op->info->name, i, pr_value(&pr, op->outputs[0], i),
                 kind == VECQ_OP_REDUCE_MEAN ? want[i] / (double)(n / count) : want[i], tolerances[type]);
    free(want);
    pr_end(&pr);
}

static void test_reduce(void **state)
{
    static const vecq_op_kind kinds[] = {VECQ_OP_REDUCE_SUM, VECQ_OP_REDUCE_MEAN, VECQ_OP_REDUCE_MAX};
    static const int64_t wide[3] = {33, 70, 130};
    vecq_rng rng;
    unsigned round, a;

    (void)state;
    vecq_rng_seed(&rng, 8);
    for (round = 0; round < 400; round++) {
        unsigned rank = (unsigned)vecq_rng_below(&rng, 6);
        unsigned char axes[6];
        int64_t dims[6];

        for (a = 0; a < rank; a++) {
            dims[a] = 1 + (int64_t)vecq_rng_below(&rng, 6);
            axes[a] = (unsigned char)vecq_rng_below(&rng, 2);
        }
        check_reduce(&rng, kinds[round % 3], round / 3 % 2, rank, dims, axes, (int)(round / 6 % 2));
    }
    for (round = 0; round < 8; round++) {
        const unsigned char axes[3] = {round & 1, round >> 1 & 1, round >> 2 & 1};

        check_reduce(&rng, VECQ_OP_REDUCE_SUM, 1, 3, wide, axes, 0);
        check_reduce(&rng, VECQ_OP_REDUCE_MEAN, 0, 3, wide, axes, 0);
    }
}

/* A long sum of floats is as good as one in double. */
static void test_long_sum(void **state)
{
    static const int64_t dims[1] = {3000000};
    const vecq_reduce_params params = {.axes = {1}};
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    vecq_var *x;
    vecq_op *op;
    size_t i;

    (void)state;
    memset(&pr, 0, sizeof pr);
    x = pr_input(&pr, VECQ_DT_FLOAT, 1, dims, NULL);
    for (i = 0; i < 3000000; i++)
        ((float *)pr.memory[0])[i] = 0.1f;
    op = pr_op(&pr, VECQ_OP_REDUCE_SUM, &x, 1, &params, sizeof params, 0);
    assert_ok(pr_run(&pr, 2, &err), &err);
    pr_close("sum", 0, pr_value(&pr, op->outputs[0], 0), (double)(float)(3e6 * (double)0.1f), 1e-7);
    pr_end(&pr);
}

static void test_empty(void **state)
{
    static const int64_t dims[2] = {0, 3};
    const vecq_reduce_params rows = {.axes = {1}};
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    vecq_var *x, *y;
    vecq_op *op;
    size_t i;

    (void)state;
    memset(&pr, 0, sizeof pr);
    x = pr_input(&pr, VECQ_DT_FLOAT, 2, dims, NULL);
    assert_int_equal(vecq_program_op1(&pr.program, VECQ_OP_REDUCE_MEAN, "m", x, &rows, sizeof rows, &y, &err),
                     VECQ_ERR_FORMAT);
    assert_non_null(strstr(err.message, "nothing to reduce in 0x3"));
    err = (vecq_error)VECQ_ERROR_INIT;
    op = pr_op(&pr, VECQ_OP_REDUCE_SUM, &x, 1, &rows, sizeof rows, 0);
    assert_ok(pr_run(&pr, 1, &err), &err);
    for (i = 0; i < 3; i++)
        assert_true(pr_value(&pr, op->outputs[0], i) == 0);
    pr_end(&pr);
}

static void test_expand(void **state)
{
    static const vecq_dtype all[] = {VECQ_DT_FLOAT, VECQ_DT_DOUBLE, VECQ_DT_INT64, VECQ_DT_UINT8};
    vecq_rng rng;
    unsigned round, a;
    size_t i;

    (void)state;
    vecq_rng_seed(&rng, 4);
    for (round = 0; round < 200; round++) {
        vecq_shape_params shape = {.rank = (unsigned)vecq_rng_below(&rng, 5)};
        unsigned lead = (unsigned)vecq_rng_below(&rng, shape.rank + 1);
        vecq_error err = VECQ_ERROR_INIT;
        int64_t dims[VECQ_MAX_RANK];
        program_run pr;
        vecq_var *x;
        vecq_op *op;

        for (a = 0; a < shape.rank; a++) {
            shape.dims[a] = 1 + (int64_t)vecq_rng_below(&rng, 5);
            dims[a] = vecq_rng_below(&rng, 2) == 0 ? 1 : shape.dims[a];
        }
        memset(&pr, 0, sizeof pr);
        x = random_input(&pr, &rng, all[round % 4], shape.rank - lead, dims + lead, 0, 200);
        op = pr_op(&pr, VECQ_OP_EXPAND, &x, 1, &shape, sizeof shape, 0);
        assert_ok(pr_run(&pr, 2, &err), &err);
        for (i = 0; i < op->outputs[0]->count; i++) {
            int64_t index[VECQ_MAX_RANK];

            unravel(i, shape.rank, shape.dims, index);
            pr_close("Expand", i, pr_value(&pr, op->outputs[0], i),
                     in_value(&pr, 0, place(shape.rank, index, shape.rank - lead, dims + lead)), 0);
        }
        pr_end(&pr);
    }
}

/* ---- products ---- */

static void check_gemm(vecq_rng *rng, size_t type, size_t m, size_t n, size_t k, int ta, int tb, int bias)
{
    const int64_t a[2] = {(int64_t)(ta ? k : m), (int64_t)(ta ? m : k)};
    const int64_t b[2] = {(int64_t)(tb ? n : k), (int64_t)(tb ? k : n)}, c[1] = {(int64_t)n};
    const vecq_matmul_params params = {ta, tb};
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    vecq_var *in[3];
    vecq_op *op;
    size_t i, j, p;

    memset(&pr, 0, sizeof pr);
    in[0] = random_input(&pr, rng, types[type], 2, a, -1, 1);
    in[1] = random_input(&pr, rng, types[type], 2, b, -1, 1);
    if (bias)
        in[2] = random_input(&pr, rng, types[type], 1, c, -1, 1);
    op = pr_op(&pr, VECQ_OP_GEMM, in, bias ? 3 : 2, &params, sizeof params, 0);
    assert_ok(pr_run(&pr, 3, &err), &err);
    for (i = 0; i < m; i++)
        for (j = 0; j < n; j++) {
            double sum = bias ? in_value(&pr, 2, j) : 0;

            for (p = 0; p < k; p++)
                sum += in_value(&pr, 0, ta ? p * m + i : i * k + p) *
                       in_value(&pr, 1, tb ? j * k + p : p * n + j);
            pr_close("Gemm", i * n + j, pr_value(&pr, op->outputs[0], i * n + j), sum, tolerances[type]);
        }
    pr_end(&pr);
}

static void test_gemm(void **state)
{
    static const size_t sizes[][3] = {{1, 1, 1},    {3, 5, 7},    {32, 64, 64}, {33, 65, 66},
                                      {1, 130, 70}, {70, 1, 130}, {5, 9, 0},    {67, 129, 140}};
    vecq_rng rng;
    size_t s, t;
    int bits;

    (void)state;
    vecq_rng_seed(&rng, 6);
    for (s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (bits = 0; bits < 8; bits++)
            for (t = 0; t < 2; t++)
                check_gemm(&rng, t, sizes[s][0], sizes[s][1], sizes[s][2], bits & 1, bits >> 1 & 1,
                           bits >> 2);
}

static void test_matmul(void **state)
{
    static const int64_t a[4] = {2, 1, 5, 3}, b[4] = {4, 3, 6, 0}; /* -> 2 x 4 x 5 x 6 */
    const vecq_matmul_params params = {0, 0};
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    vecq_var *in[2];
    vecq_rng rng;
    vecq_op *op;
    size_t i, k;

    (void)state;
    vecq_rng_seed(&rng, 9);
    memset(&pr, 0, sizeof pr);
    in[0] = random_input(&pr, &rng, VECQ_DT_FLOAT, 4, a, -1, 1);
    in[1] = random_input(&pr, &rng, VECQ_DT_FLOAT, 3, b, -1, 1);
    op = pr_op(&pr, VECQ_OP_MATMUL, in, 2, &params, sizeof params, 0);
    assert_ok(pr_run(&pr, 2, &err), &err);
    assert_int_equal(op->outputs[0]->count, 2 * 4 * 5 * 6);
    for (i = 0; i < 240; i++) {
        size_t p = i / 120, q = i / 30 % 4, r = i / 6 % 5, s = i % 6;
        double sum = 0;

        for (k = 0; k < 3; k++)
            sum += in_value(&pr, 0, (p * 5 + r) * 3 + k) * in_value(&pr, 1, (q * 3 + k) * 6 + s);
        pr_close("MatMul", i, pr_value(&pr, op->outputs[0], i), sum, 1e-6);
    }
    pr_end(&pr);
}

/* Rows of a [N, C, H]; a shift that would overflow exp(). */
static void test_softmax(void **state)
{
    static const int64_t dims[3] = {4, 6, 5};
    unsigned axis, is_log;
    vecq_rng rng;

    (void)state;
    vecq_rng_seed(&rng, 12);
    for (axis = 0; axis < 3; axis++)
        for (is_log = 0; is_log < 2; is_log++) {
            const vecq_axis_params params = {.axis = axis};
            vecq_error err = VECQ_ERROR_INIT;
            program_run pr;
            vecq_var *x;
            vecq_op *op;
            size_t i, k;

            memset(&pr, 0, sizeof pr);
            x = random_input(&pr, &rng, VECQ_DT_DOUBLE, 3, dims, 1000, 1004);
            op = pr_op(&pr, is_log ? VECQ_OP_LOG_SOFTMAX : VECQ_OP_SOFTMAX, &x, 1, &params, sizeof params, 0);
            assert_ok(pr_run(&pr, 2, &err), &err);
            for (i = 0; i < 120; i++) {
                int64_t index[3];
                double sum = 0, v = in_value(&pr, 0, i) - 1000;

                unravel(i, 3, dims, index);
                for (k = 0; k < (size_t)dims[axis]; k++) {
                    index[axis] = (int64_t)k;
                    sum += exp(in_value(&pr, 0, place(3, index, 3, dims)) - 1000);
                }
                pr_close("softmax", i, pr_value(&pr, op->outputs[0], i), is_log ? v - log(sum) : exp(v) / sum,
                         1e-13);
            }
            pr_end(&pr);
        }
}

/* ---- dropout ---- */

#define N_DROPOUT 60000

static void dropout_mask(double ratio, uint64_t stream, uint64_t seed, uint64_t step, unsigned threads,
                         unsigned char *mask)
{
    static const int64_t dims[2] = {N_DROPOUT / 100, 100};
    const vecq_dropout_params params = {ratio, stream};
    vecq_exec_options options = {.threads = threads, .is_training = 1};
    vecq_run run = {.threads = threads, .seed = seed, .step = step};
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    vecq_var *x;
    vecq_op *op;
    size_t i;

    memset(&pr, 0, sizeof pr);
    x = pr_input(&pr, VECQ_DT_FLOAT, 2, dims, NULL);
    for (i = 0; i < N_DROPOUT; i++)
        ((float *)pr.memory[0])[i] = (float)(i + 1);
    op = pr_op(&pr, VECQ_OP_DROPOUT, &x, 1, &params, sizeof params, 0);
    assert_ok(vecq_exec_create(&pr.program, &options, &pr.exec, &err), &err);
    vecq_exec_bind(pr.exec, x, pr.memory[0]);
    assert_ok(vecq_exec_run(pr.exec, &run, &err), &err);
    memcpy(mask, vecq_exec_data(pr.exec, op->outputs[1]), N_DROPOUT);
    for (i = 0; i < N_DROPOUT; i++)
        pr_close("y", i, pr_value(&pr, op->outputs[0], i), mask[i] ? (double)(i + 1) / (1 - ratio) : 0, 1e-6);
    pr_end(&pr);
}

static double share(const unsigned char *a, const unsigned char *b)
{
    size_t i, n = 0;

    for (i = 0; i < N_DROPOUT; i++)
        n += b != NULL ? a[i] == b[i] : a[i];
    return (double)n / N_DROPOUT;
}

/* Shares are within five standard deviations; 0.5 / sqrt(60000) is 0.002. */
static void test_dropout(void **state)
{
    static unsigned char first[N_DROPOUT], other[N_DROPOUT];

    (void)state;
    dropout_mask(0.5, 0, 1, 0, 1, first);
    assert_true(fabs(share(first, NULL) - 0.5) < 0.01);
    dropout_mask(0.5, 0, 1, 0, 4, other);
    assert_memory_equal(first, other, N_DROPOUT);
    dropout_mask(0.5, 1, 1, 0, 1, other);
    assert_true(fabs(share(first, other) - 0.5) < 0.01);
    dropout_mask(0.5, 0, 2, 0, 1, other);
    assert_true(fabs(share(first, other) - 0.5) < 0.01);
    dropout_mask(0.5, 0, 1, 1, 1, other);
    assert_true(fabs(share(first, other) - 0.5) < 0.01);
    memmove(other, first + 1, N_DROPOUT - 1); /* neighbours */
    assert_true(fabs(share(first, other) - 0.5) < 0.01);
    dropout_mask(0.2, 0, 1, 0, 1, other);
    assert_true(fabs(share(other, NULL) - 0.8) < 0.01);
    dropout_mask(0, 0, 1, 0, 1, other);
    assert_true(share(other, NULL) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary), cmocka_unit_test(test_binary_random), cmocka_unit_test(test_unary),
        cmocka_unit_test(test_nan),    cmocka_unit_test(test_reduce),        cmocka_unit_test(test_long_sum),
        cmocka_unit_test(test_empty),  cmocka_unit_test(test_expand),        cmocka_unit_test(test_gemm),
        cmocka_unit_test(test_matmul), cmocka_unit_test(test_softmax),       cmocka_unit_test(test_dropout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
