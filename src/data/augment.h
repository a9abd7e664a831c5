/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random changes of images that keep the label, and the way from bytes to normalised floats.
 *
 * In this order: the stored image is distorted (rotation, shear, scale about its middle, then shifted), a
 * frame of `pad` pixels is put around it, a window of the size of a sample is cut out, mirrored in one case
 * of two, its bytes are normalised, and a square is blanked. What comes from outside the image is
 * `pad_value`.
 *
 * The numbers drawn for a sample are a function of seed, epoch and the sample alone, each from its own place
 * in a stream, so that switching one change on does not move the others.
 */
#ifndef VECQ_DATA_AUGMENT_H
#define VECQ_DATA_AUGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "data/dataset.h"

/* All zero: no change. */
typedef struct vecq_augment {
    size_t pad;        /* pixels on each side; with random_crop 4 for CIFAR-10 in the usual recipe */
    uint8_t pad_value; /* a pixel value, before normalisation: 0 is black, as in the usual recipe */
    int random_crop;   /* the window lies anywhere in the padded image; otherwise in its middle */
    int flip;          /* mirror left and right with probability 1/2 */
    double rotate;     /* degrees; uniform in -rotate .. rotate; at most 180 */
    double translate;  /* share of width and of height; uniform in both; at most 1 */
    double scale_min, scale_max; /* uniform between; 0, 0: 1; within 0.1 .. 10 */
    double shear;                /* degrees, horizontal; uniform in -shear .. shear; at most 60 */
    size_t cutout; /* side of a square about a uniform place that becomes 0 after normalisation */
} vecq_augment;

/* An error that names the field which is out of its range. */
vecq_status vecq_augment_check(const vecq_augment *augment, vecq_error *err);

/* What happens to one sample. */
typedef struct vecq_augment_draw {
    size_t top, left; /* of the window in the padded image */
    int flip;
    int affine; /* non-zero: source = (a b; c d) (target - middle - shift) + middle */
    double a, b, c, d, shift_y, shift_x;
    size_t cut_top, cut_left, cut_bottom, cut_right; /* of the window, end exclusive; all 0: none */
} vecq_augment_draw;

typedef struct vecq_augment_shape {
    size_t channels;
    size_t in_height, in_width;   /* stored */
    size_t out_height, out_width; /* window: at most in + 2 pad */
} vecq_augment_shape;

void vecq_augment_make(const vecq_augment *augment, const vecq_augment_shape *shape, uint64_t seed,
                       uint64_t epoch, uint64_t sample, vecq_augment_draw *out);
/* Without randomness: the window in the middle. */
void vecq_augment_none(const vecq_augment *augment, const vecq_augment_shape *shape, vecq_augment_draw *out);

/*
 * planes [channels][in_height][in_width] to floats, [channels][out_height][out_width] or, `interleaved`,
 * [out_height][out_width][channels]. `levels` holds 256 floats for each channel: the normalised value of each
 * byte. `scratch` has room for the planes, used for distortions only.
 */
void vecq_augment_apply(const vecq_augment_shape *shape, const vecq_augment_draw *draw, size_t pad,
                        uint8_t pad_value, const float *levels, int interleaved, const uint8_t *planes,
                        uint8_t *scratch, float *out);

#endif
