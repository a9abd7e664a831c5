/* SPDX-License-Identifier: Apache-2.0 */
/* Networks for MNIST. The activation stands before the normalization, as in Keras layers that have one. */
#include "zoo/layers.h"
#include "zoo/networks.h"

void vecq_network_lenet5(vecq_layers *l)
{
    vecq_layer_conv(l, "conv1",
                    (vecq_conv){.outputs = 32, .kernel = 5, .before = 2, .after = 2, .has_bias = 1});
    vecq_layer_relu(l, "relu1");
    vecq_layer_norm(l, "bn1");
    vecq_layer_max_pool(l, "pool1", 2, 2, 0);
    vecq_layer_conv(l, "conv2",
                    (vecq_conv){.outputs = 64, .kernel = 5, .before = 2, .after = 2, .has_bias = 1});
    vecq_layer_relu(l, "relu2");
    vecq_layer_norm(l, "bn2");
    vecq_layer_max_pool(l, "pool2", 2, 2, 0);
    vecq_layer_flatten(l, "flatten");
    vecq_layer_dense(l, "fc1", 512);
    vecq_layer_relu(l, "relu3");
    vecq_layer_norm(l, "bn3");
    vecq_layer_last(l);
    vecq_layer_dense(l, "fc2", l->options->classes);
}

void vecq_network_lenet_300_100(vecq_layers *l)
{
    vecq_layer_flatten(l, "flatten");
    vecq_layer_dense(l, "fc1", 300);
    vecq_layer_relu(l, "relu1");
    vecq_layer_dense(l, "fc2", 100);
    vecq_layer_relu(l, "relu2");
    vecq_layer_last(l);
    vecq_layer_dense(l, "fc3", l->options->classes);
}
