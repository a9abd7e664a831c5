/* SPDX-License-Identifier: Apache-2.0 */
/* Normalization, Resize, Pad, Slice and Transpose of images against ref: of plain ones, and of what
 * convolutions leave channels last or in blocks. */
#include "backend_check.h"
#include "graph/post.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

typedef struct image_case {
    const char *name;
    vecq_op_kind kind;
    bc_input x;
    int64_t channels; /* of a convolution before the op; 0: there is none */
    union {
        vecq_group_norm_params group;
        vecq_norm_params norm;
        vecq_layer_norm_params rows;
        vecq_resize_params resize;
        vecq_pad_params pad;
        vecq_slice_params slice;
        vecq_transpose_params transpose;
    } p;
    size_t n_vectors; /* scale, bias, ... after x */
    vecq_post_activation activation;
} image_case;

static size_t params_bytes(vecq_op_kind kind)
{
    switch (kind) {
    case VECQ_OP_GROUP_NORM:
        return sizeof(vecq_group_norm_params);
    case VECQ_OP_BATCH_NORM:
        return sizeof(vecq_norm_params);
    case VECQ_OP_LAYER_NORM:
        return sizeof(vecq_layer_norm_params);
    case VECQ_OP_RESIZE:
        return sizeof(vecq_resize_params);
    case VECQ_OP_PAD:
        return sizeof(vecq_pad_params);
    case VECQ_OP_SLICE:
        return sizeof(vecq_slice_params);
    default:
        return sizeof(vecq_transpose_params);
    }
}

/* in: x, vectors of the op, weights of the convolution */
static vecq_status build(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                         size_t *n_out, vecq_error *err)
{
    const image_case *v = extra;
    const vecq_unary_params params = {v->activation == VECQ_POST_CLIP ? 0.25 : 0.2, 0.75};
    vecq_conv_params conv = {
        .spatial = v->x.rank - 2, .group = 1, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
    vecq_var *inputs[6], *pair[2] = {in[0], in[1 + v->n_vectors]};
    vecq_op *op;
    size_t i;

    for (i = 0; i <= v->n_vectors; i++)
        inputs[i] = in[i];
    if (v->channels > 0) {
        VECQ_TRY(vecq_program_op(program, VECQ_OP_CONV, "conv", pair, 2, &conv, sizeof conv, 0, &op, err));
        inputs[0] = op->outputs[0];
    }
    VECQ_TRY(vecq_program_op(program, v->kind, v->name, inputs, 1 + v->n_vectors, &v->p,
                             params_bytes(v->kind), 0, &op, err));
    if (v->activation != VECQ_POST_NONE)
        VECQ_TRY(vecq_op_set_post(op, v->activation, &params, NULL, err));
    *n_out = 1;
    out[0] = op->outputs[0];
    return VECQ_OK;
}

static void run_case(const image_case *v, const vecq_backend *backend, int is_inference)
{
    static const char *const taken[VECQ_OP_COUNT] = {
        [VECQ_OP_GROUP_NORM] = "GroupNorm",
        [VECQ_OP_BATCH_NORM] = "BatchNorm",
        [VECQ_OP_LAYER_NORM] = "LayerNorm",
        [VECQ_OP_RESIZE] = "Resize",
        [VECQ_OP_PAD] = "Pad",
        [VECQ_OP_SLICE] = "Slice",
    };
    int64_t channels = v->channels > 0 ? v->channels : v->x.dims[1];
    bc_case c = {.name = v->name,
                 .n_inputs = 1 + v->n_vectors,
                 .inputs = {v->x},
                 .build = build,
                 .extra = v,
                 .taken = taken[v->kind],
                 .terms = 200,
                 .relative_to_largest = 1,
                 .forward_only = 1,
                 .is_inference = is_inference};
    size_t i;

    for (i = 1; i < c.n_inputs; i++)
        c.inputs[i] =
            (bc_input){.rank = 1,
                       .dims = {v->kind == VECQ_OP_LAYER_NORM ? v->x.dims[v->x.rank - 1] : channels},
                       .low = 0.5,
                       .high = 1.5};
    if (v->channels > 0) {
        bc_input *w = &c.inputs[c.n_inputs++];

        *w = (bc_input){.rank = v->x.rank, .dims = {v->channels, v->x.dims[1], 3, 3, 3}};
        for (i = 2; i < v->x.rank; i++) /* the convolution takes them away again */
            c.inputs[0].dims[i] += 2;
    }
    bc_run(&c, backend);
}

static void run_cases(const image_case *cases, size_t n, const vecq_backend *backend)
{
    static const int64_t channels[] = {0, 16, 5, 33, 32};
    size_t i, k;

    for (i = 0; i < n; i++)
        for (k = 0; k < COUNT(channels); k++) {
            image_case v = cases[i];

            v.channels = channels[k];
            if (v.kind == VECQ_OP_GROUP_NORM && v.p.group.groups == 0)
                v.p.group.groups = v.channels > 0 ? v.channels : v.x.dims[1];
            if (v.kind == VECQ_OP_GROUP_NORM && v.channels % v.p.group.groups != 0)
                continue;
            run_case(&v, backend, 1);
            if (v.kind != VECQ_OP_BATCH_NORM)
                run_case(&v, backend, 0);
        }
}

#define X3(n, c, w)                                                                                          \
    {                                                                                                        \
        .rank = 3, .dims = { n, c, w }                                                                       \
    }
#define X4(n, c, h, w)                                                                                       \
    {                                                                                                        \
        .rank = 4, .dims = { n, c, h, w }                                                                    \
    }
#define X5(n, c, d, h, w)                                                                                    \
    {                                                                                                        \
        .rank = 5, .dims = { n, c, d, h, w }                                                                 \
    }

/* Groups 0: as many as channels. Images of one element, and longer than a piece of the sums. */
static void test_norms(void **state)
{
    static const image_case cases[] = {
        {"instance", VECQ_OP_GROUP_NORM, X4(2, 4, 9, 7), 0, {.group = {0, 1e-5}}, 2, VECQ_POST_NONE},
        {"instance, Relu", VECQ_OP_GROUP_NORM, X4(1, 3, 60, 50), 0, {.group = {0, 1e-5}}, 2, VECQ_POST_RELU},
        {"instance, row", VECQ_OP_GROUP_NORM, X3(2, 3, 40), 0, {.group = {0, 1e-3}}, 2, VECQ_POST_TANH},
        {"instance, 3d", VECQ_OP_GROUP_NORM, X5(2, 2, 5, 4, 6), 0, {.group = {0, 1e-3}}, 2, VECQ_POST_NONE},
        {"instance, long",
         VECQ_OP_GROUP_NORM,
         X4(1, 2, 200, 170),
         0,
         {.group = {0, 1e-5}},
         2,
         VECQ_POST_NONE},
        {"one group", VECQ_OP_GROUP_NORM, X4(2, 4, 6, 8), 0, {.group = {1, 1e-5}}, 2, VECQ_POST_SIGMOID},
        {"four groups", VECQ_OP_GROUP_NORM, X4(2, 8, 6, 8), 0, {.group = {4, 1e-5}}, 2, VECQ_POST_CLIP},
        {"given", VECQ_OP_BATCH_NORM, X4(2, 4, 9, 7), 0, {.norm = {1e-5}}, 4, VECQ_POST_NONE},
        {"given, Relu", VECQ_OP_BATCH_NORM, X4(2, 4, 9, 7), 0, {.norm = {1e-5}}, 4, VECQ_POST_RELU},
        {"given, Sigmoid", VECQ_OP_BATCH_NORM, X4(2, 4, 9, 7), 0, {.norm = {1e-5}}, 4, VECQ_POST_SIGMOID},
        {"given, Clip", VECQ_OP_BATCH_NORM, X3(2, 4, 9), 0, {.norm = {1e-5}}, 4, VECQ_POST_CLIP},
    };
    static const image_case rows[] = {
        {"features",
         VECQ_OP_BATCH_NORM,
         {.rank = 2, .dims = {6, 33}},
         0,
         {.norm = {1e-5}},
         4,
         VECQ_POST_RELU},
        {"rows",
         VECQ_OP_LAYER_NORM,
         X3(2, 5, 70),
         0,
         {.rows = {.axis = 2, .epsilon = 1e-5}},
         2,
         VECQ_POST_NONE},
        {"rows, no bias",
         VECQ_OP_LAYER_NORM,
         X3(2, 5, 16),
         0,
         {.rows = {.axis = 2, .epsilon = 1e-5}},
         1,
         VECQ_POST_NONE},
        {"rows alone",
         VECQ_OP_LAYER_NORM,
         X3(3, 5, 7),
         0,
         {.rows = {.axis = 1, .epsilon = 1e-5}},
         0,
         VECQ_POST_NONE},
        {"rms",
         VECQ_OP_LAYER_NORM,
         X3(2, 5, 70),
         0,
         {.rows = {.axis = 2, .epsilon = 1e-5, .is_rms = 1}},
         1,
         VECQ_POST_NONE},
    };
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    run_cases(cases, COUNT(cases), backend);
    for (i = 0; i < COUNT(rows); i++)
        run_case(&rows[i], backend, 1);
}

/* A mean far from 0 costs no more than its own rounding: the variance does not drown. */
static void test_norm_far_from_zero(void **state)
{
    const int64_t dims[4] = {1, 1, 33, 31}, one = 1;
    vecq_group_norm_params params = {1, 0};
    vecq_exec_options options = {.n_backends = 1, .threads = 1};
    vecq_run run = {.threads = 1};
    vecq_program program = {0};
    vecq_var *in[3];
    vecq_exec *exec = NULL;
    vecq_op *op;
    float x[33 * 31];
    double mean = 0, squares = 0;
    const float *y;
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(x); i++)
        x[i] = 1000 + (float)(i * 7 % 11);
    assert_int_equal(vecq_program_input(&program, "x", VECQ_DT_FLOAT, 4, dims, &in[0], NULL), VECQ_OK);
    assert_int_equal(vecq_program_fill(&program, "scale", VECQ_DT_FLOAT, 1, &one, 1, &in[1], NULL), VECQ_OK);
    assert_int_equal(vecq_program_fill(&program, "bias", VECQ_DT_FLOAT, 1, &one, 0, &in[2], NULL), VECQ_OK);
    assert_int_equal(
        vecq_program_op(&program, VECQ_OP_GROUP_NORM, "norm", in, 3, &params, sizeof params, 0, &op, NULL),
        VECQ_OK);
    op->outputs[0]->is_output = 1;
    options.backends = &backend;
    assert_int_equal(vecq_exec_create(&program, &options, &exec, NULL), VECQ_OK);
    vecq_exec_bind(exec, in[0], x);
    assert_int_equal(vecq_exec_run(exec, &run, NULL), VECQ_OK);
    for (i = 0; i < COUNT(x); i++)
        mean += (double)x[i] / (double)COUNT(x);
    for (i = 0; i < COUNT(x); i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)COUNT(x);
    y = vecq_exec_data(exec, op->outputs[0]);
    for (i = 0; i < COUNT(x); i++)
        assert_true(fabs((double)y[i] - ((double)x[i] - mean) / sqrt(squares)) < 1000 * 1.2e-7);
    vecq_exec_destroy(exec);
    vecq_program_clear(&program);
}

#define RESIZE(how, where, round, h, w, sh, sw)                                                              \
    {                                                                                                        \
        .resize = {                                                                                          \
            .mode = how,                                                                                     \
            .coordinate = where,                                                                             \
            .nearest = round,                                                                                \
            .sizes = {2, 3, h, w},                                                                           \
            .scales = {1, 1, sh, sw}                                                                         \
        }                                                                                                    \
    }

static void test_resize(void **state)
{
    static const image_case cases[] = {
        {"nearest, twice", VECQ_OP_RESIZE, X4(2, 3, 5, 7), 0,
         RESIZE(VECQ_RESIZE_NEAREST, VECQ_COORD_ASYMMETRIC, VECQ_NEAREST_FLOOR, 10, 14, 2, 2), 0,
         VECQ_POST_NONE},
        {"nearest, down", VECQ_OP_RESIZE, X4(2, 3, 9, 8), 0,
         RESIZE(VECQ_RESIZE_NEAREST, VECQ_COORD_HALF_PIXEL, VECQ_NEAREST_ROUND_PREFER_CEIL, 4, 5, 4.0 / 9,
                5.0 / 8),
         0, VECQ_POST_NONE},
        {"nearest, one axis", VECQ_OP_RESIZE, X4(2, 3, 6, 8), 0,
         RESIZE(VECQ_RESIZE_NEAREST, VECQ_COORD_HALF_PIXEL, VECQ_NEAREST_FLOOR, 6, 20, 1, 2.5), 0,
         VECQ_POST_NONE},
        {"linear", VECQ_OP_RESIZE, X4(2, 3, 5, 7), 0,
         RESIZE(VECQ_RESIZE_LINEAR, VECQ_COORD_HALF_PIXEL, VECQ_NEAREST_FLOOR, 10, 14, 2, 2), 0,
         VECQ_POST_NONE},
        {"linear, corners", VECQ_OP_RESIZE, X4(2, 3, 6, 5), 0,
         RESIZE(VECQ_RESIZE_LINEAR, VECQ_COORD_ALIGN_CORNERS, VECQ_NEAREST_FLOOR, 9, 13, 1.5, 2.6), 0,
         VECQ_POST_NONE},
        {"linear, rows only", VECQ_OP_RESIZE, X4(2, 3, 6, 5), 0,
         RESIZE(VECQ_RESIZE_LINEAR, VECQ_COORD_HALF_PIXEL, VECQ_NEAREST_FLOOR, 9, 5, 1.5, 1), 0,
         VECQ_POST_NONE},
        {"linear, columns only", VECQ_OP_RESIZE, X4(2, 3, 6, 5), 0,
         RESIZE(VECQ_RESIZE_LINEAR, VECQ_COORD_HALF_PIXEL, VECQ_NEAREST_FLOOR, 6, 9, 1, 1.8), 0,
         VECQ_POST_NONE},
    };
    size_t i, k;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        for (k = 0; k < 3; k++) { /* alone; behind convolutions */
            image_case v = cases[i];

            v.channels = (int64_t[]){0, 16, 5}[k];
            v.p.resize.sizes[1] = v.channels > 0 ? v.channels : 3;
            run_case(&v, backend, 1);
            run_case(&v, backend, 0);
        }
}

static void test_pad_and_slice(void **state)
{
    static const image_case cases[] = {
        {"reflected",
         VECQ_OP_PAD,
         X4(2, 3, 8, 9),
         0,
         {.pad = {.mode = VECQ_PAD_REFLECT, .begin = {0, 0, 2, 1}, .end = {0, 0, 1, 3}}},
         0,
         VECQ_POST_NONE},
        {"edges",
         VECQ_OP_PAD,
         X4(2, 3, 8, 9),
         0,
         {.pad = {.mode = VECQ_PAD_EDGE, .begin = {0, 0, 0, 4}, .end = {0, 0, 5, 0}}},
         0,
         VECQ_POST_NONE},
        {"zeros, cut",
         VECQ_OP_PAD,
         X4(2, 3, 8, 9),
         0,
         {.pad = {.mode = VECQ_PAD_CONSTANT, .begin = {0, 0, 1, -1}, .end = {0, 0, 2, 2}}},
         0,
         VECQ_POST_NONE},
        {"ones",
         VECQ_OP_PAD,
         X3(2, 3, 9),
         0,
         {.pad = {.mode = VECQ_PAD_CONSTANT, .begin = {0, 0, 2}, .end = {0, 0, 3}, .value = 1}},
         0,
         VECQ_POST_NONE},
    };
    static const image_case slices[] = {
        {"middle",
         VECQ_OP_SLICE,
         X4(2, 16, 8, 9),
         0,
         {.slice = {.start = {0, 0, 2, 3}, .step = {1, 1, 1, 1}, .length = {2, 16, 4, 5}}},
         0,
         VECQ_POST_NONE},
        {"every other",
         VECQ_OP_SLICE,
         X4(2, 16, 8, 9),
         0,
         {.slice = {.start = {0, 0, 1, 0}, .step = {1, 1, 2, 2}, .length = {2, 16, 3, 4}}},
         0,
         VECQ_POST_NONE},
        {"backwards",
         VECQ_OP_SLICE,
         X4(2, 16, 8, 9),
         0,
         {.slice = {.start = {0, 0, 5, 6}, .step = {1, 1, -1, -2}, .length = {2, 16, 3, 3}}},
         0,
         VECQ_POST_NONE},
    };
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    run_cases(cases, COUNT(cases), backend);
    for (i = 0; i < COUNT(slices); i++) {
        image_case v = slices[i];

        run_case(&v, backend, 0);
        v.channels = 16;
        run_case(&v, backend, 0);
        run_case(&v, backend, 1);
    }
}

static void test_transpose(void **state)
{
    static const image_case cases[] = {
        {"to the front",
         VECQ_OP_TRANSPOSE,
         X4(2, 6, 7, 5),
         0,
         {.transpose = {{0, 3, 1, 2}}},
         0,
         VECQ_POST_NONE},
        {"to the end",
         VECQ_OP_TRANSPOSE,
         X4(2, 6, 7, 5),
         0,
         {.transpose = {{0, 2, 3, 1}}},
         0,
         VECQ_POST_NONE},
        {"rows", VECQ_OP_TRANSPOSE, X3(2, 30, 40), 0, {.transpose = {{0, 2, 1}}}, 0, VECQ_POST_NONE},
        {"heads", VECQ_OP_TRANSPOSE, X4(2, 12, 4, 16), 0, {.transpose = {{0, 2, 1, 3}}}, 0, VECQ_POST_NONE},
        {"3d", VECQ_OP_TRANSPOSE, X5(2, 3, 5, 6, 7), 0, {.transpose = {{0, 2, 3, 4, 1}}}, 0, VECQ_POST_NONE},
        {"all", VECQ_OP_TRANSPOSE, X4(4, 6, 7, 5), 0, {.transpose = {{3, 1, 0, 2}}}, 0, VECQ_POST_NONE},
    };
    BC_BACKEND("onednn")

    (void)state;
    run_cases(cases, COUNT(cases), backend);
}

static void test_allocations(void **state)
{
    static const image_case norm = {"instance", VECQ_OP_GROUP_NORM, X4(1, 2, 5, 5), 0, {.group = {2, 1e-5}},
                                    2,          VECQ_POST_NONE};
    static const image_case pad = {
        "edges", VECQ_OP_PAD,   X4(1, 2, 4, 4), 0, {.pad = {.mode = VECQ_PAD_EDGE, .begin = {0, 0, 1, 1}}},
        0,       VECQ_POST_NONE};
    const image_case *cases[] = {&norm, &pad};
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        bc_case c = {.name = cases[i]->name,
                     .n_inputs = 1 + cases[i]->n_vectors,
                     .inputs = {cases[i]->x, {.rank = 1, .dims = {2}}, {.rank = 1, .dims = {2}}},
                     .build = build,
                     .extra = cases[i],
                     .forward_only = 1};

        assert_true(bc_fail_every_alloc(&c, backend) > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norms),     cmocka_unit_test(test_norm_far_from_zero),
        cmocka_unit_test(test_resize),    cmocka_unit_test(test_pad_and_slice),
        cmocka_unit_test(test_transpose), cmocka_unit_test(test_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
