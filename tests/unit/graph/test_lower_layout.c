/* SPDX-License-Identifier: Apache-2.0 */
/* From ONNX nodes of every version and form to programs: shapes and values, other batches, refusals. */
#include "vecq_test.h"

#include "graph/lower.h"
#include "onnx/document.h"
#include "onnx_model.h"
#include "program_run.h"

typedef struct attr_spec {
    const char *name;
    int n; /* 0: one INT; else INTS; -1: STRING, in text */
    int64_t v[6];
    const char *text;
} attr_spec;

typedef struct ints_spec {
    int n; /* -1: omitted; 0: no such input */
    int64_t v[6];
} ints_spec;

/* A node on x = 0, 1, 2, ... */
typedef struct lower_case {
    const char *op_type;
    int opset;
    unsigned rank;
    int64_t declared[6]; /* as in the model; all 0: like dims */
    int64_t dims[6];
    attr_spec attrs[4];
    ints_spec inputs[4]; /* int64 initializers after x */
    unsigned out_rank;   /* of the first output */
    int64_t out_dims[6];
    const char *values;  /* of all outputs, one after the other, or NULL */
    int n_out;           /* 0: 1 */
    const char *refusal; /* words of the message instead */
} lower_case;

#define D(...)                                                                                               \
    {                                                                                                        \
        __VA_ARGS__                                                                                          \
    }
#define NONE               D({0})
#define INT(name, value)   D(name, 0, {value}, NULL)
#define LIST(name, n, ...) D(name, n, {__VA_ARGS__}, NULL)
#define TEXT(name, text)   D(name, -1, {0}, text)
/* What comes out; what is refused; the same for a model that declares other dims, Reshape only. */
#define OK(op, opset, rank, dims, attrs, inputs, out_rank, out, values, n)                                   \
    D(op, opset, rank, {0}, dims, attrs, inputs, out_rank, out, values, n, NULL)
#define NO(op, opset, rank, dims, attrs, inputs, n, words)                                                   \
    D(op, opset, rank, {0}, dims, attrs, inputs, 0, {0}, NULL, n, words)
#define AT(op, opset, rank, declared, dims, inputs, out_rank, out)                                           \
    D(op, opset, rank, declared, dims, NONE, inputs, out_rank, out, NULL, 0, NULL)
#define NO_AT(op, opset, rank, declared, dims, inputs, words)                                                \
    D(op, opset, rank, declared, dims, NONE, inputs, 0, {0}, NULL, 0, words)

static const lower_case cases[] = {
    /* Reshape */
    OK("Reshape", 13, 2, D(2, 3), NONE, D({2, {3, 2}}), 2, D(3, 2), "0 1 2 3 4 5", 0),
    OK("Reshape", 5, 3, D(2, 3, 4), NONE, D({2, {0, -1}}), 2, D(2, 12), NULL, 0),
    OK("Reshape", 1, 3, D(2, 3, 4), D(LIST("shape", 3, -1, 2, 0)), NONE, 3, D(3, 2, 4), NULL, 0),
    OK("Reshape", 14, 2, D(0, 3), D(INT("allowzero", 1)), D({3, {3, 0, 5}}), 3, D(3, 0, 5), NULL, 0),
    OK("Reshape", 14, 1, D(1), NONE, D({2, {1, 1}}), 2, D(1, 1), "0", 0),
    AT("Reshape", 13, 2, D(1, 6), D(4, 6), D({3, {1, 2, 3}}), 3, D(4, 2, 3)),
    AT("Reshape", 13, 2, D(1, 6), D(4, 6), D({3, {1, -1, 3}}), 3, D(4, 2, 3)),
    AT("Reshape", 13, 2, D(-1, 6), D(4, 6), D({3, {1, -1, 3}}), 3, D(1, 8, 3)),
    AT("Reshape", 13, 2, D(-1, 6), D(4, 6), D({2, {-1, 3}}), 2, D(8, 3)),
    NO("Reshape", 13, 2, D(4, 6), NONE, D({2, {5, 5}}), 0, "24 elements, the new shape 25"),
    NO_AT("Reshape", 13, 2, D(1, 6), D(4, 6), D({3, {2, 3, 1}}), "is for a batch of one"),
    NO("Reshape", 13, 2, D(2, 3), NONE, D({2, {4, -1}}), 0, "6 elements of 2x3 do not fit"),
    NO("Reshape", 13, 2, D(2, 3), NONE, D({2, {-1, -1}}), 0, "dimension 1 of the shape is -1"),
    NO("Reshape", 13, 2, D(2, 3), NONE, D({3, {1, 6, 0}}), 0, "dimension 2 of the shape is 0"),
    NO("Reshape", 13, 2, D(2, 3), NONE, NONE, 0, "shape is missing"),
    NO("Reshape", 13, 2, D(2, 3), NONE, D({2, {INT64_MAX, 2}}), 0, "impossible shape"),
    /* Flatten */
    OK("Flatten", 1, 4, D(2, 3, 4, 5), NONE, NONE, 2, D(2, 60), NULL, 0),
    OK("Flatten", 13, 4, D(2, 3, 4, 5), D(INT("axis", 0)), NONE, 2, D(1, 120), NULL, 0),
    OK("Flatten", 13, 4, D(2, 3, 4, 5), D(INT("axis", 4)), NONE, 2, D(120, 1), NULL, 0),
    OK("Flatten", 13, 4, D(2, 3, 4, 5), D(INT("axis", -1)), NONE, 2, D(24, 5), NULL, 0),
    OK("Flatten", 13, 1, D(7), NONE, NONE, 2, D(7, 1), NULL, 0),
    NO("Flatten", 13, 2, D(2, 3), D(INT("axis", 3)), NONE, 0, "axis 3 is outside"),
    /* Squeeze, Unsqueeze */
    OK("Squeeze", 11, 4, D(2, 1, 3, 1), D(LIST("axes", 1, -1)), NONE, 3, D(2, 1, 3), NULL, 0),
    OK("Squeeze", 13, 4, D(2, 1, 3, 1), NONE, D({2, {1, 3}}), 2, D(2, 3), NULL, 0),
    OK("Squeeze", 1, 4, D(2, 1, 3, 1), NONE, NONE, 2, D(2, 3), NULL, 0),
    NO("Squeeze", 13, 4, D(2, 1, 3, 1), NONE, D({1, {0}}), 0, "axis 0 has length 2, not 1"),
    NO("Squeeze", 13, 2, D(2, 1), NONE, D({2, {1, -1}}), 0, "axis 1 is named twice"),
    OK("Unsqueeze", 11, 2, D(2, 3), D(LIST("axes", 2, 0, 3)), NONE, 4, D(1, 2, 3, 1), NULL, 0),
    OK("Unsqueeze", 13, 2, D(2, 3), NONE, D({2, {-1, 1}}), 4, D(2, 1, 3, 1), NULL, 0),
    NO("Unsqueeze", 13, 2, D(2, 3), NONE, D({1, {4}}), 0, "axis 4"),
    NO("Unsqueeze", 11, 2, D(2, 3), NONE, NONE, 0, "axes are missing"),
    /* Transpose */
    OK("Transpose", 13, 2, D(2, 3), NONE, NONE, 2, D(3, 2), "0 3 1 4 2 5", 0),
    OK("Transpose", 1, 3, D(2, 1, 3), D(LIST("perm", 3, 1, 2, 0)), NONE, 3, D(1, 3, 2), "0 3 1 4 2 5", 0),
    OK("Transpose", 13, 2, D(2, 3), D(LIST("perm", 2, 0, 1)), NONE, 2, D(2, 3), "0 1 2 3 4 5", 0),
    NO("Transpose", 13, 2, D(2, 3), D(LIST("perm", 2, 1, 1)), NONE, 0, "no permutation"),
    NO("Transpose", 13, 2, D(2, 3), D(LIST("perm", 1, 0)), NONE, 0, "each of 2 axes"),
    /* DepthToSpace, SpaceToDepth */
    OK("DepthToSpace", 13, 4, D(1, 8, 1, 1), D(INT("blocksize", 2)), NONE, 4, D(1, 2, 2, 2),
       "0 2 4 6 1 3 5 7", 0),
    OK("DepthToSpace", 11, 4, D(1, 8, 1, 1), D(INT("blocksize", 2), TEXT("mode", "CRD")), NONE, 4,
       D(1, 2, 2, 2), "0 1 2 3 4 5 6 7", 0),
    OK("DepthToSpace", 13, 4, D(1, 4, 1, 2), D(INT("blocksize", 2)), NONE, 4, D(1, 1, 2, 4),
       "0 2 1 3 4 6 5 7", 0),
    NO("DepthToSpace", 13, 4, D(1, 6, 1, 1), D(INT("blocksize", 2)), NONE, 0, "6 channels"),
    OK("SpaceToDepth", 13, 4, D(1, 2, 2, 2), D(INT("blocksize", 2)), NONE, 4, D(1, 8, 1, 1),
       "0 4 1 5 2 6 3 7", 0),
    NO("SpaceToDepth", 13, 4, D(1, 1, 3, 2), D(INT("blocksize", 2)), NONE, 0, "3 x 2"),
    /* Slice */
    OK("Slice", 1, 2, D(3, 4), D(LIST("starts", 2, 1, 0), LIST("ends", 2, 3, 3)), NONE, 2, D(2, 3),
       "4 5 6 8 9 10", 0),
    OK("Slice", 1, 2, D(3, 4), D(LIST("starts", 1, -2), LIST("ends", 1, 100), LIST("axes", 1, 1)), NONE, 2,
       D(3, 2), "2 3 6 7 10 11", 0),
    OK("Slice", 10, 2, D(3, 4), NONE, D({1, {3}}, {1, {-100}}, {1, {1}}, {1, {-2}}), 2, D(3, 2),
       "3 1 7 5 11 9", 0),
    OK("Slice", 13, 1, D(5), NONE, D({1, {100}}, {1, {INT64_MIN}}, {1, {0}}, {1, {-1}}), 1, D(5), "4 3 2 1 0",
       0),
    OK("Slice", 13, 1, D(5), NONE, D({1, {1}}, {1, {INT64_MAX}}, {-1, {0}}, {1, {3}}), 1, D(2), "1 4", 0),
    OK("Slice", 13, 1, D(5), NONE, D({1, {3}}, {1, {2}}), 1, D(0), "", 0),
    OK("Slice", 13, 2, D(3, 4), NONE, D({1, {0}}, {1, {INT64_MAX}}, {1, {-1}}), 2, D(3, 4), NULL, 0),
    NO("Slice", 13, 1, D(5), NONE, D({1, {0}}, {1, {3}}, {1, {0}}, {1, {0}}), 0, "step of 0"),
    NO("Slice", 13, 2, D(3, 4), NONE, D({2, {0, 0}}, {2, {3, 3}}, {2, {1, -1}}), 0, "axis 1 is named twice"),
    NO("Slice", 13, 2, D(3, 4), NONE, D({2, {0, 0}}, {1, {3}}), 0, "do not match"),
    /* Split */
    OK("Split", 2, 2, D(2, 4), D(INT("axis", 1)), NONE, 2, D(2, 2), "0 1 4 5 2 3 6 7", 2),
    OK("Split", 11, 2, D(4, 2), D(LIST("split", 2, 1, 3)), NONE, 2, D(1, 2), "0 1 2 3 4 5 6 7", 2),
    OK("Split", 13, 2, D(1, 5), D(INT("axis", -1)), D({3, {1, 3, 1}}), 2, D(1, 1), "0 1 2 3 4", 3),
    OK("Split", 18, 1, D(5), D(INT("num_outputs", 2)), NONE, 1, D(3), "0 1 2 3 4", 2),
    NO("Split", 13, 1, D(5), NONE, NONE, 2, "does not split into 2 equal parts"),
    NO("Split", 18, 1, D(5), D(INT("num_outputs", 3)), NONE, 2, "num_outputs is 3 for 2 outputs"),
    NO("Split", 13, 1, D(5), NONE, D({2, {2, 2}}), 2, "the parts leave out 1"),
    NO("Split", 13, 1, D(5), NONE, D({3, {1, 2, 2}}), 2, "each of 2 outputs"),
    /* Tile */
    OK("Tile", 6, 2, D(2, 2), NONE, D({2, {1, 2}}), 2, D(2, 4), "0 1 0 1 2 3 2 3", 0),
    OK("Tile", 13, 2, D(1, 2), NONE, D({2, {2, 2}}), 2, D(2, 4), "0 1 0 1 0 1 0 1", 0),
    OK("Tile", 13, 2, D(2, 2), NONE, D({2, {0, 1}}), 2, D(0, 2), "", 0),
    NO("Tile", 13, 2, D(2, 2), NONE, D({1, {2}}), 0, "1 entries for rank 2"),
    NO("Tile", 13, 2, D(2, 2), NONE, D({2, {-1, 1}}), 0, "repeat -1 of axis 0"),
    /* Gather */
    OK("Gather", 1, 2, D(3, 2), NONE, D({2, {2, 0}}), 2, D(2, 2), "4 5 0 1", 0),
    OK("Gather", 13, 2, D(2, 3), D(INT("axis", -1)), D({2, {-1, 1}}), 2, D(2, 2), "2 1 5 4", 0),
    NO("Gather", 13, 2, D(2, 3), D(INT("axis", 2)), D({1, {0}}), 0, "axis 2"),
    /* ArgMax, ArgMin, OneHot */
    OK("ArgMax", 13, 2, D(2, 3), NONE, NONE, 2, D(1, 3), "1 1 1", 0),
    OK("ArgMax", 1, 2, D(2, 3), D(INT("axis", -1), INT("keepdims", 0)), NONE, 1, D(2), "2 2", 0),
    OK("ArgMin", 13, 2, D(2, 3), D(INT("axis", 1)), NONE, 2, D(2, 1), "0 0", 0),
    NO("ArgMax", 13, 2, D(2, 0), D(INT("axis", 1)), NONE, 0, "axis 1 of 2x0"),
    OK("OneHot", 11, 1, D(3), NONE, D({1, {4}}, {2, {7, 9}}), 2, D(3, 4), "9 7 7 7 7 9 7 7 7 7 9 7", 0),
    OK("OneHot", 9, 1, D(2), D(INT("axis", 0)), D({1, {3}}, {2, {0, 1}}), 2, D(3, 2), "1 0 0 1 0 0", 0),
    NO("OneHot", 11, 1, D(3), NONE, D({1, {0}}, {2, {7, 9}}), 0, "depth must be"),
    NO("OneHot", 11, 1, D(3), NONE, D({1, {4}}, {1, {7}}), 0, "values must be"),
    /* of early converters */
    OK("Affine", 7, 1, D(3), NONE, NONE, 1, D(3), "0 1 2", 0),
    OK("Crop", 7, 4, D(1, 1, 3, 3), D(LIST("border", 4, 1, 0, 0, 2)), NONE, 4, D(1, 1, 1, 2), "1 2", 0),
    OK("Crop", 7, 4, D(1, 1, 3, 3), D(LIST("border", 4, 1, 1, 0, 0), LIST("scale", 2, 2, 1)), NONE, 4,
       D(1, 1, 2, 1), "4 7", 0),
    NO("Crop", 7, 4, D(1, 1, 3, 3), D(LIST("border", 4, 2, 0, 2, 0)), NONE, 0,
       "a border of 2 and 2 around 3"),
    OK("ImageScaler", 7, 4, D(1, 1, 1, 2), NONE, NONE, 4, D(1, 1, 1, 2), "0 1", 0),
    NO("ImageScaler", 7, 1, D(3), NONE, NONE, 0, "four dimensions"),
    /* Cast: float, float16 (computed in float), int64 */
    OK("Cast", 13, 1, D(3), D(INT("to", VECQ_DT_FLOAT16)), NONE, 1, D(3), "0 1 2", 0),
    OK("Cast", 9, 1, D(3), D(INT("to", VECQ_DT_INT64)), NONE, 1, D(3), "0 1 2", 0),
    NO("Cast", 9, 1, D(3), D(INT("to", VECQ_DT_STRING)), NONE, 0, "conversion to"),
};

typedef struct lowered {
    uint8_t *bytes;
    vecq_document doc;
    vecq_store store;
    program_run pr;
    vecq_var *outputs[4];
} lowered;

static void lowered_end(lowered *w)
{
    pr_end(&w->pr);
    vecq_store_clear(&w->store);
    vecq_document_clear(&w->doc);
    free(w->bytes);
}

/* The finished model's outputs for an x of these dims. */
static vecq_status lower_run(model_build *b, unsigned rank, const int64_t *dims, const char *const *names,
                             size_t n_out, lowered *w, vecq_error *err)
{
    vecq_lower_options options = {.is_training = 0};
    vecq_lower_input input = {"x", NULL};
    size_t n, i;
    vecq_status status;

    memset(w, 0, sizeof *w);
    w->bytes = model_bytes(b, &n);
    w->doc.name = "m";
    w->doc.bytes.data = w->bytes;
    w->doc.bytes.n = n;
    assert_ok(vecq_document_read(&w->doc, err), err);
    input.var = pr_input(&w->pr, VECQ_DT_FLOAT, rank, dims, NULL);
    for (i = 0; i < input.var->count; i++)
        ((float *)w->pr.memory[0])[i] = (float)i;
    status = vecq_lower_graph(&w->pr.program, &w->store, &w->doc.ir, &options, &input, 1, names, n_out,
                              w->outputs, err);
    if (status != VECQ_OK)
        return status;
    for (i = 0; i < n_out; i++)
        w->outputs[i]->is_output = 1;
    return pr_run(&w->pr, 1, err);
}

static void add_node(model_build *b, const lower_case *c, int n_out)
{
    char inputs[64] = "x", outputs[64] = "y0";
    vecq_message *node;
    int i;

    for (i = 0; i < 4 && c->inputs[i].n != 0; i++) {
        char name[8];

        snprintf(name, sizeof name, "c%d", i);
        snprintf(inputs + strlen(inputs), 8, " %s", c->inputs[i].n < 0 ? "-" : name);
        if (c->inputs[i].n > 0)
            model_ints(b, vecq_arena_string(&b->arena, name, 2), (size_t)c->inputs[i].n, c->inputs[i].v);
    }
    for (i = 1; i < n_out; i++)
        snprintf(outputs + strlen(outputs), 8, " y%d", i);
    node = model_node(b, c->op_type, inputs, outputs);
    for (i = 0; i < 4 && c->attrs[i].name != NULL; i++) {
        const attr_spec *a = &c->attrs[i];

        assert_true(a->n < 0    ? vecq_onnx_node_string(node, a->name, a->text)
                    : a->n == 0 ? vecq_onnx_node_int(node, a->name, a->v[0])
                                : vecq_onnx_node_ints(node, a->name, a->v, (size_t)a->n));
    }
}

/* The numbers of the text; without one nothing moved. */
static void check_values(const lower_case *c, const lowered *w, int n_out, const char *what)
{
    const char *text = c->values;
    size_t i;
    int k;

    for (k = 0; k < n_out; k++)
        for (i = 0; i < w->outputs[k]->count; i++) {
            char *end = NULL;
            double want = text != NULL ? strtod(text, &end) : (double)i;

            assert_true(text == NULL || end != text);
            pr_close(what, i, pr_value(&w->pr, w->outputs[k], i), want, 0);
            text = text != NULL ? end : NULL;
        }
    assert_true(text == NULL || *text == '\0');
}

static void check_case(const lower_case *c, size_t number)
{
    static const char *const names[] = {"y0", "y1", "y2", "y3"};
    const int64_t *declared = c->declared[0] != 0 ? c->declared : c->dims;
    int n_out = c->n_out > 0 ? c->n_out : 1, i;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_status status;
    model_build b;
    lowered w;
    char what[64];

    snprintf(what, sizeof what, "case %zu (%s)", number, c->op_type);
    model_begin(&b, 8, c->opset);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, (int)c->rank, declared);
    for (i = 0; i < n_out; i++)
        model_output(&b, names[i]);
    add_node(&b, c, n_out);
    status = lower_run(&b, c->rank, c->dims, names, (size_t)n_out, &w, &err);
    if (c->refusal != NULL) {
        if (status == VECQ_OK || strstr(err.message, c->refusal) == NULL ||
            strstr(err.message, c->op_type) == NULL)
            fail_msg("%s: '%s' does not say '%s'", what, err.message, c->refusal);
    } else {
        if (status != VECQ_OK)
            fail_msg("%s: %s", what, err.message);
        if (w.outputs[0]->rank != c->out_rank ||
            memcmp(w.outputs[0]->dims, c->out_dims, c->out_rank * sizeof *c->out_dims) != 0) {
            char text[96];
            fail_msg("%s: the result is %s", what, vecq_var_shape_text(w.outputs[0], text));
        }
        check_values(c, &w, n_out, what);
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

/* Concat of x with constants: a part with a batch of one is repeated when the graph runs at another batch. */
static void test_concat(void **state)
{
    static const struct {
        int64_t batch, axis, rows, declared, out[2];
        const char *values, *refusal;
    } rows[] = {
        {2, 1, 2, -1, {2, 4}, "0 1 50 60 2 3 70 80", NULL},
        {2, 0, 1, -1, {3, 2}, "0 1 2 3 50 60", NULL},
        {2, -1, 1, -1, {2, 4}, "0 1 50 60 2 3 50 60", NULL},
        {3, 1, 1, 1, {3, 4}, "0 1 50 60 2 3 50 60 4 5 50 60", NULL},
        {3, 1, 2, -1, {0, 0}, NULL, "is 2x2, the first is 3x2"},
        {3, 2, 1, -1, {0, 0}, NULL, "axis 2"},
    };
    static const float values[4] = {50, 60, 70, 80};
    static const char *const names[] = {"y"};
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int64_t dims[2] = {rows[i].batch, 2}, declared[2] = {rows[i].declared, 2};
        const int64_t part[2] = {rows[i].rows, 2};
        vecq_error err = VECQ_ERROR_INIT;
        vecq_status status;
        model_build b;
        lowered w;

        model_begin(&b, 8, 13);
        model_formal_of(&b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, 2, declared);
        model_output(&b, "y");
        model_tensor(&b, "c", VECQ_DT_FLOAT, 2, part, values, (size_t)rows[i].rows * 8);
        assert_true(vecq_onnx_node_int(model_node(&b, "Concat", "x c", "y"), "axis", rows[i].axis));
        status = lower_run(&b, 2, dims, names, 1, &w, &err);
        if (rows[i].refusal != NULL) {
            assert_true(status != VECQ_OK);
            assert_error(&err, VECQ_ERR_FORMAT, rows[i].refusal, "Concat");
        } else {
            const char *text = rows[i].values;
            char *end;

            assert_ok(status, &err);
            assert_memory_equal(w.outputs[0]->dims, rows[i].out, sizeof rows[i].out);
            for (k = 0; k < w.outputs[0]->count; k++, text = end)
                pr_close("concat", k, pr_value(&w.pr, w.outputs[0], k), strtod(text, &end), 0);
        }
        lowered_end(&w);
    }
}

/* Comparisons, logic and Where with broadcasting; x is 0 1 2, 3 4 5 and c 3 1 4. */
static void test_select(void **state)
{
    static const struct {
        const char *nodes[3][3]; /* operator, inputs, output */
        const char *values;
    } rows[] = {
        {{{"Less", "x c", "y"}}, "1 0 1 0 0 0"},
        {{{"LessOrEqual", "x c", "y"}}, "1 1 1 1 0 0"},
        {{{"Greater", "x c", "y"}}, "0 0 0 0 1 1"},
        {{{"GreaterOrEqual", "x c", "y"}}, "0 1 0 1 1 1"},
        {{{"Equal", "c x", "y"}}, "0 1 0 1 0 0"},
        {{{"Equal", "x c", "e"}, {"Not", "e", "y"}}, "1 0 1 0 1 1"},
        {{{"Less", "x c", "a"}, {"Equal", "x c", "b"}, {"Or", "a b", "y"}}, "1 1 1 1 0 0"},
        {{{"Less", "x one", "a"}, {"Less", "x c", "b"}, {"And", "a b", "y"}}, "1 0 0 0 0 0"},
        {{{"Less", "x c", "a"}, {"Equal", "x x", "b"}, {"Xor", "a b", "y"}}, "0 1 0 1 1 1"},
        {{{"Less", "x c", "a"}, {"Where", "a x one", "y"}}, "0 1 2 1 1 1"},
        {{{"Less", "c one", "a"}, {"Where", "a one x", "y"}}, "0 1 2 3 4 5"},
    };
    static const float c[3] = {3, 1, 4}, one[1] = {1};
    static const int64_t dims[2] = {2, 3}, c_dims[1] = {3};
    static const char *const names[] = {"y"};
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = rows[i].values;
        vecq_error err = VECQ_ERROR_INIT;
        model_build b;
        lowered w;
        char *end;

        model_begin(&b, 8, 13);
        model_formal_of(&b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, 2, dims);
        model_output(&b, "y");
        model_tensor(&b, "c", VECQ_DT_FLOAT, 1, c_dims, c, sizeof c);
        model_tensor(&b, "one", VECQ_DT_FLOAT, 0, NULL, one, sizeof one);
        for (k = 0; k < 3 && rows[i].nodes[k][0] != NULL; k++)
            model_node(&b, rows[i].nodes[k][0], rows[i].nodes[k][1], rows[i].nodes[k][2]);
        assert_ok(lower_run(&b, 2, dims, names, 1, &w, &err), &err);
        assert_int_equal(w.outputs[0]->count, 6);
        for (k = 0; k < 6; k++, text = end)
            pr_close(rows[i].nodes[0][0], k, pr_value(&w.pr, w.outputs[0], k), strtod(text, &end), 0);
        lowered_end(&w);
    }
}

/* Integers: picked indices 1 1 1 in arithmetic with 7 -9 2. */
static void test_integers(void **state)
{
    static const struct {
        const char *nodes[2][3];
        const char *values;
    } rows[] = {
        {{{"Add", "a i", "y"}}, "8 -8 3"},
        {{{"Sub", "a i", "y"}}, "-6 10 -1"},
        {{{"Add", "a i", "b"}, {"Div", "i b", "y"}}, "0 1 0"}, /* 7/8, -9/-8, 2/3 */
        {{{"Mul", "a i", "b"}, {"ReduceSum", "b", "y"}}, "0"},
        {{{"Mul", "a i", "b"}, {"ReduceMax", "b", "y"}}, "7"},
        {{{"Add", "a i", "b"}, {"Equal", "b i", "y"}}, "0 0 0"},
    };
    static const int64_t dims[2] = {2, 3}, i_values[3] = {7, -9, 2};
    static const char *const names[] = {"y"};
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = rows[i].values;
        vecq_error err = VECQ_ERROR_INIT;
        vecq_message *node;
        model_build b;
        lowered w;
        char *end;

        model_begin(&b, 8, 13);
        model_formal_of(&b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, 2, dims);
        model_output(&b, "y");
        model_ints(&b, "i", 3, i_values);
        assert_true(vecq_onnx_node_int(model_node(&b, "ArgMax", "x", "a"), "keepdims", 0));
        for (k = 0; k < 2 && rows[i].nodes[k][0] != NULL; k++) {
            node = model_node(&b, rows[i].nodes[k][0], rows[i].nodes[k][1], rows[i].nodes[k][2]);
            if (strncmp(rows[i].nodes[k][0], "Reduce", 6) == 0)
                assert_true(vecq_onnx_node_int(node, "keepdims", 0));
        }
        assert_ok(lower_run(&b, 2, dims, names, 1, &w, &err), &err);
        assert_true(w.outputs[0]->dtype == (i == 5 ? VECQ_DT_BOOL : VECQ_DT_INT64));
        for (k = 0; k < w.outputs[0]->count; k++, text = end)
            pr_close(rows[i].nodes[0][0], k, pr_value(&w.pr, w.outputs[0], k), strtod(text, &end), 0);
        assert_true(*text == '\0');
        lowered_end(&w);
    }
}

/* Nodes without the inputs they need are refused, whatever the operator. */
static void test_missing_inputs(void **state)
{
    static const char *const names[] = {"y"};
    static const int64_t dims[1] = {3};
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        for (k = 0; k < 2; k++) {
            vecq_error err = VECQ_ERROR_INIT;
            model_build b;
            lowered w;

            model_begin(&b, 8, cases[i].opset);
            model_formal_of(&b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, 1, dims);
            model_output(&b, "y");
            model_node(&b, cases[i].op_type, k == 0 ? "" : "- x", "y");
            assert_true(lower_run(&b, 1, dims, names, 1, &w, &err) != VECQ_OK);
            lowered_end(&w);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),    cmocka_unit_test(test_concat),         cmocka_unit_test(test_select),
        cmocka_unit_test(test_integers), cmocka_unit_test(test_missing_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
