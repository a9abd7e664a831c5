/* SPDX-License-Identifier: Apache-2.0 */
/* IDX files: the format of MNIST. Big-endian magic 0x0000TTDD (TT = 8: bytes, DD: dimensions), one u32 for
 * each dimension, then the bytes. */
#ifndef VECQ_DATA_IDX_H
#define VECQ_DATA_IDX_H

#include "base/span.h"
#include "vecq/status.h"

typedef struct vecq_idx {
    size_t n;             /* records */
    size_t height, width; /* 1, 1 for labels */
    uint8_t *data;        /* [n][height][width], for vecq_free */
} vecq_idx;

/* Reads a file of images (three dimensions) or labels (one), plain or gzip; `name` is for messages. */
vecq_status vecq_idx_parse(vecq_span file, const char *name, int images, vecq_idx *out, vecq_error *err);

#endif
