/* SPDX-License-Identifier: Apache-2.0 */
/* LSTM on oneDNN against ref: directions, biases, initial states, final states, gradients of all of them. */
#include "backend_check.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

typedef struct lstm_case {
    vecq_lstm_direction direction;
    int64_t steps, batch, input, hidden;
    int has_bias, has_h, has_c;
    int outputs; /* bits: y, y_h, y_c enter the loss */
} lstm_case;

static vecq_status build_lstm(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                              size_t *n_out, vecq_error *err)
{
    const lstm_case *l = extra;
    vecq_lstm_params params = {.direction = l->direction, .hidden = l->hidden};
    vecq_var *inputs[6] = {in[0], in[1], in[2]};
    size_t n = 3;
    vecq_op *op;
    int i;

    if (l->has_bias)
        inputs[3] = in[n++];
    if (l->has_h)
        inputs[4] = in[n++];
    if (l->has_c)
        inputs[5] = in[n++];
    VECQ_TRY(vecq_program_op(program, VECQ_OP_LSTM, "lstm", inputs, 6, &params, sizeof params, 0, &op, err));
    *n_out = 0;
    for (i = 0; i < 3; i++)
        if (l->outputs >> i & 1)
            out[(*n_out)++] = op->outputs[i];
    return VECQ_OK;
}

/* `name` is the caller's, for messages. */
static bc_case case_of(const lstm_case *l, char name[96])
{
    int64_t d = l->direction == VECQ_LSTM_BOTH ? 2 : 1, h = l->hidden;
    bc_case c = {.name = name,
                 .n_inputs = 3,
                 .inputs = {{.rank = 3, .dims = {l->steps, l->batch, l->input}},
                            {.rank = 3, .dims = {d, 4 * h, l->input}},
                            {.rank = 3, .dims = {d, 4 * h, h}}},
                 .build = build_lstm,
                 .extra = l,
                 .taken = "LSTM LSTMGrad",
                 .relative_to_largest = 1};

    /* The longest sum is a weight's gradient over all steps and the batch; each term carries the error of the
     * sums before it. */
    c.terms = (double)(l->steps * l->batch + 4 * h + l->input + h) * 2;
    if (l->has_bias)
        c.inputs[c.n_inputs++] = (bc_input){.rank = 2, .dims = {d, 8 * h}};
    if (l->has_h)
        c.inputs[c.n_inputs++] = (bc_input){.rank = 3, .dims = {d, l->batch, h}};
    if (l->has_c)
        c.inputs[c.n_inputs++] = (bc_input){.rank = 3, .dims = {d, l->batch, h}};
    snprintf(name, 96, "lstm direction %d, %d steps, bias %d, h %d, c %d, outputs %d", (int)l->direction,
             (int)l->steps, l->has_bias, l->has_h, l->has_c, l->outputs);
    return c;
}

static void run_lstm(const lstm_case *l, const vecq_backend *backend)
{
    char name[96];
    bc_case c = case_of(l, name);

    bc_run(&c, backend);
    c.forward_only = 1;
    c.taken = "LSTM";
    bc_run(&c, backend);
    c.is_inference = 1;
    bc_run(&c, backend);
}

/* Whether one of the steps of the plan says so. */
static int has_step(const lstm_case *l, const vecq_backend *backend, const char *detail)
{
    char name[96];
    bc_case c = case_of(l, name);
    bc_state s;
    size_t i;
    int found = 0;

    c.forward_only = c.is_inference = 1;
    bc_make(&s, &c, backend, VECQ_DT_FLOAT, 1, 0);
    for (i = 0; i < vecq_exec_steps(s.exec); i++)
        found |= strcmp(vecq_exec_step(s.exec, i).detail, detail) == 0;
    bc_clear(&s);
    return found;
}

/* One or two sequences take a way of their own when nothing is trained; enough of them for two threads. */
static void test_small_batches(void **state)
{
    static const lstm_case cases[] = {
        {VECQ_LSTM_FORWARD, 5, 1, 7, 9, 1, 0, 0, 7}, {VECQ_LSTM_REVERSE, 5, 2, 7, 9, 1, 1, 1, 7},
        {VECQ_LSTM_BOTH, 6, 2, 33, 17, 1, 1, 0, 7},  {VECQ_LSTM_BOTH, 6, 1, 3, 16, 0, 0, 1, 6},
        {VECQ_LSTM_BOTH, 20, 2, 24, 64, 1, 0, 0, 1}, {VECQ_LSTM_FORWARD, 1, 1, 16, 40, 1, 1, 1, 2},
    };
    static const lstm_case large = {VECQ_LSTM_FORWARD, 5, 3, 7, 9, 1, 0, 0, 7};
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(cases); i++) {
        run_lstm(&cases[i], backend);
        assert_true(has_step(&cases[i], backend, "own, step by step"));
    }
    assert_false(has_step(&large, backend, "own, step by step"));
}

static void test_directions(void **state)
{
    static const vecq_lstm_direction directions[] = {VECQ_LSTM_FORWARD, VECQ_LSTM_REVERSE, VECQ_LSTM_BOTH};
    size_t i;
    int bias, states, outputs;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(directions); i++)
        for (bias = 0; bias < 2; bias++)
            for (states = 0; states < 4; states++)
                for (outputs = 1; outputs < 8; outputs += states == 3 ? 1 : 3) {
                    lstm_case l = {.direction = directions[i],
                                   .steps = 4,
                                   .batch = 3,
                                   .input = 5,
                                   .hidden = 6,
                                   .has_bias = bias,
                                   .has_h = states & 1,
                                   .has_c = states >> 1,
                                   .outputs = outputs};

                    run_lstm(&l, backend);
                }
}

static void test_sizes(void **state)
{
    static const lstm_case cases[] = {
        {VECQ_LSTM_FORWARD, 1, 1, 1, 1, 1, 0, 0, 7},   {VECQ_LSTM_FORWARD, 7, 2, 40, 33, 1, 0, 0, 1},
        {VECQ_LSTM_BOTH, 9, 17, 24, 32, 1, 0, 0, 1},   {VECQ_LSTM_BOTH, 1, 5, 3, 4, 1, 1, 1, 7},
        {VECQ_LSTM_REVERSE, 5, 8, 16, 64, 0, 0, 0, 2},
    };
    size_t i;
    BC_BACKEND("onednn")

    (void)state;
    for (i = 0; i < COUNT(cases); i++)
        run_lstm(&cases[i], backend);
}

static void test_out_of_memory(void **state)
{
    static const lstm_case l = {VECQ_LSTM_BOTH, 2, 2, 3, 4, 1, 1, 0, 7};
    char name[96];
    bc_case c = case_of(&l, name);
    BC_BACKEND("onednn")

    (void)state;
    assert_true(bc_fail_every_alloc(&c, backend) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directions),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_small_batches),
        cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
