/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/status.h"
#include "base/threads.h"
#include "base/worker.h"
#include "fail_alloc.h"

/* A job that waits at a gate, and notes where and when it ran. */
typedef struct gate {
    int open, started;
} gate;

typedef struct work {
    gate *gate; /* or NULL */
    int *clock;
    int order, runs;
    pthread_t thread;
    vecq_status result;
    int signals_blocked;
} work;

static vecq_status work_run(void *context, vecq_error *err)
{
    work *w = context;
    sigset_t mask;

    if (w->gate != NULL) {
        __atomic_store_n(&w->gate->started, 1, __ATOMIC_RELEASE);
        while (!__atomic_load_n(&w->gate->open, __ATOMIC_ACQUIRE))
            sched_yield();
    }
    w->order = __atomic_add_fetch(w->clock, 1, __ATOMIC_RELAXED);
    w->runs++;
    w->thread = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    w->signals_blocked = sigismember(&mask, SIGINT) == 1;
    return w->result == VECQ_OK ? VECQ_OK : vecq_error_set(err, w->result, "job %d", w->order);
}

static void gate_wait(gate *g)
{
    while (!__atomic_load_n(&g->started, __ATOMIC_ACQUIRE))
        sched_yield();
}

static void gate_open(gate *g)
{
    __atomic_store_n(&g->open, 1, __ATOMIC_RELEASE);
}

#define JOBS 50

static void all_run_in_order_elsewhere(void **state)
{
    static work works[JOBS];
    static vecq_job jobs[JOBS];
    vecq_worker *worker;
    vecq_error err = VECQ_ERROR_INIT;
    int clock = 0, round, i;

    (void)state;
    assert_ok(vecq_worker_start(1, &worker, &err), &err);
    for (i = 0; i < JOBS; i++) {
        works[i] = (work){.clock = &clock};
        jobs[i] = (vecq_job){.run = work_run, .context = &works[i]};
    }
    for (round = 1; round <= 3; round++) { /* jobs can be used again */
        for (i = 0; i < JOBS; i++)
            vecq_worker_submit(worker, &jobs[i]);
        for (i = JOBS; i-- > 0;)
            assert_ok(vecq_worker_wait(worker, &jobs[i], &err), &err);
        for (i = 0; i < JOBS; i++) {
            assert_int_equal(works[i].runs, round);
            assert_int_equal(works[i].order, (round - 1) * JOBS + i + 1);
            assert_false(pthread_equal(works[i].thread, pthread_self()));
            assert_true(works[i].signals_blocked);
            assert_int_equal(vecq_worker_state(&jobs[i]), VECQ_JOB_IDLE);
        }
    }
    vecq_worker_stop(worker);
}

static void several_threads_work_at_once(void **state)
{
    gate gates[3] = {{0, 0}, {0, 0}, {0, 0}};
    int clock = 0, i;
    work works[3];
    vecq_job jobs[3];
    vecq_worker *worker;
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_ok(vecq_worker_start(3, &worker, &err), &err);
    for (i = 0; i < 3; i++) {
        works[i] = (work){.clock = &clock, .gate = &gates[i]};
        jobs[i] = (vecq_job){.run = work_run, .context = &works[i]};
        vecq_worker_submit(worker, &jobs[i]);
    }
    for (i = 0; i < 3; i++)
        gate_wait(&gates[i]); /* returns only if all three are under way together */
    gate_open(&gates[1]);
    assert_ok(vecq_worker_wait(worker, &jobs[1], &err), &err);
    assert_int_equal(vecq_worker_state(&jobs[0]), VECQ_JOB_RUNNING);
    gate_open(&gates[0]);
    gate_open(&gates[2]);
    vecq_worker_stop(worker); /* waits for what runs */
    assert_int_equal(works[0].runs + works[2].runs, 2);
}

static void cancelling(void **state)
{
    gate g = {0, 0};
    int clock = 0, i;
    work works[4];
    vecq_job jobs[4];
    vecq_worker *worker;
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_ok(vecq_worker_start(1, &worker, &err), &err);
    for (i = 0; i < 4; i++) {
        works[i] = (work){.clock = &clock, .gate = i == 0 ? &g : NULL};
        jobs[i] = (vecq_job){.run = work_run, .context = &works[i]};
        vecq_worker_cancel(worker, &jobs[i]); /* idle: nothing to do */
        vecq_worker_submit(worker, &jobs[i]);
    }
    gate_wait(&g);
    vecq_worker_cancel(worker, &jobs[1]); /* first, then last of the queue */
    vecq_worker_cancel(worker, &jobs[3]);
    vecq_worker_submit(worker, &jobs[1]); /* and it can be queued again, behind 2 */
    gate_open(&g);
    vecq_worker_cancel(worker, &jobs[0]); /* runs or has run: waited for */
    assert_int_equal(works[0].runs, 1);
    assert_ok(vecq_worker_wait(worker, &jobs[2], &err), &err);
    assert_ok(vecq_worker_wait(worker, &jobs[1], &err), &err);
    assert_int_equal(works[2].order, 2);
    assert_int_equal(works[1].order, 3);
    assert_int_equal(works[3].runs, 0);
    assert_int_equal(vecq_worker_wait(worker, &jobs[3], &err), VECQ_ERR_USAGE);
    vecq_worker_submit(worker, &jobs[3]);
    vecq_worker_stop(worker); /* with something in the queue, or not any more */
    vecq_worker_stop(NULL);
}

static void errors_come_from_wait(void **state)
{
    int clock = 0, round;
    work w = {.clock = &clock, .result = VECQ_ERR_IO};
    vecq_job job = {.run = work_run, .context = &w};
    vecq_worker *worker;

    (void)state;
    assert_int_equal(vecq_worker_start(2, &worker, NULL), VECQ_OK);
    for (round = 1; round <= 2; round++) {
        vecq_error err = VECQ_ERROR_INIT;
        char want[16];

        snprintf(want, sizeof want, "job %d", round);
        vecq_worker_submit(worker, &job);
        assert_int_equal(vecq_worker_wait(worker, &job, &err), VECQ_ERR_IO);
        assert_string_equal(err.message, want);
    }
    w.result = VECQ_OK;
    vecq_worker_submit(worker, &job);
    assert_int_equal(vecq_worker_wait(worker, &job, NULL), VECQ_OK);
    vecq_worker_stop(worker);
}

static vecq_status loop_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    size_t *ranges = context;

    (void)begin;
    (void)end;
    (void)err;
    assert_int_equal(thread, 0);
    ++*ranges;
    return VECQ_OK;
}

static vecq_status loop_job(void *context, vecq_error *err)
{
    return vecq_parallel_for(1000, 1, 4, loop_range, context, err);
}

static void loops_in_jobs_run_on_one_thread(void **state)
{
    size_t ranges = 0;
    vecq_job job = {.run = loop_job, .context = &ranges};
    vecq_worker *worker;
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_ok(vecq_worker_start(1, &worker, &err), &err);
    vecq_worker_submit(worker, &job);
    assert_ok(vecq_worker_wait(worker, &job, &err), &err);
    assert_int_equal(ranges, 1);
    vecq_worker_stop(worker);
}

/* A child has no threads: it does what was done, queued or under way by itself. */
static int child(vecq_worker *worker, vecq_job jobs[3], work works[3], gate *g)
{
    int i;

    gate_open(g);
    for (i = 0; i < 3; i++)
        if (vecq_worker_wait(worker, &jobs[i], NULL) != VECQ_OK)
            return 1;
    if (!pthread_equal(works[1].thread, pthread_self()) || works[2].runs < 1)
        return 2;
    vecq_worker_submit(worker, &jobs[0]);
    vecq_worker_cancel(worker, &jobs[0]);
    vecq_worker_submit(worker, &jobs[1]);
    if (vecq_worker_wait(worker, &jobs[1], NULL) != VECQ_OK)
        return 3;
    vecq_worker_stop(worker);
    return 0;
}

static void a_child_works_alone(void **state)
{
    gate g = {0, 0};
    int clock = 0, i, status = -1;
    work works[3];
    vecq_job jobs[3];
    vecq_worker *worker;
    vecq_error err = VECQ_ERROR_INIT;
    pid_t pid;

    (void)state;
    assert_ok(vecq_worker_start(1, &worker, &err), &err);
    for (i = 0; i < 3; i++) {
        works[i] = (work){.clock = &clock, .gate = i == 1 ? &g : NULL};
        jobs[i] = (vecq_job){.run = work_run, .context = &works[i]};
        vecq_worker_submit(worker, &jobs[i]);
    }
    gate_wait(&g); /* 0 is done, 1 runs, 2 is queued */
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child(worker, jobs, works, &g));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    gate_open(&g);
    for (i = 0; i < 3; i++)
        assert_ok(vecq_worker_wait(worker, &jobs[i], &err), &err);
    assert_int_equal(clock, 3);
    vecq_worker_stop(worker);
}

/* exit() while a job runs must neither hang nor crash. */
static void exit_while_working(void **state)
{
    int status = -1;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        static gate g;
        static int clock;
        static work w = {.gate = &g, .clock = &clock};
        static vecq_job job = {.run = work_run, .context = &w};
        static vecq_worker *worker; /* reachable: no leak */

        alarm(20);
        if (vecq_worker_start(1, &worker, NULL) != VECQ_OK)
            _exit(1);
        vecq_worker_submit(worker, &job);
        gate_wait(&g);
        fclose(stdout); /* nothing of the parent's buffer twice */
        exit(7);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

static vecq_status start_and_stop(void *context, vecq_error *err)
{
    vecq_worker *worker;
    vecq_status status = vecq_worker_start(2, &worker, err);

    (void)context;
    vecq_worker_stop(worker);
    return status;
}

static void out_of_memory(void **state)
{
    (void)state;
    assert_true(vecq_fail_every_alloc(start_and_stop, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_run_in_order_elsewhere),
        cmocka_unit_test(several_threads_work_at_once),
        cmocka_unit_test(cancelling),
        cmocka_unit_test(errors_come_from_wait),
        cmocka_unit_test(loops_in_jobs_run_on_one_thread),
        cmocka_unit_test(a_child_works_alone),
        cmocka_unit_test(exit_while_working),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
