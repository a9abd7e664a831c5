/* SPDX-License-Identifier: Apache-2.0 */
/* In front of which layers activations are rounded, in which groups, and where the ops stand. */
#include "vecq_test.h"

#include "graph/post.h"
#include "graph/rounding.h"
#include "lowbit_case.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static size_t round_all(vecq_program *program)
{
    vecq_error err = VECQ_ERROR_INIT;
    size_t n = SIZE_MAX;

    assert_ok(vecq_program_round_activations(program, 8, &n, &err), &err);
    return n;
}

/* Everything is made before it is read, numbers and uses are right. */
static void check_order(const vecq_program *program)
{
    size_t *uses = calloc(program->n_vars, sizeof *uses), i, k;

    for (i = 0; i < program->n_ops; i++) {
        const vecq_op *op = program->ops[i];

        assert_int_equal(op->index, i);
        for (k = 0; k < op->n_inputs; k++)
            if (op->inputs[k] != NULL) {
                uses[op->inputs[k]->index]++;
                assert_true(op->inputs[k]->kind != VECQ_VAR_RESULT ||
                            op->inputs[k]->producer->index < op->index);
            }
    }
    for (i = 0; i < program->n_vars; i++)
        assert_int_equal(program->vars[i]->n_uses, uses[i]);
    free(uses);
}

static size_t count_rounders(const vecq_program *program)
{
    size_t i, n = 0;

    for (i = 0; i < program->n_ops; i++)
        n += program->ops[i]->kind == VECQ_OP_QUANTIZE_DYNAMIC;
    return n;
}

static const vecq_dynamic_params *rounder_of(const vecq_var *y)
{
    const vecq_op *op = y->producer->inputs[0]->producer;

    return op != NULL && op->kind == VECQ_OP_QUANTIZE_DYNAMIC ? op->params : NULL;
}

/* Which scales serve: one, one for each channel; by group for products only. */
static void test_layers(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < n_lowbit_cases; i++) {
        const lowbit_case *c = &lowbit_cases[i];
        size_t slices[] = {1, c->rows, c->rows * 2}, k;
        int is_conv = c->kind == VECQ_OP_CONV;

        for (k = 0; k < COUNT(slices); k++) {
            int serves = k < 2 || !is_conv;
            lowbit_program p;

            if (c->cols % 2 != 0 && k == 2)
                continue;
            lowbit_build(c, 4, slices[k], &p);
            assert_int_equal(round_all(&p.program), serves);
            assert_int_equal(count_rounders(&p.program), serves);
            check_order(&p.program);
            if (serves)
                assert_int_equal(rounder_of(p.y)->lead, is_conv ? 1 : c->x_rank - 1);
            lowbit_end(&p);
        }
    }
}

/* Layers that read one value share the op; what is quantized already, and float weights, are left alone. */
static void test_sharing(void **state)
{
    const lowbit_case *c = &lowbit_cases[0];
    vecq_error err = VECQ_ERROR_INIT;
    lowbit_program p;
    vecq_var *a, *b, *q, *w, *x;
    float values[32 * 32 * 9] = {0};

    (void)state;
    lowbit_begin(c, &p);
    a = lowbit_layer(&p.program, c, p.x, lowbit_weight(&p.program, c, 4, 1, 1), 2);
    b = lowbit_layer(&p.program, c, p.x, lowbit_weight(&p.program, c, 3, c->rows, 3), 4);
    assert_ok(vecq_program_op2(&p.program, VECQ_OP_ADD, "add", a, b, NULL, 0, &x, &err), &err);
    q = lowbit_pair(&p.program, x, VECQ_DT_INT8, 0.0625f, 0);
    b = lowbit_layer(&p.program, c, q, lowbit_weight(&p.program, c, 2, 1, 5), 6);
    w = lowbit_constant(&p.program, VECQ_DT_FLOAT, 4, c->w, values);
    p.y = lowbit_layer(&p.program, c, b, w, 7);
    p.y->is_output = 1;
    assert_int_equal(round_all(&p.program), 3);
    assert_int_equal(count_rounders(&p.program), 1);
    assert_non_null(rounder_of(a));
    assert_null(rounder_of(b));
    assert_null(rounder_of(p.y));
    check_order(&p.program);
    lowbit_end(&p);
}

/* Layers in a row: each op stands before its first reader; residuals stay floats. */
static void test_chain(void **state)
{
    const lowbit_case *c = &lowbit_cases[0];
    vecq_error err = VECQ_ERROR_INIT;
    lowbit_program p;
    size_t i;

    (void)state;
    lowbit_build_chain(c, 4, 5, &p);
    assert_ok(vecq_op_set_post(p.y->producer, VECQ_POST_RELU, NULL, p.x, &err), &err);
    assert_int_equal(round_all(&p.program), 5);
    assert_int_equal(count_rounders(&p.program), 5);
    assert_ptr_equal(vecq_op_residual(p.y->producer), p.x);
    check_order(&p.program);
    for (i = 0; i + 1 < p.program.n_ops; i++)
        if (p.program.ops[i]->kind == VECQ_OP_QUANTIZE_DYNAMIC)
            assert_ptr_equal(p.program.ops[i + 1]->inputs[0], p.program.ops[i]->outputs[0]);
    lowbit_end(&p);
}

/* Activation functions that integer kernels do not have become ops again, where activations are of 8 bits. */
static void test_split(void **state)
{
    static const vecq_post_activation posts[] = {VECQ_POST_SILU, VECQ_POST_HARD_SIGMOID, VECQ_POST_GELU,
                                                 VECQ_POST_RELU, VECQ_POST_TANH};
    const vecq_unary_params params = {0.25, 0.5};
    const lowbit_case *c = &lowbit_cases[0];
    vecq_error err = VECQ_ERROR_INIT;
    size_t i, k, rounded;
    int from;

    (void)state;
    for (i = 0; i < COUNT(posts); i++)
        for (from = 0; from < 2; from++) { /* rounded in the run, or by a scale of the file */
            lowbit_program p;
            float *want, *got;
            vecq_var *x, *y;

            lowbit_begin(c, &p);
            x = from == 0 ? p.x : lowbit_pair(&p.program, p.x, VECQ_DT_UINT8, 0.03125f, 128);
            y = lowbit_layer(&p.program, c, x, lowbit_weight(&p.program, c, 4, 1, 1), 2);
            assert_ok(vecq_op_set_post(y->producer, posts[i], &params, p.x, &err), &err);
            p.y = lowbit_layer(&p.program, c, y, lowbit_weight(&p.program, c, 3, 1, 3), 4);
            assert_ok(vecq_op_set_post(p.y->producer, posts[i], &params, NULL, &err), &err);
            p.y->is_output = 1;
            want = calloc(p.y->count, sizeof *want);
            got = calloc(p.y->count, sizeof *got);
            lowbit_run(&p, NULL, 0, 0, 1, want);
            k = p.program.n_ops;
            assert_ok(vecq_program_round_activations(&p.program, 0, &rounded, &err), &err);
            check_order(&p.program);
            assert_int_equal(rounded, from > 0);
            assert_int_equal(p.program.n_ops, k + (from > 0 && posts[i] != VECQ_POST_RELU));
            lowbit_run(&p, NULL, 0, 0, 1, got);
            assert_memory_equal(want, got, p.y->count * sizeof *want);
            assert_int_equal(round_all(&p.program), 2);
            check_order(&p.program);
            assert_int_equal(count_rounders(&p.program), from > 0 ? 1 : 2);
            assert_int_equal(p.y->producer->kind,
                             posts[i] == VECQ_POST_RELU ? c->kind : vecq_post_op(posts[i]));
            lowbit_run(&p, NULL, 0, 0, 1, got);
            for (k = 0; k < p.y->count; k++)
                lowbit_close("split", 4, k, (double)got[k], (double)want[k],
                             0.2 + 0.1 * fabs((double)want[k]));
            free(want);
            free(got);
            lowbit_end(&p);
        }
}

/* A matrix that is multiplied from the left by a transposed one has its rows across. */
static void test_transposed(void **state)
{
    lowbit_case c = {"gemm", VECQ_OP_GEMM, 50, 120, 2, 2, {120, 3}, {50, 120}, 0, .matmul = {1, 1}};
    lowbit_program p;

    (void)state;
    lowbit_build(&c, 4, 1, &p);
    assert_int_equal(round_all(&p.program), 0);
    assert_int_equal(count_rounders(&p.program), 0);
    lowbit_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),     cmocka_unit_test(test_sharing), cmocka_unit_test(test_chain),
        cmocka_unit_test(test_transposed), cmocka_unit_test(test_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
