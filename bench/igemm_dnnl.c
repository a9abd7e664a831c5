/* SPDX-License-Identifier: Apache-2.0 */
#include "igemm_dnnl.h"

#include <stdlib.h>

#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_version.h>

struct igemm_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[4];
};

#if DNNL_VERSION_MAJOR < 3

static dnnl_memory_t memory_of(igemm_dnnl *d, const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
    dnnl_memory_t memory = NULL;

    if (dnnl_memory_create(&memory, dnnl_primitive_desc_query_md(pd, what, 0), d->engine,
                           DNNL_MEMORY_ALLOCATE) != dnnl_success)
        return NULL;
    return memory;
}

static dnnl_status_t describe(const vecq_igemm_shape *s, dnnl_convolution_desc_t *desc)
{
    dnnl_dim_t n = (dnnl_dim_t)s->n, g = (dnnl_dim_t)s->groups, c = (dnnl_dim_t)s->c, o = (dnnl_dim_t)s->oc;
    dnnl_dims_t x = {n, c, (dnnl_dim_t)s->h, (dnnl_dim_t)s->w},
                y = {n, o, (dnnl_dim_t)s->oh, (dnnl_dim_t)s->ow};
    dnnl_dims_t w = {g, o / g, c / g, (dnnl_dim_t)s->kh, (dnnl_dim_t)s->kw}, bias = {o};
    dnnl_dims_t strides = {(dnnl_dim_t)s->stride_h, (dnnl_dim_t)s->stride_w};
    dnnl_dims_t before = {(dnnl_dim_t)s->top, (dnnl_dim_t)s->left};
    dnnl_dims_t after = {(dnnl_dim_t)s->bottom, (dnnl_dim_t)s->right};
    dnnl_memory_desc_t xd, wd, bd, yd;
    int is_grouped = s->groups > 1;

    dnnl_memory_desc_init_by_tag(&xd, 4, x, dnnl_u8, dnnl_nhwc);
    dnnl_memory_desc_init_by_tag(&yd, 4, y, dnnl_u8, dnnl_nhwc);
    dnnl_memory_desc_init_by_tag(&wd, is_grouped ? 5 : 4, is_grouped ? w : w + 1, dnnl_s8,
                                 dnnl_format_tag_any);
    dnnl_memory_desc_init_by_tag(&bd, 1, bias, dnnl_f32, dnnl_a);
    return dnnl_convolution_forward_desc_init(desc, dnnl_forward_inference, dnnl_convolution_direct, &xd, &wd,
                                              &bd, &yd, strides, before, after);
}

igemm_dnnl *igemm_dnnl_create(const vecq_igemm_shape *shape)
{
    igemm_dnnl *d = calloc(1, sizeof *d);
    float *scales = malloc(shape->oc * sizeof *scales);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_convolution_desc_t desc;
    size_t i;

    for (i = 0; i < shape->oc; i++)
        scales[i] = 1e-3f;
    dnnl_engine_create(&d->engine, dnnl_cpu, 0);
    dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags);
    dnnl_primitive_attr_create(&attr);
    dnnl_primitive_attr_set_output_scales(attr, (dnnl_dim_t)shape->oc, 2, scales);
    dnnl_post_ops_create(&ops);
    dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0.0f, 0.0f);
    dnnl_primitive_attr_set_post_ops(attr, ops);
    if (describe(shape, &desc) == dnnl_success &&
        dnnl_primitive_desc_create(&pd, &desc, attr, d->engine, NULL) == dnnl_success &&
        dnnl_primitive_create(&d->primitive, pd) == dnnl_success) {
        const dnnl_query_t what[4] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_weights_md,
                                      dnnl_query_dst_md};
        const int names[4] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST};

        for (i = 0; i < 4; i++) {
            d->args[i].arg = names[i];
            if (i == 2)
                dnnl_memory_create(&d->args[i].memory, dnnl_primitive_desc_query_md(pd, what[i], 1),
                                   d->engine, DNNL_MEMORY_ALLOCATE);
            else
                d->args[i].memory = memory_of(d, pd, what[i]);
        }
    }
    dnnl_primitive_desc_destroy(pd);
    dnnl_post_ops_destroy(ops);
    dnnl_primitive_attr_destroy(attr);
    free(scales);
    if (d->primitive != NULL)
        return d;
    igemm_dnnl_destroy(d);
    return NULL;
}

#else

igemm_dnnl *igemm_dnnl_create(const vecq_igemm_shape *shape)
{
    (void)shape;
    return NULL;
}

#endif

void igemm_dnnl_run(igemm_dnnl *d)
{
    dnnl_primitive_execute(d->primitive, d->stream, 4, d->args);
    dnnl_stream_wait(d->stream);
}

void igemm_dnnl_destroy(igemm_dnnl *d)
{
    size_t i;

    if (d == NULL)
        return;
    for (i = 0; i < 4; i++)
        dnnl_memory_destroy(d->args[i].memory);
    dnnl_primitive_destroy(d->primitive);
    dnnl_stream_destroy(d->stream);
    dnnl_engine_destroy(d->engine);
    free(d);
}
