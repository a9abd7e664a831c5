/* SPDX-License-Identifier: Apache-2.0 */
/* vecq inspect: the float constants of a model and how they are quantized. */
#include <fnmatch.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "options.h"
#include "report.h"
#include "table.h"
#include "text.h"

#define HISTOGRAM_BINS 24
#define HISTOGRAM_BAR  50

enum { OPTION_LAYER = CLI_LONG_ONLY, OPTION_HISTOGRAM, OPTION_JSON, OPTION_CPU };

static const cli_option options[] = {
    {OPTION_LAYER, "layer", "GLOB",
     "only tensors whose name, or the name of whose node, matches;\nmay be repeated"},
    {OPTION_HISTOGRAM, "histogram", NULL, "draw how the values of each shown tensor are distributed"},
    {OPTION_JSON, "json", NULL, "print one JSON object (docs/json.md)"},
    {OPTION_CPU, "cpu", "LEVEL", CLI_HELP_CPU_SAME},
    CLI_OPTION_HELP,
    CLI_OPTION_END,
};

typedef struct inspect_job {
    const cli_command *command;
    const char *input;
    const char **layers;
    size_t n_layers;
    int histogram, json;
} inspect_job;

static int inspect_option(void *context, int id, const char *value)
{
    inspect_job *job = context;

    switch (id) {
    case OPTION_LAYER:
        job->layers = cli_realloc(job->layers, job->n_layers + 1, sizeof *job->layers);
        job->layers[job->n_layers++] = value;
        break;
    case OPTION_HISTOGRAM:
        job->histogram = 1;
        break;
    case OPTION_JSON:
        job->json = 1;
        break;
    case OPTION_CPU:
        return cli_value_cpu(job->command, value);
    default:
        break;
    }
    return CLI_CONTINUE;
}

static int inspect_shown(const inspect_job *job, const vecq_weight_info *w)
{
    size_t i;

    for (i = 0; i < job->n_layers; i++)
        if (fnmatch(job->layers[i], w->name, 0) == 0 || fnmatch(job->layers[i], w->node, 0) == 0)
            return 1;
    return job->n_layers == 0;
}

/* ---- histogram ---- */

typedef struct inspect_histogram {
    double low, high;
    int64_t counts[HISTOGRAM_BINS], largest;
    uint64_t finite, other;
} inspect_histogram;

static void inspect_count(inspect_histogram *h, const float *values, uint64_t n)
{
    uint64_t i;
    int bin;

    memset(h, 0, sizeof *h);
    h->low = INFINITY;
    h->high = -INFINITY;
    for (i = 0; i < n; i++) {
        if (!isfinite(values[i]))
            continue;
        h->low = fmin(h->low, values[i]);
        h->high = fmax(h->high, values[i]);
    }
    for (i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            h->other++;
            continue;
        }
        h->finite++;
        bin = h->high > h->low ? (int)((values[i] - h->low) / (h->high - h->low) * HISTOGRAM_BINS) : 0;
        bin = bin < HISTOGRAM_BINS ? bin : HISTOGRAM_BINS - 1;
        h->counts[bin]++;
    }
    for (bin = 0; bin < HISTOGRAM_BINS; bin++)
        h->largest = h->counts[bin] > h->largest ? h->counts[bin] : h->largest;
}

static int inspect_values(vecq_model *model, size_t index, uint64_t n, inspect_histogram *h, vecq_error *err)
{
    float *values = cli_alloc(n > 0 ? (size_t)n : 1, sizeof *values);
    vecq_status status = vecq_model_weight_values(model, index, values, err);

    if (status == VECQ_OK)
        inspect_count(h, values, n);
    free(values);
    return status == VECQ_OK;
}

static void inspect_draw(const vecq_weight_info *w, const inspect_histogram *h)
{
    double width = (h->high - h->low) / HISTOGRAM_BINS;
    char *name = cli_text_escape(w->name);
    int bin, length;

    printf("\n%s: %" PRIu64 " value%s\n", name, w->elements, w->elements == 1 ? "" : "s");
    free(name);
    for (bin = 0; bin < HISTOGRAM_BINS && h->finite > 0 && (bin == 0 || width > 0); bin++) {
        length = (int)((double)h->counts[bin] / (double)h->largest * HISTOGRAM_BAR + 0.5);
        length = length == 0 && h->counts[bin] > 0 ? 1 : length; /* never hide a value */
        printf("%11.4g  %.*s%*s %" PRId64 "\n", h->low + (bin + 0.5) * width, length,
               "##################################################", HISTOGRAM_BAR - length, "",
               h->counts[bin]);
    }
    if (h->other > 0)
        printf("  NaN or infinite: %" PRIu64 "\n", h->other);
}

static int inspect_histograms(const inspect_job *job, vecq_model *model, const vecq_report *report)
{
    vecq_error err = VECQ_ERROR_INIT;
    inspect_histogram h;
    size_t i;

    for (i = 0; i < report->n_weights; i++) {
        if (!inspect_shown(job, &report->weights[i]))
            continue;
        if (!inspect_values(model, i, report->weights[i].elements, &h, &err))
            return cli_failed(job->input, &err);
        inspect_draw(&report->weights[i], &h);
    }
    return CLI_CONTINUE;
}

/* ---- table ---- */

static void inspect_row(cli_table *table, const vecq_weight_info *w)
{
    char *shape = cli_text_shape(w->rank, w->dims);
    int known = w->elements > 0;

    cli_table_text(table, w->name);
    cli_table_text(table, w->op_type);
    cli_table_text(table, w->role);
    cli_table_text(table, shape);
    cli_table_text(table, w->dtype);
    cli_table_number(table, "%.4g", known ? w->min : NAN);
    cli_table_number(table, "%.4g", known ? w->max : NAN);
    cli_table_number(table, "%.3g", known ? w->mean : NAN);
    cli_table_number(table, "%.4g", known ? w->deviation : NAN);
    cli_table_number(table, "%.2f", known && w->deviation > 0 ? w->kurtosis : NAN);
    cli_table_format(table, "%s%" PRIu64, w->distinct > 65536 ? ">" : "",
                     w->distinct > 65536 ? (uint64_t)65536 : w->distinct);
    if (w->state == VECQ_WEIGHT_FLOAT) {
        cli_table_text(table, "float");
        cli_table_text(table, "");
    } else {
        char *how = cli_report_how(w);

        cli_table_text(table, how);
        cli_table_number(table, "%.3g", cli_report_expected(w));
        free(how);
    }
    cli_table_format(table, "%" PRIu64, w->bytes_before);
    free(shape);
}

static void inspect_table(const inspect_job *job, const vecq_report *report)
{
    static const cli_column columns[] = {
        {"tensor", 'l', 1, 0},    {"op", 'l', 0, 4},       {"role", 'l', 0, 6},     {"shape", 'l', 0, 0},
        {"dtype", 'l', 0, 0},     {"min", 'r', 0, 2},      {"max", 'r', 0, 2},      {"mean", 'r', 0, 3},
        {"std", 'r', 0, 1},       {"kurtosis", 'r', 0, 5}, {"distinct", 'r', 0, 7}, {"state", 'l', 0, 0},
        {"Gauss J_o", 'r', 0, 8}, {"bytes", 'r', 0, 0},
    };
    cli_table *table = cli_table_new(columns, sizeof columns / sizeof *columns);
    size_t i, shown = 0;

    for (i = 0; i < report->n_weights; i++)
        if (inspect_shown(job, &report->weights[i])) {
            inspect_row(table, &report->weights[i]);
            shown++;
        }
    if (shown > 0)
        cli_table_print(table, stdout, cli_terminal_width(stdout));
    cli_table_free(table);
}

static void inspect_totals(const vecq_report *report)
{
    uint64_t counts[4] = {0, 0, 0, 0}, elements[4] = {0, 0, 0, 0}, bytes = 0;
    char *file = cli_text_bytes(report->file_bytes), *constants, *text;
    size_t i;

    for (i = 0; i < report->n_weights; i++) {
        const vecq_weight_info *w = &report->weights[i];

        counts[w->state]++;
        elements[w->state] += w->elements;
        bytes += w->bytes_before;
    }
    constants = cli_text_bytes(bytes);
    text = cli_text_escape(report->producer != NULL ? report->producer : "");
    printf("model         %s, IR version %" PRId64 ", opset %" PRId64 ", %zu node%s", file,
           report->ir_version, report->opset, report->n_nodes, report->n_nodes == 1 ? "" : "s");
    if (report->n_graphs > 1)
        printf(" in %zu graphs", report->n_graphs);
    printf("%s%s\n", text[0] != '\0' ? ", made by " : "", text);
    free(text);
    printf("constants     %zu float tensor%s, %" PRIu64 " values, %s\n", report->n_weights,
           report->n_weights == 1 ? "" : "s", report->elements, constants);
    if (counts[VECQ_WEIGHT_PACKED] > 0)
        printf("packed        %" PRIu64 " tensor%s, %" PRIu64 " values\n", counts[VECQ_WEIGHT_PACKED],
               counts[VECQ_WEIGHT_PACKED] == 1 ? "" : "s", elements[VECQ_WEIGHT_PACKED]);
    text = cli_text_escape(report->method_note != NULL ? report->method_note : "");
    if (text[0] != '\0')
        printf("quantized by  %s\n", text);
    free(text);
    free(file);
    free(constants);
}

/* ---- JSON ---- */

static int inspect_json(const inspect_job *job, vecq_model *model, const vecq_report *report)
{
    cJSON *json = cli_json_begin(job->command->name), *weights, *row, *summary;
    vecq_error err = VECQ_ERROR_INIT;
    inspect_histogram h;
    size_t i, packed = 0;

    cli_json_text(json, "input", job->input);
    cli_report_json_model(json, report);
    weights = cli_json_array(json, "weights");
    for (i = 0; i < report->n_weights; i++) {
        const vecq_weight_info *w = &report->weights[i];
        packed += w->state == VECQ_WEIGHT_PACKED;
        if (!inspect_shown(job, w))
            continue;
        row = cli_json_append(weights);
        cli_report_json_weight(row, w, CLI_REPORT_INSPECTED);
        if (!job->histogram)
            continue;
        if (!inspect_values(model, i, w->elements, &h, &err)) {
            cJSON_Delete(json);
            return cli_failed(job->input, &err);
        }
        row = cli_json_object(row, "histogram");
        cli_json_number(row, "low", h.low);
        cli_json_number(row, "high", h.high);
        cli_json_integers(row, "counts", HISTOGRAM_BINS, h.counts);
    }
    summary = cli_json_object(json, "summary");
    cli_json_integer(summary, "weights", report->n_weights);
    cli_json_integer(summary, "packed", packed);
    cli_json_integer(summary, "elements", report->elements);
    cli_json_number(summary, "seconds", report->seconds);
    cli_json_print(json, stdout);
    return CLI_CONTINUE;
}

static int inspect_model(const inspect_job *job, vecq_model *model)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_report *report = NULL;
    int status = CLI_CONTINUE;
    size_t i, shown = 0;

    if (vecq_model_inspect(model, &report, &err) != VECQ_OK)
        return cli_failed(job->input, &err);
    for (i = 0; i < report->n_weights; i++)
        shown += (size_t)inspect_shown(job, &report->weights[i]);
    if (shown == 0 && job->n_layers > 0) {
        cli_error("%s: no float constant matches --layer '%s'", job->input, job->layers[0]);
        status = CLI_FAILED;
    } else if (job->json) {
        status = inspect_json(job, model, report);
    } else {
        inspect_table(job, report);
        if (job->histogram)
            status = inspect_histograms(job, model, report);
        if (status == CLI_CONTINUE) {
            fputs(shown > 0 ? "\n" : "", stdout);
            inspect_totals(report);
        }
    }
    vecq_report_free(report);
    return status == CLI_CONTINUE ? cli_finish_output(stdout, CLI_DONE) : status;
}

static int inspect_run(const cli_command *self, int argc, char **argv)
{
    inspect_job job = {self, NULL, NULL, 0, 0, 0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_model *model = NULL;
    size_t n_operands = 0;
    int status = cli_parse(self, argc, argv, inspect_option, &job, &job.input, 1, &n_operands);

    if (status == CLI_CONTINUE && n_operands == 0)
        status = cli_usage(self, "no model: name an ONNX file, or '-' for standard input");
    if (status == CLI_CONTINUE) {
        if (vecq_model_load(job.input, &model, &err) == VECQ_OK)
            status = inspect_model(&job, model);
        else
            status = cli_failed(job.input, &err);
        vecq_model_close(model);
    }
    free(job.layers);
    return status;
}

const cli_command cli_cmd_inspect = {
    "inspect",
    "MODEL [OPTIONS]",
    "show the float constants of a model and how they are quantized",
    "Prints every float constant of an ONNX model: the node that uses it and as what, shape, type, range, "
    "mean,\n"
    "standard deviation, kurtosis (3 for a Gaussian), the number of distinct values, and how it is quantized "
    "if\n"
    "it is, with the orientation loss J_o that a Gaussian would have there. MODEL may be \"-\" for standard "
    "input.",
    options,
    "vecq inspect model.onnx\n"
    "vecq inspect model4.onnx --layer '*conv1*' --histogram\n"
    "vecq inspect model.onnx --json | jq '.weights[] | select(.elements > 1e6) | .name'",
    "",
    inspect_run,
};
