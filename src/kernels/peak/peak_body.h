/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loops on vectors. Define before including: PEAK_F, PEAK_I (types), PEAK_LANES (floats in one), PEAK_N
 * (independent chains: enough for latency times units, few enough for the registers), PEAK_SET_F, PEAK_FMA,
 * PEAK_STORE_F, PEAK_SET_I, PEAK_DOT(sum, a, b), PEAK_DOT_MACS (of one), PEAK_XOR, PEAK_LOAD_I, PEAK_STORE_I.
 */

/* A chain that stays near 2 whatever it began with; or one that grows by 1/2, where PEAK_FMA adds to the sum.
 */
static float peak_fma(size_t n)
{
    PEAK_F sum[PEAK_N], half = PEAK_SET_F(0.5f), one = PEAK_SET_F(1.0f);
    float out[PEAK_LANES], total = 0;
    size_t i;
    int k;

#pragma GCC unroll 16
    for (k = 0; k < PEAK_N; k++)
        sum[k] = PEAK_SET_F((float)k);
    for (i = 0; i < n; i++)
#pragma GCC unroll 16
        for (k = 0; k < PEAK_N; k++)
            sum[k] = PEAK_FMA(sum[k], half, one);
#pragma GCC unroll 16
    for (k = 0; k < PEAK_N; k++) {
        PEAK_STORE_F(out, sum[k]);
        total += out[0];
    }
    return total;
}

static int32_t peak_dot(size_t n)
{
    PEAK_I sum[PEAK_N], a = PEAK_SET_I(3), b = PEAK_SET_I(5);
    int32_t out[PEAK_LANES], total = 0;
    size_t i;
    int k;

#pragma GCC unroll 16
    for (k = 0; k < PEAK_N; k++)
        sum[k] = PEAK_SET_I((char)k);
    for (i = 0; i < n; i++)
#pragma GCC unroll 16
        for (k = 0; k < PEAK_N; k++)
            sum[k] = PEAK_DOT(sum[k], a, b);
#pragma GCC unroll 16
    for (k = 0; k < PEAK_N; k++) {
        PEAK_STORE_I(out, sum[k]);
        total ^= out[0];
    }
    return total;
}

static uint64_t peak_read(const void *memory, size_t n_bytes)
{
    const char *p = memory;
    PEAK_I a = PEAK_SET_I(0), b = a, c = a, d = a;
    uint64_t out[PEAK_LANES / 2];
    size_t i;

    for (i = 0; i < n_bytes; i += 4 * sizeof a) {
        a = PEAK_XOR(a, PEAK_LOAD_I(p + i));
        b = PEAK_XOR(b, PEAK_LOAD_I(p + i + sizeof a));
        c = PEAK_XOR(c, PEAK_LOAD_I(p + i + 2 * sizeof a));
        d = PEAK_XOR(d, PEAK_LOAD_I(p + i + 3 * sizeof a));
    }
    PEAK_STORE_I(out, PEAK_XOR(PEAK_XOR(a, b), PEAK_XOR(c, d)));
    return out[0];
}

#define PEAK_TABLE                                                                                           \
    {                                                                                                        \
        PEAK_N *PEAK_LANES, PEAK_N *PEAK_DOT_MACS, peak_fma, peak_dot, peak_read                             \
    }
