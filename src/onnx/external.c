/* SPDX-License-Identifier: Apache-2.0 */
/*
 * External data. A model file is untrusted: its locations must not reach anything outside its own folder. The
 * text is checked first; then both the folder and the file are resolved and compared, which lets links inside
 * the folder pass; then the resolved path is opened component by component without following links, so that
 * nothing can be swapped in between.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"
#include "onnx/tensor_proto.h"

typedef struct vecq_external_file {
    vecq_mapping mapping;
    char *location; /* canonical: no empty and no "." components */
} vecq_external_file;

void vecq_external_init(vecq_external *external, const char *folder)
{
    memset(external, 0, sizeof *external);
    external->folder = folder;
}

void vecq_external_clear(vecq_external *external)
{
    size_t i;

    for (i = 0; i < external->n_files; i++) {
        vecq_mapping_close(&external->files[i]->mapping);
        vecq_free(external->files[i]->location);
        vecq_free(external->files[i]);
    }
    vecq_free(external->files);
    vecq_map_clear(&external->by_location);
    vecq_external_init(external, external->folder);
}

int vecq_external_is(const vecq_external *external, const char *path)
{
    size_t i;

    for (i = 0; i < external->n_files; i++)
        if (vecq_mapping_is(&external->files[i]->mapping, path))
            return 1;
    return 0;
}

/* ---- locations ---- */

static vecq_status external_refuse(const char *location, const char *why, vecq_error *err)
{
    return vecq_error_set(err, VECQ_ERR_FORMAT, "external data location '%.200s' %s", location, why);
}

/* Copies a location without empty and "." components; it must stay below the folder as text. */
static vecq_status external_canonical(const char *location, char **out, vecq_error *err)
{
    size_t n = strlen(location), used = 0;
    const char *p = location;
    char *text;

    *out = NULL;
    if (n == 0)
        return external_refuse(location, "is empty", err);
    if (n >= PATH_MAX)
        return external_refuse(location, "is longer than a path can be", err);
    if (location[0] == '/' || (isalpha((unsigned char)location[0]) && location[1] == ':'))
        return external_refuse(location, "is not relative to the model's folder", err);
    if (strchr(location, '\\') != NULL)
        return external_refuse(location, "holds a backslash; use '/'", err);
    text = vecq_alloc(n + 1, 1);
    if (text == NULL)
        return vecq_error_memory(err, n + 1);
    while (*p != '\0') {
        size_t part = strcspn(p, "/");

        if (part == 2 && p[0] == '.' && p[1] == '.') {
            vecq_free(text);
            return external_refuse(location, "leaves the model's folder", err);
        }
        if (part > 0 && !(part == 1 && p[0] == '.')) {
            if (used > 0)
                text[used++] = '/';
            memcpy(text + used, p, part);
            used += part;
        }
        p += part + (p[part] == '/');
    }
    text[used] = '\0';
    if (used == 0) {
        vecq_free(text);
        return external_refuse(location, "names no file", err);
    }
    *out = text;
    return VECQ_OK;
}

/* ---- opening ---- */

static vecq_status external_errno(const vecq_external *external, const char *location, vecq_error *err)
{
    return vecq_error_set(err, VECQ_ERR_IO, "cannot open its data file %s/%.200s: %s", external->folder,
                          location, strerror(errno));
}

/* Path of the file below the resolved folder, in path[PATH_MAX]. */
static vecq_status external_resolve(const vecq_external *external, const char *location, char *folder,
                                    char *path, vecq_error *err)
{
    const char *given = external->folder[0] != '\0' ? external->folder : ".";
    size_t n_given = strlen(given), n_location = strlen(location), n;

    if (realpath(given, folder) == NULL)
        return external_errno(external, location, err);
    if (n_given + 1 + n_location >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return external_errno(external, location, err);
    }
    memcpy(path, given, n_given);
    path[n_given] = '/';
    memcpy(path + n_given + 1, location, n_location + 1);
    {
        char resolved[PATH_MAX];

        if (realpath(path, resolved) == NULL)
            return external_errno(external, location, err);
        memcpy(path, resolved, strlen(resolved) + 1);
    }
    n = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
    if (strncmp(path, folder, n) != 0 || path[n] != '/')
        return external_refuse(location,
                               "is a link that leaves the model's folder; put the file itself there", err);
    memmove(path, path + n + 1, strlen(path + n + 1) + 1);
    return VECQ_OK;
}

/* Opens a path without links below a folder, one component at a time; -1 with errno. */
static int external_open(const char *folder, char *path)
{
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, keep;

    while (at >= 0) {
        size_t part = strcspn(path, "/");
        int is_last = path[part] == '\0';

        path[part] = '\0';
        fd = openat(at, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (is_last ? O_NONBLOCK : O_DIRECTORY));
        keep = errno;
        close(at);
        errno = keep;
        if (is_last)
            return fd;
        at = fd;
        path += part + 1;
    }
    return -1;
}

static vecq_status external_map_fd(const vecq_external *external, const char *location, int fd,
                                   vecq_mapping *out, vecq_error *err)
{
    struct stat info;

    if (fstat(fd, &info) != 0)
        return external_errno(external, location, err);
    if (!S_ISREG(info.st_mode))
        return vecq_error_set(err, VECQ_ERR_IO, "its data file %s/%.200s is not an ordinary file",
                              external->folder, location);
    return vecq_mapping_of_fd(fd, location, out, err);
}

static vecq_status external_map(const vecq_external *external, const char *location, vecq_mapping *out,
                                vecq_error *err)
{
    char folder[PATH_MAX], path[PATH_MAX];
    vecq_status status;
    int fd;

    VECQ_TRY(external_resolve(external, location, folder, path, err));
    fd = external_open(folder, path);
    if (fd < 0)
        return external_errno(external, location, err);
    status = external_map_fd(external, location, fd, out, err);
    close(fd);
    return status;
}

/* Takes over the location and the mapping when it succeeds. */
static vecq_status external_add(vecq_external *external, char *location, vecq_mapping *mapping,
                                vecq_external_file **out, vecq_error *err)
{
    vecq_external_file *file = NULL;
    void *files = external->files;

    if (!vecq_grow(&files, &external->capacity, external->n_files, sizeof *external->files))
        return vecq_error_memory(err, sizeof *external->files);
    external->files = files;
    file = vecq_calloc(1, sizeof *file);
    if (file == NULL)
        return vecq_error_memory(err, sizeof *file);
    if (!vecq_map_put(&external->by_location, location, file)) {
        vecq_free(file);
        return vecq_error_memory(err, sizeof *file);
    }
    file->mapping = *mapping;
    file->location = location;
    external->files[external->n_files++] = file;
    *out = file;
    return VECQ_OK;
}

/* File of a canonical location, which it takes over. */
static vecq_status external_file(vecq_external *external, char *location, vecq_external_file **out,
                                 vecq_error *err)
{
    vecq_mapping mapping;
    vecq_status status;

    *out = vecq_map_get(&external->by_location, location);
    if (*out != NULL) {
        vecq_free(location);
        return VECQ_OK;
    }
    status = external_map(external, location, &mapping, err);
    if (status == VECQ_OK) {
        status = external_add(external, location, &mapping, out, err);
        if (status == VECQ_OK)
            return VECQ_OK;
        vecq_mapping_close(&mapping);
    }
    vecq_free(location);
    return status;
}

vecq_status vecq_external_get(vecq_external *external, const char *location, uint64_t offset, uint64_t length,
                              vecq_span *out, vecq_error *err)
{
    vecq_external_file *file;
    char *canonical;
    uint64_t n_file;

    out->data = NULL;
    out->n = 0;
    VECQ_TRY(external_canonical(location, &canonical, err));
    if (external->folder == NULL) {
        vecq_free(canonical);
        return vecq_error_set(
            err, VECQ_ERR_IO,
            "its data lies in the file '%.200s', but the model came without a folder to look in", location);
    }
    VECQ_TRY(external_file(external, canonical, &file, err));
    n_file = file->mapping.bytes.n;
    if (length == UINT64_MAX && offset <= n_file)
        length = n_file - offset;
    if (offset > n_file || length > n_file - offset) {
        if (length == UINT64_MAX)
            return vecq_error_set(
                err, VECQ_ERR_FORMAT, "its data begins at byte %llu of %s/%.200s, which has %llu",
                (unsigned long long)offset, external->folder, location, (unsigned long long)n_file);
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "its data are %llu bytes from byte %llu of %s/%.200s, which has only %llu",
                              (unsigned long long)length, (unsigned long long)offset, external->folder,
                              location, (unsigned long long)n_file);
    }
    out->data = file->mapping.bytes.data + offset;
    out->n = (size_t)length;
    return VECQ_OK;
}

vecq_status vecq_external_preset(vecq_external *external, const char *location, vecq_span bytes,
                                 vecq_error *err)
{
    vecq_mapping mapping = {.bytes = bytes};
    vecq_external_file *file;
    vecq_status status;
    char *canonical;

    VECQ_TRY(external_canonical(location, &canonical, err));
    status = external_add(external, canonical, &mapping, &file, err);
    if (status != VECQ_OK)
        vecq_free(canonical);
    return status;
}
