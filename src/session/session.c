/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/status.h"
#include "graph/lower.h"
#include "graph/rounding.h"
#include "onnx/trained.h"
#include "session/session_private.h"

void vecq_session_options_default(vecq_session_options *options)
{
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
    options->plans = 4;
}

/* ---- options ---- */

static vecq_status session_backends(vecq_session *s, const vecq_session_options *o, vecq_error *err)
{
    size_t i;

    if (o->n_backends > VECQ_SESSION_BACKENDS_MAX)
        return vecq_error_set(err, VECQ_ERR_USAGE, "too many backends");
    for (i = 0; o->backends != NULL && i < o->n_backends; i++) {
        s->backends[s->n_backends] = vecq_backend_find(o->backends[i]);
        if (s->backends[s->n_backends++] == NULL)
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "this build has no backend '%s'",
                                  o->backends[i]);
    }
    for (i = 0; o->backends == NULL && i < vecq_backend_count() && i < VECQ_SESSION_BACKENDS_MAX; i++)
        s->backends[s->n_backends++] = vecq_backend_at(i);
    return VECQ_OK;
}

static vecq_status session_options(vecq_session *s, const vecq_session_options *o, vecq_error *err)
{
    if (o == NULL)
        vecq_session_options_default(&s->options);
    else
        s->options = *o;
    if (s->options.size != sizeof s->options)
        return vecq_error_set(err, VECQ_ERR_USAGE, "vecq_session_options of another version of the library");
    if ((unsigned)s->options.prefer > VECQ_PREFER_MEMORY)
        return vecq_error_set(err, VECQ_ERR_USAGE, "a session option is out of range");
    VECQ_TRY(vecq_rounding_check(s->options.act_bits, err));
    if (s->options.plans == 0)
        s->options.plans = 1;
    return session_backends(s, &s->options, err);
}

/* ---- inputs and outputs ---- */

static vecq_status io_read(vecq_session *s, const vecq_value *value, vecq_io_info *io, vecq_error *err)
{
    unsigned a;

    io->name = value->name;
    io->dtype = value->dtype;
    io->has_shape = value->is_typed;
    io->rank = value->is_typed ? value->rank : 0;
    for (a = 0; a < io->rank; a++) {
        size_t k;

        io->dims[a] = value->dims[a];
        io->symbols[a] = value->symbols != NULL ? value->symbols[a] : NULL;
        for (k = 0; k < s->options.n_dims && io->symbols[a] != NULL; k++)
            if (strcmp(s->options.dims[k].name, io->symbols[a]) == 0) {
                if (s->options.dims[k].size < 0)
                    return vecq_error_set(err, VECQ_ERR_USAGE, "dimension '%s' cannot be %lld",
                                          io->symbols[a], (long long)s->options.dims[k].size);
                io->dims[a] = s->options.dims[k].size;
            }
    }
    return VECQ_OK;
}

static vecq_status session_inputs(vecq_session *s, const vecq_graph *graph, vecq_error *err)
{
    size_t i;

    s->inputs = vecq_arena_alloc(&s->arena, graph->n_inputs, sizeof *s->inputs);
    s->input_values = vecq_arena_alloc(&s->arena, graph->n_inputs, sizeof *s->input_values);
    if (s->inputs == NULL || s->input_values == NULL)
        return vecq_error_memory(err, graph->n_inputs * sizeof *s->inputs);
    for (i = 0; i < graph->n_inputs; i++) {
        if (graph->inputs[i]->is_constant) /* an initializer that could be overridden */
            continue;
        VECQ_TRY(io_read(s, graph->inputs[i], &s->inputs[s->n_inputs], err));
        s->input_values[s->n_inputs++] = graph->inputs[i];
    }
    return VECQ_OK;
}

static vecq_status session_outputs(vecq_session *s, const vecq_graph *graph, vecq_error *err)
{
    size_t i;

    if (graph->n_outputs == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "the model has no output");
    s->outputs = vecq_arena_alloc(&s->arena, graph->n_outputs, sizeof *s->outputs);
    s->output_names = vecq_arena_alloc(&s->arena, graph->n_outputs, sizeof *s->output_names);
    if (s->outputs == NULL || s->output_names == NULL)
        return vecq_error_memory(err, graph->n_outputs * sizeof *s->outputs);
    for (i = 0; i < graph->n_outputs; i++) {
        VECQ_TRY(io_read(s, graph->outputs[i], &s->outputs[s->n_outputs], err));
        s->output_names[s->n_outputs++] = graph->outputs[i]->name;
    }
    return VECQ_OK;
}

static vecq_status session_check_dims(const vecq_session *s, vecq_error *err)
{
    size_t i, k;
    unsigned a;

    for (k = 0; k < s->options.n_dims; k++) {
        int found = 0;

        for (i = 0; i < s->n_inputs; i++)
            for (a = 0; a < s->inputs[i].rank; a++)
                found |= s->inputs[i].symbols[a] != NULL &&
                         strcmp(s->inputs[i].symbols[a], s->options.dims[k].name) == 0;
        if (!found)
            return vecq_error_set(err, VECQ_ERR_VALUE, "no input has a dimension '%s'",
                                  s->options.dims[k].name);
    }
    return VECQ_OK;
}

/* ---- creation ---- */

static vecq_status session_make(vecq_session *s, vecq_model *model, const vecq_session_options *options,
                                vecq_error *err)
{
    const vecq_graph *graph;

    s->doc = vecq_model_document(model);
    graph = s->doc->ir.main;
    VECQ_TRY(session_options(s, options, err));
    VECQ_TRY(session_inputs(s, graph, err));
    VECQ_TRY(session_outputs(s, graph, err));
    VECQ_TRY(session_check_dims(s, err));
    VECQ_TRY(vecq_lower_check(&s->doc->ir, s->output_names, s->n_outputs, err));
    return vecq_lock_create(&s->lock, err);
}

static vecq_status session_create(vecq_model *model, int owns, const vecq_session_options *options,
                                  vecq_session **out, vecq_error *err)
{
    vecq_session *s = vecq_calloc(1, sizeof *s);
    vecq_error why = VECQ_ERROR_INIT;
    vecq_status status;

    if (s == NULL) {
        if (owns)
            vecq_model_close(model);
        return vecq_error_memory(err, sizeof *s);
    }
    s->model = model;
    s->owns_model = owns;
    status = session_make(s, model, options, &why);
    if (status != VECQ_OK) {
        vecq_error_set(err, status, "%s: %s", s->doc->name, why.message);
        vecq_session_close(s);
        return status;
    }
    *out = s;
    return VECQ_OK;
}

vecq_status vecq_session_load(const char *path, const vecq_session_options *options, vecq_session **out,
                              vecq_error *err)
{
    vecq_model *model;

    *out = NULL;
    VECQ_TRY(vecq_model_load(path, &model, err));
    return session_create(model, 1, options, out, err);
}

vecq_status vecq_session_load_memory(const void *bytes, size_t n_bytes, const char *name, const char *folder,
                                     const vecq_session_options *options, vecq_session **out, vecq_error *err)
{
    vecq_model *model;

    *out = NULL;
    VECQ_TRY(vecq_model_load_memory(bytes, n_bytes, name, folder, &model, err));
    return session_create(model, 1, options, out, err);
}

vecq_status vecq_session_of_model(vecq_model *model, const vecq_session_options *options, vecq_session **out,
                                  vecq_error *err)
{
    *out = NULL;
    return session_create(model, 0, options, out, err);
}

void vecq_session_close(vecq_session *s)
{
    if (s == NULL)
        return;
    vecq_bank_clear(&s->bank);
    vecq_lock_destroy(s->lock);
    vecq_arena_clear(&s->arena);
    if (s->owns_model)
        vecq_model_close(s->model);
    vecq_free(s);
}

/* ---- looking ---- */

size_t vecq_session_inputs(const vecq_session *s)
{
    return s->n_inputs;
}

const vecq_io_info *vecq_session_input(const vecq_session *s, size_t i)
{
    return i < s->n_inputs ? &s->inputs[i] : NULL;
}

size_t vecq_session_outputs(const vecq_session *s)
{
    return s->n_outputs;
}

const vecq_io_info *vecq_session_output(const vecq_session *s, size_t i)
{
    return i < s->n_outputs ? &s->outputs[i] : NULL;
}

const char *vecq_session_metadata(const vecq_session *s, const char *key, size_t *n_bytes)
{
    vecq_span value = vecq_document_metadata(s->doc, key);

    *n_bytes = value.data != NULL ? value.n : 0;
    return (const char *)value.data;
}

const char *vecq_backend_label(size_t i)
{
    if (i < vecq_backend_count())
        return vecq_backend_name(vecq_backend_at(i));
    return i == vecq_backend_count() ? "ref" : NULL;
}
