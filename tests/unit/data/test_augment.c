/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include <math.h>

#include "data/augment.h"
#include "data_files.h"

#define HEIGHT 12
#define WIDTH  10

/* Levels that tell channels apart, and outputs as bytes again. */
static void make_levels(float levels[3 * 256])
{
    int c, v;

    for (c = 0; c < 3; c++)
        for (v = 0; v < 256; v++)
            levels[c * 256 + v] = (float)(c * 1000 + v + 1); /* 0 is no level: what cutout leaves */
}

static int level_byte(float value, size_t channel)
{
    return (int)value - (int)channel * 1000 - 1;
}

static void make_planes(uint8_t *planes, size_t channels)
{
    size_t c, y, x;

    for (c = 0; c < channels; c++)
        for (y = 0; y < HEIGHT; y++)
            for (x = 0; x < WIDTH; x++)
                planes[(c * HEIGHT + y) * WIDTH + x] = data_pixel(0, c, y, x);
}

/* A pixel of the padded image, as one would write it down. */
static int padded(const uint8_t *planes, size_t c, long y, long x, size_t pad, int outside)
{
    y -= (long)pad;
    x -= (long)pad;
    return y < 0 || x < 0 || y >= HEIGHT || x >= WIDTH ? outside
                                                       : planes[(c * HEIGHT + (size_t)y) * WIDTH + (size_t)x];
}

/* Each output is a window of the padded image, mirrored or not, exactly where the draw says; all windows
 * occur. */
static void windows_of_the_padded_image(void **state)
{
    static const size_t sides[][2] = {
        {HEIGHT, WIDTH}, {5, 7}, {HEIGHT + 6, 3}, {1, 1}, {HEIGHT + 6, WIDTH + 6}};
    uint8_t planes[3 * HEIGHT * WIDTH], scratch[3 * HEIGHT * WIDTH];
    float levels[3 * 256], out[3 * (HEIGHT + 6) * (WIDTH + 6)];
    vecq_augment augment = {.pad = 3, .pad_value = 200, .random_crop = 1, .flip = 1};
    size_t k, c, y, x;

    (void)state;
    make_planes(planes, 3);
    make_levels(levels);
    for (k = 0; k < sizeof sides / sizeof *sides; k++) {
        vecq_augment_shape shape = {3, HEIGHT, WIDTH, sides[k][0], sides[k][1]};
        size_t n_tops = HEIGHT + 7 - sides[k][0], n_lefts = WIDTH + 7 - sides[k][1];
        int seen_top[HEIGHT + 7] = {0}, seen_left[WIDTH + 7] = {0}, flips = 0;
        uint64_t sample;

        for (sample = 0; sample < 400; sample++) {
            vecq_augment_draw draw;
            int interleaved = (int)(sample % 2);

            vecq_augment_make(&augment, &shape, 5, 6, sample, &draw);
            assert_true(draw.top < n_tops && draw.left < n_lefts);
            assert_false(draw.affine);
            seen_top[draw.top]++;
            seen_left[draw.left]++;
            flips += draw.flip;
            vecq_augment_apply(&shape, &draw, 3, 200, levels, interleaved, planes, scratch, out);
            for (c = 0; c < 3; c++)
                for (y = 0; y < shape.out_height; y++)
                    for (x = 0; x < shape.out_width; x++) {
                        size_t from = draw.flip ? shape.out_width - 1 - x : x;
                        size_t at = interleaved ? (y * shape.out_width + x) * 3 + c
                                                : (c * shape.out_height + y) * shape.out_width + x;

                        assert_int_equal(level_byte(out[at], c), padded(planes, c, (long)(draw.top + y),
                                                                        (long)(draw.left + from), 3, 200));
                    }
        }
        for (y = 0; y < n_tops; y++) /* 400 draws of at most 19 places */
            assert_true(seen_top[y] > 0);
        for (x = 0; x < n_lefts; x++)
            assert_true(seen_left[x] > 0);
        assert_true(flips > 140 && flips < 260);
    }
}

static void without_randomness(void **state)
{
    vecq_augment augment = {.pad = 2};
    vecq_augment_shape shape = {1, HEIGHT, WIDTH, HEIGHT, WIDTH};
    uint8_t planes[HEIGHT * WIDTH];
    float levels[3 * 256], out[HEIGHT * WIDTH];
    vecq_augment_draw draw;
    size_t i;

    (void)state;
    make_planes(planes, 1);
    make_levels(levels);
    vecq_augment_make(&augment, &shape, 1, 2, 3, &draw); /* the middle of the padded image is the image */
    vecq_augment_apply(&shape, &draw, 2, 0, levels, 0, planes, NULL, out);
    for (i = 0; i < HEIGHT * WIDTH; i++)
        assert_int_equal(level_byte(out[i], 0), planes[i]);
    shape.out_height = 6;
    shape.out_width = 6;
    augment.pad = 0;
    vecq_augment_none(&augment, &shape, &draw);
    assert_true(draw.top == 3 && draw.left == 2);
}

static vecq_augment_draw affine_draw(double a, double b, double c, double d, double shift_y, double shift_x)
{
    vecq_augment_draw draw = {
        .affine = 1, .a = a, .b = b, .c = c, .d = d, .shift_y = shift_y, .shift_x = shift_x};

    return draw;
}

static void distort(const vecq_augment_draw *draw, const uint8_t *planes, size_t height, size_t width,
                    uint8_t *out)
{
    vecq_augment_shape shape = {1, height, width, height, width};
    uint8_t scratch[64 * 64];
    float levels[3 * 256], values[64 * 64];
    size_t i;

    make_levels(levels);
    vecq_augment_apply(&shape, draw, 0, 9, levels, 0, planes, scratch, values);
    for (i = 0; i < height * width; i++)
        out[i] = (uint8_t)level_byte(values[i], 0);
}

static void distortions_that_are_exact(void **state)
{
    uint8_t planes[HEIGHT * WIDTH], square[81], out[HEIGHT * WIDTH];
    vecq_augment_draw draw = affine_draw(1, 0, 0, 1, 0, 0);
    size_t y, x;

    (void)state;
    make_planes(planes, 1);
    distort(&draw, planes, HEIGHT, WIDTH, out); /* identity */
    assert_memory_equal(out, planes, sizeof planes);
    draw = affine_draw(1, 0, 0, 1, 2, -3); /* down and left */
    distort(&draw, planes, HEIGHT, WIDTH, out);
    for (y = 0; y < HEIGHT; y++)
        for (x = 0; x < WIDTH; x++)
            assert_int_equal(out[y * WIDTH + x],
                             y < 2 || x + 3 >= WIDTH ? 9 : planes[(y - 2) * WIDTH + x + 3]);
    draw = affine_draw(-1, 0, 0, -1, 0, 0); /* half a turn */
    distort(&draw, planes, HEIGHT, WIDTH, out);
    for (y = 0; y < HEIGHT; y++)
        for (x = 0; x < WIDTH; x++)
            assert_int_equal(out[y * WIDTH + x], planes[(HEIGHT - 1 - y) * WIDTH + WIDTH - 1 - x]);
    for (y = 0; y < 81; y++)
        square[y] = (uint8_t)(y * 3);
    draw = affine_draw(0, -1, 1, 0, 0, 0); /* a quarter: source x = -y, source y = x, about the middle */
    distort(&draw, square, 9, 9, out);
    for (y = 0; y < 9; y++)
        for (x = 0; x < 9; x++)
            assert_int_equal(out[y * 9 + x], square[x * 9 + 8 - y]);
    draw = affine_draw(1, 0, 0, 1, 0, 0.5); /* half a pixel: the mean of two */
    distort(&draw, square, 9, 9, out);
    for (x = 1; x < 9; x++)
        assert_int_equal(out[9 + x], (square[9 + x] + square[9 + x - 1] + 1) / 2);
}

/* Against bilinear interpolation in double, on matrices that are drawn. */
static void distortions_that_are_drawn(void **state)
{
    vecq_augment augment = {.rotate = 30, .translate = 0.2, .scale_min = 0.7, .scale_max = 1.4, .shear = 15};
    vecq_augment_shape shape = {1, HEIGHT, WIDTH, HEIGHT, WIDTH};
    uint8_t planes[HEIGHT * WIDTH], out[HEIGHT * WIDTH];
    uint64_t sample;
    int widest = 0;

    (void)state;
    make_planes(planes, 1);
    for (sample = 0; sample < 200; sample++) {
        vecq_augment_draw draw;
        double det, scale;
        int y, x;

        vecq_augment_make(&augment, &shape, 1, 1, sample, &draw);
        assert_true(draw.affine);
        det = draw.a * draw.d - draw.b * draw.c; /* 1 / scale^2: rotation and shear keep areas */
        scale = 1 / sqrt(det);
        assert_true(scale > 0.7 - 1e-9 && scale < 1.4 + 1e-9);
        assert_true(fabs(draw.shift_y) <= 0.2 * HEIGHT && fabs(draw.shift_x) <= 0.2 * WIDTH);
        assert_true(fabs(atan2(-draw.c, draw.d)) <= 30.0001 * 3.14159265358979 / 180);
        distort(&draw, planes, HEIGHT, WIDTH, out);
        for (y = 0; y < HEIGHT; y++)
            for (x = 0; x < WIDTH; x++) {
                double u = x - 4.5 - draw.shift_x, v = y - 5.5 - draw.shift_y;
                double sx = draw.a * u + draw.b * v + 4.5, sy = draw.c * u + draw.d * v + 5.5;
                long ix = (long)floor(sx), iy = (long)floor(sy);
                double fx = sx - (double)ix, fy = sy - (double)iy;
                double want = (1 - fy) * ((1 - fx) * padded(planes, 0, iy, ix, 0, 9) +
                                          fx * padded(planes, 0, iy, ix + 1, 0, 9)) +
                              fy * ((1 - fx) * padded(planes, 0, iy + 1, ix, 0, 9) +
                                    fx * padded(planes, 0, iy + 1, ix + 1, 0, 9));
                int off = (int)ceil(fabs(out[y * WIDTH + x] - want) - 0.5);

                widest = off > widest ? off : widest;
            }
    }
    assert_true(widest <= 2); /* weights of 8 bits: 255 * 2 / 256 at most */
}

/* Larger than 1 is larger. */
static void what_scale_means(void **state)
{
    vecq_augment augment = {.scale_min = 2, .scale_max = 2};
    vecq_augment_shape shape = {1, 9, 9, 9, 9};
    uint8_t planes[81] = {0}, out[81];
    vecq_augment_draw draw;

    (void)state;
    planes[3 * 9 + 3] = 200; /* one up and left of the middle: twice as far away when twice as large */
    vecq_augment_make(&augment, &shape, 1, 1, 1, &draw);
    distort(&draw, planes, 9, 9, out);
    assert_int_equal(out[2 * 9 + 2], 200);
    assert_int_equal(out[3 * 9 + 2], 100);
    assert_int_equal(out[3 * 9 + 3], 50);
    assert_int_equal(out[4 * 9 + 4], 0);
}

static void cutout(void **state)
{
    vecq_augment augment = {.cutout = 5};
    vecq_augment_shape shape = {2, HEIGHT, WIDTH, HEIGHT, WIDTH};
    uint8_t planes[2 * HEIGHT * WIDTH];
    float levels[3 * 256], out[2 * HEIGHT * WIDTH];
    uint64_t sample;
    size_t c, y, x;
    int whole = 0;

    (void)state;
    make_planes(planes, 2);
    make_levels(levels);
    for (sample = 0; sample < 100; sample++) {
        size_t top = HEIGHT, left = WIDTH, bottom = 0, right = 0, n = 0;
        vecq_augment_draw draw;

        vecq_augment_make(&augment, &shape, 1, 1, sample, &draw);
        vecq_augment_apply(&shape, &draw, 0, 0, levels, sample % 2 == 1, planes, NULL, out);
        for (c = 0; c < 2; c++)
            for (y = 0; y < HEIGHT; y++)
                for (x = 0; x < WIDTH; x++) {
                    float value =
                        out[sample % 2 == 1 ? (y * WIDTH + x) * 2 + c : (c * HEIGHT + y) * WIDTH + x];

                    if (value != 0) {
                        assert_int_equal(level_byte(value, c), planes[(c * HEIGHT + y) * WIDTH + x]);
                        continue;
                    }
                    n++;
                    top = y < top ? y : top;
                    left = x < left ? x : left;
                    bottom = y + 1 > bottom ? y + 1 : bottom;
                    right = x + 1 > right ? x + 1 : right;
                }
        assert_int_equal(n, 2 * (bottom - top) * (right - left)); /* a rectangle in all channels */
        assert_true(bottom - top <= 5 && right - left <= 5 && bottom - top >= 3 && right - left >= 3);
        assert_true(bottom - top == 5 || top == 0 || bottom == HEIGHT); /* cut off by the border only */
        assert_true(right - left == 5 || left == 0 || right == WIDTH);
        whole += n == 50;
    }
    assert_true(whole > 10 && whole < 90);
}

/* The numbers of a sample depend on seed, epoch and sample, on nothing else. */
static void draws(void **state)
{
    vecq_augment augment = {.pad = 4, .random_crop = 1, .flip = 1, .rotate = 10},
                 crop = {.pad = 4, .random_crop = 1};
    vecq_augment_shape shape = {3, 32, 32, 32, 32};
    vecq_augment_draw first, again, other;
    int differ = 0, i;

    (void)state;
    for (i = 0; i < 50; i++) {
        vecq_augment_make(&augment, &shape, 1, 2, (uint64_t)i, &first);
        vecq_augment_make(&augment, &shape, 1, 2, (uint64_t)i, &again);
        assert_memory_equal(&first, &again, sizeof first);
        vecq_augment_make(&crop, &shape, 1, 2, (uint64_t)i, &other); /* fewer changes: the same window */
        assert_true(other.top == first.top && other.left == first.left && !other.flip && !other.affine);
        vecq_augment_make(&augment, &shape, 2, 2, (uint64_t)i, &other);
        differ += other.a != first.a;
        vecq_augment_make(&augment, &shape, 1, 3, (uint64_t)i, &other);
        differ += other.a != first.a;
    }
    assert_int_equal(differ, 100);
}

static void checks(void **state)
{
    static const struct {
        vecq_augment augment;
        const char *word;
    } bad[] = {
        {{.pad = 1u << 20}, "pad"},
        {{.rotate = -1}, "rotation"},
        {{.rotate = 181}, "rotation"},
        {{.rotate = NAN}, "rotation"},
        {{.translate = 1.1}, "translation"},
        {{.scale_min = 0.9}, "scales"},
        {{.scale_max = 1.1}, "scales"},
        {{.scale_min = 1.1, .scale_max = 0.9}, "scales"},
        {{.scale_min = 0.01, .scale_max = 1}, "scales"},
        {{.scale_min = 1, .scale_max = NAN}, "scales"},
        {{.shear = 89}, "shear"},
    };
    vecq_augment good = {
        .pad = 4, .rotate = 180, .translate = 1, .scale_min = 0.1, .scale_max = 10, .shear = 60};
    vecq_error err = VECQ_ERROR_INIT;
    size_t i;

    (void)state;
    assert_ok(vecq_augment_check(&good, &err), &err);
    for (i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_error(vecq_augment_check(&bad[i].augment, &err), VECQ_ERR_USAGE, &err, bad[i].word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_of_the_padded_image),
        cmocka_unit_test(without_randomness),
        cmocka_unit_test(distortions_that_are_exact),
        cmocka_unit_test(distortions_that_are_drawn),
        cmocka_unit_test(what_scale_means),
        cmocka_unit_test(cutout),
        cmocka_unit_test(draws),
        cmocka_unit_test(checks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
