/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the N-th allocation of the library fail, for every N:
 *
 *     static vecq_status body(void *context, vecq_error *err) { ...the whole life of what is tested... }
 *     vecq_fail_every_alloc(body, context);
 *
 * The body runs with allocation 0 failing, then 1, 2, ... until it runs through without one. Each run must
 * release all it took; each run that met a failure must return VECQ_ERR_MEMORY (with a message) or VECQ_OK,
 * when it can do without. Include after vecq_test.h.
 */
#ifndef VECQ_FAIL_ALLOC_H
#define VECQ_FAIL_ALLOC_H

#include "vecq/status.h"

typedef struct vecq_fail_alloc {
    size_t n_calls; /* of allocate() in this run */
    size_t fail_at; /* the one that fails; SIZE_MAX: none */
    size_t n_live;  /* blocks not released */
} vecq_fail_alloc;

static void *vecq_fail_allocate(void *context, size_t n_bytes)
{
    vecq_fail_alloc *f = context;
    void *memory = f->n_calls++ == f->fail_at ? NULL : malloc(n_bytes);

    f->n_live += memory != NULL;
    return memory;
}

static void vecq_fail_release(void *context, void *memory)
{
    vecq_fail_alloc *f = context;

    f->n_live -= memory != NULL;
    free(memory);
}

/* Returns the number of allocations of a run without failures. */
static inline size_t vecq_fail_every_alloc(vecq_status (*body)(void *context, vecq_error *err), void *context)
{
    size_t n;

    for (n = 0;; n++) {
        vecq_fail_alloc f = {0, n, 0};
        vecq_allocator allocator = {vecq_fail_allocate, vecq_fail_release, &f};
        vecq_error err = VECQ_ERROR_INIT;
        vecq_status status;

        vecq_set_allocator(&allocator);
        status = body(context, &err);
        vecq_set_allocator(NULL);
        if (f.n_live != 0)
            fail_msg("allocation %zu failing: %zu blocks are not released", n, f.n_live);
        if (f.n_calls <= n) { /* none failed: this was the run without failures */
            if (status != VECQ_OK)
                fail_msg("without a failing allocation: %s", err.message);
            return n;
        }
        if (status != VECQ_OK &&
            (status != VECQ_ERR_MEMORY || err.status != status || err.message[0] == '\0'))
            fail_msg("allocation %zu failing: status %s, message '%s'", n, vecq_status_name(status),
                     err.message);
    }
}

#endif
