/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "base/alloc.h"
#include "data/image_decode.h"
#include "data_files.h"
#include "fail_alloc.h"

static void png_is_exact(void **state)
{
    int interlaced;

    (void)state;
    for (interlaced = 0; interlaced < 2; interlaced++) {
        uint8_t pixels[9 * 13 * 3];
        data_bytes bytes;
        vecq_error err = VECQ_ERROR_INIT;
        vecq_image image;
        size_t i;

        for (i = 0; i < sizeof pixels; i++)
            pixels[i] = data_pixel(1, i % 3, i / 39, i / 3 % 13);
        bytes = data_png(pixels, 9, 13, PNG_COLOR_TYPE_RGB, 8, interlaced);
        assert_ok(vecq_image_decode(data_span(&bytes), "a.png", &image, &err), &err);
        assert_int_equal(image.height, 9);
        assert_int_equal(image.width, 13);
        for (i = 0; i < sizeof pixels; i++)
            assert_int_equal(image.planes[i % 3 * 117 + i / 3], pixels[i]);
        vecq_free(image.planes);
        data_free(&bytes);
    }
}

static void expect_planes(data_bytes bytes, size_t n, const uint8_t *want, int tolerance)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_image image;
    size_t i;

    assert_ok(vecq_image_decode(data_span(&bytes), "a", &image, &err), &err);
    assert_int_equal(image.height * image.width, n);
    for (i = 0; i < 3 * n; i++)
        if (abs(image.planes[i] - want[i]) > tolerance)
            fail_msg("plane %zu pixel %zu: %d, expected %d", i / n, i % n, image.planes[i], want[i]);
    vecq_free(image.planes);
    data_free(&bytes);
}

static void kinds_of_png(void **state)
{
    static const uint8_t grey[] = {0, 100, 200, 255},
                         grey3[] = {0, 100, 200, 255, 0, 100, 200, 255, 0, 100, 200, 255};
    static const uint8_t deep[] = {0x12, 0xff, 0x34, 0x00, 0x56, 0x80, 0xff, 0xff};
    static const uint8_t deep3[] = {0x12, 0x34, 0x56, 0xff, 0x12, 0x34, 0x56, 0xff, 0x12, 0x34, 0x56, 0xff};
    static const uint8_t bits[] = {0x50}, bits3[] = {0, 255, 0, 255, 0, 255, 0, 255, 0, 255, 0, 255};
    static const uint8_t index[] = {0, 1, 2, 3}, index3[] = {10, 40, 70, 255, 20, 50, 80, 0, 30, 60, 90, 128};
    static const uint8_t alpha[] = {1, 2, 3, 0, 4, 5, 6, 128, 7, 8, 9, 255, 10, 11, 12, 1};
    static const uint8_t alpha3[] = {1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12};
    static const uint8_t grey_alpha[] = {9, 0, 8, 255, 7, 1, 6, 2},
                         grey_alpha3[] = {9, 8, 7, 6, 9, 8, 7, 6, 9, 8, 7, 6};

    (void)state;
    expect_planes(data_png(grey, 1, 4, PNG_COLOR_TYPE_GRAY, 8, 0), 4, grey3, 0);
    expect_planes(data_png(deep, 1, 4, PNG_COLOR_TYPE_GRAY, 16, 0), 4, deep3, 0);
    expect_planes(data_png(bits, 1, 4, PNG_COLOR_TYPE_GRAY, 1, 0), 4, bits3, 0);
    expect_planes(data_png(index, 1, 4, PNG_COLOR_TYPE_PALETTE, 8, 0), 4, index3, 0);
    expect_planes(data_png(alpha, 1, 4, PNG_COLOR_TYPE_RGB_ALPHA, 8, 1), 4, alpha3, 0);
    expect_planes(data_png(grey_alpha, 1, 4, PNG_COLOR_TYPE_GRAY_ALPHA, 8, 0), 4, grey_alpha3, 0);
}

static void kinds_of_jpeg(void **state)
{
    static const uint8_t rgb[] = {200, 30, 90}, grey[] = {77}, cmyk[] = {255, 128, 64, 200};
    uint8_t want[3 * 16 * 24];
    int progressive;
    size_t i;

    (void)state;
    for (progressive = 0; progressive < 2; progressive++) {
        for (i = 0; i < sizeof want; i++)
            want[i] = rgb[i / 384];
        expect_planes(data_jpeg(16, 24, 3, rgb, NULL, progressive), 384, want, 2);
        memset(want, 77, sizeof want);
        expect_planes(data_jpeg(16, 24, 1, grey, NULL, progressive), 384, want, 1);
        for (i = 0; i < sizeof want; i++) /* libjpeg writes Adobe's marker: stored inverted */
            want[i] = (uint8_t)(cmyk[i / 384] * 200 / 255);
        expect_planes(data_jpeg(16, 24, 4, cmyk, NULL, progressive), 384, want, 2);
    }
}

/* Rows and columns are where they were: the left half is dark, the last row red. */
static void jpeg_is_the_right_way_round(void **state)
{
    uint8_t pixels[16 * 16 * 3], black[3] = {0, 0, 0};
    data_bytes bytes;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_image image;
    size_t i;

    (void)state;
    for (i = 0; i < 256; i++) {
        memset(pixels + 3 * i, i % 16 < 8 ? 10 : 240, 3);
        if (i / 16 >= 8) {
            pixels[3 * i] = 255;
            pixels[3 * i + 1] = pixels[3 * i + 2] = 0;
        }
    }
    bytes = data_jpeg(16, 16, 3, black, pixels, 0);
    assert_ok(vecq_image_decode(data_span(&bytes), "a", &image, &err), &err);
    assert_true(image.planes[2 * 16 + 2] < 40 && image.planes[2 * 16 + 13] > 210);
    assert_true(image.planes[256 + 2 * 16 + 2] < 40 && image.planes[256 + 2 * 16 + 13] > 210);
    assert_true(image.planes[13 * 16 + 3] > 200 && image.planes[512 + 13 * 16 + 3] < 60);
    vecq_free(image.planes);
    data_free(&bytes);
}

static void every_truncation(void **state)
{
    static const uint8_t rgb[] = {200, 30, 90};
    int kind;

    (void)state;
    for (kind = 0; kind < 3; kind++) {
        data_bytes bytes = kind == 0 ? data_png_sample(0, 9, 9) : data_jpeg(9, 9, 3, rgb, NULL, kind == 2);
        /* the end mark of a JPEG may be missing; all before is needed */
        size_t n, most = kind == 0 ? bytes.n : bytes.n - 2;
        vecq_error err;
        vecq_image image;

        for (n = 0; n < most; n++) {
            uint8_t *exact = malloc(n > 0 ? n : 1);
            vecq_span span = {exact, n};

            assert_non_null(exact);
            memcpy(exact, bytes.data, n);
            expect_error(vecq_image_decode(span, "dir/a.img", &image, &err), VECQ_ERR_FORMAT, &err,
                         "dir/a.img: ");
            assert_null(image.planes);
            free(exact);
        }
        data_free(&bytes);
    }
}

static void refused(void **state)
{
    static const uint8_t rgb[] = {1, 2, 3};
    data_bytes jpeg = data_jpeg(8, 8, 3, rgb, NULL, 0), png = data_png_sample(0, 8, 8);
    vecq_span text = {(const uint8_t *)"GIF89a, or a text", 17};
    vecq_error err;
    vecq_image image;
    size_t i;

    (void)state;
    expect_error(vecq_image_decode(text, "a.gif", &image, &err), VECQ_ERR_FORMAT, &err,
                 "a.gif: ", "neither JPEG nor PNG");
    text.n = 0;
    expect_error(vecq_image_decode(text, "a.jpg", &image, &err), VECQ_ERR_FORMAT, &err, "a.jpg: ", "empty");
    /* 65500 x 65500 in the frame header of a JPEG: refused before memory is taken */
    for (i = 0; i + 9 < jpeg.n; i++)
        if (jpeg.data[i] == 0xff && jpeg.data[i + 1] == 0xc0)
            break;
    assert_true(i + 9 < jpeg.n);
    memcpy(jpeg.data + i + 5, "\xff\xdc\xff\xdc", 4);
    expect_error(vecq_image_decode(data_span(&jpeg), "a.jpg", &image, &err), VECQ_ERR_FORMAT, &err,
                 "a.jpg: ", "65500 x 65500");
    png.data[18] = 0x20; /* 8200 wide: too much for the bytes there are, and the check sum is wrong */
    expect_error(vecq_image_decode(data_span(&png), "a.png", &image, &err), VECQ_ERR_FORMAT, &err, "a.png: ");
    data_free(&jpeg);
    data_free(&png);
}

/* A picture of one colour packs well: what is really in the file passes, what cannot be is refused early. */
static void png_ratio(void **state)
{
    size_t side = 3000;
    uint8_t *pixels = calloc(side * side, 3);
    data_bytes bytes;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_image image;

    (void)state;
    assert_non_null(pixels);
    bytes = data_png(pixels, side, side, PNG_COLOR_TYPE_RGB, 8, 0);
    assert_true(bytes.n < 40000);
    assert_ok(vecq_image_decode(data_span(&bytes), "a", &image, &err), &err);
    vecq_free(image.planes);
    bytes.n = 1000;
    expect_error(vecq_image_decode(data_span(&bytes), "a", &image, &err), VECQ_ERR_FORMAT, &err,
                 "cannot be in a file");
    data_free(&bytes);
    free(pixels);
}

static void names(void **state)
{
    (void)state;
    assert_true(vecq_image_is_name("a.jpg") && vecq_image_is_name("B.JPEG") && vecq_image_is_name("x.y.Png"));
    assert_false(vecq_image_is_name("a.txt") || vecq_image_is_name("jpg") || vecq_image_is_name(".png") ||
                 vecq_image_is_name("a.jpg.bak"));
}

static vecq_status decode(void *context, vecq_error *err)
{
    vecq_image image;
    vecq_status status = vecq_image_decode(data_span(context), "a", &image, err);

    vecq_free(image.planes);
    return status;
}

static void out_of_memory(void **state)
{
    static const uint8_t rgb[] = {200, 30, 90};
    data_bytes png = data_png_sample(0, 9, 9), jpeg = data_jpeg(9, 9, 3, rgb, NULL, 0);

    (void)state;
    assert_true(vecq_fail_every_alloc(decode, &png) >= 4);
    assert_true(vecq_fail_every_alloc(decode, &jpeg) >= 3);
    data_free(&png);
    data_free(&jpeg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_is_exact),     cmocka_unit_test(kinds_of_png),
        cmocka_unit_test(kinds_of_jpeg),    cmocka_unit_test(jpeg_is_the_right_way_round),
        cmocka_unit_test(every_truncation), cmocka_unit_test(refused),
        cmocka_unit_test(png_ratio),        cmocka_unit_test(names),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
