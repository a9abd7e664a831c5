/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every byte of a file is either part of something hashed, or one of the zeros between, or compared: a file
 * that opens is what some writer wrote. Positions are not believed but computed and compared, so entries
 * cannot overlap or lie outside.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/map.h"
#include "base/status.h"
#include "train/checkpoint_private.h"

struct vecq_checkpoint {
    char *name; /* of the file, for messages */
    vecq_mapping mapping;
    int owns_mapping;
    vecq_arena arena;
    vecq_map names;
    vecq_checkpoint_entry *entries;
    size_t n_entries;
};

typedef struct reader_footer {
    uint64_t index_offset, index_bytes, n_entries;
} reader_footer;

static vecq_status reader_damaged(const vecq_checkpoint *c, vecq_error *err, const char *what)
{
    return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: damaged checkpoint: %s", c->name, what);
}

static int reader_is_zero(const uint8_t *p, size_t n)
{
    while (n > 0)
        if (p[--n] != 0)
            return 0;
    return 1;
}

static vecq_status reader_frame(const vecq_checkpoint *c, reader_footer *out, vecq_error *err)
{
    const uint8_t *data = c->mapping.bytes.data, *footer;
    size_t n = c->mapping.bytes.n;
    uint32_t version;

    if (n < 12 || memcmp(data, CHECKPOINT_MAGIC, 8) != 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: is not a checkpoint of VecQ", c->name);
    version = checkpoint_get32(data + 8);
    if (version != CHECKPOINT_VERSION)
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "%s: checkpoint of version %u; this program reads version %u", c->name, version,
                              CHECKPOINT_VERSION);
    if (n < CHECKPOINT_HEADER + CHECKPOINT_FOOTER)
        return reader_damaged(c, err, "it is cut off");
    if (!reader_is_zero(data + 12, CHECKPOINT_HEADER - 12))
        return reader_damaged(c, err, "header");
    footer = data + n - CHECKPOINT_FOOTER;
    if (memcmp(footer + 56, CHECKPOINT_END, 8) != 0)
        return reader_damaged(c, err, "it is cut off, or something follows it");
    if (checkpoint_get64(footer + 48) != checkpoint_hash(footer, 48) || checkpoint_get64(footer + 40) != 0)
        return reader_damaged(c, err, "checksum of its end");
    if (checkpoint_get64(footer + 24) != n)
        return reader_damaged(c, err, "its length is not the one it says");
    out->index_offset = checkpoint_get64(footer);
    out->index_bytes = checkpoint_get64(footer + 8);
    out->n_entries = checkpoint_get64(footer + 16);
    if (out->index_offset < CHECKPOINT_HEADER || out->index_offset % CHECKPOINT_ALIGN != 0 ||
        out->index_bytes % 8 != 0 || out->index_offset > n - CHECKPOINT_FOOTER ||
        out->index_bytes != n - CHECKPOINT_FOOTER - out->index_offset)
        return reader_damaged(c, err, "place of the index");
    if (out->n_entries > VECQ_CHECKPOINT_ENTRIES_MAX || out->n_entries > out->index_bytes / CHECKPOINT_ROW)
        return reader_damaged(c, err, "number of entries");
    if (checkpoint_get64(footer + 32) != checkpoint_hash(data + out->index_offset, (size_t)out->index_bytes))
        return reader_damaged(c, err, "checksum of the index");
    return VECQ_OK;
}

/* One row of the index: its name and the bytes it stands for. *row and *position go on. */
static vecq_status reader_row(vecq_checkpoint *c, const reader_footer *footer, const uint8_t **row,
                              uint64_t *position, vecq_checkpoint_entry *entry, vecq_error *err)
{
    const uint8_t *data = c->mapping.bytes.data, *p = *row;
    size_t left = (size_t)(footer->index_offset + footer->index_bytes) - (size_t)(p - data), gap, element;
    uint64_t offset, n_bytes;
    uint32_t type, length;

    if (left < CHECKPOINT_ROW)
        return reader_damaged(c, err, "the index is too short");
    offset = checkpoint_get64(p);
    n_bytes = checkpoint_get64(p + 8);
    type = checkpoint_get32(p + 24);
    length = checkpoint_get32(p + 28);
    element = checkpoint_element(type);
    if (element == 0)
        return reader_damaged(c, err, "an entry of unknown type");
    if (length == 0 || length > VECQ_CHECKPOINT_NAME_MAX || length > left - CHECKPOINT_ROW)
        return reader_damaged(c, err, "length of a name");
    gap = checkpoint_gap(CHECKPOINT_ROW + length, 8);
    if (gap > left - CHECKPOINT_ROW - length || !reader_is_zero(p + CHECKPOINT_ROW + length, gap) ||
        memchr(p + CHECKPOINT_ROW, '\0', length) != NULL)
        return reader_damaged(c, err, "a name");
    if (offset != *position || n_bytes > footer->index_offset - offset || n_bytes % element != 0)
        return reader_damaged(c, err, "place of an entry");
    entry->name = vecq_arena_string(&c->arena, (const char *)p + CHECKPOINT_ROW, length);
    if (entry->name == NULL)
        return vecq_error_memory(err, length);
    if (vecq_map_get(&c->names, entry->name) != NULL)
        return reader_damaged(c, err, "two entries of one name");
    if (!vecq_map_put(&c->names, entry->name, entry))
        return vecq_error_memory(err, length);
    entry->type = (vecq_checkpoint_type)type;
    entry->count = (size_t)n_bytes / element;
    entry->data = data + offset;
    if (checkpoint_get64(p + 16) != checkpoint_hash(entry->data, (size_t)n_bytes) ||
        (type == VECQ_CHECKPOINT_TEXT && n_bytes > 0 && memchr(entry->data, '\0', (size_t)n_bytes) != NULL))
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: damaged checkpoint: checksum of '%s'", c->name,
                              entry->name);
    offset += n_bytes;
    gap = checkpoint_gap(offset, CHECKPOINT_ALIGN);
    if (gap > footer->index_offset - offset || !reader_is_zero(data + offset, gap))
        return reader_damaged(c, err, "bytes between entries");
    *position = offset + gap;
    *row = p + CHECKPOINT_ROW + length + checkpoint_gap(CHECKPOINT_ROW + length, 8);
    return VECQ_OK;
}

static vecq_status reader_check(vecq_checkpoint *c, vecq_error *err)
{
    uint64_t position = CHECKPOINT_HEADER;
    reader_footer footer = {0, 0, 0};
    const uint8_t *row;
    size_t i;

    VECQ_TRY(reader_frame(c, &footer, err));
    c->entries = vecq_calloc((size_t)footer.n_entries, sizeof *c->entries);
    if (c->entries == NULL)
        return vecq_error_memory(err, (size_t)footer.n_entries * sizeof *c->entries);
    c->n_entries = (size_t)footer.n_entries;
    row = c->mapping.bytes.data + footer.index_offset;
    for (i = 0; i < c->n_entries; i++)
        VECQ_TRY(reader_row(c, &footer, &row, &position, &c->entries[i], err));
    if (position != footer.index_offset ||
        row != c->mapping.bytes.data + footer.index_offset + footer.index_bytes)
        return reader_damaged(c, err, "bytes that belong to nothing");
    return VECQ_OK;
}

/* Takes over the mapping, also when it fails. */
static vecq_status reader_open(const vecq_mapping *mapping, int owns_mapping, const char *name,
                               vecq_checkpoint **out, vecq_error *err)
{
    vecq_checkpoint *c = vecq_calloc(1, sizeof *c);
    vecq_mapping taken = *mapping;
    vecq_status status;

    if (c == NULL) {
        if (owns_mapping)
            vecq_mapping_close(&taken);
        return vecq_error_memory(err, sizeof *c);
    }
    c->mapping = taken;
    c->owns_mapping = owns_mapping;
    c->name = vecq_arena_string(&c->arena, name, strlen(name));
    status = c->name != NULL ? reader_check(c, err) : vecq_error_memory(err, strlen(name) + 1);
    if (status != VECQ_OK) {
        vecq_checkpoint_close(c);
        return status;
    }
    *out = c;
    return VECQ_OK;
}

vecq_status vecq_checkpoint_open(const char *path, vecq_checkpoint **out, vecq_error *err)
{
    vecq_mapping mapping;

    *out = NULL;
    VECQ_TRY(vecq_mapping_open(path, &mapping, err));
    return reader_open(&mapping, 1, path, out, err);
}

vecq_status vecq_checkpoint_open_memory(vecq_span bytes, const char *name, vecq_checkpoint **out,
                                        vecq_error *err)
{
    vecq_mapping mapping;

    *out = NULL;
    memset(&mapping, 0, sizeof mapping);
    mapping.bytes = bytes;
    return reader_open(&mapping, 0, name, out, err);
}

void vecq_checkpoint_close(vecq_checkpoint *c)
{
    if (c == NULL)
        return;
    if (c->owns_mapping)
        vecq_mapping_close(&c->mapping);
    vecq_map_clear(&c->names);
    vecq_free(c->entries);
    vecq_arena_clear(&c->arena);
    vecq_free(c);
}

size_t vecq_checkpoint_count(const vecq_checkpoint *c)
{
    return c->n_entries;
}

const vecq_checkpoint_entry *vecq_checkpoint_at(const vecq_checkpoint *c, size_t index)
{
    return index < c->n_entries ? &c->entries[index] : NULL;
}

const vecq_checkpoint_entry *vecq_checkpoint_find(const vecq_checkpoint *c, const char *name)
{
    return vecq_map_get(&c->names, name);
}

/* "float32 array": what an entry is, in messages. */
static const char *reader_type_name(vecq_checkpoint_type type)
{
    switch (type) {
    case VECQ_CHECKPOINT_TEXT:
        return "text";
    case VECQ_CHECKPOINT_F32:
        return "float32";
    case VECQ_CHECKPOINT_F64:
        return "float64";
    case VECQ_CHECKPOINT_U64:
        return "uint64";
    case VECQ_CHECKPOINT_U8:
        return "uint8";
    default:
        return "unknown";
    }
}

static vecq_status reader_wanted(const vecq_checkpoint *c, const char *name, vecq_checkpoint_type type,
                                 const vecq_checkpoint_entry **out, vecq_error *err)
{
    *out = vecq_checkpoint_find(c, name);
    if (*out == NULL)
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "%s: the checkpoint has no '%s': it is of another model or recipe", c->name,
                              name);
    if ((*out)->type != type)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: '%s' is %s in the checkpoint, %s is needed", c->name,
                              name, reader_type_name((*out)->type), reader_type_name(type));
    return VECQ_OK;
}

vecq_status vecq_checkpoint_read(const vecq_checkpoint *c, const char *name, vecq_checkpoint_type type,
                                 void *out, size_t count, vecq_error *err)
{
    const vecq_checkpoint_entry *entry;

    VECQ_TRY(reader_wanted(c, name, type, &entry, err));
    if (entry->count != count)
        return vecq_error_set(
            err, VECQ_ERR_FORMAT,
            "%s: '%s' has %zu values in the checkpoint, %zu are needed: it is of another model or "
            "recipe",
            c->name, name, entry->count, count);
    if (count > 0)
        memcpy(out, entry->data, count * checkpoint_element(type));
    return VECQ_OK;
}

vecq_status vecq_checkpoint_read_text(const vecq_checkpoint *c, const char *name, char **out, vecq_error *err)
{
    const vecq_checkpoint_entry *entry;

    *out = NULL;
    VECQ_TRY(reader_wanted(c, name, VECQ_CHECKPOINT_TEXT, &entry, err));
    *out = vecq_alloc(entry->count + 1, 1);
    if (*out == NULL)
        return vecq_error_memory(err, entry->count + 1);
    memcpy(*out, entry->data, entry->count);
    (*out)[entry->count] = '\0';
    return VECQ_OK;
}
