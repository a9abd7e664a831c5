/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that keep the elements and change the shape or the order of the axes. */
#include <string.h>

#include "graph/fold_call.h"

vecq_status vecq_fold_op_identity(vecq_fold_call *call)
{
    const vecq_tensor *x;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    return vecq_fold_pass(call, 0, x->rank, x->dims);
}

/* Inference form only: the data go through. Training mode would be random. */
vecq_status vecq_fold_op_dropout(vecq_fold_call *call)
{
    const vecq_tensor *x, *training = call->node->version >= 12 ? vecq_fold_optional(call, 2) : NULL;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    if (training != NULL && (training->dtype != VECQ_DT_BOOL || training->count != 1))
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "training_mode is not a bool");
    if (training != NULL && *(const uint8_t *)training->data != 0)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "training mode is random");
    if (call->n_out > 1 && call->wanted[1]) {
        if (call->node->version < 10)
            return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "the mask of this version is not defined");
        VECQ_TRY(vecq_fold_create(call, &call->out[1], VECQ_DT_BOOL, x->rank, x->dims));
        memset(call->out[1].data, 1, call->out[1].n_bytes);
    }
    return call->wanted[0] ? vecq_fold_pass(call, 0, x->rank, x->dims) : VECQ_OK;
}

/* Fills the -1; the other dimensions must leave exactly what is missing. */
static vecq_status reshape_infer(vecq_fold_call *call, const vecq_tensor *x, int64_t *dims, unsigned rank,
                                 int inferred)
{
    size_t count;

    if (inferred >= 0)
        dims[inferred] = 1;
    if (!vecq_shape_count(dims, rank, &count))
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the new shape is not a shape");
    if (inferred >= 0) {
        if (count == 0 || x->count % count != 0)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT,
                                  "the -1 of the new shape has no value for %zu elements", x->count);
        dims[inferred] = (int64_t)(x->count / count);
        count = x->count;
    }
    if (count != x->count)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "%zu elements do not fit a shape of %zu", x->count,
                              count);
    return VECQ_OK;
}

vecq_status vecq_fold_op_reshape(vecq_fold_call *call)
{
    const vecq_tensor *x;
    vecq_fold_list shape;
    int64_t dims[VECQ_MAX_RANK] = {0}, allowzero = 0;
    int inferred = -1, zeros = 0;
    unsigned i;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_list_moved(call, "shape", 1, 5, &shape));
    if (!shape.given)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the new shape is missing");
    if (call->node->version >= 14)
        VECQ_TRY(vecq_fold_int(call, "allowzero", 0, &allowzero));
    if (shape.n > VECQ_MAX_RANK)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "rank %zu is above %u", shape.n, VECQ_MAX_RANK);
    for (i = 0; i < shape.n; i++) {
        dims[i] = shape.v[i];
        if (dims[i] == -1) {
            if (inferred >= 0)
                return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the new shape has more than one -1");
            inferred = (int)i;
        } else if (dims[i] == 0 && allowzero) {
            zeros = 1;
        } else if (dims[i] == 0) {
            if (i >= x->rank)
                return vecq_fold_fail(call, VECQ_ERR_FORMAT,
                                      "dimension %u is copied from a tensor of rank %u", i, x->rank);
            dims[i] = x->dims[i];
        }
    }
    if (inferred >= 0 && zeros)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "allowzero with both 0 and -1 in the new shape");
    VECQ_TRY(reshape_infer(call, x, dims, (unsigned)shape.n, inferred));
    return vecq_fold_pass(call, 0, (unsigned)shape.n, dims);
}

vecq_status vecq_fold_op_flatten(vecq_fold_call *call)
{
    const vecq_tensor *x;
    int64_t axis, dims[2];

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_int(call, "axis", 1, &axis));
    if (axis < -(int64_t)x->rank || axis > (int64_t)x->rank)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "axis %lld of a tensor of rank %u", (long long)axis,
                              x->rank);
    if (axis < 0)
        axis += x->rank;
    dims[0] = (int64_t)vecq_fold_span(x->dims, 0, (unsigned)axis);
    dims[1] = (int64_t)vecq_fold_span(x->dims, (unsigned)axis, x->rank);
    return vecq_fold_pass(call, 0, 2, dims);
}

vecq_status vecq_fold_op_squeeze(vecq_fold_call *call)
{
    const vecq_tensor *x;
    vecq_fold_list axes;
    unsigned char marks[VECQ_MAX_RANK];
    int64_t dims[VECQ_MAX_RANK] = {0};
    unsigned rank = 0, a;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_list_moved(call, "axes", 1, 13, &axes));
    VECQ_TRY(vecq_fold_axes(call, &axes, x->rank, marks));
    for (a = 0; a < x->rank; a++) {
        int gone = axes.given ? marks[a] : x->dims[a] == 1;
        if (gone && x->dims[a] != 1)
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "axis %u has length %lld, not 1", a,
                                  (long long)x->dims[a]);
        if (!gone)
            dims[rank++] = x->dims[a];
    }
    return vecq_fold_pass(call, 0, rank, dims);
}

vecq_status vecq_fold_op_unsqueeze(vecq_fold_call *call)
{
    const vecq_tensor *x;
    vecq_fold_list axes;
    unsigned char marks[VECQ_MAX_RANK];
    int64_t dims[VECQ_MAX_RANK] = {0};
    unsigned rank, a, from = 0;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_list_moved(call, "axes", 1, 13, &axes));
    if (!axes.given)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "axes are missing");
    rank = x->rank + (unsigned)axes.n;
    if (rank > VECQ_MAX_RANK)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "rank %u is above %u", rank, VECQ_MAX_RANK);
    VECQ_TRY(vecq_fold_axes(call, &axes, rank, marks));
    for (a = 0; a < rank; a++)
        dims[a] = marks[a] ? 1 : x->dims[from++];
    return vecq_fold_pass(call, 0, rank, dims);
}

/* out axis i = x axis perm[i], for a tensor seen under other dims (DepthToSpace splits axes first). */
static vecq_status transpose_to(vecq_fold_call *call, const vecq_tensor *x, unsigned rank,
                                const int64_t *dims, const unsigned *perm, unsigned out_rank,
                                const int64_t *out_dims)
{
    VECQ_TRY(vecq_fold_create(call, &call->out[0], x->dtype, out_rank, out_dims));
    vecq_transpose(x->data, call->out[0].data, vecq_fold_size(x->dtype), rank, dims, perm);
    return VECQ_OK;
}

vecq_status vecq_fold_op_transpose(vecq_fold_call *call)
{
    const vecq_tensor *x;
    vecq_fold_list list;
    unsigned char seen[VECQ_MAX_RANK] = {0};
    unsigned perm[VECQ_MAX_RANK], a;
    int64_t dims[VECQ_MAX_RANK] = {0};

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_list_attr(call, "perm", &list));
    if (list.given && list.n != x->rank)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "perm has %zu entries for rank %u", list.n, x->rank);
    for (a = 0; a < x->rank; a++) {
        int64_t from = list.given ? list.v[a] : (int64_t)(x->rank - 1 - a);
        if (from < 0 || from >= (int64_t)x->rank || seen[from])
            return vecq_fold_fail(call, VECQ_ERR_FORMAT, "perm is not a permutation");
        seen[from] = 1;
        perm[a] = (unsigned)from;
        dims[a] = x->dims[from];
    }
    return transpose_to(call, x, x->rank, x->dims, perm, x->rank, dims);
}

/*
 * DepthToSpace: [N, C, H, W] seen as [N, b, b, C', H, W] (DCR) or [N, C', b, b, H, W] (CRD), written as
 * [N, C', H, b, W, b]. SpaceToDepth is the way back.
 */
vecq_status vecq_fold_op_depth_space(vecq_fold_call *call)
{
    static const char *const modes[] = {"DCR", "CRD", NULL};
    static const unsigned perms[3][6] = {{0, 3, 4, 1, 5, 2}, {0, 1, 4, 2, 5, 3}, {0, 3, 5, 1, 2, 4}};
    static const unsigned back_crd[6] = {0, 1, 3, 5, 2, 4};
    const vecq_tensor *x;
    int64_t b, n, c, h, w;
    int mode = 0, deep = call->variant == VECQ_FOLD_SPACE_TO_DEPTH;

    VECQ_TRY(vecq_fold_input(call, 0, &x));
    VECQ_TRY(vecq_fold_int(call, "blocksize", 0, &b));
    if (call->node->version >= (deep ? 28 : 11))
        VECQ_TRY(vecq_fold_string(call, "mode", modes, &mode));
    if (x->rank != 4 || b < 1 || b > (x->count == 0 ? 255 : INT32_MAX)) /* no product below overflows */
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "needs rank 4 and a sensible blocksize");
    n = x->dims[0], c = x->dims[1], h = x->dims[2], w = x->dims[3];
    if (deep ? h % b != 0 || w % b != 0 : c % (b * b) != 0)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the shape is no multiple of blocksize %lld",
                              (long long)b);
    if (deep) {
        const int64_t split[6] = {n, c, h / b, b, w / b, b}, dims[4] = {n, c * b * b, h / b, w / b};
        return transpose_to(call, x, 6, split, mode ? back_crd : perms[2], 4, dims);
    } else {
        const int64_t deepest = c / (b * b), dims[4] = {n, deepest, h * b, w * b};
        const int64_t dcr[6] = {n, b, b, deepest, h, w}, crd[6] = {n, deepest, b, b, h, w};
        return transpose_to(call, x, 6, mode ? crd : dcr, perms[mode], 4, dims);
    }
}
