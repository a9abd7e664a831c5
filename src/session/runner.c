/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "session/session_private.h"

struct vecq_runner {
    vecq_session *session;
    vecq_run_input *inputs; /* [n_inputs of the session] */
    vecq_run_plan **plans;  /* [options.plans] */
    size_t n_plans;
    vecq_run_plan *current; /* of the shapes bound; NULL: to be found */
    uint64_t clock;
    int has_result; /* of the current plan */
    int is_checking, is_timing;
    int cancel; /* set by any thread */
};

/* Hands on an error with the model's name before it. */
static vecq_status runner_fail(const vecq_runner *r, vecq_status status, const vecq_error *why,
                               vecq_error *err)
{
    if (status != VECQ_OK)
        vecq_error_set(err, status, "%s: %s", r->session->doc->name, why->message);
    return status;
}

vecq_status vecq_runner_create(vecq_session *session, vecq_runner **out, vecq_error *err)
{
    vecq_runner *r = vecq_calloc(1, sizeof *r);

    *out = NULL;
    if (r == NULL)
        return vecq_error_memory(err, sizeof *r);
    r->session = session;
    r->inputs = vecq_calloc(session->n_inputs, sizeof *r->inputs);
    r->plans = vecq_calloc(session->options.plans, sizeof *r->plans);
    if (r->inputs == NULL || r->plans == NULL) {
        vecq_runner_destroy(r);
        return vecq_error_memory(err, session->n_inputs * sizeof *r->inputs);
    }
    *out = r;
    return VECQ_OK;
}

void vecq_runner_destroy(vecq_runner *r)
{
    size_t i;

    if (r == NULL)
        return;
    for (i = 0; i < r->n_plans; i++)
        vecq_run_plan_destroy(r->session, r->plans[i]);
    vecq_free(r->inputs);
    vecq_free((void *)r->plans);
    vecq_free(r);
}

/* ---- binding ---- */

/* "2x3x?" of a shape that may be open. */
static const char *shape_text(unsigned rank, const int64_t *dims, const char *const *symbols, char text[128])
{
    size_t at = 0;
    unsigned a;

    snprintf(text, 128, "scalar");
    for (a = 0; a < rank && at < 100; a++)
        if (dims[a] >= 0)
            at += (size_t)snprintf(text + at, 128 - at, "%s%lld", a > 0 ? "x" : "", (long long)dims[a]);
        else
            at += (size_t)snprintf(text + at, 128 - at, "%s%.12s", a > 0 ? "x" : "",
                                   symbols != NULL && symbols[a] != NULL ? symbols[a] : "?");
    return text;
}

static vecq_status find_input(const vecq_runner *r, const char *name, size_t *out, vecq_error *err)
{
    const vecq_session *s = r->session;

    for (*out = 0; *out < s->n_inputs; ++*out)
        if (name == NULL || strcmp(s->inputs[*out].name, name) == 0)
            return VECQ_OK;
    if (name == NULL)
        return vecq_error_set(err, VECQ_ERR_VALUE, "the model has no input");
    return vecq_error_set(err, VECQ_ERR_VALUE, "the model has no input '%s'%s%s%s", name,
                          s->n_inputs > 0 ? "; its first is '" : "", s->n_inputs > 0 ? s->inputs[0].name : "",
                          s->n_inputs > 0 ? "'" : "");
}

static vecq_status check_dtype(const vecq_io_info *io, vecq_dtype dtype, vecq_error *err)
{
    if (vecq_dtype_bits(dtype) < 8)
        return vecq_error_set(err, VECQ_ERR_VALUE, "input '%s': data of type %s cannot be bound", io->name,
                              vecq_dtype_name(dtype));
    if (io->dtype == dtype || io->dtype == VECQ_DT_UNDEFINED ||
        (dtype == VECQ_DT_FLOAT && vecq_dtype_is_weight(io->dtype)))
        return VECQ_OK;
    return vecq_error_set(err, VECQ_ERR_VALUE, "input '%s' is %s, the data are %s", io->name,
                          vecq_dtype_name(io->dtype), vecq_dtype_name(dtype));
}

static vecq_status check_shape(const vecq_io_info *io, unsigned rank, const int64_t *dims, size_t *count,
                               vecq_error *err)
{
    char have[128], want[128];
    unsigned a;

    if (rank > VECQ_MAX_RANK || (rank > 0 && dims == NULL) || !vecq_shape_count(dims, rank, count))
        return vecq_error_set(err, VECQ_ERR_VALUE, "input '%s': impossible shape of the data", io->name);
    if (!io->has_shape)
        return VECQ_OK;
    for (a = 0; a < rank && rank == io->rank; a++)
        if (io->dims[a] >= 0 && io->dims[a] != dims[a] &&
            !(a == 0 && io->dims[a] == 1 && io->symbols[a] == NULL))
            break;
    if (a == rank && rank == io->rank)
        return VECQ_OK;
    return vecq_error_set(err, VECQ_ERR_VALUE, "input '%s' is %s, the data are %s", io->name,
                          shape_text(io->rank, io->dims, io->symbols, want),
                          shape_text(rank, dims, NULL, have));
}

static vecq_status bind_input(vecq_runner *r, const char *name, const vecq_run_input *given, vecq_error *err)
{
    vecq_run_input in = *given, *slot;
    size_t i;

    VECQ_TRY(find_input(r, name, &i, err));
    VECQ_TRY(check_dtype(&r->session->inputs[i], in.dtype, err));
    VECQ_TRY(check_shape(&r->session->inputs[i], in.rank, in.dims, &in.count, err));
    if (in.count > 0 && in.data != NULL &&
        (uintptr_t)in.data % (vecq_dtype_bytes(in.dtype, 1) < 8 ? vecq_dtype_bytes(in.dtype, 1) : 8) != 0)
        return vecq_error_set(err, VECQ_ERR_USAGE, "input '%s': the data are not aligned to their elements",
                              r->session->inputs[i].name);
    slot = &r->inputs[i];
    if (!slot->is_bound || slot->dtype != in.dtype || slot->rank != in.rank ||
        memcmp(slot->dims, in.dims, in.rank * sizeof *in.dims) != 0)
        r->current = NULL;
    *slot = in;
    slot->is_bound = 1;
    r->has_result = 0;
    return VECQ_OK;
}

vecq_status vecq_runner_bind(vecq_runner *r, const char *name, vecq_dtype dtype, unsigned rank,
                             const int64_t *dims, const void *data, vecq_error *err)
{
    vecq_run_input in = {.dtype = dtype, .rank = rank, .data = data};
    vecq_error why = VECQ_ERROR_INIT;

    if (rank > 0 && rank <= VECQ_MAX_RANK && dims != NULL)
        memcpy(in.dims, dims, rank * sizeof *dims);
    else if (rank > 0)
        return runner_fail(r, vecq_error_set(&why, VECQ_ERR_VALUE, "impossible shape of the data"), &why,
                           err);
    return runner_fail(r, bind_input(r, name, &in, &why), &why, err);
}

/* ---- planning ---- */

/* Dimensions of the same name must agree. */
static vecq_status check_symbols(const vecq_runner *r, vecq_error *err)
{
    const vecq_session *s = r->session;
    size_t i, k;
    unsigned a, b;

    for (i = 0; i < s->n_inputs; i++)
        for (a = 0; a < s->inputs[i].rank; a++)
            for (k = 0; k <= i && s->inputs[i].symbols[a] != NULL; k++)
                for (b = 0; b < s->inputs[k].rank; b++)
                    if (s->inputs[k].symbols[b] != NULL &&
                        strcmp(s->inputs[i].symbols[a], s->inputs[k].symbols[b]) == 0 &&
                        r->inputs[i].dims[a] != r->inputs[k].dims[b])
                        return vecq_error_set(
                            err, VECQ_ERR_VALUE,
                            "'%s' is %lld in dimension %u of input '%s' and %lld in dimension %u of '%s'",
                            s->inputs[i].symbols[a], (long long)r->inputs[i].dims[a], a, s->inputs[i].name,
                            (long long)r->inputs[k].dims[b], b, s->inputs[k].name);
    return VECQ_OK;
}

/* Where a new plan goes: an empty place, or that of the one that was used least recently. */
static vecq_run_plan **plan_place(vecq_runner *r)
{
    vecq_run_plan **oldest = &r->plans[0];
    size_t i;

    if (r->n_plans < r->session->options.plans)
        return &r->plans[r->n_plans++];
    for (i = 1; i < r->n_plans; i++)
        if (r->plans[i]->used < (*oldest)->used)
            oldest = &r->plans[i];
    vecq_run_plan_destroy(r->session, *oldest);
    *oldest = NULL;
    return oldest;
}

static vecq_status plan_new(vecq_runner *r, vecq_error *err)
{
    vecq_run_plan *plan, **place;

    VECQ_TRY(check_symbols(r, err));
    VECQ_TRY(vecq_run_plan_create(r->session, r->inputs, &plan, err));
    vecq_exec_set_timing(plan->exec, r->is_timing);
    place = plan_place(r);
    *place = plan;
    r->current = plan;
    return VECQ_OK;
}

static vecq_status missing_input(const vecq_io_info *io, vecq_error *err)
{
    char shape[128];

    return vecq_error_set(err, VECQ_ERR_VALUE, "input '%s' is missing: %s of type %s", io->name,
                          io->has_shape ? shape_text(io->rank, io->dims, io->symbols, shape) : "any shape",
                          io->dtype != VECQ_DT_UNDEFINED ? vecq_dtype_name(io->dtype) : "any");
}

static vecq_status plan_find(vecq_runner *r, vecq_error *err)
{
    const vecq_session *s = r->session;
    size_t i;

    for (i = 0; i < s->n_inputs; i++)
        if (!r->inputs[i].is_bound)
            return missing_input(&s->inputs[i], err);
    for (i = 0; i < r->n_plans && r->current == NULL; i++)
        if (vecq_run_plan_fits(r->plans[i], r->inputs, s->n_inputs))
            r->current = r->plans[i];
    if (r->current == NULL)
        VECQ_TRY(plan_new(r, err));
    r->current->used = ++r->clock;
    return VECQ_OK;
}

vecq_status vecq_runner_prepare(vecq_runner *r, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;

    return runner_fail(r, plan_find(r, &why), &why, err);
}

/* ---- running ---- */

static vecq_status check_finite(const vecq_io_info *io, const float *x, size_t n, vecq_error *err)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return vecq_error_set(err, VECQ_ERR_VALUE, "input '%s' holds %s (element %zu)", io->name,
                                  isnan(x[i]) ? "NaN" : "infinity", i);
    return VECQ_OK;
}

static vecq_status feed(vecq_runner *r, vecq_error *err)
{
    vecq_run_plan *plan = r->current;
    size_t i;

    for (i = 0; i < r->session->n_inputs; i++) {
        const vecq_run_input *in = &r->inputs[i];
        const void *data = in->count > 0 ? in->data : (const void *)plan; /* of nothing: any address */

        if (data == NULL)
            return vecq_error_set(err, VECQ_ERR_VALUE, "input '%s' has no data", r->session->inputs[i].name);
        if (in->dtype != plan->inputs[i]->dtype) {
            vecq_convert_to_f32(in->dtype, data, plan->converted_in[i], in->count);
            data = plan->converted_in[i];
        }
        if (r->is_checking && plan->inputs[i]->dtype == VECQ_DT_FLOAT)
            VECQ_TRY(check_finite(&r->session->inputs[i], data, in->count, err));
        vecq_exec_bind(plan->exec, plan->inputs[i], data);
    }
    return VECQ_OK;
}

static vecq_status run(vecq_runner *r, vecq_error *err)
{
    vecq_run_plan *plan;
    vecq_run how = {.threads = r->session->options.threads, .check = r->is_checking, .cancel = &r->cancel};
    size_t i;

    r->has_result = 0;
    VECQ_TRY(plan_find(r, err));
    plan = r->current;
    VECQ_TRY(feed(r, err));
    VECQ_TRY(vecq_exec_run(plan->exec, &how, err));
    plan->n_timed += r->is_timing != 0;
    for (i = 0; i < r->session->n_outputs; i++)
        if (plan->converted_out[i] != NULL)
            vecq_convert_from_f32(r->session->outputs[i].dtype, vecq_exec_data(plan->exec, plan->outputs[i]),
                                  plan->converted_out[i], plan->outputs[i]->count);
    r->has_result = 1;
    return VECQ_OK;
}

vecq_status vecq_runner_run(vecq_runner *r, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;
    vecq_status status = run(r, &why);

    if (status == VECQ_ERR_CANCELLED)
        __atomic_store_n(&r->cancel, 0, __ATOMIC_RELAXED);
    return runner_fail(r, status, &why, err);
}

static vecq_status output(vecq_runner *r, const char *name, vecq_view *out, vecq_error *err)
{
    const vecq_session *s = r->session;
    const vecq_var *var;
    size_t i;

    memset(out, 0, sizeof *out);
    for (i = 0; i < s->n_outputs && name != NULL; i++)
        if (strcmp(s->outputs[i].name, name) == 0)
            break;
    if (name == NULL)
        i = 0;
    if (i == s->n_outputs)
        return vecq_error_set(err, VECQ_ERR_VALUE, "the model has no output '%s'; its first is '%s'", name,
                              s->outputs[0].name);
    if (!r->has_result)
        return vecq_error_set(err, VECQ_ERR_VALUE,
                              "there is no result: nothing was run since the last change");
    var = r->current->outputs[i];
    out->dtype = r->current->converted_out[i] != NULL ? s->outputs[i].dtype : var->dtype;
    out->rank = var->rank;
    memcpy(out->dims, var->dims, sizeof out->dims);
    out->count = var->count;
    out->n_bytes = vecq_dtype_bytes(out->dtype, out->count);
    out->data = r->current->converted_out[i] != NULL ? r->current->converted_out[i]
                                                     : vecq_exec_data(r->current->exec, var);
    return VECQ_OK;
}

vecq_status vecq_runner_output(vecq_runner *r, const char *name, vecq_view *out, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;

    return runner_fail(r, output(r, name, out, &why), &why, err);
}

vecq_status vecq_runner_copy_output(vecq_runner *r, const char *name, void *dst, size_t n_bytes,
                                    vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;
    vecq_view view;
    vecq_status status = output(r, name, &view, &why);

    if (status == VECQ_OK && view.n_bytes != n_bytes)
        status = vecq_error_set(&why, VECQ_ERR_VALUE, "output '%s' has %zu bytes, not %zu",
                                name != NULL ? name : r->session->outputs[0].name, view.n_bytes, n_bytes);
    if (status == VECQ_OK && n_bytes > 0)
        memcpy(dst, view.data, n_bytes);
    return runner_fail(r, status, &why, err);
}

void vecq_runner_cancel(vecq_runner *r)
{
    __atomic_store_n(&r->cancel, 1, __ATOMIC_RELAXED);
}

void vecq_runner_set_check(vecq_runner *r, int on)
{
    r->is_checking = on != 0;
}

/* ---- looking ---- */

vecq_status vecq_runner_steps(vecq_runner *r, size_t *n, vecq_error *err)
{
    *n = 0;
    VECQ_TRY(vecq_runner_prepare(r, err));
    *n = vecq_exec_steps(r->current->exec);
    return VECQ_OK;
}

vecq_status vecq_runner_rounded(vecq_runner *r, size_t *layers, vecq_error *err)
{
    *layers = 0;
    VECQ_TRY(vecq_runner_prepare(r, err));
    *layers = r->current->rounded;
    return VECQ_OK;
}

vecq_step_info vecq_runner_step(const vecq_runner *r, size_t index)
{
    vecq_exec_step_info from = vecq_exec_step(r->current->exec, index);
    vecq_step_info to = {.node = from.name,
                         .op = from.op,
                         .backend = from.backend,
                         .detail = from.detail,
                         .reason = from.reason,
                         .is_integer = from.is_integer,
                         .is_once = from.is_prologue,
                         .bytes_weights = from.bytes_weights,
                         .bytes_read = from.bytes_read,
                         .bytes_written = from.bytes_written,
                         .macs = from.macs,
                         .seconds = from.seconds,
                         .n_timed = r->current->n_timed};

    return to;
}

void vecq_runner_set_timing(vecq_runner *r, int on)
{
    size_t i;

    r->is_timing = on != 0;
    for (i = 0; i < r->n_plans; i++) {
        vecq_exec_set_timing(r->plans[i]->exec, r->is_timing);
        r->plans[i]->n_timed = 0;
    }
}

void vecq_session_memory(const vecq_session *s, const vecq_runner *r, vecq_memory_info *out)
{
    size_t i;

    memset(out, 0, sizeof *out);
    out->file = s->doc->ir.n_source;
    vecq_lock_take(s->lock);
    out->mapped = s->bank.n_borrowed;
    out->weights = s->bank.n_bytes;
    vecq_lock_give(s->lock);
    for (i = 0; r != NULL && i < r->n_plans; i++)
        out->workspace += vecq_exec_bytes(r->plans[i]->exec) + r->plans[i]->n_converted;
    out->plans = r != NULL ? r->n_plans : 0;
}
