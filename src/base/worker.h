/* SPDX-License-Identifier: Apache-2.0 */
/* Work in the background: threads that take jobs from a queue while the caller goes on. */
#ifndef VECQ_BASE_WORKER_H
#define VECQ_BASE_WORKER_H

#include <stddef.h>

#include "vecq/status.h"

typedef vecq_status (*vecq_job_fn)(void *context, vecq_error *err);

typedef enum vecq_job_state {
    VECQ_JOB_IDLE = 0, /* nobody knows of it: never submitted, waited for, or cancelled */
    VECQ_JOB_QUEUED,
    VECQ_JOB_RUNNING,
    VECQ_JOB_DONE
} vecq_job_state;

/* One piece of work. Memory of the caller, who sets `run` and `context` and clears the rest; it may be
 * submitted again once it is idle. */
typedef struct vecq_job {
    vecq_job_fn run; /* on some thread; loops (base/threads.h) inside it run on that thread alone */
    void *context;
    /* ---- of the worker ---- */
    vecq_job_state state;
    vecq_status status;
    vecq_error err;
    struct vecq_job *next;
} vecq_job;

typedef struct vecq_worker vecq_worker;

/*
 * Starts up to `threads` threads (0: as many as there are processors). Jobs begin in the order in which they
 * were submitted. A thread that cannot be started is done without; with none at all a job runs on the thread
 * that waits for it. So does every job in a child after fork(), which has no threads but its own: jobs that
 * were under way begin anew there, so a job must not depend on what an unfinished run of it left behind.
 * Signals are blocked on the threads, handlers run elsewhere. Leaving the program by exit() is harmless
 * while jobs run, as long as nobody releases their memory.
 *
 * All functions below belong to one thread, the owner: the one that calls them, one at a time.
 */
vecq_status vecq_worker_start(unsigned threads, vecq_worker **out, vecq_error *err);

/* Puts an idle job into the queue. */
void vecq_worker_submit(vecq_worker *worker, vecq_job *job);

/* Waits until a submitted job is done, and returns what it returned, its message in err. The job is idle
 * then. Waiting for an idle job is an error of the caller (VECQ_ERR_USAGE). */
vecq_status vecq_worker_wait(vecq_worker *worker, vecq_job *job, vecq_error *err);

/* Makes a job idle whatever its state: taken out of the queue, or waited for if it runs. Its result is lost.
 */
void vecq_worker_cancel(vecq_worker *worker, vecq_job *job);

/* IDLE only if it is to stay so; DONE: wait() would return at once. */
vecq_job_state vecq_worker_state(const vecq_job *job);

/* Drops what is queued, waits for what runs, ends the threads. NULL is fine. */
void vecq_worker_stop(vecq_worker *worker);

#endif
