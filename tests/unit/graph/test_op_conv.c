/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions: sizes, refusals, values against the plain formula, gradients against difference quotients. */
#include "base/status.h"
#include "gradient_check.h"
#include "program_run.h"

typedef struct conv_case {
    const char *name;
    int is_transposed, has_bias;
    int64_t batch, small, large; /* channels of y, x of Conv; of x, y of ConvTranspose */
    int64_t size[3], kernel[3];  /* of x */
    vecq_conv_params p;
} conv_case;

#define P1(g, s, d, b, e)                                                                                    \
    {                                                                                                        \
        1, g, {s}, {d}, {b}, {e},                                                                            \
        {                                                                                                    \
            0                                                                                                \
        }                                                                                                    \
    }
#define P2(g, s0, s1, d0, d1, b0, b1, e0, e1)                                                                \
    {                                                                                                        \
        2, g, {s0, s1}, {d0, d1}, {b0, b1}, {e0, e1},                                                        \
        {                                                                                                    \
            0                                                                                                \
        }                                                                                                    \
    }

static const conv_case cases[] = {
    {"1-d", 0, 1, 2, 3, 2, {7}, {3}, P1(1, 1, 1, 1, 1)},
    {"1-d stride dilation", 0, 1, 1, 2, 3, {11}, {3}, P1(1, 3, 2, 2, 0)},
    {"2-d", 0, 1, 2, 3, 2, {5, 4}, {3, 3}, P2(1, 1, 1, 1, 1, 1, 1, 1, 1)},
    {"2-d no bias", 0, 0, 2, 2, 2, {4, 5}, {2, 3}, P2(1, 1, 1, 1, 1, 0, 0, 0, 0)},
    {"2-d stride", 0, 1, 2, 2, 3, {6, 7}, {3, 2}, P2(1, 2, 3, 1, 1, 1, 0, 0, 1)},
    {"2-d 1x1", 0, 1, 2, 4, 3, {3, 3}, {1, 1}, P2(1, 1, 1, 1, 1, 0, 0, 0, 0)},
    {"2-d 1x1 stride", 0, 0, 2, 4, 3, {5, 4}, {1, 1}, P2(1, 2, 2, 1, 1, 0, 0, 0, 0)},
    {"2-d uneven", 0, 1, 1, 2, 2, {5, 6}, {3, 2}, P2(1, 2, 1, 1, 2, 0, 2, 2, 1)},
    {"2-d wide padding", 0, 1, 1, 2, 1, {2, 2}, {3, 3}, P2(1, 2, 2, 1, 1, 4, 3, 3, 4)},
    {"2-d groups", 0, 1, 2, 4, 6, {4, 4}, {3, 3}, P2(2, 1, 1, 1, 1, 1, 1, 1, 1)},
    {"2-d depthwise", 0, 1, 2, 4, 4, {5, 5}, {3, 3}, P2(4, 2, 2, 1, 1, 1, 1, 1, 1)},
    {"2-d depthwise twice", 0, 0, 1, 6, 3, {4, 4}, {3, 3}, P2(3, 1, 1, 1, 1, 1, 1, 1, 1)},
    {"2-d dilated groups", 0, 1, 1, 4, 2, {7, 8}, {2, 3}, P2(2, 2, 1, 3, 2, 1, 2, 2, 1)},
    {"3-d", 0, 1, 1, 2, 2, {3, 4, 3}, {2, 3, 2}, {3, 1, {1, 2, 1}, {1, 1, 2}, {1, 0, 1}, {0, 1, 1}, {0}}},
    {"3-d pointwise", 0, 1, 2, 3, 2, {2, 3, 2}, {1, 1, 1}, {3, 1, {1, 1, 1}, {1, 1, 1}, {0}, {0}, {0}}},
    {"1-d up", 1, 1, 2, 3, 2, {4}, {3}, {1, 1, {2}, {1}, {1}, {0}, {1}}},
    {"2-d up", 1, 1, 2, 2, 3, {3, 4}, {3, 2}, {2, 1, {2, 3}, {1, 1}, {1, 0}, {0, 1}, {1, 2}}},
    {"2-d up no bias", 1, 0, 1, 2, 2, {3, 3}, {2, 2}, {2, 1, {1, 1}, {1, 1}, {0}, {0}, {0}}},
    {"2-d up groups", 1, 1, 2, 4, 2, {3, 3}, {3, 3}, {2, 2, {2, 2}, {1, 2}, {1, 1}, {1, 2}, {0, 1}}},
    {"2-d up depthwise", 1, 0, 1, 3, 3, {4, 3}, {2, 2}, {2, 3, {2, 2}, {1, 1}, {0}, {0}, {0}}},
    {"2-d up output padding", 1, 1, 1, 1, 1, {2, 2}, {2, 2}, {2, 1, {1, 1}, {3, 3}, {0}, {0}, {2, 2}}},
    {"3-d up", 1, 1, 1, 2, 2, {2, 2, 3}, {2, 1, 3}, {3, 1, {2, 1, 1}, {1, 1, 1}, {0, 0, 2}, {1, 0, 0}, {0}}},
};

#define N_CASES (sizeof cases / sizeof *cases)

static void shapes_of(const conv_case *c, int64_t *x, int64_t *w, int64_t *b)
{
    unsigned i;

    x[0] = c->batch;
    x[1] = c->is_transposed ? c->small : c->large;
    w[0] = c->small;
    w[1] = c->large / c->p.group;
    *b = c->is_transposed ? c->large : c->small;
    for (i = 0; i < c->p.spatial; i++) {
        x[2 + i] = c->size[i];
        w[2 + i] = c->kernel[i];
    }
}

static vecq_status build(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                         size_t *n_out, vecq_error *err)
{
    const conv_case *c = extra;
    vecq_op *op;

    VECQ_TRY(vecq_program_op(program, c->is_transposed ? VECQ_OP_CONV_TRANSPOSE : VECQ_OP_CONV, "conv", in,
                             c->has_bias ? 3 : 2, &c->p, sizeof c->p, 0, &op, err));
    out[0] = op->outputs[0];
    *n_out = 1;
    return VECQ_OK;
}

static void test_gradients(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < N_CASES; i++) {
        const conv_case *c = &cases[i];
        gc_case gc = {.name = c->name, .n_inputs = c->has_bias ? 3 : 2, .build = build, .extra = c};

        gc.inputs[0].rank = gc.inputs[1].rank = c->p.spatial + 2;
        gc.inputs[2].rank = 1;
        shapes_of(c, gc.inputs[0].dims, gc.inputs[1].dims, gc.inputs[2].dims);
        gc_run(&gc);
    }
}

/* Gradients of one of the three only: the others are not made. */
static void test_single_gradients(void **state)
{
    size_t i;
    unsigned which;

    (void)state;
    for (i = 2; i < N_CASES; i += N_CASES - 6)
        for (which = 0; which < 3; which++) {
            const conv_case *c = &cases[i];
            gc_case gc = {.name = c->name, .n_inputs = 3, .build = build, .extra = c};
            unsigned k;

            gc.inputs[0].rank = gc.inputs[1].rank = c->p.spatial + 2;
            gc.inputs[2].rank = 1;
            shapes_of(c, gc.inputs[0].dims, gc.inputs[1].dims, gc.inputs[2].dims);
            for (k = 0; k < 3; k++)
                gc.inputs[k].is_fixed = k != which;
            gc_run(&gc);
        }
}

/* ---- values ---- */

typedef struct image {
    const double *v;
    int64_t dims[5]; /* batch, channels, three sizes */
} image;

static image image_of(const double *v, unsigned spatial, const int64_t *dims)
{
    image m = {.v = v, .dims = {dims[0], dims[1], 1, 1, 1}};
    unsigned i;

    for (i = 0; i < spatial; i++)
        m.dims[5 - spatial + i] = dims[2 + i];
    return m;
}

static size_t place(const image *m, int64_t a, int64_t b, int64_t d, int64_t h, int64_t w)
{
    return (size_t)((((a * m->dims[1] + b) * m->dims[2] + d) * m->dims[3] + h) * m->dims[4] + w);
}

/* Every pair of a position of the small image and a tap: the element of the large one, if there is one. */
static void naive(const conv_case *c, const image *small, const image *large, const image *w, double *y)
{
    int64_t stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1}, pad[3] = {0, 0, 0};
    int64_t sg = c->small / c->p.group, lg = c->large / c->p.group, n, m, k, o[3], t[3];
    unsigned i, lead = 3 - c->p.spatial;

    for (i = lead; i < 3; i++) {
        stride[i] = c->p.stride[i - lead];
        dilation[i] = c->p.dilation[i - lead];
        pad[i] = c->p.pad_begin[i - lead];
    }
    for (n = 0; n < c->batch; n++)
        for (m = 0; m < c->small; m++)
            for (k = 0; k < lg; k++)
                for (o[0] = 0; o[0] < small->dims[2]; o[0]++)
                    for (o[1] = 0; o[1] < small->dims[3]; o[1]++)
                        for (o[2] = 0; o[2] < small->dims[4]; o[2]++)
                            for (t[0] = 0; t[0] < w->dims[2]; t[0]++)
                                for (t[1] = 0; t[1] < w->dims[3]; t[1]++)
                                    for (t[2] = 0; t[2] < w->dims[4]; t[2]++) {
                                        int64_t at[3];
                                        size_t s, l;
                                        double weight = w->v[place(w, m, k, t[0], t[1], t[2])];
                                        int inside = 1;

                                        for (i = 0; i < 3; i++) {
                                            at[i] = o[i] * stride[i] - pad[i] + t[i] * dilation[i];
                                            inside &= at[i] >= 0 && at[i] < large->dims[2 + i];
                                        }
                                        if (!inside)
                                            continue;
                                        s = place(small, n, m, o[0], o[1], o[2]);
                                        l = place(large, n, m / sg * lg + k, at[0], at[1], at[2]);
                                        if (c->is_transposed)
                                            y[l] += weight * small->v[s];
                                        else
                                            y[s] += weight * large->v[l];
                                    }
}

static double *random_values(vecq_rng *rng, size_t n)
{
    double *v = calloc(n + 1, sizeof *v);
    size_t i;

    assert_non_null(v);
    for (i = 0; i < n; i++) /* exact in float */
        v[i] = (double)((int64_t)vecq_rng_below(rng, 255) - 127) / 64;
    return v;
}

static void check_values(const conv_case *c, vecq_dtype dtype, vecq_rng *rng)
{
    int64_t x_dims[5], w_dims[5], b_dims[1];
    unsigned rank = c->p.spatial + 2;
    vecq_error err = VECQ_ERROR_INIT;
    double *x, *w, *b, *want;
    vecq_var *in[3];
    const vecq_var *y;
    program_run pr;
    image xi, wi, yi;
    size_t i, plane;

    memset(&pr, 0, sizeof pr);
    shapes_of(c, x_dims, w_dims, b_dims);
    x = random_values(rng, pr_count(rank, x_dims));
    w = random_values(rng, pr_count(rank, w_dims));
    b = random_values(rng, (size_t)b_dims[0]);
    in[0] = pr_input(&pr, dtype, rank, x_dims, x);
    in[1] = pr_input(&pr, dtype, rank, w_dims, w);
    in[2] = pr_input(&pr, dtype, 1, b_dims, b);
    y = pr_op(&pr, c->is_transposed ? VECQ_OP_CONV_TRANSPOSE : VECQ_OP_CONV, in, c->has_bias ? 3 : 2, &c->p,
              sizeof c->p, 0)
            ->outputs[0];
    assert_ok(pr_run(&pr, 2, &err), &err);
    want = calloc(y->count, sizeof *want);
    assert_non_null(want);
    plane = y->count / (size_t)(y->dims[0] * y->dims[1]);
    for (i = 0; i < y->count && c->has_bias; i++)
        want[i] = b[i / plane % (size_t)y->dims[1]];
    xi = image_of(x, c->p.spatial, x_dims);
    wi = image_of(w, c->p.spatial, w_dims);
    yi = image_of(NULL, c->p.spatial, y->dims);
    naive(c, c->is_transposed ? &xi : &yi, c->is_transposed ? &yi : &xi, &wi, want);
    for (i = 0; i < y->count; i++)
        pr_close(c->name, i, pr_value(&pr, y, i), want[i], dtype == VECQ_DT_FLOAT ? 1e-6 : 1e-13);
    pr_end(&pr);
    free(want);
    free(b);
    free(w);
    free(x);
}

static void test_values(void **state)
{
    vecq_rng rng;
    size_t i;

    (void)state;
    vecq_rng_seed(&rng, 5);
    for (i = 0; i < N_CASES; i++) {
        check_values(&cases[i], VECQ_DT_FLOAT, &rng);
        check_values(&cases[i], VECQ_DT_DOUBLE, &rng);
    }
}

/* The values do not depend on the number of threads: forward and both gradients, bit by bit. */
static void test_threads(void **state)
{
    static const int64_t dims[3][4] = {{6, 5, 13, 11}, {7, 5, 3, 3}, {7}};
    static const vecq_conv_params params = P2(1, 2, 1, 1, 1, 1, 1, 1, 1);
    float *first[4] = {NULL};
    unsigned threads;
    vecq_rng rng;

    (void)state;
    for (threads = 1; threads <= 4; threads++) {
        const unsigned ranks[3] = {4, 4, 1};
        vecq_exec_options options = {.threads = threads};
        vecq_run run = {.threads = threads};
        vecq_error err = VECQ_ERROR_INIT;
        vecq_var *in[3], *loss, *out[4];
        vecq_reduce_params all = {.axes = {1, 1, 1, 1}};
        program_run pr;
        unsigned i;
        vecq_op *op;

        memset(&pr, 0, sizeof pr);
        vecq_rng_seed(&rng, 9);
        for (i = 0; i < 3; i++) {
            double *v = random_values(&rng, pr_count(ranks[i], dims[i]));

            in[i] = pr_input(&pr, VECQ_DT_FLOAT, ranks[i], dims[i], v);
            free(v);
        }
        op = pr_op(&pr, VECQ_OP_CONV, in, 3, &params, sizeof params, 0);
        out[3] = op->outputs[0];
        assert_ok(vecq_program_op2(&pr.program, VECQ_OP_MUL, "square", out[3], out[3], NULL, 0, &loss, &err),
                  &err);
        assert_ok(
            vecq_program_op1(&pr.program, VECQ_OP_REDUCE_SUM, "loss", loss, &all, sizeof all, &loss, &err),
            &err);
        assert_ok(vecq_program_differentiate(&pr.program, loss, in, 3, out, &err), &err);
        assert_ok(vecq_exec_create(&pr.program, &options, &pr.exec, &err), &err);
        for (i = 0; i < 3; i++)
            vecq_exec_bind(pr.exec, in[i], pr.memory[i]);
        assert_ok(vecq_exec_run(pr.exec, &run, &err), &err);
        for (i = 0; i < 4; i++) {
            const void *data = vecq_exec_data(pr.exec, out[i]);

            if (threads == 1) {
                first[i] = malloc(out[i]->count * sizeof(float));
                assert_non_null(first[i]);
                memcpy(first[i], data, out[i]->count * sizeof(float));
            }
            assert_memory_equal(data, first[i], out[i]->count * sizeof(float));
        }
        pr_end(&pr);
    }
    for (threads = 0; threads < 4; threads++)
        free(first[threads]);
}

/* ---- refusals ---- */

static void test_refusals(void **state)
{
    static const struct {
        int is_transposed;
        unsigned rank;
        int64_t x[5], w[5], b;
        vecq_conv_params p;
        const char *words;
    } rows[] = {
        {0, 4, {1, 3, 4, 4}, {2, 2, 3, 3}, 2, P2(1, 1, 1, 1, 1, 0, 0, 0, 0), "do not fit together"},
        {0, 4, {1, 4, 4, 4}, {3, 2, 3, 3}, 3, P2(2, 1, 1, 1, 1, 0, 0, 0, 0), "do not fit together"},
        {0, 4, {1, 4, 4, 4}, {4, 4, 3, 3}, 4, P2(0, 1, 1, 1, 1, 0, 0, 0, 0), "do not fit together"},
        {0, 4, {1, 4, 4, 4}, {4, 4, 3, 3}, 3, P2(1, 1, 1, 1, 1, 0, 0, 0, 0), "a bias of 3 elements"},
        {0, 4, {1, 4, 4, 4}, {4, 4, 5, 3}, 4, P2(1, 1, 1, 1, 1, 0, 0, 0, 0), "window of 5 does not fit"},
        {0, 4, {1, 4, 4, 4}, {4, 4, 3, 3}, 4, P2(1, 1, 0, 1, 1, 0, 0, 0, 0), "stride 0"},
        {0, 4, {1, 4, 4, 4}, {4, 4, 3, 3}, 4, P2(1, 1, 1, 1, -1, 0, 0, 0, 0), "dilation -1"},
        {0, 4, {1, 4, 4, 4}, {4, 4, 3, 3}, 4, P2(1, 1, 1, 1, 1, -1, 0, 0, 0), "padding -1"},
        {0, 4, {1, 4, 4, 4}, {4, 4, 3, 3}, 4, P2(1, 1, 1, 1, INT64_MAX, 0, 0, 0, 0), "dilation"},
        {0, 4, {1, 4, 4, 4}, {4, 4, 0, 3}, 4, P2(1, 1, 1, 1, 1, 0, 0, 0, 0), "kernel 0"},
        {0, 4, {1, 4, 0, 4}, {4, 4, 1, 3}, 4, P2(1, 1, 1, 1, 1, 1, 0, 0, 0), "an axis of 0"},
        {0, 3, {1, 4, 4}, {4, 4, 3}, 4, P2(1, 1, 1, 1, 1, 0, 0, 0, 0), "do not fit together"},
        {1, 4, {1, 3, 4, 4}, {2, 2, 3, 3}, 2, P2(1, 1, 1, 1, 1, 0, 0, 0, 0), "do not fit together"},
        {1, 4, {1, 2, 4, 4}, {2, 2, 3, 3}, 3, P2(1, 1, 1, 1, 1, 0, 0, 0, 0), "a bias of 3 elements"},
        {1, 4, {1, 2, 1, 4}, {2, 2, 3, 3}, 2, P2(1, 1, 1, 1, 1, 2, 0, 1, 0), "spatial axis 0"},
        {1, 4, {1, 2, 0, 4}, {2, 2, 3, 3}, 2, P2(1, 1, 1, 1, 1, 0, 0, 0, 0), "spatial axis 0"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_var *in[3];
        program_run pr;
        vecq_op *op;

        memset(&pr, 0, sizeof pr);
        in[0] = pr_input(&pr, VECQ_DT_FLOAT, rows[i].rank, rows[i].x, NULL);
        in[1] = pr_input(&pr, VECQ_DT_FLOAT, rows[i].rank, rows[i].w, NULL);
        in[2] = pr_input(&pr, VECQ_DT_FLOAT, 1, &rows[i].b, NULL);
        assert_int_equal(vecq_program_op(&pr.program,
                                         rows[i].is_transposed ? VECQ_OP_CONV_TRANSPOSE : VECQ_OP_CONV, "c",
                                         in, 3, &rows[i].p, sizeof rows[i].p, 0, &op, &err),
                         VECQ_ERR_FORMAT);
        if (strstr(err.message, rows[i].words) == NULL)
            fail_msg("row %zu: '%s' does not say '%s'", i, err.message, rows[i].words);
        pr_end(&pr);
    }
}

/* A batch of nothing: no output; gradients of weights are zero. */
static void test_empty_batch(void **state)
{
    static const int64_t x_dims[4] = {0, 2, 4, 4}, w_dims[4] = {3, 2, 3, 3};
    static const vecq_conv_params params = P2(1, 1, 1, 1, 1, 0, 0, 0, 0);
    vecq_error err = VECQ_ERROR_INIT;
    vecq_reduce_params all = {.axes = {1, 1, 1, 1}};
    vecq_exec_options options = {.threads = 1};
    vecq_run run = {.threads = 1};
    vecq_var *in[2], *loss, *dw[2];
    program_run pr;
    size_t i;

    (void)state;
    memset(&pr, 0, sizeof pr);
    in[0] = pr_input(&pr, VECQ_DT_FLOAT, 4, x_dims, NULL);
    in[1] = pr_input(&pr, VECQ_DT_FLOAT, 4, w_dims, NULL);
    loss = pr_op(&pr, VECQ_OP_CONV, in, 2, &params, sizeof params, 0)->outputs[0];
    assert_int_equal(loss->dims[3], 2);
    assert_ok(vecq_program_op1(&pr.program, VECQ_OP_REDUCE_SUM, "loss", loss, &all, sizeof all, &loss, &err),
              &err);
    assert_ok(vecq_program_differentiate(&pr.program, loss, in, 2, dw, &err), &err);
    assert_ok(vecq_exec_create(&pr.program, &options, &pr.exec, &err), &err);
    for (i = 0; i < 2; i++)
        vecq_exec_bind(pr.exec, in[i], pr.memory[i]);
    assert_ok(vecq_exec_run(pr.exec, &run, &err), &err);
    for (i = 0; i < dw[1]->count; i++)
        assert_true(pr_value(&pr, dw[1], i) == 0);
    pr_end(&pr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),           cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_single_gradients), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_refusals),         cmocka_unit_test(test_empty_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
