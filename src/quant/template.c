/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orientation loss of the half-odd grid on N(0,1), h = 2^(k-1), phi the density, Q its upper tail:
 *
 *     A(l) = E[t v] = phi(0) + 2 sum_{j=1}^{h-1} phi(j l)        A' = -2 l P
 *     B(l) = E[v^2] = 1/4 + 4 sum_{j=1}^{h-1} j Q(j l)           B' = -4 P,   P = sum j^2 phi(j l)
 *     J_o = 1 - A / sqrt(B)
 *
 * d(A^2/B)/dl = 4 A P (A - l B) / B^2, so the minimum of J_o is the root of F(l) = A - l B: where the least
 * squares scale A/B equals the step. F is steep at the root while J_o is flat (a minimum found by its value
 * knows half the digits). F = A - l B cancels more the finer the grid (A is about 1/l), hence long double and
 * compensated sums. lambda is rounded to 36 bits, so that the last digits of a C library do not reach the
 * codes.
 */
#include "vecq/quant.h"

#include <math.h>
#include <string.h>

#define TEMPLATE_PHI0    0.398942280401432677939946059934381868L
#define TEMPLATE_SQRT1_2 0.707106781186547524400844362104849039L
#define TEMPLATE_PI      3.14159265358979323846
#define TEMPLATE_FAR     40.0L /* phi(40) is below 1e-347 */

typedef struct template_sum {
    long double sum, rest;
} template_sum;

typedef struct template_moments {
    long double a, b, p;
} template_moments;

/* Neumaier's compensated addition, terms >= 0. */
static void template_add(template_sum *s, long double term)
{
    long double t = s->sum + term;

    s->rest += s->sum >= term ? (s->sum - t) + term : (term - t) + s->sum;
    s->sum = t;
}

static template_moments template_moments_of(unsigned bits, long double lambda)
{
    template_sum a = {0.0L, 0.0L}, b = {0.0L, 0.0L}, p = {0.0L, 0.0L};
    template_moments m;
    unsigned h = 1u << (bits - 1), j;

    for (j = 1; j < h; j++) {
        long double x = (long double)j * lambda, phi;

        if (x > TEMPLATE_FAR)
            break;
        phi = TEMPLATE_PHI0 * expl(-0.5L * x * x);
        template_add(&a, phi);
        template_add(&b, (long double)j * 0.5L * erfcl(x * TEMPLATE_SQRT1_2));
        template_add(&p, (long double)j * (long double)j * phi);
    }
    m.a = TEMPLATE_PHI0 + 2.0L * (a.sum + a.rest);
    m.b = 0.25L + 4.0L * (b.sum + b.rest);
    m.p = p.sum + p.rest;
    return m;
}

/* 1 - A/sqrt(B) as (1 - A^2/B) / (1 + A/sqrt(B)), with the numerator over B: one cancellation, not two. */
static double template_loss(const template_moments *m)
{
    long double cosine = m->a / sqrtl(m->b), loss = (m->b - m->a * m->a) / m->b / (1.0L + cosine);

    return loss > 0.0L ? (double)loss : 0.0;
}

/* Root of F by Newton's method, F' = 2 l P - B, kept inside a bracket by bisection: F > 0 left of the root.
 * The optimum lies at 2^k lambda = 4 (k = 2) to 13 (k = 16). */
static double template_root(unsigned bits)
{
    long double low = ldexpl(1.0L, -(int)bits), high = ldexpl(32.0L, -(int)bits);
    long double l = ldexpl(2.7L + 0.6L * (long double)bits, -(int)bits);
    int step, exponent;
    double mantissa;

    for (step = 0; step < 200; step++) {
        template_moments m = template_moments_of(bits, l);
        long double f = m.a - l * m.b, next;

        if (f > 0.0L)
            low = l;
        else
            high = l;
        next = l - f / (2.0L * l * m.p - m.b);
        if (fabsl(next - l) <= 1e-12L * l)
            break;
        l = next > low && next < high ? next : 0.5L * (low + high);
    }
    mantissa = frexp((double)l, &exponent);
    return ldexp(rint(ldexp(mantissa, 36)), exponent - 36);
}

/* Solved once for each width. Whoever comes first writes; all would write the same. */
static uint64_t template_known_lambda[VECQ_BITS_MAX + 1], template_known_loss[VECQ_BITS_MAX + 1];

static void template_keep(uint64_t *to, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    __atomic_store_n(to, bits, __ATOMIC_RELEASE);
}

static double template_kept(const uint64_t *from)
{
    uint64_t bits = __atomic_load_n(from, __ATOMIC_ACQUIRE);
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

vecq_status vecq_template_solve(unsigned bits, vecq_template *out)
{
    template_moments m;

    if (out == NULL || bits < 1 || bits > VECQ_BITS_MAX)
        return VECQ_ERR_USAGE;
    out->bits = bits;
    out->lambda = template_kept(&template_known_lambda[bits]);
    if (out->lambda == 0.0) {
        out->lambda = bits == 1 ? 1.0 : template_root(bits);
        m = template_moments_of(bits, out->lambda);
        template_keep(&template_known_loss[bits],
                      template_loss(&m)); /* before lambda, which says it is there */
        template_keep(&template_known_lambda[bits], out->lambda);
    }
    out->orientation = template_kept(&template_known_loss[bits]);
    out->angle = 2.0 * asin(sqrt(0.5 * out->orientation)) * (180.0 / TEMPLATE_PI);
    out->mse = out->orientation * (2.0 - out->orientation);
    return VECQ_OK;
}

double vecq_template_orientation(unsigned bits, double lambda)
{
    template_moments m;

    if (bits < 1 || bits > VECQ_BITS_MAX || !(lambda > 0.0))
        return (double)NAN;
    m = template_moments_of(bits, lambda);
    return template_loss(&m);
}

/* Table of the paper's section 3.3, four decimals as printed there. */
double vecq_lambda_table(unsigned bits)
{
    static const double table[] = {0.0, 1.0, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308};

    if (bits < 1 || bits > VECQ_BITS_MAX)
        return (double)NAN;
    return bits <= 8 ? table[bits] : ldexp(6.0, -(int)bits);
}
