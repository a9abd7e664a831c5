/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pad. The kept part of the input is copied into place; then the borders are filled: constant at once, the
 * other modes axis by axis from slabs that are already complete, which gives the corners too (as numpy.pad).
 */
#include <string.h>

#include "graph/fold_call.h"

enum { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

typedef struct pad_plan {
    int mode;
    unsigned rank;
    int64_t begin[VECQ_MAX_RANK], end[VECQ_MAX_RANK]; /* may be negative: cut off */
    int64_t kept[VECQ_MAX_RANK];                      /* length of the input that stays */
    int64_t dims[VECQ_MAX_RANK];
} pad_plan;

static vecq_status pad_read(vecq_fold_call *call, const vecq_tensor *x, pad_plan *plan)
{
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap", NULL};
    int64_t version = call->node->version;
    vecq_fold_list pads, axes = {0};
    unsigned char marks[VECQ_MAX_RANK];
    size_t i;
    unsigned a;

    VECQ_TRY(vecq_fold_string(call, "mode", modes, &plan->mode));
    if (plan->mode == PAD_WRAP && version < 19)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "mode 'wrap' came with opset 19");
    VECQ_TRY(vecq_fold_list_moved(call, version < 2 ? "paddings" : "pads", 1, 11, &pads));
    if (version >= 18)
        VECQ_TRY(vecq_fold_list_input(call, 3, &axes));
    if (!axes.given) {
        axes.n = x->rank;
        for (i = 0; i < axes.n; i++)
            axes.v[i] = (int64_t)i;
    }
    if (!pads.given || pads.n != 2 * axes.n)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "pads has %zu entries for %zu axes", pads.n, axes.n);
    VECQ_TRY(vecq_fold_axes(call, &axes, x->rank, marks));
    for (i = 0; i < axes.n; i++) {
        VECQ_TRY(vecq_fold_axis(call, axes.v[i], x->rank, &a));
        plan->begin[a] = pads.v[i];
        plan->end[a] = pads.v[i + axes.n];
    }
    return VECQ_OK;
}

static vecq_status pad_plan_of(vecq_fold_call *call, const vecq_tensor *x, pad_plan *plan)
{
    const int64_t far = (int64_t)1 << 48;
    unsigned a;

    memset(plan, 0, sizeof *plan);
    plan->rank = x->rank;
    VECQ_TRY(pad_read(call, x, plan));
    for (a = 0; a < x->rank; a++) {
        int64_t b = plan->begin[a], e = plan->end[a];
        if (b > far || e > far)
            return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "a result is above the limit of %zu bytes",
                                  call->limit_bytes);
        plan->kept[a] = b < -far || e < -far ? -1 : x->dims[a] + (b < 0 ? b : 0) + (e < 0 ? e : 0);
        if (plan->kept[a] < 0)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "more is cut off axis %u than there is", a);
        plan->dims[a] = plan->kept[a] + (b > 0 ? b : 0) + (e > 0 ? e : 0);
        if (plan->mode != PAD_CONSTANT && plan->kept[a] == 0 && plan->dims[a] > 0)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "nothing on axis %u to pad with", a);
    }
    return VECQ_OK;
}

static vecq_status pad_value(vecq_fold_call *call, const vecq_tensor *x, unsigned char *value)
{
    const vecq_tensor *given;
    float f;

    memset(value, 0, 16);
    if (call->node->version >= 11) {
        given = vecq_fold_optional(call, 2);
        if (given == NULL)
            return VECQ_OK;
        if (given->dtype != x->dtype || given->count != 1)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "constant_value is not a scalar of the data's type");
        memcpy(value, given->data, vecq_fold_size(x->dtype));
        return VECQ_OK;
    }
    VECQ_TRY(vecq_fold_float(call, "value", 0.0f, &f));
    if (vecq_dtype_is_weight(x->dtype))
        vecq_convert_from_f32(x->dtype, &f, value, 1);
    else if (f != 0.0f)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "a float pad value for %s data",
                              vecq_dtype_name(x->dtype));
    return VECQ_OK;
}

static void pad_copy(const pad_plan *plan, const vecq_tensor *x, vecq_tensor *out)
{
    vecq_fold_stride axes[VECQ_MAX_RANK];
    ptrdiff_t src[VECQ_MAX_RANK], dst[VECQ_MAX_RANK], from = 0, to = 0, size;
    unsigned a;

    vecq_fold_strides(x->dims, plan->rank, src);
    vecq_fold_strides(out->dims, plan->rank, dst);
    for (a = 0; a < plan->rank; a++) {
        axes[a].n = (size_t)plan->kept[a];
        axes[a].src = src[a];
        axes[a].dst = dst[a];
        if (axes[a].n == 0)
            return;
        from += plan->begin[a] < 0 ? (ptrdiff_t)-plan->begin[a] * src[a] : 0;
        to += plan->begin[a] > 0 ? (ptrdiff_t)plan->begin[a] * dst[a] : 0;
    }
    size = (ptrdiff_t)vecq_fold_size(x->dtype);
    vecq_fold_copy((char *)out->data + to * size, (const char *)x->data + from * size, (size_t)size, axes,
                   plan->rank);
}

/* Index in [0, n) that position i (which may lie outside) shows. */
static int64_t pad_source(int mode, int64_t i, int64_t n)
{
    int64_t period;

    if (mode == PAD_EDGE || n == 1)
        return i < 0 ? 0 : i >= n ? n - 1 : i;
    period = mode == PAD_WRAP ? n : 2 * (n - 1);
    i %= period;
    if (i < 0)
        i += period;
    return i < n ? i : period - i;
}

/* Fills the borders of one axis; the axes before it are complete, those after it only in their kept part. */
static void pad_axis(const pad_plan *plan, vecq_tensor *out, unsigned axis)
{
    vecq_fold_stride axes[VECQ_MAX_RANK];
    ptrdiff_t dst[VECQ_MAX_RANK], at = 0, size = (ptrdiff_t)vecq_fold_size(out->dtype);
    int64_t before = plan->begin[axis] > 0 ? plan->begin[axis] : 0, i;
    unsigned a;

    vecq_fold_strides(out->dims, plan->rank, dst);
    for (a = 0; a < plan->rank; a++) {
        axes[a].dst = axes[a].src = dst[a];
        axes[a].n = (size_t)(a == axis ? 1 : a < axis ? plan->dims[a] : plan->kept[a]);
        if (a > axis && plan->begin[a] > 0)
            at += (ptrdiff_t)plan->begin[a] * dst[a];
    }
    for (i = 0; i < plan->dims[axis]; i++) {
        int64_t from = before + pad_source(plan->mode, i - before, plan->kept[axis]);
        if (from != i)
            vecq_fold_copy((char *)out->data + (at + (ptrdiff_t)i * dst[axis]) * size,
                           (const char *)out->data + (at + (ptrdiff_t)from * dst[axis]) * size, (size_t)size,
                           axes, plan->rank);
    }
}

vecq_status vecq_fold_op_pad(vecq_fold_call *call)
{
    const vecq_tensor *x;
    pad_plan plan;
    unsigned char value[16];
    vecq_tensor *out = &call->out[0];
    vecq_fold_stride fill = {0, 1, 0};
    unsigned a;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(pad_plan_of(call, x, &plan));
    VECQ_TRY(pad_value(call, x, value));
    VECQ_TRY(vecq_fold_create(call, out, x->dtype, x->rank, plan.dims));
    if (out->count == 0)
        return VECQ_OK;
    if (plan.mode == PAD_CONSTANT) {
        fill.n = out->count;
        vecq_fold_copy(out->data, value, vecq_fold_size(x->dtype), &fill, 1);
    }
    pad_copy(&plan, x, out);
    for (a = 0; plan.mode != PAD_CONSTANT && a < x->rank; a++)
        pad_axis(&plan, out, a);
    return VECQ_OK;
}
