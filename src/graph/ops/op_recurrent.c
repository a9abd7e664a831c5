/* SPDX-License-Identifier: Apache-2.0 */
/* Recurrent: RNN, and LSTM and GRU with peepholes, sequence lengths, other activations, clip, input_forget.
 */
#include <string.h>
#include <strings.h>

#include "base/status.h"
#include "graph/gradient.h"
#include "graph/ops/op_util.h"
#include "graph/ops/recurrent.h"

#define N_IN 8u /* x, w, r, b, h0, c0, lengths, peepholes */

static const unsigned n_gates[] = {1, 4, 3}, n_functions[] = {1, 3, 2};

/* ---- shapes ---- */

static vecq_status check_input(const vecq_op *op, size_t input, vecq_dtype dtype, unsigned rank,
                               const int64_t *dims, vecq_error *err)
{
    const vecq_var *var = input < op->n_inputs ? op->inputs[input] : NULL;
    char text[96];

    if (var == NULL)
        return VECQ_OK;
    if (var->dtype != dtype || var->rank != rank || memcmp(var->dims, dims, rank * sizeof *dims) != 0)
        return vecq_op_fail(err, "'%s' is %s %s, which does not fit the other inputs", var->name,
                            vecq_dtype_name(var->dtype), vecq_var_shape_text(var, text));
    return VECQ_OK;
}

vecq_status vecq_op_recurrent_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_recurrent_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    const int64_t d = params->direction == VECQ_LSTM_BOTH ? 2 : 1, h = params->hidden;
    const int64_t gates = n_gates[params->kind] * h;

    (void)program;
    if (!vecq_var_is_float(x) || x->rank != 3 || h < 1 || h > INT32_MAX)
        return vecq_op_fail(err, "x is %s with %u dimensions, hidden_size %lld", vecq_dtype_name(x->dtype),
                            x->rank, (long long)h);
    {
        const int64_t w[3] = {d, gates, x->dims[2]}, r[3] = {d, gates, h}, b[2] = {d, 2 * gates};
        const int64_t state[3] = {d, x->dims[1], h}, p[2] = {d, 3 * h};
        const int64_t y[4] = {x->dims[0], d, x->dims[1], h};

        VECQ_TRY(check_input(op, 1, x->dtype, 3, w, err));
        VECQ_TRY(check_input(op, 2, x->dtype, 3, r, err));
        VECQ_TRY(check_input(op, 3, x->dtype, 2, b, err));
        VECQ_TRY(check_input(op, 4, x->dtype, 3, state, err));
        VECQ_TRY(check_input(op, 5, x->dtype, 3, state, err));
        VECQ_TRY(check_input(op, 6, VECQ_DT_INT32, 1, x->dims + 1, err));
        VECQ_TRY(check_input(op, 7, x->dtype, 2, p, err));
        VECQ_TRY(vecq_op_set_output(op, 0, x->dtype, 4, y, err));
        VECQ_TRY(vecq_op_set_output(op, 1, x->dtype, 3, state, err));
        return vecq_op_set_output(op, 2, x->dtype, 3, state, err);
    }
}

/* ---- from ONNX ---- */

typedef struct function_row {
    const char *name;
    int takes_a, takes_b;
    double a, b;
} function_row;

static const function_row function_rows[] = {/* by vecq_cell_function */
                                             {"Sigmoid", 0, 0, 0, 0},      {"Tanh", 0, 0, 0, 0},
                                             {"Relu", 0, 0, 0, 0},         {"Affine", 1, 1, 1, 0},
                                             {"LeakyRelu", 1, 0, 0.01, 0}, {"ThresholdedRelu", 1, 0, 1, 0},
                                             {"ScaledTanh", 1, 1, 1, 1},   {"HardSigmoid", 1, 1, 0.2, 0.5},
                                             {"Elu", 1, 0, 1, 0},          {"Softsign", 0, 0, 0, 0},
                                             {"Softplus", 0, 0, 0, 0}};

#define N_FUNCTIONS (sizeof function_rows / sizeof *function_rows)

static vecq_status find_function(vecq_span name, size_t *out, vecq_error *err)
{
    for (*out = 0; *out < N_FUNCTIONS; ++*out)
        if (strlen(function_rows[*out].name) == name.n &&
            strncasecmp(function_rows[*out].name, (const char *)name.data, name.n) == 0)
            return VECQ_OK;
    return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "activation '%.*s' is not covered",
                          name.n < 60 ? (int)name.n : 60, (const char *)name.data);
}

/* The next number of a list, or what the function has without one. */
static double next_number(const vecq_attr *attr, size_t *at, int is_taken, double missing)
{
    if (!is_taken || attr == NULL || attr->type != VECQ_ATTR_FLOATS || *at >= attr->n)
        return missing;
    return (double)attr->floats[(*at)++];
}

/* activation_alpha and activation_beta go to the functions that have them, in their order. */
static vecq_status read_activations(const vecq_node *node, vecq_recurrent_params *params, vecq_error *err)
{
    static const vecq_cell_function usual[3][3] = {{VECQ_CELL_TANH},
                                                   {VECQ_CELL_SIGMOID, VECQ_CELL_TANH, VECQ_CELL_TANH},
                                                   {VECQ_CELL_SIGMOID, VECQ_CELL_TANH}};
    const vecq_attr *names = vecq_node_attr(node, "activations");
    const vecq_attr *alpha = vecq_node_attr(node, "activation_alpha"),
                    *beta = vecq_node_attr(node, "activation_beta");
    size_t d, k, f, n = n_functions[params->kind], n_alpha = 0, n_beta = 0;
    size_t directions = params->direction == VECQ_LSTM_BOTH ? 2 : 1;

    if (names != NULL && (names->type != VECQ_ATTR_STRINGS || names->n != n * directions))
        return vecq_op_fail(err, "activations does not name %zu functions", n * directions);
    for (d = 0; d < directions; d++)
        for (k = 0; k < n; k++) {
            vecq_cell_activation *to = &params->activations[d][k];

            f = usual[params->kind][k];
            if (names != NULL)
                VECQ_TRY(find_function(names->strings[d * n + k], &f, err));
            to->function = (vecq_cell_function)f;
            to->a = next_number(alpha, &n_alpha, function_rows[f].takes_a, function_rows[f].a);
            to->b = next_number(beta, &n_beta, function_rows[f].takes_b, function_rows[f].b);
        }
    return VECQ_OK;
}

vecq_status vecq_recurrent_general(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                   vecq_cell_kind kind, vecq_var **out, vecq_error *err)
{
    const unsigned n_states = kind == VECQ_CELL_LSTM ? 2 : 1;
    vecq_recurrent_params params;
    vecq_recurrent r;
    vecq_op *op;

    VECQ_TRY(vecq_recurrent_read(l, node, in, n_states, &r, err));
    memset(&params, 0, sizeof params);
    params.kind = kind;
    params.direction = r.direction;
    params.hidden = r.hidden;
    params.clip = (double)vecq_node_attr_float(node, "clip", 0);
    params.input_forget = vecq_node_attr_int(node, "input_forget", 0) != 0;
    params.linear_before_reset = vecq_node_attr_int(node, "linear_before_reset", 0) != 0;
    VECQ_TRY(read_activations(node, &params, err));
    {
        vecq_var *inputs[N_IN] = {r.x,
                                  in[1],
                                  in[2],
                                  r.bias,
                                  r.state[0],
                                  r.state[1],
                                  node->n_inputs > 4 ? in[4] : NULL,
                                  kind == VECQ_CELL_LSTM && node->n_inputs > 7 ? in[7] : NULL};

        VECQ_TRY(vecq_program_op(l->program, VECQ_OP_RECURRENT, vecq_node_label(node), inputs, N_IN, &params,
                                 sizeof params, 0, &op, err));
    }
    return vecq_recurrent_output(l, node, &r, op->outputs[0], op->outputs + 1, n_states, out, err);
}

vecq_status vecq_lower_rnn(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    return vecq_recurrent_general(l, node, in, VECQ_CELL_RNN, out, err);
}
