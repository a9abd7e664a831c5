/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recipes of arbitrary bytes. What is accepted must come back the same from its canonical form, whatever the
 * check says about it; what is refused has a message of one line. A line of the input is also tried as a
 * setting.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "train/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

static void fuzz_message(vecq_status status, const vecq_error *err)
{
    REQUIRE((status == VECQ_OK) == (err->message[0] == '\0'));
    REQUIRE(strchr(err->message, '\n') == NULL);
}

static void fuzz_round_trip(const vecq_recipe *recipe)
{
    vecq_recipe again;
    char *first, *second;
    size_t n_first, n_second;

    REQUIRE(vecq_recipe_write(recipe, &first, &n_first, NULL) == VECQ_OK);
    if (n_first <= 256 << 10) { /* escapes can make it longer than a file may be */
        REQUIRE(vecq_recipe_parse(first, n_first, "again", &again, NULL) == VECQ_OK);
        REQUIRE(vecq_recipe_write(&again, &second, &n_second, NULL) == VECQ_OK);
        REQUIRE(n_first == n_second && memcmp(first, second, n_first) == 0);
        vecq_free(second);
        vecq_recipe_clear(&again);
    }
    vecq_free(first);
}

static void fuzz_settings(const uint8_t *data, size_t n)
{
    vecq_recipe recipe;
    size_t length = 0;
    char line[512];

    while (length < n && length < sizeof line - 1 && data[length] != '\n' && data[length] != '\0')
        length++;
    if (length > 0)
        memcpy(line, data, length);
    line[length] = '\0';
    REQUIRE(vecq_recipe_defaults(&recipe, NULL) == VECQ_OK);
    {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_status status = vecq_recipe_set(&recipe, line, &err);

        REQUIRE(status == VECQ_OK || status == VECQ_ERR_FORMAT);
        fuzz_message(status, &err);
    }
    fuzz_round_trip(&recipe);
    vecq_recipe_clear(&recipe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_recipe recipe;
    vecq_status status = vecq_recipe_parse(data, n, "fuzz", &recipe, &err);

    REQUIRE(status == VECQ_OK || status == VECQ_ERR_FORMAT);
    fuzz_message(status, &err);
    if (status == VECQ_OK) {
        status = vecq_recipe_check(&recipe, &err);
        REQUIRE(status == VECQ_OK || status == VECQ_ERR_UNSUPPORTED);
        fuzz_message(status, &err);
        fuzz_round_trip(&recipe);
    }
    vecq_recipe_clear(&recipe);
    fuzz_settings(data, n);
    return 0;
}
