/* SPDX-License-Identifier: Apache-2.0 */
/* LayerNorm: values against the formula, gradients, refusals. */
#include "vecq_test.h"

#include "base/status.h"

#include "gradient_check.h"
#include "program_run.h"

typedef struct norm_case {
    unsigned rank, axis;
    int64_t dims[4];
    int is_rms;
    size_t n_inputs; /* 1: x, 2: and a scale, 3: and a bias */
} norm_case;

static const norm_case cases[] = {
    {2, 1, {5, 7}, 0, 3},       {2, 1, {5, 7}, 1, 2},       {3, 1, {3, 4, 5}, 0, 3},
    {3, 2, {3, 4, 5}, 1, 2},    {4, 2, {2, 3, 4, 2}, 0, 2}, {4, 0, {2, 3, 4, 2}, 0, 1},
    {4, 3, {2, 3, 4, 1}, 0, 3}, {1, 0, {19}, 1, 1},
};

#define N_CASES (sizeof cases / sizeof *cases)

static size_t row_of(const norm_case *c)
{
    return pr_count(c->rank - c->axis, c->dims + c->axis);
}

static vecq_status build(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                         size_t *n_out, vecq_error *err)
{
    const norm_case *c = extra;
    vecq_layer_norm_params params = {.axis = c->axis, .epsilon = 1e-3, .is_rms = c->is_rms};
    vecq_op *op;

    VECQ_TRY(vecq_program_op(program, VECQ_OP_LAYER_NORM, "norm", in, c->n_inputs, &params, sizeof params, 0,
                             &op, err));
    out[(*n_out)++] = op->outputs[0];
    return VECQ_OK;
}

static void test_gradients(void **state)
{
    size_t i, k;

    (void)state;
    for (i = 0; i < N_CASES; i++) {
        const norm_case *c = &cases[i];
        gc_case check = {.name = "layer norm", .n_inputs = c->n_inputs, .build = build, .extra = c};

        check.inputs[0].rank = c->rank;
        memcpy(check.inputs[0].dims, c->dims, sizeof c->dims);
        for (k = 1; k < c->n_inputs; k++) {
            check.inputs[k].rank = 1;
            check.inputs[k].dims[0] = (int64_t)row_of(c);
        }
        gc_run(&check);
    }
}

static void check_values(const norm_case *c, vecq_dtype dtype, unsigned threads)
{
    const size_t count = pr_count(c->rank, c->dims), n = row_of(c);
    const int64_t vector = (int64_t)n;
    vecq_layer_norm_params params = {.axis = c->axis, .epsilon = 1e-3, .is_rms = c->is_rms};
    double *x = calloc(count, sizeof *x), *scale = calloc(n, sizeof *x), *bias = calloc(n, sizeof *x);
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *in[3] = {NULL, NULL, NULL};
    program_run pr;
    vecq_rng rng;
    vecq_op *op;
    size_t i, k;

    assert_true(x != NULL && scale != NULL && bias != NULL);
    memset(&pr, 0, sizeof pr);
    vecq_rng_seed(&rng, 3);
    for (i = 0; i < count; i++)
        x[i] = (double)(float)(vecq_rng_uniform(&rng) * 4 + 100); /* far from 0: nothing may cancel */
    for (i = 0; i < n; i++) {
        scale[i] = (double)(float)vecq_rng_uniform(&rng);
        bias[i] = (double)(float)vecq_rng_uniform(&rng);
    }
    in[0] = pr_input(&pr, dtype, c->rank, c->dims, x);
    in[1] = c->n_inputs > 1 ? pr_input(&pr, dtype, 1, &vector, scale) : NULL;
    in[2] = c->n_inputs > 2 ? pr_input(&pr, dtype, 1, &vector, bias) : NULL;
    op = pr_op(&pr, VECQ_OP_LAYER_NORM, in, c->n_inputs, &params, sizeof params, 0);
    assert_ok(pr_run(&pr, threads, &err), &err);
    for (i = 0; i < count; i += n) {
        double mean = 0, square = 0, factor;

        for (k = 0; k < n && !c->is_rms; k++)
            mean += x[i + k] / (double)n;
        for (k = 0; k < n; k++)
            square += (x[i + k] - mean) * (x[i + k] - mean) / (double)n;
        factor = 1 / sqrt(square + 1e-3);
        pr_close("mean", i / n, pr_value(&pr, op->outputs[1], i / n), mean, 1e-6);
        pr_close("factor", i / n, pr_value(&pr, op->outputs[2], i / n), factor, 1e-6);
        for (k = 0; k < n; k++)
            pr_close("y", i + k, pr_value(&pr, op->outputs[0], i + k),
                     (x[i + k] - mean) * factor * (c->n_inputs > 1 ? scale[k] : 1) +
                         (c->n_inputs > 2 ? bias[k] : 0),
                     2e-6);
    }
    pr_end(&pr);
    free(x);
    free(scale);
    free(bias);
}

static void test_values(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < N_CASES; i++) {
        check_values(&cases[i], VECQ_DT_FLOAT, 1);
        check_values(&cases[i], VECQ_DT_FLOAT, 3);
        check_values(&cases[i], VECQ_DT_DOUBLE, 2);
    }
}

static void refused(const vecq_layer_norm_params *params, vecq_dtype dtype, int64_t n_scale,
                    const char *words)
{
    static const int64_t dims[2] = {3, 4};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *in[2];
    program_run pr;
    vecq_op *op;

    memset(&pr, 0, sizeof pr);
    in[0] = pr_input(&pr, dtype, 2, dims, NULL);
    in[1] = pr_input(&pr, VECQ_DT_FLOAT, 1, &n_scale, NULL);
    assert_int_equal(
        vecq_program_op(&pr.program, VECQ_OP_LAYER_NORM, "norm", in, 2, params, sizeof *params, 0, &op, &err),
        VECQ_ERR_FORMAT);
    if (strstr(err.message, words) == NULL || strstr(err.message, "LayerNorm 'norm'") == NULL)
        fail_msg("'%s' does not say '%s'", err.message, words);
    pr_end(&pr);
}

static void test_refusals(void **state)
{
    const vecq_layer_norm_params last = {.axis = 1}, beyond = {.axis = 2};

    (void)state;
    refused(&beyond, VECQ_DT_FLOAT, 4, "axis 2");
    refused(&last, VECQ_DT_INT32, 4, "int32");
    refused(&last, VECQ_DT_FLOAT, 3, "rows of 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
