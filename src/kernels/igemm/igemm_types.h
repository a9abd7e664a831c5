/* SPDX-License-Identifier: Apache-2.0 */
/* What the driver hands to the tiles of an instruction set. */
#ifndef VECQ_KERNELS_IGEMM_TYPES_H
#define VECQ_KERNELS_IGEMM_TYPES_H

#include <stddef.h>
#include <stdint.h>

#define IGEMM_BODY static inline __attribute__((always_inline))

/* Rows of activations by a panel of weights: acc[row][64] = init[] + the dot products of the element bytes.
 */
typedef struct igemm_tile {
    const uint8_t *x;
    const ptrdiff_t *pixel; /* [rows] where a window begins, from x on */
    const int8_t *w;        /* [K/4][16 vectors][4] */
    const int32_t *init;    /* [16 vectors], or with init_step 64 [rows][64]: sums to go on with */
    size_t init_step;
    int32_t *acc;             /* [rows][64], aligned to 64 bytes */
    uintptr_t ahead;          /* what to fetch from memory meanwhile: ahead_step bytes in each four of K, */
    size_t ahead_step;        /* at most 256; 0: nothing */
    size_t outer, inner, run; /* run: bytes, a multiple of 4 */
    ptrdiff_t outer_step, inner_step;
} igemm_tile;

/* Pixels by the channels of a panel of a depthwise convolution: acc[row][64] = init[] + the dot products; for
 * 8 bits sums[row][64] = sums of the activations. x may be read 64 bytes far whatever the channels. */
typedef struct igemm_depthwise {
    const uint8_t *x;
    const ptrdiff_t *pixel; /* [rows] */
    const ptrdiff_t *taps;  /* [4 quads] from a pixel on */
    const int8_t *w;        /* in the order of igemm_depthwise_order() */
    const int32_t *init;    /* [64] */
    size_t quads, n_taps;
    int32_t *acc, *sums;
} igemm_depthwise;

/* Requantization alone, where nothing else is asked for: clip and inverse scale. */
typedef struct igemm_plain {
    int serves;
    float low, high, inverse; /* low and high: of the quotient */
} igemm_plain;

/* Where the results of a pixel go, in elements. */
typedef struct igemm_place {
    size_t part;
    ptrdiff_t add, y, q;
} igemm_place;

#endif
