/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic, activations, reductions, products from ONNX nodes of all versions: values, refusals, ops made.
 */
#include "vecq_test.h"

#include "graph/lower.h"
#include "onnx/document.h"
#include "onnx_model.h"
#include "program_run.h"

/*
 * Values are texts: "2x3: 1 2 3 4 5 6", a scalar is ": 1", integers begin with "i", an omitted input is "-".
 * Attributes: "alpha f 0.5, axis i 1, axes l 0 1, approximate s tanh".
 */
typedef struct lower_case {
    const char *op_type;
    int opset;
    const char *attrs;
    const char *x;         /* the model's input */
    const char *others[3]; /* initializers that follow; NULL: no more */
    const char *want;      /* the result, or words of the refusal after a '!' */
} lower_case;

static const lower_case cases[] = {
    /* two operands, old and new broadcasting */
    {"Add", 7, "", "2x2: 1 2 3 4", {"2: 10 20"}, "2x2: 11 22 13 24"},
    {"Add", 14, "", "1x3: 1 2 3", {"2x1: 10 20"}, "2x3: 11 12 13 21 22 23"},
    {"Add", 6, "broadcast i 1, axis i 0", "2x2: 1 2 3 4", {"2: 10 20"}, "2x2: 11 12 23 24"},
    {"Add", 6, "broadcast i 1", "2x2: 1 2 3 4", {"2: 10 20"}, "2x2: 11 22 13 24"},
    {"Add", 1, "broadcast i 1, axis i 1", "1x2x2: 1 2 3 4", {"2: 10 20"}, "1x2x2: 11 12 23 24"},
    {"Add", 6, "broadcast i 1, axis i 2", "2x2: 1 2 3 4", {"2: 10 20"}, "!attribute 'axis' does not fit"},
    {"Add", 6, "broadcast i 1, axis i 9223372036854775807", "2: 1 2", {"2: 1 2"}, "!attribute 'axis'"},
    {"Add", 6, "broadcast i 1", "2: 1 2", {"2x2: 1 2 3 4"}, "!attribute 'axis'"},
    {"Add", 14, "", "2x2: 1 2 3 4", {"3: 1 2 3"}, "!2x2 and 3 do not fit"},
    {"Add", 14, "", "2: 1 2", {"i2: 1 2"}, "!operands of types float32 and"},
    {"Add", 14, "", "2: 1 2", {"-"}, "!input 1 is missing"},
    {"Sub", 14, "", "2: 1 2", {": 5"}, "2: -4 -3"},
    {"Mul", 14, "", "2: 1 2", {"2: 5 6"}, "2: 5 12"},
    {"Div", 14, "", "2: 1 3", {"2: 2 4"}, "2: 0.5 0.75"},
    {"Pow", 7, "", "3: 1 2 3", {"1: 2"}, "3: 1 4 9"},
    {"Pow", 15, "", "3: 1 2 3", {"i: 3"}, "3: 1 8 27"},
    {"Pow", 15, "", "3: 1 4 9", {"3: 0.5 0.5 2"}, "3: 1 2 81"},
    {"Max", 13, "", "3: 1 5 3", {"3: 2 2 2", "1: 3"}, "3: 3 5 3"},
    {"Min", 13, "", "3: 1 5 3", {"3: 2 2 2"}, "3: 1 2 2"},
    {"Max", 1, "", "3: 1 5 3", {NULL}, "3: 1 5 3"},
    {"Sum", 8, "", "2: 1 2", {"2: 10 20", "2x1: 100 200"}, "2x2: 111 122 211 222"},
    {"Mean", 13, "", "2: 1 2", {"2: 2 4", "1: 3"}, "2: 2 3"},
    /* activations */
    {"Relu", 6, "", "3: -1 0 2", {NULL}, "3: 0 0 2"},
    {"LeakyRelu", 6, "", "2: -1 2", {NULL}, "2: -0.01 2"},
    {"LeakyRelu", 16, "alpha f 0.5", "2: -1 2", {NULL}, "2: -0.5 2"},
    {"PRelu", 6, "", "1x2x2: -1 1 -2 2", {"2: 0.5 0.25"}, "1x2x2: -0.5 1 -0.5 2"},
    {"PRelu", 16, "", "1x2x2: -1 1 -2 2", {"2x1: 0.5 0.25"}, "1x2x2: -0.5 1 -0.5 2"},
    {"PRelu", 16, "", "2: -1 1", {"2x2: 1 1 1 1"}, "!the slope has more elements"},
    {"Clip", 6, "min f 0, max f 6", "4: -1 3 6 9", {NULL}, "4: 0 3 6 6"},
    {"Clip", 6, "", "2: -1e30 1e30", {NULL}, "2: -1e30 1e30"},
    {"Clip", 11, "", "4: -1 3 6 9", {": 0", ": 6"}, "4: 0 3 6 6"},
    {"Clip", 13, "", "4: -1 3 6 9", {"-", ": 6"}, "4: -1 3 6 6"},
    {"Clip", 13, "", "4: -1 3 6 9", {": 0"}, "4: 0 3 6 9"},
    {"Clip", 13, "", "2: 1 2", {"2: 1 2"}, "!the lower bound has too many elements"},
    {"Sigmoid", 13, "", "3: 0 100 -100", {NULL}, "3: 0.5 1 3.720076e-44"},
    {"Tanh", 13, "", "2: 0 1", {NULL}, "2: 0 0.7615942"},
    {"Elu", 6, "alpha f 2", "2: -1 3", {NULL}, "2: -1.2642411 3"},
    {"Selu", 6, "", "2: -1 1", {NULL}, "2: -1.1113307 1.05070102"},
    {"HardSigmoid", 6, "", "4: -3 0 1 3", {NULL}, "4: 0 0.5 0.7 1"},
    {"HardSigmoid", 6, "alpha f 0.5, beta f 0.25", "3: -3 1 3", {NULL}, "3: 0 0.75 1"},
    {"HardSwish", 14, "", "4: -4 -1 1 4", {NULL}, "4: 0 -0.3333333 0.6666667 4"},
    {"Softplus", 1, "", "2: 0 1", {NULL}, "2: 0.6931472 1.3132617"},
    {"Softsign", 1, "", "2: -1 3", {NULL}, "2: -0.5 0.75"},
    {"Gelu", 20, "", "3: -1 0 1", {NULL}, "3: -0.15865526 0 0.84134474"},
    {"Gelu", 20, "approximate s tanh", "2: -1 1", {NULL}, "2: -0.158808 0.841192"},
    {"Gelu", 20, "approximate s cubic", "2: -1 1", {NULL}, "!approximate 'cubic' is not supported"},
    {"Mish", 18, "", "2: 1 -1", {NULL}, "2: 0.8650984 -0.3034014"},
    {"Swish", 24, "alpha f 2", "2: 1 -1", {NULL}, "2: 0.8807971 -0.1192029"},
    {"Erf", 13, "", "1: 1", {NULL}, "1: 0.8427008"},
    {"Exp", 13, "", "1: 1", {NULL}, "1: 2.7182818"},
    {"Log", 13, "", "1: 2", {NULL}, "1: 0.6931472"},
    {"Sqrt", 13, "", "1: 2", {NULL}, "1: 1.4142136"},
    {"Neg", 13, "", "1: 2", {NULL}, "1: -2"},
    {"Abs", 13, "", "1: -2", {NULL}, "1: 2"},
    {"Reciprocal", 13, "", "1: 4", {NULL}, "1: 0.25"},
    {"Floor", 13, "", "1: -1.5", {NULL}, "1: -2"},
    {"Ceil", 13, "", "1: -1.5", {NULL}, "1: -1"},
    {"Round", 11, "", "4: 0.5 1.5 2.5 -2.5", {NULL}, "4: 0 2 2 -2"},
    {"Sign", 13, "", "3: -2 0 5", {NULL}, "3: -1 0 1"},
    {"Identity", 13, "", "2: 1 2", {NULL}, "2: 1 2"},
    /* softmax */
    {"Softmax", 13, "", "1x2x2: 0 0 1 1", {NULL}, "1x2x2: 0.5 0.5 0.5 0.5"},
    {"Softmax",
     13,
     "axis i 1",
     "1x2x2: 0 0 1 1",
     {NULL},
     "1x2x2: 0.26894142 0.26894142 0.73105858 0.73105858"},
    {"Softmax", 11, "", "1x2x2: 0 0 1 1", {NULL}, "1x2x2: 0.13447071 0.13447071 0.36552929 0.36552929"},
    {"Softmax", 11, "axis i -1", "1x2x2: 0 0 1 1", {NULL}, "1x2x2: 0.5 0.5 0.5 0.5"},
    {"Softmax", 11, "axis i 0", "2x1: 0 1", {NULL}, "2x1: 0.26894142 0.73105858"},
    {"Softmax", 1, "axis i 2", "1x2: 0 1", {NULL}, "1x2: 1 1"},
    {"Softmax", 13, "axis i 2", "1x2: 0 1", {NULL}, "!axis 2"},
    {"LogSoftmax", 13, "", "1x2: 0 0", {NULL}, "1x2: -0.6931472 -0.6931472"},
    {"LogSoftmax", 1, "", "1x2x1: 0 0", {NULL}, "1x2x1: -0.6931472 -0.6931472"},
    /* reductions */
    {"ReduceSum", 11, "axes l 1", "2x2: 1 2 3 4", {NULL}, "2x1: 3 7"},
    {"ReduceSum", 13, "keepdims i 0", "2x2: 1 2 3 4", {"i1: -2"}, "2: 4 6"},
    {"ReduceSum", 13, "keepdims i 0", "2x2: 1 2 3 4", {NULL}, ": 10"},
    {"ReduceSum", 13, "noop_with_empty_axes i 1", "2: 1 2", {NULL}, "2: 1 2"},
    {"ReduceSum", 13, "", "2x2: 1 2 3 4", {"i1: 2"}, "!axis 2"},
    {"ReduceMean", 13, "axes l 0 1", "2x2: 1 2 3 4", {NULL}, "1x1: 2.5"},
    {"ReduceMean", 18, "keepdims i 0", "2x2: 1 2 3 4", {"i1: 1"}, "2: 1.5 3.5"},
    {"ReduceMax", 18, "keepdims i 0", "2x2: 1 2 3 4", {"i1: 1"}, "2: 2 4"},
    {"ReduceMin", 13, "axes l 0, keepdims i 0", "2x2: 1 2 3 4", {NULL}, "2: 1 2"},
    {"ReduceL1", 13, "", "2: -3 4", {NULL}, "1: 7"},
    {"ReduceL2", 13, "", "2: -3 4", {NULL}, "1: 5"},
    {"ReduceSumSquare", 13, "", "2: -3 4", {NULL}, "1: 25"},
    {"Expand", 8, "", "2x1: 1 2", {"i2: 1 2"}, "2x2: 1 1 2 2"},
    {"Expand", 13, "", "2: 1 2", {"i2: 2 1"}, "2x2: 1 2 1 2"},
    {"Expand", 13, "", "2: 1 2", {"i1: 1"}, "2: 1 2"},
    {"Expand", 13, "", "2: 1 2", {"i1: 3"}, "!cannot be repeated to length 3"},
    {"Expand", 13, "", "1: 1", {"i1: -3"}, "!impossible shape"},
    /* products */
    {"Gemm", 13, "", "1x2: 1 2", {"2x2: 1 2 3 4"}, "1x2: 7 10"},
    {"Gemm", 13, "transB i 1", "1x2: 1 2", {"2x2: 1 2 3 4", "2: 100 200"}, "1x2: 105 211"},
    {"Gemm", 13, "transA i 1", "2x1: 1 2", {"2x2: 1 2 3 4", "1x2: 100 200"}, "1x2: 107 210"},
    {"Gemm", 13, "alpha f 2", "1x2: 1 2", {"2x2: 1 2 3 4", "2: 100 200"}, "1x2: 114 220"},
    {"Gemm", 13, "beta f 0.5", "1x2: 1 2", {"2x2: 1 2 3 4", "2: 100 200"}, "1x2: 57 110"},
    {"Gemm", 13, "beta f 0", "1x2: 1 2", {"2x2: 1 2 3 4", "2: 100 200"}, "1x2: 7 10"},
    {"Gemm", 11, "alpha f 0.5, beta f 2", "2x1: 1 2", {"1x2: 2 4", "2x1: 10 20"}, "2x2: 21 22 42 44"},
    {"Gemm", 11, "", "2x1: 1 2", {"1x2: 2 4", "2x2: 1 2 3 4"}, "2x2: 3 6 7 12"},
    {"Gemm", 11, "", "2x1: 1 2", {"1x2: 2 4", ": 1"}, "2x2: 3 5 5 9"},
    {"Gemm", 6, "broadcast i 1", "1x1x2: 1 2", {"2x2: 1 2 3 4", "2: 1 1"}, "1x2: 8 11"},
    {"Gemm", 11, "", "2x1: 1 2", {"1x2: 2 4", "3: 1 2 3"}, "!2x2 and 3 do not fit"},
    {"Gemm", 11, "", "1x1: 1", {"1x2: 2 4", "2x1: 1 2"}, "!C has another shape"},
    {"Gemm", 11, "", "1x1x1: 1", {"1x2: 2 4"}, "!rank 3 and 2"},
    {"MatMul", 13, "", "2x2: 1 2 3 4", {"2x1: 1 10"}, "2x1: 21 43"},
    {"MatMul", 13, "", "1x2x2: 1 2 3 4", {"2x1: 1 10"}, "1x2x1: 21 43"},
    {"MatMul", 13, "", "2: 1 2", {"2x2: 1 2 3 4"}, "2: 7 10"},
    {"MatMul", 13, "", "2x2: 1 2 3 4", {"2: 1 10"}, "2: 21 43"},
    {"MatMul", 13, "", "2: 1 2", {"2: 3 4"}, ": 11"},
    {"MatMul", 13, "", "2x1x2: 1 2 3 4", {"1x2x2: 1 2 3 4"}, "2x1x2: 7 10 15 22"},
    {"MatMul", 13, "", "2: 1 2", {"2x2x1: 1 2 3 4"}, "2x1: 5 11"},
    {"MatMul", 13, "", "2x2: 1 2 3 4", {"3x1: 1 10 100"}, "!2x2 and 3x1 do not fit"},
    {"MatMul", 13, "", ": 1", {"1x1: 1"}, "!no dimensions"},
    /* dropout does nothing but in training */
    {"Dropout", 6, "is_test i 1", "2: 1 2", {NULL}, "2: 1 2"},
    {"Dropout", 13, "", "2: 1 2", {": 0.5"}, "2: 1 2"},
};

typedef struct value {
    vecq_dtype dtype;
    unsigned rank;
    int64_t dims[6];
    size_t n;
    double v[16];
} value;

static value parse(const char *text)
{
    value out = {.dtype = VECQ_DT_FLOAT};
    char *end;

    if (*text == 'i') {
        out.dtype = VECQ_DT_INT64;
        text++;
    }
    while (*text != ':') {
        out.dims[out.rank++] = strtol(text, &end, 10);
        text = *end == 'x' ? end + 1 : end;
    }
    for (text++; *text != '\0'; text = end) {
        assert_true(out.n < 16);
        out.v[out.n++] = strtod(text, &end);
        assert_true(end > text);
    }
    assert_int_equal(pr_count(out.rank, out.dims), out.n);
    return out;
}

static void add_attrs(model_build *b, vecq_message *node, const char *text)
{
    char word_name[32], word[32];
    int n;

    while (sscanf(text, " %31s %31s%n", word_name, word, &n) == 2) {
        const char *name = vecq_arena_string(&b->arena, word_name, strlen(word_name));
        size_t length;

        text += n;
        length = strcspn(text, ",");
        if (word[0] == 'i') {
            assert_true(vecq_onnx_node_int(node, name, strtol(text, NULL, 10)));
        } else if (word[0] == 'f') {
            assert_true(vecq_onnx_node_float(node, name, strtof(text, NULL)));
        } else if (word[0] == 's') {
            assert_true(
                vecq_onnx_node_string(node, name, vecq_arena_string(&b->arena, text + 1, length - 1)));
        } else {
            const char *p = text;
            int64_t *list = vecq_arena_alloc(&b->arena, 4, sizeof *list);
            size_t count = 0;

            while (p < text + length && count < 4) {
                char *end;
                list[count++] = strtol(p, &end, 10);
                p = end;
            }
            assert_true(vecq_onnx_node_ints(node, name, list, count));
        }
        text += length + (text[length] == ',');
    }
}

static void add_tensor(model_build *b, const char *name, const char *text)
{
    value v = parse(text);
    float floats[16];
    int64_t integers[16];
    size_t i;

    for (i = 0; i < v.n; i++) {
        floats[i] = (float)v.v[i];
        integers[i] = (int64_t)v.v[i];
    }
    if (v.dtype == VECQ_DT_FLOAT)
        model_tensor(b, name, v.dtype, v.rank, v.dims, floats, v.n * sizeof *floats);
    else
        model_tensor(b, name, v.dtype, v.rank, v.dims, integers, v.n * sizeof *integers);
}

typedef struct lowered {
    uint8_t *bytes;
    vecq_document doc;
    vecq_store store;
    program_run pr;
    vecq_var *y;
} lowered;

static void lowered_end(lowered *w)
{
    pr_end(&w->pr);
    vecq_store_clear(&w->store);
    vecq_document_clear(&w->doc);
    free(w->bytes);
}

/* Lowers the finished model, whose output y is asked for. */
static vecq_status lower(model_build *b, const char *x, int is_training, lowered *w, vecq_error *err)
{
    vecq_lower_options options = {.is_training = is_training};
    static const char *const names[] = {"y"};
    vecq_lower_input input = {"x", NULL};
    value v = parse(x);
    vecq_status status;
    size_t n;

    memset(w, 0, sizeof *w);
    w->bytes = model_bytes(b, &n);
    w->doc.name = "m";
    w->doc.bytes.data = w->bytes;
    w->doc.bytes.n = n;
    assert_ok(vecq_document_read(&w->doc, err), err);
    input.var = pr_input(&w->pr, VECQ_DT_FLOAT, v.rank, v.dims, v.v);
    status =
        vecq_lower_graph(&w->pr.program, &w->store, &w->doc.ir, &options, &input, 1, names, 1, &w->y, err);
    if (status == VECQ_OK)
        w->y->is_output = 1;
    return status;
}

static void build(const lower_case *c, model_build *b)
{
    char inputs[64] = "x";
    int i;

    model_begin(b, 8, c->opset);
    model_input(b, "x");
    model_output(b, "y");
    for (i = 0; i < 3 && c->others[i] != NULL; i++) {
        char name[8];

        snprintf(name, sizeof name, "c%d", i);
        snprintf(inputs + strlen(inputs), 8, " %s", c->others[i][0] == '-' ? "-" : name);
        if (c->others[i][0] != '-')
            add_tensor(b, vecq_arena_string(&b->arena, name, 2), c->others[i]);
    }
    add_attrs(b, model_node(b, c->op_type, inputs, "y"), c->attrs);
}

static void check_case(const lower_case *c, size_t number)
{
    vecq_error err = VECQ_ERROR_INIT;
    char what[64], text[96];
    vecq_status status;
    model_build b;
    lowered w;
    size_t i;

    snprintf(what, sizeof what, "case %zu (%s)", number, c->op_type);
    build(c, &b);
    status = lower(&b, c->x, 0, &w, &err);
    if (c->want[0] == '!') {
        if (status == VECQ_OK || strstr(err.message, c->want + 1) == NULL ||
            strstr(err.message, c->op_type) == NULL)
            fail_msg("%s: '%s' does not say '%s'", what, err.message, c->want + 1);
    } else {
        value want = parse(c->want);

        if (status == VECQ_OK)
            status = pr_run(&w.pr, 1, &err);
        if (status != VECQ_OK)
            fail_msg("%s: %s", what, err.message);
        if (w.y->rank != want.rank || memcmp(w.y->dims, want.dims, want.rank * sizeof *want.dims) != 0)
            fail_msg("%s: the result is %s", what, vecq_var_shape_text(w.y, text));
        for (i = 0; i < want.n; i++)
            pr_close(what, i, pr_value(&w.pr, w.y, i), want.v[i], 1e-6);
    }
    lowered_end(&w);
}

static void test_cases(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(&cases[i], i);
}

/* What is made: ops by kind, in order. */
static void check_ops(const lower_case *c, const char *want)
{
    vecq_error err = VECQ_ERROR_INIT;
    char text[200] = "";
    model_build b;
    lowered w;
    size_t i;

    build(c, &b);
    assert_ok(lower(&b, c->x, 0, &w, &err), &err);
    for (i = 0; i < w.pr.program.n_ops; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " " : "",
                 w.pr.program.ops[i]->info->name);
    assert_string_equal(text, want);
    lowered_end(&w);
}

/* The usual forms come down to one op. */
static void test_ops(void **state)
{
    static const lower_case gemm = {"Gemm", 13, "transB i 1", "1x2: 1 2", {"2x2: 1 2 3 4", "2: 100 200"},
                                    NULL};
    static const lower_case matmul = {"MatMul", 13, "", "2x2: 1 2 3 4", {"2x1: 1 10"}, NULL};
    static const lower_case rows = {"MatMul", 13, "", "1x2x2: 1 2 3 4", {"2x1: 1 10"}, NULL};
    static const lower_case batched = {"MatMul", 13, "", "1x2x2: 1 2 3 4", {"1x2x1: 1 10"}, NULL};
    static const lower_case relu6 = {"Clip", 13, "", "2: 1 2", {": 0", ": 6"}, NULL};
    static const lower_case relu = {"Clip", 6, "min f 0", "2: 1 2", {NULL}, NULL};
    static const lower_case softmax = {"Softmax", 11, "", "1x2: 1 2", {NULL}, NULL};
    static const lower_case identity = {"Identity", 11, "", "1x2: 1 2", {NULL}, NULL};

    (void)state;
    check_ops(&gemm, "Gemm");
    check_ops(&matmul, "Gemm");
    check_ops(&rows, "Reshape Gemm Reshape");
    check_ops(&batched, "MatMul");
    check_ops(&relu6, "Clip");
    check_ops(&relu, "Relu");
    check_ops(&softmax, "Softmax");
    check_ops(&identity, "");
}

/* ---- dropout ---- */

static const vecq_dropout_params *dropout_of(const lowered *w, size_t i)
{
    size_t k;

    for (k = 0; k < w->pr.program.n_ops; k++)
        if (w->pr.program.ops[k]->kind == VECQ_OP_DROPOUT && i-- == 0)
            return w->pr.program.ops[k]->params;
    return NULL;
}

static void test_dropout(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    model_build b;
    lowered w;

    (void)state;
    model_begin(&b, 8, 13);
    model_input(&b, "x");
    model_output(&b, "y");
    add_tensor(&b, "none", ": 0");
    add_tensor(&b, "some", ": 0.25");
    model_node(&b, "Dropout", "x", "a mask");
    model_node(&b, "Dropout", "a none", "b");
    model_node(&b, "Dropout", "b some", "y");
    assert_ok(lower(&b, "2: 1 2", 1, &w, &err), &err);
    assert_int_equal(w.pr.program.n_ops, 2);
    assert_true(dropout_of(&w, 0)->ratio == 0.5 && dropout_of(&w, 0)->stream == 0);
    assert_true(dropout_of(&w, 1)->ratio == 0.25 && dropout_of(&w, 1)->stream == 1);
    lowered_end(&w);

    model_begin(&b, 8, 10);
    model_input(&b, "x");
    model_output(&b, "y");
    add_attrs(&b, model_node(&b, "Dropout", "x", "a"), "ratio f 0.125");
    add_attrs(&b, model_node(&b, "Dropout", "a", "y"), "ratio f 1");
    assert_int_equal(lower(&b, "2: 1 2", 1, &w, &err), VECQ_ERR_FORMAT);
    assert_true(dropout_of(&w, 0)->ratio == 0.125);
    assert_non_null(strstr(err.message, "a ratio of 1;"));
    lowered_end(&w);
}

static void test_mask_is_read(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    model_build b;
    lowered w;

    (void)state;
    model_begin(&b, 8, 9);
    model_input(&b, "x");
    model_output(&b, "y");
    model_node(&b, "Dropout", "x", "a mask");
    model_node(&b, "Add", "a mask", "y");
    assert_int_equal(lower(&b, "2: 1 2", 1, &w, &err), VECQ_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "its mask is read"));
    lowered_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_ops),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_mask_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
