/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/file_private.h"
#include "base/status.h"

#define SPOOL_MEMORY_LIMIT (8u << 20) /* bytes; more go to a file */

struct vecq_spool {
    char *folder;
    uint8_t *memory; /* while small */
    size_t capacity;
    uint64_t n;
    int fd; /* -1 while in memory */
    int has_failed;
    void *view;
    size_t n_view;
};

vecq_status vecq_spool_open(const char *folder, vecq_spool **out, vecq_error *err)
{
    vecq_spool *s = vecq_calloc(1, sizeof *s);

    *out = NULL;
    folder = vecq_file_scratch(folder);
    if (s != NULL)
        s->folder = vecq_file_string(folder, strlen(folder));
    if (s == NULL || s->folder == NULL) {
        vecq_free(s);
        return vecq_error_memory(err, sizeof *s + strlen(folder));
    }
    s->fd = -1;
    *out = s;
    return VECQ_OK;
}

static vecq_status spool_fail(vecq_spool *s, const char *what, vecq_error *err)
{
    s->has_failed = 1;
    return vecq_file_errno(err, s->folder, what);
}

static vecq_status spool_to_file(vecq_spool *s, vecq_error *err)
{
    s->fd = vecq_file_temporary(s->folder);
    if (s->fd < 0)
        return spool_fail(s, "create a temporary file", err);
    if (!vecq_file_write_all(s->fd, s->memory, (size_t)s->n))
        return spool_fail(s, "write a temporary file", err);
    vecq_free(s->memory);
    s->memory = NULL;
    s->capacity = 0;
    return VECQ_OK;
}

static void spool_unmap(vecq_spool *s)
{
    if (s->view != NULL)
        munmap(s->view, s->n_view);
    s->view = NULL;
}

static vecq_status spool_check(const vecq_spool *s, vecq_error *err)
{
    if (s->has_failed)
        return vecq_error_set(err, VECQ_ERR_IO, "%s: cannot use the temporary file: an earlier write failed",
                              s->folder);
    return VECQ_OK;
}

static vecq_status spool_to_memory(vecq_spool *s, const void *data, size_t n, vecq_error *err)
{
    size_t used = (size_t)s->n;

    if (n > s->capacity - used) {
        size_t wanted = s->capacity * 2 > used + n ? s->capacity * 2 : used + n;
        uint8_t *fresh = vecq_realloc(s->memory, used, wanted, 1);

        if (fresh == NULL)
            return vecq_error_memory(err, wanted);
        s->memory = fresh;
        s->capacity = wanted;
    }
    memcpy(s->memory + used, data, n);
    return VECQ_OK;
}

vecq_status vecq_spool_append(vecq_spool *s, const void *data, size_t n, uint64_t *offset, vecq_error *err)
{
    *offset = s->n;
    VECQ_TRY(spool_check(s, err));
    if (n == 0)
        return VECQ_OK;
    spool_unmap(s);
    if (s->fd < 0 && n > SPOOL_MEMORY_LIMIT - s->n)
        VECQ_TRY(spool_to_file(s, err));
    if (s->fd < 0)
        VECQ_TRY(spool_to_memory(s, data, n, err));
    else if (!vecq_file_write_all(s->fd, data, n))
        return spool_fail(s, "write a temporary file", err);
    s->n += n;
    return VECQ_OK;
}

vecq_status vecq_spool_map(vecq_spool *s, vecq_span *out, vecq_error *err)
{
    out->data = s->memory != NULL ? s->memory : (const uint8_t *)"";
    out->n = 0;
    VECQ_TRY(spool_check(s, err));
    out->n = (size_t)s->n;
    if (s->fd < 0)
        return VECQ_OK;
    if (s->view == NULL) {
        s->view = mmap(NULL, (size_t)s->n, PROT_READ, MAP_SHARED, s->fd, 0);
        if (s->view == MAP_FAILED) {
            s->view = NULL;
            return vecq_file_errno(err, s->folder, "map a temporary file");
        }
        s->n_view = (size_t)s->n;
    }
    out->data = s->view;
    return VECQ_OK;
}

vecq_status vecq_spool_take(vecq_spool *s, vecq_mapping *out, vecq_error *err)
{
    vecq_span bytes;
    void *copy;

    VECQ_TRY(vecq_spool_map(s, &bytes, err));
    if (bytes.n == 0)
        return VECQ_OK;
    if (s->view != NULL) {
        s->view = NULL;
    } else {
        copy = mmap(NULL, bytes.n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (copy == MAP_FAILED)
            return vecq_error_memory(err, bytes.n);
        memcpy(copy, bytes.data, bytes.n);
        bytes.data = copy;
    }
    out->bytes = bytes;
    out->mapped = 1;
    return VECQ_OK;
}

void vecq_spool_close(vecq_spool *s)
{
    if (s == NULL)
        return;
    spool_unmap(s);
    if (s->fd >= 0)
        close(s->fd);
    vecq_free(s->memory);
    vecq_free(s->folder);
    vecq_free(s);
}
