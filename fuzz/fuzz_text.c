/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of text: on arbitrary bytes, from lines to ids. The first byte chooses how texts are cut. Labels and
 * ids stay in their ranges, every token of a built vocabulary is found again and is UTF-8 without a line
 * break.
 */
#include <stdlib.h>
#include <string.h>

#include "data/text_lines.h"
#include "data/utf8.h"
#include "data/vocabulary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

static void fuzz_ids(const vecq_vocabulary *vocabulary, const vecq_tokenizer *tokenizer,
                     const vecq_text_table *table, int start)
{
    vecq_token_ids ids = {NULL, 0, 0};
    size_t i;

    for (i = 0; i < table->n; i++)
        REQUIRE(vecq_vocabulary_encode(vocabulary, tokenizer, table->lines[i].text, start, &ids, NULL) ==
                VECQ_OK);
    for (i = 0; i < ids.n; i++)
        REQUIRE(ids.ids[i] < vocabulary->n);
    vecq_free(ids.ids);
}

static void fuzz_vocabulary(vecq_arena *arena, const vecq_text_table *table, uint8_t choice)
{
    vecq_dataset_options options;
    vecq_tokenizer tokenizer;
    vecq_vocabulary built, given;
    vecq_span *texts = vecq_alloc(table->n, sizeof *texts);
    size_t size = choice & 8 ? 5 : 0, i;
    int start = (choice & 16) != 0;

    vecq_dataset_defaults(&options);
    options.tokens = choice & 1 ? VECQ_TOKENS_CHARS : VECQ_TOKENS_WORDS;
    options.lowercase = (choice & 2) != 0;
    if (choice & 4)
        options.filter = NULL;
    vecq_tokenizer_init(&tokenizer, &options);
    REQUIRE(texts != NULL);
    for (i = 0; i < table->n; i++)
        texts[i] = table->lines[i].text;
    REQUIRE(vecq_vocabulary_build(arena, &tokenizer, texts, table->n, size, start, &built, NULL) == VECQ_OK);
    REQUIRE(size == 0 || built.n <= size);
    for (i = 0; i < built.n; i++) {
        vecq_span token = {(const uint8_t *)built.tokens[i], strlen(built.tokens[i])};

        REQUIRE(token.n > 0 && strpbrk(built.tokens[i], "\r\n") == NULL);
        REQUIRE(vecq_utf8_check("token", 1, token, NULL) == VECQ_OK);
        REQUIRE((size_t)(uintptr_t)vecq_map_get(&built.ids, built.tokens[i]) == i + 1);
    }
    fuzz_ids(&built, &tokenizer, table, start);
    /* what a model carries along is accepted again, and means the same */
    REQUIRE(vecq_vocabulary_set(arena, "given", built.tokens, built.n, &given, NULL) == VECQ_OK);
    REQUIRE(memcmp(given.special, built.special, sizeof given.special) == 0);
    fuzz_ids(&given, &tokenizer, table, start);
    vecq_vocabulary_clear(&built);
    vecq_vocabulary_clear(&given);
    vecq_free(texts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *names[] = {"zero", "one", "2"};
    uint8_t choice = n > 0 ? data[0] : 0;
    vecq_span file = {data + (n > 0), n - (n > 0)};
    vecq_arena arena = {0};
    vecq_text_classes classes = {0};
    vecq_text_table table;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_status status;
    size_t i;

    if (choice & 32)
        REQUIRE(vecq_text_classes_set(&classes, names, 3, NULL) == VECQ_OK);
    status = vecq_text_parse(&arena, file, "input", &classes, &table, &err);
    REQUIRE(status == VECQ_OK || status == VECQ_ERR_FORMAT);
    REQUIRE((status == VECQ_OK) == (err.message[0] == '\0'));
    if (status == VECQ_OK) {
        REQUIRE(table.n > 0 && classes.n > 0);
        for (i = 0; i < table.n; i++)
            REQUIRE(table.lines[i].label >= 0 && (size_t)table.lines[i].label < classes.n);
        fuzz_vocabulary(&arena, &table, choice);
        vecq_free(table.lines);
    }
    vecq_text_classes_clear(&classes);
    vecq_arena_clear(&arena);
    return 0;
}
