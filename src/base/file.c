/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_TMPFILE, mkostemp */
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
#include "base/file_private.h"
#include "base/status.h"

vecq_status vecq_file_errno(vecq_error *err, const char *name, const char *what)
{
    return vecq_error_set(err, errno == ENOMEM ? VECQ_ERR_MEMORY : VECQ_ERR_IO, "%s: cannot %s: %s", name,
                          what, strerror(errno));
}

int vecq_file_write_all(int fd, const void *data, size_t n)
{
    const char *p = data;

    while (n > 0) {
        ssize_t done = write(fd, p, n < VECQ_FILE_CHUNK ? n : VECQ_FILE_CHUNK);
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

int vecq_file_nameless(const char *folder, mode_t mode)
{
    int fd = -1;
#ifdef O_TMPFILE
    fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
#else
    (void)folder;
    (void)mode;
#endif
    return fd;
}

const char *vecq_file_scratch(const char *folder)
{
    if (folder == NULL || *folder == '\0')
        folder = getenv("TMPDIR");
    return folder != NULL && *folder != '\0' ? folder : "/tmp";
}

int vecq_file_temporary(const char *folder)
{
    int fd = vecq_file_nameless(folder, 0600);
    char name[PATH_MAX];

    if (fd >= 0)
        return fd;
    if (snprintf(name, sizeof name, "%s/vecq-XXXXXX", folder) >= (int)sizeof name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    return fd;
}

char *vecq_file_string(const char *text, size_t n)
{
    char *copy = vecq_alloc(n + 1, 1);

    if (copy != NULL) {
        memcpy(copy, text, n);
        copy[n] = '\0';
    }
    return copy;
}

/* ---- mappings ---- */

/* What cannot be mapped is read into a spool, and that is mapped: large input costs no anonymous memory. */
static vecq_status mapping_read(int fd, const char *name, vecq_mapping *out, vecq_error *err)
{
    vecq_spool *spool = NULL;
    uint8_t *chunk = vecq_alloc(VECQ_FILE_CHUNK, 1);
    vecq_status status = chunk == NULL ? vecq_error_memory(err, VECQ_FILE_CHUNK) : VECQ_OK;

    if (status == VECQ_OK)
        status = vecq_spool_open(NULL, &spool, err);
    while (status == VECQ_OK) {
        ssize_t n = read(fd, chunk, VECQ_FILE_CHUNK);
        uint64_t offset;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status = vecq_file_errno(err, name, "read");
        else if (n == 0)
            break;
        else
            status = vecq_spool_append(spool, chunk, (size_t)n, &offset, err);
    }
    vecq_free(chunk);
    if (status == VECQ_OK)
        status = vecq_spool_take(spool, out, err);
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
        return vecq_file_errno(err, name, "read");
    if (S_ISDIR(info.st_mode))
        return vecq_error_set(err, VECQ_ERR_IO, "%s: is a folder, not a file", name);
    if (!S_ISREG(info.st_mode))
        return mapping_read(fd, name, out, err);
    out->device = (uint64_t)info.st_dev;
    out->inode = (uint64_t)info.st_ino;
    if (info.st_size == 0)
        return VECQ_OK;
    if ((uint64_t)info.st_size > SIZE_MAX)
        return vecq_error_set(err, VECQ_ERR_IO, "%s: too large for this address space", name);
    memory = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED)
        return vecq_file_errno(err, name, "map");
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
    if (strcmp(path, "-") == 0) {
        if (lseek(STDIN_FILENO, 0, SEEK_CUR) >
            0) /* a file that somebody has begun to read: only the rest counts */
            return mapping_read(STDIN_FILENO, "standard input", out, err);
        return vecq_mapping_of_fd(STDIN_FILENO, "standard input", out, err);
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return vecq_file_errno(err, path, "open");
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
