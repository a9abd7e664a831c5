/* SPDX-License-Identifier: Apache-2.0 */
/* Small graphs built by hand, for the tests of the constant evaluator. */
#ifndef VECQ_TEST_FOLD_BUILD_H
#define VECQ_TEST_FOLD_BUILD_H

#include <string.h>

#include "vecq_test.h"

#include "graph/fold.h"

#define FB_MAX_ATTRS 8

typedef struct fb_const {
    vecq_const base;
    const void *data;
    vecq_status fails;
    int n_reads;
} fb_const;

typedef struct fb {
    vecq_arena arena;
    int64_t version; /* of the nodes made from now on */
} fb;

static inline vecq_status fb_read(const vecq_const *constant, void *dst, vecq_error *err)
{
    fb_const *c = (fb_const *)(uintptr_t)constant;

    c->n_reads++;
    if (c->fails != VECQ_OK) {
        if (err != NULL)
            err->status = c->fails;
        return c->fails;
    }
    memcpy(dst, c->data, vecq_dtype_bytes(constant->dtype, constant->count));
    return VECQ_OK;
}

static inline fb_const *fb_make_const(fb *b, vecq_dtype dtype, unsigned rank, const int64_t *dims,
                                      const void *data)
{
    fb_const *c = vecq_arena_alloc(&b->arena, 1, sizeof *c);
    size_t n_bytes;
    void *copy;

    assert_non_null(c);
    c->base.dtype = dtype;
    c->base.rank = rank;
    if (rank > 0)
        memcpy(c->base.dims, dims, rank * sizeof *dims);
    assert_true(vecq_shape_count(c->base.dims, rank, &c->base.count));
    n_bytes = vecq_dtype_bytes(dtype, c->base.count);
    copy = vecq_arena_alloc(&b->arena, n_bytes + 1, 1);
    assert_non_null(copy);
    if (n_bytes > 0)
        memcpy(copy, data, n_bytes);
    c->data = copy;
    c->base.n_stored = n_bytes;
    c->base.read = fb_read;
    return c;
}

static inline vecq_value *fb_value(fb *b, const char *name)
{
    vecq_value *value = vecq_arena_alloc(&b->arena, 1, sizeof *value);

    assert_non_null(value);
    value->name = name;
    value->is_constant = 1;
    return value;
}

static inline vecq_value *fb_tensor(fb *b, vecq_dtype dtype, unsigned rank, const int64_t *dims,
                                    const void *data)
{
    vecq_value *value = fb_value(b, "constant");

    value->constant = &fb_make_const(b, dtype, rank, dims, data)->base;
    return value;
}

/* A vector, and a scalar. */
static inline vecq_value *fb_vector(fb *b, vecq_dtype dtype, int64_t n, const void *data)
{
    return fb_tensor(b, dtype, 1, &n, data);
}

static inline vecq_value *fb_scalar(fb *b, vecq_dtype dtype, const void *data)
{
    return fb_tensor(b, dtype, 0, NULL, data);
}

static inline vecq_value *fb_i64(fb *b, int64_t v)
{
    return fb_vector(b, VECQ_DT_INT64, 1, &v);
}

static inline vecq_node *fb_node_n(fb *b, const char *op, size_t n_in, vecq_value *const *in, size_t n_out)
{
    vecq_node *node = vecq_arena_alloc(&b->arena, 1, sizeof *node);
    size_t i;

    assert_non_null(node);
    node->op_type = op;
    node->domain = "";
    node->name = "";
    node->version = b->version;
    node->n_inputs = n_in;
    node->inputs = vecq_arena_alloc(&b->arena, n_in + 1, sizeof *node->inputs);
    assert_non_null(node->inputs);
    if (n_in > 0)
        memcpy(node->inputs, in, n_in * sizeof *in);
    node->n_outputs = n_out;
    node->outputs = vecq_arena_alloc(&b->arena, n_out + 1, sizeof *node->outputs);
    assert_non_null(node->outputs);
    for (i = 0; i < n_out; i++) {
        node->outputs[i] = fb_value(b, vecq_arena_printf(&b->arena, "%s:%zu", op, i));
        node->outputs[i]->producer = node;
        node->outputs[i]->output = i;
    }
    node->attrs = vecq_arena_alloc(&b->arena, FB_MAX_ATTRS, sizeof *node->attrs);
    assert_non_null(node->attrs);
    return node;
}

/* One output, up to three inputs. */
static inline vecq_value *fb_node(fb *b, const char *op, vecq_value *x, vecq_value *y, vecq_value *z)
{
    vecq_value *in[3] = {x, y, z};

    return fb_node_n(b, op, z != NULL ? 3 : y != NULL ? 2 : x != NULL ? 1 : 0, in, 1)->outputs[0];
}

static inline vecq_attr *fb_attr(vecq_node *node, const char *name, vecq_attr_type type)
{
    vecq_attr *attr = &node->attrs[node->n_attrs++];

    assert_true(node->n_attrs <= FB_MAX_ATTRS);
    attr->name = name;
    attr->type = type;
    return attr;
}

static inline void fb_int(vecq_value *out, const char *name, int64_t value)
{
    fb_attr(out->producer, name, VECQ_ATTR_INT)->i = value;
}

static inline void fb_ints(fb *b, vecq_value *out, const char *name, size_t n, const int64_t *values)
{
    vecq_attr *attr = fb_attr(out->producer, name, VECQ_ATTR_INTS);
    int64_t *copy = vecq_arena_alloc(&b->arena, n + 1, sizeof *copy);

    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, values, n * sizeof *values);
    attr->n = n;
    attr->ints = copy;
}

static inline void fb_string(vecq_value *out, const char *name, const char *value)
{
    vecq_attr *attr = fb_attr(out->producer, name, VECQ_ATTR_STRING);

    attr->s.data = (const uint8_t *)value;
    attr->s.n = strlen(value);
}

#endif
