/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/trained.h"

#include <string.h>

#include "base/hash.h"
#include "base/status.h"
#include "graph/fold.h"
#include "graph/weights.h"
#include "onnx/packed.h"

/* A constant whose values lie in a store. It keeps the origin of the one it stands for; NULL for what nodes
 * compute. */
typedef struct trained_const {
    vecq_const base; /* first: read() gets its address */
    const float *values;
} trained_const;

static vecq_status trained_read(const vecq_const *constant, void *dst, vecq_error *err)
{
    (void)err;
    vecq_convert_from_f32(constant->dtype, ((const trained_const *)constant)->values, dst, constant->count);
    return VECQ_OK;
}

static vecq_status trained_read_f32(const vecq_const *constant, float *dst, vecq_error *err)
{
    (void)err;
    if (constant->count > 0)
        memcpy(dst, ((const trained_const *)constant)->values, constant->count * sizeof *dst);
    return VECQ_OK;
}

static int is_trained(const vecq_value *value)
{
    return value->constant != NULL && value->constant->is_given;
}

/* ---- applying ---- */

/* What the value was before: header of a constant in the document, or of what is computed. *same: the float
 * values are those of `values`. */
static vecq_status old_header(vecq_value *value, vecq_fold_budget *budget, const float *values, size_t count,
                              vecq_const *out, int *same, vecq_error *err)
{
    vecq_status status;
    vecq_tensor tensor;
    float *old;

    if (value->constant != NULL && value->constant->count != count) {
        *out = *value->constant;
        return VECQ_OK;
    }
    VECQ_TRY(vecq_fold_spend(value, budget, &tensor, err));
    memset(out, 0, sizeof *out);
    if (value->constant != NULL)
        *out = *value->constant;
    out->dtype = tensor.dtype;
    out->rank = tensor.rank;
    memcpy(out->dims, tensor.dims, sizeof out->dims);
    out->count = tensor.count;
    if (out->n_stored == 0)
        out->n_stored = tensor.n_bytes;
    status = VECQ_OK;
    if (tensor.count == count && vecq_dtype_is_weight(tensor.dtype)) {
        old = vecq_alloc(count, sizeof *old);
        if (old == NULL) {
            status = vecq_error_memory(err, count * sizeof *old);
        } else {
            vecq_convert_to_f32(tensor.dtype, tensor.data, old, count);
            *same = count == 0 || memcmp(old, values, count * sizeof *old) == 0;
        }
        vecq_free(old);
    }
    vecq_tensor_destroy(&tensor);
    return status;
}

static vecq_status apply_one(vecq_value *value, const vecq_stored *item, vecq_fold_budget *budget,
                             vecq_error *err)
{
    trained_const *fresh;
    vecq_const header;
    int same = 0;

    if (vecq_packed_of(value->constant) != NULL || vecq_weight_is_decoded(value))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "it is packed already: unpack the model first");
    if (!value->is_constant || item->tensor.dtype != VECQ_DT_FLOAT)
        return vecq_error_set(err, VECQ_ERR_USAGE, "it is no constant of floats");
    VECQ_TRY(old_header(value, budget, item->tensor.data, item->tensor.count, &header, &same, err));
    if (header.is_opaque || !vecq_dtype_is_weight(header.dtype) || header.count != item->tensor.count)
        return vecq_error_set(err, VECQ_ERR_USAGE, "%zu trained values for %zu of type %s",
                              item->tensor.count, header.count, vecq_dtype_name(header.dtype));
    if (same)
        return VECQ_OK;
    fresh = vecq_arena_alloc(&value->graph->ir->arena, 1, sizeof *fresh);
    if (fresh == NULL)
        return vecq_error_memory(err, sizeof *fresh);
    fresh->base = header;
    fresh->base.is_given = 1;
    fresh->base.bytes = NULL;
    fresh->base.read = trained_read;
    fresh->base.read_f32 = trained_read_f32;
    fresh->values = item->tensor.data;
    value->constant = &fresh->base;
    return VECQ_OK;
}

vecq_status vecq_trained_apply(vecq_document *doc, const vecq_store *store, vecq_error *err)
{
    vecq_graph *graph = doc->ir.main;
    vecq_fold_budget budget = vecq_fold_budget_of(&doc->ir);
    size_t i;

    for (i = 0; i < graph->n_values; i++) {
        vecq_value *value = graph->values[i];
        const vecq_stored *item = vecq_store_by_key(store, value);
        vecq_status status;

        if (item == NULL)
            continue;
        status = apply_one(value, item, &budget, err);
        if (status != VECQ_OK) {
            vecq_error_prefix(err, "tensor '%s'", value->name);
            return status;
        }
    }
    return VECQ_OK;
}

static int is_quantized(const vecq_plan *plan, const vecq_value *value)
{
    size_t i;

    for (i = 0; plan != NULL && i < plan->n; i++)
        if (plan->items[i].value == value)
            return plan->items[i].is_selected && plan->items[i].reason == NULL;
    return 0;
}

void vecq_trained_round(const vecq_store *store, const vecq_plan *plan)
{
    uint16_t narrow[1024];
    size_t i, k, n;

    for (i = 0; i < plan->n; i++) {
        const vecq_plan_item *item = &plan->items[i];
        const vecq_stored *stored = vecq_store_by_key(store, item->value);
        float *values;

        if (stored == NULL || (item->dtype != VECQ_DT_FLOAT16 && item->dtype != VECQ_DT_BFLOAT16) ||
            (item->is_selected && item->reason == NULL))
            continue;
        values = stored->tensor.data;
        for (k = 0; k < stored->tensor.count; k += n) {
            n = stored->tensor.count - k < 1024 ? stored->tensor.count - k : 1024;
            vecq_convert_from_f32(item->dtype, values + k, narrow, n);
            vecq_convert_to_f32(item->dtype, narrow, values + k, n);
        }
    }
}

/* ---- tensors that stay float ---- */

static vecq_status collect_one(vecq_value *value, vecq_spool *spool, vecq_trained_list *list, vecq_error *err)
{
    vecq_trained_tensor item = {.value = value};
    vecq_tensor tensor;
    vecq_status status;

    VECQ_TRY(vecq_const_load(value->constant, &tensor, err));
    item.n_bytes = tensor.n_bytes;
    status = vecq_spool_append(spool, tensor.data, tensor.n_bytes, &item.at, err);
    vecq_tensor_destroy(&tensor);
    VECQ_TRY(status);
    if (!vecq_grow((void **)&list->items, &list->capacity, list->n, sizeof item))
        return vecq_error_memory(err, sizeof item);
    list->items[list->n++] = item;
    return VECQ_OK;
}

vecq_status vecq_trained_collect(vecq_document *doc, const vecq_plan *plan, vecq_spool *spool,
                                 vecq_trained_list *out, vecq_error *err)
{
    vecq_graph *graph = doc->ir.main;
    size_t i;

    memset(out, 0, sizeof *out);
    for (i = 0; i < graph->n_values; i++) {
        vecq_status status;

        if (!is_trained(graph->values[i]) || is_quantized(plan, graph->values[i]))
            continue;
        status = collect_one(graph->values[i], spool, out, err);
        if (status != VECQ_OK) {
            vecq_error_prefix(err, "tensor '%s'", graph->values[i]->name);
            return status;
        }
    }
    return VECQ_OK;
}

void vecq_trained_list_clear(vecq_trained_list *list)
{
    vecq_free(list->items);
    memset(list, 0, sizeof *list);
}

static vecq_status store_one(vecq_edit *edit, vecq_value *value, vecq_span raw)
{
    const vecq_const *c = value->constant;
    const char *spare;

    if (c->origin != NULL)
        return vecq_edit_set_data(edit, value, raw);
    spare = vecq_edit_unique_name(edit, "unused");
    if (spare == NULL)
        return vecq_error_memory(edit->err, 0);
    VECQ_TRY(vecq_edit_drop_definition(edit, value, spare));
    return vecq_edit_add_constant(edit, value->graph, value->name, c->dtype, c->dims, c->rank, raw);
}

vecq_status vecq_trained_store(vecq_edit *edit, const vecq_trained_list *list, vecq_span spool)
{
    size_t i;

    for (i = 0; i < list->n; i++) {
        const vecq_trained_tensor *item = &list->items[i];
        vecq_value *value = item->value;
        vecq_span raw = {spool.data + item->at, item->n_bytes};
        vecq_expectation expect = {.name = value->name,
                                   .graph = value->graph->index,
                                   .dtype = value->constant->dtype,
                                   .count = value->constant->count,
                                   .fingerprint = vecq_hash(0, raw.data, raw.n)};

        VECQ_TRY(store_one(edit, value, raw));
        VECQ_TRY(vecq_edit_expect(edit, &expect));
    }
    return VECQ_OK;
}

/* ---- activations ---- */

/* What the pairs of a model share. */
typedef struct act_writer {
    vecq_edit *edit;
    vecq_graph *graph;
    const char *zero[2]; /* zero points of int8 and uint8, once written */
} act_writer;

static vecq_status act_oom(act_writer *w)
{
    return vecq_error_memory(w->edit->err, 0);
}

/* "<value><suffix>" */
static const char *act_name(act_writer *w, const vecq_value *value, const char *suffix)
{
    const char *base = vecq_arena_printf(&w->edit->doc->arena, "%s%s", value->name, suffix);

    return base != NULL ? vecq_edit_unique_name(w->edit, base) : NULL;
}

static vecq_status act_scalar(act_writer *w, const char *name, vecq_dtype dtype, const void *value,
                              size_t n_bytes)
{
    vecq_span raw = {NULL, n_bytes};

    if (name == NULL)
        return act_oom(w);
    raw.data = (const uint8_t *)vecq_arena_string(&w->edit->doc->arena, value, n_bytes);
    if (raw.data == NULL)
        return act_oom(w);
    return vecq_edit_add_tensor(w->edit, w->graph, name, dtype, NULL, 0, raw);
}

static vecq_status act_zero(act_writer *w, int is_unsigned, const char **out)
{
    static const uint8_t zero = 0;

    if (w->zero[is_unsigned] == NULL) {
        w->zero[is_unsigned] = vecq_edit_unique_name(w->edit, is_unsigned ? "zero_uint8" : "zero_int8");
        VECQ_TRY(act_scalar(w, w->zero[is_unsigned], is_unsigned ? VECQ_DT_UINT8 : VECQ_DT_INT8, &zero, 1));
    }
    *out = w->zero[is_unsigned];
    return VECQ_OK;
}

static vecq_status act_node(act_writer *w, size_t place, const char *op_type, const char *const *inputs,
                            size_t n, const char *output, vecq_message **out)
{
    vecq_message *node;

    if (output == NULL)
        return act_oom(w);
    node = vecq_onnx_node(&w->edit->doc->arena, op_type, "", output, inputs, n, &output, 1);
    if (node == NULL)
        return act_oom(w);
    *out = node;
    return vecq_edit_add_node_at(w->edit, w->graph, place, node);
}

/* Fewer than 8 bits: what lies outside is cut off first. */
static vecq_status act_clip(act_writer *w, const vecq_act_site *site, float scale, size_t place,
                            const char **name)
{
    const char *inputs[3] = {*name, NULL, NULL}, *output = act_name(w, site->value, "_clipped");
    double low, high;
    float bounds[2];
    vecq_message *node;
    size_t i;

    vecq_act_range(site->bits, site->is_unsigned, &low, &high);
    bounds[0] = (float)low * scale;
    bounds[1] = (float)high * scale;
    *name = output;
    if (w->graph->opset >= 11) {
        for (i = 0; i < 2; i++) {
            inputs[i + 1] = act_name(w, site->value, i == 0 ? "_min" : "_max");
            VECQ_TRY(act_scalar(w, inputs[i + 1], VECQ_DT_FLOAT, &bounds[i], sizeof bounds[i]));
        }
        return act_node(w, place, "Clip", inputs, 3, output, &node);
    }
    VECQ_TRY(act_node(w, place, "Clip", inputs, 1, output, &node));
    return vecq_onnx_node_float(node, "min", bounds[0]) && vecq_onnx_node_float(node, "max", bounds[1])
               ? VECQ_OK
               : act_oom(w);
}

/* From tensor `from` to tensor `to`, in front of field `place` of the graph. */
static vecq_status act_pair(act_writer *w, const vecq_act_site *site, const char *from, const char *to,
                            size_t place)
{
    float scale = *(const float *)site->scale->tensor.data;
    const char *inputs[3] = {from, NULL, NULL}, *quantized;
    vecq_message *node;

    inputs[1] = act_name(w, site->value, "_scale");
    VECQ_TRY(act_scalar(w, inputs[1], VECQ_DT_FLOAT, &scale, sizeof scale));
    VECQ_TRY(act_zero(w, site->is_unsigned, &inputs[2]));
    if (site->bits < 8)
        VECQ_TRY(act_clip(w, site, scale, place, &inputs[0]));
    quantized = act_name(w, site->value, "_quantized");
    VECQ_TRY(act_node(w, place, "QuantizeLinear", inputs, 3, quantized, &node));
    inputs[0] = quantized;
    return act_node(w, place, "DequantizeLinear", inputs, 3, to, &node);
}

/* QuantizeLinear takes float32; other types only from opset 19 on, with scales of that type. */
static int act_is_float(const vecq_act_site *site)
{
    const vecq_act_use *use;
    size_t i;

    if (site->value->is_typed && site->value->dtype != VECQ_DT_FLOAT)
        return 0;
    for (use = site->uses; use != NULL; use = use->next)
        for (i = 0; i < use->node->n_inputs; i++) {
            const vecq_value *value = use->node->inputs[i];

            if (value != NULL && value->constant != NULL && vecq_dtype_is_weight(value->constant->dtype) &&
                value->constant->dtype != VECQ_DT_FLOAT)
                return 0;
        }
    return 1;
}

static size_t node_field(const vecq_node *node)
{
    return ((const vecq_origin *)node->origin)->field;
}

static vecq_status act_site(act_writer *w, const vecq_act_site *site)
{
    const vecq_act_use *use;
    const vecq_node *maker = site->value->producer;
    const char *name;
    size_t place = SIZE_MAX;

    if (!act_is_float(site))
        return vecq_error_set(w->edit->err, VECQ_ERR_UNSUPPORTED,
                              "activation '%s' is not float32: leave activations float (act_bits 0)",
                              site->value->name);
    if (site->is_output) { /* the pair makes what everybody reads, and the node gets another name */
        name = act_name(w, site->value, "_float");
        if (name == NULL)
            return act_oom(w);
        VECQ_TRY(vecq_edit_set_output(w->edit, maker, site->value->output, name));
        return act_pair(w, site, name, site->value->name, node_field(maker) + 1);
    }
    name = act_name(w, site->value, "_dequantized");
    if (name == NULL)
        return act_oom(w);
    for (use = site->uses; use != NULL; use = use->next) {
        place = node_field(use->node) < place ? node_field(use->node) : place;
        VECQ_TRY(vecq_edit_set_input(w->edit, use->node, use->input, name));
    }
    return place == SIZE_MAX ? VECQ_OK : act_pair(w, site, site->value->name, name, place);
}

vecq_status vecq_trained_activations(vecq_edit *edit, const vecq_act_site *sites)
{
    act_writer w = {.edit = edit, .graph = edit->doc->ir.main};
    int any = 0;

    for (; sites != NULL; sites = sites->next) {
        if (!(*(const float *)sites->scale->tensor.data > 0))
            continue;
        if (w.graph->opset < 10)
            return vecq_error_set(
                edit->err, VECQ_ERR_UNSUPPORTED,
                "quantized activations need opset 10 or later and the model has %lld: convert "
                "it, or leave activations float (act_bits 0)",
                (long long)w.graph->opset);
        any = 1;
        VECQ_TRY(act_site(&w, sites));
    }
    return any ? vecq_edit_raise_ir(edit, 4) : VECQ_OK;
}
