/* SPDX-License-Identifier: Apache-2.0 */
/* What every subcommand knows: exit status, the command description, errors, signals, standard output. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

#include "vecq/vecq.h"

enum {
    CLI_CONTINUE = -1, /* not an exit status: go on */
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2
};

/*
 * One option. `id` is the letter of the short form, or a number from CLI_LONG_ONLY up for options without
 * one. The table of a command is the only place where its options are declared: the parser and the help text
 * read it, and tests hold the man page and the shell completions against the help text.
 */
enum { CLI_LONG_ONLY = 256 };

typedef struct cli_option {
    int id;
    const char *name;     /* without the dashes */
    const char *argument; /* NULL for a flag */
    const char *help;     /* may hold newlines; says the default */
} cli_option;

/* Help of --cpu: of commands whose result it does not change, and of those that compute with models. */
#define CLI_HELP_CPU_SAME                                                                                    \
    "highest instruction set to use: ref, avx2, avxvnni,\navx512, avx512vnni, neon, neondot\n"               \
    "(default: the best there is). The result is the same"
#define CLI_HELP_CPU                                                                                         \
    "highest instruction set of our own kernels: ref, avx2,\navxvnni, avx512, avx512vnni, neon, neondot\n"   \
    "(default: the best there is)"

#define CLI_OPTION_HELP                                                                                      \
    {                                                                                                        \
        'h', "help", NULL, "show this help"                                                                  \
    }
#define CLI_OPTION_END                                                                                       \
    {                                                                                                        \
        0, NULL, NULL, NULL                                                                                  \
    }

typedef struct cli_command {
    const char *name;
    const char *synopsis; /* lines without "vecq NAME" */
    const char *summary;  /* for the list of commands: no capital, no period */
    const char *description;
    const cli_option *options;
    const char *examples; /* lines without indentation */
    const char *exit_notes;
    int (*run)(const struct cli_command *self, int argc, char **argv); /* argv[0] is the command's name */
} cli_command;

/* All commands, ended by NULL. */
extern const cli_command *const cli_commands[];

/* "vecq: MESSAGE" on standard error; control bytes escaped. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Standard error: --act-bits was given and no layer of the model has packed weights; nothing when one has. */
void cli_note_rounded(const char *model, size_t layers);
/* "vecq: FILE: MESSAGE" of a library error, without naming the file twice; "-" is called by its name. */
void cli_error_library(const char *file, const vecq_error *err);
/* The same for a failed step of a command: after an interrupt this ends the process by its signal.
 * CLI_FAILED. */
int cli_failed(const char *file, const vecq_error *err);
/* "vecq COMMAND: MESSAGE; see 'vecq COMMAND --help'"; returns CLI_USAGE. */
int cli_usage(const cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Everything printed has arrived, or an error line and CLI_FAILED. Returns `status` else. */
int cli_finish_output(FILE *stream, int status);

/* ---- signals ---- */

/* Interrupts end the process at once (after the progress line is erased) until cli_interrupt_defer(). */
void cli_interrupt_setup(void);
/* From here on the first interrupt only sets a flag, so that the library can unwind; the second one kills. */
void cli_interrupt_defer(void);
int cli_interrupted(void); /* the signal, or 0 */
/* Ends the process by the signal that came, so that the shell sees it; returns when there was none. */
void cli_interrupt_reraise(void);
/* Set while a progress line is on the terminal. */
void cli_interrupt_line_shown(int shown);

#endif
