/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Losses. Each makes one element, the mean over rows; a row is an example, or a position of it where logits
 * are [N, C, d...]. With p = softmax(z):
 *
 *     CrossEntropy        -sum_k t_k log p_k, t = (1 - eps) onehot(label) + eps / C     logits [N, C, d...],
 *                                                                                       labels int32 [N,
 * d...] BinaryCrossEntropy  -t log s(z) - (1 - t) log(1 - s(z)), t = (1 - eps) label + eps / 2 logits [N] or
 * [N, 1] MeanSquaredError    (a - b)^2, mean over all elements Distill             T^2 sum_k q_k (log q_k -
 * log p_k), q = softmax(teacher / T), p = softmax(student / T)
 *
 * A row whose label is -1 is padding: it is not counted, neither in the sum nor in the number of rows, and
 * its gradient is 0. When there are no other rows the loss is 0. Distill takes labels for that alone, as an
 * optional third input; MeanSquaredError knows no padding. Nothing flows back to labels and teachers.
 */
#include "graph/ops/op_util.h"

static vecq_status check_options(const vecq_op *op, vecq_error *err)
{
    const vecq_loss_params *params = op->params;

    if (!(params->label_smoothing >= 0 && params->label_smoothing < 1))
        return vecq_op_fail(err, "a label smoothing of %g; it must be in [0, 1)", params->label_smoothing);
    return VECQ_OK;
}

/* Labels int32 for the rows of logits [N, C, d...]. */
static vecq_status check_labels(const vecq_var *logits, const vecq_var *labels, vecq_error *err)
{
    char text[96], text_labels[96];

    if (labels->dtype != VECQ_DT_INT32)
        return vecq_op_fail(err, "labels of type %s, not int32", vecq_dtype_name(labels->dtype));
    if (labels->rank + 1 != logits->rank || labels->dims[0] != logits->dims[0] ||
        memcmp(labels->dims + 1, logits->dims + 2, (logits->rank - 2) * sizeof *labels->dims) != 0)
        return vecq_op_fail(err, "labels of %s for logits of %s", vecq_var_shape_text(labels, text_labels),
                            vecq_var_shape_text(logits, text));
    return VECQ_OK;
}

static vecq_status check_logits(const vecq_var *logits, vecq_error *err)
{
    char text[96];

    if (!vecq_var_is_float(logits))
        return vecq_op_fail(err, "logits of type %s", vecq_dtype_name(logits->dtype));
    if (logits->rank < 2 || logits->dims[1] < 1)
        return vecq_op_fail(err, "logits of %s; they must be [N, C, ...]", vecq_var_shape_text(logits, text));
    return VECQ_OK;
}

static vecq_status check_same(const vecq_var *a, const vecq_var *b, const char *what, vecq_error *err)
{
    char text_a[96], text_b[96];

    if (!vecq_var_is_float(a) || a->dtype != b->dtype || !vecq_var_same_shape(a, b))
        return vecq_op_fail(err, "%s of %s %s and %s %s", what, vecq_dtype_name(a->dtype),
                            vecq_var_shape_text(a, text_a), vecq_dtype_name(b->dtype),
                            vecq_var_shape_text(b, text_b));
    return VECQ_OK;
}

static vecq_status check_gradient(const vecq_op *op, vecq_error *err)
{
    const vecq_var *dloss = op->inputs[2];

    if (dloss->count != 1 || dloss->dtype != op->inputs[0]->dtype)
        return vecq_op_fail(err, "the gradient of the loss is not one number");
    return VECQ_OK;
}

/* ---- shapes ---- */

static vecq_status check_cross_entropy(const vecq_op *op, vecq_error *err)
{
    VECQ_TRY(check_options(op, err));
    VECQ_TRY(check_logits(op->inputs[0], err));
    return check_labels(op->inputs[0], op->inputs[1], err);
}

vecq_status vecq_op_cross_entropy_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(check_cross_entropy(op, err));
    return vecq_op_set_output(op, 0, op->inputs[0]->dtype, 0, NULL, err);
}

vecq_status vecq_op_cross_entropy_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(check_cross_entropy(op, err));
    VECQ_TRY(check_gradient(op, err));
    return vecq_op_output_like(op, 0, op->inputs[0], err);
}

/* One logit and one label for each row, in [N] or [N, 1]. */
static vecq_status check_binary(const vecq_op *op, vecq_error *err)
{
    const vecq_var *logits = op->inputs[0], *labels = op->inputs[1];
    char text[96], text_labels[96];

    VECQ_TRY(check_options(op, err));
    if (!vecq_var_is_float(logits))
        return vecq_op_fail(err, "logits of type %s", vecq_dtype_name(logits->dtype));
    if (logits->rank < 1 || logits->rank > 2 || (size_t)logits->dims[0] != logits->count)
        return vecq_op_fail(err, "logits of %s; they must be [N] or [N, 1]",
                            vecq_var_shape_text(logits, text));
    if (labels->dtype != VECQ_DT_INT32)
        return vecq_op_fail(err, "labels of type %s, not int32", vecq_dtype_name(labels->dtype));
    if (labels->rank < 1 || labels->dims[0] != logits->dims[0] || labels->count != logits->count)
        return vecq_op_fail(err, "labels of %s for logits of %s", vecq_var_shape_text(labels, text_labels),
                            vecq_var_shape_text(logits, text));
    return VECQ_OK;
}

vecq_status vecq_op_binary_cross_entropy_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(check_binary(op, err));
    return vecq_op_set_output(op, 0, op->inputs[0]->dtype, 0, NULL, err);
}

vecq_status vecq_op_binary_cross_entropy_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(check_binary(op, err));
    VECQ_TRY(check_gradient(op, err));
    return vecq_op_output_like(op, 0, op->inputs[0], err);
}

vecq_status vecq_op_mean_squared_error_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(check_same(op->inputs[0], op->inputs[1], "operands", err));
    return vecq_op_set_output(op, 0, op->inputs[0]->dtype, 0, NULL, err);
}

vecq_status vecq_op_mean_squared_error_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(check_same(op->inputs[0], op->inputs[1], "operands", err));
    VECQ_TRY(check_gradient(op, err));
    return vecq_op_output_like(op, 0, op->inputs[0], err);
}

/* labels NULL: there are none. */
static vecq_status check_distill(const vecq_op *op, const vecq_var *labels, vecq_error *err)
{
    const vecq_loss_params *params = op->params;

    if (!(params->temperature > 0 && params->temperature < 1e6))
        return vecq_op_fail(err, "a temperature of %g; it must be positive", params->temperature);
    VECQ_TRY(check_logits(op->inputs[0], err));
    VECQ_TRY(check_same(op->inputs[0], op->inputs[1], "student and teacher", err));
    return labels != NULL ? check_labels(op->inputs[0], labels, err) : VECQ_OK;
}

vecq_status vecq_op_distill_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(check_distill(op, op->n_inputs > 2 ? op->inputs[2] : NULL, err));
    return vecq_op_set_output(op, 0, op->inputs[0]->dtype, 0, NULL, err);
}

vecq_status vecq_op_distill_grad_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    (void)program;
    VECQ_TRY(check_distill(op, op->n_inputs > 3 ? op->inputs[3] : NULL, err));
    VECQ_TRY(check_gradient(op, err));
    return vecq_op_output_like(op, 0, op->inputs[0], err);
}

/* ---- gradients ---- */

/* inputs 0, 1, dloss, and what follows in the forward op */
static vecq_status loss_gradient(vecq_gradient *g, const vecq_op *op, vecq_op_kind kind, vecq_var **out,
                                 vecq_error *err)
{
    vecq_var *inputs[4] = {op->inputs[0], op->inputs[1], vecq_gradient_of(g, op->outputs[0]), NULL};
    size_t params_bytes = op->params != NULL ? sizeof(vecq_loss_params) : 0;
    vecq_op *made;

    if (op->n_inputs > 2)
        inputs[3] = op->inputs[2];
    VECQ_TRY(vecq_gradient_op(g, op, kind, inputs, op->n_inputs > 2 ? 4 : 3, op->params, params_bytes, 0,
                              &made, err));
    *out = made->outputs[0];
    return VECQ_OK;
}

static vecq_status first_gradient(vecq_gradient *g, const vecq_op *op, vecq_op_kind kind, vecq_error *err)
{
    vecq_var *d;

    if (!vecq_gradient_wanted(g, op->inputs[0]))
        return VECQ_OK;
    VECQ_TRY(loss_gradient(g, op, kind, &d, err));
    return vecq_gradient_add(g, op->inputs[0], d, err);
}

vecq_status vecq_op_cross_entropy_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return first_gradient(g, op, VECQ_OP_CROSS_ENTROPY_GRAD, err);
}

vecq_status vecq_op_binary_cross_entropy_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return first_gradient(g, op, VECQ_OP_BINARY_CROSS_ENTROPY_GRAD, err);
}

vecq_status vecq_op_distill_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    return first_gradient(g, op, VECQ_OP_DISTILL_GRAD, err);
}

/* That of b is the negative of that of a. */
vecq_status vecq_op_mean_squared_error_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *d;

    VECQ_TRY(loss_gradient(g, op, VECQ_OP_MEAN_SQUARED_ERROR_GRAD, &d, err));
    VECQ_TRY(vecq_gradient_add(g, op->inputs[0], d, err));
    if (!vecq_gradient_wanted(g, op->inputs[1]))
        return VECQ_OK;
    VECQ_TRY(vecq_grad_op1(g, op, VECQ_OP_NEG, d, NULL, 0, &d, err));
    return vecq_gradient_add(g, op->inputs[1], d, err);
}
