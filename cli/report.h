/* SPDX-License-Identifier: Apache-2.0 */
/* Printing of library reports, for the commands that work on models. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdio.h>

#include "cli.h"
#include "json.h"

/* How a report was made: it decides which of its numbers mean something. */
typedef enum cli_report_kind {
    CLI_REPORT_PLAN,
    CLI_REPORT_QUANTIZED,
    CLI_REPORT_UNPACKED,
    CLI_REPORT_INSPECTED
} cli_report_kind;

/* "model", "weights" and "summary" of docs/json.md. saved: NULL when no file was written. */
void cli_report_json(cJSON *object, const vecq_report *report, cli_report_kind kind,
                     const vecq_save_result *saved);
cJSON *cli_report_json_model(cJSON *object, const vecq_report *report);
void cli_report_json_weight(cJSON *object, const vecq_weight_info *w, cli_report_kind kind);

/* Table of the quantized weights and the summary below it. */
void cli_report_print(FILE *out, const vecq_report *report, const vecq_save_result *saved,
                      vecq_format format);
/* Every weight, what will happen to it, why not. */
void cli_report_print_plan(FILE *out, const vecq_report *report, vecq_format format);

/* Scales of activations, and what they cost. */
void cli_report_print_activations(FILE *out, const vecq_calibration *calibration);
void cli_report_json_activation(cJSON *object, const vecq_activation_info *a);

/* J_o that Gaussian weights would have with the lambda mode and width of w; NaN when that is unknown. */
double cli_expected_orientation(const char *method, vecq_lambda_mode mode, unsigned bits);
/* "4 bits, channel, search" of a weight that is or will be quantized. */
char *cli_report_how(const vecq_weight_info *w);
/* J_o that Gaussian weights would have; NaN where none is known. */
double cli_report_expected(const vecq_weight_info *w);

#endif
