/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JPEG by libjpeg(-turbo). Its errors come by longjmp out of the functions below; what must survive that
 * lives in jpeg_reader, not in local variables. Its own memory does not come from base/alloc.h: it is bounded
 * by the limit on pixels.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/alloc.h"
#include "base/status.h"
#include "data/image_decode.h"

#define JPEG_SCANS_MAX 500 /* a small progressive file can ask for hours of work */

typedef struct jpeg_reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    vecq_status status;
    char message[JMSG_LENGTH_MAX];
    uint8_t *row; /* interleaved */
} jpeg_reader;

static void jpeg_fail(j_common_ptr jpeg)
{
    jpeg_reader *reader = jpeg->client_data;

    jpeg->err->format_message(jpeg, reader->message);
    reader->status = jpeg->err->msg_code == JERR_OUT_OF_MEMORY ? VECQ_ERR_MEMORY : VECQ_ERR_FORMAT;
    longjmp(reader->escape, 1);
}

/* Warnings are about damage that is commonly decoded all the same; an early end is not. */
static void jpeg_warn(j_common_ptr jpeg, int level)
{
    if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF)
        jpeg_fail(jpeg);
}

static void jpeg_silent(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void jpeg_watch(j_common_ptr jpeg)
{
    jpeg_reader *reader = jpeg->client_data;

    if (jpeg->is_decompressor && ((j_decompress_ptr)jpeg)->input_scan_number > JPEG_SCANS_MAX) {
        snprintf(reader->message, sizeof reader->message, "more than %d scans", JPEG_SCANS_MAX);
        reader->status = VECQ_ERR_FORMAT;
        longjmp(reader->escape, 1);
    }
}

/* One interleaved row to the planes. CMYK is stored inverted by Adobe's programs, and nobody else writes it.
 */
static void jpeg_row(const jpeg_reader *reader, size_t y, vecq_image *out)
{
    size_t plane = out->height * out->width, x;
    uint8_t *to = out->planes + y * out->width;
    const uint8_t *from = reader->row;

    if (reader->jpeg.output_components == 4) {
        for (x = 0; x < out->width; x++, from += 4) {
            unsigned flip = reader->jpeg.saw_Adobe_marker ? 0 : 255, k = from[3] ^ flip;

            to[x] = (uint8_t)(((from[0] ^ flip) * k + 127) / 255);
            to[plane + x] = (uint8_t)(((from[1] ^ flip) * k + 127) / 255);
            to[2 * plane + x] = (uint8_t)(((from[2] ^ flip) * k + 127) / 255);
        }
    } else {
        for (x = 0; x < out->width; x++, from += 3) {
            to[x] = from[0];
            to[plane + x] = from[1];
            to[2 * plane + x] = from[2];
        }
    }
}

/* Everything that may jump. */
static vecq_status jpeg_read(jpeg_reader *reader, vecq_span file, const char *name, vecq_image *out,
                             vecq_error *err)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;

    if (setjmp(reader->escape) != 0) {
        if (reader->status == VECQ_ERR_MEMORY)
            return vecq_error_set(err, VECQ_ERR_MEMORY, "%s: out of memory while decoding JPEG", name);
        return vecq_error_set(err, reader->status, "%s: cannot be decoded as JPEG: %s", name,
                              reader->message);
    }
    jpeg_create_decompress(jpeg);
    jpeg_mem_src(jpeg, file.data, (unsigned long)file.n);
    jpeg_read_header(jpeg, TRUE);
    jpeg->progress = &reader->progress;
    VECQ_TRY(vecq_image_begin(name, jpeg->image_height, jpeg->image_width, out, err));
    jpeg->out_color_space =
        jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(jpeg);
    reader->row = vecq_alloc(jpeg->output_width, (size_t)jpeg->output_components);
    if (reader->row == NULL)
        return vecq_error_memory(err, (size_t)jpeg->output_width * 4);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW rows[1] = {reader->row};
        size_t y = jpeg->output_scanline;

        jpeg_read_scanlines(jpeg, rows, 1);
        jpeg_row(reader, y, out);
    }
    jpeg_finish_decompress(jpeg);
    return VECQ_OK;
}

vecq_status vecq_image_decode_jpeg(vecq_span file, const char *name, vecq_image *out, vecq_error *err)
{
    jpeg_reader *reader = vecq_calloc(1, sizeof *reader);
    vecq_status status;

    if (reader == NULL)
        return vecq_error_memory(err, sizeof *reader);
    reader->jpeg.err = jpeg_std_error(&reader->errors);
    reader->jpeg.client_data = reader;
    reader->errors.error_exit = jpeg_fail;
    reader->errors.emit_message = jpeg_warn;
    reader->errors.output_message = jpeg_silent;
    reader->progress.progress_monitor = jpeg_watch;
    status = jpeg_read(reader, file, name, out, err);
    jpeg_destroy_decompress(&reader->jpeg);
    vecq_free(reader->row);
    vecq_free(reader);
    return status;
}
