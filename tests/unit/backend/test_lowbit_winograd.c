/* SPDX-License-Identifier: Apache-2.0 */
/* Convolutions whose packed weights are decoded and transformed for Winograd's algorithm in every run. */
#include "vecq_test.h"

#include <float.h>

#include "fail_alloc.h"
#include "lowbit_case.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const lowbit_case cases[] = {
    {"32 to 48", VECQ_OP_CONV, 48, 288, 4, 4, {1, 32, 30, 29}, {48, 32, 3, 3}, 0, LOWBIT_CONV(1, 1, 1)},
    {"64 to 64", VECQ_OP_CONV, 64, 576, 4, 4, {1, 64, 28, 28}, {64, 64, 3, 3}, 0, LOWBIT_CONV(1, 1, 1)},
    {"two images", VECQ_OP_CONV, 32, 432, 4, 4, {2, 48, 20, 24}, {32, 48, 3, 3}, 0, LOWBIT_CONV(1, 1, 0)},
};

typedef struct plan_options {
    const vecq_backend *backends[2];
    vecq_exec_options options;
} plan_options;

static vecq_exec_options *options_of(plan_options *o, int prefer_memory)
{
    o->backends[0] = &vecq_backend_lowbit;
    o->backends[1] = vecq_backend_find("onednn");
    o->options = (vecq_exec_options){
        .backends = o->backends, .n_backends = 2, .threads = 1, .prefer_memory = prefer_memory};
    return &o->options;
}

/* Steps whose detail has the word. */
static size_t count_details(const lowbit_program *p, int prefer_memory, const char *word)
{
    vecq_error err = VECQ_ERROR_INIT;
    plan_options o;
    vecq_exec *exec;
    size_t i, n = 0;

    assert_ok(vecq_exec_create(&p->program, options_of(&o, prefer_memory), &exec, &err), &err);
    for (i = 0; i < vecq_exec_steps(exec); i++)
        n += strstr(vecq_exec_step(exec, i).detail, word) != NULL;
    vecq_exec_destroy(exec);
    return n;
}

static int has_winograd(const lowbit_program *p)
{
    return count_details(p, 0, "wino") > 0; /* oneDNN 3 has none, nor have processors without AVX-512 */
}

static void check(const lowbit_case *c, unsigned bits, size_t n_slices, int *n_transformed)
{
    lowbit_program p;
    float *want, *got, largest = 0;
    plan_options o;
    unsigned threads;
    size_t i;

    lowbit_build(c, bits, n_slices, &p);
    want = calloc(p.y->count, sizeof *want);
    got = calloc(p.y->count, sizeof *got);
    assert_non_null(want);
    assert_non_null(got);
    if (has_winograd(&p)) {
        assert_int_equal(count_details(&p, 1, "Winograd transform"), 1);
        ++*n_transformed;
    }
    lowbit_run(&p, NULL, 0, 0, 1, want);
    for (i = 0; i < p.y->count; i++)
        largest = fmaxf(largest, fabsf(want[i]));
    options_of(&o, 1);
    for (threads = 1; threads <= 2; threads++) {
        lowbit_run(&p, o.backends, 2, 1, threads, got);
        for (i = 0; i < p.y->count; i++)
            lowbit_close(c->name, bits, i, (double)got[i], (double)want[i],
                         64 * (double)FLT_EPSILON * (double)largest);
    }
    free(want);
    free(got);
    lowbit_end(&p);
}

static void test_cases(void **state)
{
    int n_transformed = 0;
    size_t i;
    unsigned bits;

    (void)state;
    if (vecq_backend_find("onednn") == NULL)
        skip();
    for (i = 0; i < COUNT(cases); i++)
        for (bits = 1; bits <= 8; bits++)
            check(&cases[i], bits, bits % 2 ? 1 : cases[i].rows, &n_transformed);
    print_message("%d convolutions were transformed\n", n_transformed);
}

/* Where the image is small the transform does not pay. */
static void test_small_image(void **state)
{
    lowbit_case c = cases[1];
    lowbit_program p;

    (void)state;
    if (vecq_backend_find("onednn") == NULL)
        skip();
    c.x[2] = c.x[3] = 14;
    lowbit_build(&c, 4, 64, &p);
    assert_int_equal(count_details(&p, 1, "Winograd transform"), 0);
    lowbit_end(&p);
}

static vecq_status live(void *context, vecq_error *err)
{
    const lowbit_program *p = context;
    plan_options o;
    vecq_exec *exec = NULL;
    vecq_status status = vecq_exec_create(&p->program, options_of(&o, 1), &exec, err);

    vecq_exec_destroy(exec);
    return status;
}

static void test_out_of_memory(void **state)
{
    lowbit_program p;

    (void)state;
    if (vecq_backend_find("onednn") == NULL)
        skip();
    lowbit_build(&cases[0], 2, 48, &p);
    assert_true(vecq_fail_every_alloc(live, &p) > 20);
    lowbit_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_small_image),
                                       cmocka_unit_test(test_out_of_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
