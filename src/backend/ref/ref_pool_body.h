/* SPDX-License-Identifier: Apache-2.0 */
/* Body of ref_pool.c, included once for each type: `real`, POOL(name). All ranges are planes. */

/* The first of the largest elements wins; NaN wins over all. */
static vecq_status POOL(max_range)(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const pool_work *q = context;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        const real *x = (const real *)q->from + begin * q->large;
        real *y = q->to != NULL ? (real *)q->to + begin * q->small : NULL;
        size_t i;

        for (i = 0; i < q->small; i++) {
            const pool_taps t = taps_of(q, i);
            int64_t d, h, w, at, winner = -1;
            real best = (real)-INFINITY;

            FOR_TAPS(q, t, d, h, w, at)
            if (winner < 0 || x[at] > best || (isnan(x[at]) && !isnan(best))) {
                best = x[at];
                winner = at;
            }
            if (y != NULL)
                y[i] = best;
            if (q->winners != NULL)
                q->winners[begin * q->small + i] = (int32_t)winner;
        }
    }
    return VECQ_OK;
}

static vecq_status POOL(average_range)(void *context, size_t begin, size_t end, unsigned thread,
                                       vecq_error *err)
{
    const pool_work *q = context;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        const real *x = (const real *)q->from + begin * q->large;
        real *y = (real *)q->to + begin * q->small;
        size_t i;

        for (i = 0; i < q->small; i++) {
            const pool_taps t = taps_of(q, i);
            int64_t d, h, w, at;
            double sum = 0;

            FOR_TAPS(q, t, d, h, w, at)
            sum += (double)x[at];
            y[i] = (real)(t.divisor > 0 ? sum / (double)t.divisor : 0);
        }
    }
    return VECQ_OK;
}

/* Gradients of planes are summed up in `sum`. */
static void POOL(spread_plane)(const pool_work *q, size_t plane, double *sum)
{
    const real *dy = (const real *)q->from + plane * q->small;
    real *dx = (real *)q->to + plane * q->large;
    size_t i;

    memset(sum, 0, q->large * sizeof *sum);
    for (i = 0; i < q->small; i++) {
        int64_t d, h, w, at;
        double share;
        pool_taps t;

        if (q->winners != NULL) {
            at = q->winners[plane * q->small + i];
            if (at >= 0 && (size_t)at < q->large)
                sum[at] += (double)dy[i];
            continue;
        }
        t = taps_of(q, i);
        share = t.divisor > 0 ? (double)dy[i] / (double)t.divisor : 0;
        FOR_TAPS(q, t, d, h, w, at)
        sum[at] += share;
    }
    for (i = 0; i < q->large; i++)
        dx[i] = (real)sum[i];
}

static vecq_status POOL(spread_range)(void *context, size_t begin, size_t end, unsigned thread,
                                      vecq_error *err)
{
    const pool_work *q = context;
    double *sum = vecq_alloc(q->large, sizeof *sum);

    (void)thread;
    if (sum == NULL)
        return vecq_error_memory(err, q->large * sizeof *sum);
    for (; begin < end; begin++)
        POOL(spread_plane)(q, begin, sum);
    vecq_free(sum);
    return VECQ_OK;
}
