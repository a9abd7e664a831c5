/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalization: values, gradients with batch and frozen statistics, running averages, lowering. */
#include "vecq_test.h"

#include "base/status.h"
#include "gradient_check.h"
#include "graph/lower.h"
#include "onnx/document.h"
#include "onnx_model.h"
#include "program_run.h"

static const vecq_norm_params params = {.epsilon = 1e-3};

static const struct {
    unsigned rank;
    int64_t dims[5];
} shapes[] = {
    {2, {5, 3}},          /* after Gemm */
    {3, {2, 3, 4}},       /* sequences */
    {4, {3, 2, 3, 3}},    /* images */
    {5, {2, 3, 2, 2, 3}}, /* volumes */
    {4, {4, 1, 1, 1}},
};

#define N_SHAPES (sizeof shapes / sizeof *shapes)

static vecq_status build_train(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                               size_t *n_out, vecq_error *err)
{
    vecq_op *op;

    (void)extra;
    VECQ_TRY(vecq_program_op(program, VECQ_OP_BATCH_NORM_TRAIN, "norm", in, 3, &params, sizeof params, 0, &op,
                             err));
    out[0] = op->outputs[0];
    *n_out = 1;
    return VECQ_OK;
}

static vecq_status build_frozen(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                                size_t *n_out, vecq_error *err)
{
    vecq_op *op;

    (void)extra;
    VECQ_TRY(
        vecq_program_op(program, VECQ_OP_BATCH_NORM, "norm", in, 5, &params, sizeof params, 0, &op, err));
    out[0] = op->outputs[0];
    *n_out = 1;
    return VECQ_OK;
}

static void test_gradients(void **state)
{
    size_t i, k;
    int is_frozen;

    (void)state;
    for (i = 0; i < N_SHAPES; i++)
        for (is_frozen = 0; is_frozen < 2; is_frozen++) {
            gc_case gc = {.name = is_frozen ? "frozen" : "batch",
                          .n_inputs = is_frozen ? 5 : 3,
                          .build = is_frozen ? build_frozen : build_train};

            gc.inputs[0].rank = shapes[i].rank;
            memcpy(gc.inputs[0].dims, shapes[i].dims, sizeof shapes[i].dims);
            for (k = 1; k < 5; k++) {
                gc.inputs[k].rank = 1;
                gc.inputs[k].dims[0] = shapes[i].dims[1];
                gc.inputs[k].is_fixed = k > 2;
                gc.inputs[k].low = k == 3 ? -1 : 0.2;
                gc.inputs[k].high = 2;
            }
            gc_run(&gc);
        }
}

/* Mean, biased variance and results of a channel by their formulas, with numbers far from zero. */
static void check_train(size_t s, vecq_dtype dtype)
{
    int64_t c = shapes[s].dims[1];
    size_t count = pr_count(shapes[s].rank, shapes[s].dims), channels = (size_t)c, i;
    size_t plane = count / (size_t)(shapes[s].dims[0] * c), n = count / channels;
    double tolerance = dtype == VECQ_DT_FLOAT ? 2e-4 : 1e-11;
    double *x = calloc(count, sizeof *x), scale[3] = {2, -1, 0.5}, bias[3] = {1, 0, -3};
    double mean[3] = {0}, variance[3] = {0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *in[3];
    vecq_op *op;
    program_run pr;
    vecq_rng rng;

    assert_non_null(x);
    memset(&pr, 0, sizeof pr);
    vecq_rng_seed(&rng, 4);
    for (i = 0; i < count; i++) {
        x[i] = 100 + (double)vecq_rng_below(&rng, 1024) / 256;
        mean[i / plane % channels] += x[i] / (double)n;
    }
    for (i = 0; i < count; i++)
        variance[i / plane % channels] += pow(x[i] - mean[i / plane % channels], 2) / (double)n;
    in[0] = pr_input(&pr, dtype, shapes[s].rank, shapes[s].dims, x);
    in[1] = pr_input(&pr, dtype, 1, &c, scale);
    in[2] = pr_input(&pr, dtype, 1, &c, bias);
    op = pr_op(&pr, VECQ_OP_BATCH_NORM_TRAIN, in, 3, &params, sizeof params, 0);
    assert_ok(pr_run(&pr, 2, &err), &err);
    for (i = 0; i < channels; i++) {
        pr_close("mean", i, pr_value(&pr, op->outputs[1], i), mean[i], tolerance);
        pr_close("variance", i, pr_value(&pr, op->outputs[2], i), variance[i], tolerance);
    }
    for (i = 0; i < count; i++) {
        size_t k = i / plane % channels;

        pr_close("y", i, pr_value(&pr, op->outputs[0], i),
                 scale[k] * (x[i] - mean[k]) / sqrt(variance[k] + params.epsilon) + bias[k], tolerance);
    }
    pr_end(&pr);
    free(x);
}

static void test_batch_statistics(void **state)
{
    size_t s;

    (void)state;
    for (s = 0; s < N_SHAPES; s++) {
        check_train(s, VECQ_DT_FLOAT);
        check_train(s, VECQ_DT_DOUBLE);
    }
}

static void test_given_statistics(void **state)
{
    static const int64_t dims[3] = {2, 2, 2}, two = 2;
    static const double x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, scale[2] = {2, 3}, bias[2] = {1, -1};
    static const double mean[2] = {1, 5}, variance[2] = {0.999, 3.999};
    static const double want[8] = {1, 3, -4, -2.5, 9, 11, 2, 3.5};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *in[5];
    vecq_op *op;
    program_run pr;
    size_t i;

    (void)state;
    memset(&pr, 0, sizeof pr);
    in[0] = pr_input(&pr, VECQ_DT_DOUBLE, 3, dims, x);
    in[1] = pr_input(&pr, VECQ_DT_DOUBLE, 1, &two, scale);
    in[2] = pr_input(&pr, VECQ_DT_DOUBLE, 1, &two, bias);
    in[3] = pr_input(&pr, VECQ_DT_DOUBLE, 1, &two, mean);
    in[4] = pr_input(&pr, VECQ_DT_DOUBLE, 1, &two, variance);
    op = pr_op(&pr, VECQ_OP_BATCH_NORM, in, 5, &params, sizeof params, 0);
    assert_ok(pr_run(&pr, 1, &err), &err);
    for (i = 0; i < 8; i++)
        pr_close("y", i, pr_value(&pr, op->outputs[0], i), want[i], 1e-12);
    pr_end(&pr);
}

static void test_refusals(void **state)
{
    static const int64_t x_dims[3] = {2, 3, 4}, none_dims[3] = {0, 3, 4}, three = 3, four = 4;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *x, *none, *flat, *good, *bad, *whole;
    vecq_program program;
    vecq_op *op;

    (void)state;
    memset(&program, 0, sizeof program);
    assert_ok(vecq_program_input(&program, "x", VECQ_DT_FLOAT, 3, x_dims, &x, &err), &err);
    assert_ok(vecq_program_input(&program, "none", VECQ_DT_FLOAT, 3, none_dims, &none, &err), &err);
    assert_ok(vecq_program_input(&program, "flat", VECQ_DT_FLOAT, 1, &three, &flat, &err), &err);
    assert_ok(vecq_program_input(&program, "good", VECQ_DT_FLOAT, 1, &three, &good, &err), &err);
    assert_ok(vecq_program_input(&program, "bad", VECQ_DT_FLOAT, 1, &four, &bad, &err), &err);
    assert_ok(vecq_program_input(&program, "whole", VECQ_DT_INT32, 1, &three, &whole, &err), &err);
    {
        const struct {
            vecq_var *in[3];
            const char *words;
        } rows[] = {{{flat, good, good}, "shape 3"}, {{x, bad, good}, "input 1"},
                    {{x, good, bad}, "input 2"},     {{x, good, whole}, "input 2"},
                    {{whole, good, good}, "int32"},  {{none, good, good}, "without elements"}};
        size_t i;

        for (i = 0; i < sizeof rows / sizeof *rows; i++) {
            memset(&err, 0, sizeof err);
            assert_int_equal(vecq_program_op(&program, VECQ_OP_BATCH_NORM_TRAIN, "n", rows[i].in, 3, &params,
                                             sizeof params, 0, &op, &err),
                             VECQ_ERR_FORMAT);
            if (strstr(err.message, rows[i].words) == NULL)
                fail_msg("row %zu: '%s' does not say '%s'", i, err.message, rows[i].words);
        }
        memset(&err, 0, sizeof err);
        { /* only states can be averaged */
            vecq_var *in[2] = {good, flat};
            vecq_average_params average = {.momentum = 0.9, .factor = 1};

            assert_int_equal(vecq_program_op(&program, VECQ_OP_MOVING_AVERAGE, "m", in, 2, &average,
                                             sizeof average, 0, &op, &err),
                             VECQ_ERR_FORMAT);
        }
    }
    vecq_program_clear(&program);
}

/* ---- from ONNX: x [4, 2] -> BatchNormalization -> y ---- */

#define CHANNELS 2

static const float batch[4 * CHANNELS] = {1, 10, 2, 20, 3, 30, 6, 60};

typedef struct norm_model {
    uint8_t *bytes;
    vecq_document doc;
    vecq_store store;
    vecq_program program;
    vecq_exec *exec;
    vecq_var *y;
} norm_model;

static void norm_begin(norm_model *m, int64_t opset, int computed)
{
    static const int64_t two = CHANNELS, dims[2] = {-1, CHANNELS};
    static const float numbers[4][CHANNELS] = {{1, 2}, {0, 1}, {4, 8}, {1, 9}};
    static const char *const names[4] = {"scale", "bias", "mean", "var"};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_message *node;
    model_build b;
    size_t i, n;

    memset(m, 0, sizeof *m);
    model_begin(&b, 8, opset);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, 2, dims);
    model_output(&b, "y");
    for (i = 0; i < 4; i++)
        model_tensor(&b, names[i], VECQ_DT_FLOAT, 1, &two, numbers[i], sizeof numbers[i]);
    if (computed) { /* statistics that no tensor of the model holds */
        static const int64_t first = 0;

        node = model_node(&b, "ReduceMean", "x", "mean2");
        assert_true(vecq_onnx_node_ints(node, "axes", &first, 1));
        assert_true(vecq_onnx_node_int(node, "keepdims", 0));
    }
    node = model_node(&b, "BatchNormalization", computed ? "x scale bias mean2 var" : "x scale bias mean var",
                      "y");
    assert_true(vecq_onnx_node_float(node, "epsilon", 0));
    assert_true(vecq_onnx_node_float(node, "momentum", 0.75f));
    m->bytes = model_bytes(&b, &n);
    m->doc.name = "m";
    m->doc.bytes.data = m->bytes;
    m->doc.bytes.n = n;
    assert_ok(vecq_document_read(&m->doc, &err), &err);
}

static vecq_status norm_run(norm_model *m, vecq_lower_options options, int runs, vecq_error *err)
{
    static const int64_t dims[2] = {4, CHANNELS};
    static const char *const names[] = {"y"};
    vecq_exec_options exec_options = {.threads = 1, .is_training = options.is_training};
    vecq_run run = {.threads = 1, .check = 1};
    vecq_lower_input input = {"x", NULL};

    VECQ_TRY(vecq_program_input(&m->program, "x", VECQ_DT_FLOAT, 2, dims, &input.var, err));
    VECQ_TRY(vecq_lower_graph(&m->program, &m->store, &m->doc.ir, &options, &input, 1, names, 1, &m->y, err));
    m->y->is_output = 1;
    VECQ_TRY(vecq_exec_create(&m->program, &exec_options, &m->exec, err));
    vecq_exec_bind(m->exec, input.var, batch);
    while (runs-- > 0)
        VECQ_TRY(vecq_exec_run(m->exec, &run, err));
    return VECQ_OK;
}

static void norm_end(norm_model *m)
{
    vecq_exec_destroy(m->exec);
    vecq_program_clear(&m->program);
    vecq_store_clear(&m->store);
    vecq_document_clear(&m->doc);
    free(m->bytes);
}

static float stored(const norm_model *m, const char *name, size_t i)
{
    const vecq_stored *item = vecq_store_find(&m->store, name);

    assert_non_null(item);
    return ((const float *)item->tensor.data)[i];
}

static size_t count_ops(const norm_model *m, vecq_op_kind kind)
{
    size_t i, n = 0;

    for (i = 0; i < m->program.n_ops; i++)
        n += m->program.ops[i]->kind == kind;
    return n;
}

/* The batch has mean 3 and 30, biased variance 3.5 and 350, unbiased 4/3 of it. */
static void test_lower_training(void **state)
{
    static const int64_t opsets[] = {7, 9, 14, 15};
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof opsets / sizeof *opsets; i++) {
        vecq_lower_options options = {.is_training = 1};
        vecq_error err = VECQ_ERROR_INIT;
        double mean[2] = {4, 8}, variance[2] = {1, 9};
        const float *y;
        norm_model m;

        norm_begin(&m, opsets[i], 0);
        assert_ok(norm_run(&m, options, 3, &err), &err);
        for (k = 0; k < 3; k++) {
            mean[0] = 0.75 * mean[0] + 0.25 * 3;
            mean[1] = 0.75 * mean[1] + 0.25 * 30;
            variance[0] = 0.75 * variance[0] + 0.25 * 14 / 3;
            variance[1] = 0.75 * variance[1] + 0.25 * 1400 / 3;
        }
        for (k = 0; k < 2; k++) {
            pr_close("mean", k, (double)stored(&m, "mean", k), mean[k], 1e-6);
            pr_close("variance", k, (double)stored(&m, "var", k), variance[k], 1e-6);
        }
        y = vecq_exec_data(m.exec, m.y);
        for (k = 0; k < 4; k++) {
            double u = ((double)batch[2 * k] - 3) / sqrt(3.5);

            pr_close("y", 2 * k, (double)y[2 * k], u, 1e-6);
            pr_close("y", 2 * k + 1, (double)y[2 * k + 1], 2 * u + 1, 1e-6);
        }
        assert_false(vecq_store_find(&m.store, "mean")->is_trained);
        assert_true(vecq_store_find(&m.store, "scale")->is_trained);
        norm_end(&m);
    }
}

/* Evaluation, frozen normalisation, a teacher, statistics that are not the model's tensors: as they are
 * given. */
static void test_lower_given(void **state)
{
    static const struct {
        vecq_lower_options options;
        int computed;
    } rows[] = {{{.is_training = 0}, 0},
                {{.is_training = 1, .norm_is_frozen = 1}, 0},
                {{.is_training = 1, .is_frozen = 1}, 0},
                {{.is_training = 1}, 1}};
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        vecq_error err = VECQ_ERROR_INIT;
        const float *y;
        norm_model m;

        norm_begin(&m, 15, rows[i].computed);
        assert_ok(norm_run(&m, rows[i].options, 2, &err), &err);
        assert_int_equal(count_ops(&m, VECQ_OP_MOVING_AVERAGE), 0);
        assert_int_equal(count_ops(&m, VECQ_OP_BATCH_NORM), 1);
        y = vecq_exec_data(m.exec, m.y);
        for (k = 0; k < 4; k++) {
            double mean[2] = {rows[i].computed ? 3 : 4, rows[i].computed ? 30 : 8};

            pr_close("y", 2 * k, (double)y[2 * k], (double)batch[2 * k] - mean[0], 1e-6);
            pr_close("y", 2 * k + 1, (double)y[2 * k + 1], 2 * ((double)batch[2 * k + 1] - mean[1]) / 3 + 1,
                     1e-6);
        }
        norm_end(&m);
    }
}

static void test_lower_refusals(void **state)
{
    vecq_lower_options options = {.is_training = 1};
    vecq_error err = VECQ_ERROR_INIT;
    norm_model m;

    (void)state;
    norm_begin(&m, 6, 0);
    assert_int_equal(norm_run(&m, options, 1, &err), VECQ_ERR_UNSUPPORTED);
    assert_error(&err, VECQ_ERR_UNSUPPORTED, "BatchNormalization", "opset 6");
    norm_end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch_statistics), cmocka_unit_test(test_given_statistics),
        cmocka_unit_test(test_gradients),        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_lower_training),   cmocka_unit_test(test_lower_given),
        cmocka_unit_test(test_lower_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
