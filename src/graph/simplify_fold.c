/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes into weights, biases and paddings. Everything that follows a linear op channel by channel is
 * y' = a y + b, so weights of channel c are multiplied by a[c], and the bias becomes a[c] bias[c] + b[c].
 */
#include <math.h>
#include <string.h>

#include "base/status.h"
#include "graph/simplify_private.h"

/* ---- y' = a y + b ---- */

typedef struct affine {
    size_t n;      /* channels */
    double *a;     /* [n] */
    double *b;     /* [n] */
    int scales;    /* some a is not 1 */
    int shifts;    /* some b is not 0 */
    unsigned axis; /* of the channels, in what the op reads */
} affine;

/* Whether the constant has one number for each channel of x (or one for all), and nothing else. */
static int is_per_channel(const vecq_var *c, const vecq_var *x, unsigned axis)
{
    unsigned i, lead = x->rank - c->rank;

    if (c->kind != VECQ_VAR_CONSTANT || !vecq_var_is_float(c) || c->rank > x->rank || c->count == 0)
        return 0;
    for (i = 0; i < c->rank; i++)
        if (c->dims[i] != 1 && (lead + i != axis || c->dims[i] != x->dims[axis]))
            return 0;
    return 1;
}

static double channel_value(const vecq_var *c, size_t i)
{
    return vecq_simplify_element(c, c->count == 1 ? 0 : i);
}

/* scale (x - mean) / sqrt(variance + epsilon) + bias */
static int affine_of_norm(const vecq_op *op, affine *f)
{
    const vecq_norm_params *p = op->params;
    size_t i;

    if (f->axis != 1)
        return 0;
    for (i = 1; i < 5; i++)
        if (op->inputs[i]->kind != VECQ_VAR_CONSTANT)
            return 0;
    for (i = 0; i < f->n; i++) {
        double deviation = sqrt(vecq_simplify_element(op->inputs[4], i) + p->epsilon);

        f->a[i] = vecq_simplify_element(op->inputs[1], i) / deviation;
        f->b[i] = vecq_simplify_element(op->inputs[2], i) - f->a[i] * vecq_simplify_element(op->inputs[3], i);
    }
    return 1;
}

/* Operand `at` is y, the other a constant. */
static int affine_of_binary(const vecq_op *op, size_t at, affine *f)
{
    const vecq_var *c = op->inputs[1 - at];
    size_t i;

    if (op->post != NULL || !is_per_channel(c, op->inputs[at], f->axis) ||
        !vecq_var_same_shape(op->inputs[at], op->outputs[0]) || (op->kind == VECQ_OP_DIV && at == 1))
        return 0;
    for (i = 0; i < f->n; i++) {
        double value = channel_value(c, i);

        f->a[i] = op->kind == VECQ_OP_MUL              ? value
                  : op->kind == VECQ_OP_DIV            ? 1 / value
                  : op->kind == VECQ_OP_SUB && at == 1 ? -1
                                                       : 1;
        f->b[i] = op->kind == VECQ_OP_ADD              ? value
                  : op->kind == VECQ_OP_SUB && at == 0 ? -value
                  : op->kind == VECQ_OP_SUB            ? value
                                                       : 0;
    }
    return 1;
}

/* Numbers that are none stay where they are: the model's results must show them. */
static int affine_finish(affine *f)
{
    size_t i;

    for (i = 0; i < f->n; i++) {
        if (!isfinite(f->a[i]) || !isfinite(f->b[i]))
            return 0;
        f->scales |= f->a[i] != 1;
        f->shifts |= f->b[i] != 0;
    }
    return 1;
}

/* ---- the linear op before ---- */

/* The op with weights whose result (or a Reshape of it that keeps the last axis) is `var`, read by nobody
 * else. *last: whose result that is. */
static vecq_op *linear_before(vecq_var *var, vecq_op **last)
{
    vecq_op *op = var->kind == VECQ_VAR_RESULT && var->n_uses == 1 && !var->is_output ? var->producer : NULL;
    const vecq_var *before;

    *last = op;
    if (op == NULL)
        return NULL;
    if (op->kind == VECQ_OP_RESHAPE) {
        before = op->inputs[0];
        op = before->kind == VECQ_VAR_RESULT && before->n_uses == 1 && !before->is_output ? before->producer
                                                                                          : NULL;
        if (op == NULL || (op->kind != VECQ_OP_GEMM && op->kind != VECQ_OP_MATMUL) || var->rank < 1 ||
            var->dims[var->rank - 1] != before->dims[before->rank - 1])
            return NULL;
    }
    if (op->post != NULL)
        return NULL;
    return op->kind == VECQ_OP_CONV || op->kind == VECQ_OP_CONV_TRANSPOSE || op->kind == VECQ_OP_GEMM ||
                   op->kind == VECQ_OP_MATMUL
               ? op
               : NULL;
}

static int is_image_op(const vecq_op *op)
{
    return op->kind == VECQ_OP_CONV || op->kind == VECQ_OP_CONV_TRANSPOSE;
}

/* ---- new weights ---- */

static void set_element(vecq_tensor *tensor, size_t i, double value)
{
    if (tensor->dtype == VECQ_DT_DOUBLE)
        ((double *)tensor->data)[i] = value;
    else
        ((float *)tensor->data)[i] = (float)value;
}

/* The channel that element i of the weight belongs to: (i / inner) % width, ConvTranspose group by group. */
typedef struct channel_map {
    size_t inner, width;
    size_t group_elements; /* of the weight; the channels of each group follow those before */
} channel_map;

static channel_map channel_map_of(const vecq_op *op)
{
    const vecq_var *w = op->inputs[1];
    channel_map map = {.group_elements = w->count > 0 ? w->count : 1};

    if (op->kind == VECQ_OP_CONV) {
        map.width = (size_t)w->dims[0];
        map.inner = w->count / map.width;
    } else if (op->kind == VECQ_OP_CONV_TRANSPOSE) {
        map.width = (size_t)w->dims[1];
        map.inner = w->count / (size_t)w->dims[0] / map.width;
        map.group_elements = w->count / (size_t)((const vecq_conv_params *)op->params)->group;
    } else {
        int is_transposed = ((const vecq_matmul_params *)op->params)->trans_b;

        map.width = (size_t)w->dims[w->rank - (is_transposed ? 2 : 1)];
        map.inner = is_transposed ? (size_t)w->dims[w->rank - 1] : 1;
    }
    return map;
}

/* ---- packed weights: their scales, or tables ---- */

/* The Decode that makes the packed weight of the op, in the order of its elements, for nobody else; or NULL.
 */
static vecq_op *decode_before(const vecq_op *linear)
{
    const vecq_var *w = linear->inputs[1];

    while (w->kind == VECQ_VAR_RESULT && w->n_uses == 1 && !w->is_output &&
           w->producer->kind == VECQ_OP_RESHAPE)
        w = w->producer->inputs[0];
    return w->kind == VECQ_VAR_RESULT && w->n_uses == 1 && !w->is_output &&
                   w->producer->kind == VECQ_OP_DECODE && w->producer->inputs[0]->kind == VECQ_VAR_CONSTANT
               ? w->producer
               : NULL;
}

static int is_one_factor(const affine *f)
{
    size_t i;

    for (i = 1; i < f->n; i++)
        if (f->a[i] != f->a[0])
            return 0;
    return 1;
}

/* Slices of the scales must not reach over channels; one scale for everything becomes one for each channel.
 */
static int can_scale_packed(const vecq_op *linear, const affine *f)
{
    const vecq_op *decode = decode_before(linear);
    const vecq_decode_params *p = decode != NULL ? decode->params : NULL;
    channel_map map = channel_map_of(linear);

    if (decode == NULL || linear->kind == VECQ_OP_CONV_TRANSPOSE || p->layout.n_slices == 0)
        return 0;
    if (is_one_factor(f))
        return 1;
    if (p->layout.group > 0)
        return map.inner % p->layout.cols == 0;
    return (p->layout.n_slices == 1 && map.inner * map.width == p->layout.count) ||
           map.inner % (p->layout.count / p->layout.n_slices) == 0;
}

/* The channel that a slice belongs to. */
static size_t channel_of_slice(const vecq_packed_layout *p, const channel_map *map, size_t slice)
{
    size_t per_row = p->group > 0 ? (p->cols + p->group - 1) / p->group : 1;
    size_t at = p->group > 0 ? slice / per_row * p->cols : slice * (p->count / p->n_slices);

    return at / map->inner % map->width;
}

static vecq_status scale_packed(vecq_simplifier *s, const vecq_op *linear, const affine *f, vecq_error *err)
{
    vecq_op *decode = decode_before(linear);
    const vecq_var *old = decode->inputs[0];
    vecq_decode_params p = *(const vecq_decode_params *)decode->params;
    channel_map map = channel_map_of(linear);
    size_t i, n_old = p.layout.n_slices;
    vecq_tensor tensor;
    vecq_var *scale;
    size_t part = p.layout.is_table ? (size_t)1 << p.layout.bits : 1; /* of a slice */
    int64_t n;

    if (n_old == 1 && !is_one_factor(f))
        p.layout.n_slices = map.width;
    n = (int64_t)vecq_packed_scales(&p.layout);
    VECQ_TRY(vecq_tensor_create(VECQ_DT_FLOAT, n_old == p.layout.n_slices ? old->rank : 1,
                                n_old == p.layout.n_slices ? old->dims : &n, &tensor, err));
    for (i = 0; i < tensor.count; i++)
        set_element(&tensor, i,
                    vecq_simplify_element(old, n_old == 1 ? i % part : i) *
                        f->a[p.layout.n_slices == 1 ? 0 : channel_of_slice(&p.layout, &map, i / part)]);
    VECQ_TRY(vecq_program_constant(s->program, old->name, &tensor, &scale, err));
    vecq_simplify_set_input(decode, 0, scale);
    return vecq_simplify_become(decode, VECQ_OP_DECODE, decode->inputs, decode->n_inputs, &p, sizeof p, err);
}

static int can_fold(const vecq_op *linear, const affine *f)
{
    const vecq_var *w = linear->inputs[1];
    const vecq_var *b = linear->n_inputs > 2 ? linear->inputs[2] : NULL;

    if (f->scales && (w->kind != VECQ_VAR_CONSTANT || !vecq_var_is_float(w)) && !can_scale_packed(linear, f))
        return 0;
    if (linear->kind == VECQ_OP_MATMUL)
        return !f->shifts;
    return b == NULL || (b->kind == VECQ_VAR_CONSTANT && vecq_var_is_float(b));
}

static vecq_status scale_weight(vecq_simplifier *s, vecq_op *op, const affine *f, vecq_error *err)
{
    const vecq_var *w = op->inputs[1];
    channel_map map = channel_map_of(op);
    vecq_tensor tensor;
    vecq_var *var;
    size_t i;

    if (w->kind != VECQ_VAR_CONSTANT)
        return scale_packed(s, op, f, err);
    VECQ_TRY(vecq_tensor_create(w->dtype, w->rank, w->dims, &tensor, err));
    for (i = 0; i < tensor.count; i++) {
        size_t channel = i / map.group_elements * map.width + i / map.inner % map.width;

        set_element(&tensor, i, vecq_simplify_element(w, i) * f->a[channel]);
    }
    VECQ_TRY(vecq_program_constant(s->program, w->name, &tensor, &var, err));
    vecq_simplify_set_input(op, 1, var);
    return VECQ_OK;
}

static vecq_status make_bias(vecq_simplifier *s, vecq_op *op, const affine *f, vecq_error *err)
{
    const vecq_var *old = op->n_inputs > 2 ? op->inputs[2] : NULL;
    const int64_t n = (int64_t)f->n;
    vecq_var *inputs[3] = {op->inputs[0], op->inputs[1], NULL};
    vecq_tensor tensor;
    size_t i;

    if (old == NULL && !f->shifts)
        return VECQ_OK;
    VECQ_TRY(vecq_tensor_create(op->outputs[0]->dtype, 1, &n, &tensor, err));
    for (i = 0; i < f->n; i++)
        set_element(&tensor, i, (old != NULL ? f->a[i] * vecq_simplify_element(old, i) : 0) + f->b[i]);
    VECQ_TRY(vecq_program_constant(s->program, old != NULL ? old->name : op->name, &tensor, &inputs[2], err));
    return vecq_simplify_become(op, op->kind, inputs, 3, op->params,
                                is_image_op(op) ? sizeof(vecq_conv_params) : sizeof(vecq_matmul_params), err);
}

static vecq_status fold_affine(vecq_simplifier *s, vecq_op *op, size_t at, affine *f, int *done,
                               vecq_error *err)
{
    vecq_op *last, *linear = linear_before(op->inputs[at], &last);
    int fits = op->kind == VECQ_OP_BATCH_NORM ? affine_of_norm(op, f) : affine_of_binary(op, at, f);

    if (!fits || !affine_finish(f) || !can_fold(linear, f))
        return VECQ_OK;
    if (f->scales)
        VECQ_TRY(scale_weight(s, linear, f, err));
    VECQ_TRY(make_bias(s, linear, f, err));
    vecq_simplify_take_over(s, last, op);
    s->counts.folded++;
    *done = 1;
    return VECQ_OK;
}

vecq_status vecq_simplify_channels(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err)
{
    vecq_op *linear = NULL, *last;
    affine f = {0};
    vecq_status status;
    size_t at, n = op->kind == VECQ_OP_BATCH_NORM ? 1 : 2;

    if (s->options.keep_weights || op->post != NULL ||
        (op->kind != VECQ_OP_BATCH_NORM && op->kind != VECQ_OP_ADD && op->kind != VECQ_OP_SUB &&
         op->kind != VECQ_OP_MUL && op->kind != VECQ_OP_DIV))
        return VECQ_OK;
    for (at = 0; at < n && linear == NULL; at++)
        linear = linear_before(op->inputs[at], &last);
    if (linear == NULL)
        return VECQ_OK;
    at--;
    f.axis = is_image_op(linear) ? 1 : op->inputs[at]->rank - 1;
    f.n = (size_t)op->inputs[at]->dims[f.axis];
    f.a = vecq_alloc(2 * f.n, sizeof *f.a);
    if (f.a == NULL)
        return vecq_error_memory(err, 2 * f.n * sizeof *f.a);
    f.b = f.a + f.n;
    status = fold_affine(s, op, at, &f, done, err);
    vecq_free(f.a);
    return status;
}

/* ---- padding ---- */

/* Zeros, around the spatial axes only. */
static int is_zero_frame(const vecq_op *pad)
{
    const vecq_pad_params *p = pad->params;
    unsigned i;

    if (p->mode != VECQ_PAD_CONSTANT || p->value != 0 || p->begin[0] != 0 || p->end[0] != 0 ||
        p->begin[1] != 0 || p->end[1] != 0)
        return 0;
    for (i = 2; i < pad->inputs[0]->rank; i++)
        if (p->begin[i] < 0 || p->end[i] < 0)
            return 0;
    return 1;
}

static vecq_status pad_conv(vecq_op *op, const vecq_op *pad, vecq_error *err)
{
    const vecq_pad_params *frame = pad->params;
    vecq_conv_params p = *(const vecq_conv_params *)op->params;
    unsigned i;

    for (i = 0; i < p.spatial; i++) {
        p.pad_begin[i] += frame->begin[2 + i];
        p.pad_end[i] += frame->end[2 + i];
    }
    vecq_simplify_set_input(op, 0, pad->inputs[0]);
    return vecq_simplify_become(op, op->kind, op->inputs, op->n_inputs, &p, sizeof p, err);
}

/*
 * The zeros count in an average, which then must not have had a padding that does not count. In a maximum
 * they change nothing if no element is negative. Every window must meet the image.
 */
static vecq_status pad_pool(vecq_op *op, const vecq_op *pad, int *done, vecq_error *err)
{
    const vecq_pad_params *frame = pad->params;
    vecq_pool_params p = *(const vecq_pool_params *)op->params;
    int is_max = op->kind == VECQ_OP_MAX_POOL;
    unsigned i;

    if (p.ceil_mode || (is_max && (!pad->inputs[0]->is_relu || op->outputs[1]->n_uses > 0)))
        return VECQ_OK;
    for (i = 0; i < p.spatial; i++) {
        if (!is_max && !p.include_pad && (p.pad_begin[i] != 0 || p.pad_end[i] != 0))
            return VECQ_OK;
        p.pad_begin[i] += frame->begin[2 + i];
        p.pad_end[i] += frame->end[2 + i];
        if (p.dilation[i] != 1 || p.pad_begin[i] >= p.kernel[i] || p.pad_end[i] >= p.kernel[i])
            return VECQ_OK;
    }
    p.include_pad = !is_max;
    *done = 1;
    vecq_simplify_set_input(op, 0, pad->inputs[0]);
    return vecq_simplify_become(op, op->kind, op->inputs, op->n_inputs, &p, sizeof p, err);
}

vecq_status vecq_simplify_padding(vecq_simplifier *s, vecq_op *op, int *done, vecq_error *err)
{
    const vecq_op *pad;

    if (op->kind != VECQ_OP_CONV && op->kind != VECQ_OP_MAX_POOL && op->kind != VECQ_OP_AVERAGE_POOL)
        return VECQ_OK;
    pad = op->inputs[0]->kind == VECQ_VAR_RESULT ? op->inputs[0]->producer : NULL;
    if (pad == NULL || pad->kind != VECQ_OP_PAD || !is_zero_frame(pad))
        return VECQ_OK;
    if (op->kind == VECQ_OP_CONV) {
        *done = 1;
        VECQ_TRY(pad_conv(op, pad, err));
    } else {
        VECQ_TRY(pad_pool(op, pad, done, err));
    }
    s->counts.folded += (size_t)*done;
    return VECQ_OK;
}
