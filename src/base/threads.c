/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One loop for both runtimes: workers take the next range from a counter until there is none. OpenMP keeps
 * its threads between loops; without it (VECQ_OPENMP=OFF: thread sanitizer, systems without OpenMP) threads
 * are started for each loop, and a thread that cannot be started is done without.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#else
#include <dlfcn.h>
#include <string.h>
#endif

#include "base/status.h"

unsigned vecq_threads_resolve(unsigned n)
{
    long available = 0;

    if (n == 0) {
#ifdef CPU_COUNT
        cpu_set_t set;

        if (sched_getaffinity(0, sizeof set, &set) == 0)
            available = CPU_COUNT(&set);
#endif
        if (available <= 0)
            available = sysconf(_SC_NPROCESSORS_ONLN);
        n = available > 0 ? (unsigned)available : 1u;
    }
    return n < VECQ_THREADS_MAX ? n : VECQ_THREADS_MAX;
}

typedef struct threads_loop {
    size_t n, grain, n_ranges;
    vecq_range_fn body;
    void *context;
    size_t next; /* range to hand out; atomic */

    pthread_mutex_t lock; /* of what follows */
    size_t failed;        /* lowest range that failed */
    vecq_status status;
    vecq_error first;
} threads_loop;

/* Loops inside a loop run on the thread that asks: the outer one has the processors already. */
static _Thread_local int threads_inside;

void vecq_threads_single(void)
{
    threads_inside = 1;
}

static void threads_work(threads_loop *loop, unsigned thread)
{
    size_t r;

    threads_inside = 1;
    while ((r = __atomic_fetch_add(&loop->next, 1, __ATOMIC_RELAXED)) < loop->n_ranges) {
        size_t begin = r * loop->grain;
        size_t end = loop->n - begin > loop->grain ? begin + loop->grain : loop->n;
        vecq_error local = VECQ_ERROR_INIT;
        vecq_status status = loop->body(loop->context, begin, end, thread, &local);

        if (status == VECQ_OK)
            continue;
        pthread_mutex_lock(&loop->lock);
        if (r < loop->failed) {
            loop->failed = r;
            loop->status = status;
            loop->first = local;
        }
        pthread_mutex_unlock(&loop->lock);
    }
    threads_inside = 0;
}

#ifdef _OPENMP

static void threads_run(threads_loop *loop, unsigned threads)
{
#pragma omp parallel num_threads((int)threads)
    threads_work(loop, (unsigned)omp_get_thread_num());
}

unsigned vecq_threads_limit(unsigned n)
{
    int before = omp_get_max_threads();

    if (n > 0 && (int)n != before)
        omp_set_num_threads((int)n);
    return before > 0 ? (unsigned)before : 1u;
}

#else

typedef struct threads_worker {
    threads_loop *loop;
    unsigned thread;
    pthread_t id;
} threads_worker;

static void *threads_main(void *argument)
{
    threads_worker *worker = argument;

    threads_work(worker->loop, worker->thread);
    return NULL;
}

static void threads_run(threads_loop *loop, unsigned threads)
{
    threads_worker worker[VECQ_THREADS_MAX];
    unsigned started, i;

    for (started = 1; started < threads; started++) {
        worker[started].loop = loop;
        worker[started].thread = started;
        if (pthread_create(&worker[started].id, NULL, threads_main, &worker[started]) != 0)
            break;
    }
    threads_work(loop, 0);
    for (i = 1; i < started; i++)
        pthread_join(worker[i].id, NULL);
}

typedef void (*threads_set_fn)(int);
typedef int (*threads_get_fn)(void);

/* Our loops do without OpenMP, but another library of the process may have brought its runtime along. */
unsigned vecq_threads_limit(unsigned n)
{
    void *set = dlsym(RTLD_DEFAULT, "omp_set_num_threads"), *get = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
    threads_set_fn set_threads;
    threads_get_fn get_threads;
    int before;

    if (set == NULL || get == NULL)
        return 1;
    memcpy(&set_threads, &set, sizeof set); /* ISO C has no cast from an object to a function */
    memcpy(&get_threads, &get, sizeof get);
    before = get_threads();
    if (n > 0 && (int)n != before)
        set_threads((int)n);
    return before > 0 ? (unsigned)before : 1u;
}

#endif

vecq_status vecq_parallel_for(size_t n, size_t grain, unsigned threads, vecq_range_fn body, void *context,
                              vecq_error *err)
{
    threads_loop loop = {.n = n,
                         .grain = grain > 0 ? grain : 1,
                         .body = body,
                         .context = context,
                         .lock = PTHREAD_MUTEX_INITIALIZER,
                         .failed = SIZE_MAX,
                         .status = VECQ_OK,
                         .first = VECQ_ERROR_INIT};

    if (n == 0)
        return VECQ_OK;
    loop.n_ranges = n / loop.grain + (n % loop.grain != 0);
    threads = threads_inside ? 1 : vecq_threads_resolve(threads);
    if (threads > loop.n_ranges)
        threads = (unsigned)loop.n_ranges;
    if (threads <= 1)
        return body(context, 0, n, 0, err);
    threads_run(&loop, threads);
    if (loop.status != VECQ_OK)
        return vecq_error_set(err, loop.status, "%s", loop.first.message);
    return VECQ_OK;
}
