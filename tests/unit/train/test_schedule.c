/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <math.h>

#include "train/schedule.h"

static vecq_schedule schedule_of(const char *yaml, uint64_t steps_per_epoch, vecq_recipe *recipe)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_schedule schedule;

    assert_ok(vecq_recipe_parse(yaml, strlen(yaml), "r.yaml", recipe, &err), &err);
    vecq_schedule_of(recipe, steps_per_epoch, &schedule);
    return schedule;
}

static void expect(const vecq_schedule *s, uint64_t step, double lr)
{
    double is = vecq_schedule_lr(s, step);

    if (!(fabs(is - lr) <= 1e-14 * lr))
        fail_msg("step %llu: %.17g, not %.17g", (unsigned long long)step, is, lr);
}

static void constant(void **state)
{
    vecq_recipe r;
    vecq_schedule s = schedule_of("schedule: {name: constant}\noptimizer: {lr: 0.25}\n", 10, &r);

    (void)state;
    expect(&s, 0, 0.25);
    expect(&s, 99, 0.25);
    expect(&s, 1000000, 0.25);
    vecq_recipe_clear(&r);
}

/* The paper's: 300 steps an epoch, divided by 10 at 35 and 50. */
static void step(void **state)
{
    vecq_recipe r;
    vecq_schedule s =
        schedule_of("train: {epochs: 55}\nschedule: {name: step, milestones: [35, 50]}\n", 300, &r);

    (void)state;
    expect(&s, 0, 0.01);
    expect(&s, 35 * 300 - 1, 0.01);
    expect(&s, 35 * 300, 0.001);
    expect(&s, 50 * 300 - 1, 0.001);
    expect(&s, 50 * 300, 0.0001);
    expect(&s, 55 * 300 - 1, 0.0001);
    expect(&s, UINT64_MAX, 0.0001);
    vecq_recipe_clear(&r);
    /* milestones between epochs, where 0.3 * 10 is below 3 in double */
    s = schedule_of("schedule: {name: step, milestones: [0.3, 0.7], gamma: 0.5}\n", 10, &r);
    expect(&s, 2, 0.01);
    expect(&s, 3, 0.005);
    expect(&s, 6, 0.005);
    expect(&s, 7, 0.0025);
    vecq_recipe_clear(&r);
}

static void cosine(void **state)
{
    vecq_recipe r;
    vecq_schedule s =
        schedule_of("train: {epochs: 10}\noptimizer: {lr: 0.02}\nschedule: {min_lr: 0.002}\n", 100, &r);
    uint64_t i;

    (void)state;
    expect(&s, 0, 0.02);
    expect(&s, 500, 0.011);
    expect(&s, 1000, 0.002);
    expect(&s, 5000, 0.002);
    expect(&s, 333, 0.002 + 0.018 * (1 + cos(3.14159265358979323846 * 0.333)) / 2);
    for (i = 1; i < 1100; i++)
        assert_true(vecq_schedule_lr(&s, i) <= vecq_schedule_lr(&s, i - 1));
    vecq_recipe_clear(&r);
    /* with a warm-up the curve begins after it */
    s = schedule_of("train: {epochs: 10}\noptimizer: {lr: 0.02}\nschedule: {warmup: 2}\n", 100, &r);
    expect(&s, 0, 0.0001);
    expect(&s, 99, 0.01);
    expect(&s, 199, 0.02);
    expect(&s, 200, 0.02);
    expect(&s, 600, 0.01);
    assert_true(vecq_schedule_lr(&s, 999) > 0 && vecq_schedule_lr(&s, 999) < 1e-6);
    vecq_recipe_clear(&r);
}

static void exponential(void **state)
{
    vecq_recipe r;
    vecq_schedule s = schedule_of(
        "optimizer: {lr: 1}\nschedule: {name: exponential, gamma: 0.5, warmup: 1, min_lr: 0.1}\n", 4, &r);

    (void)state;
    expect(&s, 0, 0.25); /* warm-up */
    expect(&s, 3, 1);
    expect(&s, 4, 0.5);
    expect(&s, 7, 0.5);
    expect(&s, 8, 0.25);
    expect(&s, 12, 0.125);
    expect(&s, 16, 0.1);
    vecq_recipe_clear(&r);
}

static void degenerate(void **state)
{
    vecq_recipe r;
    vecq_schedule s = schedule_of("train: {epochs: 0}\n", 0, &r);

    (void)state;
    expect(&s, 0, 0.01);
    vecq_recipe_clear(&r);
    s = schedule_of("train: {epochs: 1}\nschedule: {warmup: 1}\n", 3,
                    &r); /* refused by the check, but finite */
    assert_true(isfinite(vecq_schedule_lr(&s, 3)));
    vecq_recipe_clear(&r);
}

static void intervals(void **state)
{
    vecq_recipe_interval steps = {500, 0}, epochs = {0, 0.25}, tiny = {0, 1e-6}, never = {0, 0};

    (void)state;
    assert_int_equal(vecq_schedule_interval(&steps, 300), 500);
    assert_int_equal(vecq_schedule_interval(&epochs, 300), 75);
    assert_int_equal(vecq_schedule_interval(&tiny, 300), 1);
    assert_true(vecq_schedule_interval(&never, 300) == UINT64_MAX);
    assert_int_equal(vecq_schedule_steps(0.3, 10), 3);
    assert_int_equal(vecq_schedule_steps(0, 10), 0);
    assert_true(vecq_schedule_steps((double)INFINITY, 10) == UINT64_MAX);
    assert_true(vecq_schedule_steps(1e300, UINT64_MAX) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant),    cmocka_unit_test(step),       cmocka_unit_test(cosine),
        cmocka_unit_test(exponential), cmocka_unit_test(degenerate), cmocka_unit_test(intervals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
