/* SPDX-License-Identifier: Apache-2.0 */
/* Transpose, and the moves between depth and space that are made of it. */
#include "graph/ops/op_util.h"

vecq_status vecq_op_transpose_shape(vecq_program *program, vecq_op *op, vecq_error *err)
{
    const vecq_transpose_params *params = op->params;
    const vecq_var *x = op->inputs[0];
    int64_t dims[VECQ_MAX_RANK];
    unsigned a, seen = 0;

    (void)program;
    for (a = 0; a < x->rank; a++) {
        if (params->perm[a] >= x->rank || (seen >> params->perm[a] & 1u) != 0)
            return vecq_op_fail(err, "perm is no permutation of %u axes", x->rank);
        seen |= 1u << params->perm[a];
        dims[a] = x->dims[params->perm[a]];
    }
    VECQ_TRY(vecq_op_set_output(op, 0, x->dtype, x->rank, dims, err));
    op->outputs[0]->is_relu = x->is_relu;
    return VECQ_OK;
}

vecq_status vecq_op_transpose_gradient(vecq_gradient *g, const vecq_op *op, vecq_error *err)
{
    const vecq_transpose_params *params = op->params;
    vecq_transpose_params inverse = {{0}};
    vecq_var *dy = vecq_gradient_of(g, op->outputs[0]);
    vecq_op *back;
    unsigned a;

    if (dy == NULL || !vecq_gradient_wanted(g, op->inputs[0]))
        return VECQ_OK;
    for (a = 0; a < dy->rank; a++)
        inverse.perm[params->perm[a]] = a;
    VECQ_TRY(vecq_gradient_op(g, op, VECQ_OP_TRANSPOSE, &dy, 1, &inverse, sizeof inverse, 0, &back, err));
    return vecq_gradient_add(g, op->inputs[0], back->outputs[0], err);
}

/* ---- from ONNX ---- */

static vecq_status transpose_make(vecq_lower *l, const vecq_node *node, vecq_var *x,
                                  const vecq_transpose_params *params, vecq_var **out, vecq_error *err)
{
    unsigned a;

    for (a = 0; a < x->rank && params->perm[a] == a; a++)
        ;
    if (a == x->rank) { /* nothing moves */
        *out = x;
        return VECQ_OK;
    }
    return vecq_program_op1(l->program, VECQ_OP_TRANSPOSE, vecq_node_label(node), x, params, sizeof *params,
                            out, err);
}

vecq_status vecq_lower_transpose(vecq_lower *l, const vecq_node *node, vecq_var *const *in, vecq_var **out,
                                 vecq_error *err)
{
    const vecq_attr *attr = vecq_node_attr(node, "perm");
    vecq_transpose_params params = {{0}};
    unsigned a, rank;

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    rank = in[0]->rank;
    if (attr != NULL && (attr->type != VECQ_ATTR_INTS || attr->n != rank))
        return vecq_op_fail(err, "perm does not have an entry for each of %u axes", rank);
    for (a = 0; a < rank; a++) {
        int64_t axis = attr != NULL ? attr->ints[a] : (int64_t)(rank - 1 - a);

        VECQ_TRY(vecq_lower_axis(axis, rank, &params.perm[a], err));
    }
    return transpose_make(l, node, in[0], &params, &out[0], err);
}

/* Splits axes by a reshape to `split`, permutes, and joins by a reshape to `dims`. */
static vecq_status move_blocks(vecq_lower *l, const vecq_node *node, vecq_var *x, const int64_t *split,
                               const unsigned *perm, const int64_t *dims, vecq_var **out, vecq_error *err)
{
    const char *name = vecq_node_label(node);
    vecq_shape_params shape = {.rank = 6};
    vecq_transpose_params params = {{0}};

    memcpy(shape.dims, split, 6 * sizeof *split);
    memcpy(params.perm, perm, 6 * sizeof *perm);
    VECQ_TRY(vecq_program_op1(l->program, VECQ_OP_RESHAPE, name, x, &shape, sizeof shape, &x, err));
    VECQ_TRY(transpose_make(l, node, x, &params, &x, err));
    shape.rank = 4;
    memcpy(shape.dims, dims, 4 * sizeof *dims);
    return vecq_program_op1(l->program, VECQ_OP_RESHAPE, name, x, &shape, sizeof shape, out, err);
}

static vecq_status block_size(const vecq_node *node, vecq_var *const *in, int64_t *out, vecq_error *err)
{
    const vecq_var *x = in[0];

    VECQ_TRY(vecq_lower_need(node, in, 1, 1, err));
    *out = vecq_node_attr_int(node, "blocksize", 0);
    if (x->rank != 4)
        return vecq_op_fail(err, "the input has rank %u, not 4", x->rank);
    if (*out < 1 || *out > 1 << 15)
        return vecq_op_fail(err, "blocksize is %lld", (long long)*out);
    return VECQ_OK;
}

vecq_status vecq_lower_depth_to_space(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                      vecq_var **out, vecq_error *err)
{
    static const char *const modes[] = {"DCR", "CRD", NULL};
    static const unsigned perms[2][6] = {{0, 3, 4, 1, 5, 2}, {0, 1, 4, 2, 5, 3}};
    const int64_t *d;
    int64_t b, c;
    int mode;

    VECQ_TRY(block_size(node, in, &b, err));
    d = in[0]->dims;
    VECQ_TRY(vecq_lower_attr_string(node, "mode", modes, &mode, err));
    if (d[1] % (b * b) != 0)
        return vecq_op_fail(err, "%lld channels do not split into blocks of %lld x %lld", (long long)d[1],
                            (long long)b, (long long)b);
    c = d[1] / (b * b);
    {
        const int64_t dcr[6] = {d[0], b, b, c, d[2], d[3]}, crd[6] = {d[0], c, b, b, d[2], d[3]};
        const int64_t dims[4] = {d[0], c, d[2] * b, d[3] * b};

        return move_blocks(l, node, in[0], mode == 0 ? dcr : crd, perms[mode], dims, &out[0], err);
    }
}

vecq_status vecq_lower_space_to_depth(vecq_lower *l, const vecq_node *node, vecq_var *const *in,
                                      vecq_var **out, vecq_error *err)
{
    static const char *const modes[] = {"DCR", "CRD", NULL};
    static const unsigned perms[2][6] = {{0, 3, 5, 1, 2, 4}, {0, 1, 3, 5, 2, 4}};
    const int64_t *d;
    int64_t b;
    int mode;

    VECQ_TRY(block_size(node, in, &b, err));
    d = in[0]->dims;
    VECQ_TRY(vecq_lower_attr_string(node, "mode", modes, &mode, err));
    if (d[2] % b != 0 || d[3] % b != 0)
        return vecq_op_fail(err, "%lld x %lld does not split into blocks of %lld", (long long)d[2],
                            (long long)d[3], (long long)b);
    {
        const int64_t split[6] = {d[0], d[1], d[2] / b, b, d[3] / b, b};
        const int64_t dims[4] = {d[0], d[1] * b * b, d[2] / b, d[3] / b};

        return move_blocks(l, node, in[0], split, perms[mode], dims, &out[0], err);
    }
}
