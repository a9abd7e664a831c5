/* SPDX-License-Identifier: Apache-2.0 */
#include "zoo/zoo.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"
#include "onnx/schema.h"
#include "tensor/tensor.h"
#include "zoo/layers.h"
#include "zoo/networks.h"

#define IR_VERSION 8
#define OPSET      17
#define SIZE_LIMIT ((size_t)1 << 24) /* of each option: the products of a few are still sizes */
#define FILE_LIMIT INT32_MAX         /* a protobuf message of 2 GiB is none */

/* ---- the table ---- */

static const vecq_network networks[] = {
#define NETWORK(symbol, name, title, source, kind, c, h, w, length, vocabulary, classes, initializer)        \
    {name, title, source, kind, c, h, w, length, vocabulary, classes, initializer, vecq_network_##symbol},
#include "zoo/networks.def"
#undef NETWORK
};

#define N_NETWORKS (sizeof networks / sizeof *networks)

size_t vecq_zoo_count(void)
{
    return N_NETWORKS;
}

const vecq_network *vecq_zoo_at(size_t index)
{
    return index < N_NETWORKS ? &networks[index] : NULL;
}

const vecq_network *vecq_zoo_find(const char *name)
{
    size_t i;

    for (i = 0; i < N_NETWORKS; i++)
        if (strcmp(networks[i].name, name) == 0)
            return &networks[i];
    return NULL;
}

const char *vecq_zoo_initializer_name(vecq_zoo_initializer initializer)
{
    static const char *const names[] = {"default", "glorot-uniform", "he-normal"};

    return (unsigned)initializer < VECQ_ZOO_INITIALIZERS ? names[initializer] : NULL;
}

void vecq_zoo_options_default(const vecq_network *network, vecq_zoo_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
    options->classes = network->classes;
    options->channels = network->channels;
    options->height = network->height;
    options->width = network->width;
    options->length = network->length;
    options->vocabulary = network->vocabulary;
    options->seed = 1;
    options->initializer = VECQ_ZOO_DEFAULT;
}

static vecq_status options_range(const vecq_network *network, const char *what, size_t value, size_t least,
                                 vecq_error *err)
{
    if (value >= least && value <= SIZE_LIMIT)
        return VECQ_OK;
    return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "%s: %s is %zu; it must be from %zu to %zu",
                          network->name, what, value, least, SIZE_LIMIT);
}

static vecq_status options_check(const vecq_network *network, const vecq_zoo_options *o, vecq_error *err)
{
    if (o->size != sizeof *o || vecq_zoo_initializer_name(o->initializer) == NULL)
        return vecq_error_set(err, VECQ_ERR_USAGE, "options of the network are not initialised");
    VECQ_TRY(options_range(network, "classes", o->classes, 2, err));
    if (network->kind == VECQ_NETWORK_TEXT) {
        VECQ_TRY(options_range(network, "length", o->length, 1, err));
        return options_range(network, "vocabulary", o->vocabulary, 1, err);
    }
    VECQ_TRY(options_range(network, "channels", o->channels, 1, err));
    VECQ_TRY(options_range(network, "height", o->height, 1, err));
    return options_range(network, "width", o->width, 1, err);
}

/* ---- the document ---- */

static vecq_message *zoo_formals(vecq_layers *l, const char *name, const int64_t *dims, unsigned rank,
                                 int dtype)
{
    static const char *const params[4] = {"N", NULL, NULL, NULL};

    return vecq_onnx_value_info(&l->arena, name, dtype, dims, params, rank);
}

static vecq_message *zoo_input(vecq_layers *l)
{
    const vecq_zoo_options *o = l->options;
    const int64_t image[4] = {0, (int64_t)o->channels, (int64_t)o->height, (int64_t)o->width};
    const int64_t text[2] = {0, (int64_t)o->length};

    return l->network->kind == VECQ_NETWORK_TEXT ? zoo_formals(l, "input", text, 2, VECQ_DT_INT64)
                                                 : zoo_formals(l, "input", image, 4, VECQ_DT_FLOAT);
}

static vecq_message *zoo_graph(vecq_layers *l)
{
    const int64_t logits[2] = {0, (int64_t)l->x.channels};
    vecq_message *graph = vecq_message_new(&l->arena), *input = zoo_input(l);
    vecq_message *output = zoo_formals(l, "logits", logits, 2, VECQ_DT_FLOAT);

    if (graph == NULL || input == NULL || output == NULL ||
        !vecq_message_insert_children(graph, SIZE_MAX, ONNX_GRAPH_NODE, l->nodes, l->n_nodes) ||
        !vecq_message_insert_string(graph, SIZE_MAX, ONNX_GRAPH_NAME, l->network->name) ||
        !vecq_message_insert_children(graph, SIZE_MAX, ONNX_GRAPH_INITIALIZER, l->tensors, l->n_tensors) ||
        !vecq_message_insert_child(graph, SIZE_MAX, ONNX_GRAPH_INPUT, input) ||
        !vecq_message_insert_child(graph, SIZE_MAX, ONNX_GRAPH_OUTPUT, output))
        return NULL;
    return graph;
}

static vecq_message *zoo_model(vecq_layers *l)
{
    vecq_message *model = vecq_message_new(&l->arena), *graph = zoo_graph(l);
    vecq_message *opset = vecq_onnx_opset(&l->arena, "", OPSET);

    if (model == NULL || graph == NULL || opset == NULL ||
        !vecq_message_insert_scalar(model, SIZE_MAX, ONNX_MODEL_IR_VERSION, IR_VERSION) ||
        !vecq_message_insert_string(model, SIZE_MAX, ONNX_MODEL_PRODUCER_NAME, "vecq") ||
        !vecq_message_insert_child(model, SIZE_MAX, ONNX_MODEL_GRAPH, graph) ||
        !vecq_message_insert_child(model, SIZE_MAX, ONNX_MODEL_OPSET_IMPORT, opset))
        return NULL;
    return model;
}

/* ---- writing ---- */

typedef struct zoo_writer {
    const vecq_layers *layers;
    uint8_t *data;
    size_t n;
    size_t next; /* fill */
} zoo_writer;

/* Copies what it is given, but in the place of the description of a tensor it puts the tensor's values: the
 * whole network exists only once. */
static vecq_status writer_sink(void *context, const void *data, size_t n, vecq_error *err)
{
    zoo_writer *w = context;
    const vecq_layers *l = w->layers;

    if (w->next < l->n_fills && data == (const void *)l->fills[w->next]) {
        VECQ_TRY(vecq_fill_write(l->fills[w->next], l->options->seed, w->data + w->n, err));
        w->next++;
    } else {
        memcpy(w->data + w->n, data, n);
    }
    w->n += n;
    return VECQ_OK;
}

static vecq_status zoo_write(vecq_layers *l, uint8_t **bytes, size_t *n_bytes, vecq_error *err)
{
    vecq_message *model = zoo_model(l);
    zoo_writer w = {l, NULL, 0, 0};
    uint64_t size;
    vecq_status status;

    if (model == NULL)
        return vecq_error_memory(err, 64);
    size = vecq_message_measure(model);
    if (size > FILE_LIMIT)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "%s: with these sizes the model takes %" PRIu64
                              " bytes; an ONNX file holds less than 2 GiB",
                              l->network->name, size);
    w.data = vecq_alloc((size_t)size, 1);
    if (w.data == NULL)
        return vecq_error_memory(err, (size_t)size);
    status = vecq_message_write(model, writer_sink, &w, err);
    if (status == VECQ_OK && (w.next != l->n_fills || w.n != size))
        status = vecq_error_set(err, VECQ_ERR_VERIFY, "%s: %zu of %zu tensors written", l->network->name,
                                w.next, l->n_fills);
    if (status != VECQ_OK) {
        vecq_free(w.data);
        return status;
    }
    *bytes = w.data;
    *n_bytes = w.n;
    return VECQ_OK;
}

vecq_status vecq_zoo_build(const vecq_network *network, const vecq_zoo_options *options, uint8_t **bytes,
                           size_t *n_bytes, vecq_error *err)
{
    vecq_zoo_options o = *options;
    vecq_layers l = {.network = network, .options = &o, .epsilon = 1e-3f, .momentum = 0.99f, .err = err};
    vecq_status status;

    *bytes = NULL;
    *n_bytes = 0;
    VECQ_TRY(options_check(network, &o, err));
    if (o.initializer == VECQ_ZOO_DEFAULT)
        o.initializer = network->initializer;
    l.x = (vecq_flow){"input", o.channels, o.height, o.width};
    if (network->kind == VECQ_NETWORK_TEXT)
        l.x = (vecq_flow){"input", 1, 0, o.length};
    network->build(&l);
    status = l.status;
    if (status == VECQ_OK)
        status = zoo_write(&l, bytes, n_bytes, err);
    vecq_layers_clear(&l);
    return status;
}
