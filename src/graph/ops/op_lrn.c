/* SPDX-License-Identifier: Apache-2.0 */
/* LRN needs no op of its own: the sum of squares over neighbouring channels is an AveragePool. */
#include "graph/ops/op_util.h"

typedef struct lrn_numbers {
    int64_t size;
    double alpha, beta, bias;
} lrn_numbers;

/* x / (bias + alpha / size * sum of x^2 over `size` channels)^beta. The sum of squares divided by its size is
 * an average over channels that counts what is beyond them. */
static vecq_status lrn(vecq_lower *l, const char *name, vecq_var *x, const lrn_numbers *n, vecq_var **out,
                       vecq_error *err)
{
    int64_t rest = (int64_t)x->count / (x->dims[0] * x->dims[1]);
    int64_t columns[4] = {x->dims[0], 1, x->dims[1], rest};
    vecq_pool_params params = {.spatial = 2,
                               .kernel = {n->size, 1},
                               .stride = {1, 1},
                               .dilation = {1, 1},
                               .pad_begin = {(n->size - 1) / 2, 0},
                               .pad_end = {n->size / 2, 0},
                               .include_pad = 1};
    vecq_op *pool;
    vecq_var *t;

    VECQ_TRY(vecq_program_op2(l->program, VECQ_OP_MUL, name, x, x, NULL, 0, &t, err));
    VECQ_TRY(vecq_lower_to_shape(l, name, t, 4, columns, &t, err));
    t->is_relu = 1;
    VECQ_TRY(vecq_program_op(l->program, VECQ_OP_AVERAGE_POOL, name, &t, 1, &params, sizeof params, 0, &pool,
                             err));
    VECQ_TRY(vecq_lower_to_shape(l, name, pool->outputs[0], x->rank, x->dims, &t, err));
    VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_MUL, name, t, n->alpha, &t, err));
    VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_ADD, name, t, n->bias, &t, err));
    VECQ_TRY(vecq_lower_with_number(l, VECQ_OP_POW, name, t, n->beta, &t, err));
    return vecq_program_op2(l->program, VECQ_OP_DIV, name, x, t, NULL, 0, out, err);
}

vecq_status vecq_lower_lrn(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                           vecq_error *err)
{
    lrn_numbers numbers = {.size = vecq_node_attr_int(node, "size", 0),
                           .alpha = (double)vecq_node_attr_float(node, "alpha", 1e-4f),
                           .beta = (double)vecq_node_attr_float(node, "beta", 0.75f),
                           .bias = (double)vecq_node_attr_float(node, "bias", 1.0f)};

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    if (in[0]->rank < 2 || in[0]->count == 0 || numbers.size < 1 || numbers.size > INT32_MAX)
        return vecq_op_fail(err, "size %lld, an input of %zu elements with %u dimensions",
                            (long long)numbers.size, in[0]->count, in[0]->rank);
    return lrn(l, vecq_node_label(node), in[0], &numbers, &out[0], err);
}
