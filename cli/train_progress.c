/* SPDX-License-Identifier: Apache-2.0 */
#include "train_progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "progress.h"
#include "table.h"
#include "text.h"

#define PROGRESS_BAR      24
#define PROGRESS_INTERVAL 0.1 /* seconds */

void cli_train_progress_begin(cli_train_progress *p, int quiet, FILE *out)
{
    memset(p, 0, sizeof *p);
    p->quiet = quiet;
    p->terminal = !quiet && isatty(STDERR_FILENO);
    p->out = out;
}

/* "42 s", "12 min 05 s", "3 h 07 min" */
static char *duration(double seconds)
{
    unsigned long s = seconds > 0 ? (unsigned long)(seconds + 0.5) : 0;

    if (s < 100)
        return cli_format("%lu s", s);
    if (s < 3600)
        return cli_format("%lu min %02lu s", s / 60, s % 60);
    return cli_format("%lu h %02lu min", s / 3600, s / 60 % 60);
}

static void erase(cli_train_progress *p)
{
    if (p->shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    p->shown = 0;
    cli_interrupt_line_shown(0);
}

static void draw(cli_train_progress *p, char *line)
{
    size_t width = cli_terminal_width(stderr);

    p->shown = 1;
    p->drawn = cli_seconds();
    cli_interrupt_line_shown(1);
    fprintf(stderr, "\r\033[K%.*s", (int)(width > 1 ? width - 1 : 79), line);
    fflush(stderr);
    free(line);
}

static void draw_step(cli_train_progress *p, const vecq_train_event *e)
{
    static const char bar[] = "########################";
    int filled = e->steps > 0 ? (int)((double)e->step / (double)e->steps * PROGRESS_BAR) : PROGRESS_BAR;
    char *left = duration(e->seconds_left);

    draw(p, cli_format("[%.*s%*s] epoch %.2f/%g  loss %.4f  acc %.2f %%  lr %.3g  %.0f/s  %s left", filled,
                       bar, PROGRESS_BAR - filled, "", e->epoch, e->epochs, e->loss, 100 * e->accuracy, e->lr,
                       e->rate, left));
    free(left);
}

static void print_evaluation(cli_train_progress *p, const vecq_train_event *e)
{
    char *epoch = cli_format("epoch %g/%g", floor(e->epoch * 100 + 0.5) / 100, e->epochs);

    fprintf(p->out, "%-14s %s: accuracy %.2f %% (%llu of %llu), loss %.4f\n", epoch, e->text,
            100 * e->accuracy, (unsigned long long)e->done, (unsigned long long)e->total, e->loss);
    fflush(p->out);
    free(epoch);
}

int cli_train_progress_event(void *context, const vecq_train_event *e)
{
    cli_train_progress *p = context;
    int due = p->terminal && cli_seconds() - p->drawn >= PROGRESS_INTERVAL;

    switch (e->kind) {
    case VECQ_TRAIN_STEP:
        if (due)
            draw_step(p, e);
        break;
    case VECQ_TRAIN_EVALUATING:
        if (due)
            draw(p, cli_format("evaluating %llu/%llu", (unsigned long long)e->done,
                               (unsigned long long)e->total));
        break;
    case VECQ_TRAIN_EVALUATED:
        erase(p);
        if (!p->quiet)
            print_evaluation(p, e);
        break;
    case VECQ_TRAIN_MESSAGE:
        erase(p);
        if (!p->quiet)
            fprintf(p->out, "%s\n", e->text);
        break;
    case VECQ_TRAIN_WARNING:
        erase(p);
        cli_error("warning: %s", e->text);
        break;
    default:
        break;
    }
    return cli_interrupted() != 0;
}

void cli_train_progress_end(cli_train_progress *p)
{
    erase(p);
}
