/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ops that oneDNN has no primitive for, or a slow one, in loops of our own (kernels/image) over images in
 * whatever order of channels the convolutions beside them have: no conversions.
 *
 * Plain, blocked and channels-last layouts are one thing here: `outer` units of `pixels` pixels of `inner`
 * channels side by side; unit u holds channels (u % units) * inner ... of image u / units. A blocked layout
 * may have more channels than the image: those are 0 and must stay so.
 */
#ifndef VECQ_BACKEND_ONEDNN_ONEDNN_IMAGE_H
#define VECQ_BACKEND_ONEDNN_ONEDNN_IMAGE_H

#include "backend/onednn/onednn_private.h"

typedef struct vecq_onednn_image {
    size_t outer, units, pixels, inner;
    size_t channels; /* of the image; units * inner of the layout */
} vecq_onednn_image;

/* A layout of rank 2 (rows of features are pixels) to 5 as such; 0: it is none. */
int vecq_onednn_image_of(vecq_onednn *e, const vecq_dnnl_md *md, vecq_onednn_image *out);
/* The layout that a variable was produced in, where that is one of those, or the plain one. need_whole: none
 * with more channels than the image. */
vecq_status vecq_onednn_image_layout(vecq_onednn *e, const vecq_planner *planner, const vecq_var *var,
                                     int need_whole, const vecq_dnnl_md **md, vecq_onednn_image *out,
                                     vecq_error *err);
/* Slot of the operand in that layout. */
vecq_status vecq_onednn_image_input(vecq_planner *planner, const vecq_var *var, const vecq_dnnl_md *md,
                                    vecq_slot *out, vecq_error *err);

#endif
