/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/ops/recurrent.h"

#include <string.h>

#include "base/status.h"

/* ---- shapes ---- */

static vecq_status check_shape(const vecq_op *op, size_t input, const char *what, unsigned rank,
                               const int64_t *dims, vecq_error *err)
{
    const vecq_var *var = input < op->n_inputs ? op->inputs[input] : NULL;
    vecq_var want = {.rank = rank};
    char text[96], other[96];

    if (var == NULL)
        return VECQ_OK;
    memcpy(want.dims, dims, rank * sizeof *dims);
    if (!vecq_var_same_shape(var, &want))
        return vecq_op_fail(err, "%s is %s, not %s", what, vecq_var_shape_text(var, text),
                            vecq_var_shape_text(&want, other));
    if (var->dtype != op->inputs[0]->dtype)
        return vecq_op_fail(err, "%s is %s, not %s", what, vecq_dtype_name(var->dtype),
                            vecq_dtype_name(op->inputs[0]->dtype));
    return VECQ_OK;
}

static vecq_status check_inputs(const vecq_op *op, int64_t directions, int64_t hidden, int64_t gates,
                                size_t n_states, vecq_error *err)
{
    const vecq_var *x = op->inputs[0];
    char text[96];
    size_t i;

    if (x->rank != 3 || !vecq_var_is_float(x))
        return vecq_op_fail(err, "x is %s %s; it must be float, steps x batch x size",
                            vecq_dtype_name(x->dtype), vecq_var_shape_text(x, text));
    if (hidden < 1 || hidden > INT32_MAX)
        return vecq_op_fail(err, "hidden_size is %lld", (long long)hidden);
    {
        const int64_t w[3] = {directions, gates * hidden, x->dims[2]}, r[3] = {directions, w[1], hidden};
        const int64_t b[2] = {directions, 2 * w[1]}, state[3] = {directions, x->dims[1], hidden};

        VECQ_TRY(check_shape(op, 1, "W", 3, w, err));
        VECQ_TRY(check_shape(op, 2, "R", 3, r, err));
        VECQ_TRY(check_shape(op, 3, "B", 2, b, err));
        for (i = 0; i < n_states; i++)
            VECQ_TRY(check_shape(op, 4 + i, i == 0 ? "initial_h" : "initial_c", 3, state, err));
    }
    return VECQ_OK;
}

/* ---- inputs ---- */

static vecq_status transpose(vecq_lower *l, const vecq_node *node, vecq_var *x, const unsigned *perm,
                             vecq_var **out, vecq_error *err)
{
    vecq_transpose_params params = {{0}};

    memcpy(params.perm, perm, x->rank * sizeof *perm);
    return vecq_program_op1(l->program, VECQ_OP_TRANSPOSE, vecq_node_label(node), x, &params, sizeof params,
                            out, err);
}

/* Known to be zeros: exporters write them out. A parameter counts as what it is now. */
static int is_zero(const vecq_var *var)
{
    const vecq_tensor *tensor = var->stored != NULL ? &var->stored->tensor : &var->constant;
    size_t i;

    if (tensor->dtype != VECQ_DT_FLOAT || tensor->count != var->count)
        return 0;
    for (i = 0; i < var->count; i++)
        if (((const float *)tensor->data)[i] != 0)
            return 0;
    return 1;
}

/* ---- what LSTM and GRU cover ---- */

static int is_usual_activation(const vecq_attr *attr, const char *const *activations, size_t n)
{
    size_t i;

    for (i = 0; attr != NULL && i < attr->n; i++) {
        const char *want = activations[i % n];

        if (attr->type != VECQ_ATTR_STRINGS || attr->strings[i].n != strlen(want) ||
            memcmp(attr->strings[i].data, want, attr->strings[i].n) != 0)
            return 0;
    }
    return 1;
}

/* Sequences as long as x, whatever batch the model was exported for. */
static int is_full_length(const vecq_var *lengths, int64_t steps)
{
    const int32_t *values = lengths->constant.data;
    size_t i;

    if (lengths->kind != VECQ_VAR_CONSTANT || lengths->dtype != VECQ_DT_INT32)
        return 0;
    for (i = 0; i < lengths->count; i++)
        if (values[i] != steps)
            return 0;
    return 1;
}

int vecq_recurrent_is_usual(const vecq_node *node, vecq_var *const *in, const char *const *activations,
                            size_t n)
{
    const unsigned step_axis = vecq_node_attr_int(node, "layout", 0) != 0 ? 1 : 0;
    const vecq_var *x = node->n_inputs > 0 ? in[0] : NULL;

    if (x == NULL || x->rank != 3)
        return 1; /* named later */
    return is_usual_activation(vecq_node_attr(node, "activations"), activations, n) &&
           vecq_node_attr(node, "clip") == NULL && vecq_node_attr_int(node, "input_forget", 0) == 0 &&
           (node->n_inputs < 5 || in[4] == NULL || is_full_length(in[4], x->dims[step_axis])) &&
           (node->n_inputs < 8 || in[7] == NULL || is_zero(in[7]));
}

/* A state that keeps a batch of one serves every sequence. */
static vecq_status read_state(vecq_lower *l, const vecq_node *node, vecq_recurrent *r, vecq_var *state,
                              vecq_var **out, vecq_error *err)
{
    static const unsigned perm[3] = {1, 0, 2};
    vecq_axis_params params = {.axis = 1};
    int64_t batch = r->x->dims[1];
    vecq_tensor tensor;
    vecq_var *index;

    if (state == NULL || is_zero(state)) {
        *out = NULL;
        return VECQ_OK;
    }
    if (state->rank == 3 && r->batch_first)
        VECQ_TRY(transpose(l, node, state, perm, &state, err));
    if (state->rank == 3 && state->dims[1] == 1 && batch > 1 && batch == l->batch) {
        VECQ_TRY(vecq_tensor_create(VECQ_DT_INT64, 1, &batch, &tensor, err));
        memset(tensor.data, 0, tensor.n_bytes);
        VECQ_TRY(vecq_program_constant(l->program, vecq_node_label(node), &tensor, &index, err));
        VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_GATHER, vecq_node_label(node), state, index, &params,
                                  sizeof params, &state, err));
    }
    *out = state;
    return VECQ_OK;
}

vecq_status vecq_recurrent_read(vecq_lower *l, const vecq_node *node, vecq_var *const *in, unsigned n_states,
                                vecq_recurrent *out, vecq_error *err)
{
    static const char *const directions[] = {"forward", "reverse", "bidirectional", NULL};
    static const unsigned perm[3] = {1, 0, 2};
    size_t n_in = node->n_inputs;
    char text[96];
    unsigned i;
    int direction;

    memset(out, 0, sizeof *out);
    if (n_in < 3 || in[0] == NULL || in[1] == NULL || in[2] == NULL)
        return vecq_op_fail(err, "an input is missing");
    VECQ_TRY(vecq_lower_attr_string(node, "direction", directions, &direction, err));
    out->direction = (vecq_lstm_direction)direction;
    out->directions = direction == VECQ_LSTM_BOTH ? 2 : 1;
    if (in[2]->rank != 3)
        return vecq_op_fail(err, "R is %s; it must have three dimensions", vecq_var_shape_text(in[2], text));
    out->hidden = vecq_node_attr_int(node, "hidden_size", in[2]->dims[2]);
    out->batch_first = vecq_node_attr_int(node, "layout", 0) != 0;
    out->x = in[0];
    if (in[0]->rank != 3)
        return vecq_op_fail(err, "x is %s; it must have three dimensions", vecq_var_shape_text(in[0], text));
    if (out->batch_first)
        VECQ_TRY(transpose(l, node, in[0], perm, &out->x, err));
    out->bias = n_in > 3 ? in[3] : NULL;
    for (i = 0; i < n_states; i++)
        VECQ_TRY(read_state(l, node, out, n_in > 5 + i ? in[5 + i] : NULL, &out->state[i], err));
    return VECQ_OK;
}

vecq_status vecq_recurrent_output(vecq_lower *l, const vecq_node *node, const vecq_recurrent *r, vecq_var *y,
                                  vecq_var *const *states, unsigned n_states, vecq_var **out, vecq_error *err)
{
    static const unsigned perm_y[4] = {2, 0, 1, 3}, perm_state[3] = {1, 0, 2};
    size_t i;

    for (i = 0; i < node->n_outputs && i < 1 + n_states; i++) {
        out[i] = i == 0 ? y : states[i - 1];
        if (r->batch_first && node->outputs[i] != NULL)
            VECQ_TRY(transpose(l, node, out[i], i == 0 ? perm_y : perm_state, &out[i], err));
    }
    return VECQ_OK;
}

/* x, w, r, b and the states; y, the states and the workspace; the gradients of y and of the states. */
#define STATES_MAX 2u
#define N_IN(s)    (4 + (s))
#define N_OUT(s)   (2 + (s))
#define N_BACK(s)  (N_IN(s) + N_OUT(s) + 1 + (s))

vecq_status vecq_recurrent_shape(vecq_op *op, vecq_lstm_direction direction, int64_t hidden, int64_t gates,
                                 size_t n_states, vecq_error *err)
{
    const vecq_var *x = op->inputs[0];
    int64_t directions = direction == VECQ_LSTM_BOTH ? 2 : 1, n;
    size_t i;

    VECQ_TRY(check_inputs(op, directions, hidden, gates, n_states, err));
    {
        const int64_t y[4] = {x->dims[0], directions, x->dims[1], hidden};

        VECQ_TRY(vecq_op_set_output(op, 0, x->dtype, 4, y, err));
        for (i = 0; i < n_states; i++)
            VECQ_TRY(vecq_op_set_output(op, 1 + i, x->dtype, 3, y + 1, err));
    }
    if (__builtin_mul_overflow((int64_t)op->outputs[0]->count, gates + 1, &n))
        return vecq_op_fail(err, "the workspace is too large");
    return vecq_op_set_output(op, 1 + n_states, x->dtype, 1, &n, err);
}

vecq_status vecq_recurrent_gradient(vecq_gradient *g, const vecq_op *op, vecq_op_kind kind,
                                    size_t params_bytes, size_t n_states, vecq_error *err)
{
    vecq_var *inputs[N_BACK(STATES_MAX)] = {NULL};
    vecq_op *back;
    size_t i;

    for (i = 0; i < op->n_inputs; i++)
        inputs[i] = op->inputs[i];
    for (i = 0; i < N_OUT(n_states); i++)
        inputs[N_IN(n_states) + i] = op->outputs[i];
    for (i = 0; i < 1 + n_states; i++)
        inputs[N_IN(n_states) + N_OUT(n_states) + i] = vecq_gradient_of(g, op->outputs[i]);
    VECQ_TRY(
        vecq_gradient_op(g, op, kind, inputs, N_BACK(n_states), op->params, params_bytes, 0, &back, err));
    for (i = 0; i < op->n_inputs; i++)
        if (op->inputs[i] != NULL)
            VECQ_TRY(vecq_gradient_add(g, op->inputs[i], back->outputs[i], err));
    return VECQ_OK;
}

vecq_status vecq_recurrent_grad_shape(vecq_op *op, size_t n_states, vecq_error *err)
{
    size_t at = N_IN(n_states), i;
    const vecq_var *w = op->inputs[1], *y_h = op->n_inputs == N_BACK(n_states) ? op->inputs[at + 1] : NULL;

    if (y_h == NULL || op->inputs[at] == NULL || op->inputs[at + 1 + n_states] == NULL || w->rank != 3)
        return vecq_op_fail(err, "it is the gradient of nothing");
    for (i = 0; i < 3; i++)
        VECQ_TRY(vecq_op_output_like(op, i, op->inputs[i], err));
    {
        const int64_t b[2] = {w->dims[0], 2 * w->dims[1]};

        VECQ_TRY(vecq_op_set_output(op, 3, w->dtype, 2, b, err));
    }
    for (i = 0; i < n_states; i++)
        VECQ_TRY(vecq_op_output_like(op, 4 + i, y_h, err));
    return VECQ_OK;
}
