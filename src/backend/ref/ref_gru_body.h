/* SPDX-License-Identifier: Apache-2.0 */
/* Body of ref_gru.c, included once for each type: `real`, RNN(name). */

/* ---- forward ---- */

typedef struct RNN(gru_run) {
    rnn_sizes s;
    const real *x, *h0;
    real *y, *y_h;
    real *work;       /* the workspace, or NULL */
    real *w, *r, *rh; /* W^T, R^T of z and r, of n, packed: [D] */
    real *bias;       /* [D][4H], like the workspace */
    real *scratch;    /* [threads][block * 6H]: workspace of a step, two h where they are not kept */
} RNN(gru_run);

static void RNN(gru_cell)(const rnn_sizes *s, size_t n, real *work, const real *rh, const real *h_old,
                          real *h)
{
    size_t hidden = s->hidden, row, j;

    for (row = 0; row < n; row++) {
        real *restrict z = work + row * 4 * hidden, *restrict r = z + hidden, *restrict c = r + hidden,
                       *restrict q = c + hidden;

        for (j = 0; j < 2 * hidden; j++)
            z[j] = RNN(rnn_sigmoid)(z[j]);
        if (s->is_linear)
            for (j = 0; j < hidden; j++)
                c[j] += r[j] * q[j];
        else
            for (j = 0; j < hidden; j++)
                q[j] = h_old != NULL ? r[j] * h_old[row * hidden + j] : 0;
    }
    if (!s->is_linear)
        RNN(rnn_multiply)
        (n, hidden, hidden, work + 3 * hidden, 4 * hidden, 1, rh, work + 2 * hidden, 4 * hidden);
    for (row = 0; row < n; row++) {
        real *restrict z = work + row * 4 * hidden, *restrict c = z + 2 * hidden;
        real *restrict out = h + row * hidden;

        for (j = 0; j < hidden; j++)
            c[j] = RNN(rnn_tanh)(c[j]);
        for (j = 0; j < hidden; j++)
            out[j] = (1 - z[j]) * c[j] + (h_old != NULL ? z[j] * h_old[row * hidden + j] : 0);
    }
}

/* All steps of a block of the batch in one direction. */
static void RNN(gru_task)(const RNN(gru_run) * g, size_t d, size_t begin, size_t n, real *scratch)
{
    const rnn_sizes *s = &g->s;
    size_t hidden = s->hidden, wide = 4 * hidden, start = (d * s->batch + begin) * hidden, step, row;
    const real *h = g->h0 != NULL ? g->h0 + start : NULL;
    const real *w = g->w + d * rnn_packed(s->input, 3 * hidden),
               *r = g->r + d * rnn_packed(hidden, 2 * hidden);
    const real *rh = g->rh + d * rnn_packed(hidden, hidden);

    for (step = 0; step < s->steps; step++) {
        size_t t = rnn_step_at(s, d, step), place = (d * s->steps + t) * s->batch + begin;
        real *work = g->work != NULL ? g->work + place * wide : scratch;
        real *out = g->y != NULL ? g->y + ((t * s->directions + d) * s->batch + begin) * hidden
                                 : scratch + s->block * (wide + step % 2 * hidden);

        for (row = 0; row < n; row++)
            memcpy(work + row * wide, g->bias + d * wide, wide * sizeof *work);
        RNN(rnn_multiply)
        (n, 3 * hidden, s->input, g->x + (t * s->batch + begin) * s->input, s->input, 1, w, work, wide);
        if (h != NULL)
            RNN(rnn_multiply)(n, 2 * hidden, hidden, h, hidden, 1, r, work, wide);
        if (h != NULL && s->is_linear)
            RNN(rnn_multiply)(n, hidden, hidden, h, hidden, 1, rh, work + 3 * hidden, wide);
        RNN(gru_cell)(s, n, work, rh, h, out);
        h = out;
    }
    for (row = 0; row < n * hidden && g->y_h != NULL; row++)
        g->y_h[start + row] = h != NULL ? h[row] : 0;
}

static vecq_status RNN(gru_range)(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const RNN(gru_run) *g = context;
    real *scratch = g->scratch + thread * g->s.block * 6 * g->s.hidden;

    (void)err;
    for (; begin < end; begin++) {
        size_t first = begin % g->s.blocks * g->s.block, left = g->s.batch - first;

        RNN(gru_task)(g, begin / g->s.blocks, first, left < g->s.block ? left : g->s.block, scratch);
    }
    return VECQ_OK;
}

/* Biases of one direction: both for z and r; for n the second one goes where the formula has it. */
static void RNN(gru_bias)(const rnn_sizes *s, const real *b, real *bias)
{
    size_t hidden = s->hidden, j;

    for (j = 0; j < 4 * hidden; j++)
        bias[j] = 0;
    for (j = 0; j < 3 * hidden && b != NULL; j++)
        bias[j] = b[j] + (j < 2 * hidden || !s->is_linear ? b[3 * hidden + j] : 0);
    for (j = 3 * hidden; j < 4 * hidden && b != NULL && s->is_linear; j++)
        bias[j] = b[2 * hidden + j];
}

static vecq_status RNN(gru_forward)(const vecq_ref_call *call)
{
    RNN(gru_run)
    g = {.s = gru_sizes_of(call),
         .x = call->in[0],
         .y = call->out[0],
         .y_h = call->out[1],
         .work = call->out[2]};
    const rnn_sizes *s = &g.s;
    const real *w = call->in[1], *r = call->in[2], *b = call->op->n_inputs > 3 ? call->in[3] : NULL;
    size_t hidden = s->hidden, n_w = rnn_packed(s->input, 3 * hidden), n_r = rnn_packed(hidden, 2 * hidden),
           n_h = rnn_packed(hidden, hidden), n, d;
    vecq_status status;

    g.h0 = call->op->n_inputs > 4 ? call->in[4] : NULL;
    n = s->directions * (n_w + n_r + n_h + 4 * hidden) + s->threads * s->block * 6 * hidden;
    g.w = vecq_alloc(n, sizeof *g.w);
    if (g.w == NULL)
        return vecq_error_memory(call->err, n * sizeof *g.w);
    g.r = g.w + s->directions * n_w;
    g.rh = g.r + s->directions * n_r;
    g.bias = g.rh + s->directions * n_h;
    g.scratch = g.bias + s->directions * 4 * hidden;
    for (d = 0; d < s->directions; d++) {
        const real *rd = r + d * 3 * hidden * hidden;

        RNN(rnn_pack)(w + d * 3 * hidden * s->input, 1, s->input, s->input, 3 * hidden, g.w + d * n_w);
        RNN(rnn_pack)(rd, 1, hidden, hidden, 2 * hidden, g.r + d * n_r);
        RNN(rnn_pack)(rd + 2 * hidden * hidden, 1, hidden, hidden, hidden, g.rh + d * n_h);
        RNN(gru_bias)(s, b != NULL ? b + d * 6 * hidden : NULL, g.bias + d * 4 * hidden);
    }
    status = vecq_parallel_for(s->directions * s->blocks, 1, s->threads, RNN(gru_range), &g, call->err);
    vecq_free(g.w);
    return status;
}

/* ---- backward ---- */

typedef struct RNN(gru_back) {
    rnn_sizes s;
    const real *x, *h0, *y, *work, *dy, *dy_h;
    real *dx, *dh0;
    real *w, *r, *rh; /* W; R of z and r; R of n, packed: [D] */
    real *d;       /* [D][T][B][4H]: gradients of z, r, n before their functions; of what Rh and Rbh made */
    real *scratch; /* [threads][block * 2H]: dh, d(r h) */
    const real **steps; /* [3D][T]: x, the h before each step, q */
    RNN(rnn_outer) outer[6];
} RNN(gru_back);

/* h before step number `step` of a direction, from row `begin` of the batch; NULL: zeros. */
static const real *RNN(gru_h_before)(const RNN(gru_back) * g, size_t d, size_t step, size_t begin)
{
    const rnn_sizes *s = &g->s;

    if (step == 0)
        return g->h0 != NULL ? g->h0 + (d * s->batch + begin) * s->hidden : NULL;
    return g->y + ((rnn_step_at(s, d, step - 1) * s->directions + d) * s->batch + begin) * s->hidden;
}

/* dh of a step to its gates, and the part of the step before's that takes the short way. */
static void RNN(gru_cell_back)(const RNN(gru_back) * g, size_t n, size_t direction, const real *work,
                               const real *h_old, real *dh, real *drh, real *d)
{
    size_t hidden = g->s.hidden, row, j;
    int is_linear = g->s.is_linear;

    for (row = 0; row < n; row++) {
        const real *z = work + row * 4 * hidden, *r = z + hidden, *c = r + hidden, *q = c + hidden;
        real *restrict dz = d + row * 4 * hidden, *restrict above = dh + row * hidden;

        for (j = 0; j < hidden; j++) {
            real old = h_old != NULL ? h_old[row * hidden + j] : 0;
            real dc = above[j] * (1 - z[j]) * (1 - c[j] * c[j]);

            dz[j] = above[j] * (old - c[j]) * z[j] * (1 - z[j]);
            dz[hidden + j] = is_linear ? dc * q[j] * r[j] * (1 - r[j]) : 0;
            dz[2 * hidden + j] = dc;
            dz[3 * hidden + j] = is_linear ? dc * r[j] : dc;
            above[j] *= z[j];
        }
    }
    if (is_linear)
        return;
    memset(drh, 0, n * hidden * sizeof *drh);
    RNN(rnn_multiply)
    (n, hidden, hidden, d + 2 * hidden, 4 * hidden, 1, g->rh + direction * rnn_packed(hidden, hidden), drh,
     hidden);
    for (row = 0; row < n; row++) {
        const real *r = work + row * 4 * hidden + hidden;

        for (j = 0; j < hidden; j++) {
            real old = h_old != NULL ? h_old[row * hidden + j] : 0, grad = drh[row * hidden + j];

            d[row * 4 * hidden + hidden + j] = grad * old * r[j] * (1 - r[j]);
            dh[row * hidden + j] += grad * r[j];
        }
    }
}

static void RNN(gru_back_task)(const RNN(gru_back) * g, size_t d, size_t begin, size_t n, real *scratch)
{
    const rnn_sizes *s = &g->s;
    size_t hidden = s->hidden, wide = 4 * hidden, size = n * hidden, step, j;
    size_t start = (d * s->batch + begin) * hidden;
    const real *r = g->r + d * rnn_packed(2 * hidden, hidden), *rh = g->rh + d * rnn_packed(hidden, hidden);
    real *dh = scratch;

    for (j = 0; j < size; j++)
        dh[j] = g->dy_h != NULL ? g->dy_h[start + j] : 0;
    for (step = s->steps; step-- > 0;) {
        size_t t = rnn_step_at(s, d, step), place = (d * s->steps + t) * s->batch + begin;
        real *gates = g->d + place * wide;

        if (g->dy != NULL) {
            const real *dy = g->dy + ((t * s->directions + d) * s->batch + begin) * hidden;
            for (j = 0; j < size; j++)
                dh[j] += dy[j];
        }
        RNN(gru_cell_back)
        (g, n, d, g->work + place * wide, RNN(gru_h_before)(g, d, step, begin), dh,
         scratch + s->block * hidden, gates);
        RNN(rnn_multiply)(n, hidden, 2 * hidden, gates, wide, 1, r, dh, hidden);
        if (s->is_linear)
            RNN(rnn_multiply)(n, hidden, hidden, gates + 3 * hidden, wide, 1, rh, dh, hidden);
    }
    if (g->dh0 != NULL)
        memcpy(g->dh0 + start, dh, size * sizeof *dh);
}

static vecq_status RNN(gru_back_range)(void *context, size_t begin, size_t end, unsigned thread,
                                       vecq_error *err)
{
    const RNN(gru_back) *g = context;
    real *scratch = g->scratch + thread * g->s.block * 2 * g->s.hidden;

    (void)err;
    for (; begin < end; begin++) {
        size_t first = begin % g->s.blocks * g->s.block, left = g->s.batch - first;

        RNN(gru_back_task)(g, begin / g->s.blocks, first, left < g->s.block ? left : g->s.block, scratch);
    }
    return VECQ_OK;
}

/* dx of rows [begin, end) of steps x batch: the directions one after the other. */
static vecq_status RNN(gru_dx_range)(void *context, size_t begin, size_t end, unsigned thread,
                                     vecq_error *err)
{
    const RNN(gru_back) *g = context;
    size_t input = g->s.input, hidden = g->s.hidden, rows = g->s.steps * g->s.batch, d;

    (void)thread;
    (void)err;
    memset(g->dx + begin * input, 0, (end - begin) * input * sizeof *g->dx);
    for (d = 0; d < g->s.directions; d++)
        RNN(rnn_multiply)
        (end - begin, input, 3 * hidden, g->d + (d * rows + begin) * 4 * hidden, 4 * hidden, 1,
         g->w + d * rnn_packed(3 * hidden, input), g->dx + begin * input, input);
    return VECQ_OK;
}

/* Tasks of all the weights' gradients one after the other. */
static vecq_status RNN(gru_dw_range)(void *context, size_t begin, size_t end, unsigned thread,
                                     vecq_error *err)
{
    const RNN(gru_back) *g = context;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        size_t task = begin, k = 0;

        while (task >= RNN(rnn_outer_tasks)(&g->outer[k]))
            task -= RNN(rnn_outer_tasks)(&g->outer[k++]);
        RNN(rnn_outer_task)(&g->outer[k], task);
    }
    return VECQ_OK;
}

static vecq_status RNN(gru_weight_gradients)(RNN(gru_back) * g, const vecq_ref_call *call)
{
    const rnn_sizes *s = &g->s;
    real *dw = call->out[1], *dr = call->out[2], *db = call->out[3];
    size_t hidden = s->hidden, wide = 4 * hidden, rows = s->steps * s->batch, tasks = 0, n = 0, d, step;

    for (d = 0; d < s->directions; d++) {
        const real **xs = g->steps + 3 * d * s->steps, **hs = xs + s->steps, **qs = hs + s->steps;
        const real *grad = g->d + d * rows * wide;

        for (step = 0; step < s->steps; step++) {
            size_t t = rnn_step_at(s, d, step);

            xs[t] = g->x + t * s->batch * s->input;
            hs[t] = RNN(gru_h_before)(g, d, step, 0);
            qs[t] = g->work + (d * s->steps + t) * s->batch * wide + 3 * hidden;
        }
        if (dw != NULL)
            g->outer[n++] =
                (RNN(rnn_outer)){3 * hidden, s->input, s->steps, s->batch, grad,
                                 wide,       0,        xs,       s->input, dw + d * 3 * hidden * s->input};
        if (dr != NULL) {
            real *dst = dr + d * 3 * hidden * hidden;

            g->outer[n++] =
                (RNN(rnn_outer)){2 * hidden, hidden, s->steps, s->batch, grad, wide, 0, hs, hidden, dst};
            g->outer[n++] = (RNN(rnn_outer)){hidden,
                                             hidden,
                                             s->steps,
                                             s->batch,
                                             grad,
                                             wide,
                                             3 * hidden,
                                             s->is_linear ? hs : qs,
                                             s->is_linear ? hidden : wide,
                                             dst + 2 * hidden * hidden};
        }
        if (db != NULL) {
            real *dst = db + d * 6 * hidden;

            RNN(rnn_sum_rows)(grad, rows, wide, 3 * hidden, dst);
            memcpy(dst + 3 * hidden, dst, 2 * hidden * sizeof *dst);
            RNN(rnn_sum_rows)(grad + 3 * hidden, rows, wide, hidden, dst + 5 * hidden);
        }
    }
    while (n-- > 0)
        tasks += RNN(rnn_outer_tasks)(&g->outer[n]);
    return vecq_parallel_for(tasks, 1, s->threads, RNN(gru_dw_range), g, call->err);
}

static vecq_status RNN(gru_backward_run)(RNN(gru_back) * g, const vecq_ref_call *call)
{
    const rnn_sizes *s = &g->s;

    VECQ_TRY(vecq_parallel_for(s->directions * s->blocks, 1, s->threads, RNN(gru_back_range), g, call->err));
    if (g->dx != NULL)
        VECQ_TRY(vecq_parallel_for(s->steps * s->batch, 64, s->threads, RNN(gru_dx_range), g, call->err));
    return RNN(gru_weight_gradients)(g, call);
}

static vecq_status RNN(gru_backward)(const vecq_ref_call *call)
{
    RNN(gru_back)
    g = {.s = gru_sizes_of(call),
         .x = call->in[0],
         .h0 = call->in[4],
         .y = call->in[5],
         .work = call->in[7],
         .dy = call->in[8],
         .dy_h = call->in[9],
         .dx = call->out[0],
         .dh0 = call->out[4]};
    const rnn_sizes *s = &g.s;
    const real *w = call->in[1], *r = call->in[2];
    size_t hidden = s->hidden, rows = s->steps * s->batch, n_w = rnn_packed(3 * hidden, s->input),
           n_r = rnn_packed(2 * hidden, hidden), n_h = rnn_packed(hidden, hidden), n, d;
    vecq_status status = VECQ_OK;

    n = s->directions * (n_w + n_r + n_h + rows * 4 * hidden) + s->threads * s->block * 2 * hidden;
    g.w = vecq_alloc(n, sizeof *g.w);
    g.steps = vecq_alloc(3 * s->directions * s->steps, sizeof *g.steps);
    if (g.w == NULL || g.steps == NULL)
        status = vecq_error_memory(call->err, n * sizeof *g.w);
    if (status == VECQ_OK) {
        g.r = g.w + s->directions * n_w;
        g.rh = g.r + s->directions * n_r;
        g.d = g.rh + s->directions * n_h;
        g.scratch = g.d + s->directions * rows * 4 * hidden;
        for (d = 0; d < s->directions; d++) {
            const real *rd = r + d * 3 * hidden * hidden;

            RNN(rnn_pack)(w + d * 3 * hidden * s->input, s->input, 1, 3 * hidden, s->input, g.w + d * n_w);
            RNN(rnn_pack)(rd, hidden, 1, 2 * hidden, hidden, g.r + d * n_r);
            RNN(rnn_pack)(rd + 2 * hidden * hidden, hidden, 1, hidden, hidden, g.rh + d * n_h);
        }
        status = RNN(gru_backward_run)(&g, call);
    }
    vecq_free(g.w);
    vecq_free((void *)g.steps);
    return status;
}
