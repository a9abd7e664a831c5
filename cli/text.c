/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static void text_no_memory(void)
{
    fputs("vecq: out of memory\n", stderr);
    exit(CLI_FAILED);
}

void *cli_realloc(void *memory, size_t n, size_t size)
{
    void *grown;

    if (size != 0 && n > SIZE_MAX / size)
        text_no_memory();
    grown = realloc(memory, n * size > 0 ? n * size : 1);
    if (grown == NULL)
        text_no_memory();
    return grown;
}

void *cli_alloc(size_t n, size_t size)
{
    void *memory = cli_realloc(NULL, n, size);

    memset(memory, 0, n * size);
    return memory;
}

char *cli_strdup(const char *text)
{
    size_t n = strlen(text) + 1;

    return memcpy(cli_alloc(n, 1), text, n);
}

char *cli_format(const char *format, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = cli_alloc(n < 0 ? 1 : (size_t)n + 1, 1);
    va_start(args, format);
    if (n > 0)
        vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return text;
}

/* Bytes of the well-formed UTF-8 sequence at p, 0 if it is not one (Unicode 15, table 3-7). */
static size_t text_sequence(const unsigned char *p)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t n, i;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f; /* surrogates */
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    for (i = 1; i < n; i++, low = 0x80, high = 0xbf)
        if (p[i] < low || p[i] > high)
            return 0;
    return n;
}

/* C0, DEL, and C1 (U+0080..U+009F, which terminals obey too). */
static int text_is_control(const unsigned char *p)
{
    return p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && p[1] < 0xa0);
}

char *cli_text_escape(const char *text)
{
    char *copy = cli_alloc(strlen(text) * 4 + 1, 1), *out = copy;
    const unsigned char *p;
    size_t n, i;

    for (p = (const unsigned char *)text; *p != '\0'; p += n) {
        n = text_sequence(p);
        if (n > 0 && !text_is_control(p)) {
            memcpy(out, p, n);
            out += n;
            continue;
        }
        n = n > 0 ? n : 1;
        for (i = 0; i < n; i++)
            out += sprintf(out, "\\x%02x", p[i]);
    }
    return copy;
}

char *cli_text_utf8(const char *text)
{
    char *copy = cli_alloc(strlen(text) * 3 + 1, 1), *out = copy;
    const unsigned char *p;
    size_t n;

    for (p = (const unsigned char *)text; *p != '\0'; p += n) {
        n = text_sequence(p);
        if (n > 0) {
            memcpy(out, p, n);
            out += n;
        } else {
            memcpy(out, "\xef\xbf\xbd", 3);
            out += 3;
            n = 1;
        }
    }
    return copy;
}

static int text_starts_point(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

size_t cli_text_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += (size_t)text_starts_point(*text);
    return width;
}

/* Byte offset of code point `index`. */
static size_t text_offset(const char *text, size_t index)
{
    size_t i = 0;

    for (;; i++) {
        if (text[i] == '\0')
            return i;
        if (text_starts_point(text[i]) && index-- == 0)
            return i;
    }
}

char *cli_text_shorten(const char *text, size_t width)
{
    size_t whole = cli_text_width(text), head, tail;

    if (whole <= width)
        return cli_strdup(text);
    head = (width - 3) / 2;
    tail = width - 3 - head; /* the end of a name says more than its start */
    return cli_format("%.*s...%s", (int)text_offset(text, head), text,
                      text + text_offset(text, whole - tail));
}

char *cli_text_bytes(uint64_t n)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double x = (double)n / 1024;
    size_t unit = 0;

    if (n < 1024)
        return cli_format("%" PRIu64 " bytes", n);
    for (; x >= 1023.5 && unit + 1 < sizeof units / sizeof *units; unit++)
        x /= 1024;
    return cli_format("%.*f %s", x < 9.995 ? 2 : x < 99.95 ? 1 : 0, x, units[unit]);
}

char *cli_text_double(double x)
{
    char text[40] = "";
    int digits;

    for (digits = 15; isfinite(x) && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    return cli_strdup(text);
}

char *cli_text_shape(unsigned rank, const int64_t *dims)
{
    char *text = cli_strdup(rank == 0 ? "scalar" : "");
    unsigned i;

    for (i = 0; i < rank; i++) {
        char *longer = cli_format("%s%s%" PRId64, text, i > 0 ? "x" : "", dims[i]);
        free(text);
        text = longer;
    }
    return text;
}

/* Levenshtein distance of words of up to 31 bytes. */
static size_t text_distance(const char *a, const char *b)
{
    size_t row[32], na = strlen(a), nb = strlen(b), i, j;

    if (na > 31 || nb > 31)
        return SIZE_MAX;
    for (j = 0; j <= nb; j++)
        row[j] = j;
    for (i = 1; i <= na; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (j = 1; j <= nb; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]),
                   best = row[j - 1] < row[j] ? row[j - 1] : row[j];

            diagonal = row[j];
            row[j] = replaced < best + 1 ? replaced : best + 1;
        }
    }
    return row[nb];
}

const char *cli_text_nearest(const char *word, const char *const *words, size_t n)
{
    size_t i, length = strlen(word), best = 1 + length / 3;
    const char *nearest = NULL;

    for (i = 0; i < n && length > 0; i++)
        if (strncmp(words[i], word, length) == 0)
            return words[i];
    for (i = 0; i < n; i++) {
        size_t distance = text_distance(word, words[i]);

        if (distance < best || (distance == best && nearest == NULL)) {
            best = distance;
            nearest = words[i];
        }
    }
    return nearest;
}

int cli_text_number(const char *text, uint64_t low, uint64_t high, int suffix, uint64_t *out)
{
    uint64_t x = 0, unit = 1;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++) {
        if (x > (UINT64_MAX - 9) / 10)
            return 0;
        x = x * 10 + (uint64_t)(*p - '0');
    }
    if (p == text)
        return 0;
    if (suffix && (*p == 'k' || *p == 'M' || *p == 'G')) {
        unit = *p == 'k' ? 1000u : *p == 'M' ? 1000000u : 1000000000u;
        p++;
    }
    if (*p != '\0' || x > UINT64_MAX / unit || x * unit < low || x * unit > high)
        return 0;
    *out = x * unit;
    return 1;
}
