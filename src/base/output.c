/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_DIRECTORY, faccessat */
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/file_private.h"
#include "base/status.h"

struct vecq_output {
    char *name;     /* as the caller wrote it: for messages */
    char *target;   /* what rename() replaces: absolute, links resolved; or the device, or "-" */
    char *hidden;   /* name of the temporary file beside the target; NULL while it has none */
    uint8_t *chunk; /* write buffer of VECQ_FILE_CHUNK bytes */
    size_t n_chunk;
    uint64_t position;
    int fd;
    int is_stream;   /* copied to the target at commit instead of renamed */
    int is_standard; /* the target is standard output */
    int has_failed;  /* a write failed: what is there has a hole, commit refuses */
    int replaces;    /* the target exists: its permissions and owner are kept */
    struct stat replaced;
};

/* Folder part of a path, "." when it has none. Returns 0 when it does not fit. */
static int output_folder(const char *path, char folder[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);

    if (n >= PATH_MAX)
        return 0;
    memcpy(folder, slash == NULL ? "." : path, n);
    folder[n] = '\0';
    return 1;
}

/* Where a link that leads nowhere (yet) leads: the file to create. Follows in place; returns 0 with errno. */
static int output_follow(char path[PATH_MAX])
{
    unsigned hops;

    for (hops = 0; hops < 40; hops++) {
        char link[PATH_MAX], folder[PATH_MAX];
        ssize_t n = readlink(path, link, sizeof link - 1);

        if (n < 0)
            return 1; /* not a link, or nothing there: this is it */
        link[n] = '\0';
        if (link[0] == '/' || strchr(path, '/') == NULL) {
            memcpy(path, link, (size_t)n + 1);
        } else if (!output_folder(path, folder) ||
                   snprintf(path, PATH_MAX, "%s/%s", folder, link) >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return 0;
        }
    }
    errno = ELOOP;
    return 0;
}

/* A file that is not there yet: its folder is resolved, so that a change of directory or of a link in between
 * does not matter. */
static vecq_status output_resolve_new(const char *name, char target[PATH_MAX], vecq_error *err)
{
    char path[PATH_MAX], folder[PATH_MAX], resolved[PATH_MAX];
    const char *base;

    if (strlen(name) >= sizeof path) {
        errno = ENAMETOOLONG;
        return vecq_file_errno(err, name, "create");
    }
    memcpy(path, name, strlen(name) + 1);
    if (!output_follow(path))
        return vecq_file_errno(err, name, "create");
    base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    if (*base == '\0' || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
        return vecq_error_set(err, VECQ_ERR_IO, "'%s': cannot create: this names no file", name);
    if (!output_folder(path, folder)) {
        errno = ENAMETOOLONG;
        return vecq_file_errno(err, name, "create");
    }
    if (realpath(folder, resolved) == NULL) {
        if (errno == ENOENT)
            return vecq_error_set(err, VECQ_ERR_IO, "%s: cannot create: there is no folder '%s'", name,
                                  folder);
        return vecq_file_errno(err, name, "create");
    }
    if (snprintf(target, PATH_MAX, "%s%s%s", resolved, strcmp(resolved, "/") == 0 ? "" : "/", base) >=
        PATH_MAX) {
        errno = ENAMETOOLONG;
        return vecq_file_errno(err, name, "create");
    }
    return VECQ_OK;
}

/* Decides what `path` is and what is to be written where. */
static vecq_status output_resolve(vecq_output *o, const char *path, char target[PATH_MAX], vecq_error *err)
{
    int flags;

    if (strcmp(path, "-") == 0) {
        /* Asked before a file is opened, which would otherwise get the number of a closed standard output. */
        flags = fcntl(STDOUT_FILENO, F_GETFL);
        if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
            return vecq_error_set(err, VECQ_ERR_IO, "standard output: cannot write: it is closed");
        o->is_stream = o->is_standard = 1;
        memcpy(target, "-", 2);
        return VECQ_OK;
    }
    if (stat(path, &o->replaced) != 0) {
        if (errno != ENOENT)
            return vecq_file_errno(err, path, "create");
        return output_resolve_new(path, target, err);
    }
    if (S_ISDIR(o->replaced.st_mode))
        return vecq_error_set(err, VECQ_ERR_IO, "%s: cannot write: is a folder", path);
    /* rename() asks only for the folder; a file protected against writing stays. */
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0)
        return vecq_file_errno(err, path, "write");
    o->is_stream = !S_ISREG(o->replaced.st_mode);
    o->replaces = !o->is_stream;
    if (realpath(path, target) == NULL) /* the file is replaced, not the link to it */
        return vecq_file_errno(err, path, "write");
    return VECQ_OK;
}

static char *output_hidden_name(const char *target, unsigned attempt)
{
    char folder[PATH_MAX];
    size_t n = strlen(target) + 64;
    char *name = output_folder(target, folder) ? vecq_alloc(n, 1) : NULL;

    if (name != NULL)
        snprintf(name, n, "%s/.%.180s.%ld-%u.part", folder, strrchr(target, '/') + 1, (long)getpid(),
                 attempt);
    return name;
}

static void output_link_name(const vecq_output *o, char link[64])
{
    snprintf(link, 64, "/proc/self/fd/%d", o->fd);
}

/* Opens the file that takes the bytes: nameless where that can get a name later, else hidden. */
static vecq_status output_create(vecq_output *o, vecq_error *err)
{
    char folder[PATH_MAX], link[64];
    struct stat info;
    unsigned attempt;

    if (o->is_stream) {
        o->fd = vecq_file_temporary(vecq_file_scratch(NULL));
        return o->fd >= 0 ? VECQ_OK
                          : vecq_file_errno(err, vecq_file_scratch(NULL), "create a temporary file");
    }
    if (!output_folder(o->target, folder))
        return vecq_error_memory(err, PATH_MAX);
    o->fd = vecq_file_nameless(folder, 0666);
    if (o->fd >= 0) {
        output_link_name(o, link);
        if (stat(link, &info) == 0)
            return VECQ_OK;
        close(o->fd); /* without /proc it could never be named */
        o->fd = -1;
    }
    for (attempt = 0; o->fd < 0 && attempt < 100; attempt++) {
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
        return vecq_file_errno(err, o->name, "create");
    }
    return VECQ_OK;
}

vecq_status vecq_output_open(const char *path, vecq_output **out, vecq_error *err)
{
    vecq_output *o = vecq_calloc(1, sizeof *o);
    char target[PATH_MAX];
    vecq_status status;

    *out = NULL;
    if (o == NULL)
        return vecq_error_memory(err, sizeof *o);
    o->fd = -1;
    status = output_resolve(o, path, target, err);
    if (status == VECQ_OK) {
        o->name =
            o->is_standard ? vecq_file_string("standard output", 15) : vecq_file_string(path, strlen(path));
        o->target = vecq_file_string(target, strlen(target));
        o->chunk = vecq_alloc(VECQ_FILE_CHUNK, 1);
        if (o->name == NULL || o->target == NULL || o->chunk == NULL)
            status = vecq_error_memory(err, VECQ_FILE_CHUNK);
    }
    if (status == VECQ_OK)
        status = output_create(o, err);
    if (status != VECQ_OK) {
        vecq_output_discard(o);
        return status;
    }
    *out = o;
    return VECQ_OK;
}

/* What `file_write_all` left half done must never get the target's name. */
static vecq_status output_put(vecq_output *o, const void *data, size_t n, vecq_error *err)
{
    if (o->has_failed)
        return vecq_error_set(err, VECQ_ERR_IO, "%s: cannot write: an earlier write failed", o->name);
    if (vecq_file_write_all(o->fd, data, n))
        return VECQ_OK;
    o->has_failed = 1;
    return vecq_file_errno(err, o->name, "write");
}

static vecq_status output_flush(vecq_output *o, vecq_error *err)
{
    size_t n = o->n_chunk;

    o->n_chunk = 0;
    return output_put(o, o->chunk, n, err);
}

vecq_status vecq_output_write(vecq_output *o, const void *data, size_t n, vecq_error *err)
{
    o->position += n;
    if (n > VECQ_FILE_CHUNK - o->n_chunk)
        VECQ_TRY(output_flush(o, err));
    if (n > VECQ_FILE_CHUNK)
        return output_put(o, data, n, err);
    if (n > 0) {
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
    return vecq_mapping_of_fd(o->fd, o->name, out, err);
}

vecq_status vecq_output_sync(vecq_output *o, vecq_error *err)
{
    VECQ_TRY(output_flush(o, err));
    if (!o->is_stream && fsync(o->fd) != 0 && errno != EINVAL && errno != EROFS) {
        o->has_failed = 1;
        return vecq_file_errno(err, o->name, "write");
    }
    return VECQ_OK;
}

static vecq_status output_copy(vecq_output *o, vecq_error *err)
{
    int to = o->is_standard ? STDOUT_FILENO : open(o->target, O_WRONLY | O_CLOEXEC);
    vecq_status status = VECQ_OK;

    if (to < 0)
        return vecq_file_errno(err, o->name, "open");
    if (lseek(o->fd, 0, SEEK_SET) != 0)
        status = vecq_file_errno(err, o->name, "write");
    while (status == VECQ_OK) {
        ssize_t n = read(o->fd, o->chunk, VECQ_FILE_CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            break;
        if (n < 0 || !vecq_file_write_all(to, o->chunk, (size_t)n))
            status = vecq_file_errno(err, o->name, "write");
    }
    if (!o->is_standard && close(to) != 0 && status == VECQ_OK)
        status = vecq_file_errno(err, o->name, "write");
    return status;
}

/* Gives the nameless file a hidden name beside the target; linkat() cannot replace, rename() can. */
static vecq_status output_give_name(vecq_output *o, vecq_error *err)
{
    char link[64];
    unsigned attempt;

    output_link_name(o, link);
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
    return vecq_file_errno(err, o->name, "create");
}

/* A replaced file keeps its permissions, and as far as we may its owner: a private model stays private. When
 * the group cannot be kept, the group's permissions are not handed to another one. */
static vecq_status output_keep_owner(vecq_output *o, vecq_error *err)
{
    mode_t mode = o->replaced.st_mode & 0777;
    struct stat info;

    if (fstat(o->fd, &info) != 0)
        return vecq_file_errno(err, o->name, "write");
    if (info.st_uid != o->replaced.st_uid || info.st_gid != o->replaced.st_gid)
        if (fchown(o->fd, o->replaced.st_uid, o->replaced.st_gid) != 0 &&
            fchown(o->fd, (uid_t)-1, o->replaced.st_gid) != 0)
            mode &= (mode_t) ~(mode_t)070;
    return fchmod(o->fd, mode) == 0 ? VECQ_OK : vecq_file_errno(err, o->name, "write");
}

/* The new name is as durable as the bytes. Not every file system can do it: no error. */
static void output_sync_folder(const vecq_output *o)
{
    char folder[PATH_MAX];
    int fd = output_folder(o->target, folder) ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

static vecq_status output_rename(vecq_output *o, vecq_error *err)
{
    if (o->hidden == NULL)
        VECQ_TRY(output_give_name(o, err));
    if (o->replaces)
        VECQ_TRY(output_keep_owner(o, err));
    if (rename(o->hidden, o->target) != 0)
        return vecq_file_errno(err, o->name, "write");
    vecq_free(o->hidden);
    o->hidden = NULL;
    output_sync_folder(o);
    return VECQ_OK;
}

vecq_status vecq_output_commit(vecq_output *o, vecq_error *err)
{
    vecq_status status = vecq_output_sync(o, err);

    if (status == VECQ_OK)
        status = o->is_stream ? output_copy(o, err) : output_rename(o, err);
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
    vecq_free(o->name);
    vecq_free(o->target);
    vecq_free(o->chunk);
    vecq_free(o);
}
