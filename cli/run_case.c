/* SPDX-License-Identifier: Apache-2.0 */
#include "run_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "json.h"
#include "text.h"

/* Outcome of one data set. */
typedef struct case_result {
    char *name;
    char *why;                  /* it failed; NULL: passed */
    double deviation, relative; /* the largest of all outputs; relative: of values that are not 0 */
    uint64_t values;
} case_result;

typedef struct case_run {
    const cli_case_options *o;
    char *model;
    vecq_session *session;
    vecq_runner *runner;
    vecq_tensor inputs[256];
    size_t n_inputs;
} case_run;

static char *case_path(const case_run *run, size_t set, const char *kind, size_t index)
{
    return cli_format("%s/test_data_set_%zu/%s_%zu.pb", run->o->folder, set, kind, index);
}

static void result_fail(case_result *r, char *why)
{
    if (r->why == NULL)
        r->why = why;
    else
        free(why);
}

/* ---- comparing ---- */

static void compare_values(const case_run *run, const char *name, const vecq_view *have,
                           const vecq_tensor *want, case_result *r)
{
    size_t i;

    for (i = 0; i < want->count; i++) {
        double x = cli_tensor_get(have->dtype, have->data, i), y = cli_tensor_get(want->dtype, want->data, i);
        double d = fabs(x - y);

        if ((isnan(x) && isnan(y)) || x == y)
            continue;
        if (!isfinite(d))
            d = INFINITY;
        r->deviation = d > r->deviation ? d : r->deviation;
        if (y != 0 && d / fabs(y) > r->relative)
            r->relative = d / fabs(y);
        if (!(d <= run->o->atol + run->o->rtol * fabs(y)))
            result_fail(r, cli_format("output '%s', element %zu: %.9g, not %.9g", name, i, x, y));
    }
    r->values += want->count;
}

static void compare_output(const case_run *run, size_t i, const vecq_tensor *want, case_result *r)
{
    const vecq_io_info *io = vecq_session_output(run->session, i);
    vecq_error err = VECQ_ERROR_INIT;
    vecq_view have;
    char *a, *b;

    if (io == NULL) {
        result_fail(r, cli_format("the model has no output %zu", i));
        return;
    }
    if (vecq_runner_output(run->runner, io->name, &have, &err) != VECQ_OK) {
        result_fail(r, cli_strdup(err.message));
        return;
    }
    if (have.dtype != want->dtype || have.rank != want->rank ||
        memcmp(have.dims, want->dims, want->rank * sizeof *want->dims) != 0) {
        a = cli_text_shape(have.rank, have.dims);
        b = cli_text_shape(want->rank, want->dims);
        result_fail(r, cli_format("output '%s' is %s %s, not %s %s", io->name, vecq_dtype_name(have.dtype), a,
                                  vecq_dtype_name(want->dtype), b));
        free(a);
        free(b);
        return;
    }
    compare_values(run, io->name, &have, want, r);
}

/* ---- running ---- */

static int case_inputs(case_run *run, size_t set, case_result *r)
{
    vecq_error err = VECQ_ERROR_INIT;
    size_t i;

    for (i = 0; i < vecq_session_inputs(run->session) && i < 256; i++) {
        vecq_tensor *t = &run->inputs[i];
        char *path = case_path(run, set, "input", i);
        vecq_status status = vecq_proto_load(path, t, &err);

        free(path);
        run->n_inputs = i + 1;
        if (status == VECQ_OK)
            status = vecq_runner_bind(run->runner, vecq_session_input(run->session, i)->name, t->dtype,
                                      t->rank, t->dims, t->data, &err);
        if (status != VECQ_OK) {
            result_fail(r, cli_strdup(err.message));
            return 0;
        }
    }
    return 1;
}

static void case_compare(case_run *run, size_t set, case_result *r)
{
    size_t i;

    for (i = 0;; i++) {
        char *path = case_path(run, set, "output", i);
        vecq_error err = VECQ_ERROR_INIT;
        vecq_tensor want;
        int there = access(path, F_OK) == 0;

        if (there && vecq_proto_load(path, &want, &err) != VECQ_OK)
            result_fail(r, cli_strdup(err.message));
        else if (there)
            compare_output(run, i, &want, r);
        free(path);
        if (!there)
            break;
        vecq_tensor_destroy(&want);
    }
    if (i == 0)
        result_fail(r, cli_strdup("there is no output_0.pb"));
}

static void case_one(case_run *run, size_t set, case_result *r)
{
    vecq_error err = VECQ_ERROR_INIT;

    r->name = cli_format("test_data_set_%zu", set);
    if (vecq_runner_create(run->session, &run->runner, &err) != VECQ_OK)
        result_fail(r, cli_strdup(err.message));
    else if (case_inputs(run, set, r)) {
        if (vecq_runner_run(run->runner, &err) != VECQ_OK)
            result_fail(r, cli_strdup(err.message));
        else
            case_compare(run, set, r);
    }
    vecq_runner_destroy(run->runner);
    run->runner = NULL;
    while (run->n_inputs > 0)
        vecq_tensor_destroy(&run->inputs[--run->n_inputs]);
}

/* ---- printing ---- */

static void print_case(const case_result *r)
{
    char *why = r->why != NULL ? cli_text_escape(r->why) : NULL;

    printf("%s  %s  largest deviation %.3g (relative %.3g) of %llu values%s%s\n",
           r->why == NULL ? "pass" : "FAIL", r->name, r->deviation, r->relative,
           (unsigned long long)r->values, why != NULL ? ": " : "", why != NULL ? why : "");
    free(why);
}

static void json_case(cJSON *list, const case_result *r)
{
    cJSON *item = cli_json_append(list);

    cli_json_text(item, "name", r->name);
    cli_json_bool(item, "passed", r->why == NULL);
    cli_json_text(item, "reason", r->why);
    cli_json_number(item, "deviation", r->deviation);
    cli_json_number(item, "relative", r->relative);
    cli_json_integer(item, "values", r->values);
}

static int case_all(case_run *run)
{
    cJSON *json = run->o->json ? cli_json_begin(run->o->command->name) : NULL, *list = NULL;
    size_t set, n_failed = 0;

    if (json != NULL) {
        cli_json_text(json, "model", run->model);
        list = cli_json_array(json, "cases");
    }
    for (set = 0;; set++) {
        case_result r = {0};
        char *folder = cli_format("%s/test_data_set_%zu", run->o->folder, set);
        int there = access(folder, F_OK) == 0;

        free(folder);
        if (!there)
            break;
        case_one(run, set, &r);
        n_failed += r.why != NULL;
        if (json != NULL)
            json_case(list, &r);
        else
            print_case(&r);
        free(r.name);
        free(r.why);
    }
    if (json != NULL && set > 0) {
        cli_json_integer(json, "failed", n_failed);
        cli_json_print(json, stdout);
    } else if (json != NULL) {
        cJSON_Delete(json);
    }
    if (set == 0) {
        cli_error("%s: there is no test_data_set_0", run->o->folder);
        return CLI_FAILED;
    }
    return cli_finish_output(stdout, n_failed > 0 ? CLI_FAILED : CLI_DONE);
}

int cli_run_cases(const cli_case_options *o)
{
    case_run *run = cli_alloc(1, sizeof *run);
    vecq_error err = VECQ_ERROR_INIT;
    int status;

    memset(run, 0, sizeof *run);
    run->o = o;
    run->model = o->model != NULL ? cli_strdup(o->model) : cli_format("%s/model.onnx", o->folder);
    if (vecq_session_load(run->model, o->session, &run->session, &err) != VECQ_OK) {
        cli_error_library(run->model, &err);
        status = CLI_FAILED;
    } else {
        status = case_all(run);
    }
    vecq_session_close(run->session);
    free(run->model);
    free(run);
    return status;
}
