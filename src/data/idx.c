/* SPDX-License-Identifier: Apache-2.0 */
#include "data/idx.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "data/dataset_private.h"
#include "data/gunzip.h"

static uint32_t idx_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static vecq_status idx_header(vecq_gunzip *in, int images, vecq_idx *out, vecq_error *err)
{
    uint8_t header[16];
    uint32_t magic, want = images ? 0x803 : 0x801;

    VECQ_TRY(vecq_gunzip_read(in, header, 4, err));
    magic = idx_u32(header);
    if (magic == (images ? 0x801u : 0x803u))
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: holds %s, expected %s; the files are swapped",
                              in->name, images ? "labels" : "images", images ? "images" : "labels");
    if (magic != want)
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "%s: is no IDX file of %s (begins 0x%08x, expected 0x%08x)", in->name,
                              images ? "images" : "labels", magic, want);
    VECQ_TRY(vecq_gunzip_read(in, header + 4, images ? 12 : 4, err));
    out->n = idx_u32(header + 4);
    out->height = images ? idx_u32(header + 8) : 1;
    out->width = images ? idx_u32(header + 12) : 1;
    if (out->n == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: holds no samples", in->name);
    if (out->height == 0 || out->width == 0 || out->height > VECQ_DATA_SIDE_MAX ||
        out->width > VECQ_DATA_SIDE_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: images of %zu x %zu pixels; 1 to %u are possible",
                              in->name, out->height, out->width, VECQ_DATA_SIDE_MAX);
    return VECQ_OK;
}

vecq_status vecq_idx_parse(vecq_span file, const char *name, int images, vecq_idx *out, vecq_error *err)
{
    vecq_gunzip in;
    vecq_status status;
    size_t bytes = 0;

    memset(out, 0, sizeof *out);
    VECQ_TRY(vecq_gunzip_open(file, name, &in, err));
    status = idx_header(&in, images, out, err);
    if (status == VECQ_OK)
        status = vecq_data_bytes(name, images ? "pixels" : "labels", out->n, out->height * out->width, &bytes,
                                 err);
    if (status == VECQ_OK && bytes > vecq_gunzip_limit(&in))
        status =
            vecq_error_set(err, VECQ_ERR_FORMAT,
                           "%s: its header promises %zu bytes, more than a file of %zu bytes can hold; it is "
                           "truncated, get it again",
                           name, bytes, file.n);
    if (status == VECQ_OK && (out->data = vecq_alloc(bytes, 1)) == NULL)
        status = vecq_error_memory(err, bytes);
    if (status == VECQ_OK)
        status = vecq_gunzip_read(&in, out->data, bytes, err);
    if (status == VECQ_OK)
        status = vecq_gunzip_finish(&in, err);
    vecq_gunzip_close(&in);
    if (status != VECQ_OK) {
        vecq_free(out->data);
        memset(out, 0, sizeof *out);
    }
    return status;
}
