/* SPDX-License-Identifier: Apache-2.0 */
/* Training as it is seen: a line that is redrawn on a terminal, one line for each evaluation everywhere. */
#ifndef CLI_TRAIN_PROGRESS_H
#define CLI_TRAIN_PROGRESS_H

#include "cli.h"

typedef struct cli_train_progress {
    int quiet;    /* warnings only */
    int terminal; /* redraw a line */
    int shown;
    double drawn;
    FILE *out; /* evaluations and messages */
} cli_train_progress;

void cli_train_progress_begin(cli_train_progress *progress, int quiet, FILE *out);
/* A vecq_train_event_fn. */
int cli_train_progress_event(void *context, const vecq_train_event *event);
void cli_train_progress_end(cli_train_progress *progress);

#endif
