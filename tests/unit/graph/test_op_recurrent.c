/* SPDX-License-Identifier: Apache-2.0 */
/* LSTM and GRU as parts of a program: differentiation, and what the forms of the ONNX nodes become. The
 * numbers of the operators themselves are checked in backend/test_ref_lstm.c and test_ref_gru.c. */
#include "vecq_test.h"

#include "base/status.h"
#include "fail_alloc.h"
#include "gradient_check.h"
#include "graph/lower.h"
#include "onnx/document.h"
#include "onnx_model.h"
#include "program_run.h"

/* ---- differentiation ---- */

typedef struct rnn_extra {
    vecq_op_kind kind;
    vecq_lstm_direction direction;
    unsigned outputs; /* bits of those that enter the loss */
    unsigned omit;    /* bits of the inputs left out */
} rnn_extra;

static vecq_status build_rnn(vecq_program *p, vecq_var *const *in, const void *extra, vecq_var **out,
                             size_t *n_out, vecq_error *err)
{
    const rnn_extra *e = extra;
    vecq_lstm_params lstm;
    vecq_gru_params gru;
    vecq_var *inputs[6];
    vecq_op *op;
    size_t i;

    memset(&lstm, 0, sizeof lstm);
    memset(&gru, 0, sizeof gru);
    lstm.direction = gru.direction = e->direction;
    lstm.hidden = gru.hidden = 3;
    for (i = 0; i < 6; i++)
        inputs[i] = (e->omit >> i & 1u) != 0 ? NULL : in[i];
    if (e->kind == VECQ_OP_LSTM)
        VECQ_TRY(vecq_program_op(p, e->kind, "op", inputs, 6, &lstm, sizeof lstm, 0, &op, err));
    else
        VECQ_TRY(vecq_program_op(p, e->kind, "op", inputs, 5, &gru, sizeof gru, 0, &op, err));
    for (i = 0; i < 3; i++)
        if ((e->outputs >> i & 1u) != 0)
            out[(*n_out)++] = op->outputs[i];
    return VECQ_OK;
}

#define IN(n, ...)                                                                                           \
    {                                                                                                        \
        .rank = n, .dims = { __VA_ARGS__ }                                                                   \
    }

#define LSTM_INPUTS(d)                                                                                       \
    {                                                                                                        \
        IN(3, 4, 2, 2), IN(3, d, 12, 2), IN(3, d, 12, 3), IN(2, d, 24), IN(3, d, 2, 3), IN(3, d, 2, 3)       \
    }
#define GRU_INPUTS(d)                                                                                        \
    {                                                                                                        \
        IN(3, 4, 2, 2), IN(3, d, 9, 2), IN(3, d, 9, 3), IN(2, d, 18), IN(3, d, 2, 3)                         \
    }

static void test_gradients(void **state)
{
    static const rnn_extra extras[] = {
        {VECQ_OP_LSTM, VECQ_LSTM_FORWARD, 7, 0}, {VECQ_OP_LSTM, VECQ_LSTM_BOTH, 7, 0},
        {VECQ_OP_LSTM, VECQ_LSTM_REVERSE, 2, 0}, {VECQ_OP_LSTM, VECQ_LSTM_FORWARD, 1, 8 + 16},
        {VECQ_OP_GRU, VECQ_LSTM_FORWARD, 3, 0},  {VECQ_OP_GRU, VECQ_LSTM_BOTH, 3, 16},
        {VECQ_OP_GRU, VECQ_LSTM_REVERSE, 2, 8},
    };
    static const gc_case lstm = {.n_inputs = 6, .inputs = LSTM_INPUTS(1), .build = build_rnn};
    static const gc_case lstm_both = {.n_inputs = 6, .inputs = LSTM_INPUTS(2), .build = build_rnn};
    static const gc_case gru = {.n_inputs = 5, .inputs = GRU_INPUTS(1), .build = build_rnn};
    static const gc_case gru_both = {.n_inputs = 5, .inputs = GRU_INPUTS(2), .build = build_rnn};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof extras / sizeof *extras; i++) {
        int both = extras[i].direction == VECQ_LSTM_BOTH;
        gc_case c = extras[i].kind == VECQ_OP_LSTM ? (both ? lstm_both : lstm) : both ? gru_both : gru;
        char name[32];

        snprintf(name, sizeof name, "recurrent case %zu", i);
        c.name = name;
        c.extra = &extras[i];
        gc_run(&c);
    }
}

/* ---- from ONNX ---- */

enum { T = 3, N = 2, I = 4, H = 5, DIRS = 2 };

/* A recurrent node under construction. */
typedef struct rnn_spec {
    const char *op_type, *inputs; /* names: x w r b lens h0 c0 p */
    int opset, batch_first;
    const char *direction; /* NULL: forward */
    const char *activations[6];
    int has_clip, input_forget, linear, no_hidden;
    int lens[2];      /* of sequence_lens */
    float peephole;   /* of every element of P */
    int64_t h0_batch; /* 0: N */
    const char *refusal;
} rnn_spec;

typedef struct rnn_result {
    double y[T * DIRS * N * H], y_h[DIRS * N * H], y_c[DIRS * N * H]; /* in the layout of layout = 0 */
    size_t n;
} rnn_result;

static void add_strings(model_build *b, vecq_message *node, const char *name, const char *const *texts)
{
    vecq_message *attribute = vecq_message_new(&b->arena);
    size_t i;

    assert_true(vecq_message_insert_string(attribute, SIZE_MAX, ONNX_ATTR_NAME, name));
    for (i = 0; i < 6 && texts[i] != NULL; i++)
        assert_true(vecq_message_insert_string(attribute, SIZE_MAX, ONNX_ATTR_STRINGS, texts[i]));
    assert_true(vecq_message_insert_scalar(attribute, SIZE_MAX, ONNX_ATTR_TYPE, VECQ_ATTR_STRINGS));
    assert_true(vecq_message_insert_child(node, SIZE_MAX, ONNX_NODE_ATTRIBUTE, attribute));
}

/* The same values for the same place, whatever the layout. */
static double value_at(size_t i)
{
    return 0.9 * sin(1.7 * (double)i + 0.3);
}

static void add_tensor(model_build *b, const char *name, unsigned rank, const int64_t *dims, int is_state,
                       int batch_first)
{
    size_t n = pr_count(rank, dims), i;
    float *values = calloc(n, sizeof *values);
    int64_t turned[3] = {dims[1], dims[0], rank == 3 ? dims[2] : 0};

    for (i = 0; i < n; i++) {
        size_t at = i; /* [d][n][h] is element [n][d][h] where the batch comes first */

        if (is_state && batch_first)
            at = ((i / (size_t)dims[2] % (size_t)dims[1]) * (size_t)dims[0] +
                  i / (size_t)(dims[1] * dims[2])) *
                     (size_t)dims[2] +
                 i % (size_t)dims[2];
        values[at] = (float)(0.5 * value_at(i + (size_t)name[0] * 131));
    }
    model_tensor(b, name, VECQ_DT_FLOAT, rank, is_state && batch_first ? turned : dims, values,
                 n * sizeof *values);
    free(values);
}

static void build_node(model_build *b, const rnn_spec *s)
{
    int is_lstm = strcmp(s->op_type, "LSTM") == 0, d;
    int64_t gates = is_lstm ? 4 : 3, peep = 3 * H;
    vecq_message *node = model_node(b, s->op_type, s->inputs, is_lstm ? "y yh yc" : "y yh");
    int32_t lens[2] = {s->lens[0], s->lens[1]};
    static const int64_t two[1] = {2};
    float p[DIRS * 3 * H];
    size_t i;

    d = s->direction != NULL && strcmp(s->direction, "bidirectional") == 0 ? 2 : 1;
    {
        const int64_t w[3] = {d, gates * H, I}, r[3] = {d, gates * H, H}, bias[2] = {d, 2 * gates * H};
        const int64_t h0[3] = {d, s->h0_batch > 0 ? s->h0_batch : N, H}, c0[3] = {d, N, H}, pd[2] = {d, peep};

        add_tensor(b, "w", 3, w, 0, 0);
        add_tensor(b, "r", 3, r, 0, 0);
        add_tensor(b, "b", 2, bias, 0, 0);
        add_tensor(b, "h0", 3, h0, 1, s->batch_first);
        add_tensor(b, "c0", 3, c0, 1, s->batch_first);
        for (i = 0; i < sizeof p / sizeof *p; i++)
            p[i] = s->peephole;
        model_tensor(b, "p", VECQ_DT_FLOAT, 2, pd, p, (size_t)(d * peep) * sizeof *p);
    }
    model_tensor(b, "lens", VECQ_DT_INT32, 1, two, lens, sizeof lens);
    if (!s->no_hidden)
        assert_true(vecq_onnx_node_int(node, "hidden_size", H));
    if (s->direction != NULL)
        assert_true(vecq_onnx_node_string(node, "direction", s->direction));
    if (s->batch_first)
        assert_true(vecq_onnx_node_int(node, "layout", 1));
    if (s->has_clip)
        assert_true(vecq_onnx_node_float(node, "clip", 100));
    if (s->input_forget)
        assert_true(vecq_onnx_node_int(node, "input_forget", 1));
    if (s->linear)
        assert_true(vecq_onnx_node_int(node, "linear_before_reset", 1));
    if (s->activations[0] != NULL)
        add_strings(b, node, "activations", s->activations);
}

/* Lowers and runs; the outputs turned to the layout of layout = 0. */
static vecq_status run_spec(const rnn_spec *s, int is_training, rnn_result *result, vecq_error *err)
{
    const int64_t dims[3] = {s->batch_first ? N : T, s->batch_first ? T : N, I};
    static const char *const names[] = {"y", "yh", "yc"};
    size_t n_out = strcmp(s->op_type, "LSTM") == 0 ? 3 : 2, i;
    vecq_lower_options options = {.is_training = is_training};
    vecq_lower_input input = {"x", NULL};
    vecq_var *outputs[3] = {NULL};
    vecq_store store = {0};
    vecq_document doc;
    vecq_status status;
    program_run pr;
    model_build b;
    uint8_t *bytes;
    size_t n;

    memset(&pr, 0, sizeof pr);
    memset(&doc, 0, sizeof doc);
    memset(result, 0, sizeof *result);
    model_begin(&b, 8, s->opset);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, 3,
                    (const int64_t[3]){dims[0] == T ? T : 1, dims[1], I});
    for (i = 0; i < n_out; i++)
        model_output(&b, names[i]);
    build_node(&b, s);
    bytes = model_bytes(&b, &n);
    doc.name = "m";
    doc.bytes.data = bytes;
    doc.bytes.n = n;
    assert_ok(vecq_document_read(&doc, err), err);
    input.var = pr_input(&pr, VECQ_DT_FLOAT, 3, dims, NULL);
    for (i = 0; i < T * N * I; i++) { /* i: [t][n][k] */
        size_t t = i / (N * I), row = i / I % N, k = i % I;

        ((float *)pr.memory[0])[s->batch_first ? (row * T + t) * I + k : i] = (float)value_at(i);
    }
    status = vecq_lower_graph(&pr.program, &store, &doc.ir, &options, &input, 1, names, n_out, outputs, err);
    for (i = 0; i < n_out && status == VECQ_OK; i++)
        outputs[i]->is_output = 1;
    if (status == VECQ_OK)
        status = pr_run(&pr, 1, err);
    if (status == VECQ_OK) {
        size_t d = outputs[1]->count / (N * H), t, row, k, dir;

        for (i = 0; i < outputs[0]->count; i++) { /* [t][d][n][h] or [n][t][d][h] */
            k = i % H;
            dir = i / H / (s->batch_first ? 1 : N) % d;
            row = s->batch_first ? i / (T * d * H) : i / H % N;
            t = s->batch_first ? i / (d * H) % T : i / (N * d * H);
            result->y[((t * d + dir) * N + row) * H + k] = pr_value(&pr, outputs[0], i);
        }
        for (i = 0; i < outputs[1]->count; i++) { /* [d][n][h] or [n][d][h] */
            k = i % H;
            dir = s->batch_first ? i / H % d : i / (N * H);
            row = s->batch_first ? i / (d * H) : i / H % N;
            result->y_h[(dir * N + row) * H + k] = pr_value(&pr, outputs[1], i);
            if (n_out == 3)
                result->y_c[(dir * N + row) * H + k] = pr_value(&pr, outputs[2], i);
        }
        result->n = outputs[0]->count;
    }
    pr_end(&pr);
    vecq_store_clear(&store);
    vecq_document_clear(&doc);
    free(bytes);
    return status;
}

static double distance_of(const rnn_spec *a, const rnn_spec *b)
{
    vecq_error err = VECQ_ERROR_INIT;
    rnn_result first, second;
    double distance = 0;
    size_t i;

    assert_ok(run_spec(a, 0, &first, &err), &err);
    assert_ok(run_spec(b, 1, &second, &err), &err);
    assert_int_equal(first.n, second.n);
    for (i = 0; i < sizeof first.y / sizeof *first.y; i++)
        distance = fmax(distance, fabs(first.y[i] - second.y[i]));
    for (i = 0; i < sizeof first.y_h / sizeof *first.y_h; i++)
        distance =
            fmax(distance, fmax(fabs(first.y_h[i] - second.y_h[i]), fabs(first.y_c[i] - second.y_c[i])));
    return distance;
}

static void assert_same(const rnn_spec *a, const rnn_spec *b, int want_same)
{
    double distance = distance_of(a, b);

    if (want_same ? distance != 0 : distance < 1e-4)
        fail_msg("%s '%s': they differ by %g", b->op_type, b->inputs, distance);
}

/* Forms that mean the same, in training and not; and one thing changed that must show. */
static void test_forms(void **state)
{
    static const rnn_spec base = {.op_type = "LSTM", .inputs = "x w r b - h0 c0", .opset = 7};
    static const rnn_spec both = {
        .op_type = "LSTM", .inputs = "x w r b - h0 c0", .opset = 14, .direction = "bidirectional"};
    static const rnn_spec gru = {
        .op_type = "GRU", .inputs = "x w r b - h0", .opset = 14, .direction = "bidirectional", .linear = 1};
    rnn_spec other = base;

    (void)state;
    other.no_hidden = 1;
    other.opset = 22;
    other.inputs = "x w r b lens h0 c0 p";
    other.lens[0] = other.lens[1] = T;
    other.direction = "forward";
    memcpy(other.activations, (const char *const[]){"Sigmoid", "Tanh", "Tanh"}, 3 * sizeof(char *));
    assert_same(&base, &other, 1);
    other = base;
    other.inputs = "x w r b";
    assert_same(&base, &other, 0);
    other = base;
    other.direction = "reverse";
    assert_same(&base, &other, 0);
    other = both;
    other.batch_first = 1;
    other.opset = 14;
    assert_same(&both, &other, 1);
    other = gru;
    other.batch_first = 1;
    other.opset = 22;
    assert_same(&gru, &other, 1);
    other = gru;
    other.linear = 0;
    assert_same(&gru, &other, 0);
}

/* A state for a batch of one serves all sequences of another batch. */
static void test_state_of_one(void **state)
{
    static const rnn_spec one = {
        .op_type = "GRU", .inputs = "x w r b - h0", .opset = 14, .batch_first = 1, .h0_batch = 1};
    static const rnn_spec none = {.op_type = "GRU", .inputs = "x w r b", .opset = 14, .batch_first = 1};
    vecq_error err = VECQ_ERROR_INIT;
    rnn_result with, without;
    size_t i;

    (void)state;
    assert_ok(run_spec(&one, 0, &with, &err), &err);
    assert_ok(run_spec(&none, 0, &without, &err), &err);
    for (i = 0; i < N * H; i++)
        assert_true(fabs(with.y_h[i] - without.y_h[i]) > 1e-6); /* both sequences begin elsewhere */
}

/* What LSTM and GRU do not cover is run by another op (clip brings it about), which must give the same where
 * nothing is clipped; what it has besides makes a difference. */
static void test_general(void **state)
{
    static const rnn_spec usual[] = {
        {.op_type = "LSTM", .inputs = "x w r b", .opset = 7},
        {.op_type = "LSTM", .inputs = "x w r b - h0 c0", .opset = 14, .direction = "bidirectional"},
        {.op_type = "LSTM", .inputs = "x w r", .opset = 14, .direction = "reverse", .batch_first = 1},
        {.op_type = "GRU", .inputs = "x w r b - h0", .opset = 7},
        {.op_type = "GRU", .inputs = "x w r b", .opset = 7, .direction = "bidirectional", .linear = 1}};
    rnn_spec other;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof usual / sizeof *usual; i++) {
        other = usual[i];
        other.has_clip = 1;
        if (distance_of(&usual[i], &other) > 1e-6)
            fail_msg("case %zu: %g", i, distance_of(&usual[i], &other));
    }
    other = usual[0];
    other.input_forget = 1;
    assert_same(&usual[0], &other, 0);
    other = usual[0];
    other.inputs = "x w r b lens";
    other.lens[0] = T;
    other.lens[1] = 1;
    assert_same(&usual[0], &other, 0);
    other = usual[0];
    other.inputs = "x w r b - - - p";
    other.peephole = 0.5f;
    assert_same(&usual[0], &other, 0);
    other = usual[0];
    other.activations[0] = "Sigmoid";
    other.activations[1] = "Relu";
    other.activations[2] = "Tanh";
    assert_same(&usual[0], &other, 0);
}

static void test_refusals(void **state)
{
    static const rnn_spec specs[] = {
        {.op_type = "LSTM", .inputs = "x w r b", .opset = 7, .direction = "up", .refusal = "'up'"},
        {.op_type = "LSTM",
         .inputs = "x w r b",
         .opset = 7,
         .activations = {"Sigmoid", "Sine", "Tanh"},
         .refusal = "activation 'Sine'"},
        {.op_type = "LSTM", .inputs = "x w", .opset = 7, .refusal = "an input is missing"},
        {.op_type = "LSTM", .inputs = "x r w b", .opset = 7, .refusal = "W is 1x20x5"},
        {.op_type = "LSTM", .inputs = "x w b r", .opset = 7, .refusal = "R is 1x40"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof specs / sizeof *specs; i++) {
        vecq_error err = VECQ_ERROR_INIT;
        rnn_result result;

        if (run_spec(&specs[i], 0, &result, &err) == VECQ_OK ||
            strstr(err.message, specs[i].refusal) == NULL || strstr(err.message, specs[i].op_type) == NULL)
            fail_msg("case %zu: '%s' does not say '%s'", i, err.message, specs[i].refusal);
    }
}

/* ---- memory ---- */

/* The bytes of a model of layout operators around both recurrent layers. */
typedef struct memory_model {
    uint8_t *bytes;
    size_t n;
} memory_model;

static memory_model make_memory_model(void)
{
    static const rnn_spec gru = {.op_type = "GRU", .inputs = "t w r b - h0", .opset = 14, .batch_first = 1};
    static const int64_t shape[3] = {0, 0, -1}, starts[1] = {1}, ends[1] = {3}, axes[1] = {2},
                         rows[2] = {1, -1};
    static const int64_t dims[3] = {N, T, I};
    memory_model m;
    model_build b;

    model_begin(&b, 8, 13);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, 3, dims);
    model_output(&b, "out");
    model_ints(&b, "shape", 3, shape);
    model_ints(&b, "starts", 1, starts);
    model_ints(&b, "ends", 1, ends);
    model_ints(&b, "axes", 1, axes);
    model_ints(&b, "rows", 2, rows);
    model_node(&b, "Reshape", "x shape", "a");
    assert_true(vecq_onnx_node_int(model_node(&b, "Split", "a", "s0 s1"), "axis", 2));
    assert_true(vecq_onnx_node_int(model_node(&b, "Concat", "s1 s0", "t"), "axis", 2));
    build_node(&b, &gru);
    model_node(&b, "Squeeze", "yh", "q");
    assert_true(vecq_onnx_node_int(model_node(&b, "Gather", "q rows", "g"), "axis", 1));
    model_node(&b, "Transpose", "g", "out");
    m.bytes = model_bytes(&b, &m.n);
    return m;
}

/* From file to gradient: whatever allocation fails, nothing is left behind. */
static vecq_status whole_life(void *context, vecq_error *err)
{
    const memory_model *m = context;
    static const int64_t dims[3] = {N, T, I};
    static const float zeros[N * T * I] = {0};
    vecq_lower_options options = {.is_training = 1};
    vecq_exec_options plan = {.threads = 1, .is_training = 1};
    vecq_lower_input input = {"x", NULL};
    vecq_reduce_params all = {.axes = {1, 1}};
    vecq_var *out, *loss, *gradients[8] = {NULL}, *with[8];
    vecq_program program = {0};
    vecq_store store = {0};
    vecq_exec *exec = NULL;
    vecq_run run = {.threads = 1};
    vecq_document doc;
    vecq_status status;
    size_t i, n = 0;

    memset(&doc, 0, sizeof doc);
    doc.name = "m";
    doc.bytes.data = m->bytes;
    doc.bytes.n = m->n;
    status = vecq_document_read(&doc, err);
    if (status == VECQ_OK)
        status = vecq_program_input(&program, "x", VECQ_DT_FLOAT, 3, dims, &input.var, err);
    if (status == VECQ_OK)
        status = vecq_lower_graph(&program, &store, &doc.ir, &options, &input, 1,
                                  (const char *const[]){"out"}, 1, &out, err);
    if (status == VECQ_OK)
        status = vecq_program_op1(&program, VECQ_OP_REDUCE_SUM, "loss", out, &all, sizeof all, &loss, err);
    for (i = 0; status == VECQ_OK && i < store.n && n < 8; i++)
        status = vecq_program_stored(&program, store.items[i], &with[n++], err);
    if (status == VECQ_OK)
        status = vecq_program_differentiate(&program, loss, with, n, gradients, err);
    if (status == VECQ_OK)
        status = vecq_exec_create(&program, &plan, &exec, err);
    if (status == VECQ_OK) {
        vecq_exec_bind(exec, input.var, zeros);
        status = vecq_exec_run(exec, &run, err);
    }
    if (status == VECQ_OK)
        assert_true(n == 3 && gradients[0] != NULL && gradients[1] != NULL && gradients[2] != NULL);
    vecq_exec_destroy(exec);
    vecq_program_clear(&program);
    vecq_store_clear(&store);
    vecq_document_clear(&doc);
    return status;
}

static void test_memory(void **state)
{
    memory_model m = make_memory_model();

    (void)state;
    assert_true(vecq_fail_every_alloc(whole_life, &m) > 50);
    free(m.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),    cmocka_unit_test(test_forms),
        cmocka_unit_test(test_state_of_one), cmocka_unit_test(test_general),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
