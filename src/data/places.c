/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and lists of names, for all formats. */
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/status.h"
#include "data/dataset_private.h"
#include "data/utf8.h"

char *vecq_data_path(vecq_arena *arena, const char *dir, const char *name)
{
    size_t n = strlen(dir);

    return vecq_arena_printf(arena, "%s%s%s", dir, n > 0 && dir[n - 1] == '/' ? "" : "/", name);
}

int vecq_data_is_dir(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Anything that can be read like a file: the error of reading it is the better message. */
int vecq_data_is_file(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

vecq_status vecq_data_names_parse(vecq_arena *arena, const char *name, vecq_span bytes, const char ***names,
                                  size_t *n, vecq_error *err)
{
    vecq_lines lines = vecq_lines_of(bytes);
    vecq_span line;
    size_t n_lines = 0, n_used = 0;

    *names = NULL;
    *n = 0;
    while (vecq_lines_next(&lines, &line)) {
        n_lines++;
        if (line.n > 0)
            n_used = n_lines;
    }
    if (n_used == 0)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: holds no names; it needs one in each line", name);
    if (n_used > VECQ_DATA_NAMES_MAX)
        return vecq_error_set(err, VECQ_ERR_FORMAT, "%s: has more than %u lines", name, VECQ_DATA_NAMES_MAX);
    *names = vecq_arena_alloc(arena, n_used, sizeof **names);
    if (*names == NULL)
        return vecq_error_memory(err, n_used * sizeof **names);
    lines = vecq_lines_of(bytes);
    while (*n < n_used && vecq_lines_next(&lines, &line)) {
        VECQ_TRY(vecq_utf8_check(name, lines.number, line, err));
        (*names)[*n] = vecq_arena_string(arena, (const char *)line.data, line.n);
        if ((*names)[(*n)++] == NULL)
            return vecq_error_memory(err, line.n);
    }
    return VECQ_OK;
}

vecq_status vecq_data_names_read(vecq_arena *arena, const char *path, const char ***names, size_t *n,
                                 vecq_error *err)
{
    vecq_mapping file;
    vecq_status status;

    VECQ_TRY(vecq_mapping_open(path, &file, err));
    status = vecq_data_names_parse(arena, path, file.bytes, names, n, err);
    vecq_mapping_close(&file);
    return status;
}
