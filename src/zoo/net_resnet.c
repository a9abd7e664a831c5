/* SPDX-License-Identifier: Apache-2.0 */
#include "zoo/layers.h"
#include "zoo/networks.h"

static void resnet_conv3(vecq_layers *l, const char *name, size_t outputs, size_t stride)
{
    vecq_layer_conv(l, name,
                    (vecq_conv){.outputs = outputs, .kernel = 3, .stride = stride, .before = 1, .after = 1});
}

/* ---- ResNet-18 for ImageNet, pre-activation ---- */

/* BN, ReLU, conv, BN, ReLU, conv; the shortcut is the raw input, or a projection of what the first ReLU
 * gives. */
static void preact_unit(vecq_layers *l, int stage, int unit, size_t outputs, size_t stride)
{
    const char *u = vecq_layers_name(l, "stage%d.unit%d", stage, unit);
    vecq_flow shortcut = l->x, main;

    vecq_layer_norm(l, vecq_layers_name(l, "%s.bn1", u));
    vecq_layer_relu(l, vecq_layers_name(l, "%s.relu1", u));
    if (unit == 1) {
        main = l->x;
        vecq_layer_conv(l, vecq_layers_name(l, "%s.shortcut", u),
                        (vecq_conv){.outputs = outputs, .kernel = 1, .stride = stride});
        shortcut = l->x;
        l->x = main;
    }
    resnet_conv3(l, vecq_layers_name(l, "%s.conv1", u), outputs, stride);
    vecq_layer_norm(l, vecq_layers_name(l, "%s.bn2", u));
    vecq_layer_relu(l, vecq_layers_name(l, "%s.relu2", u));
    resnet_conv3(l, vecq_layers_name(l, "%s.conv2", u), outputs, 1);
    vecq_layer_add(l, vecq_layers_name(l, "%s.add", u), shortcut);
}

/* The first normalization has no gamma. */
void vecq_network_resnet18(vecq_layers *l)
{
    int stage;

    l->epsilon = 2e-5f;
    vecq_layer_norm_fixed(l, "bn_data");
    vecq_layer_conv(l, "conv0",
                    (vecq_conv){.outputs = 64, .kernel = 7, .stride = 2, .before = 3, .after = 3});
    vecq_layer_norm(l, "bn0");
    vecq_layer_relu(l, "relu0");
    vecq_layer_max_pool(l, "pool0", 3, 2, 1);
    for (stage = 1; stage <= 4; stage++) {
        preact_unit(l, stage, 1, (size_t)32 << stage, stage == 1 ? 1 : 2);
        preact_unit(l, stage, 2, (size_t)32 << stage, 1);
    }
    vecq_layer_norm(l, "bn1");
    vecq_layer_relu(l, "relu1");
    vecq_layer_global_pool(l, "pool1");
    vecq_layer_flatten(l, "flatten");
    vecq_layer_last(l);
    vecq_layer_dense(l, "fc1", l->options->classes);
}

/* ---- ResNet-20 for CIFAR ---- */

/* conv, BN, ReLU, conv, BN, plus the input or its projection with BN, ReLU. */
static void basic_unit(vecq_layers *l, int stage, int unit, size_t outputs, size_t stride)
{
    const char *u = vecq_layers_name(l, "stage%d.unit%d", stage, unit);
    vecq_flow input = l->x, main;

    resnet_conv3(l, vecq_layers_name(l, "%s.conv1", u), outputs, stride);
    vecq_layer_norm(l, vecq_layers_name(l, "%s.bn1", u));
    vecq_layer_relu(l, vecq_layers_name(l, "%s.relu1", u));
    resnet_conv3(l, vecq_layers_name(l, "%s.conv2", u), outputs, 1);
    vecq_layer_norm(l, vecq_layers_name(l, "%s.bn2", u));
    if (stride != 1) {
        main = l->x;
        l->x = input;
        vecq_layer_conv(l, vecq_layers_name(l, "%s.shortcut", u),
                        (vecq_conv){.outputs = outputs, .kernel = 1, .stride = stride});
        vecq_layer_norm(l, vecq_layers_name(l, "%s.shortcut_bn", u));
        input = l->x;
        l->x = main;
    }
    vecq_layer_add(l, vecq_layers_name(l, "%s.add", u), input);
    vecq_layer_relu(l, vecq_layers_name(l, "%s.relu2", u));
}

void vecq_network_resnet20(vecq_layers *l)
{
    int stage, unit;

    l->epsilon = 1e-5f;
    l->momentum = 0.9f;
    resnet_conv3(l, "conv1", 16, 1);
    vecq_layer_norm(l, "bn1");
    vecq_layer_relu(l, "relu1");
    for (stage = 1; stage <= 3; stage++)
        for (unit = 1; unit <= 3; unit++)
            basic_unit(l, stage, unit, (size_t)8 << stage, stage > 1 && unit == 1 ? 2 : 1);
    vecq_layer_global_pool(l, "pool");
    vecq_layer_flatten(l, "flatten");
    vecq_layer_last(l);
    vecq_layer_dense(l, "fc", l->options->classes);
}
