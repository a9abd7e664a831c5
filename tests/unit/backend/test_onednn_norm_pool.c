/* SPDX-License-Identifier: Apache-2.0 */
/* Batch normalization and pooling with their gradients: oneDNN against ref. */
#include "backend_check.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- normalization ---- */

static vecq_status build_norm_train(vecq_program *program, vecq_var *const *in, const void *extra,
                                    vecq_var **out, size_t *n_out, vecq_error *err)
{
    vecq_norm_params p = {.epsilon = 1e-3};
    vecq_op *op;
    size_t i;

    *n_out = extra != NULL ? 1 : 3; /* gradients do not flow through the statistics */
    VECQ_TRY(vecq_program_op(program, VECQ_OP_BATCH_NORM_TRAIN, "norm", in, 3, &p, sizeof p, 0, &op, err));
    for (i = 0; i < *n_out; i++)
        out[i] = op->outputs[i];
    return VECQ_OK;
}

static vecq_status build_norm(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                              size_t *n_out, vecq_error *err)
{
    vecq_norm_params p = {.epsilon = 1e-5};
    vecq_op *op;

    (void)extra;
    *n_out = 1;
    VECQ_TRY(vecq_program_op(program, VECQ_OP_BATCH_NORM, "norm", in, 5, &p, sizeof p, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

static const bc_input images[] = {
    {.rank = 4, .dims = {4, 16, 7, 5}},   {.rank = 4, .dims = {3, 5, 6, 6}},
    {.rank = 2, .dims = {20, 33}},        {.rank = 3, .dims = {4, 8, 11}},
    {.rank = 5, .dims = {2, 6, 3, 4, 5}}, {.rank = 4, .dims = {8, 32, 1, 1}},
};

static void test_norm_train(void **state)
{
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(images); i++) {
        int64_t channels = images[i].dims[1];
        bc_case c = {.name = "norm of a batch",
                     .n_inputs = 3,
                     .inputs = {images[i],
                                {.rank = 1, .dims = {channels}, .low = 0.5, .high = 1.5},
                                {.rank = 1, .dims = {channels}}},
                     .build = build_norm_train,
                     .extra = "gradients",
                     .taken = "BatchNormTrain BatchNormTrainGrad",
                     .terms = 160,
                     .relative_to_largest = 1};

        bc_run(&c, backend);
        c.extra = NULL;
        c.forward_only = 1;
        c.taken = "BatchNormTrain";
        bc_run(&c, backend);
    }
}

static void test_norm_given(void **state)
{
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(images); i++) {
        int64_t channels = images[i].dims[1];
        bc_case c = {.name = "norm by given statistics",
                     .n_inputs = 5,
                     .inputs = {images[i],
                                {.rank = 1, .dims = {channels}, .low = 0.5, .high = 1.5},
                                {.rank = 1, .dims = {channels}},
                                {.rank = 1, .dims = {channels}, .is_fixed = 1},
                                {.rank = 1, .dims = {channels}, .low = 0.2, .high = 2, .is_fixed = 1}},
                     .build = build_norm,
                     .taken = "BatchNorm BatchNormGrad",
                     .terms = 160,
                     .relative_to_largest = 1};

        bc_run(&c, backend);
    }
}

/* ---- pooling ---- */

typedef struct pool_case {
    const char *name;
    vecq_op_kind kind;
    bc_input x;
    vecq_pool_params p;
    int anyone;
} pool_case;

static vecq_status build_pool(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                              size_t *n_out, vecq_error *err)
{
    const pool_case *v = extra;
    vecq_op *op;

    *n_out = 1;
    VECQ_TRY(vecq_program_op(program, v->kind, v->name, in, 1, &v->p, sizeof v->p, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

#define X4(n, c, h, w)                                                                                       \
    {                                                                                                        \
        .rank = 4, .dims = { n, c, h, w }                                                                    \
    }
#define P2(kh, kw, sh, sw, bh, bw, eh, ew, ceil, include)                                                    \
    {                                                                                                        \
        .spatial = 2, .kernel = {kh, kw, 1}, .stride = {sh, sw, 1}, .dilation = {1, 1, 1},                   \
        .pad_begin = {bh, bw, 0}, .pad_end = {eh, ew, 0}, .ceil_mode = ceil, .include_pad = include          \
    }

static void test_pool(void **state)
{
    static const pool_case cases[] = {
        {"2/2", VECQ_OP_MAX_POOL, X4(2, 16, 8, 6), P2(2, 2, 2, 2, 0, 0, 0, 0, 0, 0), 0},
        {"2/2, odd", VECQ_OP_MAX_POOL, X4(2, 5, 9, 7), P2(2, 2, 2, 2, 0, 0, 0, 0, 0, 0), 0},
        {"2/2, odd, ceil", VECQ_OP_MAX_POOL, X4(2, 5, 9, 7), P2(2, 2, 2, 2, 0, 0, 0, 0, 1, 0), 0},
        {"3/2, pads", VECQ_OP_MAX_POOL, X4(2, 16, 11, 11), P2(3, 3, 2, 2, 1, 1, 1, 1, 0, 0), 0},
        {"3/2, pads, ceil", VECQ_OP_MAX_POOL, X4(2, 16, 10, 12), P2(3, 3, 2, 2, 0, 1, 1, 1, 1, 0), 0},
        {"3/1, uneven", VECQ_OP_MAX_POOL, X4(1, 8, 6, 6), P2(3, 2, 1, 1, 2, 0, 0, 1, 0, 0), 0},
        {"5x3/3x1", VECQ_OP_MAX_POOL, X4(3, 3, 14, 8), P2(5, 3, 3, 1, 0, 0, 0, 0, 0, 0), 0},
        {"2/2", VECQ_OP_AVERAGE_POOL, X4(2, 16, 8, 6), P2(2, 2, 2, 2, 0, 0, 0, 0, 0, 0), 0},
        {"3/2, pads, excluded", VECQ_OP_AVERAGE_POOL, X4(2, 16, 11, 11), P2(3, 3, 2, 2, 1, 1, 1, 1, 0, 0), 0},
        {"3/2, pads, included", VECQ_OP_AVERAGE_POOL, X4(2, 16, 11, 11), P2(3, 3, 2, 2, 1, 1, 1, 1, 0, 1), 0},
        {"3/2, ceil, excluded", VECQ_OP_AVERAGE_POOL, X4(2, 6, 10, 12), P2(3, 3, 2, 2, 1, 0, 0, 0, 1, 0), 0},
        {"3/2, ceil, included", VECQ_OP_AVERAGE_POOL, X4(2, 6, 10, 12), P2(3, 3, 2, 2, 1, 0, 0, 0, 1, 1), 1},
        {"global", VECQ_OP_AVERAGE_POOL, X4(4, 24, 7, 7), P2(7, 7, 1, 1, 0, 0, 0, 0, 0, 0), 0},
        {"global max", VECQ_OP_MAX_POOL, X4(4, 24, 7, 7), P2(7, 7, 7, 7, 0, 0, 0, 0, 0, 0), 0},
        {"1d",
         VECQ_OP_MAX_POOL,
         {.rank = 3, .dims = {2, 6, 15}},
         {.spatial = 1, .kernel = {4}, .stride = {4}, .dilation = {1}},
         0},
        {"3d",
         VECQ_OP_AVERAGE_POOL,
         {.rank = 5, .dims = {2, 4, 4, 6, 4}},
         {.spatial = 3, .kernel = {2, 2, 2}, .stride = {2, 2, 2}, .dilation = {1, 1, 1}},
         0},
        {"dilated",
         VECQ_OP_MAX_POOL,
         X4(2, 8, 9, 9),
         {.spatial = 2, .kernel = {2, 3}, .stride = {1, 2}, .dilation = {3, 2}},
         1},
        {"dilated, pads",
         VECQ_OP_MAX_POOL,
         X4(2, 8, 9, 9),
         {.spatial = 2,
          .kernel = {2, 2},
          .stride = {1, 1},
          .dilation = {4, 4},
          .pad_begin = {3, 3},
          .pad_end = {3, 3}},
         1},
    };
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        int is_max = cases[i].kind == VECQ_OP_MAX_POOL;
        bc_case c = {.name = cases[i].name,
                     .n_inputs = 1,
                     .inputs = {cases[i].x},
                     .build = build_pool,
                     .extra = &cases[i],
                     .taken = cases[i].anyone ? NULL
                              : is_max        ? "MaxPool MaxPoolGrad"
                                              : "AveragePool AveragePoolGrad",
                     .terms = 64,
                     .relative_to_largest = 1};

        bc_run(&c, backend);
        c.inputs[0].is_quarters = 1; /* ties: the same element wins */
        bc_run(&c, backend);
        c.forward_only = 1;
        c.taken = NULL;
        bc_run(&c, backend);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm_train),
        cmocka_unit_test(test_norm_given),
        cmocka_unit_test(test_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
