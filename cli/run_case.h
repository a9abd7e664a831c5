/* SPDX-License-Identifier: Apache-2.0 */
/* Test cases in the layout of ONNX: model.onnx, test_data_set_<n>/input_<i>.pb and output_<i>.pb. */
#ifndef CLI_RUN_CASE_H
#define CLI_RUN_CASE_H

#include "cli.h"

typedef struct cli_case_options {
    const cli_command *command;
    const char *folder;
    const char *model; /* NULL: folder/model.onnx */
    const vecq_session_options *session;
    double rtol, atol; /* |have - want| <= atol + rtol |want| */
    int json;
} cli_case_options;

/* Runs and compares every data set of the folder; an exit status. */
int cli_run_cases(const cli_case_options *options);

#endif
