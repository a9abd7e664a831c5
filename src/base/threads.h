/* SPDX-License-Identifier: Apache-2.0 */
/* Data-parallel loops. */
#ifndef VECQ_BASE_THREADS_H
#define VECQ_BASE_THREADS_H

#include <stddef.h>

#include "vecq/status.h"

#define VECQ_THREADS_MAX 256u /* more are not started, whatever is asked for */

/* Number of threads meant by a user's choice: n itself, or the processors this process may use when n is 0;
 * at most VECQ_THREADS_MAX. */
unsigned vecq_threads_resolve(unsigned n);

/*
 * Calls body(context, begin, end, thread) on disjoint ranges that cover [0, n), each of `grain` items or a
 * multiple of it (the last may be shorter), on up to `threads` threads (0: all; the number `thread` is below
 * vecq_threads_resolve(threads)). Ranges are handed out dynamically, so results must not depend on who got
 * what. With several threads all ranges run even when one fails; the failure of the lowest range is what is
 * returned, with its message in err. A loop inside a loop runs on one thread. The library starts threads here
 * and in base/worker.h only, and they hold no locks of it between calls.
 */
typedef vecq_status (*vecq_range_fn)(void *context, size_t begin, size_t end, unsigned thread,
                                     vecq_error *err);
vecq_status vecq_parallel_for(size_t n, size_t grain, unsigned threads, vecq_range_fn body, void *context,
                              vecq_error *err);

/* From now on loops that this thread asks for run on it alone: for threads that have their own share of the
 * processors already. */
void vecq_threads_single(void);

/*
 * For libraries that run OpenMP loops of their own (oneDNN): how many threads a loop started by this thread
 * may use from now on. Returns what it was, to be given back. Without an OpenMP runtime in the process it
 * does nothing and returns 1.
 */
unsigned vecq_threads_limit(unsigned n);

#endif
