/* SPDX-License-Identifier: Apache-2.0 */
/* The networks against the paper's tables of layers and sizes, and what their first values are. */
#include "vecq_test.h"

#include <math.h>

#include "base/alloc.h"
#include "fail_alloc.h"
#include "onnx_model.h"
#include "zoo/fill.h"
#include "zoo/zoo.h"

/* Parameters of the layers, as the paper counts them, and what the file has besides: bounds of ReLU6, ratios
 * of Dropout, the second bias of LSTMs. `first` and `last` are the tensors at the ends. */
typedef struct expectation {
    const char *name;
    uint64_t kernels, biases, norms;
    uint64_t total; /* as published, or as counted in the trained models; 0: neither */
    uint64_t others;
    unsigned n_weights; /* kernels, embeddings, recurrent kernels */
    unsigned n_norms;   /* BatchNormalization nodes */
    double mib[9];      /* [0] in float, then 1..8 bits; 0: not published */
} expectation;

static const expectation expectations[] = {
    {"lenet5",
     800 + 51200 + 1605632 + 5120,
     32 + 64 + 512 + 10,
     128 + 256 + 2048,
     1665802,
     0,
     4,
     3,
     {6.3545, 0.2076, 0.4059, 0.6041, 0.8024, 1.0007, 1.1990, 1.3973, 1.5956}},
    {"lenet-300-100", 784 * 300 + 300 * 100 + 100 * 10, 410, 0, 266610, 0, 3, 0, {0}},
    {"vgg-like",
     1728 + 36864 + 73728 + 147456 + 294912 + 589824 + 4194304 + 10240,
     64 + 64 + 128 + 128 + 256 + 256 + 1024 + 10,
     256 + 256 + 512 + 512 + 1024 + 1024 + 4096,
     5358666,
     1,
     8,
     7,
     {20.4417, 0.6672, 1.3051, 1.9430, 2.5808, 3.2187, 3.8566, 4.4945, 5.1324}},
    {"alexnet",
     34848 + 614400 + 884736 + 1327104 + 884736 + 26214400 + 16777216 + 4096000,
     96 + 256 + 384 + 384 + 256 + 4096 + 4096 + 1000,
     384 + 1024 + 1536 + 1536 + 1024 + 16384 + 16384,
     50882280,
     2,
     8,
     7,
     {194.1005, 6.2071, 12.2682, 18.3292, 24.3903, 30.4514, 36.5125, 42.5735, 48.6346}},
    {"resnet18",
     9408 + 4 * 36864 + 4096 + 73728 + 3 * 147456 + 8192 + 294912 + 3 * 589824 + 32768 + 1179648 +
         3 * 2359296 + 131072 + 512000,
     1000,
     15881,
     11699889,
     0,
     22,
     19,
     {44.6315, 1.4534, 2.8463, 4.2391, 5.6320, 7.0248, 8.4176, 9.8105, 11.2033}},
    {"mobilenetv1", 4209088, 1000, 43776, 4253864, 3, 28, 27, {0}},
    {"mobilenetv2",
     864 + 800 + 4704 + 8208 + 9360 + 2 * 14016 + 20160 + 3 * 52608 + 64896 + 2 * 115776 + 152640 +
         2 * 315840 + 469440 + 409600 + 1280000,
     1000,
     68224,
     3538984,
     2,
     53,
     52,
     {13.5002, 0.6740, 1.0877, 1.5015, 1.9152, 2.3290, 2.7427, 3.1565, 3.5702}},
    {"resnet20",
     432 + 6 * 2304 + 4608 + 5 * 9216 + 512 + 18432 + 5 * 36864 + 2048 + 640,
     10,
     4 * (7 * 16 + 7 * 32 + 7 * 64),
     0,
     0,
     22,
     21,
     {0}},
    {"mobilenetv2-cifar", 3469760 - 1280000 + 12800, 10, 68224, 0, 2, 53, 52, {0}},
    {"imdb-cnn-lstm",
     20000 * 128 + 5 * 128 * 64 + 4 * (64 * 70 + 70 * 70) + 70,
     64 + 4 * 70 + 1,
     0,
     2638895,
     1 + 4 * 70,
     5,
     0,
     {10.0666, 0, 0.6292, 0, 1.2583, 0, 0, 0, 2.5166}},
    {"thucnews-lstm",
     5000 * 128 + 4 * (128 * 128 + 128 * 128) + 128 * 128 + 1280,
     4 * 128 + 128 + 10,
     0,
     789386,
     4 * 128,
     5,
     0,
     {3.0113, 0, 0.1882, 0, 0.3764, 0, 0, 0, 0.7528}},
};

#define N_EXPECTATIONS (sizeof expectations / sizeof *expectations)

/* ---- a network at hand ---- */

typedef struct built {
    uint8_t *bytes;
    size_t n;
    vecq_model *model;
    vecq_report *report;
} built;

static const vecq_network *find(const char *name)
{
    const vecq_network *network = vecq_zoo_find(name);

    assert_non_null(network);
    return network;
}

static void build_with(built *b, const vecq_network *network, const vecq_zoo_options *zoo)
{
    vecq_quantize_options options;
    vecq_error err = VECQ_ERROR_INIT;

    vecq_quantize_options_default(&options);
    options.bits = 2;
    assert_ok(vecq_zoo_build(network, zoo, &b->bytes, &b->n, &err), &err);
    assert_ok(vecq_model_load_memory(b->bytes, b->n, network->name, NULL, &b->model, &err), &err);
    assert_ok(vecq_model_plan(b->model, &options, &b->report, &err), &err);
}

static void build(built *b, const char *name, uint64_t seed, vecq_zoo_initializer initializer)
{
    const vecq_network *network = find(name);
    vecq_zoo_options zoo;

    vecq_zoo_options_default(network, &zoo);
    zoo.seed = seed;
    zoo.initializer = initializer;
    build_with(b, network, &zoo);
}

static void release(built *b)
{
    vecq_report_free(b->report);
    vecq_model_close(b->model);
    vecq_free(b->bytes);
}

static size_t index_of(const built *b, const char *name)
{
    size_t i;

    for (i = 0; i < b->report->n_weights; i++)
        if (strcmp(b->report->weights[i].name, name) == 0)
            return i;
    fail_msg("no tensor '%s'", name);
    return 0;
}

/* Values of a tensor, from malloc(). */
static float *values_of(const built *b, const char *name, size_t *n)
{
    size_t i = index_of(b, name);
    vecq_error err = VECQ_ERROR_INIT;
    float *values;

    *n = (size_t)b->report->weights[i].elements;
    values = malloc(*n * sizeof *values);
    assert_non_null(values);
    assert_ok(vecq_model_weight_values(b->model, i, values, &err), &err);
    return values;
}

static int ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* ---- layers and sizes ---- */

typedef struct counts {
    uint64_t kernels, biases, norms, others;
    unsigned n_weights, n_norms;
} counts;

static void count(const built *b, counts *c)
{
    size_t i;

    memset(c, 0, sizeof *c);
    for (i = 0; i < b->report->n_weights; i++) {
        const vecq_weight_info *w = &b->report->weights[i];

        if (ends_with(w->name, ".weight") || ends_with(w->name, ".recurrent")) {
            c->kernels += w->elements;
            c->n_weights++;
        } else if (ends_with(w->name, ".bias")) {
            int is_lstm = strcmp(w->op_type, "LSTM") == 0;

            c->biases += is_lstm ? w->elements / 2 : w->elements;
            c->others += is_lstm ? w->elements / 2 : 0;
        } else if (strcmp(w->op_type, "BatchNormalization") == 0) {
            c->norms += w->elements;
            c->n_norms += ends_with(w->name, ".mean");
        } else {
            assert_int_equal(w->rank, 0);
            c->others += w->elements;
        }
    }
}

static void check_sizes(const expectation *e, const counts *c)
{
    unsigned bits;

    for (bits = 0; bits <= 8; bits++) {
        double got = vecq_paper_size_mib(c->kernels + c->biases, c->norms, bits == 0 ? 32 : bits);

        if (e->mib[bits] != 0.0 && rint(got * 1e4) != rint(e->mib[bits] * 1e4))
            fail_msg("%s at %u bits: %.6f MiB, the table says %.4f", e->name, bits, got, e->mib[bits]);
    }
}

/* Every kernel is a weight that will be quantized, with the output channels as rows. */
static void check_weights(const expectation *e, const built *b)
{
    size_t i, n_planned = 0;

    for (i = 0; i < b->report->n_weights; i++) {
        const vecq_weight_info *w = &b->report->weights[i];
        int is_recurrent = strcmp(w->op_type, "LSTM") == 0;

        if (w->state != VECQ_WEIGHT_PLANNED) {
            assert_false(ends_with(w->name, ".weight") || ends_with(w->name, ".recurrent"));
            continue;
        }
        n_planned++;
        if (w->rows != (uint64_t)w->dims[is_recurrent] || w->rows * w->cols != w->elements)
            fail_msg("%s: '%s' is planned with %llu rows", e->name, w->name, (unsigned long long)w->rows);
    }
    assert_int_equal(n_planned, e->n_weights);
}

static void test_layers(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < N_EXPECTATIONS; i++) {
        const expectation *e = &expectations[i];
        counts c;
        built b;

        build(&b, e->name, 1, VECQ_ZOO_DEFAULT);
        count(&b, &c);
        if (c.kernels != e->kernels || c.biases != e->biases || c.norms != e->norms || c.others != e->others)
            fail_msg("%s: %llu kernel, %llu bias, %llu norm and %llu other values", e->name,
                     (unsigned long long)c.kernels, (unsigned long long)c.biases, (unsigned long long)c.norms,
                     (unsigned long long)c.others);
        if (e->total != 0)
            assert_int_equal(c.kernels + c.biases + c.norms, e->total);
        assert_int_equal(c.n_weights, e->n_weights);
        assert_int_equal(c.n_norms, e->n_norms);
        check_sizes(e, &c);
        check_weights(e, &b);
        assert_int_equal(b.report->ir_version, 8);
        assert_int_equal(b.report->opset, 17);
        release(&b);
    }
}

/* Every row of networks.def has an expectation, and the tables say the same of it. */
static void test_table(void **state)
{
    size_t i, k;

    (void)state;
    assert_int_equal(vecq_zoo_count(), N_EXPECTATIONS);
    for (i = 0; i < vecq_zoo_count(); i++) {
        const vecq_network *n = vecq_zoo_at(i);

        assert_ptr_equal(vecq_zoo_find(n->name), n);
        assert_true(n->title[0] != '\0' && n->source[0] != '\0');
        assert_true(n->initializer > VECQ_ZOO_DEFAULT && n->initializer < VECQ_ZOO_INITIALIZERS);
        assert_int_equal(n->kind == VECQ_NETWORK_TEXT, n->channels == 0);
        assert_int_equal(n->kind == VECQ_NETWORK_TEXT, n->length != 0);
        for (k = 0; k < N_EXPECTATIONS && strcmp(expectations[k].name, n->name) != 0; k++)
            ;
        assert_true(k < N_EXPECTATIONS);
    }
    assert_null(vecq_zoo_at(vecq_zoo_count()));
    assert_null(vecq_zoo_find("lenet"));
    for (i = 0; i < VECQ_ZOO_INITIALIZERS; i++)
        assert_non_null(vecq_zoo_initializer_name((vecq_zoo_initializer)i));
    assert_null(vecq_zoo_initializer_name(VECQ_ZOO_INITIALIZERS));
}

/* docs/networks.md has a row for each network, with its parameters ("1,665,802"). */
static void test_docs(void **state)
{
    char *text = calloc(1, 1 << 16);
    FILE *f = fopen(VECQ_SOURCE_DIR "/docs/networks.md", "rb");
    size_t i;

    (void)state;
    assert_non_null(text);
    assert_non_null(f);
    assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
    fclose(f);
    for (i = 0; i < N_EXPECTATIONS; i++) {
        const expectation *e = &expectations[i];
        unsigned n = (unsigned)(e->kernels + e->biases + e->norms);
        char name[64], number[32];
        const char *row, *found;

        snprintf(name, sizeof name, "\n| `%s` |", e->name);
        if (n >= 1000000)
            snprintf(number, sizeof number, "| %u,%03u,%03u |", n / 1000000, n / 1000 % 1000, n % 1000);
        else
            snprintf(number, sizeof number, "| %u,%03u |", n / 1000, n % 1000);
        row = strstr(text, name);
        found = row != NULL ? strstr(row, number) : NULL;
        if (found == NULL || found > strchr(row + 1, '\n'))
            fail_msg("docs/networks.md: no row of %s with %s", e->name, number);
    }
    free(text);
}

/* The whole program agrees: the paper's preset on LeNet5 gives the paper's size. */
static void test_paper_size(void **state)
{
    vecq_quantize_options options;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_report *report;
    built b;

    (void)state;
    build(&b, "lenet5", 1, VECQ_ZOO_DEFAULT);
    vecq_quantize_options_default(&options);
    vecq_quantize_options_paper(&options);
    options.bits = 2;
    assert_ok(vecq_model_plan(b.model, &options, &report, &err), &err);
    assert_true(rint(report->paper_mib * 1e4) == 4059);
    assert_true(rint(report->paper_mib_float * 1e4) == 63545);
    vecq_report_free(report);
    release(&b);
}

/* ---- first values ---- */

static void moments(const float *v, size_t n, double *mean, double *deviation, double *largest)
{
    double sum = 0, squares = 0;
    size_t i;

    *largest = 0;
    for (i = 0; i < n; i++) {
        sum += v[i];
        squares += (double)v[i] * v[i];
        *largest = fmax(*largest, fabs((double)v[i]));
    }
    *mean = sum / (double)n;
    *deviation = sqrt(squares / (double)n - *mean * *mean);
}

/* Mean and deviation within five standard errors; kurtosis 1.8 for uniform values, 3 for normal ones. */
static void check_spread(const built *b, const char *name, double deviation, double kurtosis)
{
    double mean, got, largest;
    size_t n;
    float *v = values_of(b, name, &n);
    double error = deviation / sqrt((double)n);

    moments(v, n, &mean, &got, &largest);
    if (fabs(mean) > 5 * error || fabs(got - deviation) > 5 * error * sqrt((kurtosis - 1) / 4))
        fail_msg("%s: mean %g, deviation %g, not 0 and %g", name, mean, got, deviation);
    if (kurtosis < 2) { /* uniform: nothing beyond the limit, and it is nearly reached */
        double limit = deviation * sqrt(3.0);

        assert_true(largest <= (float)limit && largest > limit * (1 - 20.0 / (double)n));
    } else {
        assert_true(largest > 3 * deviation);
    }
    free(v);
}

static double glorot(double fan_in, double fan_out)
{
    return sqrt(6.0 / (fan_in + fan_out)) / sqrt(3.0);
}

static void check_constant(const built *b, const char *name, float value)
{
    size_t n, i;
    float *v = values_of(b, name, &n);

    for (i = 0; i < n; i++)
        if (v[i] != value)
            fail_msg("%s[%zu] is %g, not %g", name, i, (double)v[i], (double)value);
    free(v);
}

static void test_glorot(void **state)
{
    built b;

    (void)state;
    build(&b, "lenet5", 3, VECQ_ZOO_DEFAULT);
    check_spread(&b, "conv1.weight", glorot(25, 25 * 32), 1.8);
    check_spread(&b, "conv2.weight", glorot(25 * 32, 25 * 64), 1.8);
    check_spread(&b, "fc1.weight", glorot(3136, 512), 1.8);
    check_constant(&b, "conv1.bias", 0);
    check_constant(&b, "fc2.bias", 0);
    check_constant(&b, "bn1.gamma", 1);
    check_constant(&b, "bn1.beta", 0);
    check_constant(&b, "bn1.mean", 0);
    check_constant(&b, "bn1.variance", 1);
    release(&b);
    build(&b, "mobilenetv2-cifar", 3, VECQ_ZOO_GLOROT_UNIFORM);
    check_spread(&b, "block5.depthwise.weight", glorot(192 * 9, 9), 1.8);
    check_spread(&b, "block5.expand.weight", glorot(32, 192), 1.8);
    check_constant(&b, "relu6.min", 0);
    check_constant(&b, "relu6.max", 6);
    release(&b);
}

static void test_he(void **state)
{
    built b;

    (void)state;
    build(&b, "mobilenetv2-cifar", 4, VECQ_ZOO_DEFAULT);
    check_spread(&b, "conv1.weight", sqrt(2.0 / (9 * 32)), 3);
    check_spread(&b, "block5.depthwise.weight", sqrt(2.0 / 9), 3);
    check_spread(&b, "block5.project.weight", sqrt(2.0 / 32), 3);
    check_spread(&b, "fc.weight", glorot(1280, 10), 1.8);
    release(&b);
    build(&b, "resnet20", 4, VECQ_ZOO_HE_NORMAL);
    check_spread(&b, "stage2.unit1.conv1.weight", sqrt(2.0 / (9 * 32)), 3);
    release(&b);
}

static void check_orthogonal(const float *r, size_t rows, size_t cols)
{
    size_t i, j, k;

    for (i = 0; i < cols; i++)
        for (j = 0; j <= i; j++) {
            double dot = 0;

            for (k = 0; k < rows; k++)
                dot += (double)r[k * cols + i] * r[k * cols + j];
            if (fabs(dot - (i == j)) > 1e-6)
                fail_msg("columns %zu and %zu: %g", i, j, dot);
        }
}

static void test_lstm(void **state)
{
    static const struct {
        const char *name;
        size_t inputs, units;
    } nets[] = {{"imdb-cnn-lstm", 64, 70}, {"thucnews-lstm", 128, 128}};
    size_t i, k, n;

    (void)state;
    for (i = 0; i < 2; i++) {
        size_t units = nets[i].units;
        float *v;
        built b;

        build(&b, nets[i].name, 5, VECQ_ZOO_DEFAULT);
        check_spread(&b, "embedding.weight", 0.05 / sqrt(3.0), 1.8);
        check_spread(&b, "lstm.weight", glorot((double)nets[i].inputs, 4.0 * (double)units), 1.8);
        v = values_of(&b, "lstm.recurrent", &n);
        assert_int_equal(n, 4 * units * units);
        check_orthogonal(v, 4 * units, units);
        free(v);
        v = values_of(&b, "lstm.bias", &n); /* i, o, f, c: the forget gate is the third */
        assert_int_equal(n, 8 * units);
        for (k = 0; k < n; k++)
            assert_true(v[k] == (float)(k / units == 2));
        free(v);
        release(&b);
    }
}

/* The smallest orthogonal matrices, square ones, and columns in number. */
static void test_orthogonal(void **state)
{
    static const size_t shapes[][2] = {{1, 1}, {2, 1}, {2, 2}, {50, 50}, {300, 200}};
    vecq_error err = VECQ_ERROR_INIT;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        size_t rows = shapes[i][0], cols = shapes[i][1];
        vecq_fill fill = {VECQ_FILL_ORTHOGONAL, 0, cols, rows * cols, "r"};
        float *v = malloc(rows * cols * sizeof *v);

        assert_non_null(v);
        assert_ok(vecq_fill_write(&fill, 9, (uint8_t *)v, &err), &err);
        check_orthogonal(v, rows, cols);
        free(v);
    }
}

/* ---- seeds ---- */

static void assert_same_tensor(const built *a, const built *b, const char *name, int is_same)
{
    size_t n, m;
    float *v = values_of(a, name, &n), *w = values_of(b, name, &m);

    assert_int_equal(n, m);
    if ((memcmp(v, w, n * sizeof *v) == 0) != is_same)
        fail_msg("'%s' is%s the same", name, is_same ? " not" : "");
    free(v);
    free(w);
}

static void test_seeds(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < N_EXPECTATIONS; i++) {
        built a, b;

        if (strcmp(expectations[i].name, "alexnet") == 0)
            continue; /* 200 MB three times, and nothing of its own */
        build(&a, expectations[i].name, 7, VECQ_ZOO_DEFAULT);
        build(&b, expectations[i].name, 7, VECQ_ZOO_DEFAULT);
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.bytes, b.bytes, a.n);
        release(&b);
        build(&b, expectations[i].name, 8, VECQ_ZOO_DEFAULT);
        assert_int_equal(a.n, b.n);
        assert_true(memcmp(a.bytes, b.bytes, a.n) != 0);
        release(&b);
        release(&a);
    }
}

/* A tensor's values do not depend on the tensors around it: other classes, other input. */
static void test_streams(void **state)
{
    const vecq_network *network = find("lenet5");
    vecq_zoo_options zoo;
    built a, b;

    (void)state;
    build(&a, "lenet5", 1, VECQ_ZOO_DEFAULT);
    vecq_zoo_options_default(network, &zoo);
    zoo.channels = 3;
    zoo.classes = 100;
    build_with(&b, network, &zoo);
    assert_same_tensor(&a, &b, "conv2.weight", 1);
    assert_same_tensor(&a, &b, "fc1.weight", 1);
    release(&b);
    build(&b, "lenet5", 2, VECQ_ZOO_DEFAULT);
    assert_same_tensor(&a, &b, "conv2.weight", 0);
    assert_same_tensor(&a, &b, "bn2.gamma", 1);
    release(&b);
    release(&a);
}

/* ---- refusals ---- */

typedef struct refusal {
    const char *name, *word1, *word2; /* NULL words: it is built */
    size_t classes, channels, height, width, length, vocabulary;
} refusal;

#define USUAL SIZE_MAX

static void set_size(size_t *size, size_t value)
{
    if (value != USUAL)
        *size = value;
}

static void test_refusals(void **state)
{
    static const refusal cases[] = {
        {"alexnet", "'pool3'", "images of 66 x 66 are too small", 10, 1, 66, 66, USUAL, USUAL},
        {"alexnet", NULL, NULL, 10, 1, 67, 67, USUAL, USUAL},
        {"alexnet", "'conv1'", "224 x 224", 10, 1, 10, 224, USUAL, USUAL},
        {"lenet5", "'pool2'", "28 x 28", 10, 1, 3, 28, USUAL, USUAL},
        {"lenet5", NULL, NULL, 2, 1, 4, 4, USUAL, USUAL},
        {"vgg-like", "'pool3'", "vgg-like", 10, 3, 32, 7, USUAL, USUAL},
        {"vgg-like", NULL, NULL, 10, 3, 8, 8, USUAL, USUAL},
        {"mobilenetv1", "'block12.depthwise'", "31 x 64", 10, 3, 31, 64, USUAL, USUAL},
        {"mobilenetv1", NULL, NULL, 10, 3, 32, 32, USUAL, USUAL},
        {"mobilenetv2", "'block13.depthwise'", "224", 10, 3, 40, 20, USUAL, USUAL},
        {"imdb-cnn-lstm", "'pool'", "texts of 7 tokens", 2, USUAL, USUAL, USUAL, 7, 10},
        {"imdb-cnn-lstm", "'conv'", "length is 100", 2, USUAL, USUAL, USUAL, 4, 10},
        {"imdb-cnn-lstm", NULL, NULL, 2, USUAL, USUAL, USUAL, 8, 10},
        {"thucnews-lstm", NULL, NULL, 2, USUAL, USUAL, USUAL, 1, 1},
        {"thucnews-lstm", "length is 0", "thucnews-lstm", 2, USUAL, USUAL, USUAL, 0, 10},
        {"thucnews-lstm", "vocabulary is 0", "from 1", 2, USUAL, USUAL, USUAL, 1, 0},
        {"thucnews-lstm", "2 GiB", "thucnews-lstm", 2, USUAL, USUAL, USUAL, 1, 5000000},
        {"lenet5", "classes is 1", "from 2", 1, 1, 28, 28, USUAL, USUAL},
        {"lenet5", "classes", "16777216", (size_t)1 << 25, 1, 28, 28, USUAL, USUAL},
        {"lenet5", "channels is 0", "from 1", 10, 0, 28, 28, USUAL, USUAL},
        {"lenet5", "height is 0", "from 1", 10, 1, 0, 28, USUAL, USUAL},
        {"lenet5", "width", "16777216", 10, 1, 28, SIZE_MAX / 2, USUAL, USUAL},
        {"lenet5", "'fc1.weight' would be too large", "lenet5", 10, 1, 1 << 24, 1 << 24, USUAL, USUAL},
        {"lenet5", "2 GiB", "lenet5", 10, 1, 4096, 4096, USUAL, USUAL},
        {"lenet-300-100", "'flatten' would be too large", "lenet", 10, 1 << 24, 1 << 24, 1 << 24, USUAL,
         USUAL},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        const refusal *r = &cases[i];
        const vecq_network *network = find(r->name);
        vecq_zoo_options zoo;
        vecq_error err = VECQ_ERROR_INIT;
        uint8_t *bytes;
        size_t n;

        vecq_zoo_options_default(network, &zoo);
        set_size(&zoo.classes, r->classes);
        set_size(&zoo.channels, r->channels);
        set_size(&zoo.height, r->height);
        set_size(&zoo.width, r->width);
        set_size(&zoo.length, r->length);
        set_size(&zoo.vocabulary, r->vocabulary);
        if (r->word1 == NULL) {
            assert_ok(vecq_zoo_build(network, &zoo, &bytes, &n, &err), &err);
            vecq_free(bytes);
            continue;
        }
        assert_int_equal(vecq_zoo_build(network, &zoo, &bytes, &n, &err), VECQ_ERR_UNSUPPORTED);
        assert_error(&err, VECQ_ERR_UNSUPPORTED, r->word1, r->word2);
        assert_null(bytes);
        assert_int_equal(n, 0);
    }
}

static void test_usage(void **state)
{
    const vecq_network *network = find("lenet5");
    vecq_zoo_options zoo;
    uint8_t *bytes;
    size_t n;

    (void)state;
    vecq_zoo_options_default(network, &zoo);
    zoo.size--;
    assert_int_equal(vecq_zoo_build(network, &zoo, &bytes, &n, NULL), VECQ_ERR_USAGE);
    vecq_zoo_options_default(network, &zoo);
    zoo.initializer = VECQ_ZOO_INITIALIZERS;
    assert_int_equal(vecq_zoo_build(network, &zoo, &bytes, &n, NULL), VECQ_ERR_USAGE);
}

/* ---- memory ---- */

static vecq_status body(void *context, vecq_error *err)
{
    const vecq_network *network = context;
    vecq_zoo_options zoo;
    uint8_t *bytes;
    size_t n;
    vecq_status status;

    vecq_zoo_options_default(network, &zoo);
    zoo.vocabulary = 10; /* small ones: the number of allocations is the same */
    status = vecq_zoo_build(network, &zoo, &bytes, &n, err);
    if (status == VECQ_OK)
        vecq_free(bytes);
    else
        assert_true(bytes == NULL && n == 0);
    return status;
}

static void test_memory(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < vecq_zoo_count(); i++) {
        vecq_network network = *vecq_zoo_at(i);

        if (strcmp(network.name, "alexnet") == 0)
            network.height = network.width = 67;
        assert_true(vecq_fail_every_alloc(body, &network) >= 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),      cmocka_unit_test(test_docs),       cmocka_unit_test(test_layers),
        cmocka_unit_test(test_paper_size), cmocka_unit_test(test_glorot),     cmocka_unit_test(test_he),
        cmocka_unit_test(test_lstm),       cmocka_unit_test(test_orthogonal), cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_streams),    cmocka_unit_test(test_refusals),   cmocka_unit_test(test_usage),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
