/* SPDX-License-Identifier: Apache-2.0 */
#include "data/utf8.h"

#include <string.h>

#include "base/status.h"

vecq_lines vecq_lines_of(vecq_span bytes)
{
    vecq_lines lines = {bytes, 0};

    if (bytes.n >= 3 && memcmp(bytes.data, "\xef\xbb\xbf", 3) == 0) {
        lines.rest.data += 3;
        lines.rest.n -= 3;
    }
    return lines;
}

int vecq_lines_next(vecq_lines *lines, vecq_span *line)
{
    vecq_span *rest = &lines->rest;
    const uint8_t *end;

    if (rest->n == 0)
        return 0;
    end = memchr(rest->data, '\n', rest->n);
    line->data = rest->data;
    line->n = end != NULL ? (size_t)(end - rest->data) : rest->n;
    rest->n -= line->n + (end != NULL);
    rest->data += line->n + (end != NULL);
    if (line->n > 0 && line->data[line->n - 1] == '\r')
        line->n--;
    lines->number++;
    return 1;
}

size_t vecq_utf8_character(vecq_span bytes, uint32_t *code)
{
    static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
    uint32_t c;
    size_t n, i;

    if (bytes.n == 0)
        return 0;
    c = bytes.data[0];
    n = c < 0x80 ? 1 : c < 0xc0 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 0;
    if (n == 0 || n > bytes.n)
        return 0;
    if (n > 1)
        c &= 0x7fu >> n;
    for (i = 1; i < n; i++) {
        if ((bytes.data[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (bytes.data[i] & 0x3fu);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *code = c;
    return n;
}

vecq_status vecq_utf8_check(const char *name, size_t line_number, vecq_span line, vecq_error *err)
{
    size_t at = 0;
    uint32_t code;

    while (at < line.n) {
        vecq_span rest = {line.data + at, line.n - at};
        size_t n = line.data[at] - 1u < 0x7fu ? 1 : vecq_utf8_character(rest, &code);

        if (n == 0)
            return vecq_error_set(
                err, VECQ_ERR_FORMAT,
                "%s: line %zu: byte %zu (0x%02x) is not UTF-8; convert the file (iconv -t UTF-8)", name,
                line_number, at + 1, line.data[at]);
        at += n;
    }
    return VECQ_OK;
}

int vecq_utf8_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

uint32_t vecq_utf8_lower(uint32_t c)
{
    static const struct {
        uint32_t first, last, step, add; /* every `step`-th from first to last */
    } ranges[] = {
        {0xc0, 0xd6, 1, 32},     {0xd8, 0xde, 1, 32},   {0x100, 0x12e, 2, 1},   {0x132, 0x136, 2, 1},
        {0x139, 0x147, 2, 1},    {0x14a, 0x176, 2, 1},  {0x179, 0x17d, 2, 1},   {0x388, 0x38a, 1, 37},
        {0x391, 0x3a1, 1, 32},   {0x3a3, 0x3ab, 1, 32}, {0x400, 0x40f, 1, 80},  {0x410, 0x42f, 1, 32},
        {0x460, 0x480, 2, 1},    {0x48a, 0x4be, 2, 1},  {0x1e00, 0x1e94, 2, 1}, {0x1ea0, 0x1efe, 2, 1},
        {0xff21, 0xff3a, 1, 32},
    };
    size_t i;

    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    if (c == 0x178)
        return 0xff;
    if (c == 0x386)
        return 0x3ac;
    for (i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return (c - ranges[i].first) % ranges[i].step == 0 ? c + ranges[i].add : c;
    return c;
}

void vecq_utf8_put(uint32_t code, size_t n, uint8_t *out)
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t i;

    for (i = n; i > 1; i--) {
        out[i - 1] = (uint8_t)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (uint8_t)(lead[n] | code);
}
