/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several threads run one model, whose weights are in memory once: run_threads MODEL.onnx [THREADS] [RUNS]
 *
 * The model is read into memory first, as a program does that has it in its own image or from a network. The
 * session is made once; each thread has a runner of its own, and computes on one processor.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <vecq/run.h>

#define THREADS_MAX 64

typedef struct worker {
    pthread_t thread;
    vecq_session *session; /* shared */
    int runs;
    double sum; /* of all outputs of all runs: the same for every thread */
    vecq_error err;
} worker;

static vecq_status work_with(worker *w, vecq_runner *runner)
{
    const vecq_io_info *io = vecq_session_input(w->session, 0);
    int64_t dims[VECQ_MAX_RANK];
    vecq_tensor x;
    vecq_view y;
    vecq_status status;
    size_t k;
    int i;

    for (i = 0; i < (int)io->rank; i++)
        dims[i] = io->dims[i] >= 0 ? io->dims[i] : 1;
    status = vecq_tensor_create(VECQ_DT_FLOAT, io->rank, dims, &x, &w->err);
    for (k = 0; status == VECQ_OK && k < x.count; k++)
        ((float *)x.data)[k] = (float)(k % 7) / 7;
    if (status == VECQ_OK)
        status = vecq_runner_bind(runner, NULL, x.dtype, x.rank, x.dims, x.data, &w->err);
    for (i = 0; i < w->runs && status == VECQ_OK;
         i++) { /* the first run plans; the others allocate nothing */
        status = vecq_runner_run(runner, &w->err);
        if (status == VECQ_OK)
            status = vecq_runner_output(runner, NULL, &y, &w->err);
        for (k = 0; status == VECQ_OK && y.dtype == VECQ_DT_FLOAT && k < y.count; k++)
            w->sum += (double)((const float *)y.data)[k];
    }
    vecq_tensor_destroy(&x);
    return status;
}

static void *work(void *context)
{
    worker *w = context;
    vecq_runner *runner;

    if (vecq_runner_create(w->session, &runner, &w->err) == VECQ_OK) {
        work_with(w, runner);
        vecq_runner_destroy(runner);
    }
    return NULL;
}

static void *read_file(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    long size = -1;
    void *bytes = NULL;

    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (size > 0 && fseek(file, 0, SEEK_SET) == 0 && (bytes = malloc((size_t)size)) != NULL)
        *n = fread(bytes, 1, (size_t)size, file);
    if (file != NULL)
        fclose(file);
    return bytes;
}

static int run_all(vecq_session *session, int n, int runs)
{
    static worker workers[THREADS_MAX];
    int i, failed = 0;

    for (i = 0; i < n; i++) {
        workers[i].session = session;
        workers[i].runs = runs;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            fprintf(stderr, "run_threads: no thread %d\n", i);
            n = i;
            failed = 1;
        }
    }
    for (i = 0; i < n; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].err.status != VECQ_OK)
            fprintf(stderr, "thread %d: %s\n", i, workers[i].err.message);
        failed |= workers[i].err.status != VECQ_OK || workers[i].sum != workers[0].sum;
    }
    printf("%d threads, %d runs each: sum %.9g\n", n, runs, n > 0 ? workers[0].sum : 0);
    return failed;
}

int main(int argc, char **argv)
{
    int threads = argc > 2 ? atoi(argv[2]) : 4, runs = argc > 3 ? atoi(argv[3]) : 10, failed;
    vecq_session_options options;
    vecq_session *session;
    vecq_error err = VECQ_ERROR_INIT;
    size_t n = 0;
    void *bytes;

    if (argc < 2 || threads < 1 || threads > THREADS_MAX || runs < 1) {
        fprintf(stderr, "usage: run_threads MODEL.onnx [THREADS] [RUNS]\n");
        return 2;
    }
    bytes = read_file(argv[1], &n);
    if (bytes == NULL) {
        fprintf(stderr, "run_threads: %s cannot be read\n", argv[1]);
        return 1;
    }
    vecq_session_options_default(&options);
    options.threads = 1; /* of each run: the processors are shared out already */
    if (vecq_session_load_memory(bytes, n, argv[1], NULL, &options, &session, &err) != VECQ_OK) {
        fprintf(stderr, "%s\n", err.message);
        free(bytes);
        return 1;
    }
    failed = run_all(session, threads, runs);
    vecq_session_close(session);
    free(bytes); /* after the session, which points into it */
    return failed;
}
