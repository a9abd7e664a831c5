/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One body for both versions wherever the arguments are the same in another order: MD(x) is how a memory
 * descriptor is passed, MAKE2() makes an operation descriptor first (2.x), MAKE3() calls the one function of
 * 3.x. Exactly one of them is compiled.
 */
#include "backend/onednn/dnnl_shim.h"

#include <string.h>

#include "base/alloc.h"

#define IS_3 (DNNL_VERSION_MAJOR >= 3)

struct vecq_dnnl_md {
    dnnl_memory_desc_t md; /* 3.x: a pointer that we own */
    int rank, is_plain;
    dnnl_dims_t dims;
    size_t n_bytes;
};

#if IS_3
typedef const_dnnl_memory_desc_t md_arg;
#define MD(x) ((x) != NULL ? (md_arg)(x)->md : NULL)
#else
typedef const dnnl_memory_desc_t *md_arg;
#define MD(x) ((x) != NULL ? &(x)->md : NULL)
#endif

/* ---- memory descriptors ---- */

static void md_release(dnnl_memory_desc_t *md)
{
#if IS_3
    dnnl_memory_desc_destroy(*md);
#else
    (void)md;
#endif
}

void vecq_dnnl_pool_clear(vecq_dnnl_pool *pool)
{
    size_t i;

    for (i = 0; i < pool->n; i++) {
        md_release(&pool->items[i]->md);
        vecq_free(pool->items[i]);
    }
    vecq_free((void *)pool->items);
    memset(pool, 0, sizeof *pool);
}

static void row_major(int n_dims, const dnnl_dim_t *dims, dnnl_dim_t *strides)
{
    dnnl_dim_t stride = 1;
    int i;

    for (i = n_dims - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= dims[i] > 0 ? dims[i] : 1;
    }
}

static dnnl_status_t md_make_strides(dnnl_memory_desc_t *md, int n_dims, const dnnl_dim_t *dims,
                                     const dnnl_dim_t *strides)
{
    dnnl_dims_t d = {0}, s = {0};

    memcpy(d, dims, (size_t)n_dims * sizeof *d);
    memcpy(s, strides, (size_t)n_dims * sizeof *s);
#if IS_3
    return dnnl_memory_desc_create_with_strides(md, n_dims, d, dnnl_f32, s);
#else
    return dnnl_memory_desc_init_by_strides(md, n_dims, d, dnnl_f32, s);
#endif
}

/* Rank, dimensions, whether it is row-major. */
static dnnl_status_t md_describe(vecq_dnnl_md *item)
{
    dnnl_memory_desc_t plain;
    dnnl_dims_t strides;
    dnnl_status_t status;

#if IS_3
    dnnl_dims_t *dims = NULL;

    status = dnnl_memory_desc_query(item->md, dnnl_query_ndims_s32, &item->rank);
    if (status == dnnl_success)
        status = dnnl_memory_desc_query(item->md, dnnl_query_dims, (void *)&dims);
    if (status != dnnl_success)
        return status;
    memcpy(item->dims, *dims, (size_t)item->rank * sizeof **dims);
#else
    item->rank = item->md.ndims;
    memcpy(item->dims, item->md.dims, (size_t)item->rank * sizeof *item->dims);
#endif
    item->n_bytes = dnnl_memory_desc_get_size(MD(item));
    if (item->rank == 0)
        return dnnl_success;
    row_major(item->rank, item->dims, strides);
    status = md_make_strides(&plain, item->rank, item->dims, strides);
    if (status != dnnl_success)
        return status;
#if IS_3
    item->is_plain = dnnl_memory_desc_equal(item->md, plain);
#else
    item->is_plain = dnnl_memory_desc_equal(&item->md, &plain);
#endif
    md_release(&plain);
    return dnnl_success;
}

/* Takes *md over, whatever happens. */
static dnnl_status_t pool_intern(vecq_dnnl_pool *pool, dnnl_memory_desc_t *md, const vecq_dnnl_md **out)
{
    vecq_dnnl_md *item = vecq_calloc(1, sizeof *item);
    dnnl_status_t status;
    size_t i;

    if (item == NULL) {
        md_release(md);
        return dnnl_out_of_memory;
    }
    item->md = *md;
    for (i = 0; i < pool->n; i++)
        if (dnnl_memory_desc_equal(MD(pool->items[i]), MD(item))) {
            *out = pool->items[i];
            md_release(md);
            vecq_free(item);
            return dnnl_success;
        }
    status = md_describe(item);
    if (status == dnnl_success && !vecq_grow((void **)&pool->items, &pool->capacity, pool->n, sizeof item))
        status = dnnl_out_of_memory;
    if (status != dnnl_success) {
        md_release(md);
        vecq_free(item);
        return status;
    }
    pool->items[pool->n++] = item;
    *out = item;
    return dnnl_success;
}

dnnl_status_t vecq_dnnl_md_tag(vecq_dnnl_pool *pool, int n_dims, const dnnl_dim_t *dims,
                               dnnl_format_tag_t tag, const vecq_dnnl_md **out)
{
    dnnl_memory_desc_t md;
    dnnl_dims_t d = {0};
    dnnl_status_t status;

    memcpy(d, dims, (size_t)n_dims * sizeof *d);
#if IS_3
    status = dnnl_memory_desc_create_with_tag(&md, n_dims, d, dnnl_f32, tag);
#else
    status = dnnl_memory_desc_init_by_tag(&md, n_dims, d, dnnl_f32, tag);
#endif
    return status == dnnl_success ? pool_intern(pool, &md, out) : status;
}

dnnl_status_t vecq_dnnl_md_strides(vecq_dnnl_pool *pool, int n_dims, const dnnl_dim_t *dims,
                                   const dnnl_dim_t *strides, const vecq_dnnl_md **out)
{
    dnnl_memory_desc_t md;
    dnnl_status_t status = md_make_strides(&md, n_dims, dims, strides);

    return status == dnnl_success ? pool_intern(pool, &md, out) : status;
}

dnnl_status_t vecq_dnnl_md_plain(vecq_dnnl_pool *pool, int n_dims, const dnnl_dim_t *dims,
                                 const vecq_dnnl_md **out)
{
    dnnl_dims_t strides;

    row_major(n_dims, dims, strides);
    return vecq_dnnl_md_strides(pool, n_dims, dims, strides, out);
}

static dnnl_status_t md_query(vecq_dnnl_pool *pool, const_dnnl_primitive_desc_t pd, dnnl_query_t what,
                              int index, const vecq_dnnl_md **out)
{
    md_arg wanted = dnnl_primitive_desc_query_md(pd, what, index);
    dnnl_memory_desc_t md;

    *out = NULL;
    if (wanted == NULL || dnnl_memory_desc_get_size(wanted) == 0)
        return dnnl_success;
#if IS_3
    if (dnnl_memory_desc_clone(&md, wanted) != dnnl_success)
        return dnnl_out_of_memory;
#else
    md = *wanted;
#endif
    return pool_intern(pool, &md, out);
}

dnnl_status_t vecq_dnnl_md_of(vecq_dnnl_pool *pool, const_dnnl_primitive_desc_t pd, dnnl_query_t what,
                              const vecq_dnnl_md **out)
{
    return md_query(pool, pd, what, 0, out);
}

dnnl_status_t vecq_dnnl_md_of_arg(vecq_dnnl_pool *pool, const_dnnl_primitive_desc_t pd, int kind,
                                  const vecq_dnnl_md **out)
{
    return md_query(pool, pd, dnnl_query_exec_arg_md, kind, out);
}

dnnl_status_t vecq_dnnl_md_reshape(vecq_dnnl_pool *pool, const vecq_dnnl_md *md, int n_dims,
                                   const dnnl_dim_t *dims, const vecq_dnnl_md **out)
{
    dnnl_memory_desc_t result;
    dnnl_dims_t d = {0};
    dnnl_status_t status;

    memcpy(d, dims, (size_t)n_dims * sizeof *d);
    status = dnnl_memory_desc_reshape(&result, MD(md), n_dims, d);
    return status == dnnl_success ? pool_intern(pool, &result, out) : status;
}

dnnl_status_t vecq_dnnl_md_part(vecq_dnnl_pool *pool, const vecq_dnnl_md *md, const dnnl_dim_t *dims,
                                const dnnl_dim_t *offsets, const vecq_dnnl_md **out)
{
    dnnl_memory_desc_t result;
    dnnl_dims_t d = {0}, o = {0};
    dnnl_status_t status;

    memcpy(d, dims, (size_t)md->rank * sizeof *d);
    memcpy(o, offsets, (size_t)md->rank * sizeof *o);
#if IS_3
    status = dnnl_memory_desc_create_submemory(&result, md->md, d, o);
#else
    status = dnnl_memory_desc_init_submemory(&result, &md->md, d, o);
#endif
    return status == dnnl_success ? pool_intern(pool, &result, out) : status;
}

dnnl_status_t vecq_dnnl_md_permute(vecq_dnnl_pool *pool, const vecq_dnnl_md *md, const int *permutation,
                                   const vecq_dnnl_md **out)
{
    dnnl_memory_desc_t result;
    dnnl_status_t status = dnnl_memory_desc_permute_axes(&result, MD(md), permutation);

    return status == dnnl_success ? pool_intern(pool, &result, out) : status;
}

int vecq_dnnl_md_is_plain(const vecq_dnnl_md *md)
{
    return md->is_plain;
}

int vecq_dnnl_md_is_order(const vecq_dnnl_md *md)
{
#if IS_3
    dnnl_format_kind_t kind = dnnl_format_kind_undef;

    return dnnl_memory_desc_query(md->md, dnnl_query_format_kind, &kind) == dnnl_success &&
           kind == dnnl_blocked;
#else
    return md->md.format_kind == dnnl_blocked;
#endif
}

int vecq_dnnl_md_rank(const vecq_dnnl_md *md)
{
    return md->rank;
}

const dnnl_dim_t *vecq_dnnl_md_dims(const vecq_dnnl_md *md)
{
    return md->dims;
}

size_t vecq_dnnl_md_bytes(const vecq_dnnl_md *md)
{
    return md->n_bytes;
}

dnnl_status_t vecq_dnnl_memory(const vecq_dnnl_md *md, dnnl_engine_t engine, dnnl_memory_t *out)
{
    return dnnl_memory_create(out, MD(md), engine, DNNL_MEMORY_NONE);
}

dnnl_status_t vecq_dnnl_append_eltwise(dnnl_post_ops_t post_ops, dnnl_alg_kind_t alg, float alpha, float beta)
{
#if IS_3
    return dnnl_post_ops_append_eltwise(post_ops, alg, alpha, beta);
#else
    return dnnl_post_ops_append_eltwise(post_ops, 1, alg, alpha, beta);
#endif
}

dnnl_status_t vecq_dnnl_append_sum(dnnl_post_ops_t post_ops)
{
#if IS_3
    return dnnl_post_ops_append_sum(post_ops, 1, 0, dnnl_data_type_undef);
#else
    return dnnl_post_ops_append_sum(post_ops, 1);
#endif
}

dnnl_status_t vecq_dnnl_append_add(dnnl_post_ops_t post_ops, const vecq_dnnl_md *md)
{
    return dnnl_post_ops_append_binary(post_ops, dnnl_binary_add, MD(md));
}

const char *vecq_dnnl_pd_name(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;

    if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&name) != dnnl_success)
        return "";
    return name != NULL ? name : "";
}

/* ---- primitive descriptors ---- */

#if IS_3
#define MAKE2(type, init, arguments, hint)
#define MAKE3(call) return call
#else
/* `init arguments` fills `desc`. */
#define MAKE2(type, init, arguments, hint)                                                                   \
    do {                                                                                                     \
        type desc;                                                                                           \
        dnnl_status_t status_ = init arguments;                                                              \
        return status_ == dnnl_success ? dnnl_primitive_desc_create(out, &desc, m->attr, m->engine, hint)    \
                                       : status_;                                                            \
    } while (0)
#define MAKE3(call)
#endif

dnnl_status_t vecq_dnnl_conv_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                                     const vecq_dnnl_md *x, const vecq_dnnl_md *w, const vecq_dnnl_md *b,
                                     const vecq_dnnl_md *y, const vecq_dnnl_window *win,
                                     dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_convolution_desc_t, dnnl_dilated_convolution_forward_desc_init,
          (&desc, prop, alg, MD(x), MD(w), MD(b), MD(y), win->stride, win->dilation, win->pad_begin,
           win->pad_end),
          NULL);
    MAKE3(dnnl_convolution_forward_primitive_desc_create(out, m->engine, prop, alg, MD(x), MD(w), MD(b),
                                                         MD(y), win->stride, win->dilation, win->pad_begin,
                                                         win->pad_end, m->attr));
}

dnnl_status_t vecq_dnnl_conv_backward_data(const vecq_dnnl_maker *m, dnnl_alg_kind_t alg,
                                           const vecq_dnnl_md *x, const vecq_dnnl_md *w,
                                           const vecq_dnnl_md *y, const vecq_dnnl_window *win,
                                           const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_convolution_desc_t, dnnl_dilated_convolution_backward_data_desc_init,
          (&desc, alg, MD(x), MD(w), MD(y), win->stride, win->dilation, win->pad_begin, win->pad_end), hint);
    MAKE3(dnnl_convolution_backward_data_primitive_desc_create(out, m->engine, alg, MD(x), MD(w), MD(y),
                                                               win->stride, win->dilation, win->pad_begin,
                                                               win->pad_end, hint, m->attr));
}

dnnl_status_t vecq_dnnl_conv_backward_weights(const vecq_dnnl_maker *m, dnnl_alg_kind_t alg,
                                              const vecq_dnnl_md *x, const vecq_dnnl_md *w,
                                              const vecq_dnnl_md *b, const vecq_dnnl_md *y,
                                              const vecq_dnnl_window *win, const_dnnl_primitive_desc_t hint,
                                              dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_convolution_desc_t, dnnl_dilated_convolution_backward_weights_desc_init,
          (&desc, alg, MD(x), MD(w), MD(b), MD(y), win->stride, win->dilation, win->pad_begin, win->pad_end),
          hint);
    MAKE3(dnnl_convolution_backward_weights_primitive_desc_create(
        out, m->engine, alg, MD(x), MD(w), MD(b), MD(y), win->stride, win->dilation, win->pad_begin,
        win->pad_end, hint, m->attr));
}

dnnl_status_t vecq_dnnl_deconv_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, const vecq_dnnl_md *x,
                                       const vecq_dnnl_md *w, const vecq_dnnl_md *b, const vecq_dnnl_md *y,
                                       const vecq_dnnl_window *win, dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_deconvolution_desc_t, dnnl_dilated_deconvolution_forward_desc_init,
          (&desc, prop, dnnl_deconvolution_direct, MD(x), MD(w), MD(b), MD(y), win->stride, win->dilation,
           win->pad_begin, win->pad_end),
          NULL);
    MAKE3(dnnl_deconvolution_forward_primitive_desc_create(
        out, m->engine, prop, dnnl_deconvolution_direct, MD(x), MD(w), MD(b), MD(y), win->stride,
        win->dilation, win->pad_begin, win->pad_end, m->attr));
}

dnnl_status_t vecq_dnnl_deconv_backward_data(const vecq_dnnl_maker *m, const vecq_dnnl_md *x,
                                             const vecq_dnnl_md *w, const vecq_dnnl_md *y,
                                             const vecq_dnnl_window *win, const_dnnl_primitive_desc_t hint,
                                             dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_deconvolution_desc_t, dnnl_dilated_deconvolution_backward_data_desc_init,
          (&desc, dnnl_deconvolution_direct, MD(x), MD(w), MD(y), win->stride, win->dilation, win->pad_begin,
           win->pad_end),
          hint);
    MAKE3(dnnl_deconvolution_backward_data_primitive_desc_create(
        out, m->engine, dnnl_deconvolution_direct, MD(x), MD(w), MD(y), win->stride, win->dilation,
        win->pad_begin, win->pad_end, hint, m->attr));
}

dnnl_status_t vecq_dnnl_deconv_backward_weights(const vecq_dnnl_maker *m, const vecq_dnnl_md *x,
                                                const vecq_dnnl_md *w, const vecq_dnnl_md *b,
                                                const vecq_dnnl_md *y, const vecq_dnnl_window *win,
                                                const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_deconvolution_desc_t, dnnl_dilated_deconvolution_backward_weights_desc_init,
          (&desc, dnnl_deconvolution_direct, MD(x), MD(w), MD(b), MD(y), win->stride, win->dilation,
           win->pad_begin, win->pad_end),
          hint);
    MAKE3(dnnl_deconvolution_backward_weights_primitive_desc_create(
        out, m->engine, dnnl_deconvolution_direct, MD(x), MD(w), MD(b), MD(y), win->stride, win->dilation,
        win->pad_begin, win->pad_end, hint, m->attr));
}

dnnl_status_t vecq_dnnl_matmul(const vecq_dnnl_maker *m, const vecq_dnnl_md *x, const vecq_dnnl_md *w,
                               const vecq_dnnl_md *b, const vecq_dnnl_md *y, dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_matmul_desc_t, dnnl_matmul_desc_init, (&desc, MD(x), MD(w), MD(b), MD(y)), NULL);
    MAKE3(dnnl_matmul_primitive_desc_create(out, m->engine, MD(x), MD(w), MD(b), MD(y), m->attr));
}

dnnl_status_t vecq_dnnl_inner_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, const vecq_dnnl_md *x,
                                      const vecq_dnnl_md *w, const vecq_dnnl_md *b, const vecq_dnnl_md *y,
                                      dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_inner_product_desc_t, dnnl_inner_product_forward_desc_init,
          (&desc, prop, MD(x), MD(w), MD(b), MD(y)), NULL);
    MAKE3(dnnl_inner_product_forward_primitive_desc_create(out, m->engine, prop, MD(x), MD(w), MD(b), MD(y),
                                                           m->attr));
}

dnnl_status_t vecq_dnnl_inner_backward_data(const vecq_dnnl_maker *m, const vecq_dnnl_md *x,
                                            const vecq_dnnl_md *w, const vecq_dnnl_md *y,
                                            const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_inner_product_desc_t, dnnl_inner_product_backward_data_desc_init, (&desc, MD(x), MD(w), MD(y)),
          hint);
    MAKE3(dnnl_inner_product_backward_data_primitive_desc_create(out, m->engine, MD(x), MD(w), MD(y), hint,
                                                                 m->attr));
}

dnnl_status_t vecq_dnnl_inner_backward_weights(const vecq_dnnl_maker *m, const vecq_dnnl_md *x,
                                               const vecq_dnnl_md *w, const vecq_dnnl_md *b,
                                               const vecq_dnnl_md *y, const_dnnl_primitive_desc_t hint,
                                               dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_inner_product_desc_t, dnnl_inner_product_backward_weights_desc_init,
          (&desc, MD(x), MD(w), MD(b), MD(y)), hint);
    MAKE3(dnnl_inner_product_backward_weights_primitive_desc_create(out, m->engine, MD(x), MD(w), MD(b),
                                                                    MD(y), hint, m->attr));
}

#define SCALE_AND_SHIFT ((unsigned)dnnl_use_scale | (unsigned)dnnl_use_shift)

int vecq_dnnl_norm_asks_shift(void)
{
    return !IS_3;
}

dnnl_status_t vecq_dnnl_norm_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, const vecq_dnnl_md *x,
                                     float epsilon, unsigned flags, dnnl_primitive_desc_t *out)
{
    flags |= SCALE_AND_SHIFT;
    MAKE2(dnnl_batch_normalization_desc_t, dnnl_batch_normalization_forward_desc_init,
          (&desc, prop, MD(x), epsilon, flags), NULL);
    MAKE3(dnnl_batch_normalization_forward_primitive_desc_create(out, m->engine, prop, MD(x), MD(x), epsilon,
                                                                 flags, m->attr));
}

dnnl_status_t vecq_dnnl_norm_backward(const vecq_dnnl_maker *m, const vecq_dnnl_md *dx, const vecq_dnnl_md *x,
                                      float epsilon, unsigned flags, const_dnnl_primitive_desc_t hint,
                                      dnnl_primitive_desc_t *out)
{
    flags |= SCALE_AND_SHIFT;
    MAKE2(dnnl_batch_normalization_desc_t, dnnl_batch_normalization_backward_desc_init,
          (&desc, dnnl_backward, MD(dx), MD(x), epsilon, flags), hint);
    MAKE3(dnnl_batch_normalization_backward_primitive_desc_create(
        out, m->engine, dnnl_backward, MD(dx), MD(dx), MD(x), epsilon, flags, hint, m->attr));
}

dnnl_status_t vecq_dnnl_pool_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                                     const vecq_dnnl_md *x, const vecq_dnnl_md *y,
                                     const vecq_dnnl_window *win, dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_pooling_v2_desc_t, dnnl_pooling_v2_forward_desc_init,
          (&desc, prop, alg, MD(x), MD(y), win->stride, win->kernel, win->dilation, win->pad_begin,
           win->pad_end),
          NULL);
    MAKE3(dnnl_pooling_forward_primitive_desc_create(out, m->engine, prop, alg, MD(x), MD(y), win->stride,
                                                     win->kernel, win->dilation, win->pad_begin, win->pad_end,
                                                     m->attr));
}

dnnl_status_t vecq_dnnl_pool_backward(const vecq_dnnl_maker *m, dnnl_alg_kind_t alg, const vecq_dnnl_md *x,
                                      const vecq_dnnl_md *y, const vecq_dnnl_window *win,
                                      const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_pooling_v2_desc_t, dnnl_pooling_v2_backward_desc_init,
          (&desc, alg, MD(x), MD(y), win->stride, win->kernel, win->dilation, win->pad_begin, win->pad_end),
          hint);
    MAKE3(dnnl_pooling_backward_primitive_desc_create(out, m->engine, alg, MD(x), MD(y), win->stride,
                                                      win->kernel, win->dilation, win->pad_begin,
                                                      win->pad_end, hint, m->attr));
}

dnnl_status_t vecq_dnnl_eltwise_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                                        const vecq_dnnl_md *x, float alpha, float beta,
                                        dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_eltwise_desc_t, dnnl_eltwise_forward_desc_init, (&desc, prop, alg, MD(x), alpha, beta), NULL);
    MAKE3(dnnl_eltwise_forward_primitive_desc_create(out, m->engine, prop, alg, MD(x), MD(x), alpha, beta,
                                                     m->attr));
}

dnnl_status_t vecq_dnnl_eltwise_backward(const vecq_dnnl_maker *m, dnnl_alg_kind_t alg,
                                         const vecq_dnnl_md *gradient, const vecq_dnnl_md *data, float alpha,
                                         float beta, const_dnnl_primitive_desc_t hint,
                                         dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_eltwise_desc_t, dnnl_eltwise_backward_desc_init,
          (&desc, alg, MD(gradient), MD(data), alpha, beta), hint);
    MAKE3(dnnl_eltwise_backward_primitive_desc_create(out, m->engine, alg, MD(gradient), MD(gradient),
                                                      MD(data), alpha, beta, hint, m->attr));
}

dnnl_status_t vecq_dnnl_binary(const vecq_dnnl_maker *m, dnnl_alg_kind_t alg, const vecq_dnnl_md *a,
                               const vecq_dnnl_md *b, const vecq_dnnl_md *y, dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_binary_desc_t, dnnl_binary_desc_init, (&desc, alg, MD(a), MD(b), MD(y)), NULL);
    MAKE3(dnnl_binary_primitive_desc_create(out, m->engine, alg, MD(a), MD(b), MD(y), m->attr));
}

dnnl_status_t vecq_dnnl_softmax_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, int is_log,
                                        const vecq_dnnl_md *x, int axis, dnnl_primitive_desc_t *out)
{
    dnnl_alg_kind_t alg = is_log ? dnnl_softmax_log : dnnl_softmax_accurate;

    MAKE2(dnnl_softmax_v2_desc_t, dnnl_softmax_v2_forward_desc_init, (&desc, prop, alg, MD(x), MD(x), axis),
          NULL);
    MAKE3(dnnl_softmax_forward_primitive_desc_create(out, m->engine, prop, alg, MD(x), MD(x), axis, m->attr));
}

dnnl_status_t vecq_dnnl_softmax_backward(const vecq_dnnl_maker *m, int is_log, const vecq_dnnl_md *y,
                                         int axis, const_dnnl_primitive_desc_t hint,
                                         dnnl_primitive_desc_t *out)
{
    dnnl_alg_kind_t alg = is_log ? dnnl_softmax_log : dnnl_softmax_accurate;

    MAKE2(dnnl_softmax_v2_desc_t, dnnl_softmax_v2_backward_desc_init, (&desc, alg, MD(y), MD(y), MD(y), axis),
          hint);
    MAKE3(dnnl_softmax_backward_primitive_desc_create(out, m->engine, alg, MD(y), MD(y), MD(y), axis, hint,
                                                      m->attr));
}

dnnl_status_t vecq_dnnl_reorder(const vecq_dnnl_maker *m, const vecq_dnnl_md *from, const vecq_dnnl_md *to,
                                dnnl_primitive_desc_t *out)
{
    return dnnl_reorder_primitive_desc_create(out, MD(from), m->engine, MD(to), m->engine, m->attr);
}

dnnl_status_t vecq_dnnl_concat(const vecq_dnnl_maker *m, int axis, int n, const vecq_dnnl_md *const *from,
                               const vecq_dnnl_md *to, dnnl_primitive_desc_t *out)
{
#if IS_3
    md_arg *list = vecq_alloc((size_t)n, sizeof *list);
#else
    dnnl_memory_desc_t *list = vecq_alloc((size_t)n, sizeof *list);
#endif
    dnnl_status_t status;
    int i;

    if (list == NULL)
        return dnnl_out_of_memory;
    for (i = 0; i < n; i++)
        list[i] = from[i]->md;
#if IS_3
    status = dnnl_concat_primitive_desc_create(out, m->engine, MD(to), n, axis, list, m->attr);
#else
    status = dnnl_concat_primitive_desc_create(out, MD(to), n, axis, list, m->attr, m->engine);
#endif
    vecq_free((void *)list);
    return status;
}

dnnl_status_t vecq_dnnl_lstm_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop,
                                     dnnl_rnn_direction_t direction, const vecq_dnnl_lstm *d,
                                     dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_rnn_desc_t, dnnl_lstm_forward_desc_init,
          (&desc, prop, direction, MD(d->x), MD(d->h0), MD(d->c0), MD(d->w), MD(d->r), MD(d->b), MD(d->y),
           MD(d->hn), MD(d->cn), 0),
          NULL);
    MAKE3(dnnl_lstm_forward_primitive_desc_create(out, m->engine, prop, direction, MD(d->x), MD(d->h0),
                                                  MD(d->c0), MD(d->w), MD(d->r), NULL, NULL, MD(d->b),
                                                  MD(d->y), MD(d->hn), MD(d->cn), 0, m->attr));
}

dnnl_status_t vecq_dnnl_lstm_backward(const vecq_dnnl_maker *m, dnnl_rnn_direction_t direction,
                                      const vecq_dnnl_lstm *d, const vecq_dnnl_lstm *g,
                                      const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
    MAKE2(dnnl_rnn_desc_t, dnnl_lstm_backward_desc_init,
          (&desc, dnnl_backward, direction, MD(d->x), MD(d->h0), MD(d->c0), MD(d->w), MD(d->r), MD(d->b),
           MD(d->y), MD(d->hn), MD(d->cn), MD(g->x), MD(g->h0), MD(g->c0), MD(g->w), MD(g->r), MD(g->b),
           MD(g->y), MD(g->hn), MD(g->cn), 0),
          hint);
    MAKE3(dnnl_lstm_backward_primitive_desc_create(
        out, m->engine, dnnl_backward, direction, MD(d->x), MD(d->h0), MD(d->c0), MD(d->w), MD(d->r), NULL,
        NULL, MD(d->b), MD(d->y), MD(d->hn), MD(d->cn), MD(g->x), MD(g->h0), MD(g->c0), MD(g->w), MD(g->r),
        NULL, NULL, MD(g->b), MD(g->y), MD(g->hn), MD(g->cn), 0, hint, m->attr));
}
