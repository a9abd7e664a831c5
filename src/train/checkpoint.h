/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints: named arrays and texts in one file, docs/format/checkpoint.md.
 *
 * A file is there completely or not at all. The bytes go to a file without a name in the same folder (or a
 * hidden one, base/file.h), which is synchronised to disk and only then renamed over the old checkpoint:
 * whoever is killed before the rename, by SIGKILL or by a power failure, leaves the old file untouched, and
 * after it the new one is whole, because rename() replaces a name in one step. So there is a valid checkpoint
 * at every moment once the first was written, and at most what came after the last one is lost. Should a disk
 * lose bytes all the same, the checksums say so when the file is opened.
 *
 * Nothing is gathered in memory: an array is written when it is added.
 */
#ifndef VECQ_TRAIN_CHECKPOINT_H
#define VECQ_TRAIN_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "vecq/status.h"

typedef enum vecq_checkpoint_type {
    VECQ_CHECKPOINT_TEXT = 1, /* UTF-8, without the NUL */
    VECQ_CHECKPOINT_F32 = 2,
    VECQ_CHECKPOINT_F64 = 3,
    VECQ_CHECKPOINT_U64 = 4,
    VECQ_CHECKPOINT_U8 = 5
} vecq_checkpoint_type;

#define VECQ_CHECKPOINT_NAME_MAX    4096u    /* bytes of a name */
#define VECQ_CHECKPOINT_ENTRIES_MAX 1000000u /* entries of a file */

/* ---- writing ---- */

typedef struct vecq_checkpoint_writer vecq_checkpoint_writer;

vecq_status vecq_checkpoint_create(const char *path, vecq_checkpoint_writer **out, vecq_error *err);
/* Writes `count` elements now. A name that was there before, an empty one, or one that is too long is
 * VECQ_ERR_UNSUPPORTED. After any failure, of a full disk for example, commit refuses. */
vecq_status vecq_checkpoint_add(vecq_checkpoint_writer *writer, const char *name, vecq_checkpoint_type type,
                                const void *data, size_t count, vecq_error *err);
vecq_status vecq_checkpoint_add_text(vecq_checkpoint_writer *writer, const char *name, const char *text,
                                     vecq_error *err);
/* Makes it durable and puts it in its place. The writer is gone then, also when this fails. */
vecq_status vecq_checkpoint_commit(vecq_checkpoint_writer *writer, vecq_error *err);
void vecq_checkpoint_discard(vecq_checkpoint_writer *writer); /* nothing was written; NULL is fine */

/* ---- reading ---- */

typedef struct vecq_checkpoint vecq_checkpoint;

typedef struct vecq_checkpoint_entry {
    const char *name;
    vecq_checkpoint_type type;
    size_t count;     /* elements; bytes of a text */
    const void *data; /* aligned to 64 bytes; a text has no NUL at its end */
} vecq_checkpoint_entry;

/* Maps a file and checks every byte of it: once it is open, all is as it was written. VECQ_ERR_FORMAT for
 * anything that is damaged, cut off, or no checkpoint. */
vecq_status vecq_checkpoint_open(const char *path, vecq_checkpoint **out, vecq_error *err);
/* The same from memory (aligned to 8 bytes) that stays until the checkpoint is closed. */
vecq_status vecq_checkpoint_open_memory(vecq_span bytes, const char *name, vecq_checkpoint **out,
                                        vecq_error *err);
void vecq_checkpoint_close(vecq_checkpoint *checkpoint); /* NULL is fine */

size_t vecq_checkpoint_count(const vecq_checkpoint *checkpoint);
const vecq_checkpoint_entry *vecq_checkpoint_at(const vecq_checkpoint *checkpoint, size_t index);
const vecq_checkpoint_entry *vecq_checkpoint_find(const vecq_checkpoint *checkpoint, const char *name);

/* Copies an entry that must be there with this type and count; else VECQ_ERR_FORMAT, with what is there. */
vecq_status vecq_checkpoint_read(const vecq_checkpoint *checkpoint, const char *name,
                                 vecq_checkpoint_type type, void *out, size_t count, vecq_error *err);
/* A text that must be there, with a NUL at its end; freed by vecq_free(). */
vecq_status vecq_checkpoint_read_text(const vecq_checkpoint *checkpoint, const char *name, char **out,
                                      vecq_error *err);

#endif
