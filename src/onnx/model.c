/* SPDX-License-Identifier: Apache-2.0 */
/* The public face: vecq_model. */
#include "vecq/model.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "graph/plan.h"
#include "graph/quantize.h"
#include "onnx/calibration.h"
#include "onnx/document.h"
#include "onnx/pack.h"
#include "onnx/report.h"
#include "onnx/save.h"
#include "onnx/trained.h"
#include "onnx/unpack.h"

typedef enum model_state {
    MODEL_LOADED,
    MODEL_CHANGED, /* quantized or unpacked: can be saved */
    MODEL_BROKEN   /* a change failed half-way: can only be closed */
} model_state;

struct vecq_model {
    vecq_document doc;
    vecq_edit edit;    /* of a changed model: its expectations */
    vecq_spool *spool; /* bulk data that the changed document points into */
    vecq_plan list;    /* for vecq_model_weight_*(): made on demand */
    int has_list;
    model_state state;
};

/* Hands on an error with the model's name before it. (One that the caller brought along stays as it is.) */
static vecq_status model_fail(const vecq_model *model, vecq_status status, const vecq_error *why,
                              vecq_error *err)
{
    if (status != VECQ_OK)
        vecq_error_set(err, status, "%s: %s", model->doc.name, why->message);
    return status;
}

/* ---- loading ---- */

static vecq_status model_read(vecq_model *model, const char *name, const char *folder, size_t n_folder,
                              vecq_model **out, vecq_error *err)
{
    vecq_document *doc = &model->doc;
    vecq_error local = VECQ_ERROR_INIT;
    vecq_status status = VECQ_OK;

    doc->name = vecq_arena_string(&doc->arena, name, strlen(name));
    if (folder != NULL)
        doc->folder = vecq_arena_string(&doc->arena, folder, n_folder);
    if (doc->name == NULL || (folder != NULL && doc->folder == NULL))
        status = vecq_error_memory(&local, strlen(name));
    vecq_external_init(&doc->external, doc->folder);
    if (status == VECQ_OK)
        status = vecq_document_read(doc, &local);
    if (status != VECQ_OK) {
        vecq_error_set(err, status, "%s: %s", name, local.message);
        vecq_model_close(model);
        return status;
    }
    *out = model;
    return VECQ_OK;
}

vecq_status vecq_model_load(const char *path, vecq_model **out, vecq_error *err)
{
    vecq_model *model;
    const char *slash;
    vecq_status status;

    *out = NULL;
    model = vecq_calloc(1, sizeof *model);
    if (model == NULL)
        return vecq_error_memory(err, sizeof *model);
    status = vecq_mapping_open(path, &model->doc.mapping, err);
    if (status != VECQ_OK) {
        vecq_free(model);
        return status;
    }
    model->doc.bytes = model->doc.mapping.bytes;
    slash = strrchr(path, '/');
    if (strcmp(path, "-") == 0)
        return model_read(model, "standard input", ".", 1, out, err);
    if (slash == NULL)
        return model_read(model, path, ".", 1, out, err);
    return model_read(model, path, path, slash == path ? 1 : (size_t)(slash - path), out, err);
}

vecq_status vecq_model_load_memory(const void *bytes, size_t n_bytes, const char *name, const char *folder,
                                   vecq_model **out, vecq_error *err)
{
    vecq_model *model;

    *out = NULL;
    model = vecq_calloc(1, sizeof *model);
    if (model == NULL)
        return vecq_error_memory(err, sizeof *model);
    model->doc.bytes.data = bytes;
    model->doc.bytes.n = n_bytes;
    return model_read(model, name, folder, folder != NULL ? strlen(folder) : 0, out, err);
}

void vecq_model_close(vecq_model *model)
{
    if (model == NULL)
        return;
    vecq_plan_clear(&model->list);
    vecq_edit_clear(&model->edit);
    vecq_spool_close(model->spool);
    vecq_document_clear(&model->doc);
    vecq_free(model);
}

/* ---- options ---- */

void vecq_quantize_options_default(vecq_quantize_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
    options->bits = 4;
    options->method = vecq_method_find("vecq");
    options->granularity = VECQ_PER_CHANNEL;
    options->lambda = VECQ_LAMBDA_SEARCH;
    options->format = VECQ_FORMAT_PACKED;
}

void vecq_quantize_options_paper(vecq_quantize_options *options)
{
    options->method = vecq_method_find("vecq");
    options->granularity = VECQ_PER_TENSOR;
    options->lambda = VECQ_LAMBDA_TABLE;
    options->biases = 1;
}

void vecq_save_options_default(vecq_save_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
    options->external_data = -1;
}

static vecq_status check_options(const vecq_quantize_options *o, vecq_error *err)
{
    size_t i;

    if (o->size != sizeof *o)
        return vecq_error_set(err, VECQ_ERR_USAGE, "vecq_quantize_options of another version of the library");
    if (o->method == NULL || (unsigned)o->granularity > VECQ_PER_GROUP ||
        (unsigned)o->lambda > VECQ_LAMBDA_SEARCH || (unsigned)o->format > VECQ_FORMAT_FLOAT)
        return vecq_error_set(err, VECQ_ERR_USAGE, "a quantize option is out of range");
    for (i = 0; i < o->n_rules; i++)
        if (o->rules[i].glob == NULL ||
            ((o->rules[i].set & VECQ_RULE_METHOD) != 0 && o->rules[i].method == NULL))
            return vecq_error_set(err, VECQ_ERR_USAGE, "rule %zu is incomplete", i);
    return VECQ_OK;
}

static vecq_status check_unchanged(const vecq_model *model, vecq_error *err)
{
    if (model->state == MODEL_LOADED)
        return VECQ_OK;
    return vecq_error_set(err, VECQ_ERR_USAGE, "the model was changed already: load it again");
}

/* ---- quantizing ---- */

static vecq_status plan_report(vecq_model *model, const vecq_quantize_options *options, vecq_report **out,
                               vecq_error *err)
{
    vecq_plan plan;
    vecq_status status;

    VECQ_TRY(check_unchanged(model, err));
    VECQ_TRY(check_options(options, err));
    VECQ_TRY(vecq_plan_make(&model->doc.ir, options, &plan, err));
    status = vecq_report_make(&model->doc, &plan, VECQ_REPORT_PLAN, 0, out, err);
    vecq_plan_clear(&plan);
    return status;
}

vecq_status vecq_model_plan(vecq_model *model, const vecq_quantize_options *options, vecq_report **out,
                            vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;

    *out = NULL;
    return model_fail(model, plan_report(model, options, out, &why), &why, err);
}

/* A weight that the format cannot express is a refusal: a file with some layers quantized and some not,
 * because of the format, is what nobody asked for. Other reasons (an operator that cannot be evaluated, say)
 * are reported, and an error only when strict. */
static vecq_status check_plan(const vecq_plan *plan, const vecq_quantize_options *options, vecq_error *err)
{
    const vecq_plan_item *first = NULL;
    size_t i, n_left = 0, n_done = 0, n_refused = 0;

    for (i = 0; i < plan->n; i++) {
        const vecq_plan_item *item = &plan->items[i];

        if (!item->is_selected)
            continue;
        n_done += item->reason == NULL;
        n_left += item->reason != NULL;
        n_refused += item->is_refused;
        if (item->reason != NULL && (first == NULL || (item->is_refused && !first->is_refused)))
            first = item;
    }
    if (n_refused > 0)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "this format cannot hold %zu of %zu selected weights; first '%s': %s",
                              n_refused, n_left + n_done, first->value->name, first->reason);
    if (n_left > 0 && (options->strict || (n_done == 0 && options->calibration == NULL)))
        return vecq_error_set(
            err, VECQ_ERR_UNSUPPORTED, "%s%zu of %zu selected weights would stay float; first '%s': %s",
            options->strict ? "strict: " : "", n_left, n_left + n_done, first->value->name, first->reason);
    if (n_done == 0 && options->calibration == NULL)
        return vecq_error_set(
            err, VECQ_ERR_UNSUPPORTED,
            "no weight to quantize: %zu float constants, none of them selected (see --dry-run)", plan->n);
    return VECQ_OK;
}

static int has_work(const vecq_plan *plan)
{
    size_t i;

    for (i = 0; i < plan->n; i++)
        if (plan->items[i].is_selected && plan->items[i].reason == NULL)
            return 1;
    return 0;
}

static vecq_status quantize(vecq_model *model, vecq_plan *plan, const vecq_quantize_options *options,
                            vecq_error *err)
{
    int any = has_work(plan); /* activations alone leave what the file says about its weights */
    vecq_span bytes;

    VECQ_TRY(check_plan(plan, options, err));
    VECQ_TRY(vecq_spool_open(options->scratch, &model->spool, err));
    VECQ_TRY(vecq_quantize_plan(plan, options, model->spool, err));
    VECQ_TRY(vecq_spool_map(model->spool, &bytes, err));
    VECQ_TRY(vecq_edit_begin(&model->edit, &model->doc, err));
    if (options->calibration != NULL)
        VECQ_TRY(vecq_trained_activations(&model->edit, options->calibration->sites));
    return any ? vecq_pack_document(&model->edit, plan, options, bytes) : vecq_edit_finish(&model->edit);
}

static vecq_status quantize_report(vecq_model *model, const vecq_quantize_options *options, vecq_plan_fn give,
                                   void *context, vecq_report **out, vecq_error *err)
{
    double start = vecq_clock_seconds();
    vecq_plan plan;
    vecq_status status;

    VECQ_TRY(check_unchanged(model, err));
    VECQ_TRY(check_options(options, err));
    if (options->calibration != NULL && options->calibration->model != model)
        return vecq_error_set(err, VECQ_ERR_USAGE, "the calibration is of another model");
    VECQ_TRY(vecq_plan_make(&model->doc.ir, options, &plan, err));
    model->state = MODEL_BROKEN;
    status = give != NULL ? give(context, &plan, err) : VECQ_OK;
    if (status == VECQ_OK)
        status = quantize(model, &plan, options, err);
    if (status == VECQ_OK && out != NULL)
        status =
            vecq_report_make(&model->doc, &plan, VECQ_REPORT_RESULT, vecq_clock_seconds() - start, out, err);
    if (status == VECQ_OK)
        model->state = MODEL_CHANGED;
    vecq_plan_clear(&plan);
    return status;
}

vecq_status vecq_model_quantize(vecq_model *model, const vecq_quantize_options *options, vecq_report **out,
                                vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;

    if (out != NULL)
        *out = NULL;
    return model_fail(model, quantize_report(model, options, NULL, NULL, out, &why), &why, err);
}

vecq_status vecq_model_quantize_given(vecq_model *model, const vecq_quantize_options *options,
                                      vecq_plan_fn give, void *context, vecq_report **out, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;

    if (out != NULL)
        *out = NULL;
    return model_fail(model, quantize_report(model, options, give, context, out, &why), &why, err);
}

/* ---- after training ---- */

vecq_document *vecq_model_document(vecq_model *model)
{
    return &model->doc;
}

static vecq_status trained_metadata(vecq_model *model, const vecq_trained_options *options, vecq_error *err)
{
    vecq_arena *arena = &model->doc.arena;
    size_t i;

    for (i = 0; i < options->n_metadata; i++) {
        const vecq_trained_entry *entry = &options->metadata[i];
        const char *key = vecq_arena_string(arena, entry->key, strlen(entry->key)), *value = NULL;

        if (entry->value != NULL)
            value = vecq_arena_string(arena, entry->value, strlen(entry->value));
        if (key == NULL || (entry->value != NULL && value == NULL))
            return vecq_error_memory(err, strlen(entry->key));
        VECQ_TRY(vecq_edit_set_metadata(&model->edit, key, value));
    }
    return VECQ_OK;
}

/* Replacements and drops before insertions: field indices hold until the first of those. */
static vecq_status trained_document(vecq_model *model, const vecq_trained_options *options,
                                    const vecq_plan *plan, const vecq_trained_list *list, vecq_error *err)
{
    vecq_span bytes;

    VECQ_TRY(vecq_spool_map(model->spool, &bytes, err));
    VECQ_TRY(vecq_edit_begin(&model->edit, &model->doc, err));
    VECQ_TRY(vecq_trained_store(&model->edit, list, bytes));
    VECQ_TRY(vecq_trained_activations(&model->edit, options->activations));
    VECQ_TRY(plan != NULL ? vecq_pack_document(&model->edit, plan, options->quantize, bytes)
                          : vecq_edit_finish(&model->edit));
    return trained_metadata(model, options, err);
}

static vecq_status trained_write(vecq_model *model, const vecq_trained_options *options, vecq_plan *plan,
                                 vecq_error *err)
{
    vecq_trained_list list = {0};
    vecq_status status;

    if (plan != NULL) {
        VECQ_TRY(check_plan(plan, options->quantize, err));
        VECQ_TRY(vecq_quantized_give(plan, options->store, options->learned_steps, err));
    }
    VECQ_TRY(vecq_spool_open(options->scratch, &model->spool, err));
    if (plan != NULL)
        VECQ_TRY(vecq_quantize_plan(plan, options->quantize, model->spool, err));
    status = vecq_trained_collect(&model->doc, plan, model->spool, &list, err);
    if (status == VECQ_OK)
        status = trained_document(model, options, plan, &list, err);
    vecq_trained_list_clear(&list);
    return status;
}

static vecq_status trained_report(vecq_model *model, const vecq_trained_options *options, vecq_report **out,
                                  vecq_error *err)
{
    double start = vecq_clock_seconds();
    vecq_plan plan = {0};
    vecq_status status;

    VECQ_TRY(check_unchanged(model, err));
    if (options->quantize != NULL)
        VECQ_TRY(check_options(options->quantize, err));
    model->state = MODEL_BROKEN;
    VECQ_TRY(vecq_trained_apply(&model->doc, options->store, err));
    if (options->quantize != NULL)
        VECQ_TRY(vecq_plan_make(&model->doc.ir, options->quantize, &plan, err));
    status = trained_write(model, options, options->quantize != NULL ? &plan : NULL, err);
    if (status == VECQ_OK && out != NULL && options->quantize != NULL)
        status =
            vecq_report_make(&model->doc, &plan, VECQ_REPORT_RESULT, vecq_clock_seconds() - start, out, err);
    if (status == VECQ_OK)
        model->state = MODEL_CHANGED;
    vecq_plan_clear(&plan);
    return status;
}

vecq_status vecq_model_write_trained(vecq_model *model, const vecq_trained_options *options,
                                     vecq_report **out, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;

    if (out != NULL)
        *out = NULL;
    return model_fail(model, trained_report(model, options, out, &why), &why, err);
}

/* ---- looking ---- */

static vecq_status model_list(vecq_model *model, vecq_error *err)
{
    VECQ_TRY(check_unchanged(model, err));
    if (!model->has_list)
        VECQ_TRY(vecq_plan_make(&model->doc.ir, NULL, &model->list, err));
    model->has_list = 1;
    return VECQ_OK;
}

static vecq_status inspect(vecq_model *model, vecq_report **out, vecq_error *err)
{
    double start = vecq_clock_seconds();

    VECQ_TRY(model_list(model, err));
    return vecq_report_make(&model->doc, &model->list, VECQ_REPORT_INSPECT, vecq_clock_seconds() - start, out,
                            err);
}

vecq_status vecq_model_inspect(vecq_model *model, vecq_report **out, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;

    *out = NULL;
    return model_fail(model, inspect(model, out, &why), &why, err);
}

static vecq_status model_item(vecq_model *model, size_t index, vecq_plan_item **out, vecq_error *err)
{
    VECQ_TRY(model_list(model, err));
    if (index >= model->list.n)
        return vecq_error_set(err, VECQ_ERR_USAGE, "there is no weight %zu, only %zu", index, model->list.n);
    *out = &model->list.items[index];
    return VECQ_OK;
}

static vecq_status item_values(const vecq_plan_item *item, float *values, vecq_error *err)
{
    vecq_status status = item->count > 0 ? vecq_plan_values(item, values, err) : VECQ_OK;

    if (status != VECQ_OK)
        vecq_error_prefix(err, "tensor '%s'", item->value->name);
    return status;
}

static vecq_status item_rows(const vecq_plan_item *item, float *values, vecq_error *err)
{
    vecq_status status;
    float *plain;

    if (!item->layout.is_transposed)
        return item_values(item, values, err);
    plain = vecq_alloc(item->count, sizeof *plain);
    if (plain == NULL)
        return vecq_error_memory(err, item->count * sizeof *plain);
    status = item_values(item, plain, err);
    if (status == VECQ_OK)
        vecq_layout_to_matrix(&item->layout, sizeof *plain, plain, values);
    vecq_free(plain);
    return status;
}

vecq_status vecq_model_weight_values(vecq_model *model, size_t index, float *values, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;
    vecq_plan_item *item = NULL;
    vecq_status status = model_item(model, index, &item, &why);

    if (status == VECQ_OK)
        status = item_values(item, values, &why);
    return model_fail(model, status, &why, err);
}

vecq_status vecq_model_weight_rows(vecq_model *model, size_t index, float *values, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;
    vecq_plan_item *item = NULL;
    vecq_status status = model_item(model, index, &item, &why);

    if (status == VECQ_OK)
        status = item_rows(item, values, &why);
    return model_fail(model, status, &why, err);
}

/* ---- unpacking ---- */

static vecq_status unpack(vecq_model *model, vecq_unpacked_list *list, vecq_error *err)
{
    vecq_span bytes;

    if (list->n == 0)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "holds no weights packed by vecq");
    VECQ_TRY(vecq_spool_open(NULL, &model->spool, err));
    VECQ_TRY(vecq_unpack_values(list, model->spool, err));
    VECQ_TRY(vecq_spool_map(model->spool, &bytes, err));
    VECQ_TRY(vecq_edit_begin(&model->edit, &model->doc, err));
    return vecq_unpack_document(&model->edit, list, bytes);
}

static vecq_status unpack_report(vecq_model *model, vecq_report **out, vecq_error *err)
{
    vecq_unpacked_list list;
    vecq_status status;

    VECQ_TRY(check_unchanged(model, err));
    if (out != NULL)
        VECQ_TRY(inspect(model, out, err));
    VECQ_TRY(vecq_unpack_find(&model->doc.ir, &list, err));
    model->state = MODEL_BROKEN;
    status = unpack(model, &list, err);
    vecq_unpack_clear(&list);
    if (status == VECQ_OK)
        model->state = MODEL_CHANGED;
    return status;
}

vecq_status vecq_model_unpack(vecq_model *model, vecq_report **out, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;
    vecq_status status;

    if (out != NULL)
        *out = NULL;
    status = unpack_report(model, out, &why);
    if (status != VECQ_OK && out != NULL) {
        vecq_report_free(*out);
        *out = NULL;
    }
    return model_fail(model, status, &why, err);
}

/* ---- saving ---- */

vecq_status vecq_model_save(vecq_model *model, const char *path, const vecq_save_options *options,
                            vecq_save_result *out, vecq_error *err)
{
    vecq_save_options defaults;

    if (options == NULL) {
        vecq_save_options_default(&defaults);
        options = &defaults;
    }
    if (options->size != sizeof *options)
        return vecq_error_set(err, VECQ_ERR_USAGE, "vecq_save_options of another version of the library");
    if (model->state == MODEL_BROKEN)
        return vecq_error_set(err, VECQ_ERR_USAGE, "the model is incomplete after an error: load it again");
    return vecq_document_save(&model->doc, path, options, model->edit.expectations,
                              model->edit.n_expectations, out, err);
}
