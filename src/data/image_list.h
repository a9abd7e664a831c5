/* SPDX-License-Identifier: Apache-2.0 */
/* Which image files there are and what classes they belong to: labels.tsv, or a folder for each class. */
#ifndef VECQ_DATA_IMAGE_LIST_H
#define VECQ_DATA_IMAGE_LIST_H

#include "base/alloc.h"
#include "base/span.h"
#include "vecq/status.h"

typedef struct vecq_image_entry {
    const char *file; /* relative to the folder of the files */
    int32_t label;
} vecq_image_entry;

typedef struct vecq_image_list {
    vecq_image_entry *entries; /* for vecq_image_list_free() */
    size_t n, capacity;
    size_t n_classes;
    const char **names; /* [n_classes], in the arena; entries may be ""; NULL: none */
    int by_folder;      /* classes are folders, numbered in the order of their names */
} vecq_image_list;

/*
 * Lines "file<TAB>class index[<TAB>...<TAB>name]" (a line of column titles may come first). Files must stay
 * below their folder. n_classes is one more than the largest index, the last of three or more columns names
 * the class.
 */
vecq_status vecq_image_list_parse(vecq_arena *arena, vecq_span tsv, const char *name, vecq_image_list *out,
                                  vecq_error *err);

/* Every folder below `dir` is a class, every .jpg, .jpeg and .png file in it a sample; in the order of bytes
 * of their names. Names that begin with a dot are skipped. */
vecq_status vecq_image_list_folders(vecq_arena *arena, const char *dir, vecq_image_list *out,
                                    vecq_error *err);

void vecq_image_list_free(vecq_image_list *list);

#endif
