/* SPDX-License-Identifier: Apache-2.0 */
#include "train/feed.h"

#include <string.h>

#include "base/map.h"
#include "base/status.h"
#include "eval/evaluator.h"
#include "graph/simplify.h"
#include "train/training.h"

#define NPY "npy:"

static const char *spec_of(const vecq_feed *f)
{
    const vecq_recipe *r = &f->subject.recipe;

    return f->split == VECQ_SPLIT_TEST && r->data.test != NULL ? r->data.test : r->data.train;
}

/* ---- arrays ---- */

static const vecq_value *find_input(const vecq_graph *graph, const char *name, size_t n)
{
    const vecq_value *only = NULL;
    size_t i;

    for (i = 0; i < graph->n_inputs; i++) {
        const vecq_value *value = graph->inputs[i];

        if (value->is_constant)
            continue;
        if (name != NULL && strlen(value->name) == n && memcmp(value->name, name, n) == 0)
            return value;
        if (name == NULL && only != NULL)
            return NULL;
        only = value;
    }
    return name == NULL ? only : NULL;
}

/* NumPy makes doubles and 64-bit integers unless it is told otherwise. */
static vecq_status take_type(vecq_feed_array *a, vecq_error *err)
{
    vecq_dtype want = a->input->is_typed ? a->input->dtype : a->tensor.dtype;
    vecq_tensor narrow;
    size_t i;

    if (want == a->tensor.dtype)
        return VECQ_OK;
    if (!(want == VECQ_DT_FLOAT && a->tensor.dtype == VECQ_DT_DOUBLE) &&
        !(want == VECQ_DT_INT32 && a->tensor.dtype == VECQ_DT_INT64))
        return vecq_error_set(err, VECQ_ERR_VALUE, "%s: holds %s, input '%s' takes %s", a->path,
                              vecq_dtype_name(a->tensor.dtype), a->input->name, vecq_dtype_name(want));
    VECQ_TRY(vecq_tensor_create(want, a->tensor.rank, a->tensor.dims, &narrow, err));
    for (i = 0; i < narrow.count; i++)
        if (want == VECQ_DT_FLOAT)
            ((float *)narrow.data)[i] = (float)((const double *)a->tensor.data)[i];
        else
            ((int32_t *)narrow.data)[i] = (int32_t)((const int64_t *)a->tensor.data)[i];
    vecq_tensor_destroy(&a->tensor);
    a->tensor = narrow;
    return VECQ_OK;
}

static vecq_status open_array(vecq_feed *f, vecq_feed_array *a, size_t batch, vecq_error *err)
{
    const vecq_value *input = a->input;

    VECQ_TRY(vecq_npy_load(a->path, &a->tensor, err));
    VECQ_TRY(take_type(a, err));
    if (a->tensor.rank == 0 || (input->is_typed && input->rank != a->tensor.rank))
        return vecq_error_set(err, VECQ_ERR_VALUE, "%s: has %u dimensions, input '%s' has %u", a->path,
                              a->tensor.rank, input->name, input->rank);
    a->rows = input->is_typed && input->dims[0] > 0 ? (size_t)input->dims[0] : batch;
    if (a->rows > (size_t)a->tensor.dims[0] && !(input->is_typed && input->dims[0] > 0))
        a->rows = (size_t)a->tensor.dims[0];
    if (a->rows == 0 || (size_t)a->tensor.dims[0] < a->rows)
        return vecq_error_set(err, VECQ_ERR_VALUE, "%s: has %lld rows, input '%s' takes %zu at once", a->path,
                              (long long)a->tensor.dims[0], input->name, a->rows);
    f->batch = f->n_arrays == 0 ? a->rows : f->batch;
    return VECQ_OK;
}

/* "NAME=FILE", or "FILE" for the only input. */
static vecq_status add_array(vecq_feed *f, const char *text, size_t n, size_t batch, vecq_error *err)
{
    const char *equals = memchr(text, '=', n);
    size_t n_name = equals != NULL ? (size_t)(equals - text) : 0, skip = equals != NULL ? n_name + 1 : 0;
    vecq_feed_array *a = &f->arrays[f->n_arrays];
    vecq_status status;

    a->input = find_input(f->subject.ir->main, equals != NULL ? text : NULL, n_name);
    if (a->input == NULL)
        return vecq_subject_blame(&f->subject,
                                  vecq_error_set(err, VECQ_ERR_VALUE,
                                                 equals != NULL
                                                     ? "has no input '%.*s'"
                                                     : "has more inputs than one: say npy:INPUT=FILE,...%.*s",
                                                 (int)n_name, text),
                                  err);
    a->path = vecq_arena_string(&f->subject.arena, text + skip, n - skip);
    if (a->path == NULL)
        return vecq_error_memory(err, n);
    status = open_array(f, a, batch, err);
    f->n_arrays++; /* on failure, too: closing destroys it */
    return status;
}

static vecq_status check_arrays(const vecq_feed *f, vecq_error *err)
{
    const vecq_feed_array *a = f->arrays;
    size_t i;

    for (i = 1; i < f->n_arrays; i++)
        if ((size_t)a[i].tensor.dims[0] / a[i].rows != (size_t)a[0].tensor.dims[0] / a[0].rows)
            return vecq_error_set(err, VECQ_ERR_VALUE, "%s: is enough for %zu batches, %s for %zu", a[i].path,
                                  (size_t)a[i].tensor.dims[0] / a[i].rows, a[0].path,
                                  (size_t)a[0].tensor.dims[0] / a[0].rows);
    return VECQ_OK;
}

static vecq_status open_arrays(vecq_feed *f, const char *list, size_t batch, vecq_error *err)
{
    size_t n = 1, i, part;

    for (i = 0; list[i] != '\0'; i++)
        n += list[i] == ',';
    f->arrays = vecq_arena_alloc(&f->subject.arena, n, sizeof *f->arrays);
    if (f->arrays == NULL)
        return vecq_error_memory(err, n * sizeof *f->arrays);
    for (i = 0; i < n; i++, list += part + 1) {
        part = strcspn(list, ",");
        VECQ_TRY(add_array(f, list, part, batch, err));
    }
    return check_arrays(f, err);
}

/* ---- either ---- */

static vecq_status open_data(vecq_feed *f, size_t batch, vecq_error *err)
{
    const vecq_subject *s = &f->subject;
    size_t n;

    VECQ_TRY(vecq_subject_open_data(&f->subject, f->split, err));
    n = vecq_dataset_describe(s->data)->n;
    f->may_be_alone = s->ports.dims[0] == 1;
    f->batch = s->ports.dims[0] > 1 ? (size_t)s->ports.dims[0] : batch < n ? batch : n;
    if (f->batch > n)
        return vecq_error_set(err, VECQ_ERR_VALUE, "input '%s' takes %zu samples at once, there are %zu",
                              s->ports.input, f->batch, n);
    return VECQ_OK;
}

vecq_status vecq_feed_open(vecq_feed *f, vecq_model *model, const char *name, const vecq_recipe *given,
                           vecq_split split, int is_shuffled, size_t batch, vecq_error *err)
{
    const char *spec;

    memset(f, 0, sizeof *f);
    f->split = split;
    f->is_shuffled = is_shuffled;
    VECQ_TRY(vecq_subject_open(&f->subject, model, name, given, err));
    spec = spec_of(f);
    if (spec != NULL && strncmp(spec, NPY, strlen(NPY)) == 0)
        return open_arrays(f, spec + strlen(NPY), batch, err);
    return open_data(f, batch, err);
}

void vecq_feed_close(vecq_feed *f)
{
    size_t i;

    for (i = 0; i < f->n_arrays; i++)
        vecq_tensor_destroy(&f->arrays[i].tensor);
    vecq_loader_destroy(f->loader);
    vecq_free((void *)f->vars);
    vecq_free(f->narrow);
    vecq_subject_close(&f->subject);
    memset(f, 0, sizeof *f);
}

uint64_t vecq_feed_batches(const vecq_feed *f)
{
    if (f->n_arrays > 0)
        return (uint64_t)f->arrays[0].tensor.dims[0] / f->arrays[0].rows;
    return vecq_dataset_describe(f->subject.data)->n / f->batch;
}

/* ---- programs ---- */

size_t vecq_feed_outputs(const vecq_feed *f)
{
    return f->subject.recipe.model.output != NULL ? 1 : f->subject.ir->main->n_outputs;
}

static vecq_status make_inputs(vecq_feed *f, vecq_program *program, vecq_lower_input *inputs, vecq_error *err)
{
    int64_t dims[VECQ_MAX_RANK];
    size_t i;

    if (f->n_arrays == 0) {
        VECQ_TRY(vecq_ports_input(&f->subject.ports, f->batch, program, &f->vars[0], err));
        inputs[0] = (vecq_lower_input){f->subject.ports.input, f->vars[0]};
        if (f->subject.ports.dtype == VECQ_DT_INT32 && f->narrow == NULL) {
            f->narrow = vecq_alloc(f->vars[0]->count, sizeof *f->narrow);
            if (f->narrow == NULL)
                return vecq_error_memory(err, f->vars[0]->count * sizeof *f->narrow);
        }
        return VECQ_OK;
    }
    for (i = 0; i < f->n_arrays; i++) {
        const vecq_feed_array *a = &f->arrays[i];

        memcpy(dims, a->tensor.dims, sizeof dims);
        dims[0] = (int64_t)a->rows;
        VECQ_TRY(vecq_program_input(program, a->input->name, a->tensor.dtype, a->tensor.rank, dims,
                                    &f->vars[i], err));
        inputs[i] = (vecq_lower_input){a->input->name, f->vars[i]};
    }
    return VECQ_OK;
}

static vecq_status lower(vecq_feed *f, vecq_program *program, vecq_store *store,
                         const vecq_lower_options *options, vecq_lower_input *inputs, const char **names,
                         vecq_var **outputs, vecq_error *err)
{
    const char *named = f->subject.recipe.model.output;
    size_t n = vecq_feed_outputs(f), n_inputs = f->n_arrays > 0 ? f->n_arrays : 1, i;

    VECQ_TRY(make_inputs(f, program, inputs, err));
    for (i = 0; i < n; i++)
        names[i] = named != NULL ? named : f->subject.ir->main->outputs[i]->name;
    VECQ_TRY(
        vecq_lower_graph(program, store, f->subject.ir, options, inputs, n_inputs, names, n, outputs, err));
    for (i = 0; i < n; i++)
        outputs[i]->is_output = 1;
    vecq_program_prune(program);
    return vecq_program_simplify(program, NULL, NULL, err);
}

vecq_status vecq_feed_lower(vecq_feed *f, vecq_program *program, vecq_store *store,
                            const vecq_lower_options *options, vecq_var **outputs, vecq_error *err)
{
    size_t n = vecq_feed_outputs(f), n_inputs = f->n_arrays > 0 ? f->n_arrays : 1;
    vecq_lower_input *inputs = vecq_alloc(n_inputs, sizeof *inputs);
    const char **names = vecq_alloc(n, sizeof *names);
    vecq_status status;

    vecq_free((void *)f->vars);
    f->vars = vecq_calloc(n_inputs, sizeof *f->vars);
    if (inputs == NULL || names == NULL || f->vars == NULL)
        status = vecq_error_memory(err, n_inputs * sizeof *inputs);
    else
        status = lower(f, program, store, options, inputs, names, outputs, err);
    vecq_free(inputs);
    vecq_free((void *)names);
    return status;
}

static vecq_status bind_loaded(vecq_feed *f, vecq_exec *exec, uint64_t step, vecq_error *err)
{
    const vecq_subject *s = &f->subject;
    vecq_batch batch;

    if (f->loader == NULL)
        VECQ_TRY(vecq_training_whole_loader(&s->recipe, &s->ports, s->data, s->mean, s->std, f->batch,
                                            f->is_shuffled, &f->loader, err));
    VECQ_TRY(vecq_loader_next(f->loader, step, &batch, err));
    vecq_exec_bind(exec, f->vars[0], vecq_batch_data(&batch, s->ports.dtype, f->vars[0]->count, f->narrow));
    return VECQ_OK;
}

vecq_status vecq_feed_bind(vecq_feed *f, vecq_exec *exec, uint64_t step, vecq_error *err)
{
    size_t i;

    if (f->n_arrays == 0)
        return bind_loaded(f, exec, step, err);
    for (i = 0; i < f->n_arrays; i++) {
        const vecq_feed_array *a = &f->arrays[i];
        size_t n_bytes = vecq_dtype_bytes(a->tensor.dtype, f->vars[i]->count);

        vecq_exec_bind(exec, f->vars[i], (const unsigned char *)a->tensor.data + step * n_bytes);
    }
    return VECQ_OK;
}
