/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend against ref: the same small program in double on ref (the truth), and in float32 on the backend.
 *
 * A sum of n products computed in float32 is off by at most about n * eps * sum |terms|, whatever the order.
 * The sum of magnitudes comes from the program itself, run once more on the absolute values of all inputs;
 * for functions that are no sums (`relative_to_largest`) the largest result stands in for it. `terms` is n,
 * of the longest sum in the case, `slack` what an algorithm adds (Winograd), 1 as a rule.
 */
#ifndef VECQ_TESTS_BACKEND_CHECK_H
#define VECQ_TESTS_BACKEND_CHECK_H

#include <float.h>
#include <math.h>

#include "backend/exec.h"
#include "base/rng.h"
#include "base/status.h"
#include "graph/gradient.h"
#include "vecq_test.h"

#include "fail_alloc.h"

#define BC_INPUTS  24
#define BC_OUTPUTS (2 * BC_INPUTS)

typedef struct bc_input {
    unsigned rank;
    int64_t dims[6];
    double low, high; /* uniform values; both 0: (-1, 1) */
    int is_fixed;     /* no gradient is asked for */
    int is_single;    /* float32 in the double program too */
    int is_integer;   /* int32 in [low, high) (fixed) */
    int is_quarters;  /* multiples of 1/4: products and short sums are exact, ties happen */
} bc_input;

typedef struct bc_case {
    const char *name;
    size_t n_inputs;
    bc_input inputs[BC_INPUTS];
    vecq_status (*build)(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                         size_t *n_out, vecq_error *err);
    const void *extra;
    const char *taken; /* ops that must run on the backend: "Conv ConvGradInput"; NULL: whatever */
    double terms, slack;
    int relative_to_largest;
    int forward_only;
    int is_inference; /* (forward only) planned for running, not for training */
} bc_case;

typedef struct bc_state {
    vecq_store store;
    vecq_program program;
    vecq_var *in[BC_INPUTS], *out[BC_OUTPUTS];
    size_t n_out;
    vecq_exec *exec;
} bc_state;

static inline void bc_must(vecq_status status, const vecq_error *err, const char *name)
{
    if (status != VECQ_OK)
        fail_msg("%s: %s", name, err->message);
}

static inline void bc_fill(vecq_tensor *tensor, const bc_input *in, vecq_rng *rng, int is_absolute)
{
    double low = in->low, high = in->high;
    size_t k;

    if (low == 0 && high == 0) {
        low = -1;
        high = 1;
    }
    for (k = 0; k < tensor->count; k++) {
        double value = low + (high - low) * vecq_rng_uniform(rng);

        if (in->is_quarters)
            value = floor(4 * value) / 4;
        if (is_absolute)
            value = fabs(value);
        if (tensor->dtype == VECQ_DT_INT32)
            ((int32_t *)tensor->data)[k] = (int32_t)floor(value);
        else if (tensor->dtype == VECQ_DT_DOUBLE)
            ((double *)tensor->data)[k] = (double)(float)value;
        else
            ((float *)tensor->data)[k] = (float)value;
    }
}

static inline vecq_var *bc_tensor(bc_state *s, const bc_case *c, const char *name, const bc_input *in,
                                  vecq_dtype dtype, vecq_rng *rng, int is_absolute)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_stored *stored;
    vecq_tensor tensor;
    vecq_var *var = NULL;

    bc_must(vecq_tensor_create(in->is_integer  ? VECQ_DT_INT32
                               : in->is_single ? VECQ_DT_FLOAT
                                               : dtype,
                               in->rank, in->dims, &tensor, &err),
            &err, c->name);
    bc_fill(&tensor, in, rng, is_absolute);
    bc_must(vecq_store_add(&s->store, name, NULL, &tensor, &stored, &err), &err, c->name);
    stored->is_trained = !in->is_fixed && !in->is_integer;
    bc_must(vecq_program_stored(&s->program, stored, &var, &err), &err, c->name);
    return var;
}

/* L = sum <r, out>: what the gradients are of. */
static inline vecq_var *bc_loss(bc_state *s, const bc_case *c, vecq_dtype dtype, vecq_rng *rng,
                                int is_absolute)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *loss = NULL, *term, *weights;
    size_t i;

    for (i = 0; i < s->n_out; i++) {
        vecq_reduce_params reduce = {.keep_dims = 0};
        bc_input like = {.rank = s->out[i]->rank, .is_fixed = 1};
        char name[16];

        memcpy(like.dims, s->out[i]->dims, like.rank * sizeof *like.dims);
        snprintf(name, sizeof name, "r%zu", i);
        weights = bc_tensor(s, c, name, &like, dtype, rng, is_absolute);
        memset(reduce.axes, 1, s->out[i]->rank);
        bc_must(vecq_program_op2(&s->program, VECQ_OP_MUL, "weigh", s->out[i], weights, NULL, 0, &term, &err),
                &err, c->name);
        bc_must(vecq_program_op1(&s->program, VECQ_OP_REDUCE_SUM, "sum", term, &reduce, sizeof reduce, &term,
                                 &err),
                &err, c->name);
        if (loss == NULL)
            loss = term;
        else
            bc_must(vecq_program_op2(&s->program, VECQ_OP_ADD, "total", loss, term, NULL, 0, &loss, &err),
                    &err, c->name);
    }
    return loss;
}

/* Builds and runs; s->out are the outputs and then the gradients of the inputs that have one. */
static inline void bc_make(bc_state *s, const bc_case *c, const vecq_backend *backend, vecq_dtype dtype,
                           unsigned threads, int is_absolute)
{
    vecq_exec_options options = {
        .backends = &backend, .n_backends = 1, .threads = threads, .is_training = !c->is_inference};
    vecq_run run = {.step = 3, .seed = 11, .threads = threads};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *with[BC_INPUTS], *gradients[BC_INPUTS], *loss;
    vecq_rng rng;
    char name[16];
    size_t i;

    memset(s, 0, sizeof *s);
    vecq_rng_seed(&rng, 97 + c->n_inputs);
    for (i = 0; i < c->n_inputs; i++) {
        snprintf(name, sizeof name, "in%zu", i);
        s->in[i] = bc_tensor(s, c, name, &c->inputs[i], dtype, &rng, is_absolute);
        with[i] = s->in[i]->stored->is_trained ? s->in[i] : NULL;
    }
    bc_must(c->build(&s->program, s->in, c->extra, s->out, &s->n_out, &err), &err, c->name);
    for (i = 0; i < s->n_out; i++)
        s->out[i]->is_output = 1;
    if (!c->forward_only) {
        loss = bc_loss(s, c, dtype, &rng, is_absolute);
        bc_must(vecq_program_differentiate(&s->program, loss, with, c->n_inputs, gradients, &err), &err,
                c->name);
        for (i = 0; i < c->n_inputs; i++)
            if (gradients[i] != NULL)
                s->out[s->n_out++] = gradients[i];
    }
    bc_must(vecq_exec_create(&s->program, &options, &s->exec, &err), &err, c->name);
    bc_must(vecq_exec_run(s->exec, &run, &err), &err, c->name);
    bc_must(vecq_exec_run(s->exec, &run, &err), &err, c->name); /* nothing is left over from a run */
}

static inline void bc_clear(bc_state *s)
{
    vecq_exec_destroy(s->exec);
    vecq_program_clear(&s->program);
    vecq_store_clear(&s->store);
}

static inline double bc_value(const vecq_var *var, const void *data, size_t k)
{
    return var->dtype == VECQ_DT_DOUBLE ? ((const double *)data)[k] : (double)((const float *)data)[k];
}

static inline void bc_compare(const bc_case *c, const bc_state *truth, const bc_state *magnitude,
                              const bc_state *got, const char *label)
{
    double terms = c->terms > 0 ? c->terms : 1, slack = c->slack > 0 ? c->slack : 1;
    size_t i, k;

    for (i = 0; i < truth->n_out; i++) {
        const void *t_data = vecq_exec_data(truth->exec, truth->out[i]);
        const void *m_data = vecq_exec_data(magnitude->exec, magnitude->out[i]);
        const float *g = vecq_exec_data(got->exec, got->out[i]);
        double largest = 0;

        assert_non_null(g);
        for (k = 0; k < truth->out[i]->count; k++)
            largest = fmax(largest, fabs(bc_value(truth->out[i], t_data, k)));
        for (k = 0; k < truth->out[i]->count; k++) {
            double t = bc_value(truth->out[i], t_data, k), m = bc_value(magnitude->out[i], m_data, k);
            double size = c->relative_to_largest ? largest : fmax(fabs(t), fabs(m));
            double bound = slack * FLT_EPSILON * (terms + 4) * size + FLT_MIN;

            if (!(fabs((double)g[k] - t) <= bound))
                fail_msg("%s (%s): output %zu, element %zu of %zu: %.9g, should be %.9g +- %.3g", c->name,
                         label, i, k, truth->out[i]->count, (double)g[k], t, bound);
        }
    }
}

/* Every op named in `taken` has a step, and all of its steps are the backend's. */
static inline void bc_check_taken(const bc_case *c, const bc_state *s, const vecq_backend *backend)
{
    const char *p = c->taken;

    while (p != NULL && *p != '\0') {
        size_t n = strcspn(p, " "), i, n_steps = 0;

        for (i = 0; i < vecq_exec_steps(s->exec); i++) {
            vecq_exec_step_info info = vecq_exec_step(s->exec, i);

            if (strlen(info.op) != n || strncmp(info.op, p, n) != 0)
                continue;
            n_steps++;
            if (strcmp(info.backend, vecq_backend_name(backend)) != 0)
                fail_msg("%s: %s runs on %s", c->name, info.op, info.backend);
        }
        if (n_steps == 0)
            fail_msg("%s: the plan has no %.*s", c->name, (int)n, p);
        p += n + strspn(p + n, " ");
    }
}

static inline void bc_run(const bc_case *c, const vecq_backend *backend)
{
    const vecq_backend *ref = vecq_backend_find("ref");
    bc_state truth, magnitude, got;
    unsigned threads;

    bc_make(&truth, c, ref, VECQ_DT_DOUBLE, 1, 0);
    bc_make(&magnitude, c, ref, VECQ_DT_DOUBLE, 1, 1);
    bc_make(&got, c, ref, VECQ_DT_FLOAT, 2, 0);
    bc_compare(c, &truth, &magnitude, &got, "ref");
    bc_clear(&got);
    for (threads = 1; threads <= 2; threads++) {
        bc_make(&got, c, backend, VECQ_DT_FLOAT, threads, 0);
        bc_check_taken(c, &got, backend);
        bc_compare(c, &truth, &magnitude, &got, threads == 1 ? "one thread" : "two threads");
        bc_clear(&got);
    }
    bc_clear(&truth);
    bc_clear(&magnitude);
}

typedef struct bc_life {
    const vecq_program *program;
    const vecq_backend *backend;
} bc_life;

static inline vecq_status bc_live(void *context, vecq_error *err)
{
    const bc_life *life = context;
    vecq_exec_options options = {.backends = &life->backend, .n_backends = 1, .threads = 1, .is_training = 1};
    vecq_run run = {.step = 0, .seed = 1, .threads = 1};
    vecq_exec *exec = NULL;
    vecq_status status = vecq_exec_create(life->program, &options, &exec, err);

    if (status == VECQ_OK)
        status = vecq_exec_run(exec, &run, err);
    vecq_exec_destroy(exec);
    return status;
}

/* Every allocation of planning and running fails once; returns how many there are. */
static inline size_t bc_fail_every_alloc(const bc_case *c, const vecq_backend *backend)
{
    bc_life life = {.backend = backend};
    bc_state s;
    size_t n;

    bc_make(&s, c, backend, VECQ_DT_FLOAT, 1, 0);
    life.program = &s.program;
    n = vecq_fail_every_alloc(bc_live, &life);
    bc_clear(&s);
    return n;
}

/* For tests of a backend that this build may lack. */
#define BC_BACKEND(name)                                                                                     \
    const vecq_backend *backend = vecq_backend_find(name);                                                   \
    if (backend == NULL) {                                                                                   \
        print_message("this build has no %s\n", name);                                                       \
        skip();                                                                                              \
    }

#endif
