/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/map.h"
#include "base/status.h"
#include "train/checkpoint_private.h"

typedef struct writer_row {
    const char *name;
    uint64_t offset, n_bytes, hash;
    uint32_t type;
} writer_row;

struct vecq_checkpoint_writer {
    vecq_output *output;
    vecq_arena arena; /* names */
    vecq_map names;
    writer_row *rows;
    size_t n_rows, capacity;
    vecq_status failed; /* the first failure: what was written is no checkpoint */
};

static vecq_status writer_put(vecq_checkpoint_writer *w, const void *data, size_t n, vecq_error *err)
{
    vecq_status status = vecq_output_write(w->output, data, n, err);

    if (status != VECQ_OK && w->failed == VECQ_OK)
        w->failed = status;
    return status;
}

static vecq_status writer_pad(vecq_checkpoint_writer *w, size_t unit, vecq_error *err)
{
    static const uint8_t zeros[CHECKPOINT_ALIGN];

    return writer_put(w, zeros, checkpoint_gap(vecq_output_position(w->output), unit), err);
}

vecq_status vecq_checkpoint_create(const char *path, vecq_checkpoint_writer **out, vecq_error *err)
{
    uint8_t header[CHECKPOINT_HEADER] = {0};
    vecq_checkpoint_writer *w = vecq_calloc(1, sizeof *w);
    vecq_status status;

    *out = NULL;
    if (w == NULL)
        return vecq_error_memory(err, sizeof *w);
    memcpy(header, CHECKPOINT_MAGIC, 8);
    checkpoint_put32(header + 8, CHECKPOINT_VERSION);
    status = vecq_output_open(path, &w->output, err);
    if (status == VECQ_OK)
        status = writer_put(w, header, sizeof header, err);
    if (status != VECQ_OK) {
        vecq_checkpoint_discard(w);
        return status;
    }
    *out = w;
    return VECQ_OK;
}

/* A new row with this name. */
static vecq_status writer_row_new(vecq_checkpoint_writer *w, const char *name, writer_row **out,
                                  vecq_error *err)
{
    size_t n = strlen(name);
    char *copy;

    if (n == 0 || n > VECQ_CHECKPOINT_NAME_MAX)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "checkpoint: a name of %zu bytes; 1 to %u are possible", n,
                              VECQ_CHECKPOINT_NAME_MAX);
    if (vecq_map_get(&w->names, name) != NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "checkpoint: two entries are named '%s'", name);
    if (w->n_rows == VECQ_CHECKPOINT_ENTRIES_MAX)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "checkpoint: more than %u entries",
                              VECQ_CHECKPOINT_ENTRIES_MAX);
    copy = vecq_arena_string(&w->arena, name, n);
    if (copy == NULL || !vecq_grow((void **)&w->rows, &w->capacity, w->n_rows, sizeof *w->rows) ||
        !vecq_map_put(&w->names, copy, copy))
        return vecq_error_memory(err, n + sizeof *w->rows);
    *out = &w->rows[w->n_rows++];
    (*out)->name = copy;
    return VECQ_OK;
}

vecq_status vecq_checkpoint_add(vecq_checkpoint_writer *w, const char *name, vecq_checkpoint_type type,
                                const void *data, size_t count, vecq_error *err)
{
    size_t n_bytes, element = checkpoint_element(type);
    writer_row *row = NULL;
    vecq_status status;

    if (w->failed != VECQ_OK)
        return vecq_error_set(err, w->failed, "checkpoint: cannot go on after a failure");
    if (element == 0 || !vecq_mul_size(count, element, &n_bytes))
        status = vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "checkpoint: entry '%s' has no size", name);
    else if (type == VECQ_CHECKPOINT_TEXT && count > 0 && memchr(data, '\0', count) != NULL)
        status = vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "checkpoint: text '%s' has a NUL in it", name);
    else
        status = writer_row_new(w, name, &row, err);
    if (status != VECQ_OK) {
        w->failed = status;
        return status;
    }
    row->type = (uint32_t)type;
    row->offset = vecq_output_position(w->output);
    row->n_bytes = n_bytes;
    row->hash = checkpoint_hash(data, n_bytes);
    VECQ_TRY(writer_put(w, data, n_bytes, err));
    return writer_pad(w, CHECKPOINT_ALIGN, err);
}

vecq_status vecq_checkpoint_add_text(vecq_checkpoint_writer *w, const char *name, const char *text,
                                     vecq_error *err)
{
    return vecq_checkpoint_add(w, name, VECQ_CHECKPOINT_TEXT, text, strlen(text), err);
}

/* The index in one piece of memory, to be hashed as one. */
static vecq_status writer_index(const vecq_checkpoint_writer *w, uint8_t **out, size_t *n_bytes,
                                vecq_error *err)
{
    size_t i, n = 0;
    uint8_t *p;

    for (i = 0; i < w->n_rows; i++) { /* at most a million rows of some thousand bytes: no overflow */
        n += CHECKPOINT_ROW + strlen(w->rows[i].name);
        n += checkpoint_gap(n, 8);
    }
    *out = p = vecq_calloc(n, 1);
    if (p == NULL)
        return vecq_error_memory(err, n);
    *n_bytes = n;
    for (i = 0; i < w->n_rows; i++) {
        const writer_row *row = &w->rows[i];
        size_t length = strlen(row->name);

        checkpoint_put64(p, row->offset);
        checkpoint_put64(p + 8, row->n_bytes);
        checkpoint_put64(p + 16, row->hash);
        checkpoint_put32(p + 24, row->type);
        checkpoint_put32(p + 28, (uint32_t)length);
        memcpy(p + CHECKPOINT_ROW, row->name, length);
        p += CHECKPOINT_ROW + length + checkpoint_gap(CHECKPOINT_ROW + length, 8);
    }
    return VECQ_OK;
}

static vecq_status writer_finish(vecq_checkpoint_writer *w, vecq_error *err)
{
    uint8_t footer[CHECKPOINT_FOOTER] = {0}, *index = NULL;
    uint64_t offset = vecq_output_position(w->output);
    size_t n_bytes = 0;
    vecq_status status;

    VECQ_TRY(writer_index(w, &index, &n_bytes, err));
    checkpoint_put64(footer, offset);
    checkpoint_put64(footer + 8, n_bytes);
    checkpoint_put64(footer + 16, w->n_rows);
    checkpoint_put64(footer + 24, offset + n_bytes + CHECKPOINT_FOOTER);
    checkpoint_put64(footer + 32, checkpoint_hash(index, n_bytes));
    checkpoint_put64(footer + 48, checkpoint_hash(footer, 48));
    memcpy(footer + 56, CHECKPOINT_END, 8);
    status = writer_put(w, index, n_bytes, err);
    vecq_free(index);
    if (status == VECQ_OK)
        status = writer_put(w, footer, sizeof footer, err);
    return status;
}

static void writer_free(vecq_checkpoint_writer *w)
{
    vecq_map_clear(&w->names);
    vecq_arena_clear(&w->arena);
    vecq_free(w->rows);
    vecq_free(w);
}

vecq_status vecq_checkpoint_commit(vecq_checkpoint_writer *w, vecq_error *err)
{
    vecq_status status = w->failed;

    if (status != VECQ_OK)
        vecq_error_set(err, status, "checkpoint: not written after a failure");
    else
        status = writer_finish(w, err);
    if (status != VECQ_OK) {
        vecq_checkpoint_discard(w);
        return status;
    }
    status = vecq_output_commit(w->output, err);
    writer_free(w);
    return status;
}

void vecq_checkpoint_discard(vecq_checkpoint_writer *w)
{
    if (w == NULL)
        return;
    vecq_output_discard(w->output);
    writer_free(w);
}
