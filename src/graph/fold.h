/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Constant folding: the value of anything that is known before run time.
 *
 * One row per operator in fold_ops.def: name, first version, function. The evaluator is the plain reference
 * for small constant subgraphs that feed weights; it is exact ONNX semantics, not fast.
 */
#ifndef VECQ_GRAPH_FOLD_H
#define VECQ_GRAPH_FOLD_H

#include "graph/graph.h"
#include "tensor/tensor.h"

/*
 * Computes a value with is_constant set. The subgraph behind it is walked without recursion; each node is
 * evaluated once. Fails with VECQ_ERR_UNSUPPORTED, naming the operator, when one of the nodes is not in the
 * table (or in a form the table does not cover), and with VECQ_ERR_FORMAT when a node contradicts its
 * operator's rules. Intermediate tensors above `limit_bytes` are VECQ_ERR_UNSUPPORTED too: a hostile file can
 * ask for Expand to 2^40 elements. So are results held at once above 4 x limit_bytes and more than
 * 256 x limit_bytes read and written in all (a multiplication of MatMul counts as 8 bytes). Constants that
 * lie in the document are not limited. Elements below 8 bits take a byte each until the end; the result is
 * packed.
 */
vecq_status vecq_fold_value(const vecq_value *value, size_t limit_bytes, vecq_tensor *out, vecq_error *err);

/*
 * What a whole pass over a model may spend on folding. A few bytes can ask for any amount of work, and many
 * weights can ask for the same, so both are in proportion to the model: one tensor may take 64 x its bytes,
 * at least 64 MiB; all evaluations together may read and write 1024 x its bytes, at least 256 MiB. (Decoding
 * a one-bit weight by plain nodes makes tensors of 32 x its bytes and takes some 600 x of work.)
 */
typedef struct vecq_fold_budget {
    size_t limit_bytes; /* of one tensor */
    uint64_t work;      /* left */
} vecq_fold_budget;

vecq_fold_budget vecq_fold_budget_of(const vecq_ir *ir);

/* vecq_fold_value() on a budget, which it uses up; every node that is visited counts as 256 bytes. */
vecq_status vecq_fold_spend(const vecq_value *value, vecq_fold_budget *budget, vecq_tensor *out,
                            vecq_error *err);

/* One node on operands of the caller (types of 8 bits and more): out[n_outputs], to be destroyed by the
 * caller; empty where the node names no output, and all empty on failure. */
vecq_status vecq_fold_node(const vecq_node *node, vecq_tensor *const *in, vecq_fold_budget *budget,
                           vecq_tensor *out, vecq_error *err);

/* Non-zero when the operator of the node is in the table. */
int vecq_fold_is_known(const vecq_node *node);
/* Non-zero when every operator behind the value is in the table. */
int vecq_fold_can(const vecq_value *value);

/* Non-zero if an operator of the default domain gives the same output for the same input (not
 * RandomNormal...) and has no subgraph: what makes a value with constant inputs constant. */
int vecq_fold_is_pure(const vecq_node *node);

#endif
