/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG and PNG files in memory to planes of bytes. */
#ifndef VECQ_DATA_IMAGE_DECODE_H
#define VECQ_DATA_IMAGE_DECODE_H

#include "base/span.h"
#include "vecq/status.h"

#define VECQ_IMAGE_PIXELS_MAX (1u << 26) /* a larger image is refused before memory is taken for it */

/*
 * Always three planes, red, green, blue, [3][height][width], whatever the file has: grey is repeated,
 * palettes are looked up, 16 bits lose the lower half, transparency and colour profiles are ignored, CMYK is
 * multiplied out. (As Pillow's convert("RGB"), so that foreign models see what they were trained on.)
 */
typedef struct vecq_image {
    size_t height, width;
    uint8_t *planes; /* for vecq_free */
} vecq_image;

/* The kind is told by the first bytes, not by the name; `name` is for messages. A file that ends early is an
 * error, not half a picture. */
vecq_status vecq_image_decode(vecq_span file, const char *name, vecq_image *out, vecq_error *err);

/* The decoders behind it. */
vecq_status vecq_image_decode_jpeg(vecq_span file, const char *name, vecq_image *out, vecq_error *err);
vecq_status vecq_image_decode_png(vecq_span file, const char *name, vecq_image *out, vecq_error *err);

/* Takes memory for an image of this size, or says that it is over the limit. */
vecq_status vecq_image_begin(const char *name, uint64_t height, uint64_t width, vecq_image *out,
                             vecq_error *err);

/* Non-zero for names ending in .jpg, .jpeg or .png, in any case. */
int vecq_image_is_name(const char *name);

#endif
