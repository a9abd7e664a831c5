/* SPDX-License-Identifier: Apache-2.0 */
/* From texts to numbers of tokens. */
#ifndef VECQ_DATA_VOCABULARY_H
#define VECQ_DATA_VOCABULARY_H

#include "base/alloc.h"
#include "base/map.h"
#include "base/span.h"
#include "data/dataset.h"

#define VECQ_TOKEN_BYTES_MAX 255u /* longer words are unknown */

/* What a token is, besides itself. */
typedef enum vecq_token_role {
    VECQ_TOKEN_WORD = 0,
    VECQ_TOKEN_PAD,
    VECQ_TOKEN_UNKNOWN,
    VECQ_TOKEN_START,
    VECQ_TOKEN_ROLES
} vecq_token_role;

/* How texts are cut; see vecq_dataset_options. */
typedef struct vecq_tokenizer {
    vecq_tokens kind;
    int lowercase;
    uint8_t filter[128]; /* non-zero: this ASCII character splits and vanishes */
} vecq_tokenizer;

void vecq_tokenizer_init(vecq_tokenizer *tokenizer, const vecq_dataset_options *options);

/* Cuts the next token off `text` (valid UTF-8), NUL-terminated; 0 at the end. A word written like a special
 * token, whatever the filter, has its role. `piece` begins as {NULL, 0} with each text. */
int vecq_tokenizer_next(const vecq_tokenizer *tokenizer, vecq_span *text, vecq_span *piece,
                        char token[VECQ_TOKEN_BYTES_MAX + 1], vecq_token_role *role);

typedef struct vecq_vocabulary {
    const char **tokens; /* [n], in the arena */
    size_t n;
    size_t special[VECQ_TOKEN_ROLES]; /* id, SIZE_MAX: there is none */
    vecq_map ids;                     /* to id + 1 */
} vecq_vocabulary;

/*
 * <pad>, <start> if asked for, <unk>, then the most frequent tokens of the n texts,
 * equals in the order in which they appear first; `size` in all, 0: every one.
 */
vecq_status vecq_vocabulary_build(vecq_arena *arena, const vecq_tokenizer *tokenizer, const vecq_span *texts,
                                  size_t n, size_t size, int start, vecq_vocabulary *out, vecq_error *err);

/* Takes over (copies) a list of tokens. `name` is for messages. */
vecq_status vecq_vocabulary_set(vecq_arena *arena, const char *name, const char *const *tokens, size_t n,
                                vecq_vocabulary *out, vecq_error *err);
/* A vocabulary as one string, a token in each line, as models carry it in their metadata; for vecq_free. NULL
 * when memory is out. And back, into the arena; `name` is for messages. */
char *vecq_vocabulary_join(const char *const *tokens, size_t n);
vecq_status vecq_vocabulary_split(vecq_arena *arena, const char *name, const char *text, const char ***tokens,
                                  size_t *n, vecq_error *err);

void vecq_vocabulary_clear(vecq_vocabulary *vocabulary);

/* Ids of a text, appended to a growing array. */
typedef struct vecq_token_ids {
    uint32_t *ids; /* for vecq_free */
    size_t n, capacity;
} vecq_token_ids;

vecq_status vecq_vocabulary_encode(const vecq_vocabulary *vocabulary, const vecq_tokenizer *tokenizer,
                                   vecq_span text, int start, vecq_token_ids *out, vecq_error *err);

#endif
