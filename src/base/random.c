/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq/random.h"

#include <float.h>
#include <math.h>

#include "base/rng.h"

static double random_draw(vecq_rng *rng, vecq_random_kind kind, double dof)
{
    switch (kind) {
    case VECQ_RANDOM_LAPLACE:
        return vecq_rng_laplace(rng) * 0.70710678118654752440; /* its variance is 2 */
    case VECQ_RANDOM_STUDENT:
        return vecq_rng_student(rng, dof) * (dof > 2 ? sqrt((dof - 2) / dof) : 1);
    default:
        return vecq_rng_gaussian(rng);
    }
}

vecq_status vecq_random_fill(vecq_random_kind kind, double dof, uint64_t seed, size_t n, float *out)
{
    vecq_rng rng;
    size_t i;

    if (kind != VECQ_RANDOM_GAUSSIAN && kind != VECQ_RANDOM_LAPLACE && kind != VECQ_RANDOM_STUDENT)
        return VECQ_ERR_USAGE;
    if (kind == VECQ_RANDOM_STUDENT && !(dof >= VECQ_RANDOM_DOF_MIN && dof <= DBL_MAX))
        return VECQ_ERR_USAGE;
    if (out == NULL && n > 0)
        return VECQ_ERR_USAGE;
    vecq_rng_seed(&rng, seed);
    for (i = 0; i < n; i++) {
        double x;

        do /* a heavy tail can pass the range of float; NaN (0 * infinity) fails the comparison too */
            x = random_draw(&rng, kind, dof);
        while (!(fabs(x) <= (double)FLT_MAX));
        out[i] = (float)x;
    }
    return VECQ_OK;
}
