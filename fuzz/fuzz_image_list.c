/* SPDX-License-Identifier: Apache-2.0 */
/* labels.tsv and class.txt on arbitrary bytes: no file outside of the folder, no class without its number. */
#include <stdlib.h>
#include <string.h>

#include "data/dataset_private.h"
#include "data/image_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            abort();                                                                                         \
    } while (0)

/* By another way than the parser: every part between slashes. */
static void fuzz_inside(const char *file)
{
    const char *part = file;

    REQUIRE(file[0] != '/' && file[0] != '\0');
    while (part != NULL) {
        size_t n = strcspn(part, "/");

        REQUIRE(!(n == 2 && part[0] == '.' && part[1] == '.'));
        part = strchr(part, '/');
        part = part != NULL ? part + 1 : NULL;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    vecq_span file = {data, n};
    vecq_arena arena = {0};
    vecq_image_list list;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_status status;
    const char **names;
    size_t n_names, i;

    memset(&list, 0, sizeof list);
    status = vecq_image_list_parse(&arena, file, "input", &list, &err);
    REQUIRE(status == VECQ_OK || status == VECQ_ERR_FORMAT);
    REQUIRE((status == VECQ_OK) == (err.message[0] == '\0'));
    if (status == VECQ_OK) {
        REQUIRE(list.n > 0);
        for (i = 0; i < list.n; i++) {
            REQUIRE(list.entries[i].label >= 0 && (size_t)list.entries[i].label < list.n_classes);
            fuzz_inside(list.entries[i].file);
        }
        for (i = 0; list.names != NULL && i < list.n_classes; i++)
            REQUIRE(list.names[i] != NULL);
    }
    vecq_image_list_free(&list);
    if (vecq_data_names_parse(&arena, "input", file, &names, &n_names, NULL) == VECQ_OK) {
        REQUIRE(n_names > 0 && names[n_names - 1][0] != '\0');
        for (i = 0; i < n_names; i++)
            REQUIRE(strchr(names[i], '\n') == NULL);
    }
    vecq_arena_clear(&arena);
    return 0;
}
