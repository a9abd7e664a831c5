/* SPDX-License-Identifier: Apache-2.0 */
/* Engine, layouts, and which function plans which op. */
#include "backend/onednn/onednn.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "backend/onednn/onednn_private.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"
#include "graph/work.h"

static const vecq_onednn_plan_fn plan_functions[VECQ_OP_COUNT] = {
    [VECQ_OP_CONV] = vecq_onednn_plan_conv,
    [VECQ_OP_CONV_GRAD_INPUT] = vecq_onednn_plan_conv_grad_input,
    [VECQ_OP_CONV_GRAD_WEIGHT] = vecq_onednn_plan_conv_grad_weight,
    [VECQ_OP_CONV_TRANSPOSE] = vecq_onednn_plan_conv_transpose,
    [VECQ_OP_CONV_TRANSPOSE_GRAD_INPUT] = vecq_onednn_plan_conv_transpose_grad_input,
    [VECQ_OP_CONV_TRANSPOSE_GRAD_WEIGHT] = vecq_onednn_plan_conv_transpose_grad_weight,
    [VECQ_OP_GEMM] = vecq_onednn_plan_matmul,
    [VECQ_OP_MATMUL] = vecq_onednn_plan_matmul,
    [VECQ_OP_BATCH_NORM] = vecq_onednn_plan_norm,
    [VECQ_OP_GROUP_NORM] = vecq_onednn_plan_group_norm,
    [VECQ_OP_LAYER_NORM] = vecq_onednn_plan_layer_norm,
    [VECQ_OP_BATCH_NORM_TRAIN] = vecq_onednn_plan_norm_train,
    [VECQ_OP_BATCH_NORM_GRAD] = vecq_onednn_plan_norm_grad,
    [VECQ_OP_BATCH_NORM_TRAIN_GRAD] = vecq_onednn_plan_norm_grad,
    [VECQ_OP_MAX_POOL] = vecq_onednn_plan_pool,
    [VECQ_OP_AVERAGE_POOL] = vecq_onednn_plan_pool,
    [VECQ_OP_MAX_POOL_GRAD] = vecq_onednn_plan_pool_grad,
    [VECQ_OP_AVERAGE_POOL_GRAD] = vecq_onednn_plan_pool_grad,
    [VECQ_OP_RELU] = vecq_onednn_plan_eltwise,
    [VECQ_OP_LEAKY_RELU] = vecq_onednn_plan_eltwise,
    [VECQ_OP_CLIP] = vecq_onednn_plan_eltwise,
    [VECQ_OP_SIGMOID] = vecq_onednn_plan_eltwise,
    [VECQ_OP_TANH] = vecq_onednn_plan_eltwise,
    [VECQ_OP_ELU] = vecq_onednn_plan_eltwise,
    [VECQ_OP_HARD_SWISH] = vecq_onednn_plan_eltwise,
    [VECQ_OP_SILU] = vecq_onednn_plan_eltwise,
    [VECQ_OP_GELU] = vecq_onednn_plan_eltwise,
    [VECQ_OP_EXP] = vecq_onednn_plan_eltwise,
    [VECQ_OP_SQRT] = vecq_onednn_plan_eltwise,
    [VECQ_OP_ABS] = vecq_onednn_plan_eltwise,
    [VECQ_OP_NEG] = vecq_onednn_plan_eltwise,
    [VECQ_OP_RELU_GRAD] = vecq_onednn_plan_eltwise_grad,
    [VECQ_OP_LEAKY_RELU_GRAD] = vecq_onednn_plan_eltwise_grad,
    [VECQ_OP_CLIP_GRAD] = vecq_onednn_plan_eltwise_grad,
    [VECQ_OP_SIGMOID_GRAD] = vecq_onednn_plan_eltwise_grad,
    [VECQ_OP_TANH_GRAD] = vecq_onednn_plan_eltwise_grad,
    [VECQ_OP_ELU_GRAD] = vecq_onednn_plan_eltwise_grad,
    [VECQ_OP_HARD_SWISH_GRAD] = vecq_onednn_plan_eltwise_grad,
    [VECQ_OP_ADD] = vecq_onednn_plan_binary,
    [VECQ_OP_SUB] = vecq_onednn_plan_binary,
    [VECQ_OP_MUL] = vecq_onednn_plan_binary,
    [VECQ_OP_DIV] = vecq_onednn_plan_binary,
    [VECQ_OP_SOFTMAX] = vecq_onednn_plan_softmax,
    [VECQ_OP_LOG_SOFTMAX] = vecq_onednn_plan_softmax,
    [VECQ_OP_SOFTMAX_GRAD] = vecq_onednn_plan_softmax_grad,
    [VECQ_OP_LOG_SOFTMAX_GRAD] = vecq_onednn_plan_softmax_grad,
    [VECQ_OP_CONCAT] = vecq_onednn_plan_concat,
    [VECQ_OP_SLICE] = vecq_onednn_plan_slice,
    [VECQ_OP_TRANSPOSE] = vecq_onednn_plan_transpose,
    [VECQ_OP_RESIZE] = vecq_onednn_plan_pixels,
    [VECQ_OP_PAD] = vecq_onednn_plan_pixels,
    [VECQ_OP_QUANTIZE_ACTIVATION] = vecq_onednn_plan_flat,
    [VECQ_OP_QUANTIZE_ACTIVATION_GRAD] = vecq_onednn_plan_flat,
    [VECQ_OP_MEASURE_ACTIVATION] = vecq_onednn_plan_flat,
    [VECQ_OP_OBSERVE_ACTIVATION] = vecq_onednn_plan_flat,
    [VECQ_OP_MAX] = vecq_onednn_plan_flat,
    [VECQ_OP_MIN] = vecq_onednn_plan_flat,
    [VECQ_OP_SIGN] = vecq_onednn_plan_flat,
    [VECQ_OP_FLOOR] = vecq_onednn_plan_flat,
    [VECQ_OP_CEIL] = vecq_onednn_plan_flat,
    [VECQ_OP_ROUND] = vecq_onednn_plan_flat,
    [VECQ_OP_ERF] = vecq_onednn_plan_flat,
    [VECQ_OP_ERF_GRAD] = vecq_onednn_plan_flat,
    [VECQ_OP_HARD_SIGMOID] = vecq_onednn_plan_flat,
    [VECQ_OP_HARD_SIGMOID_GRAD] = vecq_onednn_plan_flat,
    [VECQ_OP_SOFTPLUS] = vecq_onednn_plan_flat,
    [VECQ_OP_LOG] = vecq_onednn_plan_flat,
    [VECQ_OP_RECIPROCAL] = vecq_onednn_plan_flat,
    [VECQ_OP_LSTM] = vecq_onednn_plan_lstm,
    [VECQ_OP_LSTM_GRAD] = vecq_onednn_plan_lstm_grad,
};

const char *vecq_onednn_version(char text[32])
{
    const dnnl_version_t *v = dnnl_version();

    snprintf(text, 32, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

static void engine_close(void *engine)
{
    vecq_onednn *e = engine;

    if (e == NULL)
        return;
    vecq_onednn_sums_clear(e);
    vecq_dnnl_pool_clear(&e->pool);
    vecq_free(e->memos);
    if (e->attr != NULL)
        dnnl_primitive_attr_destroy(e->attr);
    if (e->stream != NULL)
        dnnl_stream_destroy(e->stream);
    if (e->make.engine != NULL)
        dnnl_engine_destroy(e->make.engine);
    vecq_free(e);
}

static dnnl_status_t engine_make(vecq_onednn *e)
{
    dnnl_status_t status = dnnl_engine_create(&e->make.engine, dnnl_cpu, 0);

    if (status == dnnl_success)
        status = dnnl_stream_create(&e->stream, e->make.engine, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_create(&e->attr);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(e->attr, dnnl_scratchpad_mode_user);
    e->make.attr = e->attr;
    return status;
}

static vecq_status engine_open(const vecq_exec_options *options, const vecq_program *program, void **engine,
                               vecq_error *err)
{
    vecq_onednn *e = vecq_calloc(1, sizeof *e);
    dnnl_status_t status;

    *engine = NULL;
    if (e == NULL)
        return vecq_error_memory(err, sizeof *e);
    (void)program;
    e->threads = options->threads;
    e->prefer_memory = options->prefer_memory;
    status = engine_make(e);
    if (status != dnnl_success) {
        char version[32];

        engine_close(e);
        return vecq_error_set(err, status == dnnl_out_of_memory ? VECQ_ERR_MEMORY : VECQ_ERR_UNSUPPORTED,
                              "%s gives no CPU engine (status %d)", vecq_onednn_version(version), status);
    }
    *engine = e;
    return VECQ_OK;
}

/* An op whose floats are not all float32 is none of ours; integers (labels, indices) are the family's affair.
 */
static int is_single(const vecq_op *op)
{
    size_t i;

    if (op->kind == VECQ_OP_OBSERVE_ACTIVATION) /* its histogram is made of doubles */
        return op->inputs[0]->dtype == VECQ_DT_FLOAT;
    for (i = 0; i < op->n_inputs; i++)
        if (op->inputs[i] != NULL && op->inputs[i]->dtype == VECQ_DT_DOUBLE)
            return 0;
    return op->n_outputs > 0 && op->outputs[0]->dtype == VECQ_DT_FLOAT;
}

static vecq_status program_begin(vecq_onednn *e, const vecq_program *program, vecq_error *err)
{
    if (e->program == program)
        return VECQ_OK;
    vecq_free(e->memos);
    e->program = program;
    e->memos = vecq_calloc(program->n_ops, sizeof *e->memos);
    return e->memos != NULL ? VECQ_OK : vecq_error_memory(err, program->n_ops * sizeof *e->memos);
}

vecq_onednn_memo *vecq_onednn_memo_of(vecq_onednn *e, const vecq_op *op)
{
    return &e->memos[op->index];
}

/* Operations and floats of a step below which a second thread costs more than it brings, measured where
 * nothing else wants the processors; what is trained is left alone. */
#define WORTH_MACS   300000u
#define WORTH_FLOATS 32768u

static unsigned threads_for(const vecq_onednn *e, const vecq_planner *planner, uint64_t macs, size_t floats)
{
    return vecq_planner_is_training(planner) || macs >= WORTH_MACS || floats >= WORTH_FLOATS ? e->threads : 1;
}

static size_t floats_of(const vecq_op *op)
{
    size_t i, n = 0;

    for (i = 0; i < op->n_inputs; i++)
        n += op->inputs[i] != NULL ? op->inputs[i]->count : 0;
    for (i = 0; i < op->n_outputs; i++)
        n += op->outputs[i]->count;
    return n;
}

static vecq_status engine_plan(void *engine, vecq_planner *planner, const vecq_op *op, int *taken,
                               vecq_error *err)
{
    vecq_onednn *e = engine;
    vecq_onednn_plan_fn plan = plan_functions[op->kind];
    const unsigned all = e->threads;
    vecq_status status;
    unsigned before;

    *taken = 0;
    if (plan == NULL || !is_single(op))
        return VECQ_OK;
    VECQ_TRY(program_begin(e, op->program, err));
    e->threads = threads_for(e, planner, vecq_op_macs(op), floats_of(op));
    before = vecq_threads_limit(e->threads);
    status = plan(e, planner, op, taken, err);
    vecq_threads_limit(before);
    e->threads = all;
    return status;
}

/* ---- layouts ---- */

static int layout_same(const void *a, const void *b)
{
    return a == b; /* descriptors of one engine are interned */
}

static void layout_free(void *layout)
{
    (void)layout; /* they die with the pool */
}

static size_t layout_bytes(const void *layout)
{
    return vecq_dnnl_md_bytes(layout);
}

static int layout_is_order(const void *layout)
{
    return vecq_dnnl_md_is_order(layout);
}

static dnnl_status_t layout_pair(vecq_onednn *e, const vecq_dnnl_md **from, const vecq_dnnl_md **to)
{
    if (*from == NULL)
        return vecq_dnnl_md_plain(&e->pool, vecq_dnnl_md_rank(*to), vecq_dnnl_md_dims(*to), from);
    if (*to == NULL)
        return vecq_dnnl_md_plain(&e->pool, vecq_dnnl_md_rank(*from), vecq_dnnl_md_dims(*from), to);
    return dnnl_success;
}

/* Between views of different rank (an image as [N, C, 1, W]) the way leads over the plain layout. */
static vecq_status layout_convert(void *engine, vecq_planner *planner, const vecq_var *var, vecq_slot from,
                                  const void *from_layout, vecq_slot to, const void *to_layout,
                                  vecq_error *err)
{
    vecq_onednn *e = engine;
    const vecq_dnnl_md *a = from_layout, *b = to_layout;
    const unsigned all = e->threads;
    dnnl_primitive_desc_t pd = NULL;
    unsigned before;
    vecq_status status;
    vecq_slot middle;

    if (a != NULL && b != NULL && vecq_dnnl_md_rank(a) != vecq_dnnl_md_rank(b)) {
        VECQ_TRY(vecq_planner_scratch(planner, vecq_dtype_bytes(var->dtype, var->count), &middle, err));
        VECQ_TRY(layout_convert(engine, planner, var, from, a, middle, NULL, err));
        return layout_convert(engine, planner, var, middle, NULL, to, b, err);
    }
    e->threads = threads_for(e, planner, 0, 2 * var->count);
    before = vecq_threads_limit(e->threads);
    status = vecq_onednn_check(layout_pair(e, &a, &b), "layout", NULL, err);
    if (status == VECQ_OK)
        status = vecq_onednn_check(vecq_dnnl_reorder(&e->make, a, b, &pd), "reorder", NULL, err);
    if (status == VECQ_OK) {
        vecq_onednn_arg args[] = {
            {.kind = DNNL_ARG_FROM, .access = VECQ_ONEDNN_SLOT_READ, .slot = from, .md = a},
            {.kind = DNNL_ARG_TO, .access = VECQ_ONEDNN_SLOT_WRITE, .slot = to, .md = b},
        };

        status = vecq_onednn_step(e, planner, NULL, pd, args, 2, err);
    }
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    vecq_threads_limit(before);
    e->threads = all;
    return status;
}

dnnl_status_t vecq_onednn_reorder_now(vecq_onednn *e, const vecq_dnnl_md *from, const vecq_dnnl_md *to,
                                      const float *src, float *dst)
{
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, NULL}, {DNNL_ARG_TO, NULL}};
    vecq_dnnl_maker maker = {e->make.engine, NULL};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_status_t status = vecq_dnnl_reorder(&maker, from, to, &pd);

    if (status == dnnl_success)
        status = dnnl_primitive_create(&primitive, pd);
    if (status == dnnl_success)
        status = vecq_dnnl_memory(from, e->make.engine, &args[0].memory);
    if (status == dnnl_success)
        status = vecq_dnnl_memory(to, e->make.engine, &args[1].memory);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(args[0].memory, (void *)(uintptr_t)src);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(args[1].memory, dst);
    if (status == dnnl_success)
        status = dnnl_primitive_execute(primitive, e->stream, 2, args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(e->stream);
    dnnl_memory_destroy(args[0].memory);
    dnnl_memory_destroy(args[1].memory);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(pd);
    return status;
}

/* Adds the floats of dst (which may lie where map does) as bits from `shift` on. */
static void map_add(const float *dst, size_t n, unsigned shift, uint32_t *map)
{
    size_t i;

    for (i = 0; i < n; i++) {
        float x;

        memcpy(&x, &dst[i], sizeof x);
        map[i] = (shift > 0 ? map[i] : 0) | (uint32_t)(int32_t)x << shift;
    }
}

/* Numbers up to 2^24 pass through floats unharmed: a plain tensor that holds 1 + its index is brought into
 * the layout, by way of the map's memory; a larger one in two passes of 16 bits each. */
static vecq_status layout_map(void *engine, const vecq_var *var, const void *layout, uint32_t *map,
                              vecq_error *err)
{
    vecq_onednn *e = engine;
    const vecq_dnnl_md *to = layout, *from = NULL;
    const int is_small = var->count < (size_t)1 << 24;
    size_t n = layout_bytes(layout) / sizeof(float), i;
    float *src = vecq_alloc(var->count, sizeof *src), *more = is_small ? NULL : vecq_calloc(n, sizeof *more);
    float *dst = is_small ? (float *)(void *)map : more;
    dnnl_status_t status = src == NULL || dst == NULL ? dnnl_out_of_memory : dnnl_success;
    unsigned shift;

    if (status == dnnl_success)
        status = layout_pair(e, &from, &to);
    memset(map, 0, n * sizeof *map);
    for (shift = 0; shift < (is_small ? 1 : 32) && status == dnnl_success; shift += 16) {
        for (i = 0; i < var->count; i++)
            src[i] = (float)(int32_t)((uint32_t)(i + 1) >> shift & (is_small ? UINT32_MAX : 0xffffu));
        status = vecq_onednn_reorder_now(e, from, to, src, dst);
        map_add(dst, n, shift, map);
    }
    vecq_free(src);
    vecq_free(more);
    return vecq_onednn_check(status, "layout", NULL, err);
}

const vecq_backend vecq_backend_onednn = {.name = "onednn",
                                          .open = engine_open,
                                          .close = engine_close,
                                          .plan = engine_plan,
                                          .layout_same = layout_same,
                                          .layout_free = layout_free,
                                          .convert = layout_convert,
                                          .layout_bytes = layout_bytes,
                                          .layout_is_order = layout_is_order,
                                          .layout_map = layout_map,
                                          .layout_sum = vecq_onednn_layout_sum};
