/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LSTM and GRU on packed weights. What x gives to the gates is one product for all steps and directions; then
 * each step multiplies h with the recurrent matrix, a row for each sequence of the batch. Both are float
 * products on packed codes (kernels/dot), which with few sequences are limited by nothing but reading
 * weights; with many of them the float backend is faster, and gets the values delivered.
 *
 *     LSTM   i, o, f = s(...), g = tanh(...)  of  W x + R h + Wb + Rb;   c' = f c + i g,   h' = o tanh(c')
 *     GRU    z, r = s(W x + R h + Wb + Rb),   h' = (1 - z) t + z h,
 *            t = tanh(W x + Wb + r (R h + Rb)), or tanh(W x + Wb + R (r h) + Rb)
 */
#include <stdio.h>
#include <string.h>

#include "backend/lowbit/lowbit_private.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"
#include "kernels/gates/gates.h"
#include "vecq/cpu.h"

#define CHUNK     48u          /* rows of x that are multiplied at a time: they stay in the second cache */
#define PER_STEP  (512u << 10) /* products of a step that are worth dividing among threads */
#define READS_MAX 3u

typedef struct recurrent {
    int is_gru, is_linear;                                       /* GRU: linear_before_reset */
    size_t gates, steps, batch, input, hidden, directions, wide; /* wide: gates * hidden */
    int is_reverse[2];
    unsigned threads;
    vecq_lowbit_part w;          /* [directions * wide, input] */
    vecq_lowbit_part r[2], n[2]; /* of each direction; n: third gate of a GRU that is not linear */
    float *bias, *r_bias;        /* [directions][wide]; r_bias (GRU, linear) is that of R h alone */
    size_t scratch_floats;       /* of a direction */
    int read_at[READS_MAX], write_at[READS_MAX]; /* x, h0, c0; y, y_h, y_c: places, or -1 */
    const vecq_gates_kernels *kernels;
    /* during a run */
    const float *x, *h0, *c0;
    float *y, *y_h, *y_c;
    float *sums;     /* [steps][batch][directions][wide]: what goes into the gates */
    float *arranged; /* [CHUNK][w.ldx] */
    float *partial;  /* [CHUNK][directions * wide] */
    float *scratch;
    size_t row, rows; /* of x, at work */
} recurrent;

static void recurrent_destroy(void *state)
{
    recurrent *q = state;
    size_t d;

    vecq_lowbit_part_clear(&q->w);
    for (d = 0; d < 2; d++) {
        vecq_lowbit_part_clear(&q->r[d]);
        vecq_lowbit_part_clear(&q->n[d]);
    }
    vecq_free(q->bias);
    vecq_free(q->r_bias);
    vecq_free(q);
}

/* ---- what x gives to the gates ---- */

static vecq_status project_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const recurrent *q = context;
    size_t wide = q->directions * q->wide;

    (void)thread;
    (void)err;
    vecq_lowbit_part_times(&q->w, begin, end, q->arranged, q->rows, q->bias, 0, q->partial,
                           q->sums + q->row * wide, wide);
    return VECQ_OK;
}

static size_t grain_of(const vecq_lowbit_part *part, unsigned threads)
{
    return (vecq_dot_units(&part->weight) + 2u * threads - 1) / (2u * threads);
}

static vecq_status project(recurrent *q, vecq_error *err)
{
    size_t all = q->steps * q->batch, units = vecq_dot_units(&q->w.weight);

    for (q->row = 0; q->row < all; q->row += q->rows) {
        q->rows = all - q->row < CHUNK ? all - q->row : CHUNK;
        vecq_lowbit_part_arrange(&q->w, q->x + q->row * q->input, q->rows, q->arranged);
        if (q->threads > 1 && q->rows * q->w.weight.rows * q->input > PER_STEP)
            VECQ_TRY(
                vecq_parallel_for(units, grain_of(&q->w, q->threads), q->threads, project_range, q, err));
        else
            VECQ_TRY(project_range(q, 0, units, 0, err));
    }
    return VECQ_OK;
}

/* ---- steps ---- */

/* A product with h (or r h) of a direction, at work. */
typedef struct turn {
    const vecq_lowbit_part *part;
    size_t batch;
    const float *x; /* arranged */
    const float *bias;
    int is_added;
    float *partial, *y;
    size_t ldy;
} turn;

static vecq_status turn_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const turn *t = context;

    (void)thread;
    (void)err;
    vecq_lowbit_part_times(t->part, begin, end, t->x, t->batch, t->bias, t->is_added, t->partial, t->y,
                           t->ldy);
    return VECQ_OK;
}

/* Memory of a direction: h arranged, sums of a product, R h of a GRU, and h and c where they are not kept. */
typedef struct direction {
    size_t d;
    float *arranged, *partial, *rh, *h, *c;
    const float *h_old; /* [batch][hidden], or NULL: zeros */
    const float *c_old;
} direction;

static vecq_status multiply(const recurrent *q, const direction *s, const vecq_lowbit_part *part,
                            const float *h, const float *bias, float *y, size_t ldy, vecq_error *err)
{
    size_t units = vecq_dot_units(&part->weight);
    turn t = {part, q->batch, s->arranged, bias, bias == NULL, s->partial, y, ldy};

    vecq_lowbit_part_arrange(part, h, q->batch, s->arranged);
    if (q->threads > 1 && q->directions == 1 && part->weight.rows * part->weight.cols * q->batch > PER_STEP)
        return vecq_parallel_for(units, grain_of(part, q->threads), q->threads, turn_range, &t, err);
    return turn_range(&t, 0, units, 0, err);
}

static vecq_status lstm_step(const recurrent *q, const direction *s, float *gates, float *out,
                             vecq_error *err)
{
    size_t b, ld = q->directions * q->wide, h = q->hidden;

    if (s->h_old != NULL)
        VECQ_TRY(multiply(q, s, &q->r[s->d], s->h_old, NULL, gates, ld, err));
    for (b = 0; b < q->batch; b++)
        q->kernels->lstm(gates + b * ld, h, s->c_old != NULL ? s->c_old + b * h : NULL, s->c + b * h,
                         out + b * h);
    return VECQ_OK;
}

/* R h + Rb into rh, and its first two thirds to the gates z and r. */
static vecq_status gru_linear(const recurrent *q, const direction *s, float *gates, vecq_error *err)
{
    const float *bias = q->r_bias + s->d * q->wide;
    size_t b, j, ld = q->directions * q->wide;

    if (s->h_old != NULL)
        VECQ_TRY(multiply(q, s, &q->r[s->d], s->h_old, bias, s->rh, q->wide, err));
    for (b = 0; b < q->batch; b++) {
        float *rh = s->rh + b * q->wide;

        if (s->h_old == NULL)
            memcpy(rh, bias, q->wide * sizeof *rh);
        for (j = 0; j < 2 * q->hidden; j++)
            gates[b * ld + j] += rh[j];
    }
    return VECQ_OK;
}

static vecq_status gru_step(const recurrent *q, const direction *s, float *gates, float *out, vecq_error *err)
{
    size_t b, ld = q->directions * q->wide, h = q->hidden;

    if (q->is_linear)
        VECQ_TRY(gru_linear(q, s, gates, err));
    else if (s->h_old != NULL)
        VECQ_TRY(multiply(q, s, &q->r[s->d], s->h_old, NULL, gates, ld, err));
    for (b = 0; b < q->batch; b++) {
        q->kernels->sigmoid(gates + b * ld, 2 * h);
        if (!q->is_linear && s->h_old != NULL)
            q->kernels->multiply(gates + b * ld + h, s->h_old + b * h, h, s->rh + b * h);
    }
    if (!q->is_linear && s->h_old != NULL)
        VECQ_TRY(multiply(q, s, &q->n[s->d], s->rh, NULL, gates + 2 * h, ld, err));
    for (b = 0; b < q->batch; b++) {
        const float *z = gates + b * ld;

        q->kernels->gru(z, z + h, z + 2 * h, q->is_linear ? s->rh + b * q->wide + 2 * h : NULL, h,
                        s->h_old != NULL ? s->h_old + b * h : NULL, out + b * h);
    }
    return VECQ_OK;
}

static void keep_state(const recurrent *q, size_t d, const float *state, float *out)
{
    size_t n = q->batch * q->hidden;

    if (out != NULL)
        memcpy(out + d * n, state, n * sizeof *out);
}

static vecq_status direction_range(void *context, size_t begin, size_t end, unsigned thread, vecq_error *err)
{
    const recurrent *q = context;
    size_t d, step, n = q->batch * q->hidden;

    (void)thread;
    for (d = begin; d < end; d++) {
        direction s = {.d = d, .arranged = q->scratch + d * q->scratch_floats};

        s.partial = s.arranged + q->batch * q->r[d].ldx;
        s.rh = s.partial + q->batch * q->wide;
        s.h = s.rh + q->batch * q->wide;
        s.c = s.h + n;
        s.h_old = q->h0 != NULL ? q->h0 + d * n : NULL;
        s.c_old = q->c0 != NULL ? q->c0 + d * n : NULL;
        for (step = 0; step < q->steps; step++) {
            size_t t = q->is_reverse[d] ? q->steps - 1 - step : step;
            float *gates = q->sums + (t * q->batch * q->directions + d) * q->wide;
            float *out = q->y != NULL ? q->y + (t * q->directions + d) * n : s.h;

            VECQ_TRY((q->is_gru ? gru_step : lstm_step)(q, &s, gates, out, err));
            s.h_old = out;
            s.c_old = s.c;
        }
        keep_state(q, d, s.h_old, q->y_h);
        keep_state(q, d, s.c, q->y_c);
    }
    return VECQ_OK;
}

static vecq_status recurrent_run(void *state, const void *const *reads, void *const *writes,
                                 const vecq_run *run, vecq_error *err)
{
    recurrent *q = state;
    const float *read[READS_MAX];
    float *write[READS_MAX];
    size_t i;

    (void)run;
    for (i = 0; i < READS_MAX; i++) {
        read[i] = q->read_at[i] >= 0 ? reads[q->read_at[i]] : NULL;
        write[i] = q->write_at[i] >= 0 ? writes[q->write_at[i]] : NULL;
    }
    q->x = read[0];
    q->h0 = read[1];
    q->c0 = read[2];
    q->y = write[0];
    q->y_h = write[1];
    q->y_c = write[2];
    q->sums = writes[0];
    q->arranged = writes[1];
    q->partial = writes[2];
    q->scratch = writes[3];
    VECQ_TRY(project(q, err));
    if (q->directions > 1 && q->threads > 1)
        return vecq_parallel_for(q->directions, 1, q->threads, direction_range, q, err);
    return direction_range(q, 0, q->directions, 0, err);
}

/* ---- whether ---- */

/* What is read of LSTM and GRU ops alike. */
typedef struct shape {
    size_t gates, n_states, rows, steps, batch, input, hidden;
    vecq_lstm_direction direction;
    int is_linear;
    vecq_lowbit_weight w, r;
} shape;

static int is_seen(const vecq_var *var)
{
    return var->n_uses > 0 || var->is_output;
}

static int read_shape(const vecq_op *op, shape *s)
{
    int is_gru = op->kind == VECQ_OP_GRU;
    const vecq_gru_params *gru = op->params;
    const vecq_lstm_params *lstm = op->params;
    const vecq_var *x = op->inputs[0];

    if ((!is_gru && op->kind != VECQ_OP_LSTM) || x->dtype != VECQ_DT_FLOAT || x->count == 0)
        return 0;
    s->gates = is_gru ? 3 : 4;
    s->n_states = is_gru ? 1 : 2;
    s->direction = is_gru ? gru->direction : lstm->direction;
    s->hidden = (size_t)(is_gru ? gru->hidden : lstm->hidden);
    s->is_linear = is_gru && gru->linear_before_reset;
    s->steps = (size_t)x->dims[0];
    s->batch = (size_t)x->dims[1];
    s->input = (size_t)x->dims[2];
    s->rows = (s->direction == VECQ_LSTM_BOTH ? 2 : 1) * s->gates * s->hidden;
    return vecq_lowbit_matrix(op->inputs[1], 0, s->rows, &s->w) && vecq_lowbit_is_constant(s->w.decode) &&
           vecq_lowbit_matrix(op->inputs[2], 0, s->rows, &s->r) && vecq_lowbit_is_constant(s->r.decode) &&
           !is_seen(op->outputs[1 + s->n_states]); /* the workspace */
}

static const vecq_var *input_of(const vecq_op *op, size_t i)
{
    return i < op->n_inputs ? op->inputs[i] : NULL;
}

/*
 * Products per nanosecond of kernels/dot, by bits, with one x and with many; each sum of a group of columns
 * takes a nanosecond more (bench/RESULTS.md, "Recurrent layers"). Measured with AVX-512; a processor with
 * narrower vectors is slower on both sides.
 */
static const float rate_one[9] = {0, 62, 60, 40, 55, 34, 25, 21, 29};
static const float rate_many[9] = {0, 91, 96, 73, 98, 69, 56, 49, 78};

static float dot_time(const vecq_lowbit_weight *weight, size_t times, size_t batch)
{
    int is_plain = vecq_dot_kernels_active() == vecq_dot_kernels_at(VECQ_CPU_REF);
    float rate = (batch == 1 ? rate_one : rate_many)[weight->layout->bits];
    size_t groups, group, padded;

    vecq_lowbit_part_groups(weight, &groups, &group);
    padded = groups * vecq_lowbit_whole(group);
    if (is_plain)
        rate = 1;
    if (weight->layout->is_table && weight->layout->bits > 5)
        rate *= 0.5f; /* several permutations a table */
    return (float)times * (float)weight->rows * ((float)padded / rate + (float)groups);
}

/*
 * The float backend's LSTM: one product with W, one with R in each step; with few x no faster than weights
 * are read from where they stay between steps. One or two sequences are taken one by one there. There is no
 * GRU but ref's.
 */
#define FLOAT_RATE     115.0f /* products per nanosecond */
#define FLOAT_RATE_REF 3.0f
#define FLOAT_STEP     50.0f
#define FLOAT_ALONE    2u
#define DECODE_TIME    1.5f /* of a weight, in every run when memory is preferred: values, and their order */
#define DECODE_STEPS   3000.0f /* and of the steps that do it */

/* Bytes per nanosecond, of floats. */
static float read_rate(float bytes)
{
    return bytes < 0.6e6f ? 160.0f : bytes < 2e6f ? 98.0f : 75.0f;
}

/* Products of n weights with `times` x. */
static float float_product(float n, size_t times)
{
    float bytes = n * (float)sizeof(float), read = bytes / read_rate(bytes);
    float multiply = n * (float)times / FLOAT_RATE;

    return multiply > read ? multiply : read;
}

static float float_time(const vecq_lowbit *e, const shape *s, int is_gru)
{
    float w = (float)s->rows * (float)s->input, r = (float)s->rows * (float)s->hidden;
    float decode = e->prefer_memory ? DECODE_STEPS + DECODE_TIME * (w + r) : 0;
    float step = s->batch <= FLOAT_ALONE ? (float)s->batch * float_product(r, 1) : float_product(r, s->batch);

    if (is_gru)
        return decode + (w + r) * (float)(s->steps * s->batch) / FLOAT_RATE_REF;
    return decode + float_product(w, s->steps * s->batch) + (float)s->steps * (FLOAT_STEP + step);
}

#define MARGIN 0.9f /* an estimate that is not better than this decides nothing */

void vecq_lowbit_choose_recurrent(const vecq_lowbit *e, const vecq_op *op, vecq_lowbit_memo *memo)
{
    const vecq_var *bias;
    size_t groups, group, rows;
    float cost;
    shape s;

    if (!read_shape(op, &s) || !vecq_lowbit_part_groups(&s.w, &groups, &group) ||
        !vecq_lowbit_part_groups(&s.r, &groups, &group))
        return;
    bias = input_of(op, 3);
    if (bias != NULL && bias->kind != VECQ_VAR_CONSTANT && vecq_packed_source(bias) == NULL)
        return;
    rows = s.steps * s.batch;
    cost = (dot_time(&s.w, rows, rows) + dot_time(&s.r, rows, s.batch)) /
           float_time(e, &s, op->kind == VECQ_OP_GRU);
    if (cost < MARGIN)
        memo->recurrent_cost = cost;
}

/* ---- planning ---- */

static vecq_status give_reason(const vecq_lowbit *e, vecq_planner *planner, const vecq_op *op,
                               vecq_error *err)
{
    char reason[64];

    snprintf(reason, sizeof reason, "estimated at %.2f of the time with floats",
             (double)vecq_lowbit_memo_of(e, op)->recurrent_cost);
    return vecq_planner_reason(planner, reason, err);
}

static vecq_status fill_weights(const vecq_lowbit *e, const shape *s, recurrent *q, vecq_error *err)
{
    size_t most = s->w.cols > s->r.cols ? s->w.cols : s->r.cols, d, split;
    uint8_t *codes = vecq_alloc(s->rows * most, 1);
    vecq_status status;

    if (codes == NULL)
        return vecq_error_memory(err, s->rows * most);
    vecq_lowbit_codes(s->w.decode, codes);
    status = vecq_lowbit_part_make(e, &s->w, codes, 0, s->rows, &q->w, err);
    vecq_lowbit_codes(s->r.decode, codes);
    split = q->is_gru && !q->is_linear ? 2 * q->hidden : q->wide;
    for (d = 0; d < q->directions && status == VECQ_OK; d++) {
        status = vecq_lowbit_part_make(e, &s->r, codes, d * q->wide, split, &q->r[d], err);
        if (status == VECQ_OK && split < q->wide)
            status = vecq_lowbit_part_make(e, &s->r, codes, d * q->wide + split, q->hidden, &q->n[d], err);
    }
    vecq_free(codes);
    return status;
}

/* B is [directions][Wb, Rb]. */
static vecq_status fill_bias(const vecq_var *var, recurrent *q, vecq_error *err)
{
    size_t n = q->directions * q->wide, d, j;
    float *both = vecq_calloc(2 * n, sizeof *both);
    vecq_status status = VECQ_OK;
    int known = 1;

    q->bias = vecq_alloc(n, sizeof *q->bias);
    q->r_bias = vecq_alloc(n, sizeof *q->r_bias);
    if (both == NULL || q->bias == NULL || q->r_bias == NULL)
        status = vecq_error_memory(err, 2 * n * sizeof *both);
    else if (var != NULL)
        status = vecq_lowbit_vector(var, 2 * n, both, &known, err);
    if (status == VECQ_OK && !known)
        status = vecq_error_set(err, VECQ_ERR_FORMAT, "biases that do not fit");
    for (d = 0; d < q->directions && status == VECQ_OK; d++)
        for (j = 0; j < q->wide; j++) {
            float r = both[(2 * d + 1) * q->wide + j];

            q->bias[d * q->wide + j] = both[2 * d * q->wide + j] + (q->is_linear ? 0.0f : r);
            q->r_bias[d * q->wide + j] = r;
        }
    vecq_free(both);
    return status;
}

static vecq_status recurrent_fill(const vecq_lowbit *e, const vecq_op *op, recurrent *q, vecq_error *err)
{
    shape s;

    read_shape(op, &s);
    q->kernels = vecq_gates_kernels_active();
    q->is_gru = op->kind == VECQ_OP_GRU;
    q->is_linear = s.is_linear;
    q->gates = s.gates;
    q->steps = s.steps;
    q->batch = s.batch;
    q->input = s.input;
    q->hidden = s.hidden;
    q->directions = s.direction == VECQ_LSTM_BOTH ? 2 : 1;
    q->wide = s.gates * s.hidden;
    q->is_reverse[0] = s.direction == VECQ_LSTM_REVERSE;
    q->is_reverse[1] = 1;
    q->threads = e->threads;
    VECQ_TRY(fill_weights(e, &s, q, err));
    q->scratch_floats = q->batch * (q->r[0].ldx + 2 * q->wide + 2 * q->hidden);
    return fill_bias(input_of(op, 3), q, err);
}

/* writes: the sums of all gates, x arranged, partial sums, memory of the directions, y and the states. */
static vecq_status recurrent_slots(vecq_planner *planner, const vecq_op *op, recurrent *q, vecq_slot *reads,
                                   size_t *n_reads, vecq_slot *writes, size_t *n_writes, vecq_error *err)
{
    static const size_t from[READS_MAX] = {0, 4, 5};
    size_t n_states = q->is_gru ? 1 : 2, wide = q->directions * q->wide, i;
    const size_t floats[4] = {q->steps * q->batch * wide, CHUNK * q->w.ldx, CHUNK * wide,
                              q->directions * q->scratch_floats};

    for (i = 0; i < 4; i++)
        VECQ_TRY(vecq_planner_scratch(planner, floats[i] * sizeof(float), &writes[(*n_writes)++], err));
    for (i = 0; i < READS_MAX; i++) {
        const vecq_var *in = i <= n_states ? input_of(op, from[i]) : NULL;

        q->read_at[i] = q->write_at[i] = -1;
        if (in != NULL) {
            q->read_at[i] = (int)*n_reads;
            VECQ_TRY(vecq_planner_input(planner, in, NULL, NULL, &reads[(*n_reads)++], err));
        }
        if (i <= n_states && is_seen(op->outputs[i])) {
            q->write_at[i] = (int)*n_writes;
            VECQ_TRY(
                vecq_planner_output(planner, op->outputs[i], NULL, NULL, 0, &writes[(*n_writes)++], err));
        }
    }
    return VECQ_OK;
}

vecq_status vecq_lowbit_plan_recurrent(vecq_lowbit *e, vecq_planner *planner, const vecq_op *op, int *taken,
                                       vecq_error *err)
{
    vecq_slot reads[READS_MAX], writes[4 + READS_MAX];
    size_t n_reads = 0, n_writes = 0;
    vecq_status status;
    char detail[64];
    recurrent *q;

    if (vecq_lowbit_memo_of(e, op)->recurrent_cost <= 0)
        return VECQ_OK;
    *taken = 1;
    q = vecq_calloc(1, sizeof *q);
    if (q == NULL)
        return vecq_error_memory(err, sizeof *q);
    status = recurrent_fill(e, op, q, err);
    if (status == VECQ_OK)
        status = recurrent_slots(planner, op, q, reads, &n_reads, writes, &n_writes, err);
    if (status != VECQ_OK) {
        recurrent_destroy(q);
        return status;
    }
    snprintf(detail, sizeof detail, "%u and %u bits x float, %s", q->w.weight.bits, q->r[0].weight.bits,
             q->w.kernels->name);
    VECQ_TRY(vecq_planner_step(planner, op, &vecq_backend_lowbit, detail, recurrent_run, q, recurrent_destroy,
                               reads, n_reads, writes, n_writes, err));
    return give_reason(e, planner, op, err);
}
