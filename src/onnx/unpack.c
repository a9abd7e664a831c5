/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/unpack.h"

#include <string.h>

#include "base/hash.h"
#include "base/status.h"
#include "graph/fold.h"
#include "graph/plan.h"
#include "onnx/functions.h"
#include "onnx/pack.h"
#include "onnx/schema.h"

vecq_status vecq_unpack_find(vecq_ir *ir, vecq_unpacked_list *out, vecq_error *err)
{
    size_t g, n, o;

    memset(out, 0, sizeof *out);
    for (g = 0; g < ir->n_graphs; g++)
        for (n = 0; n < ir->graphs[g]->n_nodes; n++) {
            vecq_node *node = ir->graphs[g]->nodes[n];
            vecq_unpacked item = {.group = vecq_weight_group(node)};

            if (strcmp(node->domain, VECQ_DOMAIN) == 0 && node->version != VECQ_DOMAIN_VERSION) {
                vecq_unpack_clear(out);
                return node->version == 0
                           ? vecq_error_set(err, VECQ_ERR_FORMAT,
                                            "calls functions of domain " VECQ_DOMAIN
                                            ", which it does not import")
                           : vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                                            "packed by a newer program: its functions have version %lld, "
                                            "this program knows version %d",
                                            (long long)node->version, VECQ_DOMAIN_VERSION);
            }
            for (o = 0; o < node->n_outputs && (item.group >= 0 || vecq_weight_is_call(node)); o++) {
                item.value = node->outputs[o];
                if (item.value == NULL || !item.value->is_constant || !vecq_weight_is_decoded(item.value))
                    continue;
                if (!vecq_grow((void **)&out->items, &out->capacity, out->n, sizeof item)) {
                    vecq_unpack_clear(out);
                    return vecq_error_memory(err, sizeof item);
                }
                out->items[out->n++] = item;
            }
        }
    return VECQ_OK;
}

void vecq_unpack_clear(vecq_unpacked_list *list)
{
    vecq_free(list->items);
    memset(list, 0, sizeof *list);
}

vecq_status vecq_unpack_values(vecq_unpacked_list *list, vecq_spool *spool, vecq_error *err)
{
    vecq_fold_budget budget = {0};
    size_t i;

    if (list->n > 0)
        budget = vecq_fold_budget_of(list->items[0].value->graph->ir);
    for (i = 0; i < list->n; i++) {
        vecq_unpacked *item = &list->items[i];
        vecq_tensor tensor;
        vecq_status status = vecq_fold_spend(item->value, &budget, &tensor, err);

        if (status == VECQ_OK) {
            status = vecq_spool_append(spool, tensor.data, tensor.n_bytes, &item->data_at, err);
            item->fingerprint = vecq_hash(0, tensor.data, tensor.n_bytes);
            vecq_free(tensor.data);
            tensor.data = NULL;
            item->shape = tensor;
        }
        if (status != VECQ_OK) {
            vecq_error_prefix(err, "tensor '%s'", item->value->name);
            return status;
        }
    }
    return VECQ_OK;
}

/* Functions of our domain that nothing calls any more, and the imports of the domain. */
static vecq_status remove_domain(vecq_edit *edit)
{
    vecq_document *doc = edit->doc;
    size_t g, i;

    for (g = 0; g < doc->ir.n_graphs; g++) {
        vecq_graph *graph = doc->ir.graphs[g];

        for (i = 0; i < graph->n_nodes; i++)
            if (!graph->nodes[i]->is_dead && strcmp(graph->nodes[i]->domain, VECQ_DOMAIN) == 0)
                return VECQ_OK; /* a call in a form unknown here: leave the domain alone */
    }
    for (i = 0; i < doc->model->n_fields; i++) {
        const vecq_field *field = &doc->model->fields[i];

        if (field->number == ONNX_MODEL_FUNCTIONS && field->child != NULL) {
            vecq_span domain = vecq_message_bytes(field->child, ONNX_FUNCTION_DOMAIN);
            if (domain.n == strlen(VECQ_DOMAIN) && memcmp(domain.data, VECQ_DOMAIN, domain.n) == 0)
                vecq_message_drop(doc->model, i);
        }
    }
    vecq_edit_remove_import(doc->model, ONNX_MODEL_OPSET_IMPORT, VECQ_DOMAIN);
    for (g = 0; g < doc->ir.n_graphs; g++)
        if (doc->ir.graphs[g]->kind == VECQ_GRAPH_FUNCTION)
            vecq_edit_remove_import(((const vecq_origin *)doc->ir.graphs[g]->origin)->self,
                                    ONNX_FUNCTION_OPSET_IMPORT, VECQ_DOMAIN);
    return VECQ_OK;
}

/* Functions that were dropped no longer count in what is read back. */
static void shift_expectations(vecq_edit *edit)
{
    const vecq_ir *ir = &edit->doc->ir;
    size_t g, i, n;

    for (g = ir->n_graphs; g-- > 0;) {
        const vecq_graph *graph = ir->graphs[g];
        const vecq_origin *origin = vecq_graph_root(ir->graphs[g])->origin;

        if (vecq_graph_root(ir->graphs[g])->kind != VECQ_GRAPH_FUNCTION ||
            !origin->parent->fields[origin->field].is_dropped)
            continue;
        n = edit->n_expectations;
        for (i = 0; i < n; i++)
            edit->expectations[i].graph -= edit->expectations[i].graph > graph->index;
    }
}

vecq_status vecq_unpack_document(vecq_edit *edit, const vecq_unpacked_list *list, vecq_span spool)
{
    size_t i;

    for (i = 0; i < list->n; i++) {
        const vecq_unpacked *item = &list->items[i];
        vecq_value *value = item->value;
        size_t n_bytes = vecq_dtype_bytes(item->shape.dtype, item->shape.count);
        vecq_span raw = {spool.data + item->data_at, n_bytes};
        vecq_expectation expect = {value->name, value->graph->index, item->shape.dtype, item->shape.count,
                                   item->fingerprint};

        if (!value->producer->is_dead)
            VECQ_TRY(vecq_edit_drop_definition(edit, value, ""));
        VECQ_TRY(vecq_edit_add_tensor(edit, value->graph, value->name, item->shape.dtype, item->shape.dims,
                                      item->shape.rank, raw));
        VECQ_TRY(vecq_edit_expect(edit, &expect));
    }
    VECQ_TRY(vecq_edit_finish(edit));
    VECQ_TRY(remove_domain(edit));
    shift_expectations(edit);
    return vecq_edit_set_metadata(edit, VECQ_METADATA_KEY, NULL);
}
