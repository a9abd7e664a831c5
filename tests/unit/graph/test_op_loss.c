/* SPDX-License-Identifier: Apache-2.0 */
/* Losses, softmax and dropout: gradients, values by their definitions, padding, refusals. */
#include "vecq_test.h"

#include "base/status.h"
#include "fail_alloc.h"
#include "gradient_check.h"
#include "program_run.h"

typedef struct loss_case {
    vecq_op_kind kind;
    size_t n; /* inputs of the op */
    vecq_loss_params params;
    vecq_axis_params axis;
    vecq_dropout_params dropout;
} loss_case;

static vecq_status build(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                         size_t *n_out, vecq_error *err)
{
    const loss_case *c = extra;
    const void *params = &c->params;
    size_t bytes = sizeof c->params;
    vecq_op *op = NULL;
    vecq_status status;

    if (c->kind == VECQ_OP_SOFTMAX || c->kind == VECQ_OP_LOG_SOFTMAX) {
        params = &c->axis;
        bytes = sizeof c->axis;
    } else if (c->kind == VECQ_OP_DROPOUT) {
        params = &c->dropout;
        bytes = sizeof c->dropout;
    }
    *n_out = 1;
    status = vecq_program_op(program, c->kind, "op", in, c->n, params, bytes, 0, &op, err);
    if (status == VECQ_OK)
        out[0] = op->outputs[0];
    return status;
}

static void check(loss_case extra, gc_input a, gc_input b, gc_input c)
{
    gc_case check_case = {vecq_op_info_of(extra.kind)->name, extra.n, {a, b, c}, build, &extra, 0, 0};

    gc_run(&check_case);
}

static const gc_input none;

static gc_input logits(unsigned rank, int64_t n, int64_t c, int64_t d, int64_t e)
{
    gc_input in = {.rank = rank, .dims = {n, c, d, e}, .low = -3, .high = 3};

    return in;
}

/* Labels from `low` (-1: some rows are padding) to n_classes - 1. */
static gc_input labels(unsigned rank, int64_t n, int64_t d, int64_t e, int low, int n_classes)
{
    gc_input in = {.rank = rank, .dims = {n, d, e}, .low = low, .high = n_classes, .is_integer = 1};

    return in;
}

static void test_cross_entropy_gradients(void **state)
{
    const loss_case plain = {.kind = VECQ_OP_CROSS_ENTROPY, .n = 2};
    const loss_case smooth = {.kind = VECQ_OP_CROSS_ENTROPY, .n = 2, .params = {.label_smoothing = 0.1}};

    (void)state;
    check(plain, logits(2, 6, 5, 0, 0), labels(1, 6, 0, 0, 0, 5), none);
    check(plain, logits(2, 6, 5, 0, 0), labels(1, 6, 0, 0, -1, 5), none);
    check(smooth, logits(2, 6, 5, 0, 0), labels(1, 6, 0, 0, -1, 5), none);
    check(smooth, logits(4, 2, 3, 2, 4), labels(3, 2, 2, 4, -1, 3), none);
    check(plain, logits(2, 1, 5, 0, 0), labels(1, 1, 0, 0, -1, 0), none); /* nothing but padding */
    check(plain, logits(2, 3, 1, 0, 0), labels(1, 3, 0, 0, 0, 1), none);
}

static void test_binary_gradients(void **state)
{
    const loss_case plain = {.kind = VECQ_OP_BINARY_CROSS_ENTROPY, .n = 2};
    const loss_case smooth = {
        .kind = VECQ_OP_BINARY_CROSS_ENTROPY, .n = 2, .params = {.label_smoothing = 0.2}};

    (void)state;
    check(plain, logits(2, 9, 1, 0, 0), labels(1, 9, 0, 0, 0, 2), none);
    check(smooth, logits(1, 9, 0, 0, 0), labels(1, 9, 0, 0, -1, 2), none);
    check(smooth, logits(2, 9, 1, 0, 0), labels(2, 9, 1, 0, -1, 2), none);
}

static void test_other_gradients(void **state)
{
    const loss_case squared = {.kind = VECQ_OP_MEAN_SQUARED_ERROR, .n = 2};
    loss_case distill = {.kind = VECQ_OP_DISTILL, .n = 2, .params = {.temperature = 1}};
    gc_input teacher = logits(2, 6, 5, 0, 0), wide = logits(3, 2, 3, 4, 0);

    (void)state;
    teacher.is_fixed = wide.is_fixed = 1;
    check(squared, logits(3, 2, 3, 4, 0), logits(3, 2, 3, 4, 0), none);
    check(distill, logits(2, 6, 5, 0, 0), teacher, none);
    distill.params.temperature = 4;
    check(distill, logits(2, 6, 5, 0, 0), teacher, none);
    distill.n = 3;
    check(distill, logits(2, 6, 5, 0, 0), teacher, labels(1, 6, 0, 0, -1, 5));
    check(distill, logits(3, 2, 3, 4, 0), wide, labels(2, 2, 4, 0, -1, 3));
}

static void test_softmax_gradients(void **state)
{
    unsigned axis;

    (void)state;
    for (axis = 0; axis < 3; axis++) {
        loss_case softmax = {.kind = VECQ_OP_SOFTMAX, .n = 1, .axis = {.axis = axis}};
        loss_case log_softmax = {.kind = VECQ_OP_LOG_SOFTMAX, .n = 1, .axis = {.axis = axis}};

        check(softmax, logits(3, 3, 4, 2, 0), none, none);
        check(log_softmax, logits(3, 3, 4, 2, 0), none, none);
    }
}

static void test_dropout_gradient(void **state)
{
    const loss_case dropout = {.kind = VECQ_OP_DROPOUT, .n = 1, .dropout = {.ratio = 0.4, .stream = 2}};

    (void)state;
    check(dropout, logits(2, 8, 9, 0, 0), none, none);
}

/* ---- values ---- */

static double run_loss(vecq_op_kind kind, vecq_dtype dtype, unsigned threads, unsigned rank,
                       const int64_t *dims, const double *z, const double *teacher, unsigned label_rank,
                       const int64_t *label_dims, const double *label, vecq_loss_params params)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *in[3];
    program_run pr;
    size_t n = 1;
    vecq_op *op;
    double value;

    memset(&pr, 0, sizeof pr);
    in[0] = pr_input(&pr, dtype, rank, dims, z);
    if (teacher != NULL)
        in[n++] = pr_input(&pr, dtype, rank, dims, teacher);
    if (label != NULL)
        in[n++] = pr_input(&pr, VECQ_DT_INT32, label_rank, label_dims, label);
    op = pr_op(&pr, kind, in, n, &params, sizeof params, 0);
    assert_ok(pr_run(&pr, threads, &err), &err);
    value = pr_value(&pr, op->outputs[0], 0);
    pr_end(&pr);
    return value;
}

static const vecq_dtype types[2] = {VECQ_DT_FLOAT, VECQ_DT_DOUBLE};

/* [N, C, D] by the definition, with smoothing, padding and a shift that would overflow exp. */
static void test_cross_entropy_values(void **state)
{
    static const int64_t dims[3] = {70, 4, 3}, label_dims[2] = {70, 3};
    static double z[70 * 4 * 3], label[70 * 3];
    const vecq_loss_params params = {.label_smoothing = 0.1};
    double want = 0;
    size_t i, j, k, counted = 0;
    vecq_rng rng;

    (void)state;
    vecq_rng_seed(&rng, 5);
    for (i = 0; i < 70 * 4 * 3; i++)
        z[i] = (float)(1000 + 5 * vecq_rng_uniform(&rng));
    for (i = 0; i < 70 * 3; i++)
        label[i] = (double)vecq_rng_below(&rng, 5) - 1;
    for (i = 0; i < 70; i++)
        for (j = 0; j < 3; j++) {
            double sum = 0;

            if (label[i * 3 + j] < 0)
                continue;
            counted++;
            for (k = 0; k < 4; k++)
                sum += exp(z[(i * 4 + k) * 3 + j] - 1000);
            for (k = 0; k < 4; k++)
                want -= (0.9 * (label[i * 3 + j] == (double)k) + 0.1 / 4) *
                        (z[(i * 4 + k) * 3 + j] - 1000 - log(sum));
        }
    assert_true(counted > 100 && counted < 210);
    for (i = 0; i < 2; i++)
        for (j = 1; j < 4; j += 2)
            pr_close("cross entropy", i,
                     run_loss(VECQ_OP_CROSS_ENTROPY, types[i], (unsigned)j, 3, dims, z, NULL, 2, label_dims,
                              label, params),
                     want / (double)counted, i == 0 ? 1e-6 : 1e-12);
}

static void test_other_values(void **state)
{
    static const int64_t one[1] = {1}, five[1] = {5}, rows[2] = {2, 3}, two[1] = {2};
    static const double z[5] = {2, -1, 0.5, 800, -800}, t[5] = {1, 0, -1, 0, 0};
    static const double s[6] = {1, 2, 3, 0, 0, 0}, teacher[6] = {3, 1, 1, -1, 4, 0};
    const vecq_loss_params plain = {.temperature = 2}, smooth = {.label_smoothing = 0.5};
    static const double padding[2] = {0, -1}, first[1] = {0};
    double p = 0, q = 0, want = 0, have;
    size_t k;

    (void)state;
    have = run_loss(VECQ_OP_BINARY_CROSS_ENTROPY, VECQ_DT_DOUBLE, 1, 1, five, z, NULL, 1, five, t, plain);
    pr_close("binary", 0, have, (log(1 + exp(-2)) + log(1 + exp(-1)) + 800 + 0) / 4, 1e-14);
    have = run_loss(VECQ_OP_BINARY_CROSS_ENTROPY, VECQ_DT_DOUBLE, 1, 1, one, z, NULL, 1, one, first, smooth);
    pr_close("smoothed", 0, have, 0.25 * log(1 + exp(-2)) + 0.75 * log(1 + exp(2)), 1e-14);
    have = run_loss(VECQ_OP_MEAN_SQUARED_ERROR, VECQ_DT_DOUBLE, 1, 2, rows, s, teacher, 0, NULL, NULL, plain);
    pr_close("squared", 0, have, (4 + 1 + 4 + 1 + 16 + 0) / 6.0, 1e-14);

    for (k = 0; k < 3; k++) {
        p += exp(s[k] / 2);
        q += exp(teacher[k] / 2);
    }
    for (k = 0; k < 3; k++)
        want += 4 * exp(teacher[k] / 2) / q * (teacher[k] / 2 - log(q) - s[k] / 2 + log(p));
    have = run_loss(VECQ_OP_DISTILL, VECQ_DT_DOUBLE, 1, 2, rows, s, teacher, 1, two, padding, plain);
    pr_close("distill", 0, have, want, 1e-14);
    have = run_loss(VECQ_OP_DISTILL, VECQ_DT_FLOAT, 1, 2, rows, s, s, 0, NULL, NULL, plain);
    pr_close("distill from itself", 0, have, 0, 0);
}

/* A loss must show what is not a number. */
static void test_nan(void **state)
{
    static const int64_t dims[2] = {1, 2}, one[1] = {1};
    const double z[2] = {0, NAN}, zero[2] = {0, 0};
    const vecq_loss_params params = {.temperature = 1};

    (void)state;
    assert_true(
        isnan(run_loss(VECQ_OP_CROSS_ENTROPY, VECQ_DT_FLOAT, 1, 2, dims, z, NULL, 1, one, zero, params)));
    assert_true(isnan(run_loss(VECQ_OP_DISTILL, VECQ_DT_FLOAT, 1, 2, dims, z, zero, 0, NULL, NULL, params)));
    assert_true(isnan(
        run_loss(VECQ_OP_MEAN_SQUARED_ERROR, VECQ_DT_FLOAT, 1, 2, dims, z, zero, 0, NULL, NULL, params)));
    assert_true(isnan(
        run_loss(VECQ_OP_BINARY_CROSS_ENTROPY, VECQ_DT_FLOAT, 1, 1, one, z + 1, NULL, 1, one, zero, params)));
}

static void test_bad_label(void **state)
{
    static const int64_t dims[2] = {3, 2}, label_dims[1] = {3};
    static const double bad[] = {2, -2, 1000000};
    const vecq_loss_params params = {.temperature = 1};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        const double label[3] = {0, bad[i], 1};
        vecq_error err = VECQ_ERROR_INIT;
        vecq_var *in[2];
        program_run pr;
        char words[80];

        memset(&pr, 0, sizeof pr);
        in[0] = pr_input(&pr, VECQ_DT_FLOAT, 2, dims, NULL);
        in[1] = pr_input(&pr, VECQ_DT_INT32, 1, label_dims, label);
        pr_op(&pr, VECQ_OP_CROSS_ENTROPY, in, 2, &params, sizeof params, 0);
        assert_int_equal(pr_run(&pr, 1, &err), VECQ_ERR_VALUE);
        snprintf(words, sizeof words, "label %d in row 1 of the batch; the classes are 0 to 1", (int)bad[i]);
        if (strstr(err.message, words) == NULL)
            fail_msg("'%s' does not say '%s'", err.message, words);
        pr_end(&pr);
    }
}

/* ---- refusals ---- */

static void refuse(vecq_op_kind kind, vecq_dtype label_type, const char *shape, const char *label_shape,
                   vecq_loss_params params, const char *words)
{
    const char *shapes[2] = {shape, label_shape};
    const vecq_dtype dtypes[2] = {VECQ_DT_FLOAT, label_type};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_var *in[2];
    vecq_op *op;
    program_run pr;
    size_t i;

    memset(&pr, 0, sizeof pr);
    for (i = 0; i < 2; i++) {
        int64_t dims[4] = {0};
        unsigned rank = 0;
        const char *p;

        for (p = shapes[i]; *p != '\0'; p++)
            dims[rank++] = *p - '0';
        in[i] = pr_input(&pr, dtypes[i], rank, dims, NULL);
    }
    assert_int_equal(vecq_program_op(&pr.program, kind, "op", in, 2, &params, sizeof params, 0, &op, &err),
                     VECQ_ERR_FORMAT);
    if (strstr(err.message, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.message, words);
    pr_end(&pr);
}

static void test_refusals(void **state)
{
    const vecq_loss_params good = {0, 1}, rough = {1, 1}, cold = {0, 0};

    (void)state;
    refuse(VECQ_OP_CROSS_ENTROPY, VECQ_DT_INT64, "34", "3", good, "labels of type int64, not int32");
    refuse(VECQ_OP_CROSS_ENTROPY, VECQ_DT_INT32, "34", "4", good, "labels of 4 for logits of 3x4");
    refuse(VECQ_OP_CROSS_ENTROPY, VECQ_DT_INT32, "342", "34", good, "labels of 3x4 for logits of 3x4x2");
    refuse(VECQ_OP_CROSS_ENTROPY, VECQ_DT_INT32, "3", "3", good, "they must be [N, C, ...]");
    refuse(VECQ_OP_CROSS_ENTROPY, VECQ_DT_INT32, "30", "3", good, "they must be [N, C, ...]");
    refuse(VECQ_OP_CROSS_ENTROPY, VECQ_DT_INT32, "34", "3", rough, "label smoothing of 1");
    refuse(VECQ_OP_BINARY_CROSS_ENTROPY, VECQ_DT_INT32, "32", "3", good, "[N] or [N, 1]");
    refuse(VECQ_OP_BINARY_CROSS_ENTROPY, VECQ_DT_INT32, "31", "13", good, "labels of 1x3");
    refuse(VECQ_OP_MEAN_SQUARED_ERROR, VECQ_DT_FLOAT, "31", "3", good, "float32 3x1 and float32 3");
    refuse(VECQ_OP_DISTILL, VECQ_DT_FLOAT, "32", "33", good, "student and teacher");
    refuse(VECQ_OP_DISTILL, VECQ_DT_FLOAT, "32", "32", cold, "a temperature of 0");
}

/* ---- failing allocations ---- */

/* A classifier with most kinds of gradients, made, differentiated and run. */
static vecq_status classifier(vecq_program *program, vecq_exec **exec, vecq_error *err)
{
    static const int64_t x_dims[2] = {2, 3}, w_dims[2] = {3, 4}, c_dims[1] = {4}, label_dims[1] = {2};
    static const float data[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const int32_t label[2] = {1, -1};
    const vecq_matmul_params product = {0, 0};
    const vecq_unary_params unary = {0, 6};
    const vecq_dropout_params dropout = {0.5, 0};
    const vecq_axis_params axis = {.axis = 1};
    const vecq_reduce_params rows = {.axes = {1}};
    const vecq_loss_params smooth = {0.1, 1};
    const vecq_exec_options options = {.threads = 1, .is_training = 1};
    const vecq_run run = {.threads = 1};
    vecq_var *in[4], *y, *z, *loss, *gradients[3];
    vecq_op *op;

    VECQ_TRY(vecq_program_input(program, "x", VECQ_DT_FLOAT, 2, x_dims, &in[0], err));
    VECQ_TRY(vecq_program_input(program, "w", VECQ_DT_FLOAT, 2, w_dims, &in[1], err));
    VECQ_TRY(vecq_program_input(program, "c", VECQ_DT_FLOAT, 1, c_dims, &in[2], err));
    VECQ_TRY(vecq_program_input(program, "labels", VECQ_DT_INT32, 1, label_dims, &in[3], err));
    VECQ_TRY(vecq_program_op(program, VECQ_OP_GEMM, "gemm", in, 3, &product, sizeof product, 0, &op, err));
    y = op->outputs[0];
    VECQ_TRY(vecq_program_op1(program, VECQ_OP_CLIP, "clip", y, &unary, sizeof unary, &y, err));
    VECQ_TRY(vecq_program_op(program, VECQ_OP_DROPOUT, "drop", &y, 1, &dropout, sizeof dropout, 0, &op, err));
    VECQ_TRY(vecq_program_op2(program, VECQ_OP_DIV, "div", op->outputs[0], in[2], NULL, 0, &y, err));
    VECQ_TRY(vecq_program_op1(program, VECQ_OP_REDUCE_MEAN, "mean", y, &rows, sizeof rows, &z, err));
    VECQ_TRY(vecq_program_op2(program, VECQ_OP_MAX, "max", y, z, NULL, 0, &y, err));
    VECQ_TRY(vecq_program_op2(program, VECQ_OP_POW, "pow", y, in[2], NULL, 0, &y, err));
    VECQ_TRY(vecq_program_op1(program, VECQ_OP_LOG_SOFTMAX, "soft", y, &axis, sizeof axis, &y, err));
    VECQ_TRY(vecq_program_op2(program, VECQ_OP_CROSS_ENTROPY, "loss", y, in[3], &smooth, sizeof smooth, &loss,
                              err));
    VECQ_TRY(vecq_program_differentiate(program, loss, in, 3, gradients, err));
    loss->is_output = 1;
    VECQ_TRY(vecq_exec_create(program, &options, exec, err));
    vecq_exec_bind(*exec, in[0], data);
    vecq_exec_bind(*exec, in[1], data);
    vecq_exec_bind(*exec, in[2], data);
    vecq_exec_bind(*exec, in[3], label);
    return vecq_exec_run(*exec, &run, err);
}

static vecq_status alloc_body(void *context, vecq_error *err)
{
    vecq_program program = {0};
    vecq_exec *exec = NULL;
    vecq_status status = classifier(&program, &exec, err);

    (void)context;
    vecq_exec_destroy(exec);
    vecq_program_clear(&program);
    return status;
}

static void test_alloc(void **state)
{
    (void)state;
    assert_true(vecq_fail_every_alloc(alloc_body, NULL) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cross_entropy_gradients),
        cmocka_unit_test(test_binary_gradients),
        cmocka_unit_test(test_other_gradients),
        cmocka_unit_test(test_softmax_gradients),
        cmocka_unit_test(test_dropout_gradient),
        cmocka_unit_test(test_cross_entropy_values),
        cmocka_unit_test(test_other_values),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_bad_label),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_alloc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
