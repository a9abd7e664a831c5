/* SPDX-License-Identifier: Apache-2.0 */
/* vecq train: float training and fine-tuning through quantizers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "options.h"
#include "text.h"
#include "train_progress.h"

enum {
    OPTION_MODEL = CLI_LONG_ONLY,
    OPTION_NETWORK,
    OPTION_DATA,
    OPTION_TEST,
    OPTION_ACT_BITS,
    OPTION_EPOCHS,
    OPTION_SET,
    OPTION_RESUME,
    OPTION_CHECKPOINT,
    OPTION_LOG,
    OPTION_PROFILE,
    OPTION_KEYS,
    OPTION_NETWORKS,
    OPTION_JSON,
    OPTION_CPU
};

static const cli_option options[] = {
    {'o', "output", "FILE", "write the trained model to FILE"},
    {OPTION_MODEL, "model", "FILE", "fine-tune this ONNX model (model.file)"},
    {OPTION_NETWORK, "network", "NAME", "train a built-in network from scratch (model.network)"},
    {OPTION_DATA, "data", "SPEC",
     "training data: idx:DIR, cifar10:DIR, images:DIR or text:PLACE\n(data.train); its test part is what is "
     "evaluated"},
    {OPTION_TEST, "test", "SPEC", "other test data (data.test)"},
    {'b', "bits", "K", "bits of weights, 1 to 16; 0: float (quantize.bits)"},
    {OPTION_ACT_BITS, "act-bits", "K", "bits of activations, 1 to 8; 0: float (quantize.act_bits)"},
    {OPTION_EPOCHS, "epochs", "N", "passes over the training data (train.epochs)"},
    {OPTION_SET, "set", "KEY=VALUE", "any setting of a recipe; may be given often, later ones win"},
    {OPTION_RESUME, "resume", NULL, "go on from the checkpoint, if there is one"},
    {OPTION_CHECKPOINT, "checkpoint", "FILE", "file for checkpoints (default: output with .ckpt)"},
    {OPTION_LOG, "log", "FILE", "JSON lines of the run (default: output with .log.jsonl)"},
    {OPTION_PROFILE, "profile", NULL,
     "at the end list what ran each operator of a step (which backend,\nwhich implementation) and its time"},
    {OPTION_KEYS, "keys", NULL, "list every setting, with its default, and end"},
    {OPTION_NETWORKS, "networks", NULL, "list the built-in networks and end"},
    {'j', "threads", "N", "threads to use (default: all processors)"},
    {OPTION_JSON, "json", NULL, "print one JSON object at the end (docs/json.md)"},
    {OPTION_CPU, "cpu", "LEVEL", CLI_HELP_CPU},
    {'q', "quiet", NULL, "no progress, no evaluations on the way"},
    CLI_OPTION_HELP,
    CLI_OPTION_END,
};

#define SETTINGS_MAX 512u

typedef struct train_job {
    const cli_command *command;
    const char *recipe_path, *output, *checkpoint, *log;
    char *settings[SETTINGS_MAX]; /* "key=value", in the order given */
    size_t n_settings;
    int resume, json, quiet, keys, networks, profile;
} train_job;

static int add_setting(train_job *job, const char *key, const char *value)
{
    if (job->n_settings == SETTINGS_MAX)
        return cli_usage(job->command, "more than %u settings", SETTINGS_MAX);
    job->settings[job->n_settings++] = key != NULL ? cli_format("%s=%s", key, value) : cli_strdup(value);
    return CLI_CONTINUE;
}

static int train_option(void *context, int id, const char *value)
{
    train_job *job = context;

    switch (id) {
    case 'o':
        job->output = value;
        break;
    case OPTION_MODEL:
        return add_setting(job, "model.file", value);
    case OPTION_NETWORK:
        return add_setting(job, "model.network", value);
    case OPTION_DATA:
        return add_setting(job, "data.train", value);
    case OPTION_TEST:
        return add_setting(job, "data.test", value);
    case 'b':
        return add_setting(job, "quantize.bits", value);
    case OPTION_ACT_BITS:
        return add_setting(job, "quantize.act_bits", value);
    case OPTION_EPOCHS:
        return add_setting(job, "train.epochs", value);
    case 'j':
        return add_setting(job, "threads", value);
    case OPTION_SET:
        return add_setting(job, NULL, value);
    case OPTION_RESUME:
        job->resume = 1;
        break;
    case OPTION_CHECKPOINT:
        job->checkpoint = value;
        break;
    case OPTION_LOG:
        job->log = value;
        break;
    case OPTION_PROFILE:
        job->profile = 1;
        break;
    case OPTION_KEYS:
        job->keys = 1;
        break;
    case OPTION_NETWORKS:
        job->networks = 1;
        break;
    case OPTION_JSON:
        job->json = 1;
        break;
    case OPTION_CPU:
        return cli_value_cpu(job->command, value);
    case 'q':
        job->quiet = 1;
        break;
    default:
        break;
    }
    return CLI_CONTINUE;
}

/* ---- listings ---- */

static int print_keys(void)
{
    const char *section = NULL;
    size_t i;

    for (i = 0; i < vecq_recipe_doc_count(); i++) {
        vecq_recipe_doc doc = vecq_recipe_doc_at(i);

        if (section == NULL || strcmp(section, doc.section) != 0)
            printf("%s%s%s%s\n", section != NULL ? "\n" : "", doc.section, *doc.section != '\0' ? ": " : "",
                   doc.section_text);
        section = doc.section;
        printf("  %s%s%s = %s%s%s\n      %s\n", doc.section, *doc.section != '\0' ? "." : "", doc.name,
               *doc.initial != '\0' ? doc.initial : "(empty)", *doc.unit != '\0' ? " " : "", doc.unit,
               doc.text);
    }
    return cli_finish_output(stdout, CLI_DONE);
}

static int print_networks(void)
{
    size_t i;

    for (i = 0; i < vecq_network_count(); i++)
        printf("%-18s %s\n", vecq_network_name(i), vecq_network_title(i));
    return cli_finish_output(stdout, CLI_DONE);
}

/* ---- results ---- */

static void print_percent(FILE *out, const char *what, double accuracy, const char *after)
{
    if (!isnan(accuracy))
        fprintf(out, "%-13s %.2f %%%s\n", what, 100 * accuracy, after);
}

static void train_print(const train_job *job, const vecq_train_result *r, FILE *out)
{
    char *bytes = cli_text_bytes(r->file_bytes), *memory = cli_text_bytes(r->peak_bytes);

    fprintf(out, "trained       %llu parameters, %llu steps, %.1f s, %s for a step\n",
            (unsigned long long)r->parameters, (unsigned long long)r->steps, r->seconds, memory);
    print_percent(out, "before", r->start_accuracy, " of the test data");
    print_percent(out, "held back", r->holdout_accuracy, "");
    print_percent(out, "test", r->test_accuracy, "");
    if (job->output != NULL) {
        fprintf(out, "%-13s %s, %s", "written", job->output, bytes);
        if (!isnan(r->file_accuracy))
            fprintf(out, "; loaded again: %.2f %%", 100 * r->file_accuracy);
        fputc('\n', out);
    }
    free(bytes);
    free(memory);
}

static void json_share(cJSON *json, const char *key, double value)
{
    if (isnan(value))
        cli_json_null(json, key);
    else
        cli_json_number(json, key, value);
}

static void train_json(const train_job *job, const vecq_train_result *r, FILE *out)
{
    cJSON *json = cli_json_begin(job->command->name);

    cli_json_text(json, "recipe", job->recipe_path);
    cli_json_text(json, "output", job->output);
    cli_json_integer(json, "steps", r->steps);
    cli_json_number(json, "seconds", r->seconds);
    cli_json_integer(json, "parameters", r->parameters);
    cli_json_integer(json, "step_bytes", r->peak_bytes);
    json_share(json, "train_loss", r->loss);
    json_share(json, "start_accuracy", r->start_accuracy);
    json_share(json, "holdout_accuracy", r->holdout_accuracy);
    json_share(json, "test_accuracy", r->test_accuracy);
    json_share(json, "test_loss", r->test_loss);
    cli_json_integer(json, "test_samples", r->test_samples);
    json_share(json, "file_accuracy", r->file_accuracy);
    cli_json_integer(json, "file_bytes", r->file_bytes);
    cli_json_print(json, out);
}

/* ---- the run ---- */

static int make_recipe(const train_job *job, vecq_recipe **out)
{
    vecq_error err = VECQ_ERROR_INIT;
    size_t i;
    vecq_status status = job->recipe_path != NULL ? vecq_recipe_open(job->recipe_path, out, &err)
                                                  : vecq_recipe_create(out, &err);

    if (status != VECQ_OK)
        return cli_failed(job->recipe_path != NULL ? job->recipe_path : "recipe", &err);
    for (i = 0; i < job->n_settings; i++)
        if (vecq_recipe_set(*out, job->settings[i], &err) != VECQ_OK) {
            cli_error("%s", err.message);
            return CLI_USAGE;
        }
    return CLI_CONTINUE;
}

static int train_failed(const train_job *job, const vecq_error *err)
{
    (void)job;
    cli_error("%s", err->message);
    cli_interrupt_reraise();
    return CLI_FAILED;
}

static int train_go(train_job *job, vecq_recipe *recipe)
{
    FILE *out = job->json ? stderr : stdout;
    char *checkpoint =
        job->checkpoint != NULL || job->output == NULL ? NULL : cli_format("%s.ckpt", job->output);
    char *log = job->log != NULL || job->output == NULL ? NULL : cli_format("%s.log.jsonl", job->output);
    vecq_error err = VECQ_ERROR_INIT;
    vecq_train_options run;
    vecq_train_result result;
    cli_train_progress progress;
    vecq_status status;

    vecq_train_options_default(&run);
    run.output = job->output;
    run.checkpoint = job->checkpoint != NULL ? job->checkpoint : checkpoint;
    run.log = job->log != NULL ? job->log : log;
    run.resume = job->resume;
    run.profile = job->profile;
    run.event = cli_train_progress_event;
    run.event_context = &progress;
    cli_train_progress_begin(&progress, job->quiet, out);
    cli_interrupt_defer();
    status = vecq_train(recipe, &run, &result, &err);
    cli_train_progress_end(&progress);
    free(checkpoint);
    free(log);
    if (status != VECQ_OK)
        return train_failed(job, &err);
    if (job->json)
        train_json(job, &result, stdout);
    else
        train_print(job, &result, stdout);
    return cli_finish_output(stdout, CLI_DONE);
}

static int train_run(const cli_command *self, int argc, char **argv)
{
    train_job job = {.command = self};
    vecq_recipe *recipe = NULL;
    size_t n_operands = 0, i;
    int status = cli_parse(self, argc, argv, train_option, &job, &job.recipe_path, 1, &n_operands);

    if (status == CLI_CONTINUE && job.keys)
        status = print_keys();
    if (status == CLI_CONTINUE && job.networks)
        status = print_networks();
    if (status == CLI_CONTINUE && n_operands == 0 && job.n_settings == 0)
        status = cli_usage(self, "nothing to train: name a recipe, or --model or --network with --data");
    if (status == CLI_CONTINUE && job.output != NULL && strcmp(job.output, "-") == 0)
        status = cli_usage(self, "-o takes a file: checkpoint and log lie beside it");
    if (status == CLI_CONTINUE && job.resume && job.output == NULL && job.checkpoint == NULL)
        status = cli_usage(self, "--resume needs -o FILE or --checkpoint FILE");
    if (status == CLI_CONTINUE)
        status = make_recipe(&job, &recipe);
    if (status == CLI_CONTINUE)
        status = train_go(&job, recipe);
    for (i = 0; i < job.n_settings; i++)
        free(job.settings[i]);
    vecq_recipe_free(recipe);
    return status;
}

const cli_command cli_cmd_train = {
    "train",
    "[RECIPE] [-o FILE] [OPTIONS]",
    "train a network, or fine-tune a model through its quantizer",
    "Trains in float (bits 0) or through quantizers: in every step the weights are quantized, the network "
    "runs\n"
    "with the quantized ones, and the gradient changes the float master copy. Starts from an ONNX file\n"
    "(--model) or from a built-in network (--network). RECIPE is a YAML file with any of the settings that\n"
    "--keys lists (docs/recipes.md); options and --set change single ones. The result is a packed ONNX "
    "file,\n"
    "loaded again and evaluated before it counts as written. The same seed gives the same result.",
    options,
    "vecq train --model m.onnx --data cifar10:data/cifar10 -b 2 -o m2.onnx\n"
    "vecq train recipes/lenet5-mnist-paper.yaml -o lenet5.onnx\n"
    "vecq train recipes/lenet5-mnist-paper.yaml -o lenet5.onnx --resume   # after an interruption\n"
    "vecq train --network lenet5 --data idx: --epochs 3 --set optimizer.lr=0.02 -o fashion.onnx",
    "An interrupt (Ctrl-C) writes a checkpoint and ends\nby that signal; a second one ends at once.",
    train_run,
};
