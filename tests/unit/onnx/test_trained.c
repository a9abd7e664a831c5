/* SPDX-License-Identifier: Apache-2.0 */
/* What training changes comes back from the file: values, quantizers, outputs, notes. */
#include "vecq_test.h"

#include "../base/temp_folder.h"
#include "fail_alloc.h"
#include "graph/fold.h"
#include "trained_case.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- outputs ---- */

static size_t count_nodes(const vecq_document *doc, const char *op_type)
{
    size_t i, n = 0;

    for (i = 0; i < doc->ir.main->n_nodes; i++)
        n += vecq_node_is(doc->ir.main->nodes[i], op_type);
    return n;
}

static void check_case(const trained_case *c)
{
    static float x[CASE_X_MAX], want[CASE_Y_MAX], got[CASE_Y_MAX];
    vecq_lower_options plain = {0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_store store = {0};
    case_program eval;
    vecq_model *model;
    vecq_document *doc;
    vecq_span note;
    size_t n_x, n_y, i;

    case_write(c, "m.onnx", x, &n_x, want, &n_y);
    assert_ok(vecq_model_load("m.onnx", &model, &err), &err);
    doc = vecq_model_document(model);
    assert_int_equal(doc->ir.main->opset, c->opset);
    assert_int_equal(count_nodes(doc, "QuantizeLinear"), c->act_bits > 0 ? 2 : 0);
    assert_int_equal(count_nodes(doc, "Clip"), c->act_bits > 0 && c->act_bits < 8 ? 2 : 0);
    case_lower(doc, &store, c, &plain, &eval);
    case_run(&eval, x, 0, got);
    assert_int_equal(eval.y->count, n_y);
    for (i = 0; i < n_y; i++)
        if (want[i] != got[i])
            fail_msg("%s: output %zu is %a, was %a before it was written", c->name, i, (double)got[i],
                     (double)want[i]);
    note = vecq_document_metadata(doc, "vocabulary");
    assert_int_equal(note.n, strlen("the quick\nbrown \xc3\xa4"));
    assert_memory_equal(note.data, "the quick\nbrown \xc3\xa4", note.n);
    note = vecq_document_metadata(doc, "empty");
    assert_true(note.data != NULL && note.n == 0);
    assert_null(vecq_document_metadata(doc, "vocabular").data);
    case_program_end(&eval);
    vecq_store_clear(&store);
    vecq_model_close(model);
}

static void test_cases(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < N_TRAINED_CASES; i++)
        check_case(&trained_cases[i]);
}

/* A file with quantized activations, trained further: the quantizers that are there stay, none are added. */
static void test_trained_again(void **state)
{
    const trained_case *c = &trained_cases[9];
    static float x[CASE_X_MAX], y[CASE_Y_MAX];
    vecq_lower_options lowering = {.is_training = 1, .act = {.bits = 8, .momentum = 0.9}};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_store store = {0};
    case_program again;
    vecq_model *model;
    size_t n_x, n_y;

    (void)state;
    assert_string_equal(c->name, "activations");
    case_write(c, "m.onnx", x, &n_x, y, &n_y);
    assert_ok(vecq_model_load("m.onnx", &model, &err), &err);
    case_lower(vecq_model_document(model), &store, c, &lowering, &again);
    assert_null(vecq_program_act_sites(&again.program));
    case_program_end(&again);
    vecq_store_clear(&store);
    vecq_model_close(model);
}

/* ---- every place that a constant can have ---- */

static uint8_t *places_model(size_t *n)
{
    static const int64_t dims[2] = {4, 6}, flipped[2] = {6, 4}, six = 6;
    float values[24], half = 0.5f;
    uint16_t halves[24];
    double doubles[24];
    vecq_message *node, *tensor;
    model_build b;
    size_t i;

    model_values(values, 24);
    vecq_convert_from_f32(VECQ_DT_FLOAT16, values, halves, 24);
    for (i = 0; i < 24; i++)
        doubles[i] = (double)values[i];
    model_begin(&b, 8, 17);
    model_input(&b, "x");
    model_output(&b, "out");
    model_tensor(&b, "plain", VECQ_DT_FLOAT, 2, dims, values, sizeof values);
    model_node(&b, "MatMul", "x plain", "t0");
    model_node(&b, "MatMul", "t0 plain", "t1"); /* shared */
    model_tensor(&b, "half", VECQ_DT_FLOAT16, 2, dims, halves, sizeof halves);
    model_node(&b, "MatMul", "t1 half", "t2");
    model_tensor(&b, "double", VECQ_DT_DOUBLE, 2, dims, doubles, sizeof doubles);
    model_node(&b, "MatMul", "t2 double", "t3");
    tensor = vecq_onnx_tensor(
        &b.arena, NULL, VECQ_DT_FLOAT, dims, 2,
        (vecq_span){(const uint8_t *)vecq_arena_string(&b.arena, (const char *)values, sizeof values),
                    sizeof values});
    node = model_node(&b, "Constant", "", "held");
    assert_true(vecq_onnx_node_tensor(node, "value", tensor));
    model_node(&b, "MatMul", "t3 held", "t4");
    model_tensor(&b, "raw", VECQ_DT_FLOAT, 2, flipped, values, sizeof values);
    model_tensor(&b, "factor", VECQ_DT_FLOAT, 0, NULL, &half, sizeof half);
    model_node(&b, "Mul", "raw factor", "computed");
    model_node(&b, "MatMul", "t4 computed", "t5");
    model_tensor(&b, "scale", VECQ_DT_FLOAT, 1, &six, values, 24);
    model_tensor(&b, "offset", VECQ_DT_FLOAT, 1, &six, values + 6, 24);
    model_tensor(&b, "mean", VECQ_DT_FLOAT, 1, &six, values + 12, 24);
    model_tensor(&b, "variance", VECQ_DT_FLOAT, 1, &six, values + 18, 24);
    model_node(&b, "BatchNormalization", "t5 scale offset mean variance", "t6");
    model_tensor(&b, "untouched", VECQ_DT_FLOAT, 1, &six, values, 24);
    model_node(&b, "Add", "t6 untouched", "out");
    return model_bytes(&b, n);
}

static const char *const places[] = {"plain", "half",   "double", "held",    "computed",
                                     "scale", "offset", "mean",   "variance"};

/* A store with other values for all of them; untouched: with its own. */
static void places_store(vecq_document *doc, vecq_store *store)
{
    vecq_error err = VECQ_ERROR_INIT;
    size_t i, k;

    for (i = 0; i <= COUNT(places); i++) {
        const vecq_value *value =
            vecq_graph_lookup(doc->ir.main, i < COUNT(places) ? places[i] : "untouched");
        vecq_tensor old, tensor;
        vecq_stored *stored;

        assert_non_null(value);
        assert_ok(vecq_fold_value(value, 1 << 20, &old, &err), &err);
        assert_ok(vecq_tensor_create(VECQ_DT_FLOAT, old.rank, old.dims, &tensor, &err), &err);
        vecq_convert_to_f32(old.dtype, old.data, tensor.data, old.count);
        for (k = 0; i < COUNT(places) && k < tensor.count; k++)
            ((float *)tensor.data)[k] = 1.25f * ((float *)tensor.data)[k] + 0.1f * (float)i;
        assert_ok(vecq_store_add(store, value->name, value, &tensor, &stored, &err), &err);
        vecq_tensor_destroy(&old);
    }
}

static void test_places(void **state)
{
    vecq_trained_options options = {0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_store store = {0};
    vecq_model *model;
    uint8_t *bytes;
    size_t n, i, k;

    (void)state;
    bytes = places_model(&n);
    assert_ok(vecq_model_load_memory(bytes, n, "m", NULL, &model, &err), &err);
    places_store(vecq_model_document(model), &store);
    options.store = &store;
    assert_ok(vecq_model_write_trained(model, &options, NULL, &err), &err);
    assert_ok(vecq_model_save(model, "places.onnx", NULL, NULL, &err), &err);
    vecq_model_close(model);
    assert_ok(vecq_model_load("places.onnx", &model, &err), &err);
    assert_int_equal(vecq_model_document(model)->ir.ir_version, 8);
    for (i = 0; i <= COUNT(places); i++) {
        const char *name = i < COUNT(places) ? places[i] : "untouched";
        const vecq_value *value = vecq_graph_lookup(vecq_model_document(model)->ir.main, name);
        const vecq_stored *want = vecq_store_find(&store, name);
        vecq_tensor got;

        assert_non_null(value);
        assert_ok(vecq_const_load(value->constant, &got, &err), &err);
        assert_int_equal(got.count, want->tensor.count);
        assert_int_equal(got.dtype, strcmp(name, "half") == 0     ? VECQ_DT_FLOAT16
                                    : strcmp(name, "double") == 0 ? VECQ_DT_DOUBLE
                                                                  : VECQ_DT_FLOAT);
        for (k = 0; k < got.count; k++) {
            float new = ((const float *)want->tensor.data)[k], old;

            vecq_convert_to_f32(got.dtype, (char *)got.data + k * vecq_dtype_bytes(got.dtype, 1), &old, 1);
            if (got.dtype == VECQ_DT_FLOAT16)
                new = vecq_f16_to_f32(vecq_f32_to_f16(new));
            if (old != new)
                fail_msg("%s: value %zu is %a, trained was %a", name, k, (double)old, (double)new);
        }
        vecq_tensor_destroy(&got);
    }
    assert_null(vecq_graph_lookup(vecq_model_document(model)->ir.main, "raw"));
    vecq_model_close(model);
    vecq_store_clear(&store);
    free(bytes);
}

/* Readers see the new values at once: reports, and the quantize pass, float16 without rounding before. */
static void test_readers_see(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_store store = {0};
    vecq_plan plan;
    vecq_model *model;
    float values[24];
    uint8_t *bytes;
    size_t n, i, seen = 0;

    (void)state;
    bytes = places_model(&n);
    assert_ok(vecq_model_load_memory(bytes, n, "m", NULL, &model, &err), &err);
    places_store(vecq_model_document(model), &store);
    assert_ok(vecq_trained_apply(vecq_model_document(model), &store, &err), &err);
    assert_ok(vecq_trained_apply(vecq_model_document(model), &store, &err), &err);
    assert_ok(vecq_plan_make(&vecq_model_document(model)->ir, NULL, &plan, &err), &err);
    for (i = 0; i < plan.n; i++) {
        const vecq_stored *item = vecq_store_by_key(&store, plan.items[i].value);

        if (item == NULL || plan.items[i].count > 24)
            continue;
        assert_ok(vecq_plan_values(&plan.items[i], values, &err), &err);
        assert_memory_equal(values, item->tensor.data, item->tensor.n_bytes);
        seen++;
    }
    assert_true(seen >= COUNT(places));
    vecq_plan_clear(&plan);
    vecq_model_close(model);
    vecq_store_clear(&store);
    free(bytes);
}

/* ---- refusals ---- */

static void refuse(const trained_case *c, const char *value, unsigned act_bits, vecq_status status,
                   const char *word)
{
    vecq_lower_options lowering = {.is_training = 1, .act = {.bits = act_bits, .momentum = 0.9}};
    vecq_trained_options options = {0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_store store = {0};
    static float x[CASE_X_MAX];
    case_program train;
    vecq_model *model;
    uint8_t *bytes;
    size_t n;

    bytes = case_make(c, &n);
    assert_ok(vecq_model_load_memory(bytes, n, "m", NULL, &model, &err), &err);
    case_lower(vecq_model_document(model), &store, c, &lowering, &train);
    case_data(x, CASE_X_MAX, 1);
    case_run(&train, x, 1, NULL);
    if (value != NULL) { /* one value less */
        vecq_stored *stored = vecq_store_find(&store, value);

        stored->tensor.count--;
        stored->tensor.n_bytes -= sizeof(float);
    }
    options.store = &store;
    options.activations = vecq_program_act_sites(&train.program);
    assert_int_equal(vecq_model_write_trained(model, &options, NULL, &err), status);
    assert_error(&err, status, word, NULL);
    err = (vecq_error)VECQ_ERROR_INIT;
    assert_int_equal(vecq_model_save(model, "never.onnx", NULL, NULL, &err), VECQ_ERR_USAGE);
    assert_int_not_equal(access("never.onnx", F_OK), 0);
    case_program_end(&train);
    vecq_store_clear(&store);
    vecq_model_close(model);
    free(bytes);
}

static void test_refusals(void **state)
{
    trained_case old = trained_cases[0];

    (void)state;
    refuse(&trained_cases[0], "w1", 0, VECQ_ERR_USAGE, "w1");
    old.ir = 4;
    old.opset = 9;
    refuse(&old, NULL, 8, VECQ_ERR_UNSUPPORTED, "opset 10");
}

/* ---- memory ---- */

typedef struct alloc_case {
    const uint8_t *bytes;
    size_t n;
    const trained_case *c;
    vecq_store *store; /* names and values */
    float scale;
} alloc_case;

/* The writing half, with keys of its own document. */
static vecq_status alloc_body(void *context, vecq_error *err)
{
    const alloc_case *a = context;
    vecq_quantize_options quantize = case_options(a->c);
    const vecq_trained_entry note = {"note", "text"};
    vecq_trained_options options = {.quantize = &quantize, .metadata = &note, .n_metadata = 1};
    vecq_stored scale = {.name = "scale"};
    vecq_act_use use = {NULL, 0, NULL};
    vecq_act_site site = {.uses = &use, .scale = &scale, .bits = 6, .is_unsigned = 1};
    vecq_model *model;
    vecq_status status = vecq_model_load_memory(a->bytes, a->n, "m", NULL, &model, err);
    size_t i;

    if (status != VECQ_OK)
        return status;
    for (i = 0; i < a->store->n; i++)
        a->store->items[i]->key =
            vecq_graph_lookup(vecq_model_document(model)->ir.main, a->store->items[i]->name);
    scale.tensor.data = (void *)(uintptr_t)&a->scale;
    site.value = vecq_graph_lookup(vecq_model_document(model)->ir.main, "h");
    use = (vecq_act_use){site.value->uses[0].node, site.value->uses[0].input, NULL};
    options.store = a->store;
    options.activations = &site;
    status = vecq_model_write_trained(model, &options, NULL, err);
    if (status == VECQ_OK)
        status = vecq_model_save(model, "alloc.onnx", NULL, NULL, err);
    vecq_model_close(model);
    return status;
}

static void test_alloc(void **state)
{
    static const char *const names[] = {"w1", "b1", "w2"};
    trained_case c = trained_cases[3];
    vecq_error err = VECQ_ERROR_INIT;
    vecq_store store = {0};
    alloc_case a = {.c = &c, .store = &store, .scale = 0.01f};
    const int64_t counts[] = {(int64_t)CASE_IN * CASE_HIDDEN, CASE_HIDDEN, (int64_t)CASE_OUT * CASE_HIDDEN};
    uint8_t *bytes;
    size_t i;

    (void)state;
    c.lambda = VECQ_LAMBDA_TEMPLATE;
    c.biases = 0;
    bytes = case_make(&c, &a.n);
    a.bytes = bytes;
    for (i = 0; i < 3; i++) {
        vecq_stored *stored;
        vecq_tensor tensor;

        assert_ok(vecq_tensor_create(VECQ_DT_FLOAT, 1, &counts[i], &tensor, &err), &err);
        case_data(tensor.data, tensor.count, i);
        assert_ok(vecq_store_add(&store, names[i], NULL, &tensor, &stored, &err), &err);
    }
    vecq_fail_every_alloc(alloc_body, &a);
    vecq_store_clear(&store);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),    cmocka_unit_test(test_trained_again),
        cmocka_unit_test(test_places),   cmocka_unit_test(test_readers_see),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_alloc),
    };

    return cmocka_run_group_tests(tests, temp_folder_enter, temp_folder_leave);
}
