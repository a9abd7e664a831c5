/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads a model and runs it once: run_one MODEL.onnx [INPUT.npy]
 *
 * Without a file the first input is all zeros, with 1 for every dimension that the model leaves open.
 */
#include <stdio.h>
#include <string.h>

#include <vecq/run.h>

/* Every function returns a status and leaves one line about what went wrong in `err`. */
static vecq_status load_input(const vecq_session *session, const char *path, vecq_tensor *out,
                              vecq_error *err)
{
    const vecq_io_info *io = vecq_session_input(session, 0);
    int64_t dims[VECQ_MAX_RANK];
    vecq_status status;
    unsigned i;

    if (path != NULL)
        return vecq_npy_load(path, out, err);
    for (i = 0; i < io->rank; i++)
        dims[i] = io->dims[i] >= 0 ? io->dims[i] : 1;
    status = vecq_tensor_create(io->dtype, io->rank, dims, out, err);
    if (status == VECQ_OK)
        memset(out->data, 0, out->n_bytes);
    return status;
}

static void print_outputs(const vecq_session *session, vecq_runner *runner)
{
    size_t i, k;

    for (i = 0; i < vecq_session_outputs(session); i++) {
        const char *name = vecq_session_output(session, i)->name;
        vecq_view y;

        if (vecq_runner_output(runner, name, &y, NULL) != VECQ_OK)
            continue;
        printf("%s: %s, %zu values", name, vecq_dtype_name(y.dtype), y.count);
        for (k = 0; k < y.count && k < 5 && y.dtype == VECQ_DT_FLOAT; k++)
            printf("%s %g", k == 0 ? ":" : "", (double)((const float *)y.data)[k]);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    vecq_session *session = NULL;
    vecq_runner *runner = NULL;
    vecq_tensor x = {0};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_status status;

    if (argc < 2) {
        fprintf(stderr, "usage: run_one MODEL.onnx [INPUT.npy]\n");
        return 2;
    }
    status = vecq_session_load(argv[1], NULL, &session, &err);
    if (status == VECQ_OK)
        status = vecq_runner_create(session, &runner, &err);
    if (status == VECQ_OK && vecq_session_inputs(session) != 1) {
        fprintf(stderr, "%s: this example feeds one input only\n", argv[1]);
        status = VECQ_ERR_UNSUPPORTED;
    }
    if (status == VECQ_OK)
        status = load_input(session, argc > 2 ? argv[2] : NULL, &x, &err);
    if (status == VECQ_OK) /* the first input; x is not copied */
        status = vecq_runner_bind(runner, NULL, x.dtype, x.rank, x.dims, x.data, &err);
    if (status == VECQ_OK)
        status = vecq_runner_run(runner, &err);
    if (status == VECQ_OK)
        print_outputs(session, runner);
    else if (err.message[0] != '\0')
        fprintf(stderr, "%s\n", err.message);
    vecq_runner_destroy(runner);
    vecq_session_close(session);
    vecq_tensor_destroy(&x);
    return status == VECQ_OK ? 0 : 1;
}
