/* SPDX-License-Identifier: Apache-2.0 */
/* Pooling: sizes, refusals, values against the plain definition, gradients against difference quotients. */
#include "base/status.h"
#include "gradient_check.h"
#include "program_run.h"

typedef struct pool_case {
    const char *name;
    int64_t size[3];
    vecq_pool_params p;
    int64_t out[3];
} pool_case;

#define W1(size, k, s, d, b, e, ceil, inc, out)                                                              \
    {                                                                                                        \
        "1-d", {size}, {1, {k}, {s}, {d}, {b}, {e}, ceil, inc, 0},                                           \
        {                                                                                                    \
            out                                                                                              \
        }                                                                                                    \
    }

static const pool_case cases[] = {
    W1(6, 2, 2, 1, 0, 0, 0, 0, 3),
    W1(7, 2, 2, 1, 0, 0, 0, 0, 3),
    W1(7, 2, 2, 1, 0, 0, 1, 0, 4),
    W1(7, 2, 2, 1, 0, 0, 1, 1, 4),
    W1(7, 3, 2, 1, 1, 1, 0, 0, 4),
    W1(7, 3, 2, 1, 1, 1, 0, 1, 4),
    W1(8, 3, 2, 1, 1, 1, 1, 1, 5),
    W1(8, 3, 2, 1, 1, 1, 1, 0, 5),
    W1(2, 1, 3, 1, 0, 0, 1, 0, 1), /* the second window would begin behind the end */
    W1(3, 2, 3, 1, 0, 1, 1, 1, 1), /* ... or in the padding */
    W1(4, 3, 3, 1, 0, 1, 1, 1, 2), /* ... but the last element counts */
    W1(9, 3, 2, 2, 1, 2, 0, 0, 4),
    W1(9, 3, 2, 2, 1, 2, 1, 1, 5),
    W1(5, 5, 1, 1, 0, 0, 0, 0, 1),
    {"2-d", {4, 6}, {2, {2, 2}, {2, 2}, {1, 1}, {0}, {0}, 0, 0, 0}, {2, 3}},
    {"2-d overlapping", {5, 5}, {2, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 0, 0, 0}, {3, 3}},
    {"2-d uneven", {5, 6}, {2, {3, 2}, {1, 3}, {1, 1}, {2, 0}, {0, 1}, 0, 1, 0}, {5, 2}},
    {"2-d uneven ceil", {6, 6}, {2, {3, 2}, {2, 3}, {1, 1}, {1, 1}, {0, 1}, 1, 0, 0}, {3, 3}},
    {"2-d dilated", {7, 6}, {2, {2, 3}, {1, 2}, {3, 2}, {1, 2}, {1, 2}, 0, 1, 0}, {6, 3}},
    {"2-d global", {3, 4}, {2, {3, 4}, {1, 1}, {1, 1}, {0}, {0}, 0, 0, 0}, {1, 1}},
    {"3-d", {3, 4, 5}, {3, {2, 3, 2}, {1, 2, 2}, {1, 1, 1}, {1, 0, 0}, {0, 1, 0}, 0, 0, 0}, {3, 2, 2}},
    {"3-d ceil", {4, 4, 5}, {3, {2, 3, 2}, {3, 2, 2}, {1, 1, 2}, {0, 1, 1}, {0, 1, 1}, 1, 1, 0}, {2, 3, 3}},
};

#define N_CASES (sizeof cases / sizeof *cases)

/* A last window in ceil_mode begins before the end of the image. */
static int64_t size_of(const vecq_pool_params *p, unsigned i, int64_t size)
{
    int64_t extent = (p->kernel[i] - 1) * p->dilation[i] + 1, n = 0, start;

    for (start = -p->pad_begin[i];; start += p->stride[i], n++) {
        if (start + extent <= size + p->pad_end[i])
            continue;
        if (!p->ceil_mode || start >= size || start - p->stride[i] + extent == size + p->pad_end[i])
            return n;
    }
}

static vecq_op_kind kind_of(int is_max)
{
    return is_max ? VECQ_OP_MAX_POOL : VECQ_OP_AVERAGE_POOL;
}

/* One window of one plane by the definition. */
static double window_value(const pool_case *c, const double *plane, const int64_t *at, int is_max,
                           int64_t *winner)
{
    int64_t dims[3] = {1, 1, 1}, t[3], kernel[3] = {1, 1, 1}, start[3] = {0, 0, 0}, dilation[3] = {1, 1, 1};
    int64_t end[3] = {1, 1, 1}, n = 0;
    double best = -INFINITY, sum = 0;
    unsigned i, lead = 3 - c->p.spatial;

    *winner = -1;
    for (i = lead; i < 3; i++) {
        dims[i] = c->size[i - lead];
        kernel[i] = c->p.kernel[i - lead];
        dilation[i] = c->p.dilation[i - lead];
        start[i] = at[i - lead] * c->p.stride[i - lead] - c->p.pad_begin[i - lead];
        end[i] = dims[i] + c->p.pad_end[i - lead];
    }
    for (t[0] = 0; t[0] < kernel[0]; t[0]++)
        for (t[1] = 0; t[1] < kernel[1]; t[1]++)
            for (t[2] = 0; t[2] < kernel[2]; t[2]++) {
                int64_t p[3], place;
                int inside = 1, padded = 1;

                for (i = 0; i < 3; i++) {
                    p[i] = start[i] + t[i] * dilation[i];
                    inside &= p[i] >= 0 && p[i] < dims[i];
                    padded &= p[i] < end[i];
                }
                n += c->p.include_pad ? padded : inside;
                if (!inside)
                    continue;
                place = (p[0] * dims[1] + p[1]) * dims[2] + p[2];
                sum += plane[place];
                if (plane[place] > best) {
                    best = plane[place];
                    *winner = place;
                }
            }
    return is_max ? best : sum / (double)n;
}

static void check_values(const pool_case *c, int is_max, vecq_dtype dtype)
{
    int64_t dims[5] = {2, 3, 0, 0, 0};
    double x[2 * 3 * 200];
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    vecq_var *in, *y;
    vecq_op *op;
    vecq_rng rng;
    size_t plane, small, i, k;
    unsigned a;

    memset(&pr, 0, sizeof pr);
    memcpy(dims + 2, c->size, c->p.spatial * sizeof *dims);
    plane = pr_count(c->p.spatial, c->size);
    vecq_rng_seed(&rng, 3);
    for (i = 0; i < 6 * plane; i++)
        x[i] = (double)((int64_t)vecq_rng_below(&rng, 4096) - 2048) / 64;
    in = pr_input(&pr, dtype, c->p.spatial + 2, dims, x);
    op = pr_op(&pr, kind_of(is_max), &in, 1, &c->p, sizeof c->p, 0);
    y = op->outputs[0];
    assert_int_equal(y->dims[0], 2);
    assert_int_equal(y->dims[1], 3);
    for (a = 0; a < c->p.spatial; a++) {
        if (y->dims[2 + a] != c->out[a])
            fail_msg("%s: %lld windows along axis %u, not %lld", c->name, (long long)y->dims[2 + a], a,
                     (long long)c->out[a]);
        assert_int_equal(c->out[a], size_of(&c->p, a, c->size[a]));
    }
    small = y->count / 6;
    assert_ok(pr_run(&pr, 2, &err), &err);
    for (i = 0; i < y->count; i++) {
        int64_t at[3] = {0, 0, 0}, winner;
        double want;

        for (k = i % small, a = c->p.spatial; a-- > 0; k /= (size_t)c->out[a])
            at[a] = (int64_t)(k % (size_t)c->out[a]);
        want = window_value(c, x + i / small * plane, at, is_max, &winner);
        pr_close(c->name, i, pr_value(&pr, y, i), want, dtype == VECQ_DT_FLOAT ? 1e-6 : 1e-13);
        if (is_max)
            assert_int_equal((int64_t)pr_value(&pr, op->outputs[1], i), winner);
    }
    pr_end(&pr);
}

static void test_values(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < N_CASES; i++) {
        check_values(&cases[i], 0, VECQ_DT_FLOAT);
        check_values(&cases[i], 0, VECQ_DT_DOUBLE);
        check_values(&cases[i], 1, VECQ_DT_FLOAT);
        check_values(&cases[i], 1, VECQ_DT_DOUBLE);
    }
}

static vecq_status build_max(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                             size_t *n_out, vecq_error *err)
{
    vecq_op *op;

    VECQ_TRY(vecq_program_op(program, VECQ_OP_MAX_POOL, "pool", in, 1, extra, sizeof(vecq_pool_params), 0,
                             &op, err));
    out[0] = op->outputs[0];
    *n_out = 1;
    return VECQ_OK;
}

static vecq_status build_average(vecq_program *program, vecq_var *const *in, const void *extra,
                                 vecq_var **out, size_t *n_out, vecq_error *err)
{
    *n_out = 1;
    return vecq_program_op1(program, VECQ_OP_AVERAGE_POOL, "pool", in[0], extra, sizeof(vecq_pool_params),
                            &out[0], err);
}

static void test_gradients(void **state)
{
    size_t i;
    int is_max;

    (void)state;
    for (i = 0; i < N_CASES; i++)
        for (is_max = 0; is_max < 2; is_max++) {
            const pool_case *c = &cases[i];
            gc_case gc = {.name = c->name,
                          .n_inputs = 1,
                          .build = is_max ? build_max : build_average,
                          .extra = &c->p,
                          .step = 1e-7, /* two elements closer than that would change the winner */
                          .tolerance = 1e-6};

            gc.inputs[0].rank = c->p.spatial + 2;
            gc.inputs[0].dims[0] = 2;
            gc.inputs[0].dims[1] = 2;
            memcpy(gc.inputs[0].dims + 2, c->size, c->p.spatial * sizeof(int64_t));
            gc_run(&gc);
        }
}

/* Between the taps of a dilated window there may be nothing; NaN is not lost; the first of equals wins. */
static void test_odd_windows(void **state)
{
    static const int64_t one[3] = {1, 1, 1}, four[3] = {1, 1, 4};
    static const vecq_pool_params gap = {1, {2}, {1}, {3}, {1}, {2}, 0, 0, 0};
    static const vecq_pool_params pairs = {1, {2}, {2}, {1}, {0}, {0}, 0, 0, 0};
    static const double values[4] = {1, NAN, 5, 5};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *in[2];
    vecq_op *ops[3];
    program_run pr;

    (void)state;
    memset(&pr, 0, sizeof pr);
    in[0] = pr_input(&pr, VECQ_DT_FLOAT, 3, one, values);
    in[1] = pr_input(&pr, VECQ_DT_FLOAT, 3, four, values);
    in[0]->is_relu = in[1]->is_relu = 1;
    ops[0] = pr_op(&pr, VECQ_OP_MAX_POOL, &in[0], 1, &gap, sizeof gap, 0);
    ops[1] = pr_op(&pr, VECQ_OP_MAX_POOL, &in[1], 1, &pairs, sizeof pairs, 0);
    ops[2] = pr_op(&pr, VECQ_OP_AVERAGE_POOL, &in[1], 1, &pairs, sizeof pairs, 0);
    assert_ok(pr_run(&pr, 1, &err), &err);
    assert_true(pr_value(&pr, ops[0]->outputs[0], 0) == -INFINITY);
    assert_true(pr_value(&pr, ops[0]->outputs[1], 0) == -1);
    assert_false(ops[0]->outputs[0]->is_relu);
    assert_true(ops[1]->outputs[0]->is_relu && ops[2]->outputs[0]->is_relu);
    assert_true(isnan(pr_value(&pr, ops[1]->outputs[0], 0)));
    assert_true(pr_value(&pr, ops[1]->outputs[1], 0) == 1);
    assert_true(pr_value(&pr, ops[1]->outputs[1], 1) == 2);
    pr_end(&pr);
}

static void test_refusals(void **state)
{
    static const struct {
        unsigned rank;
        int64_t x[5];
        vecq_pool_params p;
        const char *words;
    } rows[] = {
        {4, {1, 2, 4, 4}, {1, {2}, {1}, {1}, {0}, {0}, 0, 0, 0}, "1x2x4x4"},
        {2, {1, 2}, {1, {2}, {1}, {1}, {0}, {0}, 0, 0, 0}, "1x2"},
        {3, {1, 2, 4}, {1, {0}, {1}, {1}, {0}, {0}, 0, 0, 0}, "kernel 0"},
        {3, {1, 2, 4}, {1, {2}, {0}, {1}, {0}, {0}, 0, 0, 0}, "stride 0"},
        {3, {1, 2, 4}, {1, {2}, {1}, {0}, {0}, {0}, 0, 0, 0}, "dilation 0"},
        {3, {1, 2, 4}, {1, {2}, {1}, {1}, {2}, {0}, 0, 0, 0}, "padding 2, 0"},
        {3, {1, 2, 4}, {1, {2}, {1}, {1}, {0}, {2}, 0, 0, 0}, "padding 0, 2"},
        {3, {1, 2, 4}, {1, {2}, {1}, {1}, {-1}, {0}, 0, 0, 0}, "padding -1"},
        {3, {1, 2, 4}, {1, {5}, {1}, {1}, {0}, {0}, 1, 0, 0}, "window of 5 does not fit"},
        {3, {1, 2, 0}, {1, {2}, {1}, {1}, {1}, {1}, 0, 0, 0}, "an axis of 0"},
        {3, {0, 1, 1ll << 32}, {1, {1}, {1}, {1}, {0}, {0}, 0, 0, 0}, "image of"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_program program;
        vecq_var *x;
        vecq_op *op;

        memset(&program, 0, sizeof program);
        assert_ok(vecq_program_input(&program, "x", VECQ_DT_FLOAT, rows[i].rank, rows[i].x, &x, &err), &err);
        assert_int_equal(vecq_program_op(&program, VECQ_OP_MAX_POOL, "p", &x, 1, &rows[i].p, sizeof rows[i].p,
                                         0, &op, &err),
                         VECQ_ERR_FORMAT);
        if (strstr(err.message, rows[i].words) == NULL)
            fail_msg("row %zu: '%s' does not say '%s'", i, err.message, rows[i].words);
        vecq_program_clear(&program);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_odd_windows),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
