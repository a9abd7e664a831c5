/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded random samples, for simulations and tests. */
#ifndef VECQ_RANDOM_H
#define VECQ_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Densities with mean 0, scaled to variance 1 (Student only where it has a variance, above 2 degrees of
 * freedom). */
typedef enum vecq_random_kind {
    VECQ_RANDOM_GAUSSIAN = 0,
    VECQ_RANDOM_LAPLACE,
    VECQ_RANDOM_STUDENT
} vecq_random_kind;

#define VECQ_RANDOM_DOF_MIN 0.5 /* below, samples leave the range of float too often */

/*
 * Fills out[n]. Same arguments, same samples (on one C library: logarithm and cosine are its own). `dof` is
 * the degrees of freedom of VECQ_RANDOM_STUDENT, at least VECQ_RANDOM_DOF_MIN; ignored for the others.
 * VECQ_ERR_USAGE for an unknown kind or a dof out of range.
 */
VECQ_API vecq_status vecq_random_fill(vecq_random_kind kind, double dof, uint64_t seed, size_t n, float *out);

#ifdef __cplusplus
}
#endif
#endif
