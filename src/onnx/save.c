/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/save.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/status.h"
#include "graph/fold.h"
#include "graph/plan.h"
#include "onnx/schema.h"

#define SAVE_MESSAGE_MAX    ((uint64_t)INT32_MAX) /* what protobuf implementations accept */
#define SAVE_EXTERNAL_LEAST 1024u                 /* smaller tensors stay in the model file */
#define WALK_DEPTH_MAX      101u                  /* VECQ_WIRE_LIMITS_DEFAULT, and the message itself */
#define SAVE_FOLD_LIMIT     (SIZE_MAX / 8)        /* what is read back is what this program wrote */
#define SAVE_PROGRESS_STEP  ((uint64_t)16 << 20)

/* TensorProto messages are pointed elsewhere for one save only: their fields as they were before. */
typedef struct save_undo {
    vecq_message *message;
    vecq_field *fields;
    size_t n_fields;
    int is_changed;
} save_undo;

typedef struct saver {
    vecq_document *doc;
    vecq_error *err;
    const vecq_save_options *options;
    vecq_output *model, *data;        /* data: opened for the first tensor that goes there */
    const char *data_path, *location; /* of external data */
    int to_external;                  /* large tensors go to the data file */
    int only_external;                /* of old ones only those that were external before */
    uint64_t done, total, reported;
    save_undo *undo;
    size_t n_undo, undo_capacity;
} saver;

static vecq_status save_progress(saver *s, uint64_t n)
{
    s->done += n;
    if (s->options->progress == NULL || s->done - s->reported < SAVE_PROGRESS_STEP)
        return VECQ_OK;
    s->reported = s->done;
    if (s->options->progress(s->options->progress_context, "writing", "bytes", s->done, s->total) != 0)
        return vecq_error_set(s->err, VECQ_ERR_CANCELLED, "interrupted");
    return VECQ_OK;
}

static vecq_status save_oom(saver *s)
{
    return vecq_error_memory(s->err, 0);
}

/* ---- moving tensor data between the model file and the data file ---- */

static vecq_status remember(saver *s, vecq_message *message)
{
    save_undo undo = {message, NULL, message->n_fields, message->is_changed};

    undo.fields = vecq_arena_alloc(&s->doc->arena, message->n_fields, sizeof *undo.fields);
    if (undo.fields == NULL || !vecq_grow((void **)&s->undo, &s->undo_capacity, s->n_undo, sizeof undo))
        return save_oom(s);
    memcpy(undo.fields, message->fields, message->n_fields * sizeof *undo.fields);
    s->undo[s->n_undo++] = undo;
    return VECQ_OK;
}

static void undo_all(saver *s)
{
    size_t i;

    for (i = 0; i < s->n_undo; i++) {
        memcpy(s->undo[i].message->fields, s->undo[i].fields, s->undo[i].n_fields * sizeof(vecq_field));
        s->undo[i].message->n_fields = s->undo[i].n_fields;
        s->undo[i].message->is_changed = s->undo[i].is_changed;
    }
    vecq_free(s->undo);
    s->undo = NULL;
    s->n_undo = s->undo_capacity = 0;
}

static void drop_fields(vecq_message *message, uint32_t number)
{
    size_t i;

    for (i = 0; i < message->n_fields; i++)
        if (message->fields[i].number == number && !message->fields[i].is_dropped)
            vecq_message_drop(message, i);
}

static int add_entry(saver *s, vecq_message *tensor, const char *key, const char *value)
{
    vecq_message *entry = value != NULL ? vecq_onnx_entry(&s->doc->arena, key, value) : NULL;

    return entry != NULL && vecq_message_insert_child(tensor, SIZE_MAX, ONNX_TENSOR_EXTERNAL_DATA, entry);
}

/* Appends the bytes to the data file, aligned so that readers can map them, and points the tensor there. */
static vecq_status move_out(saver *s, vecq_message *tensor, vecq_span bytes)
{
    static const char zeros[4096];
    uint64_t at, align = bytes.n >= sizeof zeros ? sizeof zeros : 64;
    size_t pad;

    if (s->data == NULL)
        VECQ_TRY(vecq_output_open(s->data_path, &s->data, s->err));
    at = vecq_output_position(s->data);
    pad = (size_t)((align - at % align) % align);
    VECQ_TRY(vecq_output_write(s->data, zeros, pad, s->err));
    at += pad;
    while (bytes.n > 0) {
        size_t n = bytes.n < SAVE_PROGRESS_STEP ? bytes.n : (size_t)SAVE_PROGRESS_STEP;
        VECQ_TRY(vecq_output_write(s->data, bytes.data, n, s->err));
        VECQ_TRY(save_progress(s, n));
        bytes.data += n;
        bytes.n -= n;
    }
    VECQ_TRY(remember(s, tensor));
    drop_fields(tensor, ONNX_TENSOR_RAW_DATA);
    drop_fields(tensor, ONNX_TENSOR_EXTERNAL_DATA);
    drop_fields(tensor, ONNX_TENSOR_DATA_LOCATION);
    if (!add_entry(s, tensor, "location", s->location) ||
        !add_entry(s, tensor, "offset", vecq_arena_printf(&s->doc->arena, "%" PRIu64, at)) ||
        !add_entry(s, tensor, "length",
                   vecq_arena_printf(&s->doc->arena, "%" PRIu64, vecq_output_position(s->data) - at)) ||
        !vecq_message_insert_scalar(tensor, SIZE_MAX, ONNX_TENSOR_DATA_LOCATION, 1))
        return save_oom(s);
    return VECQ_OK;
}

static vecq_status move_in(saver *s, vecq_message *tensor, vecq_span bytes)
{
    VECQ_TRY(remember(s, tensor));
    drop_fields(tensor, ONNX_TENSOR_EXTERNAL_DATA);
    drop_fields(tensor, ONNX_TENSOR_DATA_LOCATION);
    if (!vecq_message_insert_bytes(tensor, SIZE_MAX, ONNX_TENSOR_RAW_DATA, bytes))
        return save_oom(s);
    return VECQ_OK;
}

/* One TensorProto field of `parent`: new, changed, or as it was. What was in a file of the input and does not
 * go to the data file goes into the model: nothing points to the old place. */
static vecq_status place_tensor(saver *s, vecq_message *parent, size_t field)
{
    vecq_field *f = &parent->fields[field];
    vecq_message *tensor = f->child;
    int is_changed = tensor != NULL && tensor->is_changed, goes_out;
    vecq_tensor_proto proto = {0};
    vecq_span bytes;

    if (is_changed) {
        bytes = vecq_message_bytes(tensor, ONNX_TENSOR_RAW_DATA);
    } else {
        VECQ_TRY(vecq_tensor_proto_parse(&s->doc->arena, &s->doc->external, vecq_field_content(f), &proto,
                                         s->err));
        bytes = proto.bytes;
    }
    goes_out = s->to_external && bytes.n >= SAVE_EXTERNAL_LEAST &&
               (!s->only_external || is_changed || proto.is_external);
    if (!goes_out && !proto.is_external)
        return VECQ_OK;
    VECQ_TRY(vecq_message_open(parent, field, &tensor, s->err));
    return goes_out ? move_out(s, tensor, bytes) : move_in(s, tensor, bytes);
}

/* Non-zero if a tensor somewhere in this message lies in another file. The wire check bounded the depth. */
static int holds_external(vecq_span bytes, vecq_schema_type type)
{
    struct {
        vecq_span rest;
        vecq_schema_type type;
    } frames[WALK_DEPTH_MAX];
    size_t depth = 1;

    frames[0].rest = bytes;
    frames[0].type = type;
    while (depth > 0) {
        vecq_wire_field field;
        const vecq_schema_row *row;

        if (vecq_wire_next(&frames[depth - 1].rest, &field, NULL) != VECQ_OK || field.number == 0) {
            depth--;
            continue;
        }
        row = vecq_schema_find(frames[depth - 1].type, field.number);
        if (frames[depth - 1].type == VECQ_SCHEMA_TENSOR && field.number == ONNX_TENSOR_DATA_LOCATION &&
            field.scalar == ONNX_LOCATION_EXTERNAL)
            return 1;
        if (row->kind == VECQ_SCHEMA_MESSAGE && depth < WALK_DEPTH_MAX) {
            frames[depth].rest = field.payload;
            frames[depth++].type = row->type;
        }
    }
    return 0;
}

static vecq_status refuse_external(saver *s, vecq_span bytes, vecq_schema_type type, const char *what)
{
    return s->doc->external.n_files > 0 && holds_external(bytes, type)
               ? vecq_error_set(s->err, VECQ_ERR_UNSUPPORTED,
                                "%s has its data in another file, from where it cannot be moved: embed it "
                                "first",
                                what)
               : VECQ_OK;
}

/* Tensors in attributes: only what would lose its file. */
static vecq_status place_attributes(saver *s, const vecq_node *node)
{
    vecq_message *message = ((const vecq_origin *)node->origin)->self, *attr;
    size_t i;

    for (i = 0; i < node->n_attrs; i++) {
        const vecq_attr *a = &node->attrs[i];
        const vecq_origin *origin;

        if (a->tensor == NULL || !a->tensor->is_external)
            continue;
        origin = a->tensor->origin;
        VECQ_TRY(vecq_message_open(origin->parent, origin->field, &attr, s->err));
        VECQ_TRY(place_tensor(s, attr, vecq_message_last(attr, ONNX_ATTR_T)));
    }
    if (s->doc->external.n_files > 0)
        for (i = 0; i < message->n_fields; i++) {
            const vecq_field *f = &message->fields[i];

            if (f->number == ONNX_NODE_ATTRIBUTE && f->child == NULL)
                VECQ_TRY(refuse_external(s, f->payload, VECQ_SCHEMA_ATTRIBUTE, "an attribute"));
        }
    return VECQ_OK;
}

static vecq_status place_graph(saver *s, vecq_graph *graph)
{
    vecq_message *message = ((const vecq_origin *)graph->origin)->self;
    size_t i;

    for (i = 0; i < message->n_fields && graph->kind != VECQ_GRAPH_FUNCTION; i++) {
        const vecq_field *f = &message->fields[i];

        if (f->number == ONNX_GRAPH_INITIALIZER && !f->is_dropped)
            VECQ_TRY(place_tensor(s, message, i));
        else if (f->number == ONNX_GRAPH_SPARSE_INITIALIZER)
            VECQ_TRY(refuse_external(s, f->payload, VECQ_SCHEMA_SPARSE_TENSOR, "a sparse initializer"));
    }
    for (i = 0; i < graph->n_nodes; i++)
        if (!graph->nodes[i]->is_dead)
            VECQ_TRY(place_attributes(s, graph->nodes[i]));
    return VECQ_OK;
}

static vecq_status place_all(saver *s)
{
    const vecq_message *model = s->doc->model;
    size_t g;

    if (!s->to_external && s->doc->external.n_files == 0)
        return VECQ_OK;
    for (g = 0; g < s->doc->ir.n_graphs; g++)
        VECQ_TRY(place_graph(s, s->doc->ir.graphs[g]));
    for (g = 0; g < model->n_fields; g++)
        if (model->fields[g].number == ONNX_MODEL_TRAINING_INFO)
            VECQ_TRY(refuse_external(s, model->fields[g].payload, VECQ_SCHEMA_TRAINING, "training_info"));
    return VECQ_OK;
}

/* ---- reading back ---- */

static vecq_status check_tensor(vecq_document *doc, const vecq_expectation *want, vecq_error *err)
{
    vecq_value *value = NULL;
    vecq_tensor tensor;
    vecq_status status;

    if (want->graph < doc->ir.n_graphs)
        value = vecq_map_get(&doc->ir.graphs[want->graph]->by_name, want->name);
    if (value == NULL || !value->is_constant)
        return vecq_error_set(err, VECQ_ERR_VERIFY, "tensor '%s' is missing from what was written",
                              want->name);
    if (value->constant != NULL)
        status = vecq_const_load(value->constant, &tensor, err);
    else
        status = vecq_fold_value(value, SAVE_FOLD_LIMIT, &tensor, err);
    if (status != VECQ_OK) {
        vecq_error_prefix(err, "reading back tensor '%s'", want->name);
        return status;
    }
    if (tensor.dtype != want->dtype || tensor.count != want->count ||
        vecq_hash(0, tensor.data, tensor.n_bytes) != want->fingerprint)
        status = vecq_error_set(err, VECQ_ERR_VERIFY, "tensor '%s' does not read back as it was written",
                                want->name);
    vecq_tensor_destroy(&tensor);
    return status;
}

static vecq_status read_back(saver *s, const char *path, const vecq_expectation *want, size_t n)
{
    vecq_document doc = {.name = path, .folder = "."};
    vecq_mapping data = {0};
    vecq_status status = vecq_output_map(s->model, &doc.mapping, s->err);
    size_t i;

    doc.bytes = doc.mapping.bytes;
    vecq_external_init(&doc.external, ".");
    if (status == VECQ_OK && s->data != NULL) {
        status = vecq_output_map(s->data, &data, s->err);
        if (status == VECQ_OK)
            status = vecq_external_preset(&doc.external, s->location, data.bytes, s->err);
    }
    if (status == VECQ_OK) {
        status = vecq_document_read(&doc, s->err);
        if (status != VECQ_OK)
            vecq_error_prefix(s->err, "reading back what was written");
    }
    for (i = 0; i < n && status == VECQ_OK; i++) {
        if (s->options->progress != NULL &&
            s->options->progress(s->options->progress_context, "checking", "tensors", i, n) != 0)
            status = vecq_error_set(s->err, VECQ_ERR_CANCELLED, "interrupted");
        else
            status = check_tensor(&doc, &want[i], s->err);
    }
    vecq_document_clear(&doc);
    vecq_mapping_close(&data);
    return status;
}

/* ---- the whole ---- */

static vecq_status sink(void *context, const void *bytes, size_t n, vecq_error *err)
{
    saver *s = context;

    VECQ_TRY(vecq_output_write(s->model, bytes, n, err));
    return save_progress(s, n);
}

static vecq_status write_model(saver *s, const char *path, const vecq_expectation *want, size_t n)
{
    uint64_t size;
    vecq_status status = place_all(s);

    if (status != VECQ_OK) {
        if (status != VECQ_ERR_IO) /* those name the file that was written to */
            vecq_error_prefix(s->err, "%s", s->doc->name);
        return status;
    }
    size = vecq_message_measure(s->doc->model);
    if (size > SAVE_MESSAGE_MAX)
        return vecq_error_set(s->err, VECQ_ERR_UNSUPPORTED,
                              "%s: the model file would take %" PRIu64
                              " bytes and the format ends at 2 GiB: allow external data",
                              path, size);
    s->total = s->done + size;
    VECQ_TRY(vecq_output_open(path, &s->model, s->err));
    VECQ_TRY(vecq_message_write(s->doc->model, sink, s, s->err));
    status = read_back(s, path, want, n);
    if (status != VECQ_OK && status != VECQ_ERR_IO)
        vecq_error_prefix(s->err, "%s", path);
    return status;
}

/* Both files are on disk before the first gets its name; the data file goes first, so that a model file never
 * stands without its data. */
static vecq_status commit(saver *s, vecq_save_result *out)
{
    int is_new_data = s->data != NULL && access(s->data_path, F_OK) != 0;
    vecq_status status = VECQ_OK;

    out->file_bytes = vecq_output_position(s->model);
    if (s->data != NULL) {
        out->external_bytes = vecq_output_position(s->data);
        VECQ_TRY(vecq_output_sync(s->data, s->err));
        VECQ_TRY(vecq_output_sync(s->model, s->err));
        status = vecq_output_commit(s->data, s->err);
        s->data = NULL;
        VECQ_TRY(status);
    }
    status = vecq_output_commit(s->model, s->err);
    s->model = NULL;
    if (status != VECQ_OK && is_new_data)
        unlink(s->data_path);
    return status;
}

static vecq_status refuse_inputs(saver *s, const char *path)
{
    const char *paths[2] = {path, s->to_external ? s->data_path : NULL};
    size_t i;

    for (i = 0; i < 2 && paths[i] != NULL; i++) {
        if (vecq_mapping_is(&s->doc->mapping, paths[i]))
            return vecq_error_set(s->err, VECQ_ERR_UNSUPPORTED, "%s: is the input: write to another file",
                                  paths[i]);
        if (vecq_external_is(&s->doc->external, paths[i]))
            return vecq_error_set(s->err, VECQ_ERR_UNSUPPORTED,
                                  "%s: holds data of the input: write to another file", paths[i]);
    }
    return VECQ_OK;
}

static int decide_external(saver *s, const char *path)
{
    int choice = s->options->external_data;

    if (choice == 0 || strcmp(path, "-") == 0)
        return 0;
    s->only_external = choice < 0;
    if (choice > 0 || s->doc->external.n_files > 0)
        return 1;
    if (vecq_message_measure(s->doc->model) > SAVE_MESSAGE_MAX) {
        s->only_external = 0;
        return 1;
    }
    return 0;
}

vecq_status vecq_document_save(vecq_document *doc, const char *path, const vecq_save_options *options,
                               const vecq_expectation *expectations, size_t n_expectations,
                               vecq_save_result *out, vecq_error *err)
{
    vecq_error local = VECQ_ERROR_INIT;
    saver s = {.doc = doc, .err = &local, .options = options};
    vecq_save_result result = {0};
    const char *slash = strrchr(path, '/');
    vecq_status status = VECQ_OK;

    s.data_path = vecq_arena_printf(&doc->arena, "%s.data", path);
    s.location = vecq_arena_printf(&doc->arena, "%s.data", slash != NULL ? slash + 1 : path);
    if (s.data_path == NULL || s.location == NULL)
        return vecq_error_memory(err, strlen(path));
    s.to_external = decide_external(&s, path);
    status = refuse_inputs(&s, path);
    if (status == VECQ_OK)
        status = write_model(&s, path, expectations, n_expectations);
    undo_all(&s);
    if (status == VECQ_OK)
        status = commit(&s, &result);
    vecq_output_discard(s.model);
    vecq_output_discard(s.data);
    if (out != NULL && status == VECQ_OK)
        *out = result;
    return status == VECQ_OK ? status : vecq_error_set(err, status, "%s", local.message);
}
