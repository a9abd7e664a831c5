/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/fold_number.h"

#include <math.h>
#include <string.h>

vecq_fold_kind vecq_fold_kind_of(vecq_dtype dtype)
{
    switch (dtype) {
    case VECQ_DT_FLOAT:
    case VECQ_DT_FLOAT16:
    case VECQ_DT_BFLOAT16:
    case VECQ_DT_FLOAT8E4M3FN:
    case VECQ_DT_FLOAT8E4M3FNUZ:
    case VECQ_DT_FLOAT8E5M2:
    case VECQ_DT_FLOAT8E5M2FNUZ:
    case VECQ_DT_FLOAT8E8M0:
    case VECQ_DT_FLOAT4E2M1:
        return VECQ_FOLD_F32;
    case VECQ_DT_DOUBLE:
        return VECQ_FOLD_F64;
    case VECQ_DT_INT2:
    case VECQ_DT_INT4:
    case VECQ_DT_INT8:
    case VECQ_DT_INT16:
    case VECQ_DT_INT32:
    case VECQ_DT_INT64:
        return VECQ_FOLD_I64;
    case VECQ_DT_BOOL:
    case VECQ_DT_UINT2:
    case VECQ_DT_UINT4:
    case VECQ_DT_UINT8:
    case VECQ_DT_UINT16:
    case VECQ_DT_UINT32:
    case VECQ_DT_UINT64:
        return VECQ_FOLD_U64;
    default:
        return VECQ_FOLD_NONE;
    }
}

vecq_fold_kind vecq_fold_kind_arith(vecq_dtype dtype)
{
    if (vecq_dtype_bits(dtype) < 8 || vecq_dtype_is_small_float(dtype))
        return VECQ_FOLD_NONE;
    return vecq_fold_kind_of(dtype);
}

/* Layout of the small floating-point types: sign, exponent, mantissa, from the top. */
typedef struct small_float {
    vecq_dtype dtype;
    int mantissa_bits, bias;
    unsigned max;      /* code of the largest finite value */
    unsigned infinity; /* code, or 0 */
    unsigned nan;      /* code, or 0; without it, everything saturates */
    int one_zero;      /* "fnuz": the code of -0 is the only NaN */
} small_float;

static const small_float small_floats[] = {
    {VECQ_DT_FLOAT8E4M3FN, 3, 7, 0x7e, 0, 0x7f, 0},   {VECQ_DT_FLOAT8E4M3FNUZ, 3, 8, 0x7f, 0, 0x80, 1},
    {VECQ_DT_FLOAT8E5M2, 2, 15, 0x7b, 0x7c, 0x7e, 0}, {VECQ_DT_FLOAT8E5M2FNUZ, 2, 16, 0x7f, 0, 0x80, 1},
    {VECQ_DT_FLOAT4E2M1, 1, 1, 0x7, 0, 0, 0},
};

static const small_float *small_float_of(vecq_dtype dtype)
{
    size_t i;

    for (i = 0; i < sizeof small_floats / sizeof *small_floats; i++)
        if (small_floats[i].dtype == dtype)
            return &small_floats[i];
    return NULL;
}

int vecq_dtype_is_small_float(vecq_dtype dtype)
{
    return dtype == VECQ_DT_FLOAT8E8M0 || small_float_of(dtype) != NULL;
}

static float small_magnitude(const small_float *type, unsigned code)
{
    unsigned exponent = code >> type->mantissa_bits, mantissa = code & ((1u << type->mantissa_bits) - 1);

    if (exponent == 0)
        return ldexpf((float)mantissa, 1 - type->bias - type->mantissa_bits);
    return ldexpf((float)(mantissa | 1u << type->mantissa_bits),
                  (int)exponent - type->bias - type->mantissa_bits);
}

float vecq_fold_decode_small(vecq_dtype dtype, uint8_t code)
{
    const small_float *type = small_float_of(dtype);
    unsigned sign_bit = dtype == VECQ_DT_FLOAT4E2M1 ? 0x8u : 0x80u, magnitude;
    float value;

    if (type == NULL) /* float8e8m0: a power of two, no sign, no zero */
        return code == 0xff ? NAN : ldexpf(1.0f, (int)code - 127);
    magnitude = code & (sign_bit - 1);
    if (type->one_zero && code == sign_bit)
        return NAN;
    if (magnitude > type->max)
        value = magnitude == type->infinity ? INFINITY : NAN;
    else
        value = small_magnitude(type, magnitude);
    return code & sign_bit ? -value : value;
}

/* Code of the magnitude nearest to a >= 0, ties to the even code; may be max + 1 or above: out of range. */
static unsigned small_round(const small_float *type, float a)
{
    int exponent;
    float scaled;
    unsigned base;

    if (a == 0)
        return 0;
    frexpf(a, &exponent);
    exponent -= 1; /* a = 1.x * 2^exponent */
    if (exponent < 1 - type->bias)
        exponent = 1 - type->bias;
    /* In units of the last place of that binade the value is an integer after rounding. */
    scaled = nearbyintf(ldexpf(a, type->mantissa_bits - exponent));
    base = (unsigned)(exponent + type->bias - 1) << type->mantissa_bits;
    return base + (unsigned)scaled;
}

uint8_t vecq_fold_encode_small(vecq_dtype dtype, float value, int saturate)
{
    const small_float *type = small_float_of(dtype);
    unsigned sign = signbit(value) ? (dtype == VECQ_DT_FLOAT4E2M1 ? 0x8u : 0x80u) : 0, code;

    if (type == NULL)
        return 0xff;
    if (isnan(value)) {
        if (type->nan == 0)
            return (uint8_t)(sign == 0 ? 0x8 : 0x0); /* no NaN: as the hardware and ml_dtypes have it, -0/0 */
        return (uint8_t)(type->one_zero ? type->nan : sign | type->nan);
    }
    code = isinf(value) || fabsf(value) > 65536.0f ? type->max + 1 : small_round(type, fabsf(value));
    if (code > type->max) {
        if (saturate || type->nan == 0)
            code = type->max;
        else if (type->infinity != 0)
            code = type->infinity;
        else
            return (uint8_t)(type->one_zero ? type->nan : sign | type->nan);
    }
    if (code == 0 && type->one_zero)
        return 0;
    return (uint8_t)(sign | code);
}

/* Elements that lie together have a loop of their own, which compilers can vectorize. */
#define LOAD(type, member, expression)                                                                       \
    if (step == 1) {                                                                                         \
        for (j = 0; j < n; j++) {                                                                            \
            type x;                                                                                          \
            memcpy(&x, p + j * sizeof x, sizeof x);                                                          \
            dst->member[j] = (expression);                                                                   \
        }                                                                                                    \
    } else {                                                                                                 \
        for (j = 0; j < n; j++) {                                                                            \
            type x;                                                                                          \
            memcpy(&x, p + j * step * sizeof x, sizeof x);                                                   \
            dst->member[j] = (expression);                                                                   \
        }                                                                                                    \
    }                                                                                                        \
    break

void vecq_fold_load(vecq_dtype dtype, const void *data, size_t first, size_t step, size_t n,
                    vecq_fold_block *dst)
{
    const unsigned char *p = (const unsigned char *)data + first * ((vecq_dtype_bits(dtype) + 7) / 8);
    size_t j;

    switch (dtype) {
    case VECQ_DT_FLOAT:
        LOAD(float, f, x);
    case VECQ_DT_FLOAT16:
        LOAD(uint16_t, f, vecq_f16_to_f32(x));
    case VECQ_DT_BFLOAT16:
        LOAD(uint16_t, f, vecq_bf16_to_f32(x));
    case VECQ_DT_FLOAT8E4M3FN:
    case VECQ_DT_FLOAT8E4M3FNUZ:
    case VECQ_DT_FLOAT8E5M2:
    case VECQ_DT_FLOAT8E5M2FNUZ:
    case VECQ_DT_FLOAT8E8M0:
    case VECQ_DT_FLOAT4E2M1:
        LOAD(uint8_t, f, vecq_fold_decode_small(dtype, x));
    case VECQ_DT_DOUBLE:
        LOAD(double, d, x);
    case VECQ_DT_INT2:
    case VECQ_DT_INT4:
    case VECQ_DT_INT8:
        LOAD(int8_t, i, x);
    case VECQ_DT_INT16:
        LOAD(int16_t, i, x);
    case VECQ_DT_INT32:
        LOAD(int32_t, i, x);
    case VECQ_DT_INT64:
        LOAD(int64_t, i, x);
    case VECQ_DT_BOOL:
        LOAD(uint8_t, u, x != 0);
    case VECQ_DT_UINT2:
    case VECQ_DT_UINT4:
    case VECQ_DT_UINT8:
        LOAD(uint8_t, u, x);
    case VECQ_DT_UINT16:
        LOAD(uint16_t, u, x);
    case VECQ_DT_UINT32:
        LOAD(uint32_t, u, x);
    case VECQ_DT_UINT64:
        LOAD(uint64_t, u, x);
    default:
        break;
    }
}

#define STORE(type, member, expression)                                                                      \
    for (j = 0; j < n; j++) {                                                                                \
        type x = (type)(expression);                                                                         \
        memcpy(p + j * sizeof x, &x, sizeof x);                                                              \
    }                                                                                                        \
    break

/* Sign-extends the low `bits` bits. */
static int8_t number_extend(uint64_t u, unsigned bits)
{
    unsigned low = (unsigned)u & ((1u << bits) - 1), half = 1u << (bits - 1);

    return (int8_t)((int)(low ^ half) - (int)half);
}

/* Integers go through the unsigned type of the same width: the bits that do not fit are dropped. */
void vecq_fold_store(vecq_dtype dtype, const vecq_fold_block *src, size_t n, void *data, size_t first)
{
    unsigned char *p = (unsigned char *)data + first * ((vecq_dtype_bits(dtype) + 7) / 8);
    size_t j;

    switch (dtype) {
    case VECQ_DT_FLOAT:
        STORE(float, f, src->f[j]);
    case VECQ_DT_FLOAT16:
        STORE(uint16_t, f, vecq_f32_to_f16(src->f[j]));
    case VECQ_DT_BFLOAT16:
        STORE(uint16_t, f, vecq_f32_to_bf16(src->f[j]));
    case VECQ_DT_FLOAT8E4M3FN:
    case VECQ_DT_FLOAT8E4M3FNUZ:
    case VECQ_DT_FLOAT8E5M2:
    case VECQ_DT_FLOAT8E5M2FNUZ:
    case VECQ_DT_FLOAT8E8M0:
    case VECQ_DT_FLOAT4E2M1:
        STORE(uint8_t, f, vecq_fold_encode_small(dtype, src->f[j], 1));
    case VECQ_DT_DOUBLE:
        STORE(double, d, src->d[j]);
    case VECQ_DT_INT2:
        STORE(int8_t, u, number_extend(src->u[j], 2));
    case VECQ_DT_INT4:
        STORE(int8_t, u, number_extend(src->u[j], 4));
    case VECQ_DT_UINT2:
        STORE(uint8_t, u, src->u[j] & 0x3);
    case VECQ_DT_UINT4:
        STORE(uint8_t, u, src->u[j] & 0xf);
    case VECQ_DT_BOOL:
        STORE(uint8_t, u, src->u[j] != 0);
    case VECQ_DT_INT8:
    case VECQ_DT_UINT8:
        STORE(uint8_t, u, src->u[j]);
    case VECQ_DT_INT16:
    case VECQ_DT_UINT16:
        STORE(uint16_t, u, src->u[j]);
    case VECQ_DT_INT32:
    case VECQ_DT_UINT32:
        STORE(uint32_t, u, src->u[j]);
    case VECQ_DT_INT64:
    case VECQ_DT_UINT64:
        STORE(uint64_t, u, src->u[j]);
    default:
        break;
    }
}

static int64_t number_to_i64(double d)
{
    if (isnan(d))
        return 0;
    if (d >= 0x1p63)
        return INT64_MAX;
    return d < -0x1p63 ? INT64_MIN : (int64_t)d;
}

static uint64_t number_to_u64(double d)
{
    if (d >= 0x1p64)
        return UINT64_MAX;
    return d >= 0x1p63 ? (uint64_t)d : (uint64_t)number_to_i64(d);
}

float vecq_fold_to_odd(double d)
{
    float f = (float)d;
    uint32_t bits;

    if (!isfinite(f) || (double)f == d)
        return isinf(f) && !isinf(d) ? copysignf(3.4028234663852886e38f, f) : f;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 1u) == 0) /* the odd neighbour on the other side of d says: "not exact" */
        bits += fabs((double)f) < fabs(d) ? 1u : UINT32_MAX;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Blocks are unions of arrays with elements of 4 or 8 bytes: going up in size runs backwards. */
static void convert_from_f32(vecq_fold_block *b, size_t n, vecq_fold_kind to)
{
    size_t j;

    for (j = n; j-- > 0;) {
        double d = (double)b->f[j];
        if (to == VECQ_FOLD_F64)
            b->d[j] = d;
        else if (to == VECQ_FOLD_I64)
            b->i[j] = number_to_i64(d);
        else
            b->u[j] = number_to_u64(d);
    }
}

static void convert_from_f64(vecq_fold_block *b, size_t n, vecq_fold_kind to)
{
    size_t j;

    for (j = 0; j < n; j++) {
        double d = b->d[j];
        if (to == VECQ_FOLD_F32)
            b->f[j] = (float)d;
        else if (to == VECQ_FOLD_I64)
            b->i[j] = number_to_i64(d);
        else
            b->u[j] = number_to_u64(d);
    }
}

static void convert_from_int(vecq_fold_block *b, size_t n, int is_signed, vecq_fold_kind to)
{
    size_t j;

    for (j = 0; j < n; j++) {
        uint64_t u = b->u[j];
        int64_t i = b->i[j];
        if (to == VECQ_FOLD_F32)
            b->f[j] = is_signed ? (float)i : (float)u;
        else
            b->d[j] = is_signed ? (double)i : (double)u;
    }
}

void vecq_fold_convert(vecq_fold_block *block, size_t n, vecq_fold_kind from, vecq_fold_kind to)
{
    int from_int = from == VECQ_FOLD_I64 || from == VECQ_FOLD_U64;
    int to_int = to == VECQ_FOLD_I64 || to == VECQ_FOLD_U64;

    if (from == to || (from_int && to_int)) /* same 64 bits, read in the other sign */
        return;
    if (from == VECQ_FOLD_F32)
        convert_from_f32(block, n, to);
    else if (from == VECQ_FOLD_F64)
        convert_from_f64(block, n, to);
    else
        convert_from_int(block, n, from == VECQ_FOLD_I64, to);
}
