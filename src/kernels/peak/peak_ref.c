/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/peak/peak.h"

extern const vecq_peak_kernels vecq_peak_kernels_ref;

#define LANES 32

static float fma_ref(size_t n)
{
    float a[LANES], sum = 0;
    size_t i, k;

    for (k = 0; k < LANES; k++)
        a[k] = (float)k;
    for (i = 0; i < n; i++)
        for (k = 0; k < LANES; k++)
            a[k] = a[k] * 0.5f + 1.0f;
    for (k = 0; k < LANES; k++)
        sum += a[k];
    return sum;
}

static int32_t dot_ref(size_t n)
{
    uint32_t a[LANES];
    int32_t sum = 0;
    size_t i, k;

    for (k = 0; k < LANES; k++)
        a[k] = (uint32_t)k;
    for (i = 0; i < n; i++)
        for (k = 0; k < LANES; k++)
            a[k] = a[k] * 3u + 1u;
    for (k = 0; k < LANES; k++)
        sum ^= (int32_t)a[k];
    return sum;
}

static uint64_t read_ref(const void *memory, size_t n_bytes)
{
    const uint64_t *p = memory;
    uint64_t a[8] = {0}, sum = 0;
    size_t i, k;

    for (i = 0; i < n_bytes / 8; i += 8)
        for (k = 0; k < 8; k++)
            a[k] ^= p[i + k];
    for (k = 0; k < 8; k++)
        sum ^= a[k];
    return sum;
}

const vecq_peak_kernels vecq_peak_kernels_ref = {LANES, LANES, fma_ref, dot_ref, read_ref};
