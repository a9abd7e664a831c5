/* SPDX-License-Identifier: Apache-2.0 */
/* Small programs in tests: inputs from doubles, one run by the ref backend, outputs as doubles. Include after
 * vecq_test.h. */
#ifndef VECQ_TESTS_PROGRAM_RUN_H
#define VECQ_TESTS_PROGRAM_RUN_H

#include <math.h>

#include "backend/exec.h"
#include "base/rng.h"
#include "graph/program.h"

#define PR_INPUTS 32

typedef struct program_run {
    vecq_program program;
    vecq_exec *exec;
    vecq_var *inputs[PR_INPUTS];
    void *memory[PR_INPUTS];
    size_t n;
} program_run;

static inline size_t pr_count(unsigned rank, const int64_t *dims)
{
    size_t n = 1;
    unsigned a;

    for (a = 0; a < rank; a++)
        n *= (size_t)dims[a];
    return n;
}

/* Element i of memory of a type, as a double; and back. */
static inline double pr_get(vecq_dtype dtype, const void *memory, size_t i)
{
    switch (dtype) {
    case VECQ_DT_FLOAT:
        return (double)((const float *)memory)[i];
    case VECQ_DT_DOUBLE:
        return ((const double *)memory)[i];
    case VECQ_DT_INT32:
        return ((const int32_t *)memory)[i];
    case VECQ_DT_INT64:
        return (double)((const int64_t *)memory)[i];
    default:
        return ((const uint8_t *)memory)[i];
    }
}

static inline void pr_set(vecq_dtype dtype, void *memory, size_t i, double value)
{
    switch (dtype) {
    case VECQ_DT_FLOAT:
        ((float *)memory)[i] = (float)value;
        break;
    case VECQ_DT_DOUBLE:
        ((double *)memory)[i] = value;
        break;
    case VECQ_DT_INT32:
        ((int32_t *)memory)[i] = (int32_t)value;
        break;
    case VECQ_DT_INT64:
        ((int64_t *)memory)[i] = (int64_t)value;
        break;
    default:
        ((uint8_t *)memory)[i] = (uint8_t)value;
        break;
    }
}

/* An input of the program; values NULL: the caller fills pr->memory. */
static inline vecq_var *pr_input(program_run *pr, vecq_dtype dtype, unsigned rank, const int64_t *dims,
                                 const double *values)
{
    size_t count = pr_count(rank, dims), i;
    vecq_error err = VECQ_ERROR_INIT;
    char name[16];

    assert_true(pr->n < PR_INPUTS);
    snprintf(name, sizeof name, "in%zu", pr->n);
    assert_ok(vecq_program_input(&pr->program, name, dtype, rank, dims, &pr->inputs[pr->n], &err), &err);
    pr->memory[pr->n] = calloc(count + 1, 8);
    assert_non_null(pr->memory[pr->n]);
    for (i = 0; i < count && values != NULL; i++)
        pr_set(dtype, pr->memory[pr->n], i, values[i]);
    return pr->inputs[pr->n++];
}

/* One op on the inputs given; all of its outputs are kept. */
static inline vecq_op *pr_op(program_run *pr, vecq_op_kind kind, vecq_var *const *inputs, size_t n,
                             const void *params, size_t params_bytes, size_t n_outputs)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_op *op;
    size_t i;

    assert_ok(
        vecq_program_op(&pr->program, kind, "op", inputs, n, params, params_bytes, n_outputs, &op, &err),
        &err);
    for (i = 0; i < op->n_outputs; i++)
        op->outputs[i]->is_output = 1;
    return op;
}

static inline vecq_status pr_run(program_run *pr, unsigned threads, vecq_error *err)
{
    vecq_exec_options options = {.threads = threads};
    vecq_run run = {.threads = threads};
    size_t i;

    assert_ok(vecq_exec_create(&pr->program, &options, &pr->exec, err), err);
    for (i = 0; i < pr->n; i++)
        vecq_exec_bind(pr->exec, pr->inputs[i], pr->memory[i]);
    return vecq_exec_run(pr->exec, &run, err);
}

static inline double pr_value(const program_run *pr, const vecq_var *var, size_t i)
{
    return pr_get(var->dtype, vecq_exec_data(pr->exec, var), i);
}

static inline void pr_end(program_run *pr)
{
    size_t i;

    vecq_exec_destroy(pr->exec);
    vecq_program_clear(&pr->program);
    for (i = 0; i < pr->n; i++)
        free(pr->memory[i]);
    memset(pr, 0, sizeof *pr);
}

/* |a - b| within tolerance * max(1, |b|), and no NaN. */
static inline void pr_close(const char *what, size_t i, double have, double want, double tolerance)
{
    if (!(fabs(have - want) <= tolerance * (fabs(want) > 1 ? fabs(want) : 1)))
        fail_msg("%s[%zu]: %.10g, not %.10g", what, i, have, want);
}

#endif
