/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One queue, one lock, two conditions: `work` wakes threads, `done` wakes the owner. Jobs are links of the
 * queue themselves, so nothing is allocated after the start.
 *
 * After fork() the child has a copy of this memory, in whatever state it was, and none of the threads. It is
 * recognised by its process id, and then neither lock nor queue is touched again: a job that is not done is
 * simply run by the one who waits for it.
 */
#include "base/worker.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"

struct vecq_worker {
    pid_t process; /* that has the threads */
    unsigned n_threads;
    pthread_t *threads;

    pthread_mutex_t lock; /* of what follows and of the state of all jobs */
    pthread_cond_t work, done;
    vecq_job *first, **last; /* the queue; `last` is where the next link goes */
    int stopping;
};

/* Takes the first job of the queue; the lock is held. */
static vecq_job *worker_take(vecq_worker *worker)
{
    vecq_job *job = worker->first;

    if (job != NULL) {
        worker->first = job->next;
        if (worker->first == NULL)
            worker->last = &worker->first;
        job->next = NULL;
        __atomic_store_n(&job->state, VECQ_JOB_RUNNING, __ATOMIC_RELAXED);
    }
    return job;
}

static void worker_run(vecq_job *job)
{
    job->err.status = VECQ_OK;
    job->err.message[0] = '\0';
    job->status = job->run(job->context, &job->err);
}

static void *worker_main(void *argument)
{
    vecq_worker *worker = argument;

    vecq_threads_single();
    pthread_mutex_lock(&worker->lock);
    for (;;) {
        vecq_job *job;

        while (!worker->stopping && worker->first == NULL)
            pthread_cond_wait(&worker->work, &worker->lock);
        if (worker->stopping)
            break;
        job = worker_take(worker);
        pthread_mutex_unlock(&worker->lock);
        worker_run(job);
        pthread_mutex_lock(&worker->lock);
        /* released after what the job wrote: a child that finds DONE finds the result too */
        __atomic_store_n(&job->state, VECQ_JOB_DONE, __ATOMIC_RELEASE);
        pthread_cond_signal(&worker->done);
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

vecq_status vecq_worker_start(unsigned threads, vecq_worker **out, vecq_error *err)
{
    vecq_worker *worker = vecq_calloc(1, sizeof *worker);
    sigset_t all, before;

    *out = NULL;
    if (worker == NULL)
        return vecq_error_memory(err, sizeof *worker);
    threads = vecq_threads_resolve(threads);
    worker->threads = vecq_alloc(threads, sizeof *worker->threads);
    if (worker->threads == NULL) {
        vecq_free(worker);
        return vecq_error_memory(err, threads * sizeof *worker->threads);
    }
    worker->process = getpid();
    worker->last = &worker->first;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->work, NULL);
    pthread_cond_init(&worker->done, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* threads inherit it */
    while (worker->n_threads < threads &&
           pthread_create(&worker->threads[worker->n_threads], NULL, worker_main, worker) == 0)
        worker->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    *out = worker;
    return VECQ_OK;
}

/* No threads: a child after fork(), or none could be started. */
static int worker_alone(const vecq_worker *worker)
{
    return worker->n_threads == 0 || worker->process != getpid();
}

vecq_job_state vecq_worker_state(const vecq_job *job)
{
    return __atomic_load_n(&job->state, __ATOMIC_ACQUIRE);
}

void vecq_worker_submit(vecq_worker *worker, vecq_job *job)
{
    if (worker_alone(worker)) {
        job->state = VECQ_JOB_QUEUED;
        return;
    }
    pthread_mutex_lock(&worker->lock);
    job->state = VECQ_JOB_QUEUED;
    job->next = NULL;
    *worker->last = job;
    worker->last = &job->next;
    pthread_cond_signal(&worker->work);
    pthread_mutex_unlock(&worker->lock);
}

vecq_status vecq_worker_wait(vecq_worker *worker, vecq_job *job, vecq_error *err)
{
    if (vecq_worker_state(job) == VECQ_JOB_IDLE)
        return vecq_error_set(err, VECQ_ERR_USAGE, "waiting for a job that was not submitted");
    if (worker_alone(worker)) {
        if (vecq_worker_state(job) != VECQ_JOB_DONE)
            worker_run(job);
    } else {
        pthread_mutex_lock(&worker->lock);
        while (vecq_worker_state(job) != VECQ_JOB_DONE)
            pthread_cond_wait(&worker->done, &worker->lock);
        pthread_mutex_unlock(&worker->lock);
    }
    job->state = VECQ_JOB_IDLE;
    if (job->status != VECQ_OK)
        return vecq_error_set(err, job->status, "%s", job->err.message);
    return VECQ_OK;
}

void vecq_worker_cancel(vecq_worker *worker, vecq_job *job)
{
    vecq_job **link;

    if (vecq_worker_state(job) == VECQ_JOB_IDLE)
        return;
    if (!worker_alone(worker)) {
        pthread_mutex_lock(&worker->lock);
        if (vecq_worker_state(job) == VECQ_JOB_QUEUED) {
            for (link = &worker->first; *link != job; link = &(*link)->next)
                ;
            *link = job->next;
            if (*link == NULL)
                worker->last = link;
        } else {
            while (vecq_worker_state(job) != VECQ_JOB_DONE)
                pthread_cond_wait(&worker->done, &worker->lock);
        }
        pthread_mutex_unlock(&worker->lock);
    }
    job->state = VECQ_JOB_IDLE;
}

void vecq_worker_stop(vecq_worker *worker)
{
    unsigned i;

    if (worker == NULL)
        return;
    if (!worker_alone(worker)) {
        pthread_mutex_lock(&worker->lock);
        worker->stopping = 1;
        pthread_cond_broadcast(&worker->work);
        pthread_mutex_unlock(&worker->lock);
        for (i = 0; i < worker->n_threads; i++)
            pthread_join(worker->threads[i], NULL);
        pthread_cond_destroy(&worker->done);
        pthread_cond_destroy(&worker->work);
        pthread_mutex_destroy(&worker->lock);
    }
    vecq_free(worker->threads);
    vecq_free(worker);
}
