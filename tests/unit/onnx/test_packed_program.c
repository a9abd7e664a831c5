/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights in programs: Decode ops give what folding gives, bit for bit, for every width and layout. */
#include "vecq_test.h"

#include "../base/temp_folder.h"
#include "trained_case.h"

static size_t count_ops(const vecq_program *program, vecq_op_kind kind)
{
    size_t i, n = 0;

    for (i = 0; i < program->n_ops; i++)
        n += program->ops[i]->kind == kind;
    return n;
}

static void check_file(const trained_case *c, const float *x, size_t n_decodes)
{
    static float want[CASE_Y_MAX], got[CASE_Y_MAX];
    vecq_lower_options folded = {.is_frozen = 1}, packed = {.is_frozen = 1, .keep_packed = 1};
    vecq_error err = VECQ_ERROR_INIT;
    case_program a, b;
    vecq_model *model;

    assert_ok(vecq_model_load("m.onnx", &model, &err), &err);
    case_lower(vecq_model_document(model), NULL, c, &folded, &a);
    case_lower(vecq_model_document(model), NULL, c, &packed, &b);
    assert_int_equal(count_ops(&a.program, VECQ_OP_DECODE), 0);
    assert_int_equal(count_ops(&b.program, VECQ_OP_DECODE), n_decodes);
    case_run(&a, x, 0, want);
    case_run(&b, x, 0, got);
    assert_int_equal(a.y->count, b.y->count);
    assert_memory_equal(want, got, a.y->count * sizeof *want);
    case_program_end(&a);
    case_program_end(&b);
    vecq_model_close(model);
}

static void check_case(const trained_case *c, size_t group, int biases)
{
    vecq_quantize_options options = case_options(c);
    static float x[CASE_X_MAX];
    vecq_error err = VECQ_ERROR_INIT;
    vecq_model *model;
    uint8_t *bytes;
    size_t n;

    options.group = group;
    options.biases = biases;
    bytes = case_make(c, &n);
    case_data(x, CASE_X_MAX, 5);
    assert_ok(vecq_model_load_memory(bytes, n, c->name, NULL, &model, &err), &err);
    assert_ok(vecq_model_quantize(model, &options, NULL, &err), &err);
    assert_ok(vecq_model_save(model, "m.onnx", NULL, NULL, &err), &err);
    vecq_model_close(model);
    free(bytes);
    if (c->format == VECQ_FORMAT_QDQ) /* products have their scales along the last axis */
        check_file(c, x, c->granularity == VECQ_PER_TENSOR ? 3 : 1);
    else
        check_file(c, x, c->is_recurrent ? 3 + (size_t)biases : 3 + 2 * (size_t)biases);
}

static void test_widths(void **state)
{
    unsigned bits;
    int recurrent;

    (void)state;
    for (recurrent = 0; recurrent < 2; recurrent++)
        for (bits = 1; bits <= 8; bits++) {
            trained_case c = {.name = "packed",
                              .ir = 8,
                              .opset = 17,
                              .bits = bits,
                              .format = VECQ_FORMAT_PACKED,
                              .granularity = VECQ_PER_CHANNEL,
                              .lambda = VECQ_LAMBDA_TEMPLATE,
                              .is_recurrent = recurrent};

            check_case(&c, 0, 0);
            c.granularity = VECQ_PER_TENSOR;
            check_case(&c, 0, !recurrent); /* parts of a recurrent bias are joined */
            c.granularity = VECQ_PER_GROUP;
            check_case(&c, 4, 0);
            check_case(&c, 7, 0); /* the last group of a row is shorter */
        }
}

static void test_opsets(void **state)
{
    static const int64_t opsets[] = {9, 11, 13, 21};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof opsets / sizeof *opsets; i++) {
        trained_case c = {.name = "packed",
                          .ir = 8,
                          .opset = opsets[i],
                          .bits = 3,
                          .format = VECQ_FORMAT_PACKED,
                          .granularity = VECQ_PER_CHANNEL,
                          .lambda = VECQ_LAMBDA_TEMPLATE};

        check_case(&c, 0, 0);
    }
}

/* Bytes that DequantizeLinear reads. */
static void test_bytes(void **state)
{
    trained_case c = {.name = "bytes",
                      .ir = 8,
                      .opset = 17,
                      .bits = 5,
                      .format = VECQ_FORMAT_QDQ,
                      .granularity = VECQ_PER_CHANNEL,
                      .lambda = VECQ_LAMBDA_TEMPLATE};

    (void)state;
    check_case(&c, 0, 0);
    c.granularity = VECQ_PER_TENSOR;
    check_case(&c, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_widths), cmocka_unit_test(test_opsets),
                                       cmocka_unit_test(test_bytes)};

    return cmocka_run_group_tests(tests, temp_folder_enter, temp_folder_leave);
}
