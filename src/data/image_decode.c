/* SPDX-License-Identifier: Apache-2.0 */
#include "data/image_decode.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/status.h"

vecq_status vecq_image_begin(const char *name, uint64_t height, uint64_t width, vecq_image *out,
                             vecq_error *err)
{
    if (height == 0 || width == 0 || height > VECQ_IMAGE_PIXELS_MAX || width > VECQ_IMAGE_PIXELS_MAX ||
        height * width > VECQ_IMAGE_PIXELS_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "%s: %llu x %llu pixels (height x width); 1 to %u in all are possible", name,
                              (unsigned long long)height, (unsigned long long)width, VECQ_IMAGE_PIXELS_MAX);
    out->height = (size_t)height;
    out->width = (size_t)width;
    out->planes = vecq_alloc(out->height * out->width, 3);
    return out->planes != NULL ? VECQ_OK : vecq_error_memory(err, out->height * out->width * 3);
}

vecq_status vecq_image_decode(vecq_span file, const char *name, vecq_image *out, vecq_error *err)
{
    vecq_status status;

    memset(out, 0, sizeof *out);
    if (file.n >= 3 && memcmp(file.data, "\xff\xd8\xff", 3) == 0)
        status = vecq_image_decode_jpeg(file, name, out, err);
    else if (file.n >= 8 && memcmp(file.data, "\x89PNG\r\n\x1a\n", 8) == 0)
        status = vecq_image_decode_png(file, name, out, err);
    else if (file.n == 0)
        status = vecq_error_set(err, VECQ_ERR_FORMAT, "%s: is empty", name);
    else
        status = vecq_error_set(err, VECQ_ERR_FORMAT,
                                "%s: is neither JPEG nor PNG; convert it or take it out", name);
    if (status != VECQ_OK) {
        vecq_free(out->planes);
        memset(out, 0, sizeof *out);
    }
    return status;
}

int vecq_image_is_name(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot != NULL && dot != name &&
           (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 || strcasecmp(dot, ".png") == 0);
}
