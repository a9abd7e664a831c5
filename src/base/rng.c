/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <math.h>

static uint64_t rng_rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void vecq_rng_seed(vecq_rng *rng, uint64_t seed)
{
    int i;

    for (i = 0; i < 4; i++) { /* splitmix64 */
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        rng->s[i] = z ^ (z >> 31);
    }
}

uint64_t vecq_rng_u64(vecq_rng *rng)
{
    uint64_t *s = rng->s, result = rng_rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rng_rotate(s[3], 45);
    return result;
}

uint64_t vecq_rng_below(vecq_rng *rng, uint64_t n)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;

    do
        x = vecq_rng_u64(rng);
    while (x >= limit);
    return x % n;
}

double vecq_rng_uniform(vecq_rng *rng)
{
    return ((double)(vecq_rng_u64(rng) >> 12) + 0.5) * 0x1p-52;
}

double vecq_rng_gaussian(vecq_rng *rng)
{
    double r = sqrt(-2.0 * log(vecq_rng_uniform(rng)));

    return r * cos(6.283185307179586476925 * vecq_rng_uniform(rng));
}

double vecq_rng_laplace(vecq_rng *rng)
{
    double u = vecq_rng_uniform(rng);

    return u < 0.5 ? log(2.0 * u) : -log(2.0 * (1.0 - u));
}

double vecq_rng_gamma(vecq_rng *rng, double shape)
{
    double boost = 1.0, d, c;

    if (shape < 1.0) { /* Gamma(a) = Gamma(a + 1) * U^(1/a) */
        boost = pow(vecq_rng_uniform(rng), 1.0 / shape);
        shape += 1.0;
    }
    d = shape - 1.0 / 3.0;
    c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = vecq_rng_gaussian(rng), v = 1.0 + c * x;
        if (v <= 0.0)
            continue;
        v = v * v * v;
        if (log(vecq_rng_uniform(rng)) < 0.5 * x * x + d - d * v + d * log(v))
            return boost * d * v;
    }
}

double vecq_rng_student(vecq_rng *rng, double dof)
{
    double z = vecq_rng_gaussian(rng);

    return z * sqrt(0.5 * dof / vecq_rng_gamma(rng, 0.5 * dof));
}
