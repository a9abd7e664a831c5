/* SPDX-License-Identifier: Apache-2.0 */
/* From the tree of messages to the graph. */
#include <string.h>

#include "base/status.h"
#include "graph/fold.h"
#include "onnx/packed.h"
#include "onnx/reader_private.h"
#include "onnx/schema.h"

vecq_status vecq_reader_oom(vecq_reader *r)
{
    return vecq_error_memory(r->err, 0);
}

vecq_status vecq_reader_add(vecq_reader *r, vecq_reader_list *list, void *item)
{
    if (!vecq_grow((void **)&list->items, &list->capacity, list->n, sizeof *list->items))
        return vecq_reader_oom(r);
    list->items[list->n++] = item;
    return VECQ_OK;
}

vecq_status vecq_reader_finish(vecq_reader *r, vecq_reader_list *list, void *out_items, size_t *n)
{
    void **items = vecq_arena_alloc(&r->doc->ir.arena, list->n, sizeof *items);

    if (items == NULL)
        return vecq_reader_oom(r);
    if (list->n > 0)
        memcpy(items, list->items, list->n * sizeof *items);
    *n = list->n;
    memcpy(out_items, &items, sizeof items);
    vecq_free(list->items);
    memset(list, 0, sizeof *list);
    return VECQ_OK;
}

vecq_status vecq_reader_string(vecq_reader *r, vecq_span bytes, const char **out)
{
    if (bytes.n > 0 && memchr(bytes.data, 0, bytes.n) != NULL)
        return vecq_error_set(r->err, VECQ_ERR_FORMAT, "a name holds a NUL byte");
    *out = vecq_arena_string(&r->doc->ir.arena, (const char *)bytes.data, bytes.n);
    return *out != NULL ? VECQ_OK : vecq_reader_oom(r);
}

vecq_status vecq_reader_field_string(vecq_reader *r, const vecq_message *message, uint32_t number,
                                     const char **out)
{
    return vecq_reader_string(r, vecq_message_bytes(message, number), out);
}

/* ---- values ---- */

static vecq_status define_value(vecq_reader *r, vecq_graph *graph, vecq_reader_list *values, const char *name,
                                vecq_value **out)
{
    vecq_value *value = vecq_arena_alloc(&r->doc->ir.arena, 1, sizeof *value);

    if (value == NULL)
        return vecq_reader_oom(r);
    value->graph = graph;
    value->name = name;
    VECQ_TRY(vecq_reader_add(r, values, value));
    if (!vecq_map_put(&graph->by_name, name, value))
        return vecq_reader_oom(r);
    *out = value;
    return VECQ_OK;
}

static vecq_status value_use(vecq_reader *r, vecq_value *value, vecq_node *node, size_t input)
{
    if (!vecq_grow((void **)&value->uses, &value->uses_capacity, value->n_uses, sizeof *value->uses))
        return vecq_reader_oom(r);
    value->uses[value->n_uses].node = node;
    value->uses[value->n_uses++].input = input;
    value->n_live_uses++;
    return VECQ_OK;
}

/* Names of ValueInfoProto fields (graphs) or plain strings (functions). */
static vecq_status read_formals(vecq_reader *r, vecq_message *message, uint32_t number, vecq_graph *graph,
                                vecq_reader_list *values, int is_input)
{
    vecq_reader_list formals = {0};
    vecq_status status = VECQ_OK;
    size_t i;

    for (i = 0; i < message->n_fields && status == VECQ_OK; i++) {
        vecq_span bytes = message->fields[i].payload, info = bytes;
        vecq_value *value = NULL;
        const char *name = "";

        if (message->fields[i].number != number || message->fields[i].wire != VECQ_WIRE_BYTES)
            continue;
        if (graph->kind != VECQ_GRAPH_FUNCTION) {
            vecq_wire_field f;
            vecq_span rest = bytes;

            memset(&bytes, 0, sizeof bytes);
            while ((status = vecq_wire_next(&rest, &f, r->err)) == VECQ_OK && f.number != 0)
                if (f.number == ONNX_VALUE_INFO_NAME)
                    bytes = f.payload;
        }
        if (status == VECQ_OK)
            status = vecq_reader_string(r, bytes, &name);
        if (status == VECQ_OK && is_input) {
            if (vecq_map_get(&graph->by_name, name) != NULL)
                status = vecq_error_set(r->err, VECQ_ERR_FORMAT, "graph input '%s' occurs twice", name);
            else
                status = define_value(r, graph, values, name, &value);
            if (status == VECQ_OK)
                value->is_graph_input = 1;
        } else if (status == VECQ_OK) {
            value = vecq_graph_lookup(graph, name);
            if (value != NULL)
                value->is_graph_output = 1;
        }
        if (status == VECQ_OK && value != NULL && !value->is_typed && graph->kind != VECQ_GRAPH_FUNCTION)
            status = vecq_reader_type(r, info, value);
        if (status == VECQ_OK && value != NULL)
            status = vecq_reader_add(r, &formals, value);
    }
    if (status == VECQ_OK)
        status = is_input ? vecq_reader_finish(r, &formals, &graph->inputs, &graph->n_inputs)
                          : vecq_reader_finish(r, &formals, &graph->outputs, &graph->n_outputs);
    vecq_free(formals.items);
    return status;
}

/* Sparse initializers are known by name, so that a weight stored like that is reported and not passed over.
 */
static vecq_status read_sparse(vecq_reader *r, vecq_span bytes, vecq_graph *graph, vecq_reader_list *values)
{
    vecq_const *c = vecq_arena_alloc(&r->doc->ir.arena, 1, sizeof *c);
    vecq_tensor_proto tensor = {.name = ""};
    vecq_wire_field f;
    vecq_value *value;

    if (c == NULL)
        return vecq_reader_oom(r);
    for (;;) {
        VECQ_TRY(vecq_wire_next(&bytes, &f, r->err));
        if (f.number == 0)
            break;
        if (f.number == ONNX_SPARSE_VALUES)
            VECQ_TRY(vecq_tensor_proto_parse(&r->doc->arena, &r->doc->external, f.payload, &tensor, r->err));
    }
    if (tensor.name[0] == '\0' || vecq_map_get(&graph->by_name, tensor.name) != NULL)
        return VECQ_OK;
    VECQ_TRY(define_value(r, graph, values, tensor.name, &value));
    c->dtype = tensor.dtype;
    c->count = tensor.count;
    c->n_stored = tensor.n_stored;
    c->is_opaque = 1;
    value->constant = c;
    value->is_constant = 1;
    return VECQ_OK;
}

static vecq_status read_initializers(vecq_reader *r, vecq_message *message, vecq_graph *graph,
                                     vecq_reader_list *values)
{
    size_t i;

    for (i = 0; i < message->n_fields; i++) {
        const vecq_field *field = &message->fields[i];
        vecq_const *constant;
        vecq_value *value;
        const char *name;

        if (field->number == ONNX_GRAPH_SPARSE_INITIALIZER && field->wire == VECQ_WIRE_BYTES)
            VECQ_TRY(read_sparse(r, field->payload, graph, values));
        if (field->number != ONNX_GRAPH_INITIALIZER || field->wire != VECQ_WIRE_BYTES)
            continue;
        VECQ_TRY(vecq_reader_tensor(r, message, i, field->payload, &constant));
        name = ((const vecq_origin *)constant->origin)->tensor->name;
        value = vecq_map_get(&graph->by_name, name);
        if (value != NULL && value->constant != NULL)
            return vecq_error_set(r->err, VECQ_ERR_FORMAT, "initializer '%s' occurs twice", name);
        if (value == NULL)
            VECQ_TRY(define_value(r, graph, values, name, &value));
        value->constant = constant;
        value->origin = (void *)(uintptr_t)constant->origin;
        value->is_constant = 1;
    }
    return VECQ_OK;
}

/* ---- nodes ---- */

/* Domain and version of an OperatorSetIdProto field. */
static int64_t import_entry(const vecq_field *field, vecq_span *domain)
{
    vecq_span rest = field->payload;
    vecq_wire_field part;
    uint64_t version = 0;

    memset(domain, 0, sizeof *domain);
    if (field->child != NULL) {
        *domain = vecq_message_bytes(field->child, ONNX_OPSET_DOMAIN);
        version = vecq_message_scalar(field->child, ONNX_OPSET_VERSION, 0);
    }
    while (vecq_wire_next(&rest, &part, NULL) == VECQ_OK && part.number != 0) {
        if (part.number == ONNX_OPSET_DOMAIN)
            *domain = part.payload;
        else if (part.number == ONNX_OPSET_VERSION)
            version = part.scalar;
    }
    if (domain->n == 7 && memcmp(domain->data, "ai.onnx", 7) == 0)
        domain->n = 0;
    return version <= INT32_MAX ? (int64_t)version : 0;
}

/* The imports of a scope as a map: looked at for each of its nodes. */
static vecq_status read_imports(vecq_reader *r, const vecq_message *message, uint32_t number)
{
    size_t i;

    vecq_map_clear(&r->imports);
    r->imports_of = NULL;
    for (i = 0; i < message->n_fields; i++) {
        const vecq_field *field = &message->fields[i];
        vecq_span domain;
        const char *key;
        int64_t version;

        if (field->number != number || field->wire != VECQ_WIRE_BYTES)
            continue;
        version = import_entry(field, &domain);
        VECQ_TRY(vecq_reader_string(r, domain, &key));
        if (!vecq_map_put(&r->imports, key, (void *)(uintptr_t)(version + 1)))
            return vecq_reader_oom(r);
    }
    r->imports_of = message;
    return VECQ_OK;
}

static vecq_status opset_of(vecq_reader *r, vecq_graph *graph, const char *domain, int64_t *version)
{
    const vecq_message *message = r->doc->model;
    uintptr_t found;

    graph = vecq_graph_root(graph);
    if (graph->kind == VECQ_GRAPH_FUNCTION)
        message = ((const vecq_origin *)graph->origin)->self;
    if (message != r->imports_of)
        VECQ_TRY(read_imports(r, message,
                              graph->kind == VECQ_GRAPH_FUNCTION ? (uint32_t)ONNX_FUNCTION_OPSET_IMPORT
                                                                 : (uint32_t)ONNX_MODEL_OPSET_IMPORT));
    found = (uintptr_t)vecq_map_get(&r->imports, domain);
    *version = found > 0 ? (int64_t)found - 1 : 0;
    return VECQ_OK;
}

/* First pass over a node: everything but the resolution of inputs and the nested graphs. */
static vecq_status declare_node(vecq_reader *r, vecq_graph *graph, vecq_message *parent, size_t field,
                                vecq_reader_list *values, vecq_node **out)
{
    vecq_node *node = vecq_arena_alloc(&r->doc->ir.arena, 1, sizeof *node);
    vecq_origin *origin = vecq_arena_alloc(&r->doc->arena, 1, sizeof *origin);
    vecq_message *message;
    size_t i, n_inputs = 0, n_outputs = 0, n_attrs = 0;

    if (node == NULL || origin == NULL)
        return vecq_reader_oom(r);
    VECQ_TRY(vecq_message_open(parent, field, &message, r->err));
    origin->parent = parent;
    origin->field = field;
    origin->self = message;
    node->graph = graph;
    node->origin = origin;
    VECQ_TRY(vecq_reader_field_string(r, message, ONNX_NODE_OP_TYPE, &node->op_type));
    VECQ_TRY(vecq_reader_field_string(r, message, ONNX_NODE_DOMAIN, &node->domain));
    VECQ_TRY(vecq_reader_field_string(r, message, ONNX_NODE_NAME, &node->name));
    if (strcmp(node->domain, "ai.onnx") == 0)
        node->domain = "";
    for (i = 0; i < message->n_fields; i++) {
        n_inputs += message->fields[i].number == ONNX_NODE_INPUT;
        n_outputs += message->fields[i].number == ONNX_NODE_OUTPUT;
        n_attrs += message->fields[i].number == ONNX_NODE_ATTRIBUTE;
    }
    node->inputs = vecq_arena_alloc(&r->doc->ir.arena, n_inputs, sizeof *node->inputs);
    node->outputs = vecq_arena_alloc(&r->doc->ir.arena, n_outputs, sizeof *node->outputs);
    node->attrs = vecq_arena_alloc(&r->doc->ir.arena, n_attrs, sizeof *node->attrs);
    if (node->inputs == NULL || node->outputs == NULL || node->attrs == NULL)
        return vecq_reader_oom(r);
    node->n_inputs = n_inputs;
    for (i = 0; i < message->n_fields; i++) {
        const vecq_field *f = &message->fields[i];
        vecq_value *value = NULL;
        const char *name;

        if (f->number != ONNX_NODE_OUTPUT)
            continue;
        VECQ_TRY(vecq_reader_string(r, f->payload, &name));
        if (name[0] != '\0') {
            if (vecq_map_get(&graph->by_name, name) != NULL)
                return vecq_error_set(r->err, VECQ_ERR_FORMAT, "'%s' is defined twice in one graph", name);
            VECQ_TRY(define_value(r, graph, values, name, &value));
            value->producer = node;
            value->output = node->n_outputs;
        }
        node->outputs[node->n_outputs++] = value;
    }
    *out = node;
    return VECQ_OK;
}

static int node_makes_constants(const vecq_node *node)
{
    size_t i;

    if (!vecq_fold_is_pure(node))
        return 0;
    for (i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].reference != NULL)
            return 0;
    for (i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] != NULL && !node->inputs[i]->is_constant)
            return 0;
    return 1;
}

static vecq_status complete_node(vecq_reader *r, vecq_graph *graph, vecq_node *node, vecq_reader_list *values)
{
    const vecq_origin *origin = node->origin;
    vecq_message *message = origin->self;
    const vecq_attr *tensor;
    size_t i, input = 0;

    VECQ_TRY(opset_of(r, graph, node->domain, &node->version));
    for (i = 0; i < message->n_fields; i++) {
        const vecq_field *f = &message->fields[i];
        const char *name;

        if (f->number == ONNX_NODE_INPUT) {
            VECQ_TRY(vecq_reader_string(r, f->payload, &name));
            if (name[0] != '\0') {
                vecq_value *value = vecq_graph_lookup(graph, name);
                if (value == NULL) /* such a model cannot run, but it can be read and written */
                    VECQ_TRY(define_value(r, graph, values, name, &value));
                node->inputs[input] = value;
                VECQ_TRY(value_use(r, value, node, input));
            }
            input++;
        } else if (f->number == ONNX_NODE_ATTRIBUTE && f->wire == VECQ_WIRE_BYTES) {
            VECQ_TRY(vecq_reader_attr(r, message, i, node, &node->attrs[node->n_attrs]));
            node->n_attrs++;
        }
    }
    if (node->n_outputs > 0 && node_makes_constants(node)) {
        for (i = 0; i < node->n_outputs; i++)
            if (node->outputs[i] != NULL)
                node->outputs[i]->is_constant = 1;
        tensor = vecq_node_is(node, "Constant") ? vecq_node_attr(node, "value") : NULL;
        if (tensor != NULL && tensor->type == VECQ_ATTR_TENSOR && node->outputs[0] != NULL)
            node->outputs[0]->constant = tensor->tensor;
    }
    return vecq_packed_bind(&r->doc->ir, node, r->err);
}

static vecq_status read_nodes(vecq_reader *r, vecq_message *message, uint32_t number, vecq_graph *graph,
                              vecq_reader_list *values)
{
    vecq_reader_list nodes = {0};
    vecq_status status = VECQ_OK;
    size_t i;

    for (i = 0; i < message->n_fields && status == VECQ_OK; i++) {
        vecq_node *node = NULL;

        if (message->fields[i].number != number || message->fields[i].wire != VECQ_WIRE_BYTES)
            continue;
        status = declare_node(r, graph, message, i, values, &node);
        if (status == VECQ_OK) {
            node->index = nodes.n;
            status = vecq_reader_add(r, &nodes, node);
        }
    }
    if (status == VECQ_OK)
        status = vecq_reader_finish(r, &nodes, &graph->nodes, &graph->n_nodes);
    vecq_free(nodes.items);
    for (i = 0; i < graph->n_nodes && status == VECQ_OK; i++) {
        status = complete_node(r, graph, graph->nodes[i], values);
        if (status != VECQ_OK)
            vecq_error_prefix(r->err, "%s '%s'", graph->nodes[i]->op_type, vecq_node_label(graph->nodes[i]));
    }
    return status;
}

/* ---- graphs ---- */

static vecq_status read_scope(vecq_reader *r, vecq_message *message, vecq_graph *graph,
                              vecq_reader_list *values)
{
    int is_function = graph->kind == VECQ_GRAPH_FUNCTION;
    uint32_t inputs = is_function ? (uint32_t)ONNX_FUNCTION_INPUT : (uint32_t)ONNX_GRAPH_INPUT;
    uint32_t outputs = is_function ? (uint32_t)ONNX_FUNCTION_OUTPUT : (uint32_t)ONNX_GRAPH_OUTPUT;
    uint32_t nodes = is_function ? (uint32_t)ONNX_FUNCTION_NODE : (uint32_t)ONNX_GRAPH_NODE;

    VECQ_TRY(read_formals(r, message, inputs, graph, values, 1));
    if (!is_function)
        VECQ_TRY(read_initializers(r, message, graph, values));
    VECQ_TRY(read_nodes(r, message, nodes, graph, values));
    return read_formals(r, message, outputs, graph, values, 0);
}

/* Nested graphs recurse through attr_nested(); the wire check bounded the depth. */
static vecq_status read_graph_as(vecq_reader *r, vecq_message *message, size_t field, vecq_graph_kind kind,
                                 vecq_graph *parent, vecq_node *owner, vecq_graph **out)
{
    vecq_graph *graph = vecq_arena_alloc(&r->doc->ir.arena, 1, sizeof *graph);
    vecq_origin *origin = vecq_arena_alloc(&r->doc->arena, 1, sizeof *origin);
    vecq_reader_list values = {0};
    vecq_status status;

    if (graph == NULL || origin == NULL)
        return vecq_reader_oom(r);
    origin->parent = message->parent;
    origin->field = field;
    origin->self = message;
    graph->ir = &r->doc->ir;
    graph->kind = kind;
    graph->parent = parent;
    graph->owner = owner;
    graph->index = r->graphs.n;
    graph->origin = origin;
    if (kind == VECQ_GRAPH_FUNCTION) {
        const char *domain, *name;

        VECQ_TRY(vecq_reader_field_string(r, message, ONNX_FUNCTION_DOMAIN, &domain));
        VECQ_TRY(vecq_reader_field_string(r, message, ONNX_FUNCTION_NAME, &name));
        graph->name = vecq_arena_printf(&r->doc->ir.arena, "%s:%s", domain, name);
    } else {
        VECQ_TRY(vecq_reader_field_string(r, message, ONNX_GRAPH_NAME, &graph->name));
    }
    if (graph->name == NULL)
        return vecq_reader_oom(r);
    VECQ_TRY(opset_of(r, graph, "", &graph->opset));
    VECQ_TRY(vecq_reader_add(r, &r->graphs, graph)); /* before its contents: clearing must find its map */
    status = read_scope(r, message, graph, &values);
    if (status == VECQ_OK)
        status = vecq_reader_finish(r, &values, &graph->values, &graph->n_values);
    if (status != VECQ_OK) { /* the values own their lists of uses */
        size_t i;
        for (i = 0; i < values.n; i++)
            vecq_free(((vecq_value *)values.items[i])->uses);
    }
    vecq_free(values.items);
    *out = graph;
    return status;
}

vecq_status vecq_reader_graph(vecq_reader *r, vecq_message *message, size_t field, vecq_graph *parent,
                              vecq_node *owner, vecq_graph **out)
{
    return read_graph_as(r, message, field, parent == NULL ? VECQ_GRAPH_MAIN : VECQ_GRAPH_NESTED, parent,
                         owner, out);
}

int64_t vecq_document_opset(const vecq_message *message, uint32_t field, const char *domain)
{
    int64_t version = 0;
    size_t i;

    for (i = 0; i < message->n_fields; i++) {
        const vecq_field *f = &message->fields[i];
        vecq_span name;
        int64_t found;

        if (f->number != field || f->is_dropped || f->wire != VECQ_WIRE_BYTES)
            continue;
        found = import_entry(f, &name);
        if (name.n == strlen(domain) && (name.n == 0 || memcmp(name.data, domain, name.n) == 0))
            version = found;
    }
    return version;
}

vecq_span vecq_document_metadata(const vecq_document *doc, const char *key)
{
    vecq_span found = {NULL, 0};
    size_t i;

    for (i = 0; i < doc->model->n_fields; i++) {
        const vecq_field *field = &doc->model->fields[i];
        vecq_span rest = field->payload, name = {NULL, 0}, value = {(const uint8_t *)"", 0};
        vecq_wire_field f;

        if (field->number != ONNX_MODEL_METADATA_PROPS || field->is_dropped)
            continue;
        if (field->child != NULL) {
            name = vecq_message_bytes(field->child, ONNX_ENTRY_KEY);
            value = vecq_message_bytes(field->child, ONNX_ENTRY_VALUE);
        }
        while (vecq_wire_next(&rest, &f, NULL) == VECQ_OK && f.number != 0) {
            if (f.number == ONNX_ENTRY_KEY)
                name = f.payload;
            else if (f.number == ONNX_ENTRY_VALUE)
                value = f.payload;
        }
        if (name.n == strlen(key) && (name.n == 0 || memcmp(name.data, key, name.n) == 0))
            found = value;
    }
    return found;
}

static vecq_status read_model(vecq_reader *r)
{
    static const vecq_wire_limits limits = VECQ_WIRE_LIMITS_DEFAULT;
    vecq_document *doc = r->doc;
    vecq_message *graph;
    size_t at;

    if (doc->bytes.n == 0)
        return vecq_error_set(r->err, VECQ_ERR_FORMAT, "the file is empty");
    VECQ_TRY(vecq_wire_check_model(doc->bytes, &limits, r->err));
    VECQ_TRY(vecq_message_parse(&doc->arena, doc->bytes, &doc->model, r->err));
    doc->ir.ir_version = (int64_t)vecq_message_scalar(doc->model, ONNX_MODEL_IR_VERSION, 0);
    doc->ir.source = doc->name;
    doc->ir.n_source = doc->bytes.n;
    at = vecq_message_last(doc->model, ONNX_MODEL_GRAPH);
    if (at >= doc->model->n_fields)
        return vecq_error_set(r->err, VECQ_ERR_FORMAT, "no ONNX model: it has no graph");
    VECQ_TRY(vecq_message_open(doc->model, at, &graph, r->err));
    VECQ_TRY(vecq_reader_graph(r, graph, at, NULL, NULL, &doc->ir.main));
    for (at = 0; at < doc->model->n_fields; at++) {
        vecq_graph *function;
        vecq_message *message;

        if (doc->model->fields[at].number != ONNX_MODEL_FUNCTIONS ||
            doc->model->fields[at].wire != VECQ_WIRE_BYTES)
            continue;
        VECQ_TRY(vecq_message_open(doc->model, at, &message, r->err));
        VECQ_TRY(read_graph_as(r, message, at, VECQ_GRAPH_FUNCTION, NULL, NULL, &function));
    }
    return VECQ_OK;
}

vecq_status vecq_document_read(vecq_document *doc, vecq_error *err)
{
    vecq_reader r = {.doc = doc, .err = err};
    vecq_status status = read_model(&r), finish;
    size_t i;

    vecq_map_clear(&r.imports);
    finish = vecq_reader_finish(&r, &r.graphs, &doc->ir.graphs, &doc->ir.n_graphs);
    if (finish != VECQ_OK) { /* no place to remember them: release what they own now */
        for (i = 0; i < r.graphs.n; i++) {
            vecq_graph *graph = r.graphs.items[i];
            size_t v;
            for (v = 0; v < graph->n_values; v++)
                vecq_free(graph->values[v]->uses);
            vecq_map_clear(&graph->by_name);
        }
        vecq_free(r.graphs.items);
    }
    return status != VECQ_OK ? status : finish;
}

void vecq_document_clear(vecq_document *doc)
{
    vecq_ir_clear(&doc->ir);
    vecq_external_clear(&doc->external);
    vecq_arena_clear(&doc->arena);
    vecq_mapping_close(&doc->mapping);
    memset(doc, 0, sizeof *doc);
}
