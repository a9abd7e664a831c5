/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "options.h"
#include "table.h"
#include "text.h"

/* ---- options ---- */

void cli_engine_init(cli_engine *e, const cli_command *command)
{
    memset(e, 0, sizeof *e);
    e->command = command;
    vecq_session_options_default(&e->options);
}

void cli_engine_clear(cli_engine *e)
{
    while (e->n_texts > 0)
        free(e->texts[--e->n_texts]);
}

static char *engine_copy(cli_engine *e, const char *text)
{
    return e->texts[e->n_texts++] = cli_strdup(text);
}

static int engine_backends(cli_engine *e, const char *value)
{
    const char *names[16];
    size_t n = 0, index;
    char *word, *rest;

    if (e->n_texts == 2 * CLI_ENGINE_LIST_MAX)
        return cli_usage(e->command, "too many options");
    while (n < 16 && vecq_backend_label(n) != NULL) {
        names[n] = vecq_backend_label(n);
        n++;
    }
    e->options.backends = e->backends;
    e->options.n_backends = 0;
    for (word = engine_copy(e, value); word != NULL; word = rest) {
        int status;

        rest = strchr(word, ',');
        if (rest != NULL)
            *rest++ = '\0';
        status = cli_value_choice(e->command, "backend", word, names, n, &index);
        if (status != CLI_CONTINUE)
            return status;
        if (e->options.n_backends == 8)
            return cli_usage(e->command, "too many backends");
        e->backends[e->options.n_backends++] = names[index];
    }
    return CLI_CONTINUE;
}

static int engine_dim(cli_engine *e, const char *value)
{
    const char *sign = strrchr(value, '=');
    uint64_t n;
    char *name;

    if (sign == NULL || sign == value || !cli_text_number(sign + 1, 0, INT32_MAX, 1, &n))
        return cli_usage(e->command, "--dim takes NAME=N, not '%s'", value);
    if (e->options.n_dims == CLI_ENGINE_LIST_MAX || e->n_texts == 2 * CLI_ENGINE_LIST_MAX)
        return cli_usage(e->command, "too many dimensions");
    name = engine_copy(e, value);
    name[sign - value] = '\0';
    e->dims[e->options.n_dims].name = name;
    e->dims[e->options.n_dims++].size = (int64_t)n;
    e->options.dims = e->dims;
    return CLI_CONTINUE;
}

int cli_engine_option(cli_engine *e, int id, const char *value)
{
    static const char *const prefer[] = {"speed", "memory"}, *const bits[] = {"8"};
    size_t index = 0;
    int status = CLI_CONTINUE;

    switch (id) {
    case CLI_ENGINE_PREFER:
        status = cli_value_choice(e->command, "preference", value, prefer, 2, &index);
        e->options.prefer = (vecq_prefer)index;
        break;
    case CLI_ENGINE_ACT_BITS:
        status = cli_value_choice(e->command, "width of activations", value, bits, 1, &index);
        e->options.act_bits = 8;
        break;
    case CLI_ENGINE_DIM:
        return engine_dim(e, value);
    case CLI_ENGINE_BACKEND:
        return engine_backends(e, value);
    case CLI_ENGINE_CPU:
        return cli_value_cpu(e->command, value);
    default:
        break;
    }
    return status;
}

/* ---- tensors ---- */

int cli_shape_parse(const char *text, vecq_tensor *out)
{
    memset(out, 0, sizeof *out);
    if (*text == '\0' || strcmp(text, "scalar") == 0)
        return 1;
    for (;;) {
        char *end;
        long long n;

        if (*text < '0' || *text > '9' || out->rank == VECQ_MAX_RANK)
            return 0;
        n = strtoll(text, &end, 10);
        if (n > INT32_MAX)
            return 0;
        out->dims[out->rank++] = n;
        if (*end == '\0')
            return 1;
        if (*end != 'x' && *end != ',')
            return 0;
        text = end + 1;
    }
}

int cli_tensor_random(vecq_tensor *t, uint64_t seed, vecq_error *err)
{
    vecq_tensor shape = *t;
    float *x;
    size_t i;

    if (vecq_tensor_create(shape.dtype, shape.rank, shape.dims, t, err) != VECQ_OK)
        return 0;
    x = cli_alloc(t->count + 1, sizeof *x);
    vecq_random_fill(VECQ_RANDOM_GAUSSIAN, 0, seed, t->count, x);
    for (i = 0; i < t->count; i++) {
        int bit = x[i] > 0;

        switch (t->dtype) {
        case VECQ_DT_FLOAT:
            ((float *)t->data)[i] = x[i];
            break;
        case VECQ_DT_DOUBLE:
            ((double *)t->data)[i] = (double)x[i];
            break;
        case VECQ_DT_FLOAT16:
            ((uint16_t *)t->data)[i] = (uint16_t)(bit ? 0x3800 : 0xb800); /* one half and minus one half */
            break;
        case VECQ_DT_INT64:
        case VECQ_DT_UINT64:
            ((int64_t *)t->data)[i] = bit;
            break;
        case VECQ_DT_INT32:
        case VECQ_DT_UINT32:
            ((int32_t *)t->data)[i] = bit;
            break;
        case VECQ_DT_INT16:
        case VECQ_DT_UINT16:
            ((int16_t *)t->data)[i] = (int16_t)bit;
            break;
        default:
            ((uint8_t *)t->data)[i] = (uint8_t)bit;
            break;
        }
    }
    free(x);
    return 1;
}

/* Exact; a NaN stays one. */
static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 31;
    double m = h & 1023, sign = (h & 0x8000) != 0 ? -1 : 1;

    if (exponent == 31)
        return m != 0 ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent == 0 ? ldexp(m, -24) : ldexp(m + 1024, exponent - 25));
}

static double brain_value(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;

    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

double cli_tensor_get(vecq_dtype dtype, const void *data, size_t i)
{
    switch (dtype) {
    case VECQ_DT_FLOAT:
        return (double)((const float *)data)[i];
    case VECQ_DT_DOUBLE:
        return ((const double *)data)[i];
    case VECQ_DT_FLOAT16:
        return half_value(((const uint16_t *)data)[i]);
    case VECQ_DT_BFLOAT16:
        return brain_value(((const uint16_t *)data)[i]);
    case VECQ_DT_INT64:
        return (double)((const int64_t *)data)[i];
    case VECQ_DT_UINT64:
        return (double)((const uint64_t *)data)[i];
    case VECQ_DT_INT32:
        return ((const int32_t *)data)[i];
    case VECQ_DT_UINT32:
        return ((const uint32_t *)data)[i];
    case VECQ_DT_INT16:
        return ((const int16_t *)data)[i];
    case VECQ_DT_UINT16:
        return ((const uint16_t *)data)[i];
    case VECQ_DT_INT8:
        return ((const int8_t *)data)[i];
    case VECQ_DT_UINT8:
    case VECQ_DT_BOOL:
        return ((const uint8_t *)data)[i];
    default:
        return (double)NAN;
    }
}

/* ---- looking ---- */

int cli_engine_note_rounded(const cli_engine *e, const char *model, vecq_runner *runner, vecq_error *err)
{
    size_t layers;

    if (e->options.act_bits == 0)
        return 1;
    if (vecq_runner_rounded(runner, &layers, err) != VECQ_OK)
        return 0;
    cli_note_rounded(model, layers);
    return 1;
}

int cli_engine_print_steps(FILE *out, vecq_runner *runner, vecq_error *err)
{
    static const cli_column columns[] = {{"step", 'l', 1, 0},    {"op", 'l', 0, 0}, {"backend", 'l', 0, 0},
                                         {"weights", 'r', 0, 2}, {"ms", 'r', 0, 0}, {"when", 'l', 0, 3},
                                         {"how", 'l', 1, 4},     {"why", 'l', 1, 5}};
    cli_table *table;
    size_t n, i;

    if (vecq_runner_steps(runner, &n, err) != VECQ_OK)
        return 0;
    table = cli_table_new(columns, sizeof columns / sizeof *columns);
    for (i = 0; i < n; i++) {
        vecq_step_info s = vecq_runner_step(runner, i);
        char *bytes = cli_text_bytes(s.bytes_weights);

        cli_table_text(table, s.node);
        cli_table_text(table, s.op);
        cli_table_text(table, s.backend);
        cli_table_text(table, s.bytes_weights > 0 ? bytes : "");
        if (s.n_timed > 0 && !s.is_once)
            cli_table_format(table, "%.3f", 1e3 * s.seconds / (double)s.n_timed);
        else
            cli_table_text(table, "");
        cli_table_text(table, s.is_once ? "once" : "");
        cli_table_text(table, s.detail);
        cli_table_text(table, s.reason);
        free(bytes);
    }
    cli_table_print(table, out, cli_terminal_width(out));
    cli_table_free(table);
    return 1;
}

int cli_engine_json_steps(cJSON *object, vecq_runner *runner, const double *seconds, vecq_error *err)
{
    cJSON *steps = cli_json_array(object, "steps");
    size_t n, i;

    if (vecq_runner_steps(runner, &n, err) != VECQ_OK)
        return 0;
    for (i = 0; i < n; i++) {
        vecq_step_info s = vecq_runner_step(runner, i);
        cJSON *step = cli_json_append(steps);

        cli_json_text(step, "node", s.node);
        cli_json_text(step, "op", s.op);
        cli_json_text(step, "backend", s.backend);
        cli_json_text(step, "detail", s.detail);
        cli_json_text(step, "reason", s.reason);
        cli_json_bool(step, "integer", s.is_integer);
        cli_json_bool(step, "once", s.is_once);
        cli_json_integer(step, "weight_bytes", s.bytes_weights);
        cli_json_integer(step, "read_bytes", s.bytes_read);
        cli_json_integer(step, "written_bytes", s.bytes_written);
        cli_json_integer(step, "macs", s.macs);
        if (seconds != NULL && !s.is_once)
            cli_json_number(step, "seconds", seconds[i]);
        else
            cli_json_number(step, "seconds",
                            s.n_timed > 0 && !s.is_once ? s.seconds / (double)s.n_timed : (double)NAN);
    }
    return 1;
}

void cli_engine_json_memory(cJSON *object, const vecq_session *session, const vecq_runner *runner)
{
    cJSON *memory = cli_json_object(object, "memory");
    vecq_memory_info info;

    vecq_session_memory(session, runner, &info);
    cli_json_integer(memory, "file", info.file);
    cli_json_integer(memory, "mapped", info.mapped);
    cli_json_integer(memory, "weights", info.weights);
    cli_json_integer(memory, "workspace", info.workspace);
    cli_json_integer(memory, "peak", cli_peak_memory());
}

void cli_engine_json_io(cJSON *object, const char *name, vecq_dtype dtype, unsigned rank, const int64_t *dims)
{
    cli_json_text(object, "name", name);
    cli_json_text(object, "dtype", vecq_dtype_name(dtype));
    cli_json_integers(object, "shape", rank, dims);
}

uint64_t cli_peak_memory(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (uint64_t)usage.ru_maxrss * 1024;
}
