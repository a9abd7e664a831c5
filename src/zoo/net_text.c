/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text classifiers. The LSTMs have ONNX's own activations (sigmoid and tanh); Keras before 2.3 took a
 * piecewise linear "hard" sigmoid for the gates, and the paper does not say.
 */
#include "zoo/layers.h"
#include "zoo/networks.h"

/* One logit when there are two classes: the paper's net ends in a single sigmoid. */
void vecq_network_imdb_cnn_lstm(vecq_layers *l)
{
    size_t classes = l->options->classes;

    vecq_layer_embedding(l, "embedding", 128);
    vecq_layer_dropout(l, "dropout", 0.25f);
    vecq_layer_transpose(l, "features_first", 0, 2, 1);
    vecq_layer_conv(l, "conv", (vecq_conv){.outputs = 64, .kernel = 5, .has_bias = 1});
    vecq_layer_relu(l, "relu");
    vecq_layer_max_pool(l, "pool", 4, 4, 0);
    vecq_layer_transpose(l, "time_first", 2, 0, 1);
    vecq_layer_lstm(l, "lstm", 70);
    vecq_layer_last(l);
    vecq_layer_dense(l, "fc", classes == 2 ? 1 : classes);
}

void vecq_network_thucnews_lstm(vecq_layers *l)
{
    vecq_layer_embedding(l, "embedding", 128);
    vecq_layer_transpose(l, "time_first", 1, 0, 2);
    vecq_layer_lstm(l, "lstm", 128);
    vecq_layer_dense(l, "fc1", 128);
    vecq_layer_relu(l, "relu");
    vecq_layer_last(l);
    vecq_layer_dense(l, "fc2", l->options->classes);
}
