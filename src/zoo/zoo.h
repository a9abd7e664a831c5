/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The networks that training from scratch starts from: untrained, seeded ONNX models, made in memory.
 *
 * Every network has one input, "input" (images: float [N, channels, height, width]; text: int64 token ids
 * [N, length]), and one output, "logits" [N, classes]: softmax, or the sigmoid of the binary IMDB network, is
 * the loss's business. A binary text network (imdb-cnn-lstm with 2 classes) has one logit, [N, 1]: that of
 * class 1.
 *
 * Names are those of the layers: node "conv1" has tensors "conv1.weight" and "conv1.bias", "bn1" has
 * "bn1.gamma", "bn1.beta", "bn1.mean", "bn1.variance". What is no parameter is either computed (the gamma of
 * an input normalization) or a scalar ("relu6.min", "dropout1.ratio").
 */
#ifndef VECQ_ZOO_ZOO_H
#define VECQ_ZOO_ZOO_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/status.h"

struct vecq_layers;

typedef enum vecq_network_kind { VECQ_NETWORK_IMAGE, VECQ_NETWORK_TEXT } vecq_network_kind;

/*
 * First values of kernels. Biases begin at 0 (forget gates at 1), gamma at 1, beta and mean at 0, variance at
 * 1, recurrent kernels orthogonal, embeddings uniform in +-0.05, with every initializer.
 */
typedef enum vecq_zoo_initializer {
    VECQ_ZOO_DEFAULT = 0,    /* that of the network */
    VECQ_ZOO_GLOROT_UNIFORM, /* +-sqrt(6 / (fan_in + fan_out)): Keras's default, what the paper's networks
                                have */
    VECQ_ZOO_HE_NORMAL,      /* convolutions N(0, 2 / fan_out); dense layers and LSTM Glorot uniform */
    VECQ_ZOO_INITIALIZERS
} vecq_zoo_initializer;

typedef struct vecq_network {
    const char *name, *title, *source;
    vecq_network_kind kind;
    size_t channels, height, width; /* usual size of images; 0 for text */
    size_t length, vocabulary;      /* usual size of texts; 0 for images */
    size_t classes;
    vecq_zoo_initializer initializer;
    void (*build)(struct vecq_layers *layers);
} vecq_network;

size_t vecq_zoo_count(void);
const vecq_network *vecq_zoo_at(size_t index);
const vecq_network *vecq_zoo_find(const char *name); /* NULL when there is none */

/* "default", "glorot-uniform", "he-normal"; NULL out of range. */
const char *vecq_zoo_initializer_name(vecq_zoo_initializer initializer);

typedef struct vecq_zoo_options {
    size_t size;                    /* sizeof(vecq_zoo_options) */
    size_t classes;                 /* at least 2 */
    size_t channels, height, width; /* images only */
    size_t length, vocabulary;      /* text only */
    uint64_t seed; /* 1. Each tensor has a stream of its own, made of seed and name: what is added later
                      shifts none */
    vecq_zoo_initializer initializer; /* VECQ_ZOO_DEFAULT */
} vecq_zoo_options;

/* The usual sizes of the network. */
void vecq_zoo_options_default(const vecq_network *network, vecq_zoo_options *options);

/*
 * The network as a serialized ONNX model (opset 17, IR version 8), to be freed by vecq_free(). Same options,
 * same bytes (normal and orthogonal values: on one C library). VECQ_ERR_UNSUPPORTED for sizes the layers
 * cannot have.
 */
vecq_status vecq_zoo_build(const vecq_network *network, const vecq_zoo_options *options, uint8_t **bytes,
                           size_t *n_bytes, vecq_error *err);

#endif
