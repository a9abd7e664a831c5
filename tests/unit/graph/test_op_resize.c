/* SPDX-License-Identifier: Apache-2.0 */
/* Resize and Pad: values against one formula for all axes at once, gradients, refusals. */
#include "vecq_test.h"

#include "base/status.h"
#include "fail_alloc.h"
#include "gradient_check.h"
#include "program_run.h"

/* ---- the formulas of ONNX, element by element ---- */

static float place_of(const vecq_resize_params *p, unsigned a, int64_t i, int64_t n_in)
{
    float x = (float)i, scale = (float)p->scales[a];

    if (p->coordinate == VECQ_COORD_ASYMMETRIC)
        return x / scale;
    if (p->coordinate == VECQ_COORD_ALIGN_CORNERS)
        return p->sizes[a] == 1 ? 0 : x * (float)(n_in - 1) / (float)(p->sizes[a] - 1);
    if (p->coordinate == VECQ_COORD_PYTORCH_HALF_PIXEL && p->sizes[a] == 1)
        return 0;
    return (x + 0.5f) / scale - 0.5f;
}

static int64_t within(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static int64_t nearest_of(const vecq_resize_params *p, double x)
{
    double low = floor(x), part = x - low;
    int up = p->nearest == VECQ_NEAREST_CEIL                 ? part > 0
             : p->nearest == VECQ_NEAREST_ROUND_PREFER_FLOOR ? part > 0.5
             : p->nearest == VECQ_NEAREST_ROUND_PREFER_CEIL  ? part >= 0.5
                                                             : 0;

    return (int64_t)low + up;
}

/* Sum over the 2^rank corners around the place of an element. */
static double resize_naive(const vecq_resize_params *p, unsigned rank, const int64_t *dims, const double *x,
                           size_t element)
{
    int64_t low[VECQ_MAX_RANK];
    double part[VECQ_MAX_RANK], sum = 0;
    unsigned a, corner;

    for (a = rank; a-- > 0; element /= (size_t)p->sizes[a]) {
        double place = (double)place_of(p, a, (int64_t)(element % (size_t)p->sizes[a]), dims[a]);

        if (p->mode == VECQ_RESIZE_NEAREST) {
            low[a] = nearest_of(p, place);
            part[a] = 0;
            continue;
        }
        low[a] = (int64_t)floor(place);
        part[a] = place - floor(place);
    }
    for (corner = 0; corner < 1u << rank; corner++) {
        double weight = 1;
        int64_t at = 0;

        for (a = 0; a < rank; a++) {
            int up = (corner >> a & 1u) != 0;

            weight *= up ? part[a] : 1 - part[a];
            at = at * dims[a] + within(low[a] + up, dims[a]);
        }
        sum += weight * x[at];
    }
    return sum;
}

static void resize_case(vecq_dtype dtype, const vecq_resize_params *p, unsigned rank, const int64_t *dims)
{
    size_t n = pr_count(rank, dims), i;
    double *x = calloc(n, sizeof *x);
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    vecq_rng rng;
    vecq_op *op;

    assert_non_null(x);
    memset(&pr, 0, sizeof pr);
    vecq_rng_seed(&rng, 5);
    for (i = 0; i < n; i++)
        x[i] = (double)(float)vecq_rng_uniform(&rng);
    pr_input(&pr, dtype, rank, dims, x);
    op = pr_op(&pr, VECQ_OP_RESIZE, pr.inputs, 1, p, sizeof *p, 0);
    assert_ok(pr_run(&pr, 2, &err), &err);
    assert_memory_equal(op->outputs[0]->dims, p->sizes, rank * sizeof *p->sizes);
    for (i = 0; i < op->outputs[0]->count; i++)
        pr_close("resize", i, pr_value(&pr, op->outputs[0], i), resize_naive(p, rank, dims, x, i),
                 p->mode == VECQ_RESIZE_NEAREST ? 0
                 : dtype == VECQ_DT_DOUBLE      ? 1e-12
                                                : 1e-6);
    pr_end(&pr);
    free(x);
}

static void test_resize(void **state)
{
    static const int64_t dims[4] = {2, 3, 4, 5};
    static const int64_t sizes[][4] = {
        {2, 3, 8, 10}, {2, 3, 2, 3}, {2, 3, 7, 1}, {2, 3, 1, 13}, {3, 5, 4, 2}};
    size_t s;
    unsigned a;
    int mode, coordinate, nearest;

    (void)state;
    for (s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (mode = 0; mode < 2; mode++)
            for (coordinate = 0; coordinate < 4; coordinate++)
                for (nearest = 0; nearest < (mode == VECQ_RESIZE_NEAREST ? 4 : 1); nearest++) {
                    vecq_resize_params p = {.mode = (vecq_resize_mode)mode,
                                            .coordinate = (vecq_resize_coordinate)coordinate,
                                            .nearest = (vecq_resize_nearest)nearest};

                    for (a = 0; a < 4; a++) {
                        p.sizes[a] = sizes[s][a];
                        p.scales[a] = (double)sizes[s][a] / (double)dims[a];
                    }
                    resize_case(VECQ_DT_FLOAT, &p, 4, dims);
                    resize_case(VECQ_DT_DOUBLE, &p, 4, dims);
                }
}

/* A scale that the size was rounded from still moves the elements: 2 * 1.4 = 2.8. */
static void test_resize_same_size(void **state)
{
    static const int64_t dims[1] = {2};
    static const double x[2] = {0, 7};
    const vecq_resize_params p = {.mode = VECQ_RESIZE_LINEAR, .sizes = {2}, .scales = {1.4}};
    vecq_error err = VECQ_ERROR_INIT;
    program_run pr;
    vecq_op *op;

    (void)state;
    memset(&pr, 0, sizeof pr);
    pr_input(&pr, VECQ_DT_FLOAT, 1, dims, x);
    op = pr_op(&pr, VECQ_OP_RESIZE, pr.inputs, 1, &p, sizeof p, 0);
    assert_ok(pr_run(&pr, 1, &err), &err);
    pr_close("resize", 0, pr_value(&pr, op->outputs[0], 0), 0, 0);
    pr_close("resize", 1, pr_value(&pr, op->outputs[0], 1), 7 * (1.5 / 1.4 - 0.5), 1e-6);
    pr_end(&pr);
}

/* ---- Pad ---- */

/* Place in the kept part that element i of the result repeats, walking back and forth; -1: none. */
static int64_t pad_place(const vecq_pad_params *p, int64_t i, int64_t kept)
{
    int64_t step;

    if (p->mode == VECQ_PAD_CONSTANT)
        return i < 0 || i >= kept ? -1 : i;
    if (p->mode == VECQ_PAD_EDGE || kept == 1)
        return within(i, kept);
    for (step = 0; i < 0 || i >= kept; step++) {
        assert_true(step < 100);
        i = i < 0 ? -i : 2 * (kept - 1) - i;
    }
    return i;
}

static double pad_naive(const vecq_pad_params *p, const vecq_var *y, const int64_t *dims, const double *x,
                        size_t element)
{
    int64_t place[VECQ_MAX_RANK], at = 0;
    unsigned a;

    for (a = y->rank; a-- > 0; element /= (size_t)y->dims[a]) {
        int64_t i = (int64_t)(element % (size_t)y->dims[a]), cut = p->begin[a] < 0 ? -p->begin[a] : 0;
        int64_t kept = dims[a] - cut + (p->end[a] < 0 ? p->end[a] : 0);

        place[a] = pad_place(p, i - (p->begin[a] > 0 ? p->begin[a] : 0), kept);
        if (place[a] < 0)
            return p->value;
        place[a] += cut;
    }
    for (a = 0; a < y->rank; a++)
        at = at * dims[a] + place[a];
    return x[at];
}

static void test_pad(void **state)
{
    static const int64_t dims[3] = {3, 4, 5};
    static const struct {
        int64_t begin[3], end[3];
    } rows[] = {{{0, 1, 2}, {0, 2, 1}},  {{1, 0, 0}, {2, 0, 0}},     {{0, -1, 2}, {0, 3, -2}},
                {{0, 0, 9}, {0, 7, 11}}, {{-1, -3, -4}, {-1, 4, 3}}, {{0, 0, 0}, {0, 0, 1}}};
    vecq_error err = VECQ_ERROR_INIT;
    double x[60];
    size_t r, i;
    int mode, dtype;

    (void)state;
    for (i = 0; i < 60; i++)
        x[i] = (double)i + 1;
    for (r = 0; r < sizeof rows / sizeof *rows; r++)
        for (mode = 0; mode < 3; mode++)
            for (dtype = 0; dtype < 2; dtype++) {
                vecq_pad_params p = {.mode = (vecq_pad_mode)mode, .value = -2.5};
                program_run pr;
                vecq_op *op;

                memcpy(p.begin, rows[r].begin, sizeof rows[r].begin);
                memcpy(p.end, rows[r].end, sizeof rows[r].end);
                memset(&pr, 0, sizeof pr);
                pr_input(&pr, dtype != 0 ? VECQ_DT_DOUBLE : VECQ_DT_FLOAT, 3, dims, x);
                op = pr_op(&pr, VECQ_OP_PAD, pr.inputs, 1, &p, sizeof p, 0);
                assert_ok(pr_run(&pr, 2, &err), &err);
                for (i = 0; i < 3; i++)
                    assert_int_equal(op->outputs[0]->dims[i], dims[i] + p.begin[i] + p.end[i]);
                for (i = 0; i < op->outputs[0]->count; i++)
                    pr_close("pad", i, pr_value(&pr, op->outputs[0], i),
                             pad_naive(&p, op->outputs[0], dims, x, i), 0);
                pr_end(&pr);
            }
}

/* ---- gradients ---- */

static vecq_status build_resize(vecq_program *p, vecq_var *const *in, const void *extra, vecq_var **out,
                                size_t *n_out, vecq_error *err)
{
    *n_out = 1;
    return vecq_program_op1(p, VECQ_OP_RESIZE, "op", in[0], extra, sizeof(vecq_resize_params), out, err);
}

static vecq_status build_pad(vecq_program *p, vecq_var *const *in, const void *extra, vecq_var **out,
                             size_t *n_out, vecq_error *err)
{
    *n_out = 1;
    return vecq_program_op1(p, VECQ_OP_PAD, "op", in[0], extra, sizeof(vecq_pad_params), out, err);
}

static void gradient_case(const char *name, unsigned rank, const int64_t *dims, const void *params,
                          int is_pad)
{
    gc_case c = {.name = name,
                 .n_inputs = 1,
                 .inputs = {{.rank = rank}},
                 .build = is_pad ? build_pad : build_resize,
                 .extra = params,
                 .tolerance = 1e-8};

    memcpy(c.inputs[0].dims, dims, rank * sizeof *dims);
    gc_run(&c);
}

static void test_resize_gradient(void **state)
{
    static const int64_t dims[4] = {1, 2, 3, 4};
    static const int64_t sizes[][4] = {{1, 2, 6, 8}, {1, 2, 2, 3}, {1, 2, 1, 9}, {2, 3, 5, 2}};
    size_t s;
    unsigned a;
    int mode, coordinate;

    (void)state;
    for (s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (mode = 0; mode < 2; mode++)
            for (coordinate = 0; coordinate < 4; coordinate++) {
                vecq_resize_params p = {.mode = (vecq_resize_mode)mode,
                                        .coordinate = (vecq_resize_coordinate)coordinate};

                for (a = 0; a < 4; a++) {
                    p.sizes[a] = sizes[s][a];
                    p.scales[a] = (double)sizes[s][a] / (double)dims[a];
                }
                gradient_case(mode == VECQ_RESIZE_LINEAR ? "Resize linear" : "Resize nearest", 4, dims, &p,
                              0);
            }
}

static void test_pad_gradient(void **state)
{
    static const int64_t dims[3] = {2, 3, 4};
    static const char *const names[] = {"Pad constant", "Pad reflect", "Pad edge"};
    vecq_pad_params p = {.value = 3};
    int mode;

    (void)state;
    for (mode = 0; mode < 3; mode++) {
        p.mode = (vecq_pad_mode)mode;
        memcpy(p.begin, (int64_t[]){0, 2, -1}, 3 * sizeof *p.begin);
        memcpy(p.end, (int64_t[]){0, 1, 5}, 3 * sizeof *p.end);
        gradient_case(names[mode], 3, dims, &p, 1);
        memcpy(p.begin, (int64_t[]){1, -1, 9}, 3 * sizeof *p.begin);
        memcpy(p.end, (int64_t[]){0, -1, -2}, 3 * sizeof *p.end);
        gradient_case(names[mode], 3, dims, &p, 1);
    }
}

/* ---- refusals, and what is known not to be negative ---- */

static void expect(vecq_op_kind kind, vecq_dtype dtype, const void *params, size_t bytes, const char *words)
{
    static const int64_t dims[3] = {4, 0, 5};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_program program;
    vecq_var *in;
    vecq_op *op;

    memset(&program, 0, sizeof program);
    assert_ok(vecq_program_input(&program, "a", dtype, 3, dims, &in, &err), &err);
    assert_int_equal(vecq_program_op(&program, kind, "op", &in, 1, params, bytes, 0, &op, &err),
                     VECQ_ERR_FORMAT);
    if (strstr(err.message, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.message, words);
    vecq_program_clear(&program);
}

static void test_refusals(void **state)
{
    vecq_resize_params resize = {.sizes = {4, 0, 5}, .scales = {1, 1, 1}};
    vecq_pad_params pad = {.mode = VECQ_PAD_CONSTANT};

    (void)state;
    expect(VECQ_OP_RESIZE, VECQ_DT_INT32, &resize, sizeof resize, "type int32");
    resize.sizes[1] = 2;
    expect(VECQ_OP_RESIZE, VECQ_DT_FLOAT, &resize, sizeof resize, "axis 1 of 0 elements cannot become 2");
    resize.sizes[1] = 0;
    resize.sizes[0] = 0;
    expect(VECQ_OP_RESIZE, VECQ_DT_FLOAT, &resize, sizeof resize, "axis 0 of 4 elements cannot become 0");
    resize.sizes[0] = (int64_t)1 << 48;
    resize.sizes[1] = 0;
    expect(VECQ_OP_RESIZE, VECQ_DT_FLOAT, &resize, sizeof resize, "impossible shape");
    resize.sizes[0] = 4;
    resize.scales[2] = 0;
    expect(VECQ_OP_RESIZE, VECQ_DT_FLOAT, &resize, sizeof resize, "a scale of 0 for axis 2");
    resize.scales[2] = NAN;
    expect(VECQ_OP_RESIZE, VECQ_DT_FLOAT, &resize, sizeof resize, "a scale of");
    resize.scales[2] = 1;
    resize.sizes[2] = 6;
    expect(VECQ_OP_RESIZE_GRAD, VECQ_DT_FLOAT, &resize, sizeof resize, "forward op");
    expect(VECQ_OP_PAD, VECQ_DT_INT64, &pad, sizeof pad, "type int64");
    expect(VECQ_OP_PAD_GRAD, VECQ_DT_FLOAT, &pad, sizeof pad, "forward op");
    pad.begin[0] = -3;
    pad.end[0] = -2;
    expect(VECQ_OP_PAD, VECQ_DT_FLOAT, &pad, sizeof pad, "leaves nothing of axis 0");
    pad.begin[0] = INT64_MIN;
    expect(VECQ_OP_PAD, VECQ_DT_FLOAT, &pad, sizeof pad, "a padding of");
    pad.begin[0] = pad.end[0] = 0;
    pad.begin[1] = 1;
    pad.mode = VECQ_PAD_EDGE;
    expect(VECQ_OP_PAD, VECQ_DT_FLOAT, &pad, sizeof pad, "leaves nothing of axis 1");
}

static void test_sign(void **state)
{
    static const int64_t dims[1] = {4};
    const vecq_resize_params resize = {.sizes = {8}, .scales = {2}};
    vecq_pad_params pad = {.mode = VECQ_PAD_CONSTANT, .begin = {1}};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_program program;
    vecq_var *x, *y;

    (void)state;
    memset(&program, 0, sizeof program);
    assert_ok(vecq_program_input(&program, "x", VECQ_DT_FLOAT, 1, dims, &x, &err), &err);
    assert_ok(vecq_program_op1(&program, VECQ_OP_RESIZE, "r", x, &resize, sizeof resize, &y, &err), &err);
    assert_false(y->is_relu);
    x->is_relu = 1;
    assert_ok(vecq_program_op1(&program, VECQ_OP_RESIZE, "r", x, &resize, sizeof resize, &y, &err), &err);
    assert_true(y->is_relu);
    assert_ok(vecq_program_op1(&program, VECQ_OP_PAD, "p", x, &pad, sizeof pad, &y, &err), &err);
    assert_true(y->is_relu);
    pad.value = -1;
    assert_ok(vecq_program_op1(&program, VECQ_OP_PAD, "p", x, &pad, sizeof pad, &y, &err), &err);
    assert_false(y->is_relu);
    vecq_program_clear(&program);
}

/* ---- running out of memory, and threads ---- */

typedef struct life {
    unsigned threads;
    float y[2 * 5 * 7 * 9], dx[2 * 3 * 4 * 5]; /* of the last run */
} life;

static float life_x[2 * 3 * 4 * 5];

/* Resize of two axes, Pad of three, and the gradients of both. */
static vecq_status life_run(vecq_program *program, vecq_exec **exec, life *l, vecq_error *err)
{
    static const int64_t dims[4] = {2, 3, 4, 5};
    const vecq_resize_params resize = {
        .mode = VECQ_RESIZE_LINEAR, .sizes = {2, 3, 7, 9}, .scales = {1, 1, 7.0 / 4, 9.0 / 5}};
    const vecq_pad_params pad = {.mode = VECQ_PAD_REFLECT, .begin = {0, 1, 2, 0}, .end = {0, 1, -2, 0}};
    vecq_reduce_params all = {.axes = {1, 1, 1, 1}};
    vecq_exec_options options = {.threads = l->threads};
    vecq_run run = {.threads = l->threads};
    vecq_var *x, *y, *loss, *dx;

    VECQ_TRY(vecq_program_input(program, "x", VECQ_DT_FLOAT, 4, dims, &x, err));
    VECQ_TRY(vecq_program_op1(program, VECQ_OP_RESIZE, "r", x, &resize, sizeof resize, &y, err));
    VECQ_TRY(vecq_program_op1(program, VECQ_OP_PAD, "p", y, &pad, sizeof pad, &y, err));
    y->is_output = 1;
    VECQ_TRY(vecq_program_op2(program, VECQ_OP_MUL, "m", y, y, NULL, 0, &loss, err));
    VECQ_TRY(vecq_program_op1(program, VECQ_OP_REDUCE_SUM, "s", loss, &all, sizeof all, &loss, err));
    VECQ_TRY(vecq_program_differentiate(program, loss, &x, 1, &dx, err));
    VECQ_TRY(vecq_exec_create(program, &options, exec, err));
    vecq_exec_bind(*exec, x, life_x);
    VECQ_TRY(vecq_exec_run(*exec, &run, err));
    assert_int_equal(y->count, sizeof l->y / sizeof *l->y);
    memcpy(l->y, vecq_exec_data(*exec, y), sizeof l->y);
    memcpy(l->dx, vecq_exec_data(*exec, dx), sizeof l->dx);
    return VECQ_OK;
}

static vecq_status life_body(void *context, vecq_error *err)
{
    vecq_program program;
    vecq_exec *exec = NULL;
    vecq_status status;

    memset(&program, 0, sizeof program);
    status = life_run(&program, &exec, context, err);
    vecq_exec_destroy(exec);
    vecq_program_clear(&program);
    return status;
}

static void test_life(void **state)
{
    life one = {.threads = 1}, three = {.threads = 3};
    vecq_error err = VECQ_ERROR_INIT;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof life_x / sizeof *life_x; i++)
        life_x[i] = (float)sin((double)i);
    assert_true(vecq_fail_every_alloc(life_body, &one) > 20);
    assert_ok(life_body(&three, &err), &err);
    assert_memory_equal(one.y, three.y, sizeof one.y);
    assert_memory_equal(one.dx, three.dx, sizeof one.dx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),       cmocka_unit_test(test_resize_same_size),
        cmocka_unit_test(test_pad),          cmocka_unit_test(test_resize_gradient),
        cmocka_unit_test(test_pad_gradient), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_sign),         cmocka_unit_test(test_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
