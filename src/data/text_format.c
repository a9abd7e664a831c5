/* SPDX-License-Identifier: Apache-2.0 */
/* text:PLACE, lines "label<TAB>text" in one file or in a folder of parts. */
#include <string.h>

#include "base/file.h"
#include "base/status.h"
#include "data/dataset_private.h"
#include "data/text_lines.h"
#include "data/utf8.h"
#include "data/vocabulary.h"

/* One file, kept open while its lines are used. */
typedef struct text_part {
    const char *path; /* NULL: there is none */
    vecq_mapping file;
    vecq_text_table table;
} text_part;

typedef struct text_open_state {
    text_part part, training; /* of the split; of the vocabulary and classes, if that is another one */
    vecq_text_classes classes;
    vecq_tokenizer tokenizer;
    vecq_vocabulary vocabulary;
    vecq_token_ids ids; /* of all texts of the split */
    size_t *ends;       /* [n]: where the ids of a text end */
    uint32_t *index;    /* lines of the split */
} text_open_state;

static vecq_status text_read(vecq_dataset *dataset, text_part *part, vecq_text_classes *classes,
                             vecq_error *err)
{
    VECQ_TRY(vecq_mapping_open(part->path, &part->file, err));
    return vecq_text_parse(&dataset->arena, part->file.bytes, part->path, classes, &part->table, err);
}

/* DIR/name if there is such a file. */
static vecq_status text_find_file(vecq_dataset *dataset, const char *dir, const char *name, const char **out,
                                  vecq_error *err)
{
    *out = vecq_data_path(&dataset->arena, dir, name);
    if (*out == NULL)
        return vecq_error_memory(err, strlen(dir));
    if (!vecq_data_is_file(*out))
        *out = NULL;
    return VECQ_OK;
}

/* The files of a folder. */
static vecq_status text_folder(vecq_dataset *dataset, const char *dir, text_open_state *state,
                               vecq_error *err)
{
    const char *train, *dev, *test, *names_path, **names;
    size_t n;

    VECQ_TRY(text_find_file(dataset, dir, "train.txt", &train, err));
    VECQ_TRY(text_find_file(dataset, dir, "dev.txt", &dev, err));
    if (dev == NULL)
        VECQ_TRY(text_find_file(dataset, dir, "val.txt", &dev, err));
    VECQ_TRY(text_find_file(dataset, dir, "test.txt", &test, err));
    VECQ_TRY(text_find_file(dataset, dir, "class.txt", &names_path, err));
    if (names_path != NULL) {
        VECQ_TRY(vecq_data_names_read(&dataset->arena, names_path, &names, &n, err));
        VECQ_TRY(vecq_text_classes_set(&state->classes, names, n, err));
    }
    if (vecq_data_in_training(dataset)) {
        state->part.path = train;
    } else {
        state->part.path = dataset->options.split == VECQ_SPLIT_TEST ? test : dev;
        state->training.path = train;
    }
    if (state->part.path != NULL)
        return VECQ_OK;
    if (dataset->options.split == VECQ_SPLIT_VALIDATION && train != NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "%s: has neither dev.txt nor val.txt; hold back training samples (holdout)",
                              dir);
    return vecq_error_set(
        err, VECQ_ERR_IO,
        "%s: has no %s; text: needs train.txt, test.txt and, if wanted, dev.txt and class.txt there", dir,
        dataset->options.split == VECQ_SPLIT_TEST ? "test.txt" : "train.txt");
}

static vecq_status text_places(vecq_dataset *dataset, const char *place, text_open_state *state,
                               vecq_error *err)
{
    if (vecq_data_is_dir(place))
        return text_folder(dataset, place, state, err);
    if (!vecq_data_is_file(place))
        return vecq_error_set(err, VECQ_ERR_IO, "%s: no such file or folder", place);
    if (dataset->options.split == VECQ_SPLIT_VALIDATION && !vecq_data_in_training(dataset))
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED,
                              "%s: one file has no validation part; hold back training samples (holdout)",
                              place);
    dataset->info.undivided = 1;
    state->part.path = place;
    return VECQ_OK;
}

/* ---- vocabulary ---- */

/* Built from the training lines: those of another file, or of this one less the holdout. */
static vecq_status text_build(vecq_dataset *dataset, text_open_state *state, vecq_error *err)
{
    const vecq_dataset_options *o = &dataset->options;
    const text_part *from = state->training.path != NULL ? &state->training : &state->part;
    int training = state->training.path != NULL || vecq_data_in_training(dataset);
    uint32_t *index;
    size_t n, i;
    vecq_span *texts;
    vecq_status status;

    VECQ_TRY(vecq_data_select(dataset, from->path, from->table.n, training ? VECQ_DATA_KEPT : VECQ_DATA_ALL,
                              &index, &n, err));
    texts = vecq_alloc(n, sizeof *texts);
    for (i = 0; i < n && texts != NULL; i++)
        texts[i] = from->table.lines[index[i]].text;
    vecq_free(index);
    if (texts == NULL)
        return vecq_error_memory(err, n * sizeof *texts);
    status = vecq_vocabulary_build(&dataset->arena, &state->tokenizer, texts, n, o->vocabulary_size,
                                   o->start_token, &state->vocabulary, err);
    vecq_free(texts);
    return status;
}

static vecq_status text_vocabulary(vecq_dataset *dataset, text_open_state *state, vecq_error *err)
{
    const vecq_dataset_options *o = &dataset->options;
    vecq_dataset_info *info = &dataset->info;

    if (o->vocabulary != NULL)
        VECQ_TRY(vecq_vocabulary_set(&dataset->arena, info->spec, o->vocabulary, o->n_vocabulary,
                                     &state->vocabulary, err));
    else
        VECQ_TRY(text_build(dataset, state, err));
    info->vocabulary = state->vocabulary.tokens;
    info->n_vocabulary = state->vocabulary.n;
    if (state->vocabulary.special[VECQ_TOKEN_PAD] != SIZE_MAX)
        info->pad_id = state->vocabulary.special[VECQ_TOKEN_PAD];
    return VECQ_OK;
}

/* ---- samples ---- */

static vecq_status text_encode(vecq_dataset *dataset, text_open_state *state, size_t *longest,
                               vecq_error *err)
{
    size_t n = dataset->info.n, i;

    state->ends = vecq_alloc(n, sizeof *state->ends);
    if (state->ends == NULL)
        return vecq_error_memory(err, n * sizeof *state->ends);
    for (i = 0, *longest = 0; i < n; i++) {
        size_t before = state->ids.n;

        VECQ_TRY(vecq_vocabulary_encode(&state->vocabulary, &state->tokenizer,
                                        state->part.table.lines[state->index[i]].text,
                                        dataset->options.start_token, &state->ids, err));
        state->ends[i] = state->ids.n;
        *longest = state->ids.n - before > *longest ? state->ids.n - before : *longest;
    }
    return VECQ_OK;
}

static void text_store(vecq_dataset *dataset, size_t at, uint32_t id)
{
    if (dataset->tokens16 != NULL)
        dataset->tokens16[at] = (uint16_t)id;
    else
        dataset->tokens32[at] = id;
}

/* All texts at one length: [n][length]. */
static void text_lay_out(vecq_dataset *dataset, const text_open_state *state)
{
    const vecq_dataset_options *o = &dataset->options;
    size_t length = dataset->info.length, begin = 0, i, k;

    for (i = 0; i < dataset->info.n; i++) {
        size_t n = state->ends[i] - begin, kept = n < length ? n : length;
        const uint32_t *ids = state->ids.ids + begin;
        size_t first = o->pad_side == VECQ_SIDE_FRONT ? length - kept : 0;

        if (o->truncate_side == VECQ_SIDE_FRONT)
            ids += n - kept;
        for (k = 0; k < length; k++)
            text_store(dataset, i * length + k,
                       k >= first && k - first < kept ? ids[k - first] : (uint32_t)dataset->info.pad_id);
        begin = state->ends[i];
    }
}

static vecq_status text_take(vecq_dataset *dataset, text_open_state *state, vecq_error *err)
{
    vecq_dataset_info *info = &dataset->info;
    size_t longest = 0, i, bytes, wide = info->n_vocabulary > 65536 ? 4 : 2;

    VECQ_TRY(vecq_data_select(dataset, state->part.path, state->part.table.n, vecq_data_portion_of(dataset),
                              &state->index, &info->n, err));
    VECQ_TRY(text_encode(dataset, state, &longest, err));
    info->length = dataset->options.length > 0 ? dataset->options.length : longest;
    if (info->length > VECQ_DATA_LENGTH_MAX)
        return vecq_error_set(
            err, VECQ_ERR_UNSUPPORTED,
            "%s: its longest text has %zu tokens; give a length (at most %u) to cut texts to",
            state->part.path, longest, VECQ_DATA_LENGTH_MAX);
    if (longest == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: no text has a token that is in the vocabulary",
                              state->part.path);
    VECQ_TRY(vecq_data_bytes(state->part.path, "tokens", info->n, info->length * wide, &bytes, err));
    dataset->labels = vecq_alloc(info->n, sizeof *dataset->labels);
    if (wide == 2)
        dataset->tokens16 = vecq_alloc(bytes, 1);
    else
        dataset->tokens32 = vecq_alloc(bytes, 1);
    if (dataset->labels == NULL || (dataset->tokens16 == NULL && dataset->tokens32 == NULL))
        return vecq_error_memory(err, bytes);
    for (i = 0; i < info->n; i++)
        dataset->labels[i] = state->part.table.lines[state->index[i]].label;
    text_lay_out(dataset, state);
    return VECQ_OK;
}

static vecq_status text_fill(vecq_dataset *dataset, const char *place, text_open_state *state,
                             vecq_error *err)
{
    VECQ_TRY(text_places(dataset, place, state, err));
    if (state->classes.n > 0 && dataset->options.vocabulary != NULL)
        state->training.path = NULL; /* nothing to learn from it */
    if (state->training.path != NULL)
        VECQ_TRY(text_read(dataset, &state->training, &state->classes, err));
    VECQ_TRY(text_read(dataset, &state->part, &state->classes, err));
    dataset->info.n_classes = state->classes.n;
    dataset->info.class_names = state->classes.names;
    vecq_tokenizer_init(&state->tokenizer, &dataset->options);
    VECQ_TRY(text_vocabulary(dataset, state, err));
    return text_take(dataset, state, err);
}

static void text_part_close(text_part *part)
{
    vecq_free(part->table.lines);
    vecq_mapping_close(&part->file);
}

static void text_close(text_open_state *state)
{
    text_part_close(&state->part);
    text_part_close(&state->training);
    vecq_text_classes_clear(&state->classes);
    vecq_vocabulary_clear(&state->vocabulary);
    vecq_free(state->ids.ids);
    vecq_free(state->ends);
    vecq_free(state->index);
}

static vecq_status text_open(vecq_dataset *dataset, const char *place, vecq_error *err)
{
    text_open_state state;
    vecq_status status;

    memset(&state, 0, sizeof state);
    dataset->info.kind = VECQ_DATASET_TEXT;
    status = text_fill(dataset, place, &state, err);
    text_close(&state);
    return status;
}

const vecq_data_format vecq_data_format_text = {"text", "FILE or DIR", NULL, text_open};

static vecq_status one_text_fill(vecq_dataset *dataset, const char *text, text_open_state *state,
                                 vecq_error *err)
{
    vecq_span bytes = {(const uint8_t *)text, strlen(text)};

    if (dataset->options.vocabulary == NULL)
        return vecq_error_set(err, VECQ_ERR_UNSUPPORTED, "there is no vocabulary to number the text with");
    VECQ_TRY(vecq_utf8_check("text", 1, bytes, err));
    state->part.path = "text";
    state->part.table.lines = vecq_calloc(1, sizeof *state->part.table.lines);
    if (state->part.table.lines == NULL)
        return vecq_error_memory(err, sizeof *state->part.table.lines);
    state->part.table.lines[0].text = bytes;
    state->part.table.n = state->part.table.capacity = 1;
    dataset->info.n_classes = 1;
    vecq_tokenizer_init(&state->tokenizer, &dataset->options);
    VECQ_TRY(text_vocabulary(dataset, state, err));
    return text_take(dataset, state, err);
}

static vecq_status one_text_open(vecq_dataset *dataset, const char *text, vecq_error *err)
{
    text_open_state state;
    vecq_status status;

    memset(&state, 0, sizeof state);
    dataset->info.kind = VECQ_DATASET_TEXT;
    status = one_text_fill(dataset, text, &state, err);
    text_close(&state);
    return status;
}

const vecq_data_format vecq_data_format_one_text = {"text", "TEXT", NULL, one_text_open};
