/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/onednn/onednn_image.h"

#include "base/status.h"

static int is_tag(vecq_onednn *e, const vecq_dnnl_md *md, dnnl_format_tag_t tag)
{
    const vecq_dnnl_md *same = NULL;

    return vecq_dnnl_md_tag(&e->pool, vecq_dnnl_md_rank(md), vecq_dnnl_md_dims(md), tag, &same) ==
               dnnl_success &&
           same == md;
}

/* Channels side by side in the layout; 0: it is none of ours. Where a layout is several (one channel), the
 * first that fits is right. */
static size_t inner_of(vecq_onednn *e, const vecq_dnnl_md *md)
{
    static const struct {
        dnnl_format_tag_t tags[3];
        size_t inner; /* 0: all channels */
    } rows[] = {{{dnnl_nCw16c, dnnl_nChw16c, dnnl_nCdhw16c}, 16},
                {{dnnl_nCw8c, dnnl_nChw8c, dnnl_nCdhw8c}, 8},
                {{dnnl_nwc, dnnl_nhwc, dnnl_ndhwc}, 0}};
    int rank = vecq_dnnl_md_rank(md);
    size_t i;

    if (vecq_dnnl_md_is_plain(md))
        return 1;
    for (i = 0; rank >= 3 && rank <= 5 && i < sizeof rows / sizeof *rows; i++)
        if (is_tag(e, md, rows[i].tags[rank - 3]))
            return rows[i].inner > 0 ? rows[i].inner : (size_t)vecq_dnnl_md_dims(md)[1];
    return 0;
}

int vecq_onednn_image_of(vecq_onednn *e, const vecq_dnnl_md *md, vecq_onednn_image *out)
{
    const dnnl_dim_t *dims = vecq_dnnl_md_dims(md);
    int rank = vecq_dnnl_md_rank(md), i;

    if (rank < 2 || rank > 5)
        return 0;
    out->channels = (size_t)dims[1];
    if (rank == 2) {
        *out = (vecq_onednn_image){1, 1, (size_t)dims[0], (size_t)dims[1], (size_t)dims[1]};
        return vecq_dnnl_md_is_plain(md);
    }
    out->inner = inner_of(e, md);
    if (out->inner == 0)
        return 0;
    out->units = (out->channels + out->inner - 1) / out->inner;
    out->outer = (size_t)dims[0] * out->units;
    out->pixels = 1;
    for (i = 2; i < rank; i++)
        out->pixels *= (size_t)dims[i];
    return 1;
}

vecq_status vecq_onednn_image_layout(vecq_onednn *e, const vecq_planner *planner, const vecq_var *var,
                                     int need_whole, const vecq_dnnl_md **md, vecq_onednn_image *out,
                                     vecq_error *err)
{
    VECQ_TRY(vecq_onednn_produced(e, planner, var, md, err));
    if (vecq_onednn_image_of(e, *md, out) && (!need_whole || out->units * out->inner == out->channels))
        return VECQ_OK;
    VECQ_TRY(vecq_onednn_plain(e, var, md, err));
    (void)vecq_onednn_image_of(e, *md, out); /* a plain layout of such a rank is one */
    return VECQ_OK;
}

vecq_status vecq_onednn_image_input(vecq_planner *planner, const vecq_var *var, const vecq_dnnl_md *md,
                                    vecq_slot *out, vecq_error *err)
{
    return vecq_planner_input(planner, var, &vecq_backend_onednn, vecq_onednn_layout(md), out, err);
}
