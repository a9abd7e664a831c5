/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line on standard error, for people only, and the point where interrupts reach the library. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

typedef struct cli_progress {
    int enabled; /* standard error is a terminal and the user did not ask for silence */
    int shown;
    char stage[32];
    double started; /* of the stage, seconds */
    double drawn;   /* when the line was last drawn */
    uint64_t first; /* what was done when the stage was first seen */
} cli_progress;

void cli_progress_begin(cli_progress *progress, int quiet);
/* A vecq_progress_fn; context is the cli_progress. Non-zero once an interrupt came. */
int cli_progress_report(void *progress, const char *stage, const char *unit, uint64_t done, uint64_t total);
void cli_progress_end(cli_progress *progress); /* erases the line */

double cli_seconds(void); /* monotonic clock */

#endif
