/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

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

/* Error texts quote names out of hostile files: nothing in them may move the cursor or end the line. */
static void status_sanitize(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            *text = '?';
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
    if (n < 0 || (size_t)n >= sizeof err->message)
        n = (int)sizeof err->message - 1;
    snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", old);
    status_sanitize(err->message);
}

vecq_status vecq_error_memory(vecq_error *err, size_t n_bytes)
{
    return vecq_error_set(err, VECQ_ERR_MEMORY, "out of memory (%zu bytes asked for)", n_bytes);
}
