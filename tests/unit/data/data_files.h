/* SPDX-License-Identifier: Apache-2.0 */
/* Writers of small data sets in the layouts that src/data reads, and checks of messages. */
#ifndef VECQ_TEST_DATA_FILES_H
#define VECQ_TEST_DATA_FILES_H

#include "unit/base/temp_folder.h"

#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

#include "base/span.h"
#include "base/status.h"

/* A buffer that grows at its end. */
typedef struct data_bytes {
    uint8_t *data;
    size_t n, capacity;
} data_bytes;

static inline void data_put(data_bytes *bytes, const void *data, size_t n)
{
    if (bytes->n + n > bytes->capacity) {
        bytes->capacity = 2 * (bytes->n + n) + 64;
        bytes->data = realloc(bytes->data, bytes->capacity);
        assert_non_null(bytes->data);
    }
    memcpy(bytes->data + bytes->n, data, n);
    bytes->n += n;
}

static inline void data_put_u32(data_bytes *bytes, uint32_t value) /* big-endian */
{
    uint8_t b[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};

    data_put(bytes, b, 4);
}

static inline vecq_span data_span(const data_bytes *bytes)
{
    vecq_span span = {bytes->data, bytes->n};

    return span;
}

static inline void data_free(data_bytes *bytes)
{
    free(bytes->data);
    memset(bytes, 0, sizeof *bytes);
}

/* The pixel that test images have: anything that differs from place to place. */
static inline uint8_t data_pixel(size_t sample, size_t channel, size_t y, size_t x)
{
    return (uint8_t)(sample * 53 + channel * 101 + y * 31 + x * 7 + (x * y) % 11);
}

static inline data_bytes data_idx_images(size_t n, size_t height, size_t width)
{
    data_bytes bytes = {0};
    size_t i, y, x;

    data_put_u32(&bytes, 0x803);
    data_put_u32(&bytes, (uint32_t)n);
    data_put_u32(&bytes, (uint32_t)height);
    data_put_u32(&bytes, (uint32_t)width);
    for (i = 0; i < n; i++)
        for (y = 0; y < height; y++)
            for (x = 0; x < width; x++) {
                uint8_t pixel = data_pixel(i, 0, y, x);

                data_put(&bytes, &pixel, 1);
            }
    return bytes;
}

/* Sample i has label i mod classes. */
static inline data_bytes data_idx_labels(size_t n, size_t classes)
{
    data_bytes bytes = {0};
    size_t i;

    data_put_u32(&bytes, 0x801);
    data_put_u32(&bytes, (uint32_t)n);
    for (i = 0; i < n; i++) {
        uint8_t label = (uint8_t)(i % classes);

        data_put(&bytes, &label, 1);
    }
    return bytes;
}

static inline data_bytes data_cifar10(size_t first, size_t n)
{
    data_bytes bytes = {0};
    size_t i, c, y, x;

    for (i = first; i < first + n; i++) {
        uint8_t label = (uint8_t)(i % 10);

        data_put(&bytes, &label, 1);
        for (c = 0; c < 3; c++)
            for (y = 0; y < 32; y++)
                for (x = 0; x < 32; x++) {
                    uint8_t pixel = data_pixel(i, c, y, x);

                    data_put(&bytes, &pixel, 1);
                }
    }
    return bytes;
}

/* Frees what it writes. */
static inline void data_write(const char *path, data_bytes bytes)
{
    put_file(path, bytes.data, bytes.n);
    data_free(&bytes);
}

static inline void data_write_text(const char *path, const char *text)
{
    put_file(path, text, strlen(text));
}

static inline data_bytes data_gzip(data_bytes plain)
{
    data_bytes out = {0};
    z_stream zip;

    memset(&zip, 0, sizeof zip);
    assert_int_equal(deflateInit2(&zip, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    out.capacity = deflateBound(&zip, plain.n) + 64;
    out.data = malloc(out.capacity);
    assert_non_null(out.data);
    zip.next_in = plain.data;
    zip.avail_in = (unsigned)plain.n;
    zip.next_out = out.data;
    zip.avail_out = (unsigned)out.capacity;
    assert_int_equal(deflate(&zip, Z_FINISH), Z_STREAM_END);
    out.n = out.capacity - zip.avail_out;
    deflateEnd(&zip);
    data_free(&plain);
    return out;
}

/* An idx set: train of n_train, test of n_test, height x width. */
static inline void data_write_idx(const char *dir, size_t n_train, size_t n_test, size_t height, size_t width,
                                  int compressed)
{
    static const char *const names[] = {"train-images-idx3", "train-labels-idx1", "t10k-images-idx3",
                                        "t10k-labels-idx1"};
    char path[200];
    int i;

    mkdir(dir, 0700);
    for (i = 0; i < 4; i++) {
        size_t n = i < 2 ? n_train : n_test;
        data_bytes bytes = i % 2 == 0 ? data_idx_images(n, height, width) : data_idx_labels(n, 10);

        snprintf(path, sizeof path, "%s/%s-ubyte%s", dir, names[i], compressed ? ".gz" : "");
        data_write(path, compressed ? data_gzip(bytes) : bytes);
    }
}

static inline void data_write_cifar10(const char *dir, size_t n_file)
{
    char path[200];
    size_t i;

    mkdir(dir, 0700);
    for (i = 0; i < 6; i++) {
        snprintf(path, sizeof path, i < 5 ? "%s/data_batch_%zu.bin" : "%s/test_batch.bin", dir, i + 1);
        data_write(path, data_cifar10(i * n_file, n_file));
    }
}

static inline void data_png_output(png_structp png, png_bytep data, size_t n)
{
    data_put(png_get_io_ptr(png), data, n);
}

/* `pixels` as PNG wants them: rows of samples, 16 bits big-endian. */
static inline data_bytes data_png(const uint8_t *pixels, size_t height, size_t width, int color, int depth,
                                  int interlaced)
{
    data_bytes bytes = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    size_t row, y;
    int pass, passes;

    png_set_write_fn(png, &bytes, data_png_output, NULL);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, depth, color,
                 interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    if (color == PNG_COLOR_TYPE_PALETTE) {
        static const png_color palette[] = {{10, 20, 30}, {40, 50, 60}, {70, 80, 90}, {255, 0, 128}};

        png_set_PLTE(png, info, palette, 4);
    }
    png_write_info(png, info);
    passes = png_set_interlace_handling(png);
    row = png_get_rowbytes(png, info);
    for (pass = 0; pass < passes; pass++)
        for (y = 0; y < height; y++)
            png_write_row(png, pixels + y * row);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return bytes;
}

/* The test image `sample`, red, green and blue. */
static inline data_bytes data_png_sample(size_t sample, size_t height, size_t width)
{
    uint8_t *pixels = malloc(height * width * 3);
    data_bytes bytes;
    size_t i;

    assert_non_null(pixels);
    for (i = 0; i < height * width * 3; i++)
        pixels[i] = data_pixel(sample, i % 3, i / 3 / width, i / 3 % width);
    bytes = data_png(pixels, height, width, PNG_COLOR_TYPE_RGB, 8, 0);
    free(pixels);
    return bytes;
}

/* A JPEG of one colour, or with `pixels` [height][width][components] of that. */
static inline data_bytes data_jpeg(size_t height, size_t width, int components, const uint8_t *colour,
                                   const uint8_t *pixels, int progressive)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    data_bytes bytes = {0};
    unsigned char *memory = NULL;
    unsigned long n = 0;
    uint8_t *row = malloc(width * (size_t)components);
    size_t x;

    assert_non_null(row);
    for (x = 0; x < width * (size_t)components; x++)
        row[x] = colour[x % (size_t)components];
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &memory, &n);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = components;
    jpeg.in_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 100, TRUE);
    if (progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        uint8_t *line = pixels != NULL
                            ? (uint8_t *)(uintptr_t)pixels + jpeg.next_scanline * width * (size_t)components
                            : row;
        JSAMPROW rows[1] = {line};

        jpeg_write_scanlines(&jpeg, rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    data_put(&bytes, memory, n);
    jpeg_destroy_compress(&jpeg);
    free(memory);
    free(row);
    return bytes;
}

/* A call must fail with this status and a one-line message that has all the words (NULL at the end). */
static inline void data_expect(const char *call, vecq_status got, vecq_status want, const vecq_error *err,
                               ...)
{
    va_list words;
    const char *word;

    if (got != want)
        fail_msg("%s: status %s, expected %s (%s)", call, vecq_status_name(got), vecq_status_name(want),
                 err->message);
    assert_int_equal(err->status, want);
    if (strchr(err->message, '\n') != NULL)
        fail_msg("%s: more than a line: %s", call, err->message);
    va_start(words, err);
    while ((word = va_arg(words, const char *)) != NULL)
        if (strstr(err->message, word) == NULL)
            fail_msg("%s: no '%s' in: %s", call, word, err->message);
    va_end(words);
}

#define expect_error(call, want, err, ...)                                                                   \
    do {                                                                                                     \
        *(err) = (vecq_error)VECQ_ERROR_INIT;                                                                \
        data_expect(#call, (call), want, err, __VA_ARGS__, NULL);                                            \
    } while (0)

#endif
