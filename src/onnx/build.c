/* SPDX-License-Identifier: Apache-2.0 */
/* Builders of ONNX messages. Field order is that of onnx.proto's writers: same model, same bytes. */
#include <string.h>

#include "onnx/schema.h"
#include "onnx/tree.h"

/* Numbers of AttributeProto.AttributeType; src/graph has the same, for the reader. */
enum { BUILD_FLOAT = 1, BUILD_INT = 2, BUILD_STRING = 3, BUILD_TENSOR = 4, BUILD_INTS = 7 };

#define END SIZE_MAX

static int build_strings(vecq_message *message, uint32_t number, const char *const *texts, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (!vecq_message_insert_string(message, END, number, texts[i] != NULL ? texts[i] : ""))
            return 0;
    return 1;
}

static int build_optional(vecq_message *message, uint32_t number, const char *text)
{
    return text == NULL || *text == '\0' || vecq_message_insert_string(message, END, number, text);
}

vecq_message *vecq_onnx_node(vecq_arena *arena, const char *op_type, const char *domain, const char *name,
                             const char *const *inputs, size_t n_inputs, const char *const *outputs,
                             size_t n_outputs)
{
    vecq_message *node = vecq_message_new(arena);

    if (node == NULL || !build_strings(node, ONNX_NODE_INPUT, inputs, n_inputs) ||
        !build_strings(node, ONNX_NODE_OUTPUT, outputs, n_outputs) ||
        !build_optional(node, ONNX_NODE_NAME, name) ||
        !vecq_message_insert_string(node, END, ONNX_NODE_OP_TYPE, op_type) ||
        !build_optional(node, ONNX_NODE_DOMAIN, domain))
        return NULL;
    return node;
}

/* ---- attributes ---- */

/* Attributes stand together, before the fields of a node with higher numbers: so does every writer. */
static size_t build_attribute_place(const vecq_message *node)
{
    size_t i;

    for (i = 0; i < node->n_fields; i++)
        if (node->fields[i].number > ONNX_NODE_ATTRIBUTE)
            return i;
    return END;
}

static vecq_message *build_attribute(vecq_message *node, const char *name)
{
    vecq_message *attribute = vecq_message_new(node->arena);

    if (attribute == NULL || !vecq_message_insert_string(attribute, END, ONNX_ATTR_NAME, name))
        return NULL;
    return attribute;
}

/* The node takes an attribute once it is complete, so that a failure leaves no half of it. */
static int build_finish(vecq_message *node, vecq_message *attribute, int type)
{
    return vecq_message_insert_scalar(attribute, END, ONNX_ATTR_TYPE, (uint64_t)type) &&
           vecq_message_insert_child(node, build_attribute_place(node), ONNX_NODE_ATTRIBUTE, attribute);
}

int vecq_onnx_node_int(vecq_message *node, const char *name, int64_t value)
{
    vecq_message *attribute = build_attribute(node, name);

    return attribute != NULL && vecq_message_insert_scalar(attribute, END, ONNX_ATTR_I, (uint64_t)value) &&
           build_finish(node, attribute, BUILD_INT);
}

int vecq_onnx_node_float(vecq_message *node, const char *name, float value)
{
    vecq_message *attribute = build_attribute(node, name);
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return attribute != NULL && vecq_message_insert_fixed32(attribute, END, ONNX_ATTR_F, bits) &&
           build_finish(node, attribute, BUILD_FLOAT);
}

int vecq_onnx_node_string(vecq_message *node, const char *name, const char *value)
{
    vecq_message *attribute = build_attribute(node, name);

    return attribute != NULL && vecq_message_insert_string(attribute, END, ONNX_ATTR_S, value) &&
           build_finish(node, attribute, BUILD_STRING);
}

int vecq_onnx_node_ints(vecq_message *node, const char *name, const int64_t *values, size_t n)
{
    vecq_message *attribute = build_attribute(node, name);
    size_t i;

    if (attribute == NULL)
        return 0;
    for (i = 0; i < n; i++)
        if (!vecq_message_insert_scalar(attribute, END, ONNX_ATTR_INTS, (uint64_t)values[i]))
            return 0;
    return build_finish(node, attribute, BUILD_INTS);
}

int vecq_onnx_node_tensor(vecq_message *node, const char *name, vecq_message *tensor)
{
    vecq_message *attribute = build_attribute(node, name);

    return attribute != NULL && vecq_message_insert_child(attribute, END, ONNX_ATTR_T, tensor) &&
           build_finish(node, attribute, BUILD_TENSOR);
}

int vecq_onnx_node_reference(vecq_message *node, const char *name, int type, const char *reference)
{
    vecq_message *attribute = build_attribute(node, name);

    /* ref_attr_name has a higher number than type */
    return attribute != NULL &&
           vecq_message_insert_string(attribute, END, ONNX_ATTR_REF_ATTR_NAME, reference) &&
           vecq_message_insert_scalar(attribute, 1, ONNX_ATTR_TYPE, (uint64_t)type) &&
           vecq_message_insert_child(node, build_attribute_place(node), ONNX_NODE_ATTRIBUTE, attribute);
}

/* ---- other messages ---- */

vecq_message *vecq_onnx_tensor(vecq_arena *arena, const char *name, int dtype, const int64_t *dims,
                               unsigned rank, vecq_span raw)
{
    vecq_message *tensor = vecq_message_new(arena);
    unsigned i;

    if (tensor == NULL)
        return NULL;
    for (i = 0; i < rank; i++)
        if (!vecq_message_insert_scalar(tensor, END, ONNX_TENSOR_DIMS, (uint64_t)dims[i]))
            return NULL;
    if (!vecq_message_insert_scalar(tensor, END, ONNX_TENSOR_DATA_TYPE, (uint64_t)dtype) ||
        !build_optional(tensor, ONNX_TENSOR_NAME, name) ||
        !vecq_message_insert_bytes(tensor, END, ONNX_TENSOR_RAW_DATA, raw))
        return NULL;
    return tensor;
}

static vecq_message *build_shape(vecq_arena *arena, const int64_t *dims, const char *const *params,
                                 unsigned rank)
{
    vecq_message *shape = vecq_message_new(arena);
    unsigned i;

    if (shape == NULL)
        return NULL;
    for (i = 0; i < rank; i++) {
        vecq_message *dim = vecq_message_new(arena);

        if (dim == NULL ||
            !(params[i] != NULL ? vecq_message_insert_string(dim, END, ONNX_DIM_PARAM, params[i])
                                : vecq_message_insert_scalar(dim, END, ONNX_DIM_VALUE, (uint64_t)dims[i])) ||
            !vecq_message_insert_child(shape, END, ONNX_SHAPE_DIM, dim))
            return NULL;
    }
    return shape;
}

vecq_message *vecq_onnx_value_info(vecq_arena *arena, const char *name, int dtype, const int64_t *dims,
                                   const char *const *params, unsigned rank)
{
    vecq_message *info = vecq_message_new(arena), *type = vecq_message_new(arena);
    vecq_message *tensor = vecq_message_new(arena), *shape = build_shape(arena, dims, params, rank);

    if (info == NULL || type == NULL || tensor == NULL || shape == NULL ||
        !vecq_message_insert_scalar(tensor, END, ONNX_TYPE_TENSOR_ELEM_TYPE, (uint64_t)dtype) ||
        !vecq_message_insert_child(tensor, END, ONNX_TYPE_TENSOR_SHAPE, shape) ||
        !vecq_message_insert_child(type, END, ONNX_TYPE_TENSOR, tensor) ||
        !vecq_message_insert_string(info, END, ONNX_VALUE_INFO_NAME, name) ||
        !vecq_message_insert_child(info, END, ONNX_VALUE_INFO_TYPE, type))
        return NULL;
    return info;
}

vecq_message *vecq_onnx_opset(vecq_arena *arena, const char *domain, int64_t version)
{
    vecq_message *opset = vecq_message_new(arena);

    /* The default domain is written too, as the onnx package does. */
    if (opset == NULL || !vecq_message_insert_string(opset, END, ONNX_OPSET_DOMAIN, domain) ||
        !vecq_message_insert_scalar(opset, END, ONNX_OPSET_VERSION, (uint64_t)version))
        return NULL;
    return opset;
}

vecq_message *vecq_onnx_entry(vecq_arena *arena, const char *key, const char *value)
{
    vecq_message *entry = vecq_message_new(arena);

    if (entry == NULL || !vecq_message_insert_string(entry, END, ONNX_ENTRY_KEY, key) ||
        !vecq_message_insert_string(entry, END, ONNX_ENTRY_VALUE, value))
        return NULL;
    return entry;
}
