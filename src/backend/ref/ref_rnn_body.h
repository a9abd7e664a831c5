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

/*
 * c[rows][cols] += a * b for `panels` panels side by side, of which only a single one may be cut off. rows
 * and panels are constants where it is called; rows * panels accumulators hide the latency of the additions.
 */
static inline __attribute__((always_inline)) void RNN(rnn_block)(unsigned rows, unsigned panels, size_t k,
                                                                 const real *a, size_t a_row, size_t a_column,
                                                                 const real *b, real *c, size_t c_row,
                                                                 size_t cols)
{
    RNN(rnn_vec) sum[RNN_SUMS];
    real part[RNN_PANEL] = {0};
    size_t p;
    unsigned i, j;

    for (i = 0; i < rows; i++)
        for (j = 0; j < panels; j++)
            if (cols >= RNN_PANEL) {
                sum[i * panels + j] = *(const RNN(rnn_vec) *)(c + i * c_row + j * RNN_PANEL);
            } else {
                memcpy(part, c + i * c_row, cols * sizeof *part);
                memcpy(&sum[i], part, sizeof part);
            }
    for (p = 0; p < k; p++)
        for (j = 0; j < panels; j++) {
            const RNN(rnn_vec) line = *(const RNN(rnn_vec) *)(b + (j * k + p) * RNN_PANEL);
            for (i = 0; i < rows; i++)
                sum[i * panels + j] += line * a[i * a_row + p * a_column];
        }
    for (i = 0; i < rows; i++)
        for (j = 0; j < panels; j++)
            if (cols >= RNN_PANEL)
                *(RNN(rnn_vec) *)(c + i * c_row + j * RNN_PANEL) = sum[i * panels + j];
            else
                memcpy(c + i * c_row, &sum[i], cols * sizeof(real));
}

/* All columns of a few rows. */
static inline __attribute__((always_inline)) void RNN(rnn_rows)(unsigned rows, unsigned panels, size_t n,
                                                                size_t k, const real *a, size_t a_row,
                                                                size_t a_column, const real *b, real *c,
                                                                size_t c_row)
{
    size_t at = 0;

    for (; at + panels * RNN_PANEL <= n; at += panels * RNN_PANEL)
        RNN(rnn_block)(rows, panels, k, a, a_row, a_column, b + at * k, c + at, c_row, n - at);
    for (; at < n; at += RNN_PANEL)
        RNN(rnn_block)(rows, 1, k, a, a_row, a_column, b + at * k, c + at, c_row, n - at);
}

/* c[m][n] += a[m][k] * b[k][n]; a(i, p) = a[i * a_row + p * a_column], b packed. */
static inline void RNN(rnn_multiply)(size_t m, size_t n, size_t k, const real *a, size_t a_row,
                                     size_t a_column, const real *b, real *c, size_t c_row)
{
    size_t full = m - m % RNN_ROWS, at, i;

    for (at = 0; at < n; at += RNN_PANEL) /* a panel stays in the cache for all rows */
        for (i = 0; i < full; i += RNN_ROWS)
            RNN(rnn_block)
            (RNN_ROWS, 1, k, a + i * a_row, a_row, a_column, b + at * k, c + i * c_row + at, c_row, n - at);
    a += full * a_row;
    c += full * c_row;
    if (m - full == 3)
        RNN(rnn_rows)(3, 1, n, k, a, a_row, a_column, b, c, c_row);
    else if (m - full == 2)
        RNN(rnn_rows)(2, 2, n, k, a, a_row, a_column, b, c, c_row);
    else if (m - full == 1)
        RNN(rnn_rows)(1, 4, n, k, a, a_row, a_column, b, c, c_row);
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
