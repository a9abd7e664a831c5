/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status codes, the error object, the allocator hook and the progress callback.
 *
 * Every function that can fail returns a vecq_status and takes an optional `vecq_error *` (NULL is allowed).
 * The first error wins: a vecq_error that already holds an error is left alone, so one object can be handed
 * through a chain of calls. The library never prints and never exits.
 */
#ifndef VECQ_STATUS_H
#define VECQ_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "vecq/api.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vecq_status {
    VECQ_OK = 0,
    VECQ_ERR_USAGE,       /* an argument breaks the contract of the function (asserts in debug builds) */
    VECQ_ERR_MEMORY,      /* an allocation failed */
    VECQ_ERR_IO,          /* the operating system refused a file operation */
    VECQ_ERR_FORMAT,      /* input data is damaged or over a documented limit */
    VECQ_ERR_UNSUPPORTED, /* input is fine, but this request cannot be met for it */
    VECQ_ERR_VALUE,       /* a weight is NaN or infinite, or too large for its scale to be a float */
    VECQ_ERR_CANCELLED,   /* the progress callback asked to stop */
    VECQ_ERR_VERIFY       /* what was written does not read back as what was meant */
} vecq_status;

/* One line of text without a newline, in UTF-8; control characters and bytes that are no text are replaced by
 * '?'. */
typedef struct vecq_error {
    vecq_status status; /* VECQ_OK while empty */
    char message[1024];
} vecq_error;

#define VECQ_ERROR_INIT                                                                                      \
    {                                                                                                        \
        VECQ_OK,                                                                                             \
        {                                                                                                    \
            0                                                                                                \
        }                                                                                                    \
    }

/* Short name of a status, for example "format"; never NULL. */
VECQ_API const char *vecq_status_name(vecq_status status);

/*
 * Memory. All allocations of the library go through these three functions, process wide. Set them before any
 * other call (not thread safe). allocate() need only return memory aligned for max_align_t; the library
 * aligns further itself. Passing NULL restores malloc/free.
 */
typedef struct vecq_allocator {
    void *(*allocate)(void *context, size_t n_bytes);
    void (*release)(void *context, void *memory);
    void *context;
} vecq_allocator;

VECQ_API void vecq_set_allocator(const vecq_allocator *allocator);

/*
 * Progress. Called from the thread that called the library, at most some ten times a second and once at the
 * end; `done` and `total` count `unit`s ("weights", "bytes"). A non-zero return stops the work with
 * VECQ_ERR_CANCELLED.
 */
typedef int (*vecq_progress_fn)(void *context, const char *stage, const char *unit, uint64_t done,
                                uint64_t total);

#ifdef __cplusplus
}
#endif
#endif
