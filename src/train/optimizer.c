/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All parameters together are cut into chunks that threads take, so that many small ones cost one loop. Every
 * element is computed alone, and sums are added chunk by chunk in order: the number of threads does not
 * matter. This file is compiled with -O3; the loops have no calls and no branches, so that compilers make
 * vectors of them.
 */
#include "train/optimizer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"

#define OPTIMIZER_CHUNK                                                                                      \
    16384u                    /* elements: a quarter of a megabyte with state, inside a second-level cache   \
                               */
#define OPTIMIZER_BLOCK 4096u /* of sums, as in docs/architecture.md, "Numbers" */
#define OPTIMIZER_LANES 16u
#define OPTIMIZER_SLOTS 2u

typedef struct optimizer_chunk {
    size_t parameter, begin, n;
} optimizer_chunk;

struct vecq_optimizer {
    vecq_optimizer_options options;
    vecq_parameter *parameters;
    size_t n_parameters;
    char *names; /* copies of theirs */
    size_t n_slots;
    const char *slot_names[OPTIMIZER_SLOTS];
    float *state[OPTIMIZER_SLOTS]; /* of all parameters, one after the other */
    size_t *offset;                /* of each parameter in a state, aligned */
    size_t n_state;                /* floats of one slot */
    optimizer_chunk *chunks;
    size_t n_chunks;
    double *sums; /* of chunks */
    unsigned threads;

    uint64_t steps;
};

void vecq_optimizer_options_of(const vecq_recipe *recipe, vecq_optimizer_options *out)
{
    out->name = recipe->optimizer.name;
    out->momentum = recipe->optimizer.momentum;
    out->nesterov = recipe->optimizer.nesterov;
    out->weight_decay = recipe->optimizer.weight_decay;
    out->beta1 = recipe->optimizer.beta1;
    out->beta2 = recipe->optimizer.beta2;
    out->eps = recipe->optimizer.eps;
    out->clip_norm = recipe->train.clip_grad_norm;
    out->threads = recipe->threads;
}

/* ---- creation ---- */

static vecq_status optimizer_layout(vecq_optimizer *o, vecq_error *err)
{
    size_t i, at = 0, n_chunks = 0;

    for (i = 0; i < o->n_parameters; i++) {
        size_t n = o->parameters[i].n, padded;

        o->offset[i] = at;
        if (!vecq_add_size(n, OPTIMIZER_LANES - 1, &padded) ||
            !vecq_add_size(at, padded & ~(size_t)(OPTIMIZER_LANES - 1), &at))
            return vecq_error_memory(err, SIZE_MAX);
        n_chunks += n / OPTIMIZER_CHUNK + (n % OPTIMIZER_CHUNK != 0);
    }
    o->n_state = at;
    o->chunks = vecq_alloc(n_chunks, sizeof *o->chunks);
    o->sums = vecq_alloc(n_chunks, sizeof *o->sums);
    if (o->chunks == NULL || o->sums == NULL)
        return vecq_error_memory(err, n_chunks * (sizeof *o->chunks + sizeof *o->sums));
    for (i = 0; i < o->n_parameters; i++) {
        size_t n = o->parameters[i].n;

        for (at = 0; at < n; at += OPTIMIZER_CHUNK) {
            optimizer_chunk chunk = {i, at, n - at < OPTIMIZER_CHUNK ? n - at : OPTIMIZER_CHUNK};

            o->chunks[o->n_chunks++] = chunk;
        }
    }
    for (i = 0; i < o->n_slots; i++) {
        o->state[i] = vecq_calloc(o->n_state, sizeof(float));
        if (o->state[i] == NULL)
            return vecq_error_memory(err, o->n_state * sizeof(float));
    }
    return VECQ_OK;
}

/* The parameters with names of our own. */
static vecq_status optimizer_copy(vecq_optimizer *o, const vecq_parameter *parameters, vecq_error *err)
{
    size_t i, n = 0;
    char *at;

    for (i = 0; i < o->n_parameters; i++)
        n += strlen(parameters[i].name) + 1;
    o->names = at = vecq_alloc(n, 1);
    o->parameters = vecq_alloc(o->n_parameters, sizeof *parameters);
    o->offset = vecq_alloc(o->n_parameters, sizeof *o->offset);
    if (o->names == NULL || o->parameters == NULL || o->offset == NULL)
        return vecq_error_memory(err, n + o->n_parameters * sizeof *parameters);
    for (i = 0; i < o->n_parameters; i++) {
        n = strlen(parameters[i].name) + 1;
        memcpy(at, parameters[i].name, n);
        o->parameters[i] = parameters[i];
        o->parameters[i].name = at;
        at += n;
    }
    return VECQ_OK;
}

vecq_status vecq_optimizer_create(const vecq_optimizer_options *options, const vecq_parameter *parameters,
                                  size_t n_parameters, vecq_optimizer **out, vecq_error *err)
{
    vecq_optimizer *o = vecq_calloc(1, sizeof *o);
    vecq_status status;

    *out = NULL;
    if (o == NULL)
        return vecq_error_memory(err, sizeof *o);
    o->options = *options;
    o->n_parameters = n_parameters;
    if (options->name != VECQ_RECIPE_SGD) {
        o->n_slots = 2;
        o->slot_names[0] = "mean";
        o->slot_names[1] = "square";
    } else if (options->momentum != 0) {
        o->n_slots = 1;
        o->slot_names[0] = "momentum";
    }
    status = optimizer_copy(o, parameters, err);
    if (status == VECQ_OK)
        status = optimizer_layout(o, err);
    if (status != VECQ_OK) {
        vecq_optimizer_destroy(o);
        return status;
    }
    o->threads = o->n_chunks < 4 ? 1 : options->threads; /* little work: starting threads costs more */
    *out = o;
    return VECQ_OK;
}

void vecq_optimizer_destroy(vecq_optimizer *o)
{
    size_t i;

    if (o == NULL)
        return;
    for (i = 0; i < OPTIMIZER_SLOTS; i++)
        vecq_free(o->state[i]);
    vecq_free(o->sums);
    vecq_free(o->chunks);
    vecq_free(o->offset);
    vecq_free(o->parameters);
    vecq_free(o->names);
    vecq_free(o);
}

vecq_parameter *vecq_optimizer_parameter(vecq_optimizer *o, size_t index)
{
    return index < o->n_parameters ? &o->parameters[index] : NULL;
}

/* ---- loops ---- */

/* Zero in place of what is smaller than a normal number. */
static inline float flush(float x)
{
    return fabsf(x) < FLT_MIN ? 0.0f : x;
}

typedef struct step_numbers {
    float scale; /* of the gradient: clipping */
    float lr;
    float decay;                                            /* SGD, Adam: added to the gradient */
    float shrink;                                           /* AdamW: factor of the weight */
    float momentum;                                         /* SGD */
    float one_less_beta1, beta2, one_less_beta2, eps, root; /* Adam; root: 1 / sqrt(1 - beta2^t) */
} step_numbers;

static void step_sgd(float *restrict w, const float *restrict g, size_t n, step_numbers k)
{
    size_t i;

    for (i = 0; i < n; i++)
        w[i] -= k.lr * (k.scale * g[i] + k.decay * w[i]);
}

static void step_momentum(float *restrict w, const float *restrict g, float *restrict v, size_t n,
                          step_numbers k)
{
    size_t i;

    for (i = 0; i < n; i++) {
        v[i] = flush(k.momentum * v[i] + (k.scale * g[i] + k.decay * w[i]));
        w[i] -= k.lr * v[i];
    }
}

static void step_nesterov(float *restrict w, const float *restrict g, float *restrict v, size_t n,
                          step_numbers k)
{
    size_t i;

    for (i = 0; i < n; i++) {
        float d = k.scale * g[i] + k.decay * w[i];

        v[i] = flush(k.momentum * v[i] + d);
        w[i] -= k.lr * (d + k.momentum * v[i]);
    }
}

static void step_adam(float *restrict w, const float *restrict g, float *restrict m, float *restrict s,
                      size_t n, step_numbers k)
{
    size_t i;

    for (i = 0; i < n; i++) {
        float d = k.scale * g[i] + k.decay * w[i];

        m[i] = flush(m[i] + k.one_less_beta1 * (d - m[i]));
        s[i] = flush(k.beta2 * s[i] + k.one_less_beta2 * d * d);
        w[i] = k.shrink * w[i] - k.lr * m[i] / (sqrtf(s[i]) * k.root + k.eps);
    }
}

/* ---- sums ---- */

/* Sum of squares in double, in the order of docs/architecture.md. */
static double sum_of_squares(const float *g, size_t n)
{
    double total = 0;
    size_t begin;

    for (begin = 0; begin < n; begin += OPTIMIZER_BLOCK) {
        size_t end = n - begin < OPTIMIZER_BLOCK ? n : begin + OPTIMIZER_BLOCK, i, j;
        double lane[OPTIMIZER_LANES] = {0};

        for (i = begin; end - i >= OPTIMIZER_LANES; i += OPTIMIZER_LANES)
            for (j = 0; j < OPTIMIZER_LANES; j++)
                lane[j] += (double)g[i + j] * g[i + j];
        for (j = 0; i < end; i++, j++)
            lane[j] += (double)g[i] * g[i];
        for (i = OPTIMIZER_LANES / 2; i > 0; i /= 2)
            for (j = 0; j < i; j++)
                lane[j] += lane[j + i];
        total += lane[0];
    }
    return total;
}

static vecq_status optimizer_sum_chunks(void *context, size_t begin, size_t end, unsigned thread,
                                        vecq_error *err)
{
    vecq_optimizer *o = context;
    size_t i;

    (void)thread;
    (void)err;
    for (i = begin; i < end; i++) {
        const optimizer_chunk *chunk = &o->chunks[i];

        o->sums[i] = sum_of_squares(o->parameters[chunk->parameter].grad + chunk->begin, chunk->n);
    }
    return VECQ_OK;
}

static vecq_status optimizer_norm(vecq_optimizer *o, double *norm, vecq_error *err)
{
    double total = 0;
    size_t i;

    VECQ_TRY(vecq_parallel_for(o->n_chunks, 4, o->threads, optimizer_sum_chunks, o, err));
    for (i = 0; i < o->n_chunks; i++)
        total += o->sums[i];
    *norm = sqrt(total);
    return VECQ_OK;
}

size_t vecq_optimizer_find_bad(const vecq_optimizer *o, int values, size_t *element)
{
    size_t p, i;

    for (p = 0; p < o->n_parameters; p++) {
        const float *x = values ? o->parameters[p].value : o->parameters[p].grad;

        for (i = 0; i < o->parameters[p].n; i++) {
            if (!isfinite(x[i])) {
                if (element != NULL)
                    *element = i;
                return p;
            }
        }
    }
    return SIZE_MAX;
}

/* ---- the step ---- */

typedef struct optimizer_job {
    vecq_optimizer *o;
    double lr, scale;
    double correction1, correction2; /* 1 - beta^t */
} optimizer_job;

static step_numbers optimizer_numbers(const optimizer_job *job, const vecq_parameter *p)
{
    const vecq_optimizer_options *options = &job->o->options;
    double lr = job->lr * p->lr_scale, decay = p->decay ? options->weight_decay : 0;
    step_numbers k;

    memset(&k, 0, sizeof k);
    k.scale = (float)job->scale;
    k.lr = (float)lr;
    k.decay = (float)decay;
    k.shrink = 1;
    k.momentum = (float)options->momentum;
    if (options->name == VECQ_RECIPE_SGD)
        return k;
    if (options->name == VECQ_RECIPE_ADAMW) {
        k.shrink = (float)(1 - lr * decay);
        k.decay = 0;
    }
    k.lr = (float)(lr / job->correction1);
    k.one_less_beta1 = (float)(1 - options->beta1);
    k.beta2 = (float)options->beta2;
    k.one_less_beta2 = (float)(1 - options->beta2);
    k.eps = (float)options->eps;
    k.root = (float)(1 / sqrt(job->correction2));
    return k;
}

static vecq_status optimizer_step_chunks(void *context, size_t begin, size_t end, unsigned thread,
                                         vecq_error *err)
{
    const optimizer_job *job = context;
    vecq_optimizer *o = job->o;
    size_t i;

    (void)thread;
    (void)err;
    for (i = begin; i < end; i++) {
        const optimizer_chunk *chunk = &o->chunks[i];
        const vecq_parameter *p = &o->parameters[chunk->parameter];
        step_numbers k = optimizer_numbers(job, p);
        float *w = p->value + chunk->begin;
        const float *g = p->grad + chunk->begin;
        size_t at = o->offset[chunk->parameter] + chunk->begin;

        if (o->options.name != VECQ_RECIPE_SGD)
            step_adam(w, g, o->state[0] + at, o->state[1] + at, chunk->n, k);
        else if (o->n_slots == 0)
            step_sgd(w, g, chunk->n, k);
        else if (o->options.nesterov)
            step_nesterov(w, g, o->state[0] + at, chunk->n, k);
        else
            step_momentum(w, g, o->state[0] + at, chunk->n, k);
    }
    return VECQ_OK;
}

vecq_status vecq_optimizer_step(vecq_optimizer *o, double lr, double *norm, vecq_error *err)
{
    optimizer_job job = {o, lr, 1, 1, 1};

    if (norm != NULL || o->options.clip_norm > 0) {
        double length = 0;

        VECQ_TRY(optimizer_norm(o, &length, err));
        if (norm != NULL)
            *norm = length;
        if (!isfinite(length)) {
            size_t element = 0, p = vecq_optimizer_find_bad(o, 0, &element);

            if (p == SIZE_MAX)
                return vecq_error_set(err, VECQ_ERR_VALUE, "the gradient has an infinite length");
            return vecq_error_set(err, VECQ_ERR_VALUE,
                                  "the gradient of '%s' has a NaN or infinity (element %zu)",
                                  o->parameters[p].name, element);
        }
        if (o->options.clip_norm > 0 && length > o->options.clip_norm)
            job.scale = o->options.clip_norm / length;
    }
    o->steps++;
    if (o->options.name != VECQ_RECIPE_SGD) {
        job.correction1 = 1 - pow(o->options.beta1, (double)o->steps);
        job.correction2 = 1 - pow(o->options.beta2, (double)o->steps);
    }
    return vecq_parallel_for(o->n_chunks, 4, o->threads, optimizer_step_chunks, &job, err);
}

/* ---- state ---- */

size_t vecq_optimizer_state_count(const vecq_optimizer *o)
{
    return o->n_slots * o->n_parameters;
}

vecq_optimizer_state vecq_optimizer_state_at(vecq_optimizer *o, size_t index)
{
    size_t slot = index / o->n_parameters, p = index % o->n_parameters;
    vecq_optimizer_state out = {o->parameters[p].name, o->slot_names[slot], o->state[slot] + o->offset[p],
                                o->parameters[p].n};

    return out;
}

size_t vecq_optimizer_state_bytes(const vecq_optimizer *o)
{
    return o->n_slots * o->n_state * sizeof(float);
}

uint64_t vecq_optimizer_steps(const vecq_optimizer *o)
{
    return o->steps;
}

void vecq_optimizer_set_steps(vecq_optimizer *o, uint64_t steps)
{
    o->steps = steps;
}

void vecq_optimizer_reset(vecq_optimizer *o)
{
    size_t i;

    for (i = 0; i < o->n_slots; i++)
        memset(o->state[i], 0, o->n_state * sizeof(float));
    o->steps = 0;
}

static char *optimizer_entry_name(const vecq_optimizer_state *state)
{
    size_t n = strlen(state->parameter) + strlen(state->slot) + sizeof "optimizer//";
    char *name = vecq_alloc(n, 1);

    if (name != NULL)
        snprintf(name, n, "optimizer/%s/%s", state->slot, state->parameter);
    return name;
}

vecq_status vecq_optimizer_save(vecq_optimizer *o, vecq_checkpoint_writer *writer, vecq_error *err)
{
    size_t i;

    VECQ_TRY(vecq_checkpoint_add(writer, "optimizer/steps", VECQ_CHECKPOINT_U64, &o->steps, 1, err));
    for (i = 0; i < vecq_optimizer_state_count(o); i++) {
        vecq_optimizer_state state = vecq_optimizer_state_at(o, i);
        char *name = optimizer_entry_name(&state);
        vecq_status status;

        if (name == NULL)
            return vecq_error_memory(err, strlen(state.parameter));
        status = vecq_checkpoint_add(writer, name, VECQ_CHECKPOINT_F32, state.data, state.n, err);
        vecq_free(name);
        VECQ_TRY(status);
    }
    return VECQ_OK;
}

/* State of another optimizer beside ours would be lost without a word. */
static vecq_status optimizer_same_kind(const vecq_optimizer *o, const vecq_checkpoint *checkpoint,
                                       vecq_error *err)
{
    size_t i, n = 0;

    for (i = 0; i < vecq_checkpoint_count(checkpoint); i++)
        n += strncmp(vecq_checkpoint_at(checkpoint, i)->name, "optimizer/", 10) == 0;
    return n == 1 + vecq_optimizer_state_count(o)
               ? VECQ_OK
               : vecq_error_set(err, VECQ_ERR_FORMAT,
                                "the checkpoint has %zu arrays of optimizer state, %zu are needed: it is of "
                                "another optimizer or model",
                                n > 0 ? n - 1 : 0, vecq_optimizer_state_count(o));
}

vecq_status vecq_optimizer_load(vecq_optimizer *o, const vecq_checkpoint *checkpoint, vecq_error *err)
{
    size_t i;

    VECQ_TRY(optimizer_same_kind(o, checkpoint, err));
    VECQ_TRY(vecq_checkpoint_read(checkpoint, "optimizer/steps", VECQ_CHECKPOINT_U64, &o->steps, 1, err));
    for (i = 0; i < vecq_optimizer_state_count(o); i++) {
        vecq_optimizer_state state = vecq_optimizer_state_at(o, i);
        char *name = optimizer_entry_name(&state);
        vecq_status status;

        if (name == NULL)
            return vecq_error_memory(err, strlen(state.parameter));
        status = vecq_checkpoint_read(checkpoint, name, VECQ_CHECKPOINT_F32, state.data, state.n, err);
        vecq_free(name);
        VECQ_TRY(status);
    }
    return VECQ_OK;
}
