/* SPDX-License-Identifier: Apache-2.0 */
/* What all families share: descriptors of variables, arguments of primitives, and the step that runs one. */
#include <stdint.h>
#include <string.h>

#include "backend/onednn/onednn_private.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/threads.h"

/* ---- statuses ---- */

vecq_status vecq_onednn_check(dnnl_status_t status, const char *what, int *declined, vecq_error *err)
{
    switch (status) {
    case dnnl_success:
        return VECQ_OK;
    case dnnl_out_of_memory:
        return vecq_error_memory(err, 0);
    case dnnl_unimplemented:
    case dnnl_invalid_arguments:
        if (declined != NULL) {
            *declined = 1;
            return VECQ_OK;
        }
        break;
    default:
        break;
    }
    return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "oneDNN refuses the %s (status %d)", what, status);
}

/* ---- descriptors of variables ---- */

int vecq_onednn_takes(const vecq_var *var)
{
    return var != NULL && var->dtype == VECQ_DT_FLOAT && var->count > 0 && var->rank <= 6;
}

int vecq_onednn_is_used(const vecq_var *var)
{
    return var->n_uses > 0 || var->is_output;
}

vecq_status vecq_onednn_plain(vecq_onednn *e, const vecq_var *var, const vecq_dnnl_md **out, vecq_error *err)
{
    static const dnnl_dim_t one = 1;
    int rank = var->rank > 0 ? (int)var->rank : 1;

    return vecq_onednn_check(vecq_dnnl_md_plain(&e->pool, rank, var->rank > 0 ? var->dims : &one, out),
                             "shape", NULL, err);
}

vecq_status vecq_onednn_any(vecq_onednn *e, const vecq_var *var, const vecq_dnnl_md **out, vecq_error *err)
{
    return vecq_onednn_check(vecq_dnnl_md_tag(&e->pool, (int)var->rank, var->dims, dnnl_format_tag_any, out),
                             "shape", NULL, err);
}

vecq_status vecq_onednn_produced(vecq_onednn *e, const vecq_planner *planner, const vecq_var *var,
                                 const vecq_dnnl_md **out, vecq_error *err)
{
    const void *layout = NULL;
    unsigned i;

    if (vecq_planner_produced(planner, var, &layout) != &vecq_backend_onednn || layout == NULL ||
        vecq_dnnl_md_rank(layout) != (int)var->rank)
        return vecq_onednn_plain(e, var, out, err);
    for (i = 0; i < var->rank; i++)
        if (vecq_dnnl_md_dims(layout)[i] != var->dims[i])
            return vecq_onednn_plain(e, var, out, err);
    *out = layout;
    return VECQ_OK;
}

vecq_status vecq_onednn_common(vecq_onednn *e, const vecq_planner *planner, const vecq_var *first,
                               const vecq_var *second, const vecq_dnnl_md **out, vecq_error *err)
{
    VECQ_TRY(vecq_onednn_produced(e, planner, first, out, err));
    if (vecq_dnnl_md_is_plain(*out))
        VECQ_TRY(vecq_onednn_produced(e, planner, second, out, err));
    return VECQ_OK;
}

vecq_status vecq_onednn_like(vecq_onednn *e, const vecq_dnnl_md *md, const dnnl_dim_t *dims,
                             const vecq_dnnl_md **out, vecq_error *err)
{
    static const dnnl_format_tag_t tags[][4] = {{dnnl_ncw, dnnl_nCw16c, dnnl_nCw8c, dnnl_nwc},
                                                {dnnl_nchw, dnnl_nChw16c, dnnl_nChw8c, dnnl_nhwc},
                                                {dnnl_ncdhw, dnnl_nCdhw16c, dnnl_nCdhw8c, dnnl_ndhwc}};
    int rank = vecq_dnnl_md_rank(md);
    size_t i;

    *out = NULL;
    for (i = 0; rank >= 3 && rank <= 5 && i < 4; i++) {
        const vecq_dnnl_md *same = NULL;

        VECQ_TRY(vecq_onednn_check(
            vecq_dnnl_md_tag(&e->pool, rank, vecq_dnnl_md_dims(md), tags[rank - 3][i], &same), "layout", NULL,
            err));
        if (same == md)
            return vecq_onednn_check(vecq_dnnl_md_tag(&e->pool, rank, dims, tags[rank - 3][i], out), "layout",
                                     NULL, err);
    }
    return VECQ_OK;
}

vecq_status vecq_onednn_vector(vecq_onednn *e, const vecq_dnnl_md *md, const dnnl_dim_t *dims,
                               const vecq_dnnl_md **out, vecq_error *err)
{
    int i, is_one = 1;

    for (i = 0; i < vecq_dnnl_md_rank(md); i++)
        is_one &= dims[i] == 1;
    *out = NULL;
    if (!is_one) /* padded to a block, one number would be added to the first channel of it only */
        VECQ_TRY(vecq_onednn_like(e, md, dims, out, err));
    if (*out != NULL)
        return VECQ_OK;
    return vecq_onednn_check(vecq_dnnl_md_plain(&e->pool, vecq_dnnl_md_rank(md), dims, out), "shape", NULL,
                             err);
}

const vecq_op *vecq_onednn_relu_after(const vecq_op *op)
{
    const vecq_var *y = op->outputs[0];
    size_t i;

    if (y->n_uses != 1 || y->is_output)
        return NULL;
    for (i = op->index + 1; i < op->program->n_ops; i++) {
        const vecq_op *reader = op->program->ops[i];

        if (reader->kind == VECQ_OP_RELU && reader->inputs[0] == y)
            return reader;
    }
    return NULL;
}

const vecq_var *vecq_onednn_with_relu(vecq_onednn *e, const vecq_op *relu)
{
    vecq_onednn_memo_of(e, relu)->is_done = 1;
    return relu->outputs[0];
}

int vecq_onednn_is_slow(const_dnnl_primitive_desc_t pd)
{
    return strncmp(vecq_dnnl_pd_name(pd), "ref", 3) == 0;
}

const void *vecq_onednn_layout(const vecq_dnnl_md *md)
{
    return vecq_dnnl_md_is_plain(md) ? NULL : md;
}

/* ---- steps ---- */

typedef struct onednn_step {
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
    unsigned threads;
    size_t n;
    dnnl_exec_arg_t args[VECQ_ONEDNN_ARGS];
    size_t source[VECQ_ONEDNN_ARGS];       /* index of reads, or VECQ_ONEDNN_ARGS + index of writes */
    void *handle[VECQ_ONEDNN_ARGS];        /* as set before */
    size_t sum_bytes, sum_read, sum_write; /* READ_SUM: bytes (0: none), index of reads and of writes */
    size_t n_reads, n_writes;
    vecq_slot reads[VECQ_ONEDNN_ARGS], writes[VECQ_ONEDNN_ARGS];
} onednn_step;

static void step_destroy(void *state)
{
    onednn_step *step = state;
    size_t i;

    if (step == NULL)
        return;
    for (i = 0; i < step->n; i++)
        if (step->args[i].memory != NULL)
            dnnl_memory_destroy(step->args[i].memory);
    if (step->primitive != NULL)
        dnnl_primitive_destroy(step->primitive);
    vecq_free(step);
}

/* Setting a handle may fill the padding of blocked layouts with zeros, so it is done only when the address is
 * another one. */
static dnnl_status_t step_bind(onednn_step *step, const void *const *reads, void *const *writes)
{
    size_t i;

    for (i = 0; i < step->n; i++) {
        size_t s = step->source[i];
        void *at = s < VECQ_ONEDNN_ARGS ? (void *)(uintptr_t)reads[s] : writes[s - VECQ_ONEDNN_ARGS];
        dnnl_status_t status;

        if (at == step->handle[i])
            continue;
        status = dnnl_memory_set_data_handle(step->args[i].memory, at);
        if (status != dnnl_success)
            return status;
        step->handle[i] = at;
    }
    return dnnl_success;
}

static vecq_status step_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                            vecq_error *err)
{
    onednn_step *step = state;
    unsigned before = vecq_threads_limit(step->threads);
    dnnl_status_t status = step_bind(step, reads, writes);

    if (step->sum_bytes > 0 && writes[step->sum_write] != reads[step->sum_read])
        memcpy(writes[step->sum_write], reads[step->sum_read], step->sum_bytes);
    (void)run; /* the number of threads is the plan's: scratchpads are made for it */
    if (status == dnnl_success)
        status = dnnl_primitive_execute(step->primitive, step->stream, (int)step->n, step->args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(step->stream);
    vecq_threads_limit(before);
    return vecq_onednn_check(status, "execution of a primitive", NULL, err);
}

/* ---- planning one ---- */

static int access_is_write(vecq_onednn_access access)
{
    return access == VECQ_ONEDNN_WRITE || access == VECQ_ONEDNN_WRITE_PLAIN ||
           access == VECQ_ONEDNN_SLOT_WRITE;
}

static vecq_slot slot_of(const vecq_onednn_arg *args, size_t n, int kind)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (args[i].kind == kind)
            return args[i].slot;
    return VECQ_NO_SLOT;
}

/* The slot whose memory args[i] may take. That of a sum is written to before the rest is read: not if the
 * same memory (under another shape) is another operand. */
static vecq_slot slot_over(const vecq_onednn_arg *args, size_t i)
{
    vecq_slot slot = args[i].over != 0 ? slot_of(args, i, args[i].over) : VECQ_NO_SLOT;
    size_t k, n_sums = 0, n_reads = 0;

    for (k = 0; k < i && slot != VECQ_NO_SLOT; k++)
        if (args[k].slot == slot) {
            n_sums += args[k].access == VECQ_ONEDNN_READ_SUM;
            n_reads++;
        }
    return n_sums > 0 && n_reads > 1 ? VECQ_NO_SLOT : slot;
}

/* Finds or makes the slot of args[i]; those before it have theirs. */
static vecq_status arg_slot(vecq_planner *planner, vecq_onednn_arg *args, size_t i, vecq_error *err)
{
    vecq_onednn_arg *arg = &args[i];
    const void *layout = vecq_onednn_layout(arg->md);

    if (arg->access == VECQ_ONEDNN_READ_PLAIN || arg->access == VECQ_ONEDNN_WRITE_PLAIN)
        layout = NULL;
    switch (arg->access) {
    case VECQ_ONEDNN_READ:
    case VECQ_ONEDNN_READ_SUM:
    case VECQ_ONEDNN_READ_PLAIN:
        return vecq_planner_input(planner, arg->var, &vecq_backend_onednn, layout, &arg->slot, err);
    case VECQ_ONEDNN_WRITE:
    case VECQ_ONEDNN_WRITE_PLAIN:
        if (!vecq_onednn_is_used(arg->var))
            return vecq_planner_scratch(planner, vecq_dnnl_md_bytes(arg->md), &arg->slot, err);
        return vecq_planner_output_over(planner, arg->var, &vecq_backend_onednn, layout,
                                        layout != NULL ? vecq_dnnl_md_bytes(arg->md) : 0, slot_over(args, i),
                                        &arg->slot, err);
    default:
        return VECQ_OK;
    }
}

static vecq_status arg_md(vecq_onednn *e, const_dnnl_primitive_desc_t pd, vecq_onednn_arg *arg,
                          vecq_error *err)
{
    int kind = arg->access == VECQ_ONEDNN_READ_SUM ? DNNL_ARG_DST : arg->kind;

    if (arg->md == NULL)
        VECQ_TRY(vecq_onednn_check(vecq_dnnl_md_of_arg(&e->pool, pd, kind, &arg->md), "layout", NULL, err));
    if (arg->md == NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "oneDNN has no argument %d in '%s'", arg->kind,
                              vecq_dnnl_pd_name(pd));
    return VECQ_OK;
}

static void step_add(onednn_step *step, const vecq_onednn_arg *arg)
{
    if (arg->access == VECQ_ONEDNN_READ_SUM) { /* no argument: the destination holds it */
        step->sum_bytes = vecq_dnnl_md_bytes(arg->md);
        step->sum_read = step->n_reads;
        step->reads[step->n_reads++] = arg->slot;
        return;
    }
    if (arg->kind == DNNL_ARG_DST)
        step->sum_write = step->n_writes;
    step->args[step->n].arg = arg->kind;
    if (access_is_write(arg->access)) {
        step->source[step->n] = VECQ_ONEDNN_ARGS + step->n_writes;
        step->writes[step->n_writes++] = arg->slot;
    } else {
        step->source[step->n] = step->n_reads;
        step->reads[step->n_reads++] = arg->slot;
    }
    step->n++;
}

static vecq_status step_fill(vecq_onednn *e, vecq_planner *planner, onednn_step *step,
                             const_dnnl_primitive_desc_t pd, vecq_onednn_arg *args, size_t n, vecq_error *err)
{
    size_t i;

    step->threads = e->threads;
    step->stream = e->stream;
    for (i = 0; i < n; i++) {
        VECQ_TRY(arg_md(e, pd, &args[i], err));
        VECQ_TRY(arg_slot(planner, args, i, err));
        step_add(step, &args[i]);
        if (args[i].access == VECQ_ONEDNN_READ_SUM)
            continue;
        VECQ_TRY(
            vecq_onednn_check(vecq_dnnl_memory(args[i].md, e->make.engine, &step->args[step->n - 1].memory),
                              "memory", NULL, err));
    }
    return vecq_onednn_check(dnnl_primitive_create(&step->primitive, pd), "primitive", NULL, err);
}

vecq_status vecq_onednn_step(vecq_onednn *e, vecq_planner *planner, const vecq_op *op,
                             const_dnnl_primitive_desc_t pd, const vecq_onednn_arg *args, size_t n,
                             vecq_error *err)
{
    vecq_onednn_arg all[VECQ_ONEDNN_ARGS];
    vecq_onednn_arg scratch = {.kind = DNNL_ARG_SCRATCHPAD, .access = VECQ_ONEDNN_SLOT_WRITE};
    onednn_step *step;
    vecq_status status;
    size_t i, k = 0;

    for (i = 0; i < n; i++)
        if (args[i].var != NULL || args[i].access >= VECQ_ONEDNN_SLOT_READ)
            all[k++] = args[i];
    VECQ_TRY(vecq_onednn_check(vecq_dnnl_md_of(&e->pool, pd, dnnl_query_scratchpad_md, &scratch.md),
                               "scratchpad", NULL, err));
    if (scratch.md != NULL) {
        VECQ_TRY(vecq_planner_scratch(planner, vecq_dnnl_md_bytes(scratch.md), &scratch.slot, err));
        all[k++] = scratch;
    }
    step = vecq_calloc(1, sizeof *step);
    if (step == NULL)
        return vecq_error_memory(err, sizeof *step);
    status = step_fill(e, planner, step, pd, all, k, err);
    if (status != VECQ_OK) {
        step_destroy(step);
        return status;
    }
    return vecq_planner_step(planner, op, &vecq_backend_onednn, vecq_dnnl_pd_name(pd), step_run, step,
                             step_destroy, step->reads, step->n_reads, step->writes, step->n_writes, err);
}

vecq_status vecq_onednn_finish(vecq_onednn *e, vecq_planner *planner, const vecq_op *op, dnnl_status_t made,
                               dnnl_primitive_desc_t pd, const vecq_onednn_arg *args, size_t n, int *taken,
                               vecq_error *err)
{
    int declined = 0;
    vecq_status status = vecq_onednn_check(made, "primitive", &declined, err);

    if (status != VECQ_OK || declined)
        return status;
    *taken = 1;
    status = vecq_onednn_step(e, planner, op, pd, args, n, err);
    dnnl_primitive_desc_destroy(pd);
    return status;
}
