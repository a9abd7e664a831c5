/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gemm and MatMul. The result is cut into tiles; for each, panels of the right operand are packed as double
 * and multiplied into sums that stay in registers. Each element is summed up along K in order, by one thread.
 */
#include <string.h>

#include "backend/ref/ref.h"
#include "base/status.h"
#include "base/threads.h"

#define TILE_M 32u
#define TILE_N 64u
#define TILE_K 64u
#define LANES  8u /* columns in registers */

typedef struct product {
    const void *a, *b, *c; /* c: bias or NULL */
    void *y;
    size_t m, n, k;
    size_t a_row, a_col, b_row, b_col; /* steps between elements of op(a), op(b) */
    size_t tiles_m, tiles_n;
    const vecq_op *op; /* for the axes before the matrices */
} product;

/* Offset of an operand's matrix for a matrix of the result. */
static size_t matrix_offset(const vecq_var *operand, const vecq_var *y, size_t index)
{
    size_t step = (size_t)(operand->dims[operand->rank - 1] * operand->dims[operand->rank - 2]), offset = 0;
    unsigned i;

    for (i = 3; i <= operand->rank; i++) {
        size_t have = (size_t)operand->dims[operand->rank - i], n = (size_t)y->dims[y->rank - i];

        if (have != 1)
            offset += index % n * step;
        index /= n;
        step *= have;
    }
    return offset;
}

#define PRODUCT(type, suffix)                                                                                \
    static void pack_##suffix(const product *p, const type *b, size_t k0, size_t nk, size_t j0, size_t nj,   \
                              double panel[TILE_K][TILE_N])                                                  \
    {                                                                                                        \
        size_t k, j;                                                                                         \
        for (k = 0; k < nk; k++) {                                                                           \
            const type *row = b + (k0 + k) * p->b_row + j0 * p->b_col;                                       \
            for (j = 0; j < nj; j++)                                                                         \
                panel[k][j] = (double)row[j * p->b_col];                                                     \
            for (; j < TILE_N; j++)                                                                          \
                panel[k][j] = 0;                                                                             \
        }                                                                                                    \
    }                                                                                                        \
    /* sums[0..n_rows) += rows of a times the panel */                                                       \
    static void multiply_##suffix(const product *p, const type *a, size_t n_rows, size_t nk, size_t nj,      \
                                  double panel[TILE_K][TILE_N], double sums[TILE_M][TILE_N])                 \
    {                                                                                                        \
        size_t i, j, k, v;                                                                                   \
        for (j = 0; j < nj; j += LANES)                                                                      \
            for (i = 0; i < n_rows; i++) {                                                                   \
                double acc[LANES];                                                                           \
                for (v = 0; v < LANES; v++)                                                                  \
                    acc[v] = sums[i][j + v];                                                                 \
                for (k = 0; k < nk; k++) {                                                                   \
                    const double x = (double)a[i * p->a_row + k * p->a_col];                                 \
                    for (v = 0; v < LANES; v++)                                                              \
                        acc[v] += x * panel[k][j + v];                                                       \
                }                                                                                            \
                for (v = 0; v < LANES; v++)                                                                  \
                    sums[i][j + v] = acc[v];                                                                 \
            }                                                                                                \
    }                                                                                                        \
    static void tile_##suffix(const product *p, size_t task)                                                 \
    {                                                                                                        \
        const size_t j0 = task % p->tiles_n * TILE_N, i0 = task / p->tiles_n % p->tiles_m * TILE_M;          \
        const size_t matrix = task / p->tiles_n / p->tiles_m;                                                \
        const size_t nj = p->n - j0 < TILE_N ? p->n - j0 : TILE_N;                                           \
        const size_t ni = p->m - i0 < TILE_M ? p->m - i0 : TILE_M;                                           \
        const vecq_var *y = p->op->outputs[0];                                                               \
        const type *a = (const type *)p->a + matrix_offset(p->op->inputs[0], y, matrix) + i0 * p->a_row;     \
        const type *b = (const type *)p->b + matrix_offset(p->op->inputs[1], y, matrix);                     \
        const type *c = p->c;                                                                                \
        type *dst = (type *)p->y + matrix * p->m * p->n;                                                     \
        double panel[TILE_K][TILE_N], sums[TILE_M][TILE_N];                                                  \
        size_t i, j, k0;                                                                                     \
        memset(sums, 0, sizeof sums);                                                                        \
        for (k0 = 0; k0 < p->k; k0 += TILE_K) {                                                              \
            const size_t nk = p->k - k0 < TILE_K ? p->k - k0 : TILE_K;                                       \
            pack_##suffix(p, b, k0, nk, j0, nj, panel);                                                      \
            multiply_##suffix(p, a + k0 * p->a_col, ni, nk, nj, panel, sums);                                \
        }                                                                                                    \
        for (i = 0; i < ni; i++)                                                                             \
            for (j = 0; j < nj; j++)                                                                         \
                dst[(i0 + i) * p->n + j0 + j] = (type)(sums[i][j] + (c != NULL ? (double)c[j0 + j] : 0));    \
    }                                                                                                        \
    static vecq_status product_##suffix(void *context, size_t begin, size_t end, unsigned thread,            \
                                        vecq_error *err)                                                     \
    {                                                                                                        \
        size_t t;                                                                                            \
        (void)thread;                                                                                        \
        (void)err;                                                                                           \
        for (t = begin; t < end; t++)                                                                        \
            tile_##suffix(context, t);                                                                       \
        return VECQ_OK;                                                                                      \
    }

PRODUCT(float, f32)
PRODUCT(double, f64)

static vecq_status run(const vecq_ref_call *call)
{
    const vecq_op *op = call->op;
    const vecq_matmul_params *params = op->params;
    const vecq_var *a = op->inputs[0], *b = op->inputs[1], *y = op->outputs[0];
    product p = {.a = call->in[0], .b = call->in[1], .y = call->out[0], .op = op};
    size_t a_width = (size_t)a->dims[a->rank - 1], b_width = (size_t)b->dims[b->rank - 1];

    if (call->out[0] == NULL || y->count == 0)
        return VECQ_OK;
    p.c = vecq_op_data_inputs(op) > 2 ? call->in[2] : NULL;
    p.m = (size_t)y->dims[y->rank - 2];
    p.n = (size_t)y->dims[y->rank - 1];
    p.k = (size_t)a->dims[a->rank - (params->trans_a ? 2 : 1)];
    p.a_row = params->trans_a ? 1 : a_width;
    p.a_col = params->trans_a ? a_width : 1;
    p.b_row = params->trans_b ? 1 : b_width;
    p.b_col = params->trans_b ? b_width : 1;
    p.tiles_m = (p.m + TILE_M - 1) / TILE_M;
    p.tiles_n = (p.n + TILE_N - 1) / TILE_N;
    return vecq_parallel_for(y->count / (p.m * p.n) * p.tiles_m * p.tiles_n, 1, call->run->threads,
                             y->dtype == VECQ_DT_DOUBLE ? product_f64 : product_f32, &p, call->err);
}

vecq_status vecq_ref_gemm(const vecq_ref_call *call)
{
    return run(call);
}

vecq_status vecq_ref_matmul(const vecq_ref_call *call)
{
    return run(call);
}
