/* SPDX-License-Identifier: Apache-2.0 */
/* The seeds of the fuzz targets are what their names say: bad_* is refused, crash_* may be, the others are
 * accepted. */
#include "vecq_test.h"

#include "base/alloc.h"
#include "base/file.h"
#include "data/cifar10.h"
#include "data/dataset_private.h"
#include "data/idx.h"
#include "data/image_decode.h"
#include "data/image_list.h"
#include "data/text_lines.h"
#include "data_files.h"

static vecq_status corpus_idx(vecq_span file, const char *name, vecq_error *err)
{
    size_t n = strlen(name), records;
    vecq_status status;
    vecq_idx idx;

    if (strcmp(name + n - 4, ".bin") == 0)
        return vecq_cifar10_check(file, name, &records, err);
    status = vecq_idx_parse(file, name, strstr(name, "labels") == NULL, &idx, err);
    vecq_free(idx.data);
    return status;
}

static vecq_status corpus_text(vecq_span file, const char *name, vecq_error *err)
{
    vecq_arena arena = {0};
    vecq_text_classes classes = {0};
    vecq_text_table table;
    vecq_span lines = {file.data + 1, file.n - 1}; /* the first byte is for the fuzz target */
    vecq_status status = vecq_text_parse(&arena, lines, name, &classes, &table, err);

    vecq_free(table.lines);
    vecq_text_classes_clear(&classes);
    vecq_arena_clear(&arena);
    return status;
}

static vecq_status corpus_image_list(vecq_span file, const char *name, vecq_error *err)
{
    vecq_arena arena = {0};
    vecq_image_list list = {0};
    const char **names;
    size_t n;
    vecq_status status = strstr(name, "class_txt") != NULL
                             ? vecq_data_names_parse(&arena, name, file, &names, &n, err)
                             : vecq_image_list_parse(&arena, file, name, &list, err);

    vecq_image_list_free(&list);
    vecq_arena_clear(&arena);
    return status;
}

static vecq_status corpus_image(vecq_span file, const char *name, vecq_error *err)
{
    vecq_image image;
    vecq_status status = vecq_image_decode(file, name, &image, err);

    vecq_free(image.planes);
    return status;
}

static void names_tell_the_truth(void **state)
{
    static const struct {
        const char *folder;
        vecq_status (*parse)(vecq_span file, const char *name, vecq_error *err);
    } corpora[] = {{"idx", corpus_idx},
                   {"text", corpus_text},
                   {"image_list", corpus_image_list},
                   {"image", corpus_image}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof corpora / sizeof *corpora; i++) {
        char folder[600];
        struct dirent *entry;
        DIR *dir;
        int n = 0;

        snprintf(folder, sizeof folder, VECQ_SOURCE_DIR "/fuzz/corpus/%s", corpora[i].folder);
        dir = opendir(folder);
        assert_non_null(dir);
        while ((entry = readdir(dir)) != NULL) {
            int bad = strncmp(entry->d_name, "bad_", 4) == 0;
            vecq_error err = VECQ_ERROR_INIT;
            vecq_status status;
            vecq_mapping file;
            char path[900];

            if (entry->d_name[0] == '.' || strncmp(entry->d_name, "crash_", 6) == 0)
                continue;
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            assert_ok(vecq_mapping_open(path, &file, &err), &err);
            status = corpora[i].parse(file.bytes, entry->d_name, &err);
            if (status != (bad ? VECQ_ERR_FORMAT : VECQ_OK))
                fail_msg("%s: %s (%s)", path, vecq_status_name(status), err.message);
            vecq_mapping_close(&file);
            n++;
        }
        closedir(dir);
        assert_true(n >= 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_tell_the_truth)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
