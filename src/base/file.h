/* SPDX-License-Identifier: Apache-2.0 */
/* Files: read-only mappings, outputs that appear complete or not at all, and spools for bulk data. */
#ifndef VECQ_BASE_FILE_H
#define VECQ_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "vecq/status.h"

/* A whole file, readable as memory. Ordinary files are mapped; pipes and "-" are read into a spool first. */
typedef struct vecq_mapping {
    vecq_span bytes;
    uint64_t device, inode; /* identity, to notice that an output is the input; 0, 0 for a pipe */
    int mapped;             /* needs munmap */
} vecq_mapping;

vecq_status vecq_mapping_open(const char *path, vecq_mapping *out, vecq_error *err); /* "-": standard input */
vecq_status vecq_mapping_of_fd(int fd, const char *name, vecq_mapping *out, vecq_error *err);
void vecq_mapping_close(vecq_mapping *mapping);

/* Non-zero if `path` names the very file that is mapped. */
int vecq_mapping_is(const vecq_mapping *mapping, const char *path);

/*
 * An output file. Bytes go to a nameless (or hidden) file in the folder of `path`; commit() makes it durable
 * and renames it over `path`. Whatever ends the process before that, a signal included, leaves `path` as it
 * was; where the file system knows O_TMPFILE nothing is left beside it either. "-" is standard output and
 * anything that is not a regular file (a device, a pipe) is written to at commit().
 */
typedef struct vecq_output vecq_output;

vecq_status vecq_output_open(const char *path, vecq_output **out, vecq_error *err);
vecq_status vecq_output_write(vecq_output *output, const void *data, size_t n, vecq_error *err);
uint64_t vecq_output_position(const vecq_output *output); /* bytes written so far */
/* Everything written so far, readable; valid until the output ends. Flushes. */
vecq_status vecq_output_map(vecq_output *output, vecq_mapping *out, vecq_error *err);
vecq_status vecq_output_sync(vecq_output *output, vecq_error *err); /* to disk, before a commit of several */
/* Renames into place and frees the object, also when it fails. */
vecq_status vecq_output_commit(vecq_output *output, vecq_error *err);
void vecq_output_discard(vecq_output *output); /* NULL is fine */

/*
 * A spool keeps bulk results (packed fields, decoded tensors) out of anonymous memory: small ones stay in
 * memory, larger ones go to an unlinked file in `folder` (NULL: $TMPDIR or /tmp). Append, then map once.
 */
typedef struct vecq_spool vecq_spool;

vecq_status vecq_spool_open(const char *folder, vecq_spool **out, vecq_error *err);
vecq_status vecq_spool_append(vecq_spool *spool, const void *data, size_t n, uint64_t *offset,
                              vecq_error *err);
/* All bytes appended so far; valid until the next append or the close. */
vecq_status vecq_spool_map(vecq_spool *spool, vecq_span *out, vecq_error *err);
void vecq_spool_close(vecq_spool *spool); /* NULL is fine */

#endif
