/* SPDX-License-Identifier: Apache-2.0 */
#include "data/augment.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/status.h"
#include "data/resample.h"

#define AUGMENT_DEGREE 0.017453292519943295769

vecq_status vecq_augment_check(const vecq_augment *a, vecq_error *err)
{
    int scaled = a->scale_min != 0 || a->scale_max != 0;

    if (a->pad > VECQ_DATA_SIDE_MAX)
        return vecq_error_set(err, VECQ_ERR_USAGE, "augmentation: a pad of %zu pixels; 0 to %u are possible",
                              a->pad, VECQ_DATA_SIDE_MAX);
    if (!(a->rotate >= 0 && a->rotate <= 180))
        return vecq_error_set(err, VECQ_ERR_USAGE,
                              "augmentation: rotation by %g degrees; 0 to 180 are possible", a->rotate);
    if (!(a->translate >= 0 && a->translate <= 1))
        return vecq_error_set(err, VECQ_ERR_USAGE,
                              "augmentation: translation by %g of the size; 0 to 1 are possible",
                              a->translate);
    if (scaled && !(a->scale_min >= 0.1 && a->scale_min <= a->scale_max && a->scale_max <= 10))
        return vecq_error_set(err, VECQ_ERR_USAGE,
                              "augmentation: scales from %g to %g; 0.1 to 10 are possible, smaller first",
                              a->scale_min, a->scale_max);
    if (!(a->shear >= 0 && a->shear <= 60))
        return vecq_error_set(err, VECQ_ERR_USAGE, "augmentation: shear by %g degrees; 0 to 60 are possible",
                              a->shear);
    return VECQ_OK;
}

/* ---- what to do ---- */

void vecq_augment_none(const vecq_augment *augment, const vecq_augment_shape *shape, vecq_augment_draw *out)
{
    memset(out, 0, sizeof *out);
    out->top = vecq_image_middle(shape->in_height + 2 * augment->pad, shape->out_height);
    out->left = vecq_image_middle(shape->in_width + 2 * augment->pad, shape->out_width);
}

static double augment_around(vecq_rng *rng, double range)
{
    return (2 * vecq_rng_uniform(rng) - 1) * range;
}

/* The inverse of A = scale * rotation(angle) * (1 tan(shear); 0 1), in x right, y down. */
static void augment_affine(vecq_augment_draw *out, double angle, double scale, double shear)
{
    double c = cos(angle * AUGMENT_DEGREE) / scale, s = sin(angle * AUGMENT_DEGREE) / scale;
    double t = tan(shear * AUGMENT_DEGREE);

    /* rotation^-1 = (c s; -s c), then shear^-1 = (1 -t; 0 1) */
    out->a = c + t * s;
    out->b = s - t * c;
    out->c = -s;
    out->d = c;
}

void vecq_augment_make(const vecq_augment *augment, const vecq_augment_shape *shape, uint64_t seed,
                       uint64_t epoch, uint64_t sample, vecq_augment_draw *out)
{
    uint64_t key[3] = {seed, epoch, sample};
    double angle, shear, scale, cut_y, cut_x;
    size_t top, left;
    vecq_rng rng;

    vecq_augment_none(augment, shape, out);
    vecq_rng_seed(&rng, vecq_hash(0, key, sizeof key));
    top = (size_t)vecq_rng_below(&rng, shape->in_height + 2 * augment->pad - shape->out_height + 1);
    left = (size_t)vecq_rng_below(&rng, shape->in_width + 2 * augment->pad - shape->out_width + 1);
    if (augment->random_crop) {
        out->top = top;
        out->left = left;
    }
    out->flip = (vecq_rng_u64(&rng) >> 63) != 0 && augment->flip;
    angle = augment_around(&rng, augment->rotate);
    out->shift_y = augment_around(&rng, augment->translate) * (double)shape->in_height;
    out->shift_x = augment_around(&rng, augment->translate) * (double)shape->in_width;
    scale = augment->scale_min + vecq_rng_uniform(&rng) * (augment->scale_max - augment->scale_min);
    shear = augment_around(&rng, augment->shear);
    cut_y = vecq_rng_uniform(&rng) * (double)shape->out_height;
    cut_x = vecq_rng_uniform(&rng) * (double)shape->out_width;
    out->affine =
        augment->rotate > 0 || augment->translate > 0 || augment->scale_max > 0 || augment->shear > 0;
    if (out->affine)
        augment_affine(out, angle, augment->scale_max > 0 ? scale : 1, shear);
    if (augment->cutout > 0) {
        size_t half = augment->cutout / 2, y = (size_t)cut_y, x = (size_t)cut_x;
        size_t bottom = y + (augment->cutout - half), right = x + (augment->cutout - half);

        out->cut_top = y > half ? y - half : 0;
        out->cut_left = x > half ? x - half : 0;
        out->cut_bottom = bottom < shape->out_height ? bottom : shape->out_height;
        out->cut_right = right < shape->out_width ? right : shape->out_width;
    }
}

/* ---- distortion ---- */

#define AUGMENT_ONE 4294967296.0 /* coordinates have 32 bits behind the point, weights 8 */

/* A pixel, or what lies around the image. */
static uint32_t augment_pixel(const uint8_t *plane, size_t height, size_t width, int64_t y, int64_t x,
                              uint8_t outside)
{
    return y >= 0 && x >= 0 && y < (int64_t)height && x < (int64_t)width
               ? plane[(size_t)y * width + (size_t)x]
               : outside;
}

/* One row of the distorted image; y, x are the source of its first pixel, and move by (dy, dx). */
static void augment_distort_row(const uint8_t *plane, size_t height, size_t width, int64_t y, int64_t x,
                                int64_t dy, int64_t dx, uint8_t outside, uint8_t *out)
{
    size_t i;

    for (i = 0; i < width; i++, y += dy, x += dx) {
        int64_t iy = y >> 32, ix = x >> 32;
        uint32_t fy = (uint32_t)(y >> 24) & 0xff, fx = (uint32_t)(x >> 24) & 0xff, p, q, r, s;

        if (iy >= 0 && ix >= 0 && iy + 1 < (int64_t)height && ix + 1 < (int64_t)width) {
            const uint8_t *at = plane + (size_t)iy * width + (size_t)ix;

            p = at[0];
            q = at[1];
            r = at[width];
            s = at[width + 1];
        } else {
            p = augment_pixel(plane, height, width, iy, ix, outside);
            q = augment_pixel(plane, height, width, iy, ix + 1, outside);
            r = augment_pixel(plane, height, width, iy + 1, ix, outside);
            s = augment_pixel(plane, height, width, iy + 1, ix + 1, outside);
        }
        p = p * (256 - fx) + q * fx;
        r = r * (256 - fx) + s * fx;
        out[i] = (uint8_t)((p * (256 - fy) + r * fy + 0x8000) >> 16);
    }
}

static int64_t augment_fixed(double x)
{
    return (int64_t)floor(x * AUGMENT_ONE + 0.5);
}

static void augment_distort(const vecq_augment_shape *shape, const vecq_augment_draw *draw, uint8_t outside,
                            const uint8_t *planes, uint8_t *out)
{
    size_t height = shape->in_height, width = shape->in_width, c, y;
    double mid_y = ((double)height - 1) / 2, mid_x = ((double)width - 1) / 2;
    int64_t dx = augment_fixed(draw->a), dy = augment_fixed(draw->c);

    for (y = 0; y < height; y++) {
        double u = -mid_x - draw->shift_x, v = (double)y - mid_y - draw->shift_y;
        int64_t x0 = augment_fixed(draw->a * u + draw->b * v + mid_x);
        int64_t y0 = augment_fixed(draw->c * u + draw->d * v + mid_y);

        for (c = 0; c < shape->channels; c++)
            augment_distort_row(planes + c * height * width, height, width, y0, x0, dy, dx, outside,
                                out + (c * height + y) * width);
    }
}

/* ---- window ---- */

typedef struct augment_row {
    size_t begin, end; /* columns of the window that lie in the image */
    size_t first;      /* column of the image that is column `begin` of the window */
    size_t n;          /* columns of the window */
    size_t stride;     /* floats from one output column to the next */
    int flip;
} augment_row;

/* `row`: NULL for a row outside the image. */
static void augment_levels(const augment_row *window, const uint8_t *row, const float *levels, float outside,
                           float *out)
{
    size_t n = window->n, stride = window->stride, begin = row != NULL ? window->begin : n;
    size_t end = row != NULL ? window->end : n, x;
    const uint8_t *in = row != NULL ? row + window->first : NULL;

    if (window->flip) { /* column x of the window goes to n - 1 - x */
        for (x = 0; x < begin; x++)
            out[(n - 1 - x) * stride] = outside;
        for (; x < end; x++)
            out[(n - 1 - x) * stride] = levels[in[x - begin]];
        for (; x < n; x++)
            out[(n - 1 - x) * stride] = outside;
        return;
    }
    for (x = 0; x < begin; x++)
        out[x * stride] = outside;
    if (stride == 1)
        for (; x < end; x++)
            out[x] = levels[in[x - begin]];
    for (; x < end; x++)
        out[x * stride] = levels[in[x - begin]];
    for (; x < n; x++)
        out[x * stride] = outside;
}

/* Part of a window of n that lies in an image of `size`, when it begins at `at` of the image with `pad`
 * around. */
static void augment_overlap(size_t at, size_t pad, size_t size, size_t n, size_t *begin, size_t *end)
{
    *begin = at < pad ? pad - at : 0;
    *begin = *begin < n ? *begin : n;
    *end = pad + size > at ? pad + size - at : 0;
    *end = *end < n ? *end : n;
    *end = *end > *begin ? *end : *begin;
}

static void augment_cut(const vecq_augment_shape *shape, const vecq_augment_draw *draw, int interleaved,
                        float *out)
{
    size_t c, y, x, channels = shape->channels;

    for (c = 0; c < channels; c++)
        for (y = draw->cut_top; y < draw->cut_bottom; y++)
            for (x = draw->cut_left; x < draw->cut_right; x++)
                out[interleaved ? (y * shape->out_width + x) * channels + c
                                : (c * shape->out_height + y) * shape->out_width + x] = 0.0f;
}

void vecq_augment_apply(const vecq_augment_shape *shape, const vecq_augment_draw *draw, size_t pad,
                        uint8_t pad_value, const float *levels, int interleaved, const uint8_t *planes,
                        uint8_t *scratch, float *out)
{
    size_t channels = shape->channels, width = shape->out_width, top, bottom, c, y;
    augment_row window = {.n = width, .stride = interleaved ? channels : 1, .flip = draw->flip};

    if (draw->affine) {
        augment_distort(shape, draw, pad_value, planes, scratch);
        planes = scratch;
    }
    augment_overlap(draw->left, pad, shape->in_width, width, &window.begin, &window.end);
    augment_overlap(draw->top, pad, shape->in_height, shape->out_height, &top, &bottom);
    window.first = window.begin < window.end ? draw->left + window.begin - pad : 0;
    for (c = 0; c < channels; c++) {
        const uint8_t *plane = planes + c * shape->in_height * shape->in_width;

        for (y = 0; y < shape->out_height; y++) {
            const uint8_t *row =
                y >= top && y < bottom ? plane + (draw->top + y - pad) * shape->in_width : NULL;
            float *to =
                interleaved ? out + y * width * channels + c : out + (c * shape->out_height + y) * width;

            augment_levels(&window, row, levels + 256 * c, levels[256 * c + pad_value], to);
        }
    }
    if (draw->cut_bottom > draw->cut_top)
        augment_cut(shape, draw, interleaved, out);
}
