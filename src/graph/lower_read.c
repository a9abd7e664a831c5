/* SPDX-License-Identifier: Apache-2.0 */
/* What lowering functions read: constants and attributes. */
#include <string.h>

#include "base/status.h"
#include "graph/lower.h"

static vecq_status list_check(const vecq_var *var, const char *what, size_t max, vecq_error *err)
{
    if (var->kind != VECQ_VAR_CONSTANT)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "%s must be known before run time", what);
    if (var->rank > 1 || var->count > max)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s has too many elements (%zu)", what, var->count);
    return VECQ_OK;
}

vecq_status vecq_lower_ints(const vecq_var *var, const char *what, int64_t *dst, size_t max, size_t *n,
                            vecq_error *err)
{
    size_t i;

    *n = 0;
    if (var == NULL)
        return VECQ_OK;
    VECQ_TRY(list_check(var, what, max, err));
    if (var->dtype != VECQ_DT_INT64 && var->dtype != VECQ_DT_INT32)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s must be integers, not %s", what,
                              vecq_dtype_name(var->dtype));
    for (i = 0; i < var->count; i++)
        dst[i] = var->dtype == VECQ_DT_INT64 ? ((const int64_t *)var->constant.data)[i]
                                             : ((const int32_t *)var->constant.data)[i];
    *n = var->count;
    return VECQ_OK;
}

double vecq_lower_number(const vecq_var *var, size_t i)
{
    const void *data = var->constant.data;

    switch (var->dtype) {
    case VECQ_DT_FLOAT:
        return (double)((const float *)data)[i];
    case VECQ_DT_DOUBLE:
        return ((const double *)data)[i];
    case VECQ_DT_INT8:
        return ((const int8_t *)data)[i];
    case VECQ_DT_INT16:
        return ((const int16_t *)data)[i];
    case VECQ_DT_INT32:
        return ((const int32_t *)data)[i];
    case VECQ_DT_INT64:
        return (double)((const int64_t *)data)[i];
    case VECQ_DT_UINT16:
        return ((const uint16_t *)data)[i];
    case VECQ_DT_UINT32:
        return ((const uint32_t *)data)[i];
    case VECQ_DT_UINT64:
        return (double)((const uint64_t *)data)[i];
    default: /* uint8, bool */
        return ((const uint8_t *)data)[i];
    }
}

vecq_status vecq_lower_floats(const vecq_var *var, const char *what, double *dst, size_t max, size_t *n,
                              vecq_error *err)
{
    size_t i;

    *n = 0;
    if (var == NULL)
        return VECQ_OK;
    VECQ_TRY(list_check(var, what, max, err));
    for (i = 0; i < var->count; i++)
        dst[i] = vecq_lower_number(var, i);
    *n = var->count;
    return VECQ_OK;
}

vecq_status vecq_lower_attr_ints(const vecq_node *node, const char *name, int64_t missing, size_t want,
                                 int64_t *dst, vecq_error *err)
{
    const vecq_attr *attr = vecq_node_attr(node, name);
    size_t i;

    if (attr != NULL && attr->type != VECQ_ATTR_INTS)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "attribute '%s' must be a list of integers", name);
    if (attr != NULL && attr->n > 0 && attr->n != want)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "attribute '%s' has %zu entries, not %zu", name, attr->n,
                              want);
    for (i = 0; i < want; i++)
        dst[i] = attr != NULL && attr->n > 0 ? attr->ints[i] : missing;
    return VECQ_OK;
}

vecq_status vecq_lower_attr_string(const vecq_node *node, const char *name, const char *const *names,
                                   int *out, vecq_error *err)
{
    const vecq_attr *attr = vecq_node_attr(node, name);

    *out = 0;
    if (attr == NULL)
        return VECQ_OK;
    if (attr->type != VECQ_ATTR_STRING)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "attribute '%s' must be a string", name);
    for (*out = 0; names[*out] != NULL; ++*out)
        if (strlen(names[*out]) == attr->s.n && memcmp(names[*out], attr->s.data, attr->s.n) == 0)
            return VECQ_OK;
    return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "%s '%.*s' is not supported", name,
                          attr->s.n < 60 ? (int)attr->s.n : 60, (const char *)attr->s.data);
}

vecq_status vecq_lower_axis(int64_t axis, unsigned rank, unsigned *out, vecq_error *err)
{
    if (axis < -(int64_t)rank || axis >= (int64_t)rank)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "axis %lld of a value with %u dimensions",
                              (long long)axis, rank);
    *out = (unsigned)(axis < 0 ? axis + (int64_t)rank : axis);
    return VECQ_OK;
}

vecq_dtype vecq_lower_type(const vecq_value *value, const vecq_var *var)
{
    if (value->constant != NULL)
        return value->constant->dtype;
    return value->is_typed ? value->dtype : var->dtype;
}
