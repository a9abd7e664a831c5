/* SPDX-License-Identifier: Apache-2.0 */
/* JSON output on cJSON: out of memory ends the command, strings are valid UTF-8, NaN and infinity are null.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

/* The object every --json output is: {"command": NAME, "vecq": VERSION}. First call of all. */
cJSON *cli_json_begin(const char *command);
/* Prints with a newline at the end and deletes it. */
void cli_json_print(cJSON *object, FILE *out);

cJSON *cli_json_object(cJSON *parent, const char *key);
cJSON *cli_json_array(cJSON *parent, const char *key);
cJSON *cli_json_append(cJSON *array); /* a new object at the end of an array */
void cli_json_text(cJSON *object, const char *key, const char *value); /* NULL: null */
void cli_json_number(cJSON *object, const char *key, double value);
void cli_json_integer(cJSON *object, const char *key, uint64_t value);
void cli_json_bool(cJSON *object, const char *key, int value);
void cli_json_null(cJSON *object, const char *key);
void cli_json_integers(cJSON *object, const char *key, size_t n, const int64_t *values);

#endif
