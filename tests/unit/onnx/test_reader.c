/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader says about the graph: declared types of inputs and outputs. */
#include "vecq_test.h"

#include "onnx/document.h"
#include "onnx_model.h"

static void read_document(vecq_document *doc, const uint8_t *bytes, size_t n)
{
    vecq_error err = VECQ_ERROR_INIT;

    memset(doc, 0, sizeof *doc);
    doc->name = "test";
    doc->bytes.data = bytes;
    doc->bytes.n = n;
    vecq_external_init(&doc->external, NULL);
    assert_ok(vecq_document_read(doc, &err), &err);
}

static uint8_t *typed_model(size_t *n)
{
    const int64_t image[4] = {-1, 3, 32, 32}, odd[3] = {-2, 0, -7}, scores[2] = {-1, 10};
    int64_t many[VECQ_MAX_RANK + 1];
    model_build b;
    size_t i;

    for (i = 0; i <= VECQ_MAX_RANK; i++)
        many[i] = 1;
    model_begin(&b, 8, 17);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "x", VECQ_DT_FLOAT, 4, image);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "odd", VECQ_DT_INT64, 3, odd);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "scalar", VECQ_DT_FLOAT16, 0, NULL);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "shapeless", VECQ_DT_FLOAT, -1, NULL);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "unknown", 999, 1, image);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "deep", VECQ_DT_FLOAT, VECQ_MAX_RANK + 1, many);
    model_input(&b, "bare");
    model_formal_of(&b, ONNX_GRAPH_OUTPUT, "y", VECQ_DT_FLOAT, 2, scores);
    model_node(&b, "Relu", "x", "y");
    return model_bytes(&b, n);
}

static const vecq_value *value_of(const vecq_document *doc, const char *name)
{
    const vecq_value *value = vecq_graph_lookup(doc->ir.main, name);

    assert_non_null(value);
    return value;
}

static void test_types(void **state)
{
    static const char *const untyped[] = {"shapeless", "unknown", "deep", "bare"};
    const vecq_value *value;
    vecq_document doc;
    uint8_t *bytes;
    size_t n, i;

    (void)state;
    bytes = typed_model(&n);
    read_document(&doc, bytes, n);
    value = value_of(&doc, "x");
    assert_true(value->is_typed);
    assert_int_equal(value->dtype, VECQ_DT_FLOAT);
    assert_int_equal(value->rank, 4);
    assert_int_equal(value->dims[0], -1);
    assert_int_equal(value->dims[1], 3);
    assert_int_equal(value->dims[3], 32);
    value = value_of(&doc, "odd");
    assert_true(value->is_typed);
    assert_int_equal(value->dtype, VECQ_DT_INT64);
    assert_int_equal(value->rank, 3);
    assert_int_equal(value->dims[0], -1);
    assert_int_equal(value->dims[1], 0);
    assert_int_equal(value->dims[2], -1);
    value = value_of(&doc, "scalar");
    assert_true(value->is_typed);
    assert_int_equal(value->rank, 0);
    assert_int_equal(value->dtype, VECQ_DT_FLOAT16);
    value = value_of(&doc, "y");
    assert_true(value->is_typed && value->is_graph_output);
    assert_int_equal(value->rank, 2);
    assert_int_equal(value->dims[1], 10);
    for (i = 0; i < sizeof untyped / sizeof *untyped; i++) {
        value = value_of(&doc, untyped[i]);
        assert_false(value->is_typed);
        assert_int_equal(value->rank, 0);
    }
    assert_int_equal(value_of(&doc, "shapeless")->dtype, VECQ_DT_FLOAT);
    vecq_document_clear(&doc);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
