/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's .npz: a ZIP archive of .npy files. Only what NumPy writes is read: the central directory at the end
 * (with 64-bit sizes where they are needed), entries that are stored or deflated, no encryption, one disk.
 * Every number is checked against the file before it is used, and an entry's checksum after it was unpacked.
 */
#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/status.h"
#include "tensor/npy.h"

enum {
    ZIP_LOCAL = 0x04034b50,
    ZIP_ENTRY = 0x02014b50,
    ZIP_END = 0x06054b50,
    ZIP_LOCAL_BYTES = 30,
    ZIP_ENTRY_BYTES = 46,
    ZIP_END_BYTES = 22,
    ZIP_ARRAYS_MAX = 65535
};

/* Deflate makes at most 1032 bytes of one. */
#define ZIP_RATIO_MAX 1032u

typedef struct npz_entry {
    char *name; /* without ".npy"; in the arena */
    uint64_t at, packed, size;
    uint32_t crc;
    int is_deflated;
} npz_entry;

struct vecq_npz {
    vecq_mapping mapping;
    vecq_span bytes;
    const char *label;
    vecq_arena arena;
    npz_entry *entries;
    size_t n;
};

static uint32_t number16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t number32(const uint8_t *p)
{
    return number16(p) | number16(p + 2) << 16;
}

static uint64_t number64(const uint8_t *p)
{
    return number32(p) | (uint64_t)number32(p + 4) << 32;
}

static vecq_status damaged(vecq_error *err)
{
    return vecq_error_set(err, VECQ_ERR_FORMAT, "this is no sound .npz file (a ZIP archive of NumPy arrays)");
}

/* ---- the directory ---- */

/* Sizes and place of an entry that do not fit 32 bits stand in an extra field of number 1, in this order. */
static vecq_status read_wide(npz_entry *e, const uint8_t *extra, size_t n, vecq_error *err)
{
    uint64_t *wide[3] = {&e->size, &e->packed, &e->at};
    size_t k;

    while (n >= 4) {
        size_t length = number16(extra + 2), used = 4;

        if (length > n - 4)
            return damaged(err);
        for (k = 0; k < 3 && number16(extra) == 1; k++)
            if (*wide[k] == UINT32_MAX) {
                if (used + 8 > 4 + length)
                    return damaged(err);
                *wide[k] = number64(extra + used);
                used += 8;
            }
        extra += 4 + length;
        n -= 4 + length;
    }
    return VECQ_OK;
}

/* From the place of the local header to that of the data. */
static vecq_status find_data(const vecq_npz *npz, npz_entry *e, vecq_error *err)
{
    uint64_t n = npz->bytes.n, skip;
    const uint8_t *p;

    if (n < ZIP_LOCAL_BYTES || e->at > n - ZIP_LOCAL_BYTES)
        return damaged(err);
    p = npz->bytes.data + e->at;
    skip = ZIP_LOCAL_BYTES + (uint64_t)number16(p + 26) + number16(p + 28);
    if (number32(p) != ZIP_LOCAL || skip > n - e->at)
        return damaged(err);
    e->at += skip;
    if (e->packed > n - e->at || (!e->is_deflated && e->packed != e->size) ||
        e->size / ZIP_RATIO_MAX > e->packed + 1)
        return damaged(err);
    return VECQ_OK;
}

static vecq_status read_entry(vecq_npz *npz, const uint8_t **at, const uint8_t *end, vecq_error *err)
{
    npz_entry *e = &npz->entries[npz->n];
    const uint8_t *p = *at;
    size_t name, extra, comment, method;

    if (end - p < ZIP_ENTRY_BYTES || number32(p) != ZIP_ENTRY)
        return damaged(err);
    method = number16(p + 10);
    name = number16(p + 28);
    extra = number16(p + 30);
    comment = number16(p + 32);
    if ((size_t)(end - p) - ZIP_ENTRY_BYTES < name + extra + comment)
        return damaged(err);
    if ((number16(p + 8) & 1) != 0 || (method != 0 && method != 8))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "entries that are encrypted, or packed by method %zu", method);
    e->is_deflated = method == 8;
    e->crc = number32(p + 16);
    e->packed = number32(p + 20);
    e->size = number32(p + 24);
    e->at = number32(p + 42);
    VECQ_TRY(read_wide(e, p + ZIP_ENTRY_BYTES + name, extra, err));
    VECQ_TRY(find_data(npz, e, err));
    *at = p + ZIP_ENTRY_BYTES + name + extra + comment;
    if (name < 5 || memcmp(p + ZIP_ENTRY_BYTES + name - 4, ".npy", 4) != 0 ||
        memchr(p + ZIP_ENTRY_BYTES, 0, name) != NULL)
        return VECQ_OK; /* something else: not ours */
    e->name = vecq_arena_string(&npz->arena, (const char *)p + ZIP_ENTRY_BYTES, name - 4);
    if (e->name == NULL)
        return vecq_error_memory(err, name);
    npz->n++;
    return VECQ_OK;
}

/* The end record is the last one that is followed by exactly its own comment. */
static const uint8_t *find_end(vecq_span bytes)
{
    size_t back;

    for (back = ZIP_END_BYTES; back <= bytes.n && back <= ZIP_END_BYTES + 65535u; back++) {
        const uint8_t *p = bytes.data + bytes.n - back;

        if (number32(p) == ZIP_END && number16(p + 20) == back - ZIP_END_BYTES)
            return p;
    }
    return NULL;
}

static vecq_status read_directory(vecq_npz *npz, vecq_error *err)
{
    const uint8_t *end = find_end(npz->bytes), *at;
    size_t n, i;

    if (end == NULL)
        return damaged(err);
    n = number16(end + 10);
    if (n == ZIP_ARRAYS_MAX || number32(end + 16) == UINT32_MAX)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "a .npz file of more than 4 GiB or 65534 arrays");
    if (number32(end + 16) > (size_t)(end - npz->bytes.data))
        return damaged(err);
    at = npz->bytes.data + number32(end + 16);
    npz->entries = vecq_arena_alloc(&npz->arena, n + 1, sizeof *npz->entries);
    if (npz->entries == NULL)
        return vecq_error_memory(err, n * sizeof *npz->entries);
    for (i = 0; i < n; i++)
        VECQ_TRY(read_entry(npz, &at, end, err));
    return VECQ_OK;
}

static vecq_status npz_make(vecq_npz *npz, const char *label, vecq_npz **out, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;
    vecq_status status;

    npz->label = vecq_arena_string(&npz->arena, label, strlen(label));
    status = npz->label != NULL ? read_directory(npz, &why) : vecq_error_memory(&why, strlen(label));
    if (status != VECQ_OK) {
        vecq_npz_close(npz);
        return vecq_error_set(err, status, "%s: %s", label, why.message);
    }
    *out = npz;
    return VECQ_OK;
}

vecq_status vecq_npz_open(const char *path, vecq_npz **out, vecq_error *err)
{
    vecq_npz *npz = vecq_calloc(1, sizeof *npz);
    vecq_status status;

    *out = NULL;
    if (npz == NULL)
        return vecq_error_memory(err, sizeof *npz);
    status = vecq_mapping_open(path, &npz->mapping, err);
    if (status != VECQ_OK) {
        vecq_free(npz);
        return status;
    }
    npz->bytes = npz->mapping.bytes;
    return npz_make(npz, path, out, err);
}

vecq_status vecq_npz_open_memory(const void *bytes, size_t n_bytes, const char *name, vecq_npz **out,
                                 vecq_error *err)
{
    vecq_npz *npz = vecq_calloc(1, sizeof *npz);

    *out = NULL;
    if (npz == NULL)
        return vecq_error_memory(err, sizeof *npz);
    npz->bytes.data = bytes;
    npz->bytes.n = n_bytes;
    return npz_make(npz, name, out, err);
}

void vecq_npz_close(vecq_npz *npz)
{
    if (npz == NULL)
        return;
    if (npz->mapping.bytes.data != NULL)
        vecq_mapping_close(&npz->mapping);
    vecq_arena_clear(&npz->arena);
    vecq_free(npz);
}

size_t vecq_npz_count(const vecq_npz *npz)
{
    return npz->n;
}

const char *vecq_npz_name(const vecq_npz *npz, size_t i)
{
    return i < npz->n ? npz->entries[i].name : NULL;
}

/* ---- arrays ---- */

static vecq_status inflate_entry(const uint8_t *from, size_t n_from, uint8_t *to, size_t n_to,
                                 vecq_error *err)
{
    z_stream z;
    int code = Z_OK;

    memset(&z, 0, sizeof z);
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return vecq_error_memory(err, 1u << 15);
    z.next_in = (Bytef *)(uintptr_t)from;
    z.next_out = to;
    while (code == Z_OK) { /* counts of zlib have 32 bits */
        z.avail_in = n_from > UINT_MAX ? UINT_MAX : (uInt)n_from;
        z.avail_out = n_to > UINT_MAX ? UINT_MAX : (uInt)n_to;
        n_from -= z.avail_in;
        n_to -= z.avail_out;
        code = inflate(&z, Z_NO_FLUSH);
        n_from += z.avail_in;
        n_to += z.avail_out;
    }
    inflateEnd(&z);
    return code == Z_STREAM_END && n_to == 0 ? VECQ_OK : damaged(err);
}

static uint32_t checksum(uint32_t crc, const uint8_t *data, size_t n)
{
    for (; n > 0;) {
        uInt part = n > UINT_MAX ? UINT_MAX : (uInt)n;

        crc = (uint32_t)crc32(crc, data, part);
        data += part;
        n -= part;
    }
    return crc;
}

static vecq_status read_array(const vecq_npz *npz, const npz_entry *e, vecq_tensor *out, vecq_error *err)
{
    const uint8_t *bytes = npz->bytes.data + e->at;
    uint8_t *unpacked = NULL;
    vecq_status status = VECQ_OK;

    if (e->is_deflated) {
        unpacked = vecq_alloc((size_t)e->size, 1);
        status = unpacked == NULL ? vecq_error_memory(err, (size_t)e->size)
                                  : inflate_entry(bytes, (size_t)e->packed, unpacked, (size_t)e->size, err);
        bytes = unpacked;
    }
    if (status == VECQ_OK && checksum(0, bytes, (size_t)e->size) != e->crc)
        status = vecq_error_set(err, VECQ_ERR_FORMAT, "the checksum is wrong");
    if (status == VECQ_OK)
        status = vecq_npy_read(bytes, (size_t)e->size, out, err);
    vecq_free(unpacked);
    return status;
}

vecq_status vecq_npz_read(const vecq_npz *npz, size_t i, vecq_tensor *out, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;
    vecq_status status;

    memset(out, 0, sizeof *out);
    if (i >= npz->n)
        return vecq_error_set(err, VECQ_ERR_USAGE, "%s: no array %zu", npz->label, i);
    status = read_array(npz, &npz->entries[i], out, &why);
    return status == VECQ_OK ? status
                             : vecq_error_set(err, status, "%s: array '%s': %s", npz->label,
                                              npz->entries[i].name, why.message);
}

/* ---- writing ---- */

static void put16(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
}

static void put32(uint8_t *p, uint32_t x)
{
    put16(p, x);
    put16(p + 2, x >> 16);
}

typedef struct npz_file {
    uint32_t crc, size, at;
} npz_file;

/* What local header and directory have in common: version, flags, method, time (none), checksum, sizes. */
static void put_common(uint8_t *p, const npz_file *file, size_t n_name)
{
    put16(p, 20);
    put16(p + 8, 0x21); /* 1980-01-01, the first day there is: same arrays, same bytes */
    put32(p + 10, file->crc);
    put32(p + 14, file->size);
    put32(p + 18, file->size);
    put16(p + 22, (uint32_t)n_name);
}

static vecq_status write_array(vecq_output *output, const char *name, const vecq_view *tensor, npz_file *file,
                               vecq_error *err)
{
    uint8_t local[ZIP_LOCAL_BYTES] = {0};
    char header[VECQ_NPY_HEADER_MAX];
    size_t n_name = strlen(name) + 4, n;

    VECQ_TRY(vecq_npy_header(tensor, header, &n, err));
    if (n_name > 65535u || vecq_output_position(output) + n + tensor->n_bytes > UINT32_MAX - (1u << 24))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "a .npz file of more than 4 GiB");
    file->at = (uint32_t)vecq_output_position(output);
    file->size = (uint32_t)(n + tensor->n_bytes);
    file->crc = checksum(checksum(0, (const uint8_t *)header, n), tensor->data, tensor->n_bytes);
    put32(local, ZIP_LOCAL);
    put_common(local + 4, file, n_name);
    VECQ_TRY(vecq_output_write(output, local, sizeof local, err));
    VECQ_TRY(vecq_output_write(output, name, n_name - 4, err));
    VECQ_TRY(vecq_output_write(output, ".npy", 4, err));
    VECQ_TRY(vecq_output_write(output, header, n, err));
    return tensor->n_bytes > 0 ? vecq_output_write(output, tensor->data, tensor->n_bytes, err) : VECQ_OK;
}

static vecq_status write_directory(vecq_output *output, const char *const *names, const npz_file *files,
                                   size_t n, vecq_error *err)
{
    uint8_t entry[ZIP_ENTRY_BYTES] = {0}, end[ZIP_END_BYTES] = {0};
    uint32_t start = (uint32_t)vecq_output_position(output);
    size_t i;

    for (i = 0; i < n; i++) {
        size_t n_name = strlen(names[i]) + 4;

        put32(entry, ZIP_ENTRY);
        put16(entry + 4, 20);
        put_common(entry + 6, &files[i], n_name);
        put32(entry + 42, files[i].at);
        VECQ_TRY(vecq_output_write(output, entry, sizeof entry, err));
        VECQ_TRY(vecq_output_write(output, names[i], n_name - 4, err));
        VECQ_TRY(vecq_output_write(output, ".npy", 4, err));
    }
    put32(end, ZIP_END);
    put16(end + 8, (uint32_t)n);
    put16(end + 10, (uint32_t)n);
    put32(end + 12, (uint32_t)vecq_output_position(output) - start);
    put32(end + 16, start);
    return vecq_output_write(output, end, sizeof end, err);
}

vecq_status vecq_npz_save(const char *path, const char *const *names, const vecq_view *tensors, size_t n,
                          vecq_error *err)
{
    npz_file *files = vecq_calloc(n, sizeof *files);
    vecq_output *output = NULL;
    vecq_status status = VECQ_OK;
    size_t i;

    if (files == NULL)
        return vecq_error_memory(err, n * sizeof *files);
    if (n >= ZIP_ARRAYS_MAX)
        status = vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "a .npz file of more than 65534 arrays");
    if (status == VECQ_OK)
        status = vecq_output_open(path, &output, err);
    for (i = 0; i < n && status == VECQ_OK; i++)
        status = write_array(output, names[i], &tensors[i], &files[i], err);
    if (status == VECQ_OK)
        status = write_directory(output, names, files, n, err);
    vecq_free(files);
    if (status == VECQ_OK)
        return vecq_output_commit(output, err);
    vecq_output_discard(output);
    return status;
}
