/* SPDX-License-Identifier: Apache-2.0 */
/* vecq: finds the subcommand; errors, signals and the end of standard output for all of them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "options.h"
#include "text.h"

#define COMMAND(name) extern const cli_command cli_cmd_##name;
#include "cmds.def"
#undef COMMAND

const cli_command *const cli_commands[] = {
#define COMMAND(name) &cli_cmd_##name,
#include "cmds.def"
#undef COMMAND
    NULL};

/* ---- errors ---- */

static void main_print_error(const char *who, const char *format, va_list args, const char *hint)
{
    char message[2048], *safe;

    vsnprintf(message, sizeof message, format, args);
    safe = cli_text_escape(message);
    fprintf(stderr, "%s: %s%s\n", who, safe, hint);
    free(safe);
}

void cli_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    main_print_error("vecq", format, args, "");
    va_end(args);
}

void cli_note_rounded(const char *model, size_t layers)
{
    if (layers == 0)
        cli_error("%s: no layer has packed weights: --act-bits 8 rounded nothing", model);
}

void cli_error_library(const char *file, const vecq_error *err)
{
    const char *message = err->message[0] != '\0' ? err->message : vecq_status_name(err->status);
    size_t n = strlen(file);

    if (strncmp(message, file, n) == 0 && message[n] == ':')
        cli_error("%s", message);
    else if (strcmp(file, "-") == 0)
        cli_error(strncmp(message, "standard ", 9) == 0 ? "%s" : "standard input: %s", message);
    else
        cli_error("%s: %s", file, message);
}

int cli_failed(const char *file, const vecq_error *err)
{
    if (err->status == VECQ_ERR_CANCELLED)
        cli_error("%s: interrupted, nothing was written", file);
    else
        cli_error_library(file, err);
    cli_interrupt_reraise();
    return CLI_FAILED;
}

int cli_usage(const cli_command *command, const char *format, ...)
{
    char *who = command != NULL ? cli_format("vecq %s", command->name) : cli_strdup("vecq");
    char *hint = cli_format("; see '%s --help'", who);
    va_list args;

    va_start(args, format);
    /* a question already is the hint */
    main_print_error(who, format, args, format[strlen(format) - 1] == '?' ? "" : hint);
    va_end(args);
    free(hint);
    free(who);
    return CLI_USAGE;
}

/* ---- signals ---- */

static const int interrupt_signals[] = {SIGINT, SIGTERM, SIGHUP};

static volatile sig_atomic_t interrupt_received, interrupt_deferred, interrupt_line, pipe_closed;

static void interrupt_handle(int number)
{
    size_t i;

    if (!interrupt_deferred) {
        if (interrupt_line && write(STDERR_FILENO, "\r\033[K", 4) < 0)
            interrupt_line = 0;
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    interrupt_received = number;
    for (i = 0; i < sizeof interrupt_signals / sizeof *interrupt_signals; i++)
        signal(interrupt_signals[i], SIG_DFL); /* the second one kills */
}

static void interrupt_pipe(int number)
{
    (void)number;
    pipe_closed = 1; /* the write that met it fails with EPIPE, which is where it is reported */
}

static void interrupt_install(int number, void (*handler)(int))
{
    struct sigaction action;

    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
        return; /* nohup and the like decided already */
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(number, &action, NULL);
}

void cli_interrupt_setup(void)
{
    size_t i;

    for (i = 0; i < sizeof interrupt_signals / sizeof *interrupt_signals; i++)
        interrupt_install(interrupt_signals[i], interrupt_handle);
    interrupt_install(SIGPIPE, interrupt_pipe);
}

void cli_interrupt_defer(void)
{
    interrupt_deferred = 1;
}

int cli_interrupted(void)
{
    return interrupt_received;
}

void cli_interrupt_reraise(void)
{
    int number = interrupt_received;

    if (number == 0)
        return;
    signal(number, SIG_DFL);
    raise(number);
}

void cli_interrupt_line_shown(int shown)
{
    interrupt_line = shown;
}

/* ---- standard output ---- */

int cli_finish_output(FILE *stream, int status)
{
    int failed = ferror(stream);

    errno = 0;
    if (fflush(stream) != 0)
        failed = 1;
    /* some file systems report a full disk only here */
    if (!failed && stream == stdout && close(dup(STDOUT_FILENO)) != 0 && errno != EBADF)
        failed = 1;
    if (!failed)
        return status;
    if (!pipe_closed) /* whoever closed the pipe knows */
        cli_error("standard output: %s", errno != 0 ? strerror(errno) : "write error");
    return CLI_FAILED;
}

/* ---- commands ---- */

static void main_print_usage(FILE *out)
{
    size_t i;

    fputs("Usage: vecq COMMAND [OPTIONS]\n\n"
          "Quantizes the weights of ONNX models to 1-8 bits with the least loss of direction, and packs "
          "them.\n\n"
          "Commands:\n",
          out);
    for (i = 0; cli_commands[i] != NULL; i++)
        fprintf(out, "  %-10s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    fputs(
        "  help       explain a command: vecq help COMMAND\n"
        "\n"
        "Options:\n"
        "  -h, --help     show this help; 'vecq COMMAND --help' explains a command\n"
        "  -V, --version  show the version\n"
        "\n"
        "Examples:\n"
        "  vecq quantize model.onnx -b 4 -o model4.onnx   4 bits a weight, packed, runs in any ONNX runtime\n"
        "  vecq inspect model4.onnx                       what is in the file and how it is quantized\n"
        "  vecq compare model.onnx -b 2-8                 what each width would cost\n"
        "\n"
        "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
        out);
}

static const cli_command *main_find(const char *name)
{
    size_t i;

    for (i = 0; cli_commands[i] != NULL; i++)
        if (strcmp(cli_commands[i]->name, name) == 0)
            return cli_commands[i];
    return NULL;
}

static int main_unknown(const char *what, const char *word)
{
    const char *names[64], *nearest;
    size_t n = 0;

    for (; cli_commands[n] != NULL && n < 60; n++)
        names[n] = cli_commands[n]->name;
    names[n++] = "help";
    nearest = cli_text_nearest(word, names, n);
    if (nearest != NULL)
        return cli_usage(NULL, "unknown %s '%s'; did you mean '%s'?", what, word, nearest);
    return cli_usage(NULL, "unknown %s '%s'", what, word);
}

static int main_help(int argc, char **argv)
{
    const cli_command *command;

    if (argc > 3)
        return cli_usage(NULL, "unexpected argument '%s'", argv[3]);
    if (argc == 3 && argv[2][0] != '-') {
        command = main_find(argv[2]);
        if (command == NULL)
            return main_unknown("command", argv[2]);
        cli_print_help(command, stdout);
    } else {
        main_print_usage(stdout);
    }
    return cli_finish_output(stdout, CLI_DONE);
}

static int main_option(const char *option)
{
    static const char *const names[] = {"--help", "--version"};
    const char *nearest;

    if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
        main_print_usage(stdout);
        return cli_finish_output(stdout, CLI_DONE);
    }
    if (strcmp(option, "--version") == 0 || strcmp(option, "-V") == 0) {
        printf("vecq %s\n", vecq_version());
        return cli_finish_output(stdout, CLI_DONE);
    }
    nearest = cli_text_nearest(option, names, 2);
    if (nearest != NULL && strcmp(option, "--") != 0 && strcmp(option, "-") != 0)
        return cli_usage(NULL, "unknown option '%s'; did you mean '%s'?", option, nearest);
    return cli_usage(NULL, "unknown option '%s'", option);
}

/* Closed standard streams become ones that fail, so that no file of ours gets their numbers. */
static void main_hold_streams(void)
{
    int fd;

    for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(CLI_FAILED);
}

int main(int argc, char **argv)
{
    const cli_command *command;

    main_hold_streams();
    cli_interrupt_setup();
    if (argc < 2) {
        main_print_usage(stderr);
        return CLI_USAGE;
    }
    if (argv[1][0] == '-')
        return main_option(argv[1]);
    if (strcmp(argv[1], "help") == 0)
        return main_help(argc, argv);
    command = main_find(argv[1]);
    if (command == NULL)
        return main_unknown("command", argv[1]);
    return command->run(command, argc - 1, argv + 1);
}
