/* SPDX-License-Identifier: Apache-2.0 */
/* Images of any size into samples of one size: antialiased bilinear resizing, cropping, grey. */
#ifndef VECQ_DATA_RESAMPLE_H
#define VECQ_DATA_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "data/dataset.h"

/* What happens to an image of in_height x in_width: resized to scaled_height x scaled_width, of which the
 * window out_height x out_width at (top, left) is kept. */
typedef struct vecq_image_fit {
    size_t in_channels, in_height, in_width;
    size_t out_channels, out_height, out_width;
    size_t target_height, target_width; /* what the loader hands out: at most the size kept */
    size_t scaled_height, scaled_width;
    size_t top, left;
} vecq_image_fit;

/* The plan for one size of image (all at least 1). */
void vecq_image_fit_plan(vecq_image_fit *fit, const vecq_dataset_options *options, size_t channels,
                         size_t height, size_t width);

/* Carries it out: planes [in_channels][in_height][in_width] to [out_channels][out_height][out_width]. */
vecq_status vecq_image_fit_planes(const vecq_image_fit *fit, const uint8_t *in, uint8_t *out,
                                  vecq_error *err);

/* First row or column of the middle `part` of `whole`; a half is rounded to even, as torchvision does. */
size_t vecq_image_middle(size_t whole, size_t part);

#endif
