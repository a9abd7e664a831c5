/* SPDX-License-Identifier: Apache-2.0 */
/* The loops, for each file to compile with its own flags (the compiler makes vectors of them). Blocks keep
 * what an element needs between its functions in the first cache. Everything is static. */
#ifndef VECQ_KERNELS_GATES_BODY_H
#define VECQ_KERNELS_GATES_BODY_H

#include "kernels/gates/gates.h"
#include "kernels/gates/gates_math.h"

#define GATES_BLOCK 64u

static void gates_sigmoid(float *x, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        x[i] = vecq_gates_sigmoid(x[i]);
}

static void gates_tanh(const float *restrict x, size_t n, float *restrict y)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] = vecq_gates_tanh(x[i]);
}

static void gates_multiply(const float *a, const float *b, size_t n, float *y)
{
    size_t i;

    for (i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

static void gates_lstm(const float *gates, size_t n, const float *c_old, float *c, float *h)
{
    float part[4][GATES_BLOCK], t[GATES_BLOCK];
    size_t at, m, i, k;

    for (at = 0; at < n; at += m) {
        m = n - at < GATES_BLOCK ? n - at : GATES_BLOCK;
        for (k = 0; k < 4; k++)
            memcpy(part[k], gates + k * n + at, m * sizeof *gates);
        for (k = 0; k < 3; k++)
            gates_sigmoid(part[k], m);
        gates_tanh(part[3], m, t);
        if (c_old == NULL)
            gates_multiply(part[0], t, m, c + at);
        else
            for (i = 0; i < m; i++)
                c[at + i] = part[2][i] * c_old[at + i] + part[0][i] * t[i];
        gates_tanh(c + at, m, t);
        gates_multiply(part[1], t, m, h + at);
    }
}

static void gates_gru(const float *z, const float *r, const float *a, const float *q, size_t n,
                      const float *h_old, float *h)
{
    float sum[GATES_BLOCK], t[GATES_BLOCK];
    size_t at, m, i;

    for (at = 0; at < n; at += m) {
        m = n - at < GATES_BLOCK ? n - at : GATES_BLOCK;
        for (i = 0; i < m; i++)
            sum[i] = q != NULL ? a[at + i] + r[at + i] * q[at + i] : a[at + i];
        gates_tanh(sum, m, t);
        for (i = 0; i < m; i++)
            t[i] = (1.0f - z[at + i]) * t[i];
        if (h_old == NULL)
            memcpy(h + at, t, m * sizeof *h);
        else
            for (i = 0; i < m; i++)
                h[at + i] = t[i] + z[at + i] * h_old[at + i];
    }
}

#define GATES_TABLE(isa)                                                                                     \
    extern const vecq_gates_kernels vecq_gates_kernels_##isa;                                                \
    const vecq_gates_kernels vecq_gates_kernels_##isa = {#isa, gates_lstm, gates_sigmoid, gates_gru,         \
                                                         gates_multiply};

#endif
