/* SPDX-License-Identifier: Apache-2.0 */
/* JPEG and PNG on arbitrary bytes, and what is decoded made into samples of several sizes. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "data/image_decode.h"
#include "data/resample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

static void fuzz_fit(const vecq_image *image, size_t height, size_t width, size_t resize, int grayscale)
{
    vecq_dataset_options options;
    vecq_image_fit fit;
    uint8_t *out;

    vecq_dataset_defaults(&options);
    options.height = height;
    options.width = width;
    options.resize = resize;
    options.grayscale = grayscale;
    vecq_image_fit_plan(&fit, &options, 3, image->height, image->width);
    REQUIRE(fit.top + fit.out_height <= fit.scaled_height && fit.left + fit.out_width <= fit.scaled_width);
    out = vecq_alloc(fit.out_height * fit.out_width, fit.out_channels); /* of exactly the size */
    REQUIRE(out != NULL && vecq_image_fit_planes(&fit, image->planes, out, NULL) == VECQ_OK);
    vecq_free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vecq_span file = {data, n};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_image image;
    vecq_status status = vecq_image_decode(file, "input", &image, &err);

    REQUIRE(status == VECQ_OK || status == VECQ_ERR_FORMAT || status == VECQ_ERR_MEMORY);
    REQUIRE((status == VECQ_OK) == (err.message[0] == '\0'));
    REQUIRE((status == VECQ_OK) == (image.planes != NULL));
    if (status == VECQ_OK) {
        fuzz_fit(&image, 5, 7, 0, 0);
        fuzz_fit(&image, 8, 8, 9, 1);
        fuzz_fit(&image, 1, 1, 0, 1);
        if (image.height * image.width < 100000)
            fuzz_fit(&image, image.height, image.width, 0, 1);
        vecq_free(image.planes);
    }
    return 0;
}
