/* SPDX-License-Identifier: Apache-2.0 */
#include "data/gunzip.h"

#include <string.h>

#define ZLIB_CONST /* next_in does not write */
#include <zlib.h>

#include "base/alloc.h"
#include "base/status.h"

#define GUNZIP_RATIO  1032u      /* 258 bytes in two bits */
#define GUNZIP_CHUNK  (1u << 30) /* zlib counts in unsigned int */
#define GUNZIP_WINDOW (15 + 16)  /* 32 KiB, gzip frame */

static void *gunzip_alloc(void *unused, unsigned count, unsigned size)
{
    (void)unused;
    return vecq_alloc(count, size);
}

static void gunzip_free(void *unused, void *memory)
{
    (void)unused;
    vecq_free(memory);
}

vecq_status vecq_gunzip_open(vecq_span file, const char *name, vecq_gunzip *out, vecq_error *err)
{
    int code;

    memset(out, 0, sizeof *out);
    out->file = file;
    out->name = name;
    if (file.n < 2 || file.data[0] != 0x1f || file.data[1] != 0x8b)
        return VECQ_OK;
    out->zip = vecq_calloc(1, sizeof *out->zip);
    if (out->zip == NULL)
        return vecq_error_memory(err, sizeof *out->zip);
    out->zip->zalloc = gunzip_alloc;
    out->zip->zfree = gunzip_free;
    code = inflateInit2(out->zip, GUNZIP_WINDOW);
    if (code != Z_OK) {
        vecq_free(out->zip);
        out->zip = NULL;
        return vecq_error_memory(err, 0);
    }
    return VECQ_OK;
}

void vecq_gunzip_close(vecq_gunzip *in)
{
    if (in->zip != NULL) {
        inflateEnd(in->zip);
        vecq_free(in->zip);
    }
    memset(in, 0, sizeof *in);
}

uint64_t vecq_gunzip_limit(const vecq_gunzip *in)
{
    return in->zip == NULL ? in->file.n : (uint64_t)in->file.n * GUNZIP_RATIO;
}

static vecq_status gunzip_truncated(const vecq_gunzip *in, vecq_error *err)
{
    return vecq_error_set(err, VECQ_ERR_FORMAT,
                          "%s: ends before all data that its header promises; it is truncated, get it again",
                          in->name);
}

/* One call of inflate for at most n bytes; *done says how many came, *ended that the stream is complete.
 * Streams may follow each other, as gzip allows. */
static vecq_status gunzip_step(vecq_gunzip *in, uint8_t *out, size_t n, size_t *done, int *ended,
                               vecq_error *err)
{
    z_stream *zip = in->zip;
    int code;

    if (zip->avail_in == 0) {
        size_t left = in->file.n - in->at;

        zip->next_in = in->file.data + in->at;
        zip->avail_in = (unsigned)(left < GUNZIP_CHUNK ? left : GUNZIP_CHUNK);
        in->at += zip->avail_in;
    }
    zip->next_out = out;
    zip->avail_out = (unsigned)(n < GUNZIP_CHUNK ? n : GUNZIP_CHUNK);
    *done = zip->avail_out;
    code = inflate(zip, Z_NO_FLUSH);
    *done -= zip->avail_out;
    *ended = 0;
    if (code == Z_STREAM_END) {
        if (zip->avail_in == 0 && in->at == in->file.n)
            *ended = 1;
        else if (inflateReset(zip) != Z_OK)
            return vecq_error_memory(err, 0);
        return VECQ_OK;
    }
    if (code == Z_MEM_ERROR)
        return vecq_error_memory(err, (size_t)1 << 15);
    if (code == Z_BUF_ERROR || (code == Z_OK && *done == 0 && zip->avail_in == 0 && in->at == in->file.n))
        return gunzip_truncated(in, err);
    if (code != Z_OK)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: is damaged (gzip: %s); get it again", in->name,
                              zip->msg != NULL ? zip->msg : "bad data");
    return VECQ_OK;
}

vecq_status vecq_gunzip_read(vecq_gunzip *in, void *out, size_t n, vecq_error *err)
{
    uint8_t *p = out;

    if (in->zip == NULL) {
        if (in->file.n - in->at < n)
            return gunzip_truncated(in, err);
        memcpy(out, in->file.data + in->at, n);
        in->at += n;
        return VECQ_OK;
    }
    while (n > 0) {
        size_t done;
        int ended;

        VECQ_TRY(gunzip_step(in, p, n, &done, &ended, err));
        p += done;
        n -= done;
        if (ended && n > 0)
            return gunzip_truncated(in, err);
    }
    return VECQ_OK;
}

vecq_status vecq_gunzip_finish(vecq_gunzip *in, vecq_error *err)
{
    uint8_t more;
    size_t done = 0;
    int ended = in->zip == NULL && in->at == in->file.n;

    if (in->zip == NULL)
        done = !ended;
    while (!ended && done == 0)
        VECQ_TRY(gunzip_step(in, &more, 1, &done, &ended, err));
    if (done > 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: has more data than its header says", in->name);
    return VECQ_OK;
}
