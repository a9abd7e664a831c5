/* SPDX-License-Identifier: Apache-2.0 */
/* The whole way of calibrating, writing, evaluating and comparing: what it gives, misuse, memory. */
#include "vecq_test.h"

#include <math.h>

#include "fail_alloc.h"
#include "unit/train/tiny_training.h"

#define SETTINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int enter(void **state)
{
    if (temp_folder_enter(state) != 0)
        return 1;
    tiny_data("data", 90, 60, 8);
    tiny_data("few", 6, 6, 8);
    tiny_model("m.onnx", TINY_PLAIN, 8);
    return 0;
}

/* m.onnx with weights of so many bits (0: float) and activations of `bits` goes to q.onnx. */
static vecq_status quantize(const vecq_recipe *recipe, const vecq_calibrate_options *options,
                            unsigned weights, vecq_calibration **calibration, vecq_error *err)
{
    const vecq_rule keep = {.glob = "*", .set = VECQ_RULE_KEEP};
    vecq_quantize_options quantize;
    vecq_model *model = NULL;
    vecq_status status = vecq_model_load("m.onnx", &model, err);

    vecq_quantize_options_default(&quantize);
    quantize.threads = 1;
    quantize.bits = weights > 0 ? weights : 4;
    quantize.rules = &keep;
    quantize.n_rules = weights == 0;
    if (status == VECQ_OK)
        status = vecq_model_calibrate(model, recipe, options, calibration, err);
    if (status == VECQ_OK) {
        quantize.calibration = *calibration;
        status = vecq_model_quantize(model, &quantize, NULL, err);
    }
    if (status == VECQ_OK)
        status = vecq_model_save(model, "q.onnx", NULL, NULL, err);
    vecq_model_close(model);
    return status;
}

static void test_sites(void **state)
{
    vecq_recipe *recipe = tiny_recipe(SETTINGS("quantize.act_bits=0"));
    vecq_calibrate_options options;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_calibration *c = NULL;
    const vecq_activation_info *a;

    (void)state;
    vecq_calibrate_options_default(&options);
    options.samples = 64;
    assert_ok(quantize(recipe, &options, 0, &c, &err), &err);
    assert_int_equal(vecq_calibration_count(c), 2);
    assert_true(vecq_calibration_samples(c) == 64);
    assert_null(vecq_calibration_at(c, 2));
    a = vecq_calibration_at(c, 0);
    assert_string_equal(a->name, "f");
    assert_string_equal(a->op_type, "Gemm");
    assert_true(a->bits == 8 && a->is_unsigned && !a->is_output && a->n_uses == 1);
    assert_true(a->scale > 0 && a->max <= 1 && a->sqnr_db > 40 && a->zeros == 0 && a->clipped < 0.01);
    a = vecq_calibration_at(c, 1);
    assert_string_equal(a->name, "r");
    assert_true(a->is_unsigned && a->zeros > 0 && a->zeros < 1);
    vecq_calibration_free(c);
    vecq_calibration_free(NULL);
    vecq_recipe_free(recipe);
}

/* Eight bits change little, two change more; the SQNR that is told is that of a quantizer of this scale. */
static void test_written(void **state)
{
    static const unsigned bits[] = {8, 5, 2};
    vecq_recipe *recipe = tiny_recipe(SETTINGS("train.eval_batch=20"));
    vecq_eval_options compare;
    double before = INFINITY;
    size_t i;

    (void)state;
    vecq_eval_options_default(&compare);
    compare.against = "m.onnx";
    for (i = 0; i < 3; i++) {
        vecq_calibrate_options options;
        vecq_error err = VECQ_ERROR_INIT;
        vecq_calibration *c = NULL;
        vecq_outputs_result *outputs;
        vecq_eval_result *result;

        vecq_calibrate_options_default(&options);
        options.bits = bits[i];
        assert_ok(quantize(recipe, &options, 0, &c, &err), &err);
        vecq_calibration_free(c);
        assert_ok(vecq_evaluate("q.onnx", recipe, &compare, &result, &err), &err);
        assert_ok(vecq_compare_outputs("q.onnx", recipe, &compare, &outputs, &err), &err);
        assert_int_equal(outputs->n_outputs, 1);
        assert_string_equal(outputs->outputs[0].name, "out");
        assert_true(outputs->samples == 60 && outputs->outputs[0].values == 180);
        assert_float_equal(outputs->outputs[0].sqnr_db, result->against->sqnr_db, 1e-6);
        if (!(result->against->sqnr_db < before - 5) || (i == 0 && result->against->sqnr_db < 35))
            fail_msg("%u bits: %g dB after %g", bits[i], result->against->sqnr_db, before);
        before = result->against->sqnr_db;
        vecq_eval_result_free(result);
        vecq_outputs_result_free(outputs);
    }
    vecq_recipe_free(recipe);
}

static void test_misuse(void **state)
{
    vecq_recipe *recipe = tiny_recipe(SETTINGS("seed=2"));
    vecq_model *a = NULL, *b = NULL;
    vecq_calibrate_options options;
    vecq_quantize_options quantize_options;
    vecq_eval_options eval;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_calibration *c = NULL;
    vecq_outputs_result *outputs;
    vecq_eval_result *result;

    (void)state;
    assert_ok(vecq_model_load("m.onnx", &a, &err), &err);
    assert_ok(vecq_model_load("m.onnx", &b, &err), &err);
    vecq_calibrate_options_default(&options);
    options.bits = 9;
    assert_int_equal(vecq_model_calibrate(a, recipe, &options, &c, NULL), VECQ_ERR_USAGE);
    options.bits = 8;
    options.size--;
    assert_int_equal(vecq_model_calibrate(a, recipe, &options, &c, NULL), VECQ_ERR_USAGE);
    options.size++;
    assert_ok(vecq_model_calibrate(a, recipe, &options, &c, &err), &err);
    vecq_quantize_options_default(&quantize_options);
    quantize_options.calibration = c;
    assert_int_equal(vecq_model_quantize(b, &quantize_options, NULL, NULL), VECQ_ERR_USAGE);
    vecq_calibration_free(c);
    vecq_model_close(a);
    vecq_model_close(b);
    vecq_eval_options_default(&eval);
    assert_int_equal(vecq_compare_outputs("m.onnx", recipe, &eval, &outputs, NULL), VECQ_ERR_USAGE);
    eval.split = (vecq_eval_split)7;
    assert_int_equal(vecq_evaluate("m.onnx", recipe, &eval, &result, NULL), VECQ_ERR_USAGE);
    vecq_recipe_free(recipe);
}

static int stop(void *context, const char *stage, const char *unit, uint64_t done, uint64_t total)
{
    (void)stage;
    (void)unit;
    (void)total;
    *(uint64_t *)context = done;
    return done == 1;
}

static void test_cancelled(void **state)
{
    vecq_recipe *recipe = tiny_recipe(SETTINGS("seed=2"));
    vecq_calibrate_options options;
    vecq_calibration *c = NULL;
    uint64_t seen = 0;

    (void)state;
    vecq_calibrate_options_default(&options);
    options.progress = stop;
    options.progress_context = &seen;
    assert_int_equal(quantize(recipe, &options, 0, &c, NULL), VECQ_ERR_CANCELLED);
    assert_true(seen == 1 && c == NULL);
    vecq_recipe_free(recipe);
}

/* ---- memory ---- */

static vecq_status whole(void *context, vecq_error *err)
{
    static const unsigned ranks[] = {1, 2};
    const char *const *settings = context;
    vecq_calibrate_options options;
    vecq_eval_options eval;
    vecq_calibration *c = NULL;
    vecq_eval_result *result = NULL;
    vecq_outputs_result *outputs = NULL;
    vecq_recipe *recipe;
    vecq_status status = vecq_recipe_create(&recipe, err);
    size_t i;

    vecq_calibrate_options_default(&options);
    vecq_eval_options_default(&eval);
    eval.against = "m.onnx";
    eval.confusion = 1;
    eval.top = ranks;
    eval.n_top = 2;
    for (i = 0; settings[i] != NULL && status == VECQ_OK; i++)
        status = vecq_recipe_set(recipe, settings[i], err);
    if (status == VECQ_OK)
        status = quantize(recipe, &options, 3, &c, err);
    if (status == VECQ_OK)
        status = vecq_evaluate("q.onnx", recipe, &eval, &result, err);
    if (status == VECQ_OK)
        status = vecq_compare_outputs("q.onnx", recipe, &eval, &outputs, err);
    vecq_outputs_result_free(outputs);
    vecq_eval_result_free(result);
    vecq_calibration_free(c);
    vecq_recipe_free(recipe);
    return status;
}

static void test_memory(void **state)
{
    const char *const settings[] = {"data.train=idx:few", "threads=1", "backend=ref", "data.workers=0", NULL};
    size_t n;

    (void)state;
    n = vecq_fail_every_alloc(whole, (void *)(uintptr_t)settings);
    print_message("%zu allocations\n", n);
    assert_true(n > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sites),     cmocka_unit_test(test_written), cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_cancelled), cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, enter, temp_folder_leave);
}
