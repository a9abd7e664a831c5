/* SPDX-License-Identifier: Apache-2.0 */
/* GRU against the formulas of its ONNX specification, written down once more in double; its gradients
 * against difference quotients of those. */
#include "vecq_test.h"

#include "program_run.h"

enum { X, W, R, B, H0, N_IN };
enum { Y, YH, N_OUT };

typedef struct gru_case {
    int64_t steps, batch, input, hidden;
    vecq_lstm_direction direction;
    int has_bias, has_h, is_linear;
} gru_case;

/* All inputs, omitted ones as zeros, and all outputs. */
typedef struct gru_data {
    unsigned rank[N_IN];
    int64_t dims[N_IN][3];
    size_t count[N_IN], out_count[N_OUT];
    double *in[N_IN], *out[N_OUT], *weight[N_OUT]; /* L = sum over outputs of <weight, out> */
    int used[N_IN];
} gru_data;

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/*
 * zt = f(Xt Wz^T + Ht-1 Rz^T + Wbz + Rbz), rt likewise, Ht = (1 - zt) . ht + zt . Ht-1;
 * ht = g(Xt Wh^T + (rt . Ht-1) Rh^T + Rbh + Wbh), or with linear_before_reset
 * ht = g(Xt Wh^T + rt . (Ht-1 Rh^T + Rbh) + Wbh)
 */
static double product(const gru_case *q, const gru_data *d, int64_t row, const double *x, const double *h,
                      const double *factor, int with)
{
    double sum = 0;
    int64_t k;

    for (k = 0; k < q->input && (with & 1) != 0; k++)
        sum += x[k] * d->in[W][row * q->input + k];
    for (k = 0; k < q->hidden && (with & 2) != 0; k++)
        sum += h[k] * (factor != NULL ? factor[k] : 1) * d->in[R][row * q->hidden + k];
    return sum;
}

static void naive(const gru_case *q, gru_data *d)
{
    int64_t dirs = q->direction == VECQ_LSTM_BOTH ? 2 : 1, h = q->hidden, n = q->batch, dir, s, b, j;

    for (dir = 0; dir < dirs; dir++)
        for (b = 0; b < n; b++) {
            int reverse = q->direction == VECQ_LSTM_REVERSE || dir == 1;
            const double *wb = d->in[B] + dir * 6 * h, *rb = wb + 3 * h;
            double hs[64], z[64], r[64];

            for (j = 0; j < h; j++)
                hs[j] = d->in[H0][(dir * n + b) * h + j];
            for (s = 0; s < q->steps; s++) {
                int64_t t = reverse ? q->steps - 1 - s : s, row = dir * 3 * h;
                const double *x = d->in[X] + (t * n + b) * q->input;
                double next[64];

                for (j = 0; j < h; j++) {
                    z[j] = sigmoid(product(q, d, row + j, x, hs, NULL, 3) + wb[j] + rb[j]);
                    r[j] = sigmoid(product(q, d, row + h + j, x, hs, NULL, 3) + wb[h + j] + rb[h + j]);
                }
                for (j = 0; j < h; j++) {
                    int64_t i = row + 2 * h + j;
                    double a = product(q, d, i, x, hs, NULL, 1) + wb[2 * h + j];

                    if (q->is_linear)
                        a += r[j] * (product(q, d, i, x, hs, NULL, 2) + rb[2 * h + j]);
                    else
                        a += product(q, d, i, x, hs, r, 2) + rb[2 * h + j];
                    next[j] = (1 - z[j]) * tanh(a) + z[j] * hs[j];
                }
                for (j = 0; j < h; j++) {
                    hs[j] = next[j];
                    d->out[Y][((t * dirs + dir) * n + b) * h + j] = hs[j];
                }
            }
            for (j = 0; j < h; j++)
                d->out[YH][(dir * n + b) * h + j] = hs[j];
        }
}

static double *values(vecq_rng *rng, size_t n, double scale)
{
    double *v = calloc(n + 1, sizeof *v);
    size_t i;

    assert_non_null(v);
    for (i = 0; i < n; i++)
        v[i] = (double)(float)(scale * (2 * vecq_rng_uniform(rng) - 1)); /* exact in float as well */
    return v;
}

static void data_begin(const gru_case *q, gru_data *d)
{
    int64_t dirs = q->direction == VECQ_LSTM_BOTH ? 2 : 1, h = q->hidden;
    const int64_t dims[N_IN][3] = {{q->steps, q->batch, q->input},
                                   {dirs, 3 * h, q->input},
                                   {dirs, 3 * h, h},
                                   {dirs, 6 * h, 1},
                                   {dirs, q->batch, h}};
    vecq_rng rng;
    size_t i;

    memset(d, 0, sizeof *d);
    vecq_rng_seed(&rng, 5);
    d->used[X] = d->used[W] = d->used[R] = 1;
    d->used[B] = q->has_bias;
    d->used[H0] = q->has_h;
    for (i = 0; i < N_IN; i++) {
        d->rank[i] = i == B ? 2 : 3;
        memcpy(d->dims[i], dims[i], sizeof dims[i]);
        d->count[i] = pr_count(3, dims[i]);
        d->in[i] = values(&rng, d->count[i], d->used[i] ? 0.8 : 0);
    }
    d->out_count[Y] = (size_t)(q->steps * dirs * q->batch * h);
    d->out_count[YH] = d->count[H0];
    for (i = 0; i < N_OUT; i++) {
        d->out[i] = values(&rng, d->out_count[i], 0);
        d->weight[i] = values(&rng, d->out_count[i], 1);
    }
}

static void data_end(gru_data *d)
{
    size_t i;

    for (i = 0; i < N_IN; i++)
        free(d->in[i]);
    for (i = 0; i < N_OUT; i++) {
        free(d->out[i]);
        free(d->weight[i]);
    }
}

static vecq_op *begin(program_run *pr, const gru_case *q, const gru_data *d, vecq_dtype dtype)
{
    vecq_gru_params params;
    vecq_var *in[N_IN];
    size_t i;

    memset(pr, 0, sizeof *pr);
    memset(&params, 0, sizeof params);
    params.direction = q->direction;
    params.hidden = q->hidden;
    params.linear_before_reset = q->is_linear;
    for (i = 0; i < N_IN; i++)
        in[i] = d->used[i] ? pr_input(pr, dtype, d->rank[i], d->dims[i], d->in[i]) : NULL;
    return pr_op(pr, VECQ_OP_GRU, in, N_IN, &params, sizeof params, 0);
}

/* The whole batch in one block, many small blocks, more threads than work. */
static const unsigned thread_counts[] = {1, 2, 7};

static void check_forward(const gru_case *q, vecq_dtype dtype, unsigned keep, unsigned threads)
{
    static const char *const names[] = {"y", "y_h"};
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    gru_data d;
    vecq_op *op;
    size_t i, k;

    data_begin(q, &d);
    naive(q, &d);
    op = begin(&pr, q, &d, dtype);
    for (i = 0; i < 3; i++)
        op->outputs[i]->is_output = (keep >> i & 1u) != 0;
    assert_ok(pr_run(&pr, threads, &err), &err);
    for (i = 0; i < N_OUT; i++) {
        assert_int_equal(op->outputs[i]->count, d.out_count[i]);
        for (k = 0; k < d.out_count[i] && (keep >> i & 1u) != 0; k++)
            pr_close(names[i], k, pr_value(&pr, op->outputs[i], k), d.out[i][k],
                     dtype == VECQ_DT_DOUBLE ? 1e-12 : 2e-6);
    }
    pr_end(&pr);
    data_end(&d);
}

static const gru_case cases[] = {
    {1, 1, 1, 1, VECQ_LSTM_FORWARD, 0, 0, 0},  {1, 1, 1, 1, VECQ_LSTM_FORWARD, 1, 0, 1},
    {5, 3, 4, 6, VECQ_LSTM_FORWARD, 1, 1, 0},  {5, 3, 4, 6, VECQ_LSTM_FORWARD, 1, 1, 1},
    {5, 3, 4, 6, VECQ_LSTM_REVERSE, 1, 0, 0},  {4, 2, 3, 5, VECQ_LSTM_BOTH, 1, 1, 1},
    {3, 9, 17, 19, VECQ_LSTM_BOTH, 1, 0, 0},   {6, 5, 8, 16, VECQ_LSTM_FORWARD, 0, 1, 1},
    {2, 70, 3, 2, VECQ_LSTM_REVERSE, 1, 0, 1}, {150, 1, 2, 3, VECQ_LSTM_BOTH, 1, 0, 0},
    {0, 2, 3, 4, VECQ_LSTM_FORWARD, 1, 1, 0},  {3, 0, 3, 4, VECQ_LSTM_BOTH, 1, 1, 1},
};

#define N_CASES (sizeof cases / sizeof *cases)

static void test_forward(void **state)
{
    /* what is kept: everything, the sequence, the last state alone, workspace alone, workspace and state */
    static const unsigned keeps[] = {7, 1, 2, 4, 6};
    size_t i, k, t;

    (void)state;
    for (i = 0; i < N_CASES; i++)
        for (k = 0; k < sizeof keeps / sizeof *keeps; k++)
            for (t = 0; t < 3; t++) {
                check_forward(&cases[i], VECQ_DT_DOUBLE, keeps[k], thread_counts[t]);
                check_forward(&cases[i], VECQ_DT_FLOAT, keeps[k], thread_counts[t]);
            }
}

static double loss(const gru_case *q, gru_data *d, unsigned given)
{
    double sum = 0;
    size_t i, k;

    naive(q, d);
    for (i = 0; i < N_OUT; i++)
        for (k = 0; k < d->out_count[i] && (given >> i & 1u) != 0; k++)
            sum += d->weight[i][k] * d->out[i][k];
    return sum;
}

/* given: bits of the outputs a gradient comes from. */
static void check_backward(const gru_case *q, vecq_dtype dtype, unsigned given, unsigned threads)
{
    static const char *const names[] = {"dx", "dw", "dr", "db", "dh0"};
    const double step = 1e-5, tolerance = dtype == VECQ_DT_DOUBLE ? 2e-8 : 5e-5;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *in[10] = {NULL};
    vecq_op *op, *back;
    program_run pr;
    gru_data d;
    size_t i, k, stride;

    data_begin(q, &d);
    op = begin(&pr, q, &d, dtype);
    memcpy(in, op->inputs, N_IN * sizeof *in);
    memcpy(in + N_IN, op->outputs, 3 * sizeof *in);
    for (i = 0; i < N_OUT; i++)
        if ((given >> i & 1u) != 0)
            in[N_IN + 3 + i] = pr_input(&pr, dtype, op->outputs[i]->rank, op->outputs[i]->dims, d.weight[i]);
    back = pr_op(&pr, VECQ_OP_GRU_GRAD, in, 10, op->params, sizeof(vecq_gru_params), 0);
    assert_ok(pr_run(&pr, threads, &err), &err);
    for (i = 0; i < N_IN; i++) {
        assert_int_equal(back->outputs[i]->count, d.count[i]);
        stride = d.count[i] > 100 ? d.count[i] / 61 : 1;
        for (k = 0; k < d.count[i]; k += stride) {
            double keep = d.in[i][k], up;

            d.in[i][k] = keep + step;
            up = loss(q, &d, given);
            d.in[i][k] = keep - step;
            up -= loss(q, &d, given);
            d.in[i][k] = keep;
            pr_close(names[i], k, pr_value(&pr, back->outputs[i], k), up / (2 * step), tolerance);
        }
    }
    pr_end(&pr);
    data_end(&d);
}

static void test_backward(void **state)
{
    static const unsigned given[] = {3, 1, 2};
    size_t i, k;

    (void)state;
    for (i = 0; i < N_CASES; i++)
        for (k = 0; k < sizeof given / sizeof *given; k++) {
            check_backward(&cases[i], VECQ_DT_DOUBLE, given[k], thread_counts[(i + k) % 3]);
            check_backward(&cases[i], VECQ_DT_FLOAT, given[k], thread_counts[(i + k) % 3]);
        }
}

/* The same bits for any number of threads. */
static void test_threads(void **state)
{
    static const gru_case q = {20, 37, 13, 21, VECQ_LSTM_BOTH, 1, 1, 0};
    vecq_error err = VECQ_ERROR_INIT;
    float *kept[5] = {NULL};
    size_t t, i;

    (void)state;
    for (t = 0; t < 3; t++) {
        vecq_var *in[10] = {NULL};
        vecq_op *op, *back;
        program_run pr;
        gru_data d;

        data_begin(&q, &d);
        op = begin(&pr, &q, &d, VECQ_DT_FLOAT);
        memcpy(in, op->inputs, N_IN * sizeof *in);
        memcpy(in + N_IN, op->outputs, 3 * sizeof *in);
        in[8] = pr_input(&pr, VECQ_DT_FLOAT, 4, op->outputs[0]->dims, d.weight[0]);
        back = pr_op(&pr, VECQ_OP_GRU_GRAD, in, 10, op->params, sizeof(vecq_gru_params), 0);
        assert_ok(pr_run(&pr, thread_counts[t], &err), &err);
        for (i = 0; i < 5; i++) {
            size_t bytes = back->outputs[i]->count * sizeof(float);

            if (t == 0) {
                kept[i] = malloc(bytes);
                memcpy(kept[i], vecq_exec_data(pr.exec, back->outputs[i]), bytes);
            }
            assert_memory_equal(kept[i], vecq_exec_data(pr.exec, back->outputs[i]), bytes);
        }
        pr_end(&pr);
        data_end(&d);
    }
    for (i = 0; i < 5; i++)
        free(kept[i]);
}

static void expect_refusal(const char *word, size_t input, unsigned rank, int64_t a, int64_t b, int64_t c)
{
    static const int64_t good[N_IN][3] = {{3, 2, 5}, {1, 12, 5}, {1, 12, 4}, {1, 24, 0}, {1, 2, 4}};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_gru_params params;
    vecq_var *in[N_IN];
    program_run pr;
    vecq_op *op;
    size_t i;

    memset(&pr, 0, sizeof pr);
    memset(&params, 0, sizeof params);
    params.hidden = 4;
    for (i = 0; i < N_IN; i++) {
        const int64_t bad[3] = {a, b, c};

        in[i] = pr_input(&pr, VECQ_DT_FLOAT,
                         i == input ? rank
                         : i == B   ? 2
                                    : 3,
                         i == input ? bad : good[i], NULL);
    }
    assert_int_equal(
        vecq_program_op(&pr.program, VECQ_OP_GRU, "op", in, N_IN, &params, sizeof params, 0, &op, &err),
        VECQ_ERR_FORMAT);
    if (strstr(err.message, word) == NULL || strstr(err.message, "GRU 'op'") == NULL)
        fail_msg("'%s' does not name '%s'", err.message, word);
    pr_end(&pr);
}

static void test_shapes(void **state)
{
    (void)state;
    expect_refusal("steps x batch x size", 0, 2, 3, 2, 0);
    expect_refusal("W is 1x12x6", 1, 3, 1, 12, 6);
    expect_refusal("R is 1x16x4", 2, 3, 1, 16, 4);
    expect_refusal("B is 1x12", 3, 2, 1, 12, 0);
    expect_refusal("initial_h is 1x3x4", 4, 3, 1, 3, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_backward),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
