/* SPDX-License-Identifier: Apache-2.0 */
/* From a variable back to the packed weight it is, and how their orders differ. */
#include <string.h>

#include "backend/lowbit/lowbit_private.h"
#include "base/alloc.h"
#include "base/status.h"

static int moves(const vecq_op *op)
{
    return op->kind == VECQ_OP_RESHAPE || op->kind == VECQ_OP_TRANSPOSE;
}

const vecq_op *vecq_lowbit_decode_of(const vecq_var *var)
{
    while (var->kind == VECQ_VAR_RESULT && moves(var->producer))
        var = var->producer->inputs[0];
    return var->kind == VECQ_VAR_RESULT && var->producer->kind == VECQ_OP_DECODE ? var->producer : NULL;
}

/* A Transpose that swaps a matrix of rows x cols into cols x rows, ones left out. */
static int is_turn(const vecq_op *op, size_t rows)
{
    const vecq_transpose_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    unsigned from[VECQ_MAX_RANK], n = 0, i;

    for (i = 0; i < x->rank; i++)
        if (x->dims[params->perm[i]] != 1 && n < VECQ_MAX_RANK)
            from[n++] = params->perm[i];
    return n == 2 && from[0] > from[1] && (size_t)x->dims[from[1]] == rows;
}

int vecq_lowbit_matrix(const vecq_var *var, int turned, size_t rows, vecq_lowbit_weight *out)
{
    const vecq_op *decode = vecq_lowbit_decode_of(var);
    int turns = 0;

    if (decode == NULL || rows == 0 || decode->outputs[0]->count % rows != 0)
        return 0;
    for (; var->producer != decode; var = var->producer->inputs[0]) {
        const vecq_op *op = var->producer;

        if (op->kind == VECQ_OP_RESHAPE)
            continue;
        if (turns++ > 0 || !is_turn(op, rows))
            return 0;
    }
    out->decode = decode;
    out->layout = &((const vecq_decode_params *)decode->params)->layout;
    out->rows = rows;
    out->cols = out->layout->count / rows;
    return turns == turned;
}

vecq_status vecq_lowbit_order(const vecq_var *var, uint32_t *index, vecq_error *err)
{
    const vecq_op *chain[16];
    uint32_t *other;
    size_t i, n = 0;

    for (i = 0; i < var->count; i++)
        index[i] = (uint32_t)i;
    for (; var->producer->kind != VECQ_OP_DECODE; var = var->producer->inputs[0])
        if (var->producer->kind == VECQ_OP_TRANSPOSE) {
            if (n == sizeof chain / sizeof *chain)
                return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "'%s' is transposed too often", var->name);
            chain[n++] = var->producer;
        }
    if (n == 0)
        return VECQ_OK;
    other = vecq_alloc(var->count, sizeof *other);
    if (other == NULL)
        return vecq_error_memory(err, var->count * sizeof *other);
    while (n-- > 0) {
        const vecq_transpose_params *params = chain[n]->params;

        memcpy(other, index, var->count * sizeof *other);
        vecq_transpose(other, index, sizeof *index, chain[n]->inputs[0]->rank, chain[n]->inputs[0]->dims,
                       params->perm);
    }
    vecq_free(other);
    return VECQ_OK;
}

void vecq_lowbit_codes(const vecq_op *decode, uint8_t *codes)
{
    const vecq_decode_params *params = decode->params;
    const uint8_t *fields[VECQ_FIELDS_MAX] = {NULL};
    unsigned f;

    for (f = 0; f < params->layout.strips.n_fields; f++)
        fields[f] = decode->inputs[f + 1]->constant.data;
    vecq_strips_unpack(&params->layout.strips, fields, codes);
}

const float *vecq_lowbit_scales(const vecq_op *decode)
{
    return decode->inputs[0]->constant.data;
}

vecq_status vecq_lowbit_vector(const vecq_var *var, size_t n, float *dst, int *known, vecq_error *err)
{
    const vecq_op *decode = vecq_lowbit_decode_of(var);
    const vecq_packed_layout *layout;
    uint8_t *codes;

    *known =
        var->count == n && var->dtype == VECQ_DT_FLOAT && (var->kind == VECQ_VAR_CONSTANT || decode != NULL);
    if (!*known)
        return VECQ_OK;
    if (decode == NULL) {
        memcpy(dst, var->constant.data, n * sizeof *dst);
        return VECQ_OK;
    }
    layout = &((const vecq_decode_params *)decode->params)->layout;
    codes = vecq_alloc(n, 1);
    if (codes == NULL)
        return vecq_error_memory(err, n);
    vecq_lowbit_codes(decode, codes);
    vecq_packed_values(layout, codes, vecq_lowbit_scales(decode), dst);
    vecq_free(codes);
    return VECQ_OK;
}
