/* SPDX-License-Identifier: Apache-2.0 */
/* The vector loss, with what it knows besides. */
#ifndef VECQ_QUANT_LOSS_H
#define VECQ_QUANT_LOSS_H

#include "vecq/quant.h"

/* vecq_loss_measure() without its checks; *energy = |w|^2, summed in the same order. Untouched on failure. */
vecq_status vecq_loss_and_energy(const float *w, const float *q, size_t n, vecq_loss *out, double *energy);

#endif
