/* SPDX-License-Identifier: Apache-2.0 */
#include "vecq_test.h"

#include "data/vocabulary.h"
#include "data_files.h"
#include "fail_alloc.h"

static vecq_span span_of(const char *text)
{
    vecq_span span = {(const uint8_t *)text, strlen(text)};

    return span;
}

static vecq_tokenizer tokenizer_of(vecq_tokens kind, int lowercase, const char *filter)
{
    vecq_dataset_options o;
    vecq_tokenizer t;

    vecq_dataset_defaults(&o);
    o.tokens = kind;
    o.lowercase = lowercase;
    o.filter = filter;
    vecq_tokenizer_init(&t, &o);
    return t;
}

/* All tokens of a text, joined by "|". */
static void expect_tokens(vecq_tokenizer t, const char *text, const char *want)
{
    char got[1000] = "", token[VECQ_TOKEN_BYTES_MAX + 1];
    vecq_span rest = span_of(text), piece = {NULL, 0};
    vecq_token_role role;

    while (vecq_tokenizer_next(&t, &rest, &piece, token, &role)) {
        strcat(got, got[0] != '\0' ? "|" : "");
        strcat(got, role == VECQ_TOKEN_UNKNOWN ? "UNK" : role == VECQ_TOKEN_PAD ? "PAD" : token);
    }
    assert_string_equal(got, want);
}

static void words(void **state)
{
    char longer[400];

    (void)state;
    expect_tokens(tokenizer_of(VECQ_TOKENS_WORDS, 1, VECQ_FILTER_KERAS),
                  "  It's A \"good\" film,isn't it?\t(Yes!) ", "it's|a|good|film|isn't|it|yes");
    expect_tokens(tokenizer_of(VECQ_TOKENS_WORDS, 0, NULL), "Don't stop, NOW.", "Don't|stop,|NOW.");
    expect_tokens(tokenizer_of(VECQ_TOKENS_WORDS, 1, VECQ_FILTER_KERAS),
                  "\xc3\x84\xe3\x80\x80\xd0\x9c\xd0\x98\xd0\xa0\xc2\xa0x", /* blanks of other kinds */
                  "\xc3\xa4|\xd0\xbc\xd0\xb8\xd1\x80|x");
    expect_tokens(tokenizer_of(VECQ_TOKENS_WORDS, 1, VECQ_FILTER_KERAS), "a <unk> [PAD] <oov>, b",
                  "a|UNK|PAD|oov|b");
    expect_tokens(tokenizer_of(VECQ_TOKENS_WORDS, 1, NULL), "<Pad>", "PAD"); /* cannot become a word */
    expect_tokens(tokenizer_of(VECQ_TOKENS_WORDS, 1, NULL), "", "");
    expect_tokens(tokenizer_of(VECQ_TOKENS_WORDS, 1, VECQ_FILTER_KERAS), " ... --- ", "");
    memset(longer, 'y', 300);
    strcpy(longer + 300, " z");
    expect_tokens(tokenizer_of(VECQ_TOKENS_WORDS, 1, NULL), longer, "UNK|z");
}

static void characters(void **state)
{
    (void)state;
    expect_tokens(tokenizer_of(VECQ_TOKENS_CHARS, 1, VECQ_FILTER_KERAS), "A \xe4\xb8\xad!\xf0\x9f\x98\x80",
                  "a| |\xe4\xb8\xad|!|\xf0\x9f\x98\x80");
    expect_tokens(tokenizer_of(VECQ_TOKENS_CHARS, 0, NULL), "A<unk>", "A|<|u|n|k|>");
    expect_tokens(tokenizer_of(VECQ_TOKENS_CHARS, 0, NULL), "\ta\r\x7f\x01 b\t", "a| |b");
}

static void build(vecq_arena *arena, vecq_tokens kind, size_t size, int start, vecq_vocabulary *out)
{
    vecq_tokenizer t = tokenizer_of(kind, 1, VECQ_FILTER_KERAS);
    vecq_span texts[3] = {span_of("b a c b"), span_of("d b <unk> a <pad>"), span_of("E e d d")};
    vecq_error err = VECQ_ERROR_INIT;

    assert_ok(vecq_vocabulary_build(arena, &t, texts, 3, size, start, out, &err), &err);
}

static void most_frequent_first(void **state)
{
    static const char *const want[] = {"<pad>", "<unk>", "b", "d",
                                       "a",     "e",     "c"}; /* 3 b, 3 d, 2 a, 2 e, 1 c */
    static const size_t sizes[] = {0, 7, 100, 4, 2, 1};
    static const size_t counts[] = {7, 7, 7, 4, 2, 2};
    size_t k, i;

    (void)state;
    for (k = 0; k < 6; k++) {
        vecq_arena arena = {0};
        vecq_vocabulary v;

        build(&arena, VECQ_TOKENS_WORDS, sizes[k], 0, &v);
        assert_int_equal(v.n, counts[k]);
        for (i = 0; i < v.n; i++)
            assert_string_equal(v.tokens[i], want[i]);
        assert_int_equal(v.special[VECQ_TOKEN_PAD], 0);
        assert_int_equal(v.special[VECQ_TOKEN_UNKNOWN], 1);
        assert_true(v.special[VECQ_TOKEN_START] == SIZE_MAX);
        vecq_vocabulary_clear(&v);
        vecq_arena_clear(&arena);
    }
}

static void expect_ids(const vecq_vocabulary *v, vecq_tokenizer t, int start, const char *text,
                       const char *want)
{
    vecq_token_ids ids = {NULL, 0, 0};
    vecq_error err = VECQ_ERROR_INIT;
    char got[400] = "";
    size_t i;

    assert_ok(vecq_vocabulary_encode(v, &t, span_of(text), start, &ids, &err), &err);
    for (i = 0; i < ids.n; i++)
        sprintf(got + strlen(got), "%s%u", i > 0 ? " " : "", ids.ids[i]);
    assert_string_equal(got, want);
    vecq_free(ids.ids);
}

static void encoding(void **state)
{
    vecq_tokenizer t = tokenizer_of(VECQ_TOKENS_WORDS, 1, VECQ_FILTER_KERAS);
    vecq_arena arena = {0};
    vecq_vocabulary v;

    (void)state;
    build(&arena, VECQ_TOKENS_WORDS, 6, 1, &v); /* <pad> <start> <unk> b d a */
    expect_ids(&v, t, 1, "a b, x <unk> D <pad> <start>", "1 5 3 2 2 4 0 1");
    expect_ids(&v, t, 0, "a b", "5 3");
    expect_ids(&v, t, 1, "", "1");
    vecq_vocabulary_clear(&v);
    vecq_arena_clear(&arena);
}

static void given(void **state)
{
    static const char *const keras[] = {"<pad>", "<start>", "<oov>", "<unused>", "the", "and"};
    static const char *const last[] = {"a", "b", "<UNK>", "<PAD>"};
    static const char *const none[] = {"a", "b"};
    static const char *const twice[] = {"a", "b", "a"};
    static const char *const empty[] = {"a", ""};
    static const char *const lines[] = {"a\r"};
    vecq_tokenizer t = tokenizer_of(VECQ_TOKENS_WORDS, 1, VECQ_FILTER_KERAS);
    vecq_tokenizer chars = tokenizer_of(VECQ_TOKENS_CHARS, 1, NULL);
    vecq_arena arena = {0};
    vecq_vocabulary v;
    vecq_error err = VECQ_ERROR_INIT;

    (void)state;
    assert_ok(vecq_vocabulary_set(&arena, "m", keras, 6, &v, &err), &err);
    expect_ids(&v, t, 1, "The x and <unk>", "1 4 2 5 2");
    vecq_vocabulary_clear(&v);
    assert_ok(vecq_vocabulary_set(&arena, "m", last, 4, &v, &err), &err);
    assert_int_equal(v.special[VECQ_TOKEN_PAD], 3);
    expect_ids(&v, chars, 1, "abc", "0 1 2"); /* no <start> there: none is put */
    vecq_vocabulary_clear(&v);
    assert_ok(vecq_vocabulary_set(&arena, "m", none, 2, &v, &err), &err);
    expect_ids(&v, t, 0, "a x b <unk>", "0 1"); /* no <unk>: unknown words vanish */
    vecq_vocabulary_clear(&v);
    expect_error(vecq_vocabulary_set(&arena, "m", twice, 3, &v, &err), VECQ_ERR_FORMAT, &err,
                 "tokens 0 and 2", "'a'");
    expect_error(vecq_vocabulary_set(&arena, "m", empty, 2, &v, &err), VECQ_ERR_FORMAT, &err, "token 1",
                 "empty");
    expect_error(vecq_vocabulary_set(&arena, "m", lines, 1, &v, &err), VECQ_ERR_FORMAT, &err, "token 0");
    expect_error(vecq_vocabulary_set(&arena, "m", none, 0, &v, &err), VECQ_ERR_FORMAT, &err, "0 tokens");
    vecq_arena_clear(&arena);
}

static void as_one_string(void **state)
{
    static const char *const tokens[] = {"<pad>", "<unk>", " ", "\xe4\xb8\xad", "a b"};
    vecq_arena arena = {0};
    vecq_error err = VECQ_ERROR_INIT;
    const char **back;
    char *text = vecq_vocabulary_join(tokens, 5);
    size_t n, i;

    (void)state;
    assert_string_equal(text, "<pad>\n<unk>\n \n\xe4\xb8\xad\na b\n");
    assert_ok(vecq_vocabulary_split(&arena, "m", text, &back, &n, &err), &err);
    assert_int_equal(n, 5);
    for (i = 0; i < n; i++)
        assert_string_equal(back[i], tokens[i]);
    expect_error(vecq_vocabulary_split(&arena, "m.onnx", "", &back, &n, &err), VECQ_ERR_FORMAT, &err,
                 "m.onnx: ");
    vecq_free(text);
    vecq_arena_clear(&arena);
}

static vecq_status whole_life(void *context, vecq_error *err)
{
    vecq_tokenizer t = tokenizer_of(VECQ_TOKENS_WORDS, 1, NULL);
    vecq_span texts[1] = {span_of(context)};
    vecq_arena arena = {0};
    vecq_vocabulary v;
    vecq_token_ids ids = {NULL, 0, 0};
    vecq_status status = vecq_vocabulary_build(&arena, &t, texts, 1, 50, 1, &v, err);

    if (status == VECQ_OK)
        status = vecq_vocabulary_encode(&v, &t, texts[0], 1, &ids, err);
    vecq_free(ids.ids);
    vecq_vocabulary_clear(&v);
    vecq_arena_clear(&arena);
    return status;
}

static void out_of_memory(void **state)
{
    char text[2000] = "";
    int i;

    (void)state;
    for (i = 0; i < 200; i++)
        sprintf(text + strlen(text), "w%d ", i % 70);
    assert_true(vecq_fail_every_alloc(whole_life, text) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),         cmocka_unit_test(characters), cmocka_unit_test(most_frequent_first),
        cmocka_unit_test(encoding),      cmocka_unit_test(given),      cmocka_unit_test(as_one_string),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
