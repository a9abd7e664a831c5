/* SPDX-License-Identifier: Apache-2.0 */
#include "data/text_lines.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "data/dataset_private.h"
#include "data/utf8.h"

#define TEXT_NAME_MAX 200 /* bytes of a label that is a name */

void vecq_text_classes_clear(vecq_text_classes *classes)
{
    vecq_map_clear(&classes->by_name);
    memset(classes, 0, sizeof *classes);
}

vecq_status vecq_text_classes_set(vecq_text_classes *classes, const char **names, size_t n, vecq_error *err)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (!vecq_map_put(&classes->by_name, names[i], (void *)(uintptr_t)(i + 1)))
            return vecq_error_memory(err, n * sizeof *names);
    classes->names = names;
    classes->n = n;
    return VECQ_OK;
}

/* State of one file. */
typedef struct text_parse {
    vecq_arena *arena;
    const char *name;
    size_t number; /* of the line */
    vecq_text_classes *classes;
    int fixed, by_name; /* classes are known; labels are names (unless fixed: then both are possible) */
    vecq_map found;     /* names in the order in which they appear, to their number + 1 */
    const char **names; /* for vecq_free */
    size_t n_names, capacity;
    size_t most; /* largest number */
    vecq_text_table *out;
} text_parse;

static int text_is_number(vecq_span field)
{
    size_t i;

    for (i = 0; i < field.n; i++)
        if (field.data[i] < '0' || field.data[i] > '9')
            return 0;
    return field.n > 0 && field.n < 10;
}

static size_t text_number(vecq_span field)
{
    size_t value = 0, i;

    for (i = 0; i < field.n; i++)
        value = value * 10 + (size_t)(field.data[i] - '0');
    return value;
}

/* Number + 1 of a label among names, 0 if it is none. */
static size_t text_find(const vecq_map *map, vecq_span field)
{
    char name[TEXT_NAME_MAX + 1];

    if (field.n == 0 || field.n > TEXT_NAME_MAX)
        return 0;
    memcpy(name, field.data, field.n);
    name[field.n] = '\0';
    return (size_t)(uintptr_t)vecq_map_get(map, name);
}

static vecq_span text_last(vecq_span line)
{
    size_t begin = line.n;

    while (begin > 0 && line.data[begin - 1] != '\t')
        begin--;
    line.data += begin;
    line.n -= begin;
    return line;
}

static vecq_status text_swapped(const text_parse *parse, vecq_error *err)
{
    return vecq_error_set(err, VECQ_ERR_FORMAT,
                          "%s: line %zu: the label comes last here; lines must be label<TAB>text "
                          "(awk -F'\\t' -v OFS='\\t' '{print $NF, $1}' turns them round)",
                          parse->name, parse->number);
}

/* A label that cannot be; says so, or that the columns are swapped. */
static vecq_status text_bad_label(const text_parse *parse, vecq_span field, vecq_span line, vecq_error *err)
{
    vecq_span last = text_last(line);
    int n = (int)(field.n < 60 ? field.n : 60);

    if (text_is_number(last) || (parse->fixed && text_find(&parse->classes->by_name, last) > 0))
        return text_swapped(parse, err);
    if (parse->fixed && parse->classes->names != NULL)
        return vecq_error_set(
            err, VECQ_ERR_FORMAT,
            "%s: line %zu: label '%.*s' is none of the %zu classes, neither name nor number", parse->name,
            parse->number, n, (const char *)field.data, parse->classes->n);
    return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: line %zu: label '%.*s' is not a number from 0",
                          parse->name, parse->number, n, (const char *)field.data);
}

static vecq_status text_new_name(text_parse *parse, vecq_span field, size_t *label, vecq_error *err)
{
    char *copy;

    if (field.n > TEXT_NAME_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "%s: line %zu: a label of %zu bytes; lines must be label<TAB>text", parse->name,
                              parse->number, field.n);
    if (parse->n_names == VECQ_DATA_CLASSES_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: line %zu: more than %u classes", parse->name,
                              parse->number, VECQ_DATA_CLASSES_MAX);
    copy = vecq_arena_string(parse->arena, (const char *)field.data, field.n);
    if (copy == NULL ||
        !vecq_grow((void **)&parse->names, &parse->capacity, parse->n_names, sizeof *parse->names))
        return vecq_error_memory(err, field.n);
    parse->names[parse->n_names++] = copy;
    *label = parse->n_names;
    return vecq_map_put(&parse->found, copy, (void *)(uintptr_t)parse->n_names)
               ? VECQ_OK
               : vecq_error_memory(err, field.n);
}

static vecq_status text_label(text_parse *parse, vecq_span field, vecq_span line, size_t *label,
                              vecq_error *err)
{
    size_t found;

    if (parse->by_name) {
        *label = text_find(&parse->found, field);
        if (*label == 0)
            VECQ_TRY(text_new_name(parse, field, label, err));
        --*label;
        return VECQ_OK;
    }
    found = parse->fixed ? text_find(&parse->classes->by_name, field) : 0;
    if (found == 0 && !text_is_number(field))
        return text_bad_label(parse, field, line, err);
    *label = found > 0 ? found - 1 : text_number(field);
    if (parse->fixed && *label >= parse->classes->n)
        return vecq_error_set(err, VECQ_ERR_FORMAT,
                              "%s: line %zu: label %zu, but there are %zu classes (0..%zu)", parse->name,
                              parse->number, *label, parse->classes->n, parse->classes->n - 1);
    if (*label >= VECQ_DATA_CLASSES_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: line %zu: label %zu is over the limit of %u",
                              parse->name, parse->number, *label, VECQ_DATA_CLASSES_MAX - 1);
    parse->most = *label > parse->most ? *label : parse->most;
    return VECQ_OK;
}

static vecq_status text_line(text_parse *parse, vecq_span line, vecq_error *err)
{
    vecq_text_table *out = parse->out;
    const uint8_t *tab = memchr(line.data, '\t', line.n);
    vecq_span field = {line.data, tab != NULL ? (size_t)(tab - line.data) : 0};
    size_t label = 0;

    VECQ_TRY(vecq_utf8_check(parse->name, parse->number, line, err));
    if (tab == NULL)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: line %zu: has no tab; lines must be label<TAB>text",
                              parse->name, parse->number);
    if (field.n == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: line %zu: has no label before the tab", parse->name,
                              parse->number);
    if (!parse->fixed && out->n == 0 && !text_is_number(field)) {
        if (text_is_number(text_last(line)))
            return text_swapped(parse, err);
        parse->by_name = 1;
    }
    VECQ_TRY(text_label(parse, field, line, &label, err));
    if (!vecq_grow((void **)&out->lines, &out->capacity, out->n, sizeof *out->lines))
        return vecq_error_memory(err, (out->n + 1) * sizeof *out->lines);
    out->lines[out->n].text.data = tab + 1;
    out->lines[out->n].text.n = line.n - field.n - 1;
    out->lines[out->n++].label = (int32_t)label;
    return VECQ_OK;
}

static int text_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names found, sorted, become the classes; labels get their new numbers. */
static vecq_status text_number_names(text_parse *parse, vecq_error *err)
{
    const char **names = vecq_arena_alloc(parse->arena, parse->n_names, sizeof *names);
    uint32_t *number = vecq_alloc(parse->n_names, sizeof *number);
    vecq_status status = VECQ_OK;
    size_t i;

    if (names == NULL || number == NULL) {
        vecq_free(number);
        return vecq_error_memory(err, parse->n_names * sizeof *names);
    }
    memcpy(names, parse->names, parse->n_names * sizeof *names);
    qsort(names, parse->n_names, sizeof *names, text_compare);
    status = vecq_text_classes_set(parse->classes, names, parse->n_names, err);
    for (i = 0; i < parse->n_names && status == VECQ_OK; i++)
        number[i] = (uint32_t)(uintptr_t)vecq_map_get(&parse->classes->by_name, parse->names[i]) - 1;
    for (i = 0; i < parse->out->n && status == VECQ_OK; i++)
        parse->out->lines[i].label = (int32_t)number[parse->out->lines[i].label];
    vecq_free(number);
    return status;
}

static vecq_status text_finish(text_parse *parse, vecq_error *err)
{
    if (parse->out->n == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: holds no lines label<TAB>text", parse->name);
    if (parse->fixed)
        return VECQ_OK;
    if (!parse->by_name) {
        parse->classes->n = parse->most + 1;
        return VECQ_OK;
    }
    if (parse->n_names >= 8 && parse->n_names > parse->out->n / 2)
        return vecq_error_set(
            err, VECQ_ERR_FORMAT,
            "%s: has %zu different labels in %zu lines; lines must be label<TAB>text, in this order",
            parse->name, parse->n_names, parse->out->n);
    return text_number_names(parse, err);
}

vecq_status vecq_text_parse(vecq_arena *arena, vecq_span file, const char *name, vecq_text_classes *classes,
                            vecq_text_table *out, vecq_error *err)
{
    text_parse parse = {
        .arena = arena, .name = name, .classes = classes, .fixed = classes->n > 0, .out = out};
    vecq_lines lines = vecq_lines_of(file);
    vecq_span line;
    vecq_status status = VECQ_OK;

    memset(out, 0, sizeof *out);
    while (status == VECQ_OK && vecq_lines_next(&lines, &line)) {
        parse.number = lines.number;
        if (line.n > 0)
            status = text_line(&parse, line, err);
    }
    if (status == VECQ_OK)
        status = text_finish(&parse, err);
    vecq_map_clear(&parse.found);
    vecq_free(parse.names);
    if (status != VECQ_OK) {
        vecq_free(out->lines);
        memset(out, 0, sizeof *out);
    }
    return status;
}
