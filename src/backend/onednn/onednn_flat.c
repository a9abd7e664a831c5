/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ops of the plain backend that do the same to every element, wherever it lies: on values in a blocked layout
 * they run over the memory as it is, so that an activation quantizer between two convolutions costs no
 * reorders. The reference function is called with a copy of the op whose operands are rows of as many floats
 * as the layout has.
 *
 * A layout may be padded with zeros, which must stay zeros: ops that make something else of 0 are taken on
 * layouts without padding only.
 */
#include <string.h>

#include "backend/onednn/onednn_private.h"
#include "backend/ref/ref.h"
#include "base/alloc.h"
#include "base/status.h"

#define FLAT_IN  4
#define FLAT_OUT 1

typedef struct flat_rule {
    vecq_op_kind kind;
    vecq_status (*run)(const vecq_ref_call *call);
    unsigned each;  /* bit i: input i has an element for each of the output; the others are plain */
    int makes_each; /* the output too; otherwise it is plain */
    int keeps_zero;
} flat_rule;

static const flat_rule rules[] = {
    {VECQ_OP_QUANTIZE_ACTIVATION, vecq_ref_quantize_activation, 1, 1, 1},
    {VECQ_OP_QUANTIZE_ACTIVATION_GRAD, vecq_ref_quantize_activation_grad, 5, 1, 1},
    {VECQ_OP_MEASURE_ACTIVATION, vecq_ref_measure_activation, 1, 0, 1},
    {VECQ_OP_OBSERVE_ACTIVATION, vecq_ref_observe_activation, 1, 0, 0}, /* zeros count */
    {VECQ_OP_MAX, vecq_ref_max, 3, 1, 1},
    {VECQ_OP_MIN, vecq_ref_min, 3, 1, 1},
    {VECQ_OP_SIGN, vecq_ref_sign, 1, 1, 1},
    {VECQ_OP_FLOOR, vecq_ref_floor, 1, 1, 1},
    {VECQ_OP_CEIL, vecq_ref_ceil, 1, 1, 1},
    {VECQ_OP_ROUND, vecq_ref_round, 1, 1, 1},
    {VECQ_OP_ERF, vecq_ref_erf, 1, 1, 1},
    {VECQ_OP_ERF_GRAD, vecq_ref_erf_grad, 3, 1, 1},
    {VECQ_OP_HARD_SIGMOID, vecq_ref_hard_sigmoid, 1, 1, 0},
    {VECQ_OP_HARD_SIGMOID_GRAD, vecq_ref_hard_sigmoid_grad, 3, 1, 1},
    {VECQ_OP_SOFTPLUS, vecq_ref_softplus, 1, 1, 0},
    {VECQ_OP_LOG, vecq_ref_log, 1, 1, 0},
    {VECQ_OP_RECIPROCAL, vecq_ref_reciprocal, 1, 1, 0},
};

typedef struct flat_step {
    const flat_rule *rule;
    vecq_op op;
    vecq_var vars[FLAT_IN + FLAT_OUT];
    vecq_var *pointers[FLAT_IN + FLAT_OUT];
} flat_step;

static vecq_status flat_run(void *state, const void *const *reads, void *const *writes, const vecq_run *run,
                            vecq_error *err)
{
    const flat_step *s = state;
    vecq_ref_call call = {
        .op = &s->op, .in = reads, .out = writes, .state = writes + FLAT_OUT, .run = run, .err = err};

    return s->rule->run(&call);
}

/* The op with its elementwise operands as rows of n floats. */
static flat_step *flat_copy(const flat_rule *rule, const vecq_op *op, size_t n)
{
    flat_step *s = vecq_calloc(1, sizeof *s);
    size_t i;

    if (s == NULL)
        return NULL;
    s->rule = rule;
    s->op = *op;
    s->op.inputs = s->pointers;
    s->op.outputs = s->pointers + FLAT_IN;
    for (i = 0; i < FLAT_IN + FLAT_OUT; i++) {
        int is_input = i < FLAT_IN;
        const vecq_var *var = !is_input ? op->outputs[0] : i < op->n_inputs ? op->inputs[i] : NULL;

        if (var == NULL)
            continue;
        s->vars[i] = *var;
        s->pointers[i] = &s->vars[i];
        if (is_input ? rule->each >> i & 1 : (unsigned)rule->makes_each) {
            s->vars[i].rank = 1;
            s->vars[i].dims[0] = (int64_t)n;
            s->vars[i].count = n;
        }
    }
    return s;
}

/* The layout of the first elementwise operand that is not plain; NULL: nothing to do here. */
static vecq_status flat_layout(vecq_onednn *e, const vecq_planner *planner, const flat_rule *rule,
                               const vecq_op *op, const vecq_dnnl_md **out, vecq_error *err)
{
    const vecq_dnnl_md *md = NULL;
    size_t i;

    *out = NULL;
    for (i = 0; i < op->n_inputs; i++) {
        const vecq_var *x = op->inputs[i];

        if (x == NULL)
            return VECQ_OK;
        if ((rule->each >> i & 1) == 0)
            continue;
        if (!vecq_onednn_takes(x) || !vecq_var_same_shape(x, op->inputs[0]))
            return VECQ_OK;
        VECQ_TRY(vecq_onednn_produced(e, planner, x, &md, err));
        if (*out == NULL && vecq_onednn_layout(md) != NULL)
            *out = md;
    }
    if (*out != NULL && !rule->keeps_zero && vecq_dnnl_md_bytes(*out) != op->inputs[0]->count * sizeof(float))
        *out = NULL;
    return VECQ_OK;
}

static vecq_status flat_slots(vecq_planner *planner, const flat_rule *rule, const vecq_op *op,
                              const vecq_dnnl_md *md, vecq_slot *reads, vecq_slot *writes, vecq_error *err)
{
    const vecq_var *y = op->outputs[0];
    size_t i;

    for (i = 0; i < op->n_inputs; i++) {
        const vecq_var *x = op->inputs[i];

        VECQ_TRY(vecq_planner_input(planner, x, &vecq_backend_onednn, rule->each >> i & 1 ? md : NULL,
                                    &reads[i], err));
        writes[FLAT_OUT + i] = VECQ_NO_SLOT;
        if ((op->info->flags & VECQ_OPF_EFFECT) != 0 && x->stored != NULL)
            VECQ_TRY(vecq_planner_update(planner, x, &writes[FLAT_OUT + i], err));
    }
    writes[0] = VECQ_NO_SLOT;
    if (!vecq_onednn_is_used(y))
        return VECQ_OK;
    return vecq_planner_output_over(planner, y, &vecq_backend_onednn, rule->makes_each ? md : NULL,
                                    rule->makes_each ? vecq_dnnl_md_bytes(md) : 0,
                                    rule->makes_each ? reads[0] : VECQ_NO_SLOT, &writes[0], err);
}

VECQ_ONEDNN_PLAN(flat)
{
    vecq_slot reads[FLAT_IN], writes[FLAT_OUT + FLAT_IN];
    const flat_rule *rule = NULL;
    const vecq_dnnl_md *md = NULL;
    flat_step *step;
    size_t i;

    for (i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].kind == op->kind)
            rule = &rules[i];
    if (rule == NULL || op->n_inputs > FLAT_IN || op->n_outputs != FLAT_OUT)
        return VECQ_OK;
    VECQ_TRY(flat_layout(e, planner, rule, op, &md, err));
    if (md == NULL)
        return VECQ_OK;
    *taken = 1;
    VECQ_TRY(flat_slots(planner, rule, op, md, reads, writes, err));
    step = flat_copy(rule, op, vecq_dnnl_md_bytes(md) / sizeof(float));
    if (step == NULL)
        return vecq_error_memory(err, sizeof *step);
    return vecq_planner_step(planner, op, &vecq_backend_onednn, "plain C, in any layout", flat_run, step,
                             vecq_free, reads, op->n_inputs, writes, FLAT_OUT + op->n_inputs, err);
}
