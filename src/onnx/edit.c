/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/edit.h"

#include <string.h>

#include "base/status.h"
#include "graph/weights.h"
#include "onnx/schema.h"

typedef struct vecq_addition {
    vecq_message *into; /* graph or function */
    uint32_t number;    /* field */
    int at_end;         /* else in front of the first field of that number, in order of addition */
    vecq_message *child;
    int has_place; /* in front of field `place` instead */
    size_t place;
} vecq_addition;

static vecq_status edit_oom(vecq_edit *edit)
{
    return vecq_error_memory(edit->err, 0);
}

static vecq_message *graph_message(const vecq_graph *graph)
{
    return ((const vecq_origin *)graph->origin)->self;
}

/* "vecq<i>..." -> i + 1, anything else 0; also for an i above those that names of ours have. */
static size_t name_index(const char *name)
{
    size_t i = 0;

    if (strncmp(name, "vecq", 4) != 0)
        return 0;
    for (name += 4; *name >= '0' && *name <= '9'; name++)
        if (i <= VECQ_EDIT_INDEX_MAX)
            i = i * 10 + (size_t)(*name - '0');
    return name[-1] >= '0' && name[-1] <= '9' && i <= VECQ_EDIT_INDEX_MAX ? i + 1 : 0;
}

vecq_status vecq_edit_begin(vecq_edit *edit, vecq_document *doc, vecq_error *err)
{
    size_t g, i;

    memset(edit, 0, sizeof *edit);
    edit->doc = doc;
    edit->err = err;
    for (g = 0; g < doc->ir.n_graphs; g++) {
        vecq_graph *graph = doc->ir.graphs[g];

        for (i = 0; i < graph->n_nodes; i++)
            if (name_index(graph->nodes[i]->name) > edit->first_index)
                edit->first_index = name_index(graph->nodes[i]->name);
        for (i = 0; i < graph->n_values; i++) {
            const char *name = graph->values[i]->name;
            uintptr_t seen = (uintptr_t)vecq_map_get(&edit->names, name);

            if (name_index(name) > edit->first_index)
                edit->first_index = name_index(name);
            if (vecq_graph_root(graph) == doc->ir.main &&
                !vecq_map_put(&edit->names, name, (void *)(seen + 1)))
                return edit_oom(edit);
        }
    }
    return VECQ_OK;
}

void vecq_edit_clear(vecq_edit *edit)
{
    vecq_free(edit->additions);
    vecq_free(edit->expectations);
    vecq_map_clear(&edit->names);
    memset(edit, 0, sizeof *edit);
}

/* ---- dropping ---- */

/* Content of a string field of a message that is opened or still lies in the file. */
static vecq_span peek_bytes(const vecq_field *field, uint32_t number)
{
    vecq_span rest = field->payload, found = {0};
    vecq_wire_field f;

    if (field->child != NULL)
        return vecq_message_bytes(field->child, number);
    while (vecq_wire_next(&rest, &f, NULL) == VECQ_OK && f.number != 0)
        if (f.number == number)
            found = f.payload;
    return found;
}

static int span_is(vecq_span bytes, const char *text)
{
    return bytes.n == strlen(text) && (bytes.n == 0 || memcmp(bytes.data, text, bytes.n) == 0);
}

/* Drops the fields `number` of a message whose sub-field `key` is this text. */
static void drop_keyed(vecq_message *message, uint32_t number, uint32_t key, const char *text)
{
    size_t i;

    for (i = 0; i < message->n_fields; i++)
        if (message->fields[i].number == number && !message->fields[i].is_dropped &&
            span_is(peek_bytes(&message->fields[i], key), text))
            vecq_message_drop(message, i);
}

static void drop_initializer(vecq_value *value)
{
    const vecq_origin *origin = value->origin;

    vecq_message_drop(origin->parent, origin->field);
    if (value->is_graph_input)
        drop_keyed(origin->parent, ONNX_GRAPH_INPUT, ONNX_VALUE_INFO_NAME, value->name);
    value->origin = NULL;
}

static int node_is_unused(const vecq_node *node)
{
    size_t i;

    for (i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] != NULL &&
            (node->outputs[i]->n_live_uses > 0 || node->outputs[i]->is_graph_output))
            return 0;
    return 1;
}

/* Drops a node and, with a worklist, all constants that only it kept alive. */
vecq_status vecq_edit_drop_node(vecq_edit *edit, vecq_node *first)
{
    vecq_node **work = NULL;
    size_t n = 0, capacity = 0, i;

    if (!vecq_grow((void **)&work, &capacity, n, sizeof *work))
        return edit_oom(edit);
    work[n++] = first;
    while (n > 0) {
        vecq_node *node = work[--n];
        const vecq_origin *origin = node->origin;

        if (node->is_dead)
            continue;
        node->is_dead = 1;
        vecq_message_drop(origin->parent, origin->field);
        for (i = 0; i < node->n_inputs; i++) {
            vecq_value *value = node->inputs[i];

            if (value == NULL || --value->n_live_uses > 0 || value->is_graph_output || !value->is_constant)
                continue;
            if (value->producer == NULL) {
                if (value->origin != NULL)
                    drop_initializer(value);
            } else if (!value->producer->is_dead && node_is_unused(value->producer)) {
                if (!vecq_grow((void **)&work, &capacity, n, sizeof *work)) {
                    vecq_free(work);
                    return edit_oom(edit);
                }
                work[n++] = value->producer;
            }
        }
    }
    vecq_free(work);
    return VECQ_OK;
}

/* Field index of the i-th field with this number. */
static size_t nth_field(const vecq_message *message, uint32_t number, size_t i)
{
    size_t f;

    for (f = 0; f < message->n_fields; f++)
        if (message->fields[f].number == number && i-- == 0)
            return f;
    return SIZE_MAX;
}

static vecq_status set_string(vecq_edit *edit, vecq_message *message, size_t field, const char *text)
{
    vecq_span bytes = {(const uint8_t *)text, strlen(text)};

    return vecq_message_set_bytes(message, field, bytes) ? VECQ_OK : edit_oom(edit);
}

vecq_status vecq_edit_drop_definition(vecq_edit *edit, vecq_value *value, const char *spare)
{
    vecq_node *node = value->producer;
    vecq_message *message;
    size_t i;

    if (node == NULL) {
        if (value->origin != NULL)
            drop_initializer(value);
        return VECQ_OK;
    }
    for (i = 0; i < node->n_outputs; i++) {
        const vecq_value *other = node->outputs[i];

        if (other == NULL || other == value || (other->n_live_uses == 0 && !other->is_graph_output))
            continue;
        message = ((const vecq_origin *)node->origin)->self;
        VECQ_TRY(set_string(edit, message, nth_field(message, ONNX_NODE_OUTPUT, value->output), spare));
        node->outputs[value->output] = NULL;
        return VECQ_OK;
    }
    return vecq_edit_drop_node(edit, node);
}

/* ---- hoisting ---- */

vecq_status vecq_edit_hoist(vecq_edit *edit, vecq_value *value, const char *fresh, const char **name)
{
    const char *from = fresh, *to = value->name;
    size_t u;

    *name = value->name;
    if (value->graph->kind != VECQ_GRAPH_NESTED)
        return VECQ_OK;
    drop_keyed(graph_message(value->graph), ONNX_GRAPH_VALUE_INFO, ONNX_VALUE_INFO_NAME, value->name);
    if (!value->is_graph_output && vecq_graph_root(value->graph) == edit->doc->ir.main &&
        (uintptr_t)vecq_map_get(&edit->names, value->name) == 1)
        return VECQ_OK;
    *name = fresh;
    for (u = 0; u < value->n_uses; u++) {
        const vecq_use *use = &value->uses[u];
        vecq_message *message = ((const vecq_origin *)use->node->origin)->self;

        if (!use->node->is_dead)
            VECQ_TRY(set_string(edit, message, nth_field(message, ONNX_NODE_INPUT, use->input), fresh));
    }
    if (value->is_graph_output) {
        vecq_message *node = vecq_onnx_node(&edit->doc->arena, "Identity", "", "", &from, 1, &to, 1);
        return vecq_edit_add_node(edit, value->graph, node);
    }
    return VECQ_OK;
}

/* ---- tensors ---- */

static int is_data_field(uint32_t number)
{
    switch (number) {
    case ONNX_TENSOR_FLOAT_DATA:
    case ONNX_TENSOR_INT32_DATA:
    case ONNX_TENSOR_INT64_DATA:
    case ONNX_TENSOR_DOUBLE_DATA:
    case ONNX_TENSOR_UINT64_DATA:
    case ONNX_TENSOR_RAW_DATA:
    case ONNX_TENSOR_EXTERNAL_DATA:
    case ONNX_TENSOR_DATA_LOCATION:
        return 1;
    default:
        return 0;
    }
}

vecq_status vecq_edit_set_data(vecq_edit *edit, vecq_value *value, vecq_span raw)
{
    const vecq_origin *origin = value->constant->origin;
    vecq_message *message;
    size_t i;

    VECQ_TRY(vecq_message_open(origin->parent, origin->field, &message, edit->err));
    if (value->producer != NULL) { /* the attribute of a Constant node */
        i = vecq_message_last(message, ONNX_ATTR_T);
        VECQ_TRY(vecq_message_open(message, i, &message, edit->err));
    }
    for (i = 0; i < message->n_fields; i++)
        if (is_data_field(message->fields[i].number) && !message->fields[i].is_dropped)
            vecq_message_drop(message, i);
    return vecq_message_insert_bytes(message, SIZE_MAX, ONNX_TENSOR_RAW_DATA, raw) ? VECQ_OK : edit_oom(edit);
}

static vecq_status edit_add(vecq_edit *edit, vecq_addition addition)
{
    if (addition.child == NULL ||
        !vecq_grow((void **)&edit->additions, &edit->capacity, edit->n_additions, sizeof addition))
        return edit_oom(edit);
    edit->additions[edit->n_additions++] = addition;
    return VECQ_OK;
}

vecq_status vecq_edit_add_node(vecq_edit *edit, vecq_graph *graph, vecq_message *node)
{
    vecq_addition addition = {.into = graph_message(graph), .number = ONNX_GRAPH_NODE, .child = node};

    if (graph->kind == VECQ_GRAPH_FUNCTION)
        addition.number = ONNX_FUNCTION_NODE;
    return edit_add(edit, addition);
}

vecq_status vecq_edit_add_node_at(vecq_edit *edit, vecq_graph *graph, size_t field, vecq_message *node)
{
    vecq_addition addition = {.into = graph_message(graph),
                              .number = ONNX_GRAPH_NODE,
                              .child = node,
                              .has_place = 1,
                              .place = field};

    if (graph->kind == VECQ_GRAPH_FUNCTION)
        addition.number = ONNX_FUNCTION_NODE;
    return edit_add(edit, addition);
}

vecq_status vecq_edit_set_input(vecq_edit *edit, const vecq_node *node, size_t input, const char *name)
{
    vecq_message *message = ((const vecq_origin *)node->origin)->self;

    return set_string(edit, message, nth_field(message, ONNX_NODE_INPUT, input), name);
}

vecq_status vecq_edit_set_output(vecq_edit *edit, const vecq_node *node, size_t output, const char *name)
{
    vecq_message *message = ((const vecq_origin *)node->origin)->self;

    return set_string(edit, message, nth_field(message, ONNX_NODE_OUTPUT, output), name);
}

const char *vecq_edit_unique_name(vecq_edit *edit, const char *base)
{
    const char *name = vecq_arena_string(&edit->doc->arena, base, strlen(base));
    unsigned suffix;

    for (suffix = 2; name != NULL && vecq_map_get(&edit->names, name) != NULL; suffix++)
        name = vecq_arena_printf(&edit->doc->arena, "%s_%u", base, suffix);
    return name != NULL && vecq_map_put(&edit->names, name, (void *)(uintptr_t)1) ? name : NULL;
}

vecq_status vecq_edit_add_constant(vecq_edit *edit, vecq_graph *graph, const char *name, vecq_dtype dtype,
                                   const int64_t *dims, unsigned rank, vecq_span raw)
{
    vecq_message *tensor = vecq_onnx_tensor(&edit->doc->arena, NULL, (int)dtype, dims, rank, raw);
    vecq_message *node = vecq_onnx_node(&edit->doc->arena, "Constant", "", "", NULL, 0, &name, 1);

    if (tensor == NULL || node == NULL || !vecq_onnx_node_tensor(node, "value", tensor))
        return edit_oom(edit);
    return vecq_edit_add_node(edit, graph, node);
}

vecq_status vecq_edit_add_tensor(vecq_edit *edit, vecq_graph *root, const char *name, vecq_dtype dtype,
                                 const int64_t *dims, unsigned rank, vecq_span raw)
{
    vecq_addition addition = {.into = graph_message(root), .number = ONNX_GRAPH_INITIALIZER, .at_end = 1};

    if (root->kind == VECQ_GRAPH_FUNCTION)
        return vecq_edit_add_constant(edit, root, name, dtype, dims, rank, raw);
    addition.child = vecq_onnx_tensor(&edit->doc->arena, name, (int)dtype, dims, rank, raw);
    return edit_add(edit, addition);
}

vecq_status vecq_edit_expect(vecq_edit *edit, const vecq_expectation *expectation)
{
    if (!vecq_grow((void **)&edit->expectations, &edit->expectations_capacity, edit->n_expectations,
                   sizeof *expectation))
        return edit_oom(edit);
    edit->expectations[edit->n_expectations++] = *expectation;
    return VECQ_OK;
}

/* All pending nodes of one message, in order, in one insertion. */
static vecq_status finish_front(vecq_edit *edit, size_t first)
{
    vecq_message *into = edit->additions[first].into;
    uint32_t number = edit->additions[first].number;
    vecq_message **children;
    size_t i, n = 0;
    int done;

    children = vecq_alloc(edit->n_additions - first, sizeof *children);
    if (children == NULL)
        return edit_oom(edit);
    for (i = first; i < edit->n_additions; i++)
        if (!edit->additions[i].at_end && edit->additions[i].into == into) {
            children[n++] = edit->additions[i].child;
            edit->additions[i].child = NULL;
        }
    done = vecq_message_insert_children(into, nth_field(into, number, 0), number, children, n);
    vecq_free(children);
    return done ? VECQ_OK : edit_oom(edit);
}

/* Those with a place of their own, from the back, so that places before stay right; of one place the last one
 * first. */
static vecq_status finish_placed(vecq_edit *edit)
{
    for (;;) {
        vecq_addition *last = NULL;
        size_t i;

        for (i = 0; i < edit->n_additions; i++) {
            vecq_addition *a = &edit->additions[i];

            if (a->child != NULL && a->has_place && (last == NULL || a->place >= last->place))
                last = a;
        }
        if (last == NULL)
            return VECQ_OK;
        if (!vecq_message_insert_child(last->into, last->place, last->number, last->child))
            return edit_oom(edit);
        last->child = NULL;
    }
}

vecq_status vecq_edit_finish(vecq_edit *edit)
{
    size_t i;

    VECQ_TRY(finish_placed(edit));

    for (i = 0; i < edit->n_additions; i++) {
        vecq_addition *a = &edit->additions[i];

        if (a->child == NULL)
            continue;
        if (!a->at_end)
            VECQ_TRY(finish_front(edit, i));
        else if (!vecq_message_insert_child(a->into, SIZE_MAX, a->number, a->child))
            return edit_oom(edit);
    }
    edit->n_additions = 0;
    return VECQ_OK;
}

/* ---- model level ---- */

vecq_status vecq_edit_import(vecq_edit *edit, vecq_message *message, uint32_t field, const char *domain,
                             int64_t version)
{
    vecq_message *entry;

    if (vecq_document_opset(message, field, domain) != 0)
        return VECQ_OK;
    entry = vecq_onnx_opset(&edit->doc->arena, domain, version);
    if (entry == NULL || !vecq_message_insert_child(message, SIZE_MAX, field, entry))
        return edit_oom(edit);
    return VECQ_OK;
}

void vecq_edit_remove_import(vecq_message *message, uint32_t field, const char *domain)
{
    drop_keyed(message, field, ONNX_OPSET_DOMAIN, domain);
}

vecq_status vecq_edit_set_metadata(vecq_edit *edit, const char *key, const char *value)
{
    vecq_message *model = edit->doc->model, *entry;

    drop_keyed(model, ONNX_MODEL_METADATA_PROPS, ONNX_ENTRY_KEY, key);
    if (value == NULL)
        return VECQ_OK;
    entry = vecq_onnx_entry(&edit->doc->arena, key, value);
    if (entry == NULL || !vecq_message_insert_child(model, SIZE_MAX, ONNX_MODEL_METADATA_PROPS, entry))
        return edit_oom(edit);
    return VECQ_OK;
}

vecq_status vecq_edit_raise_ir(vecq_edit *edit, int64_t least)
{
    vecq_ir *ir = &edit->doc->ir;
    size_t i;

    if (ir->ir_version >= least)
        return VECQ_OK;
    if (ir->ir_version < 4) /* else they would turn into overridable inputs */
        for (i = 0; i < ir->main->n_inputs; i++)
            if (ir->main->inputs[i]->constant != NULL)
                drop_keyed(graph_message(ir->main), ONNX_GRAPH_INPUT, ONNX_VALUE_INFO_NAME,
                           ir->main->inputs[i]->name);
    if (!vecq_message_set_scalar(edit->doc->model, ONNX_MODEL_IR_VERSION, (uint64_t)least))
        return edit_oom(edit);
    ir->ir_version = least;
    return VECQ_OK;
}
