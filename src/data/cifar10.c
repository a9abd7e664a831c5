/* SPDX-License-Identifier: Apache-2.0 */
#include "data/cifar10.h"

#include "base/status.h"

vecq_status vecq_cifar10_check(vecq_span file, const char *name, size_t *n, vecq_error *err)
{
    size_t i;

    *n = file.n / VECQ_CIFAR10_RECORD;
    if (file.n == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: is empty", name);
    if (file.n >= 2 && file.data[0] == 0x1f && file.data[1] == 0x8b)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: is compressed; unpack it (tar xf, gunzip)", name);
    if (file.n % VECQ_CIFAR10_RECORD != 0)
        return vecq_error_set(
            err, VECQ_ERR_FORMAT,
            "%s: %zu bytes are not a multiple of %u (a label and 3 x 32 x 32 pixels): truncated, or "
            "not CIFAR-10's binary version",
            name, file.n, VECQ_CIFAR10_RECORD);
    for (i = 0; i < *n; i++)
        if (file.data[i * VECQ_CIFAR10_RECORD] >= VECQ_CIFAR10_CLASSES)
            return vecq_error_set(err, VECQ_ERR_FORMAT,
                                  "%s: record %zu has label %u, CIFAR-10 has 0..9; not its binary version?",
                                  name, i, file.data[i * VECQ_CIFAR10_RECORD]);
    return VECQ_OK;
}
