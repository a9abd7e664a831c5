/* SPDX-License-Identifier: Apache-2.0 */
/* vecq eval: accuracy of a model on labelled data. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "options.h"
#include "progress.h"
#include "table.h"
#include "text.h"

enum {
    OPTION_DATA = CLI_LONG_ONLY,
    OPTION_SPLIT,
    OPTION_SET,
    OPTION_TOP,
    OPTION_PER_CLASS,
    OPTION_CONFUSION,
    OPTION_CONFUSION_CSV,
    OPTION_AGAINST,
    OPTION_OUTPUTS,
    OPTION_BACKEND,
    OPTION_BATCH,
    OPTION_ACT_BITS,
    OPTION_JSON,
    OPTION_CPU
};

enum { TOP_MAX = 16, CONFUSION_SHOWN = 25 }; /* classes of a table that people read */

static const cli_option options[] = {
    {OPTION_DATA, "data", "SPEC",
     "data: idx:DIR, cifar10:DIR, images:DIR or text:PLACE;\nnpy:FILE or npy:INPUT=FILE,... for --outputs"},
    {OPTION_SPLIT, "split", "PART", "part of the data: test, validation, train (default test)"},
    {OPTION_SET, "set", "KEY=VALUE",
     "a setting of preprocessing, as in recipes: data.mean, data.std,\ndata.scale, model.input, "
     "model.output, "
     "... (docs/recipes.md)"},
    {OPTION_AGAINST, "against", "OTHER",
     "another model on the same samples: both accuracies, how often\nthe answers agree, how far the logits "
     "are apart"},
    {OPTION_OUTPUTS, "outputs", NULL,
     "with --against: squared error, SQNR and PSNR of every output,\nfor models that are no classifiers; "
     "always "
     "so with npy: data"},
    {OPTION_TOP, "top", "K,...", "share of samples whose label is among the K largest logits\n(1 to 100000)"},
    {OPTION_PER_CLASS, "per-class", NULL, "accuracy of each class, and what it is mistaken for"},
    {OPTION_CONFUSION, "confusion", NULL, "confusion matrix: a row for each label, a column for each answer"},
    {OPTION_CONFUSION_CSV, "confusion-csv", "FILE", "write the confusion matrix to FILE"},
    {OPTION_BATCH, "batch", "N", "samples at a time; changes no result (default 256)"},
    {OPTION_ACT_BITS, "act-bits", "K",
     "8: round activations in front of packed weights to 8 bits, by\nranges found in each run (default: "
     "float); not those of OTHER"},
    {OPTION_BACKEND, "backend", "NAME", "what computes: auto, lowbit, onednn, ref (default auto)"},
    {'j', "threads", "N", "threads to use (default: all processors)"},
    {OPTION_JSON, "json", NULL, "print one JSON object (docs/json.md)"},
    {OPTION_CPU, "cpu", "LEVEL", CLI_HELP_CPU},
    {'q', "quiet", NULL, "no progress"},
    CLI_OPTION_HELP,
    CLI_OPTION_END,
};

typedef struct eval_job {
    const cli_command *command;
    vecq_recipe *recipe;
    vecq_eval_options options;
    const char *model, *data, *csv;
    unsigned top[TOP_MAX];
    int per_class, confusion, outputs, json, quiet;
} eval_job;

static int set(eval_job *job, const char *assignment)
{
    vecq_error err = VECQ_ERROR_INIT;

    if (vecq_recipe_set(job->recipe, assignment, &err) == VECQ_OK)
        return CLI_CONTINUE;
    cli_error("%s", err.message);
    return CLI_USAGE;
}

static int set_key(eval_job *job, const char *key, const char *value)
{
    char *text = cli_format("%s=%s", key, value);
    int status = set(job, text);

    free(text);
    return status;
}

static int eval_top(eval_job *job, const char *text)
{
    char *copy = cli_strdup(text), *item, *comma;
    int status = CLI_CONTINUE;
    uint64_t k = 0;

    for (item = copy; item != NULL && status == CLI_CONTINUE; item = comma) {
        comma = strchr(item, ',');
        if (comma != NULL)
            *comma++ = '\0';
        if (job->options.n_top == TOP_MAX)
            status = cli_usage(job->command, "option '--top': more than %d ranks", TOP_MAX);
        else
            status = cli_value_number(job->command, "top", item, 1, 100000, &k);
        if (status == CLI_CONTINUE)
            job->top[job->options.n_top++] = (unsigned)k;
    }
    free(copy);
    return status;
}

static int eval_flag(eval_job *job, int id)
{
    job->per_class |= id == OPTION_PER_CLASS;
    job->confusion |= id == OPTION_CONFUSION;
    job->outputs |= id == OPTION_OUTPUTS;
    job->json |= id == OPTION_JSON;
    job->quiet |= id == 'q';
    return CLI_CONTINUE;
}

static int eval_option(void *context, int id, const char *value)
{
    static const char *const splits[] = {"train", "validation", "test"}, *const bits[] = {"8"};
    eval_job *job = context;
    size_t split = 0;
    int status;

    switch (id) {
    case OPTION_DATA:
        job->data = value;
        return set_key(job, "data.train", value);
    case OPTION_SPLIT:
        status = cli_value_choice(job->command, "split", value, splits, 3, &split);
        job->options.split = (vecq_eval_split)split;
        return status;
    case OPTION_SET:
        return set(job, value);
    case OPTION_TOP:
        return eval_top(job, value);
    case OPTION_CONFUSION_CSV:
        job->csv = value;
        return CLI_CONTINUE;
    case OPTION_AGAINST:
        job->options.against = value;
        return CLI_CONTINUE;
    case OPTION_BATCH:
        return set_key(job, "train.eval_batch", value);
    case OPTION_ACT_BITS:
        job->options.act_bits = 8;
        return cli_value_choice(job->command, "width of activations", value, bits, 1, &split);
    case OPTION_BACKEND:
        return set_key(job, "backend", value);
    case 'j':
        return set_key(job, "threads", value);
    case OPTION_CPU:
        return cli_value_cpu(job->command, value);
    default:
        return eval_flag(job, id);
    }
}

/* ---- results ---- */

/* Name of a class, or its number. */
static char *eval_class(const vecq_eval_result *r, size_t i)
{
    if (i < r->n_class_names && r->class_names[i][0] != '\0')
        return cli_strdup(r->class_names[i]);
    return cli_format("%zu", i);
}

static uint64_t eval_label_count(const vecq_eval_result *r, size_t label)
{
    uint64_t n = 0;
    size_t k;

    for (k = 0; k < r->n_answers; k++)
        n += r->confusion[label * r->n_answers + k];
    return n;
}

/* The most frequent wrong answer; `label` itself when there is none. */
static size_t eval_mistake(const vecq_eval_result *r, size_t label)
{
    const uint64_t *row = r->confusion + label * r->n_answers;
    size_t k, most = label;

    for (k = 0; k < r->n_answers; k++)
        if (k != label && row[k] > (most == label ? 0 : row[most]))
            most = k;
    return most;
}

static void eval_print_classes(const vecq_eval_result *r)
{
    static const cli_column columns[] = {{"class", 'l', 1, 0},
                                         {"samples", 'r', 0, 2},
                                         {"right %", 'r', 0, 0},
                                         {"taken for", 'l', 1, 1},
                                         {"%", 'r', 0, 1}};
    cli_table *table = cli_table_new(columns, sizeof columns / sizeof *columns);
    size_t i;

    for (i = 0; i < r->n_answers; i++) {
        double n = (double)eval_label_count(r, i);
        size_t other = eval_mistake(r, i);
        char *name = eval_class(r, i), *mistake = eval_class(r, other);

        cli_table_text(table, name);
        cli_table_format(table, "%.0f", n);
        cli_table_number(table, "%.2f", n > 0 ? 100 * (double)r->confusion[i * r->n_answers + i] / n : NAN);
        cli_table_text(table, other != i ? mistake : "");
        if (other != i)
            cli_table_format(table, "%.2f", 100 * (double)r->confusion[i * r->n_answers + other] / n);
        else
            cli_table_text(table, "");
        free(name);
        free(mistake);
    }
    putchar('\n');
    cli_table_print(table, stdout, cli_terminal_width(stdout));
    cli_table_free(table);
}

static void eval_print_confusion(const vecq_eval_result *r)
{
    cli_column *columns = cli_realloc(NULL, r->n_answers + 1, sizeof *columns);
    char **names = cli_realloc(NULL, r->n_answers, sizeof *names);
    cli_table *table;
    size_t i, k;

    columns[0] = (cli_column){"label \\ answer", 'l', 1, 0};
    for (i = 0; i < r->n_answers; i++) {
        names[i] = eval_class(r, i);
        columns[i + 1] = (cli_column){names[i], 'r', 0, 0};
    }
    table = cli_table_new(columns, r->n_answers + 1);
    for (i = 0; i < r->n_answers; i++) {
        cli_table_text(table, names[i]);
        for (k = 0; k < r->n_answers; k++)
            cli_table_format(table, "%" PRIu64, r->confusion[i * r->n_answers + k]);
    }
    putchar('\n');
    cli_table_print(table, stdout, cli_terminal_width(stdout));
    cli_table_free(table);
    for (i = 0; i < r->n_answers; i++)
        free(names[i]);
    free(names);
    free(columns);
}

static void eval_print_against(const eval_job *job, const vecq_eval_result *r)
{
    const vecq_eval_against *a = r->against;

    printf("against       %s\n", job->options.against);
    printf("its accuracy  %.2f %%, loss %.4f\n", 100 * a->accuracy, a->loss);
    if (a->n_bad > 0)
        printf("its not finite %" PRIu64 " samples\n", a->n_bad);
    printf("same answer   %.2f %% of %" PRIu64 "\n", 100 * a->same, a->samples);
    printf("right         both %" PRIu64 ", only this %" PRIu64 ", only the other %" PRIu64 ", none %" PRIu64
           "; p = %.3g\n",
           a->both_right, a->only_this_right, a->only_other_right, a->none_right, a->p_value);
    printf("logits        differ by %.4g on the average, %.4g at most", a->mean_difference,
           a->largest_difference);
    if (isfinite(a->sqnr_db))
        printf(", SQNR %.1f dB", a->sqnr_db);
    putchar('\n');
}

static void eval_print(const eval_job *job, const vecq_eval_result *r)
{
    size_t i;

    printf("accuracy      %.2f %% (%llu of %llu)\n", 100 * r->accuracy,
           (unsigned long long)(r->accuracy * (double)r->samples + 0.5), (unsigned long long)r->samples);
    if (!isnan(r->top5) && r->n_top == 0)
        printf("top 5         %.2f %%\n", 100 * r->top5);
    for (i = 0; i < r->n_top; i++)
        printf("top %-9u %.2f %%\n", job->top[i], 100 * r->top[i]);
    printf("loss          %.4f\n", r->loss);
    if (r->n_bad > 0)
        printf("not finite    %llu samples\n", (unsigned long long)r->n_bad);
    if (r->against != NULL)
        eval_print_against(job, r);
    printf("time          %.2f s, %.0f samples/s\n", r->seconds,
           r->seconds > 0 ? (double)r->samples / r->seconds : 0);
    if (r->undivided)
        printf("note          the data have no test part: all of them were used\n");
    if (job->per_class)
        eval_print_classes(r);
    if (job->confusion && r->n_answers <= CONFUSION_SHOWN)
        eval_print_confusion(r);
    else if (job->confusion)
        printf("confusion     %zu classes are no table to read: see --confusion-csv\n", r->n_answers);
}

/* A field of CSV: in quotes when it has to be. */
static void eval_csv_field(FILE *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    putc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static int eval_write_csv(const eval_job *job, const vecq_eval_result *r)
{
    FILE *out = fopen(job->csv, "w");
    size_t i, k;
    int failed;

    if (out == NULL) {
        cli_error("%s: cannot write: %s", job->csv, strerror(errno));
        return CLI_FAILED;
    }
    for (i = 0; i <= r->n_answers; i++) {
        char *name = i > 0 ? eval_class(r, i - 1) : cli_strdup("label");

        eval_csv_field(out, name);
        for (k = 0; i > 0 && k < r->n_answers; k++)
            fprintf(out, ",%" PRIu64, r->confusion[(i - 1) * r->n_answers + k]);
        for (k = 0; i == 0 && k < r->n_answers; k++) {
            char *answer = eval_class(r, k);

            putc(',', out);
            eval_csv_field(out, answer);
            free(answer);
        }
        putc('\n', out);
        free(name);
    }
    failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        cli_error("%s: cannot write: %s", job->csv, strerror(errno));
        return CLI_FAILED;
    }
    return CLI_DONE;
}

static void eval_json_confusion(cJSON *json, const eval_job *job, const vecq_eval_result *r)
{
    cJSON *rows;
    size_t i, k;

    if (job->confusion) {
        rows = cli_json_array(json, "confusion");
        for (i = 0; i < r->n_answers; i++) {
            cJSON *row = cli_json_append(rows);
            int64_t *counts = cli_realloc(NULL, r->n_answers, sizeof *counts);

            for (k = 0; k < r->n_answers; k++)
                counts[k] = (int64_t)r->confusion[i * r->n_answers + k];
            cli_json_integers(row, "counts", r->n_answers, counts);
            free(counts);
        }
    }
    if (!job->per_class)
        return;
    rows = cli_json_array(json, "per_class");
    for (i = 0; i < r->n_answers; i++) {
        cJSON *row = cli_json_append(rows);
        uint64_t n = eval_label_count(r, i);

        cli_json_text(row, "name", i < r->n_class_names ? r->class_names[i] : "");
        cli_json_integer(row, "samples", n);
        cli_json_number(row, "accuracy",
                        n > 0 ? (double)r->confusion[i * r->n_answers + i] / (double)n : NAN);
    }
}

static void eval_json_against(cJSON *json, const eval_job *job, const vecq_eval_against *a)
{
    cJSON *object = cli_json_object(json, "against");

    cli_json_text(object, "model", job->options.against);
    cli_json_number(object, "accuracy", a->accuracy);
    cli_json_number(object, "loss", a->loss);
    cli_json_integer(object, "not_finite", a->n_bad);
    cli_json_integer(object, "samples", a->samples);
    cli_json_number(object, "same", a->same);
    cli_json_integer(object, "both_right", a->both_right);
    cli_json_integer(object, "only_this_right", a->only_this_right);
    cli_json_integer(object, "only_other_right", a->only_other_right);
    cli_json_integer(object, "none_right", a->none_right);
    cli_json_number(object, "p_value", a->p_value);
    cli_json_number(object, "mean_difference", a->mean_difference);
    cli_json_number(object, "largest_difference", a->largest_difference);
    cli_json_number(object, "sqnr_db", a->sqnr_db);
}

static void eval_json(const eval_job *job, const vecq_eval_result *r)
{
    cJSON *json = cli_json_begin(job->command->name), *top;
    size_t i;

    cli_json_text(json, "model", job->model);
    cli_json_text(json, "data", job->data);
    cli_json_integer(json, "samples", r->samples);
    cli_json_number(json, "accuracy", r->accuracy);
    cli_json_number(json, "top5", r->top5);
    cli_json_number(json, "loss", r->loss);
    cli_json_integer(json, "not_finite", r->n_bad);
    cli_json_integer(json, "classes", r->classes);
    cli_json_bool(json, "undivided", r->undivided);
    if (job->options.act_bits > 0)
        cli_json_integer(json, "rounded_layers", r->n_rounded);
    if (r->n_top > 0) {
        top = cli_json_array(json, "top");
        for (i = 0; i < r->n_top; i++) {
            cJSON *row = cli_json_append(top);

            cli_json_integer(row, "k", job->top[i]);
            cli_json_number(row, "accuracy", r->top[i]);
        }
    }
    if (r->against != NULL)
        eval_json_against(json, job, r->against);
    if (r->confusion != NULL)
        eval_json_confusion(json, job, r);
    cli_json_number(json, "seconds", r->seconds);
    cli_json_print(json, stdout);
}

static int eval_go(eval_job *job)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_eval_result *result = NULL;
    cli_progress progress;
    vecq_status status;
    int done = CLI_DONE;

    job->options.top = job->top;
    job->options.confusion = job->confusion || job->per_class || job->csv != NULL;
    job->options.progress = cli_progress_report;
    job->options.progress_context = &progress;
    cli_progress_begin(&progress, job->quiet);
    cli_interrupt_defer();
    status = vecq_evaluate(job->model, job->recipe, &job->options, &result, &err);
    cli_progress_end(&progress);
    if (status != VECQ_OK) { /* the message names the file: model or data */
        cli_error("%s", err.message[0] != '\0' ? err.message : vecq_status_name(status));
        cli_interrupt_reraise();
        return CLI_FAILED;
    }
    if (job->options.act_bits > 0)
        cli_note_rounded(job->model, result->n_rounded);
    if (job->csv != NULL)
        done = eval_write_csv(job, result);
    if (done == CLI_DONE && job->json)
        eval_json(job, result);
    else if (done == CLI_DONE)
        eval_print(job, result);
    vecq_eval_result_free(result);
    return cli_finish_output(stdout, done);
}

/* ---- outputs ---- */

static void eval_print_outputs(const eval_job *job, const vecq_outputs_result *r)
{
    static const cli_column columns[] = {
        {"output", 'l', 1, 0},  {"values", 'r', 0, 3},  {"MSE", 'r', 0, 0},     {"mean |d|", 'r', 0, 2},
        {"max |d|", 'r', 0, 1}, {"SQNR dB", 'r', 0, 0}, {"PSNR dB", 'r', 0, 1}, {"not finite", 'r', 0, 0}};
    cli_table *table = cli_table_new(columns, sizeof columns / sizeof *columns);
    size_t i;

    for (i = 0; i < r->n_outputs; i++) {
        const vecq_output_difference *d = &r->outputs[i];

        cli_table_text(table, d->name);
        cli_table_format(table, "%" PRIu64, d->values);
        cli_table_number(table, "%.4g", d->mse);
        cli_table_number(table, "%.4g", d->mean_difference);
        cli_table_number(table, "%.4g", d->largest_difference);
        cli_table_number(table, "%.1f", d->sqnr_db);
        cli_table_number(table, "%.1f", d->psnr_db);
        if (d->n_bad > 0)
            cli_table_format(table, "%" PRIu64, d->n_bad);
        else
            cli_table_text(table, "");
    }
    cli_table_print(table, stdout, cli_terminal_width(stdout));
    cli_table_free(table);
    printf("\nagainst       %s\nsamples       %" PRIu64 "\ntime          %.2f s\n", job->options.against,
           r->samples, r->seconds);
}

static void eval_json_outputs(const eval_job *job, const vecq_outputs_result *r)
{
    cJSON *json = cli_json_begin(job->command->name), *rows;
    size_t i;

    cli_json_text(json, "model", job->model);
    cli_json_text(json, "data", job->data);
    cli_json_text(json, "against", job->options.against);
    cli_json_integer(json, "samples", r->samples);
    rows = cli_json_array(json, "outputs");
    for (i = 0; i < r->n_outputs; i++) {
        const vecq_output_difference *d = &r->outputs[i];
        cJSON *row = cli_json_append(rows);

        cli_json_text(row, "name", d->name);
        cli_json_integer(row, "values", d->values);
        cli_json_integer(row, "not_finite", d->n_bad);
        cli_json_number(row, "mse", d->mse);
        cli_json_number(row, "mean_difference", d->mean_difference);
        cli_json_number(row, "largest_difference", d->largest_difference);
        cli_json_number(row, "sqnr_db", d->sqnr_db);
        cli_json_number(row, "psnr_db", d->psnr_db);
    }
    cli_json_number(json, "seconds", r->seconds);
    cli_json_print(json, stdout);
}

static int eval_outputs(eval_job *job)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_outputs_result *result = NULL;
    cli_progress progress;
    vecq_status status;

    job->options.progress = cli_progress_report;
    job->options.progress_context = &progress;
    cli_progress_begin(&progress, job->quiet);
    cli_interrupt_defer();
    status = vecq_compare_outputs(job->model, job->recipe, &job->options, &result, &err);
    cli_progress_end(&progress);
    if (status != VECQ_OK) {
        cli_error("%s", err.message[0] != '\0' ? err.message : vecq_status_name(status));
        cli_interrupt_reraise();
        return CLI_FAILED;
    }
    if (job->options.act_bits > 0)
        cli_note_rounded(job->model, result->n_rounded);
    if (job->json)
        eval_json_outputs(job, result);
    else
        eval_print_outputs(job, result);
    vecq_outputs_result_free(result);
    return cli_finish_output(stdout, CLI_DONE);
}

/* Whether the options fit each other. */
static int eval_settle(eval_job *job)
{
    if (job->data == NULL)
        return cli_usage(job->command, "no data: add --data KIND:PLACE");
    job->outputs |= strncmp(job->data, "npy:", 4) == 0;
    if (!job->outputs)
        return CLI_CONTINUE;
    if (job->options.against == NULL)
        return cli_usage(job->command, "nothing to compare outputs with: add --against OTHER");
    if (job->per_class || job->confusion || job->csv != NULL || job->options.n_top > 0)
        return cli_usage(job->command, "outputs have no classes: leave out --top, --per-class, --confusion");
    return CLI_CONTINUE;
}

static int eval_run(const cli_command *self, int argc, char **argv)
{
    eval_job job = {.command = self};
    vecq_error err = VECQ_ERROR_INIT;
    size_t n_operands = 0;
    int status;

    vecq_eval_options_default(&job.options);
    if (vecq_recipe_create(&job.recipe, &err) != VECQ_OK)
        return cli_failed("recipe", &err);
    status = cli_parse(self, argc, argv, eval_option, &job, &job.model, 1, &n_operands);
    if (status == CLI_CONTINUE && n_operands == 0)
        status = cli_usage(self, "no model: name an ONNX file");
    if (status == CLI_CONTINUE)
        status = eval_settle(&job);
    if (status == CLI_CONTINUE)
        status = job.outputs ? eval_outputs(&job) : eval_go(&job);
    vecq_recipe_free(job.recipe);
    return status;
}

const cli_command cli_cmd_eval = {
    "eval",
    "MODEL --data SPEC [OPTIONS]",
    "accuracy of a model on labelled data",
    "Runs a classifier over the test part of a data set. A model written by 'vecq train' remembers how its\n"
    "data were prepared; for others give mean and deviation with --set. Packed models are evaluated with "
    "the\n"
    "values that they decode to. A Softmax or Sigmoid at the end is left out.",
    options,
    "vecq eval lenet5.onnx --data idx:data/mnist\n"
    "vecq eval resnet20.onnx --data cifar10:data/cifar10 --set data.mean=.4914,.4822,.4465 \\\n"
    "    --set data.std=.2470,.2435,.2616\n"
    "vecq eval lenet5-2bit.onnx --data idx:data/mnist --against lenet5.onnx --per-class\n"
    "vecq eval upscale-4bit.onnx --against upscale.onnx --data npy:image=patches.npy",
    "",
    eval_run,
};
