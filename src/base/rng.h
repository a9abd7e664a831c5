/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeded random numbers: xoshiro256++ seeded by splitmix64. Same seed, same stream of u64, below and uniform
 * everywhere; the others go through libm and may differ in the last bit from one C library to the next.
 */
#ifndef VECQ_BASE_RNG_H
#define VECQ_BASE_RNG_H

#include <stdint.h>

typedef struct vecq_rng {
    uint64_t s[4];
} vecq_rng;

void vecq_rng_seed(vecq_rng *rng, uint64_t seed);
uint64_t vecq_rng_u64(vecq_rng *rng);
uint64_t vecq_rng_below(vecq_rng *rng, uint64_t n); /* uniform in [0, n), n > 0, without bias */
double vecq_rng_uniform(vecq_rng *rng);             /* odd multiple of 2^-53 in (0, 1): never 0 or 1 */
double vecq_rng_gaussian(vecq_rng *rng);            /* N(0, 1), Box-Muller */
double vecq_rng_laplace(vecq_rng *rng);             /* density exp(-|x|)/2: variance 2 */
double vecq_rng_gamma(vecq_rng *rng, double shape); /* shape > 0, scale 1, Marsaglia-Tsang */
double vecq_rng_student(vecq_rng *rng, double dof); /* dof > 0 */

#endif
