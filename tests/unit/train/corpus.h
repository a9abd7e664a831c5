/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a corpus whose names say what must become of them: ok_*, bad_*, set_*. */
#ifndef VECQ_TEST_TRAIN_CORPUS_H
#define VECQ_TEST_TRAIN_CORPUS_H

#include "vecq_test.h"

#include <dirent.h>

/* Calls body(path, name) for each file; returns their number. */
static inline int for_each_in_corpus(const char *corpus, void (*body)(const char *path, const char *name))
{
    char folder[1024], path[2048];
    struct dirent *entry;
    DIR *d;
    int n = 0;

    snprintf(folder, sizeof folder, "%s/fuzz/corpus/%s", VECQ_SOURCE_DIR, corpus);
    d = opendir(folder);
    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        body(path, entry->d_name);
        n++;
    }
    closedir(d);
    return n;
}

#endif
