/* SPDX-License-Identifier: Apache-2.0 */
/* MatMul and Gemm of small constants: plain loops, floats accumulated in double, integers modulo 2^64. */
#include <string.h>

#include "base/alloc.h"
#include "graph/fold_call.h"
#include "graph/fold_number.h"

/* c[m, n] = sum over k a[m, k] * b[k, n]; steps in elements. */
typedef struct product {
    const vecq_tensor *a, *b;
    vecq_fold_kind kind;
    size_t m, n, k;
    size_t a_m, a_k, b_k, b_n;
    size_t a_first, b_first;
} product;

/* The sum lands in sum->d[0] or sum->u[0]. */
static void product_one(const product *p, size_t i, size_t j, vecq_fold_block *sum)
{
    vecq_fold_block x, y;
    size_t first, n, l;
    double d = 0.0;
    uint64_t u = 0;
    int is_float = p->kind == VECQ_FOLD_F32 || p->kind == VECQ_FOLD_F64;

    for (first = 0; first < p->k; first += n) {
        n = p->k - first < VECQ_FOLD_BLOCK ? p->k - first : VECQ_FOLD_BLOCK;
        vecq_fold_load(p->a->dtype, p->a->data, p->a_first + i * p->a_m + first * p->a_k, p->a_k, n, &x);
        vecq_fold_load(p->b->dtype, p->b->data, p->b_first + j * p->b_n + first * p->b_k, p->b_k, n, &y);
        if (p->kind == VECQ_FOLD_F32)
            for (l = 0; l < n; l++)
                d += (double)x.f[l] * (double)y.f[l];
        else if (p->kind == VECQ_FOLD_F64)
            for (l = 0; l < n; l++)
                d += x.d[l] * y.d[l];
        else
            for (l = 0; l < n; l++)
                u += x.u[l] * y.u[l];
    }
    if (is_float)
        sum->d[0] = d;
    else
        sum->u[0] = u;
}

static vecq_status product_check(vecq_fold_call *call, const vecq_tensor *a, const vecq_tensor *b,
                                 vecq_fold_kind *kind)
{
    *kind = vecq_fold_kind_arith(a->dtype);
    if (a->dtype != b->dtype || *kind == VECQ_FOLD_NONE || a->dtype == VECQ_DT_BOOL)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "not defined for %s and %s", vecq_dtype_name(a->dtype),
                              vecq_dtype_name(b->dtype));
    return VECQ_OK;
}

/* Every multiplication is charged like the eight bytes it reads. */
static vecq_status product_charge(vecq_fold_call *call, size_t n_out, size_t k)
{
    size_t work;

    if (!vecq_mul_size(n_out, k, &work) || !vecq_mul_size(work, 8, &work))
        work = SIZE_MAX;
    return vecq_fold_charge(call, work);
}

vecq_status vecq_fold_op_matmul(vecq_fold_call *call)
{
    const vecq_tensor *a, *b, *batches[2];
    vecq_tensor heads[2] = {{0}, {0}}, *out = &call->out[0];
    product p = {0};
    vecq_fold_walk walk;
    vecq_fold_block sum;
    int64_t dims[VECQ_MAX_RANK];
    unsigned rank, a_vector, b_vector;
    size_t at = 0, i, j;

    VECQ_TRY(vecq_fold_input(call, 0, &a));
    VECQ_TRY(vecq_fold_input(call, 1, &b));
    VECQ_TRY(product_check(call, a, b, &p.kind));
    if (a->rank < 1 || b->rank < 1)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "a scalar operand");
    a_vector = a->rank == 1;
    b_vector = b->rank == 1;
    p.a = a, p.b = b;
    p.m = a_vector ? 1 : (size_t)a->dims[a->rank - 2];
    p.k = (size_t)a->dims[a->rank - 1];
    p.n = b_vector ? 1 : (size_t)b->dims[b->rank - 1];
    p.a_m = p.k, p.a_k = 1, p.b_k = p.n, p.b_n = 1;
    if ((size_t)b->dims[b_vector ? 0 : b->rank - 2] != p.k)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the inner dimensions differ");
    /* Broadcast the batch dimensions as if they were all there is. */
    heads[0].rank = a_vector ? 0 : a->rank - 2;
    heads[1].rank = b_vector ? 0 : b->rank - 2;
    memcpy(heads[0].dims, a->dims, sizeof a->dims);
    memcpy(heads[1].dims, b->dims, sizeof b->dims);
    batches[0] = &heads[0], batches[1] = &heads[1];
    VECQ_TRY(vecq_fold_broadcast(call, batches, 2, &rank, dims));
    if (rank + 2 > VECQ_MAX_RANK)
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "rank %u is above %u", rank + 2, VECQ_MAX_RANK);
    if (!a_vector)
        dims[rank] = (int64_t)p.m;
    if (!b_vector)
        dims[rank + !a_vector] = (int64_t)p.n;
    VECQ_TRY(vecq_fold_create(call, out, a->dtype, rank + !a_vector + !b_vector, dims));
    if (out->count == 0)
        return VECQ_OK;
    VECQ_TRY(product_charge(call, out->count, p.k));
    vecq_fold_walk_start(&walk, batches, 2, rank, dims);
    while (vecq_fold_walk_next(&walk, 1)) {
        p.a_first = walk.at[0] * p.m * p.k;
        p.b_first = walk.at[1] * p.k * p.n;
        for (i = 0; i < p.m; i++)
            for (j = 0; j < p.n; j++) {
                product_one(&p, i, j, &sum);
                vecq_fold_convert(&sum, 1, p.kind == VECQ_FOLD_F32 ? VECQ_FOLD_F64 : p.kind, p.kind);
                vecq_fold_store(out->dtype, &sum, 1, out->data, at++);
            }
    }
    return VECQ_OK;
}

typedef struct gemm_scalars {
    float alpha, beta;
    const vecq_tensor *c;
    size_t c_m, c_n; /* steps of C, 0 where it is broadcast */
} gemm_scalars;

static void gemm_fill(const product *p, const gemm_scalars *s, vecq_tensor *out)
{
    vecq_fold_block sum, c;
    vecq_fold_kind wide = p->kind == VECQ_FOLD_F32 ? VECQ_FOLD_F64 : p->kind;
    size_t i, j;

    for (i = 0; i < p->m; i++)
        for (j = 0; j < p->n; j++) {
            product_one(p, i, j, &sum);
            if (wide == VECQ_FOLD_F64)
                sum.d[0] *= (double)s->alpha;
            if (s->c != NULL) {
                vecq_fold_load(s->c->dtype, s->c->data, i * s->c_m + j * s->c_n, 1, 1, &c);
                vecq_fold_convert(&c, 1, p->kind, wide);
                if (wide == VECQ_FOLD_F64)
                    sum.d[0] += (double)s->beta * c.d[0];
                else
                    sum.u[0] += c.u[0];
            }
            vecq_fold_convert(&sum, 1, wide, p->kind);
            vecq_fold_store(out->dtype, &sum, 1, out->data, i * p->n + j);
        }
}

/* C is broadcast to [m, n], in one direction. */
static vecq_status gemm_bias(vecq_fold_call *call, const product *p, gemm_scalars *s)
{
    int64_t rows, columns;

    s->c = vecq_fold_optional(call, 2);
    if (s->c == NULL)
        return call->node->version >= 11 ? VECQ_OK
                                         : vecq_fold_fail(call, VECQ_ERR_FORMAT, "input 2 is missing");
    if (s->c->rank > 2 || s->c->dtype != p->a->dtype)
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "C has another type or a rank above 2");
    columns = s->c->rank > 0 ? s->c->dims[s->c->rank - 1] : 1;
    rows = s->c->rank > 1 ? s->c->dims[0] : 1;
    if ((rows != 1 && rows != (int64_t)p->m) || (columns != 1 && columns != (int64_t)p->n))
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "C does not broadcast to the result");
    s->c_n = columns != 1;
    s->c_m = rows != 1 ? (size_t)columns : 0;
    return VECQ_OK;
}

vecq_status vecq_fold_op_gemm(vecq_fold_call *call)
{
    const vecq_tensor *a, *b;
    product p = {0};
    gemm_scalars s = {0};
    int64_t trans_a, trans_b, dims[2];

    VECQ_TRY(vecq_fold_input(call, 0, &a));
    VECQ_TRY(vecq_fold_input(call, 1, &b));
    VECQ_TRY(product_check(call, a, b, &p.kind));
    VECQ_TRY(vecq_fold_int(call, "transA", 0, &trans_a));
    VECQ_TRY(vecq_fold_int(call, "transB", 0, &trans_b));
    VECQ_TRY(vecq_fold_float(call, "alpha", 1.0f, &s.alpha));
    VECQ_TRY(vecq_fold_float(call, "beta", 1.0f, &s.beta));
    if (a->rank != 2 || b->rank != 2 || a->dims[!trans_a] != b->dims[trans_b != 0])
        return vecq_fold_fail(call, VECQ_ERR_FORMAT, "the shapes of A and B do not match");
    if (p.kind != VECQ_FOLD_F32 && p.kind != VECQ_FOLD_F64 && (s.alpha != 1.0f || s.beta != 1.0f))
        return vecq_fold_fail(call, VECQ_ERR_UNSUPPORTED, "alpha and beta of integers");
    p.a = a, p.b = b;
    p.m = (size_t)a->dims[trans_a != 0];
    p.k = (size_t)a->dims[!trans_a];
    p.n = (size_t)b->dims[!trans_b];
    p.a_m = trans_a ? 1 : p.k;
    p.a_k = trans_a ? p.m : 1;
    p.b_k = trans_b ? 1 : p.n;
    p.b_n = trans_b ? p.k : 1;
    VECQ_TRY(gemm_bias(call, &p, &s));
    dims[0] = (int64_t)p.m, dims[1] = (int64_t)p.n;
    VECQ_TRY(vecq_fold_create(call, &call->out[0], a->dtype, 2, dims));
    VECQ_TRY(product_charge(call, call->out[0].count, p.k));
    gemm_fill(&p, &s, &call->out[0]);
    return VECQ_OK;
}
