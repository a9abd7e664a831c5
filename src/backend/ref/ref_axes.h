/* SPDX-License-Identifier: Apache-2.0 */
/* Linear maps along the axes of a tensor, each a sparse matrix: what resizing and padding come down to, and
 * (with the matrices transposed) their gradients. */
#ifndef VECQ_BACKEND_REF_REF_AXES_H
#define VECQ_BACKEND_REF_REF_AXES_H

#include "backend/ref/ref.h"

/* Row j of the result is the sum of weight[e] * row index[e] of the operand, start[j] <= e < start[j + 1]. */
typedef struct vecq_ref_map {
    size_t n_in, n_out;
    size_t *start, *index; /* NULL: the axis stays as it is */
    double *weight;
} vecq_ref_map;

/* A map of at most n_entries; filled by vecq_ref_map_row() and vecq_ref_map_entry(), row after row. */
vecq_status vecq_ref_map_create(vecq_ref_map *map, size_t n_in, size_t n_out, size_t n_entries,
                                vecq_error *err);
/* Ends row j: its entries are those added since row j - 1. */
void vecq_ref_map_end_row(vecq_ref_map *map, size_t j);
void vecq_ref_map_entry(vecq_ref_map *map, size_t j, size_t index, double weight);
vecq_status vecq_ref_map_transpose(vecq_ref_map *map, vecq_error *err);
void vecq_ref_map_clear(vecq_ref_map *map); /* an empty one is fine */

/* Applies maps[axis] to x, one axis after the other. A row without entries becomes `fill`. */
vecq_status vecq_ref_map_apply(const vecq_ref_call *call, const vecq_ref_map *maps, double fill);

/* The map of one axis of a Resize, Pad or Slice; nothing (start NULL) where the axis stays as it is. */
vecq_status vecq_ref_axis_map(const vecq_op *op, unsigned axis, vecq_ref_map *map, vecq_error *err);

#endif
