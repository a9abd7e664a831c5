/* SPDX-License-Identifier: Apache-2.0 */
/* A run of bytes that belongs to somebody else (a mapped file, an arena, a spool). */
#ifndef VECQ_BASE_SPAN_H
#define VECQ_BASE_SPAN_H

#include <stddef.h>
#include <stdint.h>

typedef struct vecq_span {
    const uint8_t *data;
    size_t n;
} vecq_span;

#endif
