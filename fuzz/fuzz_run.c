/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Complete models, loaded and run: arbitrary bytes become a session, inputs get ones in the shapes that the
 * model declares (1 to 3 for what it leaves open, taken from the bytes), and runs are made, by the plain C
 * backend, by the best one, and by that with activations rounded to 8 bits. Every failure must have a message
 * of one line. Models whose inputs or plans are large are left alone: time is for errors, not for work.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vecq/vecq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define INPUT_MAX  (1u << 14) /* elements */
#define MEMORY_MAX (1u << 26) /* bytes that the library may take at once */

#define BIT(status) (1u << (VECQ_ERR_##status))
#define REFUSED     (BIT(FORMAT) | BIT(UNSUPPORTED) | BIT(VALUE) | BIT(IO) | BIT(MEMORY) | BIT(CANCELLED))

/* Memory with a limit: a hostile model may ask for any amount, which is no error of ours. */
static size_t fuzz_live;

static void *fuzz_allocate(void *context, size_t n_bytes)
{
    size_t *block;

    (void)context;
    if (n_bytes > MEMORY_MAX || fuzz_live + n_bytes > MEMORY_MAX || (block = malloc(n_bytes + 64)) == NULL)
        return NULL;
    *block = n_bytes;
    fuzz_live += n_bytes;
    return (char *)block + 64;
}

static void fuzz_release(void *context, void *memory)
{
    (void)context;
    if (memory == NULL)
        return;
    fuzz_live -= *(size_t *)(void *)((char *)memory - 64);
    free((char *)memory - 64);
}

static int fuzz_try(vecq_status status, const vecq_error *err)
{
    if (status == VECQ_OK)
        return 1;
    if ((REFUSED >> status & 1u) == 0 || err->status != status || err->message[0] == '\0' ||
        strchr(err->message, '\n') != NULL) {
        fprintf(stderr, "status %s: %s\n", vecq_status_name(status), err->message);
        abort();
    }
    return 0;
}

/* Memory of ones for an input, or NULL when it is too large. */
static void *fuzz_input(const vecq_io_info *io, unsigned choice, int64_t *dims, vecq_dtype *dtype)
{
    size_t count = 1, i, size;
    unsigned char *bytes;
    unsigned a;

    *dtype = io->dtype != VECQ_DT_UNDEFINED ? io->dtype : VECQ_DT_FLOAT;
    for (a = 0; a < io->rank; a++) {
        dims[a] = io->dims[a] >= 0 ? io->dims[a] : 1 + (int64_t)(choice % 3);
        if (dims[a] > INPUT_MAX || (count *= (size_t)dims[a]) > INPUT_MAX)
            return NULL;
    }
    size = vecq_dtype_bytes(*dtype, 1);
    if (vecq_dtype_bits(*dtype) < 8 || size == 0 || (bytes = malloc(count * size + 1)) == NULL)
        return NULL;
    memset(bytes, 0, count * size + 1);
    for (i = 0; i < count; i++)
        if (*dtype == VECQ_DT_FLOAT)
            ((float *)(void *)bytes)[i] = 1;
        else
            bytes[i * size] = 1;
    return bytes;
}

static void fuzz_run(vecq_session *session, unsigned choice)
{
    void *memory[8] = {NULL};
    size_t n = vecq_session_inputs(session), i, n_steps;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_runner *runner = NULL;
    int ok = n <= 8 && fuzz_try(vecq_runner_create(session, &runner, &err), &err);

    for (i = 0; ok && i < n; i++) {
        int64_t dims[VECQ_MAX_RANK];
        const vecq_io_info *io = vecq_session_input(session, i);
        vecq_dtype dtype;

        memory[i] = fuzz_input(io, choice + (unsigned)i, dims, &dtype);
        ok = memory[i] != NULL &&
             fuzz_try(vecq_runner_bind(runner, io->name, dtype, io->rank, dims, memory[i], &err), &err);
    }
    if (ok && fuzz_try(vecq_runner_steps(runner, &n_steps, &err), &err)) {
        uint64_t macs = 0;

        for (i = 0; i < n_steps; i++)
            macs += vecq_runner_step(runner, i).macs;
        if (macs < 1u << 24 && fuzz_try(vecq_runner_run(runner, &err), &err))
            for (i = 0; i < vecq_session_outputs(session); i++) {
                vecq_view y;

                if (vecq_runner_output(runner, vecq_session_output(session, i)->name, &y, NULL) != VECQ_OK)
                    abort();
            }
    }
    vecq_runner_destroy(runner);
    for (i = 0; i < 8; i++)
        free(memory[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const ref[] = {"ref"};
    static const vecq_allocator allocator = {fuzz_allocate, fuzz_release, NULL};
    unsigned choice = 0;
    size_t i;
    int pass;

    vecq_set_allocator(&allocator);
    for (i = 0; i < n; i++)
        choice += data[i];
    for (pass = 0; pass < 3; pass++) {
        vecq_error err = VECQ_ERROR_INIT;
        vecq_session_options options;
        vecq_session *session;

        vecq_session_options_default(&options);
        options.threads = 1;
        options.prefer = (vecq_prefer)(choice / 3 % 2);
        options.act_bits = pass == 2 ? 8 : 0;
        if (pass == 0) {
            options.backends = ref;
            options.n_backends = 1;
        }
        if (!fuzz_try(vecq_session_load_memory(data, n, "input", NULL, &options, &session, &err), &err))
            break;
        fuzz_run(session, choice);
        vecq_session_close(session);
    }
    if (fuzz_live != 0)
        abort();
    vecq_set_allocator(NULL);
    return 0;
}
