/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes, parts, look-ups: gradients by finite differences, twice where the gradient has one itself;
 * refusals. */
#include "vecq_test.h"

#include "base/status.h"
#include "gradient_check.h"

/* ---- gradients ---- */

static vecq_status build_reshape(vecq_program *p, vecq_var *const *in, const void *extra, vecq_var **out,
                                 size_t *n_out, vecq_error *err)
{
    *n_out = 1;
    return vecq_program_op1(p, VECQ_OP_RESHAPE, "op", in[0], extra, sizeof(vecq_shape_params), out, err);
}

static vecq_status build_transpose(vecq_program *p, vecq_var *const *in, const void *extra, vecq_var **out,
                                   size_t *n_out, vecq_error *err)
{
    *n_out = 1;
    return vecq_program_op1(p, VECQ_OP_TRANSPOSE, "op", in[0], extra, sizeof(vecq_transpose_params), out,
                            err);
}

/* The middle input twice: its parts add up. */
static vecq_status build_concat(vecq_program *p, vecq_var *const *in, const void *extra, vecq_var **out,
                                size_t *n_out, vecq_error *err)
{
    vecq_var *parts[4] = {in[0], in[1], in[2], in[1]};
    vecq_op *op;

    VECQ_TRY(
        vecq_program_op(p, VECQ_OP_CONCAT, "op", parts, 4, extra, sizeof(vecq_axis_params), 0, &op, err));
    out[0] = op->outputs[0];
    *n_out = 1;
    return VECQ_OK;
}

/* All parts, or all but the second: its gradient is missing. */
static vecq_status build_split(vecq_program *p, vecq_var *const *in, const void *extra, vecq_var **out,
                               size_t *n_out, vecq_error *err)
{
    const vecq_axis_params *params = extra;
    vecq_op *op;
    size_t i;

    VECQ_TRY(vecq_program_op(p, VECQ_OP_SPLIT, "op", in, 1, params, sizeof *params, params->n, &op, err));
    for (i = 0; i < params->n; i++)
        if (params->n < 3 || i != 1)
            out[(*n_out)++] = op->outputs[i];
    return VECQ_OK;
}

static vecq_status build_slice(vecq_program *p, vecq_var *const *in, const void *extra, vecq_var **out,
                               size_t *n_out, vecq_error *err)
{
    *n_out = 1;
    return vecq_program_op1(p, VECQ_OP_SLICE, "op", in[0], extra, sizeof(vecq_slice_params), out, err);
}

static vecq_status build_slice_grad(vecq_program *p, vecq_var *const *in, const void *extra, vecq_var **out,
                                    size_t *n_out, vecq_error *err)
{
    *n_out = 1;
    return vecq_program_op1(p, VECQ_OP_SLICE_GRAD, "op", in[0], extra, sizeof(vecq_slice_params), out, err);
}

static vecq_status build_gather(vecq_program *p, vecq_var *const *in, const void *extra, vecq_var **out,
                                size_t *n_out, vecq_error *err)
{
    *n_out = 1;
    return vecq_program_op2(p, VECQ_OP_GATHER, "op", in[0], in[1], extra, sizeof(vecq_axis_params), out, err);
}

/* The larger of two, by a comparison. */
static vecq_status build_where(vecq_program *p, vecq_var *const *in, const void *extra, vecq_var **out,
                               size_t *n_out, vecq_error *err)
{
    static const vecq_compare_params less = {VECQ_COMPARE_LESS};
    vecq_var *inputs[3] = {NULL, in[1], in[0]};
    vecq_op *op;

    (void)extra;
    *n_out = 1;
    VECQ_TRY(vecq_program_op2(p, VECQ_OP_COMPARE, "c", in[0], in[1], &less, sizeof less, &inputs[0], err));
    VECQ_TRY(vecq_program_op(p, VECQ_OP_WHERE, "op", inputs, 3, NULL, 0, 0, &op, err));
    out[0] = op->outputs[0];
    return VECQ_OK;
}

/* Through float32 and back: the derivative of rounding counts as 1. */
static vecq_status build_cast(vecq_program *p, vecq_var *const *in, const void *extra, vecq_var **out,
                              size_t *n_out, vecq_error *err)
{
    static const vecq_cast_params to[2] = {{.to = VECQ_DT_FLOAT}, {.to = VECQ_DT_DOUBLE}};
    vecq_var *x;

    (void)extra;
    *n_out = 1;
    VECQ_TRY(vecq_program_op1(p, VECQ_OP_CAST, "op", in[0], &to[0], sizeof to[0], &x, err));
    return vecq_program_op1(p, VECQ_OP_CAST, "op", x, &to[1], sizeof to[1], out, err);
}

static const vecq_shape_params shape_a = {.rank = 3, .dims = {2, 2, 6}}, shape_scalar = {.rank = 0};
static const vecq_transpose_params perm_a = {{2, 0, 1}}, perm_b = {{0, 2, 1}}, perm_c = {{3, 1, 0, 2}};
static const vecq_axis_params axis_0 = {.axis = 0}, axis_1 = {.axis = 1}, axis_2 = {.axis = 2};
static const vecq_axis_params split_a = {.axis = 1, .n = 3, .sizes = {2, 3, 1}};
static const vecq_axis_params split_b = {.axis = 0, .n = 2, .sizes = {1, 3}};
static const vecq_axis_params split_one = {.axis = 2, .n = 1, .sizes = {2}};
static const vecq_slice_params slice_a = {
    .start = {1, 0, 4}, .step = {1, 2, -2}, .length = {2, 2, 3}, .full = {4, 3, 5}};
static const vecq_slice_params slice_b = {.start = {0, 1}, .step = {1, 1}, .length = {3, 2}, .full = {3, 4}};
static const vecq_slice_params slice_none = {.step = {1, 1}, .length = {0, 4}, .full = {3, 4}};

#define IN(n, ...)                                                                                           \
    {                                                                                                        \
        .rank = n, .dims = { __VA_ARGS__ }                                                                   \
    }

static const gc_case cases[] = {
    {.name = "Reshape", .n_inputs = 1, .inputs = {IN(2, 4, 6)}, .build = build_reshape, .extra = &shape_a},
    {.name = "Reshape to a scalar",
     .n_inputs = 1,
     .inputs = {IN(3, 1, 1, 1)},
     .build = build_reshape,
     .extra = &shape_scalar},
    {.name = "Transpose all",
     .n_inputs = 1,
     .inputs = {IN(3, 2, 3, 4)},
     .build = build_transpose,
     .extra = &perm_a},
    {.name = "Transpose inner",
     .n_inputs = 1,
     .inputs = {IN(3, 2, 3, 4)},
     .build = build_transpose,
     .extra = &perm_b},
    {.name = "Transpose four",
     .n_inputs = 1,
     .inputs = {IN(4, 2, 3, 1, 4)},
     .build = build_transpose,
     .extra = &perm_c},
    {.name = "Concat 0",
     .n_inputs = 3,
     .inputs = {IN(2, 1, 3), IN(2, 2, 3), IN(2, 4, 3)},
     .build = build_concat,
     .extra = &axis_0},
    {.name = "Concat 1",
     .n_inputs = 3,
     .inputs = {IN(3, 2, 1, 3), IN(3, 2, 5, 3), IN(3, 2, 2, 3)},
     .build = build_concat,
     .extra = &axis_1},
    {.name = "Concat with a constant",
     .n_inputs = 3,
     .inputs = {IN(2, 2, 1), {.rank = 2, .dims = {2, 5}, .is_fixed = 1}, IN(2, 2, 2)},
     .build = build_concat,
     .extra = &axis_1},
    {.name = "Split 1", .n_inputs = 1, .inputs = {IN(3, 2, 6, 2)}, .build = build_split, .extra = &split_a},
    {.name = "Split 0", .n_inputs = 1, .inputs = {IN(2, 4, 3)}, .build = build_split, .extra = &split_b},
    {.name = "Split one",
     .n_inputs = 1,
     .inputs = {IN(3, 2, 3, 2)},
     .build = build_split,
     .extra = &split_one},
    {.name = "Slice", .n_inputs = 1, .inputs = {IN(3, 4, 3, 5)}, .build = build_slice, .extra = &slice_a},
    {.name = "Slice columns",
     .n_inputs = 1,
     .inputs = {IN(2, 3, 4)},
     .build = build_slice,
     .extra = &slice_b},
    {.name = "Slice nothing",
     .n_inputs = 1,
     .inputs = {IN(2, 3, 4)},
     .build = build_slice,
     .extra = &slice_none},
    {.name = "SliceGrad",
     .n_inputs = 1,
     .inputs = {IN(3, 2, 2, 3)},
     .build = build_slice_grad,
     .extra = &slice_a},
    {.name = "Gather 0",
     .n_inputs = 2,
     .inputs = {IN(2, 5, 3), {.rank = 2, .dims = {4, 3}, .low = -5, .high = 5, .is_integer = 1}},
     .build = build_gather,
     .extra = &axis_0},
    {.name = "Gather 1",
     .n_inputs = 2,
     .inputs = {IN(3, 2, 4, 3), {.rank = 1, .dims = {7}, .low = 0, .high = 4, .is_integer = 1}},
     .build = build_gather,
     .extra = &axis_1},
    {.name = "Gather one",
     .n_inputs = 2,
     .inputs = {IN(3, 2, 4, 70), {.rank = 0, .dims = {0}, .low = 3, .high = 4, .is_integer = 1}},
     .build = build_gather,
     .extra = &axis_1},
    {.name = "Gather last",
     .n_inputs = 2,
     .inputs = {IN(3, 2, 2, 3), {.rank = 1, .dims = {2}, .low = -3, .high = -1, .is_integer = 1}},
     .build = build_gather,
     .extra = &axis_2},
    {.name = "Where", .n_inputs = 2, .inputs = {IN(2, 4, 5), IN(2, 4, 5)}, .build = build_where},
    {.name = "Cast",
     .n_inputs = 1,
     .inputs = {IN(2, 2, 3)},
     .build = build_cast,
     .tolerance = 1e-4,
     .step = 1e-2},
};

static void test_gradients(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        gc_run(&cases[i]);
}

/* d/dx of <r, dL/dtable> where L = <q, Gather(table, index)> comes back to q: the gradient of GatherGrad. */
static void test_gather_twice(void **state)
{
    static const int64_t table_dims[2] = {4, 2}, index_dims[1] = {3}, q_dims[2] = {3, 2};
    static const int32_t index[3] = {3, 0, 3};
    const vecq_axis_params axis = {.axis = 0};
    vecq_reduce_params all = {.axes = {1, 1}};
    vecq_exec_options options = {.threads = 1};
    vecq_run run = {.threads = 1};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_program program;
    vecq_var *table, *idx, *q, *y, *loss, *grad, *again;
    vecq_exec *exec;
    float values[8] = {0}, weights[6] = {1, 2, 3, 4, 5, 6};
    size_t i;

    (void)state;
    memset(&program, 0, sizeof program);
    assert_ok(vecq_program_input(&program, "table", VECQ_DT_FLOAT, 2, table_dims, &table, &err), &err);
    assert_ok(vecq_program_input(&program, "index", VECQ_DT_INT32, 1, index_dims, &idx, &err), &err);
    assert_ok(vecq_program_input(&program, "q", VECQ_DT_FLOAT, 2, q_dims, &q, &err), &err);
    assert_ok(vecq_program_op2(&program, VECQ_OP_GATHER, "g", table, idx, &axis, sizeof axis, &y, &err),
              &err);
    assert_ok(vecq_program_op2(&program, VECQ_OP_MUL, "m", y, q, NULL, 0, &y, &err), &err);
    assert_ok(vecq_program_op1(&program, VECQ_OP_REDUCE_SUM, "s", y, &all, sizeof all, &loss, &err), &err);
    assert_ok(vecq_program_differentiate(&program, loss, &table, 1, &grad, &err), &err);
    assert_ok(vecq_program_op1(&program, VECQ_OP_REDUCE_SUM, "s", grad, &all, sizeof all, &loss, &err), &err);
    assert_ok(vecq_program_differentiate(&program, loss, &q, 1, &again, &err), &err);
    assert_ok(vecq_exec_create(&program, &options, &exec, &err), &err);
    vecq_exec_bind(exec, table, values);
    vecq_exec_bind(exec, idx, index);
    vecq_exec_bind(exec, q, weights);
    assert_ok(vecq_exec_run(exec, &run, &err), &err);
    for (i = 0; i < 6; i++)
        assert_true(((const float *)vecq_exec_data(exec, again))[i] == 1.0f);
    assert_true(((const float *)vecq_exec_data(exec, grad))[6] == 6.0f); /* 1 + 5 */
    vecq_exec_destroy(exec);
    vecq_program_clear(&program);
}

/* ---- refusals, and what is known not to be negative ---- */

static void expect(vecq_op_kind kind, const void *params, size_t bytes, size_t n_in, size_t n_out,
                   const char *words)
{
    static const int64_t dims[3] = {4, 3, 5}, other[3] = {4, 2, 5};
    vecq_error err = VECQ_ERROR_INIT;
    vecq_program program;
    vecq_var *in[2];
    vecq_op *op;

    memset(&program, 0, sizeof program);
    assert_ok(vecq_program_input(&program, "a", VECQ_DT_FLOAT, 3, dims, &in[0], &err), &err);
    assert_ok(vecq_program_input(&program, "b", VECQ_DT_FLOAT, 3, other, &in[1], &err), &err);
    assert_int_equal(vecq_program_op(&program, kind, "op", in, n_in, params, bytes, n_out, &op, &err),
                     VECQ_ERR_FORMAT);
    if (strstr(err.message, words) == NULL)
        fail_msg("'%s' does not say '%s'", err.message, words);
    vecq_program_clear(&program);
}

static void test_refusals(void **state)
{
    const vecq_shape_params shape = {.rank = 2, .dims = {7, 9}};
    const vecq_transpose_params twice = {{0, 1, 1}}, far = {{0, 1, 3}};
    const vecq_axis_params axis = {.axis = 3}, first = {.axis = 0}, second = {.axis = 1};
    const vecq_axis_params less = {.axis = 1, .n = 2, .sizes = {1, 1}};
    const vecq_axis_params more = {.axis = 1, .n = 2, .sizes = {1, 3}};
    vecq_slice_params slice = {.start = {0, 0, 0}, .step = {1, 1, 1}, .length = {4, 3, 5}};

    (void)state;
    expect(VECQ_OP_RESHAPE, &shape, sizeof shape, 1, 0, "4x3x5 has 60 elements, the new shape 63");
    expect(VECQ_OP_TRANSPOSE, &twice, sizeof twice, 1, 0, "no permutation of 3 axes");
    expect(VECQ_OP_TRANSPOSE, &far, sizeof far, 1, 0, "no permutation of 3 axes");
    expect(VECQ_OP_CONCAT, &axis, sizeof axis, 2, 0, "axis 3 of 4x3x5");
    expect(VECQ_OP_CONCAT, &first, sizeof first, 2, 0, "input 1 is 4x2x5, the first is 4x3x5");
    expect(VECQ_OP_SPLIT, &less, sizeof less, 1, 2, "the parts leave out 1");
    expect(VECQ_OP_SPLIT, &more, sizeof more, 1, 2, "a part of length 3 of 2");
    expect(VECQ_OP_SPLIT, &less, sizeof less, 1, 3, "2 parts for 3 outputs");
    expect(VECQ_OP_GATHER, &second, sizeof second, 2, 0, "indices are float32");
    slice.start[1] = 1;
    expect(VECQ_OP_SLICE, &slice, sizeof slice, 1, 0, "3 elements from 1 in steps of 1 of an axis of 3");
    slice.length[1] = 3;
    slice.step[1] = INT64_MIN;
    expect(VECQ_OP_SLICE, &slice, sizeof slice, 1, 0, "of an axis of 3");
    slice.length[1] = -1;
    expect(VECQ_OP_SLICE, &slice, sizeof slice, 1, 0, "-1 elements");
    expect(VECQ_OP_GATHER_GRAD, &first, sizeof first, 2, 0, "the gradient of nothing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_gather_twice),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
