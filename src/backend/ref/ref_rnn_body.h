/* SPDX-License-Identifier: Apache-2.0 */
/* Body of ref_rnn.h, included once for each type: `real`, RNN(name). */

typedef real RNN(rnn_vec)
    __attribute__((vector_size(RNN_PANEL * sizeof(real)), aligned(sizeof(real)), may_alias));

/* Packs b(i, j) = src[i * row + j * column] of k x n: panels of columns, k rows of RNN_PANEL each. */
static inline void RNN(rnn_pack)(const real *src, size_t row, size_t column, size_t k, size_t n, real *dst)
{
    size_t at, i, j;

    for (at = 0; at < n; at += RNN_PANEL)
        for (i = 0; i < k; i++)
            for (j = 0; j < RNN_PANEL; j++)
                *dst++ = at + j < n ? src[i * row + (at + j) * column] : 0;
}

/* c[rows][cols] += a * b for one panel; rows is a constant where it is called. */
static inline __attribute__((always_inline)) void RNN(rnn_block)(unsigned rows, size_t k, const real *a,
                                                                 size_t a_row, size_t a_column, const real *b,
                                                                 real *c, size_t c_row, size_t cols)
{
    RNN(rnn_vec) sum[RNN_ROWS];
    size_t p;
    unsigned i;

    for (i = 0; i < rows; i++)
        if (cols >= RNN_PANEL) {
            sum[i] = *(const RNN(rnn_vec) *)(c + i * c_row);
        } else {
            real part[RNN_PANEL] = {0};
            memcpy(part, c + i * c_row, cols * sizeof *part);
            memcpy(&sum[i], part, sizeof part);
        }
    for (p = 0; p < k; p++) {
        const RNN(rnn_vec) line = *(const RNN(rnn_vec) *)(b + p * RNN_PANEL);
        for (i = 0; i < rows; i++)
            sum[i] += line * a[i * a_row + p * a_column];
    }
    for (i = 0; i < rows; i++)
        if (cols >= RNN_PANEL)
            *(RNN(rnn_vec) *)(c + i * c_row) = sum[i];
        else
            memcpy(c + i * c_row, &sum[i], cols * sizeof(real));
}

/* c[m][n] += a[m][k] * b[k][n]; a(i, p) = a[i * a_row + p * a_column], b packed. */
static inline void RNN(rnn_multiply)(size_t m, size_t n, size_t k, const real *a, size_t a_row,
                                     size_t a_column, const real *b, real *c, size_t c_row)
{
    size_t at, i;

    for (at = 0; at < n; at += RNN_PANEL, b += k * RNN_PANEL) {
        size_t cols = n - at;

        for (i = 0; i + RNN_ROWS <= m; i += RNN_ROWS)
            RNN(rnn_block)(RNN_ROWS, k, a + i * a_row, a_row, a_column, b, c + i * c_row + at, c_row, cols);
        for (; i < m; i++)
            RNN(rnn_block)(1, k, a + i * a_row, a_row, a_column, b, c + i * c_row + at, c_row, cols);
    }
}

/*
 * Gradient of a weight, dst[m][n] = sum over steps t and rows r of  d[t][r][offset + i] * x[t][r][j].
 * x[t] is a matrix of batch x n with x_width between rows, or NULL for zeros; the d of step t begins at
 * d + t * batch * width.
 */
typedef struct RNN(rnn_outer) {
    size_t m, n, steps, batch;
    const real *d;
    size_t width, offset;
    const real *const *x;
    size_t x_width;
    real *dst;
} RNN(rnn_outer);

#define RNN_TILE 128u /* rows of dst that one task takes */

static inline size_t RNN(rnn_outer_tasks)(const RNN(rnn_outer) * w)
{
    return (w->m + RNN_TILE - 1) / RNN_TILE * ((w->n + RNN_PANEL - 1) / RNN_PANEL);
}

/* Sums of RNN_DEPTH rows at a time, added up in order. */
static inline void RNN(rnn_outer_task)(const RNN(rnn_outer) * w, size_t task)
{
    size_t panels = (w->n + RNN_PANEL - 1) / RNN_PANEL, column = task % panels * RNN_PANEL;
    size_t begin = task / panels * RNN_TILE, m = w->m - begin < RNN_TILE ? w->m - begin : RNN_TILE;
    size_t cols = w->n - column < RNN_PANEL ? w->n - column : RNN_PANEL, rows = w->steps * w->batch, at, i, j;
    real packed[RNN_DEPTH * RNN_PANEL], part[RNN_TILE * RNN_PANEL];
    real *dst = w->dst + begin * w->n + column;

    for (i = 0; i < m; i++)
        memset(dst + i * w->n, 0, cols * sizeof *dst);
    for (at = 0; at < rows; at += RNN_DEPTH) {
        size_t depth = rows - at < RNN_DEPTH ? rows - at : RNN_DEPTH;

        memset(packed, 0, depth * RNN_PANEL * sizeof *packed);
        for (i = 0; i < depth; i++) {
            const real *step = w->x[(at + i) / w->batch];
            if (step != NULL)
                memcpy(packed + i * RNN_PANEL, step + (at + i) % w->batch * w->x_width + column,
                       cols * sizeof *packed);
        }
        memset(part, 0, m * RNN_PANEL * sizeof *part);
        RNN(rnn_multiply)
        (m, RNN_PANEL, depth, w->d + at * w->width + w->offset + begin, 1, w->width, packed, part, RNN_PANEL);
        for (i = 0; i < m; i++)
            for (j = 0; j < cols; j++)
                dst[i * w->n + j] += part[i * RNN_PANEL + j];
    }
}

/* dst[j] = sum over rows of src[row * width + j], j < n, in double. */
static inline void RNN(rnn_sum_rows)(const real *src, size_t rows, size_t width, size_t n, real *dst)
{
    double sum[64];
    size_t at, i, j, part;

    for (at = 0; at < n; at += 64) {
        part = n - at < 64 ? n - at : 64;
        for (j = 0; j < part; j++)
            sum[j] = 0;
        for (i = 0; i < rows; i++)
            for (j = 0; j < part; j++)
                sum[j] += (double)src[i * width + at + j];
        for (j = 0; j < part; j++)
            dst[at + j] = (real)sum[j];
    }
}

#ifdef RNN_TILE
#undef RNN_TILE
#endif
