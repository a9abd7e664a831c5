/* SPDX-License-Identifier: Apache-2.0 */
/* InstanceNormalization and LRN, which become other ops: values by their formulas, slopes, refusals. */
#include "vecq_test.h"

#include "graph/gradient.h"
#include "graph/lower.h"
#include "onnx/document.h"
#include "onnx_model.h"
#include "program_run.h"

#define BATCH    2
#define CHANNELS 3
#define PLANE    4
#define COUNT    (BATCH * CHANNELS * PLANE)

static const float scale[CHANNELS] = {2, -1, 0.5f}, bias[CHANNELS] = {1, 0, -3};

/* y and the gradient of sum(y^2) with respect to x, by the program of one node. */
typedef struct norm_run {
    double y[COUNT], dx[COUNT];
} norm_run;

static vecq_status run_program(program_run *pr, vecq_store *store, vecq_ir *ir, unsigned rank,
                               const int64_t *dims, const double *x, norm_run *out, vecq_error *err)
{
    static const char *const names[] = {"y"};
    static const vecq_reduce_params all = {.axes = {1, 1, 1, 1, 1}};
    vecq_lower_options options = {.is_training = 1};
    vecq_lower_input input = {"x", NULL};
    vecq_var *y, *loss, *dx;
    vecq_status status;
    size_t i;

    input.var = pr_input(pr, VECQ_DT_FLOAT, rank, dims, x);
    status = vecq_lower_graph(&pr->program, store, ir, &options, &input, 1, names, 1, &y, err);
    if (status != VECQ_OK)
        return status;
    y->is_output = 1;
    assert_ok(vecq_program_op2(&pr->program, VECQ_OP_MUL, "square", y, y, NULL, 0, &loss, err), err);
    assert_ok(vecq_program_op1(&pr->program, VECQ_OP_REDUCE_SUM, "sum", loss, &all, sizeof all, &loss, err),
              err);
    assert_ok(vecq_program_differentiate(&pr->program, loss, &input.var, 1, &dx, err), err);
    assert_ok(pr_run(pr, 1, err), err);
    assert_int_equal(y->count, COUNT);
    assert_true(vecq_var_same_shape(y, input.var));
    for (i = 0; i < COUNT; i++) {
        out->y[i] = pr_value(pr, y, i);
        out->dx[i] = pr_value(pr, dx, i);
    }
    return VECQ_OK;
}

/* names, values: attributes, floats but for "size"; a NULL name ends them. */
static vecq_status run_node(const char *op_type, int64_t opset, const char *inputs, unsigned rank,
                            const int64_t *dims, const double *x, const char *const *names,
                            const double *values, norm_run *out, vecq_error *err)
{
    static const int64_t channels = CHANNELS;
    vecq_document doc;
    vecq_message *node;
    vecq_store store;
    vecq_status status;
    program_run pr;
    model_build b;
    uint8_t *bytes;
    size_t n;

    memset(&doc, 0, sizeof doc);
    memset(&store, 0, sizeof store);
    memset(&pr, 0, sizeof pr);
    model_begin(&b, 8, opset);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, (int)rank, dims);
    model_output(&b, "y");
    model_tensor(&b, "scale", VECQ_DT_FLOAT, 1, &channels, scale, sizeof scale);
    model_tensor(&b, "bias", VECQ_DT_FLOAT, 1, &channels, bias, sizeof bias);
    node = model_node(&b, op_type, inputs, "y");
    for (; *names != NULL; names++, values++)
        assert_true(strcmp(*names, "size") == 0 ? vecq_onnx_node_int(node, *names, (int64_t)*values)
                                                : vecq_onnx_node_float(node, *names, (float)*values));
    bytes = model_bytes(&b, &n);
    doc.name = "m";
    doc.bytes.data = bytes;
    doc.bytes.n = n;
    assert_ok(vecq_document_read(&doc, err), err);
    status = run_program(&pr, &store, &doc.ir, rank, dims, x, out, err);
    pr_end(&pr);
    vecq_store_clear(&store);
    vecq_document_clear(&doc);
    free(bytes);
    return status;
}

static void fill(double *x)
{
    vecq_rng rng;
    size_t i;

    vecq_rng_seed(&rng, 8);
    for (i = 0; i < COUNT; i++)
        x[i] = (double)((int64_t)vecq_rng_below(&rng, 512) - 200) / 128;
}

typedef void (*formula)(const double *x, double *y);

/* The gradient of sum(y^2) by difference quotients of the formula. */
static void check(const char *what, formula f, const double *x, const norm_run *have)
{
    double at[COUNT], y[COUNT], sums[2];
    size_t i, k;
    int side;

    f(x, y);
    for (i = 0; i < COUNT; i++)
        pr_close(what, i, have->y[i], y[i], 2e-5);
    for (i = 0; i < COUNT; i++) {
        for (side = 0; side < 2; side++) {
            memcpy(at, x, sizeof at);
            at[i] += side == 0 ? -1e-5 : 1e-5;
            f(at, y);
            for (sums[side] = 0, k = 0; k < COUNT; k++)
                sums[side] += y[k] * y[k];
        }
        pr_close(what, i, have->dx[i], (sums[1] - sums[0]) / 2e-5, 1e-3);
    }
}

static void instance_formula(const double *x, double *y)
{
    size_t i, k;

    for (i = 0; i < COUNT; i += PLANE) {
        double mean = 0, variance = 0;

        for (k = 0; k < PLANE; k++)
            mean += x[i + k] / PLANE;
        for (k = 0; k < PLANE; k++)
            variance += (x[i + k] - mean) * (x[i + k] - mean) / PLANE;
        for (k = 0; k < PLANE; k++)
            y[i + k] = (double)scale[i / PLANE % CHANNELS] * (x[i + k] - mean) / sqrt(variance + 0.01) +
                       (double)bias[i / PLANE % CHANNELS];
    }
}

static void test_instance_normalization(void **state)
{
    static const struct {
        int64_t opset;
        unsigned rank;
        int64_t dims[5];
    } rows[] = {{6, 4, {2, 3, 2, 2}}, {22, 3, {2, 3, 4}}, {9, 5, {2, 3, 2, 1, 2}}};
    static const char *const names[] = {"epsilon", NULL};
    static const double values[] = {0.01};
    double x[COUNT];
    norm_run out;
    size_t i;

    (void)state;
    fill(x);
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        vecq_error err = VECQ_ERROR_INIT;

        assert_ok(run_node("InstanceNormalization", rows[i].opset, "x scale bias", rows[i].rank, rows[i].dims,
                           x, names, values, &out, &err),
                  &err);
        check("InstanceNormalization", instance_formula, x, &out);
    }
}

static int64_t lrn_size;

static void lrn_formula(const double *x, double *y)
{
    int64_t before = (lrn_size - 1) / 2, after = lrn_size - 1 - before, c, k;
    size_t i;

    for (i = 0; i < COUNT; i++) {
        double sum = 0;

        c = (int64_t)(i / PLANE % CHANNELS);
        for (k = c - before; k <= c + after; k++)
            if (k >= 0 && k < CHANNELS)
                sum += pow(x[(int64_t)i + (k - c) * PLANE], 2);
        y[i] = x[i] / pow(2 + 0.5 / (double)lrn_size * sum, 0.75);
    }
}

static void test_lrn(void **state)
{
    static const int64_t dims[4] = {2, 3, 2, 2}, sizes[] = {1, 2, 3, 5, 6};
    static const char *const names[] = {"size", "alpha", "bias", NULL};
    double x[COUNT];
    norm_run out;
    size_t i;

    (void)state;
    fill(x);
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const double values[] = {(double)sizes[i], 0.5, 2};
        vecq_error err = VECQ_ERROR_INIT;

        lrn_size = sizes[i];
        assert_ok(run_node("LRN", 13, "x", 4, dims, x, names, values, &out, &err), &err);
        check("LRN", lrn_formula, x, &out);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *op_type, *inputs;
        unsigned rank;
        int64_t dims[4];
        double size;
        const char *words;
    } rows[] = {
        {"InstanceNormalization", "x scale", 3, {2, 3, 4}, 1, "InstanceNormalization"},
        {"InstanceNormalization", "x scale bias", 3, {2, 2, 4}, 1, "2 channels"},
        {"InstanceNormalization", "x scale bias", 2, {2, 3}, 1, "2 dimensions"},
        {"LRN", "x", 3, {2, 3, 4}, 0, "size 0"},
        {"LRN", "x", 1, {3}, 1, "1 dimensions"},
    };
    static const char *const names[] = {"size", NULL};
    double x[COUNT] = {0};
    norm_run out;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        vecq_error err = VECQ_ERROR_INIT;

        assert_int_equal(run_node(rows[i].op_type, 13, rows[i].inputs, rows[i].rank, rows[i].dims, x, names,
                                  &rows[i].size, &out, &err),
                         VECQ_ERR_FORMAT);
        assert_error(&err, VECQ_ERR_FORMAT, rows[i].words, rows[i].op_type);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instance_normalization),
        cmocka_unit_test(test_lrn),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
