/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/schema.h"

#include <stddef.h>

#define SCHEMA_NUMBER_MAX 26u

#define INT(name)                                                                                            \
    {                                                                                                        \
        name, VECQ_SCHEMA_INT, 0, VECQ_SCHEMA_NONE, 0                                                        \
    }
#define INTS(name)                                                                                           \
    {                                                                                                        \
        name, VECQ_SCHEMA_INT, 1, VECQ_SCHEMA_NONE, 0                                                        \
    }
#define FLOAT(name)                                                                                          \
    {                                                                                                        \
        name, VECQ_SCHEMA_FLOAT, 0, VECQ_SCHEMA_NONE, 0                                                      \
    }
#define BYTES(name)                                                                                          \
    {                                                                                                        \
        name, VECQ_SCHEMA_BYTES, 0, VECQ_SCHEMA_NONE, 0                                                      \
    }
#define STRING(name)                                                                                         \
    {                                                                                                        \
        name, VECQ_SCHEMA_STRING, 0, VECQ_SCHEMA_NONE, 0                                                     \
    }
#define STRINGS(name)                                                                                        \
    {                                                                                                        \
        name, VECQ_SCHEMA_STRING, 1, VECQ_SCHEMA_NONE, 0                                                     \
    }
#define BULK(name, kind)                                                                                     \
    {                                                                                                        \
        name, VECQ_SCHEMA_##kind, 1, VECQ_SCHEMA_NONE, 1                                                     \
    }
#define MESSAGE(name, type)                                                                                  \
    {                                                                                                        \
        name, VECQ_SCHEMA_MESSAGE, 0, VECQ_SCHEMA_##type, 0                                                  \
    }
#define MESSAGES(name, type)                                                                                 \
    {                                                                                                        \
        name, VECQ_SCHEMA_MESSAGE, 1, VECQ_SCHEMA_##type, 0                                                  \
    }

static const vecq_schema_row schema_rows[VECQ_SCHEMA_TYPES][SCHEMA_NUMBER_MAX + 1] =
    {
        [VECQ_SCHEMA_MODEL] =
            {
                [ONNX_MODEL_IR_VERSION] = INT("ir_version"),
                [ONNX_MODEL_PRODUCER_NAME] = BYTES("producer_name"),
                [ONNX_MODEL_PRODUCER_VERSION] = BYTES("producer_version"),
                [ONNX_MODEL_DOMAIN] = STRING("domain"),
                [ONNX_MODEL_MODEL_VERSION] = INT("model_version"),
                [ONNX_MODEL_DOC_STRING] = BYTES("doc_string"),
                [ONNX_MODEL_GRAPH] = MESSAGE("graph", GRAPH),
                [ONNX_MODEL_OPSET_IMPORT] = MESSAGES("opset_import", OPSET),
                [ONNX_MODEL_METADATA_PROPS] = MESSAGES("metadata_props", ENTRY),
                [ONNX_MODEL_TRAINING_INFO] = MESSAGES("training_info", TRAINING),
                [ONNX_MODEL_FUNCTIONS] = MESSAGES("functions", FUNCTION),
                [ONNX_MODEL_CONFIGURATION] = MESSAGES("configuration", DEVICE),
            },
        [VECQ_SCHEMA_GRAPH] =
            {
                [ONNX_GRAPH_NODE] = MESSAGES("node", NODE),
                [ONNX_GRAPH_NAME] = STRING("name"),
                [ONNX_GRAPH_INITIALIZER] = MESSAGES("initializer", TENSOR),
                [ONNX_GRAPH_DOC_STRING] = BYTES("doc_string"),
                [ONNX_GRAPH_INPUT] = MESSAGES("input", VALUE_INFO),
                [ONNX_GRAPH_OUTPUT] = MESSAGES("output", VALUE_INFO),
                [ONNX_GRAPH_VALUE_INFO] = MESSAGES("value_info", VALUE_INFO),
                [ONNX_GRAPH_QUANTIZATION_ANNOTATION] = MESSAGES("quantization_annotation", ANNOTATION),
                [ONNX_GRAPH_SPARSE_INITIALIZER] = MESSAGES("sparse_initializer", SPARSE_TENSOR),
                [ONNX_GRAPH_METADATA_PROPS] = MESSAGES("metadata_props", ENTRY),
            },
        [VECQ_SCHEMA_NODE] =
            {
                [ONNX_NODE_INPUT] = STRINGS("input"),
                [ONNX_NODE_OUTPUT] = STRINGS("output"),
                [ONNX_NODE_NAME] = STRING("name"),
                [ONNX_NODE_OP_TYPE] = STRING("op_type"),
                [ONNX_NODE_ATTRIBUTE] = MESSAGES("attribute", ATTRIBUTE),
                [ONNX_NODE_DOC_STRING] = BYTES("doc_string"),
                [ONNX_NODE_DOMAIN] = STRING("domain"),
                [ONNX_NODE_OVERLOAD] = STRING("overload"),
                [ONNX_NODE_METADATA_PROPS] = MESSAGES("metadata_props", ENTRY),
                [ONNX_NODE_DEVICE_CONFIGURATIONS] = MESSAGES("device_configurations", NODE_DEVICE),
            },
        [VECQ_SCHEMA_ATTRIBUTE] =
            {
                [ONNX_ATTR_NAME] = STRING("name"),
                [ONNX_ATTR_F] = FLOAT("f"),
                [ONNX_ATTR_I] = INT("i"),
                [ONNX_ATTR_S] = BYTES("s"),
                [ONNX_ATTR_T] = MESSAGE("t", TENSOR),
                [ONNX_ATTR_G] = MESSAGE("g", GRAPH),
                [ONNX_ATTR_FLOATS] = BULK("floats", FLOAT),
                [ONNX_ATTR_INTS] = BULK("ints", INT),
                [ONNX_ATTR_STRINGS] = BULK("strings", BYTES),
                [ONNX_ATTR_TENSORS] = MESSAGES("tensors", TENSOR),
                [ONNX_ATTR_GRAPHS] = MESSAGES("graphs", GRAPH),
                [ONNX_ATTR_DOC_STRING] = BYTES("doc_string"),
                [ONNX_ATTR_TP] = MESSAGE("tp", TYPE),
                [ONNX_ATTR_TYPE_PROTOS] = MESSAGES("type_protos", TYPE),
                [ONNX_ATTR_TYPE] = INT("type"),
                [ONNX_ATTR_REF_ATTR_NAME] = STRING("ref_attr_name"),
                [ONNX_ATTR_SPARSE_TENSOR] = MESSAGE("sparse_tensor", SPARSE_TENSOR),
                [ONNX_ATTR_SPARSE_TENSORS] = MESSAGES("sparse_tensors", SPARSE_TENSOR),
            },
        [VECQ_SCHEMA_TENSOR] =
            {
                [ONNX_TENSOR_DIMS] = INTS("dims"),
                [ONNX_TENSOR_DATA_TYPE] = INT("data_type"),
                [ONNX_TENSOR_SEGMENT] = MESSAGE("segment", SEGMENT),
                [ONNX_TENSOR_FLOAT_DATA] = BULK("float_data", FLOAT),
                [ONNX_TENSOR_INT32_DATA] = BULK("int32_data", INT),
                [ONNX_TENSOR_STRING_DATA] = BULK("string_data", BYTES),
                [ONNX_TENSOR_INT64_DATA] = BULK("int64_data", INT),
                [ONNX_TENSOR_NAME] = STRING("name"),
                [ONNX_TENSOR_RAW_DATA] = BYTES("raw_data"),
                [ONNX_TENSOR_DOUBLE_DATA] = BULK("double_data", DOUBLE),
                [ONNX_TENSOR_UINT64_DATA] = BULK("uint64_data", INT),
                [ONNX_TENSOR_DOC_STRING] = BYTES("doc_string"),
                [ONNX_TENSOR_EXTERNAL_DATA] = MESSAGES("external_data", ENTRY),
                [ONNX_TENSOR_DATA_LOCATION] = INT("data_location"),
                [ONNX_TENSOR_METADATA_PROPS] = MESSAGES("metadata_props", ENTRY),
            },
        [VECQ_SCHEMA_SEGMENT] = {[1] = INT("begin"), [2] = INT("end")},
        [VECQ_SCHEMA_SPARSE_TENSOR] =
            {
                [ONNX_SPARSE_VALUES] = MESSAGE("values", TENSOR),
                [ONNX_SPARSE_INDICES] = MESSAGE("indices", TENSOR),
                [ONNX_SPARSE_DIMS] = INTS("dims"),
            },
        [VECQ_SCHEMA_VALUE_INFO] =
            {
                [ONNX_VALUE_INFO_NAME] = STRING("name"),
                [ONNX_VALUE_INFO_TYPE] = MESSAGE("type", TYPE),
                [ONNX_VALUE_INFO_DOC_STRING] = BYTES("doc_string"),
                [ONNX_VALUE_INFO_METADATA_PROPS] = MESSAGES("metadata_props", ENTRY),
            },
        [VECQ_SCHEMA_TYPE] =
            {
                [ONNX_TYPE_TENSOR] = MESSAGE("tensor_type", TYPE_TENSOR),
                [4] = MESSAGE("sequence_type", TYPE_SEQUENCE),
                [5] = MESSAGE("map_type", TYPE_MAP),
                [6] = STRING("denotation"),
                [7] = MESSAGE("opaque_type", TYPE_OPAQUE),
                [8] = MESSAGE("sparse_tensor_type", TYPE_TENSOR),
                [9] = MESSAGE("optional_type", TYPE_SEQUENCE),
            },
        [VECQ_SCHEMA_TYPE_TENSOR] = {[ONNX_TYPE_TENSOR_ELEM_TYPE] = INT("elem_type"),
                                     [ONNX_TYPE_TENSOR_SHAPE] = MESSAGE("shape", SHAPE)},
        [VECQ_SCHEMA_TYPE_SEQUENCE] = {[1] = MESSAGE("elem_type", TYPE)},
        [VECQ_SCHEMA_TYPE_MAP] = {[1] = INT("key_type"), [2] = MESSAGE("value_type", TYPE)},
        [VECQ_SCHEMA_TYPE_OPAQUE] = {[1] = STRING("domain"), [2] = STRING("name")},
        [VECQ_SCHEMA_SHAPE] = {[ONNX_SHAPE_DIM] = MESSAGES("dim", DIMENSION)},
        [VECQ_SCHEMA_DIMENSION] =
            {
                [ONNX_DIM_VALUE] = INT("dim_value"),
                [ONNX_DIM_PARAM] = STRING("dim_param"),
                [3] = STRING("denotation"),
            },
        [VECQ_SCHEMA_FUNCTION] =
            {
                [ONNX_FUNCTION_NAME] = STRING("name"),
                [ONNX_FUNCTION_INPUT] = STRINGS("input"),
                [ONNX_FUNCTION_OUTPUT] = STRINGS("output"),
                [ONNX_FUNCTION_ATTRIBUTE] = STRINGS("attribute"),
                [ONNX_FUNCTION_NODE] = MESSAGES("node", NODE),
                [ONNX_FUNCTION_DOC_STRING] = BYTES("doc_string"),
                [ONNX_FUNCTION_OPSET_IMPORT] = MESSAGES("opset_import", OPSET),
                [ONNX_FUNCTION_DOMAIN] = STRING("domain"),
                [ONNX_FUNCTION_ATTRIBUTE_PROTO] = MESSAGES("attribute_proto", ATTRIBUTE),
                [ONNX_FUNCTION_VALUE_INFO] = MESSAGES("value_info", VALUE_INFO),
                [ONNX_FUNCTION_OVERLOAD] = STRING("overload"),
                [ONNX_FUNCTION_METADATA_PROPS] = MESSAGES("metadata_props", ENTRY),
            },
        [VECQ_SCHEMA_OPSET] = {[ONNX_OPSET_DOMAIN] = STRING("domain"), [ONNX_OPSET_VERSION] = INT("version")},
        [VECQ_SCHEMA_ENTRY] = {[ONNX_ENTRY_KEY] = STRING("key"), [ONNX_ENTRY_VALUE] = BYTES("value")},
        [VECQ_SCHEMA_ANNOTATION] =
            {
                [1] = STRING("tensor_name"),
                [2] = MESSAGES("quant_parameter_tensor_names", ENTRY),
            },
        [VECQ_SCHEMA_TRAINING] =
            {
                [1] = MESSAGE("initialization", GRAPH),
                [2] = MESSAGE("algorithm", GRAPH),
                [3] = MESSAGES("initialization_binding", ENTRY),
                [4] = MESSAGES("update_binding", ENTRY),
            },
        [VECQ_SCHEMA_DEVICE] = {[1] = STRING("name"), [2] = INT("num_devices"), [3] = STRINGS("device")},
        [VECQ_SCHEMA_NODE_DEVICE] =
            {
                [1] = STRING("configuration_id"),
                [2] = MESSAGES("sharding_spec", SHARDING),
                [3] = INT("pipeline_stage"),
            },
        [VECQ_SCHEMA_SHARDING] =
            {
                [1] = STRING("tensor_name"),
                [2] = INTS("device"),
                [3] = MESSAGES("index_to_device_group_map", INT_LIST_ENTRY),
                [4] = MESSAGES("sharded_dim", SHARDED_DIM),
            },
        [VECQ_SCHEMA_SHARDED_DIM] =
            {[1] = INT("axis"), [2] = MESSAGES("simple_sharding", SIMPLE_SHARDED_DIM)},
        [VECQ_SCHEMA_SIMPLE_SHARDED_DIM] =
            {
                [1] = INT("dim_value"),
                [2] = STRING("dim_param"),
                [3] = INT("num_shards"),
            },
        [VECQ_SCHEMA_INT_LIST_ENTRY] = {[1] = INT("key"), [2] = INTS("value")},
};

const vecq_schema_row *vecq_schema_find(vecq_schema_type type, uint32_t number)
{
    static const vecq_schema_row unknown = {"", VECQ_SCHEMA_UNKNOWN, 0, VECQ_SCHEMA_NONE, 0};

    if ((unsigned)type >= VECQ_SCHEMA_TYPES || number > SCHEMA_NUMBER_MAX)
        return &unknown;
    return schema_rows[type][number].name != NULL ? &schema_rows[type][number] : &unknown;
}
