/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of the binary operators and reductions, for every way of broadcasting. */
#include "gradient_check.h"

typedef struct op_case {
    vecq_op_kind kind;
    vecq_reduce_params reduce;
    vecq_shape_params shape;
} op_case;

static vecq_status build_binary(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                                size_t *n_out, vecq_error *err)
{
    const op_case *c = extra;

    *n_out = 1;
    return vecq_program_op2(program, c->kind, "op", in[0], in[1], NULL, 0, &out[0], err);
}

static vecq_status build_reduce(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                                size_t *n_out, vecq_error *err)
{
    const op_case *c = extra;

    *n_out = 1;
    return vecq_program_op1(program, c->kind, "op", in[0], &c->reduce, sizeof c->reduce, &out[0], err);
}

static vecq_status build_expand(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                                size_t *n_out, vecq_error *err)
{
    const op_case *c = extra;

    *n_out = 1;
    return vecq_program_op1(program, VECQ_OP_EXPAND, "op", in[0], &c->shape, sizeof c->shape, &out[0], err);
}

static const struct {
    gc_input a, b;
} binary_shapes[] = {
    {{.rank = 3, .dims = {2, 3, 4}}, {.rank = 3, .dims = {2, 3, 4}}},
    {{.rank = 3, .dims = {2, 3, 4}}, {.rank = 0}},
    {{.rank = 0}, {.rank = 2, .dims = {3, 2}}},
    {{.rank = 4, .dims = {2, 3, 2, 2}}, {.rank = 3, .dims = {3, 1, 1}}},
    {{.rank = 1, .dims = {4}}, {.rank = 2, .dims = {3, 4}}},
    {{.rank = 3, .dims = {2, 1, 3}}, {.rank = 3, .dims = {1, 4, 1}}},
    {{.rank = 4, .dims = {2, 1, 3, 1}}, {.rank = 3, .dims = {4, 3, 2}}},
};

static void test_binary_gradients(void **state)
{
    static const vecq_op_kind kinds[] = {VECQ_OP_ADD, VECQ_OP_SUB, VECQ_OP_MUL, VECQ_OP_DIV,
                                         VECQ_OP_MAX, VECQ_OP_MIN, VECQ_OP_POW};
    size_t k, s;

    (void)state;
    for (k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (s = 0; s < sizeof binary_shapes / sizeof *binary_shapes; s++) {
            op_case extra = {.kind = kinds[k]};
            gc_case c = {vecq_op_info_of(kinds[k])->name,
                         2,
                         {binary_shapes[s].a, binary_shapes[s].b},
                         build_binary,
                         &extra,
                         0,
                         0};
            if (kinds[k] == VECQ_OP_DIV || kinds[k] == VECQ_OP_POW) {
                c.inputs[0].low = c.inputs[1].low = 0.3;
                c.inputs[0].high = c.inputs[1].high = 2.5;
            }
            gc_run(&c);
        }
}

static vecq_status build_square(vecq_program *program, vecq_var *const *in, const void *extra, vecq_var **out,
                                size_t *n_out, vecq_error *err)
{
    (void)extra;
    *n_out = 1;
    return vecq_program_op2(program, VECQ_OP_MUL, "op", in[0], in[0], NULL, 0, &out[0], err);
}

static void test_same_operand_twice(void **state)
{
    gc_case c = {"x * x", 1, {{.rank = 2, .dims = {3, 4}}}, build_square, NULL, 0, 0};

    (void)state;
    gc_run(&c);
}

static void test_reduce_gradients(void **state)
{
    static const vecq_op_kind kinds[] = {VECQ_OP_REDUCE_SUM, VECQ_OP_REDUCE_MEAN, VECQ_OP_REDUCE_MAX};
    size_t k;
    unsigned marks;

    (void)state;
    for (k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (marks = 0; marks < 32; marks++) {
            op_case extra = {.kind = kinds[k], .reduce.keep_dims = (int)(marks >> 4)};
            gc_case c = {vecq_op_info_of(kinds[k])->name,
                         1,
                         {{.rank = 4, .dims = {2, 3, 1, 4}}},
                         build_reduce,
                         &extra,
                         0,
                         0};
            unsigned i;

            for (i = 0; i < 4; i++)
                extra.reduce.axes[i] = (unsigned char)(marks >> i & 1);
            gc_run(&c);
        }
}

static void test_expand_gradient(void **state)
{
    static const op_case extra = {.shape = {.rank = 4, .dims = {2, 3, 4, 2}}};
    static const gc_input inputs[] = {{.rank = 0},
                                      {.rank = 2, .dims = {4, 1}},
                                      {.rank = 3, .dims = {3, 1, 2}},
                                      {.rank = 4, .dims = {2, 3, 4, 2}},
                                      {.rank = 4, .dims = {2, 1, 4, 1}}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        gc_case c = {"Expand", 1, {inputs[i]}, build_expand, &extra, 0, 0};

        gc_run(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary_gradients),
        cmocka_unit_test(test_same_operand_twice),
        cmocka_unit_test(test_reduce_gradients),
        cmocka_unit_test(test_expand_gradient),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
