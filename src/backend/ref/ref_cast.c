/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cast, in blocks through int64 (integers: their bits, so that narrowing wraps) or double (reals).
 */
#include <math.h>

#include "backend/ref/ref.h"
#include "backend/ref/ref_types.h"
#include "base/status.h"
#include "base/threads.h"

#define BLOCK 256u

/* Toward zero; what does not fit becomes the nearest that does, NaN becomes 0. */
static int64_t truncate_to(double value, double low, double high)
{
    if (isnan(value))
        return 0;
    if (value >= high) /* 2^63 - 1 is no double */
        return high >= 0x1p63 ? high >= 0x1p64 ? -1 : INT64_MAX : (int64_t)high;
    if (value <= low)
        return (int64_t)low;
    return value >= 0x1p63 ? (int64_t)(uint64_t)value : (int64_t)value;
}

static int is_real(vecq_dtype dtype)
{
    return dtype == VECQ_DT_FLOAT || dtype == VECQ_DT_DOUBLE;
}

static void read_integers(vecq_dtype dtype, const void *src, size_t at, size_t n, int64_t *dst)
{
    size_t i;

    switch (dtype) {
#define READ(tag, type)                                                                                      \
    case tag:                                                                                                \
        for (i = 0; i < n; i++)                                                                              \
            dst[i] = (int64_t)((const type *)src)[at + i];                                                   \
        break;
        VECQ_REF_SIGNED(READ)
        VECQ_REF_UNSIGNED(READ)
        READ(VECQ_DT_BOOL, vecq_bool8)
    default:
        break;
    }
}

static void write_integers(vecq_dtype dtype, const int64_t *src, size_t n, void *dst, size_t at)
{
    size_t i;

    switch (dtype) {
#define WRITE(tag, type)                                                                                     \
    case tag:                                                                                                \
        for (i = 0; i < n; i++)                                                                              \
            ((type *)dst)[at + i] = (type)src[i];                                                            \
        break;
        VECQ_REF_SIGNED(WRITE)
        VECQ_REF_UNSIGNED(WRITE)
    case VECQ_DT_BOOL:
        for (i = 0; i < n; i++)
            ((uint8_t *)dst)[at + i] = src[i] != 0;
        break;
    default:
        break;
    }
}

/* Integers of fewer bits than a byte: what the bits mean in `bits`, with or without a sign. */
static void wrap_narrow(int64_t *values, size_t n, unsigned bits, int is_signed)
{
    const int64_t mask = ((int64_t)1 << bits) - 1, sign = (int64_t)1 << (bits - 1);
    size_t i;

    for (i = 0; i < n; i++) {
        values[i] &= mask;
        if (is_signed && (values[i] & sign) != 0)
            values[i] -= mask + 1;
    }
}

static double round_real(vecq_dtype through, double value)
{
    if (through == VECQ_DT_FLOAT16)
        return (double)vecq_f16_to_f32(vecq_f32_to_f16((float)value));
    if (through == VECQ_DT_BFLOAT16)
        return (double)vecq_bf16_to_f32(vecq_f32_to_bf16((float)value));
    return value;
}

/* Largest and smallest integer of a type, in double (of 64 bits: the power of two above). */
static void integer_range(vecq_dtype dtype, double *low, double *high)
{
    const unsigned bits = vecq_dtype_bits(dtype);
    const int is_unsigned = dtype == VECQ_DT_UINT8 || dtype == VECQ_DT_UINT16 || dtype == VECQ_DT_UINT32 ||
                            dtype == VECQ_DT_UINT64;

    *low = is_unsigned ? 0 : -ldexp(1, (int)bits - 1);
    *high = ldexp(1, (int)bits - !is_unsigned) - (bits < 64);
}

static void reals_to_integers(const vecq_cast_params *params, const double *src, size_t n, int64_t *dst)
{
    /* Below 8 bits it is the integer that is cut, as everywhere else. */
    const vecq_dtype dtype = params->through != VECQ_DT_UNDEFINED ? VECQ_DT_INT64 : params->to;
    double low, high;
    size_t i;

    if (dtype == VECQ_DT_BOOL) {
        for (i = 0; i < n; i++)
            dst[i] = src[i] != 0;
        return;
    }
    integer_range(dtype, &low, &high);
    for (i = 0; i < n; i++)
        dst[i] = truncate_to(src[i], low, high);
}

static void write_reals(const vecq_cast_params *params, const double *src, size_t n, void *dst, size_t at)
{
    size_t i;

    if (params->to == VECQ_DT_FLOAT)
        for (i = 0; i < n; i++)
            ((float *)dst)[at + i] = (float)round_real(params->through, src[i]);
    else
        for (i = 0; i < n; i++)
            ((double *)dst)[at + i] = round_real(params->through, src[i]);
}

static void cast_block(const vecq_ref_call *call, size_t at, size_t n)
{
    const vecq_cast_params *params = call->op->params;
    const vecq_dtype from = call->op->inputs[0]->dtype, through = params->through;
    const int is_narrow = through != VECQ_DT_UNDEFINED && !is_real(params->to);
    int64_t integers[BLOCK];
    double reals[BLOCK];
    size_t i;

    if (is_real(from)) {
        for (i = 0; i < n; i++)
            reals[i] = from == VECQ_DT_FLOAT ? (double)((const float *)call->in[0])[at + i]
                                             : ((const double *)call->in[0])[at + i];
        if (!is_real(params->to))
            reals_to_integers(params, reals, n, integers);
    } else {
        read_integers(from, call->in[0], at, n, integers);
        for (i = 0; i < n && is_real(params->to); i++)
            reals[i] = from == VECQ_DT_UINT64 ? (double)(uint64_t)integers[i] : (double)integers[i];
    }
    if (is_narrow)
        wrap_narrow(integers, n, vecq_dtype_bits(through),
                    through == VECQ_DT_INT4 || through == VECQ_DT_INT2);
    if (is_real(params->to))
        write_reals(params, reals, n, call->out[0], at);
    else
        write_integers(params->to, integers, n, call->out[0], at);
}

static vecq_status cast_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const vecq_ref_call *call = context;
    const size_t count = call->op->inputs[0]->count;

    (void)thread;
    (void)err;
    for (; begin < end; begin++)
        cast_block(call, begin * BLOCK, count - begin * BLOCK < BLOCK ? count - begin * BLOCK : BLOCK);
    return VECQ_OK;
}

vecq_status vecq_ref_cast(const vecq_ref_call *call)
{
    if (call->out[0] == NULL)
        return VECQ_OK;
    return vecq_parallel_for((call->op->inputs[0]->count + BLOCK - 1) / BLOCK, 64, call->run->threads,
                             cast_range, (void *)(uintptr_t)call, call->err);
}
