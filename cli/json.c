/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cli.h"
#include "text.h"

static void *json_allocate(size_t n)
{
    return cli_realloc(NULL, n, 1); /* never NULL, so no call of cJSON below can fail */
}

cJSON *cli_json_begin(const char *command)
{
    cJSON_Hooks hooks = {json_allocate, free};
    cJSON *object;

    cJSON_InitHooks(&hooks);
    object = cJSON_CreateObject();
    cli_json_text(object, "command", command);
    cli_json_text(object, "vecq", vecq_version());
    return object;
}

void cli_json_print(cJSON *object, FILE *out)
{
    char *text = cJSON_Print(object);

    fputs(text, out);
    fputc('\n', out);
    cJSON_free(text);
    cJSON_Delete(object);
}

cJSON *cli_json_object(cJSON *parent, const char *key)
{
    return cJSON_AddObjectToObject(parent, key);
}

cJSON *cli_json_array(cJSON *parent, const char *key)
{
    return cJSON_AddArrayToObject(parent, key);
}

cJSON *cli_json_append(cJSON *array)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddItemToArray(array, object);
    return object;
}

void cli_json_text(cJSON *object, const char *key, const char *value)
{
    char *copy;

    if (value == NULL) {
        cJSON_AddNullToObject(object, key);
        return;
    }
    copy = cli_text_utf8(value);
    cJSON_AddStringToObject(object, key, copy);
    free(copy);
}

void cli_json_number(cJSON *object, const char *key, double value)
{
    char *text = cli_text_double(value); /* cJSON itself rounds the last digit away */

    if (text[0] != '\0')
        cJSON_AddRawToObject(object, key, text);
    else
        cJSON_AddNullToObject(object, key);
    free(text);
}

void cli_json_integer(cJSON *object, const char *key, uint64_t value)
{
    char *text = cli_format("%" PRIu64, value);

    cJSON_AddRawToObject(object, key, text);
    free(text);
}

void cli_json_bool(cJSON *object, const char *key, int value)
{
    cJSON_AddBoolToObject(object, key, value != 0);
}

void cli_json_null(cJSON *object, const char *key)
{
    cJSON_AddNullToObject(object, key);
}

void cli_json_integers(cJSON *object, const char *key, size_t n, const int64_t *values)
{
    cJSON *array = cJSON_AddArrayToObject(object, key);
    size_t i;

    for (i = 0; i < n; i++) {
        char *text = cli_format("%" PRId64, values[i]);

        cJSON_AddItemToArray(array, cJSON_CreateRaw(text));
        free(text);
    }
}
