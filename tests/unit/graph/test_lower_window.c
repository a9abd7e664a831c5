/* SPDX-License-Identifier: Apache-2.0 */
/* Convolution and pooling nodes of every form: what window they become, and what is refused. */
#include "vecq_test.h"

#include "graph/lower.h"
#include "onnx/document.h"
#include "onnx_model.h"

typedef struct ints_attr {
    const char *name;
    int n; /* 0: one INT; else INTS */
    int64_t v[6];
} ints_attr;

/* A node on x [2, 4, ...], with a weight and a bias where w[0] is not 0. */
typedef struct window_case {
    const char *op_type;
    int opset;
    unsigned rank;
    int64_t x[5], w[5];
    int bias; /* elements; 0: none; -1: an omitted input */
    const char *auto_pad;
    ints_attr attrs[6];
    int64_t out[5];
    int64_t pads[6];     /* begin, end */
    const char *refusal; /* instead */
} window_case;

#define D(...)                                                                                               \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
#define LIST(name, n, ...) D(name, n, {__VA_ARGS__})
#define INT(name, value)   D(name, 0, {value})
#define NONE               D({0})
#define OK(op, opset, rank, x, w, bias, auto_pad, attrs, out, pads)                                          \
    D(op, opset, rank, x, w, bias, auto_pad, attrs, out, pads, NULL)
#define NO(op, opset, rank, x, w, bias, auto_pad, attrs, words)                                              \
    D(op, opset, rank, x, w, bias, auto_pad, attrs, {0}, {0}, words)

#define X4 D(2, 4, 7, 6)
#define W4 D(6, 4, 3, 2)

static const window_case cases[] = {
    OK("Conv", 1, 4, X4, W4, 0, NULL, NONE, D(2, 6, 5, 5), D(0)),
    OK("Conv", 11, 4, X4, W4, 6, "NOTSET", D(LIST("pads", 4, 1, 0, 2, 3), LIST("kernel_shape", 2, 3, 2)),
       D(2, 6, 8, 8), D(1, 0, 2, 3)),
    OK("Conv", 22, 4, X4, W4, -1, NULL, D(LIST("strides", 2, 2, 3), LIST("dilations", 2, 2, 1)),
       D(2, 6, 2, 2), D(0)),
    OK("Conv", 11, 4, X4, D(8, 1, 3, 3), 0, NULL, D(INT("group", 4), LIST("pads", 4, 1, 1, 1, 1)),
       D(2, 8, 7, 6), D(1, 1, 1, 1)),
    OK("Conv", 11, 4, X4, W4, 0, "VALID", D(LIST("pads", 4, 1, 1, 1, 1)), D(2, 6, 5, 5), D(0)),
    OK("Conv", 11, 4, X4, W4, 0, "SAME_UPPER", NONE, D(2, 6, 7, 6), D(1, 0, 1, 1)),
    OK("Conv", 11, 4, X4, W4, 0, "SAME_LOWER", NONE, D(2, 6, 7, 6), D(1, 1, 1, 0)),
    OK("Conv", 11, 4, X4, W4, 0, "SAME_UPPER", D(LIST("strides", 2, 2, 4)), D(2, 6, 4, 2), D(1, 0, 1, 0)),
    OK("Conv", 11, 4, X4, D(6, 4, 4, 4), 0, "SAME_LOWER", D(LIST("strides", 2, 2, 4)), D(2, 6, 4, 2),
       D(2, 1, 1, 1)),
    OK("Conv", 11, 4, X4, W4, 0, "SAME_UPPER", D(LIST("dilations", 2, 2, 3)), D(2, 6, 7, 6), D(2, 1, 2, 2)),
    OK("Conv", 11, 3, D(2, 4, 5), D(3, 4, 2), 3, "SAME_UPPER", NONE, D(2, 3, 5), D(0, 1)),
    OK("Conv", 11, 5, D(2, 4, 3, 4, 5), D(3, 4, 1, 2, 3), 0, NULL, D(LIST("pads", 6, 0, 1, 1, 0, 0, 1)),
       D(2, 3, 3, 4, 5), D(0, 1, 1, 0, 0, 1)),
    NO("Conv", 11, 2, D(2, 4), D(3, 4), 0, NULL, NONE, "1 to 3 spatial axes"),
    NO("Conv", 11, 4, X4, D(3, 4, 3), 0, NULL, NONE, "4 dimensions, a weight with 3"),
    NO("Conv", 11, 4, X4, D(6, 3, 3, 3), 0, NULL, NONE, "do not fit together"),
    NO("Conv", 11, 4, X4, W4, 5, NULL, NONE, "a bias of 5 elements for 6"),
    NO("Conv", 11, 4, X4, W4, 0, NULL, D(LIST("kernel_shape", 2, 2, 2)), "kernel_shape"),
    NO("Conv", 11, 4, X4, W4, 0, NULL, D(LIST("pads", 2, 1, 1)), "'pads' has 2 entries, not 4"),
    NO("Conv", 11, 4, X4, W4, 0, NULL, D(LIST("pads", 4, -1, 0, 0, 0)), "padding -1"),
    NO("Conv", 11, 4, X4, W4, 0, NULL, D(LIST("strides", 2, 0, 1)), "stride 0"),
    NO("Conv", 11, 4, X4, W4, 0, "SAME_UPPER", D(LIST("strides", 2, 0, 1)), "stride 0"),
    NO("Conv", 11, 4, X4, W4, 0, "SAME", NONE, "auto_pad 'SAME' is not supported"),
    NO("Conv", 11, 4, X4, W4, 0, NULL, D(INT("group", 0)), "group 0"),
    NO("Conv", 11, 4, X4, W4, 0, NULL, D(LIST("dilations", 2, 5, 1)), "window of 11 does not fit"),

    OK("ConvTranspose", 1, 4, X4, D(4, 3, 3, 2), 3, NULL, NONE, D(2, 3, 9, 7), D(0)),
    OK("ConvTranspose", 11, 4, X4, D(4, 3, 3, 2), 0, NULL,
       D(LIST("strides", 2, 2, 3), LIST("pads", 4, 1, 0, 0, 1), LIST("output_padding", 2, 1, 2)),
       D(2, 3, 15, 18), D(1, 0, 0, 1)),
    OK("ConvTranspose", 11, 4, X4, D(4, 2, 3, 2), 4, NULL, D(INT("group", 2), LIST("dilations", 2, 2, 1)),
       D(2, 4, 11, 7), D(0)),
    OK("ConvTranspose", 11, 4, X4, D(4, 3, 3, 3), 0, "SAME_UPPER", D(LIST("strides", 2, 2, 2)),
       D(2, 3, 14, 12), D(0, 0, 1, 1)),
    OK("ConvTranspose", 11, 4, X4, D(4, 3, 3, 3), 0, "SAME_LOWER", D(LIST("strides", 2, 2, 2)),
       D(2, 3, 14, 12), D(1, 1, 0, 0)),
    OK("ConvTranspose", 11, 4, X4, D(4, 3, 3, 3), 0, "VALID", D(LIST("pads", 4, 1, 1, 1, 1)), D(2, 3, 9, 8),
       D(0)),
    OK("ConvTranspose", 11, 4, X4, D(4, 3, 3, 3), 0, NULL, D(LIST("output_shape", 2, 7, 7)), D(2, 3, 7, 7),
       D(1, 1, 1, 0)),
    OK("ConvTranspose", 11, 4, X4, D(4, 3, 3, 3), 0, NULL, D(LIST("output_shape", 4, 2, 3, 10, 9)),
       D(2, 3, 10, 9), D(0)), /* the rest is output padding */
    NO("ConvTranspose", 11, 4, X4, D(3, 3, 3, 3), 0, NULL, NONE, "do not fit together"),
    NO("ConvTranspose", 11, 4, X4, D(4, 3, 3, 3), 4, NULL, NONE, "a bias of 4 elements for 3"),
    NO("ConvTranspose", 11, 4, X4, D(4, 3, 3, 3), 0, NULL, D(LIST("pads", 4, 5, 0, 4, 0)), "spatial axis 0"),
    NO("ConvTranspose", 11, 4, X4, D(4, 3, 3, 3), 0, NULL, D(LIST("output_padding", 2, -1, 0)),
       "output padding -1"),
    NO("ConvTranspose", 11, 4, X4, D(4, 3, 3, 3), 0, NULL, D(LIST("output_shape", 3, 7, 7, 7)),
       "'output_shape' has 3 entries"),
    NO("ConvTranspose", 11, 4, X4, D(4, 3, 3, 3), 0, NULL, D(LIST("output_shape", 2, 0, 7)), "0 elements"),
    NO("ConvTranspose", 11, 4, X4, D(4, 3, 3, 3), 0, "SAME_UPPER", D(LIST("strides", 2, INT64_MAX, 1)),
       "stride"),

    OK("MaxPool", 1, 4, X4, D(0), 0, NULL, D(LIST("kernel_shape", 2, 2, 3)), D(2, 4, 6, 4), D(0)),
    OK("MaxPool", 12, 4, X4, D(0), 0, NULL,
       D(LIST("kernel_shape", 2, 3, 2), LIST("strides", 2, 2, 2), LIST("pads", 4, 1, 0, 1, 1),
         INT("ceil_mode", 1)),
       D(2, 4, 4, 3), D(1, 0, 1, 1)),
    OK("MaxPool", 12, 4, X4, D(0), 0, NULL,
       D(LIST("kernel_shape", 2, 2, 2), LIST("strides", 2, 2, 2), INT("ceil_mode", 1)), D(2, 4, 4, 3), D(0)),
    OK("MaxPool", 12, 4, X4, D(0), 0, NULL, D(LIST("kernel_shape", 2, 3, 2), LIST("dilations", 2, 3, 2)),
       D(2, 4, 1, 4), D(0)),
    OK("MaxPool", 11, 4, X4, D(0), 0, "SAME_UPPER",
       D(LIST("kernel_shape", 2, 2, 2), LIST("strides", 2, 2, 2)), D(2, 4, 4, 3), D(0, 0, 1, 0)),
    OK("MaxPool", 11, 4, X4, D(0), 0, "SAME_LOWER",
       D(LIST("kernel_shape", 2, 2, 2), LIST("strides", 2, 2, 2)), D(2, 4, 4, 3), D(1, 0, 0, 0)),
    OK("AveragePool", 7, 3, D(2, 4, 6), D(0), 0, NULL,
       D(LIST("kernel_shape", 1, 3), LIST("strides", 1, 2), LIST("pads", 2, 1, 1)), D(2, 4, 3), D(1, 1)),
    OK("AveragePool", 19, 4, X4, D(0), 0, "VALID",
       D(LIST("kernel_shape", 2, 2, 2), LIST("dilations", 2, 2, 3)), D(2, 4, 5, 3), D(0)),
    OK("GlobalAveragePool", 1, 4, X4, D(0), 0, NULL, NONE, D(2, 4, 1, 1), D(0)),
    OK("GlobalMaxPool", 22, 5, D(2, 4, 3, 2, 5), D(0), 0, NULL, NONE, D(2, 4, 1, 1, 1), D(0)),
    NO("MaxPool", 12, 4, X4, D(0), 0, NULL, NONE, "kernel 0"),
    NO("MaxPool", 12, 4, X4, D(0), 0, NULL, D(LIST("kernel_shape", 1, 2)), "has 1 entries, not 2"),
    NO("MaxPool", 12, 4, X4, D(0), 0, NULL, D(LIST("kernel_shape", 2, 2, 2), LIST("pads", 4, 2, 0, 0, 0)),
       "padding 2, 0"),
    NO("AveragePool", 7, 2, D(2, 4), D(0), 0, NULL, D(LIST("kernel_shape", 1, 2)), "1 to 3 spatial axes"),
    NO("GlobalAveragePool", 1, 2, D(2, 4), D(0), 0, NULL, NONE, "1 to 3 spatial axes"),
};

static void add_node(model_build *b, const window_case *c)
{
    const char *inputs = c->w[0] == 0 ? "x" : c->bias > 0 ? "x w b" : c->bias < 0 ? "x w -" : "x w";
    unsigned w_rank = 0;
    vecq_message *node;
    int i;

    while (w_rank < 5 && c->w[w_rank] != 0)
        w_rank++;
    if (w_rank > 0)
        model_weight(b, "w", w_rank, c->w);
    if (c->bias > 0) {
        const int64_t n = c->bias;

        model_weight(b, "b", 1, &n);
    }
    node = model_node(b, c->op_type, inputs, "y");
    if (c->auto_pad != NULL)
        assert_true(vecq_onnx_node_string(node, "auto_pad", c->auto_pad));
    for (i = 0; i < 6 && c->attrs[i].name != NULL; i++)
        assert_true(c->attrs[i].n == 0
                        ? vecq_onnx_node_int(node, c->attrs[i].name, c->attrs[i].v[0])
                        : vecq_onnx_node_ints(node, c->attrs[i].name, c->attrs[i].v, (size_t)c->attrs[i].n));
}

static void check_pads(const window_case *c, size_t number, const vecq_op *op)
{
    int is_conv = op->kind == VECQ_OP_CONV || op->kind == VECQ_OP_CONV_TRANSPOSE;
    const vecq_conv_params *conv = op->params;
    const vecq_pool_params *pool = op->params;
    unsigned i, n = c->rank - 2;

    for (i = 0; i < n; i++) {
        int64_t begin = is_conv ? conv->pad_begin[i] : pool->pad_begin[i];
        int64_t end = is_conv ? conv->pad_end[i] : pool->pad_end[i];

        if (begin != c->pads[i] || end != c->pads[n + i])
            fail_msg("case %zu (%s): padding %lld, %lld of axis %u, not %lld, %lld", number, c->op_type,
                     (long long)begin, (long long)end, i, (long long)c->pads[i], (long long)c->pads[n + i]);
    }
}

static void check_case(const window_case *c, size_t number)
{
    static const char *const names[] = {"y"};
    vecq_lower_options options = {.is_training = 0};
    vecq_lower_input input = {"x", NULL};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_document doc;
    vecq_program program;
    vecq_store store;
    vecq_status status;
    vecq_var *y;
    model_build b;
    uint8_t *bytes;
    size_t n;

    memset(&doc, 0, sizeof doc);
    memset(&program, 0, sizeof program);
    memset(&store, 0, sizeof store);
    model_begin(&b, 8, c->opset);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, (int)c->rank, c->x);
    model_output(&b, "y");
    add_node(&b, c);
    bytes = model_bytes(&b, &n);
    doc.name = "m";
    doc.bytes.data = bytes;
    doc.bytes.n = n;
    assert_ok(vecq_document_read(&doc, &err), &err);
    assert_ok(vecq_program_input(&program, "x", VECQ_DT_FLOAT, c->rank, c->x, &input.var, &err), &err);
    status = vecq_lower_graph(&program, &store, &doc.ir, &options, &input, 1, names, 1, &y, &err);
    if (c->refusal != NULL) {
        if (status == VECQ_OK || strstr(err.message, c->refusal) == NULL ||
            strstr(err.message, c->op_type) == NULL)
            fail_msg("case %zu: '%s' does not say '%s'", number, err.message, c->refusal);
    } else {
        char text[96];

        if (status != VECQ_OK)
            fail_msg("case %zu (%s): %s", number, c->op_type, err.message);
        if (y->rank != c->rank || memcmp(y->dims, c->out, c->rank * sizeof *c->out) != 0)
            fail_msg("case %zu (%s): the result is %s", number, c->op_type, vecq_var_shape_text(y, text));
        check_pads(c, number, y->producer);
    }
    vecq_program_clear(&program);
    vecq_store_clear(&store);
    vecq_document_clear(&doc);
    free(bytes);
}

static void test_cases(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(&cases[i], i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
