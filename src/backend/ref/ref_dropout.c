/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dropout by counting: element i is kept when the upper 53 bits of a mixed (key + i * odd) reach the ratio.
 * The key comes from seed, step and stream by the same mixing (the finalizer of splitmix64), so a mask needs
 * no state and is the same for any number of threads.
 */
#include "backend/ref/ref.h"
#include "base/status.h"
#include "base/threads.h"

#define GRAIN  16384u
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

typedef struct dropout {
    uint64_t key, threshold;
    double scale;
    const void *x;
    const unsigned char *mask_in;
    unsigned char *mask;
    void *y;
} dropout;

#define DROPOUT(type, suffix)                                                                                \
    static vecq_status forward_##suffix(void *context, size_t begin, size_t end, unsigned thread,            \
                                        vecq_error *err)                                                     \
    {                                                                                                        \
        const dropout *d = context;                                                                          \
        const type *x = d->x, factors[2] = {0, (type)d->scale}; /* a branch would be mispredicted */         \
        type *y = d->y;                                                                                      \
        size_t i;                                                                                            \
        (void)thread;                                                                                        \
        (void)err;                                                                                           \
        for (i = begin; i < end; i++) {                                                                      \
            const int keep = (mix(d->key + (uint64_t)i * GOLDEN) >> 11) >= d->threshold;                     \
            if (y != NULL)                                                                                   \
                y[i] = x[i] * factors[keep];                                                                 \
            if (d->mask != NULL)                                                                             \
                d->mask[i] = (unsigned char)keep;                                                            \
        }                                                                                                    \
        return VECQ_OK;                                                                                      \
    }                                                                                                        \
    static vecq_status backward_##suffix(void *context, size_t begin, size_t end, unsigned thread,           \
                                         vecq_error *err)                                                    \
    {                                                                                                        \
        const dropout *d = context;                                                                          \
        const type *dy = d->x, factors[2] = {0, (type)d->scale};                                             \
        type *dx = d->y;                                                                                     \
        size_t i;                                                                                            \
        (void)thread;                                                                                        \
        (void)err;                                                                                           \
        for (i = begin; i < end; i++)                                                                        \
            dx[i] = dy[i] * factors[d->mask_in[i] != 0];                                                     \
        return VECQ_OK;                                                                                      \
    }

DROPOUT(float, f32)
DROPOUT(double, f64)

vecq_status vecq_ref_dropout(const vecq_ref_call *call)
{
    const vecq_dropout_params *params = call->op->params;
    const vecq_var *x = call->op->inputs[0];
    dropout d = {.x = call->in[0], .y = call->out[0], .mask = call->out[1]};

    d.key = mix(mix(mix(call->run->seed + GOLDEN) + call->run->step + GOLDEN) + params->stream + GOLDEN);
    d.threshold = (uint64_t)(params->ratio * 0x1p53);
    d.scale = 1 / (1 - params->ratio);
    return vecq_parallel_for(x->count, GRAIN, call->run->threads,
                             x->dtype == VECQ_DT_DOUBLE ? forward_f64 : forward_f32, &d, call->err);
}

vecq_status vecq_ref_dropout_grad(const vecq_ref_call *call)
{
    const vecq_dropout_params *params = call->op->params;
    const vecq_var *dy = call->op->inputs[0];
    dropout d = {.x = call->in[0], .mask_in = call->in[1], .y = call->out[0]};

    if (call->out[0] == NULL)
        return VECQ_OK;
    d.scale = 1 / (1 - params->ratio);
    return vecq_parallel_for(dy->count, GRAIN, call->run->threads,
                             dy->dtype == VECQ_DT_DOUBLE ? backward_f64 : backward_f32, &d, call->err);
}
