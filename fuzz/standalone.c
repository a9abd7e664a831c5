/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target on the files, and on all files in the folders, of the command line; without libFuzzer.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The input lies in a block of exactly its size, so that sanitizers see a read past its end. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long n = -1;
    int done = 0;

    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        n = ftell(file);
    if (n >= 0 && fseek(file, 0, SEEK_SET) == 0)
        data = malloc(n > 0 ? (size_t)n : 1);
    if (data != NULL && fread(data, 1, (size_t)n, file) == (size_t)n) {
        fprintf(stderr, "%s\n", path); /* the last line names what crashed */
        LLVMFuzzerTestOneInput(data, (size_t)n);
        done = 1;
    }
    if (!done)
        perror(path);
    free(data);
    if (file != NULL)
        fclose(file);
    return done;
}

static int replay_folder(const char *path, size_t *n_files)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int ok = folder != NULL;

    if (!ok)
        perror(path);
    while (ok && (entry = readdir(folder)) != NULL) {
        char *name;

        if (entry->d_name[0] == '.')
            continue;
        name = malloc(strlen(path) + strlen(entry->d_name) + 2);
        if (name == NULL)
            break;
        sprintf(name, "%s/%s", path, entry->d_name);
        ok = replay_file(name);
        *n_files += 1;
        free(name);
    }
    if (folder != NULL)
        closedir(folder);
    return ok;
}

int main(int argc, char **argv)
{
    size_t n_files = 0;
    int i, ok = 1;

    for (i = 1; i < argc && ok; i++) {
        struct stat info;

        if (stat(argv[i], &info) == 0 && S_ISDIR(info.st_mode)) {
            ok = replay_folder(argv[i], &n_files);
        } else {
            ok = replay_file(argv[i]);
            n_files++;
        }
    }
    printf("%zu inputs replayed\n", n_files);
    return ok && n_files > 0 ? 0 : 1;
}
