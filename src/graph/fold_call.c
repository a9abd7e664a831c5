/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/fold_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "graph/fold_number.h"

vecq_status vecq_fold_fail(const vecq_fold_call *call, vecq_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    const char *name = call->node->name;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (name == NULL || *name == '\0')
        name = call->n_out > 0 && call->node->outputs[0] != NULL ? call->node->outputs[0]->name : "";
    return vecq_error_set(call->err, status, "%s '%.200s' (opset %lld): %s", call->node->op_type, name,
                          (long long)call->node->version, text);
}

vecq_status vecq_fold_charge(const vecq_fold_call *call, uint64_t n_bytes)
{
    if (*call->work < n_bytes)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED,
                              "the constant subgraph takes too much work to evaluate");
    *call->work -= n_bytes;
    return VECQ_OK;
}

size_t vecq_fold_size(vecq_dtype dtype)
{
    return (vecq_dtype_bits(dtype) + 7) / 8;
}

static int fold_is_signed(vecq_dtype dtype)
{
    return vecq_fold_kind_of(dtype) == VECQ_FOLD_I64;
}

static void fold_widen(vecq_dtype dtype, const uint8_t *packed, uint8_t *wide, size_t n)
{
    unsigned bits = vecq_dtype_bits(dtype), per_byte = 8 / bits, mask = (1u << bits) - 1;
    unsigned half = fold_is_signed(dtype) ? 1u << (bits - 1) : 0;
    size_t i;

    for (i = 0; i < n; i++) {
        unsigned code = packed[i / per_byte] >> (i % per_byte * bits) & mask;
        wide[i] = (uint8_t)((code ^ half) - half);
    }
}

vecq_status vecq_fold_const(const vecq_const *constant, vecq_tensor *out, vecq_error *err)
{
    unsigned bits = vecq_dtype_bits(constant->dtype);
    vecq_tensor packed;
    uint8_t *wide;

    memset(out, 0, sizeof *out);
    if (constant->is_opaque || bits == 0)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "a %s constant (or a sparse one) cannot be evaluated",
                              vecq_dtype_name(constant->dtype));
    VECQ_TRY(vecq_const_load(constant, &packed, err));
    if (bits < 8) {
        wide = vecq_alloc(packed.count, 1);
        if (wide == NULL) {
            size_t n_bytes = packed.count;
            vecq_tensor_destroy(&packed);
            return vecq_error_memory(err, n_bytes);
        }
        fold_widen(packed.dtype, packed.data, wide, packed.count);
        vecq_free(packed.data);
        packed.data = wide;
        packed.n_bytes = packed.count;
    }
    *out = packed;
    return VECQ_OK;
}

void vecq_fold_pack(vecq_tensor *tensor)
{
    unsigned bits = vecq_dtype_bits(tensor->dtype), per_byte, mask;
    uint8_t *bytes = tensor->data;
    size_t i, n_bytes;

    if (bits >= 8)
        return;
    per_byte = 8 / bits;
    mask = (1u << bits) - 1;
    n_bytes = vecq_dtype_bytes(tensor->dtype, tensor->count);
    for (i = 0; i < n_bytes;
         i++) { /* byte i is written after every element in it was read: i * per_byte >= i */
        unsigned byte = 0, k;
        for (k = 0; k < per_byte && i * per_byte + k < tensor->count; k++)
            byte |= (bytes[i * per_byte + k] & mask) << (k * bits);
        bytes[i] = (uint8_t)byte;
    }
    tensor->n_bytes = n_bytes;
}

vecq_status vecq_fold_create(vecq_fold_call *call, vecq_tensor *out, vecq_dtype dtype, unsigned rank,
                             const int64_t *dims)
{
    vecq_tensor t = {0};
    size_t size = vecq_fold_size(dtype);
    unsigned i;

    memset(out, 0, sizeof *out);
    if (rank > VECQ_MAX_RANK)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "rank %u is above %u", rank, VECQ_MAX_RANK);
    if (size == 0)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "tensors of type %s are not evaluated",
                              vecq_dtype_name(dtype));
    for (i = 0; i < rank; i++)
        if (dims[i] < 0)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "negative dimension %lld", (long long)dims[i]);
    if (!vecq_shape_count(dims, rank, &t.count) || !vecq_mul_size(t.count, size, &t.n_bytes) ||
        t.n_bytes > call->limit_bytes)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "a result is above the limit of %zu bytes",
                              call->limit_bytes);
    if (call->held_bytes / 4 + t.n_bytes / 4 > call->limit_bytes)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "results held at once are above 4 x %zu bytes",
                              call->limit_bytes);
    VECQ_TRY(vecq_fold_charge(call, t.n_bytes));
    t.data = vecq_alloc(t.n_bytes, 1);
    if (t.data == NULL)
        return vecq_error_memory(call->err, t.n_bytes);
    t.dtype = dtype;
    t.rank = rank;
    if (rank > 0)
        memcpy(t.dims, dims, rank * sizeof *dims);
    *out = t;
    return VECQ_OK;
}

vecq_status vecq_fold_pass(vecq_fold_call *call, size_t i, unsigned rank, const int64_t *dims)
{
    vecq_tensor *in = call->in[i], *out = &call->out[0];

    if (!call->last[i]) {
        VECQ_TRY(vecq_fold_create(call, out, in->dtype, rank, dims));
        if (in->n_bytes > 0)
            memcpy(out->data, in->data, in->n_bytes);
        return VECQ_OK;
    }
    if (rank > VECQ_MAX_RANK)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "rank %u is above %u", rank, VECQ_MAX_RANK);
    *out = *in;
    out->rank = rank;
    memset(out->dims, 0, sizeof out->dims);
    if (rank > 0)
        memcpy(out->dims, dims, rank * sizeof *dims);
    memset(in, 0, sizeof *in);
    return VECQ_OK;
}

const vecq_tensor *vecq_fold_optional(const vecq_fold_call *call, size_t i)
{
    return i < call->n_in ? call->in[i] : NULL;
}

vecq_status vecq_fold_input(const vecq_fold_call *call, size_t i, const vecq_tensor **out)
{
    *out = vecq_fold_optional(call, i);
    if (*out == NULL)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "input %zu is missing", i);
    return VECQ_OK;
}

static vecq_status fold_attr(const vecq_fold_call *call, const char *name, vecq_attr_type type,
                             const vecq_attr **out)
{
    const vecq_attr *attr = vecq_node_attr(call->node, name);

    *out = NULL;
    if (attr != NULL && attr->type != type)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "attribute '%s' has the wrong type", name);
    *out = attr;
    return VECQ_OK;
}

vecq_status vecq_fold_int(const vecq_fold_call *call, const char *name, int64_t missing, int64_t *out)
{
    const vecq_attr *attr;

    VECQ_TRY(fold_attr(call, name, VECQ_ATTR_INT, &attr));
    *out = attr != NULL ? attr->i : missing;
    return VECQ_OK;
}

vecq_status vecq_fold_float(const vecq_fold_call *call, const char *name, float missing, float *out)
{
    const vecq_attr *attr;

    VECQ_TRY(fold_attr(call, name, VECQ_ATTR_FLOAT, &attr));
    *out = attr != NULL ? attr->f : missing;
    return VECQ_OK;
}

vecq_status vecq_fold_string(const vecq_fold_call *call, const char *name, const char *const *names, int *out)
{
    const vecq_attr *attr;
    int i;

    *out = 0;
    VECQ_TRY(fold_attr(call, name, VECQ_ATTR_STRING, &attr));
    if (attr == NULL)
        return VECQ_OK;
    for (i = 0; names[i] != NULL; i++)
        if (strlen(names[i]) == attr->s.n && memcmp(names[i], attr->s.data, attr->s.n) == 0) {
            *out = i;
            return VECQ_OK;
        }
    return vecq_fold_fail(call, VECQ_ERR_FORMAT, "attribute '%s' has an unknown value", name);
}

vecq_status vecq_fold_list_attr(const vecq_fold_call *call, const char *name, vecq_fold_list *out)
{
    const vecq_attr *attr;

    memset(out, 0, sizeof *out);
    VECQ_TRY(fold_attr(call, name, VECQ_ATTR_INTS, &attr));
    if (attr == NULL)
        return VECQ_OK;
    if (attr->n > VECQ_FOLD_LIST_MAX)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "attribute '%s' has too many elements", name);
    out->given = 1;
    out->n = attr->n;
    if (attr->n > 0)
        memcpy(out->v, attr->ints, attr->n * sizeof *attr->ints);
    return VECQ_OK;
}

vecq_status vecq_fold_index(const vecq_fold_call *call, const vecq_tensor *tensor, size_t i, int64_t *out)
{
    int32_t narrow;

    *out = 0;
    if (tensor->dtype == VECQ_DT_INT64) {
        memcpy(out, (const char *)tensor->data + i * sizeof *out, sizeof *out);
        return VECQ_OK;
    }
    if (tensor->dtype != VECQ_DT_INT32)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "%s where int32 or int64 is needed",
                              vecq_dtype_name(tensor->dtype));
    memcpy(&narrow, (const char *)tensor->data + i * sizeof narrow, sizeof narrow);
    *out = narrow;
    return VECQ_OK;
}

vecq_status vecq_fold_list_input(const vecq_fold_call *call, size_t i, vecq_fold_list *out)
{
    const vecq_tensor *tensor = vecq_fold_optional(call, i);
    size_t j;

    memset(out, 0, sizeof *out);
    if (tensor == NULL)
        return VECQ_OK;
    if (tensor->rank > 1 || tensor->count > VECQ_FOLD_LIST_MAX)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "input %zu is not a short list of integers", i);
    for (j = 0; j < tensor->count; j++)
        VECQ_TRY(vecq_fold_index(call, tensor, j, &out->v[j]));
    out->given = 1;
    out->n = tensor->count;
    return VECQ_OK;
}

vecq_status vecq_fold_list_moved(const vecq_fold_call *call, const char *name, size_t i, int64_t moved,
                                 vecq_fold_list *out)
{
    if (call->node->version >= moved)
        return vecq_fold_list_input(call, i, out);
    return vecq_fold_list_attr(call, name, out);
}

vecq_status vecq_fold_axis(const vecq_fold_call *call, int64_t axis, unsigned rank, unsigned *out)
{
    *out = 0;
    if (axis < -(int64_t)rank || axis >= (int64_t)rank)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "axis %lld of a tensor of rank %u", (long long)axis,
                              rank);
    *out = (unsigned)(axis < 0 ? axis + (int64_t)rank : axis);
    return VECQ_OK;
}

vecq_status vecq_fold_axes(const vecq_fold_call *call, const vecq_fold_list *axes, unsigned rank,
                           unsigned char marks[VECQ_MAX_RANK])
{
    size_t i;
    unsigned a;

    memset(marks, 0, VECQ_MAX_RANK);
    for (i = 0; i < axes->n; i++) {
        VECQ_TRY(vecq_fold_axis(call, axes->v[i], rank, &a));
        if (marks[a])
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "axis %u is named twice", a);
        marks[a] = 1;
    }
    return VECQ_OK;
}

size_t vecq_fold_span(const int64_t *dims, unsigned from, unsigned to)
{
    size_t n = 1;
    unsigned a;

    for (a = from; a < to; a++)
        if (dims[a] == 0) /* the other dimensions of an empty tensor may not fit a size_t together */
            return 0;
    for (a = from; a < to; a++)
        n *= (size_t)dims[a];
    return n;
}
