/* SPDX-License-Identifier: Apache-2.0 */
/* Plain stacks of convolutions: VGG-like and AlexNet; conv, ReLU, normalization, pool. */
#include "zoo/layers.h"
#include "zoo/networks.h"

static void vgg_conv(vecq_layers *l, int number, size_t outputs, size_t kernel)
{
    size_t pad = kernel / 2;

    vecq_layer_conv(
        l, vecq_layers_name(l, "conv%d", number),
        (vecq_conv){.outputs = outputs, .kernel = kernel, .before = pad, .after = pad, .has_bias = 1});
    vecq_layer_relu(l, vecq_layers_name(l, "relu%d", number));
    vecq_layer_norm(l, vecq_layers_name(l, "bn%d", number));
}

static void vgg_dense(vecq_layers *l, int number, int total, size_t outputs)
{
    vecq_layer_dense(l, vecq_layers_name(l, "fc%d", number), outputs);
    vecq_layer_relu(l, vecq_layers_name(l, "relu%d", total));
    vecq_layer_norm(l, vecq_layers_name(l, "bn%d", total));
    vecq_layer_dropout(l, vecq_layers_name(l, "dropout%d", number), 0.5f);
}

/* The paper's code has dropout of ratio 0 behind each pool too, which is no layer. */
void vecq_network_vgg_like(vecq_layers *l)
{
    vgg_conv(l, 1, 64, 3);
    vgg_conv(l, 2, 64, 3);
    vecq_layer_max_pool(l, "pool1", 2, 2, 0);
    vgg_conv(l, 3, 128, 3);
    vgg_conv(l, 4, 128, 3);
    vecq_layer_max_pool(l, "pool2", 2, 2, 0);
    vgg_conv(l, 5, 256, 3);
    vgg_conv(l, 6, 256, 3);
    vecq_layer_max_pool(l, "pool3", 2, 2, 0);
    vecq_layer_flatten(l, "flatten");
    vgg_dense(l, 1, 7, 1024);
    vecq_layer_last(l);
    vecq_layer_dense(l, "fc2", l->options->classes);
}

void vecq_network_alexnet(vecq_layers *l)
{
    vecq_layer_conv(l, "conv1", (vecq_conv){.outputs = 96, .kernel = 11, .stride = 4, .has_bias = 1});
    vecq_layer_relu(l, "relu1");
    vecq_layer_norm(l, "bn1");
    vecq_layer_max_pool(l, "pool1", 3, 2, 0);
    vgg_conv(l, 2, 256, 5);
    vecq_layer_max_pool(l, "pool2", 3, 2, 0);
    vgg_conv(l, 3, 384, 3);
    vgg_conv(l, 4, 384, 3);
    vgg_conv(l, 5, 256, 3);
    vecq_layer_max_pool(l, "pool3", 3, 2, 0);
    vecq_layer_flatten(l, "flatten");
    vgg_dense(l, 1, 6, 4096);
    vgg_dense(l, 2, 7, 4096);
    vecq_layer_last(l);
    vecq_layer_dense(l, "fc3", l->options->classes);
}
