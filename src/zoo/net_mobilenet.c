/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MobileNets. The Keras ones of the paper pad a strided convolution by 0 before and 1 behind in both axes,
 * the one for CIFAR by 1 and 1.
 */
#include "zoo/layers.h"
#include "zoo/networks.h"

typedef struct mobile_style {
    size_t before; /* padding of a strided 3 x 3 convolution */
    size_t stem_stride, second_stride;
} mobile_style;

static void mobile_conv3(vecq_layers *l, const char *name, size_t outputs, size_t stride, int is_depthwise,
                         size_t before)
{
    vecq_layer_conv(l, name,
                    (vecq_conv){.outputs = outputs,
                                .kernel = 3,
                                .stride = stride,
                                .before = stride == 1 ? 1 : before,
                                .after = 1,
                                .is_depthwise = is_depthwise});
}

/* Normalization and activation behind convolution `name`. */
static void mobile_norm(vecq_layers *l, const char *name, int has_relu)
{
    vecq_layer_norm(l, vecq_layers_name(l, "%s_bn", name));
    if (has_relu)
        vecq_layer_relu6(l, vecq_layers_name(l, "%s_relu", name));
}

static void mobile_depthwise(vecq_layers *l, const char *name, size_t stride, size_t before)
{
    mobile_conv3(l, name, l->x.channels, stride, 1, before);
    mobile_norm(l, name, 1);
}

static void mobile_pointwise(vecq_layers *l, const char *name, size_t outputs, int has_relu)
{
    vecq_layer_conv(l, name, (vecq_conv){.outputs = outputs, .kernel = 1});
    mobile_norm(l, name, has_relu);
}

/* ---- version 1 ---- */

void vecq_network_mobilenetv1(vecq_layers *l)
{
    static const struct {
        size_t outputs, stride;
    } blocks[] = {{64, 1},  {128, 2}, {128, 1}, {256, 2}, {256, 1},  {512, 2}, {512, 1},
                  {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}};
    size_t i;

    mobile_conv3(l, "conv1", 32, 2, 0, 0);
    mobile_norm(l, "conv1", 1);
    for (i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        const char *b = vecq_layers_name(l, "block%zu", i + 1);

        mobile_depthwise(l, vecq_layers_name(l, "%s.depthwise", b), blocks[i].stride, 0);
        mobile_pointwise(l, vecq_layers_name(l, "%s.pointwise", b), blocks[i].outputs, 1);
    }
    vecq_layer_global_pool(l, "pool");
    vecq_layer_dropout(l, "dropout", 0.001f);
    vecq_layer_conv(l, "fc", (vecq_conv){.outputs = l->options->classes, .kernel = 1, .has_bias = 1});
    vecq_layer_last(l);
    vecq_layer_flatten(l, "flatten");
}

/* ---- version 2 ---- */

/* Expand, depthwise, project without activation; the input is added when the shape stays. */
static void inverted_block(vecq_layers *l, int number, size_t expansion, size_t outputs, size_t stride,
                           size_t before)
{
    const char *b = vecq_layers_name(l, "block%d", number);
    vecq_flow input = l->x;

    if (expansion > 1)
        mobile_pointwise(l, vecq_layers_name(l, "%s.expand", b), expansion * input.channels, 1);
    mobile_depthwise(l, vecq_layers_name(l, "%s.depthwise", b), stride, before);
    mobile_pointwise(l, vecq_layers_name(l, "%s.project", b), outputs, 0);
    if (stride == 1 && outputs == input.channels)
        vecq_layer_add(l, vecq_layers_name(l, "%s.add", b), input);
}

static void mobilenetv2(vecq_layers *l, mobile_style style)
{
    const struct {
        size_t expansion, outputs, stride, repeats;
    } groups[] = {{1, 16, 1, 1}, {6, 24, style.second_stride, 2},
                  {6, 32, 2, 3}, {6, 64, 2, 4},
                  {6, 96, 1, 3}, {6, 160, 2, 3},
                  {6, 320, 1, 1}};
    size_t g, i;
    int number = 0;

    mobile_conv3(l, "conv1", 32, style.stem_stride, 0, style.before);
    mobile_norm(l, "conv1", 1);
    for (g = 0; g < sizeof groups / sizeof *groups; g++)
        for (i = 0; i < groups[g].repeats; i++)
            inverted_block(l, number++, groups[g].expansion, groups[g].outputs, i == 0 ? groups[g].stride : 1,
                           style.before);
    mobile_pointwise(l, "conv2", 1280, 1);
    vecq_layer_global_pool(l, "pool");
    vecq_layer_flatten(l, "flatten");
    vecq_layer_last(l);
    vecq_layer_dense(l, "fc", l->options->classes);
}

void vecq_network_mobilenetv2(vecq_layers *l)
{
    l->momentum = 0.999f;
    mobilenetv2(l, (mobile_style){.before = 0, .stem_stride = 2, .second_stride = 2});
}

void vecq_network_mobilenetv2_cifar(vecq_layers *l)
{
    l->epsilon = 1e-5f;
    l->momentum = 0.9f;
    mobilenetv2(l, (mobile_style){.before = 1, .stem_stride = 1, .second_stride = 1});
}
