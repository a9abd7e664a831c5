/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a small convolutional network with random weights as an ONNX file: make_model OUT.onnx [SEED]
 *
 * An ONNX file is a protocol buffer message (https://protobuf.dev/programming-guides/encoding/), and writing
 * one takes little: a field is a key (number * 8 + wire type) and a varint or a length with bytes; a message
 * inside a message is bytes. Field numbers are those of onnx.proto. The weights are what trained layers look
 * like to a quantizer: bell shaped, some heavier in the tails (Laplace), with a spread that differs from
 * channel to channel.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- protocol buffers ---- */

typedef struct buffer {
    unsigned char *data;
    size_t n, capacity;
} buffer;

static void put_bytes(buffer *b, const void *data, size_t n)
{
    if (n > b->capacity - b->n) {
        b->capacity = 2 * (b->capacity + n) + 64;
        b->data = realloc(b->data, b->capacity);
        if (b->data == NULL) {
            fprintf(stderr, "make_model: out of memory\n");
            exit(1);
        }
    }
    if (n > 0)
        memcpy(b->data + b->n, data, n);
    b->n += n;
}

static void put_varint(buffer *b, uint64_t value)
{
    unsigned char byte;

    do {
        byte = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        put_bytes(b, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static void put_int(buffer *b, unsigned field, int64_t value)
{
    put_varint(b, field << 3);
    put_varint(b, (uint64_t)value);
}

static void put_field(buffer *b, unsigned field, const void *data, size_t n)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    put_bytes(b, data, n);
}

static void put_string(buffer *b, unsigned field, const char *text)
{
    put_field(b, field, text, strlen(text));
}

/* Moves `inner` into a field of b. */
static void put_message(buffer *b, unsigned field, buffer *inner)
{
    put_field(b, field, inner->data, inner->n);
    free(inner->data);
    memset(inner, 0, sizeof *inner);
}

/* ---- random weights ---- */

static uint64_t random_state;

static double random_uniform(void) /* splitmix64, in (0, 1) */
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 12) + 0.5) * 0x1p-52;
}

static double random_gaussian(void)
{
    double r = sqrt(-2.0 * log(random_uniform()));

    return r * cos(6.283185307179586 * random_uniform());
}

static double random_laplace(void) /* variance 1 */
{
    double u = random_uniform();

    return (u < 0.5 ? log(2.0 * u) : -log(2.0 * (1.0 - u))) * 0.70710678118654752;
}

static void put_float(buffer *b, double value) /* little-endian */
{
    float f = (float)value;
    unsigned char bytes[4];
    uint32_t bits;
    int i;

    memcpy(&bits, &f, sizeof bits);
    for (i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(bits >> 8 * i);
    put_bytes(b, bytes, 4);
}

/* ---- ONNX ---- */

static uint64_t n_weights;

/* TensorProto: rows x cols floats, as an initializer of the graph. */
static void add_tensor(buffer *graph, const char *name, const int64_t *dims, int rank, double deviation,
                       int laplace)
{
    buffer tensor = {0}, raw = {0};
    int64_t rows = dims[0], cols = 1, r, c;
    int i;

    for (i = 0; i < rank; i++)
        put_int(&tensor, 1, dims[i]);
    for (i = 1; i < rank; i++)
        cols *= dims[i];
    for (r = 0; r < rows; r++) {
        double spread = deviation * exp(0.35 * random_gaussian());
        for (c = 0; c < cols; c++)
            put_float(&raw, spread * (laplace ? random_laplace() : random_gaussian()));
    }
    put_int(&tensor, 2, 1); /* FLOAT */
    put_string(&tensor, 8, name);
    put_message(&tensor, 9, &raw);
    put_message(graph, 5, &tensor);
    n_weights += (uint64_t)(rows * cols);
}

static void add_ints(buffer *node, const char *name, const int64_t *values, int n)
{
    buffer attribute = {0};
    int i;

    put_string(&attribute, 1, name);
    for (i = 0; i < n; i++)
        put_int(&attribute, 8, values[i]);
    put_int(&attribute, 20, 7); /* INTS */
    put_message(node, 5, &attribute);
}

static void add_int(buffer *node, const char *name, int64_t value)
{
    buffer attribute = {0};

    put_string(&attribute, 1, name);
    put_int(&attribute, 3, value);
    put_int(&attribute, 20, 2); /* INT */
    put_message(node, 5, &attribute);
}

/* NodeProto with up to three inputs (NULL ends them) and one output that bears its name. */
static buffer new_node(const char *op, const char *name, const char *a, const char *b, const char *c)
{
    buffer node = {0};

    put_string(&node, 1, a);
    if (b != NULL)
        put_string(&node, 1, b);
    if (c != NULL)
        put_string(&node, 1, c);
    put_string(&node, 2, name);
    put_string(&node, 3, name);
    put_string(&node, 4, op);
    return node;
}

typedef struct layer {
    const char *name;
    int64_t in, out, kernel, stride, groups;
    int laplace;
} layer;

/* Conv with bias, and Relu. Returns the name of the result in `value`. */
static void add_conv(buffer *graph, const layer *l, char value[64])
{
    const int64_t dims[4] = {l->out, l->in / l->groups, l->kernel, l->kernel};
    const int64_t kernel[2] = {l->kernel, l->kernel}, strides[2] = {l->stride, l->stride};
    const int64_t pad = l->kernel / 2, pads[4] = {pad, pad, pad, pad};
    double fan_in = (double)(dims[1] * l->kernel * l->kernel);
    char weight[64], bias[64], relu[64];
    buffer node;

    snprintf(weight, sizeof weight, "%s.weight", l->name);
    snprintf(bias, sizeof bias, "%s.bias", l->name);
    snprintf(relu, sizeof relu, "%s.relu", l->name);
    add_tensor(graph, weight, dims, 4, sqrt(2.0 / fan_in), l->laplace);
    add_tensor(graph, bias, dims, 1, 0.05, 0);
    node = new_node("Conv", l->name, value, weight, bias);
    add_ints(&node, "kernel_shape", kernel, 2);
    add_ints(&node, "strides", strides, 2);
    add_ints(&node, "pads", pads, 4);
    add_int(&node, "group", l->groups);
    put_message(graph, 1, &node);
    node = new_node("Relu", relu, l->name, NULL, NULL);
    put_message(graph, 1, &node);
    memcpy(value, relu, sizeof relu);
}

/* ValueInfoProto of a float tensor; a dimension below 0 is the batch. */
static void add_value(buffer *graph, unsigned field, const char *name, const int64_t *dims, int rank)
{
    buffer value = {0}, type = {0}, tensor = {0}, shape = {0};
    int i;

    for (i = 0; i < rank; i++) {
        buffer dim = {0};
        if (dims[i] < 0)
            put_string(&dim, 2, "batch");
        else
            put_int(&dim, 1, dims[i]);
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_string(&value, 1, name);
    put_message(&value, 2, &type);
    put_message(graph, field, &value);
}

static buffer make_model(void)
{
    static const layer layers[] = {
        {"stem", 3, 64, 3, 1, 1, 0},
        {"stage1.conv", 64, 128, 3, 2, 1, 1},
        {"stage1.depthwise", 128, 128, 3, 1, 128, 0},
        {"stage1.pointwise", 128, 128, 1, 1, 1, 0},
        {"stage2.conv", 128, 256, 3, 2, 1, 1},
        {"stage2.wide", 256, 256, 3, 1, 1, 0},
        {"head.conv", 256, 512, 1, 1, 1, 1},
    };
    static const int64_t input[4] = {-1, 3, 32, 32}, output[2] = {-1, 1000};
    static const int64_t dense[2] = {1000, 512};
    buffer model = {0}, graph = {0}, opset = {0}, node;
    char value[64] = "image";
    size_t i;

    for (i = 0; i < sizeof layers / sizeof *layers; i++)
        add_conv(&graph, &layers[i], value);
    node = new_node("GlobalAveragePool", "pool", value, NULL, NULL);
    put_message(&graph, 1, &node);
    node = new_node("Flatten", "flat", "pool", NULL, NULL);
    put_message(&graph, 1, &node);
    add_tensor(&graph, "classifier.weight", dense, 2, sqrt(1.0 / 512.0), 0);
    add_tensor(&graph, "classifier.bias", dense, 1, 0.05, 0);
    node = new_node("Gemm", "scores", "flat", "classifier.weight", "classifier.bias");
    add_int(&node, "transB", 1);
    put_message(&graph, 1, &node);
    put_string(&graph, 2, "demo");
    add_value(&graph, 11, "image", input, 4);
    add_value(&graph, 12, "scores", output, 2);

    put_int(&model, 1, 8); /* IR version */
    put_string(&model, 2, "make_model");
    put_message(&model, 7, &graph);
    put_int(&opset, 2, 13);
    put_message(&model, 8, &opset);
    return model;
}

int main(int argc, char **argv)
{
    buffer model;
    FILE *file;
    int failed;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: make_model OUT.onnx [SEED]\n");
        return 2;
    }
    random_state = argc == 3 ? strtoull(argv[2], NULL, 10) : 1;
    model = make_model();
    file = fopen(argv[1], "wb");
    failed = file == NULL || fwrite(model.data, 1, model.n, file) != model.n;
    if (file != NULL && fclose(file) != 0)
        failed = 1;
    free(model.data);
    if (failed) {
        perror(argv[1]);
        return 1;
    }
    printf("%s: %llu weights, %zu bytes\n", argv[1], (unsigned long long)n_weights, model.n);
    return 0;
}
