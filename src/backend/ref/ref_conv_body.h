/* SPDX-License-Identifier: Apache-2.0 */
/* Body of ref_conv.c, included once for each type: `real`, CONV(name). */

static inline void CONV(add_row)(size_t n, double w, const real *src, ptrdiff_t src_step, double *dst,
                                 ptrdiff_t dst_step)
{
    size_t i;

    if (src_step == 1 && dst_step == 1)
        for (i = 0; i < n; i++)
            dst[i] += w * (double)src[i];
    else
        for (i = 0; i < n; i++)
            dst[(ptrdiff_t)i * dst_step] += w * (double)src[(ptrdiff_t)i * src_step];
}

/* Four sums at a time, added up at the end. */
static inline double CONV(dot_row)(size_t n, const real *a, const real *b, ptrdiff_t b_step)
{
    double sum[4] = {0, 0, 0, 0};
    size_t i, k;

    if (b_step == 1) {
        for (i = 0; i + 4 <= n; i += 4)
            for (k = 0; k < 4; k++)
                sum[k] += (double)a[i + k] * (double)b[i + k];
        for (; i < n; i++)
            sum[0] += (double)a[i] * (double)b[i];
    } else {
        for (i = 0; i < n; i++)
            sum[i & 3] += (double)a[i] * (double)b[(ptrdiff_t)i * b_step];
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* One row of the small image and the row of the large one that a tap connects it with. */
static inline void CONV(connect_row)(const CONV(conv_work) * q, const conv_rows *r, size_t tap,
                                     size_t small_at, size_t large_at, double w)
{
    if (q->mode == CONV_GATHER)
        CONV(add_row)(r->n, w, q->large + large_at, r->step, q->sum + small_at, 1);
    else if (q->mode == CONV_SCATTER)
        CONV(add_row)(r->n, w, q->small + small_at, 1, q->sum + large_at, r->step);
    else
        q->sum[tap] += CONV(dot_row)(r->n, q->small + small_at, q->large + large_at, r->step);
}

/* All taps of a small plane and a large one; w: their weights (not for CONV_WEIGHT). */
static void CONV(connect_planes)(const CONV(conv_work) * q, const real *w)
{
    const vecq_ref_axis *a = q->g->axis;
    int64_t kd, kh, kw, d, h, d_begin, d_end, h_begin, h_end, w_begin, w_end;
    size_t tap = 0;

    for (kd = 0; kd < a[0].kernel; kd++)
        for (kh = 0; kh < a[1].kernel; kh++)
            for (kw = 0; kw < a[2].kernel; kw++, tap++) {
                int64_t at_d = vecq_ref_axis_range(&a[0], kd, &d_begin, &d_end);
                int64_t first_h = vecq_ref_axis_range(&a[1], kh, &h_begin, &h_end), at_h;
                int64_t at_w = vecq_ref_axis_range(&a[2], kw, &w_begin, &w_end);
                double weight = w != NULL ? (double)w[tap] : 0;
                conv_rows rows = {.step = (ptrdiff_t)a[2].stride};

                if (w_begin >= w_end)
                    continue;
                rows.n = (size_t)(w_end - w_begin);
                for (d = d_begin; d < d_end; d++, at_d += a[0].stride)
                    for (h = h_begin, at_h = first_h; h < h_end; h++, at_h += a[1].stride)
                        CONV(connect_row)
                (q, &rows, tap, (size_t)((d * a[1].count + h) * a[2].count + w_begin),
                 (size_t)((at_d * a[1].size + at_h) * a[2].size + at_w), weight);
            }
}

/* Task (image, channel of the small image). */
static void CONV(gather_task)(CONV(conv_work) * q, const conv_geometry *g, size_t task)
{
    size_t image = task / g->small_channels, channel = task % g->small_channels, c, i;
    size_t first = channel / g->small_group * g->large_group;
    double bias = q->bias != NULL ? (double)q->bias[channel] : 0;
    real *dst = q->out + task * g->small_plane;

    memset(q->sum, 0, g->small_plane * sizeof *q->sum);
    for (c = 0; c < g->large_group; c++) {
        q->large = q->large_base + (image * g->large_channels + first + c) * g->large_plane;
        CONV(connect_planes)(q, q->w + (channel * g->large_group + c) * g->taps);
    }
    for (i = 0; i < g->small_plane; i++)
        dst[i] = (real)(q->sum[i] + bias);
}

/* Task (image, channel of the large image). */
static void CONV(scatter_task)(CONV(conv_work) * q, const conv_geometry *g, size_t task)
{
    size_t image = task / g->large_channels, channel = task % g->large_channels, c, i;
    size_t first = channel / g->large_group * g->small_group;
    double bias = q->bias != NULL ? (double)q->bias[channel] : 0;
    real *dst = q->out + task * g->large_plane;

    memset(q->sum, 0, g->large_plane * sizeof *q->sum);
    for (c = first; c < first + g->small_group; c++) {
        q->small = q->small_base + (image * g->small_channels + c) * g->small_plane;
        CONV(connect_planes)(q, q->w + (c * g->large_group + channel % g->large_group) * g->taps);
    }
    for (i = 0; i < g->large_plane; i++)
        dst[i] = (real)(q->sum[i] + bias);
}

/* Task (channel of the small image, channel of the large one in its group): image after image. */
static void CONV(weight_task)(CONV(conv_work) * q, const conv_geometry *g, size_t task)
{
    size_t small = task / g->large_group, image, i;
    size_t large = small / g->small_group * g->large_group + task % g->large_group;
    real *dst = q->out + task * g->taps;

    memset(q->sum, 0, g->taps * sizeof *q->sum);
    for (image = 0; image < g->batch; image++) {
        q->small = q->small_base + (image * g->small_channels + small) * g->small_plane;
        q->large = q->large_base + (image * g->large_channels + large) * g->large_plane;
        CONV(connect_planes)(q, NULL);
    }
    for (i = 0; i < g->taps; i++)
        dst[i] = (real)q->sum[i];
}

static vecq_status CONV(conv_range)(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    CONV(conv_work) q = *(const CONV(conv_work) *)context;
    const conv_geometry *g = q.g;
    size_t n = q.mode == CONV_GATHER ? g->small_plane : q.mode == CONV_SCATTER ? g->large_plane : g->taps;

    (void)thread;
    q.sum = vecq_alloc(n, sizeof *q.sum);
    if (q.sum == NULL)
        return vecq_error_memory(err, n * sizeof *q.sum);
    for (; begin < end; begin++)
        if (q.mode == CONV_GATHER)
            CONV(gather_task)(&q, g, begin);
        else if (q.mode == CONV_SCATTER)
            CONV(scatter_task)(&q, g, begin);
        else
            CONV(weight_task)(&q, g, begin);
    vecq_free(q.sum);
    return VECQ_OK;
}

static vecq_status CONV(conv_run)(const vecq_ref_call *call, const conv_geometry *g, conv_mode mode,
                                  const void *small, const void *large, const void *w, const void *bias,
                                  void *out)
{
    CONV(conv_work)
    q = {.g = g, .mode = mode, .small_base = small, .large_base = large, .w = w, .bias = bias, .out = out};
    size_t per_pair = g->small_plane * g->taps, tasks, work;

    if (mode == CONV_GATHER) {
        tasks = g->batch * g->small_channels;
        work = g->large_group * per_pair;
    } else if (mode == CONV_SCATTER) {
        tasks = g->batch * g->large_channels;
        work = g->small_group * per_pair;
    } else {
        tasks = g->small_channels * g->large_group;
        work = g->batch * per_pair;
    }
    return vecq_parallel_for(tasks, vecq_ref_grain(work), call->run->threads, CONV(conv_range), &q,
                             call->err);
}

/* ---- gradient of the bias ---- */

static vecq_status CONV(bias_range)(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const conv_bias *q = context;
    const real *dy = q->dy;
    real *db = q->db;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        double sum = 0;
        size_t image, i;

        for (image = 0; image < q->batch; image++) {
            const real *plane = dy + (image * q->channels + begin) * q->plane;
            double part[4] = {0, 0, 0, 0};

            for (i = 0; i < q->plane; i++)
                part[i & 3] += (double)plane[i];
            sum += (part[0] + part[1]) + (part[2] + part[3]);
        }
        db[begin] = (real)sum;
    }
    return VECQ_OK;
}
