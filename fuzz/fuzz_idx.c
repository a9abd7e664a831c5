/* SPDX-License-Identifier: Apache-2.0 */
/* Files of idx: and cifar10:, plain or gzip, on arbitrary bytes: what is accepted has all that it claims to
 * have. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "data/cifar10.h"
#include "data/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vecq_span file = {data, n};
    size_t records, i, sum = 0;
    int images;

    for (images = 0; images < 2; images++) {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_idx idx;
        vecq_status status = vecq_idx_parse(file, "input", images, &idx, &err);

        REQUIRE(status == VECQ_OK || status == VECQ_ERR_FORMAT);
        REQUIRE((status == VECQ_OK) == (err.message[0] == '\0'));
        REQUIRE((status == VECQ_OK) == (idx.data != NULL));
        if (status != VECQ_OK)
            continue;
        REQUIRE(idx.n > 0 && idx.height > 0 && idx.width > 0);
        for (i = 0; i < idx.n * idx.height * idx.width; i++)
            sum += idx.data[i];
        vecq_free(idx.data);
    }
    if (vecq_cifar10_check(file, "input", &records, NULL) == VECQ_OK)
        REQUIRE(records > 0 && records * VECQ_CIFAR10_RECORD == n);
    return sum == SIZE_MAX; /* so that the sums are not optimised away */
}
