/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML of two levels, from the events of libyaml: nothing is built, so nothing can grow. What a recipe has no
 * use for (anchors, aliases, tags, several documents, deeper nesting) is refused. libyaml's own memory comes
 * from malloc and is bounded by the size of the file.
 */
#include <string.h>
#include <yaml.h>

#include "base/status.h"
#include "train/recipe_private.h"

typedef struct yaml_reader {
    yaml_parser_t parser;
    const char *name;
    vecq_recipe_entry_fn entry;
    void *context;
    vecq_arena arena; /* of the current entry */
} yaml_reader;

static unsigned yaml_line(yaml_mark_t mark)
{
    return (unsigned)mark.line + 1;
}

static vecq_status yaml_refuse(const yaml_reader *r, const yaml_event_t *event, vecq_error *err,
                               const char *why)
{
    return vecq_error_set(err, VECQ_ERR_FORMAT, "%s:%u: %s", r->name, yaml_line(event->start_mark), why);
}

/* libyaml's own words, with its place. */
static vecq_status yaml_problem(const yaml_reader *r, vecq_error *err)
{
    const yaml_parser_t *p = &r->parser;
    unsigned line = yaml_line(p->problem_mark);

    if (p->error == YAML_MEMORY_ERROR)
        return vecq_error_memory(err, VECQ_RECIPE_BYTES_MAX);
    if (p->error == YAML_READER_ERROR)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: not YAML: %s at byte %zu", r->name,
                              p->problem != NULL ? p->problem : "unreadable", p->problem_offset);
    return vecq_error_set(err, VECQ_ERR_FORMAT, "%s:%u: not YAML: %s%s%s%s", r->name, line,
                          p->problem != NULL ? p->problem : "unreadable", p->context != NULL ? ", " : "",
                          p->context != NULL ? p->context : "",
                          p->context != NULL && strstr(p->context, "alias") != NULL
                              ? "; a glob that begins with * needs quotes"
                              : "");
}

/* The next event; the caller deletes it. Refuses what is never allowed. */
static vecq_status yaml_next(yaml_reader *r, yaml_event_t *event, vecq_error *err)
{
    const char *why = NULL;

    if (!yaml_parser_parse(&r->parser, event))
        return yaml_problem(r, err);
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        why = "aliases (*name) are not allowed in a recipe; a glob that begins with * needs quotes";
        break;
    case YAML_SCALAR_EVENT:
        if (event->data.scalar.anchor != NULL)
            why = "anchors (&name) are not allowed in a recipe";
        else if (event->data.scalar.tag != NULL)
            why = "tags (!name) are not allowed in a recipe";
        break;
    case YAML_SEQUENCE_START_EVENT:
        if (event->data.sequence_start.anchor != NULL)
            why = "anchors (&name) are not allowed in a recipe";
        else if (event->data.sequence_start.tag != NULL)
            why = "tags (!name) are not allowed in a recipe";
        break;
    case YAML_MAPPING_START_EVENT:
        if (event->data.mapping_start.anchor != NULL)
            why = "anchors (&name) are not allowed in a recipe";
        else if (event->data.mapping_start.tag != NULL)
            why = "tags (!name) are not allowed in a recipe";
        break;
    case YAML_DOCUMENT_START_EVENT:
        if (event->data.document_start.tag_directives.start != event->data.document_start.tag_directives.end)
            why = "directives (%TAG) are not allowed in a recipe";
        break;
    default:
        break;
    }
    if (why == NULL)
        return VECQ_OK;
    yaml_refuse(r, event, err, why);
    yaml_event_delete(event);
    return VECQ_ERR_FORMAT;
}

/* Copies a scalar; bounded, and without a NUL inside (it may come from an escape). */
static vecq_status yaml_text(yaml_reader *r, const yaml_event_t *event, const char **out, vecq_error *err)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t n = event->data.scalar.length;

    if (n > VECQ_RECIPE_TEXT_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s:%u: a value of %zu bytes; at most %u are allowed",
                              r->name, yaml_line(event->start_mark), n, VECQ_RECIPE_TEXT_MAX);
    if (memchr(text, '\0', n) != NULL)
        return yaml_refuse(r, event, err, "a value with a NUL in it");
    *out = vecq_arena_string(&r->arena, text, n);
    return *out != NULL ? VECQ_OK : vecq_error_memory(err, n + 1);
}

static int yaml_is_null(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;

    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (*text == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static vecq_status yaml_emit(yaml_reader *r, const vecq_recipe_entry *entry, vecq_error *err)
{
    vecq_status status = r->entry(r->context, entry, err);

    if (status != VECQ_OK)
        vecq_error_prefix(err, "%s:%u", r->name, entry->line);
    return status;
}

/* Items of a list up to its end. */
static vecq_status yaml_list(yaml_reader *r, vecq_recipe_entry *entry, vecq_error *err)
{
    const char **items = vecq_arena_alloc(&r->arena, VECQ_RECIPE_ITEMS_MAX, sizeof *items);
    size_t n = 0;

    if (items == NULL)
        return vecq_error_memory(err, VECQ_RECIPE_ITEMS_MAX * sizeof *items);
    for (;;) {
        yaml_event_t event;
        vecq_status status;

        VECQ_TRY(yaml_next(r, &event, err));
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        if (event.type != YAML_SCALAR_EVENT)
            status = yaml_refuse(r, &event, err, "too deep: a list in a recipe holds single values");
        else if (n == VECQ_RECIPE_ITEMS_MAX)
            status = yaml_refuse(r, &event, err, "too long: a list in a recipe holds at most 1024 values");
        else
            status = yaml_text(r, &event, &items[n++], err);
        yaml_event_delete(&event);
        VECQ_TRY(status);
    }
    entry->value.texts = items;
    entry->value.n = n;
    entry->value.is_list = 1;
    return yaml_emit(r, entry, err);
}

/* A scalar or list that is the value of a key. */
static vecq_status yaml_value(yaml_reader *r, vecq_recipe_entry *entry, const yaml_event_t *event,
                              vecq_error *err)
{
    const char *text = "";

    if (event->type == YAML_SEQUENCE_START_EVENT)
        return yaml_list(r, entry, err);
    entry->value.is_null = yaml_is_null(event);
    VECQ_TRY(yaml_text(r, event, &text, err));
    entry->value.texts = &text;
    entry->value.n = !entry->value.is_null;
    return yaml_emit(r, entry, err);
}

static vecq_status yaml_mapping(yaml_reader *r, const char *section, vecq_error *err);

/* The value of `key`: of a setting, or a whole section. */
static vecq_status yaml_setting(yaml_reader *r, const char *section, const char *key, unsigned line,
                                vecq_error *err)
{
    vecq_recipe_entry entry = {section, key, line, {NULL, 0, 0, 0}};
    yaml_event_t event;
    vecq_status status;

    VECQ_TRY(yaml_next(r, &event, err));
    if (event.type != YAML_MAPPING_START_EVENT) {
        status = yaml_value(r, &entry, &event, err);
    } else if (section != NULL) {
        status = yaml_refuse(r, &event, err, "too deep: a recipe has sections with keys, and nothing below");
    } else {
        entry.section = key;
        entry.name = NULL;
        status = yaml_emit(r, &entry, err);
        if (status == VECQ_OK)
            status = yaml_mapping(r, key, err);
    }
    yaml_event_delete(&event);
    return status;
}

/* Keys up to the end of a mapping. Recursion ends at the second level. */
static vecq_status yaml_mapping(yaml_reader *r, const char *section, vecq_error *err)
{
    char key_name[64];

    for (;;) {
        yaml_event_t event;
        vecq_status status = VECQ_OK;
        unsigned line;

        VECQ_TRY(yaml_next(r, &event, err));
        line = yaml_line(event.start_mark);
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return VECQ_OK;
        }
        if (event.type != YAML_SCALAR_EVENT)
            status = yaml_refuse(r, &event, err, "a key must be a single word");
        else if (event.data.scalar.length >= sizeof key_name ||
                 memchr(event.data.scalar.value, '\0', event.data.scalar.length) != NULL)
            status = yaml_refuse(r, &event, err, "no key is that long");
        else
            memcpy(key_name, event.data.scalar.value, event.data.scalar.length + 1);
        yaml_event_delete(&event);
        VECQ_TRY(status);
        VECQ_TRY(yaml_setting(r, section, key_name, line, err));
        vecq_arena_clear(&r->arena);
    }
}

/* Stream, document, and what is in it. An empty file is an empty recipe. */
static vecq_status yaml_document(yaml_reader *r, vecq_error *err)
{
    int n_documents = 0;

    for (;;) {
        yaml_event_t event;
        yaml_event_type_t type;
        vecq_status status = VECQ_OK;

        VECQ_TRY(yaml_next(r, &event, err));
        type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT && ++n_documents > 1)
            status = yaml_refuse(r, &event, err, "a second document (---); a recipe is one");
        else if (type == YAML_SEQUENCE_START_EVENT || (type == YAML_SCALAR_EVENT && !yaml_is_null(&event)))
            status = yaml_refuse(r, &event, err, "a recipe is made of 'key: value' and sections of such");
        else if (type == YAML_MAPPING_START_EVENT)
            status = yaml_mapping(r, NULL, err);
        yaml_event_delete(&event);
        if (status != VECQ_OK || type == YAML_STREAM_END_EVENT)
            return status;
    }
}

vecq_status vecq_recipe_yaml_read(const void *bytes, size_t n, const char *name, vecq_recipe_entry_fn entry,
                                  void *context, vecq_error *err)
{
    yaml_reader r;
    vecq_status status;

    memset(&r, 0, sizeof r);
    r.name = name;
    r.entry = entry;
    r.context = context;
    if (n > VECQ_RECIPE_BYTES_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: %zu bytes; a recipe has at most %u", name, n,
                              VECQ_RECIPE_BYTES_MAX);
    if (!yaml_parser_initialize(&r.parser))
        return vecq_error_memory(err, VECQ_RECIPE_BYTES_MAX);
    yaml_parser_set_input_string(&r.parser, n > 0 ? bytes : (const void *)"", n);
    status = yaml_document(&r, err);
    yaml_parser_delete(&r.parser);
    vecq_arena_clear(&r.arena);
    return status;
}
