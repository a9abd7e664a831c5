/* SPDX-License-Identifier: Apache-2.0 */
/* Setting errors: the inside of vecq/status.h. */
#ifndef VECQ_BASE_STATUS_H
#define VECQ_BASE_STATUS_H

#include <stdarg.h>

#include "vecq/status.h"

/* Records the first error (one line; bytes that are no text become '?') and returns `status`, so that callers
 * can write `return vecq_error_set(err, VECQ_ERR_FORMAT, "...", ...)`. */
vecq_status vecq_error_set(vecq_error *err, vecq_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<prefix>: " before a message already recorded: the file, then the tensor it is about. */
void vecq_error_prefix(vecq_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The one message for a failed allocation. */
vecq_status vecq_error_memory(vecq_error *err, size_t n_bytes);

#define VECQ_TRY(call)                                                                                       \
    do {                                                                                                     \
        vecq_status try_status_ = (call);                                                                    \
        if (try_status_ != VECQ_OK)                                                                          \
            return try_status_;                                                                              \
    } while (0)

#endif
