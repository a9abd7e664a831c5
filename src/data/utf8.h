/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and characters of UTF-8 files that nobody vouches for. */
#ifndef VECQ_DATA_UTF8_H
#define VECQ_DATA_UTF8_H

#include <stdint.h>

#include "base/span.h"
#include "vecq/status.h"

/* Lines of a file: ended by \n or \r\n, the last one by the end too; a byte order mark is skipped. */
typedef struct vecq_lines {
    vecq_span rest;
    size_t number; /* of the line last returned, from 1 */
} vecq_lines;

vecq_lines vecq_lines_of(vecq_span bytes);
int vecq_lines_next(vecq_lines *lines, vecq_span *line); /* 0 at the end; without the line's end */

/* Length (1..4) of the well-formed character that begins `bytes`, and its code point; 0 if there is none. NUL
 * is refused like damage: no string of ours could hold it. */
size_t vecq_utf8_character(vecq_span bytes, uint32_t *code);

/* An error with file, line and byte if the line is not UTF-8. */
vecq_status vecq_utf8_check(const char *name, size_t line_number, vecq_span line, vecq_error *err);

int vecq_utf8_is_space(uint32_t code); /* white space of Unicode */

/* Small letter of a capital one (Latin, Greek, Cyrillic, full-width), whose UTF-8 has the same length; other
 * characters as they are. */
uint32_t vecq_utf8_lower(uint32_t code);
/* Writes the character (n bytes as vecq_utf8_character() counted). */
void vecq_utf8_put(uint32_t code, size_t n, uint8_t *out);

#endif
