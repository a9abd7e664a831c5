/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the lowbit backend.
 *
 * A layout of the planner is a lowbit_layout: a weight that exists only packed has the one of its Decode op,
 * whatever Reshape and Transpose ops have been applied to it since.
 */
#ifndef VECQ_BACKEND_LOWBIT_LOWBIT_PRIVATE_H
#define VECQ_BACKEND_LOWBIT_LOWBIT_PRIVATE_H

#include "backend/lowbit/lowbit.h"

typedef struct vecq_lowbit {
    const vecq_program *program;
    unsigned threads;
    int prefer_memory;
} vecq_lowbit;

/* ---- packed weights (lowbit_weight.c) ---- */

/* The Decode op that a variable comes from by way of Reshape and Transpose ops, or NULL. */
const vecq_op *vecq_lowbit_decode_of(const vecq_var *var);

/* A weight seen as a matrix: element (r, c) is number r * cols + c in the order of the Decode op. */
typedef struct vecq_lowbit_weight {
    const vecq_op *decode;
    const vecq_packed_layout *layout;
    size_t rows, cols;
} vecq_lowbit_weight;

/*
 * Whether `var` is a packed weight whose elements are in the order of its Decode op (`turned` 0), so that
 * rows are its first axis, or in that of the transpose of a matrix of `rows` rows (`turned` 1), so that rows
 * are its last axis.
 */
int vecq_lowbit_matrix(const vecq_var *var, int turned, size_t rows, vecq_lowbit_weight *out);

/* index[i]: number, in the order of the Decode op, of element i of the variable. count of them. */
vecq_status vecq_lowbit_order(const vecq_var *var, uint32_t *index, vecq_error *err);

/* Slice (number of its scale) of element i in the order of the Decode op. */
static inline size_t vecq_lowbit_slice(const vecq_packed_layout *p, size_t i)
{
    if (p->group > 0)
        return i / p->cols * ((p->cols + p->group - 1) / p->group) + i % p->cols / p->group;
    return i / (p->count / p->n_slices);
}

/* All codes of a Decode op, one byte each, in its order. */
void vecq_lowbit_codes(const vecq_op *decode, uint8_t *codes);
/* Its scales. */
const float *vecq_lowbit_scales(const vecq_op *decode);

/* ---- values on demand (lowbit_deliver.c) ---- */

vecq_status vecq_lowbit_deliver(void *engine, vecq_planner *planner, const vecq_var *var,
                                const void *from_layout, const vecq_backend *owner, const void *layout,
                                vecq_slot to, vecq_error *err);

#endif
