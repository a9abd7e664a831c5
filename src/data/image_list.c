/* SPDX-License-Identifier: Apache-2.0 */
#include "data/image_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "data/dataset_private.h"
#include "data/image_decode.h"
#include "data/utf8.h"

void vecq_image_list_free(vecq_image_list *list)
{
    vecq_free(list->entries);
    memset(list, 0, sizeof *list);
}

static vecq_status image_list_add(vecq_image_list *list, const char *file, int32_t label, vecq_error *err)
{
    if (file == NULL || !vecq_grow((void **)&list->entries, &list->capacity, list->n, sizeof *list->entries))
        return vecq_error_memory(err, (list->n + 1) * sizeof *list->entries);
    list->entries[list->n].file = file;
    list->entries[list->n++].label = label;
    return VECQ_OK;
}

/* ---- labels.tsv ---- */

/* Cuts the next column off a line. */
static vecq_span image_list_column(vecq_span *line)
{
    const uint8_t *tab = line->n > 0 ? memchr(line->data, '\t', line->n) : NULL;
    vecq_span column = {line->data, tab != NULL ? (size_t)(tab - line->data) : line->n};
    size_t used = column.n + (tab != NULL);

    line->data += used;
    line->n -= used;
    return column;
}

/* Decimal number below VECQ_DATA_CLASSES_MAX; -1: none, -2: too large. */
static int32_t image_list_number(vecq_span text)
{
    uint32_t value = 0;
    size_t i;

    for (i = 0; i < text.n; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        value = value < VECQ_DATA_CLASSES_MAX ? value * 10 + (text.data[i] - '0') : value;
    }
    return text.n == 0 ? -1 : value >= VECQ_DATA_CLASSES_MAX ? -2 : (int32_t)value;
}

/* Relative, and never upwards: a list is no way to read other files. */
static int image_list_is_inside(vecq_span file)
{
    size_t begin = 0, i;

    if (file.n == 0 || file.data[0] == '/')
        return 0;
    for (i = 0; i <= file.n; i++) {
        if (i < file.n && file.data[i] != '/')
            continue;
        if (i - begin == 2 && file.data[begin] == '.' && file.data[begin + 1] == '.')
            return 0;
        begin = i + 1;
    }
    return 1;
}

static int image_list_is_title(vecq_span file)
{
    char name[64];

    if (file.n >= sizeof name)
        return 0;
    memcpy(name, file.data, file.n);
    name[file.n] = '\0';
    return !vecq_image_is_name(name);
}

/* Room for the names of `n` classes, in the arena; what is new is NULL. */
static vecq_status image_list_names_room(vecq_arena *arena, vecq_image_list *out, size_t *capacity, size_t n,
                                         vecq_error *err)
{
    const char **larger;
    size_t room = *capacity < 64 ? 64 : *capacity;

    if (n <= *capacity)
        return VECQ_OK;
    while (room < n)
        room *= 2;
    larger = vecq_arena_alloc(arena, room, sizeof *larger);
    if (larger == NULL)
        return vecq_error_memory(err, room * sizeof *larger);
    if (*capacity > 0)
        memcpy(larger, out->names, *capacity * sizeof *larger);
    out->names = larger;
    *capacity = room;
    return VECQ_OK;
}

/* The first name that a class gets is the one that counts. */
static vecq_status image_list_name(vecq_arena *arena, vecq_image_list *out, size_t *capacity, size_t label,
                                   vecq_span class_name, vecq_error *err)
{
    VECQ_TRY(image_list_names_room(arena, out, capacity, label + 1, err));
    if (out->names[label] == NULL) {
        out->names[label] = vecq_arena_string(arena, (const char *)class_name.data, class_name.n);
        if (out->names[label] == NULL)
            return vecq_error_memory(err, class_name.n);
    }
    return VECQ_OK;
}

static vecq_status image_list_line(vecq_arena *arena, vecq_span line, const char *name, size_t number,
                                   vecq_image_list *out, size_t *capacity, vecq_error *err)
{
    vecq_span file = image_list_column(&line), index = image_list_column(&line), class_name;
    int32_t label = image_list_number(index);

    if (label == -1 && number == 1 && image_list_is_title(file))
        return VECQ_OK;
    if (index.n == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: line %zu: lines are file<TAB>class index", name,
                              number);
    if (label == -1)
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "%s: line %zu: class '%.*s' is not a number; lines are file<TAB>class index",
                              name, number, (int)(index.n < 60 ? index.n : 60), (const char *)index.data);
    if (label < 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: line %zu: class %.*s is over the limit of %u", name,
                              number, (int)(index.n < 60 ? index.n : 60), (const char *)index.data,
                              VECQ_DATA_CLASSES_MAX - 1);
    if (!image_list_is_inside(file))
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "%s: line %zu: '%.*s' is no name of a file below the folder of images", name,
                              number, (int)(file.n < 200 ? file.n : 200), (const char *)file.data);
    for (class_name.n = 0; line.n > 0;)
        class_name = image_list_column(&line);
    VECQ_TRY(image_list_add(out, vecq_arena_string(arena, (const char *)file.data, file.n), label, err));
    out->n_classes = (size_t)label < out->n_classes ? out->n_classes : (size_t)label + 1;
    return class_name.n == 0 ? VECQ_OK
                             : image_list_name(arena, out, capacity, (size_t)label, class_name, err);
}

vecq_status vecq_image_list_parse(vecq_arena *arena, vecq_span tsv, const char *name, vecq_image_list *out,
                                  vecq_error *err)
{
    vecq_lines lines = vecq_lines_of(tsv);
    vecq_span line;
    size_t capacity = 0, i;

    while (vecq_lines_next(&lines, &line)) {
        if (line.n == 0)
            continue;
        VECQ_TRY(vecq_utf8_check(name, lines.number, line, err));
        VECQ_TRY(image_list_line(arena, line, name, lines.number, out, &capacity, err));
    }
    if (out->n == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: lists no images", name);
    if (capacity == 0)
        return VECQ_OK;
    VECQ_TRY(image_list_names_room(arena, out, &capacity, out->n_classes, err));
    for (i = 0; i < out->n_classes; i++)
        if (out->names[i] == NULL)
            out->names[i] = "";
    return VECQ_OK;
}

/* ---- folders ---- */

static int image_list_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted names in a folder that `keep` accepts; *names is for vecq_free, the strings are in the arena. */
static vecq_status image_list_read(vecq_arena *arena, const char *dir,
                                   int (*keep)(const char *dir, const char *name), const char ***names,
                                   size_t *n, vecq_error *err)
{
    DIR *folder = opendir(dir);
    size_t capacity = 0;
    struct dirent *entry;
    vecq_status status = VECQ_OK;

    *names = NULL;
    *n = 0;
    if (folder == NULL)
        return vecq_error_set(err, VECQ_ERR_IO, "%s: cannot read the folder: %s", dir, strerror(errno));
    while (status == VECQ_OK && (errno = 0, entry = readdir(folder)) != NULL) {
        const char *name = entry->d_name;

        if (name[0] == '.' || !keep(dir, name))
            continue;
        if (!vecq_grow((void **)names, &capacity, *n, sizeof **names) ||
            ((*names)[*n] = vecq_arena_string(arena, name, strlen(name))) == NULL)
            status = vecq_error_memory(err, (*n + 1) * sizeof **names);
        else
            ++*n;
    }
    if (status == VECQ_OK && errno != 0)
        status = vecq_error_set(err, VECQ_ERR_IO, "%s: cannot read the folder: %s", dir, strerror(errno));
    closedir(folder);
    if (status == VECQ_OK && *n > 0)
        qsort(*names, *n, sizeof **names, image_list_compare);
    return status;
}

static int image_list_keep_folder(const char *dir, const char *name)
{
    char path[4096];

    return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path && vecq_data_is_dir(path);
}

static int image_list_keep_image(const char *dir, const char *name)
{
    (void)dir;
    return vecq_image_is_name(name);
}

static vecq_status image_list_class(vecq_arena *arena, const char *dir, const char *class_name, int32_t label,
                                    vecq_image_list *out, vecq_error *err)
{
    char *path = vecq_data_path(arena, dir, class_name);
    const char **files = NULL;
    size_t n = 0, i;
    vecq_status status;

    if (path == NULL)
        return vecq_error_memory(err, strlen(dir));
    status = image_list_read(arena, path, image_list_keep_image, &files, &n, err);
    if (status == VECQ_OK && n == 0)
        status = vecq_error_set(
            err, VECQ_ERR_FORMAT,
            "%s: the folder of a class without .jpg, .jpeg or .png files; fill or remove it", path);
    for (i = 0; i < n && status == VECQ_OK; i++)
        status = image_list_add(out, vecq_arena_printf(arena, "%s/%s", class_name, files[i]), label, err);
    vecq_free(files);
    return status;
}

vecq_status vecq_image_list_folders(vecq_arena *arena, const char *dir, vecq_image_list *out, vecq_error *err)
{
    const char **names = NULL;
    size_t n = 0, i;
    vecq_status status = image_list_read(arena, dir, image_list_keep_folder, &names, &n, err);

    if (status == VECQ_OK && n == 0)
        status = vecq_error_set(
            err, VECQ_ERR_FORMAT,
            "%s: has neither a folder for each class nor labels.tsv (file<TAB>class index)", dir);
    if (status == VECQ_OK && n > VECQ_DATA_CLASSES_MAX)
        status = vecq_error_set(err, VECQ_ERR_FORMAT, "%s: has %zu folders, %u classes are possible", dir, n,
                                VECQ_DATA_CLASSES_MAX);
    if (status == VECQ_OK) {
        out->names = vecq_arena_alloc(arena, n, sizeof *out->names);
        if (out->names == NULL)
            status = vecq_error_memory(err, n * sizeof *out->names);
    }
    for (i = 0; i < n && status == VECQ_OK; i++) {
        out->names[i] = names[i];
        status = image_list_class(arena, dir, names[i], (int32_t)i, out, err);
    }
    out->n_classes = n;
    out->by_folder = 1;
    vecq_free(names);
    return status;
}
