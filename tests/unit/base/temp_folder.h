/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of the test's own that becomes the current one; fixtures for cmocka_run_group_tests(). */
#ifndef VECQ_TEST_TEMP_FOLDER_H
#define VECQ_TEST_TEMP_FOLDER_H

#include "vecq_test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static char temp_folder[256];

/* Temporary files of the library go to its sub-folder `scratch`. */
static inline int temp_folder_enter(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    snprintf(temp_folder, sizeof temp_folder, "%.200s/vecq-test-XXXXXX",
             base != NULL && *base != '\0' ? base : "/tmp");
    return mkdtemp(temp_folder) == NULL || chdir(temp_folder) != 0 || mkdir("scratch", 0700) != 0 ||
           setenv("TMPDIR", "scratch", 1) != 0;
}

static inline int temp_folder_leave(void **state)
{
    char command[300];

    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", temp_folder);
    return chdir("/") != 0 || system(command) != 0;
}

/* Entries of a folder, "." and ".." not counted. */
static inline int count_entries(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    int n = 0;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static inline int count_open_files(void)
{
    return count_entries("/proc/self/fd");
}

static inline void put_file(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

#endif
