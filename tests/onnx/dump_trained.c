/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the cases of tests/trained_case.h for test_trained.py into the current folder: <name>.onnx, and the
 * input and output of the evaluation before it was written as raw floats, <name>.x and <name>.y. Prints the
 * names.
 */
#include "vecq_test.h"

#include "trained_case.h"

static void put(const char *name, const char *suffix, const float *values, size_t n)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s.%s", name, suffix);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(values, sizeof *values, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void dump_all(void **state)
{
    static float x[CASE_X_MAX], y[CASE_Y_MAX];
    size_t i, n_x, n_y;

    (void)state;
    for (i = 0; i < N_TRAINED_CASES; i++) {
        char path[128];

        snprintf(path, sizeof path, "%s.onnx", trained_cases[i].name);
        case_write(&trained_cases[i], path, x, &n_x, y, &n_y);
        put(trained_cases[i].name, "x", x, n_x);
        put(trained_cases[i].name, "y", y, n_y);
        printf("%s\n", trained_cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dump_all)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
