/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts on the oneDNN backend against ref: every activation, with and without a residual, which is read later
 * or not. The op stands between others of the same kind, so that a padding of blocked layouts that is no
 * longer zero would show.
 */
#include "vecq_test.h"

#include "graph/post.h"
#include "program_run.h"

static const vecq_unary_params params = {0.25, 0.75};
static const vecq_conv_params conv3 = {
    .spatial = 2, .group = 1, .stride = {1, 1}, .dilation = {1, 1}, .pad_begin = {1, 1}, .pad_end = {1, 1}};

typedef struct post_case {
    vecq_op_kind kind;
    int activation, has_residual, is_read_later;
    int is_own; /* the residual is what the op reads */
    int64_t channels;
} post_case;

static vecq_var *random_input(program_run *pr, vecq_rng *rng, unsigned rank, const int64_t *dims)
{
    vecq_var *var = pr_input(pr, VECQ_DT_FLOAT, rank, dims, NULL);
    size_t i;

    for (i = 0; i < var->count; i++)
        pr_set(VECQ_DT_FLOAT, pr->memory[pr->n - 1], i, vecq_rng_uniform(rng) - 0.5);
    return var;
}

/* One op of the kind on x; all keep the shape of x. */
static vecq_op *op_on(program_run *pr, vecq_rng *rng, vecq_op_kind kind, vecq_var *x)
{
    const int64_t n = x->dims[x->rank == 2 ? 1 : x->rank == 3 ? 2 : 1];
    const int64_t w4[4] = {n, n, 3, 3}, w2[2] = {n, n}, w3[3] = {x->dims[0], n, n};
    const vecq_matmul_params matmul = {0, 1};
    vecq_var *in[3] = {x, NULL, NULL};
    vecq_error err = VECQ_ERROR_INIT;
    size_t n_in = 3;
    vecq_op *op;

    in[1] = kind == VECQ_OP_ADD      ? random_input(pr, rng, x->rank, x->dims)
            : kind == VECQ_OP_MATMUL ? random_input(pr, rng, 3, w3)
            : kind == VECQ_OP_GEMM   ? random_input(pr, rng, 2, w2)
                                     : random_input(pr, rng, 4, w4);
    if (kind == VECQ_OP_ADD || kind == VECQ_OP_MATMUL)
        n_in = 2;
    else
        in[2] = random_input(pr, rng, 1, &n);
    assert_ok(vecq_program_op(&pr->program, kind, "op", in, n_in,
                              x->rank == 4 ? (const void *)&conv3 : (const void *)&matmul,
                              x->rank == 4 ? sizeof conv3 : sizeof matmul, 0, &op, &err),
              &err);
    return op;
}

static void build(program_run *pr, const post_case *c)
{
    const int64_t image[4] = {2, c->channels, 9, 7}, rows[3] = {2, 7, c->channels};
    vecq_op_kind around = c->kind == VECQ_OP_ADD ? VECQ_OP_CONV : c->kind;
    unsigned rank = c->kind == VECQ_OP_GEMM ? 2 : c->kind == VECQ_OP_MATMUL ? 3 : 4;
    vecq_error err = VECQ_ERROR_INIT;
    vecq_op *first, *op, *last;
    vecq_var *x;
    vecq_rng rng;

    vecq_rng_seed(&rng, 1);
    first = op_on(pr, &rng, around, random_input(pr, &rng, rank, rank == 4 ? image : rows + (rank == 2)));
    x = c->is_own ? first->outputs[0] : op_on(pr, &rng, around, first->outputs[0])->outputs[0];
    op = op_on(pr, &rng, c->kind, x);
    assert_ok(vecq_op_set_post(op, (vecq_post_activation)c->activation, &params,
                               c->has_residual ? first->outputs[0] : NULL, &err),
              &err);
    last = op_on(pr, &rng, around, op->outputs[0]);
    last->outputs[0]->is_output = 1;
    if (c->is_read_later)
        op_on(pr, &rng, around, first->outputs[0])->outputs[0]->is_output = 1;
}

/* Runs on the backend into `out`, the outputs one after the other. */
static size_t outputs_of(const post_case *c, const vecq_backend *backend, double *out, size_t *n_steps)
{
    vecq_exec_options options = {.backends = &backend, .n_backends = 1, .threads = 2};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_run run = {.threads = 2};
    program_run pr;
    size_t i, k, n = 0;
    int round;

    memset(&pr, 0, sizeof pr);
    build(&pr, c);
    assert_ok(vecq_exec_create(&pr.program, &options, &pr.exec, &err), &err);
    for (i = 0; i < pr.n; i++)
        vecq_exec_bind(pr.exec, pr.inputs[i], pr.memory[i]);
    for (round = 0; round < 2; round++) /* what is added in place must not add up */
        assert_ok(vecq_exec_run(pr.exec, &run, &err), &err);
    *n_steps = 0;
    for (i = 0; i < vecq_exec_steps(pr.exec); i++)
        *n_steps += strcmp(vecq_exec_step(pr.exec, i).op, "Reorder") != 0;
    for (i = 0; i < pr.program.n_ops; i++)
        assert_string_equal(vecq_exec_step(pr.exec, 0).backend, vecq_backend_name(backend));
    for (i = 0; i < pr.program.n_vars; i++)
        for (k = 0; pr.program.vars[i]->is_output && k < pr.program.vars[i]->count; k++)
            out[n++] = pr_value(&pr, pr.program.vars[i], k);
    pr_end(&pr);
    return n;
}

static void check(const post_case *c, const vecq_backend *backend)
{
    static double have[100000], want[100000];
    size_t i, n, n_steps, ignored;
    double largest = 0;

    n = outputs_of(c, vecq_backend_find("ref"), want, &ignored);
    assert_int_equal(outputs_of(c, backend, have, &n_steps), n);
    for (i = 0; i < n; i++)
        largest = fabs(want[i]) > largest ? fabs(want[i]) : largest;
    for (i = 0; i < n; i++)
        if (!(fabs(have[i] - want[i]) <= 2e-5 * largest))
            fail_msg(
                "%s, activation %d, residual %d, its own %d, read later %d, %d channels: [%zu] is %g, not %g",
                vecq_op_info_of(c->kind)->name, c->activation, c->has_residual, c->is_own, c->is_read_later,
                (int)c->channels, i, have[i], want[i]);
    if (c->kind != VECQ_OP_CONV_TRANSPOSE && (c->kind != VECQ_OP_ADD || c->channels % 16 == 0))
        assert_int_equal(n_steps, 3 + c->is_read_later + !c->is_own);
}

static void test_posts(void **state)
{
    static const vecq_op_kind kinds[] = {VECQ_OP_CONV, VECQ_OP_CONV_TRANSPOSE, VECQ_OP_GEMM, VECQ_OP_MATMUL,
                                         VECQ_OP_ADD};
    static const int64_t channels[] = {5, 32};
    const vecq_backend *backend = vecq_backend_find("onednn");
    size_t i, k;
    int a, r;

    (void)state;
    if (backend == NULL)
        skip();
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (k = 0; k < sizeof channels / sizeof *channels; k++)
            for (a = 0; a < VECQ_POST_COUNT; a++)
                for (r = 0; r < (kinds[i] == VECQ_OP_ADD ? 1 : 5); r++) {
                    post_case c = {kinds[i], a, r > 0, r > 2, r % 2, channels[k]};

                    check(&c, backend);
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_posts)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
