/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finite-difference check of gradients: builds a program in double from a callback, runs it with the ref
 * backend, and compares the derivative of  L = sum_o <r_o, output_o>  (r random) for every parameter with
 * (L(w + h) - L(w - h)) / 2h.
 *
 *     static void build(vecq_program *program, vecq_var *const *in, size_t n, vecq_var **out, size_t *n_out,
 * ...)
 *
 * Inputs are given as shapes and are all treated as parameters, except those with is_fixed.
 */
#ifndef VECQ_TESTS_GRADIENT_CHECK_H
#define VECQ_TESTS_GRADIENT_CHECK_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/exec.h"
#include "base/rng.h"
#include "graph/gradient.h"
#include "vecq_test.h"

#define GC_INPUTS 8

typedef struct gc_input {
    unsigned rank;
    int64_t dims[6];
    double low, high; /* uniform values; both 0: (-1, 1) */
    int is_fixed;     /* no gradient is asked for */
    int is_integer;   /* int32 values in [low, high) instead (fixed) */
} gc_input;

typedef struct gc_case {
    const char *name;
    size_t n_inputs;
    gc_input inputs[GC_INPUTS];
    /* out[0..*n_out): float outputs that enter L. `extra` is the case's own. */
    vecq_status (*build)(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                         size_t *n_out, vecq_error *err);
    const void *extra;
    double tolerance; /* relative to max(1, |gradient|); 0: 1e-6 */
    double step;      /* h; 0: 1e-5 */
} gc_case;

typedef struct gc_state {
    vecq_store store;
    vecq_program program;
    vecq_var *in[GC_INPUTS], *loss, *grads[GC_INPUTS];
    vecq_exec *exec;
} gc_state;

static inline void gc_must(vecq_status status, const vecq_error *err, const char *name)
{
    if (status != VECQ_OK) {
        fprintf(stderr, "%s: %s\n", name, err->message);
        fail();
    }
}

static inline void gc_make_inputs(const gc_case *c, gc_state *s, vecq_rng *rng)
{
    vecq_error err = VECQ_ERROR_INIT;
    size_t i, k;

    for (i = 0; i < c->n_inputs; i++) {
        const gc_input *in = &c->inputs[i];
        double low = in->low, high = in->high;
        vecq_tensor tensor;
        vecq_stored *stored;
        char name[16];

        if (low == 0 && high == 0) {
            low = -1;
            high = 1;
        }
        gc_must(vecq_tensor_create(in->is_integer ? VECQ_DT_INT32 : VECQ_DT_DOUBLE, in->rank, in->dims,
                                   &tensor, &err),
                &err, c->name);
        for (k = 0; k < tensor.count; k++)
            if (in->is_integer)
                ((int32_t *)tensor.data)[k] =
                    (int32_t)low + (int32_t)vecq_rng_below(rng, (uint64_t)(high - low));
            else
                ((double *)tensor.data)[k] = low + (high - low) * vecq_rng_uniform(rng);
        snprintf(name, sizeof name, "in%zu", i);
        gc_must(vecq_store_add(&s->store, name, NULL, &tensor, &stored, &err), &err, c->name);
        stored->is_trained = !in->is_fixed && !in->is_integer;
        gc_must(vecq_program_stored(&s->program, stored, &s->in[i], &err), &err, c->name);
    }
}

/* L = sum_o <r_o, out_o>, from Mul, ReduceSum and Add. */
static inline void gc_make_loss(const gc_case *c, gc_state *s, vecq_rng *rng)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *out[GC_INPUTS] = {NULL}, *term, *weights;
    size_t n_out = 0, i, k;

    gc_must(c->build(&s->program, s->in, c->extra, out, &n_out, &err), &err, c->name);
    for (i = 0; i < n_out; i++) {
        vecq_reduce_params reduce = {.keep_dims = 0};
        vecq_tensor tensor;

        gc_must(vecq_tensor_create(VECQ_DT_DOUBLE, out[i]->rank, out[i]->dims, &tensor, &err), &err, c->name);
        for (k = 0; k < tensor.count; k++)
            ((double *)tensor.data)[k] = 2 * vecq_rng_uniform(rng) - 1;
        gc_must(vecq_program_constant(&s->program, "r", &tensor, &weights, &err), &err, c->name);
        gc_must(vecq_program_op2(&s->program, VECQ_OP_MUL, "weigh", out[i], weights, NULL, 0, &term, &err),
                &err, c->name);
        memset(reduce.axes, 1, out[i]->rank);
        gc_must(vecq_program_op1(&s->program, VECQ_OP_REDUCE_SUM, "sum", term, &reduce, sizeof reduce, &term,
                                 &err),
                &err, c->name);
        if (s->loss == NULL)
            s->loss = term;
        else
            gc_must(
                vecq_program_op2(&s->program, VECQ_OP_ADD, "total", s->loss, term, NULL, 0, &s->loss, &err),
                &err, c->name);
    }
    s->loss->is_output = 1;
}

static inline double gc_loss(gc_state *s, const gc_case *c)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_run run = {.step = 3, .seed = 11, .threads = 1};

    vecq_exec_invalidate(s->exec);
    gc_must(vecq_exec_run(s->exec, &run, &err), &err, c->name);
    return *(const double *)vecq_exec_data(s->exec, s->loss);
}

static inline void gc_compare(gc_state *s, const gc_case *c, size_t i)
{
    double *w = s->in[i]->stored->tensor.data, h = c->step > 0 ? c->step : 1e-5;
    double tolerance = c->tolerance > 0 ? c->tolerance : 1e-6;
    size_t n = s->in[i]->count, k, stride = n > 200 ? n / 97 : 1;
    double *analytic = malloc((n > 0 ? n : 1) * sizeof *analytic);

    assert_non_null(analytic);
    gc_loss(s, c);
    if (s->grads[i] != NULL)
        memcpy(analytic, vecq_exec_data(s->exec, s->grads[i]), n * sizeof *analytic);
    else
        memset(analytic, 0, n * sizeof *analytic);
    for (k = 0; k < n; k += stride) {
        double keep = w[k], up, down, numeric, size;

        w[k] = keep + h;
        up = gc_loss(s, c);
        w[k] = keep - h;
        down = gc_loss(s, c);
        w[k] = keep;
        numeric = (up - down) / (2 * h);
        size = fabs(numeric) > 1 ? fabs(numeric) : 1;
        if (!(fabs(numeric - analytic[k]) <= tolerance * size)) {
            fprintf(stderr, "%s: input %zu, element %zu: gradient %.12g, difference quotient %.12g\n",
                    c->name, i, k, analytic[k], numeric);
            fail();
        }
    }
    free(analytic);
}

static inline void gc_run(const gc_case *c)
{
    vecq_exec_options options = {.threads = 2, .is_training = 1};
    vecq_error err = VECQ_ERROR_INIT;
    gc_state s;
    vecq_rng rng;
    size_t i;

    memset(&s, 0, sizeof s);
    vecq_rng_seed(&rng, 20211 + c->n_inputs);
    gc_make_inputs(c, &s, &rng);
    gc_make_loss(c, &s, &rng);
    {
        vecq_var *with[GC_INPUTS];

        for (i = 0; i < c->n_inputs; i++)
            with[i] = c->inputs[i].is_fixed || c->inputs[i].is_integer ? NULL : s.in[i];
        gc_must(vecq_program_differentiate(&s.program, s.loss, with, c->n_inputs, s.grads, &err), &err,
                c->name);
    }
    gc_must(vecq_exec_create(&s.program, &options, &s.exec, &err), &err, c->name);
    for (i = 0; i < c->n_inputs; i++)
        if (!c->inputs[i].is_fixed && !c->inputs[i].is_integer)
            gc_compare(&s, c, i);
    vecq_exec_destroy(s.exec);
    vecq_program_clear(&s.program);
    vecq_store_clear(&s.store);
}

#endif
