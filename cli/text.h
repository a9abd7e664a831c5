/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that never fails (it ends the command), strings for terminals and JSON, small parsers. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Out of memory prints one line and ends the process with CLI_FAILED; nothing is half written at that point.
 */
void *cli_alloc(size_t n, size_t size);
void *cli_realloc(void *memory, size_t n, size_t size);
char *cli_strdup(const char *text);
char *cli_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Copy that is safe on a terminal: control bytes and invalid UTF-8 as \xNN. */
char *cli_text_escape(const char *text);
/* Copy that is valid UTF-8: invalid bytes become U+FFFD. */
char *cli_text_utf8(const char *text);
/* Code points of valid UTF-8. */
size_t cli_text_width(const char *text);
/* Copy of at most `width` (>= 5) code points, the middle replaced by "..." when it is longer. */
char *cli_text_shorten(const char *text, size_t width);

/* The shortest decimal that reads back as x; "" for NaN and infinities. */
char *cli_text_double(double x);
/* "812 bytes", "46.1 KiB", "1.20 GiB". */
char *cli_text_bytes(uint64_t n);
/* "64x3x7x7"; "scalar" for rank 0. */
char *cli_text_shape(unsigned rank, const int64_t *dims);

/* The nearest of `n` words to `word`, a word it begins first; NULL when none is near. */
const char *cli_text_nearest(const char *word, const char *const *words, size_t n);

/* Decimal number in [low, high], with an optional k, M or G (powers of 1000) when suffix is non-zero. */
int cli_text_number(const char *text, uint64_t low, uint64_t high, int suffix, uint64_t *out);

#endif
