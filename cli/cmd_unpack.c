/* SPDX-License-Identifier: Apache-2.0 */
/* vecq unpack: packed weights back to float. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "text.h"

enum { OPTION_EXTERNAL = CLI_LONG_ONLY, OPTION_JSON, OPTION_CPU };

static const cli_option options[] = {
    {'o', "output", "FILE", "write the model to FILE; \"-\" is standard output"},
    {OPTION_EXTERNAL, "external-data", "WHEN",
     "put large tensors into FILE.data: auto (as in the input, or\nwhen the "
     "file would pass 2 GiB), yes, no (default auto)"},
    {OPTION_JSON, "json", NULL, "print one JSON object instead of the summary (docs/json.md)"},
    {OPTION_CPU, "cpu", "LEVEL", CLI_HELP_CPU_SAME},
    {'q', "quiet", NULL, "no summary, no progress"},
    CLI_OPTION_HELP,
    CLI_OPTION_END,
};

typedef struct unpack_job {
    const cli_command *command;
    const char *input, *output;
    int external, json, quiet;
} unpack_job;

static int unpack_option(void *context, int id, const char *value)
{
    unpack_job *job = context;
    int status = CLI_CONTINUE;

    switch (id) {
    case 'o':
        job->output = value;
        break;
    case OPTION_EXTERNAL:
        status = cli_value_external(job->command, value, &job->external);
        break;
    case OPTION_JSON:
        job->json = 1;
        break;
    case OPTION_CPU:
        status = cli_value_cpu(job->command, value);
        break;
    case 'q':
        job->quiet = 1;
        break;
    default:
        break;
    }
    return status;
}

static void unpack_print(const unpack_job *job, const vecq_report *report, const vecq_save_result *saved,
                         FILE *out)
{
    char *before = cli_text_bytes(report->file_bytes);
    char *after = cli_text_bytes(saved->file_bytes + saved->external_bytes);

    (void)job;
    fprintf(out, "unpacked      %zu weight%s, %llu values\nfile          %s -> %s\n", report->n_quantized,
            report->n_quantized == 1 ? "" : "s", (unsigned long long)report->elements_quantized, before,
            after);
    free(before);
    free(after);
}

static void unpack_json(const unpack_job *job, const vecq_report *report, const vecq_save_result *saved,
                        FILE *out)
{
    cJSON *json = cli_json_begin(job->command->name);

    cli_json_text(json, "input", job->input);
    cli_json_text(json, "output", job->output);
    cli_report_json(json, report, CLI_REPORT_UNPACKED, saved);
    cli_json_print(json, out);
}

static int unpack_write(const unpack_job *job, vecq_model *model)
{
    FILE *out = strcmp(job->output, "-") == 0 ? stderr : stdout;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_report *report = NULL;
    vecq_save_options save;
    vecq_save_result saved;
    cli_progress progress;
    const char *file = job->input;
    vecq_status status;

    cli_progress_begin(&progress, job->quiet);
    cli_interrupt_defer();
    status = vecq_model_unpack(model, &report, &err);
    if (status == VECQ_OK) {
        vecq_save_options_default(&save);
        save.external_data = job->external;
        save.progress = cli_progress_report;
        save.progress_context = &progress;
        file = out == stderr ? "standard output" : job->output;
        status = vecq_model_save(model, job->output, &save, &saved, &err);
    }
    cli_progress_end(&progress);
    if (status != VECQ_OK) {
        vecq_report_free(report);
        return cli_failed(file, &err);
    }
    if (job->json)
        unpack_json(job, report, &saved, out);
    else if (!job->quiet)
        unpack_print(job, report, &saved, out);
    vecq_report_free(report);
    return cli_finish_output(out, CLI_DONE);
}

static int unpack_run(const cli_command *self, int argc, char **argv)
{
    unpack_job job = {self, NULL, NULL, -1, 0, 0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_model *model = NULL;
    size_t n_operands = 0;
    int status = cli_parse(self, argc, argv, unpack_option, &job, &job.input, 1, &n_operands);

    if (status != CLI_CONTINUE)
        return status;
    if (n_operands == 0)
        return cli_usage(self, "no model: name an ONNX file, or '-' for standard input");
    if (job.output == NULL)
        return cli_usage(self, "no output: add '-o FILE' ('-o -' is standard output)");
    status = cli_check_output(self, job.output);
    if (status != CLI_CONTINUE)
        return status;
    if (vecq_model_load(job.input, &model, &err) != VECQ_OK)
        return cli_failed(job.input, &err);
    status = unpack_write(&job, model);
    vecq_model_close(model);
    return status;
}

const cli_command cli_cmd_unpack = {
    "unpack",
    "MODEL -o FILE [OPTIONS]",
    "turn a packed model back into a float one",
    "Replaces every packed weight by the float values that it decodes to and removes the functions, for\n"
    "programs that want plain initializers. The values are those that runtimes compute from the packed file, "
    "bit\n"
    "by bit. MODEL may be \"-\" for standard input. Fails when nothing in the file is packed.",
    options,
    "vecq unpack model4.onnx -o model4-float.onnx\n"
    "vecq unpack model4.onnx --external-data yes -o big.onnx   # tensors in big.onnx.data\n"
    "vecq quantize model.onnx -b 4 -o - | vecq unpack - -o same-as-format-float.onnx",
    "An interrupt (Ctrl-C) removes what was begun\nand ends by that signal; a second one ends at once.",
    unpack_run,
};
