/* SPDX-License-Identifier: Apache-2.0 */
/* CIFAR-10, binary version: records of one label byte and three planes (red, green, blue) of 32 x 32 bytes.
 */
#ifndef VECQ_DATA_CIFAR10_H
#define VECQ_DATA_CIFAR10_H

#include "base/span.h"
#include "vecq/status.h"

#define VECQ_CIFAR10_SIDE    32u
#define VECQ_CIFAR10_CLASSES 10u
#define VECQ_CIFAR10_RECORD  (1u + 3u * VECQ_CIFAR10_SIDE * VECQ_CIFAR10_SIDE)

/* Checks a file of records (plain bytes) and counts them; `name` is for messages. */
vecq_status vecq_cifar10_check(vecq_span file, const char *name, size_t *n, vecq_error *err);

#endif
