/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/graph.h"

#include <string.h>

#include "base/status.h"

void vecq_ir_clear(vecq_ir *ir)
{
    size_t g, v;

    for (g = 0; g < ir->n_graphs; g++) {
        vecq_graph *graph = ir->graphs[g];

        for (v = 0; v < graph->n_values; v++)
            vecq_free(graph->values[v]->uses);
        vecq_map_clear(&graph->by_name);
    }
    vecq_arena_clear(&ir->arena);
    memset(ir, 0, sizeof *ir);
}

vecq_value *vecq_graph_lookup(const vecq_graph *graph, const char *name)
{
    for (; graph != NULL; graph = graph->parent) {
        vecq_value *value = vecq_map_get(&graph->by_name, name);
        if (value != NULL)
            return value;
    }
    return NULL;
}

const vecq_attr *vecq_node_attr(const vecq_node *node, const char *name)
{
    size_t i;

    for (i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, name) == 0)
            return &node->attrs[i];
    return NULL;
}

int64_t vecq_node_attr_int(const vecq_node *node, const char *name, int64_t missing)
{
    const vecq_attr *attr = vecq_node_attr(node, name);

    return attr != NULL && attr->type == VECQ_ATTR_INT ? attr->i : missing;
}

float vecq_node_attr_float(const vecq_node *node, const char *name, float missing)
{
    const vecq_attr *attr = vecq_node_attr(node, name);

    return attr != NULL && attr->type == VECQ_ATTR_FLOAT ? attr->f : missing;
}

vecq_graph *vecq_graph_root(vecq_graph *graph)
{
    while (graph->parent != NULL)
        graph = graph->parent;
    return graph;
}

const char *vecq_node_label(const vecq_node *node)
{
    if (node->name[0] == '\0' && node->n_outputs > 0 && node->outputs[0] != NULL)
        return node->outputs[0]->name;
    return node->name;
}

int vecq_node_is(const vecq_node *node, const char *op_type)
{
    return node->domain[0] == '\0' && strcmp(node->op_type, op_type) == 0;
}

vecq_status vecq_const_read(const vecq_const *constant, void *dst, vecq_error *err)
{
    if (constant->is_opaque || constant->read == NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "a %s tensor of this form cannot be read",
                              vecq_dtype_name(constant->dtype));
    return constant->read(constant, dst, err);
}

vecq_status vecq_const_read_f32(const vecq_const *constant, float *dst, vecq_error *err)
{
    vecq_status status;
    void *dense;
    size_t n_bytes;

    if (constant->read_f32 != NULL)
        return constant->read_f32(constant, dst, err);
    if (constant->dtype == VECQ_DT_FLOAT)
        return vecq_const_read(constant, dst, err);
    n_bytes = vecq_dtype_bytes(constant->dtype, constant->count);
    dense = vecq_alloc(n_bytes, 1);
    if (dense == NULL)
        return vecq_error_memory(err, n_bytes);
    status = vecq_const_read(constant, dense, err);
    if (status == VECQ_OK)
        vecq_convert_to_f32(constant->dtype, dense, dst, constant->count);
    vecq_free(dense);
    return status;
}

vecq_status vecq_const_load(const vecq_const *constant, vecq_tensor *out, vecq_error *err)
{
    vecq_status status;

    memset(out, 0, sizeof *out);
    if (constant->is_opaque)
        return vecq_const_read(constant, NULL, err);
    VECQ_TRY(vecq_tensor_create(constant->dtype, constant->rank, constant->dims, out, err));
    status = vecq_const_read(constant, out->data, err);
    if (status != VECQ_OK)
        vecq_tensor_destroy(out);
    return status;
}
