/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PNG by libpng. Its errors come by longjmp out of the functions below; what must survive that lives in
 * png_reader, not in local variables.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "base/alloc.h"
#include "base/status.h"
#include "data/image_decode.h"

#define PNG_RATIO 1032u /* deflate does not pack more than that into a byte */

typedef struct png_reader {
    png_structp png;
    png_infop info;
    vecq_span rest;
    vecq_status status;
    char message[128];
    uint8_t *rows; /* interleaved: one row, or all of an interlaced image */
} png_reader;

static void png_fail(png_structp png, png_const_charp message)
{
    png_reader *reader = png_get_error_ptr(png);

    snprintf(reader->message, sizeof reader->message, "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

static void png_silent(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void png_input(png_structp png, png_bytep data, size_t n)
{
    png_reader *reader = png_get_io_ptr(png);

    if (n > reader->rest.n)
        png_error(png, "the file ends early");
    memcpy(data, reader->rest.data, n);
    reader->rest.data += n;
    reader->rest.n -= n;
}

static png_voidp png_take(png_structp png, png_alloc_size_t n)
{
    png_reader *reader = png_get_mem_ptr(png);
    void *memory = vecq_alloc(n, 1);

    if (memory == NULL)
        reader->status = VECQ_ERR_MEMORY;
    return memory;
}

static void png_give(png_structp png, png_voidp memory)
{
    (void)png;
    vecq_free(memory);
}

static void png_planes(const uint8_t *row, size_t y, vecq_image *out)
{
    size_t plane = out->height * out->width, x;
    uint8_t *to = out->planes + y * out->width;

    for (x = 0; x < out->width; x++, row += 3) {
        to[x] = row[0];
        to[plane + x] = row[1];
        to[2 * plane + x] = row[2];
    }
}

/* Header, limits and conversions: three bytes a pixel after this. */
static vecq_status png_begin(png_reader *reader, vecq_span file, const char *name, vecq_image *out,
                             vecq_error *err)
{
    png_structp png = reader->png;
    uint64_t height, width;

    png_set_user_limits(png, VECQ_IMAGE_PIXELS_MAX, VECQ_IMAGE_PIXELS_MAX);
    png_set_chunk_malloc_max(png, 8u << 20);
    png_read_info(png, reader->info);
    height = png_get_image_height(png, reader->info);
    width = png_get_image_width(png, reader->info);
    if (height * png_get_rowbytes(png, reader->info) / PNG_RATIO > file.n)
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "%s: %llu x %llu pixels cannot be in a file of %zu bytes; it is truncated",
                              name, (unsigned long long)height, (unsigned long long)width, file.n);
    VECQ_TRY(vecq_image_begin(name, height, width, out, err));
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_strip_alpha(png);
    png_set_gray_to_rgb(png);
    return VECQ_OK;
}

/* Everything that may jump. */
static vecq_status png_read(png_reader *reader, vecq_span file, const char *name, vecq_image *out,
                            vecq_error *err)
{
    png_structp png = reader->png;
    size_t y, bytes;
    int passes, pass;

    if (setjmp(png_jmpbuf(png)) != 0) {
        if (reader->status == VECQ_ERR_MEMORY)
            return vecq_error_set(err, VECQ_ERR_MEMORY, "%s: out of memory while decoding PNG", name);
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: cannot be decoded as PNG: %s", name,
                              reader->message);
    }
    VECQ_TRY(png_begin(reader, file, name, out, err));
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, reader->info);
    bytes = png_get_rowbytes(png, reader->info);
    if (bytes != out->width * 3)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: an unknown kind of PNG", name);
    reader->rows = vecq_calloc(passes > 1 ? out->height : 1, bytes);
    if (reader->rows == NULL)
        return vecq_error_memory(err, bytes);
    for (pass = 0; pass < passes; pass++)
        for (y = 0; y < out->height; y++) {
            uint8_t *row = reader->rows + (passes > 1 ? y * bytes : 0);

            png_read_row(png, row, NULL);
            if (pass == passes - 1)
                png_planes(row, y, out);
        }
    png_read_end(png, NULL);
    return VECQ_OK;
}

vecq_status vecq_image_decode_png(vecq_span file, const char *name, vecq_image *out, vecq_error *err)
{
    png_reader reader = {.rest = file};
    vecq_status status;

    reader.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &reader, png_fail, png_silent, &reader,
                                          png_take, png_give);
    if (reader.png == NULL)
        return vecq_error_memory(err, sizeof reader);
    reader.info = png_create_info_struct(reader.png);
    if (reader.info == NULL) {
        png_destroy_read_struct(&reader.png, NULL, NULL);
        return vecq_error_memory(err, sizeof reader);
    }
    png_set_read_fn(reader.png, &reader, png_input);
    status = png_read(&reader, file, name, out, err);
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    vecq_free(reader.rows);
    return status;
}
