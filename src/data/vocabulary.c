/* SPDX-License-Identifier: Apache-2.0 */
#include "data/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "data/dataset_private.h"
#include "data/utf8.h"

static const struct {
    const char *text;
    vecq_token_role role;
} vocabulary_specials[] = {
    {"<pad>", VECQ_TOKEN_PAD},     {"<PAD>", VECQ_TOKEN_PAD},     {"[PAD]", VECQ_TOKEN_PAD},
    {"<unk>", VECQ_TOKEN_UNKNOWN}, {"<UNK>", VECQ_TOKEN_UNKNOWN}, {"[UNK]", VECQ_TOKEN_UNKNOWN},
    {"<oov>", VECQ_TOKEN_UNKNOWN}, {"<OOV>", VECQ_TOKEN_UNKNOWN}, {"<start>", VECQ_TOKEN_START},
    {"<START>", VECQ_TOKEN_START}, {"[CLS]", VECQ_TOKEN_START},
};

static vecq_token_role vocabulary_role(const uint8_t *text, size_t n)
{
    size_t i;

    for (i = 0; n >= 5 && i < sizeof vocabulary_specials / sizeof *vocabulary_specials; i++)
        if (strlen(vocabulary_specials[i].text) == n && memcmp(vocabulary_specials[i].text, text, n) == 0)
            return vocabulary_specials[i].role;
    return VECQ_TOKEN_WORD;
}

/* ---- cutting ---- */

void vecq_tokenizer_init(vecq_tokenizer *tokenizer, const vecq_dataset_options *options)
{
    const char *c;

    memset(tokenizer, 0, sizeof *tokenizer);
    tokenizer->kind = options->tokens;
    tokenizer->lowercase = options->lowercase;
    for (c = options->filter != NULL ? options->filter : ""; *c != '\0'; c++)
        if ((unsigned char)*c < 128)
            tokenizer->filter[(unsigned char)*c] = 1;
}

static void tokenizer_skip(vecq_span *text, size_t n)
{
    text->data += n;
    text->n -= n;
}

/* The character that begins `text`; damage, which a caller should not let in, passes as one byte. */
static size_t tokenizer_character(vecq_span text, uint32_t *code)
{
    size_t n = vecq_utf8_character(text, code);

    if (n == 0) {
        *code = 0xfffd;
        n = 1;
    }
    return n;
}

/* Up to the next white space. */
static vecq_span tokenizer_piece(vecq_span *text)
{
    vecq_span piece = {NULL, 0};
    uint32_t code;

    while (text->n > 0) {
        size_t n = tokenizer_character(*text, &code);
        int space = vecq_utf8_is_space(code);

        if (space && piece.n > 0)
            break;
        if (!space) {
            piece.data = piece.n == 0 ? text->data : piece.data;
            piece.n += n;
        }
        tokenizer_skip(text, n);
    }
    return piece;
}

/* Copies n bytes that are a token, as small letters if asked for. */
static vecq_token_role tokenizer_copy(const vecq_tokenizer *tokenizer, vecq_span word, char *token)
{
    size_t at = 0;

    if (word.n > VECQ_TOKEN_BYTES_MAX) {
        token[0] = '\0';
        return VECQ_TOKEN_UNKNOWN;
    }
    memcpy(token, word.data, word.n);
    token[word.n] = '\0';
    while (tokenizer->lowercase && at < word.n) {
        vecq_span rest = {word.data + at, word.n - at};
        uint32_t code, small;
        size_t n = tokenizer_character(rest, &code);

        small = vecq_utf8_lower(code);
        if (small != code)
            vecq_utf8_put(small, n, (uint8_t *)token + at);
        at += n;
    }
    return tokenizer->kind == VECQ_TOKENS_CHARS ? VECQ_TOKEN_WORD
                                                : vocabulary_role((const uint8_t *)token, word.n);
}

static int tokenizer_is_filtered(const vecq_tokenizer *tokenizer, uint8_t c)
{
    return c < 128 && tokenizer->filter[c];
}

int vecq_tokenizer_next(const vecq_tokenizer *tokenizer, vecq_span *text, vecq_span *piece,
                        char token[VECQ_TOKEN_BYTES_MAX + 1], vecq_token_role *role)
{
    vecq_span word;
    uint32_t code;

    if (tokenizer->kind == VECQ_TOKENS_CHARS) {
        do { /* control characters are no text */
            if (text->n == 0)
                return 0;
            word.data = text->data;
            word.n = tokenizer_character(*text, &code);
            tokenizer_skip(text, word.n);
        } while (code < 0x20 || code == 0x7f);
        *role = tokenizer_copy(tokenizer, word, token);
        return 1;
    }
    for (;;) {
        if (piece->n == 0) {
            *piece = tokenizer_piece(text);
            if (piece->n == 0)
                return 0;
            *role = vocabulary_role(piece->data, piece->n);
            if (*role != VECQ_TOKEN_WORD) {
                memcpy(token, piece->data, piece->n);
                token[piece->n] = '\0';
                piece->n = 0;
                return 1;
            }
        }
        while (piece->n > 0 && tokenizer_is_filtered(tokenizer, piece->data[0]))
            tokenizer_skip(piece, 1);
        for (word.data = piece->data, word.n = 0; word.n < piece->n; word.n++)
            if (tokenizer_is_filtered(tokenizer, word.data[word.n]))
                break;
        tokenizer_skip(piece, word.n);
        if (word.n > 0) {
            *role = tokenizer_copy(tokenizer, word, token);
            return 1;
        }
    }
}

/* ---- building ---- */

typedef struct vocabulary_entry {
    const char *token;
    size_t count, first; /* occurrences; number of the first one */
} vocabulary_entry;

static int vocabulary_compare(const void *a, const void *b)
{
    const vocabulary_entry *x = *(const vocabulary_entry *const *)a, *y = *(const vocabulary_entry *const *)b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->first < y->first ? -1 : 1;
}

/* Counts in a region and a map of its own, which go away when the best are known. */
typedef struct vocabulary_count {
    vecq_arena arena;
    vecq_map map;
    vocabulary_entry **entries;
    size_t n, capacity;
} vocabulary_count;

static vecq_status vocabulary_add(vocabulary_count *count, const char *token, vecq_error *err)
{
    vocabulary_entry *entry = vecq_map_get(&count->map, token);

    if (entry == NULL) {
        entry = vecq_arena_alloc(&count->arena, 1, sizeof *entry);
        if (entry == NULL ||
            (entry->token = vecq_arena_string(&count->arena, token, strlen(token))) == NULL ||
            !vecq_grow((void **)&count->entries, &count->capacity, count->n, sizeof *count->entries) ||
            !vecq_map_put(&count->map, entry->token, entry))
            return vecq_error_memory(err, sizeof *entry);
        entry->first = count->n;
        count->entries[count->n++] = entry;
    }
    entry->count++;
    return VECQ_OK;
}

static vecq_status vocabulary_put(vecq_vocabulary *out, vecq_arena *arena, const char *token,
                                  vecq_token_role role, vecq_error *err)
{
    char *copy = vecq_arena_string(arena, token, strlen(token));

    if (copy == NULL || !vecq_map_put(&out->ids, copy, (void *)(uintptr_t)(out->n + 1)))
        return vecq_error_memory(err, strlen(token));
    if (role != VECQ_TOKEN_WORD && out->special[role] == SIZE_MAX)
        out->special[role] = out->n;
    out->tokens[out->n++] = copy;
    return VECQ_OK;
}

static vecq_status vocabulary_begin(vecq_vocabulary *out, vecq_arena *arena, size_t n, vecq_error *err)
{
    size_t i;

    memset(out, 0, sizeof *out);
    for (i = 0; i < VECQ_TOKEN_ROLES; i++)
        out->special[i] = SIZE_MAX;
    out->tokens = vecq_arena_alloc(arena, n, sizeof *out->tokens);
    return out->tokens != NULL ? VECQ_OK : vecq_error_memory(err, n * sizeof *out->tokens);
}

static vecq_status vocabulary_best(vecq_arena *arena, vocabulary_count *count, size_t size, int start,
                                   vecq_vocabulary *out, vecq_error *err)
{
    size_t specials = start ? 3 : 2, n = count->n, i;

    if (size > 0 && n > (size > specials ? size - specials : 0))
        n = size > specials ? size - specials : 0;
    if (count->n > 0)
        qsort(count->entries, count->n, sizeof *count->entries, vocabulary_compare);
    VECQ_TRY(vocabulary_begin(out, arena, n + specials, err));
    VECQ_TRY(vocabulary_put(out, arena, "<pad>", VECQ_TOKEN_PAD, err));
    if (start)
        VECQ_TRY(vocabulary_put(out, arena, "<start>", VECQ_TOKEN_START, err));
    VECQ_TRY(vocabulary_put(out, arena, "<unk>", VECQ_TOKEN_UNKNOWN, err));
    for (i = 0; i < n; i++)
        VECQ_TRY(vocabulary_put(out, arena, count->entries[i]->token, VECQ_TOKEN_WORD, err));
    return VECQ_OK;
}

vecq_status vecq_vocabulary_build(vecq_arena *arena, const vecq_tokenizer *tokenizer, const vecq_span *texts,
                                  size_t n, size_t size, int start, vecq_vocabulary *out, vecq_error *err)
{
    vocabulary_count count = {.n = 0};
    char token[VECQ_TOKEN_BYTES_MAX + 1];
    vecq_token_role role;
    vecq_status status = VECQ_OK;
    size_t i;

    memset(out, 0, sizeof *out);
    for (i = 0; i < n && status == VECQ_OK; i++) {
        vecq_span text = texts[i], piece = {NULL, 0};

        while (status == VECQ_OK && vecq_tokenizer_next(tokenizer, &text, &piece, token, &role))
            if (role == VECQ_TOKEN_WORD)
                status = vocabulary_add(&count, token, err);
    }
    if (status == VECQ_OK)
        status = vocabulary_best(arena, &count, size, start, out, err);
    vecq_map_clear(&count.map);
    vecq_free(count.entries);
    vecq_arena_clear(&count.arena);
    if (status != VECQ_OK)
        vecq_vocabulary_clear(out);
    return status;
}

vecq_status vecq_vocabulary_set(vecq_arena *arena, const char *name, const char *const *tokens, size_t n,
                                vecq_vocabulary *out, vecq_error *err)
{
    vecq_status status = VECQ_OK;
    size_t i;

    memset(out, 0, sizeof *out);
    if (n == 0 || n > UINT32_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: a vocabulary of %zu tokens", name, n);
    VECQ_TRY(vocabulary_begin(out, arena, n, err));
    for (i = 0; i < n && status == VECQ_OK; i++) {
        vecq_span span = {(const uint8_t *)tokens[i], strlen(tokens[i])};
        size_t known = (size_t)(uintptr_t)vecq_map_get(&out->ids, tokens[i]);

        if (span.n == 0 || strpbrk(tokens[i], "\r\n") != NULL)
            status = vecq_error_set(err, VECQ_ERR_FORMAT, "%s: token %zu of the vocabulary is %s", name, i,
                                    span.n == 0 ? "empty" : "more than a line");
        else if (known > 0)
            status = vecq_error_set(err, VECQ_ERR_FORMAT,
                                    "%s: tokens %zu and %zu of the vocabulary are both '%.60s'", name,
                                    known - 1, i, tokens[i]);
        else
            status = vocabulary_put(out, arena, tokens[i], vocabulary_role(span.data, span.n), err);
    }
    if (status != VECQ_OK)
        vecq_vocabulary_clear(out);
    return status;
}

char *vecq_vocabulary_join(const char *const *tokens, size_t n)
{
    size_t bytes = 1, i;
    char *text, *at;

    for (i = 0; i < n; i++)
        if (!vecq_add_size(bytes, strlen(tokens[i]) + 1, &bytes))
            return NULL;
    text = at = vecq_alloc(bytes, 1);
    for (i = 0; i < n && text != NULL; i++) {
        size_t length = strlen(tokens[i]);

        memcpy(at, tokens[i], length);
        at[length] = '\n';
        at += length + 1;
    }
    if (text != NULL)
        *at = '\0';
    return text;
}

vecq_status vecq_vocabulary_split(vecq_arena *arena, const char *name, const char *text, const char ***tokens,
                                  size_t *n, vecq_error *err)
{
    vecq_span bytes = {(const uint8_t *)text, strlen(text)};

    return vecq_data_names_parse(arena, name, bytes, tokens, n, err);
}

void vecq_vocabulary_clear(vecq_vocabulary *vocabulary)
{
    vecq_map_clear(&vocabulary->ids);
    memset(vocabulary, 0, sizeof *vocabulary);
}

/* ---- using ---- */

static vecq_status vocabulary_append(vecq_token_ids *out, size_t id, vecq_error *err)
{
    if (!vecq_grow((void **)&out->ids, &out->capacity, out->n, sizeof *out->ids))
        return vecq_error_memory(err, (out->n + 1) * sizeof *out->ids);
    out->ids[out->n++] = (uint32_t)id;
    return VECQ_OK;
}

vecq_status vecq_vocabulary_encode(const vecq_vocabulary *vocabulary, const vecq_tokenizer *tokenizer,
                                   vecq_span text, int start, vecq_token_ids *out, vecq_error *err)
{
    char token[VECQ_TOKEN_BYTES_MAX + 1];
    vecq_span piece = {NULL, 0};
    vecq_token_role role;

    if (start && vocabulary->special[VECQ_TOKEN_START] != SIZE_MAX)
        VECQ_TRY(vocabulary_append(out, vocabulary->special[VECQ_TOKEN_START], err));
    while (vecq_tokenizer_next(tokenizer, &text, &piece, token, &role)) {
        size_t id = vocabulary->special[role == VECQ_TOKEN_WORD ? VECQ_TOKEN_UNKNOWN : role];

        if (role == VECQ_TOKEN_WORD) {
            size_t known = (size_t)(uintptr_t)vecq_map_get(&vocabulary->ids, token);

            id = known > 0 ? known - 1 : id;
        }
        if (id != SIZE_MAX)
            VECQ_TRY(vocabulary_append(out, id, err));
    }
    return VECQ_OK;
}
