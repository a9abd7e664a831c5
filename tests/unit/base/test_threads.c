/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <sched.h>

#include "base/status.h"
#include "base/threads.h"

typedef struct cover {
    size_t n, grain;
    unsigned limit;        /* thread numbers lie below */
    unsigned char *visits; /* one for each item; ranges are disjoint, so no lock */
    int bad;
    unsigned threads_seen[VECQ_THREADS_MAX]; /* each written by its own thread */
} cover;

static vecq_status cover_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    cover *c = context;
    size_t i;

    (void)err;
    if (begin >= end || end > c->n || thread >= c->limit || begin % c->grain != 0 ||
        (end - begin < c->grain && end != c->n)) {
        __atomic_store_n(&c->bad, 1, __ATOMIC_RELAXED);
        return VECQ_ERR_USAGE;
    }
    for (i = begin; i < end; i++)
        c->visits[i]++;
    c->threads_seen[thread]++;
    return VECQ_OK;
}

static void ranges_cover_everything_once(void **state)
{
    static const size_t counts[] = {0, 1, 2, 3, 7, 64, 1000, 4097, 100000};
    static const size_t grains[] = {1, 2, 3, 64, 1000, 1u << 20, SIZE_MAX};
    static const unsigned threads[] = {0, 1, 2, 3, 5, 16, 64, 100000};
    static unsigned char visits[100000];
    size_t a, b, c, i;

    (void)state;
    for (a = 0; a < sizeof counts / sizeof *counts; a++)
        for (b = 0; b < sizeof grains / sizeof *grains; b++)
            for (c = 0; c < sizeof threads / sizeof *threads; c++) {
                cover job = {.n = counts[a], .grain = grains[b], .visits = visits};

                if (counts[a] / grains[b] > 2000)
                    continue; /* as many hand-outs as others have; keeps the test short */
                job.limit = vecq_threads_resolve(threads[c]);
                memset(visits, 0, counts[a]);
                assert_int_equal(vecq_parallel_for(counts[a], grains[b], threads[c], cover_range, &job, NULL),
                                 VECQ_OK);
                assert_false(job.bad);
                for (i = 0; i < counts[a]; i++)
                    assert_int_equal(visits[i], 1);
            }
}

static void grain_zero_is_one(void **state)
{
    unsigned char visits[10] = {0};
    cover job = {.n = 10, .grain = 1, .visits = visits, .limit = 2};
    int i;

    (void)state;
    assert_int_equal(vecq_parallel_for(10, 0, 2, cover_range, &job, NULL), VECQ_OK);
    for (i = 0; i < 10; i++)
        assert_int_equal(visits[i], 1);
}

/* Two threads wait for each other: they can only both arrive when the loop is really parallel. */
typedef struct meeting {
    int arrived;
} meeting;

static vecq_status meet(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    meeting *m = context;
    long spins;

    (void)begin;
    (void)end;
    (void)thread;
    __atomic_fetch_add(&m->arrived, 1, __ATOMIC_SEQ_CST);
    for (spins = 0; spins < 20000000; spins++) {
        if (__atomic_load_n(&m->arrived, __ATOMIC_SEQ_CST) >= 2)
            return VECQ_OK;
        sched_yield();
    }
    return vecq_error_set(err, VECQ_ERR_USAGE, "nobody came");
}

static void threads_run_at_the_same_time(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    meeting m = {0};

    (void)state;
    assert_ok(vecq_parallel_for(2, 1, 2, meet, &m, &err), &err);
    assert_int_equal(m.arrived, 2);
}

typedef struct failing {
    size_t every;
    unsigned calls;
} failing;

static vecq_status fail_some(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    failing *f = context;

    (void)end;
    (void)thread;
    __atomic_fetch_add(&f->calls, 1, __ATOMIC_RELAXED);
    if (begin % f->every == f->every - 1)
        return vecq_error_set(err, begin == f->every - 1 ? VECQ_ERR_VALUE : VECQ_ERR_IO, "item %zu", begin);
    return VECQ_OK;
}

static void lowest_failure_is_reported(void **state)
{
    unsigned threads;
    int round;

    (void)state;
    for (threads = 2; threads <= 8; threads++)
        for (round = 0; round < 50; round++) {
            vecq_error err = VECQ_ERROR_INIT;
            failing f = {.every = 37};

            assert_int_equal(vecq_parallel_for(500, 1, threads, fail_some, &f, &err), VECQ_ERR_VALUE);
            assert_int_equal(err.status, VECQ_ERR_VALUE);
            assert_string_equal(err.message, "item 36");
            assert_int_equal(f.calls, 500); /* the others ran all the same */
            f.calls = 0;
            assert_int_equal(vecq_parallel_for(500, 1, threads, fail_some, &f, NULL), VECQ_ERR_VALUE);
        }
}

static void earlier_error_is_kept(void **state)
{
    vecq_error err = VECQ_ERROR_INIT;
    failing f = {.every = 2};

    (void)state;
    vecq_error_set(&err, VECQ_ERR_FORMAT, "before");
    assert_int_equal(vecq_parallel_for(10, 1, 2, fail_some, &f, &err), VECQ_ERR_VALUE);
    assert_string_equal(err.message, "before");
}

typedef struct nested {
    unsigned char visits[16][64];
    int bad;
} nested;

typedef struct nested_row {
    nested *all;
    size_t row;
} nested_row;

static vecq_status inner(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    nested_row *r = context;
    size_t i;

    (void)err;
    if (thread != 0)
        __atomic_store_n(&r->all->bad, 1, __ATOMIC_RELAXED);
    for (i = begin; i < end; i++)
        r->all->visits[r->row][i]++;
    return VECQ_OK;
}

static vecq_status outer(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    size_t i;

    (void)thread;
    for (i = begin; i < end; i++) {
        nested_row row = {context, i};
        VECQ_TRY(vecq_parallel_for(64, 4, 4, inner, &row, err));
    }
    return VECQ_OK;
}

static void loops_inside_loops_stay_on_their_thread(void **state)
{
    nested all = {0};
    size_t i, j;

    (void)state;
    assert_int_equal(vecq_parallel_for(16, 1, 4, outer, &all, NULL), VECQ_OK);
    assert_false(all.bad);
    for (i = 0; i < 16; i++)
        for (j = 0; j < 64; j++)
            assert_int_equal(all.visits[i][j], 1);
}

static void resolve(void **state)
{
    (void)state;
    assert_in_range(vecq_threads_resolve(0), 1, VECQ_THREADS_MAX);
    assert_int_equal(vecq_threads_resolve(1), 1);
    assert_int_equal(vecq_threads_resolve(7), 7);
    assert_int_equal(vecq_threads_resolve(~0u), VECQ_THREADS_MAX);
}

/* Without an OpenMP runtime there is nothing to limit. */
static void limit_is_given_back(void **state)
{
    unsigned before = vecq_threads_limit(3), during = vecq_threads_limit(before);

    (void)state;
    assert_in_range(before, 1, ~0u);
    assert_true(during == 3 || during == 1);
    assert_int_equal(vecq_threads_limit(before), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolve),
        cmocka_unit_test(limit_is_given_back),
        cmocka_unit_test(ranges_cover_everything_once),
        cmocka_unit_test(grain_zero_is_one),
        cmocka_unit_test(threads_run_at_the_same_time),
        cmocka_unit_test(lowest_failure_is_reported),
        cmocka_unit_test(earlier_error_is_kept),
        cmocka_unit_test(loops_inside_loops_stay_on_their_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
