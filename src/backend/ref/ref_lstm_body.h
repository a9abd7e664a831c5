/* SPDX-License-Identifier: Apache-2.0 */
/* Body of ref_lstm.c, included once for each type: `real`, RNN(name). */

/* ---- forward ---- */

typedef struct RNN(lstm_run) {
    rnn_sizes s;
    const real *x, *h0, *c0;
    real *y, *y_h, *y_c;
    real *gates, *cells; /* of the workspace, or NULL */
    real *w, *r;         /* W^T, R^T packed: [D] */
    real *bias;          /* [D][4H] */
    real *scratch;       /* [threads][block * 7H]: gates, two cells, h where they are not kept */
} RNN(lstm_run);

/* Gates to cell and h of n rows; c_old NULL: zero. */
static void RNN(lstm_cell)(size_t n, size_t hidden, real *gates, const real *c_old, real *c, real *h)
{
    size_t row, j;

    for (row = 0; row < n; row++) {
        real *restrict i = gates + row * 4 * hidden, *restrict o = i + hidden, *restrict f = o + hidden,
                       *restrict g = f + hidden;
        real *restrict cell = c + row * hidden, *restrict out = h + row * hidden;
        const real *restrict old = c_old != NULL ? c_old + row * hidden : NULL;

        for (j = 0; j < 3 * hidden; j++)
            i[j] = RNN(rnn_sigmoid)(i[j]);
        for (j = 0; j < hidden; j++)
            g[j] = RNN(rnn_tanh)(g[j]);
        if (old == NULL)
            for (j = 0; j < hidden; j++)
                cell[j] = i[j] * g[j];
        else
            for (j = 0; j < hidden; j++)
                cell[j] = f[j] * old[j] + i[j] * g[j];
        for (j = 0; j < hidden; j++)
            out[j] = o[j] * RNN(rnn_tanh)(cell[j]);
    }
}

/* All steps of a block of the batch in one direction. */
static void RNN(lstm_task)(const RNN(lstm_run) * q, size_t d, size_t begin, size_t n, real *scratch)
{
    const rnn_sizes *s = &q->s;
    size_t hidden = s->hidden, wide = 4 * hidden, step, row;
    size_t start = (d * s->batch + begin) * hidden;
    const real *h = q->h0 != NULL ? q->h0 + start : NULL, *c = q->c0 != NULL ? q->c0 + start : NULL;
    const real *w = q->w + d * rnn_packed(s->input, wide), *r = q->r + d * rnn_packed(hidden, wide);

    for (step = 0; step < s->steps; step++) {
        size_t t = rnn_step_at(s, d, step), place = (d * s->steps + t) * s->batch + begin;
        real *gates = q->gates != NULL ? q->gates + place * wide : scratch;
        real *cell =
            q->cells != NULL ? q->cells + place * hidden : scratch + s->block * (wide + step % 2 * hidden);
        real *out = q->y != NULL ? q->y + ((t * s->directions + d) * s->batch + begin) * hidden
                                 : scratch + s->block * (wide + 2 * hidden);

        for (row = 0; row < n; row++)
            memcpy(gates + row * wide, q->bias + d * wide, wide * sizeof *gates);
        RNN(rnn_multiply)
        (n, wide, s->input, q->x + (t * s->batch + begin) * s->input, s->input, 1, w, gates, wide);
        if (h != NULL)
            RNN(rnn_multiply)(n, wide, hidden, h, hidden, 1, r, gates, wide);
        RNN(lstm_cell)(n, hidden, gates, c, cell, out);
        h = out;
        c = cell;
    }
    for (row = 0; row < n * hidden; row++) {
        if (q->y_h != NULL)
            q->y_h[start + row] = h != NULL ? h[row] : 0;
        if (q->y_c != NULL)
            q->y_c[start + row] = c != NULL ? c[row] : 0;
    }
}

static vecq_status RNN(lstm_range)(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const RNN(lstm_run) *q = context;
    real *scratch = q->scratch + thread * q->s.block * 7 * q->s.hidden;

    (void)err;
    for (; begin < end; begin++) {
        size_t first = begin % q->s.blocks * q->s.block, left = q->s.batch - first;

        RNN(lstm_task)(q, begin / q->s.blocks, first, left < q->s.block ? left : q->s.block, scratch);
    }
    return VECQ_OK;
}

static vecq_status RNN(lstm_forward)(const vecq_ref_call *call)
{
    RNN(lstm_run)
    q = {.s = lstm_sizes_of(call),
         .x = call->in[0],
         .y = call->out[0],
         .y_h = call->out[1],
         .y_c = call->out[2]};
    const real *w = call->in[1], *r = call->in[2], *b = call->op->n_inputs > 3 ? call->in[3] : NULL;
    size_t hidden = q.s.hidden, wide = 4 * hidden, n_w = rnn_packed(q.s.input, wide),
           n_r = rnn_packed(hidden, wide), n, d, j;
    vecq_status status;

    q.h0 = call->op->n_inputs > 4 ? call->in[4] : NULL;
    q.c0 = call->op->n_inputs > 5 ? call->in[5] : NULL;
    if (call->out[3] != NULL) {
        q.gates = call->out[3];
        q.cells = q.gates + q.s.directions * q.s.steps * q.s.batch * wide;
    }
    n = q.s.directions * (n_w + n_r + wide) + q.s.threads * q.s.block * 7 * hidden;
    q.w = vecq_alloc(n, sizeof *q.w);
    if (q.w == NULL)
        return vecq_error_memory(call->err, n * sizeof *q.w);
    q.r = q.w + q.s.directions * n_w;
    q.bias = q.r + q.s.directions * n_r;
    q.scratch = q.bias + q.s.directions * wide;
    for (d = 0; d < q.s.directions; d++) {
        RNN(rnn_pack)(w + d * wide * q.s.input, 1, q.s.input, q.s.input, wide, q.w + d * n_w);
        RNN(rnn_pack)(r + d * wide * hidden, 1, hidden, hidden, wide, q.r + d * n_r);
        for (j = 0; j < wide; j++)
            q.bias[d * wide + j] = b != NULL ? b[d * 2 * wide + j] + b[d * 2 * wide + wide + j] : 0;
    }
    status = vecq_parallel_for(q.s.directions * q.s.blocks, 1, q.s.threads, RNN(lstm_range), &q, call->err);
    vecq_free(q.w);
    return status;
}

/* ---- backward ---- */

typedef struct RNN(lstm_back) {
    rnn_sizes s;
    const real *c0, *gates, *cells, *dy, *dy_h, *dy_c;
    real *dx, *dh0, *dc0;
    real *w, *r;        /* W, R packed: [D] */
    real *d;            /* gradients before the gate functions: [D][T][B][4H] */
    real *scratch;      /* [threads][block * 2H]: dh, dc */
    const real **steps; /* [2D][T]: x and the h before each step */
    RNN(rnn_outer) outer[4];
} RNN(lstm_back);

/* dh, dc of one step to dc of the step before and the gradients of the gates, before their functions. */
static void RNN(lstm_cell_back)(size_t n, size_t hidden, const real *gates, const real *cells,
                                const real *c_old, const real *dh, real *dc, real *d)
{
    size_t row, j;

    for (row = 0; row < n; row++) {
        const real *i = gates + row * 4 * hidden, *o = i + hidden, *f = o + hidden, *g = f + hidden;
        const real *c = cells + row * hidden, *above = dh + row * hidden;
        real *restrict di = d + row * 4 * hidden, *restrict dco = dc + row * hidden;

        for (j = 0; j < hidden; j++) {
            real th = RNN(rnn_tanh)(c[j]), old = c_old != NULL ? c_old[row * hidden + j] : 0;
            real dcell = dco[j] + above[j] * o[j] * (1 - th * th);

            di[j] = dcell * g[j] * i[j] * (1 - i[j]);
            di[hidden + j] = above[j] * th * o[j] * (1 - o[j]);
            di[2 * hidden + j] = dcell * old * f[j] * (1 - f[j]);
            di[3 * hidden + j] = dcell * i[j] * (1 - g[j] * g[j]);
            dco[j] = dcell * f[j];
        }
    }
}

static void RNN(lstm_back_task)(const RNN(lstm_back) * q, size_t d, size_t begin, size_t n, real *scratch)
{
    const rnn_sizes *s = &q->s;
    size_t hidden = s->hidden, wide = 4 * hidden, size = n * hidden, step, j;
    size_t start = (d * s->batch + begin) * hidden;
    real *dh = scratch, *dc = scratch + s->block * hidden;
    const real *r = q->r + d * rnn_packed(wide, hidden);

    for (j = 0; j < size; j++) {
        dh[j] = q->dy_h != NULL ? q->dy_h[start + j] : 0;
        dc[j] = q->dy_c != NULL ? q->dy_c[start + j] : 0;
    }
    for (step = s->steps; step-- > 0;) {
        size_t t = rnn_step_at(s, d, step), place = (d * s->steps + t) * s->batch + begin;
        const real *c_old = q->c0 != NULL ? q->c0 + start : NULL;

        if (step > 0)
            c_old = q->cells + ((d * s->steps + rnn_step_at(s, d, step - 1)) * s->batch + begin) * hidden;
        if (q->dy != NULL) {
            const real *dy = q->dy + ((t * s->directions + d) * s->batch + begin) * hidden;
            for (j = 0; j < size; j++)
                dh[j] += dy[j];
        }
        RNN(lstm_cell_back)
        (n, hidden, q->gates + place * wide, q->cells + place * hidden, c_old, dh, dc, q->d + place * wide);
        memset(dh, 0, size * sizeof *dh);
        RNN(rnn_multiply)(n, hidden, wide, q->d + place * wide, wide, 1, r, dh, hidden);
    }
    if (q->dh0 != NULL)
        memcpy(q->dh0 + start, dh, size * sizeof *dh);
    if (q->dc0 != NULL)
        memcpy(q->dc0 + start, dc, size * sizeof *dc);
}

static vecq_status RNN(lstm_back_range)(void *context, size_t begin, size_t end, unsigned thread,
                                        vecq_error *err)
{
    const RNN(lstm_back) *q = context;
    real *scratch = q->scratch + thread * q->s.block * 2 * q->s.hidden;

    (void)err;
    for (; begin < end; begin++) {
        size_t first = begin % q->s.blocks * q->s.block, left = q->s.batch - first;

        RNN(lstm_back_task)(q, begin / q->s.blocks, first, left < q->s.block ? left : q->s.block, scratch);
    }
    return VECQ_OK;
}

/* dx of rows [begin, end) of steps x batch: the directions one after the other. */
static vecq_status RNN(lstm_dx_range)(void *context, size_t begin, size_t end, unsigned thread,
                                      vecq_error *err)
{
    const RNN(lstm_back) *q = context;
    size_t input = q->s.input, wide = 4 * q->s.hidden, rows = q->s.steps * q->s.batch, d;

    (void)thread;
    (void)err;
    memset(q->dx + begin * input, 0, (end - begin) * input * sizeof *q->dx);
    for (d = 0; d < q->s.directions; d++)
        RNN(rnn_multiply)
    (end - begin, input, wide, q->d + (d * rows + begin) * wide, wide, 1, q->w + d * rnn_packed(wide, input),
     q->dx + begin * input, input);
    return VECQ_OK;
}

/* Tasks of all the weights' gradients one after the other. */
static vecq_status RNN(lstm_dw_range)(void *context, size_t begin, size_t end, unsigned thread,
                                      vecq_error *err)
{
    const RNN(lstm_back) *q = context;

    (void)thread;
    (void)err;
    for (; begin < end; begin++) {
        size_t task = begin, k = 0;

        while (task >= RNN(rnn_outer_tasks)(&q->outer[k]))
            task -= RNN(rnn_outer_tasks)(&q->outer[k++]);
        RNN(rnn_outer_task)(&q->outer[k], task);
    }
    return VECQ_OK;
}

static vecq_status RNN(lstm_weight_gradients)(RNN(lstm_back) * q, const vecq_ref_call *call)
{
    const rnn_sizes *s = &q->s;
    const real *x = call->in[0], *h0 = call->in[4], *y = call->in[6];
    real *dw = call->out[1], *dr = call->out[2], *db = call->out[3];
    size_t hidden = s->hidden, wide = 4 * hidden, rows = s->steps * s->batch, tasks = 0, n = 0, d, step;

    for (d = 0; d < s->directions; d++) {
        const real **xs = q->steps + 2 * d * s->steps, **hs = xs + s->steps;
        const real *gradient = q->d + d * rows * wide;

        for (step = 0; step < s->steps; step++) {
            size_t t = rnn_step_at(s, d, step);

            xs[t] = x + t * s->batch * s->input;
            hs[t] = h0 != NULL ? h0 + d * s->batch * hidden : NULL;
            if (step > 0)
                hs[t] = y + (rnn_step_at(s, d, step - 1) * s->directions + d) * s->batch * hidden;
        }
        if (dw != NULL)
            q->outer[n++] = (RNN(rnn_outer)){wide, s->input, s->steps, s->batch, gradient,
                                             wide, 0,        xs,       s->input, dw + d * wide * s->input};
        if (dr != NULL)
            q->outer[n++] = (RNN(rnn_outer)){wide, hidden, s->steps, s->batch, gradient,
                                             wide, 0,      hs,       hidden,   dr + d * wide * hidden};
        if (db != NULL) { /* both halves of the bias are added to the same sums */
            RNN(rnn_sum_rows)(gradient, rows, wide, wide, db + d * 2 * wide);
            memcpy(db + d * 2 * wide + wide, db + d * 2 * wide, wide * sizeof *db);
        }
    }
    while (n-- > 0)
        tasks += RNN(rnn_outer_tasks)(&q->outer[n]);
    return vecq_parallel_for(tasks, 1, s->threads, RNN(lstm_dw_range), q, call->err);
}

static vecq_status RNN(lstm_backward_run)(RNN(lstm_back) * q, const vecq_ref_call *call)
{
    const rnn_sizes *s = &q->s;

    VECQ_TRY(vecq_parallel_for(s->directions * s->blocks, 1, s->threads, RNN(lstm_back_range), q, call->err));
    if (q->dx != NULL)
        VECQ_TRY(vecq_parallel_for(s->steps * s->batch, 64, s->threads, RNN(lstm_dx_range), q, call->err));
    return RNN(lstm_weight_gradients)(q, call);
}

static vecq_status RNN(lstm_backward)(const vecq_ref_call *call)
{
    RNN(lstm_back)
    q = {.s = lstm_sizes_of(call),
         .c0 = call->in[5],
         .gates = call->in[9],
         .dy = call->in[10],
         .dy_h = call->in[11],
         .dy_c = call->in[12],
         .dx = call->out[0],
         .dh0 = call->out[4],
         .dc0 = call->out[5]};
    const real *w = call->in[1], *r = call->in[2];
    size_t hidden = q.s.hidden, wide = 4 * hidden, rows = q.s.steps * q.s.batch,
           n_w = rnn_packed(wide, q.s.input), n_r = rnn_packed(wide, hidden), n, d;
    vecq_status status = VECQ_OK;

    q.cells = q.gates + q.s.directions * rows * wide;
    n = q.s.directions * (n_w + n_r + rows * wide) + q.s.threads * q.s.block * 2 * hidden;
    q.w = vecq_alloc(n, sizeof *q.w);
    q.steps = vecq_alloc(2 * q.s.directions * q.s.steps, sizeof *q.steps);
    if (q.w == NULL || q.steps == NULL)
        status = vecq_error_memory(call->err, n * sizeof *q.w);
    if (status == VECQ_OK) {
        q.r = q.w + q.s.directions * n_w;
        q.d = q.r + q.s.directions * n_r;
        q.scratch = q.d + q.s.directions * rows * wide;
        for (d = 0; d < q.s.directions; d++) {
            RNN(rnn_pack)(w + d * wide * q.s.input, q.s.input, 1, wide, q.s.input, q.w + d * n_w);
            RNN(rnn_pack)(r + d * wide * hidden, hidden, 1, wide, hidden, q.r + d * n_r);
        }
        status = RNN(lstm_backward_run)(&q, call);
    }
    vecq_free(q.w);
    vecq_free((void *)q.steps);
    return status;
}
