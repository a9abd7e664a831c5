/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_TMPFILE */
#endif
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/status.h"

#define FILE_WRITE_CHUNK   (1u << 20)
#define SPOOL_MEMORY_LIMIT (8u << 20)

static vecq_status file_errno(vecq_error *err, const char *name, const char *what)
{
    return vecq_error_set(err, errno == ENOMEM ? VECQ_ERR_MEMORY : VECQ_ERR_IO, "%s: cannot %s: %s", name, what,
                          strerror(errno));
}

static int file_write_all(int fd, const void *data, size_t n)
{
    const char *p = data;

    while (n > 0) {
        ssize_t done = write(fd, p, n < FILE_WRITE_CHUNK ? n : FILE_WRITE_CHUNK);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            if (done == 0)
                errno = ENOSPC;
            return 0;
        }
        p += done;
        n -= (size_t)done;
    }
    return 1;
}

/* ---- mappings ---- */

static vecq_status mapping_read_pipe(int fd, const char *name, vecq_mapping *out, vecq_error *err)
{
    vecq_spool *spool = NULL;
    char *chunk = vecq_alloc(FILE_WRITE_CHUNK, 1);
    vecq_status status = chunk == NULL ? vecq_error_memory(err, FILE_WRITE_CHUNK) : VECQ_OK;
    size_t total = 0;

    if (status == VECQ_OK)
        status = vecq_spool_open(NULL, &spool, err);
    while (status == VECQ_OK) {
        ssize_t n = read(fd, chunk, FILE_WRITE_CHUNK);
        uint64_t offset;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status = file_errno(err, name, "read");
        else if (n == 0)
            break;
        else
            status = vecq_spool_append(spool, chunk, (size_t)n, &offset, err);
        total += n > 0 ? (size_t)n : 0;
    }
    vecq_free(chunk);
    if (status == VECQ_OK && total > 0) { /* an anonymous copy in pages of its own, so that closing is uniform */
        vecq_span bytes;

        status = vecq_spool_map(spool, &bytes, err);
        if (status == VECQ_OK) {
            void *memory = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (memory == MAP_FAILED) {
                status = vecq_error_memory(err, total);
            } else {
                memcpy(memory, bytes.data, total);
                out->bytes.data = memory;
                out->bytes.n = total;
                out->mapped = 1;
            }
        }
    }
    vecq_spool_close(spool);
    return status;
}

vecq_status vecq_mapping_of_fd(int fd, const char *name, vecq_mapping *out, vecq_error *err)
{
    struct stat info;
    void *memory;

    memset(out, 0, sizeof *out);
    out->bytes.data = (const uint8_t *)"";
    if (fstat(fd, &info) != 0)
        return file_errno(err, name, "read");
    if (S_ISDIR(info.st_mode))
        return vecq_error_set(err, VECQ_ERR_IO, "%s: is a folder, not a file", name);
    if (!S_ISREG(info.st_mode))
        return mapping_read_pipe(fd, name, out, err);
    out->device = (uint64_t)info.st_dev;
    out->inode = (uint64_t)info.st_ino;
    if (info.st_size == 0)
        return VECQ_OK;
    if ((uint64_t)info.st_size > SIZE_MAX)
        return vecq_error_set(err, VECQ_ERR_IO, "%s: too large for this address space", name);
    memory = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED)
        return file_errno(err, name, "map");
    out->bytes.data = memory;
    out->bytes.n = (size_t)info.st_size;
    out->mapped = 1;
    return VECQ_OK;
}

vecq_status vecq_mapping_open(const char *path, vecq_mapping *out, vecq_error *err)
{
    vecq_status status;
    int fd;

    memset(out, 0, sizeof *out);
    if (strcmp(path, "-") == 0)
        return vecq_mapping_of_fd(STDIN_FILENO, "standard input", out, err);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_errno(err, path, "open");
    status = vecq_mapping_of_fd(fd, path, out, err);
    close(fd);
    return status;
}

void vecq_mapping_close(vecq_mapping *mapping)
{
    if (mapping->mapped)
        munmap((void *)(uintptr_t)mapping->bytes.data, mapping->bytes.n);
    memset(mapping, 0, sizeof *mapping);
}

int vecq_mapping_is(const vecq_mapping *mapping, const char *path)
{
    struct stat info;

    return mapping->inode != 0 && strcmp(path, "-") != 0 && stat(path, &info) == 0 &&
           (uint64_t)info.st_dev == mapping->device && (uint64_t)info.st_ino == mapping->inode;
}

/* ---- outputs ---- */

struct vecq_output {
    char *target;   /* resolved path, or "-" */
    char *hidden;   /* name of the temporary file; NULL while it has none */
    uint8_t *chunk; /* write buffer of FILE_WRITE_CHUNK bytes */
    size_t n_chunk;
    uint64_t position;
    int fd;
    int stream; /* copy to the target at commit instead of renaming */
};

static char *output_string(const char *text, size_t n)
{
    char *copy = vecq_alloc(n + 1, 1);

    if (copy != NULL) {
        memcpy(copy, text, n);
        copy[n] = '\0';
    }
    return copy;
}

/* Folder part of a path: "." when it has none. */
static char *output_folder(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return output_string(".", 1);
    return output_string(path, slash == path ? 1 : (size_t)(slash - path));
}

static char *output_hidden_name(const char *target, unsigned attempt)
{
    char *folder = output_folder(target);
    const char *slash = strrchr(target, '/');
    size_t n = folder != NULL ? strlen(folder) + NAME_MAX + 2 : 0;
    char *name = folder != NULL ? vecq_alloc(n, 1) : NULL;

    if (name != NULL)
        snprintf(name, n, "%s/.%.180s.%ld-%u.part", folder, slash != NULL ? slash + 1 : target, (long)getpid(),
                 attempt);
    vecq_free(folder);
    return name;
}

static vecq_status output_create(vecq_output *o, vecq_error *err)
{
    unsigned attempt;
    char *folder;

    folder = o->stream ? output_string("/tmp", 4) : output_folder(o->target);
    if (folder == NULL)
        return vecq_error_memory(err, PATH_MAX);
    if (o->stream && getenv("TMPDIR") != NULL) {
        vecq_free(folder);
        folder = output_string(getenv("TMPDIR"), strlen(getenv("TMPDIR")));
        if (folder == NULL)
            return vecq_error_memory(err, PATH_MAX);
    }
#ifdef O_TMPFILE
    o->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
#endif
    if (o->fd < 0 && o->stream) {
        char *name = vecq_alloc(strlen(folder) + 16, 1);
        if (name != NULL) {
            sprintf(name, "%s/vecq-XXXXXX", folder);
            o->fd = mkstemp(name);
            if (o->fd >= 0)
                unlink(name);
        }
        vecq_free(name);
    }
    vecq_free(folder);
    for (attempt = 0; o->fd < 0 && !o->stream && attempt < 100; attempt++) {
        vecq_free(o->hidden);
        o->hidden = output_hidden_name(o->target, attempt);
        if (o->hidden == NULL)
            return vecq_error_memory(err, PATH_MAX);
        o->fd = open(o->hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (o->fd < 0 && errno != EEXIST)
            break;
    }
    if (o->fd < 0) {
        vecq_free(o->hidden);
        o->hidden = NULL;
        return file_errno(err, o->target, "create");
    }
    return VECQ_OK;
}

vecq_status vecq_output_open(const char *path, vecq_output **out, vecq_error *err)
{
    vecq_output *o = vecq_calloc(1, sizeof *o);
    vecq_status status = VECQ_OK;
    struct stat info;
    char resolved[PATH_MAX];

    *out = NULL;
    if (o == NULL)
        return vecq_error_memory(err, sizeof *o);
    o->fd = -1;
    if (strcmp(path, "-") == 0) {
        o->stream = 1;
    } else if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            status = vecq_error_set(err, VECQ_ERR_IO, "%s: cannot write: is a folder", path);
        o->stream = !S_ISREG(info.st_mode);
        if (realpath(path, resolved) != NULL && !o->stream) /* replace the file, not the link to it */
            path = resolved;
    }
    o->target = output_string(path, strlen(path));
    o->chunk = vecq_alloc(FILE_WRITE_CHUNK, 1);
    if (status == VECQ_OK && (o->target == NULL || o->chunk == NULL))
        status = vecq_error_memory(err, FILE_WRITE_CHUNK);
    if (status == VECQ_OK)
        status = output_create(o, err);
    if (status != VECQ_OK) {
        vecq_output_discard(o);
        return status;
    }
    *out = o;
    return VECQ_OK;
}

static vecq_status output_flush(vecq_output *o, vecq_error *err)
{
    if (!file_write_all(o->fd, o->chunk, o->n_chunk))
        return file_errno(err, o->target, "write");
    o->n_chunk = 0;
    return VECQ_OK;
}

vecq_status vecq_output_write(vecq_output *o, const void *data, size_t n, vecq_error *err)
{
    o->position += n;
    if (n > FILE_WRITE_CHUNK - o->n_chunk)
        VECQ_TRY(output_flush(o, err));
    if (n > FILE_WRITE_CHUNK) {
        if (!file_write_all(o->fd, data, n))
            return file_errno(err, o->target, "write");
    } else if (n > 0) {
        memcpy(o->chunk + o->n_chunk, data, n);
        o->n_chunk += n;
    }
    return VECQ_OK;
}

uint64_t vecq_output_position(const vecq_output *o)
{
    return o->position;
}

vecq_status vecq_output_map(vecq_output *o, vecq_mapping *out, vecq_error *err)
{
    VECQ_TRY(output_flush(o, err));
    return vecq_mapping_of_fd(o->fd, o->target, out, err);
}

vecq_status vecq_output_sync(vecq_output *o, vecq_error *err)
{
    VECQ_TRY(output_flush(o, err));
    if (!o->stream && fsync(o->fd) != 0 && errno != EINVAL && errno != EROFS)
        return file_errno(err, o->target, "write");
    return VECQ_OK;
}

static vecq_status output_copy(vecq_output *o, vecq_error *err)
{
    int to = strcmp(o->target, "-") == 0 ? STDOUT_FILENO : open(o->target, O_WRONLY | O_CLOEXEC);
    const char *name = to == STDOUT_FILENO ? "standard output" : o->target;
    vecq_status status = VECQ_OK;

    if (to < 0)
        return file_errno(err, name, "open");
    if (lseek(o->fd, 0, SEEK_SET) != 0)
        status = file_errno(err, name, "write");
    while (status == VECQ_OK) {
        ssize_t n = read(o->fd, o->chunk, FILE_WRITE_CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (n < 0)
                status = file_errno(err, name, "write");
            break;
        }
        if (!file_write_all(to, o->chunk, (size_t)n))
            status = file_errno(err, name, "write");
    }
    if (to != STDOUT_FILENO && close(to) != 0 && status == VECQ_OK)
        status = file_errno(err, name, "write");
    return status;
}

/* Gives the nameless file a hidden name beside the target; linkat() cannot replace, rename() can. */
static vecq_status output_name(vecq_output *o, vecq_error *err)
{
    char link[64];
    unsigned attempt;

    snprintf(link, sizeof link, "/proc/self/fd/%d", o->fd);
    for (attempt = 0; attempt < 100; attempt++) {
        char *name = output_hidden_name(o->target, attempt);
        if (name == NULL)
            return vecq_error_memory(err, PATH_MAX);
        if (linkat(AT_FDCWD, link, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) {
            o->hidden = name;
            return VECQ_OK;
        }
        vecq_free(name);
        if (errno != EEXIST)
            break;
    }
    return file_errno(err, o->target, "create");
}

vecq_status vecq_output_commit(vecq_output *o, vecq_error *err)
{
    vecq_status status = vecq_output_sync(o, err);

    if (status == VECQ_OK && o->stream) {
        status = output_copy(o, err);
    } else if (status == VECQ_OK) {
        if (o->hidden == NULL)
            status = output_name(o, err);
        if (status == VECQ_OK && rename(o->hidden, o->target) != 0)
            status = file_errno(err, o->target, "write");
        if (status == VECQ_OK) {
            vecq_free(o->hidden);
            o->hidden = NULL;
        }
    }
    vecq_output_discard(o);
    return status;
}

void vecq_output_discard(vecq_output *o)
{
    if (o == NULL)
        return;
    if (o->hidden != NULL)
        unlink(o->hidden);
    if (o->fd >= 0)
        close(o->fd);
    vecq_free(o->hidden);
    vecq_free(o->target);
    vecq_free(o->chunk);
    vecq_free(o);
}

/* ---- spools ---- */

struct vecq_spool {
    char *folder;
    uint8_t *memory; /* while small */
    size_t capacity;
    uint64_t n;
    int fd; /* -1 while in memory */
    void *view;
    size_t n_view;
};

vecq_status vecq_spool_open(const char *folder, vecq_spool **out, vecq_error *err)
{
    vecq_spool *s = vecq_calloc(1, sizeof *s);

    *out = NULL;
    if (folder == NULL)
        folder = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    if (s != NULL)
        s->folder = output_string(folder, strlen(folder));
    if (s == NULL || s->folder == NULL) {
        vecq_free(s);
        return vecq_error_memory(err, strlen(folder));
    }
    s->fd = -1;
    *out = s;
    return VECQ_OK;
}

static vecq_status spool_to_file(vecq_spool *s, vecq_error *err)
{
#ifdef O_TMPFILE
    s->fd = open(s->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
#endif
    if (s->fd < 0) {
        char *name = vecq_alloc(strlen(s->folder) + 16, 1);
        if (name == NULL)
            return vecq_error_memory(err, PATH_MAX);
        sprintf(name, "%s/vecq-XXXXXX", s->folder);
        s->fd = mkstemp(name);
        if (s->fd >= 0)
            unlink(name);
        vecq_free(name);
    }
    if (s->fd < 0)
        return file_errno(err, s->folder, "create a temporary file");
    if (!file_write_all(s->fd, s->memory, (size_t)s->n))
        return file_errno(err, s->folder, "write a temporary file");
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

vecq_status vecq_spool_append(vecq_spool *s, const void *data, size_t n, uint64_t *offset, vecq_error *err)
{
    *offset = s->n;
    spool_unmap(s);
    if (s->fd < 0 && s->n + n > SPOOL_MEMORY_LIMIT)
        VECQ_TRY(spool_to_file(s, err));
    if (s->fd >= 0) {
        if (!file_write_all(s->fd, data, n))
            return file_errno(err, s->folder, "write a temporary file");
    } else if (n > 0) {
        if (s->n + n > s->capacity) {
            size_t wanted = s->capacity * 2 > s->n + n ? s->capacity * 2 : (size_t)s->n + n;
            uint8_t *fresh = vecq_realloc(s->memory, (size_t)s->n, wanted, 1);
            if (fresh == NULL)
                return vecq_error_memory(err, wanted);
            s->memory = fresh;
            s->capacity = wanted;
        }
        memcpy(s->memory + s->n, data, n);
    }
    s->n += n;
    return VECQ_OK;
}

vecq_status vecq_spool_map(vecq_spool *s, vecq_span *out, vecq_error *err)
{
    out->data = s->memory != NULL ? s->memory : (const uint8_t *)"";
    out->n = (size_t)s->n;
    if (s->fd < 0 || s->n == 0)
        return VECQ_OK;
    if (s->view == NULL) {
        s->view = mmap(NULL, (size_t)s->n, PROT_READ, MAP_SHARED, s->fd, 0);
        if (s->view == MAP_FAILED) {
            s->view = NULL;
            return file_errno(err, s->folder, "map a temporary file");
        }
        s->n_view = (size_t)s->n;
    }
    out->data = s->view;
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
