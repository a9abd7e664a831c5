/* SPDX-License-Identifier: Apache-2.0 */
/* vecq run: one inference, inputs from files. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "engine.h"
#include "json.h"
#include "options.h"
#include "run_case.h"
#include "text.h"

enum {
    OPTION_TEXT = CLI_LONG_ONLY,
    OPTION_SET,
    OPTION_TOP,
    OPTION_TEST_DIR,
    OPTION_RTOL,
    OPTION_ATOL,
    OPTION_CHECK,
    OPTION_EXPLAIN,
    OPTION_JSON
};

static const cli_option options[] = {
    {'i', "input", "[NAME=]FILE",
     "an input: a .npy file, all inputs by name out of a .npz file, or an\nimage (JPEG, PNG), prepared as "
     "the "
     "model remembers; without NAME\nthe first input; repeatable"},
    {OPTION_TEXT, "text", "TEXT", "a text as the first input, cut and numbered as the model remembers"},
    {OPTION_SET, "set", "KEY=VALUE",
     "a setting of preprocessing, as in recipes: data.mean, data.std,\ndata.scale, ... (docs/recipes.md)"},
    {'o', "output", "[NAME=]FILE",
     "write an output to a .npy file, all of them to a .npz file or, as\nNAME.npy, into a folder; without "
     "NAME the first output; repeatable\n(default: print a summary)"},
    {OPTION_TOP, "top", "N", "classes to print of a classifier (default 5)"},
    {OPTION_TEST_DIR, "test-dir", "DIR",
     "run the test cases of ONNX in this folder (test_data_set_*/) and\ncompare; MODEL is DIR/model.onnx "
     "unless given"},
    {OPTION_RTOL, "rtol", "X", "test cases: relative tolerance (default 1e-3)"},
    {OPTION_ATOL, "atol", "X", "test cases: absolute tolerance (default 1e-6)"},
    {OPTION_CHECK, "check", NULL, "stop at the first operator whose result is NaN or infinite"},
    {OPTION_EXPLAIN, "explain", NULL, "print every step: operator, backend, how, why, time"},
    CLI_ENGINE_OPTIONS,
    {'j', "threads", "N", "threads to use (default: all processors)"},
    {OPTION_JSON, "json", NULL, "print one JSON object (docs/json.md)"},
    CLI_OPTION_HELP,
    CLI_OPTION_END,
};

#define RUN_FILES_MAX 256u

typedef struct run_job {
    const cli_command *command;
    cli_engine engine;
    vecq_recipe *recipe;
    const char *model, *text, *test_dir;
    const char *inputs[RUN_FILES_MAX], *outputs[RUN_FILES_MAX];
    size_t n_inputs, n_outputs;
    uint64_t top;
    double rtol, atol;
    int check, explain, json;
    vecq_session *session;
    vecq_runner *runner;
    vecq_tensor tensors[RUN_FILES_MAX]; /* that are bound */
    size_t n_tensors;
    vecq_preparer *preparer;
    double seconds; /* of the run */
} run_job;

static int take_tolerance(run_job *job, const char *option, const char *value, double *out)
{
    char *end;

    *out = strtod(value, &end);
    if (end == value || *end != '\0' || !(*out >= 0) || !isfinite(*out))
        return cli_usage(job->command, "--%s takes a number from 0, not '%s'", option, value);
    return CLI_CONTINUE;
}

static int take_file(run_job *job, const char **list, size_t *n, const char *value)
{
    if (*n == RUN_FILES_MAX)
        return cli_usage(job->command, "more than %u files", RUN_FILES_MAX);
    list[(*n)++] = value;
    return CLI_CONTINUE;
}

static int take_setting(run_job *job, const char *value)
{
    vecq_error err = VECQ_ERROR_INIT;

    if (vecq_recipe_set(job->recipe, value, &err) == VECQ_OK)
        return CLI_CONTINUE;
    cli_error("%s", err.message);
    return CLI_USAGE;
}

static int run_option(void *context, int id, const char *value)
{
    run_job *job = context;
    uint64_t n;
    int status;

    switch (id) {
    case 'i':
        return take_file(job, job->inputs, &job->n_inputs, value);
    case 'o':
        return take_file(job, job->outputs, &job->n_outputs, value);
    case OPTION_TEXT:
        job->text = value;
        break;
    case OPTION_SET:
        return take_setting(job, value);
    case OPTION_TOP:
        return cli_value_number(job->command, "--top", value, 1, 1000000, &job->top);
    case OPTION_TEST_DIR:
        job->test_dir = value;
        break;
    case OPTION_RTOL:
        return take_tolerance(job, "rtol", value, &job->rtol);
    case OPTION_ATOL:
        return take_tolerance(job, "atol", value, &job->atol);
    case OPTION_CHECK:
        job->check = 1;
        break;
    case OPTION_EXPLAIN:
        job->explain = 1;
        break;
    case OPTION_JSON:
        job->json = 1;
        break;
    case 'j':
        status = cli_value_number(job->command, "--threads", value, 1, 256, &n);
        if (status == CLI_CONTINUE)
            job->engine.options.threads = (unsigned)n;
        return status;
    default:
        return cli_engine_option(&job->engine, id, value);
    }
    return CLI_CONTINUE;
}

/* ---- inputs ---- */

static int has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), k = strlen(suffix);

    return n > k && strcmp(path + n - k, suffix) == 0;
}

/* Splits "NAME=FILE" where NAME is an input or output of the model: names and files may hold '='. *name NULL:
 * there was none. Returns the file. */
static const char *split_name(const vecq_session *s, int is_input, const char *spec, const char **name)
{
    size_t i, n = is_input ? vecq_session_inputs(s) : vecq_session_outputs(s);

    *name = NULL;
    for (i = 0; i < n; i++) {
        const char *one = is_input ? vecq_session_input(s, i)->name : vecq_session_output(s, i)->name;
        size_t length = strlen(one);

        if (strncmp(spec, one, length) == 0 && spec[length] == '=') {
            *name = one;
            return spec + length + 1;
        }
    }
    return spec;
}

/* A NAME= that the model does not have is told before anything runs, unless the whole is a file's name. */
static vecq_status check_names(const run_job *job, int is_input, const char *const *specs, size_t n,
                               vecq_error *err)
{
    const vecq_session *s = job->session;
    size_t i, k, count = is_input ? vecq_session_inputs(s) : vecq_session_outputs(s);

    for (i = 0; i < n; i++) {
        const char *name, *equals = strchr(split_name(s, is_input, specs[i], &name), '=');
        struct stat info;
        int at;

        if (name != NULL || equals == NULL || stat(specs[i], &info) == 0)
            continue;
        if (!is_input && memchr(specs[i], '/', (size_t)(equals - specs[i])) != NULL)
            continue; /* a new file in a folder */
        at = snprintf(err->message, sizeof err->message, "%s: the model has no %s '%.*s', only", job->model,
                      is_input ? "input" : "output", (int)(equals - specs[i]), specs[i]);
        for (k = 0; k < count && at > 0 && (size_t)at < sizeof err->message; k++)
            at += snprintf(err->message + at, sizeof err->message - (size_t)at, "%s '%s'", k > 0 ? "," : "",
                           is_input ? vecq_session_input(s, k)->name : vecq_session_output(s, k)->name);
        return err->status = VECQ_ERR_VALUE;
    }
    return VECQ_OK;
}

static vecq_status bind(run_job *job, const char *name, vecq_error *err)
{
    const vecq_tensor *t = &job->tensors[job->n_tensors++];

    return vecq_runner_bind(job->runner, name, t->dtype, t->rank, t->dims, t->data, err);
}

static vecq_status room_for_tensor(const run_job *job, vecq_error *err)
{
    if (job->n_tensors < RUN_FILES_MAX)
        return VECQ_OK;
    err->status = VECQ_ERR_UNSUPPORTED;
    snprintf(err->message, sizeof err->message, "more than %u inputs", RUN_FILES_MAX);
    return err->status;
}

static vecq_status bind_npz(run_job *job, const char *path, vecq_error *err)
{
    vecq_npz *npz;
    vecq_status status = vecq_npz_open(path, &npz, err);
    size_t i;

    for (i = 0; status == VECQ_OK && i < vecq_npz_count(npz); i++) {
        status = room_for_tensor(job, err);
        if (status == VECQ_OK)
            status = vecq_npz_read(npz, i, &job->tensors[job->n_tensors], err);
        if (status == VECQ_OK)
            status = bind(job, vecq_npz_name(npz, i), err);
    }
    if (npz != NULL)
        vecq_npz_close(npz);
    return status;
}

static vecq_status preparer(run_job *job, vecq_error *err)
{
    if (job->preparer != NULL)
        return VECQ_OK;
    return vecq_preparer_create(job->model, job->recipe, &job->preparer, err);
}

static vecq_status bind_file(run_job *job, const char *spec, vecq_error *err)
{
    const char *name, *path = split_name(job->session, 1, spec, &name);
    vecq_tensor *t = &job->tensors[job->n_tensors];
    vecq_status status = room_for_tensor(job, err);

    if (status != VECQ_OK)
        return status;
    if (has_suffix(path, ".npz") && name == NULL)
        return bind_npz(job, path, err);
    if (has_suffix(path, ".jpg") || has_suffix(path, ".jpeg") || has_suffix(path, ".png") ||
        has_suffix(path, ".JPG") || has_suffix(path, ".JPEG") || has_suffix(path, ".PNG")) {
        status = preparer(job, err);
        if (status == VECQ_OK)
            status = vecq_preparer_image(job->preparer, path, t, err);
    } else {
        status = vecq_npy_load(path, t, err);
    }
    return status == VECQ_OK ? bind(job, name, err) : status;
}

static vecq_status bind_inputs(run_job *job, vecq_error *err)
{
    vecq_status status = VECQ_OK;
    size_t i;

    for (i = 0; i < job->n_inputs && status == VECQ_OK; i++)
        status = bind_file(job, job->inputs[i], err);
    if (status == VECQ_OK && job->text != NULL && (status = room_for_tensor(job, err)) == VECQ_OK) {
        status = preparer(job, err);
        if (status == VECQ_OK)
            status = vecq_preparer_text(job->preparer, job->text, &job->tensors[job->n_tensors], err);
        if (status == VECQ_OK)
            status = bind(job, NULL, err);
    }
    return status;
}

/* ---- outputs ---- */

static int is_folder(const char *path)
{
    struct stat info;

    return path[0] != '\0' &&
           (path[strlen(path) - 1] == '/' || (stat(path, &info) == 0 && S_ISDIR(info.st_mode)));
}

static vecq_status write_folder(run_job *job, const char *folder, vecq_error *err)
{
    vecq_status status = VECQ_OK;
    size_t i, k;

    for (i = 0; i < vecq_session_outputs(job->session) && status == VECQ_OK; i++) {
        const char *name = vecq_session_output(job->session, i)->name;
        char *file = cli_strdup(name), *path;
        vecq_view view;

        for (k = 0; file[k] != '\0'; k++)
            if (file[k] == '/' || (k == 0 && file[k] == '.'))
                file[k] = '_';
        path = cli_format("%s%s%s.npy", folder, folder[strlen(folder) - 1] == '/' ? "" : "/", file);
        status = vecq_runner_output(job->runner, name, &view, err);
        if (status == VECQ_OK)
            status = vecq_npy_save(path, &view, err);
        free(path);
        free(file);
    }
    return status;
}

static vecq_status write_npz(run_job *job, const char *path, vecq_error *err)
{
    size_t n = vecq_session_outputs(job->session), i;
    const char **names = cli_alloc(n, sizeof *names);
    vecq_view *views = cli_alloc(n, sizeof *views);
    vecq_status status = VECQ_OK;

    for (i = 0; i < n && status == VECQ_OK; i++) {
        names[i] = vecq_session_output(job->session, i)->name;
        status = vecq_runner_output(job->runner, names[i], &views[i], err);
    }
    if (status == VECQ_OK)
        status = vecq_npz_save(path, names, views, n, err);
    free((void *)names);
    free(views);
    return status;
}

static vecq_status write_outputs(run_job *job, vecq_error *err)
{
    vecq_status status = VECQ_OK;
    size_t i;

    for (i = 0; i < job->n_outputs && status == VECQ_OK; i++) {
        const char *name, *path = split_name(job->session, 0, job->outputs[i], &name);
        vecq_view view;

        if (name == NULL && is_folder(path)) {
            status = write_folder(job, path, err);
        } else if (name == NULL && has_suffix(path, ".npz")) {
            status = write_npz(job, path, err);
        } else {
            status = vecq_runner_output(job->runner, name, &view, err);
            if (status == VECQ_OK)
                status = vecq_npy_save(path, &view, err);
        }
    }
    return status;
}

/* ---- printing ---- */

typedef struct output_numbers {
    double min, max, mean;
    uint64_t n_bad; /* not finite */
} output_numbers;

static output_numbers summarize(const vecq_view *v)
{
    output_numbers s = {(double)NAN, (double)NAN, (double)NAN, 0};
    double sum = 0;
    size_t i, n = 0;

    for (i = 0; i < v->count; i++) {
        double x = cli_tensor_get(v->dtype, v->data, i);

        if (!isfinite(x)) {
            s.n_bad++;
            continue;
        }
        s.min = n == 0 || x < s.min ? x : s.min;
        s.max = n == 0 || x > s.max ? x : s.max;
        sum += x;
        n++;
    }
    if (n > 0)
        s.mean = sum / (double)n;
    return s;
}

/* One row of class scores: [1, C] with trailing ones, or [C] after an image or a text. */
static size_t classes_of(const run_job *job, const vecq_view *v)
{
    unsigned a;

    if (v->rank < 2 || v->dims[0] != 1 || v->dims[1] < 2 || (size_t)v->dims[1] != v->count)
        return 0;
    for (a = 2; a < v->rank; a++)
        if (v->dims[a] != 1)
            return 0;
    return (job->preparer != NULL || v->count <= 100000) &&
                   (v->dtype == VECQ_DT_FLOAT || v->dtype == VECQ_DT_FLOAT16)
               ? v->count
               : 0;
}

/* The k-th largest by selection: k is small. Of equal ones the first comes first. */
static size_t next_best(const vecq_view *v, const size_t *taken, size_t n)
{
    size_t i, k, best = SIZE_MAX;

    for (i = 0; i < v->count; i++) {
        double x = cli_tensor_get(v->dtype, v->data, i);

        for (k = 0; k < n && taken[k] != i; k++) {
        }
        if (k < n || isnan(x))
            continue;
        if (best == SIZE_MAX || x > cli_tensor_get(v->dtype, v->data, best))
            best = i;
    }
    return best;
}

static size_t best_classes(const run_job *job, const vecq_view *v, size_t **out)
{
    size_t classes = classes_of(job, v), n = classes < job->top ? classes : (size_t)job->top, k;

    *out = cli_alloc(n + 1, sizeof **out);
    for (k = 0; k < n; k++)
        if (((*out)[k] = next_best(v, *out, k)) == SIZE_MAX)
            break;
    return k;
}

static void print_output(const run_job *job, const char *name, const vecq_view *v)
{
    output_numbers s = summarize(v);
    char *shape = cli_text_shape(v->rank, v->dims), *safe = cli_text_escape(name);
    size_t *best, n = best_classes(job, v, &best), i;

    printf("%s  %s %s", safe, vecq_dtype_name(v->dtype), shape);
    if (v->count > 0)
        printf("  min %.6g  max %.6g  mean %.6g", s.min, s.max, s.mean);
    if (s.n_bad > 0)
        printf("  not finite %llu", (unsigned long long)s.n_bad);
    printf("\n");
    for (i = 0; i < n; i++)
        printf("  class %-6zu %.6g\n", best[i], cli_tensor_get(v->dtype, v->data, best[i]));
    if (n == 0 && v->count > 0) {
        printf(" ");
        for (i = 0; i < v->count && i < 8; i++)
            printf(" %.6g", cli_tensor_get(v->dtype, v->data, i));
        printf(v->count > 8 ? " ...\n" : "\n");
    }
    free(best);
    free(safe);
    free(shape);
}

static void json_output(const run_job *job, cJSON *object, const vecq_view *v)
{
    output_numbers s = summarize(v);
    size_t *best, n = best_classes(job, v, &best), i;
    cJSON *list;

    cli_json_number(object, "min", s.min);
    cli_json_number(object, "max", s.max);
    cli_json_number(object, "mean", s.mean);
    cli_json_integer(object, "not_finite", s.n_bad);
    list = cli_json_array(object, "first");
    for (i = 0; i < v->count && i < 8; i++) {
        double x = cli_tensor_get(v->dtype, v->data, i);

        cJSON_AddItemToArray(list, isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
    }
    list = cli_json_array(object, "top");
    for (i = 0; i < n; i++) {
        cJSON *item = cli_json_append(list);

        cli_json_integer(item, "class", best[i]);
        cli_json_number(item, "value", cli_tensor_get(v->dtype, v->data, best[i]));
    }
    free(best);
}

static vecq_status print_json(run_job *job, vecq_error *err)
{
    cJSON *json = cli_json_begin(job->command->name), *list;
    vecq_status status = VECQ_OK;
    size_t i;

    cli_json_text(json, "model", job->model);
    list = cli_json_array(json, "outputs");
    for (i = 0; i < vecq_session_outputs(job->session) && status == VECQ_OK; i++) {
        const char *name = vecq_session_output(job->session, i)->name;
        cJSON *item = cli_json_append(list);
        vecq_view v;

        status = vecq_runner_output(job->runner, name, &v, err);
        if (status != VECQ_OK)
            break;
        cli_engine_json_io(item, name, v.dtype, v.rank, v.dims);
        json_output(job, item, &v);
    }
    cli_engine_json_memory(json, job->session, job->runner);
    if (status == VECQ_OK && job->explain && !cli_engine_json_steps(json, job->runner, NULL, err))
        status = err->status;
    if (status == VECQ_OK)
        cli_json_print(json, stdout);
    else
        cJSON_Delete(json);
    return status;
}

static vecq_status print_result(run_job *job, vecq_error *err)
{
    size_t i;

    if (job->json)
        return print_json(job, err);
    for (i = 0; i < vecq_session_outputs(job->session) && job->n_outputs == 0; i++) {
        const char *name = vecq_session_output(job->session, i)->name;
        vecq_view view;
        vecq_status status = vecq_runner_output(job->runner, name, &view, err);

        if (status != VECQ_OK)
            return status;
        print_output(job, name, &view);
    }
    if (job->explain && !cli_engine_print_steps(stdout, job->runner, err))
        return err->status;
    return VECQ_OK;
}

/* ---- the command ---- */

static vecq_status run_once(run_job *job, vecq_error *err)
{
    vecq_status status = vecq_session_load(job->model, &job->engine.options, &job->session, err);

    if (status == VECQ_OK)
        status = vecq_runner_create(job->session, &job->runner, err);
    if (status == VECQ_OK)
        status = check_names(job, 1, job->inputs, job->n_inputs, err);
    if (status == VECQ_OK)
        status = check_names(job, 0, job->outputs, job->n_outputs, err);
    if (status == VECQ_OK)
        status = bind_inputs(job, err);
    if (status == VECQ_OK) {
        vecq_runner_set_check(job->runner, job->check);
        vecq_runner_set_timing(job->runner, job->explain);
        status = vecq_runner_run(job->runner, err);
    }
    if (status == VECQ_OK && !cli_engine_note_rounded(&job->engine, job->model, job->runner, err))
        status = err->status;
    if (status == VECQ_OK)
        status = write_outputs(job, err);
    if (status == VECQ_OK)
        status = print_result(job, err);
    return status;
}

static void run_close(run_job *job)
{
    vecq_runner_destroy(job->runner);
    vecq_session_close(job->session);
    vecq_preparer_destroy(job->preparer);
    while (job->n_tensors > 0)
        vecq_tensor_destroy(&job->tensors[--job->n_tensors]);
    vecq_recipe_free(job->recipe);
    cli_engine_clear(&job->engine);
}

static int run_go(run_job *job)
{
    vecq_error err = VECQ_ERROR_INIT;

    if (run_once(job, &err) == VECQ_OK)
        return cli_finish_output(stdout, CLI_DONE);
    cli_error("%s", err.message[0] != '\0' ? err.message : vecq_status_name(err.status)); /* names the file */
    return CLI_FAILED;
}

static int run_cases(run_job *job)
{
    cli_case_options cases = {.command = job->command,
                              .folder = job->test_dir,
                              .model = job->model,
                              .session = &job->engine.options,
                              .rtol = job->rtol,
                              .atol = job->atol,
                              .json = job->json};

    if (job->n_inputs > 0 || job->n_outputs > 0 || job->text != NULL)
        return cli_usage(job->command,
                         "test cases have inputs and outputs of their own: drop -i, -o, --text");
    return cli_run_cases(&cases);
}

static int run_run(const cli_command *self, int argc, char **argv)
{
    run_job *job = cli_alloc(1, sizeof *job);
    vecq_error err = VECQ_ERROR_INIT;
    size_t n_operands = 0;
    int status;

    memset(job, 0, sizeof *job);
    job->command = self;
    job->top = 5;
    job->rtol = 1e-3;
    job->atol = 1e-6;
    cli_engine_init(&job->engine, self);
    if (vecq_recipe_create(&job->recipe, &err) != VECQ_OK) {
        free(job);
        return cli_failed("recipe", &err);
    }
    status = cli_parse(self, argc, argv, run_option, job, &job->model, 1, &n_operands);
    if (status == CLI_CONTINUE && n_operands == 0 && job->test_dir == NULL)
        status = cli_usage(self, "no model: name an ONNX file");
    if (status == CLI_CONTINUE)
        status = job->test_dir != NULL ? run_cases(job) : run_go(job);
    run_close(job);
    free(job);
    return status;
}

const cli_command cli_cmd_run = {
    "run",
    "MODEL [-i [NAME=]FILE]... [-o [NAME=]FILE]... [OPTIONS]\n--test-dir DIR [MODEL] [OPTIONS]",
    "run a model once, inputs and outputs from files",
    "Computes the outputs of an ONNX model, float or packed, and prints a summary of each, or writes them. "
    "Images\nand texts are prepared as a model written by 'vecq train' remembers; for others give mean and "
    "deviation with\n--set. --test-dir runs the test cases that come with ONNX models and compares.",
    options,
    "vecq run model.onnx -i x.npy -o y.npy\n"
    "vecq run model.onnx -i inputs.npz -o results/\n"
    "vecq run resnet20.onnx -i cat.png\n"
    "vecq run model.onnx -i x.npy --explain\n"
    "vecq run --test-dir node/test_conv_with_strides_padding",
    "A test case that fails has status 1.",
    run_run,
};
