/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of two doubles (some 104 bits), for the few comparisons of the step search that double cannot decide.
 * Only + - *, so every IEEE machine gives the same bits; compiled without contraction (CMakeLists.txt). */
#ifndef VECQ_QUANT_SEARCH_DD_H
#define VECQ_QUANT_SEARCH_DD_H

#include <stdint.h>

typedef struct vecq_dd {
    double hi, lo; /* |lo| <= ulp(hi) / 2 */
} vecq_dd;

/* x + y, |x| >= |y| or x = 0: exact. */
static inline vecq_dd vecq_dd_fast(double x, double y)
{
    vecq_dd r = {x + y, 0};

    r.lo = y - (r.hi - x);
    return r;
}

/* x + y exactly (Knuth). */
static inline vecq_dd vecq_dd_sum(double x, double y)
{
    vecq_dd r = {x + y, 0};
    double t = r.hi - x;

    r.lo = (x - (r.hi - t)) + (y - t);
    return r;
}

/* x * y exactly (Dekker), for |x|, |y| < 2^900 and products that are not tiny. */
static inline vecq_dd vecq_dd_product(double x, double y)
{
    const double split = 134217729.0; /* 2^27 + 1 */
    double cx = split * x, cy = split * y;
    double x1 = cx - (cx - x), y1 = cy - (cy - y), x2 = x - x1, y2 = y - y1;
    vecq_dd r = {x * y, 0};

    r.lo = ((x1 * y1 - r.hi) + x1 * y2 + x2 * y1) + x2 * y2;
    return r;
}

static inline vecq_dd vecq_dd_add(vecq_dd x, vecq_dd y)
{
    vecq_dd s = vecq_dd_sum(x.hi, y.hi);

    return vecq_dd_fast(s.hi, s.lo + (x.lo + y.lo));
}

static inline vecq_dd vecq_dd_mul(vecq_dd x, vecq_dd y)
{
    vecq_dd p = vecq_dd_product(x.hi, y.hi);

    return vecq_dd_fast(p.hi, p.lo + (x.hi * y.lo + x.lo * y.hi));
}

static inline vecq_dd vecq_dd_of(uint64_t x)
{
    return vecq_dd_sum((double)(x >> 32) * 4294967296.0, (double)(uint32_t)x);
}

#endif
