/* SPDX-License-Identifier: Apache-2.0 */
/* vecq template: the step that is best for Gaussian weights, beside the paper's table. */
#include <stdlib.h>

#include "cli.h"
#include "json.h"
#include "options.h"
#include "table.h"

typedef struct template_options {
    const cli_command *command;
    unsigned bits; /* bit k: width k */
    int json;
} template_options;

enum { OPTION_JSON = CLI_LONG_ONLY };

static const cli_option options[] = {
    {'b', "bits", "LIST", "widths, 1 to 16: a number, a list 2,3,4 or a range 1-8\n(default 1-16)"},
    {OPTION_JSON, "json", NULL, "print one JSON object (docs/json.md)"},
    CLI_OPTION_HELP,
    CLI_OPTION_END,
};

static int template_option(void *context, int id, const char *value)
{
    template_options *o = context;

    switch (id) {
    case 'b':
        return cli_value_bits_list(o->command, value, &o->bits);
    case OPTION_JSON:
        o->json = 1;
        break;
    default:
        break;
    }
    return CLI_CONTINUE;
}

static void template_json(cJSON *rows, const vecq_template *t)
{
    cJSON *row = cli_json_append(rows);
    double lambda = vecq_lambda_table(t->bits);

    cli_json_integer(row, "bits", t->bits);
    cli_json_number(row, "lambda", t->lambda);
    cli_json_number(row, "orientation", t->orientation);
    cli_json_number(row, "angle", t->angle);
    cli_json_number(row, "mse", t->mse);
    cli_json_number(row, "cosine", 1 - t->orientation);
    cli_json_number(row, "table_lambda", lambda);
    cli_json_number(row, "table_orientation", vecq_template_orientation(t->bits, lambda));
}

static void template_row(cli_table *table, const vecq_template *t)
{
    double lambda = vecq_lambda_table(t->bits);

    cli_table_format(table, "%u", t->bits);
    cli_table_number(table, "%.12f", t->lambda);
    cli_table_number(table, "%.8g", t->orientation);
    cli_table_number(table, "%.6f", t->angle);
    cli_table_number(table, "%.8g", t->mse);
    cli_table_number(table, "%.10f", 1 - t->orientation);
    cli_table_number(table, t->bits <= 8 ? "%.4f" : "%.8f", lambda);
    cli_table_number(table, "%.8g", vecq_template_orientation(t->bits, lambda));
}

static void template_print(const vecq_template *rows, size_t n, int as_json)
{
    static const cli_column columns[] = {
        {"bits", 'r', 0, 0}, {"lambda", 'r', 0, 0}, {"J_o", 'r', 0, 0},          {"angle", 'r', 0, 0},
        {"MSE", 'r', 0, 3},  {"cosine", 'r', 0, 4}, {"paper lambda", 'r', 0, 1}, {"paper J_o", 'r', 0, 2},
    };
    size_t i;

    if (as_json) {
        cJSON *json = cli_json_begin("template"), *array = cli_json_array(json, "template");

        for (i = 0; i < n; i++)
            template_json(array, &rows[i]);
        cli_json_print(json, stdout);
    } else {
        cli_table *table = cli_table_new(columns, sizeof columns / sizeof *columns);

        for (i = 0; i < n; i++)
            template_row(table, &rows[i]);
        cli_table_print(table, stdout, cli_terminal_width(stdout));
        cli_table_free(table);
    }
}

static int template_run(const cli_command *self, int argc, char **argv)
{
    template_options o = {self, ((1u << VECQ_BITS_MAX) - 1) << 1, 0};
    vecq_template rows[VECQ_BITS_MAX];
    const char *none[1];
    size_t n_operands, n = 0;
    unsigned bits;
    int status = cli_parse(self, argc, argv, template_option, &o, none, 0, &n_operands);

    if (status != CLI_CONTINUE)
        return status;
    for (bits = 1; bits <= VECQ_BITS_MAX; bits++)
        if ((o.bits >> bits & 1) != 0 && vecq_template_solve(bits, &rows[n++]) != VECQ_OK) {
            cli_error("no template for %u bits", bits);
            return CLI_FAILED;
        }
    template_print(rows, n, o.json);
    return cli_finish_output(stdout, CLI_DONE);
}

const cli_command cli_cmd_template = {
    "template",
    "[-b LIST] [--json]",
    "print the best step for Gaussian weights at each width",
    "For weights that follow a Gaussian, the orientation loss J_o depends on the step alone. This prints\n"
    "the step that makes it smallest, lambda (in standard deviations), with J_o, the angle in degrees, the\n"
    "mean squared error for unit variance and the cosine there; and the paper's table (6 / 2^k above 8 "
    "bits)\n"
    "with its J_o. At 1 bit every lambda gives the same J_o.",
    options,
    "vecq template -b 4\n"
    "vecq template -b 2-8\n"
    "vecq template -b 8,9,10        # above 8 bits the paper's rule gets worse, not better\n"
    "vecq template --json",
    "",
    template_run,
};
