/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BatchNormalization and InstanceNormalization.
 *
 * BatchNorm takes given statistics, BatchNormTrain those of the batch, with its biased variance. Running
 * statistics are kept by MovingAverage as ONNX says, running = momentum * running + (1 - momentum) * batch;
 * what goes into the running variance is the unbiased one, n / (n - 1) times the variance of the batch, as in
 * PyTorch and in the fused kernel of Keras.
 */
#include <string.h>

#include "base/status.h"
#include "graph/gradient.h"
#include "graph/lower.h"

/* x [N, C, ...], and n vectors of C elements from input `first`. */
static vecq_status norm_check(const vecq_op *op, size_t first, size_t n, vecq_error *err)
{
    const vecq_var *x = op->inputs[0];
    char shape[96];
    size_t i;

    if (!vecq_var_is_float(x) || x->rank < 2)
        return vecq_op_fail(err, "an input of type %s and shape %s", vecq_dtype_name(x->dtype),
                            vecq_var_shape_text(x, shape));
    for (i = first; i < first + n; i++)
        if (op->inputs[i]->dtype != x->dtype || op->inputs[i]->rank != 1 ||
            op->inputs[i]->dims[0] != x->dims[1])
            return vecq_op_fail(err, "input %zu is %s of shape %s; %lld channels", i,
                                vecq_dtype_name(op->inputs[i]->dtype),
                                vecq_var_shape_text(op->inputs[i], shape), (long long)x->dims[1]);
    return VECQ_OK;
}

vecq_status vecq_op_batch_norm_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(norm_check(op, 1, 4, err));
    return vecq_op_output_like(op, 0, op->inputs[0], err);
}

vecq_status vecq_op_batch_norm_train_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_var *x = op->inputs[0];
    size_t i;

    (void)program;
    VECQ_TRY(norm_check(op, 1, 2, err));
    if (x->count == 0)
        return vecq_op_fail(err, "statistics of a batch without elements");
    VECQ_TRY(vecq_op_output_like(op, 0, x, err));
    for (i = 1; i < 3; i++)
        VECQ_TRY(vecq_op_set_output(op, i, x->dtype, 1, &x->dims[1], err));
    return VECQ_OK;
}

/* x, dy, scale, mean, variance -> dx, dscale, dbias */
static vecq_status norm_grad_shape(vecq_op *op, vecq_error *err)
{
    const vecq_var *x = op->inputs[0], *dy = op->inputs[1];
    size_t i;

    VECQ_TRY(norm_check(op, 2, 3, err));
    if (!vecq_var_same_shape(x, dy) || x->dtype != dy->dtype)
        return vecq_op_fail(err, "not the shapes of its forward op");
    VECQ_TRY(vecq_op_output_like(op, 0, x, err));
    for (i = 1; i < 3; i++)
        VECQ_TRY(vecq_op_output_like(op, i, op->inputs[2], err));
    return VECQ_OK;
}

vecq_status vecq_op_batch_norm_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return norm_grad_shape(op, err);
}

vecq_status vecq_op_batch_norm_train_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    return norm_grad_shape(op, err);
}

static vecq_status norm_backward(vecq_gradient *g, const vecq_op *op, vecq_op_kind kind, vecq_var *mean,
                                 vecq_var *variance, vecq_error *err)
{
    vecq_var *inputs[5] = {op->inputs[0], vecq_gradient_of(g, op->outputs[0]), op->inputs[1], mean, variance};
    vecq_op *back;
    size_t i;

    if (inputs[1] == NULL)
        return VECQ_OK;
    VECQ_TRY(vecq_gradient_op(g, op, kind, inputs, 5, op->params, sizeof(vecq_norm_params), 0, &back, err));
    for (i = 0; i < 3; i++)
        VECQ_TRY(vecq_gradient_add(g, op->inputs[i], back->outputs[i], err));
    return VECQ_OK;
}

vecq_status vecq_op_batch_norm_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    if (vecq_gradient_wanted(g, op->inputs[3]) || vecq_gradient_wanted(g, op->inputs[4]))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "nothing flows back through given statistics: they must not depend on what is "
                              "trained");
    return norm_backward(g, op, VECQ_OP_BATCH_NORM_GRAD, op->inputs[3], op->inputs[4], err);
}

vecq_status vecq_op_batch_norm_train_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    if (vecq_gradient_of(g, op->outputs[1]) != NULL || vecq_gradient_of(g, op->outputs[2]) != NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "nothing flows back through statistics of a batch");
    return norm_backward(g, op, VECQ_OP_BATCH_NORM_TRAIN_GRAD, op->outputs[1], op->outputs[2], err);
}

vecq_status vecq_op_group_norm_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_group_norm_params *params = op->params;
    const vecq_var *x = op->inputs[0];

    (void)program;
    VECQ_TRY(norm_check(op, 1, 2, err));
    if (params->groups < 1 || x->dims[1] % params->groups != 0)
        return vecq_op_fail(err, "%lld groups of %lld channels", (long long)params->groups,
                            (long long)x->dims[1]);
    return vecq_op_output_like(op, 0, x, err);
}

/* The state is changed in place; the output means nothing and is not made. */
vecq_status vecq_op_moving_average_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_var *state = op->inputs[0], *value = op->inputs[1];
    const int64_t one = 1;

    (void)program;
    if (state->kind != VECQ_VAR_STATE)
        return vecq_op_fail(err, "'%s' is not a state", state->name);
    if (!vecq_var_is_float(state) || state->dtype != value->dtype || !vecq_var_same_shape(state, value))
        return vecq_op_fail(err, "state and value differ in type or shape");
    return vecq_op_set_output(op, 0, state->dtype, 1, &one, err);
}

/* ---- from ONNX ---- */

static vecq_status norm_train(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                              vecq_error *err)
{
    vecq_norm_params params = {.epsilon = (double)vecq_node_attr_float(node, "epsilon", 1e-5f)};
    vecq_average_params average = {.momentum = (double)vecq_node_attr_float(node, "momentum", 0.9f),
                                   .factor = 1};
    const char *name = vecq_node_label(node);
    size_t i, n;
    vecq_op *op, *update;

    if (!(average.momentum >= 0 && average.momentum <= 1))
        return vecq_op_fail(err, "momentum %g", average.momentum);
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_BATCH_NORM_TRAIN, name, in, 3, &params, sizeof params, 0,
                             &op, err));
    n = in[0]->count / (size_t)in[0]->dims[1];
    for (i = 1; i < 3; i++) {
        vecq_var *inputs[2] = {in[2 + i], op->outputs[i]};

        if (i == 2 && n > 1)
            average.factor = (double)n / (double)(n - 1);
        VECQ_TRY(vecq_program_op(l->program, VECQ_OP_MOVING_AVERAGE, in[2 + i]->name, inputs, 2, &average,
                                 sizeof average, 0, &update, err));
    }
    out[0] = op->outputs[0];
    return VECQ_OK;
}

/*
 * Whether statistics of the batch are used depends on what the program is for, not on the attribute
 * training_mode (opset 14), which tells how the model was exported; the further outputs of that mode are not
 * made. Running statistics that are no tensors of the model cannot follow training: they are taken as they
 * are.
 */
vecq_status vecq_lower_batch_norm(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                  vecq_error *err)
{
    vecq_norm_params params = {.epsilon = (double)vecq_node_attr_float(node, "epsilon", 1e-5f)};
    vecq_op *op;
    size_t i;

    if (node->version < 7)
        return vecq_error_set(
            err, VECQ_ERR_UNSUPPORTED,
            "its form of opset %lld is not supported: convert the model to opset 7 or later",
            (long long)node->version);
    if (node->version < 9 && vecq_node_attr_int(node, "spatial", 1) != 1)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "spatial=0 is not supported");
    for (i = 0; i < 5; i++)
        if (node->n_inputs <= i || in[i] == NULL)
            return vecq_op_fail(err, "input %zu is missing", i);
    for (i = 1; i < node->n_outputs && node->version >= 14; i++)
        if (node->outputs[i] != NULL && (node->outputs[i]->n_uses > 0 || node->outputs[i]->is_graph_output))
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "its running statistics (output %zu) are read",
                                  i);
    if (in[0]->rank < 2 || in[0]->dims[1] < 1)
        return vecq_op_fail(err, "an input with %u dimensions and no channels", in[0]->rank);
    if (l->options->is_training && !l->options->norm_is_frozen && !l->options->is_frozen &&
        in[3]->kind == VECQ_VAR_STATE && in[4]->kind == VECQ_VAR_STATE)
        return norm_train(l, node, in, out, err);
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_BATCH_NORM, vecq_node_label(node), in, 5, &params,
                             sizeof params, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

/* In training InstanceNormalization needs no op of its own: with batch and channels as one axis it is
 * BatchNormTrain, and scale and bias follow as a product and a sum. */
static vecq_status instance_norm_train(vecq_lower *l, const char *name, vecq_var *const *in, double epsilon,
                                       vecq_var **out, vecq_error *err)
{
    vecq_norm_params params = {.epsilon = epsilon};
    vecq_shape_params merged = {.rank = 3}, whole = {.rank = in[0]->rank}, vector = {.rank = in[0]->rank - 1};
    vecq_var *x = in[0], *vectors[2], *inputs[3];
    int64_t channels = x->dims[1];
    vecq_op *op;
    unsigned i;

    merged.dims[0] = 1;
    merged.dims[1] = x->dims[0] * channels;
    merged.dims[2] = (int64_t)x->count / merged.dims[1];
    memcpy(whole.dims, x->dims, sizeof whole.dims);
    for (i = 0; i < vector.rank; i++)
        vector.dims[i] = i == 0 ? channels : 1;
    for (i = 0; i < 2; i++) {
        VECQ_TRY(vecq_program_fill(l->program, name, x->dtype, 1, &merged.dims[1], i == 0 ? 1 : 0,
                                   &inputs[1 + i], err));
        VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_RESHAPE, name, in[1 + i], &vector, sizeof vector,
                                  &vectors[i], err));
    }
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_RESHAPE, name, x, &merged, sizeof merged, &inputs[0], err));
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_BATCH_NORM_TRAIN, name, inputs, 3, &params, sizeof params, 0,
                             &op, err));
    VECQ_TRY(
        vecq_program_op1(l->program, VECQ_OP_RESHAPE, name, op->outputs[0], &whole, sizeof whole, &x, err));
    VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_MUL, name, x, vectors[0], NULL, 0, &x, err));
    return vecq_program_op2(l->program, VECQ_OP_ADD, name, x, vectors[1], NULL, 0, out, err);
}

vecq_status vecq_lower_instance_norm(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                     vecq_var **out, vecq_error *err)
{
    double epsilon = (double)vecq_node_attr_float(node, "epsilon", 1e-5f);
    vecq_group_norm_params params = {.epsilon = epsilon};
    vecq_op *op;
    size_t i;

    for (i = 0; i < 3; i++)
        if (node->n_inputs <= i || in[i] == NULL)
            return vecq_op_fail(err, "input %zu is missing", i);
    if (in[0]->rank < 3 || in[0]->count == 0 || !vecq_var_is_float(in[0]))
        return vecq_op_fail(err, "an input of %zu numbers with %u dimensions", in[0]->count, in[0]->rank);
    for (i = 1; i < 3; i++)
        if (in[i]->rank != 1 || in[i]->dims[0] != in[0]->dims[1])
            return vecq_op_fail(err, "%zu elements in input %zu for %lld channels", in[i]->count, i,
                                (long long)in[0]->dims[1]);
    if (l->options->is_training)
        return instance_norm_train(l, vecq_node_label(node), in, epsilon, &out[0], err);
    params.groups = in[0]->dims[1];
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_GROUP_NORM, vecq_node_label(node), in, 3, &params,
                             sizeof params, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}
