/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packed weights behind Conv, Gemm, MatMul: what the lowbit backend makes of them, alone and in front of the
 * float backends, against ref on decoded values.
 */
#include "vecq_test.h"

#include "lowbit_case.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void check(const lowbit_case *c, unsigned bits, size_t n_slices)
{
    const vecq_backend *only[] = {&vecq_backend_lowbit}, *all[4];
    lowbit_program p;
    size_t n_all = 0, i, n;
    float *want, *got;
    double largest = 0;

    while (n_all < vecq_backend_count() && n_all < COUNT(all)) {
        all[n_all] = vecq_backend_at(n_all);
        n_all++;
    }
    lowbit_build(c, bits, n_slices, &p);
    n = p.y->count;
    want = calloc(n, sizeof *want);
    got = calloc(n, sizeof *got);
    assert_non_null(want);
    assert_non_null(got);
    lowbit_run(&p, NULL, 0, 0, 1, want);
    for (i = 0; i < n; i++)
        largest = fabs((double)want[i]) > largest ? fabs((double)want[i]) : largest;
    for (i = 0; i < 2; i++) {
        size_t k;

        lowbit_run(&p, only, 1, (int)i, 2, got);
        for (k = 0; k < n; k++)
            lowbit_close(c->name, bits, k, (double)got[k], (double)want[k], 1e-5 * largest);
        lowbit_run(&p, all, n_all, (int)i, 2, got);
        for (k = 0; k < n; k++)
            lowbit_close(c->name, bits, k, (double)got[k], (double)want[k], 1e-5 * largest);
    }
    free(want);
    free(got);
    lowbit_end(&p);
}

static void test_cases(void **state)
{
    size_t i;
    unsigned bits;

    (void)state;
    for (i = 0; i < n_lowbit_cases; i++)
        for (bits = 1; bits <= 8; bits++) {
            const lowbit_case *c = &lowbit_cases[i];

            check(c, bits, 1);
            check(c, bits, c->rows);
            if (c->cols % 2 == 0)
                check(c, bits, c->rows * (c->cols % 8 == 0 ? 8 : 2));
        }
}

/* A weight that is an output besides, and one that something else than a layer reads. */
static void test_other_readers(void **state)
{
    const lowbit_case *c = &lowbit_cases[0];
    const vecq_backend *only[] = {&vecq_backend_lowbit};
    vecq_error err = VECQ_ERROR_INIT;
    float *want, *got;
    lowbit_program p;
    vecq_var *sum;
    size_t n;

    (void)state;
    lowbit_build(c, 3, c->rows, &p);
    assert_ok(vecq_program_op2(&p.program, VECQ_OP_ADD, "sum", p.w, p.w, NULL, 0, &sum, &err), &err);
    p.w->is_output = 1;
    sum->is_output = 1;
    p.y = sum;
    n = sum->count;
    want = calloc(n, sizeof *want);
    got = calloc(n, sizeof *got);
    lowbit_run(&p, NULL, 0, 0, 1, want);
    lowbit_run(&p, only, 1, 1, 1, got);
    assert_memory_equal(want, got, n * sizeof *want);
    p.y = p.w;
    lowbit_run(&p, NULL, 0, 0, 1, want);
    lowbit_run(&p, only, 1, 1, 1, got);
    assert_memory_equal(want, got, n * sizeof *want);
    free(want);
    free(got);
    lowbit_end(&p);
}

/* With nothing resident but the codes: the block of memory has no room for all weights. */
static void test_memory(void **state)
{
    const lowbit_case *c = &lowbit_cases[0];
    const vecq_backend *only[] = {&vecq_backend_lowbit};
    vecq_exec_options options = {.backends = only, .n_backends = 1, .threads = 1};
    vecq_error err = VECQ_ERROR_INIT;
    size_t bytes[2];
    lowbit_program p;
    vecq_exec *exec;
    int i;

    (void)state;
    lowbit_build_chain(c, 4, 6, &p);
    for (i = 0; i < 2; i++) {
        options.prefer_memory = i;
        assert_ok(vecq_exec_create(&p.program, &options, &exec, &err), &err);
        bytes[i] = vecq_exec_bytes(exec);
        vecq_exec_destroy(exec);
    }
    assert_true(bytes[0] >= 6 * c->rows * c->cols * sizeof(float));
    assert_true(bytes[1] < 3 * c->rows * c->cols * sizeof(float));
    lowbit_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_other_readers),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
