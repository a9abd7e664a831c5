/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QuantizeLinear and DequantizeLinear. Scale and zero point are brought to a shape that broadcasts against
 * the data: a scalar, [length, 1, ...] for an axis, or spread out to the data's shape for blocks.
 */
#include <math.h>
#include <string.h>

#include "graph/fold_call.h"
#include "graph/fold_number.h"

typedef vecq_fold_block block;

typedef struct quant_plan {
    const vecq_tensor *x;
    vecq_tensor scale, zero; /* views; data are those of the inputs or of `spread`; zero.data may be NULL */
    vecq_tensor spread[2];   /* owned */
} quant_plan;

static void quant_release(quant_plan *plan)
{
    vecq_tensor_destroy(&plan->spread[0]);
    vecq_tensor_destroy(&plan->spread[1]);
}

/* Repeats each element of `blocks` along the axis until the shape is that of x. */
static vecq_status quant_spread(vecq_fold_call *call, const quant_plan *plan, const vecq_tensor *blocks,
                                unsigned axis, size_t block_size, vecq_tensor *out)
{
    const vecq_tensor *x = plan->x;
    size_t outer = vecq_fold_span(x->dims, 0, axis), length = (size_t)x->dims[axis], o, i;
    size_t row = vecq_fold_span(x->dims, axis + 1, x->rank) * vecq_fold_size(blocks->dtype);
    char *to;
    const char *from;

    VECQ_TRY(vecq_fold_create(call, out, blocks->dtype, x->rank, x->dims));
    if (out->count == 0)
        return VECQ_OK;
    to = out->data;
    from = blocks->data;
    for (o = 0; o < outer; o++)
        for (i = 0; i < length; i++)
            memcpy(to + (o * length + i) * row,
                   from + (o * (size_t)blocks->dims[axis] + i / block_size) * row, row);
    return VECQ_OK;
}

static vecq_status quant_blocked(vecq_fold_call *call, quant_plan *plan, unsigned axis, int64_t block_size)
{
    const vecq_tensor *x = plan->x, *scale = &plan->scale;
    unsigned a;

    for (a = 0; a < x->rank; a++) {
        int64_t d = x->dims[a], want = a == axis ? d / block_size + (d % block_size != 0) : d;
        if (scale->rank != x->rank || scale->dims[a] != want)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the scale's shape does not fit blocks of %lld",
                                  (long long)block_size);
    }
    VECQ_TRY(quant_spread(call, plan, scale, axis, (size_t)block_size, &plan->spread[0]));
    plan->scale = plan->spread[0];
    if (plan->zero.data != NULL) {
        VECQ_TRY(quant_spread(call, plan, &plan->zero, axis, (size_t)block_size, &plan->spread[1]));
        plan->zero = plan->spread[1];
    }
    return VECQ_OK;
}

static void quant_along(vecq_tensor *view, unsigned rank, int64_t length)
{
    unsigned a;

    view->rank = rank;
    view->dims[0] = length;
    for (a = 1; a < rank; a++)
        view->dims[a] = 1;
}

/* Brings scale and zero point to shapes that broadcast against x. */
static vecq_status quant_align(vecq_fold_call *call, quant_plan *plan)
{
    int64_t version = call->node->version, axis_attr = 1, block_size = 0;
    const vecq_tensor *x = plan->x;
    unsigned axis;

    if (version >= 13)
        VECQ_TRY(vecq_fold_int(call, "axis", 1, &axis_attr));
    if (version >= 21)
        VECQ_TRY(vecq_fold_int(call, "block_size", 0, &block_size));
    if (block_size < 0)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "negative block_size");
    if (plan->zero.data != NULL &&
        (plan->zero.rank != plan->scale.rank ||
         memcmp(plan->zero.dims, plan->scale.dims, plan->scale.rank * sizeof *plan->scale.dims) != 0) &&
        (plan->zero.count != 1 || plan->scale.count != 1))
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "scale and zero point differ in shape");
    if (plan->scale.count == 1 && plan->scale.rank <= 1) {
        plan->scale.rank = plan->zero.rank = 0;
        return VECQ_OK;
    }
    if (version < 13)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the scale is not a scalar");
    VECQ_TRY(vecq_fold_axis(call, axis_attr, x->rank, &axis));
    if (block_size > 0)
        return quant_blocked(call, plan, axis, block_size);
    if (plan->scale.rank != 1 || plan->scale.dims[0] != x->dims[axis])
        return vecq_fold_fail(call, VECQ_ERR_FORMAT,
                              "the scale does not have one element for each of axis %u", axis);
    quant_along(&plan->scale, x->rank - axis, x->dims[axis]);
    quant_along(&plan->zero, x->rank - axis, x->dims[axis]);
    return VECQ_OK;
}

static vecq_status quant_plan_of(vecq_fold_call *call, quant_plan *plan)
{
    const vecq_tensor *scale, *zero = vecq_fold_optional(call, 2);

    memset(plan, 0, sizeof *plan);
    VECQ_TRY(vecq_fold_input(call, 0, &plan->x));
    VECQ_TRY(vecq_fold_input(call, 1, &scale));
    if (vecq_fold_kind_of(scale->dtype) != VECQ_FOLD_F32)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "a scale of type %s", vecq_dtype_name(scale->dtype));
    plan->scale = *scale;
    if (zero != NULL)
        plan->zero = *zero;
    return quant_align(call, plan);
}

/* Type from an attribute that came with `since`, UNDEFINED when absent. */
static vecq_status quant_dtype(vecq_fold_call *call, const char *name, int64_t since, vecq_dtype *out)
{
    int64_t value = VECQ_DT_UNDEFINED;

    *out = VECQ_DT_UNDEFINED;
    if (call->node->version >= since)
        VECQ_TRY(vecq_fold_int(call, name, VECQ_DT_UNDEFINED, &value));
    if (value < 0 || value >= VECQ_DT_COUNT)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "'%s' names no type", name);
    *out = (vecq_dtype)value;
    return VECQ_OK;
}

static int is_short_float(vecq_dtype dtype)
{
    return dtype == VECQ_DT_FLOAT || dtype == VECQ_DT_FLOAT16 || dtype == VECQ_DT_BFLOAT16;
}

/* y = (float)(x - zero) * scale, rounded to the output type. */
static void dequantize_run(const quant_plan *plan, const vecq_fold_walk *walk, vecq_tensor *out)
{
    vecq_fold_kind kind = vecq_fold_kind_of(plan->x->dtype);
    size_t n = walk->run, j;
    block x, zero, scale;

    vecq_fold_load(plan->x->dtype, plan->x->data, walk->at[0], walk->step[0], n, &x);
    vecq_fold_load(plan->scale.dtype, plan->scale.data, walk->at[1], walk->step[1], n, &scale);
    if (plan->zero.data != NULL) {
        vecq_fold_load(plan->zero.dtype, plan->zero.data, walk->at[2], walk->step[2], n, &zero);
        for (j = 0; j < n; j++) {
            if (kind == VECQ_FOLD_F32)
                x.f[j] -= zero.f[j];
            else
                x.i[j] -= zero.i[j]; /* at most 32 bits each */
        }
    }
    vecq_fold_convert(&x, n, kind == VECQ_FOLD_F32 ? kind : VECQ_FOLD_I64, VECQ_FOLD_F32);
    for (j = 0; j < n; j++)
        x.f[j] *= scale.f[j];
    vecq_fold_store(out->dtype, &x, n, out->data, walk->first);
}

static vecq_status dequantize_all(vecq_fold_call *call, quant_plan *plan)
{
    vecq_dtype in = plan->x->dtype, to;
    const vecq_tensor *operands[3];
    vecq_fold_walk walk;

    if (vecq_dtype_bits(in) > 32 || vecq_fold_kind_of(in) == VECQ_FOLD_NONE || in == VECQ_DT_BOOL ||
        in == VECQ_DT_UINT32 || is_short_float(in) || in == VECQ_DT_FLOAT8E8M0)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "not defined for %s", vecq_dtype_name(in));
    if (plan->zero.data != NULL && plan->zero.dtype != in)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "data and zero point differ in type");
    VECQ_TRY(quant_dtype(call, "output_dtype", 23, &to));
    if (to == VECQ_DT_UNDEFINED)
        to = plan->scale.dtype;
    if (!is_short_float(to))
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the result cannot be %s", vecq_dtype_name(to));
    VECQ_TRY(vecq_fold_create(call, &call->out[0], to, plan->x->rank, plan->x->dims));
    operands[0] = plan->x;
    operands[1] = &plan->scale;
    operands[2] = &plan->zero;
    vecq_fold_walk_start(&walk, operands, plan->zero.data != NULL ? 3 : 2, plan->x->rank, plan->x->dims);
    while (vecq_fold_walk_next(&walk, VECQ_FOLD_BLOCK))
        dequantize_run(plan, &walk, &call->out[0]);
    return VECQ_OK;
}

vecq_status vecq_fold_op_dequantize(vecq_fold_call *call)
{
    quant_plan plan;
    vecq_status status = quant_plan_of(call, &plan);

    if (status == VECQ_OK)
        status = dequantize_all(call, &plan);
    quant_release(&plan);
    return status;
}

static void quant_limits(vecq_dtype dtype, double *low, double *high)
{
    unsigned bits = vecq_dtype_bits(dtype);
    double n = ldexp(1.0, (int)bits);

    *low = vecq_fold_kind_of(dtype) == VECQ_FOLD_I64 ? -n / 2 : 0;
    *high = *low + n - 1;
}

static float quant_round(float v, vecq_dtype precision)
{
    if (precision == VECQ_DT_FLOAT16)
        return vecq_f16_to_f32(vecq_f32_to_f16(v));
    return precision == VECQ_DT_BFLOAT16 ? vecq_bf16_to_f32(vecq_f32_to_bf16(v)) : v;
}

/* y = saturate(round(x / scale) + zero); the quotient is rounded to `precision` first. */
static void quantize_run(const quant_plan *plan, const vecq_fold_walk *walk, vecq_dtype precision,
                         int saturate, vecq_tensor *out)
{
    vecq_fold_kind kind = vecq_fold_kind_of(out->dtype);
    size_t n = walk->run, j;
    double low, high, q;
    block x, scale, zero;
    uint8_t *bytes = out->data;

    vecq_fold_load(plan->x->dtype, plan->x->data, walk->at[0], walk->step[0], n, &x);
    vecq_fold_convert(&x, n, vecq_fold_kind_of(plan->x->dtype), VECQ_FOLD_F32);
    vecq_fold_load(plan->scale.dtype, plan->scale.data, walk->at[1], walk->step[1], n, &scale);
    memset(&zero, 0, sizeof zero);
    if (plan->zero.data != NULL)
        vecq_fold_load(plan->zero.dtype, plan->zero.data, walk->at[2], walk->step[2], n, &zero);
    for (j = 0; j < n; j++)
        x.f[j] = quant_round(quant_round(x.f[j], precision) / quant_round(scale.f[j], precision), precision);
    if (kind == VECQ_FOLD_F32) {
        for (j = 0; j < n; j++)
            bytes[walk->first + j] = vecq_fold_encode_small(out->dtype, x.f[j] + zero.f[j], saturate);
        return;
    }
    quant_limits(out->dtype, &low, &high);
    for (j = 0; j < n; j++) {
        q = isnan(x.f[j]) ? 0.0 : nearbyint((double)x.f[j]);
        q += kind == VECQ_FOLD_I64 ? (double)zero.i[j] : (double)zero.u[j];
        zero.i[j] = (int64_t)(q < low ? low : q > high ? high : q);
    }
    vecq_fold_store(out->dtype, &zero, n, out->data, walk->first);
}

static vecq_status quantize_all(vecq_fold_call *call, quant_plan *plan)
{
    vecq_dtype to, precision;
    const vecq_tensor *operands[3];
    vecq_fold_walk walk;
    int64_t saturate = 1;
    int is_int;

    if (!is_short_float(plan->x->dtype) && plan->x->dtype != VECQ_DT_INT32)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "not defined for %s", vecq_dtype_name(plan->x->dtype));
    VECQ_TRY(quant_dtype(call, "output_dtype", 21, &to));
    VECQ_TRY(quant_dtype(call, "precision", 23, &precision));
    if (call->node->version >= 19)
        VECQ_TRY(vecq_fold_int(call, "saturate", 1, &saturate));
    if (plan->zero.data != NULL && to != VECQ_DT_UNDEFINED && to != plan->zero.dtype)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "output_dtype is not the zero point's type");
    if (to == VECQ_DT_UNDEFINED)
        to = plan->zero.data != NULL ? plan->zero.dtype : VECQ_DT_UINT8;
    if (precision == VECQ_DT_UNDEFINED)
        precision = plan->scale.dtype;
    is_int = vecq_dtype_bits(to) <= 16 && vecq_dtype_bits(to) > 0 && to != VECQ_DT_BOOL &&
             (vecq_fold_kind_of(to) == VECQ_FOLD_I64 || vecq_fold_kind_of(to) == VECQ_FOLD_U64);
    if ((!is_int && (!vecq_dtype_is_small_float(to) || to == VECQ_DT_FLOAT8E8M0)) ||
        (!is_short_float(precision) && precision != VECQ_DT_FLOAT8E8M0))
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the result cannot be %s with a precision of %s",
                              vecq_dtype_name(to), vecq_dtype_name(precision));
    VECQ_TRY(vecq_fold_create(call, &call->out[0], to, plan->x->rank, plan->x->dims));
    operands[0] = plan->x;
    operands[1] = &plan->scale;
    operands[2] = &plan->zero;
    vecq_fold_walk_start(&walk, operands, plan->zero.data != NULL ? 3 : 2, plan->x->rank, plan->x->dims);
    while (vecq_fold_walk_next(&walk, VECQ_FOLD_BLOCK))
        quantize_run(plan, &walk, precision, saturate != 0, &call->out[0]);
    return VECQ_OK;
}

vecq_status vecq_fold_op_quantize(vecq_fold_call *call)
{
    quant_plan plan;
    vecq_status status = quant_plan_of(call, &plan);

    if (status == VECQ_OK)
        status = quantize_all(call, &plan);
    quant_release(&plan);
    return status;
}
