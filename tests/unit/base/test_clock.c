/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <time.h>

#include "vecq_test.h"

static void test_measures_a_pause(void **state)
{
    struct timespec pause = {0, 2000000};
    double start = vecq_clock_seconds(), elapsed;

    (void)state;
    nanosleep(&pause, NULL);
    elapsed = vecq_clock_seconds() - start;
    assert_true(elapsed >= 0.0019);
    assert_true(elapsed < 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_measures_a_pause)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
