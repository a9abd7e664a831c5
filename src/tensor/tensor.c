/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

typedef struct dtype_row {
    const char *name;
    unsigned bits;
} dtype_row;

static const dtype_row dtype_rows[VECQ_DT_COUNT] = {
    [VECQ_DT_UNDEFINED] = {"undefined", 0},
    [VECQ_DT_FLOAT] = {"float32", 32},
    [VECQ_DT_UINT8] = {"uint8", 8},
    [VECQ_DT_INT8] = {"int8", 8},
    [VECQ_DT_UINT16] = {"uint16", 16},
    [VECQ_DT_INT16] = {"int16", 16},
    [VECQ_DT_INT32] = {"int32", 32},
    [VECQ_DT_INT64] = {"int64", 64},
    [VECQ_DT_STRING] = {"string", 0},
    [VECQ_DT_BOOL] = {"bool", 8},
    [VECQ_DT_FLOAT16] = {"float16", 16},
    [VECQ_DT_DOUBLE] = {"float64", 64},
    [VECQ_DT_UINT32] = {"uint32", 32},
    [VECQ_DT_UINT64] = {"uint64", 64},
    [VECQ_DT_COMPLEX64] = {"complex64", 64},
    [VECQ_DT_COMPLEX128] = {"complex128", 128},
    [VECQ_DT_BFLOAT16] = {"bfloat16", 16},
    [VECQ_DT_FLOAT8E4M3FN] = {"float8e4m3fn", 8},
    [VECQ_DT_FLOAT8E4M3FNUZ] = {"float8e4m3fnuz", 8},
    [VECQ_DT_FLOAT8E5M2] = {"float8e5m2", 8},
    [VECQ_DT_FLOAT8E5M2FNUZ] = {"float8e5m2fnuz", 8},
    [VECQ_DT_UINT4] = {"uint4", 4},
    [VECQ_DT_INT4] = {"int4", 4},
    [VECQ_DT_FLOAT4E2M1] = {"float4e2m1", 4},
    [VECQ_DT_FLOAT8E8M0] = {"float8e8m0", 8},
    [VECQ_DT_UINT2] = {"uint2", 2},
    [VECQ_DT_INT2] = {"int2", 2},
};

const char *vecq_dtype_name(vecq_dtype dtype)
{
    return (unsigned)dtype < VECQ_DT_COUNT ? dtype_rows[dtype].name : "unknown";
}

unsigned vecq_dtype_bits(vecq_dtype dtype)
{
    return (unsigned)dtype < VECQ_DT_COUNT ? dtype_rows[dtype].bits : 0;
}

int vecq_dtype_is_weight(vecq_dtype dtype)
{
    return dtype == VECQ_DT_FLOAT || dtype == VECQ_DT_FLOAT16 || dtype == VECQ_DT_BFLOAT16 ||
           dtype == VECQ_DT_DOUBLE;
}

#define SHAPE_COUNT_MAX ((uint64_t)1 << 47)

int vecq_shape_count(const int64_t *dims, unsigned rank, size_t *count)
{
    uint64_t product = 1;
    int empty = 0;
    unsigned i;

    for (i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return 0;
        if (dims[i] == 0) {
            empty = 1;
            continue;
        }
        if ((uint64_t)dims[i] > SHAPE_COUNT_MAX / product)
            return 0;
        product *= (uint64_t)dims[i];
    }
    *count = empty ? 0 : (size_t)product;
    return 1;
}

size_t vecq_dtype_bytes(vecq_dtype dtype, size_t count)
{
    size_t bits = vecq_dtype_bits(dtype), total;

    if (!vecq_mul_size(count, bits, &total) || total > SIZE_MAX - 7)
        return 0;
    return (total + 7) / 8;
}

vecq_status vecq_tensor_create(vecq_dtype dtype, unsigned rank, const int64_t *dims, vecq_tensor *out,
                               vecq_error *err)
{
    vecq_tensor t = {0};

    memset(out, 0, sizeof *out);
    if (rank > VECQ_MAX_RANK || vecq_dtype_bits(dtype) == 0 || !vecq_shape_count(dims, rank, &t.count))
        return vecq_error_set(err, VECQ_ERR_FORMAT, "no dense %s tensor of rank %u and this shape can exist",
                              vecq_dtype_name(dtype), rank);
    t.dtype = dtype;
    t.rank = rank;
    if (rank > 0)
        memcpy(t.dims, dims, rank * sizeof *dims);
    t.n_bytes = vecq_dtype_bytes(dtype, t.count);
    if (t.n_bytes == 0 && t.count > 0)
        return vecq_error_memory(err, SIZE_MAX);
    t.data = vecq_alloc(t.n_bytes, 1);
    if (t.data == NULL)
        return vecq_error_memory(err, t.n_bytes);
    *out = t;
    return VECQ_OK;
}

vecq_status vecq_tensor_copy(const vecq_tensor *src, vecq_tensor *out, vecq_error *err)
{
    VECQ_TRY(vecq_tensor_create(src->dtype, src->rank, src->dims, out, err));
    memcpy(out->data, src->data, src->n_bytes);
    return VECQ_OK;
}

vecq_view vecq_tensor_view(const vecq_tensor *tensor)
{
    vecq_view view = {.dtype = tensor->dtype,
                      .rank = tensor->rank,
                      .count = tensor->count,
                      .n_bytes = tensor->n_bytes,
                      .data = tensor->data};

    memcpy(view.dims, tensor->dims, sizeof view.dims);
    return view;
}

void vecq_tensor_destroy(vecq_tensor *tensor)
{
    vecq_free(tensor->data);
    memset(tensor, 0, sizeof *tensor);
}

static float float_of_bits(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of_float(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof bits);
    return bits;
}

float vecq_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = h & 0x7fffu;

    if (rest >= 0x7c00u) /* infinity and NaN keep their payload */
        return float_of_bits(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    if (rest < 0x0400u) { /* subnormal: rest * 2^-24 exactly */
        float f = (float)rest * 0x1p-24f;
        return sign ? -f : f;
    }
    return float_of_bits(sign | ((rest << 13) + 0x38000000u));
}

uint16_t vecq_f32_to_f16(float f)
{
    uint32_t bits = bits_of_float(f), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;

    if (rest > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | (rest >> 13 & 0x3ffu)); /* quiet NaN */
    if (rest >= 0x477ff000u)                                       /* rounds to 2^16 or more */
        return (uint16_t)(sign | 0x7c00u);
    if (rest < 0x38800000u) { /* below 2^-14: let the addition round to a multiple of 2^-24 */
        float shifted = float_of_bits(rest) + 0.5f;
        return (uint16_t)(sign | (bits_of_float(shifted) - 0x3f000000u));
    }
    rest += 0xfffu + (rest >> 13 & 1u); /* nearest even */
    return (uint16_t)(sign | ((rest - 0x38000000u) >> 13));
}

float vecq_bf16_to_f32(uint16_t h)
{
    return float_of_bits((uint32_t)h << 16);
}

uint16_t vecq_f32_to_bf16(float f)
{
    uint32_t bits = bits_of_float(f);

    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x0040u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

void vecq_convert_to_f32(vecq_dtype dtype, const void *src, float *dst, size_t n)
{
    const unsigned char *p = src;
    size_t i;

    switch (dtype) {
    case VECQ_DT_FLOAT:
        if (n > 0)
            memcpy(dst, src, n * sizeof *dst);
        break;
    case VECQ_DT_FLOAT16:
    case VECQ_DT_BFLOAT16:
        for (i = 0; i < n; i++) {
            uint16_t h;
            memcpy(&h, p + 2 * i, 2);
            dst[i] = dtype == VECQ_DT_FLOAT16 ? vecq_f16_to_f32(h) : vecq_bf16_to_f32(h);
        }
        break;
    case VECQ_DT_DOUBLE:
        for (i = 0; i < n; i++) {
            double d;
            memcpy(&d, p + 8 * i, 8);
            dst[i] = (float)d;
        }
        break;
    default:
        break;
    }
}

void vecq_convert_from_f32(vecq_dtype dtype, const float *src, void *dst, size_t n)
{
    unsigned char *p = dst;
    size_t i;

    switch (dtype) {
    case VECQ_DT_FLOAT:
        if (n > 0)
            memcpy(dst, src, n * sizeof *src);
        break;
    case VECQ_DT_FLOAT16:
    case VECQ_DT_BFLOAT16:
        for (i = 0; i < n; i++) {
            uint16_t h = dtype == VECQ_DT_FLOAT16 ? vecq_f32_to_f16(src[i]) : vecq_f32_to_bf16(src[i]);
            memcpy(p + 2 * i, &h, 2);
        }
        break;
    case VECQ_DT_DOUBLE:
        for (i = 0; i < n; i++) {
            double d = (double)src[i];
            memcpy(p + 8 * i, &d, 8);
        }
        break;
    default:
        break;
    }
}

/*
 * dst[c * dst_stride + r] = src[r * src_stride + c]. A tile is gathered into a small buffer first: each cache
 * line is then touched in one go, whatever the strides, while lines a power of two apart, as matrices of deep
 * networks have them, would throw each other out of the cache if the tile were walked in place. The tiles of
 * a band follow each other down the rows, so that a page of dst is written for some lines before it is left.
 */
#define TRANSPOSE_TILE     16u
#define TRANSPOSE_BAND     64u
#define TRANSPOSE_SIZE_MAX 16u /* complex128 */

__attribute__((always_inline)) static inline void transpose_tile(const unsigned char *src, unsigned char *dst,
                                                                 size_t size, size_t rows, size_t cols,
                                                                 size_t src_step, size_t dst_step)
{
    unsigned char tile[TRANSPOSE_TILE * TRANSPOSE_TILE * TRANSPOSE_SIZE_MAX];
    size_t r, c;

    for (r = 0; r < rows; r++)
        memcpy(tile + r * TRANSPOSE_TILE * size, src + r * src_step, cols * size);
    for (c = 0; c < cols; c++)
        for (r = 0; r < rows; r++)
            memcpy(dst + c * dst_step + r * size, tile + (r * TRANSPOSE_TILE + c) * size, size);
}

__attribute__((always_inline)) static inline void transpose_plane(const unsigned char *src,
                                                                  unsigned char *dst, size_t size,
                                                                  size_t rows, size_t cols, size_t src_stride,
                                                                  size_t dst_stride)
{
    size_t band, r, c;

    for (band = 0; band < rows; band += TRANSPOSE_BAND)
        for (c = 0; c < cols; c += TRANSPOSE_TILE)
            for (r = band; r < rows && r < band + TRANSPOSE_BAND; r += TRANSPOSE_TILE) {
                const unsigned char *from = src + (r * src_stride + c) * size;
                unsigned char *to = dst + (c * dst_stride + r) * size;
                size_t n_rows = rows - r, n_cols = cols - c;

                if (n_rows >= TRANSPOSE_TILE && n_cols >= TRANSPOSE_TILE) /* fixed counts: unrolled */
                    transpose_tile(from, to, size, TRANSPOSE_TILE, TRANSPOSE_TILE, src_stride * size,
                                   dst_stride * size);
                else
                    transpose_tile(from, to, size, n_rows < TRANSPOSE_TILE ? n_rows : TRANSPOSE_TILE,
                                   n_cols < TRANSPOSE_TILE ? n_cols : TRANSPOSE_TILE, src_stride * size,
                                   dst_stride * size);
            }
}

static void transpose_any(const unsigned char *src, unsigned char *dst, size_t size, size_t rows, size_t cols,
                          size_t src_stride, size_t dst_stride)
{
    if (size == 4) /* a known size: memcpy becomes a load and a store */
        transpose_plane(src, dst, 4, rows, cols, src_stride, dst_stride);
    else if (size == 1)
        transpose_plane(src, dst, 1, rows, cols, src_stride, dst_stride);
    else
        transpose_plane(src, dst, size, rows, cols, src_stride, dst_stride);
}

/* The axis that is last in src and the one that is last in dst span planes; the others are counted through.
 */
static void transpose_planes(const unsigned char *src, unsigned char *dst, size_t size, unsigned rank,
                             const int64_t *src_dims, const unsigned *perm)
{
    size_t from[VECQ_MAX_RANK], to[VECQ_MAX_RANK],
        index[VECQ_MAX_RANK] = {0}; /* from, to: strides of dst axes */
    size_t step, from_at = 0, to_at = 0, src_stride[VECQ_MAX_RANK], cols = (size_t)src_dims[rank - 1];
    size_t rows = (size_t)src_dims[perm[rank - 1]];
    unsigned a, across = 0;

    for (a = rank, step = 1; a-- > 0; step *= (size_t)src_dims[a])
        src_stride[a] = step;
    for (a = rank, step = 1; a-- > 0; step *= (size_t)src_dims[perm[a]]) {
        from[a] = src_stride[perm[a]];
        to[a] = step;
        if (perm[a] == rank - 1)
            across = a;
    }
    for (;;) {
        transpose_any(src + from_at * size, dst + to_at * size, size, rows, cols, from[rank - 1], to[across]);
        for (a = rank - 1; a > 0; a--) {
            size_t n = a - 1 == across ? 1 : (size_t)src_dims[perm[a - 1]];

            from_at += from[a - 1];
            to_at += to[a - 1];
            if (++index[a - 1] < n)
                break;
            from_at -= n * from[a - 1];
            to_at -= n * to[a - 1];
            index[a - 1] = 0;
        }
        if (a == 0)
            return;
    }
}

void vecq_transpose(const void *src, void *dst, size_t size, unsigned rank, const int64_t *src_dims,
                    const unsigned *perm)
{
    const unsigned char *from = src;
    unsigned char *to = dst;
    size_t stride[VECQ_MAX_RANK], dims[VECQ_MAX_RANK], index[VECQ_MAX_RANK] = {0};
    size_t n = 1, step = 1, i, inner, offset = 0;
    unsigned a;

    for (a = 0; a < rank; a++)
        n *= (size_t)src_dims[a];
    if (n == 0)
        return;
    if (rank > 1 && perm[rank - 1] != rank - 1) {
        transpose_planes(from, to, size, rank, src_dims, perm);
        return;
    }
    for (a = rank; a-- > 0;) {
        stride[a] = step;
        step *= (size_t)src_dims[a];
    }
    /* Axes at the end that stay in place are copied in one piece. */
    inner = 1;
    while (rank > 0 && perm[rank - 1] == rank - 1)
        inner *= (size_t)src_dims[--rank];
    for (a = 0; a < rank; a++)
        dims[a] = (size_t)src_dims[perm[a]];
    for (i = 0; i < n; i += inner) {
        memcpy(to + i * size, from + offset * size, inner * size);
        for (a = rank; a-- > 0;) {
            offset += stride[perm[a]];
            if (++index[a] < dims[a])
                break;
            offset -= dims[a] * stride[perm[a]];
            index[a] = 0;
        }
    }
}
