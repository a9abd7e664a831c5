/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/ports.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

/* ---- input ---- */

static vecq_status find_input(const vecq_ir *ir, const char *name, const vecq_value **out, vecq_error *err)
{
    const vecq_graph *graph = ir->main;
    size_t i;

    *out = NULL;
    for (i = 0; i < graph->n_inputs; i++) {
        const vecq_value *value = graph->inputs[i];

        if (value->is_constant || (name == NULL && value->n_uses == 0))
            continue;
        if (name != NULL && strcmp(value->name, name) != 0)
            continue;
        if (*out != NULL)
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                                  "the model has several inputs ('%s', '%s', ...): name the one for the data "
                                  "with model.input",
                                  (*out)->name, value->name);
        *out = value;
    }
    if (*out == NULL)
        return vecq_error_set(err, VECQ_ERR_VALUE,
                              name != NULL ? "the model has no input '%s'"
                                           : "%.0sthe "
                                             "model has no input",
                              name != NULL ? name : "");
    return VECQ_OK;
}

static vecq_status image_input(vecq_ports *ports, vecq_error *err)
{
    const int64_t *d = ports->dims;
    size_t last;

    if (ports->rank != 4) { /* flat images, or planes without a channel axis: the data tell */
        ports->layout = VECQ_PORTS_NCHW;
        return VECQ_OK;
    }
    last = d[3] > 0 ? (size_t)d[3] : 0;
    ports->layout = last > 0 && last <= 4 && (d[1] < 0 || d[1] > 4) ? VECQ_PORTS_NHWC : VECQ_PORTS_NCHW;
    if (ports->layout == VECQ_PORTS_NHWC) {
        ports->channels = last;
        ports->height = d[1] > 0 ? (size_t)d[1] : 0;
        ports->width = d[2] > 0 ? (size_t)d[2] : 0;
    } else {
        ports->channels = d[1] > 0 ? (size_t)d[1] : 0;
        ports->height = d[2] > 0 ? (size_t)d[2] : 0;
        ports->width = last;
    }
    if (ports->channels > VECQ_DATA_CHANNELS_MAX)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "input '%s' has %zu channels; images have at most %u", ports->input,
                              ports->channels, VECQ_DATA_CHANNELS_MAX);
    return VECQ_OK;
}

static vecq_status read_input(const vecq_value *value, vecq_ports *ports, vecq_error *err)
{
    ports->input = value->name;
    if (!value->is_typed || value->rank < 2)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "input '%s' does not say its shape (or has less than two dimensions)",
                              value->name);
    ports->rank = value->rank;
    memcpy(ports->dims, value->dims, sizeof ports->dims);
    ports->dtype = value->dtype;
    if (value->dtype == VECQ_DT_INT64 || value->dtype == VECQ_DT_INT32) {
        ports->layout = VECQ_PORTS_TOKENS;
        if (value->rank != 2)
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                                  "input '%s' has %u dimensions; token ids have two (batch, length)",
                                  value->name, value->rank);
        ports->length = value->dims[1] > 0 ? (size_t)value->dims[1] : 0;
        return VECQ_OK;
    }
    if (value->dtype != VECQ_DT_FLOAT)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "input '%s' is %s; float32 images or integer token "
                              "ids can be fed",
                              value->name, vecq_dtype_name(value->dtype));
    return image_input(ports, err);
}

/* ---- output ---- */

/* The value that a Softmax or Sigmoid at the end takes, through Identity; the value itself otherwise. Only
 * one is left out: a Sigmoid before a Softmax belongs to the network. */
static const vecq_value *before_activation(const vecq_value *value)
{
    int hops, cut = 0;

    for (hops = 0; hops < 8 && value->producer != NULL; hops++) {
        const vecq_node *node = value->producer;
        int is_end = vecq_node_is(node, "Softmax") || vecq_node_is(node, "LogSoftmax") ||
                     vecq_node_is(node, "Sigmoid");

        if ((!is_end || cut) && !vecq_node_is(node, "Identity"))
            break;
        if (node->n_inputs == 0 || node->inputs[0] == NULL)
            break;
        cut |= is_end;
        value = node->inputs[0];
    }
    return value;
}

vecq_status vecq_ports_find(const vecq_ir *ir, const char *input, const char *output, vecq_ports *out,
                            vecq_error *err)
{
    const vecq_graph *graph = ir->main;
    const vecq_value *value;

    memset(out, 0, sizeof *out);
    VECQ_TRY(find_input(ir, input, &value, err));
    VECQ_TRY(read_input(value, out, err));
    if (output != NULL) {
        value = vecq_map_get(&graph->by_name, output);
        if (value == NULL)
            return vecq_error_set(err, VECQ_ERR_VALUE, "the model has no value '%s' (model.output)", output);
        out->logits = value->name;
        return VECQ_OK;
    }
    if (graph->n_outputs == 0)
        return vecq_error_set(err, VECQ_ERR_VALUE, "the model has no output");
    out->logits = before_activation(graph->outputs[0])->name;
    return VECQ_OK;
}

/* ---- data ---- */

static void shape_text(const vecq_ports *ports, char text[128])
{
    size_t n = 0;
    unsigned i;

    for (i = 0; i < ports->rank && n < 100; i++)
        n += (size_t)(ports->dims[i] < 0 ? snprintf(text + n, 128 - n, "%s?", i > 0 ? "x" : "")
                                         : snprintf(text + n, 128 - n, "%s%lld", i > 0 ? "x" : "",
                                                    (long long)ports->dims[i]));
}

static vecq_status fit_images(vecq_ports *ports, const vecq_dataset_info *data, vecq_error *err)
{
    int64_t c = (int64_t)data->channels, h = (int64_t)data->height, w = (int64_t)data->width;
    int64_t nchw[3] = {c, h, w}, nhwc[3] = {h, w, c}, product = 1;
    const int64_t *want = ports->layout == VECQ_PORTS_NHWC ? nhwc : nchw;
    char shape[128];
    int fits = 1, open_dims = 0;
    unsigned i;

    shape_text(ports, shape);
    for (i = 1; i < ports->rank; i++) {
        if (ports->dims[i] == 0 || (ports->dims[i] > 0 && ports->dims[i] > c * h * w))
            product = 0; /* and stays so */
        if (ports->rank == 4 && ports->dims[i] < 0)
            ports->dims[i] = want[i - 1];
        if (ports->rank == 4 && ports->dims[i] != want[i - 1])
            fits = 0;
        open_dims += ports->dims[i] < 0;
        if (ports->dims[i] > 0 && product <= c * h * w) /* both are at most 2^30 */
            product *= ports->dims[i];
    }
    for (i = 1; i < ports->rank && open_dims == 1 && product > 0; i++)
        if (ports->dims[i] < 0 && (c * h * w) % product == 0) {
            ports->dims[i] = c * h * w / product;
            product = c * h * w;
            open_dims = 0;
        }
    if (open_dims > 0 || product != c * h * w)
        fits = 0;
    if (!fits)
        return vecq_error_set(err, VECQ_ERR_VALUE,
                              "input '%s' is %s, an image of the data %lldx%lldx%lld (channels, height, "
                              "width): set data.channels, data.height and data.width",
                              ports->input, shape, (long long)c, (long long)h, (long long)w);
    ports->channels = data->channels;
    ports->height = data->height;
    ports->width = data->width;
    return VECQ_OK;
}

vecq_status vecq_ports_fit(vecq_ports *ports, const vecq_dataset_info *data, vecq_error *err)
{
    if ((data->kind == VECQ_DATASET_TEXT) != (ports->layout == VECQ_PORTS_TOKENS))
        return vecq_error_set(err, VECQ_ERR_VALUE, "input '%s' takes %s, the data are %s", ports->input,
                              ports->layout == VECQ_PORTS_TOKENS ? "token ids" : "images",
                              data->kind == VECQ_DATASET_TEXT ? "texts" : "images");
    if (data->kind == VECQ_DATASET_IMAGES)
        return fit_images(ports, data, err);
    if (ports->dims[1] < 0)
        ports->dims[1] = (int64_t)data->length;
    if ((size_t)ports->dims[1] != data->length)
        return vecq_error_set(err, VECQ_ERR_VALUE,
                              "input '%s' takes %lld tokens, a text of the data has %zu: set data.length",
                              ports->input, (long long)ports->dims[1], data->length);
    ports->length = data->length;
    return VECQ_OK;
}
