/* SPDX-License-Identifier: Apache-2.0 */
/* Layout of a checkpoint, docs/format/checkpoint.md. Not for use outside of checkpoint*.c. */
#ifndef VECQ_TRAIN_CHECKPOINT_PRIVATE_H
#define VECQ_TRAIN_CHECKPOINT_PRIVATE_H

#include <string.h>

#include "base/hash.h"
#include "train/checkpoint.h"

/* The first byte is no text, the others show what text modes do to line ends. */
#define CHECKPOINT_MAGIC   "\x89VQ\r\n\x1a\n\n"
#define CHECKPOINT_END     "VECQ-END"
#define CHECKPOINT_VERSION 1u
#define CHECKPOINT_ALIGN   64u
#define CHECKPOINT_HEADER  64u /* magic[8], version u32, 0 */
#define CHECKPOINT_ROW     32u /* offset, bytes, hash u64; type, bytes of the name u32; then the name */
#define CHECKPOINT_FOOTER                                                                                    \
    64u /* index offset, bytes, entries, file bytes, index hash, 0, footer hash, end                         \
         */
#define CHECKPOINT_PIECE ((size_t)1 << 20) /* bytes that are hashed at a time */

/* Arrays are written as they lie in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "checkpoints are little-endian");

/* Bytes of an element; 0 for a type that does not exist. */
static inline size_t checkpoint_element(uint32_t type)
{
    switch (type) {
    case VECQ_CHECKPOINT_TEXT:
    case VECQ_CHECKPOINT_U8:
        return 1;
    case VECQ_CHECKPOINT_F32:
        return 4;
    case VECQ_CHECKPOINT_F64:
    case VECQ_CHECKPOINT_U64:
        return 8;
    default:
        return 0;
    }
}

/* Hash of bytes, in pieces: the format says where the cuts are. */
static inline uint64_t checkpoint_hash(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t hash = 0;

    for (;;) {
        size_t piece = n < CHECKPOINT_PIECE ? n : CHECKPOINT_PIECE;

        hash = vecq_hash(hash, p, piece);
        n -= piece;
        if (n == 0)
            return hash;
        p += piece;
    }
}

static inline void checkpoint_put32(uint8_t *out, uint32_t x)
{
    memcpy(out, &x, sizeof x);
}

static inline void checkpoint_put64(uint8_t *out, uint64_t x)
{
    memcpy(out, &x, sizeof x);
}

static inline uint32_t checkpoint_get32(const uint8_t *p)
{
    uint32_t x;

    memcpy(&x, p, sizeof x);
    return x;
}

static inline uint64_t checkpoint_get64(const uint8_t *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof x);
    return x;
}

/* Zeros up to the next multiple of `unit` (a power of two). */
static inline size_t checkpoint_gap(uint64_t position, size_t unit)
{
    return (size_t)(-position & (unit - 1));
}

#endif
