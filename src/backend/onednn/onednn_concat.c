/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Concat of values in blocked layouts, and Slice, which is its gradient: cuts that fall between blocks are
 * copied as they are. Plain values, and cuts through blocks, are the plain backend's (it copies whole rows).
 */
#include <string.h>

#include "backend/onednn/onednn_private.h"
#include "base/alloc.h"
#include "base/status.h"

/* The layout of the first operand that is not plain, for all of them; 0: leave it. */
static vecq_status concat_layouts(vecq_onednn *e, const vecq_planner *planner, const vecq_op *op,
                                  const vecq_dnnl_md **md, int *is_blocked, vecq_error *err)
{
    const vecq_dnnl_md *model = NULL;
    size_t i;

    *is_blocked = 0;
    for (i = 0; i < op->n_inputs; i++) {
        if (!vecq_onednn_takes(op->inputs[i]))
            return VECQ_OK;
        VECQ_TRY(vecq_onednn_produced(e, planner, op->inputs[i], &md[i], err));
        if (model == NULL && vecq_onednn_layout(md[i]) != NULL)
            model = md[i];
    }
    for (i = 0; model != NULL && i < op->n_inputs; i++) {
        VECQ_TRY(vecq_onednn_like(e, model, op->inputs[i]->dims, &md[i], err));
        if (md[i] == NULL)
            return VECQ_OK;
    }
    *is_blocked = model != NULL;
    return VECQ_OK;
}

static vecq_status concat_plan(vecq_onednn *e, vecq_planner *planner, const vecq_op *op,
                               const vecq_dnnl_md **md, int *taken, vecq_error *err)
{
    const vecq_axis_params *p = op->params;
    vecq_onednn_arg args[VECQ_ONEDNN_ARGS - 1];
    const vecq_dnnl_md *to = NULL;
    dnnl_primitive_desc_t pd = NULL;
    size_t i, n = op->n_inputs;
    dnnl_status_t made;
    int is_blocked;

    VECQ_TRY(concat_layouts(e, planner, op, md, &is_blocked, err));
    if (!is_blocked)
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_like(e, md[0], op->outputs[0]->dims, &to, err));
    if (to == NULL)
        return VECQ_OK;
    made = vecq_dnnl_concat(&e->make, (int)p->axis, (int)n, md, to, &pd);
    for (i = 0; i < n; i++)
        args[i] =
            (vecq_onednn_arg){.kind = DNNL_ARG_MULTIPLE_SRC + (int)i, .var = op->inputs[i], .md = md[i]};
    args[n] =
        (vecq_onednn_arg){.kind = DNNL_ARG_DST, .access = VECQ_ONEDNN_WRITE, .var = op->outputs[0], .md = to};
    return vecq_onednn_finish(e, planner, op, made, pd, args, n + 1, taken, err);
}

VECQ_ONEDNN_PLAN(concat)
{
    const vecq_dnnl_md *md[VECQ_ONEDNN_ARGS];

    if (op->n_inputs + 2 > VECQ_ONEDNN_ARGS)
        return VECQ_OK;
    return concat_plan(e, planner, op, md, taken, err);
}

VECQ_ONEDNN_PLAN(slice)
{
    const vecq_slice_params *p = op->params;
    const vecq_var *x = op->inputs[0], *y = op->outputs[0];
    const vecq_dnnl_md *md = NULL, *part = NULL, *to = NULL;
    vecq_onednn_arg args[] = {{.kind = DNNL_ARG_FROM, .access = VECQ_ONEDNN_SLOT_READ},
                              {.kind = DNNL_ARG_TO, .access = VECQ_ONEDNN_WRITE, .var = y}};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made;
    unsigned i;

    if (!vecq_onednn_takes(x) || !vecq_onednn_takes(y))
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_plan_pixels(e, planner, op, taken, err));
    if (*taken)
        return VECQ_OK;
    for (i = 0; i < x->rank; i++)
        if (p->step[i] != 1)
            return VECQ_OK;
    VECQ_TRY(vecq_onednn_produced(e, planner, x, &md, err));
    if (vecq_onednn_layout(md) == NULL)
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_like(e, md, y->dims, &to, err));
    if (to == NULL || vecq_dnnl_md_part(&e->pool, md, y->dims, p->start, &part) != dnnl_success)
        return VECQ_OK;
    made = vecq_dnnl_reorder(&e->make, part, to, &pd);
    if (made == dnnl_success) {
        vecq_status status =
            vecq_planner_input(planner, x, &vecq_backend_onednn, vecq_onednn_layout(md), &args[0].slot, err);

        if (status != VECQ_OK) {
            dnnl_primitive_desc_destroy(pd);
            return status;
        }
    }
    args[0].md = part;
    args[1].md = to;
    return vecq_onednn_finish(e, planner, op, made, pd, args, 2, taken, err);
}
