/* SPDX-License-Identifier: Apache-2.0 */
#include "zoo/layers.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "tensor/tensor.h"

void vecq_layers_clear(vecq_layers *l)
{
    vecq_free(l->nodes);
    vecq_free(l->tensors);
    vecq_free(l->fills);
    vecq_arena_clear(&l->arena);
}

static int layers_failed(const vecq_layers *l)
{
    return l->status != VECQ_OK;
}

/* Everything that returns 0 or NULL here does so for want of memory. */
static int layers_need(vecq_layers *l, int is_done)
{
    if (!is_done && !layers_failed(l))
        l->status = vecq_error_memory(l->err, 64);
    return is_done;
}

static vecq_status layers_too_large(const vecq_layers *l, const char *name)
{
    return vecq_error_set(l->err, VECQ_ERR_UNSUPPORTED, "%s: '%s' would be too large with these sizes",
                          l->network->name, name);
}

const char *vecq_layers_name(vecq_layers *l, const char *format, ...)
{
    char text[96];
    const char *name;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    name = layers_failed(l) ? NULL : vecq_arena_string(&l->arena, text, strlen(text));
    return layers_need(l, name != NULL) ? name : "";
}

/* ---- nodes and tensors ---- */

static void layers_push(vecq_layers *l, vecq_message ***items, size_t *capacity, size_t *n,
                        vecq_message *item)
{
    if (layers_failed(l) || !layers_need(l, item != NULL) ||
        !layers_need(l, vecq_grow((void **)items, capacity, *n, sizeof **items)))
        return;
    (*items)[(*n)++] = item;
}

/* A node whose result is output `output` and what the next layer takes. */
static vecq_message *layers_node(vecq_layers *l, const char *op_type, const char *name,
                                 const char *const *inputs, size_t n_inputs, size_t output)
{
    const char *outputs[2] = {"", ""};
    vecq_message *node;

    if (layers_failed(l))
        return NULL;
    outputs[output] = l->is_last ? "logits" : name;
    node = vecq_onnx_node(&l->arena, op_type, "", name, inputs, n_inputs, outputs, output + 1);
    layers_push(l, &l->nodes, &l->nodes_capacity, &l->n_nodes, node);
    l->x.name = outputs[output];
    l->is_last = 0;
    return layers_failed(l) ? NULL : node;
}

static vecq_message *layers_unary(vecq_layers *l, const char *op_type, const char *name)
{
    return layers_node(l, op_type, name, &l->x.name, 1, 0);
}

/* A tensor whose values are given. */
static const char *layers_given(vecq_layers *l, const char *name, vecq_dtype dtype, unsigned rank,
                                const int64_t *dims, const void *data, size_t n_bytes)
{
    vecq_span raw = {NULL, n_bytes};

    if (layers_failed(l))
        return "";
    raw.data = (const uint8_t *)vecq_arena_string(&l->arena, data, n_bytes);
    if (layers_need(l, raw.data != NULL))
        layers_push(l, &l->tensors, &l->tensors_capacity, &l->n_tensors,
                    vecq_onnx_tensor(&l->arena, name, (int)dtype, dims, rank, raw));
    return name;
}

static const char *layers_scalar(vecq_layers *l, const char *name, float value)
{
    return layers_given(l, name, VECQ_DT_FLOAT, 0, NULL, &value, sizeof value);
}

static const char *layers_int(vecq_layers *l, const char *name, int64_t value)
{
    int64_t dim = 1;

    return layers_given(l, name, VECQ_DT_INT64, 1, &dim, &value, sizeof value);
}

/*
 * A tensor whose values are made while the model is written: its raw data is the description of the values,
 * in a span of the length that the values have, which the sink of zoo.c knows by its address and never reads.
 */
static const char *layers_tensor(vecq_layers *l, const char *name, unsigned rank, const int64_t *dims,
                                 vecq_fill fill)
{
    vecq_fill *copy;
    size_t count;

    if (layers_failed(l))
        return "";
    if (!vecq_shape_count(dims, rank, &count)) {
        l->status = layers_too_large(l, name);
        return "";
    }
    copy = vecq_arena_alloc(&l->arena, 1, sizeof *copy);
    if (layers_need(l, copy != NULL) &&
        layers_need(l, vecq_grow((void **)&l->fills, &l->fills_capacity, l->n_fills, sizeof *l->fills))) {
        vecq_span raw = {(const uint8_t *)copy, count * sizeof(float)};

        *copy = fill;
        copy->count = count;
        copy->name = name;
        l->fills[l->n_fills++] = copy;
        layers_push(l, &l->tensors, &l->tensors_capacity, &l->n_tensors,
                    vecq_onnx_tensor(&l->arena, name, VECQ_DT_FLOAT, dims, rank, raw));
    }
    return name;
}

static const char *layers_vector(vecq_layers *l, const char *name, size_t n, double value)
{
    int64_t dim = (int64_t)n;

    return layers_tensor(l, name, 1, &dim, (vecq_fill){VECQ_FILL_CONSTANT, value, 0, 0, NULL});
}

static vecq_fill glorot_uniform(double fan_in, double fan_out)
{
    return (vecq_fill){VECQ_FILL_UNIFORM, sqrt(6.0 / (fan_in + fan_out)), 0, 0, NULL};
}

/* ---- shapes ---- */

/* Positions of a window along an axis; an error when there is none. */
static size_t layers_windows(vecq_layers *l, const char *name, size_t size, size_t window, size_t stride,
                             size_t padding)
{
    if (layers_failed(l))
        return 0;
    if (size + padding >= window)
        return (size + padding - window) / stride + 1;
    if (l->network->kind == VECQ_NETWORK_TEXT)
        l->status =
            vecq_error_set(l->err, VECQ_ERR_UNSUPPORTED,
                           "%s: texts of %zu tokens are too short: layer '%s' has a window of %zu and "
                           "gets %zu; the usual length is %zu",
                           l->network->name, l->options->length, name, window, size, l->network->length);
    else
        l->status =
            vecq_error_set(l->err, VECQ_ERR_UNSUPPORTED,
                           "%s: images of %zu x %zu are too small: layer '%s' has a window of %zu and "
                           "gets %zu rows or columns; the usual size is %zu x %zu",
                           l->network->name, l->options->height, l->options->width, name, window, size,
                           l->network->height, l->network->width);
    return 0;
}

static void layers_slide(vecq_layers *l, const char *name, size_t window, size_t stride, size_t padding)
{
    if (l->x.height > 0)
        l->x.height = layers_windows(l, name, l->x.height, window, stride, padding);
    l->x.width = layers_windows(l, name, l->x.width, window, stride, padding);
}

/* Attributes of a window: the same along each of the spatial axes. */
static int layers_window_ints(vecq_message *node, size_t rank, size_t window, size_t stride, size_t before,
                              size_t after)
{
    int64_t kernel[2], strides[2], pads[4];
    size_t i;

    for (i = 0; i < rank; i++) {
        kernel[i] = (int64_t)window;
        strides[i] = (int64_t)stride;
        pads[i] = (int64_t)before;
        pads[rank + i] = (int64_t)after;
    }
    return vecq_onnx_node_ints(node, "kernel_shape", kernel, rank) &&
           vecq_onnx_node_ints(node, "pads", pads, 2 * rank) &&
           vecq_onnx_node_ints(node, "strides", strides, rank);
}

/* ---- layers ---- */

/*
 * Fans of a kernel: for a depthwise one Keras takes its shape (rows, columns, channels, 1) like any other, so
 * fan_in counts all channels and fan_out one; He's fan_out is what one input feeds, one channel too.
 */
static vecq_fill conv_fill(const vecq_layers *l, const vecq_conv *conv, double receptive)
{
    double fan_in = (double)l->x.channels * receptive;
    double fan_out = (conv->is_depthwise ? 1.0 : (double)conv->outputs) * receptive;

    if (l->options->initializer == VECQ_ZOO_HE_NORMAL)
        return (vecq_fill){VECQ_FILL_NORMAL, sqrt(2.0 / fan_out), 0, 0, NULL};
    return glorot_uniform(fan_in, fan_out);
}

void vecq_layer_conv(vecq_layers *l, const char *name, vecq_conv conv)
{
    size_t rank = l->x.height > 0 ? 2 : 1, stride = conv.stride > 0 ? conv.stride : 1;
    size_t groups = conv.is_depthwise ? l->x.channels : 1, i;
    int64_t dims[4] = {(int64_t)conv.outputs, (int64_t)(l->x.channels / groups), 0, 0};
    double receptive = 1;
    const char *inputs[3];
    vecq_message *node;

    for (i = 0; i < rank; i++) {
        dims[2 + i] = (int64_t)conv.kernel;
        receptive *= (double)conv.kernel;
    }
    layers_slide(l, name, conv.kernel, stride, conv.before + conv.after);
    inputs[0] = l->x.name;
    inputs[1] = layers_tensor(l, vecq_layers_name(l, "%s.weight", name), (unsigned)(2 + rank), dims,
                              conv_fill(l, &conv, receptive));
    if (conv.has_bias)
        inputs[2] = layers_vector(l, vecq_layers_name(l, "%s.bias", name), conv.outputs, 0);
    node = layers_node(l, "Conv", name, inputs, conv.has_bias ? 3 : 2, 0);
    if (node != NULL)
        layers_need(l, vecq_onnx_node_int(node, "group", (int64_t)groups) &&
                           layers_window_ints(node, rank, conv.kernel, stride, conv.before, conv.after));
    l->x.channels = conv.outputs;
}

static void layers_norm(vecq_layers *l, const char *name, const char *gamma)
{
    size_t n = l->x.channels;
    const char *inputs[5] = {l->x.name, gamma};
    vecq_message *node;

    inputs[2] = layers_vector(l, vecq_layers_name(l, "%s.beta", name), n, 0);
    inputs[3] = layers_vector(l, vecq_layers_name(l, "%s.mean", name), n, 0);
    inputs[4] = layers_vector(l, vecq_layers_name(l, "%s.variance", name), n, 1);
    node = layers_node(l, "BatchNormalization", name, inputs, 5, 0);
    if (node != NULL)
        layers_need(l, vecq_onnx_node_float(node, "epsilon", l->epsilon) &&
                           vecq_onnx_node_float(node, "momentum", l->momentum));
}

void vecq_layer_norm(vecq_layers *l, const char *name)
{
    layers_norm(l, name, layers_vector(l, vecq_layers_name(l, "%s.gamma", name), l->x.channels, 1));
}

void vecq_layer_norm_fixed(vecq_layers *l, const char *name)
{
    static const float one = 1.0f;
    static const int64_t dim = 1;
    vecq_span raw = {(const uint8_t *)&one, sizeof one};
    vecq_flow x = l->x;
    const char *gamma = vecq_layers_name(l, "%s.gamma", name);
    const char *shape = layers_int(l, vecq_layers_name(l, "%s.channels", name), (int64_t)x.channels);
    vecq_message *node = layers_node(l, "ConstantOfShape", gamma, &shape, 1, 0);

    if (node != NULL) {
        vecq_message *value = vecq_onnx_tensor(&l->arena, NULL, VECQ_DT_FLOAT, &dim, 1, raw);

        layers_need(l, value != NULL && vecq_onnx_node_tensor(node, "value", value));
    }
    l->x = x;
    layers_norm(l, name, gamma);
}

void vecq_layer_relu(vecq_layers *l, const char *name)
{
    layers_unary(l, "Relu", name);
}

/* The first one brings the bounds along. */
void vecq_layer_relu6(vecq_layers *l, const char *name)
{
    const char *inputs[3] = {l->x.name, "relu6.min", "relu6.max"};

    if (!l->has_relu6) {
        layers_scalar(l, inputs[1], 0.0f);
        layers_scalar(l, inputs[2], 6.0f);
        l->has_relu6 = 1;
    }
    layers_node(l, "Clip", name, inputs, 3, 0);
}

void vecq_layer_max_pool(vecq_layers *l, const char *name, size_t window, size_t stride, size_t pad)
{
    size_t rank = l->x.height > 0 ? 2 : 1;
    vecq_message *node;

    layers_slide(l, name, window, stride, 2 * pad);
    node = layers_unary(l, "MaxPool", name);
    if (node != NULL)
        layers_need(l, layers_window_ints(node, rank, window, stride, pad, pad));
}

void vecq_layer_global_pool(vecq_layers *l, const char *name)
{
    layers_unary(l, "GlobalAveragePool", name);
    l->x.height = l->x.width = 1;
}

void vecq_layer_dropout(vecq_layers *l, const char *name, float ratio)
{
    const char *inputs[2] = {l->x.name, NULL};

    inputs[1] = layers_scalar(l, vecq_layers_name(l, "%s.ratio", name), ratio);
    layers_node(l, "Dropout", name, inputs, 2, 0);
}

void vecq_layer_add(vecq_layers *l, const char *name, vecq_flow other)
{
    const char *inputs[2] = {l->x.name, other.name};

    layers_node(l, "Add", name, inputs, 2, 0);
}

void vecq_layer_flatten(vecq_layers *l, const char *name)
{
    vecq_message *node = layers_unary(l, "Flatten", name);
    size_t n;

    if (node == NULL || !layers_need(l, vecq_onnx_node_int(node, "axis", 1)))
        return;
    if (!vecq_mul_size(l->x.height, l->x.width, &n) || !vecq_mul_size(n, l->x.channels, &n)) {
        l->status = layers_too_large(l, name);
        return;
    }
    l->x.channels = n;
    l->x.height = l->x.width = 1;
}

void vecq_layer_dense(vecq_layers *l, const char *name, size_t outputs)
{
    int64_t dims[2] = {(int64_t)outputs, (int64_t)l->x.channels};
    const char *inputs[3] = {l->x.name, NULL, NULL};
    vecq_message *node;

    inputs[1] = layers_tensor(l, vecq_layers_name(l, "%s.weight", name), 2, dims,
                              glorot_uniform((double)l->x.channels, (double)outputs));
    inputs[2] = layers_vector(l, vecq_layers_name(l, "%s.bias", name), outputs, 0);
    node = layers_node(l, "Gemm", name, inputs, 3, 0);
    if (node != NULL)
        layers_need(l, vecq_onnx_node_int(node, "transB", 1));
    l->x.channels = outputs;
}

void vecq_layer_last(vecq_layers *l)
{
    l->is_last = 1;
}

/* ---- sequences ---- */

void vecq_layer_embedding(vecq_layers *l, const char *name, size_t features)
{
    int64_t dims[2] = {(int64_t)l->options->vocabulary, (int64_t)features};
    const char *inputs[2] = {NULL, l->x.name};

    inputs[0] = layers_tensor(l, vecq_layers_name(l, "%s.weight", name), 2, dims,
                              (vecq_fill){VECQ_FILL_UNIFORM, 0.05, 0, 0, NULL});
    layers_node(l, "Gather", name, inputs, 2, 0);
    l->x.channels = features;
}

void vecq_layer_transpose(vecq_layers *l, const char *name, int first, int second, int third)
{
    const int64_t order[3] = {first, second, third};
    vecq_message *node = layers_unary(l, "Transpose", name);

    if (node != NULL)
        layers_need(l, vecq_onnx_node_ints(node, "perm", order, 3));
}

/*
 * Gates in ONNX's order i, o, f, c, one after the other along the rows. Keras has the kernels of the four
 * gates in one matrix each ([inputs, 4 units] and [units, 4 units]), whose fans and orthogonality are those
 * of the whole; here they are transposed. Keras has one bias: it is the W half of B; the R half is zero and
 * no parameter.
 */
void vecq_layer_lstm(vecq_layers *l, const char *name, size_t units)
{
    int64_t n = (int64_t)units, weight[3] = {1, 4 * n, (int64_t)l->x.channels}, recurrent[3] = {1, 4 * n, n};
    int64_t bias[2] = {1, 8 * n};
    const char *inputs[4] = {l->x.name, NULL, NULL, NULL}, *sequence = vecq_layers_name(l, "%s.hidden", name);
    vecq_message *node;

    inputs[1] = layers_tensor(l, vecq_layers_name(l, "%s.weight", name), 3, weight,
                              glorot_uniform((double)l->x.channels, 4.0 * (double)units));
    inputs[2] = layers_tensor(l, vecq_layers_name(l, "%s.recurrent", name), 3, recurrent,
                              (vecq_fill){VECQ_FILL_ORTHOGONAL, 0, units, 0, NULL});
    inputs[3] = layers_tensor(l, vecq_layers_name(l, "%s.bias", name), 2, bias,
                              (vecq_fill){VECQ_FILL_LSTM_BIAS, 1, units, 0, NULL});
    node = layers_node(l, "LSTM", name, inputs, 4, 1); /* Y_h [1, N, units] */
    if (node != NULL)
        layers_need(l, vecq_onnx_node_int(node, "hidden_size", n));
    inputs[0] = l->x.name;
    inputs[1] = layers_int(l, vecq_layers_name(l, "%s.axes", sequence), 0);
    layers_node(l, "Squeeze", sequence, inputs, 2, 0);
    l->x.channels = units;
    l->x.height = l->x.width = 1;
}
