/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which constants are weights, and how each becomes a matrix of rows (output channels) x columns.
 *
 * One row per weight operand in weight_ops.def: operator, input, role, layout rule.
 */
#ifndef VECQ_GRAPH_WEIGHTS_H
#define VECQ_GRAPH_WEIGHTS_H

#include "graph/graph.h"

/*
 * Matrix view of a tensor W: Reshape to `split`, Transpose by `perm`, read as rows x cols. A slice per
 * channel is one row. When the transpose is the identity the matrix is W itself in row-major order.
 */
typedef struct vecq_layout {
    unsigned rank; /* of split */
    int64_t split[VECQ_MAX_RANK];
    unsigned perm[VECQ_MAX_RANK];
    size_t rows, cols;
    int is_reshaped; /* split differs from the tensor's shape */
    int is_transposed;
    int axis;      /* the one axis of W that the rows are, or -1 */
    int is_single; /* a bias: one slice whatever the granularity */
} vecq_layout;

struct vecq_weight_rule;

typedef struct vecq_weight_site {
    vecq_value *target; /* the tensor to quantize: an initializer, a Constant, or a computed constant */
    vecq_use use;       /* first operator that takes it as a weight */
    const struct vecq_weight_rule *rule;
    const char *role; /* "weight", "bias", "recurrent weight", "embedding" */
    int is_bias;
    vecq_node *chain[8]; /* Transpose nodes between the target and the operator, nearest the target first */
    size_t n_chain;
    int is_computed;    /* must be folded: dtype, shape and layout are unknown until then */
    int is_packed;      /* already decoded from a packed form; reason says so */
    vecq_layout layout; /* valid when reason is NULL and !is_computed */
    const char *reason; /* why it cannot be quantized (in the ir's arena or static), or NULL */
} vecq_weight_site;

typedef struct vecq_weight_list {
    vecq_weight_site *sites; /* in document order of the first use; one per target */
    size_t n, capacity;
} vecq_weight_list;

/* i for a node that this program wrote for weight i: its name is "vecq<i>" or begins with "vecq<i>_"; else
 * -1. */
int64_t vecq_weight_group(const vecq_node *node);
/* Non-zero for the call of a decode function, whatever its name: a node whose result the document layer
 * bound. */
int vecq_weight_is_call(const vecq_node *node);
/* Non-zero for the result of such a group (made in it and used outside, or nowhere, or an output), and of a
 * call that belongs to no group. */
int vecq_weight_is_decoded(const vecq_value *value);

/* Finds every weight operand that is constant. Release with vecq_weights_clear(). */
vecq_status vecq_weights_find(vecq_ir *ir, vecq_weight_list *out, vecq_error *err);
void vecq_weights_clear(vecq_weight_list *list);

/* Layout of a site for a tensor of this shape; returns NULL, or why there is none. Static text. */
const char *vecq_weight_layout(const vecq_weight_site *site, unsigned rank, const int64_t *dims,
                               vecq_layout *out);

/* src (row-major W) into matrix order and back; `size` bytes an element. */
void vecq_layout_to_matrix(const vecq_layout *layout, size_t size, const void *src, void *dst);
void vecq_layout_from_matrix(const vecq_layout *layout, size_t size, const void *src, void *dst);
/* Shape of the matrix order before the inverse transpose: split permuted. */
void vecq_layout_permuted(const vecq_layout *layout, int64_t *dims);
void vecq_layout_inverse(const vecq_layout *layout, unsigned *perm);

#endif
