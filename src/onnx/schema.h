/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field numbers of onnx.proto (ONNX 1.23, IR version 14) for the messages this program reads or writes, and
 * the table of every message and field of that file, which the check of a whole model is driven by
 * (schema.c).
 */
#ifndef VECQ_ONNX_SCHEMA_H
#define VECQ_ONNX_SCHEMA_H

#include <stdint.h>

/* ModelProto */
enum {
    ONNX_MODEL_IR_VERSION = 1,
    ONNX_MODEL_PRODUCER_NAME = 2,
    ONNX_MODEL_PRODUCER_VERSION = 3,
    ONNX_MODEL_DOMAIN = 4,
    ONNX_MODEL_MODEL_VERSION = 5,
    ONNX_MODEL_DOC_STRING = 6,
    ONNX_MODEL_GRAPH = 7,
    ONNX_MODEL_OPSET_IMPORT = 8,
    ONNX_MODEL_METADATA_PROPS = 14,
    ONNX_MODEL_TRAINING_INFO = 20,
    ONNX_MODEL_FUNCTIONS = 25,
    ONNX_MODEL_CONFIGURATION = 26
};
/* OperatorSetIdProto */
enum { ONNX_OPSET_DOMAIN = 1, ONNX_OPSET_VERSION = 2 };
/* StringStringEntryProto */
enum { ONNX_ENTRY_KEY = 1, ONNX_ENTRY_VALUE = 2 };
/* GraphProto */
enum {
    ONNX_GRAPH_NODE = 1,
    ONNX_GRAPH_NAME = 2,
    ONNX_GRAPH_INITIALIZER = 5,
    ONNX_GRAPH_DOC_STRING = 10,
    ONNX_GRAPH_INPUT = 11,
    ONNX_GRAPH_OUTPUT = 12,
    ONNX_GRAPH_VALUE_INFO = 13,
    ONNX_GRAPH_QUANTIZATION_ANNOTATION = 14,
    ONNX_GRAPH_SPARSE_INITIALIZER = 15,
    ONNX_GRAPH_METADATA_PROPS = 16
};
/* NodeProto */
enum {
    ONNX_NODE_INPUT = 1,
    ONNX_NODE_OUTPUT = 2,
    ONNX_NODE_NAME = 3,
    ONNX_NODE_OP_TYPE = 4,
    ONNX_NODE_ATTRIBUTE = 5,
    ONNX_NODE_DOC_STRING = 6,
    ONNX_NODE_DOMAIN = 7,
    ONNX_NODE_OVERLOAD = 8,
    ONNX_NODE_METADATA_PROPS = 9,
    ONNX_NODE_DEVICE_CONFIGURATIONS = 10
};
/* AttributeProto */
enum {
    ONNX_ATTR_NAME = 1,
    ONNX_ATTR_F = 2,
    ONNX_ATTR_I = 3,
    ONNX_ATTR_S = 4,
    ONNX_ATTR_T = 5,
    ONNX_ATTR_G = 6,
    ONNX_ATTR_FLOATS = 7,
    ONNX_ATTR_INTS = 8,
    ONNX_ATTR_STRINGS = 9,
    ONNX_ATTR_TENSORS = 10,
    ONNX_ATTR_GRAPHS = 11,
    ONNX_ATTR_DOC_STRING = 13,
    ONNX_ATTR_TP = 14,
    ONNX_ATTR_TYPE_PROTOS = 15,
    ONNX_ATTR_TYPE = 20,
    ONNX_ATTR_REF_ATTR_NAME = 21,
    ONNX_ATTR_SPARSE_TENSOR = 22,
    ONNX_ATTR_SPARSE_TENSORS = 23
};
/* TensorProto */
enum {
    ONNX_TENSOR_DIMS = 1,
    ONNX_TENSOR_DATA_TYPE = 2,
    ONNX_TENSOR_SEGMENT = 3,
    ONNX_TENSOR_FLOAT_DATA = 4,
    ONNX_TENSOR_INT32_DATA = 5,
    ONNX_TENSOR_STRING_DATA = 6,
    ONNX_TENSOR_INT64_DATA = 7,
    ONNX_TENSOR_NAME = 8,
    ONNX_TENSOR_RAW_DATA = 9,
    ONNX_TENSOR_DOUBLE_DATA = 10,
    ONNX_TENSOR_UINT64_DATA = 11,
    ONNX_TENSOR_DOC_STRING = 12,
    ONNX_TENSOR_EXTERNAL_DATA = 13,
    ONNX_TENSOR_DATA_LOCATION = 14,
    ONNX_TENSOR_METADATA_PROPS = 16
};
/* TensorProto.DataLocation */
enum { ONNX_LOCATION_DEFAULT = 0, ONNX_LOCATION_EXTERNAL = 1 };
/* SparseTensorProto */
enum { ONNX_SPARSE_VALUES = 1, ONNX_SPARSE_INDICES = 2, ONNX_SPARSE_DIMS = 3 };
/* ValueInfoProto */
enum {
    ONNX_VALUE_INFO_NAME = 1,
    ONNX_VALUE_INFO_TYPE = 2,
    ONNX_VALUE_INFO_DOC_STRING = 3,
    ONNX_VALUE_INFO_METADATA_PROPS = 4
};
/* TypeProto, TypeProto.Tensor, TensorShapeProto, TensorShapeProto.Dimension */
enum { ONNX_TYPE_TENSOR = 1 };
enum { ONNX_TYPE_TENSOR_ELEM_TYPE = 1, ONNX_TYPE_TENSOR_SHAPE = 2 };
enum { ONNX_SHAPE_DIM = 1 };
enum { ONNX_DIM_VALUE = 1, ONNX_DIM_PARAM = 2 };
/* FunctionProto */
enum {
    ONNX_FUNCTION_NAME = 1,
    ONNX_FUNCTION_INPUT = 4,
    ONNX_FUNCTION_OUTPUT = 5,
    ONNX_FUNCTION_ATTRIBUTE = 6,
    ONNX_FUNCTION_NODE = 7,
    ONNX_FUNCTION_DOC_STRING = 8,
    ONNX_FUNCTION_OPSET_IMPORT = 9,
    ONNX_FUNCTION_DOMAIN = 10,
    ONNX_FUNCTION_ATTRIBUTE_PROTO = 11,
    ONNX_FUNCTION_VALUE_INFO = 12,
    ONNX_FUNCTION_OVERLOAD = 13,
    ONNX_FUNCTION_METADATA_PROPS = 14
};

/* ---- the table ---- */

typedef enum vecq_schema_type {
    VECQ_SCHEMA_NONE = 0, /* not a message */
    VECQ_SCHEMA_MODEL,
    VECQ_SCHEMA_GRAPH,
    VECQ_SCHEMA_NODE,
    VECQ_SCHEMA_ATTRIBUTE,
    VECQ_SCHEMA_TENSOR,
    VECQ_SCHEMA_SEGMENT,
    VECQ_SCHEMA_SPARSE_TENSOR,
    VECQ_SCHEMA_VALUE_INFO,
    VECQ_SCHEMA_TYPE,
    VECQ_SCHEMA_TYPE_TENSOR,   /* TypeProto.Tensor and TypeProto.SparseTensor have the same fields */
    VECQ_SCHEMA_TYPE_SEQUENCE, /* TypeProto.Sequence and TypeProto.Optional */
    VECQ_SCHEMA_TYPE_MAP,
    VECQ_SCHEMA_TYPE_OPAQUE,
    VECQ_SCHEMA_SHAPE,
    VECQ_SCHEMA_DIMENSION,
    VECQ_SCHEMA_FUNCTION,
    VECQ_SCHEMA_OPSET,
    VECQ_SCHEMA_ENTRY,
    VECQ_SCHEMA_ANNOTATION,
    VECQ_SCHEMA_TRAINING,
    VECQ_SCHEMA_DEVICE,
    VECQ_SCHEMA_NODE_DEVICE,
    VECQ_SCHEMA_SHARDING,
    VECQ_SCHEMA_SHARDED_DIM,
    VECQ_SCHEMA_SIMPLE_SHARDED_DIM,
    VECQ_SCHEMA_INT_LIST_ENTRY,
    VECQ_SCHEMA_TYPES
} vecq_schema_type;

typedef enum vecq_schema_kind {
    VECQ_SCHEMA_UNKNOWN = 0, /* no such field */
    VECQ_SCHEMA_INT,         /* varint */
    VECQ_SCHEMA_FLOAT,
    VECQ_SCHEMA_DOUBLE,
    VECQ_SCHEMA_BYTES,  /* data, or text that names nothing */
    VECQ_SCHEMA_STRING, /* an identifier: must not hold a NUL byte */
    VECQ_SCHEMA_MESSAGE
} vecq_schema_kind;

typedef struct vecq_schema_row {
    const char *name; /* as in onnx.proto */
    vecq_schema_kind kind;
    int is_repeated;
    vecq_schema_type type; /* of a VECQ_SCHEMA_MESSAGE */
    int is_bulk;           /* may have millions of entries in a sound model; never opened as a tree */
} vecq_schema_row;

/* Row of a field; one of kind VECQ_SCHEMA_UNKNOWN when the type has no field of that number. Never NULL. */
const vecq_schema_row *vecq_schema_find(vecq_schema_type type, uint32_t number);

#endif
