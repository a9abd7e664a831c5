/* SPDX-License-Identifier: Apache-2.0 */
/* ArgMax, comparisons, Where. */
#include <string.h>

#include "backend/ref/ref.h"
#include "backend/ref/ref_types.h"
#include "base/status.h"
#include "base/threads.h"

static vecq_status unknown_type(const vecq_ref_call *call)
{
    return vecq_error_set(call->err, VECQ_ERR_UNSUPPORTED, "%s '%s': type %s is not covered",
                          call->op->info->name, call->op->name, vecq_dtype_name(call->op->inputs[0]->dtype));
}

/* ---- ArgMax ---- */

typedef struct arg_work {
    const vecq_arg_params *params;
    const void *x;
    int64_t *dst;
    size_t n, inner;
} arg_work;

/* A NaN is never chosen, except as the first of all. */
#define ARG_MAX(dtype, type)                                                                                 \
    static vecq_status arg_max_##type(void *context, size_t begin, size_t end, unsigned thread,              \
                                      vecq_error *err)                                                       \
    {                                                                                                        \
        const arg_work *w = context;                                                                         \
        size_t i, k;                                                                                         \
                                                                                                             \
        (void)thread;                                                                                        \
        (void)err;                                                                                           \
        for (i = begin; i < end; i++) {                                                                      \
            const type *x = (const type *)w->x + i / w->inner * w->n * w->inner + i % w->inner;              \
            type best = x[0];                                                                                \
                                                                                                             \
            w->dst[i] = 0;                                                                                   \
            for (k = 1; k < w->n; k++) {                                                                     \
                type value = x[k * w->inner];                                                                \
                if (w->params->is_min ? value < best : value > best) {                                       \
                    best = value;                                                                            \
                    w->dst[i] = (int64_t)k;                                                                  \
                } else if (w->params->is_last && value == best) {                                            \
                    w->dst[i] = (int64_t)k;                                                                  \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
        return VECQ_OK;                                                                                      \
    }
VECQ_REF_TYPES(ARG_MAX)

vecq_status vecq_ref_arg_max(const vecq_ref_call *call)
{
    const vecq_var *x = call->op->inputs[0], *y = call->op->outputs[0];
    arg_work w = {.params = call->op->params, .x = call->in[0], .dst = call->out[0], .inner = 1};
    unsigned a;

    if (call->out[0] == NULL)
        return VECQ_OK;
    w.n = (size_t)x->dims[w.params->axis];
    for (a = w.params->axis + 1; a < x->rank; a++)
        w.inner *= (size_t)x->dims[a];
    switch (x->dtype) {
#define ARG_MAX_CASE(dtype, type)                                                                            \
    case dtype:                                                                                              \
        return vecq_parallel_for(y->count, 256, call->run->threads, arg_max_##type, &w, call->err);
        VECQ_REF_TYPES(ARG_MAX_CASE)
    default:
        return unknown_type(call);
    }
}

/* ---- comparisons ---- */

#define COMPARE(dtype, type)                                                                                 \
    static void compare_##type(vecq_compare_kind kind, size_t n, const type *a, const type *b, uint8_t *dst) \
    {                                                                                                        \
        size_t i;                                                                                            \
                                                                                                             \
        switch (kind) {                                                                                      \
        case VECQ_COMPARE_EQUAL:                                                                             \
            for (i = 0; i < n; i++)                                                                          \
                dst[i] = a[i] == b[i];                                                                       \
            break;                                                                                           \
        case VECQ_COMPARE_LESS:                                                                              \
            for (i = 0; i < n; i++)                                                                          \
                dst[i] = a[i] < b[i];                                                                        \
            break;                                                                                           \
        case VECQ_COMPARE_LESS_EQUAL:                                                                        \
            for (i = 0; i < n; i++)                                                                          \
                dst[i] = a[i] <= b[i];                                                                       \
            break;                                                                                           \
        case VECQ_COMPARE_AND:                                                                               \
            for (i = 0; i < n; i++)                                                                          \
                dst[i] = a[i] != 0 && b[i] != 0;                                                             \
            break;                                                                                           \
        case VECQ_COMPARE_OR:                                                                                \
            for (i = 0; i < n; i++)                                                                          \
                dst[i] = a[i] != 0 || b[i] != 0;                                                             \
            break;                                                                                           \
        case VECQ_COMPARE_XOR:                                                                               \
            for (i = 0; i < n; i++)                                                                          \
                dst[i] = (a[i] != 0) != (b[i] != 0);                                                         \
            break;                                                                                           \
        }                                                                                                    \
    }
VECQ_REF_TYPES(COMPARE)

vecq_status vecq_ref_compare(const vecq_ref_call *call)
{
    const vecq_compare_params *params = call->op->params;
    const vecq_var *a = call->op->inputs[0];

    if (call->out[0] == NULL)
        return VECQ_OK;
    switch (a->dtype) {
#define COMPARE_CASE(dtype, type)                                                                            \
    case dtype:                                                                                              \
        compare_##type(params->kind, a->count, call->in[0], call->in[1], call->out[0]);                      \
        return VECQ_OK;
        VECQ_REF_TYPES(COMPARE_CASE)
    default:
        return unknown_type(call);
    }
}

/* ---- Where ---- */

vecq_status vecq_ref_where(const vecq_ref_call *call)
{
    const vecq_var *x = call->op->inputs[1];
    const uint8_t *which = call->in[0];
    size_t size = vecq_dtype_bytes(x->dtype, 1), i;
    unsigned char *dst = call->out[0];

    for (i = 0; i < x->count && dst != NULL; i++)
        memcpy(dst + i * size, (const unsigned char *)call->in[which[i] != 0 ? 1 : 2] + i * size, size);
    return VECQ_OK;
}
