/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes networks of the zoo, for test_zoo.py and for a look at them:
 *
 *     dump_zoo                                  their names, kinds and usual sizes
 *     dump_zoo NAME FILE [OPTION=NUMBER]...     one of them; options as in vecq_zoo_options
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "zoo/zoo.h"

static int list(void)
{
    size_t i;

    for (i = 0; i < vecq_zoo_count(); i++) {
        const vecq_network *n = vecq_zoo_at(i);

        printf("%s %s %zu %zu %zu %zu %zu %zu\n", n->name, n->kind == VECQ_NETWORK_TEXT ? "text" : "image",
               n->classes, n->channels, n->height, n->width, n->length, n->vocabulary);
    }
    return 0;
}

static int set(vecq_zoo_options *o, const char *text)
{
    const struct {
        const char *name;
        size_t *value;
    } sizes[] = {{"classes", &o->classes}, {"channels", &o->channels}, {"height", &o->height},
                 {"width", &o->width},     {"length", &o->length},     {"vocabulary", &o->vocabulary}};
    const char *equal = strchr(text, '=');
    size_t i, n = equal != NULL ? (size_t)(equal - text) : 0;

    if (equal == NULL)
        return 0;
    if (n == 4 && strncmp(text, "seed", n) == 0) {
        o->seed = strtoull(equal + 1, NULL, 10);
        return 1;
    }
    if (n == 11 && strncmp(text, "initializer", n) == 0) {
        o->initializer = (vecq_zoo_initializer)strtoul(equal + 1, NULL, 10);
        return 1;
    }
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (strlen(sizes[i].name) == n && strncmp(text, sizes[i].name, n) == 0) {
            *sizes[i].value = strtoull(equal + 1, NULL, 10);
            return 1;
        }
    return 0;
}

static vecq_status write_file(const char *path, const uint8_t *bytes, size_t n, vecq_error *err)
{
    vecq_output *output;
    vecq_status status = vecq_output_open(path, &output, err);

    if (status != VECQ_OK)
        return status;
    status = vecq_output_write(output, bytes, n, err);
    if (status == VECQ_OK)
        return vecq_output_commit(output, err);
    vecq_output_discard(output);
    return status;
}

int main(int argc, char **argv)
{
    const vecq_network *network;
    vecq_zoo_options options;
    vecq_error err = VECQ_ERROR_INIT;
    uint8_t *bytes;
    size_t n;
    int i;

    if (argc == 1)
        return list();
    network = vecq_zoo_find(argv[1]);
    if (network == NULL || argc == 2) {
        fprintf(stderr, "usage: dump_zoo [NAME FILE [OPTION=NUMBER]...]\n");
        return 2;
    }
    vecq_zoo_options_default(network, &options);
    for (i = 3; i < argc; i++)
        if (!set(&options, argv[i])) {
            fprintf(stderr, "dump_zoo: no option '%s'\n", argv[i]);
            return 2;
        }
    if (vecq_zoo_build(network, &options, &bytes, &n, &err) != VECQ_OK ||
        write_file(argv[2], bytes, n, &err) != VECQ_OK) {
        fprintf(stderr, "dump_zoo: %s\n", err.message);
        return 1;
    }
    vecq_free(bytes);
    return 0;
}
