/* SPDX-License-Identifier: Apache-2.0 */
/* Where data enter a model and logits leave it, and whether data fit. */
#include "vecq_test.h"

#include "eval/ports.h"
#include "onnx/trained.h"
#include "onnx_model.h"

/* A model made on the spot, and what was found in it. */
typedef struct found {
    vecq_model *model;
    uint8_t *bytes;
    vecq_ports ports;
    vecq_error err;
    vecq_status status;
} found;

static void find(found *f, model_build *b, const char *input, const char *output)
{
    vecq_error err = VECQ_ERROR_INIT;
    size_t n;

    memset(f, 0, sizeof *f);
    f->bytes = model_bytes(b, &n);
    assert_ok(vecq_model_load_memory(f->bytes, n, "test", NULL, &f->model, &err), &err);
    f->status = vecq_ports_find(&vecq_model_document(f->model)->ir, input, output, &f->ports, &f->err);
}

static void drop(found *f)
{
    vecq_model_close(f->model);
    free(f->bytes);
}

/* x -> ops, one after the other -> the last value. */
static void chain(model_build *b, vecq_dtype dtype, int rank, const int64_t *dims, const char *const *ops)
{
    char in[16] = "x", out[16];
    size_t i;

    model_begin(b, 8, 17);
    model_formal_of(b, ONNX_GRAPH_INPUT, "x", dtype, rank, dims);
    for (i = 0; ops[i] != NULL; i++) {
        snprintf(out, sizeof out, "v%zu", i);
        model_node(b, ops[i], vecq_arena_string(&b->arena, in, strlen(in)),
                   vecq_arena_string(&b->arena, out, strlen(out)));
        memcpy(in, out, sizeof in);
    }
    model_output(b, vecq_arena_string(&b->arena, in, strlen(in)));
}

static const char *const relu[] = {"Relu", NULL};

static vecq_dataset_info images(size_t channels, size_t height, size_t width)
{
    vecq_dataset_info info = {
        .kind = VECQ_DATASET_IMAGES, .channels = channels, .height = height, .width = width};

    return info;
}

static vecq_dataset_info texts(size_t length)
{
    vecq_dataset_info info = {.kind = VECQ_DATASET_TEXT, .length = length};

    return info;
}

/* ---- inputs ---- */

static void test_layouts(void **state)
{
    static const struct {
        int rank;
        int64_t dims[5];
        vecq_ports_layout layout;
        size_t channels, height, width;
    } rows[] = {
        {4, {-1, 3, 32, 40}, VECQ_PORTS_NCHW, 3, 32, 40}, {4, {-1, 32, 40, 3}, VECQ_PORTS_NHWC, 3, 32, 40},
        {4, {1, 1, 28, 28}, VECQ_PORTS_NCHW, 1, 28, 28},  {4, {-2, 28, 28, 1}, VECQ_PORTS_NHWC, 1, 28, 28},
        {4, {-1, -1, -1, 3}, VECQ_PORTS_NHWC, 3, 0, 0},   {4, {-1, 3, -1, -1}, VECQ_PORTS_NCHW, 3, 0, 0},
        {4, {-1, 3, 3, 3}, VECQ_PORTS_NCHW, 3, 3, 3},     {4, {-1, -1, -1, -1}, VECQ_PORTS_NCHW, 0, 0, 0},
        {2, {-1, 784}, VECQ_PORTS_NCHW, 0, 0, 0},         {3, {-1, 28, 28}, VECQ_PORTS_NCHW, 0, 0, 0},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        model_build b;
        found f;

        chain(&b, VECQ_DT_FLOAT, rows[i].rank, rows[i].dims, relu);
        find(&f, &b, NULL, NULL);
        assert_ok(f.status, &f.err);
        assert_string_equal(f.ports.input, "x");
        assert_string_equal(f.ports.logits, "v0");
        assert_int_equal(f.ports.layout, rows[i].layout);
        assert_int_equal(f.ports.rank, rows[i].rank);
        assert_int_equal(f.ports.channels, rows[i].channels);
        assert_int_equal(f.ports.height, rows[i].height);
        assert_int_equal(f.ports.width, rows[i].width);
        drop(&f);
    }
}

static void test_tokens(void **state)
{
    static const int64_t open_length[] = {-1, -1}, fixed[] = {-1, 80}, three[] = {-1, 80, 2};
    vecq_dataset_info info = texts(80);
    model_build b;
    found f;

    (void)state;
    chain(&b, VECQ_DT_INT64, 2, open_length, relu);
    find(&f, &b, NULL, NULL);
    assert_ok(f.status, &f.err);
    assert_true(f.ports.layout == VECQ_PORTS_TOKENS && f.ports.length == 0);
    assert_ok(vecq_ports_fit(&f.ports, &info, &f.err), &f.err);
    assert_true(f.ports.length == 80 && f.ports.dims[1] == 80);
    drop(&f);
    chain(&b, VECQ_DT_INT32, 2, fixed, relu);
    find(&f, &b, NULL, NULL);
    assert_ok(f.status, &f.err);
    assert_true(f.ports.length == 80 && f.ports.dtype == VECQ_DT_INT32);
    info.length = 81;
    assert_int_equal(vecq_ports_fit(&f.ports, &info, &f.err), VECQ_ERR_VALUE);
    assert_error(&f.err, VECQ_ERR_VALUE, "80 tokens", "data.length");
    drop(&f);
    chain(&b, VECQ_DT_INT64, 3, three, relu);
    find(&f, &b, NULL, NULL);
    assert_error(&f.err, VECQ_ERR_UNSUPPORTED, "'x' has 3 dimensions", NULL);
    drop(&f);
}

static void test_unfit_inputs(void **state)
{
    static const int64_t image[] = {-1, 3, 8, 8}, five[] = {-1, 5, 8, 8}, one[] = {8};
    static const struct {
        vecq_dtype dtype;
        int rank;
        const int64_t *dims;
        const char *word;
    } rows[] = {{VECQ_DT_FLOAT, -1, NULL, "does not say its shape"},
                {VECQ_DT_FLOAT, 1, one, "less than two dimensions"},
                {VECQ_DT_DOUBLE, 4, image, "'x' is"},
                {VECQ_DT_BOOL, 4, image, "'x' is"},
                {VECQ_DT_FLOAT, 4, five, "5 channels"}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        model_build b;
        found f;

        chain(&b, rows[i].dtype, rows[i].rank, rows[i].dims, relu);
        find(&f, &b, NULL, NULL);
        assert_error(&f.err, VECQ_ERR_UNSUPPORTED, rows[i].word, "x");
        drop(&f);
    }
}

static void test_several_inputs(void **state)
{
    static const int64_t dims[] = {-1, 1, 8, 8};
    static const int64_t two[] = {2, 2};
    const char *const names[] = {NULL, "b", "z", "w"};
    size_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        model_build b;
        found f;

        model_begin(&b, 8, 17);
        model_formal_of(&b, ONNX_GRAPH_INPUT, "unused", VECQ_DT_FLOAT, 4, dims);
        model_formal_of(&b, ONNX_GRAPH_INPUT, "w", VECQ_DT_FLOAT, 2, two); /* an initializer: old models */
        model_formal_of(&b, ONNX_GRAPH_INPUT, "a", VECQ_DT_FLOAT, 4, dims);
        model_formal_of(&b, ONNX_GRAPH_INPUT, "b", VECQ_DT_FLOAT, 4, dims);
        model_weight(&b, "w", 2, two);
        model_node(&b, "Add", "a b", "c");
        model_node(&b, "Add", "c w", "out");
        model_output(&b, "out");
        find(&f, &b, names[i], NULL);
        if (i == 0) {
            assert_error(&f.err, VECQ_ERR_UNSUPPORTED, "('a', 'b', ...)", "model.input");
        } else if (i == 1) {
            assert_ok(f.status, &f.err);
            assert_string_equal(f.ports.input, "b");
        } else {
            assert_error(&f.err, VECQ_ERR_VALUE, "no input", names[i]);
        }
        drop(&f);
    }
    { /* none is needed: what nobody reads does not count */
        static const char *const none[] = {NULL};
        model_build b;
        found f;

        chain(&b, VECQ_DT_FLOAT, 4, dims, none);
        find(&f, &b, NULL, NULL);
        assert_int_not_equal(f.status, VECQ_OK);
        drop(&f);
    }
}

/* ---- outputs ---- */

static void test_activations(void **state)
{
    static const int64_t dims[] = {-1, 10};
    static const struct {
        const char *ops[6], *logits;
    } rows[] = {{{"Relu"}, "v0"},
                {{"Relu", "Softmax"}, "v0"},
                {{"Relu", "LogSoftmax"}, "v0"},
                {{"Relu", "Sigmoid"}, "v0"},
                {{"Relu", "Identity", "Softmax", "Identity"}, "v0"},
                {{"Relu", "Sigmoid", "Softmax"}, "v1"}, /* the Sigmoid is a part of the network */
                {{"Relu", "Softmax", "Softmax"}, "v1"},
                {{"Softmax", "Relu"}, "v1"},
                {{"Softmax"}, "x"}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        model_build b;
        found f;

        chain(&b, VECQ_DT_FLOAT, 2, dims, rows[i].ops);
        find(&f, &b, NULL, NULL);
        assert_ok(f.status, &f.err);
        assert_string_equal(f.ports.logits, rows[i].logits);
        drop(&f);
    }
}

static void test_named_output(void **state)
{
    static const int64_t dims[] = {-1, 10};
    static const char *const ops[] = {"Relu", "Relu", "Softmax", NULL};
    model_build b;
    found f;

    (void)state;
    chain(&b, VECQ_DT_FLOAT, 2, dims, ops);
    find(&f, &b, NULL, "v0");
    assert_string_equal(f.ports.logits, "v0");
    drop(&f);
    chain(&b, VECQ_DT_FLOAT, 2, dims, ops);
    find(&f, &b, NULL, "v2"); /* asked for by name: taken as it is */
    assert_string_equal(f.ports.logits, "v2");
    drop(&f);
    chain(&b, VECQ_DT_FLOAT, 2, dims, ops);
    find(&f, &b, NULL, "v9");
    assert_error(&f.err, VECQ_ERR_VALUE, "'v9'", "model.output");
    drop(&f);
}

/* ---- data ---- */

static void test_fit(void **state)
{
    static const struct {
        unsigned rank;
        int64_t dims[6];
        vecq_ports_layout layout;
        size_t channels, height, width;
        int64_t fitted[6]; /* all 0: it does not fit */
    } rows[] = {
        {4, {-1, 3, 32, 32}, VECQ_PORTS_NCHW, 3, 32, 32, {-1, 3, 32, 32}},
        {4, {-1, -1, -1, -1}, VECQ_PORTS_NCHW, 3, 32, 16, {-1, 3, 32, 16}},
        {4, {-1, -1, -1, 3}, VECQ_PORTS_NHWC, 3, 32, 16, {-1, 32, 16, 3}},
        {4, {-1, 3, 32, 32}, VECQ_PORTS_NCHW, 1, 32, 32, {0}},
        {4, {-1, 3, 32, 32}, VECQ_PORTS_NCHW, 3, 32, 31, {0}},
        {4, {-1, 3, 16, 64}, VECQ_PORTS_NCHW, 3, 32, 32, {0}}, /* as many elements are not enough */
        {2, {-1, 784}, VECQ_PORTS_NCHW, 1, 28, 28, {-1, 784}},
        {2, {-1, -1}, VECQ_PORTS_NCHW, 1, 28, 28, {-1, 784}},
        {2, {-1, 783}, VECQ_PORTS_NCHW, 1, 28, 28, {0}},
        {3, {-1, 28, 28}, VECQ_PORTS_NCHW, 1, 28, 28, {-1, 28, 28}},
        {3, {-1, -1, 28}, VECQ_PORTS_NCHW, 1, 28, 28, {-1, 28, 28}},
        {3, {-1, -1, -1}, VECQ_PORTS_NCHW, 1, 28, 28, {0}},
        {3, {-1, -1, 27}, VECQ_PORTS_NCHW, 1, 28, 28, {0}},
        {3, {-1, 0, 784}, VECQ_PORTS_NCHW, 1, 28, 28, {0}},
        {5, {-1, 1, 1, 28, 28}, VECQ_PORTS_NCHW, 1, 28, 28, {-1, 1, 1, 28, 28}},
        /* products that would be too large for 64 bits, or 0 in them */
        {5, {-1, INT64_C(1) << 32, INT64_C(1) << 32, -1, 1}, VECQ_PORTS_NCHW, 1, 28, 28, {0}},
        {5, {-1, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX}, VECQ_PORTS_NCHW, 1, 28, 28, {0}},
    };
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        vecq_dataset_info info = images(rows[i].channels, rows[i].height, rows[i].width);
        vecq_ports ports = {.input = "x", .rank = rows[i].rank, .layout = rows[i].layout};
        vecq_error err = VECQ_ERROR_INIT;

        memcpy(ports.dims, rows[i].dims, sizeof rows[i].dims);
        if (rows[i].fitted[0] == 0) {
            assert_int_equal(vecq_ports_fit(&ports, &info, &err), VECQ_ERR_VALUE);
            assert_error(&err, VECQ_ERR_VALUE, "input 'x' is", "data.height");
            continue;
        }
        assert_ok(vecq_ports_fit(&ports, &info, &err), &err);
        for (k = 0; k < rows[i].rank; k++)
            assert_true(ports.dims[k] == rows[i].fitted[k]);
        assert_int_equal(ports.channels * ports.height * ports.width,
                         info.channels * info.height * info.width);
    }
}

static void test_kinds(void **state)
{
    vecq_ports tokens = {.input = "x", .layout = VECQ_PORTS_TOKENS, .rank = 2, .dims = {-1, -1}};
    vecq_ports pixels = {.input = "x", .layout = VECQ_PORTS_NCHW, .rank = 2, .dims = {-1, -1}};
    vecq_dataset_info image = images(1, 8, 8), text = texts(64);
    vecq_error err = VECQ_ERROR_INIT, again = VECQ_ERROR_INIT;

    (void)state;
    assert_int_equal(vecq_ports_fit(&tokens, &image, &err), VECQ_ERR_VALUE);
    assert_error(&err, VECQ_ERR_VALUE, "takes token ids", "images");
    assert_int_equal(vecq_ports_fit(&pixels, &text, &again), VECQ_ERR_VALUE);
    assert_error(&again, VECQ_ERR_VALUE, "takes images", "texts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),      cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_unfit_inputs), cmocka_unit_test(test_several_inputs),
        cmocka_unit_test(test_activations),  cmocka_unit_test(test_named_output),
        cmocka_unit_test(test_fit),          cmocka_unit_test(test_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
