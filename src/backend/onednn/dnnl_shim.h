/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One face for oneDNN 2.6 and 3.x. Between them memory descriptors became opaque, operation descriptors went
 * away, and the functions that make primitive descriptors changed their names and arguments; whatever exists
 * in both under one name (engines, streams, attributes, memory, execution) is used directly.
 *
 * Memory descriptors are interned in a pool: the same layout is the same pointer, and all die with the pool.
 * Functions return what oneDNN returns; dnnl_unimplemented is an answer, not a failure.
 */
#ifndef VECQ_BACKEND_ONEDNN_DNNL_SHIM_H
#define VECQ_BACKEND_ONEDNN_DNNL_SHIM_H

#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_version.h>
#include <stddef.h>

typedef struct vecq_dnnl_md vecq_dnnl_md; /* immutable */

typedef struct vecq_dnnl_pool {
    vecq_dnnl_md **items;
    size_t n, capacity;
} vecq_dnnl_pool;

void vecq_dnnl_pool_clear(vecq_dnnl_pool *pool);

/* ---- memory descriptors; float32 unless said otherwise ---- */

dnnl_status_t vecq_dnnl_md_tag(vecq_dnnl_pool *pool, int n_dims, const dnnl_dim_t *dims,
                               dnnl_format_tag_t tag, const vecq_dnnl_md **out);
dnnl_status_t vecq_dnnl_md_strides(vecq_dnnl_pool *pool, int n_dims, const dnnl_dim_t *dims,
                                   const dnnl_dim_t *strides, const vecq_dnnl_md **out);
/* Row-major. */
dnnl_status_t vecq_dnnl_md_plain(vecq_dnnl_pool *pool, int n_dims, const dnnl_dim_t *dims,
                                 const vecq_dnnl_md **out);
/* What a primitive wants; *out is NULL when it has no such argument. Any data type. */
dnnl_status_t vecq_dnnl_md_of(vecq_dnnl_pool *pool, const_dnnl_primitive_desc_t pd, dnnl_query_t what,
                              const vecq_dnnl_md **out);
/* The same by the kind of argument, DNNL_ARG_... */
dnnl_status_t vecq_dnnl_md_of_arg(vecq_dnnl_pool *pool, const_dnnl_primitive_desc_t pd, int kind,
                                  const vecq_dnnl_md **out);
/* The same elements seen under other dimensions; dnnl_invalid_arguments when the layout forbids it. */
dnnl_status_t vecq_dnnl_md_reshape(vecq_dnnl_pool *pool, const vecq_dnnl_md *md, int n_dims,
                                   const dnnl_dim_t *dims, const vecq_dnnl_md **out);
/* A part of md: dims elements from offsets on; dnnl_invalid_arguments or dnnl_unimplemented when it cuts
 * through blocks. */
dnnl_status_t vecq_dnnl_md_part(vecq_dnnl_pool *pool, const vecq_dnnl_md *md, const dnnl_dim_t *dims,
                                const dnnl_dim_t *offsets, const vecq_dnnl_md **out);
/* Axis permutation[i] of the result is axis i of md. */
dnnl_status_t vecq_dnnl_md_permute(vecq_dnnl_pool *pool, const vecq_dnnl_md *md, const int *permutation,
                                   const vecq_dnnl_md **out);
int vecq_dnnl_md_is_plain(const vecq_dnnl_md *md); /* row-major without gaps, float32 */
/* Holds the elements in some order, perhaps padded; no transform of them (Winograd). */
int vecq_dnnl_md_is_order(const vecq_dnnl_md *md);
int vecq_dnnl_md_rank(const vecq_dnnl_md *md);
const dnnl_dim_t *vecq_dnnl_md_dims(const vecq_dnnl_md *md);
size_t vecq_dnnl_md_bytes(const vecq_dnnl_md *md);
dnnl_status_t vecq_dnnl_memory(const vecq_dnnl_md *md, dnnl_engine_t engine, dnnl_memory_t *out);

/* ---- primitive descriptors ---- */

/* Geometry of convolution and pooling; dilation 0 is none. */
typedef struct vecq_dnnl_window {
    dnnl_dims_t kernel, stride, dilation, pad_begin, pad_end;
} vecq_dnnl_window;

typedef struct vecq_dnnl_maker { /* what every maker needs */
    dnnl_engine_t engine;
    const_dnnl_primitive_attr_t attr;
} vecq_dnnl_maker;

/* x, w, b, y name source, weights, bias and destination of the forward pass in all makers, and in a backward
 * pass also their gradients where the pass has them; b may be NULL. `hint` is the forward descriptor. */
dnnl_status_t vecq_dnnl_conv_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                                     const vecq_dnnl_md *x, const vecq_dnnl_md *w, const vecq_dnnl_md *b,
                                     const vecq_dnnl_md *y, const vecq_dnnl_window *win,
                                     dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_conv_backward_data(const vecq_dnnl_maker *m, dnnl_alg_kind_t alg,
                                           const vecq_dnnl_md *x, const vecq_dnnl_md *w,
                                           const vecq_dnnl_md *y, const vecq_dnnl_window *win,
                                           const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_conv_backward_weights(const vecq_dnnl_maker *m, dnnl_alg_kind_t alg,
                                              const vecq_dnnl_md *x, const vecq_dnnl_md *w,
                                              const vecq_dnnl_md *b, const vecq_dnnl_md *y,
                                              const vecq_dnnl_window *win, const_dnnl_primitive_desc_t hint,
                                              dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_deconv_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, const vecq_dnnl_md *x,
                                       const vecq_dnnl_md *w, const vecq_dnnl_md *b, const vecq_dnnl_md *y,
                                       const vecq_dnnl_window *win, dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_deconv_backward_data(const vecq_dnnl_maker *m, const vecq_dnnl_md *x,
                                             const vecq_dnnl_md *w, const vecq_dnnl_md *y,
                                             const vecq_dnnl_window *win, const_dnnl_primitive_desc_t hint,
                                             dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_deconv_backward_weights(const vecq_dnnl_maker *m, const vecq_dnnl_md *x,
                                                const vecq_dnnl_md *w, const vecq_dnnl_md *b,
                                                const vecq_dnnl_md *y, const vecq_dnnl_window *win,
                                                const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_matmul(const vecq_dnnl_maker *m, const vecq_dnnl_md *x, const vecq_dnnl_md *w,
                               const vecq_dnnl_md *b, const vecq_dnnl_md *y, dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_inner_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, const vecq_dnnl_md *x,
                                      const vecq_dnnl_md *w, const vecq_dnnl_md *b, const vecq_dnnl_md *y,
                                      dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_inner_backward_data(const vecq_dnnl_maker *m, const vecq_dnnl_md *x,
                                            const vecq_dnnl_md *w, const vecq_dnnl_md *y,
                                            const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_inner_backward_weights(const vecq_dnnl_maker *m, const vecq_dnnl_md *x,
                                               const vecq_dnnl_md *w, const vecq_dnnl_md *b,
                                               const vecq_dnnl_md *y, const_dnnl_primitive_desc_t hint,
                                               dnnl_primitive_desc_t *out);
/* Whether the backward pass asks for the shift, on which nothing depends (2.x). */
int vecq_dnnl_norm_asks_shift(void);
/* Scale and shift are two vectors (flags: dnnl_use_global_stats, or 0). */
dnnl_status_t vecq_dnnl_norm_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, const vecq_dnnl_md *x,
                                     float epsilon, unsigned flags, dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_norm_backward(const vecq_dnnl_maker *m, const vecq_dnnl_md *dx, const vecq_dnnl_md *x,
                                      float epsilon, unsigned flags, const_dnnl_primitive_desc_t hint,
                                      dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_pool_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                                     const vecq_dnnl_md *x, const vecq_dnnl_md *y,
                                     const vecq_dnnl_window *win, dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_pool_backward(const vecq_dnnl_maker *m, dnnl_alg_kind_t alg, const vecq_dnnl_md *x,
                                      const vecq_dnnl_md *y, const vecq_dnnl_window *win,
                                      const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_eltwise_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, dnnl_alg_kind_t alg,
                                        const vecq_dnnl_md *x, float alpha, float beta,
                                        dnnl_primitive_desc_t *out);
/* `data` is the source, or the destination for the *_use_dst_for_bwd algorithms. */
dnnl_status_t vecq_dnnl_eltwise_backward(const vecq_dnnl_maker *m, dnnl_alg_kind_t alg,
                                         const vecq_dnnl_md *gradient, const vecq_dnnl_md *data, float alpha,
                                         float beta, const_dnnl_primitive_desc_t hint,
                                         dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_binary(const vecq_dnnl_maker *m, dnnl_alg_kind_t alg, const vecq_dnnl_md *a,
                               const vecq_dnnl_md *b, const vecq_dnnl_md *y, dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_softmax_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop, int is_log,
                                        const vecq_dnnl_md *x, int axis, dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_softmax_backward(const vecq_dnnl_maker *m, int is_log, const vecq_dnnl_md *y,
                                         int axis, const_dnnl_primitive_desc_t hint,
                                         dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_reorder(const vecq_dnnl_maker *m, const vecq_dnnl_md *from, const vecq_dnnl_md *to,
                                dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_concat(const vecq_dnnl_maker *m, int axis, int n, const vecq_dnnl_md *const *from,
                               const vecq_dnnl_md *to, dnnl_primitive_desc_t *out);

/* Descriptors of an LSTM layer; in a backward pass a second set for the gradients. */
typedef struct vecq_dnnl_lstm {
    const vecq_dnnl_md *x, *h0, *c0, *w, *r, *b, *y, *hn, *cn; /* h0, c0, hn, cn may be NULL */
} vecq_dnnl_lstm;

dnnl_status_t vecq_dnnl_lstm_forward(const vecq_dnnl_maker *m, dnnl_prop_kind_t prop,
                                     dnnl_rnn_direction_t direction, const vecq_dnnl_lstm *md,
                                     dnnl_primitive_desc_t *out);
dnnl_status_t vecq_dnnl_lstm_backward(const vecq_dnnl_maker *m, dnnl_rnn_direction_t direction,
                                      const vecq_dnnl_lstm *md, const vecq_dnnl_lstm *gradients,
                                      const_dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out);

/* What is done to the result of a primitive: a function of each element; what the destination held before is
 * added; another tensor is added (argument DNNL_ARG_ATTR_MULTIPLE_POST_OP(place) | DNNL_ARG_SRC_1). */
dnnl_status_t vecq_dnnl_append_eltwise(dnnl_post_ops_t post_ops, dnnl_alg_kind_t alg, float alpha,
                                       float beta);
dnnl_status_t vecq_dnnl_append_sum(dnnl_post_ops_t post_ops);
dnnl_status_t vecq_dnnl_append_add(dnnl_post_ops_t post_ops, const vecq_dnnl_md *md);

/* Name of the implementation, "" when unknown; lives as long as pd. */
const char *vecq_dnnl_pd_name(const_dnnl_primitive_desc_t pd);

#endif
