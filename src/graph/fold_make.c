/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that make tensors out of attributes and shapes. */
#include <math.h>
#include <string.h>

#include "graph/fold_call.h"
#include "graph/fold_number.h"

/* The tensor of an attribute: in the document, so no larger than the file. */
static vecq_status make_from_attr(vecq_fold_call *call, const vecq_attr *attr, vecq_tensor *out)
{
    if (attr->type != VECQ_ATTR_TENSOR || attr->tensor == NULL)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "attribute '%s' is not a tensor", attr->name);
    return vecq_fold_const(attr->tensor, out, call->err);
}

vecq_status vecq_fold_op_constant(vecq_fold_call *call)
{
    vecq_tensor *out = &call->out[0];
    const vecq_attr *attr;
    int64_t n;

    if (call->node->n_attrs != 1)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "needs exactly one attribute");
    attr = &call->node->attrs[0];
    n = (int64_t)attr->n;
    if (strcmp(attr->name, "value") == 0)
        return make_from_attr(call, attr, out);
    if (call->node->version >= 12 && strcmp(attr->name, "value_float") == 0 &&
        attr->type == VECQ_ATTR_FLOAT) {
        VECQ_TRY(vecq_fold_create(call, out, VECQ_DT_FLOAT, 0, NULL));
        memcpy(out->data, &attr->f, sizeof attr->f);
        return VECQ_OK;
    }
    if (call->node->version >= 12 && strcmp(attr->name, "value_int") == 0 && attr->type == VECQ_ATTR_INT) {
        VECQ_TRY(vecq_fold_create(call, out, VECQ_DT_INT64, 0, NULL));
        memcpy(out->data, &attr->i, sizeof attr->i);
        return VECQ_OK;
    }
    if (call->node->version >= 12 && strcmp(attr->name, "value_floats") == 0 &&
        attr->type == VECQ_ATTR_FLOATS) {
        VECQ_TRY(vecq_fold_create(call, out, VECQ_DT_FLOAT, 1, &n));
        if (n > 0)
            memcpy(out->data, attr->floats, out->n_bytes);
        return VECQ_OK;
    }
    if (call->node->version >= 12 && strcmp(attr->name, "value_ints") == 0 && attr->type == VECQ_ATTR_INTS) {
        VECQ_TRY(vecq_fold_create(call, out, VECQ_DT_INT64, 1, &n));
        if (n > 0)
            memcpy(out->data, attr->ints, out->n_bytes);
        return VECQ_OK;
    }
    return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "attribute '%.100s' is not evaluated", attr->name);
}

vecq_status vecq_fold_op_constant_of_shape(vecq_fold_call *call)
{
    const vecq_attr *attr = vecq_node_attr(call->node, "value");
    vecq_tensor value = {0};
    vecq_fold_list shape;
    vecq_fold_stride fill = {0, 1, 0};
    vecq_status status;
    float zero = 0.0f;

    VECQ_TRY(vecq_fold_list_input(call, 0, &shape));
    if (!shape.given)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the shape is missing");
    if (shape.n > VECQ_MAX_RANK)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "rank %zu is above %u", shape.n, VECQ_MAX_RANK);
    if (attr == NULL)
        VECQ_TRY(vecq_fold_create(call, &value, VECQ_DT_FLOAT, 0, NULL));
    else
        VECQ_TRY(make_from_attr(call, attr, &value));
    if (attr == NULL)
        memcpy(value.data, &zero, sizeof zero);
    status = value.count == 1 ? vecq_fold_create(call, &call->out[0], value.dtype, (unsigned)shape.n, shape.v)
                              : vecq_fold_fail(call, VECQ_ERR_FORMAT, "the value is not one element");
    if (status == VECQ_OK) {
        fill.n = call->out[0].count;
        vecq_fold_copy(call->out[0].data, value.data, vecq_fold_size(value.dtype), &fill, 1);
    }
    vecq_tensor_destroy(&value);
    return status;
}

static int64_t make_clamp(int64_t v, int64_t rank)
{
    if (v < 0)
        v += rank;
    return v < 0 ? 0 : v > rank ? rank : v;
}

vecq_status vecq_fold_op_shape(vecq_fold_call *call)
{
    const vecq_tensor *x;
    int64_t start = 0, end, n;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    end = x->rank;
    if (call->node->version >= 15) {
        VECQ_TRY(vecq_fold_int(call, "start", 0, &start));
        VECQ_TRY(vecq_fold_int(call, "end", end, &end));
        start = make_clamp(start, x->rank);
        end = make_clamp(end, x->rank);
    }
    n = end > start ? end - start : 0;
    VECQ_TRY(vecq_fold_create(call, &call->out[0], VECQ_DT_INT64, 1, &n));
    if (n > 0)
        memcpy(call->out[0].data, x->dims + start, call->out[0].n_bytes);
    return VECQ_OK;
}

vecq_status vecq_fold_op_size(vecq_fold_call *call)
{
    const vecq_tensor *x;
    int64_t count;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_create(call, &call->out[0], VECQ_DT_INT64, 0, NULL));
    count = (int64_t)x->count;
    memcpy(call->out[0].data, &count, sizeof count);
    return VECQ_OK;
}

/* Elements of start, start + delta, ... below (above) limit, delta != 0, without overflow. */
static int64_t range_count_int(int64_t start, int64_t limit, int64_t delta)
{
    uint64_t distance, stride, n;

    if (delta > 0 ? limit <= start : limit >= start)
        return 0;
    distance = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    stride = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    n = (distance - 1) / stride + 1;
    return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static vecq_status range_count_float(vecq_fold_call *call, double start, double limit, double delta,
                                     int64_t *n)
{
    double count = ceil((limit - start) / delta);

    if (!isfinite(start) || !isfinite(limit) || isnan(count))
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "start, limit and delta are no range");
    *n = count < 0 ? 0 : count > 0x1p62 ? (int64_t)1 << 62 : (int64_t)count;
    return VECQ_OK;
}

/* output[i] = start + i * delta, both operations in the type (float16: in float). */
static void range_fill(vecq_tensor *out, vecq_fold_kind kind, const vecq_fold_block *start,
                       const vecq_fold_block *delta)
{
    vecq_fold_block block;
    size_t first, n, j;

    for (first = 0; first < out->count; first += n) {
        n = out->count - first < VECQ_FOLD_BLOCK ? out->count - first : VECQ_FOLD_BLOCK;
        for (j = 0; j < n; j++) {
            if (kind == VECQ_FOLD_F32)
                block.f[j] = start->f[0] + (float)(first + j) * delta->f[0];
            else if (kind == VECQ_FOLD_F64)
                block.d[j] = start->d[0] + (double)(first + j) * delta->d[0];
            else
                block.u[j] = start->u[0] + (uint64_t)(first + j) * delta->u[0];
        }
        vecq_fold_store(out->dtype, &block, n, out->data, first);
    }
}

vecq_status vecq_fold_op_range(vecq_fold_call *call)
{
    const vecq_tensor *x;
    vecq_fold_block v[3];
    vecq_dtype dtype = VECQ_DT_UNDEFINED;
    vecq_fold_kind kind = VECQ_FOLD_NONE;
    int64_t n;
    size_t i;

    for (i = 0; i < 3; i++) {
        VECQ_TRY(vecq_fold_input(call, i, &x));
        if (i == 0)
            dtype = x->dtype;
        kind = vecq_fold_kind_arith(dtype);
        if (x->dtype != dtype || x->count != 1 || kind == VECQ_FOLD_NONE)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "needs three numbers of one type");
        vecq_fold_load(dtype, x->data, 0, 1, 1, &v[i]);
    }
    if (kind == VECQ_FOLD_F32)
        VECQ_TRY(range_count_float(call, v[0].f[0], v[1].f[0], v[2].f[0], &n));
    else if (kind == VECQ_FOLD_F64)
        VECQ_TRY(range_count_float(call, v[0].d[0], v[1].d[0], v[2].d[0], &n));
    else if (kind == VECQ_FOLD_U64 || v[2].i[0] == 0)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "unsigned, or a step of 0");
    else
        n = range_count_int(v[0].i[0], v[1].i[0], v[2].i[0]);
    VECQ_TRY(vecq_fold_create(call, &call->out[0], dtype, 1, &n));
    range_fill(&call->out[0], kind, &v[0], &v[2]);
    return VECQ_OK;
}

vecq_status vecq_fold_op_eye_like(vecq_fold_call *call)
{
    const vecq_tensor *x;
    vecq_fold_block one;
    vecq_fold_kind kind;
    int64_t dtype, k, row, column;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_int(call, "dtype", x->dtype, &dtype));
    VECQ_TRY(vecq_fold_int(call, "k", 0, &k));
    if (x->rank != 2 || dtype < 0 || dtype >= VECQ_DT_COUNT)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "needs rank 2 and a known type");
    kind = vecq_fold_kind_arith((vecq_dtype)dtype);
    if (kind == VECQ_FOLD_NONE)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "type %s", vecq_dtype_name((vecq_dtype)dtype));
    VECQ_TRY(vecq_fold_create(call, &call->out[0], (vecq_dtype)dtype, 2, x->dims));
    memset(call->out[0].data, 0, call->out[0].n_bytes);
    one.i[0] = 1;
    vecq_fold_convert(&one, 1, VECQ_FOLD_I64, kind);
    for (row = 0; row < x->dims[0]; row++) {
        if (k > x->dims[1] || k < -x->dims[0])
            break;
        column = row + k;
        if (column >= 0 && column < x->dims[1])
            vecq_fold_store((vecq_dtype)dtype, &one, 1, call->out[0].data,
                            (size_t)(row * x->dims[1] + column));
    }
    return VECQ_OK;
}
