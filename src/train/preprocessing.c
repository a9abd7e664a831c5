/* SPDX-License-Identifier: Apache-2.0 */
#include "train/preprocessing.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
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

vecq_status vecq_preprocessing_vocabulary(const vecq_dataset_info *data, char **out, vecq_error *err)
{
    vecq_text_writer text = {NULL, 0, 0, 0};
    size_t i;

    *out = NULL;
    if (data->kind != VECQ_DATASET_TEXT)
        return VECQ_OK;
    for (i = 0; i < data->n_vocabulary; i++) {
        vecq_text_add(&text, data->vocabulary[i]);
        vecq_text_add(&text, "\n");
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

static vecq_status read_vocabulary(vecq_span bytes, char ***out, size_t *n, vecq_error *err)
{
    size_t i, begin = 0, capacity = 0;

    for (i = 0; i <= bytes.n; i++) {
        char *token;

        if (i < bytes.n ? bytes.data[i] != '\n' : begin == i) /* the last line may lack its end */
            continue;
        if (memchr(bytes.data + begin, '\0', i - begin) != NULL)
            return vecq_error_set(err, VECQ_ERR_FORMAT, "metadata %s: token %zu has a NUL in it",
                                  VECQ_METADATA_VOCABULARY, *n);
        if (!vecq_grow((void **)out, &capacity, *n, sizeof **out) ||
            (token = vecq_alloc(i - begin + 1, 1)) == NULL)
            return vecq_error_memory(err, bytes.n);
        memcpy(token, bytes.data + begin, i - begin);
        token[i - begin] = '\0';
        (*out)[(*n)++] = token;
        begin = i + 1;
    }
    return VECQ_OK;
}

vecq_status vecq_preprocessing_read(vecq_model *model, vecq_recipe *recipe, char ***vocabulary,
                                    size_t *n_vocabulary, vecq_error *err)
{
    vecq_span text = vecq_document_metadata(vecq_model_document(model), VECQ_METADATA_DATA);
    size_t i, begin = 0;

    *vocabulary = NULL;
    *n_vocabulary = 0;
    for (i = 0; i <= text.n; i++)
        if (text.n > 0 && (i == text.n || text.data[i] == '\n')) {
            VECQ_TRY(apply_line(recipe, (const char *)text.data + begin, i - begin, err));
            begin = i + 1;
        }
    return read_vocabulary(vecq_document_metadata(vecq_model_document(model), VECQ_METADATA_VOCABULARY),
                           vocabulary, n_vocabulary, err);
}

void vecq_preprocessing_free_vocabulary(char **vocabulary, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        vecq_free(vocabulary[i]);
    vecq_free((void *)vocabulary);
}
