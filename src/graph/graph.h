/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph: nodes, values, attributes with ONNX semantics, nested through control-flow attributes.
 *
 * It is built from a document (an ONNX file) that stays the owner of the bytes; `origin` pointers lead back
 * to the part of the document an object came from, for the writer. Everything here lives in the arena of the
 * vecq_ir and dies with it. Names are NUL-terminated and non-empty; an omitted optional input is NULL.
 *
 * Model-local functions are graphs too (kind VECQ_GRAPH_FUNCTION) that no node owns; their formal inputs are
 * never constant.
 */
#ifndef VECQ_GRAPH_GRAPH_H
#define VECQ_GRAPH_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/span.h"
#include "tensor/tensor.h"

typedef struct vecq_ir vecq_ir;
typedef struct vecq_graph vecq_graph;
typedef struct vecq_node vecq_node;
typedef struct vecq_value vecq_value;

/*
 * A constant tensor that still lies in the document: an initializer or the tensor of an attribute. The bytes
 * are fetched by read(), which the document layer supplies.
 */
typedef struct vecq_const {
    vecq_dtype dtype;
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];
    size_t count;       /* elements; shape and storage were checked against each other when it was loaded */
    uint64_t n_stored;  /* bytes it takes in the document (raw or typed encoding, external data included) */
    int is_external;    /* the bytes lie in another file */
    int is_opaque;      /* sparse, strings, segmented, rank too high: known by name only; cannot be read */
    int is_given;       /* training gave it other values */
    const void *origin; /* document object; NULL: given values of what nodes compute */
    const struct vecq_packed *packed; /* decode of a packed weight (graph/packed_weight.h); NULL for all others */
    const void
        *bytes; /* dense data where they lie in the document, aligned to an element; NULL: read() only */
    /* dense little-endian copy into dst[vecq_dtype_bytes(dtype, count)] */
    vecq_status (*read)(const struct vecq_const *constant, void *dst, vecq_error *err);
    /* the values as float where they are known better than dtype can hold them; NULL: read() converted */
    vecq_status (*read_f32)(const struct vecq_const *constant, float *dst, vecq_error *err);
} vecq_const;

vecq_status vecq_const_read(const vecq_const *constant, void *dst, vecq_error *err);
/* Values as float (weight dtypes only). Needs a dense copy beside dst when a conversion is needed. */
vecq_status vecq_const_read_f32(const vecq_const *constant, float *dst, vecq_error *err);
/* A fresh dense tensor. */
vecq_status vecq_const_load(const vecq_const *constant, vecq_tensor *out, vecq_error *err);

/* Numbers of ONNX AttributeProto.AttributeType. */
typedef enum vecq_attr_type {
    VECQ_ATTR_UNDEFINED = 0,
    VECQ_ATTR_FLOAT = 1,
    VECQ_ATTR_INT = 2,
    VECQ_ATTR_STRING = 3,
    VECQ_ATTR_TENSOR = 4,
    VECQ_ATTR_GRAPH = 5,
    VECQ_ATTR_FLOATS = 6,
    VECQ_ATTR_INTS = 7,
    VECQ_ATTR_STRINGS = 8,
    VECQ_ATTR_TENSORS = 9,
    VECQ_ATTR_GRAPHS = 10,
    VECQ_ATTR_OTHER = 100 /* sparse tensors, type protos: kept in the document, not read */
} vecq_attr_type;

typedef struct vecq_attr {
    const char *name;
    vecq_attr_type type;
    const char
        *reference; /* ref_attr_name: the value comes from the calling node (functions only); or NULL */
    float f;
    int64_t i;
    vecq_span s; /* not NUL-terminated */
    size_t n;    /* elements of floats, ints, strings, graphs */
    const float *floats;
    const int64_t *ints;
    const vecq_span *strings; /* not NUL-terminated */
    vecq_const *tensor;
    vecq_graph **graphs; /* VECQ_ATTR_GRAPH: one */
} vecq_attr;

struct vecq_node {
    vecq_graph *graph;
    const char *op_type;
    const char *domain;  /* "" is the default domain; "ai.onnx" is folded into it */
    const char *name;    /* may be "" */
    vecq_value **inputs; /* NULL entries: omitted */
    size_t n_inputs;
    vecq_value **outputs; /* NULL entries: omitted */
    size_t n_outputs;
    vecq_attr *attrs;
    size_t n_attrs;
    int64_t version; /* opset version of its domain in scope; 0 when the domain is not imported */
    size_t index;    /* place in graph->nodes */
    void *origin;
    int is_dead; /* removed by a pass */
};

typedef struct vecq_use {
    vecq_node *node;
    size_t input; /* index in node->inputs */
} vecq_use;

struct vecq_value {
    vecq_graph *graph; /* scope that defines it */
    const char *name;
    vecq_node *producer;  /* NULL for graph inputs and initializers */
    size_t output;        /* index in producer->outputs */
    vecq_const *constant; /* initializer, tensor of the Constant node that makes it, or decode of a packed
                             weight that the document layer bound; else NULL */
    vecq_use *uses;       /* in document order, uses from nested graphs included */
    size_t n_uses, uses_capacity; /* uses is from vecq_alloc, released with the ir */
    size_t n_live_uses;           /* by nodes that are not dead: kept by passes that remove nodes */
    int is_graph_input;           /* formal input; an initializer with a default is both */
    int is_graph_output;
    int is_constant; /* known before run time: initializer, Constant, or computed from such by
                        deterministic default-domain nodes without subgraphs */
    void *origin;    /* document object of an initializer */
    void *mark;      /* for the pass at work; NULL at rest */
    /* What the model declares for inputs and outputs of its graphs (tensors only). */
    int is_typed; /* dtype and shape are declared; rank and dims are 0 otherwise */
    vecq_dtype dtype;
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK]; /* -1: symbolic or unknown */
    const char **symbols;        /* [rank], names of symbolic dimensions, NULL entries; NULL: none has one */
};

typedef enum vecq_graph_kind { VECQ_GRAPH_MAIN, VECQ_GRAPH_NESTED, VECQ_GRAPH_FUNCTION } vecq_graph_kind;

struct vecq_graph {
    vecq_ir *ir;
    vecq_graph_kind kind;
    vecq_graph *parent; /* enclosing scope of a nested graph */
    vecq_node *owner;   /* node whose attribute holds a nested graph */
    const char *name;   /* functions: "domain:name" */
    size_t index;       /* place in ir->graphs */
    int64_t opset;      /* version of the default domain in scope, 0 when not imported */
    vecq_node **nodes;
    size_t n_nodes;
    vecq_value **inputs;
    size_t n_inputs;
    vecq_value **outputs;
    size_t n_outputs;
    vecq_value *
        *values; /* all values this scope defines: inputs, initializers, node outputs; in that order */
    size_t n_values;
    vecq_map by_name; /* of `values` */
    void *origin;
};

struct vecq_ir {
    vecq_arena arena;
    int64_t ir_version;
    vecq_graph *main;
    vecq_graph **graphs; /* every graph: main, nested ones (parents first, document order), then functions */
    size_t n_graphs;
    const char *source; /* file name, for messages */
    uint64_t n_source;  /* bytes of the file and of its tensors in other files: what folding is measured by */
};

/* Releases everything; the ir itself belongs to the caller. */
void vecq_ir_clear(vecq_ir *ir);

/* Value by name as seen from inside `graph`: its own scope, then the enclosing ones. NULL when unknown. */
vecq_value *vecq_graph_lookup(const vecq_graph *graph, const char *name);

/* Attribute of a node, or NULL. */
const vecq_attr *vecq_node_attr(const vecq_node *node, const char *name);
/* Its value, or the default when absent or of another type. */
int64_t vecq_node_attr_int(const vecq_node *node, const char *name, int64_t missing);
float vecq_node_attr_float(const vecq_node *node, const char *name, float missing);

/* Outermost scope of a graph: the main graph or a function. */
vecq_graph *vecq_graph_root(vecq_graph *graph);

/* What to call a node in messages and globs: its name, or else its first output's; "" when it has neither. */
const char *vecq_node_label(const vecq_node *node);

/* Non-zero for a node of the default domain with this op_type. */
int vecq_node_is(const vecq_node *node, const char *op_type);

#endif
