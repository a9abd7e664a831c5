/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/work.h"

static uint64_t per_row(const vecq_var *w)
{
    return w->rank > 0 && w->dims[0] > 0 ? w->count / (uint64_t)w->dims[0] : 0;
}

uint64_t vecq_op_macs(const vecq_op *op)
{
    const vecq_var *x = op->n_inputs > 0 ? op->inputs[0] : NULL;
    const vecq_var *w = op->n_inputs > 1 ? op->inputs[1] : NULL;
    const vecq_matmul_params *product = op->params;

    if (x == NULL || w == NULL || op->n_outputs == 0)
        return 0;
    switch (op->kind) {
    case VECQ_OP_CONV:
        return op->outputs[0]->count * per_row(w);
    case VECQ_OP_CONV_TRANSPOSE:
        return x->count * per_row(w);
    case VECQ_OP_GEMM:
    case VECQ_OP_MATMUL:
        return op->outputs[0]->count *
               (uint64_t)x->dims[product != NULL && product->trans_a ? x->rank - 2 : x->rank - 1];
    case VECQ_OP_LSTM:
    case VECQ_OP_GRU: /* x [T, B, I]: every step multiplies by all of w and r */
        return op->n_inputs > 2 && op->inputs[2] != NULL
                   ? (uint64_t)(x->dims[0] * x->dims[1]) * (w->count + op->inputs[2]->count)
                   : 0;
    default:
        return 0;
    }
}
