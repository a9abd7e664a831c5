/* SPDX-License-Identifier: Apache-2.0 */
/* The two networks whose training steps are timed, as lists of layers: bench_step.c makes programs of them,
 * step_alone.c primitives; torch_step.py has the same. */
#ifndef VECQ_BENCH_STEP_NET_H
#define VECQ_BENCH_STEP_NET_H

#include <stddef.h>

typedef enum step_kind { STEP_CONV, STEP_RELU, STEP_NORM, STEP_POOL, STEP_FLATTEN, STEP_DENSE } step_kind;

typedef struct step_layer {
    step_kind kind;
    int width;  /* channels of the result */
    int kernel; /* of a convolution, odd, padding "same"; pooling is 2/2 */
} step_layer;

typedef struct step_net {
    const char *name;
    int batch, channels, size, classes;
    const step_layer *layers;
    size_t n;
} step_net;

#define STEP_BLOCK(width, kernel)                                                                            \
    {STEP_CONV, width, kernel}, {STEP_RELU, 0, 0},                                                           \
    {                                                                                                        \
        STEP_NORM, 0, 0                                                                                      \
    }
#define STEP_HEAD(width, classes)                                                                            \
    {STEP_FLATTEN, 0, 0}, {STEP_DENSE, width, 0}, {STEP_RELU, 0, 0}, {STEP_NORM, 0, 0},                      \
    {                                                                                                        \
        STEP_DENSE, classes, 0                                                                               \
    }
#define STEP_HALVE                                                                                           \
    {                                                                                                        \
        STEP_POOL, 0, 0                                                                                      \
    }

static const step_layer step_lenet5[] = {STEP_BLOCK(32, 5), STEP_HALVE, STEP_BLOCK(64, 5), STEP_HALVE,
                                         STEP_HEAD(512, 10)};
static const step_layer step_vgg[] = {
    STEP_BLOCK(64, 3), STEP_BLOCK(64, 3),  STEP_HALVE,         STEP_BLOCK(128, 3), STEP_BLOCK(128, 3),
    STEP_HALVE,        STEP_BLOCK(256, 3), STEP_BLOCK(256, 3), STEP_HALVE,         STEP_HEAD(1024, 10)};

static const step_net step_nets[] = {
    {"lenet5", 200, 1, 28, 10, step_lenet5, sizeof step_lenet5 / sizeof *step_lenet5},
    {"vgg", 128, 3, 32, 10, step_vgg, sizeof step_vgg / sizeof *step_vgg},
};

/* Floating point operations of a step, forward and backward; the first layer has no gradient to its input. */
static inline double step_flops(const step_net *net, int batch)
{
    double size = net->size, width = net->channels, sum = 0;
    size_t i;

    for (i = 0; i < net->n; i++) {
        const step_layer *l = &net->layers[i];

        if (l->kind == STEP_CONV) {
            sum += (i == 0 ? 2 : 3) * 2.0 * batch * size * size * width * l->width * l->kernel * l->kernel;
            width = l->width;
        } else if (l->kind == STEP_POOL) {
            size = size / 2 - (size / 2 - (int)(size / 2));
        } else if (l->kind == STEP_FLATTEN) {
            width *= size * size;
        } else if (l->kind == STEP_DENSE) {
            sum += 3 * 2.0 * batch * width * l->width;
            width = l->width;
        }
    }
    return sum;
}

#endif
