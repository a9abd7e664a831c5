/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one number: activations and the like. op_activation.c has their ONNX forms. */
#include "graph/ops/op_util.h"

/* ---- shapes: that of the input ---- */

static vecq_status unary_shape(vecq_op *op, int is_relu, vecq_error *err)
{
    const vecq_var *x = op->inputs[0];

    if (!vecq_var_is_float(x))
        return vecq_op_fail(err, "input of type %s", vecq_dtype_name(x->dtype));
    VECQ_TRY(vecq_op_output_like(op, 0, x, err));
    op->outputs[0]->is_relu = is_relu;
    return VECQ_OK;
}

#define UNARY_SHAPE(stem, is_relu)                                                                           \
    vecq_status vecq_op_##stem##_shape(vecq_program *program, vecq_op *op, vecq_error *err)                  \
    {                                                                                                        \
        (void)program;                                                                                       \
        return unary_shape(op, is_relu, err);                                                                \
    }
UNARY_SHAPE(relu, 1)
UNARY_SHAPE(sigmoid, 1)
UNARY_SHAPE(hard_sigmoid, 1)
UNARY_SHAPE(softplus, 1)
UNARY_SHAPE(exp, 1)
UNARY_SHAPE(sqrt, 1)
UNARY_SHAPE(abs, 1)
UNARY_SHAPE(leaky_relu, op->inputs[0]->is_relu)
UNARY_SHAPE(elu, op->inputs[0]->is_relu && ((const vecq_unary_params *)op->params)->b >= 0)
UNARY_SHAPE(hard_swish, op->inputs[0]->is_relu)
UNARY_SHAPE(tanh, op->inputs[0]->is_relu)
UNARY_SHAPE(erf, op->inputs[0]->is_relu)
UNARY_SHAPE(silu, op->inputs[0]->is_relu)
UNARY_SHAPE(gelu, op->inputs[0]->is_relu)
UNARY_SHAPE(reciprocal, op->inputs[0]->is_relu)
UNARY_SHAPE(floor, op->inputs[0]->is_relu)
UNARY_SHAPE(ceil, op->inputs[0]->is_relu)
UNARY_SHAPE(round, op->inputs[0]->is_relu)
UNARY_SHAPE(sign, op->inputs[0]->is_relu)
UNARY_SHAPE(sin, 0)
UNARY_SHAPE(cos, 0)
UNARY_SHAPE(tan, 0)
UNARY_SHAPE(asin, 0)
UNARY_SHAPE(acos, 0)
UNARY_SHAPE(atan, 0)
UNARY_SHAPE(sinh, 0)
UNARY_SHAPE(cosh, 0)
UNARY_SHAPE(asinh, 0)
UNARY_SHAPE(acosh, 0)
UNARY_SHAPE(atanh, 0)
UNARY_SHAPE(log, 0)
UNARY_SHAPE(neg, 0)

vecq_status vecq_op_clip_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_unary_params *params = op->params;

    (void)program;
    return unary_shape(op, params->a >= 0 || (op->inputs[0]->is_relu && params->b >= 0), err);
}

/* (dy, x or y) -> dx, all of one shape. */
static vecq_status unary_grad_shape(vecq_op *op, vecq_error *err)
{
    const vecq_var *dy = op->inputs[0], *x = op->inputs[1];

    if (!vecq_var_is_float(x) || dy->dtype != x->dtype || !vecq_var_same_shape(dy, x))
        return vecq_op_fail(err, "the gradient has another shape or type");
    return vecq_op_output_like(op, 0, x, err);
}

#define UNARY_GRAD_SHAPE(stem)                                                                               \
    vecq_status vecq_op_##stem##_shape(vecq_program *program, vecq_op *op, vecq_error *err)                  \
    {                                                                                                        \
        (void)program;                                                                                       \
        return unary_grad_shape(op, err);                                                                    \
    }
UNARY_GRAD_SHAPE(relu_grad)
UNARY_GRAD_SHAPE(sigmoid_grad)
UNARY_GRAD_SHAPE(tanh_grad)
UNARY_GRAD_SHAPE(leaky_relu_grad)
UNARY_GRAD_SHAPE(clip_grad)
UNARY_GRAD_SHAPE(elu_grad)
UNARY_GRAD_SHAPE(hard_sigmoid_grad)
UNARY_GRAD_SHAPE(hard_swish_grad)
UNARY_GRAD_SHAPE(erf_grad)

/* ---- gradients that are one op, of the result or of the input ---- */

static vecq_status fused_gradient(vecq_gradient *g, const vecq_op *op, vecq_op_kind kind, vecq_var *with,
                                  vecq_error *err)
{
    size_t params_bytes = op->params != NULL ? sizeof(vecq_unary_params) : 0;
    vecq_var *dx;

    VECQ_TRY(vecq_grad_op2(g, op, kind, vecq_gradient_of(g, op->outputs[0]), with, op->params, params_bytes,
                           &dx, err));
    return vecq_gradient_add(g, op->inputs[0], dx, err);
}

#define FUSED_GRADIENT(stem, symbol, with)                                                                   \
    vecq_status vecq_op_##stem##_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)              \
    {                                                                                                        \
        return fused_gradient(g, op, VECQ_OP_##symbol, with, err);                                           \
    }
FUSED_GRADIENT(relu, RELU_GRAD, op->outputs[0])
FUSED_GRADIENT(sigmoid, SIGMOID_GRAD, op->outputs[0])
FUSED_GRADIENT(tanh, TANH_GRAD, op->outputs[0])
/* The result tells as much as the input (y > 0 where x > 0; y inside the bounds where x is), and with it the
 * input need not be kept: these can be done in place. */
FUSED_GRADIENT(leaky_relu, LEAKY_RELU_GRAD,
               ((const vecq_unary_params *)op->params)->a >= 0 ? op->outputs[0] : op->inputs[0])
FUSED_GRADIENT(clip, CLIP_GRAD, op->outputs[0])
FUSED_GRADIENT(elu, ELU_GRAD, op->inputs[0])
FUSED_GRADIENT(hard_sigmoid, HARD_SIGMOID_GRAD, op->inputs[0])
FUSED_GRADIENT(hard_swish, HARD_SWISH_GRAD, op->inputs[0])
FUSED_GRADIENT(erf, ERF_GRAD, op->inputs[0])
FUSED_GRADIENT(exp, MUL, op->outputs[0])
FUSED_GRADIENT(log, DIV, op->inputs[0])

/* ---- gradients put together ---- */

/* dx = dy * sigmoid(x) */
vecq_status vecq_op_softplus_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *d;

    VECQ_TRY(vecq_grad_op1(g, op, VECQ_OP_SIGMOID, op->inputs[0], NULL, 0, &d, err));
    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_MUL, vecq_gradient_of(g, op->outputs[0]), d, NULL, 0, &d, err));
    return vecq_gradient_add(g, op->inputs[0], d, err);
}

/* dx = dy / (2 y) */
vecq_status vecq_op_sqrt_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *d;

    VECQ_TRY(vecq_grad_scale(g, op, vecq_gradient_of(g, op->outputs[0]), 0.5, &d, err));
    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_DIV, d, op->outputs[0], NULL, 0, &d, err));
    return vecq_gradient_add(g, op->inputs[0], d, err);
}

vecq_status vecq_op_neg_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *d;

    VECQ_TRY(vecq_grad_op1(g, op, VECQ_OP_NEG, vecq_gradient_of(g, op->outputs[0]), NULL, 0, &d, err));
    return vecq_gradient_add(g, op->inputs[0], d, err);
}

vecq_status vecq_op_abs_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *d;

    VECQ_TRY(vecq_grad_op1(g, op, VECQ_OP_SIGN, op->inputs[0], NULL, 0, &d, err));
    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_MUL, vecq_gradient_of(g, op->outputs[0]), d, NULL, 0, &d, err));
    return vecq_gradient_add(g, op->inputs[0], d, err);
}

/* dx = -dy * y^2 */
vecq_status vecq_op_reciprocal_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    vecq_var *y = op->outputs[0], *d;

    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_MUL, vecq_gradient_of(g, y), y, NULL, 0, &d, err));
    VECQ_TRY(vecq_grad_op2(g, op, VECQ_OP_MUL, d, y, NULL, 0, &d, err));
    VECQ_TRY(vecq_grad_op1(g, op, VECQ_OP_NEG, d, NULL, 0, &d, err));
    return vecq_gradient_add(g, op->inputs[0], d, err);
}
