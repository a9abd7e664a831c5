/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

const char *vecq_version(void)
{
    return VECQ_VERSION_STRING;
}

const char *vecq_status_name(vecq_status status)
{
    static const char *const names[] = {"ok",          "usage", "memory",    "io",    "format",
                                        "unsupported", "value", "cancelled", "verify"};

    return (unsigned)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

/* Length of the UTF-8 sequence at `text` if it is well formed and harmless on a terminal, else 0: control
 * characters (C0, DEL, C1), line and paragraph separators and changes of writing direction are not. */
static size_t status_character(const unsigned char *text)
{
    static const struct {
        uint32_t first, last;
    } harmful[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0x200e, 0x200f},
                   {0x2028, 0x202e}, {0x2066, 0x2069}, {0xd800, 0xdfff}};
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = text[0];
    size_t n = c < 0x80 ? 1 : c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : 2, i;

    if (c >= 0xf8 || (c >= 0x80 && c < 0xc0))
        return 0;
    if (n > 1)
        c &= 0x7fu >> n;
    for (i = 1; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (text[i] & 0x3fu);
    }
    if (c < least[n] || c > 0x10ffff)
        return 0;
    for (i = 0; i < sizeof harmful / sizeof *harmful; i++)
        if (c >= harmful[i].first && c <= harmful[i].last)
            return 0;
    return n;
}

/* Error texts quote names out of hostile files: nothing in them may move the cursor or end the line. */
static void status_sanitize(char *text)
{
    while (*text != '\0') {
        size_t n = status_character((const unsigned char *)text);

        if (n == 0) {
            *text = '?';
            n = 1;
        }
        text += n;
    }
}

vecq_status vecq_error_set(vecq_error *err, vecq_status status, const char *format, ...)
{
    va_list args;

    if (err == NULL || err->status != VECQ_OK)
        return status;
    err->status = status;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    status_sanitize(err->message);
    return status;
}

void vecq_error_prefix(vecq_error *err, const char *format, ...)
{
    char old[sizeof err->message];
    va_list args;
    int n;

    if (err == NULL || err->status == VECQ_OK)
        return;
    memcpy(old, err->message, sizeof old);
    va_start(args, format);
    n = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (n < 0)
        n = 0;
    if ((size_t)n > sizeof err->message / 2) /* what went wrong matters more than a name without end */
        n = (int)sizeof err->message / 2;
    snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", old);
    status_sanitize(err->message);
}

vecq_status vecq_error_memory(vecq_error *err, size_t n_bytes)
{
    return vecq_error_set(err, VECQ_ERR_MEMORY, "out of memory (%zu bytes asked for)", n_bytes);
}
