/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation failing once, over the whole life of a model. */
#include "vecq_test.h"

#include "../base/temp_folder.h"
#include "fail_alloc.h"
#include "onnx_model.h"

typedef struct life {
    uint8_t *data;
    size_t n;
    vecq_quantize_options options;
    int external;
    int n_saved; /* files that must stand in the folder */
} life;

/* Files of the folder beside the scratch folder: those that were saved, whole, and nothing else. */
static void check_folder(const life *l)
{
    int per_file = l->external == 1 ? 2 : 1, n = count_entries(".") - 1;

    if (n > l->n_saved * per_file || n < l->n_saved)
        fail_msg("%d files are there after %d saves", n, l->n_saved);
    assert_int_equal(count_entries("scratch"), 0);
}

static vecq_status save(life *l, vecq_model *model, const char *path, vecq_error *err)
{
    vecq_save_options options;
    vecq_status status;

    vecq_save_options_default(&options);
    options.external_data = l->external;
    status = vecq_model_save(model, path, &options, NULL, err);
    l->n_saved += status == VECQ_OK;
    check_folder(l);
    return status;
}

static vecq_status write_packed(life *l, vecq_error *err)
{
    vecq_model *model = NULL;
    vecq_report *report = NULL;
    vecq_status status = vecq_model_load_memory(l->data, l->n, "m", NULL, &model, err);

    if (status == VECQ_OK)
        status = vecq_model_plan(model, &l->options, &report, err);
    if (status == VECQ_OK) {
        vecq_report_free(report);
        status = vecq_model_quantize(model, &l->options, &report, err);
    }
    if (status == VECQ_OK) {
        assert_true(report->n_quantized > 0);
        vecq_report_free(report);
        status = save(l, model, "packed.onnx", err);
    }
    vecq_model_close(model);
    return status;
}

static vecq_status read_packed(life *l, vecq_error *err)
{
    vecq_model *model = NULL;
    vecq_report *report = NULL;
    float values[256];
    vecq_status status = vecq_model_load("packed.onnx", &model, err);

    if (status == VECQ_OK)
        status = vecq_model_inspect(model, &report, err);
    if (status == VECQ_OK) {
        assert_true(report->n_weights > 0 && report->weights[0].elements <= 256);
        vecq_report_free(report);
        status = vecq_model_weight_rows(model, 0, values, err);
    }
    if (status == VECQ_OK && l->options.format != VECQ_FORMAT_FLOAT) {
        report = NULL;
        status = vecq_model_unpack(model, &report, err);
        vecq_report_free(report);
        if (status == VECQ_OK)
            status = save(l, model, "float.onnx", err);
    }
    vecq_model_close(model);
    return status;
}

static vecq_status live(void *context, vecq_error *err)
{
    life *l = context;
    static const char *const names[] = {"packed.onnx", "packed.onnx.data", "float.onnx", "float.onnx.data"};
    vecq_status status;
    size_t i;

    for (i = 0; i < sizeof names / sizeof *names; i++)
        unlink(names[i]);
    l->n_saved = 0;
    status = write_packed(l, err);
    return status == VECQ_OK ? read_packed(l, err) : status;
}

static void check_life(const char *name, unsigned bits, vecq_format format, int inline_bodies, int external)
{
    life l = {NULL, 0, model_options(bits, format, inline_bodies), external, 0};

    l.data = model_corpus(name, &l.n);
    l.options.biases = 1;
    l.options.granularity = bits == 3 ? VECQ_PER_GROUP : VECQ_PER_CHANNEL;
    l.options.group = bits == 3 ? 3 : 0;
    assert_true(vecq_fail_every_alloc(live, &l) > 50);
    free(l.data);
}

static void test_packed(void **state)
{
    (void)state;
    check_life("conv.onnx", 3, VECQ_FORMAT_PACKED, 0, -1);
    check_life("matmul.onnx", 4, VECQ_FORMAT_PACKED, 0, 1);
    check_life("lstm.onnx", 5, VECQ_FORMAT_PACKED, 0, 0);
}

static void test_inline(void **state)
{
    (void)state;
    check_life("conv.onnx", 3, VECQ_FORMAT_PACKED, 1, -1);
    check_life("computed.onnx", 2, VECQ_FORMAT_PACKED, 1, -1);
}

static void test_qdq(void **state)
{
    (void)state;
    check_life("conv.onnx", 4, VECQ_FORMAT_QDQ, 0, -1);
    check_life("half.onnx", 2, VECQ_FORMAT_QDQ, 0, 1);
}

static void test_float(void **state)
{
    (void)state;
    check_life("computed.onnx", 4, VECQ_FORMAT_FLOAT, 0, -1);
    check_life("conv.onnx", 4, VECQ_FORMAT_FLOAT, 0, 0);
}

/* Weights in subgraphs and in functions. */
static void test_scopes(void **state)
{
    (void)state;
    check_life("if.onnx", 4, VECQ_FORMAT_PACKED, 0, -1);
    check_life("function.onnx", 4, VECQ_FORMAT_PACKED, 0, -1);
    check_life("loop.onnx", 4, VECQ_FORMAT_PACKED, 1, -1);
    check_life("ir3.onnx", 1, VECQ_FORMAT_PACKED, 0, -1);
}

/* Nothing is kept of a model that is refused. */
static vecq_status refuse(void *context, vecq_error *err)
{
    const life *l = context;
    vecq_model *model;
    vecq_error own = VECQ_ERROR_INIT;
    vecq_status status = vecq_model_load_memory(l->data, l->n, "m", NULL, &model, &own);

    if (status == VECQ_ERR_FORMAT)
        return VECQ_OK; /* what is expected without a failing allocation */
    return vecq_error_set(err, status, "%s", own.message);
}

static void test_refused(void **state)
{
    life l = {0};

    (void)state;
    l.data = model_corpus("conv_0_packed.onnx", &l.n);
    l.n -= 3;
    vecq_fail_every_alloc(refuse, &l);
    free(l.data);
}

/* Hundreds of saves, each of them to disk: a file system in memory makes them quick. */
static int enter(void **state)
{
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    return temp_folder_enter(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed), cmocka_unit_test(test_inline), cmocka_unit_test(test_qdq),
        cmocka_unit_test(test_float),  cmocka_unit_test(test_scopes), cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, enter, temp_folder_leave);
}
