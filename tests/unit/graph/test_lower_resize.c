/* SPDX-License-Identifier: Apache-2.0 */
/* Resize, Upsample, Pad and LRN nodes of every form: the examples of the ONNX specification, refusals. */
#include "vecq_test.h"

#include "graph/lower.h"
#include "onnx/document.h"
#include "onnx_model.h"
#include "program_run.h"

typedef enum kind { NOTHING, OMITTED, INT, INTS, FLOAT, FLOATS, TEXT } kind;

/* An attribute, or (without a name) an initializer: INTS are int64. */
typedef struct item {
    const char *name;
    kind kind;
    int n;
    double v[8];
    const char *text;
} item;

/* A node on x = 1, 2, 3, ... */
typedef struct node_case {
    const char *op_type;
    int opset;
    int64_t dims[4];
    item attrs[5];
    item inputs[4]; /* after x */
    int64_t out[4];
    const char *values;  /* NULL: not looked at */
    const char *refusal; /* instead */
} node_case;

#define D(...)                                                                                               \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
#define NONE                                            D({0})
#define A_INT(name, v)                                  D(name, INT, 1, {v}, NULL)
#define A_FLOAT(name, v)                                D(name, FLOAT, 1, {v}, NULL)
#define A_TEXT(name, t)                                 D(name, TEXT, 0, {0}, t)
#define LINEAR                                          A_TEXT("mode", "linear")
#define NEAREST(how)                                    A_TEXT("nearest_mode", how)
#define PLACES(how)                                     A_TEXT("coordinate_transformation_mode", how)
#define NO_INPUT                                        D(NULL, OMITTED, 0, {0}, NULL)
#define EMPTY                                           D(NULL, FLOATS, 0, {0}, NULL)
#define SCALES(...)                                     D(NULL, FLOATS, 4, {__VA_ARGS__}, NULL)
#define SIZES(...)                                      D(NULL, INTS, 4, {__VA_ARGS__}, NULL)
#define I_INTS(n, ...)                                  D(NULL, INTS, n, {__VA_ARGS__}, NULL)
#define I_FLOATS(n, ...)                                D(NULL, FLOATS, n, {__VA_ARGS__}, NULL)
#define OK(op, opset, dims, attrs, inputs, out, values) D(op, opset, dims, attrs, inputs, out, values, NULL)
#define NO(op, opset, dims, attrs, inputs, words)       D(op, opset, dims, attrs, inputs, {0}, NULL, words)

#define X22 D(1, 1, 2, 2)
#define X24 D(1, 1, 2, 4)
#define X44 D(1, 1, 4, 4)

#define ROUND_UP_8                                                                                           \
    "1 2 2 3 3 4 4 4 5 6 6 7 7 8 8 8 5 6 6 7 7 8 8 8 9 10 10 11 11 12 12 12 9 10 10 11 11 12 12 12 "         \
    "13 14 14 15 15 16 16 16 13 14 14 15 15 16 16 16 13 14 14 15 15 16 16 16"
#define FLOOR_8                                                                                              \
    "1 1 1 2 2 3 3 4 1 1 1 2 2 3 3 4 1 1 1 2 2 3 3 4 5 5 5 6 6 7 7 8 5 5 5 6 6 7 7 8 "                       \
    "9 9 9 10 10 11 11 12 9 9 9 10 10 11 11 12 13 13 13 14 14 15 15 16"

static const node_case cases[] = {
    /* Resize: the examples of the specification */
    OK("Resize", 11, X22, NONE, D(EMPTY, SCALES(1, 1, 2, 3)), D(1, 1, 4, 6),
       "1 1 1 2 2 2 1 1 1 2 2 2 3 3 3 4 4 4 3 3 3 4 4 4"),
    OK("Resize", 13, X24, NONE, D(NO_INPUT, SCALES(1, 1, 0.6, 0.6)), D(1, 1, 1, 2), "1 3"),
    OK("Resize", 13, X22, D(LINEAR), D(NO_INPUT, SCALES(1, 1, 2, 2)), D(1, 1, 4, 4),
       "1 1.25 1.75 2 1.5 1.75 2.25 2.5 2.5 2.75 3.25 3.5 3 3.25 3.75 4"),
    OK("Resize", 13, X22, D(LINEAR, PLACES("align_corners")), D(NO_INPUT, SCALES(1, 1, 2, 2)), D(1, 1, 4, 4),
       "1 1.3333333 1.6666667 2 1.6666667 2 2.3333333 2.6666667 2.3333333 2.6666667 3 3.3333333 "
       "3 3.3333333 3.6666667 4"),
    OK("Resize", 18, X24, D(LINEAR), D(NO_INPUT, SCALES(1, 1, 0.6, 0.6)), D(1, 1, 1, 2),
       "2.6666665 4.3333331"),
    OK("Resize", 13, X24, NONE, D(NO_INPUT, NO_INPUT, SIZES(1, 1, 1, 3)), D(1, 1, 1, 3), "1 2 4"),
    OK("Resize", 13, X44, D(NEAREST("ceil")), D(NO_INPUT, EMPTY, SIZES(1, 1, 8, 8)), D(1, 1, 8, 8),
       ROUND_UP_8),
    OK("Resize", 13, X44, D(NEAREST("floor"), PLACES("align_corners")),
       D(NO_INPUT, NO_INPUT, SIZES(1, 1, 8, 8)), D(1, 1, 8, 8), FLOOR_8),
    OK("Resize", 13, X44, D(NEAREST("round_prefer_ceil"), PLACES("asymmetric")),
       D(NO_INPUT, NO_INPUT, SIZES(1, 1, 8, 8)), D(1, 1, 8, 8), ROUND_UP_8),
    OK("Resize", 13, X44, D(LINEAR, PLACES("pytorch_half_pixel")), D(NO_INPUT, NO_INPUT, SIZES(1, 1, 3, 1)),
       D(1, 1, 3, 1), "1.6666666 7 12.333333"),
    /* of version 10 */
    OK("Resize", 10, X22, NONE, D(SCALES(1, 1, 2, 3)), D(1, 1, 4, 6),
       "1 1 1 2 2 2 1 1 1 2 2 2 3 3 3 4 4 4 3 3 3 4 4 4"),
    OK("Resize", 10, X24, NONE, D(SCALES(1, 1, 0.6, 0.6)), D(1, 1, 1, 2), "1 3"),
    OK("Resize", 10, X22, D(LINEAR), D(SCALES(1, 1, 1, 2)), D(1, 1, 2, 4), "1 1.5 2 2 3 3.5 4 4"),
    /* axes, of versions 18 and 19 */
    OK("Resize", 18, X22, D({"axes", INTS, 2, {3, 2}, NULL}), D(NO_INPUT, I_FLOATS(2, 3, 2)), D(1, 1, 4, 6),
       "1 1 1 2 2 2 1 1 1 2 2 2 3 3 3 4 4 4 3 3 3 4 4 4"),
    OK("Resize", 19, X24, D({"axes", INTS, 1, {-1}, NULL}), D(NO_INPUT, NO_INPUT, I_INTS(1, 2)),
       D(1, 1, 2, 2), "1 3 5 7"),
    OK("Resize", 19, X22, D(PLACES("half_pixel_symmetric"), LINEAR), D(NO_INPUT, SCALES(1, 1, 1, 2)),
       D(1, 1, 2, 4), "1 1.25 1.75 2 3 3.25 3.75 4"),
    OK("Resize", 19, X22, NONE, D(NO_INPUT, SCALES(1, 1, 1, 1)), D(1, 1, 2, 2), "1 2 3 4"),
    /* 10 * 0.7 is 7, although the float is less */
    OK("Resize", 13, D(1, 1, 1, 10), NONE, D(NO_INPUT, SCALES(1, 1, 1, 0.7)), D(1, 1, 1, 7), NULL),
    NO("Resize", 11, X22, D(A_TEXT("mode", "sinc")), D(EMPTY, SCALES(1, 1, 2, 2)), "mode 'sinc'"),
    NO("Resize", 11, X22, D(PLACES("tf_crop_and_resize")), D(EMPTY, SCALES(1, 1, 2, 2)),
       "roi has 0 numbers for 4 axes"),
    NO("Resize", 18, X22, D(A_TEXT("keep_aspect_ratio_policy", "smaller")), D(NO_INPUT, SCALES(1, 1, 2, 2)),
       "keep_aspect_ratio_policy 'smaller'"),
    NO("Resize", 10, X22, NONE, D(SCALES(1, 1, 2, 0.5)), "grows along one axis"),
    NO("Resize", 10, X22, NONE, D(NO_INPUT), "0 scales and 0 sizes for 4 axes"),
    NO("Resize", 13, X22, NONE, D(NO_INPUT, SCALES(1, 1, 2, 2), SIZES(1, 1, 4, 4)), "4 scales and 4 sizes"),
    NO("Resize", 13, X22, NONE, D(NO_INPUT, I_FLOATS(2, 2, 2)), "2 scales and 0 sizes for 4 axes"),
    NO("Resize", 18, X22, D({"axes", INTS, 2, {3, -1}, NULL}), D(NO_INPUT, I_FLOATS(2, 2, 2)),
       "axis 3 is named twice"),
    NO("Resize", 18, X22, D({"axes", INTS, 1, {4}, NULL}), D(NO_INPUT, I_FLOATS(1, 2)), "axis 4"),
    NO("Resize", 13, X22, NONE, D(NO_INPUT, SCALES(1, 1, 0.1, 1)), "axis 2 of 2 elements cannot become 0"),
    NO("Resize", 13, X22, NONE, D(NO_INPUT, SCALES(1, 1, -1, 1)), "scaled by -1"),
    NO("Resize", 13, X22, NONE, D(NO_INPUT, SCALES(1, 1, 1e30, 1)), "scaled by 1e+30"),
    NO("Resize", 13, X22, NONE, D(NO_INPUT, NO_INPUT, SIZES(1, 1, -4, 4)), "cannot become -4"),
    /* Upsample */
    OK("Upsample", 9, X22, NONE, D(SCALES(1, 1, 2, 3)), D(1, 1, 4, 6),
       "1 1 1 2 2 2 1 1 1 2 2 2 3 3 3 4 4 4 3 3 3 4 4 4"),
    OK("Upsample", 7, X22, D({"scales", FLOATS, 4, {1, 1, 1, 2.5}, NULL}), NONE, D(1, 1, 2, 5),
       "1 1 1 2 2 3 3 3 4 4"),
    OK("Upsample", 7, X22, D(LINEAR, {"scales", FLOATS, 4, {1, 1, 1, 2}, NULL}), NONE, D(1, 1, 2, 4),
       "1 1.5 2 2 3 3.5 4 4"),
    NO("Upsample", 9, X22, NONE, D(SCALES(1, 1, 0.5, 1)), "a scale of 0.5"),
    NO("Upsample", 7, X22, NONE, NONE, "'scales'"),
    /* Pad */
    OK("Pad", 2, X22, D(A_FLOAT("value", 9), {"pads", INTS, 8, {0, 0, 0, 1, 0, 0, 1, 0}, NULL}), NONE,
       D(1, 1, 3, 3), "9 1 2 9 3 4 9 9 9"),
    OK("Pad", 11, X22, NONE, D(I_INTS(8, 0, 0, 1, -1, 0, 0, 0, 1)), D(1, 1, 3, 2), "0 0 2 0 4 0"),
    OK("Pad", 13, X22, NONE, D(I_INTS(8, 0, 0, 0, 0, 0, 0, 0, 1), I_FLOATS(1, -3)), D(1, 1, 2, 3),
       "1 2 -3 3 4 -3"),
    OK("Pad", 18, X22, NONE, D(I_INTS(2, 1, 0), NO_INPUT, I_INTS(1, -1)), D(1, 1, 2, 3), "0 1 2 0 3 4"),
    OK("Pad", 13, D(1, 1, 1, 4), D(A_TEXT("mode", "reflect")), D(I_INTS(8, 0, 0, 0, 2, 0, 0, 0, 3)),
       D(1, 1, 1, 9), "3 2 1 2 3 4 3 2 1"),
    OK("Pad", 13, D(1, 1, 1, 3), D(A_TEXT("mode", "edge")), D(I_INTS(8, 0, 0, 1, 2, 0, 0, 0, 1)),
       D(1, 1, 2, 6), "1 1 1 2 3 3 1 1 1 2 3 3"),
    OK("Pad", 13, X22, NONE, D(I_INTS(8, 0, 0, 0, 0, 0, 0, 0, 0)), D(1, 1, 2, 2), "1 2 3 4"),
    NO("Pad", 19, X22, D(A_TEXT("mode", "mirror")), D(I_INTS(8, 0, 0, 0, 0, 0, 0, 0, 1)), "mode 'mirror'"),
    NO("Pad", 13, X22, NONE, D(I_INTS(6, 0, 0, 0, 0, 0, 0)), "6 paddings for 4 axes"),
    NO("Pad", 18, X22, NONE, D(I_INTS(4, 1, 1, 1, 1), NO_INPUT, I_INTS(2, 3, -1)), "axis 3 is named twice"),
    NO("Pad", 18, X22, NONE, D(I_INTS(2, 1, 1), NO_INPUT, I_INTS(1, 4)), "axis 4"),
    NO("Pad", 2, X22, NONE, NONE, "'pads'"),
    NO("Pad", 13, X22, NONE, D(I_INTS(8, 0, 0, -2, 0, 0, 0, -1, 0)), "leaves nothing of axis 2"),
    NO("Pad", 13, X22, NONE, D(I_FLOATS(8, 0, 0, 0, 0, 0, 0, 0, 0)), "pads must be integers"),
    /* LRN: x / (bias + alpha / size * sum)^beta */
    OK("LRN", 1, D(1, 4, 1, 1), D(A_INT("size", 3), A_FLOAT("alpha", 3), A_FLOAT("beta", 1)), NONE,
       D(1, 4, 1, 1), "0.16666667 0.13333333 0.1 0.15384615"),
    OK("LRN", 13, D(1, 3, 1, 1),
       D(A_INT("size", 2), A_FLOAT("alpha", 2), A_FLOAT("beta", 0.5), A_FLOAT("bias", 4)), NONE,
       D(1, 3, 1, 1), "0.33333333 0.48507125 0.83205029"),
    NO("LRN", 13, D(1, 3, 1, 1), NONE, NONE, "size 0"),
};

static void add_floats(vecq_message *node, const item *a)
{
    vecq_message *attribute = vecq_message_new(node->arena);
    int i;

    assert_true(vecq_message_insert_string(attribute, SIZE_MAX, ONNX_ATTR_NAME, a->name));
    assert_true(vecq_message_insert_scalar(attribute, SIZE_MAX, ONNX_ATTR_TYPE, VECQ_ATTR_FLOATS));
    for (i = 0; i < a->n; i++) {
        float value = (float)a->v[i];
        uint32_t bits;

        memcpy(&bits, &value, sizeof bits);
        assert_true(vecq_message_insert_fixed32(attribute, SIZE_MAX, ONNX_ATTR_FLOATS, bits));
    }
    assert_true(vecq_message_insert_child(node, SIZE_MAX, ONNX_NODE_ATTRIBUTE, attribute));
}

static void add_attribute(vecq_message *node, const item *a)
{
    int64_t ints[8];
    int i;

    for (i = 0; i < 8; i++)
        ints[i] = (int64_t)a->v[i];
    if (a->kind == FLOATS)
        add_floats(node, a);
    else
        assert_true(a->kind == TEXT    ? vecq_onnx_node_string(node, a->name, a->text)
                    : a->kind == FLOAT ? vecq_onnx_node_float(node, a->name, (float)a->v[0])
                    : a->kind == INT   ? vecq_onnx_node_int(node, a->name, ints[0])
                                       : vecq_onnx_node_ints(node, a->name, ints, (size_t)a->n));
}

static void add_node(model_build *b, const node_case *c)
{
    char inputs[64] = "x";
    vecq_message *node;
    int i, k;

    for (i = 0; i < 4 && c->inputs[i].kind != NOTHING; i++) {
        const item *in = &c->inputs[i];
        int64_t ints[8], dim = in->n;
        float floats[8];
        char name[8];

        for (k = 0; k < 8; k++) {
            ints[k] = in->v[k] < 1e18 ? (int64_t)in->v[k] : 0;
            floats[k] = (float)in->v[k];
        }
        snprintf(name, sizeof name, "c%d", i);
        snprintf(inputs + strlen(inputs), 8, " %s", in->kind == OMITTED ? "-" : name);
        if (in->kind == INTS)
            model_ints(b, vecq_arena_string(&b->arena, name, 2), (size_t)in->n, ints);
        if (in->kind == FLOATS)
            model_tensor(b, vecq_arena_string(&b->arena, name, 2), VECQ_DT_FLOAT, 1, &dim, floats,
                         (size_t)in->n * sizeof *floats);
    }
    node = model_node(b, c->op_type, inputs, "y");
    for (i = 0; i < 5 && c->attrs[i].name != NULL; i++)
        add_attribute(node, &c->attrs[i]);
}

static void check_values(const node_case *c, const program_run *pr, const vecq_var *y, const char *what)
{
    const char *text = c->values;
    size_t i;

    if (y->rank != 4 || memcmp(y->dims, c->out, sizeof c->out) != 0) {
        char shape[96];
        fail_msg("%s: the result is %s", what, vecq_var_shape_text(y, shape));
    }
    for (i = 0; i < y->count && text != NULL; i++) {
        char *end = NULL;
        double want = strtod(text, &end);

        assert_true(end != text);
        pr_close(what, i, pr_value(pr, y, i), want, 1e-6);
        text = end;
    }
    assert_true(text == NULL || *text == '\0');
}

static void check_case(const node_case *c, size_t number)
{
    vecq_lower_options options = {.is_training = 0};
    vecq_lower_input input = {"x", NULL};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_document doc;
    vecq_store store;
    program_run pr;
    vecq_var *y;
    vecq_status status;
    model_build b;
    uint8_t *bytes;
    char what[64];
    size_t i, n;

    memset(&doc, 0, sizeof doc);
    memset(&store, 0, sizeof store);
    memset(&pr, 0, sizeof pr);
    snprintf(what, sizeof what, "case %zu (%s)", number, c->op_type);
    model_begin(&b, 8, c->opset);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, 4, c->dims);
    model_output(&b, "y");
    add_node(&b, c);
    bytes = model_bytes(&b, &n);
    doc.name = "m";
    doc.bytes.data = bytes;
    doc.bytes.n = n;
    assert_ok(vecq_document_read(&doc, &err), &err);
    input.var = pr_input(&pr, VECQ_DT_FLOAT, 4, c->dims, NULL);
    for (i = 0; i < input.var->count; i++)
        ((float *)pr.memory[0])[i] = (float)i + 1;
    status = vecq_lower_graph(&pr.program, &store, &doc.ir, &options, &input, 1, (const char *const[]){"y"},
                              1, &y, &err);
    if (c->refusal != NULL) {
        if (status == VECQ_OK || strstr(err.message, c->refusal) == NULL ||
            strstr(err.message, c->op_type) == NULL)
            fail_msg("%s: '%s' does not say '%s'", what, err.message, c->refusal);
    } else {
        if (status != VECQ_OK)
            fail_msg("%s: %s", what, err.message);
        y->is_output = 1;
        assert_ok(pr_run(&pr, 1, &err), &err);
        check_values(c, &pr, y, what);
    }
    pr_end(&pr);
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
