/* SPDX-License-Identifier: Apache-2.0 */
/* Body of ref_recurrent.c, included once for each type: `real`, CELL(name). One sequence at a time. */

/* out[j] = w[j] . x, j < rows, each `n` long. */
static void CELL(product)(const real *w, const real *x, size_t rows, size_t n, double *out)
{
    size_t i, j;

    for (j = 0; j < rows; j++) {
        double sum = 0;

        for (i = 0; i < n; i++)
            sum += (double)w[j * n + i] * (double)x[i];
        out[j] = sum;
    }
}

/* i, o, f, c: gate = W x + R h + Wb + Rb, with P c (the new c for o). */
static void CELL(lstm_step)(const cell *q, const double *in, const double *back, const double *bias,
                            const real *p, real *h, real *c)
{
    const vecq_cell_activation *f = q->activations;
    size_t n = q->hidden, j;

    for (j = 0; j < n; j++) {
        const double old = (double)c[j];
        double i_gate = in[j] + back[j] + bias[j] + (p != NULL ? (double)p[j] * old : 0);
        double f_gate =
            in[2 * n + j] + back[2 * n + j] + bias[2 * n + j] + (p != NULL ? (double)p[2 * n + j] * old : 0);
        double g = activate(&f[1], clip(q, in[3 * n + j] + back[3 * n + j] + bias[3 * n + j])), o_gate, made;

        i_gate = activate(&f[0], clip(q, i_gate));
        f_gate = q->params->input_forget ? 1 - i_gate : activate(&f[0], clip(q, f_gate));
        made = f_gate * old + i_gate * g;
        o_gate = in[n + j] + back[n + j] + bias[n + j] + (p != NULL ? (double)p[n + j] * made : 0);
        c[j] = (real)made;
        h[j] = (real)(activate(&f[0], clip(q, o_gate)) * activate(&f[2], made));
    }
}

/* z, r, h: h' = (1 - z) g + z h, where the reset gate r multiplies h, or what comes of it. */
static void CELL(gru_step)(const cell *q, const real *r_weights, const double *in, double *back,
                           const double *bias, const double *back_bias, real *h, real *reset)
{
    const vecq_cell_activation *f = q->activations;
    size_t n = q->hidden, j;

    for (j = 0; j < 2 * n; j++) /* in place of the sums: the gates */
        back[j] = activate(&f[0], clip(q, in[j] + back[j] + bias[j]));
    if (!q->params->linear_before_reset) {
        for (j = 0; j < n; j++)
            reset[j] = (real)(back[n + j] * (double)h[j]);
        CELL(product)(r_weights + 2 * n * n, reset, n, n, back + 2 * n);
    }
    for (j = 0; j < n; j++) {
        double g = in[2 * n + j] + bias[2 * n + j] + back[2 * n + j];

        if (q->params->linear_before_reset)
            g = in[2 * n + j] + (bias[2 * n + j] - back_bias[2 * n + j]) +
                back[n + j] * (back[2 * n + j] + back_bias[2 * n + j]);
        g = activate(&f[1], clip(q, g));
        h[j] = (real)((1 - back[j]) * g + back[j] * (double)h[j]);
    }
}

static void CELL(rnn_step)(const cell *q, const double *in, const double *back, const double *bias, real *h)
{
    size_t j;

    for (j = 0; j < q->hidden; j++)
        h[j] = (real)activate(&q->activations[0], clip(q, in[j] + back[j] + bias[j]));
}

/* The steps of one sequence in one direction; `work` has 4 rows of gates. */
static void CELL(sequence)(const cell *q, size_t direction, size_t item, double *work, real *state)
{
    const size_t n = q->hidden, gates = q->gates, at = direction * q->batch + item;
    const real *w = (const real *)q->w + direction * gates * q->input,
               *r = (const real *)q->r + direction * gates * n;
    const real *b = q->b == NULL ? NULL : (const real *)q->b + direction * 2 * gates;
    const real *p = q->p == NULL ? NULL : (const real *)q->p + direction * 3 * n;
    double *in = work, *back = work + gates, *bias = work + 2 * gates, *back_bias = work + 3 * gates;
    real *h = state, *c = state + n;
    size_t length = q->lengths != NULL ? (size_t)q->lengths[item] : q->steps, t, i;

    for (i = 0; i < gates; i++) {
        back_bias[i] = b != NULL ? (double)b[gates + i] : 0;
        bias[i] = (b != NULL ? (double)b[i] : 0) + back_bias[i];
    }
    for (i = 0; i < n; i++) {
        h[i] = q->h0 != NULL ? ((const real *)q->h0)[at * n + i] : 0;
        c[i] = q->c0 != NULL ? ((const real *)q->c0)[at * n + i] : 0;
    }
    for (t = 0; t < q->steps; t++) {
        const size_t step = q->is_reverse && t < length ? length - 1 - t : t;
        real *y =
            q->y == NULL ? NULL : (real *)q->y + ((step * q->directions + direction) * q->batch + item) * n;

        if (t >= length) {
            for (i = 0; i < n && y != NULL; i++)
                y[i] = 0;
            continue;
        }
        CELL(product)(w, (const real *)q->x + (step * q->batch + item) * q->input, gates, q->input, in);
        CELL(product)(r, h, gates, n, back);
        if (q->params->kind == VECQ_CELL_LSTM)
            CELL(lstm_step)(q, in, back, bias, p, h, c);
        else if (q->params->kind == VECQ_CELL_GRU)
            CELL(gru_step)(q, r, in, back, bias, back_bias, h, c);
        else
            CELL(rnn_step)(q, in, back, bias, h);
        if (y != NULL)
            memcpy(y, h, n * sizeof *y);
    }
    if (q->y_h != NULL)
        memcpy((real *)q->y_h + at * n, h, n * sizeof *h);
    if (q->y_c != NULL)
        memcpy((real *)q->y_c + at * n, c, n * sizeof *c);
}

static vecq_status CELL(range)(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const cell *all = context;
    double *work = vecq_alloc(4 * all->gates, sizeof *work);
    real *state = vecq_alloc(2 * all->hidden, sizeof *state);
    vecq_status status = VECQ_OK;

    (void)thread;
    if (work == NULL || state == NULL)
        status = vecq_error_memory(err, 4 * all->gates * sizeof *work);
    for (; status == VECQ_OK && begin < end; begin++) {
        cell q = *all;
        const size_t direction = begin / q.batch;

        q.activations = q.params->activations[direction];
        q.is_reverse = q.params->direction == VECQ_LSTM_REVERSE || direction == 1;
        CELL(sequence)(&q, direction, begin % q.batch, work, state);
    }
    vecq_free(work);
    vecq_free(state);
    return status;
}
