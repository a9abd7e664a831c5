/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/evaluator.h"

#include <string.h>

#include "base/status.h"
#include "graph/rounding.h"
#include "graph/simplify.h"

struct vecq_evaluator {
    vecq_program program;
    vecq_exec *exec;
    vecq_var *input, *logits;
    size_t batch, width, rounded;
    int32_t *narrow; /* token ids of a model that takes int32 */
    vecq_ports ports;
    unsigned threads;
};

vecq_status vecq_ports_input(const vecq_ports *ports, size_t batch, vecq_program *program, vecq_var **out,
                             vecq_error *err)
{
    int64_t dims[VECQ_MAX_RANK];

    memcpy(dims, ports->dims, sizeof dims);
    dims[0] = (int64_t)batch;
    return vecq_program_input(program, ports->input, ports->dtype, ports->rank, dims, out, err);
}

vecq_status vecq_ports_check_logits(const vecq_ports *ports, const vecq_var *logits, size_t batch,
                                    size_t classes, size_t *width, vecq_error *err)
{
    char shape[96];
    unsigned i;
    int is_flat = logits->rank >= 1 && logits->dims[0] == (int64_t)batch;

    for (i = 2; i < logits->rank; i++)
        is_flat &= logits->dims[i] == 1;
    if (!is_flat)
        return vecq_error_set(
            err, VECQ_ERR_UNSUPPORTED,
            "output '%s' has shape %s for a batch of %zu: logits are [batch, classes] (name "
            "another value with model.output)",
            ports->logits, vecq_var_shape_text(logits, shape), batch);
    if (logits->dtype != VECQ_DT_FLOAT)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "output '%s' is %s: logits are float32 (name another value with model.output)",
                              ports->logits, vecq_dtype_name(logits->dtype));
    *width = logits->rank > 1 ? (size_t)logits->dims[1] : 1;
    if (*width < classes && !(*width == 1 && classes == 2))
        return vecq_error_set(err, VECQ_ERR_VALUE, "output '%s' tells %zu classes apart, the data have %zu",
                              ports->logits, *width, classes);
    return VECQ_OK;
}

static vecq_status build(vecq_evaluator *e, vecq_ir *ir, const vecq_evaluator_options *o, vecq_error *err)
{
    vecq_exec_options exec = {.backends = o->backends, .n_backends = o->n_backends, .threads = o->threads};
    vecq_lower_input input;

    e->batch = o->batch;
    e->ports = *o->ports;
    e->threads = o->threads;
    VECQ_TRY(vecq_ports_input(o->ports, o->batch, &e->program, &e->input, err));
    input.name = o->ports->input;
    input.var = e->input;
    VECQ_TRY(vecq_lower_graph(&e->program, o->store, ir, o->lower, &input, 1, &o->ports->logits, 1,
                              &e->logits, err));
    VECQ_TRY(vecq_ports_check_logits(o->ports, e->logits, o->batch, o->classes, &e->width, err));
    e->logits->is_output = 1;
    vecq_program_prune(&e->program);
    if (o->is_simplified)
        VECQ_TRY(vecq_program_simplify(&e->program, NULL, NULL, err));
    if (o->is_simplified)
        VECQ_TRY(vecq_program_round_activations(&e->program, o->act_bits, &e->rounded, err));
    if (o->ports->dtype == VECQ_DT_INT32) {
        e->narrow = vecq_alloc(e->input->count, sizeof *e->narrow);
        if (e->narrow == NULL)
            return vecq_error_memory(err, e->input->count * sizeof *e->narrow);
    }
    return vecq_exec_create(&e->program, &exec, &e->exec, err);
}

vecq_status vecq_evaluator_create(vecq_ir *ir, const vecq_evaluator_options *options, vecq_evaluator **out,
                                  vecq_error *err)
{
    vecq_evaluator *e = vecq_calloc(1, sizeof *e);
    vecq_status status;

    *out = NULL;
    if (e == NULL)
        return vecq_error_memory(err, sizeof *e);
    status = build(e, ir, options, err);
    if (status != VECQ_OK) {
        vecq_evaluator_destroy(e);
        return status;
    }
    *out = e;
    return VECQ_OK;
}

void vecq_evaluator_destroy(vecq_evaluator *e)
{
    if (e == NULL)
        return;
    vecq_exec_destroy(e->exec);
    vecq_program_clear(&e->program);
    vecq_free(e->narrow);
    vecq_free(e);
}

void vecq_evaluator_invalidate(vecq_evaluator *e)
{
    vecq_exec_invalidate(e->exec);
}

size_t vecq_evaluator_classes(const vecq_evaluator *e)
{
    return e->width;
}

size_t vecq_evaluator_rounded(const vecq_evaluator *e)
{
    return e->rounded;
}

const vecq_exec *vecq_evaluator_exec(const vecq_evaluator *e)
{
    return e->exec;
}

const void *vecq_batch_data(const vecq_batch *batch, vecq_dtype dtype, size_t count, int32_t *narrow)
{
    size_t i;

    if (batch->images != NULL)
        return batch->images;
    if (dtype != VECQ_DT_INT32)
        return batch->tokens;
    for (i = 0; i < count; i++)
        narrow[i] = (int32_t)batch->tokens[i];
    return narrow;
}

vecq_status vecq_evaluator_step(vecq_evaluator *e, vecq_loader *loader, uint64_t step, vecq_batch *batch,
                                const float **logits, vecq_error *err)
{
    vecq_run run = {.threads = e->threads};

    VECQ_TRY(vecq_loader_next(loader, step, batch, err));
    vecq_exec_bind(e->exec, e->input, vecq_batch_data(batch, e->ports.dtype, e->input->count, e->narrow));
    VECQ_TRY(vecq_exec_run(e->exec, &run, err));
    *logits = vecq_exec_data(e->exec, e->logits);
    return VECQ_OK;
}

vecq_status vecq_evaluator_run(vecq_evaluator *e, vecq_loader *loader, vecq_progress_fn progress,
                               void *context, vecq_metrics *out, vecq_error *err)
{
    uint64_t i, n = vecq_loader_batches(loader);
    const float *logits;
    vecq_batch batch;

    memset(out, 0, sizeof *out);
    for (i = 0; i < n; i++) {
        if (progress != NULL && progress(context, "evaluating", "batches", i, n) != 0)
            return vecq_error_set(err, VECQ_ERR_CANCELLED, "interrupted");
        VECQ_TRY(vecq_evaluator_step(e, loader, i, &batch, &logits, err));
        vecq_metrics_add(out, logits, batch.labels, batch.n, e->width);
    }
    if (progress != NULL)
        progress(context, "evaluating", "batches", n, n);
    return VECQ_OK;
}
