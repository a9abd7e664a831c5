/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's .npy: "\x93NUMPY", two bytes of version, length of the header (16 bits in version 1, 32 later), and
 * the header, a Python dictionary with exactly the keys descr, fortran_order and shape. It is read by a
 * scanner that knows these three and the few literals they may have; nothing else passes.
 */
#include "tensor/npy.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/status.h"

#define NPY_MAGIC     "\x93NUMPY"
#define NPY_MAGIC_LEN 6u
#define NPY_LONGEST   65536u /* of a header: NumPy itself refuses longer ones */

typedef struct npy_row {
    vecq_dtype dtype;
    const char *descr; /* kind and bytes */
} npy_row;

static const npy_row npy_rows[] = {
    {VECQ_DT_BOOL, "b1"},   {VECQ_DT_INT8, "i1"},    {VECQ_DT_INT16, "i2"},  {VECQ_DT_INT32, "i4"},
    {VECQ_DT_INT64, "i8"},  {VECQ_DT_UINT8, "u1"},   {VECQ_DT_UINT16, "u2"}, {VECQ_DT_UINT32, "u4"},
    {VECQ_DT_UINT64, "u8"}, {VECQ_DT_FLOAT16, "f2"}, {VECQ_DT_FLOAT, "f4"},  {VECQ_DT_DOUBLE, "f8"},
};

#define N_ROWS (sizeof npy_rows / sizeof *npy_rows)

typedef struct npy_header {
    vecq_dtype dtype;
    int is_big, is_fortran;
    unsigned rank;
    int64_t dims[VECQ_MAX_RANK];
    int has_descr, has_order, has_shape;
} npy_header;

/* What is left of the header's text. */
typedef struct npy_text {
    const char *at, *end;
} npy_text;

static void skip_blanks(npy_text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n'))
        t->at++;
}

static int take(npy_text *t, const char *word)
{
    size_t n = strlen(word);

    skip_blanks(t);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n) != 0)
        return 0;
    t->at += n;
    return 1;
}

/* A quoted text of less than 16 characters. */
static int take_quoted(npy_text *t, char text[16])
{
    char quote;
    size_t n = 0;

    skip_blanks(t);
    if (t->at == t->end || (*t->at != '\'' && *t->at != '"'))
        return 0;
    quote = *t->at++;
    while (t->at < t->end && *t->at != quote && n < 15)
        text[n++] = *t->at++;
    text[n] = '\0';
    return t->at < t->end && *t->at++ == quote;
}

static vecq_status damaged(vecq_error *err)
{
    return vecq_error_set(err, VECQ_ERR_FORMAT, "damaged header of a NumPy array");
}

static vecq_status read_descr(npy_text *t, npy_header *h, vecq_error *err)
{
    char text[16];
    const char *kind = text;
    size_t i;

    if (!take_quoted(t, text)) /* a list: records with fields */
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "a NumPy array of records cannot be read");
    h->is_big = text[0] == '>';
    kind += text[0] == '<' || text[0] == '>' || text[0] == '|' || text[0] == '=';
    for (i = 0; i < N_ROWS; i++)
        if (strcmp(npy_rows[i].descr, kind) == 0) {
            h->dtype = npy_rows[i].dtype;
            return VECQ_OK;
        }
    return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "a NumPy array of type '%s' cannot be read", text);
}

static int take_number(npy_text *t, int64_t *out)
{
    const char *start;

    skip_blanks(t);
    start = t->at;
    *out = 0;
    while (t->at < t->end && *t->at >= '0' && *t->at <= '9' && t->at - start < 18)
        *out = 10 * *out + (*t->at++ - '0');
    return t->at > start;
}

static vecq_status read_shape(npy_text *t, npy_header *h, vecq_error *err)
{
    if (!take(t, "("))
        return damaged(err);
    while (!take(t, ")")) {
        if (h->rank == VECQ_MAX_RANK)
            return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "a NumPy array of more than %u dimensions",
                                  VECQ_MAX_RANK);
        if (!take_number(t, &h->dims[h->rank++]))
            return damaged(err);
        take(t, "L"); /* Python 2 */
        if (!take(t, ",") && (h->rank == 1 || !take(t, ")")))
            return damaged(err);
        else if (t->at[-1] == ')')
            break;
    }
    return VECQ_OK;
}

static vecq_status read_entry(npy_text *t, npy_header *h, vecq_error *err)
{
    char key[16];

    if (!take_quoted(t, key) || !take(t, ":"))
        return damaged(err);
    if (strcmp(key, "descr") == 0 && !h->has_descr++)
        return read_descr(t, h, err);
    if (strcmp(key, "shape") == 0 && !h->has_shape++)
        return read_shape(t, h, err);
    if (strcmp(key, "fortran_order") != 0 || h->has_order++)
        return damaged(err);
    h->is_fortran = take(t, "True");
    return h->is_fortran || take(t, "False") ? VECQ_OK : damaged(err);
}

static vecq_status read_header(npy_text t, npy_header *h, vecq_error *err)
{
    memset(h, 0, sizeof *h);
    if (!take(&t, "{"))
        return damaged(err);
    while (!take(&t, "}")) {
        VECQ_TRY(read_entry(&t, h, err));
        if (!take(&t, ",")) {
            if (!take(&t, "}"))
                return damaged(err);
            break;
        }
    }
    skip_blanks(&t);
    return h->has_descr && h->has_order && h->has_shape && t.at == t.end ? VECQ_OK : damaged(err);
}

/* ---- data ---- */

static void swap_bytes(unsigned char *data, size_t size, size_t n)
{
    size_t i, k;

    for (i = 0; i < n; i++, data += size)
        for (k = 0; k < size / 2; k++) {
            unsigned char byte = data[k];

            data[k] = data[size - 1 - k];
            data[size - 1 - k] = byte;
        }
}

/* Fortran order is the transpose of the reversed shape. */
static vecq_status from_fortran(vecq_tensor *tensor, vecq_error *err)
{
    int64_t reversed[VECQ_MAX_RANK];
    unsigned perm[VECQ_MAX_RANK], a;
    vecq_tensor out;

    for (a = 0; a < tensor->rank; a++) {
        reversed[a] = tensor->dims[tensor->rank - 1 - a];
        perm[a] = tensor->rank - 1 - a;
    }
    VECQ_TRY(vecq_tensor_create(tensor->dtype, tensor->rank, tensor->dims, &out, err));
    if (out.count > 0)
        vecq_transpose(tensor->data, out.data, vecq_dtype_bytes(tensor->dtype, 1), tensor->rank, reversed,
                       perm);
    vecq_tensor_destroy(tensor);
    *tensor = out;
    return VECQ_OK;
}

/* Bytes of a bool are 0 or 1, whatever stands in the file. */
static void clean_bools(unsigned char *data, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        data[i] = data[i] != 0;
}

static vecq_status read_data(const npy_header *h, const unsigned char *bytes, size_t n, vecq_tensor *out,
                             vecq_error *err)
{
    size_t size = vecq_dtype_bytes(h->dtype, 1), count;

    if (!vecq_shape_count(h->dims, h->rank, &count) || vecq_dtype_bytes(h->dtype, count) != n)
        return vecq_error_set(
            err, VECQ_ERR_FORMAT,
            "the data of a NumPy array have %zu bytes, which is not what its shape asks for", n);
    VECQ_TRY(vecq_tensor_create(h->dtype, h->rank, h->dims, out, err));
    if (n > 0)
        memcpy(out->data, bytes, n);
    if (h->is_big)
        swap_bytes(out->data, size, out->count);
    if (h->dtype == VECQ_DT_BOOL)
        clean_bools(out->data, out->count);
    if (h->is_fortran && h->rank > 1) {
        vecq_status status = from_fortran(out, err);

        if (status != VECQ_OK)
            vecq_tensor_destroy(out);
        return status;
    }
    return VECQ_OK;
}

vecq_status vecq_npy_read(const void *bytes, size_t n, vecq_tensor *out, vecq_error *err)
{
    const unsigned char *p = bytes;
    size_t width, length;
    npy_header header;
    npy_text text;

    memset(out, 0, sizeof *out);
    if (n < NPY_MAGIC_LEN + 4 || memcmp(p, NPY_MAGIC, NPY_MAGIC_LEN) != 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "this is no NumPy array");
    if (p[6] < 1 || p[6] > 3)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "version %d.%d of NumPy's format", p[6], p[7]);
    width = p[6] == 1 ? 2 : 4;
    if (n < 8 + width)
        return damaged(err);
    length = (size_t)p[8] | (size_t)p[9] << 8;
    if (width == 4)
        length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (length > NPY_LONGEST || length > n - 8 - width)
        return damaged(err);
    text.at = (const char *)p + 8 + width;
    text.end = text.at + length;
    VECQ_TRY(read_header(text, &header, err));
    return read_data(&header, p + 8 + width + length, n - 8 - width - length, out, err);
}

vecq_status vecq_npy_load(const char *path, vecq_tensor *out, vecq_error *err)
{
    vecq_error why = VECQ_ERROR_INIT;
    vecq_mapping mapping;
    vecq_status status;

    memset(out, 0, sizeof *out);
    VECQ_TRY(vecq_mapping_open(path, &mapping, err));
    status = vecq_npy_read(mapping.bytes.data, mapping.bytes.n, out, &why);
    vecq_mapping_close(&mapping);
    return status == VECQ_OK ? status : vecq_error_set(err, status, "%s: %s", path, why.message);
}

/* ---- writing ---- */

vecq_status vecq_npy_header(const vecq_view *tensor, char *text, size_t *n, vecq_error *err)
{
    const char *descr = NULL;
    size_t at, i, total;
    unsigned a;

    for (i = 0; i < N_ROWS; i++)
        if (npy_rows[i].dtype == tensor->dtype)
            descr = npy_rows[i].descr;
    if (descr == NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "NumPy has no type %s",
                              vecq_dtype_name(tensor->dtype));
    memcpy(text, NPY_MAGIC "\x01\x00", 8);
    at = 10;
    at += (size_t)snprintf(text + at, VECQ_NPY_HEADER_MAX - at,
                           "{'descr': '%s%s', 'fortran_order': False, 'shape': (",
                           descr[1] == '1' ? "|" : "<", descr);
    for (a = 0; a < tensor->rank; a++)
        at += (size_t)snprintf(text + at, VECQ_NPY_HEADER_MAX - at, "%s%lld", a > 0 ? ", " : "",
                               (long long)tensor->dims[a]);
    at += (size_t)snprintf(text + at, VECQ_NPY_HEADER_MAX - at, "%s), }", tensor->rank == 1 ? "," : "");
    total = (at + 1 + 63) / 64 * 64; /* data begin at a multiple of 64; the header ends with a newline */
    memset(text + at, ' ', total - at);
    text[total - 1] = '\n';
    text[8] = (char)((total - 10) & 255);
    text[9] = (char)((total - 10) >> 8);
    *n = total;
    return VECQ_OK;
}

vecq_status vecq_npy_save(const char *path, const vecq_view *tensor, vecq_error *err)
{
    char header[VECQ_NPY_HEADER_MAX];
    vecq_output *output;
    vecq_status status;
    size_t n;

    VECQ_TRY(vecq_npy_header(tensor, header, &n, err));
    VECQ_TRY(vecq_output_open(path, &output, err));
    status = vecq_output_write(output, header, n, err);
    if (status == VECQ_OK && tensor->n_bytes > 0)
        status = vecq_output_write(output, tensor->data, tensor->n_bytes, err);
    if (status != VECQ_OK) {
        vecq_output_discard(output);
        return status;
    }
    return vecq_output_commit(output, err);
}
