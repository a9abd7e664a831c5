/* SPDX-License-Identifier: Apache-2.0 */
/* Files of lines "label<TAB>text". */
#ifndef VECQ_DATA_TEXT_LINES_H
#define VECQ_DATA_TEXT_LINES_H

#include "base/alloc.h"
#include "base/map.h"
#include "base/span.h"
#include "vecq/status.h"

/* Classes: given by names, or found in the first file that is parsed and fixed from then on. */
typedef struct vecq_text_classes {
    size_t n;           /* 0: not known yet */
    const char **names; /* [n], in the arena, or NULL: labels are numbers below n */
    vecq_map by_name;   /* to the number + 1 */
} vecq_text_classes;

vecq_status vecq_text_classes_set(vecq_text_classes *classes, const char **names, size_t n, vecq_error *err);
void vecq_text_classes_clear(vecq_text_classes *classes);

typedef struct vecq_text_line {
    vecq_span text; /* valid UTF-8, in the file */
    int32_t label;
} vecq_text_line;

typedef struct vecq_text_table {
    vecq_text_line *lines; /* for vecq_free */
    size_t n, capacity;
} vecq_text_table;

/*
 * Labels are numbers from 0, or names; which of the two, the first line says, unless the classes are given:
 * then either may stand in a line. Names found are numbered in the order of their bytes. Blank lines are
 * skipped. Lines in which the label comes last are recognised and refused.
 */
vecq_status vecq_text_parse(vecq_arena *arena, vecq_span file, const char *name, vecq_text_classes *classes,
                            vecq_text_table *out, vecq_error *err);

#endif
