/* SPDX-License-Identifier: Apache-2.0 */
#include "train/preprocessing.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "data/vocabulary.h"
#include "onnx/trained.h"
#include "train/recipe_private.h"

/* Keys that are remembered as they are, and those that are remembered as they are used. */
static const char *const kept_keys[] = {"data.channels", "data.resize", "data.scale",  "data.tokens",
                                        "data.pad",      "data.cut",    "data.height", "data.width",
                                        "data.length",   "data.mean",   "data.std"};
#define KEPT_AS_GIVEN 6u

static void add_number(vecq_text_writer *text, const char *key, size_t value)
{
    if (value == 0)
        return;
    vecq_text_add(text, key);
    vecq_text_add_count(text, value);
    vecq_text_add(text, "\n");
}

static void add_list(vecq_text_writer *text, const char *key, const double *values, size_t n)
{
    size_t i;

    vecq_text_add(text, key);
    for (i = 0; i < n; i++) {
        vecq_text_add(text, i > 0 ? "," : "");
        vecq_text_add_real(text, values[i]);
    }
    vecq_text_add(text, "\n");
}

static vecq_status finish(vecq_text_writer *text, char **out, vecq_error *err)
{
    *out = NULL;
    if (text->failed) {
        vecq_text_clear(text);
        return vecq_error_memory(err, text->capacity);
    }
    *out = text->data;
    return VECQ_OK;
}

vecq_status vecq_preprocessing_text(const vecq_recipe *recipe, const vecq_dataset_info *data,
                                    const double *mean, const double *std, char **out, vecq_error *err)
{
    vecq_text_writer text = {NULL, 0, 0, 0};
    size_t i;

    for (i = 0; i < KEPT_AS_GIVEN; i++) {
        if (!vecq_recipe_is_given(recipe, kept_keys[i]))
            continue;
        vecq_text_add(&text, kept_keys[i]);
        vecq_text_add(&text, "=");
        vecq_recipe_value_write(recipe, vecq_recipe_key_find(kept_keys[i]), &text);
        vecq_text_add(&text, "\n");
    }
    add_number(&text, "data.height=", data->height);
    add_number(&text, "data.width=", data->width);
    add_number(&text, "data.length=", data->length);
    if (data->kind == VECQ_DATASET_IMAGES) {
        add_list(&text, "data.mean=", mean, data->channels);
        add_list(&text, "data.std=", std, data->channels);
    }
    return finish(&text, out, err);
}

static int is_kept(const char *text, size_t n)
{
    size_t i;

    for (i = 0; i < sizeof kept_keys / sizeof *kept_keys; i++)
        if (strlen(kept_keys[i]) == n && memcmp(kept_keys[i], text, n) == 0)
            return 1;
    return 0;
}

/* Nothing else is taken from a file: whoever wrote it does not choose places or limits here. */
static vecq_status apply_line(vecq_recipe *recipe, const char *line, size_t n, vecq_error *err)
{
    char text[VECQ_RECIPE_TEXT_MAX];

    if (n == 0)
        return VECQ_OK;
    memcpy(text, line, n < sizeof text ? n : 0);
    text[n < sizeof text ? n : 0] = '\0';
    if (!is_kept(text, strcspn(text, "=")) || strlen(text) != n)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "metadata %s: a line is no setting of data preprocessing",
                              VECQ_METADATA_DATA);
    return vecq_recipe_set(recipe, text, err);
}

vecq_status vecq_preprocessing_apply(vecq_span text, vecq_recipe *recipe, vecq_error *err)
{
    size_t i, begin = 0;

    for (i = 0; i <= text.n; i++)
        if (text.n > 0 && (i == text.n || text.data[i] == '\n')) {
            VECQ_TRY(apply_line(recipe, (const char *)text.data + begin, i - begin, err));
            begin = i + 1;
        }
    return VECQ_OK;
}

static vecq_status read_vocabulary(vecq_span bytes, vecq_arena *arena, const char ***out, size_t *n,
                                   vecq_error *err)
{
    const char *text;

    if (bytes.n == 0)
        return VECQ_OK;
    if (memchr(bytes.data, '\0', bytes.n) != NULL)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "metadata %s: there is a NUL in it",
                              VECQ_METADATA_VOCABULARY);
    text = vecq_arena_string(arena, (const char *)bytes.data, bytes.n);
    if (text == NULL)
        return vecq_error_memory(err, bytes.n);
    return vecq_vocabulary_split(arena, "metadata " VECQ_METADATA_VOCABULARY, text, out, n, err);
}

static vecq_status read_remembered(vecq_model *model, vecq_recipe *recipe, vecq_arena *arena,
                                   const char ***vocabulary, size_t *n_vocabulary, vecq_error *err)
{
    *vocabulary = NULL;
    *n_vocabulary = 0;
    VECQ_TRY(vecq_preprocessing_apply(vecq_document_metadata(vecq_model_document(model), VECQ_METADATA_DATA),
                                      recipe, err));
    return read_vocabulary(vecq_document_metadata(vecq_model_document(model), VECQ_METADATA_VOCABULARY),
                           arena, vocabulary, n_vocabulary, err);
}

vecq_status vecq_preprocessing_merge(vecq_model *model, const vecq_recipe *given, vecq_arena *arena,
                                     vecq_recipe *out, const char ***vocabulary, size_t *n_vocabulary,
                                     vecq_error *err)
{
    size_t i;

    VECQ_TRY(vecq_recipe_defaults(out, err));
    VECQ_TRY(read_remembered(model, out, arena, vocabulary, n_vocabulary, err));
    for (i = 0; i < vecq_recipe_key_count(); i++) {
        const vecq_recipe_key *key = vecq_recipe_key_at(i);
        char path[64];

        vecq_recipe_key_path(key, path);
        if (vecq_recipe_is_given(given, path))
            VECQ_TRY(vecq_recipe_copy_key(out, given, path, err));
    }
    return VECQ_OK;
}
