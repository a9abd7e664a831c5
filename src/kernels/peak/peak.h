/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops that do nothing but keep one kind of unit busy: what they reach in a second is the limit that kernels
 * are measured by. Leaves.
 */
#ifndef VECQ_KERNELS_PEAK_H
#define VECQ_KERNELS_PEAK_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/cpu.h"

/* Results depend on all that is computed, so that nothing can be left out; they mean nothing. */
typedef struct vecq_peak_kernels {
    uint64_t fma_macs;        /* float32 multiply-adds of one round */
    uint64_t dot_macs;        /* multiply-adds of bytes into int32, of one round */
    float (*fma)(size_t n);   /* n rounds, in registers */
    int32_t (*dot)(size_t n); /* n rounds, in registers */
    uint64_t (*read)(const void *memory, size_t n_bytes); /* n_bytes: a multiple of 1024; aligned to 64 */
} vecq_peak_kernels;

const vecq_peak_kernels *vecq_peak_kernels_active(void);
const vecq_peak_kernels *vecq_peak_kernels_at(int level); /* NULL: none of this level */

#endif
