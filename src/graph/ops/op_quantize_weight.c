/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights, quantized anew in every step from their float master copy (docs/methods/vecq.md). The gradient of
 * VecQ's quantizer is the identity, nothing masked (the paper's straight-through estimator); learned steps
 * have the gradient of LSQ (Esser et al., "Learned Step Size Quantization", ICLR 2020) on the half-odd grid.
 *
 * A searched lambda is kept as the ratio of step and deviation, so that between two searches the step follows
 * the weights; whoever evaluates or writes the weights uses the same ratio.
 */
#include <limits.h>
#include <string.h>

#include "base/status.h"
#include "graph/gradient.h"
#include "graph/ops/quantized.h"
#include "graph/slices.h"

/* ---- shapes ---- */

static vecq_status weight_check(const vecq_op *op, vecq_error *err)
{
    const vecq_quantize_params *params = op->params;
    const vecq_var *w = op->inputs[0];
    size_t i;

    if (params == NULL || params->item == NULL)
        return vecq_op_fail(err, "no plan says how");
    if (w->dtype != VECQ_DT_FLOAT)
        return vecq_op_fail(err, "weights are %s, not float32", vecq_dtype_name(w->dtype));
    if (w->count != params->item->count)
        return vecq_op_fail(err, "%zu weights, the plan has %zu", w->count, params->item->count);
    for (i = 1; i < 2 && i < op->n_inputs; i++)
        if (op->inputs[i] != NULL &&
            (op->inputs[i]->dtype != VECQ_DT_FLOAT || op->inputs[i]->count != params->item->n_slices))
            return vecq_op_fail(err, "%zu %s parameters for %zu slices", op->inputs[i]->count,
                                vecq_dtype_name(op->inputs[i]->dtype), params->item->n_slices);
    return VECQ_OK;
}

vecq_status vecq_op_search_lambda_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(weight_check(op, err));
    return vecq_op_output_like(op, 0, op->inputs[1], err);
}

vecq_status vecq_op_quantize_weight_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(weight_check(op, err));
    return vecq_op_output_like(op, 0, op->inputs[0], err);
}

vecq_status vecq_op_quantize_step_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_quantize_params *params = op->params;

    (void)program;
    VECQ_TRY(weight_check(op, err));
    if (params->item->method->grid != VECQ_GRID_HALF_ODD)
        return vecq_op_fail(err, "method %s has no step to learn", params->item->method->name);
    return vecq_op_output_like(op, 0, op->inputs[0], err);
}

vecq_status vecq_op_quantize_step_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(weight_check(op, err));
    if (!vecq_var_same_shape(op->inputs[0], op->inputs[2]) || op->inputs[2]->dtype != VECQ_DT_FLOAT)
        return vecq_op_fail(err, "the gradient has another shape than the weights");
    VECQ_TRY(vecq_op_output_like(op, 0, op->inputs[0], err));
    return vecq_op_output_like(op, 1, op->inputs[1], err);
}

/* ---- gradients ---- */

vecq_status vecq_op_quantize_weight_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]);

    return dy != NULL ? vecq_gradient_add(g, op->inputs[0], dy, err) : VECQ_OK;
}

vecq_status vecq_op_quantize_step_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *inputs[3] = {op->inputs[0], op->inputs[1], vecq_gradient_of(g, op->outputs[0])};
    vecq_op *back;

    if (inputs[2] == NULL)
        return VECQ_OK;
    VECQ_TRY(vecq_gradient_op(g, op, VECQ_OP_QUANTIZE_STEP_GRAD, inputs, 3, op->params,
                              sizeof(vecq_quantize_params), 0, &back, err));
    VECQ_TRY(vecq_gradient_add(g, op->inputs[0], back->outputs[0], err));
    return vecq_gradient_add(g, op->inputs[1], back->outputs[1], err);
}

/* ---- what lies in the store ---- */

/* One address inside the value for each kind of tensor and width: unique keys without a list of their own. */
enum { KEY_LAMBDAS = 1, KEY_STEPS = 33 };

static const void *weight_key(const vecq_value *value, unsigned kind, unsigned bits)
{
    return (const char *)value + kind + bits;
}

vecq_stored *vecq_quantized_steps(const vecq_store *store, const vecq_value *weight, unsigned bits)
{
    return vecq_store_by_key(store, weight_key(weight, KEY_STEPS, bits));
}

vecq_stored *vecq_quantized_lambdas(const vecq_store *store, const vecq_value *weight, unsigned bits)
{
    return vecq_store_by_key(store, weight_key(weight, KEY_LAMBDAS, bits));
}

static vecq_status give_one(const vecq_stored *stored, const vecq_plan_item *item, const float **out,
                            vecq_error *err)
{
    if (stored == NULL)
        return VECQ_OK;
    if (stored->tensor.dtype != VECQ_DT_FLOAT || stored->tensor.count != item->n_slices)
        return vecq_error_set(err, VECQ_ERR_USAGE, "tensor '%s': '%s' has %zu entries for %zu slices",
                              item->value->name, stored->name, stored->tensor.count, item->n_slices);
    *out = stored->tensor.data;
    return VECQ_OK;
}

static int steps_are_learned(const vecq_plan_item *item)
{
    /* Biases begin at 0, where no step can be found, and are few: they are fitted in every step. */
    return !item->site.is_bias && item->method->grid == VECQ_GRID_HALF_ODD;
}

static int lambda_is_searched(const vecq_plan_item *item)
{
    return item->method->uses_lambda && item->lambda == VECQ_LAMBDA_SEARCH && item->bits > 1;
}

vecq_status vecq_quantized_give(vecq_plan *plan, const vecq_store *store, int learned_steps, vecq_error *err)
{
    size_t i;

    for (i = 0; i < plan->n; i++) {
        vecq_plan_item *item = &plan->items[i];

        item->lambdas = item->steps = NULL;
        if (!item->is_selected || item->reason != NULL)
            continue;
        if (learned_steps && steps_are_learned(item))
            VECQ_TRY(give_one(vecq_quantized_steps(store, item->value, item->bits), item, &item->steps, err));
        else if (lambda_is_searched(item))
            VECQ_TRY(
                give_one(vecq_quantized_lambdas(store, item->value, item->bits), item, &item->lambdas, err));
    }
    return VECQ_OK;
}

static vecq_status slot_make(vecq_lower *l, const vecq_plan_item *item, unsigned kind, const char *suffix,
                             vecq_stored **out, int *is_new, vecq_error *err)
{
    const void *key = weight_key(item->value, kind, item->bits);
    int64_t dims = (int64_t)item->n_slices;
    vecq_tensor tensor;
    const char *name;

    *out = vecq_store_by_key(l->store, key);
    *is_new = *out == NULL;
    if (!*is_new)
        return VECQ_OK;
    name = vecq_arena_printf(&l->program->arena, "%s/%s%u", item->value->name, suffix, item->bits);
    if (name == NULL)
        return vecq_error_memory(err, strlen(item->value->name));
    VECQ_TRY(vecq_tensor_create(VECQ_DT_FLOAT, 1, &dims, &tensor, err));
    memset(tensor.data, 0, tensor.n_bytes);
    return vecq_store_add(l->store, name, key, &tensor, out, err);
}

/* ---- lowering ---- */

/* A slice without weights other than 0 has scale 0, at which nothing can be learned: it begins with the mean
 * of the others, or so small that its values are nearly 0. */
static void steps_mend(float *steps, size_t n)
{
    double sum = 0;
    size_t i, n_positive = 0;

    for (i = 0; i < n; i++) {
        sum += (double)steps[i];
        n_positive += steps[i] > 0;
    }
    for (i = 0; i < n; i++)
        if (!(steps[i] > 0))
            steps[i] = n_positive > 0 ? (float)(sum / (double)n_positive) : 0x1p-10f;
}

static vecq_status steps_begin(const vecq_plan_item *item, const float *w, float *steps, vecq_error *err)
{
    vecq_slicing slicing = {.item = item};
    const float *matrix = w;
    float *copy = NULL;
    vecq_status status;

    if (item->layout.is_transposed) {
        copy = vecq_alloc(item->count, sizeof *copy);
        if (copy == NULL)
            return vecq_error_memory(err, item->count * sizeof *copy);
        vecq_layout_to_matrix(&item->layout, sizeof *copy, w, copy);
        matrix = copy;
    }
    status = vecq_slices_scales(&slicing, matrix, steps, err);
    vecq_free(copy);
    if (status == VECQ_OK)
        steps_mend(steps, item->n_slices);
    return status;
}

static vecq_status lower_steps(vecq_lower *l, const vecq_plan_item *item, vecq_var *w,
                               const vecq_quantize_params *params, const char *name, vecq_var **out,
                               vecq_error *err)
{
    const float *values = w->stored != NULL ? w->stored->tensor.data : w->constant.data;
    vecq_stored *stored = NULL;
    vecq_var *steps;
    int is_new;

    VECQ_TRY(slot_make(l, item, KEY_STEPS, "step", &stored, &is_new, err));
    if (is_new) {
        stored->is_trained = 1;
        stored->is_step = 1;
        stored->is_step = 1;
        VECQ_TRY(steps_begin(item, values, stored->tensor.data, err));
    }
    VECQ_TRY(vecq_program_stored(l->program, stored, &steps, err));
    return vecq_program_op2(l->program, VECQ_OP_QUANTIZE_STEP, name, w, steps, params, sizeof *params, out,
                            err);
}

vecq_status vecq_lower_quantized_weight(vecq_lower *l, const vecq_plan_item *item, vecq_var *w,
                                        vecq_var **out, vecq_error *err)
{
    vecq_quantize_params params = {
        .item = item, .search_every = l->options->search_every, .gradient_scale = 1.0};
    const char *name = vecq_arena_printf(&l->program->arena, "%s/quantized", item->value->name);
    vecq_var *inputs[2] = {w, NULL};
    vecq_stored *stored = NULL;
    vecq_op *op;
    int is_new;

    if (name == NULL)
        return vecq_error_memory(err, strlen(item->value->name));
    if (l->options->learned_steps && steps_are_learned(item))
        return lower_steps(l, item, w, &params, name, out, err);
    if (lambda_is_searched(item)) {
        VECQ_TRY(slot_make(l, item, KEY_LAMBDAS, "lambda", &stored, &is_new, err));
        VECQ_TRY(vecq_program_stored(l->program, stored, &inputs[1], err));
        if (w->kind != VECQ_VAR_PARAMETER)
            params.search_every = UINT_MAX; /* it does not change: once */
        if (l->options->is_training && !l->options->is_frozen)
            VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_SEARCH_LAMBDA, stored->name, w, inputs[1], &params,
                                      sizeof params, &inputs[1], err));
    }
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_QUANTIZE_WEIGHT, name, inputs, inputs[1] != NULL ? 2 : 1,
                             &params, sizeof params, 0, &op, err));
    *out = op->outputs[0];
    return VECQ_OK;
}
