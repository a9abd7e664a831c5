/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "table.h"
#include "text.h"

#define PROGRESS_BAR      24
#define PROGRESS_INTERVAL 0.08 /* seconds between two lines: the eye needs no more */

double cli_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void cli_progress_begin(cli_progress *progress, int quiet)
{
    memset(progress, 0, sizeof *progress);
    progress->enabled = !quiet && isatty(STDERR_FILENO);
}

/* "1.2 M" for rates and counts; bytes in their own units. */
static char *progress_amount(double x, int bytes)
{
    if (bytes)
        return cli_text_bytes((uint64_t)x);
    if (x >= 1e6)
        return cli_format("%.1f M", x * 1e-6);
    if (x >= 1e4)
        return cli_format("%.1f k", x * 1e-3);
    return cli_format("%.*f", x < 10 && x != (double)(long)x ? 1 : 0, x);
}

static void progress_draw(cli_progress *progress, const char *unit, uint64_t done, uint64_t total)
{
    static const char bar[] = "########################";
    double share = (double)done / (double)total, spent = cli_seconds() - progress->started;
    double rate = spent > 0 ? (double)(done - progress->first) / spent : 0;
    int bytes = strcmp(unit, "bytes") == 0, filled = (int)(share * PROGRESS_BAR);
    char *rate_text = progress_amount(rate, bytes), *left = NULL, *line;
    char *safe = cli_text_escape(progress->stage);
    size_t width = cli_terminal_width(stderr);

    if (rate > 0 && spent > 0.5)
        left = cli_format("  %.0f s left", (double)(total - done) / rate);
    if (bytes)
        line = cli_format("%-10s [%.*s%*s] %3.0f%%  %s/s%s", safe, filled, bar, PROGRESS_BAR - filled, "",
                          100 * share, rate_text, left != NULL ? left : "");
    else
        line = cli_format("%-10s [%.*s%*s] %llu/%llu %s  %s/s%s", safe, filled, bar, PROGRESS_BAR - filled,
                          "", (unsigned long long)done, (unsigned long long)total, unit, rate_text,
                          left != NULL ? left : "");
    fprintf(stderr, "\r\033[K%.*s", (int)(width > 1 ? width - 1 : 79), line);
    fflush(stderr);
    free(line);
    free(safe);
    free(left);
    free(rate_text);
}

int cli_progress_report(void *context, const char *stage, const char *unit, uint64_t done, uint64_t total)
{
    cli_progress *progress = context;

    if (progress->enabled && total > 0) {
        if (progress->started == 0 || strncmp(progress->stage, stage, sizeof progress->stage - 1) != 0) {
            snprintf(progress->stage, sizeof progress->stage, "%s", stage);
            progress->started = cli_seconds();
            progress->first = done;
        }
        if (cli_seconds() - progress->drawn >= PROGRESS_INTERVAL) {
            progress->shown = 1;
            cli_interrupt_line_shown(1);
            progress_draw(progress, unit, done < total ? done : total, total);
            progress->drawn = cli_seconds();
        }
    }
    return cli_interrupted() != 0;
}

void cli_progress_end(cli_progress *progress)
{
    if (progress->shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    progress->shown = 0;
    cli_interrupt_line_shown(0);
}
