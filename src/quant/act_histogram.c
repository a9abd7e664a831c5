/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/act_histogram.h"

#include <math.h>
#include <string.h>

#define CHUNK        1024 /* values between two looks at the largest magnitude */
#define EXPONENT_MIN (-120)
#define STEPS_OCTAVE 16 /* coarse search */
#define OCTAVES      8
#define STEPS_FINE   16 /* between the neighbours of the best coarse step */

/* ---- counting ---- */

/* Pairs, fours, ... of bins become one: bin i of width u lies in bin i >> shift of width u * 2^shift. */
static void widen(vecq_act_histogram *h, unsigned shift)
{
    size_t s, i;

    for (s = 0; s < 2; s++)
        for (i = 1; i < VECQ_ACT_BINS; i++) {
            double count = h->counts[s][i];

            h->counts[s][i] = 0;
            h->counts[s][shift < 31 ? i >> shift : 0] += count;
        }
}

/* Makes room for a magnitude. */
static void reach(vecq_act_histogram *h, double largest)
{
    int exponent, old;

    if (!(largest > 0) || largest < h->unit * VECQ_ACT_BINS)
        return;
    frexp(largest, &exponent); /* largest < 2^exponent */
    exponent = exponent < EXPONENT_MIN ? EXPONENT_MIN : exponent;
    if (h->unit > 0) {
        frexp(h->unit * VECQ_ACT_BINS, &old); /* a power of two: one more than its exponent */
        widen(h, (unsigned)(exponent - (old - 1)));
    }
    h->unit = ldexp(1.0 / VECQ_ACT_BINS, exponent);
}

static void add_chunk(vecq_act_histogram *h, const float *x, size_t n)
{
    float low = 0, high = 0;
    double inverse;
    size_t i, n_bad = 0, n_zero = 0;

    for (i = 0; i < n; i++) {
        int is_bad = !(fabsf(x[i]) <= 0x1.fffffep127f);

        n_bad += (size_t)is_bad;
        low = !is_bad && x[i] < low ? x[i] : low;
        high = !is_bad && x[i] > high ? x[i] : high;
    }
    h->n += (double)(n - n_bad);
    h->n_bad += (double)n_bad;
    h->min = fmin(h->min, (double)low);
    h->max = fmax(h->max, (double)high);
    reach(h, fmax(-(double)low, (double)high));
    inverse = h->unit > 0 ? 1 / h->unit : 0; /* a power of two: products are exact */
    for (i = 0; i < n; i++) {
        double magnitude = fabs((double)x[i]);

        if (magnitude == 0)
            n_zero++;
        else if (magnitude <= 0x1.fffffep127)
            h->counts[x[i] < 0][(size_t)(magnitude * inverse)]++;
    }
    h->zeros += (double)n_zero;
}

void vecq_act_histogram_add(vecq_act_histogram *h, const float *x, size_t n)
{
    size_t at, part;

    for (at = 0; at < n; at += part) {
        part = n - at < CHUNK ? n - at : CHUNK;
        add_chunk(h, x + at, part);
    }
}

/* ---- reading ---- */

void vecq_act_histogram_moments(const vecq_act_histogram *h, vecq_moments *out)
{
    size_t s, i;

    memset(out, 0, sizeof *out);
    out->finite = !(h->n_bad > 0);
    out->min = (float)h->min;
    out->max = (float)h->max;
    for (s = 0; s < 2; s++)
        for (i = 0; i < VECQ_ACT_BINS; i++) {
            double middle = ((double)i + 0.5) * h->unit, count = h->counts[s][i];

            out->sum += s == 0 ? count * middle : -count * middle;
            out->sum_abs += count * middle;
            out->sum_squares += count * (middle * middle + h->unit * h->unit / 12);
        }
}

/* Of one sign: magnitudes are clipped at limit * scale. A value that is evenly distributed over its bin, of
 * width u, misses what its middle becomes by (middle - that)^2 + u^2 / 12 on the average. */
static double error_of_sign(const double *counts, double unit, double scale, double limit)
{
    double sum = 0;
    size_t i;

    for (i = 0; i < VECQ_ACT_BINS; i++)
        if (counts[i] > 0) {
            double middle = ((double)i + 0.5) * unit, level = rint(middle / scale);
            double miss = middle - scale * (level < limit ? level : limit);

            sum += counts[i] * (miss * miss + unit * unit / 12);
        }
    return sum;
}

double vecq_act_histogram_error(const vecq_act_histogram *h, double scale, double low, double high)
{
    if (!(h->n > 0) || !(h->unit > 0))
        return 0;
    return (error_of_sign(h->counts[0], h->unit, scale, high) +
            error_of_sign(h->counts[1], h->unit, scale, -low)) /
           h->n;
}

double vecq_act_histogram_best(const vecq_act_histogram *h, double low, double high)
{
    double whole = fmax(h->max, -h->min) / high, best = whole, least = INFINITY, middle;
    int i;

    if (!(whole > 0))
        return 0;
    for (i = 0; i <= STEPS_OCTAVE * OCTAVES; i++) {
        double scale = whole * exp2(-(double)i / STEPS_OCTAVE);
        double error = vecq_act_histogram_error(h, scale, low, high);

        if (error < least) {
            least = error;
            best = scale;
        }
    }
    middle = best;
    for (i = 1 - STEPS_FINE; i < STEPS_FINE; i++) {
        double scale = middle * exp2((double)i / (STEPS_OCTAVE * STEPS_FINE));
        double error = scale <= whole ? vecq_act_histogram_error(h, scale, low, high) : INFINITY;

        if (error < least) {
            least = error;
            best = scale;
        }
    }
    return best;
}
