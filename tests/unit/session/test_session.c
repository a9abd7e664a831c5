/* SPDX-License-Identifier: Apache-2.0 */
/* The public API of vecq/run.h on small models: results, shapes, types, plans, memory, errors. */
#include "vecq_test.h"

#include <math.h>
#include <pthread.h>

#include "fail_alloc.h"
#include "onnx_model.h"
#include "zoo/zoo.h"

typedef struct small {
    uint8_t *data;
    size_t n;
} small;

#define ROWS 3
#define COLS 400 /* large enough a weight for the bank to share what is made of it */

/* y[N, COLS] = x[N, ROWS] w + b, z = relu(y) */
static small small_model(int64_t dtype, const int64_t *x_dims)
{
    int64_t dims[2] = {-1, COLS}, bias[1] = {COLS};
    model_build b;
    small m;

    model_begin(&b, 8, 17);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "x", dtype, 2, x_dims);
    model_formal_of(&b, ONNX_GRAPH_OUTPUT, "z", dtype, 2, dims);
    model_formal_of(&b, ONNX_GRAPH_OUTPUT, "y", dtype, 2, dims);
    model_matrix(&b, "w", ROWS, COLS);
    model_weight(&b, "b", 1, bias);
    model_node(&b, "MatMul", "x w", "t");
    model_node(&b, "Add", "t b", "y");
    model_node(&b, "Relu", "y", "z");
    m.data = model_bytes(&b, &m.n);
    return m;
}

static const int64_t any_rows[2] = {-1, ROWS};

static vecq_session *open_session(const small *m, const vecq_session_options *options)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_session *s;

    assert_ok(vecq_session_load_memory(m->data, m->n, "m", NULL, options, &s, &err), &err);
    return s;
}

static vecq_runner *open_runner(vecq_session *s)
{
    vecq_error err = VECQ_ERROR_INIT;
    vecq_runner *r;

    assert_ok(vecq_runner_create(s, &r, &err), &err);
    return r;
}

static void bind_x(vecq_runner *r, int64_t n, const float *x)
{
    int64_t dims[2] = {n, ROWS};
    vecq_error err = VECQ_ERROR_INIT;

    assert_ok(vecq_runner_bind(r, "x", VECQ_DT_FLOAT, 2, dims, x, &err), &err);
}

static void run_x(vecq_runner *r, int64_t n, const float *x)
{
    vecq_error err = VECQ_ERROR_INIT;

    bind_x(r, n, x);
    assert_ok(vecq_runner_run(r, &err), &err);
}

/* What the outputs must be for x[n][ROWS]. */
static void check_result(vecq_runner *r, int64_t n, const float *x)
{
    float w[ROWS * COLS], b[COLS];
    vecq_error err = VECQ_ERROR_INIT;
    vecq_view y, z;
    int64_t i, j, k;

    model_values(w, ROWS * COLS);
    model_values(b, COLS);
    assert_ok(vecq_runner_output(r, "y", &y, &err), &err);
    assert_ok(vecq_runner_output(r, NULL, &z, &err), &err);
    assert_int_equal(y.rank, 2);
    assert_int_equal(y.dims[0], n);
    assert_int_equal(y.dims[1], COLS);
    assert_int_equal(y.n_bytes, (size_t)n * COLS * sizeof(float));
    for (i = 0; i < n; i++)
        for (j = 0; j < COLS; j++) {
            double want = b[j];

            for (k = 0; k < ROWS; k++)
                want += (double)x[i * ROWS + k] * w[k * COLS + j];
            assert_true(fabs(((const float *)y.data)[i * COLS + j] - want) < 1e-5);
            assert_true(fabs(((const float *)z.data)[i * COLS + j] - (want > 0 ? want : 0)) < 1e-5);
        }
}

static void test_describes(void **state)
{
    small m = small_model(VECQ_DT_FLOAT, any_rows);
    vecq_session *s = open_session(&m, NULL);
    const vecq_io_info *x = vecq_session_input(s, 0);
    vecq_dim_value fixed = {"N", 2};
    vecq_session_options options;
    size_t n;

    (void)state;
    assert_int_equal(vecq_session_inputs(s), 1);
    assert_int_equal(vecq_session_outputs(s), 2);
    assert_string_equal(x->name, "x");
    assert_int_equal(x->dtype, VECQ_DT_FLOAT);
    assert_int_equal(x->rank, 2);
    assert_int_equal(x->dims[0], -1);
    assert_string_equal(x->symbols[0], "N");
    assert_int_equal(x->dims[1], ROWS);
    assert_null(x->symbols[1]);
    assert_string_equal(vecq_session_output(s, 1)->name, "y");
    assert_null(vecq_session_input(s, 1));
    assert_null(vecq_session_output(s, 2));
    assert_null(vecq_session_metadata(s, "nothing", &n));
    vecq_session_close(s);
    vecq_session_options_default(&options);
    options.dims = &fixed;
    options.n_dims = 1;
    s = open_session(&m, &options);
    assert_int_equal(vecq_session_input(s, 0)->dims[0], 2);
    vecq_session_close(s);
    vecq_session_close(NULL);
    free(m.data);
}

static void test_runs_with_any_batch(void **state)
{
    static const char *const ref[] = {"ref"};
    float x[] = {1, 2, 3, -1, .5f, 2, 7, 0, 1, 1, 1, 1};
    small m = small_model(VECQ_DT_FLOAT, any_rows);
    vecq_session_options options;
    int pass;

    (void)state;
    vecq_session_options_default(&options);
    for (pass = 0; pass < 2; pass++) {
        vecq_session *s;
        vecq_runner *r;
        int64_t n;

        options.backends = pass == 0 ? ref : NULL;
        options.n_backends = pass == 0;
        s = open_session(&m, &options);
        r = open_runner(s);
        for (n = 1; n <= 4; n++) {
            run_x(r, n, x);
            check_result(r, n, x);
        }
        run_x(r, 0, x);
        check_result(r, 0, x);
        run_x(r, 2, x + 3);
        check_result(r, 2, x + 3);
        vecq_runner_destroy(r);
        vecq_session_close(s);
    }
    free(m.data);
}

static void test_converts_types(void **state)
{
    float x[] = {1, 2, 3, -1, .5f, 2};
    double wide[6];
    uint16_t half[6];
    int64_t dims[2] = {2, ROWS}, i;
    vecq_error err = VECQ_ERROR_INIT;
    int pass;

    (void)state;
    for (i = 0; i < 6; i++) {
        wide[i] = x[i];
        half[i] = vecq_f32_to_f16(x[i]);
    }
    for (pass = 0; pass < 2; pass++) {
        vecq_dtype dtype = pass == 0 ? VECQ_DT_FLOAT16 : VECQ_DT_DOUBLE;
        small m = small_model(dtype, any_rows);
        vecq_session *s = open_session(&m, NULL);
        vecq_runner *r = open_runner(s);
        vecq_view a, b;
        double *first;

        assert_ok(vecq_runner_bind(r, "x", dtype, 2, dims, pass == 0 ? (void *)half : (void *)wide, &err),
                  &err);
        assert_ok(vecq_runner_run(r, &err), &err);
        assert_ok(vecq_runner_output(r, "y", &a, &err), &err);
        assert_int_equal(a.dtype, dtype);
        assert_int_equal(a.n_bytes, vecq_dtype_bytes(dtype, 2 * COLS));
        first = malloc(a.n_bytes);
        memcpy(first, a.data, a.n_bytes);
        bind_x(r, 2, x); /* the same numbers as float32 */
        assert_ok(vecq_runner_run(r, &err), &err);
        assert_ok(vecq_runner_output(r, "y", &b, &err), &err);
        assert_memory_equal(first, b.data, b.n_bytes);
        free(first);
        vecq_runner_destroy(r);
        vecq_session_close(s);
        free(m.data);
    }
}

#define expect(status, call, text)                                                                           \
    do {                                                                                                     \
        vecq_error why_ = VECQ_ERROR_INIT;                                                                   \
        vecq_error *err = &why_;                                                                             \
        assert_int_equal(call, status);                                                                      \
        if (strstr(why_.message, text) == NULL)                                                              \
            fail_msg("'%s' does not say '%s'", why_.message, text);                                          \
    } while (0)

static void test_names_what_is_wrong(void **state)
{
    float x[12] = {0};
    int64_t good[2] = {2, ROWS}, bad[2] = {2, ROWS + 1}, negative[2] = {-2, ROWS};
    small m = small_model(VECQ_DT_FLOAT, any_rows);
    vecq_session *s = open_session(&m, NULL);
    vecq_runner *r = open_runner(s);
    vecq_view view;

    (void)state;
    expect(VECQ_ERR_VALUE, vecq_runner_run(r, err), "m: input 'x' is missing: Nx3 of type float32");
    expect(VECQ_ERR_VALUE, vecq_runner_output(r, "y", &view, err), "no result");
    expect(VECQ_ERR_VALUE, vecq_runner_bind(r, "q", VECQ_DT_FLOAT, 2, good, x, err), "no input 'q'");
    expect(VECQ_ERR_VALUE, vecq_runner_bind(r, "x", VECQ_DT_INT32, 2, good, x, err),
           "input 'x' is float32, the data are int32");
    expect(VECQ_ERR_VALUE, vecq_runner_bind(r, "x", VECQ_DT_FLOAT, 2, bad, x, err),
           "input 'x' is Nx3, the data are 2x4");
    expect(VECQ_ERR_VALUE, vecq_runner_bind(r, "x", VECQ_DT_FLOAT, 1, good, x, err), "the data are 2");
    expect(VECQ_ERR_VALUE, vecq_runner_bind(r, "x", VECQ_DT_FLOAT, 2, negative, x, err), "impossible shape");
    expect(VECQ_ERR_VALUE, vecq_runner_bind(r, "x", VECQ_DT_FLOAT, 99, good, x, err), "impossible shape");
    expect(VECQ_ERR_VALUE, vecq_runner_bind(r, "x", VECQ_DT_INT4, 2, good, x, err), "int4 cannot be bound");
    expect(VECQ_ERR_VALUE, vecq_runner_run(r, err), "missing");
    expect(VECQ_OK, vecq_runner_bind(r, "x", VECQ_DT_FLOAT, 2, good, NULL, err), "");
    expect(VECQ_OK, vecq_runner_prepare(r, err), "");
    expect(VECQ_ERR_VALUE, vecq_runner_run(r, err), "input 'x' has no data");
    expect(VECQ_OK, vecq_runner_bind(r, "x", VECQ_DT_FLOAT, 2, good, x, err), "");
    expect(VECQ_OK, vecq_runner_run(r, err), "");
    expect(VECQ_ERR_VALUE, vecq_runner_output(r, "q", &view, err), "no output 'q'");
    expect(VECQ_ERR_VALUE, vecq_runner_copy_output(r, "y", x, 3, err), "has 3200 bytes, not 3");
    vecq_runner_destroy(r);
    vecq_session_close(s);
    free(m.data);
}

static void test_refuses_models(void **state)
{
    small m = small_model(VECQ_DT_FLOAT, any_rows);
    static const char *const nobody[] = {"abacus"};
    vecq_dim_value fixed = {"M", 2};
    vecq_session_options o;
    vecq_session *s;
    model_build b;
    small other;

    (void)state;
    vecq_session_options_default(&o);
    o.backends = nobody;
    o.n_backends = 1;
    expect(VECQ_ERR_UNSUPPORTED, vecq_session_load_memory(m.data, m.n, "m", NULL, &o, &s, err), "'abacus'");
    assert_null(s);
    vecq_session_options_default(&o);
    o.dims = &fixed;
    o.n_dims = 1;
    expect(VECQ_ERR_VALUE, vecq_session_load_memory(m.data, m.n, "m", NULL, &o, &s, err), "dimension 'M'");
    vecq_session_options_default(&o);
    o.act_bits = 5;
    expect(VECQ_ERR_UNSUPPORTED, vecq_session_load_memory(m.data, m.n, "m", NULL, &o, &s, err), "5 bits");
    expect(VECQ_ERR_FORMAT, vecq_session_load_memory(m.data, m.n / 2, "m", NULL, NULL, &s, err), "m: ");
    expect(VECQ_ERR_IO, vecq_session_load("/nowhere/m.onnx", NULL, &s, err), "/nowhere/m.onnx");
    free(m.data);

    model_begin(&b, 8,
                17); /* an operator that nobody knows, in a place that counts, and in one that does not */
    model_input(&b, "x");
    model_output(&b, "y");
    model_node(&b, "Relu", "x", "t");
    model_node(&b, "Frobnicate", "t", "y");
    other.data = model_bytes(&b, &other.n);
    expect(VECQ_ERR_UNSUPPORTED, vecq_session_load_memory(other.data, other.n, "m", NULL, NULL, &s, err),
           "m: Frobnicate 'y'");
    free(other.data);

    model_begin(&b, 8, 17);
    model_input(&b, "x");
    model_output(&b, "y");
    model_node(&b, "Add", "x u", "t");
    model_node(&b, "Relu", "t", "u");
    model_node(&b, "Relu", "u", "y");
    other.data = model_bytes(&b, &other.n);
    expect(VECQ_ERR_FORMAT, vecq_session_load_memory(other.data, other.n, "m", NULL, NULL, &s, err),
           "Add 't' reads 'u', which no node before it makes");
    free(other.data);
}

static void test_symbols_must_agree(void **state)
{
    int64_t dims[2] = {-1, 2}, two[2] = {2, 2}, three[2] = {3, 2};
    float x[6] = {0};
    vecq_session *s;
    vecq_runner *r;
    model_build b;
    small m;

    (void)state;
    model_begin(&b, 8, 17);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "a", VECQ_DT_FLOAT, 2, dims);
    model_formal_of(&b, ONNX_GRAPH_INPUT, "b", VECQ_DT_FLOAT, 2, dims);
    model_output(&b, "y");
    assert_true(vecq_onnx_node_int(model_node(&b, "Concat", "a b", "y"), "axis", 0));
    m.data = model_bytes(&b, &m.n);
    s = open_session(&m, NULL);
    r = open_runner(s);
    expect(VECQ_OK, vecq_runner_bind(r, "a", VECQ_DT_FLOAT, 2, two, x, err), "");
    expect(VECQ_OK, vecq_runner_bind(r, "b", VECQ_DT_FLOAT, 2, three, x, err), "");
    expect(VECQ_ERR_VALUE, vecq_runner_run(r, err), "'N' is 3 in dimension 0 of input 'b' and 2");
    expect(VECQ_OK, vecq_runner_bind(r, "a", VECQ_DT_FLOAT, 2, three, x, err), "");
    expect(VECQ_OK, vecq_runner_run(r, err), "");
    vecq_runner_destroy(r);
    vecq_session_close(s);
    free(m.data);
}

/* ---- memory ---- */

static void test_runs_without_allocating(void **state)
{
    float x[] = {1, 2, 3, -1, .5f, 2};
    vecq_fail_alloc count = {0, SIZE_MAX, 0};
    vecq_allocator allocator = {vecq_fail_allocate, vecq_fail_release, &count};
    small m = small_model(VECQ_DT_FLOAT16, any_rows);
    vecq_session *s;
    vecq_runner *r;
    size_t before;
    int i;

    (void)state;
    vecq_set_allocator(&allocator);
    s = open_session(&m, NULL);
    r = open_runner(s);
    run_x(r, 1, x);
    run_x(r, 2, x);
    before = count.n_calls;
    for (i = 0; i < 5; i++) {
        run_x(r, 1 + i % 2, x);
    }
    assert_int_equal(count.n_calls, before);
    vecq_runner_destroy(r);
    vecq_session_close(s);
    vecq_set_allocator(NULL);
    assert_int_equal(count.n_live, 0);
    free(m.data);
}

static void test_keeps_the_plans_used_last(void **state)
{
    float x[5 * ROWS] = {1, 2, 3};
    small m = small_model(VECQ_DT_FLOAT, any_rows);
    vecq_session_options options;
    vecq_memory_info one, info;
    vecq_session *s;
    vecq_runner *r;

    (void)state;
    vecq_session_options_default(&options);
    options.plans = 2;
    s = open_session(&m, &options);
    r = open_runner(s);
    run_x(r, 1, x);
    vecq_session_memory(s, r, &one);
    assert_int_equal(one.plans, 1);
    assert_int_equal(one.file, m.n);
    assert_true(one.workspace > 0);
    run_x(r, 2, x);
    run_x(r, 1, x);
    run_x(r, 3, x); /* takes the place of 2 */
    run_x(r, 1, x);
    check_result(r, 1, x);
    run_x(r, 5, x);
    check_result(r, 5, x);
    vecq_session_memory(s, r, &info);
    assert_int_equal(info.plans, 2);
    assert_int_equal(info.weights + info.mapped, one.weights + one.mapped); /* shared by all shapes */
    vecq_runner_destroy(r);
    vecq_session_memory(s, NULL, &info);
    assert_int_equal(info.weights + info.mapped, 0);
    vecq_session_close(s);
    free(m.data);
}

static void test_runners_share_weights(void **state)
{
    const vecq_network *network = vecq_zoo_find("resnet20");
    int64_t dims[4] = {1, 3, 32, 32};
    vecq_memory_info one, two;
    vecq_session_options prefer;
    vecq_zoo_options options;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_runner *a, *b;
    vecq_session *s;
    float *x = calloc(2 * 3 * 32 * 32, sizeof *x);
    uint64_t read = 0;
    uint8_t *bytes;
    size_t n, n_steps, i;

    (void)state;
    vecq_zoo_options_default(network, &options);
    assert_ok(vecq_zoo_build(network, &options, &bytes, &n, &err), &err);
    vecq_session_options_default(&prefer);
    prefer.prefer = VECQ_PREFER_MEMORY; /* weights transformed for Winograd are larger */
    assert_ok(vecq_session_load_memory(bytes, n, "m", NULL, &prefer, &s, &err), &err);
    a = open_runner(s);
    b = open_runner(s);
    assert_ok(vecq_runner_bind(a, NULL, VECQ_DT_FLOAT, 4, dims, x, &err), &err);
    assert_ok(vecq_runner_run(a, &err), &err);
    vecq_session_memory(s, NULL, &one);
    assert_ok(vecq_runner_bind(b, NULL, VECQ_DT_FLOAT, 4, dims, x, &err), &err);
    assert_ok(vecq_runner_run(b, &err), &err);
    vecq_session_memory(s, NULL, &two);
    assert_int_equal(one.weights + one.mapped, two.weights + two.mapped);
    assert_ok(vecq_runner_steps(b, &n_steps, &err), &err);
    for (i = 0; i < n_steps; i++) {
        vecq_step_info step = vecq_runner_step(b, i);

        read += step.is_once ? 0 : step.bytes_weights;
    }
    assert_true(one.weights + one.mapped <= read + 1024); /* nothing but what runs read */
    vecq_runner_destroy(a);
    assert_ok(vecq_runner_run(b, &err), &err); /* what is shared stays */
    vecq_runner_destroy(b);
    vecq_session_close(s);
    vecq_free(bytes);
    free(x);
}

static vecq_status life(void *context, vecq_error *err)
{
    const small *m = context;
    int64_t dims[2] = {2, ROWS};
    float x[2 * ROWS] = {1, 2, 3, 4, 5, 6};
    vecq_session *s = NULL;
    vecq_runner *r = NULL;
    vecq_status status = vecq_session_load_memory(m->data, m->n, "m", NULL, NULL, &s, err);

    if (status == VECQ_OK)
        status = vecq_runner_create(s, &r, err);
    if (status == VECQ_OK)
        status = vecq_runner_bind(r, "x", VECQ_DT_FLOAT, 2, dims, x, err);
    if (status == VECQ_OK)
        status = vecq_runner_run(r, err);
    vecq_runner_destroy(r);
    vecq_session_close(s);
    return status;
}

static void test_every_allocation_may_fail(void **state)
{
    small m = small_model(VECQ_DT_FLOAT16, any_rows);

    (void)state;
    assert_true(vecq_fail_every_alloc(life, &m) > 20);
    free(m.data);
}

/* ---- threads, control ---- */

#define THREADS 4

typedef struct thread_job {
    vecq_session *session;
    const float *x;
    int64_t n;
    float *y;
    vecq_status status;
} thread_job;

static void *thread_main(void *context)
{
    thread_job *job = context;
    int64_t dims[2] = {job->n, ROWS};
    vecq_runner *r = NULL;
    int i;

    job->status = vecq_runner_create(job->session, &r, NULL);
    for (i = 0; i < 20 && job->status == VECQ_OK; i++) {
        dims[0] = 1 + (job->n + i) % 6; /* plans come and go while others run */
        job->status = vecq_runner_bind(r, "x", VECQ_DT_FLOAT, 2, dims, job->x, NULL);
        if (job->status == VECQ_OK)
            job->status = vecq_runner_run(r, NULL);
    }
    if (job->status == VECQ_OK)
        job->status = vecq_runner_copy_output(r, "y", job->y, (size_t)dims[0] * COLS * sizeof(float), NULL);
    job->n = dims[0];
    vecq_runner_destroy(r);
    return NULL;
}

static void test_threads_share_a_session(void **state)
{
    float x[6 * ROWS] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    small m = small_model(VECQ_DT_FLOAT, any_rows);
    vecq_session_options options;
    thread_job jobs[THREADS];
    pthread_t threads[THREADS];
    vecq_session *s;
    vecq_runner *r;
    int i;

    (void)state;
    vecq_session_options_default(&options);
    options.threads = 1;
    s = open_session(&m, &options);
    for (i = 0; i < THREADS; i++) {
        jobs[i] = (thread_job){s, x, i, calloc(6 * COLS, sizeof(float)), VECQ_OK};
        assert_int_equal(pthread_create(&threads[i], NULL, thread_main, &jobs[i]), 0);
    }
    r = open_runner(s);
    for (i = 0; i < THREADS; i++) {
        vecq_view y;

        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].status, VECQ_OK);
        run_x(r, jobs[i].n, x);
        assert_int_equal(vecq_runner_output(r, "y", &y, NULL), VECQ_OK);
        assert_memory_equal(y.data, jobs[i].y, y.n_bytes);
        free(jobs[i].y);
    }
    vecq_runner_destroy(r);
    vecq_session_close(s);
    free(m.data);
}

static void test_cancels_and_checks(void **state)
{
    float x[ROWS] = {1, 2, 3};
    small m = small_model(VECQ_DT_FLOAT, any_rows);
    vecq_session *s = open_session(&m, NULL);
    vecq_runner *r = open_runner(s);
    vecq_view y;

    (void)state;
    bind_x(r, 1, x);
    vecq_runner_cancel(r);
    expect(VECQ_ERR_CANCELLED, vecq_runner_run(r, err), "interrupted");
    expect(VECQ_ERR_VALUE, vecq_runner_output(r, "y", &y, err), "no result");
    expect(VECQ_OK, vecq_runner_run(r, err), "");
    vecq_runner_set_check(r, 1);
    expect(VECQ_OK, vecq_runner_run(r, err), "");
    x[1] = NAN;
    expect(VECQ_ERR_VALUE, vecq_runner_run(r, err), "input 'x' holds NaN (element 1)");
    x[1] = 3e38f;
    x[0] = 3e38f;
    expect(VECQ_ERR_VALUE, vecq_runner_run(r, err), "holds infinity");
    vecq_runner_set_check(r, 0);
    expect(VECQ_OK, vecq_runner_run(r, err), "");
    vecq_runner_destroy(r);
    vecq_session_close(s);
    free(m.data);
}

static void test_explains(void **state)
{
    float x[2 * ROWS] = {1, 2, 3};
    small m = small_model(VECQ_DT_FLOAT, any_rows);
    vecq_session *s = open_session(&m, NULL);
    vecq_runner *r = open_runner(s);
    uint64_t macs = 0, weights = 0;
    vecq_error err = VECQ_ERROR_INIT;
    double seconds = 0;
    size_t n, i;

    (void)state;
    bind_x(r, 2, x);
    assert_ok(vecq_runner_steps(r, &n, &err), &err);
    assert_true(n >= 1);
    vecq_runner_set_timing(r, 1);
    assert_ok(vecq_runner_run(r, &err), &err);
    assert_ok(vecq_runner_run(r, &err), &err);
    for (i = 0; i < n; i++) {
        vecq_step_info step = vecq_runner_step(r, i);

        assert_non_null(step.node);
        assert_non_null(step.op);
        assert_non_null(step.detail);
        assert_non_null(step.reason);
        assert_int_equal(step.n_timed, 2);
        macs += step.macs;
        seconds += step.seconds;
        weights += step.is_once ? 0 : step.bytes_weights;
    }
    assert_int_equal(macs, 2 * ROWS * COLS);
    assert_true(seconds > 0);
    assert_true(weights >= (ROWS + 1) * COLS * sizeof(float));
    assert_string_equal(vecq_backend_label(0) != NULL ? "some" : "none", "some");
    assert_null(vecq_backend_label(99));
    vecq_runner_destroy(r);
    vecq_session_close(s);
    free(m.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describes),
        cmocka_unit_test(test_runs_with_any_batch),
        cmocka_unit_test(test_converts_types),
        cmocka_unit_test(test_names_what_is_wrong),
        cmocka_unit_test(test_refuses_models),
        cmocka_unit_test(test_symbols_must_agree),
        cmocka_unit_test(test_runs_without_allocating),
        cmocka_unit_test(test_keeps_the_plans_used_last),
        cmocka_unit_test(test_runners_share_weights),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_threads_share_a_session),
        cmocka_unit_test(test_cancels_and_checks),
        cmocka_unit_test(test_explains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
