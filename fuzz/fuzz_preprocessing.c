/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model says of its data, in arbitrary bytes: it may change settings of preprocessing and nothing
 * else, and is refused in one line otherwise. The same bytes are tried as a vocabulary.
 */
#include <stdlib.h>
#include <string.h>

#include "data/vocabulary.h"
#include "train/preprocessing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

static void fuzz_settings(vecq_span text)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_recipe recipe;
    vecq_status status;
    size_t i;

    REQUIRE(vecq_recipe_defaults(&recipe, NULL) == VECQ_OK);
    status = vecq_preprocessing_apply(text, &recipe, &err);
    REQUIRE(status == VECQ_OK || status == VECQ_ERR_FORMAT);
    REQUIRE((status == VECQ_OK) == (err.message[0] == '\0') && strchr(err.message, '\n') == NULL);
    REQUIRE(recipe.data.train == NULL && recipe.data.test == NULL && recipe.model.file == NULL);
    for (i = 0; i < vecq_recipe_key_count(); i++) {
        const vecq_recipe_key *key = vecq_recipe_key_at(i);

        REQUIRE(!recipe.given[i] || strcmp(key->section, "data") == 0);
    }
    vecq_recipe_clear(&recipe);
}

static void fuzz_vocabulary(const uint8_t *data, size_t n)
{
    vecq_arena arena = {0};
    const char **tokens = NULL;
    vecq_error err = VECQ_ERROR_INIT;
    size_t n_tokens = 0;
    char *text = vecq_arena_string(&arena, (const char *)data, n);

    REQUIRE(text != NULL);
    if (vecq_vocabulary_split(&arena, "fuzz", text, &tokens, &n_tokens, &err) == VECQ_OK) {
        char *joined = vecq_vocabulary_join(tokens, n_tokens);

        REQUIRE(joined != NULL);
        vecq_free(joined);
    }
    vecq_arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vecq_span text = {data, n};

    fuzz_settings(text);
    fuzz_vocabulary(data, n);
    return 0;
}
