/* SPDX-License-Identifier: Apache-2.0 */
/* vecq eval: accuracy of a model on labelled data. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "options.h"
#include "progress.h"
#include "text.h"

enum { OPTION_DATA = CLI_LONG_ONLY, OPTION_SPLIT, OPTION_SET, OPTION_JSON, OPTION_CPU };

static const cli_option options[] = {
    {OPTION_DATA, "data", "SPEC", "data: idx:DIR, cifar10:DIR, images:DIR or text:PLACE"},
    {OPTION_SPLIT, "split", "PART", "part of the data: test, validation, train (default test)"},
    {OPTION_SET, "set", "KEY=VALUE",
     "a setting of preprocessing, as in recipes: data.mean, data.std,\ndata.scale, model.input, "
     "model.output, "
     "... (docs/recipes.md)"},
    {'j', "threads", "N", "threads to use (default: all processors)"},
    {OPTION_JSON, "json", NULL, "print one JSON object (docs/json.md)"},
    {OPTION_CPU, "cpu", "LEVEL",
     "highest instruction set of our own kernels: ref, avx2,\navxvnni, avx512, avx512vnni, neon\n(default: "
     "the best there is)"},
    {'q', "quiet", NULL, "no progress"},
    CLI_OPTION_HELP,
    CLI_OPTION_END,
};

typedef struct eval_job {
    const cli_command *command;
    vecq_recipe *recipe;
    const char *model, *data;
    size_t split;
    int json, quiet;
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

static int eval_option(void *context, int id, const char *value)
{
    static const char *const splits[] = {"train", "validation", "test"};
    eval_job *job = context;

    switch (id) {
    case OPTION_DATA:
        job->data = value;
        return set_key(job, "data.train", value);
    case OPTION_SPLIT:
        return cli_value_choice(job->command, "split", value, splits, 3, &job->split);
    case OPTION_SET:
        return set(job, value);
    case 'j':
        return set_key(job, "threads", value);
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

static void eval_print(const vecq_eval_result *r)
{
    printf("accuracy      %.2f %% (%llu of %llu)\n", 100 * r->accuracy,
           (unsigned long long)(r->accuracy * (double)r->samples + 0.5), (unsigned long long)r->samples);
    if (!isnan(r->top5))
        printf("top 5         %.2f %%\n", 100 * r->top5);
    printf("loss          %.4f\n", r->loss);
    if (r->n_bad > 0)
        printf("not finite    %llu samples\n", (unsigned long long)r->n_bad);
    printf("time          %.2f s, %.0f samples/s\n", r->seconds,
           r->seconds > 0 ? (double)r->samples / r->seconds : 0);
    if (r->undivided)
        printf("note          the data have no test part: all of them were used\n");
}

static void eval_json(const eval_job *job, const vecq_eval_result *r)
{
    cJSON *json = cli_json_begin(job->command->name);

    cli_json_text(json, "model", job->model);
    cli_json_text(json, "data", job->data);
    cli_json_integer(json, "samples", r->samples);
    cli_json_number(json, "accuracy", r->accuracy);
    cli_json_number(json, "top5", r->top5);
    cli_json_number(json, "loss", r->loss);
    cli_json_integer(json, "not_finite", r->n_bad);
    cli_json_integer(json, "classes", r->classes);
    cli_json_bool(json, "undivided", r->undivided);
    cli_json_number(json, "seconds", r->seconds);
    cli_json_print(json, stdout);
}

static int eval_go(eval_job *job)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_eval_result result;
    cli_progress progress;
    vecq_status status;

    cli_progress_begin(&progress, job->quiet);
    cli_interrupt_defer();
    status = vecq_evaluate(job->model, job->recipe, (int)job->split, cli_progress_report, &progress, &result,
                           &err);
    cli_progress_end(&progress);
    if (status != VECQ_OK) { /* the message names the file: model or data */
        cli_error("%s", err.message[0] != '\0' ? err.message : vecq_status_name(status));
        cli_interrupt_reraise();
        return CLI_FAILED;
    }
    if (job->json)
        eval_json(job, &result);
    else
        eval_print(&result);
    return cli_finish_output(stdout, CLI_DONE);
}

static int eval_run(const cli_command *self, int argc, char **argv)
{
    eval_job job = {.command = self, .split = 2};
    vecq_error err = VECQ_ERROR_INIT;
    size_t n_operands = 0;
    int status;

    if (vecq_recipe_create(&job.recipe, &err) != VECQ_OK)
        return cli_failed("recipe", &err);
    status = cli_parse(self, argc, argv, eval_option, &job, &job.model, 1, &n_operands);
    if (status == CLI_CONTINUE && n_operands == 0)
        status = cli_usage(self, "no model: name an ONNX file");
    if (status == CLI_CONTINUE && job.data == NULL)
        status = cli_usage(self, "no data: add --data KIND:PLACE");
    if (status == CLI_CONTINUE)
        status = eval_go(&job);
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
    "    --set data.std=.2470,.2435,.2616",
    "",
    eval_run,
};
