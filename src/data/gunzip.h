/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that may be compressed by gzip, read from front to back. */
#ifndef VECQ_DATA_GUNZIP_H
#define VECQ_DATA_GUNZIP_H

#include "base/span.h"
#include "vecq/status.h"

/* Reads from a file in memory, inflating it on the way if it begins like gzip does. The caller says how many
 * bytes it wants, so no input can make it produce more than that. */
typedef struct vecq_gunzip {
    vecq_span file;
    const char *name;       /* for messages */
    size_t at;              /* plain: bytes read */
    struct z_stream_s *zip; /* NULL: not compressed */
} vecq_gunzip;

vecq_status vecq_gunzip_open(vecq_span file, const char *name, vecq_gunzip *out, vecq_error *err);
/* Exactly n bytes; a file that ends before is an error. */
vecq_status vecq_gunzip_read(vecq_gunzip *in, void *out, size_t n, vecq_error *err);
/* An error unless all is read; checks the sum at the end of a compressed file. */
vecq_status vecq_gunzip_finish(vecq_gunzip *in, vecq_error *err);
void vecq_gunzip_close(vecq_gunzip *in);

/* The most that the file can hold: its size, or 1032 times that, which is what deflate reaches at best. To be
 * asked before memory is taken for what a header promises. */
uint64_t vecq_gunzip_limit(const vecq_gunzip *in);

#endif
