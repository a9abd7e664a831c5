/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appends layers to a network: each takes what the one before it gave. After a failure the others do nothing,
 * so that a network is a plain listing of its layers; the failure is kept in `status`.
 */
#ifndef VECQ_ZOO_LAYERS_H
#define VECQ_ZOO_LAYERS_H

#include "onnx/tree.h"
#include "zoo/fill.h"
#include "zoo/zoo.h"

/* A value on its way, without its batch axis. Dense vectors have height and width 1; sequences have height 0,
 * and their length is the width. */
typedef struct vecq_flow {
    const char *name;
    size_t channels, height, width;
} vecq_flow;

typedef struct vecq_layers {
    vecq_arena arena;
    const vecq_network *network;
    const vecq_zoo_options *options;
    vecq_flow x;             /* what the next layer takes */
    float epsilon, momentum; /* of normalizations; running = momentum * running + (1 - momentum) * batch */
    int is_last;             /* the next node gives "logits" */
    int has_relu6;           /* its bounds are there */
    vecq_status status;
    vecq_error *err;
    vecq_message **nodes, **tensors;
    vecq_fill **fills; /* of the float tensors, in their order */
    size_t n_nodes, n_tensors, n_fills;
    size_t nodes_capacity, tensors_capacity, fills_capacity;
} vecq_layers;

void vecq_layers_clear(vecq_layers *l);

/* ---- layers ---- */

/* Kernel, stride and padding are the same along every spatial axis: two of images, one of sequences. */
typedef struct vecq_conv {
    size_t outputs, kernel;
    size_t stride;        /* 0: 1 */
    size_t before, after; /* zeros at the ends of each axis */
    int is_depthwise;     /* one kernel per channel; `outputs` is then the input's */
    int has_bias;
} vecq_conv;

void vecq_layer_conv(vecq_layers *l, const char *name, vecq_conv conv);
void vecq_layer_norm(vecq_layers *l, const char *name);
/* Batch normalization whose gamma is 1 for good: computed (ConstantOfShape), so no tensor of the file. */
void vecq_layer_norm_fixed(vecq_layers *l, const char *name);
void vecq_layer_relu(vecq_layers *l, const char *name);
void vecq_layer_relu6(vecq_layers *l, const char *name);
/* Padding is of the lowest value there is; after a ReLU that equals zeros. */
void vecq_layer_max_pool(vecq_layers *l, const char *name, size_t window, size_t stride, size_t pad);
void vecq_layer_global_pool(vecq_layers *l, const char *name);
void vecq_layer_dropout(vecq_layers *l, const char *name, float ratio);
void vecq_layer_add(vecq_layers *l, const char *name, vecq_flow other);
void vecq_layer_flatten(vecq_layers *l, const char *name);
/* Gemm with weights [outputs, inputs] and a bias. */
void vecq_layer_dense(vecq_layers *l, const char *name, size_t outputs);
/* The next layer gives the result of the network. */
void vecq_layer_last(vecq_layers *l);

/* Sequences: token ids -> [N, length, features]. */
void vecq_layer_embedding(vecq_layers *l, const char *name, size_t features);
/* Order of the axes, the batch axis included: convolution and pooling take [N, features, length], an LSTM
 * takes [length, N, features]. */
void vecq_layer_transpose(vecq_layers *l, const char *name, int first, int second, int third);
/* [length, N, features] -> the last hidden state, [N, units]. */
void vecq_layer_lstm(vecq_layers *l, const char *name, size_t units);

/* A name in the arena, "" after a failure. */
const char *vecq_layers_name(vecq_layers *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
