/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a small image network, forward and backward, with every allocation failing once. */
#include "vecq_test.h"

#include "backend/exec.h"
#include "base/status.h"
#include "fail_alloc.h"
#include "graph/gradient.h"

typedef struct network {
    vecq_program program;
    vecq_store store;
    vecq_exec *exec;
    vecq_var *x, *weights[4], *loss, *gradients[4];
} network;

static vecq_status add_stored(network *n, const char *name, unsigned rank, const int64_t *dims,
                              int is_trained, vecq_var **out, vecq_error *err)
{
    vecq_stored *stored;
    vecq_tensor tensor;
    size_t i;

    VECQ_TRY(vecq_tensor_create(VECQ_DT_FLOAT, rank, dims, &tensor, err));
    for (i = 0; i < tensor.count; i++)
        ((float *)tensor.data)[i] = 0.25f * (float)(i % 5);
    VECQ_TRY(vecq_store_add(&n->store, name, NULL, &tensor, &stored, err));
    stored->is_trained = is_trained;
    return vecq_program_stored(&n->program, stored, out, err);
}

/* Conv, ConvTranspose, BatchNormTrain with its averages, MaxPool, AveragePool. */
static vecq_status add_layers(network *n, vecq_var **y, vecq_error *err)
{
    static const int64_t w_dims[4] = {3, 2, 3, 3}, up_dims[4] = {3, 3, 2, 2}, channels = 3;
    static const vecq_conv_params conv = {2, 1, {1, 1}, {1, 1}, {1, 1}, {1, 1}, {0}};
    static const vecq_conv_params up = {2, 1, {2, 2}, {1, 1}, {0}, {0}, {0}};
    static const vecq_pool_params pool = {2, {3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, 0, 0, 0};
    static const vecq_norm_params norm = {1e-5};
    static const vecq_average_params average = {0.9, 1};
    vecq_var *in[3] = {n->x, NULL, NULL};
    vecq_op *op;
    size_t i;

    VECQ_TRY(add_stored(n, "w", 4, w_dims, 1, &n->weights[0], err));
    VECQ_TRY(add_stored(n, "up", 4, up_dims, 1, &n->weights[1], err));
    VECQ_TRY(add_stored(n, "scale", 1, &channels, 1, &n->weights[2], err));
    VECQ_TRY(add_stored(n, "bias", 1, &channels, 1, &n->weights[3], err));
    in[1] = n->weights[0];
    in[2] = n->weights[3];
    VECQ_TRY(vecq_program_op(&n->program, VECQ_OP_CONV, "conv", in, 3, &conv, sizeof conv, 0, &op, err));
    in[0] = op->outputs[0];
    in[1] = n->weights[1];
    VECQ_TRY(vecq_program_op(&n->program, VECQ_OP_CONV_TRANSPOSE, "up", in, 2, &up, sizeof up, 0, &op, err));
    in[0] = op->outputs[0];
    in[1] = n->weights[2];
    VECQ_TRY(vecq_program_op(&n->program, VECQ_OP_BATCH_NORM_TRAIN, "norm", in, 3, &norm, sizeof norm, 0, &op,
                             err));
    in[0] = op->outputs[0];
    for (i = 1; i < 3; i++) {
        vecq_var *update[2] = {NULL, op->outputs[i]};
        vecq_op *made;

        VECQ_TRY(add_stored(n, "state", 1, &channels, 0, &update[0], err));
        VECQ_TRY(vecq_program_op(&n->program, VECQ_OP_MOVING_AVERAGE, "average", update, 2, &average,
                                 sizeof average, 0, &made, err));
    }
    VECQ_TRY(vecq_program_op(&n->program, VECQ_OP_MAX_POOL, "max", in, 1, &pool, sizeof pool, 0, &op, err));
    return vecq_program_op1(&n->program, VECQ_OP_AVERAGE_POOL, "mean", op->outputs[0], &pool, sizeof pool, y,
                            err);
}

/* Pad, Resize, and the sum of all. */
static vecq_status add_end(network *n, vecq_var *y, vecq_error *err)
{
    static const vecq_reduce_params all = {.axes = {1, 1, 1, 1}};
    vecq_pad_params pad = {.mode = VECQ_PAD_REFLECT, .begin = {0, 0, 2, -1}, .end = {0, 0, 1, 3}};
    vecq_resize_params resize = {.mode = VECQ_RESIZE_LINEAR, .scales = {1, 1, 2, 1.5}};
    unsigned a;

    VECQ_TRY(vecq_program_op1(&n->program, VECQ_OP_PAD, "pad", y, &pad, sizeof pad, &y, err));
    for (a = 0; a < 4; a++)
        resize.sizes[a] = (int64_t)((double)y->dims[a] * resize.scales[a]);
    VECQ_TRY(vecq_program_op1(&n->program, VECQ_OP_RESIZE, "resize", y, &resize, sizeof resize, &y, err));
    VECQ_TRY(vecq_program_op2(&n->program, VECQ_OP_MUL, "square", y, y, NULL, 0, &y, err));
    VECQ_TRY(vecq_program_op1(&n->program, VECQ_OP_REDUCE_SUM, "loss", y, &all, sizeof all, &n->loss, err));
    n->loss->is_output = 1;
    return VECQ_OK;
}

static vecq_status live(network *n, vecq_error *err)
{
    static const int64_t dims[4] = {2, 2, 4, 5};
    static const float x[2 * 2 * 4 * 5] = {1, 2, 3, 4, 5, -1, 6, -2, 7, 0.5f};
    vecq_exec_options options = {.threads = 1, .is_training = 1};
    vecq_run run = {.threads = 1};
    vecq_var *y;
    size_t i, k;

    VECQ_TRY(vecq_program_input(&n->program, "x", VECQ_DT_FLOAT, 4, dims, &n->x, err));
    VECQ_TRY(add_layers(n, &y, err));
    VECQ_TRY(add_end(n, y, err));
    VECQ_TRY(vecq_program_differentiate(&n->program, n->loss, n->weights, 4, n->gradients, err));
    VECQ_TRY(vecq_exec_create(&n->program, &options, &n->exec, err));
    vecq_exec_bind(n->exec, n->x, x);
    VECQ_TRY(vecq_exec_run(n->exec, &run, err));
    for (i = 0; i < 4; i++) { /* all of them take part */
        const float *g = vecq_exec_data(n->exec, n->gradients[i]);

        for (k = 0; k < n->gradients[i]->count && g[k] == 0; k++)
            ;
        assert_true(k < n->gradients[i]->count);
    }
    return VECQ_OK;
}

static vecq_status body(void *context, vecq_error *err)
{
    vecq_status status;
    network n;

    (void)context;
    memset(&n, 0, sizeof n);
    status = live(&n, err);
    vecq_exec_destroy(n.exec);
    vecq_program_clear(&n.program);
    vecq_store_clear(&n.store);
    return status;
}

static void test_every_allocation(void **state)
{
    (void)state;
    assert_true(vecq_fail_every_alloc(body, NULL) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
