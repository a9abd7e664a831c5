/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing a document through its graph: dropping what became dead, replacing tensors, adding initializers
 * and nodes. Drops and replacements come first; vecq_edit_finish() then makes all insertions at once.
 */
#ifndef VECQ_ONNX_EDIT_H
#define VECQ_ONNX_EDIT_H

#include "onnx/document.h"

/* What the written file must say about a tensor, checked when it is read back. */
typedef struct vecq_expectation {
    const char *name;
    size_t graph; /* index of the graph that defines it; edits keep the order of graphs */
    vecq_dtype dtype;
    size_t count;
    uint64_t fingerprint;
} vecq_expectation;

#define VECQ_EDIT_INDEX_MAX ((size_t)INT32_MAX) /* what vecq_weight_group() takes for one of ours */

typedef struct vecq_edit {
    vecq_document *doc;
    vecq_error *err;
    struct vecq_addition *additions; /* pending insertions */
    size_t n_additions, capacity;
    vecq_expectation *expectations;
    size_t n_expectations, expectations_capacity;
    size_t first_index; /* smallest i such that no name of the model begins with "vecq<i or more>", names with
                           numbers above VECQ_EDIT_INDEX_MAX aside */
    vecq_map names;     /* of all values outside functions: how often (a count in the pointer) */
} vecq_edit;

vecq_status vecq_edit_begin(vecq_edit *edit, vecq_document *doc, vecq_error *err);
void vecq_edit_clear(vecq_edit *edit);

/* Removes whatever defines the value (initializer and formal input, Constant, computing node) and then all
 * constants that nothing uses any more. `spare` becomes the name of an output that cannot go alone. */
vecq_status vecq_edit_drop_definition(vecq_edit *edit, vecq_value *value, const char *spare);
vecq_status vecq_edit_drop_node(vecq_edit *edit, vecq_node *node);

/* Name under which `value` can be defined in the main graph: its own if that is unique and needed nowhere as
 * an output of a nested graph, else `fresh`, with all uses renamed and outputs bridged by Identity. */
vecq_status vecq_edit_hoist(vecq_edit *edit, vecq_value *value, const char *fresh, const char **name);

/* Replaces the data of the value's own TensorProto (initializer or Constant). */
vecq_status vecq_edit_set_data(vecq_edit *edit, vecq_value *value, vecq_span raw);

/* A constant tensor for scope `root`: initializer of the main graph, Constant node of a function. */
vecq_status vecq_edit_add_tensor(vecq_edit *edit, vecq_graph *root, const char *name, vecq_dtype dtype,
                                 const int64_t *dims, unsigned rank, vecq_span raw);
/* A Constant node at the front of any graph. */
vecq_status vecq_edit_add_constant(vecq_edit *edit, vecq_graph *graph, const char *name, vecq_dtype dtype,
                                   const int64_t *dims, unsigned rank, vecq_span raw);
/* A node at the front of a graph, behind those added before. */
vecq_status vecq_edit_add_node(vecq_edit *edit, vecq_graph *graph, vecq_message *node);

/* A node in front of field `field` of the graph's message as it was when the edit began, behind those added
 * there before. */
vecq_status vecq_edit_add_node_at(vecq_edit *edit, vecq_graph *graph, size_t field, vecq_message *node);
/* Other names for an input or output of a node (borrowed strings). */
vecq_status vecq_edit_set_input(vecq_edit *edit, const vecq_node *node, size_t input, const char *name);
vecq_status vecq_edit_set_output(vecq_edit *edit, const vecq_node *node, size_t output, const char *name);
/* `base`, or with a suffix when the model has that name already; it is taken from then on. In the arena; NULL
 * when memory is out. */
const char *vecq_edit_unique_name(vecq_edit *edit, const char *base);

vecq_status vecq_edit_expect(vecq_edit *edit, const vecq_expectation *expectation);

/* Makes the insertions. The edit is then only good for clearing and its expectations. */
vecq_status vecq_edit_finish(vecq_edit *edit);

/* ---- model level ---- */
vecq_status vecq_edit_import(vecq_edit *edit, vecq_message *message, uint32_t field, const char *domain,
                             int64_t version); /* unless imported */
void vecq_edit_remove_import(vecq_message *message, uint32_t field, const char *domain);
vecq_status vecq_edit_set_metadata(vecq_edit *edit, const char *key, const char *value); /* NULL: remove */
/* Raises the IR version to at least `least`; initializers of models below 4 leave the graph inputs. */
vecq_status vecq_edit_raise_ir(vecq_edit *edit, int64_t least);

#endif
