/* SPDX-License-Identifier: Apache-2.0 */
#include "base/threads.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#include "base/status.h"

unsigned vecq_threads_resolve(unsigned n)
{
#ifdef _OPENMP
    int available;

    if (n > 0)
        return n;
    available = omp_get_num_procs();
    return available > 0 ? (unsigned)available : 1u;
#else
    (void)n;
    return 1;
#endif
}

vecq_status vecq_parallel_for(size_t n, size_t grain, unsigned threads, vecq_range_fn body, void *context,
                              vecq_error *err)
{
    size_t n_ranges, failed = SIZE_MAX;
    vecq_status status = VECQ_OK;
    vecq_error first = VECQ_ERROR_INIT;

    if (n == 0)
        return VECQ_OK;
    if (grain == 0)
        grain = 1;
    threads = vecq_threads_resolve(threads);
    n_ranges = n / grain + (n % grain != 0);
    if (threads > n_ranges)
        threads = (unsigned)n_ranges;
    if (threads <= 1)
        return body(context, 0, n, 0, err);
#ifdef _OPENMP
#pragma omp parallel for num_threads((int)threads) schedule(dynamic, 1)
#endif
    for (size_t r = 0; r < n_ranges; r++) {
        size_t begin = r * grain;
        size_t end = n - begin > grain ? begin + grain : n;
        vecq_error local = VECQ_ERROR_INIT;
        unsigned thread = 0;
        vecq_status s;

#ifdef _OPENMP
        thread = (unsigned)omp_get_thread_num();
#endif
        s = body(context, begin, end, thread, &local);
        if (s != VECQ_OK) {
#ifdef _OPENMP
#pragma omp critical(vecq_parallel_for_error)
#endif
            if (r < failed) {
                failed = r;
                status = s;
                first = local;
            }
        }
    }
    if (status != VECQ_OK)
        return vecq_error_set(err, status, "%s", first.message);
    return VECQ_OK;
}
