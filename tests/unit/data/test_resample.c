/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "data/resample.h"
#include "fail_alloc.h"

/* The image of make_image() as Pillow 9.4 resizes it (Image.resize, BILINEAR); newer ones may take rows first
 * and then differ by 1 where the two directions are scaled differently. */
static const struct {
    size_t height, width;
    uint8_t pixels[84];
} pillow[] = {
    {4, 5, {104, 114, 128, 131, 128, 117, 126, 125, 140, 149,
            108, 119, 149, 148, 118, 128, 114, 146, 99,  104}},
    {14, 6, {29,  100, 177, 70,  88,  159, 73,  126, 120, 99,  141, 130, 129, 147, 65,  140, 190,
             101, 160, 96,  130, 181, 120, 123, 127, 108, 159, 146, 106, 164, 61,  156, 161, 70,
             130, 209, 122, 115, 99,  119, 179, 128, 133, 88,  99,  168, 174, 102, 94,  73,  162,
             218, 115, 132, 89,  135, 179, 133, 133, 123, 108, 155, 161, 95,  122, 104, 161, 102,
             91,  145, 57,  74,  137, 95,  125, 167, 65,  113, 109, 97,  165, 179, 81,  152}},
    {3, 17, {82,  110, 116, 112, 145, 110, 111, 133, 141, 113, 127, 139, 121, 154, 131, 124, 152,
             108, 108, 120, 128, 90,  112, 139, 147, 115, 131, 158, 163, 130, 157, 134, 123, 142,
             134, 118, 122, 131, 92,  111, 138, 152, 132, 161, 157, 119, 57,  80,  112, 119, 98}},
    {5, 13, {52,  92,  113, 153, 83,  123, 163, 70,  110, 132, 172, 102, 142, 113, 161, 81,  128,
             128, 155, 123, 138, 186, 85,  133, 132, 180, 108, 105, 162, 68,  91,  132, 114, 136,
             178, 159, 182, 88,  145, 103, 89,  143, 109, 163, 197, 103, 137, 170, 76,  131, 144,
             70,  164, 110, 124, 84,  97,  134, 163, 200, 118, 45,  59,  128, 124}},
    {9, 4, {53,  147, 80, 135, 141, 87,  154, 135, 137, 129, 165, 112, 92,  160, 90, 183, 140, 72,
            164, 128, 78, 142, 187, 121, 118, 180, 105, 134, 150, 80,  118, 56,  98, 151, 140, 127}},
};

#define HEIGHT 9
#define WIDTH  13

static void make_image(uint8_t *planes, size_t channels)
{
    size_t c, y, x;

    for (c = 0; c < channels; c++)
        for (y = 0; y < HEIGHT; y++)
            for (x = 0; x < WIDTH; x++)
                planes[(c * HEIGHT + y) * WIDTH + x] = (uint8_t)((x * 37 + y * 91 + x * y % 13 * 5) + c * 77);
}

/* Any resizing, without the proportions that the options keep. */
static vecq_image_fit plain_fit(size_t height, size_t width)
{
    vecq_image_fit fit = {.in_channels = 1, .in_height = HEIGHT, .in_width = WIDTH, .out_channels = 1};

    fit.scaled_height = fit.out_height = fit.target_height = height;
    fit.scaled_width = fit.out_width = fit.target_width = width;
    return fit;
}

static void as_pillow(void **state)
{
    uint8_t image[HEIGHT * WIDTH], out[84];
    vecq_error err = VECQ_ERROR_INIT;
    size_t i, k;

    (void)state;
    make_image(image, 1);
    for (i = 0; i < sizeof pillow / sizeof *pillow; i++) {
        vecq_image_fit fit = plain_fit(pillow[i].height, pillow[i].width);

        assert_ok(vecq_image_fit_planes(&fit, image, out, &err), &err);
        for (k = 0; k < fit.out_height * fit.out_width; k++)
            if (out[k] != pillow[i].pixels[k])
                fail_msg("%zu x %zu, pixel %zu: %d, Pillow has %d", fit.out_height, fit.out_width, k, out[k],
                         pillow[i].pixels[k]);
    }
}

/* A window of the resized image is what resizing all of it and cutting gives. */
static void windows(void **state)
{
    uint8_t image[HEIGHT * WIDTH], whole[20 * 30], part[20 * 30];
    vecq_error err = VECQ_ERROR_INIT;
    vecq_rng rng;
    int round;

    (void)state;
    make_image(image, 1);
    vecq_rng_seed(&rng, 1);
    for (round = 0; round < 300; round++) {
        vecq_image_fit fit =
            plain_fit(1 + (size_t)vecq_rng_below(&rng, 20), 1 + (size_t)vecq_rng_below(&rng, 30));
        vecq_image_fit cut = fit;
        size_t y;

        cut.out_height = 1 + (size_t)vecq_rng_below(&rng, fit.out_height);
        cut.out_width = 1 + (size_t)vecq_rng_below(&rng, fit.out_width);
        cut.top = (size_t)vecq_rng_below(&rng, fit.out_height - cut.out_height + 1);
        cut.left = (size_t)vecq_rng_below(&rng, fit.out_width - cut.out_width + 1);
        assert_ok(vecq_image_fit_planes(&fit, image, whole, &err), &err);
        assert_ok(vecq_image_fit_planes(&cut, image, part, &err), &err);
        for (y = 0; y < cut.out_height; y++)
            assert_memory_equal(part + y * cut.out_width, whole + (cut.top + y) * fit.out_width + cut.left,
                                cut.out_width);
    }
}

static void extremes(void **state)
{
    uint8_t image[HEIGHT * WIDTH], out[64 * 64];
    vecq_image_fit fit = plain_fit(64, 64);
    vecq_error err = VECQ_ERROR_INIT;
    double mean = 0;
    size_t i;

    (void)state;
    memset(image, 255, sizeof image); /* white stays white, black black */
    assert_ok(vecq_image_fit_planes(&fit, image, out, &err), &err);
    for (i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], 255);
    memset(image, 0, sizeof image);
    assert_ok(vecq_image_fit_planes(&fit, image, out, &err), &err);
    for (i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], 0);
    make_image(image, 1); /* to one pixel: between the extremes, near the mean */
    fit = plain_fit(1, 1);
    assert_ok(vecq_image_fit_planes(&fit, image, out, &err), &err);
    for (i = 0; i < sizeof image; i++)
        mean += image[i] / (double)sizeof image;
    assert_true(out[0] > mean - 15 && out[0] < mean + 15);
}

static void plans(void **state)
{
    vecq_dataset_options o;
    vecq_image_fit fit;
    size_t height, width;

    (void)state;
    vecq_dataset_defaults(&o);
    vecq_image_fit_plan(&fit, &o, 3, 100, 50); /* as they are */
    assert_true(fit.out_height == 100 && fit.out_width == 50 && fit.scaled_height == 100 &&
                fit.out_channels == 3);
    o.height = o.width = 224; /* the usual recipe: shorter side 256, middle 224 */
    o.resize = 256;
    vecq_image_fit_plan(&fit, &o, 3, 375, 500);
    assert_true(fit.scaled_height == 256 && fit.scaled_width == 341);
    assert_true(fit.top == 16 && fit.left == 58); /* 117 / 2 = 58.5: to even */
    assert_true(fit.out_height == 224 && fit.target_width == 224);
    vecq_image_fit_plan(&fit, &o, 3, 500, 375);
    assert_true(fit.scaled_height == 341 && fit.scaled_width == 256 && fit.top == 58 && fit.left == 16);
    o.random_crop = 1; /* keep the frame for the loader */
    vecq_image_fit_plan(&fit, &o, 3, 375, 500);
    assert_true(fit.out_height == 256 && fit.out_width == 256 && fit.target_height == 224);
    o.random_crop = 0;
    o.grayscale = 1;
    vecq_image_fit_plan(&fit, &o, 3, 10, 10);
    assert_true(fit.out_channels == 1);
    for (height = 1; height < 40; height += 3) /* whatever the proportions, the target is covered */
        for (width = 1; width < 40; width += 2) {
            o.height = 1 + height / 2;
            o.width = 1 + width * 2;
            for (o.resize = 0; o.resize <= 64; o.resize += 64) {
                vecq_image_fit_plan(&fit, &o, 3, 17, 23);
                assert_true(fit.scaled_height >= fit.out_height && fit.scaled_width >= fit.out_width);
                assert_true(fit.top + fit.out_height <= fit.scaled_height);
                assert_true(fit.left + fit.out_width <= fit.scaled_width);
                assert_true(o.resize > 0 || fit.scaled_height == o.height || fit.scaled_width == o.width);
            }
        }
}

static void middles(void **state)
{
    static const size_t want[] = {0, 0, 1, 2, 2, 2, 3, 4, 4}; /* round half to even of d / 2 */
    size_t d;

    (void)state;
    for (d = 0; d < 9; d++)
        assert_int_equal(vecq_image_middle(100 + d, 100), want[d]);
}

static void grey(void **state)
{
    uint8_t planes[3 * HEIGHT * WIDTH], out[HEIGHT * WIDTH], want[HEIGHT * WIDTH];
    size_t plane = HEIGHT * WIDTH, i;
    vecq_dataset_options o;
    vecq_image_fit fit, one;
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    make_image(planes, 3);
    vecq_dataset_defaults(&o);
    o.grayscale = 1;
    vecq_image_fit_plan(&fit, &o, 3, HEIGHT, WIDTH);
    assert_ok(vecq_image_fit_planes(&fit, planes, want, &err), &err);
    for (i = 0; i < plane; i++) {
        double luma = 0.299 * planes[i] + 0.587 * planes[plane + i] + 0.114 * planes[2 * plane + i];

        assert_true(want[i] > luma - 0.51 && want[i] < luma + 0.51);
    }
    o.height = o.width = 5; /* grey first, then smaller */
    vecq_image_fit_plan(&fit, &o, 3, HEIGHT, WIDTH);
    vecq_image_fit_plan(&one, &o, 1, HEIGHT, WIDTH);
    assert_ok(vecq_image_fit_planes(&fit, planes, out, &err), &err);
    assert_ok(vecq_image_fit_planes(&one, want, planes, &err), &err);
    assert_memory_equal(out, planes, 25);
}

static vecq_status resize(void *context, vecq_error *err)
{
    uint8_t planes[3 * HEIGHT * WIDTH], out[25];
    vecq_image_fit fit;

    make_image(planes, 3);
    vecq_image_fit_plan(&fit, context, 3, HEIGHT, WIDTH);
    return vecq_image_fit_planes(&fit, planes, out, err);
}

static void out_of_memory(void **state)
{
    vecq_dataset_options o;

    (void)state;
    vecq_dataset_defaults(&o);
    o.height = o.width = 5;
    o.grayscale = 1;
    assert_true(vecq_fail_every_alloc(resize, &o) > 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_pillow),     cmocka_unit_test(windows), cmocka_unit_test(extremes),
        cmocka_unit_test(plans),         cmocka_unit_test(middles), cmocka_unit_test(grey),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
